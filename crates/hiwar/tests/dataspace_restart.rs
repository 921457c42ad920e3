//! Negotiations and transfers in every state, in both roles, when the node is killed: afterwards each is where it
//! was, and goes on to its end.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a story stops where it cannot go on"
)]

mod counterpart;
mod newcomer;

use counterpart::{Counterpart, Pids, THEIRS, message, peers_of, pids_of};
use newcomer::Ministries;
use serde_json::{Value, json};

const OPEN: &str = r#"{ "permit": { "use": {} } }"#;

/// A process, motie's identifier of it, the state it was brought to, and what is still to come.
struct Brought {
    own: String,
    pids: Pids,
    state: &'static str,
    /// Messages of the counterpart, each with the state that motie reaches after it; the first state is reached
    /// without a message, once motie's own can be delivered again.
    next: Vec<(Option<(String, Value)>, &'static str)>,
}

fn begun() -> (Ministries, Counterpart, String) {
    let mut both = Ministries::started();
    let partner = peers_of(&mut both, &["partner"]).remove(0);
    let dataset = both.offered(OPEN, "month,kg\n2019-07,12\n");
    (both, partner, dataset)
}

/// Kills motie with all these processes, and looks at each before and after.
#[track_caller]
fn killed_and_gone_on(both: &mut Ministries, partner: &Counterpart, kind: &str, brought: &[Brought]) {
    for process in brought {
        partner.wait(kind, &process.own, process.state);
    }
    both.kill("motie");
    both.start("motie");
    for process in brought {
        let (status, after) = partner.get(&format!("{kind}/{}", process.own));
        assert_eq!((status, after["state"].as_str()), (200, Some(process.state)), "{after}");
        assert_eq!(pids_of(&after), process.pids, "{}", process.state);
    }
    partner.refuse_nothing();
    for process in brought {
        for (said, state) in &process.next {
            if let Some((last, body)) = said {
                partner.taken(&format!("{kind}/{}/{last}", process.own), body);
            }
            partner.wait(kind, &process.own, state);
        }
    }
}

/// In an end state nothing more is taken.
#[track_caller]
fn nothing_follows(partner: &Counterpart, path: &str, body: &Value) {
    let (status, answer) = partner.post(path, body);
    assert_eq!((status, answer["code"].as_str()), (400, Some("transition-not-allowed")), "{answer}");
}

#[test]
fn a_provider_that_was_killed_goes_on_with_every_negotiation() {
    let (mut both, partner, dataset) = begun();
    let verified = |pids: &Pids| {
        let said = message("ContractAgreementVerificationMessage", pids);
        (Some(("agreement/verification".to_owned(), said)), "FINALIZED")
    };
    let accepted = |pids: &Pids| (Some(("events".to_owned(), partner.event(pids, "ACCEPTED"))), "AGREED");
    let at =
        |pids: &Pids, state, next| Brought { own: pids.provider.clone(), pids: pids.clone(), state, next };
    let mut brought = Vec::new();

    let asking = partner.request_message(partner.offer_of(&dataset));
    partner.refuse(&format!("{}/agreement", asking["consumerPid"].as_str().unwrap()), 503);
    let pids = pids_of(&partner.taken("negotiations/request", &asking));
    brought.push(at(&pids, "REQUESTED", vec![(None, "AGREED"), verified(&pids)]));

    let pids = partner.offered(&dataset);
    brought.push(at(&pids, "OFFERED", vec![accepted(&pids), verified(&pids)]));

    let pids = partner.offered(&dataset);
    partner.refuse(&format!("{}/agreement", pids.consumer), 503);
    let (said, _) = accepted(&pids);
    partner.taken(&format!("negotiations/{}/events", pids.provider), &said.unwrap().1);
    brought.push(at(&pids, "ACCEPTED", vec![(None, "AGREED"), verified(&pids)]));

    let pids = partner.agreed(&dataset);
    brought.push(at(&pids, "AGREED", vec![verified(&pids)]));

    let pids = partner.agreed(&dataset);
    partner.refuse(&format!("{}/events", pids.consumer), 503);
    partner.verify(&pids);
    brought.push(at(&pids, "VERIFIED", vec![(None, "FINALIZED")]));

    let finalized = partner.agreed(&dataset);
    partner.verify(&finalized);
    brought.push(at(&finalized, "FINALIZED", Vec::new()));

    let terminated = partner.offered(&dataset);
    let termination = message("ContractNegotiationTerminationMessage", &terminated);
    partner.taken(&format!("negotiations/{}/termination", terminated.provider), &termination);
    brought.push(at(&terminated, "TERMINATED", Vec::new()));

    killed_and_gone_on(&mut both, &partner, "negotiations", &brought);
    for ended in [&finalized, &terminated] {
        let event = partner.event(ended, "ACCEPTED");
        nothing_follows(&partner, &format!("negotiations/{}/events", ended.provider), &event);
    }
    let agreements = both.motie(&["data", "agreements", "--format", "json"]).ok().json();
    assert_eq!(agreements["agreements"].as_array().unwrap().len(), 6, "{agreements}");
}

#[test]
fn a_consumer_that_was_killed_goes_on_with_every_negotiation() {
    let (mut both, partner, _) = begun();
    let motie = both.person.path("motie");
    let finalized =
        |pids: &Pids| (Some(("events".to_owned(), partner.event(pids, "FINALIZED"))), "FINALIZED");
    let agreed = |pids: &Pids| (Some(("agreement".to_owned(), partner.agreement_message(pids))), "VERIFIED");
    let offer = |pids: &Pids, permission: Value| {
        let mut made = message("ContractOfferMessage", pids);
        made["offer"] = json!({ "@id": "urn:theirs:offer", "@type": "Offer", "target": THEIRS, "permission": permission });
        partner.taken(&format!("negotiations/{}/offers", pids.consumer), &made);
    };
    let at =
        |pids: &Pids, state, next| Brought { own: pids.consumer.clone(), pids: pids.clone(), state, next };
    let mut brought = Vec::new();

    let pids = partner.asked_by(&motie);
    brought.push(at(&pids, "REQUESTED", vec![agreed(&pids), finalized(&pids)]));

    // Other terms than those asked for are left to a person.
    let offered = partner.asked_by(&motie);
    let constraint = json!([{ "leftOperand": "count", "operator": "lteq", "rightOperand": 7 }]);
    offer(&offered, json!([{ "action": "use", "constraint": constraint }]));
    brought.push(at(&offered, "OFFERED", Vec::new()));

    let pids = partner.asked_by(&motie);
    offer(&pids, json!([{ "action": "use" }]));
    brought.push(at(&pids, "ACCEPTED", vec![agreed(&pids), finalized(&pids)]));

    let pids = partner.asked_by(&motie);
    partner.refuse(&format!("{}/agreement/verification", pids.provider), 503);
    partner.taken(&format!("negotiations/{}/agreement", pids.consumer), &partner.agreement_message(&pids));
    brought.push(at(&pids, "AGREED", vec![(None, "VERIFIED"), finalized(&pids)]));

    let pids = partner.asked_by(&motie);
    partner.agree(&pids);
    brought.push(at(&pids, "VERIFIED", vec![finalized(&pids)]));

    let done = partner.asked_by(&motie);
    partner.agree(&done);
    partner.taken(&format!("negotiations/{}/events", done.consumer), &partner.event(&done, "FINALIZED"));
    brought.push(at(&done, "FINALIZED", Vec::new()));

    let terminated = partner.asked_by(&motie);
    let termination = message("ContractNegotiationTerminationMessage", &terminated);
    partner.taken(&format!("negotiations/{}/termination", terminated.consumer), &termination);
    brought.push(at(&terminated, "TERMINATED", Vec::new()));

    killed_and_gone_on(&mut both, &partner, "negotiations", &brought);
    both.motie(&["data", "step", &offered.consumer, "accept"]).ok();
    partner.wait("negotiations", &offered.consumer, "ACCEPTED");
    for ended in [&done, &terminated] {
        let agreement = partner.agreement_message(ended);
        nothing_follows(&partner, &format!("negotiations/{}/agreement", ended.consumer), &agreement);
    }
    let agreements = both.motie(&["data", "agreements", "--format", "json"]).ok().json();
    assert_eq!(agreements["agreements"].as_array().unwrap().len(), 5, "{agreements}");
}

#[test]
fn a_node_that_was_killed_goes_on_with_every_transfer_in_both_roles() {
    let (mut both, partner, dataset) = begun();
    let motie = both.person.path("motie");
    let plain = |kind: &str, last: &str, pids: &Pids| Some((last.to_owned(), message(kind, pids)));
    let completed = |pids: &Pids| (plain("TransferCompletionMessage", "completion", pids), "COMPLETED");
    let restarted = |pids: &Pids| (plain("TransferStartMessage", "start", pids), "STARTED");
    let said = |own: &str, kind: &str, last: &str, pids: &Pids| {
        partner.taken(&format!("transfers/{own}/{last}"), &message(kind, pids));
    };
    let mut brought = Vec::new();

    let agreement = partner.contract(&dataset);
    let asking = partner.transfer_message(&agreement);
    partner.refuse(&format!("{}/start", asking["consumerPid"].as_str().unwrap()), 503);
    let pids = pids_of(&partner.taken("transfers/request", &asking));
    let next = vec![(None, "STARTED"), completed(&pids)];
    brought.push(Brought { own: pids.provider.clone(), pids, state: "REQUESTED", next });
    for state in ["STARTED", "SUSPENDED", "COMPLETED", "TERMINATED"] {
        let pids = partner.started(&agreement);
        let next = to(&said, state, &pids.provider, &pids, &restarted, &completed);
        brought.push(Brought { own: pids.provider.clone(), pids, state, next });
    }

    let theirs = partner.contract_by(&motie);
    let pids = partner.transfer_by(&motie, &theirs);
    let start = (Some(("start".to_owned(), partner.start_message(&pids))), "STARTED");
    let next = vec![start, completed(&pids)];
    brought.push(Brought { own: pids.consumer.clone(), pids, state: "REQUESTED", next });
    for state in ["STARTED", "SUSPENDED", "COMPLETED", "TERMINATED"] {
        let pids = partner.transfer_by(&motie, &theirs);
        partner.taken(&format!("transfers/{}/start", pids.consumer), &partner.start_message(&pids));
        let next = to(&said, state, &pids.consumer, &pids, &restarted, &completed);
        brought.push(Brought { own: pids.consumer.clone(), pids, state, next });
    }
    killed_and_gone_on(&mut both, &partner, "transfers", &brought);
    for ended in brought.iter().filter(|b| b.next.is_empty()) {
        let start = message("TransferStartMessage", &ended.pids);
        nothing_follows(&partner, &format!("transfers/{}/start", ended.own), &start);
    }
}

type Next = (Option<(String, Value)>, &'static str);

/// Brings a transfer that runs to a state; what follows then.
fn to(
    said: &dyn Fn(&str, &str, &str, &Pids),
    state: &str,
    own: &str,
    pids: &Pids,
    restarted: &dyn Fn(&Pids) -> Next,
    completed: &dyn Fn(&Pids) -> Next,
) -> Vec<Next> {
    match state {
        "STARTED" => vec![completed(pids)],
        "SUSPENDED" => {
            said(own, "TransferSuspensionMessage", "suspension", pids);
            vec![restarted(pids), completed(pids)]
        }
        "COMPLETED" => {
            said(own, "TransferCompletionMessage", "completion", pids);
            Vec::new()
        }
        _ => {
            said(own, "TransferTerminationMessage", "termination", pids);
            Vec::new()
        }
    }
}
