//! The agenda of the next meeting, from what is still open.
//!
//! Items come in this order, and within a rank by the deadline, then by name:
//!
//! 1. commitments that are overdue, the longest overdue first;
//! 2. commitments reported done that wait for confirmation;
//! 3. commitments due by the day of the meeting;
//! 4. other commitments that were taken on;
//! 5. commitments that their owner has not taken on yet;
//! 6. items that a party proposed and no agenda has;
//! 7. notices without an answer;
//! 8. reservations that stand beside agreed minutes;
//! 9. the minutes of the last meeting held.

use std::collections::BTreeSet;

use hiwar_dialogue::entry::EntryId;
use hiwar_form::Language;
use hiwar_trust::time::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::FollowUp;
use crate::MESSAGES;
use crate::arrangement::Texts;
use crate::commitment::due::AsOf;
use crate::commitment::{Commitment, CommitmentId, CommitmentPhase};
use crate::meeting::form::AgendaItem;
use crate::meeting::minutes::MinutesPhase;
use crate::meeting::parties::{Code, Parties};
use crate::meeting::{Meeting, MeetingPhase};
use crate::status::Status;

/// Longest text of a commitment that a title repeats, in characters.
const TITLE_CHARS_MAX: usize = 500;

/// Why an item is on the agenda, in the order of the agenda.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// A commitment is overdue.
    Overdue,
    /// A commitment was reported done and waits for confirmation.
    Confirm,
    /// A commitment is due by the day of the meeting.
    Due,
    /// A commitment was taken on.
    InProgress,
    /// A commitment waits for its owner.
    Proposed,
    /// A party proposed it.
    Item,
    /// A notice has no answer.
    Notice,
    /// A party reserved its position.
    Reservation,
    /// The minutes of the last meeting.
    Minutes,
}

/// An item with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Planned {
    /// Why it is there.
    pub reason: Reason,
    /// The commitment, when it is about one.
    pub commitment: Option<CommitmentId>,
    /// The item, with a title in four languages.
    pub item: AgendaItem,
}

/// The meeting that an agenda is written for.
#[derive(Clone, Copy, Debug)]
pub struct Next<'a> {
    /// The body that meets.
    pub body: &'a Code,
    /// When it meets.
    pub starts: Timestamp,
    /// Whether it is meant; what has another status is left out.
    pub status: Status,
    /// Who writes the agenda.
    pub submitter: &'a Code,
    /// Notices without an answer, with their titles.
    pub unanswered: &'a [(EntryId, Texts)],
}

/// The agenda of the next meeting of a body. The same state, time and meeting always give the same agenda.
pub fn next_agenda(state: &FollowUp, next: &Next<'_>, parties: &Parties, of: &AsOf<'_>) -> Vec<Planned> {
    let mut found: Vec<Wanted> = Vec::new();
    let mut add = |reason, due, commitment, id, submitter: &Code, title, about| {
        let submitter = submitter.clone();
        found.push(Wanted { reason, due, commitment, id, submitter, title, about });
    };
    let day_of_meeting = of.day_of(next.starts);
    let follows = |one: &&Commitment| one.body.as_ref() == Some(next.body) && one.status == next.status;
    for commitment in state.commitments.values().filter(follows) {
        let due = commitment.due(of);
        let Some(reason) = reason_of(commitment, due, day_of_meeting, of) else { continue };
        let title = titles(reason, |language| {
            let due = due.map(|day| day.to_string()).unwrap_or_default();
            let text = shortened(parties.text_in(&commitment.terms.texts, language).1);
            vec![("owner", commitment.terms.owner.to_string()), ("due", due), ("text", text)]
        });
        let about = vec![commitment.id.entry];
        add(reason, due, Some(commitment.id.clone()), None, next.submitter, title, about);
    }
    let here = |meeting: &&Meeting| {
        meeting.convening().body == *next.body && meeting.convening().status == next.status
    };
    let meetings: Vec<&Meeting> = state.meetings.values().filter(here).collect();
    for proposal in meetings.iter().flat_map(|meeting| &meeting.proposals) {
        let taken =
            meetings.iter().filter(|meeting| meeting.phase != MeetingPhase::Cancelled).any(|meeting| {
                let agenda = &meeting.convening().agenda;
                agenda.iter().any(|item| item.id == proposal.item.id && item.submitter == proposal.by)
            });
        if !taken {
            let item = proposal.item.clone();
            add(Reason::Item, None, None, Some(item.id), &item.submitter, item.title, item.about);
        }
    }
    for (notice, name) in next.unanswered {
        let title =
            titles(Reason::Notice, |language| vec![("text", shortened(parties.text_in(name, language).1))]);
        add(Reason::Notice, None, None, None, next.submitter, title, vec![*notice]);
    }
    let minutes = state.minutes.values().filter(|one| one.body == *next.body && one.status == next.status);
    for agreed in minutes.filter(|one| one.phase == MinutesPhase::Agreed) {
        for (party, texts) in agreed.reservations() {
            let title = titles(Reason::Reservation, |language| {
                let text = shortened(parties.text_in(texts, language).1);
                vec![("party", party.to_string()), ("text", text)]
            });
            add(Reason::Reservation, None, None, None, next.submitter, title, vec![agreed.current.entry]);
        }
    }
    let held = meetings.iter().filter_map(|meeting| Some((meeting.held.as_ref()?.starts, *meeting)));
    if let Some((starts, last)) = held.max_by_key(|(starts, meeting)| (*starts, meeting.id)) {
        let date = of.day_of(starts).map(|day| day.to_string()).unwrap_or_default();
        let title = titles(Reason::Minutes, |_| vec![("date", date.clone())]);
        let about =
            last.minutes.and_then(|id| state.minutes.get(&id)).map_or(last.id, |one| one.current.entry);
        add(Reason::Minutes, None, None, None, next.submitter, title, vec![about]);
    }
    // No deadline comes after every deadline.
    found.sort_by_cached_key(|one| {
        (one.reason, one.due.is_none(), one.due, one.commitment.clone(), one.about.clone(), one.id.clone())
    });
    named(found)
}

/// An item before it has a name.
struct Wanted {
    reason: Reason,
    due: Option<Date>,
    commitment: Option<CommitmentId>,
    id: Option<Code>,
    submitter: Code,
    title: Texts,
    about: Vec<EntryId>,
}

fn reason_of(one: &Commitment, due: Option<Date>, meeting: Option<Date>, of: &AsOf<'_>) -> Option<Reason> {
    if one.is_overdue(of) {
        return Some(Reason::Overdue);
    }
    match one.phase {
        CommitmentPhase::DoneClaimed => Some(Reason::Confirm),
        CommitmentPhase::Proposed => Some(Reason::Proposed),
        CommitmentPhase::Open | CommitmentPhase::InProgress => {
            let soon = due.zip(meeting).is_some_and(|(due, meeting)| due <= meeting);
            Some(if soon { Reason::Due } else { Reason::InProgress })
        }
        _ => None,
    }
}

/// Gives every item that has no name of its own, or one that an earlier item has, another one.
fn named(wanted: Vec<Wanted>) -> Vec<Planned> {
    let own: BTreeSet<Code> = wanted.iter().filter_map(|one| one.id.clone()).collect();
    let mut used = BTreeSet::new();
    let mut numbers = (1_u64..).filter_map(|number| format!("item-{number}").parse().ok());
    let mut planned = Vec::with_capacity(wanted.len());
    for one in wanted {
        let fresh = one.id.filter(|id| used.insert(id.clone()));
        let id = fresh.or_else(|| numbers.find(|code: &Code| !own.contains(code)));
        let Some(id) = id else { continue };
        let item = AgendaItem { id, title: one.title, submitter: one.submitter, about: one.about };
        planned.push(Planned { reason: one.reason, commitment: one.commitment, item });
    }
    planned
}

fn titles(reason: Reason, arguments: impl Fn(Language) -> Vec<(&'static str, String)>) -> Texts {
    let key = match reason {
        Reason::Overdue => "agenda-overdue",
        Reason::Confirm => "agenda-confirm",
        Reason::Due => "agenda-due",
        Reason::InProgress => "agenda-in-progress",
        Reason::Proposed => "agenda-proposed",
        Reason::Item | Reason::Notice => "agenda-notice",
        Reason::Reservation => "agenda-reservation",
        Reason::Minutes => "agenda-minutes",
    };
    let say = |language: Language| {
        let arguments = arguments(language);
        let arguments: Vec<(&str, &str)> =
            arguments.iter().map(|(name, value)| (*name, value.as_str())).collect();
        (language.as_str().to_owned(), MESSAGES.say(language, key, &arguments))
    };
    Language::ALL.into_iter().map(say).collect()
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(TITLE_CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
