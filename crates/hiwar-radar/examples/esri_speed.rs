//! How long the index of every firm takes: `esri_speed [firms links sectors]`, with the checks that
//! the result deserves.

use std::time::Instant;

use hiwar_radar::graph::esri::{Essentiality, Options, cascades, esri_of};
use hiwar_radar::graph::generate::{Shape, generate};
use hiwar_radar::graph::naive::esri_naive;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let get = |i: usize, otherwise: usize| numbers.get(i).copied().unwrap_or(otherwise);
    let (firms, links, sectors) = (get(0, 3_000), get(1, 11_473), get(2, 150));
    let start = Instant::now();
    let (network, table) = generate(&Shape { firms, links, sectors, seed: 1 })?;
    println!("{firms} firms, {links} links, {sectors} sectors: generated in {:.2?}", start.elapsed());
    let mut options = Options { essentiality: Essentiality::Table(table), ..Options::default() };
    options.threads = get(3, 0);
    if let Some(exponent) = numbers.get(4) {
        options.tolerance = if *exponent == 0 { 0.0 } else { 10_f64.powi(-i32::try_from(*exponent)?) };
    }
    let start = Instant::now();
    let step = get(5, 1).max(1);
    let some: Vec<u32> = (0..u32::try_from(firms)?).step_by(step).collect();
    let all = cascades(&network, &options, &some, |_| {})?;
    let took = start.elapsed();
    let visits: u64 = all.iter().map(|c| c.visits).sum();
    let rounds: u64 = all.iter().map(|c| u64::from(c.rounds)).sum();
    let most = all.iter().map(|c| c.esri).fold(0.0, f64::max);
    println!("all cascades in {took:.2?}: {visits} links passed, {rounds} rounds, largest index {most:.6}");
    if numbers.len() > 6 {
        return Ok(());
    }
    // The definition is slow: fewer of larger networks.
    let checks = (2_000_000 / firms).max(20);
    let mut worst = 0.0_f64;
    let start = Instant::now();
    for i in (0..firms).step_by((firms / checks / step * step).max(1)) {
        let shock = [(u32::try_from(i)?, 1.0)];
        let naive = esri_naive(&network, &options, &shock)?;
        let Some(fast) = all.get(i / step) else { continue };
        worst = worst.max((naive.esri - fast.esri).abs());
        if naive.rounds != fast.rounds {
            println!("firm {i}: {} rounds instead of {}", fast.rounds, naive.rounds);
        }
    }
    println!(
        "largest difference from the definition on {checks} firms {worst:.1e}, checked in {:.2?}",
        start.elapsed()
    );
    let one = Options { tolerance: 0.0, ..options };
    println!("firm 1 with nothing held back: {:?}", esri_of(&network, &one, &[(0, 1.0)])?);
    Ok(())
}
