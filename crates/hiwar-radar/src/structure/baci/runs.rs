//! Columns that are sorted: sums without a table a thread, and so without merging.
//!
//! Rows of one importer come in runs, and all runs of an importer are added one after the other: its
//! line of the table (160 kB) then stays in a near cache, which the whole table (36 MB) does not. Each
//! thread has its own importers and writes their lines of the result itself. Exports are summed in
//! the same way by exporter; reading values a second time costs less than adding to lines that are
//! not near.

use std::ops::Range;

use super::touch::touch;
use super::{Cell, Columns, Trade, read};

/// Mean length of runs below which rows are better added in their own order.
const SHORTEST: usize = 16;

/// A place, and rows of it that follow each other.
type Run = (u8, Range<usize>);

/// Where the rows of a place are, sorted by place, in the order of rows within one.
pub(super) struct Runs(Vec<Run>);

impl Runs {
    /// The runs of a column; `None` when they are too short to be of use.
    pub(super) fn of(column: &[u8]) -> Option<Self> {
        let most = column.len() / SHORTEST;
        let mut runs = Vec::new();
        let mut from = 0;
        for run in column.chunk_by(PartialEq::eq) {
            if runs.len() >= most.max(1) {
                return None;
            }
            runs.push((run.first().copied().unwrap_or(0), from..from + run.len()));
            from += run.len();
        }
        runs.sort_by_key(|(place, _)| *place);
        Some(Self(runs))
    }

    /// Cuts into parts of about as many rows, at most `parts`, each with all runs of its places: the
    /// place after its last, and its runs.
    fn parts(&self, parts: usize) -> Vec<(usize, &[Run])> {
        let rows: usize = self.0.iter().map(|(_, run)| run.len()).sum();
        let share = rows.div_ceil(parts.max(1)).max(1);
        let mut all = Vec::new();
        let (mut from, mut to, mut filled) = (0, 0, 0);
        for of_place in self.0.chunk_by(|a, b| a.0 == b.0) {
            to += of_place.len();
            filled += of_place.iter().map(|(_, run)| run.len()).sum::<usize>();
            if filled >= share {
                let end = of_place.first().map_or(0, |(place, _)| usize::from(*place) + 1);
                all.push((end, self.0.get(from..to).unwrap_or_default()));
                (from, filled) = (to, 0);
            }
        }
        if from < to {
            all.push((usize::MAX, self.0.get(from..to).unwrap_or_default()));
        }
        all
    }
}

/// Takes the lines from `from` up to the place `end` off the front of a table.
fn lines<'a, T>(table: &mut &'a mut [T], (from, end): (usize, usize), width: usize) -> &'a mut [T] {
    let count = end.saturating_sub(from).saturating_mul(width).min(table.len());
    let (mine, rest) = std::mem::take(table).split_at_mut(count);
    *table = rest;
    mine
}

impl Columns<'_> {
    /// Sums columns whose codes ascend, by the runs of their importers and exporters.
    pub(super) fn sum_runs(&self, imports: &Runs, exports: &Runs, threads: usize) -> Trade {
        let countries: Vec<u32> = self.countries.iter().map(|code| u32::from(*code)).collect();
        let mut trade = Trade::empty(self.year, &countries, self.products);
        trade.rows = self.value.len() as u64;
        let width = self.products.len();
        let (mut cells, mut unweighed) = (trade.cells.as_mut_slice(), trade.unweighed.as_mut_slice());
        let mut sold = trade.exports.as_mut_slice();
        trade.rows_without_weight = std::thread::scope(|scope| {
            let mut from = 0;
            let mut running = Vec::new();
            for (end, runs) in imports.parts(threads) {
                let cells = lines(&mut cells, (from, end), width);
                let unweighed = lines(&mut unweighed, (from, end), width);
                running.push(scope.spawn(move || self.add_imports(runs, from, cells, unweighed)));
                from = end;
            }
            from = 0;
            for (end, runs) in exports.parts(threads) {
                let sold = lines(&mut sold, (from, end), width);
                running.push(scope.spawn(move || self.add_exports(runs, from, sold)));
                from = end;
            }
            running.into_iter().map(read::joined).sum()
        });
        trade
    }

    /// Adds the runs of importers to their lines, the first of which is of the place `first`. The
    /// number of rows without weight.
    fn add_imports(&self, runs: &[Run], first: usize, cells: &mut [Cell], unweighed: &mut [bool]) -> u64 {
        let width = self.products.len();
        touch(cells);
        let mut lacking = 0;
        for (importer, run) in runs {
            let from = (usize::from(*importer) - first) * width;
            let line = cells.get_mut(from..from + width).unwrap_or_default();
            let flags = unweighed.get_mut(from..from + width).unwrap_or_default();
            let products = self.product.get(run.clone()).unwrap_or_default();
            let values = self.value.get(run.clone()).unwrap_or_default();
            let tonnes = self.tonnes.get(run.clone()).unwrap_or_default();
            for ((product, value), tonnes) in products.iter().zip(values).zip(tonnes) {
                let Some(cell) = line.get_mut(usize::from(*product)) else { continue };
                let (value, tonnes) = (f64::from(*value), f64::from(*tonnes));
                cell[0] += value;
                cell[1] += value * value;
                if tonnes.is_nan() {
                    lacking += 1;
                    if let Some(flag) = flags.get_mut(usize::from(*product)) {
                        *flag = true;
                    }
                } else {
                    cell[2] += tonnes;
                    cell[3] += tonnes * tonnes;
                }
            }
        }
        lacking
    }

    /// Adds the runs of exporters to their lines; no row lacks a value.
    fn add_exports(&self, runs: &[Run], first: usize, sold: &mut [f64]) -> u64 {
        let width = self.products.len();
        touch(sold);
        for (exporter, run) in runs {
            let from = (usize::from(*exporter) - first) * width;
            let line = sold.get_mut(from..from + width).unwrap_or_default();
            let products = self.product.get(run.clone()).unwrap_or_default();
            let values = self.value.get(run.clone()).unwrap_or_default();
            for (product, value) in products.iter().zip(values) {
                if let Some(sum) = line.get_mut(usize::from(*product)) {
                    *sum += f64::from(*value);
                }
            }
        }
        0
    }
}
