//! TLS between nodes: a certificate made here whose public key peers pin through the card, or one
//! from an authority.

use std::sync::Arc;

use hiwar_trust::hash::Hash;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
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

/// The server's side.
///
/// # Errors
/// When certificate and key do not fit.
pub fn server(certificate_pem: &str, key_pem: &str) -> Result<Arc<ServerConfig>, TlsError> {
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(tls)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(tls)?
        .with_no_client_auth()
        .with_single_cert(certificates(certificate_pem)?, key)
        .map_err(tls)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The client's side towards a peer whose card pins its TLS key.
///
/// # Errors
/// When the protocol versions cannot be set.
pub fn pinned_client(pin: Hash) -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let verifier = Arc::new(PinnedKey { pin, provider: provider.clone() });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
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
