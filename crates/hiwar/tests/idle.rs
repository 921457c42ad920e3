//! Two nodes that have told each other everything leave each other in peace.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod newcomer;

use std::time::{Duration, Instant};

use newcomer::{Ministries, get, until};

/// Several times as long as a grown log waits for its witness.
const SILENCE: Duration = Duration::from_secs(6);

/// The lines of both nodes' figures that count batches.
fn batches(both: &Ministries) -> Vec<String> {
    let figures = [&both.motie, &both.meti].map(|n| get(n.as_ref().unwrap().api, "/metrics").unwrap());
    let lines = figures.iter().flat_map(|text| text.lines());
    lines.filter(|l| l.starts_with("hiwar_batches_sent_total")).map(ToOwned::to_owned).collect()
}

#[test]
fn two_nodes_with_nothing_to_say_send_nothing() {
    let (both, dialogue) = Ministries::talking();
    both.say("motie", &dialogue, "that is all");
    both.settle(&dialogue);
    let (mut seen, mut since) = (batches(&both), Instant::now());
    until("silence", || {
        let now = batches(&both);
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        since.elapsed() > SILENCE
    });
}
