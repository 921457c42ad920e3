//! The procedures of one dialogue, read from its entries.

use std::collections::BTreeMap;
use std::sync::Arc;

use hiwar_dialogue::entry::{ActKind, Body, EntryId};
use hiwar_form::{Document, Faults};
use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;
use serde::Serialize;

use crate::act::{Said, Void};
use crate::arrangement::{self, Arrangement, Versions};
use crate::clock::{Duty, ReEntry, Threads, duties, effective};
use crate::event::{Event, EventKind};
use crate::follow_up::FollowUp;
use crate::handling::{self, Onwards};
use crate::history::{Held, in_order};
use crate::meeting::parties::Parties;
use crate::notice::{self, Notices};
use crate::status::Status;
use crate::{commitment, meeting};

/// Everything that the entries of a dialogue say about procedures.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Procedures {
    /// The arrangement: its versions in force and its proposals.
    pub arrangement: Arc<Versions>,
    /// Its notices.
    pub notices: Notices,
    /// Its meetings, minutes and commitments.
    #[serde(flatten)]
    pub follow_up: FollowUp,
    /// Measures that were told, with who told them; what they say is read by `hiwar-measure`.
    pub measures: Vec<Told>,
    /// Confidential reports of firms.
    pub reports: Vec<Told>,
    /// Statistics that were released.
    pub releases: Vec<Told>,
    /// Entries that were passed on.
    pub onward: Onwards,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// Acts that were told by another way first.
    pub re_entered: BTreeMap<EntryId, ReEntry>,
    /// Acts that have no effect where they stand, with the reason.
    pub void: BTreeMap<EntryId, Void>,
    /// What kind of thing each act is or is about, with that thing's own kind.
    #[serde(skip)]
    kinds: BTreeMap<EntryId, (ActKind, Option<String>)>,
    /// What each act is about.
    #[serde(skip)]
    about: BTreeMap<EntryId, EntryId>,
    /// The parties of each membership.
    #[serde(skip)]
    members: BTreeMap<EntryId, Vec<Did>>,
}

/// Something that was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Its entry.
    pub entry: EntryId,
    /// Who told it.
    pub by: Did,
    /// When.
    pub at: Timestamp,
    /// What it is about or replaces.
    pub of: Option<EntryId>,
    /// What was told.
    pub content: serde_json::Map<String, serde_json::Value>,
    /// Whether its author took it back.
    pub withdrawn: bool,
}

/// What an act would do.
#[derive(Clone, Debug)]
pub struct Would {
    /// What would happen.
    pub events: Vec<Event>,
    /// Whether the arrangement wants a second desk to release it.
    pub needs_release: bool,
}

impl Procedures {
    /// Reads the entries of one dialogue, given in any order. The result depends on the set alone.
    pub fn of(held: &[Held]) -> Self {
        let order = in_order(held);
        let arrangement = Arc::new(Versions::read(&order));
        let mut state = Self { arrangement, ..Self::default() };
        state.void.extend(state.arrangement.void().iter().cloned());
        for one in order {
            state.take(one);
        }
        state
    }

    /// The arrangement in force after all entries.
    pub fn in_force(&self) -> Option<&Arrangement> {
        self.arrangement.current().map(|version| &version.arrangement)
    }

    /// The parties as the arrangement in force names them, or those of a membership.
    pub fn parties(&self, membership: Option<&EntryId>) -> Parties {
        self.parties_under(self.in_force(), membership)
    }

    fn parties_under(&self, arrangement: Option<&Arrangement>, membership: Option<&EntryId>) -> Parties {
        match arrangement {
            Some(arrangement) => Parties::of_arrangement(arrangement),
            None => {
                let members = membership.and_then(|membership| self.members.get(membership));
                Parties::of_members(members.map(Vec::as_slice).unwrap_or_default())
            }
        }
    }

    /// All duties as of `now`, by due time.
    pub fn duties(&self, now: Timestamp) -> Vec<Duty> {
        let threads = Threads::from_pairs(self.about.iter().map(|(one, other)| (*one, *other)));
        duties(&self.events, &self.arrangement, &threads, now)
    }

    fn take(&mut self, held: &Held) {
        let entry = &held.entry.entry;
        let id = held.entry.id;
        match &entry.body {
            Body::Act(_) => {
                let Some(said) = Said::of(held) else { return };
                let result = if self.void.contains_key(&id) { Ok(Vec::new()) } else { self.act(&said) };
                match result {
                    Ok(events) => self.events.extend(events),
                    Err(void) => drop(self.void.insert(id, void)),
                }
            }
            Body::Acknowledgement(about) => {
                let event = self.notices.acknowledged(&about.of, id, &entry.author, entry.time);
                self.events.extend(event);
            }
            Body::Withdrawal(about) => self.withdraw(&about.of, &entry.author),
            Body::Membership(membership) => {
                self.members.insert(id, membership.parties.clone());
            }
            Body::Statement(_)
            | Body::Attachment(_)
            | Body::Correction(_)
            | Body::Dispute(_)
            | Body::Assent(_)
            | Body::Refusal(_) => {}
        }
        let permitted = match &entry.body {
            Body::Act(_) => self.notices.of(&id).and_then(|state| state.notice.permitted),
            _ => None,
        };
        self.onward.know(id, &entry.author, entry.marking, permitted);
        // What brought a version of the arrangement into force starts its clocks.
        if let Some(event) = self.arrangement.event_of(&id) {
            self.events.push(event);
        }
    }

    /// Takes an act in: first whether it may be said at all, then what it does.
    fn act(&mut self, said: &Said<'_>) -> Result<Vec<Event>, Void> {
        let versions = self.arrangement.clone();
        let arrangement = versions.governing(&said.id).map(|version| &version.arrangement);
        self.act_under(said, arrangement, false)
    }

    /// `awaits_release`: a second desk is still to release it, and everything else is judged.
    fn act_under(
        &mut self,
        said: &Said<'_>,
        arrangement: Option<&Arrangement>,
        awaits_release: bool,
    ) -> Result<Vec<Event>, Void> {
        let (kind, name) = self.kind_of(said)?;
        self.kinds.insert(said.id, (kind, name.clone()));
        if let Some(of) = said.of {
            self.about.insert(said.id, of);
        }
        if let Some(arrangement) = arrangement.filter(|_| kind != ActKind::Arrangement) {
            arrangement.permits(said, Some((kind, name.as_deref())))?;
            let status = said.content.get("status").and_then(|status| status.as_str());
            let status =
                Status::CHOICES.iter().find(|(word, _)| Some(*word) == status).map(|(_, status)| *status);
            arrangement.status(status.unwrap_or_default())?;
            if said.kind != ActKind::Step && !awaits_release {
                must_be_released(said, arrangement, kind, name.as_deref())?;
            }
        }
        let when = effective(said)?;
        if let Some(re_entry) = when.re_entry {
            self.re_entered.insert(said.id, re_entry);
        }
        let said = &Said { time: when.at, ..*said };
        match said.step() {
            Some("deliver") => return self.deliver(said),
            Some("permit-onward") => return self.onward.consent(said).map(|()| Vec::new()),
            _ => {}
        }
        match (kind, said.kind) {
            // Read with the versions of the arrangement.
            (ActKind::Arrangement, _) => Ok(Vec::new()),
            (ActKind::Notice, ActKind::Step) => self.notices.step(said),
            (ActKind::Notice, _) => self.notices.apply(said),
            (ActKind::Meeting | ActKind::Minutes | ActKind::Commitment, _) => {
                let parties = self.parties_under(arrangement, said.membership.as_ref());
                let result = self.follow_up.apply(said, &parties);
                let events = result.unwrap_or_else(|| Err(Void::plain("step-about-nothing")))?;
                self.tell_notices(&events);
                Ok(events)
            }
            (ActKind::Onward, _) => self.onward.apply(said).map(|()| Vec::new()),
            (ActKind::Measure, ActKind::Measure) => {
                self.measures.push(told(said));
                Ok(vec![event(EventKind::Measure, said)])
            }
            (ActKind::Report, ActKind::Report) => {
                self.reports.push(told(said));
                Ok(Vec::new())
            }
            (ActKind::Release, ActKind::Release) => {
                self.releases.push(told(said));
                Ok(Vec::new())
            }
            (ActKind::Measure | ActKind::Report | ActKind::Release | ActKind::Step, _) => {
                Err(Void::with("no-such-step", &[("step", said.step().unwrap_or_default())]))
            }
        }
    }

    /// What kind of thing an act is or is about, with that thing's own kind.
    fn kind_of(&self, said: &Said<'_>) -> Result<(ActKind, Option<String>), Void> {
        match said.kind {
            // A step belongs where the act belongs that it is about.
            ActKind::Step => {
                let of = said.of.ok_or_else(|| Void::plain("step-about-nothing"))?;
                // Anything may be let go to others, also what is no act.
                match self.kinds.get(&of) {
                    Some(known) => Ok(known.clone()),
                    None if said.step() == Some("permit-onward") => Ok((ActKind::Step, None)),
                    None => Err(Void::plain("step-about-nothing")),
                }
            }
            kind => Ok((kind, arrangement::own_kind(said).map(str::to_owned))),
        }
    }

    /// Something that a clock asks for by name was handed over: step `deliver` with `what`.
    fn deliver(&self, said: &Said<'_>) -> Result<Vec<Event>, Void> {
        let what = said.content.get("what").and_then(|what| what.as_str());
        let what = what.ok_or_else(|| Void::plain("deliver-what"))?;
        let kind = format!("delivered:{what}").parse().map_err(|_| Void::plain("deliver-what"))?;
        let subject = said.of.unwrap_or(said.id);
        Ok(vec![Event { subject, ..event(kind, said) }])
    }

    /// Notices learn of the meetings that they asked for. The events for their clocks come with the meetings'.
    fn tell_notices(&mut self, events: &[Event]) {
        for event in events {
            let meeting = self.follow_up.meetings.get(&event.subject);
            if let Some(notice) = meeting.and_then(|meeting| meeting.convening().requested_by) {
                self.notices.met(&notice, event);
            }
        }
    }

    /// Whether an act's content has the form of its kind.
    ///
    /// # Errors
    /// All faults, each with its field.
    pub fn must_read(&self, said: &Said<'_>) -> Result<(), Faults> {
        let about = match said.kind {
            ActKind::Step => said.of.and_then(|of| self.kinds.get(&of)).map(|(kind, _)| *kind),
            _ => None,
        };
        check_form(said.kind, about, &said.form())
    }

    /// What an act would do if it came next.
    ///
    /// # Errors
    /// Why it would have no effect.
    pub fn would(&self, said: &Said<'_>) -> Result<Would, Void> {
        let mut next = self.clone();
        Arc::make_mut(&mut next.arrangement).would(said)?;
        let arrangement = self.in_force();
        let mut needs_release = false;
        if let Some(arrangement) = arrangement
            && said.kind != ActKind::Step
            && !said.content.contains_key("released-by")
        {
            let (kind, name) = self.kind_of(said)?;
            needs_release = arrangement.needs_four_eyes(kind, name.as_deref());
        }
        let events = next.act_under(said, arrangement, needs_release)?;
        Ok(Would { events, needs_release })
    }

    fn withdraw(&mut self, of: &EntryId, by: &Did) {
        self.notices.withdrawn(of, by);
        for told in [&mut self.measures, &mut self.reports, &mut self.releases].into_iter().flatten() {
            told.withdrawn |= told.entry == *of && told.by == *by;
        }
    }

    /// Events of one kind.
    pub fn events_of(&self, kind: &EventKind) -> impl Iterator<Item = &Event> {
        let kind = kind.clone();
        self.events.iter().filter(move |event| event.kind == kind)
    }
}

fn event(kind: EventKind, said: &Said<'_>) -> Event {
    Event {
        kind,
        subject: said.id,
        entry: said.id,
        by: said.author.clone(),
        at: said.time,
        status: Status::Actual,
    }
}

fn told(said: &Said<'_>) -> Told {
    let (content, by) = (said.content.clone(), said.author.clone());
    Told { entry: said.id, by, at: said.time, of: said.of, content, withdrawn: false }
}

/// What a second desk must release says which desk did; the receiving side looks at it too.
fn must_be_released(
    said: &Said<'_>,
    arrangement: &Arrangement,
    kind: ActKind,
    name: Option<&str>,
) -> Result<(), Void> {
    if !arrangement.needs_four_eyes(kind, name) {
        return Ok(());
    }
    let second = said.content.get("released-by").and_then(|desk| desk.as_str());
    let second = second.ok_or_else(|| Void::plain("not-released"))?;
    arrangement.release(said.author, (said.desk, second), kind, name)
}

/// Whether a content has the form of its kind; of a step, that of the kind of thing it is about.
///
/// # Errors
/// All faults, each with its field.
pub fn check_form(kind: ActKind, about: Option<ActKind>, document: &Document) -> Result<(), Faults> {
    let step = document.value().get("step").and_then(|step| step.as_str());
    match (kind, about) {
        (ActKind::Arrangement, _) => arrangement::read(document).map(drop),
        (ActKind::Notice, _) => notice::read(document).map(drop),
        (ActKind::Meeting, _) => meeting::form::read_convening(document).map(drop),
        (ActKind::Minutes, _) => meeting::minutes::read_draft(document).map(drop),
        (ActKind::Commitment, _) => commitment::form::read_proposal(document).map(drop),
        (ActKind::Onward, _) => handling::read(document).map(drop),
        (ActKind::Step, _) if matches!(step, Some("deliver" | "permit-onward")) => Ok(()),
        (ActKind::Step, Some(ActKind::Meeting)) => meeting::form::read_meeting_step(document).map(drop),
        (ActKind::Step, Some(ActKind::Minutes)) if document.value().get("commitment").is_none() => {
            meeting::minutes::read_minutes_step(document).map(drop)
        }
        (ActKind::Step, Some(ActKind::Minutes | ActKind::Commitment)) => {
            commitment::form::read_commitment_step(document).map(drop)
        }
        (ActKind::Step | ActKind::Measure | ActKind::Report | ActKind::Release, _) => Ok(()),
    }
}
