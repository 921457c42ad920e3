//! The one thread that owns the dataspace's store.
//!
//! Jobs that wait are carried out together and made durable by one commit; only then do their answers
//! leave. A job that is refused leaves nothing behind and does not harm the others of its group.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use hiwar_dataspace::connector::{Refusal, RefusalKind};
use hiwar_store::StorageError;
use hiwar_store::dataspace::{DataspaceStore, Due, Tx};
use tokio::sync::{Notify, mpsc, oneshot};

/// Most jobs that wait; whoever brings more waits.
const QUEUE_JOBS_MAX: usize = 1024;
/// Most jobs in one commit.
const GROUP_JOBS_MAX: usize = 256;

/// What is left of a job after the commit: it says so to who asked.
type Finish = Box<dyn FnOnce(Result<(), String>) + Send>;
type Job = Box<dyn FnOnce(&mut DataspaceStore) -> (Changed, Finish) + Send>;

/// What a job changed that others wait for.
#[derive(Default)]
struct Changed {
    processes: Vec<Due>,
    noted: bool,
}

/// A way to the store. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Desk {
    jobs: mpsc::Sender<Job>,
}

/// The store's fault.
pub(crate) fn failed(problem: impl ToString) -> Refusal {
    Refusal::new(RefusalKind::Failed, "internal", problem.to_string())
}

impl Desk {
    /// Opens the store in `dir` and starts its thread. After a commit `wake` is told what changed, and
    /// `noted` that something belongs into the log.
    pub(crate) fn start(
        dir: &Path,
        wake: mpsc::UnboundedSender<Due>,
        noted: Arc<Notify>,
    ) -> Result<(Self, JoinHandle<()>), StorageError> {
        let store = DataspaceStore::open(dir)?;
        let (jobs, waiting) = mpsc::channel(QUEUE_JOBS_MAX);
        let thread = std::thread::Builder::new()
            .name("dataspace".into())
            .spawn(move || work(store, waiting, &wake, &noted))
            .map_err(|e| hiwar_dialogue::ledger::StoreError::Failed(e.to_string()))?;
        Ok((Self { jobs }, thread))
    }

    /// Carries out `job` and waits until what it did is durable.
    ///
    /// # Errors
    /// Why it was refused, or that the store failed; nothing of it is kept then.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Tx<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (answer, result) = oneshot::channel();
        let job: Job = Box::new(move |store| {
            let mut changed = Changed::default();
            let outcome = store.job(|tx| {
                let made = job(tx)?;
                changed = Changed { processes: tx.touched(), noted: tx.noted() };
                Ok::<T, Refusal>(made)
            });
            if outcome.is_err() {
                changed = Changed::default();
            }
            let finish: Finish = Box::new(move |committed| {
                // Nobody may be waiting any more; what is committed stays.
                let _ = answer.send(committed.map_err(failed).and(outcome));
            });
            (changed, finish)
        });
        self.jobs.send(job).await.map_err(|_| failed("the node is shutting down"))?;
        result.await.map_err(|_| failed("the node is shutting down"))?
    }
}

fn work(
    mut store: DataspaceStore,
    mut jobs: mpsc::Receiver<Job>,
    wake: &mpsc::UnboundedSender<Due>,
    noted: &Notify,
) {
    while let Some(first) = jobs.blocking_recv() {
        let mut finishing = Vec::new();
        let mut changed = Changed::default();
        let begun = store.begin().map_err(|e| e.to_string());
        let mut next = Some(first);
        if begun.is_ok() {
            while let Some(job) = next {
                let (by_job, finish) = job(&mut store);
                changed.processes.extend(by_job.processes);
                changed.noted |= by_job.noted;
                finishing.push(finish);
                next = if finishing.len() < GROUP_JOBS_MAX { jobs.try_recv().ok() } else { None };
            }
        }
        let committed = begun.and_then(|()| store.commit().map_err(|e| e.to_string()));
        if let Err(problem) = &committed {
            tracing::error!(%problem, "the dataspace's store could not be written");
            if let Err(error) = store.rollback() {
                tracing::error!(%error, "the dataspace's store could not be rolled back");
            }
            changed = Changed::default();
        }
        for process in changed.processes {
            // The driver is gone only when the node stops.
            let _ = wake.send(process);
        }
        if changed.noted {
            noted.notify_one();
        }
        for finish in finishing {
            finish(committed.clone());
        }
    }
}
