//! Where entries stand: the dialogue, its memberships, and the links between entries.

use std::collections::{BTreeMap, BTreeSet};

use hiwar_dialogue::entry::{Body, EntryId};
use hiwar_trust::did::Did;

use super::book::{Book, Reference};
use super::collect::Collected;
use super::lines::Held;
use super::worst;
use crate::claim::{Claim, Subject, Trouble};
use crate::format::Member;

/// Most identifiers that a sentence names.
const NAMED_MAX: usize = 5;

/// What follows when an entry that is referred to is not at hand.
fn lacking(book: &Book<'_>, id: &EntryId, what: &str) -> Result<(), Trouble> {
    match book.reference(id) {
        Reference::Held => Ok(()),
        Reference::Damaged => Err(Trouble::Unproved(
            format!("{what}, {id}, is not here as it was signed"),
            "an undamaged copy of this dossier".into(),
        )),
        Reference::SaidMissing => Err(Trouble::Unproved(
            format!("{what}, {id}, is one that the exporter does not hold"),
            "a dossier of a party that holds it".into(),
        )),
        Reference::Absent => Err(Trouble::Failed(format!("{what}, {id}, is not here; it was left out"))),
    }
}

/// Whether an entry stands where it may stand.
pub(super) fn place(book: &Book<'_>, held: &Held) -> Result<(), Trouble> {
    worst([dialogue(book, held), membership(book, held), links(book, held)])
}

fn dialogue(book: &Book<'_>, held: &Held) -> Result<(), Trouble> {
    match book.dialogue {
        Some(dialogue) if dialogue != held.dialogue => {
            Err(Trouble::Failed(format!("it belongs to another dialogue, {}", held.dialogue)))
        }
        _ => Ok(()),
    }
}

/// The rules by which every node takes or refuses an entry.
fn membership(book: &Book<'_>, held: &Held) -> Result<(), Trouble> {
    lacking(book, &held.membership, "the membership it stands under")?;
    let Some((proposal, membership)) = book.membership(&held.membership) else {
        return Err(Trouble::Failed(format!("{} is no membership", held.membership)));
    };
    if proposal.dialogue != held.dialogue {
        return Err(Trouble::Failed("its membership belongs to another dialogue".into()));
    }
    if proposal.arrangement != held.arrangement {
        return Err(Trouble::Failed(format!(
            "it names the arrangement {:?}, but its membership {:?}",
            held.arrangement, proposal.arrangement
        )));
    }
    let mut circle: BTreeSet<&Did> = membership.parties.iter().collect();
    match &held.body {
        Body::Membership(new) => circle.extend(&new.parties),
        Body::Assent(about) | Body::Refusal(about) => {
            lacking(book, &about.of, "the membership it speaks of")?;
            let Some((_, new)) = book.membership(&about.of) else {
                return Err(Trouble::Failed(format!("it speaks of {}, which is no membership", about.of)));
            };
            circle.extend(&new.parties);
        }
        Body::Statement(_)
        | Body::Attachment(_)
        | Body::Correction(_)
        | Body::Withdrawal(_)
        | Body::Dispute(_)
        | Body::Acknowledgement(_)
        | Body::Act(_) => {}
    }
    if !circle.contains(&held.author) {
        return Err(Trouble::Failed(format!("{} is no party of its membership", held.author)));
    }
    if held.marking > membership.cap {
        return Err(Trouble::Failed(format!(
            "it is marked {}, above the cap {} of its membership",
            held.marking, membership.cap
        )));
    }
    Ok(())
}

/// Whether everything it links to has its place here.
fn links(book: &Book<'_>, held: &Held) -> Result<(), Trouble> {
    worst(held.prev.iter().map(|prev| match book.reference(prev) {
        Reference::Held | Reference::Damaged => Ok(()),
        Reference::SaidMissing | Reference::Absent => lacking(book, prev, "an entry that it links to"),
    }))
}

/// The claims about the memberships of the dialogue. `signed` are the entries whose author's
/// signature is proved.
pub(super) fn claims(book: &Book<'_>, signed: &BTreeSet<EntryId>) -> Vec<Claim> {
    let mut voices: BTreeMap<EntryId, (BTreeSet<&Did>, BTreeSet<&Did>)> = BTreeMap::new();
    for held in book.held.iter().filter(|h| signed.contains(&h.id)) {
        match &held.body {
            Body::Assent(about) => {
                voices.entry(about.of).or_default().0.insert(&held.author);
            }
            Body::Refusal(about) => {
                voices.entry(about.of).or_default().1.insert(&held.author);
            }
            _ => {}
        }
    }
    let mut claims = Vec::new();
    for held in &book.held {
        let Body::Membership(membership) = &held.body else { continue };
        let id = held.id;
        let (mut assents, refusals) = voices.remove(&id).unwrap_or_default();
        if signed.contains(&id) {
            assents.insert(&held.author);
        }
        let concerned = book.concerned(membership);
        let without: Vec<&Did> = concerned.iter().filter(|did| !assents.contains(did)).collect();
        let refused: Vec<&Did> = concerned.iter().filter(|did| refusals.contains(did)).collect();
        let replaced = match membership.replaces {
            Some(before) => lacking(book, &before, "the membership that it replaces"),
            None => Ok(()),
        };
        let assented = if without.is_empty() {
            Ok(())
        } else if !refused.is_empty() {
            Err(Trouble::Unproved(
                format!("{} refused it", list(&refused)),
                "nothing: it never took effect unless they assented later".into(),
            ))
        } else {
            Err(Trouble::Unproved(
                format!("no valid assent of {} is here", list(&without)),
                format!("the assent of {}", list(&without)),
            ))
        };
        let parties: Vec<&Did> = membership.parties.iter().collect();
        let statement = format!(
            "Everyone concerned countersigned membership {}: {} talk under {:?} with markings up to {}",
            id.0.short(),
            list(&parties),
            held.arrangement,
            membership.cap
        );
        claims.push(
            Claim::new(
                format!("membership:{id}"),
                Subject::Membership(id),
                statement,
                worst([replaced, assented]),
            )
            .seen_in(format!("entries.ndjson, line {}", held.line)),
        );
    }
    claims
}

/// Whether anything was left out.
pub(super) fn completeness(collected: &Collected, book: &Book<'_>) -> Claim {
    let mut linked = BTreeSet::new();
    for held in &book.held {
        linked.extend(held.prev.iter().copied());
        linked.extend(held.body.of());
        linked.insert(held.membership);
        if let Body::Membership(membership) = &held.body {
            linked.extend(membership.replaces);
        }
    }
    let receipted = collected
        .receipts
        .iter()
        .filter(|r| r.item.kind == hiwar_trust::receipt::ItemKind::Entry && r.outcome.is_ok())
        .map(|r| EntryId(r.item.hash));
    let referred: BTreeSet<EntryId> = linked.iter().copied().chain(receipted).chain(book.dialogue).collect();
    let absent: Vec<&EntryId> =
        referred.iter().filter(|id| book.reference(id) == Reference::Absent).collect();
    let heads: Vec<&EntryId> = book.held.iter().map(|h| &h.id).filter(|id| !linked.contains(id)).collect();
    let statement = format!(
        "No entry is missing: everything that the {} entries here link to is here. Only something newer than {} could have been left out; another party's dossier would show it",
        book.held.len(),
        list(&heads)
    );
    let outcome = if book.dialogue.is_none() {
        Err(Trouble::Unproved("no entry could be read".into(), "an undamaged copy of this dossier".into()))
    } else if !absent.is_empty() && (collected.is_whole(Member::Entries) || collected.log.is_some()) {
        Err(Trouble::Failed(format!("others refer to {}, which was left out", list(&absent))))
    } else if !collected.is_whole(Member::Entries) {
        Err(Trouble::Unproved(
            "entries.ndjson is not as it was exported".into(),
            "an undamaged copy of this dossier".into(),
        ))
    } else if !book.missing().is_empty() {
        let missing: Vec<&EntryId> = book.missing().iter().collect();
        Err(Trouble::Unproved(
            format!("the exporter says that it does not hold {}", list(&missing)),
            "a dossier of a party that holds them".into(),
        ))
    } else {
        Ok(())
    };
    Claim::new("completeness".into(), Subject::Dialogue, statement, outcome)
}

/// Names the first few of many.
fn list<T: std::fmt::Display>(all: &[T]) -> String {
    let mut text = all.iter().take(NAMED_MAX).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if all.len() > NAMED_MAX {
        text.push_str(&format!(" and {} more", all.len() - NAMED_MAX));
    }
    if text.is_empty() { "nothing".into() } else { text }
}
