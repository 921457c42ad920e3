//! What a desk asks for: new entries, made, signed, kept and queued for every party.

use std::collections::BTreeSet;

use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;

use super::{Engine, EngineError};
use crate::entry::{
    About, Act, Attachment, Body, DialogueId, Entry, EntryError, EntryId, Membership, SignedEntry, Texts,
    Words,
};
use crate::ledger::{DialogueRecord, MembershipState, Seq, Standing, StoreError, View};
use crate::limits;
use crate::marking::Marking;

/// What a desk asks for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Open a dialogue.
    Open {
        /// What it is about.
        title: Texts,
        /// The other parties.
        with: Vec<Did>,
        /// The arrangement it stands under.
        arrangement: String,
        /// The most restricted marking allowed in it.
        cap: Marking,
    },
    /// Say something, with or without files.
    Say {
        /// The dialogue.
        dialogue: DialogueId,
        /// The entry's marking.
        marking: Marking,
        /// The words.
        words: Words,
        /// Files, already stored here.
        attachments: Vec<Attachment>,
    },
    /// Open or move a procedure. Whether the act has an effect where it stands is for `hiwar-procedure`.
    Act {
        /// The dialogue.
        dialogue: DialogueId,
        /// The entry's marking.
        marking: Marking,
        /// The act.
        act: Act,
        /// Files, already stored here.
        attachments: Vec<Attachment>,
    },
    /// Put an own entry right.
    Correct {
        /// The entry.
        of: EntryId,
        /// The right words.
        words: Words,
    },
    /// Take an own entry back.
    Withdraw {
        /// The entry.
        of: EntryId,
        /// Why.
        words: Words,
    },
    /// Contradict another party's entry.
    Dispute {
        /// The entry.
        of: EntryId,
        /// The other version.
        words: Words,
    },
    /// Confirm that the desk has taken note.
    Acknowledge {
        /// The entry.
        of: EntryId,
        /// Anything to add.
        words: Words,
    },
    /// Propose another membership.
    ChangeMembership {
        /// The dialogue.
        dialogue: DialogueId,
        /// All parties from then on.
        parties: Vec<Did>,
        /// The cap from then on.
        cap: Marking,
        /// The title from then on; the present one when empty.
        title: Texts,
    },
    /// Assent to a membership.
    Assent {
        /// The membership's entry.
        of: EntryId,
    },
    /// Decline a membership.
    Refuse {
        /// The membership's entry.
        of: EntryId,
        /// Why.
        words: Words,
    },
}

/// A command with who gives it.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The desk that acts.
    pub desk: String,
    /// What it asks for.
    pub command: Command,
    /// 128 random bits for the entry.
    pub nonce: [u8; 16],
}

/// Why a command was not carried out. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The dialogue is not held here.
    #[error("there is no dialogue {0} on this node; `hiwar dialogue list` shows those there are")]
    UnknownDialogue(DialogueId),
    /// The entry is not held here.
    #[error("there is no entry {0} on this node")]
    UnknownEntry(EntryId),
    /// A party is not a peer.
    #[error("{0} is no active peer of this node; add its invitation with `hiwar peer add` first")]
    UnknownParty(Did),
    /// Not everybody has assented yet.
    #[error("the dialogue is not open yet; still to assent: {}", list(.0))]
    NotOpen(BTreeSet<Did>),
    /// This participant is no party.
    #[error("this participant is no party of the membership in force")]
    NotAParty,
    /// The marking is above the cap.
    #[error("the marking {marking} is above the dialogue's cap {cap}; lower it, or propose another cap")]
    AboveCap {
        /// The marking.
        marking: Marking,
        /// The cap.
        cap: Marking,
    },
    /// Only the author may do this.
    #[error("entry {0} is by another party; dispute it instead")]
    NotTheAuthor(EntryId),
    /// The author may not do this.
    #[error("entry {0} is this party's own; correct or withdraw it instead")]
    OwnEntry(EntryId),
    /// Not a membership.
    #[error("entry {0} proposes no membership")]
    NoMembership(EntryId),
    /// Already said.
    #[error(
        "this party has already spoken about membership {0}, or about another one that replaces the same"
    )]
    AlreadySpoken(EntryId),
    /// Nobody could tell any more what is to be decided.
    #[error("membership {0} has too many proposals to replace it; assent to one of them or refuse them")]
    TooManyProposals(EntryId),
    /// A file is not here.
    #[error("the file {0:?} is not stored on this node; upload it first")]
    MissingFile(String),
    /// The entry breaks a rule.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The engine cannot act.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

fn list(dids: &BTreeSet<Did>) -> String {
    dids.iter().map(Did::as_str).collect::<Vec<_>>().join(", ")
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self::Engine(EngineError::Store(error))
    }
}

impl CommandError {
    /// Stable code of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownDialogue(_) => "unknown-dialogue",
            Self::UnknownEntry(_) => "unknown-entry",
            Self::UnknownParty(_) => "unknown-party",
            Self::NotOpen(_) => "not-open",
            Self::NotAParty => "not-a-party",
            Self::AboveCap { .. } => "above-cap",
            Self::NotTheAuthor(_) => "not-the-author",
            Self::OwnEntry(_) => "own-entry",
            Self::NoMembership(_) => "no-membership",
            Self::AlreadySpoken(_) => "already-spoken",
            Self::TooManyProposals(_) => "too-many-proposals",
            Self::MissingFile(_) => "missing-file",
            Self::Entry(_) => "bad-entry",
            Self::Engine(EngineError::Store(StoreError::Full(_))) => "disk-full",
            Self::Engine(EngineError::Halted(_)) => "halted",
            Self::Engine(_) => "internal",
        }
    }
}

fn must_be_stored(view: &dyn View, attachments: &[Attachment]) -> Result<(), CommandError> {
    for file in attachments {
        if view.attachment(&file.sha256)?.is_none() {
            return Err(CommandError::MissingFile(file.name.clone()));
        }
    }
    Ok(())
}

/// An entry about another one: where it goes.
struct Target {
    dialogue: DialogueId,
    author: Did,
    marking: Marking,
}

impl Engine {
    /// Carries out a command: the entry is made, signed, kept, logged and queued for all parties.
    ///
    /// # Errors
    /// Why not; nothing is changed then.
    pub fn command(
        &mut self,
        view: &dyn View,
        draft: Draft,
        now: Timestamp,
    ) -> Result<(Seq, SignedEntry), CommandError> {
        if let Some(reason) = &self.halted {
            return Err(EngineError::Halted(reason.clone()).into());
        }
        let Draft { desk, command, nonce } = draft;
        let entry = match command {
            Command::Open { title, with, arrangement, cap } => {
                self.opening(desk, title, with, arrangement, cap, nonce, now)?
            }
            Command::Say { dialogue, marking, words, attachments } => {
                must_be_stored(view, &attachments)?;
                let body =
                    if words.texts.is_empty() { Body::Attachment(words) } else { Body::Statement(words) };
                let mut entry = self.in_dialogue(dialogue, desk, marking, body, nonce, now)?;
                entry.attachments = attachments;
                entry
            }
            Command::Act { dialogue, marking, act, attachments } => {
                must_be_stored(view, &attachments)?;
                let mut entry = self.in_dialogue(dialogue, desk, marking, Body::Act(act), nonce, now)?;
                entry.attachments = attachments;
                entry
            }
            Command::Correct { of, words } => {
                let target = self.own_target(view, of)?;
                self.in_dialogue(
                    target.dialogue,
                    desk,
                    target.marking,
                    Body::Correction(About { of, words }),
                    nonce,
                    now,
                )?
            }
            Command::Withdraw { of, words } => {
                let target = self.own_target(view, of)?;
                self.in_dialogue(
                    target.dialogue,
                    desk,
                    target.marking,
                    Body::Withdrawal(About { of, words }),
                    nonce,
                    now,
                )?
            }
            Command::Dispute { of, words } => {
                let target = self.foreign_target(view, of)?;
                self.in_dialogue(
                    target.dialogue,
                    desk,
                    target.marking,
                    Body::Dispute(About { of, words }),
                    nonce,
                    now,
                )?
            }
            Command::Acknowledge { of, words } => {
                let target = self.foreign_target(view, of)?;
                self.in_dialogue(
                    target.dialogue,
                    desk,
                    target.marking,
                    Body::Acknowledgement(About { of, words }),
                    nonce,
                    now,
                )?
            }
            Command::ChangeMembership { dialogue, parties, cap, title } => {
                self.change(dialogue, desk, parties, cap, title, nonce, now)?
            }
            Command::Assent { of } => {
                let about = About { of, words: Words::default() };
                self.voice(of, desk, Body::Assent(about), nonce, now)?
            }
            Command::Refuse { of, words } => {
                self.voice(of, desk, Body::Refusal(About { of, words }), nonce, now)?
            }
        };
        let key = self.own_key;
        let signed = SignedEntry::sign(entry, &*self.keys.organisation, key)?;
        let (seq, _) = self.keep(view, signed.clone(), None, now)?;
        Ok((seq, signed))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "each is a member of the entry; a struct would only repeat Entry"
    )]
    fn opening(
        &self,
        desk: String,
        title: Texts,
        with: Vec<Did>,
        arrangement: String,
        cap: Marking,
        nonce: [u8; 16],
        now: Timestamp,
    ) -> Result<Entry, CommandError> {
        let mut parties: BTreeSet<Did> = with.into_iter().collect();
        parties.insert(self.did().clone());
        self.must_know(&parties)?;
        let membership = Membership { title, parties: parties.into_iter().collect(), cap, replaces: None };
        Ok(Entry {
            author: self.did().clone(),
            desk,
            dialogue: None,
            membership: None,
            arrangement,
            marking: cap.min(Marking::Green),
            time: now,
            prev: Vec::new(),
            nonce,
            attachments: Vec::new(),
            body: Body::Membership(membership),
        })
    }

    /// An entry in an open dialogue, linked to what this node has seen of it.
    fn in_dialogue(
        &self,
        dialogue: DialogueId,
        desk: String,
        marking: Marking,
        body: Body,
        nonce: [u8; 16],
        now: Timestamp,
    ) -> Result<Entry, CommandError> {
        let record = self.dialogues.get(&dialogue).ok_or(CommandError::UnknownDialogue(dialogue))?;
        let state = record.current().ok_or(CommandError::UnknownDialogue(dialogue))?;
        if !record.is_complete(state) {
            return Err(CommandError::NotOpen(
                record.concerned(state).difference(&state.assents).cloned().collect(),
            ));
        }
        if !state.membership.parties.contains(self.did()) {
            return Err(CommandError::NotAParty);
        }
        if marking > state.membership.cap {
            return Err(CommandError::AboveCap { marking, cap: state.membership.cap });
        }
        Ok(self.linked(record, state, desk, marking, body, nonce, now))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "each is a member of the entry; a struct would only repeat Entry"
    )]
    fn linked(
        &self,
        record: &DialogueRecord,
        state: &MembershipState,
        desk: String,
        marking: Marking,
        body: Body,
        nonce: [u8; 16],
        now: Timestamp,
    ) -> Entry {
        Entry {
            author: self.did().clone(),
            desk,
            dialogue: Some(record.id),
            membership: Some(state.entry),
            arrangement: state.arrangement.clone(),
            marking,
            time: now,
            prev: record.heads.iter().take(limits::PREV_MAX).copied().collect(),
            nonce,
            attachments: Vec::new(),
            body,
        }
    }

    fn target(&self, view: &dyn View, of: EntryId) -> Result<Target, CommandError> {
        let seq = view.find(&of)?.ok_or(CommandError::UnknownEntry(of))?;
        let stored = view.entry(seq)?.ok_or(CommandError::UnknownEntry(of))?;
        let signed = stored.signed()?;
        Ok(Target {
            dialogue: stored.dialogue,
            author: signed.entry.author.clone(),
            marking: signed.entry.marking,
        })
    }

    fn own_target(&self, view: &dyn View, of: EntryId) -> Result<Target, CommandError> {
        let target = self.target(view, of)?;
        if target.author == *self.did() { Ok(target) } else { Err(CommandError::NotTheAuthor(of)) }
    }

    fn foreign_target(&self, view: &dyn View, of: EntryId) -> Result<Target, CommandError> {
        let target = self.target(view, of)?;
        if target.author == *self.did() { Err(CommandError::OwnEntry(of)) } else { Ok(target) }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "each is a member of the entry; a struct would only repeat Entry"
    )]
    fn change(
        &self,
        dialogue: DialogueId,
        desk: String,
        parties: Vec<Did>,
        cap: Marking,
        title: Texts,
        nonce: [u8; 16],
        now: Timestamp,
    ) -> Result<Entry, CommandError> {
        let record = self.dialogues.get(&dialogue).ok_or(CommandError::UnknownDialogue(dialogue))?;
        let state = record.current().ok_or(CommandError::UnknownDialogue(dialogue))?;
        let parties: BTreeSet<Did> = parties.into_iter().collect();
        self.must_know(&parties)?;
        let rivals = record.memberships.iter().filter(|m| m.membership.replaces == Some(state.entry));
        if rivals.clone().count() >= limits::PROPOSALS_MAX {
            return Err(CommandError::TooManyProposals(state.entry));
        }
        if rivals.into_iter().any(|m| m.assents.contains(self.did())) {
            return Err(CommandError::AlreadySpoken(state.entry));
        }
        let title = if title.is_empty() { state.membership.title.clone() } else { title };
        let membership =
            Membership { title, parties: parties.into_iter().collect(), cap, replaces: Some(state.entry) };
        let marking = cap.min(state.membership.cap).min(Marking::Green);
        self.in_dialogue(dialogue, desk, marking, Body::Membership(membership), nonce, now)
    }

    /// Assent or refusal: allowed to everyone concerned, also before the dialogue is open.
    fn voice(
        &self,
        of: EntryId,
        desk: String,
        body: Body,
        nonce: [u8; 16],
        now: Timestamp,
    ) -> Result<Entry, CommandError> {
        let record = self
            .membership_index
            .get(&of)
            .and_then(|d| self.dialogues.get(d))
            .ok_or(CommandError::NoMembership(of))?;
        let proposal = record.membership(&of).ok_or(CommandError::NoMembership(of))?;
        let concerned = record.concerned(proposal);
        if !concerned.contains(self.did()) {
            return Err(CommandError::NotAParty);
        }
        if matches!(body, Body::Assent(_)) {
            self.must_know(&concerned)?;
        }
        let spoken = record.memberships.iter().any(|m| {
            let rival = m.entry == of
                || (m.membership.replaces.is_some() && m.membership.replaces == proposal.membership.replaces);
            rival && (m.assents.contains(self.did()) || (m.entry == of && m.refusals.contains(self.did())))
        });
        if spoken {
            return Err(CommandError::AlreadySpoken(of));
        }
        // A new party stands under the membership it is asked to join, the others under the one
        // that is in force.
        let under =
            record.current().filter(|m| m.membership.parties.contains(self.did())).unwrap_or(proposal);
        Ok(self.linked(record, under, desk, under.membership.cap.min(Marking::Green), body, nonce, now))
    }

    fn must_know(&self, parties: &BTreeSet<Did>) -> Result<(), CommandError> {
        for did in parties {
            let known = *did == *self.did()
                || self.peers.get(did).is_some_and(|p| matches!(p.record.standing, Standing::Active));
            if !known {
                return Err(CommandError::UnknownParty(did.clone()));
            }
        }
        Ok(())
    }
}
