//! Writes a dossier from plain data. The same data give the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::sync::Arc;

use hiwar_dialogue::entry::{DialogueId, EntryId, SignedEntry, Texts, write_envelope};
use hiwar_dialogue::ledger::{Alarm, StoredEntry};
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::SignedCard;
use hiwar_trust::key::{KeyHolder, KeyId, Signature};
use hiwar_trust::time::Timestamp;
use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::container;
use crate::format::{
    FORMAT, LogEvidence, LogPlace, Manifest, Member, MemberRecord, README_TEXT, ReceiptEvidence,
};
use crate::seal;

/// Everything that a dossier says, but for the attached files.
#[derive(Clone, Debug)]
pub struct DossierContents {
    /// The dialogue.
    pub dialogue: DialogueId,
    /// What it is about, as the title of one of its memberships says.
    pub title: Texts,
    /// Who exports it.
    pub exporter: Did,
    /// When.
    pub time: Timestamp,
    /// The card chains of every participant of the dialogue, past and present, the exporter's
    /// among them.
    pub identities: Vec<Vec<SignedCard>>,
    /// The entries in the order in which they arrived at the exporter.
    pub entries: Vec<DossierEntry>,
    /// Entries that others link to and that the exporter does not hold.
    pub missing: Vec<EntryId>,
    /// States of the exporter's logs, one for each origin.
    pub logs: Vec<LogEvidence>,
    /// Receipts for the entries and files, at most one of each issuer for each.
    pub receipts: Vec<ReceiptEvidence>,
    /// The exporter's alarms about the parties.
    pub alarms: Vec<Alarm>,
}

/// An entry with its place in the exporter's logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DossierEntry {
    /// Its identifier.
    pub id: EntryId,
    /// Canonical content.
    pub content: Arc<[u8]>,
    /// The key that signed.
    pub key: KeyId,
    /// The signature.
    pub signature: Signature,
    /// Where it stands in the exporter's logs; absent when that cannot be proved.
    pub place: Option<LogPlace>,
}

impl DossierEntry {
    /// An entry as a store keeps it.
    pub fn stored(entry: &StoredEntry, place: Option<LogPlace>) -> Self {
        let content = Arc::clone(&entry.content);
        Self { id: entry.id, content, key: entry.key, signature: entry.signature, place }
    }

    /// An entry as it travels.
    pub fn signed(entry: &SignedEntry, place: Option<LogPlace>) -> Self {
        let content = Arc::clone(&entry.content);
        Self { id: entry.id, content, key: entry.key, signature: entry.signature, place }
    }
}

/// A file to put into a dossier. It is opened only when its turn comes and never held whole.
pub struct AttachmentFile<'a> {
    /// SHA-256 of its bytes.
    pub sha256: Hash,
    /// Its size in bytes.
    pub size: u64,
    /// Opens it.
    pub open: Box<dyn FnOnce() -> io::Result<Box<dyn Read + 'a>> + 'a>,
}

/// Why a dossier could not be written. What was written so far is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The output failed.
    #[error("the dossier could not be written: {0}; check the disk and repeat the export")]
    Output(#[source] io::Error),
    /// The contents contradict themselves.
    #[error("the dossier's {part} is wrong: {problem}")]
    Contents {
        /// Which part.
        part: &'static str,
        /// What is wrong and how to mend it.
        problem: String,
    },
    /// A file could not be read.
    #[error("the attached file {sha256} could not be read: {source}; leave it out or restore it")]
    AttachmentUnreadable {
        /// Digest of the file.
        sha256: Hash,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("the attached file {sha256} has changed: {problem}; restore it from a backup or a peer")]
    AttachmentChanged {
        /// Digest of the file.
        sha256: Hash,
        /// What differs.
        problem: String,
    },
    /// The seal could not be made.
    #[error("the dossier could not be sealed: {0}; unlock the node key")]
    Seal(String),
}

/// Writes a dossier without a seal.
///
/// # Errors
/// A [`WriteError`] naming the part; the output is incomplete then.
pub fn write<'a>(
    contents: &DossierContents,
    attachments: impl IntoIterator<Item = AttachmentFile<'a>>,
    out: impl Write,
) -> Result<Manifest, WriteError> {
    write_all(contents, attachments, None, out)
}

/// Writes a dossier and seals it with the exporter's node key `holder`, so that every byte of it
/// has the exporter's signature.
///
/// # Errors
/// A [`WriteError`] naming the part; the output is incomplete then.
pub fn write_sealed<'a>(
    contents: &DossierContents,
    attachments: impl IntoIterator<Item = AttachmentFile<'a>>,
    holder: &dyn KeyHolder,
    out: impl Write,
) -> Result<Manifest, WriteError> {
    write_all(contents, attachments, Some(holder), out)
}

/// Writes the content of a member.
type Body<'a> = Box<dyn Fn(&mut dyn Write) -> io::Result<()> + 'a>;

/// A member that is written twice: once to learn its size and digest, once to the file.
struct Part<'a> {
    member: Member,
    body: Body<'a>,
}

fn write_all<'a>(
    contents: &DossierContents,
    attachments: impl IntoIterator<Item = AttachmentFile<'a>>,
    holder: Option<&dyn KeyHolder>,
    out: impl Write,
) -> Result<Manifest, WriteError> {
    check(contents)?;
    let parts = parts(contents)?;
    let mut files: BTreeMap<Hash, AttachmentFile<'a>> = BTreeMap::new();
    for file in attachments {
        files.insert(file.sha256, file);
    }
    let mut members = Vec::with_capacity(parts.len() + files.len());
    for part in &parts {
        let mut measure = Measure::default();
        (part.body)(&mut measure).map_err(WriteError::Output)?;
        let (size, sha256) = measure.done();
        members.push(MemberRecord { name: part.member.name(), size, sha256 });
    }
    for file in files.values() {
        let name = Member::Attachment(file.sha256).name();
        members.push(MemberRecord { name, size: file.size, sha256: file.sha256 });
    }
    let mut missing = contents.missing.clone();
    missing.sort_unstable();
    missing.dedup();
    let manifest = Manifest {
        format: FORMAT.into(),
        dialogue: contents.dialogue,
        title: contents.title.clone(),
        exporter: contents.exporter.clone(),
        time: contents.time,
        missing,
        members,
    };
    let document = manifest.to_bytes().map_err(|e| wrong("dossier.json", e.to_string()))?;
    let sealed = match holder {
        None => None,
        Some(holder) => Some(seal::seal(&manifest, &Hash::of(&document), holder).map_err(WriteError::Seal)?),
    };

    let mut archive = container::Writer::new(out);
    for (part, record) in parts.iter().zip(&manifest.members) {
        archive.member(&record.name, record.size, |out| (part.body)(out)).map_err(WriteError::Output)?;
        if part.member == Member::Readme {
            put(&mut archive, Member::Manifest, &document)?;
            if let Some(sealed) = &sealed {
                put(&mut archive, Member::Seal, sealed.as_bytes())?;
            }
        }
    }
    for file in files.into_values() {
        put_file(&mut archive, file)?;
    }
    archive.finish().map_err(WriteError::Output)?;
    Ok(manifest)
}

fn wrong(part: &'static str, problem: impl Into<String>) -> WriteError {
    WriteError::Contents { part, problem: problem.into() }
}

/// Refuses contents that no reader would believe, while they can still be mended.
fn check(contents: &DossierContents) -> Result<(), WriteError> {
    let dids = contents.identities.iter().filter_map(|chain| chain.first()).map(|card| &card.card.did);
    let mut known = BTreeSet::new();
    for did in dids {
        if !known.insert(did) {
            return Err(wrong("identities", format!("{did} is there twice; give each chain once")));
        }
    }
    if !known.contains(&contents.exporter) {
        return Err(wrong("identities", "the exporter's own cards are missing; add them"));
    }
    let mut ids = BTreeSet::new();
    for entry in &contents.entries {
        if entry.id.0 != Hash::of(&entry.content) {
            let problem = format!("the bytes of {} have changed; restore it from a peer", entry.id);
            return Err(wrong("entries", problem));
        }
        if !ids.insert(entry.id) {
            return Err(wrong("entries", format!("{} is there twice; give it once", entry.id)));
        }
        if entry.place.as_ref().is_some_and(|place| place.log >= contents.logs.len()) {
            return Err(wrong("logs", format!("the log that holds {} is not given", entry.id)));
        }
    }
    Ok(())
}

/// All parts but `dossier.json`, the seal and the files, in their order.
fn parts(contents: &DossierContents) -> Result<Vec<Part<'_>>, WriteError> {
    let mut chains: Vec<&Vec<SignedCard>> = contents.identities.iter().collect();
    chains.sort_by_key(|chain| chain.first().map(|card| card.card.did.clone()));
    let mut identities = serde_json::to_vec(&chains).map_err(|e| wrong("identities", e.to_string()))?;
    identities.push(b'\n');
    let position: BTreeMap<Hash, usize> =
        contents.entries.iter().enumerate().map(|(index, entry)| (entry.id.0, index)).collect();
    let mut receipts: Vec<&ReceiptEvidence> = contents.receipts.iter().collect();
    receipts
        .sort_by_key(|r| (r.item.kind, position.get(&r.item.hash).copied(), r.item.hash, r.issuer.clone()));
    let twice = |pair: &[&ReceiptEvidence]| match pair {
        [a, b] => (&a.issuer, a.item.kind, a.item.hash) == (&b.issuer, b.item.kind, b.item.hash),
        _ => false,
    };
    if receipts.windows(2).any(twice) {
        return Err(wrong("receipts", "one issuer has two receipts for one thing; give the earliest"));
    }
    let mut parts = vec![
        part(Member::Readme, |out| out.write_all(README_TEXT.as_bytes())),
        part(Member::Identities, move |out| out.write_all(&identities)),
        part(Member::Entries, |out| {
            let mut line = Vec::with_capacity(4096);
            for entry in &contents.entries {
                line.clear();
                write_envelope(&entry.content, entry.key, &entry.signature, &mut line);
                line.push(b'\n');
                out.write_all(&line)?;
            }
            Ok(())
        }),
        part(Member::Log, |out| {
            let document = LogOut { logs: &contents.logs, entries: LoggedOut(&contents.entries) };
            write_line(out, &document)
        }),
        part(Member::Receipts, move |out| receipts.iter().try_for_each(|receipt| write_line(out, receipt))),
    ];
    if !contents.alarms.is_empty() {
        parts.push(part(Member::Alarms, |out| write_line(out, &contents.alarms)));
    }
    Ok(parts)
}

fn part<'a>(member: Member, body: impl Fn(&mut dyn Write) -> io::Result<()> + 'a) -> Part<'a> {
    Part { member, body: Box::new(body) }
}

fn write_line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    let mut out = io::BufWriter::with_capacity(32 * 1024, out);
    serde_json::to_writer(&mut out, value)?;
    out.write_all(b"\n")?;
    out.flush()
}

#[derive(Serialize)]
struct LogOut<'a> {
    logs: &'a [LogEvidence],
    entries: LoggedOut<'a>,
}

struct LoggedOut<'a>(&'a [DossierEntry]);

impl Serialize for LoggedOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct One<'a> {
            id: EntryId,
            #[serde(skip_serializing_if = "Option::is_none")]
            place: Option<&'a LogPlace>,
        }
        serializer.collect_seq(self.0.iter().map(|entry| One { id: entry.id, place: entry.place.as_ref() }))
    }
}

fn put(archive: &mut container::Writer<impl Write>, member: Member, bytes: &[u8]) -> Result<(), WriteError> {
    archive.member(&member.name(), bytes.len() as u64, |out| out.write_all(bytes)).map_err(WriteError::Output)
}

/// Streams a file and makes sure that it is what it should be.
fn put_file(archive: &mut container::Writer<impl Write>, file: AttachmentFile<'_>) -> Result<(), WriteError> {
    let sha256 = file.sha256;
    let unreadable = |source| WriteError::AttachmentUnreadable { sha256, source };
    let changed = |problem| WriteError::AttachmentChanged { sha256, problem };
    let mut source = (file.open)().map_err(unreadable)?;
    let mut trouble = None;
    let written = archive.member(&Member::Attachment(sha256).name(), file.size, |out| {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0_u8; 64 * 1024];
        let mut copied = 0_u64;
        loop {
            let read = match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    trouble = Some(unreadable(error));
                    break;
                }
            };
            copied = copied.saturating_add(read as u64);
            if copied > file.size {
                break;
            }
            let bytes = buffer.get(..read).unwrap_or_default();
            hasher.update(bytes);
            out.write_all(bytes)?;
        }
        if trouble.is_none() && copied != file.size {
            trouble = Some(changed(format!("it should have {} bytes and has another size", file.size)));
        } else if trouble.is_none() && Hash(hasher.finalize().into()) != sha256 {
            trouble = Some(changed("its digest is another one".into()));
        }
        if trouble.is_some() { Err(io::ErrorKind::InvalidData.into()) } else { Ok(()) }
    });
    match (trouble, written) {
        (Some(trouble), _) => Err(trouble),
        (None, written) => written.map_err(WriteError::Output),
    }
}

/// Counts and hashes what is written to it.
#[derive(Default)]
struct Measure {
    size: u64,
    hasher: Sha256,
}

impl Measure {
    fn done(self) -> (u64, Hash) {
        (self.size, Hash(self.hasher.finalize().into()))
    }
}

impl Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.size += bytes.len() as u64;
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
