//! Rule packs: the thresholds of this module, dated, versioned, each with its source.
//!
//! A pack is a TOML file (see `rules/structure-1.toml`). Every result names the pack that it was
//! judged with ([`RuleRef`]); a pack is never changed once it was used.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::month::Date;

/// The pack that comes with the program.
const BUILT_IN: &str = include_str!("../../rules/structure-1.toml");

/// Which rules made a result.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RuleRef {
    /// The pack's name.
    pub id: String,
    /// Its version.
    pub version: u32,
    /// The date of this version.
    pub date: Date,
}

/// One threshold, as the pack states it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// The value, dimensionless.
    pub value: f64,
    /// Where it is from, and how it is compared.
    pub source: String,
    /// The date of the source.
    pub source_date: Date,
    /// The value is this project's choice, not the source's.
    #[serde(default)]
    pub own: bool,
}

/// The thresholds of a pack by their meaning. All dimensionless.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// C1: HHI of imports above.
    pub geodep_import_hhi: f64,
    /// C2: HHI of world exports above.
    pub geodep_world_hhi: f64,
    /// C3: imports over exports above.
    pub geodep_ratio: f64,
    /// The ratio that stands for imports without exports.
    pub geodep_ratio_without_exports: f64,
    /// C4: years in which C1 to C3 hold, at least.
    pub geodep_years_needed: u16,
    /// C4: the last so many years are looked at.
    pub geodep_years_seen: u16,
    /// CDI1: HHI of imports from outside of the bloc above.
    pub cdi1_hhi: f64,
    /// CDI2: their share of all imports above.
    pub cdi2_extra_share: f64,
    /// CDI3: their ratio to exports above.
    pub cdi3_ratio: f64,
    /// Supply risk at least.
    pub supply_risk: f64,
    /// Economic importance at least.
    pub economic_importance: f64,
    /// Single point of failure: mean share over importers at least.
    pub spof_mean_share: f64,
    /// Single point of failure: part of importers reached at least.
    pub spof_reach: f64,
    /// World trade may be taken from the store's reporters when they are at least so many.
    pub world_reporters: u16,
    /// Elasticity of substitution below which an item is hard to substitute.
    pub sigma_hard: f64,
    /// Elasticity of substitution above which an item is easy to substitute.
    pub sigma_easy: f64,
}

/// A rule pack.
#[derive(Clone, Debug, PartialEq)]
pub struct RulePack {
    /// Its name, version and date.
    pub reference: RuleRef,
    /// Its thresholds by name, with sources.
    pub thresholds: BTreeMap<String, Threshold>,
    /// Its thresholds by meaning.
    pub limits: Limits,
}

/// Why a text is no rule pack.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// It is not TOML of the expected form.
    #[error("the rule pack cannot be read: {0}")]
    Form(#[from] toml::de::Error),
    /// A threshold is missing.
    #[error("the rule pack {id} has no threshold {name:?}; add [threshold.{name}]")]
    Missing {
        /// The pack.
        id: String,
        /// The threshold's name.
        name: &'static str,
    },
    /// A threshold has a name that nothing uses.
    #[error("the rule pack {id} has a threshold {name:?} that nothing uses; correct or remove it")]
    Unknown {
        /// The pack.
        id: String,
        /// The threshold's name.
        name: String,
    },
    /// A threshold's value makes no sense.
    #[error("the rule pack {id} sets {name} to {value}; it must be {must}")]
    Value {
        /// The pack.
        id: String,
        /// The threshold's name.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        must: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    id: String,
    version: u32,
    date: Date,
    threshold: BTreeMap<String, Threshold>,
}

impl RulePack {
    /// The pack that comes with the program.
    ///
    /// # Errors
    /// None that a released program can meet: a test reads the pack.
    pub fn built_in() -> Result<Self, RuleError> {
        Self::parse(BUILT_IN)
    }

    /// Reads a pack.
    ///
    /// # Errors
    /// [`RuleError`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let File { id, version, date, threshold } = toml::from_str(text)?;
        let mut left: Vec<&String> = threshold.keys().collect();
        let mut take = |name: &'static str, low: f64, high: f64, must: &'static str| {
            left.retain(|other| *other != name);
            let value = threshold.get(name).ok_or_else(|| RuleError::Missing { id: id.clone(), name })?.value;
            if (low..=high).contains(&value) {
                Ok(value)
            } else {
                Err(RuleError::Value { id: id.clone(), name, value, must })
            }
        };
        let share = "a share from 0 to 1";
        let positive = "a number from 0 to a million";
        let years = "a number of years from 1 to 50";
        // Small and positive by `take`; a part of one is cut off.
        let whole = |value: f64| value as u16;
        let limits = Limits {
            geodep_import_hhi: take("geodep-import-hhi", 0.0, 1.0, share)?,
            geodep_world_hhi: take("geodep-world-hhi", 0.0, 1.0, share)?,
            geodep_ratio: take("geodep-import-export-ratio", 0.0, 1e6, positive)?,
            geodep_ratio_without_exports: take("geodep-ratio-without-exports", 0.0, 1e6, positive)?,
            geodep_years_needed: whole(take("geodep-years-needed", 1.0, 50.0, years)?),
            geodep_years_seen: whole(take("geodep-years-seen", 1.0, 50.0, years)?),
            cdi1_hhi: take("cdi1-hhi", 0.0, 1.0, share)?,
            cdi2_extra_share: take("cdi2-extra-share", 0.0, 1.0, share)?,
            cdi3_ratio: take("cdi3-import-export-ratio", 0.0, 1e6, positive)?,
            supply_risk: take("supply-risk", 0.0, 1e6, positive)?,
            economic_importance: take("economic-importance", 0.0, 1e6, positive)?,
            spof_mean_share: take("spof-mean-share", 0.0, 1.0, share)?,
            spof_reach: take("spof-reach", 0.0, 1.0, share)?,
            world_reporters: whole(take(
                "world-reporters",
                1.0,
                300.0,
                "a number of reporters from 1 to 300",
            )?),
            sigma_hard: take("sigma-hard", 0.0, 1e6, positive)?,
            sigma_easy: take("sigma-easy", 0.0, 1e6, positive)?,
        };
        if let Some(name) = left.first() {
            return Err(RuleError::Unknown { id, name: (*name).clone() });
        }
        if limits.geodep_years_needed > limits.geodep_years_seen {
            let value = f64::from(limits.geodep_years_needed);
            let must = "at most geodep-years-seen";
            return Err(RuleError::Value { id, name: "geodep-years-needed", value, must });
        }
        Ok(Self { reference: RuleRef { id, version, date }, thresholds: threshold, limits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pack_that_comes_with_the_program_is_whole() {
        let pack = RulePack::built_in().unwrap();
        assert_eq!((pack.reference.id.as_str(), pack.reference.version), ("hiwar-structure", 1));
        assert_eq!(pack.limits.geodep_import_hhi, 0.4);
        assert_eq!((pack.limits.geodep_years_needed, pack.limits.geodep_years_seen), (2, 3));
        assert_eq!(pack.limits.geodep_ratio_without_exports, 9999.0);
        for (name, threshold) in &pack.thresholds {
            assert!(threshold.source.len() > 10, "{name}");
            let own = ["spof", "sigma", "world"].iter().any(|own| name.starts_with(own));
            assert_eq!(threshold.own, own, "{name}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_pack_is_said() {
        let cases = [
            ("value = 2.71", "value = -2.71", "sigma-hard to -2.71"),
            ("[threshold.sigma-easy]", "[threshold.sigma-eazy]", "no threshold \"sigma-easy\""),
            ("version = 1", "version = 1\nauthor = \"x\"", "author"),
            ("value = 2.0", "value = 4.0", "at most geodep-years-seen"),
            ("value = 9999.0", "value = nan", "geodep-ratio-without-exports to NaN"),
        ];
        for (old, new, said) in cases {
            let error = RulePack::parse(&BUILT_IN.replace(old, new)).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let more =
            format!("{BUILT_IN}\n[threshold.other]\nvalue=1.0\nsource=\"\"\nsource_date=\"2020-01-01\"\n");
        assert!(RulePack::parse(&more).unwrap_err().to_string().contains("nothing uses"));
    }
}
