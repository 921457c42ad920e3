//! Output day by day after a shock: the adaptive regional input-output model with inventories (ARIO),
//! between firms.
//!
//! S. Hallegatte, *Modeling the role of inventories and heterogeneity in the assessment of the
//! economic costs of natural disasters*, Risk Analysis 34 (2014). Every number in [`Assumptions`] is
//! an assumption of that literature about whole sectors, not an observation of firms; use days and
//! limits of the firms at hand where they are known.
//!
//! A day is: orders and final demand arrive; a firm wants to make what is ordered, as far as its
//! capacity (1 − lost) · α · X̄ allows; where the stock S of an input falls below ψ of its target
//! (target days · need), it makes the less in proportion, and never more than the stock
//! allows; what is made is shared out in proportion to what was ordered; then the firm orders what it
//! used and a part (1 / restore days) of what its stock lacks, by normal need (with the need of the day,
//! small changes of orders would swell without end around every cycle of the network). α grows from 1 towards its most while
//! more is ordered than made, and falls back. Inputs of one sector replace one another, inputs of
//! different sectors do not (Leontief). Nothing is random.

use crate::graph::network::{GraphError, Network};

/// The constants, all of them assumptions (see [`crate::graph::ario`]).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assumptions {
    /// Days of need that firms want in stock; 90.
    pub target_days: f64,
    /// Days in which they mean to fill what is lacking; 30.
    pub restore_days: f64,
    /// The most output, as a multiple of the normal one; 1.25.
    pub most_output: f64,
    /// Days in which that is reached; 365.
    pub output_days: f64,
    /// The share of the target below which a stock limits output; 0.8.
    pub psi: f64,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self { target_days: 90.0, restore_days: 30.0, most_output: 1.25, output_days: 365.0, psi: 0.8 }
    }
}

impl Assumptions {
    /// Where the usual constants are from. They are known at second hand: the paper itself was not at hand.
    pub const SOURCE: &str = "the usual constants of the ARIO-inventory model (Hallegatte 2014, Risk Analysis 34), \
        at second hand; assumptions about whole sectors, not observations of firms";

    /// Each constant: its name, its value, its unit and what it means.
    pub fn described(&self) -> [(&'static str, f64, &'static str, &'static str); 5] {
        [
            (
                "target_days",
                self.target_days,
                "days of normal need",
                "what firms want in stock of each input",
            ),
            ("restore_days", self.restore_days, "days", "in which they mean to fill what is lacking"),
            ("psi", self.psi, "share of the target", "below it a stock limits output"),
            ("most_output", self.most_output, "multiple of normal output", "the most a firm can make"),
            ("output_days", self.output_days, "days", "in which a firm gets there"),
        ]
    }
}

/// Capacity lost by a firm from one day on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outage {
    /// The firm, a place in [`Network::firms`].
    pub firm: u32,
    /// The share of its capacity that is lost, from 0 to 1.
    pub lost: f64,
    /// The first day, from 0.
    pub from_day: u32,
    /// The first day on which it is back.
    pub until_day: u32,
}

/// Sums over all firms of a day, in the network's unit of value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Day {
    /// Made.
    pub made: f64,
    /// Delivered to firms.
    pub delivered: f64,
    /// Delivered to final demand.
    pub consumed: f64,
    /// Final demand that got nothing.
    pub unmet: f64,
    /// Taken from stocks of inputs.
    pub used: f64,
    /// In stocks of inputs at the end of the day.
    pub stock: f64,
}

/// The path after a shock.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// What is made on a day without a shock.
    pub normal: f64,
    /// What each firm makes on such a day.
    pub normal_of: Vec<f64>,
    /// What is in stock before the first day.
    pub stock: f64,
    /// Day by day.
    pub days: Vec<Day>,
    /// What each firm made in all those days.
    pub made: Vec<f64>,
    /// What each firm lacked, in days of its own normal output; days above normal do not make up for it.
    pub days_lost_of: Vec<f64>,
    /// Of each firm that was watched, what it made day by day, as a share of its normal output.
    pub watched: Vec<Vec<f64>>,
}

impl Path {
    /// The output lost in all days, in days of normal output; days above normal make up for it.
    pub fn days_lost(&self) -> f64 {
        self.shares().map(|share| 1.0 - share).sum()
    }

    /// What is made each day, as a share of the normal output.
    pub fn shares(&self) -> impl Iterator<Item = f64> + '_ {
        self.days.iter().map(|d| if self.normal > 0.0 { d.made / self.normal } else { 1.0 })
    }

    /// The days that firms lacked, each in its own normal output, summed over all firms.
    pub fn firm_days_lost(&self) -> f64 {
        self.days_lost_of.iter().sum()
    }

    /// The day of the least output, from 0, and its share of the normal one; the first of several.
    pub fn trough(&self) -> Option<(usize, f64)> {
        self.shares().enumerate().min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)))
    }

    /// The first day, from 0, from which on output never is below a share of the normal one; `None` if it is at the
    /// end. The day is 0 where nothing was lost.
    pub fn recovered(&self, share: f64) -> Option<usize> {
        let shares: Vec<f64> = self.shares().collect();
        match shares.iter().rposition(|s| *s < share) {
            None => Some(0),
            Some(last) if last + 1 < shares.len() => Some(last + 1),
            Some(_) => None,
        }
    }
}

struct Input {
    /// What a unit of the buyer's output needs.
    per_unit: f64,
    stock: f64,
}

/// All firms between two days.
struct Economy {
    wanted: Vec<f64>,
    normal: Vec<f64>,
    alpha: Vec<f64>,
    inputs: Vec<Input>,
    /// The inputs of each firm.
    of_firm: Vec<std::ops::Range<usize>>,
    // Of each link:
    supplier: Vec<usize>,
    input_of: Vec<usize>,
    share: Vec<f64>,
    order: Vec<f64>,
}

impl Economy {
    fn new(network: &Network, assumptions: &Assumptions, final_demand: Option<&[f64]>) -> Self {
        let n = network.firms().len();
        let (sales, purchases) = (network.sales(), network.purchases());
        let per_day = |x: f64| x / 365.0;
        let wanted: Vec<f64> = match final_demand {
            Some(list) => list.iter().map(|&x| per_day(x)).collect(),
            None => sales.iter().zip(&purchases).map(|(s, p)| per_day((p - s).max(0.0))).collect(),
        };
        let normal: Vec<f64> = sales.iter().zip(&wanted).map(|(s, f)| per_day(*s) + f).collect();

        // Links by buyer and the supplier's sector: a run of those is an input.
        let sector = |i: u32| network.firms()[i as usize].sector;
        let mut links = network.links().to_vec();
        links.sort_by_key(|l| (l.buyer, sector(l.supplier), l.supplier));
        let mut inputs: Vec<Input> = Vec::new();
        let mut of_firm = vec![0..0; n];
        let (mut supplier, mut input_of, mut share) = (Vec::new(), Vec::new(), Vec::new());
        for run in links.chunk_by(|a, b| (a.buyer, sector(a.supplier)) == (b.buyer, sector(b.supplier))) {
            let Some(buyer) = run.first().map(|l| l.buyer as usize) else { continue };
            let whole: f64 = run.iter().map(|l| l.weight).sum();
            let at = inputs.len();
            let need = per_day(whole);
            inputs.push(Input { per_unit: need / normal[buyer], stock: assumptions.target_days * need });
            of_firm[buyer] =
                if of_firm[buyer].is_empty() { at..at + 1 } else { of_firm[buyer].start..at + 1 };
            for l in run {
                supplier.push(l.supplier as usize);
                input_of.push(at);
                share.push(l.weight / whole);
            }
        }
        let order = links.iter().map(|l| per_day(l.weight)).collect();
        Self { wanted, normal, alpha: vec![1.0; n], inputs, of_firm, supplier, input_of, share, order }
    }

    fn stock(&self) -> f64 {
        self.inputs.iter().map(|i| i.stock).sum()
    }

    /// A day on which each firm has `left` of its capacity; `made` is what each one makes.
    fn day(&mut self, a: &Assumptions, left: &[f64], made: &mut [f64]) -> Day {
        let mut ordered = self.wanted.clone();
        for (&s, o) in self.supplier.iter().zip(&self.order) {
            ordered[s] += o;
        }
        let mut sums = Day::default();
        let mut served = vec![1.0; ordered.len()];
        let mut to_order = vec![0.0; self.inputs.len()];
        for i in 0..ordered.len() {
            let want = ordered[i].min(left[i] * self.alpha[i] * self.normal[i]);
            let inputs = &mut self.inputs[self.of_firm[i].clone()];
            let make = inputs.iter().fold(want, |make, input| make.min(possible(a, input, want)));
            for (input, to_order) in inputs.iter_mut().zip(&mut to_order[self.of_firm[i].clone()]) {
                let used = (input.per_unit * make).min(input.stock);
                let lacking = a.target_days * input.per_unit * self.normal[i]
                    - (input.stock - used)
                    - input.per_unit * make;
                *to_order = (input.per_unit * make + lacking / a.restore_days).max(0.0);
                input.stock -= used;
                sums.used += used;
            }
            served[i] = if ordered[i] > 0.0 { make / ordered[i] } else { 0.0 };
            sums.made += make;
            sums.consumed += self.wanted[i] * served[i];
            sums.unmet += self.wanted[i] * (1.0 - served[i]);
            made[i] = make;
            let scarce = if ordered[i] > 0.0 { 1.0 - served[i] } else { 0.0 };
            let towards =
                if scarce > 1e-9 { (a.most_output - self.alpha[i]) * scarce } else { 1.0 - self.alpha[i] };
            self.alpha[i] += towards / a.output_days;
        }
        let of_link = self.supplier.iter().zip(&self.input_of).zip(&self.share).zip(&mut self.order);
        for (((&s, &input), share), order) in of_link {
            let got = *order * served[s];
            self.inputs[input].stock += got;
            sums.delivered += got;
            *order = to_order[input] * share;
        }
        sums.stock = self.stock();
        sums
    }
}

/// What the stock of an input allows of what is wanted.
fn possible(a: &Assumptions, input: &Input, want: f64) -> f64 {
    let enough = a.psi * a.target_days * input.per_unit * want;
    let most = input.stock / input.per_unit;
    if input.stock < enough { most.min(want * input.stock / enough) } else { most }
}

/// Output for some days. `final_demand` is what each firm sells outside of the network in a year;
/// without it, what its purchases exceed its sales by, so that no firm loses value.
///
/// # Errors
///
/// When an assumption, an outage or the final demand is out of range.
pub fn run(
    network: &Network,
    assumptions: &Assumptions,
    final_demand: Option<&[f64]>,
    outages: &[Outage],
    days: u32,
) -> Result<Path, GraphError> {
    run_watching(network, assumptions, final_demand, outages, days, &[])
}

/// As [`run`], and day by day what some firms make.
///
/// # Errors
///
/// As [`run`], and when there is no such firm.
pub fn run_watching(
    network: &Network,
    assumptions: &Assumptions,
    final_demand: Option<&[f64]>,
    outages: &[Outage],
    days: u32,
    watched: &[u32],
) -> Result<Path, GraphError> {
    let n = network.firms().len();
    check(n, assumptions, final_demand, outages)?;
    if let Some(firm) = watched.iter().find(|f| **f as usize >= n) {
        return Err(GraphError::Invalid(format!("firm {firm} of {n} cannot be watched")));
    }
    let mut economy = Economy::new(network, assumptions, final_demand);
    let normal = economy.normal.clone();
    let mut path = Path {
        normal: normal.iter().sum(),
        stock: economy.stock(),
        days: Vec::new(),
        made: vec![0.0; n],
        days_lost_of: vec![0.0; n],
        watched: vec![Vec::new(); watched.len()],
        normal_of: normal,
    };
    let mut made = vec![0.0; n];
    for day in 0..days {
        let mut left = vec![1.0_f64; n];
        for o in outages.iter().filter(|o| (o.from_day..o.until_day).contains(&day)) {
            left[o.firm as usize] *= 1.0 - o.lost;
        }
        let sums = economy.day(assumptions, &left, &mut made);
        path.days.push(sums);
        let share = |i: usize| if path.normal_of[i] > 0.0 { made[i] / path.normal_of[i] } else { 1.0 };
        for (i, made) in made.iter().enumerate() {
            path.made[i] += made;
            path.days_lost_of[i] += (1.0 - share(i)).max(0.0);
        }
        for (days, &firm) in path.watched.iter_mut().zip(watched) {
            days.push(share(firm as usize));
        }
    }
    Ok(path)
}

fn check(n: usize, a: &Assumptions, demand: Option<&[f64]>, outages: &[Outage]) -> Result<(), GraphError> {
    let invalid = |text: &str| Err(GraphError::Invalid(text.into()));
    let days = [a.target_days, a.restore_days, a.output_days];
    if days.iter().any(|d| !(d.is_finite() && *d >= 1.0)) || !(0.0..=1.0).contains(&a.psi) {
        return invalid("assumptions: days must be at least 1, and psi from 0 to 1");
    }
    if !(a.most_output.is_finite() && a.most_output >= 1.0) {
        return invalid("assumptions: the most output must be at least the normal one");
    }
    if demand.is_some_and(|d| d.len() != n || d.iter().any(|x| !(x.is_finite() && *x >= 0.0))) {
        return invalid("final demand must be given for every firm, and not negative");
    }
    if outages.iter().any(|o| o.firm as usize >= n || !(0.0..=1.0).contains(&o.lost)) {
        return invalid("an outage must be of a firm of the network and of a share from 0 to 1");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::generate::{Shape, generate};
    use proptest::prelude::*;

    fn near(a: f64, b: f64, scale: f64) -> bool {
        (a - b).abs() <= 1e-9 * scale.max(1.0)
    }

    #[test]
    fn without_a_shock_nothing_changes() {
        let (network, _) = generate(&Shape { firms: 50, links: 200, sectors: 5, seed: 3 }).unwrap();
        let path = run(&network, &Assumptions::default(), None, &[], 100).unwrap();
        assert!(
            path.days.iter().all(|d| near(d.made, path.normal, path.normal) && d.unmet < 1e-9 * path.normal)
        );
        assert!(path.days_lost().abs() < 1e-6);
    }

    #[test]
    fn an_outage_of_a_supplier_is_felt_when_stocks_run_low_and_is_over_after_it() {
        let firms = "firm,sector\na,1\nb,2\nc,3\n";
        let links = "supplier,buyer,weight\na,b,365\nb,c,730\n";
        let network = Network::read("f", firms.as_bytes(), "l", links.as_bytes()).unwrap();
        let outage = |until_day| [Outage { firm: 0, lost: 1.0, from_day: 0, until_day }];
        let made = |outage: &[Outage]| -> Vec<f64> {
            run(&network, &Assumptions::default(), None, outage, 2000)
                .unwrap()
                .days
                .iter()
                .map(|d| d.made)
                .collect()
        };
        let for_ever = made(&outage(u32::MAX));
        // a makes 1 a day, b and c 2 each (c for final demand). ψ · 90 days: b falls from day 19 on.
        assert!(for_ever[..18].iter().all(|m| (m - 4.0).abs() < 1e-9), "{:?}", &for_ever[..20]);
        assert!(for_ever[20] < 4.0 - 1e-6 && for_ever[1999] < 1e-3, "{} {}", for_ever[20], for_ever[1999]);
        let for_a_month = made(&outage(30));
        assert!((for_a_month[1999] - 5.0).abs() < 0.01, "{}", for_a_month[1999]);
    }

    #[test]
    fn a_path_tells_its_trough_its_end_and_what_was_lost() {
        let firms = "firm,sector\na,1\nb,2\n";
        let links = "supplier,buyer,weight\na,b,365\n";
        let network = Network::read("f", firms.as_bytes(), "l", links.as_bytes()).unwrap();
        let outage = [Outage { firm: 0, lost: 1.0, from_day: 0, until_day: 10 }];
        let path = run_watching(&network, &Assumptions::default(), None, &outage, 400, &[0, 1]).unwrap();
        // a makes 1 a day and b the same of it; b has 90 days in stock and wants 72 of them: it does not notice.
        assert!(path.watched[0][..10].iter().all(|s| *s == 0.0) && path.watched[1].iter().all(|s| *s == 1.0));
        let (day, share) = path.trough().unwrap();
        assert_eq!((day, share), (0, 0.5));
        assert_eq!(path.recovered(0.99), Some(10));
        assert!((path.firm_days_lost() - 10.0).abs() < 1e-9, "{}", path.firm_days_lost());
        // b orders again what it lacks, so that a makes up for a part, and the whole has lost less.
        assert!(path.days_lost() < 5.0, "{}", path.days_lost());
        let for_ever = Outage { until_day: u32::MAX, ..outage[0] };
        assert_eq!(
            run(&network, &Assumptions::default(), None, &[for_ever], 400).unwrap().recovered(0.99),
            None
        );
        assert!(run_watching(&network, &Assumptions::default(), None, &outage, 1, &[2]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn nothing_is_made_from_nothing_or_lost(seed: u64, lost in 0.0..=1.0_f64, firm in 0..30_u32, until in 1..60_u32) {
            let (network, _) = generate(&Shape { firms: 30, links: 120, sectors: 4, seed }).unwrap();
            let outage = Outage { firm, lost, from_day: 2, until_day: until };
            let path = run(&network, &Assumptions::default(), None, &[outage], 120).unwrap();
            let again = run(&network, &Assumptions::default(), None, &[outage], 120).unwrap();
            prop_assert_eq!(&path, &again);
            let mut stock = path.stock;
            for day in &path.days {
                prop_assert!(near(day.made, day.delivered + day.consumed, path.normal), "{:?}", day);
                prop_assert!(near(stock + day.delivered - day.used, day.stock, path.stock), "{:?}", day);
                prop_assert!(day.stock >= 0.0 && day.unmet >= -1e-9 && day.made <= 1.25 * path.normal + 1e-9);
                stock = day.stock;
            }
            let sum: f64 = path.days.iter().map(|d| d.made).sum();
            prop_assert!(near(path.made.iter().sum(), sum, sum));
        }
    }
}
