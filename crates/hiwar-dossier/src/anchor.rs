//! Anchors: what the person who verifies knows of a party by another way.

use std::fmt;
use std::str::FromStr;

use hiwar_trust::hash::Hash;
use hiwar_trust::words;
use serde::{Deserialize, Serialize};

/// A fingerprint that was compared with its party by another way than this dossier: the twelve
/// words of an invitation, or the 64 hexadecimal digits behind them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Anchor(String);

/// Why a text is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no fingerprint; give all twelve words of the invitation, or its 64 hexadecimal digits")]
pub struct AnchorError {
    /// The text as given, cut to 120 characters.
    pub text: String,
}

impl Anchor {
    /// Whether this is the fingerprint `hash`.
    pub fn matches(&self, hash: &Hash) -> bool {
        words::matches(&self.0, hash)
    }
}

impl From<Hash> for Anchor {
    fn from(fingerprint: Hash) -> Self {
        Self(fingerprint.to_string())
    }
}

impl FromStr for Anchor {
    type Err = AnchorError;

    fn from_str(text: &str) -> Result<Self, AnchorError> {
        let separator = |c: char| c.is_whitespace() || c == '-' || ('\u{2010}'..='\u{2015}').contains(&c);
        let parts: Vec<&str> = text.split(separator).filter(|part| !part.is_empty()).collect();
        let alphabetic =
            |part: &&str| (3..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphabetic());
        let words = parts.len() == words::WORDS && parts.iter().all(alphabetic);
        let digits: String = parts.concat();
        let hex = digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        if words || hex {
            Ok(Self(text.trim().to_owned()))
        } else {
            Err(AnchorError { text: text.chars().take(120).collect() })
        }
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_digits_are_fingerprints_and_anything_else_is_none() {
        let hash = Hash::of(b"party");
        for given in [words::fingerprint_words(&hash), hash.to_string(), hash.to_string().to_uppercase()] {
            assert!(given.parse::<Anchor>().unwrap().matches(&hash), "{given}");
        }
        assert!(Anchor::from(hash).matches(&hash));
        assert!(!Anchor::from(hash).matches(&Hash::of(b"other")));
        let short = words::fingerprint_words(&hash);
        let short = short.rsplit_once('-').unwrap().0;
        for given in ["", "did:web:motie.example", short, "abc"] {
            assert!(given.parse::<Anchor>().is_err(), "{given}");
        }
    }
}
