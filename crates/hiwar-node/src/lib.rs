//! The running node: the only crate with sockets, tasks, a clock and randomness.
//!
//! `http edges → command → decide (engine) → commit (state, log and outbox in one transaction) →
//! deliver → observe`. [`writer`] decides and commits, `deliver` sends, `peer_server` and `api`
//! are the ways in, [`peer_client`] is the only way out.

pub mod api;
mod attachments;
mod backup;
mod card_update;
mod cards;
pub mod claims;
pub mod clock;
pub mod config;
pub mod data_plane;
pub mod dataspace;
mod deliver;
pub mod desks;
mod dossier;
pub mod folder;
pub mod json;
mod listen;
pub mod metrics;
pub mod node;
pub mod outbound;
pub mod peer_client;
pub mod peer_server;
mod procedure;
mod public;
pub mod recovery;
pub mod rotation;
pub mod session;
mod succession;
pub mod tls;
pub mod writer;
