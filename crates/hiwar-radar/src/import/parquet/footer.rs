//! What the end of a Parquet file says: its columns, and where their pages are.
//! <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>

use super::cells::Meaning;
use super::thrift::{Compact, Kind};
use super::{Fault, Source};

const MAGIC: &[u8] = b"PAR1";
const ENCRYPTED: &[u8] = b"PARE";
const SECRET: &str = "It is encrypted Parquet; write it out without encryption.";
/// The most bytes of metadata. Files of thousands of columns and row groups have some tens of megabytes.
const LONGEST: u64 = 1 << 28;
/// A file of this many rows a byte is none that anyone wrote.
const ROWS_A_BYTE: u64 = 1024;
const ROWS_FREE: u64 = 1 << 16;

/// How values lie in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Physical {
    Flag,
    Int32,
    Int64,
    Int96,
    Float,
    Double,
    Bytes,
    Fixed(usize),
}

/// A column of plain values; lists and structs are left out.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) name: String,
    pub(super) physical: Physical,
    pub(super) meaning: Meaning,
    pub(super) optional: bool,
    /// Its place among the chunks of a row group.
    pub(super) chunk: usize,
}

/// A column within a row group.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chunk {
    pub(super) codec: i64,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// A row group.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) rows: u64,
    pub(super) chunks: Vec<Chunk>,
}

/// The metadata of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Footer {
    pub(super) leaves: Vec<Leaf>,
    pub(super) groups: Vec<Group>,
}

#[derive(Default)]
struct Element {
    physical: Option<i64>,
    length: i64,
    repetition: i64,
    name: String,
    children: i64,
    converted: Option<i64>,
    scale: i64,
    logical: Option<Meaning>,
}

/// Reads the metadata.
pub(super) fn read(source: &Source<'_>) -> Result<Footer, Fault> {
    let length = source.length();
    let tail_at = length.checked_sub(8).filter(|at| *at >= 4);
    let tail_at =
        tail_at.ok_or(Fault::Damaged("it is cut off: its end, which says what is in it, is missing"))?;
    let tail = source.read(tail_at, 8)?;
    let (size, magic) = tail.split_at_checked(4).ok_or(Fault::Early)?;
    if magic == ENCRYPTED {
        return Err(Fault::Unsupported(SECRET.to_owned()));
    }
    if magic != MAGIC {
        return Err(Fault::Damaged("it is cut off: its end, which says what is in it, is missing"));
    }
    let size = size.try_into().map(u32::from_le_bytes).map_err(|_| Fault::Early)?;
    let at = tail_at.checked_sub(u64::from(size)).filter(|_| u64::from(size) <= LONGEST);
    let at = at.ok_or(Fault::Damaged("its metadata would be longer than it is"))?;
    let bytes = source.read(at, u64::from(size))?;
    let footer = metadata(&mut Compact::new(&bytes), length)?;
    let rows = footer.groups.iter().try_fold(0_u64, |sum, g| sum.checked_add(g.rows));
    let most = length.saturating_mul(ROWS_A_BYTE).saturating_add(ROWS_FREE);
    match rows {
        Some(rows) if rows <= most => Ok(footer),
        _ => Err(Fault::Damaged("it would have more rows than a file of its size can hold")),
    }
}

fn metadata(bytes: &mut Compact<'_>, length: u64) -> Result<Footer, Fault> {
    let mut elements = Vec::new();
    let mut groups = Vec::new();
    bytes.fields(|of, number, kind| {
        match (number, kind) {
            (2, Kind::List) => of.list(|of, kind| {
                elements.push(element(of, kind)?);
                Ok(())
            })?,
            (4, Kind::List) => of.list(|of, kind| {
                groups.push(group(of, kind, length)?);
                Ok(())
            })?,
            (8, _) => return Err(Fault::Unsupported(SECRET.to_owned())),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let leaves = leaves(&elements)?;
    let chunks = leaves.iter().map(|l| l.chunk + 1).max().unwrap_or(0);
    if groups.iter().any(|g: &Group| g.chunks.len() < chunks) {
        return Err(Fault::Damaged("a row group lacks a column"));
    }
    Ok(Footer { leaves, groups })
}

fn element(bytes: &mut Compact<'_>, kind: Kind) -> Result<Element, Fault> {
    expect_struct(kind)?;
    let mut element = Element::default();
    bytes.fields(|of, number, kind| {
        match (number, kind) {
            (1, Kind::Int) => element.physical = Some(of.int()?),
            (2, Kind::Int) => element.length = of.int()?,
            (3, Kind::Int) => element.repetition = of.int()?,
            (4, Kind::Binary) => element.name = of.text()?.to_owned(),
            (5, Kind::Int) => element.children = of.int()?,
            (6, Kind::Int) => element.converted = Some(of.int()?),
            (7, Kind::Int) => element.scale = of.int()?,
            (10, Kind::Struct) => element.logical = logical(of)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(element)
}

/// The union of logical types, as far as they change how a value is written.
fn logical(bytes: &mut Compact<'_>) -> Result<Option<Meaning>, Fault> {
    let mut meaning = None;
    bytes.fields(|of, number, kind| {
        match (number, kind) {
            (5, Kind::Struct) => {
                let mut scale = 0;
                of.fields(|of, number, kind| {
                    let is = (number, kind) == (1, Kind::Int);
                    if is {
                        scale = of.int()?;
                    }
                    Ok(is)
                })?;
                meaning = Some(Meaning::decimal(scale)?);
            }
            (6, _) => {
                meaning = Some(Meaning::Date);
                return Ok(false);
            }
            (8, Kind::Struct) => {
                let mut unit = 0;
                of.fields(|of, number, kind| {
                    let is = (number, kind) == (2, Kind::Struct);
                    if is {
                        of.fields(|_, number, _| {
                            unit = number;
                            Ok(false)
                        })?;
                    }
                    Ok(is)
                })?;
                meaning = Some(Meaning::moment(unit)?);
            }
            (10, Kind::Struct) => {
                of.fields(|_, number, kind| {
                    if (number, kind) == (2, Kind::Flag(false)) {
                        meaning = Some(Meaning::Unsigned);
                    }
                    Ok(false)
                })?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(meaning)
}

fn group(bytes: &mut Compact<'_>, kind: Kind, length: u64) -> Result<Group, Fault> {
    expect_struct(kind)?;
    let mut group = Group::default();
    bytes.fields(|of, number, kind| {
        match (number, kind) {
            (1, Kind::List) => of.list(|of, kind| {
                group.chunks.push(chunk(of, kind, length)?);
                Ok(())
            })?,
            (3, Kind::Int) => group.rows = positive(of.int()?)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(group)
}

fn chunk(bytes: &mut Compact<'_>, kind: Kind, length: u64) -> Result<Chunk, Fault> {
    expect_struct(kind)?;
    let mut chunk = Chunk::default();
    let (mut data, mut dictionary, mut size) = (0, None, 0);
    bytes.fields(|of, number, kind| {
        match (number, kind) {
            (1, Kind::Binary) => {
                let elsewhere = "Its columns lie in other files; write it as one file.";
                return Err(Fault::Unsupported(elsewhere.to_owned()));
            }
            (8 | 9, _) => return Err(Fault::Unsupported(SECRET.to_owned())),
            (3, Kind::Struct) => of.fields(|of, number, kind| {
                match (number, kind) {
                    (4, Kind::Int) => chunk.codec = of.int()?,
                    (7, Kind::Int) => size = positive(of.int()?)?,
                    (9, Kind::Int) => data = positive(of.int()?)?,
                    (11, Kind::Int) => dictionary = Some(positive(of.int()?)?),
                    _ => return Ok(false),
                }
                Ok(true)
            })?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    // Old writers set the place of a dictionary to 0 when there is none.
    chunk.start = dictionary.filter(|at| *at > 0 && *at < data).unwrap_or(data);
    let end = chunk.start.checked_add(size).filter(|end| *end <= length);
    chunk.end = end.ok_or(Fault::Damaged("a column lies beyond the end of the file"))?;
    Ok(chunk)
}

/// The columns of plain values at the top of the schema.
fn leaves(elements: &[Element]) -> Result<Vec<Leaf>, Fault> {
    let broken = Fault::Damaged("its list of columns is broken");
    let (root, rest) = elements.split_first().ok_or_else(|| broken.clone())?;
    let mut leaves = Vec::new();
    // Elements that still belong to what stands at the top.
    let mut inside = 0_i64;
    let mut chunk = 0;
    let mut tops = 0;
    for element in rest {
        let nested = inside > 0;
        if nested {
            inside -= 1;
        } else {
            tops += 1;
        }
        if element.children > 0 {
            inside = inside.checked_add(element.children).ok_or_else(|| broken.clone())?;
            continue;
        }
        if !nested && (0..=1).contains(&element.repetition) {
            leaves.push(leaf(element, chunk)?);
        }
        chunk += 1;
    }
    if inside != 0 || tops != root.children { Err(broken) } else { Ok(leaves) }
}

fn leaf(element: &Element, chunk: usize) -> Result<Leaf, Fault> {
    let physical = match element.physical {
        Some(0) => Physical::Flag,
        Some(1) => Physical::Int32,
        Some(2) => Physical::Int64,
        Some(3) => Physical::Int96,
        Some(4) => Physical::Float,
        Some(5) => Physical::Double,
        Some(6) => Physical::Bytes,
        Some(7) => {
            let length = usize::try_from(element.length).ok().filter(|l| (1..1 << 16).contains(l));
            Physical::Fixed(length.ok_or(Fault::Damaged("a column of values without length"))?)
        }
        _ => return Err(Fault::Damaged("a column of an unknown type")),
    };
    let meaning = match element.converted {
        _ if element.logical.is_some() => element.logical,
        Some(5) => Some(Meaning::decimal(element.scale)?),
        Some(6) => Some(Meaning::Date),
        Some(9) => Some(Meaning::moment(1)?),
        Some(10) => Some(Meaning::moment(2)?),
        Some(11..=14) => Some(Meaning::Unsigned),
        _ => None,
    };
    let meaning = meaning.unwrap_or(Meaning::Itself);
    let meaning = meaning.in_column(&element.name.trim().to_lowercase());
    Ok(Leaf { name: element.name.clone(), physical, meaning, optional: element.repetition == 1, chunk })
}

fn expect_struct(kind: Kind) -> Result<(), Fault> {
    if kind == Kind::Struct { Ok(()) } else { Err(Fault::Damaged("metadata of another type than expected")) }
}

fn positive(number: i64) -> Result<u64, Fault> {
    u64::try_from(number).map_err(|_| Fault::Damaged("a negative size or place"))
}
