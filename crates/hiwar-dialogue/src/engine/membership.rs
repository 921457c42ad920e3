//! Who takes part in a dialogue, and under which membership.
//!
//! Every membership change is proposed in an entry and takes effect when all parties, old and new,
//! have assented. Which membership is in force follows from the set of entries held, not from the
//! order in which they came, so all nodes that hold the same entries agree.

use std::collections::{BTreeMap, BTreeSet};

use hiwar_trust::did::Did;

use super::Engine;
use crate::entry::{Body, EntryId, Membership, SignedEntry};
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

    /// Whether `did` is a party of any membership, past, present or proposed.
    pub fn takes_part(&self, did: &Did) -> bool {
        self.memberships.iter().any(|m| m.membership.parties.contains(did))
    }

    /// Links an entry among those that stand under the same membership.
    pub(super) fn link_under_membership(&mut self, signed: &SignedEntry, lacking: &[EntryId]) {
        let under = signed.membership();
        for state in &mut self.memberships {
            let linked = state.missing.remove(&signed.id);
            if state.entry != under {
                continue;
            }
            for prev in &signed.entry.prev {
                state.heads.remove(prev);
            }
            if !linked {
                state.heads.insert(signed.id);
            }
            if state.missing.len() < limits::MISSING_MAX {
                state.missing.extend(lacking);
            }
        }
    }

    /// What to show `did` so that it sees whether it lacks something that it should hold: the newest
    /// entries under each membership that it is a party of. Who takes part in some memberships only
    /// is shown how all of them came about as well, since that is not among those entries.
    pub fn heads_for(&self, did: &Did) -> BTreeSet<EntryId> {
        let (of, others): (Vec<_>, Vec<_>) =
            self.memberships.iter().partition(|m| m.membership.parties.contains(did));
        let mut heads: BTreeSet<EntryId> = of.iter().flat_map(|m| m.heads.iter().copied()).collect();
        if !others.is_empty() {
            heads.extend(self.history());
        }
        heads
    }

    /// All entries that tell how the memberships came about.
    pub(super) fn history(&self) -> impl Iterator<Item = EntryId> {
        self.memberships.iter().flat_map(|m| std::iter::once(m.entry).chain(m.voices.iter().copied()))
    }

    /// Finds the membership in force: from the opening one along complete replacements. Of two
    /// complete replacements of one membership, which only a party that assents twice can cause,
    /// the one with the smaller identifier counts on every node.
    fn settle_current(&mut self) {
        let mut current = self.id;
        while let Some(next) = self
            .memberships
            .iter()
            .filter(|m| m.membership.replaces == Some(current) && self.is_complete(m))
            .map(|m| m.entry)
            .min()
        {
            current = next;
        }
        self.current = current;
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
            | Body::Acknowledgement(_)
            | Body::Act(_) => {}
        }
        audience.remove(self.did());
        audience
    }

    /// Takes note of what a newly held entry means for the dialogue's membership.
    pub(super) fn note_membership(&mut self, entry: &SignedEntry) {
        match &entry.entry.body {
            Body::Membership(m) => self.note_proposal(entry, m),
            Body::Assent(about) => self.note_voice(entry, about.of, true),
            Body::Refusal(about) => self.note_voice(entry, about.of, false),
            Body::Statement(_)
            | Body::Attachment(_)
            | Body::Correction(_)
            | Body::Withdrawal(_)
            | Body::Dispute(_)
            | Body::Acknowledgement(_)
            | Body::Act(_) => {}
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
            voices: Vec::new(),
            heads: BTreeSet::new(),
            missing: BTreeSet::new(),
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
        self.vouchers.remove(&entry.id);
        if record.membership(&entry.id).is_none() {
            record.memberships.push(state);
            self.membership_index.insert(entry.id, dialogue);
        }
        record.settle_current();
        let everyone = record.everyone();
        self.widen_circles(&everyone);
    }

    /// Notes that these participants share a dialogue.
    pub(super) fn widen_circles(&mut self, everyone: &BTreeSet<Did>) {
        for did in everyone.iter().filter(|did| self.peers.contains_key(did)) {
            self.circles.entry(did.clone()).or_default().extend(everyone.iter().cloned());
        }
    }

    fn note_voice(&mut self, entry: &SignedEntry, of: EntryId, assents: bool) {
        let Some(record) = self.dialogues.get_mut(&entry.dialogue()) else { return };
        let Some(state) = record.memberships.iter_mut().find(|m| m.entry == of) else { return };
        let voices = if assents { &mut state.assents } else { &mut state.refusals };
        // Whoever speaks again says nothing new; those who join later need the first word only.
        if voices.insert(entry.entry.author.clone()) {
            state.voices.push(entry.id);
        }
        record.settle_current();
    }
}
