//! The Dataspace Protocol 2025-1 without I/O: messages, state machines, policies.
//!
//! Source: Eclipse Dataspace Protocol 2025-1 (final 2025-08-29, editorial 2025-1-err1 2025-11-12).

pub mod policy;
