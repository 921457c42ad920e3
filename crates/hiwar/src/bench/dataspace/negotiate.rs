//! Negotiations, from the desk's request until both agreed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use hiwar::api_client::ApiClient;
use serde::Serialize;
use serde_json::json;

use super::memory::{Memory, Watch};
use super::peers::{Peers, did};
use super::{Size, Spread};

/// Negotiations that are made before the clock runs.
const WARM: usize = 5;

/// What was measured.
#[derive(Debug, Serialize)]
pub(super) struct Negotiations {
    /// One at a time.
    pub(super) alone: Spread,
    pub(super) together: Vec<Together>,
    /// Made in all.
    pub(super) made: usize,
    pub(super) memory: Memory,
}

/// Several in flight.
#[derive(Debug, Serialize)]
pub(super) struct Together {
    pub(super) in_flight: usize,
    pub(super) per_second: f64,
    #[serde(flatten)]
    pub(super) spread: Spread,
    /// Processor time of each negotiation in both nodes, µs.
    pub(super) cpu_us: [f64; 2],
}

async fn negotiate(client: &ApiClient, provider: &str, dataset: usize) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let body = json!({ "peer": provider, "dataset": super::catalog::id(dataset), "wait_ms": 60_000 });
    let made = client.post("/api/v1/data/negotiations", &body).await?;
    let took = begun.elapsed();
    ensure!(made["state"] == json!("FINALIZED"), "a negotiation was not finalized: {made}");
    Ok(took)
}

pub(super) async fn measure(peers: &Peers, size: &Size) -> anyhow::Result<Negotiations> {
    let provider = did(&peers.provider).await?;
    let client = &peers.consumer.client;
    for number in 0..WARM.min(size.negotiations) {
        negotiate(client, &provider, number % size.datasets).await?;
    }
    let watch = Watch::begin(&peers.provider, &peers.consumer);
    let mut alone = Vec::new();
    for number in 0..size.negotiations {
        alone.push(negotiate(client, &provider, number % size.datasets).await?);
    }
    let mut together = Vec::new();
    for in_flight in &size.in_flight {
        together.push(many(peers, &provider, size, *in_flight).await?);
    }
    Ok(Negotiations {
        alone: Spread::of(alone),
        together,
        made: size.negotiations + size.parallel * size.in_flight.len(),
        memory: watch.end(),
    })
}

async fn many(peers: &Peers, provider: &str, size: &Size, in_flight: usize) -> anyhow::Result<Together> {
    let cpu = || [peers.provider.cpu_seconds(), peers.consumer.cpu_seconds()];
    let (before, begun) = (cpu(), Instant::now());
    let next = Arc::new(AtomicUsize::new(0));
    let mut desks = tokio::task::JoinSet::new();
    for _ in 0..in_flight {
        let (next, client, provider) = (next.clone(), peers.consumer.client.clone(), provider.to_owned());
        let (parallel, datasets) = (size.parallel, size.datasets);
        desks.spawn(async move {
            let mut times = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= parallel {
                    return anyhow::Ok(times);
                }
                times.push(negotiate(&client, &provider, number % datasets).await?);
            }
        });
    }
    let mut times = Vec::new();
    while let Some(done) = desks.join_next().await {
        times.extend(done??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let after = cpu();
    let count = size.parallel as f64;
    let used = |node: usize| {
        let of = |all: [f64; 2]| all.get(node).copied().unwrap_or(0.0);
        (of(after) - of(before)) * 1e6 / count
    };
    Ok(Together {
        in_flight,
        per_second: count / seconds,
        spread: Spread::of(times),
        cpu_us: [used(0), used(1)],
    })
}
