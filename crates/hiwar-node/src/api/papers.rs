//! What is written from the procedures of a dialogue: duties, the next agenda, the follow-up table, calendar
//! files, who provably knew of an entry when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use hiwar_dialogue::ledger::{Direction, View as _};
use hiwar_form::Language;
use hiwar_procedure::Procedures;
use hiwar_procedure::calendar::{self, Style};
use hiwar_procedure::clock::{flags, knowledge};
use hiwar_procedure::commitment::Commitment;
use hiwar_procedure::commitment::due::AsOf;
use hiwar_procedure::follow_up::agenda::{Next, next_agenda};
use hiwar_procedure::follow_up::table::Note;
use hiwar_procedure::meeting::Meeting;
use hiwar_procedure::meeting::parties::{Code, Parties};
use hiwar_procedure::notice::{Kind, Stage};
use hiwar_procedure::status::Status;
use hiwar_trust::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ApiError;
use super::entry_id;
use super::procedures::dialogue;
use crate::clock::now;
use crate::node::Shared;
use crate::procedure::Dialogue;

/// Most stages on one page.
const STAGES_MAX: usize = 500;

/// Which duties.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Which {
    /// One dialogue only.
    dialogue: Option<String>,
    /// Also those that were done.
    #[serde(default)]
    all: bool,
}

/// `GET /api/v1/duties`: who must do what by when, as of now.
pub(super) async fn duties(
    State(shared): State<Arc<Shared>>,
    Query(which): Query<Which>,
) -> Result<Json<Value>, ApiError> {
    let now = now();
    let dialogues = match &which.dialogue {
        Some(one) => vec![entry_id(one)?],
        None => shared.procedure.watched(&shared).await?,
    };
    let mut found = Vec::new();
    for id in dialogues {
        let view = shared.procedure.view(&shared, id).await?;
        let versions = view.procedures.arrangement.in_force();
        for duty in view.procedures.duties(now) {
            if !which.all && duty.done_at().is_some() {
                continue;
            }
            // A later version may call another clock by this name, or have none of it.
            let version = versions.iter().find(|version| version.proposal == duty.governed_by);
            let clock = version.and_then(|version| version.arrangement.clock(&duty.clock));
            let mut value = serde_json::to_value(&duty).map_err(ApiError::internal)?;
            value["dialogue"] = json!(id);
            value["title"] = json!(clock.map(|clock| &clock.title));
            value["source"] = json!(clock.map(|clock| &clock.source));
            found.push(value);
        }
    }
    Ok(Json(json!({ "as_of": now, "duties": found })))
}

/// `GET /api/v1/stages`: reminders, ends of terms and escalations that were told, newest first.
pub(super) async fn stages(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, ApiError> {
    let stages = shared.procedure.told(STAGES_MAX).await?;
    let stages: Vec<Value> = stages
        .into_iter()
        .map(|stage| {
            let content: Value = serde_json::from_str(&stage.content).unwrap_or_default();
            json!({ "key": stage.key, "dialogue": stage.dialogue, "at": stage.at, "told": stage.told, "duty": content })
        })
        .collect();
    Ok(Json(json!({ "stages": stages })))
}

/// How a paper is written.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// The body.
    body: Option<String>,
    /// The language.
    language: Option<String>,
    /// `Actual`, `Exercise` or `Test`.
    status: Option<String>,
    /// When the next meeting begins.
    starts: Option<String>,
    /// `csv`, `json`, `html` or `text`.
    format: Option<String>,
    /// Whether times are written in the zone of the meeting.
    #[serde(default)]
    zoned: bool,
}

impl Asked {
    fn language(&self) -> Result<Language, ApiError> {
        self.language.as_deref().map_or(Ok(Language::En), |text| text.parse().map_err(ApiError::bad_request))
    }

    fn status(&self) -> Result<Status, ApiError> {
        let Some(text) = self.status.as_deref() else { return Ok(Status::Actual) };
        let found = Status::CHOICES.iter().find(|(word, _)| *word == text).map(|(_, status)| *status);
        found.ok_or_else(|| ApiError::bad_request("status must be Actual, Exercise or Test"))
    }

    fn body(&self) -> Result<Option<Code>, ApiError> {
        self.body.as_deref().map(|text| text.parse().map_err(ApiError::bad_request)).transpose()
    }
}

/// Judges as of now, with days as the arrangement counts them.
pub(super) fn as_of<T>(procedures: &Procedures, now: Timestamp, judge: impl FnOnce(&AsOf<'_>) -> T) -> T {
    let zone =
        procedures.in_force().and_then(|arrangement| hiwar_procedure::clock::zone(&arrangement.time.zone));
    let zone = zone.unwrap_or(hiwar_procedure::clock::UTC);
    let meetings: Vec<&Meeting> = procedures.follow_up.meetings.values().collect();
    judge(&AsOf { now, zone: &zone, events: &procedures.events, meetings: &meetings })
}

/// `GET /api/v1/dialogues/{id}/agenda`: the agenda of a body's next meeting, from what is still open.
pub(super) async fn agenda(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, ApiError> {
    let Dialogue { view, membership, .. } = dialogue(&shared, &id).await?;
    let procedures = &view.procedures;
    let parties = procedures.parties(Some(&membership));
    let body = asked
        .body()?
        .ok_or_else(|| ApiError::bad_request("name the body that meets, as in body=ministers"))?;
    let starts = match asked.starts.as_deref() {
        Some(text) => text.parse().map_err(ApiError::bad_request)?,
        None => now(),
    };
    let submitter = parties.code_of(&shared.did).cloned();
    let submitter = submitter.ok_or_else(|| ApiError::bad_request("this participant is no party"))?;
    let status = asked.status()?;
    let waiting = procedures.notices.notices.values().filter(|notice| {
        let asks = matches!(
            notice.notice.kind,
            Kind::InformationRequest | Kind::DisruptionAlert | Kind::EmergencyMeetingRequest
        );
        asks && notice.stage == Stage::Sent && notice.notice.status == status
    });
    let unanswered: Vec<_> = waiting.map(|notice| (notice.id, notice.notice.headline.clone())).collect();
    let next = Next { body: &body, starts, status, submitter: &submitter, unanswered: &unanswered };
    let planned = as_of(procedures, now(), |of| next_agenda(&procedures.follow_up, &next, &parties, of));
    Ok(Json(json!({ "body": body, "starts": starts, "agenda": planned })))
}

/// `GET /api/v1/dialogues/{id}/follow-up`: what was agreed and what came of it, as a table.
pub(super) async fn follow_up(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, ApiError> {
    let Dialogue { view, membership, .. } = dialogue(&shared, &id).await?;
    let procedures = &view.procedures;
    let parties = procedures.parties(Some(&membership));
    let (body, status, language) = (asked.body()?, asked.status()?, asked.language()?);
    let note = as_of(procedures, now(), |of| {
        Note::of(&procedures.follow_up, body.as_ref(), status, &parties, of, language)
    });
    let (kind, text) = match asked.format.as_deref() {
        None | Some("json") => return Ok(Json(note.to_json()).into_response()),
        Some("csv") => ("text/csv; charset=utf-8", note.to_csv()),
        Some("html") => ("text/html; charset=utf-8", note.to_html()),
        Some("text") => ("text/plain; charset=utf-8", note.to_text()),
        Some(_) => return Err(ApiError::bad_request("format must be json, csv, html or text")),
    };
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

fn calendar_answer(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/calendar; charset=utf-8")], text).into_response()
}

fn style<'a>(
    asked: &Asked,
    parties: &'a Parties,
    none: &'a BTreeMap<Code, calendar::Address>,
) -> Result<Style<'a>, ApiError> {
    Ok(Style { language: asked.language()?, parties, addresses: none, stamp: now(), zoned: asked.zoned })
}

/// `GET /api/v1/dialogues/{id}/meetings/{entry}/calendar`: a meeting as iCalendar, METHOD:REQUEST or, when it
/// was called off, METHOD:CANCEL.
pub(super) async fn meeting(
    State(shared): State<Arc<Shared>>,
    Path((id, entry)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Result<Response, ApiError> {
    let Dialogue { view, membership, .. } = dialogue(&shared, &id).await?;
    let entry = entry_id(&entry)?;
    let meeting = view.procedures.follow_up.meetings.get(&entry);
    let meeting = meeting
        .ok_or_else(|| ApiError::not_found(format!("{entry} convened no meeting of this dialogue")))?;
    let parties = view.procedures.parties(Some(&membership));
    let none = BTreeMap::new();
    let style = style(&asked, &parties, &none)?;
    let cancelled = meeting.phase == hiwar_procedure::meeting::MeetingPhase::Cancelled;
    Ok(calendar_answer(if cancelled {
        calendar::cancellation(meeting, &style)
    } else {
        calendar::request(meeting, &style)
    }))
}

/// `GET /api/v1/dialogues/{id}/commitments/calendar`: commitments as iCalendar to-dos.
pub(super) async fn to_do(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, ApiError> {
    let Dialogue { view, membership, .. } = dialogue(&shared, &id).await?;
    let procedures = &view.procedures;
    let parties = procedures.parties(Some(&membership));
    let publisher = parties.code_of(&shared.did).cloned();
    let publisher = publisher.ok_or_else(|| ApiError::bad_request("this participant is no party"))?;
    let none = BTreeMap::new();
    let style = style(&asked, &parties, &none)?;
    let commitments: Vec<&Commitment> = procedures.follow_up.commitments.values().collect();
    let list = as_of(procedures, now(), |of| calendar::to_do_list(&commitments, &publisher, of, &style));
    Ok(calendar_answer(list))
}

/// `GET /api/v1/dialogues/{id}/proof/{entry}`: who provably knew of an entry when, and what speaks against the
/// time that it claims.
pub(super) async fn proof(
    State(shared): State<Arc<Shared>>,
    Path((id, entry)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let Dialogue { view, parties, .. } = dialogue(&shared, &id).await?;
    let entry = entry_id(&entry)?;
    let mut held = view.held().to_vec();
    let Some(one) = held.iter_mut().find(|held| held.entry.id == entry) else {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "unknown-entry",
            format!("there is no entry {entry} in this dialogue"),
        ));
    };
    let receipts = shared.read(move |reader| {
        let mut receipts = BTreeMap::new();
        let Some(seq) = reader.find(&entry)? else { return Ok(receipts) };
        for (peer, direction, number) in reader.receipts_of(seq)? {
            if direction == Direction::Received
                && let Some((_, receipt)) = reader.receipt(number)?
            {
                receipts.insert(peer, receipt.receipt.time);
            }
        }
        Ok(receipts)
    });
    one.receipts = receipts.await?;
    let known = knowledge(&held, &entry, &shared.did, &parties);
    let proved: Vec<Value> = known
        .iter()
        .map(|known| {
            let mut value = serde_json::to_value(known).unwrap_or_default();
            value["proved"] = json!(known.proved());
            value
        })
        .collect();
    let flags: Vec<Value> = flags(&held, &entry)
        .iter()
        .map(|flag| {
            let mut value = serde_json::to_value(flag).unwrap_or_default();
            value["texts"] = super::procedures::in_all(|language| flag.say(language));
            value
        })
        .collect();
    Ok(Json(json!({ "entry": entry, "knowledge": proved, "flags": flags })))
}

/// Identifiers of commitments that are overdue, for the state of a dialogue.
pub(super) fn overdue(procedures: &Procedures) -> BTreeSet<String> {
    as_of(procedures, now(), |of| {
        let late = procedures.follow_up.commitments.values().filter(|one| one.is_overdue(of));
        late.map(|one| one.id.to_string()).collect()
    })
}

/// The last day of each commitment, as far as it is known.
pub(super) fn due_days(procedures: &Procedures) -> BTreeMap<String, String> {
    as_of(procedures, now(), |of| {
        let all = procedures.follow_up.commitments.values();
        all.filter_map(|one| Some((one.id.to_string(), one.due(of)?.to_string()))).collect()
    })
}
