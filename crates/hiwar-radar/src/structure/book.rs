//! The dependency book of one reporter: every item it imports in a year, how concentrated its
//! supply is, and what the published methods say of it; and what changed since the last book.
//!
//! Lists of dependent products change a lot (one in five of 2018's was not in 2019's, Lefebvre &
//! Wibaux 2024), so a book has a year, the date that it is judged as of, and its rule pack.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use super::annual::{Annual, Gathered};
use super::bloc::Bloc;
pub use super::churn::{Change, Churn};
use super::risk::{Known, Risk, RiskError, RiskInputs};
use super::rules::{Limits, RulePack, RuleRef, Threshold};
use super::world::{Origin, WorldTrade};
use super::{
    Basis, Cdi, Centrality, GeoDep, GeoDepYear, Needs, Substitutability, Verdict, cdi, concentration, geodep,
    import_export_ratio, price_factor_without, substitutability,
};
use crate::items::concordance::Revision;
use crate::items::goods::{Elasticity, sigma_of};
use crate::month::Date;
use crate::series::Unit;

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
    /// The reporter is not in the bloc.
    #[error(
        "{reporter} is not a member of {bloc} in {year}; ask for --reporter {bloc}, a member, or no bloc"
    )]
    NotInside {
        /// The reporter.
        reporter: String,
        /// The bloc.
        bloc: String,
        /// The year.
        year: u16,
    },
    /// Inputs of supply risk do not fit the book.
    #[error(transparent)]
    Risk(#[from] RiskError),
    /// Books of two reporters cannot be compared.
    #[error("a book of {old} cannot be compared with one of {new}")]
    Reporters {
        /// Of the old book.
        old: String,
        /// Of the new book.
        new: String,
    },
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
    /// The source of the sums, such as `kcs`.
    pub source: &'a str,
    /// World trade, for C2 and the centrality of exporters; without it C2 is unknown, and with it C4
    /// unless C1 or C3 decides.
    pub world: Option<&'a WorldTrade>,
    /// The reporter's bloc, for CDI, which is not judged without it. A reporter with the bloc's own
    /// code stands for all its members ([`Gathered::of_bloc`]): then all numbers but those of CDI
    /// are of trade with the outside only.
    pub bloc: Option<&'a Bloc>,
    /// Members of the bloc that reported nothing for the year: what depends on them is unknown.
    pub silent: &'a [String],
    /// Inputs of supply risk.
    pub risk: Option<&'a RiskInputs>,
    /// The revision of the Harmonized System that items are in, for elasticities; that of the year
    /// when not given.
    pub revision: Option<Revision>,
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
    /// World trade in the item.
    pub world: Option<World>,
    /// How easily a supplier is replaced, for codes of the Harmonized System.
    pub substitution: Option<Substitution>,
    /// Supply risk of the EU's critical raw materials method.
    pub supply_risk: Option<Risk>,
    /// GeoDep's conditions.
    pub geodep: GeoDep,
    /// The EU's core dependency indicators; `None` without a bloc.
    pub cdi: Option<Cdi>,
    /// The suppliers and their shares of imports by value, largest first; at most ten.
    pub suppliers: Vec<(Arc<str>, f64)>,
}

/// World trade in an item of a book.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct World {
    /// The code that the numbers are of, which may be wider than the item.
    pub item: Arc<str>,
    /// HHI of world exports, by the basis of the book's [`Origin`].
    pub hhi: f64,
    /// Exporters.
    pub exporters: u32,
    /// Importers.
    pub importers: u32,
    /// The most central exporter.
    pub most_central: Arc<str>,
    /// Its centrality, and whether it is a single point of failure.
    pub centrality: Centrality,
}

/// How easily a supplier of an item is replaced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Substitution {
    /// The elasticity of substitution between suppliers, with what it is of.
    pub elasticity: Elasticity,
    /// The revision that the item's code was taken to be of.
    pub revision: Revision,
    /// Its class.
    pub class: Substitutability,
    /// By which factor the price index rises when the largest supplier falls away; `None` when it is
    /// the only one.
    pub price_factor: Option<f64>,
}

/// A bloc that a book was judged with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlocUsed {
    /// Its code.
    pub code: String,
    /// The list it is from.
    pub list: RuleRef,
    /// Where the list has the members from.
    pub source: String,
    /// Members at the end of the year.
    pub members: Vec<String>,
    /// Members that reported nothing for the year.
    pub silent: Vec<String>,
    /// The reporter is the bloc.
    pub whole: bool,
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
    /// The source of imports and exports, such as `kcs`.
    pub source: String,
    /// The unit of values.
    pub unit: Unit,
    /// Where world trade is from, if it was at hand.
    pub world: Option<Origin>,
    /// The bloc, if it was asked for.
    pub bloc: Option<BlocUsed>,
    /// Source, version and date of the inputs of supply risk, if there were any.
    pub risk_inputs: Option<String>,
    /// The thresholds of the rules, with their sources.
    pub thresholds: BTreeMap<String, Threshold>,
    /// All items imported in the year: the most concentrated by value first, then the larger
    /// imports, then by code.
    pub entries: Vec<Entry>,
}

/// Sums of one item and year.
#[derive(Default)]
struct ItemYear {
    /// Imports by partner: value, kilograms. Partners inside of the bloc are among them only when
    /// the reporter is not the bloc itself.
    partners: BTreeMap<Arc<str>, (f64, Option<f64>)>,
    /// Imports by value from partners inside of the bloc and outside of it.
    inside: f64,
    outside: BTreeMap<Arc<str>, f64>,
    /// All exports, and those that leave the reporter.
    exports: Option<f64>,
    exports_out: Option<f64>,
    months: Option<u8>,
}

impl ItemYear {
    fn add(&mut self, annual: &Annual, request: &Request<'_>) {
        let inside = request.bloc.is_some_and(|bloc| bloc.is_inside(&annual.partner, annual.year));
        let within = inside && request.is_whole();
        if !within {
            let known = self.partners.entry(annual.partner.clone()).or_insert((0.0, Some(0.0)));
            known.0 += annual.import_value;
            known.1 = known.1.zip(annual.import_kg).map(|(a, b)| a + b);
        }
        if inside {
            self.inside += annual.import_value;
        } else {
            *self.outside.entry(annual.partner.clone()).or_default() += annual.import_value;
        }
        if let Some(exports) = annual.export_value {
            *self.exports.get_or_insert(0.0) += exports;
            *self.exports_out.get_or_insert(0.0) += if within { 0.0 } else { exports };
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

    fn cdi(&self, request: &Request<'_>, limits: &Limits) -> Option<Cdi> {
        request.bloc?;
        let extra: Vec<f64> = self.outside.values().copied().collect();
        let found = cdi(&extra, Some(self.inside), self.exports, limits);
        Some(if request.silent.is_empty() { found } else { found.lacking(Needs::BlocMembers) })
    }

    /// Partners with imports and their shares by value, largest first.
    fn suppliers(&self, total: f64) -> Vec<(Arc<str>, f64)> {
        let bought = self.partners.iter().filter(|(_, sum)| sum.0 > 0.0);
        let mut all: Vec<_> = bought.map(|(partner, sum)| (partner.clone(), sum.0 / total)).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all
    }
}

impl Request<'_> {
    /// The reporter is the bloc.
    fn is_whole(&self) -> bool {
        self.bloc.is_some_and(|bloc| bloc.code == self.reporter)
    }

    fn bloc_used(&self) -> Result<Option<BlocUsed>, BookError> {
        let Some(bloc) = self.bloc else { return Ok(None) };
        if !self.is_whole() && !bloc.is_member(self.reporter, self.year) {
            let (reporter, bloc) = (self.reporter.to_owned(), bloc.code.clone());
            return Err(BookError::NotInside { reporter, bloc, year: self.year });
        }
        Ok(Some(BlocUsed {
            code: bloc.code.clone(),
            list: bloc.list.clone(),
            source: bloc.source.clone(),
            members: bloc.members(self.year).into_iter().map(str::to_owned).collect(),
            silent: self.silent.to_vec(),
            whole: self.is_whole(),
        }))
    }
}

/// Suppliers that an entry names.
const NAMED: usize = 10;

impl Book {
    /// Makes the book of a year from annual sums, which may be of any years and in any order.
    ///
    /// # Errors
    /// [`BookError::NoYear`] when none is of the year, [`BookError::NotInside`] when the reporter is
    /// no member of its bloc, and [`BookError::Risk`].
    pub fn make(annuals: impl IntoIterator<Item = Annual>, request: &Request<'_>) -> Result<Self, BookError> {
        let bloc = request.bloc_used()?;
        let seen = request.rules.limits.geodep_years_seen;
        let earliest = request.year.saturating_sub(seen - 1);
        let mut items: BTreeMap<Arc<str>, BTreeMap<u16, ItemYear>> = BTreeMap::new();
        let mut reported = BTreeSet::new();
        for annual in annuals {
            if (earliest..=request.year).contains(&annual.year) {
                reported.insert(annual.year);
                let years = items.entry(annual.item.clone()).or_default();
                years.entry(annual.year).or_default().add(&annual, request);
            }
        }
        if !reported.contains(&request.year) {
            return Err(BookError::NoYear { reporter: request.reporter.to_owned(), year: request.year });
        }
        let made: Result<Vec<Option<Entry>>, BookError> =
            items.iter().map(|(item, years)| entry(item, years, &reported, request)).collect();
        let mut entries: Vec<Entry> = made?.into_iter().flatten().collect();
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
            source: request.source.to_owned(),
            unit: request.unit,
            world: request.world.map(|world| world.origin.clone()),
            bloc,
            risk_inputs: request.risk.map(|r| format!("{}, version {} of {}", r.source, r.version, r.date)),
            thresholds: request.rules.thresholds.clone(),
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
) -> Result<Option<Entry>, BookError> {
    let limits = &request.rules.limits;
    let of_year = years.get(&request.year);
    let Some((now, by_value)) = of_year.and_then(|now| Some((now, now.shares(Basis::Value)?))) else {
        return Ok(None);
    };
    let suppliers = now.suppliers(by_value.total);
    let world = request.world.and_then(|world| world.get(item, request.year));
    let bought = || now.partners.values().filter(|sum| sum.0 > 0.0);
    let judge = |inputs: &RiskInputs| {
        let known = Known {
            item,
            imports: by_value.total,
            exports: now.exports_out,
            sourcing: suppliers.iter().map(|(partner, share)| (&**partner, *share)).collect(),
            world: world.as_ref().map(|w| w.1.exporters.iter().map(|(e, share)| (&**e, *share)).collect()),
        };
        inputs.judge(&known, limits)
    };
    let supply_risk = request.risk.map(judge).transpose()?.flatten();
    Ok(Some(Entry {
        item: item.clone(),
        months: now.months.unwrap_or(0),
        partners: u32::try_from(suppliers.len()).unwrap_or(u32::MAX),
        ratio: now.exports_out.map(|exports| import_export_ratio(by_value.total, exports, limits)),
        by_weight: now.shares(Basis::Weight),
        weight_is_whole: bought().all(|sum| sum.1.is_some()),
        exports: now.exports_out,
        world: world.map(|(code, found)| World {
            item: code,
            hhi: found.hhi,
            exporters: u32::try_from(found.exporters.len()).unwrap_or(u32::MAX),
            importers: found.importers,
            most_central: found.most_central.0.clone(),
            centrality: found.most_central.1,
        }),
        substitution: substitution(item, by_value.top_share, request),
        supply_risk,
        geodep: geodep(&geodep_years(item, years, reported, request), limits),
        cdi: now.cdi(request, limits),
        by_value,
        suppliers: suppliers.into_iter().take(NAMED).collect(),
    }))
}

/// What GeoDep asks of an item, from the year to judge backwards.
fn geodep_years(
    item: &str,
    years: &BTreeMap<u16, ItemYear>,
    reported: &BTreeSet<u16>,
    request: &Request<'_>,
) -> Vec<Option<GeoDepYear>> {
    let limits = &request.rules.limits;
    let one = |back| {
        let year = request.year.checked_sub(back).filter(|year| reported.contains(year))?;
        let of_year = years.get(&year);
        let shares = of_year.and_then(|of_year| of_year.shares(Basis::Value));
        let exports = of_year.and_then(|of_year| of_year.exports_out);
        Some(GeoDepYear {
            import_hhi: shares.as_ref().map(|shares| shares.hhi),
            world_hhi: request.world.and_then(|world| world.get(item, year)).map(|(_, found)| found.hhi),
            ratio: shares
                .zip(exports)
                .map(|(shares, exports)| import_export_ratio(shares.total, exports, limits)),
        })
    };
    (0..limits.geodep_years_seen).map(one).collect()
}

fn substitution(item: &str, top_share: f64, request: &Request<'_>) -> Option<Substitution> {
    let revision = request.revision.unwrap_or_else(|| Revision::of_year(request.year));
    let code = item.bytes().all(|b| b.is_ascii_digit()).then(|| item.get(..6)).flatten()?;
    let elasticity = sigma_of(request.reporter, code, revision)?;
    Some(Substitution {
        class: substitutability(elasticity.sigma, &request.rules.limits),
        price_factor: price_factor_without(top_share, elasticity.sigma),
        elasticity,
        revision,
    })
}

impl Entry {
    /// The item is on the list: GeoDep's C4 holds, or may hold for all that is known.
    pub fn is_listed(&self) -> bool {
        self.geodep.c4 != Verdict::No
    }
}

#[cfg(test)]
mod tests;
