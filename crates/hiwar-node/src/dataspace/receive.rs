//! Pulls: brings the data of a started transfer into the node's folder, then completes it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hiwar_dataspace::connector::Refusal;
use hiwar_dataspace::ledger::{Content, Ledger as _, Transfer, Why};
use hiwar_dataspace::transfer::{TransferState, TransferStep};
use hiwar_trust::hash::Hash;
use reqwest::Url;
use tokio::sync::Notify;

use super::Dataspace;
use super::{callers, renew};
use crate::clock::now;
use crate::data_plane::source::MANIFEST_TYPE;
use crate::data_plane::{Access, Pull, Pulled, Renew, Retry, TransferError};
use crate::node::Shared;
use crate::outbound::Trust;

/// The folder that received data come into, below the node's.
const RECEIVED: &str = "received";
/// How long a first look at an address may take.
const LOOK_LIMIT: Duration = Duration::from_secs(30);
/// Most bytes of one transfer.
pub(super) const BYTES_MAX: u64 = 1 << 40;

/// Where the content of a transfer is.
pub(crate) fn place(dir: &Path, pid: &str) -> PathBuf {
    dir.join(RECEIVED).join(Hash::of(pid.as_bytes()).short())
}

/// Why there are no data.
#[derive(Debug)]
pub(crate) enum NotReceived {
    Refused(Refusal),
    Ended(String),
    Late(&'static str),
    Failed(TransferError),
    Other(String),
}

impl From<Refusal> for NotReceived {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Dataspace {
    /// Waits until `settled` says so of the record of a process; looks again after every change.
    pub(crate) async fn wait_until<T, F, R>(
        &self,
        pid: &str,
        limit: Duration,
        read: R,
        settled: F,
    ) -> Result<Option<T>, Refusal>
    where
        T: Send + 'static,
        R: Fn(&mut hiwar_store::dataspace::Tx<'_>, &str) -> Result<Option<T>, Refusal>
            + Clone
            + Send
            + 'static,
        F: Fn(&T) -> bool,
    {
        let until = tokio::time::Instant::now() + limit;
        loop {
            let changed: Arc<Notify> = self.watch(pid);
            let notified = changed.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            let (read, wanted) = (read.clone(), pid.to_owned());
            let found = self.desk.run(move |tx| read(tx, &wanted)).await?;
            match found {
                Some(found) if !settled(&found) => {
                    if tokio::time::timeout_at(until, notified).await.is_err() {
                        return Ok(Some(found));
                    }
                }
                other => return Ok(other),
            }
        }
    }

    /// Waits until a transfer that was begun is started; with it comes where the data are.
    pub(crate) async fn started(
        self: &Arc<Self>,
        pid: &str,
        limit: Duration,
    ) -> Result<(Transfer, serde_json::Value), NotReceived> {
        let read = |tx: &mut hiwar_store::dataspace::Tx<'_>, pid: &str| Ok(tx.transfer(pid)?);
        let settled = |t: &Transfer| t.state.is_some_and(|s| s != TransferState::Requested);
        let transfer = self.wait_until(pid, limit, read, settled).await?;
        let transfer = transfer.ok_or_else(|| NotReceived::Other("there is no such transfer".into()))?;
        match transfer.state {
            Some(TransferState::Started) => {}
            Some(TransferState::Terminated) => return Err(NotReceived::Ended(ending(&transfer))),
            Some(TransferState::Completed) => {
                return Err(NotReceived::Ended("it is complete already".into()));
            }
            Some(TransferState::Suspended) => return Err(NotReceived::Ended("it is suspended".into())),
            Some(TransferState::Requested) | None => {
                return Err(NotReceived::Late(
                    "the provider has not started the transfer yet; try again later",
                ));
            }
        }
        let address = transfer.address.as_ref().ok_or_else(|| {
            NotReceived::Other("the provider started the transfer without saying where the data are".into())
        })?;
        let address = serde_json::to_value(address).map_err(|e| NotReceived::Other(e.to_string()))?;
        Ok((transfer, address))
    }

    /// Brings the content of a transfer that was begun, and completes the transfer.
    pub(crate) async fn receive(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        pid: &str,
        limit: Duration,
    ) -> Result<(Pulled, PathBuf), NotReceived> {
        let (transfer, address) = self.started(pid, limit).await?;
        let access = Access::read(&address, now()).map_err(|e| NotReceived::Other(e.to_string()))?;
        let to = place(&shared.dir, pid);
        if let Some(folder) = to.parent() {
            tokio::fs::create_dir_all(folder).await.map_err(|e| NotReceived::Other(e.to_string()))?;
        }
        let trust = callers::trust(shared, &transfer.process.counterparty);
        let renewing = renew::by(self, shared, &transfer);
        let (access, folder) = self.look(access, &trust, &*renewing).await;
        let stopped = self.streams.token(pid);
        let pull = Pull {
            access,
            to: to.clone(),
            sha256: None,
            size_max: BYTES_MAX,
            trust,
            retry: Retry::standard(),
            renew: renewing,
            cancel: stopped,
            progress: Arc::new(|_| {}),
        };
        let came = if folder { pull.folder(&self.outbound).await } else { pull.file(&self.outbound).await };
        let pulled = match came {
            Ok(pulled) => pulled,
            // The transfer's end says why better than the connection that was cut.
            Err(error) => return Err(self.why_not(pid, error).await),
        };
        let content = Content { sha256: hex::encode(pulled.sha256.as_bytes()), bytes: pulled.size };
        let (connector, moment, wanted) = (self.connector.clone(), self.moment()?, pid.to_owned());
        self.desk
            .run(move |tx| {
                connector.step_transfer(tx, &wanted, TransferStep::Complete, None, Some(content), moment)
            })
            .await?;
        self.held.notify_one();
        Ok((pulled, to))
    }
}

impl Dataspace {
    /// Looks whether a folder is behind an address: whoever offers one answers with the media type of its
    /// manifest. Who does not know `HEAD` offers a file.
    async fn look(&self, mut access: Access, trust: &Trust, renew: &dyn Renew) -> (Access, bool) {
        let Ok(url) = access.endpoint.parse::<Url>() else { return (access, false) };
        for renewed in [false, true] {
            let Ok(mut request) = self.outbound.request(http::Method::HEAD, trust.target(&url)) else {
                break;
            };
            if let Some(token) = &access.authorization {
                request = request.bearer_auth(token.as_str());
            }
            let Ok(answer) = request.timeout(LOOK_LIMIT).send().await else { break };
            if answer.status() == http::StatusCode::UNAUTHORIZED && !renewed {
                match renew.renew(&access).await {
                    Ok(new) => access = new,
                    Err(_) => break,
                }
                continue;
            }
            let kind = answer.headers().get(http::header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
            return (access, answer.status().is_success() && kind == Some(MANIFEST_TYPE));
        }
        (access, false)
    }

    /// Why there are no data: the transfer's end, when it has ended, else the failure of the pull.
    async fn why_not(&self, pid: &str, error: TransferError) -> NotReceived {
        let wanted = pid.to_owned();
        let found = self.desk.run(move |tx| Ok(tx.transfer(&wanted)?)).await;
        match found {
            Ok(Some(transfer)) if transfer.state.is_some_and(TransferState::is_final) => {
                NotReceived::Ended(ending(&transfer))
            }
            _ => NotReceived::Failed(error),
        }
    }

    /// Waits until a provider has brought the data of a transfer, and the transfer is complete.
    pub(crate) async fn brought(&self, pid: &str, limit: Duration) -> Result<Transfer, NotReceived> {
        let read = |tx: &mut hiwar_store::dataspace::Tx<'_>, pid: &str| Ok(tx.transfer(pid)?);
        let settled = |t: &Transfer| t.state.is_some_and(TransferState::is_final);
        let transfer = self.wait_until(pid, limit, read, settled).await?;
        let transfer = transfer.ok_or_else(|| NotReceived::Other("there is no such transfer".into()))?;
        match transfer.state {
            Some(TransferState::Completed) => Ok(transfer),
            Some(TransferState::Terminated) => Err(NotReceived::Ended(ending(&transfer))),
            _ => Err(NotReceived::Late(
                "the provider has not brought all data yet; ask again with the transfer's identifier",
            )),
        }
    }
}

fn ending(transfer: &Transfer) -> String {
    let why = |why: &Why| format!("{} ({})", why.reasons.join("; "), why.code);
    transfer.process.ending.as_ref().map_or_else(|| "it was ended".into(), |e| why(&e.why))
}
