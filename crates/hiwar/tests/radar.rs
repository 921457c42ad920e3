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

/// World exports of hydrogen fluoride: .6 and .4, so .52; of photoresist .5, .3, .2, so .38.
const WORLD: &str = "t,i,j,k,v,q
2017,156,410,281111,60,1
2017,392,842,281111,40,NA
2017,392,410,370790,50,1
2017,842,410,370790,30,1
2017,56,842,370790,20,1
2018,156,410,281111,60,1
2018,392,842,281111,40,NA
2018,392,410,370790,50,1
2018,842,410,370790,30,1
2018,56,842,370790,20,1
";

#[test]
fn world_trade_and_supply_risk_are_judged_and_shown_in_every_form() {
    let person = with_korea();
    std::fs::write(person.path("world.csv"), WORLD).unwrap();
    // World supply is that of the world's exports: .36 · 5 · 1.2 + .16 · 2 = 2.48.
    std::fs::write(
        person.path("sr.toml"),
        "source = 'made up'\nversion = '1'\ndate = '2026-11-25'\ngovernance_else = 5.0\n[governance]\nCN = 5.0\nJP = 2.0\n\
         [[material]]\nitem = '281111'\nimport_reliance = 0.9\nrecycling = 0.0\nsubstitution = 0.98\ntrade = { CN = 1.2 }\n",
    )
    .unwrap();
    let ask = |more: &[&str]| {
        let base = ["radar", "depend", "--reporter", "KR", "--year", "2018", "--as-of", "2022-02-01"];
        person.hiwar(&[&base[..], more].concat())
    };
    let with = ["--world", "world.csv", "--sr", "sr.toml", "--format"];
    let made = ask(&[&with[..], &["json"]].concat()).ok().json();
    let entry = |item: &str| {
        made["book"]["entries"].as_array().unwrap().iter().find(|e| e["item"] == item).unwrap().clone()
    };
    let acid = entry("2811111000");
    assert_eq!((&acid["geodep"]["c2"], &acid["geodep"]["c4"]), (&"yes".into(), &"yes".into()));
    assert!((acid["world"]["hhi"].as_f64().unwrap() - 0.52).abs() < 1e-9);
    assert!((acid["supply_risk"]["hhi_global"].as_f64().unwrap() - 2.48).abs() < 1e-9);
    assert_eq!(acid["substitution"]["elasticity"]["hs1992_3"], "281");
    assert_eq!(entry("3707901010")["geodep"]["c4"], "no");
    assert_eq!(made["book"]["world"]["source"], "baci (world.csv)");
    assert_eq!(made["book"]["thresholds"]["spof-reach"]["own"], true);
    assert!(made["notes"][0].as_str().unwrap().contains("2 importers only"), "{}", made["notes"]);
    let table = ask(&[&with[..], &["table"]].concat()).ok().out;
    for said in [
        "world 281111: HHI 0.520",
        "our own cut",
        "sigma 1.58 (KOR, HS 1992 281",
        "SR ",
        "baci (world.csv)",
        "made up, version 1",
    ] {
        assert!(table.contains(said), "{said}: {table}");
    }
    let rows = ask(&[&with[..], &["csv"]].concat()).ok().out;
    let mut lines = rows.lines();
    assert!(lines.next().unwrap().contains("world_hhi,most_central") && rows.contains("hiwar-structure/1"));
    let page = ask(&[&with[..], &["html"]].concat()).ok().out;
    assert!(
        page.contains("<svg")
            && page.contains("2811111000 · HHI 0.45 from CN")
            && page.contains("Rules and sources")
    );
    // Without a table C2 is not decided, and the book says what it would need.
    let without = ask(&["--format", "table"]).ok().out;
    assert!(without.contains("C2 needs world trade: 1 of the store's economies"), "{without}");
    ask(&["--bloc", "EU"]).refused(&["KR is not a member of EU"]);
    std::fs::write(person.path("bad.csv"), "t,i,j,k,v,q\n2018,156,410,281111,many,1\n").unwrap();
    ask(&["--world", "bad.csv"]).refused(&["bad.csv", "line 2"]);
}

/// All members of the Union report coal; Germany and France also hydrogen fluoride. From outside:
/// China 60 + 20, USA 20, so .8² + .2² = .68; from inside 10, so 100 of 110; exports 30 + 10, so 100 / 40.
#[test]
fn the_union_s_core_dependency_indicators_come_from_comext() {
    let person = Newcomer::new();
    let mut table = String::from(
        "DECLARANT_ISO,PARTNER_ISO,TRADE_TYPE,PRODUCT_NC,FLOW,PERIOD,VALUE_IN_EUROS,QUANTITY_IN_KG,SUP_QUANTITY\n",
    );
    let members = "AT BE BG CY CZ DE DK EE EL ES FI FR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK";
    for month in 1..=12 {
        for member in members.split(' ') {
            table.push_str(&format!("{member},US,E,27011100,1,2021{month:02},5,1,0\n"));
        }
        for (row, value) in [
            ("DE,CN,E,28111100,1", 60),
            ("DE,FR,I,28111100,1", 10),
            ("FR,CN,E,28111100,1", 20),
            ("FR,US,E,28111100,1", 20),
            ("DE,US,E,28111100,2", 30),
            ("FR,DE,I,28111100,2", 10),
        ] {
            table.push_str(&format!("{row},2021{month:02},{value},1,0\n"));
        }
    }
    std::fs::write(person.path("full.dat"), table).unwrap();
    person.hiwar(&["radar", "import", "full.dat"]).ok();
    let ask = |reporter| {
        let args =
            ["radar", "depend", "--reporter", reporter, "--bloc", "EU", "--year", "2021", "--item", "2811"];
        person.hiwar(&[&args[..], &["--format", "json"]].concat()).ok().json()
    };
    let union = ask("EU");
    assert_eq!(
        union["notes"].as_array().unwrap().len(),
        1,
        "only that world trade is lacking: {}",
        union["notes"]
    );
    let cdi = &union["book"]["entries"][0]["cdi"];
    for (name, expected) in [("extra_hhi", 0.68), ("extra_share", 100.0 / 110.0), ("ratio", 2.5)] {
        assert!((cdi[name].as_f64().unwrap() - expected).abs() < 1e-9, "{name}: {cdi}");
    }
    for name in ["cdi1", "cdi2", "cdi3", "dependent"] {
        assert_eq!(cdi[name], "yes", "{name}");
    }
    assert_eq!(union["book"]["bloc"]["members"].as_array().unwrap().len(), 27);
    let germany = ask("DE");
    let cdi = &germany["book"]["entries"][0]["cdi"];
    assert!((cdi["extra_share"].as_f64().unwrap() - 60.0 / 70.0).abs() < 1e-9, "{cdi}");
}

#[test]
fn own_items_are_checked_shown_converted_and_make_a_book() {
    let person = with_korea();
    let list = "name = 'watched'\nversion = '2026-11'\n\n[[item]]\ncode = 'etch-acid'\nname = 'Etching acid'\n\
                link = [{ nomenclature = 'hs2022', code = '281111', share = 0.5 }, { nomenclature = 'eu-dual-use', code = '1C350' }]\n";
    std::fs::write(person.path("items.toml"), list).unwrap();
    std::fs::write(person.path("bad.toml"), list.replace("0.5", "5")).unwrap();
    let checked = person.hiwar(&["radar", "items", "check", "items.toml"]).ok();
    assert!(checked.out.contains("1 items, 2 links"), "{}", checked.out);
    person.hiwar(&["radar", "items", "check", "bad.toml"]).refused(&[
        "bad.toml",
        "line 4",
        "etch-acid",
        "at most 1",
    ]);
    let shown = person.hiwar(&["radar", "items", "show", "items.toml"]).ok();
    assert!(shown.out.contains("hs2022 281111, 0.5 of its trade"), "{}", shown.out);
    let turned =
        person.hiwar(&["radar", "items", "convert", "852411", "--from", "hs2022", "--to", "hs2012"]).ok();
    assert!(
        turned.out.contains("hs2022 852411 → hs2017 851712") && turned.out.contains("MIT"),
        "{}",
        turned.out
    );
    let controlled = person
        .hiwar(&[
            "radar",
            "items",
            "convert",
            "281111",
            "--from",
            "hs2022",
            "--to",
            "eu-dual-use",
            "--list",
            "items.toml",
        ])
        .ok();
    assert!(controlled.out.contains("eu-dual-use 1C350 through etch-acid"), "{}", controlled.out);
    person
        .hiwar(&["radar", "items", "convert", "281111", "--from", "hs2007", "--to", "hs2022"])
        .refused(&["hs2007"]);
    let lists = person.hiwar(&["radar", "items", "list", "--format", "csv"]).ok();
    assert!(lists.out.contains("sigma-hs0") && lists.out.contains(",11293,"), "{}", lists.out);
    let made = person
        .hiwar(&[
            "radar",
            "depend",
            "--reporter",
            "KR",
            "--year",
            "2018",
            "--items",
            "items.toml",
            "--format",
            "json",
        ])
        .ok()
        .json();
    let entry = &made["book"]["entries"][0];
    // Half of the trade of the code, in the same shares: 159.4 million (see the book of 2018) by 2.
    assert_eq!(entry["item"], "etch-acid");
    assert!((entry["by_value"]["total"].as_f64().unwrap() / 1e6 - 79.7).abs() < 0.05, "{entry}");
    assert!((entry["by_value"]["hhi"].as_f64().unwrap() - 0.450).abs() < 0.0006);
    let under = made["items"]["found"]["etch-acid"].as_array().unwrap();
    assert!(under.iter().any(|f| f["how"] == "hs2022 281111 → hs2017 281111"), "{under:?}");
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
    assert!(survive.out.contains("gas plant → gas purifier → memory fab"), "{}", survive.out);
}

/// The files of the example network, as arguments of `stress`.
fn example() -> Vec<String> {
    ["radar", "stress"]
        .map(str::to_owned)
        .into_iter()
        .chain([
            data("examples/links.csv"),
            "--firms".to_owned(),
            data("examples/firms.csv"),
            "--essentiality".to_owned(),
            data("examples/essentiality.csv"),
        ])
        .collect()
}

fn stress(person: &Newcomer, more: &[&str]) -> newcomer::Done {
    let example = example();
    let args: Vec<&str> = example.iter().map(String::as_str).chain(more.iter().copied()).collect();
    person.hiwar(&args)
}

#[test]
fn one_cascade_is_told_round_by_round_with_the_two_directions_apart() {
    let person = Newcomer::new();
    let told = stress(&person, &["--cascade", "purifier", "--format", "json"]).ok().json();
    let reached = told["cascades"][0]["reached"].as_array().unwrap();
    let of = |firm: &str, direction: &str| {
        reached.iter().find(|r| r["firm"] == firm && r["direction"] == direction).unwrap()
    };
    // The purifier is the only source of etching gas, which memory needs; phones need memory.
    let (fab, phone) = (of("memory fab", "down"), of("phone maker A", "down"));
    assert_eq!((fab["round"].as_u64(), fab["lost"].as_f64()), (Some(1), Some(1.0)));
    assert_eq!((phone["round"].as_u64(), phone["by"].as_str()), (Some(2), Some("memory fab")));
    // Gas maker B sells 1 of its 4 to the purifier.
    assert_eq!(of("gas maker B", "up")["lost"], 0.25);
    let csv = stress(&person, &["--cascade", "purifier", "--format", "csv"]).ok();
    assert!(csv.out.starts_with("fails,direction,round,firm,lost,of_all,by\npurifier,down,1,memory fab,1,"));
    let page = stress(&person, &["--cascade", "purifier", "--format", "html"]).ok();
    assert!(page.out.contains("<svg") && page.out.contains("Upstream: suppliers that lose orders"));
    stress(&person, &["--cascade", "nobody"]).refused(&["nobody", "firms.csv"]);
}

#[test]
fn an_outage_is_followed_day_by_day_until_the_network_has_recovered() {
    let person = Newcomer::new();
    let args = ["--path", "purifier:1:150", "--days", "900", "--format", "json"];
    let told = stress(&person, &args).ok().json();
    assert_eq!(told["output"].as_array().unwrap().len(), 900);
    let (trough, back) = (told["trough"]["day"].as_u64().unwrap(), told["recovered_day"].as_u64().unwrap());
    assert!(trough < back && back < 900, "{trough} {back}");
    assert!(told["lost_network_days"].as_f64().unwrap() > 0.0);
    assert!(told["assumptions"].as_array().unwrap().iter().all(|a| a["unit"].is_string()));
    // The purifier itself makes nothing for 150 days, and its customer has enough for the first 18: ψ · 90 = 72 days.
    let followed = told["followed"].as_array().unwrap();
    let output =
        |firm: &str| followed.iter().find(|f| f["firm"] == firm).unwrap()["output"].as_array().unwrap();
    assert!(
        output("purifier")[..150].iter().all(|s| s == 0.0) && output("purifier")[150].as_f64() > Some(0.9)
    );
    assert!(output("memory fab")[17].as_f64() > Some(0.9) && output("memory fab")[60].as_f64() < Some(0.7));
    let larger = ["--path", "purifier:1:150", "--days", "900", "--target-days", "200", "--format", "json"];
    let larger = stress(&person, &larger).ok().json();
    assert!(larger["lost_network_days"].as_f64() < told["lost_network_days"].as_f64(), "stocks help");
    let csv = stress(&person, &["--path", "purifier", "--days", "10", "--format", "csv"]).ok();
    assert!(csv.out.starts_with("of,firm,day,output\nnetwork,,0,"));
    let page = stress(&person, &["--path", "purifier", "--format", "html"]).ok();
    assert!(page.out.contains("<polyline") && page.out.contains("Hallegatte 2014"));
    for (wrong, words) in [
        (&["--path", "nobody"][..], &["nobody", "firms.csv"][..]),
        (&["--path", "purifier:2"], &["purifier:2", "0 to 1"]),
        (&["--path", "purifier:1:0"], &["purifier:1:0", "days"]),
        (&["--path", "purifier", "--days", "0"], &["--days 0"]),
        (&["--path", "purifier", "--psi", "2"], &["psi"]),
    ] {
        stress(&person, wrong).refused(words);
    }
}

#[test]
fn nothing_held_back_gives_the_same_indices_and_a_second_source_is_shown_in_every_form() {
    let person = Newcomer::new();
    let esri = |more: &[&str]| {
        let told = stress(&person, &[more, &["--format", "json"]].concat()).ok().json();
        assert!(told["source"].as_str().unwrap().contains("Diem"));
        (told["tolerance"].as_f64().unwrap(), told["firms"][0]["esri"].as_f64().unwrap())
    };
    let ((held, a), (exact, b)) = (esri(&[]), esri(&["--exact"]));
    assert!(held > 0.0 && exact == 0.0 && (a - b).abs() < 1e-6);
    let edit = ["--second-source", "memory fab:wafer maker A:wafer maker B:0.5"];
    let json = stress(&person, &[&edit[..], &["--format", "json"]].concat()).ok().json();
    let first = &json["firms"][0];
    assert_eq!(first["firm"], "wafer maker A");
    assert!(first["after"].as_f64() < first["before"].as_f64(), "{first}");
    let csv = stress(&person, &[&edit[..], &["--format", "csv"]].concat()).ok();
    assert!(csv.out.starts_with("firm,before,after\nwafer maker A,"));
    assert!(stress(&person, &[&edit[..], &["--format", "html"]].concat()).ok().out.contains("<svg"));
    stress(&person, &["--second-source", "memory fab:purifier:0.5"]).refused(&["BUYER:FROM:TO:SHARE"]);
    stress(&person, &["--second-source", "memory fab:car maker:purifier:0.5"])
        .refused(&["does not supply it"]);
}

#[test]
fn survival_is_told_by_both_ways_and_a_wrong_bill_is_refused_with_its_line() {
    let person = Newcomer::new();
    let file = data("examples/etching-gas.json");
    let told = person.hiwar(&["radar", "survive", &file, "--format", "json"]).ok().json();
    let gas = told["failures"].as_array().unwrap().iter().find(|f| f["fails"] == "gas plant").unwrap();
    // 30 and 12 days of stock on the way; back after 90; one unit a day is lost in between.
    assert_eq!((gas["tts_days"].as_f64(), gas["ttr_days"].as_f64()), (Some(42.0), Some(90.0)));
    assert!((gas["tts_programme_days"].as_f64().unwrap() - 42.0).abs() < 1e-6);
    assert!((gas["loss"].as_f64().unwrap() - 48.0).abs() < 1e-6 && gas["warning"] == true);
    let hidden = &told["watched"][0]["common_causes"][0];
    assert_eq!((hidden["name"].as_str(), hidden["hidden"].as_bool()), (Some("JPNGS"), Some(true)));
    assert_eq!(told["watched"][0]["inputs"][2]["disjoint_ways"], 2);
    let csv = person.hiwar(&["radar", "survive", &file, "--format", "csv"]).ok();
    assert!(csv.out.starts_with("kind,fails,ttr_days,") && csv.out.lines().count() == 8, "{}", csv.out);
    let page = person.hiwar(&["radar", "survive", &file, "--format", "html"]).ok();
    assert!(page.out.contains("Who needs what from whom") && page.out.contains("single point of failure"));
    for (text, words) in [
        ("{\"nodes\": [\n {\"name\": \"a\", \"product\": \"p\", \"colour\": 1}]}", &["line 2", "colour"][..]),
        (
            "{\"nodes\": [\n {\"name\": \"a\", \"product\": \"p\", \"ttr_days\": -1}]}",
            &["line 2", "ttr_days is -1", "not negative"],
        ),
        (
            "{\"nodes\": [\n {\"name\": \"a\", \"product\": \"p\"}]}",
            &["no node is watched", "\"watch\": true"],
        ),
    ] {
        std::fs::write(person.path("bill.json"), text).unwrap();
        person.hiwar(&["radar", "survive", "bill.json"]).refused(&[&["bill.json"], words].concat());
    }
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
