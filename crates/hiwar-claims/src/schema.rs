//! The part of JSON Schema that credential schemas use (VC JSON Schema). What is not understood is
//! refused: a rule that is not checked would look like one that holds.

use serde_json::{Map, Value};

/// The most bytes of a schema.
pub const SCHEMA_BYTES_MAX: usize = 64 * 1024;

/// Why a value does not satisfy a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The schema uses what is not understood here.
    #[error(
        "the credential's schema uses {keyword:?}, which is not understood here, so it cannot be checked"
    )]
    Unknown {
        /// What, cut to 40 characters.
        keyword: String,
    },
    /// The value is not as the schema says.
    #[error("the credential does not satisfy its schema: {place}: {rule}")]
    Violated {
        /// Where, as member names joined by full stops.
        place: String,
        /// Which rule.
        rule: String,
    },
}

/// Members that say nothing about what is valid.
const NOTES: [&str; 10] = [
    "$schema",
    "$id",
    "id",
    "title",
    "description",
    "$comment",
    "examples",
    "default",
    "$metadata",
    "format",
];

/// Checks a value.
///
/// # Errors
/// When it does not satisfy the schema, or the schema is not understood.
pub fn check(value: &Value, schema: &Value) -> Result<(), SchemaError> {
    at(value, schema, "credentialSubject")
}

fn violated(place: &str, rule: impl Into<String>) -> SchemaError {
    SchemaError::Violated { place: place.chars().take(200).collect(), rule: rule.into() }
}

fn unknown(keyword: &str) -> SchemaError {
    SchemaError::Unknown { keyword: keyword.chars().take(40).collect() }
}

fn at(value: &Value, schema: &Value, place: &str) -> Result<(), SchemaError> {
    let rules = match schema {
        Value::Bool(true) => return Ok(()),
        Value::Bool(false) => return Err(violated(place, "nothing is allowed here")),
        Value::Object(rules) => rules,
        _ => return Err(unknown("a schema that is no object")),
    };
    for (keyword, rule) in rules {
        match keyword.as_str() {
            "type" => of_type(value, rule, place)?,
            "const" if value == rule => {}
            "const" => return Err(violated(place, "it is not the one value allowed")),
            "enum" => {
                let all = rule.as_array().ok_or_else(|| unknown("enum"))?;
                if !all.contains(value) {
                    return Err(violated(place, "it is none of the values allowed"));
                }
            }
            "required" => required(value, rule, place)?,
            "properties" => properties(value, rule, place)?,
            "additionalProperties" => additional(value, rule, rules, place)?,
            "items" => {
                for element in value.as_array().into_iter().flatten() {
                    at(element, rule, place)?;
                }
            }
            "minLength" | "maxLength" => length(value, keyword, rule, place)?,
            "minimum" | "maximum" => bound(value, keyword, rule, place)?,
            note if NOTES.contains(&note) => {}
            other => return Err(unknown(other)),
        }
    }
    Ok(())
}

fn of_type(value: &Value, rule: &Value, place: &str) -> Result<(), SchemaError> {
    let is = |name: &Value| match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        Some("number") => value.is_number(),
        Some("integer") => value.is_i64() || value.is_u64(),
        _ => false,
    };
    let good = rule.as_array().map_or_else(|| is(rule), |all| all.iter().any(is));
    if good { Ok(()) } else { Err(violated(place, format!("its type must be {rule}"))) }
}

fn required(value: &Value, rule: &Value, place: &str) -> Result<(), SchemaError> {
    let Some(members) = value.as_object() else { return Ok(()) };
    for name in rule.as_array().ok_or_else(|| unknown("required"))? {
        let name = name.as_str().ok_or_else(|| unknown("required"))?;
        if !members.contains_key(name) {
            return Err(violated(place, format!("the member {name:?} is absent")));
        }
    }
    Ok(())
}

fn properties(value: &Value, rule: &Value, place: &str) -> Result<(), SchemaError> {
    let Some(members) = value.as_object() else { return Ok(()) };
    for (name, schema) in rule.as_object().ok_or_else(|| unknown("properties"))? {
        if let Some(member) = members.get(name) {
            at(member, schema, &format!("{place}.{name}"))?;
        }
    }
    Ok(())
}

fn additional(
    value: &Value,
    rule: &Value,
    rules: &Map<String, Value>,
    place: &str,
) -> Result<(), SchemaError> {
    let Some(members) = value.as_object() else { return Ok(()) };
    let named = rules.get("properties").and_then(Value::as_object);
    for (name, member) in members.iter().filter(|(n, _)| !named.is_some_and(|p| p.contains_key(*n))) {
        at(member, rule, &format!("{place}.{name}"))?;
    }
    Ok(())
}

fn length(value: &Value, keyword: &str, rule: &Value, place: &str) -> Result<(), SchemaError> {
    let limit = rule.as_u64().ok_or_else(|| unknown(keyword))?;
    let Some(text) = value.as_str() else { return Ok(()) };
    let count = text.chars().count() as u64;
    let good = if keyword == "minLength" { count >= limit } else { count <= limit };
    if good {
        Ok(())
    } else {
        Err(violated(place, format!("{keyword} is {limit}, it has {count} characters")))
    }
}

fn bound(value: &Value, keyword: &str, rule: &Value, place: &str) -> Result<(), SchemaError> {
    let limit = rule.as_f64().ok_or_else(|| unknown(keyword))?;
    let Some(number) = value.as_f64() else { return Ok(()) };
    let good = if keyword == "minimum" { number >= limit } else { number <= limit };
    if good { Ok(()) } else { Err(violated(place, format!("{keyword} is {limit}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schema_is_checked_or_refused_and_never_passed_over() {
        let schema = json!({
            "type": "object", "required": ["id", "level"],
            "properties": { "id": { "type": "string" }, "level": { "enum": ["gold", "silver"] } },
            "additionalProperties": { "type": "string", "maxLength": 3 },
        });
        assert_eq!(check(&json!({ "id": "did:web:b", "level": "gold", "x": "abc" }), &schema), Ok(()));
        for (wrong, place) in [
            (json!({ "id": "did:web:b" }), "credentialSubject"),
            (json!({ "id": 3, "level": "gold" }), "credentialSubject.id"),
            (json!({ "id": "b", "level": "lead" }), "credentialSubject.level"),
            (json!({ "id": "b", "level": "gold", "x": "abcd" }), "credentialSubject.x"),
        ] {
            let error = check(&wrong, &schema).unwrap_err();
            assert!(matches!(&error, SchemaError::Violated { place: p, .. } if p == place), "{error}");
        }
        let error = check(&json!({}), &json!({ "pattern": "^a" })).unwrap_err();
        assert_eq!(error, SchemaError::Unknown { keyword: "pattern".into() });
    }
}
