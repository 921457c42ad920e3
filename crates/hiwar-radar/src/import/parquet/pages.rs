//! A column of a row group: its pages, unpacked one at a time.

use std::io::Read as _;

use super::cells::put;
use super::decode::{Dictionary, Hybrid, Next, Values, plain};
use super::footer::{Chunk, Leaf, Physical};
use super::thrift::{Compact, Kind};
use super::{Fault, Source};

/// The most a page may hold, unpacked. Writers make pages of a megabyte, a few of tens of them.
const PAGE: usize = 1 << 27;
/// Headers of pages have the least and the greatest value in them, which may be long texts.
const HEADERS: [u64; 3] = [1 << 10, 1 << 16, 1 << 22];
const CODECS: [&str; 8] = ["none", "snappy", "gzip", "lzo", "brotli", "lz4", "zstd", "lz4_raw"];

/// The name of a codec.
pub(super) fn codec_name(codec: i64) -> &'static str {
    usize::try_from(codec).ok().and_then(|c| CODECS.get(c)).copied().unwrap_or("unknown")
}

#[derive(Default)]
struct PageHeader {
    kind: i64,
    unpacked: i64,
    packed: i64,
    count: i64,
    encoding: i64,
    level_encoding: i64,
    /// The bytes of repetition and definition levels, which are not packed (version 2).
    levels: Option<(i64, i64)>,
    stays: bool,
}

/// The values of a column, one after the other.
pub(super) struct ColumnValues<'a> {
    source: &'a Source<'a>,
    leaf: &'a Leaf,
    chunk: Chunk,
    at: u64,
    dictionary: Option<Dictionary>,
    page: Vec<u8>,
    left: u64,
    levels: Option<Hybrid>,
    values: Values,
}

impl<'a> ColumnValues<'a> {
    pub(super) fn new(source: &'a Source<'a>, leaf: &'a Leaf, chunk: Chunk) -> Self {
        let values = Values::Plain { at: 0 };
        let (page, at) = (Vec::new(), chunk.start);
        Self { source, leaf, chunk, at, dictionary: None, page, left: 0, levels: None, values }
    }

    /// Writes the next value behind what is there; nothing for one that is missing.
    pub(super) fn put(&mut self, out: &mut String) -> Result<(), Fault> {
        while self.left == 0 {
            self.next_page()?;
        }
        self.left -= 1;
        if let Some(levels) = &mut self.levels
            && levels.next(&self.page)? == 0
        {
            return Ok(());
        }
        match self.values.next(&self.page, self.leaf.physical, self.dictionary.as_ref())? {
            Next::Raw(raw) => put(out, raw, self.leaf.meaning),
            Next::Text(text) => {
                out.push_str(text);
                Ok(())
            }
        }
    }

    fn next_page(&mut self) -> Result<(), Fault> {
        let header = self.header()?;
        let size = u64::try_from(header.packed).ok().filter(|s| self.at.saturating_add(*s) <= self.chunk.end);
        let size = size.ok_or(Fault::Damaged("a page that goes beyond its column"))?;
        let unpacked = usize::try_from(header.unpacked).map_err(|_| Fault::Early)?;
        if unpacked > PAGE || size > PAGE as u64 {
            let large = "It has a page of more than 128 MiB; write it with smaller pages.";
            return Err(Fault::Unsupported(large.to_owned()));
        }
        // Indexes of pages stand among them.
        if !matches!(header.kind, 0 | 2 | 3) {
            self.at += size;
            return Ok(());
        }
        let packed = self.source.read(self.at, size)?;
        self.at += size;
        match header.kind {
            0 => {
                self.page = unpack(self.chunk.codec, packed, unpacked)?;
                self.data(&header)
            }
            2 => {
                let page = unpack(self.chunk.codec, packed, unpacked)?;
                self.dictionary = Some(dictionary(&page, header.count, self.leaf)?);
                Ok(())
            }
            _ => {
                let plain =
                    header.levels.map(|(r, d)| r.checked_add(d).and_then(|l| usize::try_from(l).ok()));
                let plain = plain.flatten().filter(|l| *l <= packed.len() && *l <= unpacked);
                let plain = plain.ok_or(Fault::Damaged("levels longer than their page"))?;
                let codec = if header.stays { 0 } else { self.chunk.codec };
                let (levels, rest) = packed.split_at_checked(plain).ok_or(Fault::Early)?;
                let rest = if rest.is_empty() {
                    Vec::new()
                } else {
                    unpack(codec, rest.to_vec(), unpacked - plain)?
                };
                self.page = [levels, &rest].concat();
                self.data(&header)
            }
        }
    }

    /// Sets up the levels and values of a page of data.
    fn data(&mut self, header: &PageHeader) -> Result<(), Fault> {
        self.left = u64::try_from(header.count).map_err(|_| Fault::Damaged("a negative number of values"))?;
        let mut at = 0;
        self.levels = None;
        if let Some((repetitions, definitions)) = header.levels {
            let size = |n: i64| usize::try_from(n).map_err(|_| Fault::Early);
            let start = size(repetitions)?;
            at = start + size(definitions)?;
            if self.leaf.optional {
                self.levels = Some(Hybrid::new(start, at, 1)?);
            }
        } else if self.leaf.optional {
            if header.level_encoding != 3 {
                let old = "It says what is missing in a way that was given up in 2013; write it anew.";
                return Err(Fault::Unsupported(old.to_owned()));
            }
            let length =
                self.page.first_chunk().map(|b: &[u8; 4]| u32::from_le_bytes(*b)).ok_or(Fault::Early)?;
            let length = usize::try_from(length).map_err(|_| Fault::Early)?;
            at = length.checked_add(4).filter(|end| *end <= self.page.len()).ok_or(Fault::Early)?;
            self.levels = Some(Hybrid::new(4, at, 1)?);
        }
        self.values = Values::new(header.encoding, self.leaf.physical, &self.page, at)?;
        Ok(())
    }

    fn header(&mut self) -> Result<PageHeader, Fault> {
        let there = self.chunk.end.saturating_sub(self.at);
        if there == 0 {
            return Err(Fault::Damaged("fewer values than rows"));
        }
        for size in HEADERS {
            let bytes = self.source.read(self.at, size.min(there))?;
            let mut compact = Compact::new(&bytes);
            match header(&mut compact) {
                Ok(header) => {
                    self.at += (bytes.len() - compact.left()) as u64;
                    return Ok(header);
                }
                // It may go on behind what was looked at.
                Err(Fault::Early) if size < there => {}
                Err(fault) => return Err(fault),
            }
        }
        Err(Fault::Damaged("a header of a page that does not end"))
    }
}

fn header(bytes: &mut Compact<'_>) -> Result<PageHeader, Fault> {
    let mut header = PageHeader::default();
    bytes.fields(|of, number, kind| {
        match (number, kind) {
            (1, Kind::Int) => header.kind = of.int()?,
            (2, Kind::Int) => header.unpacked = of.int()?,
            (3, Kind::Int) => header.packed = of.int()?,
            (5 | 7, Kind::Struct) => of.fields(|of, number, kind| {
                match (number, kind) {
                    (1, Kind::Int) => header.count = of.int()?,
                    (2, Kind::Int) => header.encoding = of.int()?,
                    (3, Kind::Int) => header.level_encoding = of.int()?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?,
            (8, Kind::Struct) => {
                let (mut repetitions, mut definitions) = (0, 0);
                of.fields(|of, number, kind| {
                    match (number, kind) {
                        (1, Kind::Int) => header.count = of.int()?,
                        (4, Kind::Int) => header.encoding = of.int()?,
                        (5, Kind::Int) => definitions = of.int()?,
                        (6, Kind::Int) => repetitions = of.int()?,
                        (7, Kind::Flag(packed)) => header.stays = !packed,
                        _ => return Ok(false),
                    }
                    Ok(true)
                })?;
                if repetitions < 0 || definitions < 0 {
                    return Err(Fault::Damaged("levels of a negative length"));
                }
                header.levels = Some((repetitions, definitions));
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(header)
}

/// The values of a dictionary page, as text once and for all.
fn dictionary(page: &[u8], count: i64, leaf: &Leaf) -> Result<Dictionary, Fault> {
    let least = match leaf.physical {
        Physical::Int64 | Physical::Double => 8,
        Physical::Int96 => 12,
        Physical::Fixed(length) => length,
        Physical::Int32 | Physical::Float | Physical::Bytes | Physical::Flag => 4,
    };
    let count = usize::try_from(count).ok().filter(|c| c.checked_mul(least).is_some_and(|l| l <= page.len()));
    let count = count.ok_or(Fault::Damaged("a dictionary of more values than its page can hold"))?;
    let mut dictionary = Dictionary::default();
    let mut at = 0;
    for _ in 0..count {
        put(&mut dictionary.text, plain(page, &mut at, leaf.physical)?, leaf.meaning)?;
        dictionary.ends.push(dictionary.text.len());
    }
    Ok(dictionary)
}

/// Undoes the compression of a page, which says beforehand how long it will be.
fn unpack(codec: i64, packed: Vec<u8>, length: usize) -> Result<Vec<u8>, Fault> {
    let broken = |_| Fault::Damaged("a page that cannot be unpacked");
    let page = match codec {
        0 => packed,
        1 => {
            // Snappy stores at most 64 bytes in three.
            let claimed = snap::raw::decompress_len(&packed)
                .map_err(|_| Fault::Damaged("a page that cannot be unpacked"))?;
            if claimed != length || claimed / 32 > packed.len() {
                return Err(Fault::Damaged("a page of another length than it says"));
            }
            snap::raw::Decoder::new()
                .decompress_vec(&packed)
                .map_err(|_| Fault::Damaged("a page that cannot be unpacked"))?
        }
        2 => whole(flate2::bufread::MultiGzDecoder::new(&*packed), length).map_err(broken)?,
        6 => {
            let frame = ruzstd::decoding::StreamingDecoder::new(&*packed);
            let frame = frame.map_err(|_| Fault::Damaged("a page that cannot be unpacked"))?;
            whole(frame, length).map_err(broken)?
        }
        other => {
            let name = codec_name(other);
            return Err(Fault::Unsupported(format!(
                "Its compression, {name}, is not read; write it with snappy, zstd, gzip or none."
            )));
        }
    };
    if page.len() == length { Ok(page) } else { Err(Fault::Damaged("a page of another length than it says")) }
}

/// All that a decoder gives, and at most a byte more than is due.
fn whole(input: impl std::io::Read, length: usize) -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    input.take(length as u64 + 1).read_to_end(&mut page)?;
    Ok(page)
}
