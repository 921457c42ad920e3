//! The Decentralized Claims Protocol: tokens, DID documents, credentials, presentations, status lists
//! and queries. Nobody holds the keys, so what is signed is read to the signature and no further;
//! what comes behind it is handed over without one.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use hiwar_claims::did::{DidDocument, KEYS_MAX, Relationship};
use hiwar_claims::issuance::metadata::{self, CredentialObject};
use hiwar_claims::issuance::request::{self, CredentialRequest};
use hiwar_claims::issuance::state::{self, CredentialStatus, RequestState};
use hiwar_claims::issuance::{delivery, offer};
use hiwar_claims::jws::{JwsKey, VerificationKey};
use hiwar_claims::presentation::CREDENTIALS_MAX;
use hiwar_claims::{credential, presentation, query, status, token};
use hiwar_trust::did::Did;
use hiwar_trust::key::KeyHolder as _;
use hiwar_trust::time::Timestamp;
use serde_json::{Value, json};

use super::{answered, text};
use crate::sample;

const NOW: i64 = 1_800_000_000;
const ME: &str = "did:web:a.example";

static HOLDER: LazyLock<Option<Did>> = LazyLock::new(|| "did:web:b.example".parse().ok());

fn now() -> Timestamp {
    Timestamp::from_millis(NOW * 1000)
}

fn keys() -> Vec<VerificationKey> {
    let key = JwsKey::Ed25519(sample::node_key(0).public_key().clone());
    vec![VerificationKey { kid: "did:web:b.example#k".into(), key }]
}

/// The input is a token's payload; it is signed here, so that what is behind the signature is reached.
fn signed(payload: &[u8]) -> Option<String> {
    let header = BASE64URL.encode(r#"{"alg":"EdDSA","kid":"did:web:b.example#k","typ":"JWT"}"#);
    let mut jwt = format!("{header}.{}", BASE64URL.encode(payload));
    let signature = sample::node_key(0).sign(jwt.as_bytes()).ok()?;
    jwt.push('.');
    jwt.push_str(&BASE64URL.encode(signature.as_bytes()));
    Some(jwt)
}

/// A compact JWS as it came.
pub fn claims_jws(data: &[u8]) {
    let Some(jwt) = text(data) else { return };
    answered(&hiwar_claims::jws::read(jwt, token::TOKEN_BYTES_MAX));
}

/// Whole tokens.
pub fn claims_jws_seeds() -> Vec<Vec<u8>> {
    claims_token_seeds().iter().filter_map(|payload| signed(payload)).map(String::into_bytes).collect()
}

/// The payload of a self-issued token.
pub fn claims_token(data: &[u8]) {
    let Some(jwt) = signed(data) else { return };
    let read = token::verify(&jwt, &keys(), ME, now(), 5);
    answered(&read);
    if let Ok(claims) = read {
        assert_eq!(claims.iss, claims.sub, "somebody speaks for another");
        assert!(claims.exp + 5 > NOW && claims.iat - 5 <= NOW, "it is not valid now");
    }
}

/// Payloads of tokens.
pub fn claims_token_seeds() -> Vec<Vec<u8>> {
    let claims = json!({
        "iss": "did:web:b.example", "sub": "did:web:b.example", "aud": ME, "jti": "1",
        "iat": NOW, "exp": NOW + 60, "nbf": NOW, "token": "t",
    });
    vec![claims.to_string().into_bytes()]
}

/// A DID document.
pub fn claims_did(data: &[u8]) {
    let Some(did) = HOLDER.as_ref() else { return };
    let read = DidDocument::read(data, did);
    answered(&read);
    let Ok(document) = read else { return };
    for purpose in
        [Relationship::CapabilityInvocation, Relationship::Authentication, Relationship::AssertionMethod]
    {
        let keys = document.keys(purpose);
        answered(&keys);
        let keys = keys.unwrap_or_default();
        assert!(keys.len() <= KEYS_MAX && keys.iter().all(|k| k.kid.starts_with("did:web:b.example#")));
    }
    answered(&document.service(hiwar_claims::did::CREDENTIAL_SERVICE));
}

/// DID documents.
pub fn claims_did_seeds() -> Vec<Vec<u8>> {
    let jwk = JwsKey::Ed25519(sample::node_key(0).public_key().clone()).to_jwk();
    let document = json!({
        "id": "did:web:b.example",
        "verificationMethod": [{ "id": "#k", "type": "JsonWebKey2020", "publicKeyJwk": jwk }],
        "capabilityInvocation": ["#k"], "authentication": ["did:web:b.example#k"],
        "service": [{ "id": "#s", "type": "CredentialService", "serviceEndpoint": "https://b.example/dcp" }],
    });
    vec![document.to_string().into_bytes()]
}

/// The payload of a credential.
pub fn claims_credential(data: &[u8]) {
    let Some(jwt) = signed(data) else { return };
    let read = credential::verify(&jwt, &keys(), HOLDER.as_ref(), now(), 5);
    answered(&read);
    if let Ok(found) = read {
        assert_eq!(Some(&found.issuer), HOLDER.as_ref(), "another one's key spoke for the issuer");
        let is_holder = |subject: &serde_json::Map<String, Value>| {
            subject.get("id").and_then(Value::as_str) == Some("did:web:b.example")
        };
        assert!(found.subjects.iter().all(is_holder), "it is about somebody else");
        assert!(found.valid_until.is_none_or(|end| end.saturating_add(5) > NOW), "it has ended");
    }
}

/// Payloads of credentials of both data models.
pub fn claims_credential_seeds() -> Vec<Vec<u8>> {
    let status = json!({
        "type": "BitstringStatusListEntry", "statusPurpose": "revocation", "statusListIndex": "3",
        "statusListCredential": "https://b.example/status/1",
    });
    let vc20 = json!({
        "type": ["VerifiableCredential", "MembershipCredential"], "issuer": "did:web:b.example",
        "validFrom": "2027-01-15T07:59:00Z", "validUntil": "2027-01-16T00:00:00Z",
        "credentialSubject": { "id": "did:web:b.example", "level": "gold" }, "credentialStatus": status,
        "credentialSchema": { "id": "https://b.example/schema", "type": "JsonSchema" },
    });
    let vc11 = json!({
        "iss": "did:web:b.example", "sub": "did:web:b.example", "exp": NOW + 60,
        "vc": {
            "type": ["VerifiableCredential"], "issuer": { "id": "did:web:b.example" },
            "issuanceDate": "2027-01-15T07:59:00Z", "credentialSubject": [{ "level": 3 }],
        },
    });
    [vc20, vc11].map(|vc| vc.to_string().into_bytes()).into()
}

/// The payload of a presentation.
pub fn claims_presentation(data: &[u8]) {
    let (Some(jwt), Some(holder)) = (signed(data), HOLDER.as_ref()) else { return };
    let read = presentation::verify(&jwt, &keys(), holder, ME, now(), 5);
    answered(&read);
    assert!(read.unwrap_or_default().len() <= CREDENTIALS_MAX);
}

/// Payloads of presentations of both data models.
pub fn claims_presentation_seeds() -> Vec<Vec<u8>> {
    let Some(holder) = HOLDER.as_ref() else { return Vec::new() };
    [credential::Profile::Vc11, credential::Profile::Vc20]
        .map(|profile| {
            let shown = ["a.b.c".to_owned()];
            presentation::claims(profile, &shown, holder, ME, "1", now(), 60).to_string().into_bytes()
        })
        .into()
}

/// The encoded bits of a status list.
pub fn claims_status(data: &[u8]) {
    let Some(encoded) = text(data) else { return };
    let read = status::expand(encoded);
    answered(&read);
    assert!(read.unwrap_or_default().len() <= status::BITS_BYTES_MAX, "it expands beyond the limit");
}

/// Encoded lists: 16 and 131,072 bits.
pub fn claims_status_seeds() -> Vec<Vec<u8>> {
    // gzip of 16 KiB of zeros, as in the examples of Bitstring Status List 1.0; and of the bytes 10 00.
    let standard = "uH4sIAAAAAAAAA-3BMQEAAADCoPVPbQwfoAAAAAAAAAAAAAAAAAAAAIC3AYbSVKsAQAAA";
    let short = "H4sIAAAAAAACAxNgAACuABsLAgAAAA";
    vec![standard.into(), short.into()]
}

/// A presentation query, and the answer to one.
pub fn claims_query(data: &[u8]) {
    let read = query::read(data);
    answered(&read);
    assert!(read.unwrap_or_default().len() <= query::PARTS_MAX);
    let read = query::read_response(data);
    answered(&read);
    assert!(read.unwrap_or_default().len() <= query::PARTS_MAX);
}

/// Queries and answers.
pub fn claims_query_seeds() -> Vec<Vec<u8>> {
    let asked = query::message(&[query::Scope::of_type("MembershipCredential")]);
    let defined = json!({ "type": "PresentationQueryMessage", "presentationDefinition": { "id": "x" } });
    [asked, defined, query::response(&["a.b.c".into()])].map(|m| m.to_string().into_bytes()).into()
}

/// A request for credentials.
pub fn claims_request(data: &[u8]) {
    let read = request::read(data);
    answered(&read);
    if let Ok(asked) = read {
        assert!((1..=request::CREDENTIALS_MAX).contains(&asked.credentials.len()), "beyond the limit");
        let written = asked.to_json().to_string();
        assert_eq!(request::read(written.as_bytes()).ok(), Some(asked), "it reads back otherwise");
    }
}

/// Requests.
pub fn claims_request_seeds() -> Vec<Vec<u8>> {
    let asked =
        CredentialRequest { holder_pid: "p".into(), credentials: vec!["urn:a".into(), "urn:b".into()] };
    vec![asked.to_json().to_string().into_bytes()]
}

/// The metadata of an issuer.
pub fn claims_metadata(data: &[u8]) {
    let Some(issuer) = HOLDER.as_ref() else { return };
    let read = metadata::read(data, issuer);
    answered(&read);
    if let Ok(offered) = read {
        assert!(offered.len() <= metadata::OBJECTS_MAX, "beyond the limit");
        assert!(offered.iter().all(|o| !o.id.is_empty() && !o.kind.is_empty()), "an object without a name");
        let written = metadata::to_json(issuer, &offered).to_string();
        assert_eq!(metadata::read(written.as_bytes(), issuer).ok(), Some(offered), "it reads back otherwise");
    }
}

/// Metadata.
pub fn claims_metadata_seeds() -> Vec<Vec<u8>> {
    let Some(issuer) = HOLDER.as_ref() else { return Vec::new() };
    let object = CredentialObject {
        id: "did:web:b.example#T".into(),
        kind: "T".into(),
        profile: "vc20-bssl/jwt".into(),
        schema: "https://b.example/schema".into(),
    };
    vec![metadata::to_json(issuer, &[object]).to_string().into_bytes()]
}

/// The status of a request.
pub fn claims_request_status(data: &[u8]) {
    let read = state::read(data);
    answered(&read);
    if let Ok(status) = read {
        let written = status.to_json().to_string();
        assert_eq!(state::read(written.as_bytes()).ok(), Some(status), "it reads back otherwise");
    }
}

/// Statuses.
pub fn claims_request_status_seeds() -> Vec<Vec<u8>> {
    let status =
        CredentialStatus { issuer_pid: "i".into(), holder_pid: "h".into(), state: RequestState::Received };
    vec![status.to_json().to_string().into_bytes()]
}

/// An issuer's offer.
pub fn claims_offer(data: &[u8]) {
    let read = offer::read(data);
    answered(&read);
    if let Ok(found) = read {
        assert!((1..=request::CREDENTIALS_MAX).contains(&found.credentials.len()));
        assert!(found.credentials.iter().all(|o| (1..=request::ID_BYTES_MAX).contains(&o.id.len())));
    }
}

/// Offers: whole, and by identifiers only.
pub fn claims_offer_seeds() -> Vec<Vec<u8>> {
    let offered = |credentials: Value| json!({ "type": offer::TYPE, "issuer": "did:web:b.example", "credentials": credentials });
    let whole = json!([{
        "id": "x", "type": "CredentialObject", "credentialType": "MembershipCredential",
        "profile": "vc20-bssl/jwt", "offerReason": "reissue", "bindingMethods": ["did:web"],
    }]);
    [whole, json!([{ "id": "x" }, { "id": "y" }])].map(|c| offered(c).to_string().into_bytes()).into()
}

/// An issuer's delivery.
pub fn claims_delivery(data: &[u8]) {
    let read = delivery::read(data);
    answered(&read);
    let Ok(found) = read else { return };
    let named = found.holder_pid.is_none_or(|pid| !pid.is_empty());
    assert!(named && !found.issuer_pid.is_empty(), "a name is empty");
    match found.outcome {
        delivery::Outcome::Issued(made) => assert!((1..=request::CREDENTIALS_MAX).contains(&made.len())),
        delivery::Outcome::Rejected(reason) => {
            assert!(reason.is_none_or(|reason| reason.len() <= delivery::REASON_BYTES_MAX));
        }
    }
}

/// Deliveries: credentials, and a rejection.
pub fn claims_delivery_seeds() -> Vec<Vec<u8>> {
    use hiwar_claims::issuance::state::{Made, issued_message, rejected_message};
    let made =
        Made { kind: "MembershipCredential".into(), profile: credential::Profile::Vc20, jwt: "a.b.c".into() };
    let issued = issued_message("i", Some("h"), &[made]);
    [issued, rejected_message("i", Some("h"), Some("no"))].map(|m| m.to_string().into_bytes()).into()
}
