//! Entries: the signed statements a dialogue is made of.
//!
//! An entry's content is canonical JSON (RFC 8785) whose outer members carry the attribute names
//! of CloudEvents 1.0. Its identifier is the SHA-256 digest of exactly those bytes, so an entry
//! cannot link to itself or to a later one, and two nodes can never hold different entries under
//! one identifier.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::jcs::{self, JsonLimits};
use hiwar_trust::key::{KeyHolder, KeyId, PublicKey, Signature};
use hiwar_trust::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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

/// Parallel texts of one statement, by BCP 47 language tag. All are equally signed.
pub type Texts = BTreeMap<String, String>;

/// A file that belongs to an entry; the bytes travel apart and are named by their digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// File name, without any path.
    pub name: String,
    /// Media type (RFC 6838).
    #[serde(rename = "mediaType")]
    pub media_type: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the bytes.
    pub sha256: Hash,
}

/// What a statement-like entry says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// The parallel texts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: Texts,
    /// The language whose text prevails when they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prevailing: Option<String>,
}

/// An entry about another entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The entry it is about.
    pub of: EntryId,
    /// What it says of it.
    #[serde(flatten)]
    pub words: Words,
}

/// Who talks under which rules. The first membership of a dialogue opens it; every membership
/// takes effect when all parties, old and new, have assented.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// What the dialogue is about.
    pub title: Texts,
    /// The participants, sorted, without repetition.
    pub parties: Vec<Did>,
    /// The most restricted marking that entries may bear.
    pub cap: Marking,
    /// The membership it replaces; absent in the one that opens the dialogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<EntryId>,
}

/// What an entry does, by its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Says something.
    Statement(Words),
    /// Hands over files, with or without words.
    Attachment(Words),
    /// Puts an own earlier entry right; both stay.
    Correction(About),
    /// Takes an own earlier entry back; it stays readable.
    Withdrawal(About),
    /// Contradicts another party's entry; both versions stand side by side.
    Dispute(About),
    /// A desk confirms that it has taken note; more than the node's receipt.
    Acknowledgement(About),
    /// Opens a dialogue or changes who takes part.
    Membership(Membership),
    /// Countersigns a membership.
    Assent(About),
    /// Declines a membership.
    Refusal(About),
}

impl Body {
    /// The CloudEvents `type` of this body.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Statement(_) => "org.hiwar.statement.v1",
            Self::Attachment(_) => "org.hiwar.attachment.v1",
            Self::Correction(_) => "org.hiwar.correction.v1",
            Self::Withdrawal(_) => "org.hiwar.withdrawal.v1",
            Self::Dispute(_) => "org.hiwar.dispute.v1",
            Self::Acknowledgement(_) => "org.hiwar.acknowledgement.v1",
            Self::Membership(_) => "org.hiwar.membership.v1",
            Self::Assent(_) => "org.hiwar.assent.v1",
            Self::Refusal(_) => "org.hiwar.refusal.v1",
        }
    }

    /// The entry this one is about, if it is about one.
    pub fn of(&self) -> Option<EntryId> {
        match self {
            Self::Correction(a)
            | Self::Withdrawal(a)
            | Self::Dispute(a)
            | Self::Acknowledgement(a)
            | Self::Assent(a)
            | Self::Refusal(a) => Some(a.of),
            Self::Statement(_) | Self::Attachment(_) | Self::Membership(_) => None,
        }
    }

    /// The texts it carries.
    pub fn texts(&self) -> &Texts {
        match self {
            Self::Statement(w) | Self::Attachment(w) => &w.texts,
            Self::Correction(a)
            | Self::Withdrawal(a)
            | Self::Dispute(a)
            | Self::Acknowledgement(a)
            | Self::Assent(a)
            | Self::Refusal(a) => &a.words.texts,
            Self::Membership(m) => &m.title,
        }
    }

    fn prevailing(&self) -> Option<&str> {
        match self {
            Self::Statement(w) | Self::Attachment(w) => w.prevailing.as_deref(),
            Self::Correction(a)
            | Self::Withdrawal(a)
            | Self::Dispute(a)
            | Self::Acknowledgement(a)
            | Self::Assent(a)
            | Self::Refusal(a) => a.words.prevailing.as_deref(),
            Self::Membership(_) => None,
        }
    }

    fn to_value(&self) -> Result<Value, serde_json::Error> {
        match self {
            Self::Statement(w) | Self::Attachment(w) => serde_json::to_value(w),
            Self::Correction(a)
            | Self::Withdrawal(a)
            | Self::Dispute(a)
            | Self::Acknowledgement(a)
            | Self::Assent(a)
            | Self::Refusal(a) => serde_json::to_value(a),
            Self::Membership(m) => serde_json::to_value(m),
        }
    }

    fn from_value(type_name: &str, data: Value) -> Result<Self, EntryError> {
        fn read<T: serde::de::DeserializeOwned>(data: Value) -> Result<T, EntryError> {
            serde_json::from_value(data).map_err(|e| bad("data", e.to_string()))
        }
        Ok(match type_name {
            "org.hiwar.statement.v1" => Self::Statement(read(data)?),
            "org.hiwar.attachment.v1" => Self::Attachment(read(data)?),
            "org.hiwar.correction.v1" => Self::Correction(read(data)?),
            "org.hiwar.withdrawal.v1" => Self::Withdrawal(read(data)?),
            "org.hiwar.dispute.v1" => Self::Dispute(read(data)?),
            "org.hiwar.acknowledgement.v1" => Self::Acknowledgement(read(data)?),
            "org.hiwar.membership.v1" => Self::Membership(read(data)?),
            "org.hiwar.assent.v1" => Self::Assent(read(data)?),
            "org.hiwar.refusal.v1" => Self::Refusal(read(data)?),
            other => return Err(EntryError::UnknownType { found: other.chars().take(120).collect() }),
        })
    }
}

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

    fn check(&self) -> Result<(), EntryError> {
        check_name("desk", &self.desk)?;
        check_name("arrangement", &self.arrangement)?;
        if self.prev.len() > limits::PREV_MAX {
            return Err(bad(
                "prev",
                format!("it links to {} entries; the most is {}", self.prev.len(), limits::PREV_MAX),
            ));
        }
        if self.prev.windows(2).any(|pair| pair.first() >= pair.last()) {
            return Err(bad("prev", "it must be sorted and without repetition"));
        }
        if self.attachments.len() > limits::ATTACHMENTS_MAX {
            return Err(bad("attachments", format!("there are more than {}", limits::ATTACHMENTS_MAX)));
        }
        self.attachments.iter().try_for_each(check_attachment)?;
        self.check_place()?;
        self.check_words()
    }

    /// An opening membership stands alone; everything else stands in a dialogue.
    fn check_place(&self) -> Result<(), EntryError> {
        if let Body::Membership(m) = &self.body {
            check_membership(m)?;
            if self.marking > m.cap {
                return Err(bad("marking", "it is above the cap of the membership itself"));
            }
            let opens = m.replaces.is_none();
            if opens && (self.dialogue.is_some() || self.membership.is_some() || !self.prev.is_empty()) {
                return Err(bad(
                    "dialogue",
                    "an entry that opens a dialogue has no dialogue, membership or prev",
                ));
            }
            if opens && !m.parties.contains(&self.author) {
                return Err(bad("data", "the author must be one of the parties"));
            }
            if !opens && self.membership != m.replaces {
                return Err(bad("data", "a change of membership must replace the one it is made under"));
            }
            if opens {
                return Ok(());
            }
        }
        if self.dialogue.is_none() || self.membership.is_none() {
            return Err(bad(
                "dialogue",
                "only an entry that opens a dialogue may leave out dialogue and membership",
            ));
        }
        Ok(())
    }

    fn check_words(&self) -> Result<(), EntryError> {
        let texts = self.body.texts();
        if texts.len() > limits::LANGUAGES_MAX {
            return Err(bad("data", format!("it has more than {} languages", limits::LANGUAGES_MAX)));
        }
        for (tag, text) in texts {
            if !is_language_tag(tag) {
                return Err(bad(
                    "data",
                    format!("{tag:?} is no BCP 47 language tag, such as en, ko, ja or ar"),
                ));
            }
            if text.trim().is_empty() {
                return Err(bad("data", format!("the text in {tag} is empty")));
            }
            if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
                return Err(bad(
                    "data",
                    format!("the text in {tag} has a control character other than line feed and tab"),
                ));
            }
        }
        if let Some(tag) = self.body.prevailing()
            && !texts.contains_key(tag)
        {
            return Err(bad("data", format!("the prevailing language {tag:?} has no text")));
        }
        let speaks = matches!(
            self.body,
            Body::Statement(_) | Body::Correction(_) | Body::Dispute(_) | Body::Membership(_)
        );
        if speaks && texts.is_empty() {
            return Err(bad("data", "it has no text in any language"));
        }
        if matches!(self.body, Body::Attachment(_)) && self.attachments.is_empty() {
            return Err(bad("attachments", "an attachment entry must carry at least one file"));
        }
        Ok(())
    }
}

fn check_membership(m: &Membership) -> Result<(), EntryError> {
    if m.parties.len() < 2 || m.parties.len() > limits::PARTIES_MAX {
        return Err(bad("data", format!("a dialogue has 2 to {} parties", limits::PARTIES_MAX)));
    }
    if m.parties.windows(2).any(|pair| pair.first() >= pair.last()) {
        return Err(bad("data", "parties must be sorted and without repetition"));
    }
    Ok(())
}

fn check_name(member: &'static str, name: &str) -> Result<(), EntryError> {
    if name.trim().is_empty() || name.len() > limits::NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(bad(
            member,
            format!("it must have 1 to {} bytes and no control character", limits::NAME_BYTES_MAX),
        ));
    }
    Ok(())
}

fn check_attachment(file: &Attachment) -> Result<(), EntryError> {
    let name = &file.name;
    let looks_like_path =
        name.contains(['/', '\\', ':']) || name.starts_with('.') || name.ends_with(['.', ' ']);
    if name.is_empty() || name.len() > limits::ATTACHMENT_NAME_BYTES_MAX || looks_like_path {
        return Err(bad(
            "attachments",
            format!("{name:?} is no plain file name (1 to 255 bytes; no / \\ : and no dot at either end)"),
        ));
    }
    if name.chars().any(|c| c.is_control() || is_bidi_control(c)) {
        return Err(bad("attachments", "a file name has a control or text-direction character"));
    }
    if file.size > limits::ATTACHMENT_BYTES_MAX {
        return Err(bad("attachments", format!("{name:?} is larger than 10 GiB")));
    }
    let media_ok = file.media_type.len() <= 127
        && file.media_type.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty())
        && file.media_type.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if !media_ok {
        return Err(bad("attachments", format!("{name:?} has no media type such as text/csv")));
    }
    Ok(())
}

fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn is_language_tag(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let primary = parts.next().unwrap_or_default();
    (2..=3).contains(&primary.len())
        && primary.bytes().all(|b| b.is_ascii_lowercase())
        && tag.len() <= 35
        && parts.all(|p| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// An entry with its author's signature over the canonical content, not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedEntry {
    /// Canonical content.
    pub content: Arc<[u8]>,
    /// Digest of the content.
    pub id: EntryId,
    /// The content, read.
    pub entry: Arc<Entry>,
    /// The key that signed.
    pub key: KeyId,
    /// The signature.
    pub signature: Signature,
}

#[derive(Deserialize)]
struct EnvelopeIn<'a> {
    #[serde(borrow)]
    entry: &'a serde_json::value::RawValue,
    key: KeyId,
    signature: Signature,
}

impl SignedEntry {
    /// Signs `entry`.
    ///
    /// # Errors
    /// When the entry breaks a rule or the key holder cannot sign.
    pub fn sign(entry: Entry, holder: &dyn KeyHolder, key: KeyId) -> Result<Self, EntryError> {
        let content = entry.canonical()?;
        let signature = holder.sign(&content).map_err(|e| bad("(signature)", e.to_string()))?;
        let id = EntryId(Hash::of(&content));
        Ok(Self { content: content.into(), id, entry: Arc::new(entry), key, signature })
    }

    /// Reads an entry from its parts, as a store keeps them.
    ///
    /// # Errors
    /// What is wrong with the content.
    pub fn from_parts(content: &[u8], key: KeyId, signature: Signature) -> Result<Self, EntryError> {
        let entry = Entry::parse(content)?;
        let id = EntryId(Hash::of(content));
        Ok(Self { content: content.into(), id, entry: Arc::new(entry), key, signature })
    }

    /// Reads one envelope, as it travels: `{"entry":…,"key":…,"signature":…}`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_envelope(line: &[u8]) -> Result<Self, EntryError> {
        if line.len() > limits::ENTRY_BYTES_MAX + 512 {
            return Err(EntryError::BadEnvelope(format!("it has {} bytes", line.len())));
        }
        if line.first() != Some(&b'{') {
            return Err(EntryError::BadEnvelope("it is no object".to_owned()));
        }
        let envelope: EnvelopeIn<'_> =
            serde_json::from_slice(line).map_err(|e| EntryError::BadEnvelope(brief(e.to_string())))?;
        Self::from_parts(envelope.entry.get().as_bytes(), envelope.key, envelope.signature)
    }

    /// Appends the envelope to `out`, without a line feed.
    pub fn write_envelope(&self, out: &mut Vec<u8>) {
        write_envelope(&self.content, self.key, &self.signature, out);
    }

    /// The dialogue it belongs to; an opening entry belongs to the one it opens.
    pub fn dialogue(&self) -> DialogueId {
        self.entry.dialogue.unwrap_or(self.id)
    }

    /// The membership it stands under; an opening entry stands under its own.
    pub fn membership(&self) -> EntryId {
        self.entry.membership.unwrap_or(self.id)
    }

    /// Verifies the signature under `key`.
    ///
    /// # Errors
    /// When it does not verify.
    pub fn verify(&self, key: &PublicKey) -> Result<(), hiwar_trust::key::KeyError> {
        key.verify(&self.content, &self.signature)
    }
}

/// Appends an envelope made of stored parts to `out`, without a line feed and without reading the
/// content again.
pub fn write_envelope(content: &[u8], key: KeyId, signature: &Signature, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"entry\":");
    out.extend_from_slice(content);
    out.extend_from_slice(b",\"key\":\"");
    out.extend_from_slice(key.to_string().as_bytes());
    out.extend_from_slice(b"\",\"signature\":\"");
    out.extend_from_slice(signature.to_string().as_bytes());
    out.extend_from_slice(b"\"}");
}
