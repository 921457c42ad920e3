//! Screening of very many series at once, with their state kept: a new month costs a fraction of a
//! second, because nothing before it is looked at again.
//!
//! Per series: the last months (robust z), two cumulative sums, the run lengths of the change-point
//! detector. Per class of product: the tail of all scores so far. The scores are those that
//! [`super::scan`] gives for the same rule, without a holiday.

use std::collections::BTreeMap;

use crate::detect::bocpd::{Bocpd, Prepared, Runs};
use crate::detect::cusum::{Cusum, Sums};
use crate::detect::evt::LargeTail;
use crate::detect::fdr;
use crate::detect::robust::{Score, Window};

use super::{Direction, Rule, passes};

/// Scores below this are not kept for the tail; the body is counted.
const KEPT_FROM: f32 = 1.5;

/// One series' state.
#[derive(Clone, Debug)]
struct State {
    window: Window,
    sums: Sums,
    runs: Runs,
    new_regime: f64,
}

/// Scores of a class of product so far, of one sign.
#[derive(Clone, Debug, Default)]
struct Sketch {
    count: usize,
    /// Those above [`KEPT_FROM`], sorted.
    large: Vec<f32>,
    /// Those that are not sorted in yet.
    fresh: Vec<f32>,
}

/// The state of all series.
#[derive(Debug)]
pub struct Fleet {
    rule: Rule,
    prepared: Prepared,
    states: Vec<State>,
    /// The class of each series.
    classes: Vec<u16>,
    /// The place in `pools` of the pool (exporter and item) of each series.
    pool_of: Vec<u32>,
    /// The pools, sorted.
    pools: Vec<u32>,
    sketches: Vec<[Sketch; 2]>,
}

/// What stands out in a month.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FleetAlarm {
    /// The series, by its number.
    pub series: usize,
    /// Which way.
    pub direction: Direction,
    /// How far.
    pub score: Score,
    /// How rare in its class.
    pub p: Option<f64>,
    /// The rate of false alarms at which it is one.
    pub q: Option<f64>,
    /// Cumulative sums.
    pub sums: Sums,
    /// The probability of a new regime.
    pub new_regime: f64,
}

/// A month's screening.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetMonth {
    /// How many series were judged.
    pub judged: usize,
    /// What stands out.
    pub alarms: Vec<FleetAlarm>,
    /// Stouffer's pooled score by pool number.
    pub pooled: BTreeMap<u32, f64>,
}

impl Fleet {
    /// Builds the state from whole histories on `threads` threads. `amounts` writes the amounts of
    /// a series, oldest first, into the vector it is given; a month that is not a number was not
    /// reported.
    pub fn rebuild(
        rule: &Rule,
        classes: Vec<u16>,
        pools: Vec<u32>,
        months_max: usize,
        threads: usize,
        amounts: impl Fn(usize, &mut Vec<f64>) + Sync,
    ) -> Self {
        let prepared = Prepared::new(Bocpd::default(), months_max);
        let count = classes.len().min(pools.len());
        let class_count = classes.iter().map(|c| usize::from(*c) + 1).max().unwrap_or(0);
        let share = count.div_ceil(threads.max(1)).max(1);
        let work = |from: usize| {
            let mut states = Vec::with_capacity(share);
            let mut sketches: Vec<[Sketch; 2]> = vec![Default::default(); class_count];
            let (mut history, mut scratch) = (Vec::new(), Runs::default());
            for (series, class) in classes.iter().enumerate().take(count).skip(from).take(share) {
                history.clear();
                amounts(series, &mut history);
                let mut state = State {
                    window: Window::new(rule.robust()),
                    sums: Sums::default(),
                    runs: std::mem::take(&mut scratch),
                    new_regime: 0.0,
                };
                prepared.restart(&mut state.runs);
                for amount in &history {
                    let score = state.step(&prepared, *amount);
                    if let (Some(score), Some(sketch)) = (score, sketches.get_mut(usize::from(*class))) {
                        note(sketch, score.z);
                    }
                }
                // What is kept has little spare room; the scratch goes on with its own.
                let kept = state.runs.kept_small();
                scratch = std::mem::replace(&mut state.runs, kept);
                states.push(state);
            }
            (states, sketches)
        };
        let parts: Vec<_> = std::thread::scope(|scope| {
            let work = &work;
            let running: Vec<_> =
                (0..count).step_by(share).map(|from| (from, scope.spawn(move || work(from)))).collect();
            // A thread that could not finish is no reason to lose its share.
            running.into_iter().map(|(from, t)| t.join().unwrap_or_else(|_| work(from))).collect()
        });
        let mut states = Vec::with_capacity(count);
        let mut sketches: Vec<[Sketch; 2]> = vec![Default::default(); class_count];
        for (part, found) in parts {
            states.extend(part);
            for (all, one) in sketches.iter_mut().zip(found) {
                for (all, one) in all.iter_mut().zip(one) {
                    all.count += one.count;
                    all.fresh.extend(one.fresh);
                }
            }
        }
        settle(&mut sketches, threads);
        let mut known = pools.clone();
        known.sort_unstable();
        known.dedup();
        let place = |pool: &u32| known.partition_point(|k| k < pool) as u32;
        let pool_of = pools.iter().map(place).collect();
        Self { rule: rule.clone(), prepared, states, classes, pool_of, pools: known, sketches }
    }

    /// Judges a new month; `amounts` has one place per series.
    pub fn month(&mut self, amounts: &[f64], threads: usize) -> FleetMonth {
        let share = self.states.len().div_ceil(threads.max(1)).max(1);
        let prepared = &self.prepared;
        let scores: Vec<Option<Score>> = std::thread::scope(|scope| {
            let parts = self.states.chunks_mut(share).zip(amounts.chunks(share));
            let step = |(states, amounts): (&mut [State], &[f64])| -> Vec<Option<Score>> {
                states.iter_mut().zip(amounts).map(|(s, a)| s.step(prepared, *a)).collect()
            };
            let running: Vec<_> = parts.map(|part| scope.spawn(move || step(part))).collect();
            running.into_iter().flat_map(|t| t.join().unwrap_or_default()).collect()
        });
        let p_values = p_values(&self.sketches, &scores, &self.classes, threads);
        let q_values = fdr::adjusted(&p_values);
        let mut alarms = Vec::new();
        let mut sums = vec![(0.0, 0_u32); self.pools.len()];
        for (series, score) in scores.iter().enumerate() {
            let Some(score) = score else { continue };
            if let Some((sum, n)) = self.pool_of.get(series).and_then(|p| sums.get_mut(*p as usize)) {
                *sum += score.z;
                *n += 1;
            }
            if let Some(sketch) =
                self.classes.get(series).and_then(|c| self.sketches.get_mut(usize::from(*c)))
            {
                note(sketch, score.z);
            }
            let Some(direction) = passes(score, &self.rule) else { continue };
            let at = |values: &[Option<f64>]| values.get(series).copied().flatten();
            let (p, q) = (at(&p_values), at(&q_values));
            if self.rule.silences(q) {
                continue;
            }
            let Some(state) = self.states.get(series) else { continue };
            let (sums, new_regime) = (state.sums, state.new_regime);
            alarms.push(FleetAlarm { series, direction, score: *score, p, q, sums, new_regime });
        }
        settle(&mut self.sketches, threads);
        let pooled = self.pools.iter().zip(sums).filter(|(_, (_, n))| *n > 0);
        let pooled = pooled.map(|(pool, (sum, n))| (*pool, sum / f64::from(n).sqrt())).collect();
        FleetMonth { judged: scores.iter().flatten().count(), alarms, pooled }
    }
}

impl State {
    fn step(&mut self, prepared: &Prepared, amount: f64) -> Option<Score> {
        let reported = (!amount.is_nan()).then_some(amount);
        let score = reported.and_then(|a| self.window.judge(a));
        self.window.push(reported);
        if let Some(score) = score {
            self.sums = Cusum::default().step_anew(self.sums, score.z);
            self.new_regime = prepared.push(&mut self.runs, score.z);
        }
        score
    }
}

fn note([down, up]: &mut [Sketch; 2], z: f64) {
    for (sketch, z) in [(down, -z as f32), (up, z as f32)] {
        sketch.count += 1;
        if z > KEPT_FROM {
            sketch.fresh.push(z);
        }
    }
}

/// Sorts in what came since the last time.
fn settle(sketches: &mut [[Sketch; 2]], threads: usize) {
    let share = sketches.len().div_ceil(threads.max(1)).max(1);
    std::thread::scope(|scope| {
        for part in sketches.chunks_mut(share) {
            scope.spawn(|| part.iter_mut().flatten().for_each(Sketch::settle));
        }
    });
}

/// The two-sided p-value of each score in its class of product.
fn p_values(
    sketches: &[[Sketch; 2]],
    scores: &[Option<Score>],
    classes: &[u16],
    threads: usize,
) -> Vec<Option<f64>> {
    let tails: Vec<[Option<LargeTail<'_>>; 2]> =
        in_parts(sketches, threads, |part| part.iter().map(|[down, up]| [down.tail(), up.tail()]).collect());
    let rarity = |(score, class): &(Option<Score>, u16)| {
        let z = (*score)?.z;
        let [down, up] = tails.get(usize::from(*class))?;
        let tail = if z < 0.0 { down.as_ref()? } else { up.as_ref()? };
        Some((2.0 * tail.p_value(z.abs())).min(1.0))
    };
    let tests: Vec<(Option<Score>, u16)> = scores.iter().copied().zip(classes.iter().copied()).collect();
    in_parts(&tests, threads, |part| part.iter().map(rarity).collect())
}

/// Works on parts of a list on several threads; what comes out is in the order of the list.
fn in_parts<'a, T: Sync, U: Send>(
    list: &'a [T],
    threads: usize,
    work: impl Fn(&'a [T]) -> Vec<U> + Sync,
) -> Vec<U> {
    let share = list.len().div_ceil(threads.max(1)).max(1);
    std::thread::scope(|scope| {
        let work = &work;
        let parts = list.chunks(share).map(|part| (part, scope.spawn(move || work(part))));
        let running: Vec<_> = parts.collect();
        // A thread that could not finish is no reason to lose its part.
        running.into_iter().flat_map(|(part, t)| t.join().unwrap_or_else(|_| work(part))).collect()
    })
}

impl Sketch {
    /// Merges the fresh values into the sorted ones, from the largest down.
    fn settle(&mut self) {
        let mut fresh = std::mem::take(&mut self.fresh);
        fresh.sort_unstable_by(f32::total_cmp);
        if self.large.is_empty() {
            fresh.shrink_to_fit();
            self.large = fresh;
            return;
        }
        let mut old = self.large.len();
        self.large.reserve_exact(fresh.len());
        self.large.extend_from_slice(&fresh);
        let mut to = self.large.len();
        while let Some(value) = fresh.last().copied() {
            to -= 1;
            let before = old.checked_sub(1).and_then(|at| self.large.get(at)).copied();
            let largest = match before.filter(|before| *before > value) {
                Some(before) => {
                    old -= 1;
                    before
                }
                None => {
                    fresh.pop();
                    value
                }
            };
            if let Some(place) = self.large.get_mut(to) {
                *place = largest;
            }
        }
    }

    /// The tail: what was not kept counts as small.
    fn tail(&self) -> Option<LargeTail<'_>> {
        LargeTail::of_sorted(&self.large, self.count, f64::from(KEPT_FROM), 0.98)
    }
}
