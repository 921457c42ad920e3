//! What is SQLite's own, beside the contract of every store.

use super::*;
use hiwar_dialogue::ledger::{Change, Store as _, View as _};

#[test]
fn an_empty_folder_becomes_a_store_and_opening_it_again_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(dir.path()).unwrap();
    store.apply(&[Change::Leaf { log: 1, index: 0, data: "card x".into() }]).unwrap();
    store.commit().unwrap();
    drop(store);
    let store = SqliteStore::open(dir.path()).unwrap();
    assert_eq!(store.leaves(1, 0, 9).unwrap(), ["card x"]);
    assert_eq!(store.snapshot().unwrap().last_seq, 0);
}
