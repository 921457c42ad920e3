//! For operators: state, health, figures, tokens, keys, backups.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hiwar_trust::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiError, By, must_be_operator};
use crate::metrics::PeerLabel;
use crate::node::Shared;
use crate::rotation::{self, Revocation, Which};
use crate::writer::WriterError;

/// How long the writer may take to answer before the node is not ready.
const READY_LIMIT: Duration = Duration::from_secs(2);

/// `GET /api/v1/status`
pub(super) async fn status(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, ApiError> {
    let counts = shared.read(hiwar_store::SqliteReader::counts).await?;
    let (checkpoint, halted, dialogues, peers) = shared
        .writer
        .query(|engine, _| {
            let checkpoint = engine
                .checkpoint()
                .map(|c| json!({ "origin": c.origin(), "size": c.size(), "root": c.root() }));
            (
                checkpoint.ok(),
                engine.halted().map(ToOwned::to_owned),
                engine.dialogues().count(),
                engine.peers().count(),
            )
        })
        .await?;
    let identity = shared.identity();
    Ok(Json(json!({
        "did": shared.did,
        "name": identity.latest().name,
        "version": env!("CARGO_PKG_VERSION"),
        "log": checkpoint,
        "halted": halted,
        "entries": counts.entries,
        "queued": counts.queued,
        "alarms": counts.alarms,
        "alarms_unacknowledged": counts.unacknowledged,
        "dialogues": dialogues,
        "peers": peers,
        "desks": shared.desks.names(),
    })))
}

/// `GET /healthz`: the process lives and its tasks run.
pub(super) async fn healthy() -> &'static str {
    "alive\n"
}

/// Whether the writer answers; what it answers shows in its state.
async fn probe(shared: &Shared) -> Result<(), WriterError> {
    match shared.writer.probe().await {
        Err(error @ WriterError::Stopped) => Err(error),
        _ => Ok(()),
    }
}

/// `GET /readyz`: the writer answers, its last commit was kept, and the node has not halted.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let state = shared.writer.state();
    let healthy = state.healthy.load(Ordering::Acquire);
    // After a failed commit nothing may come along to be committed; so the question asks for one.
    let answered = if healthy {
        tokio::time::timeout(READY_LIMIT, shared.writer.query(|_, _| ())).await
    } else {
        tokio::time::timeout(READY_LIMIT, probe(&shared)).await
    };
    let problem = if !matches!(answered, Ok(Ok(()))) {
        Some("the writer does not answer")
    } else if !state.healthy.load(Ordering::Acquire) {
        Some("the last commit failed; see the log and the free disk space")
    } else if state.halted.load(Ordering::Acquire) {
        Some("the node has halted: its store is older than what it signed; see the alarms")
    } else {
        None
    };
    match problem {
        None => (StatusCode::OK, "ready\n").into_response(),
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {problem}\n")).into_response(),
    }
}

/// `GET /metrics` (OpenMetrics 1.0)
pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> Result<Response, ApiError> {
    let statuses = shared.writer.query(|engine, _| engine.peer_statuses()).await?;
    for status in statuses {
        let label = PeerLabel { peer: status.record.did.to_string() };
        shared.metrics.backlog.get_or_create(&label).set(i64::try_from(status.backlog).unwrap_or(i64::MAX));
        if let Some(skew) = status.record.clock_skew_ms {
            shared.metrics.clock_skew_ms.get_or_create(&label).set(skew);
        }
    }
    let counts = shared.read(hiwar_store::SqliteReader::counts).await?;
    shared.metrics.alarms_unacknowledged.set(i64::try_from(counts.unacknowledged).unwrap_or(i64::MAX));
    let leaves = shared.writer.state().log_size.load(Ordering::Acquire);
    shared.metrics.log_leaves.set(i64::try_from(leaves).unwrap_or(i64::MAX));
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, media_type)], shared.metrics.text()).into_response())
}

/// `POST /api/v1/desks/{desk}/tokens`
pub(super) async fn new_token(
    State(shared): State<Arc<Shared>>,
    caller: By,
    Path(desk): Path<String>,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    if !shared.desks.names().contains(&desk) {
        return Err(ApiError::not_found(format!("there is no desk {desk:?}; name it in hiwar.toml first")));
    }
    let token = shared.desks.new_token(&desk).map_err(ApiError::internal)?;
    Ok(Json(json!({ "desk": desk, "token": token })))
}

/// `DELETE /api/v1/desks/{desk}/tokens`
pub(super) async fn revoke_tokens(
    State(shared): State<Arc<Shared>>,
    caller: By,
    Path(desk): Path<String>,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let gone = shared.desks.revoke_tokens(&desk).map_err(ApiError::internal)?;
    Ok(Json(json!({ "desk": desk, "revoked": gone })))
}

/// Which key, and whether the old one is to be revoked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Rotating {
    which: Which,
    revoke_since: Option<Timestamp>,
    reason: Option<String>,
}

/// `POST /api/v1/keys/rotate`
pub(super) async fn rotate(
    State(shared): State<Arc<Shared>>,
    caller: By,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let asked: Rotating = if body.is_empty() { Rotating::default() } else { super::body(&body)? };
    let revocation = asked
        .revoke_since
        .map(|since| Revocation { since, reason: asked.reason.unwrap_or_else(|| "not stated".into()) });
    let card = rotation::rotate(shared, asked.which, revocation).await?;
    Ok(Json(json!({
        "which": asked.which,
        "sequence": card.sequence,
        "organisation_key": card.organisation_key,
        "node_key": card.node_key,
        "tls_key": card.tls_key,
    })))
}

/// Where a backup goes.
#[derive(Debug, Deserialize)]
struct BackingUp {
    to: PathBuf,
}

/// `POST /api/v1/backup`: copies the running node's store and files to a new folder on its machine.
pub(super) async fn backup(
    State(shared): State<Arc<Shared>>,
    caller: By,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let asked: BackingUp = super::body(&body)?;
    let report = crate::backup::take(&shared, asked.to).await.map_err(ApiError::internal)?;
    Ok(Json(report))
}
