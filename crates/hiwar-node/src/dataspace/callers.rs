//! Who calls, who is called: tokens of our own for others, others' tokens for us.
//!
//! A peer that is known by invitation is recognised by a self-issued token (DCP 1.0, section 4.3) signed
//! with the node key in its newest card; nothing has to be looked up. Whoever is not known that way is
//! asked for credentials.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use hiwar_claims::jws::{JwsKey, VerificationKey};
use hiwar_claims::token::{self, Claims, LEEWAY_SECONDS};
use hiwar_dataspace::policy::Participant;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::Identity;
use hiwar_trust::time::Timestamp;

use crate::clock::{now, random};
use crate::node::Shared;
use crate::outbound::Trust;

/// How long a token of ours lasts.
const LIFETIME_SECONDS: i64 = 300;
/// A token is replaced this long before its end.
const RENEW_SECONDS: i64 = 60;
/// Most tokens remembered as verified.
const VERIFIED_MAX: usize = 4096;

/// A caller that showed who it is.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) id: String,
    pub(crate) facts: Arc<Participant>,
}

/// The one caller of a conformance kit.
#[derive(Clone, Debug)]
pub(crate) struct Kit {
    pub(crate) participant: String,
    pub(crate) bearer: String,
}

/// Remembers tokens made and tokens verified.
#[derive(Default)]
pub(crate) struct Callers {
    /// By audience.
    made: Mutex<HashMap<String, (String, i64)>>,
    /// By the token's digest: who, the key that signed, until when.
    verified: Mutex<HashMap<Hash, (String, Hash, i64)>>,
    pub(crate) kit: Option<Kit>,
}

/// The identifier of a node key in tokens.
fn key_name(identity: &Identity) -> String {
    let card = identity.latest();
    format!("{}#node-{}", card.did, card.node_key.id().0.short())
}

impl Callers {
    /// Nobody is known yet, beside the kit if there is one.
    pub(crate) fn new(kit: Option<Kit>) -> Self {
        Self { kit, ..Self::default() }
    }

    /// Who sent a request.
    ///
    /// # Errors
    /// Why it is not known.
    pub(crate) async fn known(&self, shared: &Shared, headers: &HeaderMap) -> Result<Known, String> {
        let header = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let Some(bearer) = header.strip_prefix("Bearer ").map(str::trim) else {
            return Err("the header Authorization must be \"Bearer \" and a token".into());
        };
        if let Some(kit) = &self.kit
            && Hash::of(kit.bearer.as_bytes()) == Hash::of(bearer.as_bytes())
        {
            return Ok(self.named(shared, &kit.participant));
        }
        let issuer = token::peek_issuer(bearer).map_err(|e| e.to_string())?;
        let identity = shared.writer.directory().get(&issuer).filter(|_| issuer != shared.did).cloned();
        let Some(identity) = identity else {
            let Some(claims) = shared.dataspace().claims.as_ref().filter(|_| issuer != shared.did) else {
                return Err(format!("{issuer} is no peer of this node; exchange invitations first"));
            };
            claims.admit(&issuer, bearer).await.map_err(|e| e.to_string())?;
            return Ok(self.named(shared, issuer.as_str()));
        };
        let card = identity.latest();
        let (digest, key) = (Hash::of(bearer.as_bytes()), card.node_key.id().0);
        let at = now().as_seconds();
        let held = self.verified.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned();
        if held
            .is_some_and(|(who, signed_by, until)| who == issuer.as_str() && signed_by == key && at < until)
        {
            return Ok(self.named(shared, issuer.as_str()));
        }
        let keys =
            [VerificationKey { kid: key_name(&identity), key: JwsKey::Ed25519(card.node_key.clone()) }];
        let claims = token::verify(bearer, &keys, shared.did.as_str(), now(), LEEWAY_SECONDS)
            .map_err(|e| e.to_string())?;
        self.remember(digest, issuer.as_str(), key, claims.exp);
        Ok(self.named(shared, issuer.as_str()))
    }

    fn remember(&self, digest: Hash, who: &str, key: Hash, until: i64) {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= VERIFIED_MAX {
            let at = now().as_seconds();
            verified.retain(|_, (_, _, until)| at < *until);
            if verified.len() >= VERIFIED_MAX {
                verified.clear();
            }
        }
        verified.insert(digest, (who.to_owned(), key, until));
    }

    fn named(&self, shared: &Shared, id: &str) -> Known {
        Known { id: id.to_owned(), facts: Arc::new(facts(shared, id)) }
    }

    /// The header that shows another participant who we are.
    pub(crate) fn authorization(&self, shared: &Shared, audience: &str) -> Result<String, String> {
        if let Some(kit) = self.kit.as_ref().filter(|kit| kit.participant == audience) {
            return Ok(format!("Bearer {}", kit.bearer));
        }
        let at = now();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((header, until)) = made.get(audience)
            && at.as_seconds() < *until
        {
            return Ok(header.clone());
        }
        let token = match &shared.dataspace().claims {
            Some(claims) if endpoint_of(shared, audience).is_none() => claims.token_for(audience)?,
            _ => self.new_token(shared, audience, at)?,
        };
        if made.len() >= VERIFIED_MAX {
            made.clear();
        }
        let header = format!("Bearer {token}");
        made.insert(
            audience.to_owned(),
            (header.clone(), at.as_seconds() + LIFETIME_SECONDS - RENEW_SECONDS),
        );
        Ok(header)
    }

    fn new_token(&self, shared: &Shared, audience: &str, at: Timestamp) -> Result<String, String> {
        let jti = hex::encode(random::<16>().map_err(|e| e.to_string())?);
        let claims = Claims::new(&shared.did, audience, jti, at, LIFETIME_SECONDS);
        let keys = shared.keys();
        token::sign(&claims, &key_name(&shared.identity()), &*keys.node).map_err(|e| e.to_string())
    }

    /// Forgets tokens made with a key that was replaced.
    pub(crate) fn forget_made(&self) {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// What policies may ask of a participant, as far as this node's configuration says.
pub(crate) fn facts(shared: &Shared, id: &str) -> Participant {
    let config = &shared.config.dataspace;
    let groups = config.groups.iter().filter(|(_, members)| members.iter().any(|m| m == id));
    Participant {
        id: Some(id.to_owned()),
        groups: groups.map(|(name, _)| name.clone()).collect(),
        country: config.countries.get(id).cloned(),
        credentials: shared.dataspace().claims.as_ref().and_then(|claims| claims.credentials_of(id)),
    }
}

/// How far the addresses of a participant are believed.
pub(crate) fn trust(shared: &Shared, id: &str) -> Trust {
    let directory = shared.writer.directory();
    let peer = id.parse().ok().and_then(|did| directory.get(&did).cloned());
    let endpoint = peer.as_ref().and_then(|p| p.latest().endpoints.first().cloned());
    match (peer, endpoint) {
        (Some(peer), Some(endpoint)) => Trust::Peer { endpoint, pin: peer.latest().tls_key },
        _ => Trust::Stranger,
    }
}

/// The address in the newest card of a known peer, without a slash at the end.
pub(crate) fn endpoint_of(shared: &Shared, id: &str) -> Option<String> {
    match trust(shared, id) {
        Trust::Peer { endpoint, .. } => Some(endpoint.trim_end_matches('/').to_owned()),
        Trust::Stranger => None,
    }
}

/// Every participant this node knows of, for dry runs.
pub(crate) fn everybody(shared: &Shared) -> BTreeMap<String, Participant> {
    let directory = shared.writer.directory();
    let peers = directory.all().map(|i| i.did().as_str().to_owned()).filter(|d| *d != shared.did.as_str());
    let config = &shared.config.dataspace;
    let named = config.groups.values().flatten().chain(config.countries.keys()).cloned();
    peers.chain(named).map(|id| (id.clone(), facts(shared, &id))).collect()
}
