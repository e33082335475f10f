//! SIPp's own caller, as the README tells a stranger to try it, and under a small load (SRV-13).

use crate::sipp::Sipp;
use crate::stage::{SIPP, play};

/// Who starts the program and reads what it prints can do this.
#[test]
fn the_first_call_over_udp() {
    play(&[SIPP], |stage| {
        let pbx = stage.pbx_without_arguments();

        Sipp::builtin(stage, "uac").with(&["-m", "1"]).succeeds("127.0.0.1:5060");

        pbx.is_told_to_end();
        pbx.ends_well();
    });
}

#[test]
fn the_first_call_over_tcp() {
    play(&[SIPP], |stage| {
        let pbx = stage.pbx_without_arguments();

        Sipp::builtin(stage, "uac").with(&["-m", "1", "-t", "t1"]).succeeds("127.0.0.1:5060");

        pbx.is_told_to_end();
        pbx.ends_well();
    });
}

/// Fifty calls a second, a hundred at a time.
#[test]
fn a_hundred_calls_at_once_over_udp() {
    play(&[SIPP], |stage| {
        let pbx = stage.pbx_without_arguments();

        let load = ["-r", "50", "-m", "200", "-l", "150", "-d", "2000"];
        Sipp::builtin(stage, "uac").with(&load).succeeds("127.0.0.1:5060");

        pbx.is_told_to_end();
        pbx.ends_well();
    });
}

#[test]
fn a_hundred_calls_at_once_over_tcp() {
    play(&[SIPP], |stage| {
        let pbx = stage.pbx_without_arguments();

        let load = ["-r", "50", "-m", "200", "-l", "150", "-d", "2000", "-t", "t1"];
        Sipp::builtin(stage, "uac").with(&load).succeeds("127.0.0.1:5060");

        pbx.is_told_to_end();
        pbx.ends_well();
    });
}
