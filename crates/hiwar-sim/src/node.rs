//! One node: the engine, its store, and the state of the tasks around them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use hiwar_dialogue::engine::{Draft, Engine, EngineConfig, Keys, Plan, PushPlan};
use hiwar_dialogue::entry::EntryId;
use hiwar_dialogue::ledger::Store as _;
use hiwar_dialogue::wire::{VerifiedBatch, VerifiedReply};
use hiwar_store::memory::MemoryStore;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::{CARD_TYPE, Card, DeliveryMode, LogContinuation, RevokedKey, SignedCard};
use hiwar_trust::key::{KeyId, SoftwareKey};
use hiwar_trust::time::Timestamp;

use crate::faults::Restore;

/// Where virtual time starts on every clock without skew: 2027-01-15.
const EPOCH_MS: i64 = 1_800_000_000_000;

/// Bytes on the wire.
pub(crate) type Bytes = Arc<[u8]>;

/// What a request's numbers are counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Channel {
    Batch,
    Fetch,
}

/// Where the answer to a request goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    pub(crate) node: usize,
    pub(crate) request: u64,
}

/// Where the reply to a batch goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ReplyTo {
    /// The batch was pushed.
    Asker(Asker),
    /// The batch was fetched under this token.
    Fetched(u64),
}

/// What the writer is asked to do.
pub(crate) enum Job {
    Command(Draft),
    Receive { from: Did, batch: Box<VerifiedBatch>, to: ReplyTo },
    Settle { peer: Did, token: u64, reply: Box<VerifiedReply>, stale: bool, fetch: Option<Asker> },
    Failed { peer: Did, token: u64, fetch: Option<Asker> },
    Plan { peer: Did, fetch: Option<Asker> },
    PlanAhead { peer: Did },
    Learn { peer: Did, cards: Vec<SignedCard>, asker: Asker, key: KeyId },
    LearnAnswered { peer: Did, cards: Vec<SignedCard> },
    Adopt { card: Box<SignedCard>, keys: Keys, key_number: u64 },
    FileStored { sha256: Hash, authors: Vec<Did> },
}

/// What a job came to; it leaves the node once the group is durable.
pub(crate) enum Done {
    Command(Result<EntryId, &'static str>),
    Received { from: Did, to: ReplyTo, result: Result<Vec<u8>, &'static str> },
    Settled { peer: Did, token: u64, stale: bool, fetch: Option<Asker>, ok: bool },
    Failed { peer: Did, fetch: Option<Asker> },
    Planned { peer: Did, fetch: Option<Asker>, plan: Option<Plan> },
    PlannedAhead { peer: Did, plan: Option<Box<PushPlan>> },
    Learned { peer: Did, asker: Asker, key: KeyId },
    Adopted,
    Nothing,
}

/// A request that waits for its answer.
#[derive(Clone, Debug)]
pub(crate) struct Outstanding {
    pub(crate) request: u64,
    pub(crate) opening: bool,
    pub(crate) renewed: bool,
    /// The batch to push; nothing for a fetch.
    pub(crate) batch: Option<(u64, Bytes)>,
}

/// One link to a peer: a session, its counter and at most one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Link {
    pub(crate) session: Option<u64>,
    pub(crate) number: u64,
    pub(crate) outstanding: Option<Outstanding>,
    pub(crate) cards: (u64, u64),
}

/// A fetch that waits here for something to hand out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parked {
    pub(crate) asker: Asker,
    pub(crate) until: i64,
}

/// The tasks for one peer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    pub(crate) push: Link,
    pub(crate) fetch: Link,
    pub(crate) busy: bool,
    pub(crate) poke_at: Option<i64>,
    pub(crate) fetch_reply: Option<(u64, Bytes)>,
    /// The batch to follow the one under way.
    pub(crate) ahead: Option<Box<PushPlan>>,
    /// Whether that was asked for and is not there yet.
    pub(crate) asked_ahead: bool,
    /// How many fetches failed in a row.
    pub(crate) fetches_failed: u32,
    pub(crate) parked: Option<Parked>,
    pub(crate) handed: Option<u64>,
    /// Requests given up on, with their tokens; their answers may still come.
    pub(crate) abandoned: BTreeMap<u64, u64>,
    /// Bodies pushed before, for a dishonest node to use again.
    pub(crate) sent: Vec<Bytes>,
}

#[derive(Debug, Default)]
struct PeerSessions {
    names: VecDeque<(u64, u64)>,
    started: u64,
    last: BTreeMap<Channel, (u64, u64)>,
}

/// The sessions that peers opened here.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    peers: BTreeMap<Did, PeerSessions>,
}

impl Sessions {
    pub(crate) fn start(&mut self, peer: &Did, name: u64) {
        let sessions = self.peers.entry(peer.clone()).or_default();
        sessions.started += 1;
        sessions.names.push_back((sessions.started, name));
        if sessions.names.len() > 8 {
            sessions.names.pop_front();
        }
    }

    pub(crate) fn admit(
        &mut self,
        peer: &Did,
        name: u64,
        channel: Channel,
        number: u64,
    ) -> Result<(), &'static str> {
        let sessions = self.peers.get_mut(peer).ok_or("unknown-session")?;
        let started = sessions.names.iter().find(|(_, n)| *n == name).map(|(s, _)| *s);
        let at = (started.ok_or("unknown-session")?, number);
        let last = sessions.last.entry(channel).or_insert((0, 0));
        if at <= *last {
            return Err("replayed");
        }
        *last = at;
        Ok(())
    }
}

/// One simulated node.
pub(crate) struct Node {
    pub(crate) did: Did,
    pub(crate) engine: Option<Engine>,
    pub(crate) store: MemoryStore,
    pub(crate) keys: Keys,
    pub(crate) key_number: u64,
    /// Keys written to disk for a card that may or may not have become durable.
    pub(crate) next_keys: Option<(Keys, u64)>,
    pub(crate) config: EngineConfig,
    pub(crate) life: u64,
    pub(crate) inbox: VecDeque<Job>,
    pub(crate) working: bool,
    pub(crate) sessions: Sessions,
    pub(crate) tasks: BTreeMap<Did, Tasks>,
    pub(crate) offset_ms: i64,
    pub(crate) pull: bool,
    pub(crate) honest: bool,
    /// Whom this instance of a forked node talks to; everyone when absent.
    pub(crate) serves: Option<BTreeSet<Did>>,
    pub(crate) restored: Option<Restore>,
    pub(crate) backup: Option<MemoryStore>,
    pub(crate) restore_pending: Option<Restore>,
}

/// The key of a participant with a purpose and number, the same in every run.
pub(crate) fn key(did: &Did, purpose: &str, number: u64) -> Arc<SoftwareKey> {
    Arc::new(SoftwareKey::from_seed(&Hash::of(format!("{did} {purpose} {number}").as_bytes()).0))
}

pub(crate) fn keys(did: &Did, organisation: u64, node: u64) -> Keys {
    Keys { organisation: key(did, "organisation", organisation), node: key(did, "node", node) }
}

impl Node {
    pub(crate) fn now(&self, virtual_ms: i64) -> Timestamp {
        Timestamp::from_millis(EPOCH_MS + virtual_ms + self.offset_ms)
    }

    pub(crate) fn first_card(did: &Did, pull: bool, keys: &Keys, now: Timestamp) -> Card {
        Card {
            kind: CARD_TYPE.into(),
            did: did.clone(),
            name: did.to_string(),
            sequence: 0,
            previous: None,
            time: now,
            organisation_key: keys.organisation.public_key().clone(),
            node_key: keys.node.public_key().clone(),
            recovery_key: None,
            endpoints: if pull { Vec::new() } else { vec!["https://node.example".into()] },
            tls_key: None,
            delivery: if pull { DeliveryMode::Pull } else { DeliveryMode::Push },
            log_origin: format!("{did}/log/1"),
            log_continues: None,
            revoked: Vec::new(),
        }
    }

    /// The next card, unchanged but for its place in the chain.
    fn following(&self, now: Timestamp) -> Option<Card> {
        let engine = self.engine.as_ref()?;
        let identity = engine.identity();
        let latest = identity.latest().clone();
        let previous = Some(identity.latest_hash());
        let time = engine.card_time(now);
        Some(Card { sequence: latest.sequence + 1, previous, time, log_continues: None, ..latest })
    }

    /// A card with new keys, and the keys.
    pub(crate) fn rotated(
        &self,
        organisation: bool,
        node: bool,
        revoke: bool,
        now: Timestamp,
    ) -> Option<(SignedCard, Keys, u64)> {
        let mut card = self.following(now)?;
        let number = self.key_number + 1;
        let mut keys = self.keys.clone();
        if organisation {
            keys.organisation = key(&self.did, "organisation", number);
            card.organisation_key = keys.organisation.public_key().clone();
            if revoke {
                let old = self.keys.organisation.public_key().id();
                card.revoked.push(RevokedKey {
                    key: old,
                    since: now.plus_millis(-60_000),
                    reason: "lost".into(),
                });
            }
        }
        if node {
            keys.node = key(&self.did, "node", number);
            card.node_key = keys.node.public_key().clone();
        }
        let signed = card.sign(&[&*self.keys.organisation, &*keys.organisation]).ok()?;
        Some((signed, keys, number))
    }

    /// The card that goes on in a new log after a restore.
    pub(crate) fn restored_card(&self, now: Timestamp) -> Option<SignedCard> {
        let (number, tail) = self.engine.as_ref()?.log();
        let (size, root) = (tail.size(), tail.root());
        let mut card = self.following(now)?;
        card.log_continues = Some(LogContinuation { origin: card.log_origin.clone(), size, root });
        card.log_origin = format!("{}/log/{}", self.did, number + 1);
        card.sign(&[&*self.keys.organisation]).ok()
    }

    /// Builds the engine from what is durable.
    pub(crate) fn load(&mut self, virtual_ms: i64) -> Result<(), String> {
        let now = self.now(virtual_ms);
        let snapshot = self.store.snapshot().map_err(|e| e.to_string())?;
        // A card and the key files are not made durable together: a start tries both pairs.
        if let Some((next, number)) = self.next_keys.take()
            && let Ok(engine) =
                Engine::load(self.config.clone(), next.clone(), snapshot.clone(), &self.store, now)
        {
            (self.keys, self.key_number, self.engine) = (next, number, Some(engine));
            return Ok(());
        }
        let engine = Engine::load(self.config.clone(), self.keys.clone(), snapshot, &self.store, now);
        self.engine = Some(engine.map_err(|e| e.to_string())?);
        Ok(())
    }

    /// Whether this instance talks to `peer`.
    pub(crate) fn talks_to(&self, peer: &Did) -> bool {
        self.serves.as_ref().is_none_or(|s| s.contains(peer))
    }

    /// Forgets everything that is not on disk.
    pub(crate) fn die(&mut self) {
        self.engine = None;
        self.store.crash();
        self.inbox.clear();
        self.working = false;
        self.sessions = Sessions::default();
        self.life += 1;
        for tasks in self.tasks.values_mut() {
            *tasks = Tasks { sent: std::mem::take(&mut tasks.sent), ..Tasks::default() };
        }
    }
}
