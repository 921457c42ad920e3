//! One pass over the file.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};

use hiwar_dialogue::ledger::Alarm;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::{Identity, SignedCard};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::Limits;
use super::lines::{self, Held, Line, ReceiptFinding};
use crate::container::{Found, Reader};
use crate::format::{FORMAT, LogDocument, Manifest, Member, MemberRecord};

/// Largest README and seal, in bytes.
const NOTE_BYTES_MAX: u64 = 64 * 1024;
/// Most logs: one more after every restore.
const LOGS_MAX: usize = 1024;
/// Most states of one log that peers cosigned.
const WITNESSED_MAX: usize = 1024;
/// Most alarms.
const ALARMS_MAX: usize = 1024;
/// Most problems of one part that are kept.
const PROBLEMS_MAX: usize = 20;

/// A member as it was found.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) size: u64,
    pub(super) sha256: Hash,
    /// What is wrong with it apart from its digest.
    pub(super) problems: Vec<String>,
}

/// Everything worth keeping of a dossier.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// What is wrong with the archive.
    pub(super) problems: Vec<String>,
    /// The members found.
    pub(super) seen: BTreeMap<Member, Seen>,
    pub(super) manifest: Option<Manifest>,
    /// Where each member stands in the list of `dossier.json`.
    listed: BTreeMap<Member, usize>,
    pub(super) seal: Option<Vec<u8>>,
    /// The chains that hold.
    pub(super) identities: BTreeMap<Did, Identity>,
    /// The chains that do not, and why.
    pub(super) broken: BTreeMap<Did, String>,
    pub(super) lines: Vec<Line>,
    pub(super) log: Option<LogDocument>,
    pub(super) receipts: Vec<ReceiptFinding>,
    pub(super) alarms: Vec<Alarm>,
}

impl Collected {
    /// What is collected of a file that cannot be read.
    pub(super) fn unreadable(problem: &str) -> Self {
        Self { problems: vec![problem.to_owned()], ..Self::default() }
    }

    /// Whether a member was found as `dossier.json` lists it and without any problem.
    pub(super) fn is_whole(&self, member: Member) -> bool {
        match (self.record(member), self.seen.get(&member)) {
            (Some(record), Some(seen)) => {
                seen.problems.is_empty() && (seen.size, seen.sha256) == (record.size, record.sha256)
            }
            _ => false,
        }
    }

    /// A member as `dossier.json` lists it.
    pub(super) fn record(&self, member: Member) -> Option<&MemberRecord> {
        self.manifest.as_ref()?.members.get(*self.listed.get(&member)?)
    }

    /// The entries that could be read.
    pub(super) fn held(&self) -> impl Iterator<Item = &Held> {
        self.lines.iter().filter_map(|line| line.read.as_ref().ok().map(AsRef::as_ref))
    }

    fn problem(&mut self, problem: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}

/// Reads everything.
pub(super) fn collect(input: impl Read, limits: &Limits) -> Collected {
    let mut reader = Reader::new(input);
    let mut collected = Collected::default();
    let mut last: Option<Member> = None;
    let mut members = 0_usize;
    loop {
        let found = match reader.next(expected(&collected, last)) {
            Ok(Some(found)) => found,
            Ok(None) => {
                if !reader.clean {
                    collected.problem("the bytes between its members are not all zero".into());
                }
                match reader.finish() {
                    Ok(None) => {}
                    Ok(Some(problem)) => collected.problem(problem.into()),
                    Err(error) => collected.problem(error.to_string()),
                }
                return collected;
            }
            Err(error) => {
                collected.problem(error.to_string());
                return collected;
            }
        };
        members += 1;
        if members > limits.members_max {
            collected.problem(format!("it has more than {} members", limits.members_max));
            return collected;
        }
        take(&mut collected, &mut reader, &found, &mut last, limits);
    }
}

/// The member that `dossier.json` lists after the last one.
fn expected(collected: &Collected, last: Option<Member>) -> Option<(String, u64)> {
    let records = &collected.manifest.as_ref()?.members;
    let last = match last? {
        Member::Manifest => return None,
        Member::Seal => Member::Readme,
        other => other,
    };
    let position = collected.listed.get(&last)?;
    records.get(position + 1).map(|record| (record.name.clone(), record.size))
}

/// Takes in one member.
fn take(
    collected: &mut Collected,
    reader: &mut Reader<impl Read>,
    found: &Found,
    last: &mut Option<Member>,
    limits: &Limits,
) {
    let shown: String = found.name.chars().take(120).collect();
    let Some(member) = Member::named(&found.name) else {
        return collected
            .problem(format!("it has a member {shown:?}, which is none of the names of this format"));
    };
    if collected.seen.contains_key(&member) {
        return collected.problem(format!("it has {shown:?} twice"));
    }
    if last.is_some_and(|last| last > member) {
        collected.problem(format!("{shown:?} is not at its place; the order of the members is fixed"));
    }
    *last = Some(member);
    let mut input = Digesting { inner: reader, hasher: Sha256::new(), size: 0, error: None };
    let mut problems: Vec<String> = found.problem.iter().cloned().collect();
    if let Err(problem) = read(collected, member, &mut input, limits, &mut problems) {
        problems.push(problem);
    }
    let mut rest = [0_u8; 32 * 1024];
    while matches!(input.read(&mut rest), Ok(read) if read > 0) {}
    if let Some(error) = &input.error {
        problems.push(input.inner.stopped(error).to_string());
    }
    problems.truncate(PROBLEMS_MAX);
    let seen = Seen { size: input.size, sha256: Hash(input.hasher.finalize().into()), problems };
    collected.seen.insert(member, seen);
}

/// Reads the content of one member.
fn read(
    collected: &mut Collected,
    member: Member,
    input: &mut impl Read,
    limits: &Limits,
    problems: &mut Vec<String>,
) -> Result<(), String> {
    match member {
        Member::Readme | Member::Attachment(_) => {}
        Member::Manifest => {
            let manifest = manifest(&document(input, limits.document_bytes_max)?)?;
            let members = manifest.members.iter().enumerate();
            collected.listed =
                members.filter_map(|(index, record)| Some((Member::named(&record.name)?, index))).collect();
            collected.manifest = Some(manifest);
        }
        Member::Seal => collected.seal = Some(document(input, NOTE_BYTES_MAX)?),
        Member::Identities => {
            let document = document(input, limits.document_bytes_max)?;
            identities(collected, &document, problems)?;
        }
        Member::Entries => {
            let mut input = BufReader::with_capacity(64 * 1024, input);
            collected.lines = lines::entries(&mut input, &collected.identities, limits, problems);
        }
        Member::Log => {
            let mut log: LogDocument = parse(&document(input, limits.log_bytes_max)?)?;
            cap(&mut log.logs, LOGS_MAX, "logs", problems);
            for log in &mut log.logs {
                cap(&mut log.witnessed, WITNESSED_MAX, "witnessed states of a log", problems);
            }
            collected.log = Some(log);
        }
        Member::Receipts => {
            let mut input = BufReader::with_capacity(64 * 1024, input);
            collected.receipts = lines::receipts(&mut input, &collected.identities, limits, problems);
        }
        Member::Alarms => {
            collected.alarms = parse(&document(input, limits.document_bytes_max)?)?;
            cap(&mut collected.alarms, ALARMS_MAX, "alarms", problems);
        }
    }
    Ok(())
}

/// Keeps at most `max` of what could make the reader work without end.
fn cap<T>(all: &mut Vec<T>, max: usize, what: &str, problems: &mut Vec<String>) {
    if all.len() > max {
        problems.push(format!("it has {} {what}; the most is {max}", all.len()));
        all.truncate(max);
    }
}

/// Reads a whole document; a declared size is never believed.
fn document(input: &mut impl Read, bytes_max: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    // An archive that ends here is noticed by whoever reads on; what came is looked at all the same.
    let _ = input.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes);
    if bytes.len() as u64 > bytes_max {
        return Err(format!("it has more than {bytes_max} bytes"));
    }
    Ok(bytes)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|e| format!("it is malformed: {e}"))
}

fn manifest(bytes: &[u8]) -> Result<Manifest, String> {
    #[derive(serde::Deserialize)]
    struct FormatOnly {
        format: String,
    }
    let format: FormatOnly = parse(bytes)?;
    if format.format != FORMAT {
        let found: String = format.format.chars().take(40).collect();
        return Err(format!("its format is {found:?}; this version reads {FORMAT}"));
    }
    let manifest: Manifest = parse(bytes)?;
    if manifest.to_bytes().is_ok_and(|right| right == bytes) {
        Ok(manifest)
    } else {
        Err("it is not spelled as this format prescribes".into())
    }
}

/// Reads the card chains, each by itself.
fn identities(collected: &mut Collected, bytes: &[u8], problems: &mut Vec<String>) -> Result<(), String> {
    let mut chains: Vec<&serde_json::value::RawValue> =
        serde_json::from_slice(bytes).map_err(|e| format!("it is malformed: {e}"))?;
    cap(&mut chains, super::PARTIES_MAX, "chains of cards", problems);
    for (index, chain) in chains.into_iter().enumerate() {
        let read = serde_json::from_str::<Vec<SignedCard>>(chain.get()).map_err(|e| e.to_string());
        match read.and_then(|cards| Identity::verify(cards).map_err(|e| e.to_string())) {
            Ok(identity) => {
                let did = identity.did().clone();
                if collected.identities.insert(did.clone(), identity).is_some() {
                    problems.push(format!("it has two chains of cards for {did}"));
                }
            }
            Err(why) => match name_in(chain.get()) {
                Some(did) => {
                    collected.broken.insert(did, why);
                }
                None => problems.push(format!("its chain of cards number {} is broken: {why}", index + 1)),
            },
        }
    }
    Ok(())
}

/// Whose chain of cards a broken one is said to be.
fn name_in(chain: &str) -> Option<Did> {
    let value: serde_json::Value = serde_json::from_str(chain).ok()?;
    value.get(0)?.get("card")?.get("did")?.as_str()?.parse().ok()
}

/// Hashes and counts everything that is read of a member.
struct Digesting<'a, R> {
    inner: &'a mut Reader<R>,
    hasher: Sha256,
    size: u64,
    error: Option<io::Error>,
}

impl<R: Read> Read for Digesting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.error.is_some() {
            return Ok(0);
        }
        match self.inner.read(buffer) {
            Ok(read) => {
                self.size += read as u64;
                self.hasher.update(buffer.get(..read).unwrap_or_default());
                Ok(read)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.error = Some(error);
                Ok(0)
            }
        }
    }
}
