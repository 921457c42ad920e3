//! Which version of the arrangement is in force at which place of the history.
//!
//! A version is proposed by an act of kind `arrangement`, whose `of` names the proposal of the version that it
//! replaces (absent for the first). Every party that the new version names, and every party of the one that it
//! replaces, must assent by a step `{"step": "assent"}` on the proposal; whoever proposes assents by it. The
//! version is in force from the act that makes the assents complete. One refusal, or the proposer's withdrawal,
//! ends a proposal. When two proposals of the same version rival, the one whose assents are complete first in
//! the order of the history wins and the other one is void; that order follows from the set of entries alone, so
//! all who hold the same entries agree.

use std::collections::{BTreeMap, BTreeSet};

use hiwar_dialogue::entry::{ActKind, Body, EntryId};
use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;
use serde::Serialize;

use super::{Arrangement, read};
use crate::act::{Said, Void};
use crate::event::{Event, EventKind};
use crate::history::Held;
use crate::status::Status;

/// A version that came into force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Version {
    /// The act that proposed it.
    pub proposal: EntryId,
    /// Its terms.
    pub arrangement: Arrangement,
    /// The act that made the assents complete.
    pub completed_by: EntryId,
    /// Who did that.
    pub completed_by_party: Did,
    /// When it came into force: the latest time that the proposal and the assents claim.
    pub at: Timestamp,
}

/// Where a proposal stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum ProposalState {
    /// It waits for these parties.
    Open {
        /// Who has not assented yet.
        missing: Vec<Did>,
    },
    /// It came into force; a later version may have replaced it.
    InForce,
    /// A party declined.
    Refused {
        /// The step that says so.
        by: EntryId,
    },
    /// Its author took it back.
    Withdrawn {
        /// The entry that says so.
        by: EntryId,
    },
    /// Another version came into force first.
    Overtaken {
        /// The proposal of that version.
        by: EntryId,
    },
}

/// A proposal that was allowed where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// Its act.
    pub entry: EntryId,
    /// Who proposed it.
    pub author: Did,
    /// What it proposes.
    pub arrangement: Arrangement,
    /// Who assented, by which act, at which claimed time.
    pub assents: BTreeMap<Did, (EntryId, Timestamp)>,
    /// Whose assent it needs.
    pub needs: BTreeSet<Did>,
    /// Where it stands.
    pub state: ProposalState,
}

/// The versions of a dialogue's arrangement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    in_force: Vec<Version>,
    proposals: Vec<Proposal>,
    /// The index in `in_force` of the version that governs an entry; entries before the first are not in it.
    governed: BTreeMap<EntryId, usize>,
    void: Vec<(EntryId, Void)>,
}

fn in_force(version: &Version) -> Event {
    Event {
        kind: EventKind::InForce,
        subject: version.proposal,
        entry: version.completed_by,
        by: version.completed_by_party.clone(),
        at: version.at,
        status: Status::Actual,
    }
}

impl Serialize for Versions {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut out = serializer.serialize_struct("Versions", 2)?;
        out.serialize_field("in-force", &self.in_force)?;
        out.serialize_field("proposals", &self.proposals)?;
        out.end()
    }
}

impl Versions {
    /// Reads the entries of one dialogue, in the order of [`crate::history::in_order`].
    pub fn read(order: &[&Held]) -> Self {
        let mut versions = Self::default();
        for held in order {
            // An act is governed by the version in force at its place, so the act that makes the assents
            // complete is still governed by the version before; what it starts is not (see `governing`).
            if let Some(last) = versions.in_force.len().checked_sub(1) {
                versions.governed.insert(held.entry.id, last);
            }
            if let Err(void) = versions.apply(held) {
                versions.void.push((held.entry.id, void));
            }
        }
        versions
    }

    /// The versions that came into force, in that order.
    pub fn in_force(&self) -> &[Version] {
        &self.in_force
    }

    /// The version in force after all entries.
    pub fn current(&self) -> Option<&Version> {
        self.in_force.last()
    }

    /// The version in force at the place of an entry; for the act that brought a version into force, the version
    /// before it.
    pub fn governing(&self, entry: &EntryId) -> Option<&Version> {
        self.in_force.get(*self.governed.get(entry)?)
    }

    /// The version that this act brought into force.
    pub fn brought_by(&self, entry: &EntryId) -> Option<&Version> {
        self.in_force.iter().find(|version| version.completed_by == *entry)
    }

    /// The proposals that were allowed where they stand.
    pub fn proposals(&self) -> &[Proposal] {
        &self.proposals
    }

    /// Acts on the arrangement that have no effect, with the reason.
    pub fn void(&self) -> &[(EntryId, Void)] {
        &self.void
    }

    /// What happened, for clocks: every version that came into force.
    pub fn events(&self) -> Vec<Event> {
        self.in_force.iter().map(in_force).collect()
    }

    /// That this act brought a version into force, when it did.
    pub fn event_of(&self, entry: &EntryId) -> Option<Event> {
        self.brought_by(entry).map(in_force)
    }

    fn apply(&mut self, held: &Held) -> Result<(), Void> {
        if let Body::Withdrawal(about) = &held.entry.entry.body {
            return self.withdraw(held, about.of);
        }
        let Some(said) = Said::of(held) else { return Ok(()) };
        self.would(&said)
    }

    /// Takes an act in that comes next.
    pub(crate) fn would(&mut self, said: &Said<'_>) -> Result<(), Void> {
        match (said.kind, said.step(), said.of) {
            (ActKind::Arrangement, ..) => self.propose(said),
            (ActKind::Step, Some(step @ ("assent" | "refuse")), Some(of)) => {
                match self.proposals.iter().position(|proposal| proposal.entry == of) {
                    Some(index) => self.answer(said, index, step == "assent"),
                    // A step on something else, or on a proposal that is void or not held.
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn propose(&mut self, said: &Said<'_>) -> Result<(), Void> {
        let arrangement = read(&said.form()).map_err(|faults| {
            let field = faults.0.first().map(|fault| fault.place.field.clone()).unwrap_or_default();
            let arguments = [("field", field.as_str()), ("count", &faults.0.len().to_string())];
            Void::with("arrangement-void-faulty", &arguments)
        })?;
        let before = self.current();
        let next = before.map_or(1, |version| version.arrangement.version.saturating_add(1));
        if arrangement.version != next {
            let arguments = [("found", &*arrangement.version.to_string()), ("next", &*next.to_string())];
            return Err(Void::with("arrangement-void-version", &arguments));
        }
        if said.of != before.map(|version| version.proposal) {
            return Err(Void::plain("arrangement-void-replaces"));
        }
        if let Some(before) = before.filter(|before| before.arrangement.id != arrangement.id) {
            let arguments =
                [("found", arrangement.id.as_str()), ("expected", before.arrangement.id.as_str())];
            return Err(Void::with("arrangement-void-id", &arguments));
        }
        let before_parties = before.into_iter().flat_map(|version| &version.arrangement.parties);
        let needs: BTreeSet<Did> =
            arrangement.parties.iter().chain(before_parties).map(|party| party.did.clone()).collect();
        must_be_named(said, &needs)?;
        self.must_have_mandate(said)?;
        let assents = BTreeMap::from([(said.author.clone(), (said.id, said.time))]);
        let missing = needs.iter().filter(|did| *did != said.author).cloned().collect();
        let state = ProposalState::Open { missing };
        let author = said.author.clone();
        self.proposals.push(Proposal { entry: said.id, author, arrangement, assents, needs, state });
        let index = self.proposals.len() - 1;
        self.complete(said, index);
        Ok(())
    }

    fn answer(&mut self, said: &Said<'_>, index: usize, assents: bool) -> Result<(), Void> {
        self.must_have_mandate(said)?;
        let Some(proposal) = self.proposals.get_mut(index) else { return Ok(()) };
        must_be_named(said, &proposal.needs)?;
        proposal.must_be_open()?;
        if !assents {
            proposal.state = ProposalState::Refused { by: said.id };
            return Ok(());
        }
        if proposal.assents.contains_key(said.author) {
            return Err(Void::with("arrangement-void-again", &[("author", said.author.as_str())]));
        }
        proposal.assents.insert(said.author.clone(), (said.id, said.time));
        self.complete(said, index);
        Ok(())
    }

    fn withdraw(&mut self, held: &Held, of: EntryId) -> Result<(), Void> {
        let entry = &held.entry.entry;
        let Some(proposal) = self.proposals.iter_mut().find(|proposal| proposal.entry == of) else {
            return Ok(());
        };
        if proposal.author != entry.author {
            return Err(Void::with("arrangement-void-not-own", &[("author", entry.author.as_str())]));
        }
        proposal.must_be_open()?;
        proposal.state = ProposalState::Withdrawn { by: held.entry.id };
        Ok(())
    }

    /// Under a version in force, a desk needs a mandate to change the arrangement too.
    fn must_have_mandate(&self, said: &Said<'_>) -> Result<(), Void> {
        match self.current().map(|version| &version.arrangement) {
            Some(arrangement) if arrangement.party(said.author).is_some() => {
                arrangement.mandate(said.author, said.desk, ActKind::Arrangement, None)
            }
            _ => Ok(()),
        }
    }

    /// Brings a proposal into force when nobody's assent is missing, and ends its rivals.
    fn complete(&mut self, said: &Said<'_>, index: usize) {
        let Some(proposal) = self.proposals.get_mut(index) else { return };
        let missing: Vec<Did> =
            proposal.needs.iter().filter(|did| !proposal.assents.contains_key(*did)).cloned().collect();
        if !missing.is_empty() {
            proposal.state = ProposalState::Open { missing };
            return;
        }
        proposal.state = ProposalState::InForce;
        let at = proposal.assents.values().map(|(_, time)| *time).max().unwrap_or(said.time);
        let winner = proposal.entry;
        self.in_force.push(Version {
            proposal: winner,
            arrangement: proposal.arrangement.clone(),
            completed_by: said.id,
            completed_by_party: said.author.clone(),
            at,
        });
        // All that are open proposed this same version: any other number would have been void.
        for rival in &mut self.proposals {
            if matches!(rival.state, ProposalState::Open { .. }) {
                rival.state = ProposalState::Overtaken { by: winner };
                self.void.push((rival.entry, Void::plain("arrangement-void-overtaken")));
            }
        }
    }
}

impl Proposal {
    fn must_be_open(&self) -> Result<(), Void> {
        match self.state {
            ProposalState::Open { .. } => Ok(()),
            ProposalState::InForce => Err(Void::plain("arrangement-void-in-force")),
            ProposalState::Refused { .. } => Err(Void::plain("arrangement-void-refused")),
            ProposalState::Withdrawn { .. } => Err(Void::plain("arrangement-void-withdrawn")),
            ProposalState::Overtaken { .. } => Err(Void::plain("arrangement-void-overtaken")),
        }
    }
}

fn must_be_named(said: &Said<'_>, needs: &BTreeSet<Did>) -> Result<(), Void> {
    if needs.contains(said.author) {
        return Ok(());
    }
    Err(Void::with("arrangement-void-party", &[("author", said.author.as_str())]))
}
