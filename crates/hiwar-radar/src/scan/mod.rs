//! Monthly screening: which series are abnormal in a month, how abnormal, and why.

mod alarm;
pub mod breadth;
pub mod fleet;
pub mod grade;
pub mod pool;
mod rule;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use alarm::{Alarm, Beside, Direction, EPISODE_GAP, Kind, Lead, Strength};
pub use breadth::Breadth;
pub use pool::{Pool, Pooled};
pub use rule::{Baseline, Correction, Cut, Judged, Rule};

use crate::detect::bocpd::{Bocpd, Prepared};
use crate::detect::cusum::{Cusum, Sums};
use crate::detect::evt::Tail;
use crate::detect::fdr;
use crate::detect::robust::{self, Score};
use crate::items::six_digits;
use crate::month::{Date, Month};
use crate::series::{Observation, Series, SeriesKey, Unit};
use alarm::{run_of, silent_from};
use breadth::{Counted, USUAL_MONTHS};

/// What is judged of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Net weight, in kilograms.
    Weight,
    /// Value, in the source's unit.
    Value,
    /// Value per kilogram. Only months with both count, so it is judged where the item was traded
    /// in every month of the window.
    UnitValue,
}

/// Why a series was not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unjudged {
    /// The month is not released yet, or the source states no amount.
    NotReported,
    /// Too few months before.
    ShortHistory,
    /// Too small to matter.
    Immaterial,
}

/// The screening of one month.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    /// The month.
    pub month: Month,
    /// As of which day.
    pub as_of: Date,
    /// The rule, as `name/version`.
    pub rule: String,
    /// Alarms, the farthest out of line first.
    pub alarms: Vec<Alarm>,
    /// Series judged by their quantity.
    pub judged: usize,
    /// Series judged by their unit value as well.
    pub judged_unit_values: usize,
    /// Series not judged by their quantity, by reason.
    pub unjudged: BTreeMap<Unjudged, usize>,
    /// Share of the judged series that drop: whose quantity alarms.
    pub breadth_drop: f64,
    /// Share of the judged series that surge.
    pub breadth_surge: f64,
    /// How many are out of line at once, against how many usually are.
    pub breadth: Breadth,
    /// What importers of one exporter's item say together, where there are enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooled: Option<Pooled>,
}

impl Measure {
    /// The amount of an observation.
    pub fn of(self, observation: &Observation) -> Option<f64> {
        match self {
            Self::Weight => observation.kg,
            Self::Value => observation.value,
            Self::UnitValue => match (observation.value, observation.kg) {
                (Some(value), Some(kg)) if kg > 0.0 && value > 0.0 => Some(value / kg),
                _ => None,
            },
        }
    }

    /// What stands for the quantity of a series: its weight where that is stated.
    pub fn quantity_of(series: &Series) -> Self {
        let weighed = series.months.iter().flatten().any(|o| o.kg.is_some());
        if weighed { Self::Weight } else { Self::Value }
    }

    /// The measures of a series that a rule judges, its quantity first.
    pub fn judged_of(series: &Series, rule: &Rule) -> Vec<Self> {
        let quantity = Self::quantity_of(series);
        let of = |judged| match judged {
            Judged::Quantity => Some(quantity),
            Judged::UnitValue => (quantity == Self::Weight).then_some(Self::UnitValue),
        };
        let both = [Judged::Quantity, Judged::UnitValue].into_iter();
        both.filter(|j| rule.judges.contains(j)).filter_map(of).collect()
    }

    /// What is judged beside: the price of a weight, the weight of a price.
    fn beside(self) -> Option<Self> {
        match self {
            Self::Weight => Some(Self::UnitValue),
            Self::UnitValue => Some(Self::Weight),
            Self::Value => None,
        }
    }
}

/// One measure of one series in the month.
struct Test<'a> {
    series: &'a Series,
    measure: Measure,
    amount: f64,
    score: Score,
    /// The scores of the months, oldest first; the last is that of the month.
    scores: Vec<Option<Score>>,
    sums: Sums,
    new_regime: f64,
}

/// A month to be judged, and what it is judged with.
struct Bench<'a> {
    month: Month,
    as_of: Date,
    rule: &'a Rule,
    name: String,
    prepared: Prepared,
}

/// Screens a month: judges every series by the months before it. `series` must be what was known
/// at `as_of`.
pub fn scan(series: &[Series], month: Month, as_of: Date, rule: &Rule) -> Scan {
    scan_and_judged(series, month, as_of, rule).0
}

/// As [`scan`], with the series that were judged by their quantity.
pub fn scan_and_judged<'a>(
    series: &'a [Series],
    month: Month,
    as_of: Date,
    rule: &Rule,
) -> (Scan, Vec<&'a SeriesKey>) {
    // A series is scored at most once for each of its months.
    let longest = series.iter().map(|s| s.months.len()).max().unwrap_or(0);
    let prepared = Prepared::new(Bocpd::default(), longest);
    let bench = Bench { month, as_of, rule, name: rule.name(), prepared };
    let mut tests = Vec::new();
    let mut unjudged: BTreeMap<Unjudged, usize> = BTreeMap::new();
    for one in series {
        for measure in Measure::judged_of(one, rule) {
            match bench.test(one, measure) {
                Ok(test) => tests.push(test),
                Err(reason) if measure != Measure::UnitValue => *unjudged.entry(reason).or_insert(0) += 1,
                Err(_) => {}
            }
        }
    }
    let p_values = rarities(&tests, rule);
    let q_values = fdr::adjusted(&p_values);
    let mut alarms: Vec<Alarm> = Vec::new();
    for ((test, p), q) in tests.iter().zip(&p_values).zip(&q_values) {
        let Some(direction) = passes(&test.score, rule) else { continue };
        if rule.silences(*q) {
            continue;
        }
        alarms.push(bench.alarm(test, direction, (*p, *q)));
    }
    name_joint(&mut alarms);
    alarms.sort_by(|a, b| {
        b.z.abs().total_cmp(&a.z.abs()).then_with(|| (&a.series, a.measure).cmp(&(&b.series, b.measure)))
    });
    let quantities = || tests.iter().filter(|t| t.measure != Measure::UnitValue);
    let judged = quantities().count();
    let share = |direction| {
        let of = alarms.iter().filter(|a| a.measure != Measure::UnitValue && a.direction == direction);
        if judged == 0 { 0.0 } else { of.count() as f64 / judged as f64 }
    };
    let distances: Vec<(&SeriesKey, Vec<Option<f64>>)> = quantities()
        .map(|t| (&t.series.key, t.scores.iter().map(|s| s.as_ref().map(|s| s.z)).collect()))
        .collect();
    let members: Vec<pool::Member<'_>> =
        distances.iter().map(|(key, z)| pool::Member { key, z: z.as_slice() }).collect();
    let pooled = pool::pooled(&members, rule.false_discovery_rate);
    let found = Scan {
        month,
        as_of,
        judged,
        judged_unit_values: tests.len() - judged,
        unjudged,
        breadth_drop: share(Direction::Drop),
        breadth_surge: share(Direction::Surge),
        breadth: breadth_of(quantities(), rule),
        pooled,
        rule: bench.name,
        alarms,
    };
    let quantities = tests.into_iter().filter(|t| t.measure != Measure::UnitValue);
    (found, quantities.map(|t| &t.series.key).collect())
}

/// How many series are beyond the cuts, in this month and in those before it.
fn breadth_of<'a>(tests: impl Iterator<Item = &'a Test<'a>>, rule: &Rule) -> Breadth {
    let mut counts = vec![Counted::default(); USUAL_MONTHS + 1];
    for test in tests {
        for (score, count) in test.scores.iter().rev().zip(&mut counts) {
            let Some(score) = score else { continue };
            count.judged += 1;
            match passes(score, rule) {
                Some(Direction::Drop) => count.drops += 1,
                Some(Direction::Surge) => count.surges += 1,
                None => {}
            }
        }
    }
    let (now, before) = counts.split_first().map_or((Counted::default(), &[][..]), |(n, b)| (*n, b));
    Breadth::of(now, before)
}

/// Marks alarms that several importers of one exporter's item raise in one direction.
fn name_joint(alarms: &mut [Alarm]) {
    let subject = |a: &Alarm| {
        let (exporter, importer) = a.series.exporter_and_importer();
        ((exporter.clone(), six_digits(&a.series.item), a.direction), importer.clone())
    };
    let mut importers: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for alarm in alarms.iter().filter(|a| a.measure != Measure::UnitValue) {
        let (of, importer) = subject(alarm);
        importers.entry(of).or_default().insert(importer);
    }
    for alarm in alarms.iter_mut().filter(|a| a.measure != Measure::UnitValue) {
        if importers.get(&subject(alarm).0).is_some_and(|i| i.len() > 1) {
            alarm.lead = Some(Lead::L3);
        }
    }
}

/// Which way a score is an alarm under a rule, if it is.
pub fn passes(score: &Score, rule: &Rule) -> Option<Direction> {
    if score.z < rule.drop.z && score.ratio < rule.drop.ratio {
        return Some(Direction::Drop);
    }
    (score.z > rule.surge.z && score.ratio > rule.surge.ratio).then_some(Direction::Surge)
}

impl Bench<'_> {
    fn test<'a>(&self, series: &'a Series, measure: Measure) -> Result<Test<'a>, Unjudged> {
        let Self { month, rule, prepared, .. } = self;
        let amount = series.at(*month).and_then(|o| measure.of(o)).ok_or(Unjudged::NotReported)?;
        let count = usize::try_from(month.since(series.first)).unwrap_or(0) + 1;
        let months = series.months.iter().take(count);
        let amounts: Vec<Option<f64>> = months.map(|o| o.as_ref().and_then(|o| measure.of(o))).collect();
        let scores = rule.scores(measure, series.first, &amounts, None);
        let score = scores.last().copied().flatten().ok_or(Unjudged::ShortHistory)?;
        if usual_value(series, *month, rule.months).is_some_and(|usual| usual < rule.floor_per_month) {
            return Err(Unjudged::Immaterial);
        }
        let (mut sums, mut runs, mut new_regime) = (Sums::default(), prepared.runs(), 0.0);
        for score in scores.iter().flatten() {
            sums = Cusum::default().step_anew(sums, score.z);
            new_regime = prepared.push(&mut runs, score.z);
        }
        Ok(Test { series, measure, amount, score, scores, sums, new_regime })
    }

    fn alarm(&self, test: &Test<'_>, direction: Direction, (p, q): (Option<f64>, Option<f64>)) -> Alarm {
        let Test { series, measure, score, .. } = *test;
        let beside = measure.beside().and_then(|other| self.test(series, other).ok()).map(|b| Beside {
            measure: b.measure,
            amount: b.amount,
            middle: b.score.middle,
            spread: b.score.spread,
            z: b.score.z,
            ratio: b.score.ratio,
        });
        let passed = |age: i32| {
            let at = test.scores.len().checked_sub(usize::try_from(age).ok()? + 1)?;
            passes(test.scores.get(at)?.as_ref()?, self.rule)
        };
        let months = i32::try_from(test.scores.len()).unwrap_or(i32::MAX) - 1;
        let (since, surged) = run_of(self.month, direction, passed, months);
        let lead = match (measure, direction) {
            (Measure::UnitValue, _) => None,
            (_, Direction::Surge) => Some(Lead::L1),
            (_, Direction::Drop) => (since == self.month).then_some(Lead::L2),
        };
        Alarm {
            series: series.key.clone(),
            month: self.month,
            measure,
            unit: series.unit,
            direction,
            strength: Strength::of(score.z),
            kind: Kind::of(measure, direction, beside.as_ref(), self.rule.beside_z),
            lead,
            since,
            surged,
            amount: test.amount,
            middle: score.middle,
            spread: score.spread,
            z: score.z,
            ratio: score.ratio,
            beside,
            p,
            q,
            cusum_up: test.sums.up,
            cusum_down: test.sums.down,
            new_regime: test.new_regime,
            rule: self.name.clone(),
            as_of: self.as_of,
            released: series.released_at(self.month),
            history_released: series.newest_release_before(self.month),
            silent_from: silent_from(&score, measure, direction, self.rule),
            grade: None,
        }
    }
}

/// The median value of the months before, in US dollars or about as much.
fn usual_value(series: &Series, month: Month, months: usize) -> Option<f64> {
    let mut values: Vec<f64> =
        (1..).take(months).filter_map(|n: i32| series.at(month.plus(-n))?.value).collect();
    values.sort_by(f64::total_cmp);
    let per_dollar = match series.unit {
        Unit::Usd | Unit::Eur => 1.0,
        // Good enough to tell what matters.
        Unit::Jpy => 100.0,
    };
    Some(robust::median(&values)? / per_dollar)
}

/// How rare each score is among all earlier scores of its measure in its class of product, both ways.
fn rarities(tests: &[Test<'_>], rule: &Rule) -> Vec<Option<f64>> {
    if rule.false_discovery_rate.is_none() {
        return vec![None; tests.len()];
    }
    let class_of = |test: &Test<'_>| (class_of(&test.series.key), test.measure);
    let mut classes: BTreeMap<(String, Measure), (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for test in tests {
        let (down, up) = classes.entry(class_of(test)).or_default();
        let before = test.scores.split_last().map_or(&[][..], |(_, before)| before);
        down.extend(before.iter().flatten().map(|s| -s.z));
        up.extend(before.iter().flatten().map(|s| s.z));
    }
    let tails: BTreeMap<_, (Option<Tail>, Option<Tail>)> = classes
        .into_iter()
        .map(|(class, (down, up))| (class, (Tail::fit(down, 0.98), Tail::fit(up, 0.98))))
        .collect();
    tests
        .iter()
        .map(|test| {
            let (down, up) = tails.get(&class_of(test))?;
            let tail = if test.score.z < 0.0 { down.as_ref()? } else { up.as_ref()? };
            // Two-sided.
            Some((2.0 * tail.p_value(test.score.z.abs())).min(1.0))
        })
        .collect()
}

/// The class of product: the first two digits of a code (the chapter of the Harmonized System),
/// or the whole name where items have no code.
pub fn class_of(key: &SeriesKey) -> String {
    let chapter: String = key.item.chars().take(2).collect();
    if chapter.len() == 2 && chapter.bytes().all(|b| b.is_ascii_digit()) {
        format!("{} {chapter}", key.source)
    } else {
        format!("{} {}", key.source, key.item)
    }
}
