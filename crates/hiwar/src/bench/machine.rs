//! What the machine can do at best: signatures, durable writes, commits.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hiwar_trust::key::{KeyHolder as _, SoftwareKey};
use serde::Serialize;

/// A machine and its limits.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// Processor.
    pub(crate) cpu: String,
    /// Cores this process may use.
    pub(crate) cores: usize,
    /// Main memory, MiB.
    pub(crate) memory_mib: u64,
    /// Kernel.
    pub(crate) kernel: String,
    /// Ed25519 signatures made per second on one core (600-byte messages).
    pub(crate) signs_per_second: f64,
    /// Ed25519 signatures verified per second on one core (600-byte messages).
    pub(crate) verifies_per_second: f64,
    /// Median time of a 4 KiB append with fdatasync, µs.
    pub(crate) fsync_us_p50: f64,
    /// SQLite commits per second, one row each, WAL with synchronous=FULL.
    pub(crate) sqlite_commits_per_second: f64,
}

impl Machine {
    /// Exchanges per second if all cores did nothing but the one signature and the one
    /// verification that every exchange needs.
    pub(crate) fn signature_limit(&self) -> f64 {
        self.cores as f64 / (1.0 / self.signs_per_second + 1.0 / self.verifies_per_second)
    }

    /// The same with a signed and verified receipt for every single exchange, as a node that does
    /// not batch receipts needs.
    pub(crate) fn unbatched_signature_limit(&self) -> f64 {
        self.signature_limit() / 2.0
    }

    /// Measures the machine; files go to `dir`.
    pub(crate) fn measure(dir: &Path) -> anyhow::Result<Self> {
        let (signs_per_second, verifies_per_second) = signatures()?;
        Ok(Self {
            cpu: cpu(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: memory_mib(),
            kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            signs_per_second,
            verifies_per_second,
            fsync_us_p50: fsync_us(dir)?,
            sqlite_commits_per_second: commits(dir)?,
        })
    }
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|l| l.strip_prefix("model name")).unwrap_or("unknown");
    name.trim_start_matches(['\t', ' ', ':']).to_owned()
}

fn memory_mib() -> u64 {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = info.lines().find_map(|l| l.strip_prefix("MemTotal:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Runs `work` for about half a second; returns how often per second.
fn rate(mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let start = Instant::now();
    let mut count = 0_u32;
    while start.elapsed() < Duration::from_millis(500) {
        for _ in 0..64 {
            work()?;
        }
        count += 64;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

fn signatures() -> anyhow::Result<(f64, f64)> {
    let key = SoftwareKey::from_seed(&[7; 32]);
    let message = [42_u8; 600];
    let signature = key.sign(&message)?;
    let signs = rate(|| {
        std::hint::black_box(key.sign(&message)?);
        Ok(())
    })?;
    let verifies = rate(|| Ok(key.public_key().verify(&message, &signature)?))?;
    Ok((signs, verifies))
}

fn fsync_us(dir: &Path) -> anyhow::Result<f64> {
    let path = dir.join("fsync.probe");
    let mut file = File::create(&path).with_context(|| path.display().to_string())?;
    let mut times = Vec::with_capacity(200);
    for _ in 0..200 {
        let start = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    file.seek(SeekFrom::Start(0))?;
    std::fs::remove_file(&path)?;
    times.sort_by(f64::total_cmp);
    Ok(times.get(times.len() / 2).copied().unwrap_or(0.0))
}

fn commits(dir: &Path) -> anyhow::Result<f64> {
    let path = dir.join("commit.probe.db");
    let db = rusqlite::Connection::open(&path)?;
    db.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE probe(n INTEGER PRIMARY KEY, bytes BLOB);",
    )?;
    let per_second = rate(|| {
        db.prepare_cached("INSERT INTO probe(bytes) VALUES (zeroblob(600))")?.execute([])?;
        Ok(())
    })?;
    drop(db);
    for suffix in ["", "-wal", "-shm"] {
        let file = dir.join(format!("commit.probe.db{suffix}"));
        if file.exists() {
            std::fs::remove_file(file)?;
        }
    }
    Ok(per_second)
}
