//! What is wrong with terms, found when they are written.

use hiwar_trust::time::Timestamp;
use serde::Serialize;

use super::contradiction::contradictions;
use super::duty::RuleKind;
use super::model::{Constraint, LogicalKind, Policy, Rule};
use super::read::member;
use super::same::{said, said_of_policy};
use super::support::{Support, constraint_support, rule_support};
use super::{Action, LeftOperand, country, group};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The terms are refused.
    Error,
    /// The terms can be used, but probably mean something else than was meant.
    Warning,
    /// Worth knowing.
    Note,
}

/// Something about the terms that whoever writes them should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LintFinding {
    /// How much it matters.
    pub severity: Severity,
    /// Where it stands, such as `permission[0].constraint[1]`; empty for the whole policy.
    pub path: String,
    /// What is wrong.
    pub problem: String,
    /// What to write instead; empty when nothing has to be done.
    pub mend: String,
}

/// What is known where the terms are written.
#[derive(Clone, Copy, Debug)]
pub struct Authoring<'a> {
    /// The time; windows that ended before are found.
    pub now: Timestamp,
    /// The names of the node's own lists of participants, if they are known.
    pub groups: Option<&'a [String]>,
}

/// Everything that is wrong with terms, errors first. Terms without an error are enforced or recorded
/// as they are written.
pub fn lint(policy: &Policy, at: &Authoring<'_>) -> Vec<LintFinding> {
    let mut lint = Lint { at: *at, findings: unkeepable(policy) };
    if policy.permission.is_empty() {
        lint.error(
            "permission",
            "nothing is permitted, so nobody could get the data",
            "add a permission to use",
        );
    }
    for (kind, i, rule) in rules(policy) {
        let path = format!("{}[{i}]", kind.as_str());
        lint.each(&rule.constraint, &member(&path, "constraint"));
        contradictions(&rule.constraint, &path, kind, at.now, &mut lint.findings);
    }
    lint.cancelled(policy);
    lint.onward(policy);
    lint.findings.sort_by_key(|finding| finding.severity);
    lint.findings
}

/// What this node could not keep of a policy that somebody else wrote, each with why. Empty when it
/// can keep everything.
pub fn cannot_keep(policy: &Policy) -> Vec<LintFinding> {
    unkeepable(policy).into_iter().filter(|finding| finding.severity == Severity::Error).collect()
}

fn rules(policy: &Policy) -> impl Iterator<Item = (RuleKind, usize, &Rule)> {
    let list =
        |kind, rules: &'_ [Rule]| -> Vec<(RuleKind, usize)> { (0..rules.len()).map(|i| (kind, i)).collect() };
    let all = [
        (list(RuleKind::Permission, &policy.permission), &policy.permission),
        (list(RuleKind::Prohibition, &policy.prohibition), &policy.prohibition),
        (list(RuleKind::Obligation, &policy.obligation), &policy.obligation),
    ];
    all.into_iter().flat_map(|(at, rules)| at.into_iter().zip(rules).map(|((kind, i), rule)| (kind, i, rule)))
}

fn unkeepable(policy: &Policy) -> Vec<LintFinding> {
    let mut findings = Vec::new();
    for (name, _) in said_of_policy(&policy.other) {
        findings.push(not_understood("", name));
    }
    for (kind, i, rule) in rules(policy) {
        let path = format!("{}[{i}]", kind.as_str());
        findings.extend(said(&rule.other).map(|(name, _)| not_understood(&path, name)));
        match rule_support(kind, &rule.action) {
            // One finding for the rule is enough when all of it is refused.
            Support::Refused { problem, mend } => {
                findings.push(LintFinding {
                    severity: Severity::Error,
                    path: member(&path, "action"),
                    problem,
                    mend,
                });
            }
            support => {
                if support == Support::Recorded && kind != RuleKind::Permission {
                    let problem = format!(
                        "the {} of {} is recorded as a duty; the receiver keeps it",
                        kind.as_str(),
                        rule.action
                    );
                    findings.push(LintFinding {
                        severity: Severity::Note,
                        path: path.clone(),
                        problem,
                        mend: String::new(),
                    });
                }
                for (i, one) in rule.constraint.iter().enumerate() {
                    supported(kind, &rule.action, one, &format!("{path}.constraint[{i}]"), &mut findings);
                }
            }
        }
    }
    findings
}

fn supported(kind: RuleKind, action: &Action, one: &Constraint, path: &str, into: &mut Vec<LintFinding>) {
    match one {
        Constraint::Atomic(atomic) => {
            into.extend(said(atomic.other()).map(|(name, _)| not_understood(path, name)));
            if let Support::Refused { problem, mend } = constraint_support(kind, action, atomic) {
                into.push(LintFinding { severity: Severity::Error, path: path.to_owned(), problem, mend });
            }
        }
        Constraint::Logical(logical) => {
            into.extend(said(&logical.other).map(|(name, _)| not_understood(path, name)));
            let name = logical.kind.as_str();
            if kind == RuleKind::Obligation {
                let problem = format!("an obligation with {name} has no single due date");
                let mend = "write its deadlines one by one; the earliest holds".to_owned();
                into.push(LintFinding { severity: Severity::Error, path: path.to_owned(), problem, mend });
                return;
            }
            if logical.constraints.is_empty() {
                let (problem, mend) = (format!("{name} has nothing in it"), "leave it out".to_owned());
                into.push(LintFinding { severity: Severity::Error, path: path.to_owned(), problem, mend });
            }
            for (i, one) in logical.constraints.iter().enumerate() {
                supported(kind, action, one, &format!("{path}.{name}[{i}]"), into);
            }
        }
    }
}

fn not_understood(path: &str, name: &str) -> LintFinding {
    LintFinding {
        severity: Severity::Error,
        path: member(path, name),
        problem: format!("{name} may change the meaning and is not understood by this node"),
        mend: "leave it out; write conditions as constraints and duties as obligations".to_owned(),
    }
}

struct Lint<'a> {
    at: Authoring<'a>,
    findings: Vec<LintFinding>,
}

impl Lint<'_> {
    fn push(&mut self, severity: Severity, path: &str, problem: impl Into<String>, mend: impl Into<String>) {
        let finding =
            LintFinding { severity, path: path.to_owned(), problem: problem.into(), mend: mend.into() };
        self.findings.push(finding);
    }

    fn error(&mut self, path: &str, problem: impl Into<String>, mend: impl Into<String>) {
        self.push(Severity::Error, path, problem, mend);
    }

    /// Values that are no codes, labels or names.
    fn each(&mut self, constraints: &[Constraint], path: &str) {
        for (i, one) in constraints.iter().enumerate() {
            let path = format!("{path}[{i}]");
            let atomic = match one {
                Constraint::Atomic(atomic) => atomic,
                Constraint::Logical(logical) => {
                    if logical.constraints.len() == 1 && logical.kind == LogicalKind::Xone {
                        self.push(Severity::Note, &path, "xone of one constraint is that constraint", "");
                    }
                    self.each(&logical.constraints, &member(&path, logical.kind.as_str()));
                    continue;
                }
            };
            for value in atomic.right_operand().values() {
                self.value(atomic.left_operand(), value, &path);
            }
        }
    }

    fn value(&mut self, operand: &LeftOperand, value: &str, path: &str) {
        match operand {
            LeftOperand::Country if !country::is_country(value) => {
                self.error(path, format!("{value:?} is no country code"), country::mend(value));
            }
            LeftOperand::Marking if !MARKINGS.contains(&value.to_ascii_uppercase().as_str()) => {
                let mend = format!("write one of {}", MARKINGS.join(", "));
                self.error(path, format!("{value:?} is no TLP 2.0 label"), mend);
            }
            LeftOperand::Participant if !value.starts_with("did:") => {
                let problem = format!("{value:?} is no DID; participants of this node are named by DIDs");
                self.push(
                    Severity::Warning,
                    path,
                    problem,
                    "write the participant's DID, such as did:web:example.org",
                );
            }
            LeftOperand::Group => {
                if let (group::Group::List(name), Some(known)) = (group::group(value), self.at.groups)
                    && !known.iter().any(|own| own == name)
                {
                    let mend = match super::nearest::nearest(name, known.iter().map(String::as_str)) {
                        Some(near) => format!("write {near}, or make the list {name} first"),
                        None => format!("make the list {name} first"),
                    };
                    self.error(path, format!("the node has no list of participants named {name:?}"), mend);
                }
            }
            _ => {}
        }
    }

    /// A prohibition whose constraints all stand in a permission too prohibits all that it permits.
    fn cancelled(&mut self, policy: &Policy) {
        let texts = |rule: &Rule| -> Vec<String> {
            rule.constraint.iter().map(super::same::constraint_meaning).collect()
        };
        let cancelled: Vec<(usize, usize)> = policy
            .permission
            .iter()
            .enumerate()
            .filter_map(|(i, permission)| {
                let held = texts(permission);
                policy
                    .prohibition
                    .iter()
                    .position(|no| {
                        no.action.covers(&permission.action)
                            && texts(no).iter().all(|text| held.contains(text))
                    })
                    .map(|by| (i, by))
            })
            .collect();
        let all = cancelled.len() == policy.permission.len();
        for (i, by) in cancelled {
            let severity = if all { Severity::Error } else { Severity::Warning };
            let problem = format!("prohibition[{by}] prohibits everything that this permits");
            self.push(
                severity,
                &format!("permission[{i}]"),
                problem,
                "narrow the prohibition or leave one of the two out",
            );
        }
    }

    /// `use` includes `distribute` in ODRL's vocabulary, which surprises most authors.
    fn onward(&mut self, policy: &Policy) {
        let about = |rules: &[Rule]| rules.iter().position(|rule| rule.action == Action::Distribute);
        let uses = policy.permission.iter().any(|rule| rule.action == Action::Use);
        match (about(&policy.permission), about(&policy.prohibition)) {
            (None, None) if uses => self.push(
                Severity::Note,
                "permission",
                "nothing is said of passing the data on, so use includes it (ODRL Vocabulary 2.2, distribute)",
                "prohibit distribute, or say to whom",
            ),
            (Some(i), None) if uses => self.push(
                Severity::Warning,
                &format!("permission[{i}]"),
                "this narrows nothing: the permission to use includes distribute to anybody",
                "prohibit distribute with isNoneOf those who may have the data",
            ),
            _ => {}
        }
    }
}

/// The labels of the Traffic Light Protocol 2.0 (FIRST, August 2022).
pub(crate) const MARKINGS: [&str; 5] = ["TLP:CLEAR", "TLP:GREEN", "TLP:AMBER", "TLP:AMBER+STRICT", "TLP:RED"];
