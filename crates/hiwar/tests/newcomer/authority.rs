//! An issuer with software of its own: it publishes a DID document and what it offers, and takes
//! requests. What it delivers, each test makes itself.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use hiwar_claims::credential::Profile;
use hiwar_claims::issuance::issue::{self, NewCredential};
use hiwar_claims::issuance::metadata::{self, CredentialObject};
use hiwar_claims::issuance::state::{Made, issued_message};
use hiwar_claims::p256::P256Key;
use hiwar_claims::token::Claims;
use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;
use serde_json::{Map, Value, json};

use super::served::serve;

/// The only type that it issues.
pub(crate) const KIND: &str = "MembershipCredential";

/// The issuer.
pub(crate) struct Authority {
    pub(crate) did: Did,
    key: P256Key,
    /// The requests that it took.
    pub(crate) asked: Arc<Mutex<Vec<Value>>>,
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

fn random() -> String {
    let mut bits = [0_u8; 16];
    getrandom::fill(&mut bits).unwrap();
    hex::encode(bits)
}

impl Authority {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let did: Did = format!("did:web:127.0.0.1%3A{}", at.port()).parse().unwrap();
        let key = P256Key::from_pkcs8(&P256Key::generate().unwrap()).unwrap();
        let kid = format!("{did}#k");
        let document = json!({
            "id": did,
            "verificationMethod": [{ "id": kid, "controller": did, "publicKeyJwk": key.public().to_jwk() }],
            "capabilityInvocation": [kid], "assertionMethod": [kid], "authentication": [kid],
            "service": [{ "id": "#i", "type": "IssuerService", "serviceEndpoint": format!("http://{at}/issuer") }],
        });
        let object = CredentialObject {
            id: "urn:membership".into(),
            kind: KIND.into(),
            profile: Profile::Vc20.name().into(),
            schema: String::new(),
        };
        let offered = metadata::to_json(&did, &[object]);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let taken = asked.clone();
        serve(listener, move |head, body| {
            if head.starts_with("GET /.well-known/did.json ") {
                (200, "", document.to_string())
            } else if head.starts_with("GET /issuer/metadata ") {
                (200, "", offered.to_string())
            } else if head.starts_with("POST /issuer/credentials ") {
                taken.lock().unwrap().push(serde_json::from_str(body).unwrap_or(Value::Null));
                (201, "Location: /issuer/requests/1\r\n", String::new())
            } else {
                (404, "", String::new())
            }
        });
        Self { did, key, asked }
    }

    /// A token of this issuer. `change` may spoil it.
    pub(crate) fn token(&self, audience: &str, change: impl FnOnce(&mut Claims)) -> String {
        let mut claims = Claims::new(&self.did, audience, random(), now(), 300);
        change(&mut claims);
        self.key.sign(&claims, "JWT", &format!("{}#k", self.did)).unwrap()
    }

    /// A credential about `subject` that lasts `seconds`.
    pub(crate) fn credential(&self, subject: &Did, seconds: i64) -> Made {
        let id = format!("urn:uuid:{}", random());
        let claims = issue::claims(&NewCredential {
            profile: Profile::Vc20,
            id: &id,
            kind: KIND,
            issuer: &self.did,
            holder: subject,
            subject: &Map::new(),
            contexts: &[],
            schema: None,
            from: now().plus_millis(-3_600_000),
            until: now().plus_millis(seconds * 1000),
            list: "https://authority.example/status/1",
            place: 3,
        });
        let jwt = self.key.sign(&claims, issue::kind(Profile::Vc20), &format!("{}#k", self.did)).unwrap();
        Made { kind: KIND.into(), profile: Profile::Vc20, jwt }
    }

    /// The message that brings `made` for a request.
    pub(crate) fn delivery(&self, holder_pid: &str, made: &[Made]) -> Value {
        issued_message("issuer-1", Some(holder_pid), made)
    }
}
