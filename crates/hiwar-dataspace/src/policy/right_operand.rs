//! Right operands: what a constraint compares with.

use serde_json::Value;

/// A right operand: the form it was written in, and the texts it stands for.
///
/// `"x"`, `["x"]`, `{"@value": "x"}` and `{"@id": "x"}` stand for the same text; numbers and truth
/// values stand for their JSON text.
#[derive(Clone, Debug, PartialEq)]
pub struct RightOperand {
    written: Value,
    values: Vec<String>,
}

impl RightOperand {
    /// A right operand of one text.
    pub fn one(text: impl Into<String>) -> Self {
        Self::from_value(Value::String(text.into()))
    }

    /// A right operand of several texts, written as an array.
    pub fn many<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::from_value(Value::Array(texts.into_iter().map(|text| Value::String(text.into())).collect()))
    }

    /// The right operand that a JSON value is. What the schema does not allow (numbers, truth values)
    /// is turned into text.
    pub fn from_value(value: Value) -> Self {
        let mut values = Vec::new();
        collect(&value, &mut values);
        let written = match value {
            Value::Null => Value::Array(Vec::new()),
            scalar @ (Value::Bool(_) | Value::Number(_)) => Value::String(scalar.to_string()),
            other => other,
        };
        Self { written, values }
    }

    /// The form that goes on the wire: text, object or array.
    pub fn written(&self) -> &Value {
        &self.written
    }

    /// The texts that it stands for.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// The text, when there is exactly one.
    pub fn single(&self) -> Option<&str> {
        match self.values.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The same values, written as an array.
    pub(crate) fn into_set(self) -> Self {
        match self.written {
            text @ Value::String(_) => Self { written: Value::Array(vec![text]), values: self.values },
            _ => self,
        }
    }
}

impl From<&str> for RightOperand {
    fn from(text: &str) -> Self {
        Self::one(text)
    }
}

impl From<String> for RightOperand {
    fn from(text: String) -> Self {
        Self::one(text)
    }
}

impl From<Vec<String>> for RightOperand {
    fn from(texts: Vec<String>) -> Self {
        Self::many(texts)
    }
}

/// The reader has limited depth, so this ends.
fn collect(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) => into.push(value.to_string()),
        Value::String(text) => into.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Value::Object(members) => {
            match members.get("@value").or_else(|| members.get("@id")).or_else(|| members.get("@list")) {
                Some(inner) => collect(inner, into),
                None => into.push(value.to_string()),
            }
        }
    }
}
