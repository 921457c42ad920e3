//! What must hold once the faults have stopped: everybody holds what it should, and nothing waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hiwar_dialogue::entry::{Body, DialogueId, Entry, EntryId, Membership};
use hiwar_dialogue::ledger::{Standing, View as _};
use hiwar_store::memory::MemoryStore;
use hiwar_trust::checkpoint::{Checkpoint, SignedCheckpoint};
use hiwar_trust::did::Did;
use hiwar_trust::merkle;

use crate::world::{Violation, World};

/// An entry as the oracle knows it.
#[derive(Clone)]
pub(crate) struct Known {
    dialogue: DialogueId,
    membership: EntryId,
    entry: Arc<Entry>,
}

impl Known {
    fn is_about_membership(&self) -> bool {
        matches!(self.entry.body, Body::Membership(_) | Body::Assent(_) | Body::Refusal(_))
    }

    fn proposes(&self) -> Option<&Membership> {
        match &self.entry.body {
            Body::Membership(m) => Some(m),
            _ => None,
        }
    }
}

/// Whether one of the logs in a store has been in a given state.
fn contains(store: &MemoryStore, state: &Checkpoint) -> bool {
    let Ok(size) = usize::try_from(state.size()) else { return false };
    store.logs().any(|log| {
        let leaves = store.all_leaves(log).get(..size);
        let hashes = leaves.map(|l| l.iter().map(|data| merkle::leaf_hash(data.as_bytes())).collect());
        hashes.is_some_and(|hashes: Vec<_>| merkle::root(&hashes) == state.root())
    })
}

impl World {
    /// Reads what honest nodes hold; an entry is read once.
    fn learn_entries(&mut self) {
        for node in self.nodes.iter().filter(|n| n.honest) {
            for stored in node.store.entries() {
                if !self.known.contains_key(&stored.id)
                    && let Ok(signed) = stored.signed()
                {
                    let (dialogue, membership) = (signed.dialogue(), signed.membership());
                    self.known.insert(stored.id, Known { dialogue, membership, entry: signed.entry });
                }
            }
        }
        // What only a node that was put back had held is gone.
        let nodes = &self.nodes;
        self.known.retain(|id, _| nodes.iter().any(|n| n.honest && n.store.holds(id)));
    }

    fn parties(&self, membership: &EntryId) -> BTreeSet<Did> {
        let proposed = self.known.get(membership).and_then(Known::proposes);
        proposed.map(|m| m.parties.iter().cloned().collect()).unwrap_or_default()
    }

    fn concerned(&self, membership: &EntryId) -> BTreeSet<Did> {
        let mut concerned = self.parties(membership);
        if let Some(before) = self.known.get(membership).and_then(Known::proposes).and_then(|m| m.replaces) {
            concerned.extend(self.parties(&before));
        }
        concerned
    }

    /// Who must hold an entry.
    fn audience(&self, known: &Known) -> BTreeSet<Did> {
        let mut audience = self.parties(&known.membership);
        match &known.entry.body {
            Body::Membership(m) => audience.extend(m.parties.iter().cloned()),
            Body::Assent(about) | Body::Refusal(about) => audience.extend(self.concerned(&about.of)),
            _ => {}
        }
        audience
    }

    /// The membership in force, from all entries that anybody holds.
    fn current(&self, dialogue: DialogueId) -> EntryId {
        let mut assents: BTreeMap<EntryId, BTreeSet<Did>> = BTreeMap::new();
        for (id, known) in self.known.iter().filter(|(_, k)| k.dialogue == dialogue) {
            match &known.entry.body {
                Body::Membership(_) => {
                    assents.entry(*id).or_default().insert(known.entry.author.clone());
                }
                Body::Assent(about) => {
                    assents.entry(about.of).or_default().insert(known.entry.author.clone());
                }
                _ => {}
            }
        }
        let complete = |id: &EntryId| assents.get(id).is_some_and(|a| self.concerned(id).is_subset(a));
        let mut current = dialogue;
        while let Some(next) = self
            .known
            .iter()
            .filter(|(id, k)| k.proposes().is_some_and(|m| m.replaces == Some(current)) && complete(id))
            .map(|(id, _)| *id)
            .min()
        {
            current = next;
        }
        current
    }

    /// Why the world has not converged, if it has not.
    pub(crate) fn not_converged(&mut self) -> Option<String> {
        self.learn_entries();
        for idx in 0..self.nodes.len() {
            if self.nodes.get(idx).is_some_and(|n| n.honest && n.engine.is_none()) {
                return Some(format!("node {idx} is down"));
            }
        }
        self.not_equal().or_else(|| self.not_agreed()).or_else(|| self.not_settled())
    }

    fn not_equal(&self) -> Option<String> {
        for (id, known) in &self.known {
            for did in self.audience(known) {
                let node = self.nodes.iter().position(|n| n.did == did && n.honest);
                let Some(idx) = node else { continue };
                if self.does_not_deal_with(idx, &known.entry.author) {
                    continue;
                }
                if !self.nodes.get(idx).is_some_and(|n| n.store.holds(id)) {
                    let (author, kind) = (&known.entry.author, known.entry.body.type_name());
                    return Some(format!("node {idx} lacks {id}, a {kind} by {author}"));
                }
            }
        }
        None
    }

    /// Whether a peer is to take something of what waits for it at a node.
    fn is_awaited(&self, idx: usize, did: &Did) -> bool {
        let Some(node) = self.nodes.get(idx) else { return false };
        let Some(peer) = self.nodes.iter().position(|n| n.did == *did && n.honest) else { return false };
        let entries = node.store.waiting(did).filter_map(|seq| node.store.entry(seq).ok().flatten());
        let mut known = entries.filter_map(|e| self.known.get(&e.id));
        known.any(|k| !self.does_not_deal_with(peer, &k.entry.author))
    }

    /// Whether a node has found a participant out. It need not hold what that one says under keys
    /// which it has not shown to the node.
    fn does_not_deal_with(&self, idx: usize, did: &Did) -> bool {
        let engine = self.nodes.get(idx).and_then(|n| n.engine.as_ref());
        let standing = engine.and_then(|e| e.peers().find(|p| p.did == *did)).map(|p| &p.standing);
        standing.is_some_and(|s| *s != Standing::Active)
    }

    fn not_agreed(&self) -> Option<String> {
        let dialogues: BTreeSet<DialogueId> = self.known.values().map(|k| k.dialogue).collect();
        for dialogue in dialogues {
            let current = self.current(dialogue);
            for (idx, node) in self.nodes.iter().enumerate().filter(|(_, n)| n.honest) {
                if !self.parties(&current).contains(&node.did) {
                    continue;
                }
                let held = node.engine.as_ref().and_then(|e| e.dialogue(&dialogue));
                let Some(held) = held else {
                    return Some(format!("node {idx} knows no dialogue {dialogue}"));
                };
                if held.current != current {
                    return Some(format!(
                        "node {idx} holds membership {:?} of {dialogue:?} to be in force, not {current:?}",
                        held.current
                    ));
                }
                if let Some(missing) = held.missing.keys().find(|id| self.is_due(id, idx, &node.did)) {
                    return Some(format!("node {idx} misses {missing}"));
                }
                if let Some(held) = held.missing.keys().find(|id| node.store.holds(id)) {
                    return Some(format!("node {idx} misses {held}, which it holds"));
                }
            }
        }
        None
    }

    /// Whether a participant is to hold an entry that somebody holds.
    fn is_due(&self, id: &EntryId, idx: usize, did: &Did) -> bool {
        self.known.get(id).is_some_and(|k| {
            let meant = self.audience(k).contains(did) || k.is_about_membership();
            meant && !self.does_not_deal_with(idx, &k.entry.author)
        })
    }

    fn not_settled(&self) -> Option<String> {
        for (idx, node) in self.nodes.iter().enumerate().filter(|(_, n)| n.honest) {
            let Some(engine) = node.engine.as_ref() else { continue };
            if let Some(reason) = engine.halted() {
                return Some(format!("node {idx} has halted: {reason}"));
            }
            for status in engine.peer_statuses() {
                let did = &status.record.did;
                if !self.nodes.iter().any(|n| n.did == *did && n.honest) {
                    continue;
                }
                if status.record.standing != Standing::Active {
                    return Some(format!("node {idx} does not trust {did}"));
                }
                if status.backlog > 0 && self.is_awaited(idx, did) {
                    return Some(format!("{} entries of node {idx} wait for {did}", status.backlog));
                }
                if !status.record.owed_attachments.is_empty() {
                    return Some(format!("node {idx} owes {did} receipts for files"));
                }
                if let Some(why) = self.not_witnessed(idx, status.record.witnessed.as_deref(), engine) {
                    return Some(format!("{why} by {did}"));
                }
            }
        }
        None
    }

    /// Every peer has cosigned the newest state of the log.
    fn not_witnessed(
        &self,
        idx: usize,
        note: Option<&str>,
        engine: &hiwar_dialogue::engine::Engine,
    ) -> Option<String> {
        let witnessed = note.and_then(|n| SignedCheckpoint::parse(n.as_bytes()).ok());
        let size = witnessed
            .filter(|w| w.checkpoint().origin() == engine.identity().latest().log_origin)
            .map_or(0, |w| w.checkpoint().size());
        let own = engine.log().1.size();
        (size != own).then(|| format!("{size} of {own} leaves of node {idx} are witnessed"))
    }

    /// Of two honest nodes that share a dialogue with a forked peer and were shown different
    /// histories, at least one has noticed; unless an instance of the peer has halted and answers
    /// nobody who asks it to prove what it has shown.
    pub(crate) fn check_forks(&mut self) -> Result<(), Violation> {
        let Some(fork) = self.fork_size else { return Ok(()) };
        let Some(forked) = self.nodes.last().map(|n| n.did.clone()) else { return Ok(()) };
        let mut caught = false;
        let mut instances = self.nodes.iter().filter(|n| n.did == forked);
        let silent = instances.any(|n| n.engine.as_ref().is_none_or(|e| e.halted().is_some()));
        for (a, one) in self.nodes.iter().enumerate().filter(|(_, n)| n.honest) {
            for (b, other) in self.nodes.iter().enumerate().filter(|(i, n)| n.honest && *i > a) {
                let seen = |idx: usize| -> Option<(bool, Checkpoint)> {
                    let engine = self.nodes.get(idx)?.engine.as_ref()?;
                    let record = engine.peers().find(|p| p.did == forked)?;
                    let note = SignedCheckpoint::parse(record.verified.as_deref()?.as_bytes()).ok()?;
                    let distrusts = matches!(record.standing, Standing::Distrusted { .. });
                    Some((distrusts, note.checkpoint().clone()))
                };
                let (Some((knows_a, shown_a)), Some((knows_b, shown_b))) = (seen(a), seen(b)) else {
                    continue;
                };
                caught |= knows_a || knows_b;
                let shares = |n: &crate::node::Node| {
                    n.engine.as_ref().is_some_and(|e| {
                        e.dialogues().any(|d| {
                            let all = d.everyone();
                            all.contains(&one.did) && all.contains(&other.did) && all.contains(&forked)
                        })
                    })
                };
                let in_one_log = self.nodes.iter().filter(|n| n.did == forked).any(|instance| {
                    contains(&instance.store, &shown_a) && contains(&instance.store, &shown_b)
                });
                if !in_one_log && !silent && (shares(one) && shares(other)) && !knows_a && !knows_b {
                    return Err(self.wrong(format!(
                        "nodes {a} and {b} were shown two histories ({} and {} leaves, one log up to {fork}) and did not notice",
                        shown_a.size(),
                        shown_b.size()
                    )));
                }
            }
        }
        self.stats.forks_caught += u64::from(caught);
        Ok(())
    }

    /// Whether an honest node has halted or does not deal with a peer; their peers keep trying.
    pub(crate) fn halted_or_distrusted(&self) -> bool {
        let mut honest = self.nodes.iter().filter(|n| n.honest).filter_map(|n| n.engine.as_ref());
        honest.any(|e| {
            e.halted().is_some() || e.peers().any(|p| matches!(p.standing, Standing::Distrusted { .. }))
        })
    }
}
