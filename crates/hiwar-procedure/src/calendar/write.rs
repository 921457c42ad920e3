//! Meetings as VEVENT.

use hiwar_form::Language;
use jiff::tz::TimeZone;

use super::Style;
use super::line::{Writer, quoted};
use super::zone::{utc, write_time, write_zone};
use crate::MESSAGES;
use crate::arrangement::Texts;
use crate::meeting::form::Convening;
use crate::meeting::parties::Code;
use crate::meeting::{Attendance, Counter, Meeting, MeetingPhase};
use crate::status::Status;

/// Who made the file (RFC 5545, section 3.7.3).
pub(super) const PRODUCT: &str = "-//Hiwar//hiwar-procedure//EN";

/// A meeting as METHOD:REQUEST, with what each party has answered to the convening in force. The identifier is the entry
/// that convened it first, and stays when it is moved; the sequence rises.
pub fn request(meeting: &Meeting, style: &Style<'_>) -> String {
    event("REQUEST", meeting, style, |writer| {
        write_body(writer, meeting, style);
        for party in style.parties.codes() {
            let answer = meeting.answer_of(party).map(|answer| answer.attendance);
            let answer = if *party == meeting.convenor { Some(Attendance::Accepted) } else { answer };
            write_attendee(writer, party, answer, style);
        }
    })
}

/// The same as METHOD:CANCEL. Its sequence is that of the convening that it ends, plus one (RFC 5546, section 3.2.5).
pub fn cancellation(meeting: &Meeting, style: &Style<'_>) -> String {
    event("CANCEL", meeting, style, |writer| {
        write_body(writer, meeting, style);
        for party in style.parties.codes() {
            write_attendee(writer, party, None, style);
        }
    })
}

/// A party's reply as METHOD:REPLY.
pub fn reply(meeting: &Meeting, party: &Code, attendance: Attendance, style: &Style<'_>) -> String {
    event("REPLY", meeting, style, |writer| {
        write_times(writer, meeting, (meeting.convening().starts, meeting.convening().ends), style);
        write_attendee(writer, party, Some(attendance), style);
    })
}

/// A party's proposal of another time as METHOD:COUNTER.
pub fn counter(meeting: &Meeting, counter: &Counter, style: &Style<'_>) -> String {
    event("COUNTER", meeting, style, |writer| {
        write_times(writer, meeting, (counter.starts, counter.ends), style);
        write_summary(writer, meeting.convening(), style);
        write_attendee(writer, &counter.by, Some(Attendance::Tentative), style);
    })
}

fn event(method: &str, meeting: &Meeting, style: &Style<'_>, write: impl FnOnce(&mut Writer)) -> String {
    let convening = meeting.convening();
    let mut writer = Writer::default();
    writer.begin("VCALENDAR");
    writer.raw("VERSION", "2.0");
    writer.raw("PRODID", PRODUCT);
    writer.raw("CALSCALE", "GREGORIAN");
    writer.raw("METHOD", method);
    if let Some(zone) = zone_of(convening, style) {
        let times = meeting.counters.iter().flat_map(|counter| [counter.starts, counter.ends]);
        let times: Vec<_> = times.chain([convening.starts, convening.ends]).collect();
        let from = times.iter().min().copied().unwrap_or(convening.starts);
        let to = times.iter().max().copied().unwrap_or(convening.ends);
        write_zone(&mut writer, &convening.zone, &zone, from, to);
    }
    writer.begin("VEVENT");
    writer.raw("UID", &meeting.id.to_string());
    writer.raw("DTSTAMP", &utc(style.stamp));
    let ended = u32::from(method == "CANCEL" && meeting.phase == MeetingPhase::Cancelled);
    writer.raw("SEQUENCE", &convening.sequence.saturating_add(ended).to_string());
    let organizer = format!("ORGANIZER;CN={}", quoted(meeting.convenor.as_str()));
    writer.raw(&organizer, &style.address_of(&meeting.convenor));
    write(&mut writer);
    writer.end("VEVENT");
    writer.end("VCALENDAR");
    writer.finish()
}

fn zone_of(convening: &Convening, style: &Style<'_>) -> Option<TimeZone> {
    // UTC by name would be another way to write UTC.
    let name =
        Some(convening.zone.as_str()).filter(|name| style.zoned && !matches!(*name, "UTC" | "Etc/UTC"));
    TimeZone::get(name?).ok()
}

fn write_times(
    writer: &mut Writer,
    meeting: &Meeting,
    (starts, ends): (hiwar_trust::time::Timestamp, hiwar_trust::time::Timestamp),
    style: &Style<'_>,
) {
    let convening = meeting.convening();
    let zone = zone_of(convening, style);
    let zone = zone.as_ref().map(|zone| (convening.zone.as_str(), zone));
    write_time(writer, "DTSTART", starts, zone);
    write_time(writer, "DTEND", ends, zone);
}

fn write_body(writer: &mut Writer, meeting: &Meeting, style: &Style<'_>) {
    let convening = meeting.convening();
    write_times(writer, meeting, (convening.starts, convening.ends), style);
    write_summary(writer, convening, style);
    let cancelled = meeting.phase == MeetingPhase::Cancelled;
    writer.raw("STATUS", if cancelled { "CANCELLED" } else { "CONFIRMED" });
    if let Some(place) = &convening.place {
        write_texts(writer, "LOCATION", place, style);
    }
    if let Some(link) = &convening.link {
        writer.raw("URL", link);
    }
    if !convening.agenda.is_empty() {
        let items = convening.agenda.iter().map(|item| {
            let title = style.parties.text_in(&item.title, style.language).1;
            format!("[{}] {title} ({})", item.id, item.submitter)
        });
        let text = items.collect::<Vec<_>>().join("\n");
        writer.text(&format!("DESCRIPTION;LANGUAGE={}", style.language), &text);
    }
}

/// The title, with the word that it is no real meeting before it, and the same word as a category.
fn write_summary(writer: &mut Writer, convening: &Convening, style: &Style<'_>) {
    let prefix = |language| prefix(convening.status, language);
    let (tag, title) = style.parties.text_in(&convening.title, style.language);
    writer.text(&format!("SUMMARY;LANGUAGE={tag}"), &format!("{}{title}", prefix(style.language)));
    for (other, text) in convening.title.iter().filter(|(other, _)| *other != tag) {
        let language = other.parse().unwrap_or(Language::En);
        writer.text(&format!("COMMENT;LANGUAGE={other}"), &format!("{}{text}", prefix(language)));
    }
    write_category(writer, convening.status);
}

pub(super) fn prefix(status: Status, language: Language) -> String {
    let key = match status {
        Status::Actual => return String::new(),
        Status::Exercise => "calendar-exercise",
        Status::Test => "calendar-test",
    };
    format!("[{}] ", MESSAGES.say(language, key, &[]))
}

pub(super) fn write_category(writer: &mut Writer, status: Status) {
    match status {
        Status::Actual => {}
        Status::Exercise => writer.raw("CATEGORIES", "EXERCISE"),
        Status::Test => writer.raw("CATEGORIES", "TEST"),
    }
}

pub(super) fn write_texts(writer: &mut Writer, name: &str, texts: &Texts, style: &Style<'_>) {
    let (tag, text) = style.parties.text_in(texts, style.language);
    writer.text(&format!("{name};LANGUAGE={tag}"), text);
}

fn write_attendee(writer: &mut Writer, party: &Code, attendance: Option<Attendance>, style: &Style<'_>) {
    let answer = match attendance {
        Some(Attendance::Accepted) => "ACCEPTED",
        Some(Attendance::Declined) => "DECLINED",
        Some(Attendance::Tentative) => "TENTATIVE",
        None => "NEEDS-ACTION",
    };
    let reply = if attendance.is_none() { ";RSVP=TRUE" } else { "" };
    let name = format!(
        "ATTENDEE;CN={};CUTYPE=GROUP;ROLE=REQ-PARTICIPANT;PARTSTAT={answer}{reply}",
        quoted(party.as_str())
    );
    writer.raw(&name, &style.address_of(party));
}
