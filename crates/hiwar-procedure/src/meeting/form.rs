//! The forms of meetings and of what is said about them.

use std::collections::BTreeMap;

use hiwar_dialogue::entry::EntryId;
use hiwar_form::{Document, Faults, Form};
use hiwar_trust::hash::Hash;
use hiwar_trust::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::parties::{Code, code, must_differ};
use crate::arrangement::Texts;
use crate::status::Status;

/// Longest address of a meeting, in bytes.
const LINK_BYTES_MAX: usize = 2_048;
/// Longest meeting: 31 days, in milliseconds.
const LONGEST_MS: i64 = 31 * 86_400_000;

/// What a convening says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Convening {
    /// What the meeting is called.
    pub title: Texts,
    /// The body that meets.
    pub body: Code,
    /// Its number in the series of this body's meetings, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<u32>,
    /// Whether it is meant.
    #[serde(default)]
    pub status: Status,
    /// When it begins.
    pub starts: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// The time zone of its place: an IANA name.
    pub zone: String,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Texts>,
    /// Where it is on the net.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Its agenda.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agenda: Vec<AgendaItem>,
    /// The request for an emergency meeting that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<EntryId>,
    /// How often date or agenda were changed before: 0 for the first convening (RFC 5545, section 3.8.7.4).
    #[serde(default)]
    pub sequence: u32,
}

/// An item of an agenda.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AgendaItem {
    /// Its short name, by which the minutes speak of it.
    pub id: Code,
    /// What it is called.
    pub title: Texts,
    /// The party that put it there.
    pub submitter: Code,
    /// The entries it is about: notices, commitments, documents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub about: Vec<EntryId>,
}

/// A step about a meeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum MeetingStep {
    /// Will come.
    Accept {
        /// The sequence it speaks of.
        sequence: u32,
    },
    /// Will not come.
    Decline {
        /// The sequence it speaks of.
        sequence: u32,
    },
    /// May come.
    Tentative {
        /// The sequence it speaks of.
        sequence: u32,
    },
    /// Proposes another time.
    Counter {
        /// The sequence it speaks of.
        sequence: u32,
        /// When it would begin.
        starts: Timestamp,
        /// When it would end.
        ends: Timestamp,
    },
    /// The convenor takes another party's proposal; a new convening follows.
    AcceptCounter {
        /// The sequence it speaks of.
        sequence: u32,
        /// The step that proposed it.
        of_counter: EntryId,
    },
    /// The convenor calls it off.
    Cancel {
        /// The sequence it speaks of.
        sequence: u32,
    },
    /// It took place.
    Held {
        /// The sequence it speaks of.
        sequence: u32,
        /// Who was there: how many persons of each party.
        attendance: BTreeMap<Code, u32>,
        /// When it began.
        starts: Timestamp,
        /// When it ended.
        ends: Timestamp,
    },
    /// A party asks for an item on the agenda.
    ProposeItem {
        /// The sequence it speaks of.
        sequence: u32,
        /// The item.
        item: AgendaItem,
    },
}

impl MeetingStep {
    /// The sequence that it speaks of.
    pub fn sequence(&self) -> u32 {
        match self {
            Self::Accept { sequence }
            | Self::Decline { sequence }
            | Self::Tentative { sequence }
            | Self::Counter { sequence, .. }
            | Self::AcceptCounter { sequence, .. }
            | Self::Cancel { sequence }
            | Self::Held { sequence, .. }
            | Self::ProposeItem { sequence, .. } => *sequence,
        }
    }

    /// Its name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accept { .. } => "accept",
            Self::Decline { .. } => "decline",
            Self::Tentative { .. } => "tentative",
            Self::Counter { .. } => "counter",
            Self::AcceptCounter { .. } => "accept-counter",
            Self::Cancel { .. } => "cancel",
            Self::Held { .. } => "held",
            Self::ProposeItem { .. } => "propose-item",
        }
    }
}

/// Reads a convening.
///
/// # Errors
/// All its faults.
pub fn read_convening(document: &Document) -> Result<Convening, Faults> {
    document.read(|form| {
        let (title, body) = (form.required("title"), code(form, "body"));
        let series = form.optional("series");
        let status = form.choice_optional("status", &Status::CHOICES).unwrap_or_default();
        let (starts, ends) = span(form);
        let zone: Option<String> = form.required("zone");
        if let Some(name) = &zone
            && jiff::tz::TimeZone::get(name).is_err()
        {
            form.fault("zone", "meeting-not-zone", &[("found", name)]);
        }
        let (place, link) = (form.optional("place"), form.optional::<String>("link"));
        if link.as_ref().is_some_and(|link| !is_link(link)) {
            form.fault("link", "meeting-not-link", &[]);
        }
        let agenda: Vec<AgendaItem> = form.list("agenda", agenda_item);
        must_differ(form, "agenda", agenda.iter().map(|item| &item.id));
        let requested_by = entry_optional(form, "requested-by");
        let sequence = form.optional("sequence");
        Some(Convening {
            title: title?,
            body: body?,
            series,
            status,
            starts: starts?,
            ends: ends?,
            zone: zone?,
            place,
            link,
            agenda,
            requested_by,
            sequence: sequence.unwrap_or(0),
        })
    })
}

fn agenda_item(form: &mut Form<'_>) -> Option<AgendaItem> {
    let (id, title) = (code(form, "id"), form.required("title"));
    let submitter = code(form, "submitter");
    let about = entries(form, "about");
    Some(AgendaItem { id: id?, title: title?, submitter: submitter?, about })
}

fn is_link(text: &str) -> bool {
    let safe = text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\'));
    safe && text.len() <= LINK_BYTES_MAX && text.starts_with("https://")
}

/// Two times in their order.
fn span(form: &mut Form<'_>) -> (Option<Timestamp>, Option<Timestamp>) {
    let starts: Option<Timestamp> = form.parsed("starts", "agreed-not-time");
    let ends: Option<Timestamp> = form.parsed("ends", "agreed-not-time");
    if let (Some(starts), Some(ends)) = (starts, ends) {
        let length = ends.millis_since(starts);
        if length <= 0 {
            form.fault("ends", "meeting-ends-first", &[]);
        } else if length > LONGEST_MS {
            form.fault("ends", "meeting-too-long", &[]);
        }
    }
    (starts, ends)
}

/// An entry's identifier that may be absent.
pub(crate) fn entry_optional(form: &mut Form<'_>, name: &'static str) -> Option<EntryId> {
    form.parsed_optional::<Hash>(name, "agreed-not-entry").map(EntryId)
}

/// A list of entries' identifiers.
pub(crate) fn entries(form: &mut Form<'_>, name: &'static str) -> Vec<EntryId> {
    form.parsed_values::<Hash>(name, "agreed-not-entry").into_iter().map(EntryId).collect()
}

#[derive(Clone, Copy)]
enum Name {
    Accept,
    Decline,
    Tentative,
    Counter,
    AcceptCounter,
    Cancel,
    Held,
    ProposeItem,
}

const NAMES: [(&str, Name); 8] = [
    ("accept", Name::Accept),
    ("decline", Name::Decline),
    ("tentative", Name::Tentative),
    ("counter", Name::Counter),
    ("accept-counter", Name::AcceptCounter),
    ("cancel", Name::Cancel),
    ("held", Name::Held),
    ("propose-item", Name::ProposeItem),
];

/// Reads a step about a meeting.
///
/// # Errors
/// All its faults.
pub fn read_meeting_step(document: &Document) -> Result<MeetingStep, Faults> {
    document.read(|form| {
        let (name, sequence) = (form.choice("step", &NAMES), form.required("sequence"));
        match name? {
            Name::Accept => Some(MeetingStep::Accept { sequence: sequence? }),
            Name::Decline => Some(MeetingStep::Decline { sequence: sequence? }),
            Name::Tentative => Some(MeetingStep::Tentative { sequence: sequence? }),
            Name::Cancel => Some(MeetingStep::Cancel { sequence: sequence? }),
            Name::Counter => {
                let (starts, ends) = span(form);
                Some(MeetingStep::Counter { sequence: sequence?, starts: starts?, ends: ends? })
            }
            Name::AcceptCounter => {
                let of_counter = form.parsed::<Hash>("of-counter", "agreed-not-entry").map(EntryId);
                Some(MeetingStep::AcceptCounter { sequence: sequence?, of_counter: of_counter? })
            }
            Name::Held => {
                let (starts, ends) = span(form);
                let mut attendance = BTreeMap::new();
                for (name, persons) in form.named::<u32>("attendance") {
                    match name.parse() {
                        Ok(code) => drop(attendance.insert(code, persons)),
                        Err(_) => form.fault("attendance", "agreed-not-code", &[("found", &name)]),
                    }
                }
                Some(MeetingStep::Held { sequence: sequence?, attendance, starts: starts?, ends: ends? })
            }
            Name::ProposeItem => {
                if !form.has("item") {
                    form.fault("item", "missing", &[]);
                }
                let item = form.object("item", agenda_item);
                Some(MeetingStep::ProposeItem { sequence: sequence?, item: item? })
            }
        }
    })
}
