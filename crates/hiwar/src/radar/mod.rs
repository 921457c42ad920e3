//! `hiwar radar …`: early warning over trade tables and firm networks. Works without a node.

mod bench;
mod corroborate;
mod depend;
mod draft;
mod export;
mod federate;
mod items;
mod replay;
mod scan;
mod stress;
mod survive;
mod tables;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use hiwar_radar::month::{Date, Month};
use hiwar_radar::replay::Event;
use hiwar_radar::report::records::Records;
use hiwar_radar::scan::Rule;
use hiwar_radar::series::{Flow, Series};
use hiwar_radar::store::{Filter, Store};
use serde::Serialize;

use crate::commands::{print, print_bytes, print_json};

/// See supply-chain trouble early: trade tables, dependency, alarms, back-tests, cascades
#[derive(Debug, clap::Subcommand)]
pub(crate) enum RadarCommand {
    /// Read tables of customs offices and statistical services into the store
    Import(tables::Import),
    /// Take every number out of the store, with the day it was released
    Export(export::Export),
    /// The dependency book: concentration of imports, dated and versioned
    Depend(depend::Depend),
    /// Codes of goods through revisions and nomenclatures, and lists of one's own items
    #[command(subcommand)]
    Items(items::Items),
    /// Screen a month: what is abnormal, how abnormal, and why
    Scan(scan::Scan),
    /// What a rule would have said, month by month, and how often it would have been wrong
    Replay(replay::Replay),
    /// What several nodes would have told each other, month by month, each with its own store
    Federate(federate::Federate),
    /// What each firm's failure would stop, and what a second source would change
    Stress(stress::Stress),
    /// Days to stop against days to recover, and single points of failure
    Survive(survive::Survive),
    /// Make a statement of a signal for a dialogue; sent only when a desk says so
    Draft(draft::Draft),
    /// Compare alarms with a peer without telling volumes
    Corroborate(Box<corroborate::Corroborate>),
    /// Measure the radar on this machine
    Bench(bench::Bench),
}

impl RadarCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Import(command) => command.run(),
            Self::Export(command) => command.run(),
            Self::Depend(command) => command.run(),
            Self::Items(command) => command.run(),
            Self::Scan(command) => command.run(),
            Self::Replay(command) => command.run(),
            Self::Federate(command) => command.run(),
            Self::Stress(command) => command.run(),
            Self::Survive(command) => command.run(),
            Self::Draft(command) => command.run(),
            Self::Corroborate(command) => command.run(),
            Self::Bench(command) => command.run(),
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
    /// For data tools
    Parquet,
    /// A page with plots
    Html,
}

/// Where the store is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct StoreArgs {
    /// The store's folder, made by the first import [default: the one that --node mounts, else .hiwar]
    #[arg(long, env = "HIWAR_STORE")]
    store: Option<PathBuf>,
    /// The folder of a node that mounts a store (radar_store in its hiwar.toml)
    #[arg(id = "mounted_by", long = "node", value_name = "NODE", env = "HIWAR_NODE")]
    node: Option<PathBuf>,
}

/// Where the store is, for a command that speaks to a node.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct StoreOfNodeArgs {
    /// The store's folder, made by the first import [default: the one that --node mounts, else .hiwar]
    #[arg(long, env = "HIWAR_STORE")]
    store: Option<PathBuf>,
}

/// Which series.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct SeriesArgs {
    /// Only this source, such as kcs or estat (repeatable)
    #[arg(long)]
    source: Vec<String>,
    /// Only this reporter, such as KR (repeatable)
    #[arg(long)]
    reporter: Vec<String>,
    /// Only this partner, such as JP (repeatable)
    #[arg(long)]
    partner: Vec<String>,
    /// Only items whose code begins so (repeatable)
    #[arg(long)]
    item: Vec<String>,
    /// Only this flow, seen from the reporter
    #[arg(long, value_enum)]
    flow: Option<FlowArg>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum FlowArg {
    Import,
    Export,
}

/// Where what is printed goes, and how.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct OutputArgs {
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Write to a file instead of standard output
    #[arg(short, long)]
    output: Option<PathBuf>,
}

impl StoreArgs {
    fn open(&self) -> anyhow::Result<Store> {
        open_store(&self.path()?)
    }

    fn path(&self) -> anyhow::Result<PathBuf> {
        match (&self.store, &self.node) {
            (Some(store), _) => Ok(store.clone()),
            (None, Some(node)) => mounted(node),
            (None, None) => Ok(PathBuf::from(OWN_STORE)),
        }
    }
}

impl StoreOfNodeArgs {
    /// The store's folder: the one that is named, else the one that the node mounts.
    fn path(&self, node: &Path) -> anyhow::Result<PathBuf> {
        match &self.store {
            Some(store) => Ok(store.clone()),
            None if node.join(hiwar_node::config::CONFIG_FILE).exists() => mounted(node),
            None => Ok(PathBuf::from(OWN_STORE)),
        }
    }
}

/// The store of a radar that works alone.
const OWN_STORE: &str = ".hiwar";

/// The store that a node mounts, or that of a radar that works alone.
fn mounted(node: &Path) -> anyhow::Result<PathBuf> {
    let config = hiwar_node::config::Config::read(node)?;
    Ok(config.radar_store(node).unwrap_or_else(|| PathBuf::from(OWN_STORE)))
}

fn open_store(path: &Path) -> anyhow::Result<Store> {
    anyhow::ensure!(
        path.is_dir(),
        "there is no store {}; make it with `hiwar radar import FILE… --store {0}`, or name another with --store, \
         or in radar_store of the node's hiwar.toml",
        path.display()
    );
    Ok(Store::open(path)?)
}

impl SeriesArgs {
    fn filter(&self) -> Filter {
        Filter {
            sources: self.source.clone(),
            reporters: self.reporter.clone(),
            partners: self.partner.clone(),
            items: self.item.clone(),
            flow: self.flow.map(|f| match f {
                FlowArg::Import => Flow::Import,
                FlowArg::Export => Flow::Export,
            }),
            without_aggregates: true,
        }
    }
}

/// A result in all its forms; only the one that is asked for is made.
struct Shown<'a, J> {
    /// For programs.
    json: &'a J,
    /// For spreadsheets and data tools.
    records: &'a dyn Fn() -> Records,
    /// For people, in a terminal.
    table: &'a dyn Fn() -> String,
    /// For people, as a page.
    page: &'a dyn Fn() -> String,
}

impl OutputArgs {
    /// Shows a result as it is asked for.
    fn show<J: Serialize>(&self, shown: &Shown<'_, J>) -> anyhow::Result<()> {
        match self.format {
            Format::Json => self.json(shown.json),
            Format::Csv => self.write(&(shown.records)().csv()),
            Format::Parquet => self.bytes(&|| Ok((shown.records)().parquet()?)),
            Format::Html => self.write(&(shown.page)()),
            Format::Table => self.write(&(shown.table)()),
        }
    }

    /// Writes to the file, whole or not at all, or to standard output.
    fn write(&self, text: &str) -> anyhow::Result<()> {
        match &self.output {
            Some(path) => whole(path, text.as_bytes()),
            None => print(text.trim_end_matches('\n')),
        }
    }

    /// Writes bytes that are no text: to the file, or to a pipe, never to a terminal.
    fn bytes(&self, make: &dyn Fn() -> anyhow::Result<Vec<u8>>) -> anyhow::Result<()> {
        if let Some(path) = &self.output {
            return whole(path, &make()?);
        }
        self.refuse_terminal()?;
        print_bytes(&make()?)
    }

    /// Refuses to write what is no text to a terminal, which it would garble.
    fn refuse_terminal(&self) -> anyhow::Result<()> {
        let garbled = self.output.is_none() && std::io::stdout().is_terminal();
        anyhow::ensure!(!garbled, "Parquet is not for a terminal; write it to a file with `-o FILE`");
        Ok(())
    }

    fn json(&self, value: &impl Serialize) -> anyhow::Result<()> {
        match &self.output {
            None => print_json(&serde_json::to_value(value)?),
            Some(_) => self.write(&(serde_json::to_string_pretty(value)? + "\n")),
        }
    }
}

/// Writes a file, whole or not at all.
fn whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let part = path.with_extension("part");
    let mut file = std::fs::File::create(&part).with_context(|| part.display().to_string())?;
    file.write_all(bytes).and_then(|()| file.sync_all()).with_context(|| part.display().to_string())?;
    std::fs::rename(&part, path).with_context(|| path.display().to_string())?;
    eprintln!("Wrote {}", path.display());
    Ok(())
}

/// A rule by name, or from a file.
fn rule(name: &str) -> anyhow::Result<Rule> {
    if let Some(rule) = Rule::named(name) {
        return Ok(rule);
    }
    let names: Vec<String> = Rule::shipped().iter().map(Rule::name).collect();
    let path = Path::new(name);
    anyhow::ensure!(
        path.is_file(),
        "there is no rule {name}; the shipped ones are {}; or name a file",
        names.join(", ")
    );
    let text = std::fs::read_to_string(path).with_context(|| name.to_owned())?;
    serde_json::from_str(&text)
        .with_context(|| format!("{name} is no rule; take one of the shipped ones as an example"))
}

/// Listed events from a file; none without one.
fn events(path: Option<&Path>) -> anyhow::Result<Vec<Event>> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| format!("{} is no list of events", path.display()))
}

/// The day so many days after the end of a month: when its numbers are released.
fn days_after(month: Month, delay: i32) -> Date {
    let end = month.last_day();
    end.checked_add(jiff::Span::new().days(delay)).unwrap_or(end)
}

/// All series as known on a day.
fn series(store: &Store, as_of: Date, filter: &Filter) -> anyhow::Result<Vec<Series>> {
    Ok(store.series(as_of, filter)?.collect::<Result<_, _>>()?)
}

/// The newest month for which at least half of the series that are alive have a number.
fn newest_month(series: &[Series]) -> Option<Month> {
    let mut lasts: Vec<Month> = series
        .iter()
        .filter_map(|s| {
            let at = s.months.iter().rposition(Option::is_some)?;
            Some(s.first.plus(i32::try_from(at).ok()?))
        })
        .collect();
    lasts.sort_unstable();
    let newest = *lasts.last()?;
    // Series that ended years ago are not waited for.
    let alive: Vec<&Month> = lasts.iter().filter(|m| newest.since(**m) <= 12).collect();
    alive.get(alive.len() / 2).map(|m| **m)
}

/// The day it is here.
pub(crate) fn today() -> anyhow::Result<Date> {
    let text = hiwar_node::clock::now().to_string();
    let day = text.split('T').next().unwrap_or_default();
    day.parse().with_context(|| format!("the clock says {text}"))
}

/// A progress bar on standard error, when that is a terminal.
fn progress(count: u64, unit: &'static str) -> indicatif::ProgressBar {
    let bar = indicatif::ProgressBar::new(count);
    if let Ok(style) = indicatif::ProgressStyle::with_template(&format!("{{bar:40}} {{pos}}/{{len}} {unit}"))
    {
        bar.set_style(style);
    }
    bar
}
