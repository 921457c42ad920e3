//! `hiwar radar stress`

mod cascade;
mod path;
mod ranking;
mod whatif;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use hiwar_radar::graph::esri::{Essentiality, Options};
use hiwar_radar::graph::network::{EssentialityTable, Network};

use super::OutputArgs;

/// Where the index is from.
const ESRI: &str = "ESRI: Diem, Borsos, Reisch, Kertész, Thurner 2022, Scientific Reports 12, 7719";

/// What each firm's failure would stop (ESRI, Diem and others 2022); one cascade; one path day by day
#[derive(Debug, clap::Args)]
pub(crate) struct Stress {
    /// Who supplies whom: CSV with supplier,buyer,weight
    links: PathBuf,
    /// The firms: CSV with firm,sector and, if wanted, market
    #[arg(long)]
    firms: PathBuf,
    /// How much each sector needs each: CSV matrix of 2 (essential), 1 (not), 0 (none), supplier sectors in rows;
    /// without it every input is essential, or none with --linear
    #[arg(long)]
    essentiality: Option<PathBuf>,
    /// Without a matrix: production falls in proportion to its inputs, the lower bound
    #[arg(long, conflicts_with = "essentiality")]
    linear: bool,
    /// Firms of one market do not replace one another
    #[arg(long)]
    no_replacement: bool,
    /// Pass every change on, however small; slower. Without it changes that hardly matter are held back: each index
    /// is meant to be within 1e-6 of all output. That is an estimate, not a proof; it held wherever it was compared
    /// with the exact values
    #[arg(long)]
    exact: bool,
    /// What if BUYER took SHARE (0 to 1) of what it buys from FROM from TO instead (repeatable)
    #[arg(long, value_name = "BUYER:FROM:TO:SHARE", conflicts_with_all = ["cascade", "path"])]
    second_source: Vec<String>,
    /// The cascade of one firm's failure round by round: whom it reaches when (repeatable)
    #[arg(long, value_name = "FIRM", conflicts_with = "path")]
    cascade: Vec<String>,
    /// Output day by day when FIRM loses SHARE (0 to 1) [1] of its capacity for DAYS [30] (repeatable: all at once)
    #[arg(long, value_name = "FIRM[:SHARE[:DAYS]]")]
    path: Vec<String>,
    #[command(flatten)]
    course: path::Course,
    /// How many firms to show in tables and pages
    #[arg(long, default_value_t = 30)]
    top: usize,
    #[command(flatten)]
    output: OutputArgs,
}

fn open(path: &Path) -> anyhow::Result<BufReader<File>> {
    Ok(BufReader::new(File::open(path).with_context(|| path.display().to_string())?))
}

impl Stress {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let name = |path: &Path| path.display().to_string();
        let network =
            Network::read(&name(&self.firms), open(&self.firms)?, &name(&self.links), open(&self.links)?)?;
        let essentiality = match &self.essentiality {
            Some(path) => Essentiality::Table(EssentialityTable::read(&name(path), open(path)?)?),
            None if self.linear => Essentiality::AllLinear,
            None => Essentiality::AllEssential,
        };
        let tolerance = if self.exact { 0.0 } else { Options::default().tolerance };
        let options =
            Options { essentiality, replaceability: !self.no_replacement, tolerance, ..Options::default() };
        if !self.path.is_empty() {
            self.path(&network)?;
        } else if !self.cascade.is_empty() {
            self.cascade(&network, &options)?;
        } else if !self.second_source.is_empty() {
            self.what_if(&network, &options)?;
        } else {
            self.ranking(&network, &options)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The place of a firm.
    fn firm(&self, network: &Network, name: &str) -> anyhow::Result<u32> {
        network.firm(name).with_context(|| format!("there is no firm {name:?} in {}", self.firms.display()))
    }

    /// What is assumed of the network, in words.
    fn assumed(&self) -> String {
        let inputs = match (&self.essentiality, self.linear) {
            (Some(path), _) => format!("inputs as essential as {} says", path.display()),
            (None, true) => "no input essential (the lower bound)".to_owned(),
            (None, false) => "every input essential (the upper bound)".to_owned(),
        };
        let replaced = if self.no_replacement { "do not replace" } else { "replace" };
        let eps = Options::default().eps;
        format!(
            "{inputs}; firms of one market {replaced} one another; a cascade ends below {eps} of any firm's output"
        )
    }
}

fn firm_name(network: &Network, at: u32) -> &str {
    network.firms().get(at as usize).map_or("?", |f| &*f.name)
}
