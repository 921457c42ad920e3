//! Signed notes: a text and the signatures under it (C2SP signed-note v1).
//!
//! A note has one byte-exact form, so what was signed can be printed, stored and verified years
//! later. Reading a note verifies nothing: believe its text only after [`Note::verify`].

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::hash::Hash;
use crate::key::{KeyError, KeyHolder, PublicKey, Signature};

/// The largest note that is read or made, in bytes.
pub const MAX_NOTE_BYTES: usize = 64 * 1024;

/// The most signatures that a note may carry.
pub const MAX_SIGNATURES: usize = 64;

/// What starts a signature line: an em dash and a space.
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// A text and the signatures under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line of a note: who signed, with which key, and the bytes that the key made.
///
/// Written as the line without its newline: an em dash, the name, and base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    name: KeyName,
    key_hash: [u8; 4],
    bytes: Vec<u8>,
}

/// The name a key signs under, such as `example.com/log`: not empty, and without white space,
/// control characters and `+`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

/// What a key signs, by the type byte of C2SP signed-note; part of the key's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignatureKind {
    /// 0x01: an Ed25519 signature over the text.
    Note,
    /// 0x04: a timestamped Ed25519 cosignature of a checkpoint (C2SP tlog-cosignature v1).
    Cosignature,
}

/// A name, a public key and what the key signs: all a verifier needs to be told beforehand.
///
/// Written as `name+hash+base64`, the "vkey" of C2SP signed-note.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VerifierKey {
    /// The name the key signs under.
    pub name: KeyName,
    /// What the key signs.
    pub kind: SignatureKind,
    /// The public key.
    pub key: PublicKey,
}

/// Why a note, or a part of one, was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// The note is too large.
    #[error("the note has {bytes} bytes; a note has at most 65,536")]
    TooLarge {
        /// Size of the note in bytes.
        bytes: usize,
    },
    /// The note carries too many signatures.
    #[error("the note would carry more than 64 signatures; drop those of unknown keys")]
    TooManySignatures,
    /// The note is not UTF-8.
    #[error("the note is not UTF-8 from byte {at} on; send it as the bytes that were signed")]
    NotUtf8 {
        /// Where the first wrong byte is, from 0.
        at: usize,
    },
    /// The text contains a control character.
    #[error("byte {at} of the text is a control character; only newlines may occur in a note")]
    ControlCharacter {
        /// Where the character is, from 0.
        at: usize,
    },
    /// The text does not end in a newline.
    #[error("the text does not end in a newline; add one before it is signed")]
    NoFinalNewline,
    /// No blank line stands between text and signatures, or the last line is cut off.
    #[error("the note does not end in a blank line and whole signature lines; it may have been cut off")]
    NoSignatures,
    /// A signature line is malformed.
    #[error("{line:?} is no signature line; it reads: em dash, key name, base64 of key hash and signature")]
    BadSignatureLine {
        /// The line as given, cut to 80 characters.
        line: String,
    },
    /// The text is no key name.
    #[error(
        "{text:?} is no key name; write one without white space, control characters and +, such as example.com/log"
    )]
    BadName {
        /// The text as given, cut to 80 characters.
        text: String,
    },
    /// The text is no verifier key.
    #[error("{text:?} is no verifier key; write name+hash+base64 with the hash that belongs to name and key")]
    BadVerifierKey {
        /// The text as given, cut to 80 characters.
        text: String,
    },
    /// No signature by the key is on the note.
    #[error(
        "the note is not signed by {name} with key hash {key_hash}; ask {name} to sign, or check the key"
    )]
    NotSigned {
        /// The name that was asked for.
        name: KeyName,
        /// The key hash that was asked for, in hexadecimal.
        key_hash: String,
    },
    /// A signature has the wrong length for its kind.
    #[error(
        "the signature by {name} has {bytes} bytes, which no signature of its kind has; ask for it again"
    )]
    WrongSignatureLength {
        /// Who is said to have signed.
        name: KeyName,
        /// How many bytes came after the key hash.
        bytes: usize,
    },
    /// A signature does not verify, or could not be made.
    #[error("{name}: {source}")]
    Key {
        /// Who is said to have signed, or should have.
        name: KeyName,
        /// What is wrong.
        source: KeyError,
    },
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

impl Note {
    /// The note with `text`, signed by `key` under `name`.
    ///
    /// # Errors
    /// A [`NoteError`] when the text does not end in a newline, has other control characters or
    /// is too large, or when the key holder does not sign.
    pub fn sign(text: &str, name: &KeyName, key: &dyn KeyHolder) -> Result<Self, NoteError> {
        check_text(text)?;
        let signature = sign_message(text.as_bytes(), name, key)?;
        let mut note = Self { text: text.to_owned(), signatures: Vec::new() };
        note.add(NoteSignature::new(name, SignatureKind::Note, key.public_key(), signature.as_bytes()))?;
        Ok(note)
    }

    /// Reads a note; the inverse of printing it. Verifies no signature.
    ///
    /// # Errors
    /// A [`NoteError`] saying what makes it no note.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        check_size(bytes.len())?;
        let note =
            std::str::from_utf8(bytes).map_err(|wrong| NoteError::NotUtf8 { at: wrong.valid_up_to() })?;
        let (body, lines) = note
            .strip_suffix('\n')
            .and_then(|note| note.rsplit_once("\n\n"))
            .ok_or(NoteError::NoSignatures)?;
        let text = format!("{body}\n");
        check_text(&text)?;
        if lines.split('\n').count() > MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        let signatures = lines.split('\n').map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { text, signatures })
    }

    /// What was signed, with its final newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, in the order of their lines; at least one, none of them verified.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature below the others, in place of any by the same key.
    ///
    /// # Errors
    /// [`NoteError::TooManySignatures`] or [`NoteError::TooLarge`]; the note is unchanged then.
    pub fn add(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        let mut signatures = self.signatures.clone();
        signatures.retain(|other| (&other.name, other.key_hash) != (&signature.name, signature.key_hash));
        signatures.push(signature);
        if signatures.len() > MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        let lines: usize = signatures.iter().map(|signature| signature.to_string().len() + 1).sum();
        check_size(self.text.len() + 1 + lines)?;
        self.signatures = signatures;
        Ok(())
    }

    /// Verifies that `key` signed this text under `name`. Signatures by other keys are ignored;
    /// every signature by this one must verify.
    ///
    /// # Errors
    /// [`NoteError::NotSigned`] when there is none, another [`NoteError`] when one is wrong.
    pub fn verify(&self, name: &KeyName, key: &PublicKey) -> Result<(), NoteError> {
        for bytes in self.signatures_by(name, SignatureKind::Note, key)? {
            verify_message(self.text.as_bytes(), name, key, bytes)?;
        }
        Ok(())
    }

    /// The signature bytes of every line by this key.
    pub(crate) fn signatures_by(
        &self,
        name: &KeyName,
        kind: SignatureKind,
        key: &PublicKey,
    ) -> Result<impl Iterator<Item = &[u8]>, NoteError> {
        let key_hash = key_hash(name, kind, key);
        let mut lines = self
            .signatures
            .iter()
            .filter(move |line| line.key_hash == key_hash && line.name.0 == name.0)
            .map(|line| line.bytes.as_slice())
            .peekable();
        match lines.peek() {
            Some(_) => Ok(lines),
            None => Err(NoteError::NotSigned { name: name.clone(), key_hash: hex::encode(key_hash) }),
        }
    }
}

fn check_size(bytes: usize) -> Result<(), NoteError> {
    if bytes > MAX_NOTE_BYTES { Err(NoteError::TooLarge { bytes }) } else { Ok(()) }
}

fn check_text(text: &str) -> Result<(), NoteError> {
    check_size(text.len())?;
    if let Some(at) = text.bytes().position(|byte| byte < 0x20 && byte != b'\n') {
        return Err(NoteError::ControlCharacter { at });
    }
    if text.ends_with('\n') { Ok(()) } else { Err(NoteError::NoFinalNewline) }
}

/// Signs `message`, naming the signer when that fails.
pub(crate) fn sign_message(
    message: &[u8],
    name: &KeyName,
    key: &dyn KeyHolder,
) -> Result<Signature, NoteError> {
    key.sign(message).map_err(|source| NoteError::Key { name: name.clone(), source })
}

/// Verifies the bytes of a signature over `message`.
pub(crate) fn verify_message(
    message: &[u8],
    name: &KeyName,
    key: &PublicKey,
    signature: &[u8],
) -> Result<(), NoteError> {
    let bytes = <[u8; 64]>::try_from(signature)
        .map_err(|_| NoteError::WrongSignatureLength { name: name.clone(), bytes: signature.len() })?;
    key.verify(message, &Signature::from_bytes(bytes))
        .map_err(|source| NoteError::Key { name: name.clone(), source })
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl FromStr for Note {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        Self::parse(text.as_bytes())
    }
}

impl NoteSignature {
    pub(crate) fn new(name: &KeyName, kind: SignatureKind, key: &PublicKey, bytes: &[u8]) -> Self {
        Self { name: name.clone(), key_hash: key_hash(name, kind, key), bytes: bytes.to_vec() }
    }

    /// Who is said to have signed.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The first bytes of a hash over name, kind and key; tells keys apart but proves nothing.
    pub fn key_hash(&self) -> [u8; 4] {
        self.key_hash
    }

    /// The signature after the key hash, of a form that depends on its kind.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blob = [&self.key_hash, self.bytes.as_slice()].concat();
        write!(f, "{SIGNATURE_PREFIX}{} {}", self.name, BASE64.encode(blob))
    }
}

impl FromStr for NoteSignature {
    type Err = NoteError;

    fn from_str(line: &str) -> Result<Self, NoteError> {
        let read = || {
            let (name, blob) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
            let blob = BASE64.decode(blob).ok()?;
            let (key_hash, bytes) = blob.split_first_chunk().filter(|(_, bytes)| !bytes.is_empty())?;
            Some(Self { name: name.parse().ok()?, key_hash: *key_hash, bytes: bytes.to_vec() })
        };
        read().ok_or_else(|| NoteError::BadSignatureLine { line: cut(line) })
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyName {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let refused = |c: char| c == '+' || c < ' ' || c.is_whitespace();
        if text.is_empty() || text.contains(refused) {
            return Err(NoteError::BadName { text: cut(text) });
        }
        Ok(Self(text.to_owned()))
    }
}

impl AsRef<str> for KeyName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl SignatureKind {
    fn type_byte(self) -> u8 {
        match self {
            Self::Note => 0x01,
            Self::Cosignature => 0x04,
        }
    }
}

/// The four bytes that point at a key in a signature line.
fn key_hash(name: &KeyName, kind: SignatureKind, key: &PublicKey) -> [u8; 4] {
    let named = [name.0.as_bytes(), b"\n", &[kind.type_byte()], key.as_bytes()].concat();
    let [a, b, c, d, ..] = Hash::of(&named).0;
    [a, b, c, d]
}

impl VerifierKey {
    /// The first four bytes of the hash that binds name, kind and key.
    pub fn key_hash(&self) -> [u8; 4] {
        key_hash(&self.name, self.kind, &self.key)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let typed = [&[self.kind.type_byte()], self.key.as_bytes().as_slice()].concat();
        write!(f, "{}+{}+{}", self.name, hex::encode(self.key_hash()), BASE64.encode(typed))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let read = || {
            let mut parts = text.splitn(3, '+');
            let (name, _hash, typed) = (parts.next()?, parts.next()?, parts.next()?);
            let typed = BASE64.decode(typed).ok()?;
            let kind = match typed.first()? {
                0x01 => SignatureKind::Note,
                0x04 => SignatureKind::Cosignature,
                _ => return None,
            };
            let key = PublicKey::from_bytes(typed.get(1..)?.try_into().ok()?).ok()?;
            Some(Self { name: name.parse().ok()?, kind, key })
        };
        // Printing computes the hash anew, so a hash that does not belong to the key is refused.
        read()
            .filter(|key| key.to_string() == text)
            .ok_or_else(|| NoteError::BadVerifierKey { text: cut(text) })
    }
}

#[cfg(test)]
mod tests;
