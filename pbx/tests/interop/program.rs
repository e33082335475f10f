//! The built `pbx`, started as an operator starts it.

use crate::process::Process;
use std::path::Path;
use std::process::Command;

/// The PBX; it ends with the value.
pub(crate) struct Program {
    process: Process,
}

impl Program {
    /// Starts it and waits until it says that it listens.
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pbx"));
        let process = Process::start("pbx", command.args(arguments).current_dir(folder));
        // The accounts are told last.
        process.prints("its accounts", |line| line.starts_with("accounts "));
        Program { process }
    }

    /// It writes a line with this in it into its log.
    pub(crate) fn logs(&self, part: &str) {
        self.process.prints(part, |line| line.contains(part));
    }

    pub(crate) fn is_told_to_end(&self) {
        self.process.signal(libc::SIGTERM);
    }

    /// It ends by itself and is content.
    pub(crate) fn ends_well(mut self) {
        assert_eq!(self.process.ended(), Some(0), "the PBX ended with another code than 0");
    }

    /// Bytes of memory it holds now.
    pub(crate) fn memory(&self) -> usize {
        let file = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(file).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells it");
        let kilobytes = line.trim().trim_end_matches(" kB").parse::<usize>().expect("it is a number");
        kilobytes * 1024
    }
}
