//! `hiwar radar scan`

use std::process::ExitCode;

use hiwar_radar::month::{Date, Month};
use hiwar_radar::report;
use hiwar_radar::scan::{self, Alarm};

use super::{Format, OutputArgs, SeriesArgs, StoreArgs, cell, newest_month, rule, series};

/// Screen a month
#[derive(Debug, clap::Args)]
pub(crate) struct Scan {
    /// Judge as of this day: nothing released later is used [default: today]
    #[arg(long)]
    as_of: Option<Date>,
    /// The month [default: the newest that most series have]
    #[arg(long)]
    month: Option<Month>,
    /// The rule: a shipped one by name, or a file
    #[arg(long, default_value = "screen")]
    rule: String,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    series: SeriesArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Scan {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let rule = rule(&self.rule)?;
        let as_of = self.as_of.map_or_else(super::today, Ok)?;
        let all = series(&self.store.open()?, as_of, &self.series.filter())?;
        let month = self.month.or_else(|| newest_month(&all));
        let Some(month) = month else {
            eprintln!("no series of the store had been released by {as_of}");
            return Ok(ExitCode::FAILURE);
        };
        let found = scan::scan(&all, month, as_of, &rule);
        match self.output.format {
            Format::Json => self.output.json(&found)?,
            Format::Csv => self.output.write(&csv(&found.alarms))?,
            Format::Html => self.output.write(&report::scan_page(&found, &all, &rule))?,
            Format::Table => self.output.write(&table(&found))?,
        }
        Ok(if found.alarms.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn table(found: &scan::Scan) -> String {
    let mut text = format!(
        "{} as of {}, rule {}: {} series judged, {} alarms; {:.1} % drop, {:.1} % surge\n",
        found.month,
        found.as_of,
        found.rule,
        found.judged,
        found.alarms.len(),
        found.breadth_drop * 100.0,
        found.breadth_surge * 100.0
    );
    for (reason, count) in &found.unjudged {
        text.push_str(&format!("  not judged, {reason:?}: {count}\n"));
    }
    for alarm in &found.alarms {
        text.push_str(&format!(
            "\n{} {:?} {:?}\n  {alarm}\n",
            super::draft::signal(alarm),
            alarm.direction,
            alarm.strength
        ));
        text.push_str(&format!(
            "  CUSUM ↑ {:.1} ↓ {:.1} spreads; a new regime with {:.0} %",
            alarm.cusum_up,
            alarm.cusum_down,
            alarm.new_regime * 100.0
        ));
        if let (Some(p), Some(q)) = (alarm.p, alarm.q) {
            text.push_str(&format!("; p {p:.1e} in its class of product, q {q:.1e} over the month"));
        }
        text.push('\n');
    }
    text
}

fn csv(alarms: &[Alarm]) -> String {
    let mut text = String::from(
        "source,reporter,partner,item,flow,month,measure,direction,strength,amount,middle,spread,z,ratio,p,q,cusum_up,cusum_down,new_regime,rule,as_of,silent_from\n",
    );
    let number = |v: Option<f64>| v.map_or(String::new(), |v| v.to_string());
    for a in alarms {
        let word = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase();
        text.push_str(
            &[
                cell(&a.series.source),
                cell(&a.series.reporter),
                cell(&a.series.partner),
                cell(&a.series.item),
                word(&a.series.flow),
                a.month.to_string(),
                word(&a.measure),
                word(&a.direction),
                word(&a.strength),
                a.amount.to_string(),
                a.middle.to_string(),
                a.spread.to_string(),
                a.z.to_string(),
                a.ratio.to_string(),
                number(a.p),
                number(a.q),
                a.cusum_up.to_string(),
                a.cusum_down.to_string(),
                a.new_regime.to_string(),
                a.rule.clone(),
                a.as_of.to_string(),
                a.silent_from.to_string(),
            ]
            .join(","),
        );
        text.push('\n');
    }
    text
}
