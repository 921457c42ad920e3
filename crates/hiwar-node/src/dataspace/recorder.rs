//! Writes agreements, their ends and completed transfers into the signed log, each as an entry with a
//! document in the dialogue of the two participants.
//!
//! The dataspace's store and the log are two files with two commits. A fact is kept as a note together
//! with what it is about, and leaves the notes only when its entry is durable; a crash between the two
//! is noticed by the document, which is in the log already. A note whose participants share no dialogue
//! waits until they do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hiwar_dataspace::record::Record;
use hiwar_dialogue::engine::{Command, Draft, Engine};
use hiwar_dialogue::entry::{Attachment, DialogueId, EntryId, Words};
use hiwar_dialogue::marking::Marking;
use hiwar_store::dataspace::WaitingNote;
use hiwar_trust::did::Did;
use hiwar_trust::jcs;
use tokio::sync::watch;

use super::{Dataspace, failed};
use crate::clock::random;
use crate::node::Shared;

/// The desk that these entries name: no person wrote them.
const DESK: &str = "dataspace";
/// Notes looked at together.
const NOTES_MAX: usize = 64;
/// How long it waits after a failure.
const RETRY: Duration = Duration::from_secs(10);
/// How often at most it looks whether a dialogue was opened.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Where something about a participant is said.
#[derive(Clone, Copy)]
struct Place {
    dialogue: DialogueId,
    /// Nothing is said about how an agreement may be passed on, so that nobody passes it on.
    marking: Marking,
}

type Problem = Box<dyn std::error::Error + Send + Sync>;

/// Runs until the node stops.
pub(crate) async fn record(shared: Arc<Shared>, dataspace: Arc<Dataspace>) {
    let mut commits = shared.writer.commits();
    let mut after = 0;
    let mut without_a_place = false;
    // As they were before the first note was looked at: one that is opened meanwhile is another one.
    let mut known = open_dialogues(&shared).await;
    loop {
        let wait = match page(&shared, &dataspace, after, &mut without_a_place).await {
            Ok(Some(last)) => {
                after = last;
                continue;
            }
            Ok(None) => None,
            Err(problem) => {
                tracing::warn!(%problem, "agreements and transfers cannot be written into the log now");
                Some(RETRY)
            }
        };
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = dataspace.noted.notified(), if wait.is_none() => {}
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
            others = another_dialogue(&shared, &mut commits, &known), if without_a_place => {
                (after, without_a_place, known) = (0, false, others);
            }
        }
    }
}

/// Writes the first notes behind `after`; returns the last one, or nothing when there are none.
async fn page(
    shared: &Arc<Shared>,
    dataspace: &Arc<Dataspace>,
    after: i64,
    without_a_place: &mut bool,
) -> Result<Option<i64>, Problem> {
    let own = shared.did.to_string();
    let notes = dataspace.desk.run(move |tx| {
        let notes = tx.view().notes_waiting(after, NOTES_MAX).map_err(failed)?;
        let read = |note: WaitingNote| Ok((note.id, Record::of(&note.note, &own, tx)?));
        notes.into_iter().map(read).collect::<Result<Vec<_>, hiwar_dataspace::connector::Refusal>>()
    });
    let notes = notes.await.map_err(|refusal| refusal.reason)?;
    let Some(last) = notes.last().map(|(id, _)| *id) else { return Ok(None) };
    let places =
        places(shared, notes.iter().filter_map(|(_, r)| Some(r.as_ref()?.counterparty.clone()))).await?;
    let mut written = Vec::new();
    let mut drafted = VecDeque::new();
    for (id, record) in notes {
        let Some(record) = record else {
            written.push((id, String::new()));
            continue;
        };
        let Some(place) = places.get(&record.counterparty) else {
            *without_a_place = true;
            continue;
        };
        match draft(shared, &record, *place).await? {
            Drafted::Already(entry) => written.push((id, entry.to_string())),
            Drafted::New(draft) => drafted.push_back((id, draft)),
        }
    }
    *without_a_place |= commit(shared, drafted, &mut written).await?;
    done(dataspace, written).await?;
    Ok(Some(last))
}

/// Makes the entries. One that the engine refuses is left for later and does not hold up the others;
/// returns whether there was one.
async fn commit(
    shared: &Arc<Shared>,
    mut drafted: VecDeque<(i64, Draft)>,
    written: &mut Vec<(i64, String)>,
) -> Result<bool, Problem> {
    let mut left = false;
    while !drafted.is_empty() {
        let drafts = drafted.iter().map(|(_, draft)| draft.clone()).collect();
        let carried = shared.writer.commands(drafts).await?;
        let behind = drafted.split_off(carried.made.len());
        let made = drafted.into_iter().zip(carried.made);
        written.extend(made.map(|((id, _), made)| (id, made.entry.to_string())));
        drafted = behind;
        if let (Some(problem), Some((note, _))) = (carried.refused, drafted.pop_front()) {
            tracing::warn!(note, %problem, "an agreement or transfer is not in the log yet");
            left = true;
        }
    }
    Ok(left)
}

async fn done(dataspace: &Arc<Dataspace>, written: Vec<(i64, String)>) -> Result<(), Problem> {
    if written.is_empty() {
        return Ok(());
    }
    let keep = dataspace
        .desk
        .run(move |tx| written.iter().try_for_each(|(id, entry)| Ok(tx.note_done(*id, entry)?)));
    Ok(keep.await.map_err(|refusal| refusal.reason)?)
}

enum Drafted {
    /// The entry is there already, in this dialogue or another one: the node stopped before it could be
    /// noted, and a dialogue may have been opened since.
    Already(EntryId),
    New(Draft),
}

/// Stores the document and makes the entry that carries it.
async fn draft(shared: &Arc<Shared>, record: &Record, place: Place) -> Result<Drafted, Problem> {
    let bytes = jcs::to_vec(&record.document)?;
    let folder = shared.folder.clone();
    let stored = tokio::task::spawn_blocking(move || {
        let mut upload = folder.begin()?;
        upload.append(&bytes)?;
        upload.finish()
    });
    let (sha256, size) = stored.await??;
    let written = shared.read(move |reader| reader.own_entry_with(&sha256)).await?;
    if let Some(entry) = written {
        return Ok(Drafted::Already(entry));
    }
    shared.writer.attachment_stored(sha256, Vec::new()).await?;
    let kind = record.kind.trim_start_matches("org.hiwar.").trim_end_matches(".v1");
    let attachment = Attachment {
        name: format!("{kind}-{}.json", sha256.short()),
        media_type: Attachment::media_type_of(record.kind),
        size,
        sha256,
    };
    let command = Command::Say {
        dialogue: place.dialogue,
        marking: place.marking,
        words: Words { texts: record.texts.clone(), prevailing: None },
        attachments: vec![attachment],
    };
    Ok(Drafted::New(Draft { desk: DESK.to_owned(), command, nonce: random()? }))
}

/// The dialogue for each of `counterparties` that has one: the one set in `hiwar.toml` when both take
/// part in it, otherwise the one of exactly the two. Of several, both sides choose the same.
async fn places(
    shared: &Arc<Shared>,
    counterparties: impl Iterator<Item = String>,
) -> Result<BTreeMap<String, Place>, Problem> {
    let wanted: BTreeSet<Did> = counterparties.filter_map(|c| c.parse().ok()).collect();
    let own = shared.did.clone();
    let set = shared.config.dataspace.dialogue.clone();
    let find = move |engine: &Engine| {
        let find_one = |peer: &Did| {
            let open = engine.dialogues().filter(|d| d.is_open()).filter_map(|d| {
                let membership = &d.current()?.membership;
                let takes_part = membership.parties.contains(&own) && membership.parties.contains(peer);
                let is_set = set.as_deref() == Some(d.id.to_string().as_str());
                let for_two = membership.parties.len() == 2;
                let place = Place { dialogue: d.id, marking: membership.cap };
                (takes_part && (is_set || for_two)).then_some((!is_set, d.id, place))
            });
            open.min_by_key(|(not_set, id, _)| (*not_set, *id)).map(|(_, _, place)| place)
        };
        wanted.iter().filter_map(|peer| Some((peer.to_string(), find_one(peer)?))).collect()
    };
    Ok(shared.writer.query(move |engine, _| find(engine)).await?)
}

type OpenDialogues = BTreeSet<(DialogueId, EntryId)>;

async fn open_dialogues(shared: &Arc<Shared>) -> OpenDialogues {
    let open = shared
        .writer
        .query(|engine, _| engine.dialogues().filter(|d| d.is_open()).map(|d| (d.id, d.current)).collect());
    open.await.unwrap_or_default()
}

/// Waits until the open dialogues are others than those known, and returns them.
async fn another_dialogue(
    shared: &Arc<Shared>,
    commits: &mut watch::Receiver<u64>,
    known: &OpenDialogues,
) -> OpenDialogues {
    loop {
        commits.mark_unchanged();
        let open = open_dialogues(shared).await;
        if open != *known {
            return open;
        }
        if commits.changed().await.is_err() {
            return std::future::pending().await;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
