//! Keys that are pressed on one telephone arrive at the other, as telephone events (RFC 4733) or as tones, in order and once.

use crate::baresip::{Telephone, telephone};
use crate::capture::Capture;
use crate::network::CARRIER;
use crate::sipp::Sipp;
use crate::stage::{BARESIP, MULTIMON, SIPP, TSHARK, office, play, play_uncaptured};
use crate::talk;
use std::time::Duration;

#[test]
fn keys_go_both_ways() {
    play(&[BARESIP], |stage| {
        let _pbx = stage.pbx(&office());
        press_both_ways(&mut telephone(stage, "1001").start(), &mut telephone(stage, "1002").start());
    });
}

/// They call each other, and each hears every key of the other once.
fn press_both_ways(alice: &mut Telephone, bob: &mut Telephone) {
    alice.calls("1002");
    bob.is_connected();
    alice.is_connected();

    press(alice, "159#");
    press(bob, "0*88");

    assert_eq!(receive(bob, 4), "159#");
    assert_eq!(receive(alice, 4), "0*88");
    alice.hangs_up();
    bob.is_disconnected();
    assert_eq!(bob.other_keys(), 0, "a key arrived twice");
    assert_eq!(alice.other_keys(), 0, "a key arrived twice");
}

/// What tells a key is sealed as the sound is (RFC 3711): by libsrtp there, by the PBX here.
#[test]
fn keys_go_both_ways_in_a_call_that_is_encrypted() {
    play(&[BARESIP], |stage| {
        let _pbx = stage.pbx(&office().replace("ring_timeout", "srtp = \"required\"\nring_timeout"));
        let mut alice = telephone(stage, "1001").encrypting().start();
        let mut bob = telephone(stage, "1002").encrypting().start();
        press_both_ways(&mut alice, &mut bob);
    });
}

/// What the PBX makes of events is heard as tones by somebody who knows nothing of it.
#[test]
fn keys_become_tones_that_multimon_hears() {
    play(&[BARESIP, MULTIMON], |stage| {
        let bob_is = "number = \"1002\"\n";
        let _pbx = stage.pbx(&office().replace(bob_is, &format!("{bob_is}dtmf = \"inband\"\n")));
        let mut alice = telephone(stage, "1001").start();
        let mut bob = telephone(stage, "1002").start();
        alice.calls("1002");
        bob.is_connected();
        alice.is_connected();

        press(&mut alice, "159#");
        talk(Duration::from_millis(500));
        alice.hangs_up();
        bob.is_disconnected();

        let [file] = bob.files().try_into().expect("bob has heard one call");
        let mut multimon = stage.command("multimon-ng");
        let heard =
            multimon.args(["-q", "-a", "DTMF", "-t", "wav"]).arg(&file).output().expect("it is installed");
        let heard = String::from_utf8_lossy(&heard.stdout).into_owned();
        let keys: String = heard.lines().filter_map(|line| line.strip_prefix("DTMF: ")).collect();
        assert_eq!(keys, "159#");
    });
}

/// SIPp plays what others have recorded: a voice in PCMA, then a key. tshark reads on the wire what the PBX makes of it.
#[test]
fn a_key_of_sipp_arrives_and_tshark_reads_it() {
    play_uncaptured(&[SIPP, BARESIP, TSHARK], |stage| {
        let capture = Capture::start(&stage.path("wire.pcapng"));
        let _pbx = stage.pbx(&office());
        let mut bob = telephone(stage, "1002").start();
        std::os::unix::fs::symlink("/usr/share/sip-tester", stage.path("pcap"))
            .expect("our folder can be written");

        let caller = ["-s", "1002", "-m", "1", "-i", CARRIER, "-p", "7000"];
        Sipp::builtin(stage, "uac_pcap").with(&caller).calls("10.9.0.1:5060");
        let key = bob.receives_key();
        bob.is_disconnected();

        let wire = capture.media_of_the_pbx();
        assert_eq!(wire.keys, key);
        assert_eq!(wire.streams.len(), 2, "one to each side: {:?}", wire.streams);
        for stream in &wire.streams {
            assert!(stream.packets > 100 && stream.lost == 0, "{:?}", wire.streams);
        }
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
