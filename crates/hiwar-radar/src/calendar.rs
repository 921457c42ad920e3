//! When sources release what, for files that do not say when they were released.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::month::{Date, Month};

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Period {
    /// A month.
    Month(Month),
    /// A year.
    Year(u16),
}

impl Period {
    /// The last day.
    pub fn last_day(self) -> Date {
        match self {
            Self::Month(month) => month.last_day(),
            Self::Year(year) => Month::new(year, 12).map_or(Date::MAX, Month::last_day),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Month(month) => month.fmt(f),
            Self::Year(year) => year.fmt(f),
        }
    }
}

/// The day a source has usually released a period in full detail, the later one where it varies: a
/// judgement as of a day must not use what was not out yet.
///
/// | source | days after the end of the period |
/// |---|---|
/// | `kcs` | 15 (finalised about the 15th of the next month) |
/// | `japan-customs`, `estat` | 28 (9-digit detail) |
/// | `comext` | 50 (detailed data follow after about 46 days) |
/// | `comtrade` | 184 (two to six months) |
/// | `baci` | 396 (a year, at the end of January) |
///
/// `None` for other sources, whose rows count as released on the day they were received.
pub fn released(source: &str, period: Period) -> Option<Date> {
    let days = match source {
        "kcs" => 15,
        "japan-customs" | "estat" => 28,
        "comext" => 50,
        "comtrade" => 184,
        "baci" => 396,
        _ => return None,
    };
    period.last_day().checked_add(jiff::Span::new().days(days)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_release_when_they_do() {
        let july = Period::Month("2019-07".parse().unwrap());
        for (source, expected) in
            [("kcs", "2019-08-15"), ("japan-customs", "2019-08-28"), ("comtrade", "2020-01-31")]
        {
            assert_eq!(released(source, july).unwrap().to_string(), expected);
        }
        assert_eq!(released("baci", Period::Year(2022)).unwrap().to_string(), "2024-01-31");
        assert_eq!(released("plain", july), None);
    }
}
