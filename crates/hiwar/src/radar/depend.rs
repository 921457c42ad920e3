//! `hiwar radar depend`

mod show;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use hiwar_radar::items::concordance::Revision;
use hiwar_radar::items::{Applied, ItemList};
use hiwar_radar::month::Date;
use hiwar_radar::series::Unit;
use hiwar_radar::store::{Filter, Store};
use hiwar_radar::structure::bloc::Bloc;
use hiwar_radar::structure::book::{Annual, Book, Churn, Gathered, Request};
use hiwar_radar::structure::risk::RiskInputs;
use hiwar_radar::structure::rules::RulePack;
use hiwar_radar::structure::world::{FromStore, WorldTrade, from_store};
use serde::Serialize;

use super::{OutputArgs, Shown, StoreArgs};

/// The dependency book of a reporter: on whom it depends for what, dated and versioned
#[derive(Debug, clap::Args)]
pub(crate) struct Depend {
    /// Who imports, such as KR; a bloc's own code (EU) with --bloc stands for all its members
    #[arg(long)]
    reporter: String,
    /// The year [default: the newest complete one]
    #[arg(long)]
    year: Option<u16>,
    /// Only items whose code begins so (repeatable)
    #[arg(long)]
    item: Vec<String>,
    /// Only this source (needed when the store has several)
    #[arg(long)]
    source: Vec<String>,
    /// Judge as of this day [default: today]
    #[arg(long)]
    as_of: Option<Date>,
    /// What has changed since the book of this year
    #[arg(long)]
    since: Option<u16>,
    /// Trade between all countries, for C2, C4 and the centrality of exporters: BACI, FAOSTAT or any
    /// table that import reads, one or several years [default: the store, if enough economies report]
    #[arg(long, num_args = 1.., value_name = "FILE", conflicts_with = "items")]
    world: Vec<PathBuf>,
    /// The reporter's bloc, for the core dependency indicators CDI1 to CDI3
    #[arg(long, value_name = "EU")]
    bloc: Option<String>,
    /// Inputs of the EU's supply risk formula, a TOML file
    #[arg(long, value_name = "FILE")]
    sr: Option<PathBuf>,
    /// An item list: the book is of its own items instead of the source's codes
    #[arg(long, value_name = "FILE")]
    items: Option<PathBuf>,
    /// The revision of the Harmonized System that codes are in [default: that of the year]
    #[arg(long)]
    revision: Option<Revision>,
    /// A rule pack instead of the one that comes with the program
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What is shown: the book, what has changed, and what is to be known of both.
#[derive(Debug, Serialize)]
struct Made {
    book: Book,
    churn: Option<Churn>,
    /// The item list that was applied, and under which codes each of its items was found.
    items: Option<Applied>,
    notes: Vec<String>,
}

/// A text file.
fn text(path: &PathBuf) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

impl Depend {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let as_of = self.as_of.map_or_else(super::today, Ok)?;
        let rules = match &self.rules {
            Some(path) => RulePack::parse(&text(path)?).with_context(|| path.display().to_string())?,
            None => RulePack::built_in()?,
        };
        let risk = match &self.sr {
            Some(path) => Some(RiskInputs::parse(&text(path)?).with_context(|| path.display().to_string())?),
            None => None,
        };
        let bloc = self.bloc.as_deref().map(Bloc::built_in).transpose()?;
        let whole = bloc.as_ref().filter(|bloc| bloc.code == self.reporter);
        let store = self.store.open()?;
        let gathered = self.gather(&store, as_of, whole)?;
        let (source, unit) =
            gathered.source().map_or((Arc::from(""), Unit::Usd), |(source, unit)| (Arc::clone(source), unit));
        let mut annuals = whole.map_or_else(|| gathered.of(&self.reporter), |bloc| gathered.of_bloc(bloc));
        let items = self.apply_items(&source, &mut annuals)?;
        let newest = annuals.iter().filter(|a| a.months == 12).map(|a| a.year).max();
        let year = self.year.or(newest).with_context(|| {
            let source = if source.is_empty() { "any source" } else { &source };
            format!("the store has no complete year reported by {} to {source} as of {as_of}", self.reporter)
        })?;
        let mut notes = Vec::new();
        let wanted: BTreeSet<Arc<str>> = annuals.iter().map(|a| Arc::clone(&a.item)).collect();
        let world = self.world(&store, &source, &wanted, as_of, &rules, &mut notes)?;
        let make = |year| {
            let silent = whole.map(|bloc| gathered.silent(bloc, year)).unwrap_or_default();
            let request = Request {
                reporter: &self.reporter,
                year,
                as_of,
                unit,
                rules: &rules,
                source: &source,
                world: world.as_ref(),
                bloc: bloc.as_ref(),
                silent: &silent,
                risk: risk.as_ref(),
                revision: self.revision,
            };
            Book::make(annuals.iter().cloned(), &request)
        };
        let book = make(year)?;
        let churn = match self.since {
            Some(since) => Some(Churn::between(&make(since)?, &book)?),
            None => None,
        };
        if let Some(bloc) = book.bloc.as_ref().filter(|bloc| !bloc.silent.is_empty()) {
            notes.push(format!(
                "CDI is not decided: the store has nothing for {year} from {}",
                bloc.silent.join(", ")
            ));
        }
        let made = Made { book, churn, items, notes };
        self.output.show(&Shown {
            json: &made,
            records: &|| show::records(&made.book),
            table: &|| show::table(&made),
            page: &|| show::page(&made),
        })?;
        Ok(if made.book.entries.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// Annual sums of the reporter, or of all members of a bloc. For a bloc all items are looked at,
    /// for a member that buys none of an item is not silent.
    fn gather(&self, store: &Store, as_of: Date, whole: Option<&Bloc>) -> anyhow::Result<Gathered> {
        let mut filter = Filter {
            sources: self.source.clone(),
            reporters: vec![self.reporter.clone()],
            items: self.item.clone(),
            without_aggregates: true,
            ..Default::default()
        };
        if let Some(bloc) = whole {
            let ever = (1958..=as_of.year().unsigned_abs()).flat_map(|year| bloc.members(year));
            filter.reporters = ever.collect::<BTreeSet<_>>().into_iter().map(str::to_owned).collect();
            filter.items.clear();
        }
        let wanted =
            |item: &str| self.item.is_empty() || self.item.iter().any(|i| item.starts_with(i.as_str()));
        let mut all = Gathered::default();
        for series in store.series(as_of, &filter)? {
            let series = series?;
            if wanted(&series.key.item) {
                all.add(&series)?;
            } else if !series.months.is_empty() {
                all.note(&series.key.reporter, series.first.year()..=series.last().year());
            }
        }
        if all.source().is_some() {
            return Ok(all);
        }
        // A table that holds both sides of each flow has the reporter's exports as others' imports.
        if whole.is_none() {
            filter.reporters.clear();
        }
        for series in store.annual(as_of, &filter)? {
            let series = series?;
            let concerned = whole.is_some()
                || [&series.key.reporter, &series.key.partner].into_iter().any(|r| **r == *self.reporter);
            if concerned && wanted(&series.key.item) {
                all.add_yearly(&series)?;
            } else if concerned {
                all.note(&series.key.reporter, (series.first..).take(series.years.len()));
            }
        }
        Ok(all)
    }

    /// Turns the source's codes into the items of a list.
    fn apply_items(&self, source: &str, annuals: &mut Vec<Annual>) -> anyhow::Result<Option<Applied>> {
        let Some(path) = &self.items else { return Ok(None) };
        let list = ItemList::parse(&text(path)?).with_context(|| path.display().to_string())?;
        let years: BTreeSet<u16> = annuals.iter().map(|a| a.year).collect();
        let mut ways = BTreeMap::new();
        for year in &years {
            ways.insert(*year, list.ways(source, *year, self.revision));
        }
        let mut own = Vec::new();
        let mut applied = Applied::new(&list);
        for annual in annuals.iter() {
            for way in ways.get(&annual.year).into_iter().flatten().filter(|way| way.takes(&annual.item)) {
                applied.note(way, &annual.item, annual.year);
                own.push(annual.part(&way.item, way.share));
            }
        }
        anyhow::ensure!(
            !own.is_empty(),
            "{}: none of its items is linked to a code that {} reports to {source}; see `hiwar radar items show {0}`",
            path.display(),
            self.reporter
        );
        *annuals = own;
        Ok(Some(applied))
    }

    /// World trade from the files given, or from the store.
    fn world(
        &self,
        store: &Store,
        source: &str,
        wanted: &BTreeSet<Arc<str>>,
        as_of: Date,
        rules: &RulePack,
        notes: &mut Vec<String>,
    ) -> anyhow::Result<Option<WorldTrade>> {
        if !self.world.is_empty() {
            let world = WorldTrade::from_files(&self.world, wanted, as_of, &rules.limits)?;
            if world.origin.importers < u32::from(rules.limits.world_reporters) {
                notes.push(format!(
                    "{} has trade of {} importers only in its poorest year: C2 may not be of the world",
                    world.origin.source, world.origin.importers
                ));
            }
            return Ok(Some(world));
        }
        if self.items.is_some() {
            return Ok(None);
        }
        match from_store(store, source, wanted, as_of, &rules.limits)? {
            FromStore::World(world) => Ok(Some(world)),
            FromStore::TooFew(reporters) => {
                notes.push(format!(
                    "C2 needs world trade: {reporters} of the store's economies report whole years to {source}, and {} \
                     are needed (our own cut); or give --world FILE, such as a year of BACI",
                    rules.limits.world_reporters
                ));
                Ok(None)
            }
        }
    }
}
