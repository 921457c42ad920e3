//! `hiwar radar stress` and `hiwar radar survive`

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use hiwar_radar::graph::esri::{Essentiality, Options, cascades_all};
use hiwar_radar::graph::network::{EssentialityTable, Network};
use hiwar_radar::graph::points::{Common, common_causes, single_points};
use hiwar_radar::graph::survive::Bill;
use hiwar_radar::graph::whatif::{Edit, compare};
use hiwar_radar::report::html::Page;
use hiwar_radar::report::plot::bars;
use serde_json::json;

use super::{Format, OutputArgs, cell, progress};

/// What each firm's failure would stop (ESRI, Diem and others 2022)
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
    /// What if BUYER took SHARE (0 to 1) of what it buys from FROM from TO instead: BUYER:FROM:TO:SHARE
    #[arg(long, value_name = "BUYER:FROM:TO:SHARE")]
    second_source: Vec<String>,
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
        let options = Options { essentiality, replaceability: !self.no_replacement, ..Options::default() };
        if !self.second_source.is_empty() {
            return self.what_if(&network, &options);
        }
        let bar = progress(network.firms().len() as u64, "firms");
        let found = cascades_all(&network, &options, |done| bar.set_position(done as u64))?;
        bar.finish_and_clear();
        let mut ranked: Vec<(usize, f64)> = found.iter().map(|c| c.esri).enumerate().collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let firm = |at: usize| network.firms().get(at).map_or("?", |f| &*f.name);
        let shares = |at: usize| found.get(at).copied().unwrap_or_default();
        match self.output.format {
            Format::Json => {
                let firms: Vec<_> = ranked
                    .iter()
                    .map(|(at, esri)| {
                        let c = shares(*at);
                        json!({ "firm": firm(*at), "esri": esri, "down": c.down, "up": c.up, "rounds": c.rounds })
                    })
                    .collect();
                self.output.json(&json!({
                    "unit": "share of the output of the whole network, 0 to 1",
                    "source": "ESRI: Diem, Borsos, Reisch, Kertesz, Thurner 2022, Scientific Reports 12, 7719",
                    "firms": firms,
                }))?;
            }
            Format::Csv | Format::Parquet => {
                let mut text = String::from("firm,esri,down,up,rounds\n");
                for (at, esri) in &ranked {
                    let c = shares(*at);
                    text.push_str(&format!("{},{esri},{},{},{}\n", cell(firm(*at)), c.down, c.up, c.rounds));
                }
                self.output.write(&text)?;
            }
            Format::Table => {
                let mut text = format!(
                    "{} firms, {} links; share of all output lost when a firm fails\n",
                    network.firms().len(),
                    network.links().len()
                );
                for (at, esri) in ranked.iter().take(self.top) {
                    let c = shares(*at);
                    text.push_str(&format!(
                        "{:>8.4} %  {:<30} downstream {:.4} %, upstream {:.4} %, {} rounds\n",
                        esri * 100.0,
                        firm(*at),
                        c.down * 100.0,
                        c.up * 100.0,
                        c.rounds
                    ));
                }
                self.output.write(&text)?;
            }
            Format::Html => {
                let mut page = Page::new("What each firm's failure would stop");
                page.paragraph(&format!(
                    "{} firms, {} links. Share of the output of the whole network that is lost (ESRI, Diem and \
                     others 2022, eps 0.01).",
                    network.firms().len(),
                    network.links().len()
                ));
                let top: Vec<(String, f64)> = ranked
                    .iter()
                    .take(self.top)
                    .map(|(at, esri)| (firm(*at).to_owned(), esri * 100.0))
                    .collect();
                page.plot(&bars("Firms with the largest cascades", "% of all output", &top));
                self.output.write(&page.finish())?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn what_if(&self, network: &Network, options: &Options) -> anyhow::Result<ExitCode> {
        let mut edits = Vec::new();
        let mut firms = Vec::new();
        for text in &self.second_source {
            let parts: Vec<&str> = text.split(':').collect();
            let [buyer, from, to, share] = parts.as_slice() else {
                anyhow::bail!("{text:?} is not BUYER:FROM:TO:SHARE");
            };
            let firm = |name: &str| network.firm(name).with_context(|| format!("there is no firm {name:?}"));
            let share = share.parse().with_context(|| format!("{share:?} is no share"))?;
            let (buyer, from, to) = (firm(buyer)?, firm(from)?, firm(to)?);
            edits.push(Edit::SecondSource { buyer, from, to, share });
            firms.extend([from, to]);
        }
        firms.sort_unstable();
        firms.dedup();
        let compared = compare(network, options, &edits, &firms)?;
        let name = |at: u32| network.firms().get(at as usize).map_or("?", |f| &*f.name);
        if self.output.format == Format::Json {
            let rows: Vec<_> = compared
                .iter()
                .map(|c| json!({ "firm": name(c.firm), "before": c.before.esri, "after": c.after.esri }))
                .collect();
            self.output.json(&json!({ "unit": "share of all output, 0 to 1", "firms": rows }))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut text = String::from("share of all output lost when the firm fails\n");
        for c in &compared {
            text.push_str(&format!(
                "{:<30} before {:.4} %  after {:.4} %\n",
                name(c.firm),
                c.before.esri * 100.0,
                c.after.esri * 100.0
            ));
        }
        self.output.write(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Days to stop against days to recover, over a bill of materials of several tiers
#[derive(Debug, clap::Args)]
pub(crate) struct Survive {
    /// The bill of materials (JSON)
    file: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

impl Survive {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let text = std::fs::read_to_string(&self.file).with_context(|| self.file.display().to_string())?;
        let bill = Bill::read(&self.file.display().to_string(), &text)?;
        let name = |at: usize| bill.nodes().get(at).map_or("?", |n| &*n.name);
        let way = |way: &[usize]| way.iter().map(|n| name(*n)).collect::<Vec<_>>().join(" → ");
        let warnings = bill.warnings();
        let watched: Vec<usize> =
            bill.nodes().iter().enumerate().filter(|(_, n)| n.watch).map(|(at, _)| at).collect();
        if self.output.format == Format::Json {
            let points = |at: usize| -> Vec<_> {
                let points = single_points(&bill, at);
                points.iter().map(|p| json!({ "node": name(p.node), "days": p.days })).collect()
            };
            self.output.json(&json!({
                "warnings": warnings.iter().map(|w| json!({
                    "failed": name(w.failed), "stops": name(w.stops),
                    "tts_days": w.tts_days, "ttr_days": w.ttr_days,
                    "way": w.way.iter().map(|n| name(*n)).collect::<Vec<_>>(),
                })).collect::<Vec<_>>(),
                "single_points": watched.iter().map(|at| json!({
                    "of": name(*at), "points": points(*at),
                })).collect::<Vec<_>>(),
            }))?;
        } else {
            let mut out = String::new();
            for w in &warnings {
                out.push_str(&format!(
                    "{} stops {:.1} days after {} fails, which takes {:.1} days to recover\n  {}\n",
                    name(w.stops),
                    w.tts_days,
                    name(w.failed),
                    w.ttr_days,
                    way(&w.way)
                ));
            }
            if warnings.is_empty() {
                out.push_str("No watched node stops before a failed one is back.\n");
            }
            for at in watched {
                out.push_str(&format!("\nSingle points of failure of {}:\n", name(at)));
                for p in single_points(&bill, at) {
                    out.push_str(&format!("  {:<30} stops it after {:.1} days\n", name(p.node), p.days));
                }
                for (what, common) in [("site", Common::Site), ("owner", Common::Owner)] {
                    for c in common_causes(&bill, at, common).iter().filter(|c| c.hidden) {
                        out.push_str(&format!(
                            "  all at {what} {}: {} nodes, stops it after {:.1} days; none of them alone does\n",
                            c.name,
                            c.nodes.len(),
                            c.days
                        ));
                    }
                }
            }
            self.output.write(&out)?;
        }
        Ok(if warnings.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
