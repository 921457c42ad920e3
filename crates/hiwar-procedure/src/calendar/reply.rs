//! Answers from a stranger's calendar program.

use std::collections::BTreeMap;

use hiwar_dialogue::entry::EntryId;
use hiwar_trust::hash::Hash;
use hiwar_trust::time::Timestamp;
use jiff::{SignedDuration, Span};

use super::line::{Component, Property, read};
use super::zone::read_time;
use super::{Address, CalendarError};
use crate::meeting::form::MeetingStep;
use crate::meeting::parties::{Code, Parties};

/// Longest meeting that a counter-proposal can ask for: 31 days, in milliseconds.
const LONGEST_MS: i64 = 31 * 86_400_000;

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The meeting, by the entry that convened it first.
    pub meeting: EntryId,
    /// The party, when the file names one by its address.
    pub party: Option<Code>,
    /// The step that a desk of this party can sign.
    pub step: MeetingStep,
}

/// Reads METHOD:REPLY and METHOD:COUNTER. `addresses` are those under which the parties were invited. Whether the
/// step is allowed is judged when it is an entry.
///
/// # Errors
/// What is wrong with the file, or that it is another method.
pub fn read_reply(
    bytes: &[u8],
    parties: &Parties,
    addresses: &BTreeMap<Code, Address>,
) -> Result<Reading, CalendarError> {
    let calendar = read(bytes)?;
    let method = calendar.required("METHOD")?.value.trim().to_ascii_uppercase();
    let countered = match method.as_str() {
        "REPLY" => false,
        "COUNTER" => true,
        _ => return Err(CalendarError::Method { found: super::short(&method) }),
    };
    let mut events = calendar.components("VEVENT");
    let (Some(event), None) = (events.next(), events.next()) else {
        return Err(CalendarError::Missing { property: "VEVENT" });
    };
    let uid = event.required("UID")?.value.trim();
    let meeting = uid.parse::<Hash>().map(EntryId).map_err(|_| CalendarError::wrong("UID", uid))?;
    let sequence = match event.optional("SEQUENCE")? {
        Some(property) => {
            number(property.value.trim()).ok_or_else(|| CalendarError::wrong("SEQUENCE", &property.value))?
        }
        None => 0,
    };
    if event.optional("RECURRENCE-ID")?.is_some() || event.all("RRULE").next().is_some() {
        return Err(CalendarError::wrong("RRULE", "a meeting is one event"));
    }
    let mut attendees = event.all("ATTENDEE");
    let attendee = match (attendees.next(), attendees.next()) {
        (Some(one), None) => Some(one),
        // A counter-proposal may name all who are invited; then its sender is not known from the file.
        _ if countered => None,
        _ => return Err(CalendarError::Missing { property: "ATTENDEE" }),
    };
    let party = attendee.and_then(|one| party_of(&one.value, parties, addresses));
    let step = if countered {
        let (starts, ends) = times(event, &calendar)?;
        MeetingStep::Counter { sequence, starts, ends }
    } else {
        let answer = attendee.and_then(|one| one.parameter("PARTSTAT")).unwrap_or("NEEDS-ACTION");
        match answer.to_ascii_uppercase().as_str() {
            "ACCEPTED" => MeetingStep::Accept { sequence },
            "DECLINED" => MeetingStep::Decline { sequence },
            "TENTATIVE" => MeetingStep::Tentative { sequence },
            _ => return Err(CalendarError::wrong("PARTSTAT", answer)),
        }
    };
    Ok(Reading { meeting, party, step })
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

fn party_of(address: &str, parties: &Parties, addresses: &BTreeMap<Code, Address>) -> Option<Code> {
    let address = address.trim();
    let by_address = addresses.iter().find(|(_, known)| known.0.eq_ignore_ascii_case(address));
    let found = by_address.map(|(code, _)| code.clone());
    found.filter(|code| parties.has(code)).or_else(|| parties.code_of(&address.parse().ok()?).cloned())
}

fn times(event: &Component, calendar: &Component) -> Result<(Timestamp, Timestamp), CalendarError> {
    let starts = read_time(event.required("DTSTART")?, "DTSTART", calendar)?;
    let ends = match (event.optional("DTEND")?, event.optional("DURATION")?) {
        (Some(end), None) => read_time(end, "DTEND", calendar)?,
        (None, Some(length)) => starts.plus_millis(duration_ms(length)?),
        _ => return Err(CalendarError::Missing { property: "DTEND" }),
    };
    let length = ends.millis_since(starts);
    if length <= 0 || length > LONGEST_MS {
        return Err(CalendarError::wrong("DTEND", &ends.to_string()));
    }
    Ok((starts, ends))
}

/// A length such as PT1H30M (section 3.3.6), with days of 24 hours.
fn duration_ms(property: &Property) -> Result<i64, CalendarError> {
    let text = property.value.trim();
    let wrong = || CalendarError::wrong("DURATION", text);
    let span: Span = text.parse().map_err(|_| wrong())?;
    let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    let most = SignedDuration::from_millis(LONGEST_MS);
    if length <= SignedDuration::ZERO || length > most {
        return Err(wrong());
    }
    i64::try_from(length.as_millis()).map_err(|_| wrong())
}
