//! Commitments: who promised what by when, and whether both sides say that it is done.

pub mod due;
pub mod form;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use hiwar_dialogue::entry::{Attachment, EntryId};
use hiwar_trust::hash::Hash;
use hiwar_trust::time::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use crate::act::{Said, Void};
use crate::arrangement::Texts;
use crate::event::{Event, EventKind};
use crate::meeting::Moment;
use crate::meeting::minutes::{Minutes, MinutesPhase};
use crate::meeting::parties::{Code, Parties, unreadable};
use crate::status::Status;
use due::AsOf;
use form::{Deed, Terms, read_commitment_step, read_proposal};

/// The name of a commitment: its entry; for one from minutes the entry of the agreed draft, the decision and the place
/// in its list from 0. Written `ENTRY` or `ENTRY/DECISION/0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitmentId {
    /// The entry.
    pub entry: EntryId,
    /// The decision and the place in its list, for one from minutes.
    pub decision: Option<(Code, u32)>,
}

/// A text that names no commitment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no commitment; write the entry, or the entry of the minutes with /DECISION/0 after it")]
pub struct CommitmentIdError(pub String);

impl CommitmentId {
    /// The commitment that a step with `of` and the member `commitment` speaks of.
    pub fn of(entry: EntryId, within: Option<&str>) -> Option<Self> {
        let Some(within) = within else { return Some(Self { entry, decision: None }) };
        let (decision, place) = within.rsplit_once('/')?;
        let number: u32 = place.parse().ok()?;
        (number.to_string() == place).then_some(())?;
        Some(Self { entry, decision: Some((decision.parse().ok()?, number)) })
    }

    /// The same for a step.
    pub fn of_step(said: &Said<'_>) -> Option<Self> {
        Self::of(said.of?, said.content.get("commitment").and_then(|value| value.as_str()))
    }

    /// What `commitment` in a step says, for one from minutes.
    pub fn within(&self) -> Option<String> {
        self.decision.as_ref().map(|(decision, place)| format!("{decision}/{place}"))
    }
}

impl fmt::Display for CommitmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.within() {
            Some(within) => write!(f, "{}/{within}", self.entry),
            None => fmt::Display::fmt(&self.entry, f),
        }
    }
}

impl FromStr for CommitmentId {
    type Err = CommitmentIdError;

    fn from_str(text: &str) -> Result<Self, CommitmentIdError> {
        let read = || {
            let (entry, within) = match text.split_once('/') {
                Some((entry, within)) => (entry, Some(within)),
                None => (text, None),
            };
            Self::of(EntryId(entry.parse::<Hash>().ok()?), within)
        };
        read().ok_or_else(|| CommitmentIdError(text.chars().take(80).collect()))
    }
}

impl Serialize for CommitmentId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where a commitment stands. Overdue is no state: it follows from the time to judge as of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommitmentPhase {
    /// The owner has not said whether it takes it on.
    Proposed,
    /// The owner has taken it on.
    Open,
    /// The owner has told of progress, or its claim that it is done was rejected.
    InProgress,
    /// The owner reports it done; the others have not all accepted that.
    DoneClaimed,
    /// Done, as both sides say.
    DoneAccepted,
    /// The owner did not take it on.
    Refused,
    /// Every party released the owner.
    Withdrawn,
    /// Every party wanted another one in its place.
    Superseded(CommitmentId),
}

impl CommitmentPhase {
    /// The key of its name in this crate's locales.
    pub fn message(&self) -> &'static str {
        match self {
            Self::Proposed => "commitment-state-proposed",
            Self::Open => "commitment-state-open",
            Self::InProgress => "commitment-state-in-progress",
            Self::DoneClaimed => "commitment-state-done-claimed",
            Self::DoneAccepted => "commitment-state-done-accepted",
            Self::Refused => "commitment-state-refused",
            Self::Withdrawn => "commitment-state-withdrawn",
            Self::Superseded(_) => "commitment-state-superseded",
        }
    }

    /// Whether something is still to be done or said.
    pub fn is_pending(&self) -> bool {
        matches!(self, Self::Proposed | Self::Open | Self::InProgress | Self::DoneClaimed)
    }
}

/// A report of progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// The entry.
    pub entry: EntryId,
    /// When.
    pub at: Timestamp,
    /// How far.
    pub texts: Texts,
    /// In per cent.
    pub percent: Option<u32>,
}

/// A claim that it is done, with what the others say of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// The entry.
    pub entry: EntryId,
    /// When.
    pub at: Timestamp,
    /// Entries that show it.
    pub evidence: Vec<EntryId>,
    /// Files that show it.
    pub files: Vec<Attachment>,
    /// Who accepted it, with the entry.
    pub accepted: BTreeMap<Code, EntryId>,
    /// Who rejected it, with the entry and the reason.
    pub rejected: Option<(Code, EntryId, Texts)>,
}

/// A commitment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Commitment {
    /// Its name.
    pub id: CommitmentId,
    /// What is promised.
    pub terms: Terms,
    /// The meeting that agreed on it.
    pub meeting: Option<EntryId>,
    /// The body that it came from.
    pub body: Option<Code>,
    /// Whether it is meant.
    pub status: Status,
    /// When it was made: when the minutes were agreed, or when it was proposed.
    pub made: Timestamp,
    /// Where it stands.
    pub phase: CommitmentPhase,
    /// Reports of progress.
    pub progress: Vec<Progress>,
    /// Claims that it is done, the last one last.
    pub claims: Vec<Claim>,
    /// Who asked for or agreed to a withdrawal.
    pub withdrawal: BTreeMap<Code, EntryId>,
    /// Who wants which other commitment in its place.
    pub superseding: BTreeMap<Code, (CommitmentId, EntryId)>,
    /// Everything that was said about it, with what came of it.
    pub history: Vec<Moment>,
}

impl Commitment {
    /// The commitment that an act of kind `commitment` proposes. One whose owner proposes it is open at once.
    ///
    /// # Errors
    /// Why the act has no effect.
    pub fn propose(said: &Said<'_>, parties: &Parties) -> Result<(Self, Vec<Event>), Void> {
        let by = parties.speaker(said)?;
        let proposal = read_proposal(&said.form()).map_err(|faults| unreadable(&faults))?;
        proposal.terms.must_suit(parties)?;
        let id = CommitmentId { entry: said.id, decision: None };
        let body = proposal.terms.body.clone();
        let mut commitment = Self::new(id, proposal.terms, proposal.status, said.time);
        commitment.body = body;
        commitment.history.push(Moment::of(said, parties, &Ok(())));
        let mut events = Vec::new();
        if by == commitment.terms.owner {
            commitment.phase = CommitmentPhase::Open;
            events.push(commitment.event(said, EventKind::CommitmentOpen));
        }
        Ok((commitment, events))
    }

    /// The commitments that come from the decisions of minutes when the last party agrees with `said`. An owner that
    /// agreed without reservation has taken its own on; one that reserved its position must still say so.
    pub fn of_minutes(said: &Said<'_>, minutes: &Minutes, parties: &Parties) -> Vec<(Self, Vec<Event>)> {
        if minutes.phase != MinutesPhase::Agreed {
            return Vec::new();
        }
        let mut made = Vec::new();
        for decision in &minutes.current.draft.decisions {
            for (place, terms) in (0..).zip(&decision.commitments) {
                let id = CommitmentId {
                    entry: minutes.current.entry,
                    decision: Some((decision.id.clone(), place)),
                };
                let mut commitment = Self::new(id, terms.clone(), minutes.status, said.time);
                commitment.meeting = Some(minutes.meeting);
                commitment.body = terms.body.clone().or_else(|| Some(minutes.body.clone()));
                commitment.history.push(Moment::of(said, parties, &Ok(())));
                let agreement = minutes.current.agreements.get(&terms.owner);
                let mut events = Vec::new();
                if agreement.is_some_and(|agreement| agreement.reservation.is_none()) {
                    commitment.phase = CommitmentPhase::Open;
                    let by = parties.did_of(&terms.owner).unwrap_or(said.author).clone();
                    events.push(Event { by, ..commitment.event(said, EventKind::CommitmentOpen) });
                }
                made.push((commitment, events));
            }
        }
        made
    }

    fn new(id: CommitmentId, terms: Terms, status: Status, made: Timestamp) -> Self {
        Self {
            id,
            terms,
            meeting: None,
            body: None,
            status,
            made,
            phase: CommitmentPhase::Proposed,
            progress: Vec::new(),
            claims: Vec::new(),
            withdrawal: BTreeMap::new(),
            superseding: BTreeMap::new(),
            history: Vec::new(),
        }
    }

    /// The last day on which it is in time, when it is known.
    pub fn due(&self, of: &AsOf<'_>) -> Option<Date> {
        self.terms.due.day(self.made, of)
    }

    /// Whether its day has passed and its owner has not reported it done. A claim that waits for the others is not
    /// the owner's delay.
    pub fn is_overdue(&self, of: &AsOf<'_>) -> bool {
        let waits = matches!(
            self.phase,
            CommitmentPhase::Proposed | CommitmentPhase::Open | CommitmentPhase::InProgress
        );
        waits && self.due(of).and_then(|day| of.end_of(day)).is_some_and(|end| of.now >= end)
    }

    /// The claim that waits for the others or was accepted.
    pub fn claim(&self) -> Option<&Claim> {
        self.claims.last().filter(|claim| claim.rejected.is_none())
    }

    /// Who must still accept that it is done.
    pub fn unconfirmed<'c>(&'c self, parties: &'c Parties) -> Vec<&'c Code> {
        let Some(claim) = self.claim() else { return Vec::new() };
        let mut waiting = self.terms.confirmers(parties);
        waiting.retain(|code| !claim.accepted.contains_key(code));
        waiting
    }

    /// Takes a step about this commitment. What is void is in the history all the same. `exists` tells whether another
    /// commitment can take its place.
    ///
    /// # Errors
    /// Why it has no effect; the commitment then stands where it stood.
    pub fn apply(
        &mut self,
        said: &Said<'_>,
        parties: &Parties,
        exists: &dyn Fn(&CommitmentId) -> bool,
    ) -> Result<Vec<Event>, Void> {
        let result = self.step(said, parties, exists);
        self.history.push(Moment::of(said, parties, &result));
        result
    }

    fn step(
        &mut self,
        said: &Said<'_>,
        parties: &Parties,
        exists: &dyn Fn(&CommitmentId) -> bool,
    ) -> Result<Vec<Event>, Void> {
        let by = parties.speaker(said)?;
        let step = read_commitment_step(&said.form()).map_err(|faults| unreadable(&faults))?;
        if !self.phase.is_pending() {
            return Err(Void::plain("commitment-closed"));
        }
        match step.deed {
            Deed::Accept => {
                self.must_be_owner(&by)?;
                self.must_stand(&[CommitmentPhase::Proposed])?;
                self.phase = CommitmentPhase::Open;
                return Ok(vec![self.event(said, EventKind::CommitmentOpen)]);
            }
            Deed::Refuse => {
                self.must_be_owner(&by)?;
                self.must_stand(&[CommitmentPhase::Proposed])?;
                self.phase = CommitmentPhase::Refused;
            }
            Deed::Progress { texts, percent } => {
                self.must_be_owner(&by)?;
                self.must_stand(&[CommitmentPhase::Open, CommitmentPhase::InProgress])?;
                self.progress.push(Progress { entry: said.id, at: said.time, texts, percent });
                self.phase = CommitmentPhase::InProgress;
            }
            Deed::Done { evidence } => {
                self.must_be_owner(&by)?;
                self.must_stand(&[CommitmentPhase::Open, CommitmentPhase::InProgress])?;
                if self.terms.evidence.is_some() && evidence.is_empty() && said.attachments.is_empty() {
                    return Err(Void::plain("commitment-evidence-missing"));
                }
                self.claims.push(Claim {
                    entry: said.id,
                    at: said.time,
                    evidence,
                    files: said.attachments.to_vec(),
                    accepted: BTreeMap::new(),
                    rejected: None,
                });
                self.phase = CommitmentPhase::DoneClaimed;
                return Ok(vec![self.event(said, EventKind::CommitmentDone)]);
            }
            Deed::AcceptDone => return self.accept_done(said, by, parties),
            Deed::RejectDone { texts } => {
                self.must_stand(&[CommitmentPhase::DoneClaimed])?;
                self.must_confirm(&by, parties)?;
                if let Some(claim) = self.claims.last_mut() {
                    claim.rejected = Some((by, said.id, texts));
                }
                self.phase = CommitmentPhase::InProgress;
            }
            Deed::Withdraw => {
                if by != self.terms.owner && !self.withdrawal.contains_key(&self.terms.owner) {
                    return Err(Void::with("commitment-owner-asks", &[("owner", self.terms.owner.as_str())]));
                }
                self.withdrawal.entry(by).or_insert(said.id);
                if parties.codes().all(|code| self.withdrawal.contains_key(code)) {
                    self.phase = CommitmentPhase::Withdrawn;
                }
            }
            Deed::Supersede { by: other } => {
                if other == self.id || !exists(&other) {
                    return Err(Void::plain("commitment-no-successor"));
                }
                self.superseding.insert(by, (other.clone(), said.id));
                let all = parties
                    .codes()
                    .all(|code| self.superseding.get(code).is_some_and(|(wanted, _)| *wanted == other));
                if all {
                    self.phase = CommitmentPhase::Superseded(other);
                }
            }
        }
        Ok(Vec::new())
    }

    fn accept_done(&mut self, said: &Said<'_>, by: Code, parties: &Parties) -> Result<Vec<Event>, Void> {
        self.must_stand(&[CommitmentPhase::DoneClaimed])?;
        self.must_confirm(&by, parties)?;
        if let Some(claim) = self.claims.last_mut() {
            claim.accepted.entry(by).or_insert(said.id);
        }
        if !self.unconfirmed(parties).is_empty() {
            return Ok(Vec::new());
        }
        self.phase = CommitmentPhase::DoneAccepted;
        Ok(vec![self.event(said, EventKind::CommitmentAccepted)])
    }

    fn must_be_owner(&self, by: &Code) -> Result<(), Void> {
        if *by == self.terms.owner {
            return Ok(());
        }
        Err(Void::with("commitment-only-owner", &[("owner", self.terms.owner.as_str())]))
    }

    fn must_confirm(&self, by: &Code, parties: &Parties) -> Result<(), Void> {
        if self.terms.confirmers(parties).contains(&by) {
            return Ok(());
        }
        Err(Void::with("commitment-not-confirmer", &[("party", by.as_str())]))
    }

    fn must_stand(&self, phases: &[CommitmentPhase]) -> Result<(), Void> {
        if phases.contains(&self.phase) { Ok(()) } else { Err(Void::plain("commitment-not-now")) }
    }

    fn event(&self, said: &Said<'_>, kind: EventKind) -> Event {
        let (subject, by) = (self.id.entry, said.author.clone());
        Event { kind, subject, entry: said.id, by, at: said.time, status: self.status }
    }
}
