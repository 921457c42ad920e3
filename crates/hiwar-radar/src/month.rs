//! Months and dates.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A calendar date.
pub type Date = jiff::civil::Date;

/// A calendar month, as the number of months since January of year 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(u16);

/// Why a text is no month.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a month; write YYYY-MM, such as 2019-07")]
pub struct MonthError {
    /// The text, cut to 40 characters.
    pub text: String,
}

impl Month {
    /// A month of the years 0 to 5000; `month` from 1.
    pub fn new(year: u16, month: u16) -> Option<Self> {
        ((1..=12).contains(&month) && year <= 5000).then(|| Self(year * 12 + month - 1))
    }

    /// The year.
    pub fn year(self) -> u16 {
        self.0 / 12
    }

    /// The month of the year, from 1.
    pub fn month(self) -> u16 {
        self.0 % 12 + 1
    }

    /// The number of months since January of year 0.
    pub fn index(self) -> u16 {
        self.0
    }

    /// The month with this number of months since January of year 0.
    pub fn from_index(index: u16) -> Self {
        Self(index)
    }

    /// The month `count` months later (or earlier, when negative), within what can be written.
    pub fn plus(self, count: i32) -> Self {
        let index = i32::from(self.0).saturating_add(count).clamp(0, i32::from(u16::MAX));
        Self(u16::try_from(index).unwrap_or(u16::MAX))
    }

    /// How many months this is after `earlier`.
    pub fn since(self, earlier: Self) -> i32 {
        i32::from(self.0) - i32::from(earlier.0)
    }

    /// The month of a date.
    pub fn of(date: Date) -> Option<Self> {
        Self::new(u16::try_from(date.year()).ok()?, u16::try_from(date.month()).ok()?)
    }

    /// The first day.
    pub fn first_day(self) -> Date {
        let year = i16::try_from(self.year()).unwrap_or(i16::MAX);
        let month = i8::try_from(self.month()).unwrap_or(1);
        Date::new(year, month, 1).unwrap_or(Date::MAX)
    }

    /// The last day.
    pub fn last_day(self) -> Date {
        self.first_day().last_of_month()
    }
}

impl FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        let fail = || MonthError { text: text.chars().take(40).collect() };
        let (year, month) = text.split_once('-').ok_or_else(fail)?;
        let digits = |t: &str, n: usize| t.len() == n && t.bytes().all(|b| b.is_ascii_digit());
        if !digits(year, 4) || !digits(month, 2) {
            return Err(fail());
        }
        let year = year.parse().map_err(|_| fail())?;
        let month = month.parse().map_err(|_| fail())?;
        Self::new(year, month).ok_or_else(fail)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year(), self.month())
    }
}

impl Serialize for Month {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Month {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_written_and_read_and_counted() {
        let july: Month = "2019-07".parse().unwrap();
        assert_eq!((july.year(), july.month(), july.to_string()), (2019, 7, "2019-07".to_owned()));
        assert_eq!(july.plus(6), "2020-01".parse().unwrap());
        assert_eq!(july.plus(-7), "2018-12".parse().unwrap());
        assert_eq!(july.since("2018-07".parse().unwrap()), 12);
        assert_eq!(july.last_day().to_string(), "2019-07-31");
        for wrong in ["2019-13", "2019-00", "2019-7", "201907", "19-07", "", "+019-07"] {
            assert!(wrong.parse::<Month>().is_err(), "{wrong}");
        }
    }
}
