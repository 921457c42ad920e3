//! Dossiers of a small dialogue between three parties: what they prove, and what becomes of them
//! when somebody changes them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod archive;
mod forgery;
mod tamper;
mod verdicts;
mod world;
