//! The Decentralized Claims Protocol 1.0 at the edge: participants that were not invited show by
//! credentials who they are, we show ours, and issue some to others.
//!
//! A token's `jti` is good once: at our own DCP endpoints for one request, at DSP endpoints for one
//! token. There the very same token may come again until it ends, because DSP speaks of one token for
//! a whole exchange and the protocol's kit sends one; another token with a name already used is refused.

pub mod config;
mod holder;
pub mod issuer;
mod verifier;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hiwar_claims::did::{DOCUMENT_BYTES_MAX, DidDocument, document_url};
use hiwar_claims::p256::P256Key;
use hiwar_claims::replay::Seen;
use hiwar_claims::token::Claims as TokenClaims;
use hiwar_dataspace::policy::Credential;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::clock::{now, random};
use crate::folder::write_secret;
use crate::outbound::{Outbound, Target};
use config::ClaimsConfig;
use holder::{Access, Kept};
pub(crate) use holder::{AskError, ImportError, StandingRequest, Wanted, router};
pub(crate) use verifier::ClaimsError;

/// The path of the Credential Service below the node's address.
pub const PATH: &str = "/dcp/1.0";
/// The key's file in the node's folder: PKCS #8, readable by its owner only.
const KEY_FILE: &str = "keys/claims.key";
/// The folder of the credentials, requests and offers in the node's folder.
const FOLDER: &str = "claims";
/// How long a token of ours lasts.
pub(crate) const LIFETIME_SECONDS: i64 = 300;
/// How long a participant's credentials are believed before they are asked for again.
const HELD_SECONDS: i64 = 300;
/// Most participants, tokens and access tokens remembered.
const REMEMBERED_MAX: usize = 4096;
/// Most callers whose credentials are being fetched at the same time.
const FETCHING_MAX: usize = 32;

/// What was verified of a participant.
struct Held {
    credentials: Vec<Credential>,
    until: i64,
}

/// What is remembered for a while.
#[derive(Default)]
struct Memory {
    seen: Seen,
    /// Tokens at DSP endpoints, by their digest: until when.
    tokens: HashMap<Hash, i64>,
    /// By DID.
    held: HashMap<String, Held>,
    /// Access tokens for our Credential Service, by their digest.
    access: HashMap<Hash, Access>,
}

/// Our part in the protocol.
pub(crate) struct Claims {
    did: Did,
    config: ClaimsConfig,
    key: P256Key,
    address: String,
    kept: Kept,
    /// Whether a query beyond an access token's scopes is refused. Only for a conformance kit.
    refuses_beyond_scopes: bool,
    outbound: Arc<Outbound>,
    memory: Mutex<Memory>,
    fetching: Semaphore,
    issuing: issuer::Issuing,
}

impl Claims {
    /// Reads the key, or makes it at the first start. `address` is the node's, without a slash at the end.
    pub(crate) fn open(
        dir: &Path,
        did: &Did,
        config: &ClaimsConfig,
        address: &str,
        outbound: Arc<Outbound>,
    ) -> Result<Self, String> {
        let path = dir.join(KEY_FILE);
        if !path.exists() {
            let made = P256Key::generate().map_err(|e| e.to_string())?;
            write_secret(&path, &made).map_err(|e| e.to_string())?;
        }
        let document = fs::read(&path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
        let key = P256Key::from_pkcs8(&document)
            .map_err(|e| format!("{}: {e}; remove the file and a new key is made", path.display()))?;
        Ok(Self {
            did: did.clone(),
            config: config.clone(),
            key,
            address: format!("{address}{PATH}"),
            kept: Kept::open(dir.join(FOLDER)),
            refuses_beyond_scopes: false,
            outbound,
            memory: Mutex::default(),
            fetching: Semaphore::new(FETCHING_MAX),
            issuing: issuer::Issuing::default(),
        })
    }

    /// What a conformance kit needs: requests that stay open for ever, and refusals of queries beyond an
    /// access token's scopes, where DCP 1.0, section 5.4.1.2, wants an answer with less in it.
    pub(crate) fn prepare_for_kit(&mut self, requests: Vec<StandingRequest>, refuses_beyond_scopes: bool) {
        self.kept.stand(requests);
        self.refuses_beyond_scopes = refuses_beyond_scopes;
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kid(&self) -> String {
        format!("{}#claims", self.did)
    }

    /// Adds our key and our service to the node's DID document.
    pub(crate) fn publish(&self, document: &mut Value) {
        let kid = self.kid();
        let method = json!({
            "id": kid, "type": "JsonWebKey2020", "controller": self.did,
            "publicKeyJwk": self.key.public().to_jwk(),
        });
        let service = json!({
            "id": format!("{}#credentials", self.did), "type": "CredentialService", "serviceEndpoint": self.address,
        });
        let parts = [("verificationMethod", method), ("authentication", json!(kid)), ("service", service)];
        for (member, part) in parts {
            if let Some(all) = document.get_mut(member).and_then(Value::as_array_mut) {
                all.push(part);
            }
        }
        if let Some(members) = document.as_object_mut() {
            members.insert("capabilityInvocation".into(), json!([kid]));
        }
        self.publish_issuer(document);
    }

    /// A self-issued token, with an access token inside if one is given.
    fn self_issued(&self, audience: &str, access: Option<String>) -> Result<String, String> {
        let jti = hex::encode(random::<16>().map_err(|e| e.to_string())?);
        let mut claims = TokenClaims::new(&self.did, audience, jti, now(), LIFETIME_SECONDS);
        claims.token = access;
        self.key.sign(&claims, "JWT", &self.kid()).map_err(|e| e.to_string())
    }

    /// The verified credentials of a participant, as long as they are believed.
    pub(crate) fn credentials_of(&self, did: &str) -> Option<Vec<Credential>> {
        let memory = self.memory();
        let held = memory.held.get(did).filter(|held| now().as_seconds() < held.until)?;
        Some(held.credentials.clone())
    }

    /// A participant's DID document.
    async fn resolve(&self, did: &Did) -> Result<DidDocument, ClaimsError> {
        let url = document_url(did, self.config.plain_loopback);
        let bytes = self.fetch(&url, DOCUMENT_BYTES_MAX).await?;
        Ok(DidDocument::read(&bytes, did)?)
    }

    /// A small document at an address that somebody gave.
    async fn fetch(&self, url: &str, limit: usize) -> Result<Vec<u8>, ClaimsError> {
        let parsed = Url::parse(url).map_err(|e| ClaimsError::Address(e.to_string()))?;
        Ok(self.outbound.get(Target::Stranger(&parsed), limit).await?)
    }
}
