//! Compact JSON Web Signatures (RFC 7515, section 7.1), for tokens, credentials and presentations.
//!
//! Two algorithms are accepted: `EdDSA` with Ed25519 (RFC 8037) and `ES256` (RFC 7518, section 3.4).
//! The key decides the algorithm, never the message: a header that names another one is refused
//! before anything is computed. Headers and claims with a member twice are refused, because two
//! readers could take different ones for true.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use hiwar_trust::key::{KeyError, KeyHolder, PublicKey, Signature};
use serde_json::{Map, Value};

use crate::json;

/// The most bytes of a protected header, decoded.
pub const HEADER_BYTES_MAX: usize = 4 * 1024;
/// The most bytes of a key identifier: a DID and a fragment.
pub const KID_BYTES_MAX: usize = 512;
/// Bytes of either algorithm's signature.
const SIGNATURE_BYTES: usize = 64;

/// A signature algorithm, by its name in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwsAlgorithm {
    /// Ed25519, written `EdDSA` (RFC 8037) or `Ed25519` (RFC 9864).
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl JwsAlgorithm {
    fn named(name: &str) -> Option<Self> {
        match name {
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }

    /// The name written in headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }
}

/// A public key that signatures are verified with.
#[derive(Clone, PartialEq, Eq)]
pub enum JwsKey {
    /// An Ed25519 key.
    Ed25519(PublicKey),
    /// A P-256 key as an uncompressed point: 4, x, y (SEC 1, section 2.3.3).
    P256(Box<[u8; 65]>),
}

impl fmt::Debug for JwsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ed25519(key) => key.fmt(f),
            Self::P256(point) => write!(f, "p256:{}", BASE64URL.encode(point.as_slice())),
        }
    }
}

/// Why a JSON Web Key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwkError {
    /// Not a key of a known kind.
    #[error("publicKeyJwk: the key type {kind:?} is not accepted; use OKP with Ed25519, or EC with P-256")]
    Kind {
        /// `kty` and `crv` as given, cut to 40 characters.
        kind: String,
    },
    /// A coordinate is absent or wrong.
    #[error("publicKeyJwk: the member {member} is not the base64url of 32 bytes that make a public key")]
    Coordinate {
        /// Which one.
        member: &'static str,
    },
    /// A private key was published.
    #[error(
        "publicKeyJwk: it holds the private member \"d\"; such a key is known to everybody and is refused"
    )]
    Private,
}

impl JwsKey {
    /// The algorithm this key is for.
    pub fn algorithm(&self) -> JwsAlgorithm {
        match self {
            Self::Ed25519(_) => JwsAlgorithm::EdDsa,
            Self::P256(_) => JwsAlgorithm::Es256,
        }
    }

    /// Reads a JSON Web Key (RFC 7517, RFC 8037).
    ///
    /// # Errors
    /// When it is private, of another kind, or no key.
    pub fn from_jwk(jwk: &Value) -> Result<Self, JwkError> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str).unwrap_or_default();
        if jwk.get("d").is_some() {
            return Err(JwkError::Private);
        }
        match (text("kty"), text("crv")) {
            ("OKP", "Ed25519") => {
                let bytes = coordinate(text("x"), "x")?;
                let key = PublicKey::from_bytes(&bytes);
                key.map(Self::Ed25519).map_err(|_| JwkError::Coordinate { member: "x" })
            }
            ("EC", "P-256") => {
                let (x, y) = (coordinate(text("x"), "x")?, coordinate(text("y"), "y")?);
                let mut point = Box::new([4; 65]);
                for (place, byte) in point.iter_mut().skip(1).zip(x.iter().chain(&y)) {
                    *place = *byte;
                }
                Ok(Self::P256(point))
            }
            (kty, crv) => Err(JwkError::Kind { kind: format!("{kty} {crv}").chars().take(40).collect() }),
        }
    }

    /// The key as a JSON Web Key.
    pub fn to_jwk(&self) -> Value {
        match self {
            Self::Ed25519(key) => serde_json::json!({
                "kty": "OKP", "crv": "Ed25519", "x": BASE64URL.encode(key.as_bytes()),
            }),
            Self::P256(point) => {
                let (x, y) = point.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
                serde_json::json!({
                    "kty": "EC", "crv": "P-256", "x": BASE64URL.encode(x), "y": BASE64URL.encode(y),
                })
            }
        }
    }

    fn verifies(&self, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        match self {
            Self::Ed25519(key) => key.verify(message, &Signature::from_bytes(*signature)).is_ok(),
            Self::P256(point) => {
                let key = ring::signature::UnparsedPublicKey::new(
                    &ring::signature::ECDSA_P256_SHA256_FIXED,
                    point.as_slice(),
                );
                key.verify(message, signature).is_ok()
            }
        }
    }
}

fn coordinate(text: &str, member: &'static str) -> Result<[u8; 32], JwkError> {
    let fail = || JwkError::Coordinate { member };
    if text.len() > 64 {
        return Err(fail());
    }
    BASE64URL.decode(text).map_err(|_| fail())?.try_into().map_err(|_| fail())
}

/// A key with the name that headers call it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationKey {
    /// Its full identifier: a DID, `#` and a fragment.
    pub kid: String,
    /// The key.
    pub key: JwsKey,
}

/// Why a JWS was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwsError {
    /// Too long.
    #[error("the token has {bytes} bytes; at most {max} are accepted here")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The most accepted.
        max: usize,
    },
    /// Not three parts of base64url.
    #[error("the token is not three base64url parts with dots between them: {part} is wrong")]
    Form {
        /// Which part.
        part: &'static str,
    },
    /// A part is no JSON object, or names a member twice.
    #[error("the token's {part} is not a JSON object with every member once: {problem}")]
    Json {
        /// Which part.
        part: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// An algorithm that is not accepted.
    #[error("the token's algorithm {algorithm:?} is not accepted; use EdDSA or ES256")]
    Algorithm {
        /// As named, cut to 40 characters.
        algorithm: String,
    },
    /// Extensions that a reader must understand.
    #[error("the token's header names critical extensions (crit); none is understood here")]
    Critical,
    /// No key identifier.
    #[error("the token's header names no key; kid must be a DID, # and a fragment")]
    NoKeyId,
    /// None of the signer's keys has this name.
    #[error("the key {kid:?} is not among the signer's keys for this purpose")]
    UnknownKey {
        /// As named, cut to 200 characters.
        kid: String,
    },
    /// The key is for another algorithm.
    #[error("the token names the algorithm {named}, but its key is for {of_key}")]
    OtherAlgorithm {
        /// In the header.
        named: &'static str,
        /// The key's.
        of_key: &'static str,
    },
    /// The signature does not verify.
    #[error("the token's signature does not verify under the key {kid}")]
    WrongSignature {
        /// The key.
        kid: String,
    },
    /// The claims cannot be written.
    #[error("the claims cannot be written: {0}")]
    Unwritable(String),
    /// The key holder did not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A P-256 key cannot be used.
    #[error("the claims key: {0}")]
    ClaimsKey(&'static str),
}

/// A JWS that was read, but whose signature nobody has checked: good for finding out whose keys are
/// needed, and for nothing else.
#[derive(Clone, Debug)]
pub struct Unverified<'a> {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    algorithm: JwsAlgorithm,
    signed: &'a str,
    signature: [u8; SIGNATURE_BYTES],
}

/// Takes a compact JWS apart. `bytes_max` bounds the whole text.
///
/// # Errors
/// When it is too long, not of the form, or names an algorithm that is not accepted.
pub fn read(text: &str, bytes_max: usize) -> Result<Unverified<'_>, JwsError> {
    if text.len() > bytes_max {
        return Err(JwsError::TooLong { bytes: text.len(), max: bytes_max });
    }
    let (signed, signature) = text.rsplit_once('.').ok_or(JwsError::Form { part: "the whole" })?;
    let (header, payload) = signed.split_once('.').ok_or(JwsError::Form { part: "the whole" })?;
    let header = decode(header, "header")?;
    if header.len() > HEADER_BYTES_MAX {
        return Err(JwsError::TooLong { bytes: header.len(), max: HEADER_BYTES_MAX });
    }
    let header = object(&header, "header")?;
    let name = header.get("alg").and_then(Value::as_str).unwrap_or_default();
    let algorithm = JwsAlgorithm::named(name)
        .ok_or_else(|| JwsError::Algorithm { algorithm: name.chars().take(40).collect() })?;
    if header.contains_key("crit") {
        return Err(JwsError::Critical);
    }
    let signature = decode(signature, "the signature")?;
    let signature = signature.try_into().map_err(|_| JwsError::Form { part: "the signature" })?;
    let claims = object(&decode(payload, "payload")?, "payload")?;
    Ok(Unverified { header, claims, algorithm, signed, signature })
}

fn decode(text: &str, part: &'static str) -> Result<Vec<u8>, JwsError> {
    BASE64URL.decode(text).map_err(|_| JwsError::Form { part })
}

fn object(bytes: &[u8], part: &'static str) -> Result<Map<String, Value>, JwsError> {
    json::object(bytes, bytes.len()).map_err(|problem| JwsError::Json { part, problem: problem.to_string() })
}

impl Unverified<'_> {
    /// The claims as they stand; anybody could have written them.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The key that the header names.
    ///
    /// # Errors
    /// When it names none, or one whose name is too long.
    pub fn kid(&self) -> Result<&str, JwsError> {
        let kid = self.header.get("kid").and_then(Value::as_str).unwrap_or_default();
        if kid.is_empty() || kid.len() > KID_BYTES_MAX { Err(JwsError::NoKeyId) } else { Ok(kid) }
    }

    /// Checks the signature with the one of `keys` that the header names. A name that is only a
    /// fragment means a key of `signer`.
    ///
    /// # Errors
    /// When the key is unknown or for another algorithm, or the signature is wrong.
    pub fn verify(self, signer: &str, keys: &[VerificationKey]) -> Result<Map<String, Value>, JwsError> {
        let kid = self.kid()?;
        let full = if kid.contains('#') && !kid.starts_with('#') {
            kid.to_owned()
        } else if kid.starts_with("did:") {
            return Err(JwsError::NoKeyId);
        } else {
            format!("{signer}#{}", kid.trim_start_matches('#'))
        };
        let found = keys.iter().find(|k| k.kid == full);
        let Some(found) = found else {
            return Err(JwsError::UnknownKey { kid: full.chars().take(200).collect() });
        };
        if found.key.algorithm() != self.algorithm {
            let (named, of_key) = (self.algorithm.name(), found.key.algorithm().name());
            return Err(JwsError::OtherAlgorithm { named, of_key });
        }
        if !found.key.verifies(self.signed.as_bytes(), &self.signature) {
            return Err(JwsError::WrongSignature { kid: full });
        }
        Ok(self.claims)
    }
}

/// Signs claims. `kind` is the header's `typ`.
///
/// # Errors
/// When the claims cannot be written, or the key holder does not sign.
pub fn sign(
    claims: &impl serde::Serialize,
    kind: &str,
    kid: &str,
    key: &dyn KeyHolder,
) -> Result<String, JwsError> {
    assemble(claims, kind, kid, JwsAlgorithm::EdDsa, |text| Ok(*key.sign(text)?.as_bytes()))
}

/// Puts a compact JWS together around a signature.
pub(crate) fn assemble(
    claims: &impl serde::Serialize,
    kind: &str,
    kid: &str,
    algorithm: JwsAlgorithm,
    sign: impl FnOnce(&[u8]) -> Result<[u8; SIGNATURE_BYTES], JwsError>,
) -> Result<String, JwsError> {
    let header = serde_json::json!({ "alg": algorithm.name(), "kid": kid, "typ": kind });
    let payload = serde_json::to_vec(claims).map_err(|e| JwsError::Unwritable(e.to_string()))?;
    let mut text = BASE64URL.encode(header.to_string());
    text.push('.');
    text.push_str(&BASE64URL.encode(payload));
    let signature = sign(text.as_bytes())?;
    text.push('.');
    text.push_str(&BASE64URL.encode(signature));
    Ok(text)
}
