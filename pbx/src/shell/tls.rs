//! TLS (RFC 8446, RFC 5246): who we are, whom we believe, and the handshake with which a connection begins.
//!
//! Certificates are files of the host's disk, read at the start and with each reload. The ciphers, the dice and the date come
//! from the host, so that a handshake in a simulated world is the same in every run of a seed. A connection is never
//! resumed: each one shows its certificate again, and one that has become invalid is noticed.

use super::host::{Disk, Host};
use super::timer;
use super::validity::{Validity, validity};
use crate::config::{Config, Identity};
use crate::time::{Duration, Instant, WallClock};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// How long a handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// The largest file of certificates.
const LARGEST: usize = 4 << 20;

/// What is needed for TLS as the configuration wants it; clones share it.
#[derive(Clone, Default)]
pub(super) struct Tls {
    accepts: Option<TlsAcceptor>,
    connects: Option<TlsConnector>,
}

/// Why there is no TLS.
#[derive(Debug)]
pub enum TlsError {
    /// A file cannot be read.
    Unreadable {
        /// Which.
        file: PathBuf,
        /// The key of `[tls]` that names it.
        key: &'static str,
        /// What the disk says.
        error: io::Error,
    },
    /// It is no PEM file of that.
    Empty {
        /// Which.
        file: PathBuf,
        /// The key of `[tls]` that names it.
        key: &'static str,
    },
    /// The key is that of another certificate.
    OtherKey(Identity),
    /// Our certificate does not hold yet, or no longer.
    Expired {
        /// Its file.
        file: PathBuf,
        /// From when to when it holds.
        held: (String, String),
        /// What o'clock it is.
        now: String,
    },
    /// Something else is wrong with it.
    Unusable {
        /// Which.
        file: PathBuf,
        /// Why.
        why: String,
    },
}

impl Tls {
    /// Reads what `config` needs.
    pub(super) async fn load<H: Host>(host: &H, config: &Config) -> Result<Tls, TlsError> {
        let (accepts, connects) = (config.accepts_tls(), config.connects_by_tls());
        if !accepts && !connects {
            return Ok(Tls::default());
        }
        let maker = Maker { provider: host.crypto(), time: Arc::new(HostTime(host.clone())) };
        let identity = match &config.tls.identity {
            Some(identity) => Some(read_identity(host, identity).await?),
            None => None,
        };
        let acceptor = match &identity {
            Some(identity) if accepts => {
                let clients = match &config.tls.clients {
                    Some(clients) => {
                        let believed =
                            read_authorities(host, &clients.authorities, "client_authorities").await?;
                        Some((clients.authorities.clone(), believed, clients.required))
                    }
                    None => None,
                };
                Some(maker.acceptor(identity, clients)?)
            }
            Some(_) | None => None,
        };
        let connector = match connects {
            true => {
                let believed = read_authorities(host, &config.tls.authorities, "authorities").await?;
                Some(maker.connector(believed, identity.as_ref())?)
            }
            false => None,
        };
        Ok(Tls { accepts: acceptor, connects: connector })
    }

    /// Says who we are to somebody who has connected.
    pub(super) async fn accept<S>(&self, stream: S) -> io::Result<server::TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = self.accepts.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        in_time(acceptor.accept(stream)).await
    }

    /// Asks somebody we have connected to who it is; it must be `name`, a host name or an address.
    pub(super) async fn connect<S>(&self, stream: S, name: &str) -> io::Result<client::TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let connector = self.connects.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let name = name.trim_matches(['[', ']']).trim_end_matches('.').to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        in_time(connector.connect(name, stream)).await
    }
}

async fn in_time<T>(handshake: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match timer::timeout(HANDSHAKE_LIMIT, handshake).await {
        Ok(done) => done,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long")),
    }
}

/// Who we are, as it was read.
struct OurSelf {
    files: Identity,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

struct Maker {
    provider: Arc<CryptoProvider>,
    time: Arc<dyn TimeProvider>,
}

impl Maker {
    fn acceptor(
        &self,
        identity: &OurSelf,
        clients: Option<(PathBuf, RootCertStore, bool)>,
    ) -> Result<TlsAcceptor, TlsError> {
        let unusable = |error: rustls::Error| identity.unusable(&error);
        let config = ServerConfig::builder_with_details(self.provider.clone(), self.time.clone())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let config = match clients {
            None => config.with_no_client_auth(),
            Some((file, believed, required)) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(believed), self.provider.clone());
                let verifier = if required { verifier } else { verifier.allow_unauthenticated() };
                let verifier =
                    verifier.build().map_err(|error| TlsError::Unusable { file, why: error.to_string() })?;
                config.with_client_cert_verifier(verifier)
            }
        };
        let mut config =
            config.with_single_cert(identity.chain.clone(), identity.key.clone_key()).map_err(unusable)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config).into())
    }

    fn connector(&self, believed: RootCertStore, ours: Option<&OurSelf>) -> Result<TlsConnector, TlsError> {
        let unusable = |error: rustls::Error| match ours {
            Some(identity) => identity.unusable(&error),
            None => TlsError::Unusable { file: PathBuf::new(), why: error.to_string() },
        };
        let config = ClientConfig::builder_with_details(self.provider.clone(), self.time.clone())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_root_certificates(believed);
        let mut config = match ours {
            // Shown to those who ask for it.
            Some(identity) => config
                .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
                .map_err(unusable)?,
            None => config.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config).into())
    }
}

impl OurSelf {
    fn unusable(&self, error: &rustls::Error) -> TlsError {
        match error {
            rustls::Error::InconsistentKeys(_) => TlsError::OtherKey(self.files.clone()),
            error => TlsError::Unusable { file: self.files.certificate.clone(), why: error.to_string() },
        }
    }
}

async fn read_identity<H: Host>(host: &H, files: &Identity) -> Result<OurSelf, TlsError> {
    let chain = read_certificates(host, &files.certificate, "certificate").await?;
    let text = read(host, &files.key, "key").await?;
    let key = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|_| TlsError::Empty { file: files.key.clone(), key: "key" })?;
    if let Some(held) = chain.first().and_then(|certificate| validity(certificate)) {
        let now = i64::try_from(host.clock().micros(host.now()) / 1_000_000).unwrap_or(i64::MAX);
        if !(held.not_before..=held.not_after).contains(&now) {
            return Err(expired(&files.certificate, held, now));
        }
    }
    Ok(OurSelf { files: files.clone(), chain, key })
}

fn expired(file: &Path, held: Validity, now: i64) -> TlsError {
    let date = |seconds: i64| {
        let epoch_micros = u64::try_from(seconds).unwrap_or_default() * 1_000_000;
        WallClock { epoch_micros }.http_date(Instant::START)
    };
    let held = (date(held.not_before), date(held.not_after));
    TlsError::Expired { file: file.to_owned(), held, now: date(now) }
}

async fn read_authorities<H: Host>(
    host: &H,
    file: &Path,
    key: &'static str,
) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    // A file of all the world's authorities may hold one that nobody can read.
    store.add_parsable_certificates(read_certificates(host, file, key).await?);
    match store.is_empty() {
        true => Err(TlsError::Empty { file: file.to_owned(), key }),
        false => Ok(store),
    }
}

async fn read_certificates<H: Host>(
    host: &H,
    file: &Path,
    key: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(host, file, key).await?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) | Err(_) => Err(TlsError::Empty { file: file.to_owned(), key }),
    }
}

async fn read<H: Host>(host: &H, file: &Path, key: &'static str) -> Result<Vec<u8>, TlsError> {
    let unreadable = |error| TlsError::Unreadable { file: file.to_owned(), key, error };
    let length = host.disk().length(file).await.map_err(unreadable)?;
    if length > LARGEST as u64 {
        return Err(unreadable(io::Error::other("it is too large")));
    }
    host.disk().read(file, 0).await.map_err(unreadable)
}

/// What o'clock it is at a host.
struct HostTime<H>(H);

impl<H: Host> TimeProvider for HostTime<H> {
    fn current_time(&self) -> Option<UnixTime> {
        let micros = self.0.clock().micros(self.0.now());
        Some(UnixTime::since_unix_epoch(Duration::from_micros(micros)))
    }
}

impl<H> fmt::Debug for HostTime<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostTime")
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::Unreadable { file, key, error } => {
                let file = file.display();
                write!(f, "{file} cannot be read: {error}; `{key}` of [tls] names a file in PEM form")
            }
            TlsError::Empty { file, key } => {
                let what = if *key == "key" { "private key" } else { "certificate" };
                let file = file.display();
                write!(
                    f,
                    "{file} holds no {what}: `{key}` of [tls] names a file in PEM form, which begins with `-----BEGIN`"
                )
            }
            TlsError::OtherKey(Identity { certificate, key }) => write!(
                f,
                "the key in {} is not that of the certificate in {}: `certificate` and `key` of [tls] name two files that were made together",
                key.display(),
                certificate.display()
            ),
            TlsError::Expired { file, held: (from, to), now } => write!(
                f,
                "the certificate in {} holds from {from} to {to}, and it is {now}: renew it, or set the clock right",
                file.display()
            ),
            TlsError::Unusable { file, why } => {
                write!(f, "the certificate in {} cannot be used: {why}", file.display())
            }
        }
    }
}

impl std::error::Error for TlsError {}
