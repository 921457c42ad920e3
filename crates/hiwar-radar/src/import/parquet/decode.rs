//! Values of a page, one after the other.
//! <https://github.com/apache/parquet-format/blob/master/Encodings.md>
//!
//! Every decoder reads within its page and refuses what does not fit; none allocates what a page
//! only claims to hold.

use super::Fault;
use super::cells::Raw;
use super::footer::Physical;
use super::thrift::{varint, zigzag};

type Read<T> = Result<T, Fault>;

/// Runs and groups of packed numbers of up to 32 bits (`RLE`).
#[derive(Clone, Debug, Default)]
pub(super) struct Hybrid {
    at: usize,
    end: usize,
    width: u32,
    left: u64,
    /// The repeated number; none in packed groups.
    repeated: Option<u32>,
    /// The next bit of packed groups.
    bit: usize,
}

impl Hybrid {
    pub(super) fn new(at: usize, end: usize, width: u8) -> Read<Self> {
        if width > 32 {
            return Err(Fault::Damaged("numbers of more than 32 bits"));
        }
        Ok(Self { at, end, width: u32::from(width), ..Self::default() })
    }

    pub(super) fn next(&mut self, page: &[u8]) -> Read<u32> {
        while self.left == 0 {
            self.begin(page)?;
        }
        self.left -= 1;
        if let Some(number) = self.repeated {
            return Ok(number);
        }
        let number = bits(page, self.bit, self.width)?;
        self.bit += self.width as usize;
        u32::try_from(number).map_err(|_| Fault::Early)
    }

    fn begin(&mut self, page: &[u8]) -> Read<()> {
        let mut rest = page.get(self.at..self.end).ok_or(Fault::Early)?;
        let before = rest.len();
        let head = varint(&mut rest)?;
        self.at += before - rest.len();
        if head & 1 == 0 {
            let bytes = self.width.div_ceil(8) as usize;
            let value = page.get(self.at..self.end).and_then(|b| b.get(..bytes)).ok_or(Fault::Early)?;
            self.repeated = Some(value.iter().rev().fold(0, |n, b| (n << 8) | u32::from(*b)));
            self.at += bytes;
            self.left = head >> 1;
        } else {
            let groups = head >> 1;
            let bytes = groups.checked_mul(u64::from(self.width)).ok_or(Fault::Early)?;
            let bytes = usize::try_from(bytes).map_err(|_| Fault::Early)?;
            self.repeated = None;
            self.bit = self.at.checked_mul(8).ok_or(Fault::Early)?;
            // The last group may be cut short; reading past the page is refused bit by bit.
            self.at = self.at.saturating_add(bytes).min(self.end);
            self.left = groups.checked_mul(8).ok_or(Fault::Early)?;
        }
        Ok(())
    }
}

/// `width` bits from a bit on, the least first; up to 64.
fn bits(page: &[u8], bit: usize, width: u32) -> Read<u64> {
    if width == 0 {
        return Ok(0);
    }
    let shift = bit % 8;
    let bytes = (shift + width as usize).div_ceil(8);
    let from = page.get(bit / 8..).and_then(|p| p.get(..bytes)).ok_or(Fault::Early)?;
    let all = from.iter().rev().fold(0_u128, |n, b| (n << 8) | u128::from(*b));
    let mask = (1_u128 << width) - 1;
    u64::try_from((all >> shift) & mask).map_err(|_| Fault::Early)
}

/// Numbers by their differences (`DELTA_BINARY_PACKED`).
#[derive(Clone, Debug)]
pub(super) struct Deltas {
    at: usize,
    /// Values still to come.
    left: u64,
    first: bool,
    last: i64,
    least: i64,
    mini_blocks: usize,
    per_mini: u64,
    widths: usize,
    mini: usize,
    in_mini: u64,
    bit: usize,
}

impl Deltas {
    fn new(page: &[u8], at: usize) -> Read<Self> {
        let mut rest = page.get(at..).ok_or(Fault::Early)?;
        let before = rest.len();
        let block = varint(&mut rest)?;
        let mini_blocks = varint(&mut rest)?;
        let left = varint(&mut rest)?;
        let last = zigzag(varint(&mut rest)?);
        let odd = Fault::Damaged("blocks of differences of an odd size");
        let small = (1..=1 << 16).contains(&block) && (1..=512).contains(&mini_blocks);
        if !small || !block.is_multiple_of(mini_blocks) || !(block / mini_blocks).is_multiple_of(8) {
            return Err(odd);
        }
        let mini_blocks = usize::try_from(mini_blocks).map_err(|_| odd)?;
        let per_mini = block / mini_blocks as u64;
        Ok(Self {
            at: at + before - rest.len(),
            left,
            first: true,
            last,
            least: 0,
            mini_blocks,
            per_mini,
            widths: 0,
            mini: mini_blocks,
            in_mini: 0,
            bit: 0,
        })
    }

    fn next(&mut self, page: &[u8]) -> Read<i64> {
        self.left = self.left.checked_sub(1).ok_or(Fault::Early)?;
        if std::mem::take(&mut self.first) {
            return Ok(self.last);
        }
        if self.in_mini == 0 {
            self.next_mini(page)?;
        }
        let width = self.width(page)?;
        let delta = bits(page, self.bit, width)?;
        self.bit += width as usize;
        self.in_mini -= 1;
        if self.in_mini == 0 {
            self.at = self.bit.div_ceil(8);
        }
        self.last = self.last.wrapping_add(self.least).wrapping_add(delta.cast_signed());
        Ok(self.last)
    }

    fn width(&self, page: &[u8]) -> Read<u32> {
        let width = page.get(self.widths + self.mini).copied().map(u32::from).ok_or(Fault::Early)?;
        if width > 64 { Err(Fault::Damaged("differences of more than 64 bits")) } else { Ok(width) }
    }

    fn next_mini(&mut self, page: &[u8]) -> Read<()> {
        self.mini += 1;
        if self.mini >= self.mini_blocks {
            let mut rest = page.get(self.at..).ok_or(Fault::Early)?;
            let before = rest.len();
            self.least = zigzag(varint(&mut rest)?);
            self.widths = self.at + before - rest.len();
            self.at = self.widths + self.mini_blocks;
            self.mini = 0;
        }
        self.in_mini = self.per_mini;
        self.bit = self.at.checked_mul(8).ok_or(Fault::Early)?;
        Ok(())
    }

    /// Where the bytes behind all of these numbers begin. A last group is whole even when fewer
    /// values are in it.
    fn end(&self, page: &[u8]) -> Read<usize> {
        let mut ahead = self.clone();
        while ahead.left > 0 {
            // A group without bits needs no look at each of its values.
            if ahead.in_mini > 1 && ahead.width(page)? == 0 && !ahead.first {
                let jump = ahead.left.min(ahead.in_mini - 1);
                (ahead.left, ahead.in_mini) = (ahead.left - jump, ahead.in_mini - jump);
                continue;
            }
            ahead.next(page)?;
        }
        if ahead.in_mini > 0 {
            let rest = usize::try_from(ahead.in_mini).map_err(|_| Fault::Early)?;
            ahead.at = (ahead.bit + rest * ahead.width(page)? as usize).div_ceil(8);
        }
        Ok(ahead.at)
    }
}

/// The texts of a dictionary page, ready to be written.
#[derive(Clone, Debug, Default)]
pub(super) struct Dictionary {
    pub(super) text: String,
    pub(super) ends: Vec<usize>,
}

impl Dictionary {
    fn get(&self, index: u32) -> Option<&str> {
        let index = usize::try_from(index).ok()?;
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.text.get(start..end)
    }
}

/// The decoder of the values of a page.
#[derive(Clone, Debug)]
pub(super) enum Values {
    /// One after the other.
    Plain {
        at: usize,
    },
    /// Bits of yes and no.
    PlainFlags {
        bit: usize,
    },
    /// The same as runs.
    Flags(Hybrid),
    /// Places in the dictionary.
    Places(Hybrid),
    Deltas(Deltas),
    /// Lengths, and then all bytes.
    Lengths {
        lengths: Deltas,
        at: usize,
    },
    /// What a text shares with the one before, and what follows.
    Prefixes {
        shared: Deltas,
        lengths: Deltas,
        at: usize,
        text: Vec<u8>,
    },
    /// The first bytes of all numbers, then the second ones.
    Split {
        at: usize,
        apart: usize,
        bytes: Vec<u8>,
    },
}

/// What the next value is.
pub(super) enum Next<'a> {
    Raw(Raw<'a>),
    /// One of the dictionary, as text.
    Text(&'a str),
}

impl Values {
    /// The decoder of an encoding, for values from `at` on; `count` is how many there are.
    pub(super) fn new(encoding: i64, physical: Physical, page: &[u8], at: usize) -> Read<Self> {
        let here = page.get(at..).ok_or(Fault::Early)?;
        match (encoding, physical) {
            (0, Physical::Flag) => Ok(Self::PlainFlags { bit: at * 8 }),
            (0, _) => Ok(Self::Plain { at }),
            (2 | 8, _) => {
                // A page without values may have nothing at all.
                let width = here.first().copied().unwrap_or(0);
                Ok(Self::Places(Hybrid::new(at + 1, page.len(), width)?))
            }
            (3, Physical::Flag) => {
                // Behind its length.
                Ok(Self::Flags(Hybrid::new(at + 4, page.len(), 1)?))
            }
            (5, Physical::Int32 | Physical::Int64) => Ok(Self::Deltas(Deltas::new(page, at)?)),
            (6, Physical::Bytes) => {
                let lengths = Deltas::new(page, at)?;
                let at = lengths.end(page)?;
                Ok(Self::Lengths { lengths, at })
            }
            (7, Physical::Bytes | Physical::Fixed(_)) => {
                let shared = Deltas::new(page, at)?;
                let lengths = Deltas::new(page, shared.end(page)?)?;
                let at = lengths.end(page)?;
                Ok(Self::Prefixes { shared, lengths, at, text: Vec::new() })
            }
            (9, Physical::Float | Physical::Int32) => Self::split(at, here.len(), 4),
            (9, Physical::Double | Physical::Int64) => Self::split(at, here.len(), 8),
            (9, Physical::Fixed(length)) => Self::split(at, here.len(), length),
            _ => Err(Fault::Unsupported(format!(
                "Its encoding number {encoding} is not read; write it with the usual ones."
            ))),
        }
    }

    fn split(at: usize, length: usize, width: usize) -> Read<Self> {
        Ok(Self::Split { at, apart: length / width, bytes: vec![0; width] })
    }

    /// The next value.
    pub(super) fn next<'a>(
        &'a mut self,
        page: &'a [u8],
        physical: Physical,
        dictionary: Option<&'a Dictionary>,
    ) -> Read<Next<'a>> {
        Ok(Next::Raw(match self {
            Self::Plain { at } => plain(page, at, physical)?,
            Self::PlainFlags { bit } => {
                let flag = bits(page, *bit, 1)? == 1;
                *bit += 1;
                Raw::Flag(flag)
            }
            Self::Flags(runs) => Raw::Flag(runs.next(page)? == 1),
            Self::Places(runs) => {
                let dictionary = dictionary.ok_or(Fault::Damaged("a page whose dictionary is missing"))?;
                let text = dictionary.get(runs.next(page)?);
                return Ok(Next::Text(text.ok_or(Fault::Damaged("a place beyond the dictionary"))?));
            }
            Self::Deltas(deltas) => {
                let number = deltas.next(page)?;
                match physical {
                    // Differences of 32 bits wrap within them.
                    Physical::Int32 => Raw::Int32(number as i32),
                    _ => Raw::Int64(number),
                }
            }
            Self::Lengths { lengths, at } => {
                let length = usize::try_from(lengths.next(page)?).map_err(|_| Fault::Early)?;
                Raw::Bytes(take(page, at, length)?)
            }
            Self::Prefixes { shared, lengths, at, text } => {
                let kept = usize::try_from(shared.next(page)?).map_err(|_| Fault::Early)?;
                if kept > text.len() {
                    return Err(Fault::Damaged("a text that shares more with the one before than that has"));
                }
                let length = usize::try_from(lengths.next(page)?).map_err(|_| Fault::Early)?;
                let more = take(page, at, length)?;
                text.truncate(kept);
                text.extend_from_slice(more);
                Raw::Bytes(text)
            }
            Self::Split { at, apart, bytes } => {
                for (index, byte) in bytes.iter_mut().enumerate() {
                    *byte = *page.get(*at + index * *apart).ok_or(Fault::Early)?;
                }
                *at += 1;
                let mut start = 0;
                return Ok(Next::Raw(plain(bytes, &mut start, physical)?));
            }
        }))
    }
}

fn take<'a>(page: &'a [u8], at: &mut usize, length: usize) -> Read<&'a [u8]> {
    let taken = page.get(*at..).and_then(|p| p.get(..length)).ok_or(Fault::Early)?;
    *at += length;
    Ok(taken)
}

fn array<const N: usize>(page: &[u8], at: &mut usize) -> Read<[u8; N]> {
    take(page, at, N)?.try_into().map_err(|_| Fault::Early)
}

/// A value as it is.
pub(super) fn plain<'a>(page: &'a [u8], at: &mut usize, physical: Physical) -> Read<Raw<'a>> {
    Ok(match physical {
        Physical::Flag => return Err(Fault::Damaged("yes and no in a dictionary")),
        Physical::Int32 => Raw::Int32(i32::from_le_bytes(array(page, at)?)),
        Physical::Int64 => Raw::Int64(i64::from_le_bytes(array(page, at)?)),
        Physical::Int96 => Raw::Int96(take(page, at, 12)?),
        Physical::Float => Raw::Float(f32::from_le_bytes(array(page, at)?)),
        Physical::Double => Raw::Double(f64::from_le_bytes(array(page, at)?)),
        Physical::Fixed(length) => Raw::Bytes(take(page, at, length)?),
        Physical::Bytes => {
            let length = u32::from_le_bytes(array(page, at)?);
            Raw::Bytes(take(page, at, usize::try_from(length).map_err(|_| Fault::Early)?)?)
        }
    })
}
