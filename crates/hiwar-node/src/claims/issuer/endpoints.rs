//! The addresses of the Issuer Service (DCP 1.0, sections 6.4, 6.7 and 6.8), and of what everybody may
//! read of an issuer.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hiwar_claims::issuance::metadata;
use hiwar_claims::issuance::request::{self, REQUEST_BYTES_MAX};
use hiwar_claims::issuance::state::{CredentialStatus, RequestState};
use hiwar_claims::token::{self, LEEWAY_SECONDS};
use hiwar_dataspace::connector::{Refusal, RefusalKind};
use hiwar_dialogue::ledger::Standing;
use hiwar_store::dataspace::{Issuance, IssuanceState, Tx, Wanted};
use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;
use serde_json::json;

use super::config::PEERS;
use super::{DAY_MS, PATH, Terms, lists, new_id};
use crate::claims::Claims;
use crate::claims::verifier::ClaimsError;
use crate::clock::now;
use crate::node::Shared;

/// Most requests of one holder within a day.
const HOLDER_DAY_MAX: u32 = 256;
/// Most requests of one holder, and of all, that wait for a person.
const WAITING_OF_HOLDER_MAX: u32 = 16;
const WAITING_MAX: u32 = 1000;

/// The addresses of the Issuer Service.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route(&format!("{PATH}/credentials"), post(ask))
        .route(&format!("{PATH}/requests/{{id}}"), get(status))
        .route(&format!("{PATH}/metadata"), get(offers))
        .route(&format!("{PATH}/status/{{number}}"), get(lists::show))
        .route(&format!("{PATH}/schemas/{{kind}}"), get(schema))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(shared)
}

/// A request that is not served.
struct Unserved(StatusCode, String);

impl IntoResponse for Unserved {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.1 }).to_string();
        (self.0, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

impl From<ClaimsError> for Unserved {
    fn from(error: ClaimsError) -> Self {
        let status = match error {
            ClaimsError::Busy => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        };
        Self(status, error.to_string())
    }
}

impl From<Refusal> for Unserved {
    fn from(refusal: Refusal) -> Self {
        let status = match (refusal.kind, refusal.code) {
            (_, "token-used") => StatusCode::UNAUTHORIZED,
            (_, "too-many") => StatusCode::TOO_MANY_REQUESTS,
            (RefusalKind::BadRequest, _) => StatusCode::BAD_REQUEST,
            (RefusalKind::NotFound, _) => StatusCode::NOT_FOUND,
            (RefusalKind::Failed, _) => {
                tracing::error!(reason = refusal.reason, "a request for credentials failed");
                return Self(StatusCode::INTERNAL_SERVER_ERROR, "the request cannot be kept".into());
            }
        };
        Self(status, refusal.reason)
    }
}

/// Our part, when credentials are issued here.
fn issuing(shared: &Shared) -> Result<Arc<Claims>, Unserved> {
    let claims = shared.dataspace().claims.clone().filter(|claims| !claims.issuer_config().is_off());
    claims.ok_or_else(|| Unserved(StatusCode::NOT_FOUND, "this node issues no credentials".into()))
}

fn bearer(headers: &HeaderMap) -> Result<&str, Unserved> {
    let header = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let token = header.strip_prefix("Bearer ").map(str::trim);
    token.ok_or_else(|| {
        let rule = "the header Authorization must be \"Bearer \" and a self-issued token";
        Unserved(StatusCode::UNAUTHORIZED, rule.into())
    })
}

/// Whether the rules give everything that is wanted to a holder without a person.
async fn is_automatic(shared: &Shared, claims: &Claims, holder: &Did, wanted: &[Wanted]) -> bool {
    let rules: Vec<&Vec<String>> = wanted
        .iter()
        .filter_map(|w| claims.issuer_config().types.get(&w.kind).map(|offered| &offered.automatic))
        .collect();
    let named = |rule: &Vec<String>| rule.iter().any(|who| who == holder.as_str());
    if rules.len() == wanted.len() && rules.iter().all(|rule| named(rule)) {
        return true;
    }
    let is_peers = |rule: &Vec<String>| rule.iter().any(|who| who == PEERS);
    if rules.len() != wanted.len() || !rules.iter().all(|rule| named(rule) || is_peers(rule)) {
        return false;
    }
    let did = holder.clone();
    let dealt_with = shared.writer.query(move |engine, _| {
        let found = engine.peer_statuses();
        found.iter().any(|peer| peer.record.did == did && peer.record.standing == Standing::Active)
    });
    dealt_with.await.unwrap_or(false)
}

/// `POST …/credentials`
async fn ask(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Unserved> {
    let claims = issuing(&shared)?;
    let bearer = bearer(&headers)?;
    // What costs nothing comes first: nothing is fetched for a request that cannot be served.
    let bad = |problem: String| Unserved(StatusCode::BAD_REQUEST, problem);
    let asked = request::read(&body).map_err(|e| bad(e.to_string()))?;
    let mut wanted = Vec::new();
    for id in &asked.credentials {
        wanted.push(claims.wanted(id).ok_or_else(|| {
            let id: String = id.chars().take(200).collect();
            bad(format!("the credential object {id:?} is not in the metadata; GET {PATH}/metadata lists those there are"))
        })?);
    }
    let (token, _) = claims.sender(bearer).await?;
    let automatic = is_automatic(&shared, &claims, &token.iss, &wanted).await;
    let at = now();
    let holder = token.iss.as_str().to_owned();
    let mut issuance = Issuance {
        holder_pid: Some(asked.holder_pid),
        access: token.token.clone(),
        ..Issuance::new(new_id()?, holder, wanted, at)
    };
    let place = format!("{}/requests/{}", claims.issuer_address(), issuance.id);
    let maker = claims.clone();
    let kept = shared.dataspace().desk.run(move |tx| {
        let until = token.exp.saturating_add(LEEWAY_SECONDS);
        if !tx.take_token(token.iss.as_str(), &token.jti, until, at.as_seconds())? {
            return Err(Refusal::bad("token-used", "the token was used before; make a new one"));
        }
        admit(tx, &issuance.holder, automatic, at)?;
        if automatic {
            maker.issue(tx, &mut issuance, &Terms::default(), at)?;
        } else {
            tx.put_issuance(&issuance)?;
        }
        Ok(())
    });
    kept.await?;
    claims.wake_issuer();
    Ok((StatusCode::CREATED, [(header::LOCATION, place)]).into_response())
}

/// Bounds what one holder, and what all strangers together, can make this node keep.
fn admit(tx: &Tx<'_>, holder: &str, automatic: bool, at: Timestamp) -> Result<(), Refusal> {
    if tx.issuances_since(holder, at.plus_millis(-DAY_MS))? >= HOLDER_DAY_MAX {
        let rule = format!("at most {HOLDER_DAY_MAX} requests of one participant are taken within a day");
        return Err(Refusal::bad("too-many", rule));
    }
    if automatic {
        return Ok(());
    }
    let (all, own) = tx.issuances_waiting(holder)?;
    if own >= WAITING_OF_HOLDER_MAX {
        let rule = format!("{own} requests of yours wait for a decision; wait for them");
        return Err(Refusal::bad("too-many", rule));
    }
    if all >= WAITING_MAX {
        return Err(Refusal::bad("too-many", "too many requests wait for a decision; try again later"));
    }
    Ok(())
}

/// `GET …/requests/{id}`, for who asked only. To everybody else it is as if there were none.
async fn status(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Unserved> {
    let claims = issuing(&shared)?;
    let bearer = bearer(&headers)?;
    let none = || Unserved(StatusCode::NOT_FOUND, "there is no such request of yours".into());
    let said = token::peek_issuer(bearer).map_err(ClaimsError::from)?;
    let found = shared.dataspace().read(move |reader| reader.issuance(&id)).await;
    let found = found.map_err(|e| Unserved(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    // Nothing is fetched for a request that there is not.
    let issuance = found.filter(|issuance| issuance.holder == said.as_str()).ok_or_else(none)?;
    let holder_pid = issuance.holder_pid.ok_or_else(none)?;
    claims.sender(bearer).await?;
    let state = match issuance.state {
        IssuanceState::Waiting => RequestState::Received,
        IssuanceState::Issued => RequestState::Issued,
        IssuanceState::Refused => RequestState::Rejected,
    };
    let status = CredentialStatus { issuer_pid: issuance.id, holder_pid, state };
    let kept = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    Ok((kept, status.to_json().to_string()).into_response())
}

/// `GET …/metadata`, for everybody.
async fn offers(State(shared): State<Arc<Shared>>) -> Result<Response, Unserved> {
    let claims = issuing(&shared)?;
    let body = metadata::to_json(claims.did(), &claims.offered()).to_string();
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// `GET …/schemas/{kind}`, for everybody.
async fn schema(State(shared): State<Arc<Shared>>, Path(kind): Path<String>) -> Result<Response, Unserved> {
    let schema = issuing(&shared)?.own_schema(&kind);
    let schema =
        schema.ok_or_else(|| Unserved(StatusCode::NOT_FOUND, "there is no such schema here".into()))?;
    Ok(([(header::CONTENT_TYPE, "application/schema+json")], schema.to_string()).into_response())
}
