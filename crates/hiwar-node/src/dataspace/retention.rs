//! Deletes what was received when the terms want it deleted, and says so in the log.
//!
//! The file goes first, then the record says so: a crash between the two deletes nothing twice and says
//! nothing that is not so. What a person copied elsewhere the node cannot reach; that it is gone a person
//! says.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hiwar_dataspace::connector::Refusal;
use hiwar_dataspace::ledger::Transfer;

use super::receive::place;
use super::{Dataspace, failed};
use crate::clock::now;
use crate::data_plane::erase;
use crate::node::Shared;

/// Transfers looked at together.
const TOGETHER: usize = 64;
/// The longest sleep: a clock that is set changes what is due.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// Runs until the node stops.
pub(crate) async fn keep_terms(shared: Arc<Shared>, dataspace: Arc<Dataspace>) {
    loop {
        let wait = match dataspace.delete_due(&shared).await {
            Ok(wait) => wait,
            Err(problem) => {
                tracing::error!(problem, "it cannot be read which data are to be deleted");
                SLEEP_MAX
            }
        };
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = dataspace.held.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

impl Dataspace {
    /// Deletes what is due; returns how long to sleep.
    async fn delete_due(self: &Arc<Self>, shared: &Arc<Shared>) -> Result<Duration, String> {
        loop {
            let soonest = self.desk.run(|tx| tx.view().to_delete(TOGETHER).map_err(failed));
            let soonest = soonest.await.map_err(|refusal| refusal.reason)?;
            let mut go_on = soonest.len() == TOGETHER;
            for (pid, due) in soonest {
                let left = due.as_millis().saturating_sub(now().as_millis());
                if left > 0 {
                    return Ok(Duration::from_millis(left.unsigned_abs()).min(SLEEP_MAX));
                }
                // One that cannot be deleted does not hold up the others.
                match self.delete(&shared.dir, &pid, false).await {
                    Ok(_) => {
                        tracing::info!(transfer = pid, "received data were deleted, as their terms want it")
                    }
                    Err(problem) => {
                        tracing::error!(transfer = pid, %problem, "data whose time is over cannot be deleted now");
                        go_on = false;
                    }
                }
            }
            if !go_on {
                return Ok(SLEEP_MAX);
            }
        }
    }

    /// Deletes what the node holds of a transfer; with `all` a person says that no copy is left.
    pub(crate) async fn delete(&self, dir: &Path, pid: &str, all: bool) -> Result<Transfer, NotDeleted> {
        let (connector, moment, wanted) = (self.connector.clone(), self.moment()?, pid.to_owned());
        // Before anything is deleted: whether there is such a transfer, with something received in it.
        let check = self.desk.run(move |tx| connector.may_delete(tx, &wanted)).await;
        check?;
        let path = place(dir, pid);
        tokio::task::spawn_blocking(move || erase(&path)).await.map_err(io::Error::other)??;
        let (connector, wanted) = (self.connector.clone(), pid.to_owned());
        Ok(self.desk.run(move |tx| connector.deleted(tx, &wanted, all, moment)).await?)
    }
}

/// Why something was not deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotDeleted {
    /// There is nothing to delete.
    #[error("{}", .0.reason)]
    Refused(Refusal),
    /// The disk does not let go of it.
    #[error("the file cannot be deleted: {0}")]
    Disk(#[from] io::Error),
}

impl From<Refusal> for NotDeleted {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
