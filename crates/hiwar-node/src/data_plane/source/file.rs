//! One file, pinned to what it was when it was offered.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::pin::{Changed, Fingerprint};
use super::{Content, ContentStream, SourceError};

/// How much is read at a time, in bytes. Measured: 256 KiB to 2 MiB are alike, smaller is slower.
const BATCH: u64 = 1024 * 1024;
/// How many reads run ahead of what is sent. They run on two threads, so that a file is read and
/// checked faster than one core hashes.
const AHEAD: usize = 2;

/// How it is made sure that what is sent is what was offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recheck {
    /// Every block is hashed before it is sent.
    Always,
    /// Blocks are hashed unless the system says, after each read, that the file was not touched since it
    /// was offered: same file, size, times of modification and of change. Where a process maps the file into
    /// its memory and writes to it that way, use [`Recheck::Always`]: such writes show late.
    #[default]
    WhenTouched,
}

/// A file that is offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSource {
    /// Where it lies.
    pub path: PathBuf,
    /// Its media type; `application/octet-stream` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What it was when it was offered.
    pub pinned: Arc<Fingerprint>,
    /// How that is checked.
    #[serde(default)]
    pub recheck: Recheck,
}

impl FileSource {
    /// Takes the fingerprint of a file; blocks while it is read.
    ///
    /// # Errors
    /// When it cannot be read or is no regular file.
    pub fn offer(path: &Path, media_type: Option<String>) -> Result<Self, SourceError> {
        let named = |e: io::Error| SourceError::read(path, &e);
        let path = path.canonicalize().map_err(named)?;
        let pinned = Arc::new(Fingerprint::of(&path).map_err(named)?);
        Ok(Self { path, media_type, pinned, recheck: Recheck::default() })
    }

    /// Opens it, once for the whole answer.
    ///
    /// # Errors
    /// When it is gone or has another size than was offered.
    pub async fn open(&self) -> Result<Content, SourceError> {
        open(self.path.clone(), self.pinned.clone(), self.media_type.clone(), self.recheck).await
    }
}

/// Opens a pinned file.
pub(super) async fn open(
    path: PathBuf,
    pinned: Arc<Fingerprint>,
    media_type: Option<String>,
    recheck: Recheck,
) -> Result<Content, SourceError> {
    let opening = tokio::task::spawn_blocking(move || {
        let file = File::open(&path).map_err(|e| SourceError::read(&path, &e))?;
        let held = file.metadata().map_err(|e| SourceError::read(&path, &e))?;
        if !held.is_file() {
            return Err(SourceError::read(&path, &io::Error::other("it is not a regular file")));
        }
        Ok((file, held.len()))
    });
    let (file, found) = opening.await.map_err(|e| SourceError::Read(e.to_string()))??;
    if found != pinned.size {
        return Err(Changed::Size { offered: pinned.size, found }.into());
    }
    Ok(Content {
        size: pinned.size,
        etag: pinned.etag(),
        sha256: Some(pinned.sha256),
        media_type,
        body: super::Body::File(PinnedFile { file: Arc::new(file), pinned, recheck }),
    })
}

/// An open file.
#[derive(Debug)]
pub struct PinnedFile {
    file: Arc<File>,
    pinned: Arc<Fingerprint>,
    recheck: Recheck,
}

impl PinnedFile {
    /// The bytes of `range`, each checked before it is given out.
    pub(super) fn stream(self, range: Range<u64>) -> ContentStream {
        Box::pin(blocks(Reading {
            file: self.file,
            pinned: self.pinned,
            recheck: self.recheck,
            next: range.start,
            range,
            running: VecDeque::new(),
            given: VecDeque::new(),
        }))
    }
}

struct Reading {
    file: Arc<File>,
    pinned: Arc<Fingerprint>,
    recheck: Recheck,
    range: Range<u64>,
    /// Where the next read begins.
    next: u64,
    running: VecDeque<JoinHandle<Result<(u64, Bytes), SourceError>>>,
    /// What was given out; a buffer is used again when nobody holds it any more.
    given: VecDeque<Bytes>,
}

impl Reading {
    fn read_ahead(&mut self) {
        while self.running.len() < AHEAD && self.next < self.range.end {
            let span = self.pinned.span(self.next, BATCH);
            self.next = span.end;
            let (file, pinned) = (self.file.clone(), self.pinned.clone());
            let (buffer, recheck) = (self.buffer(), self.recheck);
            let reading = move || read(&file, &pinned, &span, buffer, recheck);
            self.running.push_back(tokio::task::spawn_blocking(reading));
        }
    }

    fn buffer(&mut self) -> BytesMut {
        match self.given.front() {
            Some(oldest) if oldest.is_unique() => {
                self.given.pop_front().and_then(|held| held.try_into_mut().ok()).unwrap_or_default()
            }
            _ => BytesMut::new(),
        }
    }

    /// Only what was asked for of a batch that begins at `from`.
    fn part(&self, from: u64, batch: &Bytes) -> Bytes {
        let within =
            |at: u64| usize::try_from(at.saturating_sub(from)).unwrap_or(usize::MAX).min(batch.len());
        batch.slice(within(self.range.start)..within(self.range.end))
    }
}

fn blocks(reading: Reading) -> impl Stream<Item = Result<Bytes, SourceError>> + Send {
    futures_util::stream::unfold(Some(reading), async |state| {
        let mut reading = state?;
        reading.read_ahead();
        let done = reading.running.pop_front()?.await;
        let (from, batch) = match done.map_err(|e| SourceError::Read(e.to_string())).flatten() {
            Ok(read) => read,
            Err(error) => return Some((Err(error), None)),
        };
        let part = reading.part(from, &batch);
        reading.given.push_back(batch);
        reading.read_ahead();
        Some((Ok(part), Some(reading)))
    })
}

fn read(
    file: &File,
    pinned: &Fingerprint,
    span: &Range<u64>,
    mut buffer: BytesMut,
    recheck: Recheck,
) -> Result<(u64, Bytes), SourceError> {
    let length = usize::try_from(span.end - span.start).unwrap_or(usize::MAX);
    buffer.resize(length, 0);
    read_exact_at(file, &mut buffer, span.start).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => {
            let found = file.metadata().map_or(span.start, |held| held.len());
            Changed::Size { offered: pinned.size, found }.into()
        }
        _ => SourceError::Read(e.to_string()),
    })?;
    if recheck == Recheck::Always || !pinned.is_untouched(file) {
        pinned.check(span.start, &buffer)?;
    }
    Ok((span.start, buffer.freeze()))
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, at)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut at: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, buffer, at)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer = buffer.get_mut(read..).unwrap_or_default();
        at += read as u64;
    }
    Ok(())
}
