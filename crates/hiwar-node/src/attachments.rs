//! Files between nodes: read in parts from whoever announced them, resumed after a break, verified
//! as a whole before they count.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use hiwar_dialogue::limits::ATTACHMENT_PART_BYTES;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use serde::{Deserialize, Serialize};

use crate::node::Shared;
use crate::peer_client::{PREFIX, PeerLink};
use crate::peer_server::{Authentic, PeerRefusal, WANTED_FILES, answer, with_peer};
use crate::session::Channel;

/// How long the fetcher rests when nothing is wanted or a peer did not answer.
const REST: Duration = Duration::from_secs(2);
/// Most files asked for at one time.
const WANTED_MAX: usize = 16;

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
    with_peer(shared, request, Some(Channel::Attachment), async |shared, authentic| {
        let asked: ReadPart = serde_json::from_slice(&authentic.body)
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
            dialogues.iter().any(|id| engine.dialogue(id).is_some_and(|d| d.everyone().contains(&peer)))
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
    with_peer(shared, request, Some(Channel::Attachment), async |shared, authentic| {
        let part: WritePart = read_query(&authentic)?;
        let peer = authentic.peer.did().clone();
        let wanted = shared.read(move |reader| reader.wanted_attachments(1024)).await.map_err(internal)?;
        let Some(file) =
            wanted.into_iter().find(|w| w.sha256 == part.sha256 && w.author.as_ref() == Some(&peer))
        else {
            return Err(PeerRefusal::new(
                StatusCode::NOT_FOUND,
                "not-wanted",
                "this file is not wanted from you",
            ));
        };
        let offset =
            append(&shared, part.sha256, file.size, part.offset, authentic.body.clone(), &peer).await?;
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
    sha256: Hash,
    size: u64,
    offset: u64,
    bytes: Vec<u8>,
    author: &Did,
) -> Result<u64, PeerRefusal> {
    let folder = shared.folder.clone();
    let taken = tokio::task::spawn_blocking(move || {
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
        shared.writer.attachment_stored(sha256, vec![author.clone()]).await?;
        tracing::info!(attachment = %sha256, %author, "attachment complete");
    }
    Ok(taken)
}

/// The files this node would like from a peer that accepts no connection, as a header value.
pub(crate) async fn wanted_from(shared: &Arc<Shared>, peer: &Did) -> String {
    let peer = peer.clone();
    let wanted = shared.read(move |reader| reader.wanted_attachments(1024)).await.unwrap_or_default();
    let mut out = Vec::new();
    for file in wanted.into_iter().filter(|w| w.author.as_ref() == Some(&peer)).take(WANTED_MAX) {
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

/// Gives a peer the files it asked for in the answer to a fetch.
pub(crate) async fn give_wanted(shared: &Arc<Shared>, link: &mut PeerLink, headers: &HeaderMap) {
    let Some(list) = headers.get(WANTED_FILES).and_then(|v| v.to_str().ok()).map(ToOwned::to_owned) else {
        return;
    };
    for item in list.split(',').take(WANTED_MAX) {
        let Some((sha256, offset)) =
            item.split_once(':').and_then(|(h, o)| Some((h.parse::<Hash>().ok()?, o.parse::<u64>().ok()?)))
        else {
            continue;
        };
        if must_share(shared, link.peer().did(), sha256).await.is_err() {
            continue;
        }
        if let Err(problem) = give(shared, link, sha256, offset).await {
            tracing::info!(peer = %link.peer().did(), attachment = %sha256, %problem, "attachment not given");
        }
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
        let taken: PartTaken = serde_json::from_slice(&taken.body).map_err(|e| e.to_string())?;
        if taken.offset <= offset {
            return Err(format!("the peer holds {} bytes and does not go on", taken.offset));
        }
        offset = taken.offset;
    }
}

/// Fetches the files that entries announced, from their authors, part by part.
pub(crate) async fn fetch_wanted(shared: Arc<Shared>) {
    let mut commits = shared.writer.commits();
    loop {
        commits.mark_unchanged();
        let wanted = shared.read(|reader| reader.wanted_attachments(WANTED_MAX)).await.unwrap_or_default();
        let mut stuck = true;
        for file in wanted {
            let Some(author) = file.author else { continue };
            match fetch(&shared, &author, file.sha256, file.size).await {
                Ok(()) => stuck = false,
                Err(problem) => {
                    tracing::info!(peer = %author, attachment = %file.sha256, %problem, "attachment not fetched yet");
                }
            }
        }
        if !stuck {
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

async fn fetch(shared: &Arc<Shared>, author: &Did, sha256: Hash, size: u64) -> Result<(), String> {
    let peer = shared.writer.directory().get(author).cloned().ok_or("its author is no peer")?;
    let mut link = PeerLink::new(shared.identity(), shared.keys().node, peer, shared.config.connect_from);
    let folder = shared.folder.clone();
    let mut offset = tokio::task::spawn_blocking(move || folder.resume(&sha256, size).map(|p| p.offset()))
        .await
        .map_err(|e| e.to_string())?
        .map_err(|e| e.to_string())?;
    loop {
        let asked = serde_json::to_vec(&ReadPart { sha256, offset }).map_err(|e| e.to_string())?;
        let part = if offset < size {
            link.post(&format!("{PREFIX}/attachments/read"), asked, Duration::ZERO)
                .await
                .map_err(|e| e.to_string())?
                .body
        } else {
            Vec::new()
        };
        if part.is_empty() && offset < size {
            return Err(format!("it ends at {offset} of {size} bytes"));
        }
        offset = append(shared, sha256, size, offset, part, author).await.map_err(|e| format!("{e:?}"))?;
        if offset >= size {
            return Ok(());
        }
    }
}
