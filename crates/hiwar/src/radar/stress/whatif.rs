//! What a second source would change.

use anyhow::Context as _;
use hiwar_radar::graph::esri::Options;
use hiwar_radar::graph::network::Network;
use hiwar_radar::graph::whatif::{Edit, compare};
use hiwar_radar::report::html::Page;
use hiwar_radar::report::plot::bars;
use hiwar_radar::report::records::Records;
use serde::Serialize;

use super::{ESRI, Stress, firm_name};
use crate::radar::Shown;

#[derive(Debug, Serialize)]
struct WhatIf<'a> {
    unit: &'static str,
    source: &'static str,
    assumed: String,
    edits: &'a [String],
    firms: Vec<Compared<'a>>,
}

#[derive(Debug, Serialize)]
struct Compared<'a> {
    firm: &'a str,
    before: f64,
    after: f64,
}

impl Stress {
    pub(super) fn what_if(&self, network: &Network, options: &Options) -> anyhow::Result<()> {
        let mut edits = Vec::new();
        let mut firms = Vec::new();
        for text in &self.second_source {
            let parts: Vec<&str> = text.split(':').collect();
            let [buyer, from, to, share] = parts.as_slice() else {
                anyhow::bail!("--second-source {text:?} is not BUYER:FROM:TO:SHARE");
            };
            let share = share
                .parse()
                .with_context(|| format!("--second-source {text:?}: {share:?} is no share from 0 to 1"))?;
            let firm = |name: &str| self.firm(network, name);
            let (buyer, from, to) = (firm(buyer)?, firm(from)?, firm(to)?);
            edits.push(Edit::SecondSource { buyer, from, to, share });
            firms.extend([from, to]);
        }
        firms.sort_unstable();
        firms.dedup();
        let compared = compare(network, options, &edits, &firms)
            .with_context(|| format!("--second-source {}", self.second_source.join(" ")))?;
        let row = |c: &hiwar_radar::graph::whatif::Comparison| Compared {
            firm: firm_name(network, c.firm),
            before: c.before.esri,
            after: c.after.esri,
        };
        let found = WhatIf {
            unit: "share of the output of the whole network that is lost when the firm fails, 0 to 1",
            source: ESRI,
            assumed: self.assumed(),
            edits: &self.second_source,
            firms: compared.iter().map(row).collect(),
        };
        self.output.show(&Shown {
            json: &found,
            records: &|| found.records(),
            table: &|| found.table(),
            page: &|| found.page(),
        })
    }
}

impl WhatIf<'_> {
    fn records(&self) -> Records {
        let firms = || self.firms.iter();
        Records::default()
            .note("unit", self.unit)
            .note("source", self.source)
            .note("assumed", &*self.assumed)
            .note("edits", self.edits.join(" "))
            .text("firm", firms().map(|f| f.firm))
            .number("before", firms().map(|f| f.before))
            .number("after", firms().map(|f| f.after))
    }

    fn table(&self) -> String {
        let mut text = format!("Share of all output lost when the firm fails ({ESRI}); {}\n", self.assumed);
        for f in &self.firms {
            text.push_str(&format!(
                "{:<30} before {:.4} %  after {:.4} %\n",
                f.firm,
                f.before * 100.0,
                f.after * 100.0
            ));
        }
        text
    }

    fn page(&self) -> String {
        let mut page = Page::new("What a second source would change");
        page.paragraph(&format!("{}. {ESRI}; {}.", self.edits.join(", "), self.assumed));
        let both = self.firms.iter().flat_map(|f| {
            let bar = |when: &str, share: f64| (format!("{} fails, {when}", f.firm), share * 100.0);
            [bar("before", f.before), bar("after", f.after)]
        });
        page.plot(&bars("What the failure of a firm stops", "% of all output", &both.collect::<Vec<_>>()));
        page.finish()
    }
}
