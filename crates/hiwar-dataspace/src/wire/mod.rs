//! The messages of DSP 2025-1 as they go over the wire.
//!
//! Every message is written as its JSON Schema (`$id` base `https://w3id.org/dspace/2025/1/`) says,
//! and read tolerantly ([`read`]). Each one that this node sends carries a fresh `@id`, so that a
//! repetition can be told from a second message of the same content.

mod address;
mod catalog;
mod negotiation;
pub mod read;
mod transfer;
mod version;

use serde::{Serialize, Serializer};
use serde_json::Value;

pub use address::{DataAddress, EndpointProperty};
pub use catalog::{CatalogError, CatalogRequest, OfferedDataset, SeenCatalog};
pub use negotiation::{
    AgreementMessage, EventMessage, EventType, NegotiationError, NegotiationStatus, NegotiationTermination,
    OfferMessage, RequestMessage, VerificationMessage,
};
pub use read::WireError;
pub use transfer::{
    CompletionMessage, StartMessage, SuspensionMessage, TransferError, TransferRequest, TransferStatus,
    TransferTermination,
};
pub use version::{Auth, ProtocolVersion, VersionResponse};

/// The context that every message of DSP 2025-1 names.
pub const CONTEXT: &str = "https://w3id.org/dspace/2025/1/context.jsonld";
/// The version of the protocol.
pub const VERSION: &str = "2025-1";
/// The most reasons read from one message.
const REASONS_MAX: usize = 64;

/// `@context` of a message: always the array with [`CONTEXT`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context;

impl Serialize for Context {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [CONTEXT].serialize(serializer)
    }
}

/// A message that can be read from a stranger's bytes.
pub trait Message: Sized {
    /// Its `@type`.
    const TYPE: &'static str;

    /// Reads it from JSON.
    ///
    /// # Errors
    /// What is wrong, with its path.
    fn from_value(value: &Value) -> Result<Self, WireError>;

    /// Reads it from bytes.
    ///
    /// # Errors
    /// What is wrong, with its path or with line and column.
    fn read(bytes: &[u8]) -> Result<Self, WireError> {
        Self::from_value(&json(bytes)?)
    }
}

/// JSON from bytes. Depth is limited to 128 by the reader.
///
/// # Errors
/// When it is no JSON, with line and column, or has a member that the reader's library would take for a
/// sign to itself when it is read again.
pub fn json(bytes: &[u8]) -> Result<Value, WireError> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|e| WireError::new("message", format!("it is no JSON: {e}")))?;
    if has_private_name(&value) {
        return Err(WireError::new("message", format!("a member's name begins with {PRIVATE:?}; rename it")));
    }
    Ok(value)
}

/// What the names begin with by which `serde_json` marks numbers and raw text.
pub(crate) const PRIVATE: &str = "$serde_json::private::";

pub(crate) fn has_private_name(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.iter().any(|(name, v)| name.starts_with(PRIVATE) || has_private_name(v)),
        Value::Array(items) => items.iter().any(has_private_name),
        _ => false,
    }
}

/// Why, as other connectors and people read it.
fn reasons(members: &read::Members<'_>) -> Vec<Value> {
    members.list("reason").into_iter().take(REASONS_MAX).cloned().collect()
}

/// The text of `reason` items, which may be strings or objects.
pub fn reason_text(reasons: &[Value]) -> String {
    let words = |reason: &Value| match reason {
        Value::String(text) => text.clone(),
        Value::Object(map) => ["message", "@value", "description"]
            .iter()
            .find_map(|k| map.get(*k).and_then(Value::as_str))
            .map_or_else(|| reason.to_string(), ToOwned::to_owned),
        other => other.to_string(),
    };
    reasons.iter().map(words).collect::<Vec<_>>().join("; ")
}
