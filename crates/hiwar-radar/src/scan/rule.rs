//! Screening rules: dated, versioned packs of numbers, so that an alarm can say which rule made it.

use serde::{Deserialize, Serialize};

use crate::detect::robust::{self, RobustZ, Score};
use crate::detect::{holiday, stl};
use crate::month::Month;

use super::Measure;

/// So many scores before the month that is judged are made with a baseline that is dear.
const DEAR_SCORES: usize = 36;

/// Where a judgement begins to be an alarm: both must be passed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// Distance from the middle, in spreads.
    pub z: f64,
    /// The amount divided by the middle.
    pub ratio: f64,
}

/// What a month is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Baseline {
    /// The median of the months before.
    #[default]
    Trailing,
    /// The median of the same calendar month and its two neighbours in the three years before.
    SameMonths,
    /// What a seasonal decomposition of up to six years before expects of it.
    Stl {
        /// Span of the seasonal smoother in years: odd, at least 7; 7 and 13 are usual.
        seasonal: usize,
    },
}

/// What of a series a rule judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judged {
    /// Its weight, or its value where the source states no weight.
    Quantity,
    /// Its value per kilogram.
    UnitValue,
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
    /// Months before that count: for the middle and the spread of a trailing baseline, for the
    /// spread of the others.
    pub months: usize,
    /// What a month is compared with.
    #[serde(default)]
    pub baseline: Baseline,
    /// What is judged; an older rule that does not say judges quantities.
    #[serde(default = "quantity")]
    pub judges: Vec<Judged>,
    /// Added before the logarithm, in the amount's unit; nothing is added to unit values.
    pub offset: f64,
    /// Smallest spread, in units of the natural logarithm.
    pub floor: f64,
    /// Alarms below.
    pub drop: Cut,
    /// Alarms above.
    pub surge: Cut,
    /// From this many spreads on the other measure of a series is up or down when an alarm says
    /// what kind it is; see [`super::Kind`].
    #[serde(default = "beside")]
    pub beside_z: f64,
    /// Whether the Lunar New Year is taken out first.
    pub holiday: bool,
    /// Series whose median value of a month is smaller, in US dollars or about as much, are not
    /// material. Every monitor in use has such a floor.
    pub floor_per_month: f64,
    /// Largest expected share of false alarms in a month, when many tests are corrected for.
    pub false_discovery_rate: Option<f64>,
    /// What becomes of an alarm that does not stand the correction.
    #[serde(default)]
    pub correction: Correction,
}

/// What becomes of an alarm that does not stand the correction for many tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Correction {
    /// It is silent.
    #[default]
    Silences,
    /// It is raised and says so.
    Tells,
}

fn quantity() -> Vec<Judged> {
    vec![Judged::Quantity]
}

/// Two spreads: our own cut. The cuts of SCAN (Amaral and others 2022) for the joint test of price
/// and quantity are not public.
fn beside() -> f64 {
    2.0
}

impl Rule {
    /// The robust z of this rule for quantities.
    pub fn robust(&self) -> RobustZ {
        RobustZ { months: self.months, offset: self.offset, floor: self.floor }
    }

    /// The robust z of this rule for a measure.
    pub fn robust_of(&self, measure: Measure) -> RobustZ {
        RobustZ { offset: self.offset_of(measure), ..self.robust() }
    }

    /// What is added to amounts of a measure before the logarithm.
    pub fn offset_of(&self, measure: Measure) -> f64 {
        // A unit value is never zero, and may be far below 1.
        if measure == Measure::UnitValue { 0.0 } else { self.offset }
    }

    /// Scores of the months of a series, oldest first, the first of them `first`. With a dear
    /// baseline only the `last` months are scored, or as many as a judgement needs.
    pub fn scores(
        &self,
        measure: Measure,
        first: Month,
        amounts: &[Option<f64>],
        last: Option<usize>,
    ) -> Vec<Option<Score>> {
        let robust = self.robust_of(measure);
        let cleaned;
        let amounts = if self.holiday {
            cleaned = holiday::without(first, amounts, robust.offset);
            &cleaned
        } else {
            amounts
        };
        match self.baseline {
            Baseline::Trailing => robust::scores(robust, amounts),
            Baseline::SameMonths => robust::of_expected(robust, amounts, amounts.len(), robust::same_months),
            Baseline::Stl { seasonal } => {
                let last = last.unwrap_or(DEAR_SCORES + 1);
                robust::of_expected(robust, amounts, last, |before| stl::expected(before, seasonal))
            }
        }
    }

    /// Whether the correction for many tests silences an alarm with this q.
    pub(super) fn silences(&self, q: Option<f64>) -> bool {
        let beyond = self.false_discovery_rate.zip(q).is_some_and(|(rate, q)| q > rate);
        beyond && self.correction == Correction::Silences
    }

    /// Its name and version, as alarms carry it.
    pub fn name(&self) -> String {
        format!("{}/{}", self.id, self.version)
    }

    /// The rules that come with the program, all their versions.
    pub fn shipped() -> Vec<Self> {
        // A test reads the file, so that it cannot be wrong in a release.
        serde_json::from_str(include_str!("../../rules/screening.json")).unwrap_or_default()
    }

    /// A shipped rule by name, `screen` for its newest version or `screen/1` for one of them.
    pub fn named(name: &str) -> Option<Self> {
        let shipped = Self::shipped().into_iter();
        shipped.filter(|r| r.id == name || r.name() == name).max_by_key(|r| r.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_rules_are_read_and_have_their_own_names() {
        let rules: Vec<Rule> = serde_json::from_str(include_str!("../../rules/screening.json")).unwrap();
        assert!(rules.len() >= 8);
        for rule in &rules {
            assert_eq!(rules.iter().filter(|r| r.name() == rule.name()).count(), 1, "{}", rule.name());
            assert!(
                rule.drop.z < 0.0 && rule.drop.ratio < 1.0 && rule.surge.z > 0.0 && rule.surge.ratio > 1.0
            );
        }
        assert_eq!(Rule::named("screen").unwrap().version, 3);
        assert_eq!(Rule::named("screen/1").unwrap().judges, [Judged::Quantity]);
        assert_eq!(Rule::named("screen/9"), None);
    }

    #[test]
    fn a_rule_file_of_before_is_read_and_an_unknown_field_is_not() {
        let old = r#"{"id":"mine","version":1,"date":"2026-01-01","source":"me","months":36,"offset":1.0,
            "floor":0.12,"drop":{"z":-4.0,"ratio":0.5},"surge":{"z":4.0,"ratio":1.5},"holiday":false,
            "floor_per_month":0.0,"false_discovery_rate":null}"#;
        let rule: Rule = serde_json::from_str(old).unwrap();
        assert_eq!((rule.baseline, rule.judges.as_slice()), (Baseline::Trailing, &[Judged::Quantity][..]));
        let stl = old.replacen('{', r#"{"baseline":{"stl":{"seasonal":7}},"#, 1);
        let rule: Rule = serde_json::from_str(&stl).unwrap();
        assert_eq!(rule.baseline, Baseline::Stl { seasonal: 7 });
        for wrong in [r#""basline":"trailing","#, r#""baseline":"weekly","#, r#""judges":["price"],"#] {
            assert!(serde_json::from_str::<Rule>(&old.replacen('{', &format!("{{{wrong}"), 1)).is_err());
        }
    }
}
