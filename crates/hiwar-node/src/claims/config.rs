//! The table `[claims]` of `hiwar.toml`.

use std::collections::BTreeMap;

use hiwar_trust::did::Did;
use serde::{Deserialize, Serialize};

use super::issuer::config::IssuerConfig;

/// Whether participants that were not invited may show who they are by credentials (DCP 1.0), and which
/// credentials are shown, taken in and issued here. Off unless something of it is set.
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
    /// Whose offers of credentials for us are taken, and credentials that nobody asked for, by type of
    /// credential, such as `MembershipCredential = ["did:web:authority.example"]`. A credential that the
    /// operator asks for needs no entry here.
    pub accept: BTreeMap<String, Vec<Did>>,
    /// The types of credentials that are asked for at once when an issuer in `accept` offers them; other
    /// offers wait for a person.
    pub ask: Vec<String>,
    /// The desks whose tokens obtain self-issued tokens at `POST /api/v1/claims/token`, beside the
    /// operator's: such a token speaks for this participant.
    pub token_desks: Vec<String>,
    /// Reads DID documents of the loopback interface without TLS, and takes all keys of those that name
    /// no relationship. A test switch, never on in production.
    pub plain_loopback: bool,
}

impl ClaimsConfig {
    /// Whether nothing of it is set.
    pub fn is_standard(&self) -> bool {
        *self == Self::default()
    }

    /// Whether callers are asked for credentials, ours are shown or taken in, or some are issued.
    pub fn is_on(&self) -> bool {
        !self.issuers.is_empty()
            || !self.present.is_empty()
            || !self.accept.is_empty()
            || !self.issuer.is_off()
    }

    /// Whether offers of this issuer are taken: of a type, or of any type at all.
    pub(crate) fn accepts(&self, issuer: &Did, kind: Option<&str>) -> bool {
        let named = |issuers: &Vec<Did>| issuers.contains(issuer);
        match kind {
            Some(kind) => self.accept.get(kind).is_some_and(named),
            None => self.accept.values().any(named),
        }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        self.issuer.check()?;
        if !self.issuers.is_empty() && self.required.is_empty() {
            return Err("claims.required: name at least one type of credential, such as required = [\"MembershipCredential\"]; without it any participant at all would be let in".into());
        }
        if let Some(kind) = self.ask.iter().find(|t| self.accept.get(*t).is_none_or(Vec::is_empty)) {
            return Err(format!(
                "claims.ask: nobody's offer of {kind:?} is taken; add {kind} = [\"did:web:…\"] below [claims.accept]"
            ));
        }
        match self.required.iter().find(|t| self.issuers.get(*t).is_none_or(Vec::is_empty)) {
            Some(kind) => Err(format!(
                "claims.required: nobody is trusted to issue {kind:?}; add {kind} = [\"did:web:…\"] below [claims.issuers]"
            )),
            None => Ok(()),
        }
    }
}
