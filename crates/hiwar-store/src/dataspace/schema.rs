//! The file and its schema.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::error::StorageError;
use crate::sqlite::migrate::Migration;

/// The dataspace's file in a node's folder.
pub const DATASPACE_FILE: &str = "dataspace.db";

/// All steps of the schema, oldest first.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "first", sql: include_str!("../../migrations/dataspace/0001_first.sql") },
    Migration {
        version: 2,
        name: "text_index",
        sql: include_str!("../../migrations/dataspace/0002_text_index.sql"),
    },
    Migration {
        version: 3,
        name: "retention",
        sql: include_str!("../../migrations/dataspace/0003_retention.sql"),
    },
    Migration {
        version: 4,
        name: "issuance",
        sql: include_str!("../../migrations/dataspace/0004_issuance.sql"),
    },
];

/// Where the file of a folder is.
pub(super) fn path_in(dir: &Path) -> PathBuf {
    dir.join(DATASPACE_FILE)
}

/// Makes the file, or closes the one that is there, so that only its owner can read it: it holds access
/// tokens and keys of data sources. What SQLite keeps beside it takes over the same mode.
pub(super) fn make_private(path: &Path) -> Result<(), StorageError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))
                .map_err(StorageError::file(path, "closing it to others"))
        }
        Err(error) => Err(StorageError::file(path, "making the file")(error)),
    }
}
