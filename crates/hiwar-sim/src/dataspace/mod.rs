//! Two connectors of the Dataspace Protocol, each with its ledger, on a network that loses requests and
//! answers, doubles, delays and reorders them; with crashes beside every commit, full disks, jumping
//! clocks, rules that answer in every way, and people who take steps and end things at any time.
//!
//! * `world` — virtual time, the network and the course of a run;
//! * `side` — one connector: its transactions, its driver, its endpoints;
//! * `people` — what people begin, step, and end;
//! * `model` — the state machines once more, from the specification;
//! * `check` — what must hold after every commit, and when all is settled.

mod check;
mod model;
mod people;
mod side;
mod stats;
mod world;

pub use stats::Stats as DataspaceStats;

use crate::world::Violation;

/// Runs one seed.
///
/// # Errors
/// The first invariant that did not hold.
pub fn run(seed: u64, trace: bool) -> Result<DataspaceStats, Violation> {
    let mut world = world::World::new(seed, trace);
    world.run()?;
    Ok(world.stats)
}
