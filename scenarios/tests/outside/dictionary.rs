//! All sentences, and the nearest to a slip of the tongue.

use scenarios::dictionary::{check, nearest, sentences};

#[test]
fn every_sentence_that_is_written_is_linked() {
    assert_eq!(check(), Ok(()));
}

#[test]
fn a_sentence_may_take_several_lines_in_its_source() {
    let all = sentences();
    // It is longer than a line of ours may be.
    let text =
        "calls to {actor} that are not answered, and those that come while it is busy, go to the mailbox";
    let long = all.iter().find(|sentence| sentence.text == text).expect("it is found whole");
    assert_eq!(long.keyword, "Given");
}

#[test]
fn a_slip_of_the_tongue_finds_its_sentence() {
    let found = nearest("alice hear bob", 3);
    assert!(found.iter().any(|sentence| sentence.text == "{actor} hears {actor}"), "{found:?}");
}
