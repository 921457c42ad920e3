//! Clocks: who must do what by when, judged from what happened.
//!
//! [`duties`] is a pure function of the events of a dialogue, the versions of its arrangement and the time to judge
//! as of. A duty starts with an event and never pauses. It keeps the version of the arrangement that governed its
//! start, so a later version neither ends nor changes it. It is judged by the times that entries claim; what those
//! claims are worth is said beside it ([`proof`]).
//!
//! What more entries can change: with the same versions in force, a duty that was met stays met, at the same time
//! or, when an entry that claims an earlier time arrives, at that earlier time; a duty that was there stays there. Only
//! entries that change which version governed the start, or that make the act void which started or met a duty, can
//! take it away, and then every node that holds the same entries sees the same.

mod duty;
pub mod proof;
pub mod rule;
mod stage;

#[cfg(test)]
mod proof_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod source_tests;
#[cfg(test)]
mod tests;

pub use duty::{Duty, State, Threads, duties};
pub use proof::{Effective, Flag, Knowledge, ReEntry, effective, flags, knowledge};
pub use rule::{UTC, zone};
pub use stage::{Stage, StageKind, next_instant, stages_between, stages_until};
