//! Who the parties are: their cards, and whether somebody vouches that these are theirs.

use std::collections::BTreeSet;

use hiwar_dialogue::entry::Body;
use hiwar_trust::did::Did;
use hiwar_trust::identity::{Card, Identity};
use hiwar_trust::key::{KeyId, PublicKey};
use hiwar_trust::time::Timestamp;
use hiwar_trust::words::fingerprint_words;

use super::PARTIES_MAX;
use super::book::Book;
use super::collect::Collected;
use crate::anchor::Anchor;
use crate::claim::{Claim, PartyRow, Subject, Trouble, plain};
use crate::format::Member;

/// From when on a key of a participant must not be believed for anything not held before.
fn revoked_since(identity: &Identity, key: KeyId) -> Option<Timestamp> {
    identity.latest().revoked.iter().find(|revoked| revoked.key == key).map(|revoked| revoked.since)
}

/// What a signature by a node key is worth. A thief could put any time under it.
pub(super) fn revoked_node_key(identity: &Identity, key: &PublicKey) -> Result<(), Trouble> {
    match revoked_since(identity, key.id()) {
        None => Ok(()),
        Some(since) => Err(Trouble::Unproved(
            format!("it was signed with a node key that {} revoked as of {since}", identity.did()),
            format!("another party's dossier that shows it was held before {since}"),
        )),
    }
}

/// The card whose fingerprint is among the anchors; the newest if there are several.
fn anchored<'a>(identity: &'a Identity, anchors: &[Anchor]) -> Option<&'a Card> {
    let pinned = |card: &&Card| anchors.iter().any(|anchor| anchor.matches(&card.fingerprint()));
    identity.cards().iter().rev().map(|signed| &signed.card).find(pinned)
}

/// Whether the person who verifies vouches for these cards.
fn pinned(identity: &Identity, anchors: &[Anchor]) -> Result<(), Trouble> {
    let did = identity.did();
    let compare = format!(
        "compare these words with {did} by another way and give them to the check: {}",
        fingerprint_words(&identity.fingerprint())
    );
    let Some(card) = anchored(identity, anchors) else {
        return Err(Trouble::Unproved(
            "the cards are only as trustworthy as whoever handed over this file".into(),
            compare,
        ));
    };
    match revoked_since(identity, card.organisation_key.id()) {
        Some(since) => Err(Trouble::Unproved(
            format!("the fingerprint given is that of a key which {did} revoked as of {since}"),
            compare,
        )),
        None => Ok(()),
    }
}

/// Everyone whose cards the dossier must hold.
fn everyone(collected: &Collected, book: &Book<'_>) -> BTreeSet<Did> {
    let mut everyone: BTreeSet<Did> =
        collected.identities.keys().chain(collected.broken.keys()).cloned().collect();
    for held in &book.held {
        everyone.insert(held.author.clone());
        if let Body::Membership(membership) = &held.body {
            everyone.extend(membership.parties.iter().cloned());
        }
    }
    everyone
}

/// The claims about the parties, and about anchors that fit none.
pub(super) fn claims(collected: &Collected, book: &Book<'_>, anchors: &[Anchor]) -> Vec<Claim> {
    let mut claims = Vec::new();
    let mut everyone = everyone(collected, book);
    if everyone.len() > PARTIES_MAX {
        let why = format!("the entries name {} parties; the most is {PARTIES_MAX}", everyone.len());
        let statement = "All parties were looked at";
        claims.push(Claim::new("identities".into(), Subject::Dialogue, statement, Err(Trouble::Failed(why))));
        everyone = everyone.into_iter().take(PARTIES_MAX).collect();
    }
    for did in everyone {
        let subject = || Subject::Party(did.clone());
        let whose = format!("The keys under which {did} signed here are its own");
        let chain_id = format!("identity:{did}:chain");
        let Some(identity) = collected.identities.get(&did) else {
            let why = match collected.broken.get(&did) {
                Some(why) => Trouble::Failed(why.clone()),
                None if collected.is_whole(Member::Identities) => {
                    Trouble::Failed(format!("identities.json has no cards of {did}"))
                }
                None => Trouble::Unproved(
                    format!("no cards of {did} could be read"),
                    "an undamaged copy of this dossier".into(),
                ),
            };
            let statement = format!("The cards of {did} follow one from the other");
            claims.push(Claim::new(chain_id, subject(), statement, Err(why)).seen_in("identities.json"));
            let trouble = Trouble::Unproved(
                format!("there are no valid cards of {did}"),
                format!("the cards of {did}, from itself"),
            );
            claims.push(Claim::new(format!("identity:{did}"), subject(), whose, Err(trouble)));
            continue;
        };
        let count = identity.cards().len();
        let statement = match count {
            1 => format!("{did} has one card, signed by its own key"),
            _ => format!("{did} has {count} cards, each signed by the key before it"),
        };
        claims.push(
            Claim::new(chain_id, subject(), statement, Ok(()))
                .at(Some(identity.latest().time))
                .seen_in("identities.json"),
        );
        claims.push(Claim::new(format!("identity:{did}"), subject(), whose, pinned(identity, anchors)));
    }
    for (index, anchor) in anchors.iter().enumerate() {
        let fits = collected
            .identities
            .values()
            .any(|i| i.cards().iter().any(|signed| anchor.matches(&signed.card.fingerprint())));
        if !fits {
            let number = index + 1;
            let trouble = match collected.is_whole(Member::Identities) {
                true => Trouble::Failed(format!(
                    "no party here ever had the fingerprint {anchor}; if it is the right one, a party here is not who it says it is"
                )),
                false => Trouble::Unproved(
                    "identities.json is not as it was exported".into(),
                    "an undamaged copy of this dossier".into(),
                ),
            };
            claims.push(Claim::new(
                format!("anchor:{number}"),
                Subject::Container,
                format!("The fingerprint number {number} that you gave belongs to a party of this dialogue"),
                Err(trouble),
            ));
        }
    }
    claims
}

/// The parties as they are shown to people.
pub(super) fn rows(collected: &Collected, anchors: &[Anchor]) -> Vec<PartyRow> {
    collected
        .identities
        .values()
        .map(|identity| PartyRow {
            did: identity.did().clone(),
            name: plain(&identity.latest().name),
            words: fingerprint_words(&identity.fingerprint()),
            pinned: pinned(identity, anchors).is_ok(),
        })
        .collect()
}
