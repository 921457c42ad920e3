//! The writer: one transaction at a time, opened by the first change.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hiwar_dialogue::entry::EntryId;
use hiwar_dialogue::ledger::{
    Change, Delivery, Direction, LogNumber, Seq, Snapshot, Store, StoreError, StoredEntry, View,
};
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::receipt::SignedReceipt;

use super::connection::{database_path, open_writer, store_error};
use super::lock::FolderLock;
use super::migrate::{MIGRATIONS, migrate};
use super::read::Database;
use crate::error::StorageError;

/// What a probe writes: 256 KiB.
const PROBE_BYTES: u32 = 256 * 1024;
/// How long a store that is closed waits for readers.
const LAST_WAIT: Duration = Duration::from_millis(500);

/// Where the open transaction stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transaction {
    None,
    Open,
    /// A change failed part of the way; only rolling back is left.
    Broken,
}

/// A node's ledger in a folder of its own.
///
/// The folder is locked for as long as the store lives; the database's write-ahead log is carried
/// over when the store is dropped.
pub struct SqliteStore {
    database: Database,
    transaction: Transaction,
    dir: PathBuf,
    _lock: FolderLock,
}

impl SqliteStore {
    /// Opens the store in `dir`, making folder and database when they are not there, and brings
    /// the schema up to date.
    ///
    /// # Errors
    /// When another process works in the folder, the database is none of this program's or of a
    /// newer version, or the disk fails.
    pub fn open(dir: &Path) -> Result<Self, StorageError> {
        fs::create_dir_all(dir).map_err(StorageError::file(dir, "making the folder"))?;
        let lock = FolderLock::take(dir)?;
        let path = database_path(dir);
        let mut connection = open_writer(&path)?;
        migrate(&mut connection, &path, MIGRATIONS)?;
        Ok(Self {
            database: Database::new(connection),
            transaction: Transaction::None,
            dir: dir.to_owned(),
            _lock: lock,
        })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Lets the database grow to so many pages only, in place of a full disk.
    #[cfg(test)]
    pub(super) fn limit_pages(&self, pages: u32) -> Result<(), StoreError> {
        self.database.connection.pragma_update(None, "max_page_count", pages).map_err(store_error)
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        match self.transaction {
            Transaction::Open => Ok(()),
            Transaction::Broken => {
                Err(StoreError::Failed("an earlier change failed; roll back before making another".into()))
            }
            Transaction::None => {
                self.run("BEGIN IMMEDIATE")?;
                self.transaction = Transaction::Open;
                Ok(())
            }
        }
    }

    /// Writes about as much as a batch takes, and takes it away again: whether the disk has room. A
    /// small commit may still succeed where the next batch fails.
    ///
    /// # Errors
    /// When it has none.
    pub fn probe(&mut self) -> Result<(), StoreError> {
        self.roll_back()?;
        let write = format!(
            "BEGIN IMMEDIATE; DROP TABLE IF EXISTS room; CREATE TABLE room (bytes BLOB) STRICT;
             INSERT INTO room VALUES (zeroblob({PROBE_BYTES})); COMMIT; DROP TABLE room;"
        );
        let written = self.database.connection.execute_batch(&write).map_err(store_error);
        if written.is_err() && !self.database.connection.is_autocommit() {
            self.run("ROLLBACK")?;
        }
        written
    }

    fn run(&self, sql: &str) -> Result<(), StoreError> {
        let run = || self.database.connection.prepare_cached(sql)?.execute([]);
        run().map(drop).map_err(store_error)
    }
}

impl Drop for SqliteStore {
    /// Carries the write-ahead log over into the database, so that the one file is the whole store
    /// while no node runs. Readers that are still open would keep SQLite from doing it by itself.
    fn drop(&mut self) {
        // What cannot be carried over now is at the next start; nothing is lost.
        let connection = &self.database.connection;
        drop(connection.busy_timeout(LAST_WAIT));
        drop(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
    }
}

impl Store for SqliteStore {
    fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.database.snapshot()
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.begin()?;
        let applied = changes.iter().try_for_each(|change| self.database.change(change));
        if applied.is_err() {
            self.transaction = Transaction::Broken;
        }
        applied
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        match self.transaction {
            Transaction::None => Ok(()),
            Transaction::Broken => {
                self.roll_back()?;
                Err(StoreError::Failed("a change had failed; nothing was kept".into()))
            }
            Transaction::Open => {
                let committed = self.run("COMMIT");
                match committed {
                    Ok(()) => {
                        self.transaction = Transaction::None;
                        Ok(())
                    }
                    Err(error) => {
                        self.roll_back()?;
                        Err(error)
                    }
                }
            }
        }
    }

    fn roll_back(&mut self) -> Result<(), StoreError> {
        if self.transaction == Transaction::None {
            return Ok(());
        }
        // A full disk or failed write may have rolled the transaction back already.
        if !self.database.connection.is_autocommit() {
            self.run("ROLLBACK")?;
        }
        self.transaction = Transaction::None;
        self.database.forget_names();
        Ok(())
    }
}

/// Answers the ledger's questions from the field `database`.
macro_rules! view_through_database {
    ($store:ty) => {
        impl View for $store {
            fn find(&self, id: &EntryId) -> Result<Option<Seq>, StoreError> {
                self.database.find(id)
            }

            fn entry(&self, seq: Seq) -> Result<Option<StoredEntry>, StoreError> {
                self.database.entry(seq)
            }

            fn queued(
                &self,
                peer: &Did,
                after: Seq,
                count_max: usize,
                bytes_max: usize,
            ) -> Result<Vec<StoredEntry>, StoreError> {
                self.database.queued(peer, after, count_max, bytes_max)
            }

            fn delivery(&self, peer: &Did, seq: Seq) -> Result<Option<Delivery>, StoreError> {
                self.database.delivery(peer, seq)
            }

            fn receipt(&self, number: u64) -> Result<Option<(Direction, SignedReceipt)>, StoreError> {
                self.database.receipt(number)
            }

            fn tile(&self, log: LogNumber, level: u8, index: u64) -> Result<Option<Vec<Hash>>, StoreError> {
                self.database.tile(log, level, index)
            }

            fn leaves(&self, log: LogNumber, from: u64, count_max: usize) -> Result<Vec<String>, StoreError> {
                self.database.leaves(log, from, count_max)
            }

            fn attachment(&self, sha256: &Hash) -> Result<Option<u64>, StoreError> {
                self.database.attachment(sha256)
            }
        }
    };
}

view_through_database!(SqliteStore);
view_through_database!(super::reader::SqliteReader);
