use std::io::Read;

use super::super::Needs;
use super::*;
use crate::series::{Observation, SeriesKey};

const KCS: &str = include_str!("../../../../../data/trade/kcs-korea/korea_trade_hsk10_monthly_2000_2021.csv");
const CROPS: &[u8] =
    include_bytes!("../../../../../data/trade/faostat/crop_trade_bilateral_2012_2022.csv.gz");
const HF: &str = "2811111000";
const RESIST: &str = "3707901010";
const WAFERS: &str = "3818001000";
const QUARTZ: &str = "7002311000";

/// Both flows of every item and country, from January 2000 to the last month that the file has of
/// the item.
fn korea() -> Vec<Series> {
    let mut months: BTreeMap<(&str, &str, Flow), BTreeMap<Month, Observation>> = BTreeMap::new();
    let mut last: BTreeMap<&str, Month> = BTreeMap::new();
    for line in KCS.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [item, country, year, month, exports, exports_kg, imports, imports_kg] = fields[..] else {
            panic!()
        };
        let month = Month::new(year.parse().unwrap(), month.parse().unwrap()).unwrap();
        let known = last.entry(item).or_insert(month);
        *known = month.max(*known);
        for (flow, value, kg) in [(Flow::Import, imports, imports_kg), (Flow::Export, exports, exports_kg)] {
            let (value, kg) = (value.parse().ok(), kg.parse().ok());
            assert!(value.is_some() && kg.is_some());
            months
                .entry((item, country, flow))
                .or_default()
                .insert(month, Observation { value, kg, quantity: None });
        }
    }
    let first = Month::new(2000, 1).unwrap();
    let series = |((item, country, flow), seen): (_, BTreeMap<Month, Observation>)| {
        let key = SeriesKey {
            source: "kcs".into(),
            reporter: "KR".into(),
            partner: Arc::from(country),
            item: Arc::from(item),
            flow,
        };
        let end = last[item].since(first);
        // A month without a row is one without trade, up to the last month of the item.
        let months =
            (0..=end).map(|at| Some(seen.get(&first.plus(at)).copied().unwrap_or_default())).collect();
        Series { key, unit: Unit::Usd, first, months, released: Vec::new() }
    };
    months.into_iter().map(series).collect()
}

fn book(year: u16, world: Option<&WorldHhi>, bloc: Option<&BTreeSet<String>>) -> Book {
    let rules = RulePack::built_in().unwrap();
    let as_of = "2022-01-15".parse().unwrap();
    let request = Request { reporter: "KR", year, as_of, unit: Unit::Usd, rules: &rules, world, bloc };
    Book::make(Annual::from_series(&korea()).unwrap(), &request).unwrap()
}

fn near(found: f64, expected: f64, decimals: i32) {
    assert!((found - expected).abs() <= 0.501 * 10f64.powi(-decimals), "{found} is not {expected}");
}

/// Item, year, USD million, top partner, its share, HHI by value, by weight, imports over exports.
/// Not a number: not stated by the reference.
const NAN: f64 = f64::NAN;
type Measured = (&'static str, u16, f64, &'static str, f64, f64, f64, f64);
const MEASURED: &[Measured] = &[
    (HF, 2016, NAN, "Japan", 0.499, 0.496, NAN, 5.8),
    (HF, 2017, NAN, "China", 0.517, 0.489, NAN, 6.5),
    (HF, 2018, 159.4, "China", 0.520, 0.450, NAN, 10.14),
    (HF, 2019, NAN, "China", NAN, 0.388, NAN, NAN),
    (HF, 2020, NAN, "China", 0.749, 0.589, NAN, NAN),
    (RESIST, 2016, NAN, "Japan", 0.929, 0.868, NAN, 3.6),
    (RESIST, 2017, NAN, "Japan", 0.909, 0.831, NAN, NAN),
    (RESIST, 2018, 320.7, "Japan", 0.932, 0.872, NAN, 4.24),
    (RESIST, 2019, NAN, "Japan", 0.883, 0.786, NAN, NAN),
    (RESIST, 2020, NAN, "Japan", 0.865, 0.758, NAN, NAN),
    (RESIST, 2021, NAN, "Japan", 0.800, 0.666, NAN, NAN),
    (WAFERS, 2016, NAN, "Japan", NAN, 0.245, 0.440, NAN),
    (WAFERS, 2017, NAN, "Japan", NAN, 0.285, NAN, NAN),
    (WAFERS, 2018, 1606.8, "Japan", 0.528, 0.327, NAN, 2.15),
    (QUARTZ, 2018, 12.7, "USA", 0.491, 0.328, NAN, 27.43),
];

#[test]
fn koreas_books_hold_the_measured_numbers() {
    for (item, year, millions, top, share, hhi, weight_hhi, ratio) in MEASURED {
        let book = book(*year, None, None);
        let entry = book.entry(item).unwrap();
        let stated = |expected: &f64, found: f64, decimals| {
            if !expected.is_nan() {
                near(found, *expected, decimals);
            }
        };
        assert_eq!(
            (entry.by_value.basis, &*entry.by_value.top_partner),
            (Basis::Value, *top),
            "{item} {year}"
        );
        stated(millions, entry.by_value.total / 1e6, 1);
        // .7485 is rounded up by the reference, .5205 down.
        stated(share, (entry.by_value.top_share * 1e3).round_ties_even() / 1e3, 2);
        stated(hhi, entry.by_value.hhi, 3);
        stated(weight_hhi, entry.by_weight.as_ref().unwrap().hhi, 3);
        stated(
            ratio,
            entry.ratio.unwrap(),
            if *ratio < 10.0 && (ratio * 10.0).fract() == 0.0 { 1 } else { 2 },
        );
        assert!(entry.weight_is_whole);
        assert_eq!(entry.by_weight.as_ref().unwrap().basis, Basis::Weight);
        assert_eq!(entry.months, if *year == 2021 { 11 } else { 12 });
    }
}

#[test]
fn shares_of_single_partners_are_the_measured_ones() {
    let all = Annual::from_series(&korea()).unwrap();
    let share = |item: &str, year, partner: &str| {
        let of = |name: Option<&str>| -> f64 {
            let rows = all.iter().filter(|a| &*a.item == item && a.year == year);
            rows.filter(|a| name.is_none_or(|name| &*a.partner == name)).map(|a| a.import_value).sum()
        };
        (of(Some(partner)), of(Some(partner)) / of(None))
    };
    for (year, usd) in [(2018, 66_856_769.0), (2019, 36_335_322.0), (2020, 9_375_581.0)] {
        assert_eq!(share(HF, year, "Japan").0, usd);
    }
    for (item, year, partner, expected) in [
        (HF, 2016, "Japan", 0.499),
        (HF, 2017, "Japan", 0.471),
        (HF, 2018, "Japan", 0.419),
        (RESIST, 2018, "Belgium", 0.008),
        (RESIST, 2021, "Belgium", 0.153),
    ] {
        near(share(item, year, partner).1, expected, 3);
    }
}

#[test]
fn without_world_trade_a_book_says_so() {
    let world = Verdict::Unknown(Needs::WorldTrade);
    let book = book(2018, None, None);
    for item in [HF, RESIST] {
        let found = book.entry(item).unwrap().geodep;
        assert_eq!((found.c1, found.c2, found.c3, found.c4), (Verdict::Yes, world, Verdict::Yes, world));
    }
    // Wafers are below 0.4: a threshold there does not flag them, whatever the world.
    let wafers = book.entry(WAFERS).unwrap();
    assert_eq!((wafers.geodep.c1, wafers.geodep.c2, wafers.geodep.c4), (Verdict::No, world, Verdict::No));
    // Memory chips: concentrated, and exported more than imported.
    let chips = book.entry("8542321010").unwrap();
    assert_eq!((chips.geodep.c1, chips.geodep.c3, chips.geodep.c4), (Verdict::Yes, Verdict::No, Verdict::No));
    assert_eq!(book.entry(HF).unwrap().cdi.cdi2, Verdict::Unknown(Needs::BlocPartners));
    let json = serde_json::to_value(&book).unwrap();
    assert_eq!(json["rules"]["id"], "hiwar-structure");
    assert_eq!(json["entries"][0]["item"], RESIST);
    assert_eq!(json["entries"][0]["geodep"]["c2"]["unknown"], "world-trade");
    assert_eq!(serde_json::from_value::<Book>(json).unwrap(), book);
    assert!(book.entries.is_sorted_by(|a, b| a.by_value.hhi >= b.by_value.hhi));
}

#[test]
fn world_trade_and_a_bloc_decide() {
    let mut world = WorldHhi::default();
    for year in 2016..=2018 {
        world.insert("281111", year, 0.45);
        world.insert(RESIST, year, 0.39);
    }
    let none = BTreeSet::new();
    let book = book(2018, Some(&world), Some(&none));
    let hf = book.entry(HF).unwrap();
    assert_eq!((hf.geodep.c2, hf.geodep.c4, hf.cdi.dependent), (Verdict::Yes, Verdict::Yes, Verdict::Yes));
    assert_eq!(hf.world_item.as_deref(), Some("281111"));
    let resist = book.entry(RESIST).unwrap();
    assert_eq!((resist.geodep.c2, resist.geodep.c4), (Verdict::No, Verdict::No));
    assert_eq!(resist.world_item.as_deref(), Some(RESIST));
}

#[test]
fn churn_says_what_entered_and_left() {
    let old = book(2018, None, None);
    let new = book(2021, None, None);
    let churn = Churn::between(&old, &new).unwrap();
    let items = |changes: &[Change]| changes.iter().map(|change| change.item.to_string()).collect::<Vec<_>>();
    // Of the HHIs of hydrogen fluoride, 2019's alone is below 0.4.
    assert_eq!(items(&churn.stayed), [HF, RESIST]);
    assert!(churn.entered.is_empty() && churn.left.is_empty());
    let quartz = book(2002, None, None);
    let churn = Churn::between(&quartz, &new).unwrap();
    let all: BTreeSet<String> =
        [&churn.entered, &churn.stayed].into_iter().flat_map(|list| items(list)).collect();
    assert_eq!(all.into_iter().collect::<Vec<_>>(), [HF, RESIST]);
    let japan = Book { reporter: "JP".to_owned(), ..new.clone() };
    assert!(Churn::between(&old, &japan).unwrap_err().to_string().contains("KR"));
    let mut less = old.clone();
    less.entries.retain(|entry| &*entry.item != HF);
    let change = |old, new| vec![Change { item: HF.into(), old, new }];
    let world = Some(Verdict::Unknown(Needs::WorldTrade));
    assert_eq!(Churn::between(&old, &less).unwrap().left, change(world, None));
    assert_eq!(Churn::between(&less, &old).unwrap().entered, change(None, world));
}

#[test]
fn annual_sums_keep_what_is_not_known() {
    let key = |flow| SeriesKey {
        source: "s".into(),
        reporter: "KR".into(),
        partner: "JP".into(),
        item: "1".into(),
        flow,
    };
    let seen = |value, kg| Some(Observation { value: Some(value), kg, quantity: None });
    let first = Month::new(2020, 11).unwrap();
    let months = vec![seen(1.0, Some(2.0)), seen(2.0, None), seen(0.0, None), None, seen(4.0, Some(5.0))];
    let imports = Series { key: key(Flow::Import), unit: Unit::Usd, first, months, released: Vec::new() };
    let all = Annual::from_series([&imports]).unwrap();
    let short: Vec<_> =
        all.iter().map(|a| (a.year, a.import_value, a.import_kg, a.export_value, a.months)).collect();
    assert_eq!(short, [(2020, 3.0, None, None, 12), (2021, 4.0, Some(5.0), None, 2)]);
    let other = Series { unit: Unit::Jpy, ..imports.clone() };
    assert!(
        Annual::from_series([&imports, &other])
            .unwrap_err()
            .to_string()
            .contains("one source, reporter and unit")
    );
    let rules = RulePack::built_in().unwrap();
    let as_of = "2022-01-15".parse().unwrap();
    let request = Request {
        reporter: "KR",
        year: 2021,
        as_of,
        unit: Unit::Usd,
        rules: &rules,
        world: None,
        bloc: None,
    };
    let book = Book::make(all.clone(), &request).unwrap();
    assert_eq!(book.entries[0].geodep.c3, Verdict::Unknown(Needs::Exports));
    assert!(Book::make(all, &Request { year: 2019, ..request }).is_err());
}

#[test]
fn crops_of_the_world_and_of_korea() {
    let mut text = String::new();
    flate2::read::GzDecoder::new(CROPS).read_to_string(&mut text).unwrap();
    let mut world: BTreeMap<(&str, u16), BTreeMap<&str, f64>> = BTreeMap::new();
    let mut korea: BTreeMap<(&str, u16), Vec<f64>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        // Only the importer may be quoted, and hold commas.
        let fields: Vec<&str> = line.splitn(4, ',').collect();
        let [crop, year, exporter, rest] = fields[..] else { panic!("{line}") };
        let (importer, tonnes) = rest.rsplit_once(',').unwrap();
        let (year, tonnes): (u16, f64) = (year.parse().unwrap(), tonnes.parse().unwrap());
        *world.entry((crop, year)).or_default().entry(exporter).or_default() += tonnes;
        if importer == "South Korea" {
            korea.entry((crop, year)).or_default().push(tonnes);
        }
    }
    let hhi = |amounts: &mut dyn Iterator<Item = f64>| concentration(Basis::Weight, amounts).unwrap();
    for (crop, national, of_world) in [
        ("Maize", 0.286, 0.193),
        ("Rice", 0.332, 0.206),
        ("Soya beans", 0.451, 0.402),
        ("Wheat", 0.239, 0.086),
    ] {
        near(hhi(&mut korea[&(crop, 2021)].iter().copied()).hhi, national, 3);
        near(hhi(&mut world[&(crop, 2021)].values().copied()).hhi, of_world, 3);
    }
    near(hhi(&mut world[&("Wheat", 2021)].values().copied()).total / 1e6, 199.2, 1);
    near(world[&("Wheat", 2021)]["Ukraine"] / 1e6, 19.39, 2);
    near(world[&("Wheat", 2022)]["Ukraine"] / 1e6, 11.22, 2);
}
