//! The holder: our credentials, shown to those whom we gave an access token (DCP 1.0, section 5.4).

use std::fs;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hiwar_claims::credential::{CREDENTIAL_BYTES_MAX, Profile};
use hiwar_claims::jws;
use hiwar_claims::presentation::{self, CREDENTIALS_MAX};
use hiwar_claims::query::{self, QUERY_BYTES_MAX, QueryError, Scope};
use hiwar_claims::token::{self, LEEWAY_SECONDS};
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use serde_json::{Value, json};

use super::verifier::ClaimsError;
use super::{Claims, LIFETIME_SECONDS, PATH};
use crate::clock::{now, random};
use crate::node::Shared;

/// The addresses of our Credential Service.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route(&format!("{PATH}/presentations/query"), post(presentation_query))
        .layer(DefaultBodyLimit::max(QUERY_BYTES_MAX))
        .with_state(shared)
}

fn refused(status: StatusCode, reason: &str) -> Response {
    let body = json!({ "error": reason }).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn presentation_query(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(claims) = shared.dataspace().claims.clone() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let verifier = match claims.asked_by(&headers).await {
        Ok(verifier) => verifier,
        Err(error) => return refused(StatusCode::UNAUTHORIZED, &error.to_string()),
    };
    let scopes = match query::read(&body) {
        Ok(scopes) => scopes,
        Err(error @ QueryError::Definition) => {
            return refused(StatusCode::NOT_IMPLEMENTED, &error.to_string());
        }
        Err(error) => return refused(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let shown = tokio::task::spawn_blocking(move || claims.presentations(&scopes, &verifier)).await;
    match shown.map_err(|e| e.to_string()).and_then(|shown| shown) {
        Ok(shown) => {
            let body = query::response(&shown).to_string();
            (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        Err(problem) => {
            tracing::error!(problem, "our credentials cannot be shown");
            refused(StatusCode::INTERNAL_SERVER_ERROR, "the credentials cannot be read")
        }
    }
}

impl Claims {
    /// Who asks, if we gave it an access token. Each token is good for one request.
    async fn asked_by(&self, headers: &HeaderMap) -> Result<Did, ClaimsError> {
        let header = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let bearer = header.strip_prefix("Bearer ").map(str::trim);
        let bearer = bearer.ok_or_else(|| {
            ClaimsError::Own("the header Authorization must be \"Bearer \" and a token".into())
        })?;
        let issuer = token::peek_issuer(bearer)?;
        // Only whom we gave a token is resolved: a stranger cannot make this node fetch anything here.
        let known = self.memory().access.values().any(|(whose, _)| whose == issuer.as_str());
        let unknown = || ClaimsError::Own("the access token is not one of ours for you, or it ended".into());
        if !known {
            return Err(unknown());
        }
        let _one = self.fetching.try_acquire().map_err(|_| ClaimsError::Busy)?;
        let claims = self.verify_token(&self.resolve(&issuer).await?, bearer)?;
        let at = now().as_seconds();
        let until = claims.exp.saturating_add(LEEWAY_SECONDS);
        let mut memory = self.memory();
        memory.seen.admit(issuer.as_str(), &claims.jti, until, at)?;
        let access = claims.token.as_deref().ok_or(ClaimsError::NoAccessToken)?;
        match memory.access.get(&Hash::of(access.as_bytes())) {
            Some((whose, until)) if whose == issuer.as_str() && at < *until => Ok(issuer),
            _ => Err(unknown()),
        }
    }

    /// One presentation for each profile of the credentials that are asked for and may be shown.
    fn presentations(&self, scopes: &[Scope], verifier: &Did) -> Result<Vec<String>, String> {
        let mut by_profile = [(Profile::Vc20, Vec::new()), (Profile::Vc11, Vec::new())];
        for (profile, jwt) in self.own(scopes)? {
            for (_, held) in by_profile.iter_mut().filter(|(p, _)| *p == profile) {
                if held.len() < CREDENTIALS_MAX {
                    held.push(jwt.clone());
                }
            }
        }
        let [first, second] = by_profile;
        // Somebody who may see nothing gets a presentation of nothing.
        let shown = if second.1.is_empty() {
            vec![first]
        } else if first.1.is_empty() {
            vec![second]
        } else {
            vec![first, second]
        };
        let mut presentations = Vec::new();
        for (profile, credentials) in shown {
            let jti = hex::encode(random::<16>().map_err(|e| e.to_string())?);
            let seconds = LIFETIME_SECONDS;
            let claims = presentation::claims(
                profile,
                &credentials,
                &self.did,
                verifier.as_str(),
                &jti,
                now(),
                seconds,
            );
            let signed = self.key.sign(&claims, presentation::kind(profile), &self.kid());
            presentations.push(signed.map_err(|e| e.to_string())?);
        }
        Ok(presentations)
    }

    /// Our credentials that are asked for and may be shown.
    fn own(&self, scopes: &[Scope]) -> Result<Vec<(Profile, String)>, String> {
        let mut found = Vec::new();
        let files = match fs::read_dir(&self.folder) {
            Ok(files) => files,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(found),
            Err(e) => return Err(format!("{} cannot be read: {e}", self.folder.display())),
        };
        let mut paths: Vec<_> = files.flatten().map(|f| f.path()).collect();
        paths.retain(|p| p.extension().is_some_and(|e| e == "jwt"));
        paths.sort();
        for path in paths {
            let text =
                fs::read_to_string(&path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
            let jwt = text.trim();
            let read =
                jws::read(jwt, CREDENTIAL_BYTES_MAX).map_err(|e| format!("{}: {e}", path.display()))?;
            let (profile, credential) = match read.claims().get("vc") {
                Some(Value::Object(vc)) => (Profile::Vc11, vc),
                _ => (Profile::Vc20, read.claims()),
            };
            if self.is_wanted(credential, scopes) {
                found.push((profile, jwt.to_owned()));
            }
        }
        Ok(found)
    }

    fn is_wanted(&self, credential: &serde_json::Map<String, Value>, scopes: &[Scope]) -> bool {
        let is_of = |kind: &str| match credential.get("type") {
            Some(Value::String(one)) => one == kind,
            Some(Value::Array(all)) => all.iter().any(|t| t.as_str() == Some(kind)),
            _ => false,
        };
        let asked = scopes.iter().any(|scope| match scope {
            Scope::Type(kind) => is_of(kind),
            Scope::Id(id) => credential.get("id").and_then(Value::as_str) == Some(id),
        });
        asked && self.config.present.iter().any(|kind| is_of(kind))
    }
}
