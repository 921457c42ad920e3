//! Walking through a file: the loop that all readers share.

use std::cell::Cell;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
#[cfg(feature = "parquet")]
use std::io::{Seek as _, SeekFrom};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use csv::{ReaderBuilder, StringRecord};
use encoding_rs::Encoding;

use super::bytes::{Compression, Decoded, Fault, Limited, decompress};
use super::error::{FieldError, ImportError, Problem, cut};
#[cfg(feature = "parquet")]
use super::parquet;
#[cfg(feature = "parquet")]
use super::sniff::PARQUET;
use super::sniff::{Found, container, sniff};
use super::table::Header;
use super::{FileReport, ReadOptions, Record, UNLISTED, WrongRows, kcs};
use crate::calendar::Period;
use crate::items::{listed_economy, listed_item};

/// How much is looked at to recognise a file.
const HEAD: u64 = 1 << 16;
/// Texts kept once; codes of items and economies repeat.
const INTERNED: usize = 200_000;
const EXAMPLES: usize = 20;

/// Reads a file record by record.
///
/// # Errors
/// [`ImportError`]; what `sink` fails with becomes [`ImportError::Io`].
pub fn read_file(
    path: &Path,
    options: &ReadOptions,
    sink: &mut dyn FnMut(Record) -> io::Result<()>,
) -> Result<FileReport, ImportError> {
    let file = path.display().to_string();
    let opened = match File::open(path) {
        Ok(opened) => opened,
        Err(source) => return Err(ImportError::Io { file, source }),
    };
    if opened.metadata().is_ok_and(|about| about.is_dir()) {
        let saw = "It is a folder; name the files in it.".to_owned();
        return Err(ImportError::Unrecognised { file, saw });
    }
    #[cfg(feature = "parquet")]
    if let Some(length) =
        length_of_parquet(&opened).map_err(|e| ImportError::Io { file: file.clone(), source: e })?
    {
        return columns(&parquet::Source::File { file: &opened, length }, &file, options, sink);
    }
    read(BufReader::with_capacity(1 << 16, opened), &file, options, sink)
}

/// The length of a file that begins as Parquet does; only a regular file can be read by its end.
#[cfg(feature = "parquet")]
fn length_of_parquet(mut file: &File) -> io::Result<Option<u64>> {
    let about = file.metadata()?;
    if !about.is_file() {
        return Ok(None);
    }
    let mut start = Vec::new();
    file.take(PARQUET.len() as u64).read_to_end(&mut start)?;
    file.seek(SeekFrom::Start(0))?;
    Ok((start == PARQUET).then_some(about.len()))
}

/// Reads a Parquet file.
#[cfg(feature = "parquet")]
fn columns(
    source: &parquet::Source<'_>,
    name: &str,
    options: &ReadOptions,
    sink: &mut dyn FnMut(Record) -> io::Result<()>,
) -> Result<FileReport, ImportError> {
    let mut out = Out::new(name, options, sink);
    parquet::read(source, &mut out)?;
    Ok(out.report)
}

/// Reads bytes, such as a fuzzer's.
///
/// # Errors
/// As [`read_file`].
pub fn parse(
    bytes: &[u8],
    name: &str,
    options: &ReadOptions,
) -> Result<(FileReport, Vec<Record>), ImportError> {
    let mut records = Vec::new();
    let sink = &mut |record| {
        records.push(record);
        Ok(())
    };
    #[cfg(feature = "parquet")]
    let mut report = match bytes.starts_with(PARQUET) {
        true => columns(&parquet::Source::Bytes(bytes), name, options, sink)?,
        false => read(bytes, name, options, sink)?,
    };
    #[cfg(not(feature = "parquet"))]
    let mut report = read(bytes, name, options, sink)?;
    let all = records.len();
    records.retain(|record| !report.beyond_edge(record));
    let dropped = (all - records.len()) as u64;
    if dropped > 0 {
        report.skipped.insert(BEYOND.to_owned(), dropped);
    }
    Ok((report, records))
}

/// Why placeholders are left out.
pub(crate) const BEYOND: &str = "zero after the last month with trade in the file: not released yet";

/// Reads a stream record by record. Placeholders are handed over too: what the file reached is
/// known only at its end, and [`parse`] and the store leave them out then.
///
/// # Errors
/// As [`read_file`].
pub fn read(
    input: impl BufRead,
    name: &str,
    options: &ReadOptions,
    sink: &mut dyn FnMut(Record) -> io::Result<()>,
) -> Result<FileReport, ImportError> {
    let mut out = Out::new(name, options, sink);
    let (compression, plain) = decompress(input).map_err(|e| out.io(e))?;
    let mut plain = BufReader::with_capacity(1 << 16, plain);
    // A container is no text: it is named before anything is decoded.
    let start = plain.fill_buf().map_err(|e| out.io(e))?;
    if let Some(saw) = container(start) {
        return Err(ImportError::Unrecognised { file: name.to_owned(), saw: saw.to_owned() });
    }
    let decoded = Decoded::new(plain);
    let encoding = decoded.encoding();
    let (mut limited, since) = Limited::new(decoded);
    let mut head = Vec::new();
    limited.by_ref().take(HEAD).read_to_end(&mut head).map_err(|e| out.io(e))?;
    let found = sniff(&String::from_utf8_lossy(&head))
        .map_err(|saw| ImportError::Unrecognised { file: name.to_owned(), saw })?;
    out.report.recognised.compression = match compression {
        Compression::None => "none",
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
    }
    .to_owned();
    let whole = Cursor::new(head).chain(limited);
    match found {
        Found::KcsXml => kcs::read_xml(whole, &since, &mut out)?,
        Found::Table { mut format, delimiter } => {
            out.report.recognised.format = format.name().to_owned();
            out.report.recognised.delimiter = Some(char::from(delimiter));
            rows(whole, &since, delimiter, format.as_mut(), &mut out)?;
        }
    }
    out.report.recognised.encoding = name_of(&encoding);
    Ok(out.report)
}

fn name_of(encoding: &Rc<Cell<Option<&'static Encoding>>>) -> String {
    encoding.get().map_or("ASCII", Encoding::name).to_owned()
}

/// A table that is read row by row.
pub(crate) trait Format {
    /// Its name in reports.
    fn name(&self) -> &'static str;
    /// Takes a row apart.
    fn row(&mut self, row: &StringRecord, out: &mut Out<'_>) -> Result<(), RowError>;
}

/// What a row can fail with.
pub(crate) enum RowError {
    Field(FieldError),
    Fatal(ImportError),
}

impl From<FieldError> for RowError {
    fn from(error: FieldError) -> Self {
        Self::Field(error)
    }
}

fn rows(
    input: impl Read,
    since: &Cell<u64>,
    delimiter: u8,
    format: &mut dyn Format,
    out: &mut Out<'_>,
) -> Result<(), ImportError> {
    let mut reader =
        ReaderBuilder::new().delimiter(delimiter).flexible(true).has_headers(true).from_reader(input);
    let expected = match reader.headers() {
        Ok(header) => Header::new(header.iter()).len(),
        Err(e) => return Err(out.csv(e)),
    };
    let mut row = StringRecord::new();
    loop {
        since.set(0);
        match reader.read_record(&mut row) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(e) => return Err(out.csv(e)),
        }
        out.line = row.position().map_or(out.line, csv::Position::line);
        out.report.rows += 1;
        let result = if row.len() == expected {
            format.row(&row, out)
        } else {
            let delimiter = format!("{:?}", char::from(delimiter));
            Err(FieldError::new("(all)", Problem::FieldCount { found: row.len(), expected, delimiter })
                .into())
        };
        out.settle(result)?;
    }
}

/// Where readers put records, and what they count.
pub(crate) struct Out<'a> {
    pub(crate) file: &'a str,
    pub(crate) options: &'a ReadOptions,
    sink: &'a mut dyn FnMut(Record) -> io::Result<()>,
    pub(crate) report: FileReport,
    interned: HashSet<Arc<str>>,
    /// Item, partner and reporter of the last record, whose codes were checked.
    checked: [Option<Arc<str>>; 3],
    pub(crate) line: u64,
    /// The row group of a Parquet file, from 1; its rows are counted by `line`.
    pub(crate) row_group: Option<u64>,
}

impl<'a> Out<'a> {
    fn new(
        file: &'a str,
        options: &'a ReadOptions,
        sink: &'a mut dyn FnMut(Record) -> io::Result<()>,
    ) -> Self {
        let report = FileReport { file: file.to_owned(), ..FileReport::default() };
        Self {
            file,
            options,
            sink,
            report,
            interned: HashSet::new(),
            checked: [const { None }; 3],
            line: 1,
            row_group: None,
        }
    }

    /// The same text as one shared copy.
    pub(crate) fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.interned.get(text) {
            return Arc::clone(known);
        }
        if self.interned.len() >= INTERNED {
            self.interned.clear();
        }
        let new: Arc<str> = text.into();
        self.interned.insert(Arc::clone(&new));
        new
    }

    /// Notes codes that no list has, or refuses them. A file has few of them again and again.
    fn check_codes(&mut self, record: &Record) -> Result<(), FieldError> {
        let key = &record.key;
        let economy: fn(&str) -> bool = listed_economy;
        for (slot, (column, code, listed)) in self.checked.iter_mut().zip([
            ("item", &key.item, listed_item as fn(&str) -> bool),
            ("partner", &key.partner, economy),
            ("reporter", &key.reporter, economy),
        ]) {
            if slot.as_ref().is_some_and(|last| Arc::ptr_eq(last, code)) {
                continue;
            }
            if !listed(code) {
                if self.options.strict_codes {
                    return Err(FieldError::new(column, Problem::Unlisted(cut(code))));
                }
                if self.report.unlisted.len() < UNLISTED {
                    self.report.unlisted.insert(Arc::clone(code));
                }
            }
            *slot = Some(Arc::clone(code));
        }
        Ok(())
    }

    /// Hands a record over.
    pub(crate) fn put(&mut self, record: Record) -> Result<(), RowError> {
        self.check_codes(&record)?;
        let known = &mut self.report.recognised;
        if known.reporters.len() < 8 && !known.reporters.contains(&record.key.reporter) {
            known.reporters.push(Arc::clone(&record.key.reporter));
        }
        // A placeholder says nothing about what the file reaches.
        if !record.placeholder {
            known.first = known.first.map_or(Some(record.period), |p| Some(p.min(record.period)));
            known.last = known.last.map_or(Some(record.period), |p| Some(p.max(record.period)));
            if let Period::Month(month) = record.period
                && record.observation.value.is_some_and(|v| v > 0.0)
            {
                let edge = self.report.edges.entry((month.year(), record.key.flow)).or_insert(month);
                *edge = month.max(*edge);
            }
        }
        self.report.records += 1;
        (self.sink)(record)
            .map_err(|source| RowError::Fatal(ImportError::Io { file: self.file.to_owned(), source }))
    }

    /// Counts a row that is left out on purpose.
    pub(crate) fn skip(&mut self, why: &str) {
        match self.report.skipped.get_mut(why) {
            Some(count) => *count += 1,
            None => {
                self.report.skipped.insert(why.to_owned(), 1);
            }
        }
    }

    /// Takes the outcome of a row: stops at a wrong one, or counts it.
    pub(crate) fn settle(&mut self, result: Result<(), RowError>) -> Result<(), ImportError> {
        match result {
            Ok(()) => Ok(()),
            Err(RowError::Fatal(error)) => Err(error),
            Err(RowError::Field(FieldError { field, problem })) => {
                let why = format!("wrong {field}");
                let error = self.report.wrong(self.line, self.row_group, field, problem);
                if self.options.wrong_rows == WrongRows::Refuse {
                    return Err(error);
                }
                self.skip(&why);
                if self.report.examples.len() < EXAMPLES {
                    self.report.examples.push(error.to_string());
                }
                Ok(())
            }
        }
    }

    fn csv(&self, error: csv::Error) -> ImportError {
        match error.into_kind() {
            csv::ErrorKind::Io(e) => self.io(e),
            csv::ErrorKind::Utf8 { pos, .. } => ImportError::Encoding {
                file: self.file.to_owned(),
                line: pos.map_or(self.line, |p| p.line()),
                encoding: "UTF-8",
            },
            other => self.io(io::Error::other(format!("{other:?}"))),
        }
    }

    /// What a failed read means.
    pub(crate) fn io(&self, error: io::Error) -> ImportError {
        let file = self.file.to_owned();
        match error.get_ref().and_then(|e| e.downcast_ref::<Fault>()) {
            Some(Fault::Truncated) => ImportError::Truncated { file, line: self.line },
            Some(Fault::TooLong) => ImportError::TooLong { file, line: self.line },
            Some(Fault::Encoding { line, encoding }) => ImportError::Encoding { file, line: *line, encoding },
            None => ImportError::Io { file, source: error },
        }
    }
}
