//! `hiwar measure …`: the register of government measures. Works without a node.

mod answer;
mod export;
mod register;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use hiwar_form::{Document, Faults, Language};
use hiwar_measure::{Measure, Register, document, messages, shipped};
use serde_json::Value;

use crate::commands::{print, print_json, table};

/// What governments do to items: licences, bans, lists, inspections, with every source
#[derive(Debug, clap::Subcommand)]
pub(crate) enum MeasureCommand {
    /// The measures, one a line
    List(register::List),
    /// One measure: items, codes, thresholds, states, and every claim with its source
    Show(register::Show),
    /// What governed an item between two countries on a day
    Governing(answer::Governing),
    /// The customs codes of a measure, with what to mind when they are joined with trade tables
    Touches(answer::Touches),
    /// What happened when, with every version
    Timeline(answer::Timeline),
    /// Read a table of Global Trade Alert
    ImportGta(export::ImportGta),
    /// Write a notification of quantitative restrictions to the WTO (G/L/59/Rev.1)
    Qr(export::Qr),
    /// Check documents of measures: every fault with file, line and field
    Check(register::Check),
}

impl MeasureCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(command) => command.run(),
            Self::Show(command) => command.run(),
            Self::Governing(command) => command.run(),
            Self::Touches(command) => command.run(),
            Self::Timeline(command) => command.run(),
            Self::ImportGta(command) => command.run(),
            Self::Qr(command) => command.run(),
            Self::Check(command) => command.run(),
        }
    }
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs
    Json,
    /// For spreadsheets
    Csv,
}

/// Which measures.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RegisterArgs {
    /// A document of a measure (JSON or TOML) beside those that are built in (repeatable)
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Only the measures of --file, without those that are built in
    #[arg(long, requires = "files")]
    only_files: bool,
    /// Language of titles and faults: en, ko, ja or ar
    #[arg(long, default_value_t = Language::En)]
    language: Language,
}

impl RegisterArgs {
    fn open(&self) -> anyhow::Result<Register> {
        let mut measures =
            if self.only_files { Vec::new() } else { shipped::measures().map_err(|f| self.refused(&f))? };
        for path in &self.files {
            measures.push(read_file(path)?.map_err(|faults| self.refused(&faults))?);
        }
        Ok(Register::new(measures)?)
    }

    fn refused(&self, faults: &Faults) -> anyhow::Error {
        anyhow::anyhow!(faults.say(messages(), self.language))
    }
}

fn read_file(path: &std::path::Path) -> anyhow::Result<Result<Measure, Faults>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| name.clone())?;
    Ok(Document::by_name(&name, &text).and_then(|document| document::read(&document)))
}

fn measure<'r>(register: &'r Register, id: &str) -> anyhow::Result<&'r Measure> {
    let found = id.parse().ok().and_then(|id| register.measure(&id));
    found.with_context(|| format!("there is no measure {id}; `hiwar measure list` names them"))
}

/// Rows with titles, and the same for programs.
struct Rows<const N: usize> {
    head: [&'static str; N],
    rows: Vec<[String; N]>,
    json: Value,
}

impl<const N: usize> Rows<N> {
    fn show(&self, format: Format) -> anyhow::Result<()> {
        match format {
            Format::Json => print_json(&self.json),
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(Vec::new());
                writer.write_record(self.head.map(str::to_lowercase))?;
                for row in &self.rows {
                    writer.write_record(row)?;
                }
                print(String::from_utf8(writer.into_inner()?)?.trim_end_matches('\n'))
            }
            Format::Table => {
                let head = self.head.map(str::to_owned).to_vec();
                let rows = self.rows.iter().map(|row| row.to_vec());
                print(&table(&[head].into_iter().chain(rows).collect::<Vec<_>>()))
            }
        }
    }
}
