//! Whether an entry may be passed on to others, and the record of it.
//!
//! Sources: FIRST, Traffic Light Protocol 2.0 (2022): RED is for the recipients alone, AMBER+STRICT for their
//! organisations, AMBER for their organisations and clients, GREEN for the community, CLEAR for everybody.
//! FIRST, Information Exchange Policy 2.0: `permitted_actions`.

use std::collections::{BTreeMap, BTreeSet};

use hiwar_dialogue::entry::EntryId;
use hiwar_dialogue::marking::Marking;
use hiwar_form::{Document, Faults};
use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;
use serde::Serialize;

use crate::act::{Said, Void};
use crate::meeting::parties::unreadable;
use crate::notice::Handling;

/// That an entry of this dialogue was passed on, or that this dialogue got one from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Onward {
    /// The entry that says so.
    pub entry: EntryId,
    /// Who passed it on.
    pub by: Did,
    /// When.
    pub at: Timestamp,
    /// The entry that was passed on.
    pub original: EntryId,
    /// To whom; empty for one that came from elsewhere.
    pub to: Vec<Did>,
}

/// What an act of the kind `onward` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passing {
    /// The entry named in `of` goes to these participants, who do not take part here.
    Out {
        /// The participants.
        to: Vec<Did>,
    },
    /// An entry of another dialogue comes in; its signed envelope is attached.
    In {
        /// The entry.
        original: EntryId,
        /// Its marking.
        marking: Marking,
    },
}

/// Reads what an act of the kind `onward` says.
///
/// # Errors
/// All faults, each with its field.
pub fn read(document: &Document) -> Result<Passing, Faults> {
    document.read(|form| {
        if form.has("original") {
            let original: Option<hiwar_trust::hash::Hash> = form.parsed("original", "onward-not-entry");
            let marking = form.parsed("marking", "onward-not-marking");
            return Some(Passing::In { original: EntryId(original?), marking: marking? });
        }
        let to: Vec<Did> = form.parsed_values("to", "onward-not-party");
        if to.is_empty() {
            form.fault("to", "missing", &[]);
        }
        Some(Passing::Out { to })
    })
}

/// Whether an entry of another participant may be passed on to those who do not take part in its dialogue.
///
/// # Errors
/// Why not, and what to do.
pub fn may_pass_on(marking: Marking, permitted: Option<Handling>, consented: bool) -> Result<(), Void> {
    if consented {
        return Ok(());
    }
    if matches!(permitted, Some(Handling::None | Handling::ContactForInstruction)) {
        return Err(Void::plain("onward-ask-first"));
    }
    match marking {
        Marking::Clear | Marking::Green => Ok(()),
        Marking::Amber | Marking::AmberStrict | Marking::Red => {
            Err(Void::with("onward-marking", &[("marking", marking.as_str())]))
        }
    }
}

/// Entries passed on, and consents to it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Onwards {
    /// The record.
    pub passed: Vec<Onward>,
    /// To whom an entry may go because its author says so.
    pub consents: BTreeMap<EntryId, BTreeSet<Did>>,
    /// Author, marking and permitted actions of every entry.
    #[serde(skip)]
    known: BTreeMap<EntryId, (Did, Marking, Option<Handling>)>,
}

impl Onwards {
    /// Remembers an entry.
    pub fn know(&mut self, entry: EntryId, author: &Did, marking: Marking, permitted: Option<Handling>) {
        self.known.insert(entry, (author.clone(), marking, permitted));
    }

    /// Takes an act of the kind `onward` in.
    ///
    /// # Errors
    /// Why it has no effect.
    pub fn apply(&mut self, said: &Said<'_>) -> Result<(), Void> {
        let (original, to) = match read(&said.form()).map_err(|faults| unreadable(&faults))? {
            Passing::Out { to } => {
                let of = said.of.ok_or_else(|| Void::plain("onward-of-nothing"))?;
                self.may_pass(&of, said.author, &to)?;
                (of, to)
            }
            Passing::In { original, marking } => {
                if said.marking < marking {
                    return Err(Void::with("onward-weaker", &[("marking", marking.as_str())]));
                }
                (original, Vec::new())
            }
        };
        let by = said.author.clone();
        self.passed.push(Onward { entry: said.id, by, at: said.time, original, to });
        Ok(())
    }

    /// Whether `by` may pass an entry on to `to`.
    ///
    /// # Errors
    /// Why not.
    pub fn may_pass(&self, of: &EntryId, by: &Did, to: &[Did]) -> Result<(), Void> {
        let (author, marking, permitted) =
            self.known.get(of).ok_or_else(|| Void::plain("onward-of-nothing"))?;
        if author == by {
            return Ok(());
        }
        let consented =
            self.consents.get(of).is_some_and(|allowed| to.iter().all(|did| allowed.contains(did)));
        may_pass_on(*marking, *permitted, consented)
    }

    /// The author of an entry lets it go to others: step `permit-onward` with `to`.
    ///
    /// # Errors
    /// Why it has no effect.
    pub fn consent(&mut self, said: &Said<'_>) -> Result<(), Void> {
        let of = said.of.ok_or_else(|| Void::plain("onward-of-nothing"))?;
        let (author, ..) = self.known.get(&of).ok_or_else(|| Void::plain("onward-of-nothing"))?;
        if author != said.author {
            return Err(Void::plain("onward-not-author"));
        }
        let to = said.content.get("to").and_then(serde_json::Value::as_array).into_iter().flatten();
        let to: Option<Vec<Did>> = to.map(|did| did.as_str()?.parse().ok()).collect();
        let to = to.filter(|to| !to.is_empty()).ok_or_else(|| Void::plain("onward-to-nobody"))?;
        self.consents.entry(of).or_default().extend(to);
        Ok(())
    }
}
