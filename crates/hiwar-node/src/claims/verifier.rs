//! The verifier: a caller's token leads to its keys, its Credential Service and its credentials, and
//! each of them is checked (DCP 1.0, sections 4.3.3 and 5.4.3).

use std::time::Duration;

use hiwar_claims::credential::{self, Credential, CredentialError};
use hiwar_claims::did::{self, CREDENTIAL_SERVICE, DidDocument, DidDocumentError, Relationship};
use hiwar_claims::jws::VerificationKey;
use hiwar_claims::presentation::{self, PresentationError};
use hiwar_claims::query::{self, QueryError, RESPONSE_BYTES_MAX, Scope};
use hiwar_claims::replay::ReplayError;
use hiwar_claims::schema::{self, SCHEMA_BYTES_MAX, SchemaError};
use hiwar_claims::status::{self, LIST_BYTES_MAX, StatusError};
use hiwar_claims::token::{self, Claims as TokenClaims, LEEWAY_SECONDS, TokenError};
use hiwar_dataspace::policy;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use reqwest::Url;
use serde_json::Value;

use super::{Claims, HELD_SECONDS, Held, Memory, REMEMBERED_MAX};
use crate::clock::now;
use crate::outbound::{OutboundError, Target, failure, read_limited};

/// The longest that a caller waits while its credentials are fetched and checked.
pub(super) const CHECK_LIMIT: Duration = Duration::from_secs(20);

/// Why a participant's credentials do not let it in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClaimsError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error(transparent)]
    Document(#[from] DidDocumentError),
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Presentation(#[from] PresentationError),
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error(transparent)]
    Status(#[from] StatusError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("an address that was given cannot be used: {0}")]
    Address(String),
    #[error("the token holds no access token (claim \"token\") for your Credential Service; put one in")]
    NoAccessToken,
    #[error("your Credential Service answered {0} when it was asked for a presentation")]
    Answer(u16),
    #[error("the holder's Credential Service answered {0} to what was brought")]
    Delivery(u16),
    #[error("one presentation mixes credentials of {0} and {1}; a presentation has one profile")]
    MixedProfiles(&'static str, &'static str),
    #[error("{issuer} is not trusted here to issue {kind}; show one of a trusted issuer")]
    Untrusted { issuer: Did, kind: String },
    #[error("no {0} was presented; it is required here, ask an issuer that is trusted here for one")]
    Missing(String),
    #[error("checking the credentials took longer than 20 s")]
    TooLong,
    #[error("too many participants are being checked; try again in a moment")]
    Busy,
    #[error("{0}")]
    Own(String),
}

impl Claims {
    /// Lets in the participant that made a token, if its credentials say so.
    pub(crate) async fn admit(&self, issuer: &Did, bearer: &str) -> Result<(), ClaimsError> {
        let digest = Hash::of(bearer.as_bytes());
        if self.is_admitted(issuer, &digest) {
            return Ok(());
        }
        let _one = self.fetching.try_acquire().map_err(|_| ClaimsError::Busy)?;
        let checked = tokio::time::timeout(CHECK_LIMIT, self.check(issuer, bearer, digest)).await;
        checked.map_err(|_| ClaimsError::TooLong)?
    }

    fn is_admitted(&self, issuer: &Did, digest: &Hash) -> bool {
        let (memory, at) = (self.memory(), now().as_seconds());
        memory.tokens.get(digest).is_some_and(|until| at < *until)
            && memory.held.get(issuer.as_str()).is_some_and(|held| at < held.until)
    }

    async fn check(&self, issuer: &Did, bearer: &str, digest: Hash) -> Result<(), ClaimsError> {
        let document = self.resolve(issuer).await?;
        let claims = self.verify_token(&document, bearer)?;
        let access = claims.token.clone().ok_or(ClaimsError::NoAccessToken)?;
        self.memory().first_or_same(&claims, digest)?;
        let credentials = self.presented(&document, access).await?;
        let at = now().as_seconds();
        let ends = credentials.iter().filter_map(|c| c.valid_until);
        let until = ends.min().unwrap_or(i64::MAX).min(at.saturating_add(HELD_SECONDS));
        let credentials = credentials.iter().map(for_policies).collect();
        self.memory().hold(issuer.as_str(), Held { credentials, until }, at);
        Ok(())
    }

    /// Who made a token, after everything about it was checked, and its document. Each token is good for
    /// one request.
    pub(super) async fn sender(&self, bearer: &str) -> Result<(TokenClaims, DidDocument), ClaimsError> {
        let issuer = token::peek_issuer(bearer)?;
        let _one = self.fetching.try_acquire().map_err(|_| ClaimsError::Busy)?;
        let document = tokio::time::timeout(CHECK_LIMIT, self.resolve(&issuer)).await;
        let document = document.map_err(|_| ClaimsError::TooLong)??;
        let claims = self.verify_token(&document, bearer)?;
        let until = claims.exp.saturating_add(LEEWAY_SECONDS);
        self.memory().seen.admit(issuer.as_str(), &claims.jti, until, now().as_seconds())?;
        Ok((claims, document))
    }

    /// Verifies a token of the participant whose document this is.
    pub(super) fn verify_token(
        &self,
        document: &DidDocument,
        bearer: &str,
    ) -> Result<TokenClaims, ClaimsError> {
        let keys = self.keys(document, Relationship::CapabilityInvocation)?;
        Ok(token::verify(bearer, &keys, self.did.as_str(), now(), LEEWAY_SECONDS)?)
    }

    /// The keys that a document names for a purpose.
    pub(super) fn keys(
        &self,
        document: &DidDocument,
        relationship: Relationship,
    ) -> Result<Vec<VerificationKey>, DidDocumentError> {
        if self.config.plain_loopback && did::is_loopback(document.did()) {
            return document.keys_of_test(relationship);
        }
        document.keys(relationship)
    }

    /// Asks a participant for what is required and checks what it shows.
    async fn presented(&self, holder: &DidDocument, access: String) -> Result<Vec<Credential>, ClaimsError> {
        let address = format!("{}/presentations/query", holder.service(CREDENTIAL_SERVICE)?);
        let url = Url::parse(&address).map_err(|e| ClaimsError::Address(e.to_string()))?;
        let scopes: Vec<String> = self.config.required.iter().map(|t| Scope::of_type(t)).collect();
        let token = self.self_issued(holder.did().as_str(), Some(access)).map_err(ClaimsError::Own)?;
        let request = self.outbound.request(http::Method::POST, Target::Stranger(&url))?;
        let request = request
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(query::message(&scopes).to_string());
        let response = request.send().await.map_err(|e| failure(&url, &e))?;
        if !response.status().is_success() {
            return Err(ClaimsError::Answer(response.status().as_u16()));
        }
        let body = read_limited(response, RESPONSE_BYTES_MAX).await?;
        let keys = self.keys(holder, Relationship::Authentication)?;
        let mut found = Vec::new();
        for jwt in query::read_response(&body)? {
            let me = self.did.as_str();
            let shown = presentation::verify(&jwt, &keys, holder.did(), me, now(), LEEWAY_SECONDS)?;
            let mut of_one = Vec::new();
            for credential in shown {
                of_one.extend(self.credential(&credential, holder.did()).await?);
            }
            if let Some((a, b)) =
                of_one.iter().zip(of_one.iter().skip(1)).find(|(a, b)| a.profile != b.profile)
            {
                return Err(ClaimsError::MixedProfiles(a.profile.name(), b.profile.name()));
            }
            found.extend(of_one);
        }
        let missing = self.config.required.iter().find(|t| !found.iter().any(|c| c.types.contains(t)));
        missing.map_or(Ok(found), |kind| Err(ClaimsError::Missing(kind.clone())))
    }

    /// Checks one credential. One of a type that nobody is trusted for here says nothing to us: it is
    /// left out, and nothing is fetched for it.
    async fn credential(&self, jwt: &str, holder: &Did) -> Result<Option<Credential>, ClaimsError> {
        let (issuer, types) = credential::peek(jwt)?;
        let mut wanted = false;
        for kind in &types {
            match self.config.issuers.get(kind) {
                Some(trusted) if trusted.contains(&issuer) => wanted = true,
                Some(_) => return Err(ClaimsError::Untrusted { issuer, kind: kind.clone() }),
                None => {}
            }
        }
        if !wanted {
            return Ok(None);
        }
        let keys = self.keys(&self.resolve(&issuer).await?, Relationship::AssertionMethod)?;
        let found = credential::verify(jwt, &keys, Some(holder), now(), LEEWAY_SECONDS)?;
        for entry in &found.status {
            let list = self.fetch(&entry.list, LIST_BYTES_MAX).await?;
            let list = String::from_utf8_lossy(&list);
            status::check(entry, &issuer, &list, &keys, now(), LEEWAY_SECONDS)?;
        }
        for address in &found.schemas {
            let bytes = self.fetch(address, SCHEMA_BYTES_MAX).await?;
            let rules = hiwar_claims::json::object(&bytes, SCHEMA_BYTES_MAX).map_err(QueryError::from)?;
            let rules = Value::Object(rules);
            for subject in &found.subjects {
                schema::check(&Value::Object(subject.clone()), &rules)?;
            }
        }
        Ok(Some(found))
    }
}

impl Memory {
    /// A token's name is good for one token. The same token may come again: DSP repeats it.
    fn first_or_same(&mut self, claims: &TokenClaims, digest: Hash) -> Result<(), ReplayError> {
        let at = now().as_seconds();
        if self.tokens.get(&digest).is_some_and(|until| at < *until) {
            return Ok(());
        }
        let until = claims.exp.saturating_add(LEEWAY_SECONDS);
        self.seen.admit(claims.iss.as_str(), &claims.jti, until, at)?;
        if self.tokens.len() >= REMEMBERED_MAX {
            self.tokens.retain(|_, until| at < *until);
        }
        if self.tokens.len() < REMEMBERED_MAX {
            self.tokens.insert(digest, until);
        }
        Ok(())
    }

    fn hold(&mut self, did: &str, held: Held, at: i64) {
        if self.held.len() >= REMEMBERED_MAX {
            self.held.retain(|_, held| at < held.until);
        }
        if self.held.len() >= REMEMBERED_MAX {
            self.held.clear();
        }
        self.held.insert(did.to_owned(), held);
    }
}

/// A credential as policies see it.
fn for_policies(credential: &Credential) -> policy::Credential {
    let mut claims = Vec::new();
    for subject in &credential.subjects {
        for (name, value) in subject {
            flatten(name, value, &mut claims);
        }
    }
    policy::Credential { types: credential.types.clone(), claims }
}

fn flatten(name: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                flatten(&format!("{name}.{member}"), value, into);
            }
        }
        Value::Array(all) => all.iter().for_each(|value| flatten(name, value, into)),
        Value::String(text) => into.push((name.to_owned(), text.clone())),
        Value::Null => {}
        other => into.push((name.to_owned(), other.to_string())),
    }
}
