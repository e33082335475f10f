//! Every offer of `fixtures/sdp` is understood and answered as the file beside it says.

use pbx::sdp::{Codec, Direction, LocalAudio, Negotiation, NegotiationError, RemoteAudio};
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

#[test]
fn offers_of_all_kinds_are_understood_and_answered() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sdp");
    let mut names: Vec<_> = fs::read_dir(folder)
        .expect("a folder of fixtures")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sdp"))
        .collect();
    names.sort();
    assert!(names.len() >= 25, "the fixtures are there");
    for name in names {
        let offer = fs::read_to_string(&name).expect("a description");
        let expected = fs::read_to_string(name.with_extension("expected")).expect("what is expected of it");
        for offer in [offer.clone(), offer.replace('\n', "\r\n")] {
            assert_eq!(play(offer.as_bytes()), expected, "{}", name.display());
        }
    }
}

/// What becomes of an offer, in the words of the fixtures.
fn play(offer: &[u8]) -> String {
    let mut text = String::new();
    if let Err(error) = answer(offer, &mut text) {
        let _ = writeln!(text, "refused: {} {error}", error.status().code());
    }
    text
}

fn answer(offer: &[u8], text: &mut String) -> Result<(), NegotiationError> {
    let local = LocalAudio {
        address: SocketAddr::from(([198, 51, 100, 1], 40_000)),
        codecs: vec![Codec::pcmu(), Codec::pcma(), Codec::telephone_event(101)],
        direction: Direction::SendRecv,
        ptime: None,
    };
    let mut side = Negotiation::new(1, "-");
    describe(&side.receive_offer(offer)?, text);
    let (answer, agreement) = side.answer(&local)?;
    for line in String::from_utf8_lossy(&answer).lines().filter(|line| line.starts_with("m=")) {
        let _ = writeln!(text, "answer: {line}");
    }
    let codecs: String =
        agreement.codecs.iter().map(|codec| format!("{} {}, ", codec.payload_type, codec.name)).collect();
    let keys = match &agreement.telephone_event {
        Some(event) => format!("keys {}", event.payload_type),
        None => "no keys".to_owned(),
    };
    let direction = agreement.direction.attribute();
    let _ = writeln!(text, "agreed: {codecs}{keys}, {} ms, {direction}", agreement.ptime);
    Ok(())
}

fn describe(remote: &RemoteAudio, text: &mut String) {
    let place = |at: Option<SocketAddr>| at.map_or("-".to_owned(), |at| at.to_string());
    let codecs: Vec<_> = remote.codecs.iter().map(codec).collect();
    let _ = writeln!(text, "rtp: {}\nrtcp: {}", place(remote.rtp), place(remote.rtcp));
    let _ = writeln!(text, "codecs: {}\ndirection: {}", codecs.join(", "), remote.direction.attribute());
    for (name, value) in [("ptime", remote.ptime), ("maxptime", remote.maxptime)] {
        if let Some(value) = value {
            let _ = writeln!(text, "{name}: {value}");
        }
    }
}

fn codec(codec: &Codec) -> String {
    let channels = if codec.channels > 1 { format!("/{}", codec.channels) } else { String::new() };
    let fmtp = codec.fmtp.as_ref().map_or(String::new(), |fmtp| format!(" ({fmtp})"));
    format!("{} {}/{}{channels}{fmtp}", codec.payload_type, codec.name, codec.clock_rate)
}
