//! Points and lengths of time as policies write them.

use hiwar_trust::time::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{Span, Unit};

/// Longest accepted length of time, in years.
const YEARS_MAX: i64 = 1000;

/// A length of time, an ISO 8601 duration such as `P30D` or `PT12H`, not negative.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length(Span);

impl PartialEq for Length {
    fn eq(&self, other: &Self) -> bool {
        self.0.fieldwise() == other.0.fieldwise()
    }
}

impl Length {
    /// Reads an ISO 8601 duration; the error says how to write it.
    pub(crate) fn read(text: &str) -> Result<Self, &'static str> {
        const MEND: &str = "write an ISO 8601 duration, such as P30D, P6M or PT12H";
        if !text.starts_with('P') || text.len() > 64 {
            return Err(MEND);
        }
        let span: Span = text.parse().map_err(|_| MEND)?;
        if span.is_negative() || i64::from(span.get_years()) > YEARS_MAX {
            return Err("write a duration between zero and P1000Y");
        }
        Ok(Self(span))
    }

    /// `start` and this length later: months and years by the calendar in UTC, days of 24 hours.
    /// A time past the end of the calendar becomes its end.
    pub(crate) fn after(self, start: Timestamp) -> Timestamp {
        let moved = jiff::Timestamp::from_millisecond(start.as_millis())
            .and_then(|at| Offset::UTC.to_datetime(at).checked_add(self.0))
            .and_then(|civil| Offset::UTC.to_timestamp(civil))
            .map(jiff::Timestamp::as_millisecond);
        moved.map_or(Timestamp::MAX, Timestamp::from_millis)
    }

    /// The duration as it is written.
    pub(crate) fn text(self) -> String {
        self.0.to_string()
    }
}

/// Reads a point in time with its zone: RFC 3339 and the shorter forms of `xsd:dateTime` seen in the
/// field (`2023-12-31T06:00Z`). The error says how to write it.
pub(crate) fn read(text: &str) -> Result<Timestamp, &'static str> {
    if text.len() > 64 {
        return Err("write a time, such as 2027-01-31T00:00:00Z");
    }
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => Ok(Timestamp::from_millis(time.as_millisecond())),
        Err(_) if text.parse::<DateTime>().is_ok() => {
            Err("add the time zone, such as 2027-01-31T00:00:00Z or 2027-01-31T09:00:00+09:00")
        }
        Err(_) => Err("write a time with its zone, such as 2027-01-31T00:00:00Z"),
    }
}

/// Reads a calendar day, such as `2027-01-31`: its first instant in UTC, and that of the day after.
pub(crate) fn read_day(text: &str) -> Option<(Timestamp, Timestamp)> {
    let date: Date = (text.len() == 10).then(|| text.parse().ok())??;
    let first = |date: Date| {
        let start = Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
        Some(Timestamp::from_millis(start.as_millisecond()))
    };
    Some((first(date)?, first(date.tomorrow().ok()?)?))
}

/// How long `later` is after `earlier`, as a person says it: whole days and hours.
pub(crate) fn elapsed(earlier: Timestamp, later: Timestamp) -> String {
    let seconds = later.millis_since(earlier).max(0) / 1000;
    let span = Span::new().try_seconds(seconds).unwrap_or_default();
    let rounded = span
        .round(jiff::SpanRound::new().largest(Unit::Day).days_are_24_hours().smallest(Unit::Second))
        .unwrap_or(span);
    rounded.to_string()
}
