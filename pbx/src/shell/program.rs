//! The whole program on a host: bind everything, put the records in order, run.
//!
//! [`bind`] takes the ports and fails with a sentence; [`Bound::start`] begins to work and returns a [`Running`], whose
//! [`Handle`] is what signals, HTTP and a simulated operator use. Nothing here knows whether the host is real.

pub use super::start_error::{Listen, StartError};

use super::driver::{Core, Driver, MediaPlane, Order, Parts};
use super::host::{Disk, Host, Listener, Udp};
use super::rwi::Admission;
use super::statistics::Snapshot;
use super::streams::Arrival;
use super::timer;
use super::tls::Tls;
use super::{http, journal, records};
use crate::config::Config;
use crate::media;
use crate::rng::Seed;
use crate::sip::Transport;
use crate::time::{Duration, WallClock};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Messages of connections that wait for the driver; then their readers wait.
const ARRIVALS: usize = 256;
/// Orders of people and programs that wait for the driver.
const ORDERS: usize = 32;
/// How long to wait when the OS has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Everything is bound and nothing has been taken in yet.
pub struct Bound<H: Host> {
    host: H,
    config: Config,
    source: Option<PathBuf>,
    wished: Vec<(Transport, SocketAddr)>,
    sockets: Vec<(SocketAddr, H::Udp)>,
    listeners: Vec<(Transport, SocketAddr, H::Listener)>,
    http: Option<H::Listener>,
    tls: Tls,
}

/// Binds what `config` wants to listen on and repairs what an earlier run has left of its records. `source` is the file
/// the configuration was read from, for [`Handle::reload`].
pub async fn bind<H: Host>(
    host: H,
    mut config: Config,
    source: Option<PathBuf>,
) -> Result<Bound<H>, StartError> {
    let tls = Tls::load(&host, &config).await.map_err(StartError::Tls)?;
    let wished = config.sip.listen.clone();
    let (mut sockets, mut listeners) = (Vec::new(), Vec::new());
    for (transport, address) in &mut config.sip.listen {
        let refused = |error| StartError::Bind { listen: Listen::Sip(*transport), address: *address, error };
        match transport {
            Transport::Udp => {
                let socket = host.udp(*address).await.map_err(refused)?;
                *address = socket.local_addr().map_err(refused)?;
                sockets.push((*address, socket));
            }
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                let listener = host.listen(*address).await.map_err(refused)?;
                *address = listener.local_addr().map_err(refused)?;
                listeners.push((*transport, *address, listener));
            }
        }
    }
    let open_to_all = config.sip.listen.iter().find(|(_, address)| address.ip().is_unspecified());
    if let (Some((_, address)), None) = (open_to_all, config.sip.external_address) {
        config.sip.external_address = Some(our_address(&host, address.ip()));
    }
    let http = bind_http(&host, &mut config).await?;
    if let Some(file) = &config.cdr.file {
        let recovered = journal::recover(&host.disk(), file)
            .await
            .map_err(|error| StartError::Records { file: file.clone(), error })?;
        if recovered != journal::Recovered::default() {
            let journal::Recovered { interrupted, torn_bytes } = recovered;
            tracing::warn!(
                interrupted,
                torn_bytes,
                "the last run was cut off; its call records are complete now"
            );
        }
    }
    Ok(Bound { host, config, source, wished, sockets, listeners, http, tls })
}

/// Whether the files that `config` names are there and fit together.
pub async fn check<H: Host>(host: &H, config: &Config) -> Result<(), StartError> {
    Tls::load(host, config).await.map(drop).map_err(StartError::Tls)
}

/// What we call ourselves when we listen on all addresses and were not told: the address we would reach the world from, or
/// the loopback where there is no world. A socket bound to all addresses answers on each of them.
fn our_address<H: Host>(host: &H, listening: IpAddr) -> IpAddr {
    // Addresses of the networks for documentation (RFC 5737, RFC 3849): nobody is there, everybody has a way there.
    let (somewhere, loopback): (IpAddr, IpAddr) = match listening {
        IpAddr::V4(_) => ([192, 0, 2, 1].into(), Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(_) => ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(), Ipv6Addr::LOCALHOST.into()),
    };
    host.local_ip(somewhere).unwrap_or(loopback)
}

async fn bind_http<H: Host>(host: &H, config: &mut Config) -> Result<Option<H::Listener>, StartError> {
    let Some(http) = &mut config.http else { return Ok(None) };
    let refused = |error| StartError::Bind { listen: Listen::Http, address: http.listen, error };
    let listener = host.listen(http.listen).await.map_err(refused)?;
    http.listen = listener.local_addr().map_err(refused)?;
    Ok(Some(listener))
}

impl<H: Host> Bound<H> {
    /// The configuration, with the ports that were given where it asked for any.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What listens where, SIP first.
    pub fn listening(&self) -> impl Iterator<Item = (Listen, SocketAddr)> {
        let sip =
            self.config.sip.listen.iter().map(|(transport, address)| (Listen::Sip(*transport), *address));
        sip.chain(self.config.http.iter().map(|http| (Listen::Http, http.listen)))
    }

    /// Begins to work: `make_core` is [`crate::pbx::Pbx::new`]; what `media` has to tell comes by `media_events`.
    pub fn start<C: Core>(
        self,
        make_core: impl FnOnce(Config, Seed, WallClock) -> C,
        media: impl MediaPlane,
        media_events: mpsc::Receiver<media::Event>,
    ) -> Running<H> {
        let host = self.host;
        let (order, orders) = mpsc::channel(ORDERS);
        let (arrive, arrivals) = mpsc::channel(ARRIVALS);
        let handle = Handle {
            host: host.clone(),
            order,
            fixed: Arc::new(Fixed {
                source: self.source,
                wished: self.wished,
                bound: self.config.sip.listen.clone(),
                http: self.config.http.as_ref().map(|http| http.listen),
                records: self.config.cdr.file.clone(),
                workers: self.config.media.workers,
            }),
        };
        for (transport, local, listener) in self.listeners {
            host.spawn(accept_streams::<H>(transport, local, listener, arrive.clone()));
        }
        if let Some(listener) = self.http {
            host.spawn(http::serve(host.clone(), listener, handle.clone()));
        }
        let records = match &self.config.cdr.file {
            Some(file) => records::Queue::start(&host, file.clone()),
            None => records::Queue::nowhere(),
        };
        let driver = Driver::new(Parts {
            host: host.clone(),
            limits: self.config.limits.clone(),
            tls: self.tls,
            core: make_core(self.config, host.seed(), host.clock()),
            media,
            sockets: self.sockets,
            arrive,
            arrivals,
            media_events,
            orders,
            records,
        });
        let (finished, done) = oneshot::channel();
        host.spawn(async move {
            driver.run().await;
            let _ = finished.send(());
        });
        Running { handle, done }
    }
}

async fn accept_streams<H: Host>(
    transport: Transport,
    local: SocketAddr,
    mut listener: H::Listener,
    arrivals: mpsc::Sender<Arrival<H::Stream>>,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = arrivals.closed() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, remote)) => {
                let _ = arrivals.send(Arrival::Accepted { transport, local, remote, stream }).await;
            }
            Err(error) => {
                tracing::warn!(%error, "SIP connection not accepted");
                timer::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A PBX at work.
pub struct Running<H: Host> {
    /// What can be asked of it.
    pub handle: Handle<H>,
    done: oneshot::Receiver<()>,
}

impl<H: Host> Running<H> {
    /// Waits for the end; false when it came by a crash.
    pub async fn ended(&mut self) -> bool {
        (&mut self.done).await.is_ok()
    }
}

/// What can be asked of a running PBX.
#[derive(Clone)]
pub struct Handle<H: Host> {
    host: H,
    order: mpsc::Sender<Order>,
    fixed: Arc<Fixed>,
}

/// What cannot change while the program runs.
struct Fixed {
    source: Option<PathBuf>,
    wished: Vec<(Transport, SocketAddr)>,
    bound: Vec<(Transport, SocketAddr)>,
    http: Option<SocketAddr>,
    records: Option<PathBuf>,
    workers: usize,
}

impl<H: Host> Handle<H> {
    /// Reads the configuration file again. It holds from now on, running calls go on; where it is refused, the old one
    /// stays. Returns what needs a restart.
    pub async fn reload(&self) -> Result<Vec<String>, ReloadError> {
        let file = self.fixed.source.as_deref().ok_or(ReloadError::NoFile)?;
        let unreadable =
            |error: io::Error| ReloadError::Unreadable { file: file.to_owned(), why: error.to_string() };
        let bytes = self.host.disk().read(file, 0).await.map_err(unreadable)?;
        let text = String::from_utf8(bytes).map_err(|error| unreadable(io::Error::other(error)))?;
        let config = Config::parse(&text, &file.display().to_string())
            .map_err(|error| ReloadError::Refused(error.to_string()))?;
        self.reconfigure(config).await
    }

    /// Another configuration holds from now on. Returns what needs a restart.
    pub async fn reconfigure(&self, mut config: Config) -> Result<Vec<String>, ReloadError> {
        let notes = self.fixed.keep(&mut config);
        let tls = Tls::load(&self.host, &config).await;
        let tls = tls.map_err(|error| ReloadError::Refused(error.to_string()))?;
        self.give(Order::Reconfigure(Box::new(config), tls)).await?;
        Ok(notes)
    }

    /// No new calls from now on; the running ones end by BYE after `grace`. Then the program ends.
    pub async fn drain(&self, grace: Duration) {
        let _ = self.give(Order::Drain { grace }).await;
    }

    /// The program ends at once.
    pub async fn stop(&self) {
        let _ = self.give(Order::Stop).await;
    }

    /// How things stand; `None` when the program has ended.
    pub(super) async fn snapshot(&self) -> Option<Snapshot> {
        let (answer, answered) = oneshot::channel();
        self.give(Order::Snapshot(answer)).await.ok()?;
        answered.await.ok()
    }

    /// Where it runs.
    pub(super) fn host(&self) -> &H {
        &self.host
    }

    /// A client of RWI shows its token; `None` when the program has ended.
    pub(super) async fn knock(&self, token: Option<String>) -> Option<Admission> {
        let (answer, answered) = oneshot::channel();
        self.give(Order::Knock { token, answer }).await.ok()?;
        answered.await.ok()
    }

    /// Waits until the program has ended.
    pub(super) async fn ended(&self) {
        self.order.closed().await;
    }

    async fn give(&self, order: Order) -> Result<(), ReloadError> {
        self.order.send(order).await.map_err(|_| ReloadError::Ended)
    }
}

impl Fixed {
    /// Sockets, files and threads stay as they are: puts into `config` what is bound, and says what waits for a restart.
    fn keep(&self, config: &mut Config) -> Vec<String> {
        let http = config.http.as_ref().map(|http| http.listen);
        // Port 0 is whatever port it got.
        let same_http = match (http, self.http) {
            (Some(wanted), Some(bound)) => wanted == bound || wanted.port() == 0,
            (wanted, bound) => wanted == bound,
        };
        let waits = [
            (config.sip.listen == self.wished, "what SIP listens on"),
            (same_http, "what HTTP listens on"),
            (config.cdr.file == self.records, "the file of call records"),
            (config.media.workers == self.workers, "the number of media threads"),
        ];
        config.sip.listen.clone_from(&self.bound);
        let changed = waits.into_iter().filter(|(same, _)| !same);
        changed.map(|(_, what)| format!("{what} changes with the next start")).collect()
    }
}

/// Why the old configuration stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadError {
    /// It is the embedded one.
    NoFile,
    /// The file cannot be read.
    Unreadable {
        /// Which.
        file: PathBuf,
        /// What the OS says.
        why: String,
    },
    /// What it says is wrong, with its line.
    Refused(String),
    /// The PBX has ended.
    Ended,
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReloadError::NoFile => {
                f.write_str("there is no configuration file: the PBX runs on its embedded one")
            }
            ReloadError::Unreadable { file, why } => {
                write!(f, "{} cannot be read: {why}", Path::display(file))
            }
            ReloadError::Refused(why) => f.write_str(why),
            ReloadError::Ended => f.write_str("the PBX has ended"),
        }
    }
}

impl std::error::Error for ReloadError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::test_host::{IdleCore, NoMedia, TestHost};

    const FILE: &str = "office.toml";
    const OFFICE: &str = "[sip]\nlisten = [\"udp:192.0.2.1:0\"]\n[limits]\ncalls = 7\n";

    #[tokio::test(start_paused = true)]
    async fn a_reloaded_configuration_holds() {
        let world = World::new().await;
        world.host.disk.put(FILE, &OFFICE.replace("= 7", "= 9"));
        assert_eq!(world.running.handle.reload().await, Ok(vec![]), "nothing waits for a restart");
        assert_eq!(world.calls().await, 9, "the core has heard of it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_configuration_leaves_the_old_one() {
        let world = World::new().await;
        world.host.disk.put(FILE, "[limits]\ncals = 9\n");
        let refused = world.running.handle.reload().await;
        assert!(
            matches!(&refused, Err(ReloadError::Refused(why)) if why.starts_with("office.toml:2:1: ")),
            "{refused:?}"
        );
        assert_eq!(world.calls().await, 0, "the core has heard nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn what_needs_a_restart_is_said() {
        let world = World::new().await;
        let text = format!("{}[http]\nlisten = \"192.0.2.1:80\"\n", OFFICE.replace(":0", ":5060"));
        world.host.disk.put(FILE, &text);
        let notes = world.running.handle.reload().await.expect("the configuration is right");
        assert_eq!(
            notes,
            [
                "what SIP listens on changes with the next start",
                "what HTTP listens on changes with the next start"
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_end_nothing_is_reloaded() {
        let mut world = World::new().await;
        world.host.disk.put(FILE, OFFICE);
        world.running.handle.stop().await;
        assert!(world.running.ended().await);
        assert_eq!(world.running.handle.reload().await, Err(ReloadError::Ended));
    }

    #[tokio::test(start_paused = true)]
    async fn ports_are_free_again_when_one_cannot_be_had() {
        let host = TestHost::new();
        let text = "[sip]\nlisten = [\"udp:192.0.2.1:5060\", \"udp:192.0.2.1:5070\"]\n";
        let config = Config::parse(text, FILE).expect("it is right");
        let other = host.udp(SocketAddr::from(([192, 0, 2, 1], 5070))).await.expect("free");
        let refused = bind(host.clone(), config.clone(), None).await.err().map(|error| error.to_string());
        assert!(refused.is_some_and(|why| why.starts_with("UDP port 5070 on 192.0.2.1")));
        drop(other);
        assert!(bind(host, config, None).await.is_ok());
    }

    struct World {
        host: TestHost,
        running: Running<TestHost>,
    }

    impl World {
        async fn new() -> World {
            let host = TestHost::new();
            let config = Config::parse(OFFICE, FILE).expect("it is right");
            let bound = bind(host.clone(), config, Some(FILE.into())).await.expect("nothing else listens");
            let (_, events) = mpsc::channel(1);
            World { host, running: bound.start(|_, _, _| IdleCore::default(), NoMedia, events) }
        }

        /// The call limit of the configuration the core was given last.
        async fn calls(&self) -> u64 {
            self.running.handle.snapshot().await.expect("it runs").counters.calls_total
        }
    }
}
