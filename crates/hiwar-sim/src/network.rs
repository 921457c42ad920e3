//! The tasks around the writer: sessions, requests and answers, delivery and fetching, as the real
//! node has them.

use std::sync::Arc;

use hiwar_dialogue::engine::PushPlan;
use hiwar_dialogue::wire;
use hiwar_trust::did::Did;
use hiwar_trust::identity::{DeliveryMode, Identity};
use hiwar_trust::key::KeyId;

use crate::node::{Asker, Bytes, Channel, Job, Link, Outstanding, Parked, ReplyTo};
use crate::world::{Answer, Event, Message, Packet, Violation, World};

/// A request without answer has failed after this.
const REQUEST_LIMIT_MS: i64 = 10_000;
/// A delivery task looks again at least this often.
const LOOK_AGAIN_MS: i64 = 30_000;
/// Wait after a fetch failed, and the longest wait after it failed again and again.
const FETCH_RETRY_MS: i64 = 2_000;
const FETCH_RETRY_MAX_MS: i64 = 60_000;
/// How long a fetch waits for something.
const FETCH_WAIT_MS: i64 = 20_000;

impl World {
    fn node_key(&self, idx: usize) -> Option<KeyId> {
        Some(self.nodes.get(idx)?.engine.as_ref()?.identity().latest_node_key_id())
    }

    /// Looks after a peer at the latest after `delay_ms`.
    pub(crate) fn poke(&mut self, idx: usize, peer: &Did, delay_ms: i64) {
        let Some(node) = self.nodes.get_mut(idx) else { return };
        if !node.talks_to(peer) {
            return;
        }
        let at = self.now + delay_ms.max(0);
        let life = node.life;
        let tasks = node.tasks.entry(peer.clone()).or_default();
        if tasks.poke_at.is_none_or(|due| due > at) {
            tasks.poke_at = Some(at);
            self.at(delay_ms, Event::Poke { node: idx, life, peer: peer.clone() });
        }
    }

    pub(crate) fn poke_all(&mut self, idx: usize) {
        let peers: Vec<Did> = match self.nodes.get(idx).and_then(|n| n.engine.as_ref()) {
            Some(engine) => engine.peers().map(|p| p.did.clone()).collect(),
            None => return,
        };
        for peer in peers {
            self.poke(idx, &peer, 0);
        }
    }

    pub(crate) fn poked(&mut self, idx: usize, peer: &Did) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(idx) else { return };
        let fetches = node
            .engine
            .as_ref()
            .and_then(|e| e.peer_identity(peer))
            .is_some_and(|i| i.latest().delivery == DeliveryMode::Pull);
        let tasks = node.tasks.entry(peer.clone()).or_default();
        if tasks.poke_at != Some(now) {
            return;
        }
        tasks.poke_at = None;
        if tasks.busy {
            return;
        }
        let fetch = tasks.parked.map(|p| p.asker);
        if fetches && fetch.is_none() {
            return;
        }
        tasks.busy = true;
        self.give(idx, Job::Plan { peer: peer.clone(), fetch });
    }

    /// The delivery task is done with what it did and looks again.
    pub(crate) fn idle(&mut self, idx: usize, peer: &Did, delay_ms: i64) {
        if let Some(tasks) = self.nodes.get_mut(idx).and_then(|n| n.tasks.get_mut(peer)) {
            tasks.busy = false;
        }
        self.poke(idx, peer, delay_ms.min(LOOK_AGAIN_MS));
    }

    /// Some time after a batch was sent, the one to follow is asked for.
    pub(crate) fn ask_ahead(&mut self, idx: usize, peer: &Did, delay_ms: i64) {
        if let Some(node) = self.nodes.get(idx) {
            let life = node.life;
            self.at(delay_ms, Event::AskAhead { node: idx, life, peer: peer.clone() });
        }
    }

    pub(crate) fn asked_ahead(&mut self, idx: usize, peer: &Did) {
        let Some(tasks) = self.nodes.get_mut(idx).and_then(|n| n.tasks.get_mut(peer)) else { return };
        if tasks.push.outstanding.is_some() && tasks.ahead.is_none() && !tasks.asked_ahead {
            tasks.asked_ahead = true;
            self.give(idx, Job::PlanAhead { peer: peer.clone() });
        }
    }

    pub(crate) fn is_pushing(&self, idx: usize, peer: &Did) -> bool {
        let tasks = self.nodes.get(idx).and_then(|n| n.tasks.get(peer));
        tasks.is_some_and(|t| t.push.outstanding.is_some() || t.asked_ahead)
    }

    /// Starts to push a planned batch.
    pub(crate) fn push(&mut self, idx: usize, peer: &Did, plan: PushPlan) {
        let body: Bytes = plan.body.into();
        if let Some(tasks) = self.nodes.get_mut(idx).and_then(|n| n.tasks.get_mut(peer))
            && tasks.sent.len() < 64
        {
            tasks.sent.push(Arc::clone(&body));
        }
        self.post(idx, peer, Some((plan.token, body)), false);
    }

    fn link(&mut self, idx: usize, peer: &Did, fetch: bool) -> Option<&mut Link> {
        let tasks = self.nodes.get_mut(idx)?.tasks.get_mut(peer)?;
        Some(if fetch { &mut tasks.fetch } else { &mut tasks.push })
    }

    /// Posts a batch, or a fetch when there is none, asking for a session first if need be.
    fn post(&mut self, idx: usize, peer: &Did, batch: Option<(u64, Bytes)>, renewed: bool) {
        let fetch = batch.is_none();
        let cards = self.nodes.get(idx).and_then(|n| n.engine.as_ref()).and_then(|engine| {
            Some((engine.identity().latest().sequence, engine.peer_identity(peer)?.latest().sequence))
        });
        self.next_request += 1;
        let request = self.next_request;
        let (Some(cards), Some(key)) = (cards, self.node_key(idx)) else { return };
        let own_cards =
            self.nodes.get(idx).and_then(|n| n.engine.as_ref()).map(|e| e.identity().cards().to_vec());
        let answer = self.nodes.get(idx).and_then(|n| n.tasks.get(peer)).and_then(|t| t.fetch_reply.clone());
        let Some(link) = self.link(idx, peer, fetch) else { return };
        if link.cards != cards {
            link.session = None;
            link.cards = cards;
        }
        let message = match link.session {
            None => Message::OpenSession { key, cards: own_cards.unwrap_or_default() },
            Some(session) => {
                link.number += 1;
                let number = link.number;
                match &batch {
                    Some((_, body)) => Message::Batch { session, number, key, body: Arc::clone(body) },
                    None => Message::Fetch { session, number, key, wait_ms: FETCH_WAIT_MS, answer },
                }
            }
        };
        let opening = link.session.is_none();
        link.outstanding = Some(Outstanding { request, opening, renewed, batch });
        if fetch
            && !opening
            && let Some(tasks) = self.nodes.get_mut(idx).and_then(|n| n.tasks.get_mut(peer))
        {
            // A reply is brought once, whatever becomes of it.
            tasks.fetch_reply = None;
        }
        let me = self.nodes.get(idx).map(|n| (n.did.clone(), n.life));
        let Some((me, life)) = me else { return };
        let Some(to) = self.instance(peer, &me) else { return };
        self.send(Packet { from: idx, to, request, message });
        let limit = if fetch && !opening { REQUEST_LIMIT_MS + FETCH_WAIT_MS } else { REQUEST_LIMIT_MS };
        self.at(limit, Event::TimedOut { node: idx, life, peer: peer.clone(), request, fetch });
    }

    pub(crate) fn fetch(&mut self, idx: usize, peer: &Did) {
        let Some(node) = self.nodes.get_mut(idx) else { return };
        if !node.pull
            || !node.talks_to(peer)
            || node.tasks.entry(peer.clone()).or_default().fetch.outstanding.is_some()
        {
            return;
        }
        self.post(idx, peer, None, false);
    }

    pub(crate) fn fetch_later(&mut self, idx: usize, peer: &Did, delay_ms: i64) {
        if let Some(node) = self.nodes.get(idx) {
            let life = node.life;
            self.at(delay_ms, Event::Fetch { node: idx, life, peer: peer.clone() });
        }
    }

    fn fetch_worked(&mut self, idx: usize, peer: &Did) {
        if let Some(tasks) = self.nodes.get_mut(idx).and_then(|n| n.tasks.get_mut(peer)) {
            tasks.fetches_failed = 0;
        }
        self.fetch_later(idx, peer, 0);
    }

    fn fetch_failed(&mut self, idx: usize, peer: &Did) {
        let Some(tasks) = self.nodes.get_mut(idx).and_then(|n| n.tasks.get_mut(peer)) else { return };
        let wait = FETCH_RETRY_MS.saturating_mul(1 << tasks.fetches_failed.min(20));
        tasks.fetches_failed = tasks.fetches_failed.saturating_add(1);
        self.fetch_later(idx, peer, wait.min(FETCH_RETRY_MAX_MS));
    }

    pub(crate) fn timed_out(&mut self, idx: usize, peer: &Did, request: u64, fetch: bool) {
        let Some(link) = self.link(idx, peer, fetch) else { return };
        if let Some(outstanding) = link.outstanding.take_if(|o| o.request == request) {
            self.post_failed(idx, peer, outstanding);
        }
    }

    /// A request failed for good, as far as its sender can tell.
    fn post_failed(&mut self, idx: usize, peer: &Did, outstanding: Outstanding) {
        match outstanding.batch {
            None => self.fetch_failed(idx, peer),
            Some((token, _)) => {
                if let Some(tasks) = self.nodes.get_mut(idx).and_then(|n| n.tasks.get_mut(peer)) {
                    (tasks.ahead, tasks.asked_ahead) = (None, false);
                    tasks.abandoned.insert(outstanding.request, token);
                    while tasks.abandoned.len() > 8 {
                        tasks.abandoned.pop_first();
                    }
                }
                self.give(idx, Job::Failed { peer: peer.clone(), token, fetch: None });
            }
        }
    }

    pub(crate) fn answer(&mut self, idx: usize, asker: Asker, answer: Result<Answer, &'static str>) {
        let Some(key) = self.node_key(idx) else { return };
        let message = Message::Answer { request: asker.request, key, answer };
        self.next_request += 1;
        let request = self.next_request;
        self.send(Packet { from: idx, to: asker.node, request, message });
    }

    /// A packet arrives at a node that lives.
    pub(crate) fn deliver(&mut self, packet: Packet) -> Result<(), Violation> {
        let Packet { from, to: idx, request, message } = packet;
        let Some(sender) = self.nodes.get(from).map(|n| n.did.clone()) else { return Ok(()) };
        let asker = Asker { node: from, request };
        match message {
            Message::OpenSession { key, cards } => {
                let engine = self.nodes.get(idx).and_then(|n| n.engine.as_ref());
                let Some(held) = engine.and_then(|e| e.peer_identity(&sender)) else { return Ok(()) };
                let known = held.latest().sequence;
                let newer: Vec<_> = cards.into_iter().filter(|c| c.card.sequence > known).take(16).collect();
                if newer.is_empty() {
                    self.grant_session(idx, &sender, asker, key);
                } else {
                    self.give(idx, Job::Learn { peer: sender, cards: newer, asker, key });
                }
            }
            Message::Batch { session, number, key, body } => {
                if let Err(code) = self.admit(idx, &sender, key, session, Channel::Batch, number) {
                    self.answer(idx, asker, Err(code));
                    return Ok(());
                }
                if let Err(code) = self.take_batch(idx, &sender, &body, ReplyTo::Asker(asker))? {
                    self.answer(idx, asker, Err(code));
                }
            }
            Message::Fetch { session, number, key, wait_ms, answer } => {
                if let Err(code) = self.admit(idx, &sender, key, session, Channel::Fetch, number) {
                    self.answer(idx, asker, Err(code));
                    return Ok(());
                }
                self.fetched(idx, &sender, asker, wait_ms, answer);
            }
            Message::Answer { request, key, answer } => self.answered(idx, &sender, request, key, answer)?,
        }
        Ok(())
    }

    /// Who asks must sign with the node key of its newest card, and no request is taken twice.
    fn admit(
        &mut self,
        idx: usize,
        sender: &Did,
        key: KeyId,
        session: u64,
        channel: Channel,
        number: u64,
    ) -> Result<(), &'static str> {
        let Some(node) = self.nodes.get_mut(idx) else { return Err("gone") };
        let held = node.engine.as_ref().and_then(|e| e.peer_identity(sender));
        if held.is_none_or(|i| i.latest_node_key_id() != key) {
            return Err("unknown-key");
        }
        let admitted = node.sessions.admit(sender, session, channel, number);
        if admitted == Err("replayed") {
            self.stats.replays_refused += 1;
        }
        admitted
    }

    pub(crate) fn grant_session(&mut self, idx: usize, sender: &Did, asker: Asker, key: KeyId) {
        self.next_request += 1;
        let name = self.next_request;
        let Some(node) = self.nodes.get_mut(idx) else { return };
        let held = node.engine.as_ref().and_then(|e| e.peer_identity(sender));
        if held.is_none_or(|i| i.latest_node_key_id() != key) {
            return self.answer(idx, asker, Err("unknown-key"));
        }
        node.sessions.start(sender, name);
        let cards = node.engine.as_ref().map(|e| e.identity().cards().to_vec()).unwrap_or_default();
        self.answer(idx, asker, Ok(Answer::Session(name, cards)));
    }

    /// Verifies a batch and has the writer take it.
    fn take_batch(
        &mut self,
        idx: usize,
        sender: &Did,
        body: &[u8],
        to: ReplyTo,
    ) -> Result<Result<(), &'static str>, Violation> {
        let Some(engine) = self.nodes.get_mut(idx).and_then(|n| n.engine.as_mut()) else {
            return Ok(Ok(()));
        };
        let directory = engine.directory();
        match wire::verify_batch(body, &directory) {
            Err(_) => Ok(Err("malformed")),
            Ok(batch) => {
                self.stats.batches += 1;
                self.give(idx, Job::Receive { from: sender.clone(), batch: Box::new(batch), to });
                Ok(Ok(()))
            }
        }
    }

    fn fetched(
        &mut self,
        idx: usize,
        sender: &Did,
        asker: Asker,
        wait_ms: i64,
        answer: Option<(u64, Bytes)>,
    ) {
        let until = self.now + wait_ms;
        let Some(node) = self.nodes.get_mut(idx) else { return };
        let tasks = node.tasks.entry(sender.clone()).or_default();
        tasks.parked = Some(Parked { asker, until });
        let handed = tasks.handed.take();
        let issuer = node.engine.as_ref().and_then(|e| e.peer_identity(sender)).cloned();
        if let (Some((token, body)), Some(issuer)) = (answer, issuer) {
            match wire::verify_reply(&body, &issuer) {
                Ok(reply) => {
                    let job = Job::Settle {
                        peer: sender.clone(),
                        token,
                        reply: Box::new(reply),
                        stale: false,
                        fetch: Some(asker),
                    };
                    self.give(idx, job);
                }
                Err(_) => {
                    tasks.parked = None;
                    self.answer(idx, asker, Err("malformed"));
                }
            }
        } else if let Some(token) = handed {
            self.give(idx, Job::Failed { peer: sender.clone(), token, fetch: Some(asker) });
        } else {
            self.poke(idx, sender, 0);
        }
    }

    /// Plans for a fetch that waits, or tells it that there is nothing.
    pub(crate) fn parked_again(&mut self, idx: usize, peer: &Did, asker: Asker, wake_ms: Option<i64>) {
        let now = self.now;
        let Some(tasks) = self.nodes.get_mut(idx).and_then(|n| n.tasks.get_mut(peer)) else { return };
        tasks.busy = false;
        let Some(parked) = tasks.parked.filter(|p| p.asker.request == asker.request) else {
            if tasks.parked.is_some() {
                self.poke(idx, peer, 0);
            }
            return;
        };
        if now >= parked.until {
            tasks.parked = None;
            self.answer(idx, asker, Ok(Answer::Nothing));
        } else {
            let left = parked.until - now;
            self.poke(idx, peer, wake_ms.unwrap_or(left).min(left));
        }
    }

    fn answered(
        &mut self,
        idx: usize,
        sender: &Did,
        request: u64,
        key: KeyId,
        answer: Result<Answer, &'static str>,
    ) -> Result<(), Violation> {
        let Some(node) = self.nodes.get_mut(idx) else { return Ok(()) };
        let Some(issuer) = node.engine.as_ref().and_then(|e| e.peer_identity(sender)).cloned() else {
            return Ok(());
        };
        let mut genuine = issuer.node_keys().any(|k| k.id() == key);
        let mut newer = Vec::new();
        if let Ok(Answer::Session(_, cards)) = &answer
            && !genuine
        {
            let known = issuer.latest().sequence;
            newer = cards.iter().filter(|c| c.card.sequence > known).take(16).cloned().collect();
            let mut extended = Identity::clone(&issuer);
            let fits = newer.iter().all(|card| extended.extend(card.clone()).is_ok());
            genuine = fits && extended.node_keys().any(|k| k.id() == key);
        }
        let Some(tasks) = node.tasks.get_mut(sender) else { return Ok(()) };
        let fetch = tasks.fetch.outstanding.as_ref().is_some_and(|o| o.request == request);
        let link = if fetch { &mut tasks.fetch } else { &mut tasks.push };
        let Some(outstanding) = link.outstanding.take_if(|o| o.request == request) else {
            return self.late(idx, sender, request, genuine, answer);
        };
        let answer = if genuine || answer.is_err() { answer } else { Err("forged") };
        let trouble = answer.as_ref().err().copied();
        match (answer, outstanding) {
            (Ok(Answer::Session(name, _)), o) if o.opening => {
                (link.session, link.number) = (Some(name), 0);
                if !newer.is_empty() {
                    self.give(idx, Job::LearnAnswered { peer: sender.clone(), cards: newer });
                }
                self.post(idx, sender, o.batch, o.renewed);
            }
            (Err("forged"), o) => {
                // Perhaps a new key: the answer to the next request for a session shows its card.
                link.session = None;
                self.post_failed(idx, sender, o);
            }
            (Err("unknown-session" | "unknown-key"), o) if !o.renewed && !o.opening => {
                link.session = None;
                self.post(idx, sender, o.batch, true);
            }
            (Ok(Answer::Reply(body)), Outstanding { batch: Some((token, sent)), .. }) => {
                // The same answer may come twice.
                tasks.abandoned.insert(request, token);
                match wire::verify_reply(&body, &issuer) {
                    Ok(reply) => {
                        let job = Job::Settle {
                            peer: sender.clone(),
                            token,
                            reply: Box::new(reply),
                            stale: false,
                            fetch: None,
                        };
                        let ahead = tasks.ahead.take();
                        self.give(idx, job);
                        if let Some(ahead) = ahead {
                            self.push_ahead(idx, sender, *ahead)?;
                        }
                    }
                    Err(_) => {
                        let outstanding = Outstanding {
                            request,
                            opening: false,
                            renewed: true,
                            batch: Some((token, sent)),
                        };
                        self.post_failed(idx, sender, outstanding);
                    }
                }
            }
            (Ok(Answer::Batch { token, body }), Outstanding { batch: None, .. }) => {
                if self.take_batch(idx, sender, &body, ReplyTo::Fetched(token))?.is_err() {
                    self.fetch_failed(idx, sender);
                }
            }
            (Ok(Answer::Nothing), Outstanding { batch: None, .. }) => self.fetch_worked(idx, sender),
            (_, outstanding) => self.post_failed(idx, sender, outstanding),
        }
        if let Some(code) = trouble {
            self.note(|| format!("node {idx}: a request to {sender} failed: {code}"));
        }
        Ok(())
    }

    /// An answer that nobody waits for any more: mostly dropped, sometimes settled all the same.
    fn late(
        &mut self,
        idx: usize,
        sender: &Did,
        request: u64,
        genuine: bool,
        answer: Result<Answer, &'static str>,
    ) -> Result<(), Violation> {
        let settle = self.rng.chance(500);
        let Some(node) = self.nodes.get_mut(idx) else { return Ok(()) };
        let token = node.tasks.get_mut(sender).and_then(|t| t.abandoned.remove(&request));
        let issuer = node.engine.as_ref().and_then(|e| e.peer_identity(sender)).cloned();
        let (true, true, Some(token), Some(issuer), Ok(Answer::Reply(body))) =
            (genuine, settle, token, issuer, answer)
        else {
            return Ok(());
        };
        if let Ok(reply) = wire::verify_reply(&body, &issuer) {
            self.stats.stale_replies += 1;
            let reply = Box::new(reply);
            self.give(idx, Job::Settle { peer: sender.clone(), token, reply, stale: true, fetch: None });
        }
        Ok(())
    }

    /// What a batch fetched before came to.
    pub(crate) fn fetched_reply(&mut self, idx: usize, peer: &Did, reply: Option<(u64, Bytes)>) {
        let worked = reply.is_some();
        if let Some(tasks) = self.nodes.get_mut(idx).and_then(|n| n.tasks.get_mut(peer)) {
            tasks.fetch_reply = reply;
        }
        if worked {
            self.fetch_worked(idx, peer);
        } else {
            self.fetch_failed(idx, peer);
        }
    }
}
