//! Thrift's compact protocol, as far as the metadata of Parquet uses it.
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>
//!
//! Nothing is allocated that the bytes at hand do not pay for, and nesting is bounded.

use super::Fault;

/// Structs within structs; Parquet's own metadata has six at most.
const DEEPEST: u32 = 24;

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Flag(bool),
    Byte,
    Int,
    Double,
    Binary,
    List,
    Map,
    Struct,
    Uuid,
}

/// Reads from the start of some bytes.
#[derive(Clone, Debug)]
pub(super) struct Compact<'a> {
    rest: &'a [u8],
    depth: u32,
}

type Read<T> = Result<T, Fault>;

impl<'a> Compact<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, depth: 0 }
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    fn byte(&mut self) -> Read<u8> {
        let (first, rest) = self.rest.split_first().ok_or(Fault::Early)?;
        self.rest = rest;
        Ok(*first)
    }

    fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Fault::Early)?;
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Read<u64> {
        varint(&mut self.rest)
    }

    pub(super) fn int(&mut self) -> Read<i64> {
        Ok(zigzag(self.varint()?))
    }

    pub(super) fn binary(&mut self) -> Read<&'a [u8]> {
        let length = usize::try_from(self.varint()?).map_err(|_| Fault::Early)?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Read<&'a str> {
        std::str::from_utf8(self.binary()?).map_err(|_| Fault::Damaged("a name that is not UTF-8"))
    }

    fn kind(code: u8) -> Read<Kind> {
        Ok(match code {
            1 => Kind::Flag(true),
            2 => Kind::Flag(false),
            3 => Kind::Byte,
            4..=6 => Kind::Int,
            7 => Kind::Double,
            8 => Kind::Binary,
            9 | 10 => Kind::List,
            11 => Kind::Map,
            12 => Kind::Struct,
            13 => Kind::Uuid,
            _ => return Err(Fault::Damaged("metadata of an unknown type")),
        })
    }

    /// Reads a struct: `field` gets the number and the type of each field, and reads it or says
    /// false, upon which it is skipped.
    pub(super) fn fields(&mut self, mut field: impl FnMut(&mut Self, i64, Kind) -> Read<bool>) -> Read<()> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Fault::Damaged("metadata nested too deeply"));
        }
        let mut number = 0_i64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                self.depth -= 1;
                return Ok(());
            }
            let kind = Self::kind(head & 0x0f)?;
            number = match head >> 4 {
                0 => self.int()?,
                step => number.saturating_add(i64::from(step)),
            };
            if !field(self, number, kind)? {
                self.skip(kind)?;
            }
        }
    }

    /// Reads a list: `element` is called for each of its elements.
    pub(super) fn list(&mut self, mut element: impl FnMut(&mut Self, Kind) -> Read<()>) -> Read<()> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.varint()?,
            short => u64::from(short),
        };
        if count == 0 {
            return Ok(());
        }
        // Every element takes a byte at least.
        if count > self.rest.len() as u64 {
            return Err(Fault::Early);
        }
        let kind = Self::kind(head & 0x0f)?;
        (0..count).try_for_each(|_| element(self, kind))
    }

    fn skip(&mut self, kind: Kind) -> Read<()> {
        match kind {
            Kind::Flag(_) => Ok(()),
            Kind::Byte => self.byte().map(|_| ()),
            Kind::Int => self.varint().map(|_| ()),
            Kind::Double => self.take(8).map(|_| ()),
            Kind::Binary => self.binary().map(|_| ()),
            Kind::Uuid => self.take(16).map(|_| ()),
            Kind::Struct => self.fields(|_, _, _| Ok(false)),
            Kind::List => {
                self.depth += 1;
                if self.depth > DEEPEST {
                    return Err(Fault::Damaged("metadata nested too deeply"));
                }
                // A flag in a list has a byte of its own.
                self.list(|of, kind| match kind {
                    Kind::Flag(_) => of.byte().map(|_| ()),
                    other => of.skip(other),
                })?;
                self.depth -= 1;
                Ok(())
            }
            // Parquet has none.
            Kind::Map => Err(Fault::Damaged("a map in its metadata")),
        }
    }
}

/// Seven bits a byte, the least first.
pub(super) fn varint(bytes: &mut &[u8]) -> Read<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(Fault::Early)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Fault::Damaged("a number of more than 64 bits"))
}

pub(super) fn zigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}
