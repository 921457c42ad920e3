//! The controls of July 2019 on Korea's own monthly imports, and e-Stat's tables of Japan: the
//! numbers that were measured on these files by other means.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where it goes wrong")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hiwar_radar::detect::cusum::{Cusum, Reference, Sums};
use hiwar_radar::month::{Date, Month};
use hiwar_radar::replay::{Event, Expected, replay};
use hiwar_radar::scan::{Direction, Rule, scan};
use hiwar_radar::series::{Flow, Observation, Series, SeriesKey, Unit};

fn month(text: &str) -> Month {
    text.parse().unwrap()
}

/// Korea's file, imports only.
fn korea() -> Vec<Series> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../data/trade/kcs-korea/korea_trade_hsk10_monthly_2000_2021.csv");
    let text = std::fs::read_to_string(path).unwrap();
    let mut rows: BTreeMap<(String, String), BTreeMap<Month, Observation>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let at = Month::new(cells[2].parse().unwrap(), cells[3].parse().unwrap()).unwrap();
        let (value, kg) = (cells[6].parse().ok(), cells[7].parse().ok());
        let key = (cells[0].to_owned(), cells[1].to_owned());
        rows.entry(key).or_default().insert(at, Observation { value, kg, quantity: None });
    }
    rows.into_iter()
        .map(|((item, partner), found)| {
            let first = *found.keys().next().unwrap();
            let last = *found.keys().next_back().unwrap();
            let months = (0..=last.since(first)).map(|n| found.get(&first.plus(n)).copied()).collect();
            let key = SeriesKey {
                source: "kcs".into(),
                reporter: "Korea".into(),
                partner: partner.into(),
                item: item.into(),
                flow: Flow::Import,
            };
            Series { key, unit: Unit::Usd, first, months, released: Vec::new() }
        })
        .collect()
}

fn find<'a>(all: &'a [Series], item: &str, partner: &str) -> &'a Series {
    all.iter().find(|s| *s.key.item == *item && *s.key.partner == *partner).unwrap()
}

/// The Korean customs service publishes a month on about the 15th of the next.
fn released(month: Month) -> Date {
    month.plus(1).first_day().checked_add(jiff::Span::new().days(14)).unwrap()
}

/// What was known on a day: months released by then.
fn known(all: &[Series], day: Date) -> Vec<Series> {
    all.iter()
        .filter_map(|s| {
            let count = (0..s.months.len()).filter(|n| released(s.first.plus(*n as i32)) <= day).count();
            let months = s.months[..count].to_vec();
            (count > 0).then(|| Series { months, ..s.clone() })
        })
        .collect()
}

fn event(id: &str, item: &str, expected: Expected) -> Event {
    Event {
        id: id.into(),
        announced: Date::constant(2019, 7, 1),
        effective: Date::constant(2019, 7, 4),
        exporter: "Japan".into(),
        importer: "Korea".into(),
        item: item.into(),
        expected,
        what: "export licensing".into(),
    }
}

#[test]
fn cumulative_sums_of_hydrogen_fluoride_cross_in_july_2019_and_not_before() {
    let all = korea();
    let fluoride = find(&all, "2811111000", "Japan");
    let y = |m: Month| (fluoride.at(m).unwrap().kg.unwrap() + 1000.0).ln();
    let base: Vec<f64> = (0..36).map(|n| y(month("2016-01").plus(n))).collect();
    let reference = Reference::of(&base, 0.0).unwrap();
    let rule = Cusum::default();
    let mut sums = Sums::default();
    for (at, z, down) in [
        ("2018-10", None, 0.0),
        ("2018-11", None, 0.0),
        ("2018-12", None, 0.0),
        ("2019-01", None, 0.0),
        ("2019-02", None, 0.0),
        ("2019-03", None, 0.0),
        ("2019-04", None, 0.0),
        ("2019-05", None, 0.0),
        ("2019-06", None, 0.0),
        ("2019-07", Some(-6.72), 6.22),
        ("2019-08", Some(-33.33), 39.05),
    ] {
        let x = reference.standardise(y(month(at)));
        sums = rule.step(sums, x);
        assert!(z.is_none_or(|z: f64| (x - z).abs() < 0.005), "{at}: {x}");
        assert!((sums.down - down).abs() < 0.005, "{at}: {sums:?}");
        assert_eq!(rule.alarms(sums) && sums.down > rule.h, down > 5.0, "{at}");
    }
}

#[test]
fn the_first_drop_of_hydrogen_fluoride_ever_is_july_2019_and_photoresist_surges_then() {
    let all = korea();
    let rule = Rule::named("robust-36").unwrap();
    let events = [
        event("hydrogen fluoride", "2811111000", Expected::Drop),
        event("photoresist", "3707901010", Expected::Surge),
    ];
    let done = replay::<()>(&rule, (month("2003-01"), month("2021-12")), &events, released, |day| {
        Ok(known(&all, day))
    })
    .unwrap();
    let of = |item: &str, direction: Direction| {
        let of = done.episodes.iter().filter(move |e| {
            *e.series.item == *item && *e.series.partner == *"Japan" && e.direction == direction
        });
        of.collect::<Vec<_>>()
    };
    // Expected figures: measured on this file with another implementation.
    let drops = of("2811111000", Direction::Drop);
    assert_eq!(drops.len(), 1);
    assert_eq!((drops[0].first, drops[0].last, drops[0].months), (month("2019-07"), month("2020-11"), 17));
    assert_eq!(drops[0].raised, Date::constant(2019, 8, 15));
    let surges = of("2811111000", Direction::Surge);
    assert_eq!(surges.iter().map(|e| e.first).collect::<Vec<_>>(), [month("2006-12")]);
    assert_eq!(of("3707901010", Direction::Drop), Vec::<&_>::new());
    let surges = of("3707901010", Direction::Surge);
    assert_eq!(surges.iter().map(|e| e.first).collect::<Vec<_>>(), [month("2019-07")]);
    for found in &done.detections {
        assert!(found.right, "{found:?}");
        assert_eq!((found.month, found.days_from_announcement), (Some(month("2019-07")), Some(45)));
        assert_eq!(found.days_from_stop, Some(42));
    }
    let july =
        scan(&known(&all, released(month("2019-07"))), month("2019-07"), released(month("2019-07")), &rule);
    let of =
        |item: &str| july.alarms.iter().find(|a| *a.series.item == *item && *a.series.partner == *"Japan");
    let fluoride = of("2811111000").unwrap();
    assert!((fluoride.z - -8.5).abs() < 0.05 && (fluoride.ratio - 0.18).abs() < 0.005, "{fluoride}");
    assert!(fluoride.new_regime > 0.4 && fluoride.cusum_down > 5.0, "{fluoride:?}");
    let resist = of("3707901010").unwrap();
    assert!((resist.z - 4.9).abs() < 0.05 && (resist.ratio - 1.85).abs() < 0.005, "{resist}");
}

#[test]
fn months_that_are_not_released_yet_are_not_zero() {
    let all = korea();
    let rule = Rule::named("robust-36").unwrap();
    let day = Date::constant(2022, 3, 1);
    let found = scan(&known(&all, day), month("2021-12"), day, &rule);
    for item in ["2811111000", "3707901010", "8542321010"] {
        assert!(found.alarms.iter().all(|a| *a.series.item != *item), "{item}: not reported, so silent");
    }
    assert!(found.unjudged.values().sum::<usize>() > 0);
}

#[test]
fn what_is_released_later_changes_no_judgement() {
    let all = korea();
    let rule = Rule::named("screen").unwrap();
    let at = month("2019-07");
    let before = scan(&known(&all, released(at)), at, released(at), &rule);
    let mut turned = all.clone();
    for series in &mut turned {
        let first = series.first;
        for (n, place) in series.months.iter_mut().enumerate() {
            if released(first.plus(n as i32)) > released(at) {
                *place = Some(Observation { value: Some(1e12), kg: Some(n as f64), quantity: None });
            }
        }
    }
    assert_eq!(scan(&known(&turned, released(at)), at, released(at), &rule), before);
    let unused: Arc<str> = "kcs".into();
    assert!(before.alarms.iter().all(|a| a.series.source == unused));
}
