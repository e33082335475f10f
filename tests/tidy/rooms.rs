//! A room uses the rooms above it in the list on the door of the crate, and the crates keep their direction.

use crate::rust::{Path, paths};
use crate::source::{Source, repository};
use crate::{findings_in, holds};

const DOOR: &str = "pbx/src/lib.rs";

#[test]
fn rooms_keep_to_their_imports() {
    let sources = repository();
    let rooms = rooms(&sources);
    assert!(rooms.len() > 10, "the list of rooms in {DOOR} was not understood: {rooms:?}");
    holds("a room uses only rooms above it", upward_uses(&sources, &rooms));
}

#[test]
fn every_room_is_on_the_door() {
    holds("every room is in the list on the door, once", door_findings(&repository()));
}

#[test]
fn crates_keep_their_direction() {
    holds("pbx knows no simulator, the simulator no scenarios", crate_findings(&repository()));
}

/// The rooms in the order of the table in `lib.rs`, top first.
fn rooms(sources: &[Source]) -> Vec<String> {
    let Some(door) = sources.iter().find(|source| source.path == DOOR) else { return Vec::new() };
    let rows = door.text.lines().filter_map(|line| line.strip_prefix("//! | [`"));
    rows.flat_map(|row| {
        let cell = row.split(" |").next().unwrap_or(row);
        cell.split("[`").map(|name| name.split('`').next().unwrap_or(name).to_owned()).collect::<Vec<_>>()
    })
    .collect()
}

fn upward_uses(sources: &[Source], rooms: &[String]) -> Vec<String> {
    let place = |name: &str| rooms.iter().position(|room| room == name);
    let mut findings = Vec::new();
    for source in sources {
        let Some(own) = room_of(&source.path) else { continue };
        for path in paths(&source.text) {
            let Some(used) = used_room(&source.path, &path) else { continue };
            let refused = match (place(own), place(used)) {
                (_, None) => "is no room on the door",
                (Some(own), Some(used)) if used > own => "is below it",
                (Some(_), Some(_)) => continue,
                (None, _) => "is used by a room that is not on the door",
            };
            let at = format!("{}:{}", source.path, path.line);
            findings.push(format!("{at}: `{own}` uses `{}`: `{used}` {refused}", path.text()));
        }
    }
    findings
}

/// The room a file of the library is in.
fn room_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("pbx/src/")?.strip_suffix(".rs")?;
    let room = inside.split('/').next().unwrap_or(inside);
    (!["lib", "main", "bin"].contains(&room)).then_some(room)
}

/// The room a path names, when it starts at the root of the crate.
fn used_room<'a>(file: &str, path: &'a Path) -> Option<&'a str> {
    let segments = &path.segments;
    if segments[0] == "crate" {
        return Some(&segments[1]);
    }
    let up = segments.iter().take_while(|segment| *segment == "super").count();
    let reaches_root = up > 0 && up == depth(file) + path.modules;
    if reaches_root { segments.get(up).map(String::as_str) } else { None }
}

/// How many modules deep a file is: `sip/mod.rs` is one, `sip/parse.rs` two.
fn depth(file: &str) -> usize {
    let inside = file.trim_start_matches("pbx/src/").trim_end_matches("/mod.rs");
    inside.split('/').count()
}

fn door_findings(sources: &[Source]) -> Vec<String> {
    let listed = rooms(sources);
    let Some(door) = sources.iter().find(|source| source.path == DOOR) else { return Vec::new() };
    let built = door.text.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "));
    let built = built.map(|rest| rest.trim_end_matches(';').to_owned()).collect::<Vec<_>>();
    let missing =
        built.iter().filter(|room| !listed.contains(room)).map(|room| format!("`{room}` is not listed"));
    let gone =
        listed.iter().filter(|room| !built.contains(room)).map(|room| format!("`{room}` does not exist"));
    let twice = listed.iter().enumerate().filter(|(at, room)| listed[..*at].contains(room));
    let twice = twice.map(|(_, room)| format!("`{room}` is listed twice"));
    missing.chain(gone).chain(twice).collect()
}

/// Each crate, and those that are built on it.
const BUILT_ON_IT: [(&str, &[&str]); 3] = [
    ("pbx/", &["simulator", "scenarios", "tandem"]),
    ("simulator/", &["scenarios", "tandem"]),
    ("scenarios/", &["tandem"]),
];

fn crate_findings(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for (folder, foreign) in BUILT_ON_IT {
        for source in sources.iter().filter(|source| source.path.starts_with(folder)) {
            if source.path.ends_with("/Cargo.toml") {
                let names = |line: &str| foreign.iter().any(|name| line.trim_start().starts_with(name));
                let lines = source.text.lines().filter(|line| names(line));
                findings.extend(lines.map(|line| format!("{}: {line}", source.path)));
            }
            if source.is_rust() {
                let used = paths(&source.text).into_iter();
                let used = used.filter(|path| foreign.contains(&path.segments[0].as_str()));
                findings.extend(used.map(|path| format!("{}:{}: {}", source.path, path.line, path.text())));
            }
        }
    }
    findings
}

#[cfg(test)]
fn three_rooms() -> Vec<String> {
    ["sip", "dialog", "call"].map(str::to_owned).to_vec()
}

#[test]
fn a_use_of_a_room_below_is_found() {
    let found = |path, text| upward_uses(&[Source::new(path, text)], &three_rooms()).len();

    assert_eq!(found("pbx/src/sip/mod.rs", "use crate::dialog::UserAgent;"), 1);
    assert_eq!(found("pbx/src/sip/parse.rs", "use crate::{sip::Uri, call::{Leg}};"), 1);
    assert_eq!(found("pbx/src/sip/parse.rs", "fn f(x: crate::call::Leg) {}"), 1);
    assert_eq!(found("pbx/src/sip/parse.rs", "use super::super::call::Leg;"), 1);
    assert_eq!(
        found("pbx/src/sip/mod.rs", "#[cfg(test)] mod tests { use super::super::call; use super::Uri; }"),
        1
    );
    assert_eq!(found("pbx/src/sip/mod.rs", "use crate::utilities::x;"), 1);
    assert_eq!(found("pbx/src/sip/mod.rs", "use crate::*;"), 1);
    assert_eq!(found("pbx/src/attic/mod.rs", "use crate::sip::Uri;"), 1);
}

#[test]
fn a_use_of_a_room_above_is_fine() {
    let found = |path, text| upward_uses(&[Source::new(path, text)], &three_rooms());

    assert_eq!(found("pbx/src/call/leg.rs", "use crate::{dialog::Reply, sip}; use super::Call;"), [""; 0]);
    assert_eq!(found("pbx/src/call/leg.rs", "mod tests { use super::*; use super::super::Call; }"), [""; 0]);
    assert_eq!(found("pbx/src/main.rs", "use crate::call::Leg;"), [""; 0]);
}

#[test]
fn a_room_that_is_not_on_the_door_is_found() {
    let door = "//! | [`sip`], [`sdp`](x) | text |\n//! | [`sip`] | again |\npub mod sip;\nmod hidden;\n";

    let findings = findings_in(DOOR, door, door_findings);

    assert_eq!(findings, ["`hidden` is not listed", "`sdp` does not exist", "`sip` is listed twice"]);
}

#[test]
fn a_use_of_a_crate_below_is_found() {
    let manifest = "[dev-dependencies]\nsimulator = { path = \"../simulator\" }\n";

    assert_eq!(findings_in("pbx/Cargo.toml", manifest, crate_findings).len(), 1);
    assert_eq!(findings_in("pbx/src/pbx.rs", "use simulator::World;", crate_findings).len(), 1);
    assert_eq!(findings_in("simulator/src/lib.rs", "use scenarios::play;", crate_findings).len(), 1);
    assert_eq!(findings_in("scenarios/src/lib.rs", "use simulator::world::World;", crate_findings).len(), 0);
}
