//! Where content that others push arrives: `/data/inbox/{transfer}`.
//!
//! The scheme, small enough to be written down whole:
//!
//! - `HEAD` says in `Upload-Offset` how many bytes are here, and `Upload-Complete: ?1` when that is all.
//! - `PUT` with `Content-Range: bytes FIRST-LAST/SIZE` adds bytes from FIRST on, which must be the offset; without
//!   that header it brings the whole from the beginning. `Repr-Digest: sha-256=:…:` (RFC 9530) names the whole's
//!   SHA-256; an entity tag of the sender is not needed, the digest is one.
//! - 201: all of it is here, its SHA-256 is right, and it is durable. 409 with `Upload-Offset`: go on from there.
//!   422: the SHA-256 is wrong, nothing was kept. 413: more than was agreed on.
//!
//! What came before a break is kept. Whoever puts while an older connection of the same transfer still
//! hangs takes over from it. A client that knows nothing of this does a plain `PUT` and gets its 201.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::Router;
use axum::body::BodyDataStream;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::put;
use futures_util::StreamExt as _;
use hiwar_trust::hash::Hash;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use tokio_util::sync::CancellationToken;

use super::gate::{self, InboxAdmission, InboxGate, Refusal};
use super::partial::{self, Drained, Finish, Of, Partial};
use super::pull::digest;
use super::range;
use super::serve::REPR_DIGEST;
use crate::clock::now;

/// How many bytes are here.
pub(super) const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
/// Whether that is all: `?1` or `?0`.
pub(super) const UPLOAD_COMPLETE: HeaderName = HeaderName::from_static("upload-complete");
/// How long an older connection of the same transfer may take to let go.
const TAKE_OVER_LIMIT: Duration = Duration::from_secs(10);
/// How much of a refused body is still read, and for how long: an answer on a connection that is closed with unread
/// bytes may be lost on its way (RFC 9112 section 9.6).
const READ_AWAY_BYTES: usize = 1 << 20;
const READ_AWAY_LIMIT: Duration = Duration::from_secs(2);

/// What receiving needs.
#[derive(Clone)]
pub struct Inbox {
    gate: Arc<dyn InboxGate>,
    slots: Arc<Mutex<HashMap<String, Weak<Slot>>>>,
}

/// One transfer's place: one connection writes at a time.
#[derive(Default)]
struct Slot {
    writing: tokio::sync::Mutex<()>,
    current: Mutex<CancellationToken>,
}

impl Inbox {
    /// Takes what `gate` admits.
    pub fn new(gate: Arc<dyn InboxGate>) -> Self {
        Self { gate, slots: Arc::default() }
    }

    /// The routes, to be merged into the peers' server. No limit on time or size may lie around them.
    pub fn routes(self) -> Router {
        Router::new()
            .route("/data/inbox/{transfer}", put(receive).head(ask))
            .layer(DefaultBodyLimit::disable())
            .with_state(self)
    }

    async fn admit(&self, transfer: &str, headers: &HeaderMap) -> Result<InboxAdmission, Response> {
        let token = gate::bearer(headers).ok_or_else(|| Refusal::Token.into_response())?;
        self.gate.admit(transfer, token, now()).await.map_err(Refusal::into_response)
    }

    fn slot(&self, transfer: &str) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|_, slot| slot.strong_count() > 0);
        if let Some(slot) = slots.get(transfer).and_then(Weak::upgrade) {
            return slot;
        }
        let slot = Arc::new(Slot::default());
        slots.insert(transfer.to_owned(), Arc::downgrade(&slot));
        slot
    }
}

async fn ask(State(inbox): State<Inbox>, Path(transfer): Path<String>, headers: HeaderMap) -> Response {
    let admission = match inbox.admit(&transfer, &headers).await {
        Ok(admission) => admission,
        Err(response) => return response,
    };
    if let Some((size, _)) = admission.received {
        return at(StatusCode::NO_CONTENT, size, true);
    }
    let path = partial::beside(&admission.to, ".partial");
    let held = tokio::fs::metadata(path).await.map_or(0, |held| held.len());
    at(StatusCode::NO_CONTENT, held, false)
}

/// An answer that says how much is here.
fn at(status: StatusCode, offset: u64, complete: bool) -> Response {
    let complete = HeaderValue::from_static(if complete { "?1" } else { "?0" });
    (status, [(UPLOAD_OFFSET, HeaderValue::from(offset)), (UPLOAD_COMPLETE, complete)]).into_response()
}

async fn receive(State(inbox): State<Inbox>, Path(transfer): Path<String>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let mut body = body.into_data_stream();
    let answer = take(&inbox, &transfer, &head.headers, &mut body).await;
    // Whoever waits for a 100 has sent nothing yet, and reading would call for it.
    if !answer.status().is_success() && !head.headers.contains_key(header::EXPECT) {
        read_away(&mut body).await;
    }
    answer
}

async fn read_away(body: &mut BodyDataStream) {
    let reading = async {
        let mut read = 0;
        while read < READ_AWAY_BYTES
            && let Some(Ok(bytes)) = body.next().await
        {
            read += bytes.len();
        }
    };
    drop(tokio::time::timeout(READ_AWAY_LIMIT, reading).await);
}

async fn take(inbox: &Inbox, transfer: &str, headers: &HeaderMap, body: &mut BodyDataStream) -> Response {
    let admission = match inbox.admit(transfer, headers).await {
        Ok(admission) => admission,
        Err(response) => return response,
    };
    let put = match Put::of(headers, &admission) {
        Ok(put) => put,
        Err(response) => return *response,
    };
    let slot = inbox.slot(transfer);
    let mine = admission.on_end.child_token();
    let older = {
        let mut current = slot.current.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, mine.clone())
    };
    older.cancel();
    let Ok(_writing) = tokio::time::timeout(TAKE_OVER_LIMIT, slot.writing.lock()).await else {
        return gate::error(StatusCode::CONFLICT, "busy", "another connection brings this content");
    };
    // It may have become whole while this one waited.
    match inbox.admit(transfer, headers).await {
        Ok(admission) if admission.received.is_some() => return put.again(&admission),
        Ok(_) => {}
        Err(response) => return response,
    }
    write(inbox, transfer, &admission, put, body, &mine).await
}

/// What a `PUT` brings.
struct Put {
    from: u64,
    size: Option<u64>,
    sha256: Option<Hash>,
}

impl Put {
    fn of(headers: &HeaderMap, admission: &InboxAdmission) -> Result<Self, Box<Response>> {
        let bad = |why: &str| Box::new(gate::error(StatusCode::BAD_REQUEST, "bad-request", why));
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let length: Option<u64> = text(&header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let (from, size) = match headers.get(header::CONTENT_RANGE) {
            None => (0, length),
            Some(_) => {
                let range = text(&header::CONTENT_RANGE).and_then(range::content_range);
                let (range, size) = range.ok_or_else(|| bad("write Content-Range: bytes FIRST-LAST/SIZE"))?;
                if length.is_some_and(|length| length != range.end - range.start) {
                    return Err(bad("Content-Length and Content-Range do not fit"));
                }
                (range.start, size)
            }
        };
        let sha256 = text(&REPR_DIGEST).and_then(digest);
        if let (Some(agreed), Some(brought)) = (admission.sha256, sha256)
            && agreed != brought
        {
            return Err(Box::new(gate::error(
                StatusCode::UNPROCESSABLE_ENTITY,
                "other-content",
                "this is not what was agreed on",
            )));
        }
        if size.is_some_and(|size| size > admission.size_max) {
            return Err(Box::new(too_large(admission)));
        }
        let put = Self { from, size, sha256 };
        match admission.received {
            Some(_) => Err(Box::new(put.again(admission))),
            None => Ok(put),
        }
    }

    /// The answer to whoever brings what is here already: he may not have heard of it.
    fn again(&self, admission: &InboxAdmission) -> Response {
        match (admission.received, self.sha256) {
            (Some((size, held)), Some(brought)) if held == brought => at(StatusCode::OK, size, true),
            _ => gate::error(StatusCode::CONFLICT, "received", "this transfer's content is here already"),
        }
    }
}

fn too_large(admission: &InboxAdmission) -> Response {
    let why = format!("at most {} bytes are taken", admission.size_max);
    gate::error(StatusCode::PAYLOAD_TOO_LARGE, "too-large", why)
}

fn not_stored(problem: &impl std::fmt::Display) -> Response {
    tracing::warn!(%problem, "pushed content cannot be stored");
    gate::error(StatusCode::INSUFFICIENT_STORAGE, "not-stored", "the content cannot be stored here now")
}

async fn write(
    inbox: &Inbox,
    transfer: &str,
    admission: &InboxAdmission,
    put: Put,
    body: &mut BodyDataStream,
    cancel: &CancellationToken,
) -> Response {
    let to = admission.to.clone();
    let opening = tokio::task::spawn_blocking(move || {
        let mut partial = Partial::open(&to)?;
        if put.from == 0 {
            partial.restart()?;
        }
        if put.from == partial.length() {
            partial.set(Of { etag: None, size: put.size, sha256: put.sha256 })?;
        }
        Ok::<_, partial::FileError>(partial)
    });
    let partial = match opening.await {
        Ok(Ok(partial)) => partial,
        Ok(Err(error)) => return not_stored(&error),
        Err(error) => return not_stored(&error),
    };
    if put.from != partial.length() {
        return at(StatusCode::CONFLICT, partial.length(), false);
    }
    let limit = put.size.unwrap_or(admission.size_max);
    let (partial, ended) = match partial::drain(partial, body, limit, cancel, &|_| {}).await {
        Ok(drained) => drained,
        Err(error) => return not_stored(&error),
    };
    match ended {
        Drained::Whole if put.size.is_none_or(|size| size == partial.length()) => {}
        Drained::TooLarge => return too_large(admission),
        Drained::File(error) => return not_stored(&error),
        Drained::Cancelled if admission.on_end.is_cancelled() => return Refusal::Suspended.into_response(),
        Drained::Cancelled => {
            return gate::error(StatusCode::CONFLICT, "taken-over", "another connection took over");
        }
        Drained::Whole | Drained::Broken(_) => return at(StatusCode::CONFLICT, partial.length(), false),
    }
    let expected = admission.sha256.or(put.sha256);
    let done = match tokio::task::spawn_blocking(move || partial.finish(expected)).await {
        Ok(done) => done,
        Err(error) => return not_stored(&error),
    };
    match done {
        Ok((size, sha256)) => match inbox.gate.received(transfer, size, sha256).await {
            Ok(()) => at(StatusCode::CREATED, size, true),
            Err(refusal) => refusal.into_response(),
        },
        Err(Finish::File(error)) => not_stored(&error),
        Err(wrong @ Finish::WrongHash { .. }) => {
            gate::error(StatusCode::UNPROCESSABLE_ENTITY, "wrong-hash", wrong)
        }
    }
}
