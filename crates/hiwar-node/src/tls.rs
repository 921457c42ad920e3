//! TLS between nodes: a certificate made here whose public key peers pin through the card, or one
//! from an authority.

use std::sync::{Arc, PoisonError, RwLock};

use hiwar_trust::hash::Hash;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up: {0}")]
pub struct TlsError(pub String);

fn tls(error: impl ToString) -> TlsError {
    TlsError(error.to_string())
}

/// A new self-signed certificate and its private key, as PEM.
///
/// # Errors
/// When the key cannot be made.
pub fn new_certificate(host: &str) -> Result<(String, String), TlsError> {
    let made = rcgen::generate_simple_self_signed(vec![host.to_owned()]).map_err(tls)?;
    Ok((made.cert.pem(), made.signing_key.serialize_pem()))
}

/// Makes `ring` the process's TLS provider. Calling it again does no harm.
pub fn install_provider() {
    // An error only says that a provider is installed already.
    drop(rustls::crypto::ring::default_provider().install_default());
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(tls)?;
    if chain.is_empty() { Err(tls("the certificate file holds no certificate")) } else { Ok(chain) }
}

/// SHA-256 of the public key (SubjectPublicKeyInfo) of the first certificate in `pem`.
///
/// # Errors
/// When there is no certificate.
pub fn public_key_hash(pem: &str) -> Result<Hash, TlsError> {
    let chain = certificates(pem)?;
    let first = chain.first().ok_or_else(|| tls("the certificate file holds no certificate"))?;
    spki_hash(first)
}

fn spki_hash(certificate: &CertificateDer<'_>) -> Result<Hash, TlsError> {
    let parsed = ParsedCertificate::try_from(certificate).map_err(tls)?;
    Ok(Hash::of(parsed.subject_public_key_info().as_ref()))
}

/// The certificates that the server's side may show, the one in force first. After a rotation there
/// are several: a client says which key it expects, and is shown that one's certificate, so that a
/// peer connects whether or not it has learned the newest card. Whoever says nothing is shown the
/// one in force.
#[derive(Debug, Default)]
pub struct Certificates {
    held: RwLock<Vec<(Hash, Arc<CertifiedKey>)>>,
}

impl Certificates {
    /// Adds a certificate behind those that are held; returns its public key's digest.
    ///
    /// # Errors
    /// When certificate and key do not fit.
    pub fn add(&self, certificate_pem: &str, key_pem: &str) -> Result<Hash, TlsError> {
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(tls)?;
        let certified =
            CertifiedKey::from_der(certificates(certificate_pem)?, key, &provider()).map_err(tls)?;
        let hash = public_key_hash(certificate_pem)?;
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if held.iter().all(|(h, _)| *h != hash) {
            held.push((hash, Arc::new(certified)));
        }
        Ok(hash)
    }

    /// Puts a certificate in force.
    pub fn prefer(&self, hash: Hash) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.sort_by_key(|(h, _)| *h != hash);
    }

    /// Shows a certificate no more.
    pub fn withdraw(&self, hash: Hash) {
        self.held.write().unwrap_or_else(PoisonError::into_inner).retain(|(h, _)| *h != hash);
    }

    fn choose<'a>(&self, offered: impl Iterator<Item = &'a [u8]>) -> Option<Arc<CertifiedKey>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let expected = offered.filter_map(expected_key);
        let found = expected.into_iter().find_map(|key| held.iter().find(|(h, _)| *h == key));
        found.or_else(|| held.first()).map(|(_, certified)| certified.clone())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.alpn().into_iter().flatten())
    }
}

/// The one protocol spoken, by its name in ALPN (RFC 7301).
const HTTP_1_1: &[u8] = b"http/1.1";
/// A name that a client offers beside it says which TLS key it expects: this and the digest, in
/// hexadecimal. It is never chosen, and means nothing to servers that do not know it.
const EXPECTED_KEY: &str = "hiwar-tls-key/";

fn expected_key(offered: &[u8]) -> Option<Hash> {
    std::str::from_utf8(offered).ok()?.strip_prefix(EXPECTED_KEY)?.parse().ok()
}

/// The server's side.
///
/// # Errors
/// When the protocol versions cannot be set.
pub fn server(certificates: Arc<Certificates>) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(tls)?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Ok(Arc::new(config))
}

/// The client's side towards a peer whose card pins its TLS key.
///
/// # Errors
/// When the protocol versions cannot be set.
pub fn pinned_client(pin: Hash) -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let verifier = Arc::new(PinnedKey { pin, provider: provider.clone() });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![HTTP_1_1.to_vec(), format!("{EXPECTED_KEY}{pin}").into_bytes()];
    Ok(config)
}

/// Somebody answers with another certificate.
#[derive(Debug, thiserror::Error)]
#[error(
    "its TLS key is not the one that its card names; nothing was sent: somebody may sit in between, or its certificate was replaced without a new card; ask its operator by another way"
)]
pub(crate) struct OtherKey;

/// Whether a connection failed because the peer's TLS key is not the pinned one.
pub(crate) fn is_other_key(error: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other))) =
        error.downcast_ref()
    {
        return other.0.is::<OtherKey>();
    }
    // The error of the handshake travels inside of one of input and output, which hides it from `source`.
    let inside = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    inside.is_some_and(|e| is_other_key(e)) || error.source().is_some_and(is_other_key)
}

/// Accepts exactly the certificates with the pinned public key, whatever else they say. The pin
/// comes from the peer's signed card, which a person confirmed by its fingerprint.
#[derive(Debug)]
struct PinnedKey {
    pin: Hash,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match spki_hash(end_entity) {
            Ok(found) if found == self.pin => Ok(ServerCertVerified::assertion()),
            Ok(_) => Err(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(
                rustls::OtherError(Arc::new(OtherKey)),
            ))),
            Err(_) => Err(rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(certificates: &Certificates, offered: &[&str]) -> Option<Hash> {
        let chosen = certificates.choose(offered.iter().map(|name| name.as_bytes()))?;
        Some(spki_hash(chosen.end_entity_cert().unwrap()).unwrap())
    }

    #[test]
    fn a_client_is_shown_the_key_that_it_expects_and_otherwise_the_one_in_force() {
        let certificates = Certificates::default();
        assert_eq!(shown(&certificates, &["http/1.1"]), None);
        let [old, new] = [(), ()].map(|()| {
            let (certificate, key) = new_certificate("localhost").unwrap();
            certificates.add(&certificate, &key).unwrap()
        });
        let expecting = |hash: Hash| format!("{EXPECTED_KEY}{hash}");
        for (in_force, other) in [(old, new), (new, old)] {
            certificates.prefer(in_force);
            for says_nothing in
                [&[][..], &["http/1.1"], &["h2", "http/1.1"], &["hiwar-tls-key/"], &["hiwar-tls-key/00"]]
            {
                assert_eq!(shown(&certificates, says_nothing), Some(in_force), "{says_nothing:?}");
            }
            assert_eq!(shown(&certificates, &["http/1.1", &expecting(Hash::of(b"x"))]), Some(in_force));
            assert_eq!(shown(&certificates, &["http/1.1", &expecting(in_force)]), Some(in_force));
            assert_eq!(shown(&certificates, &["http/1.1", &expecting(other)]), Some(other));
        }
        certificates.withdraw(new);
        assert_eq!(shown(&certificates, &[&expecting(new)]), Some(old));
    }

    #[test]
    fn a_certificate_and_the_key_of_another_do_not_go_together() {
        let (certificate, _) = new_certificate("localhost").unwrap();
        let (_, key) = new_certificate("localhost").unwrap();
        assert!(Certificates::default().add(&certificate, &key).is_err());
    }
}
