//! Dialogues: opening, listing, reading, exporting.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use hiwar_dialogue::entry::DialogueId;
use hiwar_dialogue::ledger::{DialogueRecord, Direction};
use hiwar_dialogue::thread::thread;
use serde::Deserialize;
use serde_json::{Value, json};

use super::entries::{Action, What, act, entry_json};
use super::{ApiError, By, entry_id};
use crate::dossier::DossierError;
use crate::node::Shared;

/// Most entries on one page.
const PAGE_MAX: usize = 1000;

fn record_json(record: &DialogueRecord) -> Value {
    let current = record.current();
    let waiting: Vec<_> =
        current.map(|c| record.concerned(c).difference(&c.assents).cloned().collect()).unwrap_or_default();
    let open_proposals: Vec<Value> = record
        .memberships
        .iter()
        .filter(|m| m.entry != record.current && !record.is_complete(m) && m.membership.replaces == Some(record.current))
        .map(|m| {
            json!({
                "entry": m.entry, "author": m.author, "parties": m.membership.parties, "cap": m.membership.cap,
                "assents": m.assents, "refusals": m.refusals,
            })
        })
        .collect();
    json!({
        "id": record.id,
        "title": current.map(|c| &c.membership.title),
        "parties": current.map(|c| &c.membership.parties),
        "arrangement": current.map(|c| &c.arrangement),
        "cap": current.map(|c| c.membership.cap),
        "open": record.is_open(),
        "membership": record.current,
        "waiting_for": waiting,
        "refused_by": current.map(|c| &c.refusals),
        "proposals": open_proposals,
        "entries": record.entries,
        "heads": record.heads,
        "missing": record.missing.len(),
        "updated": record.updated,
    })
}

/// `GET /api/v1/dialogues`
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, ApiError> {
    let records: Vec<Value> =
        shared.writer.query(|engine, _| engine.dialogues().map(record_json).collect()).await?;
    Ok(Json(json!({ "dialogues": records })))
}

/// `POST /api/v1/dialogues`
pub(super) async fn open(
    State(shared): State<Arc<Shared>>,
    caller: By,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let mut value: Value = super::body(&body)?;
    if let Some(object) = value.as_object_mut() {
        object.insert("action".into(), json!("open"));
    }
    let action: Action =
        serde_json::from_value(value).map_err(|e| ApiError::bad_request(format!("the body: {e}")))?;
    if !matches!(action.what, What::Open { .. }) {
        return Err(ApiError::bad_request("the body must describe the dialogue to open"));
    }
    let made = act(&shared, &caller, action).await?;
    Ok(Json(json!({ "dialogue": made.entry, "time": made.time })))
}

async fn record(shared: &Arc<Shared>, id: DialogueId) -> Result<DialogueRecord, ApiError> {
    let record = shared.writer.query(move |engine, _| engine.dialogue(&id).cloned()).await?;
    record.ok_or_else(|| ApiError::not_found(format!("there is no dialogue {id} on this node")))
}

/// `GET /api/v1/dialogues/{id}`
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(record_json(&record(&shared, entry_id(&id)?).await?)))
}

/// Which page of a dialogue.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    /// Only entries after this position.
    #[serde(default)]
    after: u64,
    /// At most so many.
    limit: Option<usize>,
}

/// `GET /api/v1/dialogues/{id}/entries`: the thread, oldest first, with what later entries of the
/// same page say of earlier ones and when each party provably held them.
pub(super) async fn entries(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, ApiError> {
    use hiwar_dialogue::ledger::View as _;
    let id = entry_id(&id)?;
    let known = record(&shared, id).await?;
    let limit = page.limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let (stored, mut known_by) = shared
        .read(move |reader| {
            let stored = reader.dialogue_entries(&id, page.after, limit)?;
            let mut known_by: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
            for entry in &stored {
                for (peer, direction, number) in reader.receipts_of(entry.seq)? {
                    if direction == Direction::Received
                        && let Some((_, receipt)) = reader.receipt(number)?
                    {
                        let known = json!({ "peer": peer, "time": receipt.receipt.time });
                        known_by.entry(entry.seq).or_default().push(known);
                    }
                }
            }
            Ok((stored, known_by))
        })
        .await?;
    let signed =
        stored.iter().map(hiwar_dialogue::ledger::StoredEntry::signed).collect::<Result<Vec<_>, _>>()?;
    let last = stored.last().map_or(page.after, |e| e.seq);
    let full = stored.len() == limit;
    let mut items = Vec::with_capacity(stored.len());
    for (stored, item) in stored.iter().zip(thread(signed)) {
        let mut value = entry_json(stored)?;
        if let Some(object) = value.as_object_mut() {
            object.insert("known_by".into(), json!(known_by.remove(&stored.seq).unwrap_or_default()));
            object.insert("corrected_by".into(), json!(item.corrected_by));
            object.insert("withdrawn_by".into(), json!(item.withdrawn_by));
            object.insert("disputed_by".into(), json!(item.disputed_by));
            object.insert("acknowledged_by".into(), json!(item.acknowledged_by));
            object.insert("void".into(), json!(item.void));
        }
        items.push(value);
    }
    Ok(Json(json!({ "dialogue": known.id, "entries": items, "next": full.then_some(last) })))
}

/// Bytes of a dossier sent at one time.
const PART_BYTES: usize = 64 * 1024;

/// Hands what is written to the body of an answer.
struct PartWriter(tokio::sync::mpsc::Sender<std::io::Result<Bytes>>);

impl std::io::Write for PartWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let gone = |_| std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What goes into a dossier.
#[derive(Debug, Deserialize)]
pub(super) struct Exporting {
    /// Whether to include the attached files.
    #[serde(default)]
    files: bool,
}

/// `GET /api/v1/dialogues/{id}/dossier`: written while it is sent, so that its size does not matter.
pub(super) async fn dossier(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(exporting): Query<Exporting>,
) -> Result<Response, ApiError> {
    let id = entry_id(&id)?;
    let gathered = crate::dossier::gather(&shared, id).await.map_err(|error| match error {
        DossierError::Unknown(_) => ApiError::not_found(error),
        other => ApiError::internal(other),
    })?;
    let (parts, body) = tokio::sync::mpsc::channel(8);
    let node_key = shared.keys().node;
    tokio::task::spawn_blocking(move || {
        let mut out = std::io::BufWriter::with_capacity(PART_BYTES, PartWriter(parts.clone()));
        let files: Vec<_> = if exporting.files { gathered.files().collect() } else { Vec::new() };
        let written = hiwar_dossier::write_sealed(&gathered.contents, files, &*node_key, &mut out);
        let finished =
            written.map_err(|e| e.to_string()).and_then(|_| out.flush().map_err(|e| e.to_string()));
        if let Err(error) = finished {
            tracing::warn!(%error, "a dossier could not be written");
            // Breaks the answer off, so that the asker does not take a part for the whole.
            drop(parts.blocking_send(Err(std::io::Error::other(error))));
        }
    });
    let stream =
        futures_util::stream::unfold(body, async |mut body| body.recv().await.map(|part| (part, body)));
    let body = Body::from_stream(stream);
    let name = format!("attachment; filename=\"{}.dossier\"", id.0.short());
    Ok(([(header::CONTENT_TYPE, "application/x-tar".to_owned()), (header::CONTENT_DISPOSITION, name)], body)
        .into_response())
}
