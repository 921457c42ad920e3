//! Credentials about this participant: those it holds, those it asked for, those it was offered; and
//! tokens that speak for it.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use hiwar_claims::query::Scope;
use hiwar_trust::did::Did;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiError, By, body, must_be_operator};
use crate::claims::{AskError, Claims, ImportError, LIFETIME_SECONDS, Wanted};
use crate::clock::now;
use crate::desks::Caller;
use crate::node::Shared;

/// Most bytes of a form that asks for a token.
const FORM_BYTES_MAX: usize = 8 * 1024;

fn claims(shared: &Shared) -> Result<Arc<Claims>, ApiError> {
    shared.dataspace().claims.clone().ok_or_else(|| {
        ApiError::new(
            StatusCode::CONFLICT,
            "claims-off",
            "credentials are not in use on this node; add a table [claims] with present = [\"MembershipCredential\"] to hiwar.toml and start it again",
        )
    })
}

/// `GET /api/v1/claims/credentials`
pub(super) async fn credentials(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, ApiError> {
    let claims = claims(&shared)?;
    let held = tokio::task::spawn_blocking(move || claims.held()).await.map_err(ApiError::internal)?;
    let at = now().as_seconds();
    let held: Vec<Value> = held
        .map_err(ApiError::internal)?
        .iter()
        .map(|(held, shown)| {
            json!({
                "name": held.name, "issuer": held.outline.issuer, "types": held.outline.types,
                "id": held.outline.id, "profile": held.outline.profile.name(), "from": held.outline.from,
                "until": held.outline.until, "holds": held.outline.holds_at(at), "shown": shown,
            })
        })
        .collect();
    Ok(Json(json!({ "credentials": held })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Import {
    credential: String,
}

/// `POST /api/v1/claims/credentials`
pub(super) async fn import(
    State(shared): State<Arc<Shared>>,
    caller: By,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let brought: Import = body(&bytes)?;
    let kept = claims(&shared)?.import(brought.credential.trim()).await;
    match kept {
        Ok(name) => Ok(Json(json!({ "name": name }))),
        Err(error @ ImportError::Issuer(_)) => Err(ApiError::new(StatusCode::BAD_GATEWAY, "issuer", error)),
        Err(error @ ImportError::Credential(_)) => {
            Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "credential", error))
        }
        Err(error) => Err(ApiError::internal(error)),
    }
}

/// `GET /api/v1/claims/offered`
pub(super) async fn offers(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({ "offers": claims(&shared)?.offers() })))
}

/// `GET /api/v1/claims/requests`
pub(super) async fn requests(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({ "requests": claims(&shared)?.requests() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asking {
    issuer: Did,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    profile: Option<String>,
}

/// `POST /api/v1/claims/requests`
pub(super) async fn ask(
    State(shared): State<Arc<Shared>>,
    caller: By,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let Asking { issuer, kind, profile } = body(&bytes)?;
    let asked = claims(&shared)?.ask(Wanted { issuer, kind, profile, offered: None }).await;
    match asked {
        Ok(asked) => Ok(Json(json!(asked))),
        Err(error @ AskError::NotOffered { .. }) => {
            Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "not-offered", error))
        }
        Err(error @ (AskError::Claims(_) | AskError::Metadata { .. })) => {
            Err(ApiError::new(StatusCode::BAD_GATEWAY, "issuer", error))
        }
        Err(error) => Err(ApiError::internal(error)),
    }
}

/// What a client asks of the Secure Token Service (RFC 6749, section 4.4, and DCP 1.0, section 4.3.2).
#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenForm {
    grant_type: String,
    client_id: String,
    client_secret: String,
    audience: String,
    bearer_access_scope: Option<String>,
    token: Option<String>,
}

fn token_error(status: StatusCode, error: &str, description: &str) -> Response {
    let body = json!({ "error": error, "error_description": description });
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// `POST /api/v1/claims/token`: the Secure Token Service. The client names itself in the form: as
/// `operator` with the operator's token, or as one of `claims.token_desks` with that desk's token.
pub(super) async fn token(State(shared): State<Arc<Shared>>, bytes: Bytes) -> Response {
    let invalid = |what: &str| token_error(StatusCode::BAD_REQUEST, "invalid_request", what);
    let form = std::str::from_utf8(&bytes).ok().filter(|text| text.len() <= FORM_BYTES_MAX);
    let form = form.and_then(|text| format!("/?{text}").parse::<Uri>().ok());
    let form = form.and_then(|uri| Query::<TokenForm>::try_from_uri(&uri).ok()).map(|form| form.0);
    let form = form.unwrap_or_default();
    let may = match shared.desks.caller(&form.client_secret) {
        Some(Caller::Operator) => form.client_id == "operator",
        Some(Caller::Desk(desk)) => {
            desk == form.client_id && shared.config.claims.token_desks.contains(&desk)
        }
        None => false,
    };
    if !may {
        let how = "send a form with client_id=operator and the operator's token as client_secret, or a desk of claims.token_desks with its token";
        return token_error(StatusCode::UNAUTHORIZED, "invalid_client", how);
    }
    let Some(claims) = shared.dataspace().claims.clone() else {
        return invalid("credentials are not in use on this node; add a table [claims] to hiwar.toml");
    };
    if form.grant_type != "client_credentials" {
        return token_error(StatusCode::BAD_REQUEST, "unsupported_grant_type", "use client_credentials");
    }
    let Ok(audience) = form.audience.parse::<Did>() else {
        return invalid("audience must be a DID of the method did:web");
    };
    let scopes = match Scope::read_list(form.bearer_access_scope.as_deref().unwrap_or_default()) {
        Ok(scopes) => scopes,
        Err(error) => return token_error(StatusCode::BAD_REQUEST, "invalid_scope", &error.to_string()),
    };
    if let Some(kind) = claims.never_shown(&scopes) {
        let how = format!("{kind:?} is shown to nobody; add it to claims.present in hiwar.toml");
        return token_error(StatusCode::BAD_REQUEST, "invalid_scope", &how);
    }
    let made = match form.token {
        Some(_) if !scopes.is_empty() => return invalid("token excludes bearer_access_scope"),
        Some(access) => claims.token_around(&audience, access),
        None => claims.token_with(&audience, scopes),
    };
    match made {
        Ok(token) => {
            let body =
                json!({ "access_token": token, "token_type": "Bearer", "expires_in": LIFETIME_SECONDS });
            ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
        }
        Err(problem) => token_error(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", &problem),
    }
}
