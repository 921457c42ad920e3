//! Cards and chains of cards.

use hiwar_trust::identity::{
    CARD_BYTES_MAX, CARD_SIGNATURES_MAX, CHAIN_CARDS_MAX, Card, CardSignature, Identity, KeyStatus,
    RevokedKey, SignedCard,
};
use hiwar_trust::key::{KeyHolder as _, PublicKey, SoftwareKey};

use super::answered;
use crate::sample;

/// A signed card in JSON, shown to somebody who holds the chain before it.
pub fn card(data: &[u8]) {
    let read = serde_json::from_slice::<SignedCard>(data);
    crate::outcome::report(&read);
    let Ok(signed) = read else { return };
    let written = serde_json::to_vec(&signed).unwrap_or_default();
    let again: Option<SignedCard> = serde_json::from_slice(&written).ok();
    assert_eq!(again.as_ref(), Some(&signed), "read and written differently");
    if let Ok(canonical) = signed.card.canonical() {
        let again: Option<Card> = serde_json::from_slice(&canonical).ok();
        assert_eq!(again.as_ref(), Some(&signed.card), "the canonical form is another card");
    }
    let mut held = Identity::clone(&sample::identity(0));
    let before = held.clone();
    let extended = held.extend(signed.clone());
    answered(&extended);
    // The mutations have no private key, so nothing but what the samples signed may get in.
    assert!(matches!(extended, Ok(false)) || extended.is_err(), "a forged card extends the chain");
    assert_eq!(held, before, "a refused card changed the chain");
    answered(&Identity::verify(vec![signed]));
}

/// Valid cards.
pub fn card_seeds() -> Vec<Vec<u8>> {
    sample::chain(0).iter().map(|card| serde_json::to_vec(card).unwrap_or_default()).collect()
}

/// A chain of cards in JSON. What the mutations did to it is signed and linked anew, so that more
/// than the signatures is tried; what holds of a verified chain must hold of it then.
pub fn identity(data: &[u8]) {
    let read = serde_json::from_slice::<Vec<SignedCard>>(data);
    crate::outcome::report(&read);
    let Ok(mut cards) = read else { return };
    answered(&Identity::verify(cards.clone()).map(|identity| check(&identity)));
    cards.truncate(8);
    sign_again(&mut cards);
    answered(&Identity::verify(cards).map(|identity| check(&identity)));
}

fn keys() -> &'static [SoftwareKey] {
    static KEYS: std::sync::LazyLock<Vec<SoftwareKey>> =
        std::sync::LazyLock::new(|| (0..14).map(sample::software_key).collect());
    &KEYS
}

/// Links each card to the one before it and signs it with those keys it names that are known here.
fn sign_again(cards: &mut [SignedCard]) {
    let mut before: Option<Card> = None;
    for signed in cards {
        if signed.card.previous.is_some() {
            signed.card.previous = before.as_ref().and_then(|card| card.hash().ok());
        }
        let Ok(bytes) = signed.card.canonical() else { return };
        let named = [
            Some(&signed.card.organisation_key),
            before.as_ref().map(|card| &card.organisation_key),
            before.as_ref().and_then(|card| card.recovery_key.as_ref()),
        ];
        for (signature, key) in signed.signatures.iter_mut().zip(named.into_iter().flatten()) {
            if let Some(made) = sign(key, &bytes) {
                *signature = made;
            }
        }
        before = Some(signed.card.clone());
    }
}

fn sign(key: &PublicKey, bytes: &[u8]) -> Option<CardSignature> {
    let holder = keys().iter().find(|holder| holder.public_key() == key)?;
    Some(CardSignature { key: key.id(), value: holder.sign(bytes).ok()? })
}

/// What holds of every verified chain.
fn check(identity: &Identity) {
    assert!(identity.cards().len() <= CHAIN_CARDS_MAX);
    for (position, signed) in identity.cards().iter().enumerate() {
        let card = &signed.card;
        assert_eq!(u64::try_from(position), Ok(card.sequence));
        assert_eq!(&card.did, identity.did());
        let bytes = card.canonical().map(|bytes| bytes.len());
        assert!(bytes.as_ref().is_ok_and(|bytes| *bytes <= CARD_BYTES_MAX), "a card of {bytes:?} bytes");
        assert!(
            signed.signatures.len() <= CARD_SIGNATURES_MAX,
            "{} signatures are kept",
            signed.signatures.len()
        );
        let (key, status) = identity.organisation_key(card.organisation_key.id());
        assert_eq!(key, Some(&card.organisation_key));
        assert_ne!(status, KeyStatus::Unknown);
    }
    let latest = &identity.latest().organisation_key;
    assert_eq!(
        identity.organisation_key(latest.id()).1,
        KeyStatus::Current,
        "today's key is not worth anything"
    );
    assert_eq!(identity.latest().hash(), Ok(identity.latest_hash()));
    let again = Identity::verify(identity.cards().to_vec());
    assert_eq!(again.as_ref(), Ok(identity));
    let mut shown_again = identity.clone();
    for card in identity.cards() {
        assert_eq!(shown_again.extend(card.clone()), Ok(false), "a card already held is refused");
    }
}

/// Valid chains.
pub fn identity_seeds() -> Vec<Vec<u8>> {
    let chain = sample::chain(0);
    let mut seeds: Vec<Vec<u8>> = (1..=chain.len())
        .map(|length| {
            let mut cards: Vec<SignedCard> = chain.iter().take(length).cloned().collect();
            for card in &mut cards {
                // Room for the signatures that signing anew may need.
                let spare = card.signatures.first().cloned();
                card.signatures.extend(spare);
            }
            serde_json::to_vec(&cards).unwrap_or_default()
        })
        .collect();
    // Near misses: a first card above the size limit, and one with too many signatures.
    let first = chain.first().cloned();
    let latest = chain.last().cloned();
    for (count, copies) in [(20, 1), (1, 9)] {
        let (Some(mut card), Some(latest)) = (first.clone(), latest.clone()) else { break };
        let revoked =
            latest.card.revoked.first().map(|r| RevokedKey { reason: "x".repeat(900), ..r.clone() });
        card.card.revoked = revoked.into_iter().cycle().take(count).collect();
        card.signatures = card.signatures.first().cloned().into_iter().cycle().take(copies).collect();
        seeds.push(serde_json::to_vec(&[card]).unwrap_or_default());
    }
    seeds
}
