//! A sound store passes the check, and each kind of damage is named.

use std::path::Path;

use hiwar_dialogue::ledger::{Change, Delivery, Direction, OwnRecord, Store as _};
use hiwar_trust::hash::Hash;
use hiwar_trust::merkle::leaf_hash;
use hiwar_trust::receipt::{ItemKind, ReceiptItem};
use hiwar_trust::tiles::LogTail;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::contract::samples::{Samples, did, receipt_change};
use crate::sqlite::DATABASE_FILE;
use crate::{CheckReport, SqliteReader, SqliteStore};

/// A store with 300 entries, all receipted by participant 1, and a file.
fn sound() -> (TempDir, Hash) {
    let dir = tempfile::tempdir().unwrap();
    let samples = Samples::new();
    let mut store = SqliteStore::open(dir.path()).unwrap();
    let mut tail = LogTail::new();
    let own = OwnRecord { cards: vec![samples.card(0, 0)], log: 1, halted: None };
    let mut changes = vec![Change::Own(Box::new(own)), Change::Peer(Box::new(samples.peer(1)))];
    let mut items = Vec::new();
    let mut add_leaf = |data: String, changes: &mut Vec<Change>| {
        let appended = tail.append(leaf_hash(data.as_bytes()));
        changes.push(Change::Leaf { log: 1, index: appended.index, data });
        changes.extend(appended.full_tiles.into_iter().map(|full| Change::Tile {
            log: 1,
            level: full.tile.level(),
            index: full.tile.index(),
            hashes: full.hashes,
        }));
        (appended.index, tail.root())
    };
    for seq in 1..=300 {
        let mut entry = samples.entry(seq, 1, None, 0);
        entry.receipt = Some(2);
        entry.leaf = add_leaf(format!("entry {}", entry.id), &mut changes).0;
        items.push(ReceiptItem { kind: ItemKind::Entry, hash: entry.id.0, leaf: entry.leaf });
        changes.push(Change::Entry(Box::new(entry)));
        changes.push(Change::Queue { peer: did(1), seq });
    }
    for (number, direction) in [(1, Direction::Received), (2, Direction::Issued)] {
        let receipt = samples.receipt(direction, &did(1), 900, &items);
        changes.push(receipt_change(number, direction, &did(1), &receipt));
    }
    for seq in 1..=300 {
        let delivery = Delivery::Receipted { receipt: 1 };
        changes.push(Change::Delivered { peer: did(1), seq, delivery });
    }
    let file = Hash::of(b"file");
    let (leaf, root) = add_leaf(format!("attachment {file}"), &mut changes);
    changes.push(Change::AttachmentStored { sha256: file, leaf });
    store.apply(&changes).unwrap();
    store.commit().unwrap();
    (dir, root)
}

fn check(dir: &Path) -> CheckReport {
    SqliteReader::open(dir).unwrap().check().unwrap()
}

#[test]
fn a_sound_store_passes() {
    let (dir, root) = sound();
    let report = check(dir.path());
    assert_eq!(report.problems, [""; 0]);
    assert_eq!((report.leaves, report.entries, report.receipts), (301, 300, 2));
    assert_eq!((report.root, report.problem_count), (root, 0));
    assert_eq!(SqliteReader::open(dir.path()).unwrap().integrity_check().unwrap(), [""; 0]);
}

#[test]
fn every_kind_of_damage_is_named() {
    for (damage, said) in [
        ("UPDATE entry SET content = zeroblob(3) WHERE seq = 7", "position 7: its bytes have changed"),
        ("UPDATE entry SET mark = mark + 1 WHERE seq = 7", "position 7: it is not found"),
        ("UPDATE entry SET leaf = 8 WHERE seq = 7", "position 7: leaf 8 of log 1 is not its own"),
        ("UPDATE entry SET receipt = 1 WHERE seq = 7", "position 7: receipt 1 does not cover it"),
        ("UPDATE entry SET receipt = 9 WHERE seq = 7", "position 7: receipt 9 does not cover it"),
        ("UPDATE delivery SET receipt = 2 WHERE seq = 7", "position 7: receipt 2 does not cover it"),
        (
            "UPDATE leaf SET data = 'entry' WHERE position = 3",
            "stored tile/0/000 is not what its leaves give",
        ),
        ("DELETE FROM leaf WHERE position = 9", "leaf 9 is missing"),
        ("DELETE FROM tile", "stored tile/0/000 is not what its leaves give"),
        ("UPDATE tile SET hashes = zeroblob(8192)", "stored tile/0/000 is not what its leaves give"),
        (
            "INSERT INTO tile VALUES (1, 1, 0, zeroblob(8192))",
            "2 tiles are stored, and its leaves give only 1",
        ),
        ("INSERT INTO leaf VALUES (2, 0, 'x')", "1 leaves belong to logs after the current one, 1"),
        ("UPDATE receipt SET items = substr(items, 42) WHERE number = 1", "receipt 1: the items are not"),
        ("UPDATE receipt SET items = x'00' WHERE number = 1", "the items of receipt 1 are no items"),
        ("UPDATE receipt SET note = 'x' WHERE number = 2", "receipt 2: "),
        ("UPDATE attachment_stored SET leaf = 1", "leaf 1 is not its own"),
    ] {
        let (dir, _) = sound();
        let connection = Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
        connection.execute_batch(damage).unwrap();
        drop(connection);
        let report = check(dir.path());
        assert!(report.problems.iter().any(|p| p.contains(said)), "{damage}: {:?}", report.problems.first());
        // One cause is not reported once for each entry it touches.
        assert!(report.problem_count < 10, "{damage}: {}", report.problem_count);
    }
}
