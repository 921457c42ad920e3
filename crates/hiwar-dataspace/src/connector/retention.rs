//! What a consumer received, and by when the terms want it deleted.

use super::{Connector, Moment, Refusal};
use crate::ledger::{Content, Ledger, Note, Retention, Transfer};
use crate::negotiation::Role;
use crate::policy::{Action, duties};

impl Connector {
    /// Keeps what a transfer carried. At a consumer the time begins by which the terms want it deleted.
    ///
    /// # Errors
    /// When there is no such transfer, or the store fails.
    pub fn carried(
        &self,
        ledger: &mut impl Ledger,
        pid: &str,
        content: Content,
        moment: Moment,
    ) -> Result<(), Refusal> {
        let mut transfer = ledger.transfer(pid)?.ok_or_else(|| Refusal::unknown(pid))?;
        keep(ledger, &mut transfer, content, moment)?;
        Ok(ledger.put_transfer(&transfer)?)
    }

    /// Whether this side received something in a transfer, which can be deleted.
    ///
    /// # Errors
    /// When it did not, or the store fails.
    pub fn may_delete(&self, ledger: &impl Ledger, pid: &str) -> Result<(), Refusal> {
        received(ledger, pid).map(drop)
    }

    /// The node has deleted what it held of a transfer, or with `all` a person says that no copy is left
    /// anywhere; the signed log is told.
    ///
    /// # Errors
    /// When this side received nothing in such a transfer, or the store fails.
    pub fn deleted(
        &self,
        ledger: &mut impl Ledger,
        pid: &str,
        all: bool,
        moment: Moment,
    ) -> Result<Transfer, Refusal> {
        let mut transfer = received(ledger, pid)?;
        // Without a time in the terms it is deleted because somebody wants it so.
        let retention = transfer.retention.get_or_insert(Retention {
            received: transfer.process.changed,
            delete_by: moment.now,
            deleted: None,
            confirmed: None,
        });
        let first = !all && retention.deleted.is_none() || all && retention.confirmed.is_none();
        retention.deleted.get_or_insert(moment.now);
        if all {
            retention.confirmed.get_or_insert(moment.now);
        }
        if first {
            ledger.put_transfer(&transfer)?;
            ledger.note(&Note::Deleted { transfer: pid.to_owned(), all })?;
        }
        Ok(transfer)
    }
}

fn received(ledger: &impl Ledger, pid: &str) -> Result<Transfer, Refusal> {
    let transfer = ledger.transfer(pid)?.ok_or_else(|| Refusal::unknown(pid))?;
    if transfer.process.role == Role::Consumer && transfer.content.is_some() {
        return Ok(transfer);
    }
    let reason = "this side received nothing in this transfer, so there is nothing to delete";
    Err(Refusal::bad("nothing-received", reason))
}

/// Puts the content, and by when it is to be deleted, on the record of a transfer.
pub(super) fn keep(
    ledger: &impl Ledger,
    transfer: &mut Transfer,
    content: Content,
    moment: Moment,
) -> Result<(), Refusal> {
    if transfer.process.role == Role::Consumer && transfer.retention.is_none() {
        let contract = ledger.contract(&transfer.agreement)?;
        let due = contract.and_then(|contract| {
            let agreed = contract.agreement.timestamp.unwrap_or(contract.agreed);
            let all = duties(&contract.agreement.policy, Some(agreed), Some(moment.now));
            all.into_iter().filter(|duty| duty.action == Action::Delete).filter_map(|duty| duty.due).min()
        });
        transfer.retention = due.map(|delete_by| Retention {
            received: moment.now,
            delete_by,
            deleted: None,
            confirmed: None,
        });
    }
    transfer.content = Some(content);
    Ok(())
}
