//! A digest as words that two people can compare over the telephone.
//!
//! The words are those of BIP-39, *Mnemonic code for generating deterministic keys* (English
//! list): 2048 words of three to eight letters, distinct in their first four. Twelve of them carry
//! the first 132 bits of the digest; there is no checksum, because the other side is the check.
//!
//! **Security level.** Whoever wants to pass off another key under the same words must find a
//! second preimage of 132 bits, about 2^132 attempts, provided that all twelve words are compared.
//! Two keys with the same words can be found in about 2^66 attempts, but only by somebody who makes
//! both keys, and that gains nothing here: both are then that party's own.

use bip39::Language;

use crate::hash::Hash;

/// How many words make a fingerprint.
pub const WORDS: usize = 12;

/// How many words stand between two spaces.
const GROUP_WORDS: usize = 3;

/// What one word carries, in bits: the list has 2^11 words.
const WORD_BITS: u32 = 11;

/// The fingerprint of `hash`: four groups of three words, such as
/// `zoo-zoo-zoo zoo-zoo-zoo zoo-zoo-zoo zoo-zoo-wrong`.
pub fn fingerprint_words(hash: &Hash) -> String {
    let mut text = String::with_capacity(96);
    for (index, word) in words(hash).into_iter().enumerate() {
        if index > 0 {
            text.push(if index % GROUP_WORDS == 0 { ' ' } else { '-' });
        }
        text.push_str(word);
    }
    text
}

/// Whether `given` is the fingerprint of `hash`: all twelve words in order, or the 64 hexadecimal
/// digits. Case does not matter, nor how spaces, line breaks and hyphens separate the words or
/// group the digits. Abbreviated words are refused.
pub fn matches(given: &str, hash: &Hash) -> bool {
    let parts = || given.split(is_separator).filter(|part| !part.is_empty());
    let as_words = || {
        let mut expected = words(hash).into_iter();
        parts().all(|part| expected.next().is_some_and(|word| word.eq_ignore_ascii_case(part)))
            && expected.next().is_none()
    };
    let as_hex =
        || parts().flat_map(str::chars).map(|digit| digit.to_ascii_lowercase()).eq(hash.to_string().chars());
    as_words() || as_hex()
}

/// White space, the hyphen, and the dashes that word processors put in its place.
fn is_separator(character: char) -> bool {
    character.is_whitespace() || character == '-' || ('\u{2010}'..='\u{2015}').contains(&character)
}

/// Cuts the digest's bits, the most significant first, into word numbers.
fn words(hash: &Hash) -> Vec<&'static str> {
    let list = Language::English.word_list();
    let mut words = Vec::with_capacity(WORDS);
    let (mut bits, mut bits_held) = (0_u32, 0_u32);
    for &byte in hash.as_bytes() {
        bits = (bits << 8) | u32::from(byte);
        bits_held += 8;
        if bits_held >= WORD_BITS && words.len() < WORDS {
            bits_held -= WORD_BITS;
            let number = (bits >> bits_held) as usize % list.len();
            words.extend(list.get(number).copied());
            bits &= (1 << bits_held) - 1;
        }
        if words.len() == WORDS {
            break;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A digest whose first 132 bits are the BIP-39 entropy of 128 bits and its checksum of 4 bits,
    /// so that its fingerprint is the mnemonic of that entropy.
    fn digest_of_mnemonic(byte: u8) -> Hash {
        let entropy = [byte; 16];
        let mut bytes = [0xa5; 32];
        bytes[..16].copy_from_slice(&entropy);
        bytes[16] = Hash::of(&entropy).as_bytes()[0];
        Hash(bytes)
    }

    /// Source: BIP-39, test vectors for the English list, entropies of 128 bits.
    #[test]
    fn the_words_are_the_mnemonics_of_the_bip_39_vectors() {
        for (byte, words) in [
            (
                0x00,
                "abandon-abandon-abandon abandon-abandon-abandon abandon-abandon-abandon abandon-abandon-about",
            ),
            (0x7f, "legal-winner-thank year-wave-sausage worth-useful-legal winner-thank-yellow"),
            (0x80, "letter-advice-cage absurd-amount-doctor acoustic-avoid-letter advice-cage-above"),
            (0xff, "zoo-zoo-zoo zoo-zoo-zoo zoo-zoo-zoo zoo-zoo-wrong"),
        ] {
            assert_eq!(fingerprint_words(&digest_of_mnemonic(byte)), words);
        }
    }

    #[test]
    fn a_fingerprint_is_recognised_however_it_was_typed() {
        let hash = digest_of_mnemonic(0x7f);
        let hex = hash.to_string();
        let (left, right) = hex.split_at(32);
        for given in [
            "legal-winner-thank year-wave-sausage worth-useful-legal winner-thank-yellow",
            "  Legal WINNER thank year\nwave sausage worth\u{2013}useful -- legal winner thank Yellow\n",
            &hex,
            &hex.to_uppercase(),
            &format!("{left} {right}"),
        ] {
            assert!(matches(given, &hash), "{given}");
        }
    }

    #[test]
    fn missing_changed_abbreviated_and_additional_words_are_refused() {
        let hash = digest_of_mnemonic(0x7f);
        let right = fingerprint_words(&hash);
        for given in [
            "",
            "-",
            "legal-winner-thank year-wave-sausage worth-useful-legal winner-thank",
            "legal-winner-thank year-wave-sausage worth-useful-legal winner-thank-zoo",
            "winner-legal-thank year-wave-sausage worth-useful-legal winner-thank-yellow",
            "lega-winn-than year-wave-saus wort-usef-lega winn-than-yell",
            &format!("{right}-zoo"),
            &right.replace(['-', ' '], ""),
            hash.to_string().split_at(63).0,
            &format!("{hash}0"),
        ] {
            assert!(!matches(given, &hash), "{given}");
        }
    }

    #[test]
    fn every_one_of_the_132_bits_changes_a_word() {
        let hash = digest_of_mnemonic(0x80);
        let right = fingerprint_words(&hash);
        for bit in 0..256 {
            let mut other = hash;
            other.0[bit / 8] ^= 0x80 >> (bit % 8);
            assert_eq!(matches(&right, &other), bit >= 132, "bit {bit}");
        }
    }
}
