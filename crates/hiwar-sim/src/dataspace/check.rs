//! What must hold after every commit, and when all is settled.

use std::collections::BTreeSet;
use std::fmt::Debug;

use hiwar_dataspace::ledger::{MemoryLedger, Negotiation, Note, Process, Transfer};
use hiwar_dataspace::negotiation::{NegotiationState, NegotiationStep, Role};
use hiwar_dataspace::rules::Reply;
use hiwar_dataspace::transfer::{TransferState, TransferStep};

use super::model;
use super::side::Who;
use super::world::World;
use crate::world::Violation;

/// Looks at what one side is about to make durable.
pub(crate) fn commit(world: &mut World, who: Who, new: &MemoryLedger) -> Result<(), Violation> {
    let old = &world.of(who).ledger;
    let peer = &world.of(who.other()).ledger;
    let mut given_up = 0;
    let mut wrong = None;
    for negotiation in new.negotiations.values() {
        let before = old.negotiations.get(&negotiation.process.pid);
        if before == Some(negotiation) {
            continue;
        }
        let path = path(
            before.and_then(|n| n.state),
            before.map_or(0, |n| n.process.history.len()),
            &negotiation.process,
            model::negotiation,
        );
        let known = before.and_then(|n| n.process.pending.as_ref()).map(|p| p.step);
        let local = negotiation.state == Some(NegotiationState::Terminated)
            && (before.is_some_and(|n| n.state.is_none()) || known == Some(NegotiationStep::Terminate));
        given_up += u64::from(path.as_ref().is_ok_and(|s| *s != negotiation.state));
        let taken_there =
            negotiation.process.peer_pid.as_ref().and_then(|p| peer.negotiations.get(p)).map(|n| &n.process);
        wrong = wrong
            .or_else(|| along(&path, negotiation.state, local))
            .or_else(|| unacknowledged(&negotiation.process, taken_there))
            .or_else(|| of_negotiation(negotiation, before))
            .map(|what: String| format!("{}: negotiation {}: {what}", who.name(), negotiation.process.pid));
    }
    for transfer in new.transfers.values() {
        let before = old.transfers.get(&transfer.process.pid);
        if before == Some(transfer) {
            continue;
        }
        let path = path(
            before.and_then(|t| t.state),
            before.map_or(0, |t| t.process.history.len()),
            &transfer.process,
            model::transfer,
        );
        let known = before.and_then(|t| t.process.pending.as_ref()).map(|p| p.step);
        let local = transfer.state == Some(TransferState::Terminated)
            && (before.is_some_and(|t| t.state.is_none()) || known == Some(TransferStep::Terminate));
        given_up += u64::from(path.as_ref().is_ok_and(|s| *s != transfer.state));
        let taken_there =
            transfer.process.peer_pid.as_ref().and_then(|p| peer.transfers.get(p)).map(|t| &t.process);
        wrong = wrong
            .or_else(|| along(&path, transfer.state, local))
            .or_else(|| unacknowledged(&transfer.process, taken_there))
            .or_else(|| of_transfer(transfer, new))
            .map(|what: String| format!("{}: transfer {}: {what}", who.name(), transfer.process.pid));
    }
    let wrong = wrong.or_else(|| of_ledger(new).map(|what| format!("{}: {what}", who.name())));
    world.stats.given_up += given_up;
    wrong.map_or(Ok(()), |what| Err(world.violation(what)))
}

/// Follows the steps since the last commit through the model.
fn path<S: Copy + Debug, T: Copy + Debug>(
    from: Option<S>,
    known: usize,
    process: &Process<T>,
    model: fn(Option<S>, Role, T) -> Option<S>,
) -> Result<Option<S>, String> {
    let mut state = from;
    for taken in process.history.iter().skip(known) {
        let next = model(state, taken.by, taken.step);
        if next.is_none() {
            return Err(format!("{:?} sent {:?} in {state:?}: no such transition", taken.by, taken.step));
        }
        state = next;
    }
    Ok(state)
}

fn along<S: PartialEq + Debug>(
    path: &Result<Option<S>, String>,
    now: Option<S>,
    local: bool,
) -> Option<String> {
    match path {
        Err(what) => Some(what.clone()),
        Ok(state) if *state == now || local => None,
        Ok(state) => Some(format!("its steps lead to {state:?}, and it is {now:?}")),
    }
}

/// Push, then commit: a step of this side counts only after the other side has taken it.
fn unacknowledged<S: PartialEq + Debug>(process: &Process<S>, peer: Option<&Process<S>>) -> Option<String> {
    let Some(peer) = peer else {
        let own = process.history.iter().find(|t| t.by == process.role)?;
        return Some(format!("{:?} was taken by nobody, and is in the history", own.step));
    };
    let count = |of: &Process<S>, step: &S| {
        of.history.iter().filter(|t| t.by == process.role && t.step == *step).count()
    };
    let ahead = process
        .history
        .iter()
        .find(|t| t.by == process.role && count(process, &t.step) > count(peer, &t.step))?;
    // Where both end it, the other side's state says that it is reached.
    let crossed = format!("{:?}", ahead.step) == "Terminate" && peer.ending.is_some();
    (!crossed).then(|| format!("{:?} is in the history before the other side has taken it", ahead.step))
}

fn of_negotiation(negotiation: &Negotiation, before: Option<&Negotiation>) -> Option<String> {
    let (process, state) = (&negotiation.process, negotiation.state);
    if let Some(pending) = &process.pending
        && model::negotiation(state, process.role, pending.step).is_none()
    {
        return Some(format!("{:?} waits to be sent in {state:?}", pending.step));
    }
    if state.is_some_and(NegotiationState::is_final) && process.due().is_some() {
        return Some(format!("it is {state:?} and something is due"));
    }
    let ends = process.pending.as_ref().is_some_and(|p| p.step == NegotiationStep::Terminate);
    if process.ending.is_some() && state != Some(NegotiationState::Terminated) && !ends {
        return Some(format!("it is {state:?} and says that it was ended"));
    }
    if state == Some(NegotiationState::Terminated) && process.ending.is_none() {
        return Some("it is terminated and does not say why".into());
    }
    let settled = [NegotiationState::Agreed, NegotiationState::Verified, NegotiationState::Finalized];
    if let Some(before) = before.filter(|b| b.state.is_some_and(|s| settled.contains(&s)))
        && before.agreement != negotiation.agreement
    {
        return Some("its agreement changed after it was taken".into());
    }
    None
}

fn of_transfer(transfer: &Transfer, ledger: &MemoryLedger) -> Option<String> {
    let (process, state) = (&transfer.process, transfer.state);
    if let Some(pending) = &process.pending
        && model::transfer(state, process.role, pending.step).is_none()
    {
        return Some(format!("{:?} waits to be sent in {state:?}", pending.step));
    }
    if state.is_some_and(TransferState::is_final) && process.due().is_some() {
        return Some(format!("it is {state:?} and something is due"));
    }
    if state.is_some_and(TransferState::is_final) && transfer.token.is_some() {
        return Some("it has ended and its token still opens the data".into());
    }
    if process.ending.is_some() && state == Some(TransferState::Completed) {
        return Some("it is complete and says that it was ended".into());
    }
    let contract = ledger.contracts.get(&transfer.agreement);
    let open = state == Some(TransferState::Started) && transfer.token.is_some();
    if process.role == Role::Provider && open && contract.is_none_or(|c| c.ended.is_some()) {
        return Some("it is started under an agreement that does not hold".into());
    }
    let complete = process.pending.as_ref().is_some_and(|p| p.step == TransferStep::Complete);
    if process.role == Role::Provider
        && state == Some(TransferState::Started)
        && transfer.permitted_until.is_some()
        && process.due().is_none()
        && !complete
    {
        return Some("it is started for a limited time, and nobody watches for its end".into());
    }
    None
}

fn of_ledger(ledger: &MemoryLedger) -> Option<String> {
    let mut seen = BTreeSet::new();
    for negotiation in ledger.negotiations.values() {
        let process = &negotiation.process;
        if process.peer_pid.is_some() && !seen.insert(("negotiation", process.role, process.peer_pid.clone()))
        {
            return Some(format!("two negotiations are one at the other side: {:?}", process.peer_pid));
        }
    }
    for transfer in ledger.transfers.values() {
        let process = &transfer.process;
        if process.peer_pid.is_some() && !seen.insert(("transfer", process.role, process.peer_pid.clone())) {
            return Some(format!("two transfers are one at the other side: {:?}", process.peer_pid));
        }
    }
    let mut negotiations = BTreeSet::new();
    for (id, contract) in &ledger.contracts {
        if !negotiations.insert(&contract.negotiation) {
            return Some(format!("two agreements came from {}", contract.negotiation));
        }
        let state = ledger.negotiations.get(&contract.negotiation).and_then(|n| n.state);
        if contract.ended.is_none() && state == Some(NegotiationState::Terminated) {
            return Some(format!("agreement {id} holds and its negotiation was terminated"));
        }
    }
    let noted = |note: Note| ledger.notes.iter().filter(|n| **n == note).count();
    for (id, contract) in &ledger.contracts {
        let (agreed, ended) =
            (noted(Note::Agreed { agreement: id.clone() }), noted(Note::Ended { agreement: id.clone() }));
        if agreed != 1 || ended != usize::from(contract.ended.is_some()) {
            return Some(format!("agreement {id} is noted {agreed} times as agreed, {ended} times as ended"));
        }
    }
    for (pid, transfer) in &ledger.transfers {
        let transferred = noted(Note::Transferred { transfer: pid.clone() });
        if transferred != usize::from(transfer.state == Some(TransferState::Completed)) {
            return Some(format!("transfer {pid} is {:?} and noted {transferred} times", transfer.state));
        }
    }
    None
}

/// What must hold between the two at any time.
pub(crate) fn together(world: &World) -> Result<(), Violation> {
    for (id, at_a) in &world.a.ledger.contracts {
        if let Some(at_b) = world.b.ledger.contracts.get(id)
            && at_a.agreement != at_b.agreement
        {
            return Err(world.violation(format!("agreement {id} is not the same on both sides")));
        }
    }
    Ok(())
}

/// What must hold when nothing is due any more.
pub(crate) fn settled(world: &mut World) -> Result<(), Violation> {
    for who in [Who::A, Who::B] {
        let (own, peer) = (&world.of(who).ledger, &world.of(who.other()).ledger);
        for negotiation in own.negotiations.values() {
            let found = negotiation.process.peer_pid.as_ref().and_then(|p| peer.negotiations.get(p));
            if let Some(what) = negotiation_settled(world, who, negotiation, found) {
                let pid = &negotiation.process.pid;
                return Err(world.violation(format!("at rest: {}: negotiation {pid}: {what}", who.name())));
            }
        }
        for transfer in own.transfers.values() {
            let found = transfer.process.peer_pid.as_ref().and_then(|p| peer.transfers.get(p));
            if let Some(what) = transfer_settled(transfer, found) {
                let pid = &transfer.process.pid;
                return Err(world.violation(format!("at rest: {}: transfer {pid}: {what}", who.name())));
            }
        }
    }
    count(world);
    Ok(())
}

fn negotiation_settled(
    world: &World,
    who: Who,
    negotiation: &Negotiation,
    peer: Option<&Negotiation>,
) -> Option<String> {
    let state = negotiation.state;
    let closed = [Some(NegotiationState::Finalized), Some(NegotiationState::Terminated)];
    if peer.is_some_and(|p| p.state != state && closed.contains(&p.state) && closed.contains(&state)) {
        // A copy of a Finalize that was given up can still arrive. It must open nothing.
        let provider = if negotiation.process.role == Role::Provider { Some(negotiation) } else { peer };
        let safe = provider.is_some_and(|n| n.state == Some(NegotiationState::Terminated));
        return (!safe).then(|| "the provider holds it for finalized, the consumer for terminated".into());
    }
    match peer {
        None if state == Some(NegotiationState::Terminated) => return None,
        None => return Some(format!("it is {state:?} and the other side has none")),
        Some(peer) if peer.state != state => {
            return Some(format!("it is {state:?} here and {:?} there", peer.state));
        }
        Some(_) => {}
    }
    if state == Some(NegotiationState::Finalized) {
        let id = negotiation.agreement.as_ref().map(|a| a.id.clone()).unwrap_or_default();
        if !world.of(who).ledger.contracts.contains_key(&id) {
            return Some("it is finalized and there is no agreement".into());
        }
    }
    if state.is_some_and(NegotiationState::is_final) {
        return None;
    }
    // Whoever is to speak must be waiting for a person.
    let rules = &world.of(who).connector.rules;
    let provider = rules.provider.get(&negotiation.dataset).copied().unwrap_or_default();
    let consumer = rules.consumer.get(&negotiation.dataset).copied().unwrap_or_default();
    let answers = match (negotiation.process.role, state) {
        (Role::Provider, Some(NegotiationState::Requested)) => {
            // A person may have asked again; which rule it is depends on that.
            provider.on_request != Reply::Wait && provider.on_counter != Reply::Wait
        }
        (Role::Provider, Some(NegotiationState::Accepted)) => provider.on_accepted != Reply::Wait,
        (Role::Provider, Some(NegotiationState::Verified)) => provider.on_verified != Reply::Wait,
        (Role::Consumer, Some(NegotiationState::Agreed)) => consumer.on_agreement != Reply::Wait,
        _ => false,
    };
    answers.then(|| format!("it rests in {state:?}, and this side should have answered"))
}

fn transfer_settled(transfer: &Transfer, peer: Option<&Transfer>) -> Option<String> {
    let state = transfer.state;
    let pausing = [Some(TransferState::Started), Some(TransferState::Suspended)];
    match peer {
        None if state == Some(TransferState::Terminated) => None,
        None => Some(format!("it is {state:?} and the other side has none")),
        // A copy of a message that its sender has withdrawn, because another one crossed it, can arrive when
        // both have gone on; the next message of either is refused then, and the transfer is terminated.
        Some(peer)
            if peer.state != state
                && [peer.state, state].iter().all(|s| pausing.contains(s))
                && (took_what_was_withdrawn(transfer, peer) || took_what_was_withdrawn(peer, transfer)) =>
        {
            None
        }
        Some(peer) if peer.state != state => Some(format!("it is {state:?} here and {:?} there", peer.state)),
        Some(_) if state == Some(TransferState::Requested) => Some("it rests in REQUESTED".into()),
        Some(_) => None,
    }
}

/// Whether the last step that a side took is one that the other side does not know to have been taken.
fn took_what_was_withdrawn(side: &Transfer, sender: &Transfer) -> bool {
    let by = sender.process.role;
    let Some(last) = side.process.history.last().filter(|t| t.by == by) else { return false };
    let count =
        |of: &Transfer| of.process.history.iter().filter(|t| t.by == by && t.step == last.step).count();
    count(side) > count(sender)
}

fn count(world: &mut World) {
    let stats = &mut world.stats;
    for ledger in [&world.a.ledger, &world.b.ledger] {
        let begun = ledger
            .negotiations
            .values()
            .filter(|n| n.process.history.first().is_none_or(|t| t.by == n.process.role));
        for negotiation in begun {
            stats.negotiations += 1;
            match negotiation.state {
                Some(NegotiationState::Finalized) => stats.finalized += 1,
                Some(NegotiationState::Terminated) => stats.negotiations_terminated += 1,
                _ => {}
            }
        }
        for transfer in ledger.transfers.values().filter(|t| t.process.role == Role::Consumer) {
            let peers = [&world.a.ledger, &world.b.ledger];
            let there = peers.iter().find_map(|l| l.transfers.get(transfer.process.peer_pid.as_ref()?));
            stats.out_of_step += u64::from(there.is_some_and(|t| t.state != transfer.state));
            stats.transfers += 1;
            match transfer.state {
                Some(TransferState::Completed) => stats.completed += 1,
                Some(TransferState::Terminated) => stats.transfers_terminated += 1,
                _ => {}
            }
        }
        stats.agreements_ended += ledger.contracts.values().filter(|c| c.ended.is_some()).count() as u64;
    }
}
