//! The same item from the same exporter at several importers: what one importer takes for its own
//! trouble may be everybody's, or the other way round.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Alarm, Direction};
use crate::series::{Flow, SeriesKey};

/// The scores of one exporter's item at all importers (Stouffer and others 1949):
/// `S = Σ zᵢ / √n`. On trade data it is far more spread than a normal variable, because importers
/// share seasons and delays of reporting; compare it with its own past only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// The exporter.
    pub exporter: Arc<str>,
    /// The item.
    pub item: Arc<str>,
    /// How many importers are in it.
    pub importers: usize,
    /// The pooled score.
    pub stouffer: f64,
    /// How many of them alarm, and which way.
    pub drops: usize,
    /// As above.
    pub surges: usize,
}

/// Who sends what to whom, whoever reports it.
pub fn exporter_of(key: &SeriesKey) -> (&Arc<str>, &Arc<str>) {
    match key.flow {
        Flow::Import => (&key.partner, &key.reporter),
        Flow::Export => (&key.reporter, &key.partner),
    }
}

/// Pools scores by exporter and item; `scores` are those of one month.
pub fn pools<'a>(scores: impl Iterator<Item = (&'a SeriesKey, f64)>, alarms: &[Alarm]) -> Vec<Pool> {
    let mut sums: BTreeMap<(Arc<str>, Arc<str>), (f64, usize)> = BTreeMap::new();
    for (key, z) in scores {
        let (exporter, _) = exporter_of(key);
        let entry = sums.entry((exporter.clone(), key.item.clone())).or_insert((0.0, 0));
        entry.0 += z;
        entry.1 += 1;
    }
    sums.into_iter()
        .map(|((exporter, item), (sum, importers))| {
            let of = |direction| {
                let same = |a: &&Alarm| {
                    a.direction == direction && a.series.item == item && *exporter_of(&a.series).0 == exporter
                };
                alarms.iter().filter(same).count()
            };
            let (drops, surges) = (of(Direction::Drop), of(Direction::Surge));
            Pool { exporter, item, importers, stouffer: sum / (importers as f64).sqrt(), drops, surges }
        })
        .collect()
}
