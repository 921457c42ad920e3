//! Alarms, and who has seen to them.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use hiwar_dialogue::ledger::Acknowledgement;
use hiwar_store::KeptAlarm;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiError, By};
use crate::clock::now;
use crate::desks::Caller;
use crate::node::Shared;

/// Longest note of an acknowledgement, in bytes.
const NOTE_BYTES_MAX: usize = 4096;

fn alarm_json(kept: &KeptAlarm) -> Value {
    let mut value = json!({ "number": kept.number, "alarm": kept.alarm });
    if let (Some(acknowledged), Some(members)) = (&kept.acknowledged, value.as_object_mut()) {
        members.insert("acknowledged".into(), acknowledged_json(acknowledged));
    }
    value
}

fn acknowledged_json(acknowledged: &Acknowledgement) -> Value {
    let Acknowledgement { time, desk, note } = acknowledged;
    let by = if desk.is_some() { "desk" } else { "operator" };
    json!({ "time": time, "by": by, "desk": desk, "note": note })
}

/// Which alarms.
#[derive(Debug, Deserialize)]
pub(super) struct AlarmPage {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
    #[serde(default)]
    unacknowledged: bool,
}

/// `GET /api/v1/alarms`
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Query(page): Query<AlarmPage>,
) -> Result<Json<Value>, ApiError> {
    let limit = page.limit.unwrap_or(100).clamp(1, 1000);
    let alarms = shared.read(move |reader| reader.alarms(page.after, limit, page.unacknowledged)).await?;
    let alarms: Vec<Value> = alarms.iter().map(alarm_json).collect();
    Ok(Json(json!({ "alarms": alarms })))
}

/// What was found and done.
#[derive(Debug, Deserialize)]
struct Acknowledging {
    note: String,
}

fn checked_note(note: &str) -> Result<String, ApiError> {
    let note = note.trim();
    if note.is_empty() || note.len() > NOTE_BYTES_MAX {
        return Err(ApiError::bad_request(format!(
            "note: say in 1 to {NOTE_BYTES_MAX} bytes what was found and done"
        )));
    }
    Ok(note.to_owned())
}

/// `POST /api/v1/alarms/{id}/acknowledge`: who asks is named by the token.
pub(super) async fn acknowledge(
    State(shared): State<Arc<Shared>>,
    caller: By,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let missing = || ApiError::not_found(format!("there is no alarm {id}; `hiwar alarm list` numbers them"));
    let number: u64 = id.parse().map_err(|_| missing())?;
    let asked: Acknowledging = super::body(&body)?;
    let note = checked_note(&asked.note)?;
    let kept = shared.read(move |reader| reader.alarm(number)).await?.ok_or_else(missing)?;
    if let Some(before) = kept.acknowledged {
        let who = before.desk.map_or_else(|| "the operator".to_owned(), |desk| format!("the desk {desk:?}"));
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "acknowledged-already",
            format!("{who} acknowledged alarm {number} at {}: {}", before.time, before.note),
        ));
    }
    let desk = match caller.0 {
        Caller::Operator => None,
        Caller::Desk(desk) => Some(desk),
    };
    shared.writer.acknowledge(number, Acknowledgement { time: now(), desk, note }).await?;
    // Of two who ask at once, the first is kept; both are told whom that was.
    let kept = shared.read(move |reader| reader.alarm(number)).await?.ok_or_else(missing)?;
    Ok(Json(alarm_json(&kept)))
}
