//! The issuer for operators: who asked for credentials, what was issued, and taking it back.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use hiwar_dataspace::connector::{Refusal, RefusalKind};
use hiwar_store::dataspace::{Issuance, IssuanceState, IssuedCredential, Tx, Wanted};
use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{ApiError, By, must_be_operator};
use crate::claims::Claims;
use crate::claims::issuer::{self, DAY_MS, Terms, new_id};
use crate::clock::now;
use crate::node::Shared;

/// Rows in one answer.
const LISTED_MAX: usize = 1000;
/// The most characters of a reason.
const REASON_CHARS_MAX: usize = 500;

fn claims(shared: &Shared) -> Result<Arc<Claims>, ApiError> {
    shared.dataspace().claims.clone().ok_or_else(|| {
        ApiError::new(
            StatusCode::CONFLICT,
            "no-issuer",
            "this node issues no credentials; name a type below [claims.issuer.types] in hiwar.toml and start it again",
        )
    })
}

/// A body that may be left out.
fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, ApiError> {
    super::body(if bytes.is_empty() { b"{}" } else { bytes })
}

fn did(text: &str) -> Result<Did, ApiError> {
    text.parse().map_err(|e| ApiError::bad_request(format!("holder: {e}")))
}

fn reason(given: Option<String>) -> Result<Option<String>, ApiError> {
    match given.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()) {
        Some(text) if text.chars().count() > REASON_CHARS_MAX => {
            Err(ApiError::bad_request(format!("reason: at most {REASON_CHARS_MAX} characters")))
        }
        text => Ok(text),
    }
}

/// A day (the credential holds to its end, in UTC) or a time.
fn until(text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let time = |text: &str| {
        text.parse::<jiff::Timestamp>().ok().map(|at| Timestamp::from_millis(at.as_millisecond()))
    };
    let at = match text.len() {
        10 => time(&format!("{text}T00:00:00Z")).map(|day| day.plus_millis(DAY_MS)),
        _ => time(text),
    };
    let wrong = || {
        ApiError::bad_request("until: write a day such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z")
    };
    at.map(Some).ok_or_else(wrong)
}

fn credential_json(credential: &IssuedCredential) -> Value {
    json!({
        "id": credential.id,
        "issuance": credential.issuance,
        "holder": credential.holder,
        "type": credential.kind,
        "profile": credential.profile,
        "issued": credential.issued,
        "until": credential.until,
        "revoked": credential.revoked,
        "reason": credential.reason,
        "status_list": credential.list,
        "place": credential.place,
    })
}

fn issuance_json(issuance: &Issuance) -> Value {
    let told = match (issuance.state, issuance.delivered, issuance.due) {
        (IssuanceState::Waiting, ..) => "no",
        (_, Some(_), _) => "delivered",
        (_, None, Some(_)) => "trying",
        (_, None, None) if issuance.problem.is_some() => "given-up",
        (_, None, None) => "by-hand",
    };
    json!({
        "id": issuance.id,
        "holder": issuance.holder,
        "wanted": issuance.wanted.iter().map(|w| json!({ "type": w.kind, "profile": w.profile })).collect::<Vec<_>>(),
        "state": issuance.state.as_str(),
        "asked": issuance.holder_pid.is_some(),
        "reason": issuance.reason,
        "created": issuance.created,
        "delivery": {
            "state": told, "attempts": issuance.attempts, "next": issuance.due,
            "delivered": issuance.delivered, "problem": issuance.problem,
        },
    })
}

/// `GET /api/v1/claims/issuances`: requests of others, and what was issued unasked, newest first.
pub(super) async fn issuances(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, ApiError> {
    let found = shared.dataspace().read(|reader| reader.issuances(LISTED_MAX)).await?;
    Ok(Json(json!({ "issuances": found.iter().map(issuance_json).collect::<Vec<_>>() })))
}

/// `GET /api/v1/claims/issued`: credentials that were issued, newest first.
pub(super) async fn issued(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, ApiError> {
    let found = shared.dataspace().read(|reader| reader.issued(LISTED_MAX)).await?;
    Ok(Json(json!({ "issued": found.iter().map(credential_json).collect::<Vec<_>>() })))
}

/// What is issued to whom.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Issuing {
    holder: String,
    #[serde(rename = "type")]
    kind: String,
    profile: Option<String>,
    #[serde(default)]
    claims: Map<String, Value>,
    until: Option<String>,
    /// Whether it is brought to the holder. If not, the answer is handed over by hand.
    #[serde(default = "yes")]
    deliver: bool,
}

fn yes() -> bool {
    true
}

/// `POST /api/v1/claims/issued`: issue a credential that nobody asked for over the network.
pub(super) async fn issue(
    State(shared): State<Arc<Shared>>,
    caller: By,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let claims = claims(&shared)?;
    let asked: Issuing = body(&bytes)?;
    let offered = claims.offered_as(&asked.kind, asked.profile.as_deref());
    let offered = offered.map_err(|e| ApiError::new(StatusCode::CONFLICT, "not-offered", e))?;
    let terms = Terms { claims: asked.claims, until: until(asked.until.as_deref())? };
    let at = now();
    let holder = did(&asked.holder)?.as_str().to_owned();
    let wanted = vec![Wanted { kind: offered.kind, profile: offered.profile }];
    let mut issuance = Issuance::new(new_id()?, holder, wanted, at);
    let (maker, deliver) = (claims.clone(), asked.deliver);
    let made = shared.dataspace().desk.run(move |tx| {
        let made = maker.issue(tx, &mut issuance, &terms, at)?;
        if !deliver {
            issuance.due = None;
            tx.put_issuance(&issuance)?;
        }
        Ok(made)
    });
    let made = made.await?;
    claims.wake_issuer();
    let made = made.first().ok_or_else(|| ApiError::internal("no credential was made"))?;
    let mut answer = credential_json(made);
    if let Some(members) = answer.as_object_mut() {
        members.insert("credential".into(), json!(made.jwt));
    }
    Ok(Json(answer))
}

/// Why something is done.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Because {
    reason: Option<String>,
}

fn none(what: &str, id: &str) -> Refusal {
    Refusal::new(RefusalKind::NotFound, "not-found", format!("there is no {what} {id:?}"))
}

/// `POST /api/v1/claims/issued/{id}/revoke`
pub(super) async fn revoke(
    State(shared): State<Arc<Shared>>,
    caller: By,
    Path(id): Path<String>,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let claims = claims(&shared)?;
    let (because, at): (Because, _) = (body(&bytes)?, now());
    let reason = reason(because.reason)?;
    let revoked = shared.dataspace().desk.run(move |tx| {
        let revoked = tx.revoke(&id, at, reason)?;
        revoked.ok_or_else(|| none("credential", &id))
    });
    let revoked = revoked.await?;
    claims.revoked();
    tracing::info!(credential = revoked.id, holder = revoked.holder, "a credential was revoked");
    Ok(Json(credential_json(&revoked)))
}

/// What a person decided about a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Approval {
    #[serde(default)]
    claims: Map<String, Value>,
    until: Option<String>,
}

fn waiting(tx: &Tx<'_>, id: &str) -> Result<Issuance, Refusal> {
    let issuance = tx.issuance(id)?.ok_or_else(|| none("request", id))?;
    if issuance.state == IssuanceState::Waiting {
        return Ok(issuance);
    }
    Err(Refusal::bad("decided", format!("the request {id:?} was decided: {}", issuance.state.as_str())))
}

/// `POST /api/v1/claims/issuances/{id}/approve`
pub(super) async fn approve(
    State(shared): State<Arc<Shared>>,
    caller: By,
    Path(id): Path<String>,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let claims = claims(&shared)?;
    let approval: Approval = body(&bytes)?;
    let terms = Terms { claims: approval.claims, until: until(approval.until.as_deref())? };
    let (maker, at) = (claims.clone(), now());
    let decided = shared.dataspace().desk.run(move |tx| {
        let mut issuance = waiting(tx, &id)?;
        maker.issue(tx, &mut issuance, &terms, at)?;
        Ok(issuance)
    });
    let decided = decided.await?;
    claims.wake_issuer();
    Ok(Json(issuance_json(&decided)))
}

/// `POST /api/v1/claims/issuances/{id}/refuse`: the holder is told, with the reason.
pub(super) async fn refuse(
    State(shared): State<Arc<Shared>>,
    caller: By,
    Path(id): Path<String>,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let claims = claims(&shared)?;
    let because: Because = body(&bytes)?;
    let (reason, at) = (reason(because.reason)?, now());
    let decided = shared.dataspace().desk.run(move |tx| {
        let mut issuance = waiting(tx, &id)?;
        issuance.state = IssuanceState::Refused;
        issuance.reason = reason;
        issuance.due = Some(at);
        issuance.decided = Some(at);
        tx.put_issuance(&issuance)?;
        Ok(issuance)
    });
    let decided = decided.await?;
    claims.wake_issuer();
    Ok(Json(issuance_json(&decided)))
}

/// `POST /api/v1/claims/issuances/{id}/send`: tell the holder again, from the beginning.
pub(super) async fn send(
    State(shared): State<Arc<Shared>>,
    caller: By,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let claims = claims(&shared)?;
    let at = now();
    let sent = shared.dataspace().desk.run(move |tx| {
        let mut issuance = tx.issuance(&id)?.ok_or_else(|| none("request", &id))?;
        if issuance.state == IssuanceState::Waiting {
            let reason = format!("the request {id:?} waits for a decision; approve or refuse it");
            return Err(Refusal::bad("not-decided", reason));
        }
        (issuance.due, issuance.decided, issuance.attempts) = (Some(at), Some(at), 0);
        (issuance.delivered, issuance.problem) = (None, None);
        tx.put_issuance(&issuance)?;
        Ok(issuance)
    });
    let sent = sent.await?;
    claims.wake_issuer();
    Ok(Json(issuance_json(&sent)))
}

/// A credential offered to a holder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Offering {
    holder: String,
    #[serde(rename = "type")]
    kind: String,
    profile: Option<String>,
    reason: Option<String>,
}

/// `POST /api/v1/claims/offers`: tell a holder that it may ask for a credential.
pub(super) async fn offer(
    State(shared): State<Arc<Shared>>,
    caller: By,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let claims = claims(&shared)?;
    let offering: Offering = body(&bytes)?;
    let holder = did(&offering.holder)?;
    let offered = claims.offered_as(&offering.kind, offering.profile.as_deref());
    let offered = offered.map_err(|e| ApiError::new(StatusCode::CONFLICT, "not-offered", e))?;
    let why = reason(offering.reason)?.unwrap_or_else(|| "issuance".into());
    let sent = issuer::offer(&claims, &holder, std::slice::from_ref(&offered), &why).await;
    sent.map_err(|e| ApiError::new(StatusCode::BAD_GATEWAY, "not-delivered", e))?;
    Ok(Json(
        json!({ "holder": holder, "offered": offered.id, "type": offered.kind, "profile": offered.profile }),
    ))
}
