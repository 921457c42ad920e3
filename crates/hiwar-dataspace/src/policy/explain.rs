//! Why a policy permits a request or does not, and what would satisfy it.

use hiwar_trust::time::Timestamp;
use serde::Serialize;

use super::duty::{self, RuleKind};
use super::evaluate::{Verdict, applies, atomic_verdict, permits, rule_verdict, verdict};
use super::model::{Atomic, Constraint, LogicalKind, Policy, Rule};
use super::same::{said, said_of_policy};
use super::wish::{actual, required, wish};
use super::{RULES_VERSION, Request};

/// The decision on a request, with everything that led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Whether the request is permitted.
    pub permitted: bool,
    /// The version of the rules it was decided by ([`RULES_VERSION`]).
    pub rules_version: u32,
    /// The decision in one sentence.
    pub reason: String,
    /// One finding for each rule and constraint looked at, in the policy's order.
    pub findings: Vec<Finding>,
}

/// What came of one rule or constraint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where it stands, such as `permission[0].constraint[1]`.
    pub path: String,
    /// What is compared, such as `country`; a logical operator; or the action of a rule.
    pub operand: String,
    /// How it is compared; empty for logical operators and rules.
    pub operator: String,
    /// What is required, as text.
    pub required: String,
    /// What was found; `None` when it is not known.
    pub actual: Option<String>,
    /// What came of it. Of a prohibition, `fulfilled` means that it applies.
    pub verdict: Verdict,
    /// What would satisfy it, in one sentence; empty when nothing has to be done.
    pub satisfy: String,
}

impl Decision {
    /// The findings that stand in the way: unmet constraints of permissions and prohibitions that apply.
    pub fn obstacles(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| {
            !finding.satisfy.is_empty()
                && if finding.path.starts_with("prohibition") {
                    finding.verdict.prohibits()
                } else {
                    !finding.verdict.lets_through()
                }
        })
    }
}

/// Decides on a request and explains the decision. It permits exactly what [`permits`] permits.
pub fn evaluate(policy: &Policy, request: &Request<'_>) -> Decision {
    let mut findings = Vec::new();
    for (name, value) in said_of_policy(&policy.other) {
        findings.push(not_understood("", name, &value.to_string()));
    }
    for (i, rule) in policy.permission.iter().enumerate().filter(|(_, rule)| applies(rule, request)) {
        explain_rule(rule, &format!("permission[{i}]"), true, request, &mut findings);
    }
    for (i, rule) in policy.prohibition.iter().enumerate().filter(|(_, rule)| applies(rule, request)) {
        explain_rule(rule, &format!("prohibition[{i}]"), false, request, &mut findings);
    }
    findings.extend(duties(policy, request.agreed_at));
    let permitted = permits(policy, request);
    let mut decision = Decision { permitted, rules_version: RULES_VERSION, reason: String::new(), findings };
    decision.reason = reason(policy, request, &decision);
    decision
}

fn explain_rule(rule: &Rule, path: &str, want: bool, request: &Request<'_>, into: &mut Vec<Finding>) {
    let verdict = rule_verdict(rule, request);
    let stands = !want && rule.constraint.is_empty() && verdict.prohibits();
    into.push(Finding {
        path: path.to_owned(),
        operand: rule.action.to_string(),
        operator: String::new(),
        required: if rule.constraint.is_empty() { "always" } else { "all its constraints" }.to_owned(),
        actual: None,
        verdict,
        satisfy: if stands {
            "nothing: ask the provider for another offer".to_owned()
        } else {
            String::new()
        },
    });
    for (name, value) in said(&rule.other) {
        into.push(not_understood(path, name, &value.to_string()));
    }
    for (i, constraint) in rule.constraint.iter().enumerate() {
        explain(constraint, &format!("{path}.constraint[{i}]"), want, request, into);
    }
}

fn explain(constraint: &Constraint, path: &str, want: bool, request: &Request<'_>, into: &mut Vec<Finding>) {
    match constraint {
        Constraint::Atomic(atomic) => into.push(explain_atomic(atomic, path, want, request)),
        Constraint::Logical(logical) => {
            let required = match logical.kind {
                LogicalKind::And => "all of the constraints in it",
                LogicalKind::AndSequence => "all of the constraints in it, in their order",
                LogicalKind::Or => "at least one of the constraints in it",
                LogicalKind::Xone => "exactly one of the constraints in it",
            };
            into.push(Finding {
                path: path.to_owned(),
                operand: logical.kind.as_str().to_owned(),
                operator: String::new(),
                required: required.to_owned(),
                actual: None,
                verdict: verdict(constraint, request),
                satisfy: if logical.constraints.is_empty() {
                    "ask the provider for an offer that lists constraints here".to_owned()
                } else {
                    String::new()
                },
            });
            for (name, value) in said(&logical.other) {
                into.push(not_understood(path, name, &value.to_string()));
            }
            for (i, one) in logical.constraints.iter().enumerate() {
                explain(one, &format!("{path}.{}[{i}]", logical.kind.as_str()), want, request, into);
            }
        }
    }
}

fn explain_atomic(atomic: &Atomic, path: &str, want: bool, request: &Request<'_>) -> Finding {
    let verdict = atomic_verdict(atomic, request);
    let met = if want { verdict == Verdict::Fulfilled } else { verdict == Verdict::NotFulfilled };
    Finding {
        path: path.to_owned(),
        operand: atomic.left_operand().name().to_owned(),
        operator: atomic.operator().to_string(),
        required: required(atomic),
        actual: actual(atomic, request),
        verdict,
        satisfy: if met { String::new() } else { wish(atomic, request, want) },
    }
}

fn not_understood(path: &str, name: &str, value: &str) -> Finding {
    Finding {
        path: super::read::member(path, name),
        operand: name.to_owned(),
        operator: String::new(),
        required: value.chars().take(200).collect(),
        actual: None,
        verdict: Verdict::CannotBeEvaluated,
        satisfy: format!("ask the provider for an offer without {name}, which this node cannot keep"),
    }
}

fn duties(policy: &Policy, agreed_at: Option<Timestamp>) -> Vec<Finding> {
    let all = duty::duties(policy, agreed_at, None);
    let obligations = all.into_iter().filter(|duty| duty.kind == RuleKind::Obligation);
    obligations
        .map(|duty| Finding {
            path: duty.path,
            operand: duty.action.to_string(),
            operator: String::new(),
            required: duty.due.map_or_else(|| duty.text.clone(), |due| format!("by {due}")),
            actual: None,
            verdict: if duty.kept { Verdict::NotDue } else { Verdict::CannotBeEvaluated },
            satisfy: duty.text,
        })
        .collect()
}

fn reason(policy: &Policy, request: &Request<'_>, decision: &Decision) -> String {
    if decision.permitted {
        let through = policy
            .permission
            .iter()
            .position(|rule| applies(rule, request) && rule_verdict(rule, request).lets_through());
        return through
            .map_or_else(String::new, |i| format!("permission[{i}] is fulfilled and nothing prohibits it"));
    }
    if let Some((name, _)) = said_of_policy(&policy.other).next() {
        return format!("the policy has a member that this node cannot keep: {name}");
    }
    for (i, rule) in policy.prohibition.iter().enumerate().filter(|(_, rule)| applies(rule, request)) {
        match rule_verdict(rule, request) {
            Verdict::Fulfilled => return format!("prohibition[{i}] applies"),
            Verdict::CannotBeEvaluated => {
                return format!("whether prohibition[{i}] applies cannot be told, so it counts as applying");
            }
            _ => {}
        }
    }
    let mut asked = policy.permission.iter().filter(|rule| applies(rule, request));
    if asked.next().is_none() {
        return format!("no permission is about {}", request.action);
    }
    let obstacle = decision.obstacles().find(|finding| finding.path.starts_with("permission"));
    obstacle.map_or_else(
        || "no permission is fulfilled".to_owned(),
        |finding| {
            let found = finding.actual.as_deref().unwrap_or("not known");
            format!(
                "{}: {} {} {} is required, found: {found}; {}",
                finding.path, finding.operand, finding.operator, finding.required, finding.satisfy
            )
        },
    )
}
