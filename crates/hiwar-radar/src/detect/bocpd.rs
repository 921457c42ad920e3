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
    probability: f32,
    /// Values in it.
    length: u32,
    mean: f32,
    scale: f32,
}

/// The rule with what depends on the run length alone, to be shared by many series.
#[derive(Clone, Debug)]
pub struct Prepared {
    rule: Bocpd,
    /// Γ((ν+1)/2) / (Γ(ν/2) √(νπ)) by run length, ν = 2·shape + length.
    norms: Vec<f64>,
}

/// The posterior over how long the present regime has lasted, of one series.
#[derive(Clone, Debug)]
pub struct Runs(Vec<Run>);

impl Prepared {
    /// For series of at most `months` months.
    pub fn new(rule: Bocpd, months: usize) -> Self {
        let norm = |length: usize| {
            let nu = 2.0 * rule.shape + length as f64;
            (ln_gamma(f64::midpoint(nu, 1.0)) - ln_gamma(nu / 2.0)).exp() / (nu * std::f64::consts::PI).sqrt()
        };
        Self { rule, norms: (0..=months).map(norm).collect() }
    }

    fn start(&self, probability: f32) -> Run {
        Run { probability, length: 0, mean: self.rule.mean as f32, scale: self.rule.scale as f32 }
    }

    /// Before the first value.
    pub fn runs(&self) -> Runs {
        Runs(vec![self.start(1.0)])
    }

    /// Takes in a value; returns the probability that the regime has lasted at most one month,
    /// this one. A run longer than was prepared for counts as one of the longest length.
    pub fn push(&self, runs: &mut Runs, x: f64) -> f64 {
        let hazard = 1.0 / self.rule.lambda;
        let longest = self.norms.len().saturating_sub(1);
        let (mut changed, mut total) = (0.0_f64, 0.0_f64);
        for run in &mut runs.0 {
            let (mean, scale) = (f64::from(run.mean), f64::from(run.scale));
            let at = (run.length as usize).min(longest);
            let length = at as f64;
            let (weight, shape) = (self.rule.weight + length, self.rule.shape + length / 2.0);
            let nu = 2.0 * shape;
            let spread = scale * (weight + 1.0) / (shape * weight);
            let distance = (x - mean).powi(2) / (nu * spread);
            let norm = self.norms.get(at).copied().unwrap_or(0.0);
            let density = norm / spread.sqrt() * (-(nu + 1.0) / 2.0 * distance.ln_1p()).exp();
            let joint = f64::from(run.probability) * density;
            changed += joint * hazard;
            let grown = joint * (1.0 - hazard);
            total += grown;
            run.probability = grown as f32;
            run.length += 1;
            run.mean = ((weight * mean + x) / (weight + 1.0)) as f32;
            run.scale = (scale + weight * (x - mean).powi(2) / (2.0 * (weight + 1.0))) as f32;
        }
        total += changed;
        if !(total > 1e-30 && total.is_finite()) {
            // So far out that every density is zero: whatever it is, it is new.
            *runs = self.runs();
            return 1.0;
        }
        let least = (self.rule.prune * total) as f32;
        runs.0.retain(|r| r.probability >= least);
        runs.0.push(self.start(changed as f32));
        let kept: f64 = runs.0.iter().map(|r| f64::from(r.probability)).sum();
        let mut fresh = 0.0;
        for run in &mut runs.0 {
            run.probability = (f64::from(run.probability) / kept) as f32;
            if run.length <= 1 {
                fresh += f64::from(run.probability);
            }
        }
        fresh
    }
}

impl Runs {
    /// How many run lengths are kept.
    pub fn kept(&self) -> usize {
        self.0.len()
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
        let prepared = Prepared::new(Bocpd::default(), 100);
        let mut runs = prepared.runs();
        for t in 0..60 {
            let quiet = if t % 2 == 0 { 0.3 } else { -0.3 };
            let changed = prepared.push(&mut runs, quiet);
            assert!(t == 0 || changed < 0.5, "{t}: {changed}");
        }
        assert!(prepared.push(&mut runs, -8.0) > 0.5, "the month of the step");
        assert!(prepared.push(&mut runs, -8.2) < 0.5, "the new regime is two months old by now");
        assert!(runs.kept() < 60);
    }

    #[test]
    fn the_posterior_without_pruning_is_that_of_the_paper_s_recursion() {
        // After each value P(r = 0) = 1/λ, whatever the value was; all else is a run that grew.
        let rule = Bocpd { prune: 0.0, lambda: 50.0, ..Bocpd::default() };
        let prepared = Prepared::new(rule, 10);
        let mut runs = prepared.runs();
        let at_most_one = prepared.push(&mut runs, 0.7);
        assert!((at_most_one - 1.0).abs() < 1e-6);
        for x in [0.2, -3.0, 0.1] {
            prepared.push(&mut runs, x);
            let new = runs.0.iter().find(|r| r.length == 0).unwrap().probability;
            assert!((new - 0.02).abs() < 1e-6, "{new}");
        }
        assert_eq!(runs.kept(), 5);
    }
}
