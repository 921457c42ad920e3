//! What a side does by itself in a negotiation, and the messages that it writes.

use super::negotiate::{ID_IN_USE, ID_IN_USE_WHY};
use super::{Connector, Moment, Refusal, written};
use crate::ledger::{Ledger, Negotiation, Statement, Why};
use crate::negotiation::{NegotiationState, NegotiationStep, Role};
use crate::policy::{Decision, Participant, Phase, Request, evaluate, permits};
use crate::rules::Reply;
use crate::wire::{
    AgreementMessage, Context, EventMessage, EventType, NegotiationTermination, OfferMessage, RequestMessage,
    VerificationMessage,
};

/// What to do next, and why when it ends the negotiation.
type Next = Option<(NegotiationStep, Option<Why>)>;

fn end(code: &str, reason: impl Into<String>) -> Next {
    Some((NegotiationStep::Terminate, Some(Why::new(code, reason))))
}

fn go(step: NegotiationStep) -> Next {
    Some((step, None))
}

impl Connector {
    /// Chooses what to do in the state the negotiation is in now, and does it: at once, or after the
    /// pause of the rules.
    pub(super) fn answer_negotiation(
        &self,
        ledger: &mut impl Ledger,
        negotiation: &mut Negotiation,
        facts: &Participant,
        moment: Moment,
    ) -> Result<(), Refusal> {
        let chosen = match negotiation.process.role {
            Role::Provider => self.provider_reply(ledger, negotiation, facts, moment)?,
            Role::Consumer => self.consumer_reply(ledger, negotiation)?,
        };
        let Some((step, why)) = chosen else { return Ok(()) };
        if self.rules.pause_ms > 0 {
            negotiation.process.schedule(step, self.pause(moment.now), why);
            return Ok(());
        }
        self.post_step(ledger, negotiation, step, why, moment)
    }

    fn provider_reply(
        &self,
        ledger: &impl Ledger,
        negotiation: &mut Negotiation,
        facts: &Participant,
        moment: Moment,
    ) -> Result<Next, Refusal> {
        let rule = self.rules.provider.get(&negotiation.dataset).copied().unwrap_or_default();
        let requests =
            negotiation.process.history.iter().filter(|t| t.step == NegotiationStep::Request).count();
        let reply = match negotiation.state {
            Some(NegotiationState::Requested) if requests > 1 => rule.on_counter,
            Some(NegotiationState::Requested) => rule.on_request,
            Some(NegotiationState::Offered) => rule.after_offer,
            Some(NegotiationState::Accepted) => rule.on_accepted,
            Some(NegotiationState::Verified) => rule.on_verified,
            _ => Reply::Wait,
        };
        Ok(match reply {
            Reply::Offer => go(NegotiationStep::Offer),
            Reply::Agree => go(NegotiationStep::Agree),
            Reply::Finalize => go(NegotiationStep::Finalize),
            Reply::Terminate => end("ended-by-rule", "a rule of this provider ends this negotiation"),
            Reply::Decide => self.provider_decision(ledger, negotiation, facts, moment)?,
            _ => None,
        })
    }

    fn provider_decision(
        &self,
        ledger: &impl Ledger,
        negotiation: &mut Negotiation,
        facts: &Participant,
        moment: Moment,
    ) -> Result<Next, Refusal> {
        match negotiation.state {
            Some(NegotiationState::Requested | NegotiationState::Accepted) => {}
            Some(NegotiationState::Verified) => return Ok(go(NegotiationStep::Finalize)),
            _ => return Ok(None),
        }
        let Some(dataset) = ledger.dataset(&negotiation.dataset)? else {
            return Ok(end("withdrawn", "the dataset is not offered any more"));
        };
        let published = dataset.offer.about(negotiation.dataset.clone());
        if published.assignee.as_ref().is_some_and(|a| *a != negotiation.process.counterparty) {
            return Ok(end("not-for-you", "the offer is made to another participant"));
        }
        // An offer that is only named stands for the one that was published under that name.
        let named_only =
            negotiation.offer.policy == Default::default() && negotiation.offer.id == published.id;
        let same = named_only
            || (negotiation.offer.id == published.id && negotiation.offer.same_meaning(&published));
        if !same && negotiation.state == Some(NegotiationState::Accepted) {
            let reason = "the offer that you accepted is not offered any more; look into the catalog";
            return Ok(end("offer-changed", reason));
        }
        if !same {
            negotiation.offer = published;
            return Ok(go(NegotiationStep::Offer));
        }
        // The agreement repeats the words in which the consumer asked; they mean what was published.
        let mut asked = std::mem::take(&mut negotiation.offer.policy);
        negotiation.offer = published;
        if !named_only {
            // Eclipse EDC 0.15.1 keeps an offer's profile and compares it, but does not write it.
            if asked.profile.is_empty() {
                asked.profile.clone_from(&negotiation.offer.policy.profile);
            }
            negotiation.offer.policy = asked;
        }
        negotiation.statement.fill_from(&negotiation.offer.policy);
        let request = Request {
            purpose: negotiation.statement.purpose.as_deref(),
            accepted_marking: negotiation.statement.marking.as_deref(),
            transfers_before: Some(0),
            ..Request::new(Phase::Negotiation, facts, moment.now)
        };
        if permits(&negotiation.offer.policy, &request) {
            let decision =
                negotiation.statement.implied.then(|| evaluate(&negotiation.offer.policy, &request));
            negotiation.decision = decision.and_then(|d| by_acceptance(&d, &negotiation.statement));
            return Ok(go(NegotiationStep::Agree));
        }
        let decision = evaluate(&negotiation.offer.policy, &request);
        let why = refused(&decision);
        negotiation.decision = serde_json::to_value(&decision).ok();
        Ok(Some((NegotiationStep::Terminate, Some(why))))
    }

    fn consumer_reply(&self, ledger: &impl Ledger, negotiation: &Negotiation) -> Result<Next, Refusal> {
        let rule = self.rules.consumer.get(&negotiation.dataset).copied().unwrap_or_default();
        let reply = match negotiation.state {
            Some(NegotiationState::Requested) => rule.on_idle,
            Some(NegotiationState::Offered) => rule.on_offer,
            Some(NegotiationState::Agreed) => rule.on_agreement,
            _ => Reply::Wait,
        };
        Ok(match reply {
            Reply::Accept => go(NegotiationStep::Accept),
            Reply::Counter => go(NegotiationStep::Request),
            Reply::Terminate => end("ended-by-rule", "a rule of this consumer ends this negotiation"),
            Reply::Verify => self.consumer_verification(ledger, negotiation)?,
            Reply::Decide => match negotiation.state {
                Some(NegotiationState::Agreed) => self.consumer_verification(ledger, negotiation)?,
                // An offer is taken by itself only when it says what was asked for.
                Some(NegotiationState::Offered) if self.was_asked_for(negotiation) => {
                    go(NegotiationStep::Accept)
                }
                _ => None,
            },
            _ => None,
        })
    }

    fn was_asked_for(&self, negotiation: &Negotiation) -> bool {
        negotiation
            .process
            .history
            .iter()
            .any(|t| t.by == Role::Consumer && t.step == NegotiationStep::Request)
            && negotiation.asked.as_ref().is_some_and(|asked| asked.same_meaning(&negotiation.offer))
    }

    /// The agreement must say what the offer said, between the two who negotiated.
    fn consumer_verification(
        &self,
        ledger: &impl Ledger,
        negotiation: &Negotiation,
    ) -> Result<Next, Refusal> {
        let Some(agreement) = &negotiation.agreement else { return Ok(None) };
        if !agreement.keeps(&negotiation.offer) {
            return Ok(end(
                "other-terms",
                "the agreement does not say what was offered; its policy or target differs",
            ));
        }
        if agreement.assigner != negotiation.process.counterparty {
            let reason = format!(
                "the agreement's assigner is {:?}; you are {:?}",
                agreement.assigner, negotiation.process.counterparty
            );
            return Ok(end("wrong-assigner", reason));
        }
        if agreement.assignee != self.participant {
            let reason = format!(
                "the agreement's assignee is {:?}; this is {:?}",
                agreement.assignee, self.participant
            );
            return Ok(end("wrong-assignee", reason));
        }
        // Two agreements of one name could not be told apart when data are asked for.
        if ledger.contract(&agreement.id)?.is_some_and(|held| held.negotiation != negotiation.process.pid) {
            return Ok(end(ID_IN_USE, ID_IN_USE_WHY));
        }
        Ok(go(NegotiationStep::Verify))
    }

    /// Writes the message of a step; it is due now.
    pub(super) fn post_step(
        &self,
        ledger: &mut impl Ledger,
        negotiation: &mut Negotiation,
        step: NegotiationStep,
        why: Option<Why>,
        moment: Moment,
    ) -> Result<(), Refusal> {
        match step {
            NegotiationStep::Request => self.post_request(negotiation, moment),
            NegotiationStep::Offer => self.post_offer(negotiation, moment),
            NegotiationStep::Agree => self.post_agreement(negotiation, moment),
            NegotiationStep::Verify => post_verification(negotiation, moment),
            NegotiationStep::Accept => post_event(negotiation, EventType::Accepted, moment),
            NegotiationStep::Finalize => {
                // The consumer may ask for the data as soon as it has the message.
                self.conclude(ledger, negotiation, moment)?;
                post_event(negotiation, EventType::Finalized, moment)
            }
            NegotiationStep::Terminate => post_termination(negotiation, why, moment),
        }
    }

    pub(super) fn post_request(&self, negotiation: &mut Negotiation, moment: Moment) -> Result<(), Refusal> {
        let first = negotiation.process.peer_pid.is_none();
        let (provider_pid, consumer_pid) = negotiation.process.pids();
        negotiation.asked = Some(negotiation.offer.clone());
        let id = moment.uuid("message");
        let message = RequestMessage {
            context: Context,
            id: Some(id.clone()),
            consumer_pid,
            provider_pid: (!first).then(|| provider_pid.clone()),
            offer: negotiation.offer.clone(),
            callback_address: first.then(|| self.address.clone()),
            // Said even when nothing is stated: whoever never says it has no words for it.
            purpose: Some(negotiation.statement.purpose.clone().unwrap_or_default()),
            marking: Some(negotiation.statement.marking.clone().unwrap_or_default()),
        };
        let path = if first {
            "negotiations/request".to_owned()
        } else {
            format!("negotiations/{provider_pid}/request")
        };
        negotiation.process.post(NegotiationStep::Request, id, path, written(&message)?, moment.now);
        Ok(())
    }

    pub(super) fn post_offer(&self, negotiation: &mut Negotiation, moment: Moment) -> Result<(), Refusal> {
        let first = negotiation.process.peer_pid.is_none();
        let (provider_pid, consumer_pid) = negotiation.process.pids();
        let mut offer = negotiation.offer.clone();
        offer.target = Some(negotiation.dataset.clone());
        offer.assigner = Some(self.participant.clone());
        offer.assignee = Some(negotiation.process.counterparty.clone());
        let id = moment.uuid("message");
        let message = OfferMessage {
            context: Context,
            id: Some(id.clone()),
            provider_pid,
            consumer_pid: (!first).then(|| consumer_pid.clone()),
            offer,
            callback_address: first.then(|| self.address.clone()),
        };
        let path = if first {
            "negotiations/offers".to_owned()
        } else {
            format!("negotiations/{consumer_pid}/offers")
        };
        negotiation.process.post(NegotiationStep::Offer, id, path, written(&message)?, moment.now);
        Ok(())
    }

    fn post_agreement(&self, negotiation: &mut Negotiation, moment: Moment) -> Result<(), Refusal> {
        let (provider_pid, consumer_pid) = negotiation.process.pids();
        let agreement = negotiation.offer.clone().agree(
            moment.uuid("agreement"),
            negotiation.dataset.clone(),
            self.participant.clone(),
            negotiation.process.counterparty.clone(),
            moment.now,
        );
        negotiation.agreement = Some(agreement.clone());
        let id = moment.uuid("message");
        let message = AgreementMessage {
            context: Context,
            id: Some(id.clone()),
            provider_pid,
            consumer_pid,
            agreement,
        };
        let path = path(negotiation, "agreement");
        negotiation.process.post(NegotiationStep::Agree, id, path, written(&message)?, moment.now);
        Ok(())
    }
}

/// What stood in the way, as the other side is told.
pub(super) fn refused(decision: &Decision) -> Why {
    let mut reasons = vec![decision.reason.clone()];
    reasons.extend(decision.obstacles().map(|f| format!("{}: {}", f.path, f.satisfy)));
    reasons.dedup();
    Why { code: "policy".into(), reasons }
}

/// A decision that rests on what the consumer states by accepting the offer.
fn by_acceptance(decision: &Decision, statement: &Statement) -> Option<serde_json::Value> {
    let mut told = serde_json::to_value(decision).ok()?;
    let stated: Vec<String> = [("purpose", &statement.purpose), ("marking", &statement.marking)]
        .into_iter()
        .filter_map(|(name, value)| value.as_ref().map(|v| format!("{name} {v:?}")))
        .collect();
    let reason = format!(
        "{}; the consumer's connector has no words for a purpose or a marking, so asking for this offer counts as \
         stating {}",
        decision.reason,
        stated.join(" and ")
    );
    told.as_object_mut()?.insert("reason".to_owned(), reason.into());
    Some(told)
}

/// A path below the other side's address.
fn path(negotiation: &Negotiation, last: &str) -> String {
    format!("negotiations/{}/{last}", negotiation.process.peer_pid.as_deref().unwrap_or_default())
}

fn post_verification(negotiation: &mut Negotiation, moment: Moment) -> Result<(), Refusal> {
    let (provider_pid, consumer_pid) = negotiation.process.pids();
    let id = moment.uuid("message");
    let message = VerificationMessage { context: Context, id: Some(id.clone()), provider_pid, consumer_pid };
    let path = path(negotiation, "agreement/verification");
    negotiation.process.post(NegotiationStep::Verify, id, path, written(&message)?, moment.now);
    Ok(())
}

fn post_event(negotiation: &mut Negotiation, event_type: EventType, moment: Moment) -> Result<(), Refusal> {
    let (provider_pid, consumer_pid) = negotiation.process.pids();
    let step = match event_type {
        EventType::Accepted => NegotiationStep::Accept,
        EventType::Finalized => NegotiationStep::Finalize,
    };
    let id = moment.uuid("message");
    let message =
        EventMessage { context: Context, id: Some(id.clone()), provider_pid, consumer_pid, event_type };
    let path = path(negotiation, "events");
    negotiation.process.post(step, id, path, written(&message)?, moment.now);
    Ok(())
}

fn post_termination(negotiation: &mut Negotiation, why: Option<Why>, moment: Moment) -> Result<(), Refusal> {
    let (provider_pid, consumer_pid) = negotiation.process.pids();
    let why = why.unwrap_or_else(|| Why::new("ended", "ended by a person"));
    let id = moment.uuid("message");
    let message = NegotiationTermination {
        context: Context,
        id: Some(id.clone()),
        provider_pid,
        consumer_pid,
        code: Some(why.code.clone()),
        reason: why.reasons.iter().map(|r| serde_json::Value::String(r.clone())).collect(),
    };
    let path = path(negotiation, "termination");
    negotiation.process.post(NegotiationStep::Terminate, id, path, written(&message)?, moment.now);
    negotiation.process.ending =
        Some(crate::ledger::Ending { by: negotiation.process.role, why, at: moment.now });
    Ok(())
}
