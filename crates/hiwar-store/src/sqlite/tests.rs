//! What is SQLite's own, beside the contract of every store.

mod check;
mod queries;

use std::path::Path;

use hiwar_dialogue::entry::EntryId;
use hiwar_dialogue::ledger::{Change, Store as _, StoreError, StoredEntry, View as _};
use hiwar_trust::hash::Hash;
use hiwar_trust::key::{KeyId, Signature};
use hiwar_trust::time::Timestamp;
use tempfile::TempDir;

use super::migrate::{MIGRATIONS, Migration, migrate};
use super::*;
use crate::contract::{Place, contract_suite, model_test};
use crate::error::{Holder, StorageError};

/// Makes stores in folders of their own, which stay until the place is dropped.
struct Folders {
    root: TempDir,
    made: std::cell::Cell<u32>,
}

impl Folders {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), made: std::cell::Cell::new(0) }
    }
}

impl Place for Folders {
    type Store = SqliteStore;

    fn empty(&self) -> SqliteStore {
        self.made.set(self.made.get() + 1);
        SqliteStore::open(&self.root.path().join(self.made.get().to_string())).unwrap()
    }

    fn reopen(&self, store: SqliteStore) -> SqliteStore {
        let dir = store.dir().to_owned();
        drop(store);
        SqliteStore::open(&dir).unwrap()
    }
}

#[test]
fn the_store_keeps_the_contract() {
    contract_suite(&Folders::new());
}

#[test]
fn the_store_does_what_a_model_does() {
    model_test(&Folders::new(), 40);
}

fn entry(seq: u64, id: [u8; 32]) -> StoredEntry {
    StoredEntry {
        seq,
        id: EntryId(Hash(id)),
        dialogue: EntryId(Hash([1; 32])),
        content: b"{}".as_slice().into(),
        key: KeyId(Hash([2; 32])),
        signature: Signature::from_bytes([3; 64]),
        log: 1,
        leaf: seq,
        via: None,
        received: Timestamp::from_millis(0),
        receipt: None,
    }
}

#[test]
fn identifiers_that_begin_alike_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(dir.path()).unwrap();
    // The mark of eight bytes 0x7f ff … is the highest; the next is the lowest.
    let id = |first: u8, last: u8| {
        let mut id = [0xff; 32];
        (id[0], id[31]) = (first, last);
        id
    };
    let ids = [id(0x7f, 1), id(0x7f, 2), id(0x7f, 3), id(0xff, 1), id(0xff, 2)];
    let mut lowest = [0; 32];
    lowest[0] = 0x80;
    for (seq, id) in (1..).zip(ids.into_iter().chain([lowest])) {
        assert_eq!(store.find(&EntryId(Hash(id))).unwrap(), None);
        store.apply(&[Change::Entry(Box::new(entry(seq, id)))]).unwrap();
        assert_eq!(store.find(&EntryId(Hash(id))).unwrap(), Some(seq));
    }
    store.commit().unwrap();
    for (seq, id) in (1..).zip(ids.into_iter().chain([lowest])) {
        assert_eq!(store.find(&EntryId(Hash(id))).unwrap(), Some(seq));
        assert!(store.apply(&[Change::Entry(Box::new(entry(9, id)))]).is_err());
        store.roll_back().unwrap();
    }
}

#[test]
fn after_a_failed_change_only_rolling_back_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(dir.path()).unwrap();
    store.apply(&[Change::Entry(Box::new(entry(1, [1; 32])))]).unwrap();
    let error = store.apply(&[Change::Entry(Box::new(entry(2, [1; 32])))]).unwrap_err();
    assert!(error.to_string().contains("held at position 1"), "{error}");
    assert!(store.apply(&[Change::Entry(Box::new(entry(3, [3; 32])))]).is_err());
    assert!(store.commit().is_err());
    assert_eq!(store.snapshot().unwrap().last_seq, 0);
    store.apply(&[Change::Entry(Box::new(entry(1, [1; 32])))]).unwrap();
    store.commit().unwrap();
    assert_eq!(store.snapshot().unwrap().last_seq, 1);
}

#[test]
fn a_folder_is_open_once_and_the_refusal_names_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    match SqliteStore::open(dir.path()).err().unwrap() {
        StorageError::InUse { holder, .. } => assert_eq!(holder, Holder(Some(std::process::id()))),
        other => panic!("{other}"),
    }
    // Readers are welcome, before and after.
    let reader = SqliteReader::open(dir.path()).unwrap();
    drop(store);
    drop(SqliteStore::open(dir.path()).unwrap());
    assert_eq!(reader.entry(1).unwrap(), None);
}

#[test]
fn a_reader_sees_what_is_committed_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(SqliteReader::open(dir.path()).err(), Some(StorageError::NoStore { .. })));
    let mut store = SqliteStore::open(dir.path()).unwrap();
    let reader = SqliteReader::open(dir.path()).unwrap();
    store.apply(&[Change::Entry(Box::new(entry(1, [1; 32])))]).unwrap();
    assert_eq!(reader.entry(1).unwrap(), None);
    store.commit().unwrap();
    assert_eq!(reader.entry(1).unwrap(), Some(entry(1, [1; 32])));
    assert_eq!(reader.find(&EntryId(Hash([1; 32]))).unwrap(), Some(1));
}

#[test]
fn migrations_apply_to_an_empty_database_once() {
    let dir = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(dir.path()).unwrap());
    let count = || -> (i64, i64) {
        let connection = rusqlite::Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
        let sql = "SELECT (SELECT count(*) FROM migration), (SELECT count(*) FROM sqlite_schema)";
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    let first = count();
    assert_eq!(first.0, i64::try_from(MIGRATIONS.len()).unwrap());
    drop(SqliteStore::open(dir.path()).unwrap());
    assert_eq!(count(), first);
}

#[test]
fn versions_have_no_gaps() {
    let versions: Vec<i64> = MIGRATIONS.iter().map(|m| m.version).collect();
    assert_eq!(versions, (1..=i64::try_from(MIGRATIONS.len()).unwrap()).collect::<Vec<_>>());
}

const STEPS: &[Migration] = &[
    Migration { version: 1, name: "one", sql: "CREATE TABLE one (a);" },
    Migration { version: 2, name: "two", sql: "CREATE TABLE two (a); INSERT INTO two VALUES (1);" },
];

#[test]
fn migrations_only_go_forward_and_never_change() {
    let mut connection = rusqlite::Connection::open_in_memory().unwrap();
    let path = Path::new("test.db");
    let (first, _) = STEPS.split_at(1);
    migrate(&mut connection, path, first).unwrap();
    migrate(&mut connection, path, STEPS).unwrap();
    migrate(&mut connection, path, STEPS).unwrap();
    let rows: i64 = connection.query_row("SELECT count(*) FROM two", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
    let older = migrate(&mut connection, path, first);
    assert!(matches!(older, Err(StorageError::NewerSchema { found: 2, known: 1, .. })), "{older:?}");
    let changed = [
        Migration { version: 1, name: "one", sql: "CREATE TABLE one (b);" },
        Migration { version: 2, name: "two", sql: STEPS[1].sql },
    ];
    let refused = migrate(&mut connection, path, &changed);
    assert!(matches!(refused, Err(StorageError::ChangedMigration { version: 1, .. })), "{refused:?}");
}

#[test]
fn a_migration_that_fails_leaves_nothing() {
    let mut connection = rusqlite::Connection::open_in_memory().unwrap();
    let path = Path::new("test.db");
    let broken = [Migration { version: 1, name: "one", sql: "CREATE TABLE one (a); CREATE TABLE one (a);" }];
    assert!(migrate(&mut connection, path, &broken).is_err());
    migrate(&mut connection, path, STEPS).unwrap();
}

#[test]
fn a_backup_of_an_earlier_version_is_restored_and_brought_up_to_date() {
    let (backup, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = backup.path().join(DATABASE_FILE);
    let (first, _) = MIGRATIONS.split_at(1);
    migrate(&mut rusqlite::Connection::open(&path).unwrap(), &path, first).unwrap();
    assert!(matches!(SqliteReader::open(backup.path()).err(), Some(StorageError::OlderSchema { .. })));
    SqliteReader::open_backup(backup.path()).unwrap();
    crate::backup::restore_in_place(backup.path(), dir.path()).unwrap();
    drop(SqliteStore::open(dir.path()).unwrap());
    assert_eq!(SqliteReader::open(dir.path()).unwrap().alarms(0, 9, true).unwrap(), []);
}

#[test]
fn foreign_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(DATABASE_FILE);
    std::fs::write(&path, [b'x'; 5000]).unwrap();
    let text = SqliteStore::open(dir.path()).err().unwrap();
    assert!(matches!(text, StorageError::NotOurs { .. }), "{text}");
    assert!(matches!(SqliteReader::open(dir.path()).err(), Some(StorageError::NotOurs { .. })));
    std::fs::remove_file(&path).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE other (a)").unwrap();
    drop(other);
    assert!(matches!(SqliteStore::open(dir.path()).err(), Some(StorageError::NotOurs { .. })));
}

#[test]
fn a_full_database_is_said_to_be_full_and_nothing_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(dir.path()).unwrap();
    store.limit_pages(64).unwrap();
    let mut large = entry(1, [1; 32]);
    large.content = vec![b'x'; 400_000].into();
    let error = store.apply(&[Change::Entry(Box::new(large))]).unwrap_err();
    assert!(matches!(error, StoreError::Full(_)), "{error}");
    store.roll_back().unwrap();
    store.apply(&[Change::Entry(Box::new(entry(1, [1; 32])))]).unwrap();
    store.commit().unwrap();
    assert_eq!(store.entry(1).unwrap(), Some(entry(1, [1; 32])));
}

#[test]
fn damage_is_called_damage() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(dir.path()).unwrap();
    for seq in 1..200_u8 {
        store.apply(&[Change::Entry(Box::new(entry(seq.into(), [seq; 32])))]).unwrap();
    }
    store.commit().unwrap();
    drop(store);
    let path = dir.path().join(DATABASE_FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    // The schema in front stays whole, so that the store can be opened.
    bytes.iter_mut().skip(32 * 4096).for_each(|byte| *byte ^= 0x5a);
    std::fs::write(&path, bytes).unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    let error = (1..200).find_map(|seq| store.entry(seq).err()).unwrap();
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");
}
