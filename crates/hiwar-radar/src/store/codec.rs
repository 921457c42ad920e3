//! Numbers, texts and columns as bytes.

use super::StoreError;

/// What is wrong inside a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken(pub(super) &'static str);

pub(super) type Read<T> = Result<T, Broken>;

impl Broken {
    pub(super) fn at(self, path: &std::path::Path, offset: u64) -> StoreError {
        StoreError::Corrupt { path: path.to_owned(), offset, what: self.0 }
    }
}

/// Seven bits a byte, the least first; the highest bit says that more follow.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Signed, with small amounts of either sign short.
pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Amounts of a column: none at all (0), whole numbers (1; 0 stands for absent, n + 1 for n) or
/// IEEE 754 doubles, little-endian, with NaN for absent (2).
pub(super) fn put_amounts(out: &mut Vec<u8>, amounts: &[Option<f64>]) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if amounts.iter().all(Option::is_none) {
        out.push(0);
        return;
    }
    let whole = |a: f64| a.fract() == 0.0 && (0.0..EXACT).contains(&a);
    if amounts.iter().flatten().all(|a| whole(*a)) {
        out.push(1);
        for amount in amounts {
            put_varint(out, amount.map_or(0, |a| a as u64 + 1));
        }
    } else {
        out.push(2);
        for amount in amounts {
            out.extend_from_slice(&amount.unwrap_or(f64::NAN).to_le_bytes());
        }
    }
}

/// Reads what the functions above wrote.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Broken("ends early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Read<u8> {
        let (first, rest) = self.0.split_first().ok_or(Broken("ends early"))?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn varint(&mut self) -> Read<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Broken("a number of more than 64 bits"))
    }

    pub(super) fn signed(&mut self) -> Read<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A count of things that take at least a byte each.
    pub(super) fn count(&mut self) -> Read<usize> {
        let count = usize::try_from(self.varint()?).map_err(|_| Broken("a count too large"))?;
        if count > self.0.len() { Err(Broken("a count larger than the block")) } else { Ok(count) }
    }

    pub(super) fn text(&mut self) -> Read<&'a str> {
        let length = self.count()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Broken("a text that is not UTF-8"))
    }

    pub(super) fn amounts(&mut self, count: usize) -> Read<Vec<Option<f64>>> {
        match self.byte()? {
            0 => Ok(vec![None; count]),
            1 => (0..count).map(|_| Ok(self.varint()?.checked_sub(1).map(|n| n as f64))).collect(),
            2 => (0..count)
                .map(|_| {
                    let bytes = self.take(8)?.try_into().map_err(|_| Broken("ends early"))?;
                    let amount = f64::from_le_bytes(bytes);
                    Ok((!amount.is_nan()).then_some(amount))
                })
                .collect(),
            _ => Err(Broken("an unknown kind of column")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            numbers: Vec<u64>,
            signed: Vec<i64>,
            text: String,
            amounts: Vec<Option<f64>>,
            whole: Vec<Option<u32>>,
        ) {
            let whole: Vec<Option<f64>> = whole.into_iter().map(|w| w.map(f64::from)).collect();
            let mut out = Vec::new();
            numbers.iter().for_each(|n| put_varint(&mut out, *n));
            signed.iter().for_each(|n| put_signed(&mut out, *n));
            put_text(&mut out, &text);
            put_amounts(&mut out, &amounts);
            put_amounts(&mut out, &whole);
            let mut bytes = Bytes(&out);
            for n in numbers {
                prop_assert_eq!(bytes.varint(), Ok(n));
            }
            for n in signed {
                prop_assert_eq!(bytes.signed(), Ok(n));
            }
            prop_assert_eq!(bytes.text(), Ok(text.as_str()));
            prop_assert_eq!(bytes.amounts(amounts.len()), Ok(amounts));
            prop_assert_eq!(bytes.amounts(whole.len()), Ok(whole));
            prop_assert!(bytes.0.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(raw: Vec<u8>) {
            let mut bytes = Bytes(&raw);
            let _ = (bytes.text(), bytes.signed(), bytes.amounts(3), bytes.count());
        }
    }
}
