//! The index of every firm, month by month, in a network whose links come and go:
//! `esri_months [firms links sectors months threads]`.

use std::time::Instant;

use hiwar_radar::graph::esri::{Essentiality, Options, esri_all};
use hiwar_radar::graph::generate::Shape;
use hiwar_radar::graph::months::Months;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let get = |i: usize, otherwise: usize| numbers.get(i).copied().unwrap_or(otherwise);
    let shape = Shape { firms: get(0, 3_000), links: get(1, 11_473), sectors: get(2, 150), seed: 1 };
    let (mut months, table) = Months::new(&shape)?;
    let essentiality = Essentiality::Table(table);
    let options = Options { essentiality, threads: get(4, 0), ..Options::default() };
    for month in 0..get(3, 13) {
        if month > 0 {
            months.advance();
        }
        let network = months.network()?;
        let mut buyers = vec![0_u32; shape.firms];
        for link in network.links() {
            buyers[link.supplier as usize] += 1;
        }
        let start = Instant::now();
        let found = esri_all(&network, &options, |_| {})?;
        println!(
            "month {month}: {:.2?}, largest index {:.6}, {} firms above 1 %, most buyers of one firm {}",
            start.elapsed(),
            found.iter().copied().fold(0.0, f64::max),
            found.iter().filter(|e| **e > 0.01).count(),
            buyers.iter().max().unwrap_or(&0)
        );
    }
    Ok(())
}
