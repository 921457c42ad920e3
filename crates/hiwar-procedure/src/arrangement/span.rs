//! Lengths of time as they are written: `48 h`, `15 d`, `6 months`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Most hours, days or months of a span: 10,000 days are 27 years.
pub const AMOUNT_MAX: u32 = 10_000;

/// A length of time, written `48 h`, `15 d`, `1 month` or `6 months`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Span {
    /// Hours that pass, whatever the calendar says.
    Hours(u32),
    /// Calendar days.
    Days(u32),
    /// Calendar months.
    Months(u32),
}

/// A text that is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no length of time; write hours, days or months, such as 48 h, 15 d or 6 months")]
pub struct SpanError(pub String);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hours(amount) => write!(f, "{amount} h"),
            Self::Days(amount) => write!(f, "{amount} d"),
            Self::Months(1) => f.write_str("1 month"),
            Self::Months(amount) => write!(f, "{amount} months"),
        }
    }
}

impl FromStr for Span {
    type Err = SpanError;

    /// Reads exactly what `Display` writes, so that a span has one spelling.
    fn from_str(text: &str) -> Result<Self, SpanError> {
        let fail = || SpanError(text.chars().take(80).collect());
        let (amount, unit) = text.split_once(' ').ok_or_else(fail)?;
        let amount: u32 = amount.parse().ok().filter(|amount| *amount <= AMOUNT_MAX).ok_or_else(fail)?;
        let span = match unit {
            "h" => Self::Hours(amount),
            "d" => Self::Days(amount),
            "month" | "months" => Self::Months(amount),
            _ => return Err(fail()),
        };
        if span.to_string() == text { Ok(span) } else { Err(fail()) }
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_exactly_one_spelling() {
        for (text, span) in [
            ("48 h", Span::Hours(48)),
            ("15 d", Span::Days(15)),
            ("1 month", Span::Months(1)),
            ("6 months", Span::Months(6)),
            ("0 h", Span::Hours(0)),
        ] {
            assert_eq!(text.parse(), Ok(span));
            assert_eq!(span.to_string(), text);
        }
        for text in ["48h", "048 h", "+1 d", "1 months", "2 month", "1 y", "-1 d", "10001 d", "", "d", "1  d"]
        {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
