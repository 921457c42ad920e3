//! Minutes: drafted, commented on, agreed by every party.

use std::collections::BTreeMap;

use hiwar_dialogue::entry::EntryId;
use hiwar_form::{Document, Faults, Form};
use hiwar_trust::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::parties::{Code, Parties, code, must_differ, unreadable};
use super::{Meeting, MeetingPhase, Moment};
use crate::act::{Said, Void};
use crate::arrangement::Texts;
use crate::commitment::form::{Terms, terms};
use crate::event::{Event, EventKind};
use crate::status::Status;

/// What a draft of minutes says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// Its revision, from 1.
    pub revision: u32,
    /// What was said, by item of the agenda.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<MinutesItem>,
    /// What was decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
}

/// What was said about an item of the agenda.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinutesItem {
    /// The item.
    pub id: Code,
    /// What was said.
    pub texts: Texts,
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Its short name.
    pub id: Code,
    /// What was decided.
    pub texts: Texts,
    /// Who will do what by when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commitments: Vec<Terms>,
}

/// A step about a draft of minutes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum MinutesStep {
    /// Says something about an item or the whole.
    Comment {
        /// The item.
        #[serde(skip_serializing_if = "Option::is_none")]
        item: Option<Code>,
        /// What it says.
        texts: Texts,
    },
    /// Agrees.
    Agree,
    /// Agrees, with a text that stands beside the minutes.
    Reserve {
        /// The reservation.
        texts: Texts,
    },
}

/// Reads a draft of minutes.
///
/// # Errors
/// All its faults.
pub fn read_draft(document: &Document) -> Result<Draft, Faults> {
    document.read(|form| {
        let revision = form.required("revision");
        let items: Vec<MinutesItem> = form.list("items", |form| {
            let (id, texts) = (code(form, "id"), form.required("texts"));
            Some(MinutesItem { id: id?, texts: texts? })
        });
        must_differ(form, "items", items.iter().map(|item| &item.id));
        let decisions: Vec<Decision> = form.list("decisions", decision);
        must_differ(form, "decisions", decisions.iter().map(|decision| &decision.id));
        Some(Draft { revision: revision?, items, decisions })
    })
}

fn decision(form: &mut Form<'_>) -> Option<Decision> {
    let (id, texts) = (code(form, "id"), form.required("texts"));
    let commitments = form.list("commitments", terms);
    Some(Decision { id: id?, texts: texts?, commitments })
}

#[derive(Clone, Copy)]
enum Name {
    Comment,
    Agree,
    Reserve,
}

/// Reads a step about minutes.
///
/// # Errors
/// All its faults.
pub fn read_minutes_step(document: &Document) -> Result<MinutesStep, Faults> {
    let names = [("comment", Name::Comment), ("agree", Name::Agree), ("reserve", Name::Reserve)];
    document.read(|form| match form.choice("step", &names)? {
        Name::Comment => {
            let item = form.parsed_optional("item", "agreed-not-code");
            Some(MinutesStep::Comment { item, texts: form.required("texts")? })
        }
        Name::Agree => Some(MinutesStep::Agree),
        Name::Reserve => Some(MinutesStep::Reserve { texts: form.required("texts")? }),
    })
}

/// Where minutes stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MinutesPhase {
    /// A draft is there.
    Drafted,
    /// A party has commented on the draft in force, or agreed to it, or reserved its position.
    Commented,
    /// Every party has agreed or reserved its position. Nothing changes them any more.
    Agreed,
}

/// A party's agreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// The entry.
    pub entry: EntryId,
    /// When.
    pub at: Timestamp,
    /// What stands beside the minutes.
    pub reservation: Option<Texts>,
}

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comment {
    /// The entry.
    pub entry: EntryId,
    /// The party.
    pub by: Code,
    /// When.
    pub at: Timestamp,
    /// The item.
    pub item: Option<Code>,
    /// What it says.
    pub texts: Texts,
}

/// A draft with what was said about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Revision {
    /// The entry.
    pub entry: EntryId,
    /// The party that wrote it.
    pub by: Code,
    /// When.
    pub at: Timestamp,
    /// What it says.
    pub draft: Draft,
    /// Comments on it.
    pub comments: Vec<Comment>,
    /// Which parties agreed to it. When a later draft is there, these are history.
    pub agreements: BTreeMap<Code, Agreement>,
}

/// The minutes of a meeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Minutes {
    /// The entry of the first draft.
    pub id: EntryId,
    /// The meeting.
    pub meeting: EntryId,
    /// The body that met.
    pub body: Code,
    /// Whether they are meant.
    pub status: Status,
    /// Where they stand.
    pub phase: MinutesPhase,
    /// The drafts before the one in force.
    pub earlier: Vec<Revision>,
    /// The draft in force; when agreed, the agreed text.
    pub current: Revision,
    /// Everything that was said about them, with what came of it.
    pub history: Vec<Moment>,
}

impl Minutes {
    /// The minutes that an act of kind `minutes` about a meeting opens.
    ///
    /// # Errors
    /// Why the act has no effect.
    pub fn open(
        said: &Said<'_>,
        meeting: &mut Meeting,
        parties: &Parties,
    ) -> Result<(Self, Vec<Event>), Void> {
        let result = Self::opened(said, meeting, parties);
        meeting.history.push(Moment::of(said, parties, &result));
        result
    }

    fn opened(said: &Said<'_>, meeting: &mut Meeting, parties: &Parties) -> Result<(Self, Vec<Event>), Void> {
        let by = parties.speaker(said)?;
        if meeting.phase != MeetingPhase::Held {
            return Err(Void::plain("minutes-not-held"));
        }
        if meeting.minutes.is_some() {
            return Err(Void::plain("minutes-exist"));
        }
        let draft = read(said, parties)?;
        if draft.revision != 1 {
            return Err(Void::plain("minutes-first-revision"));
        }
        let minutes = Self {
            id: said.id,
            meeting: meeting.id,
            body: meeting.convening().body.clone(),
            status: meeting.convening().status,
            phase: MinutesPhase::Drafted,
            earlier: Vec::new(),
            current: Revision::new(said, by, draft),
            history: vec![Moment::of(said, parties, &Ok(()))],
        };
        meeting.minutes = Some(said.id);
        let event = minutes.event(said, EventKind::MinutesDrafted);
        Ok((minutes, vec![event]))
    }

    /// Whether this entry is one of the drafts.
    pub fn has_revision(&self, entry: EntryId) -> bool {
        self.current.entry == entry || self.earlier.iter().any(|revision| revision.entry == entry)
    }

    /// Reservations that stand beside the agreed text.
    pub fn reservations(&self) -> impl Iterator<Item = (&Code, &Texts)> {
        let agreements = self.current.agreements.iter();
        agreements.filter_map(|(party, agreement)| Some((party, agreement.reservation.as_ref()?)))
    }

    /// Takes a further draft or a step about one of the drafts. What is void is in the history all the same.
    ///
    /// # Errors
    /// Why it has no effect; the minutes then stand where they stood.
    pub fn apply(&mut self, said: &Said<'_>, parties: &Parties) -> Result<Vec<Event>, Void> {
        let result = match said.step() {
            Some(_) => self.step(said, parties),
            None => self.revise(said, parties),
        };
        self.history.push(Moment::of(said, parties, &result));
        result
    }

    fn revise(&mut self, said: &Said<'_>, parties: &Parties) -> Result<Vec<Event>, Void> {
        let by = parties.speaker(said)?;
        self.must_be_open()?;
        let draft = read(said, parties)?;
        if self.current.draft.revision.checked_add(1) != Some(draft.revision) {
            let last = self.current.draft.revision.to_string();
            return Err(Void::with("minutes-revision-taken", &[("last", &last)]));
        }
        let revision = Revision::new(said, by, draft);
        self.earlier.push(std::mem::replace(&mut self.current, revision));
        self.phase = MinutesPhase::Drafted;
        Ok(vec![self.event(said, EventKind::MinutesDrafted)])
    }

    fn step(&mut self, said: &Said<'_>, parties: &Parties) -> Result<Vec<Event>, Void> {
        let by = parties.speaker(said)?;
        let step = read_minutes_step(&said.form()).map_err(|faults| unreadable(&faults))?;
        self.must_be_open()?;
        if said.of != Some(self.current.entry) {
            let last = self.current.draft.revision.to_string();
            return Err(Void::with("minutes-older-revision", &[("last", &last)]));
        }
        let reservation = match step {
            MinutesStep::Comment { item, texts } => {
                let known = |id: &Code| self.current.draft.items.iter().any(|item| item.id == *id);
                if let Some(stranger) = item.as_ref().filter(|id| !known(id)) {
                    return Err(Void::with("minutes-no-such-item", &[("item", stranger.as_str())]));
                }
                let (entry, at) = (said.id, said.time);
                self.current.comments.push(Comment { entry, by, at, item, texts });
                self.phase = MinutesPhase::Commented;
                return Ok(Vec::new());
            }
            MinutesStep::Agree => None,
            MinutesStep::Reserve { texts } => Some(texts),
        };
        if self.current.agreements.contains_key(&by) {
            return Err(Void::plain("minutes-answered"));
        }
        self.current.agreements.insert(by, Agreement { entry: said.id, at: said.time, reservation });
        self.phase = MinutesPhase::Commented;
        if parties.codes().all(|code| self.current.agreements.contains_key(code)) {
            self.phase = MinutesPhase::Agreed;
            return Ok(vec![self.event(said, EventKind::MinutesAgreed)]);
        }
        Ok(Vec::new())
    }

    fn must_be_open(&self) -> Result<(), Void> {
        if self.phase == MinutesPhase::Agreed { Err(Void::plain("minutes-are-agreed")) } else { Ok(()) }
    }

    fn event(&self, said: &Said<'_>, kind: EventKind) -> Event {
        let by = said.author.clone();
        Event { kind, subject: self.meeting, entry: said.id, by, at: said.time, status: self.status }
    }
}

impl Revision {
    fn new(said: &Said<'_>, by: Code, draft: Draft) -> Self {
        let agreements = BTreeMap::new();
        Self { entry: said.id, by, at: said.time, draft, comments: Vec::new(), agreements }
    }
}

/// Reads a draft and checks it against the parties.
fn read(said: &Said<'_>, parties: &Parties) -> Result<Draft, Void> {
    let draft = read_draft(&said.form()).map_err(|faults| unreadable(&faults))?;
    for item in &draft.items {
        parties.must_be_in_all_languages(&item.texts)?;
    }
    for decision in &draft.decisions {
        parties.must_be_in_all_languages(&decision.texts)?;
        for terms in &decision.commitments {
            terms.must_suit(parties)?;
        }
    }
    Ok(draft)
}
