//! The engine: this node's state in memory and the rules that change it.
//!
//! * `command` — what a desk asks for,
//! * `accept` — what arrives from a peer,
//! * `brief` — cards, checkpoints, receipts and gossip exchanged beside entries,
//! * `deliver` — what to send, when, and what became of it,
//! * `membership` — who takes part in a dialogue.
//!
//! If making the collected changes durable fails, the engine in memory is ahead of the store; the
//! caller throws it away and builds a new one from the store.

mod accept;
mod brief;
mod command;
mod deliver;
mod membership;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hiwar_trust::checkpoint::Checkpoint;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::{Identity, IdentityError, SignedCard};
use hiwar_trust::key::{KeyHolder, KeyId};
use hiwar_trust::merkle::{self, HashReader, ReadError};
use hiwar_trust::tiles::{LogTail, TailReader, TileIndex};
use hiwar_trust::time::Timestamp;

pub use command::{Command, CommandError, Draft};
pub use deliver::{PeerStatus, Plan, PushPlan};

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
}

pub(crate) struct Peer {
    pub(crate) record: PeerRecord,
    pub(crate) identity: Arc<Identity>,
    pub(crate) verified: Option<Checkpoint>,
    pub(crate) backlog: u64,
    pub(crate) cursor: Seq,
    pub(crate) revisit: Option<Timestamp>,
    pub(crate) attempts: u32,
    pub(crate) next_attempt: Timestamp,
    pub(crate) in_flight: Option<deliver::InFlight>,
    pub(crate) last_exchange: Timestamp,
    pub(crate) compare_due: Timestamp,
    pub(crate) cosigned: Option<String>,
    /// Entries to ask it for, and how often that was done.
    pub(crate) wanted: BTreeMap<EntryId, u32>,
    pub(crate) gossiped: BTreeMap<Did, u64>,
    /// Checkpoints of this peer's log that a third party was shown, by size.
    pub(crate) challenges: BTreeMap<u64, (Hash, String)>,
    /// Sizes of our log that this peer asks us to prove.
    pub(crate) owed_answers: BTreeSet<u64>,
}

/// How often an entry is asked for before it is only asked for when heads are compared.
const WANTED_ASKED_MAX: u32 = 4;

impl Peer {
    /// Entries to ask this peer for now.
    fn ask_for_wanted(&mut self, all: bool) -> Vec<EntryId> {
        self.wanted
            .iter_mut()
            .filter(|(_, asked)| all || **asked < WANTED_ASKED_MAX)
            .take(limits::FETCH_IDS_MAX)
            .map(|(id, asked)| {
                *asked = asked.saturating_add(1);
                *id
            })
            .collect()
    }

    fn has_wanted(&self) -> bool {
        self.wanted.values().any(|asked| *asked < WANTED_ASKED_MAX)
    }
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
    changes: Vec<Change>,
    dirty_peers: BTreeSet<Did>,
    dirty_dialogues: BTreeSet<DialogueId>,
    dirty_own: bool,
    directory: Option<Arc<KeyDirectory>>,
}

/// Reads complete tiles of one log from a view.
pub(crate) struct StoredTiles<'a> {
    pub(crate) view: &'a dyn View,
    pub(crate) log: LogNumber,
    /// Decided but not yet applied to the store.
    pub(crate) changes: &'a [Change],
}

impl HashReader for StoredTiles<'_> {
    fn read_tile(&self, tile: TileIndex) -> Result<std::borrow::Cow<'_, [Hash]>, ReadError> {
        let fresh = self.changes.iter().rev().find_map(|change| match change {
            Change::Tile { log, level, index, hashes }
                if *log == self.log && *level == tile.level() && *index == tile.index() =>
            {
                Some(hashes)
            }
            _ => None,
        });
        if let Some(hashes) = fresh {
            return Ok(std::borrow::Cow::Borrowed(hashes));
        }
        match self.view.tile(self.log, tile.level(), tile.index()) {
            Ok(Some(hashes)) => Ok(std::borrow::Cow::Owned(hashes)),
            Ok(None) => Err(ReadError::Missing { tile }),
            Err(error) => Err(ReadError::Storage { tile, reason: error.to_string() }),
        }
    }
}

/// Rebuilds the right edge of a stored log: leaves after the last full tile, and above them the
/// roots of full tiles that no higher tile holds yet.
///
/// # Errors
/// When a leaf or tile is missing.
pub fn restore_tail(view: &dyn View, log: LogNumber, size: u64) -> Result<LogTail, EngineError> {
    let reader = |tile: TileIndex| -> Result<Vec<Hash>, ReadError> {
        let failed = |e: StoreError| ReadError::Storage { tile, reason: e.to_string() };
        let first = tile.index() * u64::from(TileIndex::FULL_WIDTH);
        if tile.level() == 0 {
            let leaves = view.leaves(log, first, usize::from(tile.width())).map_err(failed)?;
            return Ok(leaves.iter().map(|data| merkle::leaf_hash(data.as_bytes())).collect());
        }
        let mut hashes = Vec::with_capacity(usize::from(tile.width()));
        for index in first..first + u64::from(tile.width()) {
            let below = view.tile(log, tile.level() - 1, index).map_err(failed)?;
            hashes.push(merkle::root(&below.ok_or(ReadError::Missing { tile })?));
        }
        Ok(hashes)
    };
    Ok(LogTail::restore(size, &reader)?)
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
        let log = restore_tail(view, own.log, snapshot.log_size)?;
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
            changes: Vec::new(),
            dirty_peers: BTreeSet::new(),
            dirty_dialogues: BTreeSet::new(),
            dirty_own: false,
            directory: None,
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
        let verified = record.verified.as_deref().and_then(brief::read_checkpoint);
        let peer = Peer {
            cursor: record.settled_through,
            identity,
            verified,
            backlog,
            revisit: None,
            attempts: 0,
            next_attempt: now,
            in_flight: None,
            last_exchange: Timestamp::MIN,
            compare_due: now,
            cosigned: None,
            wanted: BTreeMap::new(),
            gossiped: BTreeMap::new(),
            challenges: BTreeMap::new(),
            owed_answers: BTreeSet::new(),
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

    /// Adds a peer from its verified cards, or brings a known one up to date. The caller has had a
    /// person confirm the fingerprint.
    ///
    /// # Errors
    /// When the cards contradict those already held, or name this node.
    pub fn add_peer(&mut self, identity: Identity, now: Timestamp) -> Result<(), EngineError> {
        let did = identity.did().clone();
        if did == *self.did() {
            return Err(EngineError::Peer {
                did,
                problem: "is this node itself; a node is no peer of its own",
            });
        }
        if self.has_node_key_of_another(&identity) {
            return Err(EngineError::Peer {
                did,
                problem: "names a node key that belongs to another; ask its operator",
            });
        }
        if let Some(peer) = self.peers.get_mut(&did) {
            let mut known = Identity::clone(&peer.identity);
            for card in identity.cards() {
                known.extend(card.clone())?;
            }
            peer.record.cards = known.cards().to_vec();
            peer.identity = Arc::new(known);
            if peer.record.standing == Standing::Retired {
                peer.record.standing = Standing::Active;
            }
            peer.compare_due = now;
        } else {
            let record = PeerRecord {
                did: did.clone(),
                cards: identity.cards().to_vec(),
                standing: Standing::Active,
                verified: None,
                witnessed: None,
                knows_card: None,
                knows_size: 0,
                knows_log: self.log_number,
                settled_through: self.next_seq - 1,
                down_since: None,
                down_alarmed: false,
                clock_skew_ms: None,
                owed_attachments: BTreeMap::new(),
                shown_in_batch: 0,
            };
            self.load_peer(record, 0, now)?;
        }
        self.append_leaf(&format!("card {}", identity.latest_hash()));
        self.directory = None;
        self.dirty_peers.insert(did);
        Ok(())
    }

    /// Whether a participant names a node key that this node or another peer has: requests signed
    /// with that key would then be taken for the wrong one's.
    fn has_node_key_of_another(&self, identity: &Identity) -> bool {
        let key = &identity.latest().node_key;
        let others = self.peers.values().map(|p| &p.identity).filter(|i| i.did() != identity.did());
        others.chain([&self.own]).any(|other| other.node_keys().any(|k| k == key))
    }

    /// Stops dealing with a peer; what it said stays.
    ///
    /// # Errors
    /// When the peer is unknown.
    pub fn retire_peer(&mut self, did: &Did) -> Result<(), EngineError> {
        self.peer_mut(did)?.record.standing = Standing::Retired;
        self.dirty_peers.insert(did.clone());
        Ok(())
    }

    /// An operator's decision to trust a peer's log again after an alarm. What is verified of it
    /// starts anew; the alarm and its evidence stay.
    ///
    /// # Errors
    /// When the peer is unknown.
    pub fn trust_again(&mut self, did: &Did, now: Timestamp) -> Result<(), EngineError> {
        let peer = self.peer_mut(did)?;
        peer.record.standing = Standing::Active;
        peer.record.verified = None;
        peer.record.shown_in_batch = 0;
        peer.verified = None;
        peer.challenges.clear();
        peer.next_attempt = now;
        self.dirty_peers.insert(did.clone());
        Ok(())
    }

    /// Takes over this node's next card: a rotated key, another address, or a log that continues
    /// after a restore.
    ///
    /// # Errors
    /// When the card does not follow from the newest one or `keys` do not fit it.
    pub fn adopt_card(&mut self, card: SignedCard, keys: Keys) -> Result<(), EngineError> {
        let mut own = Identity::clone(&self.own);
        let origin_before = own.latest().log_origin.clone();
        own.extend(card)?;
        if own.latest().organisation_key != *keys.organisation.public_key() {
            return Err(EngineError::WrongKey { which: "organisation" });
        }
        if own.latest().node_key != *keys.node.public_key() {
            return Err(EngineError::WrongKey { which: "node" });
        }
        if own.latest().log_origin != origin_before {
            self.log_number += 1;
            self.log = LogTail::new();
            self.halted = None;
            let dids: Vec<Did> = self.peers.keys().cloned().collect();
            for did in dids {
                if let Some(peer) = self.peers.get_mut(&did) {
                    peer.record.knows_size = 0;
                    peer.record.knows_log = self.log_number;
                    peer.compare_due = Timestamp::MIN;
                }
                self.dirty_peers.insert(did);
            }
        }
        self.own_key = own.latest().organisation_key.id();
        self.own = Arc::new(own);
        self.keys = keys;
        self.directory = None;
        self.dirty_own = true;
        self.append_leaf(&format!("card {}", self.own.latest_hash()));
        Ok(())
    }

    fn peer_mut(&mut self, did: &Did) -> Result<&mut Peer, EngineError> {
        self.peers.get_mut(did).ok_or_else(|| EngineError::Peer {
            did: did.clone(),
            problem: "is no peer of this node; add its invitation",
        })
    }

    fn append_leaf(&mut self, data: &str) -> u64 {
        let appended = self.log.append(merkle::leaf_hash(data.as_bytes()));
        self.changes.push(Change::Leaf {
            log: self.log_number,
            index: appended.index,
            data: data.to_owned(),
        });
        for full in appended.full_tiles {
            self.changes.push(Change::Tile {
                log: self.log_number,
                level: full.tile.level(),
                index: full.tile.index(),
                hashes: full.hashes,
            });
        }
        appended.index
    }

    fn raise(&mut self, alarm: Alarm) {
        if let Ok(bytes) = serde_json::to_vec(&alarm) {
            self.append_leaf(&format!("alarm {}", Hash::of(&bytes)));
        }
        self.changes.push(Change::Alarm(Box::new(alarm)));
    }

    fn distrust(&mut self, did: &Did, alarm: Alarm) {
        if let Some(peer) = self.peers.get_mut(did) {
            let already = matches!(peer.record.standing, Standing::Distrusted { .. });
            peer.record.standing = Standing::Distrusted { code: alarm.code.clone() };
            peer.in_flight = None;
            self.dirty_peers.insert(did.clone());
            if already {
                return;
            }
        }
        self.raise(alarm);
    }

    /// A file arrived complete and verified; its author is owed a receipt.
    ///
    /// # Errors
    /// When the store fails.
    pub fn attachment_stored(
        &mut self,
        view: &dyn View,
        sha256: Hash,
        authors: &[Did],
    ) -> Result<(), EngineError> {
        let leaf = match view.attachment(&sha256)? {
            Some(leaf) => leaf,
            None => {
                let leaf = self.append_leaf(&format!("attachment {sha256}"));
                self.changes.push(Change::AttachmentStored { sha256, leaf });
                leaf
            }
        };
        for did in authors {
            if let Some(peer) = self.peers.get_mut(did) {
                peer.record.owed_attachments.insert(sha256, leaf);
                self.dirty_peers.insert(did.clone());
            }
        }
        Ok(())
    }

    /// A consistency proof of this node's log between two sizes.
    fn consistency(&self, view: &dyn View, from: u64, to: u64) -> Result<Vec<Hash>, EngineError> {
        let stored = StoredTiles { view, log: self.log_number, changes: &self.changes };
        let reader = TailReader { tail: &self.log, stored: &stored };
        Ok(merkle::consistency_proof_from(&reader, from, to)?)
    }

    /// One tile of this node's log.
    ///
    /// # Errors
    /// When the log has not reached it.
    pub fn tile(&self, view: &dyn View, tile: TileIndex) -> Result<Vec<Hash>, EngineError> {
        let stored = StoredTiles { view, log: self.log_number, changes: &self.changes };
        let reader = TailReader { tail: &self.log, stored: &stored };
        Ok(reader.read_tile(tile)?.into_owned())
    }
}
