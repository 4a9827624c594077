//! TLS: the certificate that listeners show, and that it stays one that counts.
//!
//! - [`own`]: a certificate that the daemon makes itself. [`names`]: what this machine is called.
//! - Files of the user's are read again when they change, and the own certificate is made anew before it ends, so that a daemon
//!   that runs for years needs no restart for either.

pub mod names;
pub mod own;

use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use trunkline_core::time::Time;

use own::Own;

/// How often it is looked whether there is a newer certificate.
pub const LOOK: Duration = Duration::from_secs(60);
/// How large a file of certificates or a key may be.
const MAX_FILE: u64 = 1 << 20;

/// A certificate with its key.
#[derive(Clone)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    /// SHA-256 of the certificate, as browsers show it.
    pub fingerprint: String,
}

/// Where the certificate comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Files of the user's, PEM: the certificate with those that vouch for it, and its key.
    Files {
        /// The certificates.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// One that the daemon makes.
    Own(Own),
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path} cannot be used: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{path} holds no {what} in PEM form (`-----BEGIN …`)")]
    Nothing {
        /// The file.
        path: String,
        /// What was looked for.
        what: &'static str,
    },
    /// The certificate cannot be shown with this key.
    #[error("the certificate in {cert} and the key in {key} cannot be used together: {why}")]
    Mismatch {
        /// The file of certificates.
        cert: String,
        /// That of the key.
        key: String,
        /// In the words of the library.
        why: String,
    },
    /// The own certificate cannot be made.
    #[error("a certificate for {name} cannot be made: {why}")]
    Making {
        /// For whom.
        name: String,
        /// Why.
        why: String,
    },
    /// What was kept of the own certificate is not what was written.
    #[error(
        "{path} is damaged: {why}. Remove it, and a new certificate is made; devices that trust this one must be told anew"
    )]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
}

/// What listeners need for handshakes. The certificate in it can be replaced while they go on.
pub struct Tls {
    config: Arc<ServerConfig>,
    shown: Arc<Shown>,
    authority: Option<String>,
}

/// The certificate that is shown now.
struct Shown(RwLock<Identity>);

/// What tells that files have changed.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Tls {
    /// Shows this certificate, of the daemon's own authority if there is one (PEM). Only HTTP/1.1 is offered, which is what the
    /// listeners speak.
    #[must_use]
    pub fn new(identity: Identity, authority: Option<String>) -> Self {
        let shown = Arc::new(Shown(RwLock::new(identity)));
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider knows the versions that are built in")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { config: Arc::new(config), shown, authority }
    }

    /// What a handshake is made with.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Shows another certificate from the next handshake on.
    pub fn replace(&self, identity: Identity) {
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = identity;
    }

    /// SHA-256 of the certificate that is shown.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.shown.0.read().unwrap_or_else(PoisonError::into_inner).fingerprint.clone()
    }

    /// The certificate of the daemon's own authority, PEM.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// Whether the certificate is one for this name or address.
    #[must_use]
    pub fn is_for(&self, name: &str) -> bool {
        let shown = self.shown.0.read().unwrap_or_else(PoisonError::into_inner).key.clone();
        let Ok(name) = ServerName::try_from(name.trim_matches(['[', ']'])) else { return false };
        let parsed = shown.end_entity_cert().and_then(ParsedCertificate::try_from);
        parsed.is_ok_and(|parsed| rustls::client::verify_server_name(&parsed, &name).is_ok())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.fingerprint()).finish()
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).key))
    }
}

/// Looks at the source again and again.
#[derive(Debug)]
pub struct Watch {
    source: Source,
    seen: Stamp,
}

impl Watch {
    /// Reads the certificate for the first time. Blocks.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn start(source: Source, now: Time) -> Result<(Self, Identity), TlsError> {
        let seen = source.stamp();
        let identity = source.read(now)?;
        Ok((Self { source, seen }, identity))
    }

    /// The certificate anew if it has changed, or must. Blocks. What cannot be read is told once, and looked at again when it
    /// changes again: a renewal may be half done.
    ///
    /// # Errors
    /// [`TlsError`]; the certificate that is shown stays.
    pub fn look(&mut self, now: Time) -> Result<Option<Identity>, TlsError> {
        match &self.source {
            Source::Own(own) => own.renewed(now),
            Source::Files { .. } => {
                let stamp = self.source.stamp();
                if stamp == self.seen {
                    return Ok(None);
                }
                self.seen = stamp;
                self.source.read(now).map(Some)
            }
        }
    }
}

impl Source {
    /// The certificate of the daemon's own authority, PEM, once the certificate was read.
    #[must_use]
    pub fn authority(&self) -> Option<String> {
        match self {
            Self::Files { .. } => None,
            Self::Own(own) => std::fs::read_to_string(own.dir.join(own::AUTHORITY)).ok(),
        }
    }

    fn read(&self, now: Time) -> Result<Identity, TlsError> {
        match self {
            Self::Files { cert, key } => Identity::read(cert, key),
            Self::Own(own) => own.open(now),
        }
    }

    fn stamp(&self) -> Stamp {
        let of = |path: &Path| {
            let about = path.metadata().ok()?;
            Some((about.modified().ok()?, about.len()))
        };
        match self {
            Self::Files { cert, key } => [of(cert), of(key)],
            Self::Own(_) => [None, None],
        }
    }
}

impl Identity {
    /// Reads a certificate and its key.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn read(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let (cert_text, key_text) = (read(cert)?, read(key)?);
        let nothing = |path: &Path, what| TlsError::Nothing { path: path.display().to_string(), what };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&cert_text)
            .collect::<Result<_, _>>()
            .map_err(|_| nothing(cert, "certificate"))?;
        if chain.is_empty() {
            return Err(nothing(cert, "certificate"));
        }
        if key.metadata().is_ok_and(|about| about.permissions().mode() & 0o004 != 0) {
            tracing::warn!(
                "every user of this machine can read the key in {0}; `chmod o-r {0}`",
                key.display()
            );
        }
        let private = PrivateKeyDer::from_pem_slice(&key_text).map_err(|_| nothing(key, "private key"))?;
        Self::new(chain, private).map_err(|error| TlsError::Mismatch {
            cert: cert.display().to_string(),
            key: key.display().to_string(),
            why: match error {
                rustls::Error::InconsistentKeys(_) => "the key belongs to another certificate".to_owned(),
                error => error.to_string(),
            },
        })
    }

    /// Of the certificate and those that vouch for it, and the key.
    pub(crate) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, rustls::Error> {
        let fingerprint = chain.first().map_or_else(String::new, |first| fingerprint(first));
        let key = Arc::new(CertifiedKey::from_der(chain, key, &provider())?);
        // What is shown to clients must be a certificate, not only bytes in a wrapping.
        ParsedCertificate::try_from(key.end_entity_cert()?)?;
        Ok(Self { key, fingerprint })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.fingerprint).finish()
    }
}

/// SHA-256 in the form in which browsers and `openssl` show it.
fn fingerprint(certificate: &[u8]) -> String {
    let hash = Sha256::digest(certificate);
    hash.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Io { path: path.display().to_string(), source };
    let about = path.metadata().map_err(failed)?;
    if about.len() > MAX_FILE {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    std::fs::read(path).map_err(failed)
}

#[cfg(test)]
mod tests;
