//! Reads a dossier as a stream and says what it proves.
//!
//! * `collect` — one pass over the file: members, digests, and everything that is worth keeping,
//! * `lines` — entries and receipts, a line at a time,
//! * `book` — the entries by identifier, and how they refer to each other,
//! * `parts`, `parties`, `logs`, `entries`, `memberships`, `alarms` — the claims.

mod alarms;
mod book;
mod collect;
mod entries;
mod lines;
mod logs;
mod memberships;
mod parties;
mod parts;

use std::io::Read;

use crate::anchor::Anchor;
use crate::claim::{Claim, EntryRow, Subject, Trouble, Verdict};
use crate::container::ContainerError;
use crate::input::Input;
use book::Book;
use collect::Collected;

/// Most participants of one dialogue, past and present.
const PARTIES_MAX: usize = 4096;

/// How much a dossier may make its reader do and remember.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most members in the archive.
    pub members_max: usize,
    /// Largest of `dossier.json`, `identities.json` and `alarms.json`, in bytes.
    pub document_bytes_max: u64,
    /// Largest `log.json`, in bytes.
    pub log_bytes_max: u64,
    /// Most entries.
    pub entries_max: usize,
    /// Largest `entries.ndjson`, in bytes.
    pub entries_bytes_max: u64,
    /// Most receipts.
    pub receipts_max: usize,
    /// Most claims; a dossier of very many entries between very many parties makes more.
    pub claims_max: usize,
    /// Most bytes that a gzip stream may unpack to.
    pub gzip_bytes_max: u64,
    /// How many times its own size a gzip stream may unpack to.
    pub gzip_ratio_max: u64,
    /// From how many unpacked bytes on that is looked at.
    pub gzip_ratio_from: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            members_max: 100_000,
            document_bytes_max: 64 << 20,
            log_bytes_max: 1 << 30,
            entries_max: 500_000,
            entries_bytes_max: 1 << 30,
            receipts_max: 2_000_000,
            claims_max: 4_000_000,
            gzip_bytes_max: 64 << 30,
            gzip_ratio_max: 200,
            gzip_ratio_from: 64 << 20,
        }
    }
}

/// Verifies a dossier. Whatever `input` holds, the answer is a verdict: an unreadable file yields
/// one whose `container` claim failed. `anchors` are the fingerprints that the verifying person
/// compared with the parties by another way.
pub fn verify(input: impl Read, anchors: &[Anchor], limits: &Limits) -> Verdict {
    let collected = match Input::open(input, limits) {
        Ok(input) => collect::collect(input, limits),
        Err(error) => {
            Collected::unreadable(&ContainerError::Read { at: 0, why: error.to_string() }.to_string())
        }
    };
    judge(&collected, anchors, limits)
}

fn judge(collected: &Collected, anchors: &[Anchor], limits: &Limits) -> Verdict {
    let book = Book::new(collected);
    let logs = logs::judge(collected);
    let found = entries::judge(collected, &book, &logs, limits);
    let mut claims = parts::claims(collected, &book);
    claims.extend(parties::claims(collected, &book, anchors));
    claims.extend(logs.iter().flat_map(|log| log.claims.iter().cloned()));
    claims.extend(memberships::claims(&book, &found.signed));
    claims.extend(found.claims);
    claims.extend(parts::attachments(collected, &book));
    claims.push(memberships::completeness(collected, &book));
    claims.extend(alarms::claims(collected));
    if claims.len() > limits.claims_max {
        let why = format!(
            "it makes more than {} claims; verify it with a higher limit on a machine with more memory",
            limits.claims_max
        );
        claims.truncate(limits.claims_max);
        claims.push(Claim::new(
            "container:claims".into(),
            Subject::Container,
            "All claims were looked at",
            Err(Trouble::Failed(why)),
        ));
    }
    let manifest = collected.manifest.as_ref();
    Verdict {
        dialogue: book.dialogue,
        title: manifest.map(|m| m.title.clone()).unwrap_or_default(),
        exporter: manifest.map(|m| m.exporter.clone()),
        time: manifest.map(|m| m.time),
        parties: parties::rows(collected, anchors),
        entries: rows(&book, found.known),
        claims,
    }
}

fn rows(book: &Book<'_>, mut known: entries::KnownByEntry) -> Vec<EntryRow> {
    book.held
        .iter()
        .map(|held| EntryRow {
            id: held.id,
            line: held.line,
            author: held.author.clone(),
            desk: held.desk.clone(),
            kind: held.body.type_name().into(),
            marking: held.marking,
            time: held.time,
            excerpt: held.excerpt.clone(),
            known: known.remove(&held.id).unwrap_or_default(),
        })
        .collect()
}

/// Tries everything in `all` and returns the first trouble: a failure before anything unproved.
fn worst(all: impl IntoIterator<Item = Result<(), Trouble>>) -> Result<(), Trouble> {
    let mut unproved = None;
    for one in all {
        match one {
            Ok(()) => {}
            Err(failed @ Trouble::Failed(_)) => return Err(failed),
            Err(trouble @ Trouble::Unproved(..)) => unproved = unproved.or(Some(trouble)),
        }
    }
    unproved.map_or(Ok(()), Err)
}
