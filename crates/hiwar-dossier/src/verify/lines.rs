//! Entries and receipts, a line at a time. Signatures are verified here, while the bytes are at
//! hand; what is kept of an entry is what it does, not what it says.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, Read as _};
use std::sync::Arc;

use hiwar_dialogue::entry::{About, Act, Attachment, Body, EntryId, SignedEntry, Words};
use hiwar_dialogue::limits::ENTRY_BYTES_MAX;
use hiwar_dialogue::marking::Marking;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::{Identity, KeyStatus};
use hiwar_trust::note::MAX_NOTE_BYTES;
use hiwar_trust::receipt::{ReceiptHead, ReceiptItem};
use hiwar_trust::time::Timestamp;

use super::Limits;
use super::parties::revoked_node_key;
use crate::claim::{Trouble, plain};
use crate::format::ReceiptEvidence;

/// Longest line of `entries.ndjson`: an entry with its envelope.
const ENTRY_LINE_MAX: usize = ENTRY_BYTES_MAX + 512;
/// Longest line of `receipts.ndjson`: a note, a proof and their names.
const RECEIPT_LINE_MAX: usize = 2 * MAX_NOTE_BYTES + 16 * 1024;
/// Longest excerpt, in characters.
const EXCERPT_CHARS: usize = 80;
/// How many receipt notes are remembered, so that each is verified once.
const NOTES_REMEMBERED: usize = 4096;

/// What became of verifying an entry's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyFinding {
    /// The author's cards are not there or do not hold.
    NoCards,
    /// The author's cards never named the key.
    UnknownKey,
    /// The signature does not verify.
    Wrong,
    /// It verifies, and this is what the key is worth.
    Good(KeyStatus),
}

/// An entry that could be read, without its words.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) line: usize,
    pub(super) id: EntryId,
    pub(super) author: Did,
    pub(super) desk: String,
    pub(super) dialogue: EntryId,
    pub(super) membership: EntryId,
    pub(super) arrangement: String,
    pub(super) marking: Marking,
    pub(super) time: Timestamp,
    pub(super) prev: Vec<EntryId>,
    pub(super) attachments: Vec<Attachment>,
    pub(super) body: Body,
    pub(super) excerpt: String,
    pub(super) key: KeyFinding,
}

/// A line of `entries.ndjson`.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) read: Result<Box<Held>, String>,
}

/// A receipt that was verified, or why it was not.
#[derive(Debug)]
pub(super) struct ReceiptFinding {
    pub(super) line: usize,
    pub(super) issuer: Did,
    pub(super) item: ReceiptItem,
    pub(super) outcome: Result<Received, Trouble>,
}

/// What a receipt proves.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) time: Timestamp,
    pub(super) log: String,
}

/// Calls `each` with every line, its number from 1 and without its line feed. A line that is too
/// long is given as an error.
fn for_each_line(
    input: &mut impl BufRead,
    bytes_max: usize,
    problems: &mut Vec<String>,
    mut each: impl FnMut(usize, Result<&[u8], String>, &mut Vec<String>) -> bool,
) {
    let mut line = Vec::with_capacity(4096);
    for number in 1_usize.. {
        line.clear();
        let take = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
        match input.take(take).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let go_on = if line.last() == Some(&b'\n') {
            line.pop();
            each(number, Ok(&line), problems)
        } else if line.len() > bytes_max {
            let go_on = each(number, Err(format!("it is longer than {bytes_max} bytes")), problems);
            if input.skip_until(b'\n').is_err() {
                return;
            }
            go_on
        } else {
            problems.push(format!("its last line, {number}, does not end in a line feed"));
            each(number, Ok(&line), problems)
        };
        if !go_on {
            return;
        }
    }
}

/// Reads `entries.ndjson`.
pub(super) fn entries(
    input: &mut impl BufRead,
    identities: &BTreeMap<Did, Identity>,
    limits: &Limits,
    problems: &mut Vec<String>,
) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut ids = BTreeSet::new();
    let mut bytes = 0_u64;
    for_each_line(input, ENTRY_LINE_MAX, problems, |number, line, problems| {
        if lines.len() >= limits.entries_max || bytes > limits.entries_bytes_max {
            problems.push(format!(
                "it has more than {} entries or {} bytes",
                limits.entries_max, limits.entries_bytes_max
            ));
            return false;
        }
        bytes = bytes.saturating_add(line.as_ref().map_or(0, |l| l.len() as u64));
        let read = line.and_then(|line| entry(number, line, identities));
        match &read {
            Ok(held) if !ids.insert(held.id) => {
                problems.push(format!("line {number} repeats the entry {}", held.id));
                return true;
            }
            Ok(_) => {}
            Err(problem) => problems.push(format!("line {number} holds no entry: {problem}")),
        }
        lines.push(Line { number, read: read.map(Box::new) });
        true
    });
    lines
}

fn entry(number: usize, line: &[u8], identities: &BTreeMap<Did, Identity>) -> Result<Held, String> {
    let signed = SignedEntry::parse_envelope(line).map_err(|e| e.to_string())?;
    let mut again = Vec::with_capacity(line.len());
    signed.write_envelope(&mut again);
    if again != line {
        return Err("it is not spelled as an entry's envelope is".into());
    }
    let key = match identities.get(&signed.entry.author).map(|i| i.organisation_key(signed.key)) {
        None => KeyFinding::NoCards,
        Some((None, _)) => KeyFinding::UnknownKey,
        Some((Some(key), status)) => match signed.verify(key) {
            Ok(()) => KeyFinding::Good(status),
            Err(_) => KeyFinding::Wrong,
        },
    };
    let entry = &signed.entry;
    Ok(Held {
        line: number,
        id: signed.id,
        author: entry.author.clone(),
        desk: entry.desk.clone(),
        dialogue: signed.dialogue(),
        membership: signed.membership(),
        arrangement: entry.arrangement.clone(),
        marking: entry.marking,
        time: entry.time,
        prev: entry.prev.clone(),
        attachments: entry.attachments.clone(),
        excerpt: excerpt(&entry.body),
        body: without_words(&entry.body),
        key,
    })
}

/// The beginning of an entry's text, in English when it has one.
fn excerpt(body: &Body) -> String {
    let texts = body.texts();
    let Some(text) = texts.get("en").or_else(|| texts.values().next()) else { return String::new() };
    let mut chars = text.chars();
    let mut cut: String = chars.by_ref().take(EXCERPT_CHARS).collect();
    if chars.next().is_some() {
        cut.push('…');
    }
    plain(&cut)
}

/// What an entry does. Its words are verified and then let go; a membership's title stays.
fn without_words(body: &Body) -> Body {
    let about = |a: &About| About { of: a.of, words: Words::default() };
    match body {
        Body::Statement(_) => Body::Statement(Words::default()),
        Body::Attachment(_) => Body::Attachment(Words::default()),
        Body::Correction(a) => Body::Correction(about(a)),
        Body::Withdrawal(a) => Body::Withdrawal(about(a)),
        Body::Dispute(a) => Body::Dispute(about(a)),
        Body::Acknowledgement(a) => Body::Acknowledgement(about(a)),
        Body::Membership(m) => Body::Membership(m.clone()),
        Body::Assent(a) => Body::Assent(about(a)),
        Body::Refusal(a) => Body::Refusal(about(a)),
        Body::Act(a) => Body::Act(Act {
            kind: a.kind,
            of: a.of,
            words: Words::default(),
            content: serde_json::Map::new(),
        }),
    }
}

/// A receipt's signed text with the outcome of verifying its signature.
type VerifiedNote = Arc<Result<(ReceiptHead, Result<(), Trouble>), Trouble>>;

/// Reads `receipts.ndjson`.
pub(super) fn receipts(
    input: &mut impl BufRead,
    identities: &BTreeMap<Did, Identity>,
    limits: &Limits,
    problems: &mut Vec<String>,
) -> Vec<ReceiptFinding> {
    let mut findings: Vec<ReceiptFinding> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut notes: HashMap<Hash, VerifiedNote> = HashMap::new();
    for_each_line(input, RECEIPT_LINE_MAX, problems, |number, line, problems| {
        if findings.len() >= limits.receipts_max {
            problems.push(format!("it has more than {} receipts", limits.receipts_max));
            return false;
        }
        let evidence = match line.and_then(read_receipt) {
            Ok(evidence) => evidence,
            Err(problem) => {
                problems.push(format!("line {number} holds no receipt: {problem}"));
                return true;
            }
        };
        if !seen.insert((evidence.item.kind, evidence.item.hash, evidence.issuer.clone())) {
            let item = evidence.item;
            problems.push(format!("line {number} repeats the receipt of {} for {item}", evidence.issuer));
            return true;
        }
        if notes.len() >= NOTES_REMEMBERED {
            notes.clear();
        }
        let note = Arc::clone(
            notes
                .entry(Hash::of(evidence.note.as_bytes()))
                .or_insert_with(|| Arc::new(verify_note(&evidence.note, identities))),
        );
        findings.push(ReceiptFinding {
            line: number,
            outcome: check_receipt(&evidence, &note),
            issuer: evidence.issuer,
            item: evidence.item,
        });
        true
    });
    findings
}

fn read_receipt(line: &[u8]) -> Result<ReceiptEvidence, String> {
    let evidence: ReceiptEvidence = serde_json::from_slice(line).map_err(|e| e.to_string())?;
    match serde_json::to_vec(&evidence) {
        Ok(again) if again == line => Ok(evidence),
        _ => Err("it is not spelled as this format prescribes".into()),
    }
}

fn verify_note(
    note: &str,
    identities: &BTreeMap<Did, Identity>,
) -> Result<(ReceiptHead, Result<(), Trouble>), Trouble> {
    let head = ReceiptHead::parse(note).map_err(|e| Trouble::Failed(e.to_string()))?;
    let Some(identity) = identities.get(&head.issuer) else {
        return Err(Trouble::Unproved(
            format!("there are no valid cards of {} to verify it with", head.issuer),
            format!("the cards of {}", head.issuer),
        ));
    };
    let key = head.verify(identity).map_err(|e| Trouble::Failed(e.to_string()))?;
    let standing = revoked_node_key(identity, key);
    Ok((head, standing))
}

fn check_receipt(evidence: &ReceiptEvidence, note: &VerifiedNote) -> Result<Received, Trouble> {
    let (head, standing) = match note.as_ref() {
        Ok(verified) => verified,
        Err(trouble) => return Err(trouble.clone()),
    };
    if head.issuer != evidence.issuer || head.count != evidence.count {
        return Err(Trouble::Failed(format!(
            "the signed note is one of {} over {} items, not one of {} over {}",
            head.issuer, head.count, evidence.issuer, evidence.count
        )));
    }
    head.covers(&evidence.item, evidence.index, &evidence.proof)
        .map_err(|_| Trouble::Failed("the signed note does not cover it".into()))?;
    standing.clone()?;
    Ok(Received { time: head.time, log: head.log.origin().to_owned() })
}
