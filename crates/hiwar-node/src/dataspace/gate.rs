//! Who may take data: whoever bears the token of a transfer that is started under an agreement that
//! holds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_util::future::BoxFuture;
use hiwar_dataspace::connector::hash_of_token;
use hiwar_dataspace::ledger::{Ledger as _, Transfer};
use hiwar_dataspace::negotiation::Role;
use hiwar_dataspace::transfer::TransferState;
use hiwar_trust::time::Timestamp;
use tokio_util::sync::CancellationToken;

use super::Dataspace;
use super::desk::failed;
use crate::data_plane::source::Source;
use crate::data_plane::{Admission, Gate, Refusal};

/// Streams that run, by transfer: cancelled when the transfer is no longer started.
#[derive(Default)]
pub(crate) struct Streams {
    running: Mutex<HashMap<String, CancellationToken>>,
}

impl Streams {
    fn token(&self, transfer: &str) -> CancellationToken {
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

    /// Stops what flows of a transfer that is no longer started.
    pub(crate) async fn stop_if_ended(&self, pid: String) {
        let wanted = pid.clone();
        let state = self.desk.run(move |tx| Ok(tx.transfer(&wanted)?.map(|t| (t.state, t.token.is_some()))));
        match state.await {
            Ok(Some((Some(TransferState::Started), true))) | Err(_) => {}
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
    if ended || transfer.permitted_until.is_some_and(|until| until <= now) {
        return Err(Refusal::Ended("the agreement does not permit it any longer".into()));
    }
    Ok(())
}
