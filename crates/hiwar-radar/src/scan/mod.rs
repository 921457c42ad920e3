//! Monthly screening: which series are abnormal in a month, how abnormal, and why.

pub mod fleet;
mod rule;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use rule::{Cut, Rule};

use crate::detect::bocpd::{Bocpd, Prepared};
use crate::detect::cusum::{Cusum, Sums};
use crate::detect::evt::Tail;
use crate::detect::robust::{self, Score};
use crate::detect::{fdr, holiday};
use crate::month::{Date, Month};
use crate::series::{Observation, Series, SeriesKey, Unit};

/// What is judged of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Net weight, in kilograms.
    Weight,
    /// Value, in the source's unit.
    Value,
    /// Value per kilogram.
    UnitValue,
}

/// Which way a month is out of line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Far less than usual.
    Drop,
    /// Far more than usual; before a measure takes effect it may be stockpiling.
    Surge,
}

/// How far out of line, in classes that may be told to a peer without telling amounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strength {
    /// Up to six spreads.
    Clear,
    /// Six to ten spreads.
    Strong,
    /// More.
    Extreme,
}

/// A month of a series that is out of line, with everything that led to saying so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// The series.
    pub series: SeriesKey,
    /// The month.
    pub month: Month,
    /// What was judged.
    pub measure: Measure,
    /// Which way.
    pub direction: Direction,
    /// How far, in classes.
    pub strength: Strength,
    /// What was reported, in the measure's unit.
    pub amount: f64,
    /// The middle of the months before, in the measure's unit.
    pub middle: f64,
    /// The usual spread, in units of the natural logarithm.
    pub spread: f64,
    /// Distance from the middle, in spreads.
    pub z: f64,
    /// The amount divided by the middle.
    pub ratio: f64,
    /// How rare such a distance is in its class of product, when there is enough to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    /// The smallest share of false alarms of this month at which it is still one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<f64>,
    /// Cumulative sum of the distances above, since it last passed its alarm, in spreads.
    pub cusum_up: f64,
    /// As above, downwards.
    pub cusum_down: f64,
    /// The probability that a new regime has just begun.
    pub new_regime: f64,
    /// The rule, as `name/version`.
    pub rule: String,
    /// As of which day it was judged; nothing released later was used.
    pub as_of: Date,
    /// The amount at which it would not have been an alarm.
    pub silent_from: f64,
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
    /// Series judged.
    pub judged: usize,
    /// Series not judged, by reason.
    pub unjudged: BTreeMap<Unjudged, usize>,
    /// Share of the judged series that drop.
    pub breadth_drop: f64,
    /// Share of the judged series that surge.
    pub breadth_surge: f64,
}

impl Strength {
    /// The class of a distance.
    pub fn of(z: f64) -> Self {
        match z.abs() {
            z if z > 10.0 => Self::Extreme,
            z if z > 6.0 => Self::Strong,
            _ => Self::Clear,
        }
    }
}

impl Measure {
    /// The amount of an observation.
    pub fn of(self, observation: &Observation) -> Option<f64> {
        match self {
            Self::Weight => observation.kg,
            Self::Value => observation.value,
            Self::UnitValue => match (observation.value, observation.kg) {
                (Some(value), Some(kg)) if kg > 0.0 => Some(value / kg),
                _ => None,
            },
        }
    }

    /// What stands for the quantity of a series: its weight where that is stated.
    pub fn quantity_of(series: &Series) -> Self {
        let weighed = series.months.iter().flatten().any(|o| o.kg.is_some());
        if weighed { Self::Weight } else { Self::Value }
    }
}

struct Judged<'a> {
    series: &'a Series,
    measure: Measure,
    amount: f64,
    score: Score,
    /// Scores of the months before, for the class's tail.
    history: Vec<f64>,
    sums: Sums,
    new_regime: f64,
}

/// Screens a month: judges every series by the months before it. `series` must be what was known
/// at `as_of`.
pub fn scan(series: &[Series], month: Month, as_of: Date, rule: &Rule) -> Scan {
    let mut judged = Vec::new();
    let mut unjudged: BTreeMap<Unjudged, usize> = BTreeMap::new();
    // A series is scored at most once for each of its months.
    let longest = series.iter().map(|s| s.months.len()).max().unwrap_or(0);
    let prepared = Prepared::new(Bocpd::default(), longest);
    for one in series {
        match judge(one, Measure::quantity_of(one), month, rule, &prepared) {
            Ok(found) => judged.push(found),
            Err(reason) => *unjudged.entry(reason).or_insert(0) += 1,
        }
    }
    let count = judged.len();
    let p_values = rarities(&judged, rule);
    let q_values = fdr::adjusted(&p_values);
    let name = format!("{}/{}", rule.id, rule.version);
    let mut alarms: Vec<Alarm> = Vec::new();
    for ((found, p), q) in judged.iter().zip(&p_values).zip(&q_values) {
        let Some(direction) = passes(&found.score, rule) else { continue };
        if let (Some(rate), Some(q)) = (rule.false_discovery_rate, q)
            && *q > rate
        {
            continue;
        }
        alarms.push(Alarm {
            series: found.series.key.clone(),
            month,
            measure: found.measure,
            direction,
            strength: Strength::of(found.score.z),
            amount: found.amount,
            middle: found.score.middle,
            spread: found.score.spread,
            z: found.score.z,
            ratio: found.score.ratio,
            p: *p,
            q: *q,
            cusum_up: found.sums.up,
            cusum_down: found.sums.down,
            new_regime: found.new_regime,
            rule: name.clone(),
            as_of,
            silent_from: silent_from(&found.score, direction, rule),
        });
    }
    alarms.sort_by(|a, b| b.z.abs().total_cmp(&a.z.abs()).then_with(|| a.series.cmp(&b.series)));
    let share = |direction| {
        let of = alarms.iter().filter(|a| a.direction == direction).count();
        if count == 0 { 0.0 } else { of as f64 / count as f64 }
    };
    let (breadth_drop, breadth_surge) = (share(Direction::Drop), share(Direction::Surge));
    Scan { month, as_of, rule: name, alarms, judged: count, unjudged, breadth_drop, breadth_surge }
}

/// Which way a score is an alarm under a rule, if it is.
pub fn passes(score: &Score, rule: &Rule) -> Option<Direction> {
    if score.z < rule.drop.z && score.ratio < rule.drop.ratio {
        return Some(Direction::Drop);
    }
    (score.z > rule.surge.z && score.ratio > rule.surge.ratio).then_some(Direction::Surge)
}

/// The amount nearest to the reported one that is no alarm.
fn silent_from(score: &Score, direction: Direction, rule: &Rule) -> f64 {
    let cut = match direction {
        Direction::Drop => rule.drop,
        Direction::Surge => rule.surge,
    };
    let by_z = score.middle * (cut.z * score.spread).exp() - rule.offset;
    let by_ratio = score.middle * cut.ratio;
    match direction {
        Direction::Drop => by_z.min(by_ratio),
        Direction::Surge => by_z.max(by_ratio),
    }
}

fn judge<'a>(
    series: &'a Series,
    measure: Measure,
    month: Month,
    rule: &Rule,
    prepared: &Prepared,
) -> Result<Judged<'a>, Unjudged> {
    let amount = series.at(month).and_then(|o| measure.of(o)).ok_or(Unjudged::NotReported)?;
    let count = usize::try_from(month.since(series.first)).unwrap_or(0) + 1;
    let amounts: Vec<Option<f64>> =
        series.months.iter().take(count).map(|o| o.as_ref().and_then(|o| measure.of(o))).collect();
    let amounts = if rule.holiday { holiday::without(series.first, &amounts, rule.offset) } else { amounts };
    let mut scores = robust::scores(rule.robust(), &amounts);
    let score = scores.pop().flatten().ok_or(Unjudged::ShortHistory)?;
    if usual_value(series, month, rule.months).is_some_and(|usual| usual < rule.floor_per_month) {
        return Err(Unjudged::Immaterial);
    }
    let history: Vec<f64> = scores.into_iter().flatten().map(|s| s.z).collect();
    let (mut sums, mut runs, mut new_regime) = (Sums::default(), prepared.runs(), 0.0);
    for z in history.iter().chain([&score.z]) {
        sums = Cusum::default().step_anew(sums, *z);
        new_regime = prepared.push(&mut runs, *z);
    }
    Ok(Judged { series, measure, amount, score, history, sums, new_regime })
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

/// How rare each score is among all earlier scores of its class of product, both ways.
fn rarities(judged: &[Judged<'_>], rule: &Rule) -> Vec<Option<f64>> {
    if rule.false_discovery_rate.is_none() {
        return vec![None; judged.len()];
    }
    let mut classes: BTreeMap<String, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for one in judged {
        let (down, up) = classes.entry(class_of(&one.series.key)).or_default();
        down.extend(one.history.iter().map(|z| -z));
        up.extend(&one.history);
    }
    let tails: BTreeMap<String, (Option<Tail>, Option<Tail>)> = classes
        .into_iter()
        .map(|(class, (down, up))| (class, (Tail::fit(down, 0.98), Tail::fit(up, 0.98))))
        .collect();
    judged
        .iter()
        .map(|one| {
            let (down, up) = tails.get(&class_of(&one.series.key))?;
            let tail = if one.score.z < 0.0 { down.as_ref()? } else { up.as_ref()? };
            // Two-sided.
            Some((2.0 * tail.p_value(one.score.z.abs())).min(1.0))
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

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, unit) = match self.measure {
            Measure::Weight => ("weight", "kg"),
            Measure::Value => ("value", "in the source's unit"),
            Measure::UnitValue => ("value per kg", "in the source's unit"),
        };
        let way = match self.direction {
            Direction::Drop => "below",
            Direction::Surge => "above",
        };
        let usual = if self.middle < 1.0 {
            "where there is usually none,".to_owned()
        } else {
            format!("{:.0} % of the usual {:.0}", self.ratio * 100.0, self.middle)
        };
        write!(
            f,
            "{}: {what} of {} is {:.0} {unit}, {} and {:.1} spreads {way} it \
             (rule {}, as of {}); at {:.0} it would be silent",
            self.series,
            self.month,
            self.amount,
            usual,
            self.z.abs(),
            self.rule,
            self.as_of,
            self.silent_from
        )
    }
}
