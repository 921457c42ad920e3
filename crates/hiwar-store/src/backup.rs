//! A consistent copy of a running node's store and files, and its way back.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};

use crate::error::StorageError;
use crate::sqlite::{DATABASE_FILE, SqliteReader, SqliteStore};

/// File that says what a backup is of.
const LABEL_FILE: &str = "backup.json";
/// Folder of the attached files.
const FILES: &str = "attachments";

fn file_error<'a>(path: &'a Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> StorageError + 'a {
    move |source| StorageError::File { path: path.to_owned(), doing, source }
}

fn sql_error(error: rusqlite::Error) -> StorageError {
    StorageError::Store(hiwar_dialogue::ledger::StoreError::Failed(error.to_string()))
}

/// Copies the store and the files of the node in `dir` to the new folder `to`. The node may run.
/// `time` and `checkpoint` go into the label.
///
/// # Errors
/// When `to` is there already, or something cannot be copied.
pub fn backup(dir: &Path, to: &Path, time: &str, checkpoint: &str) -> Result<(), StorageError> {
    fs::create_dir(to).map_err(file_error(to, "making the new folder"))?;
    // A reader sees one committed state for the whole copy, whatever is written meanwhile.
    let from = Connection::open_with_flags(dir.join(DATABASE_FILE), OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(sql_error)?;
    let target = to.join(DATABASE_FILE);
    let mut copy = Connection::open(&target).map_err(sql_error)?;
    Backup::new(&from, &mut copy)
        .and_then(|backup| backup.run_to_completion(4096, Duration::ZERO, None))
        .map_err(sql_error)?;
    drop(copy);
    File::open(&target).and_then(|f| f.sync_all()).map_err(file_error(&target, "syncing"))?;
    copy_files(&dir.join(FILES), &to.join(FILES))?;
    let label = serde_json::json!({ "format": "hiwar-backup/1", "time": time, "checkpoint": checkpoint });
    let path = to.join(LABEL_FILE);
    fs::write(&path, label.to_string()).map_err(file_error(&path, "writing"))?;
    File::open(to).and_then(|f| f.sync_all()).map_err(file_error(to, "syncing"))
}

/// Copies complete files; those under way are fetched again.
fn copy_files(from: &Path, to: &Path) -> Result<(), StorageError> {
    fs::create_dir_all(to).map_err(file_error(to, "making the folder"))?;
    if !from.exists() {
        return Ok(());
    }
    for shelf in fs::read_dir(from).map_err(file_error(from, "reading"))?.flatten() {
        let name = shelf.file_name();
        if name == "partial" || !shelf.path().is_dir() {
            continue;
        }
        let target = to.join(&name);
        fs::create_dir_all(&target).map_err(file_error(&target, "making the folder"))?;
        for file in fs::read_dir(shelf.path()).map_err(file_error(&shelf.path(), "reading"))?.flatten() {
            let copy = target.join(file.file_name());
            if !copy.exists() {
                // Files never change, so a second name for one is as good as a copy on the same disk.
                if fs::hard_link(file.path(), &copy).is_err() {
                    fs::copy(file.path(), &copy).map_err(file_error(&copy, "copying"))?;
                    File::open(&copy).and_then(|f| f.sync_all()).map_err(file_error(&copy, "syncing"))?;
                }
            }
        }
    }
    Ok(())
}

/// Puts a backup in the place of the store in `dir`, whose node must not run. The store that was
/// there is set aside; returns where it is.
///
/// # Errors
/// When the node runs, the backup is none, or something cannot be copied.
pub fn restore_in_place(backup: &Path, dir: &Path) -> Result<Option<PathBuf>, StorageError> {
    let source = backup.join(DATABASE_FILE);
    // Opening it shows that it is a store of this version.
    drop(SqliteReader::open(backup)?);
    let database = dir.join(DATABASE_FILE);
    let mut set_aside = None;
    if database.exists() {
        // Opening the store takes the folder's lock: a running node is found here. Closing it
        // again brings all of it into the one file.
        drop(SqliteStore::open(dir)?);
        let aside =
            (1..).map(|n| dir.join(format!("{DATABASE_FILE}.before-restore-{n}"))).find(|p| !p.exists());
        if let Some(aside) = aside {
            fs::rename(&database, &aside).map_err(file_error(&database, "setting aside"))?;
            set_aside = Some(aside);
        }
        for suffix in ["-wal", "-shm"] {
            let rest = dir.join(format!("{DATABASE_FILE}{suffix}"));
            if rest.exists() {
                fs::remove_file(&rest).map_err(file_error(&rest, "removing"))?;
            }
        }
    }
    let part = dir.join(format!("{DATABASE_FILE}.part"));
    fs::copy(&source, &part).map_err(file_error(&part, "copying"))?;
    File::open(&part).and_then(|f| f.sync_all()).map_err(file_error(&part, "syncing"))?;
    fs::rename(&part, &database).map_err(file_error(&database, "renaming"))?;
    copy_files(&backup.join(FILES), &dir.join(FILES))?;
    File::open(dir).and_then(|f| f.sync_all()).map_err(file_error(dir, "syncing"))?;
    Ok(set_aside)
}
