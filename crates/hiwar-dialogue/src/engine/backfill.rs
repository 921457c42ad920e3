//! Gaps: what this node lacks and whom it asks, and what it gives to those who ask.

use std::collections::{BTreeMap, BTreeSet};

use hiwar_trust::did::Did;

use super::{Engine, EngineError};
use crate::entry::{Body, DialogueId, EntryId, SignedEntry};
use crate::ledger::{Delivery, StoredEntry, View};
use crate::limits;

/// How many entries before one that a peer has lost are sent along: it has probably lost them too.
const LOST_BEFORE_MAX: usize = 64;

/// Most newest entries of one dialogue in a comparison.
const HEADS_MAX: usize = limits::FETCH_IDS_MAX;

/// Whether an entry tells how a membership came about.
pub(super) fn is_about_membership(signed: &SignedEntry) -> bool {
    matches!(signed.entry.body, Body::Membership(_) | Body::Assent(_) | Body::Refusal(_))
}

impl Engine {
    /// The position of an entry, also of one that was decided just now.
    pub(super) fn holds(&self, view: &dyn View, id: &EntryId) -> Result<bool, EngineError> {
        Ok(self.fresh.entries.contains_key(id) || view.find(id)?.is_some())
    }

    /// Notes that an entry of a dialogue is linked to but not held.
    pub(super) fn miss(&mut self, dialogue: DialogueId, entry: EntryId, source: &Did) {
        let Some(record) = self.dialogues.get_mut(&dialogue) else { return };
        if record.missing.contains_key(&entry) || record.missing.len() >= limits::MISSING_MAX {
            return;
        }
        record.missing.insert(entry, source.clone());
        self.dirty_dialogues.insert(dialogue);
        self.want(source, entry);
    }

    pub(super) fn want(&mut self, from: &Did, entry: EntryId) {
        if let Some(peer) = self.peers.get_mut(from)
            && peer.wanted.len() < limits::MISSING_MAX
        {
            peer.wanted.entry(entry).or_insert(0);
        }
    }

    /// Asks for what must be held before an entry can be taken: its dialogue, its membership, and
    /// the membership it speaks of.
    pub(super) fn want_before(
        &mut self,
        view: &dyn View,
        from: &Did,
        signed: &SignedEntry,
    ) -> Result<(), EngineError> {
        let about = match &signed.entry.body {
            Body::Assent(about) | Body::Refusal(about) => Some(about.of),
            _ => None,
        };
        for id in [Some(signed.dialogue()), Some(signed.membership()), about].into_iter().flatten() {
            if !self.holds(view, &id)? {
                self.want(from, id);
            }
        }
        Ok(())
    }

    /// When heads are compared, whatever is missing of a common dialogue is asked for, whoever
    /// linked to it.
    pub(super) fn want_missing(&mut self, did: &Did) {
        let common = self.dialogues.values().filter(|d| !d.missing.is_empty() && d.takes_part(did));
        let missing: Vec<EntryId> =
            common.flat_map(|d| d.missing.keys().copied()).take(limits::MISSING_MAX).collect();
        for id in missing {
            self.want(did, id);
        }
    }

    /// Puts entries that a peer lacks, and what they link to, into the queue for it.
    pub(super) fn serve_wanted(
        &mut self,
        view: &dyn View,
        did: &Did,
        wanted: &[EntryId],
    ) -> Result<(), EngineError> {
        let mut left: Vec<EntryId> = wanted.iter().take(limits::FETCH_IDS_MAX).copied().collect();
        let asked: BTreeSet<EntryId> = left.iter().copied().collect();
        let mut seen = asked.clone();
        let mut queued = BTreeSet::new();
        let mut lost_before = LOST_BEFORE_MAX;
        while let Some(id) = left.pop() {
            let Some(stored) = self.stored(view, &id)? else { continue };
            let signed = stored.signed()?;
            if !self.may_hold(did, &signed) {
                continue;
            }
            let delivery = view.delivery(did, stored.seq)?;
            if delivery != Some(Delivery::Pending) {
                queued.insert(stored.seq);
            }
            if asked.contains(&id) && is_about_membership(&signed) {
                // Who asks how a membership came about is given all of it.
                let history = self.dialogues.get(&signed.dialogue()).into_iter().flat_map(|d| d.history());
                left.extend(history.filter(|id| seen.insert(*id)));
            }
            let had =
                stored.via.as_ref() == Some(did) || matches!(delivery, Some(Delivery::Receipted { .. }));
            for prev in &signed.entry.prev {
                if seen.len() >= limits::FETCH_IDS_MAX || seen.contains(prev) {
                    continue;
                }
                let lacks = !self.surely_holds(view, did, prev)?;
                if lacks || (had && lost_before > 0) {
                    lost_before = lost_before.saturating_sub(usize::from(!lacks));
                    seen.insert(*prev);
                    left.push(*prev);
                }
            }
        }
        for seq in queued {
            self.enqueue(did, seq);
        }
        Ok(())
    }

    /// An entry that the view shows.
    fn stored(&self, view: &dyn View, id: &EntryId) -> Result<Option<StoredEntry>, EngineError> {
        match view.find(id)? {
            Some(seq) => Ok(view.entry(seq)?),
            None => Ok(None),
        }
    }

    /// Whether an entry may go to `did`: it is in the entry's audience, or a participant of the
    /// dialogue that needs to know how its membership came about. What was said before a party
    /// joined stays with those it was said to.
    fn may_hold(&self, did: &Did, signed: &SignedEntry) -> bool {
        let takes_part = self.dialogues.get(&signed.dialogue()).is_some_and(|d| d.takes_part(did));
        takes_part && (is_about_membership(signed) || self.audience(signed).contains(did))
    }

    /// Whether `did` has shown that it holds an entry: it brought it, or receipted it.
    fn surely_holds(&self, view: &dyn View, did: &Did, id: &EntryId) -> Result<bool, EngineError> {
        let Some(seq) = view.find(id)? else { return Ok(true) };
        if view.delivery(did, seq)?.is_some() {
            return Ok(true);
        }
        Ok(view.entry(seq)?.is_none_or(|stored| stored.via.as_ref() == Some(did)))
    }

    /// The newest entries of all dialogues with `did`.
    pub(super) fn heads_for(&self, did: &Did) -> BTreeMap<DialogueId, Vec<EntryId>> {
        self.dialogues
            .values()
            .filter(|d| d.takes_part(did))
            .take(limits::HEADS_DIALOGUES_MAX)
            .map(|d| (d.id, d.heads_for(did).into_iter().take(HEADS_MAX).collect()))
            .collect()
    }

    /// Asks for the newest entries of another node's dialogues that are not held here. Of an
    /// unknown dialogue the opening entry is asked for as well; what comes before it is refused
    /// for the time being and comes again.
    pub(super) fn compare_heads(
        &mut self,
        view: &dyn View,
        did: &Did,
        heads: &BTreeMap<DialogueId, Vec<EntryId>>,
    ) -> Result<(), EngineError> {
        for (dialogue, ids) in heads.iter().take(limits::HEADS_DIALOGUES_MAX) {
            if !self.dialogues.contains_key(dialogue) {
                self.want(did, *dialogue);
            }
            for id in ids.iter().take(HEADS_MAX) {
                if !self.holds(view, id)? {
                    self.want(did, *id);
                }
            }
        }
        Ok(())
    }
}
