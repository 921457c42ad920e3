//! Two ministries exchange a table under a contract, with the commands of the README.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a story stops where it cannot go on")]

mod newcomer;

use newcomer::Ministries;
use serde_json::Value;
use std::path::PathBuf;

const OPEN: &str = r#"{ "permit": { "use": {} } }"#;
const FOR_A_PURPOSE: &str = r#"{ "permit": { "use": { "purposes": ["supply-chain-monitoring"] } } }"#;
const NOT_FOR_METI: &str = r#"{ "permit": { "use": { "participants": ["did:web:somebody.example"] } } }"#;

fn file(both: &Ministries, name: &str, text: &str) -> PathBuf {
    let path = both.person.path(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn did(both: &Ministries, name: &str) -> String {
    let config = std::fs::read_to_string(both.person.path(name).join("hiwar.toml")).unwrap();
    config.lines().find_map(|l| l.strip_prefix("did = \"")?.strip_suffix('"')).unwrap().to_owned()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_table_offered_by_one_ministry_arrives_at_the_other_under_an_agreement_that_both_hold() {
    let both = Ministries::introduced();
    let dataset = both.offered(OPEN, "month,kg\n2019-07,12\n");
    let motie = did(&both, "motie");
    let catalog = json(&both.meti(&["data", "catalog", &motie, "--format", "json"]).ok().out);
    assert_eq!(catalog["datasets"][0]["@id"], dataset.as_str());
    let agreement = both.meti(&["data", "negotiate", &motie, &dataset]).ok().out.trim().to_owned();
    let held = |out: &str| json(out)["agreements"][0]["agreement"].clone();
    let at_meti = held(&both.meti(&["data", "agreements", "--format", "json"]).ok().out);
    assert_eq!(at_meti["@id"], agreement.as_str());
    assert_eq!(at_meti, held(&both.motie(&["data", "agreements", "--format", "json"]).ok().out));
    let to = both.person.path("received.csv");
    let pulled = both.meti(&["data", "pull", &agreement, "-o", to.to_str().unwrap()]).ok();
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "month,kg\n2019-07,12\n");
    assert!(pulled.out.contains("received.csv"), "{}", pulled.out);
    let transfers = json(&both.meti(&["data", "transfers", "--format", "json"]).ok().out);
    assert_eq!(transfers["transfers"][0]["content"]["bytes"], 20, "{transfers}");
}

#[test]
fn a_negotiation_that_the_terms_forbid_says_which_rule_and_what_would_satisfy_it() {
    let both = Ministries::introduced();
    let dataset = both.offered(FOR_A_PURPOSE, "x\n");
    let motie = did(&both, "motie");
    let refused = both.meti(&["data", "negotiate", &motie, &dataset]).ends_with(1);
    assert!(
        refused.err.contains("TERMINATED") && refused.err.contains("supply-chain-monitoring"),
        "{}",
        refused.err
    );
    let theirs = json(&both.motie(&["data", "negotiations", "--format", "json"]).ok().out);
    let pid = theirs["negotiations"][0]["pid"].as_str().unwrap().to_owned();
    let told = both.motie(&["data", "explain", &pid]).ok().out;
    assert!(told.contains("what would satisfy it") && told.contains("purpose"), "{told}");
    both.meti(&["data", "negotiate", &motie, &dataset, "--purpose", "supply-chain-monitoring"]).ok();
}

#[test]
fn what_is_not_for_a_participant_is_not_shown_to_it() {
    let both = Ministries::introduced();
    let dataset = both.offered(NOT_FOR_METI, "x\n");
    let motie = did(&both, "motie");
    let catalog = json(&both.meti(&["data", "catalog", &motie, "--format", "json"]).ok().out);
    assert_eq!(catalog["datasets"].as_array().map(Vec::len), Some(0), "{catalog}");
    both.meti(&["data", "negotiate", &motie, &dataset]).refused(&["is offered to you"]);
}

#[test]
fn after_an_agreement_is_ended_no_data_can_be_had_under_it() {
    let both = Ministries::introduced();
    let dataset = both.offered(OPEN, "x\n");
    let motie = did(&both, "motie");
    let agreement = both.meti(&["data", "negotiate", &motie, &dataset]).ok().out.trim().to_owned();
    both.motie(&["data", "end", &agreement, "--reason", "the project is over"]).ok();
    let to = both.person.path("never.csv");
    both.meti(&["data", "pull", &agreement, "-o", to.to_str().unwrap()]).refused(&["the project is over"]);
    assert!(!to.exists());
}

#[test]
fn a_negotiation_goes_on_where_it_was_after_either_node_was_killed() {
    let mut both = Ministries::introduced();
    let dataset = both.offered(OPEN, "x\n");
    let motie = did(&both, "motie");
    both.kill("motie");
    let before = both.meti(&["data", "negotiate", &motie, &dataset, "--wait", "0"]);
    assert_eq!(before.code, 1, "{}", before.err);
    both.start("motie");
    for _ in 0..3 {
        both.meti(&["data", "negotiate", &motie, &dataset, "--wait", "0"]);
        both.kill("motie");
        both.start("motie");
        both.kill("meti");
        both.start("meti");
    }
    let states = |both: &Ministries| {
        let all = json(&both.meti(&["data", "negotiations", "--format", "json"]).ok().out);
        all["negotiations"].as_array().unwrap().iter().map(|n| n["state"].clone()).collect::<Vec<_>>()
    };
    newcomer::until("every negotiation is finalized", || states(&both).iter().all(|s| s == "FINALIZED"));
    let count = |out: String| json(&out)["agreements"].as_array().unwrap().len();
    let at_meti = count(both.meti(&["data", "agreements", "--format", "json"]).ok().out);
    newcomer::until("both hold the same agreements", || {
        count(both.motie(&["data", "agreements", "--format", "json"]).ok().out) == at_meti
    });
}

#[test]
fn terms_that_cannot_be_kept_are_refused_before_anything_is_offered() {
    let both = Ministries::introduced();
    let table = file(&both, "table.csv", "x\n");
    let terms = file(&both, "terms.json", "{\n  \"permit\": { \"use\": { \"countries\": [\"UK\"] } }\n}");
    let args = ["data", "offer", table.to_str().unwrap(), "--terms", terms.to_str().unwrap(), "--title", "T"];
    both.motie(&args).refused(&["line 2", "UK", "GB"]);
    let listed = json(&both.motie(&["data", "datasets", "--format", "json"]).ok().out);
    assert_eq!(listed["datasets"].as_array().map(Vec::len), Some(0));
}

#[test]
fn many_datasets_are_offered_at_once_all_of_them_or_none() {
    let both = Ministries::introduced();
    file(&both, "table.csv", "x\n");
    let terms = file(&both, "terms.json", OPEN);
    let line = |id: u32, path: &str| {
        format!(r#"{{"id":"urn:t:{id}","title":"Table {id}","path":"{path}","keywords":["hs:281111"]}}"#)
    };
    let offer = |list: &PathBuf| {
        both.motie(&["data", "offer-many", list.to_str().unwrap(), "--terms", terms.to_str().unwrap()])
    };
    let wrong = file(&both, "wrong.jsonl", &[line(1, "table.csv"), line(2, "absent.csv")].join("\n"));
    offer(&wrong).refused(&["line 2", "absent.csv"]);
    let shown = |both: &Ministries| {
        let listed = json(&both.meti(&["data", "catalog", &did(both, "motie"), "--format", "json"]).ok().out);
        listed["datasets"].as_array().unwrap().len()
    };
    assert_eq!(shown(&both), 0);
    let right: Vec<String> = (0..120).map(|n| line(n, "table.csv")).collect();
    offer(&file(&both, "right.jsonl", &right.join("\n"))).ok();
    assert_eq!(shown(&both), 120);
}
