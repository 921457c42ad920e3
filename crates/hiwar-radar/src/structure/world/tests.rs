use super::super::rules::RulePack;
use super::*;
use std::path::PathBuf;

fn limits() -> Limits {
    RulePack::built_in().unwrap().limits
}

fn wanted(items: &[&str]) -> BTreeSet<Arc<str>> {
    items.iter().map(|item| Arc::from(*item)).collect()
}

fn file(text: &str) -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    std::fs::write(&path, text).unwrap();
    (folder, vec![path])
}

/// Numbers for 2021: counted on the same file by a script of its own (HHI also in the reference
/// that `book::tests` cites).
#[test]
fn faostat_s_matrix_gives_world_concentration_by_weight() {
    let crops = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../data/trade/faostat/crop_trade_bilateral_2012_2022.csv.gz"
    );
    let as_of = "2026-11-25".parse().unwrap();
    let items = wanted(&["1005900000", "100640", "1201", "1001"]);
    let world = WorldTrade::from_files(&[crops.into()], &items, as_of, &limits()).unwrap();
    assert_eq!((world.origin.way, world.origin.basis), (Way::Files, Basis::Weight));
    assert_eq!(world.origin.years, (2012..=2022).collect());
    for (item, heading, hhi, exporters, importers, central, mean_share, reach) in [
        ("1005900000", "1005", 0.193, 144, 194, "US", 0.145, 0.541),
        ("100640", "1006", 0.206, 142, 197, "IN", 0.224, 0.827),
        ("1201", "1201", 0.402, 114, 172, "US", 0.221, 0.448),
        ("1001", "1001", 0.086, 102, 183, "RU", 0.140, 0.475),
    ] {
        let (code, found) = world.get(item, 2021).unwrap();
        assert_eq!(
            (&*code, found.exporters.len(), found.importers),
            (heading, exporters, importers),
            "{item}"
        );
        assert!((found.hhi - hhi).abs() < 0.0005, "{item} {}", found.hhi);
        let (name, centrality) = &found.most_central;
        assert_eq!(&**name, central);
        assert!(
            (centrality.mean_share - mean_share).abs() < 0.0005 && (centrality.reach - reach).abs() < 0.0005
        );
        assert!(!centrality.single_point);
        let sum: f64 = found.exporters.iter().map(|(_, share)| share).sum();
        assert!((sum - 1.0).abs() < 1e-12);
    }
    assert_eq!(world.get("2709", 2021), None);
}

#[test]
fn a_year_of_baci_counts_when_it_was_released() {
    let (_folder, files) =
        file("t,i,j,k,v,q\n2018,156,410,281111,6,1\n2018,392,410,281111,4,NA\n2018,156,410,370790,1,1\n");
    let read = |as_of: &str, items: &[&str]| {
        WorldTrade::from_files(&files, &wanted(items), as_of.parse().unwrap(), &limits())
    };
    let world = read("2020-02-01", &["2811111000"]).unwrap();
    assert!((world.get("2811111000", 2018).unwrap().1.hhi - 0.52).abs() < 1e-12);
    assert_eq!(world.origin.source, "baci (table.csv)");
    let early = read("2020-01-01", &["2811111000"]).unwrap_err().to_string();
    assert!(early.contains("had been released by 2020-01-01; they cover 2018"), "{early}");
    assert!(read("2020-02-01", &["999999"]).is_err());
}

#[test]
fn wrong_rows_and_mixed_bases_are_refused_with_file_and_line() {
    let as_of = "2026-11-25".parse().unwrap();
    let head = "crop,year,exporter,importer,tonnes\nWheat,2021,Ukraine,Egypt,5\n";
    for (row, said) in [
        ("Wheat,2021,Ukraine,Egypt,many\n", "table.csv, line 3, field tonnes: \"many\" is no amount"),
        ("Wheat,now,Ukraine,Egypt,5\n", "line 3, field year: \"now\" is no year"),
        ("Wheat,2021\n", "line 3"),
    ] {
        let (_folder, files) = file(&format!("{head}{row}"));
        let error =
            WorldTrade::from_files(&files, &wanted(&["1001"]), as_of, &limits()).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    let (_crops, mut files) = file(head);
    let (_baci, more) = file("t,i,j,k,v,q\n2018,156,410,100190,6,1\n");
    files.extend(more);
    let error = WorldTrade::from_files(&files, &wanted(&["1001"]), as_of, &limits()).unwrap_err().to_string();
    assert!(error.contains("tonnes and another file values") || error.contains("another file"), "{error}");
}

/// Three economies report whole years into one store, and three are enough by these limits.
#[test]
fn a_store_of_many_reporters_is_a_world() {
    use crate::store::Options;
    let (folder, files) = file(
        "t,i,j,k,v,q\n2018,156,410,281111,6,1\n2018,392,410,281111,4,1\n2018,156,842,281111,10,1\n\
         2018,410,392,370790,5,1\n2019,156,410,281111,6,1\n",
    );
    let store = Store::open(&folder.path().join("store")).unwrap();
    store.import(&files, &Options::received("2022-01-01".parse().unwrap())).unwrap();
    let ask = |as_of: &str, world_reporters| {
        let limits = Limits { world_reporters, ..limits() };
        from_store(&store, "baci", &wanted(&["281111"]), as_of.parse().unwrap(), &limits).unwrap()
    };
    let FromStore::World(world) = ask("2022-01-01", 3) else { panic!("three have reported 2018") };
    // China 16, Japan 4 of 20.
    assert!((world.get("281111", 2018).unwrap().1.hhi - 0.68).abs() < 1e-12);
    assert_eq!((world.origin.way, &world.origin.years), (Way::Store, &BTreeSet::from([2018])));
    assert_eq!(ask("2022-01-01", 4), FromStore::TooFew(3));
    assert_eq!(ask("2020-01-30", 3), FromStore::TooFew(0));
}
