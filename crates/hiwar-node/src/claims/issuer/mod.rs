//! The issuer: credentials that this node gives to others, and takes back (DCP 1.0, section 6).
//!
//! Every credential is kept before anybody hears of it, with a place of its own in a status list. Whoever
//! asks gets his answer after the commit; what is made is then brought to the holder's Credential Service
//! until it is there or given up, over restarts.

pub mod config;
mod delivery;
mod endpoints;
mod lists;
mod make;

use hiwar_claims::issuance::metadata::CredentialObject;
use hiwar_store::dataspace::Wanted;
use hiwar_trust::did::Did;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use super::Claims;
use config::IssuerConfig;
use lists::Lists;

pub(crate) use delivery::{deliver, offer};
pub(crate) use endpoints::router;
pub(crate) use make::{Terms, new_id};

/// The path of the Issuer Service below the node's address.
pub const PATH: &str = "/dcp/1.0/issuer";
/// A day.
pub(crate) const DAY_MS: i64 = 24 * 3600 * 1000;

/// What a running issuer holds in memory.
#[derive(Default)]
pub(crate) struct Issuing {
    lists: Lists,
    /// Something is to be delivered.
    wake: Notify,
}

impl Claims {
    fn issuer_config(&self) -> &IssuerConfig {
        &self.config.issuer
    }

    /// The address of the Issuer Service.
    fn issuer_address(&self) -> String {
        format!("{}/issuer", self.address)
    }

    /// Who this is.
    pub(crate) fn did(&self) -> &Did {
        &self.did
    }

    /// Wakes whoever delivers.
    pub(crate) fn wake_issuer(&self) {
        self.issuing.wake.notify_one();
    }

    /// What this node issues.
    pub(crate) fn offered(&self) -> Vec<CredentialObject> {
        let mut found = Vec::new();
        for (kind, offered) in &self.issuer_config().types {
            let own = format!("{}/schemas/{kind}", self.issuer_address());
            for profile in &offered.profiles {
                let short = profile.split(['-', '/']).next().unwrap_or_default();
                found.push(CredentialObject {
                    id: format!("{}#{kind}-{short}", self.did),
                    kind: kind.clone(),
                    profile: profile.clone(),
                    schema: offered.schema.clone().unwrap_or_else(|| own.clone()),
                });
            }
        }
        found
    }

    /// What is to be made for the identifier of a credential object.
    fn wanted(&self, id: &str) -> Option<Wanted> {
        let found = self.offered().into_iter().find(|object| object.id == id)?;
        Some(Wanted { kind: found.kind, profile: found.profile })
    }

    /// What is offered of a type: in the profile named, or the first.
    ///
    /// # Errors
    /// When it is not offered, with what is.
    pub(crate) fn offered_as(&self, kind: &str, profile: Option<&str>) -> Result<CredentialObject, String> {
        let all = self.offered();
        let fits = |object: &&CredentialObject| {
            object.kind == kind && profile.is_none_or(|profile| object.profile == profile)
        };
        all.iter().find(fits).cloned().ok_or_else(|| {
            let names: Vec<String> = all.iter().map(|o| format!("{} ({})", o.kind, o.profile)).collect();
            match names.as_slice() {
                [] => {
                    "this node issues no credentials; name a type below [claims.issuer.types] in hiwar.toml"
                        .into()
                }
                names => format!("{kind} is not issued here in that form; issued are {}", names.join(", ")),
            }
        })
    }

    /// The schema of a type whose schema is not elsewhere: what each credential of it says at least.
    fn own_schema(&self, kind: &str) -> Option<Value> {
        let offered = self.issuer_config().types.get(kind).filter(|offered| offered.schema.is_none())?;
        let subject = offered.subject();
        let kind_of = |value: &Value| match value {
            Value::Bool(_) => "boolean",
            Value::Number(_) => "integer",
            _ => "string",
        };
        let mut properties: Map<String, Value> =
            subject.iter().map(|(name, value)| (name.clone(), json!({ "type": kind_of(value) }))).collect();
        properties.insert("id".into(), json!({ "type": "string" }));
        let required: Vec<&String> = properties.keys().collect();
        Some(json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": format!("{}/schemas/{kind}", self.issuer_address()),
            "title": kind, "type": "object", "required": required, "properties": properties,
        }))
    }

    /// Adds the Issuer Service to the node's DID document, and names the key for credentials.
    pub(super) fn publish_issuer(&self, document: &mut Value) {
        if self.issuer_config().is_off() {
            return;
        }
        let service = json!({
            "id": format!("{}#issuer", self.did), "type": "IssuerService",
            "serviceEndpoint": self.issuer_address(),
        });
        for (member, part) in [("assertionMethod", json!(self.kid())), ("service", service)] {
            if let Some(all) = document.get_mut(member).and_then(Value::as_array_mut) {
                all.push(part);
            }
        }
    }
}
