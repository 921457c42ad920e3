//! The economic systemic risk index (ESRI) of firms.
//!
//! C. Diem, A. Borsos, T. Reisch, J. Kertész, S. Thurner, *Quantifying firm-level economic systemic
//! risk from nation-wide supply networks*, Scientific Reports 12 (2022) 7719. With W(i,j) what i
//! sells to j in a year, p(i) the sector of i, e(p,q) ∈ {0, 1, 2} how much the sector q needs the
//! sector p, s(i) = Σ_j W(i,j), and ψ(i) the share of its output that i is left with by the shock
//! alone:
//!
//! * Λd(i,j) = W(i,j) / Σ over l with p(l) = p(i) of W(l,j) where e(p(i),p(j)) = 2,
//!   W(i,j) / Σ_l W(l,j) where it is 1, and 0 where it is 0,
//! * Λu(i,j) = W(i,j) / s(i),
//! * σ(i) = min(1, s(i) / Σ over j in the market of i of s(j) hd(j)) with replaceability, 1 without,
//! * Π(j,k) = 1 − Σ over i with p(i) = k of Λd(i,j) σ(i) (1 − hd(i)),
//! * hd'(j) = max(0, min(ψ(j), min over essential k of Π(j,k), 1 − Σ over other k of (1 − Π(j,k)))),
//! * hu'(i) = max(0, min(ψ(i), 1 − Σ_j Λu(i,j) (1 − hu(j)))).
//!
//! Both start at ψ. All firms step at once; the cascade ends with the first round in which no firm
//! falls by eps or more in either direction. ESRI = Σ_i s(i) (1 − min(hd(i), hu(i))) / Σ_i s(i).
//!
//! Without an essentiality table, which must come from a survey, [`esri_bounds`] gives the values
//! for "every input is essential" and "no input is".

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::graph::kernel::{Model, Scratch};
use crate::graph::network::{EssentialityTable, GraphError, Network};

/// How much production needs its inputs.
#[derive(Clone, Debug, PartialEq)]
pub enum Essentiality {
    /// Production stops with any sector of inputs (Leontief): usually the higher index.
    AllEssential,
    /// Production falls in proportion to all inputs (linear): the lower index.
    AllLinear,
    /// By the sectors of supplier and buyer.
    Table(EssentialityTable),
}

/// How cascades are computed.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How much production needs its inputs.
    pub essentiality: Essentiality,
    /// Whether firms of one market replace one another by their share of it.
    pub replaceability: bool,
    /// A cascade ends with the first round in which no firm falls by this much (share of its
    /// output, from 0 to 1). The published runs use 0.01.
    pub eps: f64,
    /// The most rounds of one cascade; it ends there if it has not ended before.
    pub max_rounds: u32,
    /// The error that is aimed at in an index (share of all output) by not passing on negligible changes;
    /// 0 passes everything on. An estimate, not a bound: it is not proved, and the constants behind it were
    /// tuned on generated networks of one seed. Tests compare it with 0 on other seeds and kinds of
    /// inputs, and with the golden tables; where an index must be right, use 0.
    pub tolerance: f64,
    /// How many threads [`esri_all`] uses; 0 means as many as there are processors.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            essentiality: Essentiality::AllLinear,
            replaceability: true,
            eps: 0.01,
            max_rounds: 1000,
            tolerance: 1e-6,
            threads: 0,
        }
    }
}

/// What one shock does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cascade {
    /// The index: the share of the network's output that is lost, from 0 to 1.
    pub esri: f64,
    /// The share lost from suppliers to buyers alone, 1 − hd.
    pub down: f64,
    /// The share lost from buyers to suppliers alone, 1 − hu.
    pub up: f64,
    /// Rounds until the end.
    pub rounds: u32,
    /// Links passed, in both directions.
    pub visits: u64,
}

/// A firm and the share of its output that it loses by the shock itself, from 0 to 1.
pub type Shock = (u32, f64);

/// The cascade of one shock on one or several firms.
///
/// # Errors
///
/// When the options or the shock are out of range, or the essentiality table lacks a sector.
pub fn esri_of(network: &Network, options: &Options, shock: &[Shock]) -> Result<Cascade, GraphError> {
    check_shock(network, shock)?;
    let model = Model::new(network, options)?;
    let mut scratch = Scratch::new(&model);
    Ok(model.run(&mut scratch, shock))
}

/// The index of every firm, that is of its complete failure, in the order of the firms.
/// `progress` is called now and then with how many are done.
///
/// # Errors
///
/// When the options are out of range or the essentiality table lacks a sector.
pub fn esri_all(
    network: &Network,
    options: &Options,
    progress: impl Fn(usize) + Sync,
) -> Result<Vec<f64>, GraphError> {
    Ok(cascades_all(network, options, progress)?.into_iter().map(|c| c.esri).collect())
}

/// As [`esri_all`], with all that is known of each cascade.
///
/// # Errors
///
/// As [`esri_all`].
pub fn cascades_all(
    network: &Network,
    options: &Options,
    progress: impl Fn(usize) + Sync,
) -> Result<Vec<Cascade>, GraphError> {
    let firms: Vec<u32> = (0..).take(network.firms().len()).collect();
    cascades(network, options, &firms, progress)
}

/// The cascade of the complete failure of each of some firms, one by one, in their order.
///
/// # Errors
///
/// As [`esri_all`], and when there is no such firm.
pub fn cascades(
    network: &Network,
    options: &Options,
    firms: &[u32],
    progress: impl Fn(usize) + Sync,
) -> Result<Vec<Cascade>, GraphError> {
    for &firm in firms {
        check_shock(network, &[(firm, 1.0)])?;
    }
    let model = Model::new(network, options)?;
    let n = firms.len();
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    };
    const CHUNK: usize = 64;
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        let mut scratch = Scratch::new(&model);
        let mut mine = Vec::new();
        loop {
            let start = next.fetch_add(CHUNK, Ordering::Relaxed);
            if start >= n {
                return mine;
            }
            let end = n.min(start + CHUNK);
            for (place, &firm) in firms.iter().enumerate().take(end).skip(start) {
                mine.push((place, model.run(&mut scratch, &[(firm, 1.0)])));
            }
            progress(done.fetch_add(end - start, Ordering::Relaxed) + end - start);
        }
    };
    let mut all = vec![Cascade::default(); n];
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads.clamp(1, n.max(1))).map(|_| scope.spawn(work)).collect();
        for handle in handles {
            let mine = handle.join().map_err(|_| GraphError::Invalid("a thread ended early".into()))?;
            for (place, cascade) in mine {
                all[place] = cascade;
            }
        }
        Ok(all)
    })
}

/// The index of every firm if every input is essential, and if none is: what can be said without
/// an essentiality table.
///
/// # Errors
///
/// As [`esri_all`].
pub fn esri_bounds(
    network: &Network,
    options: &Options,
    progress: impl Fn(usize) + Sync,
) -> Result<(Vec<f64>, Vec<f64>), GraphError> {
    let with = |essentiality| Options { essentiality, ..options.clone() };
    let essential = esri_all(network, &with(Essentiality::AllEssential), &progress)?;
    Ok((essential, esri_all(network, &with(Essentiality::AllLinear), &progress)?))
}

pub(crate) fn check_options(options: &Options) -> Result<(), GraphError> {
    let small = |x: f64| (0.0..1.0).contains(&x);
    if !small(options.eps) || !small(options.tolerance) || options.max_rounds == 0 {
        let text = "eps and tolerance must be at least 0 and below 1, and there must be a round";
        return Err(GraphError::Invalid(text.into()));
    }
    Ok(())
}

pub(crate) fn check_shock(network: &Network, shock: &[Shock]) -> Result<(), GraphError> {
    let n = network.firms().len();
    let mut seen = std::collections::HashSet::new();
    for &(firm, lost) in shock {
        if firm as usize >= n || !(0.0..=1.0).contains(&lost) || !seen.insert(firm) {
            let text =
                format!("a shock of {lost} on firm {firm} of {n}: each firm once, with a share from 0 to 1");
            return Err(GraphError::Invalid(text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::generate::{Random, Shape, generate};
    use crate::graph::naive::esri_naive;
    use crate::graph::network::{Firm, Link};
    use proptest::prelude::*;

    fn golden(name: &str) -> String {
        let path = format!("{}/../../data/trade/golden/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    }

    fn rows(text: &str) -> Vec<Vec<f64>> {
        text.lines().skip(1).map(|l| l.split(',').map(|f| f.parse().unwrap()).collect()).collect()
    }

    #[test]
    fn the_eleven_firms_of_the_paper() {
        let (links, expected) = (golden("esri_fig1_edges.csv"), golden("esri_fig1_expected.csv"));
        let network = Network::read("firms", expected.as_bytes(), "links", links.as_bytes()).unwrap();
        for row in rows(&expected) {
            let firm = network.firm(&row[0].to_string()).unwrap();
            let run = |essentiality, replaceability| {
                let options = Options { essentiality, replaceability, tolerance: 0.0, ..Options::default() };
                esri_of(&network, &options, &[(firm, 1.0)]).unwrap()
            };
            let (lin, leontief) = (Essentiality::AllLinear, Essentiality::AllEssential);
            let (a, b) = (run(lin.clone(), false), run(leontief.clone(), false));
            let (c, d) = (run(lin, true), run(leontief, true));
            let got = [a.esri, a.down, a.up, b.esri, b.down, c.esri, c.down, d.esri, d.down];
            for (got, expected) in got.iter().zip(&row[2..]) {
                assert!((got - expected).abs() < 5.1e-7, "firm {}: {got} {expected}", row[0]);
            }
        }
    }

    #[test]
    fn four_hundred_of_three_thousand_firms() {
        let sectors = golden("esri_net3k_sector.csv");
        let firms: String =
            sectors.lines().skip(1).enumerate().map(|(i, s)| format!("{},{s}\n", i + 1)).collect();
        let firms = format!("firm,sector\n{firms}");
        let links = golden("esri_net3k_edges.csv").replacen("i,j,x", "supplier,buyer,weight", 1);
        let network = Network::read("firms", firms.as_bytes(), "links", links.as_bytes()).unwrap();
        let table = EssentialityTable::read("e", golden("esri_net3k_essential.csv").as_bytes()).unwrap();
        let mut options = Options { essentiality: Essentiality::Table(table), ..Options::default() };
        for (tolerance, allowed) in [(0.0, 1e-12), (1e-6, 1e-6)] {
            options.tolerance = tolerance;
            let expected = rows(&golden("esri_net3k_expected.csv"));
            let list: Vec<u32> = expected.iter().map(|r| r[0] as u32 - 1).collect();
            let got = cascades(&network, &options, &list, |_| {}).unwrap();
            assert_eq!(got.len(), 400);
            for (got, row) in got.iter().zip(&expected) {
                assert!((got.esri - row[1]).abs() < allowed, "firm {}: {} {}", row[0], got.esri, row[1]);
                assert_eq!(f64::from(got.rounds), row[2], "firm {}", row[0]);
            }
        }
    }

    #[test]
    fn what_is_held_back_by_default_changes_no_index_by_a_millionth_whatever_the_seed() {
        let mut spared = 0;
        for (seed, replaceability) in (2..8).zip([true, false].into_iter().cycle()) {
            let shape = Shape { firms: 300, links: 1_200, sectors: 40, seed };
            let (network, table) = generate(&shape).unwrap();
            for essentiality in
                [Essentiality::Table(table), Essentiality::AllEssential, Essentiality::AllLinear]
            {
                let held = Options { essentiality, replaceability, ..Options::default() };
                assert!(held.tolerance > 0.0);
                let exact = Options { tolerance: 0.0, ..held.clone() };
                let held = cascades_all(&network, &held, |_| {}).unwrap();
                let exact = cascades_all(&network, &exact, |_| {}).unwrap();
                for (firm, (held, exact)) in held.iter().zip(&exact).enumerate() {
                    let apart = (held.esri - exact.esri).abs();
                    assert!(apart < 1e-6, "seed {seed}, firm {firm}: {held:?} {exact:?}");
                    spared += exact.visits.saturating_sub(held.visits);
                }
            }
        }
        assert!(spared > 0, "something is held back at all");
    }

    /// Up to 14 firms with random links, sectors, markets and essentiality.
    fn small(seed: u64) -> (Network, EssentialityTable) {
        let mut random = Random::new(seed);
        let (n, sectors, markets) = (2 + random.below(13), 1 + random.below(4), 1 + random.below(4));
        let firms = (0..n)
            .map(|i| Firm {
                name: i.to_string().into(),
                sector: random.below(sectors) as u32,
                market: random.below(markets) as u32,
            })
            .collect();
        let mut links = Vec::new();
        let density = random.unit() * 0.5;
        for supplier in 0..n as u32 {
            for buyer in (0..n as u32).filter(|&b| b != supplier) {
                if random.unit() < density {
                    links.push(Link { supplier, buyer, weight: (2.0 * random.normal()).exp() });
                }
            }
        }
        let names = |n: usize| (0..n).map(|i| i.to_string().into()).collect::<Vec<_>>();
        let cells = (0..sectors * sectors).map(|_| random.below(3) as u8).collect();
        let table = EssentialityTable::new(names(sectors), cells).unwrap();
        (Network::new(firms, names(sectors), names(markets), links).unwrap(), table)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn changes_alone_give_what_the_definition_gives(
            seed: u64, variant in 0..3_u8, replaceability: bool, lost in 0.01..=1.0_f64, two: bool,
            eps in prop::sample::select(vec![0.0001, 0.01, 0.1]),
        ) {
            let (network, table) = small(seed);
            let essentiality = match variant {
                0 => Essentiality::AllEssential,
                1 => Essentiality::AllLinear,
                _ => Essentiality::Table(table),
            };
            let mut options = Options { essentiality, replaceability, eps, ..Options::default() };
            let mut shock = vec![(0, lost)];
            if two {
                shock.push((1, 1.0));
            }
            let naive = esri_naive(&network, &options, &shock).unwrap();
            let held = esri_of(&network, &options, &shock).unwrap();
            prop_assert!((naive.esri - held.esri).abs() < 1e-6, "{naive:?} {held:?}");
            options.tolerance = 0.0;
            let fast = esri_of(&network, &options, &shock).unwrap();
            for (a, b) in [(naive.esri, fast.esri), (naive.down, fast.down), (naive.up, fast.up)] {
                prop_assert!((a - b).abs() < 1e-9, "{naive:?} {fast:?}");
            }
            prop_assert_eq!(naive.rounds, fast.rounds);
        }

        #[test]
        fn one_cascade_leaves_nothing_to_the_next(seed: u64) {
            // All firms, twice and on several threads: the scratch space is as new in between.
            let (network, table) = small(seed);
            let options = Options { essentiality: Essentiality::Table(table), tolerance: 0.0, ..Options::default() };
            let all = esri_all(&network, &options, |_| {}).unwrap();
            for (i, esri) in (0..).zip(&all) {
                prop_assert_eq!(*esri, esri_of(&network, &options, &[(i, 1.0)]).unwrap().esri);
            }
        }
    }

    #[test]
    fn a_shock_out_of_range_is_refused() {
        let (network, _) = small(1);
        for shock in [vec![(99, 1.0)], vec![(0, 1.5)], vec![(0, f64::NAN)], vec![(0, 1.0), (0, 1.0)]] {
            assert!(esri_of(&network, &Options::default(), &shock).is_err(), "{shock:?}");
        }
    }
}
