//! Entries with their author's signature, and the envelope they travel in.

use std::sync::Arc;

use hiwar_trust::hash::Hash;
use hiwar_trust::key::{KeyHolder, KeyId, PublicKey, Signature};
use serde::Deserialize;

use super::{DialogueId, Entry, EntryError, EntryId, bad, brief};
use crate::limits;

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
