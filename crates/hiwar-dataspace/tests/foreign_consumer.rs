//! A consumer whose connector is not ours negotiates: what it cannot say, how it writes terms, and the
//! mistakes that it may make.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a story stops where it cannot go on")]

use hiwar_dataspace::catalog::{Dataset, PULL};
use hiwar_dataspace::connector::{Caller, Connector, Moment, NegotiationCall, NewNegotiation, Refusal};
use hiwar_dataspace::ledger::{Ledger as _, MemoryLedger, Negotiation, Statement};
use hiwar_dataspace::negotiation::NegotiationState;
use hiwar_dataspace::policy::{Offer, Participant, Policy};
use hiwar_dataspace::rules::Rules;
use hiwar_dataspace::wire::{AgreementMessage, EventMessage, Message as _, RequestMessage, TransferRequest};
use hiwar_trust::hash::Hash;
use hiwar_trust::time::Timestamp;
use serde_json::{Value, json};

const CONSUMER: &str = "did:web:consumer.example";
const PROVIDER: &str = "did:web:provider.example";
const NOW: i64 = 1_700_000_000_000;

struct Stage {
    provider: Connector,
    ledger: MemoryLedger,
    moments: u8,
}

impl Stage {
    fn offering(policy: Value) -> Self {
        let provider = Connector {
            participant: PROVIDER.into(),
            address: "https://provider.example/dsp/2025-1".into(),
            data_address: "https://provider.example".into(),
            rules: Rules::default(),
        };
        let mut ledger = MemoryLedger::default();
        let offered = Dataset {
            id: "table".into(),
            title: "A table".into(),
            description: None,
            keywords: Vec::new(),
            offer: Offer::new("offer-1", Policy::from_value(policy).unwrap()),
            formats: vec![PULL.into()],
            media_type: None,
            byte_size: None,
            sha256: None,
            issued: Timestamp::from_millis(NOW),
        };
        ledger.datasets.insert("table".into(), offered);
        Self { provider, ledger, moments: 0 }
    }

    fn at(&mut self, millis: i64) -> Moment {
        self.moments += 1;
        Moment { now: Timestamp::from_millis(millis), seed: [self.moments; 32] }
    }

    /// The consumer's request as it comes over the wire; the provider's side of the negotiation.
    fn asks(&mut self, policy: &Value, more: &Value) -> Negotiation {
        let mut offer =
            json!({ "@id": "offer-1", "@type": "Offer", "target": "table", "assigner": PROVIDER });
        offer.as_object_mut().unwrap().extend(policy.as_object().unwrap().clone());
        let mut message = json!({
            "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": "ContractRequestMessage",
            "consumerPid": "urn:consumer:1", "callbackAddress": "https://consumer.example", "offer": offer });
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let call = NegotiationCall::Request(RequestMessage::from_value(&message).unwrap());
        let (facts, moment) = (Participant::default(), self.at(NOW));
        let caller = Caller { id: CONSUMER, facts: &facts };
        let digest = Hash::of(message.to_string().as_bytes());
        self.provider.negotiation_begun(&mut self.ledger, caller, call, digest, moment).unwrap();
        self.ledger.negotiations.values().next().unwrap().clone()
    }

    /// What the provider is about to send.
    fn sends(&self, negotiation: &Negotiation) -> Value {
        serde_json::from_str(&negotiation.process.pending.as_ref().unwrap().body).unwrap()
    }

    fn takes(&mut self, event: &Value) {
        let negotiation = self.ledger.negotiations.values().next().unwrap().clone();
        let (pid, facts) = (negotiation.process.pid, Participant::default());
        let message = negotiation.process.pending.unwrap().id;
        let moment = self.at(NOW);
        self.provider.negotiation_delivered(&mut self.ledger, &pid, &message, None, &facts, moment).unwrap();
        let mut verification = json!({
            "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
            "@type": "ContractAgreementVerificationMessage", "providerPid": pid,
            "consumerPid": "urn:consumer:1" });
        verification.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
        let call = NegotiationCall::Verification(
            hiwar_dataspace::wire::VerificationMessage::from_value(&verification).unwrap(),
        );
        let (caller, moment) = (Caller { id: CONSUMER, facts: &facts }, self.at(NOW));
        let digest = Hash::of(verification.to_string().as_bytes());
        self.provider.negotiation_called(&mut self.ledger, caller, &pid, call, digest, moment).unwrap();
    }

    fn asks_for_data(&mut self, pid: &str, millis: i64) -> Result<(), Refusal> {
        let agreement = self.ledger.contracts.keys().next().unwrap().clone();
        let message = json!({
            "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": "TransferRequestMessage",
            "consumerPid": pid, "agreementId": agreement, "format": PULL,
            "callbackAddress": "https://consumer.example" });
        let request = TransferRequest::from_value(&message).unwrap();
        let (facts, moment) = (Participant::default(), self.at(millis));
        let caller = Caller { id: CONSUMER, facts: &facts };
        let digest = Hash::of(message.to_string().as_bytes());
        self.provider.transfer_requested(&mut self.ledger, caller, request, digest, moment).map(drop)
    }

    /// What the provider does next about the transfer that the consumer calls `pid`.
    fn does_next(&self, pid: &str) -> String {
        let found = self.ledger.transfers.values().find(|t| t.process.peer_pid.as_deref() == Some(pid));
        let process = &found.unwrap().process;
        let step = process.pending.as_ref().map(|p| p.step).or(process.scheduled.as_ref().map(|s| s.step));
        format!("{:?}", step.unwrap())
    }
}

fn use_when(constraint: &Value) -> Value {
    json!({ "permission": [{ "action": "use", "constraint": [constraint] }] })
}

fn constraint(left: &str, operator: &str, right: &str) -> Value {
    json!({ "leftOperand": left, "operator": operator, "rightOperand": right })
}

/// Eclipse EDC 0.15.1 answers 400 "Policy in the contract agreement is not equal to the one in the contract
/// offer" when an agreement writes `dateTime` where its request wrote `odrl:dateTime`.
#[test]
fn an_agreement_repeats_the_terms_as_the_consumer_wrote_them() {
    let until = "2030-01-01T00:00:00Z";
    let mut stage = Stage::offering(use_when(&constraint("dateTime", "lteq", until)));
    let theirs = use_when(&constraint("odrl:dateTime", "odrl:lteq", until));
    let negotiation = stage.asks(&theirs, &json!({}));
    let sent = stage.sends(&negotiation);
    assert_eq!(sent["agreement"]["permission"], theirs["permission"], "{sent}");
    let mut terms = use_when(&constraint("purpose", "isAnyOf", "audit"));
    let theirs_too = terms.clone();
    terms["permission"][0]["constraint"][0]["rightOperand"] = json!(["audit"]);
    let mut other = Stage::offering(terms);
    let asked = other.asks(&theirs_too, &json!({}));
    assert_eq!(other.sends(&asked)["agreement"]["permission"], theirs_too["permission"]);
    let kept: Negotiation = serde_json::from_value(serde_json::to_value(&negotiation).unwrap()).unwrap();
    assert_eq!(kept.agreement.unwrap().to_value()["permission"], theirs["permission"]);
}

/// Eclipse EDC 0.15.1 reads a policy's `profile`, leaves it out of what it sends, and compares it.
#[test]
fn an_agreement_names_the_profile_of_the_offer_when_the_consumer_left_it_out() {
    let asked = use_when(&constraint("purpose", "eq", "audit"));
    let mut terms = asked.clone();
    terms["profile"] = json!("urn:hiwar:policy:1");
    let mut stage = Stage::offering(terms);
    let negotiation = stage.asks(&asked, &json!({}));
    let sent = stage.sends(&negotiation);
    assert_eq!(sent["agreement"]["profile"], "urn:hiwar:policy:1", "{sent}");
    assert_eq!(sent["agreement"]["permission"], asked["permission"]);
}

#[test]
fn other_terms_in_familiar_words_are_answered_with_the_offer_and_not_agreed() {
    let mut stage = Stage::offering(use_when(&constraint("dateTime", "lteq", "2030-01-01T00:00:00Z")));
    let negotiation =
        stage.asks(&use_when(&constraint("dateTime", "lteq", "2031-01-01T00:00:00Z")), &json!({}));
    let sent = stage.sends(&negotiation);
    assert_eq!(sent["@type"], "ContractOfferMessage");
    assert_eq!(sent["offer"]["permission"][0]["constraint"][0]["rightOperand"], "2030-01-01T00:00:00Z");
}

/// The protocol has no member for a purpose or a marking.
#[test]
fn a_consumer_without_words_for_a_purpose_states_it_by_asking_for_the_offer() {
    for (left, value) in [("purpose", "audit"), ("urn:hiwar:policy:1:marking", "TLP:AMBER")] {
        let terms = use_when(&constraint(left, "eq", value));
        let mut stage = Stage::offering(terms.clone());
        let negotiation = stage.asks(&terms, &json!({}));
        assert_eq!(stage.sends(&negotiation)["@type"], "ContractAgreementMessage", "{left}");
        let told = negotiation.decision.unwrap().to_string();
        assert!(told.contains("counts as stating") && told.contains(value), "{told}");
        stage.takes(&json!({}));
        stage.asks_for_data("urn:consumer:t1", NOW).unwrap();
        assert_eq!(stage.does_next("urn:consumer:t1"), "Start", "{left}");
    }
}

#[test]
fn a_consumer_that_has_words_for_a_purpose_and_states_none_is_refused() {
    let terms = use_when(&constraint("purpose", "eq", "audit"));
    let mut stage = Stage::offering(terms.clone());
    let negotiation = stage.asks(&terms, &json!({ "hiwar:purpose": "", "hiwar:marking": "" }));
    assert_eq!(stage.sends(&negotiation)["@type"], "ContractNegotiationTerminationMessage");
}

#[test]
fn the_transfers_that_terms_allow_are_counted_and_the_next_one_is_ended() {
    let terms = use_when(&constraint("count", "lteq", "2"));
    let mut stage = Stage::offering(terms.clone());
    stage.asks(&terms, &json!({}));
    stage.takes(&json!({}));
    let next = |stage: &mut Stage, pid: &str| {
        stage.asks_for_data(pid, NOW).unwrap();
        stage.does_next(pid)
    };
    let done: Vec<String> = ["t1", "t2", "t3"].map(|pid| next(&mut stage, pid)).into();
    assert_eq!(done, ["Start", "Start", "Terminate"]);
}

#[test]
fn a_transfer_is_ended_when_its_time_window_passes_while_it_runs() {
    let end = NOW + 60_000;
    let text = Timestamp::from_millis(end).to_string();
    let terms = use_when(&constraint("dateTime", "lt", &text));
    let mut stage = Stage::offering(terms.clone());
    stage.asks(&terms, &json!({}));
    stage.takes(&json!({}));
    stage.asks_for_data("t1", NOW).unwrap();
    let transfer = stage.ledger.transfers.values().next().unwrap().clone();
    let (pid, start) = (transfer.process.pid, transfer.process.pending.unwrap().id);
    let moment = stage.at(NOW);
    stage.provider.transfer_delivered(&mut stage.ledger, &pid, &start, None, moment).unwrap();
    let moment = stage.at(end - 1);
    assert_eq!(stage.provider.due_transfer(&mut stage.ledger, &pid, moment).unwrap(), None);
    let moment = stage.at(end);
    let due = stage.provider.due_transfer(&mut stage.ledger, &pid, moment).unwrap().unwrap();
    assert!(due.url.ends_with("/termination") && due.body.contains("does not permit"), "{due:?}");
    assert_eq!(stage.ledger.transfer(&pid).unwrap().unwrap().token, None);
}

/// A provider that gives two negotiations one identifier could never be answered unambiguously.
#[test]
fn a_negotiation_to_which_the_other_side_gives_the_identifier_of_another_ends_with_a_reason() {
    let mut stage = Stage::offering(json!({ "permission": [{ "action": "use" }] }));
    let mut pids = Vec::new();
    for _ in 0..2 {
        let offer = stage.ledger.datasets["table"].offer.clone().about("table");
        let new = NewNegotiation {
            provider: CONSUMER.into(),
            address: "https://consumer.example".into(),
            offer,
            dataset: "table".into(),
            statement: Statement::default(),
        };
        let moment = stage.at(NOW);
        let begun = stage.provider.begin_negotiation(&mut stage.ledger, new, moment).unwrap();
        let (pid, message) = (begun.process.pid, begun.process.pending.unwrap().id);
        let (named, facts, moment) = (Some("the-same".to_owned()), Participant::default(), stage.at(NOW));
        stage
            .provider
            .negotiation_delivered(&mut stage.ledger, &pid, &message, named, &facts, moment)
            .unwrap();
        pids.push(pid);
    }
    let found: Vec<Negotiation> =
        pids.iter().map(|pid| stage.ledger.negotiation(pid).unwrap().unwrap()).collect();
    assert_eq!(found[0].state, Some(NegotiationState::Requested));
    assert_eq!(found[1].state, Some(NegotiationState::Terminated));
    assert_eq!(found[1].process.ending.as_ref().unwrap().why.code, "pid-in-use");
    assert_eq!(found[1].process.due(), None);
}

#[test]
fn a_format_that_is_not_offered_is_refused_with_those_that_are() {
    let terms = json!({ "permission": [{ "action": "use" }] });
    let mut stage = Stage::offering(terms.clone());
    stage.asks(&terms, &json!({}));
    stage.takes(&json!({}));
    stage.ledger.datasets.get_mut("table").unwrap().formats = vec!["AmazonS3-PUSH".into()];
    let refused = stage.asks_for_data("t1", NOW).unwrap_err();
    assert_eq!(refused.code, "format-not-offered");
    assert!(
        refused.reason.contains("HttpData-PULL") && refused.reason.contains("AmazonS3-PUSH"),
        "{refused:?}"
    );
    assert!(stage.ledger.transfers.is_empty());
}

/// Written as the provider's messages come over the wire, to a consumer that is ours.
struct Asking {
    consumer: Connector,
    ledger: MemoryLedger,
    moments: u8,
}

impl Asking {
    fn moment(&mut self) -> Moment {
        self.moments += 1;
        Moment { now: Timestamp::from_millis(NOW), seed: [self.moments; 32] }
    }

    /// A negotiation that the provider calls `named`, with its request taken.
    fn begun(&mut self, named: &str) -> String {
        let policy = Policy::from_value(json!({ "permission": [{ "action": "use" }] })).unwrap();
        let new = NewNegotiation {
            provider: PROVIDER.into(),
            address: "https://provider.example".into(),
            offer: Offer::new("offer-1", policy).about("table"),
            dataset: "table".into(),
            statement: Statement::default(),
        };
        let moment = self.moment();
        let begun = self.consumer.begin_negotiation(&mut self.ledger, new, moment).unwrap();
        self.acknowledged(&begun.process.pid, Some(named.to_owned()));
        begun.process.pid
    }

    /// What is on the way was taken.
    fn acknowledged(&mut self, pid: &str, named: Option<String>) {
        let message = self.ledger.negotiations[pid].process.pending.clone().unwrap().id;
        let (facts, moment) = (Participant::default(), self.moment());
        self.consumer.negotiation_delivered(&mut self.ledger, pid, &message, named, &facts, moment).unwrap();
    }

    fn told(&mut self, pid: &str, named: &str, kind: &str, more: Value) -> Result<(), Refusal> {
        let mut message = json!({ "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": kind,
            "providerPid": named, "consumerPid": pid });
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let call = match kind {
            "ContractAgreementMessage" => {
                NegotiationCall::Agreement(AgreementMessage::from_value(&message).unwrap())
            }
            _ => NegotiationCall::Event(EventMessage::from_value(&message).unwrap()),
        };
        let (facts, moment) = (Participant::default(), self.moment());
        let caller = Caller { id: PROVIDER, facts: &facts };
        let digest = Hash::of(message.to_string().as_bytes());
        self.consumer.negotiation_called(&mut self.ledger, caller, pid, call, digest, moment).map(drop)
    }

    fn agreed(&mut self, pid: &str, named: &str) {
        let agreement = json!({ "agreement": { "@id": "urn:the-same", "@type": "Agreement", "target": "table",
            "assigner": PROVIDER, "assignee": CONSUMER, "permission": [{ "action": "use" }] } });
        self.told(pid, named, "ContractAgreementMessage", agreement).unwrap();
    }

    fn finalized(&mut self, pid: &str, named: &str) -> Result<(), Refusal> {
        self.told(pid, named, "ContractNegotiationEventMessage", json!({ "eventType": "FINALIZED" }))
    }
}

/// With two agreements of one name a consumer could not say under which of them it wants data.
#[test]
fn an_agreement_with_the_identifier_of_another_is_not_taken_for_one() {
    let consumer = Connector {
        participant: CONSUMER.into(),
        address: "https://consumer.example/dsp/2025-1".into(),
        data_address: "https://consumer.example".into(),
        rules: Rules::default(),
    };
    let mut asking = Asking { consumer, ledger: MemoryLedger::default(), moments: 0 };
    let (first, second) = (asking.begun("p1"), asking.begun("p2"));
    for (pid, named) in [(&first, "p1"), (&second, "p2")] {
        asking.agreed(pid, named);
        asking.acknowledged(pid, None);
        assert_eq!(asking.ledger.negotiations[pid].state, Some(NegotiationState::Verified));
    }
    asking.finalized(&first, "p1").unwrap();
    let refused = asking.finalized(&second, "p2").unwrap_err();
    assert_eq!(refused.code, "agreement-id-in-use");
    assert_eq!(asking.ledger.contracts["urn:the-same"].negotiation, first);
    // Once the first holds, a later one is ended as soon as it is sent.
    let third = asking.begun("p3");
    asking.agreed(&third, "p3");
    let ending = asking.ledger.negotiations[&third].process.pending.clone().unwrap();
    assert!(
        ending.body.contains("TerminationMessage") && ending.body.contains("agreement-id-in-use"),
        "{ending:?}"
    );
}
