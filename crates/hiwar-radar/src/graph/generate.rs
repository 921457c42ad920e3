//! Synthetic firm networks, the same for the same seed on every machine.
//!
//! Suppliers are drawn with a probability that falls with rank^−0.75, buyers likewise over a
//! shuffled ranking; weights are exp(N(0, 2)); sectors are drawn by Zipf's law with exponent 0.8;
//! of the pairs of sectors 30 % are no input, 40 % an input that is not essential and 30 % one that
//! is. [`crate::graph::months`] has another shape, in which links come and go.

use std::collections::HashMap;
use std::sync::Arc;

use crate::graph::network::{EssentialityTable, Firm, GraphError, Link, Network};

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Numbers from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// At least 0 and below 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Below `n`, which must not be 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        let (a, b) = (1.0 - self.unit(), self.unit());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }
}

/// What to generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Firms.
    pub firms: usize,
    /// Links.
    pub links: usize,
    /// Sectors.
    pub sectors: usize,
    /// The same network for the same seed.
    pub seed: u64,
}

pub(crate) struct Zipf(Vec<f64>);

impl Zipf {
    pub(crate) fn new(n: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let add = |rank: usize| {
            sum += (rank as f64).powf(-exponent);
            sum
        };
        Self((1..=n).map(add).collect())
    }

    pub(crate) fn draw(&self, random: &mut Random) -> usize {
        let at = random.unit() * self.0.last().copied().unwrap_or(0.0);
        self.0.partition_point(|&s| s <= at).min(self.0.len().saturating_sub(1))
    }
}

/// 30 % of the pairs of sectors are no input, 40 % one that is not essential and 30 % one that is.
pub(crate) fn essentiality(names: &[Arc<str>], random: &mut Random) -> Result<EssentialityTable, GraphError> {
    let cell = |_| match random.below(10) {
        0..3 => 0,
        3..7 => 1,
        _ => 2,
    };
    EssentialityTable::new(names.to_vec(), (0..names.len() * names.len()).map(cell).collect())
}

/// A network and its essentiality table.
///
/// # Errors
///
/// When there are fewer than two firms, no sector, or more links than a third of the pairs.
pub fn generate(shape: &Shape) -> Result<(Network, EssentialityTable), GraphError> {
    let Shape { firms: n, links: m, sectors, seed } = *shape;
    if n < 2 || sectors == 0 || m > n.saturating_mul(n - 1) / 3 {
        return Err(GraphError::Invalid(format!(
            "{m} links of {n} firms in {sectors} sectors cannot be generated"
        )));
    }
    let mut random = Random::new(seed);
    let by_sector = Zipf::new(sectors, 0.8);
    let number = |i: usize| u32::try_from(i).unwrap_or(u32::MAX);
    let firms: Vec<Firm> = (0..n)
        .map(|i| {
            let sector = number(by_sector.draw(&mut random));
            Firm { name: (i + 1).to_string().into(), sector, market: sector }
        })
        .collect();
    let mut shuffled: Vec<u32> = (0..number(n)).collect();
    for i in (1..n).rev() {
        shuffled.swap(i, random.below(i + 1));
    }
    let ranks = Zipf::new(n, 0.75);
    let mut drawn: HashMap<(u32, u32), f64> = HashMap::with_capacity(m);
    while drawn.len() < m {
        let (supplier, buyer) = (number(ranks.draw(&mut random)), shuffled[ranks.draw(&mut random)]);
        if supplier != buyer {
            let weight = (2.0 * random.normal()).exp();
            drawn.entry((supplier, buyer)).or_insert(weight);
        }
    }
    let links =
        drawn.into_iter().map(|((supplier, buyer), weight)| Link { supplier, buyer, weight }).collect();
    let names: Vec<Arc<str>> = (0..sectors).map(|i| (i + 1).to_string().into()).collect();
    let table = essentiality(&names, &mut random)?;
    Ok((Network::new(firms, names.clone(), names, links)?, table))
}
