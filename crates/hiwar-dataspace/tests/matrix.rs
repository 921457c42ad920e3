//! Every message in every state, to every role: taken exactly when DSP 2025-1 (sections 7.2 and 8.2)
//! allows it, and a refused one changes nothing.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test stops where it cannot go on")]

use hiwar_dataspace::connector::{
    Caller, Connector, Moment, NOT_ALLOWED, NegotiationCall, RefusalKind, TransferCall,
};
use hiwar_dataspace::ledger::{MemoryLedger, Negotiation, Process, Statement, Transfer};
use hiwar_dataspace::negotiation::{NegotiationState, Role};
use hiwar_dataspace::policy::{MessageOffer, Offer, Participant};
use hiwar_dataspace::rules::{ConsumerRule, ProviderRule, Reply, Rules};
use hiwar_dataspace::transfer::TransferState;
use hiwar_dataspace::wire::*;
use hiwar_trust::hash::Hash;
use hiwar_trust::time::Timestamp;
use serde_json::json;

const OTHER: &str = "did:web:other.example";

fn moment() -> Moment {
    Moment { now: Timestamp::from_millis(1_795_564_800_000), seed: [7; 32] }
}

/// It answers nothing by itself, so that a state stays.
fn connector() -> Connector {
    let wait = Reply::Wait;
    let mut rules = Rules::default();
    let provider = ProviderRule {
        on_request: wait,
        on_counter: wait,
        after_offer: wait,
        on_accepted: wait,
        on_verified: wait,
    };
    rules.provider.insert("urn:d".into(), provider);
    rules.consumer.insert("urn:d".into(), ConsumerRule { on_idle: wait, on_offer: wait, on_agreement: wait });
    Connector {
        participant: "did:web:own.example".into(),
        address: "https://own.example/dsp".into(),
        data_address: "https://own.example".into(),
        rules,
    }
}

fn offer() -> MessageOffer {
    let offer = json!({ "@id": "urn:o", "@type": "Offer", "permission": [{ "action": "use" }] });
    Offer::from_value(offer).unwrap().about("urn:d")
}

fn process<S>(role: Role) -> Process<S> {
    let now = moment().now;
    Process {
        pid: "own".into(),
        role,
        counterparty: OTHER.into(),
        peer_pid: Some("peer".into()),
        address: "https://other.example/dsp".into(),
        pending: None,
        scheduled: None,
        taken: Vec::new(),
        history: Vec::new(),
        ending: None,
        stuck: None,
        created: now,
        changed: now,
    }
}

/// Identifiers as the other side of `role` writes them.
fn pids(role: Role) -> (String, String) {
    match role {
        Role::Provider => ("own".into(), "peer".into()),
        Role::Consumer => ("peer".into(), "own".into()),
    }
}

fn negotiation_calls(role: Role) -> Vec<(&'static str, NegotiationCall)> {
    let (provider_pid, consumer_pid) = pids(role);
    let (context, id) = (Context, None);
    let agreement = offer().agree("urn:a", "urn:d", OTHER, "did:web:own.example", moment().now);
    let event = |event_type| {
        NegotiationCall::Event(EventMessage {
            context,
            id: None,
            provider_pid: provider_pid.clone(),
            consumer_pid: consumer_pid.clone(),
            event_type,
        })
    };
    vec![
        (
            "request",
            NegotiationCall::Request(RequestMessage {
                context,
                id: id.clone(),
                consumer_pid: consumer_pid.clone(),
                provider_pid: Some(provider_pid.clone()),
                offer: offer(),
                callback_address: None,
                purpose: None,
                marking: None,
            }),
        ),
        (
            "offer",
            NegotiationCall::Offer(OfferMessage {
                context,
                id: id.clone(),
                provider_pid: provider_pid.clone(),
                consumer_pid: Some(consumer_pid.clone()),
                offer: offer(),
                callback_address: None,
            }),
        ),
        ("accepted", event(EventType::Accepted)),
        (
            "agreement",
            NegotiationCall::Agreement(AgreementMessage {
                context,
                id: id.clone(),
                provider_pid: provider_pid.clone(),
                consumer_pid: consumer_pid.clone(),
                agreement,
            }),
        ),
        (
            "verification",
            NegotiationCall::Verification(VerificationMessage {
                context,
                id: id.clone(),
                provider_pid: provider_pid.clone(),
                consumer_pid: consumer_pid.clone(),
            }),
        ),
        ("finalized", event(EventType::Finalized)),
        (
            "termination",
            NegotiationCall::Termination(NegotiationTermination {
                context,
                id,
                provider_pid: provider_pid.clone(),
                consumer_pid: consumer_pid.clone(),
                code: None,
                reason: Vec::new(),
            }),
        ),
    ]
}

/// What the specification lets the consumer and the provider send in each state, and where it leads.
fn negotiation_allows(receiver: Role, state: &str, message: &str) -> Option<&'static str> {
    let sender_is_consumer = receiver == Role::Provider;
    match (state, message, sender_is_consumer) {
        ("FINALIZED" | "TERMINATED", _, _) => None,
        (_, "termination", _) => Some("TERMINATED"),
        ("REQUESTED", "offer", false) => Some("OFFERED"),
        ("REQUESTED" | "ACCEPTED", "agreement", false) => Some("AGREED"),
        ("OFFERED", "request", true) => Some("REQUESTED"),
        ("OFFERED", "accepted", true) => Some("ACCEPTED"),
        ("AGREED", "verification", true) => Some("VERIFIED"),
        ("VERIFIED", "finalized", false) => Some("FINALIZED"),
        _ => None,
    }
}

#[test]
fn every_message_of_a_negotiation_is_taken_exactly_where_the_specification_allows_it() {
    let facts = Participant { id: Some(OTHER.into()), ..Participant::default() };
    let caller = Caller { id: OTHER, facts: &facts };
    let mut taken = 0;
    for role in [Role::Consumer, Role::Provider] {
        for state in NegotiationState::ALL {
            for (name, call) in negotiation_calls(role) {
                let mut ledger = MemoryLedger::default();
                let negotiation = Negotiation {
                    process: process(role),
                    state: Some(state),
                    dataset: "urn:d".into(),
                    offer: offer(),
                    asked: None,
                    statement: Statement::default(),
                    agreement: None,
                    decision: None,
                };
                ledger.negotiations.insert("own".into(), negotiation);
                let before = ledger.clone();
                let digest = Hash::of(name.as_bytes());
                let outcome = connector().negotiation_called(
                    &mut ledger,
                    caller,
                    "own",
                    call.clone(),
                    digest,
                    moment(),
                );
                let case = format!("{name} to the {} in {state}", role.as_str());
                match negotiation_allows(role, state.as_str(), name) {
                    Some(target) => {
                        taken += 1;
                        assert_eq!(outcome.expect(&case).state.as_str(), target, "{case}");
                        assert_eq!(ledger.negotiations["own"].state.unwrap().as_str(), target, "{case}");
                        let held = ledger.clone();
                        let again = connector().negotiation_called(
                            &mut ledger,
                            caller,
                            "own",
                            call,
                            digest,
                            moment(),
                        );
                        assert_eq!(again.expect(&case).state.as_str(), target, "repeated: {case}");
                        assert_eq!(ledger, held, "a repetition changes nothing: {case}");
                    }
                    None => {
                        let refusal = outcome.expect_err(&case);
                        assert_eq!(
                            (refusal.kind, refusal.code),
                            (RefusalKind::BadRequest, NOT_ALLOWED),
                            "{case}"
                        );
                        assert_eq!(ledger, before, "a refusal changes nothing: {case}");
                    }
                }
            }
        }
    }
    // 7 transitions between the parties, and either may terminate in 5 states (section 7.2).
    assert_eq!(taken, 7 + 10);
}

fn transfer_calls(role: Role) -> Vec<(&'static str, TransferCall)> {
    let (provider_pid, consumer_pid) = pids(role);
    let context = Context;
    vec![
        (
            "start",
            TransferCall::Start(StartMessage {
                context,
                id: None,
                provider_pid: provider_pid.clone(),
                consumer_pid: consumer_pid.clone(),
                data_address: None,
            }),
        ),
        (
            "suspension",
            TransferCall::Suspension(SuspensionMessage {
                context,
                id: None,
                provider_pid: provider_pid.clone(),
                consumer_pid: consumer_pid.clone(),
                code: None,
                reason: Vec::new(),
            }),
        ),
        (
            "completion",
            TransferCall::Completion(CompletionMessage {
                context,
                id: None,
                provider_pid: provider_pid.clone(),
                consumer_pid: consumer_pid.clone(),
            }),
        ),
        (
            "termination",
            TransferCall::Termination(TransferTermination {
                context,
                id: None,
                provider_pid,
                consumer_pid,
                code: None,
                reason: Vec::new(),
            }),
        ),
    ]
}

fn transfer_allows(receiver: Role, state: &str, message: &str) -> Option<&'static str> {
    match (state, message) {
        ("COMPLETED" | "TERMINATED", _) => None,
        (_, "termination") => Some("TERMINATED"),
        // Only the provider starts what was asked for; either resumes.
        ("REQUESTED", "start") if receiver == Role::Consumer => Some("STARTED"),
        ("SUSPENDED", "start") => Some("STARTED"),
        ("STARTED", "suspension") => Some("SUSPENDED"),
        ("STARTED", "completion") => Some("COMPLETED"),
        _ => None,
    }
}

#[test]
fn every_message_of_a_transfer_is_taken_exactly_where_the_specification_allows_it() {
    let facts = Participant { id: Some(OTHER.into()), ..Participant::default() };
    let caller = Caller { id: OTHER, facts: &facts };
    for role in [Role::Consumer, Role::Provider] {
        for state in TransferState::ALL {
            for (name, call) in transfer_calls(role) {
                let mut ledger = MemoryLedger::default();
                let about = ("urn:a".into(), "urn:d".into());
                let mut transfer =
                    Transfer::new(process(role), about, "HttpData-PULL".into(), Statement::default(), None);
                transfer.state = Some(state);
                ledger.transfers.insert("own".into(), transfer);
                let before = ledger.clone();
                let outcome = connector().transfer_called(
                    &mut ledger,
                    caller,
                    "own",
                    call,
                    Hash::of(name.as_bytes()),
                    moment(),
                );
                let case = format!("{name} to the {} in {state}", role.as_str());
                match transfer_allows(role, state.as_str(), name) {
                    Some(target) => {
                        assert_eq!(outcome.expect(&case).state.as_str(), target, "{case}");
                    }
                    None => {
                        let refusal = outcome.expect_err(&case);
                        assert_eq!(
                            (refusal.kind, refusal.code),
                            (RefusalKind::BadRequest, NOT_ALLOWED),
                            "{case}"
                        );
                        assert_eq!(ledger, before, "a refusal changes nothing: {case}");
                    }
                }
            }
        }
    }
}

#[test]
fn somebody_elses_process_does_not_exist() {
    let facts = Participant { id: Some("did:web:stranger.example".into()), ..Participant::default() };
    let caller = Caller { id: "did:web:stranger.example", facts: &facts };
    let mut ledger = MemoryLedger::default();
    for (name, call) in negotiation_calls(Role::Provider) {
        let digest = Hash::of(name.as_bytes());
        let none = connector().negotiation_called(&mut ledger, caller, "own", call.clone(), digest, moment());
        let negotiation = Negotiation {
            process: process(Role::Provider),
            state: Some(NegotiationState::Offered),
            dataset: "urn:d".into(),
            offer: offer(),
            asked: None,
            statement: Statement::default(),
            agreement: None,
            decision: None,
        };
        let mut held = MemoryLedger::default();
        held.negotiations.insert("own".into(), negotiation);
        let other = connector().negotiation_called(&mut held, caller, "own", call, digest, moment());
        assert_eq!(none.unwrap_err(), other.unwrap_err(), "the two are not told apart: {name}");
    }
}
