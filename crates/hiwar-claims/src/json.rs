//! JSON from strangers: within limits, and with every member once. Of a member that stands twice one
//! reader could take the first and another the last for true, which is how signed texts are made to
//! mean two things.

use std::collections::BTreeSet;
use std::fmt;

use hiwar_trust::jcs::{self, JsonLimits};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// How deep JSON may nest.
const DEPTH: usize = 24;
/// The most members and elements, over all levels.
const MEMBERS_MAX: usize = 4096;
/// The most characters of a description of what is wrong.
const PROBLEM_CHARS: usize = 200;

/// Why a text is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadJson(String);

/// Reads a JSON object of at most `bytes_max` bytes.
///
/// # Errors
/// When it is too long, nests too deeply, is no JSON object, or names a member twice.
pub fn object(bytes: &[u8], bytes_max: usize) -> Result<Map<String, Value>, BadJson> {
    let limits = JsonLimits { bytes_max, depth_max: DEPTH, members_max: MEMBERS_MAX };
    let value = jcs::parse_any(bytes, limits).map_err(|e| bad(&e.to_string()))?;
    serde_json::from_slice::<Distinct>(bytes).map_err(|e| bad(&e.to_string()))?;
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(bad("it is not a JSON object")),
    }
}

fn bad(problem: &str) -> BadJson {
    BadJson(problem.chars().take(PROBLEM_CHARS).collect())
}

/// A value whose objects have no member twice.
struct Distinct;

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DistinctVisitor)
    }
}

struct DistinctVisitor;

macro_rules! plain {
    ($($name:ident: $kind:ty),+) => {$(
        fn $name<E>(self, _: $kind) -> Result<Distinct, E> {
            Ok(Distinct)
        }
    )+};
}

impl<'de> Visitor<'de> for DistinctVisitor {
    type Value = Distinct;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    plain!(visit_bool: bool, visit_u64: u64, visit_i64: i64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Distinct, A::Error> {
        while elements.next_element::<Distinct>()?.is_some() {}
        Ok(Distinct)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Distinct, A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = members.next_key::<String>()? {
            members.next_value::<Distinct>()?;
            if let Some(name) = names.replace(name) {
                let name: String = name.chars().take(40).collect();
                return Err(A::Error::custom(format_args!("the member {name:?} stands twice")));
            }
        }
        Ok(Distinct)
    }
}
