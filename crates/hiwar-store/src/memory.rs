//! A store in memory, for the simulator and for tests: it forgets what was not committed when it
//! crashes, and can be told to fail.

use std::collections::{BTreeMap, BTreeSet};

use hiwar_dialogue::entry::{DialogueId, EntryId};
use hiwar_dialogue::ledger::{
    Alarm, Change, Delivery, DialogueRecord, Direction, LogNumber, OwnRecord, PeerRecord, Seq, Snapshot,
    Store, StoreError, StoredEntry, View,
};
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::receipt::SignedReceipt;

/// One state of the store.
#[derive(Clone, Debug, Default)]
struct State {
    entries: BTreeMap<Seq, StoredEntry>,
    ids: BTreeMap<EntryId, Seq>,
    leaves: BTreeMap<LogNumber, Vec<String>>,
    tiles: BTreeMap<(LogNumber, u8, u64), Vec<Hash>>,
    queue: BTreeMap<Did, BTreeSet<Seq>>,
    deliveries: BTreeMap<(Did, Seq), Delivery>,
    receipts: BTreeMap<u64, (Direction, SignedReceipt)>,
    own: Option<OwnRecord>,
    peers: BTreeMap<Did, PeerRecord>,
    dialogues: BTreeMap<DialogueId, DialogueRecord>,
    alarms: Vec<Alarm>,
    attachments: BTreeMap<Hash, u64>,
}

/// A store in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    durable: State,
    current: State,
    open: Vec<Change>,
    full: bool,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses everything that was not committed, as a crash does.
    pub fn crash(&mut self) {
        self.current = self.durable.clone();
        self.open.clear();
    }

    /// From now on the disk is full, or has room again.
    pub fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// All alarms that are kept.
    pub fn alarms(&self) -> &[Alarm] {
        &self.durable.alarms
    }

    /// All entries that are kept, in order of arrival.
    pub fn entries(&self) -> impl Iterator<Item = &StoredEntry> {
        self.durable.entries.values()
    }

    /// All leaves that are kept of a log.
    pub fn log(&self, log: LogNumber) -> &[String] {
        self.durable.leaves.get(&log).map(Vec::as_slice).unwrap_or_default()
    }

    /// All receipts that are kept.
    pub fn receipts(&self) -> impl Iterator<Item = &(Direction, SignedReceipt)> {
        self.durable.receipts.values()
    }

    /// How many deliveries wait.
    pub fn queued_count(&self) -> usize {
        self.durable.queue.values().map(BTreeSet::len).sum()
    }
}

impl State {
    fn apply(&mut self, change: &Change) -> Result<(), StoreError> {
        match change {
            Change::Entry(entry) => {
                if self.ids.insert(entry.id, entry.seq).is_some() || self.entries.contains_key(&entry.seq) {
                    return Err(StoreError::Failed(format!("entry {} is kept already", entry.id)));
                }
                self.entries.insert(entry.seq, (**entry).clone());
            }
            Change::EntryReceipt { seq, receipt } => {
                if let Some(entry) = self.entries.get_mut(seq) {
                    entry.receipt = Some(*receipt);
                }
            }
            Change::Leaf { log, index, data } => {
                let leaves = self.leaves.entry(*log).or_default();
                if usize::try_from(*index).ok() != Some(leaves.len()) {
                    return Err(StoreError::Failed(format!(
                        "leaf {index} does not follow leaf {}",
                        leaves.len()
                    )));
                }
                leaves.push(data.clone());
            }
            Change::Tile { log, level, index, hashes } => {
                self.tiles.insert((*log, *level, *index), hashes.clone());
            }
            Change::Queue { peer, seq } => {
                self.queue.entry(peer.clone()).or_default().insert(*seq);
            }
            Change::Delivered { peer, seq, delivery } => {
                self.queue.entry(peer.clone()).or_default().remove(seq);
                self.deliveries.insert((peer.clone(), *seq), delivery.clone());
            }
            Change::Receipt { number, direction, receipt, .. } => {
                self.receipts.insert(*number, (*direction, (**receipt).clone()));
            }
            Change::Peer(record) => {
                self.peers.insert(record.did.clone(), (**record).clone());
            }
            Change::Dialogue(record) => {
                self.dialogues.insert(record.id, (**record).clone());
            }
            Change::Own(record) => self.own = Some((**record).clone()),
            Change::Alarm(alarm) => self.alarms.push((**alarm).clone()),
            Change::AttachmentWanted { .. } | Change::AttachmentReceipted { .. } => {}
            Change::AttachmentStored { sha256, leaf } => {
                self.attachments.insert(*sha256, *leaf);
            }
        }
        Ok(())
    }
}

impl View for MemoryStore {
    fn find(&self, id: &EntryId) -> Result<Option<Seq>, StoreError> {
        Ok(self.current.ids.get(id).copied())
    }

    fn entry(&self, seq: Seq) -> Result<Option<StoredEntry>, StoreError> {
        Ok(self.current.entries.get(&seq).cloned())
    }

    fn queued(
        &self,
        peer: &Did,
        after: Seq,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let mut found = Vec::new();
        let mut bytes = 0_usize;
        let waiting = self.current.queue.get(peer).map(|q| q.range(after.saturating_add(1)..));
        for entry in
            waiting.into_iter().flatten().filter_map(|seq| self.current.entries.get(seq)).take(count_max)
        {
            bytes = bytes.saturating_add(entry.content.len());
            if bytes > bytes_max && !found.is_empty() {
                break;
            }
            found.push(entry.clone());
        }
        Ok(found)
    }

    fn delivery(&self, peer: &Did, seq: Seq) -> Result<Option<Delivery>, StoreError> {
        if self.current.queue.get(peer).is_some_and(|q| q.contains(&seq)) {
            return Ok(Some(Delivery::Pending));
        }
        Ok(self.current.deliveries.get(&(peer.clone(), seq)).cloned())
    }

    fn receipt(&self, number: u64) -> Result<Option<(Direction, SignedReceipt)>, StoreError> {
        Ok(self.current.receipts.get(&number).cloned())
    }

    fn tile(&self, log: LogNumber, level: u8, index: u64) -> Result<Option<Vec<Hash>>, StoreError> {
        Ok(self.current.tiles.get(&(log, level, index)).cloned())
    }

    fn leaves(&self, log: LogNumber, from: u64, count_max: usize) -> Result<Vec<String>, StoreError> {
        let leaves = self.current.leaves.get(&log).map(Vec::as_slice).unwrap_or_default();
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        Ok(leaves.iter().skip(from).take(count_max).cloned().collect())
    }

    fn attachment(&self, sha256: &Hash) -> Result<Option<u64>, StoreError> {
        Ok(self.current.attachments.get(sha256).copied())
    }
}

impl Store for MemoryStore {
    fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let state = &self.current;
        let log = state.own.as_ref().map_or(1, |own| own.log);
        Ok(Snapshot {
            own: state.own.clone(),
            peers: state.peers.values().cloned().collect(),
            dialogues: state.dialogues.values().cloned().collect(),
            log_size: state.leaves.get(&log).map_or(0, |l| l.len() as u64),
            last_seq: state.entries.last_key_value().map_or(0, |(seq, _)| *seq),
            last_receipt: state.receipts.last_key_value().map_or(0, |(number, _)| *number),
            backlog: state.queue.iter().map(|(peer, q)| (peer.clone(), q.len() as u64)).collect(),
        })
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        for change in changes {
            self.current.apply(change)?;
            self.open.push(change.clone());
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if self.full {
            self.crash();
            return Err(StoreError::Full("the simulated disk".into()));
        }
        for change in std::mem::take(&mut self.open) {
            self.durable.apply(&change)?;
        }
        Ok(())
    }

    fn roll_back(&mut self) -> Result<(), StoreError> {
        self.crash();
        Ok(())
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
