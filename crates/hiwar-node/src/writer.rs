//! The writer: the one thread that decides and commits.
//!
//! It owns the engine and the store. Jobs that wait are taken together, decided one after the
//! other, and made durable by one commit; only then do their answers leave. When the commit fails
//! nothing of the group is kept: the engine is built anew from the store and every job of the
//! group is told. This file is the way to ask it; `thread` is what it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread::JoinHandle;

use hiwar_dialogue::engine::{CommandError, Draft, Engine, EngineConfig, EngineError, Keys, Plan, PushPlan};
use hiwar_dialogue::entry::EntryId;
use hiwar_dialogue::ledger::{Acknowledgement, Seq, StoreError};
use hiwar_dialogue::wire::{KeyDirectory, Reply, VerifiedBatch, VerifiedReply};
use hiwar_store::SqliteStore;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::{Identity, SignedCard};
use hiwar_trust::time::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use crate::metrics::Metrics;

mod thread;

use thread::{Thread, load};

/// Most jobs that wait for the writer; whoever brings more waits.
const QUEUE_JOBS_MAX: usize = 1024;

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
    PlanAhead { peer: Did, answer: Answer<Option<Box<PushPlan>>> },
    AddPeer { identity: Box<Identity>, answer: Answer<()> },
    RetirePeer { peer: Did, answer: Answer<()> },
    TrustAgain { peer: Did, answer: Answer<()> },
    Acknowledge { alarm: u64, acknowledgement: Box<Acknowledgement>, answer: Answer<()> },
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

    /// Asks for the batch to follow the one that is under way, if a full one waits.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn plan_ahead(&self, peer: Did) -> Result<Option<Box<PushPlan>>, WriterError> {
        ask!(self, PlanAhead { peer })
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

    /// Keeps that somebody has seen to an alarm, which must be there.
    ///
    /// # Errors
    /// When nothing could be kept.
    pub async fn acknowledge(&self, alarm: u64, acknowledgement: Acknowledgement) -> Result<(), WriterError> {
        let acknowledgement = Box::new(acknowledgement);
        ask!(self, Acknowledge { alarm, acknowledgement })
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
