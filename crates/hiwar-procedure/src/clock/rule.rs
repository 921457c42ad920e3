//! By when: computing with hours, calendar days and calendar months.
//!
//! Hours pass whatever the calendar says. Days and months are counted in the arrangement's time zone. The rules for
//! whole days and hours are those of Regulation (EEC, Euratom) No 1182/71, Article 3: the day (for hours: the hour)
//! of the event is not counted (1); the period ends with the expiry of the last hour of the last day, and of a period
//! in months, of the same date in the last month or else of that month's last day (2); holidays count (3), unless a
//! last day that is a holiday, Saturday or Sunday is moved (4), which is not done for hours. Article 3(5), at
//! least two working days, is not applied.
//!
//! Times are POSIX times, which have no leap seconds: a day of 86,401 seconds has 24 hours here, and no due time
//! differs from the one on the wall by that.
//!
//! A later start is never due earlier. So a local time that a change of clocks skips becomes the moment of the
//! change, and a start in an hour that comes twice, in its second pass, is due as if it were at that hour's end.

use hiwar_trust::time::Timestamp;
use jiff::ToSpan;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

use crate::arrangement::{Due, Span};

/// Most days by which a last day moves to the next working day; a calendar of holidays without end ends here.
const MOVE_DAYS_MAX: usize = 366;
/// Milliseconds of an hour.
const HOUR_MS: i64 = 3_600_000;

/// Coordinated Universal Time, for dialogues without an arrangement.
pub const UTC: TimeZone = TimeZone::UTC;

/// The time zone with an IANA name, from the data that this program was built with, so that it never depends on
/// the machine.
pub fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

/// When a duty that starts at `start` is due: the last moment that is in time. `is_holiday` tells the holidays of
/// who must act.
///
/// What lies beyond the last time that can be written is due then.
pub fn due(rule: &Due, start: Timestamp, zone: &TimeZone, is_holiday: impl Fn(Date) -> bool) -> Timestamp {
    match (rule.within, rule.to_end_of_day) {
        (Span::Hours(hours), false) => start.plus_millis(i64::from(hours).saturating_mul(HOUR_MS)),
        (Span::Hours(hours), true) => {
            let first = next_hour(start, zone);
            first.plus_millis(i64::from(hours).saturating_mul(HOUR_MS)).plus_millis(-1)
        }
        (span, to_end_of_day) => calendar(span, to_end_of_day, rule.working_days, start, zone, &is_holiday)
            .unwrap_or(Timestamp::MAX),
    }
}

/// The time a span before another one, at the same time of day for days and months.
pub fn before(span: Span, end: Timestamp, zone: &TimeZone) -> Timestamp {
    match span {
        Span::Hours(hours) => end.plus_millis(i64::from(hours).saturating_mul(-HOUR_MS)),
        Span::Days(_) | Span::Months(_) => {
            let earlier = || {
                let local = local(end, zone)?;
                let date = local.date().checked_sub(civil(span)?).ok()?;
                instant(date.to_datetime(local.time()), zone)
            };
            earlier().unwrap_or(Timestamp::MIN)
        }
    }
}

/// The time a span after another one, at the same time of day for days and months.
pub fn after(span: Span, start: Timestamp, zone: &TimeZone) -> Timestamp {
    due(&Due { within: span, to_end_of_day: false, working_days: false }, start, zone, |_| false)
}

fn calendar(
    span: Span,
    to_end_of_day: bool,
    working_days: bool,
    start: Timestamp,
    zone: &TimeZone,
    is_holiday: &dyn Fn(Date) -> bool,
) -> Option<Timestamp> {
    let local = local(start, zone)?;
    let date = local.date().checked_add(civil(span)?).ok()?;
    let last = if working_days { working_day(date, is_holiday)? } else { date };
    if to_end_of_day || last != date {
        let next = last.tomorrow().ok()?.to_datetime(Time::midnight());
        return Some(instant(next, zone)?.plus_millis(-1));
    }
    instant(date.to_datetime(local.time()), zone)
}

fn civil(span: Span) -> Option<jiff::Span> {
    match span {
        Span::Days(days) => jiff::Span::new().try_days(i64::from(days)).ok(),
        Span::Months(months) => jiff::Span::new().try_months(i64::from(months)).ok(),
        Span::Hours(hours) => jiff::Span::new().try_hours(i64::from(hours)).ok(),
    }
}

/// A day itself when it is a working day, else the next one that is.
fn working_day(day: Date, is_holiday: &dyn Fn(Date) -> bool) -> Option<Date> {
    let mut day = day;
    for _ in 0..MOVE_DAYS_MAX {
        let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
        if !weekend && !is_holiday(day) {
            break;
        }
        day = day.tomorrow().ok()?;
    }
    Some(day)
}

/// The beginning of the hour after the one in which an event occurs.
fn next_hour(start: Timestamp, zone: &TimeZone) -> Timestamp {
    let into_hour = local(start, zone).map_or(0, |local| {
        let time = local.time();
        (i64::from(time.minute()) * 60 + i64::from(time.second())) * 1000 + i64::from(time.millisecond())
    });
    start.plus_millis(HOUR_MS - into_hour)
}

fn point(time: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(time.as_millis()).ok()
}

/// The local time of a moment; in the second pass of an hour that comes twice, the end of that hour.
fn local(time: Timestamp, zone: &TimeZone) -> Option<DateTime> {
    let time = point(time)?;
    let local = zone.to_datetime(time);
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Fold { before, after } if zone.to_offset(time) == after => {
            // The change happened at or before this moment; `preceding` looks strictly before.
            let change = zone.preceding(time.checked_add(1.nanosecond()).ok()?).next()?.timestamp();
            Some(before.to_datetime(change))
        }
        _ => Some(local),
    }
}

/// The moment of a local time; of one that comes twice the first, of one that a change of clocks skips the change.
fn instant(local: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let found = zone.to_ambiguous_timestamp(local);
    let time = match found.offset() {
        AmbiguousOffset::Gap { .. } => {
            let later = found.later().ok()?;
            zone.preceding(later.checked_add(1.nanosecond()).ok()?).next()?.timestamp()
        }
        _ => found.compatible().ok()?,
    };
    Some(Timestamp::from_millis(time.as_millisecond()))
}
