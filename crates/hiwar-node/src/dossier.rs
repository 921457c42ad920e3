//! Gathers a dossier from a running node's store.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hiwar_dialogue::engine::Keys;
use hiwar_dialogue::entry::{Body, DialogueId};
use hiwar_dialogue::ledger::{
    Alarm, DialogueRecord, Direction, LogNumber, StoreError, StoredEntry, View as _,
};
use hiwar_dialogue::prover::LogProver;
use hiwar_dossier::{
    AttachmentFile, DossierContents, DossierEntry, LogEvidence, LogPlace, ReceiptEvidence, WitnessedState,
};
use hiwar_store::SqliteReader;
use hiwar_store::attachments::AttachmentFolder;
use hiwar_trust::checkpoint::{Checkpoint, SignedCheckpoint};
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::SignedCard;
use hiwar_trust::receipt::ItemKind;

use crate::clock::now;
use crate::folder::log_origin;
use crate::node::Shared;

/// Entries read at one time.
const PAGE: usize = 1000;

/// Why a dossier could not be gathered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DossierError {
    #[error("there is no dialogue {0} on this node")]
    Unknown(DialogueId),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Writer(#[from] crate::writer::WriterError),
    #[error(transparent)]
    Engine(#[from] hiwar_dialogue::engine::EngineError),
    #[error("a checkpoint could not be made: {0}")]
    Checkpoint(String),
}

/// What the engine knows, as of one moment.
struct Known {
    record: DialogueRecord,
    log: LogNumber,
    size: u64,
    identities: Vec<Vec<SignedCard>>,
    witnessed: Vec<String>,
    keys: Keys,
    did: Did,
}

/// A dossier ready to be written, and the files that belong to it.
pub(crate) struct Gathered {
    pub(crate) contents: DossierContents,
    files: Vec<(Hash, u64)>,
    folder: Arc<AttachmentFolder>,
}

impl Gathered {
    /// The files, each opened when its turn comes; those that are not here are left out.
    pub(crate) fn files(&self) -> impl Iterator<Item = AttachmentFile<'static>> + '_ {
        self.files.iter().filter_map(|(sha256, size)| {
            let path = self.folder.path_of(sha256);
            path.is_file().then(|| AttachmentFile {
                sha256: *sha256,
                size: *size,
                open: Box::new(move || Ok(Box::new(std::fs::File::open(path)?))),
            })
        })
    }
}

/// Gathers everything needed to prove a dialogue.
pub(crate) async fn gather(shared: &Arc<Shared>, dialogue: DialogueId) -> Result<Gathered, DossierError> {
    let known = known(shared, dialogue).await?.ok_or(DossierError::Unknown(dialogue))?;
    let folder = shared.folder.clone();
    shared.read(move |reader| Ok(from_store(reader, dialogue, known, folder))).await?
}

async fn known(shared: &Arc<Shared>, dialogue: DialogueId) -> Result<Option<Known>, DossierError> {
    let (keys, did, own) = (shared.keys(), shared.did.clone(), shared.identity());
    let known = shared
        .writer
        .query(move |engine, _| {
            let record = engine.dialogue(&dialogue)?.clone();
            let mut identities = vec![own.cards().to_vec()];
            let mut witnessed = Vec::new();
            for peer in record.everyone() {
                if let Some(identity) = engine.peer_identity(&peer) {
                    identities.push(identity.cards().to_vec());
                }
                if let Some(record) = engine.peers().find(|p| p.did == peer) {
                    witnessed.extend(record.witnessed_before.iter().chain(&record.witnessed).cloned());
                }
            }
            let (log, tail) = engine.log();
            Some(Known { record, log, size: tail.size(), identities, witnessed, keys, did })
        })
        .await?;
    Ok(known)
}

fn from_store(
    reader: &SqliteReader,
    dialogue: DialogueId,
    known: Known,
    folder: Arc<AttachmentFolder>,
) -> Result<Gathered, DossierError> {
    let stored = all_entries(reader, dialogue)?;
    let mut sizes: BTreeMap<LogNumber, u64> = BTreeMap::from([(known.log, known.size)]);
    for entry in &stored {
        let size = match sizes.entry(entry.log) {
            Entry::Occupied(known) => known.into_mut(),
            // A log that ended is shown as it ended: that state the card after it speaks of.
            Entry::Vacant(ended) => ended.insert(reader.leaves_of(entry.log)?),
        };
        *size = (*size).max(entry.leaf + 1);
    }
    let mut provers = BTreeMap::new();
    for (position, (log, size)) in sizes.iter().enumerate() {
        provers.insert(*log, (position, LogProver::at(reader, *log, *size)?));
    }
    let mut logs = Vec::with_capacity(provers.len());
    for (log, (_, prover)) in &provers {
        let size = sizes.get(log).copied().unwrap_or(0);
        logs.push(evidence(&known, *log, size, prover)?);
    }
    let mut entries = Vec::with_capacity(stored.len());
    let mut receipts = BTreeMap::new();
    let mut files = BTreeMap::new();
    for entry in &stored {
        let place = match provers.get(&entry.log) {
            Some((log, prover)) => {
                Some(LogPlace { log: *log, leaf: entry.leaf, proof: prover.inclusion(entry.leaf)? })
            }
            None => None,
        };
        entries.push(DossierEntry::stored(entry, place));
        collect_receipts(reader, entry, &mut receipts)?;
        let signed = entry.signed()?;
        for file in &signed.entry.attachments {
            files.insert(file.sha256, file.size);
        }
    }
    for sha256 in files.keys() {
        for (_, number) in reader.attachment_receipts(sha256)? {
            if let Some((_, receipt)) = reader.receipt(number)? {
                let key = (ItemKind::Attachment, *sha256, receipt.receipt.issuer.clone());
                if let Some(found) = ReceiptEvidence::of(&receipt, ItemKind::Attachment, sha256) {
                    receipts.entry(key).or_insert(found);
                }
            }
        }
    }
    let everyone = known.record.everyone();
    let contents = DossierContents {
        dialogue,
        title: title(&stored, &known.record),
        exporter: known.did,
        time: now(),
        identities: known.identities,
        entries,
        missing: known.record.missing.keys().copied().collect(),
        logs,
        receipts: receipts.into_values().collect(),
        alarms: alarms_about(reader, &everyone)?,
    };
    Ok(Gathered { contents, files: files.into_iter().collect(), folder })
}

fn all_entries(reader: &SqliteReader, dialogue: DialogueId) -> Result<Vec<StoredEntry>, StoreError> {
    let mut entries = Vec::new();
    loop {
        let after = entries.last().map_or(0, |e: &StoredEntry| e.seq);
        let page = reader.dialogue_entries(&dialogue, after, PAGE)?;
        let full = page.len() == PAGE;
        entries.extend(page);
        if !full {
            return Ok(entries);
        }
    }
}

/// A signed checkpoint of one of the logs, and the states of it that peers witnessed.
fn evidence(
    known: &Known,
    log: LogNumber,
    size: u64,
    prover: &LogProver<'_>,
) -> Result<LogEvidence, DossierError> {
    let making = |e: &dyn std::fmt::Display| DossierError::Checkpoint(e.to_string());
    let origin = log_origin(&known.did, log);
    let checkpoint = Checkpoint::new(&origin, size, prover.root()).map_err(|e| making(&e))?;
    let name = origin.parse().map_err(|e| making(&e))?;
    let note = checkpoint.sign(&name, &*known.keys.node).map_err(|e| making(&e))?;
    let mut witnessed = Vec::new();
    for state in &known.witnessed {
        let Ok(signed) = SignedCheckpoint::parse(state.as_bytes()) else { continue };
        let seen = signed.checkpoint();
        if seen.origin() == origin && seen.size() <= size {
            witnessed
                .push(WitnessedState { checkpoint: state.clone(), proof: prover.consistency(seen.size())? });
        }
    }
    Ok(LogEvidence { checkpoint: note.to_string(), witnessed })
}

type ReceiptKey = (ItemKind, Hash, Did);

fn collect_receipts(
    reader: &SqliteReader,
    entry: &StoredEntry,
    into: &mut BTreeMap<ReceiptKey, ReceiptEvidence>,
) -> Result<(), StoreError> {
    for (_, direction, number) in reader.receipts_of(entry.seq)? {
        let Some((_, receipt)) = reader.receipt(number)? else { continue };
        let key = (ItemKind::Entry, entry.id.0, receipt.receipt.issuer.clone());
        // A receipt this node issued proves when it held the entry; one it received, when a peer did.
        debug_assert!(matches!(direction, Direction::Issued | Direction::Received));
        if let Some(found) = ReceiptEvidence::of(&receipt, ItemKind::Entry, &entry.id.0) {
            into.entry(key).or_insert(found);
        }
    }
    Ok(())
}

fn title(stored: &[StoredEntry], record: &DialogueRecord) -> hiwar_dialogue::entry::Texts {
    let newest = stored.iter().rev().find_map(|entry| match &entry.signed().ok()?.entry.body {
        Body::Membership(m) => Some(m.title.clone()),
        _ => None,
    });
    record.current().map(|c| c.membership.title.clone()).or(newest).unwrap_or_default()
}

fn alarms_about(reader: &SqliteReader, parties: &BTreeSet<Did>) -> Result<Vec<Alarm>, StoreError> {
    let evidence = ["fork", "identity-fork", "rollback", "restored"];
    let all = reader.alarms(0, 10_000, false)?;
    Ok(all
        .into_iter()
        .map(|kept| kept.alarm)
        .filter(|a| {
            evidence.contains(&a.code.as_str()) && a.peer.as_ref().is_some_and(|p| parties.contains(p))
        })
        .collect())
}
