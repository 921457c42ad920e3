//! An import: files in, one segment out.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::coverage::Coverage;
use super::runs::{Pending, Sorter};
use super::scan::{Scan, visible};
use super::segment::{Group, SegmentWriter, StoredCell};
use super::withdraw::{Released, release_of, withdraw_all, withdrawn};
use super::{Store, StoreError, StoredKey, compact, day};
use crate::calendar::{self, Period};
use crate::import::{BEYOND, FileReport, Missing, Problem, ReadOptions, Record, WrongRows, read_file};
use crate::month::{Date, Month};

/// How to import.
#[derive(Clone, Debug)]
pub struct Options {
    /// The day the files were obtained: revisions count as released then, and nothing can have
    /// been released later.
    pub received: Date,
    /// The day all rows were released, where known; over the source's calendar, under what rows
    /// say themselves.
    pub released: Option<Date>,
    /// What a missing row means, over what the format says.
    pub missing: Option<Missing>,
    /// The files hold all rows of each source, reporter, flow and period that occurs in them: a
    /// row that is held for one of those, and that they do not have, was withdrawn.
    pub complete: bool,
    /// How to read rows.
    pub read: ReadOptions,
}

impl Options {
    /// The usual ways, for files obtained on a day.
    pub fn received(day: Date) -> Self {
        Self { received: day, released: None, missing: None, complete: false, read: ReadOptions::default() }
    }
}

/// How far an import is.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// So many records of a file were read.
    Read(&'a Path, u64),
    /// So many series were compared with what is held.
    Compared(u64),
}

/// Records and series between two words about progress.
const OFTEN: u64 = 1 << 15;

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ImportReport {
    /// What each file was and gave.
    pub files: Vec<FileReport>,
    /// Rows read below headers.
    pub rows: u64,
    /// Series with at least one record in the files.
    pub series: u64,
    /// Series that the store did not have.
    pub new_series: u64,
    /// Numbers for periods that the store had nothing for.
    pub new: u64,
    /// Other numbers for periods that the store had.
    pub revisions: u64,
    /// Numbers that a complete release no longer has.
    pub withdrawn: u64,
    /// Numbers that the store had.
    pub unchanged: u64,
    /// Repetitions within the files.
    pub repeated: u64,
    /// The first month with a number stored or confirmed.
    pub first: Option<Month>,
    /// The last one.
    pub last: Option<Month>,
    /// Rows and records left out of all files, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// The segment that was written; none when there was nothing new.
    pub segment: Option<String>,
}

/// Some lines for people.
impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.iter().try_for_each(|file| writeln!(f, "{file}"))?;
        write!(f, "{} rows, {} series ({} new)", self.rows, self.series, self.new_series)?;
        if let (Some(first), Some(last)) = (self.first, self.last) {
            write!(f, ", months {first} to {last}")?;
        }
        let (new, revisions, unchanged) = (self.new, self.revisions, self.unchanged);
        write!(
            f,
            "\n{new} new numbers, {revisions} revisions, {unchanged} unchanged, {} repeated",
            self.repeated
        )?;
        if self.withdrawn > 0 {
            write!(f, ", {} withdrawn", self.withdrawn)?;
        }
        self.skipped.iter().try_for_each(|(why, n)| write!(f, "\nleft out {n}: {why}"))?;
        let examples = self.files.iter().flat_map(|file| &file.examples);
        examples.take(20).try_for_each(|example| write!(f, "\n  {example}"))
    }
}

const UNFINISHED: &str = "period not over when the file was received";
const CONFLICT: &str = "other numbers than in an earlier row for the same period and release";
/// Working directories of imports; what a killed one left is removed by the next.
const WORK: &str = "importing-";

pub(super) fn run(
    store: &Store,
    paths: &[PathBuf],
    options: &Options,
    watch: &mut dyn FnMut(Progress<'_>),
) -> Result<ImportReport, StoreError> {
    let _lock = store.lock()?;
    let io = |source| StoreError::Io { path: store.dir.clone(), source };
    remove_leftovers(&store.dir).map_err(io)?;
    compact::remove_joined(store)?;
    let work = tempfile::Builder::new().prefix(WORK).tempdir_in(&store.dir).map_err(io)?;

    let mut report = ImportReport::default();
    let mut sorter = Sorter::new(work.path());
    let mut released = Released::new();
    for (number, path) in (0_u32..).zip(paths) {
        let (mut unfinished, mut records) = (0, 0_u64);
        let mut file = read_file(path, &options.read, &mut |record| {
            records += 1;
            if records.is_multiple_of(OFTEN) {
                watch(Progress::Read(path, records));
            }
            match pending(record, number, options) {
                Some((key, pending)) => {
                    if options.complete && !pending.placeholder {
                        released.insert(release_of(&key, pending.period));
                    }
                    sorter.put(key, pending)?;
                }
                None => unfinished += 1,
            }
            Ok(())
        })?;
        count(&mut file.skipped, UNFINISHED, unfinished);
        report.rows += file.rows;
        report.files.push(file);
    }
    commit(store, sorter, work.path(), (options, &released), &mut report, watch)?;
    compact::when_many(store, work.path())?;
    for file in &report.files {
        file.skipped.iter().for_each(|(why, n)| count(&mut report.skipped, why, *n));
    }
    Ok(report)
}

fn count(skipped: &mut BTreeMap<String, u64>, why: &str, more: u64) {
    if more > 0 {
        *skipped.entry(why.to_owned()).or_default() += more;
    }
}

fn remove_leftovers(dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(WORK) {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// A record with its release; none when its period was not over on the day the file was received.
fn pending(record: Record, file: u32, options: &Options) -> Option<(StoredKey, Pending)> {
    let stated = record.released.or(options.released);
    let known_by = stated.unwrap_or(options.received);
    let usual = calendar::released(&record.key.source, record.period);
    if known_by <= record.period.last_day() {
        return None;
    }
    // A year is not complete before the source has released it, and a zero that may be a
    // placeholder is none: both are there before, with numbers that mean something else.
    let early = usual.is_some_and(|usual| known_by < usual);
    let annual = matches!(record.period, Period::Year(_));
    if early && (record.placeholder || (annual && stated.is_none())) {
        return None;
    }
    let released = stated.or(usual).unwrap_or(options.received).min(known_by);
    let period = match record.period {
        Period::Month(month) => month.index(),
        Period::Year(year) => year,
    };
    let pending = Pending {
        period,
        released: day(released),
        stated: stated.is_some(),
        file,
        line: record.line,
        add: record.add,
        placeholder: record.placeholder,
        missing: options.missing.unwrap_or(record.missing),
        observation: record.observation,
    };
    Some((StoredKey { key: record.key, annual, unit: record.unit }, pending))
}

fn commit(
    store: &Store,
    sorter: Sorter,
    work: &Path,
    (options, released): (&Options, &Released),
    report: &mut ImportReport,
    watch: &mut dyn FnMut(Progress<'_>),
) -> Result<(), StoreError> {
    let io = |source| StoreError::Io { path: store.dir.clone(), source };
    let segments = store.segments()?;
    let number = segments.last().map_or(1, |segment| segment.last + 1);
    let (mut merge, repeated) = sorter.finish()?;
    let mut scan = Scan::new(&segments)?;
    let mut coverage = Coverage::default();
    let path = work.join("segment");
    let out = BufWriter::with_capacity(1 << 16, File::create_new(&path).map_err(io)?);
    let mut writer = SegmentWriter::new(out).map_err(io)?;
    while let Some((key, rows)) = merge.next()? {
        if options.complete {
            // What the files have nothing of may be withdrawn too.
            while let Some(group) = scan.before(&key)? {
                withdraw_all(group, released, options, report, &mut writer).map_err(io)?;
            }
        }
        let held = scan.cells_of(&key)?;
        let was_new = held.is_empty();
        let had: BTreeSet<u16> = rows.iter().map(|row| row.period).collect();
        let mut series = Joined { held, new: Vec::new() };
        let any = take_rows(&key, rows, &mut series, &mut coverage, options, report)?;
        if options.complete {
            let gone = withdrawn(&key, &series.held, &had, released, options);
            report.withdrawn += gone.len() as u64;
            series.new.extend(gone);
        }
        report.series += u64::from(any);
        if report.series.is_multiple_of(OFTEN) {
            watch(Progress::Compared(report.series));
        }
        if !series.new.is_empty() {
            report.new_series += u64::from(was_new);
            series.new.sort_by_key(|c| (c.period, c.released));
            writer.put(&Group { key, cells: series.new }).map_err(io)?;
        }
    }
    if options.complete {
        while let Some(group) = scan.next()? {
            withdraw_all(group, released, options, report, &mut writer).map_err(io)?;
        }
    }
    report.repeated = repeated + merge.repeated;
    let out = writer.finish(&[(number, coverage)]).map_err(io)?;
    if report.new + report.revisions + report.withdrawn == 0 {
        return Ok(());
    }
    report.segment = Some(publish(store, out, &path, number, number).map_err(io)?);
    Ok(())
}

/// Gives a segment its name once it is whole and on disk.
pub(super) fn publish(
    store: &Store,
    out: BufWriter<File>,
    path: &Path,
    first: u64,
    last: u64,
) -> io::Result<String> {
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    let name = format!("{first:08}-{last:08}.seg");
    std::fs::rename(path, store.dir.join(&name))?;
    // The name is on disk when the directory is.
    #[cfg(unix)]
    File::open(&store.dir)?.sync_all()?;
    Ok(name)
}

/// What is held of a series, and what is added.
struct Joined {
    held: Vec<StoredCell>,
    new: Vec<StoredCell>,
}

/// Compares the rows of a series with what is held. Whether any row counted.
fn take_rows(
    key: &StoredKey,
    rows: Vec<Pending>,
    series: &mut Joined,
    coverage: &mut Coverage,
    options: &Options,
    report: &mut ImportReport,
) -> Result<bool, StoreError> {
    let received = day(options.received);
    let mut before: Option<Pending> = None;
    let mut any = false;
    for row in rows {
        if beyond_edge(key, &row, report) {
            continue;
        }
        if let Some(other) = before.as_ref().filter(|b| (b.period, b.released) == (row.period, row.released))
        {
            if other.observation == row.observation {
                report.repeated += 1;
            } else {
                conflict(other, &row, options, report)?;
            }
            continue;
        }
        any = true;
        let period = row.period;
        let of_period = || series.held.iter().chain(&series.new).filter(move |c| c.period == period);
        // What the file does not date is compared with the latest that could be known.
        let compared = visible(of_period(), if row.stated { row.released } else { received });
        let same = compared.is_some_and(|c| c.observation == row.observation);
        let released = match compared {
            Some(held) if same => held.released,
            Some(_) if !row.stated => received,
            _ => row.released,
        };
        coverage.note(key, period, released, row.missing);
        if !key.annual {
            let month = Month::from_index(period);
            report.first = report.first.map_or(Some(month), |m| Some(m.min(month)));
            report.last = report.last.map_or(Some(month), |m| Some(m.max(month)));
        }
        if same {
            report.unchanged += 1;
        } else {
            let revision = u32::try_from(of_period().count()).unwrap_or(u32::MAX);
            *(if revision == 0 { &mut report.new } else { &mut report.revisions }) += 1;
            series.new.push(StoredCell { period, released, revision, observation: row.observation });
        }
        before = Some(row);
    }
    Ok(any)
}

fn beyond_edge(key: &StoredKey, row: &Pending, report: &mut ImportReport) -> bool {
    let month = Month::from_index(row.period);
    let index = usize::try_from(row.file).unwrap_or(usize::MAX);
    let Some(file) = report.files.get_mut(index).filter(|_| row.placeholder) else { return false };
    let edge = file.edges.get(&(month.year(), key.key.flow));
    let beyond = edge.is_none_or(|edge| month > *edge);
    count(&mut file.skipped, BEYOND, u64::from(beyond));
    beyond
}

/// Refuses a row that contradicts an earlier one, or counts it.
fn conflict(
    other: &Pending,
    row: &Pending,
    options: &Options,
    report: &mut ImportReport,
) -> Result<(), StoreError> {
    let index = |file: u32| usize::try_from(file).unwrap_or(usize::MAX);
    let other = report.files.get(index(other.file)).map(|f| f.place(other.line)).unwrap_or_default();
    let unknown = FileReport::default();
    let file = report.files.get(index(row.file)).unwrap_or(&unknown);
    let error = file.wrong(row.line, None, "(all)".to_owned(), Problem::Duplicate { other });
    if options.read.wrong_rows == WrongRows::Refuse {
        return Err(error.into());
    }
    if let Some(file) = report.files.get_mut(index(row.file)) {
        count(&mut file.skipped, CONFLICT, 1);
        file.examples.push(error.to_string());
        file.examples.truncate(20);
    }
    Ok(())
}
