//! Terms as a person writes them: the short form, or a policy in ODRL.
//!
//! ```json
//! {
//!   "permit": {
//!     "use": {
//!       "participants": ["did:web:meti.example"],
//!       "groups": ["supply-chain"],
//!       "except": {"countries": ["XX"]},
//!       "countries": ["KR", "JP"],
//!       "purposes": ["supply-chain-resilience"],
//!       "from": "2026-12-01",
//!       "until": "2027-03-31",
//!       "within": "P90D",
//!       "count": 5
//!     },
//!     "distribute": {"groups": ["supply-chain"]}
//!   },
//!   "forbid": ["distribute"],
//!   "oblige": {"delete_after": "P30D", "delete_by": "2027-06-30"},
//!   "marking": "TLP:AMBER"
//! }
//! ```
//!
//! Every member may be left out but `permit.use`; `{"permit": {"use": {}}}` permits everybody. A
//! participant that is listed, or belongs to a listed group, is permitted; all other members must
//! hold together. `from` and `until` are days in UTC, both included, or times with a zone, the last
//! excluded. Either `permit.distribute` or `forbid: ["distribute"]` says whom data may be passed on to.

use serde_json::{Map, Value};

use super::place::{Place, find, path_at};
use super::read::{PolicyError, read};
use super::short::Short;
use super::{Limits, Policy};
use crate::wire::read::cut;

/// Terms that were read, and where in the text each part of the policy comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// The terms as a policy.
    pub policy: Policy,
    /// Paths of the policy and the members of the short form that they come from, with their places.
    pub(crate) places: Vec<(String, Place)>,
}

/// Why a text is no terms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// A member of the short form is wrong.
    #[error("line {}, column {}{}: {}; {mend}", place.line, place.column, named(&place.field), cut(problem.clone(), 800))]
    Short {
        /// Where.
        place: Place,
        /// What is wrong.
        problem: String,
        /// What to write instead.
        mend: String,
    },
    /// The text is no JSON, or no policy in ODRL.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

fn named(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!(", {}", cut(field.to_owned(), 256)) }
}

impl Terms {
    /// Reads terms in the short form, or in ODRL when the object has a `permission`, `prohibition` or
    /// `obligation`. They are not checked yet: [`super::lint`] does that.
    ///
    /// # Errors
    ///
    /// [`TermsError`], which names line, column and member, and how to mend it.
    pub fn read(json: &[u8]) -> Result<Self, TermsError> {
        let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
        if json.len() > Limits::BYTES || is_odrl(json) {
            return Ok(Self { policy: read(json)?, places: Vec::new() });
        }
        let text = std::str::from_utf8(json).map_err(|error| PolicyError::Json {
            line: 1 + json.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count(),
            column: 1,
            problem: "the text is not UTF-8".to_owned(),
        })?;
        let short: Short = serde_json::from_str(text).map_err(|error| serde_error(text, &error))?;
        short.into_terms(text)?.within_limits()
    }

    /// What is written in the short form must fit into a policy that others read.
    fn within_limits(self) -> Result<Self, TermsError> {
        match Policy::from_value(self.policy.to_value()) {
            Ok(_) => Ok(self),
            Err(PolicyError::Form { path, problem, mend }) => match self.place(&path) {
                Some(place) => Err(TermsError::Short { place: place.clone(), problem, mend }),
                None => Err(PolicyError::Form { path, problem, mend }.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// The member of the short form that a path of the policy, such as one of a lint finding, comes from.
    pub fn place(&self, path: &str) -> Option<&Place> {
        let fits = |from: &str| {
            path.strip_prefix(from).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.places
            .iter()
            .filter(|(from, _)| fits(from))
            .max_by_key(|(from, _)| from.len())
            .map(|(_, place)| place)
    }
}

fn is_odrl(json: &[u8]) -> bool {
    let Ok(object) = serde_json::from_slice::<Map<String, Value>>(json) else { return false };
    object.keys().any(|name| {
        ["permission", "prohibition", "obligation"].contains(&super::operand::bare_term(name))
            || name == "@type"
    })
}

/// The reader's own words, with the member that they are about and the nearest known name.
fn serde_error(text: &str, error: &serde_json::Error) -> TermsError {
    let mut place = path_at(text, error.line(), error.column());
    let whole = error.to_string();
    // What the author wrote stands in the middle and may hold anything; the reader's own words are at
    // both ends.
    let problem = whole.rsplit_once(" at line ").map_or(whole.as_str(), |(problem, _)| problem);
    if !error.is_data() {
        return TermsError::Short {
            place,
            problem: format!("not JSON: {problem}"),
            mend: "mend the JSON".to_owned(),
        };
    }
    let (named, known) = problem.rsplit_once(", expected ").unwrap_or((problem, ""));
    let word = named.strip_prefix("unknown field `").and_then(|rest| rest.strip_suffix('`'));
    let Some(word) = word else {
        let mend = "see the short form of terms in the documentation".to_owned();
        return TermsError::Short { place, problem: problem.to_owned(), mend };
    };
    // The name that is wrong stands at the place; the object around it is right.
    if let Some(better) = find(text, &place.field) {
        place = better;
    }
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    let mend = match super::nearest::nearest(word, known.iter().copied()) {
        Some(near) => format!("write {near}"),
        None => format!("write one of {}", known.join(", ")),
    };
    TermsError::Short { place, problem: named.to_owned(), mend }
}
