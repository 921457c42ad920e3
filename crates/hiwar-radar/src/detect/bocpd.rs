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
    /// By run length, from none on.
    lengths: Vec<Length>,
}

/// What of the Student-t density and of the updates depends on the run length alone. With `κ` the
/// weight of the mean, `α` the shape and `β` the scale after a run of that length, `ν = 2α`.
#[derive(Clone, Copy, Debug)]
struct Length {
    /// Γ((ν+1)/2) / (Γ(ν/2) √(νπ)) · √(ακ / (κ+1)); over √β it is the density at the mean.
    peak: f64,
    /// κ / (2(κ+1)): times (x − μ)² / β it is the squared distance over ν, and it is also what
    /// (x − μ)² adds to β.
    gain: f64,
    /// (ν+1)/2.
    power: f64,
    /// κ / (κ+1), what is kept of the mean.
    kept: f64,
}

/// The posterior over how long the present regime has lasted, of one series.
#[derive(Clone, Debug, Default)]
pub struct Runs(Vec<Run>);

impl Prepared {
    /// For series of at most `months` months.
    pub fn new(rule: Bocpd, months: usize) -> Self {
        let of = |length: usize| {
            let (weight, shape) = (rule.weight + length as f64, rule.shape + length as f64 / 2.0);
            let nu = 2.0 * shape;
            let power = f64::midpoint(nu, 1.0);
            let norm = (ln_gamma(power) - ln_gamma(shape)).exp() / (nu * std::f64::consts::PI).sqrt();
            let kept = weight / (weight + 1.0);
            Length { peak: norm * (shape * kept).sqrt(), gain: kept / 2.0, power, kept }
        };
        Self { rule, lengths: (0..=months).map(of).collect() }
    }

    fn start(&self, probability: f32) -> Run {
        Run { probability, length: 0, mean: self.rule.mean as f32, scale: self.rule.scale as f32 }
    }

    /// Before the first value.
    pub fn runs(&self) -> Runs {
        Runs(vec![self.start(1.0)])
    }

    /// Begins anew, keeping the memory.
    pub fn restart(&self, runs: &mut Runs) {
        runs.0.clear();
        runs.0.push(self.start(1.0));
    }

    /// Takes in a value; returns the probability that the regime has lasted at most one month,
    /// this one. A run longer than was prepared for counts as one of the longest length.
    pub fn push(&self, runs: &mut Runs, x: f64) -> f64 {
        let hazard = 1.0 / self.rule.lambda;
        let Some(longest) = self.lengths.last() else { return 0.0 };
        let (mut changed, mut total) = (0.0_f64, 0.0_f64);
        for run in &mut runs.0 {
            let (mean, scale) = (f64::from(run.mean), f64::from(run.scale));
            let of = self.lengths.get(run.length as usize).unwrap_or(longest);
            let per_scale = scale.recip();
            let added = of.gain * (x - mean).powi(2);
            // Not `ln_1p`, which is slower by half: near 1 an error of 1e-16 times a power below
            // 1,000 does not show in the 24 bits that are kept.
            let tail = (-of.power * (1.0 + added * per_scale).ln()).exp();
            let density = of.peak * per_scale.sqrt() * tail;
            let joint = f64::from(run.probability) * density;
            changed += joint * hazard;
            let grown = joint * (1.0 - hazard);
            total += grown;
            run.probability = grown as f32;
            run.length += 1;
            run.mean = (x + (mean - x) * of.kept) as f32;
            run.scale = (scale + added) as f32;
        }
        total += changed;
        if !(total > 1e-30 && total.is_finite()) {
            // So far out that every density is zero: whatever it is, it is new.
            self.restart(runs);
            return 1.0;
        }
        let least = (self.rule.prune * total) as f32;
        let mut kept = f64::from(changed as f32);
        runs.0.retain(|run| {
            let keep = run.probability >= least;
            kept += if keep { f64::from(run.probability) } else { 0.0 };
            keep
        });
        if runs.0.len() == runs.0.capacity() {
            // Not twice the room, as `push` would make: there may be half a million of these.
            runs.0.reserve_exact(8);
        }
        runs.0.push(self.start(changed as f32));
        let (mut fresh, per_kept) = (0.0, kept.recip());
        for run in &mut runs.0 {
            run.probability = (f64::from(run.probability) * per_kept) as f32;
            if run.length <= 1 {
                fresh += f64::from(run.probability);
            }
        }
        fresh
    }
}

impl Runs {
    /// A copy with room for a few months more, and no more.
    pub fn kept_small(&self) -> Self {
        let mut copy = Vec::with_capacity(self.0.len() + 8);
        copy.extend_from_slice(&self.0);
        Self(copy)
    }

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
    fn the_first_density_is_that_of_student_s_t() {
        // Prior N(0, 1) worth one month, α = β = 1: the first value is t with 2 degrees of freedom
        // and the scale √2, whose density at 1 is (1/(2√2)) (1 + 1/4)^(-3/2) / √2 = 0.178885438...
        let prepared = Prepared::new(Bocpd { prune: 0.0, ..Bocpd::default() }, 2);
        let of = prepared.lengths[0];
        let density = |x: f64| of.peak * (1.0 + of.gain * x * x).powf(-of.power);
        assert!((density(1.0) - 0.25 * 1.25f64.powf(-1.5)).abs() < 1e-12, "{}", density(1.0));
        // The posterior after 1: mean 1/2, β = 1 + 1/4.
        let mut runs = prepared.runs();
        prepared.push(&mut runs, 1.0);
        let grown = runs.0.iter().find(|r| r.length == 1).unwrap();
        assert_eq!((grown.mean, grown.scale), (0.5, 1.25));
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
