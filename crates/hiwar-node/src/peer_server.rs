//! The way in for peers: the dialogue protocol, and what anyone may read (DID document, cards,
//! checkpoints, log tiles).

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hiwar_dialogue::engine::Plan;
use hiwar_dialogue::ledger::Standing;
use hiwar_dialogue::wire::{self, WireError};
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::httpsig::{self, ReceivedSignature, RequestParts, ResponseParts};
use hiwar_trust::identity::{Identity, IdentityError};
use serde::{Deserialize, Serialize};

use crate::attachments;
use crate::clock::{now, random};
use crate::data_plane::{Inbox, Serve};
use crate::dataspace;
use crate::metrics::CodeLabel;
use crate::node::Shared;
use crate::peer_client::{DESTINATION, ErrorBody, PREFIX, SEQUENCE, SESSION, SessionAnswer, SessionRequest};
use crate::public;
use crate::session::{Channel, SessionError};
use crate::writer::WriterError;

/// Largest request body.
const BODY_BYTES_MAX: usize = hiwar_dialogue::limits::BATCH_BYTES_MAX + 64 * 1024;
/// Longest time a fetch may wait here.
const FETCH_WAIT_MAX: Duration = Duration::from_secs(55);
/// Threads that share the signatures of one batch.
const VERIFY_THREADS: usize = 2;
/// Header that names a fetched batch, to be named again with the reply to it.
pub const TOKEN: &str = "hiwar-token";
/// Header that lists files this node would like to be given, to a node that accepts no connection.
pub const WANTED_FILES: &str = "hiwar-wanted-attachments";

/// Fetches what waits for the asker, and answers the batch fetched before.
#[derive(Debug, Serialize, Deserialize)]
pub struct FetchRequest {
    /// How long to wait for something, in milliseconds.
    pub wait_ms: u64,
    /// The token of the batch that `reply` answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The reply to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Box<serde_json::value::RawValue>>,
    /// Whether the asker is giving files already and need not be told what is wanted.
    #[serde(default)]
    pub giving: bool,
}

/// Why a peer's request is refused.
#[derive(Debug)]
pub(crate) struct PeerRefusal {
    status: StatusCode,
    code: &'static str,
    detail: String,
}

impl PeerRefusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl ToString) -> Self {
        Self { status, code, detail: detail.to_string() }
    }
}

impl From<WriterError> for PeerRefusal {
    fn from(error: WriterError) -> Self {
        use hiwar_dialogue::engine::EngineError;
        use hiwar_dialogue::ledger::StoreError;
        let (status, code) = match &error {
            WriterError::Engine(EngineError::Peer { .. }) => (StatusCode::FORBIDDEN, "not-dealt-with"),
            WriterError::Engine(EngineError::Halted(_)) => (StatusCode::SERVICE_UNAVAILABLE, "halted"),
            WriterError::Store(StoreError::Full(_)) => (StatusCode::INSUFFICIENT_STORAGE, "disk-full"),
            WriterError::Stopped => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
            WriterError::Engine(_) | WriterError::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        Self::new(status, code, error)
    }
}

impl From<WireError> for PeerRefusal {
    fn from(error: WireError) -> Self {
        let (status, code) = match &error {
            WireError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            WireError::WrongDestination { .. } => (StatusCode::MISDIRECTED_REQUEST, "wrong-destination"),
            WireError::WrongSender { .. } => (StatusCode::FORBIDDEN, "wrong-sender"),
            _ => (StatusCode::BAD_REQUEST, "malformed"),
        };
        Self::new(status, code, error)
    }
}

/// The routes peers and the public use.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route(&format!("{PREFIX}/session"), post(session))
        .route(&format!("{PREFIX}/batch"), post(batch))
        .route(&format!("{PREFIX}/fetch"), post(fetch))
        .route(&format!("{PREFIX}/attachments/read"), post(attachments::read))
        .route(&format!("{PREFIX}/attachments/write"), post(attachments::write))
        .route("/.well-known/did.json", get(public::did_document))
        .route("/.well-known/hiwar/cards.json", get(public::cards))
        .route("/log/checkpoint", get(public::checkpoint))
        .route("/log/{*tile}", get(tile))
        .fallback(public::did_document_at_path)
        .with_state(shared.clone())
        .merge(dataspace::router(shared.clone()))
        .merge(Inbox::new(shared.dataspace().letterbox()).routes())
        .merge(crate::claims::router(shared.clone()))
        .merge(crate::claims::issuer::router(shared.clone()))
        .merge(data(&shared).routes())
}

/// The data plane's side of a pull.
fn data(shared: &Shared) -> Serve {
    let dataspace = shared.dataspace();
    Serve::new(dataspace.door(), dataspace.outbound.clone()).with_stores(dataspace.stores.clone())
}

async fn tile(State(shared): State<Arc<Shared>>, Path(path): Path<String>) -> Response {
    public::tile(&shared, &path).await
}

/// A request whose sender is known.
pub(crate) struct Authentic {
    pub(crate) peer: Arc<Identity>,
    pub(crate) body: Vec<u8>,
    pub(crate) query: Option<String>,
    signature: ReceivedSignature,
}

struct Named<'a> {
    digest: &'a str,
    destination: &'a str,
    session: &'a str,
    sequence: &'a str,
    input: &'a str,
    signature: &'a str,
}

fn named(headers: &HeaderMap) -> Result<Named<'_>, PeerRefusal> {
    let one = |name: &'static str| {
        let mut values = headers.get_all(name).iter();
        match (values.next().and_then(|v| v.to_str().ok()), values.next()) {
            (Some(value), None) => Ok(value),
            _ => Err(PeerRefusal::new(
                StatusCode::UNAUTHORIZED,
                "not-signed",
                format!("the header {name} must stand exactly once"),
            )),
        }
    };
    Ok(Named {
        digest: one("content-digest")?,
        destination: one(DESTINATION)?,
        session: one(SESSION)?,
        sequence: one(SEQUENCE)?,
        input: one("signature-input")?,
        signature: one("signature")?,
    })
}

/// Who a request comes from: its signature must be by the node key in the newest card of a peer.
/// `learn` gives the peer's chance to show newer cards first.
async fn authenticate(
    shared: &Shared,
    request: Request,
    admit: Option<Channel>,
) -> Result<Authentic, PeerRefusal> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| {
        PeerRefusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            format!("the body has more than {BODY_BYTES_MAX} bytes or broke off"),
        )
    })?;
    let named = named(&head.headers)?;
    let unsigned =
        |e: httpsig::HttpSigError| PeerRefusal::new(StatusCode::UNAUTHORIZED, "wrong-signature", e);
    let signature = ReceivedSignature::of_request(named.input, named.signature).map_err(unsigned)?;
    if named.destination != shared.did.as_str() {
        return Err(PeerRefusal::new(
            StatusCode::MISDIRECTED_REQUEST,
            "wrong-destination",
            format!("the request is meant for {}, this is {}", named.destination, shared.did),
        ));
    }
    if admit.is_none() {
        learn_cards(shared, &body).await?;
    }
    let Some(peer) = shared.peer_by_node_key(signature.key) else {
        return Err(PeerRefusal::new(
            StatusCode::FORBIDDEN,
            "unknown-key",
            "no peer of this node has this node key; exchange invitations first, or show the newer card when asking for a session",
        ));
    };
    let path = head.uri.path_and_query().map_or("/", |p| p.as_str());
    let parts = RequestParts {
        method: head.method.as_str(),
        path_and_query: path,
        content_digest: named.digest,
        destination: named.destination,
        session: named.session,
        sequence: named.sequence,
    };
    httpsig::verify_request(&parts, &Hash::of(&body), &signature, &peer.latest().node_key)
        .map_err(unsigned)?;
    if let Some(channel) = admit {
        let number = named.sequence.parse().map_err(|_| {
            PeerRefusal::new(StatusCode::BAD_REQUEST, "malformed", "hiwar-sequence must be a whole number")
        })?;
        shared.sessions.admit(peer.did(), named.session, channel, number).map_err(|error| match error {
            SessionError::Unknown => PeerRefusal::new(StatusCode::UNAUTHORIZED, "unknown-session", error),
            SessionError::Replayed => PeerRefusal::new(StatusCode::CONFLICT, "replayed", error),
        })?;
    }
    let query = head.uri.query().map(ToOwned::to_owned);
    Ok(Authentic { peer, body: body.into(), query, signature })
}

/// Cards shown with a request for a session may be newer than those held: a rotated node key would
/// otherwise never be accepted.
async fn learn_cards(shared: &Shared, body: &[u8]) -> Result<(), PeerRefusal> {
    let request: SessionRequest =
        crate::json::parse(body).map_err(|e| PeerRefusal::new(StatusCode::BAD_REQUEST, "malformed", e))?;
    let Some(newest) = request.cards.last() else { return Ok(()) };
    let did = newest.card.did.clone();
    let Some(held) = shared.writer.directory().get(&did).cloned() else { return Ok(()) };
    if did == shared.did {
        return Ok(());
    }
    let known = request.cards.iter().zip(held.cards()).take_while(|(a, b)| a.card == b.card).count();
    let others: Vec<_> = request.cards.into_iter().skip(known).take(16).collect();
    // Newer cards are learned, and a contradicting one ends trust; anything else anybody could send.
    let Some(first) = others.first().cloned() else { return Ok(()) };
    match Identity::clone(&held).extend(first) {
        Ok(true) | Err(IdentityError::Fork { .. }) => Ok(shared.writer.learn_cards(did, others).await?),
        Ok(false) | Err(_) => Ok(()),
    }
}

/// Answers a peer, signed and bound to its request.
pub(crate) fn answer(
    shared: &Shared,
    request: &Authentic,
    status: StatusCode,
    extra: &[(&'static str, String)],
    body: Vec<u8>,
) -> Response {
    let digest = httpsig::content_digest(&Hash::of(&body));
    let parts = ResponseParts {
        status: status.as_u16(),
        content_digest: &digest,
        request_signature: &request.signature.signature,
    };
    let keys = shared.keys();
    let signed = match httpsig::sign_response(&parts, now(), &*keys.node) {
        Ok(signed) => signed,
        Err(error) => {
            tracing::error!(%error, "an answer could not be signed");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let mut response = Response::builder()
        .status(status)
        .header("content-digest", digest)
        .header("signature-input", signed.signature_input)
        .header("signature", signed.signature);
    for (name, value) in extra {
        response = response.header(*name, value);
    }
    response.body(Body::from(body)).unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// Refuses a peer; signed when it is known who asks.
pub(crate) fn refuse(shared: &Shared, request: Option<&Authentic>, refusal: PeerRefusal) -> Response {
    shared.metrics.peer_requests_refused.get_or_create(&CodeLabel { code: refusal.code.into() }).inc();
    tracing::info!(code = refusal.code, detail = %refusal.detail, peer = ?request.map(|r| r.peer.did()), "request refused");
    // What failed inside, and in which folder, is no business of the peer's.
    let detail = match refusal.code {
        "internal" => "this node could not do it; its operator finds the cause in its log".to_owned(),
        _ => refusal.detail,
    };
    let body = ErrorBody { code: refusal.code.into(), detail };
    let bytes = serde_json::to_vec(&body).unwrap_or_default();
    match request {
        Some(request) => answer(shared, request, refusal.status, &[], bytes),
        None => (refusal.status, bytes).into_response(),
    }
}

async fn must_not_be_retired(shared: &Shared, peer: &Did) -> Result<(), PeerRefusal> {
    let did = peer.clone();
    let retired = shared
        .writer
        .query(move |engine, _| engine.peers().any(|p| p.did == did && p.standing == Standing::Retired))
        .await?;
    if retired {
        let detail = format!("{peer} was retired by this node's operator");
        return Err(PeerRefusal::new(StatusCode::FORBIDDEN, "not-dealt-with", detail));
    }
    Ok(())
}

/// Runs a handler for an authenticated request.
pub(crate) async fn with_peer<F, Fut>(
    shared: Arc<Shared>,
    request: Request,
    admit: Option<Channel>,
    handle: F,
) -> Response
where
    F: FnOnce(Arc<Shared>, Arc<Authentic>) -> Fut,
    Fut: Future<Output = Result<Response, PeerRefusal>>,
{
    let authentic = match authenticate(&shared, request, admit).await {
        Ok(authentic) => Arc::new(authentic),
        Err(refusal) => return refuse(&shared, None, refusal),
    };
    // Whether batches of a peer are taken is for the engine to say.
    if admit != Some(Channel::Batch)
        && let Err(refusal) = must_not_be_retired(&shared, authentic.peer.did()).await
    {
        return refuse(&shared, Some(&authentic), refusal);
    }
    match handle(shared.clone(), authentic.clone()).await {
        Ok(response) => response,
        Err(refusal) => refuse(&shared, Some(&authentic), refusal),
    }
}

async fn session(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    with_peer(shared, request, None, async |shared, authentic| {
        let name = hex::encode(
            random::<16>().map_err(|e| PeerRefusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", e))?,
        );
        shared.sessions.start(authentic.peer.did(), name.clone());
        let asked: SessionRequest = crate::json::parse(&authentic.body)
            .map_err(|e| PeerRefusal::new(StatusCode::BAD_REQUEST, "malformed", e))?;
        let held = asked.knows_card.map_or(0, |n| usize::try_from(n).unwrap_or(usize::MAX).saturating_add(1));
        let cards = shared.identity().cards().iter().skip(held).take(16).cloned().collect();
        let body = serde_json::to_vec(&SessionAnswer { session: name, cards }).unwrap_or_default();
        Ok(answer(&shared, &authentic, StatusCode::OK, &[], body))
    })
    .await
}

async fn batch(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    with_peer(shared, request, Some(Channel::Batch), async |shared, authentic| {
        let reply = take_batch(&shared, authentic.peer.did(), authentic.body.clone()).await?;
        let body = write_reply(&reply)?;
        Ok(answer(&shared, &authentic, StatusCode::OK, &[], body))
    })
    .await
}

fn write_reply(reply: &wire::Reply) -> Result<Vec<u8>, PeerRefusal> {
    serde_json::to_vec(reply).map_err(|e| PeerRefusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", e))
}

/// Verifies a batch on a thread of its own and has the writer take it.
pub(crate) async fn take_batch(
    shared: &Arc<Shared>,
    from: &Did,
    body: Vec<u8>,
) -> Result<wire::Reply, PeerRefusal> {
    let directory = shared.writer.directory();
    let verified =
        tokio::task::spawn_blocking(move || wire::verify_batch_on(VERIFY_THREADS, &body, &directory))
            .await
            .map_err(|e| PeerRefusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", e))??;
    if verified.header.to != shared.did {
        return Err(WireError::WrongDestination { to: verified.header.to }.into());
    }
    if verified.header.from != *from {
        return Err(WireError::WrongSender { from: verified.header.from, signer: from.clone() }.into());
    }
    tracing::debug!(%from, entries = verified.lines.len(), "batch received");
    Ok(shared.writer.receive(from.clone(), verified).await?)
}

async fn fetch(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    with_peer(shared, request, Some(Channel::Fetch), async |shared, authentic| {
        let asked: FetchRequest = crate::json::parse(&authentic.body)
            .map_err(|e| PeerRefusal::new(StatusCode::BAD_REQUEST, "malformed", e))?;
        let did = authentic.peer.did().clone();
        settle_fetched(&shared, &authentic.peer, &asked).await?;
        let until = tokio::time::Instant::now() + Duration::from_millis(asked.wait_ms).min(FETCH_WAIT_MAX);
        let mut commits = shared.writer.commits();
        let mut wanted = String::new();
        loop {
            commits.mark_unchanged();
            if wanted.is_empty() && !asked.giving {
                wanted = attachments::wanted_from(&shared, &did).await;
            }
            let mut extra = Vec::new();
            if !wanted.is_empty() {
                extra.push((WANTED_FILES, wanted.clone()));
            }
            match shared.writer.plan(did.clone()).await? {
                Plan::Push(push) => {
                    shared.fetched.lock().await.insert(did, push.token);
                    extra.push((TOKEN, push.token.to_string()));
                    return Ok(answer(&shared, &authentic, StatusCode::OK, &extra, push.body));
                }
                Plan::Wait(next) => {
                    let wake = next.map_or(until, |at| shared.instant_of(at).min(until));
                    if tokio::time::Instant::now() >= until || !wanted.is_empty() {
                        return Ok(answer(&shared, &authentic, StatusCode::NO_CONTENT, &extra, Vec::new()));
                    }
                    tokio::select! {
                        () = tokio::time::sleep_until(wake) => {}
                        _ = commits.changed() => {}
                        () = shared.stopping.cancelled() => {
                            return Ok(answer(&shared, &authentic, StatusCode::NO_CONTENT, &extra, Vec::new()));
                        }
                    }
                }
            }
        }
    })
    .await
}

/// Takes the reply to the batch that was fetched before. Without one that batch was lost.
async fn settle_fetched(
    shared: &Arc<Shared>,
    peer: &Arc<Identity>,
    asked: &FetchRequest,
) -> Result<(), PeerRefusal> {
    let did = peer.did().clone();
    let handed = shared.fetched.lock().await.remove(&did);
    let token = asked.token.as_deref().and_then(|t| t.parse::<u64>().ok());
    if let (Some(token), Some(reply)) = (token, &asked.reply) {
        let body = reply.get().as_bytes().to_vec();
        let issuer = peer.clone();
        let verified = tokio::task::spawn_blocking(move || wire::verify_reply(&body, &issuer))
            .await
            .map_err(|e| PeerRefusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", e))??;
        shared.writer.settle(did, token, verified).await?;
    } else if let Some(token) = handed {
        shared.writer.failed(did, token).await?;
    }
    Ok(())
}
