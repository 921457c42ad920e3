//! Kill -9 anywhere loses nothing acknowledged and doubles nothing: real processes, real SQLite.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hiwar::api_client::{ApiClient, block_on};
use hiwar::node_process::{NodeProcess, introduce, wait};
use serde_json::{Value, json};

/// How often a node is killed.
const KILLS: u32 = 50;
/// Entries in one request of the load.
const BULK: usize = 40;

/// A small generator (SplitMix64), so that a run can be repeated by its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// Says things without pause and remembers what was acknowledged.
async fn load(
    client: ApiClient,
    dialogue: String,
    who: &'static str,
    until: tokio::sync::watch::Receiver<bool>,
) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let mut number = 0_u64;
    while !*until.borrow() {
        let mut body = Vec::new();
        for _ in 0..BULK {
            number += 1;
            let line = json!({ "action": "say", "dialogue": dialogue, "marking": "TLP:GREEN", "texts": { "en": format!("{who} {number}") } });
            body.extend_from_slice(line.to_string().as_bytes());
            body.push(b'\n');
        }
        match client.post_bytes("/api/v1/entries/bulk", body).await {
            Ok(made) => {
                let made = made["made"].as_array().cloned().unwrap_or_default();
                acknowledged.extend(made.iter().filter_map(|m| m["entry"].as_str().map(ToOwned::to_owned)));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // The node is down; what was not acknowledged may or may not be there.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    acknowledged
}

async fn entries(node: &NodeProcess, dialogue: &str) -> anyhow::Result<BTreeMap<String, u32>> {
    let mut found = BTreeMap::new();
    let mut after = Value::from(0);
    loop {
        let page = node.client.get(&format!("/api/v1/dialogues/{dialogue}/entries?after={after}")).await?;
        for item in page["entries"].as_array().context("no entries")? {
            *found.entry(item["entry"]["id"].as_str().context("no id")?.to_owned()).or_insert(0) += 1;
        }
        if page["next"].is_null() {
            return Ok(found);
        }
        after = page["next"].clone();
    }
}

fn log_check(dir: &Path) -> anyhow::Result<()> {
    let output =
        std::process::Command::new(env!("CARGO_BIN_EXE_hiwar")).args(["log", "check"]).arg(dir).output()?;
    ensure!(
        output.status.success(),
        "log check of {}: {}",
        dir.display(),
        String::from_utf8_lossy(&output.stdout)
    );
    Ok(())
}

#[test]
fn fifty_kills_under_load_lose_nothing_acknowledged_and_double_nothing() -> anyhow::Result<()> {
    let seed = std::env::var("KILL_LOOP_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_190_701);
    println!("seed {seed}; repeat with KILL_LOOP_SEED={seed}");
    let dir = tempfile::tempdir()?;
    block_on(async {
        let program = Path::new(env!("CARGO_BIN_EXE_hiwar"));
        let mut a = NodeProcess::make(program, &dir.path().join("a"), "a").await?;
        let mut b = NodeProcess::make(program, &dir.path().join("b"), "b").await?;
        let dialogue = introduce(&a, &b).await?;
        let (stop, until) = tokio::sync::watch::channel(false);
        let talk_a = tokio::spawn(load(a.client.clone(), dialogue.clone(), "a", until.clone()));
        let talk_b = tokio::spawn(load(b.client.clone(), dialogue.clone(), "b", until));
        let mut random = Random(seed);
        for _ in 0..KILLS {
            tokio::time::sleep(Duration::from_millis(40 + random.next() % 160)).await;
            let victim = if random.next().is_multiple_of(2) { &mut a } else { &mut b };
            victim.kill()?;
            victim.start().await?;
        }
        stop.send(true)?;
        let acknowledged = [talk_a.await?, talk_b.await?].concat();
        let nodes = [&a, &b];
        for node in nodes {
            wait("every delivery to settle", || async {
                Ok(node.client.get("/api/v1/status").await?["queued"] == json!(0))
            })
            .await?;
        }
        let held_a = entries(&a, &dialogue).await?;
        let held_b = entries(&b, &dialogue).await?;
        println!("{KILLS} kills, {} entries acknowledged, {} held", acknowledged.len(), held_a.len());
        ensure!(
            acknowledged.len() > 1_000,
            "the load was too small to mean anything: {}",
            acknowledged.len()
        );
        for id in &acknowledged {
            ensure!(held_a.contains_key(id), "acknowledged entry {id} is lost on a");
            ensure!(held_b.contains_key(id), "acknowledged entry {id} is lost on b");
        }
        ensure!(held_a.keys().eq(held_b.keys()), "the nodes hold different entries");
        ensure!(held_a.values().chain(held_b.values()).all(|n| *n == 1), "an entry is held twice");
        for node in nodes {
            let alarms = node.client.get("/api/v1/alarms").await?;
            ensure!(alarms["alarms"] == json!([]), "alarms were raised: {alarms}");
            log_check(&node.dir)?;
        }
        Ok(())
    })
}
