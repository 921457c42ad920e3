//! What a rule would have said, month by month, and how often it would have been wrong.
//!
//! Each month is judged on the day its numbers were released, with what was released until then:
//! by the very function that judges live. Consecutive alarms of a series in one direction, with at
//! most [`EPISODE_GAP`] months between them, are one episode. Four figures describe a rule:
//! listed events found (of few: the number is always given), the delay from announcement and from
//! the physical stop, episodes per series and year outside the windows of events, and alarms a
//! month on a desk of 4,000 series. Alarms outside the windows are an upper bound of false ones:
//! some belong to events that nobody listed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::month::{Date, Month};
pub use crate::scan::EPISODE_GAP;
use crate::scan::{Alarm, Direction, Measure, Rule, scan};
use crate::series::{Series, SeriesKey};

/// How long after its announcement an event explains alarms, in months.
pub const WINDOW_MONTHS: i32 = 18;
/// The desk that alarms a month are counted for.
pub const DESK_SERIES: f64 = 4_000.0;

/// Something that happened, with dates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its short name.
    pub id: String,
    /// When it was announced, or began.
    pub announced: Date,
    /// When goods stopped, or could.
    pub effective: Date,
    /// Who exports.
    pub exporter: String,
    /// Who imports; `*` for everybody.
    pub importer: String,
    /// The item's code or name as the source writes it.
    pub item: String,
    /// What was to be expected.
    pub expected: Expected,
    /// What it was, in words.
    pub what: String,
}

/// What an event does to a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// Less.
    Drop,
    /// More at first.
    Surge,
    /// Nothing: a rule that alarms is wrong.
    Nothing,
}

/// A run of alarms of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// The series.
    pub series: SeriesKey,
    /// What was judged.
    pub measure: Measure,
    /// Which way.
    pub direction: Direction,
    /// First month with an alarm.
    pub first: Month,
    /// Last month with an alarm.
    pub last: Month,
    /// Months with an alarm.
    pub months: usize,
    /// Farthest from the middle, in spreads.
    pub peak_z: f64,
    /// The day on which the first alarm would have been raised.
    pub raised: Date,
    /// The event that explains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
}

/// One month of a replay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MonthFigures {
    /// The month.
    pub month: Month,
    /// The day it was judged on.
    pub as_of: Date,
    /// Series judged.
    pub judged: usize,
    /// Series that drop.
    pub drops: usize,
    /// Series that surge.
    pub surges: usize,
    /// Series whose unit value falls.
    pub price_drops: usize,
    /// Series whose unit value rises.
    pub price_surges: usize,
    /// Share of the judged series beyond the rule's cuts below, before any correction, against the
    /// median of the months before as far as they were known.
    pub breadth_drop: f64,
    /// How many times its usual that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breadth_drop_times: Option<f64>,
    /// As above, upwards.
    pub breadth_surge: f64,
    /// How many times its usual that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breadth_surge_times: Option<f64>,
}

/// How an event was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// The event.
    pub event: String,
    /// What was to be expected.
    pub expected: Expected,
    /// Whether the rule did as it should: an alarm, or none.
    pub right: bool,
    /// The first alarm's month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub month: Option<Month>,
    /// Days from the announcement until the alarm was raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days_from_announcement: Option<i32>,
    /// Days from the physical stop until the alarm was raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days_from_stop: Option<i32>,
}

/// A rule's record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    /// The rule, as `name/version`.
    pub rule: String,
    /// First month judged.
    pub from: Month,
    /// Last month judged.
    pub to: Month,
    /// Month by month.
    pub months: Vec<MonthFigures>,
    /// All episodes, in order.
    pub episodes: Vec<Episode>,
    /// Listed events.
    pub detections: Vec<Detection>,
    /// Judged series-months, in years.
    pub series_years: f64,
    /// Share of judged series-months outside the windows of events that alarm, by quantity or by
    /// unit value.
    pub alarm_share: f64,
    /// Episodes per series and year outside the windows of events.
    pub episodes_per_series_year: f64,
    /// Alarms a month on a desk of 4,000 series, outside the windows of events.
    pub desk_alarms_per_month: f64,
}

impl Event {
    /// Whether an alarm is about the flow that the event touches, within its window.
    pub fn explains(&self, alarm: &Alarm) -> bool {
        self.touches(&alarm.series) && self.in_window(alarm.month)
    }

    fn touches(&self, key: &SeriesKey) -> bool {
        let (exporter, importer) = key.exporter_and_importer();
        **exporter == *self.exporter
            && (self.importer == "*" || **importer == *self.importer)
            && *key.item == *self.item
    }

    fn in_window(&self, month: Month) -> bool {
        Month::of(self.announced)
            .is_some_and(|announced| (0..=WINDOW_MONTHS).contains(&month.since(announced)))
    }

    /// Whether an alarm is what the event was to cause. Restrictions are often preceded by a surge,
    /// and that is an alarm in time as well. Where nothing is expected, any alarm is wrong.
    fn is_answered_by(&self, alarm: &Alarm) -> bool {
        let quantity = alarm.measure != Measure::UnitValue;
        match self.expected {
            Expected::Drop => quantity && alarm.direction == Direction::Drop,
            Expected::Surge => quantity,
            Expected::Nothing => true,
        }
    }
}

/// Replays a rule over months. `as_of` says on which day a month's numbers were released, `known`
/// gives the series as known on a day.
///
/// # Errors
/// Whatever `known` fails with.
pub fn replay<E>(
    rule: &Rule,
    (from, to): (Month, Month),
    events: &[Event],
    as_of: impl Fn(Month) -> Date,
    mut known: impl FnMut(Date) -> Result<Vec<Series>, E>,
) -> Result<Replay, E> {
    let mut months = Vec::new();
    let mut alarms: Vec<Alarm> = Vec::new();
    let mut judged_outside = 0.0_f64;
    for index in from.index()..=to.index() {
        let month = Month::from_index(index);
        let day = as_of(month);
        let series = known(day)?;
        let found = scan(&series, month, day, rule);
        let of = |price: bool, direction| {
            let of = |a: &&Alarm| (a.measure == Measure::UnitValue) == price && a.direction == direction;
            found.alarms.iter().filter(of).count()
        };
        let inside = series.iter().filter(|s| {
            s.at(month).is_some() && events.iter().any(|e| e.touches(&s.key) && e.in_window(month))
        });
        judged_outside += (found.judged.saturating_sub(inside.count())) as f64;
        months.push(MonthFigures {
            month,
            as_of: day,
            judged: found.judged,
            drops: of(false, Direction::Drop),
            surges: of(false, Direction::Surge),
            price_drops: of(true, Direction::Drop),
            price_surges: of(true, Direction::Surge),
            breadth_drop: found.breadth.drop.now,
            breadth_drop_times: found.breadth.drop.times,
            breadth_surge: found.breadth.surge.now,
            breadth_surge_times: found.breadth.surge.times,
        });
        alarms.extend(found.alarms);
    }
    let episodes = episodes(&alarms, events);
    // A month whose quantity and price alarm is one month of a series.
    let outside = alarms.iter().filter(|a| !events.iter().any(|e| e.explains(a)));
    let outside_alarms = outside.map(|a| (a.month, &a.series)).collect::<BTreeSet<_>>().len() as f64;
    let outside_episodes = episodes.iter().filter(|e| e.event.is_none()).count() as f64;
    let years = judged_outside / 12.0;
    let share = |part: f64, of: f64| if of > 0.0 { part / of } else { 0.0 };
    Ok(Replay {
        rule: rule.name(),
        from,
        to,
        detections: events.iter().map(|event| detection(event, &alarms)).collect(),
        episodes,
        series_years: years,
        alarm_share: share(outside_alarms, judged_outside),
        episodes_per_series_year: share(outside_episodes, years),
        desk_alarms_per_month: share(outside_alarms, judged_outside) * DESK_SERIES,
        months,
    })
}

fn detection(event: &Event, alarms: &[Alarm]) -> Detection {
    let first =
        alarms.iter().filter(|a| event.explains(a) && event.is_answered_by(a)).min_by_key(|a| a.month);
    let days = |from: Date| first.and_then(|a| Some(a.as_of.since(from).ok()?.get_days()));
    Detection {
        event: event.id.clone(),
        expected: event.expected,
        right: first.is_some() != (event.expected == Expected::Nothing),
        month: first.map(|a| a.month),
        days_from_announcement: days(event.announced),
        days_from_stop: days(event.effective),
    }
}

/// Merges alarms, given in order of months, into episodes.
pub fn episodes(alarms: &[Alarm], events: &[Event]) -> Vec<Episode> {
    let mut open: BTreeMap<(&SeriesKey, Measure, Direction), usize> = BTreeMap::new();
    let mut episodes: Vec<Episode> = Vec::new();
    for alarm in alarms {
        let key = (&alarm.series, alarm.measure, alarm.direction);
        let place = open.get(&key).and_then(|at| episodes.get_mut(*at));
        match place {
            Some(episode) if alarm.month.since(episode.last) <= EPISODE_GAP => {
                episode.last = alarm.month;
                episode.months += 1;
                if alarm.z.abs() > episode.peak_z.abs() {
                    episode.peak_z = alarm.z;
                }
            }
            _ => {
                open.insert(key, episodes.len());
                episodes.push(Episode {
                    series: alarm.series.clone(),
                    measure: alarm.measure,
                    direction: alarm.direction,
                    first: alarm.month,
                    last: alarm.month,
                    months: 1,
                    peak_z: alarm.z,
                    raised: alarm.as_of,
                    event: events.iter().find(|e| e.explains(alarm)).map(|e| e.id.clone()),
                });
            }
        }
    }
    episodes
}
