//! Exact decimal numbers for thresholds: `99.9` is 99.9, never a neighbour of it.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::NotRead;

/// Digits before and behind the point together, at most.
pub const DIGITS_MAX: usize = 18;

/// A decimal number with at most [`DIGITS_MAX`] digits, as it was written (`30.0` keeps its zero).
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    /// The digits without the point.
    mantissa: i64,
    /// Digits behind the point.
    scale: u8,
}

impl Decimal {
    /// Both numbers as whole multiples of the same power of ten.
    fn aligned(self, other: Self) -> (i128, i128) {
        let scale = self.scale.max(other.scale);
        let raise = |n: Self| i128::from(n.mantissa) * 10_i128.pow(u32::from(scale) - u32::from(n.scale));
        (raise(self), raise(other))
    }
}

impl FromStr for Decimal {
    type Err = NotRead;

    fn from_str(text: &str) -> Result<Self, NotRead> {
        let refuse = || NotRead::new("not-a-decimal", text);
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let dangling = whole.is_empty() || (digits.contains('.') && part.is_empty());
        if dangling || !all_digits(whole) || !all_digits(part) || whole.len() + part.len() > DIGITS_MAX {
            return Err(refuse());
        }
        let mantissa: i64 = format!("{whole}{part}").parse().map_err(|_| refuse())?;
        let scale = u8::try_from(part.len()).map_err(|_| refuse())?;
        Ok(Self { mantissa: sign * mantissa, scale })
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let scale = usize::from(self.scale);
        let digits = format!("{:0>width$}", self.mantissa.unsigned_abs(), width = scale + 1);
        match digits.split_at_checked(digits.len() - scale) {
            Some((whole, part)) if !part.is_empty() => write!(f, "{sign}{whole}.{part}"),
            _ => write!(f, "{sign}{digits}"),
        }
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let (left, right) = self.aligned(*other);
        left.cmp(&right)
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal {}

impl serde::Serialize for Decimal {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_compared_by_value_and_written_as_they_were() {
        let read = |text: &str| text.parse::<Decimal>().unwrap();
        assert_eq!(read("30"), read("30.0"));
        assert!(read("99.9") < read("99.95"));
        assert!(read("-1") < read("0.1"));
        for text in ["0.1", "30", "99.9", "1.73", "-0.05", "245", "0"] {
            assert_eq!(read(text).to_string(), text);
        }
        for wrong in ["", ".", "1.", ".5", "1e3", "1,5", "+1", "--1", "1234567890123456789", " 1"] {
            assert!(wrong.parse::<Decimal>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_the_same(mantissa in -999_999_999_999i64..999_999_999_999, scale in 0u8..6) {
            let number = Decimal { mantissa, scale };
            let again: Decimal = number.to_string().parse().unwrap();
            prop_assert_eq!(again, number);
        }
    }
}
