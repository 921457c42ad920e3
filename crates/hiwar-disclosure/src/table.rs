//! The table behind a release: every cell with its contributions. It is as confidential as the reports.

use std::collections::{BTreeMap, BTreeSet};

use crate::code::{Code, Party, Period};
use crate::design::{Design, Sign};
use crate::fault::{Collected, Fault, Faults};
use crate::proof::{Blinding, COMMITMENTS_MAX, Commitment, Context, TOTAL_MAX};
use crate::report::Report;
use crate::rules::Sensitivity;

/// A cell: its place in the product of the dimensions' codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellId(pub(crate) u32);

impl CellId {
    pub(crate) fn at(self) -> usize {
        self.0 as usize
    }
}

/// An inner cell without parts, with one contribution of each group.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    /// The cells that it is part of, itself among them.
    pub above: Vec<CellId>,
    /// Group and what it contributes, not zero, by group.
    pub contributions: Vec<(u32, i64)>,
    pub value: i64,
    /// The openings of all reports in it.
    openings: Vec<Option<(Commitment, Blinding)>>,
}

impl Leaf {
    pub(crate) fn of(&self, group: u32) -> i64 {
        let found = self.contributions.binary_search_by_key(&group, |&(group, _)| group);
        found.ok().and_then(|at| self.contributions.get(at)).map_or(0, |&(_, value)| value)
    }
}

#[derive(Clone, Debug, Default)]
struct Cell {
    value: i64,
    /// Its leaves; none: nobody contributes, and everybody knows it.
    leaves: Vec<u32>,
    unsafe_by: Option<Sensitivity>,
}

/// A table of one dataset and period.
#[derive(Clone, Debug)]
pub struct Table {
    design: Design,
    period: Period,
    groups: Vec<Party>,
    leaves: Vec<Leaf>,
    /// The leaves that somebody contributes to.
    leaf_at: BTreeMap<CellId, u32>,
    /// As above, by cell; `u32::MAX` where there is none.
    dense: Vec<u32>,
    /// Each leaf's place in the dimensions.
    places: Vec<Vec<usize>>,
    cells: Vec<Cell>,
    strides: Vec<usize>,
}

/// A sum that everybody knows: a parent is the sum of its parts in one dimension.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub parent: CellId,
    /// The parts that somebody contributes to.
    pub parts: Vec<CellId>,
}

impl Table {
    /// Puts reports into a table. `groups` says which firms belong to one enterprise group; a firm that it
    /// does not name stands for itself. A firm has one report for each leaf; a correction takes the place
    /// of what it corrects before this is called.
    ///
    /// # Errors
    /// Reports that do not fit the design or period, two of one firm for one leaf, openings that do not
    /// open, a sum that is too large.
    pub fn build(
        design: &Design,
        period: Period,
        reports: &[Report],
        groups: &BTreeMap<Party, Party>,
    ) -> Result<Self, Faults> {
        let mut faults = Collected::default();
        if reports.len() > COMMITMENTS_MAX {
            let fault = Fault::new("reports", "disclosure-too-many").with("found", reports.len());
            return Err(Faults(vec![fault.with("most", COMMITMENTS_MAX)]));
        }
        let group_of = |firm: &Party| groups.get(firm).unwrap_or(firm).clone();
        let names: BTreeSet<Party> = reports.iter().map(|report| group_of(&report.firm)).collect();
        let names: Vec<Party> = names.into_iter().collect();
        let mut table = Self::empty(design, period, names);
        let context = table.context();
        let mut seen = BTreeSet::new();
        let mut inner: BTreeMap<CellId, Inner> = BTreeMap::new();
        let mut size = 0i128;
        for (index, report) in reports.iter().enumerate() {
            let place = match report.place(design, period) {
                Ok(place) => place,
                Err(found) => {
                    for fault in found.0 {
                        let field = format!("reports[{index}].{}", fault.field);
                        faults.add(Fault { field, ..fault });
                    }
                    continue;
                }
            };
            let field = format!("reports[{index}]");
            let id = table.id(&place);
            if !seen.insert((report.firm.clone(), id)) {
                faults.add(Fault::new(&field, "disclosure-twice").with("value", &report.firm));
            }
            let opens = |(c, r): &(Commitment, Blinding)| context.opens(c, report.value, r);
            if report.opening.as_ref().is_some_and(|opening| !opens(opening)) {
                faults.add(Fault::new(&field, "disclosure-opening").with("value", &report.firm));
            }
            size += i128::from(report.value).abs();
            let group = table.groups.binary_search(&group_of(&report.firm)).unwrap_or_default();
            let leaf = inner.entry(id).or_default();
            *leaf.contributions.entry(u32::try_from(group).unwrap_or_default()).or_default() += report.value;
            leaf.openings.push(report.opening.clone());
        }
        if size > i128::from(TOTAL_MAX) {
            faults.add(Fault::new("reports", "disclosure-sum"));
        }
        faults.result(Some(()))?;
        table.fill(inner);
        Ok(table)
    }

    fn empty(design: &Design, period: Period, groups: Vec<Party>) -> Self {
        let mut strides = vec![1; design.dimensions.len()];
        let mut size = 1;
        for (stride, dimension) in strides.iter_mut().zip(&design.dimensions).rev() {
            *stride = size;
            size *= dimension.codes().len();
        }
        Self {
            design: design.clone(),
            period,
            groups,
            leaves: Vec::new(),
            leaf_at: BTreeMap::new(),
            dense: vec![u32::MAX; size],
            places: Vec::new(),
            cells: vec![Cell::default(); size],
            strides,
        }
    }

    fn fill(&mut self, inner: BTreeMap<CellId, Inner>) {
        for (id, found) in inner {
            let contributions: Vec<(u32, i64)> =
                found.contributions.into_iter().filter(|&(_, value)| value != 0).collect();
            let at = u32::try_from(self.leaves.len()).unwrap_or(u32::MAX);
            let value = contributions.iter().map(|&(_, value)| value).sum();
            let above = self.ancestors(id);
            // A leaf of zeros is known to be zero; its commitments still count in the cells above.
            if !contributions.is_empty() {
                self.leaf_at.insert(id, at);
                if let Some(dense) = self.dense.get_mut(id.at()) {
                    *dense = at;
                }
                for &above in &above {
                    if let Some(cell) = self.cells.get_mut(above.at()) {
                        cell.value += value;
                        cell.leaves.push(at);
                    }
                }
            }
            self.places.push(self.place(id));
            self.leaves.push(Leaf { above, contributions, value, openings: found.openings });
        }
        let judged: Vec<Option<Sensitivity>> =
            self.ids().map(|id| self.judge(self.leaves_of(id).iter().copied())).collect();
        for (cell, judged) in self.cells.iter_mut().zip(judged) {
            cell.unsafe_by = judged;
        }
    }

    /// What changed from an earlier table of the same design, as a table of its own: its contributions
    /// are the changes, of either sign.
    pub(crate) fn changes(&self, earlier: &Self) -> Self {
        let mut groups: Vec<Party> = self.groups.iter().chain(&earlier.groups).cloned().collect();
        groups.sort();
        groups.dedup();
        let mut inner: BTreeMap<CellId, Inner> = BTreeMap::new();
        for (table, times) in [(self, 1), (earlier, -1)] {
            for (&id, &at) in &table.leaf_at {
                let leaf = inner.entry(id).or_default();
                for &(group, value) in table.leaf(at).map_or(&[][..], |leaf| &leaf.contributions) {
                    let party = table.groups.get(group as usize);
                    let at = party.and_then(|party| groups.binary_search(party).ok()).unwrap_or_default();
                    let at = u32::try_from(at).unwrap_or_default();
                    *leaf.contributions.entry(at).or_default() += value * times;
                }
            }
        }
        let mut design = self.design.clone();
        design.sign = Sign::Signed { magnitude: crate::design::VALUE_MAX };
        let mut changes = Self::empty(&design, self.period, groups);
        changes.fill(inner);
        changes
    }

    /// The design.
    pub fn design(&self) -> &Design {
        &self.design
    }

    /// The time.
    pub fn period(&self) -> Period {
        self.period
    }

    /// What the commitments of its reports share.
    pub fn context(&self) -> Context {
        Context { dataset: self.design.dataset.clone(), period: self.period, unit: self.design.unit.clone() }
    }

    /// Every cell that somebody contributes to, and its value.
    pub fn cells(&self) -> impl Iterator<Item = (CellId, i64)> + '_ {
        self.ids().filter(|&id| self.holds(id)).map(|id| (id, self.value(id)))
    }

    /// The cell with these codes, in the order of the dimensions.
    pub fn find(&self, codes: &[Code]) -> Option<CellId> {
        if codes.len() != self.design.dimensions.len() {
            return None;
        }
        let place = self.design.dimensions.iter().zip(codes).map(|(dimension, code)| dimension.find(code));
        place.collect::<Option<Vec<usize>>>().map(|place| self.id(&place))
    }

    /// The codes of a cell.
    pub fn codes(&self, id: CellId) -> Vec<Code> {
        let place = self.place(id);
        let codes = self.design.dimensions.iter().zip(place).filter_map(|(d, at)| d.code(at).cloned());
        codes.collect()
    }

    /// Its value; 0 where nobody contributes.
    pub fn value(&self, id: CellId) -> i64 {
        self.cells.get(id.at()).map_or(0, |cell| cell.value)
    }

    /// By which rule it may not be published; none when it may.
    pub fn unsafe_by(&self, id: CellId) -> Option<Sensitivity> {
        self.cells.get(id.at()).and_then(|cell| cell.unsafe_by)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = CellId> + use<> {
        (0..u32::try_from(self.cells.len()).unwrap_or(u32::MAX)).map(CellId)
    }

    /// Whether somebody contributes.
    pub(crate) fn holds(&self, id: CellId) -> bool {
        !self.leaves_of(id).is_empty()
    }

    pub(crate) fn leaves_of(&self, id: CellId) -> &[u32] {
        self.cells.get(id.at()).map_or(&[], |cell| &cell.leaves)
    }

    pub(crate) fn leaf(&self, at: u32) -> Option<&Leaf> {
        self.leaves.get(at as usize)
    }

    pub(crate) fn leaf_at(&self, id: CellId) -> Option<u32> {
        self.dense.get(id.at()).copied().filter(|&at| at != u32::MAX)
    }

    pub(crate) fn leaf_id(&self, at: u32) -> Option<CellId> {
        self.leaf(at).and_then(|leaf| leaf.above.first()).copied()
    }

    pub(crate) fn leaf_place(&self, at: u32) -> Option<&[usize]> {
        self.places.get(at as usize).map(Vec::as_slice)
    }

    pub(crate) fn strides(&self) -> &[usize] {
        &self.strides
    }

    pub(crate) fn leaf_ids(&self) -> impl Iterator<Item = (CellId, u32)> + '_ {
        self.leaf_at.iter().map(|(&id, &at)| (id, at))
    }

    pub(crate) fn party(&self, group: u32) -> Option<&Party> {
        self.groups.get(group as usize)
    }

    pub(crate) fn group(&self, party: &Party) -> Option<u32> {
        self.groups.binary_search(party).ok().and_then(|at| u32::try_from(at).ok())
    }

    /// The openings of all reports in a cell; none when one has none.
    pub(crate) fn openings(&self, id: CellId) -> Option<Vec<&(Commitment, Blinding)>> {
        let within = self.leaves.iter().filter(|leaf| leaf.above.contains(&id));
        within.flat_map(|leaf| &leaf.openings).map(Option::as_ref).collect()
    }

    /// Every blinding factor there is.
    pub(crate) fn blindings(&self) -> impl Iterator<Item = &Blinding> {
        self.leaves.iter().flat_map(|leaf| leaf.openings.iter().flatten()).map(|(_, blinding)| blinding)
    }

    /// By which rule the sum of these leaves may not be known.
    pub(crate) fn judge(&self, leaves: impl Iterator<Item = u32>) -> Option<Sensitivity> {
        self.design.rules.unsafe_by(self.sums(leaves).into_values())
    }

    /// What each group contributes to these leaves.
    pub(crate) fn sums(&self, leaves: impl Iterator<Item = u32>) -> BTreeMap<u32, i64> {
        let mut sums = BTreeMap::new();
        for leaf in leaves.filter_map(|at| self.leaf(at)) {
            for &(group, value) in &leaf.contributions {
                *sums.entry(group).or_default() += value;
            }
        }
        sums
    }

    pub(crate) fn place(&self, id: CellId) -> Vec<usize> {
        let mut rest = id.at();
        let place = self.strides.iter().map(|&stride| {
            let at = rest / stride.max(1);
            rest %= stride.max(1);
            at
        });
        place.collect()
    }

    pub(crate) fn id(&self, place: &[usize]) -> CellId {
        let at: usize = place.iter().zip(&self.strides).map(|(at, stride)| at * stride).sum();
        CellId(u32::try_from(at).unwrap_or(u32::MAX))
    }

    /// The cells that a cell is part of, itself first.
    fn ancestors(&self, id: CellId) -> Vec<CellId> {
        let paths = self.place(id).into_iter().zip(&self.design.dimensions).map(|(at, d)| d.ancestors(at));
        let paths: Vec<Vec<usize>> = paths.collect();
        self.product(&paths)
    }

    /// All cells with one of the given places in each dimension.
    pub(crate) fn product(&self, places: &[Vec<usize>]) -> Vec<CellId> {
        let mut sums = vec![0usize];
        for (choices, stride) in places.iter().zip(&self.strides) {
            sums = sums.iter().flat_map(|sum| choices.iter().map(move |at| sum + at * stride)).collect();
        }
        sums.into_iter().filter_map(|at| u32::try_from(at).ok()).map(CellId).collect()
    }

    /// Every line whose parent somebody contributes to.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for parent in self.ids().filter(|&id| self.holds(id)) {
            let places = self.place(parent).into_iter().zip(&self.design.dimensions).zip(&self.strides);
            for ((at, dimension), stride) in places {
                let parts = dimension.children(at).iter().map(|child| parent.at() + (child - at) * stride);
                let parts = parts.filter_map(|at| u32::try_from(at).ok()).map(CellId);
                let parts: Vec<CellId> = parts.filter(|&part| self.holds(part)).collect();
                if !parts.is_empty() {
                    lines.push(Line { parent, parts });
                }
            }
        }
        lines
    }
}

/// A leaf while reports come in.
#[derive(Default)]
struct Inner {
    contributions: BTreeMap<u32, i64>,
    openings: Vec<Option<(Commitment, Blinding)>>,
}
