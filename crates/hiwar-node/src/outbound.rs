//! Connections to addresses that others give: callbacks, data addresses, hosts of did:web.
//!
//! A stranger who can make the node fetch a URL of his choice reaches what only the node reaches:
//! services on its own machine and network, and a cloud's credentials (server-side request forgery).
//! So each URL is checked as it is written, and each address again when the connection is made, by
//! the resolver of the very client that connects: a name that changes its address in between
//! (DNS rebinding) gains nothing. No redirect is followed and no proxy of the environment is used.
//!
//! A peer known by its card is different: a person confirmed that card. Its own address may be
//! private, and its TLS key is pinned.

mod address;
mod rule;

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use hiwar_trust::hash::Hash;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt as _;

use self::rule::Origin;
pub use self::rule::{AddressRule, Allow, AllowError, Refused, URL_BYTES_MAX};
use crate::tls;

/// How long a connection may take to come up.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long the other side may send nothing.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);
/// How long a small document may take in all.
const DOCUMENT_LIMIT: Duration = Duration::from_secs(30);
/// How long an idle connection is kept.
const IDLE_LIMIT: Duration = Duration::from_secs(60);
/// Most clients kept; each has the connections to one origin.
const CLIENTS_MAX: usize = 128;

/// Where a request goes, and why the address is believed.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A URL that somebody gave: the rule decides.
    Stranger(&'a Url),
    /// A URL below the address in the card of a known peer.
    Pinned {
        /// The URL.
        url: &'a Url,
        /// The address in the peer's card.
        endpoint: &'a str,
        /// Digest of the TLS key in the peer's card; without one an authority must vouch for it.
        pin: Option<Hash>,
    },
}

impl<'a> Target<'a> {
    /// The URL.
    pub fn url(&self) -> &'a Url {
        match self {
            Self::Stranger(url) | Self::Pinned { url, .. } => url,
        }
    }
}

/// How far the addresses of a party are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Not at all: the rule decides about each.
    Stranger,
    /// A known peer: URLs below the address in its card are pinned; about any other the rule decides.
    Peer {
        /// The address in its card.
        endpoint: String,
        /// Digest of the TLS key in its card.
        pin: Option<Hash>,
    },
}

impl Trust {
    /// How a URL of that party is reached.
    pub fn target<'a>(&'a self, url: &'a Url) -> Target<'a> {
        match self {
            Self::Peer { endpoint, pin } if pinned_origin(url, endpoint).is_ok() => {
                Target::Pinned { url, endpoint, pin: *pin }
            }
            _ => Target::Stranger(url),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboundError {
    /// The address is refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// No connection, or it broke.
    #[error("{origin} cannot be reached: {problem}")]
    Unreachable {
        /// Scheme, host and port.
        origin: String,
        /// The problem with its causes.
        problem: String,
    },
    /// The answer is larger than was asked for.
    #[error("the answer of {origin} is larger than {limit} bytes")]
    TooLarge {
        /// Scheme, host and port.
        origin: String,
        /// Most bytes that would be read.
        limit: usize,
    },
    /// TLS cannot be set up here.
    #[error("the client cannot be set up: {0}")]
    Setup(String),
}

/// Finds a name's addresses. The operating system's way, except in tests.
pub(crate) trait Lookup: Send + Sync {
    /// The addresses of `name`.
    fn addresses(&self, name: String) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>>;
}

struct System;

impl Lookup for System {
    fn addresses(&self, name: String) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>> {
        Box::pin(
            async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|found| found.ip()).collect()) },
        )
    }
}

/// The resolver of the clients for one origin: lets pass only addresses that the rule admits.
struct Guard {
    rule: Arc<AddressRule>,
    origin: Origin,
    lookup: Arc<dyn Lookup>,
}

impl Guard {
    /// The addresses of a name that the rule admits. Those that it does not are left out; when none
    /// remains, the first refusal is the error.
    fn admitted(&self, found: Vec<IpAddr>) -> Result<Vec<SocketAddr>, Refused> {
        let mut refused = None;
        let mut admitted = Vec::new();
        for address in found {
            match self.rule.admit(&self.origin, address) {
                Ok(()) => admitted.push(SocketAddr::new(address, 0)),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match refused {
            Some(error) if admitted.is_empty() => Err(error),
            _ => Ok(admitted),
        }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let looking = self.lookup.addresses(name.as_str().to_owned());
        let guard =
            Self { rule: self.rule.clone(), origin: self.origin.clone(), lookup: self.lookup.clone() };
        Box::pin(async move {
            let addresses = guard.admitted(looking.await?)?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// What a client may be used for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Use {
    Stranger(String),
    Pinned(String, Option<Hash>),
}

/// Makes and keeps the clients.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use hiwar_node::outbound::{AddressRule, Outbound, Target};
/// let outbound = Outbound::new(AddressRule::default(), None);
/// let url = "https://participant.example/.well-known/did.json".parse()?;
/// let document = outbound.get(Target::Stranger(&url), 64 * 1024).await?;
/// # Ok(()) }
/// ```
pub struct Outbound {
    rule: Arc<AddressRule>,
    from: Option<IpAddr>,
    lookup: Arc<dyn Lookup>,
    authorities: OnceLock<ClientConfig>,
    clients: Mutex<VecDeque<(Use, reqwest::Client)>>,
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound").field("rule", &self.rule).field("from", &self.from).finish_non_exhaustive()
    }
}

impl Outbound {
    /// Clients under `rule`, from the local address `from` if one is given.
    pub fn new(rule: AddressRule, from: Option<IpAddr>) -> Self {
        Self::with_lookup(rule, from, Arc::new(System))
    }

    pub(crate) fn with_lookup(rule: AddressRule, from: Option<IpAddr>, lookup: Arc<dyn Lookup>) -> Self {
        Self {
            rule: Arc::new(rule),
            from,
            lookup,
            authorities: OnceLock::new(),
            clients: Mutex::new(VecDeque::new()),
        }
    }

    /// The rule.
    pub fn rule(&self) -> &AddressRule {
        &self.rule
    }

    /// The client for a target. Its connections are kept: ask again for each request, the same
    /// client comes back. It must be used for this target's origin only.
    ///
    /// It follows no redirect, uses no proxy, gives up connecting after 10 s and reading after 60 s of
    /// silence. How long a request may take in all and how much is read is for the caller to say.
    ///
    /// # Errors
    /// When the target's address is refused, or TLS cannot be set up.
    pub fn client_for(&self, target: Target<'_>) -> Result<reqwest::Client, OutboundError> {
        let (used, origin) = match target {
            Target::Stranger(url) => {
                let origin = self.rule.origin(url)?;
                (Use::Stranger(origin.text.clone()), origin)
            }
            Target::Pinned { url, endpoint, pin } => {
                let origin = pinned_origin(url, endpoint)?;
                (Use::Pinned(origin.text.clone(), pin), origin)
            }
        };
        if let Some(client) = self.held(&used) {
            return Ok(client);
        }
        let client = self.build(&used, origin)?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.push_front((used, client.clone()));
        clients.truncate(CLIENTS_MAX);
        Ok(client)
    }

    /// A request to a target, by its client.
    ///
    /// # Errors
    /// As [`Self::client_for`].
    pub fn request(
        &self,
        method: http::Method,
        target: Target<'_>,
    ) -> Result<reqwest::RequestBuilder, OutboundError> {
        Ok(self.client_for(target)?.request(method, target.url().clone()))
    }

    fn held(&self, used: &Use) -> Option<reqwest::Client> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let at = clients.iter().position(|(held, _)| held == used)?;
        let found = clients.remove(at)?;
        let client = found.1.clone();
        clients.push_front(found);
        Some(client)
    }

    fn build(&self, used: &Use, origin: Origin) -> Result<reqwest::Client, OutboundError> {
        let builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .read_timeout(SILENCE_LIMIT)
            .pool_idle_timeout(IDLE_LIMIT)
            .tcp_nodelay(true)
            .local_address(self.from)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy();
        let builder = match used {
            Use::Stranger(_) => {
                let (rule, lookup) = (self.rule.clone(), self.lookup.clone());
                builder.tls_backend_preconfigured(self.authorities()?).dns_resolver(Arc::new(Guard {
                    rule,
                    origin,
                    lookup,
                }))
            }
            Use::Pinned(_, Some(pin)) => {
                let config = tls::pinned_client(*pin).map_err(|e| OutboundError::Setup(e.to_string()))?;
                builder.tls_backend_preconfigured(config)
            }
            Use::Pinned(_, None) => builder.tls_backend_preconfigured(self.authorities()?),
        };
        builder.build().map_err(|e| OutboundError::Setup(causes(&e)))
    }

    /// TLS under the authorities that the operating system trusts, read once.
    fn authorities(&self) -> Result<ClientConfig, OutboundError> {
        if let Some(config) = self.authorities.get() {
            return Ok(config.clone());
        }
        let setup = |e: rustls::Error| OutboundError::Setup(e.to_string());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(setup)?
            .with_platform_verifier()
            .map_err(setup)?
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(self.authorities.get_or_init(|| config).clone())
    }

    /// Checks a stranger's URL as it is written and by the addresses that it has now. For an early
    /// refusal only: the addresses are checked again when a connection is made.
    ///
    /// # Errors
    /// When it is refused, or its name has no address.
    pub async fn examine(&self, url: &Url) -> Result<(), OutboundError> {
        let origin = self.rule.origin(url)?;
        let host = url.host_str().unwrap_or_default();
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        if bare.parse::<IpAddr>().is_ok() {
            return Ok(());
        }
        let text = origin.text.clone();
        let found = tokio::time::timeout(CONNECT_LIMIT, self.lookup.addresses(bare.to_owned())).await;
        let unreachable = |problem: String| OutboundError::Unreachable { origin: text.clone(), problem };
        let found = found.map_err(|_| unreachable("its name is not resolved in time".into()))?;
        let found = found.map_err(|e| unreachable(e.to_string()))?;
        let guard = Guard { rule: self.rule.clone(), origin, lookup: self.lookup.clone() };
        Ok(guard.admitted(found).map(drop)?)
    }

    /// Gets a small document: at most `limit` bytes within 30 seconds, and only with status 200.
    ///
    /// # Errors
    /// When the address is refused, cannot be reached, or answers otherwise.
    pub async fn get(&self, target: Target<'_>, limit: usize) -> Result<Vec<u8>, OutboundError> {
        let url = target.url();
        let request = self.request(http::Method::GET, target)?.timeout(DOCUMENT_LIMIT);
        let response = request.send().await.map_err(|e| failure(url, &e))?;
        if response.status() != http::StatusCode::OK {
            let problem = format!("it answered {}", response.status());
            return Err(OutboundError::Unreachable { origin: origin_text(url), problem });
        }
        read_limited(response, limit).await
    }
}

/// Reads at most `limit` bytes of an answer.
///
/// # Errors
/// When there are more, or the connection breaks.
pub async fn read_limited(response: reqwest::Response, limit: usize) -> Result<Vec<u8>, OutboundError> {
    let url = response.url().clone();
    let mut body = Vec::new();
    let mut parts = response.bytes_stream();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|e| failure(&url, &e))?;
        if part.len() > limit.saturating_sub(body.len()) {
            return Err(OutboundError::TooLarge { origin: origin_text(&url), limit });
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

/// What a failed request means: a refusal of the resolver is told apart from other problems.
pub fn failure(url: &Url, error: &reqwest::Error) -> OutboundError {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<Refused>() {
            return OutboundError::Refused(refused.clone());
        }
        cause = inner.source();
    }
    OutboundError::Unreachable { origin: origin_text(url), problem: causes(error) }
}

/// Scheme, host and port: what errors and logs may say of a URL, whose path and query can hold secrets.
pub(crate) fn origin_text(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// A pinned target leads to the card's own address, and without TLS on the loopback interface only.
fn pinned_origin(url: &Url, endpoint: &str) -> Result<Origin, Refused> {
    let expected: Url = endpoint.parse().map_err(|_| Refused::Form {
        url: endpoint.chars().take(200).collect(),
        problem: "the address in the peer's card is no URL",
    })?;
    let origin = Origin::of(url)?;
    let card = Origin::of(&expected)?;
    if origin != card {
        return Err(Refused::OtherOrigin { origin: origin.text, expected: card.text });
    }
    if origin.is_plain_beyond_loopback() {
        return Err(Refused::Form {
            url: origin.text,
            problem: "without TLS only the loopback interface may be used",
        });
    }
    Ok(origin)
}

/// An error with its causes. Addresses are left out: their path and query can hold secrets.
pub(crate) fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut text = match error.downcast_ref::<reqwest::Error>() {
        Some(error) => describe(error).to_owned(),
        None => error.to_string(),
    };
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

fn describe(error: &reqwest::Error) -> &'static str {
    match error {
        e if e.is_timeout() => "it took too long",
        e if e.is_connect() => "no connection",
        e if e.is_body() || e.is_decode() => "the connection broke",
        e if e.is_builder() => "the request cannot be made",
        _ => "the request failed",
    }
}

#[cfg(test)]
mod tests;
