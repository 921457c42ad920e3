//! What this node enforces, what it records as a duty, and what it refuses to promise.

use super::duty::{RuleKind, is_deadline};
use super::model::{Atomic, Required};
use super::nearest::nearest;
use super::{Action, LeftOperand, Operator};

/// What becomes of a rule or constraint at this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support {
    /// The node decides by it, at negotiation and again at each transfer.
    Enforced,
    /// It is kept with the agreement as something the receiver takes on, with its date where it has one.
    Recorded,
    /// Nobody could tell whether it is kept; terms with it are refused.
    Refused {
        /// Why.
        problem: String,
        /// What to write instead.
        mend: String,
    },
}

fn refused(problem: impl Into<String>, mend: impl Into<String>) -> Support {
    Support::Refused { problem: problem.into(), mend: mend.into() }
}

/// What becomes of a rule of a kind about an action, its constraints aside.
pub fn rule_support(kind: RuleKind, action: &Action) -> Support {
    match (kind, action) {
        (RuleKind::Permission | RuleKind::Prohibition, Action::Use) => Support::Enforced,
        (RuleKind::Permission | RuleKind::Prohibition, Action::Distribute)
        | (RuleKind::Obligation, Action::Delete) => Support::Recorded,
        (RuleKind::Permission, Action::Transfer) => {
            refused("transfer means to give the data away and keep nothing", "write use")
        }
        (_, Action::Delete) => refused(
            "delete is neither permitted nor prohibited here",
            "write an obligation to delete, or leave it out",
        ),
        (RuleKind::Obligation, action) => refused(
            format!("nobody could tell whether {action} has been done"),
            "write delete with a delayPeriod, or leave it to the text of the contract",
        ),
        (RuleKind::Permission | RuleKind::Prohibition, action) => refused(
            format!("the node cannot tell {action} from any other use once the data are handed over"),
            "write use or distribute",
        ),
    }
}

/// What becomes of a comparison in a rule of a kind about an action.
pub fn constraint_support(kind: RuleKind, action: &Action, atomic: &Atomic) -> Support {
    if let Some(refusal) = form(atomic) {
        return refusal;
    }
    if kind == RuleKind::Obligation {
        return if is_deadline(atomic) {
            Support::Recorded
        } else {
            refused(
                format!("an obligation with {} {} has no due date", atomic.left_operand(), atomic.operator()),
                "write delayPeriod, elapsedTime or dateTime with lteq",
            )
        };
    }
    let supported = if *action == Action::Distribute { Support::Recorded } else { Support::Enforced };
    let operators = operators(kind, action, atomic.left_operand());
    if operators.contains(atomic.operator()) {
        return supported;
    }
    if operators.is_empty() {
        return unsupported_operand(kind, action, atomic);
    }
    let list: Vec<&str> = operators.iter().map(Operator::as_str).collect();
    refused(
        format!(
            "{} is not enforced with {} in a {}",
            atomic.left_operand(),
            atomic.operator(),
            kind.as_str()
        ),
        format!("write {}", list.join(", ")),
    )
}

/// How other languages write operators.
const ELSEWHERE: [(&str, &str); 17] = [
    ("=", "eq"),
    ("==", "eq"),
    ("equals", "eq"),
    ("!=", "neq"),
    ("ne", "neq"),
    ("<", "lt"),
    ("<=", "lteq"),
    ("le", "lteq"),
    ("leq", "lteq"),
    (">", "gt"),
    (">=", "gteq"),
    ("ge", "gteq"),
    ("geq", "gteq"),
    ("in", "isAnyOf"),
    ("oneOf", "isAnyOf"),
    ("notIn", "isNoneOf"),
    ("noneOf", "isNoneOf"),
];

/// Operands and operators that are no terms at all, and values that cannot be read.
fn form(atomic: &Atomic) -> Option<Support> {
    if let Operator::Other(term) = atomic.operator() {
        let usual =
            ELSEWHERE.iter().find(|(written, _)| written.eq_ignore_ascii_case(term)).map(|(_, meant)| *meant);
        let near = usual.or_else(|| nearest(term, Operator::ALL.iter().map(Operator::as_str)));
        let mend = near.map_or_else(
            || "write eq, neq, lt, lteq, gt, gteq, isAnyOf or isNoneOf".to_owned(),
            |near| format!("write {near}"),
        );
        return Some(refused(format!("{term} is no operator of the Dataspace Protocol"), mend));
    }
    if let LeftOperand::Other(term) = atomic.left_operand() {
        let near = nearest(term, LeftOperand::KNOWN.iter().map(LeftOperand::name).chain(["country"]));
        let mend = near.map_or_else(
            || {
                "write participant, group, country, purpose, dateTime, elapsedTime, count or marking"
                    .to_owned()
            },
            |near| format!("write {near}"),
        );
        return Some(refused(
            format!("this node has no rule for {term}, so it could never be fulfilled"),
            mend,
        ));
    }
    match atomic.required() {
        Required::Unreadable(mend) => {
            let written: String = atomic.right_operand().written().to_string().chars().take(80).collect();
            Some(refused(format!("{written} cannot be read as {}", atomic.left_operand()), *mend))
        }
        Required::Texts if !atomic.operator().takes_set() && atomic.right_operand().values().len() != 1 => {
            Some(refused(
                format!("{} takes one value", atomic.operator()),
                "write isAnyOf or isNoneOf for several",
            ))
        }
        _ => None,
    }
}

fn operators(kind: RuleKind, action: &Action, operand: &LeftOperand) -> &'static [Operator] {
    const NAMES: &[Operator] = &[Operator::Eq, Operator::Neq, Operator::IsAnyOf, Operator::IsNoneOf];
    const GROUPS: &[Operator] = &[
        Operator::Eq,
        Operator::Neq,
        Operator::IsAnyOf,
        Operator::IsNoneOf,
        Operator::IsAllOf,
        Operator::IsPartOf,
    ];
    const TIMES: &[Operator] = &[Operator::Lt, Operator::Lteq, Operator::Gt, Operator::Gteq];
    match (operand, action, kind) {
        (LeftOperand::Participant | LeftOperand::Country, _, _) => NAMES,
        (LeftOperand::Group, _, _) => GROUPS,
        (LeftOperand::DateTime | LeftOperand::ElapsedTime, _, _) => TIMES,
        (LeftOperand::Purpose, Action::Use, _) => NAMES,
        (LeftOperand::Count, Action::Use, RuleKind::Permission) => &[Operator::Lt, Operator::Lteq],
        (LeftOperand::Count, Action::Use, RuleKind::Prohibition) => &[Operator::Gt, Operator::Gteq],
        (LeftOperand::Marking, Action::Use, RuleKind::Permission) => &[Operator::Eq],
        _ => &[],
    }
}

fn unsupported_operand(kind: RuleKind, action: &Action, atomic: &Atomic) -> Support {
    let operand = atomic.left_operand();
    match operand {
        LeftOperand::DelayPeriod => refused(
            "a delay says when a duty is due, not when something is permitted",
            "write it in an obligation to delete, or write elapsedTime",
        ),
        LeftOperand::Marking => refused(
            "a marking is what the receiver says it keeps",
            "write marking with eq in the permission to use",
        ),
        _ => refused(
            format!("{operand} of {action} in a {} cannot be seen by this node", kind.as_str()),
            "write it in the permission to use",
        ),
    }
}
