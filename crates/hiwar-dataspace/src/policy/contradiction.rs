//! Constraints that cannot all hold: empty windows, windows that are over, lists that exclude each other.

use hiwar_trust::time::Timestamp;

use super::duty::RuleKind;
use super::lint::{LintFinding, Severity};
use super::model::{Atomic, Constraint, LogicalKind, Required};
use super::{LeftOperand, Operator};

/// Finds what can never hold among constraints that must hold together, and inside their logical ones.
pub(crate) fn contradictions(
    constraints: &[Constraint],
    path: &str,
    kind: RuleKind,
    now: Timestamp,
    into: &mut Vec<LintFinding>,
) {
    let mut together = Vec::new();
    gather(constraints, &mut together);
    let never = if kind == RuleKind::Permission { "nobody could ever use it" } else { "it has no effect" };
    let severity = if kind == RuleKind::Permission { Severity::Error } else { Severity::Warning };
    let mut push = |problem: String, mend: &str| {
        into.push(LintFinding { severity, path: path.to_owned(), problem, mend: mend.to_owned() });
    };
    let window = window(&together, &LeftOperand::DateTime);
    if let (Some(from), Some(until)) = window
        && from > until
    {
        push(
            format!("the time window is empty: it ends at {} and begins at {from}; {never}", ended(until)),
            "swap the two times",
        );
    } else if let (_, Some(until)) = window
        && until < now
    {
        push(format!("the time was over at {}; {never}", ended(until)), "write a later time");
    }
    if let (Some(from), Some(until)) = self::window(&together, &LeftOperand::ElapsedTime)
        && from > until
    {
        push(
            format!("no time since the agreement fulfils both limits of elapsedTime; {never}"),
            "swap the two durations",
        );
    }
    if together.iter().any(|atomic| no_transfer(atomic)) {
        push(format!("not even one transfer is allowed; {never}"), "write count with lteq and at least 1");
    }
    for operand in
        [LeftOperand::Participant, LeftOperand::Country, LeftOperand::Purpose, LeftOperand::Marking]
    {
        if nothing_left(&together, &operand) {
            push(
                format!("no {operand} is left when all its constraints hold; {never}"),
                "join the lists, or use or",
            );
        }
    }
    descend(constraints, path, kind, now, into);
}

/// The alternatives of `or` and `xone` are looked at one by one.
fn descend(
    constraints: &[Constraint],
    path: &str,
    kind: RuleKind,
    now: Timestamp,
    into: &mut Vec<LintFinding>,
) {
    for (i, one) in constraints.iter().enumerate() {
        let Constraint::Logical(logical) = one else { continue };
        let name = logical.kind.as_str();
        let inner = format!("{path}.constraint[{i}].{name}");
        match logical.kind {
            LogicalKind::And | LogicalKind::AndSequence => {
                descend(&logical.constraints, &inner, kind, now, into);
            }
            LogicalKind::Or | LogicalKind::Xone => {
                for (j, alternative) in logical.constraints.iter().enumerate() {
                    let mut found = Vec::new();
                    contradictions(
                        std::slice::from_ref(alternative),
                        &format!("{inner}[{j}]"),
                        kind,
                        now,
                        &mut found,
                    );
                    // The other alternatives may still hold.
                    found.iter_mut().for_each(|finding| finding.severity = Severity::Warning);
                    into.append(&mut found);
                }
            }
        }
    }
}

fn gather<'a>(constraints: &'a [Constraint], into: &mut Vec<&'a Atomic>) {
    for one in constraints {
        match one {
            Constraint::Atomic(atomic) => into.push(atomic),
            Constraint::Logical(logical)
                if matches!(logical.kind, LogicalKind::And | LogicalKind::AndSequence)
                    || logical.constraints.len() == 1 =>
            {
                gather(&logical.constraints, into);
            }
            Constraint::Logical(_) => {}
        }
    }
}

/// The first and the last millisecond that all comparisons of `operand` allow.
fn window(atomics: &[&Atomic], operand: &LeftOperand) -> (Option<Timestamp>, Option<Timestamp>) {
    let (mut from, mut until): (Option<Timestamp>, Option<Timestamp>) = (None, None);
    for atomic in atomics.iter().filter(|atomic| atomic.left_operand() == operand) {
        let at = match atomic.required() {
            Required::Instant(at) => *at,
            // Durations are laid along the calendar from one day, 2001-01-01, so that they can be compared.
            Required::Length(length) => length.after(Timestamp::from_millis(978_307_200_000)),
            _ => continue,
        };
        let (first, last) = match atomic.operator() {
            Operator::Eq => (Some(at), Some(at)),
            Operator::Gt => (Some(at.plus_millis(1)), None),
            Operator::Gteq => (Some(at), None),
            Operator::Lt => (None, Some(at.plus_millis(-1))),
            Operator::Lteq => (None, Some(at)),
            _ => (None, None),
        };
        from = from.max(first);
        until = match (until, last) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    (from, until)
}

/// The last millisecond of a window, said as the instant at which it is over.
fn ended(last: Timestamp) -> Timestamp {
    if last.as_millis() % 1000 == 999 { last.plus_millis(1) } else { last }
}

fn no_transfer(atomic: &Atomic) -> bool {
    match (atomic.left_operand(), atomic.operator(), atomic.required()) {
        (LeftOperand::Count, Operator::Lt, Required::Number(number)) => *number <= 1,
        (LeftOperand::Count, Operator::Lteq | Operator::Eq, Required::Number(number)) => *number == 0,
        _ => false,
    }
}

/// Whether the lists that must hold together leave no value.
fn nothing_left(atomics: &[&Atomic], operand: &LeftOperand) -> bool {
    let all = || atomics.iter().filter(|atomic| atomic.left_operand() == operand);
    let allows = |atomic: &Atomic, value: &str| {
        let listed = atomic.right_operand().values().iter().any(|own| own.eq_ignore_ascii_case(value));
        match atomic.operator() {
            Operator::Eq | Operator::IsAnyOf => listed,
            Operator::Neq | Operator::IsNoneOf => !listed,
            _ => true,
        }
    };
    let list = all().find(|atomic| matches!(atomic.operator(), Operator::Eq | Operator::IsAnyOf));
    let Some(list) = list else { return false };
    let values = list.right_operand().values();
    !values.is_empty() && !values.iter().any(|value| all().all(|atomic| allows(atomic, value)))
}
