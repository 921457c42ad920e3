//! Keys, identities, canonical JSON, the Merkle log, signed notes and receipts.
//!
//! Everything in this crate is a pure function of its arguments: no socket, no file, no clock and
//! no randomness. Time and entropy come in as arguments, so the simulator and the real node run
//! the same code and a dossier can be verified years later on a machine without a network.

pub mod checkpoint;
pub mod did;
pub mod hash;
pub mod httpsig;
pub mod identity;
pub mod invitation;
pub mod jcs;
pub mod key;
pub mod keyfile;
pub mod merkle;
pub mod note;
pub mod receipt;
pub mod tiles;
pub mod time;
pub mod words;
