//! The dependency book of one reporter: every item it imports in a year, how concentrated its
//! supply is, and what the published methods say of it; and what changed since the last book.
//!
//! Lists of dependent products change a lot (one in five of 2018's was not in 2019's, Lefebvre &
//! Wibaux 2024), so a book has a year, the date that it is judged as of, and its rule pack.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::baci::Trade;
use super::rules::{RulePack, RuleRef};
use super::{Basis, Cdi, GeoDep, GeoDepYear, Verdict, cdi, concentration, geodep, import_export_ratio};
use crate::month::{Date, Month};
use crate::series::{Flow, Series, Unit};

/// What a reporter traded with one partner in one item in one year. Partners must not overlap: no
/// totals and no groups of countries beside their members.
#[derive(Clone, Debug, PartialEq)]
pub struct Annual {
    /// The partner.
    pub partner: Arc<str>,
    /// The item's code.
    pub item: Arc<str>,
    /// The year.
    pub year: u16,
    /// Imports, in the unit of the source.
    pub import_value: f64,
    /// Imports in kilograms; `None` when the weight of some is not known.
    pub import_kg: Option<f64>,
    /// Exports, in the unit of the source; `None` when not known.
    pub export_value: Option<f64>,
    /// Months of the year that were reported, up to 12.
    pub months: u8,
}

/// Why a book or its input cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// Series of different sources, reporters or units do not add up.
    #[error("{first} and {other} are not of one source, reporter and unit; make one book for each")]
    Mixed {
        /// The first series.
        first: String,
        /// One that differs.
        other: String,
    },
    /// Nothing is known of the year.
    #[error("nothing was reported by {reporter} for {year}")]
    NoYear {
        /// The reporter.
        reporter: String,
        /// The year.
        year: u16,
    },
    /// Books of two reporters cannot be compared.
    #[error("a book of {old} cannot be compared with one of {new}")]
    Reporters {
        /// Of the old book.
        old: String,
        /// Of the new book.
        new: String,
    },
}

impl Annual {
    /// Sums the months of series, imports and exports, by partner, item and year. Months before the
    /// first of a series count as months without trade, later ones without observation as not
    /// reported. A year that no series reaches with any month is left out.
    ///
    /// # Errors
    /// [`BookError::Mixed`] unless all are of one source, reporter and unit.
    pub fn from_series<'a>(series: impl IntoIterator<Item = &'a Series>) -> Result<Vec<Self>, BookError> {
        let mut first: Option<&Series> = None;
        let mut sums: BTreeMap<(Arc<str>, Arc<str>, u16), Self> = BTreeMap::new();
        for one in series {
            let same = |other: &Series| {
                (&other.key.source, &other.key.reporter, other.unit)
                    == (&one.key.source, &one.key.reporter, one.unit)
            };
            match first {
                Some(other) if !same(other) => {
                    return Err(BookError::Mixed {
                        first: other.key.to_string(),
                        other: one.key.to_string(),
                    });
                }
                Some(_) => {}
                None => first = Some(one),
            }
            if one.months.is_empty() {
                continue;
            }
            for year in one.first.year()..=one.last().year() {
                let sum = sum_year(one, year);
                if sum.months == 0 {
                    continue;
                }
                let key = (one.key.item.clone(), one.key.partner.clone(), year);
                match sums.get_mut(&key) {
                    Some(all) => all.add(&sum),
                    None => {
                        sums.insert(key, sum);
                    }
                }
            }
        }
        Ok(sums.into_values().collect())
    }

    fn add(&mut self, more: &Self) {
        self.import_value += more.import_value;
        self.import_kg = self.import_kg.zip(more.import_kg).map(|(a, b)| a + b);
        self.export_value = match (self.export_value, more.export_value) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        self.months = self.months.min(more.months);
    }
}

fn sum_year(series: &Series, year: u16) -> Annual {
    let import = series.key.flow == Flow::Import;
    let mut sum = Annual {
        partner: series.key.partner.clone(),
        item: series.key.item.clone(),
        year,
        import_value: 0.0,
        import_kg: Some(0.0),
        export_value: (!import).then_some(0.0),
        months: 0,
    };
    for month in (1..=12).filter_map(|month| Month::new(year, month)) {
        let Some(seen) = series.at(month) else {
            sum.months += u8::from(month < series.first);
            continue;
        };
        sum.months += 1;
        let value = seen.value.unwrap_or(0.0);
        if import {
            sum.import_value += value;
            let kg = if value > 0.0 { seen.kg } else { Some(seen.kg.unwrap_or(0.0)) };
            sum.import_kg = sum.import_kg.zip(kg).map(|(a, b)| a + b);
        } else {
            sum.export_value = sum.export_value.map(|sum| sum + value);
        }
    }
    sum
}

/// HHI of world exports by value, by item and year.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorldHhi(BTreeMap<(Arc<str>, u16), f64>);

impl WorldHhi {
    /// Sets the HHI of an item (its code with leading zeros) in a year.
    pub fn insert(&mut self, item: &str, year: u16, hhi: f64) {
        self.0.insert((item.into(), year), hhi);
    }

    /// All six-digit products of years of BACI.
    pub fn from_baci(trades: &[Trade]) -> Self {
        let mut all = Self::default();
        for trade in trades {
            for (product, hhi) in trade.products().iter().zip(trade.world_hhis()) {
                if let Some(hhi) = hhi {
                    all.insert(&format!("{product:06}"), trade.year(), hhi);
                }
            }
        }
        all
    }

    /// The HHI of an item, or else of the six-digit code that it belongs to, which may be wider;
    /// with the code that it is of.
    pub fn get(&self, item: &str, year: u16) -> Option<(Arc<str>, f64)> {
        let codes = [Some(item), item.get(..6)];
        codes.into_iter().flatten().find_map(|code| {
            let (key, hhi) = self.0.get_key_value(&(Arc::from(code), year))?;
            Some((key.0.clone(), *hhi))
        })
    }
}

/// What a book is made of, beside the annual sums.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who imports.
    pub reporter: &'a str,
    /// The year to judge; the years before it are used for C4.
    pub year: u16,
    /// The date to judge as of; the sums hold nothing that was released later.
    pub as_of: Date,
    /// The unit of values.
    pub unit: Unit,
    /// The thresholds.
    pub rules: &'a RulePack,
    /// World trade, for C2; without it C2 is unknown, and with it C4 unless C1 or C3 decides.
    pub world: Option<&'a WorldHhi>,
    /// The partners inside of the reporter's bloc, for CDI; an empty set for a reporter that has
    /// none. Without it all partners count as outside and CDI2 is unknown.
    pub bloc: Option<&'a BTreeSet<String>>,
}

/// Concentration over partners, with their names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shares {
    /// What the shares are of.
    pub basis: Basis,
    /// Herfindahl-Hirschman index, from 1/n to 1.
    pub hhi: f64,
    /// All imports: value in the book's unit, or kilograms.
    pub total: f64,
    /// The largest supplier, the first by name of equals.
    pub top_partner: Arc<str>,
    /// Its share, from 0 to 1.
    pub top_share: f64,
}

/// One item of a book.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The item's code.
    pub item: Arc<str>,
    /// Months that were reported for every partner, up to 12: below 12 the numbers are of a part
    /// of the year.
    pub months: u8,
    /// Partners with imports.
    pub partners: u32,
    /// Shares by value.
    pub by_value: Shares,
    /// Shares by weight, of the partners whose weight is known; `None` without any.
    pub by_weight: Option<Shares>,
    /// The weight is known of all partners.
    pub weight_is_whole: bool,
    /// Exports in the book's unit; `None` when not known.
    pub exports: Option<f64>,
    /// Imports over exports, 9999 without exports; `None` when exports are not known.
    pub ratio: Option<f64>,
    /// HHI of world exports by value.
    pub world_hhi: Option<f64>,
    /// The code that the world's HHI is of, which may be wider than the item.
    pub world_item: Option<Arc<str>>,
    /// GeoDep's conditions.
    pub geodep: GeoDep,
    /// The EU's core dependency indicators.
    pub cdi: Cdi,
}

/// The dependency book of a reporter and year.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Book {
    /// Who imports.
    pub reporter: String,
    /// The year.
    pub year: u16,
    /// The date it is judged as of.
    pub as_of: Date,
    /// The rules.
    pub rules: RuleRef,
    /// The unit of values.
    pub unit: Unit,
    /// All items imported in the year: the most concentrated by value first, then the larger
    /// imports, then by code.
    pub entries: Vec<Entry>,
}

/// Sums of one item and year.
#[derive(Default)]
struct ItemYear {
    /// By partner: value, kilograms.
    partners: BTreeMap<Arc<str>, (f64, Option<f64>)>,
    exports: Option<f64>,
    months: Option<u8>,
}

impl ItemYear {
    fn add(&mut self, annual: &Annual) {
        let known = self.partners.entry(annual.partner.clone()).or_insert((0.0, Some(0.0)));
        known.0 += annual.import_value;
        known.1 = known.1.zip(annual.import_kg).map(|(a, b)| a + b);
        if let Some(exports) = annual.export_value {
            *self.exports.get_or_insert(0.0) += exports;
        }
        self.months = Some(self.months.map_or(annual.months, |months| months.min(annual.months)));
    }

    fn shares(&self, basis: Basis) -> Option<Shares> {
        let amount = |(value, kg): &(f64, Option<f64>)| match basis {
            Basis::Value => *value,
            Basis::Weight => kg.unwrap_or(0.0),
        };
        let all = concentration(basis, self.partners.values().map(amount))?;
        let top_partner = self.partners.keys().nth(all.top)?.clone();
        Some(Shares { basis, hhi: all.hhi, total: all.total, top_partner, top_share: all.top_share })
    }
}

impl Book {
    /// Makes the book of a year from annual sums, which may be of any years and in any order.
    ///
    /// # Errors
    /// [`BookError::NoYear`] when none is of the year.
    pub fn make(annuals: impl IntoIterator<Item = Annual>, request: &Request<'_>) -> Result<Self, BookError> {
        let seen = request.rules.limits.geodep_years_seen;
        let earliest = request.year.saturating_sub(seen - 1);
        let mut items: BTreeMap<Arc<str>, BTreeMap<u16, ItemYear>> = BTreeMap::new();
        let mut reported = BTreeSet::new();
        for annual in annuals {
            if (earliest..=request.year).contains(&annual.year) {
                reported.insert(annual.year);
                items.entry(annual.item.clone()).or_default().entry(annual.year).or_default().add(&annual);
            }
        }
        if !reported.contains(&request.year) {
            return Err(BookError::NoYear { reporter: request.reporter.to_owned(), year: request.year });
        }
        let mut entries: Vec<Entry> =
            items.iter().filter_map(|(item, years)| entry(item, years, &reported, request)).collect();
        entries.sort_by(|a, b| {
            let key = |entry: &Entry| (entry.by_value.hhi, entry.by_value.total);
            let ((a_hhi, a_total), (b_hhi, b_total)) = (key(a), key(b));
            b_hhi.total_cmp(&a_hhi).then(b_total.total_cmp(&a_total)).then_with(|| a.item.cmp(&b.item))
        });
        Ok(Self {
            reporter: request.reporter.to_owned(),
            year: request.year,
            as_of: request.as_of,
            rules: request.rules.reference.clone(),
            unit: request.unit,
            entries,
        })
    }

    /// The entry of an item.
    pub fn entry(&self, item: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| &*entry.item == item)
    }
}

fn entry(
    item: &Arc<str>,
    years: &BTreeMap<u16, ItemYear>,
    reported: &BTreeSet<u16>,
    request: &Request<'_>,
) -> Option<Entry> {
    let limits = &request.rules.limits;
    let world = |year| request.world.and_then(|world| world.get(item, year));
    let ratio =
        |year: &ItemYear, imports| year.exports.map(|exports| import_export_ratio(imports, exports, limits));
    let now = years.get(&request.year)?;
    let by_value = now.shares(Basis::Value)?;
    let judged: Vec<Option<GeoDepYear>> = (0..limits.geodep_years_seen)
        .map(|back| {
            let year = request.year.checked_sub(back).filter(|year| reported.contains(year))?;
            let of_year = years.get(&year);
            let shares = of_year.and_then(|of_year| of_year.shares(Basis::Value));
            Some(GeoDepYear {
                import_hhi: shares.as_ref().map(|shares| shares.hhi),
                world_hhi: world(year).map(|(_, hhi)| hhi),
                ratio: of_year.zip(shares).and_then(|(of_year, shares)| ratio(of_year, shares.total)),
            })
        })
        .collect();
    let inside = |partner: &Arc<str>| request.bloc.is_some_and(|bloc| bloc.contains(&**partner));
    let extra: Vec<f64> =
        now.partners.iter().filter(|(name, _)| !inside(name)).map(|(_, sum)| sum.0).collect();
    let intra = request
        .bloc
        .map(|_| now.partners.iter().filter(|(name, _)| inside(name)).map(|(_, sum)| sum.0).sum());
    let bought = || now.partners.values().filter(|sum| sum.0 > 0.0);
    let (world_item, world_hhi) = world(request.year).unzip();
    Some(Entry {
        item: item.clone(),
        months: now.months.unwrap_or(0),
        partners: u32::try_from(bought().count()).unwrap_or(u32::MAX),
        ratio: ratio(now, by_value.total),
        by_weight: now.shares(Basis::Weight),
        weight_is_whole: bought().all(|sum| sum.1.is_some()),
        by_value,
        exports: now.exports,
        world_hhi,
        world_item,
        geodep: geodep(&judged, limits),
        cdi: cdi(&extra, intra, now.exports, limits),
    })
}

impl Entry {
    /// The item is on the list: GeoDep's C4 holds, or may hold for all that is known.
    pub fn is_listed(&self) -> bool {
        self.geodep.c4 != Verdict::No
    }
}

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

/// What changed between two books, of the items that are listed ([`Entry::is_listed`]) in either.
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

#[cfg(test)]
mod tests;
