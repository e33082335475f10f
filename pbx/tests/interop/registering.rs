//! Telephones tell where they are, with the right password and with a wrong one.

use crate::baresip::telephone;
use crate::sipp::Sipp;
use crate::stage::{BARESIP, SIPP, office, play};

const PBX: &str = "10.9.0.1:5060";

#[test]
fn sipp_registers_with_its_password() {
    play(&[SIPP], |stage| {
        let _pbx = stage.pbx(&office());

        let alice = ["-s", "1001", "-au", "1001", "-ap", "secret1001", "-m", "5", "-p", "7000"];
        Sipp::scenario(stage, "register.xml").with(&alice).succeeds(PBX);
    });
}

#[test]
fn sipp_registers_over_tcp() {
    play(&[SIPP], |stage| {
        let _pbx = stage.pbx(&office());

        let alice = ["-s", "1001", "-au", "1001", "-ap", "secret1001", "-m", "1", "-p", "7000", "-t", "t1"];
        Sipp::scenario(stage, "register.xml").with(&alice).succeeds(PBX);
    });
}

#[test]
fn sipp_is_refused_with_a_wrong_password() {
    play(&[SIPP], |stage| {
        let _pbx = stage.pbx(&office());

        let mallory = ["-s", "1001", "-au", "1001", "-ap", "guess", "-m", "1", "-p", "7000"];
        Sipp::scenario(stage, "register_wrong.xml").with(&mallory).succeeds(PBX);
    });
}

#[test]
fn a_telephone_with_a_wrong_password_is_not_registered() {
    play(&[BARESIP], |stage| {
        let pbx = stage.pbx(&office());

        let mallory = telephone(stage, "1001").with_password("guess").start_unregistered();

        pbx.logs("authentication failed user=1001");
        assert!(!mallory.is_registered());
    });
}
