//! The version document (DSP 2025-1, `protocol-version-schema.json`): plain JSON, open to anyone.

use serde::{Deserialize, Serialize};

use super::read::WireError;

/// What `/.well-known/dspace-version` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionResponse {
    /// The versions that are spoken.
    pub protocol_versions: Vec<ProtocolVersion>,
}

/// One version that is spoken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProtocolVersion {
    /// Its name, such as `2025-1`.
    pub version: String,
    /// The path below the root that all its addresses start with.
    pub path: String,
    /// Always `HTTPS`.
    pub binding: String,
    /// How participants are named, such as `did:web`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier_type: Option<String>,
    /// The service's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_id: Option<String>,
    /// How callers show who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
}

/// How callers show who they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Auth {
    /// Such as `DCP`.
    pub protocol: String,
    /// Its version.
    pub version: String,
    /// Its profiles, such as `vc20-bssl/jwt`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profile: Vec<String>,
}

impl VersionResponse {
    /// Reads a version document.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(bytes: &[u8]) -> Result<Self, WireError> {
        serde_json::from_slice(bytes)
            .map_err(|e| WireError::new("protocolVersions", format!("it is no version document: {e}")))
    }

    /// The path of a version that both sides speak; without one, nothing may be sent.
    ///
    /// # Errors
    /// When they have none in common; the error lists those that the other side speaks.
    pub fn path_of(&self, version: &str) -> Result<&str, WireError> {
        let found = self.protocol_versions.iter().find(|v| v.version == version && v.binding == "HTTPS");
        found.map(|v| v.path.trim_end_matches('/')).ok_or_else(|| {
            let theirs: Vec<&str> = self.protocol_versions.iter().map(|v| v.version.as_str()).collect();
            WireError::new(
                "protocolVersions",
                format!("there is no version {version} with binding HTTPS; it speaks {}", theirs.join(", ")),
            )
        })
    }
}
