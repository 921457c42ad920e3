//! Withdrawal: what a complete release no longer has.
//!
//! Only the operator can say that files are complete ([`super::Options::complete`]): a file that is a
//! selection of items looks the same. A withdrawn number is a revision without any amount; as of
//! its day and later the period is not reported, earlier it is what it was.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter};
use std::sync::Arc;

use super::scan::visible;
use super::segment::{Group, SegmentWriter, StoredCell};
use super::{ImportReport, Options, StoredKey, day};
use crate::series::{Flow, Observation};

/// Source, reporter, flow, annual and period of which the files have a row.
pub(super) type Released = BTreeSet<(Arc<str>, Arc<str>, Flow, bool, u16)>;

/// What a row for a period is part of.
pub(super) fn release_of(key: &StoredKey, period: u16) -> (Arc<str>, Arc<str>, Flow, bool, u16) {
    (Arc::clone(&key.key.source), Arc::clone(&key.key.reporter), key.key.flow, key.annual, period)
}

/// The numbers of a series that a complete release no longer has, as cells without amounts; `had` are
/// the periods for which it has a row of the series.
pub(super) fn withdrawn(
    key: &StoredKey,
    held: &[StoredCell],
    had: &BTreeSet<u16>,
    released: &Released,
    options: &Options,
) -> Vec<StoredCell> {
    let day = day(options.released.unwrap_or(options.received));
    let periods = held.chunk_by(|a, b| a.period == b.period);
    let gone = periods.filter_map(|cells| {
        let period = cells.first()?.period;
        let known = visible(cells, day).is_some_and(|cell| !cell.is_withdrawn());
        let gone = known && !had.contains(&period) && released.contains(&release_of(key, period));
        let revision = u32::try_from(cells.len()).unwrap_or(u32::MAX);
        gone.then(|| StoredCell { period, released: day, revision, observation: Observation::default() })
    });
    gone.collect()
}

/// Withdraws from a series of which the files have nothing.
pub(super) fn withdraw_all(
    group: Group,
    released: &Released,
    options: &Options,
    report: &mut ImportReport,
    writer: &mut SegmentWriter<BufWriter<File>>,
) -> io::Result<()> {
    let Group { key, cells: held } = group;
    let cells = withdrawn(&key, &held, &BTreeSet::new(), released, options);
    report.withdrawn += cells.len() as u64;
    if cells.is_empty() { Ok(()) } else { writer.put(&Group { key, cells }) }
}
