//! What leaves the ministry: cells with values, gaps without, and proofs of the values.

use std::collections::BTreeSet;

use crate::attack::{Knowledge, Pattern};
use crate::code::{Code, Period};
use crate::design::Design;
use crate::proof::{Context, Proof};
use crate::protect::{Refusal, audit};
use crate::table::{CellId, Table};

/// A release that the audit has proved safe; there is no other way to have one.
#[derive(Clone, Debug)]
pub struct Release<'t> {
    table: &'t Table,
    pattern: Pattern,
}

/// Why a cell has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gap {
    /// It says too much itself.
    Primary,
    /// It would give another one away.
    Secondary,
}

/// One cell of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// A code for each dimension, in the order of the design.
    pub codes: Vec<Code>,
    /// The total, in the design's unit, or why there is none.
    pub value: Result<i64, Gap>,
}

/// Why there is no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoProof {
    /// The cell is not released.
    #[error("the cell is not released, and a proof would open it")]
    NotReleased,
    /// A report has no commitment.
    #[error("a report in the cell has no commitment: ask the firm to send one with the blinding factor")]
    NoCommitment,
    /// A blinding factor is used twice.
    #[error(
        "two reports have the same blinding factor, which would give both away: have one of them sent anew"
    )]
    Reused,
}

impl<'t> Release<'t> {
    pub(crate) fn new(table: &'t Table, pattern: Pattern) -> Self {
        Self { table, pattern }
    }

    /// The design.
    pub fn design(&self) -> &Design {
        self.table.design()
    }

    /// The time.
    pub fn period(&self) -> Period {
        self.table.period()
    }

    /// What commitments share.
    pub fn context(&self) -> Context {
        self.table.context()
    }

    /// The value of a cell, when it is released.
    pub fn value(&self, id: CellId) -> Option<i64> {
        (self.table.holds(id) && !self.pattern.holds(id)).then(|| self.table.value(id))
    }

    /// Every cell that somebody contributes to.
    pub fn rows(&self) -> Vec<Row> {
        let rows = self.table.cells().map(|(id, value)| {
            let gap = if self.table.unsafe_by(id).is_some() { Gap::Primary } else { Gap::Secondary };
            let value = if self.pattern.holds(id) { Err(gap) } else { Ok(value) };
            Row { codes: self.table.codes(id), value }
        });
        rows.collect()
    }

    /// The proof of a released cell.
    ///
    /// # Errors
    /// For a gap, always; when a report has no commitment, or a blinding factor is there twice.
    pub fn prove(&self, id: CellId) -> Result<Proof, NoProof> {
        let total = self.value(id).ok_or(NoProof::NotReleased)?;
        let mut seen = BTreeSet::new();
        if !self.table.blindings().all(|blinding| seen.insert(blinding.bytes())) {
            return Err(NoProof::Reused);
        }
        let openings = self.table.openings(id).ok_or(NoProof::NoCommitment)?;
        Ok(Proof::make(self.table.context(), self.table.codes(id), total, &openings))
    }
}

/// Makes the next release of a table that was released before, oldest first: late reports, corrections.
///
/// Who has both releases can subtract them. The difference is a table too, whose contributions are what
/// each group changed: it must be as safe as a release of its own, so that a single late report waits until others
/// come too. The gaps stay the same, because a cell that once had a value keeps it for who kept
/// it. And in each release the other possible tables must be possible in the light of all the others: an
/// attacker is supposed to know by how much each leaf changed when it looks at values, and to know the rest
/// when it looks at changes.
///
/// # Errors
/// When that cannot be proved; then nothing new is released, and the last release stands. What is unsafe
/// in the new table but had a value in the old one cannot be mended by a gap: it is refused.
pub fn revise<'t>(earlier: &[&Release<'_>], table: &'t Table) -> Result<Release<'t>, Refusal> {
    let last = earlier.last().ok_or(Refusal::Other)?;
    let same = |release: &&Release<'_>| {
        release.design() == table.design()
            && release.period() == table.period()
            && release.pattern == last.pattern
    };
    if !earlier.iter().all(same) {
        return Err(Refusal::Other);
    }
    let pattern = &last.pattern;
    let tables: Vec<&Table> = earlier.iter().map(|release| release.table).collect();
    for old in &tables {
        let changes = table.changes(old);
        let known = Knowledge::new(&changes, &[table]);
        // A change may be worked out where it is safe, so the only gap of a line is nothing by itself.
        audit(&known, pattern, Vec::new(), false).map_err(|refusal| match refusal {
            Refusal::Unsafe { cell, rule } | Refusal::Line { cell, rule } => Refusal::Changed { cell, rule },
            other => other,
        })?;
    }
    audit(&Knowledge::new(table, &tables), pattern, Vec::new(), true)?;
    for (index, old) in tables.iter().enumerate() {
        let others = tables.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, &other)| other);
        let others: Vec<&Table> = others.chain([table]).collect();
        audit(&Knowledge::new(old, &others), pattern, Vec::new(), true)?;
    }
    Ok(Release::new(table, pattern.clone()))
}
