//! A program that runs beside the test, and everything it has printed.

use crate::{PATIENCE, now};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};

/// Ends with the value; shows what it printed when the test has failed.
pub(crate) struct Process {
    name: String,
    child: Child,
    printed: Arc<Printed>,
}

/// What was printed so far, and a bell for those who wait for more.
#[derive(Default)]
struct Printed {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

impl Process {
    pub(crate) fn start(name: &str, command: &mut Command) -> Process {
        Process::spawn(name, command.stdin(Stdio::null()))
    }

    /// The same for a program that reads what it is told.
    pub(crate) fn start_listening(name: &str, command: &mut Command) -> (Process, ChildStdin) {
        let mut process = Process::spawn(name, command.stdin(Stdio::piped()));
        let input = process.child.stdin.take().expect("it was piped");
        (process, input)
    }

    fn spawn(name: &str, command: &mut Command) -> Process {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let printed = Arc::new(Printed::default());
        collect(child.stdout.take().expect("it was piped"), &printed);
        collect(child.stderr.take().expect("it was piped"), &printed);
        Process { name: name.to_owned(), child, printed }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The first line that satisfies, now or later.
    pub(crate) fn prints(&self, what: &str, satisfies: impl Fn(&str) -> bool) -> String {
        let begun = now();
        let mut lines = self.printed.lines.lock().expect("no reader panics");
        loop {
            if let Some(line) = lines.iter().find(|line| satisfies(line)) {
                return line.clone();
            }
            let left = PATIENCE.saturating_sub(begun.elapsed());
            if left.is_zero() {
                drop(lines);
                panic!("{} never printed {what}", self.name);
            }
            (lines, _) = self.printed.more.wait_timeout(lines, left).expect("no reader panics");
        }
    }

    /// All lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.printed.lines.lock().expect("no reader panics").clone()
    }

    /// How many lines so far have this in them.
    pub(crate) fn count(&self, part: &str) -> usize {
        let lines = self.printed.lines.lock().expect("no reader panics");
        lines.iter().filter(|line| line.contains(part)).count()
    }

    /// Asks it to end, as an operator would.
    pub(crate) fn signal(&self, signal: libc::c_int) {
        let id = libc::pid_t::try_from(self.child.id()).expect("ids of processes are small");
        // SAFETY: kill reads no memory of ours, and the child was not waited for, so the id is still its own.
        unsafe { libc::kill(id, signal) };
    }

    /// Its exit code, or a failed test when it does not end.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let mut status = None;
        let has_ended = crate::becomes(|| {
            status = self.child.try_wait().expect("it is our child");
            status.is_some()
        });
        assert!(has_ended, "{} does not end", self.name);
        status.and_then(|status| status.code())
    }

    fn transcript(&self) -> String {
        const SHOWN: usize = 120;
        let lines = self.printed.lines.lock().expect("no reader panics");
        let cut = lines.len().saturating_sub(SHOWN);
        format!("--- {} printed ({cut} lines before)\n{}\n", self.name, lines[cut..].join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.transcript());
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a pipe is read by a thread, so that a test can give up waiting"
)]
fn collect(pipe: impl Read + Send + 'static, printed: &Arc<Printed>) {
    let printed = printed.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line);
            // A status line that is written over and over ends in a carriage return: the last one stays.
            let line = line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default().to_owned();
            printed.lines.lock().expect("nobody panics with it").push(line);
            printed.more.notify_all();
        }
    });
}
