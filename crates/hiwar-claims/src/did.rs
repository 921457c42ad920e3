//! DID documents of the method did:web: where a participant's keys and services are found (W3C DID
//! Core 1.0; W3C CCG, *did:web Method Specification*; DCP 1.0, sections 4.1 and 4.2).

use hiwar_trust::did::Did;
use serde_json::{Map, Value};

use crate::json::{self, BadJson};
use crate::jws::{JwkError, JwsKey, VerificationKey};

/// The most bytes of a DID document.
pub const DOCUMENT_BYTES_MAX: usize = 64 * 1024;
/// The most keys of a document, and the most references in one relationship.
pub const KEYS_MAX: usize = 32;
/// The most services of a document.
pub const SERVICES_MAX: usize = 32;
/// The most bytes of a service's address.
pub const ENDPOINT_BYTES_MAX: usize = 2048;

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relationship {
    /// Signs self-issued tokens.
    CapabilityInvocation,
    /// Signs presentations.
    Authentication,
    /// Signs credentials and status lists.
    AssertionMethod,
}

impl Relationship {
    /// Its member of the document.
    pub fn name(self) -> &'static str {
        match self {
            Self::CapabilityInvocation => "capabilityInvocation",
            Self::Authentication => "authentication",
            Self::AssertionMethod => "assertionMethod",
        }
    }
}

/// The service where credentials are shown and received.
pub const CREDENTIAL_SERVICE: &str = "CredentialService";
/// The service where credentials are asked for.
pub const ISSUER_SERVICE: &str = "IssuerService";

/// Why a DID document cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DidDocumentError {
    /// It is no JSON object within the limits.
    #[error("the DID document of {did}: {problem}")]
    Json {
        /// Whose.
        did: Did,
        /// What is wrong.
        problem: BadJson,
    },
    /// It speaks of another participant.
    #[error("the DID document of {did} has the id {id:?}; it must be the DID it is published for")]
    OtherId {
        /// Whose it should be.
        did: Did,
        /// As given, cut to 200 characters.
        id: String,
    },
    /// A member is wrong or there are too many.
    #[error("the DID document of {did}: {member}: {rule}")]
    Member {
        /// Whose.
        did: Did,
        /// Which member.
        member: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// No key for the purpose.
    #[error("the DID document of {did} names no usable key under {relationship}{}", because(.problem.as_ref()))]
    NoKey {
        /// Whose.
        did: Did,
        /// For what.
        relationship: &'static str,
        /// Why the last one that is named cannot be used.
        problem: Option<JwkError>,
    },
    /// No service of the kind.
    #[error("the DID document of {did} names no service of the type {kind} with an address")]
    NoService {
        /// Whose.
        did: Did,
        /// Which.
        kind: &'static str,
    },
}

fn because(problem: Option<&JwkError>) -> String {
    problem.map(|p| format!(" ({p})")).unwrap_or_default()
}

/// Where the document of a DID is. `plain_loopback` is for tests only: documents of DIDs whose host is
/// the loopback interface are then read without TLS.
pub fn document_url(did: &Did, plain_loopback: bool) -> String {
    let url = did.document_url();
    match url.strip_prefix("https://") {
        Some(rest) if plain_loopback && is_loopback(did) => format!("http://{rest}"),
        _ => url,
    }
}

/// Whether a DID's host is the loopback interface.
pub fn is_loopback(did: &Did) -> bool {
    let rest = did.as_str().strip_prefix("did:web:").unwrap_or_default();
    let host = rest.split([':', '%']).next().unwrap_or_default();
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback())
}

/// A DID document that was read.
#[derive(Clone, Debug)]
pub struct DidDocument {
    did: Did,
    members: Map<String, Value>,
}

impl DidDocument {
    /// Reads the document that was found for `did`.
    ///
    /// # Errors
    /// When it is too large, no JSON object, or of another participant.
    pub fn read(bytes: &[u8], did: &Did) -> Result<Self, DidDocumentError> {
        let members = json::object(bytes, DOCUMENT_BYTES_MAX)
            .map_err(|problem| DidDocumentError::Json { did: did.clone(), problem })?;
        let id = members.get("id").and_then(Value::as_str).unwrap_or_default();
        if id != did.as_str() {
            let id = id.chars().take(200).collect();
            return Err(DidDocumentError::OtherId { did: did.clone(), id });
        }
        let document = Self { did: did.clone(), members };
        document.list("verificationMethod", KEYS_MAX)?;
        document.list("service", SERVICES_MAX)?;
        Ok(document)
    }

    /// Whose it is.
    pub fn did(&self) -> &Did {
        &self.did
    }

    fn list(&self, member: &'static str, max: usize) -> Result<&[Value], DidDocumentError> {
        match self.members.get(member) {
            None | Some(Value::Null) => Ok(&[]),
            Some(Value::Array(all)) if all.len() <= max => Ok(all),
            Some(_) => Err(DidDocumentError::Member {
                did: self.did.clone(),
                member,
                rule: "it must be an array of at most 32 elements",
            }),
        }
    }

    /// The identifier in full; `#name` alone means a key of this document.
    fn full(&self, id: &str) -> String {
        if id.starts_with('#') { format!("{}{id}", self.did) } else { id.to_owned() }
    }

    /// The keys that may be used for a purpose. A key that only stands in `verificationMethod` may be
    /// used for none; keys of another controller are left out.
    ///
    /// # Errors
    /// When none is left.
    pub fn keys(&self, relationship: Relationship) -> Result<Vec<VerificationKey>, DidDocumentError> {
        self.usable(self.list(relationship.name(), KEYS_MAX)?, relationship)
    }

    /// The keys of a document that names no relationship at all, as release candidates of the
    /// conformance kit write them; otherwise as [`Self::keys`]. For tests only: DID Core authorises a
    /// key for nothing unless the document says for what.
    ///
    /// # Errors
    /// When none is left.
    pub fn keys_of_test(&self, relationship: Relationship) -> Result<Vec<VerificationKey>, DidDocumentError> {
        let all =
            [Relationship::CapabilityInvocation, Relationship::Authentication, Relationship::AssertionMethod];
        if all.iter().any(|r| self.members.contains_key(r.name())) {
            return self.keys(relationship);
        }
        self.usable(self.list("verificationMethod", KEYS_MAX)?, relationship)
    }

    /// Those of the keys named that can be used.
    fn usable(
        &self,
        all: &[Value],
        relationship: Relationship,
    ) -> Result<Vec<VerificationKey>, DidDocumentError> {
        let methods = self.list("verificationMethod", KEYS_MAX)?;
        let (mut found, mut problem) = (Vec::new(), None);
        for named in all {
            let method = match named {
                Value::String(id) => {
                    let wanted = self.full(id);
                    methods.iter().find(|m| self.id_of(m).is_some_and(|id| id == wanted))
                }
                method => Some(method),
            };
            let Some((id, method)) = method.and_then(|m| Some((self.id_of(m)?, m))) else { continue };
            let own = id.split_once('#').is_some_and(|(did, _)| did == self.did.as_str());
            let controller = method.get("controller").and_then(Value::as_str);
            if !own || controller.is_some_and(|c| c != self.did.as_str()) {
                continue;
            }
            match JwsKey::from_jwk(method.get("publicKeyJwk").unwrap_or(&Value::Null)) {
                Ok(key) => found.push(VerificationKey { kid: id, key }),
                Err(error) => problem = Some(error),
            }
        }
        if found.is_empty() {
            let relationship = relationship.name();
            return Err(DidDocumentError::NoKey { did: self.did.clone(), relationship, problem });
        }
        Ok(found)
    }

    fn id_of(&self, method: &Value) -> Option<String> {
        method.get("id").and_then(Value::as_str).map(|id| self.full(id))
    }

    /// The address of a service, without a slash at the end.
    ///
    /// # Errors
    /// When there is none.
    pub fn service(&self, kind: &'static str) -> Result<&str, DidDocumentError> {
        let is = |service: &&Value| match service.get("type") {
            Some(Value::String(one)) => one == kind,
            Some(Value::Array(all)) => all.iter().any(|t| t.as_str() == Some(kind)),
            _ => false,
        };
        let services = self.list("service", SERVICES_MAX)?.iter().filter(is);
        let mut addresses = services.filter_map(|s| s.get("serviceEndpoint")?.as_str());
        let found = addresses.find(|a| !a.is_empty() && a.len() <= ENDPOINT_BYTES_MAX);
        let none = || DidDocumentError::NoService { did: self.did.clone(), kind };
        found.map(|a| a.trim_end_matches('/')).ok_or_else(none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn did() -> Did {
        "did:web:b.example".parse().unwrap()
    }

    /// RFC 8037, appendix A.2.
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn document() -> Value {
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": X });
        json!({
            "id": "did:web:b.example",
            "verificationMethod": [
                { "id": "#token", "type": "JsonWebKey2020", "controller": "did:web:b.example", "publicKeyJwk": jwk },
                { "id": "did:web:b.example#spare", "controller": "did:web:b.example", "publicKeyJwk": jwk },
                { "id": "did:web:other.example#k", "controller": "did:web:b.example", "publicKeyJwk": jwk },
            ],
            "capabilityInvocation": ["did:web:b.example#token"],
            "authentication": ["did:web:other.example#k"],
            "service": [{ "id": "x", "type": "CredentialService", "serviceEndpoint": "https://b.example/dcp/" }],
        })
    }

    fn read(value: &Value) -> Result<DidDocument, DidDocumentError> {
        DidDocument::read(value.to_string().as_bytes(), &did())
    }

    #[test]
    fn a_key_is_good_only_for_what_the_document_names_it_for() {
        let document = read(&document()).unwrap();
        let keys = document.keys(Relationship::CapabilityInvocation).unwrap();
        assert_eq!(keys.iter().map(|k| k.kid.as_str()).collect::<Vec<_>>(), ["did:web:b.example#token"]);
        // Named, but a key of somebody else; and not named at all.
        for purpose in [Relationship::Authentication, Relationship::AssertionMethod] {
            let error = document.keys(purpose).unwrap_err();
            assert!(matches!(error, DidDocumentError::NoKey { .. }), "{error}");
        }
        assert_eq!(document.service(CREDENTIAL_SERVICE).unwrap(), "https://b.example/dcp");
        assert!(document.service(ISSUER_SERVICE).is_err());
    }

    #[test]
    fn a_document_of_another_participant_and_one_beyond_the_limits_are_refused() {
        let mut other = document();
        other["id"] = json!("did:web:c.example");
        assert!(matches!(read(&other), Err(DidDocumentError::OtherId { .. })));
        let mut many = document();
        many["verificationMethod"] = json!(vec![json!({}); KEYS_MAX + 1]);
        assert!(matches!(read(&many), Err(DidDocumentError::Member { member: "verificationMethod", .. })));
        let mut published = document();
        published["verificationMethod"][0]["publicKeyJwk"]["d"] = json!("x");
        let error = read(&published).unwrap().keys(Relationship::CapabilityInvocation).unwrap_err();
        assert!(matches!(error, DidDocumentError::NoKey { problem: Some(JwkError::Private), .. }), "{error}");
    }

    #[test]
    fn a_document_that_names_no_relationship_gives_keys_to_tests_only() {
        let mut bare = document();
        for member in ["capabilityInvocation", "authentication"] {
            bare.as_object_mut().unwrap().remove(member);
        }
        let bare = read(&bare).unwrap();
        assert!(bare.keys(Relationship::Authentication).is_err());
        assert_eq!(bare.keys_of_test(Relationship::Authentication).unwrap().len(), 2);
        // One relationship named, and the others are not open any more.
        let named = read(&document()).unwrap();
        assert!(named.keys_of_test(Relationship::AssertionMethod).is_err());
    }

    #[test]
    fn only_the_loopback_interface_is_ever_read_without_tls() {
        for (did, plain, url) in [
            ("did:web:127.0.0.1%3A8080:holder", true, "http://127.0.0.1:8080/holder/did.json"),
            ("did:web:localhost%3A8080", true, "http://localhost:8080/.well-known/did.json"),
            ("did:web:localhost%3A8080", false, "https://localhost:8080/.well-known/did.json"),
            ("did:web:localhost.example", true, "https://localhost.example/.well-known/did.json"),
            ("did:web:10.0.0.1", true, "https://10.0.0.1/.well-known/did.json"),
        ] {
            assert_eq!(document_url(&did.parse().unwrap(), plain), url);
        }
    }
}
