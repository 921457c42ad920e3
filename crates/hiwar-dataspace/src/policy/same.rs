//! Whether two policies say the same.

use serde_json::{Map, Value};

use super::LogicalKind;
use super::model::{Atomic, Constraint, Policy, Rule};
use super::operand::bare_term;

impl Policy {
    /// Whether both say the same: the order of rules, constraints and values, repetitions, and the
    /// tolerated forms of writing do not matter. The constraints of `andSequence` keep their order.
    pub fn same_meaning(&self, other: &Self) -> bool {
        self == other || self.meaning() == other.meaning()
    }

    /// A text that two policies share exactly when they say the same; it can be hashed and stored.
    pub fn meaning(&self) -> String {
        let list = |rules: &[Rule]| sorted(rules.iter().map(rule).collect());
        let all = Value::Array(vec![
            list(&self.permission),
            list(&self.prohibition),
            list(&self.obligation),
            sorted(said_of_policy(&self.other).map(pair).collect()),
        ]);
        all.to_string()
    }
}

fn rule(rule: &Rule) -> Value {
    Value::Array(vec![
        Value::from(rule.action.as_str()),
        sorted(rule.constraint.iter().map(constraint).collect()),
        sorted(said(&rule.other).map(pair).collect()),
    ])
}

fn constraint(one: &Constraint) -> Value {
    match one {
        Constraint::Atomic(one) => atomic(one),
        Constraint::Logical(logical) => {
            let list: Vec<Value> = logical.constraints.iter().map(constraint).collect();
            let list = if logical.kind == LogicalKind::AndSequence {
                Value::Array(list)
            } else {
                kept(list, logical.kind)
            };
            Value::Array(vec![
                Value::from(logical.kind.as_str()),
                list,
                sorted(said(&logical.other).map(pair).collect()),
            ])
        }
    }
}

/// The meaning of one constraint as text.
pub(crate) fn constraint_meaning(one: &Constraint) -> String {
    constraint(one).to_string()
}

/// Under `xone` a repeated constraint is not the same as one: both would be fulfilled.
fn kept(mut list: Vec<Value>, kind: LogicalKind) -> Value {
    if kind != LogicalKind::Xone {
        return sorted(list);
    }
    list.sort_by_cached_key(Value::to_string);
    Value::Array(list)
}

fn atomic(atomic: &Atomic) -> Value {
    let values = atomic.right_operand().values().iter().map(|value| Value::from(value.as_str())).collect();
    Value::Array(vec![
        Value::from(atomic.left_operand().as_str()),
        Value::from(atomic.operator().as_str()),
        sorted(values),
        sorted(said(atomic.other()).map(pair).collect()),
    ])
}

fn pair((name, value): (&String, &Value)) -> Value {
    Value::Array(vec![Value::from(bare_term(name)), value.clone()])
}

fn sorted(mut list: Vec<Value>) -> Value {
    list.sort_by_cached_key(Value::to_string);
    list.dedup();
    Value::Array(list)
}

/// Names, notes and types, which change nothing about what is allowed.
const SILENT: [&str; 12] = [
    "@context",
    "@id",
    "@type",
    "uid",
    "type",
    "dataType",
    "label",
    "comment",
    "title",
    "description",
    "name",
    "note",
];

/// The unknown members of a rule or constraint that may change its meaning.
pub(crate) fn said(other: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    other.iter().filter(|(name, _)| {
        let bare = bare_term(name);
        let last = bare.rsplit([':', '/', '#']).next().unwrap_or(bare);
        !SILENT.contains(&bare) && !SILENT.contains(&last)
    })
}

/// The unknown members of a policy that change its meaning: those that ODRL defines (IM 2.2 sections
/// 2.1 and 2.9). Any other is somebody's description of the policy.
pub(crate) fn said_of_policy(other: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    const SAID: [&str; 5] = ["conflict", "inheritFrom", "duty", "action", "constraint"];
    other.iter().filter(|(name, value)| {
        let bare = bare_term(name);
        // To let prohibitions win is what is done anyway (IM 2.2 section 2.10).
        let usual = bare == "conflict" && value.as_str().is_some_and(|s| bare_term(s) == "prohibit");
        SAID.contains(&bare) && !usual
    })
}
