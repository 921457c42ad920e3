//! What arrives from a peer: take it, note that it is held already, or say why not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::KeyStatus;
use hiwar_trust::receipt::{ItemKind, Receipt, ReceiptItem, SignedReceipt};
use hiwar_trust::time::Timestamp;

use super::{Engine, EngineError};
use crate::entry::{Body, EntryId, SignedEntry};
use crate::ledger::{Change, Direction, Seq, Standing, StoredEntry, View};
use crate::limits;
use crate::wire::{EntryRefusal, PROTOCOL, RefusalCode, Reply, VerifiedBatch, VerifiedEntry, WireReceipt};

/// A refusal's code and words.
type Refused = (RefusalCode, String);

/// An entry of a batch that is held now.
struct Held {
    id: EntryId,
    seq: Seq,
    /// Its leaf in the present log; absent when its leaf is in an earlier one.
    leaf: Option<u64>,
    /// Whether whoever brought it wrote it, too.
    by_author: bool,
    /// The receipt that was issued for it before, to whoever brought it then.
    receipt: Option<u64>,
}

impl Engine {
    /// Takes a batch from `from`, who signed the request that carried it.
    ///
    /// # Errors
    /// When the peer may not deliver at all, or the store fails.
    pub fn receive(
        &mut self,
        view: &dyn View,
        from: &Did,
        batch: VerifiedBatch,
        now: Timestamp,
    ) -> Result<Reply, EngineError> {
        // A newer card may say how a log that is not trusted came to be; its operator wants to see it.
        if self.peers.contains_key(from) {
            self.learn_cards(from, &batch.header.briefing.cards, now);
        }
        self.must_deal_with(from)?;
        let distrusted = |engine: &Self| {
            engine.peers.get(from).is_some_and(|p| matches!(p.record.standing, Standing::Distrusted { .. }))
        };
        let news = self.brief_in(view, from, batch.header.briefing, now)?;
        let mut refused = Vec::new();
        let mut held: Vec<Held> = Vec::new();
        let mut fresh: BTreeMap<EntryId, usize> = BTreeMap::new();
        for (line, read) in batch.lines.into_iter().enumerate() {
            let entry = match read {
                Ok(entry) => entry,
                Err(refusal) => {
                    refused.push(refusal);
                    continue;
                }
            };
            let id = entry.entry().id;
            if distrusted(self) {
                let detail =
                    "this node's log contradicts what was verified of it; an operator must decide".into();
                refused.push(EntryRefusal {
                    entry: Some(id),
                    line,
                    code: RefusalCode::LogRolledBack,
                    detail,
                });
                continue;
            }
            if fresh.contains_key(&id) {
                continue;
            }
            match self.accept(view, from, entry, now)? {
                Ok(taken) => {
                    fresh.insert(id, held.len());
                    held.push(taken);
                }
                Err((code, detail)) => refused.push(EntryRefusal { entry: Some(id), line, code, detail }),
            }
        }
        let receipts = self.receipts_for(view, from, &held, now)?;
        let mut briefing = self.brief_out(view, from, now, news.compare, Vec::new(), false)?;
        briefing.ahead = news.ahead;
        briefing.cosigned = news.cosigned;
        briefing.receipts.extend(receipts);
        Ok(Reply { protocol: PROTOCOL.into(), refused, briefing })
    }

    pub(super) fn must_deal_with(&self, did: &Did) -> Result<(), EngineError> {
        if let Some(reason) = &self.halted {
            return Err(EngineError::Halted(reason.clone()));
        }
        let problem = match self.peers.get(did).map(|p| &p.record.standing) {
            None => "is no peer of this node; add its invitation",
            Some(Standing::Retired) => "was retired by this node's operator",
            Some(Standing::Distrusted { code }) if code == "fork" || code == "identity-fork" => {
                "signed two contradicting histories; an operator must decide"
            }
            Some(Standing::Active | Standing::Distrusted { .. }) => return Ok(()),
        };
        Err(EngineError::Peer { did: did.clone(), problem })
    }

    fn accept(
        &mut self,
        view: &dyn View,
        from: &Did,
        entry: VerifiedEntry,
        now: Timestamp,
    ) -> Result<Result<Held, Refused>, EngineError> {
        let id = entry.entry().id;
        let by_author = entry.entry().entry.author == *from;
        if let Some(seq) = view.find(&id)? {
            let stored = view.entry(seq)?;
            let leaf = stored.as_ref().filter(|s| s.log == self.log_number).map(|s| s.leaf);
            return Ok(Ok(Held { id, seq, leaf, by_author, receipt: stored.and_then(|s| s.receipt) }));
        }
        if let Err(refused) = self.judge(from, entry.entry(), now) {
            if refused.0 == RefusalCode::UnknownMembership {
                self.want(from, entry.entry().membership());
                if let Some(of) = entry.entry().entry.body.of() {
                    self.want(from, of);
                }
            }
            return Ok(Err(refused));
        }
        let (seq, leaf) = self.keep(view, entry.into_entry(), Some(from.clone()), now)?;
        Ok(Ok(Held { id, seq, leaf: Some(leaf), by_author, receipt: None }))
    }

    /// Whether an entry is to be taken. The answer depends on the entry, on the membership it
    /// names and on the author's keys, never on the order in which entries arrive.
    fn judge(&self, from: &Did, signed: &SignedEntry, now: Timestamp) -> Result<(), Refused> {
        let entry = &signed.entry;
        if entry.time.millis_since(now) > limits::FUTURE_MILLIS_MAX {
            return Err((
                RefusalCode::FutureDated,
                format!("its time {} is more than 24 h ahead of this node's clock, {now}", entry.time),
            ));
        }
        self.judge_key(from, signed)?;
        if let Body::Membership(m) = &entry.body
            && m.replaces.is_none()
        {
            return if self.is_asked_for(from, signed)
                || (m.parties.contains(self.did()) && m.parties.contains(from))
            {
                Ok(())
            } else {
                Err((
                    RefusalCode::NotAParty,
                    "the dialogue it opens does not include both this node and the sender".into(),
                ))
            };
        }
        let Some(record) =
            self.membership_index.get(&signed.membership()).and_then(|d| self.dialogues.get(d))
        else {
            return Err((
                RefusalCode::UnknownMembership,
                format!("the membership {} it stands under is not held yet", signed.membership()),
            ));
        };
        let Some(state) = record.membership(&signed.membership()) else {
            return Err((
                RefusalCode::UnknownMembership,
                "the membership it stands under is not held yet".into(),
            ));
        };
        if signed.dialogue() != record.id || entry.arrangement != state.arrangement {
            return Err((
                RefusalCode::WrongDialogue,
                "it names another dialogue or arrangement than its membership".into(),
            ));
        }
        let mut circle: BTreeSet<&Did> = state.membership.parties.iter().collect();
        match &entry.body {
            Body::Membership(m) => circle.extend(&m.parties),
            Body::Assent(about) | Body::Refusal(about) => {
                let Some(proposal) = record.membership(&about.of) else {
                    return Err((
                        RefusalCode::UnknownMembership,
                        format!("the membership {} it speaks of is not held yet", about.of),
                    ));
                };
                circle.extend(&proposal.membership.parties);
            }
            Body::Statement(_)
            | Body::Attachment(_)
            | Body::Correction(_)
            | Body::Withdrawal(_)
            | Body::Dispute(_)
            | Body::Acknowledgement(_) => {}
        }
        let for_us = circle.contains(self.did()) || self.is_asked_for(from, signed);
        if !circle.contains(&entry.author)
            || !for_us
            || !record.everyone().contains(from) && !circle.contains(from)
        {
            return Err((
                RefusalCode::NotAParty,
                format!("{} or this node is no party of the membership it stands under", entry.author),
            ));
        }
        if entry.marking > state.membership.cap {
            return Err((
                RefusalCode::AboveCap,
                format!("its marking {} is above the dialogue's cap {}", entry.marking, state.membership.cap),
            ));
        }
        Ok(())
    }

    /// Whether this node asked `from` for an entry that tells how a membership came about; a party
    /// that joins later needs those from before its time.
    fn is_asked_for(&self, from: &Did, signed: &SignedEntry) -> bool {
        let about_membership =
            matches!(signed.entry.body, Body::Membership(_) | Body::Assent(_) | Body::Refusal(_));
        about_membership && self.peers.get(from).is_some_and(|p| p.wanted.contains_key(&signed.id))
    }

    /// An entry under a revoked key is believed only when another party's entry links to it or
    /// stands under it, so that this node asked for it.
    fn judge_key(&self, from: &Did, signed: &SignedEntry) -> Result<(), Refused> {
        let author = &signed.entry.author;
        let identity =
            if author == self.did() { Some(&self.own) } else { self.peers.get(author).map(|p| &p.identity) };
        let Some(identity) = identity else {
            return Err((
                RefusalCode::UnknownAuthor,
                format!("{author} is no peer of this node; add its invitation"),
            ));
        };
        match identity.organisation_key(signed.key).1 {
            KeyStatus::Current | KeyStatus::Retired { .. } => Ok(()),
            KeyStatus::Unknown => {
                Err((RefusalCode::UnknownKey, format!("{author} has shown no card with key {}", signed.key)))
            }
            KeyStatus::Revoked { since } => {
                let missing = self
                    .dialogues
                    .get(&signed.dialogue())
                    .is_some_and(|d| d.missing.contains_key(&signed.id));
                let vouched =
                    missing || self.peers.get(from).is_some_and(|p| p.wanted.contains_key(&signed.id));
                if vouched {
                    Ok(())
                } else {
                    Err((
                        RefusalCode::RevokedKey,
                        format!("{author} revoked key {} as of {since}", signed.key),
                    ))
                }
            }
        }
    }

    /// Stores an entry, logs it, and brings its dialogue up to date.
    pub(super) fn keep(
        &mut self,
        view: &dyn View,
        signed: SignedEntry,
        via: Option<Did>,
        now: Timestamp,
    ) -> Result<(Seq, u64), EngineError> {
        let seq = self.next_seq;
        self.next_seq += 1;
        let leaf = self.append_leaf(&format!("entry {}", signed.id));
        let dialogue = signed.dialogue();
        self.note_membership(&signed);
        self.link(view, &signed, via.as_ref(), now)?;
        for file in &signed.entry.attachments {
            let author = (signed.entry.author != *self.did()).then(|| signed.entry.author.clone());
            self.changes.push(Change::AttachmentWanted {
                sha256: file.sha256,
                size: file.size,
                dialogue,
                author: author.clone(),
            });
            if let (Some(author), Some(leaf)) = (author, view.attachment(&file.sha256)?)
                && let Some(peer) = self.peers.get_mut(&author)
            {
                peer.record.owed_attachments.insert(file.sha256, leaf);
                self.dirty_peers.insert(author);
            }
        }
        let from_here = via.is_none();
        let own = signed.entry.author == *self.did();
        let audience = if from_here || own { self.audience(&signed) } else { BTreeSet::new() };
        self.changes.push(Change::Entry(Box::new(StoredEntry {
            seq,
            id: signed.id,
            dialogue,
            content: Arc::clone(&signed.content),
            key: signed.key,
            signature: signed.signature,
            log: self.log_number,
            leaf,
            via,
            received: now,
            receipt: None,
        })));
        for peer in audience {
            self.enqueue(&peer, seq);
        }
        Ok((seq, leaf))
    }

    /// Links an entry into its dialogue: what it had seen is no longer the newest, and what it
    /// links to but is not here is missing.
    fn link(
        &mut self,
        view: &dyn View,
        signed: &SignedEntry,
        via: Option<&Did>,
        now: Timestamp,
    ) -> Result<(), EngineError> {
        let dialogue = signed.dialogue();
        let mut lacking = Vec::new();
        if let Some(record) = self.dialogues.get(&dialogue) {
            for prev in &signed.entry.prev {
                if !record.heads.contains(prev)
                    && !record.missing.contains_key(prev)
                    && view.find(prev)?.is_none()
                {
                    lacking.push(*prev);
                }
            }
        }
        let was_missing = {
            let Some(record) = self.dialogues.get_mut(&dialogue) else { return Ok(()) };
            for prev in &signed.entry.prev {
                record.heads.remove(prev);
            }
            let was_missing = record.missing.remove(&signed.id).is_some();
            if !was_missing {
                record.heads.insert(signed.id);
            }
            record.entries += 1;
            record.updated = now;
            was_missing
        };
        if was_missing || self.peers.values().any(|p| !p.wanted.is_empty()) {
            for peer in self.peers.values_mut() {
                peer.wanted.remove(&signed.id);
            }
        }
        if let Some(via) = via {
            for prev in lacking {
                self.miss(&dialogue, prev, via);
            }
        }
        self.dirty_dialogues.insert(dialogue);
        Ok(())
    }

    /// Notes that an entry of a dialogue is linked to but not held.
    pub(super) fn miss(&mut self, dialogue: &EntryId, entry: EntryId, source: &Did) {
        let Some(record) = self.dialogues.get_mut(dialogue) else { return };
        // An entry of the batch being taken is held although the view does not show it yet.
        if record.missing.len() < limits::MISSING_MAX
            && !self.changes.iter().rev().any(|c| matches!(c, Change::Entry(e) if e.id == entry))
        {
            record.missing.insert(entry, source.clone());
            self.dirty_dialogues.insert(*dialogue);
            self.want(source, entry);
        }
    }

    pub(super) fn want(&mut self, from: &Did, entry: EntryId) {
        if let Some(peer) = self.peers.get_mut(from)
            && peer.wanted.len() < limits::MISSING_MAX
        {
            peer.wanted.entry(entry).or_insert(0);
        }
    }

    /// Receipts for everything in `held`: for what `to` brought before, the very receipts that were
    /// issued to it, and one new receipt for the rest. A receipt is worth nothing to a peer that it
    /// was not issued to, so an entry that another peer brought first gets one more. The store keeps
    /// the author's beside the entry: it is the one who will ask for it again.
    fn receipts_for(
        &mut self,
        view: &dyn View,
        to: &Did,
        held: &[Held],
        now: Timestamp,
    ) -> Result<Vec<WireReceipt>, EngineError> {
        let mut out = Vec::new();
        let mut again: BTreeMap<u64, Vec<&Held>> = BTreeMap::new();
        let mut without = Vec::new();
        for entry in held {
            match entry.receipt {
                Some(number) => again.entry(number).or_default().push(entry),
                None => without.push(entry),
            }
        }
        for (number, entries) in again {
            match view.receipt(number)? {
                Some((_, receipt)) if receipt.receipt.to == *to => out.push(WireReceipt::from(&receipt)),
                _ => without.extend(entries),
            }
        }
        let mut items = Vec::new();
        let mut seqs = Vec::new();
        for entry in without {
            let leaf = entry.leaf.unwrap_or_else(|| self.append_leaf(&format!("entry {}", entry.id)));
            items.push(ReceiptItem { kind: ItemKind::Entry, hash: entry.id.0, leaf });
            if entry.receipt.is_none() || entry.by_author {
                seqs.push(entry.seq);
            }
        }
        if !items.is_empty() {
            let (number, receipt) = self.issue_receipt(to, items, now)?;
            self.mark_receipted(&seqs, number);
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
    pub(super) fn issue_receipt(
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

    /// Digest of a signed note, for the leaf that proves this node held it.
    pub(super) fn note_leaf(&mut self, note: &str) {
        self.append_leaf(&format!("receipt {}", Hash::of(note.as_bytes())));
    }
}
