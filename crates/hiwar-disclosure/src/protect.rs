//! Secondary suppression, and the audit that is the last gate of every release.
//!
//! [`protect`] suppresses the unsafe cells, then more until the audit's conditions hold: no line with a
//! single gap; no unsafe sum of the gaps of a line (so that two gaps of one firm, or of two, do not guard
//! each other; handbook, chapter 4.2, "singletons"); and for each requirement of `attack` another
//! possible table. Of all that would do, cells of the smallest value are taken. The pattern only grows, and
//! with everything suppressed nothing is told, so it ends.
//!
//! The audit starts anew from the finished pattern. Other tables that the search has found are hints: each is checked again
//! in whole numbers. What it cannot prove safe is refused.
//!
//! What it does not look at: sums over gaps of several lines which are no cell of the table; what
//! may be concluded from the choice of the gaps by someone who knows the rules' percentages; other
//! tables that the same firms are in.

use std::collections::{BTreeMap, BTreeSet};

use crate::attack::{Knowledge, Pattern, Requirement, Who, World};
use crate::code::Code;
use crate::release::Release;
use crate::rules::Sensitivity;
use crate::search;
use crate::table::{CellId, Table};

/// Why a release is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// An unsafe cell would be released.
    #[error("cell {} is unsafe ({rule:?}) and would be released: suppress it", show(cell))]
    Unsafe {
        /// The cell.
        cell: Vec<Code>,
        /// The rule.
        rule: Sensitivity,
    },
    /// A gap is the only one of its line.
    #[error(
        "cell {} is the only gap of a line and can be worked out: suppress another one there",
        show(cell)
    )]
    Lonely {
        /// The gap.
        cell: Vec<Code>,
    },
    /// The sum of a line's gaps is unsafe.
    #[error(
        "the gaps below cell {} have a sum that is unsafe ({rule:?}): suppress one more there",
        show(cell)
    )]
    Line {
        /// The line's total.
        cell: Vec<Code>,
        /// The rule.
        rule: Sensitivity,
    },
    /// A value can be estimated too closely.
    #[error(
        "a value in cell {} could be estimated too closely, or it cannot be shown otherwise: suppress more cells",
        show(cell)
    )]
    Close {
        /// The cell.
        cell: Vec<Code>,
    },
    /// Too little changed since an earlier release.
    #[error(
        "cell {} changed by too few firms' reports since the last release ({rule:?}): wait until more of them changed",
        show(cell)
    )]
    Changed {
        /// The cell.
        cell: Vec<Code>,
        /// The rule that the changes break.
        rule: Sensitivity,
    },
    /// Not a later table of what was released.
    #[error(
        "the table is not of the same design and period as what was released: start a release of its own"
    )]
    Other,
}

fn show(cell: &[Code]) -> String {
    cell.iter().map(Code::as_str).collect::<Vec<_>>().join(".")
}

impl Refusal {
    /// Key of its message.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Unsafe { .. } => "disclosure-refused-unsafe",
            Self::Lonely { .. } => "disclosure-refused-lonely",
            Self::Line { .. } => "disclosure-refused-line",
            Self::Close { .. } => "disclosure-refused-close",
            Self::Changed { .. } => "disclosure-refused-changed",
            Self::Other => "disclosure-refused-other",
        }
    }
}

/// Makes the release of a table that was not released before.
///
/// # Errors
/// When the audit cannot prove it safe.
pub fn protect(table: &Table) -> Result<Release<'_>, Refusal> {
    let known = Knowledge::new(table, &[]);
    let mut pattern = Pattern::none(table);
    for id in table.ids().filter(|&id| table.unsafe_by(id).is_some()) {
        pattern.add(id);
    }
    let mut hints = Pool::default();
    loop {
        while lines(&known, &mut pattern) {}
        if !requirements(&known, &mut pattern, &mut hints) {
            break;
        }
    }
    audit(&known, &pattern, hints.worlds, true)?;
    Ok(Release::new(table, pattern))
}

/// One more gap for each line that needs one; whether there was any.
fn lines(known: &Knowledge<'_>, pattern: &mut Pattern) -> bool {
    let mut changed = false;
    for line in &known.lines {
        let gaps = line.parts.iter().chain([&line.parent]).filter(|&&id| pattern.holds(id)).count();
        let derived = known.derived(line, pattern);
        let exposed = derived.is_some_and(|leaves| known.table.judge(leaves.into_iter()).is_some());
        if gaps == 1 || exposed {
            let open = line.parts.iter().chain([&line.parent]).filter(|&&id| !pattern.holds(id));
            let cheapest = open.min_by_key(|&&id| known.table.value(id).abs());
            changed |= cheapest.is_some_and(|&id| pattern.add(id));
        }
    }
    changed
}

/// Other tables for all requirements, with more gaps where it takes them; whether the pattern grew.
fn requirements(known: &Knowledge<'_>, pattern: &mut Pattern, pool: &mut Pool) -> bool {
    let mut changed = false;
    for requirement in known.requirements(pattern) {
        if known.untold(&requirement.about, pattern) {
            continue;
        }
        let result = meet(known, &requirement, pool, &mut |one, who| {
            if let Some(world) = within(known, one, who, pattern) {
                return Some(world);
            }
            let before = pattern.clone();
            let world = search::find(known, one, who, pattern, true);
            if world.is_none() {
                // Nothing will do but to give no total at all.
                let leaves = one.about.iter().filter_map(|&at| known.table.leaf(at));
                let above: Vec<CellId> = leaves.flat_map(|leaf| leaf.above.iter().copied()).collect();
                for id in above {
                    pattern.add(id);
                }
            }
            changed |= *pattern != before;
            world
        });
        // What could not be met here is met by a larger pattern, or refused by the audit.
        let _unmet = result.is_err();
    }
    changed
}

/// A world within the pattern.
fn within(
    known: &Knowledge<'_>,
    requirement: &Requirement,
    who: Option<u32>,
    pattern: &Pattern,
) -> Option<World> {
    let mut same = pattern.clone();
    let found = search::find(known, requirement, who, &mut same, false);
    let found = found.or_else(|| search::programme(known, requirement, who, pattern));
    found.filter(|world| known.missed(requirement, world).is_some())
}

/// Worlds that were found for other requirements.
#[derive(Default)]
struct Pool {
    worlds: Vec<World>,
    /// Those that move a leaf.
    moving: BTreeMap<u32, Vec<usize>>,
}

/// Most worlds that are looked at for a requirement before one is searched for.
const LIKELY_MAX: usize = 256;

impl Pool {
    fn add(&mut self, world: World) {
        for &at in world.0.keys() {
            self.moving.entry(at).or_default().push(self.worlds.len());
        }
        self.worlds.push(world);
    }

    /// Worlds that move a leaf of the requirement, the newest first.
    fn likely(&self, requirement: &Requirement) -> impl Iterator<Item = &World> {
        let moving = requirement.leaves.iter().filter_map(|at| self.moving.get(at));
        let of_each = LIKELY_MAX / requirement.leaves.len().max(1) + 1;
        let mut places: Vec<usize> =
            moving.flat_map(|places| places.iter().rev().take(of_each)).copied().collect();
        places.sort_unstable_by(|a, b| b.cmp(a));
        places.dedup();
        places.into_iter().take(LIKELY_MAX).filter_map(|place| self.worlds.get(place))
    }
}

/// Meets a requirement from the pool of worlds, or by a search that is called for one attacker at a time.
fn meet(
    known: &Knowledge<'_>,
    requirement: &Requirement,
    pool: &mut Pool,
    search: &mut dyn FnMut(&Requirement, Option<u32>) -> Option<World>,
) -> Result<(), ()> {
    // The attackers for whom no world was found yet; none: not even for the outsider.
    let mut left: Option<BTreeSet<u32>> = None;
    for world in pool.likely(requirement) {
        if let Some(missed) = known.missed(requirement, world) {
            let both = left.map(|left| left.intersection(&missed).copied().collect());
            left = Some(both.unwrap_or(missed));
            if left.as_ref().is_some_and(BTreeSet::is_empty) {
                return Ok(());
            }
        }
    }
    if left.is_none() {
        let who = if let Who::Only(who) = requirement.who { who } else { None };
        let world = search(requirement, who).ok_or(())?;
        let missed = known.missed(requirement, &world).ok_or(())?;
        pool.add(world);
        left = Some(missed);
    }
    for group in left.into_iter().flatten() {
        let one = Requirement { who: Who::Only(Some(group)), ..requirement.clone() };
        let world = search(&one, Some(group)).ok_or(())?;
        known.missed(&one, &world).ok_or(())?;
        pool.add(world);
    }
    Ok(())
}

/// The last gate: proves that a pattern leaves open what it must.
///
/// With `lonely`, no line may have a single gap.
pub(crate) fn audit(
    known: &Knowledge<'_>,
    pattern: &Pattern,
    hints: Vec<World>,
    lonely: bool,
) -> Result<(), Refusal> {
    let table = known.table;
    if table.cells().all(|(id, _)| pattern.holds(id)) {
        return Ok(());
    }
    for id in table.ids().filter(|&id| !pattern.holds(id)) {
        if let Some(rule) = table.unsafe_by(id) {
            return Err(Refusal::Unsafe { cell: table.codes(id), rule });
        }
    }
    for line in &known.lines {
        let mut gaps = line.parts.iter().chain([&line.parent]).filter(|&&id| pattern.holds(id));
        if let (true, Some(&gap), None) = (lonely, gaps.next(), gaps.next()) {
            return Err(Refusal::Lonely { cell: table.codes(gap) });
        }
        let derived = known.derived(line, pattern);
        if let Some(rule) = derived.and_then(|leaves| table.judge(leaves.into_iter())) {
            return Err(Refusal::Line { cell: table.codes(line.parent), rule });
        }
    }
    let mut pool = Pool::default();
    hints.into_iter().filter(|world| known.agrees(world, pattern)).for_each(|world| pool.add(world));
    for requirement in known.requirements(pattern) {
        if known.untold(&requirement.about, pattern) {
            continue;
        }
        let met = meet(known, &requirement, &mut pool, &mut |one, who| {
            within(known, one, who, pattern).filter(|world| known.agrees(world, pattern))
        });
        met.map_err(|()| Refusal::Close { cell: table.codes(requirement.cell) })?;
    }
    Ok(())
}
