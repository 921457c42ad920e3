//! The Dataspace Protocol 2025-1 without I/O: messages, state machines, policies, and the connector
//! that puts them together over a [`ledger::Ledger`].
//!
//! Source: Eclipse Dataspace Protocol 2025-1 (final 2025-08-29, editorial 2025-1-err1 2025-11-12).

pub mod catalog;
pub mod connector;
pub mod ledger;
pub mod negotiation;
pub mod policy;
pub mod record;
pub mod rules;
pub mod transfer;
pub mod wire;
