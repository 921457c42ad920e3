//! Whether credentials were revoked: Bitstring Status List 1.0 and StatusList2021. A list is itself a
//! signed credential of the same issuer; an unsigned one proves nothing and is refused.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use flate2::read::GzDecoder;
use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;
use serde_json::Value;

use crate::credential::{self, CredentialError};
use crate::jws::VerificationKey;

/// The most bytes of a status list's token: more than other credentials have.
pub const LIST_BYTES_MAX: usize = credential::CREDENTIAL_BYTES_MAX;
/// The most bytes of a list after decompression: 8,388,608 credentials. A few kilobytes can claim to
/// hold gigabytes, so reading stops here.
pub const BITS_BYTES_MAX: usize = 1024 * 1024;

pub(crate) const ENTRY_RULE: &str = "each must be a BitstringStatusListEntry or StatusList2021Entry with \
    statusPurpose, statusListIndex and statusListCredential, one bit each";

/// Where it is said whether one credential holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusEntry {
    /// `revocation` or `suspension`.
    pub purpose: String,
    /// Which bit.
    pub index: u64,
    /// Where the list is.
    pub list: String,
}

/// Reads an entry. An entry whose purpose does not touch validity is `Some(None)`.
pub(crate) fn entry(value: &Value) -> Option<Option<StatusEntry>> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let kind = text("type")?;
    if !matches!(kind, "BitstringStatusListEntry" | "StatusList2021Entry") {
        return None;
    }
    if value.get("statusSize").is_some_and(|size| size.as_u64() != Some(1)) {
        return None;
    }
    let purpose = text("statusPurpose")?;
    match purpose {
        "revocation" | "suspension" => {}
        "refresh" | "message" => return Some(None),
        _ => return None,
    }
    let index = match value.get("statusListIndex")? {
        Value::String(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok()?,
        Value::Number(number) => number.as_u64()?,
        _ => return None,
    };
    let list = text("statusListCredential")?.to_owned();
    Some(Some(StatusEntry { purpose: purpose.to_owned(), index, list }))
}

/// Why a credential's status cannot be told, or that it does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// The list's own credential is wrong.
    #[error("the status list: {0}")]
    List(#[from] CredentialError),
    /// Somebody else's list.
    #[error(
        "the status list is of {list_issuer}, the credential of {issuer}; an issuer revokes only its own"
    )]
    OtherIssuer {
        /// Whose list.
        list_issuer: Did,
        /// Whose credential.
        issuer: Did,
    },
    /// Its content is wrong.
    #[error("the status list: {0}")]
    Content(&'static str),
    /// The list has no such bit.
    #[error("the status list has {bits} bits, but the credential names the index {index}")]
    NoSuchIndex {
        /// Its length.
        bits: u64,
        /// The index.
        index: u64,
    },
    /// The credential does not hold.
    #[error("the issuer {issuer} has set {purpose} for the credential; ask {issuer} why and for a new one")]
    Set {
        /// Who.
        issuer: Did,
        /// `revocation` or `suspension`.
        purpose: String,
    },
}

/// Checks one credential's status with the list that was fetched. `issuer` is the credential's.
///
/// # Errors
/// When the credential was revoked or suspended, or the list does not tell.
pub fn check(
    entry: &StatusEntry,
    issuer: &Did,
    list: &str,
    keys: &[VerificationKey],
    now: Timestamp,
    leeway_seconds: i64,
) -> Result<(), StatusError> {
    let list = credential::verify(list.trim(), keys, None, now, leeway_seconds)?;
    if list.issuer != *issuer {
        return Err(StatusError::OtherIssuer { list_issuer: list.issuer, issuer: issuer.clone() });
    }
    let subject = list.subjects.first().ok_or(StatusError::Content("it has no credentialSubject"))?;
    let text = |name: &str| subject.get(name).and_then(Value::as_str);
    if !matches!(text("type"), Some("BitstringStatusList" | "StatusList2021")) {
        return Err(StatusError::Content("its type must be BitstringStatusList or StatusList2021"));
    }
    let same = match subject.get("statusPurpose") {
        Some(Value::String(one)) => *one == entry.purpose,
        Some(Value::Array(all)) => all.iter().any(|p| p.as_str() == Some(&entry.purpose)),
        _ => false,
    };
    if !same {
        return Err(StatusError::Content("its statusPurpose is not the credential's"));
    }
    let encoded = text("encodedList").ok_or(StatusError::Content("encodedList is absent"))?;
    if bit(&expand(encoded)?, entry.index)? {
        return Err(StatusError::Set { issuer: issuer.clone(), purpose: entry.purpose.clone() });
    }
    Ok(())
}

/// Decodes a list: base64url, with or without the multibase prefix `u`, of gzip.
///
/// # Errors
/// When it is not that, or too long.
pub fn expand(encoded: &str) -> Result<Vec<u8>, StatusError> {
    // Every gzip begins with the bytes 1f 8b, in base64 `H4s`.
    let bare = encoded.strip_prefix('u').filter(|rest| rest.starts_with("H4s")).unwrap_or(encoded);
    let bare = bare.trim_end_matches('=');
    let packed = URL_SAFE_NO_PAD.decode(bare).or_else(|_| STANDARD_NO_PAD.decode(bare));
    let packed = packed.map_err(|_| StatusError::Content("encodedList is not base64url"))?;
    let mut bits = Vec::new();
    let limit = BITS_BYTES_MAX as u64 + 1;
    let read = GzDecoder::new(packed.as_slice()).take(limit).read_to_end(&mut bits);
    read.map_err(|_| StatusError::Content("encodedList is not gzip"))?;
    if bits.len() > BITS_BYTES_MAX {
        return Err(StatusError::Content("encodedList has more than 1 MiB when decompressed"));
    }
    Ok(bits)
}

/// A bit of a list; index 0 is the left-most bit (Bitstring Status List 1.0, section 3.2).
fn bit(bits: &[u8], index: u64) -> Result<bool, StatusError> {
    let none = || StatusError::NoSuchIndex { bits: bits.len() as u64 * 8, index };
    let place = usize::try_from(index / 8).map_err(|_| none())?;
    let byte = bits.get(place).ok_or_else(none)?;
    Ok(byte & (0x80 >> (index % 8)) != 0)
}
