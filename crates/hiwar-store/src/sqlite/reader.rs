//! Reading beside the writer: what the local interface and the tools ask.

use std::path::Path;

use super::connection::{database_path, open_reader};
use super::migrate::{MIGRATIONS, require_current};
use super::read::Database;
use crate::error::StorageError;

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
}
