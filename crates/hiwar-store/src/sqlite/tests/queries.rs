//! What the local interface asks.

use hiwar_dialogue::ledger::{Change, Delivery, Direction, OwnRecord, Seq, Store as _, StoredEntry};
use hiwar_trust::hash::Hash;
use hiwar_trust::time::Timestamp;

use crate::contract::samples::{Samples, acknowledged, did, items, kept, receipt_change};
use crate::{Counts, KeptAlarm, ReceiptTime, SqliteReader, SqliteStore, WantedAttachment};

fn seqs(entries: &[StoredEntry]) -> Vec<Seq> {
    entries.iter().map(|entry| entry.seq).collect()
}

/// Six entries in two dialogues in turn, the odd ones in dialogue 1.
fn filled(dir: &std::path::Path, samples: &Samples) -> (SqliteStore, SqliteReader) {
    let mut store = SqliteStore::open(dir).unwrap();
    let own = OwnRecord { cards: vec![samples.card(0, 0)], log: 1, halted: None };
    store.apply(&[Change::Own(Box::new(own))]).unwrap();
    for seq in 1..=6 {
        let dialogue = if seq % 2 == 1 { 1 } else { 2 };
        store.apply(&kept(&samples.entry(seq, dialogue, None, 10))).unwrap();
    }
    for peer in 1..=3 {
        store.apply(&[Change::Peer(Box::new(samples.peer(peer)))]).unwrap();
    }
    store.commit().unwrap();
    (store, SqliteReader::open(dir).unwrap())
}

#[test]
fn entries_are_listed_by_dialogue_and_in_all() {
    let (dir, samples) = (tempfile::tempdir().unwrap(), Samples::new());
    let (_store, reader) = filled(dir.path(), &samples);
    let of = |n, after, count| seqs(&reader.dialogue_entries(&samples.dialogue(n), after, count).unwrap());
    assert_eq!(of(1, 0, 9), [1, 3, 5]);
    assert_eq!(of(1, 1, 1), [3]);
    assert_eq!(of(2, 2, 9), [4, 6]);
    assert!(of(3, 0, 9).is_empty());
    assert_eq!(seqs(&reader.all_entries(4, 9).unwrap()), [5, 6]);
    let counts = reader.counts().unwrap();
    assert_eq!(counts, Counts { entries: 6, leaves: 6, queued: 0, alarms: 0, unacknowledged: 0 });
}

#[test]
fn deliveries_and_receipts_of_an_entry_are_found() {
    let (dir, samples) = (tempfile::tempdir().unwrap(), Samples::new());
    let (mut store, reader) = filled(dir.path(), &samples);
    let received = samples.receipt(Direction::Received, &did(1), 9, &items(2));
    let issued = samples.receipt(Direction::Issued, &did(2), 9, &items(2));
    let end = |peer, seq, delivery| Change::Delivered { peer: did(peer), seq, delivery };
    let queue = |peer, seq| Change::Queue { peer: did(peer), seq };
    store
        .apply(&[
            receipt_change(1, Direction::Received, &did(1), &received),
            receipt_change(2, Direction::Issued, &did(2), &issued),
            queue(1, 3),
            queue(2, 3),
            queue(3, 3),
            queue(3, 4),
            end(1, 3, Delivery::Receipted { receipt: 1 }),
            end(3, 3, Delivery::Expired),
            queue(3, 3),
            Change::EntryReceipt { seq: 3, receipt: 2 },
        ])
        .unwrap();
    store.commit().unwrap();
    let expected = [
        (did(1), Delivery::Receipted { receipt: 1 }),
        (did(2), Delivery::Pending),
        (did(3), Delivery::Pending),
    ];
    assert_eq!(reader.deliveries(3).unwrap(), expected);
    assert_eq!(reader.deliveries(4).unwrap(), [(did(3), Delivery::Pending)]);
    assert_eq!(reader.deliveries(1).unwrap(), []);
    let expected = [(did(1), Direction::Received, 1), (did(2), Direction::Issued, 2)];
    assert_eq!(reader.receipts_of(3).unwrap(), expected);
    assert_eq!(reader.receipts_of(4).unwrap(), []);
    let time = Timestamp::from_millis(1_561_942_800_123);
    let expected =
        expected.map(|(peer, direction, receipt)| ReceiptTime { seq: 3, peer, direction, receipt, time });
    assert_eq!(reader.receipt_times(&[4, 3]).unwrap(), expected);
    assert_eq!(reader.counts().unwrap().queued, 3);
}

#[test]
fn alarms_are_listed_in_order() {
    let (dir, samples) = (tempfile::tempdir().unwrap(), Samples::new());
    let (mut store, reader) = filled(dir.path(), &samples);
    store.apply(&[1, 2, 3].map(|n| Change::Alarm(Box::new(samples.alarm(n))))).unwrap();
    store.commit().unwrap();
    let open = |n: u8| KeptAlarm { number: n.into(), alarm: samples.alarm(n), acknowledged: None };
    assert_eq!(reader.alarms(0, 2, false).unwrap(), [open(1), open(2)]);
    assert_eq!(reader.alarms(2, 9, false).unwrap(), [open(3)]);
    assert_eq!(reader.alarm(2).unwrap(), Some(open(2)));
    assert_eq!(reader.alarm(4).unwrap(), None);
    assert_eq!(reader.alarm(u64::MAX).unwrap(), None);
    let counts = reader.counts().unwrap();
    assert_eq!((counts.alarms, counts.unacknowledged), (3, 3));
}

#[test]
fn an_acknowledged_alarm_stays_with_who_saw_to_it_first() {
    let (dir, samples) = (tempfile::tempdir().unwrap(), Samples::new());
    let (mut store, reader) = filled(dir.path(), &samples);
    store.apply(&[1, 2, 3].map(|n| Change::Alarm(Box::new(samples.alarm(n))))).unwrap();
    let by_desk = samples.acknowledgement(Some("duty"));
    for acknowledgement in [by_desk.clone(), samples.acknowledgement(None)] {
        store.apply(&[acknowledged(2, acknowledgement)]).unwrap();
    }
    store.commit().unwrap();
    assert_eq!(reader.alarm(2).unwrap().unwrap().acknowledged, Some(by_desk));
    let numbers = |open_only| -> Vec<u64> {
        reader.alarms(0, 9, open_only).unwrap().iter().map(|kept| kept.number).collect()
    };
    assert_eq!(numbers(false), [1, 2, 3]);
    assert_eq!(numbers(true), [1, 3]);
    let counts = reader.counts().unwrap();
    assert_eq!((counts.alarms, counts.unacknowledged), (3, 2));
    assert_eq!(store.snapshot().unwrap().log_size, 6, "an acknowledgement is no leaf");
}

#[test]
fn a_file_is_wanted_until_it_is_here_and_stays_with_its_dialogues() {
    let (dir, samples) = (tempfile::tempdir().unwrap(), Samples::new());
    let (mut store, reader) = filled(dir.path(), &samples);
    let sha256 = Hash::of(b"file");
    let wanted =
        |n, author| Change::AttachmentWanted { sha256, size: 4, dialogue: samples.dialogue(n), author };
    store.apply(&[wanted(1, Some(did(1))), wanted(1, Some(did(1))), wanted(2, None)]).unwrap();
    store.commit().unwrap();
    let listed = |n, author| WantedAttachment { sha256, size: 4, author, dialogue: samples.dialogue(n) };
    assert_eq!(reader.wanted_attachments(9).unwrap(), [listed(1, Some(did(1))), listed(2, None)]);
    assert_eq!(reader.wanted_attachments(1).unwrap().len(), 1);
    store.apply(&[Change::AttachmentStored { sha256, leaf: 1 }, wanted(3, Some(did(2)))]).unwrap();
    let receipt = samples.receipt(Direction::Received, &did(3), 9, &[]);
    store
        .apply(&[
            receipt_change(1, Direction::Received, &did(3), &receipt),
            Change::AttachmentReceipted { peer: did(3), sha256, receipt: 1 },
        ])
        .unwrap();
    store.commit().unwrap();
    assert_eq!(reader.wanted_attachments(9).unwrap(), []);
    let dialogues = [1, 2, 3].map(|n| samples.dialogue(n));
    assert_eq!(reader.attachment_dialogues(&sha256).unwrap(), dialogues);
    assert_eq!(reader.attachment_receipts(&sha256).unwrap(), [(did(3), 1)]);
    assert_eq!(reader.attachment_receipts(&Hash::of(b"x")).unwrap(), []);
}
