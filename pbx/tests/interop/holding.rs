//! A call is held and resumed: whoever is held is not heard, and gets through again.

use crate::baresip::telephone;
use crate::stage::{BARESIP, office, play};
use crate::talk;
use std::time::Duration;

const A_WHILE: Duration = Duration::from_millis(2000);

#[test]
fn who_is_held_is_not_heard() {
    play(&[BARESIP], |stage| {
        let _pbx = stage.pbx(&office());
        let mut alice = telephone(stage, "1001").says(440).start();
        let mut bob = telephone(stage, "1002").says(1000).start();
        alice.calls("1002");
        bob.is_connected();
        alice.is_connected();

        talk(A_WHILE);
        alice.holds();
        bob.is_offered_a_change();
        talk(A_WHILE);
        alice.resumes();
        bob.is_offered_a_change();
        talk(Duration::from_millis(200));
        bob.presses('5');

        assert_eq!(alice.receives_key(), "5", "nothing comes through after the hold");
        alice.hangs_up();
        bob.is_disconnected();
        alice.is_disconnected();
        // baresip 1.0 records nothing after a hold, also without a PBX: so this is what came before and in it.
        alice.recording().is(1000, 1.5);
        assert!(alice.recording().seconds() < 3.0, "bob was heard while he was held: {}", alice.recording());
    });
}
