//! Deterministic simulation: several nodes run their real decision code in one thread, while the
//! network, the clocks, the disks and some of the nodes misbehave as a seed tells them to.
//!
//! A seed decides everything. The same seed gives the same run, step by step; a seed that fails
//! can be replayed alone with a trace.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a simulator stops at the first thing that must not happen"
)]

mod check;
mod node;
pub mod random;
mod world;

pub use world::{Faults, Summary, run};
