//! Batches and replies that are refused as a whole.

use hiwar_dialogue::engine::EngineError;
use hiwar_dialogue::limits;
use hiwar_dialogue::marking::Marking;
use hiwar_dialogue::wire::{self, WireError};

use super::kit::{codes, exchange, open_dialogue, parties, talk, two};

#[test]
fn a_batch_for_another_node_or_by_another_sender_is_refused() {
    let mut all = parties(3);
    let third = all[2].did.clone();
    let (sender, receiver) = two(&mut all, 0, 1);
    let header = sender.header(&receiver.did);
    let write = |header| [serde_json::to_vec(&header).unwrap(), b"\n".to_vec()].concat();

    let mut misdirected = header.clone();
    misdirected.to = third.clone();
    let error = receiver.take(&sender.did, &write(misdirected)).unwrap_err();
    assert!(matches!(error, EngineError::Wire(WireError::WrongDestination { .. })), "{error}");

    let mut impostor = header.clone();
    impostor.from = third;
    let error = receiver.take(&sender.did, &write(impostor)).unwrap_err();
    assert!(matches!(error, EngineError::Wire(WireError::WrongSender { .. })), "{error}");
    assert!(receiver.take(&sender.did, &write(header)).is_ok());
}

#[test]
fn batches_beyond_a_limit_or_without_form_are_refused() {
    let mut all = parties(2);
    let (sender, receiver) = two(&mut all, 0, 1);
    let directory = receiver.engine.directory();
    let refused = |body: &[u8]| wire::verify_batch(body, &directory).unwrap_err();
    let header = sender.header(&receiver.did);
    let write = |header: &wire::BatchHeader| [serde_json::to_vec(header).unwrap(), b"\n".to_vec()].concat();

    assert!(matches!(refused(b""), WireError::Malformed { .. }));
    assert!(matches!(refused(b"{}"), WireError::Malformed { .. }));
    assert!(matches!(refused(&vec![b'x'; limits::BATCH_BYTES_MAX + 1]), WireError::TooLarge { .. }));
    let mut other = header.clone();
    other.protocol = "hiwar/9".into();
    assert!(matches!(refused(&write(&other)), WireError::OtherProtocol { .. }));
    let mut many = header.clone();
    many.entries = limits::BATCH_ENTRIES_MAX + 1;
    assert!(matches!(refused(&write(&many)), WireError::TooLarge { .. }));
    let mut less = header;
    less.entries = 1;
    assert!(matches!(refused(&write(&less)), WireError::Malformed { .. }));
}

#[test]
fn an_unknown_or_retired_peer_is_not_dealt_with() {
    let mut all = parties(2);
    let (sender, receiver) = two(&mut all, 0, 1);
    let header = sender.header(&receiver.did);
    let body = [serde_json::to_vec(&header).unwrap(), b"\n".to_vec()].concat();
    receiver.engine.retire_peer(&sender.did).unwrap();
    assert!(matches!(receiver.take(&sender.did, &body), Err(EngineError::Peer { .. })));
    assert!(receiver.plan(&sender.did).is_none());
}

#[test]
fn a_batch_that_comes_twice_changes_nothing_and_is_answered_with_the_same_receipt() {
    let mut all = parties(2);
    let dialogue = open_dialogue(&mut all, 2, Marking::Amber);
    all[0].say(dialogue, "once");
    let (sender, receiver) = two(&mut all, 0, 1);
    let push = sender.plan(&receiver.did).unwrap();
    let first = receiver.take(&sender.did, &push.body).unwrap();
    let entries = receiver.store.entries().count();
    let size = receiver.engine.log().1.size();
    let again = receiver.take(&sender.did, &push.body).unwrap();
    assert_eq!(codes(&again), []);
    assert_eq!(first.briefing.receipts, again.briefing.receipts);
    assert_eq!((receiver.store.entries().count(), receiver.engine.log().1.size()), (entries, size));
    // Either answer settles the delivery, and the other one then does no harm.
    sender.settle(&receiver.did, push.token, &again).unwrap();
    sender.settle(&receiver.did, push.token, &first).unwrap();
    assert_eq!(sender.store.waiting(&receiver.did).count(), 0);
}

#[test]
fn one_entry_twice_in_a_batch_is_taken_once() {
    let mut all = parties(2);
    let dialogue = open_dialogue(&mut all, 2, Marking::Amber);
    let (sender, receiver) = two(&mut all, 0, 1);
    let entry = sender.draft(dialogue);
    let signed = sender.sign(entry);
    let mut line = Vec::new();
    signed.write_envelope(&mut line);
    let body = sender.batch_of(&receiver.did, &[line.clone(), line]);
    let before = receiver.store.entries().count();
    let reply = receiver.take(&sender.did, &body).unwrap();
    assert_eq!(codes(&reply), []);
    assert_eq!(receiver.store.entries().count(), before + 1);
    assert_eq!(reply.briefing.receipts.last().unwrap().items.len(), 1);
}

#[test]
fn a_batch_older_than_the_one_before_raises_an_alarm_and_nothing_of_it_is_taken() {
    let mut all = parties(2);
    let dialogue = open_dialogue(&mut all, 2, Marking::Amber);
    let (sender, receiver) = two(&mut all, 0, 1);
    let old = sender.header(&receiver.did);
    let old = [serde_json::to_vec(&old).unwrap(), b"\n".to_vec()].concat();
    all[0].say(dialogue, "more");
    all[0].now_ms += 3_600_000;
    assert!(exchange(&mut all, 0, 1).is_some());
    let (sender, receiver) = two(&mut all, 0, 1);
    let reply = receiver.take(&sender.did, &old).unwrap();
    assert_eq!(receiver.alarms("rollback").len(), 1);
    assert!(reply.briefing.ahead.is_some(), "its owner is shown what was verified before");
}

#[test]
fn with_nothing_new_almost_nothing_is_said() {
    let mut all = parties(3);
    let dialogue = open_dialogue(&mut all, 3, Marking::Amber);
    all[1].say(dialogue, "the last word");
    talk(&mut all, 30);
    let exchanges = talk(&mut all, 1_800);
    // Three comparisons in half an hour for each of six directions, and one more at the edge.
    assert!(exchanges <= 6 * 4, "{exchanges} exchanges in half an hour");
}
