//! What arrives from a peer: take it, note that it is held already, or say why not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hiwar_trust::did::Did;
use hiwar_trust::identity::KeyStatus;
use hiwar_trust::time::Timestamp;

use super::backfill::is_about_membership;
use super::brief::{Incoming, Source};
use super::receipts::Held;
use super::{Engine, EngineError};
use crate::entry::{Body, SignedEntry};
use crate::ledger::{Change, Seq, Standing, StoreError, StoredEntry, View};
use crate::limits;
use crate::wire::{EntryRefusal, PROTOCOL, RefusalCode, Reply, VerifiedBatch, VerifiedEntry, WireError};

/// A refusal's code and words.
type Refused = (RefusalCode, String);

impl Engine {
    /// Takes a batch from `from`, who signed the request that carried it.
    ///
    /// # Errors
    /// When the peer may not deliver at all, or the store fails.
    pub fn receive(
        &mut self,
        view: &dyn View,
        from: &Did,
        mut batch: VerifiedBatch,
        now: Timestamp,
    ) -> Result<Reply, EngineError> {
        let header = &batch.header;
        if header.to != *self.did() {
            return Err(WireError::WrongDestination { to: header.to.clone() }.into());
        }
        if header.from != *from {
            return Err(WireError::WrongSender { from: header.from.clone(), signer: from.clone() }.into());
        }
        // A newer card may say how a log that is not trusted came to be; its operator wants to see it.
        if self.peers.contains_key(from) {
            self.learn_cards(from, &batch.header.briefing.cards, now);
        }
        self.must_deal_with(from)?;
        let distrusted = |engine: &Self| {
            engine.peers.get(from).is_some_and(|p| matches!(p.record.standing, Standing::Distrusted { .. }))
        };
        let receipts = batch.take_receipts();
        let incoming = Incoming { briefing: batch.header.briefing, receipts, source: Source::Batch };
        let news = self.brief_in(view, from, incoming, &mut BTreeMap::new(), now)?;
        if let Some(reason) = &self.halted {
            // It has just come to light that this store is not the newest one: sign nothing more.
            return Err(EngineError::Halted(reason.clone()));
        }
        let mut refused = Vec::new();
        let mut held: Vec<Held> = Vec::new();
        let mut seen = BTreeSet::new();
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
            if !seen.insert(id) {
                continue;
            }
            match self.accept(view, from, entry, now)? {
                Ok(taken) => held.push(taken),
                Err((code, detail)) => refused.push(EntryRefusal { entry: Some(id), line, code, detail }),
            }
        }
        let receipts = self.receipts_for(view, from, &held, now)?;
        let (mut briefing, _) = self.brief_out(view, from, now, news.compare, Source::Reply)?;
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
        if let Some(seq) = view.find(&id)? {
            let stored = view.entry(seq)?;
            let stored = stored.ok_or_else(|| StoreError::Damaged(format!("entry {id} has no content")))?;
            return Ok(Ok(Held::again(&stored, self.log_number)));
        }
        if let Err(refused) = self.judge(from, entry.entry(), now) {
            match refused.0 {
                RefusalCode::UnknownMembership => {
                    self.want_before(view, from, entry.entry())?;
                    self.vouch(entry.entry());
                }
                // Its author can sign it again with the key it has now; nobody else can.
                RefusalCode::RevokedKey => {
                    let author = entry.entry().entry.author.clone();
                    self.want(&author, id);
                }
                _ => {}
            }
            return Ok(Err(refused));
        }
        let (seq, leaf) = self.keep(view, entry.into_entry(), Some(from.clone()), now)?;
        Ok(Ok(Held { id, seq, leaf: Some(leaf), receipt: None }))
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
        self.judge_key(signed)?;
        if let Body::Membership(m) = &entry.body
            && m.replaces.is_none()
        {
            return if self.is_asked_for(from, signed)
                || (m.parties.contains(self.did()) && m.parties.contains(from))
            {
                Ok(())
            } else {
                // A node that joined later asks for it, and forgets that it did when it restarts.
                Err((
                    RefusalCode::NotAskedFor,
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
        let mut circle: BTreeSet<Did> = state.membership.parties.iter().cloned().collect();
        // Only a party may propose who else takes part; everyone concerned may speak about that.
        let mut may_speak = circle.contains(&entry.author);
        match &entry.body {
            Body::Membership(m) => circle.extend(m.parties.iter().cloned()),
            Body::Assent(about) | Body::Refusal(about) => {
                let Some(proposal) = record.membership(&about.of) else {
                    return Err((
                        RefusalCode::UnknownMembership,
                        format!("the membership {} it speaks of is not held yet", about.of),
                    ));
                };
                circle.extend(record.concerned(proposal));
                may_speak |= circle.contains(&entry.author);
            }
            Body::Statement(_)
            | Body::Attachment(_)
            | Body::Correction(_)
            | Body::Withdrawal(_)
            | Body::Dispute(_)
            | Body::Acknowledgement(_)
            | Body::Act(_) => {}
        }
        // How a membership came about concerns everyone who holds the dialogue, whoever sends it: a
        // party that joins later has asked for the opening entry, and does not know yet who else
        // has joined.
        let history = is_about_membership(signed);
        let for_us = history || circle.contains(self.did());
        let from_there = history || circle.contains(from) || record.takes_part(from);
        if !may_speak || !for_us || !from_there {
            return Err((
                RefusalCode::NotAParty,
                format!(
                    "{}, who says it, {from}, who sends it, or this node is no party of the membership it stands under",
                    entry.author
                ),
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

    /// Whether this node asked `from` for an opening entry; a party that joins later needs it.
    fn is_asked_for(&self, from: &Did, signed: &SignedEntry) -> bool {
        self.peers.get(from).is_some_and(|p| p.wanted.contains_key(&signed.id))
    }

    /// Notes that a participant speaks under a membership that is not held yet.
    fn vouch(&mut self, signed: &SignedEntry) {
        let spoken_of = match &signed.entry.body {
            Body::Assent(about) | Body::Refusal(about) => Some(about.of),
            _ => None,
        };
        for membership in [Some(signed.membership()), spoken_of].into_iter().flatten() {
            if self.vouchers.len() < limits::MISSING_MAX {
                let vouchers = self.vouchers.entry(membership).or_default();
                if vouchers.len() < limits::PARTIES_MAX {
                    vouchers.insert(signed.entry.author.clone());
                }
            }
        }
    }

    /// Whether a party other than its author speaks of an entry: with one that is held and links to
    /// it, or with one that waits for this membership.
    fn is_vouched_for(&self, signed: &SignedEntry) -> bool {
        let record = self.dialogues.get(&signed.dialogue());
        if record.is_some_and(|d| d.missing.contains_key(&signed.id)) {
            return true;
        }
        let Body::Membership(m) = &signed.entry.body else { return false };
        let is_party = |did: &Did| m.parties.contains(did) || record.is_some_and(|r| r.takes_part(did));
        let vouchers = self.vouchers.get(&signed.id);
        vouchers.is_some_and(|v| v.iter().any(|did| *did != signed.entry.author && is_party(did)))
    }

    /// An entry under a revoked key, or one that claims a time after its key was replaced, is
    /// believed only when another party speaks of it.
    fn judge_key(&self, signed: &SignedEntry) -> Result<(), Refused> {
        let author = &signed.entry.author;
        let identity =
            if author == self.did() { Some(&self.own) } else { self.peers.get(author).map(|p| &p.identity) };
        let Some(identity) = identity else {
            return Err((
                RefusalCode::UnknownAuthor,
                format!("{author} is no peer of this node; add its invitation"),
            ));
        };
        let doubt = match identity.organisation_key(signed.key).1 {
            KeyStatus::Unknown => {
                return Err((
                    RefusalCode::UnknownKey,
                    format!("{author} has shown no card with key {}", signed.key),
                ));
            }
            KeyStatus::Current => None,
            KeyStatus::Retired { at } => (signed.entry.time > at)
                .then(|| format!("{author} replaced key {} at {at}, before the entry's time", signed.key)),
            KeyStatus::Revoked { since } => {
                Some(format!("{author} revoked key {} as of {since}", signed.key))
            }
        };
        match doubt {
            Some(doubt) if !self.is_vouched_for(signed) => Err((RefusalCode::RevokedKey, doubt)),
            _ => Ok(()),
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
        self.fresh.entries.insert(signed.id, seq);
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
            if let Some(author) = author
                && let Some(leaf) = self.file_leaf(view, file.sha256)?
                && let Some(peer) = self.peers.get_mut(&author)
            {
                peer.record.owed_attachments.insert(file.sha256, leaf);
                peer.file_receipt = None;
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
                if record.missing.contains_key(prev)
                    || (!record.heads.contains(prev) && !self.holds(view, prev)?)
                {
                    lacking.push(*prev);
                }
            }
        }
        let Some(record) = self.dialogues.get_mut(&dialogue) else { return Ok(()) };
        for prev in &signed.entry.prev {
            record.heads.remove(prev);
        }
        let was_missing = record.missing.remove(&signed.id).is_some();
        if !was_missing {
            record.heads.insert(signed.id);
        }
        record.link_under_membership(signed, &lacking);
        record.entries += 1;
        record.updated = now;
        if was_missing || self.peers.values().any(|p| !p.wanted.is_empty()) {
            for peer in self.peers.values_mut() {
                peer.wanted.remove(&signed.id);
            }
        }
        if let Some(via) = via {
            for prev in lacking {
                self.miss(dialogue, prev, via);
            }
        }
        self.dirty_dialogues.insert(dialogue);
        Ok(())
    }
}
