//! `hiwar bench dataspace`

mod catalog;
mod edc;
mod memory;
mod negotiate;
mod peers;
mod pull;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use super::machine::Machine;
use crate::commands::{print, print_json};
use hiwar::api_client::{Format, block_on};
use memory::Memory;
use peers::Peers;

/// How long the nodes rest before their memory at rest is read.
const REST: Duration = Duration::from_secs(2);

/// Two nodes on this machine negotiate, look into catalogs and pull over loopback, durably
#[derive(Debug, clap::Args)]
pub(crate) struct Dataspace {
    /// Datasets in the catalog [default: 100000, with --quick 300]
    #[arg(long)]
    datasets: Option<usize>,
    /// Negotiations one at a time [default: 300, with --quick 3]
    #[arg(long)]
    negotiations: Option<usize>,
    /// Negotiations at each number in flight [default: 3000, with --quick 16]
    #[arg(long)]
    parallel: Option<usize>,
    /// Numbers of negotiations in flight; the first is also the one that EDC is given
    #[arg(long, value_delimiter = ',', default_value = "8,64")]
    in_flight: Vec<usize>,
    /// Bytes of the file that is pulled [default: 1 GiB, with --quick 1 MiB]
    #[arg(long)]
    file_bytes: Option<u64>,
    /// Times each kind of pull is measured; the median counts [default: 3, with --quick 1]
    #[arg(long)]
    pulls: Option<usize>,
    /// Requests of each kind of catalog page [default: 200, with --quick 3]
    #[arg(long)]
    pages: Option<usize>,
    /// A small run that shows that everything works; its figures say nothing
    #[arg(long)]
    quick: bool,
    /// The folder `interop` of the sources, with the scripts that start nginx and EDC
    #[arg(long, default_value = "interop")]
    interop: PathBuf,
    /// Leave Eclipse EDC out
    #[arg(long)]
    no_edc: bool,
    /// Where the nodes' folders go; use the disk you mean to measure [default: a temporary folder]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// How much is measured.
#[derive(Clone, Debug, Serialize)]
struct Size {
    datasets: usize,
    negotiations: usize,
    parallel: usize,
    in_flight: Vec<usize>,
    file_bytes: u64,
    pulls: usize,
    pages: usize,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    load_before: f64,
    load_after: f64,
    size: Size,
    start_empty_ms: f64,
    rest: Memory,
    negotiations: negotiate::Negotiations,
    offering: catalog::Offering,
    catalog: Vec<catalog::Pages>,
    catalog_memory: Memory,
    pull: pull::Pulls,
    start_full_ms: [f64; 2],
    rest_full: Memory,
    /// What Eclipse EDC needs, by setting; absent with the reason.
    edc: Result<Vec<edc::Edc>, String>,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Spread {
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

impl Spread {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        let last = times.len().saturating_sub(1);
        let at = |q: f64| {
            let index = (last as f64 * q).ceil() as usize;
            times.get(index).map_or(0.0, |t| t.as_secs_f64() * 1e3)
        };
        Self { p50_ms: at(0.50), p99_ms: at(0.99), max_ms: at(1.0) }
    }
}

/// Load of the machine over the last minute, as the system tells it.
fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0.0)
}

impl Dataspace {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let temporary = tempfile::tempdir()?;
        let dir = self.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
        std::fs::create_dir_all(&dir)?;
        eprintln!("Measuring this machine …");
        let load_before = load();
        let machine = Machine::measure(&dir)?;
        let report = block_on(self.measure(machine, load_before, dir))?;
        match self.format {
            Format::Json => print_json(&serde_json::to_value(&report)?)?,
            Format::Table => print(&report::show(&report))?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn size(&self) -> Size {
        let of = |given: Option<usize>, whole: usize, quick: usize| {
            given.unwrap_or(if self.quick { quick } else { whole }).max(1)
        };
        let bytes = if self.quick { 1 << 20 } else { 1 << 30 };
        Size {
            datasets: of(self.datasets, 100_000, 300),
            negotiations: of(self.negotiations, 300, 3),
            parallel: of(self.parallel, 3_000, 16),
            in_flight: self.in_flight.clone(),
            file_bytes: self.file_bytes.unwrap_or(bytes),
            pulls: of(self.pulls, 3, 1),
            pages: of(self.pages, 200, 3),
        }
    }

    async fn measure(&self, machine: Machine, load_before: f64, dir: PathBuf) -> anyhow::Result<Report> {
        let size = self.size();
        let mut peers = Peers::make(&dir).await?;
        let start_empty_ms = peers.start_ms;
        tokio::time::sleep(REST).await;
        let rest = Memory::now(&peers.provider, &peers.consumer);
        eprintln!("Offering {} datasets …", size.datasets);
        let offering = catalog::offer(&peers, &dir, size.datasets).await?;
        eprintln!("Negotiations …");
        let negotiations = negotiate::measure(&peers, &size).await?;
        eprintln!("Catalog …");
        let (catalog, catalog_memory) = catalog::measure(&peers, &size).await?;
        eprintln!("Pulls of {} bytes …", size.file_bytes);
        let pull = pull::measure(&peers, &dir, &size, &self.interop).await?;
        eprintln!("Start with {} datasets and all these negotiations …", size.datasets);
        let start_full_ms = peers.restart().await?;
        tokio::time::sleep(REST).await;
        let rest_full = Memory::now(&peers.provider, &peers.consumer);
        drop(peers);
        let edc = if self.no_edc {
            Err("left out, as asked".to_owned())
        } else {
            eprintln!("Eclipse EDC …");
            edc::measure(&self.interop, &size, self.quick).map_err(|e| format!("{e:#}"))
        };
        Ok(Report {
            machine,
            load_before,
            load_after: load(),
            size,
            start_empty_ms,
            rest,
            negotiations,
            offering,
            catalog,
            catalog_memory,
            pull,
            start_full_ms,
            rest_full,
            edc,
        })
    }
}
