//! A file that is not whole yet: `NAME.partial`, and `NAME.partial.json` that says of what.
//!
//! Its length is what is there. The final name appears by one rename, after the SHA-256 of the whole
//! was compared and the bytes are durable.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use hiwar_trust::hash::Hash;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Batches that wait between the socket and the disk.
const WAITING: usize = 4;
/// Parts are handed to the disk's thread when they have this many bytes together: waking it for each
/// costs more than writing them.
const BATCH_BYTES: usize = 512 * 1024;

/// What a partial file is a part of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Of {
    /// The version's strong entity tag.
    pub(super) etag: Option<String>,
    /// Bytes of the whole.
    pub(super) size: Option<u64>,
    /// SHA-256 of the whole.
    pub(super) sha256: Option<Hash>,
}

/// A problem with the file, and which.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct FileError {
    /// The file.
    pub path: String,
    /// The problem.
    pub problem: String,
}

fn at(path: &Path) -> impl Fn(io::Error) -> FileError {
    move |e| FileError { path: path.display().to_string(), problem: e.to_string() }
}

/// How a finished file differs from what was announced.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Finish {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the content's SHA-256 is {found}, not {expected} as announced")]
    WrongHash { expected: Hash, found: Hash },
}

/// How long a writer before may take to let go.
const LOCK_LIMIT: Duration = Duration::from_secs(10);

/// Opens a partial file for one writer: a pull that was stopped may still write its last bytes.
fn locked(path: &Path) -> Result<File, FileError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let until = Instant::now() + LOCK_LIMIT;
    loop {
        let file = options.open(path).map_err(at(path))?;
        match file.try_lock() {
            // The writer before may have given the file its final name meanwhile.
            Ok(()) if path.exists() => return Ok(file),
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(at(path)(error)),
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(at(path)(io::Error::other("another transfer writes it")));
            }
        }
    }
}

/// A partial file that is open.
#[derive(Debug)]
pub(super) struct Partial {
    to: PathBuf,
    path: PathBuf,
    of: Of,
    file: File,
    hasher: Sha256,
    length: u64,
}

/// Deletes a file or folder that was received, with what came of it before it was whole, durably.
pub(crate) fn erase(to: &Path) -> std::io::Result<()> {
    let absent = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    for path in [to.to_owned(), beside(to, ".partial"), beside(to, ".partial.json")] {
        let gone = match std::fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => std::fs::remove_dir_all(&path),
            Ok(_) => std::fs::remove_file(&path),
            Err(error) => Err(error),
        };
        gone.or_else(|error| if absent(&error) { Ok(()) } else { Err(error) })?;
    }
    match to.parent().map(std::fs::File::open) {
        Some(Ok(folder)) => folder.sync_all(),
        Some(Err(error)) if !absent(&error) => Err(error),
        _ => Ok(()),
    }
}

pub(super) fn beside(to: &Path, ending: &str) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    to.with_file_name(name)
}

impl Partial {
    /// Opens what is there of `to`, reading it for its SHA-256, or begins. Blocks.
    pub(super) fn open(to: &Path) -> Result<Self, FileError> {
        let path = beside(to, ".partial");
        let note = beside(to, ".partial.json");
        // Without a note nobody knows what the bytes are of.
        let of: Option<Of> = std::fs::read(&note).ok().and_then(|json| serde_json::from_slice(&json).ok());
        let file = locked(&path)?;
        let mut partial =
            Self { to: to.to_owned(), path, of: Of::default(), file, hasher: Sha256::new(), length: 0 };
        match of {
            Some(of) => {
                partial.of = of;
                partial.read_held()?;
            }
            None => partial.restart()?,
        }
        Ok(partial)
    }

    fn read_held(&mut self) -> Result<(), FileError> {
        let mut buffer = vec![0; 256 * 1024];
        self.file.seek(SeekFrom::Start(0)).map_err(at(&self.path))?;
        loop {
            let read = self.file.read(&mut buffer).map_err(at(&self.path))?;
            if read == 0 {
                return Ok(());
            }
            self.hasher.update(buffer.get(..read).unwrap_or_default());
            self.length += read as u64;
        }
    }

    /// Bytes that are there.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// What it is a part of.
    pub(super) fn of(&self) -> &Of {
        &self.of
    }

    /// Says what it is a part of, before bytes of it are added.
    pub(super) fn set(&mut self, of: Of) -> Result<(), FileError> {
        if self.of == of {
            return Ok(());
        }
        let note = beside(&self.to, ".partial.json");
        let json = serde_json::to_vec(&of).unwrap_or_default();
        let fresh = beside(&self.to, ".partial.json.new");
        std::fs::write(&fresh, json).map_err(at(&fresh))?;
        std::fs::rename(&fresh, &note).map_err(at(&note))?;
        self.of = of;
        Ok(())
    }

    /// Throws away what is there.
    pub(super) fn restart(&mut self) -> Result<(), FileError> {
        self.file.set_len(0).map_err(at(&self.path))?;
        self.file.seek(SeekFrom::Start(0)).map_err(at(&self.path))?;
        self.hasher = Sha256::new();
        self.length = 0;
        Ok(())
    }

    fn append(&mut self, part: &[u8]) -> Result<(), FileError> {
        self.file.write_all(part).map_err(at(&self.path))?;
        self.hasher.update(part);
        self.length += part.len() as u64;
        Ok(())
    }

    /// Compares the SHA-256, makes the bytes durable and gives the file its name. A file whose
    /// content is wrong is emptied. Blocks.
    pub(super) fn finish(mut self, expected: Option<Hash>) -> Result<(u64, Hash), Finish> {
        let found = Hash(std::mem::take(&mut self.hasher).finalize().into());
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            self.restart()?;
            return Err(Finish::WrongHash { expected, found });
        }
        self.file.sync_all().map_err(at(&self.path))?;
        std::fs::rename(&self.path, &self.to).map_err(at(&self.to))?;
        #[cfg(unix)]
        {
            let folder = self.to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))?;
        }
        // Left behind by a crash it does no harm: it says of what a partial file is, and there is none.
        drop(std::fs::remove_file(beside(&self.to, ".partial.json")));
        Ok((self.length, found))
    }
}

/// How a stream into a partial file ended.
#[derive(Debug)]
pub(super) enum Drained<E> {
    /// It came to its end.
    Whole,
    /// It broke.
    Broken(E),
    /// There is more than `limit` allows.
    TooLarge,
    /// It was cancelled.
    Cancelled,
    /// The disk refused.
    File(FileError),
}

/// Appends a stream to a partial file, hashing and writing beside the network's task, until the file
/// has `limit` bytes. `progress` is told the file's length.
pub(super) async fn drain<E>(
    mut partial: Partial,
    mut stream: impl Stream<Item = Result<Bytes, E>> + Unpin,
    limit: u64,
    cancel: &CancellationToken,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Partial, Drained<E>), FileError> {
    let path = partial.path.clone();
    let mut length = partial.length;
    let (sender, mut parts) = mpsc::channel::<Vec<Bytes>>(WAITING);
    let writing = tokio::task::spawn_blocking(move || {
        let mut written = Ok(());
        while let Some(batch) = parts.blocking_recv() {
            written = batch.iter().try_for_each(|part| partial.append(part));
            if written.is_err() {
                break;
            }
        }
        (partial, written)
    });
    let (mut batch, mut held) = (Vec::new(), 0);
    let ended = loop {
        let next = tokio::select! {
            biased;
            () = cancel.cancelled() => break Drained::Cancelled,
            next = stream.next() => next,
        };
        let part = match next {
            None => break Drained::Whole,
            Some(Err(error)) => break Drained::Broken(error),
            Some(Ok(part)) => part,
        };
        if part.len() as u64 > limit.saturating_sub(length) {
            break Drained::TooLarge;
        }
        length += part.len() as u64;
        held += part.len();
        batch.push(part);
        if held >= BATCH_BYTES {
            held = 0;
            // The writer ends early only for an error, which it returns.
            if sender.send(std::mem::take(&mut batch)).await.is_err() {
                break Drained::Whole;
            }
        }
        progress(length);
    };
    // What came before a break is kept as well.
    drop(sender.send(batch).await);
    drop(sender);
    let (partial, written) =
        writing.await.map_err(|e| FileError { path: path.display().to_string(), problem: e.to_string() })?;
    Ok((partial, written.map_or_else(Drained::File, |()| ended)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(size: u64) -> Of {
        Of { etag: Some("\"e\"".into()), size: Some(size), sha256: None }
    }

    #[test]
    fn a_partial_file_goes_on_where_it_stopped_and_appears_whole() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("data.csv");
        let mut partial = Partial::open(&to).unwrap();
        partial.set(of(6)).unwrap();
        partial.append(b"abc").unwrap();
        drop(partial);
        let mut partial = Partial::open(&to).unwrap();
        assert_eq!((partial.length(), partial.of()), (3, &of(6)));
        partial.append(b"def").unwrap();
        assert!(!to.exists());
        assert_eq!(partial.finish(Some(Hash::of(b"abcdef"))).unwrap(), (6, Hash::of(b"abcdef")));
        assert_eq!(std::fs::read(&to).unwrap(), b"abcdef");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn two_writers_never_share_a_partial_file() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("f");
        let mut first = Partial::open(&to).unwrap();
        first.set(of(3)).unwrap();
        first.append(b"abc").unwrap();
        let (other, path) = (to.clone(), to.clone());
        let waiting = std::thread::spawn(move || Partial::open(&other).map(|partial| partial.length()));
        std::thread::sleep(Duration::from_millis(50));
        first.finish(None).unwrap();
        assert_eq!(waiting.join().unwrap().unwrap(), 0, "the second has a file of its own");
        assert_eq!(std::fs::read(path).unwrap(), b"abc");
    }

    #[test]
    fn bytes_of_which_nobody_knows_what_they_are_of_are_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("f");
        std::fs::write(folder.path().join("f.partial"), b"stray").unwrap();
        assert_eq!(Partial::open(&to).unwrap().length(), 0);
    }

    #[test]
    fn wrong_content_never_gets_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("f");
        let mut partial = Partial::open(&to).unwrap();
        partial.append(b"bad").unwrap();
        assert!(matches!(partial.finish(Some(Hash::of(b"good"))), Err(Finish::WrongHash { .. })));
        assert!(!to.exists());
        assert_eq!(Partial::open(&to).unwrap().length(), 0);
    }
}
