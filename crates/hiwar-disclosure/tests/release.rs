//! Releases over time, proofs of releases, alerts, messages.
#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;

use hiwar_disclosure::alert::{Alert, NoAlert};
use hiwar_disclosure::release::NoProof;
use hiwar_disclosure::{
    Blinding, CellId, Code, Context, Design, Party, Refusal, Release, Report, Table, protect, revise,
};
use serde_json::json;

fn design() -> Design {
    let codes = |leaves: &[&str]| {
        let leaves = leaves.iter().map(|leaf| json!({ "code": leaf, "within": "_T" }));
        leaves.chain([json!({ "code": "_T" })]).collect::<Vec<_>>()
    };
    Design::read(&json!({ "agency": "KR", "dataset": "STOCK", "version": "1.0", "unit": "KGM", "sign": "non-negative",
        "dimensions": [{ "id": "ITEM", "codes": codes(&["HF", "NEON"]) }, { "id": "REGION", "codes": codes(&["N", "S"]) }],
        "rules": { "version": "1", "minimum_frequency": 3, "frequency_range": "10", "p_percent": "10" } }))
    .unwrap()
}

fn context() -> Context {
    let (dataset, unit) = ("STOCK".parse().unwrap(), "KGM".parse().unwrap());
    Context { dataset, period: "2026-03".parse().unwrap(), unit }
}

fn report(firm: usize, item: &str, region: &str, value: i64, blinding: u64) -> Report {
    let mut random = [7u8; 64];
    random[..8].copy_from_slice(&blinding.to_le_bytes());
    let blinding = Blinding::new(&random);
    Report::read(&json!({ "firm": format!("firm-{firm}"), "dataset": "STOCK", "period": "2026-03", "unit": "KGM", "value": value,
        "dimensions": { "ITEM": item, "REGION": region },
        "commitment": context().commit(value, &blinding).to_hex(), "blinding": blinding.to_hex() }))
    .unwrap()
}

/// Four leaves; in each the firms' values, of which `changes` adds some.
fn table(changes: &[(usize, &str, &str, i64)]) -> Table {
    let leaves: [(&str, &str, &[i64]); 4] = [
        ("HF", "N", &[500, 20, 10, 8]),
        ("HF", "S", &[100, 90, 80, 70, 60]),
        ("NEON", "N", &[90, 85, 80, 75, 65]),
        ("NEON", "S", &[100, 95, 85, 80, 70]),
    ];
    let mut values: BTreeMap<(usize, &str, &str), i64> = BTreeMap::new();
    for (item, region, given) in leaves {
        values.extend(given.iter().enumerate().map(|(firm, &value)| ((firm, item, region), value)));
    }
    for &(firm, item, region, by) in changes {
        *values.entry((firm, item, region)).or_default() += by;
    }
    let reports: Vec<Report> = values
        .into_iter()
        .zip(1..)
        .map(|(((firm, item, region), value), seed)| report(firm, item, region, value, seed))
        .collect();
    Table::build(&design(), "2026-03".parse().unwrap(), &reports, &BTreeMap::new()).unwrap()
}

fn cell(table: &Table, item: &str, region: &str) -> CellId {
    table.find(&[item, region].map(|code| code.parse::<Code>().unwrap())).unwrap()
}

fn value(release: &Release<'_>, table: &Table, item: &str, region: &str) -> Option<i64> {
    release.value(cell(table, item, region))
}

#[test]
fn a_single_late_report_waits_until_others_come_too() {
    let first = table(&[]);
    let release = protect(&first).unwrap();
    assert_eq!(value(&release, &first, "HF", "N"), None);
    assert_eq!(value(&release, &first, "_T", "_T"), Some(1763));
    // One firm comes late: the difference of two totals would be its value, to the kilogram.
    let one = table(&[(7, "NEON", "S", 40)]);
    assert!(protect(&one).is_ok(), "by itself the new table is safe");
    let refused = revise(&[&release], &one).unwrap_err();
    assert!(matches!(refused, Refusal::Changed { .. }), "{refused}");
    // Two: each would learn the other's.
    let two = table(&[(7, "NEON", "S", 40), (8, "NEON", "S", 35)]);
    assert!(matches!(revise(&[&release], &two), Err(Refusal::Changed { .. })));
    // Four of like size tell nothing of one.
    let late = [(7, "NEON", "S", 40), (8, "NEON", "S", 35), (9, "NEON", "S", 30), (10, "NEON", "S", 30)];
    let four = table(&late);
    let refused = revise(&[&release], &four).err();
    let second = revise(&[&release], &four).unwrap_or_else(|_| panic!("{refused:?}"));
    assert_eq!(value(&second, &four, "_T", "_T"), Some(1763 + 135));
    // A correction by one firm after that waits again, and also against the first release.
    let corrected = table(&[&late[..], &[(0, "NEON", "S", -5)]].concat());
    assert!(matches!(revise(&[&release, &second], &corrected), Err(Refusal::Changed { .. })));
    // Nothing changed: it may be released again.
    assert!(revise(&[&release, &second], &four).is_ok());
}

#[test]
fn a_revision_of_something_else_is_refused() {
    let first = table(&[]);
    let release = protect(&first).unwrap();
    let mut design = design();
    design.rules.minimum_frequency = 4;
    let other = Table::build(&design, "2026-03".parse().unwrap(), &[], &BTreeMap::new()).unwrap();
    assert_eq!(revise(&[&release], &other).err(), Some(Refusal::Other));
    assert_eq!(revise(&[], &first).err(), Some(Refusal::Other));
}

#[test]
fn released_cells_have_proofs_and_gaps_have_none() {
    let table = table(&[]);
    let release = protect(&table).unwrap();
    for (id, total) in table.cells() {
        match release.value(id) {
            None => assert_eq!(release.prove(id).unwrap_err(), NoProof::NotReleased),
            Some(value) => {
                assert_eq!(value, total);
                let proof = release.prove(id).unwrap();
                assert_eq!(proof.verify(), Ok(()));
                assert_eq!(proof.total, total);
            }
        }
    }
    let all = release.prove(cell(&table, "_T", "_T")).unwrap();
    assert_eq!(all.commitments.len(), 19);
}

#[test]
fn a_blinding_factor_used_twice_stops_all_proofs() {
    let reports: Vec<Report> =
        (0..5).map(|firm| report(firm, "HF", "N", 10, u64::from(firm > 1) * firm as u64)).collect();
    let table = Table::build(&design(), "2026-03".parse().unwrap(), &reports, &BTreeMap::new()).unwrap();
    let release = protect(&table).unwrap();
    assert_eq!(release.prove(cell(&table, "_T", "_T")).unwrap_err(), NoProof::Reused);
}

#[test]
fn firms_of_one_group_are_one_contributor() {
    let reports: Vec<Report> = (0..4).map(|firm| report(firm, "HF", "N", 10, firm as u64)).collect();
    let period = "2026-03".parse().unwrap();
    let apart = Table::build(&design(), period, &reports, &BTreeMap::new()).unwrap();
    assert_eq!(apart.unsafe_by(cell(&apart, "HF", "N")), None);
    let group: Party = "holding".parse().unwrap();
    let groups: BTreeMap<Party, Party> =
        (0..3).map(|firm| (format!("firm-{firm}").parse().unwrap(), group.clone())).collect();
    let held = Table::build(&design(), period, &reports, &groups).unwrap();
    assert!(held.unsafe_by(cell(&held, "HF", "N")).is_some());
}

#[test]
fn reports_that_do_not_fit_are_all_told() {
    let mut wrong = report(0, "HF", "N", 10, 1);
    wrong.value = 11;
    let reports = [
        report(1, "HF", "N", 5, 2),
        report(1, "HF", "N", 5, 3),
        wrong,
        report(2, "_T", "N", 5, 4),
        report(3, "HF", "N", -5, 5),
    ];
    let faults = Table::build(&design(), "2026-03".parse().unwrap(), &reports, &BTreeMap::new()).unwrap_err();
    let found: Vec<&str> = faults.0.iter().map(|fault| fault.code).collect();
    assert_eq!(found, ["disclosure-twice", "disclosure-opening", "disclosure-no-leaf", "disclosure-sign"]);
    let faults =
        Report::read(&json!({ "firm": "", "value": 1.5, "dimensions": [], "blinding": "00", "x": 1 }));
    assert_eq!(faults.unwrap_err().0.len(), 8);
}

#[test]
fn an_alert_speaks_of_many_and_leaves_many_out() {
    let days = [3, 4, 5, 20, 30, 40, 2];
    let derive = |reports: &[Report], least: u32| {
        let within = ["HF", "_T"].map(|code| code.parse::<Code>().unwrap());
        Alert::derive(&design(), "2026-03".parse().unwrap(), reports, &BTreeMap::new(), &within, 14, least)
    };
    let reports: Vec<Report> =
        days.iter().enumerate().map(|(firm, &value)| report(firm, "HF", "N", value, firm as u64)).collect();
    let alert = derive(&reports, 3).unwrap().to_json();
    assert_eq!((alert["below"].as_i64(), alert["atLeast"].as_u64()), (Some(14), Some(3)));
    assert!(!alert.to_string().contains("firm"));
    assert_eq!(derive(&reports, 2), Err(NoAlert::TooFewAsked { least: 3 }));
    assert_eq!(derive(&reports, 5), Err(NoAlert::NotReached));
    // Only two are not below: the alert would nearly name the others.
    assert_eq!(derive(&[&reports[..5], &reports[6..]].concat(), 3), Err(NoAlert::NearlyAll));
}

#[test]
fn every_message_is_there_in_all_languages() {
    let messages = hiwar_disclosure::messages();
    messages.check().unwrap();
    let sources = concat!(
        include_str!("../src/code.rs"),
        include_str!("../src/design.rs"),
        include_str!("../src/fault.rs"),
        include_str!("../src/proof.rs"),
        include_str!("../src/protect.rs"),
        include_str!("../src/report.rs"),
        include_str!("../src/rules.rs"),
        include_str!("../src/sdmx.rs"),
        include_str!("../src/table.rs")
    );
    let keys: Vec<&str> = sources.split('"').filter(|text| text.starts_with("disclosure-")).collect();
    assert!(keys.len() > 60);
    for key in keys {
        assert!(messages.has(key), "{key}");
    }
    let faults = Report::read(&json!({ "firm": "a", "dataset": "1", "period": "x" })).unwrap_err();
    let said = faults.say(&messages, hiwar_form::Language::En);
    assert!(said.contains("period: \"x\" is no period"), "{said}");
    assert!(!said.contains("{$"), "{said}");
}
