//! Reading policies: strict about meaning, tolerant about form.
//!
//! Tolerated: one object instead of an array of one, `odrl:` prefixes on members, actions, operands
//! and operators, `{"@id": …}` around them, numbers as right operands. Unknown members are kept.

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::{Map, Value};

use super::model::{Atomic, Constraint, Logical, LogicalKind, Policy, Rule};
use super::operand::bare_term;
use super::{Action, LeftOperand, Operator, RightOperand};
use crate::wire::read::cut;
use crate::wire::{PRIVATE, has_private_name};

/// What a policy may hold at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits;

impl Limits {
    /// Size of the JSON text, in bytes, for [`read`].
    pub const BYTES: usize = 512 * 1024;
    /// Rules in all lists together.
    pub const RULES: usize = 128;
    /// Constraints of all rules together, logical ones included.
    pub const CONSTRAINTS: usize = 512;
    /// Depth of constraints inside logical constraints.
    pub const DEPTH: usize = 8;
    /// Values of all right operands together.
    pub const VALUES: usize = 10_000;
    /// Length of one term or value, in bytes.
    pub const TEXT_BYTES: usize = 2048;
}

/// Why something is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The text is too long.
    #[error("the policy has {bytes} bytes; at most {} are read", Limits::BYTES)]
    TooLarge {
        /// Size of the text.
        bytes: usize,
    },
    /// The text is not JSON.
    #[error("line {line}, column {column}: not JSON: {problem}")]
    Json {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What the JSON reader says.
        problem: String,
    },
    /// A member is missing or has the wrong form.
    #[error("{}: {}; {mend}", if path.is_empty() { "policy".into() } else { cut(path.clone(), 256) }, cut(problem.clone(), 800))]
    Form {
        /// Where, such as `permission[0].constraint[1].operator`; empty for the policy itself.
        path: String,
        /// What is wrong.
        problem: String,
        /// What to write instead.
        mend: String,
    },
}

/// Reads a policy, an offer or an agreement as bare terms from JSON text.
///
/// # Errors
///
/// [`PolicyError`], which names the line and column or the member, and how to mend it.
pub fn read(json: &[u8]) -> Result<Policy, PolicyError> {
    Policy::from_value(read_json(json)?)
}

pub(crate) fn read_json(json: &[u8]) -> Result<Value, PolicyError> {
    if json.len() > Limits::BYTES {
        return Err(PolicyError::TooLarge { bytes: json.len() });
    }
    let value: Value = serde_json::from_slice(json).map_err(|error| PolicyError::Json {
        line: error.line(),
        column: error.column(),
        problem: error.to_string(),
    })?;
    if has_private_name(&value) {
        return form("", format!("a member's name begins with {PRIVATE:?}"), "rename it");
    }
    Ok(value)
}

pub(crate) fn form<T>(
    path: &str,
    problem: impl Into<String>,
    mend: impl Into<String>,
) -> Result<T, PolicyError> {
    Err(PolicyError::Form { path: path.to_owned(), problem: problem.into(), mend: mend.into() })
}

/// The members of an object, their names without an `odrl:` prefix when they are known.
pub(crate) struct Members {
    known: Map<String, Value>,
    /// Members that are not known, as they came.
    pub(crate) other: Map<String, Value>,
}

impl Members {
    pub(crate) fn of(value: Value, path: &str, names: &[&str]) -> Result<Self, PolicyError> {
        let Value::Object(object) = value else {
            return form(path, format!("it is {}", kind(&value)), "write a JSON object, { … }");
        };
        let (mut known, mut other) = (Map::new(), Map::new());
        for (name, value) in object {
            let bare = bare_term(&name);
            if !names.contains(&bare) {
                // Nothing is said by an empty member, such as the empty lists that other connectors write.
                if !is_empty(&value) {
                    other.insert(name, value);
                }
            } else if known.insert(bare.to_owned(), value).is_some() {
                return form(path, format!("{bare} is written twice"), "write it once");
            }
        }
        Ok(Self { known, other })
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.known.remove(name).filter(|value| !value.is_null())
    }

    /// A text, bare or as `{"@id": …}` or `{"@value": …}`.
    pub(crate) fn text(&mut self, path: &str, name: &str) -> Result<Option<String>, PolicyError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let path = member(path, name);
        match term(&value) {
            Some(text) if text.len() > Limits::TEXT_BYTES => {
                form(&path, "it is too long", format!("write at most {} bytes", Limits::TEXT_BYTES))
            }
            Some(text) => Ok(Some(text.to_owned())),
            None => form(&path, format!("it is {}", kind(&value)), "write a text in quotes"),
        }
    }

    pub(crate) fn required_text(
        &mut self,
        path: &str,
        name: &str,
        mend: &str,
    ) -> Result<String, PolicyError> {
        match self.text(path, name)? {
            Some(text) if !text.is_empty() => Ok(text),
            Some(_) => form(&member(path, name), "it is empty", mend),
            None => form(path, format!("{name} is missing"), mend),
        }
    }

    /// A list, or the one element that stands for a list of one.
    fn list(&mut self, name: &str) -> Vec<Value> {
        match self.take(name) {
            None => Vec::new(),
            Some(Value::Array(items)) => items,
            Some(one) => vec![one],
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

fn term(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Array(items) => match items.as_slice() {
            [only] if !only.is_array() => term(only),
            _ => None,
        },
        Value::Object(members) => ["@id", "@value", "odrl:type", "type", "@type"]
            .into_iter()
            .find_map(|name| members.get(name).and_then(Value::as_str)),
        _ => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

pub(crate) fn member(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

impl Policy {
    /// Reads a policy from a JSON value. Of an offer or an agreement only the rules are read: its
    /// identifier, target, parties and time are left out.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Form`], which names the member and how to mend it.
    pub fn from_value(value: Value) -> Result<Self, PolicyError> {
        const AROUND: [&str; 8] =
            ["@context", "@id", "@type", "uid", "target", "assigner", "assignee", "timestamp"];
        let names: Vec<&str> = MEMBERS.into_iter().chain(AROUND).collect();
        let members = Members::of(value, "", &names)?;
        Self::from_members(members, "")
    }

    /// Reads the members of a policy out of those of an offer or agreement at `path`.
    pub(crate) fn from_members(mut members: Members, path: &str) -> Result<Self, PolicyError> {
        let mut reader = Reader::default();
        let mut profile = Vec::new();
        for item in members.list("profile") {
            match term(&item) {
                Some(text) if text.len() <= Limits::TEXT_BYTES => profile.push(text.to_owned()),
                _ => {
                    return form(
                        &member(path, "profile"),
                        format!("it is {}", kind(&item)),
                        "write the IRI of a profile",
                    );
                }
            }
        }
        let permission = reader.rules(&mut members, path, "permission")?;
        let prohibition = reader.rules(&mut members, path, "prohibition")?;
        let obligation = reader.rules(&mut members, path, "obligation")?;
        Ok(Self { profile, permission, prohibition, obligation, other: members.other })
    }
}

/// Members of a policy.
pub(crate) const MEMBERS: [&str; 4] = ["profile", "permission", "prohibition", "obligation"];

/// Counts what has been read, against [`Limits`].
#[derive(Default)]
struct Reader {
    rules: usize,
    constraints: usize,
    values: usize,
}

impl Reader {
    fn rules(&mut self, members: &mut Members, path: &str, name: &str) -> Result<Vec<Rule>, PolicyError> {
        let items = members.list(name);
        let path = member(path, name);
        self.rules += items.len();
        if self.rules > Limits::RULES {
            return form(
                &path,
                format!("the policy has more than {} rules", Limits::RULES),
                "write fewer rules",
            );
        }
        items.into_iter().enumerate().map(|(i, item)| self.rule(item, &format!("{path}[{i}]"))).collect()
    }

    fn rule(&mut self, value: Value, path: &str) -> Result<Rule, PolicyError> {
        let mut members = Members::of(value, path, &["action", "constraint"])?;
        let action = members.required_text(path, "action", "add an action, such as \"action\": \"use\"")?;
        let list = members.list("constraint");
        let constraint = self.constraints(list, &member(path, "constraint"), 1)?;
        Ok(Rule { action: Action::from_term(&action), constraint, other: members.other })
    }

    fn constraints(
        &mut self,
        items: Vec<Value>,
        path: &str,
        depth: usize,
    ) -> Result<Vec<Constraint>, PolicyError> {
        self.constraints += items.len();
        if self.constraints > Limits::CONSTRAINTS {
            let problem = format!("the policy has more than {} constraints", Limits::CONSTRAINTS);
            return form(path, problem, "write fewer constraints");
        }
        if depth > Limits::DEPTH {
            let problem = format!("constraints are nested deeper than {} levels", Limits::DEPTH);
            return form(path, problem, "write them flatter");
        }
        items
            .into_iter()
            .enumerate()
            .map(|(i, item)| self.constraint(item, &format!("{path}[{i}]"), depth))
            .collect()
    }

    fn constraint(&mut self, value: Value, path: &str, depth: usize) -> Result<Constraint, PolicyError> {
        const NAMES: [&str; 7] =
            ["leftOperand", "operator", "rightOperand", "and", "andSequence", "or", "xone"];
        let mut members = Members::of(value, path, &NAMES)?;
        let kinds: Vec<LogicalKind> =
            LogicalKind::ALL.into_iter().filter(|kind| members.known.contains_key(kind.as_str())).collect();
        let atomic =
            ["leftOperand", "operator", "rightOperand"].iter().any(|n| members.known.contains_key(*n));
        match kinds.as_slice() {
            [] => self.atomic(members, path).map(Constraint::Atomic),
            [kind] if !atomic => {
                let items = match members.list(kind.as_str()) {
                    // JSON-LD writers put the operands of a logical constraint into a list object.
                    items if items.len() == 1 => match items.into_iter().next() {
                        Some(Value::Object(mut object)) if object.contains_key("@list") => {
                            match object.remove("@list") {
                                Some(Value::Array(items)) => items,
                                other => other.into_iter().collect(),
                            }
                        }
                        one => one.into_iter().collect(),
                    },
                    items => items,
                };
                let constraints = self.constraints(items, &member(path, kind.as_str()), depth + 1)?;
                Ok(Constraint::Logical(Logical { kind: *kind, constraints, other: members.other }))
            }
            _ => form(
                path,
                "it has several of leftOperand, and, andSequence, or, xone",
                "write one comparison or one logical operator in each object",
            ),
        }
    }

    fn atomic(&mut self, mut members: Members, path: &str) -> Result<Atomic, PolicyError> {
        let left = members.required_text(
            path,
            "leftOperand",
            "write leftOperand, operator and rightOperand, or one of and, andSequence, or, xone",
        )?;
        let operator = members.required_text(path, "operator", "add an operator, such as \"eq\"")?;
        let Some(right) = members.take("rightOperand") else {
            return form(path, "rightOperand is missing", "add the value that is compared with");
        };
        let right = RightOperand::from_value(right);
        self.values += right.values().len();
        let path = member(path, "rightOperand");
        if self.values > Limits::VALUES {
            let problem = format!("the policy has more than {} values", Limits::VALUES);
            return form(&path, problem, "name a group instead of its members");
        }
        if right.values().iter().any(|value| value.len() > Limits::TEXT_BYTES) {
            return form(&path, "a value is too long", format!("write at most {} bytes", Limits::TEXT_BYTES));
        }
        let written = right.written().clone();
        let known = (LeftOperand::from_term(&left), Operator::from_term(&operator));
        Ok(Atomic::with_other(known.0, known.1, right, members.other).spelled(&left, &operator, written))
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_value(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
