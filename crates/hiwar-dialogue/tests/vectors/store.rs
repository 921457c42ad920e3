//! A store in memory, for engines that live as long as one test.

use std::collections::BTreeMap;

use hiwar_dialogue::entry::EntryId;
use hiwar_dialogue::ledger::{
    Change, Delivery, Direction, LogNumber, Seq, Snapshot, StoreError, StoredEntry, View,
};
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::receipt::SignedReceipt;

#[derive(Default)]
pub(crate) struct MemoryStore {
    pub(crate) snapshot: Snapshot,
    pub(crate) leaves: Vec<String>,
    entries: BTreeMap<Seq, StoredEntry>,
    seqs: BTreeMap<EntryId, Seq>,
    deliveries: BTreeMap<(Did, Seq), Delivery>,
    receipts: BTreeMap<u64, (Direction, SignedReceipt)>,
    attachments: BTreeMap<Hash, u64>,
}

impl MemoryStore {
    pub(crate) fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Entry(entry) => {
                    self.seqs.insert(entry.id, entry.seq);
                    self.entries.insert(entry.seq, *entry);
                }
                Change::EntryReceipt { seq, receipt } => {
                    if let Some(entry) = self.entries.get_mut(&seq) {
                        entry.receipt = Some(receipt);
                    }
                }
                Change::Leaf { index, data, .. } => {
                    assert_eq!(index, self.leaves.len() as u64, "leaves come in order");
                    self.leaves.push(data);
                }
                Change::Queue { peer, seq } => {
                    self.deliveries.insert((peer, seq), Delivery::Pending);
                }
                Change::Delivered { peer, seq, delivery } => {
                    self.deliveries.insert((peer, seq), delivery);
                }
                Change::Receipt { number, direction, receipt, .. } => {
                    self.receipts.insert(number, (direction, *receipt));
                }
                Change::AttachmentStored { sha256, leaf } => {
                    self.attachments.insert(sha256, leaf);
                }
                Change::Own(own) => self.snapshot.own = Some(*own),
                Change::Alarm(alarm) => panic!("nothing of this is alarming: {}", alarm.detail),
                Change::Tile { .. }
                | Change::Peer(_)
                | Change::Dialogue(_)
                | Change::AlarmAcknowledged { .. }
                | Change::AttachmentWanted { .. }
                | Change::AttachmentReceipted { .. } => {}
            }
        }
    }
}

impl View for MemoryStore {
    fn find(&self, id: &EntryId) -> Result<Option<Seq>, StoreError> {
        Ok(self.seqs.get(id).copied())
    }

    fn entry(&self, seq: Seq) -> Result<Option<StoredEntry>, StoreError> {
        Ok(self.entries.get(&seq).cloned())
    }

    fn queued(
        &self,
        peer: &Did,
        after: Seq,
        count_max: usize,
        _: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let waits = |seq: Seq| self.deliveries.get(&(peer.clone(), seq)) == Some(&Delivery::Pending);
        Ok(self
            .entries
            .range(after + 1..)
            .filter(|(seq, _)| waits(**seq))
            .take(count_max)
            .map(|(_, e)| e.clone())
            .collect())
    }

    fn delivery(&self, peer: &Did, seq: Seq) -> Result<Option<Delivery>, StoreError> {
        Ok(self.deliveries.get(&(peer.clone(), seq)).cloned())
    }

    fn receipt(&self, number: u64) -> Result<Option<(Direction, SignedReceipt)>, StoreError> {
        Ok(self.receipts.get(&number).cloned())
    }

    fn tile(&self, _: LogNumber, _: u8, _: u64) -> Result<Option<Vec<Hash>>, StoreError> {
        Ok(None)
    }

    fn leaves(&self, _: LogNumber, from: u64, count_max: usize) -> Result<Vec<String>, StoreError> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        Ok(self.leaves.iter().skip(from).take(count_max).cloned().collect())
    }

    fn attachment(&self, sha256: &Hash) -> Result<Option<u64>, StoreError> {
        Ok(self.attachments.get(sha256).copied())
    }
}
