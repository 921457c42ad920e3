//! From the bytes of a file to UTF-8: decompression, encodings, and a limit on the length of records.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use encoding_rs::{DecoderResult, EUC_KR, Encoding, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE};
use ruzstd::decoding::StreamingDecoder;

/// Longest record, in bytes of text.
const LONGEST: u64 = 1 << 20;
const CHUNK: usize = 1 << 16;

/// A fault that reaches the reader of rows through `io::Error`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("line {line} is not {encoding}")]
    Encoding { line: u64, encoding: &'static str },
    #[error("a record of more than 1 MiB")]
    TooLong,
    #[error("compressed data ends early")]
    Truncated,
}

fn fault(fault: Fault) -> io::Error {
    io::Error::other(fault)
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, one member or several.
    Gzip,
    /// Zstandard, one frame or several.
    Zstd,
}

/// Undoes compression, known by the first bytes and not by the name.
pub(crate) fn decompress<'a>(mut input: impl BufRead + 'a) -> io::Result<(Compression, Box<dyn Read + 'a>)> {
    let start = input.fill_buf()?;
    if start.starts_with(&[0x1f, 0x8b]) {
        let gz = Whole(flate2::bufread::MultiGzDecoder::new(input));
        return Ok((Compression::Gzip, Box::new(gz)));
    }
    if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return Ok((Compression::Zstd, Box::new(Whole(Frames { input: Some(input), frame: None }))));
    }
    Ok((Compression::None, Box::new(input)))
}

/// Says `Truncated` where a decoder says that it wanted more.
struct Whole<R>(R);

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => fault(Fault::Truncated),
            _ => e,
        })
    }
}

/// The frames of a Zstandard file, one after the other.
struct Frames<R: BufRead> {
    input: Option<R>,
    frame: Option<StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                // The decoder reports every fault as `Other`; in a file whose frame began well, and
                // whose input is used up, the cause is its end.
                match frame.read(buf) {
                    Ok(0) if !buf.is_empty() => {
                        self.input = self.frame.take().map(StreamingDecoder::into_inner)
                    }
                    Ok(n) => return Ok(n),
                    Err(e) => {
                        let inner = self.frame.take().map(StreamingDecoder::into_inner);
                        let ended = inner.is_some_and(|mut r| r.fill_buf().is_ok_and(<[u8]>::is_empty));
                        return Err(if ended { fault(Fault::Truncated) } else { e });
                    }
                }
            }
            let Some(mut input) = self.input.take() else { return Ok(0) };
            if input.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.frame = Some(StreamingDecoder::new(input).map_err(io::Error::other)?);
        }
    }
}

/// Text in UTF-8, whatever it was; refuses bytes that its encoding does not have.
pub(crate) struct Decoded<R> {
    input: R,
    /// Undecided while all was ASCII.
    encoding: Rc<Cell<Option<&'static Encoding>>>,
    decoder: Option<encoding_rs::Decoder>,
    raw: Vec<u8>,
    text: String,
    given: usize,
    line: u64,
    started: bool,
    ended: bool,
}

impl<R: Read> Decoded<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            encoding: Rc::new(Cell::new(None)),
            decoder: None,
            raw: Vec::new(),
            text: String::new(),
            given: 0,
            line: 1,
            started: false,
            ended: false,
        }
    }

    /// Where the encoding will be written once it is known.
    pub(crate) fn encoding(&self) -> Rc<Cell<Option<&'static Encoding>>> {
        Rc::clone(&self.encoding)
    }

    fn refill(&mut self) -> io::Result<()> {
        let mut raw = std::mem::take(&mut self.raw);
        raw.clear();
        let read = self.input.by_ref().take(CHUNK as u64).read_to_end(&mut raw)?;
        self.ended = read < CHUNK;
        let result = self.decode(&raw);
        self.raw = raw;
        result
    }

    fn decode(&mut self, raw: &[u8]) -> io::Result<()> {
        self.text.clear();
        self.given = 0;
        let mut bytes = raw;
        if !self.started {
            self.started = true;
            if let Some((encoding, length)) = Encoding::for_bom(bytes) {
                bytes = bytes.get(length..).unwrap_or_default();
                self.choose(encoding);
            }
        }
        if self.decoder.is_none() {
            if bytes.is_ascii() {
                self.text.push_str(&String::from_utf8_lossy(bytes));
                return Ok(());
            }
            let encoding = guess(bytes);
            self.choose(encoding);
        }
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        self.text.reserve(bytes.len() * 3 + 16);
        let (result, _) = decoder.decode_to_string_without_replacement(bytes, &mut self.text, self.ended);
        self.line += newlines(&self.text);
        if let DecoderResult::Malformed(..) = result {
            let encoding = self.encoding.get().map_or("text", Encoding::name);
            return Err(fault(Fault::Encoding { line: self.line, encoding }));
        }
        Ok(())
    }

    fn choose(&mut self, encoding: &'static Encoding) {
        self.encoding.set(Some(encoding));
        self.decoder = Some(encoding.new_decoder_without_bom_handling());
    }
}

fn newlines(text: &str) -> u64 {
    text.bytes().map(|b| u64::from(b == b'\n')).sum()
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.given >= self.text.len() {
            if self.ended {
                return Ok(0);
            }
            if self.decoder.is_none() {
                self.line += newlines(&self.text);
            }
            self.refill()?;
        }
        let rest = self.text.as_bytes().get(self.given..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        self.given += n;
        Ok(n)
    }
}

/// The encoding of a chunk that is not ASCII. A chunk may end inside a character, so a fault in its
/// last three bytes counts for nothing.
fn guess(bytes: &[u8]) -> &'static Encoding {
    let even = bytes.iter().step_by(2).filter(|b| **b == 0).count();
    let odd = bytes.iter().skip(1).step_by(2).filter(|b| **b == 0).count();
    if even.max(odd) > bytes.len() / 4 {
        return if even > odd { UTF_16BE } else { UTF_16LE };
    }
    match std::str::from_utf8(bytes) {
        Ok(_) => return UTF_8,
        Err(e) if e.error_len().is_none() => return UTF_8,
        Err(e) => {
            // Mostly UTF-8 with a fault far inside is mixed, not another encoding.
            let good = bytes.get(..e.valid_up_to()).unwrap_or_default();
            if good.iter().filter(|b| !b.is_ascii()).count() >= 6 {
                return UTF_8;
            }
        }
    }
    match likely(bytes, korean).cmp(&likely(bytes, japanese)) {
        std::cmp::Ordering::Greater => EUC_KR,
        std::cmp::Ordering::Less => SHIFT_JIS,
        std::cmp::Ordering::Equal => UTF_8,
    }
}

/// How many characters of two bytes are likely ones, less those that are not.
fn likely(bytes: &[u8], judge: fn(u8, u8) -> i64) -> i64 {
    let (mut score, mut rest) = (0, bytes);
    while let [lead, after @ ..] = rest {
        rest = after;
        if let (false, [trail, next @ ..]) = (lead.is_ascii(), after) {
            let judged = judge(*lead, *trail);
            score += judged;
            // What is no pair is a single byte, such as a half-width katakana.
            if judged != 0 {
                rest = next;
            }
        }
    }
    score
}

/// The syllables of KS X 1001; the extension of code page 949 is rare, and kana look like it.
fn korean(lead: u8, trail: u8) -> i64 {
    match (lead, trail) {
        (0xb0..=0xc8, 0xa1..=0xfe) => 1,
        (0x81..=0xa0, _) => -1,
        _ => 0,
    }
}

/// Kana and the kanji of the first level.
fn japanese(lead: u8, trail: u8) -> i64 {
    match (lead, trail) {
        (0x82 | 0x83 | 0x88..=0x97, 0x40..=0x7e | 0x80..=0xfc) => 1,
        _ => 0,
    }
}

/// Stops a record that goes on for ever: the reader of rows resets the count after each.
pub(crate) struct Limited<R> {
    input: R,
    since: Rc<Cell<u64>>,
}

impl<R: Read> Limited<R> {
    pub(crate) fn new(input: R) -> (BufReader<Self>, Rc<Cell<u64>>) {
        let since = Rc::new(Cell::new(0));
        (BufReader::with_capacity(CHUNK, Self { input, since: Rc::clone(&since) }), since)
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.since.get() > LONGEST {
            return Err(fault(Fault::TooLong));
        }
        let n = self.input.read(buf)?;
        self.since.set(self.since.get() + n as u64);
        Ok(n)
    }
}
