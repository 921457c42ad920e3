//! What every store must do, as one suite for all of them: each change shows in the view, a
//! transaction is kept or forgotten as a whole, and a mistake leaves the store usable.
//!
//! [`contract_suite`] runs fixed stories; [`model_test`] runs random ones against a model. Both
//! panic on the first thing that is wrong, as tests do.

#![expect(clippy::unwrap_used, reason = "this is test code that other crates run too")]

mod model;
pub(crate) mod samples;

use hiwar_dialogue::ledger::{
    Change, Delivery, Direction, OwnRecord, Seq, Standing, Store, StoredEntry, View as _,
};
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;

pub use model::model_test;
use samples::{Samples, did, kept};

/// Where stores of one kind are made.
pub trait Place {
    /// The kind of store.
    type Store: Store;

    /// A new store without anything in it.
    fn empty(&self) -> Self::Store;

    /// The store as it is after its process has ended and another has opened it: everything that
    /// was committed and nothing else.
    fn reopen(&self, store: Self::Store) -> Self::Store;
}

/// Runs every fixed story on stores of its own.
///
/// # Panics
/// When the store breaks the contract.
pub fn contract_suite<P: Place>(place: &P) {
    an_empty_store_has_nothing(place);
    entries_are_found_and_read_as_they_were_kept(place);
    an_entry_is_receipted_later(place);
    what_waits_is_read_in_order_and_within_its_limits(place);
    a_delivery_goes_from_pending_to_its_end_and_may_begin_again(place);
    receipts_keep_every_byte(place);
    leaves_and_tiles_are_read_back(place);
    files_are_wanted_and_stored(place);
    the_snapshot_has_the_newest_records(place);
    the_backlog_is_what_waits(place);
    an_alarm_that_is_not_there_is_not_acknowledged(place);
    a_transaction_shows_itself_and_is_forgotten_when_rolled_back(place);
    only_what_was_committed_is_there_after_opening_again(place);
    an_entry_kept_twice_is_an_error_that_harms_nothing(place);
}

fn seqs(entries: &[StoredEntry]) -> Vec<Seq> {
    entries.iter().map(|entry| entry.seq).collect()
}

/// Keeps `count` entries with their leaves and returns them.
fn fill(store: &mut impl Store, samples: &Samples, count: u8) -> Vec<StoredEntry> {
    let entries: Vec<StoredEntry> = (1..=count).map(|n| samples.entry(n.into(), 1, None, 40)).collect();
    for entry in &entries {
        store.apply(&kept(entry)).unwrap();
    }
    store.commit().unwrap();
    entries
}

fn an_empty_store_has_nothing<P: Place>(place: &P) {
    let mut store = place.empty();
    store.commit().unwrap();
    store.roll_back().unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.own, None);
    assert!(snapshot.peers.is_empty() && snapshot.dialogues.is_empty() && snapshot.backlog.is_empty());
    assert_eq!((snapshot.log_size, snapshot.last_seq, snapshot.last_receipt), (0, 0, 0));
    assert_eq!(store.entry(1).unwrap(), None);
    assert_eq!(store.receipt(1).unwrap(), None);
    assert_eq!(store.tile(1, 0, 0).unwrap(), None);
    assert_eq!(store.leaves(1, 0, 10).unwrap(), Vec::<String>::new());
    assert_eq!(store.attachment(&Hash::of(b"")).unwrap(), None);
    assert_eq!(store.delivery(&did(1), 1).unwrap(), None);
    assert_eq!(store.queued(&did(1), 0, 10, usize::MAX).unwrap(), []);
}

fn entries_are_found_and_read_as_they_were_kept<P: Place>(place: &P) {
    let samples = Samples::new();
    let mut store = place.empty();
    let here = samples.entry(1, 1, None, 0);
    let mut there = samples.entry(2, 2, Some(did(3)), 20_000);
    there.receipt = Some(7);
    there.log = 2;
    for entry in [&here, &there] {
        assert_eq!(store.find(&entry.id).unwrap(), None);
        store.apply(&[Change::Entry(Box::new(entry.clone()))]).unwrap();
        assert_eq!(store.find(&entry.id).unwrap(), Some(entry.seq));
    }
    store.commit().unwrap();
    let store = place.reopen(store);
    for entry in [here, there] {
        assert_eq!(store.find(&entry.id).unwrap(), Some(entry.seq));
        let read = store.entry(entry.seq).unwrap().unwrap();
        assert_eq!(read.signed().unwrap().id, entry.id);
        assert_eq!(read, entry);
    }
    assert_eq!(store.entry(3).unwrap(), None);
    assert_eq!(store.snapshot().unwrap().last_seq, 2);
}

fn an_entry_is_receipted_later<P: Place>(place: &P) {
    let samples = Samples::new();
    let mut store = place.empty();
    let mut entry = fill(&mut store, &samples, 1).remove(0);
    store.apply(&[Change::EntryReceipt { seq: 1, receipt: 12 }]).unwrap();
    store.commit().unwrap();
    entry.receipt = Some(12);
    assert_eq!(store.entry(1).unwrap(), Some(entry));
}

fn what_waits_is_read_in_order_and_within_its_limits<P: Place>(place: &P) {
    let samples = Samples::new();
    let mut store = place.empty();
    let entries = fill(&mut store, &samples, 6);
    let bytes = entries.first().unwrap().content.len();
    // Queued in another order than they were kept in, and for another peer as well.
    for seq in [5, 2, 6, 3] {
        store.apply(&[Change::Queue { peer: did(1), seq }]).unwrap();
    }
    store.apply(&[Change::Queue { peer: did(2), seq: 4 }]).unwrap();
    store.commit().unwrap();
    let queued = |after, count, bytes| seqs(&store.queued(&did(1), after, count, bytes).unwrap());
    assert_eq!(queued(0, 10, usize::MAX), [2, 3, 5, 6]);
    assert_eq!(queued(2, 10, usize::MAX), [3, 5, 6]);
    assert!(queued(6, 10, usize::MAX).is_empty());
    assert_eq!(queued(0, 3, usize::MAX), [2, 3, 5]);
    assert!(queued(0, 0, usize::MAX).is_empty());
    // At least one, however small the limit; about as many as fit otherwise.
    assert_eq!(queued(0, 10, 0), [2]);
    let within = queued(0, 10, bytes * 2 + bytes / 2);
    assert!(within == [2, 3] || within == [2, 3, 5], "{within:?}");
    assert_eq!(store.queued(&did(1), 0, 1, usize::MAX).unwrap().first(), entries.get(1));
    assert_eq!(seqs(&store.queued(&did(2), 0, 10, usize::MAX).unwrap()), [4]);
    assert_eq!(store.queued(&did(3), 0, 10, usize::MAX).unwrap(), []);
}

fn a_delivery_goes_from_pending_to_its_end_and_may_begin_again<P: Place>(place: &P) {
    let samples = Samples::new();
    let mut store = place.empty();
    fill(&mut store, &samples, 4);
    let receipt = samples.receipt(Direction::Received, &did(1), 9, &[]);
    store.apply(&[samples::receipt_change(5, Direction::Received, &did(1), &receipt)]).unwrap();
    let ends = [
        (1, Delivery::Receipted { receipt: 5 }),
        (2, Delivery::Refused { code: "above-cap".into(), detail: "the cap is green".into() }),
        (3, Delivery::Expired),
    ];
    for seq in 1..=4 {
        store.apply(&[Change::Queue { peer: did(1), seq }, Change::Queue { peer: did(2), seq }]).unwrap();
    }
    for (seq, delivery) in &ends {
        assert_eq!(store.delivery(&did(1), *seq).unwrap(), Some(Delivery::Pending));
        let end = Change::Delivered { peer: did(1), seq: *seq, delivery: delivery.clone() };
        store.apply(&[end]).unwrap();
    }
    store.commit().unwrap();
    let mut store = place.reopen(store);
    for (seq, delivery) in &ends {
        assert_eq!(store.delivery(&did(1), *seq).unwrap().as_ref(), Some(delivery));
        assert_eq!(store.delivery(&did(2), *seq).unwrap(), Some(Delivery::Pending));
        assert_eq!(store.delivery(&did(3), *seq).unwrap(), None);
    }
    assert_eq!(seqs(&store.queued(&did(1), 0, 10, usize::MAX).unwrap()), [4]);
    assert_eq!(seqs(&store.queued(&did(2), 0, 10, usize::MAX).unwrap()), [1, 2, 3, 4]);
    // A peer may ask again for what it refused or let expire.
    store.apply(&[Change::Queue { peer: did(1), seq: 3 }]).unwrap();
    assert_eq!(store.delivery(&did(1), 3).unwrap(), Some(Delivery::Pending));
    assert_eq!(seqs(&store.queued(&did(1), 0, 10, usize::MAX).unwrap()), [3, 4]);
    let receipted = Delivery::Receipted { receipt: 5 };
    store.apply(&[Change::Delivered { peer: did(1), seq: 3, delivery: receipted.clone() }]).unwrap();
    store.commit().unwrap();
    assert_eq!(store.delivery(&did(1), 3).unwrap(), Some(receipted));
    assert_eq!(seqs(&store.queued(&did(1), 0, 10, usize::MAX).unwrap()), [4]);
}

fn receipts_keep_every_byte<P: Place>(place: &P) {
    let samples = Samples::new();
    let mut store = place.empty();
    let issued = samples.receipt(Direction::Issued, &did(1), 70_000, &samples::items(300));
    let received = samples.receipt(Direction::Received, &did(2), 9, &samples::items(1));
    let changes = [
        samples::receipt_change(1, Direction::Issued, &did(1), &issued),
        samples::receipt_change(2, Direction::Received, &did(2), &received),
    ];
    store.apply(&changes).unwrap();
    store.commit().unwrap();
    let store = place.reopen(store);
    assert_eq!(store.receipt(1).unwrap(), Some((Direction::Issued, issued)));
    assert_eq!(store.receipt(2).unwrap(), Some((Direction::Received, received)));
    assert_eq!(store.receipt(3).unwrap(), None);
    assert_eq!(store.snapshot().unwrap().last_receipt, 2);
}

fn leaves_and_tiles_are_read_back<P: Place>(place: &P) {
    let mut store = place.empty();
    let data = |index: u64| format!("leaf {index} öre\u{0}");
    for (log, count) in [(1, 5), (2, 2)] {
        for index in 0..count {
            store.apply(&[Change::Leaf { log, index, data: data(index) }]).unwrap();
        }
    }
    let tile = |n: u8| (0..=255).map(|i| Hash::of(&[n, i])).collect::<Vec<_>>();
    for (log, level, index, n) in [(1, 0, 0, 1), (1, 0, 1, 2), (1, 1, 0, 3), (2, 0, 0, 4)] {
        store.apply(&[Change::Tile { log, level, index, hashes: tile(n) }]).unwrap();
    }
    store.commit().unwrap();
    let store = place.reopen(store);
    assert_eq!(store.leaves(1, 0, 100).unwrap(), [data(0), data(1), data(2), data(3), data(4)]);
    assert_eq!(store.leaves(1, 3, 1).unwrap(), [data(3)]);
    assert_eq!(store.leaves(1, 5, 1).unwrap(), Vec::<String>::new());
    assert_eq!(store.leaves(2, 1, 9).unwrap(), [data(1)]);
    for (log, level, index, n) in [(1, 0, 0, 1), (1, 0, 1, 2), (1, 1, 0, 3), (2, 0, 0, 4)] {
        assert_eq!(store.tile(log, level, index).unwrap(), Some(tile(n)));
    }
    assert_eq!(store.tile(2, 1, 0).unwrap(), None);
}

fn files_are_wanted_and_stored<P: Place>(place: &P) {
    let samples = Samples::new();
    let mut store = place.empty();
    let file = Hash::of(b"file");
    let wanted = |author: Option<Did>| Change::AttachmentWanted {
        sha256: file,
        size: 4,
        dialogue: samples.dialogue(1),
        author,
    };
    store.apply(&[wanted(Some(did(1))), wanted(Some(did(1))), wanted(None)]).unwrap();
    assert_eq!(store.attachment(&file).unwrap(), None);
    store.apply(&[Change::AttachmentStored { sha256: file, leaf: 17 }]).unwrap();
    assert_eq!(store.attachment(&file).unwrap(), Some(17));
    let receipt = samples.receipt(Direction::Received, &did(1), 9, &[]);
    store
        .apply(&[
            wanted(Some(did(2))),
            samples::receipt_change(1, Direction::Received, &did(1), &receipt),
            Change::AttachmentReceipted { peer: did(1), sha256: file, receipt: 1 },
            Change::AttachmentReceipted { peer: did(1), sha256: file, receipt: 1 },
        ])
        .unwrap();
    store.commit().unwrap();
    assert_eq!(place.reopen(store).attachment(&file).unwrap(), Some(17));
}

fn the_snapshot_has_the_newest_records<P: Place>(place: &P) {
    let samples = Samples::new();
    let mut store = place.empty();
    let own = OwnRecord { cards: vec![samples.card(0, 0)], log: 1, halted: None };
    store.apply(&[Change::Own(Box::new(own))]).unwrap();
    for n in 1..=2 {
        store.apply(&[Change::Peer(Box::new(samples.peer(n)))]).unwrap();
        store.apply(&[Change::Dialogue(Box::new(samples.dialogue_record(n, 1)))]).unwrap();
    }
    for (log, count) in [(1, 4), (2, 3)] {
        let leaf = |index| Change::Leaf { log, index, data: "x".into() };
        store.apply(&(0..count).map(leaf).collect::<Vec<_>>()).unwrap();
    }
    assert_eq!(store.snapshot().unwrap().log_size, 4);
    let own = OwnRecord { cards: vec![samples.card(0, 0)], log: 2, halted: Some("restored".into()) };
    let mut peer = samples.peer(2);
    peer.standing = Standing::Distrusted { code: "fork".into() };
    peer.settled_through = 3;
    peer.owed_attachments.insert(Hash::of(b"file"), 3);
    let dialogue = samples.dialogue_record(1, 9);
    store
        .apply(&[
            Change::Own(Box::new(own.clone())),
            Change::Peer(Box::new(peer.clone())),
            Change::Dialogue(Box::new(dialogue.clone())),
            Change::Alarm(Box::new(samples.alarm(1))),
        ])
        .unwrap();
    store.commit().unwrap();
    let store = place.reopen(store);
    let mut snapshot = store.snapshot().unwrap();
    snapshot.peers.sort_by(|a, b| a.did.cmp(&b.did));
    snapshot.dialogues.sort_by_key(|d| d.entries);
    assert_eq!(snapshot.own, Some(own));
    assert_eq!(snapshot.peers, [samples.peer(1), peer]);
    assert_eq!(snapshot.dialogues, [samples.dialogue_record(2, 1), dialogue]);
    assert_eq!(snapshot.log_size, 3);
}

fn an_alarm_that_is_not_there_is_not_acknowledged<P: Place>(place: &P) {
    let samples = Samples::new();
    let mut store = place.empty();
    let acknowledged = |alarm| samples::acknowledged(alarm, samples.acknowledgement(Some("duty")));
    store.apply(&[Change::Alarm(Box::new(samples.alarm(1))), acknowledged(1), acknowledged(1)]).unwrap();
    store.commit().unwrap();
    for missing in [0, 2] {
        assert!(store.apply(&[acknowledged(missing)]).is_err());
        store.roll_back().unwrap();
    }
    store.apply(&[Change::Alarm(Box::new(samples.alarm(2))), acknowledged(2)]).unwrap();
    store.commit().unwrap();
}

fn the_backlog_is_what_waits<P: Place>(place: &P) {
    let samples = Samples::new();
    let mut store = place.empty();
    fill(&mut store, &samples, 5);
    for n in 1..=3 {
        store.apply(&[Change::Peer(Box::new(samples.peer(n)))]).unwrap();
    }
    for seq in 1..=5 {
        store.apply(&[Change::Queue { peer: did(1), seq }]).unwrap();
    }
    store.apply(&[Change::Queue { peer: did(2), seq: 1 }]).unwrap();
    for seq in [1, 2] {
        store.apply(&[Change::Delivered { peer: did(1), seq, delivery: Delivery::Expired }]).unwrap();
    }
    store.apply(&[Change::Delivered { peer: did(2), seq: 1, delivery: Delivery::Expired }]).unwrap();
    let mut peer = samples.peer(1);
    peer.settled_through = 2;
    store.apply(&[Change::Peer(Box::new(peer))]).unwrap();
    store.commit().unwrap();
    let backlog = place.reopen(store).snapshot().unwrap().backlog;
    let of = |n| backlog.get(&did(n)).copied().unwrap_or(0);
    assert_eq!((of(1), of(2), of(3)), (3, 0, 0));
}

fn a_transaction_shows_itself_and_is_forgotten_when_rolled_back<P: Place>(place: &P) {
    let samples = Samples::new();
    let mut store = place.empty();
    fill(&mut store, &samples, 1);
    // Everything new: names that were never met before must be forgotten as well.
    let entry = samples.entry(2, 9, Some(did(9)), 0);
    for _ in 0..2 {
        store.apply(&kept(&entry)).unwrap();
        let more = [
            Change::Queue { peer: did(8), seq: 2 },
            Change::EntryReceipt { seq: 1, receipt: 3 },
            Change::Peer(Box::new(samples.peer(8))),
            Change::Own(Box::new(OwnRecord { cards: Vec::new(), log: 1, halted: None })),
            Change::AttachmentStored { sha256: Hash::of(b"x"), leaf: 1 },
        ];
        store.apply(&more).unwrap();
        assert_eq!(store.find(&entry.id).unwrap(), Some(2));
        assert_eq!(store.entry(2).unwrap().as_ref(), Some(&entry));
        assert_eq!(store.delivery(&did(8), 2).unwrap(), Some(Delivery::Pending));
        let snapshot = store.snapshot().unwrap();
        assert_eq!((snapshot.last_seq, snapshot.log_size, snapshot.peers.len()), (2, 2, 1));
        store.roll_back().unwrap();
        assert_eq!(store.find(&entry.id).unwrap(), None);
        assert_eq!(store.entry(2).unwrap(), None);
        assert_eq!(store.entry(1).unwrap().unwrap().receipt, None);
        assert_eq!(store.delivery(&did(8), 2).unwrap(), None);
        assert_eq!(store.attachment(&Hash::of(b"x")).unwrap(), None);
        let snapshot = store.snapshot().unwrap();
        assert_eq!((snapshot.last_seq, snapshot.own, snapshot.peers.len()), (1, None, 0));
        assert_eq!(store.leaves(1, 0, 9).unwrap().len(), 1);
    }
    // And the numbers they had are given to others.
    let other = samples.entry(2, 7, Some(did(7)), 0);
    store.apply(&kept(&other)).unwrap();
    store.commit().unwrap();
    store.roll_back().unwrap();
    assert_eq!(place.reopen(store).entry(2).unwrap(), Some(other));
}

fn only_what_was_committed_is_there_after_opening_again<P: Place>(place: &P) {
    let samples = Samples::new();
    let mut store = place.empty();
    fill(&mut store, &samples, 2);
    store.apply(&kept(&samples.entry(3, 1, None, 0))).unwrap();
    store.apply(&[Change::Queue { peer: did(1), seq: 3 }]).unwrap();
    let mut store = place.reopen(store);
    assert_eq!(store.snapshot().unwrap().last_seq, 2);
    assert_eq!(store.entry(3).unwrap(), None);
    assert_eq!(store.queued(&did(1), 0, 9, usize::MAX).unwrap(), []);
    assert_eq!(store.leaves(1, 0, 9).unwrap().len(), 2);
    store.apply(&kept(&samples.entry(3, 1, None, 0))).unwrap();
    store.commit().unwrap();
    assert_eq!(place.reopen(store).snapshot().unwrap().last_seq, 3);
}

fn an_entry_kept_twice_is_an_error_that_harms_nothing<P: Place>(place: &P) {
    let samples = Samples::new();
    let mut store = place.empty();
    let entries = fill(&mut store, &samples, 2);
    let mut again = entries.first().unwrap().clone();
    again.seq = 3;
    let fresh = samples.entry(3, 1, None, 0);
    store.apply(&kept(&fresh)).unwrap();
    assert!(store.apply(&[Change::Entry(Box::new(again))]).is_err());
    store.roll_back().unwrap();
    assert_eq!(store.find(&fresh.id).unwrap(), None);
    assert_eq!(store.find(&entries.first().unwrap().id).unwrap(), Some(1));
    store.apply(&kept(&fresh)).unwrap();
    store.commit().unwrap();
    let store = place.reopen(store);
    assert_eq!(store.snapshot().unwrap().last_seq, 3);
    assert_eq!(store.entry(3).unwrap(), Some(fresh));
}
