//! Meetings: convened, answered, moved, held, and their minutes.
//!
//! The exchange follows iTIP (RFC 5546): a convening with a sequence that rises with every change, replies that
//! speak of a sequence, counter-proposals, cancellation. Other than there, every step is a signed entry, and
//! steps that contradict each other all stay in the history: the first in the order of [`crate::history`] has
//! its effect, the others are void and say why.

pub mod form;
pub mod minutes;
pub mod parties;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use hiwar_dialogue::entry::EntryId;
use hiwar_trust::time::Timestamp;
use serde::Serialize;

use crate::act::{Said, Void};
use crate::event::{Event, EventKind};
use form::{AgendaItem, Convening, MeetingStep, read_convening, read_meeting_step};
use parties::{Code, Parties, unreadable};

/// Something that was said, with what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// The entry.
    pub entry: EntryId,
    /// The party; none when the author is no party.
    pub by: Option<Code>,
    /// When its author says it was made.
    pub at: Timestamp,
    /// What: the name of a step, or the kind of an act.
    pub what: String,
    /// Why it has no effect, when it has none.
    pub void: Option<Void>,
}

impl Moment {
    /// What was said, with what came of it.
    pub(crate) fn of<T>(said: &Said<'_>, parties: &Parties, result: &Result<T, Void>) -> Self {
        let what = said.step().unwrap_or(said.kind.as_str());
        Self {
            entry: said.id,
            by: parties.code_of(said.author).cloned(),
            at: said.time,
            what: what.chars().take(64).collect(),
            void: result.as_ref().err().cloned(),
        }
    }
}

/// Where a meeting stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MeetingPhase {
    /// Convened for the first time.
    Convened,
    /// Its date or agenda was changed.
    Rescheduled,
    /// It took place.
    Held,
    /// It was called off.
    Cancelled,
}

/// Whether a party will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attendance {
    /// Yes.
    Accepted,
    /// No.
    Declined,
    /// Perhaps.
    Tentative,
}

/// A convening that had its effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Version {
    /// The entry.
    pub entry: EntryId,
    /// The party.
    pub by: Code,
    /// When.
    pub at: Timestamp,
    /// What it says.
    pub convening: Convening,
}

/// A party's reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Answer {
    /// The entry.
    pub entry: EntryId,
    /// When.
    pub at: Timestamp,
    /// The sequence it speaks of.
    pub sequence: u32,
    /// What it says.
    pub attendance: Attendance,
}

/// A proposal of another time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Counter {
    /// The entry.
    pub entry: EntryId,
    /// The party.
    pub by: Code,
    /// When it was made.
    pub at: Timestamp,
    /// The sequence it speaks of.
    pub sequence: u32,
    /// When the meeting would begin.
    pub starts: Timestamp,
    /// When it would end.
    pub ends: Timestamp,
    /// The step by which the convenor took it.
    pub accepted: Option<EntryId>,
}

/// A proposal of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ItemProposal {
    /// The entry.
    pub entry: EntryId,
    /// The party.
    pub by: Code,
    /// When it was made.
    pub at: Timestamp,
    /// The item.
    pub item: AgendaItem,
}

/// How a meeting took place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Holding {
    /// The entry that says so.
    pub entry: EntryId,
    /// The party.
    pub by: Code,
    /// How many persons of each party were there.
    pub attendance: BTreeMap<Code, u32>,
    /// When it began.
    pub starts: Timestamp,
    /// When it ended.
    pub ends: Timestamp,
}

/// A meeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Meeting {
    /// The entry that convened it first.
    pub id: EntryId,
    /// The party that convened it.
    pub convenor: Code,
    /// Where it stands.
    pub phase: MeetingPhase,
    /// The convenings that had their effect, from the first; the last one is in force. There is at least one.
    pub versions: Vec<Version>,
    /// The replies of each party, in order. Those to an older sequence are no replies to the convening in force.
    pub answers: BTreeMap<Code, Vec<Answer>>,
    /// Proposals of other times.
    pub counters: Vec<Counter>,
    /// Proposals of items.
    pub proposals: Vec<ItemProposal>,
    /// How it took place.
    pub held: Option<Holding>,
    /// The first entry of its minutes.
    pub minutes: Option<EntryId>,
    /// Everything that was said about it, with what came of it.
    pub history: Vec<Moment>,
    /// What the convening in force says.
    convening: Convening,
}

impl Meeting {
    /// The meeting that an act of kind `meeting` without an earlier one convenes.
    ///
    /// # Errors
    /// Why the act has no effect.
    pub fn convene(said: &Said<'_>, parties: &Parties) -> Result<(Self, Vec<Event>), Void> {
        let by = parties.speaker(said)?;
        let convening = read(said, parties)?;
        if convening.sequence != 0 {
            return Err(Void::plain("meeting-first-sequence"));
        }
        let version = Version { entry: said.id, by: by.clone(), at: said.time, convening: convening.clone() };
        let mut meeting = Self {
            id: said.id,
            convenor: by,
            phase: MeetingPhase::Convened,
            versions: vec![version],
            answers: BTreeMap::new(),
            counters: Vec::new(),
            proposals: Vec::new(),
            held: None,
            minutes: None,
            history: Vec::new(),
            convening,
        };
        meeting.history.push(Moment::of(said, parties, &Ok(())));
        let events = meeting.events(said, EventKind::MeetingConvened, said.time);
        Ok((meeting, events))
    }

    /// What the convening in force says.
    pub fn convening(&self) -> &Convening {
        &self.convening
    }

    /// Whether it may still be moved, answered and held.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, MeetingPhase::Convened | MeetingPhase::Rescheduled)
    }

    /// A party's last reply to the convening in force.
    pub fn answer_of(&self, party: &Code) -> Option<&Answer> {
        let answers = self.answers.get(party)?;
        answers.iter().rev().find(|answer| answer.sequence == self.convening.sequence)
    }

    /// Takes a further convening or a step about this meeting. What is void is in the history all the same.
    ///
    /// # Errors
    /// Why it has no effect; the meeting then stands where it stood.
    pub fn apply(&mut self, said: &Said<'_>, parties: &Parties) -> Result<Vec<Event>, Void> {
        let result = match said.step() {
            Some(_) => self.step(said, parties),
            None => self.reconvene(said, parties),
        };
        self.history.push(Moment::of(said, parties, &result));
        result
    }

    fn reconvene(&mut self, said: &Said<'_>, parties: &Parties) -> Result<Vec<Event>, Void> {
        let by = parties.speaker(said)?;
        let convening = read(said, parties)?;
        self.must_be_open()?;
        let current = self.convening.sequence;
        if convening.sequence <= current {
            return Err(Void::with(
                "meeting-sequence-taken",
                &[("sequence", &convening.sequence.to_string())],
            ));
        }
        if current.checked_add(1) != Some(convening.sequence) {
            return Err(Void::with("meeting-sequence-gap", &[("last", &current.to_string())]));
        }
        if convening.body != self.convening.body || convening.status != self.convening.status {
            return Err(Void::plain("meeting-other-body"));
        }
        let taken = self.counters.iter().any(|counter| {
            counter.accepted.is_some()
                && counter.by == by
                && counter.sequence == current
                && (counter.starts, counter.ends) == (convening.starts, convening.ends)
        });
        if by != self.convenor && !taken {
            return Err(Void::with("meeting-only-convenor", &[("convenor", self.convenor.as_str())]));
        }
        self.versions.push(Version { entry: said.id, by, at: said.time, convening: convening.clone() });
        self.convening = convening;
        self.phase = MeetingPhase::Rescheduled;
        Ok(Vec::new())
    }

    fn step(&mut self, said: &Said<'_>, parties: &Parties) -> Result<Vec<Event>, Void> {
        let by = parties.speaker(said)?;
        let step = read_meeting_step(&said.form()).map_err(|faults| unreadable(&faults))?;
        let (sequence, current) = (step.sequence(), self.convening.sequence);
        if sequence > current {
            return Err(Void::with("meeting-no-such-sequence", &[("last", &current.to_string())]));
        }
        self.must_be_open()?;
        if sequence < current {
            self.note_late(said, &by, &step);
            let arguments = [("sequence", &*sequence.to_string()), ("last", &*current.to_string())];
            return Err(Void::with("meeting-older-sequence", &arguments));
        }
        match step {
            MeetingStep::Accept { .. } => self.answer(said, by, sequence, Attendance::Accepted),
            MeetingStep::Decline { .. } => self.answer(said, by, sequence, Attendance::Declined),
            MeetingStep::Tentative { .. } => self.answer(said, by, sequence, Attendance::Tentative),
            MeetingStep::Counter { starts, ends, .. } => {
                if by == self.convenor {
                    return Err(Void::plain("meeting-own-counter"));
                }
                let (entry, at) = (said.id, said.time);
                self.counters.push(Counter { entry, by, at, sequence, starts, ends, accepted: None });
            }
            MeetingStep::AcceptCounter { of_counter, .. } => {
                self.must_be_convenor(&by)?;
                if self.counters.iter().any(|one| one.sequence == current && one.accepted.is_some()) {
                    return Err(Void::plain("meeting-counter-taken"));
                }
                let counter =
                    self.counters.iter_mut().find(|one| one.entry == of_counter && one.sequence == current);
                counter.ok_or_else(|| Void::plain("meeting-no-such-counter"))?.accepted = Some(said.id);
            }
            MeetingStep::Cancel { .. } => {
                self.must_be_convenor(&by)?;
                self.phase = MeetingPhase::Cancelled;
            }
            MeetingStep::Held { attendance, starts, ends, .. } => {
                if ends > said.time {
                    return Err(Void::plain("meeting-held-later"));
                }
                if let Some(stranger) = attendance.keys().find(|code| !parties.has(code)) {
                    return Err(Void::with("agreed-no-such-party", &[("party", stranger.as_str())]));
                }
                self.phase = MeetingPhase::Held;
                self.held = Some(Holding { entry: said.id, by, attendance, starts, ends });
                return Ok(self.events(said, EventKind::MeetingHeld, starts));
            }
            MeetingStep::ProposeItem { item, .. } => {
                if item.submitter != by {
                    return Err(Void::plain("meeting-item-of-other"));
                }
                let agenda = self.convening.agenda.iter().map(|one| &one.id);
                if agenda.chain(self.proposals.iter().map(|one| &one.item.id)).any(|id| *id == item.id) {
                    return Err(Void::with("meeting-item-exists", &[("item", item.id.as_str())]));
                }
                parties.must_be_in_all_languages(&item.title)?;
                self.proposals.push(ItemProposal { entry: said.id, by, at: said.time, item });
            }
        }
        Ok(Vec::new())
    }

    fn answer(&mut self, said: &Said<'_>, by: Code, sequence: u32, attendance: Attendance) {
        let answer = Answer { entry: said.id, at: said.time, sequence, attendance };
        self.answers.entry(by).or_default().push(answer);
    }

    /// Keeps a reply to an older convening beside the others, so that people see that it was made.
    fn note_late(&mut self, said: &Said<'_>, by: &Code, step: &MeetingStep) {
        let attendance = match step {
            MeetingStep::Accept { .. } => Attendance::Accepted,
            MeetingStep::Decline { .. } => Attendance::Declined,
            MeetingStep::Tentative { .. } => Attendance::Tentative,
            _ => return,
        };
        self.answer(said, by.clone(), step.sequence(), attendance);
    }

    fn must_be_open(&self) -> Result<(), Void> {
        match self.phase {
            MeetingPhase::Held => Err(Void::plain("meeting-is-held")),
            MeetingPhase::Cancelled => Err(Void::plain("meeting-is-cancelled")),
            MeetingPhase::Convened | MeetingPhase::Rescheduled => Ok(()),
        }
    }

    fn must_be_convenor(&self, by: &Code) -> Result<(), Void> {
        if *by == self.convenor {
            return Ok(());
        }
        Err(Void::with("meeting-only-convenor", &[("convenor", self.convenor.as_str())]))
    }

    /// An event of the meeting itself, and of the request that it answers, so that the clock that the request
    /// started finds it.
    fn events(&self, said: &Said<'_>, kind: EventKind, at: Timestamp) -> Vec<Event> {
        let status = self.convening.status;
        let subjects = [Some(self.id), self.convening.requested_by];
        let event = |subject| Event {
            kind: kind.clone(),
            subject,
            entry: said.id,
            by: said.author.clone(),
            at,
            status,
        };
        subjects.into_iter().flatten().map(event).collect()
    }
}

/// Reads a convening and checks it against the parties.
fn read(said: &Said<'_>, parties: &Parties) -> Result<Convening, Void> {
    let convening = read_convening(&said.form()).map_err(|faults| unreadable(&faults))?;
    parties.must_have_body(&convening.body)?;
    parties.must_be_in_all_languages(&convening.title)?;
    for item in &convening.agenda {
        parties.must_be_in_all_languages(&item.title)?;
        if !parties.has(&item.submitter) {
            return Err(Void::with("agreed-no-such-party", &[("party", item.submitter.as_str())]));
        }
    }
    Ok(convening)
}
