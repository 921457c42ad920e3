//! Acts: entries that open or move a procedure, such as a notice, a meeting or a commitment.
//!
//! This crate carries them: it knows their kinds and that their content is an object. What the content
//! says, and whether the act has an effect where it stands, is judged by who reads the whole dialogue
//! (`hiwar-procedure`), so that the judgement of a single entry never depends on others.

use hiwar_trust::jcs::SAFE_INTEGER_MAX;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{EntryId, Words};

/// What kind of act an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActKind {
    /// The text that governs the dialogue: parties, bodies, clocks, markings, languages.
    Arrangement,
    /// A disruption alert, an information request, an answer, an offer, a request for an emergency meeting.
    Notice,
    /// A government's measure on items.
    Measure,
    /// A meeting is convened or its date changed.
    Meeting,
    /// Minutes of a meeting, as a draft.
    Minutes,
    /// Somebody undertakes something by a date.
    Commitment,
    /// A firm's confidential report to its ministry.
    Report,
    /// A statistic made from reports, released.
    Release,
    /// An entry of this dialogue was passed on to others.
    Onward,
    /// A step on what another act opened: a meeting accepted, minutes agreed, a commitment reported done.
    Step,
}

impl ActKind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Arrangement,
        Self::Notice,
        Self::Measure,
        Self::Meeting,
        Self::Minutes,
        Self::Commitment,
        Self::Report,
        Self::Release,
        Self::Onward,
        Self::Step,
    ];

    /// The CloudEvents `type` of such an entry.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Arrangement => "org.hiwar.arrangement.v1",
            Self::Notice => "org.hiwar.notice.v1",
            Self::Measure => "org.hiwar.measure.v1",
            Self::Meeting => "org.hiwar.meeting.v1",
            Self::Minutes => "org.hiwar.minutes.v1",
            Self::Commitment => "org.hiwar.commitment.v1",
            Self::Report => "org.hiwar.report.v1",
            Self::Release => "org.hiwar.release.v1",
            Self::Onward => "org.hiwar.onward.v1",
            Self::Step => "org.hiwar.step.v1",
        }
    }

    /// The kind's plain name, such as `notice`.
    pub fn as_str(self) -> &'static str {
        let name = self.type_name();
        name.strip_prefix("org.hiwar.").and_then(|name| name.strip_suffix(".v1")).unwrap_or(name)
    }

    /// The kind that a CloudEvents `type` names, if it names one.
    pub fn of_type(type_name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_name() == type_name)
    }
}

impl std::fmt::Display for ActKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for ActKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            format!("{text:?} is no kind of act; there are {}", Self::ALL.map(Self::as_str).join(", "))
        })
    }
}

impl Serialize for ActKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ActKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An act: its kind, what it is about, and its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// Its kind.
    pub kind: ActKind,
    /// The entry it is about: what it answers, replaces or moves. A step always has one.
    pub of: Option<EntryId>,
    /// What it says beside its content.
    pub words: Words,
    /// Its content, whose form depends on the kind.
    pub content: Map<String, Value>,
}

/// `data` of an act on the wire.
#[derive(Serialize, Deserialize)]
pub(super) struct ActData {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<EntryId>,
    #[serde(flatten)]
    words: Words,
    content: Map<String, Value>,
}

impl From<&Act> for ActData {
    fn from(act: &Act) -> Self {
        Self { of: act.of, words: act.words.clone(), content: act.content.clone() }
    }
}

impl ActData {
    pub(super) fn of_kind(self, kind: ActKind) -> Act {
        Act { kind, of: self.of, words: self.words, content: self.content }
    }
}

/// Whether every number of a content is an integer that all readers of JSON see alike: quantities with a
/// fraction travel as text.
pub(super) fn has_plain_numbers(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_i64().is_some_and(|n| n.unsigned_abs() <= SAFE_INTEGER_MAX),
        Value::Array(items) => items.iter().all(has_plain_numbers),
        Value::Object(members) => members.values().all(has_plain_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_is_known_by_its_name_and_by_its_type() {
        for kind in ActKind::ALL {
            assert_eq!(ActKind::of_type(kind.type_name()), Some(kind));
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(kind.type_name(), format!("org.hiwar.{kind}.v1"));
        }
        assert_eq!(ActKind::of_type("org.hiwar.statement.v1"), None);
    }

    #[test]
    fn numbers_that_two_readers_could_see_differently_are_found_at_any_depth() {
        assert!(has_plain_numbers(&json!({ "a": [1, -5, { "b": 9_007_199_254_740_991_u64 }] })));
        for other in [json!(0.5), json!({ "a": [{ "b": 1e3 }] }), json!(9_007_199_254_740_992_u64)] {
            assert!(!has_plain_numbers(&other), "{other}");
        }
    }
}
