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
    /// The values that are kept, sorted: below the threshold they speak for themselves.
    sorted: Vec<f64>,
    /// How many values there were, kept or not.
    count: usize,
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
        Some(Self { threshold, excesses: excess.len(), gamma, sigma, count: values.len(), sorted: values })
    }

    /// As [`Tail::fit`] when only values above `kept_from` were kept, of `count` in all. When the
    /// quantile lies below, the tail begins at `kept_from`.
    pub fn of_large(large: &[f32], count: usize, kept_from: f64, quantile: f64) -> Option<Self> {
        if count < POOLED_MIN {
            return None;
        }
        let mut large = large.to_vec();
        large.sort_unstable_by(f32::total_cmp);
        let above = ((count as f64) * (1.0 - quantile)).ceil() as usize;
        let start = large.len().saturating_sub(above);
        let threshold = match start.checked_sub(1).and_then(|at| large.get(at)) {
            Some(value) => f64::from(*value),
            None => kept_from,
        };
        let excess: Vec<f64> = large.get(start..)?.iter().map(|v| f64::from(*v) - threshold).collect();
        let (gamma, sigma) = moments(&excess)?;
        let sorted: Vec<f64> = large.into_iter().map(f64::from).collect();
        Some(Self { threshold, excesses: excess.len(), gamma, sigma, count, sorted })
    }

    /// The probability of a value at least this large. Below the threshold it is the share of
    /// pooled values that were, with one added for the value itself.
    pub fn p_value(&self, x: f64) -> f64 {
        let n = self.count as f64;
        if x <= self.threshold {
            let at_least = self.sorted.len() - self.sorted.partition_point(|v| *v < x);
            let smallest_kept = self.sorted.first().copied().unwrap_or(f64::INFINITY);
            // Nothing is known of values that were not kept but that they are smaller.
            let at_least = if x < smallest_kept { self.count } else { at_least };
            return (at_least as f64 + 1.0) / (n + 1.0);
        }
        let share = self.excesses as f64 / n;
        let scaled = (x - self.threshold) / self.sigma;
        let tail = if self.gamma.abs() < 1e-9 {
            (-scaled).exp()
        } else {
            let base = 1.0 + self.gamma * scaled;
            if base <= 0.0 { 0.0 } else { base.powf(-1.0 / self.gamma) }
        };
        // Nothing is rarer than this sample can tell.
        (share * tail).max(1e-12)
    }

    /// The value that is passed with probability `q`.
    pub fn quantile(&self, q: f64) -> f64 {
        let share = self.excesses as f64 / self.count as f64;
        let r = q / share;
        if self.gamma.abs() < 1e-9 {
            return self.threshold - self.sigma * r.ln();
        }
        self.threshold + self.sigma / self.gamma * (r.powf(-self.gamma) - 1.0)
    }
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
    fn below_the_threshold_the_sample_speaks_for_itself_and_few_values_say_nothing() {
        let tail = Tail::fit(sample(1_000, |p| p), 0.98).unwrap();
        assert!((tail.p_value(0.5) - 0.5).abs() < 0.01);
        assert!(tail.p_value(0.979) > tail.p_value(0.999));
        assert_eq!(Tail::fit(sample(199, |p| p), 0.98), None);
    }
}
