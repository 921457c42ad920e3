//! A file far larger than memory should have to hold goes through both nodes.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod newcomer;

use std::fs::File;
use std::time::{Duration, Instant};

use newcomer::{Ministries, Serving, whole_file};

const FILE_BYTES: u64 = 3 << 30;
/// Most memory a node may take for it.
const RSS_MIB_MAX: u64 = 150;
/// How long the peer may take to fetch it.
const LIMIT: Duration = Duration::from_secs(300);

/// The most memory that a process has had resident, in MiB.
fn peak_mib(serving: &Serving) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", serving.id())).unwrap();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    peak.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
fn three_gigabytes_reach_the_peer_while_both_nodes_stay_small() {
    let (both, dialogue) = Ministries::talking();
    both.settle(&dialogue);
    let path = both.person.path("large.bin");
    // Holes cost no disk here; both nodes write every byte.
    File::create(&path).unwrap().set_len(FILE_BYTES).unwrap();
    let start = Instant::now();
    let entry = both
        .motie(&["dialogue", "attach", &dialogue, "large.bin", "--text", "en=Three gigabytes"])
        .ok()
        .word();
    let uploaded = start.elapsed();
    let file = both.arrived("meti", &dialogue, &entry)["entry"]["attachments"][0].clone();
    assert_eq!(file["size"], FILE_BYTES);
    let digest = file["sha256"].as_str().unwrap();
    let whole = whole_file(&both.person.path("meti"), digest);
    while !whole.is_file() {
        assert!(start.elapsed() < LIMIT, "the file has not come:\n{}", both.meti.as_ref().unwrap().log());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(whole.metadata().unwrap().len(), FILE_BYTES);
    let (motie, meti) = (peak_mib(both.motie.as_ref().unwrap()), peak_mib(both.meti.as_ref().unwrap()));
    println!(
        "uploaded in {uploaded:.1?}, at the peer after {:.1?}; peaks {motie} and {meti} MiB",
        start.elapsed()
    );
    assert!(motie < RSS_MIB_MAX, "the sender took {motie} MiB");
    assert!(meti < RSS_MIB_MAX, "the receiver took {meti} MiB");
    both.settle(&dialogue);
}
