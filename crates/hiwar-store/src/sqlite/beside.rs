//! The SQLite files that stand beside the store in a node's folder: private, copied into backups, put back.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, TransactionBehavior};

use super::connection::{open_reader, open_writer, store_error};
use super::migrate::{Migration, migrate, require_current, require_known};
use crate::error::StorageError;

/// Pages copied in one step.
const COPY_PAGES: i32 = 4096;

/// A file beside the store.
pub(crate) struct Beside {
    /// Its name in the folder.
    pub(crate) name: &'static str,
    /// All steps of its schema, oldest first.
    pub(crate) migrations: &'static [Migration],
}

impl Beside {
    /// Where it is in a folder.
    pub(crate) fn path_in(&self, dir: &Path) -> PathBuf {
        dir.join(self.name)
    }

    /// Opens the writer's connection, making folder and file when they are not there, and brings the schema
    /// up to date.
    pub(crate) fn open_writer(&self, dir: &Path) -> Result<Connection, StorageError> {
        fs::create_dir_all(dir).map_err(StorageError::file(dir, "making the folder"))?;
        let path = self.path_in(dir);
        make_private(&path)?;
        let mut connection = open_writer(&path)?;
        migrate(&mut connection, &path, self.migrations)?;
        Ok(connection)
    }

    /// Opens a connection that only reads; the file must be there and up to date.
    pub(crate) fn open_reader(&self, dir: &Path) -> Result<Connection, StorageError> {
        let path = self.path_in(dir);
        let connection = open_reader(&path)?;
        require_current(&connection, &path, self.migrations)?;
        Ok(connection)
    }

    /// Opens the file of a backup, which may have been taken by an earlier version.
    pub(crate) fn open_backup(&self, dir: &Path) -> Result<Connection, StorageError> {
        let path = self.path_in(dir);
        let connection = open_reader(&path)?;
        require_known(&connection, &path, self.migrations)?;
        Ok(connection)
    }
}

/// Copies a file, as it is now, to a new one that needs no other beside it.
pub(crate) fn copy_to(connection: &mut Connection, path: &Path) -> Result<(), StorageError> {
    make_private(path)?;
    let mut copy = || {
        let mut target = Connection::open(path)?;
        // A transaction that has read keeps to one state, so that no commit makes the copy begin again.
        let snapshot = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
        snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        let backup = Backup::new(&snapshot, &mut target)?;
        backup.run_to_completion(COPY_PAGES, Duration::ZERO, None)?;
        drop(backup);
        target.pragma_update(None, "journal_mode", "DELETE")?;
        target.close().map_err(|(_, error)| error)
    };
    copy().map_err(|error| StorageError::Store(store_error(error)))
}

/// Makes the file, or closes the one that is there, so that only its owner can read it. What SQLite keeps
/// beside it takes over the same mode.
fn make_private(path: &Path) -> Result<(), StorageError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))
                .map_err(StorageError::file(path, "closing it to others"))
        }
        Err(error) => Err(StorageError::file(path, "making the file")(error)),
    }
}
