//! `hiwar radar replay`

use std::path::PathBuf;
use std::process::ExitCode;

use hiwar_radar::month::Month;
use hiwar_radar::replay;
use hiwar_radar::report;
use hiwar_radar::report::records::Records;

use super::{OutputArgs, SeriesArgs, Shown, StoreArgs, days_after, events, rule, series};

/// Replay a rule month by month
#[derive(Debug, clap::Args)]
pub(crate) struct Replay {
    /// The rule: a shipped one by name, or a file
    #[arg(long, default_value = "robust-36")]
    rule: String,
    /// First month
    #[arg(long)]
    from: Month,
    /// Last month
    #[arg(long)]
    to: Month,
    /// Events to be found, and negative controls: a JSON list (see docs/backtest.md)
    #[arg(long)]
    events: Option<PathBuf>,
    /// Days from the end of a month until its numbers are released, for the day each month is judged on
    #[arg(long, default_value_t = 30)]
    delay: i32,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    series: SeriesArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Replay {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        anyhow::ensure!(self.from <= self.to, "--from {} is after --to {}", self.from, self.to);
        let rule = rule(&self.rule)?;
        let events = events(self.events.as_deref())?;
        let store = self.store.open()?;
        let filter = self.series.filter();
        let as_of = |month: Month| days_after(month, self.delay);
        let count = self.to.since(self.from) + 1;
        let bar = crate::radar::progress(count.unsigned_abs().into(), "months");
        let done = replay::replay(&rule, (self.from, self.to), &events, as_of, |day| {
            bar.inc(1);
            series(&store, day, &filter)
        })?;
        bar.finish_and_clear();
        self.output.show(&Shown {
            json: &done,
            records: &|| records(&done),
            table: &|| table(&done),
            page: &|| report::replay_page(&done, &rule),
        })?;
        let judged = done.months.iter().any(|m| m.judged > 0);
        Ok(if judged { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn table(done: &replay::Replay) -> String {
    let right = done.detections.iter().filter(|d| d.right).count();
    let mut text = format!("{} from {} to {}\n", done.rule, done.from, done.to);
    for (name, value) in [
        ("listed events", format!("{right} of {} as expected", done.detections.len())),
        ("alarm share outside events", format!("{:.2} % of series-months", done.alarm_share * 100.0)),
        ("episodes outside events", format!("{:.3} per series and year", done.episodes_per_series_year)),
        ("on a desk of 4,000 series", format!("{:.0} alarms a month", done.desk_alarms_per_month)),
        ("judged outside events", format!("{:.0} series-years", done.series_years)),
    ] {
        text.push_str(&format!("{name:<28}{value}\n"));
    }
    for d in &done.detections {
        let how = match (d.month, d.days_from_announcement, d.days_from_stop) {
            (Some(month), Some(announced), Some(stop)) => {
                format!(
                    "alarm for {month}, raised {announced} days after the announcement, {stop} after the stop"
                )
            }
            _ => "no alarm".to_owned(),
        };
        let expected = if d.right { "as expected" } else { "NOT as expected" };
        text.push_str(&format!("  {:<34} {how} ({expected})\n", d.event));
    }
    let widest = |times: fn(&replay::MonthFigures) -> Option<f64>| {
        let known = done.months.iter().filter_map(|m| Some((m, times(m)?)));
        known.max_by(|a, b| a.1.total_cmp(&b.1))
    };
    for (way, found) in [
        ("drop", widest(|m| m.breadth_drop_times).map(|(m, t)| (m.month, m.breadth_drop, t))),
        ("surge", widest(|m| m.breadth_surge_times).map(|(m, t)| (m.month, m.breadth_surge, t))),
    ] {
        if let Some((month, share, times)) = found {
            let name = format!("widest {way}");
            text.push_str(&format!(
                "{name:<28}{:.1} % of the series in {month}, {times:.1} times the usual\n",
                share * 100.0
            ));
        }
    }
    text.push_str("Alarms outside the windows of listed events are an upper bound of false ones.\n");
    text
}

fn records(done: &replay::Replay) -> Records {
    let months = || done.months.iter();
    let count = |n: usize| n as u64;
    Records::default()
        .note("rule", &done.rule)
        .text("month", months().map(|m| m.month))
        .text("as_of", months().map(|m| m.as_of))
        .count("judged", months().map(|m| count(m.judged)))
        .count("drops", months().map(|m| count(m.drops)))
        .count("surges", months().map(|m| count(m.surges)))
        .count("price_drops", months().map(|m| count(m.price_drops)))
        .count("price_surges", months().map(|m| count(m.price_surges)))
        .number("breadth_drop", months().map(|m| m.breadth_drop))
        .number("breadth_drop_times", months().map(|m| m.breadth_drop_times))
        .number("breadth_surge", months().map(|m| m.breadth_surge))
        .number("breadth_surge_times", months().map(|m| m.breadth_surge_times))
        .text("rule", months().map(|_| &done.rule))
}
