//! One simulated node: the real engine over a store in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hiwar_dialogue::engine::{CommandError, Draft, Engine, EngineConfig, EngineError, Keys, Plan};
use hiwar_dialogue::entry::EntryId;
use hiwar_dialogue::ledger::{Store as _, StoreError};
use hiwar_dialogue::wire::{self, Reply};
use hiwar_store::memory::MemoryStore;
use hiwar_trust::did::Did;
use hiwar_trust::identity::{CARD_TYPE, Card, DeliveryMode, LogContinuation, RevokedKey, SignedCard};
use hiwar_trust::key::{KeyHolder as _, SoftwareKey};
use hiwar_trust::time::Timestamp;

/// Start of the simulated time.
pub(crate) const EPOCH_MS: i64 = 1_561_942_800_000;

/// What became of something a node was asked to do.
pub(crate) enum Done<T> {
    /// Decided and durable.
    Kept(T),
    /// Not durable: the node crashed or its disk was full.
    Lost,
    /// Refused.
    Refused(String),
}

/// A simulated node.
pub(crate) struct SimNode {
    pub(crate) did: Did,
    pub(crate) store: MemoryStore,
    pub(crate) engine: Option<Engine>,
    pub(crate) keys: Keys,
    pub(crate) clock_offset_ms: i64,
    pub(crate) delivery: DeliveryMode,
    pub(crate) acknowledged: Vec<EntryId>,
    pub(crate) backup: Option<(MemoryStore, Keys)>,
    pub(crate) restored: u32,
    /// With whom a forked twin talks; everybody when empty.
    pub(crate) only: BTreeSet<usize>,
    /// Session and last number used towards each node.
    pub(crate) session: BTreeMap<usize, (u64, u64)>,
    /// Sessions known and the last number seen, by node and session.
    pub(crate) seen: BTreeMap<usize, (u64, u64)>,
    /// Reply to the last batch fetched from each node.
    pub(crate) fetched: BTreeMap<usize, (u64, Vec<u8>)>,
    /// The request by which it last fetched from each node; only its answer counts.
    pub(crate) asked: BTreeMap<usize, (u64, u64)>,
    key_count: u8,
}

fn key(node: u8, kind: u8, number: u8) -> SoftwareKey {
    let mut seed = [0; 32];
    for (byte, value) in seed.iter_mut().zip([node, kind, number, 1]) {
        *byte = value;
    }
    SoftwareKey::from_seed(&seed)
}

pub(crate) fn config() -> EngineConfig {
    EngineConfig { batch_entries: 8, compare_ms: 300_000, pull_answer_ms: 5_000, ..EngineConfig::standard() }
}

impl SimNode {
    pub(crate) fn new(number: u8, delivery: DeliveryMode) -> Self {
        let did: Did = format!("did:web:node{number}.example").parse().expect("a valid identifier");
        let keys = Keys { organisation: Arc::new(key(number, 0, 0)), node: Arc::new(key(number, 1, 0)) };
        let endpoints = if delivery == DeliveryMode::Push {
            vec![format!("https://node{number}.example")]
        } else {
            Vec::new()
        };
        let card = Card {
            kind: CARD_TYPE.into(),
            did: did.clone(),
            name: format!("Node {number}"),
            sequence: 0,
            previous: None,
            time: Timestamp::from_millis(EPOCH_MS),
            organisation_key: keys.organisation.public_key().clone(),
            node_key: keys.node.public_key().clone(),
            recovery_key: None,
            endpoints,
            tls_key: None,
            delivery,
            log_origin: format!("{did}/log/1"),
            log_continues: None,
            revoked: Vec::new(),
        };
        let signed = card.sign(&[&*keys.organisation]).expect("a software key signs");
        let mut store = MemoryStore::new();
        store.apply(&Engine::found(signed).expect("a valid card")).expect("an empty store takes it");
        store.commit().expect("there is room");
        let mut node = Self {
            did,
            store,
            engine: None,
            keys,
            clock_offset_ms: 0,
            delivery,
            acknowledged: Vec::new(),
            backup: None,
            restored: 0,
            only: BTreeSet::new(),
            session: BTreeMap::new(),
            seen: BTreeMap::new(),
            fetched: BTreeMap::new(),
            asked: BTreeMap::new(),
            key_count: 0,
        };
        node.start(Timestamp::from_millis(EPOCH_MS));
        node
    }

    pub(crate) fn now(&self, virtual_ms: i64) -> Timestamp {
        Timestamp::from_millis(EPOCH_MS + virtual_ms + self.clock_offset_ms)
    }

    /// Starts the node from what is durable.
    pub(crate) fn start(&mut self, now: Timestamp) {
        self.seen.clear();
        self.fetched.clear();
        self.asked.clear();
        for session in self.session.values_mut() {
            *session = (session.0 + 1, 0);
        }
        let snapshot = self.store.snapshot().expect("memory can be read");
        let engine = Engine::load(config(), self.keys.clone(), snapshot, &self.store, now);
        self.engine = Some(engine.expect("what was kept can be loaded"));
    }

    /// Loses everything that is not durable.
    pub(crate) fn crash(&mut self) {
        self.engine = None;
        self.store.crash();
    }

    pub(crate) fn is_up(&self) -> bool {
        self.engine.is_some()
    }

    /// Decides with the engine and makes the changes durable, or crashes before that.
    fn decide<T>(
        &mut self,
        now: Timestamp,
        crash_before_commit: bool,
        decide: impl FnOnce(&mut Engine, &MemoryStore) -> Result<T, EngineError>,
    ) -> Done<T> {
        let Some(engine) = &mut self.engine else { return Done::Lost };
        let result = decide(engine, &self.store);
        let changes = engine.take_changes();
        let applied = self.store.apply(&changes);
        if let Err(error) = &applied {
            panic!("{}: the store does not take a decision: {error}", self.did);
        }
        if crash_before_commit {
            self.crash();
            return Done::Lost;
        }
        if let Err(error) = self.store.commit() {
            assert!(matches!(error, StoreError::Full(_)), "{}: {error}", self.did);
            self.start(now);
            return Done::Lost;
        }
        match result {
            Ok(value) => Done::Kept(value),
            Err(EngineError::Store(error)) => panic!("{}: {error}", self.did),
            Err(error) => Done::Refused(error.to_string()),
        }
    }

    pub(crate) fn command(
        &mut self,
        draft: Draft,
        now: Timestamp,
        crash: bool,
    ) -> Done<Result<EntryId, CommandError>> {
        let done = self.decide(now, crash, |engine, store| match engine.command(store, draft, now) {
            Ok((_, signed)) => Ok(Ok(signed.id)),
            Err(CommandError::Engine(error @ EngineError::Store(_))) => Err(error),
            Err(error) => Ok(Err(error)),
        });
        if let Done::Kept(Ok(id)) = &done {
            self.acknowledged.push(*id);
        }
        done
    }

    pub(crate) fn plan(&mut self, peer: &Did, now: Timestamp) -> Option<(u64, Vec<u8>)> {
        match self.decide(now, false, |engine, store| engine.plan(store, peer, now)) {
            Done::Kept(Plan::Push(push)) => Some((push.token, push.body)),
            _ => None,
        }
    }

    /// Takes a batch; the reply as it travels.
    pub(crate) fn receive(&mut self, from: &Did, body: &[u8], now: Timestamp, crash: bool) -> Done<Vec<u8>> {
        let Some(engine) = &mut self.engine else { return Done::Lost };
        let directory = engine.directory();
        let batch = match wire::verify_batch(body, &directory) {
            Ok(batch) => batch,
            Err(error) => return Done::Refused(error.to_string()),
        };
        if batch.header.from != *from || batch.header.to != self.did {
            return Done::Refused("another destination or sender".into());
        }
        match self.decide(now, crash, |engine, store| engine.receive(store, from, batch, now)) {
            Done::Kept(reply) => Done::Kept(write(&reply)),
            Done::Lost => Done::Lost,
            Done::Refused(why) => Done::Refused(why),
        }
    }

    pub(crate) fn settle(&mut self, peer: &Did, token: u64, body: &[u8], now: Timestamp, crash: bool) {
        let Some(engine) = &mut self.engine else { return };
        let Some(identity) = engine.peer_identity(peer).cloned() else { return };
        match wire::verify_reply(body, &identity) {
            Ok(reply) => {
                let done =
                    self.decide(now, crash, |engine, store| engine.settle(store, peer, token, reply, now));
                if let Done::Refused(_) = done {
                    self.failed(peer, token, now);
                }
            }
            Err(_) => self.failed(peer, token, now),
        }
    }

    pub(crate) fn failed(&mut self, peer: &Did, token: u64, now: Timestamp) {
        self.decide(now, false, |engine, store| {
            engine.failed(peer, token, now);
            engine.give_up(store, peer, now)
        });
    }

    pub(crate) fn learn(&mut self, peer: &Did, cards: &[SignedCard], now: Timestamp) {
        self.decide(now, false, |engine, _| {
            engine.learn_cards(peer, cards, now);
            Ok(())
        });
    }

    pub(crate) fn trust_again(&mut self, peer: &Did, now: Timestamp) {
        self.decide(now, false, |engine, _| engine.trust_again(peer, now));
    }

    fn next_card(&self) -> Option<Card> {
        let identity = self.engine.as_ref()?.identity();
        let latest = identity.latest().clone();
        Some(Card {
            sequence: latest.sequence + 1,
            previous: Some(identity.latest_hash()),
            log_continues: None,
            ..latest
        })
    }

    /// Brings a new organisation key into force, and perhaps a new node key.
    pub(crate) fn rotate(&mut self, number: u8, with_node_key: bool, revoke: bool, now: Timestamp) {
        let Some(mut card) = self.next_card() else { return };
        self.key_count += 1;
        let new = key(number, 2, self.key_count);
        let node: Arc<dyn hiwar_trust::key::KeyHolder> =
            if with_node_key { Arc::new(key(number, 3, self.key_count)) } else { self.keys.node.clone() };
        card.time = now;
        card.organisation_key = new.public_key().clone();
        card.node_key = node.public_key().clone();
        if revoke {
            let key = self.keys.organisation.public_key().id();
            card.revoked.push(RevokedKey { key, since: now, reason: "simulated".into() });
        }
        let signed = card.sign(&[&*self.keys.organisation, &new]).expect("software keys sign");
        let keys = Keys { organisation: Arc::new(new), node };
        let adopted = keys.clone();
        if let Done::Kept(()) = self.decide(now, false, |engine, _| engine.adopt_card(signed, adopted)) {
            self.keys = keys;
        }
        self.renew_sessions();
    }

    /// A newer card is shown with a new session.
    fn renew_sessions(&mut self) {
        for session in self.session.values_mut() {
            *session = (session.0 + 1, 0);
        }
    }

    /// Goes on in a new log, as after a restore that is declared.
    pub(crate) fn declare_restore(&mut self, now: Timestamp) -> bool {
        let Some(mut card) = self.next_card() else { return false };
        let Some(engine) = &self.engine else { return false };
        let (number, tail) = engine.log();
        card.time = now;
        card.log_continues =
            Some(LogContinuation { origin: card.log_origin.clone(), size: tail.size(), root: tail.root() });
        card.log_origin = format!("{}/log/{}", self.did, number + 1);
        let signed = card.sign(&[&*self.keys.organisation]).expect("a software key signs");
        let keys = self.keys.clone();
        let done = self.decide(now, false, |engine, _| engine.adopt_card(signed, keys));
        self.renew_sessions();
        matches!(done, Done::Kept(()))
    }
}

fn write(reply: &Reply) -> Vec<u8> {
    serde_json::to_vec(reply).expect("a reply can be written")
}
