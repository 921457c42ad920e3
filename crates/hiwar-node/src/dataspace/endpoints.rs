//! The addresses of DSP 2025-1 (HTTPS binding, sections 6.3, 7.3 and 8.3), for both roles.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hiwar_dataspace::catalog::{Filter, PAGE_DATASETS, PUSH};
use hiwar_dataspace::connector::{Caller, NegotiationCall, Refusal, RefusalKind, TransferCall, is_shown};
use hiwar_dataspace::ledger::Ledger as _;
use hiwar_dataspace::policy::Offer;
use hiwar_dataspace::wire::{
    AgreementMessage, Auth, CatalogError, CatalogRequest, CompletionMessage, Context, EventMessage, Message,
    NegotiationError, NegotiationTermination, OfferMessage, ProtocolVersion, RequestMessage, StartMessage,
    SuspensionMessage, TransferError, TransferRequest, TransferTermination, VERSION, VerificationMessage,
    VersionResponse, WireError,
};
use hiwar_dialogue::ledger::StoreError;
use hiwar_store::dataspace::{Policies, ProcessKind};
use hiwar_trust::hash::Hash;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::callers::Known;
use super::{PATH, conformance};
use crate::clock::now;
use crate::node::Shared;

/// Largest message taken.
pub(super) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The identifier of the one data service of the catalog.
pub(crate) const SERVICE: &str = "urn:hiwar:connector";

/// What a request is about, for the form of the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    Catalog,
    Process(ProcessKind),
}

/// A request that is not served.
#[derive(Debug)]
pub(crate) struct Failed {
    status: StatusCode,
    about: About,
    code: &'static str,
    reason: String,
    pids: (String, String),
}

impl Failed {
    pub(super) fn new(
        status: StatusCode,
        about: About,
        code: &'static str,
        reason: impl Into<String>,
    ) -> Self {
        Self { status, about, code, reason: reason.into(), pids: Default::default() }
    }

    pub(crate) fn internal(reason: String) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, About::Catalog, "internal", reason)
    }

    fn about(mut self, about: About) -> Self {
        self.about = about;
        self
    }

    fn process(refusal: Refusal, kind: ProcessKind) -> Self {
        Self::from(refusal).about(About::Process(kind))
    }
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.kind {
            RefusalKind::BadRequest => StatusCode::BAD_REQUEST,
            RefusalKind::NotFound => StatusCode::NOT_FOUND,
            RefusalKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, about: About::Catalog, code: refusal.code, reason: refusal.reason, pids: refusal.pids }
    }
}

impl From<WireError> for Failed {
    fn from(error: WireError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, About::Catalog, "malformed", error.to_string())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let reason = vec![self.reason];
        let (provider_pid, consumer_pid) = self.pids;
        let code = self.code.to_owned();
        let body = match self.about {
            About::Catalog => serde_json::to_string(&CatalogError { context: Context, code, reason }),
            About::Process(ProcessKind::Negotiation) => serde_json::to_string(&NegotiationError {
                context: Context,
                provider_pid,
                consumer_pid,
                code,
                reason,
            }),
            About::Process(ProcessKind::Transfer) => serde_json::to_string(&TransferError {
                context: Context,
                provider_pid,
                consumer_pid,
                code,
                reason,
            }),
        };
        let mut response = (self.status, json_type(), body.unwrap_or_default()).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

fn json_type() -> [(header::HeaderName, &'static str); 1] {
    [(header::CONTENT_TYPE, "application/json")]
}

fn answer(status: StatusCode, body: &impl Serialize) -> Result<Response, Failed> {
    let text = serde_json::to_string(body).map_err(|e| Failed::internal(e.to_string()))?;
    Ok((status, json_type(), text).into_response())
}

/// Who sends a request.
pub(crate) async fn caller(shared: &Shared, headers: &HeaderMap) -> Result<Known, Failed> {
    let unknown =
        |problem: String| Failed::new(StatusCode::UNAUTHORIZED, About::Catalog, "unauthorized", problem);
    shared.dataspace().callers.known(shared, headers).await.map_err(unknown)
}

/// A process's messages come from its two sides only; others learn nothing of it.
async fn caller_of(shared: &Shared, headers: &HeaderMap, kind: ProcessKind) -> Result<Known, Failed> {
    caller(shared, headers).await.map_err(|failed| failed.about(About::Process(kind)))
}

/// The routes, with and without a slash at the end.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let mut routes = Router::new().route("/.well-known/dspace-version", get(version));
    let both = |routes: Router<Arc<Shared>>, path: &str, method: axum::routing::MethodRouter<Arc<Shared>>| {
        routes.route(&format!("{PATH}{path}"), method.clone()).route(&format!("{PATH}{path}/"), method)
    };
    routes = both(routes, "/catalog/request", post(catalog));
    routes = both(routes, "/catalog/datasets/{id}", get(dataset));
    routes = both(routes, "/negotiations/request", post(negotiation_request));
    routes = both(routes, "/negotiations/offers", post(negotiation_offer));
    routes = both(routes, "/negotiations/{pid}", get(negotiation_status));
    routes = both(routes, "/negotiations/{pid}/request", post(later::<RequestMessage>));
    routes = both(routes, "/negotiations/{pid}/offers", post(later::<OfferMessage>));
    routes = both(routes, "/negotiations/{pid}/agreement", post(later::<AgreementMessage>));
    routes = both(routes, "/negotiations/{pid}/agreement/verification", post(later::<VerificationMessage>));
    routes = both(routes, "/negotiations/{pid}/events", post(later::<EventMessage>));
    routes = both(routes, "/negotiations/{pid}/termination", post(later::<NegotiationTermination>));
    routes = both(routes, "/transfers/request", post(transfer_request));
    routes = both(routes, "/transfers/{pid}", get(transfer_status));
    routes = both(routes, "/transfers/{pid}/start", post(moved::<StartMessage>));
    routes = both(routes, "/transfers/{pid}/suspension", post(moved::<SuspensionMessage>));
    routes = both(routes, "/transfers/{pid}/completion", post(moved::<CompletionMessage>));
    routes = both(routes, "/transfers/{pid}/termination", post(moved::<TransferTermination>));
    routes = routes.route("/data-token/{transfer}", post(super::renew::give));
    if shared.dataspace().callers.kit.is_some() {
        routes = routes
            .route("/conformance/negotiations", post(conformance::negotiation))
            .route("/conformance/transfers", post(conformance::transfer))
            .route("/conformance/verifier", post(conformance::verifier));
    }
    routes
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(super::typed::typed))
        .layer(middleware::from_fn(super::gzip::compress))
        .with_state(shared)
}

/// The versions that are spoken: open to anyone, without a version in its address.
async fn version(State(shared): State<Arc<Shared>>) -> Result<Response, Failed> {
    answer(
        StatusCode::OK,
        &VersionResponse {
            protocol_versions: vec![ProtocolVersion {
                version: VERSION.into(),
                path: PATH.into(),
                binding: "HTTPS".into(),
                identifier_type: Some("did:web".into()),
                service_id: Some(shared.did.as_str().to_owned()),
                auth: Some(Auth {
                    protocol: "DCP".into(),
                    version: "1.0".into(),
                    profile: vec!["vc20-bssl/jwt".into()],
                }),
            }],
        },
    )
}

/// Where a page begins.
#[derive(Debug, Deserialize)]
struct PageOf {
    after: Option<i64>,
}

async fn catalog(
    State(shared): State<Arc<Shared>>,
    Query(page): Query<PageOf>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failed> {
    let known = caller(&shared, &headers).await?;
    let request = CatalogRequest::read(&body)?;
    let filter = Filter::read(&request.filter)?;
    let (facts, at) = (known.facts.clone(), now());
    let found = shared
        .dataspace()
        .read(move |reader| {
            let mut shown = Vec::new();
            for (key, offer) in reader.policies()? {
                let offer: Offer =
                    serde_json::from_str(&offer).map_err(|e| StoreError::Failed(e.to_string()))?;
                if is_shown(&offer, &facts, at) {
                    shown.push(key);
                }
            }
            reader.page(&filter, Policies::These(&shown), page.after, PAGE_DATASETS)
        })
        .await
        .map_err(|e| Failed::internal(e.to_string()))?;
    let connector = &shared.dataspace().connector;
    let head = json!({
        "@context": [hiwar_dataspace::wire::CONTEXT],
        "@id": format!("urn:hiwar:catalog:{}", connector.participant),
        "@type": "Catalog",
        "participantId": connector.participant,
        "service": [{ "@id": SERVICE, "@type": "DataService", "endpointURL": connector.address }],
    });
    let mut text = head.to_string();
    // The datasets are kept as they are shown; they are put in without being read again.
    if !found.rendered.is_empty() {
        text.pop();
        text.push_str(",\"dataset\":[");
        text.push_str(&found.rendered.join(","));
        text.push_str("]}");
    }
    let mut response = (StatusCode::OK, json_type(), text).into_response();
    let mut links = Vec::new();
    let at = format!("{}/catalog/request", connector.address);
    if let Some(next) = found.next {
        links.push(format!("<{at}?after={next}>; rel=\"next\""));
    }
    if let Some(previous) = found.previous {
        links.push(format!("<{at}?after={previous}>; rel=\"previous\""));
    }
    if !links.is_empty()
        && let Ok(value) = HeaderValue::from_str(&links.join(", "))
    {
        response.headers_mut().insert(header::LINK, value);
    }
    Ok(response)
}

async fn dataset(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let known = caller(&shared, &headers).await?;
    let wanted = id.clone();
    let found = shared.dataspace().desk.run(move |tx| Ok(tx.dataset(&wanted)?)).await?;
    let Some(found) = found.filter(|d| is_shown(&d.offer, &known.facts, now())) else {
        let shown: String = id.chars().take(80).collect();
        let reason = format!("no dataset {shown:?} is offered to you; look into the catalog");
        return Err(Failed::new(StatusCode::NOT_FOUND, About::Catalog, "not-found", reason));
    };
    let connector = &shared.dataspace().connector;
    let mut shown = found.to_json(SERVICE);
    let service = json!({ "@id": SERVICE, "@type": "DataService", "endpointURL": connector.address });
    if let Some(members) = shown.as_object_mut() {
        members.insert("@context".into(), json!([hiwar_dataspace::wire::CONTEXT]));
        // Alone, a dataset has no catalog to name the service.
        for distribution in
            members.get_mut("distribution").and_then(|d| d.as_array_mut()).into_iter().flatten()
        {
            distribution["accessService"] = service.clone();
        }
    }
    answer(StatusCode::OK, &shown)
}

const NEGOTIATION: ProcessKind = ProcessKind::Negotiation;
const TRANSFER: ProcessKind = ProcessKind::Transfer;

fn read<M: Message>(body: &[u8], kind: ProcessKind) -> Result<M, Failed> {
    M::read(body).map_err(|e| Failed::from(e).about(About::Process(kind)))
}

async fn negotiation_request(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failed> {
    begun(&shared, &headers, &body, NegotiationCall::Request).await
}

async fn negotiation_offer(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failed> {
    begun(&shared, &headers, &body, NegotiationCall::Offer).await
}

/// An address is looked at before anything is kept under it.
async fn check_address(
    shared: &Shared,
    known: &Known,
    address: &str,
    kind: ProcessKind,
    (code, member): (&'static str, &str),
) -> Result<(), Failed> {
    let wrong = |problem: String| {
        let reason = format!("{member}: {problem}");
        Failed::new(StatusCode::BAD_REQUEST, About::Process(kind), code, reason)
    };
    let url = reqwest::Url::parse(address).map_err(|e| wrong(format!("{e}; write an https address")))?;
    let trust = super::callers::trust(shared, &known.id);
    match trust.target(&url) {
        crate::outbound::Target::Pinned { .. } => Ok(()),
        crate::outbound::Target::Stranger(url) => {
            shared.dataspace().outbound.examine(url).await.map_err(|e| wrong(e.to_string()))
        }
    }
}

const CALLBACK: (&str, &str) = ("callback-address", "callbackAddress");
const INBOX: (&str, &str) = ("data-address", "dataAddress.endpoint");

trait Opening: Message + Send + 'static {
    fn callback(&self) -> Option<&String>;
}

impl Opening for RequestMessage {
    fn callback(&self) -> Option<&String> {
        self.callback_address.as_ref()
    }
}

impl Opening for OfferMessage {
    fn callback(&self) -> Option<&String> {
        self.callback_address.as_ref()
    }
}

async fn begun<M: Opening>(
    shared: &Arc<Shared>,
    headers: &HeaderMap,
    body: &[u8],
    call: fn(M) -> NegotiationCall,
) -> Result<Response, Failed> {
    let known = caller_of(shared, headers, NEGOTIATION).await?;
    let message: M = read(body, NEGOTIATION)?;
    if let Some(callback) = message.callback() {
        check_address(shared, &known, callback, NEGOTIATION, CALLBACK).await?;
    }
    let (message, digest) = (call(message), Hash::of(body));
    let dataspace = shared.dataspace();
    let (connector, moment) = (dataspace.connector.clone(), dataspace.moment()?);
    let status = dataspace
        .desk
        .run(move |tx| {
            let caller = Caller { id: &known.id, facts: &known.facts };
            connector.negotiation_begun(tx, caller, message, digest, moment)
        })
        .await
        .map_err(|r| Failed::process(r, NEGOTIATION))?;
    answer(StatusCode::CREATED, &status)
}

async fn negotiation_status(
    State(shared): State<Arc<Shared>>,
    Path(pid): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let known = caller_of(&shared, &headers, NEGOTIATION).await?;
    let connector = shared.dataspace().connector.clone();
    let status =
        shared.dataspace().desk.run(move |tx| connector.negotiation_status(tx, &known.id, &pid)).await;
    answer(StatusCode::OK, &status.map_err(|r| Failed::process(r, NEGOTIATION))?)
}

/// A message of a negotiation that is under way.
trait Later: Message + Send + 'static {
    fn call(self) -> NegotiationCall;
}

macro_rules! later {
    ($($message:ty => $call:ident),* $(,)?) => {
        $(impl Later for $message {
            fn call(self) -> NegotiationCall {
                NegotiationCall::$call(self)
            }
        })*
    };
}
later!(
    RequestMessage => Request,
    OfferMessage => Offer,
    AgreementMessage => Agreement,
    VerificationMessage => Verification,
    EventMessage => Event,
    NegotiationTermination => Termination,
);

async fn later<M: Later>(
    State(shared): State<Arc<Shared>>,
    Path(pid): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failed> {
    let known = caller_of(&shared, &headers, NEGOTIATION).await?;
    let call = read::<M>(&body, NEGOTIATION)?.call();
    let digest = Hash::of(&body);
    let at = pid.clone();
    let status = shared.dataspace().called(&pid, move |tx, connector, moment| {
        let caller = Caller { id: &known.id, facts: &known.facts };
        connector.negotiation_called(tx, caller, &at, call, digest, moment)
    });
    answer(StatusCode::OK, &status.await.map_err(|r| Failed::process(r, NEGOTIATION))?)
}

async fn transfer_request(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failed> {
    let known = caller_of(&shared, &headers, TRANSFER).await?;
    let message: TransferRequest = read(&body, TRANSFER)?;
    check_address(&shared, &known, &message.callback_address, TRANSFER, CALLBACK).await?;
    let inbox = message.data_address.as_ref().and_then(|a| a.endpoint.as_ref());
    if let Some(inbox) = inbox.filter(|_| message.format == PUSH) {
        check_address(&shared, &known, inbox, TRANSFER, INBOX).await?;
    }
    let digest = Hash::of(&body);
    let dataspace = shared.dataspace();
    let (connector, moment) = (dataspace.connector.clone(), dataspace.moment()?);
    let status = dataspace
        .desk
        .run(move |tx| {
            let caller = Caller { id: &known.id, facts: &known.facts };
            connector.transfer_requested(tx, caller, message, digest, moment)
        })
        .await
        .map_err(|r| Failed::process(r, TRANSFER))?;
    answer(StatusCode::CREATED, &status)
}

async fn transfer_status(
    State(shared): State<Arc<Shared>>,
    Path(pid): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let known = caller_of(&shared, &headers, TRANSFER).await?;
    let connector = shared.dataspace().connector.clone();
    let status = shared.dataspace().desk.run(move |tx| connector.transfer_status(tx, &known.id, &pid)).await;
    answer(StatusCode::OK, &status.map_err(|r| Failed::process(r, TRANSFER))?)
}

/// A message of a transfer that is under way.
trait Moved: Message + Send + 'static {
    fn call(self) -> TransferCall;
}

macro_rules! moved {
    ($($message:ty => $call:ident),* $(,)?) => {
        $(impl Moved for $message {
            fn call(self) -> TransferCall {
                TransferCall::$call(self)
            }
        })*
    };
}
moved!(
    StartMessage => Start,
    SuspensionMessage => Suspension,
    CompletionMessage => Completion,
    TransferTermination => Termination,
);

async fn moved<M: Moved>(
    State(shared): State<Arc<Shared>>,
    Path(pid): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failed> {
    let known = caller_of(&shared, &headers, TRANSFER).await?;
    let call = read::<M>(&body, TRANSFER)?.call();
    let digest = Hash::of(&body);
    let at = pid.clone();
    let status = shared.dataspace().called(&pid, move |tx, connector, moment| {
        let caller = Caller { id: &known.id, facts: &known.facts };
        connector.transfer_called(tx, caller, &at, call, digest, moment)
    });
    answer(StatusCode::OK, &status.await.map_err(|r| Failed::process(r, TRANSFER))?)
}
