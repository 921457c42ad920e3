//! Who may take data: whoever bears the token of a transfer that is started under an agreement that
//! holds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_util::future::BoxFuture;
use hiwar_dataspace::catalog::PUSH;
use hiwar_dataspace::connector::hash_of_token;
use hiwar_dataspace::ledger::{Content, Ledger as _, Transfer};
use hiwar_dataspace::negotiation::Role;
use hiwar_dataspace::transfer::TransferState;
use hiwar_trust::time::Timestamp;
use tokio_util::sync::CancellationToken;

use super::Dataspace;
use super::desk::failed;
use crate::data_plane::source::Source;
use crate::data_plane::{Admission, Gate, Refusal, Served};

/// Streams that run, by transfer: cancelled when the transfer is no longer started.
#[derive(Default)]
pub(crate) struct Streams {
    running: Mutex<HashMap<String, CancellationToken>>,
}

impl Streams {
    pub(super) fn token(&self, transfer: &str) -> CancellationToken {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.entry(transfer.to_owned()).or_default().clone()
    }

    /// Whether data of this transfer may be flowing.
    pub(crate) fn knows(&self, transfer: &str) -> bool {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).contains_key(transfer)
    }

    /// Stops what flows of this transfer.
    pub(crate) fn stop(&self, transfer: &str) {
        if let Some(token) = self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(transfer) {
            token.cancel();
        }
    }
}

/// The gate in front of the data.
pub(crate) struct Door {
    pub(crate) dataspace: Weak<Dataspace>,
}

impl Gate for Door {
    fn admit<'a>(
        &'a self,
        transfer: &'a str,
        token: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Admission, Refusal>> {
        Box::pin(async move {
            let dataspace = self.dataspace.upgrade().ok_or(Refusal::Unavailable)?;
            dataspace.admit(transfer, &hash_of_token(token), now).await
        })
    }

    fn served(&self, transfer: &str, served: Served) {
        let whole = served.path.is_none() && served.complete && served.to_end;
        if let (true, Some(dataspace)) = (whole, self.dataspace.upgrade()) {
            let pid = transfer.to_owned();
            // An answer can outlive the runtime by an instant when the node stops.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { dataspace.was_sent(&pid).await });
            }
        }
    }
}

impl Dataspace {
    async fn admit(&self, pid: &str, token: &str, now: Timestamp) -> Result<Admission, Refusal> {
        let wanted = pid.to_owned();
        let found = self.desk.run(move |tx| {
            let Some(transfer) = tx.transfer(&wanted)? else { return Ok(None) };
            let ended = tx.contract(&transfer.agreement)?.is_none_or(|c| c.ended.is_some());
            let source = tx.view().source(&transfer.dataset).map_err(failed)?;
            Ok(Some((transfer, ended, source)))
        });
        let Some((transfer, ended, source)) = found.await.map_err(|_| Refusal::Unavailable)? else {
            return Err(Refusal::Token);
        };
        check(&transfer, token, ended, now)?;
        let source = source.ok_or_else(|| Refusal::Ended("the dataset is not offered any more".into()))?;
        let source: Source = serde_json::from_str(&source).map_err(|error| {
            tracing::error!(transfer = pid, %error, "the source of a dataset cannot be read");
            Refusal::Unavailable
        })?;
        Ok(Admission {
            sha256: source.sha256(),
            source: Arc::new(source),
            expires: transfer.permitted_until,
            on_end: self.streams.token(pid),
        })
    }

    /// All of a transfer's content was sent, checked against its fingerprint: that is what is kept.
    async fn was_sent(&self, pid: &str) {
        let wanted = pid.to_owned();
        let found = self.desk.run(move |tx| {
            let Some(transfer) = tx.transfer(&wanted)?.filter(|t| t.content.is_none()) else {
                return Ok(None);
            };
            tx.view().source(&transfer.dataset).map_err(failed)
        });
        let Ok(Some(source)) = found.await else { return };
        let Ok(source) = serde_json::from_str::<Source>(&source) else { return };
        let Some((sha256, bytes)) = source.content() else { return };
        let content = Content { sha256: hex::encode(sha256.as_bytes()), bytes };
        if let Err(refusal) = self.keep_content(pid, content).await {
            tracing::error!(transfer = pid, reason = refusal.reason, "what was sent could not be kept");
        }
    }

    /// Stops what flows of a transfer that is no longer started.
    pub(crate) async fn stop_if_ended(&self, pid: String) {
        let wanted = pid.clone();
        // A token is taken away before the other side is told of the end; of a push only the consumer has one.
        let flows = |t: &Transfer| {
            t.state == Some(TransferState::Started)
                && t.process.ending.is_none()
                && (t.token.is_some()
                    || t.process.role == Role::Consumer
                    || (t.process.role == Role::Provider && t.format == PUSH))
        };
        let state = self.desk.run(move |tx| Ok(tx.transfer(&wanted)?.is_some_and(|t| flows(&t))));
        match state.await {
            Ok(true) | Err(_) => {}
            Ok(_) => self.streams.stop(&pid),
        }
    }
}

/// Tokens are compared by their digests, whose differences tell nothing about the token.
fn check(transfer: &Transfer, token: &str, ended: bool, now: Timestamp) -> Result<(), Refusal> {
    if transfer.process.role != Role::Provider {
        return Err(Refusal::Token);
    }
    match transfer.state {
        Some(TransferState::Completed | TransferState::Terminated) => {
            return Err(Refusal::Ended("ask for a new transfer".into()));
        }
        _ if transfer.token.as_deref() != Some(token) => return Err(Refusal::Token),
        Some(TransferState::Suspended) => return Err(Refusal::Suspended),
        // The consumer may ask before its acknowledgement of the start has reached us.
        Some(TransferState::Started | TransferState::Requested) => {}
        None => return Err(Refusal::Token),
    }
    if transfer.token_expires.is_some_and(|at| at <= now) {
        return Err(Refusal::Expired);
    }
    if ended || transfer.permitted_until.is_some_and(|until| until <= now) {
        return Err(Refusal::Ended("the agreement does not permit it any longer".into()));
    }
    Ok(())
}
