//! The way out: signed requests to one peer's node.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::httpsig::{self, ReceivedSignature, RequestParts, ResponseParts};
use hiwar_trust::identity::{Card, Identity, SignedCard};
use hiwar_trust::key::KeyHolder;
use http::header::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::clock::now;
use crate::tls::{self, OtherKey};

/// How long a connection may take to come up.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long a request may take beyond the time it asks the peer to wait.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);
/// Refusals that a new session mends: the peer restarted; another link to it has outrun this one; or
/// it was restored from a backup and knows an older card, and the request for a session shows the
/// newest.
const RENEWS_SESSION: [&str; 3] = ["unknown-session", "replayed", "unknown-key"];
/// Most cards taken from one answer.
const CARDS_MAX: usize = 16;
/// Largest answer read.
const ANSWER_BYTES_MAX: usize = hiwar_dialogue::limits::BATCH_BYTES_MAX + 64 * 1024;

/// Path prefix of the peers' protocol.
pub const PREFIX: &str = "/hiwar/v1";
/// Header that names the node a request is meant for.
pub const DESTINATION: &str = "hiwar-destination";
/// Header that names the session.
pub const SESSION: &str = "hiwar-session";
/// Header with the request's number.
pub const SEQUENCE: &str = "hiwar-sequence";

/// Asks for a session.
#[derive(Debug, Serialize, Deserialize)]
pub struct SessionRequest {
    /// The asker's cards.
    pub cards: Vec<SignedCard>,
    /// Sequence of the other's newest card that the asker holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knows_card: Option<u64>,
}

/// Grants a session.
#[derive(Debug, Serialize, Deserialize)]
pub struct SessionAnswer {
    /// The session's name.
    pub session: String,
    /// The cards that the asker lacks; the newest may name the key that signs this answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cards: Vec<SignedCard>,
}

/// An error as it travels.
#[derive(Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Stable code.
    pub code: String,
    /// In words, with what would mend it.
    pub detail: String,
}

/// Why a request brought no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The peer's card has no address to connect to.
    #[error("{0} accepts no connection; it fetches what waits for it")]
    NoEndpoint(Did),
    /// An address is not allowed.
    #[error("the address {0:?} is not allowed: without TLS only the loopback interface may be used")]
    Insecure(String),
    /// No connection, or it broke.
    #[error("{did} cannot be reached: {problem}")]
    Unreachable {
        /// The peer.
        did: Did,
        /// The problem with its causes.
        problem: String,
    },
    /// Somebody else's certificate.
    #[error("{0} cannot be reached: {OtherKey}")]
    OtherCertificate(Did),
    /// The peer answered with an error.
    #[error("{did} answered {status} ({code}): {detail}")]
    Refused {
        /// The peer.
        did: Did,
        /// HTTP status.
        status: u16,
        /// Stable code.
        code: String,
        /// In words.
        detail: String,
    },
    /// The answer is not signed by the peer's node.
    #[error("the answer is not signed by the node of {did}: {problem}")]
    Forged {
        /// The peer.
        did: Did,
        /// The problem.
        problem: String,
    },
    /// The request could not be made.
    #[error("the request could not be made: {0}")]
    Making(String),
}

/// An answer whose signature was verified.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status, 200 or 204.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Vec<u8>,
}

/// What came back for a request, not verified yet.
struct Received {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    request: ReceivedSignature,
}

/// A link to one peer: its connection pool, session and counter.
pub struct PeerLink {
    me: Arc<Identity>,
    key: Arc<dyn KeyHolder>,
    peer: Arc<Identity>,
    from: Option<IpAddr>,
    http: Option<(Option<Hash>, reqwest::Client)>,
    session: Option<String>,
    sequence: u64,
    learned: Vec<SignedCard>,
}

impl PeerLink {
    /// A link that connects when it is first used, from the local address `from` if one is given.
    pub fn new(
        me: Arc<Identity>,
        key: Arc<dyn KeyHolder>,
        peer: Arc<Identity>,
        from: Option<IpAddr>,
    ) -> Self {
        Self { me, key, peer, from, http: None, session: None, sequence: 0, learned: Vec::new() }
    }

    /// Goes on with newer cards of either side.
    pub fn renew(&mut self, me: Arc<Identity>, key: Arc<dyn KeyHolder>, peer: Arc<Identity>) {
        if peer.latest() != self.peer.latest() || me.latest() != self.me.latest() {
            self.session = None;
        }
        self.me = me;
        self.key = key;
        self.peer = peer;
    }

    /// The peer.
    pub fn peer(&self) -> &Arc<Identity> {
        &self.peer
    }

    /// Posts `body` to the peer, asking for a session first when there is none.
    ///
    /// # Errors
    /// When there is no verified answer with status 200 or 204.
    pub async fn post(&mut self, path: &str, body: Vec<u8>, wait: Duration) -> Result<Answer, ClientError> {
        let mut renewed = false;
        loop {
            if self.session.is_none() {
                self.open_session().await?;
            }
            let session = self.session.clone().unwrap_or_default();
            self.sequence += 1;
            let sequence = self.sequence.to_string();
            let received = self.send(path, body.clone(), &session, &sequence, wait).await?;
            if !renewed && self.is_by_unknown_key(&received) {
                // Its node key was replaced a moment ago; the answer to the request for a session
                // brings the card that names the new one.
                self.open_session().await?;
                return self.accept(received, &self.peer);
            }
            match self.accept(received, &self.peer) {
                Err(ClientError::Refused { code, .. })
                    if RENEWS_SESSION.contains(&code.as_str()) && !renewed =>
                {
                    renewed = true;
                    self.session = None;
                }
                other => return other,
            }
        }
    }

    /// Whether an answer claims to be signed by a node key that no card of the peer held here names.
    fn is_by_unknown_key(&self, received: &Received) -> bool {
        let text = |name: &str| received.headers.get(name).and_then(|v| v.to_str().ok());
        let (Some(input), Some(signature)) = (text("signature-input"), text("signature")) else {
            return false;
        };
        ReceivedSignature::of_response(input, signature)
            .is_ok_and(|claimed| self.peer.node_keys().all(|key| key.id() != claimed.key))
    }

    async fn open_session(&mut self) -> Result<(), ClientError> {
        let making = |e: serde_json::Error| ClientError::Making(e.to_string());
        let knows_card = Some(self.peer.latest().sequence);
        let request = SessionRequest { cards: self.me.cards().to_vec(), knows_card };
        let body = serde_json::to_vec(&request).map_err(making)?;
        let received = self.send(&format!("{PREFIX}/session"), body, "new", "0", Duration::ZERO).await?;
        let shown = serde_json::from_slice::<SessionAnswer>(&received.body).map(|answer| answer.cards);
        let mut peer = Identity::clone(&self.peer);
        let mut learned = Vec::new();
        for card in shown.unwrap_or_default().into_iter().take(CARDS_MAX) {
            if peer.extend(card.clone()).is_ok_and(|newer| newer) {
                learned.push(card);
            }
        }
        let answer = self.accept(received, &peer)?;
        let granted: SessionAnswer = serde_json::from_slice(&answer.body).map_err(making)?;
        if !learned.is_empty() {
            self.peer = Arc::new(peer);
            self.learned = learned;
        }
        self.session = Some(granted.session);
        self.sequence = 0;
        Ok(())
    }

    /// Cards of the peer that the last request for a session brought.
    pub fn take_learned(&mut self) -> Vec<SignedCard> {
        std::mem::take(&mut self.learned)
    }

    async fn send(
        &mut self,
        path: &str,
        body: Vec<u8>,
        session: &str,
        sequence: &str,
        wait: Duration,
    ) -> Result<Received, ClientError> {
        let did = self.peer.did().clone();
        let url = format!("{}{path}", endpoint(self.peer.latest())?);
        let digest = httpsig::content_digest(&Hash::of(&body));
        let parts = RequestParts {
            method: "POST",
            path_and_query: path,
            content_digest: &digest,
            destination: did.as_str(),
            session,
            sequence,
        };
        let signed = httpsig::sign_request(&parts, now(), &*self.key)
            .map_err(|e| ClientError::Making(e.to_string()))?;
        let request = ReceivedSignature::of_request(&signed.signature_input, &signed.signature)
            .map_err(|e| ClientError::Making(e.to_string()))?;
        let unreachable = |e: reqwest::Error| {
            if tls::is_other_key(&e) {
                ClientError::OtherCertificate(did.clone())
            } else {
                ClientError::Unreachable { did: did.clone(), problem: causes(&e) }
            }
        };
        let response = self
            .client()?
            .post(url)
            .timeout(REQUEST_LIMIT + wait)
            .header("content-digest", &digest)
            .header(DESTINATION, did.as_str())
            .header(SESSION, session)
            .header(SEQUENCE, sequence)
            .header("signature-input", signed.signature_input)
            .header("signature", signed.signature)
            .body(body)
            .send()
            .await
            .map_err(unreachable)?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = read_limited(response, &did).await?;
        Ok(Received { status, headers, body, request })
    }

    fn accept(&self, received: Received, peer: &Identity) -> Result<Answer, ClientError> {
        let Received { status, headers, body, request } = received;
        self.verify_answer(status, &headers, &body, &request, peer)?;
        let did = peer.did().clone();
        if status == 200 || status == 204 {
            return Ok(Answer { status, headers, body });
        }
        let error: ErrorBody = serde_json::from_slice(&body).unwrap_or_else(|_| ErrorBody {
            code: "unknown".into(),
            detail: String::from_utf8_lossy(&body).chars().take(200).collect(),
        });
        Err(ClientError::Refused { did, status, code: error.code, detail: error.detail })
    }

    /// An answer counts only when the peer's node signed it for this very request. Errors before
    /// the peer knows who asks are not signed; they are believed only as errors.
    fn verify_answer(
        &self,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
        request: &ReceivedSignature,
        peer: &Identity,
    ) -> Result<(), ClientError> {
        let forged = |problem: String| ClientError::Forged { did: self.peer.did().clone(), problem };
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
        let (Some(digest), Some(input), Some(signature)) =
            (text("content-digest"), text("signature-input"), text("signature"))
        else {
            let is_error = status >= 400;
            return if is_error { Ok(()) } else { Err(forged("it bears no signature".into())) };
        };
        let received = ReceivedSignature::of_response(input, signature).map_err(|e| forged(e.to_string()))?;
        let parts = ResponseParts { status, content_digest: digest, request_signature: &request.signature };
        let hash = Hash::of(body);
        let mut problem = "no node key of it fits".to_owned();
        for key in peer.node_keys() {
            match httpsig::verify_response(&parts, &hash, &received, key) {
                Ok(()) => return Ok(()),
                Err(error) => problem = error.to_string(),
            }
        }
        Err(forged(problem))
    }

    fn client(&mut self) -> Result<reqwest::Client, ClientError> {
        let pin = self.peer.latest().tls_key;
        if let Some((held, client)) = &self.http
            && *held == pin
        {
            return Ok(client.clone());
        }
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .pool_idle_timeout(Duration::from_secs(60))
            .tcp_nodelay(true)
            .local_address(self.from)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        if let Some(pin) = pin {
            let config = tls::pinned_client(pin).map_err(|e| ClientError::Making(e.to_string()))?;
            builder = builder.tls_backend_preconfigured(config);
        }
        let client = builder.build().map_err(|e| ClientError::Making(causes(&e)))?;
        self.http = Some((pin, client.clone()));
        Ok(client)
    }
}

/// The address in a card that is to be used.
pub(crate) fn endpoint(card: &Card) -> Result<&str, ClientError> {
    let endpoint = card.endpoints.first().ok_or_else(|| ClientError::NoEndpoint(card.did.clone()))?;
    let plain = endpoint.strip_prefix("http://");
    let loopback = |rest: &str| {
        let authority = rest.split('/').next().unwrap_or_default();
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        ["127.0.0.1", "localhost", "[::1]"].contains(&host) || authority == "[::1]"
    };
    if plain.is_some_and(|rest| !loopback(rest)) {
        return Err(ClientError::Insecure(endpoint.clone()));
    }
    Ok(endpoint.trim_end_matches('/'))
}

async fn read_limited(response: reqwest::Response, did: &Did) -> Result<Vec<u8>, ClientError> {
    use futures_util::StreamExt as _;
    let mut body = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(part) = stream.next().await {
        let part = part.map_err(|e| ClientError::Unreachable { did: did.clone(), problem: causes(&e) })?;
        if body.len() + part.len() > ANSWER_BYTES_MAX {
            return Err(ClientError::Forged { did: did.clone(), problem: "it is too large".into() });
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
