//! The PBX as a process of this machine: the program that an operator starts, with a folder of its own.

use crate::network::Unplayable;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The name of its configuration, in its folder.
const CONFIGURATION: &str = "office.toml";

/// What it has printed, in its folder.
const LOG: &str = "pbx.log";

/// How long it is waited for: to listen, to answer, to have read its configuration.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);
const ANSWER: Duration = Duration::from_secs(2);
const RELOAD: Duration = Duration::from_millis(200);

/// How long running calls may go on after SIGTERM, in seconds: the default of the program.
const GRACE: u64 = 5;

/// Counts the folders of this process.
static FOLDERS: AtomicU64 = AtomicU64::new(0);

/// A folder that is gone when this is dropped.
pub(super) struct Folder {
    path: PathBuf,
    /// What was put there, and not by the PBX.
    put: Mutex<BTreeSet<PathBuf>>,
}

impl Folder {
    pub(super) fn new() -> io::Result<Folder> {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tandem-{}-{number}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Folder { path, put: Mutex::default() })
    }

    /// Puts a file there.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path.join(name);
        fs::write(&path, bytes)?;
        self.put.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
        Ok(())
    }

    /// The sound files that the PBX has written, oldest first.
    pub(super) fn recordings(&self) -> Vec<Vec<u8>> {
        let put = self.put.lock().unwrap_or_else(PoisonError::into_inner);
        let files = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let mut files: Vec<_> = files
            .filter(|file| {
                file.path().extension().is_some_and(|it| it == "wav") && !put.contains(&file.path())
            })
            .filter_map(|file| Some((file.metadata().ok()?.created().ok()?, file.path())))
            .collect();
        files.sort_unstable();
        files.into_iter().map(|(_, path)| fs::read(path).unwrap_or_default()).collect()
    }

    /// What is in a file; nothing where there is none.
    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path.join(name)).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A running program; killed when this is dropped.
pub(super) struct Process {
    child: Child,
    pages: SocketAddr,
}

impl Process {
    /// Starts the program with this configuration and waits until it listens. Panics with what it has printed where it
    /// does not.
    pub(super) fn start(program: &Path, folder: &Folder, configuration: &str, pages: SocketAddr) -> Process {
        let begun = fs::write(folder.path.join(CONFIGURATION), configuration)
            .and_then(|()| fs::File::create(folder.path.join(LOG)))
            .and_then(|log| {
                Command::new(program)
                    .args(["--config", CONFIGURATION])
                    .current_dir(&folder.path)
                    .stdin(Stdio::null())
                    .stdout(log.try_clone()?)
                    .stderr(log)
                    .spawn()
            });
        let child = begun.unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        let mut process = Process { child, pages };
        let mut waited = Duration::ZERO;
        while TcpStream::connect(pages).is_err() {
            let log = || String::from_utf8_lossy(&folder.read(LOG)).into_owned();
            assert!(!process.has_ended(), "the PBX has ended at once: {}", log());
            assert!(waited < PATIENCE, "the PBX does not listen: {}", log());
            pause(LOOK);
            waited += LOOK;
        }
        process
    }

    /// Reads its configuration again.
    pub(super) fn reconfigure(&self, folder: &Folder, configuration: &str) {
        let written = fs::write(folder.path.join(CONFIGURATION), configuration);
        written.unwrap_or_else(|error| panic!("the configuration cannot be written: {error}"));
        self.signal("HUP");
        // It says so in its log, in words that may change; it does it at once.
        pause(RELOAD);
    }

    /// Ends after calls have had their time.
    pub(super) fn drain(&self, grace: Duration) {
        if grace.as_secs() != GRACE {
            Unplayable::throw(format!("a PBX that is a process grants calls {GRACE} seconds"));
        }
        self.signal("TERM");
    }

    /// It is gone without a word.
    pub(super) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// A figure of its page /metrics.
    pub(super) fn figure(&self, name: &str) -> Option<u64> {
        let page = self.page("/metrics").ok()?;
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line?.trim().parse::<f64>().ok().map(|figure| figure as u64)
    }

    fn page(&self, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.pages)?;
        stream.set_read_timeout(Some(ANSWER))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.pages)?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        Ok(page)
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "the PBX cannot be sent SIG{name}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

#[expect(clippy::disallowed_methods, reason = "another process is waited for, in real time")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
