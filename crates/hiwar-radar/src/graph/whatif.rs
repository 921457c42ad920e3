//! What if: the index before and after links are edited, such as when a second source is added.

use std::collections::BTreeMap;

use crate::graph::esri::{Cascade, Options, cascades};
use crate::graph::network::{GraphError, Link, Network};

/// A change of links. Firms are places in [`Network::firms`], weights in the network's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Edit {
    /// The link has this weight from now on; with 0 it is gone.
    Set {
        /// The seller.
        supplier: u32,
        /// The buyer.
        buyer: u32,
        /// The weight.
        weight: f64,
    },
    /// The buyer takes a share of what it buys from one supplier from another one instead.
    SecondSource {
        /// The buyer.
        buyer: u32,
        /// The supplier so far.
        from: u32,
        /// The second one, which may supply the buyer already.
        to: u32,
        /// The share that moves, above 0 and at most 1.
        share: f64,
    },
}

/// One firm's complete failure, before and after the edits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// The firm that fails.
    pub firm: u32,
    /// In the network as it is.
    pub before: Cascade,
    /// In the edited one.
    pub after: Cascade,
}

/// A network with edited links. Edits apply one after the other.
///
/// # Errors
///
/// When a share or weight is out of range, `from` does not supply the buyer, or the result is no
/// network (see [`Network::new`]).
pub fn edited(network: &Network, edits: &[Edit]) -> Result<Network, GraphError> {
    let mut links: BTreeMap<(u32, u32), f64> =
        network.links().iter().map(|l| ((l.supplier, l.buyer), l.weight)).collect();
    for edit in edits {
        match *edit {
            Edit::Set { supplier, buyer, weight: 0.0 } => {
                links.remove(&(supplier, buyer));
            }
            Edit::Set { supplier, buyer, weight } => {
                links.insert((supplier, buyer), weight);
            }
            Edit::SecondSource { buyer, from, to, share } => {
                let invalid =
                    |text: &str| GraphError::Invalid(format!("second source {to} for {buyer}: {text}"));
                if !(share > 0.0 && share <= 1.0) {
                    return Err(invalid("the share must be above 0 and at most 1"));
                }
                if from == to {
                    return Err(invalid("it is the first source"));
                }
                let whole = links
                    .remove(&(from, buyer))
                    .ok_or_else(|| invalid("the first source does not supply it"))?;
                if share < 1.0 {
                    links.insert((from, buyer), whole * (1.0 - share));
                }
                *links.entry((to, buyer)).or_default() += whole * share;
            }
        }
    }
    let links =
        links.into_iter().map(|((supplier, buyer), weight)| Link { supplier, buyer, weight }).collect();
    Network::new(network.firms().to_vec(), network.sectors().to_vec(), network.markets().to_vec(), links)
}

/// The failure of each of some firms, before and after edits.
///
/// # Errors
///
/// As [`edited`] and [`cascades`].
pub fn compare(
    network: &Network,
    options: &Options,
    edits: &[Edit],
    firms: &[u32],
) -> Result<Vec<Comparison>, GraphError> {
    let before = cascades(network, options, firms, |_| {})?;
    let after = cascades(&edited(network, edits)?, options, firms, |_| {})?;
    let both = before.into_iter().zip(after);
    Ok(firms.iter().zip(both).map(|(&firm, (before, after))| Comparison { firm, before, after }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::esri::Essentiality;

    #[test]
    fn a_second_source_halves_what_the_first_one_can_stop() {
        // a and b make the same; c buys from a alone and sells to d. b sells a little to d.
        let firms = "firm,sector\na,1\nb,1\nc,2\nd,3\n";
        let links = "supplier,buyer,weight\na,c,1\nc,d,8\nb,d,1\n";
        let network = Network::read("f", firms.as_bytes(), "l", links.as_bytes()).unwrap();
        let options = Options {
            essentiality: Essentiality::AllEssential,
            replaceability: false,
            tolerance: 0.0,
            ..Options::default()
        };
        let edit = Edit::SecondSource { buyer: 2, from: 0, to: 1, share: 0.5 };
        let [a] = compare(&network, &options, &[edit], &[0]).unwrap()[..] else { panic!() };
        // Before: a (1 of 10) and c (8 of 10) stop. After: a (0.5 of 10) stops, c falls by half.
        assert!((a.before.esri - 0.9).abs() < 1e-12 && (a.after.esri - 0.45).abs() < 1e-12, "{a:?}");
        for wrong in [
            Edit::SecondSource { buyer: 2, from: 1, to: 0, share: 0.5 },
            Edit::SecondSource { buyer: 2, from: 0, to: 0, share: 0.5 },
            Edit::SecondSource { buyer: 2, from: 0, to: 1, share: 0.0 },
            Edit::SecondSource { buyer: 2, from: 0, to: 9, share: 0.5 },
            Edit::Set { supplier: 0, buyer: 1, weight: -1.0 },
        ] {
            assert!(edited(&network, &[wrong]).is_err(), "{wrong:?}");
        }
        let removed = edited(&network, &[Edit::Set { supplier: 1, buyer: 3, weight: 0.0 }]).unwrap();
        assert_eq!(removed.links().len(), 2);
    }
}
