//! Makes sample trade and measures the national dependency books: one line of JSON on stdout.
//!
//! ```text
//! structure_bench make DIRECTORY ROWS SEED            three files, 2020.csv to 2022.csv
//! structure_bench csv THREADS RUNS FILE...            from CSV to the list
//! structure_bench columns THREADS RUNS ROWS SEED      from columns in memory to the list
//! ```
//!
//! `interop/bench/` asks DuckDB and Polars the same and prints the same fields.

use std::io::{BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use hiwar_radar::structure::baci::{self, Columns, World};
use hiwar_radar::structure::rules::RulePack;
use hiwar_radar::structure::sample::{self, Sample};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const YEARS: [u16; 3] = [2020, 2021, 2022];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["make", folder, rows, seed] => make(Path::new(folder), Sample::new(seed.parse()?, rows.parse()?)),
        ["csv", threads, runs, files @ ..] => {
            let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
            let (threads, pack): (NonZeroUsize, _) = (threads.parse()?, RulePack::built_in()?);
            measure("hiwar csv", threads, runs.parse()?, || {
                Ok(baci::dependencies(&baci::read(&files, threads)?, &pack, threads)?)
            })
        }
        ["columns", threads, runs, rows, seed] => {
            let sample = Sample::new(seed.parse()?, rows.parse()?);
            columns(threads.parse()?, runs.parse()?, sample)
        }
        _ => {
            Err("usage: make DIRECTORY ROWS SEED | csv THREADS RUNS FILE... | columns THREADS RUNS ROWS SEED"
                .into())
        }
    }
}

fn make(folder: &Path, sample: Sample) -> Result<()> {
    for year in YEARS {
        let mut file =
            BufWriter::with_capacity(1 << 20, std::fs::File::create(folder.join(format!("{year}.csv")))?);
        let rows = sample.write_csv(year, &mut file)?;
        file.flush()?;
        println!("{}", serde_json::json!({"year": year, "rows": rows}));
    }
    Ok(())
}

fn measure(name: &str, threads: NonZeroUsize, runs: usize, run: impl Fn() -> Result<World>) -> Result<()> {
    let mut seconds = Vec::new();
    let mut world = run()?;
    for _ in 0..runs {
        let start = Instant::now();
        world = run()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds.get(seconds.len() / 2);
    let checksum = serde_json::json!({
        "years": world.years,
        "dependent": world.dependent.len(),
        "dependent_hhi_sum": world.dependent.iter().map(|entry| entry.import_hhi).sum::<f64>(),
    });
    println!(
        "{}",
        serde_json::json!({"engine": name, "threads": threads, "median_s": median, "runs_s": seconds, "checksum": checksum})
    );
    Ok(())
}

#[derive(Default)]
struct Owned {
    exporter: Vec<u8>,
    importer: Vec<u8>,
    product: Vec<u16>,
    value: Vec<f32>,
    tonnes: Vec<f32>,
}

fn columns(threads: NonZeroUsize, runs: usize, sample: Sample) -> Result<()> {
    let countries: Vec<u16> = (0..sample::COUNTRIES).map(sample::country_code).collect();
    let products: Vec<u32> = (0..5018).map(sample::product_code).collect();
    let mut years = Vec::new();
    for year in YEARS {
        let mut owned = Owned::default();
        sample.rows(year, |row| {
            owned.exporter.push(u8::try_from(row.exporter)?);
            owned.importer.push(u8::try_from(row.importer)?);
            owned.product.push(row.product);
            owned.value.push(row.value_thousandths as f32 / 1000.0);
            owned.tonnes.push(row.tonnes_thousandths.map_or(f32::NAN, |tonnes| tonnes as f32 / 1000.0));
            Ok::<(), std::num::TryFromIntError>(())
        })?;
        years.push((year, owned));
    }
    let columns: Vec<Columns<'_>> = years
        .iter()
        .map(|(year, owned)| Columns {
            year: *year,
            countries: &countries,
            products: &products,
            exporter: &owned.exporter,
            importer: &owned.importer,
            product: &owned.product,
            value: &owned.value,
            tonnes: &owned.tonnes,
        })
        .collect();
    let pack = RulePack::built_in()?;
    measure("hiwar columns", threads, runs, || {
        let trade =
            columns.iter().map(|columns| columns.sum(threads)).collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(baci::dependencies(&trade, &pack, threads)?)
    })
}
