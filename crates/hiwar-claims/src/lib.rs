//! The Decentralized Claims Protocol 1.0 (DCP) without I/O: by it participants show one another who
//! they are and what others attest about them.
//!
//! Everything here is a pure function of its arguments: no socket, no file, no clock and no
//! randomness. Every text may come from a stranger; each reader has limits and says what is wrong.

pub mod json;
pub mod jws;
pub mod replay;
pub mod token;
