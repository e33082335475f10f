//! What holds where nothing is said, and that no text at all makes us panic.

use super::*;
use proptest::prelude::*;

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
fn with_extensions_nobody_is_answered_by_the_tone_unless_it_is_said() {
    let office = "[[extensions]]\nnumber = '1'\npassword = 'x'\n";
    assert!(!Config::parse(office, "f").expect("good").behavior.auto_answer);
    let tone = format!("[behavior]\nauto_answer = true\n{office}");
    assert!(Config::parse(&tone, "f").expect("good").behavior.auto_answer);
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
