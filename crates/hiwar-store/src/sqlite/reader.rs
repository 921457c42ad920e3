//! Reading beside the writer: what the local interface and the tools ask.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::connection::{database_path, open_reader, store_error};
use super::migrate::{MIGRATIONS, require_current, require_known};
use super::read::Database;
use crate::error::StorageError;

/// Pages copied in one step.
const COPY_PAGES: i32 = 4096;

/// Reads a node's ledger while the node may be writing to it. Each question sees what was
/// committed when it was asked.
pub struct SqliteReader {
    pub(super) database: Database,
}

impl SqliteReader {
    /// Opens the ledger in `dir`, which must be there and up to date.
    ///
    /// # Errors
    /// When it is not, or the disk fails.
    pub fn open(dir: &Path) -> Result<Self, StorageError> {
        let path = database_path(dir);
        let connection = open_reader(&path)?;
        require_current(&connection, &path, MIGRATIONS)?;
        Ok(Self { database: Database::new(connection) })
    }

    /// Opens a backup, which may have been taken by an earlier version. What came later than it, such
    /// as [`SqliteReader::alarms`], cannot be asked of it then.
    ///
    /// # Errors
    /// When there is none, a later version took it, or the disk fails.
    pub fn open_backup(dir: &Path) -> Result<Self, StorageError> {
        let path = database_path(dir);
        let connection = open_reader(&path)?;
        require_known(&connection, &path, MIGRATIONS)?;
        Ok(Self { database: Database::new(connection) })
    }

    /// Copies the database, as it is now, to a new file that needs no other beside it.
    pub(crate) fn copy_to(&self, path: &Path) -> Result<(), StorageError> {
        let copy = || {
            let mut target = Connection::open(path)?;
            // With a transaction open here, the copy is of one state however much is written
            // meanwhile; without one, every commit would make it begin again.
            let _snapshot = self.database.snapshot_of_now()?;
            let backup = Backup::new(&self.database.connection, &mut target)?;
            backup.run_to_completion(COPY_PAGES, Duration::ZERO, None)?;
            drop(backup);
            target.pragma_update(None, "journal_mode", "DELETE")?;
            target.close().map_err(|(_, error)| error)
        };
        copy().map_err(|error| StorageError::Store(store_error(error)))
    }
}
