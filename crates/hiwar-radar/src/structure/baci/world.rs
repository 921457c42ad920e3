//! GeoDep for all importers and products at once.

use std::num::NonZeroUsize;

use serde::Serialize;

use super::{BaciError, Trade, read};
use crate::structure::import_export_ratio;
use crate::structure::rules::{Limits, RulePack, RuleRef};

/// An importer's dependency in one product: C4 holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Dependency {
    /// The importer's code.
    pub importer: u32,
    /// The product's code, as a number; written with six digits.
    pub product: u32,
    /// Years of those looked at in which C1, C2 and C3 hold.
    pub years: u16,
    /// The last of these years, which the numbers below are of.
    pub year: u16,
    /// Imports, thousand US dollars.
    pub value: f64,
    /// HHI of imports by value.
    pub import_hhi: f64,
    /// HHI of imports by weight, over the rows that have one.
    pub import_hhi_weight: Option<f64>,
    /// HHI of world exports by value.
    pub world_hhi: f64,
    /// Imports over exports.
    pub ratio: f64,
}

/// Counts and sums of one year, to compare two computations by. A group is an importer and product
/// with imports of some value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct YearTotals {
    /// The year.
    pub year: u16,
    /// Rows read.
    pub rows: u64,
    /// Groups.
    pub groups: u64,
    /// Sum over groups of the HHI by value.
    pub hhi_sum: f64,
    /// Groups with some weight.
    pub weight_groups: u64,
    /// Sum over these of the HHI by weight.
    pub hhi_weight_sum: f64,
    /// Groups where C1 holds.
    pub c1: u64,
    /// Groups where C1 would hold by weight.
    pub c1_weight: u64,
    /// Groups where C2 holds.
    pub c2: u64,
    /// Groups where C3 holds.
    pub c3: u64,
    /// Groups where all three hold.
    pub all: u64,
}

/// The dependencies of all importers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct World {
    /// The rules.
    pub rules: RuleRef,
    /// The years looked at, ascending.
    pub years: Vec<YearTotals>,
    /// All pairs where C4 holds, by importer and product.
    pub dependent: Vec<Dependency>,
}

/// One year, with its places in the common order of codes.
struct Year<'a> {
    trade: &'a Trade,
    world: Vec<Option<f64>>,
    rows: Vec<Option<usize>>,
    columns: Vec<Option<usize>>,
}

/// Which of `all` has which place in `some`; both ascending.
fn places(all: &[u32], some: &[u32]) -> Vec<Option<usize>> {
    all.iter().map(|code| some.binary_search(code).ok()).collect()
}

/// GeoDep (Lefebvre & Wibaux 2024), C1 to C4 by value, of every importer and product over the last
/// years given (as many as the pack looks at), in as many threads.
///
/// # Errors
/// [`BaciError::NoYears`] without any year.
pub fn dependencies(trades: &[Trade], rules: &RulePack, threads: NonZeroUsize) -> Result<World, BaciError> {
    let mut last: Vec<&Trade> = trades.iter().collect();
    last.sort_by_key(|trade| trade.year);
    last.drain(..last.len().saturating_sub(usize::from(rules.limits.geodep_years_seen)));
    if last.is_empty() {
        return Err(BaciError::NoYears);
    }
    let union = |codes: fn(&Trade) -> &[u32]| {
        let mut all: Vec<u32> = last.iter().flat_map(|trade| codes(trade)).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let (countries, products) = (union(Trade::countries), union(Trade::products));
    let years: Vec<Year<'_>> = last
        .iter()
        .map(|trade| Year {
            trade,
            world: trade.world_hhis(),
            rows: places(&countries, &trade.countries),
            columns: places(&products, &trade.products),
        })
        .collect();
    let share = countries.len().div_ceil(threads.get()).max(1);
    let parts: Vec<Part> = std::thread::scope(|scope| {
        let running: Vec<_> = countries
            .chunks(share)
            .enumerate()
            .map(|(part, some)| {
                let (years, products) = (&years, &products);
                scope.spawn(move || judge(years, (part * share, some), products, &rules.limits))
            })
            .collect();
        running.into_iter().map(read::joined).collect()
    });
    let mut totals: Vec<YearTotals> = last
        .iter()
        .map(|trade| YearTotals { year: trade.year, rows: trade.rows, ..YearTotals::default() })
        .collect();
    let mut dependent = Vec::new();
    for part in parts {
        dependent.extend(part.dependent);
        for (total, more) in totals.iter_mut().zip(part.totals) {
            total.add(&more);
        }
    }
    Ok(World { rules: rules.reference.clone(), years: totals, dependent })
}

impl YearTotals {
    fn add(&mut self, other: &Self) {
        self.groups += other.groups;
        self.hhi_sum += other.hhi_sum;
        self.weight_groups += other.weight_groups;
        self.hhi_weight_sum += other.hhi_weight_sum;
        self.c1 += other.c1;
        self.c1_weight += other.c1_weight;
        self.c2 += other.c2;
        self.c3 += other.c3;
        self.all += other.all;
    }
}

struct Part {
    totals: Vec<YearTotals>,
    dependent: Vec<Dependency>,
}

fn judge(years: &[Year<'_>], (first, importers): (usize, &[u32]), products: &[u32], limits: &Limits) -> Part {
    let mut totals = vec![YearTotals::default(); years.len()];
    let mut dependent = Vec::new();
    // For one importer: years in which all hold, and the last of them.
    let mut held: Vec<(u16, usize)> = Vec::new();
    for (row, importer) in importers.iter().enumerate() {
        held.clear();
        held.resize(products.len(), (0, 0));
        for (place, (year, total)) in years.iter().zip(&mut totals).enumerate() {
            let Some(base) = year.rows.get(first + row).copied().flatten() else { continue };
            let base = base * year.trade.products.len();
            for (column, held) in year.columns.iter().zip(&mut held) {
                if let Some(column) = column
                    && meets(year, base + column, *column, limits, total)
                {
                    *held = (held.0 + 1, place);
                }
            }
        }
        for ((product, (count, place)), column) in products.iter().zip(&held).zip(0..) {
            if *count >= limits.geodep_years_needed
                && let Some(entry) = years.get(*place).and_then(|year| {
                    entry(year, (first + row, column), (*importer, *product), *count, limits)
                })
            {
                dependent.push(entry);
            }
        }
    }
    Part { totals, dependent }
}

/// Counts one importer and product of one year; whether C1, C2 and C3 hold.
#[inline(always)]
fn meets(year: &Year<'_>, at: usize, column: usize, limits: &Limits, total: &mut YearTotals) -> bool {
    let Some([value, squares, tonnes, tonnes_squares]) = year.trade.cells.get(at).copied() else {
        return false;
    };
    if value <= 0.0 {
        return false;
    }
    let hhi = squares / (value * value);
    total.groups += 1;
    total.hhi_sum += hhi;
    if tonnes > 0.0 {
        let hhi = tonnes_squares / (tonnes * tonnes);
        total.weight_groups += 1;
        total.hhi_weight_sum += hhi;
        total.c1_weight += u64::from(hhi > limits.geodep_import_hhi);
    }
    let world = year.world.get(column).copied().flatten().unwrap_or(0.0);
    let exports = year.trade.exports.get(at).copied().unwrap_or(0.0);
    let c1 = hhi > limits.geodep_import_hhi;
    let c2 = world > limits.geodep_world_hhi;
    let c3 = import_export_ratio(value, exports, limits) > limits.geodep_ratio;
    total.c1 += u64::from(c1);
    total.c2 += u64::from(c2);
    total.c3 += u64::from(c3);
    total.all += u64::from(c1 && c2 && c3);
    c1 && c2 && c3
}

fn entry(
    year: &Year<'_>,
    (row, column): (usize, usize),
    (importer, product): (u32, u32),
    years: u16,
    limits: &Limits,
) -> Option<Dependency> {
    let row = year.rows.get(row).copied().flatten()?;
    let column = year.columns.get(column).copied().flatten()?;
    let at = row * year.trade.products.len() + column;
    let imports = year.trade.imports_at(at)?;
    Some(Dependency {
        importer,
        product,
        years,
        year: year.trade.year,
        value: imports.value,
        import_hhi: imports.hhi,
        import_hhi_weight: imports.hhi_weight,
        world_hhi: year.world.get(column).copied().flatten()?,
        ratio: import_export_ratio(imports.value, *year.trade.exports.get(at)?, limits),
    })
}
