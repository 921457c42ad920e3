//! Issuing credentials (DCP 1.0, section 6): the messages between an issuer and a holder, and what an
//! issuer signs.

pub mod delivery;
pub mod issue;
pub mod list;
pub mod metadata;
pub mod offer;
pub mod request;
pub mod state;

#[cfg(test)]
mod tests;
