//! The table `[claims]` of `hiwar.toml`.

use std::collections::BTreeMap;

use hiwar_trust::did::Did;
use serde::{Deserialize, Serialize};

use super::issuer::config::IssuerConfig;

/// Whether participants that were not invited may show who they are by credentials (DCP 1.0). Off
/// unless `issuers` names somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClaimsConfig {
    /// Whose credentials are believed, by type of credential, such as
    /// `MembershipCredential = ["did:web:authority.example"]`.
    pub issuers: BTreeMap<String, Vec<Did>>,
    /// The types of credentials that a caller must show; each needs an entry in `issuers`.
    pub required: Vec<String>,
    /// The types of our own credentials that other participants may see. The credentials are files
    /// that end in `.jwt` in the folder `claims` of the node's folder.
    pub present: Vec<String>,
    /// The credentials that this node issues.
    #[serde(skip_serializing_if = "IssuerConfig::is_off")]
    pub issuer: IssuerConfig,
    /// Reads DID documents of the loopback interface without TLS, and takes all keys of those that name
    /// no relationship. A test switch, never on in production.
    pub plain_loopback: bool,
}

impl ClaimsConfig {
    /// Whether nothing of it is set.
    pub fn is_standard(&self) -> bool {
        *self == Self::default()
    }

    /// Whether callers are asked for credentials, ours are shown, or some are issued.
    pub fn is_on(&self) -> bool {
        !self.issuers.is_empty() || !self.present.is_empty() || !self.issuer.is_off()
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        self.issuer.check()?;
        if !self.issuers.is_empty() && self.required.is_empty() {
            return Err("claims.required: name at least one type of credential, such as required = [\"MembershipCredential\"]; without it any participant at all would be let in".into());
        }
        match self.required.iter().find(|t| self.issuers.get(*t).is_none_or(Vec::is_empty)) {
            Some(kind) => Err(format!(
                "claims.required: nobody is trusted to issue {kind:?}; add {kind} = [\"did:web:…\"] below [claims.issuers]"
            )),
            None => Ok(()),
        }
    }
}
