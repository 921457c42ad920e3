//! Detectors for monthly series. Each is a small, explicit rule with its numbers in a struct and
//! its source in the first lines of its file; the scan puts them together.
//!
//! All of them look back only: what they say of a month depends on that month and the months
//! before it.

pub mod bocpd;
pub mod cusum;
pub mod evt;
pub mod fdr;
pub mod holiday;
pub mod robust;
pub mod stl;
