//! Screening from the store on: what an alarm rests on, and what cannot be screened.

#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

use std::path::{Path, PathBuf};

use hiwar_radar::month::{Date, Month};
use hiwar_radar::scan::grade::{Dependence, Grade, GradePack};
use hiwar_radar::scan::{Alarm, Direction, Rule, Scan, Strength, scan};
use hiwar_radar::series::Series;
use hiwar_radar::store::{Filter, Options, Store};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/trade/kcs-korea").join(name)
}

fn month(text: &str) -> Month {
    text.parse().unwrap()
}

struct Desk {
    store: Store,
    _dir: tempfile::TempDir,
}

fn desk(file: &str) -> Desk {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.import(&[data(file)], &Options::received(Date::constant(2022, 2, 1))).unwrap();
    Desk { store, _dir: dir }
}

impl Desk {
    fn known(&self, day: Date) -> Vec<Series> {
        let filter = Filter { without_aggregates: true, ..Filter::default() };
        self.store.series(day, &filter).unwrap().collect::<Result<_, _>>().unwrap()
    }
}

fn alarm_of<'a>(found: &'a Scan, item: &str, partner: &str) -> &'a Alarm {
    let of = |a: &&Alarm| *a.series.item == *item && *a.series.partner == *partner;
    found.alarms.iter().find(of).unwrap()
}

#[test]
fn an_alarm_names_the_releases_it_rests_on_and_is_graded_by_the_share_of_all_imports() {
    let desk = desk("korea_trade_hsk10_monthly_2000_2021.csv");
    let day = Date::constant(2019, 8, 15);
    let all = desk.known(day);
    let pack = GradePack::built_in().unwrap();
    let rule = Rule::named("robust-36").unwrap();
    let found = scan(&all, month("2019-07"), day, &rule).graded(&all, &pack);
    let fluoride = alarm_of(&found, "2811111000", "JP");
    assert_eq!(fluoride.released, Some(day));
    assert_eq!(fluoride.history_released, Some(Date::constant(2019, 7, 15)));
    // Twelve months to June 2019; Japan's share of 2018 is .419 and of 2019 lower.
    let grade = fluoride.grade.as_ref().unwrap();
    assert!((0.40..0.44).contains(&grade.share), "{grade}");
    assert_eq!((grade.grade, grade.one_up, grade.check_every_days), (Grade::C, false, 30));
    assert_eq!(grade.next_check, Date::constant(2019, 9, 14));
    // Photoresist: .932 in 2018.
    let resist = alarm_of(&found, "3707901010", "JP").grade.as_ref().unwrap();
    assert!((0.91..0.95).contains(&resist.share), "{resist}");
    assert_eq!((resist.grade, resist.check_every_days), (Grade::A, 7));
    // In August it is extreme, and one grade up.
    let day = Date::constant(2019, 9, 15);
    let all = desk.known(day);
    let found = scan(&all, month("2019-08"), day, &rule).graded(&all, &pack);
    let fluoride = alarm_of(&found, "2811111000", "JP");
    assert_eq!((fluoride.direction, fluoride.strength), (Direction::Drop, Strength::Extreme));
    let grade = fluoride.grade.as_ref().unwrap();
    assert_eq!((grade.grade, grade.one_up, grade.pack.as_str()), (Grade::B, true, "grades/1"));
    // Of exports nobody here knows how much the other side depends on them.
    let dependence = Dependence::before(&all, month("2019-08"), 12);
    for alarm in &found.alarms {
        assert_eq!(alarm.grade.is_some(), dependence.share(&alarm.series).is_some(), "{alarm}");
    }
}

#[test]
fn the_day_before_a_release_nothing_is_judged() {
    let desk = desk("korea_trade_hsk10_monthly_2000_2021.csv");
    let day = Date::constant(2019, 8, 14);
    let found = scan(&desk.known(day), month("2019-07"), day, &Rule::named("price-36").unwrap());
    assert_eq!((found.judged, found.judged_unit_values, found.alarms.len()), (0, 0, 0));
}

#[test]
fn polyimide_has_years_only_so_no_month_of_it_is_judged_and_its_year_is_no_drop() {
    // The negative control of 2019: the third controlled material, whose imports rose. The file has
    // years only, so it is refused as a table of months; as years it can be kept, and a screen of
    // months stays away from it. All that can be said is the ratio.
    let file = data("korea_japan_fluorinated_polyimide_annual.csv");
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let day = Date::constant(2022, 2, 1);
    let refused = store.import(std::slice::from_ref(&file), &Options::received(day)).unwrap_err();
    assert!(refused.to_string().contains("month"), "{refused}");
    let mut table = "period,reporter,partner,item,flow,value,unit,kg\n".to_owned();
    for line in std::fs::read_to_string(&file).unwrap().lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let [year, item, _, _, value, kg] = cells.as_slice() else { panic!("{line}") };
        table += &format!("{year},KR,JP,{item},import,{value},USD,{kg}\n");
    }
    let plain = dir.path().join("polyimide.csv");
    std::fs::write(&plain, table).unwrap();
    store.import(&[plain], &Options::received(day)).unwrap();
    let desk = Desk { store, _dir: dir };
    let months = desk.known(day);
    assert!(months.is_empty(), "a year is no month");
    for rule in Rule::shipped() {
        let found = scan(&months, month("2019-12"), day, &rule);
        assert_eq!((found.judged, found.alarms.len()), (0, 0), "{}", rule.name());
    }
    let annual = desk.store.annual(day, &Filter::default()).unwrap();
    let annual: Vec<_> = annual.collect::<Result<_, _>>().unwrap();
    let imports = annual.iter().find(|s| s.years.iter().flatten().any(|o| o.value == Some(31_455_811.0)));
    let imports = imports.unwrap();
    let of = |year: u16| imports.years.get(usize::from(year - imports.first)).unwrap().unwrap();
    let (before, after) = (of(2018), of(2019));
    let value = after.value.unwrap() / before.value.unwrap();
    let kg = after.kg.unwrap() / before.kg.unwrap();
    assert!((value - 1.595).abs() < 0.001 && (kg - 1.619).abs() < 0.001, "{value} {kg}");
    let drop = Rule::named("robust-36").unwrap().drop;
    assert!(value > drop.ratio && kg > drop.ratio);
}
