//! From the tables of customs offices to records.
//!
//! A reader looks at the first lines, says what it recognised ([`Recognised`]) and then hands over
//! record by record; it never holds more than a record and one chunk of the file. gzip and
//! Zstandard are undone by their first bytes; UTF-8, UTF-16, Shift_JIS and EUC-KR by theirs.
//!
//! | format | reads |
//! |---|---|
//! | `kcs-csv` | Korea Customs: hsk10, country, year, month, exp_usd, exp_kg, imp_usd, imp_kg |
//! | `kcs-xml` | the answers of its interface (data set 15100475) |
//! | `japan-wide` | Japan Customs: a year in a row, months as columns, thousand yen |
//! | `estat-monthly`, `estat-annual` | e-Stat areas by goods, billion yen, aggregates among them |
//! | `comext` | Eurostat's bulk files `full*.dat` |
//! | `comtrade`, `comtrade-old` | UN Comtrade, 47 columns, or the 35 that it had before |
//! | `baci` | CEPII BACI: t, i, j, k, v, q |
//! | `plain` | period, reporter, partner, item, flow, value, unit; if at hand kg, quantity, released, source |
//!
//! In `plain`, `period` is `2019-07` or `2019`, `flow` is `import` or `export`, `unit` is `USD`,
//! `EUR` or `JPY`, and `released` is a date.
//!
//! All tables are also read from Parquet, by the names of their columns. Columns of lists and
//! structs are passed over, dates in a column of periods stand for their month when they are its
//! first day, and NaN is a missing amount.

mod bytes;
mod error;
mod japan;
mod kcs;
#[cfg(feature = "parquet")]
mod parquet;
mod plain;
mod read;
mod sniff;
mod table;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

pub use bytes::Compression;
pub use error::{ImportError, Problem};
pub use japan::{EstatLevel, estat_level};
pub(crate) use read::BEYOND;
pub use read::{parse, read, read_file};

use crate::calendar::Period;
use crate::month::Date;
use crate::series::{Observation, SeriesKey, Unit};

/// What to do with a row that is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WrongRows {
    /// Refuse the file.
    #[default]
    Refuse,
    /// Leave the row out and count it by its problem.
    Skip,
}

/// How to read.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// What to do with wrong rows.
    pub wrong_rows: WrongRows,
    /// Put back the zero that a code of an odd number of digits has lost, instead of refusing it.
    pub restore_zeros: bool,
    /// Refuse codes of items and names of economies that no list has, instead of counting them.
    pub strict_codes: bool,
}

/// What a missing row means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// Nothing is known: the source writes zeros out.
    Unknown,
    /// No trade, in a period for which the file has other rows of the item: the source leaves rows
    /// without trade out, and the file may be a selection of items.
    ZeroWithinItem,
    /// No trade, in a period for which the file has any row of the reporter: it holds all items.
    ZeroWithinFile,
}

/// What was reported for one series and period.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// What it is of.
    pub key: SeriesKey,
    /// When.
    pub period: Period,
    /// The unit of the value.
    pub unit: Unit,
    /// The amounts.
    pub observation: Observation,
    /// The day it was released, when the file says so.
    pub released: Option<Date>,
    /// What a missing row of this table means.
    pub missing: Missing,
    /// The table splits a series by things that are not kept (customs procedures): rows of one
    /// series and period are added.
    pub add: bool,
    /// A zero that may only mean that the month is not over: the table has a place for every month
    /// of the year. It counts only when a later or the same month has trade somewhere in the file.
    pub placeholder: bool,
    /// The line, from 1; in XML the number of the `<item>`.
    pub line: u64,
}

/// What a file was taken to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Recognised {
    /// The format, as in the table of this module.
    pub format: String,
    /// The encoding; `ASCII` when nothing else occurred.
    pub encoding: String,
    /// `none`, `gzip` or `zstd`.
    pub compression: String,
    /// The delimiter of columns, when there is one.
    pub delimiter: Option<char>,
    /// The first eight reporters.
    pub reporters: Vec<Arc<str>>,
    /// The first period with a row.
    pub first: Option<Period>,
    /// The last period with a row.
    pub last: Option<Period>,
}

/// Unlisted codes that are noted for a file.
pub(crate) const UNLISTED: usize = 10_000;

/// What became of a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FileReport {
    /// The file.
    pub file: String,
    /// What it was taken to be.
    pub recognised: Recognised,
    /// Rows read below the header.
    pub rows: u64,
    /// Records made from them: a row may hold two flows or twelve months.
    pub records: u64,
    /// Rows and records left out, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Codes of items and names of economies that no list has; they are kept.
    #[serde(rename = "unknown_codes", serialize_with = "count_with_examples")]
    pub unlisted: BTreeSet<Arc<str>>,
    /// The first wrong rows that were left out, at most 20, in words.
    pub examples: Vec<String>,
    /// For tables with a place for every month: the last month with trade, by year and flow.
    #[serde(skip)]
    pub(crate) edges: BTreeMap<(u16, crate::series::Flow), crate::month::Month>,
}

/// A report is read by people: thousands of codes in it would hide the rest.
fn count_with_examples<S: serde::Serializer>(codes: &BTreeSet<Arc<str>>, to: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeStruct as _;
    let mut of = to.serialize_struct("unknown_codes", 2)?;
    of.serialize_field("count", &codes.len())?;
    of.serialize_field("examples", &codes.iter().take(20).collect::<Vec<_>>())?;
    of.end()
}

/// One line for people.
impl fmt::Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = &self.recognised;
        write!(f, "{}: {}, {}", self.file, known.format, known.encoding)?;
        if known.compression != "none" {
            write!(f, ", {}", known.compression)?;
        }
        if let Some(delimiter) = known.delimiter {
            write!(f, ", delimiter {delimiter:?}")?;
        }
        write!(f, ", reporters {}", known.reporters.join(" "))?;
        if let (Some(first), Some(last)) = (known.first, known.last) {
            write!(f, ", {first} to {last}")?;
        }
        write!(f, ", {} rows", self.rows)
    }
}

impl FileReport {
    /// That a row, or an item of XML, is wrong.
    pub(crate) fn wrong(
        &self,
        line: u64,
        row_group: Option<u64>,
        field: String,
        problem: Problem,
    ) -> ImportError {
        let file = self.file.clone();
        if self.by_rows() {
            return ImportError::Cell { file, row: line, row_group, column: field, problem };
        }
        ImportError::Row { file, line, field, problem }
    }

    /// How many codes no list has, with examples; nothing when there are none.
    pub fn unlisted_codes(&self) -> Option<String> {
        let shown: Vec<&str> = self.unlisted.iter().take(5).map(AsRef::as_ref).collect();
        let more = if self.unlisted.len() >= UNLISTED { " or more" } else { "" };
        let count = self.unlisted.len();
        (count > 0).then(|| format!("unknown codes: {count}{more}, e.g. {}, kept", shown.join(", ")))
    }

    /// Where a row is, in words.
    pub(crate) fn place(&self, line: u64) -> String {
        format!("{}, {} {line}", self.file, if self.by_rows() { "row" } else { "line" })
    }

    fn by_rows(&self) -> bool {
        self.recognised.encoding == "Parquet"
    }

    /// Whether a record is a placeholder of a month that the file had not reached.
    pub(crate) fn beyond_edge(&self, record: &Record) -> bool {
        let Period::Month(month) = record.period else { return false };
        let edge = self.edges.get(&(month.year(), record.key.flow));
        record.placeholder && edge.is_none_or(|edge| month > *edge)
    }
}
