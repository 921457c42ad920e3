//! A segment: what one import added, or several in a row, in order of series.
//!
//! A file `00000001-00000001.seg` holds the imports from the first number to the last, and is never
//! changed after it appeared under that name. One whose imports another holds too is no longer read:
//!
//! ```text
//! "HIWRSEG1"                                            8 bytes
//! blocks: kind u8, length u32 LE, CRC-32 u32 LE of kind and payload, payload
//! ```
//!
//! | kind | payload |
//! |---|---|
//! | 1 | series, one after the other, about 64 KiB a block |
//! | 2 | coverage, see [`super::coverage`] |
//! | 3 | the end: number of series, number of cells (varints); nothing follows |
//!
//! A series is: source, reporter, partner, item (texts: length, UTF-8), flow (0 import, 1 export),
//! unit (0 USD, 1 EUR, 2 JPY), annual (0 or 1), number of cells, and then its columns: period
//! (signed difference to the one before; months since January of year 0, or the year), release
//! (signed difference; days since 1970-01-01), revision, value, kg, quantity
//! ([`super::codec`] says how numbers are written). Series ascend by that key, cells by period,
//! release and the order they came in.

use std::fs::File;
use std::io::{BufReader, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::codec::{Broken, Bytes, Read, put_amounts, put_signed, put_text, put_varint};
use super::coverage::Coverage;
use super::{StoreError, StoredKey};
use crate::series::{Flow, Observation, SeriesKey, Unit};

const MAGIC: &[u8; 8] = b"HIWRSEG1";
const SERIES: u8 = 1;
const COVERAGE: u8 = 2;
const END: u8 = 3;
const BLOCK: usize = 1 << 16;
/// No block is larger; a series of every month of 5,000 years with 100 revisions is not.
const LARGEST: u32 = 1 << 28;

/// What was reported for one period, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StoredCell {
    /// Months since January of year 0, or the year.
    pub(super) period: u16,
    /// Days since 1970-01-01.
    pub(super) released: i32,
    /// How many rows for this period were held before this one came.
    pub(super) revision: u32,
    pub(super) observation: Observation,
}

impl StoredCell {
    /// Whether the source no longer says anything: a revision to no amounts at all. A row that never
    /// had one says as little.
    pub(super) fn is_withdrawn(&self) -> bool {
        let Observation { value, kg, quantity } = self.observation;
        value.is_none() && kg.is_none() && quantity.is_none()
    }
}

/// A series and its cells.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    pub(super) key: StoredKey,
    pub(super) cells: Vec<StoredCell>,
}

fn put_group(out: &mut Vec<u8>, group: &Group) {
    let key = &group.key.key;
    for text in [&key.source, &key.reporter, &key.partner, &key.item] {
        put_text(out, text);
    }
    out.push(u8::from(key.flow == Flow::Export));
    out.push(match group.key.unit {
        Unit::Usd => 0,
        Unit::Eur => 1,
        Unit::Jpy => 2,
    });
    out.push(u8::from(group.key.annual));
    put_varint(out, group.cells.len() as u64);
    let mut last = 0;
    for cell in &group.cells {
        put_signed(out, i64::from(cell.period) - last);
        last = i64::from(cell.period);
    }
    last = 0;
    for cell in &group.cells {
        put_signed(out, i64::from(cell.released) - last);
        last = i64::from(cell.released);
    }
    group.cells.iter().for_each(|cell| put_varint(out, u64::from(cell.revision)));
    let amounts: [fn(&Observation) -> Option<f64>; 3] = [|o| o.value, |o| o.kg, |o| o.quantity];
    for amount in amounts {
        let column: Vec<_> = group.cells.iter().map(|cell| amount(&cell.observation)).collect();
        put_amounts(out, &column);
    }
}

/// Reads a group; texts equal to those of `before` are shared with it.
fn get_group(bytes: &mut Bytes<'_>, before: Option<&SeriesKey>) -> Read<Group> {
    let mut text = |shared: Option<&Arc<str>>| -> Read<Arc<str>> {
        let text = bytes.text()?;
        Ok(shared.filter(|s| s.as_ref() == text).map_or_else(|| text.into(), Arc::clone))
    };
    let source = text(before.map(|k| &k.source))?;
    let reporter = text(before.map(|k| &k.reporter))?;
    let partner = text(before.map(|k| &k.partner))?;
    let item = text(before.map(|k| &k.item))?;
    let flow = if bytes.byte()? == 0 { Flow::Import } else { Flow::Export };
    let unit = match bytes.byte()? {
        0 => Unit::Usd,
        1 => Unit::Eur,
        2 => Unit::Jpy,
        _ => return Err(Broken("an unknown unit")),
    };
    let annual = bytes.byte()? != 0;
    let count = bytes.count()?;
    let column = |bytes: &mut Bytes<'_>| -> Read<Vec<i64>> {
        let mut last = 0_i64;
        (0..count)
            .map(|_| {
                last = last.checked_add(bytes.signed()?).ok_or(Broken("a number too large"))?;
                Ok(last)
            })
            .collect()
    };
    let periods = column(bytes)?;
    let releases = column(bytes)?;
    let revisions: Vec<u64> = (0..count).map(|_| bytes.varint()).collect::<Read<_>>()?;
    let [values, kgs, quantities] = [bytes.amounts(count)?, bytes.amounts(count)?, bytes.amounts(count)?];
    let too_large = Broken("a number too large");
    let dates = periods.into_iter().zip(releases).zip(revisions);
    let amounts = values.into_iter().zip(kgs).zip(quantities);
    let cells = dates.zip(amounts).map(|(((period, released), revision), ((value, kg), quantity))| {
        Ok(StoredCell {
            period: u16::try_from(period).map_err(|_| too_large)?,
            released: i32::try_from(released).map_err(|_| too_large)?,
            revision: u32::try_from(revision).map_err(|_| too_large)?,
            observation: Observation { value, kg, quantity },
        })
    });
    let key = SeriesKey { source, reporter, partner, item, flow };
    Ok(Group { key: StoredKey { key, annual, unit }, cells: cells.collect::<Read<_>>()? })
}

fn put_block(out: &mut impl Write, kind: u8, payload: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(payload.len()).ok().filter(|l| *l <= LARGEST);
    let length = length.ok_or_else(|| std::io::Error::other("a series is larger than 256 MiB"))?;
    out.write_all(&[kind])?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(&checksum(kind, payload).to_le_bytes())?;
    out.write_all(payload)
}

fn checksum(kind: u8, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind]);
    hasher.update(payload);
    hasher.finalize()
}

/// Writes a segment, series by series in order.
pub(super) struct SegmentWriter<W> {
    out: W,
    block: Vec<u8>,
    series: u64,
    cells: u64,
}

impl<W: Write> SegmentWriter<W> {
    pub(super) fn new(mut out: W) -> std::io::Result<Self> {
        out.write_all(MAGIC)?;
        Ok(Self { out, block: Vec::new(), series: 0, cells: 0 })
    }

    pub(super) fn put(&mut self, group: &Group) -> std::io::Result<()> {
        put_group(&mut self.block, group);
        self.series += 1;
        self.cells += group.cells.len() as u64;
        if self.block.len() >= BLOCK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if !self.block.is_empty() {
            put_block(&mut self.out, SERIES, &self.block)?;
            self.block.clear();
        }
        Ok(())
    }

    /// Writes what each import covered, by its number, and the end.
    pub(super) fn finish(mut self, coverage: &[(u64, Coverage)]) -> std::io::Result<W> {
        self.flush()?;
        for payload in coverage.iter().flat_map(|(import, c)| c.blocks(*import)) {
            put_block(&mut self.out, COVERAGE, &payload)?;
        }
        let mut end = Vec::new();
        put_varint(&mut end, self.series);
        put_varint(&mut end, self.cells);
        put_block(&mut self.out, END, &end)?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// Reads a segment from start to end.
pub(super) struct SegmentReader {
    path: PathBuf,
    input: BufReader<File>,
    offset: u64,
    /// The current block of series, and how much of it is read.
    block: Vec<u8>,
    at: usize,
    before: Option<SeriesKey>,
    series: u64,
    done: bool,
}

impl SegmentReader {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let io = |source| StoreError::Io { path: path.to_owned(), source };
        let mut input = BufReader::with_capacity(1 << 16, File::open(path).map_err(io)?);
        let mut magic = [0; 8];
        let read = input.read_exact(&mut magic);
        if read.is_err() || &magic != MAGIC {
            return Err(Broken("no segment of this version").at(path, 0));
        }
        Ok(Self {
            path: path.to_owned(),
            input,
            offset: 8,
            block: Vec::new(),
            at: 0,
            before: None,
            series: 0,
            done: false,
        })
    }

    fn next_block(&mut self) -> Result<u8, StoreError> {
        let mut head = [0; 9];
        let offset = self.offset;
        let early = |_| Broken("ends early").at(&self.path, offset);
        self.input.read_exact(&mut head).map_err(early)?;
        let [kind, l0, l1, l2, l3, c0, c1, c2, c3] = head;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        if length > LARGEST {
            return Err(Broken("a block too large").at(&self.path, offset));
        }
        self.block.clear();
        self.at = 0;
        // Grows with what is there, not with what a broken length promises.
        let read = self.input.by_ref().take(u64::from(length)).read_to_end(&mut self.block);
        let whole = read.is_ok_and(|n| n == usize::try_from(length).unwrap_or(usize::MAX));
        if !whole || checksum(kind, &self.block) != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Err(Broken("a block whose checksum is wrong").at(&self.path, offset));
        }
        self.offset += 9 + u64::from(length);
        Ok(kind)
    }

    /// The next series.
    pub(super) fn next(&mut self) -> Result<Option<Group>, StoreError> {
        while self.at >= self.block.len() {
            if self.done || self.next_block()? != SERIES {
                self.done = true;
                return Ok(None);
            }
        }
        let mut bytes = Bytes(self.block.get(self.at..).unwrap_or_default());
        let group = get_group(&mut bytes, self.before.as_ref());
        let rest = bytes.0.len();
        let group = group.map_err(|b| b.at(&self.path, self.offset))?;
        self.at = self.block.len() - rest;
        self.before = Some(group.key.key.clone());
        self.series += 1;
        Ok(Some(group))
    }

    /// Reads what follows the series, without taking them apart: the coverage of each import.
    pub(super) fn coverage(mut self) -> Result<Vec<(u64, Coverage)>, StoreError> {
        let mut coverage = Vec::new();
        loop {
            match self.next_block()? {
                SERIES => {}
                COVERAGE => {
                    add_coverage(&mut coverage, &self.block).map_err(|b| b.at(&self.path, self.offset))?;
                }
                END => return Ok(coverage),
                _ => return Err(Broken("an unknown block").at(&self.path, self.offset)),
            }
        }
    }
}

fn add_coverage(all: &mut Vec<(u64, Coverage)>, block: &[u8]) -> Read<()> {
    let mut bytes = Bytes(block);
    let import = bytes.varint()?;
    match all.last_mut() {
        Some((last, coverage)) if *last == import => coverage.read(bytes),
        _ => {
            let mut coverage = Coverage::default();
            coverage.read(bytes)?;
            all.push((import, coverage));
            Ok(())
        }
    }
}
