//! The briefing that travels with every batch and reply: cards, checkpoints with proofs, receipts,
//! cosignatures, gaps, gossip.

use std::collections::BTreeMap;
use std::sync::Arc;

use hiwar_trust::checkpoint::Checkpoint;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::{Identity, IdentityError, SignedCard};
use hiwar_trust::receipt::SignedReceipt;
use hiwar_trust::time::Timestamp;

use super::witness::GOSSIP_MAX;
use super::{Engine, EngineError};
use crate::entry::EntryId;
use crate::ledger::{Alarm, Seq, Standing, View};
use crate::wire::{Briefing, ChallengeAnswer, LogState};

/// Most cards in one briefing.
const CARDS_MAX: usize = 16;
/// Most sizes that one briefing asks to be proved.
const CHALLENGES_SENT_MAX: usize = 16;

/// What a briefing calls for in the answer.
#[derive(Debug, Default)]
pub(super) struct News {
    /// The other compared heads; do the same.
    pub(super) compare: bool,
    /// The other's checkpoint, cosigned.
    pub(super) cosigned: Option<String>,
    /// The newest verified checkpoint of the other's log, when it showed one that does not go on
    /// from there.
    pub(super) ahead: Option<String>,
}

/// Whether a briefing comes with a batch, in order and answered, or with a reply, which may cross a
/// batch and of which nobody says whether it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Batch,
    Reply,
}

/// What a batch told beside its entries; it counts as told once the batch is answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(super) gossip: BTreeMap<Did, u64>,
    pub(super) files: Vec<Hash>,
    pub(super) cosigned: Option<String>,
}

/// A briefing that came in, with the receipts in it that verified.
pub(super) struct Incoming {
    pub(super) briefing: Briefing,
    pub(super) receipts: Vec<SignedReceipt>,
    pub(super) source: Source,
}

impl Engine {
    /// What this node tells `did` now.
    pub(super) fn brief_out(
        &mut self,
        view: &dyn View,
        did: &Did,
        now: Timestamp,
        compare: bool,
        source: Source,
    ) -> Result<(Briefing, Told), EngineError> {
        let checkpoint = self.checkpoint()?;
        let making = |what: &'static str, why: String| EngineError::Making { what, why };
        let name = checkpoint.origin().parse().map_err(|e| making("a checkpoint", format!("{e}")))?;
        let note = checkpoint
            .sign(&name, &*self.keys.node)
            .map_err(|e| making("a checkpoint", e.to_string()))?
            .to_string();
        let heads = compare.then(|| self.heads_for(did));
        if compare {
            self.want_missing(did);
        }
        let gossip = if source == Source::Batch { self.gossip_for(did) } else { BTreeMap::new() };
        let (log_number, own) = (self.log_number, self.own.clone());
        let peer = self.peer_mut(did)?;
        let mut told = Told::default();
        let mut receipts = Vec::new();
        if let Some(ready) = peer.file_receipt.as_ref().filter(|_| source == Source::Batch) {
            told.files.clone_from(&ready.files);
            receipts.push(ready.wire.clone());
        }
        // A batch that follows another takes for granted that the other arrives.
        let known = peer.flights.back().map(|f| f.shown);
        let (known_log, known_size) = known.unwrap_or((peer.record.knows_log, peer.record.knows_size));
        let in_same_log = known_log == log_number && known_size <= checkpoint.size();
        let from = if in_same_log { known_size } else { 0 };
        let known_cards = peer.record.knows_card.map_or(0, |n| n.saturating_add(1));
        let known_cards = usize::try_from(known_cards).unwrap_or(usize::MAX);
        // Nobody says whether a reply arrived, so this waits for a batch.
        told.cosigned = peer.cosigned.take_if(|_| source == Source::Batch);
        told.gossip = gossip.iter().map(|(third, (_, size))| (third.clone(), *size)).collect();
        let asked = peer.challenges.iter_mut().filter(|(_, c)| compare || c.is_urgent());
        let challenges = asked.take(CHALLENGES_SENT_MAX).map(|(size, challenge)| {
            challenge.ask();
            *size
        });
        let briefing = Briefing {
            time: now,
            knows_card: peer.identity.latest().sequence,
            cards: own.cards().iter().skip(known_cards).take(CARDS_MAX).cloned().collect(),
            log: LogState { checkpoint: note, from, proof: Vec::new() },
            knows_size: peer.verified.as_ref().map_or(0, Checkpoint::size),
            cosigned: told.cosigned.clone(),
            receipts,
            challenges: challenges.collect(),
            wanted: peer.ask_for_wanted(compare),
            heads,
            gossip: gossip.into_values().map(|(note, _)| note).collect(),
            answers: Vec::new(),
            ahead: None,
        };
        let owed_answers = std::mem::take(&mut peer.owed_answers);
        peer.last_exchange = now;
        let proof = if from == 0 { Vec::new() } else { self.consistency(view, from, checkpoint.size())? };
        let mut answers = Vec::new();
        for size in owed_answers.into_iter().filter(|size| (1..=checkpoint.size()).contains(size)) {
            answers.push(ChallengeAnswer { size, proof: self.consistency(view, size, checkpoint.size())? });
        }
        Ok((Briefing { log: LogState { proof, ..briefing.log }, answers, ..briefing }, told))
    }

    /// Takes in what a batch or reply says; the entries of the batch that a reply answers are in
    /// `in_flight`, and those that it settles are taken out.
    pub(super) fn brief_in(
        &mut self,
        view: &dyn View,
        did: &Did,
        incoming: Incoming,
        in_flight: &mut BTreeMap<EntryId, Seq>,
        now: Timestamp,
    ) -> Result<News, EngineError> {
        let Incoming { briefing, receipts, source } = incoming;
        let mut news = News { compare: briefing.heads.is_some(), ..News::default() };
        let peer = self.peer_mut(did)?;
        peer.record.clock_skew_ms = Some(briefing.time.millis_since(now));
        peer.last_exchange = now;
        self.dirty_peers.insert(did.clone());
        // Those of a batch were learned before it was asked whether to deal with its sender.
        if source == Source::Reply {
            self.learn_cards(did, &briefing.cards, now);
        }
        self.note_known(did, &briefing);
        self.check_log(did, &briefing.log, source, now, &mut news);
        self.check_answers(did, &briefing.answers, &briefing.log, source, now);
        if let Some(note) = &briefing.cosigned {
            self.take_cosignature(did, note);
        }
        if let Some(note) = &briefing.ahead {
            self.check_own_rollback(view, did, note, now)?;
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
        for note in briefing.gossip.iter().take(GOSSIP_MAX) {
            self.check_gossip(did, note, now);
        }
        let size = self.log.size();
        let challenges = briefing.challenges.iter().copied().filter(|s| *s <= size);
        self.peer_mut(did)?.owed_answers.extend(challenges.take(CHALLENGES_SENT_MAX));
        Ok(news)
    }

    /// Takes over newer cards of a peer; a card that contradicts a held one ends trust in it.
    pub fn learn_cards(&mut self, did: &Did, cards: &[SignedCard], now: Timestamp) {
        if cards.is_empty() {
            return;
        }
        let Some(peer) = self.peers.get(did) else { return };
        let mut identity = Identity::clone(&peer.identity);
        let mut new_log = None;
        let mut grown = false;
        for card in cards.iter().take(CARDS_MAX) {
            let origin_before = identity.latest().log_origin.clone();
            match identity.extend(card.clone()) {
                Ok(false) => {}
                Ok(true) => {
                    grown = true;
                    if identity.latest().log_origin != origin_before {
                        new_log = Some(card);
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
        if !grown || self.has_node_key_of_another(&identity) {
            return;
        }
        let hash = identity.latest_hash();
        if let Some(peer) = self.peers.get_mut(did) {
            peer.record.cards = identity.cards().to_vec();
            peer.identity = Arc::new(identity);
        }
        self.directory = None;
        self.dirty_peers.insert(did.clone());
        self.append_leaf(&format!("card {hash}"));
        if let Some(card) = new_log {
            self.log_was_replaced(did, card, now);
        }
    }

    /// A peer declared that its log was replaced after a restore.
    pub(super) fn log_was_replaced(&mut self, did: &Did, card: &SignedCard, now: Timestamp) {
        let Some(peer) = self.peers.get_mut(did) else { return };
        let before = peer.verified.take();
        peer.record.verified = None;
        peer.record.shown_in_batch = 0;
        peer.challenges.clear();
        peer.owed_answers.clear();
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
}
