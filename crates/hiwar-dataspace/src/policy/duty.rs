//! What the receiver takes on with an agreement, and by when.

use hiwar_trust::time::Timestamp;
use serde::Serialize;

use super::model::{Atomic, Constraint, Policy, Required, Rule};
use super::same::said;
use super::{Action, LeftOperand, Operator};

/// Which list of a policy a rule stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// What may be done.
    Permission,
    /// What must not be done.
    Prohibition,
    /// What must be done.
    Obligation,
}

impl RuleKind {
    /// The member of the policy that holds such rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Permission => "permission",
            Self::Prohibition => "prohibition",
            Self::Obligation => "obligation",
        }
    }
}

/// Something that the receiver takes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duty {
    /// Where it stands, such as `obligation[0]`.
    pub path: String,
    /// Whether it is an obligation to do something or a prohibition to do it.
    pub kind: RuleKind,
    /// What is to be done or left.
    pub action: Action,
    /// By when, once that is known.
    pub due: Option<Timestamp>,
    /// Whether this node knows how to keep it: delete by a time, not pass on.
    pub kept: bool,
    /// The duty in one sentence.
    pub text: String,
}

/// The duties of a policy: its obligations, and its prohibitions to pass the data on.
///
/// `agreed_at` is when the agreement was made and `received_at` when the data arrived. A delay counts
/// from the arrival; as long as that is not known, from the agreement, which is earlier.
pub fn duties(policy: &Policy, agreed_at: Option<Timestamp>, received_at: Option<Timestamp>) -> Vec<Duty> {
    let obligations = policy.obligation.iter().enumerate().map(|(i, rule)| {
        let deadline = deadline(rule, agreed_at, received_at);
        let (due, kept, text) = match deadline {
            Deadline::At(due) => (Some(due), true, format!("delete all copies by {due}")),
            Deadline::Later(text) => (None, true, format!("delete all copies {text}")),
            Deadline::Unknown => {
                let text = format!("this node cannot keep the obligation to {}; do it by hand", rule.action);
                (None, false, text)
            }
        };
        Duty {
            path: format!("obligation[{i}]"),
            kind: RuleKind::Obligation,
            action: rule.action.clone(),
            due,
            kept,
            text,
        }
    });
    let onward = policy.prohibition.iter().enumerate().filter(|(_, rule)| rule.action == Action::Distribute);
    let onward = onward.map(|(i, rule)| Duty {
        path: format!("prohibition[{i}]"),
        kind: RuleKind::Prohibition,
        action: rule.action.clone(),
        due: None,
        kept: true,
        text: if rule.constraint.is_empty() {
            "do not pass the data on".to_owned()
        } else {
            "pass the data on only to whom the terms allow".to_owned()
        },
    });
    obligations.chain(onward).collect()
}

enum Deadline {
    At(Timestamp),
    Later(String),
    Unknown,
}

/// The earliest of the times by which a rule to delete wants it done.
fn deadline(rule: &Rule, agreed_at: Option<Timestamp>, received_at: Option<Timestamp>) -> Deadline {
    let atomics: Option<Vec<&Atomic>> = rule
        .constraint
        .iter()
        .map(|one| match one {
            Constraint::Atomic(atomic) if is_deadline(atomic) => Some(atomic),
            _ => None,
        })
        .collect();
    let (Some(atomics), Action::Delete, None) = (atomics, &rule.action, said(&rule.other).next()) else {
        return Deadline::Unknown;
    };
    let mut due: Option<Timestamp> = None;
    let mut later = "once they are no longer used".to_owned();
    for atomic in atomics {
        let start = match atomic.left_operand() {
            LeftOperand::DelayPeriod => received_at.or(agreed_at),
            _ => agreed_at,
        };
        let at = match (atomic.required(), start) {
            (Required::Instant(at), _) => Some(*at),
            (Required::Length(length), Some(start)) => Some(length.after(start)),
            (Required::Length(length), None) => {
                let from = if *atomic.left_operand() == LeftOperand::DelayPeriod {
                    "receipt"
                } else {
                    "the agreement"
                };
                later = format!("within {} of {from}", length.text());
                None
            }
            _ => None,
        };
        due = match (due, at) {
            (Some(due), Some(at)) => Some(due.min(at)),
            (due, at) => due.or(at),
        };
    }
    due.map_or(Deadline::Later(later), Deadline::At)
}

/// Whether a comparison says by when something must be done.
pub(crate) fn is_deadline(atomic: &Atomic) -> bool {
    let operand = matches!(
        atomic.left_operand(),
        LeftOperand::DelayPeriod | LeftOperand::ElapsedTime | LeftOperand::DateTime
    );
    let operator = matches!(atomic.operator(), Operator::Eq | Operator::Lt | Operator::Lteq);
    let read = matches!(atomic.required(), Required::Instant(_) | Required::Length(_));
    operand && operator && read && said(atomic.other()).next().is_none()
}
