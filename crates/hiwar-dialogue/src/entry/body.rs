//! What entries do, by their type.

use std::collections::BTreeMap;

use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::act::{Act, ActData, ActKind};
use super::{EntryError, EntryId, bad};
use crate::marking::Marking;

/// Parallel texts of one statement, by BCP 47 language tag. All are equally signed.
pub type Texts = BTreeMap<String, String>;

/// A file that belongs to an entry; the bytes travel apart and are named by their digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// File name, without any path.
    pub name: String,
    /// Media type (RFC 6838).
    #[serde(rename = "mediaType")]
    pub media_type: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the bytes.
    pub sha256: Hash,
}

impl Attachment {
    /// The media type of a JSON document of a kind such as `org.hiwar.agreement.v1`, in the vendor tree
    /// (RFC 6838, section 3.2).
    pub fn media_type_of(kind: &str) -> String {
        format!("application/vnd.{}+json", kind.trim_start_matches("org."))
    }
}

/// What a statement-like entry says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// The parallel texts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: Texts,
    /// The language whose text prevails when they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prevailing: Option<String>,
}

/// An entry about another entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The entry it is about.
    pub of: EntryId,
    /// What it says of it.
    #[serde(flatten)]
    pub words: Words,
}

/// Who talks under which rules. The first membership of a dialogue opens it; every membership
/// takes effect when all parties, old and new, have assented.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// What the dialogue is about.
    pub title: Texts,
    /// The participants, sorted, without repetition.
    pub parties: Vec<Did>,
    /// The most restricted marking that entries may bear.
    pub cap: Marking,
    /// The membership it replaces; absent in the one that opens the dialogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<EntryId>,
}

/// What an entry does, by its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Says something.
    Statement(Words),
    /// Hands over files, with or without words.
    Attachment(Words),
    /// Puts an own earlier entry right; both stay.
    Correction(About),
    /// Takes an own earlier entry back; it stays readable.
    Withdrawal(About),
    /// Contradicts another party's entry; both versions stand side by side.
    Dispute(About),
    /// A desk confirms that it has taken note; more than the node's receipt.
    Acknowledgement(About),
    /// Opens a dialogue or changes who takes part.
    Membership(Membership),
    /// Countersigns a membership.
    Assent(About),
    /// Declines a membership.
    Refusal(About),
    /// Opens or moves a procedure.
    Act(Act),
}

impl Body {
    /// The CloudEvents `type` of this body.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Statement(_) => "org.hiwar.statement.v1",
            Self::Attachment(_) => "org.hiwar.attachment.v1",
            Self::Correction(_) => "org.hiwar.correction.v1",
            Self::Withdrawal(_) => "org.hiwar.withdrawal.v1",
            Self::Dispute(_) => "org.hiwar.dispute.v1",
            Self::Acknowledgement(_) => "org.hiwar.acknowledgement.v1",
            Self::Membership(_) => "org.hiwar.membership.v1",
            Self::Assent(_) => "org.hiwar.assent.v1",
            Self::Refusal(_) => "org.hiwar.refusal.v1",
            Self::Act(act) => act.kind.type_name(),
        }
    }

    /// The entry this one is about, if it is about one.
    pub fn of(&self) -> Option<EntryId> {
        match self {
            Self::Correction(a)
            | Self::Withdrawal(a)
            | Self::Dispute(a)
            | Self::Acknowledgement(a)
            | Self::Assent(a)
            | Self::Refusal(a) => Some(a.of),
            Self::Act(act) => act.of,
            Self::Statement(_) | Self::Attachment(_) | Self::Membership(_) => None,
        }
    }

    /// The texts it carries.
    pub fn texts(&self) -> &Texts {
        match self {
            Self::Statement(w) | Self::Attachment(w) => &w.texts,
            Self::Correction(a)
            | Self::Withdrawal(a)
            | Self::Dispute(a)
            | Self::Acknowledgement(a)
            | Self::Assent(a)
            | Self::Refusal(a) => &a.words.texts,
            Self::Membership(m) => &m.title,
            Self::Act(act) => &act.words.texts,
        }
    }

    pub(super) fn prevailing(&self) -> Option<&str> {
        match self {
            Self::Statement(w) | Self::Attachment(w) => w.prevailing.as_deref(),
            Self::Correction(a)
            | Self::Withdrawal(a)
            | Self::Dispute(a)
            | Self::Acknowledgement(a)
            | Self::Assent(a)
            | Self::Refusal(a) => a.words.prevailing.as_deref(),
            Self::Membership(_) => None,
            Self::Act(act) => act.words.prevailing.as_deref(),
        }
    }

    pub(super) fn to_value(&self) -> Result<Value, serde_json::Error> {
        match self {
            Self::Statement(w) | Self::Attachment(w) => serde_json::to_value(w),
            Self::Correction(a)
            | Self::Withdrawal(a)
            | Self::Dispute(a)
            | Self::Acknowledgement(a)
            | Self::Assent(a)
            | Self::Refusal(a) => serde_json::to_value(a),
            Self::Membership(m) => serde_json::to_value(m),
            Self::Act(act) => serde_json::to_value(ActData::from(act)),
        }
    }

    pub(super) fn from_value(type_name: &str, data: Value) -> Result<Self, EntryError> {
        fn read<T: serde::de::DeserializeOwned>(data: Value) -> Result<T, EntryError> {
            serde_json::from_value(data).map_err(|e| bad("data", e.to_string()))
        }
        Ok(match type_name {
            "org.hiwar.statement.v1" => Self::Statement(read(data)?),
            "org.hiwar.attachment.v1" => Self::Attachment(read(data)?),
            "org.hiwar.correction.v1" => Self::Correction(read(data)?),
            "org.hiwar.withdrawal.v1" => Self::Withdrawal(read(data)?),
            "org.hiwar.dispute.v1" => Self::Dispute(read(data)?),
            "org.hiwar.acknowledgement.v1" => Self::Acknowledgement(read(data)?),
            "org.hiwar.membership.v1" => Self::Membership(read(data)?),
            "org.hiwar.assent.v1" => Self::Assent(read(data)?),
            "org.hiwar.refusal.v1" => Self::Refusal(read(data)?),
            other => match ActKind::of_type(other) {
                Some(kind) => Self::Act(read::<ActData>(data)?.of_kind(kind)),
                None => return Err(EntryError::UnknownType { found: other.chars().take(120).collect() }),
            },
        })
    }
}
