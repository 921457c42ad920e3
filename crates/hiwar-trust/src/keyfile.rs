//! Private keys as text in the standard form that other tools read: PKCS#8 in PEM, optionally
//! encrypted under a passphrase.
//!
//! Sources: RFC 5958 and RFC 8410 (the key), RFC 7468 (the text), RFC 8018 PBES2 with RFC 7914
//! scrypt and AES-256-CBC (the encryption). The text is returned and taken as a value; reading and
//! writing files is not done here.

use std::fmt::Display;

use ed25519_dalek::pkcs8::KeypairBytes;
use pkcs8::der::{self, pem::PemLabel as _};
use pkcs8::pkcs5::pbes2::{Kdf, Parameters};
use pkcs8::pkcs5::{self, EncryptionScheme, scrypt};
use pkcs8::{EncodePrivateKey, EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef};
use zeroize::Zeroizing;

use crate::key::{KeyHolder, SoftwareKey};

/// The longest key file accepted, in bytes; an encrypted key takes about 400.
pub const KEY_FILE_BYTES_MAX: usize = 16 * 1024;

/// scrypt's cost N as a power of two. With r = 8 it takes 16 MiB; OpenSSL by itself refuses more
/// than 32 MiB, so a higher cost goes into p instead.
const SCRYPT_LOG_N: u8 = 14;
/// scrypt's block size r.
const SCRYPT_R: u32 = 8;
/// scrypt's p: how often the 16 MiB are worked through. With 2 an attempt takes 50 to 100 ms.
const SCRYPT_P: u32 = 2;

/// The most memory that a file may make us use, in bytes.
const SCRYPT_BYTES_MAX: u64 = 256 << 20;
/// The most work that a file may make us do, as N * r * p; ours is 2^14 * 8 * 2.
const SCRYPT_WORK_MAX: u64 = 1 << 24;
/// The most PBKDF2 rounds that a file may make us do.
const PBKDF2_ROUNDS_MAX: u32 = 10_000_000;

/// Why a key file was not read or made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The text is not PEM.
    #[error(
        "the key file is not PEM text: {reason}; it should start with -----BEGIN PRIVATE KEY----- or \
         -----BEGIN ENCRYPTED PRIVATE KEY-----"
    )]
    NotPem {
        /// What the reader found wrong.
        reason: String,
    },
    /// The text is PEM of another kind, such as a public key, a certificate or an older key format.
    #[error(
        "the key file holds a {label:?}, not a PKCS#8 private key; convert it with: openssl pkcs8 -topk8 -in OLD -out NEW"
    )]
    OtherContent {
        /// The PEM label, cut to 80 characters.
        label: String,
    },
    /// The PEM label is right, but not what it holds.
    #[error("the key file is damaged: {reason}; restore it from a backup")]
    Damaged {
        /// What the reader found wrong.
        reason: String,
    },
    /// The key is encrypted and no passphrase was given.
    #[error("the key file is encrypted; give its passphrase")]
    PassphraseNeeded,
    /// The passphrase given for a new file is empty.
    #[error("the passphrase is empty; give one, or leave it out to write the key unencrypted")]
    PassphraseEmpty,
    /// The passphrase does not open the file.
    #[error(
        "the passphrase does not open the key file; check it and try again, or restore the file if it may be damaged"
    )]
    WrongPassphrase,
    /// The key is for another algorithm than Ed25519.
    #[error(
        "the key file holds a key for algorithm {oid}, not for Ed25519 (1.3.101.112); make one with: openssl genpkey \
         -algorithm ed25519"
    )]
    OtherAlgorithm {
        /// The algorithm's object identifier.
        oid: String,
    },
    /// The file is encrypted in a way that is not supported.
    #[error(
        "the key file is encrypted in a way that is not supported: {reason}; encrypt it anew with: openssl pkcs8 -topk8 \
         -scrypt -in OLD -out NEW"
    )]
    UnsupportedEncryption {
        /// What is not supported.
        reason: String,
    },
    /// Opening the file would take too much memory or time.
    #[error(
        "the key file asks for {asked}, which is more than is allowed; encrypt it anew with: openssl pkcs8 -topk8 \
         -scrypt -in OLD -out NEW"
    )]
    TooCostly {
        /// What the file asks for.
        asked: String,
    },
    /// The key could not be written.
    #[error("the key could not be written as PKCS#8: {reason}; this is a defect, please report it")]
    NotWritten {
        /// What went wrong.
        reason: String,
    },
}

/// Writes `key` as PEM text; under `passphrase` when one is given.
///
/// `entropy` must be fresh random bytes for every file: the first 16 become the salt and the last
/// 16 the initialisation vector. Without a passphrase they are not used.
///
/// # Errors
/// [`KeyFileError::PassphraseEmpty`].
pub fn encode(
    key: &SoftwareKey,
    passphrase: Option<&[u8]>,
    entropy: &[u8; 32],
) -> Result<Zeroizing<String>, KeyFileError> {
    // Without the public half the form is PKCS#8 version 1, the one that older readers know.
    let pair = KeypairBytes { secret_key: key.signing_key().to_bytes(), public_key: None };
    let plain = pair.to_pkcs8_der().map_err(not_written)?;
    let Some(passphrase) = passphrase else {
        return plain.to_pem(PrivateKeyInfoRef::PEM_LABEL, LineEnding::LF).map_err(not_written);
    };
    if passphrase.is_empty() {
        return Err(KeyFileError::PassphraseEmpty);
    }
    let (salt, iv) = entropy.split_at(16);
    let iv: [u8; 16] = iv.try_into().map_err(not_written)?;
    let cost = scrypt::Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P).map_err(not_written)?;
    let parameters = Parameters::generate_scrypt_aes256cbc(cost, salt, iv).map_err(not_written)?;
    plain
        .decode_msg::<PrivateKeyInfoRef<'_>>()
        .map_err(not_written)?
        .encrypt_with_params(parameters, passphrase)
        .map_err(not_written)?
        .to_pem(EncryptedPrivateKeyInfoRef::PEM_LABEL, LineEnding::LF)
        .map_err(not_written)
}

/// Reads a key from PEM text. `passphrase` is only used when the text is encrypted.
///
/// # Errors
/// Any [`KeyFileError`] but those of [`encode`].
pub fn decode(pem: &str, passphrase: Option<&[u8]>) -> Result<SoftwareKey, KeyFileError> {
    if pem.len() > KEY_FILE_BYTES_MAX {
        let reason = format!("it has {} bytes, and a key file has at most {KEY_FILE_BYTES_MAX}", pem.len());
        return Err(KeyFileError::NotPem { reason });
    }
    let (label, der) = der::pem::decode_vec(pem.as_bytes())
        .map_err(|error| KeyFileError::NotPem { reason: error.to_string() })?;
    let der = Zeroizing::new(der);
    if label == PrivateKeyInfoRef::PEM_LABEL {
        return read_plain(&der, damaged);
    }
    if label != EncryptedPrivateKeyInfoRef::PEM_LABEL {
        return Err(KeyFileError::OtherContent { label: label.chars().take(80).collect() });
    }
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(der.as_slice()).map_err(damaged)?;
    check_cost(&encrypted.encryption_algorithm)?;
    let passphrase = passphrase.ok_or(KeyFileError::PassphraseNeeded)?;
    let plain = encrypted.decrypt(passphrase).map_err(|error| match error {
        pkcs8::Error::EncryptedPrivateKey(pkcs5::Error::DecryptFailed) | pkcs8::Error::Asn1(_) => {
            KeyFileError::WrongPassphrase
        }
        other => KeyFileError::UnsupportedEncryption { reason: other.to_string() },
    })?;
    // One wrong passphrase in 256 leaves valid padding by chance, and noise behind it.
    read_plain(plain.as_bytes(), |_| KeyFileError::WrongPassphrase)
}

fn read_plain(
    der: &[u8],
    unreadable: impl Fn(pkcs8::Error) -> KeyFileError,
) -> Result<SoftwareKey, KeyFileError> {
    let info = PrivateKeyInfoRef::try_from(der).map_err(&unreadable)?;
    let oid = info.algorithm.oid;
    if oid != ed25519_dalek::pkcs8::ALGORITHM_OID {
        return Err(KeyFileError::OtherAlgorithm { oid: oid.to_string() });
    }
    let pair = KeypairBytes::try_from(info).map_err(unreadable)?;
    let key = SoftwareKey::from_seed(&pair.secret_key);
    match &pair.public_key {
        Some(public) if public.0 != *key.public_key().as_bytes() => {
            Err(damaged("its public half belongs to another key"))
        }
        _ => Ok(key),
    }
}

/// Bounds what a file can make us spend before its passphrase is even tried.
fn check_cost(scheme: &EncryptionScheme) -> Result<(), KeyFileError> {
    let Some(parameters) = scheme.pbes2() else {
        return Err(KeyFileError::UnsupportedEncryption { reason: "it uses the outdated PBES1".to_owned() });
    };
    match &parameters.kdf {
        Kdf::Scrypt(cost) => {
            let (n, r, p) =
                (cost.cost_parameter, u64::from(cost.block_size), u64::from(cost.parallelization));
            let memory = n.saturating_mul(r).saturating_mul(128);
            let work = n.saturating_mul(r).saturating_mul(p);
            if memory > SCRYPT_BYTES_MAX || work > SCRYPT_WORK_MAX {
                return Err(KeyFileError::TooCostly { asked: format!("scrypt with N={n} r={r} p={p}") });
            }
        }
        Kdf::Pbkdf2(cost) if cost.iteration_count > PBKDF2_ROUNDS_MAX => {
            return Err(KeyFileError::TooCostly { asked: format!("{} PBKDF2 rounds", cost.iteration_count) });
        }
        _ => {}
    }
    Ok(())
}

fn not_written(reason: impl Display) -> KeyFileError {
    KeyFileError::NotWritten { reason: reason.to_string() }
}

fn damaged(reason: impl Display) -> KeyFileError {
    KeyFileError::Damaged { reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use pkcs8::der::SecretDocument;

    use super::*;

    /// Source: `openssl genpkey -algorithm ed25519` (OpenSSL 3.0.19), made for this test only.
    const PLAIN: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIOyBrb0r0gEkFf5ZVxAtzl57u3mRY4Xwgddt6UnGhC20\n\
        -----END PRIVATE KEY-----\n";
    /// Source: `openssl pkey -pubout` of the key above, its last 32 bytes.
    const PUBLIC: &str = "f29356fe106cb5976cd48521445346549192c55dc9922eafc94dc9ab2464c1d0";
    /// Source: `openssl pkcs8 -topk8` of the key above (PBKDF2), passphrase `correct horse`.
    const PBKDF2: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n\
        MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjb4X7gd2hiVAICCAAw\n\
        DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEKinMygzg4X1sebO7LJlk88EQL1+\n\
        TLhTzbjbFahJva0PZFWxPC4FnLDACZtjgxVde8R2JuNa1d1kvsNQgFOzxYrKEIuq\n\
        2fVr6daaAMbPTJ5XM8I=\n\
        -----END ENCRYPTED PRIVATE KEY-----\n";
    /// Source: `openssl pkcs8 -topk8 -scrypt` of the key above, passphrase `correct horse`.
    const SCRYPT: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n\
        MIGTME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAjJRJ6NIttQYwICQAAC\n\
        AQgCAQEwHQYJYIZIAWUDBAEqBBDW0yYXpFZCWguklLjyZcXXBEBUwoc6bneWt33x\n\
        VG5PQphgVwm2UHAiNG97fVEPjEcmeuz7lu7b+Y/rfl8Q2itfqz51zcz1zFLF4ISM\n\
        4f+Xt0BH\n\
        -----END ENCRYPTED PRIVATE KEY-----\n";
    /// Source: `openssl genpkey -algorithm x25519`, made for this test only.
    const X25519: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VuBCIEIGhfZWTTM5/R96BDuClUBXN8t4LKbNnh0uIcjO7PSdd7\n\
        -----END PRIVATE KEY-----\n";
    const PASSPHRASE: Option<&[u8]> = Some(b"correct horse");

    fn public(pem: &str, passphrase: Option<&[u8]>) -> Result<String, KeyFileError> {
        decode(pem, passphrase).map(|key| hex::encode(key.public_key().as_bytes()))
    }

    #[test]
    fn keys_made_by_openssl_are_read() {
        assert_eq!(public(PLAIN, None), Ok(PUBLIC.to_owned()));
        assert_eq!(public(PBKDF2, PASSPHRASE), Ok(PUBLIC.to_owned()));
        assert_eq!(public(SCRYPT, PASSPHRASE), Ok(PUBLIC.to_owned()));
        assert_eq!(public(&PLAIN.replace('\n', "\r\n"), PASSPHRASE), Ok(PUBLIC.to_owned()));
    }

    #[test]
    fn an_unencrypted_key_is_written_byte_for_byte_as_openssl_does() {
        let key = decode(PLAIN, None).expect("the key is read");
        assert_eq!(encode(&key, None, &[0; 32]).as_deref().map(String::as_str), Ok(PLAIN));
    }

    #[test]
    fn an_encrypted_key_opens_with_its_passphrase_and_no_other() {
        let key = decode(PLAIN, None).expect("the key is read");
        let pem = encode(&key, PASSPHRASE, &[7; 32]).expect("the key is written");
        assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
        assert_eq!(public(&pem, PASSPHRASE), Ok(PUBLIC.to_owned()));
        assert_eq!(public(&pem, Some(b"Correct horse")), Err(KeyFileError::WrongPassphrase));
        assert_eq!(public(&pem, Some(b"")), Err(KeyFileError::WrongPassphrase));
        assert_eq!(public(&pem, None), Err(KeyFileError::PassphraseNeeded));
        assert_eq!(encode(&key, Some(b""), &[7; 32]), Err(KeyFileError::PassphraseEmpty));
    }

    /// About one wrong passphrase in 256 leaves valid padding; the answer must not depend on it.
    #[test]
    fn a_wrong_passphrase_is_told_apart_from_a_damaged_file_every_time() {
        for attempt in 0..1500_u32 {
            let wrong = public(PBKDF2, Some(&attempt.to_be_bytes()));
            assert_eq!(wrong, Err(KeyFileError::WrongPassphrase), "{attempt}");
        }
    }

    #[test]
    fn other_files_are_refused_with_the_reason() {
        for text in ["", "ed25519:AAAA", "-----BEGIN PRIVATE KEY-----\n", &PLAIN.repeat(200)] {
            assert!(matches!(public(text, None), Err(KeyFileError::NotPem { .. })), "{text}");
        }
        for label in ["PUBLIC KEY", "CERTIFICATE", "RSA PRIVATE KEY"] {
            let text = PLAIN.replace("PRIVATE KEY", label);
            assert_eq!(public(&text, None), Err(KeyFileError::OtherContent { label: label.to_owned() }));
        }
        assert_eq!(public(X25519, None), Err(KeyFileError::OtherAlgorithm { oid: "1.3.101.110".to_owned() }));
        let shortened = "-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY-----\n";
        assert!(matches!(public(shortened, None), Err(KeyFileError::Damaged { .. })));
    }

    /// N is raised in the file from 2^14 to 2^30, which would take 1 TiB.
    #[test]
    fn a_file_that_asks_for_absurd_work_is_refused_before_the_work() {
        let (_, document) = SecretDocument::from_pem(SCRYPT).expect("it is PEM");
        let mut encrypted: EncryptedPrivateKeyInfoRef<'_> = document.decode_msg().expect("it is PKCS#8");
        if let EncryptionScheme::Pbes2(parameters) = &mut encrypted.encryption_algorithm
            && let Kdf::Scrypt(cost) = &mut parameters.kdf
        {
            cost.cost_parameter = 1 << 30;
        }
        let costly = SecretDocument::encode_msg(&encrypted).expect("it is written");
        let pem =
            costly.to_pem(EncryptedPrivateKeyInfoRef::PEM_LABEL, LineEnding::LF).expect("it is written");
        assert!(matches!(public(&pem, PASSPHRASE), Err(KeyFileError::TooCostly { .. })));
    }
}
