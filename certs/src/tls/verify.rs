//! The two verifiers: is this the key we mean, and has its owner signed this handshake?
//!
//! The second question is the one that counts. Certificates are public: a verifier that compares
//! fingerprints and does not check the signature lets in whoever has seen one.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, PeerMisbehaved,
    SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};

use super::Admission;
use crate::{fingerprint::Fingerprint, identity::fingerprint_of};

/// Longest certificate that is looked at, in bytes. Ours have some 300.
pub const CERTIFICATE_BYTES_MAX: usize = 2048;

/// The signatures that handshakes may carry: Ed25519, which all keys are today, and ECDSA on
/// P-256 for keys that are kept in hardware. No RSA: large, slow, and its parsers old.
const SCHEMES: [SignatureScheme; 2] =
    [SignatureScheme::ED25519, SignatureScheme::ECDSA_NISTP256_SHA256];

/// Why certificates do not yield a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PeerKeyError {
    /// The peer has shown none.
    #[error("the peer has shown no certificate")]
    NoCertificate,
    /// The peer has shown a chain; ours are self-signed.
    #[error("the peer has shown {count} certificates instead of one")]
    Chain {
        /// How many.
        count: usize,
    },
    /// The certificate is larger than [`CERTIFICATE_BYTES_MAX`].
    #[error("the peer's certificate has {bytes} bytes, over {CERTIFICATE_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The certificate is not X.509.
    #[error("the peer's certificate cannot be parsed")]
    Malformed,
}

/// Returns the fingerprint of the key in a certificate that must stand alone.
pub(super) fn key_of(
    certificate: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
) -> Result<Fingerprint, PeerKeyError> {
    if !others.is_empty() {
        return Err(PeerKeyError::Chain { count: 1 + others.len() });
    }
    if certificate.len() > CERTIFICATE_BYTES_MAX {
        return Err(PeerKeyError::TooLarge { bytes: certificate.len() });
    }
    fingerprint_of(certificate).map_err(|_| PeerKeyError::Malformed)
}

impl From<PeerKeyError> for Error {
    fn from(error: PeerKeyError) -> Self {
        match error {
            PeerKeyError::Malformed => CertificateError::BadEncoding.into(),
            PeerKeyError::NoCertificate
            | PeerKeyError::Chain { .. }
            | PeerKeyError::TooLarge { .. } => {
                CertificateError::Other(OtherError(Arc::new(error))).into()
            }
        }
    }
}

/// Another than the pinned key was shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the agent's key is not the pinned one: pinned {pinned}, presented {presented}")]
struct AnotherKey {
    pinned: Fingerprint,
    presented: Fingerprint,
}

/// Accepts the one agent.
pub(super) struct PinnedServer {
    pinned: Fingerprint,
    stranger: Arc<Mutex<Option<Fingerprint>>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PinnedServer {
    /// Where another key is shown, it is left in `stranger`.
    pub(super) fn new(
        pinned: Fingerprint,
        stranger: Arc<Mutex<Option<Fingerprint>>>,
        provider: &CryptoProvider,
    ) -> Self {
        Self { pinned, stranger, algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for PinnedServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let presented = key_of(end_entity, intermediates)?;
        if presented == self.pinned {
            return Ok(ServerCertVerified::assertion());
        }
        *self.stranger.lock().unwrap_or_else(PoisonError::into_inner) = Some(presented);
        let error = AnotherKey { pinned: self.pinned, presented };
        Err(CertificateError::Other(OtherError(Arc::new(error))).into())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(tls12_is_off())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }
}

/// Accepts the senders that may finish a handshake now.
pub(super) struct SelectedClients {
    admission: Admission,
    algorithms: WebPkiSupportedAlgorithms,
}

impl SelectedClients {
    pub(super) fn new(admission: Admission, provider: &CryptoProvider) -> Self {
        Self { admission, algorithms: provider.signature_verification_algorithms }
    }
}

impl ClientCertVerifier for SelectedClients {
    fn client_auth_mandatory(&self) -> bool {
        true
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.admission.may_finish_handshake(&key_of(end_entity, intermediates)?) {
            return Ok(ClientCertVerified::assertion());
        }
        // Goes out as the alert NOT_KNOWN_ALERT and says nothing more.
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(tls12_is_off())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }
}

fn verify_signature(
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    if !SCHEMES.contains(&dss.scheme) {
        return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
    }
    verify_tls13_signature(message, cert, dss, algorithms)
}

fn tls12_is_off() -> Error {
    Error::General("a TLS 1.2 signature in a TLS 1.3 handshake".into())
}

impl fmt::Debug for PinnedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinnedServer").field("pinned", &self.pinned).finish_non_exhaustive()
    }
}

impl fmt::Debug for SelectedClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelectedClients").finish_non_exhaustive()
    }
}
