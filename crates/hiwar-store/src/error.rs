//! What can go wrong with a node's folder.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use hiwar_dialogue::ledger::StoreError;

/// Why a node's folder could not be opened, checked, filled or copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file operation failed.
    #[error("{path}: {doing} failed: {source}", path = .path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was being done with it.
        doing: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// The disk has no room.
    #[error("{path}: the disk is full; free some room and repeat", path = .path.display())]
    Full {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// Another process works in the folder.
    #[error(
        "{dir} is in use by {holder}; one node runs in one folder: stop that process, or give this one \
         another folder",
        dir = .dir.display()
    )]
    InUse {
        /// The folder.
        dir: PathBuf,
        /// Who holds it, as far as it said.
        holder: Holder,
    },
    /// There is no store in the folder.
    #[error("{path} does not exist; name a node's folder, or make one with `hiwar init`", path = .path.display())]
    NoStore {
        /// Where the database should be.
        path: PathBuf,
    },
    /// The file is the database of something else.
    #[error("{path} is not a hiwar database; move it away, or name another folder", path = .path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// A newer version wrote the database.
    #[error(
        "{path} has schema version {found}, and this program knows {known} at most; run the newer version \
         of the program that made it",
        path = .path.display()
    )]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// An older version wrote the database and has not been brought up to date.
    #[error(
        "{path} has schema version {found}, and this program needs {needed}; start the node once, which \
         brings it up to date",
        path = .path.display()
    )]
    OlderSchema {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The version needed.
        needed: i64,
    },
    /// A migration was applied in another wording.
    #[error(
        "{path} was made by migration {version} ({name}) in another wording than this program's; run the \
         program that made it, or restore a backup",
        path = .path.display()
    )]
    ChangedMigration {
        /// The database.
        path: PathBuf,
        /// The migration.
        version: i64,
        /// Its name in this program.
        name: &'static str,
    },
}

/// The process that holds a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder(pub Option<u32>);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(pid) => write!(f, "process {pid}"),
            None => f.write_str("another process"),
        }
    }
}

impl StorageError {
    /// What became of `path` while `doing`; a full disk is told apart.
    pub(crate) fn file(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::File { path, doing, source },
        }
    }
}
