//! The disk fills up under a running node: what it cannot keep it refuses, what it acknowledged
//! stays, and it goes on by itself when there is room again.
//!
//! A limit on the size of any file the node writes (RLIMIT_FSIZE) stands in for the full disk.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should stop here"
)]

mod newcomer;

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use newcomer::{HIWAR, Ministries, api, get, until};
use serde_json::{Value, json};

/// Largest file the node may write, in blocks of 512 bytes: 4 MiB.
const LIMIT_BLOCKS: u32 = 8192;
/// More than fits under the limit.
const TOO_MUCH_BYTES: usize = 6 << 20;

/// Starts motie's node so that no file may grow over the limit.
fn start_limited(both: &mut Ministries) {
    // The signal is ignored, so that a write fails as it does on a full disk.
    let script = format!("trap '' XFSZ; ulimit -S -f {LIMIT_BLOCKS}; exec \"$0\" serve motie");
    let mut command = Command::new("sh");
    command.args(["-c", &script, HIWAR]).current_dir(both.person.dir.path()).stdin(Stdio::null());
    let serving = both.person.serve_with(command, "motie");
    both.motie = Some(serving);
}

/// Lifts the limit of the running node.
fn make_room(both: &Ministries) {
    let process = both.motie.as_ref().unwrap().id().to_string();
    let lifted = Command::new("prlimit").args(["--pid", &process, "--fsize=unlimited"]).status().unwrap();
    assert!(lifted.success());
}

fn readiness(both: &Ministries) -> String {
    get(both.motie.as_ref().unwrap().api, "/readyz").unwrap()
}

/// Says things in bulk until the node refuses; what it acknowledged, and how it refused.
fn fill_up(both: &Ministries, dialogue: &str) -> (BTreeSet<String>, Value) {
    let dir = both.person.path("motie");
    let mut acknowledged = BTreeSet::new();
    for round in 0..400 {
        let line = |n: usize| {
            let text = format!("{round}.{n} {}", "x".repeat(4000));
            let said = json!({ "action": "say", "dialogue": dialogue, "marking": "TLP:GREEN", "texts": { "en": text } });
            format!("{said}\n")
        };
        let body: String = (0..8).map(line).collect();
        let (status, answer) = api(&dir, "POST", "/api/v1/entries/bulk", body.as_bytes());
        if status != 200 {
            assert!(status == 507 || status == 500, "{status} {answer}");
            return (acknowledged, answer);
        }
        for made in answer["made"].as_array().unwrap() {
            acknowledged.insert(made["entry"].as_str().unwrap().to_owned());
        }
    }
    panic!("the node took everything; the limit does not work")
}

fn full_node() -> (Ministries, String, BTreeSet<String>) {
    let (mut both, dialogue) = Ministries::talking();
    both.settle(&dialogue);
    assert_eq!(both.motie.take().unwrap().stop(), 0);
    start_limited(&mut both);
    let (acknowledged, refusal) = fill_up(&both, &dialogue);
    assert!(acknowledged.len() > 50, "{} entries were taken before", acknowledged.len());
    let code = refusal["error"]["code"].as_str().unwrap();
    assert!(code == "disk-full" || code == "store", "{refusal}");
    (both, dialogue, acknowledged)
}

#[test]
fn a_node_whose_disk_is_full_refuses_says_that_it_is_not_ready_and_recovers_by_itself() {
    let (both, dialogue, acknowledged) = full_node();
    let ready = readiness(&both);
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("free disk space"), "{ready}");
    // What comes along meanwhile, such as receipts and plans, does not make it ready again.
    let told = both.say("meti", &dialogue, "from the other side, meanwhile");
    for _ in 0..20 {
        assert!(readiness(&both).starts_with("HTTP/1.1 503"));
    }
    let metrics = get(both.motie.as_ref().unwrap().api, "/metrics").unwrap();
    assert!(!metrics.contains("hiwar_commit_failures_total 0"), "{metrics}");
    // Reading goes on.
    let held = both.held("motie", &dialogue);
    assert!(acknowledged.is_subset(&held), "nothing acknowledged is lost");
    make_room(&both);
    until("the node to be ready again", || readiness(&both).starts_with("HTTP/1.1 200"));
    both.say("motie", &dialogue, "there is room again");
    both.arrived("motie", &dialogue, &told);
    both.settle(&dialogue);
    assert!(acknowledged.is_subset(&both.held("meti", &dialogue)));
    for node in ["motie", "meti"] {
        assert!(both.alarms(node).is_empty(), "{node}: {:?}", both.alarms(node));
    }
    both.logs_agree();
    both.dossiers_prove_everything(&dialogue);
}

#[test]
fn a_node_killed_while_its_disk_is_full_starts_with_everything_it_acknowledged() {
    let (mut both, dialogue, acknowledged) = full_node();
    both.kill("motie");
    both.start("motie");
    assert!(acknowledged.is_subset(&both.held("motie", &dialogue)));
    both.settle(&dialogue);
    assert!(acknowledged.is_subset(&both.held("meti", &dialogue)));
    both.logs_agree();
}

#[test]
fn a_file_that_does_not_fit_is_refused_and_leaves_nothing_behind() {
    let (mut both, dialogue) = Ministries::talking();
    both.settle(&dialogue);
    assert_eq!(both.motie.take().unwrap().stop(), 0);
    start_limited(&mut both);
    let file = vec![7; TOO_MUCH_BYTES];
    let (status, answer) = api(&both.person.path("motie"), "PUT", "/api/v1/attachments", &file);
    assert_eq!((status, answer["error"]["code"].as_str()), (507, Some("not-stored")), "{answer}");
    let partial = both.person.path("motie/attachments/partial");
    until("the part to be removed", || std::fs::read_dir(&partial).unwrap().count() == 0);
    // A backup that does not fit says so, and its half is no backup.
    assert!(readiness(&both).starts_with("HTTP/1.1 200"), "the store itself has room");
    both.say("motie", &dialogue, "words still fit");
    // A file of the peer's that does not fit here is fetched when there is room.
    std::fs::write(both.person.path("large.bin"), &file).unwrap();
    both.meti(&["dialogue", "attach", &dialogue, "large.bin", "--text", "en=A large file"]).ok();
    let log = || both.motie.as_ref().unwrap().log();
    until("the fetch to fail", || log().contains("attachment not fetched yet"));
    make_room(&both);
    let digest = hiwar_trust::hash::Hash::of(&file).to_string();
    let whole = both.person.path("motie/attachments").join(&digest[..2]).join(&digest);
    until("the file to come", || whole.is_file());
    both.settle(&dialogue);
    both.logs_agree();
}
