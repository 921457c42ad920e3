//! What happened in a dialogue, as clocks see it.

use std::fmt;
use std::str::FromStr;

use hiwar_dialogue::entry::EntryId;
use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::status::Status;

/// A kind of event: what starts a clock and what stops it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// A version of the arrangement has come into force.
    InForce,
    /// A notice of this kind was sent, such as `disruption-alert`.
    Notice(String),
    /// A desk has taken note of a notice.
    Acknowledged,
    /// A notice was answered.
    Answered,
    /// Help was offered on a notice.
    Offered,
    /// A meeting was convened.
    MeetingConvened,
    /// A meeting was held.
    MeetingHeld,
    /// Minutes were drafted.
    MinutesDrafted,
    /// Minutes were agreed by all, or with reservations.
    MinutesAgreed,
    /// A commitment is accepted by its owner.
    CommitmentOpen,
    /// A commitment's owner reports it done.
    CommitmentDone,
    /// The fulfilment of a commitment is accepted.
    CommitmentAccepted,
    /// A measure was told.
    Measure,
    /// Something that the arrangement asks for by name was handed over, such as `critical-goods`.
    Delivered(String),
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InForce => f.write_str("in-force"),
            Self::Notice(kind) => write!(f, "notice:{kind}"),
            Self::Acknowledged => f.write_str("acknowledged"),
            Self::Answered => f.write_str("answered"),
            Self::Offered => f.write_str("offered"),
            Self::MeetingConvened => f.write_str("meeting-convened"),
            Self::MeetingHeld => f.write_str("meeting-held"),
            Self::MinutesDrafted => f.write_str("minutes-drafted"),
            Self::MinutesAgreed => f.write_str("minutes-agreed"),
            Self::CommitmentOpen => f.write_str("commitment-open"),
            Self::CommitmentDone => f.write_str("commitment-done"),
            Self::CommitmentAccepted => f.write_str("commitment-accepted"),
            Self::Measure => f.write_str("measure"),
            Self::Delivered(name) => write!(f, "delivered:{name}"),
        }
    }
}

/// A text that names no kind of event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no kind of event; write in-force, notice:KIND, acknowledged, answered, offered, meeting-convened, \
     meeting-held, minutes-drafted, minutes-agreed, commitment-open, commitment-done, commitment-accepted, measure \
     or delivered:NAME"
)]
pub struct EventKindError(pub String);

impl FromStr for EventKind {
    type Err = EventKindError;

    fn from_str(text: &str) -> Result<Self, EventKindError> {
        let plain = [
            Self::InForce,
            Self::Acknowledged,
            Self::Answered,
            Self::Offered,
            Self::MeetingConvened,
            Self::MeetingHeld,
            Self::MinutesDrafted,
            Self::MinutesAgreed,
            Self::CommitmentOpen,
            Self::CommitmentDone,
            Self::CommitmentAccepted,
            Self::Measure,
        ];
        if let Some(kind) = plain.into_iter().find(|kind| kind.to_string() == text) {
            return Ok(kind);
        }
        let named = |name: &str| {
            !name.is_empty()
                && name.len() <= 64
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        match text.split_once(':') {
            Some(("notice", name)) if named(name) => Ok(Self::Notice(name.to_owned())),
            Some(("delivered", name)) if named(name) => Ok(Self::Delivered(name.to_owned())),
            _ => Err(EventKindError(text.chars().take(80).collect())),
        }
    }
}

impl Serialize for EventKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Something that happened, with who did it and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Its kind.
    pub kind: EventKind,
    /// What it belongs to: the notice that was answered, the meeting that was held; for a thing of its own
    /// (a notice, an arrangement) that thing.
    pub subject: EntryId,
    /// The entry that says so.
    pub entry: EntryId,
    /// Who did it.
    pub by: Did,
    /// When: the time that its entry claims, or that a re-entry after a fallback names.
    pub at: Timestamp,
    /// Whether it is meant.
    pub status: Status,
}
