//! Keys that are pressed on one telephone arrive at the other, as telephone events (RFC 4733), in order and once.

use crate::baresip::{Telephone, telephone};
use crate::stage::{BARESIP, office, play};
use crate::talk;
use std::time::Duration;

#[test]
fn keys_go_both_ways() {
    play(&[BARESIP], |stage| {
        let _pbx = stage.pbx(&office());
        let mut alice = telephone(stage, "1001").start();
        let mut bob = telephone(stage, "1002").start();
        alice.calls("1002");
        bob.is_connected();
        alice.is_connected();

        press(&mut alice, "159#");
        press(&mut bob, "0*88");

        assert_eq!(receive(&mut bob, 4), "159#");
        assert_eq!(receive(&mut alice, 4), "0*88");
        alice.hangs_up();
        bob.is_disconnected();
        assert_eq!(bob.other_keys(), 0, "a key arrived twice");
        assert_eq!(alice.other_keys(), 0, "a key arrived twice");
    });
}

fn press(telephone: &mut Telephone, keys: &str) {
    for key in keys.chars() {
        telephone.presses(key);
        // A key is held for as long as people hold it.
        talk(Duration::from_millis(250));
    }
}

fn receive(telephone: &mut Telephone, keys: usize) -> String {
    (0..keys).map(|_| telephone.receives_key()).collect()
}
