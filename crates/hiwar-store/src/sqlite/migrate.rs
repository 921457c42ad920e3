//! The schema and its versions. Migrations only go forward, each in a transaction of its own, and
//! none is ever changed once it has been released: what was applied is compared by digest.

use std::path::Path;

use hiwar_trust::hash::Hash;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::connection::{APPLICATION_ID, store_error};
use crate::error::StorageError;

/// One step of the schema.
pub(crate) struct Migration {
    /// Its version, from 1 without gaps.
    pub(crate) version: i64,
    /// Its name.
    pub(crate) name: &'static str,
    /// Its statements.
    pub(crate) sql: &'static str,
}

/// All steps, oldest first.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "first", sql: include_str!("../../migrations/sqlite/0001_first.sql") },
    Migration {
        version: 2,
        name: "acknowledgement",
        sql: include_str!("../../migrations/sqlite/0002_acknowledgement.sql"),
    },
];

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS migration (
    version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum BLOB NOT NULL) STRICT";

/// Brings the schema up to date.
pub(crate) fn migrate(
    connection: &mut Connection,
    path: &Path,
    migrations: &[Migration],
) -> Result<(), StorageError> {
    let applied = applied(connection, path, migrations)?;
    for migration in migrations.iter().filter(|m| m.version > applied) {
        apply(connection, migration).map_err(store_error)?;
    }
    Ok(())
}

/// Makes sure that the schema is the newest known, for those who may not change it.
pub(crate) fn require_current(
    connection: &Connection,
    path: &Path,
    migrations: &[Migration],
) -> Result<(), StorageError> {
    let found = applied(connection, path, migrations)?;
    let needed = newest(migrations);
    if found < needed {
        return Err(StorageError::OlderSchema { path: path.to_owned(), found, needed });
    }
    Ok(())
}

/// Makes sure that no step of the schema is unknown; it may be an earlier one.
pub(crate) fn require_known(
    connection: &Connection,
    path: &Path,
    migrations: &[Migration],
) -> Result<(), StorageError> {
    applied(connection, path, migrations).map(drop)
}

fn newest(migrations: &[Migration]) -> i64 {
    migrations.last().map_or(0, |m| m.version)
}

/// The version of the schema, after comparing every step applied with the one known.
fn applied(connection: &Connection, path: &Path, migrations: &[Migration]) -> Result<i64, StorageError> {
    let found = read_applied(connection).map_err(store_error)?;
    let last = found.last().map_or(0, |(version, _)| *version);
    if last > newest(migrations) {
        let known = newest(migrations);
        return Err(StorageError::NewerSchema { path: path.to_owned(), found: last, known });
    }
    for migration in migrations.iter().filter(|m| m.version <= last) {
        let checksum = Hash::of(migration.sql.as_bytes());
        if !found.contains(&(migration.version, checksum)) {
            return Err(StorageError::ChangedMigration {
                path: path.to_owned(),
                version: migration.version,
                name: migration.name,
            });
        }
    }
    Ok(last)
}

fn read_applied(connection: &Connection) -> Result<Vec<(i64, Hash)>, rusqlite::Error> {
    let exists: Option<i64> = connection
        .query_row("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'migration'", [], |row| {
            row.get(0)
        })
        .optional()?;
    if exists.is_none() {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare("SELECT version, checksum FROM migration ORDER BY version")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, Hash(row.get(1)?))))?;
    rows.collect()
}

fn apply(connection: &mut Connection, migration: &Migration) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.execute_batch(LEDGER)?;
    transaction.execute_batch(migration.sql)?;
    transaction.execute(
        "INSERT INTO migration (version, name, checksum) VALUES (?1, ?2, ?3)",
        params![migration.version, migration.name, Hash::of(migration.sql.as_bytes()).0],
    )?;
    transaction.commit()
}
