//! Statistical disclosure control: firms report confidentially to their ministry, which releases cells, or
//! an alert, that reveal no firm.
//!
//! | module | what it holds |
//! |---|---|
//! | [`report`] | what one firm says |
//! | [`design`] | dimensions with hierarchies, the unit |
//! | [`rules`] | when a cell says too much of a contributor |
//! | [`table`] | all cells with their contributions; confidential |
//! | [`protect`](mod@protect) | secondary suppression and the audit |
//! | [`release`] | what leaves, and what may follow it |
//! | [`sdmx`] | SDMX-CSV, plain CSV, the structure message |
//! | [`proof`] | proof of derivation without the source |
//! | [`alert`] | an alert instead of a cell |
//!
//! Pure: no file, socket, clock or randomness.

pub mod alert;
mod attack;
pub mod code;
pub mod design;
pub mod fault;
pub mod proof;
pub mod protect;
pub mod release;
pub mod report;
pub mod rules;
pub mod sdmx;
mod search;
pub mod table;

/// What faults and refusals say, in four languages; keys are [`Fault::code`], [`Refusal::key`] and
/// [`rules::Sensitivity::key`].
pub fn messages() -> hiwar_form::Messages {
    hiwar_form::Messages::new([
        include_str!("../locales/en.ftl"),
        include_str!("../locales/ko.ftl"),
        include_str!("../locales/ja.ftl"),
        include_str!("../locales/ar.ftl"),
    ])
}

pub use code::{Code, Id, Party, Percent, Period};
pub use design::Design;
pub use fault::{Fault, Faults};
pub use proof::{Blinding, Commitment, Context, Proof};
pub use protect::{Refusal, protect};
pub use release::{Gap, Release, Row, revise};
pub use report::Report;
pub use table::{CellId, Table};
