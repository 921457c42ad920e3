//! One cascade round by round: whom it reaches when, how hard, and by whom.
//!
//! Computed by the definition in [`crate::graph::esri`], every link in every round, which for one firm is quick.

use std::collections::HashMap;

use crate::graph::esri::{Cascade, Essentiality, Options, Shock};
use crate::graph::naive::observed;
use crate::graph::network::{GraphError, Link, Network};

/// A firm that a cascade reaches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// The firm.
    pub firm: u32,
    /// The first round, from 1, after which it has lost at least the share that was asked for.
    pub round: u32,
    /// The share of its own output that it loses in the end, from 0 to 1.
    pub lost: f64,
    /// That loss as a share of the output of the whole network, from 0 to 1.
    pub of_all: f64,
    /// The neighbour reached in an earlier round whose loss weighs most with it: a supplier downstream, a buyer
    /// upstream; `None` when no single one of those had been reached by then.
    pub by: Option<u32>,
}

/// What a round adds, as a share of the output of the whole network.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Round {
    /// From suppliers to buyers.
    pub down: f64,
    /// From buyers to suppliers.
    pub up: f64,
}

/// A cascade round by round.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The sums.
    pub cascade: Cascade,
    /// What each round adds, from the first on; the shock itself is not in it.
    pub rounds: Vec<Round>,
    /// Whom it reaches from suppliers to buyers, by round, then the largest loss of all output first.
    pub down: Vec<Hit>,
    /// Likewise from buyers to suppliers.
    pub up: Vec<Hit>,
}

/// One direction while the cascade runs.
struct Direction {
    /// The round in which each firm was reached.
    reached: HashMap<u32, u32>,
    lost: Vec<f64>,
}

impl Direction {
    fn new(lost: Vec<f64>, shock: &[Shock]) -> Self {
        Self { reached: shock.iter().map(|(firm, _)| (*firm, 0)).collect(), lost }
    }

    /// What all firms together lose in a round, each counted by its weight.
    fn step(&mut self, round: u32, left: &[f64], weight: &[f64], least: f64) -> f64 {
        let mut added = 0.0;
        for (firm, ((lost, left), weight)) in (0..).zip(self.lost.iter_mut().zip(left).zip(weight)) {
            added += weight * (1.0 - left - *lost);
            *lost = 1.0 - left;
            if *lost >= least {
                self.reached.entry(firm).or_insert(round);
            }
        }
        added
    }

    /// `cause` says of a link who passes a loss on to whom, if it does.
    fn hits(
        &self,
        network: &Network,
        weight: &[f64],
        cause: impl Fn(&Link) -> Option<(u32, u32)>,
    ) -> Vec<Hit> {
        let lost = |firm: u32| self.lost.get(firm as usize).copied().unwrap_or(0.0);
        let mut by: HashMap<u32, (f64, u32)> = HashMap::new();
        for link in network.links() {
            let Some((from, to)) = cause(link) else { continue };
            let (Some(before), Some(round)) = (self.reached.get(&from), self.reached.get(&to)) else {
                continue;
            };
            let weighs = link.weight * lost(from);
            if before < round && by.get(&to).is_none_or(|(most, _)| weighs > *most) {
                by.insert(to, (weighs, from));
            }
        }
        let hit = |(&firm, &round): (&u32, &u32)| {
            let of_all = lost(firm) * weight.get(firm as usize).copied().unwrap_or(0.0);
            let by = by.get(&firm).map(|(_, by)| *by);
            (round > 0).then(|| Hit { firm, round, lost: lost(firm), of_all, by })
        };
        let mut hits: Vec<Hit> = self.reached.iter().filter_map(hit).collect();
        hits.sort_by(|a, b| {
            a.round.cmp(&b.round).then(b.of_all.total_cmp(&a.of_all)).then(a.firm.cmp(&b.firm))
        });
        hits
    }
}

/// The cascade of a shock, round by round, with the firms that lose at least a share `least` of their own output.
///
/// # Errors
///
/// As [`crate::graph::esri_of`], and when `least` is not above 0 and at most 1.
pub fn trace(network: &Network, options: &Options, shock: &[Shock], least: f64) -> Result<Trace, GraphError> {
    if !(least > 0.0 && least <= 1.0) {
        return Err(GraphError::Invalid(format!("the least loss {least} must be above 0 and at most 1")));
    }
    crate::graph::esri::check_shock(network, shock)?;
    let sales = network.sales();
    let total: f64 = sales.iter().sum();
    let weight: Vec<f64> = sales.iter().map(|s| if total > 0.0 { s / total } else { 0.0 }).collect();
    let mut lost = vec![0.0; sales.len()];
    for &(firm, share) in shock {
        if let Some(lost) = lost.get_mut(firm as usize) {
            *lost = share;
        }
    }
    let (mut down, mut up) = (Direction::new(lost.clone(), shock), Direction::new(lost, shock));
    let mut rounds = Vec::new();
    let cascade = observed(network, options, shock, |round, hd, hu| {
        rounds.push(Round {
            down: down.step(round, hd, &weight, least),
            up: up.step(round, hu, &weight, least),
        });
    })?;
    let table = match &options.essentiality {
        Essentiality::Table(table) => table.for_network(network)?,
        _ => Vec::new(),
    };
    let sector = |firm: u32| network.firms().get(firm as usize).map_or(0, |f| f.sector as usize);
    let cell = |l: &Link| sector(l.supplier) * network.sectors().len() + sector(l.buyer);
    let needed = |l: &Link| table.get(cell(l)).is_none_or(|needs| *needs > 0);
    Ok(Trace {
        cascade,
        rounds,
        down: down.hits(network, &weight, |l| needed(l).then_some((l.supplier, l.buyer))),
        up: up.hits(network, &weight, |l| Some((l.buyer, l.supplier))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::generate::{Shape, generate};

    #[test]
    fn a_chain_is_reached_link_by_link_in_both_directions() {
        // a sells to b, b to c, c to d; c fails.
        let firms = "firm,sector\na,1\nb,2\nc,3\nd,4\ne,5\n";
        let links = "supplier,buyer,weight\na,b,1\nb,c,2\nc,d,3\nd,e,4\n";
        let network = Network::read("f", firms.as_bytes(), "l", links.as_bytes()).unwrap();
        let options = Options { essentiality: Essentiality::AllEssential, ..Options::default() };
        let found = trace(&network, &options, &[(2, 1.0)], 0.01).unwrap();
        let told = |hits: &[Hit]| -> Vec<(u32, u32, Option<u32>)> {
            hits.iter().map(|h| (h.round, h.firm, h.by)).collect()
        };
        assert_eq!(told(&found.down), [(1, 3, Some(2)), (2, 4, Some(3))]);
        assert_eq!(told(&found.up), [(1, 1, Some(2)), (2, 0, Some(1))]);
        // d sells 4 of the 10 that are sold, b 2 and a 1; e sells nothing.
        assert!((found.rounds[0].down - 0.4).abs() < 1e-12 && (found.rounds[0].up - 0.2).abs() < 1e-12);
        assert!((found.rounds[1].down).abs() < 1e-12 && (found.rounds[1].up - 0.1).abs() < 1e-12);
        assert!(trace(&network, &options, &[(2, 1.0)], 0.0).is_err());
    }

    #[test]
    fn the_rounds_add_up_to_the_index_in_each_direction() {
        let (network, table) = generate(&Shape { firms: 300, links: 1200, sectors: 20, seed: 5 }).unwrap();
        let options = Options { essentiality: Essentiality::Table(table), ..Options::default() };
        let sales = network.sales();
        let total: f64 = sales.iter().sum();
        for firm in [0, 7, 100] {
            let found = trace(&network, &options, &[(firm, 1.0)], 1e-9).unwrap();
            let own = sales[firm as usize] / total;
            let (down, up) = found.rounds.iter().fold((own, own), |(d, u), r| (d + r.down, u + r.up));
            assert!((down - found.cascade.down).abs() < 1e-12 && (up - found.cascade.up).abs() < 1e-12);
            let hits: f64 = found.down.iter().map(|h| h.of_all).sum();
            assert!((own + hits - found.cascade.down).abs() < 1e-6);
        }
    }
}
