//! The briefing that travels with every batch and reply: cards, checkpoints with proofs, receipts,
//! cosignatures, gaps, gossip.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hiwar_trust::checkpoint::{Checkpoint, SignedCheckpoint};
use hiwar_trust::did::Did;
use hiwar_trust::identity::{Identity, IdentityError, SignedCard};
use hiwar_trust::merkle;
use hiwar_trust::receipt::{ItemKind, ReceiptItem, SignedReceipt, key_name};
use hiwar_trust::time::Timestamp;

use super::{Engine, EngineError};
use crate::entry::{Body, DialogueId, EntryId, SignedEntry};
use crate::ledger::{Alarm, Standing, View};
use crate::limits;
use crate::wire::{self, Briefing, ChallengeAnswer, LogState, VerifiedReply, WireReceipt};

/// What a briefing calls for in the answer.
#[derive(Debug, Default)]
pub(super) struct News {
    /// The other compared heads; do the same.
    pub(super) compare: bool,
    /// The other's checkpoint, cosigned.
    pub(super) cosigned: Option<String>,
    /// The newest verified checkpoint of the other's log, when it showed an older one.
    pub(super) ahead: Option<String>,
}

/// The checkpoint in a signed note, whoever signed it.
pub(super) fn read_checkpoint(note: &str) -> Option<Checkpoint> {
    Some(SignedCheckpoint::parse(note.as_bytes()).ok()?.checkpoint().clone())
}

/// The checkpoint in a note that a node key of `identity` signed for one of its logs.
fn signed_checkpoint(note: &str, identity: &Identity) -> Option<SignedCheckpoint> {
    let parsed = SignedCheckpoint::parse(note.as_bytes()).ok()?;
    let name = parsed.checkpoint().origin().parse().ok()?;
    let signed = identity.node_keys().any(|key| parsed.verify(&name, key).is_ok());
    let own = identity.log_origins().any(|o| o == parsed.checkpoint().origin());
    (signed && own).then_some(parsed)
}

/// Whether a briefing came with a batch, in order, or with a reply, which may cross a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Batch,
    Reply,
}

impl Engine {
    /// What this node tells `did` now.
    pub(super) fn brief_out(
        &mut self,
        view: &dyn View,
        did: &Did,
        now: Timestamp,
        compare: bool,
        owed: Vec<ReceiptItem>,
        in_batch: bool,
    ) -> Result<Briefing, EngineError> {
        let checkpoint = self.checkpoint()?;
        let making = |what: &'static str, why: String| EngineError::Making { what, why };
        let name = checkpoint.origin().parse().map_err(|e| making("a checkpoint", format!("{e}")))?;
        let note = checkpoint
            .sign(&name, &*self.keys.node)
            .map_err(|e| making("a checkpoint", e.to_string()))?
            .to_string();
        let gossip = if in_batch { self.gossip_for(did) } else { BTreeMap::new() };
        let heads = compare.then(|| self.heads_for(did));
        let mut receipts = Vec::new();
        if !owed.is_empty() {
            receipts.push(WireReceipt::from(&self.issue_receipt(did, owed, now)?.1));
        }
        // Whoever linked to a missing entry may lack it as well; when heads are compared, everybody
        // is asked.
        let lacking: Vec<EntryId> = if compare {
            let shared = self.dialogues.values().filter(|d| d.everyone().contains(did));
            shared.flat_map(|d| d.missing.keys().copied()).take(limits::FETCH_IDS_MAX).collect()
        } else {
            Vec::new()
        };
        let own_cards = self.own.cards().to_vec();
        let log_number = self.log_number;
        let peer = self.peer_mut(did)?;
        let in_same_log = peer.record.knows_log == log_number && peer.record.knows_size <= checkpoint.size();
        let from = if in_same_log { peer.record.knows_size } else { 0 };
        let known_cards = peer.record.knows_card.map_or(0, |n| n + 1);
        let cards: Vec<SignedCard> =
            own_cards.into_iter().skip(usize::try_from(known_cards).unwrap_or(usize::MAX)).take(16).collect();
        let owed_answers = std::mem::take(&mut peer.owed_answers);
        let mut wanted = peer.ask_for_wanted(compare);
        wanted.extend(lacking);
        wanted.truncate(limits::FETCH_IDS_MAX);
        let briefing = Briefing {
            time: now,
            knows_card: peer.identity.latest().sequence,
            cards,
            log: LogState { checkpoint: note, from, proof: Vec::new() },
            knows_size: peer.verified.as_ref().map_or(0, Checkpoint::size),
            cosigned: peer.cosigned.take(),
            receipts,
            wanted,
            heads,
            gossip: gossip.values().map(|(note, _)| note.clone()).collect(),
            challenges: peer.challenges.keys().copied().take(16).collect(),
            answers: Vec::new(),
            ahead: None,
        };
        peer.last_exchange = now;
        let proof = if from == 0 { Vec::new() } else { self.consistency(view, from, checkpoint.size())? };
        let mut answers = Vec::new();
        for size in owed_answers {
            if size > 0 && size <= checkpoint.size() {
                answers
                    .push(ChallengeAnswer { size, proof: self.consistency(view, size, checkpoint.size())? });
            }
        }
        Ok(Briefing { log: LogState { proof, ..briefing.log }, answers, ..briefing })
    }

    /// Files whose receipts are still owed to `did`.
    pub(super) fn owed_to(&self, did: &Did) -> Vec<ReceiptItem> {
        let owed = self.peers.get(did).map(|p| p.record.owed_attachments.iter());
        owed.into_iter()
            .flatten()
            .map(|(hash, leaf)| ReceiptItem { kind: ItemKind::Attachment, hash: *hash, leaf: *leaf })
            .filter(|item| item.leaf < self.log.size())
            .take(limits::BATCH_ENTRIES_MAX)
            .collect()
    }

    /// Newest verified checkpoints of third parties that share a dialogue with `did` and that it
    /// was not told of yet.
    pub(super) fn gossip_for(&self, did: &Did) -> BTreeMap<Did, (String, u64)> {
        let Some(peer) = self.peers.get(did) else { return BTreeMap::new() };
        let mut circle = BTreeSet::new();
        for record in self.dialogues.values() {
            let everyone = record.everyone();
            if everyone.contains(did) {
                circle.extend(everyone);
            }
        }
        let mut out = BTreeMap::new();
        for third in circle {
            if third == *did || third == *self.did() || out.len() >= 16 {
                continue;
            }
            let Some(other) = self.peers.get(&third) else { continue };
            if let (Some(checkpoint), Some(note)) = (&other.verified, &other.record.verified)
                && peer.gossiped.get(&third) != Some(&checkpoint.size())
            {
                out.insert(third, (note.clone(), checkpoint.size()));
            }
        }
        out
    }

    fn heads_for(&self, did: &Did) -> BTreeMap<DialogueId, Vec<EntryId>> {
        self.dialogues
            .values()
            .filter(|d| d.everyone().contains(did))
            .take(limits::HEADS_DIALOGUES_MAX)
            .map(|d| (d.id, d.heads.iter().take(64).copied().collect()))
            .collect()
    }

    /// Takes in what a batch says, whose cards were learned before. The receipts that it brings
    /// are few, for files.
    pub(super) fn brief_in(
        &mut self,
        view: &dyn View,
        did: &Did,
        briefing: Briefing,
        now: Timestamp,
    ) -> Result<News, EngineError> {
        let identity = self.peer_mut(did)?.identity.clone();
        let receipts = wire::verify_receipts(&briefing.receipts, &identity).unwrap_or_default();
        self.brief(view, did, briefing, receipts, &BTreeMap::new(), now, Source::Batch)
    }

    /// Takes in what the reply to a batch says, with its receipts as the thread that read it
    /// verified them; the batch's entries are in `in_flight`.
    pub(super) fn brief_in_reply(
        &mut self,
        view: &dyn View,
        did: &Did,
        reply: VerifiedReply,
        in_flight: &BTreeMap<EntryId, u64>,
        now: Timestamp,
    ) -> Result<News, EngineError> {
        self.learn_cards(did, &reply.reply.briefing.cards, now);
        self.brief(view, did, reply.reply.briefing, reply.receipts, in_flight, now, Source::Reply)
    }

    #[expect(clippy::too_many_arguments, reason = "what came, with what, into what, and when")]
    fn brief(
        &mut self,
        view: &dyn View,
        did: &Did,
        briefing: Briefing,
        receipts: Vec<SignedReceipt>,
        in_flight: &BTreeMap<EntryId, u64>,
        now: Timestamp,
        source: Source,
    ) -> Result<News, EngineError> {
        let mut news = News { compare: briefing.heads.is_some(), ..News::default() };
        let peer = self.peer_mut(did)?;
        peer.record.clock_skew_ms = Some(briefing.time.millis_since(now));
        peer.last_exchange = now;
        self.dirty_peers.insert(did.clone());
        self.note_known(did, &briefing);
        self.check_log(did, &briefing.log, source, now, &mut news);
        self.check_answers(did, &briefing.answers, &briefing.log, now);
        if let Some(note) = &briefing.cosigned {
            self.take_cosignature(did, note);
        }
        if let Some(note) = &briefing.ahead {
            self.check_own_rollback(did, note, now);
        }
        for receipt in receipts {
            if receipt.receipt.to == *self.did() && receipt.receipt.issuer == *did {
                self.receipted(view, did, receipt, in_flight)?;
            }
        }
        self.serve_wanted(view, did, &briefing.wanted)?;
        if let Some(heads) = &briefing.heads {
            self.compare_heads(view, did, heads)?;
        }
        for note in briefing.gossip.iter().take(16) {
            self.check_gossip(did, note, now);
        }
        let size = self.log.size();
        let peer = self.peer_mut(did)?;
        peer.owed_answers.extend(briefing.challenges.iter().copied().filter(|s| *s <= size).take(16));
        Ok(news)
    }

    /// Takes over newer cards of a peer; a card that contradicts a held one ends trust in it.
    pub fn learn_cards(&mut self, did: &Did, cards: &[SignedCard], now: Timestamp) {
        if cards.is_empty() {
            return;
        }
        let Some(peer) = self.peers.get_mut(did) else { return };
        let mut identity = Identity::clone(&peer.identity);
        let mut grown = false;
        for card in cards.iter().take(16) {
            let origin_before = identity.latest().log_origin.clone();
            match identity.extend(card.clone()) {
                Ok(false) => {}
                Ok(true) => {
                    grown = true;
                    if identity.latest().log_origin != origin_before {
                        self.log_was_replaced(did, card, now);
                    }
                }
                Err(error @ IdentityError::Fork { .. }) => {
                    let evidence = serde_json::to_string(card).into_iter().collect();
                    self.distrust(
                        did,
                        Alarm {
                            time: now,
                            code: "identity-fork".into(),
                            peer: Some(did.clone()),
                            detail: format!("{error}; ask its operator by another way which one is true"),
                            evidence,
                        },
                    );
                    return;
                }
                Err(_) => break,
            }
        }
        if grown && !self.has_node_key_of_another(&identity) {
            let hash = identity.latest_hash();
            if let Some(peer) = self.peers.get_mut(did) {
                peer.record.cards = identity.cards().to_vec();
                peer.identity = Arc::new(identity);
            }
            self.directory = None;
            self.append_leaf(&format!("card {hash}"));
        }
    }

    /// A peer declared that its log was replaced after a restore.
    fn log_was_replaced(&mut self, did: &Did, card: &SignedCard, now: Timestamp) {
        let Some(peer) = self.peers.get_mut(did) else { return };
        let before = peer.verified.take();
        peer.record.verified = None;
        peer.record.shown_in_batch = 0;
        peer.challenges.clear();
        peer.record.knows_size = peer.record.knows_size.min(self.log.size());
        peer.compare_due = now;
        if matches!(&peer.record.standing, Standing::Distrusted { code } if code == "rollback") {
            peer.record.standing = Standing::Active;
        }
        let said = card.card.log_continues.as_ref().map_or(0, |c| c.size);
        let seen = before.as_ref().map_or(0, Checkpoint::size);
        let lost = seen.saturating_sub(said);
        self.raise(Alarm {
            time: now,
            code: "restored".into(),
            peer: Some(did.clone()),
            detail: format!(
                "it restored its node from a backup and began the log {}; {lost} leaves that were witnessed are not in the backup; its entries are fetched from its peers",
                card.card.log_origin
            ),
            evidence: serde_json::to_string(card).into_iter().collect(),
        });
    }

    fn note_known(&mut self, did: &Did, briefing: &Briefing) {
        let (size, log_number, newest) = (self.log.size(), self.log_number, self.own.latest().sequence);
        let Some(peer) = self.peers.get_mut(did) else { return };
        if briefing.knows_size <= size {
            peer.record.knows_size = briefing.knows_size;
            peer.record.knows_log = log_number;
        }
        if briefing.knows_card <= newest {
            peer.record.knows_card = Some(briefing.knows_card);
        }
    }

    /// Compares the checkpoint a peer shows with the one verified before.
    fn check_log(&mut self, did: &Did, state: &LogState, source: Source, now: Timestamp, news: &mut News) {
        let Some(peer) = self.peers.get_mut(did) else { return };
        let Some(shown) = signed_checkpoint(&state.checkpoint, &peer.identity) else { return };
        let shown = shown.checkpoint().clone();
        if shown.origin() != peer.identity.latest().log_origin {
            return;
        }
        if source == Source::Batch {
            if shown.size() < peer.record.shown_in_batch {
                news.ahead.clone_from(&peer.record.verified);
                return self.rolled_back(did, &shown, state, now);
            }
            peer.record.shown_in_batch = shown.size();
        }
        let fits = match &peer.verified {
            None => state.from == 0,
            Some(known) if shown.size() == known.size() => {
                if shown.root() == known.root() {
                    // Cosigned already when it was new; a batch is answered again in case that was lost.
                    if source == Source::Batch {
                        self.cosign(did, news, now);
                    }
                    return;
                }
                let evidence =
                    vec![state.checkpoint.clone(), peer.record.verified.clone().unwrap_or_default()];
                return self.fork_found(did, evidence, "two different roots for one size", now);
            }
            Some(known) if shown.size() < known.size() => {
                // A reply that crossed a batch, or the first batch after a restore.
                news.ahead.clone_from(&peer.record.verified);
                return;
            }
            Some(known) if state.from != known.size() => return,
            Some(known) => merkle::verify_consistency(
                known.size(),
                &known.root(),
                shown.size(),
                &shown.root(),
                &state.proof,
            )
            .is_ok(),
        };
        if !fits {
            if peer.verified.is_some() {
                let evidence =
                    vec![state.checkpoint.clone(), peer.record.verified.clone().unwrap_or_default()];
                self.fork_found(did, evidence, "a newer log that does not contain the older one", now);
            }
            return;
        }
        peer.verified = Some(shown);
        peer.record.verified = Some(state.checkpoint.clone());
        self.cosign(did, news, now);
    }

    /// Batches of one peer arrive in the order in which they were made. One that shows a smaller
    /// log than the batch before comes from a log that was rolled back.
    fn rolled_back(&mut self, did: &Did, shown: &Checkpoint, state: &LogState, now: Timestamp) {
        let Some(peer) = self.peers.get(did) else { return };
        let evidence = vec![state.checkpoint.clone(), peer.record.verified.clone().unwrap_or_default()];
        let before = peer.record.shown_in_batch;
        self.distrust(did, Alarm {
            time: now,
            code: "rollback".into(),
            peer: Some(did.clone()),
            detail: format!(
                "its log has {} leaves, but it showed {before} before: it was rolled back without a word; ask its operator whether a backup was restored",
                shown.size()
            ),
            evidence,
        });
    }

    fn cosign(&mut self, did: &Did, news: &mut News, now: Timestamp) {
        let Some(name) = key_name(self.own.did()) else { return };
        let Some(note) = self.peers.get(did).and_then(|p| p.record.verified.as_deref()) else { return };
        let Ok(mut signed) = SignedCheckpoint::parse(note.as_bytes()) else { return };
        let seconds = now.as_seconds().unsigned_abs();
        if let Ok(cosignature) = signed.checkpoint().cosign(&name, &*self.keys.node, seconds)
            && signed.add(cosignature).is_ok()
        {
            news.cosigned = Some(signed.to_string());
        }
    }

    fn take_cosignature(&mut self, did: &Did, note: &str) {
        let own_origin = self.own.latest().log_origin.clone();
        let own_size = self.log.size();
        let Some(signed) = signed_checkpoint(note, &self.own) else { return };
        let checkpoint = signed.checkpoint();
        let (Some(peer), Some(name)) = (self.peers.get_mut(did), key_name(did)) else { return };
        let cosigned = peer.identity.node_keys().any(|key| signed.verify_cosignature(&name, key).is_ok());
        if cosigned && checkpoint.origin() == own_origin && checkpoint.size() <= own_size {
            let before = peer.record.witnessed.as_deref().and_then(read_checkpoint);
            if before.is_none_or(|b| b.origin() != own_origin || b.size() <= checkpoint.size()) {
                peer.record.witnessed = Some(note.to_owned());
            }
        }
    }

    /// A peer shows a checkpoint of this node's own log that is beyond it: this store was restored
    /// from a backup without saying so. Going on would sign a second history.
    fn check_own_rollback(&mut self, did: &Did, note: &str, now: Timestamp) {
        let Some(shown) = signed_checkpoint(note, &self.own) else { return };
        let shown = shown.checkpoint();
        if shown.origin() != self.own.latest().log_origin
            || shown.size() <= self.log.size()
            || self.halted.is_some()
        {
            return;
        }
        let detail = format!(
            "{did} holds a checkpoint of this node's log with {} leaves, but the store has {}: it is older than what was already signed; run `hiwar backup declare-restore` to go on in a new log",
            shown.size(),
            self.log.size()
        );
        self.halted = Some(detail.clone());
        self.dirty_own = true;
        self.raise(Alarm {
            time: now,
            code: "own-log-behind".into(),
            peer: Some(did.clone()),
            detail,
            evidence: vec![note.to_owned()],
        });
    }

    fn fork_found(&mut self, did: &Did, evidence: Vec<String>, what: &str, now: Timestamp) {
        self.distrust(did, Alarm {
            time: now,
            code: "fork".into(),
            peer: Some(did.clone()),
            detail: format!("it signed {what}; the signed checkpoints are kept as evidence and nothing more of it is accepted"),
            evidence,
        });
    }

    /// Puts entries that a peer lacks, and what they link to, into the queue for it.
    fn serve_wanted(&mut self, view: &dyn View, did: &Did, wanted: &[EntryId]) -> Result<(), EngineError> {
        let mut left: Vec<EntryId> = wanted.iter().take(limits::FETCH_IDS_MAX).copied().collect();
        let mut seen: BTreeSet<EntryId> = left.iter().copied().collect();
        let mut queued = BTreeSet::new();
        while let Some(id) = left.pop() {
            let Some(seq) = view.find(&id)? else { continue };
            let Some(stored) = view.entry(seq)? else { continue };
            let signed = stored.signed()?;
            if !self.may_hold(did, &signed)
                || view.delivery(did, seq)? == Some(crate::ledger::Delivery::Pending)
            {
                continue;
            }
            queued.insert(seq);
            let explicitly = wanted.contains(&id);
            let holds = stored.via.as_ref() == Some(did)
                || signed.entry.author == *did
                || view.delivery(did, seq)?.is_some();
            if (explicitly || !holds) && seen.len() < limits::FETCH_IDS_MAX {
                for prev in &signed.entry.prev {
                    if seen.insert(*prev) && !self.surely_holds(view, did, prev)? {
                        left.push(*prev);
                    }
                }
            }
        }
        for seq in queued {
            self.enqueue(did, seq);
        }
        Ok(())
    }

    /// Whether an entry may go to `did`: it is in the entry's audience, or a participant of the
    /// dialogue that needs to know how its membership came about. What was said before a party
    /// joined stays with those it was said to.
    fn may_hold(&self, did: &Did, signed: &SignedEntry) -> bool {
        let about_membership =
            matches!(signed.entry.body, Body::Membership(_) | Body::Assent(_) | Body::Refusal(_));
        let takes_part = self.dialogues.get(&signed.dialogue()).is_some_and(|d| d.everyone().contains(did));
        takes_part && (about_membership || self.audience(signed).contains(did))
    }

    /// Whether `did` has shown that it holds an entry: it brought it, or receipted it.
    fn surely_holds(&self, view: &dyn View, did: &Did, id: &EntryId) -> Result<bool, EngineError> {
        let Some(seq) = view.find(id)? else { return Ok(true) };
        if view.delivery(did, seq)?.is_some() {
            return Ok(true);
        }
        Ok(view.entry(seq)?.is_none_or(|stored| stored.via.as_ref() == Some(did)))
    }

    fn compare_heads(
        &mut self,
        view: &dyn View,
        did: &Did,
        heads: &BTreeMap<DialogueId, Vec<EntryId>>,
    ) -> Result<(), EngineError> {
        for (dialogue, ids) in heads.iter().take(limits::HEADS_DIALOGUES_MAX) {
            let known = self.dialogues.get(dialogue);
            if known.is_some_and(|d| !d.everyone().contains(did)) {
                continue;
            }
            if known.is_none() {
                // The opening entry is asked for with the newest ones; what comes before it is
                // refused for the time being and comes again.
                self.want(did, *dialogue);
            }
            for id in ids.iter().take(64) {
                if view.find(id)?.is_none() {
                    self.want(did, *id);
                }
            }
        }
        Ok(())
    }

    /// Compares what `via` was shown of a third party's log with what this node was shown.
    fn check_gossip(&mut self, via: &Did, note: &str, now: Timestamp) {
        let Some(checkpoint) = read_checkpoint(note) else { return };
        let third = self
            .peers
            .values()
            .find(|p| p.identity.latest().log_origin == checkpoint.origin())
            .map(|p| p.record.did.clone());
        let Some(third) = third.filter(|t| t != via) else { return };
        let Some(peer) = self.peers.get_mut(&third) else { return };
        if signed_checkpoint(note, &peer.identity).is_none() || peer.record.standing != Standing::Active {
            return;
        }
        match &peer.verified {
            Some(known) if known.size() == checkpoint.size() => {
                if known.root() != checkpoint.root() {
                    let evidence = vec![note.to_owned(), peer.record.verified.clone().unwrap_or_default()];
                    self.fork_found(
                        &third,
                        evidence,
                        &format!("another history for {via} than for this node"),
                        now,
                    );
                }
            }
            _ => {
                if peer.challenges.len() < 64 {
                    peer.challenges.insert(checkpoint.size(), (checkpoint.root(), note.to_owned()));
                }
            }
        }
    }

    /// A peer proves that what a third party was shown belongs to the log it shows here.
    fn check_answers(&mut self, did: &Did, answers: &[ChallengeAnswer], state: &LogState, now: Timestamp) {
        let Some(peer) = self.peers.get_mut(did) else { return };
        let Some(shown) = signed_checkpoint(&state.checkpoint, &peer.identity) else { return };
        let shown = shown.checkpoint().clone();
        if peer.verified.as_ref() != Some(&shown) {
            return;
        }
        for answer in answers.iter().take(16) {
            let Some((root, note)) = peer.challenges.get(&answer.size).cloned() else { continue };
            let proves =
                merkle::verify_consistency(answer.size, &root, shown.size(), &shown.root(), &answer.proof)
                    .is_ok();
            if proves {
                peer.challenges.remove(&answer.size);
            } else {
                let evidence = vec![note, state.checkpoint.clone()];
                return self.fork_found(
                    did,
                    evidence,
                    "another history for a third party than for this node",
                    now,
                );
            }
        }
    }
}
