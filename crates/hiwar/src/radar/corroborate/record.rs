//! The own record that an exchange speaks of.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use hiwar_radar::corroborate::{SharedItems, Sight};
use hiwar_radar::month::{Date, Month};
use hiwar_radar::scan::Rule;
use hiwar_radar::series::Series;
use hiwar_radar::store::{Aggregate, Store, aggregate};

use super::super::{SeriesArgs, rule, series, today};

/// Whose record it is, and how it is judged.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct RecordArgs {
    /// This economy, such as KR
    #[arg(long, required = true)]
    economy: Option<String>,
    /// Judge as of this day [default: today]
    #[arg(long)]
    as_of: Option<Date>,
    /// The rule: a shipped one by name, or a file
    #[arg(long, default_value = "robust-36")]
    rule: String,
    /// What both sides call goods that are no codes of the Harmonized System: CSV with source,item,shared
    #[arg(long)]
    shared_items: Option<PathBuf>,
    #[command(flatten)]
    series: SeriesArgs,
}

/// Series as they were known on a day, and how they are judged.
pub(super) struct Record {
    pub(super) economy: Arc<str>,
    pub(super) as_of: Date,
    rule: Rule,
    shared: SharedItems,
    series: Vec<Series>,
}

/// Reads a table of shared names.
pub(in super::super) fn shared_items(path: Option<&PathBuf>) -> anyhow::Result<SharedItems> {
    let Some(path) = path else { return Ok(SharedItems::default()) };
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    SharedItems::parse(&text).with_context(|| path.display().to_string())
}

/// Leaves sums and parts out, unless a shared name stands for them.
pub(in super::super) fn without_sums(series: Vec<Series>, shared: &SharedItems) -> Vec<Series> {
    let wanted = |one: &Series| match aggregate(&one.key) {
        None => true,
        Some(Aggregate::Partner) => false,
        Some(Aggregate::Item | Aggregate::Part) => shared.named(&one.key.source, &one.key.item).is_some(),
    };
    series.into_iter().filter(wanted).collect()
}

impl RecordArgs {
    pub(super) fn open(&self, store: &Store) -> anyhow::Result<Record> {
        let economy = self.economy.as_deref().context("give this economy with --economy")?;
        let rule = rule(&self.rule)?;
        let as_of = self.as_of.map_or_else(today, Ok)?;
        let shared = shared_items(self.shared_items.as_ref())?;
        let mut filter = self.series.filter();
        filter.without_aggregates = false;
        let mut series = without_sums(series(store, as_of, &filter)?, &shared);
        series.retain(|s| *s.key.reporter == *economy);
        anyhow::ensure!(!series.is_empty(), "the store has no series reported by {economy} as of {as_of}");
        Ok(Record { economy: economy.into(), as_of, rule, shared, series })
    }
}

impl Record {
    /// What is seen in these months.
    pub(super) fn sight(&self, months: &[Month]) -> Sight {
        let mut sight = Sight::new(&self.shared);
        // Each month once.
        let months: BTreeSet<Month> = months.iter().copied().collect();
        for month in months {
            sight.screen(&self.series, month, self.as_of, &self.rule);
        }
        sight
    }
}
