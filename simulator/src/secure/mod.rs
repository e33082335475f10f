//! TLS in a simulated world: the same library as for real, with dice and a date that are the world's.
//!
//! rustls takes its randomness and its key exchange from whoever hands it a provider. Ours draws from a seed, and the key
//! exchange is our own (`curve.rs`), as that of ring asks the machine for its secrets. Signatures are Ed25519, which need no
//! dice. So a handshake is the same, byte for byte, in every run of a seed.
//!
//! Whoever watches the network is told the secrets of each connection by its client, as Wireshark is by a key log; with them
//! `record.rs` reads what was said. This is what lets rules and ladders look into a connection that nobody else can.

mod curve;
mod record;

pub(crate) use record::{Opened, Secret};

use crate::network::{Kind, SimHost};
use curve::PublicKey;
use pbx::rng::{Rng, Seed};
use pbx::shell::host::Host;
use rustls::client::Resumption;
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret, SupportedKxGroup, ring,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::time_provider::TimeProvider;
use rustls::{
    CipherSuite, ClientConfig, Error, KeyLog, NamedGroup, PeerMisbehaved, RootCertStore, ServerConfig,
    version,
};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// Whom everybody in a world believes, in PEM.
pub(crate) const AUTHORITY: &str = include_str!("../../../fixtures/tls/authority.pem");
/// What a telephone shows where it is asked who it is.
pub(crate) const PHONE: &str = include_str!("../../../fixtures/tls/phone.pem");
/// Its key.
pub(crate) const PHONE_KEY: &str = include_str!("../../../fixtures/tls/phone.key");
/// What the PBX shows, unless it is given another one.
pub(crate) const PBX: &str = include_str!("../../../fixtures/tls/pbx.pem");
/// Its key.
pub(crate) const PBX_KEY: &str = include_str!("../../../fixtures/tls/pbx.key");

/// What else the PBX may be given: certificate and key.
pub(crate) fn certificate_of_pbx(what: &str) -> (&'static str, &'static str) {
    let certificate = match what {
        "that is good" => PBX,
        "of another name" => include_str!("../../../fixtures/tls/pbx_of_another_name.pem"),
        "that has expired" => include_str!("../../../fixtures/tls/pbx_expired.pem"),
        "that expires in an hour" => include_str!("../../../fixtures/tls/pbx_expires_soon.pem"),
        "of a stranger" => include_str!("../../../fixtures/tls/pbx_of_a_stranger.pem"),
        "of another key" => return (PBX, include_str!("../../../fixtures/tls/trunk.key")),
        other => panic!("there is no certificate {other}"),
    };
    (certificate, PBX_KEY)
}

/// What a trunk may show: certificate and key.
pub(crate) fn certificate_of_trunk(what: &str) -> (&'static str, &'static str) {
    let certificate = match what {
        "that is good" => include_str!("../../../fixtures/tls/trunk.pem"),
        "of another name" => include_str!("../../../fixtures/tls/trunk_of_another_name.pem"),
        "that has expired" => include_str!("../../../fixtures/tls/trunk_expired.pem"),
        other => panic!("there is no certificate {other}"),
    };
    (certificate, include_str!("../../../fixtures/tls/trunk.key"))
}

/// What a web service shows: certificate and key.
pub(crate) fn certificate_of_web_service() -> (&'static str, &'static str) {
    (include_str!("../../../fixtures/tls/web.pem"), include_str!("../../../fixtures/tls/web.key"))
}

/// What TLS is made of on a host whose dice follow from `seed`.
pub(crate) fn provider(seed: Seed) -> CryptoProvider {
    // Dice of their own: what TLS draws changes nothing else on the host.
    let dice: &'static Dice = Box::leak(Box::new(Dice(Mutex::new(Rng::new(seed.map(|byte| !byte))))));
    let exchange: &'static Exchange = Box::leak(Box::new(Exchange(dice)));
    CryptoProvider { kx_groups: vec![exchange], secure_random: dice, ..ring::default_provider() }
}

/// Somebody who opens connections and wants to know to whom.
pub(crate) struct Client {
    host: SimHost,
    config: ClientConfig,
}

/// Somebody who shows who it is.
#[derive(Clone)]
pub(crate) struct Server(TlsAcceptor);

impl Client {
    /// One that believes these authorities, in PEM, and shows this certificate and key, if any.
    pub(crate) fn new(host: &SimHost, believes: &str, shows: Option<(&str, &str)>) -> Client {
        let mut believed = RootCertStore::empty();
        believed.add_parsable_certificates(certificates(believes));
        let config = ClientConfig::builder_with_details(readable(host), time(host))
            .with_protocol_versions(&[&version::TLS13])
            .expect("the provider has ciphers of TLS 1.3")
            .with_root_certificates(believed);
        let mut config = match shows {
            Some((chain, key)) => config
                .with_client_auth_cert(certificates(chain), private_key(key))
                .expect("a fixture has its key"),
            None => config.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        Client { host: host.clone(), config }
    }

    /// The handshake; whoever is there has to be `name`. `ends` are ours and theirs.
    pub(crate) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        name: &str,
        ends: (SocketAddr, SocketAddr),
    ) -> io::Result<client::TlsStream<S>> {
        let mut config = self.config.clone();
        config.key_log = Arc::new(Teller { host: self.host.clone(), ends });
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

impl Server {
    /// One that shows this certificate, in PEM. Its own end tells the secrets, since its client is the PBX.
    pub(crate) fn new(host: &SimHost, chain: &str, key: &str) -> Server {
        let mut config = ServerConfig::builder_with_details(readable(host), time(host))
            .with_protocol_versions(&[&version::TLS13])
            .expect("the provider has ciphers of TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(certificates(chain), private_key(key))
            .expect("a fixture has its key");
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Server(Arc::new(config).into())
    }

    /// The handshake of somebody who has connected from the second of `ends` to the first.
    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        host: &SimHost,
        stream: S,
        ends: (SocketAddr, SocketAddr),
    ) -> io::Result<server::TlsStream<S>> {
        let mut config = ServerConfig::clone(self.0.config());
        config.key_log = Arc::new(Teller { host: host.clone(), ends: (ends.1, ends.0) });
        TlsAcceptor::from(Arc::new(config)).accept(stream).await
    }
}

/// The one cipher that `record.rs` reads.
fn readable(host: &SimHost) -> Arc<CryptoProvider> {
    let mut provider = provider(host.seed());
    provider.cipher_suites.retain(|suite| suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    all.expect("a fixture is PEM")
}

fn private_key(pem: &str) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).expect("a fixture is PEM")
}

/// The date of a host.
struct Date(SimHost);

fn time(host: &SimHost) -> Arc<dyn TimeProvider> {
    Arc::new(Date(host.clone()))
}

impl TimeProvider for Date {
    fn current_time(&self) -> Option<UnixTime> {
        let micros = self.0.clock().micros(self.0.now());
        Some(UnixTime::since_unix_epoch(pbx::time::Duration::from_micros(micros)))
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Date")
    }
}

/// Tells those who watch with what a connection is sealed.
struct Teller {
    host: SimHost,
    /// The client's, the server's.
    ends: (SocketAddr, SocketAddr),
}

impl KeyLog for Teller {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let (client, server) = self.ends;
        let (from, to) = match label {
            "CLIENT_TRAFFIC_SECRET_0" => (client, server),
            "SERVER_TRAFFIC_SECRET_0" => (server, client),
            _ => return,
        };
        let line = format!("{label} {} {}\n", hex(client_random), hex(secret));
        self.host.network().tell_watchers(from, to, Kind::Secret, line.as_bytes());
    }
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Teller")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The dice of a host, for TLS.
struct Dice(Mutex<Rng>);

impl Dice {
    fn rng(&self) -> MutexGuard<'_, Rng> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SecureRandom for Dice {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        self.rng().fill(bytes);
        Ok(())
    }
}

impl fmt::Debug for Dice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dice")
    }
}

/// X25519 with secrets from the dice.
#[derive(Debug)]
struct Exchange(&'static Dice);

struct Half {
    secret: [u8; 32],
    public: PublicKey,
}

impl SupportedKxGroup for Exchange {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut secret = [0; 32];
        self.0.rng().fill(&mut secret);
        Ok(Box::new(Half { secret, public: curve::public_key(&secret) }))
    }

    fn ffdhe_group(&self) -> Option<rustls::ffdhe_groups::FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl ActiveKeyExchange for Half {
    fn complete(self: Box<Self>, theirs: &[u8]) -> Result<SharedSecret, Error> {
        let theirs: &PublicKey = theirs.try_into().map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
        let shared = curve::shared(&self.secret, theirs);
        match shared.iter().all(|byte| *byte == 0) {
            true => Err(PeerMisbehaved::InvalidKeyShare.into()),
            false => Ok(SharedSecret::from(&shared[..])),
        }
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}
