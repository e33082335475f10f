//! SIPp: scenarios that are written down, and load.

use crate::network::OFFICE;
use crate::process::Process;
use crate::stage::Stage;
use std::path::{Path, PathBuf};

/// One way to run it; [`Sipp::succeeds`] does.
pub(crate) struct Sipp<'a> {
    stage: &'a Stage,
    arguments: Vec<String>,
}

impl<'a> Sipp<'a> {
    /// One of its own scenarios: `uac` calls, `uas` answers.
    pub(crate) fn builtin(stage: &'a Stage, scenario: &str) -> Sipp<'a> {
        Sipp { stage, arguments: vec!["-sn".into(), scenario.into()] }
    }

    /// One of ours, from the folder `sipp` beside this file.
    pub(crate) fn scenario(stage: &'a Stage, name: &str) -> Sipp<'a> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/sipp").join(name);
        assert!(file.is_file(), "{} does not exist", file.display());
        Sipp { stage, arguments: vec!["-sf".into(), text(&file)] }
    }

    pub(crate) fn with(mut self, arguments: &[&str]) -> Sipp<'a> {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Runs beside the test, for a scenario that waits for a call at this address; returns when it listens.
    pub(crate) fn waits_at(self, address: &str) -> Process {
        let process = self.with(&["-i", address, "-p", "5060"]).start();
        // SIPp does not say when it is ready: its port in the kernel's table does.
        assert!(crate::becomes(|| is_bound(address, 5060)), "sipp never bound {address}:5060");
        process
    }

    /// Runs to its end: every call of it went as its scenario says. It calls from the address that it calls.
    pub(crate) fn succeeds(self, pbx: &str) {
        let address = pbx.split(':').next().unwrap_or(OFFICE).to_owned();
        self.with(&["-i", &address]).calls(pbx);
    }

    /// The same from an address of one's own.
    pub(crate) fn calls(self, pbx: &str) {
        let mut process = self.with(&[pbx]).start();
        assert_eq!(process.ended(), Some(0), "a call went otherwise than the scenario of SIPp says");
    }

    fn start(self) -> Process {
        let name = format!("sipp {}", self.arguments.join(" "));
        let mut command = self.stage.command("sipp");
        command.args(&self.arguments).args(["-nostdin", "-timeout", "60s", "-timeout_error"]);
        command.args(["-trace_err", "-error_file"]).arg(self.errors());
        Process::start(&name, &mut command)
    }

    fn errors(&self) -> PathBuf {
        self.stage.path(&format!("sipp-{}.errors", self.arguments[1].replace(['/', '.'], "-")))
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("paths of the build are text").to_owned()
}

/// Whether somebody has this UDP port, by the kernel's own table (addresses stand in it as the machine reads them).
fn is_bound(address: &str, port: u16) -> bool {
    let address = address.parse::<std::net::Ipv4Addr>().expect("an address of ours");
    let entry = format!(" {:08X}:{port:04X} ", u32::from_ne_bytes(address.octets()));
    std::fs::read_to_string("/proc/thread-self/net/udp").is_ok_and(|table| table.contains(&entry))
}
