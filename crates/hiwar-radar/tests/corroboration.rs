//! Two nodes compare what they see: what each learns, and what cannot be read from the exchange.

#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

use hiwar_radar::corroborate::{Finding, Sight, answer, claims, question};
use hiwar_radar::month::{Date, Month};
use hiwar_radar::scan::{Rule, Scan, scan};
use hiwar_radar::series::{Flow, Observation, Series, SeriesKey, Unit};

const DAY: Date = Date::constant(2019, 8, 15);

fn at() -> Month {
    "2019-07".parse().unwrap()
}

/// Four quiet years of a flow of about `usual` kg, then `last` in July 2019.
fn flow(reporter: &str, partner: &str, item: &str, flow: Flow, usual: f64, last: f64) -> Series {
    let first = at().plus(-48);
    let kg = |n: i32| usual * (1.0 + 0.1 * f64::from(n % 5 - 2));
    let months =
        (0..48).map(kg).chain([last]).map(|kg| Some(Observation { kg: Some(kg), ..Default::default() }));
    let key = SeriesKey {
        source: "test".into(),
        reporter: reporter.into(),
        partner: partner.into(),
        item: item.into(),
        flow,
    };
    Series { key, unit: Unit::Usd, first, months: months.collect(), released: Vec::new() }
}

fn screened(series: &[Series]) -> (Scan, Sight) {
    let found = scan(series, at(), DAY, &Rule::named("robust-36").unwrap());
    let mut sight = Sight::default();
    sight.add(at(), series.iter().map(|s| &s.key), &found.alarms);
    (found, sight)
}

#[test]
fn joint_mirror_and_contrast_are_told_apart() {
    let (korea, _) = screened(&[
        flow("KR", "JP", "2811111000", Flow::Import, 3e6, 5e5),
        flow("KR", "JP", "3818001000", Flow::Import, 3e5, 1e4),
        flow("KR", "CN", "2504101000", Flow::Import, 3e6, 1e7),
        flow("KR", "BE", "3707901010", Flow::Import, 1e4, 9e4),
    ]);
    let asked = question("KR", &korea.alarms);
    assert_eq!(asked.claims.len(), 4);
    // Japan exports the first two, imports the third as well, and does not import the fourth.
    let (_, japan) = screened(&[
        flow("JP", "KR", "281111000", Flow::Export, 3e6, 5e5),
        flow("JP", "KR", "381800100", Flow::Export, 3e5, 3e5),
        flow("JP", "CN", "250410000", Flow::Import, 2e6, 9e6),
    ]);
    let told = answer(&asked, "JP", DAY, &japan).unwrap();
    let of = |item: &str| told.answers.iter().find(|a| *a.subject.item == *item).unwrap().finding;
    assert_eq!(of("281111"), Finding::Mirror);
    assert_eq!(of("381800"), Finding::Unknown, "an exporter that sees nothing says nothing");
    assert_eq!(of("250410"), Finding::Joint);
    assert_eq!(of("370790"), Finding::Unknown);
    // Taiwan buys hydrogen fluoride from Japan too, as always.
    let (_, taiwan) = screened(&[flow("TW", "JP", "28111100", Flow::Import, 4e6, 4e6)]);
    let told = answer(&asked, "TW", DAY, &taiwan).unwrap();
    let fluoride = told.answers.iter().find(|a| *a.subject.item == *"281111").unwrap();
    assert_eq!((fluoride.finding, fluoride.strength), (Finding::Contrast, None));
}

#[test]
fn volumes_cannot_be_read_from_the_exchange() {
    // Flows whose volumes differ a million times, and whose course is the same, say the same.
    let exchange = |scale: f64| {
        let korea = [
            flow("KR", "JP", "2811111000", Flow::Import, 3.0 * scale, 0.5 * scale),
            flow("KR", "CN", "2504101000", Flow::Import, 3.0 * scale, 12.0 * scale),
        ];
        let (korea, _) = screened(&korea);
        let (_, japan) = screened(&[flow("JP", "KR", "281111000", Flow::Export, 7.0 * scale, scale)]);
        let asked = question("KR", &korea.alarms);
        let told = answer(&asked, "JP", DAY, &japan).unwrap();
        (serde_json::to_string(&asked).unwrap(), serde_json::to_string(&told).unwrap())
    };
    let (asked, told) = exchange(1e6);
    assert_eq!((asked.clone(), told.clone()), exchange(1e12));
    // Nor by how far exactly: within a class of strength the bytes are the same.
    let claim = |last: f64| {
        let (found, _) = screened(&[flow("KR", "JP", "2811111000", Flow::Import, 3e6, last)]);
        serde_json::to_string(&claims(&found.alarms)).unwrap()
    };
    assert_eq!(claim(1e5), claim(2e4), "both are extreme");
    for text in [&asked, &told] {
        let digits: Vec<&str> = text.split(|c: char| !c.is_ascii_digit()).filter(|d| !d.is_empty()).collect();
        let known = ["281111", "250410", "2019", "07", "08", "15", "1"];
        assert!(digits.iter().all(|d| known.contains(d)), "{text}");
    }
}
