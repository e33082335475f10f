//! A host for tests of the shell: one machine in memory, on a runtime whose time is paused.

use super::driver::{Core, MediaPlane};
use super::host::{Disk, Host, Listener, Udp};
use super::journal;
use crate::cdr::{Disposition, EndedBy, Record};
use crate::config::Config;
use crate::media;
use crate::pbx::{Counters, Input, Output};
use crate::rng::Seed;
use crate::time::{Instant, WallClock};
use rustls::crypto::CryptoProvider;
use std::collections::VecDeque;
use std::collections::btree_map::{BTreeMap, Entry};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::{Notify, mpsc};

/// The machine and the world around it.
#[derive(Clone)]
pub(super) struct TestHost {
    world: Arc<Mutex<World>>,
    start: tokio::time::Instant,
    pub(super) disk: TestDisk,
}

#[derive(Default)]
struct World {
    sockets: BTreeMap<SocketAddr, Arc<Mailbox>>,
    listeners: BTreeMap<SocketAddr, mpsc::UnboundedSender<(DuplexStream, SocketAddr)>>,
    /// Other machines that can be connected to.
    peers: BTreeMap<SocketAddr, mpsc::UnboundedSender<DuplexStream>>,
    /// What was sent to other machines: from, to, bytes.
    sent: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    last_port: u16,
}

/// What has arrived and was not read.
#[derive(Default)]
struct Mailbox {
    datagrams: Mutex<VecDeque<(SocketAddr, Vec<u8>)>>,
    filled: Notify,
}

impl TestHost {
    pub(super) fn new() -> TestHost {
        TestHost { world: Arc::default(), start: tokio::time::Instant::now(), disk: TestDisk::default() }
    }

    /// A datagram of another machine.
    pub(super) fn deliver(&self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        if let Some(mailbox) = self.world().sockets.get(&to) {
            lock(&mailbox.datagrams).push_back((from, bytes.to_vec()));
            mailbox.filled.notify_one();
        }
    }

    /// What was sent by datagram since the last time somebody asked.
    pub(super) fn sent(&self) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
        std::mem::take(&mut self.world().sent)
    }

    /// Another machine connects; `None` when nobody listens.
    pub(super) fn dial(&self, from: SocketAddr, to: SocketAddr) -> Option<DuplexStream> {
        let (ours, theirs) = duplex(4096);
        self.world().listeners.get(&to)?.send((theirs, from)).ok()?;
        Some(ours)
    }

    /// Another machine listens.
    pub(super) fn peer(&self, address: SocketAddr) -> mpsc::UnboundedReceiver<DuplexStream> {
        let (connected, connections) = mpsc::unbounded_channel();
        self.world().peers.insert(address, connected);
        connections
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    fn address(&self, mut wished: SocketAddr) -> SocketAddr {
        if wished.port() == 0 {
            let mut world = self.world();
            world.last_port += 1;
            wished.set_port(40_000 + world.last_port);
        }
        wished
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Host for TestHost {
    type Udp = TestUdp;
    type Listener = TestListener;
    type Stream = DuplexStream;
    type Disk = TestDisk;

    async fn udp(&self, local: SocketAddr) -> io::Result<TestUdp> {
        let local = self.address(local);
        let mailbox = Arc::<Mailbox>::default();
        match self.world().sockets.entry(local) {
            Entry::Occupied(_) => return Err(io::ErrorKind::AddrInUse.into()),
            Entry::Vacant(place) => place.insert(mailbox.clone()),
        };
        Ok(TestUdp { local, mailbox, host: self.clone() })
    }

    async fn listen(&self, local: SocketAddr) -> io::Result<TestListener> {
        let local = self.address(local);
        let (connected, connections) = mpsc::unbounded_channel();
        self.world().listeners.insert(local, connected);
        Ok(TestListener { local, connections })
    }

    async fn connect(&self, remote: SocketAddr) -> io::Result<DuplexStream> {
        let (ours, theirs) = duplex(4096);
        let peer = self.world().peers.get(&remote).cloned();
        match peer {
            Some(peer) if peer.send(theirs).is_ok() => Ok(ours),
            Some(_) | None => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }

    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        if name == "trunk.example" {
            Ok(vec![[192, 0, 2, 7].into()])
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn local_ip(&self, _: IpAddr) -> Option<IpAddr> {
        Some([10, 0, 0, 1].into())
    }

    #[expect(clippy::disallowed_methods, reason = "this is a host")]
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // All are of one kind, for which tokio is compiled once.
        let task: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(task);
        tokio::spawn(task);
    }

    fn now(&self) -> Instant {
        Instant::START + self.start.elapsed()
    }

    fn clock(&self) -> WallClock {
        WallClock { epoch_micros: 1_795_247_106_000_000 }
    }

    fn seed(&self) -> Seed {
        Seed::default()
    }

    fn crypto(&self) -> Arc<CryptoProvider> {
        Arc::new(rustls::crypto::ring::default_provider())
    }

    fn disk(&self) -> TestDisk {
        self.disk.clone()
    }
}

pub(super) struct TestUdp {
    local: SocketAddr,
    mailbox: Arc<Mailbox>,
    host: TestHost,
}

impl Udp for TestUdp {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    async fn readable(&self) -> io::Result<()> {
        while lock(&self.mailbox.datagrams).is_empty() {
            self.mailbox.filled.notified().await;
        }
        Ok(())
    }

    fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (from, bytes) = lock(&self.mailbox.datagrams).pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok((bytes.len(), from))
    }

    fn try_send_to(&self, bytes: &[u8], remote: SocketAddr) -> io::Result<usize> {
        self.host.world().sent.push((self.local, remote, bytes.to_vec()));
        Ok(bytes.len())
    }
}

impl Drop for TestUdp {
    fn drop(&mut self) {
        self.host.world().sockets.remove(&self.local);
    }
}

pub(super) struct TestListener {
    local: SocketAddr,
    connections: mpsc::UnboundedReceiver<(DuplexStream, SocketAddr)>,
}

impl Listener for TestListener {
    type Stream = DuplexStream;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    async fn accept(&mut self) -> io::Result<(DuplexStream, SocketAddr)> {
        self.connections.recv().await.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

/// Files in memory. A write can be made to fail, or to be the last one: the machine stops there.
#[derive(Clone, Default)]
pub(super) struct TestDisk(Arc<Mutex<Files>>);

#[derive(Default)]
struct Files {
    files: BTreeMap<PathBuf, Vec<u8>>,
    full: bool,
    /// Writes until the machine stops; the last one is written in half.
    left: Option<usize>,
    writes: usize,
}

impl TestDisk {
    pub(super) fn text(&self, path: &str) -> String {
        let files = lock(&self.0);
        String::from_utf8_lossy(files.files.get(Path::new(path)).map_or(&[], Vec::as_slice)).into_owned()
    }

    pub(super) fn put(&self, path: &str, text: &str) {
        lock(&self.0).files.insert(path.into(), text.into());
    }

    /// Whether the disk is full: nothing can be appended.
    pub(super) fn fill(&self, full: bool) {
        lock(&self.0).full = full;
    }

    /// The machine stops in the middle of the write after `writes` more; `None`: it runs.
    pub(super) fn stop_after(&self, writes: Option<usize>) {
        lock(&self.0).left = writes;
    }

    /// How often was written so far.
    pub(super) fn writes(&self) -> usize {
        lock(&self.0).writes
    }

    /// Counts a write; an error when the machine has stopped, half the bytes when it stops now.
    fn write(files: &mut Files, bytes: &mut Vec<u8>, is_atomic: bool) -> io::Result<()> {
        files.writes += 1;
        match &mut files.left {
            None => Ok(()),
            Some(0) => Err(io::Error::other("the machine has stopped")),
            Some(left) => {
                *left -= 1;
                if *left == 0 && !is_atomic {
                    bytes.truncate(bytes.len() / 2);
                }
                Ok(())
            }
        }
    }
}

fn overwrite(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    file.resize(file.len().max(offset + bytes.len()), 0);
    file[offset..offset + bytes.len()].copy_from_slice(bytes);
}

impl Disk for TestDisk {
    async fn read(&self, path: &Path, offset: u64) -> io::Result<Vec<u8>> {
        let files = lock(&self.0);
        let bytes = files.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(bytes.get(offset as usize..).unwrap_or_default().to_vec())
    }

    async fn length(&self, path: &Path) -> io::Result<u64> {
        let files = lock(&self.0);
        Ok(files.files.get(path).ok_or(io::ErrorKind::NotFound)?.len() as u64)
    }

    async fn append(&self, path: &Path, mut bytes: Vec<u8>) -> io::Result<()> {
        let mut files = lock(&self.0);
        if files.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        TestDisk::write(&mut files, &mut bytes, false)?;
        files.files.entry(path.to_owned()).or_default().extend(bytes);
        Ok(())
    }

    async fn overwrite(&self, path: &Path, offset: u64, bytes: Vec<u8>) -> io::Result<()> {
        let mut files = lock(&self.0);
        TestDisk::write(&mut files, &mut Vec::new(), true)?;
        overwrite(files.files.get_mut(path).ok_or(io::ErrorKind::NotFound)?, offset as usize, &bytes);
        Ok(())
    }

    async fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let mut files = lock(&self.0);
        TestDisk::write(&mut files, &mut Vec::new(), true)?;
        files.files.get_mut(path).ok_or(io::ErrorKind::NotFound)?.truncate(length as usize);
        Ok(())
    }

    async fn replace(&self, path: &Path, mut bytes: Vec<u8>) -> io::Result<()> {
        let mut files = lock(&self.0);
        TestDisk::write(&mut files, &mut bytes, true)?;
        files.files.insert(path.to_owned(), bytes);
        Ok(())
    }

    async fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let files = lock(&self.0);
        let within = files.files.keys().filter(|path| path.parent() == Some(directory));
        Ok(within.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        lock(&self.0).files.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    async fn sync(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// The embedded configuration, without a file of call records.
pub(super) fn config() -> Config {
    let mut config = Config::parse(Config::DEFAULT, "default").expect("it is one");
    config.cdr.file = None;
    config
}

/// A core that counts to nothing and ends when it is told to drain.
#[derive(Default)]
pub(super) struct IdleCore {
    pub(super) counters: Counters,
    /// Whether it goes on after it was told to drain.
    pub(super) has_calls: bool,
    pub(super) outputs: VecDeque<Output>,
}

impl Core for IdleCore {
    fn receive(&mut self, input: Input, _: Instant) {
        match input {
            Input::Drain { .. } if !self.has_calls => self.outputs.push_back(Output::Drained),
            Input::Reconfigure(config) => self.counters.calls_total = config.limits.calls as u64,
            _ => {}
        }
    }
    fn handle_timeout(&mut self, _: Instant) {}
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
    fn counters(&self) -> Counters {
        self.counters.clone()
    }
}

/// Nobody hears anything.
pub(super) struct NoMedia;

impl MediaPlane for NoMedia {
    fn send(&mut self, _: media::RoomId, _: media::Command) {}
}

/// The file of call records in tests.
pub(super) const RECORDS: &str = "calls.json";

/// The calls in the file, with how they came out.
pub(super) fn calls_in(disk: &TestDisk) -> Vec<String> {
    let text = disk.text(RECORDS);
    assert!(text.is_empty() || text.ends_with('\n'), "no line is torn: {text:?}");
    text.lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
            format!("{} {}", value["call_id"].as_str().unwrap(), value["disposition"].as_str().unwrap())
        })
        .collect()
}

pub(super) fn text_of(call: &str, disposition: Disposition) -> String {
    String::from_utf8(journal::line(&record(call, disposition))).expect("JSON is text")
}

pub(super) fn record(call: &str, disposition: Disposition) -> Record {
    Record {
        call_id: call.into(),
        sip_call_id: "x@y".into(),
        caller: "1001".into(),
        dialled: "1002".into(),
        answered_by: None,
        started_at: "2026-11-21T07:45:06.000000Z".into(),
        ringing_at: None,
        answered_at: None,
        ended_at: "2026-11-21T07:45:07.000000Z".into(),
        duration_secs: 1.0,
        billed_secs: 0.0,
        disposition,
        status: 200,
        ended_by: EndedBy::Caller,
        reason: "hangup".into(),
        route: None,
        media: Vec::new(),
    }
}
