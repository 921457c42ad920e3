//! The writer: many jobs in one transaction.

use std::path::Path;

use hiwar_dataspace::ledger::LedgerError;
use hiwar_dialogue::ledger::StoreError;

use super::reader::DataspaceReader;
use super::schema::DATASPACE;
use super::text::reindex;
use super::transaction::Tx;
use crate::error::StorageError;
use crate::sqlite::connection::store_error;

/// Where the open transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transaction {
    None,
    Open,
    /// The database gave the transaction up, or a job could not be undone; only rolling back is left.
    Broken,
}

/// The writer of a node's dataspace file. There is one per folder: whoever opens it holds the folder's
/// [`SqliteStore`](crate::SqliteStore), which locks it.
///
/// A writer thread begins, runs the jobs that wait, and commits once for all of them; answers leave after
/// the commit. What was committed is on the disk.
#[derive(Debug)]
pub struct DataspaceStore {
    reader: DataspaceReader,
    transaction: Transaction,
}

impl DataspaceStore {
    /// Opens the file in `dir`, making both when they are not there, and brings the schema up to date.
    ///
    /// # Errors
    /// When the file is none of this program's or of a newer version, or the disk fails.
    pub fn open(dir: &Path) -> Result<Self, StorageError> {
        let mut connection = DATASPACE.open_writer(dir)?;
        reindex(&mut connection).map_err(store_error)?;
        Ok(Self { reader: DataspaceReader::over(connection), transaction: Transaction::None })
    }

    /// What can be read. It sees the changes of the open transaction.
    pub fn view(&self) -> &DataspaceReader {
        &self.reader
    }

    /// Begins a transaction; nothing when one is open.
    ///
    /// # Errors
    /// When an earlier one is broken, or the store fails.
    pub fn begin(&mut self) -> Result<(), StoreError> {
        match self.transaction {
            Transaction::Open => Ok(()),
            Transaction::Broken => {
                Err(StoreError::Failed("the transaction broke; roll back before going on".into()))
            }
            Transaction::None => {
                self.run("BEGIN IMMEDIATE")?;
                self.transaction = Transaction::Open;
                Ok(())
            }
        }
    }

    /// Runs one job in the transaction, beginning one when none is open. When the job fails, what it
    /// changed is undone, and the other jobs of the transaction stand. Its changes are durable after
    /// [`DataspaceStore::commit`].
    ///
    /// # Errors
    /// The job's own, or that of the store.
    pub fn job<T, E: From<LedgerError>>(
        &mut self,
        job: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.begin().map_err(|error| LedgerError(error.to_string()))?;
        self.run("SAVEPOINT job").map_err(|error| LedgerError(error.to_string()))?;
        let done = job(&mut Tx::new(&self.reader));
        let end: &[&str] = if done.is_ok() { &["RELEASE job"] } else { &["ROLLBACK TO job", "RELEASE job"] };
        let ended = end.iter().try_for_each(|sql| self.run(sql));
        if ended.is_err() || self.reader.connection.is_autocommit() {
            // A full disk, for one, makes SQLite give up the whole transaction.
            self.transaction = Transaction::Broken;
        }
        match (done, ended) {
            (Ok(_), Err(error)) => Err(LedgerError(error.to_string()).into()),
            (done, _) => done,
        }
    }

    /// Makes everything since [`DataspaceStore::begin`] durable. Nothing when no transaction is open.
    ///
    /// # Errors
    /// When it fails; then nothing of the transaction is kept.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        match self.transaction {
            Transaction::None => Ok(()),
            Transaction::Broken => {
                self.rollback()?;
                Err(StoreError::Failed("the transaction had broken; nothing was kept".into()))
            }
            Transaction::Open => {
                let committed = self.run("COMMIT");
                match &committed {
                    Ok(()) => self.transaction = Transaction::None,
                    Err(_) => {
                        self.transaction = Transaction::Broken;
                        self.rollback()?;
                    }
                }
                committed
            }
        }
    }

    /// Forgets everything since [`DataspaceStore::begin`].
    ///
    /// # Errors
    /// When the store fails.
    pub fn rollback(&mut self) -> Result<(), StoreError> {
        if !self.reader.connection.is_autocommit() {
            self.run("ROLLBACK")?;
        }
        self.transaction = Transaction::None;
        Ok(())
    }

    /// Lets the file grow to so many pages only, in place of a full disk.
    #[cfg(test)]
    pub(super) fn limit_pages(&self, pages: u32) {
        self.reader.connection.pragma_update(None, "max_page_count", pages).unwrap();
    }

    fn run(&self, sql: &str) -> Result<(), StoreError> {
        let run = || self.reader.connection.prepare_cached(sql)?.execute([]);
        run().map(drop).map_err(store_error)
    }
}
