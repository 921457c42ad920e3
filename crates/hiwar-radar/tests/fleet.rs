//! Many series at once say what they say one by one.

use hiwar_radar::month::{Date, Month};
use hiwar_radar::scan::fleet::Fleet;
use hiwar_radar::scan::{Rule, scan};
use hiwar_radar::series::{Flow, Observation, Series, SeriesKey, Unit};

/// A number between 0 and 1 that depends on its place only.
fn noise(series: usize, month: usize) -> f64 {
    let mut x = (series as u64) << 32 | month as u64;
    for _ in 0..3 {
        x = (x ^ (x >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x1234_5678_9ABC_DEF1);
    }
    (x >> 11) as f64 / (1u64 << 53) as f64
}

fn amount(series: usize, month: usize) -> f64 {
    let event = if series % 17 == 3 && month == 99 { 0.02 } else { 1.0 };
    1e5 * (1.0 + series as f64) * (0.5 * (noise(series, month) - 0.5)).exp() * event
}

#[test]
fn a_new_month_of_a_fleet_says_what_a_scan_says_of_each_series() {
    let rule = Rule::named("robust-36").unwrap();
    let (count, months) = (200, 100);
    let classes: Vec<u16> = (0..count).map(|s| s as u16 % 3).collect();
    let pools: Vec<u32> = (0..count).map(|s| s as u32 / 4).collect();
    let mut fleet = Fleet::rebuild(&rule, classes, pools, months, 2, |series, out| {
        out.extend((0..months - 1).map(|m| amount(series, m)));
    });
    let last: Vec<f64> = (0..count).map(|s| amount(s, months - 1)).collect();
    let found = fleet.month(&last, 2);
    let first: Month = "2010-01".parse().unwrap();
    let at = first.plus(months as i32 - 1);
    let series: Vec<Series> = (0..count)
        .map(|s| Series {
            key: SeriesKey {
                source: "test".into(),
                reporter: "A".into(),
                partner: "B".into(),
                item: format!("{s:06}").into(),
                flow: Flow::Import,
            },
            unit: Unit::Usd,
            first,
            released: Vec::new(),
            months: (0..months)
                .map(|m| Some(Observation { kg: Some(amount(s, m)), ..Default::default() }))
                .collect(),
        })
        .collect();
    let one_by_one = scan(&series, at, Date::constant(2018, 5, 15), &rule);
    assert_eq!(found.judged, one_by_one.judged);
    assert_eq!(found.alarms.len(), one_by_one.alarms.len());
    assert!(found.alarms.len() >= 11, "{}", found.alarms.len());
    for alarm in &found.alarms {
        let name = format!("{:06}", alarm.series);
        let same = one_by_one.alarms.iter().find(|a| *a.series.item == *name).unwrap();
        assert_eq!((alarm.score.z, alarm.score.ratio), (same.z, same.ratio), "{name}");
        assert_eq!((alarm.sums.down, alarm.new_regime), (same.cusum_down, same.new_regime), "{name}");
    }
    assert_eq!(found.pooled.len(), count.div_ceil(4));
    let pooled = found.pooled.get(&0).unwrap();
    assert!(*pooled < -5.0, "the drop of series 3 shows in its pool: {pooled}");
}
