//! Virtual time, the network, crashes, and the course of a run.

use std::collections::BTreeMap;

use hiwar_dataspace::connector::{Connector, Delivery, Failure, Moment, NOT_ALLOWED, Refusal, RefusalKind};
use hiwar_dataspace::ledger::MemoryLedger;
use hiwar_dataspace::policy::Participant;
use hiwar_trust::time::Timestamp;

use super::check;
use super::side::{Answer, Key, Kind, Meaning, Side, Who, meaning, serve, state_told, status_of};
use super::stats::Stats;
use crate::rng::Rng;
use crate::world::Violation;

/// When the virtual world begins: 2026-11-25T00:00:00Z.
pub(crate) const BEGIN_MS: i64 = 1_795_564_800_000;
/// How long one attempt may take.
const ATTEMPT_MS: i64 = 30_000;
/// How long the driver waits after the store failed.
const STORE_RETRY_MS: i64 = 1_000;
/// By when everything must be settled after the faults have stopped: some of the longest waits
/// between two attempts (ten minutes each) one after the other.
const SETTLE_MS: i64 = 4 * 3_600_000;
/// Most events of one run.
const EVENTS_MAX: u64 = 200_000;

/// What a request is for.
#[derive(Clone, Debug)]
enum Purpose {
    Deliver,
    /// To learn the state after a refusal.
    Ask(String),
}

/// A request that was sent.
#[derive(Clone, Debug)]
struct Call {
    from: Who,
    epoch: u64,
    kind: Kind,
    delivery: Delivery,
    purpose: Purpose,
}

#[derive(Clone, Debug)]
enum Event {
    Wake(Who),
    /// A request arrives; the second of two copies is not answered.
    Arrive(u64, bool),
    /// The answer arrives.
    Answer(u64, u16, String),
    /// There is no answer.
    Broken(u64),
    /// After a failure of the store.
    Again(Who, u64, Key),
    Start(Who),
    DiskFree(Who),
    Act,
    Trouble,
    Calm,
}

/// How a transaction went.
pub(crate) enum Done<T> {
    Committed(T),
    Refused(Refusal),
    /// The process died, before or after the commit.
    Died,
}

/// How often what goes wrong, in permille.
struct Odds {
    request_lost: u64,
    answer_lost: u64,
    doubled: u64,
    slow: u64,
    strange: u64,
    crash: u64,
}

pub(crate) struct World {
    pub(crate) now: i64,
    pub(crate) rng: Rng,
    pub(crate) a: Side,
    pub(crate) b: Side,
    pub(crate) stats: Stats,
    pub(crate) trace: bool,
    events: BTreeMap<(i64, u64), Event>,
    sequence: u64,
    calls: BTreeMap<u64, (Call, Option<String>)>,
    odds: Odds,
    calm: bool,
    until: i64,
}

impl World {
    pub(crate) fn new(seed: u64, trace: bool) -> Self {
        let mut rng = Rng::new(seed);
        let odds = Odds {
            request_lost: rng.below(200),
            answer_lost: rng.below(200),
            doubled: rng.below(100),
            slow: rng.below(150),
            strange: rng.below(80),
            crash: rng.below(30),
        };
        let until = rng.range(60_000, 900_000);
        let (a, b) = (Self::side(Who::A, &mut rng), Self::side(Who::B, &mut rng));
        Self {
            now: 0,
            rng,
            a,
            b,
            stats: Stats { seeds: 1, ..Stats::default() },
            trace,
            events: BTreeMap::new(),
            sequence: 0,
            calls: BTreeMap::new(),
            odds,
            calm: false,
            until,
        }
    }

    fn side(who: Who, rng: &mut Rng) -> Side {
        let connector = Connector {
            participant: who.did(),
            address: who.address(),
            data_address: format!("https://{}.example", who.name()),
            rules: super::people::rules(who, rng),
        };
        Side {
            connector,
            ledger: super::people::offers(who),
            up: true,
            epoch: 0,
            clock: rng.range(-2_000, 2_000),
            disk_full: false,
            busy: Default::default(),
            wakes: None,
        }
    }

    pub(crate) fn of(&self, who: Who) -> &Side {
        match who {
            Who::A => &self.a,
            Who::B => &self.b,
        }
    }

    pub(crate) fn of_mut(&mut self, who: Who) -> &mut Side {
        match who {
            Who::A => &mut self.a,
            Who::B => &mut self.b,
        }
    }

    /// The time by one side's clock.
    pub(crate) fn clock(&self, who: Who) -> Timestamp {
        Timestamp::from_millis(BEGIN_MS + self.now + self.of(who).clock)
    }

    pub(crate) fn violation(&self, what: impl Into<String>) -> Violation {
        Violation { at_ms: self.now, what: what.into() }
    }

    pub(crate) fn note(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>9} {}", self.now, what());
        }
    }

    fn at(&mut self, delay: i64, event: Event) {
        self.sequence += 1;
        self.events.insert((self.now + delay.max(0), self.sequence), event);
    }

    fn strikes(&mut self, permille: u64) -> bool {
        !self.calm && self.rng.chance(permille)
    }

    /// Runs until all is settled.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        self.at(10, Event::Act);
        self.at(5_000, Event::Trouble);
        self.at(self.until, Event::Calm);
        while let Some(((at, _), event)) = self.events.pop_first() {
            self.now = self.now.max(at);
            self.stats.events += 1;
            if self.stats.events > EVENTS_MAX {
                return Err(self.violation("it does not come to rest: too many events"));
            }
            if self.now > self.until + SETTLE_MS {
                return Err(
                    self.violation("it does not come to rest: something is still due after four hours")
                );
            }
            self.happen(event)?;
        }
        self.stats.seconds_to_settle = u64::try_from((self.now - self.until) / 1000).unwrap_or(0);
        check::settled(self)
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Wake(who) => self.wake(who),
            Event::Arrive(call, answered) => self.arrive(call, answered),
            Event::Answer(call, status, body) => self.answered(call, status, &body),
            Event::Broken(call) => self.broken(call),
            Event::Again(who, epoch, key) => {
                if self.of(who).epoch == epoch {
                    self.rest(who, &key);
                }
                Ok(())
            }
            Event::Start(who) => {
                self.of_mut(who).up = true;
                self.note(|| format!("{} starts", who.name()));
                self.plan(who);
                Ok(())
            }
            Event::DiskFree(who) => {
                self.of_mut(who).disk_full = false;
                Ok(())
            }
            Event::Act => self.act_next(),
            Event::Trouble => {
                self.trouble();
                Ok(())
            }
            Event::Calm => {
                self.calm = true;
                self.note(|| "the faults stop".into());
                for who in [Who::A, Who::B] {
                    self.of_mut(who).disk_full = false;
                    self.plan(who);
                }
                Ok(())
            }
        }
    }

    fn act_next(&mut self) -> Result<(), Violation> {
        if self.calm {
            return Ok(());
        }
        super::people::act(self)?;
        let delay = if self.rng.chance(300) { self.rng.range(0, 50) } else { self.rng.range(100, 60_000) };
        self.at(delay, Event::Act);
        Ok(())
    }

    /// Disks fill, clocks jump, processes are killed.
    fn trouble(&mut self) {
        if self.calm {
            return;
        }
        let who = if self.rng.chance(500) { Who::A } else { Who::B };
        match self.rng.below(4) {
            0 => {
                self.of_mut(who).disk_full = true;
                let delay = self.rng.range(100, 60_000);
                self.at(delay, Event::DiskFree(who));
            }
            1 => {
                let by = self.rng.range(-30_000, 30_000);
                self.of_mut(who).clock += by;
                self.stats.clock_jumps += 1;
                self.plan(who);
            }
            2 => self.crash(who),
            _ => {}
        }
        let delay = self.rng.range(5_000, 120_000);
        self.at(delay, Event::Trouble);
    }

    fn crash(&mut self, who: Who) {
        if !self.of(who).up {
            return;
        }
        let side = self.of_mut(who);
        side.up = false;
        side.epoch += 1;
        side.busy.clear();
        side.wakes = None;
        self.stats.crashes += 1;
        self.note(|| format!("{} dies", who.name()));
        let delay =
            if self.rng.chance(700) { self.rng.range(50, 3_000) } else { self.rng.range(3_000, 90_000) };
        self.at(delay, Event::Start(who));
    }

    /// One transaction: all of it becomes durable, or nothing.
    pub(crate) fn transact<T>(
        &mut self,
        who: Who,
        job: impl FnOnce(&Connector, &mut MemoryLedger, &Participant, Moment) -> Result<T, Refusal>,
    ) -> Result<Done<T>, Violation> {
        let mut seed = [0; 32];
        seed[..16].copy_from_slice(&self.rng.nonce());
        seed[16..].copy_from_slice(&self.rng.nonce());
        let moment = Moment { now: self.clock(who), seed };
        let other = Participant { id: Some(who.other().did()), ..Participant::default() };
        let side = self.of(who);
        let mut ledger = side.ledger.clone();
        let result = match job(&side.connector, &mut ledger, &other, moment) {
            Ok(made) => made,
            Err(refusal) => return Ok(Done::Refused(refusal)),
        };
        if ledger == side.ledger {
            return Ok(Done::Committed(result));
        }
        if side.disk_full {
            self.stats.disk_full += 1;
            return Ok(Done::Refused(Refusal {
                kind: RefusalKind::Failed,
                code: "internal",
                reason: "the disk is full".into(),
                pids: Default::default(),
            }));
        }
        let odds = self.odds.crash;
        if self.strikes(odds) {
            self.crash(who);
            return Ok(Done::Died);
        }
        check::commit(self, who, &ledger)?;
        self.of_mut(who).ledger = ledger;
        self.stats.commits += 1;
        check::together(self)?;
        if self.strikes(odds) {
            self.crash(who);
            return Ok(Done::Died);
        }
        self.plan(who);
        Ok(Done::Committed(result))
    }

    /// The driver sleeps until something is due.
    fn plan(&mut self, who: Who) {
        let side = self.of(who);
        let Some(due) = side.first_due().filter(|_| side.up) else { return };
        let at = (due.as_millis() - BEGIN_MS - side.clock).max(self.now);
        if side.wakes.is_some_and(|planned| planned <= at && planned >= self.now) {
            return;
        }
        self.of_mut(who).wakes = Some(at);
        self.at(at - self.now, Event::Wake(who));
    }

    fn wake(&mut self, who: Who) -> Result<(), Violation> {
        if !self.of(who).up {
            return Ok(());
        }
        self.of_mut(who).wakes = None;
        for key in self.of(who).due_by(self.clock(who)) {
            if self.of(who).up {
                self.of_mut(who).busy.insert(key.clone());
                self.work(who, key)?;
            }
        }
        self.plan(who);
        Ok(())
    }

    /// Sends what is due for one process.
    fn work(&mut self, who: Who, key: Key) -> Result<(), Violation> {
        let (kind, pid) = key.clone();
        let due = self.transact(who, |connector, ledger, _, moment| match kind {
            Kind::Negotiation => connector.due_negotiation(ledger, &pid, moment),
            Kind::Transfer => connector.due_transfer(ledger, &pid, moment),
        })?;
        match due {
            Done::Committed(Some(delivery)) => {
                let call =
                    Call { from: who, epoch: self.of(who).epoch, kind, delivery, purpose: Purpose::Deliver };
                self.send(call);
            }
            Done::Committed(None) => self.rest(who, &key),
            Done::Refused(_) => self.rest_for(who, &key, STORE_RETRY_MS),
            Done::Died => {}
        }
        Ok(())
    }

    fn rest(&mut self, who: Who, key: &Key) {
        self.of_mut(who).busy.remove(key);
        self.plan(who);
    }

    /// After a failure of the store: the same again a little later.
    fn rest_for(&mut self, who: Who, key: &Key, delay: i64) {
        let epoch = self.of(who).epoch;
        self.at(delay, Event::Again(who, epoch, key.clone()));
    }

    fn send(&mut self, call: Call) {
        self.sequence += 1;
        let number = self.sequence;
        self.stats.requests += 1;
        let body = match call.purpose {
            Purpose::Deliver => Some(call.delivery.body.clone()),
            Purpose::Ask(_) => None,
        };
        self.note(|| {
            let what = body.as_deref().map_or("asks for the state", |_| "sends");
            format!(
                "{} {what} #{number} {} -> {:?}",
                call.from.name(),
                call.delivery.url,
                call.delivery.target
            )
        });
        self.calls.insert(number, (call, body));
        self.at(ATTEMPT_MS, Event::Broken(number));
        let (lost, strange, doubled) = (self.odds.request_lost, self.odds.strange, self.odds.doubled);
        if self.strikes(lost) {
            self.stats.requests_lost += 1;
            self.note(|| format!("#{number} is lost"));
            if self.rng.chance(500) {
                self.at(20, Event::Broken(number));
            }
            return;
        }
        if self.strikes(strange) {
            self.stats.strange_answers += 1;
            let status = if self.rng.chance(300) { 404 } else { 503 };
            self.at(20, Event::Answer(number, status, String::new()));
            return;
        }
        let delay = self.delay();
        self.at(delay, Event::Arrive(number, true));
        if self.strikes(doubled) {
            self.stats.duplicated += 1;
            let delay = self.delay() + self.delay();
            self.at(delay, Event::Arrive(number, false));
        }
    }

    fn delay(&mut self) -> i64 {
        let slow = self.odds.slow;
        if self.strikes(slow) { self.rng.range(50, 45_000) } else { self.rng.range(1, 40) }
    }

    fn arrive(&mut self, number: u64, answered: bool) -> Result<(), Violation> {
        let Some((call, body)) = self.calls.get(&number).cloned() else { return Ok(()) };
        let to = call.from.other();
        if !self.of(to).up {
            if answered {
                self.at(5, Event::Broken(number));
            }
            return Ok(());
        }
        let url = match &call.purpose {
            Purpose::Deliver => call.delivery.url.clone(),
            Purpose::Ask(_) => call.delivery.status_url.clone().unwrap_or_default(),
        };
        let path = url.strip_prefix(&to.address()).unwrap_or(&url).trim_start_matches('/').to_owned();
        let served = self.transact(to, |connector, ledger, caller, moment| {
            serve(connector, ledger, caller, &path, body.as_deref(), moment)
        })?;
        let (status, text): Answer = match served {
            Done::Committed(answer) => answer,
            Done::Refused(refusal) => {
                self.stats.refused += 1;
                self.note(|| format!("{} refuses #{number}: {}", to.name(), refusal.reason));
                self.hurry(to, &path, &refusal)?;
                (status_of(&refusal), refusal.reason)
            }
            Done::Died => {
                if answered {
                    self.at(5, Event::Broken(number));
                }
                return Ok(());
            }
        };
        if !answered {
            return Ok(());
        }
        let lost = self.odds.answer_lost;
        if self.strikes(lost) {
            self.stats.answers_lost += 1;
            self.note(|| format!("the answer {status} to #{number} is lost"));
            if self.rng.chance(300) {
                self.at(10, Event::Answer(number, 502, String::new()));
            } else if self.rng.chance(500) {
                self.at(10, Event::Broken(number));
            }
            return Ok(());
        }
        let delay = self.delay();
        self.at(delay, Event::Answer(number, status, text));
        Ok(())
    }

    /// As the node does: what waits for its next attempt may have been taken.
    fn hurry(&mut self, who: Who, path: &str, refusal: &Refusal) -> Result<(), Violation> {
        let Some(pid) = path.split('/').nth(1).filter(|_| refusal.code == NOT_ALLOWED) else { return Ok(()) };
        self.transact(who, |connector, ledger, _, moment| {
            connector.hurry_negotiation(ledger, pid, moment)?;
            Ok(connector.hurry_transfer(ledger, pid, moment)?)
        })?;
        Ok(())
    }

    /// The call whose answer is still waited for.
    fn waiting(&mut self, number: u64) -> Option<Call> {
        let (call, _) = self.calls.get(&number)?;
        let (from, epoch) = (call.from, call.epoch);
        let call = call.clone();
        let side = self.of(from);
        (side.up && side.epoch == epoch).then_some(call)
    }

    fn broken(&mut self, number: u64) -> Result<(), Violation> {
        let Some(call) = self.waiting(number) else { return Ok(()) };
        self.forget(number);
        self.outcome(&call, Err(Failure::Unreachable("no answer".into())))
    }

    /// Nobody waits for the answer any more. A late copy of the request may still arrive.
    fn forget(&mut self, number: u64) {
        if let Some((call, _)) = self.calls.get_mut(&number) {
            call.epoch = u64::MAX;
        }
    }

    fn answered(&mut self, number: u64, status: u16, body: &str) -> Result<(), Violation> {
        let Some(call) = self.waiting(number) else { return Ok(()) };
        self.forget(number);
        let outcome = match &call.purpose {
            Purpose::Ask(refused) => state_told(&call.delivery, refused, status, body).map(|()| None),
            Purpose::Deliver => match meaning(call.kind, &call.delivery, status, body) {
                Meaning::Settled(outcome) => outcome,
                Meaning::Ask(said) => {
                    self.send(Call { purpose: Purpose::Ask(said), ..call });
                    return Ok(());
                }
            },
        };
        self.outcome(&call, outcome)
    }

    /// The outcome is kept, and what follows is sent.
    fn outcome(&mut self, call: &Call, outcome: Result<Option<String>, Failure>) -> Result<(), Violation> {
        let (who, pid, message) = (call.from, call.delivery.pid.clone(), call.delivery.message.clone());
        let key = (call.kind, pid.clone());
        let failed = outcome.is_err();
        let kept = self.transact(who, |connector, ledger, other, moment| match (key.0, outcome) {
            (Kind::Negotiation, Ok(peer)) => {
                connector.negotiation_delivered(ledger, &pid, &message, peer, other, moment)
            }
            (Kind::Transfer, Ok(peer)) => connector.transfer_delivered(ledger, &pid, &message, peer, moment),
            (Kind::Negotiation, Err(failure)) => {
                connector.negotiation_undelivered(ledger, &pid, &message, &failure, moment)
            }
            (Kind::Transfer, Err(failure)) => {
                connector.transfer_undelivered(ledger, &pid, &message, &failure, moment)
            }
        })?;
        match kept {
            Done::Committed(()) if failed => self.rest(who, &key),
            Done::Committed(()) => self.work(who, key)?,
            Done::Refused(_) => self.rest_for(who, &key, STORE_RETRY_MS),
            Done::Died => {}
        }
        Ok(())
    }
}
