//! Sorting more records than memory should hold: sorted runs on disk, merged as they are read.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};

use super::codec::{Broken, Bytes, Read, put_amounts, put_signed, put_text, put_varint};
use super::{StoreError, StoredKey};
use crate::import::Missing;
use crate::series::{Flow, Observation, SeriesKey, Unit};

/// Records held before they are written out as a run; about 100 MiB at most, while
/// they are sorted into series.
const HELD: usize = 1 << 18;
/// Runs merged at once; more are merged in steps, so that open files stay few.
const MERGED: usize = 64;

/// A record on its way into the store.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pending {
    pub(super) period: u16,
    /// Days since 1970-01-01.
    pub(super) released: i32,
    /// The file said so, or the operator did.
    pub(super) stated: bool,
    /// The file, by its place in the list of the import.
    pub(super) file: u32,
    pub(super) line: u64,
    pub(super) add: bool,
    pub(super) placeholder: bool,
    pub(super) missing: Missing,
    pub(super) observation: Observation,
}

impl Pending {
    fn order(&self) -> (u16, i32, u32, u64) {
        (self.period, self.released, self.file, self.line)
    }
}

pub(super) type Batch = (StoredKey, Vec<Pending>);

/// Collects records and gives them back in order.
pub(super) struct Sorter {
    dir: PathBuf,
    held: Vec<(StoredKey, Pending)>,
    runs: Vec<PathBuf>,
    written: usize,
    /// Repeated rows with the same numbers that were dropped.
    pub(super) repeated: u64,
}

impl Sorter {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), held: Vec::new(), runs: Vec::new(), written: 0, repeated: 0 }
    }

    pub(super) fn put(&mut self, key: StoredKey, pending: Pending) -> std::io::Result<()> {
        self.held.push((key, pending));
        if self.held.len() >= HELD { self.spill() } else { Ok(()) }
    }

    /// What is held, series by series.
    fn take(&mut self) -> Vec<Batch> {
        let mut held = std::mem::take(&mut self.held);
        held.sort_unstable_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.order().cmp(&y.order())));
        let mut batches: Vec<Batch> = Vec::new();
        for (key, pending) in held {
            match batches.last_mut() {
                Some((last, rows)) if *last == key => rows.push(pending),
                _ => batches.push((key, Vec::from([pending]))),
            }
        }
        for (_, rows) in &mut batches {
            self.repeated += collapse(rows);
        }
        batches
    }

    fn new_run(&mut self) -> std::io::Result<(PathBuf, BufWriter<File>)> {
        self.written += 1;
        let path = self.dir.join(format!("{}.run", self.written));
        let out = BufWriter::with_capacity(1 << 16, File::create_new(&path)?);
        Ok((path, out))
    }

    fn spill(&mut self) -> std::io::Result<()> {
        let (path, mut out) = self.new_run()?;
        for batch in self.take() {
            write_batch(&mut out, &batch)?;
        }
        out.flush()?;
        self.runs.push(path);
        Ok(())
    }

    /// All records, in order of series and then of period, release, file and line.
    pub(super) fn finish(mut self) -> Result<(Merge, u64), StoreError> {
        let dir = self.dir.clone();
        let io = |source| StoreError::Io { path: dir.clone(), source };
        while self.runs.len() > MERGED {
            let rest = self.runs.split_off(MERGED);
            let some = std::mem::replace(&mut self.runs, rest);
            let (path, mut out) = self.new_run().map_err(io)?;
            let mut merge = Merge::open(&some, Vec::new())?;
            while let Some(batch) = merge.next()? {
                write_batch(&mut out, &batch).map_err(io)?;
            }
            self.repeated += merge.repeated;
            out.flush().map_err(io)?;
            for run in &some {
                std::fs::remove_file(run).map_err(io)?;
            }
            self.runs.push(path);
        }
        let held = self.take();
        Ok((Merge::open(&self.runs, held)?, self.repeated))
    }
}

/// Drops repetitions with the same numbers and adds what is to be added; in order before and after.
/// Returns how many were dropped.
fn collapse(rows: &mut Vec<Pending>) -> u64 {
    let mut dropped = 0;
    rows.dedup_by(|next, kept| {
        let same = (next.period, next.released) == (kept.period, kept.released);
        if same && next.add && kept.add && next.file == kept.file {
            let sum = |a: Option<f64>, b: Option<f64>| match (a, b) {
                (Some(a), Some(b)) => Some(a + b),
                (a, b) => a.or(b),
            };
            let (a, b) = (kept.observation, next.observation);
            kept.observation = Observation {
                value: sum(a.value, b.value),
                kg: sum(a.kg, b.kg),
                quantity: sum(a.quantity, b.quantity),
            };
            return true;
        }
        // Sums are compared when they are complete.
        let repeats = same && !next.add && !kept.add && next.observation == kept.observation;
        dropped += u64::from(repeats);
        repeats
    });
    dropped
}

fn write_batch(out: &mut impl Write, (key, rows): &Batch) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let k = &key.key;
    for text in [&k.source, &k.reporter, &k.partner, &k.item] {
        put_text(&mut bytes, text);
    }
    bytes.push(u8::from(k.flow == Flow::Export) | u8::from(key.annual) << 1);
    bytes.push(key.unit as u8);
    put_varint(&mut bytes, rows.len() as u64);
    for row in rows {
        put_varint(&mut bytes, u64::from(row.period));
        put_signed(&mut bytes, i64::from(row.released));
        put_varint(&mut bytes, u64::from(row.file));
        put_varint(&mut bytes, row.line);
        bytes.push(
            u8::from(row.stated)
                | u8::from(row.add) << 1
                | u8::from(row.placeholder) << 2
                | (row.missing as u8) << 3,
        );
    }
    for row in rows {
        let o = row.observation;
        put_amounts(&mut bytes, &[o.value, o.kg, o.quantity]);
    }
    out.write_all(&(bytes.len() as u64).to_le_bytes())?;
    out.write_all(&bytes)
}

fn read_batch(bytes: &[u8]) -> Read<Batch> {
    let mut bytes = Bytes(bytes);
    let (source, reporter) = (bytes.text()?.into(), bytes.text()?.into());
    let (partner, item) = (bytes.text()?.into(), bytes.text()?.into());
    let flags = bytes.byte()?;
    let flow = if flags & 1 == 0 { Flow::Import } else { Flow::Export };
    let unit = match bytes.byte()? {
        0 => Unit::Usd,
        1 => Unit::Eur,
        _ => Unit::Jpy,
    };
    let key = SeriesKey { source, reporter, partner, item, flow };
    let count = bytes.count()?;
    let large = Broken("a number too large");
    let mut rows = Vec::with_capacity(count);
    for _ in 0..count {
        let period = u16::try_from(bytes.varint()?).map_err(|_| large)?;
        let released = i32::try_from(bytes.signed()?).map_err(|_| large)?;
        let file = u32::try_from(bytes.varint()?).map_err(|_| large)?;
        let line = bytes.varint()?;
        let flags = bytes.byte()?;
        let missing = match flags >> 3 {
            0 => Missing::Unknown,
            1 => Missing::ZeroWithinItem,
            _ => Missing::ZeroWithinFile,
        };
        let [stated, add, placeholder] = [flags & 1 != 0, flags & 2 != 0, flags & 4 != 0];
        let observation = Observation::default();
        rows.push(Pending { period, released, stated, file, line, add, placeholder, missing, observation });
    }
    for row in &mut rows {
        if let [value, kg, quantity] = bytes.amounts(3)?[..] {
            row.observation = Observation { value, kg, quantity };
        }
    }
    Ok((StoredKey { key, annual: flags & 2 != 0, unit }, rows))
}

/// The runs, merged.
pub(super) struct Merge {
    sources: Vec<(Option<Batch>, Source)>,
    pub(super) repeated: u64,
}

enum Source {
    Held(std::vec::IntoIter<Batch>),
    Run { path: PathBuf, input: BufReader<File> },
}

impl Source {
    fn next(&mut self) -> Result<Option<Batch>, StoreError> {
        let (path, input) = match self {
            Self::Held(batches) => return Ok(batches.next()),
            Self::Run { path, input } => (path, input),
        };
        let io = |source| StoreError::Io { path: path.clone(), source };
        let mut length = [0; 8];
        match input.read_exact(&mut length) {
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other.map_err(io)?,
        }
        let mut bytes = Vec::new();
        input.by_ref().take(u64::from_le_bytes(length)).read_to_end(&mut bytes).map_err(io)?;
        read_batch(&bytes).map(Some).map_err(|b| b.at(path, 0))
    }
}

impl Merge {
    fn open(runs: &[PathBuf], held: Vec<Batch>) -> Result<Self, StoreError> {
        let mut sources = Vec::new();
        let mut add = |mut source: Source| -> Result<(), StoreError> {
            sources.push((source.next()?, source));
            Ok(())
        };
        for path in runs {
            let file = File::open(path).map_err(|source| StoreError::Io { path: path.clone(), source })?;
            add(Source::Run { path: path.clone(), input: BufReader::with_capacity(1 << 16, file) })?;
        }
        add(Source::Held(held.into_iter()))?;
        Ok(Self { sources, repeated: 0 })
    }

    /// The next series with all its records.
    pub(super) fn next(&mut self) -> Result<Option<Batch>, StoreError> {
        let least = self.sources.iter().filter_map(|(batch, _)| Some(&batch.as_ref()?.0)).min();
        let Some(key) = least.cloned() else { return Ok(None) };
        let mut all = Vec::new();
        for (head, source) in &mut self.sources {
            if let Some((_, rows)) = head.take_if(|(k, _)| *k == key) {
                all.extend(rows);
                *head = source.next()?;
            }
        }
        all.sort_by_key(Pending::order);
        self.repeated += collapse(&mut all);
        Ok(Some((key, all)))
    }
}
