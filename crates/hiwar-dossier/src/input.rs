//! The bytes of a dossier: as they are, or unpacked from gzip (RFC 1952) within hard bounds.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use flate2::bufread::GzDecoder;

use crate::verify::Limits;

/// First bytes of a gzip stream.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The input with its first bytes, which were looked at, before it.
type Source<R> = BufReader<Chain<Cursor<Vec<u8>>, R>>;

/// A dossier's bytes, whatever they came in.
pub(crate) enum Input<R: Read> {
    Plain(Source<R>),
    Gzip(Box<Unpacked<R>>),
}

/// Unpacks gzip and stops when it grows out of proportion.
pub(crate) struct Unpacked<R: Read> {
    decoder: GzDecoder<Counted<Source<R>>>,
    out: u64,
    bytes_max: u64,
    ratio_max: u64,
    ratio_from: u64,
}

/// Counts what was taken from a buffered reader.
pub(crate) struct Counted<R> {
    inner: R,
    taken: u64,
}

impl<R: Read> Input<R> {
    /// Looks at the first bytes and chooses.
    pub(crate) fn open(mut input: R, limits: &Limits) -> io::Result<Self> {
        let mut start = Vec::with_capacity(GZIP_MAGIC.len());
        input.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut start)?;
        let gzip = start == GZIP_MAGIC;
        let input = BufReader::with_capacity(64 * 1024, Cursor::new(start).chain(input));
        if !gzip {
            return Ok(Self::Plain(input));
        }
        Ok(Self::Gzip(Box::new(Unpacked {
            decoder: GzDecoder::new(Counted { inner: input, taken: 0 }),
            out: 0,
            bytes_max: limits.gzip_bytes_max,
            ratio_max: limits.gzip_ratio_max,
            ratio_from: limits.gzip_ratio_from,
        })))
    }
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(buffer),
            Self::Gzip(unpacked) => unpacked.read(buffer),
        }
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(buffer)?;
        self.out += read as u64;
        if self.out > self.bytes_max {
            return Err(io::Error::other(format!(
                "the gzip stream unpacks to more than {} bytes; unpack it yourself if it is meant to be that large",
                self.bytes_max
            )));
        }
        let taken = self.decoder.get_ref().taken;
        if self.out > self.ratio_from && self.out / self.ratio_max.max(1) > taken {
            return Err(io::Error::other(format!(
                "the gzip stream unpacks to more than {} times its size; it looks made to exhaust the reader",
                self.ratio_max
            )));
        }
        if read == 0 && !buffer.is_empty() {
            let rest = self.decoder.get_mut().fill_buf()?;
            if !rest.is_empty() {
                return Err(io::Error::other("something follows after the end of the gzip stream"));
            }
        }
        Ok(read)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.taken += read as u64;
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.taken += amount as u64;
        self.inner.consume(amount);
    }
}
