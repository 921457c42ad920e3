//! Canonical JSON.

use hiwar_trust::jcs::{self, DEPTH_MAX, JcsError, JsonLimits};
use serde_json::Value;

use super::answered;
use crate::sample;

const LIMITS: JsonLimits = JsonLimits { bytes_max: 64 * 1024, depth_max: DEPTH_MAX, members_max: 4096 };

/// A document. Whatever has a canonical form is accepted in that form, and in no other.
pub fn jcs(data: &[u8]) {
    let read = jcs::parse_canonical(data, LIMITS);
    answered(&read);
    match &read {
        Ok(value) => {
            assert_eq!(jcs::to_vec(value).as_deref(), Ok(data), "accepted, but not canonical");
            assert!(parts_of(value) <= LIMITS.members_max, "more parts than were counted");
            assert!(
                serde_json::from_slice::<Value>(data).ok().as_ref() == Some(value),
                "others read it differently"
            );
        }
        Err(JcsError::NotJson { offset, .. } | JcsError::NotCanonical { offset, .. }) => {
            assert!(*offset <= data.len(), "it points behind the end");
        }
        Err(_) => {}
    }
    // Any JSON at all: its canonical form, where it has one, must be read back as itself.
    if let Ok(value) = jcs::parse_any(data, LIMITS)
        && let Ok(canonical) = jcs::to_vec(&value)
        && parts_of(&value) <= LIMITS.members_max
        && canonical.len() <= LIMITS.bytes_max
    {
        // A character, a number's digits and an escape can grow, but not without bound.
        assert!(canonical.len() <= 24 * data.len() + 8, "{} bytes of {}", canonical.len(), data.len());
        let again = jcs::parse_canonical(&canonical, LIMITS);
        let text = String::from_utf8_lossy(&canonical);
        assert!(again.is_ok(), "its own canonical form {text} is refused: {again:?}");
    }
}

/// How many members and elements a value has, over all levels.
fn parts_of(value: &Value) -> usize {
    match value {
        Value::Array(elements) => elements.len() + elements.iter().map(parts_of).sum::<usize>(),
        Value::Object(members) => members.len() + members.values().map(parts_of).sum::<usize>(),
        _ => 0,
    }
}

/// Valid documents, those of RFC 8785 among them.
pub fn jcs_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = [
        // Source: RFC 8785, section 3.2.3.
        "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\u{7f}\",\"\u{f6}\":\"Latin Small Letter O \
         With Diaeresis\",\"\u{20ac}\":\"Euro Sign\",\"\u{1f600}\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew \
         Letter Dalet With Dagesh\"}",
        // Source: RFC 8785, section 3.2.4.
        "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\"string\":\"\u{20ac}$\
         \\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}",
        "[9007199254740991,-9007199254740991,9007199254740992,18446744073709549568,1e+21,5e-324,-0.1]",
        "{\"a\":{},\"b\":[],\"c\":[[]],\"d\":\"\\u0000\\b\\t\\n\\f\\r\\u001f\u{7f}\"}",
        "null",
        "\"\"",
    ]
    .map(Into::into)
    .into();
    let nested = |depth| ["[".repeat(depth), "]".repeat(depth)].concat().into_bytes();
    seeds.extend([DEPTH_MAX, DEPTH_MAX + 1].map(nested));
    seeds.extend(sample::entries().iter().map(|entry| entry.content.to_vec()));
    seeds
}
