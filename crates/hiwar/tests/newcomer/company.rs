//! A participant with software of its own: it publishes a DID document, asks for credentials, and takes
//! what is brought to it.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use hiwar_claims::p256::P256Key;
use hiwar_claims::token::Claims;
use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;
use serde_json::{Value, json};

use super::served::{header, serve};

/// What was brought: where to, the header Authorization, the message.
pub(crate) type Brought = (String, String, Value);

/// The participant.
pub(crate) struct Company {
    pub(crate) did: Did,
    key: P256Key,
    pub(crate) brought: Arc<Mutex<Vec<Brought>>>,
    /// While true, its Credential Service answers 503.
    pub(crate) closed: Arc<AtomicBool>,
}

/// The time now, in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

impl Company {
    /// A company whose Credential Service is at its own address.
    pub(crate) fn new() -> Self {
        Self::with_service(|at| format!("http://{at}/dcp"))
    }

    /// A company whose DID document says that its Credential Service is elsewhere.
    pub(crate) fn with_service(service: impl FnOnce(SocketAddr) -> String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let did: Did = format!("did:web:127.0.0.1%3A{}", at.port()).parse().unwrap();
        let key = P256Key::from_pkcs8(&P256Key::generate().unwrap()).unwrap();
        let kid = format!("{did}#k");
        let document = json!({
            "id": did,
            "verificationMethod": [{
                "id": kid, "type": "JsonWebKey2020", "controller": did, "publicKeyJwk": key.public().to_jwk(),
            }],
            "capabilityInvocation": [kid],
            "service": [{ "id": "#c", "type": "CredentialService", "serviceEndpoint": service(at) }],
        });
        let brought = Arc::new(Mutex::new(Vec::new()));
        let closed = Arc::new(AtomicBool::new(false));
        let (kept, shut) = (brought.clone(), closed.clone());
        serve(listener, move |head, body| {
            if head.starts_with("GET /.well-known/did.json ") {
                return (200, "", document.to_string());
            }
            if shut.load(Ordering::Relaxed) {
                return (503, "", String::new());
            }
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let token = header(head, "authorization").unwrap_or_default();
            let message = serde_json::from_str(body).unwrap_or(Value::Null);
            kept.lock().unwrap().push((path, token, message));
            (200, "", String::new())
        });
        Self { did, key, brought, closed }
    }

    /// A token of this company. `change` may spoil it.
    pub(crate) fn token(&self, audience: &str, change: impl FnOnce(&mut Claims)) -> String {
        let mut jti = [0_u8; 16];
        getrandom::fill(&mut jti).unwrap();
        let at = Timestamp::from_millis(now_ms());
        let mut claims = Claims::new(&self.did, audience, hex::encode(jti), at, 300);
        change(&mut claims);
        self.key.sign(&claims, "JWT", &format!("{}#k", self.did)).unwrap()
    }

    pub(crate) fn messages(&self) -> Vec<Brought> {
        self.brought.lock().unwrap().clone()
    }
}
