//! The exporter's alarms. An alarm is the exporter's word, unless what it keeps as evidence proves
//! it by itself.

use hiwar_dialogue::ledger::Alarm;
use hiwar_trust::checkpoint::SignedCheckpoint;
use hiwar_trust::identity::{Identity, IdentityError, SignedCard};

use super::collect::Collected;
use crate::claim::{Claim, Subject, Trouble};

/// The claims about the alarms.
pub(super) fn claims(collected: &Collected) -> Vec<Claim> {
    collected.alarms.iter().enumerate().map(|(index, alarm)| claim(collected, index, alarm)).collect()
}

fn claim(collected: &Collected, index: usize, alarm: &Alarm) -> Claim {
    let about = alarm.peer.as_ref().map_or("an unnamed peer", |did| did.as_str());
    let code: String = alarm.code.chars().take(40).collect();
    let detail: String = alarm.detail.chars().take(500).collect();
    let identity = alarm.peer.as_ref().and_then(|did| collected.identities.get(did));
    let proved = identity.and_then(|identity| proof(alarm, identity));
    let statement = match &proved {
        Some(what) => format!("ALARM about {about}: {what}"),
        None => format!("ALARM {code:?} about {about}: {detail}"),
    };
    let outcome = match proved {
        Some(_) => Ok(()),
        None => Err(Trouble::Unproved(
            "it is the exporter's word; what it keeps as evidence does not prove it by itself".into(),
            format!("the words of {about}, or two contradicting documents that it signed"),
        )),
    };
    Claim::new(format!("alarm:{index}"), Subject::Alarm(index), statement, outcome)
        .at(Some(alarm.time))
        .seen_in(format!("alarms.json, alarm {index}"))
}

/// What the evidence proves by itself.
fn proof(alarm: &Alarm, identity: &Identity) -> Option<String> {
    two_states(alarm, identity)
        .or_else(|| two_cards(alarm, identity))
        .or_else(|| declared_restore(alarm, identity))
}

/// Two signed states of one log with one size and different roots.
fn two_states(alarm: &Alarm, identity: &Identity) -> Option<String> {
    let signed: Vec<SignedCheckpoint> = alarm
        .evidence
        .iter()
        .take(16)
        .filter_map(|note| SignedCheckpoint::parse(note.as_bytes()).ok())
        .filter(|signed| {
            let origin = signed.checkpoint().origin();
            let own = identity.log_origins().any(|own| own == origin);
            let name = origin.parse().ok();
            own && name.is_some_and(|name| identity.node_keys().any(|key| signed.verify(&name, key).is_ok()))
        })
        .collect();
    for (index, one) in signed.iter().enumerate() {
        for other in signed.iter().skip(index + 1) {
            let (a, b) = (one.checkpoint(), other.checkpoint());
            if a.origin() == b.origin() && a.size() == b.size() && a.root() != b.root() {
                return Some(format!(
                    "it signed two different states of its log {} with {} leaves, which an honest log never does",
                    a.origin(),
                    a.size()
                ));
            }
        }
    }
    None
}

/// A second card at the place of one that is held, both signed by the same key.
fn two_cards(alarm: &Alarm, identity: &Identity) -> Option<String> {
    alarm.evidence.iter().take(16).find_map(|text| {
        let card: SignedCard = serde_json::from_str(text).ok()?;
        match identity.clone().extend(card) {
            Err(IdentityError::Fork { sequence, .. }) => {
                Some(format!("it signed two different cards number {sequence}"))
            }
            _ => None,
        }
    })
}

/// A card of its own in which it says that its log goes on anew after a restore.
fn declared_restore(alarm: &Alarm, identity: &Identity) -> Option<String> {
    alarm.evidence.iter().take(16).find_map(|text| {
        let card: SignedCard = serde_json::from_str(text).ok()?;
        let own = identity.cards().contains(&card) && card.card.log_continues.is_some();
        own.then(|| {
            format!(
                "it declared with card {} that its node was restored and that its log goes on as {}",
                card.card.sequence, card.card.log_origin
            )
        })
    })
}
