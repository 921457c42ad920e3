//! Entries: the signed statements a dialogue is made of.
//!
//! An entry's content is canonical JSON (RFC 8785) whose outer members carry the attribute names
//! of CloudEvents 1.0. Its identifier is the SHA-256 digest of exactly those bytes, so an entry
//! cannot link to itself or to a later one, and two nodes can never hold different entries under
//! one identifier.

mod act;
mod body;
mod check;
mod signed;

use std::fmt;

use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::jcs::{self, JsonLimits};
use hiwar_trust::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use act::{Act, ActKind};
pub use body::{About, Attachment, Body, Membership, Texts, Words};
pub use signed::{SignedEntry, write_envelope};

use crate::limits;
use crate::marking::Marking;

/// An entry's identifier: the digest of its canonical content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntryId(pub Hash);

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.short())
    }
}

/// A dialogue's identifier: that of the membership entry which opened it.
pub type DialogueId = EntryId;

/// An entry's content, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The participant that says it (CloudEvents `source`).
    pub author: Did,
    /// The desk that acted for it.
    pub desk: String,
    /// The dialogue; absent in the entry that opens one.
    pub dialogue: Option<DialogueId>,
    /// The membership its author held to be in force; absent in the entry that opens a dialogue.
    pub membership: Option<EntryId>,
    /// The arrangement that governs the dialogue.
    pub arrangement: String,
    /// Its handling marking.
    pub marking: Marking,
    /// When its author says it was made.
    pub time: Timestamp,
    /// What its author had seen in the dialogue and nobody had linked to yet.
    pub prev: Vec<EntryId>,
    /// 128 random bits, so that a digest betrays nothing about a guessable text.
    pub nonce: [u8; 16],
    /// Its files.
    pub attachments: Vec<Attachment>,
    /// What it does.
    pub body: Body,
}

/// Why bytes are no acceptable entry. Every one of these is final: the same bytes will never do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// Not canonical JSON, too large or too deep.
    #[error("the entry is not canonical JSON (RFC 8785) within the limits: {0}")]
    NotCanonical(String),
    /// A member is missing or wrong.
    #[error("the entry's member {member:?} is wrong: {problem}")]
    BadMember {
        /// The member.
        member: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A type this version does not know.
    #[error("the entry's type {found:?} is not known to this version")]
    UnknownType {
        /// The type found.
        found: String,
    },
    /// The envelope around the content is malformed.
    #[error("the entry's envelope is malformed: {0}; it must be {{\"entry\":…,\"key\":…,\"signature\":…}}")]
    BadEnvelope(String),
}

#[derive(Serialize, Deserialize)]
struct Outer {
    specversion: String,
    #[serde(rename = "type")]
    type_name: String,
    source: Did,
    desk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dialogue: Option<DialogueId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    membership: Option<EntryId>,
    arrangement: String,
    marking: Marking,
    time: Timestamp,
    prev: Vec<EntryId>,
    nonce: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Attachment>,
    datacontenttype: String,
    /// Only written this way; what is read is taken out before.
    #[serde(skip_deserializing)]
    data: Value,
}

const JSON_LIMITS: JsonLimits = JsonLimits {
    bytes_max: limits::ENTRY_BYTES_MAX,
    depth_max: limits::ENTRY_DEPTH_MAX,
    members_max: limits::ENTRY_MEMBERS_MAX,
};

fn bad(member: &'static str, problem: impl Into<String>) -> EntryError {
    EntryError::BadMember { member, problem: brief(problem) }
}

/// The longest account of what is wrong with a stranger's bytes, in characters.
const PROBLEM_CHARS_MAX: usize = 300;

/// An account of what is wrong, cut: it is logged and sent back, and may quote what came.
pub(crate) fn brief(problem: impl Into<String>) -> String {
    let mut problem = problem.into();
    if let Some((end, _)) = problem.char_indices().nth(PROBLEM_CHARS_MAX) {
        problem.truncate(end);
        problem.push('…');
    }
    problem
}

/// Refuses an array where an object belongs; the reader behind would take it for one whose members
/// come in the order of their declaration.
fn expect_object(member: &'static str, value: &Value) -> Result<(), EntryError> {
    if value.is_object() { Ok(()) } else { Err(bad(member, "it must be an object")) }
}

impl Entry {
    /// Reads canonical bytes into a checked entry. Members it does not know stay in the bytes and
    /// do no harm.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn parse(content: &[u8]) -> Result<Self, EntryError> {
        let mut value = jcs::parse_canonical(content, JSON_LIMITS)
            .map_err(|e| EntryError::NotCanonical(brief(e.to_string())))?;
        expect_object("(outer)", &value)?;
        let data = value.get_mut("data").map(Value::take).ok_or_else(|| bad("data", "it is missing"))?;
        expect_object("data", &data)?;
        let attachments = value.get("attachments").and_then(Value::as_array);
        attachments.into_iter().flatten().try_for_each(|file| expect_object("attachments", file))?;
        let outer: Outer = serde_json::from_value(value).map_err(|e| bad("(outer)", e.to_string()))?;
        if outer.specversion != "1.0" {
            return Err(bad("specversion", "it must be \"1.0\" (CloudEvents)"));
        }
        if outer.datacontenttype != "application/json" {
            return Err(bad("datacontenttype", "it must be \"application/json\""));
        }
        let mut nonce = [0_u8; 16];
        if hex::decode_to_slice(&outer.nonce, &mut nonce).is_err() || hex::encode(nonce) != outer.nonce {
            return Err(bad("nonce", "it must be 32 lower-case hexadecimal digits"));
        }
        let entry = Self {
            author: outer.source,
            desk: outer.desk,
            dialogue: outer.dialogue,
            membership: outer.membership,
            arrangement: outer.arrangement,
            marking: outer.marking,
            time: outer.time,
            prev: outer.prev,
            nonce,
            attachments: outer.attachments,
            body: Body::from_value(&outer.type_name, data)?,
        };
        entry.check()?;
        Ok(entry)
    }

    /// The canonical bytes: what is signed, hashed, stored and sent.
    ///
    /// # Errors
    /// When the entry breaks a rule or a limit.
    pub fn canonical(&self) -> Result<Vec<u8>, EntryError> {
        self.check()?;
        let outer = Outer {
            specversion: "1.0".into(),
            type_name: self.body.type_name().into(),
            source: self.author.clone(),
            desk: self.desk.clone(),
            dialogue: self.dialogue,
            membership: self.membership,
            arrangement: self.arrangement.clone(),
            marking: self.marking,
            time: self.time,
            prev: self.prev.clone(),
            nonce: hex::encode(self.nonce),
            attachments: self.attachments.clone(),
            datacontenttype: "application/json".into(),
            data: self.body.to_value().map_err(|e| bad("data", e.to_string()))?,
        };
        let value = serde_json::to_value(outer).map_err(|e| bad("(outer)", e.to_string()))?;
        let bytes = jcs::to_vec(&value).map_err(|e| EntryError::NotCanonical(e.to_string()))?;
        if bytes.len() > limits::ENTRY_BYTES_MAX {
            return Err(EntryError::NotCanonical(format!(
                "it has {} bytes; the most is {}; put long texts into an attachment",
                bytes.len(),
                limits::ENTRY_BYTES_MAX
            )));
        }
        Ok(bytes)
    }
}
