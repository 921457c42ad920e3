//! Output day by day after one or several firms lose capacity.

use anyhow::Context as _;
use hiwar_radar::graph::ario::{Assumptions, Outage, Path, run, run_watching};
use hiwar_radar::graph::network::Network;
use hiwar_radar::report::html::{Page, escape};
use hiwar_radar::report::lines::{Line, Lines};
use hiwar_radar::report::records::Records;
use serde::Serialize;

use super::{Stress, firm_name};
use crate::radar::Shown;

/// From this share of normal output on the network counts as recovered: our own cut.
const RECOVERED: f64 = 0.99;
/// How many firms besides the ones that fail are followed day by day.
const WATCHED: usize = 5;
/// The longest path.
const DAYS_MAX: u32 = 36_500;

/// How long a path is and what is assumed of firms
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "With --path")]
pub(super) struct Course {
    /// How many days
    #[arg(long, default_value_t = 365, requires = "path")]
    days: u32,
    /// Days of need that firms want in stock of each input
    #[arg(long, default_value_t = 90.0, requires = "path")]
    target_days: f64,
    /// Days in which they mean to fill what is lacking
    #[arg(long, default_value_t = 30.0, requires = "path")]
    restore_days: f64,
    /// The share of that stock below which it limits output
    #[arg(long, default_value_t = 0.8, requires = "path")]
    psi: f64,
    /// The most a firm can make, as a multiple of its normal output
    #[arg(long, default_value_t = 1.25, requires = "path")]
    most_output: f64,
    /// Days in which a firm gets there
    #[arg(long, default_value_t = 365.0, requires = "path")]
    output_days: f64,
}

impl Course {
    fn assumptions(&self) -> Assumptions {
        Assumptions {
            target_days: self.target_days,
            restore_days: self.restore_days,
            most_output: self.most_output,
            output_days: self.output_days,
            psi: self.psi,
        }
    }
}

#[derive(Debug, Serialize)]
struct Told<'a> {
    unit: &'static str,
    model: &'static str,
    assumptions: Vec<Assumed>,
    assumptions_source: &'static str,
    outages: Vec<Lost<'a>>,
    /// In the unit of the links' weights.
    normal_per_day: f64,
    trough: Option<Trough>,
    recovered_from: f64,
    recovered_day: Option<usize>,
    lost_network_days: f64,
    lost_firm_days: f64,
    lost_value: f64,
    output: Vec<f64>,
    firms: Vec<Affected<'a>>,
    followed: Vec<Followed<'a>>,
}

#[derive(Debug, Serialize)]
struct Assumed {
    name: &'static str,
    value: f64,
    unit: &'static str,
    meaning: &'static str,
}

#[derive(Debug, Serialize)]
struct Lost<'a> {
    firm: &'a str,
    share: f64,
    days: u32,
}

#[derive(Debug, Serialize)]
struct Trough {
    day: usize,
    output: f64,
}

#[derive(Debug, Serialize)]
struct Affected<'a> {
    firm: &'a str,
    lost_days: f64,
    lost_value: f64,
}

#[derive(Debug, Serialize)]
struct Followed<'a> {
    firm: &'a str,
    output: Vec<f64>,
}

/// `FIRM[:SHARE[:DAYS]]`; a firm's name may have colons itself.
fn parse(text: &str, known: impl Fn(&str) -> bool) -> anyhow::Result<(&str, f64, u32)> {
    if known(text) {
        return Ok((text, 1.0, 30));
    }
    let (mut name, mut share, mut days) = (text, "1", "30");
    if let Some((head, last)) = text.rsplit_once(':') {
        (name, share) = (head, last);
        if let Some((head, middle)) = head.rsplit_once(':').filter(|_| !known(name)) {
            (name, share, days) = (head, middle, last);
        }
    }
    let share: f64 = share
        .parse()
        .ok()
        .filter(|s| (0.0..=1.0).contains(s))
        .with_context(|| format!("--path {text:?}: {share:?} is no share of capacity from 0 to 1"))?;
    let days = days
        .parse()
        .ok()
        .filter(|d| *d > 0)
        .with_context(|| format!("--path {text:?}: {days:?} is no number of days from 1 on"))?;
    Ok((name, share, days))
}

impl Stress {
    pub(super) fn path(&self, network: &Network) -> anyhow::Result<()> {
        let days = self.course.days;
        anyhow::ensure!((1..=DAYS_MAX).contains(&days), "--days {days}: must be from 1 to {DAYS_MAX}");
        let mut outages = Vec::new();
        for text in &self.path {
            let (name, lost, until_day) = parse(text, |name| network.firm(name).is_some())?;
            outages.push(Outage { firm: self.firm(network, name)?, lost, from_day: 0, until_day });
        }
        let assumptions = self.course.assumptions();
        let path = run(network, &assumptions, None, &outages, days)?;
        let mut affected: Vec<(u32, f64)> = (0..)
            .zip(path.days_lost_of.iter().zip(&path.normal_of).map(|(lost, normal)| lost * normal))
            .filter(|(_, value)| *value > 0.0)
            .collect();
        affected.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut watched: Vec<u32> = outages.iter().map(|o| o.firm).collect();
        watched.dedup();
        let fails = |firm: u32| outages.iter().any(|o| o.firm == firm);
        watched.extend(affected.iter().map(|(firm, _)| *firm).filter(|f| !fails(*f)).take(WATCHED));
        // Once more, now that it is known whom to follow: less than to keep every firm's days.
        let path = run_watching(network, &assumptions, None, &outages, days, &watched)?;
        let told = Told::new(network, &assumptions, &outages, &affected, (&path, &watched));
        self.output.show(&Shown {
            json: &told,
            records: &|| told.records(),
            table: &|| told.table(self.top),
            page: &|| told.page(self.top),
        })
    }
}

impl<'a> Told<'a> {
    fn new(
        network: &'a Network,
        assumptions: &Assumptions,
        outages: &[Outage],
        affected: &[(u32, f64)],
        (path, watched): (&Path, &[u32]),
    ) -> Self {
        let name = |firm: u32| firm_name(network, firm);
        let lost_days = |firm: u32| path.days_lost_of.get(firm as usize).copied().unwrap_or(0.0);
        Self {
            unit: "output: share of a normal day's; days from 0, the first one of the outage; values in the unit of \
                   the links' weights",
            model: "ARIO with inventories between firms, a day a step; final demand is what a firm's purchases exceed \
                    its sales by",
            assumptions: assumptions
                .described()
                .map(|(name, value, unit, meaning)| Assumed { name, value, unit, meaning })
                .into(),
            assumptions_source: if *assumptions == Assumptions::default() {
                Assumptions::SOURCE
            } else {
                "given on the command line; the others as usual for the ARIO-inventory model"
            },
            outages: outages
                .iter()
                .map(|o| Lost { firm: name(o.firm), share: o.lost, days: o.until_day })
                .collect(),
            normal_per_day: path.normal,
            trough: path.trough().map(|(day, output)| Trough { day, output }),
            recovered_from: RECOVERED,
            recovered_day: path.recovered(RECOVERED),
            lost_network_days: path.days_lost(),
            lost_firm_days: path.firm_days_lost(),
            lost_value: path.days_lost() * path.normal,
            output: path.shares().collect(),
            firms: affected
                .iter()
                .map(|(firm, value)| Affected {
                    firm: name(*firm),
                    lost_days: lost_days(*firm),
                    lost_value: *value,
                })
                .collect(),
            followed: watched
                .iter()
                .zip(&path.watched)
                .map(|(firm, output)| Followed { firm: name(*firm), output: output.clone() })
                .collect(),
        }
    }

    fn shock(&self) -> String {
        let of = |o: &Lost<'_>| {
            format!("{} loses {:.0} % of its capacity for {} days", o.firm, o.share * 100.0, o.days)
        };
        self.outages.iter().map(of).collect::<Vec<_>>().join("; ")
    }

    /// What a person asks first: name and value.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let trough = self
            .trough
            .as_ref()
            .map_or("–".to_owned(), |t| format!("day {}: {:.2} % of normal", t.day, t.output * 100.0));
        let recovered = match self.recovered_day {
            Some(day) => format!("day {day} (at least {:.0} % from then on; our own cut)", RECOVERED * 100.0),
            None => format!(
                "not within {} days (at least {:.0} %; our own cut)",
                self.output.len(),
                RECOVERED * 100.0
            ),
        };
        vec![
            ("Trough", trough),
            ("Recovered", recovered),
            (
                "Lost output",
                format!(
                    "{:.2} days of the whole network's, what is made up for taken off ({:.4} in the unit of the weights)",
                    self.lost_network_days, self.lost_value
                ),
            ),
            (
                "Lost firm-days",
                format!("{:.1}, each firm in days of its own normal output, not netted", self.lost_firm_days),
            ),
            ("Firms that lose", self.firms.len().to_string()),
        ]
    }

    fn assumed(&self) -> String {
        let one = |a: &Assumed| format!("{} {} {}", a.name, a.value, a.unit);
        let all: Vec<String> = self.assumptions.iter().map(one).collect();
        format!("{}. Assumed: {} ({})", self.model, all.join(", "), self.assumptions_source)
    }

    fn records(&self) -> Records {
        let all = || {
            let network = self.output.iter().enumerate().map(|(day, share)| ("", day, *share));
            let firms = self
                .followed
                .iter()
                .flat_map(|f| f.output.iter().enumerate().map(move |(day, share)| (f.firm, day, *share)));
            network.chain(firms)
        };
        Records::default()
            .note("unit", self.unit)
            .note("shock", self.shock())
            .note("assumed", self.assumed())
            .text("of", all().map(|(firm, ..)| if firm.is_empty() { "network" } else { "firm" }))
            .text_if_any("firm", all().map(|(firm, ..)| Some(firm).filter(|f| !f.is_empty())))
            .count("day", all().map(|(_, day, _)| day as u64))
            .number("output", all().map(|(.., share)| share))
    }

    fn table(&self, top: usize) -> String {
        let mut text = format!("{}\n", self.shock());
        for (name, value) in self.facts() {
            text.push_str(&format!("  {name:<16} {value}\n"));
        }
        text.push_str("Firms that lose most:\n");
        for f in self.firms.iter().take(top) {
            text.push_str(&format!(
                "  {:<30} {:>8.1} days of its output ({:.4})\n",
                f.firm, f.lost_days, f.lost_value
            ));
        }
        text.push_str(&format!("{}\n", self.assumed()));
        text
    }

    fn page(&self, top: usize) -> String {
        let mut page = Page::new("Output day by day after an outage");
        page.paragraph(&format!(
            "{}. Drawn: the network, the firms that fail, those that lose most.",
            self.shock()
        ));
        let percent = |shares: &[f64]| shares.iter().map(|s| s * 100.0).collect();
        let mut lines = vec![Line { label: "whole network".to_owned(), values: percent(&self.output) }];
        lines.extend(
            self.followed.iter().map(|f| Line { label: f.firm.to_owned(), values: percent(&f.output) }),
        );
        let marked: Vec<(usize, usize, String)> = self
            .outages
            .iter()
            .map(|o| (0, usize::try_from(o.days).unwrap_or(usize::MAX), format!("outage of {}", o.firm)))
            .collect();
        let plot = Lines {
            title: "Output day by day",
            unit: "% of a normal day's output",
            days: "days from the beginning of the outage (shaded)",
            lines: &lines,
            marked: &marked,
        };
        page.plot(&plot.svg());
        let mut rows = String::from("<table>");
        for (name, value) in self.facts() {
            rows.push_str(&format!("<tr><th>{name}</th><td>{}</td></tr>", escape(&value)));
        }
        page.raw(&(rows + "</table>"));
        page.heading("Firms that lose most");
        let mut rows = String::from(
            "<table><tr><th>firm</th><th>days of its output</th><th>value, unit of the weights</th></tr>",
        );
        for f in self.firms.iter().take(top) {
            rows.push_str(&format!(
                "<tr><td>{}</td><td>{:.1}</td><td>{:.4}</td></tr>",
                escape(f.firm),
                f.lost_days,
                f.lost_value
            ));
        }
        page.raw(&(rows + "</table>"));
        page.heading("What is assumed");
        page.paragraph(&format!("{}. Source: {}.", self.model, self.assumptions_source));
        let mut rows =
            String::from("<table><tr><th>name</th><th>value</th><th>unit</th><th>meaning</th></tr>");
        for a in &self.assumptions {
            rows.push_str(&format!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                a.name, a.value, a.unit, a.meaning
            ));
        }
        page.raw(&(rows + "</table>"));
        page.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_a_firm_and_if_wanted_a_share_and_days() {
        let known = |name: &str| ["fab", "KR:fab"].contains(&name);
        for (text, expected) in [
            ("fab", ("fab", 1.0, 30)),
            ("fab:0.5", ("fab", 0.5, 30)),
            ("fab:0.5:7", ("fab", 0.5, 7)),
            ("KR:fab", ("KR:fab", 1.0, 30)),
            ("KR:fab:0.2", ("KR:fab", 0.2, 30)),
            ("KR:fab:0.2:9", ("KR:fab", 0.2, 9)),
        ] {
            assert_eq!(parse(text, known).unwrap(), expected, "{text}");
        }
        for wrong in ["fab:2", "fab:x", "fab:0.5:0", "fab:0.5:x", "fab:-1:3"] {
            assert!(parse(wrong, known).is_err(), "{wrong}");
        }
    }
}
