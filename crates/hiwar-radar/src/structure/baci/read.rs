//! Files to tables. A plain file is cut into pieces at line ends, which threads take in turn; a
//! gzip file is read by one thread, several of them side by side.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;

use super::table::{self, Refused, Why, Worker};
use super::{BaciError, Trade};

/// Bytes read at a time.
const BUFFER: usize = 1 << 19;
/// Bytes that a thread takes in one turn.
const PIECE: u64 = 1 << 23;
/// A line longer than this is no row.
const LONGEST: usize = 1 << 12;
const HEADER: &[u8] = b"t,i,j,k,v,q";

/// Reads BACI files, plain or gzip (told by their first bytes), in as many threads. A file may hold
/// several years (at most 8), but a year must lie in one file. Sorted by year.
///
/// # Errors
/// [`BaciError`] with file, line and field.
pub fn read(files: &[PathBuf], threads: NonZeroUsize) -> Result<Vec<Trade>, BaciError> {
    let mut all: Vec<Trade> = Vec::new();
    let mut add = |file: &Path, trades: Vec<Trade>| {
        for trade in trades {
            if all.iter().any(|other| other.year == trade.year) {
                return Err(BaciError::YearTwice { file: file.to_owned(), year: trade.year });
            }
            all.push(trade);
        }
        Ok(())
    };
    let mut packed = Vec::new();
    for file in files {
        if is_gzip(file).map_err(|source| failed(file, source))? {
            packed.push(file);
        } else {
            add(file, read_plain(file, threads)?)?;
        }
    }
    for some in packed.chunks(threads.get()) {
        let read: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = some.iter().map(|file| scope.spawn(move || read_gzip(file))).collect();
            running.into_iter().map(joined).collect()
        });
        for (file, trades) in some.iter().zip(read) {
            add(file, trades?)?;
        }
    }
    all.sort_by_key(|trade| trade.year);
    Ok(all)
}

/// The result of a thread; a panic in it goes on here.
pub(super) fn joined<T>(handle: ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn failed(file: &Path, source: std::io::Error) -> BaciError {
    BaciError::Io { file: file.to_owned(), source }
}

fn is_gzip(file: &Path) -> std::io::Result<bool> {
    let mut start = Vec::new();
    File::open(file)?.take(2).read_to_end(&mut start)?;
    Ok(start == [0x1f, 0x8b])
}

fn read_gzip(file: &Path) -> Result<Vec<Trade>, BaciError> {
    let open = || Ok(flate2::read::MultiGzDecoder::new(File::open(file)?));
    let mut worker = Worker::new();
    let mut source = open().map_err(|source| failed(file, source))?;
    let start = header(file, &mut source)?;
    let mut buffer = Buffer::new(start.rest);
    let mut offset = start.length;
    loop {
        let last = buffer.fill(&mut source).map_err(|source| failed(file, source))?;
        match worker.feed(buffer.held(), last) {
            Ok(taken) => {
                offset += taken as u64;
                buffer.taken(taken);
                if last {
                    break;
                }
            }
            Err(refused) => return Err(explain(file, open(), offset, refused)),
        }
        if buffer.held().len() > LONGEST {
            return Err(too_long(file, open(), offset));
        }
    }
    table::merge(&[worker], 1)
}

fn read_plain(file: &Path, threads: NonZeroUsize) -> Result<Vec<Trade>, BaciError> {
    let mut source = File::open(file).map_err(|source| failed(file, source))?;
    let size = source.metadata().map_err(|source| failed(file, source))?.len();
    let start = header(file, &mut source)?.length;
    let next = AtomicU64::new(start);
    let run = || -> Result<Worker, BaciError> {
        let mut worker = Worker::new();
        let mut source = File::open(file).map_err(|source| failed(file, source))?;
        let mut buffer = Buffer::new(Vec::new());
        loop {
            let from = next.fetch_add(PIECE, Ordering::Relaxed);
            if from >= size {
                return Ok(worker);
            }
            let end = (from + PIECE).min(size);
            piece(file, &mut source, &mut worker, &mut buffer, (start, from, end, size))?;
        }
    };
    let workers: Result<Vec<Worker>, BaciError> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads.get()).map(|_| scope.spawn(run)).collect();
        running.into_iter().map(joined).collect()
    });
    table::merge(&workers?, threads.get())
}

/// Takes the lines that start in a piece of a file, the last one to its end beyond the piece.
fn piece(
    file: &Path,
    source: &mut File,
    worker: &mut Worker,
    buffer: &mut Buffer,
    (start, from, end, size): (u64, u64, u64, u64),
) -> Result<(), BaciError> {
    let io = |source| failed(file, source);
    // The line of the byte before belongs to the piece before, which reads it to its end.
    let mut offset = if from > start { from - 1 } else { from };
    source.seek(SeekFrom::Start(offset)).map_err(io)?;
    buffer.clear();
    let mut skip = from > start;
    let mut limited = source.take(end - offset);
    loop {
        let mut last = buffer.fill(&mut limited).map_err(io)?;
        if skip {
            match memchr::memchr(b'\n', buffer.held()) {
                Some(at) => {
                    offset += at as u64 + 1;
                    buffer.taken(at + 1);
                    skip = false;
                }
                // A line through the whole piece.
                None if last => return Ok(()),
                None => return Err(too_long(file, File::open(file), offset)),
            }
        }
        if last && end < size && buffer.held().last().is_some_and(|byte| *byte != b'\n') {
            limited.set_limit(LONGEST as u64);
            buffer.fill_line(&mut limited).map_err(io)?;
            if buffer.held().last() != Some(&b'\n') && limited.limit() == 0 {
                return Err(too_long(file, File::open(file), offset));
            }
            last = true;
        }
        match worker.feed(buffer.held(), last) {
            Ok(taken) => {
                offset += taken as u64;
                buffer.taken(taken);
            }
            Err(refused) => return Err(explain(file, File::open(file), offset, refused)),
        }
        if last {
            return Ok(());
        }
        if buffer.held().len() > LONGEST {
            return Err(too_long(file, File::open(file), offset));
        }
    }
}

/// What was read past the first line.
struct Start {
    length: u64,
    rest: Vec<u8>,
}

fn header(file: &Path, source: &mut impl Read) -> Result<Start, BaciError> {
    let mut start = Vec::new();
    source.take(LONGEST as u64).read_to_end(&mut start).map_err(|source| failed(file, source))?;
    let end = memchr::memchr(b'\n', &start).unwrap_or(start.len());
    let first = start.get(..end).unwrap_or_default();
    if first.strip_suffix(b"\r").unwrap_or(first) != HEADER {
        let found = String::from_utf8_lossy(first).chars().take(80).collect();
        return Err(BaciError::Header { file: file.to_owned(), found });
    }
    let length = (end + 1).min(start.len());
    start.drain(..length);
    Ok(Start { length: length as u64, rest: start })
}

/// A buffer whose untaken end is moved to its start before more is read.
struct Buffer {
    bytes: Vec<u8>,
    from: usize,
    to: usize,
}

impl Buffer {
    fn new(mut bytes: Vec<u8>) -> Self {
        let to = bytes.len();
        bytes.resize(BUFFER.max(to), 0);
        Self { bytes, from: 0, to }
    }

    fn clear(&mut self) {
        (self.from, self.to) = (0, 0);
    }

    fn held(&self) -> &[u8] {
        self.bytes.get(self.from..self.to).unwrap_or_default()
    }

    fn taken(&mut self, count: usize) {
        self.from = (self.from + count).min(self.to);
    }

    /// Reads until full; true at the end of the source.
    fn fill(&mut self, source: &mut impl Read) -> std::io::Result<bool> {
        self.bytes.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        while let Some(free) = self.bytes.get_mut(self.to..).filter(|free| !free.is_empty()) {
            match source.read(free) {
                Ok(0) => return Ok(true),
                Ok(count) => self.to += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Reads up to the end of the line that is not whole, and drops what is behind it.
    fn fill_line(&mut self, source: &mut impl Read) -> std::io::Result<()> {
        let mut more = Vec::with_capacity(LONGEST);
        source.read_to_end(&mut more)?;
        let end = memchr::memchr(b'\n', &more).map_or(more.len(), |at| at + 1);
        more.truncate(end);
        self.bytes.truncate(self.to);
        self.bytes.extend_from_slice(&more);
        self.to = self.bytes.len();
        self.bytes.resize(self.to.max(BUFFER), 0);
        Ok(())
    }
}

/// The error with its line number, for which the file is read again up to `offset`.
fn explain<R: Read>(file: &Path, again: std::io::Result<R>, offset: u64, refused: Refused) -> BaciError {
    let line = match line_number(again, offset + refused.offset as u64) {
        Ok(line) => line,
        Err(source) => return failed(file, source),
    };
    let file = file.to_owned();
    match refused.why {
        Why::Field(bad) => BaciError::Field { file, line, field: bad.field, text: bad.text, why: bad.why },
        Why::Many { what, most } => BaciError::ManyInFile { file, line, what, most },
    }
}

fn too_long<R: Read>(file: &Path, again: std::io::Result<R>, offset: u64) -> BaciError {
    let bad =
        super::line::Bad { field: "q", text: String::new(), why: "the line does not end within 4,096 bytes" };
    explain(file, again, offset, Refused { offset: 0, why: Why::Field(bad) })
}

fn line_number<R: Read>(source: std::io::Result<R>, offset: u64) -> std::io::Result<u64> {
    let mut source = source?.take(offset);
    let mut buffer = vec![0; BUFFER];
    let mut lines = 1;
    loop {
        let count = source.read(&mut buffer)?;
        if count == 0 {
            return Ok(lines);
        }
        lines += memchr::memchr_iter(b'\n', buffer.get(..count).unwrap_or_default()).count() as u64;
    }
}
