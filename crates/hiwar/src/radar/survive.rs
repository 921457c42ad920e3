//! `hiwar radar survive`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use hiwar_radar::graph::points::{Common, common_causes, disjoint_ways, single_points};
use hiwar_radar::graph::survive::Bill;
use hiwar_radar::graph::survive::scenario::{Kind, Scenario, has_demand, scenarios};
use hiwar_radar::report::bill::{Marked, NODES_MAX, bill_drawing};
use hiwar_radar::report::html::{Page, escape};
use hiwar_radar::report::plot::bars;
use hiwar_radar::report::records::Records;
use serde::Serialize;

use super::{OutputArgs, Shown, progress};

const SOURCE: &str = "TTS, TTR, PI and REI: Simchi-Levi and others 2015, Interfaces 45, 375–390";
const UNIT: &str =
    "days; losses: units of demand × loss_per_unit of the bill; REI: share of the worst loss, 0 to 1";
const HOW: &str = "TTS by the closed form: the failed nodes never come back, the input that ends first stops a node, the \
    source that lasts longest keeps an input. By the linear programme (LP): the most days for which all demand can be \
    served, with capacities, sources sharing the work. They differ where two sources of one input hang on the same \
    failure, where a capacity binds, or where demand_per_day is not what per_day says. PI: the least loss until all is back";

/// Days to stop against days to recover, over a bill of materials of several tiers
#[derive(Debug, clap::Args)]
pub(crate) struct Survive {
    /// The bill of materials (JSON)
    file: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
struct Told {
    unit: &'static str,
    source: &'static str,
    how: &'static str,
    demand_given: bool,
    failures: Vec<Failure>,
    watched: Vec<Watched>,
}

/// A failure and what follows.
#[derive(Debug, Serialize)]
struct Failure {
    kind: &'static str,
    fails: String,
    nodes: Vec<String>,
    ttr_days: Option<f64>,
    /// Whether no watched node is left that could stop.
    watched_fails: bool,
    stops: Option<String>,
    tts_days: Option<f64>,
    way: Vec<String>,
    tts_programme_days: Option<f64>,
    /// Whether demand can be served for ever after it.
    served_for_ever: Option<bool>,
    loss: Option<f64>,
    rei: Option<f64>,
    warning: bool,
    single_point: bool,
}

/// What hangs together behind a watched node.
#[derive(Debug, Serialize)]
struct Watched {
    node: String,
    single_points: Vec<Point>,
    inputs: Vec<Ways>,
    common_causes: Vec<Cause>,
}

#[derive(Debug, Serialize)]
struct Point {
    node: String,
    days: f64,
}

#[derive(Debug, Serialize)]
struct Ways {
    product: String,
    disjoint_ways: usize,
    stock_days: f64,
}

#[derive(Debug, Serialize)]
struct Cause {
    what: &'static str,
    name: String,
    nodes: Vec<String>,
    days: f64,
    hidden: bool,
}

impl Survive {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let file = self.file.display().to_string();
        let text = std::fs::read_to_string(&self.file).with_context(|| file.clone())?;
        let bill = Bill::read(&file, &text)?;
        anyhow::ensure!(
            bill.nodes().iter().any(|n| n.watch),
            "{file}: no node is watched; give the node whose stopping matters \"watch\": true"
        );
        let bar = progress(bill.nodes().len() as u64, "failures");
        let all = scenarios(&bill, |done| bar.set_position(done as u64))?;
        bar.finish_and_clear();
        let (told, marked) = told(&bill, &all);
        self.output.show(&Shown {
            json: &told,
            records: &|| told.records(),
            table: &|| told.table(),
            page: &|| told.page(&file, &bill, &marked),
        })?;
        Ok(if told.failures.iter().any(|f| f.warning) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn told(bill: &Bill, all: &[Scenario]) -> (Told, Marked) {
    let name = |at: usize| bill.nodes().get(at).map_or_else(String::new, |n| n.name.clone());
    let names = |nodes: &[usize]| nodes.iter().map(|at| name(*at)).collect::<Vec<_>>();
    let mut marked = Marked::default();
    let mut watched = Vec::new();
    for (at, node) in bill.nodes().iter().enumerate().filter(|(_, n)| n.watch) {
        let points = single_points(bill, at);
        marked.points.extend(points.iter().map(|p| p.node));
        let mut causes = Vec::new();
        for (what, common) in [("site", Common::Site), ("owner", Common::Owner)] {
            for c in common_causes(bill, at, common).into_iter().filter(|c| c.nodes.len() > 1) {
                if c.hidden {
                    marked.common.extend(&c.nodes);
                }
                let nodes = names(&c.nodes);
                causes.push(Cause { what, name: c.name, nodes, days: c.days, hidden: c.hidden });
            }
        }
        let ways = |(input, disjoint_ways): (&hiwar_radar::graph::survive::Input, usize)| Ways {
            product: input.product.clone(),
            disjoint_ways,
            stock_days: input.stock_days,
        };
        watched.push(Watched {
            node: node.name.clone(),
            single_points: points.iter().map(|p| Point { node: name(p.node), days: p.days }).collect(),
            inputs: node.inputs.iter().zip(disjoint_ways(bill, at)).map(ways).collect(),
            common_causes: causes,
        });
    }
    let failure = |s: &Scenario| Failure {
        kind: match s.kind {
            Kind::Node => "node",
            Kind::Site => "site",
            Kind::Owner => "owner",
        },
        fails: s.name.clone(),
        nodes: names(&s.failed),
        ttr_days: s.ttr_days,
        watched_fails: bill.nodes().iter().enumerate().all(|(at, n)| !n.watch || s.failed.contains(&at)),
        stops: s.stops.as_ref().map(|f| name(f.node)),
        tts_days: s.stops.as_ref().map(|f| f.tts_days),
        way: s.stops.as_ref().map_or_else(Vec::new, |f| names(&f.way)),
        tts_programme_days: s.programme.and_then(|p| p.tts_days),
        served_for_ever: s.programme.map(|p| p.tts_days.is_none()),
        loss: s.programme.and_then(|p| p.loss),
        rei: s.exposure,
        warning: s.warns(),
        single_point: s.kind == Kind::Node && s.failed.iter().any(|at| marked.points.contains(at)),
    };
    let told = Told {
        unit: UNIT,
        source: SOURCE,
        how: HOW,
        demand_given: has_demand(bill),
        failures: all.iter().map(failure).collect(),
        watched,
    };
    (told, marked)
}

fn days(days: Option<f64>) -> String {
    days.map_or("–".to_owned(), |d| format!("{d:.1}"))
}

impl Failure {
    /// Days to stop by the programme, in words.
    fn programme(&self) -> String {
        if self.served_for_ever == Some(true) { "never".to_owned() } else { days(self.tts_programme_days) }
    }

    fn closed(&self) -> String {
        match (&self.stops, self.watched_fails) {
            (Some(_), _) => days(self.tts_days),
            (None, true) => "itself".to_owned(),
            (None, false) => "never".to_owned(),
        }
    }

    fn way(&self) -> String {
        match (&self.stops, self.watched_fails) {
            (Some(_), _) => self.way.join(" → "),
            (None, true) => "it is what is watched".to_owned(),
            (None, false) => "nothing watched stops".to_owned(),
        }
    }

    fn what(&self) -> String {
        if self.kind == "node" { self.fails.clone() } else { format!("all at {} {}", self.kind, self.fails) }
    }
}

impl Told {
    fn records(&self) -> Records {
        let all = || self.failures.iter();
        Records::default()
            .note("unit", self.unit)
            .note("source", self.source)
            .text("kind", all().map(|f| f.kind))
            .text("fails", all().map(|f| &f.fails))
            .number("ttr_days", all().map(|f| f.ttr_days))
            .flag("watched_fails", all().map(|f| f.watched_fails))
            .text_if_any("stops", all().map(|f| f.stops.as_ref()))
            .number("tts_days", all().map(|f| f.tts_days))
            .number("tts_programme_days", all().map(|f| f.tts_programme_days))
            .flag("served_for_ever", all().map(|f| f.served_for_ever))
            .number("loss", all().map(|f| f.loss))
            .number("rei", all().map(|f| f.rei))
            .flag("warning", all().map(|f| f.warning))
            .flag("single_point", all().map(|f| f.single_point))
            .text("way", all().map(|f| f.way.join(" > ")))
    }

    fn table(&self) -> String {
        let mut out = String::from(
            "              fails                           TTR d   TTS d  TTS LP d       PI    REI  stops, by way of\n",
        );
        for f in &self.failures {
            out.push_str(&format!(
                "{:<13} {:<30} {:>6}  {:>6}  {:>8}  {:>7}  {:>5}  {}\n",
                if f.warning { "TTS < TTR" } else { "" },
                f.what(),
                days(f.ttr_days),
                f.closed(),
                f.programme(),
                f.loss.map_or("–".to_owned(), |l| format!("{l:.1}")),
                f.rei.map_or("–".to_owned(), |r| format!("{r:.2}")),
                f.way()
            ));
        }
        for w in &self.watched {
            out.push_str(&format!("\nSingle points of failure of {}:\n", w.node));
            for p in &w.single_points {
                out.push_str(&format!("  {:<30} stops it after {:.1} days\n", p.node, p.days));
            }
            for i in &w.inputs {
                out.push_str(&format!(
                    "  {:<30} {} disjoint way{} of supply, {:.1} days in stock\n",
                    i.product,
                    i.disjoint_ways,
                    if i.disjoint_ways == 1 { "" } else { "s" },
                    i.stock_days
                ));
            }
            for c in &w.common_causes {
                out.push_str(&format!("  {}\n", c.told()));
            }
        }
        out.push_str(&format!("\n{}\n{HOW}.\nUnits: {UNIT}.\n", self.source));
        if !self.demand_given {
            out.push_str("No node has demand_per_day: the linear programmes have nothing to serve.\n");
        }
        out
    }

    fn page(&self, file: &str, bill: &Bill, marked: &Marked) -> String {
        let mut page = Page::new("Days to stop against days to recover");
        let warnings = self.failures.iter().filter(|f| f.warning).count();
        page.paragraph(&format!(
            "{file}: {} nodes; {warnings} of {} failures stop something before they are mended (TTS < TTR). {SOURCE}.",
            bill.nodes().len(),
            self.failures.len()
        ));
        match bill_drawing("Who needs what from whom", bill, marked) {
            Some(svg) => page.plot(&svg),
            None => page.paragraph(&format!("More than {NODES_MAX} nodes cannot be read in one drawing.")),
        }
        page.heading("Failures");
        page.raw(&self.failures_table());
        let costs: Vec<(String, f64)> = self
            .failures
            .iter()
            .filter_map(|f| Some((f.what(), f.loss.filter(|l| *l > 1e-9)?)))
            .take(30)
            .collect();
        if !costs.is_empty() {
            page.plot(&bars("What a failure costs at least (PI)", "units of demand × loss per unit", &costs));
        }
        for w in &self.watched {
            page.heading(&format!("Behind {}", w.node));
            page.raw(&w.tables());
        }
        page.paragraph(&format!("{HOW}. Units: {UNIT}."));
        if !self.demand_given {
            page.paragraph("No node has demand_per_day: the linear programmes have nothing to serve.");
        }
        page.finish()
    }

    fn failures_table(&self) -> String {
        let mut rows = String::from(
            "<table><tr><th>fails</th><th>TTR, days</th><th>TTS, days</th><th>TTS by LP, days</th><th>PI</th>\
             <th>REI</th><th>TTS &lt; TTR</th><th>stops, by way of</th></tr>",
        );
        for f in &self.failures {
            rows.push_str(&format!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                escape(&f.what()),
                days(f.ttr_days),
                f.closed(),
                f.programme(),
                f.loss.map_or("–".to_owned(), |l| format!("{l:.1}")),
                f.rei.map_or("–".to_owned(), |r| format!("{r:.2}")),
                if f.warning { "yes" } else { "no" },
                escape(&f.way())
            ));
        }
        rows + "</table>"
    }
}

impl Watched {
    fn tables(&self) -> String {
        let mut out =
            String::from("<table><tr><th>single point of failure</th><th>stops it after, days</th></tr>");
        for p in &self.single_points {
            out.push_str(&format!("<tr><td>{}</td><td>{:.1}</td></tr>", escape(&p.node), p.days));
        }
        out.push_str(
            "</table><table><tr><th>input</th><th>disjoint ways of supply</th><th>in stock, days</th></tr>",
        );
        for i in &self.inputs {
            out.push_str(&format!(
                "<tr><td>{}</td><td>{}</td><td>{:.1}</td></tr>",
                escape(&i.product),
                i.disjoint_ways,
                i.stock_days
            ));
        }
        out.push_str("</table>");
        for c in &self.common_causes {
            out.push_str(&format!("<p>Common cause: {}.</p>", escape(&c.told())));
        }
        out
    }
}

impl Cause {
    fn told(&self) -> String {
        format!(
            "all at {} {} ({}): stops it after {:.1} days{}",
            self.what,
            self.name,
            self.nodes.join(", "),
            self.days,
            if self.hidden { "; none of them alone does" } else { "" }
        )
    }
}
