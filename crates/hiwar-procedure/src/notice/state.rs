//! What became of each notice.

use std::collections::BTreeMap;

use hiwar_dialogue::entry::EntryId;
use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;
use serde::Serialize;

use super::model::{Kind, Notice};
use crate::act::{Said, Void};
use crate::event::{Event, EventKind};
use crate::status::Status;

/// Where a notice stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It was sent and nobody has answered.
    Sent,
    /// Somebody has answered or offered help.
    Answered,
    /// A meeting that it asks for is convened.
    MeetingConvened,
    /// That meeting was held.
    MeetingHeld,
    /// What was done is being watched.
    Monitoring,
    /// Its author has closed it.
    Closed,
    /// Its author has taken it back.
    Withdrawn,
}

/// An answer or offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reply {
    /// Its entry.
    pub entry: EntryId,
    /// Who says it.
    pub by: Did,
    /// When.
    pub at: Timestamp,
    /// What it says.
    pub notice: Notice,
    /// For an offer, whether the one who asked has taken it; absent while it has not decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<bool>,
}

/// A notice with what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NoticeState {
    /// Its first entry, by which it is called.
    pub id: EntryId,
    /// Who sent it.
    pub author: Did,
    /// The desk.
    pub desk: String,
    /// When it was sent: by its entry's claim, or when it was said before it could be entered.
    pub at: Timestamp,
    /// What it says now.
    pub notice: Notice,
    /// Its versions with their entries: the first, then its corrections.
    pub versions: Vec<(EntryId, Notice)>,
    /// Where it stands.
    pub stage: Stage,
    /// To which body it has risen, when it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risen_to: Option<String>,
    /// Whose desks have taken note, and when.
    pub acknowledged: BTreeMap<Did, Timestamp>,
    /// Answers and offers, oldest first.
    pub replies: Vec<Reply>,
    /// Meetings that it led to.
    pub meetings: Vec<EntryId>,
}

impl NoticeState {
    /// Whether nothing more is expected to happen.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Closed | Stage::Withdrawn)
    }

    fn event(&self, kind: EventKind, said: (EntryId, &Did), at: Timestamp) -> Event {
        Event { kind, subject: self.id, entry: said.0, by: said.1.clone(), at, status: self.notice.status }
    }
}

/// All notices of a dialogue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Notices {
    /// By their first entry.
    pub notices: BTreeMap<EntryId, NoticeState>,
    /// The notice that a correction, answer or offer belongs to.
    #[serde(skip)]
    belongs: BTreeMap<EntryId, EntryId>,
}

impl Notices {
    /// The notice that an entry is, corrects, answers or offers on.
    pub fn of(&self, entry: &EntryId) -> Option<&NoticeState> {
        self.notices.get(self.belongs.get(entry).unwrap_or(entry))
    }

    fn of_mut(&mut self, entry: &EntryId) -> Option<&mut NoticeState> {
        let id = *self.belongs.get(entry).unwrap_or(entry);
        self.notices.get_mut(&id)
    }

    /// Takes a notice in.
    ///
    /// # Errors
    /// Why it has no effect where it stands.
    pub fn apply(&mut self, said: &Said<'_>) -> Result<Vec<Event>, Void> {
        let notice = super::read(&said.form()).map_err(|faults| Void::faults(&faults))?;
        let at = said.time;
        if notice.correction {
            return self.correct(said, notice);
        }
        if notice.is_reply() {
            return self.reply(said, notice, at);
        }
        if said.of.is_some() {
            return Err(Void::with("notice-stands-alone", &[("kind", notice.kind.as_str())]));
        }
        let state = NoticeState {
            id: said.id,
            author: said.author.clone(),
            desk: said.desk.to_owned(),
            at,
            versions: vec![(said.id, notice.clone())],
            stage: Stage::Sent,
            risen_to: None,
            acknowledged: BTreeMap::new(),
            replies: Vec::new(),
            meetings: Vec::new(),
            notice,
        };
        let sent = state.event(EventKind::Notice(state.notice.kind.to_string()), (said.id, said.author), at);
        self.notices.insert(said.id, state);
        Ok(vec![sent])
    }

    fn correct(&mut self, said: &Said<'_>, notice: Notice) -> Result<Vec<Event>, Void> {
        let of = said.of.ok_or_else(|| Void::plain("correction-names-nothing"))?;
        let state = self.of_mut(&of).ok_or_else(|| Void::plain("no-such-notice"))?;
        if let Some(reply) = state.replies.iter_mut().find(|reply| reply.entry == of) {
            if reply.by != *said.author {
                return Err(Void::plain("not-the-author"));
            }
            if reply.notice.kind != notice.kind || reply.notice.status != notice.status {
                return Err(Void::plain("correction-changes-kind"));
            }
            reply.notice = notice;
            let id = state.id;
            self.belongs.insert(said.id, id);
            return Ok(Vec::new());
        }
        if state.author != *said.author {
            return Err(Void::plain("not-the-author"));
        }
        if state.is_over() {
            return Err(Void::plain("notice-is-over"));
        }
        // An exercise that is corrected into the real thing would be taken for a drill, and the other way round.
        if state.notice.kind != notice.kind || state.notice.status != notice.status {
            return Err(Void::plain("correction-changes-kind"));
        }
        state.versions.push((said.id, notice.clone()));
        state.notice = notice;
        let id = state.id;
        self.belongs.insert(said.id, id);
        Ok(Vec::new())
    }

    fn reply(&mut self, said: &Said<'_>, notice: Notice, at: Timestamp) -> Result<Vec<Event>, Void> {
        let of = said.of.ok_or_else(|| Void::plain("reply-names-nothing"))?;
        let state = self.of_mut(&of).ok_or_else(|| Void::plain("no-such-notice"))?;
        if state.author == *said.author {
            return Err(Void::plain("own-notice"));
        }
        if state.is_over() {
            return Err(Void::plain("notice-is-over"));
        }
        must_be_same(state.notice.status, notice.status)?;
        if notice.kind == Kind::Offer && state.notice.kind == Kind::InformationRequest {
            return Err(Void::plain("offer-on-a-question"));
        }
        state.stage = state.stage.max(Stage::Answered);
        let kind = if notice.kind == Kind::Offer { EventKind::Offered } else { EventKind::Answered };
        let event = state.event(kind, (said.id, said.author), at);
        state.replies.push(Reply { entry: said.id, by: said.author.clone(), at, notice, taken: None });
        let id = state.id;
        self.belongs.insert(said.id, id);
        Ok(vec![event])
    }

    /// Takes a step on a notice in: `take-offer`, `decline-offer`, `rise`, `monitor`, `close`.
    ///
    /// # Errors
    /// Why it has no effect where it stands.
    pub fn step(&mut self, said: &Said<'_>) -> Result<Vec<Event>, Void> {
        let of = said.of.ok_or_else(|| Void::plain("no-such-notice"))?;
        let state = self.of_mut(&of).ok_or_else(|| Void::plain("no-such-notice"))?;
        if state.is_over() {
            return Err(Void::plain("notice-is-over"));
        }
        let is_author = state.author == *said.author;
        match said.step() {
            Some(step @ ("take-offer" | "decline-offer")) => {
                if !is_author {
                    return Err(Void::plain("not-the-author"));
                }
                let offer = state.replies.iter_mut().find(|reply| reply.entry == of);
                let offer = offer.filter(|reply| reply.notice.kind == Kind::Offer);
                let offer = offer.ok_or_else(|| Void::plain("no-such-offer"))?;
                if offer.taken.is_some() {
                    return Err(Void::plain("offer-was-decided"));
                }
                offer.taken = Some(step == "take-offer");
            }
            // Any party may say that a matter is for a higher body.
            Some("rise") => {
                let to = said.content.get("to").and_then(serde_json::Value::as_str);
                state.risen_to = Some(to.ok_or_else(|| Void::plain("rise-names-no-body"))?.to_owned());
            }
            Some("monitor") if is_author => state.stage = Stage::Monitoring,
            Some("close") if is_author => state.stage = Stage::Closed,
            Some("monitor" | "close") => return Err(Void::plain("not-the-author")),
            other => return Err(Void::with("no-such-step", &[("step", other.unwrap_or_default())])),
        }
        Ok(Vec::new())
    }

    /// A desk has taken note of an entry.
    pub fn acknowledged(&mut self, of: &EntryId, entry: EntryId, by: &Did, at: Timestamp) -> Option<Event> {
        let state = self.of_mut(of)?;
        if state.author == *by
            || state.acknowledged.contains_key(by)
            || state.replies.iter().any(|r| r.entry == *of)
        {
            return None;
        }
        state.acknowledged.insert(by.clone(), at);
        Some(state.event(EventKind::Acknowledged, (entry, by), at))
    }

    /// The author has taken an entry back.
    pub fn withdrawn(&mut self, of: &EntryId, by: &Did) {
        let Some(state) = self.of_mut(of) else { return };
        if state.replies.iter().any(|reply| reply.entry == *of && reply.by == *by) {
            state.replies.retain(|reply| reply.entry != *of);
            return;
        }
        if state.author == *by && !state.is_over() {
            state.stage = Stage::Withdrawn;
        }
    }

    /// A meeting that a notice asked for was convened or held.
    pub fn met(&mut self, notice: &EntryId, event: &Event) {
        let Some(state) = self.of_mut(notice) else { return };
        let stage = match event.kind {
            EventKind::MeetingConvened => Stage::MeetingConvened,
            EventKind::MeetingHeld => Stage::MeetingHeld,
            _ => return,
        };
        if !state.is_over() {
            state.stage = state.stage.max(stage);
        }
        if !state.meetings.contains(&event.subject) {
            state.meetings.push(event.subject);
        }
    }
}

/// What speaks about an exercise is one, and nothing else is.
///
/// # Errors
/// When the two differ.
pub fn must_be_same(subject: Status, said: Status) -> Result<(), Void> {
    if subject == said {
        return Ok(());
    }
    Err(Void::with("other-status", &[("subject", subject.as_str()), ("said", said.as_str())]))
}
