//! Rules on any text: its size, the machine it was written on, the ports a test takes, and the sign on the door.

use crate::rust::{without_comments, without_strings};
use crate::source::{Source, repository};
use crate::{findings_in, holds};

#[test]
fn files_can_be_read_from_the_top() {
    holds("no Rust file has more than 900 lines", long_files(&repository()));
}

#[test]
fn every_file_says_what_it_is() {
    holds("a Rust file begins with `//!`", unsigned_files(&repository()));
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    holds("no path of somebody's machine", machine_paths(&repository()));
}

#[test]
fn tests_ask_the_system_for_a_port() {
    holds("no fixed port is bound: ask for port 0", fixed_ports(&repository()));
}

#[test]
fn names_say_what_a_thing_is() {
    holds("no `Manager`, no `utils`", empty_names(&repository()));
}

#[test]
fn nobody_shouts_in_pictures() {
    holds("no emoji", emoji(&repository()));
}

const MOST_LINES: usize = 900;

fn long_files(sources: &[Source]) -> Vec<String> {
    let lines = |source: &Source| source.text.lines().count();
    let long = sources.iter().filter(|source| source.is_rust() && lines(source) > MOST_LINES);
    long.map(|source| format!("{}: {} lines", source.path, lines(source))).collect()
}

fn unsigned_files(sources: &[Source]) -> Vec<String> {
    let starts = |source: &Source| source.text.trim_start_matches("#![no_main]\n").starts_with("//!");
    let unsigned = sources.iter().filter(|source| source.is_rust() && !starts(source));
    unsigned.map(|source| format!("{}: the first line is no `//!`", source.path)).collect()
}

fn empty_names(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let code = without_strings(&without_comments(&source.text));
        for (number, line) in code.lines().enumerate() {
            let words = line.split(|character: char| !character.is_alphanumeric() && character != '_');
            let defined = words.clone().zip(words.skip(1)).filter(|(kind, name)| is_empty_name(kind, name));
            findings.extend(defined.map(|(_, name)| format!("{}:{}: {name}", source.path, number + 1)));
        }
    }
    findings
}

fn is_empty_name(kind: &str, name: &str) -> bool {
    match kind {
        "struct" | "enum" | "trait" => name.ends_with("Manager"),
        "mod" => ["utils", "util", "helpers", "common", "misc"].contains(&name),
        _ => false,
    }
}

fn emoji(sources: &[Source]) -> Vec<String> {
    let is_emoji = |character: char| matches!(character, '\u{2600}'..='\u{27bf}' | '\u{1f000}'..='\u{1faff}');
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| !source.path.starts_with("fixtures/")) {
        let lines = source.text.lines().enumerate().filter(|(_, line)| line.contains(is_emoji));
        findings.extend(lines.map(|(number, _)| format!("{}:{}", source.path, number + 1)));
    }
    findings
}

/// Beginnings of paths which exist on one machine only. `concat!` keeps this file from finding itself.
const MACHINE: [&str; 5] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
    concat!("C:", "\\"),
];

fn machine_paths(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        for (number, line) in source.text.lines().enumerate() {
            let named = MACHINE.iter().filter(|path| begins_a_path(line, path));
            findings.extend(named.map(|path| format!("{}:{}: {path}", source.path, number + 1)));
        }
    }
    findings
}

/// `~/work/x` and `example.com/home/` are not paths from the root of a machine.
fn begins_a_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|character| !character.is_alphanumeric() && !"./~-_$}".contains(character))
    })
}

fn fixed_ports(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust() && source.path != "tests/tidy/text.rs") {
        let code = without_comments(&source.text);
        for (at, call) in code.match_indices("bind(") {
            let arguments = until_closed(&code[at + call.len()..]);
            if let Some(port) = port_in(arguments) {
                let line = code[..at].lines().count();
                findings.push(format!("{}:{line}: port {port} is bound", source.path));
            }
        }
    }
    findings
}

fn until_closed(rest: &str) -> &str {
    let mut open = 1;
    for (at, character) in rest.char_indices() {
        match character {
            '(' => open += 1,
            ')' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return &rest[..at];
        }
    }
    rest
}

/// The port of a literal address: `"127.0.0.1:5060"`, `"[::1]:5060"` or `("127.0.0.1", 5060)`.
fn port_in(arguments: &str) -> Option<&str> {
    arguments.match_indices([':', ',']).find_map(|(at, _)| {
        let rest = arguments[at + 1..].trim_start();
        let digits = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
        let ends = rest[digits..].trim_start().chars().next().is_none_or(|next| "\")".contains(next));
        (ends && rest[..digits].parse::<u16>().is_ok_and(|port| port > 0)).then_some(&rest[..digits])
    })
}

#[test]
fn a_long_file_is_found() {
    assert_eq!(findings_in("pbx/src/sip/uri.rs", &"\n".repeat(901), long_files).len(), 1);
    assert_eq!(findings_in("pbx/src/sip/uri.rs", &"\n".repeat(900), long_files).len(), 0);
}

#[test]
fn a_file_without_a_sign_is_found() {
    assert_eq!(findings_in("pbx/src/sip/uri.rs", "use std::fmt;", unsigned_files).len(), 1);
    assert_eq!(findings_in("pbx/src/sip/uri.rs", "//! URIs.\n", unsigned_files).len(), 0);
}

#[test]
fn an_empty_name_is_found() {
    let found = |text| findings_in("pbx/src/sip/uri.rs", text, empty_names).len();

    assert_eq!(found("pub struct CallManager;"), 1);
    assert_eq!(found("mod utils;"), 1);
    assert_eq!(found("fn target(&self) {} // mod utils"), 0);
}

#[test]
fn an_emoji_is_found() {
    assert_eq!(findings_in("README.md", "It works \u{1f389}", emoji).len(), 1);
    assert_eq!(findings_in("README.md", "It works \u{2192} see below", emoji).len(), 0);
}

#[test]
fn a_path_of_a_machine_is_found() {
    let home = concat!("open /ho", "me/alice/config.toml");

    assert_eq!(findings_in("docs/configuration.md", home, machine_paths).len(), 1);
    assert_eq!(findings_in("docs/configuration.md", "https://example.com/home/x", machine_paths).len(), 0);
}

#[test]
fn a_fixed_port_is_found() {
    let found = |text| findings_in("pbx/tests/cli.rs", text, fixed_ports).len();

    assert_eq!(found("UdpSocket::bind(\"127.0.0.1:5060\")"), 1);
    assert_eq!(found("UdpSocket::bind((\"127.0.0.1\", 5060))"), 1);
    assert_eq!(found("host.bind(addr(\"[::1]:5060\"))"), 1);
    assert_eq!(found("UdpSocket::bind(\"127.0.0.1:0\")"), 0);
    assert_eq!(found("UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))"), 0);
    assert_eq!(found("UdpSocket::bind(address); f(\"127.0.0.1:5060\")"), 0);
}
