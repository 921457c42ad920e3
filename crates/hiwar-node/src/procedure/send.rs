//! Whether an act may leave: its form, its effect where it would stand, its marking, who would read it.

use std::sync::Arc;

use hiwar_dialogue::entry::{Act, Attachment, DialogueId, EntryId};
use hiwar_dialogue::ledger::StoreError;
use hiwar_dialogue::marking::Marking;
use hiwar_form::Faults;
use hiwar_procedure::act::{Said, Void};
use hiwar_procedure::event::Event;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;

use super::{Dialogue, Procedure};
use crate::clock::now;
use crate::node::Shared;
use crate::writer::WriterError;

/// An act that a desk wants to send.
#[derive(Clone, Debug)]
pub(crate) struct ActAsked {
    /// The dialogue.
    pub(crate) dialogue: DialogueId,
    /// The desk.
    pub(crate) desk: String,
    /// The marking.
    pub(crate) marking: Marking,
    /// The act.
    pub(crate) act: Act,
    /// Its files.
    pub(crate) attachments: Vec<Attachment>,
}

/// What sending an act would do.
#[derive(Clone, Debug)]
pub(crate) struct Passage {
    /// Who would read it, beside this participant.
    pub(crate) audience: Vec<Did>,
    /// What would happen.
    pub(crate) events: Vec<Event>,
    /// Whether a second desk must release it.
    pub(crate) needs_release: bool,
}

/// Why an act may not leave.
#[derive(Debug)]
pub(crate) enum Refused {
    /// There is no such dialogue here.
    UnknownDialogue,
    /// Its content has faults.
    Form(Faults),
    /// It would have no effect where it would stand.
    Void(Void),
    /// The node cannot tell now.
    Writer(WriterError),
}

impl From<WriterError> for Refused {
    fn from(error: WriterError) -> Self {
        Self::Writer(error)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Writer(error.into())
    }
}

impl Procedure {
    /// Whether an act may leave now, and what it would do.
    pub(crate) async fn passage(&self, shared: &Arc<Shared>, asked: &ActAsked) -> Result<Passage, Refused> {
        let dialogue = self.dialogue(shared, asked.dialogue).await?.ok_or(Refused::UnknownDialogue)?;
        let Dialogue { view, membership, parties, .. } = dialogue;
        let audience = parties.into_iter().filter(|party| *party != shared.did).collect();
        let said = Said {
            // It has no entry yet, and nothing speaks about it.
            id: EntryId(Hash::of(b"")),
            author: &shared.did,
            desk: &asked.desk,
            time: now(),
            marking: asked.marking,
            kind: asked.act.kind,
            of: asked.act.of,
            words: &asked.act.words,
            content: &asked.act.content,
            attachments: &asked.attachments,
            membership: Some(membership),
        };
        view.procedures.must_read(&said).map_err(Refused::Form)?;
        let would = view.procedures.would(&said).map_err(Refused::Void)?;
        Ok(Passage { audience, events: would.events, needs_release: would.needs_release })
    }
}
