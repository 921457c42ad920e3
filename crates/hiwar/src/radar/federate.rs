//! `hiwar radar federate`: a replay of several nodes, each with its own store, on one machine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use hiwar_radar::corroborate::federate::{
    Coincidence, EventFigures, Federation, Member, MemberFigures, federate, seen_by_importers,
};
use hiwar_radar::corroborate::{Finding, SharedItems};
use hiwar_radar::month::{Date, Month};
use hiwar_radar::report::html::{Page, escape};
use hiwar_radar::report::records::Records;
use hiwar_radar::scan::{Direction, Rule};
use hiwar_radar::series::Series;
use hiwar_radar::store::{Filter, Store};

use super::corroborate::record::{shared_items, without_sums};
use super::{OutputArgs, Shown, days_after, events, open_store, rule, series};

/// What nodes would have told each other, by the questions and answers that travel between nodes
#[derive(Debug, clap::Args)]
pub(crate) struct Federate {
    /// A node: its economy and its store, such as KR=.hiwar (repeatable)
    #[arg(long = "member", value_name = "ECONOMY=STORE", required = true, value_parser = pair)]
    members: Vec<(String, String)>,
    /// The rule of a node, a shipped one by name or a file, such as JP=yen-24 [default: robust-36]
    #[arg(long = "rule", value_name = "ECONOMY=RULE", value_parser = pair)]
    rules: Vec<(String, String)>,
    /// Days from the end of a month until a node's numbers are released, such as JP=28 [default: 30]
    #[arg(long = "delay", value_name = "ECONOMY=DAYS", value_parser = pair)]
    delays: Vec<(String, String)>,
    /// In place of this node put each economy it exports to, with this record of exports for its imports: one
    /// table then shows how alarms of several importers coincide
    #[arg(long, value_name = "ECONOMY")]
    importers_of: Option<String>,
    /// First month
    #[arg(long)]
    from: Month,
    /// Last month
    #[arg(long)]
    to: Month,
    /// Events to be found: a JSON list (see docs/backtest.md)
    #[arg(long)]
    events: Option<PathBuf>,
    /// What the nodes call goods that are no codes of the Harmonized System: CSV with source,item,shared
    #[arg(long)]
    shared_items: Option<PathBuf>,
    /// Only items whose code begins so (repeatable)
    #[arg(long)]
    item: Vec<String>,
    #[command(flatten)]
    output: OutputArgs,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((economy, value)) if !economy.is_empty() && !value.is_empty() => {
            Ok((economy.to_owned(), value.to_owned()))
        }
        _ => Err("write ECONOMY=VALUE, such as KR=.hiwar".to_owned()),
    }
}

/// A node, and where its record comes from.
struct Node {
    member: Member,
    /// Place of its store.
    store: usize,
}

/// Series by the economy that reports them.
type Reported = BTreeMap<Arc<str>, Vec<Series>>;

struct Source {
    store: Store,
    economy: String,
    delay: i32,
    /// What was read last: the series as known when a month is judged.
    read: Option<(Month, Reported)>,
}

impl Federate {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        anyhow::ensure!(self.from <= self.to, "--from {} is after --to {}", self.from, self.to);
        let shared = shared_items(self.shared_items.as_ref())?;
        let events = events(self.events.as_deref())?;
        let mut sources = self.sources()?;
        let nodes = self.nodes(&mut sources, &shared)?;
        let members: Vec<Member> = nodes.iter().map(|n| n.member.clone()).collect();
        let count = self.to.since(self.from) + 1;
        let bar = super::progress(count.unsigned_abs().into(), "months");
        let mut last = self.from;
        let done = federate(&members, (self.from, self.to), &events, &shared, |place, month| {
            bar.inc(u64::from(month != last));
            last = month;
            let node = nodes.get(place).context("there is no such node")?;
            let source = sources.get_mut(node.store).context("there is no such store")?;
            let day = source.day(month);
            let reported = source.at(month, &self.item, &shared, self.importers_of.as_deref())?;
            anyhow::Ok((day, reported.get(&node.member.economy).cloned().unwrap_or_default()))
        })?;
        bar.finish_and_clear();
        self.output.show(&Shown {
            json: &done,
            records: &|| records(&done),
            table: &|| table(&done),
            page: &|| {
                let mut page = Page::new("Federated replay");
                page.raw(&format!("<pre>{}</pre>", escape(&table(&done))));
                page.finish()
            },
        })?;
        let judged = done.members.iter().any(|m| m.judged > 0);
        Ok(if judged { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn sources(&self) -> anyhow::Result<Vec<Source>> {
        let known = |economy: &str| self.members.iter().any(|(e, _)| e == economy);
        for (economy, _) in self.rules.iter().chain(&self.delays) {
            anyhow::ensure!(
                known(economy),
                "{economy} is no node; name its store with --member {economy}=STORE"
            );
        }
        let mut sources: Vec<Source> = Vec::new();
        for (economy, store) in &self.members {
            anyhow::ensure!(sources.iter().all(|s| s.economy != *economy), "{economy} is named twice");
            let delay = match self.delays.iter().find(|(e, _)| e == economy) {
                Some((_, days)) => days.parse().with_context(|| format!("--delay {economy}={days}"))?,
                None => 30,
            };
            let store = open_store(&PathBuf::from(store))?;
            sources.push(Source { store, economy: economy.clone(), delay, read: None });
        }
        Ok(sources)
    }

    fn nodes(&self, sources: &mut [Source], shared: &SharedItems) -> anyhow::Result<Vec<Node>> {
        let mut nodes = Vec::new();
        for (place, source) in sources.iter().enumerate() {
            // The importers have this node's own record: its answer would only repeat their question.
            if self.importers_of.as_deref() == Some(source.economy.as_str()) {
                continue;
            }
            let member =
                Member { economy: source.economy.as_str().into(), rule: self.rule(&source.economy)? };
            nodes.push(Node { member, store: place });
        }
        if let Some(exporter) = &self.importers_of {
            let place = sources.iter().position(|s| s.economy == *exporter);
            let place = place.with_context(|| format!("--importers-of {exporter}: it is no node"))?;
            let rule = self.rule(exporter)?;
            let source = sources.get_mut(place).context("there is no such store")?;
            let partners: Vec<Arc<str>> =
                source.at(self.to, &self.item, shared, Some(exporter))?.keys().cloned().collect();
            for economy in partners.into_iter().filter(|e| **e != **exporter) {
                if nodes.iter().all(|n| n.member.economy != economy) {
                    let member = Member { economy, rule: rule.clone() };
                    nodes.push(Node { member, store: place });
                }
            }
            anyhow::ensure!(!nodes.is_empty(), "the store of {exporter} has no exports as of {}", self.to);
        }
        Ok(nodes)
    }

    fn rule(&self, economy: &str) -> anyhow::Result<Rule> {
        let named = self.rules.iter().find(|(e, _)| e == economy);
        rule(named.map_or("robust-36", |(_, rule)| rule))
    }
}

impl Source {
    /// The day a month is judged on.
    fn day(&self, month: Month) -> Date {
        days_after(month, self.delay)
    }

    /// What each economy's record said on the day a month is judged on.
    fn at(
        &mut self,
        month: Month,
        items: &[String],
        shared: &SharedItems,
        importers_of: Option<&str>,
    ) -> anyhow::Result<&Reported> {
        if self.read.as_ref().is_none_or(|(read, _)| *read != month) {
            let filter =
                Filter { reporters: vec![self.economy.clone()], items: items.to_vec(), ..Filter::default() };
            let own = without_sums(series(&self.store, self.day(month), &filter)?, shared);
            let mut read = BTreeMap::new();
            if importers_of == Some(self.economy.as_str()) {
                read = seen_by_importers(own.clone());
            }
            read.insert(self.economy.as_str().into(), own);
            self.read = Some((month, read));
        }
        self.read.as_ref().map(|(_, read)| read).context("the series were just read")
    }
}

fn percent(share: f64) -> String {
    format!("{:.3} %", share * 100.0)
}

fn table(done: &Federation) -> String {
    let mut text = format!("Federated replay from {} to {}\n", done.from, done.to);
    // As many nodes as fit a screen; the rest is in the sums and in the other formats.
    for m in done.members.iter().filter(|m| m.judged > 0).take(12) {
        text.push_str(&member_line(m));
    }
    let more = done.members.iter().filter(|m| m.judged > 0).count().saturating_sub(12);
    if more > 0 {
        text.push_str(&format!("  and {more} more nodes, which are in the other formats\n"));
    }
    for (name, counts) in [
        ("joint: two importers of one exporter's item", &done.joint),
        ("mirror: importer and exporter of one flow", &done.mirror),
    ] {
        for (direction, count) in counts {
            text.push_str(&pair_line(name, *direction, count));
        }
    }
    let best = |finding| done.members.iter().filter_map(|m| m.best.get(&finding)).sum::<u64>();
    let claims: u64 = done.members.iter().map(|m| m.claims).sum();
    text.push_str(&format!(
        "claims by their best answer from any other node: {claims} in all; {} mirrored, {} joint, {} in contrast, \
         {} unknown\n",
        best(Finding::Mirror),
        best(Finding::Joint),
        best(Finding::Contrast),
        best(Finding::Unknown)
    ));
    for event in &done.events {
        text.push_str(&event_line(event));
    }
    text.push_str(&format!(
        "largest question {} bytes, largest answers {} bytes\n\
         Rates are per pair and month: in a set of several peers any of them confirms more often.\n",
        done.largest[0], done.largest[1]
    ));
    text
}

fn member_line(m: &MemberFigures) -> String {
    let share = if m.judged > 0 { m.claims as f64 / m.judged as f64 } else { 0.0 };
    let answers: Vec<String> =
        m.answers.iter().map(|(f, n)| format!("{n} {}", format!("{f:?}").to_lowercase())).collect();
    format!(
        "{} by {}: {} import series-months judged, {} claims ({}); answers: {}\n",
        m.economy,
        m.rule,
        m.judged,
        m.claims,
        percent(share),
        if answers.is_empty() { "none".to_owned() } else { answers.join(", ") }
    )
}

fn pair_line(name: &str, direction: Direction, count: &Coincidence) -> String {
    let Some(rates) = count.rates() else { return String::new() };
    format!(
        "{name}, {direction:?}: {} pair-months; one side alarms in {}, both in {} ({}), by chance {}; {}\n",
        count.judged,
        percent(rates.single),
        percent(rates.both),
        count.both,
        percent(rates.by_chance),
        rates.reduction.map_or("both never do".to_owned(), |r| format!("{r:.1} times rarer"))
    )
}

fn event_line(event: &EventFigures) -> String {
    let month = |m: Option<Month>| m.map_or("never".to_owned(), |m| m.to_string());
    let alone = event
        .alone
        .as_ref()
        .map_or("no importer's alarm".to_owned(), |(who, when)| format!("first alarm by {who} for {when}"));
    format!(
        "{} (expected: {:?}): {alone}; joint {}, mirror {}, contrast {}\n",
        event.event,
        event.expected,
        month(event.joint),
        month(event.mirror),
        month(event.contrast)
    )
}

fn records(done: &Federation) -> Records {
    let all: Vec<(&str, &Direction, &Coincidence)> = [("joint", &done.joint), ("mirror", &done.mirror)]
        .into_iter()
        .flat_map(|(kind, counts)| counts.iter().map(move |(d, c)| (kind, d, c)))
        .collect();
    let rows = || all.iter();
    let rate = |c: &Coincidence, of: fn(&hiwar_radar::corroborate::federate::Rates) -> f64| {
        c.rates().map(|r| of(&r))
    };
    Records::default()
        .note("from", done.from.to_string())
        .note("to", done.to.to_string())
        .note(
            "rules",
            done.members.iter().map(|m| format!("{} {}", m.economy, m.rule)).collect::<Vec<_>>().join(", "),
        )
        .text("kind", rows().map(|(kind, _, _)| kind))
        .text("direction", rows().map(|(_, d, _)| format!("{d:?}").to_lowercase()))
        .count("pair_months", rows().map(|(_, _, c)| c.judged))
        .count("first_alarms", rows().map(|(_, _, c)| c.alarms[0]))
        .count("second_alarms", rows().map(|(_, _, c)| c.alarms[1]))
        .count("both_alarm", rows().map(|(_, _, c)| c.both))
        .number("single_rate", rows().map(|(_, _, c)| rate(c, |r| r.single)))
        .number("both_rate", rows().map(|(_, _, c)| rate(c, |r| r.both)))
        .number("by_chance", rows().map(|(_, _, c)| rate(c, |r| r.by_chance)))
        .number("reduction", rows().map(|(_, _, c)| c.rates().and_then(|r| r.reduction)))
}
