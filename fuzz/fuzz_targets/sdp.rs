//! The offers and answers of one session; a zero byte ends each.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pbx::sdp::{Codec, Direction, LocalAudio, Negotiation, NegotiationError};

fuzz_target!(|bytes: &[u8]| {
    let mut session = Negotiation::new(1, "fuzz");
    let local = local();
    for (turn, description) in bytes.split(|&byte| byte == 0).take(8).enumerate() {
        match turn % 2 {
            0 => we_answer(&mut session, description, &local),
            _ => they_answer(&mut session, description, &local),
        }
        assert!(session.is_stable());
    }
});

fn we_answer(session: &mut Negotiation, offer: &[u8], local: &LocalAudio) {
    if session.receive_offer(offer).is_err() {
        return;
    }
    match session.answer(local) {
        Ok((answer, agreement)) => {
            assert_eq!(Some(&agreement), session.agreed());
            assert_eq!(
                streams(&answer),
                streams(offer),
                "an answer has the streams of its offer (RFC 3264 section 6)"
            );
            is_readable(&answer);
        }
        Err(_) => session.rollback(),
    }
}

fn they_answer(session: &mut Negotiation, answer: &[u8], local: &LocalAudio) {
    let before = session.agreed().cloned();
    let offer = session.offer(local);
    is_readable(&offer);
    let preview = session.preview_answer(answer);
    assert_eq!(preview, session.receive_answer(answer));
    if preview.is_err() {
        session.rollback();
        assert_eq!(before.as_ref(), session.agreed(), "what was refused changes nothing");
    }
}

/// What we write, we can read.
fn is_readable(description: &[u8]) {
    if let Err(NegotiationError::Unreadable(error)) = Negotiation::new(2, "other").receive_offer(description)
    {
        panic!("{error}: {}", String::from_utf8_lossy(description));
    }
}

fn streams(description: &[u8]) -> usize {
    description.split(|&byte| byte == b'\n' || byte == b'\r').filter(|line| line.starts_with(b"m=")).count()
}

fn local() -> LocalAudio {
    LocalAudio {
        address: ([192, 0, 2, 1], 4000).into(),
        codecs: vec![Codec::pcma(), Codec::pcmu(), Codec::telephone_event(101)],
        direction: Direction::SendRecv,
        ptime: Some(20),
    }
}
