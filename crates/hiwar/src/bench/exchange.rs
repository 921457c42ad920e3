//! `hiwar bench exchange`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use super::machine::Machine;
use crate::commands::{list, print, print_json, table};
use hiwar::api_client::{Format, block_on};
use hiwar::node_process::{NodeProcess, introduce, wait};

/// Lines in one bulk request.
const BULK: usize = 256;
/// Bulk requests under way at one time.
const DESKS: usize = 4;
/// Entries that may wait for receipts while more are submitted.
const AHEAD_MAX: u64 = 4096;
/// Open-loop rate of the latency run, per second.
const LATENCY_RATE: u64 = 200;
/// Entries missed in the resync run.
const MISSED: u64 = 1_000;

/// Two nodes on this machine exchange entries over loopback, durably, signed and receipted
#[derive(Debug, clap::Args)]
pub(crate) struct Exchange {
    /// Entries to exchange; the start and resync figures are taken on a log of this length
    #[arg(long, default_value_t = 1_000_000)]
    entries: u64,
    /// Seconds of the latency run
    #[arg(long, default_value_t = 20)]
    latency_seconds: u64,
    /// Where the nodes' folders go; use the disk you mean to measure [default: a temporary folder]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    entries: u64,
    entry_bytes: usize,
    exchanges_per_second: f64,
    exchanges_per_second_first_100k: f64,
    signature_limit_per_second: f64,
    signature_limit_ratio: f64,
    unbatched_signature_limit_ratio: f64,
    cpu_us_per_exchange_sender: f64,
    cpu_us_per_exchange_receiver: f64,
    latency_rate_per_second: u64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    rss_idle_mb: f64,
    rss_mb: f64,
    start_to_ready_ms: f64,
    resync_missing: u64,
    resync_ms: f64,
    resync_entries_sent: u64,
    xroad_field_report_per_second: f64,
}

impl Exchange {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let temporary = tempfile::tempdir()?;
        let dir = self.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
        std::fs::create_dir_all(&dir)?;
        eprintln!("Measuring this machine …");
        let machine = Machine::measure(&dir)?;
        let report = block_on(self.measure(machine, dir))?;
        match self.format {
            Format::Json => print_json(&serde_json::to_value(&report)?)?,
            Format::Table => print(&show(&report))?,
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn measure(&self, machine: Machine, dir: PathBuf) -> anyhow::Result<Report> {
        let program = std::env::current_exe()?;
        let mut a = NodeProcess::make(&program, &dir.join("a"), "sender").await?;
        let mut b = NodeProcess::make(&program, &dir.join("b"), "receiver").await?;
        let dialogue = introduce(&a, &b).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let rss_idle_mb = a.rss_mib().max(b.rss_mib());
        eprintln!("Latency at {LATENCY_RATE}/s for {} s …", self.latency_seconds);
        let mut latencies = latency(&a, &dialogue, self.latency_seconds).await?;
        latencies.sort_by(f64::total_cmp);
        let quantile = |q: f64| -> f64 {
            let last = latencies.len().saturating_sub(1);
            latencies.get((last as f64 * q).round() as usize).copied().unwrap_or(0.0)
        };
        eprintln!("Throughput over {} entries …", self.entries);
        let cpu_before = (a.cpu_seconds(), b.cpu_seconds());
        let (first, total) = throughput(&a, &dialogue, self.entries).await?;
        let (cpu_a, cpu_b) = (a.cpu_seconds() - cpu_before.0, b.cpu_seconds() - cpu_before.1);
        let rss_mb = a.rss_mib().max(b.rss_mib());
        eprintln!("Start on a log of {} entries, and resync of {MISSED} missing …", self.entries);
        b.kill()?;
        submit(&a, &dialogue, MISSED).await?;
        a.kill()?;
        let start_a = a.start().await?;
        let sent_before = a.figure("hiwar_deliveries_receipted_total").await.unwrap_or(0);
        let received_before = 0;
        let start_b = b.start().await?;
        let resync_start = Instant::now();
        wait("the missing entries", || async {
            Ok(a.figure("hiwar_deliveries_receipted_total").await? >= sent_before + MISSED)
        })
        .await?;
        let resync = resync_start.elapsed();
        let received = b.figure("hiwar_entries_received_total").await? - received_before;
        ensure!(received >= MISSED, "the receiver took {received} of {MISSED} missing entries");
        let rate = self.entries as f64 / total.as_secs_f64();
        let signature_limit = machine.signature_limit();
        Ok(Report {
            entries: self.entries,
            entry_bytes: entry_bytes(&a, &dialogue).await?,
            exchanges_per_second: rate,
            exchanges_per_second_first_100k: first,
            signature_limit_per_second: signature_limit,
            signature_limit_ratio: rate / signature_limit,
            unbatched_signature_limit_ratio: rate / machine.unbatched_signature_limit(),
            cpu_us_per_exchange_sender: cpu_a * 1e6 / self.entries as f64,
            cpu_us_per_exchange_receiver: cpu_b * 1e6 / self.entries as f64,
            latency_rate_per_second: LATENCY_RATE,
            p50_ms: quantile(0.50),
            p99_ms: quantile(0.99),
            max_ms: quantile(1.0),
            rss_idle_mb,
            rss_mb,
            start_to_ready_ms: start_a.max(start_b).as_secs_f64() * 1e3,
            resync_missing: MISSED,
            resync_ms: resync.as_secs_f64() * 1e3,
            resync_entries_sent: received,
            xroad_field_report_per_second: 110.0,
            machine,
        })
    }
}

fn line(dialogue: &str, number: u64) -> Value {
    let text = format!(
        "Exchange {number}: the desk states the quantity of item 2811.11 that left the port this week, asks the other side to compare it with its own figures, and names the contact for questions."
    );
    json!({ "action": "say", "dialogue": dialogue, "marking": "TLP:AMBER", "texts": { "en": text } })
}

fn bulk(dialogue: &str, from: u64, count: u64) -> Vec<u8> {
    let mut body = Vec::new();
    for number in from..from + count {
        body.extend_from_slice(line(dialogue, number).to_string().as_bytes());
        body.push(b'\n');
    }
    body
}

async fn submit(node: &NodeProcess, dialogue: &str, count: u64) -> anyhow::Result<()> {
    let mut done = 0;
    while done < count {
        let now = (count - done).min(BULK as u64);
        let answer = node.client.post_bytes("/api/v1/entries/bulk", bulk(dialogue, done, now)).await?;
        ensure!(answer["refused"].is_null(), "an entry was refused: {}", answer["refused"]);
        done += now;
    }
    Ok(())
}

/// Submits entries with a bounded number ahead of the receipts; returns the rate over the first
/// 100,000 and the time until the last receipt was stored.
async fn throughput(node: &NodeProcess, dialogue: &str, entries: u64) -> anyhow::Result<(f64, Duration)> {
    let before = node.figure("hiwar_deliveries_receipted_total").await?;
    let start = Instant::now();
    let (mut sent, mut receipted, mut first) = (0, 0, 0.0);
    let mut desks = tokio::task::JoinSet::new();
    while receipted < entries {
        if sent < entries && sent - receipted < AHEAD_MAX {
            let count = (entries - sent).min(BULK as u64);
            let (client, body) = (node.client.clone(), bulk(dialogue, sent, count));
            if desks.len() >= DESKS {
                desks.join_next().await.transpose()?.transpose()?;
            }
            desks.spawn(async move { client.post_bytes("/api/v1/entries/bulk", body).await });
            sent += count;
            if sent % (AHEAD_MAX / 2) != 0 {
                continue;
            }
        } else {
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
        receipted = node.figure("hiwar_deliveries_receipted_total").await? - before;
        if first == 0.0 && receipted >= 100_000.min(entries) {
            first = receipted as f64 / start.elapsed().as_secs_f64();
        }
        ensure!(
            start.elapsed() < Duration::from_secs(1800),
            "the throughput run took more than half an hour"
        );
    }
    Ok((first, start.elapsed()))
}

/// Submits single entries at a fixed rate, whatever the answers take, and measures each from the
/// moment it was due until its receipt was stored.
async fn latency(node: &NodeProcess, dialogue: &str, seconds: u64) -> anyhow::Result<Vec<f64>> {
    let count = LATENCY_RATE * seconds;
    let start = Instant::now() + Duration::from_millis(50);
    let mut tasks = Vec::new();
    for number in 0..count {
        let due = start + Duration::from_micros(1_000_000 / LATENCY_RATE) * u32::try_from(number)?;
        tokio::time::sleep_until(due.into()).await;
        let (client, body) = (node.client.clone(), line(dialogue, number));
        tasks.push(tokio::spawn(async move {
            client.post("/api/v1/entries?wait_ms=30000", &body).await.map(|made| (due.elapsed(), made))
        }));
    }
    let mut times = Vec::new();
    for task in tasks {
        let (time, made) = task.await??;
        ensure!(made["receipted"] == json!(true), "an entry was not receipted within 30 s");
        times.push(time.as_secs_f64() * 1e3);
    }
    Ok(times)
}

async fn entry_bytes(node: &NodeProcess, dialogue: &str) -> anyhow::Result<usize> {
    let page = node.client.get(&format!("/api/v1/dialogues/{dialogue}/entries?limit=8")).await?;
    let entry = list(&page, "/entries").last().context("the dialogue has no entries")?;
    Ok(entry["entry"].to_string().len())
}

fn show(r: &Report) -> String {
    let row = |name: &str, value: String, note: &str| vec![name.to_owned(), value, note.to_owned()];
    let m = &r.machine;
    let rows = vec![
        row(
            "machine",
            format!("{} × {}", m.cores, m.cpu),
            &format!("{} MiB, Linux {}", m.memory_mib, m.kernel),
        ),
        row(
            "Ed25519 sign / verify",
            format!("{:.0} / {:.0} per s", m.signs_per_second, m.verifies_per_second),
            "one core, 600 bytes",
        ),
        row("fdatasync of 4 KiB", format!("{:.0} µs", m.fsync_us_p50), "median"),
        row(
            "SQLite commits",
            format!("{:.0} per s", m.sqlite_commits_per_second),
            "one row each, WAL, synchronous=FULL",
        ),
        row(
            "signature limit",
            format!("{:.0} per s", r.signature_limit_per_second),
            "all cores, one sign and one verify per exchange, nothing else",
        ),
        row("", String::new(), ""),
        row(
            "exchanges",
            format!("{:.0} per s", r.exchanges_per_second),
            &format!("{} entries of {} bytes, until the last receipt is stored", r.entries, r.entry_bytes),
        ),
        row("  first 100,000", format!("{:.0} per s", r.exchanges_per_second_first_100k), ""),
        row(
            "  of the signature limit",
            format!("{:.1} %", r.signature_limit_ratio * 100.0),
            &format!(
                "{:.1} % of the limit with one receipt signature per exchange",
                r.unbatched_signature_limit_ratio * 100.0
            ),
        ),
        row(
            "  processor time",
            format!("{:.0} + {:.0} µs", r.cpu_us_per_exchange_sender, r.cpu_us_per_exchange_receiver),
            "sender + receiver, per exchange",
        ),
        row(
            "  X-Road field report",
            format!("{:.0} per s", r.xroad_field_report_per_second),
            &format!(
                "32-core servers, X-Road issue 1321, not run here; ratio {:.0}",
                r.exchanges_per_second / r.xroad_field_report_per_second
            ),
        ),
        row(
            "latency p50 / p99 / max",
            format!("{:.1} / {:.1} / {:.1} ms", r.p50_ms, r.p99_ms, r.max_ms),
            &format!("at {} per s, from due until the receipt is stored", r.latency_rate_per_second),
        ),
        row(
            "memory idle / after",
            format!("{:.0} / {:.0} MiB", r.rss_idle_mb, r.rss_mb),
            "resident, the larger node",
        ),
        row(
            "start to ready",
            format!("{:.0} ms", r.start_to_ready_ms),
            &format!("log of {} entries", r.entries),
        ),
        row(
            "resync",
            format!("{:.0} ms", r.resync_ms),
            &format!(
                "{} missing of {}; {} entries were sent",
                r.resync_missing, r.entries, r.resync_entries_sent
            ),
        ),
    ];
    table(&rows)
}
