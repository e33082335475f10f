//! What a suite tells: names, variants, stories, results for machines, and what it leaves behind
//! (SIM-12, SIM-14, SIM-16).

use clap::Parser as _;
use scenarios::keep::{folder_of, run_of};
use scenarios::play::{Failure, Settings, Terms};
use scenarios::report;
use scenarios::suite::{Arguments, Case, cases, run};
use serde_json::Value;
use simulator::artefacts::LIMIT;
use simulator::ladder::Style;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const BROKEN: &str = "@office
Feature: The office
  Background:
    Given alice has registered

  Scenario: Somebody <waits> too long
    When alice calls \"nobody\"
    And 1 second passes
    Then alice's call is still up
    And alice's call is over

  Scenario: All is well
    When alice calls the tone
    And 2 seconds pass
    Then alice's call is still up
";

#[test]
fn results_are_written_for_machines_and_artefacts_for_people() {
    let root = folder("results", &[("office.feature", BROKEN)]);
    let (junit, json, kept) = (root.join("junit.xml"), root.join("results.json"), root.join("kept"));
    let play = || {
        let path = |path: &Path| path.display().to_string();
        let arguments =
            ["features", "--junit", &path(&junit), "--json", &path(&json), "--keep", &path(&kept)];
        run(&root.join("features"), &Arguments::parse_from(arguments))
    };
    assert_eq!(play(), Ok(false));

    let results: Value = serde_json::from_str(&read(&json)).expect("an object");
    assert_eq!((&results["passed"], &results["failed"]), (&1.into(), &1.into()));
    let failed = &results["scenarios"][0];
    assert_eq!(failed["name"], "office: Somebody <waits> too long");
    assert_eq!(failed["outcome"], "failed");
    assert_eq!(failed["tags"], serde_json::json!(["@office"]));
    assert_eq!(failed["sentence"], "Then alice's call is still up");
    assert_eq!((&failed["sentence_line"], &failed["skipped"]), (&9.into(), &1.into()));
    assert!(failed["place"].as_str().is_some_and(|place| place.ends_with("office.feature:6")), "{failed}");
    let files: Vec<PathBuf> = serde_json::from_value(failed["artefacts"].clone()).expect("paths");
    assert!(files.iter().all(|file| file.exists()), "{files:?}");
    let page = kept.join("office/Somebody-waits-too-long/report.html");
    assert!(files.contains(&page), "{files:?}");

    let xml = read(&junit);
    assert!(xml.contains("<testsuites name=\"features\" tests=\"2\" failures=\"1\""), "{xml}");
    assert!(xml.contains("name=\"Somebody &lt;waits&gt; too long\""), "{xml}");
    assert!(
        xml.contains("<failure message=\"but alice&#39;s call is over")
            || xml.contains("<failure message=\"but ")
    );
    assert!(xml.contains(&format!("[[ATTACHMENT|{}]]", page.display())), "{xml}");

    // What was left of a failure is gone when it is mended.
    let mended = BROKEN.replace("    Then alice's call is still up\n    And alice's call is over\n", "");
    fs::write(root.join("features/office.feature"), mended).expect("a folder of our own");
    assert_eq!(play(), Ok(true));
    assert!(!page.exists(), "what was left of a failure is still there");
}

#[test]
fn a_story_fits_a_terminal_and_says_how_to_see_it_again() {
    let root = folder("story", &[("office.feature", BROKEN)]);
    let case = &all(&root)[0];
    let outcome = case.play(settings(3));
    let story = report::story(case, &outcome, Some("target/tandem/x"), Style::default());
    assert!(story.lines().count() < 40, "{story}");
    assert!(story.lines().all(|line| line.chars().count() <= 100 || line.contains("again:")), "{story}");
    for told in [
        "   Then alice's call is still up\n  but ",
        "1 later sentence was skipped",
        "404 Not Found",
        "target/tandem/x/report.html",
        "office.feature:6 --seed 3 --ladder",
    ] {
        assert!(story.contains(told), "{told} is missing in\n{story}");
    }
    assert!(story.is_ascii(), "{story}");
}

#[test]
fn where_a_rule_is_broken_the_ladder_points_at_it() {
    let root = folder("rule", &[("office.feature", BROKEN)]);
    let case = &all(&root)[1];
    let mut outcome = case.play_on(settings(1), Terms { keeps: true, ..Terms::default() });
    assert!(outcome.failure.is_none(), "{:?}", outcome.failure);
    // As if a rule had found something where the tone was asked for.
    let first = outcome.said[1].at;
    outcome.failure = Some(Failure::Rule("T0 is broken at 0.005s: it is for this test".to_owned()));
    outcome.moment = first;
    let story = report::story(case, &outcome, None, Style::default());
    let pointer = story.lines().position(|line| line.starts_with('>')).expect("a pointer");
    let lines: Vec<&str> = story.lines().collect();
    assert!(lines[pointer].contains("-- INVITE 9197"), "{story}");
    assert!(lines[pointer - 1].contains("200 OK (REGISTER)"), "{story}");
    assert!(lines[pointer + 1..].iter().any(|line| line.contains("180 Ringing")), "{story}");
    let page = run_of(case, &outcome).expect("it was kept").files(LIMIT);
    let page = page.iter().find(|file| file.name == "report.html").expect("a page");
    assert!(String::from_utf8_lossy(&page.bytes).contains("a rule is broken"));
}

#[test]
fn a_tag_plays_a_scenario_again_in_a_weather_and_with_many_seeds() {
    let text = "Feature: Tags\n\n  @net(jittery) @net(far) @seeds(3)\n  Scenario: A call\n    Given alice calls the tone\n";
    let root = folder("tags", &[("tags.feature", text)]);
    let cases = all(&root);
    let names: Vec<_> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["tags: A call", "tags: A call (net jittery)", "tags: A call (net far)"]);
    assert!(cases.iter().all(|case| case.seeds == 3));
    let traces: BTreeSet<_> = cases.iter().map(|case| case.play(settings(1)).hash).collect();
    assert_eq!(traces.len(), 3, "a weather changes nothing");
    let places: BTreeSet<_> = cases.iter().map(|case| folder_of(case, Path::new(""))).collect();
    assert_eq!(places.len(), 3);
}

#[test]
fn a_tag_that_means_nothing_is_refused_with_its_place() {
    for (tag, why) in [("@net(foggy)", "no such weather"), ("@seeds(many)", "a number of seeds")] {
        let text = format!("Feature: Tags\n  {tag}\n  Scenario: A call\n    Given alice calls the tone\n");
        let root = folder(&format!("tag-{}", &tag[1..5]), &[("tags.feature", &text)]);
        let refused = cases(&root.join("features")).expect_err("the tag means nothing");
        assert!(refused.contains("tags.feature:3: ") && refused.contains(why), "{refused}");
    }
}

#[test]
fn rows_of_an_outline_have_names_of_their_own() {
    let text = "Feature: Rows\n  Scenario Outline: A call\n    Given <who> calls the tone\n\n    Examples:\n      | who |\n      \
                | alice |\n      | bob |\n";
    let root = folder("rows", &[("rows.feature", text)]);
    let names: Vec<_> = all(&root).into_iter().map(|case| case.name).collect();
    assert_eq!(names, ["rows: A call", "rows: A call #2"]);
}

#[test]
fn no_two_scenarios_of_ours_have_one_name_or_one_folder() {
    let features = Path::new(env!("CARGO_MANIFEST_DIR")).join("../features");
    let cases = cases(&features).expect("the features can be read");
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    let folders: BTreeSet<_> = cases.iter().map(|case| folder_of(case, Path::new(""))).collect();
    assert_eq!((names.len(), folders.len()), (cases.len(), cases.len()));
}

#[test]
fn a_scenario_is_played_up_to_a_moment_and_looked_at() {
    let root = folder("until", &[("office.feature", BROKEN)]);
    let place = root.join("features/office.feature:12").display().to_string();
    let kept = root.join("kept");
    let kept_text = kept.display().to_string();
    let output = simulate(&["play", &place, "--until", "1.7s", "--state", "--keep", &kept_text]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}");
    assert!(told.starts_with("office: All is well ... ok, 1.700000s of virtual time"), "{told}");
    let state = &told[told.find('{').expect("a state")..=told.rfind('}').expect("a state")];
    let state: Value = serde_json::from_str(state).expect("an object");
    assert_eq!(state["virtual_secs"], 1.7);
    assert_eq!(state["telephones"]["alice"]["lines"][0]["state"], "talking");

    // What was written down is drawn as it was when it was played.
    let drawn = simulate(&["ladder", &kept.join("trace.jsonl").display().to_string()]);
    let ladder = simulate(&["play", &place, "--until", "1.7s", "--ladder"]);
    let drawn = String::from_utf8_lossy(&drawn.stdout).into_owned();
    assert!(drawn.contains("INVITE 9197"), "{drawn}");
    assert!(String::from_utf8_lossy(&ladder.stdout).contains(&drawn));
}

#[test]
fn several_scenarios_are_kept_in_a_folder_each() {
    let root = folder("several", &[("office.feature", BROKEN)]);
    let file = root.join("features/office.feature").display().to_string();
    let kept = root.join("kept");
    let output = simulate(&["play", &file, "--keep", &kept.display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    for name in ["office/All-is-well", "office/Somebody-waits-too-long"] {
        assert!(kept.join(name).join("capture.pcapng").exists(), "{name} is not there");
    }
    let refused = simulate(&["play", "no.feature"]);
    assert_eq!(refused.status.code(), Some(2));
}

fn simulate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_simulate")).args(arguments).output().expect("it is built")
}

fn settings(seed: u64) -> Settings {
    Settings { seed, until: None }
}

fn all(root: &Path) -> Vec<Case> {
    cases(&root.join("features")).expect("features of our own")
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// A folder for one test with these features in it.
fn folder(name: &str, features: &[(&str, &str)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("runner-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("features")).expect("a folder of our own");
    for (name, text) in features {
        fs::write(folder.join("features").join(name), text).expect("a folder of our own");
    }
    folder
}
