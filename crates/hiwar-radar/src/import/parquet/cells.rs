//! Values as the text that a CSV file would have for them, so that all formats are read by one reader.

use std::fmt::Write as _;

use jiff::ToSpan as _;

use super::Fault;
use crate::month::Date;

/// What stored values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// What they are.
    Itself,
    /// A number that is never negative.
    Unsigned,
    /// Digits with so many behind the point.
    Decimal(usize),
    /// Days since 1970-01-01.
    Date,
    /// The same, in a column of months: the first day stands for its month.
    Month,
    /// Time since 1970-01-01, so many to a second.
    Moment(i64),
    /// The same, in a column of months.
    MomentOfMonth(i64),
}

impl Meaning {
    pub(super) fn decimal(scale: i64) -> Result<Self, Fault> {
        let scale = usize::try_from(scale).ok().filter(|s| *s <= 38);
        scale.map(Self::Decimal).ok_or(Fault::Damaged("a decimal of more than 38 digits"))
    }

    pub(super) fn moment(unit: i64) -> Result<Self, Fault> {
        match unit {
            1 => Ok(Self::Moment(1_000)),
            2 => Ok(Self::Moment(1_000_000)),
            3 => Ok(Self::Moment(1_000_000_000)),
            _ => Err(Fault::Damaged("a time in an unknown unit")),
        }
    }

    /// Dates in the columns of periods are months.
    pub(super) fn in_column(self, name: &str) -> Self {
        match self {
            Self::Date if matches!(name, "period" | "month") => Self::Month,
            Self::Moment(unit) if matches!(name, "period" | "month") => Self::MomentOfMonth(unit),
            other => other,
        }
    }
}

/// A value as it lies in a page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Raw<'a> {
    Flag(bool),
    Int32(i32),
    Int64(i64),
    Float(f32),
    Double(f64),
    Bytes(&'a [u8]),
    /// A time of 12 bytes: nanoseconds of the day, Julian day.
    Int96(&'a [u8]),
}

/// Writes a value behind what is there.
pub(super) fn put(out: &mut String, raw: Raw<'_>, meaning: Meaning) -> Result<(), Fault> {
    let written = match (raw, meaning) {
        (Raw::Flag(flag), _) => write!(out, "{flag}"),
        (Raw::Int32(n), Meaning::Unsigned) => write!(out, "{}", n.cast_unsigned()),
        (Raw::Int64(n), Meaning::Unsigned) => write!(out, "{}", n.cast_unsigned()),
        (Raw::Int32(n), meaning) => return put_int(out, i64::from(n), meaning),
        (Raw::Int64(n), meaning) => return put_int(out, n, meaning),
        // Data tools write NaN for what is missing.
        (Raw::Float(x), _) if x.is_nan() => Ok(()),
        (Raw::Double(x), _) if x.is_nan() => Ok(()),
        // The shortest digits that name the number; whole numbers, such as codes, have no point.
        (Raw::Float(x), _) if usual(f64::from(x)) => write!(out, "{x}"),
        (Raw::Double(x), _) if usual(x) => write!(out, "{x}"),
        (Raw::Float(x), _) => write!(out, "{x:e}"),
        (Raw::Double(x), _) => write!(out, "{x:e}"),
        (Raw::Int96(bytes), _) => return put_julian(out, bytes),
        (Raw::Bytes(bytes), Meaning::Decimal(scale)) => {
            put_decimal(out, big_endian(bytes)?, scale);
            Ok(())
        }
        (Raw::Bytes(bytes), _) => {
            out.push_str(std::str::from_utf8(bytes).map_err(|_| Fault::NotText)?);
            Ok(())
        }
    };
    written.map_err(|_| Fault::Damaged("a value that cannot be written"))
}

/// Whether a number is short without an exponent; the longest double has more than 300 digits.
fn usual(number: f64) -> bool {
    number == 0.0 || (1e-9..1e17).contains(&number.abs())
}

fn put_int(out: &mut String, number: i64, meaning: Meaning) -> Result<(), Fault> {
    match meaning {
        Meaning::Itself | Meaning::Unsigned => {
            write!(out, "{number}").map_err(|_| Fault::Damaged("a value that cannot be written"))
        }
        Meaning::Decimal(scale) => {
            put_decimal(out, i128::from(number), scale);
            Ok(())
        }
        Meaning::Date => put_day(out, number, false),
        Meaning::Month => put_day(out, number, true),
        Meaning::Moment(unit) | Meaning::MomentOfMonth(unit) => {
            let a_day = unit.saturating_mul(86_400);
            put_day(out, number.div_euclid(a_day), matches!(meaning, Meaning::MomentOfMonth(_)))?;
            // A time of the day is no part of a date, and makes it none.
            if number.rem_euclid(a_day) != 0 {
                out.push_str(" with a time of the day");
            }
            Ok(())
        }
    }
}

fn put_day(out: &mut String, days: i64, month: bool) -> Result<(), Fault> {
    let span = 0.days().try_days(days).ok();
    let date = span.and_then(|s| Date::constant(1970, 1, 1).checked_add(s).ok());
    let date = date.ok_or(Fault::Damaged("a date beyond the calendar"))?;
    let text = date.to_string();
    let month = text.strip_suffix("-01").filter(|_| month);
    out.push_str(month.unwrap_or(&text));
    Ok(())
}

fn put_julian(out: &mut String, bytes: &[u8]) -> Result<(), Fault> {
    /// The Julian day of 1970-01-01.
    const EPOCH: i64 = 2_440_588;
    let (nanos, day) = bytes.split_at_checked(8).ok_or(Fault::Early)?;
    let day = day.try_into().map(u32::from_le_bytes).map_err(|_| Fault::Early)?;
    put_day(out, i64::from(day) - EPOCH, false)?;
    if nanos.iter().any(|b| *b != 0) {
        out.push_str(" with a time of the day");
    }
    Ok(())
}

fn big_endian(bytes: &[u8]) -> Result<i128, Fault> {
    if bytes.len() > 16 {
        return Err(Fault::Damaged("a decimal of more than 38 digits"));
    }
    let negative = bytes.first().is_some_and(|b| b & 0x80 != 0);
    let start = if negative { -1 } else { 0 };
    Ok(bytes.iter().fold(start, |number, byte| (number << 8) | i128::from(*byte)))
}

fn put_decimal(out: &mut String, number: i128, scale: usize) {
    if number < 0 {
        out.push('-');
    }
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at_checked(digits.len() - scale).unwrap_or((&digits, ""));
    out.push_str(whole);
    if !part.is_empty() {
        out.push('.');
        out.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_a_table_would_have_them() {
        for (raw, meaning, expected) in [
            (Raw::Double(2_811_111_000.0), Meaning::Itself, "2811111000"),
            (Raw::Float(0.1), Meaning::Itself, "0.1"),
            (Raw::Double(5e-324), Meaning::Itself, "5e-324"),
            (Raw::Double(f64::NAN), Meaning::Itself, ""),
            (Raw::Int32(-1), Meaning::Unsigned, "4294967295"),
            (Raw::Int32(-5), Meaning::Decimal(3), "-0.005"),
            (Raw::Bytes(&[0xff, 0x85]), Meaning::Decimal(1), "-12.3"),
            (Raw::Bytes(&[0x00, 0xff]), Meaning::Decimal(0), "255"),
            (Raw::Int32(18_078), Meaning::Month, "2019-07"),
            (Raw::Int32(18_079), Meaning::Month, "2019-07-02"),
            (Raw::Int32(18_078), Meaning::Date, "2019-07-01"),
            (Raw::Int64(18_078 * 86_400_000_000), Meaning::MomentOfMonth(1_000_000), "2019-07"),
            (Raw::Int64(-1), Meaning::Moment(1_000), "1969-12-31 with a time of the day"),
            (Raw::Bytes("일본".as_bytes()), Meaning::Itself, "일본"),
        ] {
            let mut out = String::new();
            put(&mut out, raw, meaning).unwrap();
            assert_eq!(out, expected, "{raw:?} {meaning:?}");
        }
        assert!(put(&mut String::new(), Raw::Bytes(&[0xff]), Meaning::Itself).is_err());
        assert!(put(&mut String::new(), Raw::Int32(i32::MAX), Meaning::Date).is_err());
    }
}
