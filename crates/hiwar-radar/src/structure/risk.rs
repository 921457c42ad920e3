//! Supply risk of the EU's critical raw materials method, from inputs that no trade table holds.
//!
//! ```toml
//! source = "WGI 2022, scaled to 0 (best) to 10 (worst); recycling and substitution: national survey"
//! version = "2026-11"
//! date = "2026-11-01"
//! governance_else = 5.0        # for economies that are not named; without it they are an error
//!
//! [governance]
//! CN = 5.4
//! JP = 1.9
//!
//! [[material]]
//! item = "281111"              # or a longer code
//! import_reliance = 0.9        # or `production` in the unit of the book, from which it follows
//! recycling = 0.0              # end-of-life recycling input rate
//! substitution = 0.98          # SI, 1 for no substitute
//! economic_importance = 3.1    # needed to call it critical
//! trade = { CN = 1.1 }         # export restrictions; 1 where not named
//! world = { CN = 0.6, MX = 0.2, JP = 0.2 }   # shares of world supply; else world exports
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rules::Limits;
use super::{Supplier, SupplyRisk, hhi_governance, supply_risk};
use crate::brief::brief;
use crate::month::Date;

/// Inputs of supply risk, with where they are from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskInputs {
    /// Where the numbers are from.
    pub source: String,
    /// The version, for people and reports.
    pub version: String,
    /// The date of the version.
    pub date: Date,
    /// The governance weight of economies that are not named.
    #[serde(default)]
    governance_else: Option<f64>,
    /// Governance weights by economy: the World Governance Indicators scaled so that higher is worse.
    governance: BTreeMap<String, f64>,
    #[serde(default, rename = "material")]
    materials: Vec<Material>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Material {
    item: String,
    #[serde(default)]
    import_reliance: Option<f64>,
    #[serde(default)]
    production: Option<f64>,
    recycling: f64,
    substitution: f64,
    #[serde(default)]
    economic_importance: Option<f64>,
    #[serde(default)]
    trade: BTreeMap<String, f64>,
    #[serde(default)]
    world: BTreeMap<String, f64>,
}

/// What is wrong with inputs of supply risk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RiskError {
    /// No TOML, or other fields.
    #[error("the inputs of supply risk cannot be read: {0}")]
    Form(String),
    /// A number that cannot be.
    #[error("supply risk of {item}: {what}")]
    Item {
        /// The item.
        item: String,
        /// What is wrong, and what would be right.
        what: String,
    },
}

/// The supply risk of one item, with its parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Risk {
    /// SR, dimensionless.
    pub supply_risk: f64,
    /// HHI of world supply weighted by governance and trade restrictions.
    pub hhi_global: f64,
    /// The same of the reporter's imports by value.
    pub hhi_sourcing: f64,
    /// Import reliance, 0 to 1.
    pub import_reliance: f64,
    /// End-of-life recycling input rate, 0 to 1.
    pub recycling: f64,
    /// Substitution index, 0 to 1.
    pub substitution: f64,
    /// Economic importance, where it is known.
    pub economic_importance: Option<f64>,
    /// Supply risk reaches its limit.
    pub at_risk: bool,
    /// Supply risk and economic importance reach their limits; `None`: importance is not known.
    pub critical: Option<bool>,
    /// World supply is from the file's shares, not from world exports.
    pub world_from_file: bool,
}

/// What the book knows of an item, for its supply risk.
pub(super) struct Known<'a> {
    pub(super) item: &'a str,
    pub(super) imports: f64,
    pub(super) exports: Option<f64>,
    /// Suppliers of the reporter, with shares of its imports by value.
    pub(super) sourcing: Vec<(&'a str, f64)>,
    /// World exports by exporter, as shares.
    pub(super) world: Option<Vec<(&'a str, f64)>>,
}

impl RiskInputs {
    /// Reads and checks inputs in TOML.
    ///
    /// # Errors
    /// [`RiskError`], naming the item.
    pub fn parse(text: &str) -> Result<Self, RiskError> {
        let inputs: Self = toml::from_str(text).map_err(|e| RiskError::Form(brief(e)))?;
        let weight = |item: &str, name: &str, value: f64| {
            let what = format!("{name} is {value}; it must be a number of 0 or more");
            if value.is_finite() && value >= 0.0 { Ok(()) } else { Err(fail(item, what)) }
        };
        for (economy, value) in &inputs.governance {
            weight("all items", &format!("governance of {economy}"), *value)?;
        }
        weight("all items", "governance_else", inputs.governance_else.unwrap_or(0.0))?;
        for material in &inputs.materials {
            let item = &material.item;
            let share = |name: &str, value: f64| {
                let what = format!("{name} is {value}; it must be a share from 0 to 1");
                if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(fail(item, what)) }
            };
            share("recycling", material.recycling)?;
            share("substitution", material.substitution)?;
            if let Some(reliance) = material.import_reliance {
                share("import_reliance", reliance)?;
            }
            for (name, value) in
                [("production", material.production), ("economic_importance", material.economic_importance)]
            {
                weight(item, name, value.unwrap_or(0.0))?;
            }
            if material.import_reliance.is_some() == material.production.is_some() {
                return Err(fail(item, "give either import_reliance or production".to_owned()));
            }
            for (economy, value) in &material.trade {
                weight(item, &format!("trade of {economy}"), *value)?;
            }
            for (economy, value) in &material.world {
                share(&format!("world share of {economy}"), *value)?;
            }
            let sum: f64 = material.world.values().sum();
            if sum > 1.000_001 {
                return Err(fail(item, format!("the world shares add up to {sum}, more than 1")));
            }
        }
        Ok(inputs)
    }

    /// The material of an item: the longest code that the item's begins with.
    fn material(&self, item: &str) -> Option<&Material> {
        let all = self.materials.iter().filter(|m| item.starts_with(m.item.as_str()));
        all.max_by_key(|m| m.item.len())
    }

    /// Supply risk of an item; `None` where the file has no such material, or neither the file nor
    /// the book knows world supply, or production is given and exports are not known.
    pub(super) fn judge(&self, known: &Known<'_>, limits: &Limits) -> Result<Option<Risk>, RiskError> {
        let Some(material) = self.material(known.item) else { return Ok(None) };
        let given = || material.world.iter().map(|(economy, share)| (economy.as_str(), *share)).collect();
        let world_from_file = !material.world.is_empty();
        let world = if world_from_file { Some(given()) } else { known.world.clone() };
        let Some(world) = world else { return Ok(None) };
        let reliance = match (material.import_reliance, material.production, known.exports) {
            (Some(reliance), ..) => reliance,
            (None, Some(production), Some(exports)) => {
                let net = known.imports - exports;
                if production + net > 0.0 { (net / (production + net)).clamp(0.0, 1.0) } else { 0.0 }
            }
            _ => return Ok(None),
        };
        let input = SupplyRisk {
            hhi_global: self.weighted(material, &world)?,
            hhi_sourcing: self.weighted(material, &known.sourcing)?,
            import_reliance: reliance,
            recycling: material.recycling,
            substitution: material.substitution,
        };
        let risk = supply_risk(&input);
        let importance = material.economic_importance;
        Ok(Some(Risk {
            supply_risk: risk,
            hhi_global: input.hhi_global,
            hhi_sourcing: input.hhi_sourcing,
            import_reliance: reliance,
            recycling: input.recycling,
            substitution: input.substitution,
            economic_importance: importance,
            at_risk: risk >= limits.supply_risk,
            critical: importance.map(|importance| super::is_critical(risk, importance, limits)),
            world_from_file,
        }))
    }

    fn weighted(&self, material: &Material, suppliers: &[(&str, f64)]) -> Result<f64, RiskError> {
        let weigh = |(economy, share): &(&str, f64)| {
            let governance = self.governance.get(*economy).copied().or(self.governance_else);
            let governance = governance.ok_or_else(|| {
                let what =
                    format!("no governance of {economy}; add it below [governance], or set governance_else");
                fail(&material.item, what)
            })?;
            let trade = material.trade.get(*economy).copied().unwrap_or(1.0);
            Ok(Supplier { share: *share, governance, trade })
        };
        let suppliers: Result<Vec<Supplier>, RiskError> = suppliers.iter().map(weigh).collect();
        Ok(hhi_governance(&suppliers?))
    }
}

fn fail(item: &str, what: String) -> RiskError {
    RiskError::Item { item: brief(item), what: brief(what) }
}
