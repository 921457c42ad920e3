//! Who may take or bring content: the data plane asks, the store of transfers answers.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use hiwar_trust::hash::Hash;
use hiwar_trust::time::Timestamp;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use tokio_util::sync::CancellationToken;

use super::source::Source;
use crate::peer_client::ErrorBody;

/// What the holder of a token may take.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The content.
    pub source: Arc<Source>,
    /// When a running answer is cut off: the end of the agreement, say. Not the end of the token, which
    /// only keeps new requests out.
    pub expires: Option<Timestamp>,
    /// The SHA-256 that was agreed on; content with another one is not served.
    pub sha256: Option<Hash>,
    /// Cancelled when the transfer is suspended or ends: running answers stop at once.
    pub on_end: CancellationToken,
}

/// Why content is not given or taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The token is not the one of this transfer, or there is no such transfer: whoever asks does not
    /// learn which.
    #[error("the access token is not valid for this address")]
    Token,
    /// The token was valid; a new one can be had.
    #[error("the access token has expired; renew it")]
    Expired,
    /// The transfer is suspended.
    #[error("the transfer is suspended; it may be started again")]
    Suspended,
    /// The transfer has ended.
    #[error("the transfer has ended: {0}")]
    Ended(String),
    /// The node cannot say now.
    #[error("the node cannot answer now; try again")]
    Unavailable,
}

/// An answer as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The path within a folder or service, if one was asked for.
    pub path: Option<String>,
    /// First byte of the range.
    pub from: u64,
    /// Bytes that were handed to the connection.
    pub bytes: u64,
    /// Whether that was everything that was asked for.
    pub complete: bool,
    /// Whether it was asked for to the end of the content.
    pub to_end: bool,
}

/// Decides who may take content. Implemented over the store of transfers.
pub trait Gate: Send + Sync + 'static {
    /// Checks the token of a transfer. It must compare in constant time, or by digest.
    ///
    /// # Errors
    /// Why not.
    fn admit<'a>(
        &'a self,
        transfer: &'a str,
        token: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Admission, Refusal>>;

    /// An answer ended. Must not block.
    fn served(&self, transfer: &str, served: Served) {
        let _ = (transfer, served);
    }
}

/// Where content that is brought may go.
#[derive(Clone, Debug)]
pub struct InboxAdmission {
    /// The file that it becomes.
    pub to: PathBuf,
    /// Most bytes taken.
    pub size_max: u64,
    /// The SHA-256 that was agreed on.
    pub sha256: Option<Hash>,
    /// Set when the content is there already: its size and SHA-256.
    pub received: Option<(u64, Hash)>,
    /// Cancelled when the transfer is suspended or ends.
    pub on_end: CancellationToken,
}

/// Decides who may bring content. Implemented over the store of transfers.
pub trait InboxGate: Send + Sync + 'static {
    /// Checks the token of a transfer; it must compare in constant time, or by digest.
    ///
    /// # Errors
    /// Why not.
    fn admit<'a>(
        &'a self,
        transfer: &'a str,
        token: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<InboxAdmission, Refusal>>;

    /// The content is whole, verified and durable. The sender learns it only when this returns: record
    /// it before, so that [`InboxAdmission::received`] answers whoever asks again.
    ///
    /// # Errors
    /// When it could not be recorded.
    fn received<'a>(
        &'a self,
        transfer: &'a str,
        size: u64,
        sha256: Hash,
    ) -> BoxFuture<'a, Result<(), Refusal>>;
}

/// The token of `Authorization: Bearer TOKEN`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// An error as it is answered.
pub(super) fn error(status: StatusCode, code: &str, detail: impl ToString) -> Response {
    (status, Json(ErrorBody { code: code.into(), detail: detail.to_string() })).into_response()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, challenge) = match &self {
            Self::Token => {
                (StatusCode::UNAUTHORIZED, "invalid-token", Some("Bearer error=\"invalid_token\""))
            }
            Self::Expired => (
                StatusCode::UNAUTHORIZED,
                "expired-token",
                Some("Bearer error=\"invalid_token\", error_description=\"expired\""),
            ),
            Self::Suspended => (StatusCode::FORBIDDEN, SUSPENDED, None),
            Self::Ended(_) => (StatusCode::FORBIDDEN, ENDED, None),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", None),
        };
        let mut response = error(status, code, &self);
        if let Some(challenge) = challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

/// Code of a refusal while a transfer is suspended.
pub(super) const SUSPENDED: &str = "transfer-suspended";
/// Code of a refusal after a transfer's end.
pub(super) const ENDED: &str = "transfer-ended";
/// Code of a refusal of content that is no longer what was offered.
pub(super) const CHANGED: &str = "content-changed";
