//! Meetings and commitments for calendar programs: iCalendar (RFC 5545) and iTIP (RFC 5546).
//!
//! A convening is METHOD:REQUEST, a cancellation METHOD:CANCEL; commitments are published as VTODO. What comes back from a
//! stranger's program, METHOD:REPLY or METHOD:COUNTER, is read into steps, which a desk then signs: a calendar file
//! by itself proves nothing.
//!
//! Writer and reader are our own: the crate `icalendar` (0.17) would bring `chrono`, a second library of dates
//! beside `jiff`. A calendar library of others reads what is written here, and we what it writes (`interop/calendar`).

mod line;
mod reply;
mod todo;
mod write;
mod zone;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use hiwar_form::Language;
use hiwar_trust::time::Timestamp;

use crate::meeting::parties::{Code, Parties};

pub use reply::{Reading, read_reply};
pub use todo::to_do_list;
pub use write::{cancellation, counter, reply, request};

/// How a calendar file is written.
#[derive(Clone, Copy, Debug)]
pub struct Style<'a> {
    /// The language of summary and description. Titles in the other languages go into comments.
    pub language: Language,
    /// The parties.
    pub parties: &'a Parties,
    /// Addresses for calendar programs, such as `mailto:desk@motie.example`; a party without one has its DID.
    pub addresses: &'a BTreeMap<Code, Address>,
    /// When the file is made (DTSTAMP).
    pub stamp: Timestamp,
    /// Whether times are written in the zone of the meeting, with its VTIMEZONE; otherwise in UTC.
    pub zoned: bool,
}

impl Style<'_> {
    /// The address of a party.
    fn address_of(&self, party: &Code) -> String {
        match (self.addresses.get(party), self.parties.did_of(party)) {
            (Some(address), _) => address.0.clone(),
            (None, Some(did)) => did.as_str().to_owned(),
            (None, None) => format!("urn:x-hiwar:{party}"),
        }
    }
}

/// A calendar address: a `mailto:` URI.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(String);

/// A text that is no calendar address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no calendar address; write one such as mailto:desk@motie.example")]
pub struct AddressError(pub String);

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let mail = text.strip_prefix("mailto:").filter(|_| text.len() <= 255);
        let named = mail.and_then(|mail| mail.split_once('@')).filter(|(name, host)| {
            let safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+');
            !name.is_empty() && !host.is_empty() && name.bytes().chain(host.bytes()).all(safe)
        });
        match named {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(AddressError(text.chars().take(80).collect())),
        }
    }
}

/// Why a stranger's calendar file is no answer to a meeting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CalendarError {
    /// Not the syntax of RFC 5545.
    #[error(
        "line {line} of the file is no iCalendar (RFC 5545); export the answer again from the calendar program"
    )]
    Syntax {
        /// The line, from 1, when folded lines are joined.
        line: usize,
    },
    /// Too large.
    #[error("the file is larger than {most} bytes or has too many lines; an answer to a meeting is small")]
    TooLarge {
        /// Most bytes.
        most: usize,
    },
    /// Another method.
    #[error("the method {found:?} is neither REPLY nor COUNTER; only these answer a meeting")]
    Method {
        /// The method found.
        found: String,
    },
    /// A property is missing, or there twice.
    #[error("the property {property} is missing or is there twice")]
    Missing {
        /// The property.
        property: &'static str,
    },
    /// A property's value does not fit.
    #[error("the property {property} cannot be read: {found:?}")]
    Wrong {
        /// The property.
        property: &'static str,
        /// The value, cut short.
        found: String,
    },
}

impl CalendarError {
    fn wrong(property: &'static str, found: &str) -> Self {
        Self::Wrong { property, found: short(found) }
    }

    /// What is wrong, in a language.
    pub fn say(&self, language: Language) -> String {
        let say = |key, arguments: &[(&str, &str)]| crate::MESSAGES.say(language, key, arguments);
        match self {
            Self::Syntax { line } => say("calendar-not-calendar", &[("line", &line.to_string())]),
            Self::TooLarge { most } => say("calendar-too-large", &[("most", &most.to_string())]),
            Self::Method { found } => say("calendar-not-reply", &[("found", found)]),
            Self::Missing { property } => say("calendar-missing", &[("property", property)]),
            Self::Wrong { property, found } => {
                say("calendar-wrong", &[("property", property), ("found", found)])
            }
        }
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
