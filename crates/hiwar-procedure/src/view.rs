//! The procedures of one dialogue, read from its entries.

use std::collections::{BTreeMap, BTreeSet};

use hiwar_dialogue::entry::{ActKind, Body, EntryId};
use hiwar_form::Faults;
use hiwar_trust::did::Did;
use serde::Serialize;

use crate::act::{Said, Void};
use crate::event::{Event, EventKind};
use crate::history::{Held, in_order};
use crate::notice::{self, Notices};

/// Everything that the entries of a dialogue say about procedures.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Procedures {
    /// Its notices.
    pub notices: Notices,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// Acts that have no effect where they stand, with the reason.
    pub void: BTreeMap<EntryId, Void>,
    /// What each act belongs to.
    #[serde(skip)]
    kinds: BTreeMap<EntryId, ActKind>,
    /// Acts that their author took back.
    #[serde(skip)]
    withdrawn: BTreeSet<EntryId>,
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
        let mut state = Self::default();
        for one in in_order(held) {
            state.take(one);
        }
        state
    }

    fn take(&mut self, held: &Held) {
        let entry = &held.entry.entry;
        match &entry.body {
            Body::Act(_) => {
                let Some(said) = Said::of(held) else { return };
                match self.act(&said) {
                    Ok(events) => self.note(events),
                    Err(void) => drop(self.void.insert(said.id, void)),
                }
            }
            Body::Acknowledgement(about) => {
                let event = self.notices.acknowledged(&about.of, held.entry.id, &entry.author, entry.time);
                self.note(event.into_iter().collect());
            }
            Body::Withdrawal(about) => self.withdraw(&about.of, &entry.author),
            Body::Statement(_)
            | Body::Attachment(_)
            | Body::Correction(_)
            | Body::Dispute(_)
            | Body::Membership(_)
            | Body::Assent(_)
            | Body::Refusal(_) => {}
        }
    }

    fn act(&mut self, said: &Said<'_>) -> Result<Vec<Event>, Void> {
        let kind = match said.kind {
            // A step belongs where the act belongs that it is about.
            ActKind::Step => {
                let of = said.of.ok_or_else(|| Void::plain("step-about-nothing"))?;
                self.kinds.get(&of).copied().ok_or_else(|| Void::plain("step-about-nothing"))?
            }
            kind => kind,
        };
        self.kinds.insert(said.id, kind);
        match (kind, said.kind) {
            (ActKind::Notice, ActKind::Step) => self.notices.step(said),
            (ActKind::Notice, _) => self.notices.apply(said),
            _ => Ok(Vec::new()),
        }
    }

    /// Whether an act's content has the form of its kind.
    ///
    /// # Errors
    /// All faults, each with its field.
    pub fn must_read(&self, said: &Said<'_>) -> Result<(), Faults> {
        match said.kind {
            ActKind::Notice => notice::read(&said.form()).map(drop),
            _ => Ok(()),
        }
    }

    /// What an act would do if it came next.
    ///
    /// # Errors
    /// Why it would have no effect.
    pub fn would(&self, said: &Said<'_>) -> Result<Would, Void> {
        let events = self.clone().act(said)?;
        Ok(Would { events, needs_release: false })
    }

    fn withdraw(&mut self, of: &EntryId, by: &Did) {
        self.withdrawn.insert(*of);
        self.notices.withdrawn(of, by);
    }

    fn note(&mut self, events: Vec<Event>) {
        self.events.extend(events);
    }

    /// Events of one kind.
    pub fn events_of(&self, kind: &EventKind) -> impl Iterator<Item = &Event> {
        let kind = kind.clone();
        self.events.iter().filter(move |event| event.kind == kind)
    }
}
