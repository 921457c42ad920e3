//! Pooling: what all importers of one exporter's item say together.
//!
//! Stouffer's `S = Σ z / √n` over the series of one exporter and one six-digit item. It is *not*
//! N(0, 1): importers share seasons, holidays and late reports, and on real trade its standard
//! deviation is about 2.5. So each scan holds it against the same sums of the months before, over
//! all pools: their standard deviation, their quantiles, and a tail ([`Tail`]) that gives p-values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Direction;
use crate::detect::evt::Tail;
use crate::detect::fdr;
use crate::items::six_digits;
use crate::series::{Flow, SeriesKey};

/// Fewest importers of a pool.
pub const IMPORTERS_MIN: usize = 2;
/// A series counts with at most so many spreads, so that one that comes from nothing does not speak
/// for its pool: our own cut.
pub const Z_MAX: f64 = 10.0;

/// What importers of one exporter's item say together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// The source.
    pub source: Arc<str>,
    /// Who reports: the importers, or the exporter.
    pub flow: Flow,
    /// Who exports.
    pub exporter: Arc<str>,
    /// The item: its first six digits, or its name.
    pub item: Arc<str>,
    /// How many importers.
    pub importers: usize,
    /// How many series.
    pub series: usize,
    /// Which way.
    pub direction: Direction,
    /// Stouffer's sum.
    pub s: f64,
    /// How rare such a sum is among those of the months before, both ways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    /// The smallest share of false ones among this month's at which it is still one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<f64>,
}

/// The pools of a month.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pooled {
    /// Pools judged.
    pub judged: usize,
    /// Sums of the months before they are held against.
    pub reference: usize,
    /// Standard deviation of those; 1 if importers were independent.
    pub deviation: f64,
    /// Their 1 % quantile.
    pub low: f64,
    /// Their 99 % quantile.
    pub high: f64,
    /// The pools beyond a quantile (and within the rule's share of false alarms, if it has one), the
    /// farthest first.
    pub standing_out: Vec<Pool>,
}

/// A series of a pool with its distances, the newest last; the last is this month's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'a> {
    pub(super) key: &'a SeriesKey,
    pub(super) z: &'a [Option<f64>],
}

type PoolKey<'a> = (&'a Arc<str>, Flow, &'a Arc<str>, Arc<str>);

/// Pools the series of a month; absent when there are no pools or not enough months before to say
/// what is usual.
pub(super) fn pooled(members: &[Member<'_>], rate: Option<f64>) -> Option<Pooled> {
    let mut pools: BTreeMap<PoolKey<'_>, Vec<Member<'_>>> = BTreeMap::new();
    for member in members {
        let (exporter, _) = member.key.exporter_and_importer();
        let key = (&member.key.source, member.key.flow, exporter, six_digits(&member.key.item));
        pools.entry(key).or_default().push(*member);
    }
    let mut reference = Vec::new();
    let mut now = Vec::new();
    for (key, members) in &pools {
        let longest = members.iter().map(|m| m.z.len()).max().unwrap_or(0);
        reference.extend((1..longest).filter_map(|age| Some(sum(members, age)?.0)));
        if let Some((s, series, importers)) = sum(members, 0) {
            now.push((key, s, series, importers));
        }
    }
    let down = Tail::fit(reference.iter().map(|s| -s).collect(), 0.98)?;
    let up = Tail::fit(reference.clone(), 0.98)?;
    reference.sort_by(f64::total_cmp);
    let (low, high) = (quantile(&reference, 0.01)?, quantile(&reference, 0.99)?);
    let p_values: Vec<Option<f64>> = now
        .iter()
        .map(|(_, s, ..)| Some((2.0 * if *s < 0.0 { &down } else { &up }.p_value(s.abs())).min(1.0)))
        .collect();
    let q_values = fdr::adjusted(&p_values);
    let mut standing_out = Vec::new();
    for (((key, s, series, importers), p), q) in now.iter().zip(p_values).zip(q_values) {
        let kept = rate.is_none_or(|rate| q.is_some_and(|q| q <= rate));
        if !kept || (low..=high).contains(s) {
            continue;
        }
        let (source, flow, exporter, item) = key;
        standing_out.push(Pool {
            source: Arc::clone(source),
            flow: *flow,
            exporter: Arc::clone(exporter),
            item: Arc::clone(item),
            importers: *importers,
            series: *series,
            direction: if *s < 0.0 { Direction::Drop } else { Direction::Surge },
            s: *s,
            p,
            q,
        });
    }
    standing_out.sort_by(|a, b| b.s.abs().total_cmp(&a.s.abs()));
    let count = reference.len() as f64;
    let mean = reference.iter().sum::<f64>() / count;
    let deviation = (reference.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
    Some(Pooled { judged: now.len(), reference: reference.len(), deviation, low, high, standing_out })
}

/// Stouffer's sum of a month so many months ago, with the number of series and of importers.
fn sum(members: &[Member<'_>], age: usize) -> Option<(f64, usize, usize)> {
    let (mut total, mut series) = (0.0, 0);
    let mut importers: BTreeSet<&str> = BTreeSet::new();
    for member in members {
        let at = member.z.len().checked_sub(age + 1);
        let Some(z) = at.and_then(|at| *member.z.get(at)?) else { continue };
        total += z.clamp(-Z_MAX, Z_MAX);
        series += 1;
        importers.insert(member.key.exporter_and_importer().1);
    }
    (importers.len() >= IMPORTERS_MIN)
        .then(|| (total / f64::from(series).sqrt(), series as usize, importers.len()))
}

/// A quantile of sorted values, by linear interpolation (type 7 of Hyndman and Fan 1996).
fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let place = (sorted.len().checked_sub(1)? as f64) * q;
    let below = place.floor();
    let (a, b) = (sorted.get(below as usize)?, sorted.get(place.ceil() as usize)?);
    Some(a + (b - a) * (place - below))
}

impl std::fmt::Display for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} from {} ({}): {} importers together {:+.1}",
            self.item, self.exporter, self.source, self.importers, self.s
        )?;
        if let (Some(p), Some(q)) = (self.p, self.q) {
            write!(f, ", p {p:.1e} among the months before, q {q:.1e} over the month")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(item: usize, partner: usize) -> SeriesKey {
        SeriesKey {
            source: "test".into(),
            reporter: "JP".into(),
            partner: format!("{partner}").into(),
            item: format!("{item:06}").into(),
            flow: Flow::Export,
        }
    }

    /// Importers that share a common part of their distances, as real ones do.
    fn shared(item: usize, partner: usize, month: usize) -> f64 {
        let common = ((item * 37 + month * 101) % 199) as f64 / 99.0 - 1.0;
        let own = ((item * 53 + partner * 71 + month * 17) % 211) as f64 / 105.0 - 1.0;
        1.5 * common + own
    }

    #[test]
    fn sums_are_held_against_those_of_before_and_not_against_a_normal_distribution() {
        let keys: Vec<SeriesKey> = (0..160).map(|n| key(n / 8, n % 8)).collect();
        let fallen = 7;
        let z: Vec<Vec<Option<f64>>> = (0..160)
            .map(|n| {
                let quiet = 0.5 * shared(n / 8, n % 8, 60);
                let last = if n / 8 == fallen { -6.0 } else { quiet };
                (0..60).map(|m| Some(shared(n / 8, n % 8, m))).chain([Some(last)]).collect()
            })
            .collect();
        let members: Vec<Member<'_>> =
            keys.iter().zip(&z).map(|(key, z)| Member { key, z: z.as_slice() }).collect();
        let found = pooled(&members, Some(0.1)).unwrap();
        assert_eq!((found.judged, found.reference), (20, 1200));
        assert!(found.deviation > 2.0, "over-dispersed: {}", found.deviation);
        assert_eq!(found.standing_out.len(), 1, "{found:?}");
        let pool = &found.standing_out[0];
        assert_eq!((&*pool.item, pool.importers, pool.direction), ("000007", 8, Direction::Drop));
        assert!((pool.s - -6.0 * 8f64.sqrt()).abs() < 1e-9);
        // Sums that would come once in ten thousand times if they were N(0, 1) come in a hundred.
        let usual = found.low.abs().min(found.high);
        assert!(usual > 3.9, "{found:?}");
    }

    #[test]
    fn one_importer_is_no_pool_and_few_months_say_nothing() {
        let keys: Vec<SeriesKey> = (0..4).map(|n| key(n, 0)).collect();
        let z = vec![Some(0.0); 300];
        let alone: Vec<Member<'_>> = keys.iter().map(|key| Member { key, z: &z }).collect();
        assert_eq!(pooled(&alone, None), None);
        let pair = [key(1, 0), key(1, 1)];
        let few: Vec<Member<'_>> = pair.iter().map(|key| Member { key, z: &z[..50] }).collect();
        assert_eq!(pooled(&few, None), None);
    }
}
