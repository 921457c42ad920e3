//! The cascades of some firms, round by round.

use hiwar_radar::graph::esri::Options;
use hiwar_radar::graph::network::{GraphError, Network};
use hiwar_radar::graph::trace::{Hit, Trace, trace};
use hiwar_radar::report::cascade::cascade_plot;
use hiwar_radar::report::html::{Page, escape};
use hiwar_radar::report::records::Records;
use serde::Serialize;

use super::{ESRI, Stress, firm_name};
use crate::radar::Shown;

/// A firm counts as reached from this loss of its own output on: our own cut, that of the end of a cascade.
const LEAST: f64 = 0.01;

pub(super) const HOW: &str = "A firm stands in the first round after which it has lost 1 % of its own output (our own \
    cut). The percentage of a round is what it takes from all output. A curve leads from the neighbour whose loss \
    weighs most. Downstream and upstream cascades run apart; a firm loses the larger of the two.";

pub(super) fn traced(network: &Network, options: &Options, firm: u32) -> Result<Trace, GraphError> {
    trace(network, options, &[(firm, 1.0)], LEAST)
}

#[derive(Debug, Serialize)]
struct Cascades<'a> {
    unit: &'static str,
    source: &'static str,
    assumed: String,
    reached_from: f64,
    cascades: Vec<Failure<'a>>,
}

#[derive(Debug, Serialize)]
struct Failure<'a> {
    firm: &'a str,
    esri: f64,
    down: f64,
    up: f64,
    rounds: Vec<Added>,
    reached: Vec<Reached<'a>>,
    #[serde(skip)]
    plot: String,
}

#[derive(Debug, Serialize)]
struct Added {
    round: usize,
    down: f64,
    up: f64,
}

#[derive(Debug, Serialize)]
struct Reached<'a> {
    direction: &'static str,
    round: u32,
    firm: &'a str,
    lost: f64,
    of_all: f64,
    by: Option<&'a str>,
}

impl Stress {
    pub(super) fn cascade(&self, network: &Network, options: &Options) -> anyhow::Result<()> {
        let mut cascades = Vec::new();
        for name in &self.cascade {
            let firm = self.firm(network, name)?;
            cascades.push(Failure::new(network, firm, &traced(network, options, firm)?));
        }
        let found = Cascades {
            unit: "shares from 0 to 1: lost of the firm's own output, all others of the output of the whole network",
            source: ESRI,
            assumed: self.assumed(),
            reached_from: LEAST,
            cascades,
        };
        self.output.show(&Shown {
            json: &found,
            records: &|| found.records(),
            table: &|| found.table(self.top),
            page: &|| found.page(self.top),
        })
    }
}

impl<'a> Failure<'a> {
    fn new(network: &'a Network, firm: u32, trace: &Trace) -> Self {
        let reached = |direction: &'static str, hits: &[Hit]| -> Vec<Reached<'a>> {
            let hit = |h: &Hit| Reached {
                direction,
                round: h.round,
                firm: firm_name(network, h.firm),
                lost: h.lost,
                of_all: h.of_all,
                by: h.by.map(|by| firm_name(network, by)),
            };
            hits.iter().map(hit).collect()
        };
        Self {
            firm: firm_name(network, firm),
            esri: trace.cascade.esri,
            down: trace.cascade.down,
            up: trace.cascade.up,
            rounds: (1..)
                .zip(&trace.rounds)
                .map(|(round, r)| Added { round, down: r.down, up: r.up })
                .collect(),
            reached: [reached("down", &trace.down), reached("up", &trace.up)].into_iter().flatten().collect(),
            plot: cascade_plot(network, firm, trace),
        }
    }

    fn summary(&self) -> String {
        format!(
            "When {} fails, {:.4} % of all output is lost: downstream {:.4} %, upstream {:.4} %, in {} rounds",
            self.firm,
            self.esri * 100.0,
            self.down * 100.0,
            self.up * 100.0,
            self.rounds.len()
        )
    }
}

impl Cascades<'_> {
    fn records(&self) -> Records {
        let rows = || self.cascades.iter().flat_map(|c| c.reached.iter().map(move |r| (c, r)));
        Records::default()
            .note("unit", self.unit)
            .note("source", self.source)
            .note("assumed", &*self.assumed)
            .text("fails", rows().map(|(c, _)| c.firm))
            .text("direction", rows().map(|(_, r)| r.direction))
            .count("round", rows().map(|(_, r)| u64::from(r.round)))
            .text("firm", rows().map(|(_, r)| r.firm))
            .number("lost", rows().map(|(_, r)| r.lost))
            .number("of_all", rows().map(|(_, r)| r.of_all))
            .text_if_any("by", rows().map(|(_, r)| r.by))
    }

    fn table(&self, top: usize) -> String {
        let mut text = format!("{ESRI}; {}\n", self.assumed);
        for c in &self.cascades {
            text.push_str(&format!("\n{}\n", c.summary()));
            for (direction, word) in [("down", "downstream"), ("up", "upstream")] {
                let all: Vec<&Reached<'_>> = c.reached.iter().filter(|r| r.direction == direction).collect();
                for r in all.iter().take(top) {
                    text.push_str(&format!(
                        "  {word:<10} round {:>2}  {:<30} loses {:>6.2} % of its output, {:.4} % of all{}\n",
                        r.round,
                        r.firm,
                        r.lost * 100.0,
                        r.of_all * 100.0,
                        r.by.map_or(String::new(), |by| format!("; by {by}"))
                    ));
                }
                if all.len() > top {
                    text.push_str(&format!("  {word:<10} {} more firms\n", all.len() - top));
                }
            }
        }
        text
    }

    fn page(&self, top: usize) -> String {
        let mut page = Page::new("Cascades, round by round");
        page.paragraph(&format!("{ESRI}; {}. {HOW}", self.assumed));
        for c in &self.cascades {
            page.heading(c.firm);
            page.paragraph(&format!("{}.", c.summary()));
            page.plot(&c.plot);
            let mut rows = String::from(
                "<table><tr><th>direction</th><th>round</th><th>firm</th><th>loses, of its own output</th>\
                 <th>of all output</th><th>by</th></tr>",
            );
            for r in c.reached.iter().take(top) {
                rows.push_str(&format!(
                    "<tr><td>{}</td><td>{}</td><td>{}</td><td>{:.2} %</td><td>{:.4} %</td><td>{}</td></tr>",
                    r.direction,
                    r.round,
                    escape(r.firm),
                    r.lost * 100.0,
                    r.of_all * 100.0,
                    escape(r.by.unwrap_or("–"))
                ));
            }
            page.raw(&(rows + "</table>"));
        }
        page.finish()
    }
}
