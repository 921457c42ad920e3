//! The Dataspace Protocol 2025-1 at the edge: who calls, where messages go, when.
//!
//! What is decided is decided by [`hiwar_dataspace::connector`]; what is kept is kept by the thread behind
//! `Desk`. Root is the node's address in its card, base is root + [`PATH`]; one set of addresses
//! serves both roles, so the callback address is the base.

mod callers;
pub mod config;
mod conformance;
mod desk;
mod driver;
mod endpoints;
mod gate;
mod gzip;
pub(crate) mod push;
pub(crate) mod receive;
mod recorder;
mod renew;
pub(crate) mod retention;
mod typed;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hiwar_dataspace::connector::{Connector, Moment, NOT_ALLOWED, Refusal};
use hiwar_dataspace::ledger::Content;
use hiwar_dataspace::rules::Rules;
use hiwar_dialogue::ledger::StoreError;
use hiwar_store::dataspace::{DataspaceReader, Due, ProcessKind, Tx};
use tokio::sync::{Notify, mpsc};

use crate::claims::Claims;
use crate::clock::{now, random};
use crate::data_plane::store::Stores;
use crate::node::Shared;
use crate::outbound::Outbound;
use callers::{Callers, Kit};
use desk::Desk;

pub(crate) use callers::{endpoint_of as callers_endpoint, everybody};
pub(crate) use desk::failed;
pub(crate) use driver::{call, call_paged};
pub(crate) use endpoints::{SERVICE, router};

/// The path of DSP 2025-1 below the node's address.
pub const PATH: &str = "/dsp/2025-1";
/// Read-only connections kept open.
const READERS_MAX: usize = 4;
/// How long a message that is not allowed yet waits for a delivery under way.
const IN_FLIGHT_WAIT: Duration = Duration::from_secs(2);

/// Why the dataspace cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataspaceError {
    /// Its store is wrong.
    #[error(transparent)]
    Storage(#[from] hiwar_store::StorageError),
    /// Its store cannot be read.
    #[error("the dataspace's store: {0}")]
    Failed(String),
    /// What a conformance kit needs is wrong.
    #[error("{0}")]
    Conformance(String),
    /// A store of objects cannot be used.
    #[error("{0}")]
    Stores(String),
    /// What credentials need is wrong.
    #[error("claims: {0}")]
    Claims(String),
}

/// A running connector.
pub(crate) struct Dataspace {
    pub(crate) connector: Arc<Connector>,
    pub(crate) desk: Desk,
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) stores: Arc<Stores>,
    pub(crate) callers: Callers,
    pub(crate) claims: Option<Arc<Claims>>,
    pub(crate) streams: gate::Streams,
    noted: Arc<Notify>,
    /// Data came that may have to be deleted one day.
    held: Notify,
    /// Transfers whose data this side is bringing.
    pushing: Mutex<HashSet<String>>,
    in_flight: Mutex<HashMap<String, Arc<Notify>>>,
    watched: Mutex<HashMap<String, Arc<Notify>>>,
    dir: PathBuf,
    readers: Mutex<Vec<DataspaceReader>>,
}

/// A dataspace whose tasks do not run yet.
pub(crate) struct Prepared {
    pub(crate) dataspace: Arc<Dataspace>,
    changes: mpsc::UnboundedReceiver<Due>,
    pub(crate) thread: std::thread::JoinHandle<()>,
    fixture: Option<conformance::Fixture>,
}

/// Marks a process as being delivered for.
pub(crate) struct InFlight<'a> {
    dataspace: &'a Dataspace,
    pid: &'a str,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let gone = self.dataspace.in_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(self.pid);
        if let Some(waiting) = gone {
            waiting.notify_waiters();
        }
    }
}

impl Dataspace {
    /// Opens the store in the node's folder. `address` is the one in the node's card.
    pub(crate) fn prepare(
        dir: &std::path::Path,
        config: &crate::config::Config,
        address: &str,
    ) -> Result<Prepared, DataspaceError> {
        let fixture = match &config.dataspace.conformance {
            Some(path) => {
                Some(conformance::Fixture::read(&dir.join(path)).map_err(DataspaceError::Conformance)?)
            }
            None => None,
        };
        let (wake, changes) = mpsc::unbounded_channel();
        let noted = Arc::new(Notify::new());
        let (desk, thread) = Desk::start(dir, wake, noted.clone())?;
        let root = address.trim_end_matches('/');
        let connector = Connector {
            participant: config.did.as_str().to_owned(),
            address: format!("{root}{PATH}"),
            data_address: root.to_owned(),
            rules: fixture.as_ref().map_or_else(
                || Rules { token_life_ms: Some(config.dataspace.token_life_ms()), ..Rules::default() },
                conformance::Fixture::rules,
            ),
        };
        let kit = fixture
            .as_ref()
            .map(|f| Kit { participant: f.caller.participant.clone(), bearer: f.caller.bearer.clone() });
        let outbound = Arc::new(Outbound::new(config.outbound.clone(), config.connect_from));
        let stores = Stores::new(&config.dataspace.stores, dir).map_err(DataspaceError::Stores)?;
        let claims = match config.claims.is_on() {
            true => {
                let opened = Claims::open(dir, &config.did, &config.claims, root, outbound.clone());
                let mut opened = opened.map_err(DataspaceError::Claims)?;
                if let Some(fixture) = &fixture {
                    opened.prepare_for_kit(
                        fixture.claims_requests.clone(),
                        fixture.claims_refuse_beyond_scopes,
                    );
                }
                Some(Arc::new(opened))
            }
            false => None,
        };
        let dataspace = Arc::new(Self {
            claims,
            connector: Arc::new(connector),
            desk,
            outbound,
            stores: Arc::new(stores),
            callers: Callers::new(kit),
            streams: gate::Streams::default(),
            noted,
            held: Notify::new(),
            pushing: Mutex::default(),
            in_flight: Mutex::default(),
            watched: Mutex::default(),
            dir: dir.to_owned(),
            readers: Mutex::default(),
        });
        Ok(Prepared { dataspace, changes, thread, fixture })
    }

    /// Runs a read on a connection of its own, apart from the thread that writes.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&DataspaceReader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let dataspace = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let idle = dataspace.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let reader = match idle {
                Some(reader) => reader,
                None => {
                    DataspaceReader::open(&dataspace.dir).map_err(|e| StoreError::Failed(e.to_string()))?
                }
            };
            let result = read(&reader);
            let mut readers = dataspace.readers.lock().unwrap_or_else(PoisonError::into_inner);
            if readers.len() < READERS_MAX {
                readers.push(reader);
            }
            result
        });
        task.await.map_err(|e| StoreError::Failed(e.to_string()))?
    }

    /// Time and fresh random bits for one call.
    pub(crate) fn moment(&self) -> Result<Moment, Refusal> {
        let seed = random().map_err(failed)?;
        Ok(Moment { now: now(), seed })
    }

    fn in_flight<'a>(&'a self, pid: &'a str) -> InFlight<'a> {
        let mut held = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        held.entry(pid.to_owned()).or_default();
        InFlight { dataspace: self, pid }
    }

    /// Is notified when the record of a process has changed, once.
    fn watch(&self, pid: &str) -> Arc<Notify> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).entry(pid.to_owned()).or_default().clone()
    }

    /// A process's record has changed: whoever watches it looks, and what flows may have to stop.
    fn changed(self: &Arc<Self>, touched: &Due) {
        let watching = self.watched.lock().unwrap_or_else(PoisonError::into_inner).remove(&touched.pid);
        if let Some(watching) = watching {
            watching.notify_waiters();
        }
        if touched.kind == ProcessKind::Transfer && self.streams.knows(&touched.pid) {
            let (dataspace, pid) = (self.clone(), touched.pid.clone());
            tokio::spawn(async move { dataspace.stop_if_ended(pid).await });
        }
    }

    /// The door in front of the data.
    pub(crate) fn door(self: &Arc<Self>) -> Arc<gate::Door> {
        Arc::new(gate::Door { dataspace: Arc::downgrade(self) })
    }

    /// Where others bring data to.
    pub(crate) fn letterbox(self: &Arc<Self>) -> Arc<push::Letterbox> {
        Arc::new(push::Letterbox { dataspace: Arc::downgrade(self), dir: self.dir.clone() })
    }

    /// Keeps what a transfer carried.
    pub(crate) async fn keep_content(&self, pid: &str, content: Content) -> Result<(), Refusal> {
        let (connector, moment, wanted) = (self.connector.clone(), self.moment()?, pid.to_owned());
        self.desk.run(move |tx| connector.carried(tx, &wanted, content, moment)).await?;
        self.held.notify_one();
        Ok(())
    }

    /// Tells those who wait that a delivery for this process has been settled.
    fn settled(&self, pid: &str) {
        let held = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).get(pid).cloned();
        if let Some(waiting) = held {
            waiting.notify_waiters();
        }
    }

    /// A message of ours that waits for its next attempt may have been taken, and only its answer was
    /// lost: it is sent now, so that both sides know the same.
    async fn hurry(&self, pid: &str) {
        let (connector, pid) = (self.connector.clone(), pid.to_owned());
        let Ok(moment) = self.moment() else { return };
        let hurried = self.desk.run(move |tx| {
            connector.hurry_negotiation(tx, &pid, moment)?;
            Ok(connector.hurry_transfer(tx, &pid, moment)?)
        });
        if let Err(refusal) = hurried.await {
            tracing::warn!(reason = refusal.reason, "a delivery could not be hurried");
        }
    }

    /// Carries out the other side's message about `pid`. When it is not allowed while a message of ours
    /// is on its way, it may be the answer to that one: it waits a little and is tried again.
    pub(crate) async fn called<T, F>(&self, pid: &str, job: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>, &Connector, Moment) -> Result<T, Refusal> + Clone + Send + 'static,
    {
        let until = tokio::time::Instant::now() + IN_FLIGHT_WAIT;
        loop {
            let held = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).get(pid).cloned();
            // Registered before the attempt, so that nothing is missed between the two.
            let waiting = held.as_ref().map(|n| Box::pin(n.notified()));
            let (connector, moment, attempt) = (self.connector.clone(), self.moment()?, job.clone());
            let outcome = self.desk.run(move |tx| attempt(tx, &connector, moment)).await;
            match (outcome, waiting) {
                (Err(refusal), Some(waiting)) if refusal.code == NOT_ALLOWED => {
                    if tokio::time::timeout_at(until, waiting).await.is_err() {
                        return Err(refusal);
                    }
                }
                (Err(refusal), None) if refusal.code == NOT_ALLOWED => {
                    self.hurry(pid).await;
                    return Err(refusal);
                }
                (outcome, _) => return outcome,
            }
        }
    }
}

impl Prepared {
    /// Starts the tasks.
    pub(crate) async fn start(
        self,
        shared: &Arc<Shared>,
    ) -> Result<([tokio::task::JoinHandle<()>; 3], std::thread::JoinHandle<()>), DataspaceError> {
        if let Some(fixture) = self.fixture {
            tracing::warn!(
                "this node runs for a conformance kit: it takes a fixed token and answers by rule"
            );
            fixture.install(&self.dataspace).await.map_err(DataspaceError::Conformance)?;
        }
        // What a node that was stopped or killed still had to do.
        let waiting = self.dataspace.desk.run(|tx| tx.view().due().map_err(failed)).await;
        let waiting = waiting.map_err(|refusal| DataspaceError::Failed(refusal.reason))?;
        let recorder = tokio::spawn(recorder::record(shared.clone(), self.dataspace.clone()));
        let retention = tokio::spawn(retention::keep_terms(shared.clone(), self.dataspace.clone()));
        self.dataspace.resume_pushes(shared).await;
        let driver = tokio::spawn(driver::drive(shared.clone(), self.dataspace, self.changes, waiting));
        Ok(([driver, recorder, retention], self.thread))
    }
}
