//! The writer of each node: groups of jobs, one commit, and only then the answers. It dies and
//! fails at any point in between.

use hiwar_dialogue::engine::{CommandError, EngineError, Plan, PushPlan};
use hiwar_dialogue::ledger::{Change, Store as _, StoreError};
use hiwar_trust::time::Timestamp;

use crate::node::{Done, Job, Node, ReplyTo};
use crate::world::{Answer, Event, Violation, World};

/// Where a node dies while it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    /// Before the job of this number is decided.
    Before(usize),
    /// Between the last decision and the commit.
    BeforeCommit,
    /// After the commit, before anything left.
    BeforeRelease,
    /// After this many answers left.
    DuringRelease(usize),
}

/// Sorts the errors a node may meet from those that only a wrong decision can cause.
fn expected(error: &EngineError) -> Result<&'static str, String> {
    match error {
        EngineError::Peer { .. } => Ok("not-dealt-with"),
        EngineError::Halted(_) => Ok("halted"),
        EngineError::Wire(_) => Ok("misdirected"),
        other => Err(format!("internal error: {other}")),
    }
}

impl World {
    /// Does one turn of a node's writer.
    pub(crate) fn work(&mut self, idx: usize) -> Result<(), Violation> {
        let most = usize::try_from(self.swarm.group).unwrap_or(1);
        let take = 1 + self.rng.index(most);
        let Some(node) = self.nodes.get_mut(idx) else { return Ok(()) };
        node.working = false;
        let take = take.min(node.inbox.len());
        let group: Vec<Job> = node.inbox.drain(..take).collect();
        let (plans, jobs): (Vec<Job>, Vec<Job>) =
            group.into_iter().partition(|job| matches!(job, Job::Plan { .. } | Job::PlanAhead { .. }));
        for group in [jobs, plans] {
            if !group.is_empty() && !self.work_through(idx, group)? {
                return Ok(());
            }
        }
        let Some(node) = self.nodes.get_mut(idx) else { return Ok(()) };
        if !node.inbox.is_empty() && !node.working {
            node.working = true;
            let life = node.life;
            self.at(0, Event::Work { node: idx, life });
        }
        Ok(())
    }

    fn draw_death(&mut self, jobs: usize) -> Option<Death> {
        if !self.faults_on || !self.rng.chance(self.swarm.crashes) {
            return None;
        }
        Some(match self.rng.below(4) {
            0 => Death::Before(self.rng.index(jobs)),
            1 => Death::BeforeCommit,
            2 => Death::BeforeRelease,
            _ => Death::DuringRelease(self.rng.index(jobs)),
        })
    }

    /// Decides a group, commits it and lets the answers go. Tells whether the node still lives.
    fn work_through(&mut self, idx: usize, jobs: Vec<Job>) -> Result<bool, Violation> {
        let death = self.draw_death(jobs.len());
        let mut done = Vec::with_capacity(jobs.len());
        let mut applied = false;
        for (number, job) in jobs.into_iter().enumerate() {
            if death == Some(Death::Before(number)) {
                self.crash(idx);
                return Ok(false);
            }
            let virtual_now = self.now;
            let Some(node) = self.nodes.get_mut(idx) else { return Ok(false) };
            let now = node.now(virtual_now);
            let outcome = decide(node, job, now);
            let changes = node.engine.as_mut().map(hiwar_dialogue::engine::Engine::take_changes);
            let changes = changes.unwrap_or_default();
            let kept = node.store.apply(&changes);
            applied |= !changes.is_empty();
            let name = node.did.clone();
            done.push(outcome.map_err(|e| self.wrong(format!("{name}: {e}")))?);
            kept.map_err(|e| self.wrong(format!("{name} decided what cannot be kept: {e}")))?;
            self.inspect(idx, &changes)?;
            self.notice(idx, &changes);
        }
        if death == Some(Death::BeforeCommit) {
            self.crash(idx);
            return Ok(false);
        }
        let failure = if applied { self.commit(idx) } else { None };
        if let Some(error) = &failure {
            self.recover(idx, error)?;
        } else if applied {
            self.check_after_commit(idx)?;
        }
        if death == Some(Death::BeforeRelease) {
            self.crash(idx);
            return Ok(false);
        }
        for (number, outcome) in done.into_iter().enumerate() {
            if death == Some(Death::DuringRelease(number)) {
                self.crash(idx);
                return Ok(false);
            }
            self.release(idx, outcome, failure.is_none())?;
        }
        if failure.is_none() && applied {
            self.poke_all(idx);
        }
        Ok(true)
    }

    fn commit(&mut self, idx: usize) -> Option<StoreError> {
        self.stats.commits += 1;
        let full = self.faults_on && self.rng.chance(self.swarm.full);
        let torn = self.faults_on && self.rng.chance(self.swarm.torn);
        let durable = self.rng.chance(500);
        let node = self.nodes.get_mut(idx)?;
        if full {
            self.stats.disk_full += 1;
            node.store.fail_next_commit(StoreError::Full("no space left".into()));
        } else if torn {
            self.stats.torn_commits += 1;
            node.store.tear_next_commit(durable);
        }
        node.store.commit().err()
    }

    /// The engine is ahead of the store: build it anew.
    fn recover(&mut self, idx: usize, error: &StoreError) -> Result<(), Violation> {
        self.note(|| format!("node {idx}: commit failed: {error}"));
        let virtual_now = self.now;
        let Some(node) = self.nodes.get_mut(idx) else { return Ok(()) };
        let loaded = node.load(virtual_now);
        loaded.map_err(|e| self.wrong(format!("node {idx} cannot load after a failed commit: {e}")))
    }

    /// Looks at what a node decided before it is durable.
    fn inspect(&mut self, idx: usize, changes: &[Change]) -> Result<(), Violation> {
        for change in changes {
            let Change::Alarm(alarm) = change else { continue };
            self.stats.alarms += 1;
            self.note(|| {
                format!("node {idx}: alarm {} about {:?}: {}", alarm.code, alarm.peer, alarm.detail)
            });
            self.judge_alarm(idx, alarm)?;
        }
        Ok(())
    }

    /// Lets go what a job came to.
    fn release(&mut self, idx: usize, done: Done, kept: bool) -> Result<(), Violation> {
        match done {
            Done::Command(Ok(id)) if kept => {
                self.stats.commands += 1;
                self.acknowledged.entry(idx).or_default().insert(id);
                self.note(|| format!("node {idx}: made {id:?}"));
            }
            Done::Command(result) => {
                self.stats.commands_refused += 1;
                self.note(|| format!("node {idx}: command refused: {result:?}"));
            }
            Done::Received { from, to, result } => {
                let result = if kept { result } else { Err("disk-full") };
                self.replied(idx, &from, to, result)?;
            }
            Done::Settled { peer, token, stale, fetch, ok } => match (fetch, ok && kept) {
                (Some(asker), true) => self.parked_again(idx, &peer, asker, Some(0)),
                (Some(asker), false) => {
                    self.answer(idx, asker, Err("internal"));
                    if let Some(tasks) = self.nodes.get_mut(idx).and_then(|n| n.tasks.get_mut(&peer)) {
                        tasks.parked = None;
                    }
                    self.idle(idx, &peer, 0);
                }
                (None, _) if stale => {}
                // The batch to follow is under way already.
                (None, true) if self.is_pushing(idx, &peer) => {}
                (None, true) => self.idle(idx, &peer, 0),
                (None, false) => self.give(idx, Job::Failed { peer, token, fetch: None }),
            },
            Done::Failed { peer, fetch: Some(asker) } => self.parked_again(idx, &peer, asker, Some(0)),
            Done::Failed { peer, fetch: None } => self.idle(idx, &peer, 0),
            Done::PlannedAhead { peer, plan } => self.planned_ahead(idx, &peer, plan.filter(|_| kept))?,
            Done::Planned { peer, fetch, plan } => match plan.filter(|_| kept) {
                None if fetch.is_some() => {
                    if let Some(asker) = fetch {
                        self.parked_again(idx, &peer, asker, Some(2_000));
                    }
                }
                None => self.idle(idx, &peer, 2_000),
                Some(plan) => self.planned(idx, &peer, fetch, plan)?,
            },
            Done::Learned { peer, asker, key } => {
                if kept {
                    self.grant_session(idx, &peer, asker, key);
                } else {
                    self.answer(idx, asker, Err("disk-full"));
                }
            }
            Done::Adopted => {
                let Some(node) = self.nodes.get_mut(idx) else { return Ok(()) };
                if kept {
                    if let Some((keys, number)) = node.next_keys.take() {
                        (node.keys, node.key_number) = (keys, number);
                    }
                    if node.backup.is_some() {
                        node.backup = Some(node.store.backup());
                    }
                }
            }
            Done::Nothing => {}
        }
        Ok(())
    }

    fn replied(
        &mut self,
        idx: usize,
        from: &hiwar_trust::did::Did,
        to: ReplyTo,
        result: Result<Vec<u8>, &'static str>,
    ) -> Result<(), Violation> {
        if let Ok(body) = &result {
            self.watch_reply(idx, body)?;
        }
        let result = result.map(|body| self.spoil_reply(idx, body));
        self.note(|| format!("node {idx}: replies to {from}: {:?}", result.as_ref().map(Vec::len)));
        match (to, result) {
            (ReplyTo::Asker(asker), result) => {
                self.answer(idx, asker, result.map(|body| Answer::Reply(body.into())));
            }
            (ReplyTo::Fetched(token), Ok(body)) => {
                self.fetched_reply(idx, from, Some((token, body.into())));
            }
            (ReplyTo::Fetched(_), Err(_)) => self.fetched_reply(idx, from, None),
        }
        Ok(())
    }

    fn planned(
        &mut self,
        idx: usize,
        peer: &hiwar_trust::did::Did,
        fetch: Option<crate::node::Asker>,
        plan: Plan,
    ) -> Result<(), Violation> {
        match (plan, fetch) {
            (Plan::Push(push), None) => {
                self.note(|| format!("node {idx}: pushes {} entries to {peer}", push.entries));
                self.watch_batch(idx, &push.body)?;
                self.push(idx, peer, *push);
                // The real node asks after every commit; one question, at some time, is harder.
                let delay = self.rng.range(0, 20);
                if self.rng.chance(500) {
                    self.ask_ahead(idx, peer, delay);
                }
            }
            (Plan::Push(push), Some(asker)) => {
                self.note(|| format!("node {idx}: hands {} entries to {peer}", push.entries));
                self.watch_batch(idx, &push.body)?;
                let Some(tasks) = self.nodes.get_mut(idx).and_then(|n| n.tasks.get_mut(peer)) else {
                    return Ok(());
                };
                tasks.parked = None;
                tasks.busy = false;
                tasks.handed = Some(push.token);
                let body = push.body.into();
                self.answer(idx, asker, Ok(Answer::Batch { token: push.token, body }));
            }
            (Plan::Wait(until), fetch) => {
                let now = self.nodes.get(idx).map(|n| n.now(self.now));
                let wake = until.zip(now).map(|(until, now)| until.millis_since(now).max(1));
                match fetch {
                    Some(asker) => self.parked_again(idx, peer, asker, wake),
                    None => self.idle(idx, peer, wake.unwrap_or(i64::MAX)),
                }
            }
        }
        Ok(())
    }

    /// The batch to follow is there: it is kept until the one before is answered. When that has
    /// happened meanwhile it leaves at once.
    fn planned_ahead(
        &mut self,
        idx: usize,
        peer: &hiwar_trust::did::Did,
        plan: Option<Box<PushPlan>>,
    ) -> Result<(), Violation> {
        let Some(tasks) = self.nodes.get_mut(idx).and_then(|n| n.tasks.get_mut(peer)) else { return Ok(()) };
        if !std::mem::take(&mut tasks.asked_ahead) {
            return Ok(());
        }
        if tasks.push.outstanding.is_some() {
            tasks.ahead = plan;
            return Ok(());
        }
        match plan {
            Some(plan) => self.push_ahead(idx, peer, *plan),
            None => {
                self.idle(idx, peer, 0);
                Ok(())
            }
        }
    }

    pub(crate) fn push_ahead(
        &mut self,
        idx: usize,
        peer: &hiwar_trust::did::Did,
        plan: PushPlan,
    ) -> Result<(), Violation> {
        self.stats.ahead += 1;
        self.note(|| format!("node {idx}: pushes {} more entries to {peer}", plan.entries));
        self.watch_batch(idx, &plan.body)?;
        self.push(idx, peer, plan);
        Ok(())
    }

    /// A node dies; it comes back after a while.
    pub(crate) fn crash(&mut self, idx: usize) {
        let Some(node) = self.nodes.get_mut(idx) else { return };
        if node.engine.is_none() {
            return;
        }
        node.die();
        self.stats.crashes += 1;
        self.note(|| format!("node {idx}: crashes"));
        let pause = self.rng.range(1, 20_000);
        self.at(pause, Event::Restart { node: idx });
    }

    pub(crate) fn restart(&mut self, idx: usize) -> Result<(), Violation> {
        let virtual_now = self.now;
        let Some(node) = self.nodes.get_mut(idx) else { return Ok(()) };
        if node.engine.is_some() {
            return Ok(());
        }
        node.load(virtual_now).map_err(|e| self.wrong(format!("node {idx} cannot start: {e}")))?;
        self.note(|| format!("node {idx}: starts"));
        self.put_back(idx)?;
        self.start_tasks(idx);
        Ok(())
    }

    pub(crate) fn start_tasks(&mut self, idx: usize) {
        self.poke_all(idx);
        let Some(node) = self.nodes.get(idx).filter(|n| n.pull) else { return };
        let peers: Vec<_> = node.tasks.keys().cloned().collect();
        for peer in peers {
            self.fetch_later(idx, &peer, 0);
        }
    }
}

/// Runs the engine for one job.
fn decide(node: &mut Node, job: Job, now: Timestamp) -> Result<Done, String> {
    let Some(engine) = node.engine.as_mut() else { return Ok(Done::Nothing) };
    let view = &node.store;
    match job {
        Job::Command(draft) => match engine.command(view, draft, now) {
            Ok((_, signed)) => Ok(Done::Command(Ok(signed.id))),
            Err(CommandError::Engine(error)) => Ok(Done::Command(Err(expected(&error)?))),
            Err(CommandError::Entry(error)) => Err(format!("a command made a bad entry: {error}")),
            Err(other) => Ok(Done::Command(Err(other.code()))),
        },
        Job::Receive { from, batch, to } => {
            let result = match engine.receive(view, &from, *batch, now) {
                Ok(reply) => Ok(serde_json::to_vec(&reply).map_err(|e| e.to_string())?),
                Err(error) => Err(expected(&error)?),
            };
            Ok(Done::Received { from, to, result })
        }
        Job::Settle { peer, token, reply, stale, fetch } => {
            let settled = engine.settle(view, &peer, token, *reply, now);
            let ok = settled.is_ok();
            if let Err(error) = settled {
                expected(&error)?;
            }
            Ok(Done::Settled { peer, token, stale, fetch, ok })
        }
        Job::Failed { peer, token, fetch } => {
            engine.failed(&peer, token, now);
            if let Err(error) = engine.give_up(view, &peer, now) {
                expected(&error)?;
            }
            Ok(Done::Failed { peer, fetch })
        }
        Job::Plan { peer, fetch } => match engine.plan(view, &peer, now) {
            Ok(plan) => Ok(Done::Planned { peer, fetch, plan: Some(plan) }),
            Err(error) => expected(&error).map(|_| Done::Planned { peer, fetch, plan: None }),
        },
        Job::PlanAhead { peer } => match engine.plan_ahead(view, &peer, now) {
            Ok(plan) => Ok(Done::PlannedAhead { peer, plan }),
            Err(error) => expected(&error).map(|_| Done::PlannedAhead { peer, plan: None }),
        },
        Job::Learn { peer, cards, asker, key } => {
            engine.learn_cards(&peer, &cards, now);
            Ok(Done::Learned { peer, asker, key })
        }
        Job::LearnAnswered { peer, cards } => {
            engine.learn_cards(&peer, &cards, now);
            Ok(Done::Nothing)
        }
        Job::Adopt { card, keys, key_number } => match engine.adopt_card(*card, keys.clone()) {
            Ok(()) => {
                node.next_keys = Some((keys, key_number));
                Ok(Done::Adopted)
            }
            // Made from a card that another one has followed meanwhile.
            Err(EngineError::Identity(_)) => Ok(Done::Nothing),
            Err(error) => Err(error.to_string()),
        },
        Job::FileStored { sha256, authors } => {
            engine.attachment_stored(view, sha256, &authors).map_err(|e| e.to_string())?;
            Ok(Done::Nothing)
        }
    }
}
