//! A stranger throws at the PBX what it can, while two people talk: they notice nothing, and memory stays bounded.

use crate::baresip::telephone;
use crate::network::{OFFICE, STRANGER};
use crate::program::Program;
use crate::stage::{BARESIP, Stage, office, play};
use crate::{now, talk};
use std::net::UdpSocket;
use std::time::Duration;

/// How long it goes on.
const SIEGE: Duration = Duration::from_secs(4);
/// The PBX may grow by so much; what it must remember of each attempt is bounded far below.
const MOST_GROWTH: usize = 64 << 20;

#[test]
fn garbage_on_the_sip_port() {
    play(&[BARESIP], |stage| {
        let _pbx = two_people_talk_while(stage, |socket, round| {
            let garbage = noise(round, 20 + (round as usize * 37) % 1200);
            let _ = socket.send_to(&garbage, (OFFICE, 5060));
            // Half of it looks like SIP for a while.
            let cut = INVITE.len() * (round as usize % 97) / 97;
            let begins_well = [&INVITE.as_bytes()[..cut], &garbage].concat();
            let _ = socket.send_to(&begins_well, (OFFICE, 5060));
        });
    });
}

/// To every port on which a call may have its media; only whoever the session names is listened to.
#[test]
fn garbage_on_the_media_ports() {
    play(&[BARESIP], |stage| {
        let _pbx = two_people_talk_while(stage, |socket, round| {
            for port in 10000..10040 {
                let mut packet = noise(round, 172);
                // As good as real: version 2, G.711.
                packet[..2].copy_from_slice(&[0x80, 0]);
                let _ = socket.send_to(&packet, (OFFICE, port));
            }
        });
    });
}

/// Each guess is for the challenge before it: one that answers no challenge of ours would not even be looked at.
#[test]
fn guessed_passwords() {
    play(&[BARESIP], |stage| {
        let mut nonce = String::from("none yet");
        let pbx = two_people_talk_while(stage, |socket, round| {
            if let Some(challenge) = last_nonce(socket) {
                nonce = challenge;
            }
            let _ = socket.send_to(guess(round, &nonce).as_bytes(), (OFFICE, 5060));
        });

        pbx.logs("source blocked source=10.9.0.9");
    });
}

#[test]
fn calls_that_are_never_acknowledged() {
    play(&[BARESIP], |stage| {
        let _pbx = two_people_talk_while(stage, |socket, round| {
            let invite = INVITE.replace("ROUND", &round.to_string());
            let _ = socket.send_to(invite.as_bytes(), (OFFICE, 5060));
        });
    });
}

/// The stranger acts about a thousand times a second while alice and bob hold a conversation.
fn two_people_talk_while(stage: &Stage, attack: impl FnMut(&UdpSocket, u32)) -> Program {
    let pbx = stage.pbx(&open_office());
    let mut alice = telephone(stage, "1001").says(440).start();
    let mut bob = telephone(stage, "1002").says(1000).start();
    alice.calls("1002");
    bob.is_connected();
    alice.is_connected();
    let before = pbx.memory();

    let rounds = besiege(attack);

    assert!(rounds > 500, "the stranger got to act {rounds} times only");
    grows_little(&pbx, before);
    alice.hangs_up();
    bob.is_disconnected();
    alice.is_disconnected();
    for (person, tone) in [(&alice, 1000), (&bob, 440)] {
        let heard = person.recording();
        heard.is(tone, SIEGE.as_secs_f64() * 0.9);
        assert!(heard.continuity(tone) > 0.95, "the conversation was disturbed: {heard}");
    }
    pbx
}

fn besiege(mut attack: impl FnMut(&UdpSocket, u32)) -> u32 {
    let socket = UdpSocket::bind((STRANGER, 0)).expect("the network is up");
    socket.set_nonblocking(true).expect("any socket can be");
    let begun = now();
    let mut round = 0;
    while begun.elapsed() < SIEGE {
        round += 1;
        attack(&socket, round);
        talk(Duration::from_millis(1));
    }
    round
}

fn grows_little(pbx: &Program, before: usize) {
    let growth = pbx.memory().saturating_sub(before);
    assert!(growth < MOST_GROWTH, "the PBX grew by {} MiB", growth >> 20);
}

/// The office, and everybody may call the tone: an INVITE of a stranger is answered.
fn open_office() -> String {
    office().replace("[media]", "[behavior]\nauto_answer = true\nauto_answer_delay_ms = 0\n\n[media]")
}

const INVITE: &str = "INVITE sip:service@10.9.0.1 SIP/2.0\r\n\
    Via: SIP/2.0/UDP 10.9.0.9:9;branch=z9hG4bKROUND\r\n\
    Max-Forwards: 70\r\n\
    From: <sip:mallory@10.9.0.9>;tag=ROUND\r\n\
    To: <sip:service@10.9.0.1>\r\n\
    Call-ID: ROUND@10.9.0.9\r\n\
    CSeq: 1 INVITE\r\n\
    Contact: <sip:mallory@10.9.0.9:9>\r\n\
    Content-Length: 0\r\n\r\n";

/// The nonce of the last challenge that has arrived.
fn last_nonce(socket: &UdpSocket) -> Option<String> {
    let mut buffer = [0; 2048];
    let mut nonce = None;
    while let Ok(length) = socket.recv(&mut buffer) {
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let value = text.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next());
        nonce = value.map(str::to_owned).or(nonce);
    }
    nonce
}

fn guess(round: u32, nonce: &str) -> String {
    format!(
        "REGISTER sip:10.9.0.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 10.9.0.9:9;rport;branch=z9hG4bKr{round}\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:1001@10.9.0.1>;tag=r{round}\r\n\
         To: <sip:1001@10.9.0.1>\r\n\
         Call-ID: r{round}@10.9.0.9\r\n\
         CSeq: {round} REGISTER\r\n\
         Contact: <sip:1001@10.9.0.9:9>\r\n\
         Authorization: Digest username=\"1001\", realm=\"10.9.0.1\", nonce=\"{nonce}\", uri=\"sip:10.9.0.1\",\
         response=\"{round:032x}\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"x\"\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// Bytes that nobody has chosen; the same for the same round.
fn noise(round: u32, length: usize) -> Vec<u8> {
    let mut state = round.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}
