//! `hiwar radar bench`: B1 dependency books, B2 cascades, B3 screening.

use std::io::{BufWriter, Write as _};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use hiwar_radar::graph::esri::{Essentiality, Options, esri_all};
use hiwar_radar::graph::generate::{Shape, generate};
use hiwar_radar::structure::baci;
use hiwar_radar::structure::rules::RulePack;
use hiwar_radar::structure::sample::Sample;
use serde_json::{Value, json};

use super::{Format, OutputArgs, screening};

/// Measure the radar on this machine
#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    /// Which: b1 (dependency books), b2 (cascades of every firm), b3 (screening) [default: all]
    #[arg(value_parser = ["b1", "b2", "b3"])]
    which: Vec<String>,
    /// Threads
    #[arg(long, default_value = "2")]
    threads: NonZeroUsize,
    /// B1: rows of each of three years
    #[arg(long, default_value_t = 11_000_000)]
    rows: u64,
    /// B1: where the sample files go, about 1.2 GB [default: a temporary folder]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// B2: firms and links, separated by a colon (repeatable)
    #[arg(long, default_values_t = ["91595:241477".to_owned()])]
    network: Vec<String>,
    #[command(flatten)]
    output: OutputArgs,
}

impl Bench {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let wanted = |name: &str| self.which.is_empty() || self.which.iter().any(|w| w == name);
        let mut report = serde_json::Map::new();
        let mut text = String::new();
        if wanted("b1") {
            let b1 = self.books()?;
            text.push_str(&format!(
                "B1 dependency books   3 years of {} rows, all importers, {} threads\n  from CSV to the list  {:.2} s, {:.2} GB/s ({:.2} GB)\n",
                self.rows, self.threads, b1["csv_s"].as_f64().unwrap_or(0.0), b1["gb_per_second"].as_f64().unwrap_or(0.0), b1["gb"].as_f64().unwrap_or(0.0)
            ));
            report.insert("b1".into(), b1);
        }
        if wanted("b2") {
            for shape in &self.network {
                let b2 = self.cascades(shape)?;
                text.push_str(&format!(
                    "B2 cascades           every firm of {} ({} links), {} threads\n  all firms             {:.1} s, {:.2} ms each\n",
                    b2["firms"], b2["links"], self.threads, b2["all_s"].as_f64().unwrap_or(0.0), b2["ms_per_firm"].as_f64().unwrap_or(0.0)
                ));
                if let Some(list) = report.entry("b2").or_insert_with(|| json!([])).as_array_mut() {
                    list.push(b2);
                }
            }
        }
        if wanted("b3") {
            eprintln!("B3: screening of 480,000 series …");
            let b3 = screening::run(self.threads.get())?;
            text.push_str(&b3.to_string());
            report.insert("b3".into(), serde_json::to_value(&b3)?);
        }
        match self.output.format {
            Format::Json => self.output.json(&report)?,
            _ => self.output.write(&text)?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn books(&self) -> anyhow::Result<Value> {
        eprintln!("B1: writing a sample of trade …");
        let temporary = tempfile::tempdir()?;
        let dir = self.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
        let sample = Sample::new(1, self.rows);
        let mut files = Vec::new();
        let mut bytes = 0;
        for year in [2020, 2021, 2022] {
            let path = dir.join(format!("{year}.csv"));
            let file = std::fs::File::create(&path).with_context(|| path.display().to_string())?;
            let mut out = BufWriter::with_capacity(1 << 20, file);
            sample.write_csv(year, &mut out)?;
            out.flush()?;
            bytes += std::fs::metadata(&path)?.len();
            files.push(path);
        }
        eprintln!("B1: dependency books of all importers …");
        let rules = RulePack::built_in()?;
        let mut seconds = Vec::new();
        let mut dependent = 0;
        for _ in 0..3 {
            let start = Instant::now();
            let world = baci::dependencies(&baci::read(&files, self.threads)?, &rules, self.threads)?;
            seconds.push(start.elapsed().as_secs_f64());
            dependent = world.dependent.len();
        }
        seconds.sort_by(f64::total_cmp);
        let median = seconds.get(seconds.len() / 2).copied().unwrap_or(0.0);
        let gb = bytes as f64 / 1e9;
        Ok(json!({
            "rows_per_year": self.rows, "gb": gb, "csv_s": median, "gb_per_second": gb / median,
            "dependent": dependent, "peers": "interop/bench/README.md",
        }))
    }

    fn cascades(&self, shape: &str) -> anyhow::Result<Value> {
        let (firms, links) = shape.split_once(':').context("a network is FIRMS:LINKS")?;
        let shape = Shape { firms: firms.parse()?, links: links.parse()?, sectors: 600, seed: 1 };
        eprintln!("B2: cascades of every firm of {} …", shape.firms);
        let (network, table) = generate(&shape)?;
        let options = Options {
            essentiality: Essentiality::Table(table),
            threads: self.threads.get(),
            ..Options::default()
        };
        let bar = super::progress(shape.firms as u64, "firms");
        let start = Instant::now();
        let found = esri_all(&network, &options, |done| bar.set_position(done as u64))?;
        let all_s = start.elapsed().as_secs_f64();
        bar.finish_and_clear();
        Ok(json!({
            "firms": shape.firms, "links": shape.links, "all_s": all_s,
            "ms_per_firm": all_s * 1e3 / shape.firms as f64,
            "largest": found.iter().copied().fold(0.0, f64::max),
            "peak_memory_mib": screening::peak_memory_mib(),
        }))
    }
}
