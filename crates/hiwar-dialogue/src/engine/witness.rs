//! Other nodes' logs: each checkpoint must extend the one before, and what third parties were shown
//! must belong to the same log. What fits is cosigned; what contradicts itself ends trust.

use std::collections::BTreeMap;

use hiwar_trust::checkpoint::{Checkpoint, SignedCheckpoint};
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::Identity;
use hiwar_trust::merkle;
use hiwar_trust::receipt::key_name;
use hiwar_trust::time::Timestamp;

use super::brief::{News, Source};
use super::{ASKED_MAX, Engine, EngineError};
use crate::ledger::{Alarm, Standing, View};
use crate::wire::{ChallengeAnswer, LogState};

/// Most checkpoints of one log that wait to be proved.
const CHALLENGES_MAX: usize = 64;
/// A peer that leaves a question unanswered this often in replies raises an alarm.
const UNANSWERED_ALARM: u32 = 8;
/// Most checkpoints of third parties in one briefing.
pub(super) const GOSSIP_MAX: usize = 16;

/// A checkpoint of a peer's log that a third party was shown and this node was not.
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    root: Hash,
    note: String,
    /// How often the peer was asked to prove it.
    asked: u32,
    /// In how many replies it did not.
    unanswered: u32,
}

impl Challenge {
    pub(super) fn is_urgent(&self) -> bool {
        self.asked < ASKED_MAX
    }

    pub(super) fn ask(&mut self) {
        self.asked = self.asked.saturating_add(1);
    }
}

/// The checkpoint in a signed note, whoever signed it.
pub(super) fn read_checkpoint(note: &str) -> Option<Checkpoint> {
    Some(SignedCheckpoint::parse(note.as_bytes()).ok()?.checkpoint().clone())
}

/// The checkpoint in a note that a node key of `identity` signed for one of its logs.
fn signed_checkpoint(note: &str, identity: &Identity) -> Option<SignedCheckpoint> {
    let parsed = SignedCheckpoint::parse(note.as_bytes()).ok()?;
    let name = parsed.checkpoint().origin().parse().ok()?;
    let own = identity.log_origins().any(|o| o == parsed.checkpoint().origin());
    let signed = own && identity.node_keys().any(|key| parsed.verify(&name, key).is_ok());
    signed.then_some(parsed)
}

impl Engine {
    /// Newest verified checkpoints of third parties that share a dialogue with `did` and that it
    /// was not told of yet.
    pub(super) fn gossip_for(&self, did: &Did) -> BTreeMap<Did, (String, u64)> {
        let mut out = BTreeMap::new();
        let (Some(peer), Some(circle)) = (self.peers.get(did), self.circles.get(did)) else { return out };
        for third in circle.iter().filter(|third| *third != did) {
            if out.len() >= GOSSIP_MAX {
                break;
            }
            let Some(other) = self.peers.get(third) else { continue };
            if let (Some(checkpoint), Some(note)) = (&other.verified, &other.record.verified)
                && peer.gossiped.get(third) != Some(&checkpoint.size())
            {
                out.insert(third.clone(), (note.clone(), checkpoint.size()));
            }
        }
        out
    }

    /// Compares the checkpoint a peer shows with the one verified before.
    pub(super) fn check_log(
        &mut self,
        did: &Did,
        state: &LogState,
        source: Source,
        now: Timestamp,
        news: &mut News,
    ) {
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
            Some(known) if shown.size() < known.size() || state.from != known.size() => {
                // A reply that crossed a batch, or a log that was put back to an older state: its
                // owner can tell which, once it sees what was verified of it.
                news.ahead.clone_from(&peer.record.verified);
                return;
            }
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
                news.ahead.clone_from(&peer.record.verified);
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

    pub(super) fn take_cosignature(&mut self, did: &Did, note: &str) {
        let own_origin = self.own.latest().log_origin.clone();
        let own_size = self.log.size();
        let Some(signed) = signed_checkpoint(note, &self.own) else { return };
        let checkpoint = signed.checkpoint();
        let (Some(peer), Some(name)) = (self.peers.get_mut(did), key_name(did)) else { return };
        let cosigned = peer.identity.node_keys().any(|key| signed.verify_cosignature(&name, key).is_ok());
        if cosigned && checkpoint.origin() == own_origin && checkpoint.size() <= own_size {
            let before = peer.record.witnessed.as_deref().and_then(read_checkpoint);
            let of_ended_log = before.as_ref().is_some_and(|b| b.origin() != own_origin);
            if of_ended_log {
                peer.record.witnessed_before.extend(peer.record.witnessed.take());
            }
            if of_ended_log || before.is_none_or(|b| b.size() <= checkpoint.size()) {
                peer.record.witnessed = Some(note.to_owned());
            }
        }
    }

    /// A peer shows a checkpoint that this node signed and its log does not contain: the store was
    /// restored from a backup without saying so. Going on would sign a second history.
    pub(super) fn check_own_rollback(
        &mut self,
        view: &dyn View,
        did: &Did,
        note: &str,
        now: Timestamp,
    ) -> Result<(), EngineError> {
        let Some(shown) = signed_checkpoint(note, &self.own) else { return Ok(()) };
        let shown = shown.checkpoint();
        if shown.origin() != self.own.latest().log_origin || self.halted.is_some() {
            return Ok(());
        }
        if shown.size() <= self.log.size() && self.root_at(view, shown.size())? == shown.root() {
            return Ok(());
        }
        let detail = format!(
            "{did} holds a checkpoint of this node's log with {} leaves that the store, with {}, does not contain: the store is older than what was already signed; run `hiwar backup declare-restore` to go on in a new log",
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
        Ok(())
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

    /// Compares what `via` was shown of a third party's log with what this node was shown.
    pub(super) fn check_gossip(&mut self, via: &Did, note: &str, now: Timestamp) {
        let Some(checkpoint) = read_checkpoint(note) else { return };
        let third = self
            .peers
            .values()
            .find(|p| p.identity.latest().log_origin == checkpoint.origin())
            .map(|p| p.record.did.clone());
        let Some(third) = third.filter(|t| t != via) else { return };
        let Some(peer) = self.peers.get_mut(&third) else { return };
        if peer.record.standing != Standing::Active {
            return;
        }
        let same_size = peer.verified.as_ref().filter(|known| known.size() == checkpoint.size());
        if same_size.is_some_and(|known| known.root() == checkpoint.root())
            || (same_size.is_none() && peer.challenges.len() >= CHALLENGES_MAX)
            || peer.challenges.get(&checkpoint.size()).is_some_and(|c| c.root == checkpoint.root())
            || signed_checkpoint(note, &peer.identity).is_none()
        {
            return;
        }
        if same_size.is_some() {
            let evidence = vec![note.to_owned(), peer.record.verified.clone().unwrap_or_default()];
            let what = format!("another history for {via} than for this node");
            return self.fork_found(&third, evidence, &what, now);
        }
        if let Some(other) = peer.challenges.get(&checkpoint.size()) {
            let evidence = vec![note.to_owned(), other.note.clone()];
            return self.fork_found(&third, evidence, "two histories for two third parties", now);
        }
        let challenge = Challenge { root: checkpoint.root(), note: note.to_owned(), asked: 0, unanswered: 0 };
        peer.challenges.insert(checkpoint.size(), challenge);
    }

    /// A peer proves that what a third party was shown belongs to the log it shows here.
    pub(super) fn check_answers(
        &mut self,
        did: &Did,
        answers: &[ChallengeAnswer],
        state: &LogState,
        source: Source,
        now: Timestamp,
    ) {
        let Some(peer) = self.peers.get_mut(did) else { return };
        if peer.challenges.is_empty() {
            return;
        }
        // Only a checkpoint that was verified just now, or before, is one to prove against.
        let Some(shown) = peer.verified.clone() else { return };
        if read_checkpoint(&state.checkpoint).as_ref() != Some(&shown) {
            return;
        }
        for answer in answers.iter().take(16) {
            let Some(challenge) = peer.challenges.get(&answer.size) else { continue };
            let proof = merkle::verify_consistency(
                answer.size,
                &challenge.root,
                shown.size(),
                &shown.root(),
                &answer.proof,
            );
            if proof.is_err() {
                let evidence = vec![challenge.note.clone(), state.checkpoint.clone()];
                let what = "another history for a third party than for this node";
                return self.fork_found(did, evidence, what, now);
            }
            peer.challenges.remove(&answer.size);
        }
        if source == Source::Reply {
            self.count_unanswered(did, shown.size(), now);
        }
    }

    fn count_unanswered(&mut self, did: &Did, size: u64, now: Timestamp) {
        let Some(peer) = self.peers.get_mut(did) else { return };
        let mut silent = Vec::new();
        for (_, challenge) in peer.challenges.range_mut(..=size).filter(|(_, c)| c.asked > 0) {
            challenge.unanswered = challenge.unanswered.saturating_add(1);
            if challenge.unanswered == UNANSWERED_ALARM {
                silent.push(challenge.note.clone());
            }
        }
        if !silent.is_empty() {
            self.raise(Alarm {
                time: now,
                code: "challenge-unanswered".into(),
                peer: Some(did.clone()),
                detail: "it does not prove that the log it showed to others is the one it shows here; ask its operator".into(),
                evidence: silent,
            });
        }
    }
}
