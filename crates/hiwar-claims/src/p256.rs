//! P-256 keys that sign (`ES256`). Ed25519 would do, but part of the field's software reads P-256
//! keys only, the conformance kit's release candidates among it.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

use crate::jws::{self, JwsAlgorithm, JwsError, JwsKey};

/// A key pair in memory.
pub struct P256Key {
    pair: EcdsaKeyPair,
    public: JwsKey,
}

impl std::fmt::Debug for P256Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("P256Key").field(&self.public).finish()
    }
}

impl P256Key {
    /// Makes a key, as a PKCS #8 document.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn generate() -> Result<Vec<u8>, JwsError> {
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        made.map(|d| d.as_ref().to_vec()).map_err(|_| JwsError::ClaimsKey("the system gives no randomness"))
    }

    /// Reads a key from a PKCS #8 document.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_pkcs8(document: &[u8]) -> Result<Self, JwsError> {
        let rng = SystemRandom::new();
        let wrong = JwsError::ClaimsKey("it is no PKCS #8 document with a P-256 key");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document, &rng);
        let Ok(pair) = pair else { return Err(wrong) };
        let point: [u8; 65] = pair.public_key().as_ref().try_into().map_err(|_| wrong)?;
        Ok(Self { pair, public: JwsKey::P256(Box::new(point)) })
    }

    /// The public half.
    pub fn public(&self) -> &JwsKey {
        &self.public
    }

    /// Signs claims. `kind` is the header's `typ`.
    ///
    /// # Errors
    /// When the claims cannot be written or the system gives no random numbers.
    pub fn sign(&self, claims: &impl serde::Serialize, kind: &str, kid: &str) -> Result<String, JwsError> {
        jws::assemble(claims, kind, kid, JwsAlgorithm::Es256, |text| {
            let made = self.pair.sign(&SystemRandom::new(), text);
            let made = made.map_err(|_| JwsError::ClaimsKey("the system gives no randomness"))?;
            made.as_ref().try_into().map_err(|_| JwsError::ClaimsKey("the signature has another length"))
        })
    }
}
