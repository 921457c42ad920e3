//! Synthetic firm networks month by month, the same for the same seed on every machine: links end and begin, firms
//! close and others open in their place.
//!
//! The numbers are those that T. Reisch and others (2025) report of Hungary's firms from 2014 to 2022, known here at
//! second hand: half of the links are gone after 13 months, 25 % of the firms close in a year, and a firm gets new links
//! with a probability that grows with k^1.08, k being its links in that direction. Ours: k + 1 in place of k, so that
//! new firms get any; as many firms open as close (reported: 28 % a year); the number of links stays; weights and
//! essentiality as in [`crate::graph::generate`].

use std::collections::HashSet;
use std::sync::Arc;

use crate::graph::generate::{Random, Shape, Zipf, essentiality};
use crate::graph::network::{EssentialityTable, Firm, GraphError, Link, Network};

/// How the probability of a new link grows with the links there are.
const ATTACHMENT: f64 = 1.08;
/// Months after which half of the links are gone.
const HALF_LIFE: f64 = 13.0;
/// The share of firms that close in a year.
const CLOSE_A_YEAR: f64 = 0.25;
/// After so many pairs that are linked already, one is drawn without regard to links.
const TRIES: u32 = 64;

/// Draws by weights that change (P. Fenwick 1994).
struct Weights {
    /// Sums over ranges, from 1 on.
    tree: Vec<f64>,
    count: Vec<u32>,
}

fn weight(links: u32) -> f64 {
    (f64::from(links) + 1.0).powf(ATTACHMENT)
}

impl Weights {
    fn new(n: usize) -> Self {
        let mut weights = Self { tree: vec![0.0; n + 1], count: vec![0; n] };
        for at in 0..n {
            weights.add(at, weight(0));
        }
        weights
    }

    fn add(&mut self, at: usize, change: f64) {
        let mut node = at + 1;
        while let Some(sum) = self.tree.get_mut(node) {
            *sum += change;
            node += node & node.wrapping_neg();
        }
    }

    /// One link more, or one less.
    fn link(&mut self, at: u32, more: bool) {
        let Some(count) = self.count.get_mut(at as usize) else { return };
        let before = *count;
        *count = if more { before + 1 } else { before.saturating_sub(1) };
        let change = weight(*count) - weight(before);
        self.add(at as usize, change);
    }

    fn sum(&self) -> f64 {
        let (mut sum, mut node) = (0.0, self.count.len());
        while node > 0 {
            sum += self.tree.get(node).copied().unwrap_or(0.0);
            node &= node - 1;
        }
        sum
    }

    fn draw(&self, random: &mut Random) -> u32 {
        let mut left = random.unit() * self.sum();
        let (mut at, mut step) = (0, self.count.len().next_power_of_two());
        while step > 0 {
            if let Some(sum) = self.tree.get(at + step).filter(|sum| **sum <= left) {
                left -= sum;
                at += step;
            }
            step /= 2;
        }
        u32::try_from(at.min(self.count.len().saturating_sub(1))).unwrap_or(u32::MAX)
    }
}

/// A network that changes from month to month.
pub struct Months {
    random: Random,
    by_sector: Zipf,
    sectors: Vec<Arc<str>>,
    firms: Vec<Firm>,
    /// Firms so far, also those that have closed.
    named: usize,
    wanted: usize,
    links: Vec<Link>,
    pairs: HashSet<(u32, u32)>,
    sells: Weights,
    buys: Weights,
}

impl Months {
    /// The first month, and the essentiality table of all months.
    ///
    /// # Errors
    ///
    /// As [`crate::graph::generate::generate`].
    pub fn new(shape: &Shape) -> Result<(Self, EssentialityTable), GraphError> {
        let Shape { firms: n, links: wanted, sectors, seed } = *shape;
        if n < 2 || sectors == 0 || wanted > n.saturating_mul(n - 1) / 3 || u32::try_from(n).is_err() {
            return Err(GraphError::Invalid(format!(
                "{wanted} links of {n} firms in {sectors} sectors cannot be generated"
            )));
        }
        let mut random = Random::new(seed);
        let names: Vec<Arc<str>> = (0..sectors).map(|i| (i + 1).to_string().into()).collect();
        let table = essentiality(&names, &mut random)?;
        let mut months = Self {
            random,
            by_sector: Zipf::new(sectors, 0.8),
            sectors: names,
            firms: Vec::with_capacity(n),
            named: 0,
            wanted,
            links: Vec::with_capacity(wanted),
            pairs: HashSet::with_capacity(wanted),
            sells: Weights::new(n),
            buys: Weights::new(n),
        };
        for _ in 0..n {
            let firm = months.open();
            months.firms.push(firm);
        }
        months.fill();
        Ok((months, table))
    }

    /// The network of this month.
    ///
    /// # Errors
    ///
    /// Only by a fault of this module.
    pub fn network(&self) -> Result<Network, GraphError> {
        Network::new(self.firms.clone(), self.sectors.clone(), self.sectors.clone(), self.links.clone())
    }

    /// To the next month.
    pub fn advance(&mut self) {
        let stays_open = (1.0 - CLOSE_A_YEAR).powf(1.0 / 12.0);
        let mut closed = vec![false; self.firms.len()];
        for (at, closed) in closed.iter_mut().enumerate() {
            if self.random.unit() >= stays_open {
                *closed = true;
                let firm = self.open();
                if let Some(place) = self.firms.get_mut(at) {
                    *place = firm;
                }
            }
        }
        // A link ends with either of its firms; the rest of what ends in a month ends by itself.
        let stays = 0.5_f64.powf(1.0 / HALF_LIFE) / (stays_open * stays_open);
        let has_closed = |firm: u32| closed.get(firm as usize).copied().unwrap_or(false);
        for link in std::mem::take(&mut self.links) {
            if has_closed(link.supplier) || has_closed(link.buyer) || self.random.unit() >= stays {
                self.pairs.remove(&(link.supplier, link.buyer));
                self.sells.link(link.supplier, false);
                self.buys.link(link.buyer, false);
            } else {
                self.links.push(link);
            }
        }
        self.fill();
    }

    fn open(&mut self) -> Firm {
        self.named += 1;
        let sector = u32::try_from(self.by_sector.draw(&mut self.random)).unwrap_or(0);
        Firm { name: self.named.to_string().into(), sector, market: sector }
    }

    /// New links until there are as many as wanted.
    fn fill(&mut self) {
        let mut tries = 0;
        while self.links.len() < self.wanted {
            tries += 1;
            let (supplier, buyer) = if tries > TRIES {
                let n = self.firms.len();
                let any = |i: usize| u32::try_from(i).unwrap_or(u32::MAX);
                (any(self.random.below(n)), any(self.random.below(n)))
            } else {
                (self.sells.draw(&mut self.random), self.buys.draw(&mut self.random))
            };
            if supplier != buyer && self.pairs.insert((supplier, buyer)) {
                tries = 0;
                let weight = (2.0 * self.random.normal()).exp();
                self.links.push(Link { supplier, buyer, weight });
                self.sells.link(supplier, true);
                self.buys.link(buyer, true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { firms: 4_000, links: 16_000, sectors: 20, seed: 7 };

    #[test]
    fn half_of_the_links_and_a_quarter_of_the_firms_of_a_year_are_gone() {
        let (mut months, _) = Months::new(&SHAPE).unwrap();
        let (firms, links) = (months.firms.clone(), months.links.clone());
        let names = |firms: &[Firm]| -> HashSet<Arc<str>> { firms.iter().map(|f| f.name.clone()).collect() };
        for month in 1..=13 {
            months.advance();
            assert_eq!(months.network().unwrap().links().len(), SHAPE.links);
            if month == 12 {
                let left = names(&firms).intersection(&names(&months.firms)).count() as f64;
                assert!((left / SHAPE.firms as f64 - 0.75).abs() < 0.03, "{left}");
            }
        }
        // A link is the same when its weight is: those are drawn anew for each.
        let now: HashSet<u64> = months.links.iter().map(|l| l.weight.to_bits()).collect();
        let left = links.iter().filter(|l| now.contains(&l.weight.to_bits())).count() as f64;
        assert!((left / SHAPE.links as f64 - 0.5).abs() < 0.03, "{left}");
    }

    #[test]
    fn many_links_attract_more_than_their_share_of_new_ones() {
        let mut weights = Weights::new(50);
        for _ in 0..99 {
            weights.link(7, true);
        }
        for _ in 0..9 {
            weights.link(31, true);
        }
        let mut random = Random::new(3);
        let mut drawn = [0_u32; 50];
        for _ in 0..200_000 {
            drawn[weights.draw(&mut random) as usize] += 1;
        }
        // (100 / 10)^1.08 = 12.02 times as many, and 10^1.08 = 12.02 times as many as one without links.
        let ratio = f64::from(drawn[7]) / f64::from(drawn[31]);
        assert!((ratio - 12.02).abs() < 0.4, "{ratio}");
        let without: u32 = drawn.iter().sum::<u32>() - drawn[7] - drawn[31];
        let ratio = f64::from(drawn[31]) / (f64::from(without) / 48.0);
        assert!((ratio - 12.02).abs() < 0.4, "{ratio}");
        for _ in 0..99 {
            weights.link(7, false);
        }
        assert!((weights.sum() - 49.0 - 10_f64.powf(1.08)).abs() < 1e-9);
    }

    #[test]
    fn the_same_seed_gives_the_same_months() {
        let run = |seed| {
            let shape = Shape { firms: 300, links: 1_200, sectors: 9, seed };
            let (mut months, table) = Months::new(&shape).unwrap();
            for _ in 0..5 {
                months.advance();
            }
            (months.network().unwrap(), table)
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1).0, run(2).0);
        assert!(Months::new(&Shape { firms: 3, links: 6, sectors: 1, seed: 1 }).is_err());
    }
}
