//! The file itself: its archive, its members, its seal and the attached files.

use std::collections::{BTreeMap, BTreeSet};

use hiwar_dialogue::entry::Texts;
use hiwar_trust::hash::Hash;
use hiwar_trust::receipt::ItemKind;

use super::book::Book;
use super::collect::{Collected, Seen};
use super::lines::Received;
use super::parties::revoked_node_key;
use crate::claim::{Claim, Subject, Trouble};
use crate::format::{FORMAT, Manifest, Member, MemberRecord};
use crate::seal;

/// The claims about the archive, each member that is no attached file, and the seal.
pub(super) fn claims(collected: &Collected, book: &Book<'_>) -> Vec<Claim> {
    let container = match collected.problems.is_empty() {
        true => Ok(()),
        false => Err(Trouble::Failed(collected.problems.join("; "))),
    };
    let statement = format!(
        "The file is one whole {FORMAT} archive of {} members, with nothing before, between or behind them",
        collected.seen.len()
    );
    let mut claims = vec![Claim::new("container".into(), Subject::Container, statement, container)];
    if collected.seen.is_empty() {
        return claims;
    }
    let mut members: BTreeSet<Member> = Member::REQUIRED.into_iter().collect();
    members.extend(collected.seen.keys().copied());
    if let Some(manifest) = &collected.manifest {
        members.extend(manifest.members.iter().filter_map(|record| Member::named(&record.name)));
    }
    for member in members {
        match member {
            Member::Attachment(_) => {}
            Member::Seal => claims.push(seal(collected)),
            Member::Manifest => claims.push(manifest(collected, book)),
            other => claims.push(part(collected, other)),
        }
    }
    if !collected.seen.contains_key(&Member::Seal) {
        claims.push(seal(collected));
    }
    claims
}

/// Whether a member is as `dossier.json` lists it.
fn whole(collected: &Collected, member: Member) -> Result<(), Trouble> {
    let name = member.name();
    let seen = collected.seen.get(&member);
    if let Some(problem) = seen.and_then(|seen| seen.problems.first()) {
        return Err(Trouble::Failed(problem.clone()));
    }
    if collected.manifest.is_none() {
        return Err(match seen {
            Some(_) => Trouble::Unproved(
                "dossier.json, which lists its digest, could not be read".into(),
                "an undamaged copy of this dossier".into(),
            ),
            None => Trouble::Failed(format!("there is no {name}")),
        });
    }
    match (collected.record(member), seen) {
        (None, _) => Err(Trouble::Failed("dossier.json does not list it".into())),
        (Some(_), None) => Err(Trouble::Failed(format!("there is no {name}"))),
        (Some(record), Some(seen)) => as_listed(record, seen),
    }
}

fn as_listed(record: &MemberRecord, seen: &Seen) -> Result<(), Trouble> {
    if record.size != seen.size {
        return Err(Trouble::Failed(format!(
            "it has {} bytes, dossier.json lists {}",
            seen.size, record.size
        )));
    }
    if record.sha256 != seen.sha256 {
        return Err(Trouble::Failed(format!(
            "its SHA-256 is {}, dossier.json lists {}",
            seen.sha256, record.sha256
        )));
    }
    Ok(())
}

fn part(collected: &Collected, member: Member) -> Claim {
    let name = member.name();
    let statement = format!("{name} is as dossier.json lists it");
    Claim::new(format!("container:{name}"), Subject::Container, statement, whole(collected, member))
        .seen_in(name)
}

/// Whether `dossier.json` can be read and fits the entries.
fn manifest(collected: &Collected, book: &Book<'_>) -> Claim {
    let seen = collected.seen.get(&Member::Manifest);
    let outcome = match (&collected.manifest, seen.and_then(|seen| seen.problems.first())) {
        (_, Some(problem)) => Err(Trouble::Failed(problem.clone())),
        (None, None) => Err(Trouble::Failed("there is no dossier.json".into())),
        (Some(manifest), None) => fits(manifest, collected, book),
    };
    let statement = "dossier.json is well formed and agrees with the entries and the members";
    Claim::new("container:dossier.json".into(), Subject::Container, statement, outcome)
        .seen_in("dossier.json")
}

fn fits(manifest: &Manifest, collected: &Collected, book: &Book<'_>) -> Result<(), Trouble> {
    let failed = |why: String| Err(Trouble::Failed(why));
    let mut names = manifest.members.iter().map(|record| Member::named(&record.name));
    let mut last = None;
    for name in names.by_ref() {
        match name {
            Some(member) if member > Member::Seal || member == Member::Readme => {
                if last.is_some_and(|last| last >= member) {
                    return failed(format!("it lists {} out of order", member.name()));
                }
                last = Some(member);
            }
            _ => return failed("it lists a member that this format does not have".into()),
        }
    }
    let titles: Vec<&Texts> =
        book.held.iter().filter_map(|held| book.membership(&held.id)).map(|(_, m)| &m.title).collect();
    if !titles.is_empty() && !titles.contains(&&manifest.title) {
        return failed("its title is that of no membership of the dialogue".into());
    }
    let here = |id| book.held.iter().any(|held| held.dialogue == id);
    if !book.held.is_empty() && !here(manifest.dialogue) {
        return failed("no entry here belongs to the dialogue that it names".into());
    }
    if collected.is_whole(Member::Identities)
        && !collected.identities.contains_key(&manifest.exporter)
        && !collected.broken.contains_key(&manifest.exporter)
    {
        return failed(format!("its exporter {} has no cards here", manifest.exporter));
    }
    Ok(())
}

/// Whether the exporter signed `dossier.json` and through it every byte.
fn seal(collected: &Collected) -> Claim {
    let unread = |why: &str| Trouble::Unproved(why.into(), "an undamaged copy of this dossier".into());
    let seen = collected.seen.get(&Member::Seal);
    let outcome = match (&collected.seal, &collected.manifest, collected.seen.get(&Member::Manifest)) {
        (None, _, _) if seen.is_none() => Err(Trouble::Unproved(
            "the exporter did not seal it; entries, receipts and logs bear their own signatures, but not what is left out".into(),
            "the same dossier, exported with a seal".into(),
        )),
        (_, None, _) | (_, _, None) => Err(unread("dossier.json could not be read")),
        (None, _, _) => Err(Trouble::Failed("seal.txt could not be read".into())),
        (Some(note), Some(manifest), Some(document)) => match collected.identities.get(&manifest.exporter) {
            None => Err(unread("there are no valid cards of the exporter to verify it with")),
            Some(exporter) => seal::check(note, manifest, &document.sha256, exporter)
                .map_err(Trouble::Failed)
                .and_then(|key| revoked_node_key(exporter, key)),
        },
    };
    let problem = seen.and_then(|seen| seen.problems.first());
    let outcome = match problem {
        Some(problem) => Err(Trouble::Failed(problem.clone())),
        None => outcome,
    };
    let exporter = collected.manifest.as_ref().map_or("the exporter", |m| m.exporter.as_str());
    let statement = format!("{exporter} signed dossier.json and with it the digest of every other part");
    Claim::new("seal".into(), Subject::Container, statement, outcome)
        .at(collected.manifest.as_ref().map(|m| m.time))
        .seen_in("seal.txt")
}

/// The claims about files that entries name, and about files that none names.
pub(super) fn attachments(collected: &Collected, book: &Book<'_>) -> Vec<Claim> {
    let mut named: BTreeMap<Hash, Vec<(u64, &str)>> = BTreeMap::new();
    for held in &book.held {
        for file in &held.attachments {
            named.entry(file.sha256).or_default().push((file.size, &file.name));
        }
    }
    let mut all: BTreeSet<Hash> = named.keys().copied().collect();
    let listed = collected.manifest.iter().flat_map(|m| &m.members).filter_map(|r| Member::named(&r.name));
    for member in collected.seen.keys().copied().chain(listed) {
        if let Member::Attachment(sha256) = member {
            all.insert(sha256);
        }
    }
    let mut claims = Vec::new();
    for sha256 in all {
        let uses = named.get(&sha256).map(Vec::as_slice).unwrap_or_default();
        let name =
            uses.first().map_or_else(|| "(named by no entry)".to_owned(), |(_, name)| format!("{name:?}"));
        let statement = format!("The file {name} is here and is the one that the entries name");
        claims.push(
            Claim::new(
                format!("attachment:{sha256}"),
                Subject::Attachment(sha256),
                statement,
                file(collected, sha256, uses),
            )
            .seen_in(Member::Attachment(sha256).name()),
        );
    }
    claims.extend(file_receipts(collected));
    claims
}

fn file(collected: &Collected, sha256: Hash, uses: &[(u64, &str)]) -> Result<(), Trouble> {
    let member = Member::Attachment(sha256);
    let listed = collected.record(member).is_some();
    let Some(seen) = collected.seen.get(&member) else {
        return Err(match listed {
            true => Trouble::Failed("dossier.json lists it, but it is not here".into()),
            false => Trouble::Unproved(
                "the exporter did not put it in".into(),
                format!("the file itself; its SHA-256 must be {sha256}"),
            ),
        });
    };
    if let Some(problem) = seen.problems.first() {
        return Err(Trouble::Failed(problem.clone()));
    }
    if seen.sha256 != sha256 {
        return Err(Trouble::Failed(format!("its SHA-256 is {}; it was changed", seen.sha256)));
    }
    if let Some((size, _)) = uses.iter().find(|(size, _)| *size != seen.size) {
        return Err(Trouble::Failed(format!("it has {} bytes, an entry says {size}", seen.size)));
    }
    if uses.is_empty() && collected.is_whole(Member::Entries) {
        return Err(Trouble::Failed("no entry names it; it does not belong here".into()));
    }
    whole(collected, member)
}

/// The claims about receipts for files.
fn file_receipts(collected: &Collected) -> Vec<Claim> {
    let findings = collected.receipts.iter().filter(|f| f.item.kind == ItemKind::Attachment);
    findings
        .map(|finding| {
            let (did, sha256) = (&finding.issuer, finding.item.hash);
            let id = format!("attachment:{sha256}:receipt:{did}");
            let evidence = format!("receipts.ndjson, line {}", finding.line);
            let (statement, outcome, time) = match &finding.outcome {
                Ok(Received { time, log }) => (
                    format!(
                        "{did} confirmed on {time} that it held the file durably, as leaf {} of its log {log}",
                        finding.item.leaf
                    ),
                    Ok(()),
                    Some(*time),
                ),
                Err(trouble) => (format!("{did} confirmed that it held the file"), Err(trouble.clone()), None),
            };
            Claim::new(id, Subject::Attachment(sha256), statement, outcome).at(time).seen_in(evidence)
        })
        .collect()
}
