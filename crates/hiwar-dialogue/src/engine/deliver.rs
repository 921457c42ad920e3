//! What to send to which peer, when, and what became of it.

use std::collections::{BTreeMap, BTreeSet};

use hiwar_trust::did::Did;
use hiwar_trust::identity::{DeliveryMode, KeyStatus};
use hiwar_trust::key::{KeyError, KeyId, Signature};
use hiwar_trust::time::Timestamp;

use super::brief::{Incoming, Source, Told};
use super::witness::Challenge;
use super::{Engine, EngineError, Peer};
use crate::entry::EntryId;
use crate::ledger::{Alarm, Change, Delivery, LogNumber, PeerRecord, Seq, Standing, StoredEntry, View};
use crate::wire::{self, BatchHeader, EntryRefusal, PROTOCOL, VerifiedReply};

/// So often in a row delivery must have failed before what waits is given up.
const GIVE_UP_ATTEMPTS_MIN: u32 = 100;

/// A batch that was handed out and not yet answered.
#[derive(Clone, Debug)]
pub(crate) struct InFlight {
    pub(crate) token: u64,
    pub(crate) items: BTreeMap<EntryId, Seq>,
    /// The entries by their line, for refusals of lines that could not be read.
    pub(crate) lines: Vec<Seq>,
    /// Where delivery had got when it was made.
    pub(crate) start: Seq,
    pub(crate) last: Seq,
    /// The log and its size that the batch shows.
    pub(crate) shown: (LogNumber, u64),
    pub(crate) sent: Timestamp,
    pub(crate) compared: bool,
    pub(crate) told: Told,
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
                in_flight: !p.flights.is_empty(),
                cursor: p.cursor,
            })
            .collect()
    }

    pub(super) fn enqueue(&mut self, did: &Did, seq: Seq) {
        if let Some(peer) = self.peers.get_mut(did) {
            peer.backlog += 1;
            peer.cursor = peer.cursor.min(seq.saturating_sub(1));
            peer.queued_from = Some(peer.queued_from.map_or(seq, |from| from.min(seq)));
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
        let Some(peer) = self.peers.get_mut(did) else { return Ok(Plan::Wait(None)) };
        if peer.record.standing != Standing::Active {
            return Ok(Plan::Wait(None));
        }
        if let Some(flight) = peer.flights.front() {
            let answer_due = flight.sent.plus_millis(pull_answer_ms);
            if !is_due(answer_due, now, pull_answer_ms) {
                return Ok(Plan::Wait(Some(answer_due)));
            }
            peer.lose_flights();
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
        let entries = if peer.backlog > 0 {
            view.queued(did, peer.cursor, self.config.batch_entries, self.config.batch_bytes)?
        } else {
            Vec::new()
        };
        if entries.is_empty() && !compare {
            let wakes = self.next_wake(did, now);
            return match wakes {
                Some(at) if at <= now => Ok(Plan::Push(self.push(view, did, Vec::new(), compare, now)?)),
                later => Ok(Plan::Wait(later)),
            };
        }
        Ok(Plan::Push(self.push(view, did, entries, compare, now)?))
    }

    /// Makes the batch to follow the one that is under way, when there is a full one: it can be
    /// sent the moment the other is answered, before that answer is settled. It must not be sent
    /// earlier, and not at all when the other fails.
    ///
    /// # Errors
    /// When the store fails or the batch cannot be made.
    pub fn plan_ahead(
        &mut self,
        view: &dyn View,
        did: &Did,
        now: Timestamp,
    ) -> Result<Option<Box<PushPlan>>, EngineError> {
        let batch_entries = self.config.batch_entries;
        let Some(peer) = self.peers.get(did) else { return Ok(None) };
        let (Some(first), 1) = (peer.flights.front(), peer.flights.len()) else { return Ok(None) };
        let full = first.items.len().saturating_add(batch_entries) as u64;
        // What was queued at an earlier position goes first, with the next batch but this.
        let older = peer.queued_from.is_some_and(|from| from <= first.last);
        let active = peer.record.standing == Standing::Active && self.halted.is_none();
        if !active || older || peer.backlog < full {
            return Ok(None);
        }
        let entries = view.queued(did, first.last, batch_entries, self.config.batch_bytes)?;
        if entries.is_empty() {
            return Ok(None);
        }
        self.push(view, did, entries, false, now).map(Some)
    }

    /// When there will be something to tell `did` although no entry waits for it.
    fn next_wake(&self, did: &Did, now: Timestamp) -> Option<Timestamp> {
        let peer = self.peers.get(did)?;
        let idle_until = peer.last_exchange.min(now).plus_millis(self.config.witness_ms);
        let grown = peer.record.knows_log != self.log_number || peer.record.knows_size < self.log.size();
        // What others' logs say goes along with the next batch, at the latest when heads are compared.
        let has_news = grown
            || peer.record.knows_card != Some(self.own.latest().sequence)
            || !peer.record.owed_attachments.is_empty()
            || peer.has_wanted()
            || peer.challenges.values().any(Challenge::is_urgent)
            || !peer.owed_answers.is_empty();
        let news = has_news.then_some(idle_until);
        [news, peer.revisit, Some(peer.compare_due)].into_iter().flatten().min()
    }

    fn push(
        &mut self,
        view: &dyn View,
        did: &Did,
        entries: Vec<StoredEntry>,
        compare: bool,
        now: Timestamp,
    ) -> Result<Box<PushPlan>, EngineError> {
        self.make_file_receipt(view, did, now)?;
        let (briefing, told) = self.brief_out(view, did, now, compare, Source::Batch)?;
        let header = BatchHeader {
            protocol: PROTOCOL.into(),
            from: self.did().clone(),
            to: did.clone(),
            entries: entries.len(),
            briefing,
        };
        let making = |why: String| EngineError::Making { what: "a batch", why };
        let mut signatures = Vec::with_capacity(entries.len());
        for entry in &entries {
            signatures.push(self.signature_today(entry).map_err(|e| making(e.to_string()))?);
        }
        let signed = entries.iter().zip(&signatures);
        let body = wire::write_batch(&header, signed.map(|(e, (key, s))| (&*e.content, *key, s)))
            .map_err(|e| making(e.to_string()))?;
        let token = self.next_token;
        self.next_token = self.next_token.wrapping_add(1);
        let shown = (self.log_number, self.log.size());
        let peer = self.peer_mut(did)?;
        peer.queued_from = None;
        let start = peer.flights.back().map_or(peer.cursor, |flight| flight.last);
        peer.flights.push_back(InFlight {
            token,
            start,
            last: entries.last().map_or(start, |e| e.seq),
            items: entries.iter().map(|e| (e.id, e.seq)).collect(),
            lines: entries.iter().map(|e| e.seq).collect(),
            shown,
            sent: now,
            compared: compare,
            told,
        });
        Ok(Box::new(PushPlan { to: did.clone(), token, body, entries: entries.len() }))
    }

    /// The key and signature under which an entry goes out. An own entry whose key is not believed
    /// any more is signed again with the present one, which is what tells it from a thief's.
    fn signature_today(&self, entry: &StoredEntry) -> Result<(KeyId, Signature), KeyError> {
        let doubtful = match self.own.organisation_key(entry.key) {
            _ if entry.key == self.own_key => false,
            (_, KeyStatus::Current | KeyStatus::Unknown) => false,
            (_, KeyStatus::Revoked { .. }) => true,
            // Only a clock that jumped back makes an entry look younger than the end of its key.
            (_, KeyStatus::Retired { at }) => entry.signed().is_ok_and(|signed| signed.entry.time > at),
        };
        if doubtful {
            Ok((self.own_key, self.keys.organisation.sign(&entry.content)?))
        } else {
            Ok((entry.key, entry.signature))
        }
    }

    /// A batch could not be delivered, or was answered with an error as a whole.
    pub fn failed(&mut self, did: &Did, token: u64, now: Timestamp) {
        let config = self.config.clone();
        let Some(peer) = self.peers.get_mut(did) else { return };
        if !peer.flights.iter().any(|f| f.token == token) {
            return;
        }
        peer.lose_flights();
        peer.attempts = peer.attempts.saturating_add(1);
        let doubled = config.retry_first_ms.saturating_mul(1 << peer.attempts.min(20).saturating_sub(1));
        let wait = doubled.min(config.retry_max_ms);
        // Jitter of up to a quarter, from what differs between nodes and attempts.
        let spread = token.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_right(32)
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
        // A clock that jumps ahead is no reason to give up: it must have been tried, too.
        let overdue = peer.record.down_since.is_some_and(|since| now.millis_since(since) >= give_up_ms)
            && peer.attempts >= GIVE_UP_ATTEMPTS_MIN;
        if !overdue || peer.backlog == 0 || !peer.flights.is_empty() {
            return Ok(());
        }
        let waiting = view.queued(did, peer.record.settled_through, 4096, usize::MAX)?;
        let expired = waiting.len();
        for entry in &waiting {
            self.delivered(did, entry.seq, Delivery::Expired);
        }
        if let (Some(peer), Some(last)) = (self.peers.get_mut(did), waiting.last()) {
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
        reply: VerifiedReply,
        now: Timestamp,
    ) -> Result<(), EngineError> {
        self.must_deal_with(did)?;
        let peer = self.peer_mut(did)?;
        let at = peer.flights.iter().position(|f| f.token == token);
        let mut flight = at.and_then(|at| peer.flights.remove(at));
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
        if let Some(flight) = &mut flight {
            peer.gossiped.append(&mut flight.told.gossip);
            if !flight.told.files.is_empty() {
                peer.file_receipt = None;
            }
            for sha256 in &flight.told.files {
                peer.record.owed_attachments.remove(sha256);
            }
        }
        let mut items = flight.as_mut().map(|f| std::mem::take(&mut f.items)).unwrap_or_default();
        let lines = flight.as_mut().map(|f| std::mem::take(&mut f.lines)).unwrap_or_default();
        let (reply, receipts) = reply.into_parts();
        let incoming = Incoming { briefing: reply.briefing, receipts, source: Source::Reply };
        let news = self.brief_in(view, did, incoming, &mut items, now)?;
        let mut waiting: BTreeSet<Seq> = items.into_values().collect();
        for refusal in reply.refused {
            self.refused(did, &lines, &mut waiting, refusal, now);
        }
        if let Some(cosigned) = news.cosigned {
            self.peer_mut(did)?.cosigned = Some(cosigned);
        }
        if let Some(flight) = flight {
            self.advance(view, did, &flight, !waiting.is_empty(), now)?;
        }
        self.dirty_peers.insert(did.clone());
        Ok(())
    }

    /// Moves on behind a batch that was answered. What it left unsettled is sent again later, at
    /// growing intervals.
    fn advance(
        &mut self,
        view: &dyn View,
        did: &Did,
        flight: &InFlight,
        unsettled: bool,
        now: Timestamp,
    ) -> Result<(), EngineError> {
        let config = &self.config;
        let first_ms = config.retry_first_ms.saturating_mul(8);
        let older = self.waits_before(view, did, flight.start)?;
        let Some(peer) = self.peers.get_mut(did) else { return Ok(()) };
        // What was queued meanwhile at an earlier position goes out before anything later.
        let queued_before = peer.queued_from.filter(|from| *from <= flight.last);
        peer.cursor = queued_before.map_or(flight.last, |from| from.saturating_sub(1));
        if unsettled || older {
            if peer.revisit.is_none() {
                let wait = first_ms.saturating_mul(1 << peer.revisits.min(20)).min(config.retry_max_ms);
                peer.revisit = Some(now.plus_millis(wait));
                peer.revisits = peer.revisits.saturating_add(1);
            }
        } else if queued_before.is_none() {
            peer.revisit = None;
            peer.revisits = 0;
            peer.record.settled_through = peer.record.settled_through.max(flight.last);
        }
        Ok(())
    }

    /// Whether something at or below `start` waits for `did`, but for what was settled just now.
    fn waits_before(&self, view: &dyn View, did: &Did, start: Seq) -> Result<bool, EngineError> {
        let Some(peer) = self.peers.get(did) else { return Ok(false) };
        let after = peer.record.settled_through;
        if after >= start || peer.backlog == 0 {
            return Ok(false);
        }
        let none = BTreeSet::new();
        let settled = self.fresh.settled.get(did).unwrap_or(&none);
        let before = settled.range(..=start).count();
        let waiting = view.queued(did, after, before.saturating_add(1), usize::MAX)?;
        Ok(waiting.iter().any(|e| e.seq <= start && !settled.contains(&e.seq)))
    }

    /// The peer refused an entry of the batch: for good, or for the time being.
    fn refused(
        &mut self,
        did: &Did,
        lines: &[Seq],
        waiting: &mut BTreeSet<Seq>,
        refusal: EntryRefusal,
        now: Timestamp,
    ) {
        let Some(seq) = lines.get(refusal.line).copied() else { return };
        if refusal.code.may_pass_later() || !waiting.remove(&seq) {
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

    /// Notes what became of an entry that waits for `did`.
    pub(super) fn delivered(&mut self, did: &Did, seq: Seq, delivery: Delivery) {
        if let Some(peer) = self.peers.get_mut(did) {
            peer.backlog = peer.backlog.saturating_sub(1);
        }
        self.fresh.settled.entry(did.clone()).or_default().insert(seq);
        self.changes.push(Change::Delivered { peer: did.clone(), seq, delivery });
    }
}

impl Peer {
    /// The batches under way were lost: what they told goes with the next one.
    fn lose_flights(&mut self) {
        for lost in self.flights.drain(..) {
            if let Some(cosigned) = lost.told.cosigned {
                self.cosigned.get_or_insert(cosigned);
            }
        }
    }
}
