//! What to send to which peer, when, and what became of it.

use std::collections::BTreeMap;

use hiwar_trust::did::Did;
use hiwar_trust::identity::DeliveryMode;
use hiwar_trust::receipt::{ItemKind, SignedReceipt};
use hiwar_trust::time::Timestamp;

use super::{Engine, EngineError};
use crate::entry::EntryId;
use crate::ledger::{Alarm, Change, Delivery, Direction, PeerRecord, Seq, Standing, View};
use crate::wire::{self, BatchHeader, EntryRefusal, PROTOCOL, VerifiedReply};

/// A batch that was handed out and not yet answered.
#[derive(Clone, Debug)]
pub(crate) struct InFlight {
    pub(crate) token: u64,
    pub(crate) items: BTreeMap<EntryId, Seq>,
    pub(crate) last: Seq,
    pub(crate) sent: Timestamp,
    pub(crate) compared: bool,
    /// Files whose receipts are in it.
    pub(crate) owed: Vec<hiwar_trust::hash::Hash>,
    /// Third parties' log sizes that are told in it.
    pub(crate) gossip: BTreeMap<Did, u64>,
}

/// A batch to send.
#[derive(Clone, Debug)]
pub struct PushPlan {
    /// Whom to send it to.
    pub to: Did,
    /// Names the batch when its outcome is reported.
    pub token: u64,
    /// The bytes.
    pub body: Vec<u8>,
    /// How many entries are in it.
    pub entries: usize,
}

/// What to do about a peer now.
#[derive(Clone, Debug)]
pub enum Plan {
    /// Send this.
    Push(Box<PushPlan>),
    /// Nothing until then, or until something new happens.
    Wait(Option<Timestamp>),
}

/// How delivery to a peer stands, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// The peer.
    pub record: PeerRecord,
    /// How many entries wait.
    pub backlog: u64,
    /// Failed attempts in a row.
    pub attempts: u32,
    /// When the next attempt is due.
    pub next_attempt: Timestamp,
    /// Whether a batch is under way.
    pub in_flight: bool,
    /// Up to which position delivery has got; what waits before it is looked at again later.
    pub cursor: Seq,
}

/// Whether a timer has run out. No timer of the engine runs longer than `longest_ms`; one that
/// seems to was set before the clock jumped back, and has run out as well.
fn is_due(at: Timestamp, now: Timestamp, longest_ms: i64) -> bool {
    at <= now || at.millis_since(now) > longest_ms
}

impl Engine {
    /// How delivery to each peer stands.
    pub fn peer_statuses(&self) -> Vec<PeerStatus> {
        self.peers
            .values()
            .map(|p| PeerStatus {
                record: p.record.clone(),
                backlog: p.backlog,
                attempts: p.attempts,
                next_attempt: p.next_attempt,
                in_flight: p.in_flight.is_some(),
                cursor: p.cursor,
            })
            .collect()
    }

    pub(super) fn enqueue(&mut self, did: &Did, seq: Seq) {
        if let Some(peer) = self.peers.get_mut(did) {
            peer.backlog += 1;
            if seq <= peer.cursor {
                peer.cursor = seq.saturating_sub(1);
            }
            if seq <= peer.record.settled_through {
                peer.record.settled_through = seq.saturating_sub(1);
                self.dirty_peers.insert(did.clone());
            }
            self.changes.push(Change::Queue { peer: did.clone(), seq });
        }
    }

    /// Decides what to send to `did` now. The engine must hold nothing but what is durable, since
    /// what the batch says about this node's log leaves with it.
    ///
    /// # Errors
    /// When the store fails or the batch cannot be made.
    pub fn plan(&mut self, view: &dyn View, did: &Did, now: Timestamp) -> Result<Plan, EngineError> {
        if self.halted.is_some() {
            return Ok(Plan::Wait(None));
        }
        let pull_answer_ms = self.config.pull_answer_ms;
        // The longest wait with its jitter.
        let retry_longest_ms = self.config.retry_max_ms + self.config.retry_max_ms / 4;
        let latest_card = self.own.latest().sequence;
        let Some(peer) = self.peers.get_mut(did) else { return Ok(Plan::Wait(None)) };
        if peer.record.standing != Standing::Active {
            return Ok(Plan::Wait(None));
        }
        if let Some(flight) = &peer.in_flight {
            let answer_due = flight.sent.plus_millis(pull_answer_ms);
            if !is_due(answer_due, now, pull_answer_ms) {
                return Ok(Plan::Wait(Some(answer_due)));
            }
            peer.in_flight = None;
        }
        let fetches = peer.identity.latest().delivery == DeliveryMode::Pull;
        if !fetches && !is_due(peer.next_attempt, now, retry_longest_ms) {
            return Ok(Plan::Wait(Some(peer.next_attempt)));
        }
        if peer.revisit.is_some_and(|at| is_due(at, now, retry_longest_ms)) {
            peer.revisit = None;
            peer.cursor = peer.record.settled_through;
        }
        let compare = is_due(peer.compare_due, now, self.config.compare_ms);
        let urgent = compare
            || peer.record.knows_card != Some(latest_card)
            || !peer.record.owed_attachments.is_empty();
        let entries = if peer.backlog > 0 {
            view.queued(did, peer.cursor, self.config.batch_entries, self.config.batch_bytes)?
        } else {
            Vec::new()
        };
        if entries.is_empty() && !urgent {
            let wakes = self.next_wake(did, now);
            return match wakes {
                Some(at) if at <= now => self.push(view, did, Vec::new(), compare, now),
                later => Ok(Plan::Wait(later)),
            };
        }
        self.push(view, did, entries, compare, now)
    }

    /// When there will be something to tell `did` although no entry waits for it.
    fn next_wake(&self, did: &Did, now: Timestamp) -> Option<Timestamp> {
        let peer = self.peers.get(did)?;
        let idle_until = peer.last_exchange.min(now).plus_millis(self.config.witness_ms);
        let grown = peer.record.knows_log != self.log_number || peer.record.knows_size < self.log.size();
        let has_news = grown
            || peer.cosigned.is_some()
            || peer.has_wanted()
            || !peer.challenges.is_empty()
            || !peer.owed_answers.is_empty()
            || !self.gossip_for(did).is_empty();
        let news = has_news.then_some(idle_until);
        [news, peer.revisit, Some(peer.compare_due)].into_iter().flatten().min()
    }

    fn push(
        &mut self,
        view: &dyn View,
        did: &Did,
        entries: Vec<crate::ledger::StoredEntry>,
        compare: bool,
        now: Timestamp,
    ) -> Result<Plan, EngineError> {
        let owed = self.owed_to(did);
        let gossip = self.gossip_for(did).into_iter().map(|(third, (_, size))| (third, size)).collect();
        let briefing = self.brief_out(view, did, now, compare, owed.clone(), true)?;
        let header = BatchHeader {
            protocol: PROTOCOL.into(),
            from: self.did().clone(),
            to: did.clone(),
            entries: entries.len(),
            briefing,
        };
        let body = wire::write_batch(&header, entries.iter().map(|e| (&*e.content, e.key, &e.signature)))
            .map_err(|e| EngineError::Making { what: "a batch", why: e.to_string() })?;
        let peer = self.peer_mut(did)?;
        let token = u64::from(peer.attempts) ^ now.as_millis().unsigned_abs().rotate_left(16) ^ peer.cursor;
        peer.in_flight = Some(InFlight {
            token,
            last: entries.last().map_or(peer.cursor, |e| e.seq),
            items: entries.iter().map(|e| (e.id, e.seq)).collect(),
            sent: now,
            compared: compare,
            owed: owed.iter().map(|item| item.hash).collect(),
            gossip,
        });
        Ok(Plan::Push(Box::new(PushPlan { to: did.clone(), token, body, entries: entries.len() })))
    }

    /// A batch could not be delivered, or was answered with an error as a whole.
    pub fn failed(&mut self, did: &Did, token: u64, now: Timestamp) {
        let config = self.config.clone();
        let Some(peer) = self.peers.get_mut(did) else { return };
        if peer.in_flight.as_ref().is_none_or(|f| f.token != token) {
            return;
        }
        peer.in_flight = None;
        peer.attempts = peer.attempts.saturating_add(1);
        let doubled = config.retry_first_ms.saturating_mul(1 << peer.attempts.min(20).saturating_sub(1));
        let wait = doubled.min(config.retry_max_ms);
        // Jitter of up to a quarter, from what differs between nodes and attempts.
        let spread = token.rotate_right(16)
            ^ did.as_str().bytes().fold(0, |a: u64, b| a.rotate_left(5) ^ u64::from(b));
        let quarter = u64::try_from(wait / 4).unwrap_or(0);
        let jitter = i64::try_from(spread % (quarter + 1)).unwrap_or(0);
        peer.next_attempt = now.plus_millis(wait + jitter);
        peer.compare_due = peer.compare_due.min(now);
        let down_since = *peer.record.down_since.get_or_insert(now);
        self.dirty_peers.insert(did.clone());
        let down_ms = now.millis_since(down_since);
        if down_ms >= config.unreachable_alarm_ms && !peer.record.down_alarmed {
            peer.record.down_alarmed = true;
            let backlog = peer.backlog;
            self.raise(Alarm {
                time: now,
                code: "unreachable".into(),
                peer: Some(did.clone()),
                detail: format!("it has not answered since {down_since}; {backlog} entries wait for it and are kept; tell its operator"),
                evidence: Vec::new(),
            });
        }
    }

    /// Gives up on what waits for a peer that stayed unreachable too long: each entry gets the
    /// final state `expired`, and an alarm names them.
    ///
    /// # Errors
    /// When the store fails.
    pub fn give_up(&mut self, view: &dyn View, did: &Did, now: Timestamp) -> Result<(), EngineError> {
        let give_up_ms = self.config.give_up_ms;
        let Some(peer) = self.peers.get_mut(did) else { return Ok(()) };
        let overdue = peer.record.down_since.is_some_and(|since| now.millis_since(since) >= give_up_ms);
        if !overdue || peer.backlog == 0 || peer.in_flight.is_some() {
            return Ok(());
        }
        let waiting = view.queued(did, peer.record.settled_through, 4096, usize::MAX)?;
        let expired = waiting.len();
        for entry in &waiting {
            self.changes.push(Change::Delivered {
                peer: did.clone(),
                seq: entry.seq,
                delivery: Delivery::Expired,
            });
        }
        if let (Some(peer), Some(last)) = (self.peers.get_mut(did), waiting.last()) {
            peer.backlog = peer.backlog.saturating_sub(expired as u64);
            peer.record.settled_through = last.seq;
            peer.cursor = peer.cursor.max(last.seq);
            self.dirty_peers.insert(did.clone());
            self.raise(Alarm {
                time: now,
                code: "delivery-expired".into(),
                peer: Some(did.clone()),
                detail: format!(
                    "{expired} entries up to position {} were given up; the peer can still ask for them",
                    last.seq
                ),
                evidence: Vec::new(),
            });
        }
        Ok(())
    }

    /// A batch was answered.
    ///
    /// # Errors
    /// When the peer is not to be dealt with, or the store fails.
    pub fn settle(
        &mut self,
        view: &dyn View,
        did: &Did,
        token: u64,
        mut reply: VerifiedReply,
        now: Timestamp,
    ) -> Result<(), EngineError> {
        self.must_deal_with(did)?;
        let mut flight = self.peer_mut(did)?.in_flight.take_if(|f| f.token == token);
        if let Some(compare_ms) = flight.as_ref().filter(|f| f.compared).map(|_| self.config.compare_ms) {
            self.peer_mut(did)?.compare_due = now.plus_millis(compare_ms);
        }
        let peer = self.peer_mut(did)?;
        let was_down = peer.record.down_since.take().is_some();
        peer.attempts = 0;
        peer.next_attempt = now;
        if was_down {
            peer.record.down_alarmed = false;
            peer.compare_due = now;
        }
        let items = flight.as_mut().map(|f| std::mem::take(&mut f.items)).unwrap_or_default();
        let refusals = std::mem::take(&mut reply.reply.refused);
        let news = self.brief_in_reply(view, did, reply, &items, now)?;
        for refusal in refusals {
            self.refused(did, &items, refusal, now);
        }
        if let Some(cosigned) = news.cosigned {
            self.peer_mut(did)?.cosigned = Some(cosigned);
        }
        if let Some(flight) = flight {
            let peer = self.peer_mut(did)?;
            for sha256 in &flight.owed {
                peer.record.owed_attachments.remove(sha256);
            }
            peer.gossiped.extend(flight.gossip);
            self.advance(view, did, flight.last, now)?;
        }
        self.dirty_peers.insert(did.clone());
        Ok(())
    }

    fn advance(&mut self, view: &dyn View, did: &Did, last: Seq, now: Timestamp) -> Result<(), EngineError> {
        let pending = self.pending_after_changes(view, did, last)?;
        // What was asked for in the very reply that is being settled is queued, but the view does
        // not show it yet.
        let asked_for = self
            .changes
            .iter()
            .filter_map(|c| match c {
                Change::Queue { peer, seq } if peer == did && *seq <= last => Some(seq.saturating_sub(1)),
                _ => None,
            })
            .min();
        let retry_ms = self.config.retry_first_ms.saturating_mul(8).min(self.config.retry_max_ms);
        let Some(peer) = self.peers.get_mut(did) else { return Ok(()) };
        if peer.cursor <= last {
            peer.cursor = asked_for.unwrap_or(last);
        }
        if pending {
            peer.revisit.get_or_insert(now.plus_millis(retry_ms));
        } else if asked_for.is_none() && peer.revisit.is_none() && peer.record.settled_through < last {
            peer.record.settled_through = last;
        }
        Ok(())
    }

    /// Whether something at or below `last` still waits for `did`, with the changes just decided.
    fn pending_after_changes(&self, view: &dyn View, did: &Did, last: Seq) -> Result<bool, EngineError> {
        let Some(peer) = self.peers.get(did) else { return Ok(false) };
        if peer.backlog == 0 {
            return Ok(false);
        }
        let waiting = view.queued(
            did,
            peer.record.settled_through,
            self.config.batch_entries.saturating_mul(2),
            usize::MAX,
        )?;
        let settled: std::collections::BTreeSet<Seq> = self
            .changes
            .iter()
            .filter_map(|c| match c {
                Change::Delivered { peer, seq, .. } if peer == did => Some(*seq),
                _ => None,
            })
            .collect();
        Ok(waiting.iter().any(|e| e.seq <= last && !settled.contains(&e.seq)))
    }

    fn refused(&mut self, did: &Did, items: &BTreeMap<EntryId, Seq>, refusal: EntryRefusal, now: Timestamp) {
        let by_line = || {
            items.values().copied().collect::<std::collections::BTreeSet<_>>().into_iter().nth(refusal.line)
        };
        let seq = refusal.entry.and_then(|id| items.get(&id).copied()).or_else(by_line);
        let Some(seq) = seq else { return };
        if refusal.code.may_pass_later() {
            return;
        }
        let code = refusal.code.as_str().to_owned();
        let detail: String = refusal.detail.chars().take(500).collect();
        self.raise(Alarm {
            time: now,
            code: "refused".into(),
            peer: Some(did.clone()),
            detail: format!("it refused the entry at position {seq} for good ({code}): {detail}"),
            evidence: Vec::new(),
        });
        self.delivered(did, seq, Delivery::Refused { code, detail });
    }

    fn delivered(&mut self, did: &Did, seq: Seq, delivery: Delivery) {
        if let Some(peer) = self.peers.get_mut(did) {
            peer.backlog = peer.backlog.saturating_sub(1);
        }
        self.changes.push(Change::Delivered { peer: did.clone(), seq, delivery });
    }

    /// Keeps a verified receipt and settles what it covers.
    pub(super) fn receipted(
        &mut self,
        view: &dyn View,
        did: &Did,
        receipt: SignedReceipt,
        in_flight: &BTreeMap<EntryId, Seq>,
    ) -> Result<(), EngineError> {
        let mut entries = Vec::new();
        let mut files = Vec::new();
        for item in &receipt.receipt.items {
            match item.kind {
                ItemKind::Attachment => files.push(item.hash),
                ItemKind::Entry => {
                    let id = EntryId(item.hash);
                    let seq = match in_flight.get(&id) {
                        Some(seq) => Some(*seq),
                        None => view.find(&id)?,
                    };
                    // A late reply may bring the same receipt once more; only what waits is settled.
                    let known = match seq {
                        Some(seq) if view.delivery(did, seq)? == Some(Delivery::Pending) => Some(seq),
                        _ => None,
                    };
                    entries.extend(known);
                }
            }
        }
        let already = |engine: &Self, seq: Seq| {
            engine
                .changes
                .iter()
                .any(|c| matches!(c, Change::Delivered { peer, seq: s, .. } if peer == did && *s == seq))
        };
        // In the usual case this is the only receipt of the call and nothing was settled before.
        let any_before = self.changes.iter().any(|c| matches!(c, Change::Delivered { .. }));
        if any_before {
            let keep: Vec<Seq> = entries.into_iter().filter(|seq| !already(self, *seq)).collect();
            entries = keep;
        }
        if entries.is_empty() && files.is_empty() {
            return Ok(());
        }
        let number = self.next_receipt;
        self.next_receipt += 1;
        self.note_leaf(&receipt.note);
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
}
