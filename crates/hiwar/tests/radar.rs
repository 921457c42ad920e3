//! The radar as a person uses it: tables in, judgements out, without a node.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod newcomer;

use std::path::PathBuf;

use newcomer::Newcomer;
use serde_json::Value;

fn data(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../data/trade").join(file);
    path.canonicalize().unwrap().to_str().unwrap().to_owned()
}

fn korea() -> String {
    data("kcs-korea/korea_trade_hsk10_monthly_2000_2021.csv")
}

/// A person who has imported Korea's file.
fn with_korea() -> Newcomer {
    let person = Newcomer::new();
    let said = person.hiwar(&["radar", "import", &korea(), "--received", "2022-02-01"]).ok();
    assert!(said.out.contains("35054 rows") && said.out.contains("kcs-csv"), "{}", said.out);
    person
}

#[test]
fn korea_s_imports_are_imported_screened_and_explained() {
    let person = with_korea();
    let found = person
        .hiwar(&["radar", "scan", "--as-of", "2019-08-15", "--rule", "robust-36", "--format", "json"])
        .ok()
        .json();
    assert_eq!((found["month"].as_str(), found["rule"].as_str()), (Some("2019-07"), Some("robust-36/1")));
    let alarms = found["alarms"].as_array().unwrap();
    let of = |item: &str| {
        let is = |a: &&Value| {
            a["series"]["item"] == item && a["series"]["partner"] == "JP" && a["series"]["flow"] == "import"
        };
        alarms.iter().find(is)
    };
    let fluoride = of("2811111000").unwrap();
    assert_eq!(fluoride["direction"], "drop");
    assert!((fluoride["z"].as_f64().unwrap() - -8.5).abs() < 0.05);
    assert_eq!(of("3707901010").unwrap()["direction"], "surge");
    // A day earlier July was not released.
    let before = person
        .hiwar(&["radar", "scan", "--as-of", "2019-08-14", "--rule", "robust-36", "--format", "json"])
        .ok()
        .json();
    assert_eq!(before["month"], "2019-06");
    let page = person
        .hiwar(&["radar", "scan", "--as-of", "2019-08-15", "--rule", "robust-36", "--format", "html"])
        .ok();
    assert!(page.out.contains("<svg") && page.out.contains("2811111000"));
}

#[test]
fn a_signal_becomes_a_draft_and_leaves_only_when_a_desk_sends_it() {
    let (both, dialogue) = newcomer::Ministries::talking();
    let store = both.person.path("radar");
    let store = store.to_str().unwrap();
    both.person.hiwar(&["radar", "import", &korea(), "--received", "2022-02-01", "--store", store]).ok();
    let signal = "kcs:KR:import:2811111000:JP:2019-07";
    let args = [
        "radar",
        "draft",
        signal,
        "--dialogue",
        &dialogue,
        "--as-of",
        "2019-08-15",
        "--rule",
        "robust-36",
        "--store",
        store,
        "--node",
        "motie",
    ];
    let before = both.held("motie", &dialogue);
    let drafted = both.person.hiwar(&args).ok();
    assert!(
        drafted.out.contains("18 % of the usual") && drafted.err.contains("Nothing was sent"),
        "{}",
        drafted.out
    );
    assert_eq!(both.held("motie", &dialogue), before);
    both.person.hiwar(&[&args[..], &["--send"]].concat()).ok();
    both.settle(&dialogue);
    let there = both.held("meti", &dialogue);
    assert_eq!(there.len(), before.len() + 1, "it has reached the peer");
    let other = signal.replace("2019-07", "2019-06");
    let mut quiet = args;
    quiet[2] = &other;
    both.person.hiwar(&quiet).refused(&["does not alarm"]);
}

#[test]
fn the_dependency_book_of_2018_says_what_the_reference_says_and_what_has_changed() {
    let person = with_korea();
    let made = person
        .hiwar(&[
            "radar",
            "depend",
            "--reporter",
            "KR",
            "--year",
            "2018",
            "--since",
            "2016",
            "--format",
            "json",
        ])
        .ok()
        .json();
    let entries = made["book"]["entries"].as_array().unwrap();
    // HHI by value: measured on the same file by other means.
    for (item, hhi) in
        [("2811111000", 0.450), ("3707901010", 0.872), ("3818001000", 0.327), ("7002311000", 0.328)]
    {
        let entry = entries.iter().find(|e| e["item"] == item).unwrap();
        assert!((entry["by_value"]["hhi"].as_f64().unwrap() - hhi).abs() < 0.0006, "{entry}");
    }
    assert!(made["churn"]["stayed"].is_array());
}

#[test]
fn a_rule_is_replayed_with_its_four_figures() {
    let person = with_korea();
    let events = data("events/korea-2019.json");
    let args = [
        "radar",
        "replay",
        "--rule",
        "robust-36",
        "--from",
        "2019-01",
        "--to",
        "2019-12",
        "--delay",
        "15",
        "--events",
        &events,
        "--format",
        "json",
    ];
    let done = person.hiwar(&args).ok().json();
    let detections = done["detections"].as_array().unwrap();
    assert!(detections.iter().all(|d| d["right"] == true), "{detections:?}");
    assert_eq!(detections[0]["days_from_announcement"], 45);
    for figure in ["alarm_share", "episodes_per_series_year", "desk_alarms_per_month", "series_years"] {
        assert!(done[figure].as_f64().unwrap() > 0.0, "{figure}");
    }
}

#[test]
fn two_sides_corroborate_by_claims_and_by_intersection() {
    let person = with_korea();
    // The other side's own records: a plain table of what Japan exports to Korea.
    let mut table = String::from("period,reporter,partner,item,flow,value,unit,kg\n");
    for n in 0..55 {
        let (year, month) = (2015 + n / 12, n % 12 + 1);
        let kg = if n == 54 { 400_000 } else { 2_500_000 + 40_000 * (n % 7) };
        table.push_str(&format!("{year}-{month:02},JP,KR,281111000,export,{},JPY,{kg}\n", kg * 200));
    }
    std::fs::write(person.path("japan.csv"), table).unwrap();
    person.hiwar(&["radar", "import", "japan.csv", "--store", "japan", "--released", "2019-08-28"]).ok();
    let kr = ["--economy", "KR", "--as-of", "2019-08-15"];
    let jp = ["--economy", "JP", "--as-of", "2019-09-01", "--store", "japan"];
    let file = |args: &[&str], side: &[&str]| {
        person.hiwar(&[&["radar", "corroborate", "file"], args, side].concat())
    };
    file(&["ask", "--month", "2019-07", "-o", "q.json"], &kr).ok();
    let question = std::fs::read_to_string(person.path("q.json")).unwrap();
    assert!(!question.contains("kg") && !question.contains("529850"), "{question}");
    file(&["answer", "q.json", "--peer-economy", "CN", "-o", "a.json"], &jp).refused(&["asks as KR"]);
    file(&["answer", "q.json", "--peer-economy", "KR", "-o", "a.json"], &jp).ok();
    let read = file(&["read", "a.json", "--question", "q.json"], &[]).ok();
    assert!(read.out.contains("281111 from JP in 2019-07: drop – Mirror"), "{}", read.out);
    let rows = file(&["read", "a.json", "--format", "csv"], &[]).ok();
    assert!(rows.out.contains("JP,2019-09-01,JP,281111,2019-07,drop,mirror"), "{}", rows.out);
    file(&["read", "q.json"], &[]).refused(&["q.json", "cannot be read"]);

    // The exporter's alarm on its exports to the peer is the importer's alarm, in an intersection too.
    let month = ["--month", "2019-07"];
    let psi = |args: &[&str], side: &[&str]| file(&[args, &month].concat(), side);
    psi(&["psi-offer", "--secret", "kr.secret", "-o", "1.json"], &kr).ok();
    psi(&["psi-reply", "1.json", "--peer-economy", "KR", "--secret", "jp.secret", "-o", "2.json"], &jp).ok();
    let closed = file(&["psi-close", "2.json", "--secret", "kr.secret", "-o", "3.json"], &[]).ok();
    let learnt = file(&["psi-learn", "3.json", "--secret", "jp.secret"], &[]).ok();
    assert_eq!((closed.out.trim(), &closed.out), ("281111 from JP in 2019-07: drop", &learnt.out));
}

#[test]
fn stress_and_survival_are_told_with_their_units() {
    let person = Newcomer::new();
    let mut firms = String::from("firm,sector\n");
    let expected = std::fs::read_to_string(data("golden/esri_fig1_expected.csv")).unwrap();
    for line in expected.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        firms.push_str(&format!("{},{}\n", cells[0], cells[1]));
    }
    std::fs::write(person.path("firms.csv"), firms).unwrap();
    let edges = data("golden/esri_fig1_edges.csv");
    let found = person
        .hiwar(&[
            "radar",
            "stress",
            &edges,
            "--firms",
            "firms.csv",
            "--linear",
            "--no-replacement",
            "--format",
            "json",
        ])
        .ok()
        .json();
    let first = &found["firms"][0];
    assert_eq!(first["firm"], "7");
    assert!((first["esri"].as_f64().unwrap() - 0.7).abs() < 1e-9);
    let survive = person.hiwar(&["radar", "survive", &data("examples/etching-gas.json")]).ok();
    assert!(survive.out.contains("stops 42.0 days after gas plant fails"), "{}", survive.out);
}

#[test]
fn bad_tables_are_refused_with_file_line_and_field_and_nothing_is_stored() {
    let person = Newcomer::new();
    std::fs::write(
        person.path("wrong.csv"),
        "hsk10,country,year,month,exp_usd,exp_kg,imp_usd,imp_kg\n2811111000,Japan,2019,7,0,0,-5,1\n",
    )
    .unwrap();
    person.hiwar(&["radar", "import", "wrong.csv"]).refused(&["wrong.csv", "line 2", "imp_usd"]);
    std::fs::write(person.path("links.csv"), "supplier,buyer,weight\na,b,-1\n").unwrap();
    std::fs::write(person.path("firms.csv"), "firm,sector\na,1\nb,1\n").unwrap();
    person.hiwar(&["radar", "stress", "links.csv", "--firms", "firms.csv"]).refused(&["links.csv", "weight"]);
    person.hiwar(&["radar", "scan", "--store", "nowhere"]).refused(&["nowhere", "radar import"]);
    person.hiwar(&["radar", "scan", "--rule", "none"]).refused(&["none", "robust-36"]);
}

#[test]
fn nodes_of_two_countries_are_replayed_together_and_one_table_shows_how_importers_coincide() {
    let person = with_korea();
    let japan = data("japan-estat/japan_trade_area_goods_monthly_2009_01_2019_05.csv.gz");
    person.hiwar(&["radar", "import", &japan, "--received", "2019-07-01", "--store", "japan"]).ok();
    let shared = data("examples/shared-items-korea-japan.csv");
    let both =
        ["--member", "KR=.hiwar", "--member", "JP=japan", "--delay", "KR=15", "--shared-items", &shared];
    let federate = |nodes: &[&str], months: [&str; 2]| {
        let rest = ["--rule", "JP=yen-24-wide", "--delay", "JP=28", "--from", months[0], "--to", months[1]];
        person.hiwar(&[&["radar", "federate", "--format", "json"], nodes, &rest].concat()).ok().json()
    };
    let done = federate(&both, ["2014-08", "2014-09"]);
    // One answer each way: both import integrated circuits from Thailand, and both see the surge.
    for member in done["members"].as_array().unwrap() {
        assert_eq!(member["answers"]["joint"], 1, "{member}");
    }
    assert_eq!((&done["joint"]["surge"]["both"], &done["joint"]["drop"]["both"]), (&1.into(), &0.into()));
    // Three flows between the two are seen by both ends: two of Japan's exports, one of Korea's.
    assert_eq!(done["mirror"]["drop"]["judged"], 6);
    // In April 2011 many of Japan's customers see it at once.
    let events = data("events/japan-2011.json");
    let importers = ["--member", "JP=japan", "--importers-of", "JP", "--events", &events];
    let done = federate(&importers, ["2011-04", "2011-04"]);
    assert!(done["members"].as_array().unwrap().len() > 40);
    let count = |of: &str| done["joint"]["drop"][of].as_f64().unwrap();
    let single = (done["joint"]["drop"]["alarms"][0].as_f64().unwrap()
        + done["joint"]["drop"]["alarms"][1].as_f64().unwrap())
        / 2.0;
    assert!(
        count("both") > 100.0 && count("both") < single && single < count("judged") / 3.0,
        "{}",
        done["joint"]
    );
    for event in done["events"].as_array().unwrap() {
        assert_eq!((&event["joint"], &event["contrast"]), (&"2011-04".into(), &"2011-04".into()), "{event}");
    }
    person
        .hiwar(&[
            "radar",
            "federate",
            "--member",
            "KR=.hiwar",
            "--rule",
            "JP=yen-24",
            "--from",
            "2014-08",
            "--to",
            "2014-09",
        ])
        .refused(&["JP is no node"]);
}
