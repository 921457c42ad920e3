//! The local API for desks and operators: JSON over HTTP on the loopback interface, with a token.
//!
//! `GET /api/v1/openapi.json` describes it; `openapi.json` beside this file is that document, and
//! a test holds it against the routes below.

mod alarms;
mod card;
mod data;
mod dialogues;
mod entries;
mod files;
mod holder;
mod issuer;
mod operations;
mod papers;
mod peers;
mod procedures;

pub use entries::{Action, What};

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post, put};
use axum::{Extension, Router};
use hiwar_dialogue::engine::{CommandError, EngineError};
use hiwar_dialogue::entry::EntryId;
use hiwar_dialogue::ledger::StoreError;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::card_update::UpdateError;
use crate::desks::Caller;
use crate::node::Shared;
use crate::rotation::RotationError;
use crate::writer::WriterError;

/// The document that describes the API (OpenAPI 3.1).
pub const OPENAPI: &str = include_str!("openapi.json");
/// Longest refusal of the framework that is passed on.
const REFUSAL_BYTES_MAX: usize = 4096;
/// Largest JSON body.
const JSON_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Why a request to the local API was not served.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: String,
    detail: String,
    /// What is wrong with single fields, in all languages.
    faults: Vec<serde_json::Value>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &str, detail: impl ToString) -> Self {
        Self { status, code: code.to_owned(), detail: detail.to_string(), faults: Vec::new() }
    }

    /// The same, with what is wrong field by field.
    pub(crate) fn with_faults(self, faults: Vec<serde_json::Value>) -> Self {
        Self { faults, ..self }
    }

    pub(crate) fn bad_request(detail: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    pub(crate) fn not_found(detail: impl ToString) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    pub(crate) fn internal(detail: impl ToString) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// The same, with the part of the request in which it lies named first.
    pub(crate) fn within(self, place: &str) -> Self {
        Self { detail: format!("{place}: {}", self.detail), ..self }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut body = json!({ "error": { "code": self.code, "detail": self.detail } });
        if !self.faults.is_empty() {
            body["error"]["faults"] = json!(self.faults);
        }
        (self.status, axum::Json(body)).into_response()
    }
}

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        let status = match &error {
            CommandError::UnknownDialogue(_) | CommandError::UnknownEntry(_) => StatusCode::NOT_FOUND,
            CommandError::Entry(_) | CommandError::MissingFile(_) | CommandError::NoMembership(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            CommandError::Engine(EngineError::Store(StoreError::Full(_))) => StatusCode::INSUFFICIENT_STORAGE,
            CommandError::Engine(EngineError::Halted(_)) => StatusCode::SERVICE_UNAVAILABLE,
            CommandError::Engine(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::CONFLICT,
        };
        Self::new(status, error.code(), &error)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let (status, code) = match &error {
            StoreError::Full(_) => (StatusCode::INSUFFICIENT_STORAGE, "disk-full"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "store"),
        };
        Self::new(status, code, &error)
    }
}

impl From<WriterError> for ApiError {
    fn from(error: WriterError) -> Self {
        match error {
            WriterError::Store(error) | WriterError::Engine(EngineError::Store(error)) => error.into(),
            WriterError::Stopped => Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", error),
            WriterError::Engine(EngineError::Halted(reason)) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "halted", reason)
            }
            WriterError::Engine(error @ EngineError::Peer { .. }) => {
                Self::new(StatusCode::CONFLICT, "peer", error)
            }
            WriterError::Engine(error @ EngineError::Identity(_)) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "identity", error)
            }
            WriterError::Engine(error) => Self::internal(error),
        }
    }
}

impl From<RotationError> for ApiError {
    fn from(error: RotationError) -> Self {
        match error {
            RotationError::Writer(error) => error.into(),
            RotationError::NotPinned => Self::new(StatusCode::CONFLICT, "not-pinned", error),
            RotationError::NotRevocable => Self::bad_request(error),
            RotationError::Stopped => Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", error),
            RotationError::Engine(error) => WriterError::Engine(error).into(),
            RotationError::Folder(_) => Self::internal(error),
        }
    }
}

impl From<UpdateError> for ApiError {
    fn from(error: UpdateError) -> Self {
        match error {
            UpdateError::Card(error) => error.into(),
            UpdateError::Wrong(_) | UpdateError::Address(_) => Self::bad_request(error),
            UpdateError::NothingNew { .. } => Self::new(StatusCode::CONFLICT, "nothing-new", error),
            UpdateError::Listen(_) => Self::new(StatusCode::CONFLICT, "cannot-listen", error),
            UpdateError::Config(_) => Self::new(StatusCode::CONFLICT, "configuration", error),
        }
    }
}

/// The routes of the local API.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let guarded = Router::new()
        .route("/api/v1/dialogues", get(dialogues::list).post(dialogues::open))
        .route("/api/v1/dialogues/{id}", get(dialogues::show))
        .route("/api/v1/dialogues/{id}/entries", get(dialogues::entries))
        .route("/api/v1/dialogues/{id}/dossier", get(dialogues::dossier))
        .route("/api/v1/dialogues/{id}/procedures", get(procedures::show))
        .route("/api/v1/dialogues/{id}/notices/{entry}/cap", get(procedures::cap))
        .route("/api/v1/dialogues/{id}/agenda", get(papers::agenda))
        .route("/api/v1/dialogues/{id}/follow-up", get(papers::follow_up))
        .route("/api/v1/dialogues/{id}/meetings/{entry}/calendar", get(papers::meeting))
        .route("/api/v1/dialogues/{id}/commitments/calendar", get(papers::to_do))
        .route("/api/v1/dialogues/{id}/proof/{entry}", get(papers::proof))
        .route("/api/v1/duties", get(papers::duties))
        .route("/api/v1/stages", get(papers::stages))
        .route("/api/v1/acts/check", post(procedures::check))
        .route("/api/v1/drafts", get(procedures::drafts).post(procedures::draft))
        .route("/api/v1/drafts/{id}/release", post(procedures::release))
        .route("/api/v1/drafts/{id}/refuse", post(procedures::refuse))
        .route("/api/v1/entries", post(entries::one))
        .route("/api/v1/entries/bulk", post(entries::bulk))
        .route("/api/v1/entries/{id}", get(entries::show))
        .route("/api/v1/attachments", put(files::store))
        .route("/api/v1/attachments/{sha256}", get(files::load))
        .route("/api/v1/peers", get(peers::list).post(peers::add))
        .route("/api/v1/peers/{did}/retire", post(peers::retire))
        .route("/api/v1/peers/{did}/trust", post(peers::trust))
        .route("/api/v1/invitation", get(peers::invitation))
        .route("/api/v1/card", patch(card::update))
        .route("/api/v1/status", get(operations::status))
        .route("/api/v1/alarms", get(alarms::list))
        .route("/api/v1/alarms/{id}/acknowledge", post(alarms::acknowledge))
        .route("/api/v1/desks/{desk}/tokens", post(operations::new_token).delete(operations::revoke_tokens))
        .route("/api/v1/keys/rotate", post(operations::rotate))
        .route("/api/v1/backup", post(operations::backup))
        .route("/api/v1/claims/credentials", get(holder::credentials).post(holder::import))
        .route("/api/v1/claims/offered", get(holder::offers))
        .route("/api/v1/claims/requests", get(holder::requests).post(holder::ask))
        .route("/api/v1/data/terms", post(data::check))
        .route("/api/v1/data/datasets", get(data::datasets).post(data::offer))
        .route("/api/v1/data/datasets/bulk", post(data::offer_many))
        .route("/api/v1/data/datasets/{id}", delete(data::withdraw))
        .route("/api/v1/data/catalog", post(data::catalog))
        .route("/api/v1/data/negotiations", get(data::negotiations).post(data::negotiate))
        .route("/api/v1/data/negotiations/{pid}", get(data::negotiation))
        .route("/api/v1/data/negotiations/{pid}/step", post(data::negotiation_step))
        .route("/api/v1/data/agreements", get(data::agreements))
        .route("/api/v1/data/agreements/{id}/end", post(data::end_agreement))
        .route("/api/v1/data/pulls", post(data::pull))
        .route("/api/v1/data/pushes", post(data::push))
        .route("/api/v1/data/transfers", get(data::transfers).post(data::begin_transfer))
        .route("/api/v1/data/transfers/{pid}", get(data::transfer))
        .route("/api/v1/data/transfers/{pid}/step", post(data::transfer_step))
        .route("/api/v1/data/transfers/{pid}/deleted", post(data::deleted))
        .route("/api/v1/data/transfers/{pid}/content", get(data::content))
        .route("/api/v1/data/explain/{id}", get(data::explain))
        .route("/api/v1/claims/issued", get(issuer::issued).post(issuer::issue))
        .route("/api/v1/claims/issued/{id}/revoke", post(issuer::revoke))
        .route("/api/v1/claims/issuances", get(issuer::issuances))
        .route("/api/v1/claims/issuances/{id}/approve", post(issuer::approve))
        .route("/api/v1/claims/issuances/{id}/refuse", post(issuer::refuse))
        .route("/api/v1/claims/issuances/{id}/send", post(issuer::send))
        .route("/api/v1/claims/offers", post(issuer::offer))
        .layer(axum::extract::DefaultBodyLimit::max(JSON_BYTES_MAX))
        .layer(middleware::from_fn_with_state(shared.clone(), must_bear_token));
    Router::new()
        .merge(guarded)
        .route("/api/v1/claims/token", post(holder::token))
        .route("/api/v1/openapi.json", get(openapi))
        .route("/healthz", get(operations::healthy))
        .route("/readyz", get(operations::ready))
        .route("/metrics", get(operations::metrics))
        .fallback(unknown)
        .layer(middleware::map_response(in_one_form))
        .with_state(shared)
}

/// Gives refusals that come from the framework (a wrong method, a query that cannot be read, a
/// body that is too large) the form that all others have.
async fn in_one_form(response: Response) -> Response {
    let status = response.status();
    let json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|t| t.as_bytes().starts_with(b"application/json"));
    // The readiness of a node is told as text.
    if json || !status.is_client_error() {
        return response;
    }
    let (head, body) = response.into_parts();
    let text = axum::body::to_bytes(body, REFUSAL_BYTES_MAX).await.unwrap_or_default();
    let (code, standard) = match status {
        StatusCode::METHOD_NOT_ALLOWED => (
            "method-not-allowed",
            "this address does not take that method; GET /api/v1/openapi.json lists those it takes",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => ("too-large", "the body is larger than 8 MiB; send it in parts"),
        StatusCode::NOT_FOUND => ("not-found", "there is no such address"),
        _ => ("bad-request", "the request cannot be read"),
    };
    let detail = match String::from_utf8_lossy(&text).trim() {
        "" => standard.to_owned(),
        _ if status == StatusCode::PAYLOAD_TOO_LARGE => standard.to_owned(),
        text => text.to_owned(),
    };
    let mut refusal = ApiError::new(status, code, detail).into_response();
    if let Some(allow) = head.headers.get(header::ALLOW) {
        refusal.headers_mut().insert(header::ALLOW, allow.clone());
    }
    refusal
}

async fn unknown() -> ApiError {
    ApiError::not_found("there is no such address; GET /api/v1/openapi.json lists those there are")
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn must_bear_token(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let token = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.strip_prefix("Bearer "));
    match token.and_then(|t| shared.desks.caller(t)) {
        Some(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        None => ApiError::new(
            StatusCode::UNAUTHORIZED,
            "no-token",
            "send the header `Authorization: Bearer TOKEN`; the operator's token is in the file api.token of the node's folder",
        )
        .into_response(),
    }
}

/// The desk a caller acts as: its own, or for the operator the one it names.
pub(crate) fn acting_desk(shared: &Shared, caller: &Caller, asked: Option<&str>) -> Result<String, ApiError> {
    let forbidden = |detail: String| ApiError::new(StatusCode::FORBIDDEN, "wrong-desk", detail);
    let names = shared.desks.names();
    match (caller, asked) {
        (Caller::Desk(own), Some(other)) if own != other => {
            Err(forbidden(format!("this token acts as the desk {own:?}, not as {other:?}")))
        }
        (Caller::Desk(own), _) => Ok(own.clone()),
        (Caller::Operator, Some(desk)) if names.iter().any(|n| n == desk) => Ok(desk.to_owned()),
        (Caller::Operator, Some(desk)) => {
            Err(forbidden(format!("there is no desk {desk:?}; this node's desks are {}", names.join(", "))))
        }
        (Caller::Operator, None) => {
            names.first().cloned().ok_or_else(|| forbidden("this node has no desk".into()))
        }
    }
}

/// The identifier of an entry or dialogue that an address names.
fn entry_id(text: &str) -> Result<EntryId, ApiError> {
    Ok(EntryId(text.parse().map_err(ApiError::bad_request)?))
}

/// Reads the body of a request.
fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    crate::json::parse(bytes).map_err(|e| ApiError::bad_request(format!("the body: {e}")))
}

pub(crate) fn must_be_operator(caller: &Caller) -> Result<(), ApiError> {
    match caller {
        Caller::Operator => Ok(()),
        Caller::Desk(desk) => Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "operator-only",
            format!("the desk {desk:?} may not do this; it needs the operator's token"),
        )),
    }
}

/// Who asks, as an extractor.
pub(crate) type By = Extension<Caller>;
