//! Cumulative sums (Page 1954): small changes that last.
//!
//! On standardised values `x`: `C⁺ = max(0, C⁺ + x − k)`, `C⁻ = max(0, C⁻ − x − k)`; an alarm when
//! one passes `h`. For k = 0.5 the usual tables give, between false alarms on independent normal
//! values, 168 months at h = 4, 370 at h = 4.77 and 465 at h = 5 (Montgomery, Statistical Quality
//! Control); real trade series are not independent, so a replay tells more.

/// The rule's numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cusum {
    /// Allowance, in standard deviations.
    pub k: f64,
    /// Decision interval, in standard deviations.
    pub h: f64,
}

/// The two sums after a month.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    /// Sum of excesses above.
    pub up: f64,
    /// Sum of excesses below.
    pub down: f64,
}

/// Mean and sample standard deviation of a frozen reference period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reference {
    /// The mean.
    pub mean: f64,
    /// The standard deviation with n − 1.
    pub deviation: f64,
}

impl Default for Cusum {
    /// k = 0.5, h = 5.
    fn default() -> Self {
        Self { k: 0.5, h: 5.0 }
    }
}

impl Reference {
    /// Of at least two values, with a smallest deviation.
    pub fn of(values: &[f64], floor: f64) -> Option<Self> {
        let n = values.len() as f64;
        if values.len() < 2 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Some(Self { mean, deviation: (squares / (n - 1.0)).sqrt().max(floor) })
    }

    /// A value in standard deviations.
    pub fn standardise(&self, value: f64) -> f64 {
        (value - self.mean) / self.deviation
    }
}

impl Cusum {
    /// The sums after one more standardised value.
    pub fn step(&self, before: Sums, x: f64) -> Sums {
        Sums { up: (before.up + x - self.k).max(0.0), down: (before.down - x - self.k).max(0.0) }
    }

    /// The sums after one more value, beginning anew after an alarm: an old alarm must not speak for
    /// years.
    pub fn step_anew(&self, before: Sums, x: f64) -> Sums {
        self.step(if self.alarms(before) { Sums::default() } else { before }, x)
    }

    /// Whether one of the sums passes the decision interval.
    pub fn alarms(&self, sums: Sums) -> bool {
        sums.up > self.h || sums.down > self.h
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_grow_only_beyond_the_allowance_and_never_below_zero() {
        let rule = Cusum::default();
        let mut sums = Sums::default();
        for (x, up, down) in
            [(0.4, 0.0, 0.0), (2.0, 1.5, 0.0), (-1.0, 0.0, 0.5), (-3.0, 0.0, 3.0), (-3.0, 0.0, 5.5)]
        {
            sums = rule.step(sums, x);
            assert!((sums.up - up).abs() < 1e-12 && (sums.down - down).abs() < 1e-12, "{x}: {sums:?}");
        }
        assert!(rule.alarms(sums));
    }
}
