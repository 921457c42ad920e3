//! The subset of ODRL that the Dataspace Protocol 2025-1 carries: read, checked, evaluated, explained.
//!
//! Sources: JSON Schema `negotiation/contract-schema.json` of the Dataspace Protocol 2025-1, and
//! *ODRL Information Model 2.2*, W3C Recommendation of 2018-02-15 (cited as "IM").

mod action;
mod agreement;
mod change;
mod contradiction;
mod country;
mod dry_run;
mod duty;
mod evaluate;
mod explain;
mod group;
mod instant;
mod lint;
mod model;
mod nearest;
mod offer;
mod operand;
mod operator;
mod place;
mod read;
mod request;
mod right_operand;
mod same;
mod short;
mod support;
mod terms;
mod wish;
mod write;

pub use action::Action;
pub use agreement::Agreement;
pub use change::next_change;
pub use dry_run::{DryRun, dry_run};
pub use duty::{Duty, RuleKind, duties};
pub use evaluate::{Verdict, permits};
pub use explain::{Decision, Finding, evaluate};
pub use lint::{Authoring, LintFinding, Severity, cannot_keep, lint};
pub use model::{Atomic, Constraint, Logical, LogicalKind, Policy, Rule};
pub use offer::{MessageOffer, Offer};
pub use operand::LeftOperand;
pub use operator::Operator;
pub use place::Place;
pub use read::{Limits, PolicyError, read};
pub use request::{Credential, Participant, Phase, Request};
pub use right_operand::RightOperand;
pub use support::{Support, constraint_support, rule_support};
pub use terms::{Terms, TermsError};

/// The vocabulary of this node: the operands of [`LeftOperand`] that ODRL has no term for are this
/// text, a colon and the operand's short name.
pub const PROFILE: &str = "urn:hiwar:policy:1";

/// The version of the rules by which policies are evaluated. It changes whenever the same policy
/// and the same facts could lead to another decision.
pub const RULES_VERSION: u32 = 1;
