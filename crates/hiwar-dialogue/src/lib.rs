//! Entries, dialogues, delivery and witnessing: every decision a node takes, without a socket, a
//! clock, randomness or a database.
//!
//! [`engine::Engine`] is driven by the real node and by the simulator alike. Each call returns
//! what to answer and collects [`ledger::Change`]s; the caller makes them durable and only then
//! lets the answer leave.

pub mod engine;
pub mod entry;
pub mod ledger;
pub mod limits;
pub mod marking;
pub mod prover;
pub mod thread;
pub mod wire;
