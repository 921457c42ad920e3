//! Who takes part in a dialogue, and under which membership.
//!
//! Every membership change is proposed in an entry and takes effect when all parties, old and new,
//! have assented. Which membership is in force follows from the set of entries held, not from the
//! order in which they came, so all nodes that hold the same entries agree.

use std::collections::{BTreeMap, BTreeSet};

use hiwar_trust::did::Did;

use super::Engine;
use crate::entry::{Body, DialogueId, EntryId, Membership, SignedEntry};
use crate::ledger::{DialogueRecord, MembershipState};
use crate::limits;

impl DialogueRecord {
    /// A membership of this dialogue.
    pub fn membership(&self, entry: &EntryId) -> Option<&MembershipState> {
        self.memberships.iter().find(|m| m.entry == *entry)
    }

    /// The membership in force.
    pub fn current(&self) -> Option<&MembershipState> {
        self.membership(&self.current)
    }

    /// Whether all parties have assented to the membership in force.
    pub fn is_open(&self) -> bool {
        self.current().is_some_and(|m| self.is_complete(m))
    }

    /// Everyone who must assent to `state`: its parties and those of the membership it replaces.
    pub fn concerned(&self, state: &MembershipState) -> BTreeSet<Did> {
        let before = state.membership.replaces.and_then(|id| self.membership(&id));
        let before = before.map(|m| m.membership.parties.as_slice()).unwrap_or_default();
        state.membership.parties.iter().chain(before).cloned().collect()
    }

    /// Whether everyone concerned has assented to `state`.
    pub fn is_complete(&self, state: &MembershipState) -> bool {
        self.concerned(state).is_subset(&state.assents)
    }

    /// Every participant of any membership, past, present or proposed.
    pub fn everyone(&self) -> BTreeSet<Did> {
        self.memberships.iter().flat_map(|m| m.membership.parties.iter().cloned()).collect()
    }

    /// Finds the membership in force: the last complete one along the replacements. One that all
    /// parties of the membership it replaces have assented to confirms that one as well, so a
    /// party that joined later need not hold every earlier assent. Of two complete replacements
    /// of one membership, which only a party that assents twice can cause, the one with the
    /// smaller identifier counts on every node.
    fn settle_current(&mut self) {
        let mut current = self.id;
        let mut at = self.id;
        while let Some(next) = self.next_towards_complete(at) {
            at = next;
            if self.membership(&at).is_some_and(|m| self.is_complete(m)) {
                current = at;
            }
        }
        self.current = current;
    }

    /// The replacement of `of` that is complete, or that leads to a complete one.
    fn next_towards_complete(&self, of: EntryId) -> Option<EntryId> {
        let leads = |start: &MembershipState| {
            let mut reached = BTreeSet::from([start.entry]);
            // A proposal comes after the one it replaces is held, so one pass reaches all.
            for m in &self.memberships {
                if m.membership.replaces.is_some_and(|r| reached.contains(&r)) {
                    reached.insert(m.entry);
                }
            }
            self.memberships.iter().any(|m| reached.contains(&m.entry) && self.is_complete(m))
        };
        let next = self.memberships.iter().filter(|m| m.membership.replaces == Some(of));
        next.filter(|m| leads(m)).map(|m| m.entry).min()
    }
}

impl Engine {
    /// Who must hold `entry`: all parties of the membership it stands under, and for a change of
    /// membership those of the new one as well.
    pub(super) fn audience(&self, entry: &SignedEntry) -> BTreeSet<Did> {
        let mut audience = BTreeSet::new();
        let record = self.dialogues.get(&entry.dialogue());
        if let Some(state) = record.and_then(|r| r.membership(&entry.membership())) {
            audience.extend(state.membership.parties.iter().cloned());
        }
        match &entry.entry.body {
            Body::Membership(m) => audience.extend(m.parties.iter().cloned()),
            Body::Assent(about) | Body::Refusal(about) => {
                if let Some((record, state)) = record.and_then(|r| Some((r, r.membership(&about.of)?))) {
                    audience.extend(record.concerned(state));
                }
            }
            Body::Statement(_)
            | Body::Attachment(_)
            | Body::Correction(_)
            | Body::Withdrawal(_)
            | Body::Dispute(_)
            | Body::Acknowledgement(_) => {}
        }
        audience.remove(self.did());
        audience
    }

    /// Takes note of what a newly held entry means for the dialogue's membership.
    pub(super) fn note_membership(&mut self, entry: &SignedEntry) {
        match &entry.entry.body {
            Body::Membership(m) => self.note_proposal(entry, m),
            Body::Assent(about) => self.note_voice(entry.dialogue(), about.of, &entry.entry.author, true),
            Body::Refusal(about) => self.note_voice(entry.dialogue(), about.of, &entry.entry.author, false),
            Body::Statement(_)
            | Body::Attachment(_)
            | Body::Correction(_)
            | Body::Withdrawal(_)
            | Body::Dispute(_)
            | Body::Acknowledgement(_) => {}
        }
    }

    fn note_proposal(&mut self, entry: &SignedEntry, membership: &Membership) {
        let dialogue = entry.dialogue();
        let state = MembershipState {
            entry: entry.id,
            author: entry.entry.author.clone(),
            arrangement: entry.entry.arrangement.clone(),
            membership: membership.clone(),
            assents: BTreeSet::from([entry.entry.author.clone()]),
            refusals: BTreeSet::new(),
        };
        let record = self.dialogues.entry(dialogue).or_insert_with(|| DialogueRecord {
            id: dialogue,
            memberships: Vec::new(),
            current: dialogue,
            heads: BTreeSet::new(),
            missing: BTreeMap::new(),
            entries: 0,
            updated: entry.entry.time,
        });
        if record.membership(&entry.id).is_none() && record.memberships.len() < limits::PROPOSALS_MAX {
            record.memberships.push(state);
            self.membership_index.insert(entry.id, dialogue);
        }
        record.settle_current();
    }

    fn note_voice(&mut self, dialogue: DialogueId, of: EntryId, voice: &Did, assents: bool) {
        let Some(record) = self.dialogues.get_mut(&dialogue) else { return };
        let Some(state) = record.memberships.iter_mut().find(|m| m.entry == of) else { return };
        if assents {
            state.assents.insert(voice.clone());
        } else {
            state.refusals.insert(voice.clone());
        }
        record.settle_current();
    }
}
