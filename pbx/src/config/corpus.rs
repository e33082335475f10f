//! Every file of `fixtures/config` is accepted, or refused with the words beside it; no text at all makes us panic.

use super::*;
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

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
fn the_embedded_configuration_listens_on_this_machine_only_and_says_who_there_is() {
    let config = Config::default();
    let listen: Vec<_> = config.sip.listen.iter().map(|(t, address)| format!("{t}:{address}")).collect();
    assert_eq!(listen, ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]);
    assert_eq!(config.http.as_ref().map(|http| http.listen.to_string()).as_deref(), Some("127.0.0.1:8080"));
    let numbers: Vec<_> = config.extensions.iter().map(|extension| extension.number.as_str()).collect();
    assert_eq!(numbers, ["1001", "1002", "1003", "1004"]);
    assert!(config.extensions.iter().all(|extension| extension.password == extension.number));
    let app = |number: &str| config.routes.iter().find(|route| route.to_user.matches(number)).map(|r| &r.app);
    assert_eq!(app("9196"), Some(&App::Echo));
    assert!(matches!(app("9197"), Some(App::Tone { frequency: Some(440.0), .. })));
    assert!(app("4711").is_none() && config.behavior.auto_answer, "any other number is answered by the tone");
    assert_eq!(config.warnings(), Vec::<String>::new());
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
fn with_extensions_nobody_is_answered_by_the_tone_unless_it_is_said() {
    let office = "[[extensions]]\nnumber = '1'\npassword = 'x'\n";
    assert!(!Config::parse(office, "f").expect("good").behavior.auto_answer);
    let tone = format!("[behavior]\nauto_answer = true\n{office}");
    assert!(Config::parse(&tone, "f").expect("good").behavior.auto_answer);
}

#[test]
fn secrets_are_not_in_what_is_logged() {
    let text = fs::read_to_string(folder("good").join("office.toml")).expect("a text");
    let config = Config::parse(&text, "office.toml").expect("it is good");
    assert!(config.extensions.iter().chain(&[]).all(|extension| extension.password.contains("hush")));
    assert!(!format!("{config:?}").contains("hush"));
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,80}") {
        let _ = Config::parse(&text, "f").map_err(|error| error.to_string());
    }

    #[test]
    fn no_broken_configuration_panics(
        breaks in prop::collection::vec((any::<prop::sample::Index>(), "\\PC?|\n|\"|\\[|="), 1..8)
    ) {
        let mut text: Vec<String> = Config::DEFAULT.chars().map(String::from).collect();
        for (at, with) in breaks {
            let at = at.index(text.len());
            text[at] = with;
        }
        let text = text.concat();
        if let Err(error) = Config::parse(&text, "f") {
            prop_assert!(error.line <= text.matches('\n').count() + 1);
            prop_assert!(error.to_string().lines().count() >= 3);
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
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/config").join(kind)
}

fn name(file: &Path) -> String {
    file.file_name().expect("a name").to_string_lossy().into_owned()
}
