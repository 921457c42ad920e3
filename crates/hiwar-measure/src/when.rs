//! Days, months and years: sources do not always name the day.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;

use crate::NotRead;

/// A day, a month (`2019-07`) or a year (`2004`), Gregorian, in the place where it is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum When {
    /// One day.
    Day(Date),
    /// Some time in a month; the first day of it.
    Month(Date),
    /// Some time in a year; the first day of it.
    Year(Date),
}

impl When {
    /// The first day that is meant.
    pub fn first_day(self) -> Date {
        match self {
            Self::Day(day) | Self::Month(day) | Self::Year(day) => day,
        }
    }

    /// The last day that is meant.
    pub fn last_day(self) -> Date {
        match self {
            Self::Day(day) => day,
            Self::Month(day) => day.last_of_month(),
            Self::Year(day) => day.last_of_year(),
        }
    }

    /// Whether both can be true: one lies within the other.
    pub fn agrees_with(self, other: Self) -> bool {
        let within = |inner: Self, outer: Self| {
            outer.first_day() <= inner.first_day() && inner.last_day() <= outer.last_day()
        };
        within(self, other) || within(other, self)
    }
}

impl Ord for When {
    /// By first day; of two with the same, the one that says more first.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.first_day(), self.last_day()).cmp(&(other.first_day(), other.last_day()))
    }
}

impl PartialOrd for When {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for When {
    type Err = NotRead;

    fn from_str(text: &str) -> Result<Self, NotRead> {
        let refuse = || NotRead::new("not-a-when", text);
        let digits = |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
        let parts: Vec<&str> = text.split('-').collect();
        let (year, month, day) = match parts.as_slice() {
            [y] if digits(y, 4) => (*y, "1", "1"),
            [y, m] if digits(y, 4) && digits(m, 2) => (*y, *m, "1"),
            [y, m, d] if digits(y, 4) && digits(m, 2) && digits(d, 2) => (*y, *m, *d),
            _ => return Err(refuse()),
        };
        let number = |text: &str| text.parse::<i8>().map_err(|_| refuse());
        let year = year.parse::<i16>().map_err(|_| refuse())?;
        let date = Date::new(year, number(month)?, number(day)?).map_err(|_| refuse())?;
        Ok(match parts.len() {
            1 => Self::Year(date),
            2 => Self::Month(date),
            _ => Self::Day(date),
        })
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => write!(f, "{day}"),
            Self::Month(day) => write!(f, "{:04}-{:02}", day.year(), day.month()),
            Self::Year(day) => write!(f, "{:04}", day.year()),
        }
    }
}

impl serde::Serialize for When {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_a_month_and_a_year_are_read_and_written_the_same() {
        for text in ["2019-07-04", "2019-07", "2004"] {
            assert_eq!(text.parse::<When>().unwrap().to_string(), text);
        }
        for wrong in ["", "2019-13", "2019-02-30", "19-07-04", "2019-7-4", "2019-07-04T00:00", "-2019"] {
            assert!(wrong.parse::<When>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_month_agrees_with_its_days_and_with_its_year_only() {
        let read = |text: &str| text.parse::<When>().unwrap();
        assert!(read("2019-07").agrees_with(read("2019-07-31")));
        assert!(read("2019").agrees_with(read("2019-07")));
        assert!(!read("2019-07").agrees_with(read("2019-08-01")));
        assert!(!read("2019-08-07").agrees_with(read("2019-08-28")));
    }
}
