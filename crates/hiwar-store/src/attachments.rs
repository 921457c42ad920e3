//! Files that entries carry, in a folder of their own, each named by nothing but its digest.
//!
//! A file is here when it stands under its digest: it was complete, its digest was verified, and
//! it was synced to the disk before it got that name. What is on its way stands in `partial`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use hiwar_dialogue::limits::ATTACHMENT_BYTES_MAX;
use hiwar_trust::hash::Hash;
use sha2::{Digest as _, Sha256};

/// Bytes read at one time.
const BUFFER_BYTES: usize = 1024 * 1024;

/// Why a file could not be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachmentError {
    /// The disk failed.
    #[error("{path}: {error}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The disk has no room.
    #[error("{path}: the disk is full; free some room and repeat", path = .path.display())]
    Full {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// Too large.
    #[error("the file is larger than 10 GiB; split it")]
    TooLarge,
    /// More arrived than was announced.
    #[error("more than the announced {size} bytes arrived; what is too much was not taken")]
    TooLong {
        /// The announced size.
        size: u64,
    },
    /// Less than announced is here.
    #[error("only {offset} of the announced {size} bytes have arrived; send the rest")]
    Incomplete {
        /// How much is here.
        offset: u64,
        /// The announced size.
        size: u64,
    },
    /// The digest is wrong.
    #[error(
        "the bytes that arrived have the digest {found}, not {announced}; they were thrown away and are fetched again"
    )]
    WrongDigest {
        /// The digest of what arrived.
        found: Hash,
        /// The announced digest.
        announced: Hash,
    },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> AttachmentError + '_ {
    |error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            AttachmentError::Full { path: path.to_owned() }
        }
        _ => AttachmentError::Io { path: path.to_owned(), error },
    }
}

/// The folder of a node's files.
#[derive(Debug)]
pub struct AttachmentFolder {
    root: PathBuf,
    uploads: AtomicU64,
}

/// A file on its way in, its digest announced before.
#[derive(Debug)]
pub struct Partial {
    file: File,
    path: PathBuf,
    target: PathBuf,
    sha256: Hash,
    size: u64,
    offset: u64,
}

/// A file on its way in, its digest not known before its end.
#[derive(Debug)]
pub struct Upload {
    file: File,
    path: PathBuf,
    root: PathBuf,
    digest: Sha256,
    size: u64,
}

impl AttachmentFolder {
    /// Opens the folder of the node in `dir`, making it when it is not there. Uploads that were
    /// cut off are thrown away; parts of announced files stay, to be resumed.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn open(dir: &Path) -> Result<Self, AttachmentError> {
        let root = dir.join("attachments");
        let partial = root.join("partial");
        fs::create_dir_all(&partial).map_err(io_error(&partial))?;
        for entry in fs::read_dir(&partial).map_err(io_error(&partial))?.flatten() {
            if entry.file_name().to_string_lossy().starts_with("upload-") {
                fs::remove_file(entry.path()).map_err(io_error(&entry.path()))?;
            }
        }
        for folder in [&root, dir] {
            sync(folder)?;
        }
        Ok(Self { root, uploads: AtomicU64::new(0) })
    }

    /// Where a file stands when it is here.
    pub fn path_of(&self, sha256: &Hash) -> PathBuf {
        path_in(&self.root, sha256)
    }

    /// Begins a file whose digest is not known yet.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn begin(&self) -> Result<Upload, AttachmentError> {
        let number = self.uploads.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join(format!("partial/upload-{}-{number}", std::process::id()));
        let file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(io_error(&path))?;
        Ok(Upload { file, path, root: self.root.clone(), digest: Sha256::new(), size: 0 })
    }

    /// Goes on with an announced file where it was cut off.
    ///
    /// # Errors
    /// When it is too large or the disk fails.
    pub fn resume(&self, sha256: &Hash, size: u64) -> Result<Partial, AttachmentError> {
        if size > ATTACHMENT_BYTES_MAX {
            return Err(AttachmentError::TooLarge);
        }
        let path = self.root.join(format!("partial/{sha256}"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io_error(&path))?;
        let offset = file.metadata().map_err(io_error(&path))?.len().min(size);
        Ok(Partial { file, path, target: self.path_of(sha256), sha256: *sha256, size, offset })
    }

    /// Reads a part of a file that is here; empty at its end.
    ///
    /// # Errors
    /// When it is not here or the disk fails.
    pub fn read_part(&self, sha256: &Hash, offset: u64, bytes_max: u64) -> Result<Vec<u8>, AttachmentError> {
        let path = self.path_of(sha256);
        let mut file = File::open(&path).map_err(io_error(&path))?;
        file.seek(SeekFrom::Start(offset)).map_err(io_error(&path))?;
        let mut part = Vec::new();
        file.take(bytes_max).read_to_end(&mut part).map_err(io_error(&path))?;
        Ok(part)
    }
}

fn path_in(root: &Path, sha256: &Hash) -> PathBuf {
    let name = sha256.to_string();
    let (shelf, _) = name.split_at_checked(2).unwrap_or(("", ""));
    root.join(shelf).join(&name)
}

/// Syncs a complete file and gives it its name.
fn settle(file: &File, path: &Path, target: &Path) -> Result<(), AttachmentError> {
    file.sync_all().map_err(io_error(path))?;
    let shelf = target.parent().unwrap_or(target);
    fs::create_dir_all(shelf).map_err(io_error(shelf))?;
    fs::rename(path, target).map_err(io_error(target))?;
    [Some(shelf), shelf.parent()].into_iter().flatten().try_for_each(sync)
}

/// Syncs a folder, so that the names in it are durable.
fn sync(folder: &Path) -> Result<(), AttachmentError> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(io_error(folder))
}

impl Upload {
    /// Adds bytes.
    ///
    /// # Errors
    /// When the file grows too large or the disk fails.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), AttachmentError> {
        self.size += bytes.len() as u64;
        if self.size > ATTACHMENT_BYTES_MAX {
            return Err(AttachmentError::TooLarge);
        }
        self.digest.update(bytes);
        self.file.write_all(bytes).map_err(io_error(&self.path))
    }

    /// Ends the file; returns its digest and size when it is durable.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn finish(mut self) -> Result<(Hash, u64), AttachmentError> {
        let sha256 = Hash(std::mem::take(&mut self.digest).finalize().into());
        settle(&self.file, &self.path, &path_in(&self.root, &sha256))?;
        Ok((sha256, self.size))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // After `finish` the file has another name; otherwise it is of no use any more.
        drop(fs::remove_file(&self.path));
    }
}

impl Partial {
    /// How much is here.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Adds the next bytes.
    ///
    /// # Errors
    /// When more arrives than was announced, or the disk fails.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), AttachmentError> {
        let after = self.offset + bytes.len() as u64;
        if after > self.size {
            return Err(AttachmentError::TooLong { size: self.size });
        }
        self.file.seek(SeekFrom::Start(self.offset)).map_err(io_error(&self.path))?;
        self.file.write_all(bytes).map_err(io_error(&self.path))?;
        self.offset = after;
        Ok(())
    }

    /// Ends the file: verifies its digest over all bytes, also those from before a break, and
    /// makes it durable.
    ///
    /// # Errors
    /// When something is still to come, the digest is wrong, in which case all of it is fetched
    /// again, or the disk fails.
    pub fn finish(mut self) -> Result<(), AttachmentError> {
        if self.offset < self.size {
            return Err(AttachmentError::Incomplete { offset: self.offset, size: self.size });
        }
        self.file.seek(SeekFrom::Start(0)).map_err(io_error(&self.path))?;
        let mut digest = Sha256::new();
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut left = self.size;
        while left > 0 {
            let read = self.file.read(&mut buffer).map_err(io_error(&self.path))?;
            let part = buffer.get(..read).filter(|p| !p.is_empty());
            let Some(part) = part else { break };
            digest.update(part);
            left = left.saturating_sub(read as u64);
        }
        let found = Hash(digest.finalize().into());
        if found != self.sha256 {
            fs::remove_file(&self.path).map_err(io_error(&self.path))?;
            return Err(AttachmentError::WrongDigest { found, announced: self.sha256 });
        }
        self.file.set_len(self.size).map_err(io_error(&self.path))?;
        settle(&self.file, &self.path, &self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_stands_under_its_digest_when_it_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        let folder = AttachmentFolder::open(dir.path()).unwrap();
        let mut upload = folder.begin().unwrap();
        upload.append(b"479 t, ").unwrap();
        upload.append(b"July 2019").unwrap();
        let (sha256, size) = upload.finish().unwrap();
        assert_eq!((sha256, size), (Hash::of(b"479 t, July 2019"), 16));
        assert_eq!(folder.read_part(&sha256, 7, 100).unwrap(), b"July 2019");
        assert!(folder.read_part(&sha256, 16, 100).unwrap().is_empty());
    }

    #[test]
    fn an_upload_that_is_cut_off_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let folder = AttachmentFolder::open(dir.path()).unwrap();
        let mut upload = folder.begin().unwrap();
        upload.append(b"half").unwrap();
        drop(upload);
        assert_eq!(fs::read_dir(dir.path().join("attachments/partial")).unwrap().count(), 0);
    }

    #[test]
    fn an_announced_file_is_resumed_after_a_restart_and_verified_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = vec![9; 3_000_000];
        let sha256 = Hash::of(&bytes);
        let folder = AttachmentFolder::open(dir.path()).unwrap();
        let mut partial = folder.resume(&sha256, 3_000_000).unwrap();
        partial.append(&bytes[..1_000_000]).unwrap();
        drop((partial, folder));
        let folder = AttachmentFolder::open(dir.path()).unwrap();
        let mut partial = folder.resume(&sha256, 3_000_000).unwrap();
        assert_eq!(partial.offset(), 1_000_000);
        partial.append(&bytes[1_000_000..]).unwrap();
        partial.finish().unwrap();
        assert!(folder.path_of(&sha256).is_file());
    }

    #[test]
    fn a_file_that_is_not_complete_is_not_thrown_away() {
        let dir = tempfile::tempdir().unwrap();
        let folder = AttachmentFolder::open(dir.path()).unwrap();
        let sha256 = Hash::of(b"right");
        let mut partial = folder.resume(&sha256, 5).unwrap();
        partial.append(b"rig").unwrap();
        assert!(matches!(partial.append(b"hting"), Err(AttachmentError::TooLong { size: 5 })));
        assert!(matches!(partial.finish(), Err(AttachmentError::Incomplete { offset: 3, size: 5 })));
        let mut partial = folder.resume(&sha256, 5).unwrap();
        assert_eq!(partial.offset(), 3);
        partial.append(b"ht").unwrap();
        partial.finish().unwrap();
        assert_eq!(folder.read_part(&sha256, 0, 99).unwrap(), b"right");
        let mut empty = folder.resume(&Hash::of(b""), 0).unwrap();
        empty.append(b"").unwrap();
        empty.finish().unwrap();
        assert!(folder.path_of(&Hash::of(b"")).is_file());
    }

    #[test]
    fn an_upload_has_a_limit_and_an_error_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let folder = AttachmentFolder::open(dir.path()).unwrap();
        let mut upload = folder.begin().unwrap();
        upload.size = ATTACHMENT_BYTES_MAX;
        assert!(matches!(upload.append(b"1"), Err(AttachmentError::TooLarge)));
        let missing = folder.read_part(&Hash::of(b"x"), 0, 1).unwrap_err().to_string();
        assert!(missing.contains(&Hash::of(b"x").to_string()), "{missing}");
    }

    #[test]
    fn bytes_with_another_digest_are_thrown_away() {
        let dir = tempfile::tempdir().unwrap();
        let folder = AttachmentFolder::open(dir.path()).unwrap();
        let mut partial = folder.resume(&Hash::of(b"right"), 5).unwrap();
        partial.append(b"wrong").unwrap();
        assert!(matches!(partial.finish(), Err(AttachmentError::WrongDigest { .. })));
        assert_eq!(folder.resume(&Hash::of(b"right"), 5).unwrap().offset(), 0);
        assert!(matches!(folder.resume(&Hash::of(b"x"), u64::MAX), Err(AttachmentError::TooLarge)));
    }
}
