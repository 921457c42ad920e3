//! The store: what was known when.
#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

use std::fs;
use std::path::{Path, PathBuf};

use hiwar_radar::import::{ImportError, Problem};
use hiwar_radar::month::{Date, Month};
use hiwar_radar::series::{Flow, Series};
use hiwar_radar::store::{Aggregate, Filter, ImportReport, Options, Store, StoreError, aggregate};
use proptest::prelude::*;
use tempfile::TempDir;

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/trade").join(path)
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn month(text: &str) -> Month {
    text.parse().unwrap()
}

/// A store with a directory beside it for tables.
struct Desk {
    dir: TempDir,
    store: Store,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        Self { dir, store }
    }

    fn try_import(&self, table: &str, options: &Options) -> Result<ImportReport, StoreError> {
        let path = self.dir.path().join("table.csv");
        fs::write(&path, table).unwrap();
        self.store.import(&[path], options)
    }

    fn import(&self, table: &str, received: &str) -> ImportReport {
        self.try_import(table, &Options::received(date(received))).unwrap()
    }

    fn series(&self, as_of: &str) -> Vec<Series> {
        let all = self.store.series(date(as_of), &Filter::default()).unwrap();
        all.collect::<Result<_, _>>().unwrap()
    }

    /// The only import series' values as text.
    fn values(&self, as_of: &str) -> String {
        let all = self.series(as_of);
        let mut imports = all.iter().filter(|s| s.key.flow == Flow::Import);
        let series = imports.next();
        assert!(imports.next().is_none());
        series.map(|s| format!("{} {}", s.first, values(s))).unwrap_or_default()
    }
}

fn values(series: &Series) -> String {
    let text = |v: Option<f64>| v.map_or("?".to_owned(), |v| v.to_string());
    let cells = series.months.iter().map(|m| m.map_or("-".to_owned(), |o| text(o.value)));
    cells.collect::<Vec<_>>().join(" ")
}

const KCS: &str = "hsk10,country,year,month,exp_usd,exp_kg,imp_usd,imp_kg\n";

fn kcs(rows: &[(&str, &str, u32)]) -> String {
    let row = |(country, month, value): &(&str, &str, u32)| {
        let (y, m) = month.split_once('-').unwrap();
        format!("2811111000,{country},{y},{},0,0,{value},{value}\n", m.trim_start_matches('0'))
    };
    KCS.to_owned() + &rows.iter().map(row).collect::<String>()
}

#[test]
fn korea_in_2019_as_it_was_known_each_month() {
    let desk = Desk::new();
    let path = data("kcs-korea/korea_trade_hsk10_monthly_2000_2021.csv");
    let report =
        desk.store.import(std::slice::from_ref(&path), &Options::received(date("2022-01-31"))).unwrap();
    assert_eq!((report.rows, report.new, report.revisions, report.repeated), (35_054, 70_108, 0, 0));
    assert_eq!((report.first, report.last), (Some(month("2000-01")), Some(month("2021-12"))));
    assert_eq!(report.segment.as_deref(), Some("00000001-00000001.seg"));

    let text = report.to_string();
    let expected = "kcs-csv, ASCII, delimiter ',', reporters KR, 2000-01 to 2021-12, 35054 rows\n\
                    35054 rows, 266 series (266 new), months 2000-01 to 2021-12\n\
                    70108 new numbers, 0 revisions, 0 unchanged, 0 repeated";
    assert!(text.ends_with(expected), "{text}");

    let again = desk.store.import(&[path], &Options::received(date("2022-03-01"))).unwrap();
    assert_eq!((again.unchanged, again.new + again.revisions, again.segment), (70_108, 0, None));

    let filter = Filter {
        partners: vec!["JP".to_owned()],
        items: vec!["2811".to_owned()],
        flow: Some(Flow::Import),
        ..Filter::default()
    };
    let fluoride = |as_of: &str| desk.store.series(date(as_of), &filter).unwrap().next().unwrap().unwrap();
    assert_eq!(fluoride("2019-08-14").last(), month("2019-06"));
    assert_eq!(fluoride("2019-08-15").last(), month("2019-07"));
    let series = fluoride("2022-06-01");
    let tonnes = |m: &str| (series.at(month(m)).unwrap().kg.unwrap() / 100.0).round() / 10.0;
    let known = ["2019-06", "2019-07", "2019-08", "2019-09", "2019-10", "2019-11", "2019-12"].map(tonnes);
    assert_eq!(known, [3026.0, 529.9, 0.0, 0.0, 0.3, 0.4, 793.8]);
    let year = |y: u16| -> f64 {
        (1..=12).map(|m| series.at(Month::new(y, m).unwrap()).unwrap().value.unwrap()).sum()
    };
    assert_eq!([2018, 2019, 2020].map(year), [66_856_769.0, 36_335_322.0, 9_375_581.0]);

    // Late rows are absent, not zero.
    let all = desk.series("2022-06-01");
    assert!(all.is_sorted_by(|a, b| a.key < b.key));
    for series in &all {
        let late = ["2811111000", "3707901010", "8542321010"].contains(&series.key.item.as_ref());
        let last = month(if late { "2021-11" } else { "2021-12" });
        if series.months.len() > 200 {
            assert_eq!(series.last(), last, "{}", series.key);
        }
        assert!(series.last() <= last && series.months.last().unwrap().is_some());
    }
    assert_eq!(all.iter().map(|s| s.months.iter().flatten().count()).sum::<usize>(), 70_108);
}

#[test]
fn estat_keeps_aggregates_and_marks_them() {
    let desk = Desk::new();
    let path = data("japan-estat/japan_trade_area_goods_annual_2009_on.csv.gz");
    let report = desk.store.import(&[path], &Options::received(date("2026-11-24"))).unwrap();
    assert!(report.skipped.contains_key("period not over when the file was received"), "2026 is partial");
    assert!(desk.series("2026-11-24").is_empty(), "years are no months");
    let filter = Filter {
        partners: vec!["KR".to_owned()],
        items: vec!["Grand Total".to_owned()],
        ..Filter::default()
    };
    let annual: Vec<_> =
        desk.store.annual(date("2026-11-24"), &filter).unwrap().map(Result::unwrap).collect();
    let exports = annual.iter().find(|s| s.key.flow == Flow::Export).unwrap();
    assert_eq!((exports.first, exports.years.len()), (2009, 17));
    let of_2018 = exports.years[9].unwrap().value.unwrap();
    assert!((of_2018 / 1e9 - 5792.6).abs() < 0.1, "{of_2018}");
    assert_eq!(
        desk.store.annual(date("2019-01-27"), &filter).unwrap().next().unwrap().unwrap().years.len(),
        9
    );

    let count = |filter: &Filter| desk.store.annual(date("2026-11-24"), filter).unwrap().count();
    let without = Filter { without_aggregates: true, ..Filter::default() };
    assert!(count(&without) < count(&Filter::default()));
    assert_eq!(aggregate(&exports.key), Some(Aggregate::Item));
}

#[test]
fn other_numbers_are_a_revision_and_nothing_is_overwritten() {
    let desk = Desk::new();
    let first = desk.import(&kcs(&[("Japan", "2019-06", 5), ("Japan", "2019-07", 7)]), "2019-08-20");
    assert_eq!((first.new, first.revisions, first.new_series, first.series), (4, 0, 2, 2));
    let second = desk.import(
        &kcs(&[("Japan", "2019-06", 5), ("Japan", "2019-07", 8), ("Japan", "2019-08", 0)]),
        "2019-09-20",
    );
    assert_eq!((second.new, second.revisions, second.unchanged, second.new_series), (2, 1, 3, 0));
    let third = desk.import(&kcs(&[("Japan", "2019-07", 7)]), "2020-02-01");
    assert_eq!((third.revisions, third.unchanged), (1, 1), "back to the first number is a revision too");
    for (as_of, expected) in [
        ("2019-07-14", ""),
        ("2019-07-15", "2019-06 5"),
        ("2019-08-15", "2019-06 5 7"),
        ("2019-09-14", "2019-06 5 7"),
        ("2019-09-15", "2019-06 5 7 0"),
        ("2019-09-20", "2019-06 5 8 0"),
        ("2020-02-01", "2019-06 5 7 0"),
    ] {
        assert_eq!(desk.values(as_of), expected, "{as_of}");
    }
    // An older release that is found later goes to its place.
    let mut stated = Options::received(date("2020-03-01"));
    stated.released = Some(date("2019-08-01"));
    desk.try_import(&kcs(&[("Japan", "2019-07", 6)]), &stated).unwrap();
    assert_eq!(desk.values("2019-08-02"), "2019-06 5 6");
    assert_eq!(desk.values("2019-09-20"), "2019-06 5 8 0");
}

#[test]
fn a_missing_row_is_zero_only_where_the_source_was_complete() {
    let item = |hs: &str, country: &str, month: &str| {
        format!(
            "<item><year>{month}</year><statCd>{country}</statCd><hsCd>{hs}</hsCd><expDlr>0</expDlr>\
                 <expWgt>0</expWgt><impDlr>5</impDlr><impWgt>5</impWgt></item>"
        )
    };
    let answer = |items: &[String]| format!("<response><body>{}</body></response>", items.concat());
    let desk = Desk::new();
    desk.import(
        &answer(&[
            item("2811111000", "JP", "2019.06"),
            item("2811111000", "CN", "2019.06"),
            item("2811111000", "CN", "2019.08"),
            // The other item is a month further, and has a month that nothing else has.
            item("3818001000", "JP", "2019.07"),
            item("3818001000", "JP", "2019.09"),
        ]),
        "2019-12-01",
    );
    let of = |as_of: &str, item: &str, partner: &str| {
        let all = desk.series(as_of);
        let found = all.iter().find(|s| {
            (s.key.item.as_ref(), s.key.partner.as_ref(), s.key.flow) == (item, partner, Flow::Import)
        });
        found.map(values).unwrap_or_default()
    };
    assert_eq!(of("2019-12-01", "2811111000", "JP"), "5 0 0", "complete up to August, not to September");
    assert_eq!(of("2019-12-01", "2811111000", "CN"), "5 0 5");
    assert_eq!(of("2019-12-01", "3818001000", "JP"), "5 0 5");
    assert_eq!(
        of("2019-08-20", "2811111000", "JP"),
        "5",
        "August was not out, so July may not have been whole"
    );

    // The same numbers in a table that writes zeros out: nothing is known of what is missing.
    let desk = Desk::new();
    desk.import(
        &kcs(&[("Japan", "2019-06", 5), ("Japan", "2019-08", 5), ("China", "2019-09", 5)]),
        "2019-12-01",
    );
    let all = desk.series("2019-12-01");
    let japan = all.iter().find(|s| s.key.partner.as_ref() == "JP" && s.key.flow == Flow::Import).unwrap();
    assert_eq!(values(japan), "5 - 5");
}

#[test]
fn rows_of_comext_are_added_and_contradictions_refused() {
    let header = "DECLARANT_ISO,PARTNER_ISO,PRODUCT_NC,FLOW,STAT_PROCEDURE,PERIOD,VALUE_IN_EUROS,QUANTITY_IN_KG,SUP_QUANTITY\n";
    let desk = Desk::new();
    let table = format!(
        "{header}DE,JP,28111100,1,1,201907,10,2,0\nDE,JP,28111100,1,5,201907,5,1,0\nDE,CN,29000000,1,1,201908,1,1,0\n"
    );
    let report = desk.import(&table, "2019-12-01");
    assert_eq!((report.rows, report.new), (3, 2));
    let all = desk.series("2019-12-01");
    let of = |item: &str| all.iter().find(|s| s.key.item.as_ref() == item).map(values).unwrap();
    assert_eq!(
        (of("28111100"), of("29000000")),
        ("15 0".to_owned(), "1".to_owned()),
        "the file holds all items"
    );

    let twice = kcs(&[("Japan", "2019-06", 5), ("Japan", "2019-06", 5)]);
    assert_eq!(desk.import(&twice, "2019-12-01").repeated, 2);
    let contradiction = kcs(&[("Japan", "2019-08", 5), ("Japan", "2019-08", 6)]);
    let error = desk.try_import(&contradiction, &Options::received(date("2019-12-01"))).unwrap_err();
    let expected = |e: &StoreError| {
        matches!(e, StoreError::Import(ImportError::Row { line: 3, problem: Problem::Duplicate { .. }, .. }))
    };
    assert!(expected(&error), "{error}");
    let kept = desk.series("2019-12-01").len();
    assert_eq!(kept, 4, "a refused import leaves nothing");
}

#[test]
fn a_month_that_is_not_over_is_no_month() {
    let desk = Desk::new();
    let report = desk.import(&kcs(&[("Japan", "2019-07", 5), ("Japan", "2019-08", 1)]), "2019-08-20");
    assert_eq!((report.new, report.skipped.values().sum::<u64>()), (2, 2));
}

#[test]
fn japan_customs_zeros_count_up_to_the_month_that_was_out() {
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut table =
        "Exp or Imp,Year,HS,Country,Unit1,Unit2,Quantity1-Year,Quantity2-Year,Value-Year".to_owned();
    names.iter().for_each(|name| table += &format!(",Quantity1-{name},Quantity2-{name},Value-{name}"));
    let mut row = |country: u16, item: &str, months: [u8; 12]| {
        table += &format!("\n2,2019,'{item},{country},,KG,0,0,0");
        months.iter().for_each(|m| table += &format!(",0,{m},{m}"));
    };
    row(103, "281111000", [1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]);
    row(105, "281111000", [0, 0, 0, 0, 0, 2, 2, 2, 0, 0, 0, 0]);
    let desk = Desk::new();
    // August has trade already, but was not out in full by the 20th of September.
    let report = desk.import(&table, "2019-09-20");
    assert_eq!(report.skipped.values().sum::<u64>(), 9);
    let all = desk.series("2019-12-31");
    let of = |partner: &str| values(all.iter().find(|s| s.key.partner.as_ref() == partner).unwrap());
    assert_eq!(of("KR"), "1000 1000 1000 1000 1000 1000 1000 0", "China shows that August is there");
    assert_eq!(of("CN"), "0 0 0 0 0 2000 2000 2000");
    desk.import(&table, "2019-12-31");
    assert_eq!(desk.series("2019-12-31"), all, "September is not there, however late the file is looked at");
    assert_eq!(desk.series("2019-09-27").len(), 2);
    assert!(desk.series("2019-02-27").is_empty());
}

/// A table of many records, the same numbers for every month.
fn large() -> String {
    let mut table = "period,reporter,partner,item,flow,value,unit,released\n".to_owned();
    for n in 0..40_000 {
        table += &format!("2019-07,KR,JP,i{n},import,{n},USD,2019-08-15\n");
    }
    table
}

#[test]
fn a_killed_import_leaves_all_or_nothing() {
    const CHILD: &str = "HIWAR_RADAR_TEST_IMPORT";
    if let Some(dir) = std::env::var_os(CHILD) {
        let dir = PathBuf::from(dir);
        let store = Store::open(&dir.join("store")).unwrap();
        store.import(&[dir.join("large.csv")], &Options::received(date("2019-12-01"))).unwrap();
        return;
    }
    let desk = Desk::new();
    desk.import(&kcs(&[("Japan", "2019-06", 5)]), "2019-12-01");
    fs::write(desk.dir.path().join("large.csv"), large()).unwrap();
    let mut unchanged = 0;
    for wait_ms in std::iter::successors(Some(0), |wait| Some(wait + wait / 4 + 5)) {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_killed_import_leaves_all_or_nothing"])
            .env(CHILD, desk.dir.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait_ms));
        let ended = child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        child.wait().unwrap();
        match desk.series("2019-12-01").len() {
            2 => unchanged += 1,
            40_002 => break,
            other => panic!("{other} series"),
        }
        assert!(!ended, "an import that ended is there");
    }
    assert!(unchanged > 0);
    desk.import(&kcs(&[("Japan", "2019-07", 5)]), "2019-12-01");
    let left: Vec<_> =
        fs::read_dir(desk.dir.path().join("store")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "three segments and the lock: {left:?}");
}

#[test]
fn many_files_and_many_records_pass_through_sorted_runs() {
    let desk = Desk::new();
    let mut paths = Vec::new();
    for part in 0..3_u32 {
        let mut table = "period,reporter,partner,item,flow,value,unit,released\n".to_owned();
        for n in 0..110_000_u32 {
            let key = (n * 7919 + part) % 5000;
            let month = Month::from_index(u16::try_from(24_000 + n / 5000).unwrap());
            table += &format!("{month},KR,JP,i{key},import,{n},USD,2026-01-01\n");
        }
        let path = desk.dir.path().join(format!("{part}.csv"));
        // Parts repeat keys under other numbers only in other months.
        fs::write(&path, table.replace(",KR,", &format!(",K{part}x,"))).unwrap();
        paths.push(path);
    }
    let report = desk.store.import(&paths, &Options::received(date("2026-01-02"))).unwrap();
    assert_eq!((report.rows, report.new, report.series), (330_000, 330_000, 15_000));
    let all = desk.series("2026-01-02");
    assert_eq!((all.len(), all[0].months.len()), (15_000, 22));
    assert!(all.is_sorted_by(|a, b| a.key < b.key));
}

#[test]
fn damage_is_found_and_leftovers_are_swept() {
    let desk = Desk::new();
    desk.import(&kcs(&[("Japan", "2019-06", 5)]), "2019-12-01");
    let dir = desk.dir.path().join("store");
    // What an import leaves that was killed before its end.
    fs::create_dir(dir.join("importing-dead")).unwrap();
    fs::write(dir.join("importing-dead/segment"), "half").unwrap();
    assert_eq!(desk.values("2019-12-01"), "2019-06 5");
    desk.import(&kcs(&[("Japan", "2019-07", 6)]), "2019-12-01");
    assert!(!dir.join("importing-dead").exists());
    assert_eq!(desk.values("2019-12-01"), "2019-06 5 6");

    let path = dir.join("00000001-00000001.seg");
    let whole = fs::read(&path).unwrap();
    let read = || -> Result<Vec<Series>, StoreError> {
        desk.store.series(date("2019-12-01"), &Filter::default())?.collect()
    };
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&path, &damaged).unwrap();
        assert!(matches!(read(), Err(StoreError::Corrupt { .. })), "byte {at}");
        fs::write(&path, &whole[..at]).unwrap();
        assert!(matches!(read(), Err(StoreError::Corrupt { .. })), "cut at {at}");
    }
}

#[test]
fn many_imports_are_joined_and_say_the_same() {
    let desk = Desk::new();
    let mut answers = Vec::new();
    for n in 0..70_u16 {
        let month = Month::new(2010, 1).unwrap().plus(i32::from(n));
        let text = month.to_string();
        let before = month.plus(-1).to_string();
        // Each import revises the month before, and China trades every other month only.
        let mut table =
            "DECLARANT_ISO,PARTNER_ISO,PRODUCT_NC,FLOW,PERIOD,VALUE_IN_EUROS,QUANTITY_IN_KG,SUP_QUANTITY\n"
                .to_owned();
        let partner = if n % 2 == 0 { "CN" } else { "JP" };
        table += &format!("DE,{partner},28111100,1,{},{n},1,\n", text.replace('-', ""));
        table += &format!("DE,JP,38180010,1,{},{n},1,\n", before.replace('-', ""));
        table += &format!("DE,JP,38180010,1,{},1000,1,\n", text.replace('-', ""));
        desk.import(&table, &month.plus(3).first_day().to_string());
        answers.push(desk.series("2012-07-15"));
    }
    let segments = fs::read_dir(desk.dir.path().join("store"))
        .unwrap()
        .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().ends_with(".seg"));
    assert!(segments.count() <= 40);
    let last = answers.pop().unwrap();
    assert_eq!(answers[45], last, "later imports change nothing, joined or not");
    assert_eq!(last.len(), 3);
    assert_eq!(values(&last[0]).split(' ').take(4).collect::<Vec<_>>(), ["0", "0", "2", "0"]);
    let revised = values(&last[2]);
    assert!(revised.contains(" 5 6 7 8 ") && !revised.starts_with("1000"), "{revised}");
}

#[test]
fn imports_exclude_each_other() {
    let desk = Desk::new();
    let lock = fs::File::create(desk.dir.path().join("store/lock")).unwrap();
    lock.lock().unwrap();
    let error = desk.try_import(&kcs(&[]), &Options::received(date("2019-12-01"))).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
}

/// A row of a plain table: partner, month, value, day of release in 2020.
type Row = (u8, u8, u32, u16);

fn plain(rows: &[Row]) -> String {
    let row = |(partner, m, value, day): &Row| {
        let released = date("2020-01-01").checked_add(jiff::Span::new().days(i64::from(*day))).unwrap();
        format!("2019-{:02},KR,p{partner},28,import,{value},USD,{released}\n", m + 1)
    };
    "period,reporter,partner,item,flow,value,unit,released\n".to_owned()
        + &rows.iter().map(row).collect::<String>()
}

/// Rows released within some days, one for each partner, month and day.
fn rows(days: std::ops::Range<u16>) -> impl Strategy<Value = Vec<Row>> {
    let cells = prop::collection::btree_map((0_u8..4, 0_u8..12, days), 0_u32..5, 0..40);
    cells.prop_map(|cells| cells.into_iter().map(|((p, m, d), v)| (p, m, v, d)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn nothing_released_later_changes_what_was_known(
        past in rows(0..101),
        (one, shuffled) in rows(101..200).prop_flat_map(|one| (Just(one.clone()), Just(one).prop_shuffle())),
        other in rows(101..200),
        seed: u64,
        zeros: bool,
    ) {
        let mut options = Options::received(date("2021-01-01"));
        options.missing = zeros.then_some(hiwar_radar::import::Missing::ZeroWithinItem);
        // As of day 100, with the later rows among the past ones, before them and after them.
        let known = |later: &[Row], way: u64| {
            let desk = Desk::new();
            let take = |rows: &[Row]| desk.try_import(&plain(rows), &options).unwrap();
            match way % 3 {
                0 => {
                    let mut all = [later, &past].concat();
                    all.sort_by_key(|r| (u64::from(r.2 + 1) * 31 + u64::from(r.3)).wrapping_mul(seed | 1));
                    take(&all);
                }
                1 => {
                    take(later);
                    take(&past);
                }
                _ => {
                    take(&past);
                    take(later);
                }
            }
            desk.series("2020-04-10")
        };
        let expected = known(&[], 0);
        for (later, way) in [(&one, seed), (&shuffled, seed), (&shuffled, seed / 3), (&other, seed / 9)] {
            prop_assert_eq!(&known(later, way), &expected);
        }
    }

    #[test]
    fn a_later_month_changes_nothing_under_the_calendar(
        past in prop::collection::vec((0_u8..3, 0_u8..7, 0_u32..9), 1..30),
        future in prop::collection::vec((0_u8..3, 7_u8..12, 0_u32..9), 0..30),
    ) {
        let known = |rows: Vec<(u8, u8, u32)>| {
            let unique: std::collections::BTreeMap<_, _> = rows.into_iter().map(|(c, m, v)| ((c, m), v)).collect();
            let months: Vec<String> = (1..=12).map(|m| format!("2019-{m:02}")).collect();
            let rows: Vec<_> = unique.iter()
                .map(|((c, m), v)| (["Japan", "China", "USA"][usize::from(*c)], months[usize::from(*m)].as_str(), *v))
                .collect();
            let desk = Desk::new();
            desk.import(&kcs(&rows), "2021-01-01");
            desk.series("2019-08-15")
        };
        prop_assert_eq!(known([past.clone(), future].concat()), known(past));
    }
}
