//! Receipts: a node's signed proof that it holds entries and files durably and in its log.
//!
//! One signature covers a whole batch. The signed text names the Merkle root (RFC 6962 hashing)
//! over the batch's items in order, each item saying which leaf of the issuer's log it became,
//! and the state of that log right after. From the items, anyone can prove a single one with
//! about log2(n) hashes.
//!
//! The signed text is a C2SP signed note of six lines:
//!
//! ```text
//! hiwar.org/receipt/v1
//! to did:web:motie.example
//! time 2019-07-01T01:00:00.000Z
//! items 2 <base64 root over the item lines>
//! log did:web:meti.example/log/1
//! state 17 <base64 root of the log>
//! ```
//!
//! and an item line is `entry <64 hex> <leaf>` or `attachment <64 hex> <leaf>`.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::checkpoint::Checkpoint;
use crate::did::Did;
use crate::hash::Hash;
use crate::identity::Identity;
use crate::key::{KeyHolder, PublicKey};
use crate::merkle;
use crate::note::{KeyName, Note};
use crate::time::Timestamp;

/// First line of every receipt.
const HEADER: &str = "hiwar.org/receipt/v1";
/// Most items under one signature.
pub const RECEIPT_ITEMS_MAX: usize = 4096;

/// What kind of thing was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemKind {
    /// An entry, named by its identifier.
    Entry,
    /// A file, named by its digest.
    Attachment,
}

/// One thing received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptItem {
    /// What it is.
    pub kind: ItemKind,
    /// Its digest.
    pub hash: Hash,
    /// The leaf it became in the issuer's log.
    pub leaf: u64,
}

/// What a receipt says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The node's participant that received.
    pub issuer: Did,
    /// The participant that delivered.
    pub to: Did,
    /// When, by the issuer's clock.
    pub time: Timestamp,
    /// The issuer's log right after.
    pub log: Checkpoint,
    /// What was received.
    pub items: Vec<ReceiptItem>,
}

/// The signed text of a receipt without its items: enough to prove single items of it and to keep
/// the others to oneself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptHead {
    /// The node's participant that received.
    pub issuer: Did,
    /// The participant that delivered.
    pub to: Did,
    /// When, by the issuer's clock.
    pub time: Timestamp,
    /// How many items the signature covers.
    pub count: u64,
    /// Merkle root over the item lines.
    pub items_root: Hash,
    /// The issuer's log right after.
    pub log: Checkpoint,
    note: Note,
}

/// A receipt with its signature, checked for form; [`SignedReceipt::verify`] checks the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedReceipt {
    /// What it says.
    pub receipt: Receipt,
    /// The signed note.
    pub note: String,
}

/// Why a receipt was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The signed text is malformed.
    #[error("the receipt is malformed: {0}")]
    Malformed(&'static str),
    /// The note around it is malformed.
    #[error("the receipt is no signed note: {0}")]
    Note(String),
    /// An item line is malformed.
    #[error(
        "the receipt item {0:?} is malformed; it must be `entry` or `attachment`, 64 hexadecimal digits and a leaf number"
    )]
    Item(String),
    /// The items are not those that were signed.
    #[error("the items are not the ones that the receipt's root covers")]
    WrongItems,
    /// No node key of the issuer signed it.
    #[error("no node key of {0} signed the receipt")]
    WrongSignature(Did),
    /// The key holder failed.
    #[error("the receipt could not be signed: {0}")]
    Signing(String),
}

impl fmt::Display for ReceiptItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ItemKind::Entry => "entry",
            ItemKind::Attachment => "attachment",
        };
        write!(f, "{kind} {} {}", self.hash, self.leaf)
    }
}

impl FromStr for ReceiptItem {
    type Err = ReceiptError;

    fn from_str(text: &str) -> Result<Self, ReceiptError> {
        let fail = || ReceiptError::Item(text.chars().take(120).collect());
        let mut parts = text.split(' ');
        let (Some(kind), Some(hash), Some(leaf), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(fail());
        };
        let kind = match kind {
            "entry" => ItemKind::Entry,
            "attachment" => ItemKind::Attachment,
            _ => return Err(fail()),
        };
        let item =
            Self { kind, hash: hash.parse().map_err(|_| fail())?, leaf: decimal(leaf).ok_or_else(fail)? };
        Ok(item)
    }
}

/// A decimal number in its one spelling: no sign, no leading zero.
fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

/// A participant's identifier as the name of its node key in a signed note.
pub fn key_name(did: &Did) -> Option<KeyName> {
    did.as_str().parse().ok()
}

fn base64_hash(text: &str) -> Option<Hash> {
    let bytes = BASE64.decode(text).ok()?;
    Some(Hash(bytes.try_into().ok()?))
}

/// The text that is signed, in its one spelling.
fn text(to: &Did, time: Timestamp, count: impl fmt::Display, items_root: Hash, log: &Checkpoint) -> String {
    format!(
        "{HEADER}\nto {to}\ntime {time}\nitems {count} {}\nlog {}\nstate {} {}\n",
        BASE64.encode(items_root.as_bytes()),
        log.origin(),
        log.size(),
        BASE64.encode(log.root().as_bytes()),
    )
}

impl Receipt {
    /// The hashes of the item lines, as the leaves of the receipt's own small tree.
    pub fn item_hashes(&self) -> Vec<Hash> {
        use std::io::Write as _;
        let mut line = Vec::with_capacity(96);
        let mut hashes = Vec::with_capacity(self.items.len());
        for item in &self.items {
            line.clear();
            if write!(line, "{item}").is_ok() {
                hashes.push(merkle::leaf_hash(&line));
            }
        }
        hashes
    }

    fn text(&self) -> String {
        let root = merkle::root(&self.item_hashes());
        text(&self.to, self.time, self.items.len(), root, &self.log)
    }

    /// Signs the receipt with the issuer's node key.
    ///
    /// # Errors
    /// [`ReceiptError::Signing`] when the key holder cannot sign.
    pub fn sign(self, holder: &dyn KeyHolder) -> Result<SignedReceipt, ReceiptError> {
        let name = key_name(&self.issuer)
            .ok_or_else(|| ReceiptError::Signing("the issuer has no key name".into()))?;
        let note =
            Note::sign(&self.text(), &name, holder).map_err(|e| ReceiptError::Signing(e.to_string()))?;
        Ok(SignedReceipt { receipt: self, note: note.to_string() })
    }
}

impl ReceiptHead {
    /// Reads the signed text. Verifies no signature.
    ///
    /// # Errors
    /// What is wrong with its form.
    pub fn parse(note: &str) -> Result<Self, ReceiptError> {
        use ReceiptError::Malformed;
        let parsed = Note::parse(note.as_bytes()).map_err(|e| ReceiptError::Note(e.to_string()))?;
        let mut lines = parsed.text().lines();
        let mut next = || lines.next().unwrap_or_default();
        if next() != HEADER {
            return Err(Malformed("its first line must be hiwar.org/receipt/v1"));
        }
        let to = next()
            .strip_prefix("to ")
            .and_then(|t| t.parse().ok())
            .ok_or(Malformed("line 2 must be `to DID`"))?;
        let time = next()
            .strip_prefix("time ")
            .and_then(|t| t.parse().ok())
            .ok_or(Malformed("line 3 must be `time RFC3339`"))?;
        let (count, items_root) = next()
            .strip_prefix("items ")
            .and_then(|t| t.split_once(' '))
            .and_then(|(n, r)| Some((decimal(n)?, base64_hash(r)?)))
            .ok_or(Malformed("line 4 must be `items COUNT ROOT`"))?;
        let origin = next().strip_prefix("log ").ok_or(Malformed("line 5 must be `log ORIGIN`"))?.to_owned();
        let (size, log_root) = next()
            .strip_prefix("state ")
            .and_then(|t| t.split_once(' '))
            .and_then(|(n, r)| Some((decimal(n)?, base64_hash(r)?)))
            .ok_or(Malformed("line 6 must be `state SIZE ROOT`"))?;
        let issuer = parsed
            .signatures()
            .first()
            .and_then(|s| s.name().as_ref().parse().ok())
            .ok_or(Malformed("its signature must bear the issuer's DID"))?;
        let log =
            Checkpoint::new(&origin, size, log_root).map_err(|_| Malformed("its log origin is wrong"))?;
        if text(&to, time, count, items_root, &log) != parsed.text() {
            return Err(Malformed("it must have six lines and nothing else"));
        }
        Ok(Self { issuer, to, time, count, items_root, log, note: parsed })
    }

    /// Verifies the signature under one of the issuer's node keys; returns the key that fits.
    ///
    /// # Errors
    /// [`ReceiptError::WrongSignature`] when none fits.
    pub fn verify<'a>(&self, issuer: &'a Identity) -> Result<&'a PublicKey, ReceiptError> {
        signing_key(&self.note, &self.issuer, issuer)
    }

    /// Verifies that `item` is the one at `index` among those the receipt covers.
    ///
    /// # Errors
    /// [`ReceiptError::WrongItems`] when the proof does not lead to the signed root, or the item
    /// names a leaf beyond the issuer's log.
    pub fn covers(&self, item: &ReceiptItem, index: u64, proof: &[Hash]) -> Result<(), ReceiptError> {
        let leaf = merkle::leaf_hash(item.to_string().as_bytes());
        let in_log = item.leaf < self.log.size();
        match merkle::verify_inclusion(&leaf, index, self.count, proof, &self.items_root) {
            Ok(()) if in_log => Ok(()),
            _ => Err(ReceiptError::WrongItems),
        }
    }
}

/// The node key of `identity` under which `note` verifies.
fn signing_key<'a>(note: &Note, issuer: &Did, identity: &'a Identity) -> Result<&'a PublicKey, ReceiptError> {
    let wrong = || ReceiptError::WrongSignature(issuer.clone());
    if identity.did() != issuer {
        return Err(wrong());
    }
    let name = key_name(issuer).ok_or_else(wrong)?;
    identity.node_keys().find(|key| note.verify(&name, key).is_ok()).ok_or_else(wrong)
}

impl SignedReceipt {
    /// Reads a receipt and checks that it covers exactly `items`.
    ///
    /// # Errors
    /// What is wrong with its form, or [`ReceiptError::WrongItems`].
    pub fn parse(note: &str, items: Vec<ReceiptItem>) -> Result<Self, ReceiptError> {
        let ReceiptHead { issuer, to, time, count, items_root, log, .. } = ReceiptHead::parse(note)?;
        let receipt = Receipt { issuer, to, time, log, items };
        let covered = usize::try_from(count)
            .is_ok_and(|n| n == receipt.items.len() && n <= RECEIPT_ITEMS_MAX)
            && merkle::root(&receipt.item_hashes()) == items_root
            && receipt.items.iter().all(|i| i.leaf < receipt.log.size());
        if covered { Ok(Self { receipt, note: note.to_owned() }) } else { Err(ReceiptError::WrongItems) }
    }

    /// Verifies the signature under one of the issuer's node keys; returns the key that fits.
    ///
    /// # Errors
    /// [`ReceiptError::WrongSignature`] when none fits.
    pub fn verify<'a>(&self, issuer: &'a Identity) -> Result<&'a PublicKey, ReceiptError> {
        let note = Note::parse(self.note.as_bytes()).map_err(|e| ReceiptError::Note(e.to_string()))?;
        signing_key(&note, &self.receipt.issuer, issuer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SoftwareKey;

    fn receipt() -> Receipt {
        let item = |n: u8| ReceiptItem { kind: ItemKind::Entry, hash: Hash::of(&[n]), leaf: u64::from(n) };
        Receipt {
            issuer: "did:web:meti.example".parse().unwrap(),
            to: "did:web:motie.example".parse().unwrap(),
            time: Timestamp::from_millis(1_561_942_800_000),
            log: Checkpoint::new("did:web:meti.example/log/1", 9, Hash::of(b"root")).unwrap(),
            items: (0..5).map(item).collect(),
        }
    }

    #[test]
    fn a_receipt_reads_back_as_it_was_signed() {
        let signed = receipt().sign(&SoftwareKey::from_seed(&[7; 32])).unwrap();
        assert_eq!(SignedReceipt::parse(&signed.note, receipt().items), Ok(signed));
    }

    #[test]
    fn a_receipt_does_not_cover_other_items() {
        let signed = receipt().sign(&SoftwareKey::from_seed(&[7; 32])).unwrap();
        let mut items = receipt().items;
        items.swap(0, 1);
        assert_eq!(SignedReceipt::parse(&signed.note, items), Err(ReceiptError::WrongItems));
        let mut items = receipt().items;
        items.pop();
        assert_eq!(SignedReceipt::parse(&signed.note, items), Err(ReceiptError::WrongItems));
    }

    #[test]
    fn one_item_is_proved_without_the_others() {
        let signed = receipt().sign(&SoftwareKey::from_seed(&[7; 32])).unwrap();
        let head = ReceiptHead::parse(&signed.note).unwrap();
        assert_eq!((head.count, &head.issuer), (5, &receipt().issuer));
        let hashes = receipt().item_hashes();
        for (index, item) in receipt().items.iter().enumerate() {
            let index = index as u64;
            let proof = merkle::inclusion_proof(&hashes, index).unwrap();
            assert_eq!(head.covers(item, index, &proof), Ok(()));
            assert_eq!(head.covers(item, (index + 1) % 5, &proof), Err(ReceiptError::WrongItems));
            let other = ReceiptItem { leaf: item.leaf + 1, ..*item };
            assert_eq!(head.covers(&other, index, &proof), Err(ReceiptError::WrongItems));
        }
    }

    #[test]
    fn a_receipt_has_six_lines_and_nothing_else() {
        let name = key_name(&receipt().issuer).unwrap();
        let text = format!("{}\nmore\n", receipt().text());
        let note = Note::sign(&text, &name, &SoftwareKey::from_seed(&[7; 32])).unwrap().to_string();
        assert!(matches!(ReceiptHead::parse(&note), Err(ReceiptError::Malformed(_))));
    }
}
