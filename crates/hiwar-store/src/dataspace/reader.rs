//! What is asked beside the writer.

use std::path::Path;

use hiwar_dataspace::ledger::Note;
use hiwar_dialogue::ledger::StoreError;
use hiwar_trust::time::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::de::DeserializeOwned;

use super::schema::DATASPACE;
use crate::error::StorageError;
use crate::sqlite::connection::store_error;

/// What kind of process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProcessKind {
    /// A negotiation.
    Negotiation,
    /// A transfer.
    Transfer,
}

impl ProcessKind {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Negotiation => "negotiation",
            Self::Transfer => "transfer",
        }
    }

    fn stored(text: &str) -> Result<Self, StoreError> {
        match text {
            "negotiation" => Ok(Self::Negotiation),
            "transfer" => Ok(Self::Transfer),
            other => Err(StoreError::Damaged(format!("{other:?} is no kind of process"))),
        }
    }
}

/// A process, and when something has to be done for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// What it is.
    pub kind: ProcessKind,
    /// This side's identifier of it.
    pub pid: String,
    /// When; none when it waits for the other side or for a person, or is over.
    pub due: Option<Timestamp>,
}

/// A note that is not in the signed log yet.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitingNote {
    /// Its number, in the order in which they were made.
    pub id: i64,
    /// What it says.
    pub note: Note,
}

/// Reads a node's dataspace file while the node may be writing to it. Each question sees what was
/// committed when it was asked. It serves one thread; open one for each.
#[derive(Debug)]
pub struct DataspaceReader {
    pub(super) connection: Connection,
}

impl DataspaceReader {
    /// Opens the file in `dir`, which must be there and up to date.
    ///
    /// # Errors
    /// When it is not, or the disk fails.
    pub fn open(dir: &Path) -> Result<Self, StorageError> {
        Ok(Self { connection: DATASPACE.open_reader(dir)? })
    }

    pub(super) fn over(connection: Connection) -> Self {
        Self { connection }
    }

    /// Everything with a time at which something has to be done for it, soonest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn due(&self) -> Result<Vec<Due>, StoreError> {
        let rows: Vec<(String, String, i64)> = self.rows(
            "SELECT kind, pid, due FROM process WHERE due IS NOT NULL ORDER BY due, number",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        let due = |(kind, pid, due): (String, String, i64)| {
            Ok(Due { kind: ProcessKind::stored(&kind)?, pid, due: Some(Timestamp::from_millis(due)) })
        };
        rows.into_iter().map(due).collect()
    }

    /// The transfers whose data the node holds and is to delete, soonest first, and by when.
    ///
    /// # Errors
    /// When the store fails.
    pub fn to_delete(&self, count_max: usize) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let count_max = i64::try_from(count_max).unwrap_or(i64::MAX);
        self.rows(
            "SELECT pid, delete_by FROM process WHERE delete_by IS NOT NULL AND kind = 'transfer'
             ORDER BY delete_by, number LIMIT ?1",
            [count_max],
            |row| Ok((row.get(0)?, Timestamp::from_millis(row.get(1)?))),
        )
    }

    /// The notes behind number `after` that are not in the signed log yet, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn notes_waiting(&self, after: i64, count_max: usize) -> Result<Vec<WaitingNote>, StoreError> {
        let sql = "SELECT id, body FROM note WHERE entry IS NULL AND id > ?1 ORDER BY id LIMIT ?2";
        let count_max = i64::try_from(count_max).unwrap_or(i64::MAX);
        let rows: Vec<(i64, String)> =
            self.rows(sql, params![after, count_max], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.into_iter().map(|(id, body)| Ok(WaitingNote { id, note: read(&body)? })).collect()
    }

    /// The entry of the signed log that a note became, once it has.
    ///
    /// # Errors
    /// When the store fails.
    pub fn entry_of(&self, note: &Note) -> Result<Option<String>, StoreError> {
        let body = serde_json::to_string(note).map_err(|e| StoreError::Failed(e.to_string()))?;
        let sql = "SELECT entry FROM note WHERE body = ?1 AND entry IS NOT NULL AND entry <> ''";
        let row = || self.connection.prepare_cached(sql)?.query_row([body], |row| row.get(0)).optional();
        row().map_err(store_error)
    }

    /// Where a dataset's content is, as it was given when the dataset was offered. It may hold secrets.
    ///
    /// # Errors
    /// When the store fails.
    pub fn source(&self, dataset: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT s.body FROM dataset d JOIN source s ON s.number = d.number WHERE d.id = ?1";
        let row = || self.connection.prepare_cached(sql)?.query_row([dataset], |row| row.get(0)).optional();
        row().map_err(store_error)
    }

    pub(super) fn rows<T>(
        &self,
        sql: &str,
        of: impl rusqlite::Params,
        take: impl FnMut(&rusqlite::Row<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = || self.connection.prepare_cached(sql)?.query_map(of, take)?.collect::<Result<_, _>>();
        rows().map_err(store_error)
    }
}

/// Reads a record kept as JSON.
pub(super) fn read<T: DeserializeOwned>(body: &str) -> Result<T, StoreError> {
    serde_json::from_str(body).map_err(|error| StoreError::Damaged(format!("a record: {error}")))
}
