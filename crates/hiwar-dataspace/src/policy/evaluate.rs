//! Whether a policy permits a request.
//!
//! A request is permitted when some permission for its action is fulfilled and no prohibition of it
//! is: prohibitions win (IM 2.2 section 2.10, `conflict` = `prohibit`). A prohibition that cannot be
//! evaluated counts as one that applies, a permission that cannot be evaluated as one that does not.

use std::cmp::Ordering;

use serde::Serialize;

use super::group::belongs;
use super::model::{Atomic, Constraint, Logical, LogicalKind, Policy, Required, Rule};
use super::same::{said, said_of_policy};
use super::{LeftOperand, Operator, Phase, Request};

/// What came of a constraint, from worst to best: `and` takes the least, `or` the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The facts are known and do not match.
    NotFulfilled,
    /// A fact is not known, or this node does not know the operand or operator.
    CannotBeEvaluated,
    /// It cannot hold yet at this phase, and does not stand in the way of it.
    NotDue,
    /// The facts are known and match.
    Fulfilled,
}

impl Verdict {
    fn of(matches: bool) -> Self {
        if matches { Self::Fulfilled } else { Self::NotFulfilled }
    }

    fn negated(self) -> Self {
        match self {
            Self::Fulfilled => Self::NotFulfilled,
            Self::NotFulfilled => Self::Fulfilled,
            unknown => unknown,
        }
    }

    /// Whether a permission with this verdict lets the request through at this phase.
    pub fn lets_through(self) -> bool {
        self >= Self::NotDue
    }

    /// Whether a prohibition with this verdict stands in the way at this phase.
    pub fn prohibits(self) -> bool {
        matches!(self, Self::Fulfilled | Self::CannotBeEvaluated)
    }
}

/// Whether `policy` permits `request`. Nothing is allocated.
pub fn permits(policy: &Policy, request: &Request<'_>) -> bool {
    understood(policy)
        && !policy
            .prohibition
            .iter()
            .any(|rule| applies(rule, request) && rule_verdict(rule, request).prohibits())
        && policy
            .permission
            .iter()
            .any(|rule| applies(rule, request) && rule_verdict(rule, request).lets_through())
}

/// Whether the policy has no member that would change its meaning in a way unknown here.
pub(crate) fn understood(policy: &Policy) -> bool {
    policy.other.is_empty() || said_of_policy(&policy.other).next().is_none()
}

/// Whether the rule is about what is asked for.
pub(crate) fn applies(rule: &Rule, request: &Request<'_>) -> bool {
    rule.action.covers(request.action)
}

/// All constraints of a rule together (IM 2.2 section 2.6.3: all must be satisfied).
pub(crate) fn rule_verdict(rule: &Rule, request: &Request<'_>) -> Verdict {
    let own = if rule.other.is_empty() || said(&rule.other).next().is_none() {
        Verdict::Fulfilled
    } else {
        Verdict::CannotBeEvaluated
    };
    least(own, rule.constraint.iter().map(|one| verdict(one, request)))
}

/// The verdict on one constraint.
pub(crate) fn verdict(constraint: &Constraint, request: &Request<'_>) -> Verdict {
    match constraint {
        Constraint::Atomic(atomic) => atomic_verdict(atomic, request),
        Constraint::Logical(logical) => logical_verdict(logical, request),
    }
}

fn least(start: Verdict, verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let mut least = start;
    for verdict in verdicts {
        least = least.min(verdict);
        if least == Verdict::NotFulfilled {
            break;
        }
    }
    least
}

fn logical_verdict(logical: &Logical, request: &Request<'_>) -> Verdict {
    // Nothing joined says nothing: ODRL requires operands (IM 2.2 section 2.5.2).
    if logical.constraints.is_empty() || said(&logical.other).next().is_some() {
        return Verdict::CannotBeEvaluated;
    }
    let verdicts = logical.constraints.iter().map(|one| verdict(one, request));
    match logical.kind {
        // The facts of a request are of one moment, so the order of `andSequence` changes no verdict.
        LogicalKind::And | LogicalKind::AndSequence => least(Verdict::Fulfilled, verdicts),
        LogicalKind::Or => verdicts.max().unwrap_or(Verdict::CannotBeEvaluated),
        LogicalKind::Xone => exactly_one(verdicts),
    }
}

fn exactly_one(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let (mut fulfilled, mut unknown, mut not_due) = (0, 0, 0);
    for verdict in verdicts {
        match verdict {
            Verdict::Fulfilled => fulfilled += 1,
            Verdict::CannotBeEvaluated => unknown += 1,
            Verdict::NotDue => not_due += 1,
            Verdict::NotFulfilled => {}
        }
    }
    match (fulfilled, unknown, not_due) {
        (2.., _, _) => Verdict::NotFulfilled,
        (_, 1.., _) => Verdict::CannotBeEvaluated,
        (_, _, 1..) => Verdict::NotDue,
        (found, _, _) => Verdict::of(found == 1),
    }
}

pub(crate) fn atomic_verdict(atomic: &Atomic, request: &Request<'_>) -> Verdict {
    if !atomic.other().is_empty() && said(atomic.other()).next().is_some() {
        return Verdict::CannotBeEvaluated;
    }
    let known = |matches: bool| Verdict::of(matches);
    match (atomic.left_operand(), atomic.required()) {
        (_, Required::Unreadable(_)) => Verdict::CannotBeEvaluated,
        (LeftOperand::Participant, _) => match request.participant.id.as_deref() {
            Some(id) => texts(atomic, |value| known(value == id)),
            None => Verdict::CannotBeEvaluated,
        },
        (LeftOperand::Group, _) => groups(atomic, request),
        (LeftOperand::Country, _) => match request.participant.country.as_deref() {
            Some(country) => texts(atomic, |value| known(value.eq_ignore_ascii_case(country))),
            None => Verdict::CannotBeEvaluated,
        },
        (LeftOperand::Purpose, _) => match request.purpose {
            Some(purpose) => texts(atomic, |value| known(value == purpose)),
            None => unstated(request.phase),
        },
        (LeftOperand::Marking, _) => match request.accepted_marking {
            Some(label) => texts(atomic, |value| known(value.eq_ignore_ascii_case(label))),
            None => unstated(request.phase),
        },
        (LeftOperand::DateTime, Required::Instant(at)) => {
            time(atomic.operator(), request, request.now.cmp(at))
        }
        (LeftOperand::ElapsedTime, Required::Length(length)) => match request.agreed_at {
            Some(agreed_at) => time(atomic.operator(), request, request.now.cmp(&length.after(agreed_at))),
            None => before_transfer(request.phase),
        },
        (LeftOperand::Count, Required::Number(number)) => match request.transfers_before {
            Some(before) if !early(request.phase) => {
                compare(atomic.operator(), before.saturating_add(1).cmp(number))
            }
            _ => before_transfer(request.phase),
        },
        _ => Verdict::CannotBeEvaluated,
    }
}

/// What only the consumer can state is not due while offers are only shown.
fn unstated(phase: Phase) -> Verdict {
    if phase == Phase::Catalogue { Verdict::NotDue } else { Verdict::CannotBeEvaluated }
}

/// What only an agreement and its transfers bring is not due before them.
fn before_transfer(phase: Phase) -> Verdict {
    if early(phase) { Verdict::NotDue } else { Verdict::CannotBeEvaluated }
}

fn early(phase: Phase) -> bool {
    matches!(phase, Phase::Catalogue | Phase::Negotiation)
}

/// The operators on one known text. `isAnyOf` and `isNoneOf` take sets; `eq` and `neq` one value.
fn texts(atomic: &Atomic, matches: impl Fn(&str) -> Verdict) -> Verdict {
    let values = atomic.right_operand().values();
    let one_of = || values.iter().map(|value| matches(value)).max().unwrap_or(Verdict::CannotBeEvaluated);
    match (atomic.operator(), values.len()) {
        (Operator::Eq, 1) | (Operator::IsAnyOf, _) => one_of(),
        (Operator::Neq, 1) | (Operator::IsNoneOf, _) => one_of().negated(),
        _ => Verdict::CannotBeEvaluated,
    }
}

/// A participant may be in several groups, so that `isAllOf` has a meaning too.
fn groups(atomic: &Atomic, request: &Request<'_>) -> Verdict {
    let values = atomic.right_operand().values();
    let member = |value: &String| match belongs(request.participant, value) {
        Some(matches) => Verdict::of(matches),
        None => Verdict::CannotBeEvaluated,
    };
    match (atomic.operator(), values.len()) {
        (Operator::IsAllOf, _) => least(Verdict::Fulfilled, values.iter().map(member)),
        (Operator::IsPartOf, 1) => values.iter().map(member).max().unwrap_or(Verdict::CannotBeEvaluated),
        _ => texts(atomic, |value| match belongs(request.participant, value) {
            Some(matches) => Verdict::of(matches),
            None => Verdict::CannotBeEvaluated,
        }),
    }
}

fn compare(operator: &Operator, order: Ordering) -> Verdict {
    match operator {
        Operator::Eq => Verdict::of(order.is_eq()),
        Operator::Neq => Verdict::of(order.is_ne()),
        Operator::Gt => Verdict::of(order.is_gt()),
        Operator::Gteq => Verdict::of(order.is_ge()),
        Operator::Lt => Verdict::of(order.is_lt()),
        Operator::Lteq => Verdict::of(order.is_le()),
        _ => Verdict::CannotBeEvaluated,
    }
}

/// A time that is still to come is not due before a transfer is asked for.
fn time(operator: &Operator, request: &Request<'_>, order: Ordering) -> Verdict {
    match compare(operator, order) {
        Verdict::NotFulfilled if early(request.phase) && order.is_lt() => Verdict::NotDue,
        verdict => verdict,
    }
}
