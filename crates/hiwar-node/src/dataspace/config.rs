//! The table `[dataspace]` of `hiwar.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::data_plane::store::{self, StoreConfig};

/// How the dataspace behaves. Everything has a sensible value without it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataspaceConfig {
    /// Named lists of participants, which terms can speak of.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Vec<String>>,
    /// The country of a participant (ISO 3166-1 alpha-2), which terms can speak of.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub countries: BTreeMap<String, String>,
    /// The dialogue in which agreements and transfers are recorded, when it is not the one dialogue
    /// that has exactly the two participants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dialogue: Option<String>,
    /// How long an access token of a pull is taken, in seconds: 1 to 86400, an hour when absent. A pull
    /// that lasts longer gets new ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_seconds: Option<u32>,
    /// A file for a conformance kit, relative to the node's folder. A test switch, never on in
    /// production.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conformance: Option<PathBuf>,
    /// S3-compatible stores whose objects can be offered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<StoreConfig>,
}

impl DataspaceConfig {
    /// How long an access token is taken, in milliseconds.
    pub fn token_life_ms(&self) -> i64 {
        i64::from(self.token_seconds.unwrap_or(3600).clamp(1, 86_400)) * 1000
    }

    /// Looks whether it can be used.
    ///
    /// # Errors
    /// Which field is wrong, and how to mend it.
    pub(crate) fn check(&self) -> Result<(), String> {
        store::check(&self.stores)
    }

    /// Whether nothing of it is set.
    pub fn is_standard(&self) -> bool {
        *self == Self::default()
    }
}
