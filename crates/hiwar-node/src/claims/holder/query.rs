//! Showing our credentials to those whom we gave an access token (DCP 1.0, section 5.4).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hiwar_claims::credential::Profile;
use hiwar_claims::presentation::{self, CREDENTIALS_MAX};
use hiwar_claims::query::{self, QueryError, Scope};
use hiwar_trust::did::Did;

use super::access::Access;
use super::{Refusal, claims_of, in_time};
use crate::claims::verifier::ClaimsError;
use crate::claims::{Claims, LIFETIME_SECONDS};
use crate::clock::{now, random};
use crate::node::Shared;

const NOT_OURS: &str = "the access token is not one of ours for you, or it ended";

/// `POST /presentations/query`
pub(super) async fn presentation_query(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match in_time(answer(&shared, &headers, &body)).await {
        Ok(shown) => {
            let body = query::response(&shown).to_string();
            (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

async fn answer(shared: &Shared, headers: &HeaderMap, body: &[u8]) -> Result<Vec<String>, Refusal> {
    let claims = claims_of(shared)?;
    let (token, _) = claims.known_sender(headers, |who| claims.gave_access_to(who), NOT_OURS).await?;
    let access = token.token.as_deref().ok_or(ClaimsError::NoAccessToken)?;
    let access = claims.access_of(&token.iss, access);
    let access = access.ok_or_else(|| Refusal::new(StatusCode::UNAUTHORIZED, NOT_OURS))?;
    let asked = query::read(body).map_err(|error| match error {
        QueryError::Definition => Refusal::new(StatusCode::NOT_IMPLEMENTED, error),
        error => Refusal::bad_request(error),
    })?;
    let is_beyond = |granted: &Vec<Scope>| asked.iter().any(|scope| !granted.contains(scope));
    if claims.refuses_beyond_scopes && access.scopes.as_ref().is_some_and(is_beyond) {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "the access token does not reach that far"));
    }
    let shown = tokio::task::spawn_blocking(move || claims.presentations(&asked, &access, &token.iss)).await;
    shown.map_err(|e| e.to_string()).and_then(|shown| shown).map_err(Refusal::internal)
}

impl Claims {
    /// One presentation for each profile of the credentials that are asked for and may be shown, the
    /// newest first when there are more than fit.
    fn presentations(&self, asked: &[Scope], access: &Access, verifier: &Did) -> Result<Vec<String>, String> {
        let at = now().as_seconds();
        let (mut vc20, mut vc11) = (Vec::new(), Vec::new());
        for held in self.kept.credentials()? {
            let is_in = |scopes: &[Scope]| scopes.iter().any(|scope| held.outline.is_in(scope));
            let is_given = access.scopes.as_deref().is_none_or(is_in);
            let is_shown = held.outline.types.iter().any(|kind| self.config.present.contains(kind));
            if !(is_in(asked) && is_given && is_shown && held.outline.holds_at(at)) {
                continue;
            }
            let of_profile = match held.outline.profile {
                Profile::Vc20 => &mut vc20,
                Profile::Vc11 => &mut vc11,
            };
            if of_profile.len() < CREDENTIALS_MAX {
                of_profile.push(held.jwt);
            }
        }
        let mut shown = vec![(Profile::Vc20, vc20), (Profile::Vc11, vc11)];
        shown.retain(|(_, credentials)| !credentials.is_empty());
        if shown.is_empty() {
            // Somebody who may see nothing gets a presentation of nothing.
            shown.push((Profile::Vc20, Vec::new()));
        }
        shown
            .iter()
            .map(|(profile, credentials)| self.presentation(*profile, credentials, verifier))
            .collect()
    }

    fn presentation(
        &self,
        profile: Profile,
        credentials: &[String],
        verifier: &Did,
    ) -> Result<String, String> {
        let jti = hex::encode(random::<16>().map_err(|e| e.to_string())?);
        let audience = verifier.as_str();
        let claims =
            presentation::claims(profile, credentials, &self.did, audience, &jti, now(), LIFETIME_SECONDS);
        let signed = self.key.sign(&claims, presentation::kind(profile), &self.kid());
        signed.map_err(|e| e.to_string())
    }
}
