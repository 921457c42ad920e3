//! Stages of duties: reminders, the moment it is overdue, escalations.

use hiwar_trust::time::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::duty::{Duty, State};
use super::rule;
use crate::arrangement::{Arrangement, Clock};

/// What happens at a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum StageKind {
    /// Its owner is reminded.
    Reminder,
    /// It is overdue: the first moment that is too late.
    Overdue,
    /// It goes to another body.
    Escalated {
        /// The body.
        body: String,
    },
}

/// A stage of a duty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// A name that stays the same whatever arrives later, and is no other stage's.
    pub key: String,
    /// What happens.
    pub kind: StageKind,
    /// When.
    pub at: Timestamp,
}

/// The stages of a duty that comes before `done`, by time.
pub(super) fn stages(
    duty: &str,
    clock: &Clock,
    arrangement: &Arrangement,
    (started, due): (Timestamp, Timestamp),
    zone: &TimeZone,
    done: Option<Timestamp>,
) -> Vec<Stage> {
    let mut stages = Vec::new();
    for (index, span) in clock.remind.iter().enumerate() {
        let at = rule::before(*span, due, zone);
        // A reminder at or before the start would tell nothing new.
        if at > started {
            stages.push(Stage { key: format!("{duty}/reminder-{index}"), kind: StageKind::Reminder, at });
        }
    }
    stages.push(Stage { key: format!("{duty}/overdue"), kind: StageKind::Overdue, at: due.plus_millis(1) });
    for (index, (span, body)) in clock.ladder(arrangement).into_iter().enumerate() {
        // Nothing escalates before it is overdue.
        let at = rule::after(span, due, zone).max(due.plus_millis(1));
        let kind = StageKind::Escalated { body: body.to_owned() };
        stages.push(Stage { key: format!("{duty}/escalated-{index}"), kind, at });
    }
    stages.retain(|stage| done.is_none_or(|done| stage.at <= done));
    // Stages of the same moment stay in the order of the arrangement.
    stages.sort_by_key(|stage| stage.at);
    stages
}

/// The next moment after `now` at which a duty changes or a stage comes, for the node's timer.
pub fn next_instant(duties: &[Duty], now: Timestamp) -> Option<Timestamp> {
    let of_duty = |duty: &Duty| {
        let stages = duty.stages.iter().map(|stage| stage.at);
        let overdue = Some(duty.due.plus_millis(1)).filter(|_| duty.state == State::Running);
        stages.chain(overdue).filter(|at| *at > now).min()
    };
    duties.iter().filter_map(of_duty).min()
}

/// The stages after `after` and not after `until`, with their duties, by time. Windows that follow each other give
/// every stage exactly once while no entries arrive; a node that repeats a window after a crash gets the same keys
/// again.
///
/// An entry that arrives late can start a duty whose stages lie in a window that is over. A node that receives
/// entries therefore keeps the keys that it told, in the transaction that tells them, and asks [`stages_until`].
pub fn stages_between(duties: &[Duty], after: Timestamp, until: Timestamp) -> Vec<(&Duty, &Stage)> {
    let mut found = stages_until(duties, until);
    found.retain(|(_, stage)| stage.at > after);
    found
}

/// All stages not after `until`, with their duties, by time and then by key.
pub fn stages_until(duties: &[Duty], until: Timestamp) -> Vec<(&Duty, &Stage)> {
    let mut found: Vec<(&Duty, &Stage)> = duties
        .iter()
        .flat_map(|duty| duty.stages.iter().map(move |stage| (duty, stage)))
        .filter(|(_, stage)| stage.at <= until)
        .collect();
    found.sort_by(|one, other| (one.1.at, &one.1.key).cmp(&(other.1.at, &other.1.key)));
    found
}
