//! What the members of a dossier are called and what stands in them.

use hiwar_dialogue::entry::{DialogueId, EntryId, Texts};
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::merkle;
use hiwar_trust::receipt::{ItemKind, ReceiptItem, SignedReceipt};
use hiwar_trust::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The format's name and version, as it stands in `dossier.json`.
pub const FORMAT: &str = "hiwar-dossier/1";

/// The text of `README.txt`.
pub(crate) const README_TEXT: &str = include_str!("readme.txt");

/// Folder of the attached files.
const ATTACHMENTS: &str = "attachments/";

/// A member of a dossier. The order of the variants is the order in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Member {
    Readme,
    Manifest,
    Seal,
    Identities,
    Entries,
    Log,
    Receipts,
    Alarms,
    Attachment(Hash),
}

impl Member {
    /// The members that every dossier has.
    pub(crate) const REQUIRED: [Self; 6] =
        [Self::Readme, Self::Manifest, Self::Identities, Self::Entries, Self::Log, Self::Receipts];

    /// The member with this name; none when no member is called so.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "README.txt" => Self::Readme,
            "dossier.json" => Self::Manifest,
            "seal.txt" => Self::Seal,
            "identities.json" => Self::Identities,
            "entries.ndjson" => Self::Entries,
            "log.json" => Self::Log,
            "receipts.ndjson" => Self::Receipts,
            "alarms.json" => Self::Alarms,
            other => Self::Attachment(other.strip_prefix(ATTACHMENTS)?.parse().ok()?),
        })
    }

    /// Its name.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Readme => "README.txt".into(),
            Self::Manifest => "dossier.json".into(),
            Self::Seal => "seal.txt".into(),
            Self::Identities => "identities.json".into(),
            Self::Entries => "entries.ndjson".into(),
            Self::Log => "log.json".into(),
            Self::Receipts => "receipts.ndjson".into(),
            Self::Alarms => "alarms.json".into(),
            Self::Attachment(sha256) => format!("{ATTACHMENTS}{sha256}"),
        }
    }
}

/// `dossier.json`: what the file is about and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always [`FORMAT`].
    pub format: String,
    /// The dialogue.
    pub dialogue: DialogueId,
    /// What the dialogue is about, as its newest membership says.
    pub title: Texts,
    /// The participant that exported it.
    pub exporter: Did,
    /// When, by the exporter's clock.
    pub time: Timestamp,
    /// Entries that others link to and that the exporter does not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<EntryId>,
    /// All other members in order, but for the seal, which names this document's digest.
    pub members: Vec<MemberRecord>,
}

/// A member as `dossier.json` lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberRecord {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub sha256: Hash,
}

impl Manifest {
    /// The one spelling of the document: indented, ending in a line feed.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// A state of one of the exporter's logs, with those who saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogEvidence {
    /// The checkpoint, signed by the exporter's node, with any cosignatures on it.
    pub checkpoint: String,
    /// Other states of the same log that peers cosigned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub witnessed: Vec<WitnessedState>,
}

/// A state of a log that a peer cosigned, tied to the one that the inclusion proofs lead to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessedState {
    /// The checkpoint with the cosignatures.
    pub checkpoint: String,
    /// RFC 6962 consistency proof between the two states, from the smaller to the larger.
    pub proof: Vec<Hash>,
}

/// Where an entry stands in one of the exporter's logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogPlace {
    /// Which of the logs in the dossier, from 0.
    pub log: usize,
    /// Its leaf.
    pub leaf: u64,
    /// RFC 6962 inclusion proof in that log's checkpoint.
    pub proof: Vec<Hash>,
}

/// An entry as `log.json` lists it, in the order of `entries.ndjson`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoggedEntry {
    pub(crate) id: EntryId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<LogPlace>,
}

/// `log.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogDocument {
    pub(crate) logs: Vec<LogEvidence>,
    pub(crate) entries: Vec<LoggedEntry>,
}

/// A line of `receipts.ndjson`: one item of a receipt, without the other items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptEvidence {
    /// Who received.
    pub issuer: Did,
    /// What was received and the leaf it became in the issuer's log.
    #[serde(with = "item_text")]
    pub item: ReceiptItem,
    /// Its position among the receipt's items, from 0.
    pub index: u64,
    /// How many items the receipt covers.
    pub count: u64,
    /// RFC 6962 inclusion proof in the receipt's own tree of items.
    pub proof: Vec<Hash>,
    /// The signed note.
    pub note: String,
}

impl ReceiptEvidence {
    /// The evidence that `receipt` covers a thing; none when it does not.
    pub fn of(receipt: &SignedReceipt, kind: ItemKind, hash: &Hash) -> Option<Self> {
        let items = &receipt.receipt.items;
        let position = items.iter().position(|item| item.kind == kind && item.hash == *hash)?;
        let index = u64::try_from(position).ok()?;
        Some(Self {
            issuer: receipt.receipt.issuer.clone(),
            item: *items.get(position)?,
            index,
            count: u64::try_from(items.len()).ok()?,
            proof: merkle::inclusion_proof(&receipt.receipt.item_hashes(), index)?,
            note: receipt.note.clone(),
        })
    }
}

mod item_text {
    use hiwar_trust::receipt::ReceiptItem;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(item: &ReceiptItem, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(item)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ReceiptItem, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The leaf of a log that stands for an entry.
pub(crate) fn entry_leaf(id: &EntryId) -> Hash {
    merkle::leaf_hash(format!("entry {id}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_named_and_ordered_as_the_format_says() {
        let hash = Hash::of(b"file");
        let all = [
            Member::Readme,
            Member::Manifest,
            Member::Seal,
            Member::Identities,
            Member::Entries,
            Member::Log,
            Member::Receipts,
            Member::Alarms,
            Member::Attachment(hash),
        ];
        assert!(all.is_sorted());
        for member in all {
            assert_eq!(Member::named(&member.name()), Some(member));
        }
        for name in [
            "",
            "readme.txt",
            "/README.txt",
            "./README.txt",
            "attachments/",
            "attachments/../README.txt",
            &format!("attachments/{}", hash.to_string().to_uppercase()),
            &format!("/attachments/{hash}"),
        ] {
            assert_eq!(Member::named(name), None, "{name}");
        }
    }
}
