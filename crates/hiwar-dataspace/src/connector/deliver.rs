//! Delivering what is due, and what its outcome changes.

use hiwar_trust::time::Timestamp;

use super::{Connector, Moment, Refusal};
use crate::ledger::{Ending, Ledger, LedgerError, Negotiation, Process, Transfer, Why};
use crate::negotiation::{NegotiationState, NegotiationStep, Role};
use crate::policy::Participant;
use crate::transfer::{TransferState, TransferStep};

/// The first wait after a failed attempt, in milliseconds.
const RETRY_FIRST_MS: i64 = 300;
/// The longest wait, in milliseconds.
const RETRY_MAX_MS: i64 = 600_000;
/// Attempts that are answered with 404 or refused before the delivery is given up.
const NOT_FOUND_MAX: u32 = 10;
/// Attempts that are refused before the delivery is given up: about ten seconds. The other side may
/// have been stopped before it knew that we took its own last message; it refuses ours until it has
/// sent that one again.
const REFUSED_MAX: u32 = 6;
/// Attempts without an answer before the delivery is given up: about three days.
const UNREACHABLE_MAX: u32 = 440;

/// A message to be delivered now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// This side's identifier of the process.
    pub pid: String,
    /// The other participant.
    pub counterparty: String,
    /// The whole address.
    pub url: String,
    /// The message's own identifier, to report the outcome.
    pub message: String,
    /// The message.
    pub body: String,
    /// Where the state can be asked for, when the message is refused; none before the other side has
    /// named the process.
    pub status_url: Option<String>,
    /// The state that tells that the other side has taken this message. None when the process was in
    /// that state before, so that it would tell nothing.
    pub target: Option<&'static str>,
}

/// How a delivery failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The other side refused it and is not in the state that it leads to.
    Refused(String),
    /// The other side is not ready for it: it has not kept yet what it has already sent (409).
    NotYet(String),
    /// The other side does not know the process, or not yet.
    NotFound(String),
    /// No answer, or one that says nothing about the message.
    Unreachable(String),
}

impl Failure {
    fn text(&self) -> &str {
        match self {
            Self::Refused(text) | Self::NotYet(text) | Self::NotFound(text) | Self::Unreachable(text) => text,
        }
    }
}

/// The end of a process to which the other side gave the identifier of another.
fn reused(pid: &str) -> Why {
    let reason =
        format!("the other side names it {pid:?}, as it named another one before; it must give each its own");
    Why::new("pid-in-use", reason)
}

/// The wait before the attempt after `attempts` failed ones.
fn wait_ms(attempts: u32) -> i64 {
    RETRY_FIRST_MS.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(RETRY_MAX_MS)
}

/// What is to be done for a process now.
#[derive(Clone, Debug)]
enum Due<S> {
    Deliver(Delivery),
    Step(S, Option<Why>),
}

fn due<S: Copy>(
    process: &mut Process<S>,
    kind: &str,
    target: impl Fn(S) -> &'static str,
    now: Timestamp,
) -> Option<Due<S>> {
    if let Some(pending) = &process.pending
        && pending.due <= now
    {
        return Some(Due::Deliver(Delivery {
            pid: process.pid.clone(),
            counterparty: process.counterparty.clone(),
            url: format!("{}/{}", process.address, pending.path),
            message: pending.id.clone(),
            body: pending.body.clone(),
            status_url: process.peer_pid.as_ref().map(|pid| format!("{}/{kind}/{pid}", process.address)),
            target: Some(target(pending.step))
                .filter(|state| process.history.iter().all(|t| target(t.step) != *state)),
        }));
    }
    if process.scheduled.as_ref().is_some_and(|s| s.due <= now) {
        return process.scheduled.take().map(|s| Due::Step(s.step, s.why));
    }
    None
}

/// What a failed attempt does to a process; `true` when it is given up.
fn failed<S>(process: &mut Process<S>, failure: &Failure, now: Timestamp) -> bool {
    let first = process.peer_pid.is_none();
    let Some(pending) = &mut process.pending else { return false };
    pending.attempts += 1;
    pending.trouble = Some(failure.text().to_owned());
    let mut waits = pending.attempts;
    if let Failure::Refused(_) | Failure::NotYet(_) | Failure::NotFound(_) = failure {
        // The other side is there: what was waited for before does not count.
        pending.refusals += 1;
        waits = pending.refusals;
    }
    pending.due = now.plus_millis(wait_ms(waits));
    match failure {
        Failure::Refused(_) => first || pending.refusals >= REFUSED_MAX,
        Failure::NotYet(_) => pending.refusals >= REFUSED_MAX,
        Failure::NotFound(_) => pending.refusals >= NOT_FOUND_MAX,
        Failure::Unreachable(_) => pending.attempts >= UNREACHABLE_MAX,
    }
}

impl Connector {
    /// What has to be delivered for a negotiation now. A step that is scheduled for now is taken
    /// first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn due_negotiation(
        &self,
        ledger: &mut impl Ledger,
        pid: &str,
        moment: Moment,
    ) -> Result<Option<Delivery>, Refusal> {
        let Some(mut negotiation) = ledger.negotiation(pid)? else { return Ok(None) };
        let target = |step: NegotiationStep| step.target().as_str();
        match due(&mut negotiation.process, "negotiations", target, moment.now) {
            Some(Due::Deliver(delivery)) => Ok(Some(delivery)),
            Some(Due::Step(step, why)) => {
                let role = negotiation.process.role;
                if crate::negotiation::next(role, negotiation.state, step).is_ok() {
                    self.post_step(ledger, &mut negotiation, step, why, moment)?;
                }
                ledger.put_negotiation(&negotiation)?;
                let target = |step: NegotiationStep| step.target().as_str();
                Ok(match due(&mut negotiation.process, "negotiations", target, moment.now) {
                    Some(Due::Deliver(delivery)) => Some(delivery),
                    _ => None,
                })
            }
            None => Ok(None),
        }
    }

    /// What has to be delivered for a transfer now. A step that is scheduled for now is taken first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn due_transfer(
        &self,
        ledger: &mut impl Ledger,
        pid: &str,
        moment: Moment,
    ) -> Result<Option<Delivery>, Refusal> {
        let Some(mut transfer) = ledger.transfer(pid)? else { return Ok(None) };
        let target = |step: TransferStep| step.target().as_str();
        match due(&mut transfer.process, "transfers", target, moment.now) {
            Some(Due::Deliver(delivery)) => Ok(Some(delivery)),
            Some(Due::Step(step, why)) => {
                if crate::transfer::next(transfer.process.role, transfer.state, step).is_ok() {
                    self.post_transfer_step(&mut transfer, step, why, moment)?;
                } else {
                    transfer.sequence.clear();
                    self.watch(&mut transfer);
                }
                ledger.put_transfer(&transfer)?;
                let target = |step: TransferStep| step.target().as_str();
                Ok(match due(&mut transfer.process, "transfers", target, moment.now) {
                    Some(Due::Deliver(delivery)) => Some(delivery),
                    _ => None,
                })
            }
            None => Ok(None),
        }
    }

    /// A message of a negotiation was acknowledged. `peer_pid` is what the answer to a first message
    /// names.
    ///
    /// # Errors
    /// When the store fails.
    pub fn negotiation_delivered(
        &self,
        ledger: &mut impl Ledger,
        pid: &str,
        message: &str,
        peer_pid: Option<String>,
        facts: &Participant,
        moment: Moment,
    ) -> Result<(), Refusal> {
        let Some(mut negotiation) = ledger.negotiation(pid)? else { return Ok(()) };
        let Some(pending) = negotiation.process.pending.take_if(|p| p.id == message) else { return Ok(()) };
        if negotiation.process.peer_pid.is_none()
            && let Some(named) = peer_pid
        {
            let (role, with) = (negotiation.process.role, &negotiation.process.counterparty);
            if ledger.negotiation_of(role, with, &named)?.is_some() {
                negotiation.state = Some(NegotiationState::Terminated);
                negotiation.process.end(role.other(), reused(&named), moment.now);
                return Ok(ledger.put_negotiation(&negotiation)?);
            }
            negotiation.process.peer_pid = Some(named);
        }
        let role = negotiation.process.role;
        negotiation.state = Some(pending.step.target());
        negotiation.process.took(role, pending.step, moment.now);
        if pending.step == NegotiationStep::Finalize {
            self.conclude(ledger, &negotiation, moment)?;
        }
        if pending.step == NegotiationStep::Terminate {
            negotiation.process.scheduled = None;
            self.annul(ledger, &negotiation, moment)?;
        } else {
            self.answer_negotiation(ledger, &mut negotiation, facts, moment)?;
        }
        ledger.put_negotiation(&negotiation)?;
        Ok(())
    }

    /// A message of a transfer was acknowledged.
    ///
    /// # Errors
    /// When the store fails.
    pub fn transfer_delivered(
        &self,
        ledger: &mut impl Ledger,
        pid: &str,
        message: &str,
        peer_pid: Option<String>,
        moment: Moment,
    ) -> Result<(), Refusal> {
        let Some(mut transfer) = ledger.transfer(pid)? else { return Ok(()) };
        let Some(pending) = transfer.process.pending.take_if(|p| p.id == message) else { return Ok(()) };
        if transfer.process.peer_pid.is_none()
            && let Some(named) = peer_pid
        {
            let (role, with) = (transfer.process.role, &transfer.process.counterparty);
            if ledger.transfer_of(role, with, &named)?.is_some() {
                transfer.state = Some(TransferState::Terminated);
                transfer.process.end(role.other(), reused(&named), moment.now);
                return Ok(ledger.put_transfer(&transfer)?);
            }
            transfer.process.peer_pid = Some(named);
        }
        let role = transfer.process.role;
        transfer.state = Some(pending.step.target());
        transfer.process.took(role, pending.step, moment.now);
        if pending.step == TransferStep::Request {
            let rule = self.rules.consumer_transfer.get(&transfer.agreement);
            transfer.sequence = rule.map(|r| r.on_idle.clone()).unwrap_or_default();
        }
        self.settled(ledger, &mut transfer, moment)?;
        ledger.put_transfer(&transfer)?;
        Ok(())
    }

    /// A message of a negotiation was not acknowledged.
    ///
    /// # Errors
    /// When the store fails.
    pub fn negotiation_undelivered(
        &self,
        ledger: &mut impl Ledger,
        pid: &str,
        message: &str,
        failure: &Failure,
        moment: Moment,
    ) -> Result<(), Refusal> {
        let Some(mut negotiation) = ledger.negotiation(pid)? else { return Ok(()) };
        if negotiation.process.pending.as_ref().is_none_or(|p| p.id != message) {
            return Ok(());
        }
        if failed(&mut negotiation.process, failure, moment.now) {
            give_up_negotiation(&mut negotiation, failure, moment);
            if negotiation.state == Some(NegotiationState::Terminated) {
                self.annul(ledger, &negotiation, moment)?;
            }
            if let (Failure::Refused(_) | Failure::NotYet(_), Some(_)) = (failure, negotiation.state)
                && !negotiation.state.is_some_and(NegotiationState::is_final)
            {
                // The two sides differ about the state: DSP 2025-1 wants the process terminated.
                let why = Why::new("refused", failure.text());
                self.post_step(ledger, &mut negotiation, NegotiationStep::Terminate, Some(why), moment)?;
            }
        }
        ledger.put_negotiation(&negotiation)?;
        Ok(())
    }

    /// A message of a transfer was not acknowledged.
    ///
    /// # Errors
    /// When the store fails.
    pub fn transfer_undelivered(
        &self,
        ledger: &mut impl Ledger,
        pid: &str,
        message: &str,
        failure: &Failure,
        moment: Moment,
    ) -> Result<(), Refusal> {
        let Some(mut transfer) = ledger.transfer(pid)? else { return Ok(()) };
        if transfer.process.pending.as_ref().is_none_or(|p| p.id != message) {
            return Ok(());
        }
        if failed(&mut transfer.process, failure, moment.now) {
            give_up_transfer(&mut transfer, failure, moment);
            if matches!(failure, Failure::Refused(_) | Failure::NotYet(_))
                && transfer.state.is_some_and(|s| !s.is_final())
            {
                let why = Why::new("refused", failure.text());
                self.post_transfer_step(&mut transfer, TransferStep::Terminate, Some(why), moment)?;
            }
        }
        ledger.put_transfer(&transfer)?;
        Ok(())
    }

    /// What waits for the next attempt is sent at once. For when a message of the other side was
    /// refused as too early: it may have taken ours, and its answer is lost.
    ///
    /// # Errors
    /// When the store fails.
    pub fn hurry_negotiation(
        &self,
        ledger: &mut impl Ledger,
        pid: &str,
        moment: Moment,
    ) -> Result<(), LedgerError> {
        if let Some(mut negotiation) = ledger.negotiation(pid)?
            && let Some(pending) = &mut negotiation.process.pending
        {
            pending.due = moment.now;
            ledger.put_negotiation(&negotiation)?;
        }
        Ok(())
    }

    /// As [`Connector::hurry_negotiation`], for a transfer.
    ///
    /// # Errors
    /// When the store fails.
    pub fn hurry_transfer(
        &self,
        ledger: &mut impl Ledger,
        pid: &str,
        moment: Moment,
    ) -> Result<(), LedgerError> {
        if let Some(mut transfer) = ledger.transfer(pid)?
            && let Some(pending) = &mut transfer.process.pending
        {
            pending.due = moment.now;
            ledger.put_transfer(&transfer)?;
        }
        Ok(())
    }
}

fn give_up_negotiation(negotiation: &mut Negotiation, failure: &Failure, moment: Moment) {
    let step = negotiation.process.pending.take().map(|p| p.step);
    // Without the other side a termination is a termination all the same, and a first message that
    // nobody took has begun nothing.
    if step == Some(NegotiationStep::Terminate) || negotiation.state.is_none() {
        negotiation.state = Some(NegotiationState::Terminated);
        end_by(&mut negotiation.process, failure, moment);
    } else {
        negotiation.process.stuck = Some(failure.text().to_owned());
    }
    negotiation.process.changed = moment.now;
}

fn give_up_transfer(transfer: &mut Transfer, failure: &Failure, moment: Moment) {
    let step = transfer.process.pending.take().map(|p| p.step);
    if step == Some(TransferStep::Terminate) || transfer.state.is_none() {
        transfer.state = Some(TransferState::Terminated);
        end_by(&mut transfer.process, failure, moment);
    } else {
        transfer.process.stuck = Some(failure.text().to_owned());
    }
    transfer.process.changed = moment.now;
}

fn end_by<S>(process: &mut Process<S>, failure: &Failure, moment: Moment) {
    if process.ending.is_none() {
        let by: Role = if matches!(failure, Failure::Refused(_) | Failure::NotYet(_)) {
            process.role.other()
        } else {
            process.role
        };
        process.ending = Some(Ending { by, why: Why::new("undelivered", failure.text()), at: moment.now });
    }
}
