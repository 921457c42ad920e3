//! Receipts: this node's proofs of what it holds, and those that peers give it.

use std::collections::{BTreeMap, BTreeSet};

use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::receipt::{ItemKind, Receipt, ReceiptItem, SignedReceipt};
use hiwar_trust::time::Timestamp;

use super::{Engine, EngineError};
use crate::entry::EntryId;
use crate::ledger::{Change, Delivery, Direction, Seq, StoredEntry, View};
use crate::limits;
use crate::wire::WireReceipt;

/// An entry of a batch that is held now.
pub(super) struct Held {
    pub(super) id: EntryId,
    pub(super) seq: Seq,
    /// Its leaf in the current log, when it was held before only if that is known.
    pub(super) leaf: Option<u64>,
    /// The receipt issued for it.
    pub(super) receipt: Option<u64>,
}

/// The receipt for the files owed to a peer, made once and sent until it is answered.
pub(crate) struct FileReceipt {
    pub(super) wire: WireReceipt,
    pub(super) files: Vec<Hash>,
}

/// Where an entry that had been held before was logged, as its receipt tells.
struct Issued {
    receipt: SignedReceipt,
    wire: WireReceipt,
    leaves: BTreeMap<Hash, u64>,
}

impl Held {
    /// An entry that has just come once more.
    pub(super) fn again(stored: &StoredEntry, log: u32) -> Self {
        Self {
            id: stored.id,
            seq: stored.seq,
            leaf: (stored.log == log).then_some(stored.leaf),
            receipt: stored.receipt,
        }
    }
}

impl Engine {
    /// Receipts for everything in `held`: the very receipts that were issued to this peer before,
    /// and one new receipt for the rest. A receipt for another peer, who brought the entry first,
    /// proves nothing to this one.
    pub(super) fn receipts_for(
        &mut self,
        view: &dyn View,
        to: &Did,
        held: &[Held],
        now: Timestamp,
    ) -> Result<Vec<WireReceipt>, EngineError> {
        let mut issued: BTreeMap<u64, Option<Issued>> = BTreeMap::new();
        let mut again = BTreeSet::new();
        let mut items = Vec::new();
        let mut first = Vec::new();
        for entry in held {
            let before = match entry.receipt {
                None => None,
                Some(number) => {
                    if let std::collections::btree_map::Entry::Vacant(place) = issued.entry(number) {
                        place.insert(view.receipt(number)?.map(|(_, receipt)| Issued::read(receipt)));
                    }
                    issued.get(&number).and_then(Option::as_ref).map(|before| (number, before))
                }
            };
            if let Some((number, before)) = before
                && before.receipt.receipt.to == *to
            {
                again.insert(number);
                continue;
            }
            let in_receipt = before
                .filter(|(_, before)| before.receipt.receipt.log.origin() == self.own.latest().log_origin)
                .and_then(|(_, before)| before.leaves.get(&entry.id.0).copied());
            // What was held before the log began anew becomes a leaf of it once.
            let logged_now = entry.leaf.is_none() && in_receipt.is_none();
            let leaf = match entry.leaf.or(in_receipt) {
                Some(leaf) => leaf,
                None => self.append_leaf(&format!("entry {}", entry.id)),
            };
            items.push(ReceiptItem { kind: ItemKind::Entry, hash: entry.id.0, leaf });
            if entry.receipt.is_none() || logged_now {
                first.push(entry.seq);
            }
        }
        let again = again.iter().filter_map(|number| issued.get(number)?.as_ref());
        let mut out: Vec<WireReceipt> = again.map(|before| before.wire.clone()).collect();
        if !items.is_empty() {
            let (number, receipt) = self.issue_receipt(to, items, now)?;
            self.mark_receipted(&first, number);
            out.push(WireReceipt::from(&receipt));
        }
        Ok(out)
    }

    fn mark_receipted(&mut self, seqs: &[Seq], number: u64) {
        let mut left: BTreeSet<Seq> = seqs.iter().copied().collect();
        for change in &mut self.changes {
            if let Change::Entry(entry) = change
                && left.remove(&entry.seq)
            {
                entry.receipt = Some(number);
            }
        }
        for seq in left {
            self.changes.push(Change::EntryReceipt { seq, receipt: number });
        }
    }

    /// Signs and keeps a receipt.
    fn issue_receipt(
        &mut self,
        to: &Did,
        items: Vec<ReceiptItem>,
        now: Timestamp,
    ) -> Result<(u64, SignedReceipt), EngineError> {
        let number = self.next_receipt;
        self.next_receipt += 1;
        let receipt =
            Receipt { issuer: self.did().clone(), to: to.clone(), time: now, log: self.checkpoint()?, items };
        let signed = receipt
            .sign(&*self.keys.node)
            .map_err(|e| EngineError::Making { what: "a receipt", why: e.to_string() })?;
        self.changes.push(Change::Receipt {
            number,
            direction: Direction::Issued,
            peer: to.clone(),
            receipt: Box::new(signed.clone()),
        });
        Ok((number, signed))
    }

    /// Makes the receipt for the files owed to `did` ready, unless it is or nothing is owed.
    pub(super) fn make_file_receipt(
        &mut self,
        view: &dyn View,
        did: &Did,
        now: Timestamp,
    ) -> Result<(), EngineError> {
        let Some(peer) = self.peers.get(did) else { return Ok(()) };
        if peer.file_receipt.is_some() || peer.record.owed_attachments.is_empty() {
            return Ok(());
        }
        let owed = peer.record.owed_attachments.keys().take(limits::BATCH_ENTRIES_MAX);
        let files: Vec<Hash> = owed.copied().collect();
        let mut items = Vec::new();
        for hash in &files {
            if let Some(leaf) = self.file_leaf(view, *hash)? {
                items.push(ReceiptItem { kind: ItemKind::Attachment, hash: *hash, leaf });
            }
        }
        let wire = WireReceipt::from(&self.issue_receipt(did, items, now)?.1);
        if let Some(peer) = self.peers.get_mut(did) {
            peer.file_receipt = Some(FileReceipt { wire, files });
        }
        Ok(())
    }

    /// Keeps a verified receipt and settles what it covers. What it settles of `in_flight` is
    /// taken out there.
    pub(super) fn receipted(
        &mut self,
        view: &dyn View,
        did: &Did,
        receipt: SignedReceipt,
        in_flight: &mut BTreeMap<EntryId, Seq>,
    ) -> Result<(), EngineError> {
        let mut entries = Vec::new();
        let mut files = Vec::new();
        for item in &receipt.receipt.items {
            match item.kind {
                ItemKind::Attachment => files.push(item.hash),
                ItemKind::Entry => {
                    let id = EntryId(item.hash);
                    match in_flight.remove(&id) {
                        Some(seq) => entries.push(seq),
                        None => entries.extend(self.still_waits(view, did, &id)?),
                    }
                }
            }
        }
        let digest = Hash::of(receipt.note.as_bytes());
        if let Some(peer) = self.peers.get_mut(did).filter(|_| !files.is_empty())
            && peer.file_receipt_taken.replace(digest) == Some(digest)
        {
            files.clear();
        }
        if entries.is_empty() && files.is_empty() {
            return Ok(());
        }
        let number = self.next_receipt;
        self.next_receipt += 1;
        self.append_leaf(&format!("receipt {digest}"));
        self.changes.push(Change::Receipt {
            number,
            direction: Direction::Received,
            peer: did.clone(),
            receipt: Box::new(receipt),
        });
        for seq in entries {
            self.delivered(did, seq, Delivery::Receipted { receipt: number });
        }
        for sha256 in files {
            self.changes.push(Change::AttachmentReceipted { peer: did.clone(), sha256, receipt: number });
        }
        Ok(())
    }

    /// The position of an entry that waits for `did` outside the batch that is being settled. A
    /// batch that is under way with it has nothing to settle for it any more.
    fn still_waits(&mut self, view: &dyn View, did: &Did, id: &EntryId) -> Result<Option<Seq>, EngineError> {
        let Some(seq) = view.find(id)? else { return Ok(None) };
        let settled = self.fresh.settled.get(did).is_some_and(|s| s.contains(&seq));
        if settled || view.delivery(did, seq)? != Some(Delivery::Pending) {
            return Ok(None);
        }
        for flight in self.peers.get_mut(did).into_iter().flat_map(|p| &mut p.flights) {
            flight.items.remove(id);
        }
        Ok(Some(seq))
    }
}

impl Issued {
    fn read(receipt: SignedReceipt) -> Self {
        let wire = WireReceipt::from(&receipt);
        let leaves = receipt.receipt.items.iter().map(|item| (item.hash, item.leaf)).collect();
        Self { receipt, wire, leaves }
    }
}
