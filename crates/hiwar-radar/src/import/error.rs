//! What can be wrong with a table, where, and how to mend it.

use std::io;

/// Why a file, or a row of it, was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be opened or read.
    #[error("{file}: cannot be read: {source}")]
    Io {
        /// The file.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// A compressed file ends in the middle.
    #[error("{file}: the compressed data ends early, after line {line}; fetch the file again")]
    Truncated {
        /// The file.
        file: String,
        /// The last line that was read whole.
        line: u64,
    },
    /// Bytes that are no text in the encoding that the rest of the file is in.
    #[error("{file}, line {line}: not {encoding}, as the text before it is; save the file in one encoding")]
    Encoding {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The encoding found so far.
        encoding: &'static str,
    },
    /// A record of more than 1 MiB.
    #[error("{file}, line {line}: a record of more than 1 MiB; look for a quote that is never closed")]
    TooLong {
        /// The file.
        file: String,
        /// The line the record starts at.
        line: u64,
    },
    /// Nothing that any reader knows.
    #[error("{file}: not a table this reader knows. {saw}")]
    Unrecognised {
        /// The file.
        file: String,
        /// What was seen, and what would be known.
        saw: String,
    },
    /// A Parquet file that is not as a writer leaves it.
    #[error("{file}: damaged Parquet{place}: {what}; fetch it or write it again")]
    Parquet {
        /// The file.
        file: String,
        /// Row group, row and column, as far as it was read.
        place: String,
        /// What is wrong.
        what: &'static str,
    },
    /// A row of a Parquet file that is wrong.
    #[error("{file}, row {row}{}, column {column}: {problem}", in_group(*.row_group))]
    Cell {
        /// The file.
        file: String,
        /// The row, from 1, counted through the whole file.
        row: u64,
        /// The row group, from 1, where it is known.
        row_group: Option<u64>,
        /// The column.
        column: String,
        /// What is wrong with it.
        problem: Problem,
    },
    /// A row that is wrong.
    #[error("{file}, line {line}, field {field}: {problem}")]
    Row {
        /// The file.
        file: String,
        /// The line, from 1; in XML the number of the `<item>`.
        line: u64,
        /// The column.
        field: String,
        /// What is wrong with it.
        problem: Problem,
    },
}

fn in_group(group: Option<u64>) -> String {
    group.map(|group| format!(" (row group {group})")).unwrap_or_default()
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Nothing there.
    #[error("empty; every row needs it")]
    Missing,
    /// No number.
    #[error("{0:?} is not a number; write digits with a point, without thousands separators")]
    NotANumber(String),
    /// A number below zero.
    #[error("{0:?} is negative; trade is not, so correct the row or leave it out")]
    Negative(String),
    /// No code of an item.
    #[error("{0:?} is not a code of an item")]
    NotACode(String),
    /// A code or a name that no list has, when only listed ones are wanted.
    #[error("{0:?} is in no list that is built in; correct it, or import without strict codes")]
    Unlisted(String),
    /// A code that was taken for a number.
    #[error(
        "{found:?} has {} digits where {expected} are due: leading zeros were lost, as spreadsheets do; \
         export the column as text, or allow restoring zeros",
        found.len()
    )]
    LostZeros {
        /// The code as found.
        found: String,
        /// The digits it should have.
        expected: String,
    },
    /// No economy known under this code.
    #[error("{code:?} is no economy in the list {scheme}; correct it, or add it to economy_aliases.csv")]
    UnknownEconomy {
        /// The code or name as found.
        code: String,
        /// The list of codes.
        scheme: &'static str,
    },
    /// No month or year.
    #[error("{0:?} is not a period here")]
    NotAPeriod(String),
    /// No date.
    #[error("{0:?} is not a date; write YYYY-MM-DD")]
    NotADate(String),
    /// No flow.
    #[error("{0:?} is not a flow; write import or export (1 or 2 where the source does)")]
    NotAFlow(String),
    /// No unit of value.
    #[error("{0:?} is not a unit of value; write USD, EUR or JPY")]
    NotAUnit(String),
    /// Other columns than the header promises.
    #[error("{found} fields where the header has {expected}; the delimiter is taken to be {delimiter}")]
    FieldCount {
        /// Fields in this row.
        found: usize,
        /// Fields in the header.
        expected: usize,
        /// The delimiter.
        delimiter: String,
    },
    /// The same cell twice with other numbers.
    #[error("the same flow, item, economies, period and release as in {other}, but other numbers; keep one")]
    Duplicate {
        /// Where the other one is.
        other: String,
    },
    /// A document that is not well formed.
    #[error("not well-formed XML: {0}")]
    Xml(String),
}

/// A problem and its column, before file and line are known.
#[derive(Debug)]
pub(crate) struct FieldError {
    pub(crate) field: String,
    pub(crate) problem: Problem,
}

impl FieldError {
    pub(crate) fn new(field: &str, problem: Problem) -> Self {
        Self { field: field.to_owned(), problem }
    }
}

/// At most 60 characters of what was found, for a message.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(60).collect()
}
