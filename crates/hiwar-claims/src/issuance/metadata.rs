//! What an issuer offers (DCP 1.0, sections 6.6 and 6.7).

use hiwar_trust::did::Did;
use serde_json::{Map, Value, json};

use super::request::ID_BYTES_MAX;
use crate::credential::Profile;
use crate::json;
use crate::query::{CONTEXT, QueryError};

/// The most bytes of an issuer's metadata.
pub const METADATA_BYTES_MAX: usize = 256 * 1024;
/// The most credential objects of an issuer that are read.
pub const OBJECTS_MAX: usize = 128;

/// A kind of credential that an issuer offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialObject {
    /// Its name, which never changes.
    pub id: String,
    /// The type of the credential.
    pub kind: String,
    /// How the credential is written: the alias of a profile of DCP.
    pub profile: String,
    /// The address of the schema of what is attested.
    pub schema: String,
}

impl CredentialObject {
    /// How the credential is written, when the profile is one of those known here.
    pub fn known_profile(&self) -> Option<Profile> {
        [Profile::Vc20, Profile::Vc11].into_iter().find(|profile| profile.name() == self.profile)
    }

    fn to_json(&self, reason: &str) -> Value {
        json!({
            "id": self.id, "type": "CredentialObject", "credentialType": self.kind,
            "credentialSchema": self.schema, "offerReason": reason, "bindingMethods": ["did:web"],
            "profile": self.profile,
        })
    }
}

/// The answer to who asks what an issuer offers.
pub fn to_json(issuer: &Did, offered: &[CredentialObject]) -> Value {
    let offered: Vec<Value> = offered.iter().map(|o| o.to_json("issuance")).collect();
    json!({
        "@context": [CONTEXT], "type": "IssuerMetadata", "issuer": issuer, "credentialsSupported": offered,
    })
}

/// The message by which an issuer offers credentials to a holder. `reason` is such as `issuance`,
/// `reissue` or `proof-key-revocation`.
pub fn offer_message(issuer: &Did, offered: &[CredentialObject], reason: &str) -> Value {
    let offered: Vec<Value> = offered.iter().map(|o| o.to_json(reason)).collect();
    json!({ "@context": [CONTEXT], "type": "CredentialOfferMessage", "issuer": issuer, "credentials": offered })
}

/// Reads the metadata of `issuer`. Objects that name no type of credential are left out.
///
/// # Errors
/// When it is none, of another issuer, or beyond the limits.
pub fn read(bytes: &[u8], issuer: &Did) -> Result<Vec<CredentialObject>, QueryError> {
    let members = json::object(bytes, METADATA_BYTES_MAX)?;
    let wrong = |member, rule| Err(QueryError::Member { member, rule });
    if members.get("type").or_else(|| members.get("@type")) != Some(&json!("IssuerMetadata")) {
        return wrong("type", "it must be IssuerMetadata");
    }
    if members.get("issuer").and_then(Value::as_str) != Some(issuer.as_str()) {
        return wrong("issuer", "it must be the DID of the issuer that was asked");
    }
    let all = match members.get("credentialsSupported") {
        None | Some(Value::Null) => &[],
        Some(Value::Array(all)) if all.len() <= OBJECTS_MAX => all.as_slice(),
        Some(_) => return wrong("credentialsSupported", "it must be an array of at most 128 objects"),
    };
    Ok(all.iter().filter_map(Value::as_object).filter_map(read_object).collect())
}

fn read_object(members: &Map<String, Value>) -> Option<CredentialObject> {
    let text = |name: &str| {
        members.get(name).and_then(Value::as_str).filter(|t| t.len() <= ID_BYTES_MAX).map(str::to_owned)
    };
    let named = |name: &str| text(name).filter(|t| !t.is_empty());
    Some(CredentialObject {
        id: named("id")?,
        kind: named("credentialType")?,
        profile: text("profile").unwrap_or_default(),
        schema: text("credentialSchema").unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_reads_back_as_written_and_only_for_its_own_issuer() {
        let issuer: Did = "did:web:ministry.example".parse().unwrap();
        let object = CredentialObject {
            id: "did:web:ministry.example#MembershipCredential-vc20".into(),
            kind: "MembershipCredential".into(),
            profile: Profile::Vc20.name().into(),
            schema: "https://ministry.example/schema".into(),
        };
        let written = to_json(&issuer, std::slice::from_ref(&object)).to_string();
        let read_back = read(written.as_bytes(), &issuer).unwrap();
        assert_eq!(read_back, std::slice::from_ref(&object));
        assert_eq!(read_back.first().unwrap().known_profile(), Some(Profile::Vc20));
        let other: Did = "did:web:other.example".parse().unwrap();
        let error = read(written.as_bytes(), &other).unwrap_err();
        assert!(matches!(error, QueryError::Member { member: "issuer", .. }), "{error}");
    }

    #[test]
    fn an_object_without_a_type_is_left_out_and_too_many_are_refused() {
        let issuer: Did = "did:web:ministry.example".parse().unwrap();
        let with = |objects: Value| {
            let text = json!({ "type": "IssuerMetadata", "issuer": issuer, "credentialsSupported": objects });
            read(text.to_string().as_bytes(), &issuer)
        };
        assert_eq!(with(json!([{ "id": "x" }, 3, { "credentialType": "T" }])).unwrap(), []);
        assert!(with(json!(vec![json!({}); OBJECTS_MAX + 1])).is_err());
        assert_eq!(with(Value::Null).unwrap(), []);
    }
}
