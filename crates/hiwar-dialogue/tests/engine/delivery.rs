//! Delivery: what is lost is sent again, what is settled stays settled, and nothing is skipped.

use hiwar_dialogue::engine::{Command, EngineConfig};
use hiwar_dialogue::entry::Attachment;
use hiwar_dialogue::ledger::{Direction, Store as _};
use hiwar_dialogue::marking::Marking;
use hiwar_dialogue::wire::Reply;
use hiwar_trust::hash::Hash;
use hiwar_trust::receipt::ItemKind;

use super::kit::{Party, exchange, open_dialogue, parties, talk, two, words};

fn receipts(party: &Party, direction: Direction) -> usize {
    party.store.receipts().filter(|(_, r)| r.direction == direction).count()
}

#[test]
fn a_late_reply_and_the_reply_to_the_repeated_batch_settle_an_entry_once() {
    let mut all = parties(2);
    let dialogue = open_dialogue(&mut all, 2, Marking::Amber);
    all[0].say(dialogue, "one");
    all[0].say(dialogue, "two");
    let (sender, receiver) = two(&mut all, 0, 1);
    let first = sender.plan(&receiver.did).unwrap();
    let late: Reply = receiver.take(&sender.did, &first.body).unwrap();
    sender.engine.failed(&receiver.did, first.token, sender.now());
    sender.now_ms += 1_000;
    sender.say(dialogue, "three");
    let second = sender.plan(&receiver.did).unwrap();
    assert_ne!(first.token, second.token);
    let reply = receiver.take(&sender.did, &second.body).unwrap();
    // `commit` in the kit holds the counted backlog against what waits.
    sender.settle(&receiver.did, first.token, &late).unwrap();
    assert_eq!(sender.store.waiting(&receiver.did).count(), 1);
    sender.settle(&receiver.did, second.token, &reply).unwrap();
    assert_eq!(sender.store.waiting(&receiver.did).count(), 0);
}

#[test]
fn tokens_differ_even_within_a_millisecond() {
    let mut all = parties(2);
    let (sender, receiver) = two(&mut all, 0, 1);
    let first = sender.plan(&receiver.did).unwrap();
    sender.engine.failed(&receiver.did, first.token, sender.now());
    sender.restart();
    let second = sender.plan(&receiver.did).unwrap();
    let reply = receiver.take(&sender.did, &second.body).unwrap();
    sender.settle(&receiver.did, second.token, &reply).unwrap();
    sender.now_ms += EngineConfig::standard().compare_ms;
    let third = sender.plan(&receiver.did).unwrap();
    assert_ne!(second.token, third.token);
}

#[test]
fn every_peer_that_brings_an_entry_gets_a_receipt_of_its_own() {
    let mut all = parties(3);
    let dialogue = open_dialogue(&mut all, 3, Marking::Amber);
    let said = all[0].say(dialogue, "to both");
    // The second party hears of it first and passes it on; then the author brings it as well.
    assert!(exchange(&mut all, 0, 1).is_some());
    let mut line = Vec::new();
    said.write_envelope(&mut line);
    let (second, third) = two(&mut all, 1, 2);
    let body = second.batch_of(&third.did, &[line]);
    third.take(&second.did, &body).unwrap();
    talk(&mut all, 5);
    for party in &all {
        for status in party.engine.peer_statuses() {
            assert_eq!(status.backlog, 0, "{} to {}", party.did, status.record.did);
        }
    }
    let leaves: Vec<_> =
        all[2].store.all_leaves(1).iter().filter(|l| **l == format!("entry {}", said.id)).collect();
    assert_eq!(leaves.len(), 1);
}

#[test]
fn timers_survive_a_clock_that_jumps_back() {
    let mut all = parties(2);
    let dialogue = open_dialogue(&mut all, 2, Marking::Amber);
    let (sender, receiver) = two(&mut all, 0, 1);
    sender.say(dialogue, "before");
    for _ in 0..10 {
        if let Some(push) = sender.plan(&receiver.did) {
            sender.engine.failed(&receiver.did, push.token, sender.now());
        }
        sender.now_ms += 61_000 * 2;
    }
    let push = sender.plan(&receiver.did).unwrap();
    sender.engine.failed(&receiver.did, push.token, sender.now());
    sender.now_ms -= 10 * 3_600_000;
    talk(&mut all, 90);
    assert_eq!(all[0].store.waiting(&all[1].did).count(), 0);
}

#[test]
fn a_clock_that_jumps_far_ahead_gives_up_nothing() {
    let mut all = parties(2);
    let dialogue = open_dialogue(&mut all, 2, Marking::Amber);
    let (sender, receiver) = two(&mut all, 0, 1);
    sender.say(dialogue, "before");
    let push = sender.plan(&receiver.did).unwrap();
    sender.engine.failed(&receiver.did, push.token, sender.now());
    sender.now_ms += 60 * 24 * 3_600_000;
    sender.engine.give_up(&sender.store, &receiver.did, sender.now()).unwrap();
    sender.commit();
    assert_eq!(sender.store.waiting(&receiver.did).count(), 1);
}

#[test]
fn receipts_for_files_are_owed_until_they_are_answered_and_then_no_more() {
    let mut all = parties(2);
    let dialogue = open_dialogue(&mut all, 2, Marking::Amber);
    let sha256 = Hash::of(b"file");
    let (author, receiver) = two(&mut all, 0, 1);
    author.engine.attachment_stored(&author.store, sha256, &[]).unwrap();
    author.commit();
    let file = Attachment { name: "a.csv".into(), media_type: "text/csv".into(), size: 4, sha256 };
    let marking = Marking::Clear;
    author.command(Command::Say { dialogue, marking, words: words("see"), attachments: vec![file] }).unwrap();
    let push = author.plan(&receiver.did).unwrap();
    let reply = receiver.take(&author.did, &push.body).unwrap();
    author.settle(&receiver.did, push.token, &reply).unwrap();
    receiver.engine.attachment_stored(&receiver.store, sha256, std::slice::from_ref(&author.did)).unwrap();
    receiver.commit();
    // The batch with the receipt is lost a few times; the receipt stays the same.
    let issued = receipts(receiver, Direction::Issued);
    for _ in 0..3 {
        receiver.now_ms += 10_000;
        let push = receiver.plan(&author.did).unwrap();
        receiver.engine.failed(&author.did, push.token, receiver.now());
    }
    assert_eq!(receipts(receiver, Direction::Issued), issued + 1);
    receiver.now_ms += 10_000;
    talk(&mut all, 5);
    assert_eq!(all[0].store.file_receipts().count(), 1);
    assert!(talk(&mut all, 300) < 6, "it is not sent again and again");
}

#[test]
fn nothing_that_was_not_committed_leaves_and_nothing_committed_is_lost() {
    let mut all = parties(2);
    let dialogue = open_dialogue(&mut all, 2, Marking::Amber);
    let (sender, receiver) = two(&mut all, 0, 1);
    let said = sender.say(dialogue, "kept");
    let push = sender.plan(&receiver.did).unwrap();
    // The receiver dies before it commits: its answer never leaves, and the batch comes again.
    let batch = hiwar_dialogue::wire::verify_batch(&push.body, &receiver.engine.directory()).unwrap();
    receiver.engine.receive(&receiver.store, &sender.did, batch, receiver.now()).unwrap();
    let changes = receiver.engine.take_changes();
    receiver.store.apply(&changes).unwrap();
    receiver.restart();
    assert!(!receiver.store.holds(&said.id));
    sender.engine.failed(&receiver.did, push.token, sender.now());
    sender.restart();
    sender.now_ms += 2_000;
    talk(&mut all, 5);
    assert!(all[1].store.holds(&said.id));
    let proved = all[0].store.receipts().any(|(_, r)| {
        let items = &r.receipt.receipt.items;
        r.direction == Direction::Received
            && items.iter().any(|i| i.kind == ItemKind::Entry && i.hash == said.id.0)
    });
    assert!(proved);
}
