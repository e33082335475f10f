//! An INVITE that was forked on its way (RFC 3261 section 13.2.2.4). The test plays all the branches.

use super::*;
use crate::dialog::Description;
use crate::sip::Name;

const CONTACT: &str = "Contact: <sip:bob@10.0.0.2>";

#[test]
fn the_first_answer_wins_and_the_others_are_acknowledged_and_ended() {
    let mut rig = Rig::alone();
    let a = rig.calls(Some(sdp("a")));
    let invite = rig.request(ALICE, "INVITE");
    for tag in ["one", "two"] {
        rig.bob_answers(&invite, 180, tag, CONTACT, b"");
        assert!(matches!(rig.event(ALICE), Event::Provisional { .. }));
    }
    rig.bob_answers(&invite, 200, "two", CONTACT, &sdp("b2"));
    let Event::Answered { session, description, .. } = rig.event(ALICE) else { panic!("no answer") };
    assert_eq!((session, description), (a, Some(Description::Answer(sdp("b2")))));
    assert_eq!((rig.count(ALICE, "ACK"), rig.count(ALICE, "BYE")), (1, 0));

    rig.bob_answers(&invite, 200, "one", CONTACT, &sdp("b1"));
    assert_eq!((rig.count(ALICE, "ACK"), rig.count(ALICE, "BYE")), (2, 1));
    let bye = rig.request(ALICE, "BYE");
    assert!(bye.headers().get(Name::To).unwrap().ends_with(";tag=one"));
    rig.assert_silent();

    // Both are acknowledged again for their copies, and BYE is said once.
    rig.bob_answers(&invite, 200, "one", CONTACT, &sdp("b1"));
    rig.bob_answers(&invite, 200, "two", CONTACT, &sdp("b2"));
    assert_eq!((rig.count(ALICE, "ACK"), rig.count(ALICE, "BYE")), (4, 1));
    rig.assert_silent();
}

#[test]
fn every_branch_has_its_own_numbers() {
    let mut rig = Rig::alone();
    rig.calls(Some(sdp("a")));
    let invite = rig.request(ALICE, "INVITE");
    for tag in ["one", "two"] {
        let lines = format!("{CONTACT}\nRequire: 100rel\nRSeq: 1");
        rig.bob_answers(&invite, 183, tag, &lines, b"");
        let prack = rig.request(ALICE, "PRACK");
        assert_eq!(prack.cseq().unwrap().number, 2);
        assert!(prack.headers().get(Name::To).unwrap().ends_with(tag));
    }
}

#[test]
fn what_was_agreed_early_is_told_again_when_another_branch_was_heard_since() {
    let mut rig = Rig::alone();
    rig.calls(Some(sdp("a")));
    let invite = rig.request(ALICE, "INVITE");
    let lines = format!("{CONTACT}\nRequire: 100rel\nRSeq: 1");
    rig.bob_answers(&invite, 183, "one", &lines, &sdp("b1"));
    rig.bob_answers(&invite, 183, "two", CONTACT, &sdp("b2"));
    rig.bob_answers(&invite, 200, "one", CONTACT, b"");
    rig.events[ALICE].drain(..2);
    let Event::Answered { description, .. } = rig.event(ALICE) else { panic!("no answer") };
    assert_eq!(description, Some(Description::Answer(sdp("b1"))));
}

#[test]
fn a_branch_that_answers_after_we_hung_up_is_ended_too() {
    let mut rig = Rig::alone();
    let a = rig.calls(Some(sdp("a")));
    let invite = rig.request(ALICE, "INVITE");
    rig.bob_answers(&invite, 180, "one", CONTACT, b"");
    rig.act(ALICE, |alice, now| alice.hang_up(a, None, now));
    rig.bob_answers(&invite, 200, "one", CONTACT, &sdp("b1"));
    rig.bob_answers(&invite, 200, "two", CONTACT, &sdp("b2"));
    assert_eq!((rig.count(ALICE, "ACK"), rig.count(ALICE, "BYE")), (2, 2));
    rig.rest();
    rig.assert_idle();
}

#[test]
fn a_branch_that_was_acknowledged_early_goes_on_counting() {
    let mut rig = Rig::alone();
    let a = rig.calls(Some(sdp("a")));
    let invite = rig.request(ALICE, "INVITE");
    for tag in ["one", "two"] {
        rig.bob_answers(&invite, 183, tag, &format!("{CONTACT}\nRequire: 100rel\nRSeq: 1"), b"");
    }
    rig.act(ALICE, |alice, now| alice.hang_up(a, None, now));
    for tag in ["one", "two"] {
        rig.bob_answers(&invite, 200, tag, CONTACT, &sdp("b"));
        assert_eq!(rig.request(ALICE, "BYE").cseq().unwrap().number, 3, "after INVITE and PRACK");
    }
}

#[test]
fn more_branches_than_anybody_has_telephones_are_not_followed() {
    let mut rig = Rig::alone();
    rig.calls(Some(sdp("a")));
    let invite = rig.request(ALICE, "INVITE");
    for branch in 0..100 {
        rig.bob_answers(&invite, 200, &format!("t{branch}"), CONTACT, &sdp("b"));
    }
    assert_eq!(rig.count(ALICE, "ACK"), 16);
}
