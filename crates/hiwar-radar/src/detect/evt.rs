//! The tail of what has been seen (Pickands 1975; SPOT: Siffer and others 2017): how rare a value
//! is that is larger than nearly all before.
//!
//! Excesses over the 98 % quantile `u` of pooled values follow a generalised Pareto distribution
//! `P(X > u + e) = (N_u / n) · (1 + γ e / σ)^(−1/γ)`. It is fitted by probability-weighted moments
//! (Hosking and Wallis 1987), which needs no iteration. At least 200 pooled values are required:
//! pool by class of product, not by series.

/// Fewest pooled values.
pub const POOLED_MIN: usize = 200;

/// A fitted upper tail.
#[derive(Clone, Debug, PartialEq)]
pub struct Tail {
    /// The values, sorted: below the threshold they speak for themselves.
    sorted: Vec<f64>,
    /// The threshold.
    pub threshold: f64,
    /// How many values are above it.
    pub excesses: usize,
    /// Shape; positive is heavier than exponential.
    pub gamma: f64,
    /// Scale, in the unit of the values.
    pub sigma: f64,
}

impl Tail {
    /// Fits the tail above the `quantile` (such as 0.98) of pooled values; absent when there are
    /// too few.
    pub fn fit(mut values: Vec<f64>, quantile: f64) -> Option<Self> {
        values.retain(|v| v.is_finite());
        if values.len() < POOLED_MIN {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let place = ((values.len() as f64) * quantile).floor() as usize;
        let threshold = *values.get(place.min(values.len() - 1))?;
        let first = values.partition_point(|v| *v <= threshold);
        let excess: Vec<f64> = values.get(first..)?.iter().map(|v| v - threshold).collect();
        let (gamma, sigma) = moments(&excess)?;
        Some(Self { threshold, excesses: excess.len(), gamma, sigma, sorted: values })
    }

    /// The probability of a value at least this large. Below the threshold it is the share of
    /// pooled values that were, with one added for the value itself.
    pub fn p_value(&self, x: f64) -> f64 {
        if x <= self.threshold {
            let at_least = self.sorted.len() - self.sorted.partition_point(|v| *v < x);
            return share(at_least, self.sorted.len());
        }
        let part = self.excesses as f64 / self.sorted.len() as f64;
        beyond(part, x - self.threshold, (self.gamma, self.sigma))
    }

    /// The value that is passed with probability `q`.
    pub fn quantile(&self, q: f64) -> f64 {
        let share = self.excesses as f64 / self.sorted.len() as f64;
        let r = q / share;
        if self.gamma.abs() < 1e-9 {
            return self.threshold - self.sigma * r.ln();
        }
        self.threshold + self.sigma / self.gamma * (r.powf(-self.gamma) - 1.0)
    }
}

/// As [`Tail`], of values of which only the large ones are kept, sorted, by somebody else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LargeTail<'a> {
    sorted: &'a [f32],
    count: usize,
    threshold: f64,
    excesses: usize,
    gamma: f64,
    sigma: f64,
}

impl<'a> LargeTail<'a> {
    /// Fits the tail above the `quantile` of `count` values, of which `sorted` are those above
    /// `kept_from`. When the quantile lies below that, the tail begins there.
    pub fn of_sorted(sorted: &'a [f32], count: usize, kept_from: f64, quantile: f64) -> Option<Self> {
        if count < POOLED_MIN {
            return None;
        }
        let above = ((count as f64) * (1.0 - quantile)).ceil() as usize;
        let start = sorted.len().saturating_sub(above);
        let threshold = match start.checked_sub(1).and_then(|at| sorted.get(at)) {
            Some(value) => f64::from(*value),
            None => kept_from,
        };
        let excess: Vec<f64> = sorted.get(start..)?.iter().map(|v| f64::from(*v) - threshold).collect();
        let (gamma, sigma) = moments(&excess)?;
        Some(Self { sorted, count, threshold, excesses: excess.len(), gamma, sigma })
    }

    /// As [`Tail::p_value`]. Nothing is known of values that were not kept but that they are
    /// smaller.
    pub fn p_value(&self, x: f64) -> f64 {
        if x > self.threshold {
            let part = self.excesses as f64 / self.count as f64;
            return beyond(part, x - self.threshold, (self.gamma, self.sigma));
        }
        let smallest_kept = self.sorted.first().map_or(f64::INFINITY, |v| f64::from(*v));
        let at_least = if x < smallest_kept {
            self.count
        } else {
            self.sorted.len() - self.sorted.partition_point(|v| f64::from(*v) < x)
        };
        share(at_least, self.count)
    }
}

/// The share of `count` values that are at least as large, with one added for the value itself.
fn share(at_least: usize, count: usize) -> f64 {
    (at_least as f64 + 1.0) / (count as f64 + 1.0)
}

/// The probability of an excess when the share `part` of all values is beyond the threshold.
fn beyond(part: f64, excess: f64, (gamma, sigma): (f64, f64)) -> f64 {
    let scaled = excess / sigma;
    let tail = if gamma.abs() < 1e-9 {
        (-scaled).exp()
    } else {
        let base = 1.0 + gamma * scaled;
        if base <= 0.0 { 0.0 } else { base.powf(-1.0 / gamma) }
    };
    // Nothing is rarer than this sample can tell.
    (part * tail).max(1e-12)
}

/// Shape and scale from the first two probability-weighted moments of sorted excesses.
fn moments(sorted: &[f64]) -> Option<(f64, f64)> {
    let n = sorted.len();
    if n < 4 {
        return None;
    }
    let count = n as f64;
    let a0 = sorted.iter().sum::<f64>() / count;
    let weighted = sorted.iter().enumerate().map(|(i, x)| x * (count - 1.0 - i as f64) / (count - 1.0));
    let a1 = weighted.sum::<f64>() / count;
    let spread = a0 - 2.0 * a1;
    if spread <= 0.0 || a0 <= 0.0 {
        return None;
    }
    let gamma = (2.0 - a0 / spread).clamp(-0.5, 0.95);
    let sigma = if gamma.abs() < 0.95 { 2.0 * a0 * a1 / spread } else { a0 * (1.0 - gamma) };
    (sigma > 0.0).then_some((gamma, sigma))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values at the plotting positions of a distribution, so that nothing is random.
    fn sample(n: usize, inverse: impl Fn(f64) -> f64) -> Vec<f64> {
        (0..n).map(|i| inverse((i as f64 + 0.5) / n as f64)).collect()
    }

    #[test]
    fn the_tail_of_an_exponential_and_of_a_pareto_is_found_again() {
        let tail = Tail::fit(sample(20_000, |p| -(1.0 - p).ln()), 0.98).unwrap();
        assert!(tail.gamma.abs() < 0.03 && (tail.sigma - 1.0).abs() < 0.03, "{} {}", tail.gamma, tail.sigma);
        let p = tail.p_value(-(1e-4f64).ln());
        assert!((p / 1e-4 - 1.0).abs() < 0.1, "{p}");
        let heavy = Tail::fit(sample(20_000, |p| (1.0 - p).powf(-0.25)), 0.98).unwrap();
        assert!((heavy.gamma - 0.25).abs() < 0.03, "{}", heavy.gamma);
        assert!((heavy.quantile(1e-3) / 1e-3f64.powf(-0.25) - 1.0).abs() < 0.05);
    }

    #[test]
    fn a_tail_of_which_only_the_large_values_are_kept_says_the_same() {
        let values = sample(20_000, |p| -(1.0 - p).ln());
        let whole = Tail::fit(values.iter().map(|v| f64::from(*v as f32)).collect(), 0.98).unwrap();
        let large: Vec<f32> = values.iter().map(|v| *v as f32).filter(|v| *v > 1.5).collect();
        let kept = LargeTail::of_sorted(&large, values.len(), 1.5, 0.98).unwrap();
        assert!((kept.gamma - whole.gamma).abs() < 0.01 && (kept.sigma / whole.sigma - 1.0).abs() < 0.01);
        for x in [1.6, 2.5, 3.5, 6.0, 12.0] {
            assert!((kept.p_value(x) / whole.p_value(x) - 1.0).abs() < 0.05, "{x}");
        }
        assert!((kept.p_value(0.1) - 1.0).abs() < 1e-12, "of small values it knows nothing");
    }

    #[test]
    fn below_the_threshold_the_sample_speaks_for_itself_and_few_values_say_nothing() {
        let tail = Tail::fit(sample(1_000, |p| p), 0.98).unwrap();
        assert!((tail.p_value(0.5) - 0.5).abs() < 0.01);
        assert!(tail.p_value(0.979) > tail.p_value(0.999));
        assert_eq!(Tail::fit(sample(199, |p| p), 0.98), None);
    }
}
