//! `hiwar radar export`

use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::ExitCode;

use anyhow::Context as _;
use hiwar_radar::report::parquet::ParquetFile;
use hiwar_radar::report::records::Records;
use hiwar_radar::store::{Filter, Held, Store};
use serde_json::json;

use super::{Format, OutputArgs, SeriesArgs, StoreArgs};

/// Rows that are held at once: those of a row group.
const BATCH: usize = 1 << 16;

/// Take every number out of the store, with the day it was released
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The columns are those of the plain table that `hiwar radar import` reads. A number that was \
                        withdrawn has a row without amounts. Zeros that follow from what a source leaves out are \
                        not written."
)]
pub(crate) struct Export {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    series: SeriesArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Export {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let store = self.store.open()?;
        // Totals go with their parts: this is what was taken in.
        let filter = Filter { without_aggregates: false, ..self.series.filter() };
        let format = match self.output.format {
            Format::Table => Format::Csv,
            Format::Html => anyhow::bail!("rows are no page; ask for csv, parquet or json"),
            other => other,
        };
        if format == Format::Parquet {
            self.output.refuse_terminal()?;
        }
        let Some(path) = &self.output.output else {
            let written = write(&store, &filter, format, BufWriter::new(std::io::stdout()));
            return match written {
                Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
                other => other.map(|_| ExitCode::SUCCESS),
            };
        };
        let part = path.with_extension("part");
        let out = File::create(&part).with_context(|| part.display().to_string())?;
        let written = write(&store, &filter, format, BufWriter::new(out)).and_then(|(rows, out)| {
            out.into_inner()?.sync_all()?;
            std::fs::rename(&part, path)?;
            Ok(rows)
        });
        if written.is_err() {
            // Half a file is worse than none; that it cannot be removed is the smaller trouble.
            drop(std::fs::remove_file(&part));
        }
        let rows = written.with_context(|| path.display().to_string())?;
        eprintln!("Wrote {}: {rows} rows", path.display());
        Ok(ExitCode::SUCCESS)
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = |e: &std::io::Error| e.kind() == std::io::ErrorKind::BrokenPipe;
    error
        .chain()
        .any(|cause| cause.downcast_ref().is_some_and(io) || cause.to_string().contains("Broken pipe"))
}

/// Writes all rows, a batch at a time.
fn write<W: Write + Send>(
    store: &Store,
    filter: &Filter,
    format: Format,
    mut out: W,
) -> anyhow::Result<(u64, W)> {
    let mut all = store.held(filter)?;
    let mut rows = 0;
    let mut batch = |rows: &mut u64| -> anyhow::Result<Vec<Held>> {
        let batch = all.by_ref().take(BATCH).collect::<Result<Vec<_>, _>>()?;
        *rows += batch.len() as u64;
        Ok(batch)
    };
    let mut first = batch(&mut rows)?;
    match format {
        Format::Parquet => {
            let mut file = ParquetFile::new(out, &records(&first))?;
            while !first.is_empty() {
                file.put(&records(&first))?;
                first = batch(&mut rows)?;
            }
            return Ok((rows, file.finish()?));
        }
        Format::Json => {
            let mut before = "[";
            while !first.is_empty() {
                for held in &first {
                    write!(out, "{before}\n{}", object(held))?;
                    before = ",";
                }
                first = batch(&mut rows)?;
            }
            writeln!(out, "{}]", if rows == 0 { "[" } else { "\n" })?;
        }
        Format::Csv | Format::Table | Format::Html => {
            let mut text = records(&first).csv();
            while !text.is_empty() {
                out.write_all(text.as_bytes())?;
                let more = batch(&mut rows)?;
                // The names stand above the first batch only.
                text = if more.is_empty() {
                    String::new()
                } else {
                    below_header(&records(&more).csv()).to_owned()
                };
            }
        }
    }
    out.flush()?;
    Ok((rows, out))
}

fn below_header(text: &str) -> &str {
    text.split_once('\n').map_or("", |(_, rows)| rows)
}

fn records(rows: &[Held]) -> Records {
    let all = || rows.iter();
    Records::default()
        .note("value", "in the unit of the column unit; USD, EUR or JPY")
        .note("kg", "kilograms of net weight")
        .note("quantity", "in the source's supplementary unit")
        .text("source", all().map(|h| &h.key.source))
        .text("reporter", all().map(|h| &h.key.reporter))
        .text("partner", all().map(|h| &h.key.partner))
        .text("item", all().map(|h| &h.key.item))
        .text("flow", all().map(|h| super::scan::word(&h.key.flow)))
        .text("period", all().map(|h| h.period))
        .text("released", all().map(|h| h.released))
        .count("revision", all().map(|h| u64::from(h.revision)))
        .text("unit", all().map(|h| h.unit))
        .number("value", all().map(|h| h.observation.value))
        .number("kg", all().map(|h| h.observation.kg))
        .number("quantity", all().map(|h| h.observation.quantity))
}

fn object(held: &Held) -> serde_json::Value {
    json!({
        "source": held.key.source,
        "reporter": held.key.reporter,
        "partner": held.key.partner,
        "item": held.key.item,
        "flow": held.key.flow,
        "period": held.period.to_string(),
        "released": held.released.to_string(),
        "revision": held.revision,
        "unit": held.unit.to_string(),
        "value": held.observation.value,
        "kg": held.observation.kg,
        "quantity": held.observation.quantity,
    })
}
