//! Peers: who they are, how delivery to them stands, adding and retiring them.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use hiwar_dialogue::engine::PeerStatus;
use hiwar_trust::did::Did;
use hiwar_trust::identity::Identity;
use hiwar_trust::invitation::Invitation;
use hiwar_trust::words;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiError, By, must_be_operator};
use crate::node::Shared;

fn peer_json(status: &PeerStatus, identity: Option<&Identity>) -> Value {
    let record = &status.record;
    let latest = identity.map(Identity::latest);
    json!({
        "did": record.did,
        "name": latest.map(|c| &c.name),
        "fingerprint": identity.map(|i| words::fingerprint_words(&i.fingerprint())),
        "standing": record.standing,
        "delivery": latest.map(|c| c.delivery),
        "endpoints": latest.map(|c| &c.endpoints),
        "cards": record.cards.len(),
        "knows_card": record.knows_card,
        "backlog": status.backlog,
        "attempts": status.attempts,
        "next_attempt": (status.attempts > 0).then_some(status.next_attempt),
        "down_since": record.down_since,
        "clock_skew_ms": record.clock_skew_ms,
        "verified": record.verified,
        "witnessed": record.witnessed,
    })
}

/// `GET /api/v1/peers`
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, ApiError> {
    let peers: Vec<Value> = shared
        .writer
        .query(|engine, _| {
            engine
                .peer_statuses()
                .iter()
                .map(|s| peer_json(s, engine.peer_identity(&s.record.did).map(AsRef::as_ref)))
                .collect()
        })
        .await?;
    Ok(Json(json!({ "peers": peers })))
}

/// An invitation and the fingerprint that a person confirmed.
#[derive(Debug, Deserialize)]
struct Adding {
    invitation: Value,
    fingerprint: String,
}

/// `POST /api/v1/peers`
pub(super) async fn add(
    State(shared): State<Arc<Shared>>,
    caller: By,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let adding: Adding = super::body(&body)?;
    let invitation = Invitation::parse(adding.invitation.to_string().as_bytes())
        .map_err(|e| ApiError::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, "bad-invitation", e))?;
    let identity = invitation.identity().clone();
    if !words::matches(&adding.fingerprint, &identity.fingerprint()) {
        return Err(ApiError::new(
            axum::http::StatusCode::UNPROCESSABLE_ENTITY,
            "wrong-fingerprint",
            "the fingerprint is not that of this invitation: it was changed on its way, or belongs to another; ask the peer by another way, such as the telephone",
        ));
    }
    let did = identity.did().clone();
    shared.writer.add_peer(identity).await?;
    Ok(Json(json!({ "peer": did })))
}

fn did(text: &str) -> Result<Did, ApiError> {
    text.parse().map_err(ApiError::bad_request)
}

/// `POST /api/v1/peers/{did}/retire`
pub(super) async fn retire(
    State(shared): State<Arc<Shared>>,
    caller: By,
    Path(peer): Path<String>,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let peer = did(&peer)?;
    shared.writer.retire_peer(peer.clone()).await?;
    Ok(Json(json!({ "retired": peer })))
}

/// `POST /api/v1/peers/{did}/trust`: after an alarm, trust the peer's log again.
pub(super) async fn trust(
    State(shared): State<Arc<Shared>>,
    caller: By,
    Path(peer): Path<String>,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let peer = did(&peer)?;
    shared.writer.trust_again(peer.clone()).await?;
    Ok(Json(json!({ "trusted": peer })))
}

/// `GET /api/v1/invitation`: what to give to a new peer.
pub(super) async fn invitation(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, ApiError> {
    let identity = shared.identity();
    let invitation = Invitation::new(Identity::clone(&identity));
    let value: Value = serde_json::from_str(&invitation.to_string()).map_err(ApiError::internal)?;
    Ok(Json(json!({
        "invitation": value,
        "did": identity.did(),
        "fingerprint": words::fingerprint_words(&identity.fingerprint()),
    })))
}
