//! Withdrawal: a complete release that no longer has a row.

use std::fs;

use hiwar_radar::series::{Flow, Series};
use hiwar_radar::store::{Filter, ImportReport, Options, Store};
use tempfile::TempDir;

const KCS: &str = "hsk10,country,year,month,exp_usd,exp_kg,imp_usd,imp_kg\n";

fn kcs(rows: &[(&str, u32, u32)]) -> String {
    let row = |(country, month, value): &(&str, u32, u32)| {
        format!("2811111000,{country},2019,{month},0,0,{value},{value}\n")
    };
    KCS.to_owned() + &rows.iter().map(row).collect::<String>()
}

fn values(series: &Series) -> String {
    let cells =
        series.months.iter().map(|m| m.and_then(|o| o.value).map_or("-".to_owned(), |v| v.to_string()));
    cells.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_complete_release_withdraws_what_it_no_longer_has_and_earlier_days_still_see_it() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let import = |rows: &[(&str, u32, u32)], day: &str, complete: bool| -> ImportReport {
        let path = dir.path().join("table.csv");
        fs::write(&path, kcs(rows)).unwrap();
        store.import(&[path], &Options { complete, ..Options::received(day.parse().unwrap()) }).unwrap()
    };
    import(&[("Japan", 6, 5), ("Japan", 7, 6), ("China", 6, 7)], "2019-09-01", false);
    // A part of a release withdraws nothing; the whole one does, also series it has nothing of.
    let part = import(&[("Japan", 6, 5)], "2019-10-01", false);
    assert_eq!((part.withdrawn, part.segment), (0, None));
    let whole = import(&[("Japan", 6, 5)], "2019-10-02", true);
    assert_eq!(
        (whole.withdrawn, whole.revisions, whole.unchanged),
        (2, 0, 2),
        "China's import and export of June"
    );
    let partners = |day: &str| -> Vec<String> {
        let filter = Filter { flow: Some(Flow::Import), ..Filter::default() };
        let imports = store.series(day.parse().unwrap(), &filter).unwrap().map(Result::unwrap);
        imports.map(|s| format!("{} {} {}", s.key.partner, s.first, values(&s))).collect()
    };
    assert_eq!(partners("2019-10-01"), ["CN 2019-06 7", "JP 2019-06 5 6"]);
    assert_eq!(partners("2019-10-02"), ["JP 2019-06 5 6"], "July is not in the release, so it stays");
    // Once more changes nothing; coming back is a revision.
    let again = import(&[("Japan", 6, 5)], "2019-10-03", true);
    assert_eq!((again.withdrawn, again.segment), (0, None));
    let back = import(&[("China", 6, 8)], "2019-11-01", false);
    assert_eq!((back.revisions, back.new), (2, 0));
    assert_eq!(partners("2019-11-01"), ["CN 2019-06 8", "JP 2019-06 5 6"]);
    assert_eq!(partners("2019-10-31"), ["JP 2019-06 5 6"]);
    let held: Vec<String> = store
        .held(&Filter { partners: vec!["CN".to_owned()], flow: Some(Flow::Import), ..Filter::default() })
        .unwrap()
        .map(|h| h.map(|h| format!("{} {} {:?}", h.released, h.revision, h.observation.value)).unwrap())
        .collect();
    assert_eq!(held, ["2019-07-15 0 Some(7.0)", "2019-10-02 1 None", "2019-11-01 2 Some(8.0)"]);
}
