//! Screening rules: dated, versioned packs of numbers, so that an alarm can say which rule made it.

use serde::{Deserialize, Serialize};

use crate::detect::robust::RobustZ;

/// Where a judgement begins to be an alarm: both must be passed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// Distance from the middle, in spreads.
    pub z: f64,
    /// The amount divided by the middle.
    pub ratio: f64,
}

/// A screening rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Short name.
    pub id: String,
    /// Version of its numbers.
    pub version: u32,
    /// When they were fixed.
    pub date: String,
    /// Where they come from.
    pub source: String,
    /// Months before that count.
    pub months: usize,
    /// Added before the logarithm, in the amount's unit.
    pub offset: f64,
    /// Smallest spread, in units of the natural logarithm.
    pub floor: f64,
    /// Alarms below.
    pub drop: Cut,
    /// Alarms above.
    pub surge: Cut,
    /// Whether the Lunar New Year is taken out first.
    pub holiday: bool,
    /// Series whose median value of a month is smaller, in US dollars or about as much, are not
    /// material. Every monitor in use has such a floor.
    pub floor_per_month: f64,
    /// Largest expected share of false alarms in a month, when many tests are corrected for.
    pub false_discovery_rate: Option<f64>,
}

impl Rule {
    /// The robust z of this rule.
    pub fn robust(&self) -> RobustZ {
        RobustZ { months: self.months, offset: self.offset, floor: self.floor }
    }

    /// The rules that come with the program.
    pub fn shipped() -> Vec<Self> {
        // A test reads the file, so that it cannot be wrong in a release.
        serde_json::from_str(include_str!("../../rules/screening.json")).unwrap_or_default()
    }

    /// A shipped rule by name.
    pub fn named(id: &str) -> Option<Self> {
        Self::shipped().into_iter().find(|r| r.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_rules_are_read_and_have_their_own_names() {
        let rules: Vec<Rule> = serde_json::from_str(include_str!("../../rules/screening.json")).unwrap();
        assert!(rules.len() >= 5);
        for rule in &rules {
            assert_eq!(rules.iter().filter(|r| r.id == rule.id).count(), 1, "{}", rule.id);
            assert!(
                rule.drop.z < 0.0 && rule.drop.ratio < 1.0 && rule.surge.z > 0.0 && rule.surge.ratio > 1.0
            );
        }
    }
}
