//! This node's own cards, kept beside its keys as well as in the store.
//!
//! A card that peers have seen cannot be taken back: another one in its place would be a second
//! history, and peers would stop trusting both. A store that comes back from a backup lacks the
//! cards made since; this file does not, so the chain goes on where it ended.

use std::fs;
use std::path::{Path, PathBuf};

use hiwar_dialogue::ledger::{Alarm, Change, OwnRecord, Store as _};
use hiwar_store::{SqliteReader, SqliteStore};
use hiwar_trust::identity::{Identity, SignedCard};

use crate::clock::now;
use crate::folder::{FolderError, log_number, write_secret};

/// The file, in a node's folder.
pub(crate) const CARDS: &str = "keys/cards.json";

/// Keeps the cards in force.
pub(crate) fn keep(dir: &Path, cards: &[SignedCard]) -> Result<(), FolderError> {
    let path = dir.join(CARDS);
    let text = serde_json::to_vec_pretty(cards).map_err(|e| wrong(&path, e))?;
    write_secret(&path, &text)
}

fn wrong(path: &Path, problem: impl ToString) -> FolderError {
    FolderError::Cards { path: PathBuf::from(path), problem: problem.to_string() }
}

fn read(path: &Path) -> Result<Identity, FolderError> {
    let bytes = fs::read(path).map_err(|error| FolderError::Io { path: path.to_owned(), error })?;
    let cards = serde_json::from_slice(&bytes).map_err(|e| wrong(path, e))?;
    Identity::verify(cards).map_err(|e| wrong(path, e))
}

/// Brings the store and the file to the same cards. A store that lacks some is older than what
/// this node has signed; unless `declared` as restored, it must not be gone on from.
pub(crate) fn recall(dir: &Path, store: &mut SqliteStore, declared: bool) -> Result<(), FolderError> {
    // Without a record the engine says what is wrong.
    let Some(own) = SqliteReader::open(dir)?.own()? else { return Ok(()) };
    let path = dir.join(CARDS);
    if !path.exists() {
        return keep(dir, &own.cards);
    }
    let kept = read(&path)?;
    if own.cards.starts_with(kept.cards()) {
        return if own.cards.len() > kept.cards().len() { keep(dir, &own.cards) } else { Ok(()) };
    }
    if !kept.cards().starts_with(&own.cards) {
        return Err(wrong(
            &path,
            "its cards are not those in the store; one of the two belongs to another node",
        ));
    }
    let lacking = kept.cards().len() - own.cards.len();
    let log = log_number(&kept.latest().log_origin).unwrap_or(own.log);
    let mut changes = Vec::new();
    let mut halted = own.halted;
    if !declared && halted.is_none() {
        let detail = format!(
            "the store lacks {lacking} of this node's own cards: it is older than what was already signed; run `hiwar backup declare-restore` to go on in a new log"
        );
        tracing::error!(%detail, "halted");
        changes.push(Change::Alarm(Box::new(Alarm {
            time: now(),
            code: "own-log-behind".into(),
            peer: None,
            detail: detail.clone(),
            evidence: Vec::new(),
        })));
        halted = Some(detail);
    }
    changes.push(Change::Own(Box::new(OwnRecord { cards: kept.cards().to_vec(), log, halted })));
    store.apply(&changes)?;
    store.commit()?;
    Ok(())
}
