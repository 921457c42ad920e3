//! Grades: how closely a flow is to be watched. A to D by the share of the partner in the reporter's
//! imports of the item, one grade up when its alarm is grave; each grade has its own interval of
//! checking. The numbers are a dated pack (`rules/grades.json`) that says which are our own.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Alarm, Kind, Scan, Strength};
use crate::month::{Date, Month};
use crate::series::{Flow, Series, SeriesKey};

/// How closely a flow is to be watched; A is the closest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Grade {
    /// The closest.
    A,
    /// Close.
    B,
    /// As published.
    C,
    /// From time to time.
    D,
}

/// A grade's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradeRule {
    /// The grade.
    pub grade: Grade,
    /// From this share of the partner in the reporter's imports of the item on, 0 to 1.
    pub share_from: f64,
    /// Days from one check to the next.
    pub check_every_days: u16,
}

/// What puts an alarm one grade up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneUp {
    /// Alarms of these kinds.
    pub kinds: Vec<Kind>,
    /// Alarms of these classes of strength.
    pub strengths: Vec<Strength>,
}

/// A dated pack of grades, the closest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradePack {
    /// Short name.
    pub id: String,
    /// Version of its numbers.
    pub version: u32,
    /// When they were fixed.
    pub date: String,
    /// Where they come from, and which are our own.
    pub source: String,
    /// Months before the alarm that the share is of.
    pub months: u16,
    /// The grades, the closest first.
    pub grades: Vec<GradeRule>,
    /// What puts an alarm one grade up.
    pub one_up: OneUp,
}

/// The grade of an alarm, with what led to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Graded {
    /// The grade.
    pub grade: Grade,
    /// Share of the partner in the reporter's imports of the item by value, 0 to 1.
    pub share: f64,
    /// Whether the alarm put it one grade up.
    pub one_up: bool,
    /// Days from one check to the next.
    pub check_every_days: u16,
    /// The next check, counted from the day of the judgement.
    pub next_check: Date,
    /// The pack, as `name/version`.
    pub pack: String,
}

impl GradePack {
    /// The pack that comes with the program.
    pub fn built_in() -> Option<Self> {
        // A test reads the file, so that it cannot be wrong in a release.
        serde_json::from_str(include_str!("../../rules/grades.json")).ok()
    }

    /// The grade of an alarm; absent where the share is not known.
    fn graded(&self, alarm: &Alarm, dependence: &Dependence) -> Option<Graded> {
        let share = dependence.share(&alarm.series)?;
        let place = self.grades.iter().position(|g| share >= g.share_from)?;
        let one_up =
            self.one_up.kinds.contains(&alarm.kind) || self.one_up.strengths.contains(&alarm.strength);
        let one_up = one_up && place > 0;
        let of = self.grades.get(if one_up { place - 1 } else { place })?;
        let next_check = alarm.as_of.checked_add(jiff::Span::new().days(of.check_every_days)).ok()?;
        let pack = format!("{}/{}", self.id, self.version);
        Some(Graded {
            grade: of.grade,
            share,
            one_up,
            check_every_days: of.check_every_days,
            next_check,
            pack,
        })
    }
}

/// Source, reporter and item.
type Imported = (Arc<str>, Arc<str>, Arc<str>);

/// What each reporter's imports of each item were worth, by partner.
#[derive(Clone, Debug, Default)]
pub struct Dependence {
    totals: BTreeMap<Imported, BTreeMap<Arc<str>, f64>>,
}

impl Dependence {
    /// Of the `months` before a month. `all` must hold every partner of an item, or shares are too
    /// large.
    pub fn before<'a>(all: impl IntoIterator<Item = &'a Series>, month: Month, months: u16) -> Self {
        let mut totals: BTreeMap<Imported, BTreeMap<Arc<str>, f64>> = BTreeMap::new();
        for series in all.into_iter().filter(|s| s.key.flow == Flow::Import) {
            let worth = |n: u16| series.at(month.plus(-i32::from(n)))?.value;
            let value: f64 = (1..=months).filter_map(worth).sum();
            let key = &series.key;
            let of = (Arc::clone(&key.source), Arc::clone(&key.reporter), Arc::clone(&key.item));
            *totals.entry(of).or_default().entry(Arc::clone(&key.partner)).or_insert(0.0) += value;
        }
        Self { totals }
    }

    /// Share of the partner of an import series, 0 to 1; absent for exports and without imports.
    pub fn share(&self, key: &SeriesKey) -> Option<f64> {
        let of = (Arc::clone(&key.source), Arc::clone(&key.reporter), Arc::clone(&key.item));
        let partners = self.totals.get(&of).filter(|_| key.flow == Flow::Import)?;
        let total: f64 = partners.values().sum();
        (total > 0.0).then(|| partners.get(&key.partner).copied().unwrap_or(0.0) / total)
    }
}

impl Scan {
    /// With the grade of each alarm, the closest grade first, the farthest out of line first among those of one
    /// grade. `all` must hold every partner of the items that alarm.
    #[must_use]
    pub fn graded<'a>(mut self, all: impl IntoIterator<Item = &'a Series>, pack: &GradePack) -> Self {
        let dependence = Dependence::before(all, self.month, pack.months);
        for alarm in &mut self.alarms {
            alarm.grade = pack.graded(alarm, &dependence);
        }
        // Stable: the order of distance stays within a grade. What has no grade, such as an export, comes last.
        self.alarms.sort_by_key(|a| a.grade.as_ref().map_or((true, Grade::D), |g| (false, g.grade)));
        self
    }
}

impl std::fmt::Display for Graded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "grade {:?} ({:.0} % of imports{}; {}): check again every {} days, next on {}",
            self.grade,
            self.share * 100.0,
            if self.one_up { ", one up for the alarm" } else { "" },
            self.pack,
            self.check_every_days,
            self.next_check
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_pack_covers_every_share_and_closer_grades_are_checked_more_often() {
        let pack: GradePack = serde_json::from_str(include_str!("../../rules/grades.json")).unwrap();
        assert_eq!(
            pack.grades.iter().map(|g| g.grade).collect::<Vec<_>>(),
            [Grade::A, Grade::B, Grade::C, Grade::D]
        );
        assert_eq!(pack.grades.last().unwrap().share_from, 0.0);
        for pair in pack.grades.windows(2) {
            assert!(pair[0].share_from > pair[1].share_from);
            assert!(pair[0].check_every_days < pair[1].check_every_days);
        }
    }
}
