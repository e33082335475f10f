//! A private network for one test: the loopback of a namespace of its own, with a few addresses.

use std::io;
use std::process::{Command, Output};

/// The PBX and well-behaved telephones.
pub(crate) const OFFICE: &str = "10.9.0.1";
/// The PBX and telephones of the new kind.
pub(crate) const OFFICE_6: &str = "fd00:9::1";
/// Another system, to which a trunk leads.
pub(crate) const CARRIER: &str = "10.9.0.2";
/// Somebody who means harm.
pub(crate) const STRANGER: &str = "10.9.0.9";

/// How a test can be given its network.
pub(crate) enum Entered {
    /// This thread, and all that it starts, is inside.
    Inside,
    /// The test has run inside a process of its own.
    Elsewhere(Output),
    /// It cannot.
    Not(String),
}

/// Moves this thread into a network of its own. Who may not do so runs the test `name` again as the superuser of a
/// user namespace, where that is allowed.
pub(crate) fn enter(name: &str) -> Entered {
    // SAFETY: unshare changes what this thread sees of the kernel and touches no memory.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0 {
        return match set_up() {
            Ok(()) => Entered::Inside,
            Err(error) => Entered::Not(format!("a network cannot be set up: {error}")),
        };
    }
    let why = io::Error::last_os_error();
    if !is_permitted_as_a_user() {
        return Entered::Not(format!("no network of its own ({why}): run as root, or allow user namespaces"));
    }
    let this = std::env::current_exe().expect("this program is a file");
    let mut again = as_a_user();
    match again.arg(this).args([name, "--exact", "--nocapture", "--test-threads=2"]).output() {
        Ok(output) => Entered::Elsewhere(output),
        Err(error) => Entered::Not(format!("unshare does not start: {error}")),
    }
}

fn set_up() -> io::Result<()> {
    ip(&["link", "set", "lo", "up"])?;
    for address in [OFFICE, CARRIER, STRANGER] {
        ip(&["address", "add", &format!("{address}/32"), "dev", "lo"])?;
    }
    ip(&["address", "add", &format!("{OFFICE_6}/128"), "dev", "lo", "nodad"])?;
    Ok(())
}

fn ip(arguments: &[&str]) -> io::Result<()> {
    let output = command("ip").args(arguments).output()?;
    if output.status.success() {
        Ok(())
    } else {
        Err(io::Error::other(String::from_utf8_lossy(&output.stderr)))
    }
}

fn is_permitted_as_a_user() -> bool {
    as_a_user().arg("true").output().is_ok_and(|output| output.status.success())
}

fn as_a_user() -> Command {
    let mut unshare = command("unshare");
    unshare.args(["--map-root-user", "--net"]);
    unshare
}

/// A program of the system; those for the superuser are not on everybody's path.
pub(crate) fn command(program: &str) -> Command {
    let places = ["/usr/sbin", "/sbin", "/usr/bin", "/usr/local/bin"];
    let files = places.iter().map(|place| std::path::Path::new(place).join(program));
    Command::new(files.into_iter().find(|file| file.is_file()).unwrap_or_else(|| program.into()))
}
