//! Prometheus metrics (OpenMetrics text format 1.0).

use std::sync::Mutex;

use hiwar_dialogue::ledger::{Change, Delivery};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Labels a figure with the peer it concerns.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PeerLabel {
    /// The peer's DID.
    pub peer: String,
}

/// Labels a figure with a code.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CodeLabel {
    /// The stable code.
    pub code: String,
}

/// All figures of a node.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    /// Entries made here.
    pub entries_made: Counter,
    /// Entries taken from peers.
    pub entries_received: Counter,
    /// Deliveries proved by a receipt.
    pub deliveries_receipted: Counter,
    /// Deliveries that a peer refused for good.
    pub deliveries_refused: Counter,
    /// Deliveries given up.
    pub deliveries_expired: Counter,
    /// Alarms raised, by code.
    pub alarms: Family<CodeLabel, Counter>,
    /// Alarms that nobody has acknowledged.
    pub alarms_unacknowledged: Gauge,
    /// Batches sent, by peer.
    pub batches_sent: Family<PeerLabel, Counter>,
    /// Batches that failed, by peer.
    pub batches_failed: Family<PeerLabel, Counter>,
    /// Entries waiting, by peer.
    pub backlog: Family<PeerLabel, Gauge>,
    /// Peer's clock minus this node's, in milliseconds, by peer.
    pub clock_skew_ms: Family<PeerLabel, Gauge>,
    /// Leaves of this node's log.
    pub log_leaves: Gauge,
    /// Time a commit took.
    pub commit_seconds: Histogram,
    /// Commits that failed.
    pub commit_failures: Counter,
    /// Requests by peers that were refused, by code.
    pub peer_requests_refused: Family<CodeLabel, Counter>,
}

impl Metrics {
    /// New figures, all at nought.
    pub fn new() -> Self {
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("hiwar")),
            entries_made: Counter::default(),
            entries_received: Counter::default(),
            deliveries_receipted: Counter::default(),
            deliveries_refused: Counter::default(),
            deliveries_expired: Counter::default(),
            alarms: Family::default(),
            alarms_unacknowledged: Gauge::default(),
            batches_sent: Family::default(),
            batches_failed: Family::default(),
            backlog: Family::default(),
            clock_skew_ms: Family::default(),
            log_leaves: Gauge::default(),
            commit_seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 14)),
            commit_failures: Counter::default(),
            peer_requests_refused: Family::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&self) {
        let Ok(mut r) = self.registry.lock() else { return };
        r.register("entries_made", "Entries made on this node", self.entries_made.clone());
        r.register("entries_received", "Entries taken from peers", self.entries_received.clone());
        r.register(
            "deliveries_receipted",
            "Deliveries proved by a receipt",
            self.deliveries_receipted.clone(),
        );
        r.register("deliveries_refused", "Deliveries refused for good", self.deliveries_refused.clone());
        r.register("deliveries_expired", "Deliveries given up", self.deliveries_expired.clone());
        r.register("alarms", "Alarms raised", self.alarms.clone());
        r.register(
            "alarms_unacknowledged",
            "Alarms that nobody has acknowledged",
            self.alarms_unacknowledged.clone(),
        );
        r.register("batches_sent", "Batches sent", self.batches_sent.clone());
        r.register("batches_failed", "Batches that failed", self.batches_failed.clone());
        r.register("backlog_entries", "Entries waiting for a peer", self.backlog.clone());
        r.register("clock_skew_milliseconds", "Peer's clock minus this node's", self.clock_skew_ms.clone());
        r.register("log_leaves", "Leaves of this node's log", self.log_leaves.clone());
        r.register("commit_seconds", "Time a commit took", self.commit_seconds.clone());
        r.register("commit_failures", "Commits that failed", self.commit_failures.clone());
        r.register(
            "peer_requests_refused",
            "Requests by peers that were refused",
            self.peer_requests_refused.clone(),
        );
    }

    /// Counts what a group of changes means.
    pub fn count(&self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Entry(entry) if entry.via.is_some() => {
                    self.entries_received.inc();
                }
                Change::Entry(_) => {
                    self.entries_made.inc();
                }
                Change::Delivered { delivery: Delivery::Receipted { .. }, .. } => {
                    self.deliveries_receipted.inc();
                }
                Change::Delivered { delivery: Delivery::Refused { .. }, .. } => {
                    self.deliveries_refused.inc();
                }
                Change::Delivered { delivery: Delivery::Expired, .. } => {
                    self.deliveries_expired.inc();
                }
                Change::Alarm(alarm) => {
                    tracing::warn!(code = %alarm.code, peer = ?alarm.peer, detail = %alarm.detail, "alarm");
                    self.alarms.get_or_create(&CodeLabel { code: alarm.code.clone() }).inc();
                }
                _ => {}
            }
        }
    }

    /// The figures as text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        if let Ok(registry) = self.registry.lock()
            && text::encode(&mut out, &registry).is_err()
        {
            out.clear();
        }
        out
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
