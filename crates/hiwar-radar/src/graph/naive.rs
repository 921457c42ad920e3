//! The cascade by its definition: every link in every round. For comparison; the formulas are in
//! [`crate::graph::esri`].

use std::collections::HashMap;

use crate::graph::esri::{Cascade, Essentiality, Options, Shock, check_options, check_shock};
use crate::graph::network::{GraphError, Network};

/// What [`crate::graph::esri_of`] gives, computed without any shortcut. `tolerance` and `threads`
/// are not used.
///
/// # Errors
///
/// As [`crate::graph::esri_of`].
pub fn esri_naive(network: &Network, options: &Options, shock: &[Shock]) -> Result<Cascade, GraphError> {
    observed(network, options, shock, |_, _, _| {})
}

/// As [`esri_naive`]; `after` is told after each round, from 1, what each firm is left with downstream (hd) and
/// upstream (hu).
pub(crate) fn observed(
    network: &Network,
    options: &Options,
    shock: &[Shock],
    mut after: impl FnMut(u32, &[f64], &[f64]),
) -> Result<Cascade, GraphError> {
    check_options(options)?;
    check_shock(network, shock)?;
    let (firms, links) = (network.firms(), network.links());
    let (n, sectors) = (firms.len(), network.sectors().len());
    let table = match &options.essentiality {
        Essentiality::AllEssential => vec![2; sectors * sectors],
        Essentiality::AllLinear => vec![1; sectors * sectors],
        Essentiality::Table(table) => table.for_network(network)?,
    };
    let sector = |i: u32| firms[i as usize].sector as usize;
    let need = |i: u32, j: u32| table[sector(i) * sectors + sector(j)];
    let (sales, purchases) = (network.sales(), network.purchases());
    let mut of_sector: HashMap<(u32, usize), f64> = HashMap::new();
    for l in links {
        *of_sector.entry((l.buyer, sector(l.supplier))).or_default() += l.weight;
    }
    let share_down = |s: u32, b: u32, w: f64| match need(s, b) {
        2 => w / of_sector[&(b, sector(s))],
        1 => w / purchases[b as usize],
        _ => 0.0,
    };
    let mut psi = vec![1.0; n];
    for &(firm, lost) in shock {
        psi[firm as usize] = 1.0 - lost;
    }
    let (mut hd, mut hu) = (psi.clone(), psi.clone());
    let mut rounds = 0;
    while rounds < options.max_rounds {
        rounds += 1;
        let mut market = vec![0.0; network.markets().len()];
        for ((firm, s), h) in firms.iter().zip(&sales).zip(&hd) {
            market[firm.market as usize] += s * h;
        }
        let sigma = |i: usize| {
            let left: f64 = market[firms[i].market as usize];
            if options.replaceability && left > 0.0 { (sales[i] / left).min(1.0) } else { 1.0 }
        };
        let mut essential: HashMap<(u32, usize), f64> = HashMap::new();
        let (mut other, mut up) = (vec![0.0; n], vec![0.0; n]);
        for l in links {
            let (s, b) = (l.supplier as usize, l.buyer as usize);
            let lost = share_down(l.supplier, l.buyer, l.weight) * sigma(s) * (1.0 - hd[s]);
            match need(l.supplier, l.buyer) {
                2 => *essential.entry((l.buyer, sector(l.supplier))).or_default() += lost,
                _ => other[b] += lost,
            }
            up[s] += l.weight / sales[s] * (1.0 - hu[b]);
        }
        let mut new_d: Vec<f64> = psi.iter().zip(&other).map(|(p, o)| p.min(1.0 - o).max(0.0)).collect();
        for (&(b, _), lost) in &essential {
            let h = &mut new_d[b as usize];
            *h = h.min(1.0 - lost).max(0.0);
        }
        let new_u: Vec<f64> = psi.iter().zip(&up).map(|(p, o)| p.min(1.0 - o).max(0.0)).collect();
        let fall = |old: &[f64], new: &[f64]| old.iter().zip(new).map(|(a, b)| a - b).fold(0.0, f64::max);
        let most = fall(&hd, &new_d).max(fall(&hu, &new_u));
        (hd, hu) = (new_d, new_u);
        after(rounds, &hd, &hu);
        if most < options.eps {
            break;
        }
    }
    let total: f64 = sales.iter().sum();
    let lost = |h: &dyn Fn(usize) -> f64| -> f64 {
        let sum: f64 = sales.iter().enumerate().map(|(i, s)| s * (1.0 - h(i))).sum();
        if total > 0.0 { sum / total } else { 0.0 }
    };
    Ok(Cascade {
        esri: lost(&|i| hd[i].min(hu[i])),
        down: lost(&|i| hd[i]),
        up: lost(&|i| hu[i]),
        rounds,
        visits: 2 * u64::from(rounds) * links.len() as u64,
    })
}
