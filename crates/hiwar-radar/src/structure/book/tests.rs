use std::io::Read;

use super::super::world::{Flows, Way};
use super::*;
use crate::month::Month;
use crate::series::{Flow, Observation, Series, SeriesKey};

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
        Series { key, unit: Unit::Usd, first, months }
    };
    months.into_iter().map(series).collect()
}

/// A request for a book, of which a test changes what it is about.
fn request(rules: &RulePack, year: u16) -> Request<'_> {
    Request {
        reporter: "KR",
        year,
        as_of: "2022-01-15".parse().unwrap(),
        unit: Unit::Usd,
        rules,
        source: "kcs",
        world: None,
        bloc: None,
        silent: &[],
        risk: None,
        revision: None,
    }
}

fn book(year: u16, world: Option<&WorldTrade>) -> Book {
    let rules = RulePack::built_in().unwrap();
    Book::make(Annual::from_series(&korea()).unwrap(), &Request { world, ..request(&rules, year) }).unwrap()
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
        let book = book(*year, None);
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
    let book = book(2018, None);
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
    assert_eq!(book.entry(HF).unwrap().cdi, None);
    let json = serde_json::to_value(&book).unwrap();
    assert_eq!(json["rules"]["id"], "hiwar-structure");
    assert_eq!(json["entries"][0]["item"], RESIST);
    assert_eq!(json["entries"][0]["geodep"]["c2"]["unknown"], "world-trade");
    assert_eq!(serde_json::from_value::<Book>(json).unwrap(), book);
    assert!(book.entries.is_sorted_by(|a, b| a.by_value.hhi >= b.by_value.hhi));
}

/// World trade of two importers: item, exporter, amount to the first, amount to the second.
fn world(flows: &[(&str, &str, f64, f64)]) -> WorldTrade {
    let rules = RulePack::built_in().unwrap();
    let mut all = Flows::default();
    for year in 2016..=2018 {
        for (item, exporter, first, second) in flows {
            all.add(&Arc::from(*item), year, &"KR".into(), &Arc::from(*exporter), *first);
            all.add(&Arc::from(*item), year, &"US".into(), &Arc::from(*exporter), *second);
        }
    }
    all.finish(Way::Files, "a table".to_owned(), Basis::Value, &rules.limits)
}

#[test]
fn world_trade_decides_c2_and_c4_and_names_the_most_central_exporter() {
    // Shares of exports .6 and .4: .36 + .16 = .52. Of photoresist .5, .3, .2: .25 + .09 + .04 = .38.
    let world = world(&[
        ("281111", "CN", 70.0, 50.0),
        ("281111", "JP", 30.0, 50.0),
        (RESIST, "JP", 50.0, 0.0),
        (RESIST, "US", 30.0, 0.0),
        (RESIST, "BE", 0.0, 20.0),
    ]);
    let book = book(2018, Some(&world));
    let hf = book.entry(HF).unwrap();
    assert_eq!((hf.geodep.c2, hf.geodep.c4), (Verdict::Yes, Verdict::Yes));
    let found = hf.world.as_ref().unwrap();
    assert_eq!((&*found.item, found.exporters, found.importers), ("281111", 2, 2));
    near(found.hhi, 0.52, 12);
    // Mean over the two importers of China's shares, .7 and .5; it reaches both.
    assert_eq!(&*found.most_central, "CN");
    near(found.centrality.mean_share, 0.6, 12);
    assert!(found.centrality.single_point && found.centrality.reach == 1.0);
    let resist = book.entry(RESIST).unwrap();
    assert_eq!((resist.geodep.c2, resist.geodep.c4), (Verdict::No, Verdict::No));
    let found = resist.world.as_ref().unwrap();
    assert_eq!(&*found.item, RESIST);
    near(found.hhi, 0.38, 12);
    // Belgium has all of one importer and nothing of the other: .5, but a reach of .5 is enough.
    assert_eq!((&*found.most_central, found.centrality.single_point), ("BE", true));
    assert_eq!(book.world.as_ref().unwrap().years, BTreeSet::from([2016, 2017, 2018]));
}

#[test]
fn a_supplier_s_loss_is_priced_by_the_elasticity_of_the_item_s_group() {
    let book = book(2018, None);
    // Broda & Weinstein: KOR, 281: 1.58. China's share in 2018 is .5205: (1 - .5205)^(-1/.58) = 3.55.
    let hf = book.entry(HF).unwrap().substitution.as_ref().unwrap();
    assert_eq!((hf.elasticity.importer.as_str(), hf.elasticity.hs1992_3.as_str()), ("KOR", "281"));
    assert_eq!((hf.class, hf.revision), (Substitutability::Hard, Revision::Hs2017));
    near(hf.elasticity.sigma, 1.58, 2);
    let share = book.entry(HF).unwrap().by_value.top_share;
    near(hf.price_factor.unwrap(), (1.0 - share).powf(-1.0 / (hf.elasticity.sigma - 1.0)), 9);
    assert!((3.3..3.8).contains(&hf.price_factor.unwrap()));
}

#[test]
fn supply_risk_comes_from_the_file_and_the_book() {
    let rules = RulePack::built_in().unwrap();
    let annual = |partner: &str, import_value, export_value| Annual {
        partner: partner.into(),
        item: "2811111000".into(),
        year: 2018,
        import_value,
        import_kg: None,
        export_value,
        months: 12,
    };
    let rows = || [annual("CN", 60.0, Some(10.0)), annual("JP", 40.0, Some(10.0))];
    let text = r#"
        source = "made up"
        version = "1"
        date = "2026-11-25"
        [governance]
        CN = 5.0
        JP = 2.0
        [[material]]
        item = "281111"
        production = 20.0
        recycling = 0.25
        substitution = 0.9
        economic_importance = 3.0
        trade = { CN = 1.2 }
        world = { CN = 0.5, JP = 0.5 }
    "#;
    let make = |text: &str| -> Result<Book, BookError> {
        let inputs = RiskInputs::parse(text)?;
        Book::make(rows(), &Request { risk: Some(&inputs), ..request(&rules, 2018) })
    };
    let book = make(text).unwrap();
    let risk = book.entries[0].supply_risk.as_ref().unwrap();
    // World: .25 · 5 · 1.2 + .25 · 2 = 2. Sourcing: .36 · 5 · 1.2 + .16 · 2 = 2.48.
    near(risk.hhi_global, 2.0, 12);
    near(risk.hhi_sourcing, 2.48, 12);
    // Net imports 100 - 20 = 80 of an apparent consumption of 20 + 80.
    near(risk.import_reliance, 0.8, 12);
    // (2 · .4 + 2.48 · .6) · .75 · .9
    near(risk.supply_risk, 1.5444, 12);
    assert_eq!((risk.at_risk, risk.critical, risk.world_from_file), (true, Some(true), true));
    assert_eq!(book.risk_inputs.as_deref(), Some("made up, version 1 of 2026-11-25"));
    // Neither the file nor the book knows world supply.
    let without = text.replace("world = { CN = 0.5, JP = 0.5 }", "");
    assert_eq!(make(&without).unwrap().entries[0].supply_risk, None);
    for (old, new, said) in [
        ("JP = 2.0\n", "\n", "no governance of JP; add it below [governance]"),
        ("recycling = 0.25", "recycling = 25.0", "281111: recycling is 25; it must be a share"),
        ("production = 20.0", "", "either import_reliance or production"),
        ("CN = 0.5, JP = 0.5", "CN = 0.9, JP = 0.5", "more than 1"),
        ("date = ", "day = ", "day"),
    ] {
        let error = make(&text.replace(old, new)).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

/// Two members of the Union, and what they trade in one item of 2021. Imports from outside: China
/// 60 + 20 = 80, USA 20, so .8² + .2² = .68. From inside: Germany from France 10. So 100 of 110 are
/// from outside, .909. Exports: 30 to the USA, 10 within: 100 / 40 = 2.5 for CDI3, but 100 / 30 for
/// C3, which looks at the Union from outside.
#[test]
fn a_bloc_is_judged_as_one_importer() {
    let rules = RulePack::built_in().unwrap();
    let eu = Bloc::built_in("EU").unwrap();
    let mut all = Gathered::default();
    for (reporter, partner, flow, value) in [
        ("DE", "CN", Flow::Import, 60.0),
        ("DE", "FR", Flow::Import, 10.0),
        ("FR", "CN", Flow::Import, 20.0),
        ("FR", "US", Flow::Import, 20.0),
        ("DE", "US", Flow::Export, 30.0),
        ("FR", "DE", Flow::Export, 10.0),
        // No member any more, and its trade is not the Union's.
        ("GB", "CN", Flow::Import, 500.0),
    ] {
        let key = SeriesKey {
            source: "comext".into(),
            reporter: reporter.into(),
            partner: partner.into(),
            item: "28111100".into(),
            flow,
        };
        let seen = Observation { value: Some(value / 12.0), kg: None, quantity: None };
        let first = Month::new(2021, 1).unwrap();
        all.add(&Series { key, unit: Unit::Eur, first, months: vec![Some(seen); 12] }).unwrap();
    }
    let silent = all.silent(&eu, 2021);
    assert_eq!(silent.len(), 25);
    let ask = Request { reporter: "EU", source: "comext", bloc: Some(&eu), ..request(&rules, 2021) };
    let entry = |request: &Request<'_>, rows| Book::make(rows, request).unwrap().entries.remove(0);
    let whole = entry(&ask, all.of_bloc(&eu));
    let cdi = whole.cdi.unwrap();
    near(cdi.extra_hhi.unwrap(), 0.68, 9);
    near(cdi.extra_share.unwrap(), 100.0 / 110.0, 9);
    near(cdi.ratio.unwrap(), 2.5, 9);
    assert_eq!(
        (cdi.cdi1, cdi.cdi2, cdi.cdi3, cdi.dependent),
        (Verdict::Yes, Verdict::Yes, Verdict::Yes, Verdict::Yes)
    );
    near(whole.by_value.total, 100.0, 9);
    near(whole.by_value.hhi, 0.68, 9);
    near(whole.ratio.unwrap(), 100.0 / 30.0, 9);
    // A member's own book: Germany buys 60 outside and 10 inside.
    let german = entry(&Request { reporter: "DE", ..ask }, all.of("DE"));
    near(german.cdi.unwrap().extra_share.unwrap(), 60.0 / 70.0, 9);
    near(german.by_value.total, 70.0, 9);
    // With members that have not reported, numbers are shown and nothing is decided.
    let partial = entry(&Request { silent: &silent, ..ask }, all.of_bloc(&eu)).cdi.unwrap();
    assert_eq!(partial.dependent, Verdict::Unknown(Needs::BlocMembers));
    assert_eq!(partial.extra_hhi, cdi.extra_hhi);
    let stranger = Book::make(all.of("GB"), &Request { reporter: "GB", ..ask }).unwrap_err().to_string();
    assert!(stranger.contains("GB is not a member of EU in 2021"), "{stranger}");
}

#[test]
fn a_row_of_baci_is_an_import_and_its_partner_s_export() {
    let rules = RulePack::built_in().unwrap();
    let mut all = Gathered::default();
    for (importer, exporter, value) in [("KR", "JP", 8.0), ("JP", "KR", 2.0), ("CN", "JP", 1.0)] {
        let key = SeriesKey {
            source: "baci".into(),
            reporter: importer.into(),
            partner: exporter.into(),
            item: "281111".into(),
            flow: Flow::Import,
        };
        let seen = Observation { value: Some(value), kg: Some(1.0), quantity: None };
        let years = vec![Some(seen), None];
        all.add_yearly(&crate::store::AnnualSeries { key, unit: Unit::Usd, first: 2018, years }).unwrap();
    }
    let book = Book::make(all.of("KR"), &Request { source: "baci", ..request(&rules, 2018) }).unwrap();
    let china =
        Book::make(all.of("CN"), &Request { reporter: "CN", source: "baci", ..request(&rules, 2018) })
            .unwrap();
    assert_eq!(china.entries[0].ratio, Some(9999.0), "no row of exports: none");
    let entry = &book.entries[0];
    assert_eq!(
        (entry.by_value.total, entry.exports, entry.ratio, entry.months),
        (8.0, Some(2.0), Some(4.0), 12)
    );
}

#[test]
fn churn_says_what_entered_and_left() {
    let old = book(2018, None);
    let new = book(2021, None);
    let churn = Churn::between(&old, &new).unwrap();
    let items = |changes: &[Change]| changes.iter().map(|change| change.item.to_string()).collect::<Vec<_>>();
    // Of the HHIs of hydrogen fluoride, 2019's alone is below 0.4.
    assert_eq!(items(&churn.stayed), [HF, RESIST]);
    assert!(churn.entered.is_empty() && churn.left.is_empty());
    let quartz = book(2002, None);
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
    let imports = Series { key: key(Flow::Import), unit: Unit::Usd, first, months };
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
    let request = request(&rules, 2021);
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
