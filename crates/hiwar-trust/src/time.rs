//! Points in time as whole milliseconds since 1970-01-01T00:00:00Z, written as RFC 3339 in UTC.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A point in time, in milliseconds since the Unix epoch. The clock that made it is never trusted
/// by itself; order is proved by hash links and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// Why a text is not a timestamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a time; write RFC 3339 in UTC with milliseconds, such as 2019-07-01T01:00:00.000Z")]
pub struct TimestampError {
    /// The text as given, cut to 80 characters.
    pub text: String,
}

impl Timestamp {
    /// The earliest time that can be written: 0000-01-01T00:00:00.000Z.
    pub const MIN: Self = Self(-62_167_219_200_000);
    /// The latest time that can be written: 9998-12-31T23:59:59.999Z, which every time library can hold.
    pub const MAX: Self = Self(253_370_764_799_999);

    /// The time `millis` milliseconds after the Unix epoch, clamped to years 0000 to 9999.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Milliseconds since the Unix epoch.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This time moved by `millis` milliseconds.
    pub fn plus_millis(self, millis: i64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this time; negative when `earlier` is later.
    pub fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_millisecond(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{time:.3}")
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Reads exactly the form that `Display` writes, so that a time has one spelling.
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let fail = || TimestampError { text: text.chars().take(80).collect() };
        if text.len() != 24 {
            return Err(fail());
        }
        let time: jiff::Timestamp = text.parse().map_err(|_| fail())?;
        let found = Self::from_millis(time.as_millisecond());
        if found.to_string() == text { Ok(found) } else { Err(fail()) }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_exactly_one_spelling() {
        let time = Timestamp::from_millis(1_561_942_800_000);
        assert_eq!(time.to_string(), "2019-07-01T01:00:00.000Z");
        assert_eq!("2019-07-01T01:00:00.000Z".parse(), Ok(time));
        for other in
            ["2019-07-01T01:00:00Z", "2019-07-01T10:00:00.000+09", "2019-07-01t01:00:00.000z", "yesterday"]
        {
            assert!(other.parse::<Timestamp>().is_err(), "{other}");
        }
    }

    #[test]
    fn the_first_and_the_last_time_can_be_written_and_read() {
        for time in [Timestamp::MIN, Timestamp::MAX] {
            assert_eq!(time.to_string().parse(), Ok(time));
        }
    }
}
