//! The world: virtual time, the event heap, the network, and the run of one seed.

use std::collections::{BTreeMap, BTreeSet};

use hiwar_dialogue::entry::EntryId;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::SignedCard;
use hiwar_trust::key::KeyId;

use crate::faults::Swarm;
use crate::node::{Bytes, Node};
use crate::rng::Rng;
use crate::stats::Stats;

/// An invariant that does not hold, or an error that should not happen.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The virtual time, in milliseconds.
    pub at_ms: i64,
    /// What is wrong.
    pub what: String,
}

/// What travels.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    OpenSession { key: KeyId, cards: Vec<SignedCard> },
    Batch { session: u64, number: u64, key: KeyId, body: Bytes },
    Fetch { session: u64, number: u64, key: KeyId, wait_ms: i64, answer: Option<(u64, Bytes)> },
    Answer { request: u64, key: KeyId, answer: Result<Answer, &'static str> },
}

/// What a request is answered with.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A session's name, and the cards of the node that grants it: its node key may be new.
    Session(u64, Vec<SignedCard>),
    Reply(Bytes),
    Batch {
        token: u64,
        body: Bytes,
    },
    Nothing,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) request: u64,
    pub(crate) message: Message,
}

/// What happens at a time.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Deliver(Box<Packet>),
    Work { node: usize, life: u64 },
    Poke { node: usize, life: u64, peer: Did },
    TimedOut { node: usize, life: u64, peer: Did, request: u64, fetch: bool },
    Fetch { node: usize, life: u64, peer: Did },
    AskAhead { node: usize, life: u64, peer: Did },
    Restart { node: usize },
    Act,
    Speak { node: usize, of: EntryId },
    FileArrives { node: usize, sha256: Hash, authors: Vec<Did> },
    Fault,
    HealPartition { from: usize, to: usize },
}

/// Virtual time at which the first faults may happen, so that nodes have met.
const FAULTS_FROM_MS: i64 = 2_000;

/// Everything in one run.
pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) swarm: Swarm,
    pub(crate) now: i64,
    pub(crate) events: BTreeMap<(i64, u64), Event>,
    next_event: u64,
    pub(crate) next_request: u64,
    pub(crate) nodes: Vec<Node>,
    /// Cut connections, from and to.
    pub(crate) cut: BTreeSet<(usize, usize)>,
    pub(crate) faults_on: bool,
    pub(crate) stats: Stats,
    pub(crate) trace: bool,
    pub(crate) acts_left: usize,
    /// Root of every checkpoint that an honest node let go, by origin and size.
    pub(crate) roots: BTreeMap<(String, u64), Hash>,
    /// Entries acknowledged to a desk, by node.
    pub(crate) acknowledged: BTreeMap<usize, BTreeSet<EntryId>>,
    /// Size of the dishonest node's log when it forked.
    pub(crate) fork_size: Option<u64>,
    /// Nodes put back to less than they had shown, and nobody said so.
    pub(crate) undeclared_loss: BTreeSet<usize>,
    /// How often a node has tried to speak about a membership.
    pub(crate) speaking: BTreeMap<(usize, EntryId), u32>,
    /// All entries that an honest node holds.
    pub(crate) known: BTreeMap<EntryId, crate::oracle::Known>,
}

impl World {
    pub(crate) fn new(seed: u64, trace: bool) -> Self {
        let mut rng = Rng::new(seed);
        let swarm = Swarm::draw(&mut rng);
        if trace {
            println!("{swarm:#?}");
        }
        let acts_left = swarm.actions;
        Self {
            rng,
            swarm,
            now: 0,
            events: BTreeMap::new(),
            next_event: 0,
            next_request: 0,
            nodes: Vec::new(),
            cut: BTreeSet::new(),
            faults_on: false,
            stats: Stats { seeds: 1, ..Stats::default() },
            trace,
            acts_left,
            roots: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            fork_size: None,
            undeclared_loss: BTreeSet::new(),
            speaking: BTreeMap::new(),
            known: BTreeMap::new(),
        }
    }

    pub(crate) fn wrong(&self, what: impl Into<String>) -> Violation {
        Violation { at_ms: self.now, what: what.into() }
    }

    pub(crate) fn note(&self, text: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>9} {}", self.now, text());
        }
    }

    pub(crate) fn at(&mut self, delay_ms: i64, event: Event) {
        self.next_event += 1;
        self.events.insert((self.now + delay_ms.max(0), self.next_event), event);
    }

    /// The instance of `did` that talks to `other`.
    pub(crate) fn instance(&self, did: &Did, other: &Did) -> Option<usize> {
        self.nodes.iter().position(|n| n.did == *did && n.talks_to(other))
    }

    /// Puts a message on the network.
    pub(crate) fn send(&mut self, packet: Packet) {
        self.stats.messages += 1;
        let copies = if self.faults_on && self.rng.chance(self.swarm.duplication) { 2 } else { 1 };
        for copy in 0..copies {
            if self.faults_on && self.rng.chance(self.swarm.loss) {
                self.stats.lost += 1;
                continue;
            }
            self.stats.duplicated += u64::from(copy > 0);
            let (low, high) = self.swarm.delay_ms;
            let mut delay = self.rng.range(low, high);
            if self.faults_on && self.rng.chance(self.swarm.late) {
                delay += self.rng.range(1_000, 40_000);
            }
            self.at(delay, Event::Deliver(Box::new(packet.clone())));
        }
    }

    /// Gives a node something to do, if it lives.
    pub(crate) fn give(&mut self, idx: usize, job: crate::node::Job) {
        let Some(node) = self.nodes.get_mut(idx) else { return };
        if node.engine.is_none() {
            return;
        }
        node.inbox.push_back(job);
        if !node.working {
            node.working = true;
            let life = node.life;
            let delay = self.rng.range(0, 3);
            self.at(delay, Event::Work { node: idx, life });
        }
    }

    fn alive(&self, idx: usize, life: u64) -> bool {
        self.nodes.get(idx).is_some_and(|n| n.life == life && n.engine.is_some())
    }

    fn step(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Deliver(packet) => {
                if self.cut.contains(&(packet.from, packet.to)) {
                    self.stats.lost += 1;
                    return Ok(());
                }
                if self.nodes.get(packet.to).is_some_and(|n| n.engine.is_some()) {
                    self.deliver(*packet)?;
                }
                Ok(())
            }
            Event::Work { node, life } if self.alive(node, life) => self.work(node),
            Event::AskAhead { node, life, peer } if self.alive(node, life) => {
                self.asked_ahead(node, &peer);
                Ok(())
            }
            Event::Poke { node, life, peer } if self.alive(node, life) => {
                self.poked(node, &peer);
                Ok(())
            }
            Event::TimedOut { node, life, peer, request, fetch } if self.alive(node, life) => {
                self.timed_out(node, &peer, request, fetch);
                Ok(())
            }
            Event::Fetch { node, life, peer } if self.alive(node, life) => {
                self.fetch(node, &peer);
                Ok(())
            }
            Event::Work { .. }
            | Event::Poke { .. }
            | Event::TimedOut { .. }
            | Event::Fetch { .. }
            | Event::AskAhead { .. } => Ok(()),
            Event::Restart { node } => self.restart(node),
            Event::Act => self.act(),
            Event::Speak { node, of } => {
                self.speak(node, of);
                Ok(())
            }
            Event::FileArrives { node, sha256, authors } => {
                self.give(node, crate::node::Job::FileStored { sha256, authors });
                Ok(())
            }
            Event::Fault => self.fault(),
            Event::HealPartition { from, to } => {
                self.cut.remove(&(from, to));
                Ok(())
            }
        }
    }

    /// Takes events until `until` or until there are none.
    pub(crate) fn advance(&mut self, until: i64) -> Result<(), Violation> {
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > until {
                break;
            }
            let ((at, _), event) = entry.remove_entry();
            self.now = at;
            self.stats.events += 1;
            self.step(event)?;
            if self.stats.events > 2_000_000 {
                return Err(self.wrong("more than 2,000,000 events: the world does not come to rest"));
            }
        }
        self.now = self.now.max(until);
        Ok(())
    }

    /// Runs the seed: meet, act under faults, stop the faults, converge, be quiet.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        self.found()?;
        self.advance(FAULTS_FROM_MS)?;
        self.faults_on = true;
        self.at(0, Event::Act);
        self.at(0, Event::Fault);
        while self.acts_left > 0 {
            self.advance(self.now + 5_000)?;
        }
        let linger = self.rng.range(0, 60_000);
        self.advance(self.now + linger)?;
        self.stop_faults()?;
        self.converge()?;
        self.check_quiet()?;
        self.check_at_end()
    }

    fn converge(&mut self) -> Result<(), Violation> {
        let start = self.now;
        let limit = start + 90 * 60_000;
        self.settle_restores(limit)?;
        // A last word from everyone in every dialogue ties up what nobody has linked to.
        self.last_words();
        loop {
            self.advance(self.now + 30_000)?;
            self.settle_halts()?;
            self.check_safety()?;
            match self.not_converged() {
                None => break,
                Some(why) if self.now >= limit => {
                    return Err(self.wrong(format!("not converged after 90 minutes: {why}")));
                }
                Some(_) => {}
            }
        }
        self.stats.minutes_to_converge += (self.now - start).unsigned_abs() / 60_000;
        Ok(())
    }

    /// With nothing new, next to nothing travels.
    fn check_quiet(&mut self) -> Result<(), Violation> {
        // What was converged may still have to be witnessed, and a comparison may bring how earlier
        // memberships came about to those who joined later.
        self.advance(self.now + self.swarm.compare_ms + 3 * 60_000)?;
        let before = self.stats.messages;
        let minutes = 20;
        self.advance(self.now + minutes * 60_000)?;
        let sent = self.stats.messages - before;
        let pairs = (self.swarm.nodes * self.swarm.nodes.saturating_sub(1)) as u64;
        let compares = (minutes * 60_000 / self.swarm.compare_ms).unsigned_abs() + 1;
        // A comparison and its answer, and what an outbound-only node asks in vain.
        let polls = if self.swarm.pull { pairs * 2 * 65 } else { 0 };
        let most = pairs * (compares * 4 + 4) + polls;
        // Who is not trusted, or halted, is sent again and again what waits for it.
        if sent > most && !self.halted_or_distrusted() {
            return Err(self.wrong(format!("{sent} messages in {minutes} quiet minutes; {most} would do")));
        }
        match self.not_converged() {
            None => Ok(()),
            Some(why) => Err(self.wrong(format!("it had converged, but no more: {why}"))),
        }
    }
}
