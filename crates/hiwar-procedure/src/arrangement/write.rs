//! Writing an arrangement: as the content of an act, and for people.

use serde_json::{Map, Value};

use super::Arrangement;

/// The JSON Schema (2020-12) of an arrangement. A form that it accepts can still have faults that only the
/// whole shows, such as a body that there is not; [`super::read`] tells them.
pub const SCHEMA: &str = include_str!("../../../../docs/schemas/arrangement.schema.json");

impl Arrangement {
    /// The content of the act that proposes it. The entry that carries it is canonical JSON (RFC 8785), so the
    /// order of members does not matter here.
    pub fn to_content(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(members)) => members,
            // All members are texts, numbers and lists of them, which JSON can always hold.
            _ => Map::new(),
        }
    }

    /// The same in TOML, as people edit it; [`super::read`] takes both.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_default()
    }
}
