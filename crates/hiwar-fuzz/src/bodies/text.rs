//! Names, digests, times and other short texts that have exactly one spelling.

use std::fmt::Display;
use std::str::FromStr;

use hiwar_dialogue::marking::Marking;
use hiwar_trust::did::{DID_BYTES_MAX, Did};
use hiwar_trust::hash::Hash;
use hiwar_trust::key::{KeyHolder as _, PublicKey, Signature};
use hiwar_trust::receipt;
use hiwar_trust::tiles::TileIndex;
use hiwar_trust::time::Timestamp;
use hiwar_trust::words::{WORDS, fingerprint_words, matches};

use super::{answered, text};
use crate::{join, parts, sample};

/// Reads a text that has one spelling: what is accepted must print as it was.
fn one_spelling<T>(data: &[u8]) -> Option<T>
where
    T: FromStr + Display,
    T::Err: Display,
{
    let given = text(data)?;
    let read = given.parse::<T>();
    answered(&read);
    let value = read.ok()?;
    assert_eq!(value.to_string(), given, "read and printed differently");
    Some(value)
}

/// A SHA-256 digest.
pub fn hash(data: &[u8]) {
    one_spelling::<Hash>(data);
}

/// Valid digests.
pub fn hash_seeds() -> Vec<Vec<u8>> {
    vec![Hash([0; 32]).to_string().into(), sample::hash(1).to_string().into()]
}

/// A point in time.
pub fn timestamp(data: &[u8]) {
    if let Some(time) = one_spelling::<Timestamp>(data) {
        assert!((Timestamp::MIN..=Timestamp::MAX).contains(&time), "out of range");
        assert_eq!(Timestamp::from_millis(time.as_millis()), time, "clamped");
    }
}

/// Valid times.
pub fn timestamp_seeds() -> Vec<Vec<u8>> {
    [Timestamp::MIN, Timestamp::MAX, Timestamp::default(), sample::time(1)]
        .map(|time| time.to_string().into())
        .into()
}

/// A participant's identifier. Whatever is accepted must serve as a key name and in a URL.
pub fn did(data: &[u8]) {
    let Some(did) = one_spelling::<Did>(data) else { return };
    assert!(did.as_str().len() <= DID_BYTES_MAX, "too long");
    assert!(receipt::key_name(&did).is_some(), "no key name");
    let url = did.document_url();
    let authority = url.strip_prefix("https://").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let port = authority.split_once(':').map(|(_, port)| port);
    assert!(port.is_none_or(|p| p.parse::<u16>().is_ok_and(|n| n.to_string() == p)), "port {port:?}");
    assert!(!url.contains("/../") && !url.contains("/./"), "{url} climbs");
}

/// Valid identifiers.
pub fn did_seeds() -> Vec<Vec<u8>> {
    ["did:web:a.example", "did:web:localhost%3A8443", "did:web:a.example%3A1:Node_1:v1.2"]
        .map(Into::into)
        .into()
}

/// A public key. Two spellings of one point of the curve would be two keys of one holder.
pub fn public_key(data: &[u8]) {
    if let Some(key) = one_spelling::<PublicKey>(data) {
        let mut bytes = *key.as_bytes();
        bytes.reverse();
        if let Some(first) = bytes.first_mut() {
            *first &= 0x7f;
        }
        let mut prime = [0xff; 32];
        prime[0] = 0x7f;
        prime[31] = 0xed;
        assert!(bytes < prime, "the point's coordinate is not below 2^255 - 19");
    }
}

/// Valid keys.
pub fn public_key_seeds() -> Vec<Vec<u8>> {
    (0..3).map(|n| sample::software_key(n).public_key().to_string().into()).collect()
}

/// A signature.
pub fn signature(data: &[u8]) {
    one_spelling::<Signature>(data);
}

/// Valid signatures.
pub fn signature_seeds() -> Vec<Vec<u8>> {
    let signed = sample::software_key(1).sign(b"text").map(|signature| signature.to_string().into());
    vec![Signature::from_bytes([0; 64]).to_string().into(), signed.unwrap_or_default()]
}

/// A handling marking.
pub fn marking(data: &[u8]) {
    one_spelling::<Marking>(data);
}

/// All markings.
pub fn marking_seeds() -> Vec<Vec<u8>> {
    Marking::ALL.map(|marking| marking.to_string().into()).into()
}

/// The path of a tile, as a peer asks for it.
pub fn tile_path(data: &[u8]) {
    let Some(tile) = one_spelling::<TileIndex>(data) else { return };
    assert_eq!(TileIndex::new(tile.level(), tile.index(), tile.width()), Ok(tile), "no such tile");
    let bytes = vec![0; usize::from(tile.width()) * 32];
    assert_eq!(tile.decode(&bytes).map(|hashes| hashes.len()), Ok(usize::from(tile.width())));
    assert!(tile.decode(data).is_err() || data.len() == bytes.len());
}

/// Valid paths.
pub fn tile_path_seeds() -> Vec<Vec<u8>> {
    ["tile/0/x001/x234/067", "tile/1/000.p/17", "tile/7/255", "tile/0/x072/x057/x594/x037/x927/935"]
        .map(Into::into)
        .into()
}

/// A digest, and what somebody read out over the telephone.
pub fn words(data: &[u8]) {
    let [digest, spoken] = parts(data);
    let (Some(Ok(digest)), Some(spoken)) = (text(digest).map(str::parse::<Hash>), text(spoken)) else {
        return;
    };
    let said = matches(spoken, &digest);
    crate::outcome::report_text(&said);
    let fingerprint = fingerprint_words(&digest);
    assert!(matches(&fingerprint, &digest) && matches(&digest.to_string(), &digest));
    assert_eq!(fingerprint.split([' ', '-']).count(), WORDS);
    if said {
        let mut altered = digest;
        altered.0[0] ^= 0x80;
        assert!(!matches(spoken, &altered), "it matches two digests");
        let letters = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).count();
        assert!([letters(&fingerprint), 64].contains(&letters(spoken)), "something was left out");
    }
}

/// A digest with its words, and with its digits.
pub fn words_seeds() -> Vec<Vec<u8>> {
    let digest = sample::hash(1);
    let digits = digest.to_string();
    let spoken = fingerprint_words(&digest).to_uppercase().replace(' ', "\u{2013}");
    vec![join(&[digits.as_bytes(), spoken.as_bytes()]), join(&[digits.as_bytes(), digits.as_bytes()])]
}
