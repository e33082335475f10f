//! Telephones call each other, the tone and the echo; calls are given up, refused, not answered, and ended from both
//! ends at once (SRV-14).

use crate::baresip::telephone;
use crate::network::CARRIER;
use crate::sipp::Sipp;
use crate::stage::{BARESIP, SIPP, office, play};
use crate::talk;
use std::time::Duration;

/// Long enough to tell a tone from a click.
const A_WHILE: Duration = Duration::from_millis(2500);

#[test]
fn two_telephones_hear_each_other() {
    play(&[BARESIP], |stage| {
        let _pbx = stage.pbx(&office());
        let mut alice = telephone(stage, "1001").says(440).start();
        let mut bob = telephone(stage, "1002").says(1000).start();

        alice.calls("1002");
        bob.is_connected();
        alice.is_connected();
        talk(A_WHILE);
        alice.hangs_up();
        bob.is_disconnected();
        alice.is_disconnected();

        alice.recording().is(1000, 2.0);
        bob.recording().is(440, 2.0);
    });
}

#[test]
fn a_telephone_over_tcp_calls_one_over_udp() {
    play(&[BARESIP], |stage| {
        let _pbx = stage.pbx(&office());
        let mut alice = telephone(stage, "1001").says(440).over("tcp").start();
        let mut bob = telephone(stage, "1002").says(1000).start();

        alice.calls("1002");
        bob.is_connected();
        alice.is_connected();
        talk(A_WHILE);
        bob.hangs_up();
        alice.is_disconnected();
        bob.is_disconnected();

        alice.recording().is(1000, 2.0);
        bob.recording().is(440, 2.0);
    });
}

#[test]
fn a_telephone_over_tcp_is_called() {
    play(&[BARESIP], |stage| {
        let _pbx = stage.pbx(&office());
        let mut alice = telephone(stage, "1001").says(440).start();
        let mut bob = telephone(stage, "1002").says(1000).over("tcp").start();

        alice.calls("1002");
        bob.is_connected();
        alice.is_connected();
        talk(A_WHILE);
        alice.hangs_up();
        bob.is_disconnected();
        alice.is_disconnected();

        alice.recording().is(1000, 2.0);
        bob.recording().is(440, 2.0);
    });
}

/// The PBX is between two worlds that cannot talk to each other.
#[test]
fn a_telephone_over_ipv6_calls_one_over_ipv4() {
    play(&[BARESIP], |stage| {
        let _pbx = stage.pbx(&office());
        let mut alice = telephone(stage, "1001").says(440).over_ipv6().start();
        let mut bob = telephone(stage, "1002").says(1000).start();

        alice.calls("1002");
        bob.is_connected();
        alice.is_connected();
        talk(A_WHILE);
        alice.hangs_up();
        bob.is_disconnected();
        alice.is_disconnected();

        alice.recording().is(1000, 2.0);
        bob.recording().is(440, 2.0);
    });
}

#[test]
fn the_tone_is_440_hz() {
    play(&[BARESIP], |stage| {
        let _pbx = stage.pbx(&office());
        let mut alice = telephone(stage, "1001").says(1000).start();

        alice.calls("9197");
        alice.is_connected();
        talk(A_WHILE);
        alice.hangs_up();
        alice.is_disconnected();

        alice.recording().is(440, 2.0);
    });
}

#[test]
fn the_echo_says_what_it_hears() {
    play(&[BARESIP], |stage| {
        let _pbx = stage.pbx(&office());
        let mut alice = telephone(stage, "1001").says(620).start();

        alice.calls("9196");
        alice.is_connected();
        talk(A_WHILE);
        alice.hangs_up();
        alice.is_disconnected();

        alice.recording().is(620, 2.0);
    });
}

#[test]
fn a_call_is_given_up_while_it_rings() {
    play(&[BARESIP], |stage| {
        let _pbx = stage.pbx(&office());
        let mut alice = telephone(stage, "1001").start();
        let mut bob = telephone(stage, "1002").answered_by_hand().start();

        alice.calls("1002");
        bob.rings();
        alice.hears_ringing();
        alice.hangs_up();

        bob.is_disconnected();
        alice.is_disconnected();
    });
}

#[test]
fn a_call_is_answered_by_hand() {
    play(&[BARESIP], |stage| {
        let _pbx = stage.pbx(&office());
        let mut alice = telephone(stage, "1001").says(440).start();
        let mut bob = telephone(stage, "1002").says(1000).answered_by_hand().start();

        alice.calls("1002");
        bob.rings();
        alice.hears_ringing();
        bob.answers();
        alice.is_connected();
        talk(A_WHILE);
        bob.hangs_up();
        alice.is_disconnected();
        bob.is_disconnected();

        alice.recording().is(1000, 2.0);
        bob.recording().is(440, 2.0);
    });
}

#[test]
fn a_busy_telephone_says_so() {
    play(&[BARESIP], |stage| {
        let _pbx = stage.pbx(&office());
        let mut alice = telephone(stage, "1001").start();
        let mut bob = telephone(stage, "1002").answered_by_hand().start();

        alice.calls("1002");
        bob.rings();
        bob.hangs_up();

        let why = alice.is_disconnected();
        assert!(why.starts_with("486 "), "{why}");
    });
}

#[test]
fn a_telephone_that_nobody_answers_stops_ringing() {
    play(&[BARESIP], |stage| {
        let _pbx = stage.pbx(&office());
        let mut alice = telephone(stage, "1001").start();
        let mut bob = telephone(stage, "1002").answered_by_hand().start();

        alice.calls("1002");
        bob.rings();

        // The PBX gives up after the three seconds of its configuration.
        bob.is_disconnected();
        let why = alice.is_disconnected();
        assert!(why.starts_with("480 ") || why.starts_with("408 "), "{why}");
    });
}

#[test]
fn a_number_that_does_not_exist_is_not_found() {
    play(&[BARESIP], |stage| {
        let _pbx = stage.pbx(&office());
        let mut alice = telephone(stage, "1001").start();

        alice.calls("5555");

        let why = alice.is_disconnected();
        assert!(why.starts_with("404 "), "{why}");
    });
}

#[test]
fn both_hang_up_at_once() {
    play(&[BARESIP], |stage| {
        let pbx = stage.pbx(&office());
        let mut alice = telephone(stage, "1001").start();
        let mut bob = telephone(stage, "1002").start();

        alice.calls("1002");
        bob.is_connected();
        alice.is_connected();
        talk(Duration::from_millis(500));
        alice.hangs_up();
        bob.hangs_up();

        alice.is_disconnected();
        bob.is_disconnected();
        // Nothing is left over, so nothing keeps it from ending at once.
        drop((alice, bob));
        pbx.is_told_to_end();
        pbx.ends_well();
        assert_eq!(stage.records().len(), 1, "one call is one record");
    });
}

/// SIPp is the extension that calls and the carrier that is called, so that both ends of the call are in our hands.
#[test]
fn bye_crosses_bye() {
    play(&[SIPP], |stage| {
        let pbx = stage.pbx(&office());
        let mut callee =
            Sipp::scenario(stage, "bye_crossing_callee.xml").with(&["-m", "1"]).waits_at(CARRIER);

        let caller = ["-s", "0777", "-m", "1", "-au", "1001", "-ap", "secret1001", "-p", "7000"];
        Sipp::scenario(stage, "bye_crossing_caller.xml").with(&caller).succeeds("10.9.0.1:5060");

        assert_eq!(callee.ended(), Some(0), "the callee's call went otherwise than its scenario says");
        pbx.is_told_to_end();
        pbx.ends_well();
        assert_eq!(stage.records().len(), 1, "one call is one record");
    });
}

#[test]
fn the_carrier_gives_up_a_call() {
    play(&[SIPP, BARESIP], |stage| {
        let _pbx = stage.pbx(&office());
        let mut bob = telephone(stage, "1002").answered_by_hand().start();

        let caller = ["-s", "1002", "-m", "1", "-i", CARRIER, "-p", "7000"];
        Sipp::scenario(stage, "cancel.xml").with(&caller).calls("10.9.0.1:5060");

        bob.is_disconnected();
    });
}
