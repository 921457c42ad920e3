//! What changed between two books.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Verdict;
use super::book::{Book, BookError};
use super::rules::RuleRef;
use crate::month::Date;

/// An item's C4 in two books; `None` where it is in no entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The item.
    pub item: Arc<str>,
    /// In the old book.
    pub old: Option<Verdict>,
    /// In the new book.
    pub new: Option<Verdict>,
}

/// What changed between two books, of the items that are listed ([`Entry::is_listed`](super::book::Entry::is_listed)) in either.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Churn {
    /// Year and date of the old book.
    pub old: (u16, Date),
    /// Year and date of the new book.
    pub new: (u16, Date),
    /// Rules of the old book.
    pub old_rules: RuleRef,
    /// Rules of the new book; where they differ, a change may be one of rules.
    pub new_rules: RuleRef,
    /// Listed now and not before.
    pub entered: Vec<Change>,
    /// Listed before and not now.
    pub left: Vec<Change>,
    /// Listed in both.
    pub stayed: Vec<Change>,
}

impl Churn {
    /// Compares two books of one reporter.
    ///
    /// # Errors
    /// [`BookError::Reporters`] when they are of two.
    pub fn between(old: &Book, new: &Book) -> Result<Self, BookError> {
        if old.reporter != new.reporter {
            return Err(BookError::Reporters { old: old.reporter.clone(), new: new.reporter.clone() });
        }
        let by_item = |book: &'_ Book| -> BTreeMap<Arc<str>, (bool, Verdict)> {
            book.entries.iter().map(|e| (e.item.clone(), (e.is_listed(), e.geodep.c4))).collect()
        };
        let (before, after) = (by_item(old), by_item(new));
        let mut churn = Self {
            old: (old.year, old.as_of),
            new: (new.year, new.as_of),
            old_rules: old.rules.clone(),
            new_rules: new.rules.clone(),
            entered: Vec::new(),
            left: Vec::new(),
            stayed: Vec::new(),
        };
        let items: BTreeSet<&Arc<str>> = before.keys().chain(after.keys()).collect();
        for item in items {
            let (then, now) = (before.get(item), after.get(item));
            let listed = |entry: Option<&(bool, Verdict)>| entry.is_some_and(|entry| entry.0);
            let list = match (listed(then), listed(now)) {
                (false, true) => &mut churn.entered,
                (true, false) => &mut churn.left,
                (true, true) => &mut churn.stayed,
                (false, false) => continue,
            };
            list.push(Change { item: item.clone(), old: then.map(|e| e.1), new: now.map(|e| e.1) });
        }
        Ok(churn)
    }
}
