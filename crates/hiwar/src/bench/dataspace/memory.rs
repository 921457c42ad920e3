//! Resident memory of the two nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hiwar::node_process::NodeProcess;
use serde::Serialize;

/// How often the memory is read while something runs.
const EVERY: Duration = Duration::from_millis(20);

/// Resident memory, MiB: provider and consumer.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Memory {
    pub(super) before: [f64; 2],
    /// The most while it ran.
    pub(super) peak: [f64; 2],
    pub(super) after: [f64; 2],
}

impl Memory {
    /// The memory of nodes that rest.
    pub(super) fn now(provider: &NodeProcess, consumer: &NodeProcess) -> Self {
        let now = [provider.rss_mib(), consumer.rss_mib()];
        Self { before: now, peak: now, after: now }
    }
}

/// Watches the memory of two nodes until it is told to stop.
pub(super) struct Watch {
    ids: [u32; 2],
    before: [f64; 2],
    peak: Arc<[AtomicU64; 2]>,
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

fn rss_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

impl Watch {
    pub(super) fn begin(provider: &NodeProcess, consumer: &NodeProcess) -> Self {
        let ids = [provider, consumer].map(|node| node.id().unwrap_or(0));
        let peak: Arc<[AtomicU64; 2]> = Arc::default();
        let stop: Arc<AtomicBool> = Arc::default();
        let (seen, ended) = (peak.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                for (id, most) in ids.iter().zip(seen.iter()) {
                    most.fetch_max(rss_kib(*id), Ordering::Relaxed);
                }
                std::thread::sleep(EVERY);
            }
        });
        Self { ids, before: ids.map(|id| mib(rss_kib(id))), peak, stop, thread }
    }

    pub(super) fn end(self) -> Memory {
        self.stop.store(true, Ordering::Relaxed);
        // It only reads; when it ended early, the most it saw still holds.
        drop(self.thread.join());
        let [provider, consumer] = &*self.peak;
        Memory {
            before: self.before,
            peak: [provider, consumer].map(|most| mib(most.load(Ordering::Relaxed))),
            after: self.ids.map(|id| mib(rss_kib(id))),
        }
    }
}
