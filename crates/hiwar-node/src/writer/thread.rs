//! The writer's thread: takes what waits, decides, commits, and tells each asker.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use hiwar_dialogue::engine::{CommandError, Draft, Engine, EngineConfig, EngineError, Keys};
use hiwar_dialogue::ledger::{Change, Seq, Store as _, StoreError, View as _};
use hiwar_dialogue::wire::KeyDirectory;
use hiwar_store::SqliteStore;
use hiwar_trust::time::Timestamp;
use tokio::sync::{mpsc, watch};

use super::{Answer, Carried, Job, Made, WriterError, WriterState};
use crate::clock::now;
use crate::metrics::Metrics;

/// Most jobs under one commit.
const GROUP_JOBS_MAX: usize = 64;

pub(super) fn load(store: &SqliteStore, config: &EngineConfig, keys: &Keys) -> Result<Engine, WriterError> {
    Ok(Engine::load(config.clone(), keys.clone(), store.snapshot()?, store, now())?)
}

/// Tells the asker of a job once the group's fate is known.
type Told = Box<dyn FnOnce(Option<&StoreError>) + Send>;

fn tell<T: Send + 'static>(answer: Answer<T>, result: Result<T, WriterError>) -> Told {
    Box::new(move |failure| {
        let result = match failure {
            Some(error) => Err(WriterError::Store(error.clone())),
            None => result,
        };
        // The asker may be gone, for instance because its connection broke; what was committed
        // stays, and the peer will ask again.
        drop(answer.send(result));
    })
}

pub(super) struct Thread {
    pub(super) engine: Engine,
    pub(super) store: SqliteStore,
    pub(super) config: EngineConfig,
    pub(super) keys: Keys,
    pub(super) queue: mpsc::Receiver<Job>,
    pub(super) state: Arc<WriterState>,
    pub(super) directory: watch::Sender<Arc<KeyDirectory>>,
    pub(super) committed: watch::Sender<u64>,
    pub(super) metrics: Arc<Metrics>,
    /// Whether the store can no longer be read; what waits in the queue is refused then.
    pub(super) lost: bool,
}

impl Thread {
    pub(super) fn run(mut self) {
        let mut group = Vec::with_capacity(GROUP_JOBS_MAX);
        while let Some(first) = self.queue.blocking_recv() {
            group.push(first);
            while group.len() < GROUP_JOBS_MAX
                && let Ok(job) = self.queue.try_recv()
            {
                group.push(job);
            }
            self.work(&mut group);
        }
        tracing::debug!("writer stopped");
    }

    /// Decides and commits a group: first what peers are waiting for, then what to send them next,
    /// then what desks ask for. Desks wait a little longer for it, and peers never wait for a long
    /// run of commands.
    fn work(&mut self, group: &mut Vec<Job>) {
        let (mut peers, mut plans, mut commands, mut queries) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut probes = Vec::new();
        for job in group.drain(..) {
            match job {
                Job::Plan { .. } | Job::PlanAhead { .. } => plans.push(job),
                Job::Commands { .. } => commands.push(job),
                Job::Query(query) => queries.push(query),
                Job::Probe { .. } => probes.push(job),
                _ => peers.push(job),
            }
        }
        // A probe commits by itself, so it must not stand between a decision and its commit.
        for jobs in [probes, peers, plans, commands] {
            if !jobs.is_empty() {
                self.work_through(jobs);
            }
        }
        for query in queries {
            query(&self.engine, &self.store);
        }
    }

    fn work_through(&mut self, jobs: Vec<Job>) {
        let mut told: Vec<Told> = Vec::with_capacity(jobs.len());
        let mut failure =
            self.lost.then(|| StoreError::Failed("the store could not be read any more".into()));
        let mut applied = Vec::new();
        let keys_before = self.keys.clone();
        for job in jobs {
            if failure.is_some() {
                told.push(refuse(job));
                continue;
            }
            let (answer, fatal) = self.decide(job);
            told.push(answer);
            let changes = self.engine.take_changes();
            failure = fatal;
            if failure.is_none() && !changes.is_empty() {
                failure = self.store.apply(&changes).err();
                applied.push(changes);
            }
        }
        if failure.is_none() && !applied.is_empty() {
            let start = Instant::now();
            failure = self.store.commit().err();
            self.metrics.commit_seconds.observe(start.elapsed().as_secs_f64());
        }
        if let Some(error) = &failure {
            self.keys = keys_before;
            self.state.healthy.store(false, Ordering::Release);
            self.recover(error);
        } else if !applied.is_empty() {
            for changes in &applied {
                self.metrics.count(changes);
                self.trace(changes);
            }
            self.published();
        }
        for tell in told {
            tell(failure.as_ref());
        }
    }

    /// Follows each entry by its identifier, from the command to the last receipt, in the log of
    /// every node that it passes.
    fn trace(&self, changes: &[Change]) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        for change in changes {
            match change {
                Change::Entry(entry) => match &entry.via {
                    Some(peer) => {
                        tracing::debug!(entry = %entry.id, %peer, receipt = ?entry.receipt, "entry taken and receipted");
                    }
                    None => tracing::debug!(entry = %entry.id, seq = entry.seq, "entry kept"),
                },
                Change::Queue { peer, seq } => {
                    tracing::debug!(entry = %self.name(*seq), %peer, "entry waits for a peer");
                }
                Change::Delivered { peer, seq, delivery } => {
                    tracing::debug!(entry = %self.name(*seq), %peer, ?delivery, "delivery settled");
                }
                _ => {}
            }
        }
    }

    fn name(&self, seq: Seq) -> String {
        let stored = self.store.entry(seq).ok().flatten();
        stored.map_or_else(|| format!("at position {seq}"), |entry| entry.id.to_string())
    }

    /// After a commit: whoever waits for news looks again.
    fn published(&mut self) {
        let directory = self.engine.directory();
        self.directory.send_if_modified(|held| {
            let newer = !Arc::ptr_eq(held, &directory);
            if newer {
                *held = directory;
            }
            newer
        });
        self.state.log_size.store(self.engine.log().1.size(), Ordering::Release);
        self.state.halted.store(self.engine.halted().is_some(), Ordering::Release);
        self.committed.send_modify(|n| *n = n.wrapping_add(1));
    }

    fn recover(&mut self, error: &StoreError) {
        if self.lost {
            return;
        }
        tracing::error!(%error, "commit failed; nothing of it was kept");
        self.metrics.commit_failures.inc();
        if let Err(error) = self.store.roll_back() {
            tracing::error!(%error, "roll back failed");
        }
        match load(&self.store, &self.config, &self.keys) {
            Ok(engine) => self.engine = engine,
            // Without a store there is no node: stop rather than go on from a state that is not kept.
            Err(error) => {
                tracing::error!(%error, "the store cannot be read any more; stopping");
                self.lost = true;
                self.queue.close();
            }
        }
    }

    /// Decides one job. The second value is set when the store failed under the decision, so that
    /// the whole group must be undone.
    fn decide(&mut self, job: Job) -> (Told, Option<StoreError>) {
        let now = now();
        match job {
            Job::Commands { drafts, answer } => finish(answer, self.carry_out(drafts, now)),
            Job::Receive { from, batch, answer } => {
                let result = self.engine.receive(&self.store, &from, *batch, now);
                finish(answer, result.map_err(WriterError::from))
            }
            Job::Settle { peer, token, reply, answer } => {
                let result = self.engine.settle(&self.store, &peer, token, *reply, now);
                finish(answer, result.map_err(WriterError::from))
            }
            Job::Failed { peer, token, answer } => {
                self.engine.failed(&peer, token, now);
                let result = self.engine.give_up(&self.store, &peer, now);
                finish(answer, result.map_err(WriterError::from))
            }
            Job::PlanAhead { peer, answer } => {
                let result = self.engine.plan_ahead(&self.store, &peer, now);
                finish(answer, result.map_err(WriterError::from))
            }
            Job::Plan { peer, answer } => {
                let result = self.engine.plan(&self.store, &peer, now);
                finish(answer, result.map_err(WriterError::from))
            }
            Job::AddPeer { identity, answer } => {
                finish(answer, self.engine.add_peer(*identity, now).map_err(WriterError::from))
            }
            Job::RetirePeer { peer, answer } => {
                finish(answer, self.engine.retire_peer(&peer).map_err(WriterError::from))
            }
            Job::TrustAgain { peer, answer } => {
                finish(answer, self.engine.trust_again(&peer, now).map_err(WriterError::from))
            }
            Job::Acknowledge { alarm, acknowledgement, answer } => {
                self.engine.acknowledge_alarm(alarm, *acknowledgement);
                finish(answer, Ok(()))
            }
            Job::LearnCards { peer, cards, answer } => {
                self.engine.learn_cards(&peer, &cards, now);
                finish(answer, Ok(()))
            }
            Job::AdoptCard { card, keys, answer } => {
                let result = self.engine.adopt_card(*card, keys.clone());
                if result.is_ok() {
                    self.keys = keys;
                }
                finish(answer, result.map_err(WriterError::from))
            }
            Job::AttachmentStored { sha256, authors, answer } => {
                let result = self.engine.attachment_stored(&self.store, sha256, &authors);
                finish(answer, result.map_err(WriterError::from))
            }
            Job::Probe { answer } => {
                let kept = self.store.probe();
                if kept.is_ok() {
                    self.state.healthy.store(true, Ordering::Release);
                }
                // Nothing was decided, so there is nothing to undo.
                (tell(answer, kept.map_err(WriterError::from)), None)
            }
            Job::Query(query) => {
                query(&self.engine, &self.store);
                (Box::new(|_| {}), None)
            }
        }
    }

    fn carry_out(&mut self, drafts: Vec<Draft>, now: Timestamp) -> Result<Carried, WriterError> {
        let mut made = Vec::with_capacity(drafts.len());
        for draft in drafts {
            match self.engine.command(&self.store, draft, now) {
                Ok((seq, signed)) => {
                    tracing::debug!(entry = %signed.id, seq, "entry made");
                    made.push(Made { entry: signed.id, seq, time: signed.entry.time });
                }
                Err(CommandError::Engine(EngineError::Store(error))) => return Err(error.into()),
                Err(error) => return Ok(Carried { made, refused: Some(error) }),
            }
        }
        Ok(Carried { made, refused: None })
    }
}

/// How a decided job is answered, and whether the store failed under it.
fn finish<T: Send + 'static>(
    answer: Answer<T>,
    result: Result<T, WriterError>,
) -> (Told, Option<StoreError>) {
    let fatal = match &result {
        Err(WriterError::Store(error) | WriterError::Engine(EngineError::Store(error))) => {
            Some(error.clone())
        }
        _ => None,
    };
    (tell(answer, result), fatal)
}

/// Refuses a job of a group whose fate is sealed already.
fn refuse(job: Job) -> Told {
    match job {
        Job::Commands { answer, .. } => tell(answer, Err(WriterError::Stopped)),
        Job::Receive { answer, .. } => tell(answer, Err(WriterError::Stopped)),
        Job::PlanAhead { answer, .. } => tell(answer, Err(WriterError::Stopped)),
        Job::Plan { answer, .. } => tell(answer, Err(WriterError::Stopped)),
        Job::Settle { answer, .. }
        | Job::Failed { answer, .. }
        | Job::AddPeer { answer, .. }
        | Job::RetirePeer { answer, .. }
        | Job::TrustAgain { answer, .. }
        | Job::Acknowledge { answer, .. }
        | Job::LearnCards { answer, .. }
        | Job::AdoptCard { answer, .. }
        | Job::Probe { answer }
        | Job::AttachmentStored { answer, .. } => tell(answer, Err(WriterError::Stopped)),
        Job::Query(_) => Box::new(|_| {}),
    }
}
