//! The provider's side of a pull: `GET /data/{transfer}` and `GET /data/{transfer}/{path}`.
//!
//! Content of files and folders bears a strong entity tag, its SHA-256, which is also its
//! `Repr-Digest` (RFC 9530). One range is answered; see `range`. The first bytes are read and checked
//! before the answer begins, so that changed content is an error with words. When a later part
//! turns out to be changed, or the transfer is suspended or ends, the connection is cut before the
//! announced length: no client takes that for a whole answer.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use hiwar_trust::httpsig::content_digest;
use hiwar_trust::time::Timestamp;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::gate::{self, Admission, Gate, Refusal, Served};
use super::range::{self, Asked};
use super::source::{BackendSource, Content, ContentStream, Source, SourceError};
use super::store::Stores;
use crate::clock::now;
use crate::outbound::Outbound;

/// `Repr-Digest` (RFC 9530).
pub(super) const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
/// `Content-Digest` (RFC 9530).
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
/// Most answers that run at once.
pub const STREAMS_MAX: usize = 256;

/// What serving needs.
#[derive(Clone)]
pub struct Serve {
    gate: Arc<dyn Gate>,
    outbound: Arc<Outbound>,
    stores: Arc<Stores>,
    streams: Arc<Semaphore>,
}

impl Serve {
    /// Serves what `gate` admits; services behind the node are reached through `outbound`.
    pub fn new(gate: Arc<dyn Gate>, outbound: Arc<Outbound>) -> Self {
        Self { gate, outbound, stores: Arc::default(), streams: Arc::new(Semaphore::new(STREAMS_MAX)) }
    }

    /// With the stores that objects are read from.
    #[must_use]
    pub fn with_stores(self, stores: Arc<Stores>) -> Self {
        Self { stores, ..self }
    }

    /// The routes, to be merged into the peers' server. No limit on time may lie around them.
    pub fn routes(self) -> Router {
        Router::new()
            .route("/data/{transfer}", get(whole))
            .route("/data/{transfer}/{*path}", get(inner))
            .with_state(self)
    }
}

async fn whole(
    State(serve): State<Serve>,
    Path(transfer): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    answer(serve, transfer, None, query, request).await
}

async fn inner(
    State(serve): State<Serve>,
    Path((transfer, path)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    answer(serve, transfer, Some(path), query, request).await
}

async fn answer(
    serve: Serve,
    transfer: String,
    path: Option<String>,
    query: Option<String>,
    request: Request,
) -> Response {
    let (method, headers) = (request.method(), request.headers());
    let Some(token) = gate::bearer(headers) else {
        return Refusal::Token.into_response();
    };
    let admission = match serve.gate.admit(&transfer, token, now()).await {
        Ok(admission) => admission,
        Err(refusal) => return refusal.into_response(),
    };
    let Ok(permit) = serve.streams.clone().try_acquire_owned() else {
        let mut busy =
            gate::error(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many answers run; try again");
        busy.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        return busy;
    };
    let guard = |from, length, to_end| Guard {
        gate: serve.gate.clone(),
        transfer: transfer.clone(),
        served: Served { path: path.clone(), from, bytes: 0, complete: false, to_end },
        length,
        _permit: permit,
    };
    let opened = match &*admission.source {
        Source::Http(backend) => {
            let asked = (method.clone(), path.as_deref(), query.as_deref(), headers);
            return relay(&serve.outbound, backend, asked, &admission, guard).await;
        }
        source => source.open(path.as_deref(), &serve.stores).await,
    };
    match opened {
        Ok(content) if path.is_none() && differs(&admission, &content) => {
            changed("it is not what was agreed on")
        }
        Ok(content) => send(content, method, headers, &admission, guard).await,
        Err(error) => refuse(&transfer, &error),
    }
}

fn differs(admission: &Admission, content: &Content) -> bool {
    admission.sha256.is_some_and(|agreed| content.sha256 != Some(agreed))
}

fn changed(why: impl ToString) -> Response {
    gate::error(StatusCode::GONE, gate::CHANGED, why)
}

fn refuse(transfer: &str, error: &SourceError) -> Response {
    tracing::warn!(transfer, %error, "content cannot be given");
    match error {
        SourceError::Changed(_) => changed(error),
        SourceError::NoSuchPath => gate::error(StatusCode::NOT_FOUND, "no-such-path", error),
        SourceError::Backend(_)
        | SourceError::Outbound(_)
        | SourceError::Store(_)
        | SourceError::Place(_) => {
            gate::error(StatusCode::BAD_GATEWAY, "no-answer", "the service behind this node gave no content")
        }
        _ => gate::error(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", "the content cannot be read here"),
    }
}

async fn send(
    content: Content,
    method: &Method,
    asked: &HeaderMap,
    admission: &Admission,
    guard: impl FnOnce(u64, u64, bool) -> Guard,
) -> Response {
    let size = content.size;
    let mut headers = describe(&content);
    let (status, part) = match range::asked(asked, size, &content.etag) {
        Asked::Whole => (StatusCode::OK, 0..size),
        Asked::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Asked::Held => return (StatusCode::NOT_MODIFIED, headers).into_response(),
        Asked::OtherVersion => return (StatusCode::PRECONDITION_FAILED, headers).into_response(),
        Asked::Nothing => {
            insert(&mut headers, header::CONTENT_RANGE, &format!("bytes */{size}"));
            return (StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response();
        }
    };
    let length = part.end - part.start;
    insert(&mut headers, header::CONTENT_LENGTH, &length.to_string());
    match content.sha256 {
        _ if status == StatusCode::PARTIAL_CONTENT => {
            let range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            insert(&mut headers, header::CONTENT_RANGE, &range);
        }
        Some(sha256) => insert(&mut headers, CONTENT_DIGEST, &content_digest(&sha256)),
        None => {}
    }
    if method == Method::HEAD {
        return (status, headers, Body::empty()).into_response();
    }
    let guard = guard(part.start, length, part.end == size);
    let transfer = guard.transfer.clone();
    let mut stream = content.stream(part);
    let first = match stream.next().await {
        Some(Err(error)) => return refuse(&transfer, &error),
        Some(Ok(first)) => first,
        None => Bytes::new(),
    };
    (status, headers, Body::from_stream(Guarded::new(first, stream, admission, guard))).into_response()
}

fn describe(content: &Content) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let media_type = content.media_type.as_deref().unwrap_or("application/octet-stream");
    insert(&mut headers, header::CONTENT_TYPE, media_type);
    insert(&mut headers, header::ETAG, &content.etag);
    insert(&mut headers, header::ACCEPT_RANGES, "bytes");
    if let Some(sha256) = &content.sha256 {
        insert(&mut headers, REPR_DIGEST, &content_digest(sha256));
    }
    guarded_headers(&mut headers);
    headers
}

/// Content of strangers is never interpreted or kept by what lies in between.
fn guarded_headers(headers: &mut HeaderMap) {
    insert(headers, header::CACHE_CONTROL, "no-store");
    insert(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

async fn relay(
    outbound: &Outbound,
    backend: &BackendSource,
    (method, path, query, asked): (Method, Option<&str>, Option<&str>, &HeaderMap),
    admission: &Admission,
    guard: impl FnOnce(u64, u64, bool) -> Guard,
) -> Response {
    let guard = guard(0, u64::MAX, true);
    match backend.relay(outbound, method, path, query, asked).await {
        Ok(mut relayed) => {
            guarded_headers(&mut relayed.headers);
            let stream = Guarded::new(Bytes::new(), relayed.stream, admission, guard);
            (relayed.status, relayed.headers, Body::from_stream(stream)).into_response()
        }
        Err(error) => refuse(&guard.transfer, &error),
    }
}

/// Tells the gate how an answer ended, however it ended.
struct Guard {
    gate: Arc<dyn Gate>,
    transfer: String,
    served: Served,
    length: u64,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.served.complete |= self.served.bytes == self.length;
        self.gate.served(&self.transfer, self.served.clone());
    }
}

/// Why an answer was cut off.
#[derive(Debug, thiserror::Error)]
#[error("the transfer was suspended or has ended")]
struct CutOff;

/// A stream that stops when the transfer does.
struct Guarded {
    first: Option<Bytes>,
    rest: ContentStream,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    expired: Option<Pin<Box<tokio::time::Sleep>>>,
    guard: Guard,
}

impl Guarded {
    fn new(first: Bytes, rest: ContentStream, admission: &Admission, guard: Guard) -> Self {
        let ended = CancellationToken::clone(&admission.on_end).cancelled_owned();
        let expired = admission.expires.map(|at| Box::pin(tokio::time::sleep(until(at))));
        Self { first: Some(first).filter(|f| !f.is_empty()), rest, ended: Box::pin(ended), expired, guard }
    }
}

fn until(at: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(at.millis_since(now())).unwrap_or(0))
}

impl Stream for Guarded {
    type Item = Result<Bytes, axum::BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let expired = this.expired.as_mut().is_some_and(|at| at.as_mut().poll(context).is_ready());
        if expired || this.ended.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(CutOff.into())));
        }
        let next = match this.first.take() {
            Some(first) => Some(Ok(first)),
            None => std::task::ready!(this.rest.as_mut().poll_next(context)),
        };
        Poll::Ready(match next {
            Some(Ok(part)) => {
                this.guard.served.bytes += part.len() as u64;
                Some(Ok(part))
            }
            Some(Err(error)) => {
                tracing::warn!(transfer = this.guard.transfer, %error, "an answer is cut off");
                Some(Err(error.into()))
            }
            None => {
                this.guard.served.complete = true;
                None
            }
        })
    }
}
