//! Notices: disruption alerts, information requests, answers, offers of help, requests for an emergency
//! meeting, and their corrections.
//!
//! * [`model`] — what a notice holds; * [`mod@read`] — reading one, all faults at once;
//! * [`state`] — what became of each notice; * [`cap`] — a notice as a Common Alerting Protocol 1.2 message.

pub mod cap;
pub mod model;
pub mod read;
pub mod state;

pub use model::{Case, Certainty, Handling, Kind, Notice, Obligation, Offer, Request, Severity, Urgency};
pub use read::{blank, read};
pub use state::{NoticeState, Notices, Stage};
