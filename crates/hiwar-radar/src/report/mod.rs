//! What people see of a judgement: pages that stand alone, with plots as SVG.

pub mod bill;
pub mod cascade;
pub mod html;
pub(crate) mod ink;
pub mod lines;
pub mod map;
pub mod parquet;
pub mod plot;
pub mod records;

use crate::detect::robust::Score;
use crate::items::name_of;
use crate::month::Month;
use crate::replay::Replay;
use crate::scan::{Alarm, Direction, Measure, Pooled, Rule, Scan};
use crate::series::Series;
use html::{Page, escape};
use plot::{Band, Mark, TimeSeries};

/// How many years of a series are plotted.
const YEARS: i32 = 8;

/// A measure of a series with its normal band under a rule and the months that are out of line, up
/// to a month.
pub fn series_plot(series: &Series, measure: Measure, rule: &Rule, until: Month) -> String {
    let count = usize::try_from(until.since(series.first) + 1).unwrap_or(0);
    let amounts: Vec<Option<f64>> =
        series.months.iter().take(count).map(|o| o.as_ref().and_then(|o| measure.of(o))).collect();
    let shown = usize::try_from(YEARS * 12).unwrap_or(0);
    let scores = rule.scores(measure, series.first, &amounts, Some(shown));
    let skipped = amounts.len().saturating_sub(shown);
    let first = series.first.plus(i32::try_from(skipped).unwrap_or(0));
    let bands: Vec<Option<Band>> =
        scores.iter().skip(skipped).map(|s| Some(band(rule, measure, s.as_ref()?))).collect();
    let marks: Vec<Mark> = scores
        .iter()
        .enumerate()
        .skip(skipped)
        .filter_map(|(t, score)| {
            let direction = crate::scan::passes(score.as_ref()?, rule)?;
            let month = series.first.plus(i32::try_from(t).ok()?);
            Some(Mark { month, below: direction == Direction::Drop })
        })
        .collect();
    let title = format!("{}, {}", series.key, measure.title());
    let values: Vec<Option<f64>> = amounts.into_iter().skip(skipped).collect();
    let unit = measure.unit(series.unit);
    TimeSeries { title: &title, unit: &unit, first, values: &values, bands: &bands, marks: &marks }.svg()
}

/// Within these amounts a month is no alarm by its distance.
fn band(rule: &Rule, measure: Measure, score: &Score) -> Band {
    let offset = rule.offset_of(measure);
    let at = |z: f64| (score.middle * (z * score.spread).exp() - offset).max(0.0);
    Band { low: at(rule.drop.z), middle: score.middle, high: at(rule.surge.z) }
}

/// The screening of a month as a page; `series` are those that were screened.
pub fn scan_page(scan: &Scan, series: &[Series], rule: &Rule) -> String {
    let mut page = Page::new(&format!("Screening of {}", scan.month));
    page.paragraph(&format!(
        "Judged as of {} by rule {} ({}). {} series judged, {} of them by their unit value as well; {} alarms.",
        scan.as_of,
        scan.rule,
        rule.source,
        scan.judged,
        scan.judged_unit_values,
        scan.alarms.len()
    ));
    page.paragraph(&format!(
        "Out of line at once: {} of the series drop, {} surge.",
        scan.breadth.drop, scan.breadth.surge
    ));
    if let Some(pooled) = &scan.pooled {
        page.heading("Importers together");
        page.paragraph(&pooled_text(pooled));
        for pool in pooled.standing_out.iter().take(20) {
            page.paragraph(&pool.to_string());
        }
    }
    for alarm in scan.alarms.iter().take(60) {
        page.heading(&alarm.series.to_string());
        page.paragraph(&alarm.to_string());
        let lines: Vec<String> = course(alarm).iter().map(|l| format!("<li>{}</li>", escape(l))).collect();
        page.raw(&format!("<ul>{}</ul>", lines.concat()));
        page.raw(&facts(alarm));
        if let Some(of) = series.iter().find(|s| s.key == alarm.series) {
            page.plot(&series_plot(of, alarm.measure, rule, alarm.month));
            if let Some(beside) = &alarm.beside {
                page.plot(&series_plot(of, beside.measure, rule, alarm.month));
            }
        }
    }
    if scan.alarms.len() > 60 {
        page.paragraph(&format!("{} more alarms are in the other formats.", scan.alarms.len() - 60));
    }
    page.finish()
}

/// What sums of importers are held against.
pub fn pooled_text(pooled: &Pooled) -> String {
    format!(
        "{} pools of one exporter's item; the sums of the months before ({}) have a standard deviation of {:.2}, \
         1 % of them are below {:.1} and 1 % above {:.1}; {} stand out",
        pooled.judged,
        pooled.reference,
        pooled.deviation,
        pooled.low,
        pooled.high,
        pooled.standing_out.len()
    )
}

/// What an alarm means and rests on, in lines.
pub fn course(alarm: &Alarm) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(name_of(&alarm.series.item).map(|name| name.to_string()));
    let beside =
        alarm.beside.as_ref().map_or("the other measure cannot be judged".to_owned(), |b| b.to_string());
    lines.push(format!("{} ({beside})", alarm.kind));
    if alarm.since != alarm.month {
        lines.push(format!("out of line since {}", alarm.since));
    }
    lines.extend(alarm.lead.map(|lead| lead.to_string()));
    lines.extend(alarm.surged.map(|month| format!("it surged in {month}, before it dropped")));
    lines.extend(alarm.grade.as_ref().map(ToString::to_string));
    lines.extend(alarm.released.map(|day| match alarm.history_released {
        Some(before) => format!("released on {day}, the months before by {before}"),
        None => format!("released on {day}"),
    }));
    lines
}

fn facts(alarm: &Alarm) -> String {
    let mut out = String::from(
        "<table><tr><th>z</th><th>ratio</th><th>CUSUM ↑</th><th>CUSUM ↓</th><th>new regime</th><th>p</th><th>q</th></tr>",
    );
    let number = |v: Option<f64>| v.map_or("–".to_owned(), |v| format!("{v:.2e}"));
    out.push_str(&format!("<tr><td>{:.1}</td><td>{:.2}</td><td>{:.1}</td><td>{:.1}</td><td>{:.0} %</td><td>{}</td><td>{}</td></tr></table>",
        alarm.z,
        alarm.ratio,
        alarm.cusum_up,
        alarm.cusum_down,
        alarm.new_regime * 100.0,
        number(alarm.p),
        number(alarm.q)
    ));
    out
}

/// A replay as a page.
pub fn replay_page(replay: &Replay, rule: &Rule) -> String {
    let mut page = Page::new(&format!("Replay of {} from {} to {}", replay.rule, replay.from, replay.to));
    page.paragraph(&format!("Rule: {}. Each month is judged on the day it was released.", rule.source));
    page.raw(&figures_table(replay));
    let drops: Vec<Option<f64>> = replay.months.iter().map(|m| Some(share(m.drops, m.judged))).collect();
    let surges: Vec<Option<f64>> = replay.months.iter().map(|m| Some(share(m.surges, m.judged))).collect();
    for (title, values) in [("Series that drop", &drops), ("Series that surge", &surges)] {
        page.plot(
            &TimeSeries {
                title,
                unit: "% of judged series",
                first: replay.from,
                values,
                bands: &[],
                marks: &[],
            }
            .svg(),
        );
    }
    page.heading("Episodes");
    let mut table = String::from(
        "<table><tr><th>series</th><th>way</th><th>first</th><th>last</th><th>months</th><th>peak z</th><th>raised</th><th>event</th></tr>",
    );
    for e in replay.episodes.iter().take(500) {
        table.push_str(&format!("<tr><td>{}</td><td>{:?}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.1}</td><td>{}</td><td>{}</td></tr>",
            escape(&e.series.to_string()),
            e.direction,
            e.first,
            e.last,
            e.months,
            e.peak_z,
            e.raised,
            escape(e.event.as_deref().unwrap_or(""))
        ));
    }
    table.push_str("</table>");
    page.raw(&table);
    page.finish()
}

fn share(part: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 * 100.0 }
}

fn figures_table(replay: &Replay) -> String {
    let right = replay.detections.iter().filter(|d| d.right).count();
    let mut out = String::from("<table>");
    for (name, value) in [
        ("Listed events found", format!("{right} of {}", replay.detections.len())),
        ("Alarm share outside events", format!("{:.2} % of series-months", replay.alarm_share * 100.0)),
        ("Episodes outside events", format!("{:.3} per series and year", replay.episodes_per_series_year)),
        ("On a desk of 4,000 series", format!("{:.0} alarms a month", replay.desk_alarms_per_month)),
        ("Judged", format!("{:.0} series-years outside events", replay.series_years)),
    ] {
        out.push_str(&format!("<tr><th>{name}</th><td>{value}</td></tr>"));
    }
    for d in &replay.detections {
        let how = match (d.month, d.days_from_announcement, d.days_from_stop) {
            (Some(month), Some(announced), Some(stop)) => {
                format!("{month}; raised {announced} days after the announcement, {stop} after the stop")
            }
            _ => "no alarm".to_owned(),
        };
        out.push_str(&format!("<tr><th>{}</th><td>{how}</td></tr>", escape(&d.event)));
    }
    out.push_str("</table>");
    out
}
