//! The controls of July 2019 on Korea's own monthly imports, and e-Stat's tables of Japan: the
//! numbers that were measured on these files by other means.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where it goes wrong")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hiwar_radar::detect::cusum::{Cusum, Reference, Sums};
use hiwar_radar::detect::stl;
use hiwar_radar::month::{Date, Month};
use hiwar_radar::replay::{Event, Expected, replay};
use hiwar_radar::scan::{Alarm, Direction, Kind, Lead, Measure, Rule, Scan, scan};
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

/// A month of the imports, judged on the day it was released.
fn screened(all: &[Series], rule: &str, at: &str) -> Scan {
    let day = released(month(at));
    scan(&known(all, day), month(at), day, &Rule::named(rule).unwrap())
}

fn alarm_of<'a>(found: &'a Scan, item: &str, partner: &str, measure: Measure) -> Option<&'a Alarm> {
    let of = |a: &&Alarm| *a.series.item == *item && *a.series.partner == *partner && a.measure == measure;
    found.alarms.iter().find(of)
}

#[test]
fn months_that_are_not_released_yet_are_not_zero() {
    let all = korea();
    let day = Date::constant(2022, 3, 1);
    for rule in Rule::shipped().iter().filter(|r| !r.id.starts_with("yen")) {
        let found = scan(&known(&all, day), month("2021-12"), day, rule);
        for item in ["2811111000", "3707901010", "8542321010"] {
            let silent = found.alarms.iter().all(|a| *a.series.item != *item);
            assert!(silent, "{}: {item} is not reported, so silent", rule.name());
        }
        assert!(found.judged > 0 && found.unjudged.values().sum::<usize>() > 0, "{}", rule.name());
    }
}

#[test]
fn hydrogen_fluoride_never_dropped_in_198_months_and_then_for_17_months_in_a_row() {
    let all = korea();
    let fluoride: Vec<Series> = vec![find(&all, "2811111000", "Japan").clone()];
    let (first, control) = (month("2003-01"), month("2019-07"));
    for at in (0..198).map(|n| first.plus(n)) {
        let found = screened(&fluoride, "robust-36", &at.to_string());
        assert_eq!(found.judged, 1, "{at}");
        assert!(found.alarms.iter().all(|a| a.direction == Direction::Surge), "{at}");
    }
    for n in 0..17 {
        let at = control.plus(n);
        let found = screened(&fluoride, "robust-36", &at.to_string());
        let alarm = alarm_of(&found, "2811111000", "Japan", Measure::Weight).unwrap();
        assert_eq!((alarm.direction, alarm.since), (Direction::Drop, control), "{at}");
        assert_eq!(alarm.lead, (n == 0).then_some(Lead::L2), "only the first month is the first");
    }
    assert_eq!(screened(&fluoride, "robust-36", "2020-12").alarms, [], "the new level has become usual");
}

#[test]
fn in_july_2019_the_price_is_as_usual_and_the_surge_of_photoresist_is_an_early_sign() {
    let all = korea();
    let found = screened(&all, "price-36", "2019-07");
    // Prices: computed from the file with numpy 2.
    let fluoride = alarm_of(&found, "2811111000", "Japan", Measure::Weight).unwrap();
    let price = fluoride.beside.unwrap();
    assert_eq!((fluoride.kind, price.measure), (Kind::Quantity, Measure::UnitValue));
    assert!((price.amount - 1.81384).abs() < 1e-5 && (price.middle - 1.48586).abs() < 1e-5, "{price:?}");
    assert!((price.z - 1.1600).abs() < 1e-4, "{price:?}");
    let resist = alarm_of(&found, "3707901010", "Japan", Measure::Weight).unwrap();
    assert_eq!((resist.lead, resist.since), (Some(Lead::L1), month("2019-07")));
    assert!(resist.to_string().contains("kg") && found.judged_unit_values > 0);
}

#[test]
fn quartz_from_germany_in_june_2021_is_distress_less_at_a_higher_price() {
    let all = korea();
    let found = screened(&all, "price-36", "2021-06");
    let weight = alarm_of(&found, "7002311000", "Germany", Measure::Weight).unwrap();
    let price = alarm_of(&found, "7002311000", "Germany", Measure::UnitValue).unwrap();
    assert_eq!((weight.kind, price.kind), (Kind::Distress, Kind::Distress));
    assert_eq!((weight.direction, price.direction), (Direction::Drop, Direction::Surge));
    assert_eq!((weight.beside.unwrap().z, price.beside.unwrap().z), (price.z, weight.z));
    assert!(price.to_string().contains("USD per kg"), "{price}");
    let quiet = screened(&all, "robust-36", "2021-06");
    assert_eq!(alarm_of(&quiet, "7002311000", "Germany", Measure::UnitValue), None, "it judges quantities");
    let same = alarm_of(&quiet, "7002311000", "Germany", Measure::Weight).unwrap();
    assert_eq!((same.z, same.kind), (weight.z, Kind::Distress), "but looks at the price beside");
}

/// `ln(kg + 1)` of hydrogen fluoride from Japan, 2010-01 to 2019-06.
fn logs() -> Vec<f64> {
    let all = korea();
    let fluoride = find(&all, "2811111000", "Japan");
    (0..114).map(|n| (fluoride.at(month("2010-01").plus(n)).unwrap().kg.unwrap() + 1.0).ln()).collect()
}

#[test]
fn the_decomposition_is_that_of_statsmodels() {
    // statsmodels 0.15.0: STL(y, period=12, seasonal=…, robust=True).fit(inner_iter=1, outer_iter=5),
    // as seasonal, month, trend, season, remainder.
    let expected = [
        (7, 0, 13.938_548_421, -0.160_710_795, 0.030_453_938),
        (7, 1, 13.962_924_138, -0.074_804_317, 0.026_782_575),
        (7, 40, 14.677_777_157, 0.004_924_509, 0.090_794_582),
        (7, 66, 14.503_574_723, 0.085_417_253, 0.045_915_520),
        (7, 100, 14.959_273_889, -0.162_758_978, -0.003_862_766),
        (7, 113, 14.952_778_933, 0.007_961_569, -0.037_984_694),
        (13, 0, 13.933_876_491, -0.248_520_582, 0.122_935_655),
        (13, 1, 13.958_176_335, -0.077_808_314, 0.034_534_375),
        (13, 40, 14.676_581_521, -0.065_183_151, 0.162_097_878),
        (13, 66, 14.486_469_262, -0.003_763_723, 0.152_201_958),
        (13, 100, 14.970_871_931, -0.144_775_704, -0.033_444_083),
        (13, 113, 14.934_718_195, 0.020_826_883, -0.032_789_269),
    ];
    let logs = logs();
    for (seasonal, t, trend, season, remainder) in expected {
        let parts = stl::decompose(&logs, seasonal).unwrap();
        for (found, wanted) in
            [(parts.trend[t], trend), (parts.season[t], season), (parts.remainder[t], remainder)]
        {
            assert!((found - wanted).abs() < 1e-6, "{seasonal} {t}: {found} {wanted}");
        }
    }
}

#[test]
fn seasonal_baselines_call_july_2019_too_and_the_months_before_quiet() {
    let all = korea();
    let fluoride = find(&all, "2811111000", "Japan");
    let amounts: Vec<Option<f64>> = fluoride.months.iter().map(|o| o.as_ref()?.kg).collect();
    // z and ratio by statsmodels 0.15.0 and numpy 2, each month from the months before it only.
    for (rule, expected) in [
        (
            "stl-13",
            [
                ("2018-06", -0.2771, 0.9293),
                ("2019-05", -0.6073, 0.8932),
                ("2019-06", -0.5388, 0.9033),
                ("2019-07", -8.6083, 0.1969),
            ],
        ),
        (
            "seasonal-9",
            [
                ("2018-06", 1.3885, 1.4667),
                ("2019-06", 0.4930, 1.2169),
                ("2019-07", -4.0430, 0.1998),
                ("2019-08", -36.0840, 0.0),
            ],
        ),
    ] {
        let rule = Rule::named(rule).unwrap();
        for (at, z, ratio) in expected {
            let count = usize::try_from(month(at).since(fluoride.first)).unwrap() + 1;
            let scores = rule.scores(Measure::Weight, fluoride.first, &amounts[..count], None);
            let score = scores.last().unwrap().unwrap();
            assert!((score.z - z).abs() < 2e-3, "{} {at}: {score:?}", rule.id);
            assert!((score.ratio - ratio).abs() < 1e-3, "{} {at}: {score:?}", rule.id);
        }
        let found = screened(&all, &rule.id, "2019-07");
        let alarm = alarm_of(&found, "2811111000", "Japan", Measure::Weight).unwrap();
        assert_eq!((alarm.direction, alarm.lead), (Direction::Drop, Some(Lead::L2)));
        assert_eq!(
            alarm_of(&screened(&all, &rule.id, "2019-06"), "2811111000", "Japan", Measure::Weight),
            None
        );
    }
}

#[test]
fn the_default_rule_sees_both_cases_of_july_2019_where_the_correction_for_many_tests_would_silence_them() {
    let all = korea();
    let found = screened(&all, "screen", "2019-07");
    let way = |found: &Scan, item| alarm_of(found, item, "Japan", Measure::Weight).map(|a| a.direction);
    assert_eq!(way(&found, "2811111000"), Some(Direction::Drop));
    assert_eq!(way(&found, "3707901010"), Some(Direction::Surge));
    assert_eq!(way(&found, "3818001000"), None, "wafers are the control");
    let silenced = screened(&all, "screen/2", "2019-07");
    assert!(silenced.alarms.len() < found.alarms.len());
    for alarm in &found.alarms {
        let stands = alarm.q.is_none_or(|q| q <= 0.1);
        let raised = alarm_of(&silenced, &alarm.series.item, &alarm.series.partner, alarm.measure).is_some();
        assert_eq!(stands, raised, "{alarm}");
    }
}

#[test]
fn what_is_released_later_changes_no_judgement() {
    let all = korea();
    let at = month("2019-07");
    let mut turned = all.clone();
    for series in &mut turned {
        let first = series.first;
        for (n, place) in series.months.iter_mut().enumerate() {
            if released(first.plus(n as i32)) > released(at) {
                *place = Some(Observation { value: Some(1e12), kg: Some(n as f64), quantity: None });
            }
        }
    }
    for rule in ["screen", "price-36", "seasonal-9", "stl-13"] {
        let rule = Rule::named(rule).unwrap();
        let before = scan(&known(&all, released(at)), at, released(at), &rule);
        assert_eq!(scan(&known(&turned, released(at)), at, released(at), &rule), before, "{}", rule.id);
        let kcs: Arc<str> = "kcs".into();
        assert!(!before.alarms.is_empty() && before.alarms.iter().all(|a| a.series.source == kcs));
    }
}
