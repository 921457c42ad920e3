//! The small words of a table: identifiers, codes, periods, percentages.

use std::fmt;
use std::str::FromStr;

/// Why a text is none of the words of a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WordError {
    /// Not an identifier.
    #[error("no identifier: 1 to 64 letters, digits, `_` or `-`, with a letter first")]
    Id,
    /// Not a code.
    #[error("no code: 1 to 64 of letters, digits, `_`, `-`, `@`, `$`")]
    Code,
    /// Not a party.
    #[error("no name of a firm or group: 1 to 200 printable characters")]
    Party,
    /// Not a period.
    #[error("no period: write 2026-03 for a month, 2026-Q1 for a quarter, 2026-03-05 for a day")]
    Period,
    /// Not a percentage.
    #[error("no percentage: write 0 to 1000 with at most two decimals, like 12.5")]
    Percent,
}

macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $error:ident, $holds:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = WordError;
            fn from_str(text: &str) -> Result<Self, WordError> {
                let holds: fn(&str) -> bool = $holds;
                if holds(text) { Ok(Self(text.to_owned())) } else { Err(WordError::$error) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

word!(
    /// An identifier as SDMX has them for components and agencies (`NCNameIDType`, at most 64 characters).
    Id,
    Id,
    |text| text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
);
word!(
    /// A code of a code list (SDMX `IDType`, at most 64 characters). A total is `_T` by custom.
    Code,
    Code,
    |text| (1..=64).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '@' | '$'))
);
word!(
    /// A firm that reports, or the enterprise group it belongs to: a DID, a register's number.
    Party,
    Party,
    |text| !text.is_empty() && text.chars().count() <= 200 && !text.chars().any(char::is_control)
);

/// What time a table speaks of, written as SDMX writes a `TIME_PERIOD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// A month: `2026-03`.
    Month(i16, u8),
    /// A quarter: `2026-Q1`.
    Quarter(i16, u8),
    /// A day: `2026-03-05`.
    Day(jiff::civil::Date),
}

impl FromStr for Period {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let parts: Vec<&str> = text.split('-').collect();
        let year = parts.first().filter(|year| year.len() == 4 && digits(year));
        let year: i16 = year.and_then(|year| year.parse().ok()).ok_or(WordError::Period)?;
        let period = match *parts.as_slice() {
            [_, part] if part.len() == 2 && part.starts_with('Q') => {
                let quarter = part.strip_prefix('Q').and_then(|q| q.parse().ok());
                quarter.filter(|q| (1..=4).contains(q)).map(|q| Self::Quarter(year, q))
            }
            [_, month] if month.len() == 2 && digits(month) => {
                month.parse().ok().filter(|m| (1..=12).contains(m)).map(|m| Self::Month(year, m))
            }
            [_, month, day] if month.len() == 2 && day.len() == 2 && digits(month) && digits(day) => {
                let date = month.parse().ok().zip(day.parse().ok());
                date.and_then(|(m, d)| jiff::civil::Date::new(year, m, d).ok()).map(Self::Day)
            }
            _ => None,
        };
        period.ok_or(WordError::Period)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Month(year, month) => write!(f, "{year:04}-{month:02}"),
            Self::Quarter(year, quarter) => write!(f, "{year:04}-Q{quarter}"),
            Self::Day(date) => write!(f, "{date}"),
        }
    }
}

/// A percentage in hundredths of a percent, 0 to 1000 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u32);

impl Percent {
    /// From hundredths of a percent, at most 100,000.
    pub fn from_hundredths(hundredths: u32) -> Option<Self> {
        (hundredths <= 100_000).then_some(Self(hundredths))
    }

    /// In hundredths of a percent: 10 % is 1000.
    pub fn hundredths(self) -> u32 {
        self.0
    }
}

impl FromStr for Percent {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let plain = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
        };
        if !plain(whole, 4) || !plain(decimals, 2) {
            return Err(WordError::Percent);
        }
        let hundredths = format!("{whole}{decimals:0<2}").parse().map_err(|_| WordError::Percent)?;
        Self::from_hundredths(hundredths).ok_or(WordError::Percent)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0 / 100)?;
        match self.0 % 100 {
            0 => Ok(()),
            part if part % 10 == 0 => write!(f, ".{}", part / 10),
            part => write!(f, ".{part:02}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_and_percentages_are_written_as_they_are_read() {
        for text in ["2026-03", "2026-Q1", "2026-02-28", "0001-12"] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        for text in ["2026", "2026-13", "2026-Q5", "2026-Q0", "2026-02-30", "2026-3", "26-03", "2026-+1", ""]
        {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
        for text in ["0", "12.5", "10", "0.01", "1000"] {
            assert_eq!(text.parse::<Percent>().unwrap().to_string(), text);
        }
        for text in ["", "-1", "1.234", "1000.01", "1e1", ".5", "5."] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }
}
