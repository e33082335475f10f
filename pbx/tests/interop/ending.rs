//! The PBX is told to end while somebody talks.

use crate::baresip::telephone;
use crate::stage::{BARESIP, office, play};

#[test]
fn whoever_still_talks_is_hung_up_after_the_grace_time() {
    play(&[BARESIP], |stage| {
        let pbx = stage.pbx(&office());
        let mut alice = telephone(stage, "1001").start();
        alice.calls("9197");
        alice.is_connected();

        pbx.is_told_to_end();

        alice.is_disconnected();
        pbx.ends_well();
        let records = stage.records();
        assert_eq!(records.len(), 1, "{records:?}");
        assert_eq!(records[0]["ended_by"], "pbx");
        assert_eq!(records[0]["disposition"], "answered");
    });
}

#[test]
fn nobody_new_is_let_in() {
    play(&[BARESIP], |stage| {
        let pbx = stage.pbx(&office());
        let mut alice = telephone(stage, "1001").start();
        let mut bob = telephone(stage, "1002").start();
        alice.calls("9197");
        alice.is_connected();

        pbx.is_told_to_end();
        pbx.logs("no new calls from now on");
        bob.calls("9197");

        let why = bob.is_disconnected();
        assert!(why.starts_with("503 "), "{why}");
        alice.is_disconnected();
        pbx.ends_well();
    });
}
