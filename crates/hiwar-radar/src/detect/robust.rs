//! The robust z: how far a month lies from the middle of the months before it, in units of their
//! usual spread.
//!
//! With `y = ln(v + offset)`, the middle `m` is the median of `y` over the `months` before, the
//! spread `s = max(1.4826 · MAD, floor)` (MAD: median absolute deviation from `m`; 1.4826 makes it
//! the standard deviation of a normal distribution, Rousseeuw and Croux 1993), and
//! `z = (y − m) / s`. It always comes with the ratio `v / exp(m)`, since in a quiet series a small
//! change is many spreads. The floor keeps series that hardly move from alarming at nothing.

use std::collections::VecDeque;

/// The rule's numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RobustZ {
    /// How many months before count; all of them must be reported.
    pub months: usize,
    /// Added to every amount before the logarithm, in the amount's unit.
    pub offset: f64,
    /// Smallest spread, in units of the natural logarithm.
    pub floor: f64,
}

/// What the rule says of one month.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Distance from the middle, in spreads; negative below.
    pub z: f64,
    /// The amount divided by the middle.
    pub ratio: f64,
    /// The middle of the months before, in the amount's unit.
    pub middle: f64,
    /// The spread, in units of the natural logarithm.
    pub spread: f64,
}

impl Default for RobustZ {
    /// 36 months, an offset of 1 and a floor of 0.12.
    fn default() -> Self {
        Self { months: 36, offset: 1.0, floor: 0.12 }
    }
}

/// The last months of a series, kept sorted, so that each further month costs O(window).
#[derive(Clone, Debug)]
pub struct Window {
    rule: RobustZ,
    recent: VecDeque<f64>,
    sorted: Vec<f64>,
}

impl Window {
    /// An empty window.
    pub fn new(rule: RobustZ) -> Self {
        Self { rule, recent: VecDeque::with_capacity(rule.months), sorted: Vec::with_capacity(rule.months) }
    }

    /// Judges an amount by the months before it; absent until the window is full.
    pub fn judge(&self, amount: f64) -> Option<Score> {
        if self.recent.len() < self.rule.months || self.rule.months == 0 {
            return None;
        }
        let middle = median(&self.sorted)?;
        let spread = (1.4826 * median_distance(&self.sorted, middle)?).max(self.rule.floor);
        let y = (amount + self.rule.offset).ln();
        let middle_amount = middle.exp();
        Some(Score { z: (y - middle) / spread, ratio: amount / middle_amount, middle: middle_amount, spread })
    }

    /// Takes in a month. A month that was not reported empties the window: what lies across a gap
    /// is not "the months before".
    pub fn push(&mut self, amount: Option<f64>) {
        let Some(amount) = amount else {
            self.recent.clear();
            self.sorted.clear();
            return;
        };
        let y = (amount + self.rule.offset).ln();
        if self.recent.len() == self.rule.months
            && let Some(oldest) = self.recent.pop_front()
        {
            let at = self.sorted.partition_point(|v| *v < oldest);
            if at < self.sorted.len() {
                self.sorted.remove(at);
            }
        }
        let at = self.sorted.partition_point(|v| *v < y);
        self.sorted.insert(at, y);
        self.recent.push_back(y);
    }
}

/// Scores of all months of a series.
pub fn scores(rule: RobustZ, amounts: &[Option<f64>]) -> Vec<Option<Score>> {
    let mut window = Window::new(rule);
    amounts
        .iter()
        .map(|amount| {
            let score = amount.and_then(|a| window.judge(a));
            window.push(*amount);
            score
        })
        .collect()
}

/// The median of sorted values.
pub fn median(sorted: &[f64]) -> Option<f64> {
    let half = sorted.len() / 2;
    let upper = *sorted.get(half)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(*sorted.get(half.checked_sub(1)?)?, upper))
}

/// The median of the distances of sorted values from `middle`: walks outwards from it on both
/// sides, O(n).
fn median_distance(sorted: &[f64], middle: f64) -> Option<f64> {
    let split = sorted.partition_point(|v| *v < middle);
    let (below, above) = sorted.split_at_checked(split)?;
    let mut below = below.iter().rev().map(|v| middle - v).peekable();
    let mut above = above.iter().map(|v| v - middle).peekable();
    let mut next = || match (below.peek(), above.peek()) {
        (Some(b), Some(a)) if b <= a => below.next(),
        (Some(_), None) => below.next(),
        _ => above.next(),
    };
    let half = sorted.len() / 2;
    let mut before = None;
    for _ in 0..half {
        before = next();
    }
    let at_half = next()?;
    if sorted.len() % 2 == 1 { Some(at_half) } else { Some(f64::midpoint(before?, at_half)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(values: &[f64], amount: f64, rule: RobustZ) -> (f64, f64) {
        let mut y: Vec<f64> = values.iter().map(|v| (v + rule.offset).ln()).collect();
        y.sort_by(f64::total_cmp);
        let m = median(&y).unwrap();
        let mut d: Vec<f64> = y.iter().map(|v| (v - m).abs()).collect();
        d.sort_by(f64::total_cmp);
        let s = (1.4826 * median(&d).unwrap()).max(rule.floor);
        (((amount + rule.offset).ln() - m) / s, amount / m.exp())
    }

    proptest! {
        #[test]
        fn the_sliding_window_judges_as_the_definition_does(
            values in proptest::collection::vec(0.0f64..1e7, 8..60),
            months in 2usize..8,
        ) {
            let rule = RobustZ { months, ..RobustZ::default() };
            let amounts: Vec<Option<f64>> = values.iter().copied().map(Some).collect();
            for (t, score) in scores(rule, &amounts).into_iter().enumerate() {
                if t < months {
                    prop_assert!(score.is_none());
                    continue;
                }
                let (z, ratio) = naive(&values[t - months..t], values[t], rule);
                let score = score.unwrap();
                prop_assert!((score.z - z).abs() < 1e-9 && (score.ratio - ratio).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn a_gap_empties_the_window() {
        let rule = RobustZ { months: 2, ..RobustZ::default() };
        let scored = scores(rule, &[Some(1.0), Some(1.0), None, Some(1.0), Some(1.0), Some(9.0)]);
        assert_eq!(
            scored.iter().map(Option::is_some).collect::<Vec<_>>(),
            [false, false, false, false, false, true]
        );
    }
}
