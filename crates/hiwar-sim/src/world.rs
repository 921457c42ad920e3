//! The simulated world: nodes, network, time, faults and the things people do.

use std::collections::{BTreeMap, BinaryHeap};

use hiwar_dialogue::engine::{Command, Draft};
use hiwar_dialogue::entry::{Body, DialogueId, EntryId, Texts, Words};
use hiwar_dialogue::marking::Marking;
use hiwar_trust::did::Did;
use hiwar_trust::identity::{DeliveryMode, Identity};

use crate::check::Checks;
use crate::node::{Done, SimNode};
use crate::random::Random;

/// How long people talk and things go wrong.
const CHAOS_MS: i64 = 40_000;
/// How long everything may take to settle afterwards.
const SETTLE_MS: i64 = 30 * 60_000;
/// How long a sender waits for a reply.
const TIMEOUT_MS: i64 = 3_000;
/// How often a node looks what to send.
const TICK_MS: i64 = 200;

/// Which faults a seed switches on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Messages lost, of a thousand.
    pub loss: u64,
    /// Messages doubled, of a thousand.
    pub doubling: u64,
    /// Longest delay, in milliseconds.
    pub delay_ms: u64,
    /// Links cut for a while, in one or both directions.
    pub partitions: bool,
    /// Nodes crash before a commit, after it, or at any time.
    pub crashes: bool,
    /// Disks fill up for a while.
    pub full_disks: bool,
    /// Clocks jump.
    pub clocks: bool,
    /// Keys are rotated and revoked.
    pub rotations: bool,
    /// A node is restored from a backup and says so.
    pub restore: bool,
    /// A node is restored from a backup and does not know it.
    pub silent_restore: bool,
    /// A node signs two histories and shows each to one part of its peers.
    pub fork: bool,
    /// A stranger sends garbage and changed bytes.
    pub garbage: bool,
    /// Nodes join dialogues later.
    pub joining: bool,
    /// One node accepts no connection and fetches.
    pub fetching: bool,
}

impl Faults {
    fn draw(random: &mut Random) -> Self {
        let mut maybe = |per_mille| random.chance(per_mille);
        let (lossy, doubling, slow) = (maybe(600), maybe(500), maybe(600));
        let mut faults = Self {
            partitions: maybe(500),
            crashes: maybe(600),
            full_disks: maybe(300),
            clocks: maybe(300),
            rotations: maybe(300),
            restore: maybe(120),
            silent_restore: maybe(120),
            fork: maybe(150),
            garbage: maybe(300),
            joining: maybe(400),
            fetching: maybe(300),
            ..Self::default()
        };
        faults.loss = if lossy { 20 + random.below(280) } else { 0 };
        faults.doubling = if doubling { 20 + random.below(300) } else { 0 };
        faults.delay_ms = if slow { 50 + random.below(2_500) } else { 5 };
        if faults.rotations {
            // A key that is replaced while the clock is set back ends before its own last entries.
            faults.clocks = false;
        }
        if faults.restore || faults.silent_restore {
            // A backup from before a rotation needs its operator to do more than restore it.
            faults.rotations = false;
        }
        if faults.fork {
            // A forger has a history of its own; restores would only blur who is to blame.
            faults.restore = false;
            faults.silent_restore = false;
            faults.fetching = false;
        }
        faults
    }
}

/// What a run did, for people.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Events handled.
    pub events: u64,
    /// Messages sent.
    pub messages: u64,
    /// Entries acknowledged to desks.
    pub acknowledged: u64,
    /// Crashes.
    pub crashes: u64,
    /// Commits that failed for want of room.
    pub full: u64,
    /// Requests refused as replays or by unknown sessions.
    pub replays_refused: u64,
    /// Forks made and caught.
    pub forks_caught: u64,
    /// Silent restores noticed.
    pub restores_noticed: u64,
    /// Virtual milliseconds until all was settled.
    pub settled_ms: i64,
}

#[derive(Clone, Debug)]
enum Event {
    Tick { node: usize },
    Act { node: usize },
    Request { from: usize, to: usize, session: u64, number: u64, token: u64, body: Vec<u8>, fetch: bool },
    Reply { from: usize, to: usize, token: u64, body: Vec<u8>, fetched: Option<(u64, u64)> },
    Timeout { node: usize, peer: usize, token: u64 },
    Crash { node: usize },
    Restart { node: usize },
    Cut { from: usize, to: usize },
    Mend { from: usize, to: usize },
    Full { node: usize, full: bool },
    Jump { node: usize, by_ms: i64 },
    Rotate { node: usize },
    Backup { node: usize },
    Restore { node: usize, silent: bool },
    Fork { node: usize },
    Garbage { to: usize },
}

/// The simulated world.
pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) faults: Faults,
    pub(crate) nodes: Vec<SimNode>,
    pub(crate) honest: usize,
    pub(crate) twin_of: Option<usize>,
    pub(crate) fork_size: u64,
    pub(crate) now_ms: i64,
    pub(crate) summary: Summary,
    pub(crate) checks: Checks,
    pub(crate) disturbed: Vec<bool>,
    queue: BinaryHeap<std::cmp::Reverse<(i64, u64)>>,
    events: BTreeMap<u64, Event>,
    next_event: u64,
    cut: BTreeMap<(usize, usize), bool>,
    calm: bool,
    trace: bool,
    last_message_ms: i64,
    recorded: Vec<(usize, usize, Vec<u8>)>,
}

/// Runs one seed to its end.
///
/// # Panics
/// At the first thing that must not happen; the message says what.
pub fn run(seed: u64, trace: bool) -> (Faults, Summary) {
    let mut world = World::new(seed, trace);
    world.play();
    (world.faults, world.summary)
}

impl World {
    fn new(seed: u64, trace: bool) -> Self {
        let mut random = Random::new(seed);
        let faults = Faults::draw(&mut random);
        let count = 3 + usize::try_from(random.below(3)).unwrap_or(0);
        let nodes: Vec<SimNode> = (0..count)
            .map(|n| {
                let fetches = faults.fetching && n == 1;
                let delivery = if fetches { DeliveryMode::Pull } else { DeliveryMode::Push };
                SimNode::new(u8::try_from(n).unwrap_or(u8::MAX), delivery)
            })
            .collect();
        let mut world = Self {
            random,
            faults,
            honest: count,
            twin_of: None,
            fork_size: 0,
            disturbed: vec![false; count],
            nodes,
            now_ms: 0,
            summary: Summary::default(),
            checks: Checks::default(),
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            next_event: 0,
            cut: BTreeMap::new(),
            calm: false,
            trace,
            last_message_ms: 0,
            recorded: Vec::new(),
        };
        world.introduce();
        world.arrange();
        world
    }

    /// Makes every node a peer of every other.
    fn introduce(&mut self) {
        let cards: Vec<_> = self
            .nodes
            .iter()
            .map(|n| n.engine.as_ref().expect("every node is up").identity().cards().to_vec())
            .collect();
        for (index, node) in self.nodes.iter_mut().enumerate() {
            let now = node.now(0);
            for (other, cards) in cards.iter().enumerate() {
                if other != index {
                    let identity = Identity::verify(cards.clone()).expect("a valid chain");
                    let engine = node.engine.as_mut().expect("every node is up");
                    engine.add_peer(identity, now).expect("a stranger");
                    let changes = engine.take_changes();
                    use hiwar_dialogue::ledger::Store as _;
                    node.store.apply(&changes).expect("taken");
                    node.store.commit().expect("kept");
                }
            }
        }
    }

    /// Puts ticks, acts and faults into the calendar.
    fn arrange(&mut self) {
        for node in 0..self.nodes.len() {
            let first = self.moment(TICK_MS);
            self.at(first, Event::Tick { node });
            let acts = 4 + self.random.below(22);
            for _ in 0..acts {
                let at = self.moment(CHAOS_MS);
                self.at(at, Event::Act { node });
            }
            // Dialogues are opened early on.
            let at = self.moment(2_000);
            self.at(at, Event::Act { node });
        }
        let faults = self.faults;
        let count = self.nodes.len() as u64;
        let some = |world: &mut Self, most: u64| 1 + world.random.below(most);
        if faults.partitions {
            for _ in 0..some(self, 4) {
                let (from, to) = (self.some_node(count), self.some_node(count));
                let at = self.moment(CHAOS_MS);
                let length = self.moment(15_000);
                let both = self.random.chance(600);
                for (from, to) in [(from, to), (to, from)].into_iter().take(if both { 2 } else { 1 }) {
                    self.at(at, Event::Cut { from, to });
                    self.at(at + length, Event::Mend { from, to });
                }
            }
        }
        if faults.crashes {
            for _ in 0..some(self, 5) {
                let node = self.some_node(count);
                let at = self.moment(CHAOS_MS);
                self.at(at, Event::Crash { node });
            }
        }
        if faults.full_disks {
            let node = self.some_node(count);
            let at = self.moment(CHAOS_MS);
            let length = self.moment(8_000);
            self.at(at, Event::Full { node, full: true });
            self.at(at + length, Event::Full { node, full: false });
        }
        if faults.clocks {
            for _ in 0..some(self, 3) {
                let node = self.some_node(count);
                let at = self.moment(CHAOS_MS);
                let hours = 1 + self.random.below(10);
                let by_ms = i64::try_from(hours).unwrap_or(1)
                    * if self.random.chance(500) { 3_600_000 } else { -3_600_000 };
                self.at(at, Event::Jump { node, by_ms });
            }
        }
        if faults.rotations {
            for _ in 0..some(self, 2) {
                let node = self.some_node(count);
                let at = self.moment(CHAOS_MS);
                self.at(at, Event::Rotate { node });
            }
        }
        if faults.restore || faults.silent_restore {
            let node = self.some_node(count);
            let at = self.moment(CHAOS_MS / 2);
            self.at(at, Event::Backup { node });
            let later = at + 1_000 + self.moment(CHAOS_MS / 2);
            self.at(later, Event::Restore { node, silent: faults.silent_restore });
        }
        if faults.fork {
            let at = 8_000 + self.moment(CHAOS_MS / 2);
            self.at(at, Event::Fork { node: 0 });
        }
        if faults.garbage {
            for _ in 0..some(self, 12) {
                let to = self.some_node(count);
                let at = self.moment(CHAOS_MS);
                self.at(at, Event::Garbage { to });
            }
        }
    }

    fn some_node(&mut self, count: u64) -> usize {
        usize::try_from(self.random.below(count)).unwrap_or(0)
    }

    fn moment(&mut self, bound_ms: i64) -> i64 {
        i64::try_from(self.random.below(bound_ms.unsigned_abs())).unwrap_or(0)
    }

    fn at(&mut self, at_ms: i64, event: Event) {
        let number = self.next_event;
        self.next_event += 1;
        self.events.insert(number, event);
        self.queue.push(std::cmp::Reverse((at_ms, number)));
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{:>9} ms  {}", self.now_ms, what());
        }
    }

    fn play(&mut self) {
        while let Some(std::cmp::Reverse((at, number))) = self.queue.pop() {
            let Some(event) = self.events.remove(&number) else { continue };
            if !self.calm && at >= CHAOS_MS + 16_000 {
                self.calm_down();
            }
            self.now_ms = at;
            if self.calm && self.is_settled() {
                break;
            }
            // What a forger said to one part of its peers can never settle with the others.
            // Nor can what stands under a membership that a party never took, because its author had
            // revoked the key before.
            let some_revoked = self.faults.rotations && self.disturbed.iter().any(|d| *d);
            if (self.twin_of.is_some() || some_revoked) && at > CHAOS_MS + 700_000 {
                break;
            }
            assert!(
                at < CHAOS_MS + 16_000 + SETTLE_MS,
                "it did not settle: {} (last message {} s before)",
                self.unsettled(),
                (self.now_ms - self.last_message_ms) / 1000
            );
            self.summary.events += 1;
            self.handle(event);
        }
        self.summary.settled_ms = self.now_ms - CHAOS_MS;
        self.summary.acknowledged = self.nodes.iter().map(|n| n.acknowledged.len() as u64).sum();
        self.check_at_the_end();
    }

    /// Faults end: links and disks are mended, everybody comes up, operators do their duty.
    fn calm_down(&mut self) {
        self.calm = true;
        self.cut.clear();
        for index in 0..self.nodes.len() {
            let now_ms = self.now_ms;
            let Some(node) = self.nodes.get_mut(index) else { continue };
            node.store.set_full(false);
            node.clock_offset_ms = 0;
            if !node.is_up() {
                let now = node.now(now_ms);
                node.start(now);
            }
        }
        self.say(|| "faults end".into());
    }

    /// Every queue is empty, nobody waits for anything, and it was quiet for a while.
    fn is_settled(&self) -> bool {
        // What a restored node lacks is asked for again when heads are compared.
        let compared = self.now_ms > CHAOS_MS + 700_000 || self.nodes.iter().all(|n| n.restored == 0);
        compared && self.now_ms - self.last_message_ms > 20_000 && self.unsettled().is_empty()
    }

    fn unsettled(&self) -> String {
        let mut out = Vec::new();
        for (index, node) in self.nodes.iter().enumerate().filter(|(i, _)| !self.is_forger(*i)) {
            let Some(engine) = &node.engine else { continue };
            if let Some(reason) = engine.halted() {
                out.push(format!("node {index} has halted: {reason}"));
            }
            if self.trace {
                eprintln!("node {index}: {} really wait", node.store.queued_count());
            }
            for status in engine.peer_statuses() {
                let dealt_with = status.record.standing == hiwar_dialogue::ledger::Standing::Active;
                let forger =
                    self.twin_of.and_then(|t| self.nodes.get(t)).is_some_and(|n| n.did == status.record.did);
                if dealt_with && !forger && status.backlog > 0 {
                    out.push(format!(
                        "node {index} has {} entries waiting for {} (cursor {}, settled through {}, {})",
                        status.backlog,
                        status.record.did,
                        status.cursor,
                        status.record.settled_through,
                        if status.in_flight { "in flight" } else { "idle" },
                    ));
                }
            }
        }
        out.join("; ")
    }

    pub(crate) fn is_forger(&self, index: usize) -> bool {
        self.twin_of.is_some_and(|t| t == index) || index >= self.honest
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Tick { node } => self.tick(node),
            Event::Act { node } => self.act(node),
            Event::Request { from, to, session, number, token, body, fetch } => {
                self.request(from, to, (session, number), token, &body, fetch);
            }
            Event::Reply { from, to, token, body, fetched } => self.reply(from, to, token, &body, fetched),
            Event::Timeout { node, peer, token } => self.timeout(node, peer, token),
            Event::Crash { node } => self.crash(node),
            Event::Restart { node } => self.restart(node),
            Event::Cut { from, to } => {
                self.say(|| format!("link {from} → {to} is cut"));
                self.cut.insert((from, to), true);
            }
            Event::Mend { from, to } => {
                self.cut.remove(&(from, to));
            }
            Event::Full { node, full } => {
                self.say(|| format!("disk of {node} is {}", if full { "full" } else { "free" }));
                if let Some(node) = self.nodes.get_mut(node) {
                    node.store.set_full(full && !self.calm);
                }
            }
            Event::Jump { node, by_ms } => {
                self.say(|| format!("clock of {node} jumps by {by_ms} ms"));
                if let Some(node) = self.nodes.get_mut(node) {
                    node.clock_offset_ms += by_ms;
                }
            }
            Event::Rotate { node } => self.rotate(node),
            Event::Backup { node } => {
                if let Some(node) = self.nodes.get_mut(node) {
                    let mut copy = node.store.clone();
                    copy.crash();
                    copy.set_full(false);
                    node.backup = Some((copy, node.keys.clone()));
                }
            }
            Event::Restore { node, silent } => self.restore(node, silent),
            Event::Fork { node } => self.fork(node),
            Event::Garbage { to } => self.garbage(to),
        }
    }

    /// The node that answers for the participant of `to` when `from` speaks to it.
    fn address(&self, from: usize, to: usize) -> usize {
        let Some(forger) = self.twin_of else { return to };
        let twin = self.honest;
        if to == forger && self.nodes.get(twin).is_some_and(|t| t.only.contains(&from)) { twin } else { to }
    }

    fn tick(&mut self, index: usize) {
        self.at(self.now_ms + TICK_MS, Event::Tick { node: index });
        let now_ms = self.now_ms;
        let halted_at_peace = {
            let Some(node) = self.nodes.get(index) else { return };
            // A restored node that grew past its old log before anybody told it cannot notice by
            // itself; its peers refuse it, and their operators tell its operator.
            let declared = |e: &hiwar_dialogue::engine::Engine| {
                e.identity().cards().iter().any(|c| c.card.log_continues.is_some())
            };
            self.calm
                && node
                    .engine
                    .as_ref()
                    .is_some_and(|e| e.halted().is_some() || (node.restored > 0 && !declared(e)))
        };
        if halted_at_peace {
            self.say(|| format!("operator of {index} declares the restore"));
            self.summary.restores_noticed += 1;
            if let Some(node) = self.nodes.get_mut(index) {
                let now = node.now(now_ms);
                node.declare_restore(now);
            }
        }
        if self.calm {
            self.decide_about_distrusted(index);
        }
        for peer in 0..self.honest {
            let shape = |i: usize| self.nodes.get(i).map(|n| (n.did.clone(), n.delivery));
            let Some((did, delivery)) = shape(peer) else { continue };
            let Some((own, own_delivery)) = shape(index) else { continue };
            if did == own {
                continue;
            }
            let Some(node) = self.nodes.get_mut(index) else { continue };
            if !node.is_up() || (!node.only.is_empty() && !node.only.contains(&peer)) {
                continue;
            }
            let now = node.now(now_ms);
            if delivery == DeliveryMode::Push
                && let Some((token, body)) = node.plan(&did, now)
            {
                let forger = self.is_forger(index) || self.nodes.get(index).is_some_and(|n| n.restored > 0);
                self.checks.checkpoint_shown(&own, &body, forger);
                self.send(index, peer, token, body, false);
                self.at(now_ms + TIMEOUT_MS, Event::Timeout { node: index, peer, token });
            }
            if own_delivery == DeliveryMode::Pull {
                let pending = self.nodes.get_mut(index).and_then(|n| n.fetched.remove(&peer));
                let (token, body) = pending.unwrap_or((0, Vec::new()));
                if token != 0 || self.random.chance(250) {
                    self.send(index, peer, token, body, true);
                }
            }
        }
    }

    /// The operator of a node trusts a peer again that had been restored and has said so.
    fn decide_about_distrusted(&mut self, index: usize) {
        use hiwar_dialogue::ledger::Standing;
        let restored: Vec<Did> =
            self.nodes.iter().filter(|n| n.restored > 0).map(|n| n.did.clone()).collect();
        let now_ms = self.now_ms;
        let Some(node) = self.nodes.get_mut(index) else { return };
        let now = node.now(now_ms);
        let distrusted: Vec<Did> = node
            .engine
            .iter()
            .flat_map(|e| e.peers())
            .filter(|p| matches!(p.standing, Standing::Distrusted { .. }) && restored.contains(&p.did))
            .filter(|p| p.cards.last().is_some_and(|c| c.card.log_continues.is_some()))
            .map(|p| p.did.clone())
            .collect();
        for did in distrusted {
            node.trust_again(&did, now);
        }
    }

    fn send(&mut self, from: usize, to: usize, token: u64, body: Vec<u8>, fetch: bool) {
        if !fetch {
            self.last_message_ms = self.now_ms;
        }
        self.summary.messages += 1;
        let target = self.address(from, to);
        let Some(node) = self.nodes.get_mut(from) else { return };
        let session = node.session.entry(to).or_insert((1, 0));
        session.1 += 1;
        let (session, number) = *session;
        if fetch {
            node.asked.insert(to, (session, number));
        }
        if self.recorded.len() < 64 && self.faults.garbage {
            self.recorded.push((from, target, body.clone()));
        }
        let event = Event::Request { from, to: target, session, number, token, body, fetch };
        self.carry(from, target, event);
    }

    /// Lets the network do its worst with a message.
    fn carry(&mut self, from: usize, to: usize, event: Event) {
        let faults = if self.calm { Faults { delay_ms: 5, ..Faults::default() } } else { self.faults };
        if self.cut.contains_key(&(from, to)) || self.random.chance(faults.loss) {
            return;
        }
        let copies = if self.random.chance(faults.doubling) { 2 } else { 1 };
        for _ in 0..copies {
            let delay = 1 + self.moment(i64::try_from(faults.delay_ms).unwrap_or(1));
            self.at(self.now_ms + delay, event.clone());
        }
    }

    fn request(
        &mut self,
        from: usize,
        to: usize,
        (session, number): (u64, u64),
        token: u64,
        body: &[u8],
        fetch: bool,
    ) {
        let now_ms = self.now_ms;
        let crash = self.faults.crashes && !self.calm && self.random.chance(15);
        let Some(did) = self.nodes.get(from).map(|n| n.did.clone()) else { return };
        let cards = self.nodes.get(from).and_then(|n| Some(n.engine.as_ref()?.identity().cards().to_vec()));
        let sender = if self.is_forger(from) { self.twin_of.unwrap_or(from) } else { from };
        let Some(node) = self.nodes.get_mut(to) else { return };
        if !node.is_up() {
            return;
        }
        let now = node.now(now_ms);
        // A session is asked for before the first request, and then shows the newest cards.
        let seen = node.seen.entry(sender).or_insert((0, 0));
        if session > seen.0
            && let Some(cards) = cards
        {
            node.learn(&did, &cards, now);
        }
        let seen = node.seen.entry(sender).or_insert((0, 0));
        if (session, number) <= *seen {
            self.summary.replays_refused += 1;
            return;
        }
        *seen = (session, number);
        if fetch {
            if token != 0 {
                node.settle(&did, token, body, now, crash);
            }
            let planned = node.plan(&did, now);
            self.say(|| {
                format!("{to} is asked by {from} (answers {token}): {:?}", planned.as_ref().map(|p| p.0))
            });
            let Some(node) = self.nodes.get_mut(to) else { return };
            if let Some((token, batch)) = planned {
                let own = node.did.clone();
                let forger = self.is_forger(to) || self.nodes.get(to).is_some_and(|n| n.restored > 0);
                self.checks.checkpoint_shown(&own, &batch, forger);
                self.last_message_ms = now_ms;
                self.at(now_ms + 2 * TIMEOUT_MS, Event::Timeout { node: to, peer: from, token });
                self.carry(
                    to,
                    from,
                    Event::Reply { from: to, to: from, token, body: batch, fetched: Some((session, number)) },
                );
            }
            return;
        }
        let done = node.receive(&did, body, now, crash);
        let own = node.did.clone();
        match done {
            Done::Kept(reply) => {
                self.say(|| {
                    let answer: serde_json::Value = serde_json::from_slice(&reply).unwrap_or_default();
                    let refused = answer.get("refused").map(ToString::to_string).unwrap_or_default();
                    format!("{to} takes a batch of {from} {refused}")
                });
                let forger = self.is_forger(to) || self.nodes.get(to).is_some_and(|n| n.restored > 0);
                self.checks.checkpoint_shown(&own, &reply, forger);
                if crash {
                    self.crash(to);
                }
                self.carry(to, from, Event::Reply { from: to, to: from, token, body: reply, fetched: None });
            }
            Done::Lost => {
                self.say(|| format!("{to} loses a batch of {from}"));
                self.lost(to);
            }
            Done::Refused(why) => self.say(|| format!("{to} refuses a batch of {from}: {why}")),
        }
    }

    /// A decision was lost: the node crashed, or its disk was full.
    fn lost(&mut self, index: usize) {
        let up = self.nodes.get(index).is_some_and(SimNode::is_up);
        if up {
            self.summary.full += 1;
        } else {
            self.summary.crashes += 1;
            let back = self.now_ms + 500 + self.moment(6_000);
            self.at(back, Event::Restart { node: index });
        }
    }

    fn reply(&mut self, from: usize, to: usize, token: u64, body: &[u8], fetched: Option<(u64, u64)>) {
        let now_ms = self.now_ms;
        let crash = self.faults.crashes && !self.calm && self.random.chance(10);
        let Some(did) = self.nodes.get(from).map(|n| n.did.clone()) else { return };
        let peer = if from >= self.honest { self.twin_of.unwrap_or(from) } else { from };
        let Some(node) = self.nodes.get_mut(to) else { return };
        if !node.is_up() {
            return;
        }
        let now = node.now(now_ms);
        if let Some(asked) = fetched {
            if node.asked.remove(&peer) != Some(asked) {
                return;
            }
            match node.receive(&did, body, now, crash) {
                Done::Kept(reply) => {
                    node.fetched.insert(peer, (token, reply.clone()));
                    self.say(|| {
                        let answer: serde_json::Value = serde_json::from_slice(&reply).unwrap_or_default();
                        let refused = answer.get("refused").map(ToString::to_string).unwrap_or_default();
                        format!("{to} takes what it fetched from {from} {refused}")
                    });
                }
                Done::Lost => self.lost(to),
                Done::Refused(why) => self.say(|| format!("{to} refuses what it fetched from {from}: {why}")),
            }
            return;
        }
        node.settle(&did, token, body, now, crash);
        self.lost_if_down(to);
    }

    fn lost_if_down(&mut self, index: usize) {
        if self.nodes.get(index).is_some_and(|n| !n.is_up()) {
            self.lost(index);
        }
    }

    fn timeout(&mut self, index: usize, peer: usize, token: u64) {
        let now_ms = self.now_ms;
        let Some(did) = self.nodes.get(peer).map(|n| n.did.clone()) else { return };
        if let Some(node) = self.nodes.get_mut(index)
            && node.is_up()
        {
            let now = node.now(now_ms);
            node.failed(&did, token, now);
        }
    }

    fn crash(&mut self, index: usize) {
        if self.calm {
            return;
        }
        let Some(node) = self.nodes.get_mut(index) else { return };
        if node.is_up() {
            node.crash();
            self.say(|| format!("{index} crashes"));
            self.summary.crashes += 1;
            let back = self.now_ms + 500 + self.moment(6_000);
            self.at(back, Event::Restart { node: index });
        }
    }

    fn restart(&mut self, index: usize) {
        let now_ms = self.now_ms;
        let Some(node) = self.nodes.get_mut(index) else { return };
        if !node.is_up() {
            let now = node.now(now_ms);
            node.start(now);
            self.say(|| format!("{index} is up again"));
        }
    }

    fn rotate(&mut self, index: usize) {
        if self.is_forger(index) {
            return;
        }
        let (with_node_key, revoke) = (self.random.chance(500), self.random.chance(300));
        let now_ms = self.now_ms;
        let number = u8::try_from(index).unwrap_or(u8::MAX);
        let Some(node) = self.nodes.get_mut(index) else { return };
        if node.is_up() {
            let now = node.now(now_ms);
            node.rotate(number, with_node_key, revoke, now);
            self.say(|| format!("{index} rotates its keys"));
            if revoke && let Some(flag) = self.disturbed.get_mut(index) {
                *flag = true;
            }
        }
    }

    fn restore(&mut self, index: usize, silent: bool) {
        let now_ms = self.now_ms;
        let Some(node) = self.nodes.get_mut(index) else { return };
        let Some((store, keys)) = node.backup.take() else { return };
        node.crash();
        node.store = store;
        // Keys are kept apart from backups; a rotation since the backup is undone in the card chain,
        // so the operator puts the keys of that time back.
        node.keys = keys;
        node.restored += 1;
        let now = node.now(now_ms);
        node.start(now);
        if !silent {
            node.declare_restore(now);
        }
        if let Some(flag) = self.disturbed.get_mut(index) {
            *flag = true;
        }
        self.say(|| {
            format!(
                "{index} is restored from its backup{}",
                if silent { " and does not know it" } else { "" }
            )
        });
    }

    /// A node starts to lead two lives with the same keys.
    fn fork(&mut self, index: usize) {
        let now_ms = self.now_ms;
        let others: Vec<usize> = (0..self.honest).filter(|i| *i != index).collect();
        let half = others.len() / 2;
        let Some(node) = self.nodes.get_mut(index) else { return };
        if !node.is_up() {
            return;
        }
        let mut twin = SimNode::new(u8::try_from(index).unwrap_or(0), DeliveryMode::Push);
        twin.store = node.store.clone();
        twin.store.crash();
        twin.keys = node.keys.clone();
        twin.clock_offset_ms = node.clock_offset_ms;
        twin.session = node.session.clone();
        let now = twin.now(now_ms);
        twin.start(now);
        let (left, right) = others.split_at(half);
        node.only = left.iter().copied().collect();
        twin.only = right.iter().copied().collect();
        self.fork_size = node.engine.as_ref().map_or(0, |e| e.log().1.size());
        self.twin_of = Some(index);
        self.nodes.push(twin);
        self.say(|| format!("{index} forks: one life for {left:?}, one for {right:?}"));
        let twin = self.nodes.len() - 1;
        self.at(now_ms + TICK_MS, Event::Tick { node: twin });
        for life in [index, twin] {
            for _ in 0..4 {
                let at = now_ms + 500 + self.moment(8_000);
                self.at(at, Event::Act { node: life });
            }
        }
    }

    /// Somebody on the wire sends an old message again, changed or not, or plain nonsense.
    fn garbage(&mut self, to: usize) {
        let now_ms = self.now_ms;
        let nonsense = self.random.chance(300);
        let (from, mut body) = match self.random.pick(&self.recorded.clone()) {
            Some((from, _, body)) if !nonsense => (*from, body.clone()),
            _ => (to, b"{\"protocol\":\"hiwar/1\"".to_vec()),
        };
        let flips = self.random.below(4);
        for _ in 0..flips {
            let position = usize::try_from(self.random.below(body.len() as u64)).unwrap_or(0);
            if let Some(byte) = body.get_mut(position) {
                *byte ^= 1 << self.random.below(8);
            }
        }
        let Some(did) = self.nodes.get(from).map(|n| n.did.clone()) else { return };
        // The session layer refuses it; here it is shown to the reader behind that layer, which
        // must not fall over either. Only a changed or misdirected one goes on from there.
        if let Some(node) = self.nodes.get_mut(to)
            && let Some(engine) = &mut node.engine
        {
            let directory = engine.directory();
            drop(hiwar_dialogue::wire::verify_batch(&body, &directory));
            if let Some(identity) = engine.peer_identity(&did).cloned() {
                drop(hiwar_dialogue::wire::verify_reply(&body, &identity));
            }
        }
        self.say(|| format!("garbage for {to} at {now_ms}"));
    }

    /// Somebody at a desk does something.
    fn act(&mut self, index: usize) {
        let now_ms = self.now_ms;
        let Some(node) = self.nodes.get(index) else { return };
        let Some(engine) = &node.engine else { return };
        let me = node.did.clone();
        let others: Vec<Did> =
            self.nodes.iter().take(self.honest).map(|n| n.did.clone()).filter(|d| *d != me).collect();
        let unanswered: Vec<EntryId> = engine
            .dialogues()
            .flat_map(|d| d.memberships.iter().map(move |m| (d, m)))
            .filter(|(d, m)| {
                d.concerned(m).contains(&me) && !m.assents.contains(&me) && !m.refusals.contains(&me)
            })
            .map(|(_, m)| m.entry)
            .collect();
        let open: Vec<(DialogueId, Vec<Did>)> = engine
            .dialogues()
            .filter(|d| d.is_open() && d.current().is_some_and(|m| m.membership.parties.contains(&me)))
            .map(|d| (d.id, d.current().map(|m| m.membership.parties.clone()).unwrap_or_default()))
            .collect();
        let known: Vec<(EntryId, Did, bool)> = node
            .store
            .entries()
            .filter_map(|e| e.signed().ok())
            .map(|s| (s.id, s.entry.author.clone(), matches!(s.entry.body, Body::Statement(_))))
            .collect();
        let words = |text: String| Words { texts: Texts::from([("en".to_owned(), text)]), prevailing: None };
        let number = self.random.below(1_000_000);
        let command = if let Some(of) = unanswered.first().filter(|_| self.random.chance(800)) {
            if self.random.chance(60) {
                Command::Refuse { of: *of, words: Words::default() }
            } else {
                Command::Assent { of: *of }
            }
        } else if open.is_empty() || self.random.chance(80) {
            let mut with: Vec<Did> = others.iter().filter(|_| self.random.chance(700)).cloned().collect();
            if with.is_empty() {
                with.extend(others.first().cloned());
            }
            let title = Texts::from([("en".to_owned(), format!("Dialogue {number}"))]);
            Command::Open { title, with, arrangement: "simulated".into(), cap: Marking::Amber }
        } else if let Some((dialogue, parties)) = self.random.pick(&open).cloned() {
            let about: Vec<&(EntryId, Did, bool)> = known.iter().filter(|k| k.2).collect();
            let target = self.random.pick(&about).map(|k| (k.0, k.1 == me));
            match (self.random.below(10), target) {
                (0, Some((of, true))) => Command::Correct { of, words: words(format!("right {number}")) },
                (1, Some((of, true))) => Command::Withdraw { of, words: Words::default() },
                (0 | 2, Some((of, false))) => {
                    Command::Dispute { of, words: words(format!("other {number}")) }
                }
                (1 | 3, Some((of, false))) => Command::Acknowledge { of, words: Words::default() },
                (4, _) if self.faults.joining && parties.len() < self.honest => {
                    let mut all = parties;
                    all.extend(others.iter().find(|d| !all.contains(d)).cloned());
                    Command::ChangeMembership {
                        dialogue,
                        parties: all,
                        cap: Marking::Amber,
                        title: Texts::new(),
                    }
                }
                _ => Command::Say {
                    dialogue,
                    marking: Marking::Green,
                    words: words(format!("said {number}")),
                    attachments: Vec::new(),
                },
            }
        } else {
            return;
        };
        let draft = Draft { desk: "desk".into(), command, nonce: self.random.nonce() };
        let crash = self.faults.crashes && !self.calm && self.random.chance(15);
        let Some(node) = self.nodes.get_mut(index) else { return };
        let now = node.now(now_ms);
        match node.command(draft, now, crash) {
            Done::Kept(Ok(id)) => self.say(|| format!("{index} makes {id:?}")),
            Done::Kept(Err(error)) => self.say(|| format!("{index} may not: {error}")),
            Done::Lost => self.lost(index),
            Done::Refused(why) => self.say(|| format!("{index} cannot: {why}")),
        }
    }
}
