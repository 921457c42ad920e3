//! How the database is opened, and what its errors mean to the ledger.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hiwar_dialogue::ledger::StoreError;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use crate::error::StorageError;

/// The database's file in a node's folder.
pub const DATABASE_FILE: &str = "hiwar.db";

/// Tells the database from those of other programs: "HIWR".
pub(super) const APPLICATION_ID: i32 = 0x4849_5752;
/// How long to wait for a lock that a tool such as `sqlite3` holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Page cache of the writer.
const WRITER_CACHE_KIB: i32 = 8 * 1024;
/// Page cache of each reader.
const READER_CACHE_KIB: i32 = 2 * 1024;
/// Pages in the write-ahead log at which it is carried over into the database: 32 MiB. Entries'
/// identifiers are random, so every batch touches other pages of their index; a longer log lets
/// more batches share one write of the same page.
const CHECKPOINT_PAGES: i32 = 8 * 1024;
/// The write-ahead log is cut to this many bytes when it was longer.
const LOG_BYTES_KEPT: i32 = 64 * 1024 * 1024;
/// Statements kept prepared; more than there are.
const STATEMENTS: usize = 96;

/// Where the database of a folder is.
pub(super) fn database_path(dir: &Path) -> PathBuf {
    dir.join(DATABASE_FILE)
}

/// Opens the writer's connection, making the file when it is not there.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, StorageError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open(path, flags, WRITER_CACHE_KIB)?;
    let found: i32 = connection
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(|error| not_ours_or(error, path))?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|error| not_ours_or(error, path))?;
    if found != APPLICATION_ID && (found != 0 || tables != 0) {
        return Err(StorageError::NotOurs { path: path.to_owned() });
    }
    let set = || {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)
    };
    set().map_err(store_error)?;
    Ok(connection)
}

/// Opens a connection that only reads.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StorageError> {
    if !path.exists() {
        return Err(StorageError::NoStore { path: path.to_owned() });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open(path, flags, READER_CACHE_KIB)?;
    let found: i32 = connection
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(|error| not_ours_or(error, path))?;
    if found != APPLICATION_ID {
        return Err(StorageError::NotOurs { path: path.to_owned() });
    }
    Ok(connection)
}

fn open(path: &Path, flags: OpenFlags, cache_kib: i32) -> Result<Connection, StorageError> {
    let connection = Connection::open_with_flags(path, flags).map_err(store_error)?;
    let set = || {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // Negative: in KiB rather than in pages.
        connection.pragma_update(None, "cache_size", -cache_kib)?;
        connection.pragma_update(None, "temp_store", "MEMORY")
    };
    set().map_err(|error| not_ours_or(error, path))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

fn not_ours_or(error: rusqlite::Error, path: &Path) -> StorageError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StorageError::NotOurs { path: path.to_owned() },
        _ => StorageError::Store(store_error(error)),
    }
}

/// What an error of the database means to the ledger.
#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(crate) fn store_error(error: rusqlite::Error) -> StoreError {
    let text = error.to_string();
    match &error {
        rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DiskFull => StoreError::Full(text),
            // The file shared with readers could not grow.
            ErrorCode::SystemIoFailure if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE => {
                StoreError::Full(text)
            }
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Damaged(text),
            _ => StoreError::Failed(text),
        },
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..) => StoreError::Damaged(text),
        _ => StoreError::Failed(text),
    }
}

/// A number as the database holds it.
pub(super) fn to_integer(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number)
        .map_err(|_| StoreError::Failed(format!("{number} is larger than the database can hold")))
}

/// A number as the database gives it back.
pub(super) fn from_integer(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number)
        .map_err(|_| StoreError::Damaged(format!("{number} stands where no negative number can")))
}
