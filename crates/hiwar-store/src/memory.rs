//! A ledger in memory, with the failures of a disk on demand. The simulator and tests use it.
//!
//! It is stricter than a database needs to be: a change that contradicts what is kept (a leaf out
//! of turn, an entry kept twice, a receipt for an entry that is not there) is refused, so that a
//! wrong decision shows where it is made.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use hiwar_dialogue::entry::{DialogueId, EntryId};
use hiwar_dialogue::ledger::{
    Acknowledgement, Alarm, Change, Delivery, DialogueRecord, Direction, LogNumber, OwnRecord, PeerRecord,
    Seq, Snapshot, Store, StoreError, StoredEntry, View,
};
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::receipt::SignedReceipt;

/// A file that an entry announces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WantedFile {
    /// Digest of the file.
    pub sha256: Hash,
    /// The dialogue it belongs to.
    pub dialogue: DialogueId,
    /// Who announced it; absent when it was announced here.
    pub author: Option<Did>,
}

/// A receipt with the side it came from.
#[derive(Clone, Debug)]
pub struct KeptReceipt {
    /// Its direction.
    pub direction: Direction,
    /// The peer on the other side.
    pub peer: Did,
    /// The receipt.
    pub receipt: SignedReceipt,
}

/// What happens to the next commit.
#[derive(Clone, Debug)]
enum Fate {
    /// It fails with this error; nothing is kept.
    Fail(StoreError),
    /// It fails without a word on whether it became durable.
    Torn { durable: bool },
}

#[derive(Clone, Debug, Default)]
struct Tables {
    own: Option<OwnRecord>,
    peers: BTreeMap<Did, PeerRecord>,
    dialogues: BTreeMap<DialogueId, DialogueRecord>,
    entries: BTreeMap<Seq, StoredEntry>,
    positions: BTreeMap<EntryId, Seq>,
    leaves: BTreeMap<LogNumber, Vec<String>>,
    tiles: BTreeMap<(LogNumber, u8, u64), Vec<Hash>>,
    queue: BTreeMap<Did, BTreeSet<Seq>>,
    outcomes: BTreeMap<(Did, Seq), Delivery>,
    receipts: BTreeMap<u64, KeptReceipt>,
    alarms: Vec<Alarm>,
    acknowledgements: BTreeMap<u64, Acknowledgement>,
    files: BTreeMap<Hash, (LogNumber, u64)>,
    wanted: BTreeMap<WantedFile, u64>,
    file_receipts: BTreeMap<(Did, Hash), u64>,
}

/// How to take back one change of the open transaction.
#[derive(Clone, Debug)]
enum Undo {
    Own(Option<OwnRecord>),
    Peer(Did, Option<Box<PeerRecord>>),
    Dialogue(DialogueId, Option<Box<DialogueRecord>>),
    Entry(Seq, EntryId),
    EntryReceipt(Seq, Option<u64>),
    Leaf(LogNumber),
    Tile((LogNumber, u8, u64)),
    Queue { peer: Did, seq: Seq, waited: bool },
    Outcome(Did, Seq, Option<Delivery>),
    Receipt(u64),
    Alarm,
    Acknowledgement(u64),
    File(Hash, Option<(LogNumber, u64)>),
    Wanted(WantedFile),
    FileReceipt(Did, Hash),
}

/// A ledger in memory. What was applied since the last commit can be taken back.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    tables: Tables,
    undo: Vec<Undo>,
    fate: Option<Fate>,
}

fn refused(what: String) -> StoreError {
    StoreError::Failed(what)
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The process dies: everything since the last commit is lost, and so are injected failures.
    pub fn crash(&mut self) {
        self.take_back();
        self.fate = None;
    }

    /// Makes the next commit fail with `error`; nothing of it is kept.
    pub fn fail_next_commit(&mut self, error: StoreError) {
        self.fate = Some(Fate::Fail(error));
    }

    /// Tears the next commit: it reports a failure, but is kept when `durable` says so.
    pub fn tear_next_commit(&mut self, durable: bool) {
        self.fate = Some(Fate::Torn { durable });
    }

    /// A copy of what is durable now, as a backup keeps it.
    #[must_use]
    pub fn backup(&self) -> Self {
        let mut copy = Self { tables: self.tables.clone(), undo: self.undo.clone(), fate: None };
        copy.take_back();
        copy
    }

    /// All entries, in order of arrival.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &StoredEntry> {
        self.tables.entries.values()
    }

    /// Whether an entry is held.
    pub fn holds(&self, id: &EntryId) -> bool {
        self.tables.positions.contains_key(id)
    }

    /// All alarms, oldest first.
    pub fn alarms(&self) -> &[Alarm] {
        &self.tables.alarms
    }

    /// Who has seen to an alarm, if anybody has.
    pub fn acknowledgement(&self, alarm: u64) -> Option<&Acknowledgement> {
        self.tables.acknowledgements.get(&alarm)
    }

    /// All receipts with their numbers.
    pub fn receipts(&self) -> impl Iterator<Item = (u64, &KeptReceipt)> {
        self.tables.receipts.iter().map(|(number, kept)| (*number, kept))
    }

    /// All leaves of a log.
    pub fn all_leaves(&self, log: LogNumber) -> &[String] {
        self.tables.leaves.get(&log).map_or(&[], Vec::as_slice)
    }

    /// The numbers of all logs.
    pub fn logs(&self) -> impl Iterator<Item = LogNumber> {
        self.tables.leaves.keys().copied()
    }

    /// Positions that wait for a peer.
    pub fn waiting(&self, peer: &Did) -> impl Iterator<Item = Seq> {
        self.tables.queue.get(peer).into_iter().flatten().copied()
    }

    /// Files that entries announce, with their sizes.
    pub fn wanted_files(&self) -> impl Iterator<Item = (&WantedFile, u64)> {
        self.tables.wanted.iter().map(|(file, size)| (file, *size))
    }

    /// Files for which a peer has given a receipt.
    pub fn file_receipts(&self) -> impl Iterator<Item = (&Did, &Hash)> {
        self.tables.file_receipts.keys().map(|(did, hash)| (did, hash))
    }

    fn take_back(&mut self) {
        while let Some(undo) = self.undo.pop() {
            self.tables.take_back(undo);
        }
    }

    fn change(&mut self, change: &Change) -> Result<(), StoreError> {
        self.tables.change(change, &mut self.undo)
    }
}

/// Puts `value` under `key`, or takes what is there away.
fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => drop(map.insert(key, value)),
        None => drop(map.remove(&key)),
    }
}

impl Tables {
    fn take_back(&mut self, undo: Undo) {
        match undo {
            Undo::Own(before) => self.own = before,
            Undo::Peer(did, before) => put(&mut self.peers, did, before.map(|b| *b)),
            Undo::Dialogue(id, before) => put(&mut self.dialogues, id, before.map(|b| *b)),
            Undo::Entry(seq, id) => {
                self.entries.remove(&seq);
                self.positions.remove(&id);
            }
            Undo::EntryReceipt(seq, before) => {
                if let Some(entry) = self.entries.get_mut(&seq) {
                    entry.receipt = before;
                }
            }
            Undo::Leaf(log) => {
                let left = self.leaves.get_mut(&log).is_some_and(|leaves| {
                    leaves.pop();
                    !leaves.is_empty()
                });
                if !left {
                    self.leaves.remove(&log);
                }
            }
            Undo::Tile(key) => drop(self.tiles.remove(&key)),
            Undo::Queue { peer, seq, waited } => {
                let queue = self.queue.entry(peer).or_default();
                if waited {
                    queue.insert(seq);
                } else {
                    queue.remove(&seq);
                }
            }
            Undo::Outcome(did, seq, before) => put(&mut self.outcomes, (did, seq), before),
            Undo::Receipt(number) => drop(self.receipts.remove(&number)),
            Undo::Alarm => drop(self.alarms.pop()),
            Undo::Acknowledgement(alarm) => drop(self.acknowledgements.remove(&alarm)),
            Undo::File(hash, before) => put(&mut self.files, hash, before),
            Undo::Wanted(file) => drop(self.wanted.remove(&file)),
            Undo::FileReceipt(did, hash) => drop(self.file_receipts.remove(&(did, hash))),
        }
    }

    fn change(&mut self, change: &Change, undo: &mut Vec<Undo>) -> Result<(), StoreError> {
        match change {
            Change::Entry(entry) => self.add_entry(entry, undo)?,
            Change::EntryReceipt { seq, receipt } => {
                let entry = self.entries.get_mut(seq);
                let entry = entry.ok_or_else(|| refused(format!("there is no entry at position {seq}")))?;
                undo.push(Undo::EntryReceipt(*seq, entry.receipt.replace(*receipt)));
            }
            Change::Leaf { log, index, data } => {
                let leaves = self.leaves.entry(*log).or_default();
                if leaves.len() as u64 != *index {
                    let next = leaves.len();
                    return Err(refused(format!("leaf {index} of log {log} comes where leaf {next} is due")));
                }
                leaves.push(data.clone());
                undo.push(Undo::Leaf(*log));
            }
            Change::Tile { log, level, index, hashes } => {
                let key = (*log, *level, *index);
                if self.tiles.contains_key(&key) {
                    return Err(refused(format!("tile {level}/{index} of log {log} is kept already")));
                }
                self.tiles.insert(key, hashes.clone());
                undo.push(Undo::Tile(key));
            }
            Change::Queue { peer, seq } => self.queue(peer, *seq, undo)?,
            Change::Delivered { peer, seq, delivery: Delivery::Pending } => self.queue(peer, *seq, undo)?,
            Change::Delivered { peer, seq, delivery } => self.delivered(peer, *seq, delivery, undo)?,
            Change::Receipt { number, direction, peer, receipt } => {
                if self.receipts.contains_key(number) {
                    return Err(refused(format!("receipt {number} is kept already")));
                }
                let receipt = SignedReceipt::clone(receipt);
                let kept = KeptReceipt { direction: *direction, peer: peer.clone(), receipt };
                self.receipts.insert(*number, kept);
                undo.push(Undo::Receipt(*number));
            }
            Change::Peer(record) => {
                let before = self.peers.insert(record.did.clone(), PeerRecord::clone(record));
                undo.push(Undo::Peer(record.did.clone(), before.map(Box::new)));
            }
            Change::Dialogue(record) => {
                let before = self.dialogues.insert(record.id, DialogueRecord::clone(record));
                undo.push(Undo::Dialogue(record.id, before.map(Box::new)));
            }
            Change::Own(record) => undo.push(Undo::Own(self.own.replace(OwnRecord::clone(record)))),
            Change::Alarm(alarm) => {
                self.alarms.push(Alarm::clone(alarm));
                undo.push(Undo::Alarm);
            }
            Change::AlarmAcknowledged { alarm, acknowledgement } => {
                self.acknowledge(*alarm, acknowledgement, undo)?;
            }
            Change::AttachmentWanted { sha256, size, dialogue, author } => {
                let file = WantedFile { sha256: *sha256, dialogue: *dialogue, author: author.clone() };
                if !self.wanted.contains_key(&file) {
                    self.wanted.insert(file.clone(), *size);
                    undo.push(Undo::Wanted(file));
                }
            }
            Change::AttachmentStored { sha256, leaf } => {
                let log = self.own.as_ref().map_or(0, |own| own.log);
                undo.push(Undo::File(*sha256, self.files.insert(*sha256, (log, *leaf))));
            }
            Change::AttachmentReceipted { peer, sha256, receipt } => {
                let key = (peer.clone(), *sha256);
                if let Entry::Vacant(place) = self.file_receipts.entry(key) {
                    place.insert(*receipt);
                    undo.push(Undo::FileReceipt(peer.clone(), *sha256));
                }
            }
        }
        Ok(())
    }

    fn acknowledge(
        &mut self,
        alarm: u64,
        acknowledgement: &Acknowledgement,
        undo: &mut Vec<Undo>,
    ) -> Result<(), StoreError> {
        if alarm == 0 || alarm > self.alarms.len() as u64 {
            return Err(refused(format!("there is no alarm {alarm} to be acknowledged")));
        }
        if let Entry::Vacant(place) = self.acknowledgements.entry(alarm) {
            place.insert(acknowledgement.clone());
            undo.push(Undo::Acknowledgement(alarm));
        }
        Ok(())
    }

    fn add_entry(&mut self, entry: &StoredEntry, undo: &mut Vec<Undo>) -> Result<(), StoreError> {
        let (seq, id) = (entry.seq, entry.id);
        let last = self.entries.last_key_value().map_or(0, |(last, _)| *last);
        if seq <= last {
            return Err(refused(format!("position {seq} of entry {id} is not above the last one, {last}")));
        }
        if let Some(held) = self.positions.get(&id) {
            return Err(refused(format!("entry {id} is kept already, at position {held}")));
        }
        self.positions.insert(id, seq);
        self.entries.insert(seq, entry.clone());
        undo.push(Undo::Entry(seq, id));
        Ok(())
    }

    fn must_hold(&self, seq: Seq) -> Result<(), StoreError> {
        match self.entries.contains_key(&seq) {
            true => Ok(()),
            false => Err(refused(format!("there is no entry at position {seq}"))),
        }
    }

    fn queue(&mut self, peer: &Did, seq: Seq, undo: &mut Vec<Undo>) -> Result<(), StoreError> {
        self.must_hold(seq)?;
        if self.queue.entry(peer.clone()).or_default().insert(seq) {
            undo.push(Undo::Queue { peer: peer.clone(), seq, waited: false });
        }
        Ok(())
    }

    fn delivered(
        &mut self,
        peer: &Did,
        seq: Seq,
        delivery: &Delivery,
        undo: &mut Vec<Undo>,
    ) -> Result<(), StoreError> {
        self.must_hold(seq)?;
        if !self.queue.get_mut(peer).is_some_and(|queue| queue.remove(&seq)) {
            return Err(refused(format!("the entry at position {seq} did not wait for {peer}")));
        }
        undo.push(Undo::Queue { peer: peer.clone(), seq, waited: true });
        let before = self.outcomes.insert((peer.clone(), seq), delivery.clone());
        undo.push(Undo::Outcome(peer.clone(), seq, before));
        Ok(())
    }
}

impl Store for MemoryStore {
    fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let tables = &self.tables;
        let log = tables.own.as_ref().map_or(0, |own| own.log);
        Ok(Snapshot {
            own: tables.own.clone(),
            peers: tables.peers.values().cloned().collect(),
            dialogues: tables.dialogues.values().cloned().collect(),
            log_size: self.all_leaves(log).len() as u64,
            last_seq: tables.entries.last_key_value().map_or(0, |(seq, _)| *seq),
            last_receipt: tables.receipts.last_key_value().map_or(0, |(number, _)| *number),
            backlog: tables.queue.iter().map(|(did, queue)| (did.clone(), queue.len() as u64)).collect(),
        })
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        changes.iter().try_for_each(|change| self.change(change))
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        match self.fate.take() {
            None => {
                self.undo.clear();
                Ok(())
            }
            Some(Fate::Fail(error)) => {
                self.take_back();
                Err(error)
            }
            Some(Fate::Torn { durable }) => {
                if durable {
                    self.undo.clear();
                } else {
                    self.take_back();
                }
                Err(StoreError::Failed("the power failed during the commit".into()))
            }
        }
    }

    fn roll_back(&mut self) -> Result<(), StoreError> {
        self.take_back();
        Ok(())
    }
}

impl View for MemoryStore {
    fn find(&self, id: &EntryId) -> Result<Option<Seq>, StoreError> {
        Ok(self.tables.positions.get(id).copied())
    }

    fn entry(&self, seq: Seq) -> Result<Option<StoredEntry>, StoreError> {
        Ok(self.tables.entries.get(&seq).cloned())
    }

    fn queued(
        &self,
        peer: &Did,
        after: Seq,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let Some(queue) = self.tables.queue.get(peer) else { return Ok(Vec::new()) };
        let mut bytes = 0_usize;
        let mut found = Vec::new();
        for seq in queue.range(after.saturating_add(1)..).take(count_max) {
            let Some(entry) = self.tables.entries.get(seq) else { continue };
            bytes = bytes.saturating_add(entry.content.len());
            if bytes > bytes_max && !found.is_empty() {
                break;
            }
            found.push(entry.clone());
        }
        Ok(found)
    }

    fn delivery(&self, peer: &Did, seq: Seq) -> Result<Option<Delivery>, StoreError> {
        if self.tables.queue.get(peer).is_some_and(|queue| queue.contains(&seq)) {
            return Ok(Some(Delivery::Pending));
        }
        Ok(self.tables.outcomes.get(&(peer.clone(), seq)).cloned())
    }

    fn receipt(&self, number: u64) -> Result<Option<(Direction, SignedReceipt)>, StoreError> {
        Ok(self.tables.receipts.get(&number).map(|kept| (kept.direction, kept.receipt.clone())))
    }

    fn tile(&self, log: LogNumber, level: u8, index: u64) -> Result<Option<Vec<Hash>>, StoreError> {
        Ok(self.tables.tiles.get(&(log, level, index)).cloned())
    }

    fn leaves(&self, log: LogNumber, from: u64, count_max: usize) -> Result<Vec<String>, StoreError> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        Ok(self.all_leaves(log).iter().skip(from).take(count_max).cloned().collect())
    }

    fn attachment(&self, sha256: &Hash) -> Result<Option<u64>, StoreError> {
        Ok(self.tables.files.get(sha256).map(|(_, leaf)| *leaf))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Place, contract_suite, model_test};

    /// Memory, whose process ends by losing what was not committed.
    struct Memory;

    impl Place for Memory {
        type Store = MemoryStore;

        fn empty(&self) -> MemoryStore {
            MemoryStore::new()
        }

        fn reopen(&self, mut store: MemoryStore) -> MemoryStore {
            store.crash();
            store
        }
    }

    #[test]
    fn memory_keeps_the_contract_of_stores() {
        contract_suite(&Memory);
    }

    #[test]
    fn memory_keeps_what_the_model_keeps() {
        model_test(&Memory, 64);
    }
}
