//! What the README promises to somebody who has just cloned it and has a softphone on the same machine.

use crate::baresip::telephone;
use crate::stage::{BARESIP, play};
use crate::talk;
use std::time::Duration;

const A_WHILE: Duration = Duration::from_millis(2500);

#[test]
fn a_softphone_dials_the_tone() {
    play(&[BARESIP], |stage| {
        let _pbx = stage.pbx_without_arguments();
        let mut alice = telephone(stage, "1001").says(1000).following_the_readme().start();

        alice.calls("9197");
        alice.is_connected();
        talk(A_WHILE);
        alice.hangs_up();
        alice.is_disconnected();

        alice.recording().is(440, 2.0);
    });
}

#[test]
fn a_softphone_dials_the_echo() {
    play(&[BARESIP], |stage| {
        let _pbx = stage.pbx_without_arguments();
        let mut alice = telephone(stage, "1001").says(1000).following_the_readme().start();

        alice.calls("9196");
        alice.is_connected();
        talk(A_WHILE);
        alice.hangs_up();
        alice.is_disconnected();

        alice.recording().is(1000, 2.0);
    });
}

#[test]
fn two_softphones_call_each_other() {
    play(&[BARESIP], |stage| {
        let _pbx = stage.pbx_without_arguments();
        let mut alice = telephone(stage, "1001").says(440).following_the_readme().start();
        let mut bob = telephone(stage, "1002").says(1000).over("tcp").following_the_readme().start();

        alice.calls("1002");
        bob.is_connected();
        alice.is_connected();
        talk(A_WHILE);
        alice.hangs_up();
        alice.is_disconnected();
        bob.is_disconnected();

        alice.recording().is(1000, 2.0);
        bob.recording().is(440, 2.0);
    });
}
