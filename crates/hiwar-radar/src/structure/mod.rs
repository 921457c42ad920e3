//! Who depends on whom: concentration of supply, and the published measures of dependency.
//!
//! The functions here are pure and take plain numbers. An HHI can be taken over values or over
//! weights and the two differ (Korea's wafers in 2016: 0.245 by value, 0.440 by weight), so a
//! result always says which [`Basis`] it has. Thresholds are in a [`rules::RulePack`].
//!
//! * [`rules`] — thresholds, dated and versioned,
//! * [`book`] — the dependencies of one reporter, and what changed since the last list,
//! * [`world`] — how concentrated world exports are, and how central exporters,
//! * [`bloc`] — economies that count as one, with dates of membership,
//! * [`risk`] — supply risk of the EU's critical raw materials method,
//! * [`baci`] — all importers and products of the world at once, from CEPII's BACI files,
//! * [`sample`] — made-up trade in the form of BACI, to measure with.

mod annual;
pub mod baci;
pub mod bloc;
pub mod book;
mod churn;
pub mod risk;
pub mod rules;
pub mod sample;
pub mod world;

use serde::{Deserialize, Serialize};

use rules::Limits;

/// What shares are taken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// Of value, whatever the currency.
    Value,
    /// Of net weight.
    Weight,
}

/// Concentration of one item's supply over partners.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Concentration {
    /// What the shares are of.
    pub basis: Basis,
    /// Herfindahl-Hirschman index, from 1/n to 1.
    pub hhi: f64,
    /// The sum over partners, in the unit of the amounts.
    pub total: f64,
    /// The largest share, from 0 to 1.
    pub top_share: f64,
    /// The place of the largest amount among the amounts; the first of equals.
    pub top: usize,
}

/// HHI (Hirschman 1945, Herfindahl 1950) and top share of amounts by partner: the sum of squared
/// shares, as `S2 / S1²` in one pass. Amounts are in one unit, one a partner; zeros and amounts
/// that are no positive number count as no supply. `None` without any supply.
pub fn concentration(basis: Basis, amounts: impl IntoIterator<Item = f64>) -> Option<Concentration> {
    let (mut total, mut squares, mut largest, mut top) = (0.0, 0.0, 0.0, 0);
    for (place, amount) in amounts.into_iter().enumerate() {
        if amount > 0.0 && amount.is_finite() {
            total += amount;
            squares += amount * amount;
            if amount > largest {
                (largest, top) = (amount, place);
            }
        }
    }
    (total > 0.0).then(|| Concentration {
        basis,
        hhi: squares / (total * total),
        total,
        top_share: largest / total,
        top,
    })
}

/// Imports over exports of one item, both in one unit of value. Without exports it is
/// `without_exports`, 9999 by GeoDep (Lefebvre & Wibaux 2024), even for imports of 0.
pub fn import_export_ratio(imports: f64, exports: f64, limits: &Limits) -> f64 {
    if exports > 0.0 { imports / exports } else { limits.geodep_ratio_without_exports }
}

/// What is lacking to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Needs {
    /// Trade of all countries in the item.
    WorldTrade,
    /// The reporter's exports of the item.
    Exports,
    /// The list of the partners inside of the reporter's bloc.
    BlocPartners,
    /// What some members of the bloc have not reported.
    BlocMembers,
    /// More years, or years that are complete.
    MoreYears,
}

/// A condition that holds, does not, or cannot be decided. Unknown is never taken for false.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It does not hold.
    No,
    /// It holds.
    Yes,
    /// It cannot be decided without this.
    Unknown(Needs),
}

impl Verdict {
    /// A decided condition.
    pub fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    /// `value > limit`, or what is lacking.
    pub fn above(value: Option<f64>, limit: f64, needs: Needs) -> Self {
        value.map_or(Self::Unknown(needs), |value| Self::of(value > limit))
    }

    /// Both hold: `No` if either is `No`, whatever the other.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Unknown(needs), _) | (_, Self::Unknown(needs)) => Self::Unknown(needs),
            (Self::Yes, Self::Yes) => Self::Yes,
        }
    }

    /// At least `needed` of `all` hold: decided as soon as the unknown ones cannot change it.
    pub fn at_least(needed: usize, all: &[Self]) -> Self {
        let count = |wanted: fn(&Self) -> bool| all.iter().filter(|verdict| wanted(verdict)).count();
        let yes = count(|verdict| *verdict == Self::Yes);
        let unknown = all.iter().find_map(|verdict| match verdict {
            Self::Unknown(needs) => Some(*needs),
            _ => None,
        });
        let no = count(|verdict| *verdict == Self::No);
        match unknown {
            _ if yes >= needed => Self::Yes,
            Some(needs) if all.len() - no >= needed => Self::Unknown(needs),
            _ => Self::No,
        }
    }
}

/// One year of one item of one importer, for [`geodep`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GeoDepYear {
    /// HHI of imports by value; `None` without imports.
    pub import_hhi: Option<f64>,
    /// HHI of world exports by value; `None` when world trade is not known.
    pub world_hhi: Option<f64>,
    /// Imports over exports ([`import_export_ratio`]); `None` when exports are not known.
    pub ratio: Option<f64>,
}

/// The four conditions of GeoDep for one item of one importer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeoDep {
    /// Imports are concentrated.
    pub c1: Verdict,
    /// World exports are concentrated.
    pub c2: Verdict,
    /// Imports exceed exports.
    pub c3: Verdict,
    /// All three hold in enough of the last years.
    pub c4: Verdict,
}

/// GeoDep (Lefebvre & Wibaux 2024, CEPII): C1 import HHI > 0.4; C2 HHI of world exports > 0.4; C3
/// imports/exports > 1; C4 all three in at least 2 of 3 years. `years` runs from the year to judge
/// backwards; `None` is a year without data, which leaves C4 unknown if it could decide it. An
/// item that is not imported in a year meets none of the conditions of that year.
pub fn geodep(years: &[Option<GeoDepYear>], limits: &Limits) -> GeoDep {
    let judge = |year: &GeoDepYear| {
        let c1 = Verdict::of(year.import_hhi.is_some_and(|hhi| hhi > limits.geodep_import_hhi));
        let c2 = Verdict::above(year.world_hhi, limits.geodep_world_hhi, Needs::WorldTrade);
        let c3 = Verdict::above(year.ratio, limits.geodep_ratio, Needs::Exports);
        if year.import_hhi.is_none() { [c1, c2, Verdict::No] } else { [c1, c2, c3] }
    };
    let unknown = Verdict::Unknown(Needs::MoreYears);
    let [c1, c2, c3] = years.first().copied().flatten().as_ref().map_or([unknown; 3], judge);
    let whole: Vec<Verdict> = (0..usize::from(limits.geodep_years_seen))
        .map(|back| match years.get(back).and_then(Option::as_ref) {
            Some(year) => judge(year).into_iter().fold(Verdict::Yes, Verdict::and),
            None => unknown,
        })
        .collect();
    GeoDep { c1, c2, c3, c4: Verdict::at_least(usize::from(limits.geodep_years_needed), &whole) }
}

/// The three core dependency indicators of the European Commission, with their values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cdi {
    /// HHI of imports from outside, from 1/n to 1; `None` without such imports.
    pub extra_hhi: Option<f64>,
    /// Share of imports that is from outside, from 0 to 1.
    pub extra_share: Option<f64>,
    /// Imports from outside over exports, 9999 without exports.
    pub ratio: Option<f64>,
    /// CDI1, HHI of imports from outside: is it above its limit?
    pub cdi1: Verdict,
    /// CDI2, share of imports that is from outside: is it above its limit?
    pub cdi2: Verdict,
    /// CDI3, imports from outside over exports: is it above its limit?
    pub cdi3: Verdict,
    /// All three.
    pub dependent: Verdict,
}

impl Cdi {
    /// The same values without verdicts, for something is lacking.
    #[must_use]
    pub fn lacking(self, needs: Needs) -> Self {
        let unknown = Verdict::Unknown(needs);
        Self { cdi1: unknown, cdi2: unknown, cdi3: unknown, dependent: unknown, ..self }
    }
}

/// Core dependency indicators (European Commission, SWD(2021)352; the formulas are from a secondary
/// source): CDI1, the HHI of extra-EU
/// imports, above 0.4; CDI2, extra-EU imports over all imports, above 0.5; CDI3, extra-EU imports
/// over exports, above 1, where exports stand in for domestic capacity. `extra` are imports from
/// outside of the bloc by partner, `intra` the sum of imports from inside (`None`: which partners are
/// inside is not known), `exports` all exports (`None`: not known); all in one unit of value.
pub fn cdi(extra: &[f64], intra: Option<f64>, exports: Option<f64>, limits: &Limits) -> Cdi {
    let outside = concentration(Basis::Value, extra.iter().copied());
    let Some(outside) = outside else {
        let no = Verdict::No;
        return Cdi {
            extra_hhi: None,
            extra_share: intra.filter(|inside| *inside > 0.0).map(|_| 0.0),
            ratio: None,
            cdi1: no,
            cdi2: no,
            cdi3: no,
            dependent: no,
        };
    };
    let cdi1 = Verdict::of(outside.hhi > limits.cdi1_hhi);
    let extra_share = intra.map(|inside| outside.total / (outside.total + inside.max(0.0)));
    let cdi2 = Verdict::above(extra_share, limits.cdi2_extra_share, Needs::BlocPartners);
    let ratio = exports.map(|exports| import_export_ratio(outside.total, exports, limits));
    let cdi3 = Verdict::above(ratio, limits.cdi3_ratio, Needs::Exports);
    let dependent = cdi1.and(cdi2).and(cdi3);
    Cdi { extra_hhi: Some(outside.hhi), extra_share, ratio, cdi1, cdi2, cdi3, dependent }
}

/// How central one exporter is in the trade of one product.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Centrality {
    /// Part of the importers that buy from it (out-degree centrality, Freeman 1978), 0 to 1.
    pub reach: f64,
    /// Its share of an importer's imports, averaged over importers, 0 to 1.
    pub mean_share: f64,
    /// Part of the importers whose largest supplier it is, 0 to 1.
    pub dominance: f64,
    /// It is a single point of failure by the pack's cut-offs, which are our own.
    pub single_point: bool,
}

/// Centrality of every exporter of one product, after the idea of Arjona, Connell & Herghelegiu
/// 2023 (WP2023/14) to flag single points of failure by the exporter's centrality in the product's
/// trade graph. Their measure and cut-offs were not at hand: the weighted out-degree used here
/// (each importer counts the same, however large) and the cut-offs on it are our own.
/// `imports[j][i]` is what importer j buys from exporter i, in one unit, every row as long as
/// `exporters`; importers that buy nothing are left out.
pub fn centrality(imports: &[Vec<f64>], exporters: usize, limits: &Limits) -> Vec<Centrality> {
    let mut sums = vec![(0u32, 0.0, 0u32); exporters];
    let mut buyers = 0u32;
    for row in imports {
        let Some(all) = concentration(Basis::Value, row.iter().copied().take(exporters)) else { continue };
        buyers += 1;
        for (place, (amount, sum)) in row.iter().zip(&mut sums).enumerate() {
            if *amount > 0.0 && amount.is_finite() {
                sum.0 += 1;
                sum.1 += amount / all.total;
                sum.2 += u32::from(place == all.top);
            }
        }
    }
    let buyers = f64::from(buyers.max(1));
    sums.into_iter()
        .map(|(reached, shares, first)| {
            let (reach, mean_share) = (f64::from(reached) / buyers, shares / buyers);
            let single_point = mean_share >= limits.spof_mean_share && reach >= limits.spof_reach;
            Centrality { reach, mean_share, dominance: f64::from(first) / buyers, single_point }
        })
        .collect()
}

/// How easily a lost supplier can be replaced by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Substitutability {
    /// Elasticity below the lower limit.
    Hard,
    /// Between the limits.
    Medium,
    /// Above the upper limit.
    Easy,
}

/// Class of an elasticity of substitution between origins (Broda & Weinstein 2006, by country and
/// three-digit heading). The limits are our own: terciles of their table.
pub fn substitutability(sigma: f64, limits: &Limits) -> Substitutability {
    match sigma {
        _ if sigma < limits.sigma_hard => Substitutability::Hard,
        _ if sigma > limits.sigma_easy => Substitutability::Easy,
        _ => Substitutability::Medium,
    }
}

/// By which factor the price index of an item rises when suppliers with `share` of its imports
/// (0 to 1, by value) fall away: `(1 - share)^(-1 / (sigma - 1))` under constant elasticity of
/// substitution `sigma` (Feenstra 1994). `None` unless sigma > 1 and 0 ≤ share < 1.
pub fn price_factor_without(share: f64, sigma: f64) -> Option<f64> {
    ((0.0..1.0).contains(&share) && sigma > 1.0).then(|| (1.0 - share).powf(-1.0 / (sigma - 1.0)))
}

/// A producing or supplying country in [`hhi_governance`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Supplier {
    /// Its share of supply, 0 to 1.
    pub share: f64,
    /// Governance weight: the World Governance Indicators scaled so that higher is worse.
    pub governance: f64,
    /// Trade restriction weight, 1 for none.
    pub trade: f64,
}

/// HHI weighted by governance and trade restrictions, `sum s² g t` (EU critical raw materials
/// method, Blengini et al. 2017).
pub fn hhi_governance(suppliers: &[Supplier]) -> f64 {
    suppliers.iter().map(|s| s.share * s.share * s.governance * s.trade).sum()
}

/// The inputs of [`supply_risk`], all dimensionless.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SupplyRisk {
    /// [`hhi_governance`] of world supply.
    pub hhi_global: f64,
    /// [`hhi_governance`] of the importer's own sourcing.
    pub hhi_sourcing: f64,
    /// Import reliance: net imports over apparent consumption, held to 0 to 1.
    pub import_reliance: f64,
    /// End-of-life recycling input rate, 0 to 1.
    pub recycling: f64,
    /// Substitution index of supply risk, 0 to 1; 1 for no substitute.
    pub substitution: f64,
}

/// Supply risk of the EU critical raw materials method (Blengini et al. 2017):
/// `SR = [HHI_global · IR/2 + HHI_sourcing · (1 - IR/2)] · (1 - EoL_RIR) · SI_SR`.
/// A material is critical if SR ≥ 1.0 and its economic importance ≥ 2.8 ([`is_critical`]).
pub fn supply_risk(input: &SupplyRisk) -> f64 {
    let half = input.import_reliance.clamp(0.0, 1.0) / 2.0;
    let mixed = input.hhi_global * half + input.hhi_sourcing * (1.0 - half);
    mixed * (1.0 - input.recycling) * input.substitution
}

/// Whether supply risk and economic importance both reach their limits.
pub fn is_critical(supply_risk: f64, economic_importance: f64, limits: &Limits) -> bool {
    supply_risk >= limits.supply_risk && economic_importance >= limits.economic_importance
}

#[cfg(test)]
mod tests;
