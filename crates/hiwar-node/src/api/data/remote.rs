//! Other participants' catalogs, and what is begun with them.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use hiwar_dataspace::catalog::{PULL, PUSH};
use hiwar_dataspace::connector::{NewNegotiation, NewTransfer};
use hiwar_dataspace::ledger::{Ledger as _, Negotiation, Statement};
use hiwar_dataspace::negotiation::NegotiationState;
use hiwar_dataspace::wire::{
    CatalogRequest, OfferedDataset, SeenCatalog, VERSION, VersionResponse, json as read_json,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{body, processes};
use crate::api::{ApiError, By, must_be_operator};
use crate::dataspace::receive::NotReceived;
use crate::dataspace::{Dataspace, call, callers_endpoint};
use crate::node::Shared;

/// Longest wait for the other side, in milliseconds.
const WAIT_MS_MAX: u64 = 300_000;

/// A participant, and where its connector is when this node does not know it by invitation.
#[derive(Debug, Deserialize)]
pub(crate) struct Party {
    peer: String,
    /// The root of its connector.
    #[serde(default)]
    address: Option<String>,
}

fn unreachable(problem: impl ToString) -> ApiError {
    ApiError::new(StatusCode::BAD_GATEWAY, "peer", problem)
}

/// The base of a participant's connector, by its version document.
async fn base(shared: &Arc<Shared>, party: &Party) -> Result<String, ApiError> {
    let root = match &party.address {
        Some(address) => address.trim_end_matches('/').to_owned(),
        None => callers_endpoint(shared, &party.peer).ok_or_else(|| {
            ApiError::not_found(format!(
                "{} is no peer with an address; exchange invitations, or give the address of its connector",
                party.peer
            ))
        })?,
    };
    let url = format!("{root}/.well-known/dspace-version");
    let (status, text) =
        call(shared, shared.dataspace(), &party.peer, &url, None).await.map_err(unreachable)?;
    if status != 200 {
        return Err(unreachable(format!(
            "{url} answered with status {status}; is there a connector of DSP {VERSION}?"
        )));
    }
    let versions = VersionResponse::read(&text).map_err(unreachable)?;
    let path = versions.path_of(VERSION).map_err(unreachable)?;
    Ok(format!("{root}{path}"))
}

/// A look into a catalog.
#[derive(Debug, Deserialize)]
pub(crate) struct Looking {
    #[serde(flatten)]
    party: Party,
    #[serde(default)]
    filter: Vec<Value>,
    /// What the answer before named as the next page.
    #[serde(default)]
    page: Option<String>,
}

/// `POST /api/v1/data/catalog`
pub(crate) async fn catalog(
    State(shared): State<Arc<Shared>>,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    let wanted: Looking = body(&bytes)?;
    let base = base(&shared, &wanted.party).await?;
    let request = CatalogRequest { filter: wanted.filter, ..CatalogRequest::default() };
    let text = serde_json::to_string(&request).map_err(ApiError::internal)?;
    let query = wanted.page.map(|p| format!("?{p}")).unwrap_or_default();
    let url = format!("{base}/catalog/request{query}");
    let (status, answer, next) =
        crate::dataspace::call_paged(&shared, shared.dataspace(), &wanted.party.peer, &url, text)
            .await
            .map_err(unreachable)?;
    if status != 200 {
        return Err(unreachable(said(status, &answer)));
    }
    let (seen, unread) =
        SeenCatalog::from_value(&read_json(&answer).map_err(unreachable)?).map_err(unreachable)?;
    let datasets: Vec<&Value> = seen.datasets.iter().map(|d| &d.raw).collect();
    let unread: Vec<String> = unread.iter().map(ToString::to_string).collect();
    Ok(Json(
        json!({ "participant": seen.participant, "address": base, "datasets": datasets, "unread": unread, "next": next }),
    ))
}

fn said(status: u16, answer: &[u8]) -> String {
    let reasons = read_json(answer).ok().and_then(|v| v.get("reason").and_then(Value::as_array).cloned());
    let reason = reasons.map(|r| hiwar_dataspace::wire::reason_text(&r)).unwrap_or_default();
    format!("it answered with status {status}: {}", reason.chars().take(1000).collect::<String>())
}

/// A negotiation to begin.
#[derive(Debug, Deserialize)]
pub(crate) struct Negotiating {
    #[serde(flatten)]
    party: Party,
    dataset: String,
    /// One of its offers, when there are several.
    #[serde(default)]
    offer: Option<String>,
    #[serde(default)]
    purpose: Option<String>,
    #[serde(default)]
    marking: Option<String>,
    /// How long to wait for the end.
    #[serde(default)]
    wait_ms: u64,
}

/// `POST /api/v1/data/negotiations`
pub(crate) async fn negotiate(
    State(shared): State<Arc<Shared>>,
    caller: By,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let wanted: Negotiating = body(&bytes)?;
    let dataspace = shared.dataspace().clone();
    if dataspace.connector.address.starts_with('/') {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "no-address",
            "this node accepts no connection, so a provider could not answer; give it an address with `hiwar card update`",
        ));
    }
    let base = base(&shared, &wanted.party).await?;
    let url = format!("{base}/catalog/datasets/{}", percent(&wanted.dataset));
    let (status, answer) =
        call(&shared, &dataspace, &wanted.party.peer, &url, None).await.map_err(unreachable)?;
    if status != 200 {
        return Err(unreachable(said(status, &answer)));
    }
    let dataset =
        OfferedDataset::from_value(&read_json(&answer).map_err(unreachable)?).map_err(unreachable)?;
    let offer = match &wanted.offer {
        Some(id) => dataset.offers.into_iter().find(|o| o.id == *id),
        None => dataset.offers.into_iter().next(),
    };
    let offer =
        offer.ok_or_else(|| ApiError::not_found("the dataset has no such offer; look into the catalog"))?;
    let mut asked = offer.about(wanted.dataset.clone());
    asked.assigner = Some(wanted.party.peer.clone());
    let new = NewNegotiation {
        provider: wanted.party.peer,
        address: base,
        offer: asked,
        dataset: wanted.dataset,
        statement: Statement { purpose: wanted.purpose, marking: wanted.marking, ..Statement::default() },
    };
    let (connector, moment) = (dataspace.connector.clone(), dataspace.moment()?);
    let begun = dataspace.desk.run(move |tx| connector.begin_negotiation(tx, new, moment)).await?;
    let pid = begun.process.pid;
    let read = |tx: &mut hiwar_store::dataspace::Tx<'_>, pid: &str| Ok(tx.negotiation(pid)?);
    let limit = Duration::from_millis(wanted.wait_ms.min(WAIT_MS_MAX));
    let settled =
        |n: &Negotiation| n.state.is_some_and(NegotiationState::is_final) || n.process.stuck.is_some();
    let found = dataspace.wait_until(&pid, limit, read, settled).await?;
    let found = found.ok_or_else(|| ApiError::internal("the negotiation is gone"))?;
    Ok(Json(processes::negotiation_json(&found)))
}

/// Percent-encodes one segment of a path (RFC 3986, section 2.3: only unreserved characters stay).
fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// A transfer to begin and to bring here.
#[derive(Debug, Deserialize)]
pub(crate) struct Pulling {
    agreement: String,
    #[serde(default)]
    purpose: Option<String>,
    #[serde(default)]
    marking: Option<String>,
    /// A transfer that was begun before and broke off.
    #[serde(default)]
    transfer: Option<String>,
    #[serde(default)]
    wait_ms: u64,
}

impl From<NotReceived> for ApiError {
    fn from(not: NotReceived) -> Self {
        let gateway = |code: &str, text: String| Self::new(StatusCode::BAD_GATEWAY, code, text);
        match not {
            NotReceived::Refused(refusal) => refusal.into(),
            NotReceived::Ended(why) => {
                Self::new(StatusCode::CONFLICT, "ended", format!("the transfer has ended: {why}"))
            }
            NotReceived::Late(why) => Self::new(StatusCode::GATEWAY_TIMEOUT, "late", why),
            NotReceived::Failed(error) => gateway("pull", error.to_string()),
            NotReceived::Other(problem) => gateway("pull", problem),
        }
    }
}

/// `POST /api/v1/data/transfers`: for tools that read the data themselves; they are told where, and the
/// token.
pub(crate) async fn begin_transfer(
    State(shared): State<Arc<Shared>>,
    caller: By,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let wanted: Pulling = body(&bytes)?;
    let dataspace = shared.dataspace().clone();
    let limit = wanted.limit();
    let pid = begun(&dataspace, wanted, PULL).await?;
    let (transfer, address) = dataspace.started(&pid, limit).await?;
    Ok(Json(json!({ "transfer": pid, "dataset": transfer.dataset, "address": address })))
}

/// `POST /api/v1/data/pulls`
pub(crate) async fn pull(
    State(shared): State<Arc<Shared>>,
    caller: By,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let wanted: Pulling = body(&bytes)?;
    let dataspace = shared.dataspace().clone();
    let limit = wanted.limit();
    let pid = begun(&dataspace, wanted, PULL).await?;
    let (pulled, _) = dataspace.receive(&shared, &pid, limit).await?;
    Ok(Json(json!({
        "transfer": pid,
        "sha256": hex::encode(pulled.sha256.as_bytes()),
        "bytes": pulled.size,
        "files": pulled.files,
    })))
}

impl Pulling {
    fn limit(&self) -> Duration {
        Duration::from_millis(self.wait_ms.clamp(1, WAIT_MS_MAX))
    }
}

/// The transfer that is wanted: a new one, or the one that was begun before.
async fn begun(dataspace: &Arc<Dataspace>, wanted: Pulling, format: &str) -> Result<String, ApiError> {
    if let Some(pid) = wanted.transfer {
        return Ok(pid);
    }
    let new = NewTransfer {
        agreement: wanted.agreement,
        format: format.to_owned(),
        address: None,
        statement: Statement { purpose: wanted.purpose, marking: wanted.marking, ..Statement::default() },
        provider_address: None,
    };
    let (connector, moment) = (dataspace.connector.clone(), dataspace.moment()?);
    Ok(dataspace.desk.run(move |tx| connector.begin_transfer(tx, new, moment)).await?.process.pid)
}

/// `POST /api/v1/data/pushes`: the provider is asked to bring the data to this node's inbox.
pub(crate) async fn push(
    State(shared): State<Arc<Shared>>,
    caller: By,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let wanted: Pulling = body(&bytes)?;
    let dataspace = shared.dataspace().clone();
    if dataspace.connector.address.starts_with('/') {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "no-address",
            "this node accepts no connection, so nothing can be brought to it; use `hiwar data pull`",
        ));
    }
    let limit = wanted.limit();
    let pid = begun(&dataspace, wanted, PUSH).await?;
    let brought = match dataspace.brought(&pid, limit).await {
        Err(NotReceived::Late(why)) => {
            let why = format!("{why}: {pid}");
            return Err(ApiError::new(StatusCode::GATEWAY_TIMEOUT, "late", why));
        }
        other => other?,
    };
    let content = brought.content.ok_or_else(|| {
        ApiError::new(
            StatusCode::BAD_GATEWAY,
            "push",
            "the provider says that it is complete, but brought nothing",
        )
    })?;
    Ok(Json(json!({ "transfer": pid, "sha256": content.sha256, "bytes": content.bytes, "files": 1 })))
}
