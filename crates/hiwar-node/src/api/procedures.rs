//! Procedures: the state of a dialogue's notices, meetings and commitments; what an act would do before it is
//! sent; acts that wait for a second desk.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use hiwar_dialogue::entry::Act;
use hiwar_form::Language;
use hiwar_procedure::MESSAGES;
use hiwar_procedure::notice::cap::{self, Envelope};
use hiwar_store::procedure::ActDraft;
use serde::Deserialize;
use serde_json::{Value, json};

use super::entries::{Action, What, attachments_must_fit};
use super::{ApiError, By, acting_desk, entry_id};
use crate::node::Shared;
use crate::procedure::{ActAsked, Decided, Dialogue, Refused, Released};

/// Most drafts on one page.
const DRAFTS_MAX: usize = 500;

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
        match refused {
            Refused::UnknownDialogue => Self::not_found("there is no such dialogue on this node"),
            Refused::Writer(error) => error.into(),
            Refused::Form(faults) => {
                let detail = faults.say(&MESSAGES, Language::En);
                let list: Vec<Value> = faults
                    .0
                    .iter()
                    .map(|fault| {
                        let texts = in_all(|language| fault.say(&MESSAGES, language));
                        json!({ "field": fault.place.field, "code": fault.code, "texts": texts })
                    })
                    .collect();
                Self::new(unprocessable, "bad-form", detail).with_faults(list)
            }
            Refused::Void(void) => {
                let texts = in_all(|language| void.say(language));
                let fault = json!({ "field": "", "code": void.code, "texts": texts });
                Self::new(StatusCode::CONFLICT, "no-effect", void.say(Language::En)).with_faults(vec![fault])
            }
        }
    }
}

/// A dialogue with its procedures.
pub(super) async fn dialogue(shared: &Arc<Shared>, id: &str) -> Result<Dialogue, ApiError> {
    let id = entry_id(id)?;
    let found = shared.procedure.dialogue(shared, id).await?;
    found.ok_or_else(|| ApiError::not_found(format!("there is no dialogue {id} on this node")))
}

/// A text in all languages.
pub(super) fn in_all(say: impl Fn(Language) -> String) -> Value {
    let texts = Language::ALL.into_iter().map(|language| (language.to_string(), json!(say(language))));
    Value::Object(texts.collect())
}

/// `GET /api/v1/dialogues/{id}/procedures`
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let Dialogue { view, .. } = dialogue(&shared, &id).await?;
    let mut value = serde_json::to_value(&view.procedures).map_err(ApiError::internal)?;
    let void: Vec<Value> = view
        .procedures
        .void
        .iter()
        .map(|(entry, void)| {
            let texts = in_all(|language| void.say(language));
            json!({ "entry": entry, "code": void.code, "texts": texts })
        })
        .collect();
    if let Some(object) = value.as_object_mut() {
        object.insert("dialogue".to_owned(), json!(id));
        object.insert("overdue".to_owned(), json!(super::papers::overdue(&view.procedures)));
        object.insert("due".to_owned(), json!(super::papers::due_days(&view.procedures)));
        object.insert("void".to_owned(), json!(void));
    }
    Ok(Json(value))
}

/// `GET /api/v1/dialogues/{id}/notices/{entry}/cap`: a notice as a Common Alerting Protocol 1.2 message.
pub(super) async fn cap(
    State(shared): State<Arc<Shared>>,
    Path((id, entry)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let Dialogue { view, parties, title, .. } = dialogue(&shared, &id).await?;
    let entry = entry_id(&entry)?;
    let notice = view.procedures.notices.of(&entry);
    let notice =
        notice.ok_or_else(|| ApiError::not_found(format!("{entry} is no notice of this dialogue")))?;
    let newest = notice.versions.last().and_then(|(newest, _)| view.entry(newest));
    let newest = newest.ok_or_else(|| ApiError::internal("the notice has no entry"))?;
    let envelope = Envelope {
        marking: newest.entry.entry.marking,
        audience: &parties,
        sent: newest.entry.entry.time,
        dialogue: title.values().next().map_or("", String::as_str),
    };
    let message = cap::write(notice, &envelope).map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, "application/cap+xml")], message).into_response())
}

/// An action that must be an act, as a desk wants to send it.
async fn asked(shared: &Arc<Shared>, caller: &By, action: Action) -> Result<ActAsked, ApiError> {
    let desk = acting_desk(shared, caller, action.desk.as_deref())?;
    asked_by(shared, desk, action.what).await
}

pub(super) async fn asked_by(shared: &Arc<Shared>, desk: String, what: What) -> Result<ActAsked, ApiError> {
    let What::Act { dialogue, marking, kind, of, words, content, attachments } = what else {
        return Err(ApiError::bad_request("the action must be an act"));
    };
    attachments_must_fit(shared, &attachments).await?;
    Ok(ActAsked { dialogue, desk, marking, act: Act { kind, of, words, content }, attachments })
}

/// `POST /api/v1/acts/check`: what an act would do, and who would read it. Nothing is sent.
pub(super) async fn check(
    State(shared): State<Arc<Shared>>,
    caller: By,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let asked = asked(&shared, &caller, super::body(&body)?).await?;
    let passage = shared.procedure.passage(&shared, &asked).await?;
    Ok(Json(json!({
        "audience": passage.audience,
        "marking": asked.marking,
        "events": passage.events,
        "needs_release": passage.needs_release,
    })))
}

fn draft_json(draft: &ActDraft) -> Value {
    json!({
        "id": draft.id,
        "dialogue": draft.dialogue,
        "action": serde_json::from_str::<Value>(&draft.action).unwrap_or_default(),
        "desk": draft.desk,
        "drafted": draft.drafted,
        "state": draft.state.as_str(),
        "decided_by": draft.decided_by,
        "decided": draft.decided,
        "note": draft.note,
        "entry": draft.entry,
    })
}

/// `POST /api/v1/drafts`: keeps an act until a second desk has released it.
pub(super) async fn draft(
    State(shared): State<Arc<Shared>>,
    caller: By,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let action: Action = super::body(&body)?;
    let asked = asked(&shared, &caller, action.clone()).await?;
    let passage = shared.procedure.passage(&shared, &asked).await?;
    let kept = serde_json::to_string(&action.what).map_err(ApiError::internal)?;
    let id = shared.procedure.draft(&asked, &caller, kept).await?;
    Ok(Json(json!({ "draft": id, "audience": passage.audience, "needs_release": passage.needs_release })))
}

/// Which drafts.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Which {
    /// All of them, not only those that wait.
    #[serde(default)]
    all: bool,
}

/// `GET /api/v1/drafts`
pub(super) async fn drafts(
    State(shared): State<Arc<Shared>>,
    Query(which): Query<Which>,
) -> Result<Json<Value>, ApiError> {
    let drafts = shared.procedure.drafts(!which.all, DRAFTS_MAX).await?;
    Ok(Json(json!({ "drafts": drafts.iter().map(draft_json).collect::<Vec<_>>() })))
}

/// Who decides, and why.
#[derive(Debug, Default, Deserialize)]
struct Deciding {
    desk: Option<String>,
    note: Option<String>,
}

async fn deciding(
    shared: &Arc<Shared>,
    caller: &By,
    id: i64,
    body: &[u8],
) -> Result<(ActDraft, Decided), ApiError> {
    let Deciding { desk, note } = if body.is_empty() { Deciding::default() } else { super::body(body)? };
    let desk = acting_desk(shared, caller, desk.as_deref())?;
    let draft = shared.procedure.draft_of(id).await?;
    let draft = draft.ok_or_else(|| ApiError::not_found(format!("there is no draft {id}")))?;
    Ok((draft, Decided { desk, caller: caller.0.clone(), note }))
}

fn was_decided(id: i64, state: &str) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, "decided", format!("draft {id} was {state} before"))
}

/// `POST /api/v1/drafts/{id}/release`
pub(super) async fn release(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<i64>,
    caller: By,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let (draft, by) = deciding(&shared, &caller, id, &body).await?;
    let what: What = serde_json::from_str(&draft.action).map_err(ApiError::internal)?;
    let asked = asked_by(&shared, draft.desk.clone(), what).await?;
    match shared.procedure.release(&shared, &draft, asked, &by).await? {
        Released::Entry(entry) => Ok(Json(json!({ "draft": id, "entry": entry }))),
        Released::Decided(state) => Err(was_decided(id, state.as_str())),
        Released::SameEyes => Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "same-eyes",
            format!(
                "draft {id} was made by the desk {:?}; another desk, with a token of its own, must release it (`hiwar desk token`)",
                draft.desk
            ),
        )),
        Released::Refused(refused) => Err((*refused).into()),
        Released::Command(error) => Err(error.into()),
    }
}

/// `POST /api/v1/drafts/{id}/refuse`
pub(super) async fn refuse(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<i64>,
    caller: By,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let (draft, by) = deciding(&shared, &caller, id, &body).await?;
    if !shared.procedure.refuse(&draft, &by).await? {
        return Err(was_decided(id, draft.state.as_str()));
    }
    Ok(Json(json!({ "draft": id, "state": "refused" })))
}
