//! When time alone will change a decision.

use hiwar_trust::time::Timestamp;

use super::evaluate::{applies, permits};
use super::model::{Constraint, Policy, Required};
use super::{LeftOperand, Request};

/// The first instant after `request.now` at which `permits` gives another answer, all other facts
/// unchanged; `None` when time alone changes nothing. Between now and then the answer is constant, so
/// that a driver can set one timer and need not ask again.
pub fn next_change(policy: &Policy, request: &Request<'_>) -> Option<Timestamp> {
    let mut turns = Vec::new();
    let rules = policy.permission.iter().chain(&policy.prohibition);
    for rule in rules.filter(|rule| applies(rule, request)) {
        for constraint in &rule.constraint {
            collect(constraint, request, &mut turns);
        }
    }
    turns.sort_unstable();
    turns.dedup();
    let today = permits(policy, request);
    turns.into_iter().find(|at| permits(policy, &Request { now: *at, ..*request }) != today)
}

/// A comparison turns at its instant (`lt`, `gteq`, `eq`) or in the millisecond after it (`lteq`, `gt`, `eq`).
fn collect(constraint: &Constraint, request: &Request<'_>, turns: &mut Vec<Timestamp>) {
    match constraint {
        Constraint::Logical(logical) => {
            logical.constraints.iter().for_each(|one| collect(one, request, turns));
        }
        Constraint::Atomic(atomic) => {
            let at = match (atomic.left_operand(), atomic.required()) {
                (LeftOperand::DateTime, Required::Instant(at)) => Some(*at),
                (LeftOperand::ElapsedTime, Required::Length(length)) => {
                    request.agreed_at.map(|agreed_at| length.after(agreed_at))
                }
                _ => None,
            };
            let after = at.map(|at| at.plus_millis(1));
            turns.extend(at.into_iter().chain(after).filter(|turn| *turn > request.now));
        }
    }
}
