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
    /// The error allowed in an index (share of all output) for not passing on negligible changes;
    /// 0 passes everything on. See [`crate::graph::esri`] for how it is kept.
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
            tolerance: 1e-7,
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
    let model = Model::new(network, options)?;
    let n = network.firms().len();
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
            for place in start..end {
                let firm = model.firm_at(place);
                mine.push((firm, model.run(&mut scratch, &[(firm, 1.0)])));
            }
            progress(done.fetch_add(end - start, Ordering::Relaxed) + end - start);
        }
    };
    let mut all = vec![Cascade::default(); n];
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads.clamp(1, n.max(1))).map(|_| scope.spawn(work)).collect();
        for handle in handles {
            let mine = handle.join().map_err(|_| GraphError::Invalid("a thread ended early".into()))?;
            for (firm, cascade) in mine {
                all[firm as usize] = cascade;
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
            let text = format!("a shock of {lost} on firm {firm} of {n}: each firm once, with a share from 0 to 1");
            return Err(GraphError::Invalid(text));
        }
    }
    Ok(())
}
