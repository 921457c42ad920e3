//! Four eyes: acts that a second desk must release before they leave.
//!
//! A draft bears the nonce that its entry will bear. When the node stops between the entry's commit and the
//! note that the draft became it, the entry is found again by the nonce and nothing is sent twice.

use std::sync::Arc;

use hiwar_dialogue::engine::{Command, CommandError, Draft};
use hiwar_dialogue::entry::EntryId;
use hiwar_dialogue::ledger::StoreError;
use hiwar_store::procedure::{ActDraft, Decision, DraftState, NewDraft};
use hiwar_trust::time::Timestamp;
use serde_json::json;

use super::{ActAsked, Procedure, Refused};
use crate::clock::{now, random};
use crate::desks::Caller;
use crate::node::Shared;
use crate::writer::{Carried, WriterError};

/// Who decides on a draft.
#[derive(Clone, Debug)]
pub(crate) struct Decided {
    /// The desk.
    pub(crate) desk: String,
    /// Whose token.
    pub(crate) caller: Caller,
    /// Why, in words.
    pub(crate) note: Option<String>,
}

/// What became of a draft.
#[derive(Debug)]
pub(crate) enum Released {
    /// It is this entry.
    Entry(EntryId),
    /// It was decided before.
    Decided(DraftState),
    /// The same desk, or the same token, drafted it.
    SameEyes,
    /// It may not leave (any more).
    Refused(Box<Refused>),
    /// The engine refuses it.
    Command(CommandError),
}

impl Procedure {
    /// Keeps an act until a second desk has decided; returns the draft's number.
    pub(crate) async fn draft(
        &self,
        asked: &ActAsked,
        caller: &Caller,
        action: String,
    ) -> Result<i64, WriterError> {
        let nonce: [u8; 16] = random().map_err(|error| StoreError::Failed(error.to_string()))?;
        let (dialogue, desk, operator) =
            (asked.dialogue.to_string(), asked.desk.clone(), *caller == Caller::Operator);
        let keep = self.keep(move |store| {
            store.draft(&NewDraft {
                dialogue: &dialogue,
                action: &action,
                nonce: &hex::encode(nonce),
                desk: &desk,
                operator,
                at: now(),
            })
        });
        Ok(keep.await?)
    }

    /// Drafts, newest first.
    pub(crate) async fn drafts(&self, waiting_only: bool, most: usize) -> Result<Vec<ActDraft>, StoreError> {
        self.keep(move |store| store.drafts(waiting_only, most)).await
    }

    /// A draft by its number.
    pub(crate) async fn draft_of(&self, id: i64) -> Result<Option<ActDraft>, StoreError> {
        self.keep(move |store| store.draft_by_id(id)).await
    }

    /// A second desk lets a draft go: `asked` is the act as it was drafted.
    pub(crate) async fn release(
        &self,
        shared: &Arc<Shared>,
        draft: &ActDraft,
        mut asked: ActAsked,
        by: &Decided,
    ) -> Result<Released, WriterError> {
        if draft.state != DraftState::Waiting {
            return Ok(Released::Decided(draft.state));
        }
        // Two desks and two tokens: the operator's token may act as any desk, but is one pair of eyes.
        let same_token = draft.operator && by.caller == Caller::Operator;
        if draft.desk == by.desk || same_token {
            return Ok(Released::SameEyes);
        }
        if let Some(entry) = self.entry_with(shared, &asked, &draft.nonce).await? {
            self.decide(draft.id, by, Some(entry)).await?;
            return Ok(Released::Entry(entry));
        }
        asked.act.content.insert("released-by".to_owned(), json!(by.desk));
        if let Err(refused) = self.passage(shared, &asked).await {
            return Ok(Released::Refused(Box::new(refused)));
        }
        let mut nonce = [0; 16];
        if hex::decode_to_slice(&draft.nonce, &mut nonce).is_err() {
            return Err(StoreError::Damaged(format!("draft {} has no nonce", draft.id)).into());
        }
        let ActAsked { dialogue, desk, marking, act, attachments } = asked;
        let command = Command::Act { dialogue, marking, act, attachments };
        let Carried { made, refused } = shared.writer.commands(vec![Draft { desk, command, nonce }]).await?;
        match (made.first(), refused) {
            (Some(made), _) => {
                self.decide(draft.id, by, Some(made.entry)).await?;
                Ok(Released::Entry(made.entry))
            }
            (None, Some(error)) => Ok(Released::Command(error)),
            (None, None) => Err(StoreError::Failed("nothing was made".to_owned()).into()),
        }
    }

    /// A second desk, or the one that drafted it, keeps a draft back for good.
    pub(crate) async fn refuse(&self, draft: &ActDraft, by: &Decided) -> Result<bool, StoreError> {
        self.decide(draft.id, by, None).await
    }

    async fn decide(&self, id: i64, by: &Decided, entry: Option<EntryId>) -> Result<bool, StoreError> {
        let by = by.clone();
        self.keep(move |store| {
            let entry = entry.map(|entry| entry.to_string());
            let at: Timestamp = now();
            store.decide(
                id,
                &Decision { desk: &by.desk, at, entry: entry.as_deref(), note: by.note.as_deref() },
            )
        })
        .await
    }

    /// The own entry of a dialogue that bears this nonce.
    async fn entry_with(
        &self,
        shared: &Arc<Shared>,
        asked: &ActAsked,
        nonce: &str,
    ) -> Result<Option<EntryId>, WriterError> {
        let view = self.view(shared, asked.dialogue).await?;
        let own = view.held.iter().find(|held| {
            held.entry.entry.author == shared.did && hex::encode(held.entry.entry.nonce) == nonce
        });
        Ok(own.map(|held| held.entry.id))
    }
}
