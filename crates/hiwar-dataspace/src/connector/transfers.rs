//! Transfers: what the other side may do, what a side does by itself, what a person may begin.

use hiwar_trust::hash::Hash;
use serde_json::Value;

use super::answer::refused;
use super::retention;
use super::{
    Caller, Connector, ENDING, Moment, NOT_ALLOWED, ON_THE_WAY, Refusal, STARTING, STEPS_MAX, new_process,
    written,
};
use crate::catalog::PUSH;
use crate::ledger::{Content, Contract, Ending, Ledger, Note, Statement, Transfer, Why};
use crate::negotiation::Role;
use crate::policy::{Participant, Phase, Request, evaluate, next_change, permits};
use crate::transfer::{TransferState, TransferStep, next};
use crate::wire::read::shown;
use crate::wire::{
    CompletionMessage, Context, DataAddress, StartMessage, SuspensionMessage, TransferRequest,
    TransferStatus, TransferTermination, reason_text,
};

/// A message of a transfer.
#[derive(Clone, Debug)]
pub enum TransferCall {
    /// The data can be had.
    Start(StartMessage),
    /// Paused.
    Suspension(SuspensionMessage),
    /// Complete.
    Completion(CompletionMessage),
    /// Ended.
    Termination(TransferTermination),
}

impl TransferCall {
    /// The step it is.
    pub fn step(&self) -> TransferStep {
        match self {
            Self::Start(_) => TransferStep::Start,
            Self::Suspension(_) => TransferStep::Suspend,
            Self::Completion(_) => TransferStep::Complete,
            Self::Termination(_) => TransferStep::Terminate,
        }
    }

    fn pids(&self) -> (&str, &str) {
        match self {
            Self::Start(m) => (&m.provider_pid, &m.consumer_pid),
            Self::Suspension(m) => (&m.provider_pid, &m.consumer_pid),
            Self::Completion(m) => (&m.provider_pid, &m.consumer_pid),
            Self::Termination(m) => (&m.provider_pid, &m.consumer_pid),
        }
    }
}

/// A transfer that a person begins as consumer.
#[derive(Clone, Debug)]
pub struct NewTransfer {
    /// The agreement.
    pub agreement: String,
    /// The format, such as `HttpData-PULL`.
    pub format: String,
    /// Where the provider pushes to; only for a push, whose own inbox it is when absent.
    pub address: Option<DataAddress>,
    /// What is stated of the use.
    pub statement: Statement,
    /// The provider's address, when it is another than that of the negotiation.
    pub provider_address: Option<String>,
}

/// Whether a step is allowed also when the other side has taken the message on the way.
fn may_follow(transfer: &Transfer, step: TransferStep) -> bool {
    let pending = transfer.process.pending.as_ref();
    pending.is_none_or(|p| next(transfer.process.role, Some(p.step.target()), step).is_ok())
}

fn status(transfer: &Transfer) -> TransferStatus {
    let (provider_pid, consumer_pid) = transfer.process.pids();
    TransferStatus {
        context: Context,
        provider_pid,
        consumer_pid,
        state: transfer.state.unwrap_or(TransferState::Requested),
    }
}

/// A transfer is asked for by the consumer; what the provider knows of it.
struct Asked {
    contract: Contract,
    request: TransferRequest,
}

impl Connector {
    /// Begins a transfer as consumer; the request is due at once.
    ///
    /// # Errors
    /// When there is no such agreement of this side as consumer, it was ended, or the store fails.
    pub fn begin_transfer(
        &self,
        ledger: &mut impl Ledger,
        new: NewTransfer,
        moment: Moment,
    ) -> Result<Transfer, Refusal> {
        let mut contract =
            ledger.contract(&new.agreement)?.ok_or_else(|| Refusal::unknown(&new.agreement))?;
        if contract.role != Role::Consumer {
            return Err(Refusal::bad(
                "not-consumer",
                "the data of this agreement are yours; the consumer asks for them",
            ));
        }
        if let Some(ended) = &contract.ended {
            let reason = format!("the agreement was ended: {}", ended.why.reasons.join("; "));
            return Err(Refusal::bad("agreement-ended", reason));
        }
        contract.transfers += 1;
        ledger.put_contract(&contract)?;
        let pid = moment.uuid("transfer");
        let address = new.provider_address.as_deref().unwrap_or(&contract.address);
        let mut transfer = Transfer::new(
            new_process(pid.clone(), Role::Consumer, &contract.counterparty, address, moment.now),
            (new.agreement.clone(), contract.agreement.target.clone()),
            new.format.clone(),
            new.statement.clone(),
            new.address,
        );
        if transfer.format == PUSH && transfer.address.is_none() {
            transfer.address = Some(self.inbox(&mut transfer, moment));
        }
        let id = moment.uuid("message");
        let message = TransferRequest {
            context: Context,
            id: Some(id.clone()),
            consumer_pid: pid,
            agreement_id: new.agreement,
            format: new.format,
            data_address: transfer.address.clone(),
            callback_address: self.address.clone(),
            purpose: new.statement.purpose,
            marking: new.statement.marking,
        };
        transfer.process.post(
            TransferStep::Request,
            id,
            "transfers/request".into(),
            written(&message)?,
            moment.now,
        );
        ledger.put_transfer(&transfer)?;
        Ok(transfer)
    }

    /// Takes a consumer's request for the data of an agreement.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn transfer_requested(
        &self,
        ledger: &mut impl Ledger,
        caller: Caller<'_>,
        request: TransferRequest,
        digest: Hash,
        moment: Moment,
    ) -> Result<TransferStatus, Refusal> {
        if let Some(known) = ledger.transfer_of(Role::Provider, caller.id, &request.consumer_pid)? {
            if known.process.knows(&digest) || known.agreement == request.agreement_id {
                return Ok(status(&known));
            }
            let reason =
                "you have asked for another transfer under this identifier; use another for a new one";
            return Err(Refusal::bad("pid-in-use", reason).about(&known.process));
        }
        let refused = |code, reason: String| {
            let mut refusal = Refusal::bad(code, reason);
            refusal.pids.1.clone_from(&request.consumer_pid);
            refusal
        };
        let found = ledger.contract(&request.agreement_id)?;
        let Some(contract) = found.filter(|c| c.counterparty == caller.id && c.role == Role::Provider) else {
            return Err(refused(
                "unknown-agreement",
                "agreementId: there is no such agreement of yours; negotiate one first".into(),
            ));
        };
        if let Some(ended) = &contract.ended {
            return Err(refused(
                "agreement-ended",
                format!("the agreement was ended: {}", ended.why.reasons.join("; ")),
            ));
        }
        // A dataset that is offered no longer has no formats to compare with; its data plane says so.
        if let Some(dataset) = ledger.dataset(&contract.agreement.target)?
            && !dataset.formats.contains(&request.format)
        {
            let reason = format!(
                "format: {:?} is not offered for this dataset; ask for {}",
                shown(&request.format),
                dataset.formats.join(" or ")
            );
            return Err(refused("format-not-offered", reason));
        }
        if request.format == PUSH && request.data_address.as_ref().is_none_or(|a| a.endpoint.is_none()) {
            return Err(refused("missing-address", "dataAddress: a push needs one with an endpoint".into()));
        }
        self.take_request(ledger, caller.facts, Asked { contract, request }, digest, moment)
    }

    fn take_request(
        &self,
        ledger: &mut impl Ledger,
        facts: &Participant,
        asked: Asked,
        digest: Hash,
        moment: Moment,
    ) -> Result<TransferStatus, Refusal> {
        let Asked { mut contract, request } = asked;
        let pid = moment.uuid("transfer");
        let mut process =
            new_process(pid, Role::Provider, &contract.counterparty, &request.callback_address, moment.now);
        process.peer_pid = Some(request.consumer_pid.clone());
        process.taken.push(digest);
        process.took(Role::Consumer, TransferStep::Request, moment.now);
        let statement = Statement {
            purpose: request.purpose.or_else(|| contract.statement.purpose.clone()),
            marking: request.marking.or_else(|| contract.statement.marking.clone()),
            ..contract.statement.clone()
        };
        let about = (contract.agreement.id.clone(), contract.agreement.target.clone());
        let mut transfer = Transfer::new(process, about, request.format, statement, request.data_address);
        transfer.state = Some(TransferState::Requested);
        self.judge(&mut transfer, &contract, facts, moment);
        contract.transfers += 1;
        ledger.put_contract(&contract)?;
        self.proceed(&mut transfer, moment)?;
        ledger.put_transfer(&transfer)?;
        Ok(status(&transfer))
    }

    /// Asks the policy of the agreement, and plans what follows from it.
    fn judge(&self, transfer: &mut Transfer, contract: &Contract, facts: &Participant, moment: Moment) {
        let agreed = contract.agreement.timestamp.unwrap_or(contract.agreed);
        let request = Request {
            purpose: transfer.statement.purpose.as_deref(),
            accepted_marking: transfer.statement.marking.as_deref(),
            agreed_at: Some(agreed),
            transfers_before: Some(contract.transfers),
            ..Request::new(Phase::Transfer, facts, moment.now)
        };
        let policy = &contract.agreement.policy;
        if permits(policy, &request) {
            let running = Request { phase: Phase::Running, ..request };
            transfer.permitted_until = next_change(policy, &running);
            transfer.sequence = match self.rules.provider_transfer.get(&transfer.agreement) {
                Some(rule) => rule.sequence.clone(),
                None => vec![TransferStep::Start],
            };
            return;
        }
        let decision = evaluate(policy, &request);
        let why = refused(&decision);
        transfer.decision = serde_json::to_value(&decision).ok();
        transfer.process.schedule(TransferStep::Terminate, self.pause(moment.now), Some(why));
    }

    /// Takes the next step of the sequence: at once, or after the pause of the rules.
    pub(super) fn proceed(&self, transfer: &mut Transfer, moment: Moment) -> Result<(), Refusal> {
        if transfer.process.pending.is_some() || transfer.process.scheduled.is_some() {
            return Ok(());
        }
        let Some(step) = transfer.sequence.first().copied() else {
            self.watch(transfer);
            return Ok(());
        };
        if next(transfer.process.role, transfer.state, step).is_err() {
            // The other side has changed the state.
            transfer.sequence.clear();
            self.watch(transfer);
            return Ok(());
        }
        transfer.sequence.remove(0);
        if self.rules.pause_ms > 0 {
            transfer.process.schedule(step, self.pause(moment.now), None);
            return Ok(());
        }
        self.post_transfer_step(transfer, step, None, moment)
    }

    /// A running transfer is looked at again when its policy may change its mind.
    pub(super) fn watch(&self, transfer: &mut Transfer) {
        let running = transfer.state.is_some_and(|s| !s.is_final());
        if let (Role::Provider, true, Some(until)) =
            (transfer.process.role, running, transfer.permitted_until)
        {
            let why = Why::new("policy", "the agreement does not permit the transfer any longer");
            transfer.process.schedule(TransferStep::Terminate, until, Some(why));
        }
    }

    /// Takes a later message of a transfer.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn transfer_called(
        &self,
        ledger: &mut impl Ledger,
        caller: Caller<'_>,
        pid: &str,
        call: TransferCall,
        digest: Hash,
        moment: Moment,
    ) -> Result<TransferStatus, Refusal> {
        let mut transfer = self.transfer_for(ledger, caller.id, pid)?;
        let (provider_pid, consumer_pid) = call.pids();
        let unnamed = transfer.process.peer_pid.is_none();
        transfer.process.check_pids(provider_pid, consumer_pid)?;
        if unnamed && let Some(peer) = transfer.process.peer_pid.clone() {
            let role = transfer.process.role;
            let taken = ledger.transfer_of(role, caller.id, &peer)?.is_some();
            transfer.process.must_be_new(taken)?;
        }
        if transfer.process.knows(&digest) {
            return Ok(status(&transfer));
        }
        if transfer.state.is_none()
            && let Some(step) = transfer.process.first_was_taken(moment.now)
        {
            transfer.state = Some(step.target());
        }
        let sender = transfer.process.role.other();
        let step = call.step();
        let state = next(sender, transfer.state, step)
            .map_err(|e| Refusal::bad(NOT_ALLOWED, e.to_string()).about(&transfer.process))?;
        // Were the other message taken, each side would hold its own end for the last word.
        let ends = match transfer.process.pending.as_ref().map(|p| p.step) {
            Some(TransferStep::Terminate) => step != TransferStep::Terminate,
            Some(TransferStep::Complete) => step == TransferStep::Suspend,
            _ => false,
        };
        if ends {
            return Err(Refusal::bad(NOT_ALLOWED, ENDING).about(&transfer.process));
        }
        // A provider's start brings a new token, and the old one is worth nothing since it was written. Were
        // the consumer's start taken in its place, the consumer would never learn the new one.
        let brings_token = transfer.process.role == Role::Provider && transfer.format != PUSH;
        let crossed = transfer.process.pending.as_ref().is_some_and(|p| p.step == TransferStep::Start);
        if brings_token && crossed && step == TransferStep::Start {
            return Err(Refusal::bad(NOT_ALLOWED, STARTING).about(&transfer.process));
        }
        if transfer.process.history.len() >= STEPS_MAX && !state.is_final() {
            let reason = format!("this transfer has {STEPS_MAX} steps; end it and begin another");
            return Err(Refusal::bad("too-long", reason).about(&transfer.process));
        }
        let started_before = transfer.process.history.iter().any(|t| t.step == TransferStep::Start);
        transfer.state = Some(state);
        transfer.process.taken.push(digest);
        transfer.process.took(sender, step, moment.now);
        transfer.process.scheduled = None;
        let role = transfer.process.role;
        if transfer.process.pending.as_ref().is_some_and(|p| next(role, transfer.state, p.step).is_err()) {
            transfer.process.withdraw();
        }
        match call {
            TransferCall::Start(message) => {
                if let Some(address) = message.data_address {
                    transfer.address = Some(address);
                }
                if role == Role::Consumer && !started_before {
                    let rule = self.rules.consumer_transfer.get(&transfer.agreement);
                    transfer.sequence = rule.map(|r| r.on_start.clone()).unwrap_or_default();
                }
            }
            TransferCall::Termination(message) => {
                let why = Why {
                    code: message.code.unwrap_or_default(),
                    reasons: vec![reason_text(&message.reason)],
                };
                transfer.process.end(sender, why, moment.now);
            }
            TransferCall::Suspension(_) | TransferCall::Completion(_) => {}
        }
        self.settled(ledger, &mut transfer, moment)?;
        ledger.put_transfer(&transfer)?;
        Ok(status(&transfer))
    }

    /// After a change of state: what follows by itself, and what the log is told.
    pub(super) fn settled(
        &self,
        ledger: &mut impl Ledger,
        transfer: &mut Transfer,
        moment: Moment,
    ) -> Result<(), Refusal> {
        match transfer.state {
            Some(TransferState::Completed) => {
                transfer.process.pending = None;
                transfer.process.scheduled = None;
                transfer.token = None;
                ledger.note(&Note::Transferred { transfer: transfer.process.pid.clone() })?;
                Ok(())
            }
            Some(TransferState::Terminated) => {
                transfer.token = None;
                Ok(())
            }
            _ => self.proceed(transfer, moment),
        }
    }

    pub(super) fn transfer_for(
        &self,
        ledger: &impl Ledger,
        caller: &str,
        pid: &str,
    ) -> Result<Transfer, Refusal> {
        let found = ledger.transfer(pid)?;
        found.filter(|t| t.process.counterparty == caller).ok_or_else(|| Refusal::unknown(pid))
    }

    /// The state, for the other side.
    ///
    /// # Errors
    /// When there is no such transfer of the caller.
    pub fn transfer_status(
        &self,
        ledger: &impl Ledger,
        caller: &str,
        pid: &str,
    ) -> Result<TransferStatus, Refusal> {
        let transfer = self.transfer_for(ledger, caller, pid)?;
        if transfer.state.is_none() {
            return Err(Refusal::unknown(pid));
        }
        Ok(status(&transfer))
    }

    /// A person, or the data plane, takes a step.
    ///
    /// # Errors
    /// When the protocol does not allow it now, or the store fails.
    pub fn step_transfer(
        &self,
        ledger: &mut impl Ledger,
        pid: &str,
        step: TransferStep,
        why: Option<Why>,
        content: Option<Content>,
        moment: Moment,
    ) -> Result<Transfer, Refusal> {
        let mut transfer = ledger.transfer(pid)?.ok_or_else(|| Refusal::unknown(pid))?;
        if let Some(content) = content {
            retention::keep(ledger, &mut transfer, content, moment)?;
        }
        next(transfer.process.role, transfer.state, step)
            .map_err(|e| Refusal::bad(NOT_ALLOWED, e.to_string()).about(&transfer.process))?;
        if !may_follow(&transfer, step) {
            return Err(Refusal::bad(NOT_ALLOWED, ON_THE_WAY).about(&transfer.process));
        }
        self.post_transfer_step(&mut transfer, step, why, moment)?;
        ledger.put_transfer(&transfer)?;
        Ok(transfer)
    }

    /// Ends a transfer that has not ended; one the other side does not know of yet ends here only.
    ///
    /// # Errors
    /// When there is no such transfer, or the store fails.
    pub fn terminate_transfer(
        &self,
        ledger: &mut impl Ledger,
        pid: &str,
        why: Why,
        moment: Moment,
    ) -> Result<(), Refusal> {
        let mut transfer = ledger.transfer(pid)?.ok_or_else(|| Refusal::unknown(pid))?;
        if transfer.state.is_some_and(TransferState::is_final) {
            return Ok(());
        }
        // The token is worth nothing from now on, whether or not the other side can be told.
        transfer.token = None;
        if transfer.state.is_none() {
            transfer.state = Some(TransferState::Terminated);
            transfer.process.end(transfer.process.role, why, moment.now);
        } else if may_follow(&transfer, TransferStep::Terminate) {
            self.post_transfer_step(&mut transfer, TransferStep::Terminate, Some(why), moment)?;
        }
        ledger.put_transfer(&transfer)?;
        Ok(())
    }

    /// Writes the message of a step; it is due now.
    pub(super) fn post_transfer_step(
        &self,
        transfer: &mut Transfer,
        step: TransferStep,
        why: Option<Why>,
        moment: Moment,
    ) -> Result<(), Refusal> {
        let (provider_pid, consumer_pid) = transfer.process.pids();
        let id = moment.uuid("message");
        let named = Some(id.clone());
        let why = why.unwrap_or_else(|| Why::new("ended", "ended by a person"));
        let reason: Vec<Value> = why.reasons.iter().map(|r| Value::String(r.clone())).collect();
        let context = Context;
        let (last, body) = match step {
            TransferStep::Request => return Err(Refusal::bad(NOT_ALLOWED, "a transfer is asked for once")),
            TransferStep::Start => {
                let data_address = self.address_given(transfer, moment);
                (
                    "start",
                    written(&StartMessage { context, id: named, provider_pid, consumer_pid, data_address })?,
                )
            }
            TransferStep::Suspend => {
                let code = None;
                (
                    "suspension",
                    written(&SuspensionMessage {
                        context,
                        id: named,
                        provider_pid,
                        consumer_pid,
                        code,
                        reason,
                    })?,
                )
            }
            TransferStep::Complete => (
                "completion",
                written(&CompletionMessage { context, id: named, provider_pid, consumer_pid })?,
            ),
            TransferStep::Terminate => {
                transfer.process.ending =
                    Some(Ending { by: transfer.process.role, why: why.clone(), at: moment.now });
                transfer.token = None;
                let code = Some(why.code);
                (
                    "termination",
                    written(&TransferTermination {
                        context,
                        id: named,
                        provider_pid,
                        consumer_pid,
                        code,
                        reason,
                    })?,
                )
            }
        };
        let path = format!("transfers/{}/{last}", transfer.process.peer_pid.as_deref().unwrap_or_default());
        transfer.process.post(step, id, path, body, moment.now);
        Ok(())
    }
}
