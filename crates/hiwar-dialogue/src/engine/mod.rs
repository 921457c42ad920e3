//! The engine: this node's state in memory and the rules that change it.
//!
//! * `command` — what a desk asks for,
//! * `accept` — what arrives from a peer,
//! * `receipts` — proofs of what is held, given and taken,
//! * `brief` — what is exchanged beside entries: cards, checkpoints, receipts, gaps,
//! * `witness` — other nodes' logs: what they prove, and what contradicts it,
//! * `backfill` — gaps: who lacks what, and who may have it,
//! * `deliver` — what to send, when, and what became of it,
//! * `membership` — who takes part in a dialogue,
//! * `operator` — peers, keys and files,
//! * `log` — this node's own log.
//!
//! If making the collected changes durable fails, the engine in memory is ahead of the store; the
//! caller throws it away and builds a new one from the store.

mod accept;
mod backfill;
mod brief;
mod command;
mod deliver;
mod log;
mod membership;
mod operator;
mod receipts;
mod witness;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use hiwar_trust::checkpoint::Checkpoint;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::{Identity, IdentityError, SignedCard};
use hiwar_trust::key::{KeyHolder, KeyId};
use hiwar_trust::merkle::ReadError;
use hiwar_trust::tiles::LogTail;
use hiwar_trust::time::Timestamp;

pub use command::{Command, CommandError, Draft};
pub use deliver::{PeerStatus, Plan, PushPlan};
pub(crate) use log::StoredTiles;
pub use log::restore_tail;

use crate::entry::{DialogueId, EntryId};
use crate::ledger::{
    Alarm, Change, DialogueRecord, LogNumber, OwnRecord, PeerRecord, Seq, Snapshot, Standing, StoreError,
    View,
};
use crate::limits;
use crate::wire::KeyDirectory;

/// Times and sizes that an operator may set.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Most entries in one batch.
    pub batch_entries: usize,
    /// About the most bytes in one batch.
    pub batch_bytes: usize,
    /// Wait after the first failed delivery.
    pub retry_first_ms: i64,
    /// Longest wait between two attempts.
    pub retry_max_ms: i64,
    /// A peer that stays unreachable this long raises an alarm.
    pub unreachable_alarm_ms: i64,
    /// A peer that stays unreachable this long is given up: what waits for it expires.
    pub give_up_ms: i64,
    /// How long a grown log may wait to be witnessed when there is nothing else to send.
    pub witness_ms: i64,
    /// How often heads are compared with a peer when nothing else calls for it.
    pub compare_ms: i64,
    /// How long a batch handed to a fetching peer may stay unanswered.
    pub pull_answer_ms: i64,
}

impl EngineConfig {
    /// The values a node starts with.
    pub fn standard() -> Self {
        Self {
            batch_entries: 512,
            batch_bytes: 2 * 1024 * 1024,
            retry_first_ms: 250,
            retry_max_ms: 60_000,
            unreachable_alarm_ms: 3_600_000,
            give_up_ms: 30 * 24 * 3_600_000,
            witness_ms: 1_000,
            compare_ms: 600_000,
            pull_answer_ms: 60_000,
        }
    }
}

/// The keys the engine signs with.
#[derive(Clone)]
pub struct Keys {
    /// Signs entries and cards.
    pub organisation: Arc<dyn KeyHolder>,
    /// Signs receipts and checkpoints.
    pub node: Arc<dyn KeyHolder>,
}

/// Why the engine cannot run or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store has no identity yet.
    #[error("the store has no identity; run `hiwar init` first")]
    NoIdentity,
    /// The keys do not belong to the identity in the store.
    #[error("the {which} key does not belong to the newest card; put the right key file back")]
    WrongKey {
        /// Which key.
        which: &'static str,
    },
    /// A card is wrong.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The log could not be read.
    #[error("the log could not be read: {0}")]
    Log(#[from] ReadError),
    /// Something could not be signed or written.
    #[error("{what} could not be made: {why}")]
    Making {
        /// What.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// The peer is unknown, retired or not trusted.
    #[error("{did} {problem}")]
    Peer {
        /// The peer.
        did: Did,
        /// The problem.
        problem: &'static str,
    },
    /// The node must not act until an operator decides.
    #[error("this node has halted: {0}")]
    Halted(String),
    /// A batch for another node, or from another than the one who brought it.
    #[error(transparent)]
    Wire(#[from] crate::wire::WireError),
}

pub(crate) struct Peer {
    pub(crate) record: PeerRecord,
    pub(crate) identity: Arc<Identity>,
    pub(crate) verified: Option<Checkpoint>,
    pub(crate) backlog: u64,
    /// Everything up to here was sent or is to be looked at again later.
    pub(crate) cursor: Seq,
    /// The lowest position queued since the last batch was made.
    pub(crate) queued_from: Option<Seq>,
    pub(crate) revisit: Option<Timestamp>,
    pub(crate) attempts: u32,
    pub(crate) next_attempt: Timestamp,
    /// Batches handed out and not yet answered: one, and at times the one to follow it.
    pub(crate) flights: VecDeque<deliver::InFlight>,
    pub(crate) last_exchange: Timestamp,
    pub(crate) compare_due: Timestamp,
    pub(crate) cosigned: Option<String>,
    /// Entries to ask it for, and how often that was done.
    pub(crate) wanted: BTreeMap<EntryId, u32>,
    pub(crate) gossiped: BTreeMap<Did, u64>,
    /// Checkpoints of this peer's log that a third party was shown, by size.
    pub(crate) challenges: BTreeMap<u64, witness::Challenge>,
    /// Sizes of our log that this peer asks us to prove.
    pub(crate) owed_answers: BTreeSet<u64>,
    /// How often in a row something was left to send again.
    pub(crate) revisits: u32,
    /// The receipt for the files owed to it, until they change.
    pub(crate) file_receipt: Option<receipts::FileReceipt>,
    /// The last receipt for files that it gave; it may come more than once.
    pub(crate) file_receipt_taken: Option<Hash>,
}

/// How often something is asked for before it is only asked for when heads are compared.
const ASKED_MAX: u32 = 4;

impl Peer {
    /// Entries to ask this peer for now.
    fn ask_for_wanted(&mut self, all: bool) -> Vec<EntryId> {
        self.wanted
            .iter_mut()
            .filter(|(_, asked)| all || **asked < ASKED_MAX)
            .take(limits::FETCH_IDS_MAX)
            .map(|(id, asked)| {
                *asked = asked.saturating_add(1);
                *id
            })
            .collect()
    }

    fn has_wanted(&self) -> bool {
        self.wanted.values().any(|asked| *asked < ASKED_MAX)
    }
}

/// What was decided since the changes were last taken; the view does not show it yet.
#[derive(Default)]
struct Fresh {
    entries: BTreeMap<EntryId, Seq>,
    settled: BTreeMap<Did, BTreeSet<Seq>>,
}

/// The decisions of one node.
pub struct Engine {
    config: EngineConfig,
    keys: Keys,
    own: Arc<Identity>,
    own_key: KeyId,
    halted: Option<String>,
    log: LogTail,
    log_number: LogNumber,
    peers: BTreeMap<Did, Peer>,
    dialogues: BTreeMap<DialogueId, DialogueRecord>,
    membership_index: BTreeMap<EntryId, DialogueId>,
    next_seq: Seq,
    next_receipt: u64,
    next_token: u64,
    changes: Vec<Change>,
    fresh: Fresh,
    dirty_peers: BTreeSet<Did>,
    dirty_dialogues: BTreeSet<DialogueId>,
    dirty_own: bool,
    directory: Option<Arc<KeyDirectory>>,
    /// With whom each participant shares a dialogue.
    circles: BTreeMap<Did, BTreeSet<Did>>,
    /// Who speaks under memberships that are not held yet.
    vouchers: BTreeMap<EntryId, BTreeSet<Did>>,
}

impl Engine {
    /// The record and changes that give a new store its identity.
    ///
    /// # Errors
    /// When the card is no valid first card.
    pub fn found(card: SignedCard) -> Result<Vec<Change>, EngineError> {
        let identity = Identity::verify(vec![card.clone()])?;
        let data = format!("card {}", identity.latest_hash());
        Ok(vec![
            Change::Own(Box::new(OwnRecord { cards: vec![card], log: 1, halted: None })),
            Change::Leaf { log: 1, index: 0, data },
        ])
    }

    /// Builds the engine from a store's snapshot.
    ///
    /// # Errors
    /// When the store is damaged or the keys do not fit.
    pub fn load(
        config: EngineConfig,
        keys: Keys,
        snapshot: Snapshot,
        view: &dyn View,
        now: Timestamp,
    ) -> Result<Self, EngineError> {
        let own = snapshot.own.ok_or(EngineError::NoIdentity)?;
        let identity = Identity::verify(own.cards)?;
        if identity.latest().organisation_key != *keys.organisation.public_key() {
            return Err(EngineError::WrongKey { which: "organisation" });
        }
        if identity.latest().node_key != *keys.node.public_key() {
            return Err(EngineError::WrongKey { which: "node" });
        }
        let log = log::restore_tail(view, own.log, snapshot.log_size)?;
        let mut engine = Self {
            config,
            keys,
            own_key: identity.latest().organisation_key.id(),
            own: Arc::new(identity),
            halted: own.halted,
            log,
            log_number: own.log,
            peers: BTreeMap::new(),
            dialogues: BTreeMap::new(),
            membership_index: BTreeMap::new(),
            next_seq: snapshot.last_seq + 1,
            next_receipt: snapshot.last_receipt + 1,
            // A token of an earlier life of this node names no batch of this one.
            next_token: now.as_millis().unsigned_abs() << 20,
            changes: Vec::new(),
            fresh: Fresh::default(),
            dirty_peers: BTreeSet::new(),
            dirty_dialogues: BTreeSet::new(),
            dirty_own: false,
            directory: None,
            circles: BTreeMap::new(),
            vouchers: BTreeMap::new(),
        };
        for record in snapshot.peers {
            let backlog = snapshot.backlog.get(&record.did).copied().unwrap_or(0);
            engine.load_peer(record, backlog, now)?;
        }
        for record in snapshot.dialogues {
            engine.load_dialogue(record);
        }
        Ok(engine)
    }

    fn load_peer(&mut self, record: PeerRecord, backlog: u64, now: Timestamp) -> Result<(), EngineError> {
        let identity = Arc::new(Identity::verify(record.cards.clone())?);
        let origin = &identity.latest().log_origin;
        let verified = record.verified.as_deref().and_then(witness::read_checkpoint);
        let verified = verified.filter(|checkpoint| checkpoint.origin() == origin);
        let peer = Peer {
            cursor: record.settled_through,
            queued_from: None,
            identity,
            verified,
            backlog,
            revisit: None,
            attempts: 0,
            next_attempt: now,
            flights: VecDeque::new(),
            last_exchange: Timestamp::MIN,
            compare_due: now,
            cosigned: None,
            wanted: BTreeMap::new(),
            gossiped: BTreeMap::new(),
            challenges: BTreeMap::new(),
            owed_answers: BTreeSet::new(),
            revisits: 0,
            file_receipt: None,
            file_receipt_taken: None,
            record,
        };
        self.peers.insert(peer.record.did.clone(), peer);
        Ok(())
    }

    fn load_dialogue(&mut self, record: DialogueRecord) {
        for state in &record.memberships {
            self.membership_index.insert(state.entry, record.id);
        }
        for (missing, source) in &record.missing {
            if let Some(peer) = self.peers.get_mut(source) {
                peer.wanted.insert(*missing, 0);
            }
        }
        self.widen_circles(&record.everyone());
        self.dialogues.insert(record.id, record);
    }

    /// This node's participant.
    pub fn did(&self) -> &Did {
        self.own.did()
    }

    /// This node's cards.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.own
    }

    /// Why the node must not act, if it must not.
    pub fn halted(&self) -> Option<&str> {
        self.halted.as_deref()
    }

    /// The state of this node's log.
    ///
    /// # Errors
    /// When the origin in this node's card cannot stand in a checkpoint.
    pub fn checkpoint(&self) -> Result<Checkpoint, EngineError> {
        Checkpoint::new(&self.own.latest().log_origin, self.log.size(), self.log.root())
            .map_err(|e| EngineError::Making { what: "a checkpoint", why: e.to_string() })
    }

    /// The log this node writes to, and its right edge.
    pub fn log(&self) -> (LogNumber, &LogTail) {
        (self.log_number, &self.log)
    }

    /// All dialogues.
    pub fn dialogues(&self) -> impl Iterator<Item = &DialogueRecord> {
        self.dialogues.values()
    }

    /// One dialogue.
    pub fn dialogue(&self, id: &DialogueId) -> Option<&DialogueRecord> {
        self.dialogues.get(id)
    }

    /// All peers.
    pub fn peers(&self) -> impl Iterator<Item = &PeerRecord> {
        self.peers.values().map(|p| &p.record)
    }

    /// One peer's cards, when it is known.
    pub fn peer_identity(&self, did: &Did) -> Option<&Arc<Identity>> {
        self.peers.get(did).map(|p| &p.identity)
    }

    /// The keys of all peers and of this node, for the threads that verify.
    pub fn directory(&mut self) -> Arc<KeyDirectory> {
        if let Some(directory) = &self.directory {
            return directory.clone();
        }
        let mut directory = KeyDirectory::default();
        directory.insert(self.own.clone());
        for peer in self.peers.values() {
            directory.insert(peer.identity.clone());
        }
        let directory = Arc::new(directory);
        self.directory = Some(directory.clone());
        directory
    }

    /// The changes decided since the last call, to be made durable together.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let mut changes = std::mem::take(&mut self.changes);
        self.fresh = Fresh::default();
        for id in std::mem::take(&mut self.dirty_dialogues) {
            if let Some(record) = self.dialogues.get(&id) {
                changes.push(Change::Dialogue(Box::new(record.clone())));
            }
        }
        for did in std::mem::take(&mut self.dirty_peers) {
            if let Some(peer) = self.peers.get(&did) {
                changes.push(Change::Peer(Box::new(peer.record.clone())));
            }
        }
        if std::mem::take(&mut self.dirty_own) {
            changes.push(Change::Own(Box::new(OwnRecord {
                cards: self.own.cards().to_vec(),
                log: self.log_number,
                halted: self.halted.clone(),
            })));
        }
        changes
    }

    fn peer_mut(&mut self, did: &Did) -> Result<&mut Peer, EngineError> {
        self.peers.get_mut(did).ok_or_else(|| EngineError::Peer {
            did: did.clone(),
            problem: "is no peer of this node; add its invitation",
        })
    }

    fn raise(&mut self, alarm: Alarm) {
        if let Ok(bytes) = serde_json::to_vec(&alarm) {
            self.append_leaf(&format!("alarm {}", Hash::of(&bytes)));
        }
        self.changes.push(Change::Alarm(Box::new(alarm)));
    }

    fn distrust(&mut self, did: &Did, alarm: Alarm) {
        if let Some(peer) = self.peers.get_mut(did) {
            if let Standing::Distrusted { code } = &peer.record.standing
                && (*code != "rollback" || alarm.code == "rollback")
            {
                // A rollback may turn out to be a fork; what is proved a fork stays one.
                return;
            }
            peer.record.standing = Standing::Distrusted { code: alarm.code.clone() };
            peer.flights.clear();
            self.dirty_peers.insert(did.clone());
        }
        self.raise(alarm);
    }
}
