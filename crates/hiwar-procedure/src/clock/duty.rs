//! Duties, read from what happened.

use std::collections::{BTreeMap, BTreeSet};

use hiwar_dialogue::entry::EntryId;
use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::rule;
use super::stage::{self, Stage, StageKind};
use crate::act::Said;
use crate::arrangement::{Arrangement, Clock, Owner, Version, Versions};
use crate::event::{Event, EventKind};
use crate::history::Held;
use crate::status::Status;

/// Where a duty stands at the time it is judged as of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum State {
    /// It runs and is not due yet.
    Running,
    /// It was done in time.
    Met {
        /// When.
        at: Timestamp,
        /// The entry that says so.
        by: EntryId,
    },
    /// It was done, but late.
    MetLate {
        /// When.
        at: Timestamp,
        /// The entry that says so.
        by: EntryId,
        /// How much too late, in milliseconds.
        late_ms: i64,
    },
    /// It was not done in time.
    Overdue {
        /// The last moment that would have been in time.
        since: Timestamp,
    },
}

/// Something that somebody must do by a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Duty {
    /// A name that stays the same whatever arrives later.
    pub key: String,
    /// The clock.
    pub clock: String,
    /// The arrangement.
    pub arrangement: String,
    /// Its version that governed the start.
    pub version: u32,
    /// The proposal of that version.
    pub governed_by: EntryId,
    /// What it is about: a notice, a meeting, a commitment, the arrangement.
    pub subject: EntryId,
    /// The entry that started it.
    pub started_by: EntryId,
    /// Who must act; absent when one of all parties is enough.
    pub owner: Option<Did>,
    /// When it started.
    pub started: Timestamp,
    /// The last moment that is in time.
    pub due: Timestamp,
    /// Where it stands.
    pub state: State,
    /// The body that looks after it now, after escalation.
    pub body: Option<String>,
    /// Its reminders, when it becomes overdue, its escalations, by time; none after it was done.
    pub stages: Vec<Stage>,
    /// Whether it is meant. A duty of an exercise is met by acts of the exercise only.
    pub status: Status,
}

impl Duty {
    /// When it was done, in time or late.
    pub fn done_at(&self) -> Option<Timestamp> {
        match self.state {
            State::Met { at, .. } | State::MetLate { at, .. } => Some(at),
            State::Running | State::Overdue { .. } => None,
        }
    }
}

/// What each act of a dialogue is about, so that the meeting held on a request counts for the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Threads(BTreeMap<EntryId, EntryId>);

impl Threads {
    /// The threads of a dialogue's entries.
    pub fn of(held: &[Held]) -> Self {
        let links = held.iter().filter_map(Said::of).filter_map(|said| Some((said.id, said.of?)));
        Self(links.collect())
    }

    /// Threads from pairs of an act and what it is about.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (EntryId, EntryId)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// Whether `one` is `other`, or about it, directly or through what it is about.
    pub fn leads(&self, one: EntryId, other: EntryId) -> bool {
        let mut at = one;
        let mut seen = BTreeSet::new();
        while at != other {
            match self.0.get(&at).filter(|_| seen.insert(at)) {
                Some(next) => at = *next,
                None => return false,
            }
        }
        true
    }
}

/// All duties of a dialogue as of `now`, by due time. Events may come in any order and more than once; tests
/// ([`Status::Test`]) start nothing.
///
/// Which event ends a duty:
/// - it is of the kind that the clock names, of the same status, and done by the owner (by anybody when the owner is
///   `any`), at or after the start;
/// - it belongs to what the duty is about. Things of their own (a notice, a meeting, something delivered) also belong
///   to what their act is about. A duty that started with the arrangement is about all that happens under it; so is
///   one that both starts and ends with deliveries, such as a report every two years.
///
/// A clock that starts when the arrangement comes into force starts once for each owner, with the first version that
/// has this clock and this party: a party that joins later has its own start.
pub fn duties(events: &[Event], versions: &Versions, threads: &Threads, now: Timestamp) -> Vec<Duty> {
    let mut by_kind: BTreeMap<&EventKind, Vec<&Event>> = BTreeMap::new();
    for event in events {
        by_kind.entry(&event.kind).or_default().push(event);
    }
    for list in by_kind.values_mut() {
        list.sort_by_key(|event| (event.at, event.entry));
    }
    let zones: BTreeMap<&str, TimeZone> = versions
        .in_force()
        .iter()
        .map(|version| version.arrangement.time.zone.as_str())
        .filter_map(|name| Some((name, rule::zone(name)?)))
        .collect();
    let mut found: BTreeMap<String, Duty> = BTreeMap::new();
    for start in events.iter().filter(|event| starts(event, &by_kind, threads)) {
        let Some(version) = governing(start, versions) else { continue };
        // A version in force was read, so its zone is known.
        let Some(zone) = zones.get(version.arrangement.time.zone.as_str()) else { continue };
        for clock in version.arrangement.clocks.iter().filter(|clock| clock.starts == start.kind) {
            let ends = by_kind.get(&clock.ends).map(Vec::as_slice).unwrap_or_default();
            for owner in owners(clock, start, version, versions) {
                let course = Course { clock, version, zone, start, owner };
                let duty = course.duty(ends, threads, now);
                found.insert(duty.key.clone(), duty);
            }
        }
    }
    let mut duties: Vec<Duty> = found.into_values().collect();
    duties.sort_by(|one, other| (one.due, &one.key).cmp(&(other.due, &other.key)));
    duties
}

/// Whether an event can start duties. One act can make several events of a kind: a meeting held is held for the
/// request that asked for it too. Such a copy ends duties of the request, but starts none of its own.
fn starts(event: &Event, by_kind: &BTreeMap<&EventKind, Vec<&Event>>, threads: &Threads) -> bool {
    let mut same = by_kind.get(&event.kind).into_iter().flatten().filter(|other| other.entry == event.entry);
    let is_copy =
        same.any(|other| other.subject != event.subject && threads.leads(other.subject, event.subject));
    event.status != Status::Test && !is_copy
}

/// The version that governs what an event starts: for one that came into force, itself.
fn governing<'v>(start: &Event, versions: &'v Versions) -> Option<&'v Version> {
    match start.kind {
        EventKind::InForce => versions.brought_by(&start.entry),
        _ => versions.governing(&start.entry),
    }
}

/// Who must act: participants, or nobody in particular when one of all is enough.
fn owners(clock: &Clock, start: &Event, version: &Version, versions: &Versions) -> Vec<Option<Did>> {
    let parties = || version.arrangement.parties.iter().map(|party| party.did.clone());
    let found: Vec<Option<Did>> = match &clock.owner {
        Owner::Author => vec![Some(start.by.clone())],
        Owner::Others => parties().filter(|did| *did != start.by).map(Some).collect(),
        Owner::Each => parties().map(Some).collect(),
        Owner::Any => vec![None],
        Owner::Party(code) => {
            version.arrangement.party_of_code(code).map(|party| Some(party.did.clone())).into_iter().collect()
        }
    };
    if start.kind != EventKind::InForce {
        return found;
    }
    let earlier = || {
        let position = versions.in_force().iter().position(|known| known.proposal == version.proposal);
        versions.in_force().iter().take(position.unwrap_or_default())
    };
    let had = |owner: &Option<Did>| {
        earlier().any(|before| {
            let same = before.arrangement.clock(&clock.id).filter(|same| same.starts == EventKind::InForce);
            let party = owner.as_ref().is_none_or(|did| before.arrangement.party(did).is_some());
            same.is_some() && party
        })
    };
    found.into_iter().filter(|owner| !had(owner)).collect()
}

/// One clock from one start for one owner.
struct Course<'a> {
    clock: &'a Clock,
    version: &'a Version,
    zone: &'a TimeZone,
    start: &'a Event,
    owner: Option<Did>,
}

impl Course<'_> {
    fn duty(&self, ends: &[&Event], threads: &Threads, now: Timestamp) -> Duty {
        let Self { clock, version, zone, start, owner } = self;
        let arrangement = &version.arrangement;
        let due = rule::due(&clock.due, start.at, zone, |day| is_holiday(arrangement, owner.as_ref(), day));
        let end = ends.iter().find(|end| self.ended_by(end, threads)).copied();
        let who = owner.as_ref().map_or("any", Did::as_str);
        let key = format!(
            "{}/{}/{}/{}/{}/{who}",
            arrangement.id, version.proposal, clock.id, start.subject, start.entry
        );
        let stages = stage::stages(&key, clock, arrangement, (start.at, due), zone, end.map(|end| end.at));
        let state = match end.filter(|end| end.at <= now) {
            Some(end) if end.at <= due => State::Met { at: end.at, by: end.entry },
            Some(end) => State::MetLate { at: end.at, by: end.entry, late_ms: end.at.millis_since(due) },
            None if now > due => State::Overdue { since: due },
            None => State::Running,
        };
        let escalated =
            stages.iter().filter(|stage| stage.at <= now).rev().find_map(|stage| match &stage.kind {
                StageKind::Escalated { body } => Some(body.clone()),
                StageKind::Reminder | StageKind::Overdue => None,
            });
        Duty {
            clock: clock.id.clone(),
            arrangement: arrangement.id.clone(),
            version: arrangement.version,
            governed_by: version.proposal,
            subject: start.subject,
            started_by: start.entry,
            owner: owner.clone(),
            started: start.at,
            due,
            state,
            body: escalated.or_else(|| clock.body.clone()),
            stages,
            status: start.status,
            key,
        }
    }

    fn ended_by(&self, end: &Event, threads: &Threads) -> bool {
        let start = self.start;
        let by_owner = self.owner.as_ref().is_none_or(|owner| *owner == end.by);
        let deliveries =
            matches!(start.kind, EventKind::Delivered(_)) && matches!(end.kind, EventKind::Delivered(_));
        let everywhere = start.kind == EventKind::InForce || deliveries;
        let belongs = everywhere
            || end.subject == start.subject
            || (is_own_thing(&end.kind) && threads.leads(end.subject, start.subject));
        by_owner && belongs && end.status == start.status && end.at >= start.at && end.entry != start.entry
    }
}

/// Whether an event of this kind is about a thing of its own, which its act ties to another one. An
/// acknowledgement or answer says itself what it is about.
fn is_own_thing(kind: &EventKind) -> bool {
    !matches!(kind, EventKind::Acknowledged | EventKind::Answered | EventKind::Offered)
}

/// Whether a day is a public holiday where somebody must act (Regulation 1182/71, Article 2(1)); where one of all
/// parties is enough, only when it is one for all of them.
fn is_holiday(arrangement: &Arrangement, owner: Option<&Did>, day: jiff::civil::Date) -> bool {
    let mut concerned =
        arrangement.parties.iter().filter(|party| owner.is_none_or(|owner| party.did == *owner)).peekable();
    concerned.peek().is_some() && concerned.all(|party| party.holidays.contains(&day))
}
