//! The dataspace's store: negotiations, transfers, agreements, and what is offered.
//!
//! It is a file of its own beside the dialogue's, so that neither waits for the other.

mod catalog;
mod lists;
mod records;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hiwar_dataspace::ledger::LedgerError;
use hiwar_trust::time::Timestamp;
use rusqlite::Connection;

pub use catalog::Page;
pub use lists::{Listed, Listing};

use crate::error::StorageError;
use crate::sqlite::connection::{open_reader, open_writer, store_error};
use crate::sqlite::migrate::{Migration, migrate};

/// The file in a node's folder.
pub const DATASPACE_FILE: &str = "dataspace.db";

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "first",
    sql: include_str!("../../migrations/dataspace/0001_first.sql"),
}];

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProcessKind {
    /// A negotiation.
    Negotiation,
    /// A transfer.
    Transfer,
}

impl ProcessKind {
    fn number(self) -> i64 {
        match self {
            Self::Negotiation => 0,
            Self::Transfer => 1,
        }
    }
}

fn ledger_error(error: impl ToString) -> LedgerError {
    LedgerError(error.to_string())
}

fn dataspace_path(dir: &Path) -> PathBuf {
    dir.join(DATASPACE_FILE)
}

/// The store, for the one who writes.
#[derive(Debug)]
pub struct DataspaceStore {
    connection: Connection,
}

impl DataspaceStore {
    /// Opens the store in a node's folder, making it when it is not there.
    ///
    /// # Errors
    /// When it cannot be opened, is another program's, or of a newer version.
    pub fn open(dir: &Path) -> Result<Self, StorageError> {
        let path = dataspace_path(dir);
        let mut connection = open_writer(&path)?;
        migrate(&mut connection, &path, MIGRATIONS)?;
        Ok(Self { connection })
    }

    /// Begins a group of jobs.
    ///
    /// # Errors
    /// When the store fails.
    pub fn begin(&mut self) -> Result<(), StorageError> {
        Ok(self.connection.execute_batch("BEGIN IMMEDIATE").map_err(store_error)?)
    }

    /// Makes the group durable.
    ///
    /// # Errors
    /// When the store fails; then the group must be rolled back.
    pub fn commit(&mut self) -> Result<(), StorageError> {
        Ok(self.connection.execute_batch("COMMIT").map_err(store_error)?)
    }

    /// Throws the group away.
    ///
    /// # Errors
    /// When the store fails.
    pub fn rollback(&mut self) -> Result<(), StorageError> {
        if self.connection.is_autocommit() {
            return Ok(());
        }
        Ok(self.connection.execute_batch("ROLLBACK").map_err(store_error)?)
    }

    /// Carries out one job of a group; when it fails, nothing of it stays.
    ///
    /// # Errors
    /// What the job says, or that the store failed.
    pub fn job<T, E: From<LedgerError>>(
        &mut self,
        job: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.batch("SAVEPOINT job")?;
        let mut tx = Tx { connection: &self.connection, touched: BTreeMap::new() };
        let result = job(&mut tx);
        if result.is_err() {
            self.batch("ROLLBACK TO job")?;
        }
        self.batch("RELEASE job")?;
        result
    }

    fn batch(&self, sql: &str) -> Result<(), LedgerError> {
        self.connection.prepare_cached(sql).and_then(|mut s| s.execute([])).map(drop).map_err(ledger_error)
    }
}

/// What one job reads and writes.
#[derive(Debug)]
pub struct Tx<'a> {
    connection: &'a Connection,
    touched: BTreeMap<(ProcessKind, String), Option<Timestamp>>,
}

impl Tx<'_> {
    /// Processes whose records were written, and when something is due for them.
    pub fn touched(&self) -> Vec<(ProcessKind, String, Option<Timestamp>)> {
        self.touched.iter().map(|((kind, pid), due)| (*kind, pid.clone(), *due)).collect()
    }
}

/// The store, for those who only read, beside the one who writes.
#[derive(Debug)]
pub struct DataspaceReader {
    connection: Connection,
}

impl DataspaceReader {
    /// Opens the store in a node's folder.
    ///
    /// # Errors
    /// When it is not there or cannot be opened.
    pub fn open(dir: &Path) -> Result<Self, StorageError> {
        Ok(Self { connection: open_reader(&dataspace_path(dir))? })
    }
}

#[cfg(test)]
mod tests;
