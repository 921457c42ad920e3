//! Dossiers of a small dialogue between three parties: what they prove, and what becomes of them
//! when somebody changes them.

mod tamper;
mod verdicts;
mod world;
