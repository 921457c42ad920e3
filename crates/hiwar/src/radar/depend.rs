//! `hiwar radar depend`

use std::process::ExitCode;

use anyhow::Context as _;
use hiwar_radar::month::Date;
use hiwar_radar::report::html::{Page, escape};
use hiwar_radar::report::plot::bars;
use hiwar_radar::series::Unit;
use hiwar_radar::structure::Verdict;
use hiwar_radar::structure::book::{Annual, Book, Churn, Request};
use hiwar_radar::structure::rules::RulePack;

use super::{Format, OutputArgs, StoreArgs, cell, series};

/// The dependency book of a reporter: on whom it depends for what, dated and versioned
#[derive(Debug, clap::Args)]
pub(crate) struct Depend {
    /// Who imports, such as KR
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
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Depend {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let as_of = self.as_of.map_or_else(super::today, Ok)?;
        let filter = hiwar_radar::store::Filter {
            sources: self.source.clone(),
            reporters: vec![self.reporter.clone()],
            items: self.item.clone(),
            without_aggregates: true,
            ..Default::default()
        };
        let all = series(&self.store.open()?, as_of, &filter)?;
        let unit = all.first().map_or(Unit::Usd, |s| s.unit);
        let annuals = Annual::from_series(&all)?;
        let newest = annuals.iter().filter(|a| a.months == 12).map(|a| a.year).max();
        let year = self.year.or(newest).with_context(|| {
            format!("the store has no complete year reported by {} as of {as_of}", self.reporter)
        })?;
        let rules = RulePack::built_in()?;
        let make = |year| {
            let reporter = &self.reporter;
            let request = Request { reporter, year, as_of, unit, rules: &rules, world: None, bloc: None };
            Book::make(annuals.iter().cloned(), &request)
        };
        let book = make(year)?;
        let churn = match self.since {
            Some(since) => Some(Churn::between(&make(since)?, &book)?),
            None => None,
        };
        match self.output.format {
            Format::Json => self.output.json(&serde_json::json!({ "book": book, "churn": churn }))?,
            Format::Csv | Format::Parquet => self.output.write(&csv(&book))?,
            Format::Table => self.output.write(&table(&book, churn.as_ref()))?,
            Format::Html => self.output.write(&page(&book))?,
        }
        Ok(if book.entries.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn verdict(verdict: Verdict) -> String {
    match verdict {
        Verdict::Yes => "yes".into(),
        Verdict::No => "no".into(),
        Verdict::Unknown(needs) => format!("needs {needs:?}").to_lowercase(),
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or("–".into(), |v| format!("{v:.3}"))
}

fn table(book: &Book, churn: Option<&Churn>) -> String {
    let mut text = format!(
        "{} {} as of {}, rules {}/{}: {} items; imports over exports, HHI by value and by weight\n",
        book.reporter,
        book.year,
        book.as_of,
        book.rules.id,
        book.rules.version,
        book.entries.len()
    );
    for e in &book.entries {
        text.push_str(&format!(
            "{:<12} HHI {:.3} / {} · {} {:.1} % · ratio {} · C1 {} · C2 {} · C3 {} · C4 {}\n",
            e.item,
            e.by_value.hhi,
            number(e.by_weight.as_ref().map(|w| w.hhi)),
            e.by_value.top_partner,
            e.by_value.top_share * 100.0,
            number(e.ratio),
            verdict(e.geodep.c1),
            verdict(e.geodep.c2),
            verdict(e.geodep.c3),
            verdict(e.geodep.c4)
        ));
    }
    if let Some(churn) = churn {
        let list = |changes: &[hiwar_radar::structure::book::Change]| {
            changes.iter().map(|c| c.item.to_string()).collect::<Vec<_>>().join(", ")
        };
        text.push_str(&format!(
            "Since {}: entered [{}], left [{}], {} stayed\n",
            churn.old.0,
            list(&churn.entered),
            list(&churn.left),
            churn.stayed.len()
        ));
    }
    text
}

fn csv(book: &Book) -> String {
    let mut text = String::from(
        "reporter,year,as_of,rules,item,hhi_value,hhi_weight,top_partner,top_share,imports,exports,ratio,c4\n",
    );
    let number = |v: Option<f64>| v.map_or(String::new(), |v| v.to_string());
    for e in &book.entries {
        text.push_str(&format!(
            "{},{},{},{}/{},{},{},{},{},{},{},{},{},{}\n",
            cell(&book.reporter),
            book.year,
            book.as_of,
            book.rules.id,
            book.rules.version,
            cell(&e.item),
            e.by_value.hhi,
            number(e.by_weight.as_ref().map(|w| w.hhi)),
            cell(&e.by_value.top_partner),
            e.by_value.top_share,
            e.by_value.total,
            number(e.exports),
            number(e.ratio),
            cell(&verdict(e.geodep.c4))
        ));
    }
    text
}

fn page(book: &Book) -> String {
    let mut page = Page::new(&format!("Dependency book of {}, {}", book.reporter, book.year));
    page.paragraph(&format!(
        "As of {}, rules {}/{}. HHI: sum of squared shares of the exporters, from 1/n to 1.",
        book.as_of, book.rules.id, book.rules.version
    ));
    let top: Vec<(String, f64)> = book
        .entries
        .iter()
        .take(40)
        .map(|e| (format!("{} · {}", e.item, e.by_value.top_partner), e.by_value.hhi))
        .collect();
    page.plot(&bars("The most concentrated imports, with their largest source", "HHI by value", &top));
    let mut rows = String::from(
        "<table><tr><th>item</th><th>HHI value</th><th>HHI weight</th><th>largest source</th><th>imports/exports</th><th>C4</th></tr>",
    );
    for e in book.entries.iter().take(500) {
        rows.push_str(&format!(
            "<tr><td>{}</td><td>{:.3}</td><td>{}</td><td>{} {:.1} %</td><td>{}</td><td>{}</td></tr>",
            escape(&e.item),
            e.by_value.hhi,
            number(e.by_weight.as_ref().map(|w| w.hhi)),
            escape(&e.by_value.top_partner),
            e.by_value.top_share * 100.0,
            number(e.ratio),
            escape(&verdict(e.geodep.c4))
        ));
    }
    rows.push_str("</table>");
    page.raw(&rows);
    page.finish()
}
