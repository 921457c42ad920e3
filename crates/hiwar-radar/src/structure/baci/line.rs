//! One line of BACI: `t,i,j,k,v,q`, digits and decimals only.
//!
//! [`whole`], [`decimal`] and [`amounts`] read eight characters at a time as one integer ("SIMD
//! within a register", Lemire, "Number parsing at a gigabyte per second", 2021) and give up on
//! anything unusual; [`slow`] reads everything that is allowed and says what is not.

/// A row. Codes are those of the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) year: u16,
    pub(super) exporter: u16,
    pub(super) importer: u16,
    pub(super) product: u32,
    /// Thousand US dollars.
    pub(super) value: f64,
    /// Tonnes; not a number where the file has none.
    pub(super) tonnes: f64,
}

/// The field that stopped [`slow`], its text and why.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bad {
    pub(super) field: &'static str,
    pub(super) text: String,
    pub(super) why: &'static str,
}

/// Bytes that the fast reader looks at; a longer line is left to [`slow`].
pub(super) const WINDOW: usize = 64;

/// `10^n`, exact in a double.
const POWERS: [f64; 9] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8];
const POWERS_WHOLE: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// Eight bytes from a place.
#[inline(always)]
fn eight(window: &[u8; WINDOW], at: usize) -> Option<u64> {
    window.get(at..)?.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes))
}

/// The leading digits of eight characters: their value and how many there are.
#[inline(always)]
fn digits(word: u64) -> (u64, usize) {
    let word = word ^ 0x3030_3030_3030_3030;
    // The high bit of every byte that is no digit; a carry can only spoil later bytes.
    let other = (word.wrapping_add(0x7676_7676_7676_7676) | word) & 0x8080_8080_8080_8080;
    let count = (other.trailing_zeros() / 8) as usize;
    if count == 0 {
        return (0, 0);
    }
    let word = word << (64 - 8 * count);
    let word = word.wrapping_mul(10).wrapping_add(word >> 8) & 0x00ff_00ff_00ff_00ff;
    let word = (word.wrapping_mul(100).wrapping_add(word >> 16)) & 0x0000_ffff_0000_ffff;
    let word = (word.wrapping_mul(10_000).wrapping_add(word >> 32)) & 0xffff_ffff;
    (word, count)
}

/// A whole number of 1 to `most` digits that ends with a comma, and the place after it.
#[inline(always)]
pub(super) fn whole(window: &[u8; WINDOW], at: usize, most: usize) -> Option<(u64, usize)> {
    let (number, count) = digits(eight(window, at)?);
    let end = at + count;
    (count > 0 && count <= most && window.get(end) == Some(&b',')).then_some((number, end + 1))
}

/// A decimal of up to 7 digits before and up to 7 after the point, and the place of what follows.
/// The quotient of two exact doubles is the nearest double, as reading the text would give.
#[inline(always)]
pub(super) fn decimal(window: &[u8; WINDOW], at: usize) -> Option<(f64, usize)> {
    let (head, count) = digits(eight(window, at)?);
    let end = at + count;
    if count == 8 {
        return None;
    }
    if window.get(end) != Some(&b'.') {
        return (count > 0).then_some((head as i64 as f64, end));
    }
    let (tail, places) = digits(eight(window, end + 1)?);
    if places == 8 || places + count == 0 {
        return None;
    }
    let number = head * POWERS_WHOLE.get(places)? + tail;
    Some((number as i64 as f64 / POWERS.get(places)?, end + 1 + places))
}

/// The start of a line up to its product, kept to be recognised on the next line: files are sorted
/// by year, exporter and importer, so most lines start as the last one did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prefix {
    bytes: u128,
    mask: u128,
    length: usize,
}

impl Prefix {
    /// Keeps the first `length` bytes, at most 16.
    pub(super) fn keep(window: &[u8; WINDOW], length: usize) -> Self {
        let mask = if length >= 16 { u128::MAX } else { (1u128 << (8 * length)) - 1 };
        Self { bytes: first(window) & mask, mask, length: length.min(16) }
    }

    /// The place after the prefix, if the line starts with it.
    #[inline(always)]
    pub(super) fn meets(&self, window: &[u8; WINDOW]) -> Option<usize> {
        (self.length > 0 && (first(window) ^ self.bytes) & self.mask == 0).then_some(self.length)
    }
}

#[inline(always)]
fn first(window: &[u8; WINDOW]) -> u128 {
    window.first_chunk::<16>().map_or(0, |bytes| u128::from_le_bytes(*bytes))
}

/// Value and tonnes from `at` to the end of the line, and the place after the line. `None` if they
/// are written in a way that is left to [`slow`].
#[inline(always)]
pub(super) fn amounts(window: &[u8; WINDOW], at: usize) -> Option<(f64, f64, usize)> {
    let (value, at) = decimal(window, at)?;
    if window.get(at) != Some(&b',') {
        return None;
    }
    let (tonnes, at) = match window.get(at + 1..at + 3)? {
        b"NA" => (f64::NAN, at + 3),
        _ => decimal(window, at + 1)?,
    };
    match window.get(at)? {
        b'\n' => Some((value, tonnes, at + 1)),
        b'\r' if window.get(at + 1) == Some(&b'\n') => Some((value, tonnes, at + 2)),
        _ => None,
    }
}

/// Reads one line without its end. Numbers may have spaces around them; `q` may be `NA` or empty.
pub(super) fn slow(line: &[u8]) -> Result<Row, Bad> {
    let bad = |field, text: &[u8], why| {
        let text = String::from_utf8_lossy(text).chars().take(40).collect();
        Bad { field, text, why }
    };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut fields = line.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let mut next = |field| fields.next().ok_or_else(|| bad(field, line, "the line ends before this field"));
    let mut code = |field: &'static str, most: usize| {
        let text = next(field)?;
        if text.is_empty() || text.len() > most || !text.iter().all(u8::is_ascii_digit) {
            let why =
                if most == 6 { "not a code of 1 to 6 digits" } else { "not a number of so many digits" };
            return Err(bad(field, text, why));
        }
        Ok(text.iter().fold(0u32, |number, digit| number * 10 + u32::from(digit - b'0')))
    };
    let narrow = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
    let year = narrow(code("t", 4)?);
    let exporter = narrow(code("i", 3)?);
    let importer = narrow(code("j", 3)?);
    let product = code("k", 6)?;
    let mut amount = |field: &'static str, may_lack: bool| {
        let text = next(field)?;
        if may_lack && (text.is_empty() || text == b"NA") {
            return Ok(f64::NAN);
        }
        let plain = text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
        let number =
            std::str::from_utf8(text).ok().filter(|_| plain).and_then(|text| text.parse::<f64>().ok());
        number.ok_or_else(|| bad(field, text, "not a decimal such as 12.345"))
    };
    let value = amount("v", false)?;
    let tonnes = amount("q", true)?;
    match fields.next() {
        None => Ok(Row { year, exporter, importer, product, value, tonnes }),
        Some(more) => Err(bad("q", more, "the line has more than six fields")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(text: &str) -> [u8; WINDOW] {
        let mut bytes = [b'x'; WINDOW];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        bytes
    }

    #[test]
    fn numbers_are_read_as_the_standard_library_reads_them() {
        for text in ["0", "7", "12.5", "0.001", "1234567.125", ".384", "9999999.9999999", "5.", "00.10"] {
            let (number, end) = decimal(&window(&format!("{text},")), 0).unwrap();
            assert_eq!((number, end), (text.parse().unwrap(), text.len()), "{text}");
        }
        for text in ["", ".", "x", "12345678", "0.12345678", "-1"] {
            assert_eq!(
                decimal(&window(&format!("{text},")), 0).map(|(_, end)| end == text.len()).filter(|e| *e),
                None,
                "{text}"
            );
        }
        assert_eq!(whole(&window("281111,"), 0, 6), Some((281_111, 7)));
        assert_eq!(whole(&window("2811111,"), 0, 6), None);
        assert_eq!(whole(&window(",1"), 0, 6), None);
        assert_eq!(whole(&window("28/1,"), 0, 6), None);
        assert_eq!(whole(&window("28:1,"), 0, 6), None);
    }

    #[test]
    fn both_readers_agree_and_the_slow_one_explains() {
        let line = "2019,156,410,281111,12345.678,0.5";
        assert_eq!(amounts(&window(&format!("{line}\n")), 20), Some((12345.678, 0.5, line.len() + 1)));
        let row =
            Row { year: 2019, exporter: 156, importer: 410, product: 281_111, value: 12345.678, tonnes: 0.5 };
        assert_eq!(slow(line.as_bytes()), Ok(row));
        assert_eq!(slow(b"2019, 156,410,10121,  5,1\r").unwrap().product, 10_121);
        assert!(slow(b"2019,156,410,281111,1,NA").unwrap().tonnes.is_nan());
        assert!(slow(b"2019,156,410,281111,1,         NA").unwrap().tonnes.is_nan());
        for (line, field) in [
            ("2019,156,410,281111,1", "q"),
            ("2019,156,410,281111,1,2,3", "q"),
            ("2019,156,410,281111,NA,2", "v"),
            ("2019,156,410,281111,1e5,2", "v"),
            ("2019,156,410,2811110,1,2", "k"),
            ("2019,156,KOR,281111,1,2", "j"),
            ("2019,-56,410,281111,1,2", "i"),
            ("", "t"),
        ] {
            assert_eq!(slow(line.as_bytes()).unwrap_err().field, field, "{line}");
        }
    }
}
