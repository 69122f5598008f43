//! Who this installation is: one key pair for life, and a certificate to carry its public half.

use std::{fmt, path::PathBuf, sync::Arc};

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ED25519};
use rustls::{
    crypto::ring::sign::any_eddsa_type,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    server::ParsedCertificate,
    sign::CertifiedKey,
};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    fingerprint::Fingerprint,
    store::{Exposure, StateDir, StoreError},
};

/// The private key in the state folder: PKCS #8, DER.
const KEY_FILE: &str = "identity.key";

/// An Ed25519 key has 83 bytes in PKCS #8 version 2; nobody's key of ours is larger than this.
const KEY_BYTES_MAX: u64 = 1024;

/// An Ed25519 key pair and its self-signed certificate.
///
/// Ed25519, because its keys have one encoding and its signatures need no randomness at the
/// moment of signing. Only the key is stored; the certificate is made from it at each start.
/// It says nothing that anybody checks: the peer compares the fingerprint of its key.
///
/// The key is wiped from memory when dropped (the copy inside the TLS library excepted, which
/// lives as long as the process); `Debug` prints the fingerprint alone.
pub struct Identity {
    key_pkcs8: Zeroizing<Vec<u8>>,
    certified_key: Arc<CertifiedKey>,
    fingerprint: Fingerprint,
}

/// Why there is no identity to use.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The key file could not be read or made, or is not safe to use.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key file does not hold an Ed25519 key.
    #[error(
        "{path}: is empty or not a private key of this program; restore it from a backup, or move \
         it away and pair anew",
        path = .path.display()
    )]
    NotAKey {
        /// The key file.
        path: PathBuf,
    },
    /// The cryptographic library could not make a key or certificate.
    #[error("cannot make a key pair and certificate")]
    Generate(#[source] rcgen::Error),
}

impl Identity {
    /// Loads the identity in `dir`, or makes it on first use.
    ///
    /// Any number of processes may do this at once; they all get the same one.
    ///
    /// # Errors
    ///
    /// The key file can be read by others, belongs to another user, is a symbolic link, or does
    /// not hold a key (the error says what to run); or the disk or the cryptographic library
    /// fails.
    pub fn load_or_create(dir: &StateDir) -> Result<Self, IdentityError> {
        if let Some(identity) = Self::load(dir)? {
            return Ok(identity);
        }
        let locked = dir.lock()?;
        // Somebody else may have made it while we waited for the lock.
        if let Some(identity) = Self::load(dir)? {
            return Ok(identity);
        }
        let identity = Self::generate()?;
        locked.replace(KEY_FILE, &identity.key_pkcs8)?;
        Ok(identity)
    }

    /// Loads the identity in `dir`; `None` if it was never made.
    ///
    /// # Errors
    ///
    /// As [`load_or_create`](Self::load_or_create).
    pub fn load(dir: &StateDir) -> Result<Option<Self>, IdentityError> {
        let Some(key_pkcs8) = dir.read(KEY_FILE, Exposure::Secret, KEY_BYTES_MAX)? else {
            return Ok(None);
        };
        let pkcs8 = PrivatePkcs8KeyDer::from(key_pkcs8.as_slice());
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, &PKCS_ED25519)
            .map_err(|_| IdentityError::NotAKey { path: dir.path().join(KEY_FILE) })?;
        Self::around(key).map(Some)
    }

    /// Makes an identity that exists in memory only.
    ///
    /// # Errors
    ///
    /// The operating system gives no randomness.
    pub fn generate() -> Result<Self, IdentityError> {
        Self::around(KeyPair::generate_for(&PKCS_ED25519).map_err(IdentityError::Generate)?)
    }

    fn around(mut key: KeyPair) -> Result<Self, IdentityError> {
        let key_pkcs8 = Zeroizing::new(key.serialized_der().to_vec());
        let certificate = self_signed(&key);
        key.zeroize();
        let certificate = certificate.map_err(IdentityError::Generate)?;
        let fingerprint = fingerprint_of(&certificate)
            .expect("a certificate that was just made has a public key in it");
        let signing_key = any_eddsa_type(&PrivatePkcs8KeyDer::from(key_pkcs8.as_slice()))
            .expect("the library that made or read the key reads it again");
        let certified_key = Arc::new(CertifiedKey::new(vec![certificate], signing_key));
        Ok(Self { key_pkcs8, certified_key, fingerprint })
    }

    /// The name under which peers know this installation.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The certificate that goes over the wire.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certified_key.cert[0]
    }

    /// Derives a key for another purpose, such as the one behind QUIC's stateless resets: always
    /// the same for one identity and `context`, and saying nothing about the private key.
    ///
    /// `context` is a constant that names the program and the purpose.
    pub fn derive_key(&self, context: &'static str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(context, &self.key_pkcs8))
    }

    /// The key pair and certificate for the TLS library.
    pub(crate) fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified_key)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

/// The certificate of a key: a function of the key alone, dates included.
fn self_signed(key: &KeyPair) -> Result<CertificateDer<'static>, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "quicopy");
    Ok(params.self_signed(key)?.into())
}

/// The fingerprint of a certificate's public key.
pub(crate) fn fingerprint_of(
    certificate: &CertificateDer<'_>,
) -> Result<Fingerprint, rustls::Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    Ok(Fingerprint::of_spki(&parsed.subject_public_key_info()))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, thread};

    use rcgen::PublicKeyData;

    use super::*;

    fn state() -> (tempfile::TempDir, StateDir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::open_or_create(temp.path().join("state")).unwrap();
        (temp, dir)
    }

    #[test]
    fn an_identity_is_made_once_and_then_stays() {
        let (_temp, dir) = state();
        assert!(Identity::load(&dir).unwrap().is_none());
        let made = Identity::load_or_create(&dir).unwrap();
        let loaded = Identity::load_or_create(&dir).unwrap();
        assert_eq!(loaded.fingerprint(), made.fingerprint());
        assert_eq!(loaded.certificate(), made.certificate());
        let mode = fs::metadata(dir.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
    }

    #[test]
    fn those_who_start_at_once_agree_on_one_identity() {
        let (temp, _) = state();
        let path = temp.path().join("fresh");
        let prints = thread::scope(|scope| {
            let start = || {
                let dir = StateDir::open_or_create(&path).unwrap();
                Identity::load_or_create(&dir).unwrap().fingerprint()
            };
            let threads = (0..8).map(|_| scope.spawn(start)).collect::<Vec<_>>();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(prints.iter().all(|print| *print == prints[0]));
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_command_that_helps() {
        let (_temp, dir) = state();
        Identity::load_or_create(&dir).unwrap();
        let path = dir.path().join(KEY_FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = Identity::load_or_create(&dir).unwrap_err().to_string();
        assert!(error.contains(&format!("chmod 600 {}", path.display())), "{error}");
    }

    #[test]
    fn a_key_behind_a_symbolic_link_is_refused() {
        let (_temp, dir) = state();
        Identity::load_or_create(&dir).unwrap();
        let path = dir.path().join(KEY_FILE);
        fs::rename(&path, dir.path().join("real.key")).unwrap();
        std::os::unix::fs::symlink("real.key", &path).unwrap();
        let error = Identity::load_or_create(&dir).unwrap_err();
        assert!(matches!(error, IdentityError::Store(StoreError::Symlink { .. })), "{error}");
    }

    #[test]
    fn what_is_not_a_key_is_refused_and_left_alone() {
        let (_temp, dir) = state();
        for contents in [&b""[..], b"-----BEGIN PRIVATE KEY-----", &[0x30; 83]] {
            dir.lock().unwrap().replace(KEY_FILE, contents).unwrap();
            let error = Identity::load_or_create(&dir).unwrap_err();
            assert!(matches!(error, IdentityError::NotAKey { .. }), "{error}");
            assert_eq!(fs::read(dir.path().join(KEY_FILE)).unwrap(), contents);
        }
    }

    #[test]
    fn the_fingerprint_is_the_digest_of_the_public_key() {
        let identity = Identity::generate().unwrap();
        let pkcs8 = PrivatePkcs8KeyDer::from(identity.key_pkcs8.as_slice());
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, &PKCS_ED25519).unwrap();
        assert_eq!(Fingerprint::of_spki(&key.subject_public_key_info()), identity.fingerprint());
    }

    #[test]
    fn debug_shows_the_fingerprint_and_no_secret() {
        let identity = Identity::generate().unwrap();
        let shown = format!("{identity:?}");
        assert_eq!(
            shown,
            format!("Identity {{ fingerprint: Fingerprint({}), .. }}", identity.fingerprint())
        );
    }

    #[test]
    fn derived_keys_differ_by_purpose_and_identity() {
        let (one, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        assert_eq!(one.derive_key("a"), one.derive_key("a"));
        assert_ne!(one.derive_key("a"), one.derive_key("b"));
        assert_ne!(one.derive_key("a"), other.derive_key("a"));
    }
}
