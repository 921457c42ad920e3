//! Asking for credentials (DCP 1.0, section 5.4): the messages and the scopes.

use serde_json::{Value, json};

use crate::json::{self, BadJson};

/// The context of every message.
pub const CONTEXT: &str = "https://w3id.org/dspace-dcp/v1.0/dcp.jsonld";
/// The most bytes of a query.
pub const QUERY_BYTES_MAX: usize = 32 * 1024;
/// The most bytes of a response.
pub const RESPONSE_BYTES_MAX: usize = 512 * 1024;
/// The most scopes of a query, and presentations of a response.
pub const PARTS_MAX: usize = 16;
const OF_TYPE: &str = "org.eclipse.dspace.dcp.vc.type:";
const WITH_ID: &str = "org.eclipse.dspace.dcp.vc.id:";

/// Which credentials are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those of a type.
    Type(String),
    /// The one with an identifier.
    Id(String),
}

impl Scope {
    /// Reads a scope; the operation after the last colon must be `read`, `*` or absent.
    ///
    /// # Errors
    /// When it has another form.
    pub fn read(text: &str) -> Result<Self, QueryError> {
        let wrong = || QueryError::Scope { scope: text.chars().take(200).collect() };
        let plain = |rest: &str| {
            let (name, operation) = rest.rsplit_once(':').unwrap_or((rest, "read"));
            (!name.is_empty() && matches!(operation, "read" | "*")).then(|| name.to_owned())
        };
        if let Some(rest) = text.strip_prefix(OF_TYPE) {
            return plain(rest).filter(|name| !name.contains(':')).map(Self::Type).ok_or_else(wrong);
        }
        text.strip_prefix(WITH_ID).and_then(plain).map(Self::Id).ok_or_else(wrong)
    }

    /// Reads the scopes of a text with spaces between them, as a token's `scope` has them
    /// (RFC 6749, section 3.3).
    ///
    /// # Errors
    /// When one has another form, or there are more than 16.
    pub fn read_list(text: &str) -> Result<Vec<Self>, QueryError> {
        let scopes: Vec<&str> = text.split_ascii_whitespace().collect();
        if scopes.len() > PARTS_MAX {
            return Err(QueryError::Member { member: "scope", rule: "it must be at most 16 scopes" });
        }
        scopes.into_iter().map(Self::read).collect()
    }

    /// The scope as text.
    pub fn of_type(name: &str) -> String {
        format!("{OF_TYPE}{name}:read")
    }
}

/// Why a message is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// Not JSON within the limits.
    #[error("the message: {0}")]
    Json(#[from] BadJson),
    /// A member is absent or wrong.
    #[error("the message's member {member} is absent or wrong: {rule}")]
    Member {
        /// Which.
        member: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// A scope of another form.
    #[error("the scope {scope:?} is not understood; write org.eclipse.dspace.dcp.vc.type:NAME:read")]
    Scope {
        /// As given, cut to 200 characters.
        scope: String,
    },
    /// Presentation definitions are not supported; the answer's status is 501.
    #[error("a presentationDefinition is not supported here; ask by scope")]
    Definition,
}

/// The message that asks for the credentials of some scopes.
pub fn message(scopes: &[String]) -> Value {
    json!({ "@context": [CONTEXT], "type": "PresentationQueryMessage", "scope": scopes })
}

/// Reads a query.
///
/// # Errors
/// When it is none, or asks in a way that is not supported.
pub fn read(bytes: &[u8]) -> Result<Vec<Scope>, QueryError> {
    let members = json::object(bytes, QUERY_BYTES_MAX)?;
    let wrong = |member, rule| Err(QueryError::Member { member, rule });
    if members.get("type").or_else(|| members.get("@type")) != Some(&json!("PresentationQueryMessage")) {
        return wrong("type", "it must be PresentationQueryMessage");
    }
    let (scope, definition) = (members.get("scope"), members.get("presentationDefinition"));
    let all = match (scope, definition) {
        (Some(_), Some(_)) => return wrong("scope", "it excludes presentationDefinition; send one of them"),
        (None, Some(Value::Object(d))) if !d.is_empty() => return Err(QueryError::Definition),
        (None, Some(_)) => return wrong("presentationDefinition", "it must not be empty"),
        (Some(Value::Array(all)), None) if !all.is_empty() && all.len() <= PARTS_MAX => all,
        _ => return wrong("scope", "it must be an array of 1 to 16 scopes"),
    };
    let read = |v: &Value| match v.as_str() {
        Some(text) => Scope::read(text),
        None => Err(QueryError::Member { member: "scope", rule: "each must be a text" }),
    };
    all.iter().map(read).collect()
}

/// The answer to a query.
pub fn response(presentations: &[String]) -> Value {
    json!({ "@context": [CONTEXT], "type": "PresentationResponseMessage", "presentation": presentations })
}

/// Reads the answer to a query: the presentations' tokens.
///
/// # Errors
/// When it is none, or has more than 16 presentations or none.
pub fn read_response(bytes: &[u8]) -> Result<Vec<String>, QueryError> {
    let members = json::object(bytes, RESPONSE_BYTES_MAX)?;
    let wrong = |member, rule| QueryError::Member { member, rule };
    if members.get("type").or_else(|| members.get("@type")) != Some(&json!("PresentationResponseMessage")) {
        return Err(wrong("type", "it must be PresentationResponseMessage"));
    }
    let rule = "it must be 1 to 16 tokens";
    match members.get("presentation") {
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(all)) if !all.is_empty() && all.len() <= PARTS_MAX => all
            .iter()
            .map(|v| v.as_str().map(str::to_owned).ok_or_else(|| wrong("presentation", rule)))
            .collect(),
        _ => Err(wrong("presentation", rule)),
    }
}
