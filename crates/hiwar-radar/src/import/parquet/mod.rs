//! Apache Parquet, row by row: every column of plain values becomes the text that a CSV file would
//! have, and the rows go to the same readers.
//!
//! What is read is a stranger's: the reader is our own, because the official crate asserts and
//! indexes on what a file claims, and reserves the memory that it claims to need. This one holds
//! a page and a dictionary for each column that is wanted, checks every length against the bytes
//! that are there, and refuses what does not fit.

mod cells;
mod decode;
mod footer;
mod pages;
mod thrift;

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use csv::StringRecord;

use self::footer::{Footer, Leaf};
use self::pages::{ColumnValues, codec_name};
use super::error::ImportError;
use super::read::{Out, RowError};
use super::sniff;
use super::table::Header;

/// The longest row, in bytes of text; as for CSV.
const LONGEST: usize = 1 << 20;
/// What pandas adds for its row numbers.
const INDEX: &str = "__index_level_";

/// What is wrong with a file.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// Something goes on behind the last byte there is.
    Early,
    /// Bytes that no writer makes.
    Damaged(&'static str),
    /// What is valid and not read, with what to do.
    Unsupported(String),
    /// A text that is not UTF-8.
    NotText,
    /// The system's word.
    Io(io::ErrorKind, String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error.kind(), error.to_string())
    }
}

/// The bytes of a file, any of them at any time.
pub(crate) enum Source<'a> {
    Bytes(&'a [u8]),
    File { file: &'a File, length: u64 },
}

impl Source<'_> {
    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }

    fn read(&self, at: u64, length: u64) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Bytes(bytes) => {
                let range = usize::try_from(at).ok().zip(usize::try_from(length).ok());
                let part = range.and_then(|(at, length)| bytes.get(at..)?.get(..length));
                part.map(<[u8]>::to_vec).ok_or(Fault::Early)
            }
            Self::File { file, .. } => {
                let mut file = *file;
                file.seek(SeekFrom::Start(at))?;
                let mut part = Vec::new();
                // Grows with what is there, not with what is claimed.
                file.take(length).read_to_end(&mut part)?;
                if part.len() as u64 == length { Ok(part) } else { Err(Fault::Early) }
            }
        }
    }
}

/// Reads a file from start to end.
pub(crate) fn read(source: &Source<'_>, out: &mut Out<'_>) -> Result<(), ImportError> {
    out.line = 0;
    let footer = footer::read(source).map_err(|fault| error(out, fault, None))?;
    let leaves: Vec<&Leaf> = footer.leaves.iter().filter(|l| !l.name.starts_with(INDEX)).collect();
    let header = Header::new(leaves.iter().map(|l| l.name.as_str()));
    let Some(mut format) = sniff::recognise(&header) else {
        let saw = format!("It is Parquet, and its columns are: {}. {}", header.names(), sniff::hint(&header));
        return Err(ImportError::Unrecognised { file: out.file.to_owned(), saw });
    };
    let known = &mut out.report.recognised;
    format.name().clone_into(&mut known.format);
    "Parquet".clone_into(&mut known.encoding);
    let codec = footer.groups.first().and_then(|g| g.chunks.first()).map_or(0, |c| c.codec);
    codec_name(codec).clone_into(&mut known.compression);
    rows(source, &footer, &leaves, &header, &mut |row, out| format.row(row, out), out)
}

type TakeRow<'a> = dyn FnMut(&StringRecord, &mut Out<'_>) -> Result<(), RowError> + 'a;

fn rows(
    source: &Source<'_>,
    footer: &Footer,
    leaves: &[&Leaf],
    header: &Header,
    take: &mut TakeRow<'_>,
    out: &mut Out<'_>,
) -> Result<(), ImportError> {
    let wanted = header.asked();
    let (mut row, mut cell) = (StringRecord::new(), String::new());
    for (number, group) in (1_u64..).zip(&footer.groups) {
        out.row_group = Some(number);
        let mut columns: Vec<Option<ColumnValues<'_>>> = Vec::new();
        for (index, leaf) in leaves.iter().enumerate() {
            let chunk = group.chunks.get(leaf.chunk).filter(|_| wanted.contains(&index));
            columns.push(chunk.map(|chunk| ColumnValues::new(source, leaf, *chunk)));
        }
        for _ in 0..group.rows {
            out.line += 1;
            out.report.rows += 1;
            row.clear();
            for (column, leaf) in columns.iter_mut().zip(leaves) {
                cell.clear();
                if let Some(column) = column {
                    column.put(&mut cell).map_err(|fault| error(out, fault, Some(leaf)))?;
                }
                if row.as_slice().len() + cell.len() > LONGEST {
                    return Err(ImportError::TooLong { file: out.file.to_owned(), line: out.line });
                }
                row.push_field(&cell);
            }
            let result = take(&row, out);
            out.settle(result)?;
        }
    }
    Ok(())
}

fn error(out: &Out<'_>, fault: Fault, leaf: Option<&Leaf>) -> ImportError {
    let file = out.file.to_owned();
    let place = match (out.row_group, leaf) {
        (Some(group), Some(leaf)) => format!(", row group {group}, row {}, column {}", out.line, leaf.name),
        _ => String::new(),
    };
    let what = match fault {
        Fault::Unsupported(saw) => return ImportError::Unrecognised { file, saw },
        Fault::Io(kind, text) => {
            return ImportError::Io { file, source: io::Error::new(kind, text) };
        }
        Fault::Early => "something goes on behind its end",
        Fault::Damaged(what) => what,
        Fault::NotText => "a text that is not UTF-8",
    };
    ImportError::Parquet { file, place, what }
}
