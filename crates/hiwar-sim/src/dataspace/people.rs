//! What people begin, step and end, and the rules that answer for them.

use hiwar_dataspace::catalog::{Dataset, PULL};
use hiwar_dataspace::connector::{NewNegotiation, NewTransfer};
use hiwar_dataspace::ledger::{Content, MemoryLedger, Statement, Why};
use hiwar_dataspace::negotiation::{NegotiationStep, Role};
use hiwar_dataspace::policy::{MessageOffer, Offer};
use hiwar_dataspace::rules::{ConsumerRule, ConsumerSequence, ProviderRule, ProviderSequence, Reply, Rules};
use hiwar_dataspace::transfer::{TransferState, TransferStep};
use hiwar_trust::time::Timestamp;
use serde_json::json;

use super::side::Who;
use super::world::{BEGIN_MS, World};
use crate::rng::Rng;
use crate::world::Violation;

/// The purpose that one of the terms asks for.
const PURPOSE: &str = "supply-chain-monitoring";
/// Most processes of one kind that one side begins.
const BEGUN_MAX: usize = 8;
/// The terms of each dataset.
const TERMS: [&str; 4] = ["open", "purpose", "until", "once"];

fn dataset_id(who: Who, terms: &str) -> String {
    format!("urn:dataset:{}:{terms}", who.name())
}

fn offer(who: Who, terms: &str) -> Option<Offer> {
    let until = Timestamp::from_millis(BEGIN_MS + 400_000);
    let constraint = match terms {
        "purpose" => json!([{ "leftOperand": "purpose", "operator": "eq", "rightOperand": PURPOSE }]),
        "until" => json!([{ "leftOperand": "dateTime", "operator": "lteq", "rightOperand": until }]),
        "once" => json!([{ "leftOperand": "count", "operator": "lteq", "rightOperand": "1" }]),
        _ => json!([]),
    };
    let mut permission = json!({ "action": "use" });
    if constraint.as_array().is_some_and(|c| !c.is_empty())
        && let Some(members) = permission.as_object_mut()
    {
        members.insert("constraint".into(), constraint);
    }
    let id = format!("urn:offer:{}:{terms}", who.name());
    Offer::from_value(json!({ "@id": id, "@type": "Offer", "permission": [permission] })).ok()
}

/// What a side offers at the beginning.
pub(crate) fn offers(who: Who) -> MemoryLedger {
    let mut ledger = MemoryLedger::default();
    for terms in TERMS {
        if let Some(offer) = offer(who, terms) {
            let id = dataset_id(who, terms);
            let dataset = Dataset {
                id: id.clone(),
                title: terms.into(),
                description: None,
                keywords: Vec::new(),
                offer,
                formats: vec![PULL.into()],
                media_type: None,
                byte_size: None,
                sha256: None,
                issued: Timestamp::from_millis(BEGIN_MS),
            };
            ledger.datasets.insert(id, dataset);
        }
    }
    ledger
}

/// How a side answers by itself: half of the runs by offer and policy alone, the others by any rules.
pub(crate) fn rules(who: Who, rng: &mut Rng) -> Rules {
    let pause_ms = if rng.chance(500) { 0 } else { 400 };
    let mut rules = Rules { pause_ms, ..Rules::default() };
    if rng.chance(500) {
        return rules;
    }
    for terms in TERMS {
        let mut reply = |of: &[Reply]| rng.pick(of).copied().unwrap_or_default();
        let provider = ProviderRule {
            on_request: reply(&[Reply::Decide, Reply::Offer, Reply::Agree, Reply::Terminate, Reply::Wait]),
            on_counter: reply(&[Reply::Decide, Reply::Agree, Reply::Terminate, Reply::Wait]),
            after_offer: reply(&[Reply::Decide, Reply::Decide, Reply::Terminate, Reply::Wait]),
            on_accepted: reply(&[Reply::Decide, Reply::Agree, Reply::Terminate, Reply::Wait]),
            on_verified: reply(&[Reply::Decide, Reply::Finalize, Reply::Terminate, Reply::Wait]),
        };
        rules.provider.insert(dataset_id(who, terms), provider);
        let consumer = ConsumerRule {
            on_idle: reply(&[Reply::Decide, Reply::Decide, Reply::Terminate]),
            on_offer: reply(&[Reply::Decide, Reply::Accept, Reply::Counter, Reply::Terminate, Reply::Wait]),
            on_agreement: reply(&[Reply::Decide, Reply::Verify, Reply::Terminate, Reply::Wait]),
        };
        rules.consumer.insert(dataset_id(who.other(), terms), consumer);
    }
    rules
}

/// Somebody does something.
pub(crate) fn act(world: &mut World) -> Result<(), Violation> {
    let who = if world.rng.chance(500) { Who::A } else { Who::B };
    if !world.of(who).up {
        return Ok(());
    }
    match world.rng.below(100) {
        0..30 => negotiate(world, who),
        30..40 => offer_unasked(world, who),
        40..55 => step_negotiation(world, who),
        55..62 => end_agreement(world, who),
        62..80 => transfer(world, who),
        _ => step_transfer(world, who),
    }
}

fn negotiate(world: &mut World, who: Who) -> Result<(), Violation> {
    let begun = world.of(who).ledger.negotiations.values().filter(|n| n.process.role == Role::Consumer);
    if begun.count() >= BEGUN_MAX {
        return Ok(());
    }
    let terms = world.rng.pick(&TERMS).copied().unwrap_or("open");
    let dataset = dataset_id(who.other(), terms);
    // Sometimes with other terms than those that are offered.
    let asked = if world.rng.chance(150) { "once" } else { terms };
    let Some(offer) = offer(who.other(), asked) else { return Ok(()) };
    let mut offer = offer.about(dataset.clone());
    if world.rng.chance(200) {
        offer = MessageOffer { policy: Default::default(), ..offer };
    }
    let purpose = world.rng.chance(600).then(|| PURPOSE.to_owned());
    let new = NewNegotiation {
        provider: who.other().did(),
        address: who.other().address(),
        offer,
        dataset,
        statement: Statement { purpose, ..Statement::default() },
    };
    world.note(|| format!("{}: negotiate {terms}", who.name()));
    world.stats.people += 1;
    world.transact(who, |connector, ledger, _, moment| connector.begin_negotiation(ledger, new, moment))?;
    Ok(())
}

fn offer_unasked(world: &mut World, who: Who) -> Result<(), Violation> {
    let begun = world.of(who).ledger.negotiations.values().filter(|n| n.process.role == Role::Provider);
    if begun.count() >= BEGUN_MAX {
        return Ok(());
    }
    let terms = world.rng.pick(&TERMS).copied().unwrap_or("open");
    world.note(|| format!("{}: offer {terms}", who.name()));
    world.stats.people += 1;
    let (did, address, dataset) = (who.other().did(), who.other().address(), dataset_id(who, terms));
    world.transact(who, |connector, ledger, _, moment| {
        connector.begin_offer(ledger, &did, &address, &dataset, moment)
    })?;
    Ok(())
}

/// Any step in any negotiation, allowed or not; ending it is the likeliest.
fn step_negotiation(world: &mut World, who: Who) -> Result<(), Violation> {
    let pids: Vec<String> = world.of(who).ledger.negotiations.keys().cloned().collect();
    let Some(pid) = world.rng.pick(&pids).cloned() else { return Ok(()) };
    let step = if world.rng.chance(300) {
        NegotiationStep::Terminate
    } else {
        world.rng.pick(&NegotiationStep::ALL).copied().unwrap_or(NegotiationStep::Accept)
    };
    world.note(|| format!("{}: a person sends {step:?} in {pid}", who.name()));
    world.stats.people += 1;
    world.transact(who, |connector, ledger, _, moment| {
        connector.step_negotiation(ledger, &pid, step, None, moment)
    })?;
    Ok(())
}

fn end_agreement(world: &mut World, who: Who) -> Result<(), Violation> {
    let agreements: Vec<String> = world.of(who).ledger.contracts.keys().cloned().collect();
    let Some(agreement) = world.rng.pick(&agreements).cloned() else { return Ok(()) };
    world.note(|| format!("{}: a person ends {agreement}", who.name()));
    world.stats.people += 1;
    world.transact(who, |connector, ledger, _, moment| {
        connector.end_agreement(ledger, &agreement, "a person ends it", moment)
    })?;
    Ok(())
}

fn transfer(world: &mut World, who: Who) -> Result<(), Violation> {
    let side = world.of(who);
    let held: Vec<String> = side
        .ledger
        .contracts
        .values()
        .filter(|c| c.role == Role::Consumer)
        .map(|c| c.agreement.id.clone())
        .collect();
    if side.ledger.transfers.values().filter(|t| t.process.role == Role::Consumer).count() >= BEGUN_MAX {
        return Ok(());
    }
    let Some(agreement) = world.rng.pick(&held).cloned() else { return Ok(()) };
    sequences(world, who, &agreement);
    world.note(|| format!("{}: ask for the data of {agreement}", who.name()));
    world.stats.people += 1;
    let purpose = world.rng.chance(100).then(|| "something else".to_owned());
    let new = NewTransfer {
        agreement,
        format: PULL.into(),
        address: None,
        statement: Statement { purpose, ..Statement::default() },
        provider_address: None,
    };
    world.transact(who, |connector, ledger, _, moment| connector.begin_transfer(ledger, new, moment))?;
    Ok(())
}

/// Sometimes rules take the steps of the transfers under an agreement.
fn sequences(world: &mut World, consumer: Who, agreement: &str) {
    const POSSIBLE: [&[TransferStep]; 5] = [
        &[TransferStep::Start],
        &[TransferStep::Start, TransferStep::Complete],
        &[TransferStep::Start, TransferStep::Suspend, TransferStep::Start],
        &[TransferStep::Start, TransferStep::Suspend, TransferStep::Terminate],
        &[TransferStep::Terminate],
    ];
    const AFTER_START: [&[TransferStep]; 4] = [
        &[TransferStep::Complete],
        &[TransferStep::Suspend, TransferStep::Start],
        &[TransferStep::Suspend, TransferStep::Terminate],
        &[TransferStep::Terminate],
    ];
    if world.rng.chance(300) {
        let sequence = world.rng.pick(&POSSIBLE).map(|s| s.to_vec()).unwrap_or_default();
        let rules = &mut world.of_mut(consumer.other()).connector.rules;
        rules.provider_transfer.insert(agreement.to_owned(), ProviderSequence { sequence });
    }
    if world.rng.chance(300) {
        let on_start = world.rng.pick(&AFTER_START).map(|s| s.to_vec()).unwrap_or_default();
        let on_idle = if world.rng.chance(100) { vec![TransferStep::Terminate] } else { Vec::new() };
        let rules = &mut world.of_mut(consumer).connector.rules;
        rules.consumer_transfer.insert(agreement.to_owned(), ConsumerSequence { on_idle, on_start });
    }
}

/// The data plane completes, or a person takes any step or ends the transfer.
fn step_transfer(world: &mut World, who: Who) -> Result<(), Violation> {
    let running: Vec<String> = world.of(who).ledger.transfers.keys().cloned().collect();
    let Some(pid) = world.rng.pick(&running).cloned() else { return Ok(()) };
    world.stats.people += 1;
    if world.rng.chance(150) {
        world.note(|| format!("{}: a person ends {pid}", who.name()));
        world.transact(who, |connector, ledger, _, moment| {
            connector.terminate_transfer(ledger, &pid, Why::new("ended", "by a person"), moment)
        })?;
        return Ok(());
    }
    let started = world
        .of(who)
        .ledger
        .transfers
        .get(&pid)
        .is_some_and(|t| t.state == Some(TransferState::Started) && t.process.role == Role::Consumer);
    let step = if started && world.rng.chance(500) {
        TransferStep::Complete
    } else {
        world.rng.pick(&TransferStep::ALL).copied().unwrap_or(TransferStep::Suspend)
    };
    let content = (step == TransferStep::Complete).then(|| Content { sha256: "0".repeat(64), bytes: 1 });
    world.note(|| format!("{}: {step:?} in {pid}", who.name()));
    world.transact(who, |connector, ledger, _, moment| {
        connector.step_transfer(ledger, &pid, step, None, content, moment)
    })?;
    Ok(())
}
