//! Batches and replies.

use hiwar_dialogue::entry::SignedEntry;
use hiwar_dialogue::limits;
use hiwar_dialogue::wire::{
    BatchHeader, Briefing, EntryRefusal, PROTOCOL, RefusalCode, Reply, VerifiedEntry, verify_batch,
    verify_reply, write_batch,
};

use super::{REFUSAL_BYTES_MAX, answered};
use crate::sample;

/// A batch, read by a node that knows both participants.
pub fn batch(data: &[u8]) {
    let read = verify_batch(data, &sample::DIRECTORY);
    answered(&read);
    let Ok(batch) = read else { return };
    assert_eq!(batch.lines.len(), batch.header.entries, "lines were lost");
    assert!(batch.lines.len() <= limits::BATCH_ENTRIES_MAX);
    for (number, line) in batch.lines.iter().enumerate() {
        match line {
            Ok(entry) => check_entry(entry),
            Err(refusal) => {
                crate::outcome::report_text(&refusal.code.as_str());
                assert_eq!(refusal.line, number);
                assert!(
                    refusal.detail.len() <= REFUSAL_BYTES_MAX,
                    "a refusal of {} bytes",
                    refusal.detail.len()
                );
            }
        }
    }
    let entries: Vec<&SignedEntry> = batch.lines.iter().flatten().map(VerifiedEntry::entry).collect();
    let header = BatchHeader { entries: entries.len(), ..batch.header };
    let lines = entries.iter().map(|signed| (&*signed.content, signed.key, &signed.signature));
    let written = write_batch(&header, lines).unwrap_or_default();
    let again = verify_batch(&written, &sample::DIRECTORY);
    assert_eq!(again.as_ref().map(|again| &again.header), Ok(&header), "written and read differently");
    let all = again.is_ok_and(|again| again.lines.iter().all(Result::is_ok));
    assert!(all, "an accepted entry is refused the second time");
}

/// Only what the samples signed can be verified.
fn check_entry(entry: &VerifiedEntry) {
    let signed = entry.entry();
    let known = sample::DIRECTORY.get(&signed.entry.author);
    let key = known.and_then(|identity| identity.organisation_key(signed.key).0);
    assert!(key.is_some_and(|key| signed.verify(key).is_ok()), "an entry passes unverified");
}

fn header(entries: usize, briefing: Briefing) -> BatchHeader {
    BatchHeader { protocol: PROTOCOL.to_owned(), from: sample::did(0), to: sample::did(1), entries, briefing }
}

/// Valid batches: none, one and all kinds of entries.
pub fn batch_seeds() -> Vec<Vec<u8>> {
    let entries = sample::entries();
    [(0, sample::briefing()), (1, sample::short_briefing()), (entries.len(), sample::short_briefing())]
        .into_iter()
        .map(|(count, briefing)| {
            let lines =
                entries.iter().take(count).map(|signed| (&*signed.content, signed.key, &signed.signature));
            write_batch(&header(count, briefing), lines).unwrap_or_default()
        })
        .collect()
}

/// A reply by participant 0.
pub fn reply(data: &[u8]) {
    static ISSUER: std::sync::LazyLock<std::sync::Arc<hiwar_trust::identity::Identity>> =
        std::sync::LazyLock::new(|| sample::identity(0));
    let read = verify_reply(data, &ISSUER);
    answered(&read);
    let Ok(verified) = read else { return };
    let written = serde_json::to_vec(verified.reply()).unwrap_or_default();
    let again = verify_reply(&written, &ISSUER).map(|again| again.reply().clone());
    assert_eq!(again, Ok(verified.reply().clone()), "written and read differently");
}

/// Valid replies.
pub fn reply_seeds() -> Vec<Vec<u8>> {
    let refused = EntryRefusal {
        entry: Some(hiwar_dialogue::entry::EntryId(sample::hash(1))),
        line: 3,
        code: RefusalCode::AboveCap,
        detail: "its marking is above the cap".to_owned(),
    };
    [(vec![refused], sample::briefing()), (Vec::new(), sample::short_briefing())]
        .into_iter()
        .map(|(refused, briefing)| {
            let reply = Reply { protocol: PROTOCOL.to_owned(), refused, briefing };
            serde_json::to_vec(&reply).unwrap_or_default()
        })
        .collect()
}
