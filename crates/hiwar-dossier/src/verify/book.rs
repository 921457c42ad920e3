//! The entries by identifier, and how they refer to each other.

use std::collections::{BTreeMap, BTreeSet};

use hiwar_dialogue::entry::{Body, DialogueId, EntryId, Membership};
use hiwar_trust::did::Did;

use super::collect::Collected;
use super::lines::Held;
use crate::format::Member;

/// An entry that `log.json` names and that is not in `entries.ndjson` as it was signed.
#[derive(Debug)]
pub(super) struct Damaged {
    pub(super) id: EntryId,
    /// Its line, when there is one at its place.
    pub(super) line: Option<usize>,
    pub(super) why: String,
}

/// How a reference to an entry resolves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reference {
    /// It is here.
    Held,
    /// Its place is here, but its text was changed.
    Damaged,
    /// The exporter says that it does not hold it.
    SaidMissing,
    /// It is not here and nobody says why.
    Absent,
}

/// The entries of the dossier.
pub(super) struct Book<'a> {
    /// In order of their lines.
    pub(super) held: Vec<&'a Held>,
    by_id: BTreeMap<EntryId, &'a Held>,
    pub(super) damaged: Vec<Damaged>,
    damaged_ids: BTreeSet<EntryId>,
    missing: BTreeSet<EntryId>,
    /// The dialogue that the dossier is about.
    pub(super) dialogue: Option<DialogueId>,
}

impl<'a> Book<'a> {
    pub(super) fn new(collected: &'a Collected) -> Self {
        let (damaged, replaced) = damaged(collected);
        let held: Vec<&Held> = collected.held().filter(|h| !replaced.contains(&h.line)).collect();
        let manifest = collected.manifest.as_ref();
        // A dossier.json that names a dialogue of which nothing is here is wrong itself; the entries
        // are then taken for what they say.
        let named = manifest.map(|m| m.dialogue);
        let entries_say = held.first().map(|h| h.dialogue);
        let here = held.iter().any(|h| Some(h.dialogue) == named);
        Self {
            by_id: held.iter().map(|h| (h.id, *h)).collect(),
            damaged_ids: damaged.iter().map(|d| d.id).collect(),
            damaged,
            missing: manifest.map(|m| m.missing.iter().copied().collect()).unwrap_or_default(),
            dialogue: if here { named } else { entries_say.or(named) },
            held,
        }
    }

    pub(super) fn get(&self, id: &EntryId) -> Option<&'a Held> {
        self.by_id.get(id).copied()
    }

    pub(super) fn reference(&self, id: &EntryId) -> Reference {
        if self.by_id.contains_key(id) {
            Reference::Held
        } else if self.damaged_ids.contains(id) {
            Reference::Damaged
        } else if self.missing.contains(id) {
            Reference::SaidMissing
        } else {
            Reference::Absent
        }
    }

    /// The entries that the exporter says it does not hold.
    pub(super) fn missing(&self) -> &BTreeSet<EntryId> {
        &self.missing
    }

    /// The membership that an entry proposes, with the entry.
    pub(super) fn membership(&self, id: &EntryId) -> Option<(&'a Held, &'a Membership)> {
        let held = self.get(id)?;
        match &held.body {
            Body::Membership(membership) => Some((held, membership)),
            _ => None,
        }
    }

    /// Everyone who must assent to a membership: its parties and those of the one it replaces.
    pub(super) fn concerned(&self, membership: &Membership) -> BTreeSet<Did> {
        let before = membership.replaces.and_then(|id| self.membership(&id));
        let before = before.map(|(_, m)| m.parties.as_slice()).unwrap_or_default();
        membership.parties.iter().chain(before).cloned().collect()
    }

    /// Every participant of any membership, past, present or proposed.
    pub(super) fn everyone(&self) -> BTreeSet<Did> {
        let memberships = self.held.iter().filter_map(|held| self.membership(&held.id));
        memberships.flat_map(|(_, membership)| membership.parties.iter().cloned()).collect()
    }

    /// Who must hold an entry, but for its author.
    pub(super) fn audience(&self, held: &Held) -> BTreeSet<Did> {
        let mut audience = BTreeSet::new();
        if let Some((_, membership)) = self.membership(&held.membership) {
            audience.extend(membership.parties.iter().cloned());
        }
        match &held.body {
            Body::Membership(membership) => audience.extend(membership.parties.iter().cloned()),
            Body::Assent(about) | Body::Refusal(about) => {
                if let Some((_, membership)) = self.membership(&about.of) {
                    audience.extend(self.concerned(membership));
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
        audience.remove(&held.author);
        audience
    }
}

/// Entries that `log.json` names and that are not as they were signed; and the lines that stand at
/// their places with another content.
fn damaged(collected: &Collected) -> (Vec<Damaged>, BTreeSet<usize>) {
    let Some(log) = &collected.log else { return (Vec::new(), BTreeSet::new()) };
    let listed: BTreeSet<EntryId> = log.entries.iter().map(|e| e.id).collect();
    let here: BTreeSet<EntryId> = collected.held().map(|h| h.id).collect();
    // A log.json that was changed must not make good entries look changed.
    let log_is_right = collected.is_whole(Member::Log) || !collected.is_whole(Member::Entries);
    let mut damaged = Vec::new();
    let mut replaced = BTreeSet::new();
    if !log_is_right {
        return (damaged, replaced);
    }
    for (index, entry) in log.entries.iter().enumerate() {
        if here.contains(&entry.id) {
            continue;
        }
        let line = collected.lines.get(index);
        let (line, why) = match line.map(|l| (l.number, &l.read)) {
            Some((number, Ok(held))) if listed.contains(&held.id) => {
                (None, format!("entries.ndjson has it nowhere; another entry stands on line {number}"))
            }
            Some((number, Ok(held))) => {
                replaced.insert(number);
                (Some(number), format!("the entry on line {number} has the digest {}", held.id))
            }
            Some((number, Err(problem))) => (Some(number), format!("line {number}: {problem}")),
            None => (None, "entries.ndjson has it nowhere".to_owned()),
        };
        damaged.push(Damaged { id: entry.id, line, why });
    }
    (damaged, replaced)
}
