//! Signature keys, with the algorithm named beside every key and signature.
//!
//! Ed25519 (RFC 8032) is the one algorithm today. The algorithm is fixed by the key, never by the
//! message, so a message cannot talk a verifier into another one. Verification is strict: it
//! refuses small-order keys and non-canonical encodings, and signatures are never verified in
//! batches, because a signature that only a batch accepts would prove nothing to a third party.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::hash::Hash;

/// A signature algorithm, by the identifier that travels on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Algorithm {
    /// Ed25519, RFC 8032 section 5.1.
    Ed25519,
}

/// A public key. Written as `ed25519:` and the RFC 4648 base64 of its 32 bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey(VerifyingKey);

/// A signature. Written as the RFC 4648 base64 of its 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

/// Names a public key by the SHA-256 digest of its text form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(pub Hash);

/// Why a key or signature was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The algorithm prefix is unknown.
    #[error("the key {text:?} does not start with a known algorithm; this version knows ed25519:")]
    UnknownAlgorithm {
        /// The text as given, cut to 80 characters.
        text: String,
    },
    /// The bytes are no valid key.
    #[error("the key {text:?} is not the base64 of a valid Ed25519 public key of 32 bytes")]
    BadKey {
        /// The text as given, cut to 80 characters.
        text: String,
    },
    /// The bytes are no signature.
    #[error("the signature is not the base64 of 64 bytes")]
    BadSignatureEncoding,
    /// The signature does not verify.
    #[error("the signature does not verify under key {key}")]
    WrongSignature {
        /// The key it was checked against.
        key: KeyId,
    },
    /// A key holder, such as a hardware module, could not sign.
    #[error("the key holder could not sign: {reason}")]
    SigningFailed {
        /// What the key holder said.
        reason: String,
    },
}

/// Something that holds a private key and signs with it: software now, a PKCS#11 module by
/// implementing this trait. The private key never leaves the holder.
pub trait KeyHolder: Send + Sync {
    /// The public half.
    fn public_key(&self) -> &PublicKey;

    /// Signs `message`.
    ///
    /// # Errors
    /// [`KeyError::SigningFailed`] when the holder is locked, absent or refuses.
    fn sign(&self, message: &[u8]) -> Result<Signature, KeyError>;
}

/// A key held in this process's memory; wiped when dropped.
pub struct SoftwareKey {
    signing: SigningKey,
    public: PublicKey,
}

impl SoftwareKey {
    /// The key with the given 32-byte seed (RFC 8032 section 5.1.5).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let signing = SigningKey::from_bytes(seed);
        let public = PublicKey(signing.verifying_key());
        Self { signing, public }
    }

    /// The inner key, for writing it to a file.
    pub fn signing_key(&self) -> &SigningKey {
        &self.signing
    }
}

impl fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftwareKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl KeyHolder for SoftwareKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, KeyError> {
        Ok(Signature(self.signing.sign(message).to_bytes()))
    }
}

impl PublicKey {
    /// The algorithm this key is for.
    pub fn algorithm(&self) -> Algorithm {
        Algorithm::Ed25519
    }

    /// The key's raw bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// A key from its 32 raw bytes.
    ///
    /// # Errors
    /// [`KeyError::BadKey`] when they are no point on the curve, a weak one, or not its one encoding.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let fail = || KeyError::BadKey { text: hex::encode(bytes) };
        if !has_reduced_coordinate(bytes) {
            return Err(fail());
        }
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| fail())?;
        if key.is_weak() { Err(fail()) } else { Ok(Self(key)) }
    }

    /// The key's name.
    pub fn id(&self) -> KeyId {
        KeyId(Hash::of(self.to_string().as_bytes()))
    }

    /// Verifies `signature` over `message` strictly (RFC 8032 section 5.1.7, no cofactor).
    ///
    /// # Errors
    /// [`KeyError::WrongSignature`] when it does not verify.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), KeyError> {
        self.0
            .verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.0))
            .map_err(|_| KeyError::WrongSignature { key: self.id() })
    }
}

/// Whether the encoded coordinate is below 2^255 - 19, as RFC 8032 section 5.1.3 demands. The curve
/// library takes it modulo that prime, which would give a few points two names.
fn has_reduced_coordinate(bytes: &[u8; 32]) -> bool {
    let [lowest, middle @ .., highest] = bytes;
    *lowest < 0xed || middle.iter().any(|byte| *byte != 0xff) || highest & 0x7f != 0x7f
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ed25519:{}", BASE64.encode(self.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let cut = || text.chars().take(80).collect::<String>();
        let encoded =
            text.strip_prefix("ed25519:").ok_or_else(|| KeyError::UnknownAlgorithm { text: cut() })?;
        let bytes = BASE64.decode(encoded).map_err(|_| KeyError::BadKey { text: cut() })?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| KeyError::BadKey { text: cut() })?;
        Self::from_bytes(&bytes)
    }
}

impl Signature {
    /// A signature from its 64 raw bytes.
    pub fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The signature's raw bytes.
    pub fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

impl FromStr for Signature {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes = BASE64.decode(text).map_err(|_| KeyError::BadSignatureEncoding)?;
        Ok(Self(bytes.try_into().map_err(|_| KeyError::BadSignatureEncoding)?))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

macro_rules! serde_as_text {
    ($($name:ty),+) => {$(
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}
serde_as_text!(PublicKey, Signature);

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        let mut out = [0; N];
        hex::decode_to_slice(text, &mut out).expect("test vector is hex");
        out
    }

    /// Source: RFC 8032 section 7.1, TEST 1 and TEST 3.
    #[test]
    fn signatures_equal_the_rfc_8032_vectors() {
        for (seed, public, message, signature) in [
            (
                "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                "",
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
            ),
            (
                "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
                "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
                "af82",
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
            ),
        ] {
            let key = SoftwareKey::from_seed(&bytes(seed));
            assert_eq!(key.public_key().as_bytes(), &bytes::<32>(public));
            let message = hex::decode(message).expect("test vector is hex");
            let made = key.sign(&message).expect("a software key signs");
            assert_eq!(made.as_bytes(), &bytes::<64>(signature));
            assert_eq!(key.public_key().verify(&message, &made), Ok(()));
            assert!(key.public_key().verify(b"another message", &made).is_err());
        }
    }

    #[test]
    fn weak_keys_and_unknown_algorithms_are_refused() {
        assert!(PublicKey::from_bytes(&[0; 32]).is_err());
        assert!(matches!("rsa:AAAA".parse::<PublicKey>(), Err(KeyError::UnknownAlgorithm { .. })));
        assert!("ed25519:AAAA".parse::<PublicKey>().is_err());
    }

    /// 2^255 - 16 is 3 modulo 2^255 - 19, the coordinate of a point that is not weak.
    #[test]
    fn a_point_has_one_encoding() {
        let mut reduced = [0; 32];
        reduced[0] = 3;
        assert!(PublicKey::from_bytes(&reduced).is_ok());
        let mut unreduced = [0xff; 32];
        (unreduced[0], unreduced[31]) = (0xf0, 0x7f);
        assert!(PublicKey::from_bytes(&unreduced).is_err());
    }
}
