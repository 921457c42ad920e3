use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use hiwar_dataspace::ledger::{Ledger as _, LedgerError, Note};

use super::*;

fn note(text: &str) -> Note {
    Note::Agreed { agreement: text.into() }
}

fn notes(reader: &DataspaceReader) -> Vec<Note> {
    reader.notes_waiting(0, usize::MAX).unwrap().into_iter().map(|w| w.note).collect()
}

#[test]
fn a_job_that_fails_is_undone_and_the_others_of_its_transaction_stand() {
    let root = tempfile::tempdir().unwrap();
    let mut store = DataspaceStore::open(root.path()).unwrap();
    let reader = DataspaceReader::open(root.path()).unwrap();
    store.begin().unwrap();
    store.job(|tx| tx.note(&note("first"))).unwrap();
    let failed: Result<(), LedgerError> = store.job(|tx| {
        tx.note(&note("second"))?;
        tx.put_dataset(&dataset(1), "{}", "key", "{}")?;
        Err(LedgerError("no".into()))
    });
    assert_eq!(failed.unwrap_err().0, "no");
    store.job(|tx| tx.note(&note("third"))).unwrap();
    assert!(notes(&reader).is_empty(), "nothing is seen before the commit");
    store.commit().unwrap();
    assert_eq!(notes(&reader), [note("first"), note("third")]);
    assert!(reader.policies().unwrap().is_empty());

    store.job(|tx| tx.note(&note("fourth"))).unwrap();
    store.rollback().unwrap();
    store.commit().unwrap();
    assert_eq!(notes(&reader).len(), 2);
}

#[test]
fn what_was_committed_is_there_after_a_kill_and_what_was_not_is_gone() {
    let root = tempfile::tempdir().unwrap();
    let mut store = DataspaceStore::open(root.path()).unwrap();
    store.job(|tx| tx.note(&note("kept"))).unwrap();
    store.commit().unwrap();
    store.job(|tx| tx.note(&note("lost"))).unwrap();
    // The files as a killed process leaves them: nothing closed, nothing carried over.
    let left = tempfile::tempdir().unwrap();
    for suffix in ["", "-wal"] {
        let name = format!("{DATASPACE_FILE}{suffix}");
        fs::copy(root.path().join(&name), left.path().join(&name)).unwrap();
    }
    let store = DataspaceStore::open(left.path()).unwrap();
    assert_eq!(notes(store.view()), [note("kept")]);
}

#[test]
fn a_full_disk_fails_the_transaction_and_later_ones_go_on() {
    let root = tempfile::tempdir().unwrap();
    let mut store = DataspaceStore::open(root.path()).unwrap();
    store.job(|tx| tx.note(&note("before"))).unwrap();
    store.commit().unwrap();
    store.limit_pages(60);
    let long = "x".repeat(1_000_000);
    assert!(store.job(|tx| tx.note(&note(&long))).is_err());
    // Whether SQLite gave up the one job or the whole transaction, no part of the job is kept.
    drop(store.commit());
    assert_eq!(notes(store.view()), [note("before")]);
    store.limit_pages(100_000);
    store.job(|tx| tx.note(&note("after"))).unwrap();
    store.commit().unwrap();
    assert_eq!(notes(store.view()), [note("before"), note("after")]);
}

#[test]
fn a_note_waits_until_the_log_has_it() {
    let root = tempfile::tempdir().unwrap();
    let mut store = DataspaceStore::open(root.path()).unwrap();
    store.job(|tx| tx.note(&note("a")).and_then(|()| tx.note(&note("b")))).unwrap();
    let first = store.view().notes_waiting(0, usize::MAX).unwrap().remove(0);
    store.job(|tx| tx.note_done(first.id, "entry-1")).unwrap();
    store.commit().unwrap();
    assert_eq!(notes(store.view()), [note("b")]);
}

#[test]
fn nobody_but_the_owner_can_read_the_file_and_what_stands_beside_it() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(DATASPACE_FILE);
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut store = DataspaceStore::open(root.path()).unwrap();
    put(&mut store, 0..3);
    for suffix in ["", "-wal", "-shm"] {
        let file = root.path().join(format!("{DATASPACE_FILE}{suffix}"));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{suffix}");
    }
}

#[test]
fn a_backup_holds_the_dataspace_and_brings_it_back() {
    let root = tempfile::tempdir().unwrap();
    let (dir, to) = (root.path().join("node"), root.path().join("backup"));
    drop(crate::SqliteStore::open(&dir).unwrap());
    let mut store = DataspaceStore::open(&dir).unwrap();
    put(&mut store, 0..20);
    fs::create_dir_all(dir.join("claims/requests")).unwrap();
    for file in ["claims/membership.jwt", "claims/requests/1.json"] {
        fs::write(dir.join(file), file).unwrap();
    }
    crate::backup::backup(&dir, &to, "", "").unwrap();
    fs::remove_dir_all(dir.join("claims")).unwrap();
    put(&mut store, 20..30);
    drop(store);
    let count = |dir| DataspaceReader::open(dir).unwrap().count(&Filter::default(), Policies::All).unwrap();
    assert_eq!((count(&dir), count(&to)), (30, 20));
    crate::backup::restore_in_place(&to, &dir).unwrap();
    assert_eq!(count(&dir), 20);
    for file in ["claims/membership.jwt", "claims/requests/1.json"] {
        assert_eq!(fs::read_to_string(dir.join(file)).unwrap(), file, "credentials come back");
    }
    let mode = fs::metadata(dir.join(DATASPACE_FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A backup of a node without a dataspace leaves none in place.
    fs::remove_file(to.join(DATASPACE_FILE)).unwrap();
    crate::backup::restore_in_place(&to, &dir).unwrap();
    assert!(!dir.join(DATASPACE_FILE).exists());
}

#[test]
fn another_participant_cannot_give_one_identifier_to_two_processes() {
    let root = tempfile::tempdir().unwrap();
    let mut store = DataspaceStore::open(root.path()).unwrap();
    // Form 4: its identifier is known; the parties are the same.
    let first = ledger::transfer(1, 4, 0);
    let mut second = ledger::transfer(2, 4, 0);
    second.process.peer_pid.clone_from(&first.process.peer_pid);
    store.job(|tx| tx.put_transfer(&first)).unwrap();
    let refused: Result<(), LedgerError> = store.job(|tx| tx.put_transfer(&second));
    let text = refused.unwrap_err().0;
    assert!(text.contains("did:web:0.example already gave the identifier \"peer-1\""), "{text}");
    let kept = store.view().transfers(&ProcessFilter::default(), None, 9).unwrap();
    assert_eq!(kept.records, [first]);
}

/// Measures what the writer takes: `cargo test --release -p hiwar-store jobs_of_a_writer -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, for people to read"]
fn jobs_of_a_writer() {
    let root = tempfile::tempdir().unwrap();
    let mut store = DataspaceStore::open(root.path()).unwrap();
    for together in [1_u32, 8, 64] {
        let (begun, jobs) = (std::time::Instant::now(), 64 * 30_u32);
        for number in 0..jobs {
            let mut transfer = ledger::transfer(0, 12, i64::from(number));
            transfer.process.pid = format!("pid-{together}-{number}");
            transfer.process.peer_pid = Some(format!("peer-{together}-{number}"));
            store.job(|tx| tx.put_transfer(&transfer)).unwrap();
            if number.is_multiple_of(together) {
                store.commit().unwrap();
            }
        }
        store.commit().unwrap();
        println!(
            "{:.0} jobs a second, {together} in a transaction",
            f64::from(jobs) / begun.elapsed().as_secs_f64()
        );
    }
}
