//! Reading a stranger's JSON: tolerant of form, strict of meaning.
//!
//! Other connectors treat the wire as JSON-LD, so one value may arrive in several forms. Taken are:
//! a one-element array for its element, `{"@id": …}` and `{"@value": …}` for a string, an array of
//! one context for a context, a prefix such as `dspace:` before a name, and members that this
//! version does not know. Everything else is refused with the path of what is wrong.

use serde_json::{Map, Value};

use super::CONTEXT;
use crate::policy::PolicyError;

/// The longest identifier or address that is read, in bytes.
pub const TEXT_BYTES_MAX: usize = 2048;

/// The most bytes of a stranger's text in an error: what is logged and sent back must not grow with it.
const PATH_BYTES: usize = 256;
/// As [`PATH_BYTES`], for the problem.
const PROBLEM_BYTES: usize = 1500;

/// A text of at most `bytes` bytes, with an ellipsis when something is missing.
pub(crate) fn cut(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        let end = (0..=bytes.saturating_sub('…'.len_utf8())).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}

/// Why a message cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct WireError {
    /// Where, such as `offer.permission[0].action`; `message` for the whole.
    pub path: String,
    /// What is wrong and how to mend it.
    pub problem: String,
}

impl WireError {
    /// An error at `path`.
    pub fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: cut(path.into(), PATH_BYTES), problem: cut(problem.into(), PROBLEM_BYTES) }
    }

    /// What is wrong with a policy that stands at `at`.
    pub(crate) fn of_policy(at: &str, error: &PolicyError) -> Self {
        match error {
            PolicyError::Form { path, problem, mend } => {
                let path = if path.is_empty() { at.to_owned() } else { format!("{at}.{path}") };
                Self::new(path, format!("{}; {mend}", cut(problem.clone(), PROBLEM_BYTES / 2)))
            }
            other => Self::new(at, other.to_string()),
        }
    }
}

/// The members of one JSON object of a message.
#[derive(Clone, Copy, Debug)]
pub struct Members<'a> {
    map: &'a Map<String, Value>,
    path: &'a str,
}

/// Without the array around it, when it has one element.
fn single(value: &Value) -> &Value {
    match value {
        Value::Array(items) if items.len() == 1 => items.first().unwrap_or(value),
        other => other,
    }
}

/// A string in any of its forms.
fn as_text(value: &Value) -> Option<&str> {
    match single(value) {
        Value::String(text) => Some(text),
        Value::Object(map) => map.get("@id").or_else(|| map.get("@value")).and_then(Value::as_str),
        _ => None,
    }
}

/// A name without its prefix: `dspace:ContractRequestMessage` and the full address are both
/// `ContractRequestMessage`.
pub fn local_name(name: &str) -> &str {
    name.rsplit(['/', '#', ':']).next().unwrap_or(name)
}

impl<'a> Members<'a> {
    /// The members of `value`, which stands at `path`.
    ///
    /// # Errors
    /// When it is no object.
    pub fn of(value: &'a Value, path: &'a str) -> Result<Self, WireError> {
        match single(value) {
            Value::Object(map) => Ok(Self { map, path }),
            other => Err(WireError::new(path, format!("it is {}; write a JSON object", kind(other)))),
        }
    }

    fn at(&self, member: &str) -> String {
        if self.path == "message" { member.to_owned() } else { format!("{}.{member}", self.path) }
    }

    /// A member's value, under its name with or without a prefix; null counts as absent.
    pub fn get(&self, member: &str) -> Option<&'a Value> {
        let found = self.map.get(member).or_else(|| {
            // Prefixed names are rare: looked for only when the plain one is absent.
            self.map
                .iter()
                .find(|(k, _)| !k.starts_with('@') && k.contains(':') && local_name(k) == member)
                .map(|(_, v)| v)
        });
        found.filter(|v| !v.is_null())
    }

    /// A string that may be absent.
    ///
    /// # Errors
    /// When it is no string, empty or longer than [`TEXT_BYTES_MAX`].
    pub fn optional_text(&self, member: &str) -> Result<Option<String>, WireError> {
        let Some(value) = self.get(member) else { return Ok(None) };
        let Some(text) = as_text(value) else {
            return Err(WireError::new(self.at(member), format!("it is {}; write a string", kind(value))));
        };
        if text.is_empty() {
            return Err(WireError::new(self.at(member), "it is empty"));
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(WireError::new(self.at(member), format!("it has more than {TEXT_BYTES_MAX} bytes")));
        }
        Ok(Some(text.to_owned()))
    }

    /// A string that must be there.
    ///
    /// # Errors
    /// As [`Members::optional_text`], and when it is absent.
    pub fn text(&self, member: &str) -> Result<String, WireError> {
        self.optional_text(member)?
            .ok_or_else(|| WireError::new(self.at(member), "it is missing; it is required"))
    }

    /// A member that must be there.
    ///
    /// # Errors
    /// When it is absent.
    pub fn value(&self, member: &str) -> Result<&'a Value, WireError> {
        self.get(member).ok_or_else(|| WireError::new(self.at(member), "it is missing; it is required"))
    }

    /// One thing that must be there, without the array around it when it has one element.
    ///
    /// # Errors
    /// When it is absent.
    pub fn one(&self, member: &str) -> Result<&'a Value, WireError> {
        Ok(single(self.value(member)?))
    }

    /// A list: an array, one thing for a list of one, nothing for an empty list.
    pub fn list(&self, member: &str) -> Vec<&'a Value> {
        match self.get(member) {
            None => Vec::new(),
            Some(Value::Array(items)) => items.iter().collect(),
            Some(other) => vec![other],
        }
    }

    /// Checks `@context` and `@type` of a message.
    ///
    /// # Errors
    /// When the context of DSP 2025-1 is not named or the type is another.
    pub fn expect(&self, wanted: &str) -> Result<(), WireError> {
        let contexts = self.list("@context");
        if !contexts.iter().any(|c| c.as_str() == Some(CONTEXT)) {
            return Err(WireError::new(
                "@context",
                format!("it does not name the Dataspace Protocol 2025-1; write [\"{CONTEXT}\"]"),
            ));
        }
        let found = self.text("@type")?;
        if local_name(&found) == wanted {
            return Ok(());
        }
        Err(WireError::new("@type", format!("it is {:?}; this address takes {wanted}", shown(&found))))
    }
}

/// What a value is, for people.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A stranger's text cut for an error.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}
