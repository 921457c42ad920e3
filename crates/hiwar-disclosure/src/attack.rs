//! What an attacker may find out, as requirements that other possible tables must meet.
//!
//! # The attacker
//! An outsider, or one of the enterprise groups. It knows every released total, that parts add up, who
//! contributes to which leaf, what the design says of a contribution's sign and size, and, when it is a
//! group, its own contributions. It does not know the rules' percentages. Groups that pool what they know
//! are one attacker only when the register names them as one group.
//!
//! # The requirement
//! For each group g, each cell c, and each attacker a but g itself, with x the value of g in c and m the
//! margin of [`RuleSet::upper`](crate::rules::RuleSet::upper): the attacker's upper estimate of x is at least x + m|x|, its lower estimate at most
//! x − m|x| (or 0, where contributions are not negative). For an unsafe cell itself the outsider's estimates of its total keep the
//! protection levels of the dominance and frequency rules.
//!
//! With non-negative contributions the upper estimate of a is the most that Σ (y − xₐ) can be over the
//! leaves of c where g is, over all tables y that agree with the release and have y ≥ xₐ in each leaf; the
//! lower one is the least of the same sum over the leaves where nobody is but g and a. So a requirement
//! is met when the true table meets it, or when *some other* table does: a [`World`]. Every world is
//! checked in whole numbers; how it was found does not matter. That is the proof of safety.

use std::collections::{BTreeMap, BTreeSet};

use crate::design::Sign;
use crate::table::{CellId, Line, Table};

/// Which cells are not released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<bool>);

impl Pattern {
    pub(crate) fn none(table: &Table) -> Self {
        Self(vec![false; table.ids().count()])
    }

    pub(crate) fn holds(&self, id: CellId) -> bool {
        self.0.get(id.at()).copied().unwrap_or(true)
    }

    pub(crate) fn add(&mut self, id: CellId) -> bool {
        self.0.get_mut(id.at()).is_some_and(|suppressed| !std::mem::replace(suppressed, true))
    }
}

/// Another possible table: how far each leaf is from the true one.
#[derive(Clone, Debug, Default)]
pub(crate) struct World(pub BTreeMap<u32, i128>);

/// Which attackers a requirement is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// The outsider (none), or one group.
    Only(Option<u32>),
    /// The outsider and every group but these.
    AllBut(BTreeSet<u32>),
}

/// Some other table must move the sum of these leaves by `gain`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Requirement {
    /// Ascending.
    pub leaves: Vec<u32>,
    pub up: bool,
    pub gain: i128,
    pub who: Who,
    /// The cell that it is about.
    pub cell: CellId,
    /// The leaves whose contribution it is about, if more than those that must move.
    pub about: Vec<u32>,
}

/// A table with all that is known besides: releases of the same table at other times.
pub(crate) struct Knowledge<'t> {
    pub table: &'t Table,
    pub lines: Vec<Line>,
    /// The lines that a cell is in.
    pub lines_of: BTreeMap<CellId, Vec<usize>>,
    companions: Vec<Companion<'t>>,
}

/// Another release, from which this one differs by what an attacker may know.
struct Companion<'t> {
    table: &'t Table,
    /// Our leaf in it.
    leaves: Vec<Option<u32>>,
    /// Our group in it.
    groups: BTreeMap<u32, u32>,
    /// Its group here.
    back: BTreeMap<u32, u32>,
}

impl<'t> Knowledge<'t> {
    pub(crate) fn new(table: &'t Table, companions: &[&'t Table]) -> Self {
        let lines = table.lines();
        let mut lines_of: BTreeMap<CellId, Vec<usize>> = BTreeMap::new();
        for (index, line) in lines.iter().enumerate() {
            for &id in line.parts.iter().chain([&line.parent]) {
                lines_of.entry(id).or_default().push(index);
            }
        }
        let companions = companions.iter().map(|&other| Companion::new(table, other)).collect();
        Self { table, lines, lines_of, companions }
    }

    /// What an attacker knows of a leaf's value beforehand; the true value is always within.
    pub(crate) fn bounds(&self, who: Option<u32>, at: u32) -> (i128, i128) {
        let Some(leaf) = self.table.leaf(at) else { return (0, 0) };
        let value = i128::from(leaf.value);
        let (mut low, mut high) = known(self.table, at, who);
        for companion in &self.companions {
            // It is supposed that the attacker knows how this leaf differs from the other release.
            let Some(other) = companion.leaves.get(at as usize).copied().flatten() else {
                return (value, value);
            };
            let who = who.and_then(|group| companion.groups.get(&group).copied());
            let shift = value - i128::from(companion.table.leaf(other).map_or(0, |leaf| leaf.value));
            let (other_low, other_high) = known(companion.table, other, who);
            low = low.max(other_low.saturating_add(shift));
            high = high.min(other_high.saturating_add(shift));
        }
        (low.min(value), high.max(value))
    }

    /// Whether a world agrees with all that is released.
    pub(crate) fn agrees(&self, world: &World, pattern: &Pattern) -> bool {
        let mut moved: BTreeMap<CellId, i128> = BTreeMap::new();
        for (&at, &by) in &world.0 {
            let Some(leaf) = self.table.leaf(at) else { return false };
            for &id in &leaf.above {
                *moved.entry(id).or_default() += by;
            }
        }
        moved.into_iter().all(|(id, by)| by == 0 || pattern.holds(id))
    }

    /// Whether a world is possible for an attacker.
    pub(crate) fn possible(&self, world: &World, who: Option<u32>) -> bool {
        world.0.iter().all(|(&at, &by)| self.within(at, by, who))
    }

    fn within(&self, at: u32, by: i128, who: Option<u32>) -> bool {
        let (low, high) = self.bounds(who, at);
        let value = self.table.leaf(at).map_or(0, |leaf| i128::from(leaf.value)) + by;
        (low..=high).contains(&value)
    }

    /// The groups that know a world to be impossible, though the outsider does not.
    fn excluded_by(&self, world: &World) -> BTreeSet<u32> {
        let mut groups = BTreeSet::new();
        for (&at, &by) in &world.0 {
            let mut there: BTreeSet<u32> = BTreeSet::new();
            if let Some(leaf) = self.table.leaf(at) {
                there.extend(leaf.contributions.iter().map(|&(group, _)| group));
            }
            for companion in &self.companions {
                let other = companion.leaves.get(at as usize).copied().flatten();
                let other = other.and_then(|other| companion.table.leaf(other));
                let theirs = other.into_iter().flat_map(|leaf| &leaf.contributions);
                there.extend(theirs.filter_map(|(group, _)| companion.back.get(group)));
            }
            groups.extend(there.into_iter().filter(|&group| !self.within(at, by, Some(group))));
        }
        groups
    }

    /// Whether nothing that is released has any of the leaves in it: then the release says nothing of them.
    pub(crate) fn untold(&self, leaves: &[u32], pattern: &Pattern) -> bool {
        let leaves = leaves.iter().filter_map(|&at| self.table.leaf(at));
        leaves.flat_map(|leaf| &leaf.above).all(|&id| pattern.holds(id))
    }

    /// The attackers for whom a world does not meet a requirement: none when it meets it for all.
    pub(crate) fn missed(&self, requirement: &Requirement, world: &World) -> Option<BTreeSet<u32>> {
        let wanted = |at: &u32| requirement.leaves.binary_search(at).is_ok();
        let moved: i128 = world.0.iter().filter(|(at, _)| wanted(at)).map(|(_, by)| by).sum();
        let gain = if requirement.up { moved } else { -moved };
        if gain < requirement.gain {
            return None;
        }
        match &requirement.who {
            Who::Only(who) => self.possible(world, *who).then(BTreeSet::new),
            Who::AllBut(but) if self.possible(world, None) => {
                Some(self.excluded_by(world).difference(but).copied().collect())
            }
            Who::AllBut(_) => None,
        }
    }

    /// All that a pattern's release must leave open.
    pub(crate) fn requirements(&self, pattern: &Pattern) -> Vec<Requirement> {
        let mut all = BTreeSet::new();
        let table = self.table;
        for id in table.ids().filter(|&id| table.holds(id)) {
            self.for_groups(id, table.leaves_of(id), &mut all);
            self.for_cell(id, &mut all);
        }
        for line in &self.lines {
            if let Some(leaves) = self.derived(line, pattern) {
                self.for_groups(line.parent, &leaves, &mut all);
            }
        }
        all.into_iter().collect()
    }

    /// The leaves whose sum a line gives away: those of the suppressed parts of a released parent.
    pub(crate) fn derived(&self, line: &Line, pattern: &Pattern) -> Option<Vec<u32>> {
        if pattern.holds(line.parent) {
            return None;
        }
        let parts = line.parts.iter().filter(|&&part| pattern.holds(part));
        let mut leaves: Vec<u32> = parts.flat_map(|&part| self.table.leaves_of(part)).copied().collect();
        leaves.sort_unstable();
        (!leaves.is_empty()).then_some(leaves)
    }

    fn for_cell(&self, id: CellId, all: &mut BTreeSet<Requirement>) {
        if self.table.unsafe_by(id).is_none() {
            return;
        }
        let rules = &self.table.design().rules;
        let leaves = self.table.leaves_of(id).to_vec();
        let sums = || self.table.sums(leaves.iter().copied()).into_values();
        let dominance = rules.dominance_level(sums());
        let frequency = rules.frequency_level(sums());
        let down = match self.table.design().sign {
            Sign::NonNegative => frequency.min(i128::from(self.table.value(id))),
            Sign::Signed { .. } => frequency,
        };
        for (up, gain) in [(true, dominance.max(frequency)), (false, down)] {
            if gain > 0 {
                let leaves = leaves.clone();
                let about = leaves.clone();
                all.insert(Requirement { leaves, up, gain, who: Who::Only(None), cell: id, about });
            }
        }
    }

    fn for_groups(&self, cell: CellId, leaves: &[u32], all: &mut BTreeSet<Requirement>) {
        let mut of: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for &at in leaves {
            for (group, _) in self.table.leaf(at).into_iter().flat_map(|leaf| &leaf.contributions) {
                of.entry(*group).or_default().push(at);
            }
        }
        let totals = self.table.sums(leaves.iter().copied());
        let mut largest: Vec<(i64, u32)> = totals.iter().map(|(&group, &sum)| (sum, group)).collect();
        largest.sort_unstable_by(|a, b| b.cmp(a));
        for (&group, mine) in &of {
            let value = totals.get(&group).copied().unwrap_or_default();
            if self.plainly_met(group, value, mine, &largest) {
                continue;
            }
            let others = mine.iter().filter_map(|&at| self.table.leaf(at));
            let others = others.flat_map(|leaf| &leaf.contributions).map(|&(group, _)| group);
            let others: BTreeSet<u32> = others.filter(|&other| other != group).collect();
            let attackers = others.iter().map(|&other| Some(other)).chain([None]);
            for who in attackers {
                for (up, leaves, gain) in self.gaps(group, value, who, mine) {
                    if gain <= 0 {
                        continue;
                    }
                    let who = match who {
                        Some(_) => Who::Only(who),
                        None => Who::AllBut(others.iter().copied().chain([group]).collect()),
                    };
                    let about = mine.clone();
                    all.insert(Requirement { leaves, up, gain, who, cell, about });
                }
            }
        }
    }

    /// Whether the true table meets all requirements about a group, as a quick look shows.
    fn plainly_met(&self, group: u32, value: i64, mine: &[u32], largest: &[(i64, u32)]) -> bool {
        if self.table.design().sign != Sign::NonNegative {
            return false;
        }
        let leaves = || mine.iter().filter_map(|&at| self.table.leaf(at));
        if leaves().any(|leaf| leaf.contributions.len() <= 2) {
            return false;
        }
        let sum: i128 = leaves().map(|leaf| i128::from(leaf.value)).sum();
        let other = largest.iter().find(|(_, other)| *other != group).map_or(0, |&(sum, _)| i128::from(sum));
        sum - other >= self.table.design().rules.upper(value)
    }

    /// How much the estimates of an attacker in the true table lack: upwards, and downwards.
    fn gaps(&self, group: u32, value: i64, who: Option<u32>, mine: &[u32]) -> [(bool, Vec<u32>, i128); 2] {
        let rules = &self.table.design().rules;
        let known =
            |at: u32| who.map_or(0, |who| self.table.leaf(at).map_or(0, |leaf| i128::from(leaf.of(who))));
        let value_of = |at: u32| self.table.leaf(at).map_or(0, |leaf| i128::from(leaf.value));
        // How many others are in the leaf whom the attacker does not know.
        let others = |at: u32| {
            let there = self.table.leaf(at).map_or(&[][..], |leaf| &leaf.contributions);
            let others = there.iter().filter(|&&(other, _)| other != group && Some(other) != who);
            i128::try_from(others.count()).unwrap_or(i128::MAX)
        };
        let sole: Vec<u32> = mine.iter().copied().filter(|&at| others(at) == 0).collect();
        let alone: i128 = sole.iter().map(|&at| value_of(at) - known(at)).sum();
        match self.table.design().sign {
            Sign::NonNegative => {
                let most: i128 = mine.iter().map(|&at| value_of(at) - known(at)).sum();
                [
                    (true, mine.to_vec(), rules.upper(value) - most),
                    (false, sole, alone - rules.lower(value).max(0)),
                ]
            }
            Sign::Signed { magnitude } => {
                let bound = i128::from(magnitude);
                let shared = || mine.iter().copied().filter(|&at| others(at) > 0);
                let rest = |at: u32| value_of(at) - known(at);
                let most: i128 = shared().map(|at| (rest(at) + others(at) * bound).min(bound)).sum();
                let least: i128 = shared().map(|at| (rest(at) - others(at) * bound).max(-bound)).sum();
                // Nobody's value can be more than the stated magnitude, so no estimate need be either.
                let reach = bound * i128::try_from(mine.len()).unwrap_or(i128::MAX / bound);
                [
                    (true, sole.clone(), rules.upper(value).min(reach) - alone - most),
                    (false, sole, alone + least - rules.lower(value).max(-reach)),
                ]
            }
        }
    }
}

/// What an attacker knows of a leaf's value from the design and its own contribution.
fn known(table: &Table, at: u32, who: Option<u32>) -> (i128, i128) {
    let Some(leaf) = table.leaf(at) else { return (0, 0) };
    let own = who.map_or(0, |who| i128::from(leaf.of(who)));
    let others = leaf.contributions.iter().filter(|&&(group, _)| Some(group) != who).count();
    match table.design().sign {
        // Where it is alone it knows the leaf.
        Sign::NonNegative => (own, if others == 0 { own } else { i128::MAX / 4 }),
        Sign::Signed { magnitude } => {
            let reach = i128::from(magnitude) * i128::try_from(others).unwrap_or(0);
            (own - reach, own + reach)
        }
    }
}

impl<'t> Companion<'t> {
    fn new(table: &Table, other: &'t Table) -> Self {
        let mut leaves = Vec::new();
        for (id, at) in table.leaf_ids() {
            let at = at as usize;
            if leaves.len() <= at {
                leaves.resize(at + 1, None);
            }
            if let Some(leaf) = leaves.get_mut(at) {
                *leaf = other.leaf_at(id);
            }
        }
        let mut groups = BTreeMap::new();
        for group in 0.. {
            let Some(party) = table.party(group) else { break };
            if let Some(there) = other.group(party) {
                groups.insert(group, there);
            }
        }
        let back = groups.iter().map(|(&here, &there)| (there, here)).collect();
        Self { table: other, leaves, groups, back }
    }
}
