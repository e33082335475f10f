//! What a story is played on: a private network, a folder, a capture, and the PBX.

use crate::capture::Capture;
use crate::network::{self, Entered, OFFICE, OFFICE_6, command};
use crate::program::Program;
use crate::tone;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A foreign program.
pub(crate) struct Tool {
    program: &'static str,
    package: &'static str,
    /// An argument with which it ends at once.
    probe: &'static str,
}

pub(crate) const SIPP: Tool = Tool { program: "sipp", package: "sip-tester", probe: "-v" };
pub(crate) const BARESIP: Tool = Tool { program: "baresip", package: "baresip", probe: "-h" };
pub(crate) const TSHARK: Tool = Tool { program: "tshark", package: "tshark", probe: "-v" };
pub(crate) const SOX: Tool = Tool { program: "sox", package: "sox", probe: "--version" };
pub(crate) const MULTIMON: Tool = Tool { program: "multimon-ng", package: "multimon-ng", probe: "-h" };
pub(crate) const WSDUMP: Tool = Tool { program: "wsdump", package: "python3-websocket", probe: "-h" };
pub(crate) const OPENSSL: Tool = Tool { program: "openssl", package: "openssl", probe: "version" };
const IP: Tool = Tool { program: "ip", package: "iproute2", probe: "-V" };

impl Tool {
    pub(crate) fn is_installed(&self) -> bool {
        let mut probe = command(self.program);
        probe.arg(self.probe).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok()
    }
}

/// Where one story is played.
pub(crate) struct Stage {
    folder: PathBuf,
}

/// Plays a story, unless a program it needs is missing; then looks through the capture.
pub(crate) fn play(needs: &[Tool], story: impl FnOnce(&Stage)) {
    play_uncaptured(needs, |stage| {
        let capture = TSHARK.is_installed().then(|| Capture::start(&stage.path("wire.pcapng")));
        if capture.is_none() {
            skip("the look at the capture: tshark is not installed (apt install tshark)");
        }
        story(stage);
        if let Some(capture) = capture {
            capture.finds_nothing_malformed();
        }
    });
}

/// The same without a capture.
pub(crate) fn play_uncaptured(needs: &[Tool], story: impl FnOnce(&Stage)) {
    if let Some(tool) = [IP].iter().chain(needs).find(|tool| !tool.is_installed()) {
        return skip(&format!("{} is not installed (apt install {})", tool.program, tool.package));
    }
    let name = story_name();
    match network::enter(&name) {
        Entered::Not(why) => skip(&why),
        Entered::Inside => story(&Stage::new(&name)),
        Entered::Elsewhere(output) => {
            // What it says it says in the words of this very file.
            eprint!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{name} has failed in a network of its own, see above");
        }
    }
}

/// The test that runs: its thread has its name.
fn story_name() -> String {
    std::thread::current().name().unwrap_or("story").to_owned()
}

/// Past the test harness, which shows nothing of a test that passes.
fn skip(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why} [{}]", story_name());
}

impl Stage {
    fn new(name: &str) -> Stage {
        let name = format!("interop-{}-{}", name.replace("::", "-"), std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).expect("the target directory can be written");
        Stage { folder }
    }

    /// A file or folder of this story.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it is in our folder"))
            .expect("our folder can be written");
        std::fs::write(&path, text).expect("our folder can be written");
        path
    }

    /// A sound file with one tone, long enough for any story: `440.wav` in our folder.
    pub(crate) fn tone(&self, frequency: u32) -> String {
        let file = format!("{frequency}.wav");
        tone::write(&self.path(&file), f64::from(frequency), 120);
        file
    }

    /// A file in which the keys of a telephone sound, once, and then nothing.
    pub(crate) fn keys(&self, telephone: &str, keys: &str) -> String {
        let file = format!("keys-of-{telephone}.wav");
        tone::write_keys(&self.path(&file), keys, 120);
        file
    }

    /// The PBX with this configuration; it listens when this returns.
    pub(crate) fn pbx(&self, config: &str) -> Program {
        let file = self.write("pbx.toml", config);
        Program::start(
            &self.folder,
            &["--config", file.to_str().expect("paths of the build are text"), "--grace", "1"],
        )
    }

    /// The records of the calls that are over.
    pub(crate) fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("calls.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a record is a line of JSON")).collect()
    }

    /// The PBX as somebody starts it who has read nothing.
    pub(crate) fn pbx_without_arguments(&self) -> Program {
        Program::start(&self.folder, &[])
    }

    /// A program of the system, in the folder of this story.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = command(program);
        command.current_dir(&self.folder);
        command
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what was written stays in {}", self.folder.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// An office with three telephones, an echo, a tone and a trunk to the carrier.
pub(crate) fn office() -> String {
    let extensions = ["1001", "1002", "1003"].map(|number| {
        format!(
            "[[extensions]]\nnumber = \"{number}\"\npassword = \"secret{number}\"\nring_timeout_seconds = 3\n"
        )
    });
    format!(
        r#"
[sip]
listen = ["udp:{OFFICE}:5060", "tcp:{OFFICE}:5060", "udp:[{OFFICE_6}]:5060", "tcp:[{OFFICE_6}]:5060"]
domain = "{OFFICE}"

[media]
rtp_port_range_start = 10000
rtp_port_range_end = 10999

[http]
listen = "{OFFICE}:8080"

[cdr]
file = "calls.jsonl"

[[trunks]]
name = "carrier"
targets = [{{ host = "{carrier}", port = 5060 }}]
accept_from = ["{carrier}/32"]

[[routes]]
name = "echo"
to_user = "9196"
app = "echo"

[[routes]]
name = "tone"
to_user = "9197"
app = "tone"

[[routes]]
name = "outside"
to_user = "0*"
app = "trunk"
app_params = {{ trunks = ["carrier"], strip = 1 }}

{}
"#,
        extensions.concat(),
        carrier = network::CARRIER,
    )
}
