//! Alarms: everything that led to saying that a month of a series is out of line.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::grade::Graded;
use super::{Measure, Rule};
use crate::detect::robust::Score;
use crate::month::{Date, Month};
use crate::series::{SeriesKey, Unit};

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

/// What quantity and price say together. The joint test is that of SCAN (Amaral and others 2022,
/// DG GROW); from how many spreads on the measure beside counts is our own cut
/// ([`Rule::beside_z`]), since SCAN's cuts are not public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Less at a higher price: it is scarce. SCAN's distress.
    Distress,
    /// Less at a lower price: it is wanted less.
    Slack,
    /// More at a higher price: it is wanted more, perhaps for stocks.
    Rush,
    /// More at a lower price: it is pushed.
    Flood,
    /// The quantity alone; the price is as usual, or cannot be judged.
    Quantity,
    /// The price alone; the quantity is as usual, or cannot be judged.
    Price,
}

/// When in the course of an event a signal comes. Structure (L0, [`crate::structure`]) is known for
/// years and tells no time; neither is any other class a forecast of when something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lead {
    /// A surge: stocks may be built up ahead of a measure. Where it was one, it came up to a month
    /// or a few weeks before.
    L1,
    /// The first abnormal drop: nought to a month and a half after the event.
    L2,
    /// Several importers of one exporter's item at a time: about a month after the event.
    L3,
}

/// What the other measure of a series says in the same month.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beside {
    /// Which it is.
    pub measure: Measure,
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
    /// The unit of values, of the source.
    pub unit: Unit,
    /// Which way.
    pub direction: Direction,
    /// How far, in classes.
    pub strength: Strength,
    /// What quantity and price say together.
    pub kind: Kind,
    /// When in the course of an event such a signal comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead: Option<Lead>,
    /// The first month of this run of alarms, with gaps of at most [`EPISODE_GAP`] months.
    pub since: Month,
    /// For a drop: the newest month with a surge, at most [`EPISODE_GAP`] months before the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surged: Option<Month>,
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
    /// What the other measure says, where it can be judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Beside>,
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
    /// When the month's number was released, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Date>,
    /// The newest release among the months before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_released: Option<Date>,
    /// The amount at which it would not have been an alarm.
    pub silent_from: f64,
    /// How closely the flow is to be watched, when that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grade: Option<Graded>,
}

/// Most months without an alarm inside one run of alarms.
pub const EPISODE_GAP: i32 = 6;

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

impl Kind {
    /// What an alarm of a measure and the other measure say together.
    pub fn of(measure: Measure, direction: Direction, beside: Option<&Beside>, beside_z: f64) -> Self {
        let other = beside.and_then(|b| match b.z {
            z if z >= beside_z => Some(Direction::Surge),
            z if z <= -beside_z => Some(Direction::Drop),
            _ => None,
        });
        let (quantity, price) = match measure {
            Measure::UnitValue => (other, Some(direction)),
            Measure::Weight | Measure::Value => (Some(direction), other),
        };
        match (quantity, price) {
            (Some(Direction::Drop), Some(Direction::Surge)) => Self::Distress,
            (Some(Direction::Drop), Some(Direction::Drop)) => Self::Slack,
            (Some(Direction::Surge), Some(Direction::Surge)) => Self::Rush,
            (Some(Direction::Surge), Some(Direction::Drop)) => Self::Flood,
            (None, _) => Self::Price,
            (_, None) => Self::Quantity,
        }
    }
}

/// The run of alarms in a direction that a month belongs to: its first month, and the last surge
/// shortly before it. `passed` says which way a month before was out of line, by its age.
pub(super) fn run_of(
    month: Month,
    direction: Direction,
    passed: impl Fn(i32) -> Option<Direction>,
    months: i32,
) -> (Month, Option<Month>) {
    let mut first = 0;
    for age in 1..=months {
        if age - first > EPISODE_GAP {
            break;
        }
        if passed(age) == Some(direction) {
            first = age;
        }
    }
    let surged = (first + 1..=first + EPISODE_GAP).find(|age| passed(*age) == Some(Direction::Surge));
    let surged = surged.filter(|_| direction == Direction::Drop);
    (month.plus(-first), surged.map(|age| month.plus(-age)))
}

/// The amount nearest to the reported one that is no alarm.
pub(super) fn silent_from(score: &Score, measure: Measure, direction: Direction, rule: &Rule) -> f64 {
    let cut = match direction {
        Direction::Drop => rule.drop,
        Direction::Surge => rule.surge,
    };
    let by_z = score.middle * (cut.z * score.spread).exp() - rule.offset_of(measure);
    let by_ratio = score.middle * cut.ratio;
    match direction {
        Direction::Drop => by_z.min(by_ratio),
        Direction::Surge => by_z.max(by_ratio),
    }
}

/// An amount with as many digits as a reader needs, thousands apart.
fn digits(amount: f64) -> String {
    if amount.abs() < 100.0 && amount != 0.0 {
        return format!("{amount:.2}");
    }
    let plain = format!("{amount:.0}");
    let mut out = String::new();
    for (at, c) in plain.chars().enumerate() {
        if at > 0 && c.is_ascii_digit() && (plain.len() - at).is_multiple_of(3) && !out.ends_with('-') {
            out.push(',');
        }
        out.push(c);
    }
    out
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Usd => "USD",
            Self::Eur => "EUR",
            Self::Jpy => "JPY",
        })
    }
}

impl Measure {
    /// What it is called.
    pub fn title(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::Value => "value",
            Self::UnitValue => "value per kg",
        }
    }

    /// Its unit, for a source whose values are in `unit`.
    pub fn unit(self, unit: Unit) -> String {
        match self {
            Self::Weight => "kg".to_owned(),
            Self::Value => unit.to_string(),
            Self::UnitValue => format!("{unit} per kg"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Distress => "distress: less at a higher price",
            Self::Slack => "slack: less at a lower price",
            Self::Rush => "rush: more at a higher price",
            Self::Flood => "flood: more at a lower price",
            Self::Quantity => "quantity alone",
            Self::Price => "price alone",
        })
    }
}

impl fmt::Display for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::L1 => "L1, an anticipatory surge: stocks may be built up; it does not say when",
            Self::L2 => "L2, the first abnormal month",
            Self::L3 => "L3, several importers at a time",
        })
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.z < 0.0 { "below" } else { "above" };
        write!(f, "{} is {:.1} spreads {way} its usual", self.measure.title(), self.z.abs())
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match self.direction {
            Direction::Drop => "below",
            Direction::Surge => "above",
        };
        let usual = if self.middle < 1.0 && self.measure != Measure::UnitValue {
            "where there is usually none,".to_owned()
        } else {
            format!("{:.0} % of the usual {}", self.ratio * 100.0, digits(self.middle))
        };
        write!(
            f,
            "{}: {} of {} is {} {}, {} and {:.1} spreads {way} it (rule {}, as of {}); at {} it would be silent",
            self.series,
            self.measure.title(),
            self.month,
            digits(self.amount),
            self.measure.unit(self.unit),
            usual,
            self.z.abs(),
            self.rule,
            self.as_of,
            digits(self.silent_from)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart_and_small_amounts_keep_their_decimals() {
        let told = [3_005_023.2, 529_850.0, 999.6, 100.0, -1_234.0, -123.0, 17.9, 0.0].map(digits);
        assert_eq!(told, ["3,005,023", "529,850", "1,000", "100", "-1,234", "-123", "17.90", "0"]);
    }

    #[test]
    fn less_at_a_higher_price_is_distress_whichever_of_the_two_alarms() {
        let beside = |measure, z| Beside { measure, amount: 1.0, middle: 1.0, spread: 0.1, z, ratio: 1.0 };
        let of = |measure, direction, z: f64| {
            let other = if measure == Measure::UnitValue { Measure::Weight } else { Measure::UnitValue };
            Kind::of(measure, direction, Some(&beside(other, z)), 2.0)
        };
        assert_eq!(of(Measure::Weight, Direction::Drop, 2.0), Kind::Distress);
        assert_eq!(of(Measure::UnitValue, Direction::Surge, -2.5), Kind::Distress);
        assert_eq!(of(Measure::Weight, Direction::Drop, -3.0), Kind::Slack);
        assert_eq!(of(Measure::Weight, Direction::Surge, 3.0), Kind::Rush);
        assert_eq!(of(Measure::UnitValue, Direction::Drop, 3.0), Kind::Flood);
        assert_eq!(of(Measure::Weight, Direction::Drop, 1.9), Kind::Quantity);
        assert_eq!(of(Measure::UnitValue, Direction::Surge, 0.0), Kind::Price);
        assert_eq!(Kind::of(Measure::Value, Direction::Drop, None, 2.0), Kind::Quantity);
    }

    #[test]
    fn a_run_ends_at_a_gap_of_more_than_six_months_and_remembers_the_surge_before() {
        let month: Month = "2019-07".parse().unwrap();
        let drops = [1, 2, 9];
        let passed = |age: i32| {
            let drop = drops.contains(&age).then_some(Direction::Drop);
            drop.or((age == 4 || age == 11).then_some(Direction::Surge))
        };
        let of = |m: &str| Some(m.parse::<Month>().unwrap());
        assert_eq!(run_of(month, Direction::Drop, passed, 40), (month.plus(-2), of("2019-03")));
        let without_nine = |age: i32| if age == 8 { Some(Direction::Drop) } else { passed(age) };
        assert_eq!(run_of(month, Direction::Drop, without_nine, 40), (month.plus(-9), of("2018-08")));
        assert_eq!(run_of(month, Direction::Surge, |_| None, 40), (month, None));
    }
}
