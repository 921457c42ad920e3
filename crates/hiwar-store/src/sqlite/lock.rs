//! One process per folder: an exclusive lock on a file in it, which the operating system lets go
//! when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use crate::error::{Holder, StorageError};

/// The file that is locked.
const LOCK_FILE: &str = "lock";

/// Holds a folder until it is dropped.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the folder.
    pub(crate) fn take(dir: &Path) -> Result<Self, StorageError> {
        let path = dir.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(StorageError::file(&path, "opening the lock"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let read = (&mut file).take(32).read_to_string(&mut text);
                let holder = read.ok().and_then(|_| text.trim().parse().ok());
                return Err(StorageError::InUse { dir: dir.to_owned(), holder: Holder(holder) });
            }
            Err(TryLockError::Error(error)) => return Err(StorageError::file(&path, "locking")(error)),
        }
        // The number is only told to people; that it cannot be written harms nothing.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}
