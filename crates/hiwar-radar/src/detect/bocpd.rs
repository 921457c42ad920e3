//! Bayesian online change-point detection (Adams and MacKay 2007): how likely a new regime has
//! just begun.
//!
//! Values within a regime are normal with unknown mean and variance under a normal-inverse-gamma
//! prior, so the next value is Student-t distributed; a regime ends with probability `1/lambda` a
//! month. Run lengths whose probability falls below `prune` are dropped, which bounds the work.

/// The rule's numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bocpd {
    /// Mean length of a regime, in months.
    pub lambda: f64,
    /// Prior mean of the values.
    pub mean: f64,
    /// Prior weight of that mean, in months.
    pub weight: f64,
    /// Shape of the prior of the variance.
    pub shape: f64,
    /// Scale of the prior of the variance.
    pub scale: f64,
    /// Run lengths less probable than this are dropped.
    pub prune: f64,
    /// A change is reported when a run of at most one month is more probable than this.
    pub threshold: f64,
}

impl Default for Bocpd {
    /// For standardised values: regimes of 200 months, prior N(0, 1) worth one month.
    fn default() -> Self {
        Self { lambda: 200.0, mean: 0.0, weight: 1.0, shape: 1.0, scale: 1.0, prune: 1e-4, threshold: 0.5 }
    }
}

#[derive(Clone, Copy, Debug)]
struct Run {
    probability: f64,
    /// Values in it.
    length: u32,
    mean: f64,
    scale: f64,
}

/// The posterior over how long the present regime has lasted.
#[derive(Clone, Debug)]
pub struct Runs {
    rule: Bocpd,
    runs: Vec<Run>,
    /// Γ((ν+1)/2) / (Γ(ν/2) √(νπ)) by run length, ν = 2·shape + length.
    norms: Vec<f64>,
}

impl Runs {
    /// Before the first value.
    pub fn new(rule: Bocpd) -> Self {
        let start = Run { probability: 1.0, length: 0, mean: rule.mean, scale: rule.scale };
        Self { rule, runs: vec![start], norms: Vec::new() }
    }

    fn norm(&mut self, length: u32) -> f64 {
        let length = length as usize;
        while self.norms.len() <= length {
            let nu = 2.0 * self.rule.shape + self.norms.len() as f64;
            let ln = ln_gamma(f64::midpoint(nu, 1.0)) - ln_gamma(nu / 2.0);
            self.norms.push(ln.exp() / (nu * std::f64::consts::PI).sqrt());
        }
        self.norms.get(length).copied().unwrap_or(0.0)
    }

    /// Takes in a value; returns the probability that the regime has lasted at most one month,
    /// this one.
    pub fn push(&mut self, x: f64) -> f64 {
        let hazard = 1.0 / self.rule.lambda;
        let mut grown: Vec<Run> = Vec::with_capacity(self.runs.len() + 1);
        let mut changed = 0.0;
        let longest = self.runs.iter().map(|r| r.length).max().unwrap_or(0);
        self.norm(longest);
        for run in &self.runs {
            let length = f64::from(run.length);
            let (weight, shape) = (self.rule.weight + length, self.rule.shape + length / 2.0);
            let nu = 2.0 * shape;
            let spread = run.scale * (weight + 1.0) / (shape * weight);
            let distance = (x - run.mean).powi(2) / (nu * spread);
            let norm = self.norms.get(run.length as usize).copied().unwrap_or(0.0);
            let density = norm / spread.sqrt() * (-(nu + 1.0) / 2.0 * distance.ln_1p()).exp();
            let joint = run.probability * density;
            changed += joint * hazard;
            grown.push(Run {
                probability: joint * (1.0 - hazard),
                length: run.length + 1,
                mean: (weight * run.mean + x) / (weight + 1.0),
                scale: run.scale + weight * (x - run.mean).powi(2) / (2.0 * (weight + 1.0)),
            });
        }
        let start = Run { probability: changed, length: 0, mean: self.rule.mean, scale: self.rule.scale };
        grown.push(start);
        let total: f64 = grown.iter().map(|r| r.probability).sum();
        if !(total > 0.0 && total.is_finite()) {
            // So far out that every density is zero: whatever it is, it is new.
            *self = Self { norms: std::mem::take(&mut self.norms), ..Self::new(self.rule) };
            return 1.0;
        }
        for run in &mut grown {
            run.probability /= total;
        }
        grown.retain(|r| r.probability >= self.rule.prune || r.length == 0);
        let kept: f64 = grown.iter().map(|r| r.probability).sum();
        for run in &mut grown {
            run.probability /= kept;
        }
        self.runs = grown;
        self.runs.iter().filter(|r| r.length <= 1).map(|r| r.probability).sum()
    }

    /// How many run lengths are kept.
    pub fn kept(&self) -> usize {
        self.runs.len()
    }
}

/// ln Γ(x) for x > 0 (Lanczos approximation, g = 7, n = 9; error below 1e-13).
pub fn ln_gamma(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        // Reflection.
        return (std::f64::consts::PI / (std::f64::consts::PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let mut sum = 0.999_999_999_999_809_9;
    for (index, coefficient) in COEFFICIENTS.iter().enumerate() {
        sum += coefficient / (x + index as f64 + 1.0);
    }
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_of_gamma_is_that_of_the_tables() {
        // Abramowitz and Stegun, table 6.1; ln Γ(1/2) = ln √π.
        for (x, expected) in [(1.0, 0.0), (2.0, 0.0), (0.5, 0.572_364_942_924_700_1), (5.0, 24f64.ln())] {
            assert!((ln_gamma(x) - expected).abs() < 1e-12, "{x}");
        }
    }

    #[test]
    fn a_lasting_step_is_seen_at_once_and_quiet_months_are_not() {
        let mut runs = Runs::new(Bocpd::default());
        for t in 0..60 {
            let quiet = if t % 2 == 0 { 0.3 } else { -0.3 };
            let changed = runs.push(quiet);
            assert!(t == 0 || changed < 0.5, "{t}: {changed}");
        }
        assert!(runs.push(-8.0) > 0.5, "the month of the step");
        assert!(runs.push(-8.2) < 0.5, "the new regime is two months old by now");
        assert!(runs.kept() < 60);
    }

    #[test]
    fn the_posterior_without_pruning_is_that_of_the_paper_s_recursion() {
        // Two values by hand: after x1 the run is new (h) or one long (1 − h), times the same
        // density, so P(r = 0) = 1/λ.
        let rule = Bocpd { prune: 0.0, lambda: 50.0, ..Bocpd::default() };
        let mut runs = Runs::new(rule);
        let at_most_one = runs.push(0.7);
        assert!((at_most_one - 1.0).abs() < 1e-12);
        assert!((runs.runs.iter().find(|r| r.length == 0).unwrap().probability - 0.02).abs() < 1e-12);
    }
}
