//! By when a commitment is due.

use hiwar_trust::time::Timestamp;
use jiff::Span;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::event::{Event, EventKind};
use crate::meeting::Meeting;
use crate::meeting::parties::Code;

/// A rule of when something is due. In an act it is an object with exactly these members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, rename_all_fields = "kebab-case")]
pub enum DueRule {
    /// On a day.
    Date {
        /// The day.
        date: Date,
    },
    /// Calendar days after an event.
    Days {
        /// How many.
        days: u32,
        /// The event.
        after: EventKind,
    },
    /// Calendar months after an event; a day that the last month has not becomes its last day.
    Months {
        /// How many.
        months: u32,
        /// The event.
        after: EventKind,
    },
    /// At the next meeting of a body.
    NextMeeting {
        /// The body.
        next_meeting: Code,
    },
}

/// What a due rule looks at.
#[derive(Clone, Copy, Debug)]
pub struct AsOf<'a> {
    /// The time to judge as of.
    pub now: Timestamp,
    /// The time zone in which days begin and end.
    pub zone: &'a TimeZone,
    /// What happened in the dialogue, in order.
    pub events: &'a [Event],
    /// The meetings of the dialogue.
    pub meetings: &'a [&'a Meeting],
}

impl AsOf<'_> {
    /// The day on which a time falls.
    pub fn day_of(&self, time: Timestamp) -> Option<Date> {
        let time = jiff::Timestamp::from_millisecond(time.as_millis()).ok()?;
        Some(self.zone.to_datetime(time).date())
    }

    /// The first millisecond after a day.
    pub fn end_of(&self, day: Date) -> Option<Timestamp> {
        let next = day.tomorrow().ok()?.at(0, 0, 0, 0);
        Some(Timestamp::from_millis(self.zone.to_timestamp(next).ok()?.as_millisecond()))
    }
}

impl DueRule {
    /// The last day on which it is in time; none while the event or the meeting is not known.
    ///
    /// `made` is when the commitment was made. The event counted from is the last one of its kind up to then, such
    /// as the meeting that agreed on it; when there is none, the first one afterwards. The next meeting is the
    /// first one of the body that begins after the commitment was made and is not called off.
    pub fn day(&self, made: Timestamp, of: &AsOf<'_>) -> Option<Date> {
        let after = |kind: &EventKind, span: Span| {
            let mut times: Vec<Timestamp> =
                of.events.iter().filter(|event| event.kind == *kind).map(|event| event.at).collect();
            times.sort();
            let from = times.iter().rev().find(|at| **at <= made).or_else(|| times.first())?;
            of.day_of(*from)?.checked_add(span).ok()
        };
        match self {
            Self::Date { date } => Some(*date),
            Self::Days { days, after: kind } => after(kind, Span::new().try_days(*days).ok()?),
            Self::Months { months, after: kind } => after(kind, Span::new().try_months(*months).ok()?),
            Self::NextMeeting { next_meeting } => {
                let meetings = of.meetings.iter().filter(|meeting| {
                    let convening = meeting.convening();
                    convening.body == *next_meeting
                        && convening.starts > made
                        && meeting.phase != crate::meeting::MeetingPhase::Cancelled
                });
                of.day_of(meetings.map(|meeting| meeting.convening().starts).min()?)
            }
        }
    }
}
