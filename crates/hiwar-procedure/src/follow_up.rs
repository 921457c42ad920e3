//! What was agreed and what came of it: all meetings, minutes and commitments of a dialogue.

pub mod agenda;
pub mod table;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use hiwar_dialogue::entry::{ActKind, EntryId};
use serde::Serialize;

use crate::act::{Said, Void};
use crate::commitment::{Commitment, CommitmentId};
use crate::event::Event;
use crate::meeting::Meeting;
use crate::meeting::minutes::{Minutes, MinutesPhase};
use crate::meeting::parties::Parties;

/// The meetings, minutes and commitments of a dialogue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FollowUp {
    /// Meetings by the entry that convened them first.
    pub meetings: BTreeMap<EntryId, Meeting>,
    /// Minutes by the entry of their first draft.
    pub minutes: BTreeMap<EntryId, Minutes>,
    /// Commitments.
    pub commitments: BTreeMap<CommitmentId, Commitment>,
}

impl FollowUp {
    /// Takes an act, in the order of [`crate::history::in_order`]. None when it is not about a meeting, minutes or a
    /// commitment: then it is for others to judge.
    pub fn apply(&mut self, said: &Said<'_>, parties: &Parties) -> Option<Result<Vec<Event>, Void>> {
        match said.kind {
            ActKind::Meeting => Some(self.meeting(said, parties)),
            ActKind::Minutes => Some(self.minutes(said, parties)),
            ActKind::Commitment => Some(Commitment::propose(said, parties).map(|(commitment, events)| {
                self.commitments.insert(commitment.id.clone(), commitment);
                events
            })),
            ActKind::Step => self.step(said, parties),
            _ => None,
        }
    }

    fn meeting(&mut self, said: &Said<'_>, parties: &Parties) -> Result<Vec<Event>, Void> {
        match said.of {
            Some(first) => match self.meetings.get_mut(&first) {
                Some(meeting) => meeting.apply(said, parties),
                None => Err(Void::plain("meeting-not-there")),
            },
            None => {
                let (meeting, events) = Meeting::convene(said, parties)?;
                self.meetings.insert(meeting.id, meeting);
                Ok(events)
            }
        }
    }

    fn minutes(&mut self, said: &Said<'_>, parties: &Parties) -> Result<Vec<Event>, Void> {
        let of = said.of.ok_or_else(|| Void::plain("minutes-of-nothing"))?;
        if let Some(minutes) = self.minutes.values_mut().find(|minutes| minutes.has_revision(of)) {
            return minutes.apply(said, parties);
        }
        let meeting = self.meetings.get_mut(&of).ok_or_else(|| Void::plain("minutes-of-nothing"))?;
        let (minutes, events) = Minutes::open(said, meeting, parties)?;
        self.minutes.insert(minutes.id, minutes);
        Ok(events)
    }

    fn step(&mut self, said: &Said<'_>, parties: &Parties) -> Option<Result<Vec<Event>, Void>> {
        let of = said.of?;
        if let Some(meeting) = self.meetings.get_mut(&of) {
            return Some(meeting.apply(said, parties));
        }
        let id = CommitmentId::of_step(said);
        let known = id.as_ref().filter(|id| self.commitments.contains_key(id));
        if let Some(id) = known {
            return Some(self.commitment_step(said, id, parties));
        }
        let minutes = self.minutes.values_mut().find(|minutes| minutes.has_revision(of))?;
        if said.content.contains_key("commitment") {
            return Some(Err(Void::plain("commitment-not-there")));
        }
        let before = minutes.phase;
        let mut result = minutes.apply(said, parties);
        if let Ok(events) = &mut result
            && before != MinutesPhase::Agreed
        {
            for (commitment, opened) in Commitment::of_minutes(said, minutes, parties) {
                self.commitments.insert(commitment.id.clone(), commitment);
                events.extend(opened);
            }
        }
        Some(result)
    }

    fn commitment_step(
        &mut self,
        said: &Said<'_>,
        id: &CommitmentId,
        parties: &Parties,
    ) -> Result<Vec<Event>, Void> {
        // It is taken out while it changes, so that it can be asked for others: it cannot replace itself.
        let Some(mut commitment) = self.commitments.remove(id) else {
            return Err(Void::plain("commitment-not-there"));
        };
        let others = &self.commitments;
        let exists = |other: &CommitmentId| others.get(other).is_some_and(|one| one.phase.is_pending());
        let result = commitment.apply(said, parties, &exists);
        self.commitments.insert(id.clone(), commitment);
        result
    }
}
