//! `docs/configuration.md` says what the code does: every key with its default, and an example that works.

use super::*;
use std::collections::{BTreeMap, BTreeSet};

const DOCUMENT: &str = include_str!("../../../docs/configuration.md");

/// The sections with a file that has nothing wrong but one key too many in that section.
const SECTIONS: [(&str, &str); 23] = [
    ("[sip]", "[sip]\nnosuchkey = 1"),
    ("[tls]", "[tls]\nnosuchkey = 1"),
    ("[behavior]", "[behavior]\nnosuchkey = 1"),
    ("[media]", "[media]\nnosuchkey = 1"),
    ("[auth]", "[auth]\nnosuchkey = 1"),
    ("[limits]", "[limits]\nnosuchkey = 1"),
    ("[http]", "[http]\nnosuchkey = 1"),
    ("[recording]", "[recording]\nnosuchkey = 1"),
    ("[rwi]", "[rwi]\nnosuchkey = 1"),
    ("[[rwi.tokens]]", "[[rwi.tokens]]\nnosuchkey = 1"),
    ("[[rwi.contexts]]", "[[rwi.contexts]]\nnosuchkey = 1"),
    ("[rwi.webhook]", "[rwi.webhook]\nnosuchkey = 1"),
    ("[cdr]", "[cdr]\nnosuchkey = 1"),
    ("[router]", "[router]\nnosuchkey = 1"),
    ("[calendar]", "[calendar]\nnosuchkey = 1"),
    ("[voicemail]", "[voicemail]\nnosuchkey = 1"),
    ("[[mailboxes]]", "[[mailboxes]]\nnosuchkey = 1"),
    ("[[extensions]]", "[[extensions]]\nnosuchkey = 1"),
    ("[[queues]]", "[[queues]]\nnosuchkey = 1"),
    ("[[trunks]]", "[[trunks]]\nnosuchkey = 1"),
    ("targets", "[[trunks]]\ntargets = [{ nosuchkey = 1 }]"),
    ("[[routes]]", "[[routes]]\nnosuchkey = 1"),
    ("when", "[[routes]]\nwhen = { nosuchkey = 1 }"),
];

#[test]
fn every_key_is_documented_and_every_documented_key_is_one() {
    for (section, probe) in SECTIONS {
        let documented: BTreeSet<_> = rows(section).into_keys().collect();
        assert_eq!(documented, keys_the_code_takes(probe), "the keys of {section}");
    }
    let params: BTreeSet<_> = rows("app_params").into_keys().collect();
    assert_eq!(params, keys_the_code_takes("[[routes]]\napp_params = { nosuchkey = 1 }"), "app_params");
    let sections: BTreeSet<_> = keys_the_code_takes("nosuchkey = 1");
    let documented = SECTIONS.iter().map(|(section, _)| section.trim_matches(['[', ']']).to_owned());
    assert_eq!(
        sections,
        documented
            .filter(|name| !matches!(name.as_str(), "targets" | "when") && !name.contains('.'))
            .collect()
    );
}

#[test]
fn every_documented_default_is_what_holds_without_it() {
    let silent = format!("{:?}", Config::parse("", "empty").expect("everything has a default"));
    for (section, _) in SECTIONS.into_iter().filter(|(section, _)| {
        !section.contains("[[") && !matches!(*section, "targets" | "when" | "[router]" | "[rwi.webhook]")
    }) {
        for (key, default) in rows(section) {
            let Some(default) = default else { continue };
            let text = format!("{section}\n{key} = {default}");
            let said = Config::parse(&text, "f").unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(format!("{said:?}"), silent, "{section} {key} = {default}");
        }
    }
}

#[test]
fn what_stands_behind_a_hash_in_the_embedded_configuration_holds_anyway() {
    let is_hidden =
        |line: &&str| line.strip_prefix("# ").is_some_and(|rest| rest.split(' ').nth(1) == Some("="));
    let hidden: Vec<_> = Config::DEFAULT.lines().filter(is_hidden).collect();
    assert!(hidden.len() > 15);
    for line in hidden.into_iter().filter(|line| !line.contains("external_address")) {
        let text = Config::DEFAULT.replace(line, line.trim_start_matches("# "));
        let config = Config::parse(&text, "default.toml").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()), "{line}");
    }
}

#[test]
fn the_examples_work() {
    let examples: Vec<_> =
        DOCUMENT.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 2);
    for example in examples {
        let config =
            Config::parse(example, "docs/configuration.md").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config.warnings(), Vec::<String>::new(), "{example}");
    }
}

/// The keys of a table with their defaults, where they have one that can be written.
fn rows(section: &str) -> BTreeMap<String, Option<String>> {
    let heading = format!("\n## `{section}`");
    let (_, rest) = DOCUMENT.split_once(&heading).unwrap_or_else(|| panic!("no section {section}"));
    let table = rest.split("\n## ").next().unwrap_or_default().lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<_> = line.split(" | ").map(str::trim).collect();
        let code = |cell: &str| {
            cell.trim_matches(['|', ' ']).strip_prefix('`')?.strip_suffix('`').map(str::to_owned)
        };
        (code(cells[0]).expect("a key"), code(cells[2]))
    };
    table.map(row).collect()
}

fn keys_the_code_takes(probe: &str) -> BTreeSet<String> {
    let message = Config::parse(probe, "probe").expect_err(probe).message;
    let mut quoted = message.split('`').skip(1).step_by(2);
    assert_eq!(quoted.next(), Some("nosuchkey"), "{message}");
    quoted.map(str::to_owned).collect()
}
