//! `hiwar radar import`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use hiwar_radar::import::WrongRows;
use hiwar_radar::month::Date;
use hiwar_radar::store::{Options, Progress, Store};

use super::{Format, OutputArgs, StoreArgs};

/// Read tables into the store
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// The files: Korea Customs CSV or XML, Japan Customs wide CSV, e-Stat, Comext, Comtrade, BACI, or plain long
    /// CSV; also .gz and .zst; or the same columns as Parquet
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The day the files were obtained: nothing in them was released later [default: today]
    #[arg(long)]
    received: Option<Date>,
    /// The day all rows were released, when it is known; else the source's calendar says
    #[arg(long)]
    released: Option<Date>,
    /// Leave wrong rows out and count them, instead of refusing the file
    #[arg(long)]
    skip_wrong_rows: bool,
    /// Put back the leading zero of codes that have lost it, instead of refusing them
    #[arg(long)]
    restore_zeros: bool,
    /// Refuse codes of items and names of economies that no built-in list has, instead of counting them
    #[arg(long)]
    strict_codes: bool,
    /// The files hold all rows of each source, reporter, flow and period in them: what they no longer have was
    /// withdrawn on the day of --released, or else of --received
    #[arg(long)]
    complete: bool,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Import {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let today = super::today()?;
        let mut options = Options::received(self.received.unwrap_or(today));
        options.released = self.released;
        if self.skip_wrong_rows {
            options.read.wrong_rows = WrongRows::Skip;
        }
        options.read.restore_zeros = self.restore_zeros;
        options.read.strict_codes = self.strict_codes;
        options.complete = self.complete;
        let path = self.store.path()?;
        std::fs::create_dir_all(&path)
            .with_context(|| format!("the store {} cannot be made", path.display()))?;
        let store = Store::open(&path)?;
        let bar = indicatif::ProgressBar::new_spinner();
        let report = store.import_watched(&self.files, &options, &mut |progress| {
            bar.set_message(match progress {
                Progress::Read(path, records) => format!("{}: {records} records read", path.display()),
                Progress::Compared(series) => format!("{series} series compared with the store"),
            });
            bar.tick();
        })?;
        bar.finish_and_clear();
        if self.output.format == Format::Json {
            self.output.json(&report)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut text = String::new();
        for file in &report.files {
            let of = &file.recognised;
            let period = match (&of.first, &of.last) {
                (Some(first), Some(last)) => format!(", {first} to {last}"),
                _ => String::new(),
            };
            text.push_str(&format!(
                "{}: {}, {}, {}{period}; {} rows, {} records\n",
                file.file, of.format, of.encoding, of.compression, file.rows, file.records
            ));
            if file.rows == 0 {
                text.push_str("  no rows below the header\n");
            }
            for (why, count) in &file.skipped {
                text.push_str(&format!("  left out {count}: {why}\n"));
            }
            if let Some(unknown) = file.unlisted_codes() {
                text.push_str(&format!("  {unknown}\n"));
            }
            for example in &file.examples {
                text.push_str(&format!("  {example}\n"));
            }
        }
        text.push_str(&format!(
            "{} series ({} new), {} new numbers, {} revisions, {} unchanged\n",
            report.series, report.new_series, report.new, report.revisions, report.unchanged
        ));
        if report.withdrawn > 0 {
            text.push_str(&format!("{} numbers withdrawn\n", report.withdrawn));
        }
        self.output.write(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}
