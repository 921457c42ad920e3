//! Tells the stages of duties when their time comes: reminders, the moment a duty is overdue, escalations.
//!
//! Duties follow from the entries; only which stages were told is kept. After a restart everything that became
//! due meanwhile is told, once. A dialogue is watched when an arrangement was proposed in it; the entries of all
//! others are never read here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hiwar_dialogue::entry::{ActKind, DialogueId, EntryId};
use hiwar_dialogue::ledger::{Seq, StoreError, View as _};
use hiwar_procedure::clock::{Duty, Stage, next_instant, stages_until};
use hiwar_store::Touched;
use hiwar_store::procedure::ToldStage;
use hiwar_trust::time::Timestamp;
use serde_json::json;

use super::Procedure;
use crate::clock::now;
use crate::node::Shared;

/// Entries looked through at one time.
const SCAN: usize = 10_000;
/// The longest sleep: a clock that is set changes what is due.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// How long commits are gathered before they are looked at.
const GATHER: Duration = Duration::from_millis(200);
/// How long it waits after a failure.
const RETRY: Duration = Duration::from_secs(10);

/// What is watched.
#[derive(Default)]
pub(super) struct Watch {
    /// Entries up to here were looked through.
    scanned: Seq,
    /// Dialogues with an arrangement, and when something becomes due in each.
    dialogues: BTreeMap<DialogueId, Option<Timestamp>>,
    /// Watched dialogues with entries that were not looked at yet.
    touched: BTreeSet<DialogueId>,
}

/// Runs until the node stops.
pub(crate) async fn tell(shared: Arc<Shared>) {
    let mut commits = shared.writer.commits();
    let mut started = false;
    loop {
        commits.mark_unchanged();
        let wait = match round(&shared, &mut started).await {
            Ok(Some(next)) => {
                let left = u64::try_from(next.millis_since(now())).unwrap_or_default();
                Duration::from_millis(left).min(SLEEP_MAX)
            }
            Ok(None) => SLEEP_MAX,
            Err(problem) => {
                tracing::error!(%problem, "duties cannot be looked at now");
                started = false;
                RETRY
            }
        };
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            changed = commits.changed() => {
                if changed.is_err() {
                    return;
                }
                tokio::time::sleep(GATHER).await;
            }
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Looks at what is new or due; returns when something becomes due next. In the first round everything is looked
/// at.
async fn round(shared: &Arc<Shared>, started: &mut bool) -> Result<Option<Timestamp>, StoreError> {
    let procedure = &shared.procedure;
    let mut watch = procedure.watch.lock().await;
    let watch = current(shared, &mut watch).await?;
    let touched = std::mem::take(&mut watch.touched);
    let all = !*started;
    let time = now();
    let is_due = |(dialogue, next): &(&DialogueId, &Option<Timestamp>)| {
        all || touched.contains(dialogue) || next.is_some_and(|next| next <= time)
    };
    let look: Vec<DialogueId> =
        watch.dialogues.iter().filter(is_due).map(|(dialogue, _)| *dialogue).collect();
    for dialogue in look {
        let view = procedure.view(shared, dialogue).await?;
        let now = now();
        let duties = view.procedures.duties(now);
        let stages =
            stages_until(&duties, now).into_iter().map(|(duty, stage)| told(dialogue, duty, stage, now));
        let stages: Vec<ToldStage> = stages.collect();
        let new = procedure.keep(move |store| Ok((store.tell(&stages)?, stages))).await?;
        for stage in new.1.iter().filter(|stage| new.0.contains(&stage.key)) {
            tracing::info!(dialogue = stage.dialogue, at = %stage.at, content = stage.content, "a duty");
        }
        watch.dialogues.insert(dialogue, next_instant(&duties, now));
    }
    *started = true;
    Ok(watch.dialogues.values().copied().flatten().min())
}

/// What is watched, up to the last entry.
async fn current<'w>(
    shared: &Arc<Shared>,
    watch: &'w mut Option<Watch>,
) -> Result<&'w mut Watch, StoreError> {
    let watch = match watch {
        Some(watch) => watch,
        None => watch.insert(start(shared).await?),
    };
    scan(shared, watch).await?;
    Ok(watch)
}

async fn start(shared: &Arc<Shared>) -> Result<Watch, StoreError> {
    let (scanned, dialogues) = shared.procedure.keep(|store| store.watched()).await?;
    // A store that came back from a backup may be behind.
    let behind = shared.read(move |reader| Ok(reader.entry(scanned)?.is_none())).await?;
    let dialogues = dialogues.iter().filter_map(|name| Some((EntryId(name.parse().ok()?), None)));
    Ok(Watch {
        scanned: if behind { 0 } else { scanned },
        dialogues: dialogues.collect(),
        touched: BTreeSet::new(),
    })
}

/// Looks through new entries for arrangements, and notes the watched dialogues that have some.
async fn scan(shared: &Arc<Shared>, watch: &mut Watch) -> Result<(), StoreError> {
    // In canonical JSON the quotation marks of a text are escaped, so this is a member and no text.
    let mark = format!("\"type\":\"{}\"", ActKind::Arrangement.type_name());
    loop {
        let (after, bytes) = (watch.scanned, mark.clone());
        let page = shared.read(move |reader| reader.dialogues_touched(after, SCAN, bytes.as_bytes())).await?;
        let Some(Touched { last, dialogues }) = page else { return Ok(()) };
        let is_new =
            |(dialogue, arranged): &&(DialogueId, bool)| *arranged && !watch.dialogues.contains_key(dialogue);
        let new: Vec<DialogueId> = dialogues.iter().filter(is_new).map(|(dialogue, _)| *dialogue).collect();
        // The position alone is worth no commit: what is looked through twice does no harm.
        if !new.is_empty() || last >= after + 1000 {
            let names: Vec<String> = new.iter().map(ToString::to_string).collect();
            shared.procedure.keep(move |store| store.watch(last, &names)).await?;
        }
        watch.dialogues.extend(new.into_iter().map(|dialogue| (dialogue, None)));
        let watched = dialogues.into_iter().map(|(dialogue, _)| dialogue);
        let touched: Vec<DialogueId> =
            watched.filter(|dialogue| watch.dialogues.contains_key(dialogue)).collect();
        watch.touched.extend(touched);
        watch.scanned = last;
    }
}

fn told(dialogue: DialogueId, duty: &Duty, stage: &Stage, told: Timestamp) -> ToldStage {
    let content = json!({
        "stage": stage.kind,
        "clock": duty.clock,
        "arrangement": duty.arrangement,
        "version": duty.version,
        "subject": duty.subject,
        "owner": duty.owner,
        "due": duty.due,
        "body": duty.body,
        "status": duty.status,
    });
    ToldStage {
        key: format!("{dialogue}/{}", stage.key),
        dialogue: dialogue.to_string(),
        at: stage.at,
        told,
        content: content.to_string(),
    }
}

impl Procedure {
    /// Stages that were told, newest first.
    pub(crate) async fn told(&self, most: usize) -> Result<Vec<ToldStage>, StoreError> {
        self.keep(move |store| store.told(most)).await
    }

    /// Dialogues with an arrangement, up to the last entry.
    pub(crate) async fn watched(&self, shared: &Arc<Shared>) -> Result<Vec<DialogueId>, StoreError> {
        let mut watch = self.watch.lock().await;
        Ok(current(shared, &mut watch).await?.dialogues.keys().copied().collect())
    }
}
