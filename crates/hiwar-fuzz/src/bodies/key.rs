//! Key files.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hiwar_trust::hash::Hash;
use hiwar_trust::key::KeyHolder as _;
use hiwar_trust::keyfile::{self, KeyFileError};

use super::{answered, text};
use crate::sample;

const PASSPHRASE: &[u8] = b"correct horse";

/// Input that is no PEM counts as what PEM would hold, so that mutations reach the structure inside
/// of the base64.
fn as_pem<'a>(data: &'a [u8], label: &str) -> Option<Cow<'a, str>> {
    if data.starts_with(b"-") || data.is_empty() {
        return text(data).map(Cow::Borrowed);
    }
    let encoded = BASE64.encode(data);
    let lines = encoded.as_bytes().chunks(64).filter_map(text).collect::<Vec<_>>().join("\n");
    Some(format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n").into())
}

/// What a PEM text holds.
fn der_of(pem: &[u8]) -> Option<Vec<u8>> {
    let lines: Vec<&str> = text(pem)?.lines().filter(|line| !line.starts_with('-')).collect();
    BASE64.decode(lines.concat()).ok()
}

/// The texts, and what each holds.
fn with_der(pems: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let ders: Vec<Vec<u8>> = pems.iter().filter_map(|pem| der_of(pem)).collect();
    [pems, ders].concat()
}

/// A key file that is not encrypted, or whose passphrase is not known.
pub fn keyfile(data: &[u8]) {
    let Some(pem) = as_pem(data, "PRIVATE KEY") else { return };
    let read = keyfile::decode(&pem, None);
    answered(&read);
    let Ok(key) = read else { return };
    let written = keyfile::encode(&key, None, &[0; 32]);
    let again = written.and_then(|pem| keyfile::decode(&pem, None));
    let public = |key: &hiwar_trust::key::SoftwareKey| key.public_key().clone();
    assert_eq!(again.as_ref().map(public), Ok(public(&key)), "written and read differently");
}

/// Valid files, with and without encryption.
pub fn keyfile_seeds() -> Vec<Vec<u8>> {
    let plain = keyfile::encode(&sample::software_key(1), None, &[0; 32]);
    let mut seeds: Vec<Vec<u8>> = plain.map(|pem| pem.as_bytes().to_vec()).into_iter().collect();
    seeds.push(ENCRYPTED.into());
    with_der(seeds)
}

/// An encrypted key file, opened with a passphrase. One file may cost much by design, so most of
/// those that differ only in what is encrypted are left out.
pub fn keyfile_encrypted(data: &[u8]) {
    let Some(pem) = as_pem(data, "ENCRYPTED PRIVATE KEY") else { return };
    let without = keyfile::decode(&pem, None);
    answered(&without);
    let [first, ..] = Hash::of(data).0;
    let kept = data == ENCRYPTED.as_bytes() || first < 4;
    if matches!(without, Err(KeyFileError::PassphraseNeeded)) && kept {
        let read = keyfile::decode(&pem, Some(PASSPHRASE));
        answered(&read);
    }
}

/// Source: `openssl pkcs8 -topk8` (PBKDF2, 2048 rounds), passphrase `correct horse`; the key was
/// made for tests only.
const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n\
    MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjb4X7gd2hiVAICCAAw\n\
    DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEKinMygzg4X1sebO7LJlk88EQL1+\n\
    TLhTzbjbFahJva0PZFWxPC4FnLDACZtjgxVde8R2JuNa1d1kvsNQgFOzxYrKEIuq\n\
    2fVr6daaAMbPTJ5XM8I=\n\
    -----END ENCRYPTED PRIVATE KEY-----\n";

/// Valid encrypted files.
pub fn keyfile_encrypted_seeds() -> Vec<Vec<u8>> {
    let scrypt = keyfile::encode(&sample::software_key(1), Some(PASSPHRASE), &[7; 32]);
    let mut seeds: Vec<Vec<u8>> = scrypt.map(|pem| pem.as_bytes().to_vec()).into_iter().collect();
    seeds.push(ENCRYPTED.into());
    with_der(seeds)
}
