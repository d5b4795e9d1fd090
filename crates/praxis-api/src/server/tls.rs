//! TLS: the certificate and the key of the server, read from PEM files and again when these change.
//!
//! A renewed certificate is taken up at the next handshake; one that cannot be used is reported and the old one stays.
//! Left out: getting certificates, and those of clients.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, InconsistentKeys, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long the files are believed to be unchanged.
const BELIEVED: Duration = Duration::from_secs(1);

/// The most bytes of a PEM file.
const MAX_PEM: u64 = 1 << 20;

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Correct the path, or who may read the file.
    #[error("cannot read `{}`: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Write the file in PEM.
    #[error("`{}` has no {what} in PEM", path.display())]
    NoPem {
        /// The file.
        path: PathBuf,
        /// What it should have.
        what: &'static str,
    },
    /// Take the passphrase off.
    #[error("the key in `{}` is locked by a passphrase", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// Have it made anew, of a usual kind.
    #[error("the {what} in `{}` cannot be used: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What it holds.
        what: &'static str,
        /// What is wrong with it.
        reason: rustls::Error,
    },
    /// Name the key that the certificate was made for.
    #[error("the key in `{}` is not that of the certificate in `{}`", key.display(), certificate.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// Report it.
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

impl TlsError {
    /// What to do about it.
    pub fn help(&self) -> String {
        let text = match self {
            Self::Unreadable { .. } => "check the path, and that this user may read the file",
            Self::NoPem { path, what } => {
                let command = if *what == "certificate" {
                    "x509"
                } else {
                    "pkey"
                };
                return format!(
                    "PEM begins with `-----BEGIN`; from DER: openssl {command} -inform der -in {0} -out {0}.pem",
                    path.display()
                );
            }
            Self::Locked { path } => {
                return format!(
                    "unlock it: openssl pkey -in {0} -out {0}.open",
                    path.display()
                );
            }
            Self::Unusable { .. } => {
                "use a certificate of version 3 with a key of ECDSA, Ed25519 or RSA"
            }
            Self::Mismatch { .. } => {
                "name the key that was made for the certificate; the server's own certificate comes first in its file"
            }
            Self::Setup(_) => "this is a defect of Praxis: report it",
        };
        text.to_owned()
    }
}

/// TLS as the server speaks it. Cloning is cheap.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    certificates: Arc<Certificates>,
}

impl Tls {
    /// TLS 1.2 and 1.3 with the certificate, and those that lead from it to a known authority, and the key of these
    /// PEM files.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub fn open(certificate: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        Self::believing(certificate, key, BELIEVED)
    }

    /// The same, believing for so long that the files are unchanged.
    pub(super) fn believing(
        certificate: PathBuf,
        key: PathBuf,
        believed: Duration,
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let files = Files { certificate, key };
        let certificates = Arc::new(Certificates::open(files, Arc::clone(&provider), believed)?);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificates) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificates,
        })
    }

    /// Why clients will not trust the certificate now, if its time is over or has not come.
    pub fn doubt(&self) -> Option<String> {
        let provider = &self.certificates.provider;
        let now = UnixTime::now();
        doubt(
            &self.certificates.served(),
            &self.certificates.files,
            provider,
            now,
        )
    }

    /// A connection, after its handshake.
    ///
    /// # Errors
    /// Those of the handshake.
    pub(super) async fn accept<S>(&self, stream: S) -> std::io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if self.certificates.is_due() {
            let certificates = Arc::clone(&self.certificates);
            let _ = tokio::task::spawn_blocking(move || certificates.renew()).await;
        }
        self.acceptor.accept(stream).await
    }
}

/// Where certificate and key are.
#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn stamps(&self) -> [Option<Stamp>; 2] {
        [stamp(&self.certificate), stamp(&self.key)]
    }

    fn load(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let bytes = read(&self.certificate)?;
        let chain = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
        let chain = chain.unwrap_or_default();
        if chain.is_empty() {
            return Err(TlsError::NoPem {
                path: self.certificate.clone(),
                what: "certificate",
            });
        }
        let key = self.private_key(provider)?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
                Ok(certified)
            }
            Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::Mismatch {
                certificate: self.certificate.clone(),
                key: self.key.clone(),
            }),
            Err(reason) => Err(TlsError::Unusable {
                path: self.certificate.clone(),
                what: "certificate",
                reason,
            }),
        }
    }

    fn private_key(
        &self,
        provider: &CryptoProvider,
    ) -> Result<Arc<dyn rustls::sign::SigningKey>, TlsError> {
        let bytes = read(&self.key)?;
        // What is wrong with the text is not said in more words: they could quote the key.
        let Ok(key) = PrivateKeyDer::from_pem_slice(&bytes) else {
            let path = self.key.clone();
            let is_locked = bytes.windows(9).any(|text| text == b"ENCRYPTED");
            return Err(if is_locked {
                TlsError::Locked { path }
            } else {
                TlsError::NoPem {
                    path,
                    what: "private key",
                }
            });
        };
        let loaded = provider.key_provider.load_private_key(key);
        loaded.map_err(|reason| TlsError::Unusable {
            path: self.key.clone(),
            what: "key",
            reason,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > MAX_PEM {
        let source = std::io::Error::other("it is larger than any certificate or key");
        return Err(unreadable(source));
    }
    std::fs::read(path).map_err(unreadable)
}

/// What tells a file from the one that was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    /// A renewed file is often another one under the old name.
    #[cfg(unix)]
    inode: u64,
}

fn stamp(path: &Path) -> Option<Stamp> {
    let found = std::fs::metadata(path).ok()?;
    Some(Stamp {
        modified: found.modified().ok(),
        length: found.len(),
        #[cfg(unix)]
        inode: std::os::unix::fs::MetadataExt::ino(&found),
    })
}

/// The certificate that is served now, and when it was compared with the disk.
#[derive(Debug)]
struct Certificates {
    files: Files,
    provider: Arc<CryptoProvider>,
    served: RwLock<Arc<CertifiedKey>>,
    looked: Mutex<Looked>,
    believed: Duration,
}

#[derive(Debug)]
struct Looked {
    at: Instant,
    stamps: [Option<Stamp>; 2],
}

impl Certificates {
    fn open(
        files: Files,
        provider: Arc<CryptoProvider>,
        believed: Duration,
    ) -> Result<Self, TlsError> {
        // Before they are read: what changes meanwhile is seen the next time.
        let looked = Looked {
            at: Instant::now(),
            stamps: files.stamps(),
        };
        let served = files.load(&provider)?;
        Ok(Self {
            files,
            provider,
            served: RwLock::new(Arc::new(served)),
            looked: Mutex::new(looked),
            believed,
        })
    }

    fn served(&self) -> Arc<CertifiedKey> {
        let served = self.served.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&served)
    }

    /// Whether it is time to look at the files again.
    fn is_due(&self) -> bool {
        let looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.at.elapsed() >= self.believed
    }

    /// Takes up what is in the files now, if they changed and can be used.
    fn renew(&self) {
        let stamps = self.files.stamps();
        {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            looked.at = Instant::now();
            if looked.stamps == stamps {
                return;
            }
            looked.stamps = stamps;
        }
        match self.files.load(&self.provider) {
            Ok(renewed) => {
                tracing::info!("the certificate is served as it is now on the disk");
                let now = UnixTime::now();
                if let Some(doubt) = doubt(&renewed, &self.files, &self.provider, now) {
                    tracing::warn!("{doubt}");
                }
                let mut served = self.served.write().unwrap_or_else(PoisonError::into_inner);
                *served = Arc::new(renewed);
            }
            Err(error) => tracing::warn!(%error, "the old certificate is served on"),
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.served())
    }
}

/// Why clients will not trust a certificate at a time, as far as time is concerned.
fn doubt(
    certified: &CertifiedKey,
    files: &Files,
    provider: &CryptoProvider,
    now: UnixTime,
) -> Option<String> {
    let own = certified.cert.first()?;
    let parsed = ParsedCertificate::try_from(own).ok()?;
    let mut roots = RootCertStore::empty();
    roots.add(own.clone()).ok()?;
    // Only what it says about time is of interest: whom clients trust is theirs to know.
    let algorithms = provider.signature_verification_algorithms.all;
    let verified = verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], now, algorithms);
    let path = files.certificate.display();
    match verified {
        Err(rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => Some(format!(
            "the certificate in `{path}` has expired: clients will refuse it"
        )),
        Err(rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        )) => Some(format!(
            "the certificate in `{path}` is not valid yet: clients will refuse it"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = include_str!("../../tests/fixtures/tls/first.pem");
    const FIRST_KEY: &str = include_str!("../../tests/fixtures/tls/first.key");
    const SECOND_KEY: &str = include_str!("../../tests/fixtures/tls/second.key");
    const LOCKED: &str =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIHs\n-----END ENCRYPTED PRIVATE KEY-----\n";
    const NOT_DER: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const NOT_A_KEY: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";

    #[test]
    fn what_cannot_be_used_is_named_with_its_fix() {
        for (certificate, key, message, help) in [
            (None, Some(FIRST_KEY), "cannot read `", "check the path"),
            (Some(FIRST), None, "own.key", "check the path"),
            (
                Some("no certificate"),
                Some(FIRST_KEY),
                "own.pem` has no certificate in PEM",
                "openssl x509",
            ),
            (
                Some(FIRST_KEY),
                Some(FIRST_KEY),
                "own.pem` has no certificate in PEM",
                "-----BEGIN",
            ),
            (
                Some(FIRST),
                Some(FIRST),
                "own.key` has no private key in PEM",
                "openssl pkey",
            ),
            (Some(FIRST), Some(LOCKED), "own.key` is locked", "unlock it"),
            (
                Some(FIRST),
                Some(NOT_A_KEY),
                "the key in `",
                "ECDSA, Ed25519 or RSA",
            ),
            (
                Some(NOT_DER),
                Some(FIRST_KEY),
                "the certificate in `",
                "version 3",
            ),
            (
                Some(FIRST),
                Some(SECOND_KEY),
                "is not that of the certificate",
                "made for the certificate",
            ),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let (pem, secret) = (dir.path().join("own.pem"), dir.path().join("own.key"));
            for (path, text) in [(&pem, certificate), (&secret, key)] {
                if let Some(text) = text {
                    std::fs::write(path, text).unwrap();
                }
            }
            let error = Tls::open(pem, secret).err().expect(message);
            let said = error.to_string();
            assert!(said.contains(message), "{said}");
            assert!(error.help().contains(help), "{said}: {}", error.help());
            for secret in [FIRST_KEY, SECOND_KEY] {
                let line = secret.lines().nth(1).unwrap();
                assert!(!format!("{error:?}").contains(line), "{said}");
            }
        }
    }

    #[test]
    fn a_certificate_is_doubted_outside_of_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files {
            certificate: dir.path().join("own.pem"),
            key: dir.path().join("own.key"),
        };
        std::fs::write(&files.certificate, FIRST).unwrap();
        std::fs::write(&files.key, FIRST_KEY).unwrap();
        let provider = ring::default_provider();
        let certified = files.load(&provider).unwrap();
        let year = 365 * 24 * 60 * 60;
        for (years, doubted) in [
            (10, Some("is not valid yet")),
            (60, None),
            (160, Some("has expired")),
        ] {
            let now = UnixTime::since_unix_epoch(Duration::from_secs(years * year));
            let said = doubt(&certified, &files, &provider, now);
            match doubted {
                Some(words) => assert!(said.unwrap().contains(words), "after {years} years"),
                None => assert_eq!(said, None, "after {years} years"),
            }
        }
    }
}
