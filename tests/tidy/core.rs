//! The core is told everything: no room but the shell names a socket, a file, a thread or a clock. Nor does a
//! simulated world have a socket or a clock.

use crate::rust::{Path, paths, without_comments, without_strings};
use crate::source::{Source, repository};
use crate::{findings_in, holds};

#[test]
fn the_core_touches_nothing_outside() {
    holds("only the shell touches the world", outside_findings(&repository()));
}

#[test]
fn exceptions_stand_in_the_open() {
    holds(
        "clippy's disallowed list has its exceptions in the shell, with a reason",
        exceptions(&repository()),
    );
}

#[test]
fn a_simulated_world_touches_nothing_real() {
    holds("no simulated world opens a socket or reads a clock", real_findings(&repository()));
}

#[test]
fn unsafe_code_stands_where_the_architecture_says() {
    holds("`unsafe` stands in the files that docs/architecture.md names", unsafe_findings(&repository()));
}

/// Where the compiler has to believe us.
const UNSAFE: [&str; 3] =
    ["pbx/src/shell/media_socket.rs", "pbx/src/shell/real.rs", "simulator/src/guards/os.rs"];

fn unsafe_findings(sources: &[Source]) -> Vec<String> {
    let is_program = |source: &&Source| {
        let folders = ["pbx/src/", "simulator/src/", "scenarios/src/"];
        source.is_rust() && folders.iter().any(|folder| source.path.starts_with(folder))
    };
    let elsewhere =
        sources.iter().filter(is_program).filter(|source| !UNSAFE.contains(&source.path.as_str()));
    let mut findings = Vec::new();
    for source in elsewhere {
        let code = without_strings(&without_comments(&source.text));
        let lines = code.lines().enumerate().filter(|(_, line)| {
            line.split(|character: char| !character.is_alphanumeric() && character != '_')
                .any(|word| word == "unsafe")
        });
        findings.extend(lines.map(|(at, line)| format!("{}:{}: {}", source.path, at + 1, line.trim())));
    }
    findings
}

/// A path that begins like this is for the shell alone.
const OUTSIDE: [&str; 33] = [
    "std::env",
    "std::fs",
    "std::io::stderr",
    "std::io::stdin",
    "std::io::stdout",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::sync::Condvar",
    "std::sync::Mutex",
    "std::sync::RwLock",
    "std::sync::mpsc",
    "std::thread::Builder",
    "std::thread::current",
    "std::thread::scope",
    "std::thread::sleep",
    "std::thread::spawn",
    "std::time::Instant",
    "std::time::SystemTime",
    "axum",
    "clap",
    "getrandom",
    "libc",
    "prometheus_client",
    "rand::rng",
    "rand::thread_rng",
    "socket2",
    "tokio",
    "tracing_subscriber",
    "hyper",
];

/// A path that begins like this is for real worlds alone.
const REAL: [&str; 7] = [
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio::net",
    "tokio::time",
];

/// Where the time is taken that people wait for a simulated world.
const WATCH: &str = "scenarios/src/stopwatch.rs";
/// Where a world that is played on the loopback of this machine touches it.
const LOOPBACK: [&str; 3] =
    ["simulator/src/network/far.rs", "simulator/src/network/ground.rs", "simulator/src/office/process.rs"];
/// Where the clock of turmoil is moved, which is tokio's.
const TURMOIL: &str = "simulator/src/network/steps.rs";

fn outside_findings(sources: &[Source]) -> Vec<String> {
    named_in(sources.iter().filter(|source| is_core(source)), &OUTSIDE)
}

fn real_findings(sources: &[Source]) -> Vec<String> {
    let is_simulated = |source: &&Source| {
        source.is_rust()
            && ["simulator/src/", "scenarios/src/"].iter().any(|folder| source.path.starts_with(folder))
            && ![WATCH, TURMOIL].contains(&source.path.as_str())
    };
    let is_excepted = |source: &&Source| LOOPBACK.contains(&source.path.as_str());
    named_in(sources.iter().filter(is_simulated).filter(|source| !is_excepted(source)), &REAL)
}

fn named_in<'a>(sources: impl Iterator<Item = &'a Source>, refused: &[&str]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        let named = paths(&source.text).into_iter().filter(|path| reaches(path, refused));
        findings.extend(named.map(|path| format!("{}:{}: {}", source.path, path.line, path.text())));
    }
    findings
}

fn is_core(source: &Source) -> bool {
    let Some(inside) = source.path.strip_prefix("pbx/src/") else { return false };
    source.is_rust() && !is_shell(&source.path) && inside != "main.rs" && !inside.starts_with("bin/")
}

fn is_shell(path: &str) -> bool {
    path.starts_with("pbx/src/shell/") || path == "pbx/src/shell.rs"
}

/// Also what stops short of a refused item, because the rest would be written where we do not see it.
fn reaches(path: &Path, refused: &[&str]) -> bool {
    let mut named = path.segments.iter().map(String::as_str).collect::<Vec<_>>();
    if matches!(named.last(), Some(&"*" | &"self")) {
        named.pop();
    }
    refused.iter().any(|refused| {
        let refused = refused.split("::").collect::<Vec<_>>();
        named.starts_with(&refused) || refused.starts_with(&named)
    })
}

/// What is disallowed has no exception in the core; elsewhere it is expected, with a reason.
fn exceptions(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust() && !holds_examples(source)) {
        for (line, text) in lints_of(&without_comments(&source.text)) {
            let refused = if is_core(source) {
                "stands in the core"
            } else if text.starts_with("allow") {
                "would stay when the need has gone: write `expect`"
            } else if !text.contains("reason") {
                "gives no reason"
            } else {
                continue;
            };
            findings.push(format!("{}:{line}: {refused}", source.path));
        }
    }
    findings
}

/// Every attribute that switches off a disallowed method or type, with its line.
fn lints_of(code: &str) -> Vec<(usize, &str)> {
    let lint = "clippy::disallowed_";
    let attribute = |at: usize| {
        let before = &code[..at];
        let open = before.rfind("#[").max(before.rfind("#!["))?;
        let start = open + code[open..].find('[')? + 1;
        let end = code[at..].find(")]").map_or(code.len(), |length| at + length);
        let text = &code[start..end];
        let switches_off = text.starts_with("expect") || text.starts_with("allow");
        switches_off.then_some((before.lines().count(), text))
    };
    code.match_indices(lint).filter_map(|(at, _)| attribute(at)).collect()
}

/// The examples below are in strings of this file.
fn holds_examples(source: &Source) -> bool {
    source.path == "tests/tidy/core.rs"
}

#[test]
fn a_socket_in_the_core_is_found() {
    let found = |text| findings_in("pbx/src/call/leg.rs", text, outside_findings).len();

    assert_eq!(found("use std::net::{IpAddr, UdpSocket};"), 1);
    assert_eq!(found("use std::time::{Duration, Instant};"), 1);
    assert_eq!(found("fn f() { let now = std::time::SystemTime::now(); }"), 1);
    assert_eq!(found("use std::fs;"), 1);
    assert_eq!(found("use std::{fmt, thread};"), 1);
    assert_eq!(found("use std::net::*;"), 1);
    assert_eq!(found("use std::net::{self, IpAddr};"), 1);
    assert_eq!(found("use std::time;"), 1);
    assert_eq!(found("use tokio::net::UdpSocket;"), 1);
    assert_eq!(found("#[cfg(test)] mod tests { fn f() { std::env::var(\"HOME\"); } }"), 1);
}

#[test]
fn a_clock_in_a_simulated_world_is_found() {
    let found = |text| findings_in("simulator/src/world.rs", text, real_findings).len();

    assert_eq!(found("use std::time::{Duration, Instant};"), 1);
    assert_eq!(found("use tokio::net::UdpSocket;"), 1);
    assert_eq!(found("async fn f() { tokio::time::sleep(LONG).await; }"), 1);
    assert_eq!(found("use pbx::shell::timer; use std::net::SocketAddr;"), 0);
}

#[test]
fn unsafe_code_elsewhere_is_found() {
    let found = |path, text| findings_in(path, text, unsafe_findings).len();

    assert_eq!(found("pbx/src/sip/parse.rs", "fn f() { unsafe { g() } }"), 1);
    assert_eq!(found("simulator/src/world.rs", "unsafe impl Send for World {}"), 1);
    assert_eq!(found("pbx/src/sip/parse.rs", "// unsafe\nconst S: &str = \"unsafe\"; fn is_unsafe() {}"), 0);
    assert_eq!(found("pbx/src/shell/real.rs", "fn f() { unsafe { g() } }"), 0);
}

#[test]
fn values_are_no_sockets() {
    let found = |path, text| findings_in(path, text, outside_findings).len();

    assert_eq!(
        found("pbx/src/sip/uri.rs", "use std::net::{IpAddr, SocketAddr}; use std::time::Duration;"),
        0
    );
    assert_eq!(found("pbx/src/sip/uri.rs", "use crate::time::Instant; // not std::time::Instant"), 0);
    assert_eq!(found("pbx/src/shell/udp.rs", "use std::net::UdpSocket;"), 0);
    assert_eq!(found("pbx/src/main.rs", "use std::env;"), 0);
}

#[test]
fn a_hidden_exception_is_found() {
    let found = |path, text| findings_in(path, text, exceptions);

    let expected = "#![expect(clippy::disallowed_methods, reason = \"here the clock is read\")]";
    assert_eq!(found("pbx/src/shell/clock.rs", expected), [""; 0]);
    assert_eq!(found("pbx/src/main.rs", expected), [""; 0]);
    assert_eq!(found("pbx/src/call/leg.rs", expected).len(), 1);
    assert_eq!(found("pbx/src/shell/clock.rs", "#[expect(clippy::disallowed_types)]").len(), 1);
    assert_eq!(
        found("pbx/src/shell/clock.rs", "#[allow(clippy::disallowed_types, reason = \"x\")]").len(),
        1
    );
}
