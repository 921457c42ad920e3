//! Participants' names: decentralised identifiers of the `did:web` method.
//!
//! Source: W3C CCG, *did:web Method Specification*.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest identifier accepted, in bytes.
pub const DID_BYTES_MAX: usize = 255;

/// A participant's identifier, `did:web:` followed by a host, optionally `%3A` and a port, and
/// optionally path segments after further colons.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Did(Arc<str>);

/// Why a text is not a usable identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a did:web identifier: {reason}; write did:web:HOST, did:web:HOST%3APORT or did:web:HOST:PATH"
)]
pub struct DidError {
    /// The text as given, cut to 80 characters.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Did {
    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL of the identifier's DID document (did:web, "Read (Resolve)").
    pub fn document_url(&self) -> String {
        let rest = self.0.strip_prefix("did:web:").unwrap_or(&self.0);
        let mut parts = rest.split(':');
        let host = parts.next().unwrap_or_default().replace("%3A", ":");
        let path: Vec<&str> = parts.collect();
        if path.is_empty() {
            format!("https://{host}/.well-known/did.json")
        } else {
            format!("https://{host}/{}/did.json", path.join("/"))
        }
    }
}

impl FromStr for Did {
    type Err = DidError;

    fn from_str(text: &str) -> Result<Self, DidError> {
        let fail = |reason| DidError { text: text.chars().take(80).collect(), reason };
        if text.len() > DID_BYTES_MAX {
            return Err(fail("it is longer than 255 bytes"));
        }
        let Some(rest) = text.strip_prefix("did:web:") else {
            return Err(fail("it does not start with did:web:"));
        };
        let mut segments = rest.split(':');
        let host = segments.next().unwrap_or_default();
        let (name, port) = host.split_once("%3A").map_or((host, None), |(n, p)| (n, Some(p)));
        let name_ok = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
            && !name.starts_with('-')
            && name.split('.').all(|label| !label.is_empty());
        if !name_ok {
            return Err(fail("its host is empty, has an empty part or a character outside a-z 0-9 - ."));
        }
        if port.is_some_and(|p| !is_port(p)) {
            return Err(fail("its port is not a number from 1 to 65535 without sign and leading zeros"));
        }
        for segment in segments {
            let ok = !segment.is_empty()
                && segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
                && !segment.starts_with('.');
            if !ok {
                return Err(fail(
                    "a path segment is empty, starts with a dot or has a character outside A-Z a-z 0-9 - _ .",
                ));
            }
        }
        Ok(Self(text.into()))
    }
}

/// Ports have one spelling, or one node would have several identifiers.
fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port > 0 && port.to_string() == text)
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Did {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Did {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: did:web Method Specification, examples 3, 4 and 5.
    #[test]
    fn documents_are_found_where_the_method_says() {
        for (did, url) in [
            ("did:web:w3c-ccg.github.io", "https://w3c-ccg.github.io/.well-known/did.json"),
            ("did:web:w3c-ccg.github.io:user:alice", "https://w3c-ccg.github.io/user/alice/did.json"),
            ("did:web:example.com%3A3000:user:alice", "https://example.com:3000/user/alice/did.json"),
        ] {
            assert_eq!(did.parse::<Did>().map(|d| d.document_url()), Ok(url.to_owned()));
        }
    }

    #[test]
    fn path_tricks_and_foreign_methods_are_refused() {
        for text in [
            "did:key:z6Mk",
            "did:web:",
            "did:web:a:..",
            "did:web:a:",
            "did:web:A.example",
            "did:web:a%3A99999",
            "did:web:a%3A0",
            "did:web:a%3A0443",
            "did:web:a%3A+443",
            "did:web:a.",
            "did:web:a..b",
            "did:web:a/b",
            "did:web:.a",
        ] {
            assert!(text.parse::<Did>().is_err(), "{text}");
        }
    }
}
