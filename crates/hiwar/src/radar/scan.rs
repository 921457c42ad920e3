//! `hiwar radar scan`

use std::process::ExitCode;

use hiwar_radar::items::name_of;
use hiwar_radar::month::{Date, Month};
use hiwar_radar::report;
use hiwar_radar::report::records::Records;
use hiwar_radar::scan::grade::GradePack;
use hiwar_radar::scan::{self, Alarm};
use hiwar_radar::series::Series;
use hiwar_radar::store::Filter;

use super::{OutputArgs, SeriesArgs, Shown, StoreArgs, newest_month, rule, series};

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
        let filter = self.series.filter();
        // Grades go by shares, and shares by all partners.
        let every_partner = Filter { partners: Vec::new(), ..filter.clone() };
        let known = series(&self.store.open()?, as_of, &every_partner)?;
        let (all, others): (Vec<Series>, Vec<Series>) = known.into_iter().partition(|s| filter.wants(&s.key));
        let month = self.month.or_else(|| newest_month(&all));
        let Some(month) = month else {
            eprintln!("no series of the store had been released by {as_of}");
            return Ok(ExitCode::FAILURE);
        };
        let mut found = scan::scan(&all, month, as_of, &rule);
        if let Some(pack) = GradePack::built_in() {
            found = found.graded(all.iter().chain(&others), &pack);
        }
        self.output.show(&Shown {
            json: &found,
            records: &|| records(&found),
            table: &|| table(&found),
            page: &|| report::scan_page(&found, &all, &rule),
        })?;
        Ok(if found.alarms.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn table(found: &scan::Scan) -> String {
    let mut text = format!(
        "{} as of {}, rule {}: {} series judged, {} of them by their unit value as well; {} alarms\n",
        found.month,
        found.as_of,
        found.rule,
        found.judged,
        found.judged_unit_values,
        found.alarms.len()
    );
    text.push_str(&format!("  drop:  {}\n  surge: {}\n", found.breadth.drop, found.breadth.surge));
    for (reason, count) in &found.unjudged {
        text.push_str(&format!("  not judged, {reason:?}: {count}\n"));
    }
    if let Some(pooled) = &found.pooled {
        text.push_str(&format!("  {}\n", report::pooled_text(pooled)));
        for pool in pooled.standing_out.iter().take(20) {
            text.push_str(&format!("    {pool}\n"));
        }
    }
    for alarm in &found.alarms {
        text.push_str(&told(alarm));
    }
    text
}

fn told(alarm: &Alarm) -> String {
    let mut text =
        format!("\n{} {:?} {:?}\n  {alarm}\n", super::draft::signal(alarm), alarm.direction, alarm.strength);
    for line in report::course(alarm) {
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str(&format!(
        "  CUSUM ↑ {:.1} ↓ {:.1} spreads; a new regime with {:.0} %",
        alarm.cusum_up,
        alarm.cusum_down,
        alarm.new_regime * 100.0
    ));
    if let (Some(p), Some(q)) = (alarm.p, alarm.q) {
        text.push_str(&format!("; p {p:.1e} in its class of product; of alarms at least as rare {:.0} % are expected to be chance (q {q:.1e})", q * 100.0));
    }
    text.push('\n');
    text
}

fn records(found: &scan::Scan) -> Records {
    let alarms = || found.alarms.iter();
    Records::default()
        .note("rule", &found.rule)
        .note("as_of", found.as_of.to_string())
        .text("source", alarms().map(|a| &a.series.source))
        .text("reporter", alarms().map(|a| &a.series.reporter))
        .text("partner", alarms().map(|a| &a.series.partner))
        .text("item", alarms().map(|a| &a.series.item))
        .text_if_any("item_name", alarms().map(|a| name_of(&a.series.item).map(|n| n.text)))
        .text("flow", alarms().map(|a| word(&a.series.flow)))
        .text("month", alarms().map(|a| a.month))
        .text("measure", alarms().map(|a| word(&a.measure)))
        .text("direction", alarms().map(|a| word(&a.direction)))
        .text("strength", alarms().map(|a| word(&a.strength)))
        .text("kind", alarms().map(|a| word(&a.kind)))
        .text_if_any("lead", alarms().map(|a| Some(format!("{:?}", a.lead?))))
        .text("since", alarms().map(|a| a.since))
        .text_if_any("surged", alarms().map(|a| a.surged))
        .text("unit", alarms().map(|a| a.measure.unit(a.unit)))
        .number("amount", alarms().map(|a| a.amount))
        .number("middle", alarms().map(|a| a.middle))
        .number("spread", alarms().map(|a| a.spread))
        .number("z", alarms().map(|a| a.z))
        .number("ratio", alarms().map(|a| a.ratio))
        .text_if_any("beside", alarms().map(|a| Some(word(&a.beside?.measure))))
        .number("beside_amount", alarms().map(|a| Some(a.beside?.amount)))
        .number("beside_z", alarms().map(|a| Some(a.beside?.z)))
        .number("beside_ratio", alarms().map(|a| Some(a.beside?.ratio)))
        .number("p", alarms().map(|a| a.p))
        .number("q", alarms().map(|a| a.q))
        .number("cusum_up", alarms().map(|a| a.cusum_up))
        .number("cusum_down", alarms().map(|a| a.cusum_down))
        .number("new_regime", alarms().map(|a| a.new_regime))
        .text("rule", alarms().map(|a| &a.rule))
        .text("as_of", alarms().map(|a| a.as_of))
        .text_if_any("released", alarms().map(|a| a.released))
        .text_if_any("history_released", alarms().map(|a| a.history_released))
        .number("silent_from", alarms().map(|a| a.silent_from))
        .text_if_any("grade", alarms().map(|a| Some(format!("{:?}", a.grade.as_ref()?.grade))))
        .number("share_of_imports", alarms().map(|a| Some(a.grade.as_ref()?.share)))
        .text_if_any("next_check", alarms().map(|a| Some(a.grade.as_ref()?.next_check)))
}

pub(super) fn word(value: &dyn std::fmt::Debug) -> String {
    // As serde writes them: UnitValue is unit-value.
    let mut out = String::new();
    for c in format!("{value:?}").chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.extend(c.to_lowercase());
    }
    out
}
