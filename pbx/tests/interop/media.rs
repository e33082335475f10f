//! Media among foreign telephones: packets that libsrtp has sealed, three in a conference, a call that is recorded.

use crate::baresip::{Telephone, telephone};
use crate::network::CARRIER;
use crate::sipp::Sipp;
use crate::stage::{BARESIP, MULTIMON, SIPP, SOX, Stage, office, play};
use crate::talk;
use crate::tone::Recording;
use std::path::{Path, PathBuf};
use std::time::Duration;

const A_WHILE: Duration = Duration::from_millis(2500);

/// The telephone's packets are sealed and opened by libsrtp, which knows nothing of ours (RFC 3711, RFC 4568).
#[test]
fn two_telephones_that_encrypt_hear_each_other() {
    play(&[BARESIP], |stage| {
        let _pbx = stage.pbx(&office().replace("ring_timeout", "srtp = \"required\"\nring_timeout"));
        let mut alice = telephone(stage, "1001").says(440).encrypting().start();
        let mut bob = telephone(stage, "1002").says(1000).encrypting().start();

        talks(&mut alice, &mut bob, "1002");

        alice.recording().is(1000, 2.0);
        bob.recording().is(440, 2.0);
    });
}

#[test]
fn one_that_encrypts_and_one_that_does_not_hear_each_other() {
    play(&[BARESIP], |stage| {
        let _pbx = stage.pbx(&office().replace("ring_timeout", "srtp = \"optional\"\nring_timeout"));
        let mut alice = telephone(stage, "1001").says(440).encrypting().start();
        let mut bob = telephone(stage, "1002").says(1000).start();

        talks(&mut alice, &mut bob, "1002");

        alice.recording().is(1000, 2.0);
        bob.recording().is(440, 2.0);
    });
}

#[test]
fn three_in_a_conference_hear_the_other_two() {
    play(&[BARESIP], |stage| {
        let _pbx = stage.pbx(&format!("{}{CONFERENCE}", office()));
        let voices = [("1001", 440), ("1002", 1000), ("1003", 620)];
        let mut members: Vec<Telephone> =
            voices.iter().map(|(number, voice)| telephone(stage, number).says(*voice).start()).collect();

        for member in &mut members {
            member.calls("8000");
            member.is_connected();
        }
        talk(A_WHILE);
        for member in &mut members {
            member.hangs_up();
            member.is_disconnected();
        }

        for (member, (_, own)) in members.iter().zip(voices) {
            let others = voices.iter().map(|(_, voice)| *voice).filter(|voice| *voice != own);
            member.recording().holds_together(&others.collect::<Vec<_>>(), 1.5);
        }
    });
}

#[test]
fn a_recorded_call_has_a_channel_for_each_telephone() {
    play(&[BARESIP], |stage| {
        let _pbx = stage.pbx(&recorded(stage));
        let mut alice = telephone(stage, "1001").says(440).start();
        let mut bob = telephone(stage, "1002").says(1000).start();

        talks(&mut alice, &mut bob, "1002");

        let file = the_recording(stage);
        let channels = Recording::channels(&file);
        channels[0].is(440, 2.0);
        channels[1].is(1000, 2.0);
        for (channel, voice) in [("1", 440.0), ("2", 1000.0)] {
            let Some(pitch) = sox_hears(stage, &file, channel) else { return };
            assert!((pitch / voice - 1.0).abs() < 0.04, "sox hears {pitch} Hz on channel {channel}");
        }
    });
}

/// Keys that somebody plays are in what the PBX has recorded: multimon-ng hears them there, and so does our own program.
#[test]
fn others_hear_the_keys_in_a_recording() {
    play(&[BARESIP, MULTIMON, SOX], |stage| {
        let _pbx = stage.pbx(&recorded(stage));
        let mut alice = telephone(stage, "1001").plays_keys("159#0").start();
        let mut bob = telephone(stage, "1002").says(1000).start();

        talks(&mut alice, &mut bob, "1002");

        let (file, alone) = (the_recording(stage), stage.path("alice.wav"));
        let mut sox = stage.command("sox");
        assert!(sox.arg(&file).arg(&alone).args(["remix", "1"]).status().expect("sox").success());
        let mut multimon = stage.command("multimon-ng");
        let heard = multimon.args(["-q", "-a", "DTMF", "-t", "wav"]).arg(&alone).output().expect("multimon");
        let heard = String::from_utf8_lossy(&heard.stdout).into_owned();
        let keys: String = heard.lines().filter_map(|line| line.strip_prefix("DTMF: ")).collect();
        assert_eq!(keys, "159#0");

        let mut tones = stage.command(env!("CARGO_BIN_EXE_tones"));
        let told = tones.args(["detect", "--json", "--dtmf"]).arg(&file).output().expect("tones").stdout;
        let told: serde_json::Value = serde_json::from_slice(&told).expect("JSON");
        let events = told[0]["events"].as_array().expect("events of the first channel");
        let keys: String = events.iter().filter_map(|event| event["digit"].as_str()).collect();
        assert_eq!(keys, "159#0");
    });
}

/// SIPp is in a conference with a telephone: what it plays is heard there, and the telephone in what is recorded.
#[test]
fn what_sipp_says_in_a_conference_is_heard_by_the_others() {
    play(&[SIPP, BARESIP], |stage| {
        let conference = CONFERENCE.replace("}\n", ", record = true }\n");
        let _pbx = stage.pbx(&format!("{}{conference}", recorded(stage)));
        let mut bob = telephone(stage, "1002").says(1000).start();
        std::os::unix::fs::symlink("/usr/share/sip-tester", stage.path("pcap"))
            .expect("our folder can be written");
        bob.calls("8000");
        bob.is_connected();

        let caller = ["-s", "8000", "-m", "1", "-i", CARRIER, "-p", "7000"];
        Sipp::builtin(stage, "uac_pcap").with(&caller).calls("10.9.0.1:5060");
        bob.hangs_up();
        bob.is_disconnected();

        let heard = bob.recording();
        assert!(heard.loud_seconds() > 2.0, "SIPp is not heard: {heard}");
    });
}

/// SIPp says what somebody has recorded in PCMA.
#[test]
fn what_sipp_says_in_a_call_is_recorded() {
    play(&[SIPP, BARESIP], |stage| {
        let _pbx = stage.pbx(&recorded(stage));
        let mut bob = telephone(stage, "1002").says(1000).start();
        let folder = stage.path("pcap");
        std::os::unix::fs::symlink("/usr/share/sip-tester", folder).expect("our folder can be written");

        let caller = ["-s", "1002", "-m", "1", "-i", CARRIER, "-p", "7000"];
        Sipp::builtin(stage, "uac_pcap").with(&caller).calls("10.9.0.1:5060");
        bob.is_disconnected();

        let channels = Recording::channels(&the_recording(stage));
        assert!(channels[0].loud_seconds() > 2.0, "SIPp is not heard: {}", channels[0]);
        channels[1].is(1000, 2.0);
    });
}

/// libopus and spandsp on the other side: what they make is understood, and what is made here is understood by them.
#[test]
#[cfg(any(feature = "g722", feature = "opus"))]
fn a_telephone_with_another_codec_and_one_with_g_711_hear_each_other() {
    play(&[BARESIP], |stage| {
        let known = ["PCMU", "PCMA", "G722", "opus"];
        let preferred = format!("[media]\npreferred_codecs = {known:?}");
        let _pbx = stage.pbx(&office().replace("[media]", &preferred));
        let mut bob = telephone(stage, "1002").says(1000).start();
        let others = [
            #[cfg(feature = "g722")]
            ("1001", "G722/16000/1"),
            #[cfg(feature = "opus")]
            ("1003", "opus/48000/2"),
        ];
        for (number, codec) in others {
            let mut alice = telephone(stage, number).says(440).knowing_only(codec).start();
            talks(&mut alice, &mut bob, "1002");
            alice.recording_of_several_channels()[0].is(1000, 2.0);
        }
        let heard = bob.recordings();
        assert_eq!(heard.len(), others.len());
        heard.iter().for_each(|heard| heard.is(440, 2.0));
    });
}

/// The pitch of a channel as sox finds it; `None` where it is not installed.
fn sox_hears(stage: &Stage, file: &Path, channel: &str) -> Option<f64> {
    if !SOX.is_installed() {
        return None;
    }
    let mut sox = stage.command("sox");
    let said = sox.arg(file).args(["-n", "remix", channel, "stat"]).output().ok()?;
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let pitch = said.lines().find_map(|line| line.strip_prefix("Rough   frequency:"));
    Some(pitch.and_then(|pitch| pitch.trim().parse().ok()).unwrap_or_else(|| panic!("{said}")))
}

/// The first calls the other one, they talk, the first hangs up.
fn talks(alice: &mut Telephone, bob: &mut Telephone, number: &str) {
    alice.calls(number);
    bob.is_connected();
    alice.is_connected();
    talk(A_WHILE);
    alice.hangs_up();
    bob.is_disconnected();
    alice.is_disconnected();
}

const CONFERENCE: &str = r#"
[[routes]]
name = "meeting"
to_user = "8000"
app = "conference"
app_params = { name = "meeting" }
"#;

/// An office in which every call of a telephone is recorded.
fn recorded(stage: &Stage) -> String {
    std::fs::create_dir_all(stage.path("tapes")).expect("our folder can be written");
    let office = office().replace("ring_timeout", "record = true\nring_timeout");
    format!("{office}\n[recording]\ndirectory = \"tapes\"\n")
}

/// The only one there is, once it is whole.
fn the_recording(stage: &Stage) -> PathBuf {
    let mut found = Vec::new();
    let is_there = crate::becomes(|| {
        let files = std::fs::read_dir(stage.path("tapes")).expect("it is our folder");
        found = files.map(|file| file.expect("it is our folder").path()).collect();
        found.iter().any(|file: &PathBuf| file.extension().is_some_and(|kind| kind == "wav"))
    });
    assert!(is_there, "nothing was recorded: {found:?}");
    // The end of it is written a moment after the call.
    talk(Duration::from_millis(500));
    found.swap_remove(0)
}
