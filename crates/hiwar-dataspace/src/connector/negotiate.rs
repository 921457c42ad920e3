//! What the other side may do in a negotiation, and what a person may begin.

use hiwar_trust::hash::Hash;
use hiwar_trust::time::Timestamp;

use super::{Caller, Connector, ENDING, Moment, NOT_ALLOWED, ON_THE_WAY, Refusal, STEPS_MAX, new_process};
use crate::ledger::{Contract, Ledger, Negotiation, Note, Statement, Why};
use crate::negotiation::{NegotiationState, NegotiationStep, Role, next};
use crate::policy::{MessageOffer, Offer, Participant, Phase, Request, permits};
use crate::wire::{
    AgreementMessage, Context, EventMessage, EventType, NegotiationStatus, NegotiationTermination,
    OfferMessage, RequestMessage, VerificationMessage, reason_text,
};

/// A message of a negotiation.
#[derive(Clone, Debug)]
pub enum NegotiationCall {
    /// The consumer asks.
    Request(RequestMessage),
    /// The provider offers.
    Offer(OfferMessage),
    /// The provider agrees.
    Agreement(AgreementMessage),
    /// The consumer has verified.
    Verification(VerificationMessage),
    /// Either side takes a step without content.
    Event(EventMessage),
    /// Either side ends it.
    Termination(NegotiationTermination),
}

impl NegotiationCall {
    /// The step it is.
    pub fn step(&self) -> NegotiationStep {
        match self {
            Self::Request(_) => NegotiationStep::Request,
            Self::Offer(_) => NegotiationStep::Offer,
            Self::Agreement(_) => NegotiationStep::Agree,
            Self::Verification(_) => NegotiationStep::Verify,
            Self::Event(event) => match event.event_type {
                EventType::Accepted => NegotiationStep::Accept,
                EventType::Finalized => NegotiationStep::Finalize,
            },
            Self::Termination(_) => NegotiationStep::Terminate,
        }
    }

    fn pids(&self) -> (&str, &str) {
        fn or_empty(pid: Option<&String>) -> &str {
            pid.map_or("", String::as_str)
        }
        match self {
            Self::Request(m) => (or_empty(m.provider_pid.as_ref()), &m.consumer_pid),
            Self::Offer(m) => (&m.provider_pid, or_empty(m.consumer_pid.as_ref())),
            Self::Agreement(m) => (&m.provider_pid, &m.consumer_pid),
            Self::Verification(m) => (&m.provider_pid, &m.consumer_pid),
            Self::Event(m) => (&m.provider_pid, &m.consumer_pid),
            Self::Termination(m) => (&m.provider_pid, &m.consumer_pid),
        }
    }
}

/// The code of a refusal of an agreement whose identifier is that of another one.
pub(super) const ID_IN_USE: &str = "agreement-id-in-use";
/// Why it is refused.
pub(super) const ID_IN_USE_WHY: &str =
    "the agreement's @id is that of another agreement held here; give each agreement its own";

/// Whether an offer is shown to a participant: what its terms would refuse whatever happens is not.
pub fn is_shown(offer: &Offer, to: &Participant, now: Timestamp) -> bool {
    let meant = offer.assignee.is_none() || offer.assignee == to.id;
    meant && permits(&offer.policy, &Request::new(Phase::Catalogue, to, now))
}

/// The dataset that an offer is about: its target, which as a provider must be offered here to the one who
/// asks. What is not shown in the catalog does not exist here either.
fn dataset_asked(
    ledger: &impl Ledger,
    role: Role,
    offer: &MessageOffer,
    facts: &Participant,
    moment: Moment,
) -> Result<Option<String>, Refusal> {
    let Some(target) = &offer.target else { return Ok(None) };
    if role == Role::Consumer {
        return Ok(Some(target.clone()));
    }
    let found = ledger.dataset(target)?.filter(|d| is_shown(&d.offer, facts, moment.now));
    Ok(found.map(|_| target.clone()))
}

/// A negotiation that a person begins as consumer.
#[derive(Clone, Debug)]
pub struct NewNegotiation {
    /// The provider.
    pub provider: String,
    /// The provider's address: version path included.
    pub address: String,
    /// The offer, with the dataset as its target.
    pub offer: MessageOffer,
    /// The dataset.
    pub dataset: String,
    /// What is stated of the use.
    pub statement: Statement,
}

/// The state as an answer.
pub(super) fn status(negotiation: &Negotiation) -> NegotiationStatus {
    let (provider_pid, consumer_pid) = negotiation.process.pids();
    NegotiationStatus {
        context: Context,
        provider_pid,
        consumer_pid,
        // Nobody but this side knows a negotiation before its first message is acknowledged.
        state: negotiation.state.unwrap_or(NegotiationState::Requested),
    }
}

impl Connector {
    /// Begins a negotiation as consumer; the request is due at once.
    ///
    /// # Errors
    /// When the store fails.
    pub fn begin_negotiation(
        &self,
        ledger: &mut impl Ledger,
        new: NewNegotiation,
        moment: Moment,
    ) -> Result<Negotiation, Refusal> {
        let pid = moment.uuid("negotiation");
        let process = new_process(pid, Role::Consumer, &new.provider, &new.address, moment.now);
        let mut negotiation = Negotiation {
            process,
            state: None,
            dataset: new.dataset,
            offer: new.offer,
            statement: new.statement,
            asked: None,
            agreement: None,
            decision: None,
        };
        self.post_request(&mut negotiation, moment)?;
        ledger.put_negotiation(&negotiation)?;
        Ok(negotiation)
    }

    /// Begins a negotiation as provider: an offer nobody asked for.
    ///
    /// # Errors
    /// When there is no such dataset or the store fails.
    pub fn begin_offer(
        &self,
        ledger: &mut impl Ledger,
        consumer: &str,
        address: &str,
        dataset: &str,
        moment: Moment,
    ) -> Result<Negotiation, Refusal> {
        let offered = ledger.dataset(dataset)?.ok_or_else(|| {
            Refusal::bad(
                "unknown-dataset",
                format!("{dataset:?} is not offered here; `hiwar data offer` offers it"),
            )
        })?;
        let pid = moment.uuid("negotiation");
        let mut negotiation = Negotiation {
            process: new_process(pid, Role::Provider, consumer, address, moment.now),
            state: None,
            dataset: dataset.to_owned(),
            offer: offered.offer.about(dataset),
            statement: Statement::default(),
            asked: None,
            agreement: None,
            decision: None,
        };
        self.post_offer(&mut negotiation, moment)?;
        ledger.put_negotiation(&negotiation)?;
        Ok(negotiation)
    }

    /// Takes the first message of a negotiation that the other side begins.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn negotiation_begun(
        &self,
        ledger: &mut impl Ledger,
        caller: Caller<'_>,
        call: NegotiationCall,
        digest: Hash,
        moment: Moment,
    ) -> Result<NegotiationStatus, Refusal> {
        let (role, peer_pid, offer, callback, statement) = match call {
            NegotiationCall::Request(m) => {
                let statement = m.statement();
                (Role::Provider, m.consumer_pid, m.offer, m.callback_address, statement)
            }
            NegotiationCall::Offer(m) => {
                (Role::Consumer, m.provider_pid, m.offer, m.callback_address, Statement::default())
            }
            _ => {
                return Err(Refusal::bad("wrong-message", "a negotiation begins with a request or an offer"));
            }
        };
        // A repetition finds what the first one made.
        if let Some(known) = ledger.negotiation_of(role, caller.id, &peer_pid)? {
            if known.process.knows(&digest) {
                return Ok(status(&known));
            }
            let reason = "you have begun a negotiation under this identifier; use another for a new one";
            return Err(Refusal::bad("pid-in-use", reason).about(&known.process));
        }
        let mut refused =
            Refusal::bad("missing-callback", "callbackAddress: it is missing; the first message needs it");
        refused.pids = match role {
            Role::Provider => (String::new(), peer_pid.clone()),
            Role::Consumer => (peer_pid.clone(), String::new()),
        };
        let Some(callback) = callback else { return Err(refused) };
        let Some(dataset) = dataset_asked(ledger, role, &offer, caller.facts, moment)? else {
            refused.code = "unknown-offer";
            refused.reason =
                "offer.target: no dataset of that name is offered to you; look into the catalog".into();
            return Err(refused);
        };
        let mut negotiation = Negotiation {
            process: new_process(moment.uuid("negotiation"), role, caller.id, &callback, moment.now),
            state: None,
            dataset,
            offer,
            statement,
            asked: None,
            agreement: None,
            decision: None,
        };
        negotiation.process.peer_pid = Some(peer_pid);
        let step = if role == Role::Provider { NegotiationStep::Request } else { NegotiationStep::Offer };
        negotiation.advance(role.other(), step, digest, moment)?;
        self.answer_negotiation(ledger, &mut negotiation, caller.facts, moment)?;
        ledger.put_negotiation(&negotiation)?;
        Ok(status(&negotiation))
    }

    /// Takes a later message of a negotiation.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn negotiation_called(
        &self,
        ledger: &mut impl Ledger,
        caller: Caller<'_>,
        pid: &str,
        call: NegotiationCall,
        digest: Hash,
        moment: Moment,
    ) -> Result<NegotiationStatus, Refusal> {
        let mut negotiation = self.negotiation_for(ledger, caller.id, pid)?;
        let (provider_pid, consumer_pid) = call.pids();
        let unnamed = negotiation.process.peer_pid.is_none();
        negotiation.process.check_pids(provider_pid, consumer_pid)?;
        if unnamed && let Some(peer) = negotiation.process.peer_pid.clone() {
            let role = negotiation.process.role;
            let taken = ledger.negotiation_of(role, caller.id, &peer)?.is_some();
            negotiation.process.must_be_new(taken)?;
        }
        if negotiation.process.knows(&digest) {
            return Ok(status(&negotiation));
        }
        if negotiation.state.is_none()
            && let Some(step) = negotiation.process.first_was_taken(moment.now)
        {
            negotiation.state = Some(step.target());
        }
        let sender = negotiation.process.role.other();
        negotiation.advance(sender, call.step(), digest, moment)?;
        negotiation.take(call, sender, moment)?;
        match negotiation.state {
            Some(NegotiationState::Finalized) => self.conclude(ledger, &negotiation, moment)?,
            Some(NegotiationState::Terminated) => self.annul(ledger, &negotiation, moment)?,
            _ => self.answer_negotiation(ledger, &mut negotiation, caller.facts, moment)?,
        }
        ledger.put_negotiation(&negotiation)?;
        Ok(status(&negotiation))
    }

    fn negotiation_for(&self, ledger: &impl Ledger, caller: &str, pid: &str) -> Result<Negotiation, Refusal> {
        let found = ledger.negotiation(pid)?;
        found.filter(|n| n.process.counterparty == caller).ok_or_else(|| Refusal::unknown(pid))
    }

    /// The state, for the other side.
    ///
    /// # Errors
    /// When there is no such negotiation of the caller.
    pub fn negotiation_status(
        &self,
        ledger: &impl Ledger,
        caller: &str,
        pid: &str,
    ) -> Result<NegotiationStatus, Refusal> {
        let negotiation = self.negotiation_for(ledger, caller, pid)?;
        if negotiation.state.is_none() {
            return Err(Refusal::unknown(pid));
        }
        Ok(status(&negotiation))
    }

    /// The agreement holds: it is kept for transfers and for the signed log.
    pub(super) fn conclude(
        &self,
        ledger: &mut impl Ledger,
        negotiation: &Negotiation,
        moment: Moment,
    ) -> Result<(), Refusal> {
        let Some(agreement) = &negotiation.agreement else { return Ok(()) };
        match ledger.contract(&agreement.id)? {
            Some(held) if held.negotiation == negotiation.process.pid => return Ok(()),
            Some(_) => return Err(Refusal::bad(ID_IN_USE, ID_IN_USE_WHY).about(&negotiation.process)),
            None => {}
        }
        ledger.put_contract(&Contract {
            agreement: agreement.clone(),
            role: negotiation.process.role,
            counterparty: negotiation.process.counterparty.clone(),
            address: negotiation.process.address.clone(),
            negotiation: negotiation.process.pid.clone(),
            agreed: moment.now,
            statement: negotiation.statement.clone(),
            transfers: 0,
            ended: None,
        })?;
        ledger.note(&Note::Agreed { agreement: agreement.id.clone() })?;
        Ok(())
    }

    /// A person takes a step: accept, counter (a request with another offer), verify, agree, end.
    ///
    /// # Errors
    /// When the protocol does not allow it now, or the store fails.
    pub fn step_negotiation(
        &self,
        ledger: &mut impl Ledger,
        pid: &str,
        step: NegotiationStep,
        why: Option<Why>,
        moment: Moment,
    ) -> Result<Negotiation, Refusal> {
        let mut negotiation = ledger.negotiation(pid)?.ok_or_else(|| Refusal::unknown(pid))?;
        let role = negotiation.process.role;
        next(role, negotiation.state, step)
            .map_err(|e| Refusal::bad(NOT_ALLOWED, e.to_string()).about(&negotiation.process))?;
        // The other side may have taken the message on the way.
        if negotiation
            .process
            .pending
            .as_ref()
            .is_some_and(|p| next(role, Some(p.step.target()), step).is_err())
        {
            return Err(Refusal::bad(NOT_ALLOWED, ON_THE_WAY).about(&negotiation.process));
        }
        self.post_step(ledger, &mut negotiation, step, why, moment)?;
        ledger.put_negotiation(&negotiation)?;
        Ok(negotiation)
    }
}

impl Negotiation {
    /// The other side's message changes the state.
    fn advance(
        &mut self,
        sender: Role,
        step: NegotiationStep,
        digest: Hash,
        moment: Moment,
    ) -> Result<(), Refusal> {
        let state = next(sender, self.state, step)
            .map_err(|e| Refusal::bad(NOT_ALLOWED, e.to_string()).about(&self.process))?;
        // Were the other message taken, each side would hold its own end for the last word.
        let ends = self.process.pending.as_ref().is_some_and(|p| p.step == NegotiationStep::Terminate);
        if ends && step != NegotiationStep::Terminate {
            return Err(Refusal::bad(NOT_ALLOWED, ENDING).about(&self.process));
        }
        if self.process.history.len() >= STEPS_MAX && step != NegotiationStep::Terminate {
            let reason = format!("this negotiation has {STEPS_MAX} steps; end it and begin another");
            return Err(Refusal::bad("too-long", reason).about(&self.process));
        }
        self.state = Some(state);
        self.process.taken.push(digest);
        self.process.took(sender, step, moment.now);
        self.process.scheduled = None;
        // What this side was about to say may have no place any more.
        let role = self.process.role;
        if self.process.pending.as_ref().is_some_and(|p| next(role, self.state, p.step).is_err()) {
            self.process.withdraw();
        }
        Ok(())
    }

    /// Takes over what the message says.
    fn take(&mut self, call: NegotiationCall, sender: Role, moment: Moment) -> Result<(), Refusal> {
        match call {
            NegotiationCall::Request(message) => {
                self.check_target(&message.offer)?;
                let stated = message.statement();
                if stated.purpose.is_some() || stated.marking.is_some() {
                    self.statement = stated;
                }
                self.offer = message.offer;
            }
            NegotiationCall::Offer(message) => {
                self.check_target(&message.offer)?;
                self.offer = message.offer;
            }
            NegotiationCall::Agreement(message) => self.agreement = Some(message.agreement),
            NegotiationCall::Termination(message) => {
                let why = Why {
                    code: message.code.unwrap_or_default(),
                    reasons: vec![reason_text(&message.reason)],
                };
                self.process.end(sender, why, moment.now);
            }
            NegotiationCall::Verification(_) | NegotiationCall::Event(_) => {}
        }
        Ok(())
    }

    /// A negotiation stays with its dataset.
    fn check_target(&self, offer: &MessageOffer) -> Result<(), Refusal> {
        match &offer.target {
            Some(target) if *target != self.dataset => {
                let reason =
                    format!("offer.target: this negotiation is about {:?}; begin another one", self.dataset);
                Err(Refusal::bad("wrong-target", reason).about(&self.process))
            }
            _ => Ok(()),
        }
    }
}
