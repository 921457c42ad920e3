//! A dialogue as people read it: the entries in order, with what later entries say of them.
//!
//! Nothing is hidden and nothing decided: a corrected entry stays with its correction beside it,
//! and two parties' conflicting versions stand side by side.

use std::collections::BTreeMap;

use hiwar_trust::did::Did;

use crate::entry::{Body, EntryId, SignedEntry};

/// One entry with what others say of it.
#[derive(Clone, Debug)]
pub struct ThreadEntry {
    /// The entry.
    pub entry: SignedEntry,
    /// Corrections by its author, oldest first.
    pub corrected_by: Vec<EntryId>,
    /// The withdrawal by its author.
    pub withdrawn_by: Option<EntryId>,
    /// Other parties' contradicting versions.
    pub disputed_by: Vec<EntryId>,
    /// Parties whose desks have taken note, with the entries that say so.
    pub acknowledged_by: BTreeMap<Did, EntryId>,
    /// Why it has no effect, when it has none: it corrects or withdraws another party's entry, or
    /// disputes its own author's.
    pub void: Option<&'static str>,
}

/// Why an entry with `body` has no effect on the entry it is about, when it has none.
/// `by_author` says whether both entries have the same author.
pub fn void_reason(body: &Body, by_author: bool) -> Option<&'static str> {
    match body {
        Body::Correction(_) | Body::Withdrawal(_) if !by_author => {
            Some("only the author may correct or withdraw an entry")
        }
        Body::Dispute(_) | Body::Acknowledgement(_) if by_author => {
            Some("a party cannot dispute or acknowledge its own entry")
        }
        _ => None,
    }
}

/// Reads entries, given in order of arrival, as one thread.
pub fn thread(entries: Vec<SignedEntry>) -> Vec<ThreadEntry> {
    let position: BTreeMap<EntryId, usize> = entries.iter().enumerate().map(|(i, e)| (e.id, i)).collect();
    let mut thread: Vec<ThreadEntry> = entries
        .into_iter()
        .map(|entry| ThreadEntry {
            entry,
            corrected_by: Vec::new(),
            withdrawn_by: None,
            disputed_by: Vec::new(),
            acknowledged_by: BTreeMap::new(),
            void: None,
        })
        .collect();
    for index in 0..thread.len() {
        let Some(item) = thread.get(index) else { continue };
        let (id, author, body) =
            (item.entry.id, item.entry.entry.author.clone(), item.entry.entry.body.clone());
        let Some(target) = body.of().and_then(|of| position.get(&of)).copied() else { continue };
        let by_author = thread.get(target).is_some_and(|t| t.entry.entry.author == author);
        if let (Some(reason), Some(item)) = (void_reason(&body, by_author), thread.get_mut(index)) {
            item.void = Some(reason);
            continue;
        }
        let Some(target) = thread.get_mut(target) else { continue };
        match body {
            Body::Correction(_) => target.corrected_by.push(id),
            Body::Withdrawal(_) => target.withdrawn_by = Some(id),
            Body::Dispute(_) => target.disputed_by.push(id),
            Body::Acknowledgement(_) => {
                target.acknowledged_by.entry(author).or_insert(id);
            }
            Body::Statement(_)
            | Body::Attachment(_)
            | Body::Membership(_)
            | Body::Assent(_)
            | Body::Refusal(_)
            | Body::Act(_) => {}
        }
    }
    thread
}
