//! Pushes: a provider brings the data of a started transfer to the consumer's inbox.
//!
//! A push begins when its transfer is started, and again when the node starts. It ends with the
//! transfer: complete, or terminated with the reason for which the data could not be brought.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use hiwar_dataspace::catalog::PUSH;
use hiwar_dataspace::connector::hash_of_token;
use hiwar_dataspace::ledger::{Content, Ledger as _, Transfer, Why};
use hiwar_dataspace::negotiation::Role;
use hiwar_dataspace::transfer::{TransferState, TransferStep};
use hiwar_store::dataspace::ProcessFilter;
use hiwar_trust::hash::Hash;
use hiwar_trust::time::Timestamp;

use super::Dataspace;
use super::desk::failed;
use super::receive::{BYTES_MAX, place};
use super::{callers, renew};
use crate::clock::now;
use crate::data_plane::source::Source;
use crate::data_plane::{Access, InboxAdmission, InboxGate, Push, Pushed, Refusal, Retry, TransferError};
use crate::node::Shared;

/// Attempts in a row without a byte of progress; with waits of up to 30 s that is about an hour.
const ATTEMPTS_MAX: u32 = 120;
/// Most pushes looked up when the node starts.
const RESUMED_MAX: usize = 10_000;

impl Dataspace {
    /// Takes up the pushes that ran when the node was stopped or killed.
    pub(crate) async fn resume_pushes(self: &Arc<Self>, shared: &Arc<Shared>) {
        let filter = ProcessFilter {
            role: Some(Role::Provider),
            counterparty: None,
            state: Some(TransferState::Started.as_str().to_owned()),
        };
        match self.read(move |reader| reader.transfers(&filter, None, RESUMED_MAX)).await {
            Ok(found) => {
                for transfer in found.records.into_iter().filter(is_to_push) {
                    self.clone().start_push(shared.clone(), transfer.process.pid);
                }
            }
            Err(error) => tracing::error!(%error, "the pushes that ran before cannot be read"),
        }
    }

    /// Looks whether a transfer that changed is one to push.
    pub(super) async fn push_if_started(self: Arc<Self>, shared: Arc<Shared>, pid: String) {
        let wanted = pid.clone();
        let found = self.desk.run(move |tx| Ok(tx.transfer(&wanted)?.is_some_and(|t| is_to_push(&t)))).await;
        if matches!(found, Ok(true)) {
            self.start_push(shared, pid);
        }
    }

    /// Begins to push when the transfer asks for it and nothing of it flows yet.
    pub(super) fn start_push(self: Arc<Self>, shared: Arc<Shared>, pid: String) {
        if !self.pushing.lock().unwrap_or_else(PoisonError::into_inner).insert(pid.clone()) {
            return;
        }
        tokio::spawn(async move {
            let stopping = shared.stopping.clone();
            tokio::select! {
                () = stopping.cancelled() => {}
                () = self.push(&shared, &pid) => {}
            }
            self.pushing.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
        });
    }

    async fn push(self: &Arc<Self>, shared: &Arc<Shared>, pid: &str) {
        let outcome = match self.prepare_push(shared, pid).await {
            Ok(None) => return,
            Ok(Some(push)) => push.run(&self.outbound).await,
            Err(refusal) => Err(TransferError::Protocol(refusal.to_string())),
        };
        let why = match outcome {
            Ok(pushed) => return self.pushed(pid, pushed).await,
            // It goes on when the transfer is started again.
            Err(TransferError::Cancelled | TransferError::Suspended(_)) => return,
            Err(error) => error.to_string(),
        };
        tracing::warn!(transfer = pid, why, "a push is given up");
        let (connector, wanted) = (self.connector.clone(), pid.to_owned());
        let Ok(moment) = self.moment() else { return };
        let why = Why::new("push-failed", format!("the data could not be brought: {why}"));
        let ended = self.desk.run(move |tx| connector.terminate_transfer(tx, &wanted, why, moment)).await;
        if let Err(refusal) = ended {
            tracing::error!(transfer = pid, reason = refusal.reason, "a push that failed cannot be ended");
        }
    }

    async fn prepare_push(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        pid: &str,
    ) -> Result<Option<Push>, Refusal> {
        let wanted = pid.to_owned();
        let found = self.desk.run(move |tx| {
            let Some(transfer) = tx.transfer(&wanted)?.filter(is_to_push) else { return Ok(None) };
            let ended = tx.contract(&transfer.agreement)?.is_none_or(|c| c.ended.is_some());
            let source = tx.view().source(&transfer.dataset).map_err(failed)?;
            Ok(Some((transfer, ended, source)))
        });
        let found = found.await.map_err(|refusal| Refusal::Ended(refusal.reason))?;
        let Some((transfer, ended, source)) = found else { return Ok(None) };
        if ended || transfer.permitted_until.is_some_and(|until| until <= now()) {
            return Err(Refusal::Ended("the agreement does not permit it any longer".into()));
        }
        let source = source.ok_or_else(|| Refusal::Ended("the dataset is not offered any more".into()))?;
        let source: Source =
            serde_json::from_str(&source).map_err(|_| Refusal::Ended("the source cannot be read".into()))?;
        let address = serde_json::to_value(&transfer.address).unwrap_or_default();
        let access = Access::read(&address, now()).map_err(|e| Refusal::Ended(e.to_string()))?;
        Ok(Some(Push {
            access,
            source: Arc::new(source),
            stores: self.stores.clone(),
            trust: callers::trust(shared, &transfer.process.counterparty),
            retry: Retry { attempts: ATTEMPTS_MAX, longest: Duration::from_secs(30), ..Retry::standard() },
            renew: renew::by(self, shared, &transfer),
            cancel: self.streams.token(pid),
        }))
    }

    async fn pushed(&self, pid: &str, pushed: Pushed) {
        let content = pushed
            .sha256
            .map(|sha256| Content { sha256: hex::encode(sha256.as_bytes()), bytes: pushed.size });
        let (connector, wanted) = (self.connector.clone(), pid.to_owned());
        let Ok(moment) = self.moment() else { return };
        let done = self
            .desk
            .run(move |tx| {
                connector.step_transfer(tx, &wanted, TransferStep::Complete, None, content, moment)
            })
            .await;
        if let Err(refusal) = done {
            // The consumer may have said so first.
            tracing::info!(transfer = pid, reason = refusal.reason, "a push is done, its transfer has ended");
        }
    }
}

/// Whether a transfer's data are to be brought by this side, now.
pub(super) fn is_to_push(transfer: &Transfer) -> bool {
    transfer.process.role == Role::Provider
        && transfer.format == PUSH
        && transfer.state == Some(TransferState::Started)
        && transfer.process.ending.is_none()
        && transfer.process.pending.is_none()
        && transfer.address.is_some()
}

/// Who may bring data: whoever bears the token that this consumer gave out for a push.
pub(crate) struct Letterbox {
    pub(crate) dataspace: Weak<Dataspace>,
    pub(crate) dir: PathBuf,
}

impl InboxGate for Letterbox {
    fn admit<'a>(
        &'a self,
        transfer: &'a str,
        token: &'a str,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<InboxAdmission, Refusal>> {
        Box::pin(async move {
            let dataspace = self.dataspace.upgrade().ok_or(Refusal::Unavailable)?;
            let wanted = transfer.to_owned();
            let found = dataspace.desk.run(move |tx| Ok(tx.transfer(&wanted)?));
            let found = found.await.map_err(|_| Refusal::Unavailable)?.ok_or(Refusal::Token)?;
            let received = admissible(&found, &hash_of_token(token))?;
            let to = place(&self.dir, transfer);
            if let Some(folder) = to.parent() {
                tokio::fs::create_dir_all(folder).await.map_err(|_| Refusal::Unavailable)?;
            }
            let on_end = dataspace.streams.token(transfer);
            Ok(InboxAdmission { to, size_max: BYTES_MAX, sha256: None, received, on_end })
        })
    }

    fn received<'a>(
        &'a self,
        transfer: &'a str,
        size: u64,
        sha256: Hash,
    ) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let dataspace = self.dataspace.upgrade().ok_or(Refusal::Unavailable)?;
            let content = Content { sha256: hex::encode(sha256.as_bytes()), bytes: size };
            dataspace.keep_content(transfer, content).await.map_err(|_| Refusal::Unavailable)
        })
    }
}

/// What was received already, when the transfer takes data at all.
fn admissible(transfer: &Transfer, token: &str) -> Result<Option<(u64, Hash)>, Refusal> {
    if transfer.process.role != Role::Consumer || transfer.format != PUSH {
        return Err(Refusal::Token);
    }
    match transfer.state {
        Some(TransferState::Completed | TransferState::Terminated) => {
            return Err(Refusal::Ended("ask for a new transfer".into()));
        }
        _ if transfer.token.as_deref() != Some(token) => return Err(Refusal::Token),
        Some(TransferState::Suspended) => return Err(Refusal::Suspended),
        Some(TransferState::Started | TransferState::Requested) | None => {}
    }
    let Some(content) = &transfer.content else { return Ok(None) };
    let sha256: Option<[u8; 32]> = hex::decode(&content.sha256).ok().and_then(|b| b.try_into().ok());
    Ok(sha256.map(|hash| (content.bytes, Hash(hash))))
}
