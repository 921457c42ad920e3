//! Times and time zones (RFC 5545, sections 3.3.5 and 3.6.5).

use hiwar_trust::time::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Dst, Offset, TimeZone};

use super::CalendarError;
use super::line::{Component, Property, Writer};

/// Most changes of the clocks that a VTIMEZONE names.
const CHANGES_MAX: usize = 8;
/// How long after the last time of a file the changes are named: one year, in seconds.
const AFTER_S: i64 = 366 * 86_400;

fn instant(time: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(time.as_millis()).ok()
}

fn digits(time: DateTime) -> String {
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// A time in UTC.
pub(super) fn utc(time: Timestamp) -> String {
    instant(time).map(|time| format!("{}Z", digits(TimeZone::UTC.to_datetime(time)))).unwrap_or_default()
}

/// Writes a time in a zone, or in UTC when there is none.
pub(super) fn write_time(writer: &mut Writer, name: &str, time: Timestamp, zone: Option<(&str, &TimeZone)>) {
    match (zone, instant(time)) {
        (Some((id, zone)), Some(instant)) => {
            writer.raw(&format!("{name};TZID={id}"), &digits(zone.to_datetime(instant)));
        }
        _ => writer.raw(name, &utc(time)),
    }
}

fn offset_text(offset: Offset) -> String {
    let seconds = offset.seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    let whole = seconds.unsigned_abs();
    let text = format!("{sign}{:02}{:02}", whole / 3_600, whole / 60 % 60);
    if whole.is_multiple_of(60) { text } else { format!("{text}{:02}", whole % 60) }
}

/// Writes the zone with the offset in force at `from` and the changes until a year after `to`.
pub(super) fn write_zone(writer: &mut Writer, id: &str, zone: &TimeZone, from: Timestamp, to: Timestamp) {
    let (Some(from), Some(to)) = (instant(from), instant(to)) else { return };
    writer.begin("VTIMEZONE");
    writer.raw("TZID", id);
    let mut changes: Vec<(jiff::Timestamp, Offset, String, Dst)> = zone
        .preceding(from)
        .take(1)
        .chain(zone.following(from))
        .take_while(|change| change.timestamp().as_second() <= to.as_second().saturating_add(AFTER_S))
        .take(CHANGES_MAX)
        .map(|change| (change.timestamp(), change.offset(), change.abbreviation().to_owned(), change.dst()))
        .collect();
    let info = zone.to_offset_info(from);
    if changes.first().is_none_or(|(at, ..)| *at > from) {
        // It never changed before: what is in force holds since the beginning.
        changes.insert(
            0,
            (jiff::Timestamp::UNIX_EPOCH, info.offset(), info.abbreviation().to_owned(), info.dst()),
        );
    }
    let mut before = None;
    for (at, offset, name, dst) in changes {
        let old = before.unwrap_or(offset);
        let component = if dst.is_dst() { "DAYLIGHT" } else { "STANDARD" };
        writer.begin(component);
        // Its beginning is told by the clock as it was before (section 3.6.5).
        writer.raw("DTSTART", &digits(old.to_datetime(at)));
        writer.raw("TZOFFSETFROM", &offset_text(old));
        writer.raw("TZOFFSETTO", &offset_text(offset));
        writer.text("TZNAME", &name);
        writer.end(component);
        before = Some(offset);
    }
    writer.end("VTIMEZONE");
}

fn civil(text: &str) -> Option<DateTime> {
    let bytes = text.as_bytes();
    let well_formed = bytes.len() == 15
        && bytes.iter().enumerate().all(|(at, b)| if at == 8 { *b == b'T' } else { b.is_ascii_digit() });
    if !well_formed {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i16>().ok();
    let small = |from, to| number(from, to).and_then(|number| i8::try_from(number).ok());
    // A leap second is the one before, as section 3.3.12 allows.
    let second = small(13, 15)?.min(59);
    DateTime::new(number(0, 4)?, small(4, 6)?, small(6, 8)?, small(9, 11)?, small(11, 13)?, second, 0).ok()
}

/// A time of a stranger's file: in UTC, or in a zone that is an IANA name or that the file defines with one offset.
/// A time without a zone could mean any, and a day is no time: both are refused.
pub(super) fn read_time(
    property: &Property,
    name: &'static str,
    calendar: &Component,
) -> Result<Timestamp, CalendarError> {
    let text = property.value.trim();
    let wrong = || CalendarError::wrong(name, text);
    let time = match (text.strip_suffix('Z'), property.parameter("TZID")) {
        (Some(utc), _) => TimeZone::UTC.to_timestamp(civil(utc).ok_or_else(wrong)?),
        (None, Some(id)) => {
            let zone = zone_of(id, calendar).ok_or_else(|| CalendarError::wrong("TZID", id))?;
            zone.to_timestamp(civil(text).ok_or_else(wrong)?)
        }
        (None, None) => return Err(wrong()),
    };
    Ok(Timestamp::from_millis(time.map_err(|_| wrong())?.as_millisecond()))
}

fn zone_of(id: &str, calendar: &Component) -> Option<TimeZone> {
    if let Ok(zone) = TimeZone::get(id) {
        return Some(zone);
    }
    let definition = calendar.components("VTIMEZONE").find(|zone| {
        let mut named = zone.all("TZID");
        named.next().is_some_and(|property| property.value.trim() == id)
    })?;
    let mut offsets = definition.components.iter().map(|observance| {
        let offset = observance.required("TZOFFSETTO").ok()?;
        read_offset(offset.value.trim())
    });
    let first = offsets.next()??;
    // A zone with summer time under a name of its own would need its rules; those of IANA are known.
    offsets.all(|offset| offset == Some(first)).then(|| TimeZone::fixed(first))
}

fn read_offset(text: &str) -> Option<Offset> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    if !matches!(rest.len(), 4 | 6) || !rest.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| rest.get(from..to).map_or(Some(0), |part| part.parse::<i32>().ok());
    let seconds = number(0, 2)? * 3_600 + number(2, 4)? * 60 + number(4, 6)?;
    Offset::from_seconds(sign * seconds).ok()
}
