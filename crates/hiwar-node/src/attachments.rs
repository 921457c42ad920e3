//! Files between nodes: read in parts from whoever announced them, resumed after a break, verified
//! as a whole before they count.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use hiwar_dialogue::ledger::Standing;
use hiwar_dialogue::limits::ATTACHMENT_PART_BYTES;
use hiwar_store::WantedAttachment;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::{DeliveryMode, Identity};
use serde::{Deserialize, Serialize};

use crate::node::Shared;
use crate::peer_client::{ClientError, PREFIX, PeerLink};
use crate::peer_server::{Authentic, PeerRefusal, answer, with_peer};
use crate::session::Channel;

/// How long to rest when nothing is wanted or a peer did not answer.
const REST: Duration = Duration::from_secs(2);
/// Most files asked for at one time.
const WANTED_MAX: usize = 16;
/// Most files looked at to find those that somebody can give now.
const LOOKED_AT_MAX: usize = 1024;

/// Asks for a part of a file.
#[derive(Debug, Serialize, Deserialize)]
struct ReadPart {
    sha256: Hash,
    offset: u64,
}

/// Says which part of a file the body of a request is.
#[derive(Debug, Serialize, Deserialize)]
struct WritePart {
    sha256: Hash,
    offset: u64,
}

/// How much of a file is here.
#[derive(Debug, Serialize, Deserialize)]
struct PartTaken {
    offset: u64,
}

fn internal(error: impl ToString) -> PeerRefusal {
    PeerRefusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error)
}

/// Gives a peer a part of a file, if the file belongs to a dialogue of its.
pub(crate) async fn read(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    with_peer(shared, request, Some(Channel::Read), async |shared, authentic| {
        let asked: ReadPart = crate::json::parse(&authentic.body)
            .map_err(|e| PeerRefusal::new(StatusCode::BAD_REQUEST, "malformed", e))?;
        must_share(&shared, authentic.peer.did(), asked.sha256).await?;
        let folder = shared.folder.clone();
        let part = tokio::task::spawn_blocking(move || {
            folder.read_part(&asked.sha256, asked.offset, ATTACHMENT_PART_BYTES)
        })
        .await
        .map_err(internal)?
        .map_err(|e| PeerRefusal::new(StatusCode::NOT_FOUND, "no-such-file", e))?;
        Ok(answer(&shared, &authentic, StatusCode::OK, &[], part))
    })
    .await
}

/// Whether `peer` takes part in a dialogue that the file belongs to.
async fn must_share(shared: &Arc<Shared>, peer: &Did, sha256: Hash) -> Result<(), PeerRefusal> {
    let dialogues =
        shared.read(move |reader| reader.attachment_dialogues(&sha256)).await.map_err(internal)?;
    let peer = peer.clone();
    let shares = shared
        .writer
        .query(move |engine, _| {
            let active = engine.peers().any(|p| p.did == peer && p.standing == Standing::Active);
            active
                && dialogues
                    .iter()
                    .any(|id| engine.dialogue(id).is_some_and(|d| d.everyone().contains(&peer)))
        })
        .await?;
    if shares {
        Ok(())
    } else {
        // The same answer as for a file that is not here, so that nothing is betrayed.
        Err(PeerRefusal::new(
            StatusCode::NOT_FOUND,
            "no-such-file",
            "no file with this digest belongs to a dialogue of yours",
        ))
    }
}

/// Takes a part of a file from a peer that accepts no connection and that announced the file.
pub(crate) async fn write(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    with_peer(shared, request, Some(Channel::Write), async |shared, authentic| {
        let part: WritePart = read_query(&authentic)?;
        let peer = authentic.peer.did().clone();
        let wanted =
            shared.read(|reader| reader.wanted_attachments(LOOKED_AT_MAX)).await.map_err(internal)?;
        let mut found = None;
        for file in wanted.into_iter().filter(|w| w.sha256 == part.sha256) {
            if holders(&shared, &file).await.contains(&peer) {
                found = Some(file);
            }
        }
        let Some(file) = found else {
            return Err(PeerRefusal::new(
                StatusCode::NOT_FOUND,
                "not-wanted",
                "this file is not wanted from you",
            ));
        };
        let offset = append(&shared, &file, part.offset, authentic.body.clone()).await?;
        let body = serde_json::to_vec(&PartTaken { offset }).map_err(internal)?;
        Ok(answer(&shared, &authentic, StatusCode::OK, &[], body))
    })
    .await
}

fn read_query(authentic: &Authentic) -> Result<WritePart, PeerRefusal> {
    let query = authentic.query.as_deref().unwrap_or_default();
    let find = |name: &str| {
        query
            .split('&')
            .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
    };
    let sha256 = find("sha256").and_then(|t| t.parse().ok());
    let offset = find("offset").and_then(|t| t.parse().ok());
    match (sha256, offset) {
        (Some(sha256), Some(offset)) => Ok(WritePart { sha256, offset }),
        _ => Err(PeerRefusal::new(
            StatusCode::BAD_REQUEST,
            "malformed",
            "the query must be sha256=<64 hex>&offset=<bytes>",
        )),
    }
}

/// Appends a part if it continues what is here; returns how much is here then. When the file is
/// complete and its digest right, the writer logs it.
async fn append(
    shared: &Arc<Shared>,
    wanted: &WantedAttachment,
    offset: u64,
    bytes: Vec<u8>,
) -> Result<u64, PeerRefusal> {
    let folder = shared.folder.clone();
    let (sha256, size) = (wanted.sha256, wanted.size);
    let taken = tokio::task::spawn_blocking(move || {
        if folder.path_of(&sha256).is_file() {
            // A restored store does not know yet that the file is still here.
            return Ok(size);
        }
        let mut partial = folder.resume(&sha256, size)?;
        if partial.offset() == offset {
            partial.append(&bytes)?;
        }
        let here = partial.offset();
        if here == size {
            partial.finish()?;
        }
        Ok::<_, hiwar_store::attachments::AttachmentError>(here)
    })
    .await
    .map_err(internal)?
    .map_err(internal)?;
    if taken == size {
        // The author is owed a receipt.
        let authors = wanted.author.clone().into_iter().collect();
        shared.writer.attachment_stored(sha256, authors).await?;
        tracing::info!(attachment = %sha256, author = ?wanted.author, "attachment complete");
    }
    Ok(taken)
}

/// Who may be asked for a file: its author, or for one of this node's own, which a restore from a
/// backup left behind, the other parties.
async fn holders(shared: &Arc<Shared>, file: &WantedAttachment) -> Vec<Did> {
    if let Some(author) = &file.author {
        return vec![author.clone()];
    }
    let (dialogue, me) = (file.dialogue, shared.did.clone());
    let parties = shared.writer.query(move |engine, _| {
        engine.dialogue(&dialogue).map(|d| d.everyone().into_iter().filter(|did| *did != me).collect())
    });
    parties.await.ok().flatten().unwrap_or_default()
}

/// The files this node would like from a peer that accepts no connection, as a header value.
pub(crate) async fn wanted_from(shared: &Arc<Shared>, peer: &Did) -> String {
    let wanted = shared.read(|reader| reader.wanted_attachments(LOOKED_AT_MAX)).await.unwrap_or_default();
    let mut out = Vec::new();
    for file in wanted {
        if out.len() >= WANTED_MAX || !holders(shared, &file).await.contains(peer) {
            continue;
        }
        let folder = shared.folder.clone();
        let offset =
            tokio::task::spawn_blocking(move || folder.resume(&file.sha256, file.size).map(|p| p.offset()))
                .await
                .ok()
                .and_then(Result::ok)
                .unwrap_or(0);
        out.push(format!("{}:{offset}", file.sha256));
    }
    out.join(",")
}

/// Gives a peer the files it asked for in the answer to a fetch. When none could be given, rests
/// before it returns, so that the peer is not asked at once what it wants.
pub(crate) async fn give_wanted(shared: Arc<Shared>, mut link: PeerLink, list: String) {
    let mut given = false;
    for item in list.split(',').take(WANTED_MAX) {
        let Some((sha256, offset)) =
            item.split_once(':').and_then(|(h, o)| Some((h.parse::<Hash>().ok()?, o.parse::<u64>().ok()?)))
        else {
            continue;
        };
        if must_share(&shared, link.peer().did(), sha256).await.is_err() {
            continue;
        }
        match give(&shared, &mut link, sha256, offset).await {
            Ok(()) => given = true,
            Err(problem) => {
                tracing::info!(peer = %link.peer().did(), attachment = %sha256, %problem, "attachment not given");
            }
        }
    }
    if !given {
        tokio::time::sleep(REST).await;
    }
}

async fn give(
    shared: &Arc<Shared>,
    link: &mut PeerLink,
    sha256: Hash,
    mut offset: u64,
) -> Result<(), String> {
    loop {
        let folder = shared.folder.clone();
        let part =
            tokio::task::spawn_blocking(move || folder.read_part(&sha256, offset, ATTACHMENT_PART_BYTES))
                .await
                .map_err(|e| e.to_string())?
                .map_err(|e| e.to_string())?;
        if part.is_empty() {
            return Ok(());
        }
        let path = format!("{PREFIX}/attachments/write?sha256={sha256}&offset={offset}");
        let taken = link.post(&path, part, Duration::ZERO).await.map_err(|e| e.to_string())?;
        let taken: PartTaken = crate::json::parse(&taken.body).map_err(|e| e.to_string())?;
        if taken.offset <= offset {
            return Err(format!("the peer holds {} bytes and does not go on", taken.offset));
        }
        offset = taken.offset;
    }
}

/// Why a file was not fetched.
enum NotFetched {
    /// Its holder does not answer; nor will it for the next file.
    Unreachable(String),
    /// It could not be had from this holder now.
    NotNow(String),
}

fn not_now(problem: impl ToString) -> NotFetched {
    NotFetched::NotNow(problem.to_string())
}

/// Fetches the files that entries announced, part by part, from whoever holds them.
pub(crate) async fn fetch_wanted(shared: Arc<Shared>) {
    let mut commits = shared.writer.commits();
    loop {
        commits.mark_unchanged();
        if fetch_round(&shared).await {
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(REST) => {}
            () = shared.stopping.cancelled() => return,
        }
        tokio::select! {
            changed = commits.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(REST * 15) => {}
            () = shared.stopping.cancelled() => return,
        }
    }
}

/// Tries every wanted file once; whether any came.
async fn fetch_round(shared: &Arc<Shared>) -> bool {
    let wanted = shared.read(|reader| reader.wanted_attachments(LOOKED_AT_MAX)).await.unwrap_or_default();
    let mut away = BTreeSet::new();
    let mut some = false;
    for file in wanted {
        for holder in holders(shared, &file).await {
            let Some(peer) = shared.writer.directory().get(&holder).cloned() else { continue };
            // A peer that accepts no connection brings its files when it fetches.
            if away.contains(&holder) || peer.latest().delivery == DeliveryMode::Pull {
                continue;
            }
            let problem = match fetch(shared, peer, &file).await {
                Ok(()) => {
                    some = true;
                    break;
                }
                Err(NotFetched::Unreachable(problem)) => {
                    away.insert(holder.clone());
                    problem
                }
                Err(NotFetched::NotNow(problem)) => problem,
            };
            tracing::info!(peer = %holder, attachment = %file.sha256, %problem, "attachment not fetched yet");
        }
    }
    some
}

async fn fetch(
    shared: &Arc<Shared>,
    peer: Arc<Identity>,
    wanted: &WantedAttachment,
) -> Result<(), NotFetched> {
    let mut link = PeerLink::new(shared.identity(), shared.keys().node, peer, shared.config.connect_from);
    let folder = shared.folder.clone();
    let (sha256, size) = (wanted.sha256, wanted.size);
    let mut offset = tokio::task::spawn_blocking(move || {
        if folder.path_of(&sha256).is_file() {
            Ok(size)
        } else {
            folder.resume(&sha256, size).map(|p| p.offset())
        }
    })
    .await
    .map_err(not_now)?
    .map_err(not_now)?;
    loop {
        let asked = serde_json::to_vec(&ReadPart { sha256, offset }).map_err(not_now)?;
        let part = if offset < size {
            match link.post(&format!("{PREFIX}/attachments/read"), asked, Duration::ZERO).await {
                Ok(answer) => answer.body,
                Err(error @ ClientError::Refused { .. }) => return Err(not_now(error)),
                Err(error) => return Err(NotFetched::Unreachable(error.to_string())),
            }
        } else {
            Vec::new()
        };
        if part.is_empty() && offset < size {
            return Err(not_now(format!("it ends at {offset} of {size} bytes")));
        }
        offset = append(shared, wanted, offset, part).await.map_err(|e| not_now(format!("{e:?}")))?;
        if offset >= size {
            return Ok(());
        }
    }
}
