//! A consistent copy of a running node's store and files, and its way back.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::dataspace::DATASPACE;
use crate::error::StorageError;
use crate::procedure::PROCEDURE;
use crate::sqlite::beside::{Beside, copy_to};
use crate::sqlite::{DATABASE_FILE, FolderLock, SqliteReader};

/// File that says what a backup is of.
const LABEL_FILE: &str = "backup.json";
/// Folder of the attached files.
const FILES: &str = "attachments";
/// Folder of the credentials that a participant holds.
const CLAIMS: &str = "claims";
/// The files beside the store.
const BESIDE: [&Beside; 2] = [&DATASPACE, &PROCEDURE];
/// What SQLite appends to the database's name for the files beside it.
const APPENDED: [&str; 2] = ["-wal", "-shm"];

/// Copies the store and the files of the node in `dir` to the new folder `to`. The node may run.
/// `time` and `checkpoint` go into the label.
///
/// The files beside the store are copied first, where there are any: what they note for the signed log is
/// marked as done after the log has it, so the copy of the store, which is later, has every entry that
/// they take for written. A note whose entry was written between the two is still waiting, as after a
/// crash at that point. Then the store: every file that its copy speaks of is there when the
/// files are copied. Files are linked where both folders are on one disk: they never change.
///
/// # Errors
/// When `to` is there already, or something cannot be copied.
pub fn backup(dir: &Path, to: &Path, time: &str, checkpoint: &str) -> Result<(), StorageError> {
    let reader = SqliteReader::open(dir)?;
    fs::create_dir(to).map_err(StorageError::file(to, "making the new folder"))?;
    // A backup holds what was said as plainly as the store itself does.
    fs::set_permissions(to, fs::Permissions::from_mode(0o700))
        .map_err(StorageError::file(to, "closing the new folder to others"))?;
    for beside in BESIDE.into_iter().filter(|beside| beside.path_in(dir).exists()) {
        let copy = beside.path_in(to);
        copy_to(&mut beside.open_reader(dir)?, &copy)?;
        sync(&copy)?;
    }
    let database = to.join(DATABASE_FILE);
    reader.copy_to(&database)?;
    sync(&database)?;
    copy_files(&dir.join(FILES), &to.join(FILES))?;
    copy_claims(dir, to)?;
    let label = serde_json::json!({ "format": "hiwar-backup/1", "time": time, "checkpoint": checkpoint });
    let path = to.join(LABEL_FILE);
    fs::write(&path, format!("{label}\n")).map_err(StorageError::file(&path, "writing"))?;
    sync(&path)?;
    sync(to)?;
    to.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync)
}

/// Puts a backup in the place of the store in `dir`, whose node must not run; `dir` may be new. The
/// store that was there is set aside, whole or damaged; returns where it is.
///
/// # Errors
/// When the node runs, the backup is none, or something cannot be copied; unless the disk fails at
/// the very end, the store that was there is then still in place.
pub fn restore_in_place(backup: &Path, dir: &Path) -> Result<Option<PathBuf>, StorageError> {
    // Opening it shows that it is a store of this version or an earlier one; the next start of the
    // node brings an earlier one up to date.
    let source = SqliteReader::open_backup(backup)?;
    let open = |beside: &'static Beside| {
        let there = beside.path_in(backup).exists();
        Ok((beside, there.then(|| beside.open_backup(backup)).transpose()?))
    };
    let besides = BESIDE.into_iter().map(open).collect::<Result<Vec<_>, StorageError>>()?;
    fs::create_dir_all(dir).map_err(StorageError::file(dir, "making the folder"))?;
    let lock = FolderLock::take(dir)?;
    copy_files(&backup.join(FILES), &dir.join(FILES))?;
    copy_claims(backup, dir)?;
    let part = dir.join(format!("{DATABASE_FILE}.part"));
    remove_if_there(&part)?;
    source.copy_to(&part)?;
    sync(&part)?;
    for (beside, source) in besides {
        restore_beside(beside, source, dir)?;
    }
    let database = dir.join(DATABASE_FILE);
    let aside = set_aside(&database)?;
    fs::rename(&part, &database).map_err(StorageError::file(&database, "renaming"))?;
    sync(dir)?;
    drop(lock);
    Ok(aside)
}

/// Puts a file beside the store in its place. One that is there is set aside in any case: it
/// would not fit the store that comes back. It goes before the store, so that a crash between the two
/// leaves a store that is ahead of it, never one that is behind it.
fn restore_beside(beside: &Beside, source: Option<Connection>, dir: &Path) -> Result<(), StorageError> {
    let file = beside.path_in(dir);
    let Some(mut source) = source else { return set_aside(&file).map(drop) };
    let part = dir.join(format!("{}.part", beside.name));
    remove_if_there(&part)?;
    copy_to(&mut source, &part)?;
    sync(&part)?;
    set_aside(&file)?;
    fs::rename(&part, &file).map_err(StorageError::file(&file, "renaming"))
}

/// Gives the database, and what SQLite keeps beside it, another name; returns that name. Of a
/// database that is gone the rest may still be there, and would be taken for the next one's.
fn set_aside(database: &Path) -> Result<Option<PathBuf>, StorageError> {
    let beside = |path: &Path, suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let mut number = 1_u32;
    let aside = loop {
        let name = beside(database, &format!(".before-restore-{number}"));
        if !name.exists() {
            break name;
        }
        number += 1;
    };
    // What is not carried over yet goes first: without it, the database would be an older one.
    for suffix in APPENDED {
        move_away(&beside(database, suffix), &beside(&aside, suffix))?;
    }
    Ok(move_away(database, &aside)?.then_some(aside))
}

/// Renames a file; false when it is not there.
fn move_away(from: &Path, to: &Path) -> Result<bool, StorageError> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        other => other.map(|()| true).map_err(StorageError::file(from, "setting aside")),
    }
}

fn remove_if_there(path: &Path) -> Result<(), StorageError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(StorageError::file(path, "removing")),
    }
}

/// Syncs a file or folder to the disk.
fn sync(path: &Path) -> Result<(), StorageError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(StorageError::file(path, "syncing"))
}

/// What a folder holds; nothing when it is not there.
fn list(dir: &Path) -> Result<Vec<fs::DirEntry>, StorageError> {
    match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries.and_then(Iterator::collect).map_err(StorageError::file(dir, "reading")),
    }
}

/// Links or copies complete files; those under way are fetched again.
fn copy_files(from: &Path, to: &Path) -> Result<(), StorageError> {
    fs::create_dir_all(to).map_err(StorageError::file(to, "making the folder"))?;
    for shelf in list(from)? {
        if shelf.file_name() == "partial" || !shelf.path().is_dir() {
            continue;
        }
        copy_shelf(&shelf.path(), &to.join(shelf.file_name()))?;
    }
    sync(to)
}

/// The files of one folder, none of which is ever changed in its place.
fn copy_shelf(from: &Path, to: &Path) -> Result<(), StorageError> {
    fs::create_dir_all(to).map_err(StorageError::file(to, "making the folder"))?;
    for file in list(from)?.into_iter().filter(|file| file.path().is_file()) {
        let copy = to.join(file.file_name());
        if !copy.exists() && fs::hard_link(file.path(), &copy).is_err() {
            let part = copy.with_extension("part");
            fs::copy(file.path(), &part).map_err(StorageError::file(&part, "copying"))?;
            sync(&part)?;
            fs::rename(&part, &copy).map_err(StorageError::file(&copy, "renaming"))?;
        }
    }
    sync(to)
}

/// The credentials that a node holds, its requests for some, and offers, where it has any.
fn copy_claims(from: &Path, to: &Path) -> Result<(), StorageError> {
    for shelf in ["", "requests", "offers"] {
        let shelf = Path::new(CLAIMS).join(shelf);
        if from.join(&shelf).is_dir() {
            copy_shelf(&from.join(&shelf), &to.join(&shelf))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use hiwar_dialogue::ledger::{Change, Store as _, View as _};
    use hiwar_trust::hash::Hash;

    use super::*;
    use crate::SqliteStore;
    use crate::attachments::AttachmentFolder;

    fn leaf(index: u64) -> Change {
        Change::Leaf { log: 1, index, data: format!("leaf {index} {}", "x".repeat(900)) }
    }

    fn add(store: &mut SqliteStore, from: u64, to: u64) {
        store.apply(&(from..to).map(leaf).collect::<Vec<_>>()).unwrap();
        store.commit().unwrap();
    }

    fn leaves(dir: &Path) -> usize {
        SqliteReader::open(dir).unwrap().leaves(1, 0, usize::MAX).unwrap().len()
    }

    #[test]
    fn a_backup_is_one_state_of_a_node_that_goes_on_writing() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("node");
        let mut store = SqliteStore::open(&dir).unwrap();
        add(&mut store, 0, 20_000);
        let stop = AtomicBool::new(false);
        let to = root.path().join("backup");
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut next = 20_000;
                while !stop.load(Ordering::Relaxed) {
                    add(&mut store, next, next + 2);
                    next += 2;
                }
                next
            });
            let taken = backup(&dir, &to, "2026-01-01T00:00:00.000Z", "p.example/log/1 20000 root");
            stop.store(true, Ordering::Relaxed);
            taken.unwrap();
            assert!(writer.join().unwrap() > 20_000);
        });
        // Two leaves at a time were committed, so an odd number would be a torn copy.
        let copied = leaves(&to);
        assert!(copied >= 20_000 && copied.is_multiple_of(2), "{copied}");
        let names = list(&to).unwrap().into_iter().map(|e| e.file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        assert_eq!(names, ["attachments", "backup.json", DATABASE_FILE]);
        assert!(backup(&dir, &to, "", "").is_err(), "a backup never overwrites another");
    }

    #[test]
    fn a_backup_comes_back_with_its_files_and_what_was_there_is_set_aside() {
        let root = tempfile::tempdir().unwrap();
        let (dir, to) = (root.path().join("node"), root.path().join("backup"));
        let mut store = SqliteStore::open(&dir).unwrap();
        add(&mut store, 0, 3);
        let mut upload = AttachmentFolder::open(&dir).unwrap().begin().unwrap();
        upload.append(b"479 t").unwrap();
        let (sha256, _) = upload.finish().unwrap();
        backup(&dir, &to, "2026-01-01T00:00:00.000Z", "checkpoint").unwrap();
        let label = fs::read_to_string(to.join(LABEL_FILE)).unwrap();
        assert!(label.contains("2026-01-01T00:00:00.000Z") && label.contains("checkpoint"), "{label}");
        add(&mut store, 3, 5);
        assert!(matches!(restore_in_place(&to, &dir), Err(StorageError::InUse { .. })));
        drop(store);
        assert_eq!(leaves(&dir), 5);

        let aside = restore_in_place(&to, &dir).unwrap().unwrap();
        assert_eq!(leaves(&dir), 3);
        assert!(aside.is_file());
        // The restored store is written to as any other; the backup stays as it was.
        add(&mut SqliteStore::open(&dir).unwrap(), 3, 4);
        assert_eq!(leaves(&to), 3);

        let new = root.path().join("new/node");
        assert_eq!(restore_in_place(&to, &new).unwrap(), None);
        assert_eq!(leaves(&new), 3);
        assert_eq!(AttachmentFolder::open(&new).unwrap().read_part(&sha256, 0, 99).unwrap(), b"479 t");
        assert_eq!(sha256, Hash::of(b"479 t"));
    }

    #[test]
    fn a_damaged_store_is_set_aside_as_well() {
        let root = tempfile::tempdir().unwrap();
        let (dir, to) = (root.path().join("node"), root.path().join("backup"));
        add(&mut SqliteStore::open(&dir).unwrap(), 0, 3);
        backup(&dir, &to, "", "").unwrap();
        fs::write(dir.join(DATABASE_FILE), [b'x'; 9000]).unwrap();
        fs::write(dir.join(format!("{DATABASE_FILE}-wal")), b"rest").unwrap();
        let aside = restore_in_place(&to, &dir).unwrap().unwrap();
        assert_eq!(fs::read(aside).unwrap(), [b'x'; 9000]);
        assert_eq!(leaves(&dir), 3);
    }

    #[test]
    fn what_a_lost_database_left_behind_does_not_get_into_the_restored_one() {
        let root = tempfile::tempdir().unwrap();
        let (dir, to) = (root.path().join("node"), root.path().join("backup"));
        let mut store = SqliteStore::open(&dir).unwrap();
        add(&mut store, 0, 3);
        backup(&dir, &to, "", "").unwrap();
        add(&mut store, 3, 5);
        let log = dir.join(format!("{DATABASE_FILE}-wal"));
        let left = fs::read(&log).unwrap();
        drop(store);
        fs::remove_file(dir.join(DATABASE_FILE)).unwrap();
        fs::write(&log, left).unwrap();
        assert_eq!(restore_in_place(&to, &dir).unwrap(), None);
        assert!(!log.exists());
        assert_eq!(leaves(&dir), 3);
    }

    #[test]
    fn what_is_no_backup_is_refused_and_nothing_is_touched() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("node");
        add(&mut SqliteStore::open(&dir).unwrap(), 0, 3);
        assert!(matches!(restore_in_place(root.path(), &dir), Err(StorageError::NoStore { .. })));
        assert_eq!(leaves(&dir), 3);
    }
}
