//! `hiwar radar items`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use hiwar_radar::items::concordance::{NoRevision, Revision, SOURCE, Step, steps};
use hiwar_radar::items::{CodeList, Item, ItemList, shipped};
use hiwar_radar::month::Date;
use hiwar_radar::report::html::{Page, escape};
use hiwar_radar::report::records::Records;
use serde::Serialize;

use super::{OutputArgs, Shown};

/// Codes of goods, and lists of one's own items
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Items {
    /// The code lists that are built in, with their sources
    List(List),
    /// Turn a code into those of another revision or nomenclature
    Convert(Convert),
    /// The items of a list that are valid on a day, with the codes they are found under
    Show(Show),
    /// Check a list of items
    Check(Check),
}

/// The code lists that are built in
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    output: OutputArgs,
}

/// Turn a code into others
#[derive(Debug, clap::Args)]
pub(crate) struct Convert {
    /// The code; of a national one the first six digits are taken
    code: String,
    /// What it is of: hs1992, hs2012, hs2017 or hs2022; with --list any nomenclature of the list
    #[arg(long)]
    from: String,
    /// What it shall be of
    #[arg(long)]
    to: String,
    /// Through the items of this list instead of the built-in tables: national codes, control lists
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// The day on which items and links of the list are valid [default: today]
    #[arg(long, requires = "list")]
    on: Option<Date>,
    #[command(flatten)]
    output: OutputArgs,
}

/// The items of a list
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// The list, a TOML file
    file: PathBuf,
    /// The day on which they are valid [default: today]
    #[arg(long)]
    on: Option<Date>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Check a list
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// The list, a TOML file
    file: PathBuf,
}

impl Items {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(command) => command.run(),
            Self::Convert(command) => command.run(),
            Self::Show(command) => command.run(),
            Self::Check(command) => {
                let list = read(&command.file)?;
                let links: usize = list.items.iter().map(|item| item.links.len()).sum();
                let of = format!("{} version {}", list.name, list.version);
                crate::commands::print(&format!(
                    "{of}: {} items, {links} links, no fault",
                    list.items.len()
                ))?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn read(path: &PathBuf) -> anyhow::Result<ItemList> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    ItemList::parse(&text).with_context(|| path.display().to_string())
}

/// A page of one table; the first row is its head.
fn page(title: &str, note: &str, rows: &[Vec<String>]) -> String {
    let mut page = Page::new(title);
    page.paragraph(note);
    let row = |(place, cells): (usize, &Vec<String>)| {
        let tag = if place == 0 { "th" } else { "td" };
        let cells: Vec<String> = cells.iter().map(|c| format!("<{tag}>{}</{tag}>", escape(c))).collect();
        format!("<tr>{}</tr>", cells.concat())
    };
    let rows: Vec<String> = rows.iter().enumerate().map(row).collect();
    page.raw(&format!("<table>{}</table>", rows.concat()));
    page.finish()
}

fn words<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

impl List {
    fn run(self) -> anyhow::Result<ExitCode> {
        let lists = shipped();
        let rows = || {
            let row = |l: &CodeList| words([l.name, l.holds, &l.rows.to_string(), l.source]);
            std::iter::once(words(["list", "holds", "rows", "source"])).chain(lists.iter().map(row))
        };
        self.output.show(&Shown {
            json: &lists,
            records: &|| {
                Records::default()
                    .text("list", lists.iter().map(|l| l.name))
                    .text("holds", lists.iter().map(|l| l.holds))
                    .count("rows", lists.iter().map(|l| l.rows))
                    .text("source", lists.iter().map(|l| l.source))
            },
            table: &|| {
                let line =
                    |l: &CodeList| format!("{:<16} {:>6} rows  {} ({})\n", l.name, l.rows, l.holds, l.source);
                lists.iter().map(line).collect()
            },
            page: &|| page("Code lists", "Built into this program.", &rows().collect::<Vec<_>>()),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What a code turns into.
#[derive(Debug, Serialize)]
struct Converted {
    code: String,
    from: String,
    to: String,
    /// The codes at the end.
    becomes: Vec<Became>,
    /// The steps between, when the built-in tables were used.
    steps: Vec<Step>,
    source: String,
    /// What the taken digits or the day were.
    note: String,
}

#[derive(Debug, Serialize)]
struct Became {
    code: String,
    /// The item that joins them, when a list was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<String>,
    /// The part of the code's trade that is the item.
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<f64>,
}

impl Convert {
    fn run(self) -> anyhow::Result<ExitCode> {
        let found = match &self.list {
            Some(path) => self.through_list(path)?,
            None => self.through_tables()?,
        };
        self.output.show(&Shown {
            json: &found,
            records: &|| {
                let all = || found.becomes.iter();
                Records::default()
                    .note("source", &*found.source)
                    .text("from", all().map(|_| &found.from))
                    .text("code", all().map(|_| &found.code))
                    .text("to", all().map(|_| &found.to))
                    .text("becomes", all().map(|b| &b.code))
                    .text_if_any("item", all().map(|b| b.item.as_ref()))
                    .number("share", all().map(|b| b.share))
                    .text("source", all().map(|_| &found.source))
            },
            table: &|| found.table(),
            page: &|| {
                let mut rows = vec![words(["code", "item", "share"])];
                rows.extend(found.becomes.iter().map(|b| {
                    let share = b.share.map_or(String::new(), |share| share.to_string());
                    words([&b.code, b.item.as_deref().unwrap_or_default(), &share])
                }));
                let title = format!("{} {} in {}", found.from, found.code, found.to);
                page(&title, &format!("Source: {}. {}", found.source, found.note), &rows)
            },
        })?;
        Ok(if found.becomes.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn through_tables(&self) -> anyhow::Result<Converted> {
        let revision = |text: &str| -> anyhow::Result<Revision> {
            let advice = |NoRevision(text): NoRevision| {
                anyhow::anyhow!("{}; for other nomenclatures give --list FILE", NoRevision(text))
            };
            text.parse().map_err(advice)
        };
        let (from, to) = (revision(&self.from)?, revision(&self.to)?);
        let digits = self.code.len() >= 6 && self.code.bytes().all(|b| b.is_ascii_digit());
        let six = self.code.get(..6).filter(|_| digits);
        let six = six.with_context(|| format!("{:?} is no code of six digits or more", self.code))?;
        let steps = steps(six, from, to);
        let last = steps.iter().filter(|step| step.to == to).map(|step| &step.becomes);
        let mut ends: Vec<String> = last.cloned().collect();
        ends.sort();
        ends.dedup();
        let cut = if six.len() < self.code.len() {
            format!(", the first six digits of {}", self.code)
        } else {
            String::new()
        };
        Ok(Converted {
            code: six.to_owned(),
            note: format!(
                "{six}{cut}; {from} in force from {}, {to} from {}",
                from.in_force_from(),
                to.in_force_from()
            ),
            from: from.to_string(),
            to: to.to_string(),
            becomes: ends.into_iter().map(|code| Became { code, item: None, share: None }).collect(),
            steps,
            source: SOURCE.to_owned(),
        })
    }

    fn through_list(&self, path: &PathBuf) -> anyhow::Result<Converted> {
        let list = read(path)?;
        let day = self.on.map_or_else(super::today, Ok)?;
        let mut becomes = Vec::new();
        for (item, _) in list.items_of(&self.from, &self.code, day) {
            let of = item.links.iter().filter(|link| link.nomenclature == self.to && link.holds(day));
            becomes.extend(of.map(|link| Became {
                code: link.code.clone(),
                item: Some(item.code.clone()),
                share: Some(link.share()),
            }));
        }
        Ok(Converted {
            code: self.code.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            becomes,
            steps: Vec::new(),
            source: format!("item list {} version {} ({})", list.name, list.version, path.display()),
            note: format!("valid on {day}"),
        })
    }
}

impl Converted {
    fn table(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            text.push_str(&format!("{} {} → {} {}\n", step.from, step.code, step.to, step.becomes));
        }
        for became in self.becomes.iter().filter(|b| b.item.is_some()) {
            text.push_str(&format!(
                "{} {} → {} {} through {}, {} of its trade\n",
                self.from,
                self.code,
                self.to,
                became.code,
                became.item.as_deref().unwrap_or_default(),
                became.share.unwrap_or(1.0)
            ));
        }
        if self.becomes.is_empty() {
            text.push_str(&format!(
                "{} {} is not known or leads nowhere in {}\n",
                self.from, self.code, self.to
            ));
        }
        text.push_str(&format!("{}\nSource: {}\n", self.note, self.source));
        text
    }
}

/// The items of a list on a day.
#[derive(Debug, Serialize)]
struct Valid<'a> {
    list: &'a str,
    version: &'a str,
    on: Date,
    items: Vec<&'a Item>,
}

impl Show {
    fn run(self) -> anyhow::Result<ExitCode> {
        let list = read(&self.file)?;
        let on = self.on.map_or_else(super::today, Ok)?;
        let valid =
            Valid { list: &list.name, version: &list.version, on, items: list.valid_on(on).collect() };
        // An item without a link is one row without a code.
        let rows: Vec<_> = valid
            .items
            .iter()
            .flat_map(|item| {
                let links: Vec<_> = item.links.iter().filter(|link| link.holds(on)).map(Some).collect();
                let links = if links.is_empty() { vec![None] } else { links };
                links.into_iter().map(move |link| (*item, link))
            })
            .collect();
        let title =
            format!("{} version {}, valid on {on}: {} items", list.name, list.version, valid.items.len());
        self.output.show(&Shown {
            json: &valid,
            records: &|| {
                let all = || rows.iter();
                Records::default()
                    .note("version", &*list.version)
                    .text("list", all().map(|_| &list.name))
                    .text("version", all().map(|_| &list.version))
                    .text("item", all().map(|r| &r.0.code))
                    .text("name", all().map(|r| &r.0.name))
                    .text_if_any("from", all().map(|r| r.0.from))
                    .text_if_any("until", all().map(|r| r.0.until))
                    .text_if_any("nomenclature", all().map(|r| r.1.map(|link| &link.nomenclature)))
                    .text_if_any("code", all().map(|r| r.1.map(|link| &link.code)))
                    .number("share", all().map(|r| r.1.map(hiwar_radar::items::ItemLink::share)))
            },
            table: &|| {
                let mut text = format!("{title}\n");
                for item in &valid.items {
                    text.push_str(&format!(
                        "{:<16} {}{}\n",
                        item.code,
                        item.name,
                        span(item.from, item.until)
                    ));
                    for link in item.links.iter().filter(|link| link.holds(on)) {
                        text.push_str(&format!(
                            "{:<16} {} {}, {} of its trade{}\n",
                            "",
                            link.nomenclature,
                            link.code,
                            link.share(),
                            span(link.from, link.until)
                        ));
                    }
                }
                text
            },
            page: &|| {
                let mut all = vec![words(["item", "name", "nomenclature", "code", "share"])];
                all.extend(rows.iter().map(|(item, link)| {
                    let share = link.map_or(String::new(), |link| link.share().to_string());
                    let (nomenclature, code) =
                        link.map_or(("", ""), |link| (link.nomenclature.as_str(), link.code.as_str()));
                    words([&item.code, &item.name, nomenclature, code, &share])
                }));
                page(&title, "", &all)
            },
        })?;
        Ok(if valid.items.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn span(from: Option<Date>, until: Option<Date>) -> String {
    match (from, until) {
        (None, None) => String::new(),
        (Some(from), None) => format!(", from {from}"),
        (None, Some(until)) => format!(", until {until}"),
        (Some(from), Some(until)) => format!(", {from} to {until}"),
    }
}
