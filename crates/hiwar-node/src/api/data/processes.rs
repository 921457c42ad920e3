//! Negotiations, agreements and transfers of this node.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hiwar_dataspace::ledger::{Contract, Ending, Ledger as _, Negotiation, Note, Process, Transfer, Why};
use hiwar_dataspace::negotiation::NegotiationStep;
use hiwar_dataspace::transfer::TransferStep;
use hiwar_dialogue::ledger::StoreError;
use hiwar_store::dataspace::{ContractFilter, DataspaceReader, ProcessFilter};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;

use super::body;
use crate::api::{ApiError, By, must_be_operator};
use crate::data_plane::source::{FolderSource, MANIFEST_TYPE, is_inner};
use crate::dataspace::failed;
use crate::dataspace::receive::place;
use crate::dataspace::retention::NotDeleted;
use crate::node::Shared;

/// Rows in one answer.
const LISTED_MAX: usize = 200;

fn ending_json(ending: Option<&Ending>) -> Value {
    ending.map_or(
        Value::Null,
        |e| json!({ "by": e.by, "code": e.why.code, "reasons": e.why.reasons, "at": e.at }),
    )
}

fn process_json<S: Serialize + Copy>(process: &Process<S>) -> Value {
    let pending = process.pending.as_ref();
    json!({
        "pid": process.pid,
        "role": process.role,
        "counterparty": process.counterparty,
        "peer_pid": process.peer_pid,
        "created": process.created,
        "changed": process.changed,
        "ending": ending_json(process.ending.as_ref()),
        "stuck": process.stuck,
        "delivering": pending.map(|p| json!({ "step": p.step, "attempts": p.attempts, "next": p.due, "trouble": p.trouble })),
        "history": process.history.iter().map(|t| json!({ "at": t.at, "by": t.by, "step": t.step })).collect::<Vec<_>>(),
    })
}

fn with(mut base: Value, more: Value) -> Value {
    if let (Some(base), Value::Object(more)) = (base.as_object_mut(), more) {
        base.extend(more);
    }
    base
}

pub(super) fn negotiation_json(negotiation: &Negotiation) -> Value {
    with(
        process_json(&negotiation.process),
        json!({
            "state": negotiation.state,
            "dataset": negotiation.dataset,
            "offer": negotiation.offer,
            "purpose": negotiation.statement.purpose,
            "marking": negotiation.statement.marking,
            "agreement": negotiation.agreement,
            "decision": negotiation.decision,
        }),
    )
}

/// Adds to a record the entry of the signed log that says it, under `name`.
fn with_entry(made: Value, name: &str, note: &Note, reader: &DataspaceReader) -> Result<Value, StoreError> {
    Ok(with(made, json!({ name: reader.entry_of(note)? })))
}

fn logged_transfer(transfer: &Transfer, reader: &DataspaceReader) -> Result<Value, StoreError> {
    let pid = &transfer.process.pid;
    let made =
        with_entry(transfer_json(transfer), "entry", &Note::Transferred { transfer: pid.clone() }, reader)?;
    let made =
        with_entry(made, "deletion_entry", &Note::Deleted { transfer: pid.clone(), all: false }, reader)?;
    with_entry(made, "confirmation_entry", &Note::Deleted { transfer: pid.clone(), all: true }, reader)
}

fn logged_contract(contract: &Contract, reader: &DataspaceReader) -> Result<Value, StoreError> {
    let agreement = contract.agreement.id.clone();
    let made = contract_json(contract);
    let made = with_entry(made, "entry", &Note::Agreed { agreement: agreement.clone() }, reader)?;
    with_entry(made, "end_entry", &Note::Ended { agreement }, reader)
}

fn transfer_json(transfer: &Transfer) -> Value {
    with(
        process_json(&transfer.process),
        json!({
            "state": transfer.state,
            "agreement": transfer.agreement,
            "dataset": transfer.dataset,
            "format": transfer.format,
            "permitted_until": transfer.permitted_until,
            "content": transfer.content,
            "retention": transfer.retention,
            "decision": transfer.decision,
        }),
    )
}

fn contract_json(contract: &Contract) -> Value {
    json!({
        "agreement": contract.agreement,
        "id": contract.agreement.id,
        "role": contract.role,
        "counterparty": contract.counterparty,
        "dataset": contract.agreement.target,
        "agreed": contract.agreed,
        "negotiation": contract.negotiation,
        "purpose": contract.statement.purpose,
        "transfers": contract.transfers,
        "ended": ending_json(contract.ended.as_ref()),
    })
}

/// What of a list is wanted.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    /// Only those with this participant.
    #[serde(default)]
    counterparty: Option<String>,
    /// Only those in this state.
    #[serde(default)]
    state: Option<String>,
}

impl Wanted {
    fn processes(self) -> ProcessFilter {
        ProcessFilter { role: None, counterparty: self.counterparty, state: self.state }
    }
}

/// `GET /api/v1/data/negotiations`
pub(crate) async fn negotiations(
    State(shared): State<Arc<Shared>>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, ApiError> {
    let filter = wanted.processes();
    let found = shared
        .dataspace()
        .read(move |r| r.negotiations(&filter, None, LISTED_MAX))
        .await
        .map_err(ApiError::internal)?;
    Ok(Json(json!({ "negotiations": found.records.iter().map(negotiation_json).collect::<Vec<_>>() })))
}

/// `GET /api/v1/data/transfers`
pub(crate) async fn transfers(
    State(shared): State<Arc<Shared>>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, ApiError> {
    let filter = wanted.processes();
    let found = shared
        .dataspace()
        .read(move |r| {
            let found = r.transfers(&filter, None, LISTED_MAX)?;
            found.records.iter().map(|t| logged_transfer(t, r)).collect::<Result<Vec<_>, _>>()
        })
        .await
        .map_err(ApiError::internal)?;
    Ok(Json(json!({ "transfers": found })))
}

/// `GET /api/v1/data/agreements`
pub(crate) async fn agreements(
    State(shared): State<Arc<Shared>>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, ApiError> {
    let filter = ContractFilter { role: None, counterparty: wanted.counterparty };
    let ended = match wanted.state.as_deref() {
        None => None,
        Some("ended") => Some(true),
        Some("holds") => Some(false),
        Some(other) => {
            return Err(ApiError::bad_request(format!(
                "state: an agreement is holds or ended, not {other:?}"
            )));
        }
    };
    let found = shared
        .dataspace()
        .read(move |r| {
            let found = r.contracts(&filter, None, LISTED_MAX)?;
            let wanted =
                found.records.iter().filter(|c| ended.is_none_or(|ended| c.ended.is_some() == ended));
            wanted.map(|c| logged_contract(c, r)).collect::<Result<Vec<_>, _>>()
        })
        .await
        .map_err(ApiError::internal)?;
    Ok(Json(json!({ "agreements": found })))
}

fn nothing(id: &str) -> ApiError {
    ApiError::not_found(format!(
        "there is no {id:?} here; the lists of negotiations, agreements and transfers name them"
    ))
}

/// `GET /api/v1/data/negotiations/{pid}`
pub(crate) async fn negotiation(
    State(shared): State<Arc<Shared>>,
    Path(pid): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let wanted = pid.clone();
    let found = shared.dataspace().desk.run(move |tx| Ok(tx.negotiation(&wanted)?)).await?;
    Ok(Json(negotiation_json(&found.ok_or_else(|| nothing(&pid))?)))
}

/// `GET /api/v1/data/transfers/{pid}`
pub(crate) async fn transfer(
    State(shared): State<Arc<Shared>>,
    Path(pid): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let wanted = pid.clone();
    let found = shared.dataspace().desk.run(move |tx| {
        let found = tx.transfer(&wanted)?;
        found.map(|t| logged_transfer(&t, tx.view())).transpose().map_err(failed)
    });
    Ok(Json(found.await?.ok_or_else(|| nothing(&pid))?))
}

/// A step that a person takes, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stepping<S> {
    step: S,
    #[serde(default)]
    reason: Option<String>,
}

fn why(reason: Option<String>) -> Option<Why> {
    reason.map(|r| Why::new("person", r))
}

/// `POST /api/v1/data/negotiations/{pid}/step`
pub(crate) async fn negotiation_step(
    State(shared): State<Arc<Shared>>,
    caller: By,
    Path(pid): Path<String>,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let wanted: Stepping<NegotiationStep> = body(&bytes)?;
    let dataspace = shared.dataspace();
    let (connector, moment) = (dataspace.connector.clone(), dataspace.moment()?);
    let step = move |tx: &mut hiwar_store::dataspace::Tx<'_>| {
        connector.step_negotiation(tx, &pid, wanted.step, why(wanted.reason), moment)
    };
    Ok(Json(negotiation_json(&dataspace.desk.run(step).await?)))
}

/// `POST /api/v1/data/transfers/{pid}/step`
pub(crate) async fn transfer_step(
    State(shared): State<Arc<Shared>>,
    caller: By,
    Path(pid): Path<String>,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let wanted: Stepping<TransferStep> = body(&bytes)?;
    let dataspace = shared.dataspace();
    let (connector, moment) = (dataspace.connector.clone(), dataspace.moment()?);
    let step = move |tx: &mut hiwar_store::dataspace::Tx<'_>| {
        connector.step_transfer(tx, &pid, wanted.step, why(wanted.reason), None, moment)
    };
    Ok(Json(transfer_json(&dataspace.desk.run(step).await?)))
}

/// `POST /api/v1/data/transfers/{pid}/deleted`: a person says that no copy is left of what was received;
/// the node deletes its own.
pub(crate) async fn deleted(
    State(shared): State<Arc<Shared>>,
    caller: By,
    Path(pid): Path<String>,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let transfer = shared.dataspace().delete(&shared.dir, &pid, true).await?;
    Ok(Json(transfer_json(&transfer)))
}

impl From<NotDeleted> for ApiError {
    fn from(not: NotDeleted) -> Self {
        match not {
            NotDeleted::Refused(refusal) => refusal.into(),
            other @ NotDeleted::Disk(_) => Self::internal(other),
        }
    }
}

/// Why an agreement is ended.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndingAgreement {
    reason: String,
}

/// `POST /api/v1/data/agreements/{id}/end`
pub(crate) async fn end_agreement(
    State(shared): State<Arc<Shared>>,
    caller: By,
    Path(id): Path<String>,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let wanted: EndingAgreement = body(&bytes)?;
    let dataspace = shared.dataspace();
    let (connector, moment) = (dataspace.connector.clone(), dataspace.moment()?);
    let agreement = id.clone();
    let stopped =
        dataspace.desk.run(move |tx| connector.end_agreement(tx, &agreement, &wanted.reason, moment)).await?;
    Ok(Json(json!({ "ended": id, "transfers_stopped": stopped })))
}

/// `GET /api/v1/data/explain/{id}`: a negotiation, an agreement or a transfer, whichever it is.
pub(crate) async fn explain(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let wanted = id.clone();
    let found = shared.dataspace().desk.run(move |tx| {
        if let Some(n) = tx.negotiation(&wanted)? {
            return Ok(Some(json!({ "negotiation": negotiation_json(&n) })));
        }
        if let Some(t) = tx.transfer(&wanted)? {
            return Ok(Some(json!({ "transfer": logged_transfer(&t, tx.view()).map_err(failed)? })));
        }
        let Some(c) = tx.contract(&wanted)? else { return Ok(None) };
        Ok(Some(json!({ "agreement": logged_contract(&c, tx.view()).map_err(failed)? })))
    });
    Ok(Json(found.await?.ok_or_else(|| nothing(&id))?))
}

/// Which file of a folder is wanted.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct OfFolder {
    /// Its path as the manifest has it.
    #[serde(default)]
    path: Option<String>,
}

/// `GET /api/v1/data/transfers/{pid}/content`: what was received; of a folder its manifest, or with `path` one
/// of its files.
pub(crate) async fn content(
    State(shared): State<Arc<Shared>>,
    caller: By,
    Path(pid): Path<String>,
    Query(wanted): Query<OfFolder>,
) -> Result<Response, ApiError> {
    must_be_operator(&caller)?;
    let mut path = place(&shared.dir, &pid);
    let wanted_pid = pid.clone();
    let kept = shared.dataspace().desk.run(move |tx| Ok(tx.transfer(&wanted_pid)?.and_then(|t| t.retention)));
    if let Some((at, due)) = kept.await?.and_then(|r| Some((r.deleted?, r.delete_by))) {
        let why = format!("what this transfer brought was deleted at {at}; it was due by {due}");
        return Err(ApiError::new(StatusCode::GONE, "deleted", why));
    }
    let nothing = || ApiError::not_found("no content of this transfer is here; `hiwar data pull` brings it");
    let is_folder = tokio::fs::metadata(&path).await.map_err(|_| nothing())?.is_dir();
    match wanted.path {
        Some(inner) if is_folder && is_inner(&inner) => path.extend(inner.split('/')),
        Some(inner) => return Err(ApiError::not_found(format!("the content has no file {inner:?}"))),
        None if is_folder => {
            let listed = tokio::task::spawn_blocking(move || FolderSource::offer(&path)).await;
            let folder = listed.map_err(ApiError::internal)?.map_err(ApiError::internal)?;
            return Ok(([(header::CONTENT_TYPE, MANIFEST_TYPE)], folder.manifest()).into_response());
        }
        None => {}
    }
    let file = tokio::fs::File::open(path).await.map_err(|_| nothing())?;
    let size = file.metadata().await.map_err(ApiError::internal)?.len();
    let head = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, size.to_string()),
    ];
    Ok((head, Body::from_stream(ReaderStream::with_capacity(file, 256 * 1024))).into_response())
}
