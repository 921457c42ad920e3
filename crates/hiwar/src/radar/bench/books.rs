//! B1: GeoDep C1 to C4 of all importers over three years, from CSV and from columns in memory.

use std::fmt;
use std::io::{BufWriter, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use hiwar_radar::structure::baci::{self, Columns, World};
use hiwar_radar::structure::rules::RulePack;
use hiwar_radar::structure::sample::{self, Sample};
use serde::Serialize;
use serde_json::{Value, json};

use super::peers::Peers;
use super::{Bench, Report, text};

const YEARS: [u16; 3] = [2020, 2021, 2022];
/// Products of the sample, as of BACI in the Harmonized System of 2012.
const PRODUCTS: u16 = 5018;
/// A row in memory: two countries, product, value, weight.
const ROW_BYTES: usize = 1 + 1 + 2 + 4 + 4;

/// What is said beside the times.
#[derive(Debug, Serialize)]
pub(super) struct Books {
    rows_per_year: u64,
    /// Pairs of importer and product where C4 holds.
    dependent: usize,
    csv_gb: f64,
    csv_gb_s: f64,
    memory_gb: f64,
    memory_gb_s: f64,
    /// Largest difference of a sum from what another engine gives, as a share of the sum; and of a count.
    largest_difference: Option<f64>,
    largest_count_difference: Option<f64>,
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "B1: {} pairs of importer and product are dependent; {:.2} GB of CSV at {:.2} GB/s, {:.2} GB of columns at \
             {:.2} GB/s.",
            self.dependent, self.csv_gb, self.csv_gb_s, self.memory_gb, self.memory_gb_s
        )?;
        if let (Some(sums), Some(counts)) = (self.largest_difference, self.largest_count_difference) {
            write!(
                f,
                " Against the other engines: sums differ by {sums:.1e} of their size at most, counts by {counts}."
            )?;
        }
        Ok(())
    }
}

/// The median of some runs after one to warm up, and the result.
fn timed<T>(runs: usize, run: impl Fn() -> anyhow::Result<T>) -> anyhow::Result<(f64, T)> {
    let mut result = run()?;
    let mut seconds = Vec::new();
    for _ in 0..runs.max(1) {
        let start = Instant::now();
        result = run()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok((seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN), result))
}

pub(super) fn measure(bench: &Bench, peers: Option<&Peers>, report: &mut Report) -> anyhow::Result<()> {
    let temporary = tempfile::tempdir()?;
    let dir = bench.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    let sample = Sample::new(1, bench.rows);
    eprintln!("B1: writing a sample of trade …");
    let (files, bytes) = write(&sample, &dir)?;
    let first = files.first().context("the sample has no years")?;
    report.limits(bench.threads, first)?;
    let rules = RulePack::built_in()?;
    let rows = bench.rows * YEARS.len() as u64;
    let mut books = Books {
        rows_per_year: bench.rows,
        dependent: 0,
        csv_gb: bytes as f64 / 1e9,
        csv_gb_s: 0.0,
        memory_gb: rows as f64 * ROW_BYTES as f64 / 1e9,
        memory_gb_s: 0.0,
        largest_difference: None,
        largest_count_difference: None,
    };
    for input in ["csv", "memory"] {
        eprintln!("B1: dependency books of all importers, from {input} …");
        let (radar, world) = match input {
            "csv" => timed(bench.runs, || {
                Ok(baci::dependencies(&baci::read(&files, bench.threads)?, &rules, bench.threads)?)
            })?,
            _ => from_memory(&sample, bench.threads, bench.runs, &rules)?,
        };
        let task = format!("C1-C4 of all importers, 3 years of {} rows, from {input}", bench.rows);
        report.add("b1", &task, "radar", radar, radar);
        books.dependent = world.dependent.len();
        match input {
            "csv" => books.csv_gb_s = books.csv_gb / radar,
            _ => books.memory_gb_s = books.memory_gb / radar,
        }
        let Some(peers) = peers else { continue };
        let ours = checksum(&world);
        for script in ["book_duckdb.py", "book_polars.py"] {
            eprintln!("B1: the same by {script} …");
            let mut args: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
            args.extend(["--input", input, "--runs", &bench.runs.max(1).to_string()].map(ToOwned::to_owned));
            args.extend(["--threads".to_owned(), bench.threads.to_string()]);
            match peers.run(script, &args) {
                Ok(lines) => {
                    for line in lines {
                        let seconds = line["median_s"].as_f64().unwrap_or(f64::NAN);
                        report.add("b1", &task, &text(&line["engine"]), seconds, radar);
                        books.compare(&ours, &line["checksum"]);
                    }
                }
                Err(why) => report.skip(script, &why),
            }
        }
    }
    report.b1 = Some(books);
    Ok(())
}

fn write(sample: &Sample, dir: &Path) -> anyhow::Result<(Vec<PathBuf>, u64)> {
    std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let (mut files, mut bytes) = (Vec::new(), 0);
    for year in YEARS {
        let path = dir.join(format!("{year}.csv"));
        let file = std::fs::File::create(&path).with_context(|| path.display().to_string())?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        sample.write_csv(year, &mut out)?;
        out.flush()?;
        bytes += std::fs::metadata(&path)?.len();
        files.push(path);
    }
    Ok((files, bytes))
}

/// A year as columns.
#[derive(Default)]
struct Year {
    exporter: Vec<u8>,
    importer: Vec<u8>,
    product: Vec<u16>,
    value: Vec<f32>,
    tonnes: Vec<f32>,
}

fn from_memory(
    sample: &Sample,
    threads: NonZeroUsize,
    runs: usize,
    rules: &RulePack,
) -> anyhow::Result<(f64, World)> {
    let countries: Vec<u16> = (0..sample::COUNTRIES).map(sample::country_code).collect();
    let products: Vec<u32> = (0..PRODUCTS).map(sample::product_code).collect();
    let mut years = Vec::new();
    for year in YEARS {
        let mut columns = Year::default();
        sample.rows(year, |row| {
            columns.exporter.push(u8::try_from(row.exporter)?);
            columns.importer.push(u8::try_from(row.importer)?);
            columns.product.push(row.product);
            columns.value.push(row.value_thousandths as f32 / 1000.0);
            columns.tonnes.push(row.tonnes_thousandths.map_or(f32::NAN, |tonnes| tonnes as f32 / 1000.0));
            anyhow::Ok(())
        })?;
        years.push((year, columns));
    }
    timed(runs, || {
        let sums = years.iter().map(|(year, of)| {
            let columns = Columns {
                year: *year,
                countries: &countries,
                products: &products,
                exporter: &of.exporter,
                importer: &of.importer,
                product: &of.product,
                value: &of.value,
                tonnes: &of.tonnes,
            };
            columns.sum(threads)
        });
        Ok(baci::dependencies(&sums.collect::<Result<Vec<_>, _>>()?, rules, threads)?)
    })
}

/// What every engine says of its result.
fn checksum(world: &World) -> Value {
    json!({
        "years": world.years,
        "dependent": world.dependent.len(),
        "dependent_hhi_sum": world.dependent.iter().map(|d| d.import_hhi).sum::<f64>(),
    })
}

impl Books {
    /// Takes in how far another engine's result is from ours.
    fn compare(&mut self, ours: &Value, theirs: &Value) {
        let larger = |so_far: Option<f64>, now: f64| Some(so_far.unwrap_or(0.0).max(now));
        match (ours, theirs) {
            (Value::Object(ours), _) => {
                ours.iter().for_each(|(name, value)| self.compare(value, &theirs[name]))
            }
            (Value::Array(ours), _) => {
                ours.iter().enumerate().for_each(|(at, value)| self.compare(value, &theirs[at]));
            }
            (Value::Number(a), Value::Number(b)) => {
                let (x, y) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
                if a.is_f64() {
                    self.largest_difference = larger(self.largest_difference, (x - y).abs() / x.abs());
                } else {
                    self.largest_count_difference = larger(self.largest_count_difference, (x - y).abs());
                }
            }
            // It did not say: no agreement may be claimed.
            _ => self.largest_difference = Some(f64::INFINITY),
        }
    }
}
