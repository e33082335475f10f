//! Every file of `fixtures/config` is accepted, or refused with the words beside it (CORE-12).

use pbx::config::{Config, Zone};
use pbx::sip::Transport;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[test]
fn good_files_are_accepted() {
    for file in files("good") {
        let text = fs::read_to_string(&file).expect("a text");
        Config::parse(&text, &name(&file)).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn bad_files_are_refused_with_place_reason_and_mend() {
    for file in files("bad") {
        let text = fs::read_to_string(&file).expect("a text");
        let expected = fs::read_to_string(file.with_extension("err")).expect("what is expected");
        let error = Config::parse(&text, &name(&file)).expect_err(&name(&file));
        assert_eq!(format!("{error}\n"), expected, "{}", file.display());
    }
}

#[test]
fn the_three_sections_of_a_tone_server_are_a_tone_server() {
    let text = fs::read_to_string(folder("good").join("tone_server.toml")).expect("a text");
    let config = Config::parse(&text, "config.toml").expect("it is good");
    assert_eq!(config.sip.listen, [(Transport::Udp, "0.0.0.0:5060".parse().expect("an address"))]);
    assert_eq!(config.sip.domain, "example.com");
    assert!(config.behavior.auto_answer);
    assert_eq!(config.behavior.auto_answer_delay, Duration::from_millis(1_000));
    assert_eq!(config.behavior.tone_duration, Duration::from_secs(30));
    assert_eq!(config.behavior.max_concurrent_calls, 100);
    assert_eq!((config.media.rtp_port_start, config.media.rtp_port_end), (10_000, 20_000));
    assert_eq!(config.media.preferred_codecs, ["PCMU", "PCMA"]);
    assert!(config.routes.is_empty() && config.extensions.is_empty() && config.http.is_none());
}

#[test]
fn secrets_are_not_in_what_is_logged() {
    let text = fs::read_to_string(folder("good").join("office.toml")).expect("a text");
    let config = Config::parse(&text, "office.toml").expect("it is good");
    assert!(config.extensions.iter().chain(&[]).all(|extension| extension.password.contains("hush")));
    assert!(!format!("{config:?}").contains("hush"));
}

/// A file of the system's database ends with the rule that holds from now on.
#[test]
fn time_zones_have_the_rules_of_the_system() {
    for name in Zone::names() {
        let Ok(file) = fs::read(format!("/usr/share/zoneinfo/{name}")) else { continue };
        let text = String::from_utf8_lossy(&file);
        let rule = text.trim_end().lines().last().unwrap_or_default();
        // That Dublin's winter is what is not standard says the same in other words.
        if !rule.starts_with("IST-1GMT0") {
            assert_eq!(Zone::of(name), Zone::of(rule), "{name}: {rule}");
        }
    }
}

fn files(kind: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(folder(kind)).expect("a folder of fixtures");
    let mut files: Vec<_> = files
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(files.len() >= 3, "the fixtures are there");
    files
}

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/config").join(kind)
}

fn name(file: &Path) -> String {
    file.file_name().expect("a name").to_string_lossy().into_owned()
}
