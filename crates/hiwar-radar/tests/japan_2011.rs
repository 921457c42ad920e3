//! Japan's exports by area and goods (e-Stat) around the earthquake of 11 March 2011: how many
//! series are out of line at once, and how often they are without an event.

#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

use std::path::Path;

use hiwar_radar::month::{Date, Month};
use hiwar_radar::scan::{Alarm, Cut, Direction, Lead, Measure, Rule, passes, scan};
use hiwar_radar::series::{Flow, Series};
use hiwar_radar::store::{Filter, Options, Store};

fn month(text: &str) -> Month {
    text.parse().unwrap()
}

/// All exports, also sums of others.
fn exports() -> Vec<Series> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../data/trade/japan-estat/japan_trade_area_goods_monthly_2009_01_2019_05.csv.gz");
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.import(&[path], &Options::received(Date::constant(2019, 7, 1))).unwrap();
    let filter = Filter { flow: Some(Flow::Export), ..Filter::default() };
    let all = store.series(Date::constant(2019, 7, 1), &filter).unwrap();
    all.collect::<Result<_, _>>().unwrap()
}

/// The series worth a thousand million yen in the median month: chosen with hindsight, as the
/// figures below were.
fn large(all: &[Series]) -> Vec<Series> {
    let median = |s: &Series| {
        let mut values: Vec<f64> = s.months.iter().flatten().filter_map(|o| o.value).collect();
        values.sort_by(f64::total_cmp);
        hiwar_radar::detect::robust::median(&values).unwrap_or(0.0)
    };
    all.iter().filter(|s| median(s) >= 1e9).cloned().collect()
}

/// The rule `yen-24` without its floor, with other cuts.
fn rule(z: f64, ratio: f64) -> Rule {
    let drop = Cut { z, ratio };
    Rule { drop, floor_per_month: 0.0, ..Rule::named("yen-24").unwrap() }
}

/// Judged series-months and those that drop, month by month.
fn drops(series: &[Series], rule: &Rule) -> Vec<(Month, usize, usize)> {
    let first = month("2011-01");
    let mut months: Vec<(Month, usize, usize)> = (0..101).map(|n| (first.plus(n), 0, 0)).collect();
    for one in series {
        let amounts: Vec<Option<f64>> = one.months.iter().map(|o| o.as_ref()?.value).collect();
        let scores = rule.scores(Measure::Value, one.first, &amounts, None);
        for (at, judged, drops) in &mut months {
            let place = usize::try_from(at.since(one.first)).ok().and_then(|n| scores.get(n).copied());
            let Some(score) = place.flatten() else { continue };
            *judged += 1;
            *drops += usize::from(passes(&score, rule) == Some(Direction::Drop));
        }
    }
    months
}

#[test]
fn alarm_months_without_an_event_are_as_rare_as_was_measured_and_april_2011_is_wide() {
    let series = large(&exports());
    assert_eq!(series.len(), 997);
    let quake = month("2011-03")..=month("2011-07");
    // Expected: computed with numpy 2 on the same series; 0.53 and 0.29 % are also the figures first
    // published for this file. Its 1.16 % for the widest cut was of series that we cannot tell.
    for (z, ratio, expected) in [(-3.0, 0.6, 1.229), (-4.0, 0.5, 0.527), (-5.0, 0.4, 0.295)] {
        let months = drops(&series, &rule(z, ratio));
        let outside = months.iter().filter(|(at, ..)| !quake.contains(at));
        let (judged, drops) = outside.fold((0, 0), |(j, d), (_, judged, drops)| (j + judged, d + drops));
        let percent = 100.0 * drops as f64 / judged as f64;
        assert!((percent - expected).abs() < 0.001, "z {z}: {percent}");
    }
    let months = drops(&series, &rule(-3.0, 0.6));
    let share = |at: &str| {
        let (_, judged, drops) = months.iter().find(|(m, ..)| *m == month(at)).unwrap();
        100.0 * *drops as f64 / *judged as f64
    };
    assert!((share("2011-04") - 10.47).abs() < 0.005, "{}", share("2011-04"));
    let mut all: Vec<f64> = months.iter().map(|(m, ..)| share(&m.to_string())).collect();
    all.sort_by(f64::total_cmp);
    let usual = hiwar_radar::detect::robust::median(&all).unwrap();
    assert!(
        (9.0..11.0).contains(&(share("2011-04") / usual)),
        "times the usual: {}",
        share("2011-04") / usual
    );
    // Floods in Thailand, autumn of 2011: wide, but a Lunar New Year in January is nearly as wide.
    // Nobody could tell the one from the other by breadth.
    for (at, expected) in [("2011-11", 3.63), ("2011-12", 2.03), ("2012-01", 5.45), ("2019-01", 4.49)] {
        assert!((share(at) - expected).abs() < 0.005, "{at}: {}", share(at));
    }
}

#[test]
fn a_scan_of_april_2011_says_how_wide_it_is_against_the_few_months_before() {
    // As of the day it was out: three months before can be judged, and the scan says so.
    let day = Date::constant(2011, 5, 28);
    let mut series = large(&exports());
    for one in &mut series {
        let known = one.released.iter().take_while(|r| r.is_some_and(|r| r <= day)).count();
        one.months.truncate(known);
        one.released.truncate(known);
    }
    let found = scan(&series, month("2011-04"), day, &rule(-3.0, 0.6));
    let breadth = found.breadth.drop;
    assert!((breadth.now - 0.1047).abs() < 5e-5 && breadth.months == 3, "{breadth}");
    assert!((9.0..12.0).contains(&breadth.times.unwrap()), "{breadth}");
    let of = |partner: &str| {
        let of = |a: &&Alarm| *a.series.item == *"MOTOR VEHICLES" && *a.series.partner == *partner;
        found.alarms.iter().find(of).unwrap()
    };
    // Computed with numpy 2.
    for (partner, z, ratio) in [("US", -7.386, 0.2661), ("KR", -7.766, 0.1692)] {
        let alarm = of(partner);
        assert!((alarm.z - z).abs() < 0.001 && (alarm.ratio - ratio).abs() < 5e-5, "{alarm}");
        assert_eq!((alarm.lead, alarm.unit.to_string().as_str()), (Some(Lead::L3), "JPY"));
        assert_eq!(alarm.released, Some(day));
        assert_eq!(alarm.history_released, Some(Date::constant(2011, 4, 28)));
    }
    let march = scan(&series, month("2011-03"), day, &rule(-3.0, 0.6));
    let quiet = |partner: &str| {
        march.alarms.iter().all(|a| *a.series.item != *"MOTOR VEHICLES" || *a.series.partner != *partner)
    };
    assert!(quiet("US") && quiet("KR"), "the month of the earthquake itself is not abnormal");
}

#[test]
fn sums_over_importers_are_far_from_normal_on_real_trade() {
    // The standard deviation would be 1 if importers were independent; 2.5 was measured on other tables.
    let day = Date::constant(2019, 7, 1);
    let found = scan(&large(&exports()), month("2016-05"), day, &rule(-4.0, 0.5));
    let pooled = found.pooled.unwrap();
    assert!(pooled.reference > 2_000 && (2.0..3.5).contains(&pooled.deviation), "{pooled:?}");
    assert!(pooled.low < -5.0 && pooled.high > 4.0, "a normal distribution has ±2.33: {pooled:?}");
    for pool in &pooled.standing_out {
        assert!(pool.s < pooled.low || pool.s > pooled.high, "{pool}");
    }
}
