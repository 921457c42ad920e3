//! Sensitivity rules: which cells say too much of one contributor.
//!
//! With x₁ ≥ x₂ ≥ … the contributions to a cell, X their sum (A. Hundepool et al., *Handbook on
//! Statistical Disclosure Control*, second edition 2024, chapter 4.2, table "Sensitivity rules"), a cell
//! is unsafe when
//!
//! | rule | unsafe when | protection level (table "Upper protection levels") |
//! |---|---|---|
//! | minimum frequency n | fewer than n contributors | the stated range, in percent of X |
//! | (n,k) dominance | x₁ + … + xₙ > k/100 X | 100/k (x₁ + … + xₙ) − X |
//! | p % | X − x₁ − x₂ < p/100 x₁ | p/100 x₁ − (X − x₁ − x₂) |
//! | (p,q), prior and posterior | X − x₁ − x₂ < p/q x₁ | p/q x₁ − (X − x₁ − x₂) |
//!
//! A (p,q) rule is the p % rule with p* = 100 p/q (same chapter, equation "p-star").
//!
//! **Holdings.** Firms of one enterprise group are one contributor (same chapter, "Holdings"): the
//! contributions here are always those of groups.
//!
//! **Zero.** A zero is no contribution: it counts for no frequency, so that empty reports cannot make
//! a cell look safe.
//!
//! **Negative contributions.** The handbook says that concentration rules mean something for
//! contributions of one sign only, and advises to weaken them (p/f, with f > 1) up to a frequency rule
//! alone. Here they are kept at full strength and taken over magnitudes |x|, which is never laxer than
//! that advice: a cell whose contributions cancel out is not safe for that.

use serde_json::Value;

use crate::code::Percent;
use crate::fault::Members;

/// Fewest contributors that a design may ask for: with two, each learns the other's value.
pub const FREQUENCY_MIN: u32 = 3;
/// Most dominance rules of a set.
const DOMINANCE_MAX: usize = 4;
/// One, in hundredths of a percent.
const ONE: i128 = 10_000;

/// The (n,k) dominance rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dominance {
    /// How many of the largest contributions are taken together.
    pub n: u32,
    /// Most that they may have of the cell, 0 < k < 100.
    pub k: Percent,
}

/// The rules of a design. Keep its percentages confidential: who knows them learns more from a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSet {
    /// Name of this version of the rules.
    pub version: String,
    /// Fewest contributors of a published cell, at least [`FREQUENCY_MIN`].
    pub minimum_frequency: u32,
    /// How far off, in percent of the value, an estimate of a cell with too few contributors must be.
    pub frequency_range: Percent,
    /// Dominance rules; any of them makes a cell unsafe.
    pub dominance: Vec<Dominance>,
    /// The p % rule. A set has this or the next: without, nothing is said of how close is too close.
    pub p_percent: Option<Percent>,
    /// The (p,q) rule, p < q.
    pub prior_posterior: Option<(Percent, Percent)>,
}

/// Why a cell is unsafe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sensitivity {
    /// Too few contributors.
    Frequency,
    /// A few have nearly all of it.
    Dominance,
    /// The second largest contributor learns the largest one's value too closely.
    PPercent,
    /// As above, given what it knows beforehand.
    PriorPosterior,
}

impl Sensitivity {
    /// Key of its message.
    pub fn key(self) -> &'static str {
        match self {
            Self::Frequency => "disclosure-rule-frequency",
            Self::Dominance => "disclosure-rule-dominance",
            Self::PPercent => "disclosure-rule-p-percent",
            Self::PriorPosterior => "disclosure-rule-prior-posterior",
        }
    }
}

impl RuleSet {
    /// The first rule by which a cell with these contributions (one of each group, of any sign) is
    /// unsafe. A cell without any contribution that is not zero is none to protect.
    pub fn unsafe_by(&self, contributions: impl IntoIterator<Item = i64>) -> Option<Sensitivity> {
        let sizes = Sizes::of(contributions);
        let count = sizes.0.len();
        if count == 0 {
            return None;
        }
        if (count as u64) < u64::from(self.minimum_frequency) {
            return Some(Sensitivity::Frequency);
        }
        if self.dominance.iter().any(|rule| sizes.dominated(*rule)) {
            return Some(Sensitivity::Dominance);
        }
        let rest = sizes.total() - sizes.top(2);
        let first = sizes.top(1);
        if self.p_percent.is_some_and(|p| rest * ONE < i128::from(p.hundredths()) * first) {
            return Some(Sensitivity::PPercent);
        }
        let posterior = |(p, q): (Percent, Percent)| {
            rest * i128::from(q.hundredths()) < i128::from(p.hundredths()) * first
        };
        if self.prior_posterior.is_some_and(posterior) {
            return Some(Sensitivity::PriorPosterior);
        }
        None
    }

    /// What an upper estimate of a contributor's value must be at least: x + margin |x|, where the margin
    /// is the larger of p and p*.
    pub fn upper(&self, value: i64) -> i128 {
        i128::from(value) + self.margin(value)
    }

    /// What a lower estimate must be at most.
    pub fn lower(&self, value: i64) -> i128 {
        i128::from(value) - self.margin(value)
    }

    fn margin(&self, value: i64) -> i128 {
        let of = |percent: Percent, whole: u32| {
            let scaled = i128::from(value).abs() * i128::from(percent.hundredths());
            (scaled + i128::from(whole) - 1) / i128::from(whole).max(1)
        };
        let hundred = 10_000;
        let p = self.p_percent.map_or(0, |p| of(p, hundred));
        let posterior = self.prior_posterior.map_or(0, |(p, q)| of(p, q.hundredths()));
        p.max(posterior)
    }

    /// How far above the true value (of magnitudes) an outsider's upper estimate of an unsafe cell must
    /// be by the dominance rules: the most of 100/k (x₁ + … + xₙ) − X, rounded up; 0 when no rule asks.
    pub(crate) fn dominance_level(&self, contributions: impl IntoIterator<Item = i64>) -> i128 {
        let sizes = Sizes::of(contributions);
        let level = |rule: &Dominance| {
            let k = i128::from(rule.k.hundredths()).max(1);
            let top = sizes.top(rule.n as usize) * ONE;
            (top + k - 1) / k - sizes.total()
        };
        self.dominance.iter().map(level).max().unwrap_or(0).max(0)
    }

    /// How far off an outsider's estimate of a cell with too few contributors must be on either side.
    pub(crate) fn frequency_level(&self, contributions: impl IntoIterator<Item = i64>) -> i128 {
        let sizes = Sizes::of(contributions);
        if sizes.0.len() as u64 >= u64::from(self.minimum_frequency) {
            return 0;
        }
        let scaled = sizes.total() * i128::from(self.frequency_range.hundredths());
        (scaled + ONE - 1) / ONE
    }

    pub(crate) fn read(value: &Value, path: &str, faults: &mut crate::fault::Collected) -> Option<Self> {
        let mut members = Members::of(value, path, faults);
        let version = members.text("version", "disclosure-version", |text| {
            let fits = (1..=40).contains(&text.chars().count()) && !text.chars().any(char::is_control);
            fits.then(|| text.to_owned())
        });
        let frequency = members.whole("minimum_frequency", i64::from(FREQUENCY_MIN)..=1000);
        let percent = |text: &str| text.parse::<Percent>().ok();
        let range = members.text("frequency_range", "disclosure-percent", percent);
        let above_zero = |text: &str| percent(text).filter(|p| p.hundredths() > 0);
        let p_percent = members.optional("p_percent", "disclosure-percent", above_zero);
        let mut dominance = Some(Vec::new());
        if members.get("dominance").is_some() {
            let items = members.list("dominance", DOMINANCE_MAX).unwrap_or_default();
            let field = members.field("dominance");
            let read = items.iter().enumerate().map(|(index, item)| {
                let mut rule = Members::of(item, &format!("{field}[{index}]"), members.faults());
                let n = rule.whole("n", 1..=100);
                let below = |text: &str| above_zero(text).filter(|k| i128::from(k.hundredths()) < ONE);
                let k = rule.text("k", "disclosure-percent", below);
                rule.finish();
                Some(Dominance { n: u32::try_from(n?).ok()?, k: k? })
            });
            dominance = read.collect();
        }
        let mut prior_posterior = None;
        if let Some(value) = members.get("prior_posterior") {
            let field = members.field("prior_posterior");
            let mut pair = Members::of(value, &field, members.faults());
            let p = pair.text("p", "disclosure-percent", above_zero);
            let q = pair.text("q", "disclosure-percent", above_zero);
            pair.finish();
            prior_posterior = p.zip(q).filter(|(p, q)| p < q);
            if p.zip(q).is_some_and(|(p, q)| p >= q) {
                members.fault("prior_posterior", "disclosure-prior-posterior", "p >= q");
            }
        }
        if members.get("p_percent").is_none() && members.get("prior_posterior").is_none() {
            members.fault("p_percent", "disclosure-no-margin", "?");
        }
        members.finish();
        Some(Self {
            version: version?,
            minimum_frequency: u32::try_from(frequency?).ok()?,
            frequency_range: range?,
            dominance: dominance?,
            p_percent,
            prior_posterior,
        })
    }
}

/// Magnitudes of the contributions that are not zero, largest first.
struct Sizes(Vec<i128>);

impl Sizes {
    fn of(contributions: impl IntoIterator<Item = i64>) -> Self {
        let mut sizes: Vec<i128> =
            contributions.into_iter().filter(|&x| x != 0).map(|x| i128::from(x).abs()).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        Self(sizes)
    }

    fn top(&self, n: usize) -> i128 {
        self.0.iter().take(n).sum()
    }

    fn total(&self) -> i128 {
        self.0.iter().sum()
    }

    fn dominated(&self, rule: Dominance) -> bool {
        self.top(rule.n as usize) * ONE > i128::from(rule.k.hundredths()) * self.total()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(p: Option<&str>, pq: Option<(&str, &str)>, nk: Option<(u32, &str)>) -> RuleSet {
        RuleSet {
            version: "test".into(),
            minimum_frequency: 3,
            frequency_range: "0".parse().unwrap(),
            dominance: nk.map(|(n, k)| Dominance { n, k: k.parse().unwrap() }).into_iter().collect(),
            p_percent: p.map(|p| p.parse().unwrap()),
            prior_posterior: pq.map(|(p, q)| (p.parse().unwrap(), q.parse().unwrap())),
        }
    }

    #[test]
    fn the_handbooks_examples_are_judged_as_it_judges_them() {
        use Sensitivity::{Dominance, Frequency, PPercent, PriorPosterior};
        let rest_1000 = [50_000, 49_000, 500, 500];
        let two = [52_000, 50_000, 4_000, 4_000];
        let dominant = [300, 20, 10];
        let cases: &[(&str, RuleSet, &[i64], Option<Sensitivity>)] = &[
            // Handbook 4.2, example 1: X = 100000, 50000 and 49000: safe by (1,90); the second estimates the first to 2 %.
            ("example 1, (1,90)", rules(None, None, Some((1, "90"))), &rest_1000, None),
            ("example 1, p = 10", rules(Some("10"), None, None), &rest_1000, Some(PPercent)),
            ("example 1, p = 2", rules(Some("2"), None, None), &rest_1000, None),
            // Example 2: X = 110000, 52000 and 50000, p = 10: overestimates by 15.4 %, safe; (2,90.9) not.
            ("example 2, p = 10", rules(Some("10"), None, None), &two, None),
            ("example 2, (2,90.9)", rules(None, None, Some((2, "90.9"))), &two, Some(Dominance)),
            // Example 4: 300, 20, 10 is unsafe by (1,85).
            ("example 4", rules(None, None, Some((1, "85"))), &dominant, Some(Dominance)),
            // (p,q) is p% with p* = 100 p/q: (10,50) is 20 %, (8000 < 0.2 · 52000) unsafe; (10,80) is 12.5 %, safe.
            ("(10,50)", rules(None, Some(("10", "50")), None), &two, Some(PriorPosterior)),
            ("(10,80)", rules(None, Some(("10", "80")), None), &two, None),
            // Example 1b: two respondents.
            ("example 1b", rules(Some("10"), None, None), &[5, 5], Some(Frequency)),
            // Zeros are no contributors; magnitudes count, not what cancels out.
            ("zeros", rules(Some("10"), None, None), &[5, 5, 0, 0], Some(Frequency)),
            ("nobody", rules(Some("10"), None, None), &[0, 0], None),
            ("signs", rules(Some("10"), None, None), &[100, -98, -1, -1], Some(PPercent)),
        ];
        for (name, rules, contributions, expected) in cases {
            assert_eq!(rules.unsafe_by(contributions.iter().copied()), *expected, "{name}");
        }
    }

    #[test]
    fn protection_levels_are_the_handbooks() {
        // Example 4: 100/85 · 300 = 352.94, above X = 330 by 22.94.
        assert_eq!(rules(None, None, Some((1, "85"))).dominance_level([300, 20, 10]), 23);
        // Example 5: the estimate of the largest must be at least (1 + p/100) x₁.
        let p = rules(Some("10"), None, None);
        assert_eq!((p.upper(1005), p.lower(1005)), (1106, 904));
        assert_eq!((p.upper(-1000), p.lower(-1000)), (-900, -1100));
        assert_eq!(rules(None, Some(("10", "50")), None).upper(1000), 1200);
        let mut range = p.clone();
        range.frequency_range = "20".parse().unwrap();
        assert_eq!((range.frequency_level([10, 5]), range.frequency_level([10, 5, 1])), (3, 0));
    }
}
