//! The writer: the one thread that decides and commits.
//!
//! It owns the engine and the store. Jobs that wait are taken together, decided one after the
//! other, and made durable by one commit; only then do their answers leave. When the commit fails
//! nothing of the group is kept: the engine is built anew from the store and every job of the
//! group is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use hiwar_dialogue::engine::{CommandError, Draft, Engine, EngineConfig, EngineError, Keys, Plan};
use hiwar_dialogue::entry::EntryId;
use hiwar_dialogue::ledger::{Seq, Store, StoreError};
use hiwar_dialogue::wire::{KeyDirectory, Reply, VerifiedBatch, VerifiedReply};
use hiwar_store::SqliteStore;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::{Identity, SignedCard};
use hiwar_trust::time::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::now;
use crate::metrics::Metrics;

/// Most jobs that wait for the writer; whoever brings more waits.
const QUEUE_JOBS_MAX: usize = 1024;
/// Most jobs under one commit.
const GROUP_JOBS_MAX: usize = 64;

/// Why a job was not done. Nothing of it was kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriterError {
    /// The writer is shutting down.
    #[error("the node is shutting down")]
    Stopped,
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The commit failed; another job of the same group may have caused it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a command made.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// The entry.
    pub entry: EntryId,
    /// Its position in the store.
    pub seq: Seq,
    /// Its claimed time.
    pub time: Timestamp,
}

/// What a run of commands made. They are carried out in order up to the first that is refused.
#[derive(Debug)]
pub struct Carried {
    /// What was made, and is durable.
    pub made: Vec<Made>,
    /// Why the next one was refused; neither it nor any after it was carried out.
    pub refused: Option<CommandError>,
}

type Answer<T> = oneshot::Sender<Result<T, WriterError>>;
type Query = Box<dyn FnOnce(&Engine, &dyn hiwar_dialogue::ledger::View) + Send>;

enum Job {
    Commands { drafts: Vec<Draft>, answer: Answer<Carried> },
    Receive { from: Did, batch: Box<VerifiedBatch>, answer: Answer<Reply> },
    Settle { peer: Did, token: u64, reply: Box<VerifiedReply>, answer: Answer<()> },
    Failed { peer: Did, token: u64, answer: Answer<()> },
    Plan { peer: Did, answer: Answer<Plan> },
    AddPeer { identity: Box<Identity>, answer: Answer<()> },
    RetirePeer { peer: Did, answer: Answer<()> },
    TrustAgain { peer: Did, answer: Answer<()> },
    LearnCards { peer: Did, cards: Vec<SignedCard>, answer: Answer<()> },
    AdoptCard { card: Box<SignedCard>, keys: Keys, answer: Answer<()> },
    AttachmentStored { sha256: Hash, authors: Vec<Did>, answer: Answer<()> },
    Probe { answer: Answer<()> },
    Query(Query),
}

/// What everybody may know of the writer without asking it.
#[derive(Debug, Default)]
pub struct WriterState {
    /// False from a commit that failed until a probe succeeds.
    pub healthy: AtomicBool,
    /// Leaves of the log after the last commit.
    pub log_size: AtomicU64,
    /// Whether the engine has halted.
    pub halted: AtomicBool,
}

/// A handle by which tasks give the writer jobs.
#[derive(Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
    state: Arc<WriterState>,
    directory: watch::Receiver<Arc<KeyDirectory>>,
    committed: watch::Receiver<u64>,
}

macro_rules! ask {
    ($self:ident, $job:ident { $($field:ident),* }) => {{
        let (answer, told) = oneshot::channel();
        $self.jobs.send(Job::$job { $($field,)* answer }).await.map_err(|_| WriterError::Stopped)?;
        told.await.map_err(|_| WriterError::Stopped)?
    }};
}

impl Writer {
    /// Builds the engine from `store` and starts the thread.
    ///
    /// # Errors
    /// When the store cannot be read or the keys do not fit it.
    pub fn start(
        store: SqliteStore,
        config: EngineConfig,
        keys: Keys,
        metrics: Arc<Metrics>,
    ) -> Result<(Self, JoinHandle<()>), WriterError> {
        let mut engine = load(&store, &config, &keys)?;
        let (jobs, queue) = mpsc::channel(QUEUE_JOBS_MAX);
        let (directory_out, directory) = watch::channel(engine.directory());
        let (committed_out, committed) = watch::channel(0);
        let state = Arc::new(WriterState {
            healthy: AtomicBool::new(true),
            log_size: AtomicU64::new(engine.log().1.size()),
            halted: AtomicBool::new(engine.halted().is_some()),
        });
        let thread = Thread {
            engine,
            store,
            config,
            keys,
            queue,
            state: state.clone(),
            directory: directory_out,
            committed: committed_out,
            metrics,
            lost: false,
        };
        let joined = std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || thread.run())
            .map_err(|e| StoreError::Failed(format!("the writer thread could not be started: {e}")))?;
        Ok((Self { jobs, state, directory, committed }, joined))
    }

    /// What everybody may know.
    pub fn state(&self) -> &WriterState {
        &self.state
    }

    /// The keys known now.
    pub fn directory(&self) -> Arc<KeyDirectory> {
        self.directory.borrow().clone()
    }

    /// Changes whenever keys become known.
    pub fn directory_changes(&self) -> watch::Receiver<Arc<KeyDirectory>> {
        self.directory.clone()
    }

    /// Changes after every commit.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.committed.clone()
    }

    /// Carries out commands up to the first that is refused, and answers when they are durable.
    ///
    /// # Errors
    /// Why not.
    pub async fn commands(&self, drafts: Vec<Draft>) -> Result<Carried, WriterError> {
        ask!(self, Commands { drafts })
    }

    /// Takes a batch and answers when what it brought is durable.
    ///
    /// # Errors
    /// When the peer may not deliver, or nothing could be kept.
    pub async fn receive(&self, from: Did, batch: VerifiedBatch) -> Result<Reply, WriterError> {
        let batch = Box::new(batch);
        ask!(self, Receive { from, batch })
    }

    /// Takes the reply to a batch.
    ///
    /// # Errors
    /// When nothing could be kept.
    pub async fn settle(&self, peer: Did, token: u64, reply: VerifiedReply) -> Result<(), WriterError> {
        let reply = Box::new(reply);
        ask!(self, Settle { peer, token, reply })
    }

    /// Notes that a batch failed.
    ///
    /// # Errors
    /// When nothing could be kept.
    pub async fn failed(&self, peer: Did, token: u64) -> Result<(), WriterError> {
        ask!(self, Failed { peer, token })
    }

    /// Asks what to send to a peer now; the state of the log in it is durable.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn plan(&self, peer: Did) -> Result<Plan, WriterError> {
        ask!(self, Plan { peer })
    }

    /// Adds or updates a peer whose fingerprint a person confirmed.
    ///
    /// # Errors
    /// When its cards contradict those held.
    pub async fn add_peer(&self, identity: Identity) -> Result<(), WriterError> {
        let identity = Box::new(identity);
        ask!(self, AddPeer { identity })
    }

    /// Stops dealing with a peer.
    ///
    /// # Errors
    /// When it is unknown.
    pub async fn retire_peer(&self, peer: Did) -> Result<(), WriterError> {
        ask!(self, RetirePeer { peer })
    }

    /// An operator trusts a peer's log again.
    ///
    /// # Errors
    /// When it is unknown.
    pub async fn trust_again(&self, peer: Did) -> Result<(), WriterError> {
        ask!(self, TrustAgain { peer })
    }

    /// Takes over newer cards of a peer.
    ///
    /// # Errors
    /// When nothing could be kept.
    pub async fn learn_cards(&self, peer: Did, cards: Vec<SignedCard>) -> Result<(), WriterError> {
        ask!(self, LearnCards { peer, cards })
    }

    /// Takes over this node's next card.
    ///
    /// # Errors
    /// When it does not follow.
    pub async fn adopt_card(&self, card: SignedCard, keys: Keys) -> Result<(), WriterError> {
        let card = Box::new(card);
        ask!(self, AdoptCard { card, keys })
    }

    /// Notes that a file is complete.
    ///
    /// # Errors
    /// When nothing could be kept.
    pub async fn attachment_stored(&self, sha256: Hash, authors: Vec<Did>) -> Result<(), WriterError> {
        ask!(self, AttachmentStored { sha256, authors })
    }

    /// Makes a commit that changes nothing, to learn whether the store takes any again.
    ///
    /// # Errors
    /// When it does not.
    pub async fn probe(&self) -> Result<(), WriterError> {
        ask!(self, Probe {})
    }

    /// Reads the engine's state as of the last commit.
    ///
    /// # Errors
    /// When the node is shutting down.
    pub async fn query<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Engine, &dyn hiwar_dialogue::ledger::View) -> T + Send + 'static,
    ) -> Result<T, WriterError> {
        let (answer, told) = oneshot::channel();
        let query: Query = Box::new(move |engine, view| {
            // The asker may be gone; then nobody misses the answer.
            drop(answer.send(read(engine, view)));
        });
        self.jobs.send(Job::Query(query)).await.map_err(|_| WriterError::Stopped)?;
        told.await.map_err(|_| WriterError::Stopped)
    }
}

fn load(store: &SqliteStore, config: &EngineConfig, keys: &Keys) -> Result<Engine, WriterError> {
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

struct Thread {
    engine: Engine,
    store: SqliteStore,
    config: EngineConfig,
    keys: Keys,
    queue: mpsc::Receiver<Job>,
    state: Arc<WriterState>,
    directory: watch::Sender<Arc<KeyDirectory>>,
    committed: watch::Sender<u64>,
    metrics: Arc<Metrics>,
    /// Whether the store can no longer be read; what waits in the queue is refused then.
    lost: bool,
}

impl Thread {
    fn run(mut self) {
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
                Job::Plan { .. } => plans.push(job),
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
        let mut applied = false;
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
                applied = true;
                failure = self.store.apply(&changes).err();
                self.metrics.count(&changes);
            }
        }
        if failure.is_none() && applied {
            let start = Instant::now();
            failure = self.store.commit().err();
            self.metrics.commit_seconds.observe(start.elapsed().as_secs_f64());
        }
        if let Some(error) = &failure {
            self.keys = keys_before;
            self.state.healthy.store(false, Ordering::Release);
            self.recover(error);
        } else if applied {
            self.published();
        }
        for tell in told {
            tell(failure.as_ref());
        }
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
        Job::Plan { answer, .. } => tell(answer, Err(WriterError::Stopped)),
        Job::Settle { answer, .. }
        | Job::Failed { answer, .. }
        | Job::AddPeer { answer, .. }
        | Job::RetirePeer { answer, .. }
        | Job::TrustAgain { answer, .. }
        | Job::LearnCards { answer, .. }
        | Job::AdoptCard { answer, .. }
        | Job::Probe { answer }
        | Job::AttachmentStored { answer, .. } => tell(answer, Err(WriterError::Stopped)),
        Job::Query(_) => Box::new(|_| {}),
    }
}
