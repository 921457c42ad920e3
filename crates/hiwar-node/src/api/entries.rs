//! Making entries, and looking one up with its proofs.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use hiwar_dialogue::engine::{Command, Draft};
use hiwar_dialogue::entry::{Act, ActKind, Attachment, DialogueId, EntryId, Texts, Words};
use hiwar_dialogue::ledger::{Delivery, StoredEntry};
use hiwar_dialogue::limits::ATTACHMENTS_MAX;
use hiwar_dialogue::marking::Marking;
use hiwar_trust::did::Did;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{ApiError, By, acting_desk, entry_id};
use crate::clock::random;
use crate::desks::Caller;
use crate::json::BadJson;
use crate::node::Shared;
use crate::writer::{Carried, Made};

/// Most lines in one bulk request.
pub(super) const BULK_LINES_MAX: usize = 512;
/// Longest wait for receipts.
const WAIT_MS_MAX: u64 = 60_000;

/// What a desk wants done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Action {
    /// The desk that acts; the token's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desk: Option<String>,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

impl Action {
    /// Reads the body of a request, or one line of a bulk request.
    ///
    /// # Errors
    /// When it is no action, with the place where.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadJson> {
        crate::json::parse(bytes)
    }
}

/// What is to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum What {
    /// Open a dialogue.
    Open {
        /// What it is about, by language.
        title: Texts,
        /// The other parties.
        with: Vec<Did>,
        /// The arrangement it stands under.
        arrangement: String,
        /// The most restricted marking allowed.
        cap: Marking,
    },
    /// Say something.
    Say {
        /// The dialogue.
        dialogue: DialogueId,
        /// The marking.
        marking: Marking,
        /// The words.
        #[serde(flatten)]
        words: Words,
        /// Files, stored before.
        #[serde(default)]
        attachments: Vec<Attachment>,
    },
    /// Open or move a procedure.
    Act {
        /// The dialogue.
        dialogue: DialogueId,
        /// The marking.
        marking: Marking,
        /// Its kind.
        kind: ActKind,
        /// The entry it is about.
        #[serde(default)]
        of: Option<EntryId>,
        /// The words.
        #[serde(flatten)]
        words: Words,
        /// Its content.
        content: serde_json::Map<String, Value>,
        /// Files, stored before.
        #[serde(default)]
        attachments: Vec<Attachment>,
    },
    /// Put an own entry right.
    Correct {
        /// The entry.
        of: EntryId,
        /// The words.
        #[serde(flatten)]
        words: Words,
    },
    /// Take an own entry back.
    Withdraw {
        /// The entry.
        of: EntryId,
        /// The words.
        #[serde(flatten)]
        words: Words,
    },
    /// Contradict another party's entry.
    Dispute {
        /// The entry.
        of: EntryId,
        /// The words.
        #[serde(flatten)]
        words: Words,
    },
    /// Take note of another party's entry.
    Ack {
        /// The entry.
        of: EntryId,
        /// The words.
        #[serde(flatten)]
        words: Words,
    },
    /// Propose another membership.
    Members {
        /// The dialogue.
        dialogue: DialogueId,
        /// All parties from then on.
        parties: Vec<Did>,
        /// The cap from then on.
        cap: Marking,
        /// The title from then on.
        #[serde(default)]
        title: Texts,
    },
    /// Assent to a membership.
    Assent {
        /// The membership's entry.
        of: EntryId,
    },
    /// Decline a membership.
    Refuse {
        /// The membership's entry.
        of: EntryId,
        /// The words.
        #[serde(flatten)]
        words: Words,
    },
}

impl From<What> for Command {
    fn from(what: What) -> Self {
        match what {
            What::Open { title, with, arrangement, cap } => Self::Open { title, with, arrangement, cap },
            What::Say { dialogue, marking, words, attachments } => {
                Self::Say { dialogue, marking, words, attachments }
            }
            What::Act { dialogue, marking, kind, of, words, content, attachments } => {
                Self::Act { dialogue, marking, act: Act { kind, of, words, content }, attachments }
            }
            What::Correct { of, words } => Self::Correct { of, words },
            What::Withdraw { of, words } => Self::Withdraw { of, words },
            What::Dispute { of, words } => Self::Dispute { of, words },
            What::Ack { of, words } => Self::Acknowledge { of, words },
            What::Members { dialogue, parties, cap, title } => {
                Self::ChangeMembership { dialogue, parties, cap, title }
            }
            What::Assent { of } => Self::Assent { of },
            What::Refuse { of, words } => Self::Refuse { of, words },
        }
    }
}

/// Files must have the size that the entry announces: with another one, no peer's copy would ever
/// be complete. Those that are not here are left to the engine to refuse.
pub(super) async fn attachments_must_fit(
    shared: &Shared,
    attachments: &[Attachment],
) -> Result<(), ApiError> {
    for file in attachments.iter().take(ATTACHMENTS_MAX) {
        let stored = tokio::fs::metadata(shared.folder.path_of(&file.sha256)).await;
        if let Some(found) = stored.ok().map(|m| m.len()).filter(|found| *found != file.size) {
            let detail = format!(
                "the file {:?} is announced with {} bytes, but has {found} bytes; announce its size as the upload answered it",
                file.name, file.size
            );
            return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "wrong-size", detail));
        }
    }
    Ok(())
}

async fn draft(shared: &Arc<Shared>, caller: &Caller, action: Action) -> Result<Draft, ApiError> {
    let desk = acting_desk(shared, caller, action.desk.as_deref())?;
    match &action.what {
        What::Say { attachments, .. } => attachments_must_fit(shared, attachments).await?,
        What::Act { .. } => may_leave(shared, &desk, &action.what).await?,
        _ => {}
    }
    Ok(Draft { desk, command: action.what.into(), nonce: random().map_err(ApiError::internal)? })
}

/// An act leaves at once only when it has an effect and no second desk must release it.
async fn may_leave(shared: &Arc<Shared>, desk: &str, what: &What) -> Result<(), ApiError> {
    let asked = super::procedures::asked_by(shared, desk.to_owned(), what.clone()).await?;
    if shared.procedure.passage(shared, &asked).await?.needs_release {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "needs-release",
            "the arrangement wants a second desk to release this; send it to /api/v1/drafts",
        ));
    }
    Ok(())
}

fn made(made: &Made) -> Value {
    json!({ "entry": made.entry, "seq": made.seq, "time": made.time })
}

/// Carries out one action; answers when it is durable.
pub(super) async fn act(shared: &Arc<Shared>, caller: &Caller, action: Action) -> Result<Made, ApiError> {
    let draft = draft(shared, caller, action).await?;
    let Carried { made, refused } = shared.writer.commands(vec![draft]).await?;
    match (made.first(), refused) {
        (Some(made), _) => Ok(*made),
        (None, Some(error)) => Err(error.into()),
        (None, None) => Err(ApiError::internal("nothing was made")),
    }
}

/// Whether to wait for receipts.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Waiting {
    /// Wait at most so long for the receipts of all parties.
    wait_ms: Option<u64>,
}

/// `POST /api/v1/entries`: answers when the entry is durable here; with `wait_ms`, when all
/// parties' receipts are stored, or that time is over.
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Query(waiting): Query<Waiting>,
    caller: By,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let action = Action::parse(&body).map_err(|e| ApiError::bad_request(format!("the body: {e}")))?;
    let entry = act(&shared, &caller, action).await?;
    let mut answer = made(&entry);
    if let (Some(wait_ms), Some(object)) = (waiting.wait_ms, answer.as_object_mut()) {
        let limit = Duration::from_millis(wait_ms.min(WAIT_MS_MAX));
        let receipted = tokio::time::timeout(limit, all_receipted(&shared, entry.seq)).await;
        object.insert("receipted".into(), json!(matches!(receipted, Ok(Ok(())))));
    }
    Ok(Json(answer))
}

/// Waits until every party's receipt for an entry is stored.
async fn all_receipted(shared: &Arc<Shared>, seq: u64) -> Result<(), ApiError> {
    let mut commits = shared.writer.commits();
    loop {
        commits.mark_unchanged();
        let deliveries = shared.read(move |reader| reader.deliveries(seq)).await?;
        if deliveries.iter().all(|(_, d)| matches!(d, Delivery::Receipted { .. })) {
            return Ok(());
        }
        commits.changed().await.map_err(ApiError::internal)?;
    }
}

/// `POST /api/v1/entries/bulk`: one action a line, carried out in order up to the first that is
/// refused, made durable together.
pub(super) async fn bulk(
    State(shared): State<Arc<Shared>>,
    caller: By,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let mut drafts = Vec::new();
    for (index, line) in body.split(|b| *b == b'\n').enumerate().filter(|(_, l)| !l.is_empty()) {
        if drafts.len() >= BULK_LINES_MAX {
            return Err(ApiError::bad_request(format!(
                "more than {BULK_LINES_MAX} lines; send the rest in another request"
            )));
        }
        let action =
            Action::parse(line).map_err(|e| ApiError::bad_request(format!("line {}: {e}", index + 1)))?;
        drafts.push(draft(&shared, &caller, action).await?);
    }
    let Carried { made: entries, refused } = shared.writer.commands(drafts).await?;
    let line = entries.len() + 1;
    let mut answer = json!({ "made": entries.iter().map(made).collect::<Vec<_>>() });
    if let (Some(error), Some(object)) = (refused, answer.as_object_mut()) {
        object.insert(
            "refused".into(),
            json!({ "line": line, "code": error.code(), "detail": error.to_string() }),
        );
    }
    Ok(Json(answer))
}

/// `GET /api/v1/entries/{id}`: the entry, its leaf, and what became of it at every peer.
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    use hiwar_dialogue::ledger::View as _;
    let id = entry_id(&id)?;
    let found = shared
        .read(move |reader| {
            let Some(seq) = reader.find(&id)? else { return Ok(None) };
            let Some(stored) = reader.entry(seq)? else { return Ok(None) };
            let deliveries = reader.deliveries(seq)?;
            let mut receipts = Vec::new();
            for (peer, direction, number) in reader.receipts_of(seq)? {
                if let Some((_, receipt)) = reader.receipt(number)? {
                    receipts.push(json!({
                        "peer": peer, "direction": direction, "time": receipt.receipt.time, "note": receipt.note,
                    }));
                }
            }
            Ok(Some((stored, deliveries, receipts)))
        })
        .await?;
    let Some((stored, deliveries, receipts)) = found else {
        return Err(ApiError::not_found(format!("there is no entry {id} on this node")));
    };
    let mut value = entry_json(&stored)?;
    if let Some(object) = value.as_object_mut() {
        let deliveries: Vec<Value> =
            deliveries.into_iter().map(|(peer, d)| json!({ "peer": peer, "delivery": d })).collect();
        object.insert("deliveries".into(), json!(deliveries));
        object.insert("receipts".into(), json!(receipts));
    }
    Ok(Json(value))
}

/// An entry as the API shows it: its content with the identifier put in, and where it stands.
pub(super) fn entry_json(stored: &StoredEntry) -> Result<Value, ApiError> {
    let mut content: Value = serde_json::from_slice(&stored.content).map_err(ApiError::internal)?;
    if let Some(object) = content.as_object_mut() {
        object.insert("id".into(), json!(stored.id));
    }
    Ok(json!({
        "seq": stored.seq,
        "entry": content,
        "key": stored.key,
        "signature": stored.signature,
        "log": stored.log,
        "leaf": stored.leaf,
        "via": stored.via,
        "received": stored.received,
    }))
}
