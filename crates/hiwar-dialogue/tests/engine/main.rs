//! How the engine behaves, one story a test: what it refuses, how parties join and leave, and how
//! what is lost comes back.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod bad_batches;
mod bad_entries;
mod delivery;
mod kit;
mod logs;
mod memberships;
