//! The Decentralized Claims Protocol 1.0 (DCP) without I/O: by it participants show one another who
//! they are and what others attest about them.
//!
//! Everything here is a pure function of its arguments: no socket, no file and no clock.
//! The one exception is the random number inside an ECDSA signature, which comes from the system. Every text may come from a stranger; each reader has limits and says what is wrong.

pub mod credential;
pub mod did;
pub mod held;
pub mod issuance;
pub mod json;
pub mod jws;
pub mod p256;
pub mod presentation;
pub mod query;
pub mod replay;
pub mod schema;
pub mod status;
pub mod token;
