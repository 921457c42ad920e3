//! Finding other possible tables (*worlds*), within what is suppressed already or at the price of more.
//!
//! A **move** takes two leaves as opposite corners of a hypercube (the idea of the hypercube method,
//! S. Giessing and D. Repsilber, in the handbook's chapter on secondary suppression): in each dimension where they
//! differ the corners alternate in sign, so that every total above both stays; where they are alike, the
//! change goes up to the total. What else is changed must be suppressed. Moves add up. Where they do not
//! suffice, a linear programme over the suppressed cells is asked; its answer is rounded to whole numbers
//! and counts only if it then holds exactly.

use std::collections::{BTreeMap, BTreeSet};

use microlp::{ComparisonOp, LinearExpr, OptimizationDirection, Problem, Variable};

use crate::attack::{Knowledge, Pattern, Requirement, World};
use crate::design::{DIMENSIONS_MAX, Dimension};
use crate::table::{CellId, Table};

/// Most moves that make up one world.
const MOVES_MAX: usize = 24;
/// Most leaves that a world is started from.
const STARTS_MAX: usize = 4;
/// Most cells of a linear programme.
const PROGRAMME_MAX: usize = 600;

/// A move that raises or lowers its first corner.
struct Move {
    start: u32,
    end: u32,
    /// How much the required sum moves with each unit.
    net: i128,
    /// Most units.
    most: i128,
    /// What newly suppressed cells are worth.
    cost: i128,
}

impl Move {
    /// The best move is one that suffices, and costs least; else the one that gives most for its cost.
    fn rank(&self, left: i128) -> (bool, i128, i128) {
        let gives = self.most.saturating_mul(self.net).min(left);
        if gives >= left {
            (false, self.cost, -self.most)
        } else {
            // Cost per unit; a free one first.
            (true, self.cost.saturating_mul(1024) / gives.max(1), -gives)
        }
    }
}

/// Looks for a world that meets a requirement for one attacker. With `more`, cells may be suppressed for
/// it: those are added to the pattern.
pub(crate) fn find(
    known: &Knowledge<'_>,
    requirement: &Requirement,
    who: Option<u32>,
    pattern: &mut Pattern,
    more: bool,
) -> Option<World> {
    let mut left = requirement.gain;
    let mut starts = requirement.leaves.clone();
    starts.sort_by_key(|&at| std::cmp::Reverse(known.table.leaf(at).map_or(0, |leaf| leaf.value.abs())));
    starts.truncate(STARTS_MAX);
    let mut finder = Finder { known, requirement, who, more, world: World::default(), arms: Vec::new() };
    for _ in 0..MOVES_MAX {
        let mut best: Option<Move> = None;
        let ends = || known.table.leaf_ids().map(|(_, end)| end);
        'free: for &start in &starts {
            for end in ends() {
                // A move that does not suffice never takes the place of one that does.
                let most = best.as_ref().filter(|best| best.most * best.net >= left).map(|best| best.cost);
                let found = finder.step(pattern, start, end, most.unwrap_or(i128::MAX));
                best = match (found, best) {
                    (Some(found), Some(best)) if found.rank(left) < best.rank(left) => Some(found),
                    (found, None) => found,
                    (_, best) => best,
                };
                if best.as_ref().is_some_and(|best| best.cost == 0 && best.most * best.net >= left) {
                    break 'free;
                }
            }
        }
        let best = best?;
        let by = best.most.min((left + best.net - 1) / best.net);
        finder.take(&best, by, pattern);
        left -= by * best.net;
        if left <= 0 {
            return Some(finder.world);
        }
    }
    None
}

struct Finder<'k> {
    known: &'k Knowledge<'k>,
    requirement: &'k Requirement,
    who: Option<u32>,
    more: bool,
    world: World,
    /// For each dimension, the codes that change.
    arms: Vec<Vec<usize>>,
}

impl Finder<'_> {
    /// The move with two leaves as opposite corners, when it is possible and costs no more than `dearest`.
    fn step(&mut self, pattern: &Pattern, start: u32, end: u32, dearest: i128) -> Option<Move> {
        let table = self.known.table;
        let first = table.leaf_id(start)?;
        if !(self.more || pattern.holds(first) && pattern.holds(table.leaf_id(end)?)) {
            return None;
        }
        let last = table.leaf_id(end)?;
        if !pattern.holds(last) && i128::from(table.value(last)).abs() > dearest {
            return None;
        }
        let up = self.requirement.up;
        let (mut net, mut most) = (0, i128::MAX / 8);
        for (id, along) in corners(table, start, end)? {
            if !self.more && !pattern.holds(id) {
                return None;
            }
            let at = table.leaf_at(id)?;
            let now = i128::from(table.leaf(at)?.value) + self.world.0.get(&at).copied().unwrap_or(0);
            let (low, high) = self.known.bounds(self.who, at);
            most = most.min(if along == up { high - now } else { now - low });
            if most <= 0 {
                return None;
            }
            if self.requirement.leaves.binary_search(&at).is_ok() {
                net += if along { 1 } else { -1 };
            }
        }
        if net <= 0 {
            return None;
        }
        self.reach(start, end)?;
        let mut cost = 0;
        for id in table.product(&self.arms) {
            if !pattern.holds(id) {
                if !self.more || cost > dearest {
                    return None;
                }
                cost += i128::from(table.value(id)).abs() + 1;
            }
        }
        Some(Move { start, end, net, most, cost })
    }

    /// Sets the codes that change in each dimension.
    fn reach(&mut self, start: u32, end: u32) -> Option<()> {
        let table = self.known.table;
        let (from, to) = (table.leaf_place(start)?, table.leaf_place(end)?);
        self.arms.clear();
        let codes = from.iter().zip(to).zip(&table.design().dimensions);
        self.arms.extend(codes.map(|((&a, &b), dimension)| arms_of(dimension, a, b)));
        Some(())
    }

    fn take(&mut self, found: &Move, by: i128, pattern: &mut Pattern) {
        let table = self.known.table;
        for (id, along) in corners(table, found.start, found.end).into_iter().flatten() {
            if let Some(at) = table.leaf_at(id) {
                let by = if along == self.requirement.up { by } else { -by };
                *self.world.0.entry(at).or_default() += by;
            }
        }
        if self.more && self.reach(found.start, found.end).is_some() {
            for id in table.product(&self.arms) {
                pattern.add(id);
            }
        }
    }
}

/// The corners of the hypercube between two leaves, and whether each moves as the first does.
fn corners(table: &Table, start: u32, end: u32) -> Option<impl Iterator<Item = (CellId, bool)> + use<>> {
    let (from, to) = (table.leaf_place(start)?, table.leaf_place(end)?);
    let mut apart = [0i64; DIMENSIONS_MAX];
    let mut count = 0u32;
    for ((&a, &b), &stride) in from.iter().zip(to).zip(table.strides()) {
        if a != b {
            let steps = i64::try_from(b).ok()? - i64::try_from(a).ok()?;
            *apart.get_mut(count as usize)? = steps * i64::try_from(stride).ok()?;
            count += 1;
        }
    }
    let first = i64::from(table.leaf_id(start)?.0);
    Some((0u32..1 << count).filter_map(move |mask| {
        let chosen = apart.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1);
        let id = first + chosen.map(|(_, by)| by).sum::<i64>();
        Some((CellId(u32::try_from(id).ok()?), mask.count_ones() % 2 == 0))
    }))
}

/// The codes below the first that two codes have in common; up to the total when they are the same.
fn arms_of(dimension: &Dimension, a: usize, b: usize) -> Vec<usize> {
    let mut arm = dimension.ancestors(a);
    if a != b {
        let mut other = dimension.ancestors(b);
        while arm.last().is_some() && arm.last() == other.last() {
            arm.pop();
            other.pop();
        }
        arm.append(&mut other);
    }
    arm
}

/// As [`find`] within the pattern, by a linear programme over the suppressed cells that hang together.
pub(crate) fn programme(
    known: &Knowledge<'_>,
    requirement: &Requirement,
    who: Option<u32>,
    pattern: &Pattern,
) -> Option<World> {
    let (cells, lines) = connected(known, requirement, pattern)?;
    let gain = requirement.gain as f64;
    let mut problem = Problem::new(OptimizationDirection::Maximize);
    let mut variables: BTreeMap<CellId, Variable> = BTreeMap::new();
    let mut inner: Vec<(u32, Variable)> = Vec::new();
    let mut sum = LinearExpr::empty();
    for &id in &cells {
        let Some(at) = known.table.leaf_at(id) else {
            variables.insert(id, problem.add_var(0.0, (f64::NEG_INFINITY, f64::INFINITY)));
            continue;
        };
        let (low, high) = known.bounds(who, at);
        let value = i128::from(known.table.value(id));
        // In units of the gain; more than a thousand times that is never needed.
        let scaled = |by: i128| (by as f64 / gain).clamp(-1000.0, 1000.0);
        let required = requirement.leaves.contains(&at);
        let aim = match (required, requirement.up) {
            (false, _) => 0.0,
            (true, true) => 1.0,
            (true, false) => -1.0,
        };
        let variable = problem.add_var(aim, (scaled(low - value), scaled(high - value)));
        if required {
            sum.add(variable, aim);
        }
        variables.insert(id, variable);
        inner.push((at, variable));
    }
    problem.add_constraint(sum, ComparisonOp::Le, 1.0);
    for line in lines.iter().filter_map(|&line| known.lines.get(line)) {
        let mut balance = LinearExpr::empty();
        if let Some(&parent) = variables.get(&line.parent) {
            balance.add(parent, 1.0);
        }
        for part in line.parts.iter().filter_map(|part| variables.get(part)) {
            balance.add(*part, -1.0);
        }
        problem.add_constraint(balance, ComparisonOp::Eq, 0.0);
    }
    let solution = problem.solve().ok()?.into_solution().ok()?;
    let moved = inner.into_iter().map(|(at, variable)| {
        let by = (solution.var_value(variable) * gain).round();
        (at, if by.abs() < 9e18 { by as i64 } else { 0 })
    });
    let world = World(moved.filter(|&(_, by)| by != 0).map(|(at, by)| (at, i128::from(by))).collect());
    known.agrees(&world, pattern).then_some(world)
}

/// The suppressed cells that hang together with the leaves of a requirement, and the lines between them.
fn connected(
    known: &Knowledge<'_>,
    requirement: &Requirement,
    pattern: &Pattern,
) -> Option<(BTreeSet<CellId>, BTreeSet<usize>)> {
    let (mut cells, mut lines) = (BTreeSet::new(), BTreeSet::new());
    let leaves = requirement.leaves.iter().filter_map(|&at| known.table.leaf(at));
    let mut next: Vec<CellId> = leaves.filter_map(|leaf| leaf.above.first().copied()).collect();
    while let Some(id) = next.pop() {
        if !pattern.holds(id) || !cells.insert(id) {
            continue;
        }
        if cells.len() > PROGRAMME_MAX {
            return None;
        }
        for &index in known.lines_of.get(&id).into_iter().flatten() {
            if lines.insert(index)
                && let Some(line) = known.lines.get(index)
            {
                next.extend(line.parts.iter().copied().chain([line.parent]));
            }
        }
    }
    (!cells.is_empty()).then_some((cells, lines))
}
