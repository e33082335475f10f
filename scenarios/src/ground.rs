//! Which network carries the packets of a suite: ours, turmoil's, or the loopback of this machine.

use crate::suite::Case;
use simulator::network::Ground;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What says so.
const VARIABLE: &str = "TANDEM_NETWORK";

/// Scenarios that may be played in real time, being quick and not exact to the millisecond.
const REAL: &str = "real";

/// The ground that the environment asks for; ours where it says nothing.
#[expect(clippy::disallowed_methods, reason = "this is where the runner of a suite is told what to run on")]
pub fn from_environment() -> Result<Ground, String> {
    match std::env::var(VARIABLE).as_deref() {
        Err(_) | Ok("" | "simulated") => Ok(Ground::Own),
        Ok("turmoil") => Ok(Ground::Turmoil),
        Ok("real") => real(),
        Ok(other) => Err(format!("{VARIABLE} is `{other}`; known are `simulated`, `turmoil` and `real`")),
    }
}

/// What cargo tells a program that it runs, of the package it is from. There are build scripts that ask for it (ring's): told
/// something else than the last time they run again, and all that stands on them is built again.
const TOLD: [&str; 7] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// The loopback, with the program `pbx` as it is built from these sources.
pub fn real() -> Result<Ground, String> {
    // As `cargo test` builds it, of which this is a part: asked for alone it would have other features, and all be built again.
    let mut build = Command::new(env!("CARGO"));
    build.args(["test", "--quiet", "--no-run", "--test", "cli"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    TOLD.iter().for_each(|name| {
        build.env_remove(name);
    });
    let built = build
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("cargo cannot be started to build the PBX: {error}"))?;
    if !built.success() {
        return Err("the PBX cannot be built".to_owned());
    }
    let program = beside_this_program().ok_or("this program does not stand where cargo builds programs")?;
    Ok(Ground::Real(program))
}

/// The scenarios that can be tried on this ground, to be played on it.
pub fn those_for(cases: impl Iterator<Item = Case>, ground: &Ground) -> impl Iterator<Item = Case> {
    let (is_real, is_own) = (matches!(ground, Ground::Real(_)), *ground == Ground::Own);
    cases
        .filter(move |case| !is_real || case.has_tag(REAL))
        // Weathers are those of our network.
        .filter(move |case| is_own || case.weather.is_none())
        .map(|case| Case { ground: ground.clone(), ..case })
}

/// `target/debug/pbx` for `target/debug/deps/features-1234`.
fn beside_this_program() -> Option<PathBuf> {
    let this = std::env::current_exe().ok()?;
    let folder = this.ancestors().skip(1).find(|folder| folder.join("pbx").is_file())?;
    Some(folder.join("pbx"))
}
