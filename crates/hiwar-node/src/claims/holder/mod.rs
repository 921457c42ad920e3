//! The holder: our credentials, shown to those whom we gave an access token (DCP 1.0, section 5.4), taken
//! in from issuers whom we asked (section 6.5), and offered by issuers whom we trust for that (section 6.6).
//!
//! * `access` — self-issued tokens and access tokens of ours; `query` — showing credentials;
//! * `delivery` — taking credentials in; `offers` — taking note of offers; `asking` — asking an issuer;
//! * `kept` — the files: what is acknowledged is in them.

mod access;
mod asking;
mod delivery;
mod kept;
mod offers;
mod query;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hiwar_claims::did::{DidDocument, DidDocumentError};
use hiwar_claims::issuance::delivery::DELIVERY_BYTES_MAX;
use hiwar_claims::issuance::offer::OFFER_BYTES_MAX;
use hiwar_claims::query::QUERY_BYTES_MAX;
use hiwar_claims::token::{self, Claims as TokenClaims, TokenError};
use hiwar_trust::did::Did;
use serde_json::json;

use super::verifier::{CHECK_LIMIT, ClaimsError};
use super::{Claims, PATH};
use crate::node::Shared;
pub(super) use access::Access;
pub(crate) use asking::{AskError, Wanted};
pub(crate) use delivery::ImportError;
pub(super) use kept::Kept;
pub(crate) use kept::{Asked, HeldCredential, KeptOffer, StandingRequest};

/// The addresses of our Credential Service.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let bounded = DefaultBodyLimit::max;
    Router::new()
        .route(
            &format!("{PATH}/presentations/query"),
            post(query::presentation_query).layer(bounded(QUERY_BYTES_MAX)),
        )
        .route(&format!("{PATH}/credentials"), post(delivery::credentials).layer(bounded(DELIVERY_BYTES_MAX)))
        .route(&format!("{PATH}/offers"), post(offers::offers).layer(bounded(OFFER_BYTES_MAX)))
        .with_state(shared)
}

/// Why a request to our Credential Service is not served.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    reason: String,
}

impl Refusal {
    fn new(status: StatusCode, reason: impl ToString) -> Self {
        Self { status, reason: reason.to_string() }
    }

    fn bad_request(reason: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    /// Something of ours is wrong: the caller is told no more than that.
    fn internal(problem: impl ToString) -> Self {
        let problem = problem.to_string();
        tracing::error!(problem, "the Credential Service fails");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the Credential Service fails; try again later")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.reason }).to_string();
        (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

impl From<ClaimsError> for Refusal {
    fn from(error: ClaimsError) -> Self {
        let status = match error {
            ClaimsError::Busy | ClaimsError::TooLong => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        };
        Self::new(status, error)
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        ClaimsError::from(error).into()
    }
}

impl From<DidDocumentError> for Refusal {
    fn from(error: DidDocumentError) -> Self {
        ClaimsError::from(error).into()
    }
}

/// Our part in the protocol, when it is on.
fn claims_of(shared: &Shared) -> Result<Arc<Claims>, Refusal> {
    let off = || Refusal::new(StatusCode::NOT_FOUND, "there is no Credential Service here");
    shared.dataspace().claims.clone().ok_or_else(off)
}

/// A request is served within this time, or refused.
async fn in_time<T>(work: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    tokio::time::timeout(CHECK_LIMIT, work).await.map_err(|_| Refusal::from(ClaimsError::TooLong))?
}

impl Claims {
    /// Our credentials, the newest first, and whether they are shown to others.
    pub(crate) fn held(&self) -> Result<Vec<(HeldCredential, bool)>, String> {
        let is_shown =
            |held: &HeldCredential| held.outline.types.iter().any(|kind| self.config.present.contains(kind));
        let held = self.kept.credentials()?.into_iter();
        Ok(held
            .map(|held| {
                let shown = is_shown(&held);
                (held, shown)
            })
            .collect())
    }

    /// What issuers offered, the newest first.
    pub(crate) fn offers(&self) -> Vec<KeptOffer> {
        self.kept.offers()
    }

    /// What we asked for, the newest first.
    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.kept.requests()
    }

    /// Who sends a request, by a token that is good for this request only. `is_known` says whom this node
    /// deals with: nobody else is resolved, so a stranger cannot make it fetch anything.
    async fn known_sender(
        &self,
        headers: &HeaderMap,
        is_known: impl FnOnce(&Did) -> bool,
        unknown: &str,
    ) -> Result<(TokenClaims, DidDocument), Refusal> {
        let header = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let bearer = header.strip_prefix("Bearer ").map(str::trim).ok_or_else(|| {
            ClaimsError::Own("the header Authorization must be \"Bearer \" and a token".into())
        })?;
        let issuer = token::peek_issuer(bearer)?;
        if !is_known(&issuer) {
            return Err(Refusal::new(StatusCode::UNAUTHORIZED, unknown));
        }
        Ok(self.sender(bearer).await?)
    }
}
