//! A node behind a firewall that accepts no connection: everything goes both ways all the same,
//! and survives kill -9 of either node in the middle.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod newcomer;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hiwar_trust::hash::Hash;
use newcomer::{LIMIT, Ministries, until};
use serde_json::json;

/// Six parts of a file as they travel.
const FILE_BYTES: usize = 48 << 20;
const PART_BYTES: u64 = 8 << 20;

/// A file that no other is like, written to the folder of `both`; its digest.
fn write_file(both: &Ministries, name: &str, bytes: usize) -> Hash {
    let mut state = name.bytes().fold(7_u64, |a, b| a.wrapping_mul(31).wrapping_add(u64::from(b)));
    let mut content = Vec::with_capacity(bytes + 8);
    while content.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        content.extend_from_slice(&state.to_le_bytes());
    }
    content.truncate(bytes);
    std::fs::write(both.person.path(name), &content).unwrap();
    Hash::of(&content)
}

fn whole(dir: &Path, sha256: &Hash) -> PathBuf {
    let name = sha256.to_string();
    dir.join("attachments").join(&name[..2]).join(&name)
}

/// How much of a file a node holds.
fn held(dir: &Path, sha256: &Hash) -> u64 {
    let partial = dir.join("attachments/partial").join(sha256.to_string());
    let here = |path: PathBuf| std::fs::metadata(path).ok().map(|m| m.len());
    here(whole(dir, sha256)).or_else(|| here(partial)).unwrap_or(0)
}

/// Waits until a node holds at least `bytes` of a file, but not all of it.
fn wait_for_part(dir: &Path, sha256: &Hash, bytes: u64) -> u64 {
    let start = Instant::now();
    loop {
        let here = held(dir, sha256);
        assert!(here < FILE_BYTES as u64, "the file was complete before it could be cut off");
        if here >= bytes {
            return here;
        }
        assert!(start.elapsed() < LIMIT, "only {here} bytes of the file came");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn statements_and_their_receipts_go_both_ways() {
    let (both, dialogue) = Ministries::talking_outbound_only();
    let card = both.meti(&["peer", "show", &both.motie_did, "--format", "json"]).ok().json();
    assert_eq!((&card["delivery"], &card["endpoints"]), (&json!("pull"), &json!([])));
    for round in 0..5 {
        let start = Instant::now();
        let told = both.say("motie", &dialogue, &format!("from inside {round}"));
        both.arrived("meti", &dialogue, &told);
        let told = both.say("meti", &dialogue, &format!("from outside {round}"));
        both.arrived("motie", &dialogue, &told);
        assert!(start.elapsed() < Duration::from_secs(10), "an exchange waits for no poll to end");
    }
    both.settle(&dialogue);
    for node in ["motie", "meti"] {
        assert!(both.alarms(node).is_empty(), "{node}: {:?}", both.alarms(node));
    }
    both.logs_agree();
    both.dossiers_prove_everything(&dialogue);
}

#[test]
fn files_go_both_ways_and_are_resumed_after_either_node_is_killed() {
    let (mut both, dialogue) = Ministries::talking_outbound_only();
    for (from, to) in [("motie", "meti"), ("meti", "motie")] {
        let name = format!("from-{from}.bin");
        let sha256 = write_file(&both, &name, FILE_BYTES);
        let target = both.person.path(to);
        both.person.at(from, &["dialogue", "attach", &dialogue, &name, "--text", "en=The figures"]).ok();
        let mut had = 0;
        for (victim, at) in [(to, PART_BYTES), (from, 3 * PART_BYTES)] {
            wait_for_part(&target, &sha256, at);
            both.kill(victim);
            let here = held(&target, &sha256);
            assert!(here >= had, "what had come is kept: {had}, then {here}");
            had = here;
            both.start(victim);
        }
        until("the rest of the file", || {
            let here = held(&target, &sha256);
            assert!(here >= had, "the file is resumed, not begun anew: {had}, then {here}");
            whole(&target, &sha256).is_file()
        });
        assert_eq!(Hash::of(&std::fs::read(whole(&target, &sha256)).unwrap()), sha256);
        both.settle(&dialogue);
    }
    both.logs_agree();
    both.dossiers_prove_everything(&dialogue);
}

#[test]
fn a_large_file_holds_up_no_statement() {
    let (both, dialogue) = Ministries::talking_outbound_only();
    both.settle(&dialogue);
    let bytes = 400 << 20;
    let sha256 = write_file(&both, "large.bin", bytes);
    both.motie(&["dialogue", "attach", &dialogue, "large.bin", "--text", "en=A large file"]).ok();
    let target = both.person.path("meti");
    until("the file to be on its way", || held(&target, &sha256) >= PART_BYTES);
    let told = both.say("meti", &dialogue, "meanwhile");
    both.arrived("motie", &dialogue, &told);
    assert!(held(&target, &sha256) < bytes as u64, "the statement came before the file was complete");
}

#[test]
fn both_nodes_killed_with_statements_waiting_heal_by_themselves() {
    let (mut both, dialogue) = Ministries::talking_outbound_only();
    both.settle(&dialogue);
    both.kill("meti");
    let mut said = vec![both.say("motie", &dialogue, "said while the other was down")];
    both.kill("motie");
    both.start("meti");
    said.push(both.say("meti", &dialogue, "said while the first was down"));
    both.kill("meti");
    both.start("motie");
    said.push(both.say("motie", &dialogue, "said before the other is back"));
    both.start("meti");
    both.settle(&dialogue);
    let held = both.held("meti", &dialogue);
    assert!(said.iter().all(|id| held.contains(id)), "what was acknowledged is on both nodes");
    for node in ["motie", "meti"] {
        assert!(both.alarms(node).is_empty(), "{node}: {:?}", both.alarms(node));
    }
    both.logs_agree();
}
