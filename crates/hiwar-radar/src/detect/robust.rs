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

/// Scores of months by what was expected of each, instead of by a plain middle.
///
/// `expected` is given the logarithms `ln(v + offset)` of the consecutive months before a month and
/// says what it expects of it, on the same scale. The spread is `max(1.4826 · median|e|, floor)`
/// over the errors `e` of the `months` expectations before; it is taken from zero, not from the
/// middle of the errors, so that expectations that have been wrong one way for long count as
/// wrong. Only the `last` months are scored: an expectation may be dear.
pub fn of_expected(
    rule: RobustZ,
    amounts: &[Option<f64>],
    last: usize,
    expected: impl Fn(&[f64]) -> Option<f64>,
) -> Vec<Option<Score>> {
    let begin = amounts.len().saturating_sub(last.saturating_add(rule.months));
    let mut before: Vec<f64> = Vec::with_capacity(amounts.len());
    let mut errors: VecDeque<f64> = VecDeque::with_capacity(rule.months);
    let mut scores = Vec::with_capacity(amounts.len());
    for (t, amount) in amounts.iter().enumerate() {
        let Some(amount) = *amount else {
            before.clear();
            errors.clear();
            scores.push(None);
            continue;
        };
        let y = (amount + rule.offset).ln();
        let middle = if t < begin { None } else { expected(&before) };
        before.push(y);
        let Some(middle) = middle else {
            errors.clear();
            scores.push(None);
            continue;
        };
        scores.push(score_of_error(rule, &errors, amount, y, middle));
        if errors.len() == rule.months {
            errors.pop_front();
        }
        errors.push_back((y - middle).abs());
    }
    scores
}

fn score_of_error(rule: RobustZ, errors: &VecDeque<f64>, amount: f64, y: f64, middle: f64) -> Option<Score> {
    if errors.len() < rule.months {
        return None;
    }
    let mut sorted: Vec<f64> = errors.iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    let spread = (1.4826 * median(&sorted)?).max(rule.floor);
    let middle_amount = middle.exp();
    Some(Score { z: (y - middle) / spread, ratio: amount / middle_amount, middle: middle_amount, spread })
}

/// The middle of a calendar month and its two neighbours in the three years before: the median of
/// nine logarithms. Absent with less than 37 months before.
pub fn same_months(before: &[f64]) -> Option<f64> {
    let mut nine = Vec::with_capacity(9);
    for years in 1..=3 {
        for neighbour in [1, 0, -1] {
            nine.push(*before.get(before.len().checked_add_signed(neighbour - 12 * years)?)?);
        }
    }
    nine.sort_by(f64::total_cmp);
    median(&nine)
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
    fn the_middle_of_the_same_months_is_the_median_of_nine() {
        // Months are numbered by age: 1 is last month. Wanted: 11 to 13, 23 to 25, 35 to 37.
        let before: Vec<f64> = (1..=40).rev().map(f64::from).collect();
        assert_eq!(same_months(&before), Some(24.0));
        let mut changed = before.clone();
        for age in [1, 10, 14, 22, 26, 34, 38] {
            changed[40 - age] = 1e9;
        }
        assert_eq!(same_months(&changed), Some(24.0), "other months do not count");
        assert_eq!(same_months(&before[4..]), None, "36 months are one too few");
    }

    #[test]
    fn a_season_that_comes_every_year_is_no_alarm_by_its_own_months() {
        let season = |t: usize| if t % 12 == 7 { 1e4 } else { 1e6 * (1.0 + 0.05 * (t % 5) as f64) };
        let amounts: Vec<Option<f64>> = (0..120).map(|t| Some(season(t))).collect();
        let august = 115;
        let rule = RobustZ::default();
        let plain = scores(rule, &amounts)[august].unwrap();
        let seasonal =
            of_expected(rule, &amounts, usize::MAX, |before| super::super::stl::expected(before, 13))[august]
                .unwrap();
        assert!(plain.z < -20.0 && seasonal.z.abs() < 2.0, "{plain:?} {seasonal:?}");
        // The neighbours outvote one odd month: nine values do not make a season of one month.
        let nine = of_expected(rule, &amounts, usize::MAX, same_months)[august].unwrap();
        assert!(nine.z < -20.0, "{nine:?}");
    }

    #[test]
    fn expectations_need_as_many_errors_before_as_the_window_and_no_gap() {
        let rule = RobustZ { months: 2, ..RobustZ::default() };
        let amounts = [1.0, 2.0, 4.0, 8.0, 16.0].map(Some);
        let last = |before: &[f64]| before.last().copied();
        let scored = of_expected(rule, &amounts, 5, last);
        assert_eq!(scored.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, false, true, true]);
        // Errors of months 1 and 2 are ln 1.5 and ln(5/3); month 3 errs by ln(9/5).
        let spread = 1.4826 * f64::midpoint(1.5f64.ln(), (5.0f64 / 3.0).ln());
        let third = scored[3].unwrap();
        assert!((third.spread - spread).abs() < 1e-12 && (third.z - 1.8f64.ln() / spread).abs() < 1e-12);
        assert_eq!(of_expected(rule, &amounts, 1, last)[4], scored[4], "a shorter past says the same");
        let gap = [Some(1.0), None, Some(4.0), Some(8.0), Some(16.0)];
        assert_eq!(of_expected(rule, &gap, 5, last)[4], None);
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
