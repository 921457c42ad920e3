//! Agreements and transfers stand in the signed log of both participants.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a story stops where it cannot go on")]

mod newcomer;

use hiwar_dataspace::ledger::{Ledger as _, Note};
use hiwar_store::dataspace::DataspaceStore;
use newcomer::{Ministries, until, whole_file};
use serde_json::Value;

const OPEN: &str = r#"{ "permit": { "use": {} } }"#;
const TABLE: &str = "month,kg\n2019-07,12\n";

fn negotiated(both: &Ministries, dataset: &str) -> String {
    both.meti(&["data", "negotiate", &both.motie_did, dataset]).ok().word()
}

/// What of a list is on a node.
fn listed(both: &Ministries, node: &str, what: &str) -> Vec<Value> {
    let listed = both.person.at(node, &["data", what, "--format", "json"]).ok().json();
    listed[what].as_array().unwrap().clone()
}

/// Waits until the first of a list has an entry in the node's log, and returns the entry.
fn entry_of(both: &Ministries, node: &str, what: &str, dialogue: &str) -> Value {
    let mut entry = Value::Null;
    until("the fact is in the log", || {
        entry = listed(both, node, what)[0]["entry"].clone();
        !entry.is_null()
    });
    both.arrived(node, dialogue, entry.as_str().unwrap())
}

/// The digest of the one file that an entry carries.
fn file_of(entry: &Value) -> String {
    let files = entry["entry"]["attachments"].as_array().unwrap();
    assert_eq!(files.len(), 1, "{entry}");
    files[0]["sha256"].as_str().unwrap().to_owned()
}

/// How many entries of a dialogue, as a node holds it, the dataspace of either participant has made.
fn made_by_the_dataspace(both: &Ministries, node: &str, dialogue: &str) -> usize {
    let shown = both.person.at(node, &["dialogue", "show", dialogue, "--format", "json"]).ok().json();
    let entries = shown["entries"].as_array().unwrap();
    entries.iter().filter(|e| e["entry"]["desk"] == "dataspace").count()
}

#[test]
fn both_participants_log_the_same_agreement_and_the_hash_of_what_was_transferred() {
    let (both, dialogue) = Ministries::talking();
    let dataset = both.offered(OPEN, TABLE);
    let agreement = negotiated(&both, &dataset);
    let to = both.person.path("received.csv");
    both.meti(&["data", "pull", &agreement, "-o", to.to_str().unwrap()]).ok();

    let at_motie = entry_of(&both, "motie", "agreements", &dialogue);
    let at_meti = entry_of(&both, "meti", "agreements", &dialogue);
    assert_eq!(file_of(&at_motie), file_of(&at_meti), "both say the same, byte for byte");
    assert_ne!(at_motie["entry"]["id"], at_meti["entry"]["id"], "each says it under its own signature");
    let document = std::fs::read(whole_file(&both.person.path("meti"), &file_of(&at_meti))).unwrap();
    let document: Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(document["agreement"]["@id"], agreement.as_str());
    assert_eq!(document["agreement"]["target"], dataset.as_str());
    for language in ["en", "ko", "ja", "ar"] {
        let words = at_meti["entry"]["data"]["texts"][language].as_str().unwrap();
        assert!(words.contains(&agreement), "{language}: {words}");
    }

    let transfer = entry_of(&both, "meti", "transfers", &dialogue);
    let document = std::fs::read(whole_file(&both.person.path("meti"), &file_of(&transfer))).unwrap();
    let document: Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(document["agreement"], agreement.as_str());
    assert_eq!(document["sha256"], hiwar_trust::hash::Hash::of(TABLE.as_bytes()).to_string());
    assert_eq!(document["bytes"], 20);

    both.motie(&["data", "end", &agreement, "--reason", "the project is over"]).ok();
    let mut ended = Value::Null;
    until("the end is in the log", || {
        ended = listed(&both, "motie", "agreements")[0]["end_entry"].clone();
        !ended.is_null()
    });
    let told = both.arrived("meti", &dialogue, ended.as_str().unwrap());
    let words = told["entry"]["data"]["texts"]["en"].as_str().unwrap();
    assert!(words.contains("the project is over") && words.contains(&both.motie_did), "{words}");
}

#[test]
fn an_agreement_made_before_there_was_a_dialogue_is_logged_when_one_is_opened() {
    let both = Ministries::introduced();
    let dataset = both.offered(OPEN, TABLE);
    negotiated(&both, &dataset);
    assert!(listed(&both, "motie", "agreements")[0]["entry"].is_null());
    let dialogue = both.open();
    both.wait_for_dialogue("meti", 1);
    both.meti(&["dialogue", "assent", &dialogue]).ok();
    assert_eq!(
        file_of(&entry_of(&both, "motie", "agreements", &dialogue)),
        file_of(&entry_of(&both, "meti", "agreements", &dialogue))
    );
}

#[test]
fn an_agreement_is_logged_once_also_when_the_node_was_killed_in_between() {
    let (mut both, dialogue) = Ministries::talking();
    let dataset = both.offered(OPEN, TABLE);
    let agreement = negotiated(&both, &dataset);
    let entry = entry_of(&both, "motie", "agreements", &dialogue)["entry"]["id"].clone();
    // Meanwhile another dialogue becomes the one for what the dataspace says.
    let other = both.open();
    both.wait_for_dialogue("meti", 2);
    both.meti(&["dialogue", "assent", &other]).ok();
    until("the assent to arrive", || {
        both.motie(&["dialogue", "list"]).ok().out.matches("  open  ").count() == 2
    });
    both.kill("motie");
    let config = both.person.path("motie").join("hiwar.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n[dataspace]\ndialogue = \"{other}\"\n")).unwrap();
    // As if the kill had come after the log's commit and before the dataspace's: the fact still waits.
    let mut store = DataspaceStore::open(&both.person.path("motie")).unwrap();
    store.job(|tx| tx.note(&Note::Agreed { agreement })).unwrap();
    store.commit().unwrap();
    drop(store);
    both.start("motie");
    until("nothing waits for the log any more", || {
        let reader = hiwar_store::dataspace::DataspaceReader::open(&both.person.path("motie")).unwrap();
        reader.notes_waiting(0, 1).unwrap().is_empty()
    });
    assert_eq!(listed(&both, "motie", "agreements")[0]["entry"], entry);
    entry_of(&both, "meti", "agreements", &dialogue);
    until("the entries of both are on both", || made_by_the_dataspace(&both, "motie", &dialogue) >= 2);
    assert_eq!(made_by_the_dataspace(&both, "motie", &dialogue), 2);
    assert_eq!(made_by_the_dataspace(&both, "motie", &other), 0);
}

#[test]
fn kills_while_agreements_come_in_neither_lose_nor_double_an_entry() {
    let (mut both, dialogue) = Ministries::talking();
    let dataset = both.offered(OPEN, TABLE);
    for round in 0..6 {
        both.meti(&["data", "negotiate", &both.motie_did, &dataset, "--wait", "0"]);
        let node = if round % 2 == 0 { "motie" } else { "meti" };
        both.kill(node);
        both.start(node);
    }
    until("every negotiation is an agreement that both have logged", || {
        ["motie", "meti"].iter().all(|node| {
            let agreements = listed(&both, node, "agreements");
            agreements.len() == 6 && agreements.iter().all(|a| !a["entry"].is_null())
        })
    });
    for node in ["motie", "meti"] {
        until("the other's entries have come", || made_by_the_dataspace(&both, node, &dialogue) >= 12);
        assert_eq!(made_by_the_dataspace(&both, node, &dialogue), 12);
    }
}

/// What a person does about a transfer: `data explain`, in JSON.
fn kept(both: &Ministries, transfer: &str) -> Value {
    both.meti(&["data", "explain", transfer, "--format", "json"]).ok().json()["transfer"].take()
}

fn document(both: &Ministries, node: &str, entry: &Value) -> Value {
    let sha256 = file_of(entry);
    serde_json::from_slice(&std::fs::read(whole_file(&both.person.path(node), &sha256)).unwrap()).unwrap()
}

#[test]
fn what_is_due_to_be_deleted_is_deleted_also_after_a_kill_and_both_logs_say_so() {
    let (mut both, dialogue) = Ministries::talking();
    let dataset = both.offered(r#"{ "permit": { "use": {} }, "oblige": { "delete_after": "PT6S" } }"#, TABLE);
    let agreement = negotiated(&both, &dataset);
    let to = both.person.path("received.csv");
    let pulled = both.meti(&["data", "pull", &agreement, "-o", to.to_str().unwrap()]).ok();
    assert!(pulled.err.contains("delete all copies by "), "{}", pulled.err);
    both.kill("meti");
    let received = both.person.path("meti").join("received");
    let files = || std::fs::read_dir(&received).unwrap().count();
    assert_eq!(files(), 1, "it is there until it is due");
    std::thread::sleep(std::time::Duration::from_secs(6));
    both.start("meti");
    until("the node deletes it", || files() == 0);
    let transfer = listed(&both, "meti", "transfers")[0]["pid"].as_str().unwrap().to_owned();
    until("the log says so", || !kept(&both, &transfer)["deletion_entry"].is_null());
    let shown = kept(&both, &transfer);
    let (due, deleted) = (&shown["retention"]["delete_by"], &shown["retention"]["deleted"]);
    assert!(due.as_str().unwrap() <= deleted.as_str().unwrap(), "{shown}");
    let entry = both.arrived("motie", &dialogue, shown["deletion_entry"].as_str().unwrap());
    let said = document(&both, "meti", &entry);
    assert_eq!((&said["copies"], &said["agreement"]), (&"node".into(), &agreement.clone().into()), "{said}");
    assert_eq!(said["sha256"], shown["content"]["sha256"]);
    both.meti(&["data", "pull", &agreement, "--transfer", &transfer, "-o", "again.csv"])
        .refused(&["it is complete already"]);

    both.meti(&["data", "deleted", &transfer]).ok();
    both.meti(&["data", "deleted", &transfer]).ok();
    until("the log says so", || !kept(&both, &transfer)["confirmation_entry"].is_null());
    let entry = kept(&both, &transfer)["confirmation_entry"].as_str().unwrap().to_owned();
    let said = document(&both, "meti", &both.arrived("motie", &dialogue, &entry));
    assert_eq!(said["copies"], "all", "{said}");
    both.settle(&dialogue);
    // Agreement and transfer of both, and the two deletions of the consumer.
    assert_eq!(made_by_the_dataspace(&both, "motie", &dialogue), 6);
}

#[test]
fn what_may_be_kept_is_deleted_when_a_person_says_so_and_what_never_came_is_not() {
    let (both, dialogue) = Ministries::talking();
    let agreement = negotiated(&both, &both.offered(OPEN, TABLE));
    let to = both.person.path("received.csv");
    both.meti(&["data", "pull", &agreement, "-o", to.to_str().unwrap()]).ok();
    let transfer = listed(&both, "meti", "transfers")[0]["pid"].as_str().unwrap().to_owned();
    assert!(kept(&both, &transfer)["retention"].is_null(), "the terms name no time");
    let provided = listed(&both, "motie", "transfers")[0]["pid"].as_str().unwrap().to_owned();
    both.motie(&["data", "deleted", &provided]).refused(&["received nothing"]);
    both.meti(&["data", "deleted", &transfer]).ok();
    assert_eq!(std::fs::read_dir(both.person.path("meti").join("received")).unwrap().count(), 0);
    until("the log says so", || !kept(&both, &transfer)["confirmation_entry"].is_null());
    both.settle(&dialogue);
}
