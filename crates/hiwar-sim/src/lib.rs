//! Deterministic simulation: several nodes in one thread, each the real engine over a ledger in
//! memory, on a network and clocks that misbehave as a seed says. One seed is one run, the same
//! on every machine.
//!
//! * `world` — virtual time, the network, the course of a run;
//! * `node`, `work`, `network` — a node as it runs: its writer with group commits, its sessions and
//!   delivery tasks;
//! * `workload` — what desks do; `faults`, `trouble`, `byzantine` — what goes wrong;
//! * `dataspace` — two connectors of the Dataspace Protocol, a simulation of its own;
//! * `invariants`, `oracle` — what must hold nevertheless.

#![expect(
    clippy::print_stdout,
    reason = "a trace is printed as it happens, so that it is there when a run does not end"
)]

mod byzantine;
mod dataspace;
mod faults;
mod invariants;
mod network;
mod node;
mod oracle;
mod rng;
mod stats;
mod trouble;
mod work;
mod workload;
mod world;

pub use dataspace::{DataspaceStats, run as run_dataspace};
pub use stats::Stats;
pub use world::Violation;

/// Runs one seed.
///
/// # Errors
/// The first invariant that did not hold.
pub fn run(seed: u64, trace: bool) -> Result<Stats, Violation> {
    let mut world = world::World::new(seed, trace);
    world.run()?;
    Ok(world.stats)
}
