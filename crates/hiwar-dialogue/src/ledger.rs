//! What the engine asks of a store and what it tells a store to change.
//!
//! The engine decides; a store only keeps. Every decision yields a list of [`Change`]s which a
//! store applies in one transaction, and whatever left the node because of them leaves only after
//! that transaction is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::SignedCard;
use hiwar_trust::key::{KeyId, Signature};
use hiwar_trust::receipt::SignedReceipt;
use hiwar_trust::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::entry::{DialogueId, EntryId, Membership, SignedEntry};

/// Position of an entry in this node's store, from 1, in order of arrival.
pub type Seq = u64;

/// Which of the node's logs a leaf or tile belongs to: 1, and one more after every restore.
pub type LogNumber = u32;

/// Why a store could not answer or keep something.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk has no room. Nothing was changed.
    #[error("the disk is full; nothing was changed; free some room and repeat: {0}")]
    Full(String),
    /// The stored data contradict themselves.
    #[error("the store is damaged: {0}; stop the node and run `hiwar log check`")]
    Damaged(String),
    /// Anything else.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// An entry as a store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its position in the store.
    pub seq: Seq,
    /// Its identifier.
    pub id: EntryId,
    /// The dialogue it belongs to.
    pub dialogue: DialogueId,
    /// Canonical content.
    pub content: Arc<[u8]>,
    /// The key that signed.
    pub key: KeyId,
    /// The signature.
    pub signature: Signature,
    /// The log its leaf is in.
    pub log: LogNumber,
    /// Its leaf in that log.
    pub leaf: u64,
    /// The peer it came from; absent when it was made here.
    pub via: Option<Did>,
    /// When it was stored, by this node's clock.
    pub received: Timestamp,
    /// The receipt this node issued for it.
    pub receipt: Option<u64>,
}

/// What became of an entry on its way to a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Delivery {
    /// Not yet receipted.
    Pending,
    /// The peer's node proved that it holds the entry.
    Receipted {
        /// The receipt's number in this store.
        receipt: u64,
    },
    /// The peer's node refused it for good.
    Refused {
        /// Stable code of the reason.
        code: String,
        /// The reason in words.
        detail: String,
    },
    /// The peer stayed unreachable until the node gave up.
    Expired,
}

/// A receipt's direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// This node signed it.
    Issued,
    /// A peer signed it.
    Received,
}

/// One change to the store.
#[derive(Clone, Debug)]
pub enum Change {
    /// Keep a new entry.
    Entry(Box<StoredEntry>),
    /// Note which receipt was issued for an entry that had none.
    EntryReceipt {
        /// The entry.
        seq: Seq,
        /// The receipt.
        receipt: u64,
    },
    /// Append a leaf to the log.
    Leaf {
        /// The log.
        log: LogNumber,
        /// The leaf's index.
        index: u64,
        /// The leaf's data.
        data: String,
    },
    /// Keep a complete tile of the log.
    Tile {
        /// The log.
        log: LogNumber,
        /// Tile level.
        level: u8,
        /// Tile index in its level.
        index: u64,
        /// Its 256 hashes.
        hashes: Vec<Hash>,
    },
    /// An entry is to go to a peer.
    Queue {
        /// The peer.
        peer: Did,
        /// The entry.
        seq: Seq,
    },
    /// What became of an entry on its way to a peer.
    Delivered {
        /// The peer.
        peer: Did,
        /// The entry.
        seq: Seq,
        /// The outcome.
        delivery: Delivery,
    },
    /// Keep a receipt.
    Receipt {
        /// Its number.
        number: u64,
        /// Its direction.
        direction: Direction,
        /// The peer on the other side.
        peer: Did,
        /// The receipt.
        receipt: Box<SignedReceipt>,
    },
    /// Keep what is known of a peer.
    Peer(Box<PeerRecord>),
    /// Keep the state of a dialogue.
    Dialogue(Box<DialogueRecord>),
    /// Keep this node's own state.
    Own(Box<OwnRecord>),
    /// Raise an alarm.
    Alarm(Box<Alarm>),
    /// Somebody has seen to an alarm; only the first who says so is kept.
    AlarmAcknowledged {
        /// The alarm's number: alarms count from 1, in the order in which they were raised.
        alarm: u64,
        /// Who, when, and what was done.
        acknowledgement: Box<Acknowledgement>,
    },
    /// A file is needed; it may already be here.
    AttachmentWanted {
        /// Digest of the file.
        sha256: Hash,
        /// Its size in bytes.
        size: u64,
        /// The dialogue it belongs to.
        dialogue: DialogueId,
        /// Who announced it; absent when it was announced here.
        author: Option<Did>,
    },
    /// A file is here, complete and verified.
    AttachmentStored {
        /// Digest of the file.
        sha256: Hash,
        /// Its leaf in the log.
        leaf: u64,
    },
    /// A peer proved that it holds a file.
    AttachmentReceipted {
        /// The peer.
        peer: Did,
        /// Digest of the file.
        sha256: Hash,
        /// The receipt.
        receipt: u64,
    },
}

/// Whether a peer is dealt with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "kebab-case")]
pub enum Standing {
    /// Yes.
    #[default]
    Active,
    /// An operator retired it.
    Retired,
    /// Its log or identity contradicts itself; nothing is accepted until an operator decides.
    Distrusted {
        /// Stable code of the reason.
        code: String,
    },
}

/// Persistent knowledge about a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRecord {
    /// The peer.
    pub did: Did,
    /// Its cards, oldest first.
    pub cards: Vec<SignedCard>,
    /// Whether it is dealt with.
    #[serde(flatten)]
    pub standing: Standing,
    /// The newest checkpoint of its log that this node verified, as a signed note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<String>,
    /// The newest checkpoint of this node's log that the peer cosigned, as a signed note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witnessed: Option<String>,
    /// The last such checkpoint of each log of this node that has ended, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub witnessed_before: Vec<String>,
    /// Sequence of the newest own card the peer is known to hold.
    #[serde(default)]
    pub knows_card: Option<u64>,
    /// Size of this node's log that the peer is known to have verified.
    #[serde(default)]
    pub knows_size: u64,
    /// The log that `knows_size` speaks of.
    #[serde(default)]
    pub knows_log: LogNumber,
    /// Every delivery up to this position is settled.
    #[serde(default)]
    pub settled_through: Seq,
    /// Since when it cannot be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down_since: Option<Timestamp>,
    /// Whether the alarm about that was raised.
    #[serde(default)]
    pub down_alarmed: bool,
    /// Its clock minus this node's clock at the last exchange, in milliseconds. Shown, never used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_skew_ms: Option<i64>,
    /// The largest size of its log that it showed in a batch; batches come in order.
    #[serde(default)]
    pub shown_in_batch: u64,
    /// Files whose receipt is still owed to it, with their leaves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub owed_attachments: BTreeMap<Hash, u64>,
}

/// A membership and who has said what about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipState {
    /// The entry that proposes it.
    pub entry: EntryId,
    /// Its author.
    pub author: Did,
    /// The arrangement it stands under.
    pub arrangement: String,
    /// The membership.
    pub membership: Membership,
    /// Who has assented, the author included.
    pub assents: BTreeSet<Did>,
    /// Who has refused.
    pub refusals: BTreeSet<Did>,
    /// The entries that say so, one for each voice: who joins later is given them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub voices: Vec<EntryId>,
    /// Entries that stand under it and that no other entry under it links to. Who takes part in some
    /// memberships only is shown these, since the newest entries of all may not be for it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub heads: BTreeSet<EntryId>,
    /// Entries that an entry under it links to and this node does not hold.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub missing: BTreeSet<EntryId>,
}

/// The state of a dialogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialogueRecord {
    /// The dialogue.
    pub id: DialogueId,
    /// All memberships proposed so far, the opening one first.
    pub memberships: Vec<MembershipState>,
    /// The membership in force.
    pub current: EntryId,
    /// Entries nobody has linked to yet.
    pub heads: BTreeSet<EntryId>,
    /// Entries that others link to and this node does not hold, with who linked to them.
    pub missing: BTreeMap<EntryId, Did>,
    /// How many entries are held.
    pub entries: u64,
    /// When the newest one was stored.
    pub updated: Timestamp,
}

/// This node's own state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnRecord {
    /// Its cards, oldest first.
    pub cards: Vec<SignedCard>,
    /// The log it writes to.
    pub log: LogNumber,
    /// Why the node must not act, if it must not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<String>,
}

/// Something an operator must see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// When it was raised.
    pub time: Timestamp,
    /// Stable code, such as `fork`.
    pub code: String,
    /// The peer it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Did>,
    /// What happened and what to do, in words.
    pub detail: String,
    /// Signed notes or cards that prove it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

/// That somebody has seen to an alarm. It is for this node's people only and stands in no log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// When, by this node's clock.
    pub time: Timestamp,
    /// The desk whose token was used; absent when it was the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desk: Option<String>,
    /// What was found and done, in words.
    pub note: String,
}

/// Everything the engine needs to start.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// This node's own state; absent in a new store.
    pub own: Option<OwnRecord>,
    /// All peers.
    pub peers: Vec<PeerRecord>,
    /// All dialogues.
    pub dialogues: Vec<DialogueRecord>,
    /// Number of leaves in the current log.
    pub log_size: u64,
    /// The last entry's position.
    pub last_seq: Seq,
    /// The last receipt's number.
    pub last_receipt: u64,
    /// How many entries wait for each peer.
    pub backlog: BTreeMap<Did, u64>,
}

/// Read access to a store, as of the open transaction.
pub trait View {
    /// The position of an entry.
    ///
    /// # Errors
    /// When the store fails.
    fn find(&self, id: &EntryId) -> Result<Option<Seq>, StoreError>;

    /// An entry by position.
    ///
    /// # Errors
    /// When the store fails.
    fn entry(&self, seq: Seq) -> Result<Option<StoredEntry>, StoreError>;

    /// Entries waiting for `peer` at positions above `after`, oldest first, at most `count_max`
    /// of them and at most about `bytes_max` bytes of content (but at least one).
    ///
    /// # Errors
    /// When the store fails.
    fn queued(
        &self,
        peer: &Did,
        after: Seq,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<StoredEntry>, StoreError>;

    /// What became of an entry on its way to `peer`; absent when it was never meant for it.
    ///
    /// # Errors
    /// When the store fails.
    fn delivery(&self, peer: &Did, seq: Seq) -> Result<Option<Delivery>, StoreError>;

    /// A receipt by number.
    ///
    /// # Errors
    /// When the store fails.
    fn receipt(&self, number: u64) -> Result<Option<(Direction, SignedReceipt)>, StoreError>;

    /// A complete tile of a log.
    ///
    /// # Errors
    /// When the store fails.
    fn tile(&self, log: LogNumber, level: u8, index: u64) -> Result<Option<Vec<Hash>>, StoreError>;

    /// Leaf data of a log from `from` on, at most `count_max`.
    ///
    /// # Errors
    /// When the store fails.
    fn leaves(&self, log: LogNumber, from: u64, count_max: usize) -> Result<Vec<String>, StoreError>;

    /// Whether a complete copy of a file is here, and its leaf.
    ///
    /// # Errors
    /// When the store fails.
    fn attachment(&self, sha256: &Hash) -> Result<Option<u64>, StoreError>;
}

/// A store that one writer drives: apply changes, then commit or roll back all of them.
pub trait Store: View {
    /// Everything the engine needs to start.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn snapshot(&self) -> Result<Snapshot, StoreError>;

    /// Applies changes inside the open transaction, opening one if none is open.
    ///
    /// # Errors
    /// When the store fails; the caller must then roll back.
    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError>;

    /// Makes everything applied since the last commit durable, all of it or nothing.
    ///
    /// # Errors
    /// When the store fails; nothing is then kept.
    fn commit(&mut self) -> Result<(), StoreError>;

    /// Forgets everything applied since the last commit.
    ///
    /// # Errors
    /// When the store fails.
    fn roll_back(&mut self) -> Result<(), StoreError>;
}

impl StoredEntry {
    /// The entry, read again from its bytes.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the bytes are no entry any more.
    pub fn signed(&self) -> Result<SignedEntry, StoreError> {
        let read = SignedEntry::from_parts(&self.content, self.key, self.signature)
            .map_err(|e| StoreError::Damaged(format!("entry {} at position {}: {e}", self.id, self.seq)))?;
        if read.id == self.id {
            Ok(read)
        } else {
            Err(StoreError::Damaged(format!(
                "the bytes of entry {} at position {} have changed",
                self.id, self.seq
            )))
        }
    }
}
