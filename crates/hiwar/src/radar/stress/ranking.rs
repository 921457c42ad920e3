//! The index of every firm.

use hiwar_radar::graph::esri::{Options, cascades_all};
use hiwar_radar::graph::network::Network;
use hiwar_radar::report::cascade::cascade_plot;
use hiwar_radar::report::html::Page;
use hiwar_radar::report::plot::bars;
use hiwar_radar::report::records::Records;
use serde::Serialize;

use super::{ESRI, Stress, firm_name};
use crate::radar::{Shown, progress};

/// How many cascades the page draws.
const DRAWN: usize = 3;

/// The firms by their index.
#[derive(Debug, Serialize)]
struct Ranking<'a> {
    unit: &'static str,
    source: &'static str,
    assumed: String,
    tolerance: f64,
    firms: Vec<Ranked<'a>>,
}

#[derive(Debug, Serialize)]
struct Ranked<'a> {
    firm: &'a str,
    esri: f64,
    down: f64,
    up: f64,
    rounds: u32,
    #[serde(skip)]
    at: u32,
}

impl Stress {
    pub(super) fn ranking(&self, network: &Network, options: &Options) -> anyhow::Result<()> {
        let bar = progress(network.firms().len() as u64, "firms");
        let found = cascades_all(network, options, |done| bar.set_position(done as u64))?;
        bar.finish_and_clear();
        let ranked = |(at, c): (u32, hiwar_radar::graph::esri::Cascade)| Ranked {
            firm: firm_name(network, at),
            esri: c.esri,
            down: c.down,
            up: c.up,
            rounds: c.rounds,
            at,
        };
        let mut firms: Vec<Ranked<'_>> = (0..).zip(found).map(ranked).collect();
        firms.sort_by(|a, b| b.esri.total_cmp(&a.esri).then(a.at.cmp(&b.at)));
        let ranking = Ranking {
            unit: "share of the output of the whole network, 0 to 1",
            source: ESRI,
            assumed: self.assumed(),
            tolerance: options.tolerance,
            firms,
        };
        let head = format!(
            "{} firms, {} links. Share of all output that is lost when a firm fails ({ESRI}); {}",
            network.firms().len(),
            network.links().len(),
            ranking.assumed
        );
        // Made before: a page cannot fail.
        let mut drawn = Vec::new();
        if self.output.format == crate::radar::Format::Html {
            for firm in ranking.firms.iter().take(DRAWN) {
                drawn.push(cascade_plot(
                    network,
                    firm.at,
                    &super::cascade::traced(network, options, firm.at)?,
                ));
            }
        }
        self.output.show(&Shown {
            json: &ranking,
            records: &|| ranking.records(),
            table: &|| ranking.table(&head, self.top),
            page: &|| ranking.page(&head, self.top, &drawn),
        })
    }
}

impl Ranking<'_> {
    fn records(&self) -> Records {
        let firms = || self.firms.iter();
        Records::default()
            .note("unit", self.unit)
            .note("source", self.source)
            .note("assumed", &*self.assumed)
            .text("firm", firms().map(|f| f.firm))
            .number("esri", firms().map(|f| f.esri))
            .number("down", firms().map(|f| f.down))
            .number("up", firms().map(|f| f.up))
            .count("rounds", firms().map(|f| u64::from(f.rounds)))
    }

    fn table(&self, head: &str, top: usize) -> String {
        let mut text = format!("{head}\n");
        for f in self.firms.iter().take(top) {
            text.push_str(&format!(
                "{:>8.4} %  {:<30} downstream {:.4} %, upstream {:.4} %, {} rounds\n",
                f.esri * 100.0,
                f.firm,
                f.down * 100.0,
                f.up * 100.0,
                f.rounds
            ));
        }
        text
    }

    fn page(&self, head: &str, top: usize, drawn: &[String]) -> String {
        let mut page = Page::new("What each firm's failure would stop");
        page.paragraph(head);
        let bar = |f: &Ranked<'_>| (f.firm.to_owned(), f.esri * 100.0);
        let top: Vec<(String, f64)> = self.firms.iter().take(top).map(bar).collect();
        page.plot(&bars("Firms with the largest cascades", "% of all output", &top));
        if !drawn.is_empty() {
            page.heading("The largest cascades, round by round");
            page.paragraph(super::cascade::HOW);
        }
        for plot in drawn {
            page.plot(plot);
        }
        page.finish()
    }
}
