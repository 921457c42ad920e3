//! B3: screening everything a customs office watches, every month.

use std::time::Instant;

use hiwar_radar::scan::Rule;
use hiwar_radar::scan::fleet::Fleet;
use serde::Serialize;

/// Items that are watched.
const ITEMS: usize = 4_000;
/// Partners of each.
const PARTNERS: usize = 60;
/// Import and export.
const FLOWS: usize = 2;
/// Months of history.
const MONTHS: usize = 180;
/// Classes of product (chapters of the Harmonized System).
const CLASSES: usize = 97;
/// One series in so many has an event in its last month.
const EVENT_EVERY: usize = 5_000;

/// What was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Screening {
    pub(crate) series: usize,
    months: usize,
    threads: usize,
    pub(crate) rebuild_s: f64,
    pub(crate) new_month_s: f64,
    points_per_second: f64,
    alarms: usize,
    events_put_in: usize,
    events_found: usize,
    peak_memory_mib: f64,
}

/// A number between 0 and 1 that depends on its place and the seed only (SplitMix64).
fn noise(seed: u64, series: usize, month: usize) -> f64 {
    let mut x = seed ^ (((series as u64) << 20) | month as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// An amount: a level, a season, and noise that is nearly normal.
fn amount(series: usize, month: usize) -> f64 {
    let level = 2.0 + 12.0 * noise(1, series, 0);
    let season = 0.2 * (std::f64::consts::TAU * (month as f64 / 12.0 + noise(2, series, 0))).sin();
    let wobble = noise(3, series, month) + noise(4, series, month) + noise(5, series, month) - 1.5;
    (level + season + (0.2 + 0.6 * noise(6, series, 0)) * wobble).exp()
}

fn has_event(series: usize) -> bool {
    series % EVENT_EVERY == 17
}

/// Builds the state of all series from their histories, then takes in one more month.
pub(crate) fn run(threads: usize) -> anyhow::Result<Screening> {
    let rule = Rule {
        false_discovery_rate: Some(0.1),
        ..Rule::named("robust-36").ok_or_else(|| anyhow::anyhow!("the rule robust-36 is missing"))?
    };
    let count = ITEMS * PARTNERS * FLOWS;
    let classes = (0..count).map(|s| (s / (PARTNERS * FLOWS) % CLASSES) as u16).collect();
    // Pooled over flows: the same item and partner.
    let pools = (0..count).map(|s| (s / FLOWS) as u32).collect();
    let start = Instant::now();
    let mut fleet = Fleet::rebuild(&rule, classes, pools, MONTHS + 1, threads, |series, out| {
        out.extend((0..MONTHS).map(|month| amount(series, month)));
    });
    let rebuild_s = start.elapsed().as_secs_f64();
    let last: Vec<f64> =
        (0..count).map(|s| amount(s, MONTHS) * if has_event(s) { 0.002 } else { 1.0 }).collect();
    let start = Instant::now();
    let found = fleet.month(&last, threads);
    let new_month_s = start.elapsed().as_secs_f64();
    Ok(Screening {
        series: count,
        months: MONTHS,
        threads,
        rebuild_s,
        new_month_s,
        points_per_second: (count * MONTHS) as f64 / rebuild_s,
        alarms: found.alarms.len(),
        events_put_in: (0..count).filter(|s| has_event(*s)).count(),
        events_found: found.alarms.iter().filter(|a| has_event(a.series)).count(),
        peak_memory_mib: super::limits::peak_memory_mib(),
    })
}

impl Screening {
    /// What is to be said beside the times.
    pub(crate) fn remark(&self) -> String {
        format!(
            "B3: {:.2} million points a second in the rebuild; {} of {} events found that were put in, among {} alarms; \
             peak memory {:.0} MiB.",
            self.points_per_second / 1e6,
            self.events_found,
            self.events_put_in,
            self.alarms,
            self.peak_memory_mib
        )
    }
}
