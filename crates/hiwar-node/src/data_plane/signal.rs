//! The seam between those who agree on transfers and those who move bytes.
//!
//! It has the shape of Data Plane Signaling 1.0 (Eclipse, release candidate 3 of 2026-07-06): prepare,
//! start, suspend, resume, terminate, complete and status, and back from the plane completed and errored.
//! [`BuiltIn`] is the plane in this node. A plane in another process is a second implementation of
//! [`DataPlane`] that says the same over HTTP (`POST /dataflows/prepare`, `/dataflows/start`,
//! `/dataflows/{id}/suspend` …); nothing else would have to change.
//!
//! A plane keeps nothing over a restart: the control plane has the transfers in its store, and
//! prepares and starts again those that run.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::BoxFuture;
use hiwar_trust::hash::Hash;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::access::Access;
use super::pull::{Progress, Pull, Pulled};
use super::push::{Push, Pushed};
use super::retry::{Renew, Retry, TransferError};
use super::source::Source;
use super::store::Stores;
use crate::clock;
use crate::outbound::{Outbound, Trust};

/// What is to move, and who moves it.
#[derive(Clone)]
pub enum Kind {
    /// Provider, pull: content is served to whoever has the token that `start` makes.
    ServePull,
    /// Consumer, pull: content is fetched when it is started.
    RunPull {
        /// The file or folder that it becomes.
        to: PathBuf,
        /// Whether it is a folder.
        folder: bool,
        /// The announced SHA-256.
        sha256: Option<Hash>,
        /// Most bytes.
        size_max: u64,
        /// Whose address it is.
        trust: Trust,
        /// How tokens are renewed.
        renew: Arc<dyn Renew>,
    },
    /// Provider, push: content is brought when it is started.
    RunPush {
        /// What.
        source: Arc<Source>,
        /// Whose address it is.
        trust: Trust,
        /// How tokens are renewed.
        renew: Arc<dyn Renew>,
    },
    /// Consumer, push: content is taken from whoever has the token that `prepare` makes.
    TakePush,
}

/// Where a flow is (the states of Data Plane Signaling that are seen from outside).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Ready to start.
    Prepared,
    /// Content may move.
    Started,
    /// Content does not move until it is resumed.
    Suspended,
    /// It came to its end.
    Completed,
    /// It was ended, or failed.
    Terminated,
}

/// An address for the other side, with the token's digest to be kept; the token itself is not.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The address and token, for flows that the other side comes to.
    pub access: Option<Access>,
    /// SHA-256 of the token: what a gate compares.
    pub token_sha256: Option<Hash>,
}

/// How far a flow is.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its state.
    pub state: State,
    /// Of a pull that runs here.
    pub progress: Option<Progress>,
    /// Why it was terminated.
    pub reason: Option<String>,
}

/// What moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Bytes.
    pub size: u64,
    /// SHA-256.
    pub sha256: Option<Hash>,
}

/// Why a plane does not do what it is told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaneError {
    /// There is no such flow.
    #[error("there is no data flow {0}")]
    Unknown(String),
    /// The flow's state does not allow it.
    #[error("the data flow {id} is {state:?}, so it cannot be {what}")]
    State {
        /// The flow.
        id: String,
        /// Its state.
        state: State,
        /// What was asked.
        what: &'static str,
    },
    /// The address of the other side is missing.
    #[error("the data flow {0} needs the other side's data address to start")]
    NoAddress(String),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] clock::NoEntropy),
}

/// A data plane, as the control plane sees it. The identifier is that of the transfer.
pub trait DataPlane: Send + Sync {
    /// Makes a flow ready; for a push that is taken here, makes its address.
    fn prepare<'a>(&'a self, id: &'a str, kind: Kind) -> BoxFuture<'a, Result<Ready, PlaneError>>;
    /// Lets content move; for a pull that is served here, makes its address. `access` is the other side's,
    /// for flows that run here.
    fn start<'a>(&'a self, id: &'a str, access: Option<Access>) -> BoxFuture<'a, Result<Ready, PlaneError>>;
    /// Stops content at once.
    fn suspend<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), PlaneError>>;
    /// Lets content move again, from where it stopped; tokens made before are not good any more.
    fn resume<'a>(&'a self, id: &'a str, access: Option<Access>) -> BoxFuture<'a, Result<Ready, PlaneError>>;
    /// Ends it at once.
    fn terminate<'a>(&'a self, id: &'a str, reason: &'a str) -> BoxFuture<'a, Result<(), PlaneError>>;
    /// Ends it as done.
    fn complete<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), PlaneError>>;
    /// How far it is.
    fn status<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Status, PlaneError>>;
}

/// What a plane tells the control plane. Must not block.
pub trait Events: Send + Sync + 'static {
    /// A flow that runs here came to its end.
    fn completed(&self, id: &str, moved: Moved);
    /// The other side suspended it.
    fn suspended(&self, id: &str, reason: String);
    /// It failed for good.
    fn errored(&self, id: &str, reason: String);
}

struct Flow {
    kind: Kind,
    state: State,
    stop: CancellationToken,
    access: Option<Access>,
    progress: Option<Progress>,
    reason: Option<String>,
}

struct Held {
    outbound: Arc<Outbound>,
    stores: Arc<Stores>,
    events: Arc<dyn Events>,
    retry: Retry,
    flows: Mutex<HashMap<String, Flow>>,
}

/// The data plane inside of this node. Cheap to clone.
#[derive(Clone)]
pub struct BuiltIn {
    /// Where `/data` is reached from outside, without a slash at its end.
    public: Arc<str>,
    held: Arc<Held>,
}

impl BuiltIn {
    /// A plane whose routes are reached below `public`, such as `https://node.example`.
    pub fn new(
        public: &str,
        (outbound, stores): (Arc<Outbound>, Arc<Stores>),
        events: Arc<dyn Events>,
        retry: Retry,
    ) -> Self {
        let held = Held { outbound, stores, events, retry, flows: Mutex::default() };
        Self { public: public.trim_end_matches('/').into(), held: Arc::new(held) }
    }

    /// What a gate gives as `on_end` in its admissions; nothing when the flow does not run, and then the
    /// gate must refuse.
    pub fn on_end(&self, id: &str) -> Option<CancellationToken> {
        let flows = self.held.flows();
        let flow = flows.get(id)?;
        let open = match flow.kind {
            Kind::TakePush => matches!(flow.state, State::Prepared | State::Started),
            _ => flow.state == State::Started,
        };
        open.then(|| flow.stop.clone())
    }

    /// Forgets a flow that has ended.
    pub fn forget(&self, id: &str) {
        let mut flows = self.held.flows();
        if flows.get(id).is_some_and(|flow| matches!(flow.state, State::Completed | State::Terminated)) {
            flows.remove(id);
        }
    }

    /// An address here with a new token, which nobody can guess: 256 bits.
    fn mint(&self, path: &str, id: &str) -> Result<Ready, PlaneError> {
        let token = Zeroizing::new(URL_SAFE_NO_PAD.encode(Zeroizing::new(clock::random::<32>()?)));
        let token_sha256 = Some(Hash::of(token.as_bytes()));
        let endpoint = format!("{}{path}{id}", self.public);
        Ok(Ready {
            access: Some(Access { endpoint, authorization: Some(token), renewal: None }),
            token_sha256,
        })
    }

    fn go(
        &self,
        id: &str,
        access: Option<Access>,
        from: &[State],
        what: &'static str,
    ) -> Result<Ready, PlaneError> {
        let mut flows = self.held.flows();
        let flow = known(&mut flows, id)?;
        allowed(id, flow, from, what)?;
        let access = access.or_else(|| flow.access.clone());
        let ready = match (&flow.kind, &access) {
            (Kind::ServePull, _) => self.mint("/data/", id)?,
            (Kind::TakePush, _) if flow.state == State::Suspended => self.mint("/data/inbox/", id)?,
            (Kind::RunPull { .. } | Kind::RunPush { .. }, None) => {
                return Err(PlaneError::NoAddress(id.into()));
            }
            _ => Ready { access: None, token_sha256: None },
        };
        // A push that was prepared may arrive already; its signal stays.
        if flow.stop.is_cancelled() {
            flow.stop = CancellationToken::new();
        }
        flow.state = State::Started;
        flow.access.clone_from(&access);
        if let Some(access) = access {
            self.held.clone().run(id, flow, access);
        }
        Ok(ready)
    }

    fn halt(
        &self,
        id: &str,
        (from, to, what): (&[State], State, &'static str),
        reason: Option<&str>,
    ) -> Result<(), PlaneError> {
        let mut flows = self.held.flows();
        let flow = known(&mut flows, id)?;
        if flow.state == to {
            return Ok(());
        }
        allowed(id, flow, from, what)?;
        flow.state = to;
        flow.reason = reason.map(ToOwned::to_owned);
        flow.stop.cancel();
        Ok(())
    }
}

fn known<'a>(flows: &'a mut HashMap<String, Flow>, id: &str) -> Result<&'a mut Flow, PlaneError> {
    flows.get_mut(id).ok_or_else(|| PlaneError::Unknown(id.into()))
}

fn allowed(id: &str, flow: &Flow, from: &[State], what: &'static str) -> Result<(), PlaneError> {
    let state = flow.state;
    if from.contains(&state) { Ok(()) } else { Err(PlaneError::State { id: id.into(), state, what }) }
}

impl Held {
    fn flows(&self) -> MutexGuard<'_, HashMap<String, Flow>> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a flow of ours in a task of its own.
    fn run(self: Arc<Self>, id: &str, flow: &Flow, access: Access) {
        let (id, cancel, kind) = (id.to_owned(), flow.stop.clone(), flow.kind.clone());
        match kind {
            Kind::ServePull | Kind::TakePush => {}
            Kind::RunPull { .. } => {
                tokio::spawn(async move {
                    let done = self.pull(&id, kind, access, cancel.clone()).await;
                    self.ended(&id, &cancel, done);
                });
            }
            Kind::RunPush { source, trust, renew } => {
                tokio::spawn(async move {
                    let retry = self.retry.clone();
                    let stores = self.stores.clone();
                    let push = Push { access, source, stores, trust, retry, renew, cancel: cancel.clone() };
                    let done = push.run(&self.outbound).await;
                    self.ended(&id, &cancel, done.map(|Pushed { size, sha256, .. }| Moved { size, sha256 }));
                });
            }
        }
    }

    async fn pull(
        self: &Arc<Self>,
        id: &str,
        kind: Kind,
        access: Access,
        cancel: CancellationToken,
    ) -> Result<Moved, TransferError> {
        let Kind::RunPull { to, folder, sha256, size_max, trust, renew } = kind else {
            return Err(TransferError::Cancelled);
        };
        let (told, name) = (self.clone(), id.to_owned());
        let progress = move |progress| {
            if let Some(flow) = told.flows().get_mut(&name) {
                flow.progress = Some(progress);
            }
        };
        let retry = self.retry.clone();
        let progress = Arc::new(progress);
        let pull = Pull { access, to, sha256, size_max, trust, retry, renew, cancel, progress };
        let outbound = &self.outbound;
        let done = if folder { pull.folder(outbound).await } else { pull.file(outbound).await };
        done.map(|Pulled { size, sha256, .. }| Moved { size, sha256: Some(sha256) })
    }

    fn ended(&self, id: &str, stop: &CancellationToken, done: Result<Moved, TransferError>) {
        {
            let mut flows = self.flows();
            let Some(flow) = flows.get_mut(id) else { return };
            // Told to stop: whoever told knows, and the flow may run again by now.
            if flow.state != State::Started || (stop.is_cancelled() && done.is_err()) {
                return;
            }
            (flow.state, flow.reason) = match &done {
                Ok(_) => (State::Completed, None),
                Err(TransferError::Suspended(reason)) => (State::Suspended, Some(reason.clone())),
                Err(error) => (State::Terminated, Some(error.to_string())),
            };
        }
        match done {
            Ok(moved) => self.events.completed(id, moved),
            Err(TransferError::Suspended(reason)) => self.events.suspended(id, reason),
            Err(error) => self.events.errored(id, error.to_string()),
        }
    }
}

impl DataPlane for BuiltIn {
    fn prepare<'a>(&'a self, id: &'a str, kind: Kind) -> BoxFuture<'a, Result<Ready, PlaneError>> {
        Box::pin(async move {
            let takes = matches!(kind, Kind::TakePush);
            let none = Ready { access: None, token_sha256: None };
            let ready = if takes { self.mint("/data/inbox/", id)? } else { none };
            let mut flows = self.held.flows();
            if let Some(flow) = flows.get(id) {
                return Err(PlaneError::State { id: id.into(), state: flow.state, what: "prepared" });
            }
            let stop = CancellationToken::new();
            let flow =
                Flow { kind, state: State::Prepared, stop, access: None, progress: None, reason: None };
            flows.insert(id.to_owned(), flow);
            Ok(ready)
        })
    }

    fn start<'a>(&'a self, id: &'a str, access: Option<Access>) -> BoxFuture<'a, Result<Ready, PlaneError>> {
        Box::pin(async move { self.go(id, access, &[State::Prepared], "started") })
    }

    fn suspend<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), PlaneError>> {
        let how = (&[State::Started][..], State::Suspended, "suspended");
        Box::pin(async move { self.halt(id, how, None) })
    }

    fn resume<'a>(&'a self, id: &'a str, access: Option<Access>) -> BoxFuture<'a, Result<Ready, PlaneError>> {
        Box::pin(async move { self.go(id, access, &[State::Suspended], "resumed") })
    }

    fn terminate<'a>(&'a self, id: &'a str, reason: &'a str) -> BoxFuture<'a, Result<(), PlaneError>> {
        let from = &[State::Prepared, State::Started, State::Suspended][..];
        Box::pin(async move { self.halt(id, (from, State::Terminated, "terminated"), Some(reason)) })
    }

    fn complete<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), PlaneError>> {
        let how = (&[State::Started][..], State::Completed, "completed");
        Box::pin(async move { self.halt(id, how, None) })
    }

    fn status<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Status, PlaneError>> {
        Box::pin(async move {
            let mut flows = self.held.flows();
            let flow = known(&mut flows, id)?;
            Ok(Status { state: flow.state, progress: flow.progress.clone(), reason: flow.reason.clone() })
        })
    }
}
