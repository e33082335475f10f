//! A stream, cut at places that its first byte chooses.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pbx::sip::{Frame, FrameError, Framer, Limits, Message};

const LIMIT: usize = 4096;

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, stream)) = bytes.split_first() else { return };
    let whole = frames([stream]);
    let cut = frames(stream.chunks(usize::from(first) % 50 + 1));
    assert_eq!(whole, cut);
    for frame in &whole.0 {
        if let Frame::Message(bytes) = frame {
            agrees(bytes);
        }
    }
});

fn frames<'a>(segments: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Frame>, Option<FrameError>) {
    let (mut framer, mut frames) = (Framer::new(LIMIT), Vec::new());
    for segment in segments {
        framer.push(segment);
        loop {
            match framer.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

/// The parser sees the end of a message where the framer has seen it, if it sees a message.
fn agrees(frame: &[u8]) {
    let lead = frame.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    if let Ok(message) = Message::parse(frame, &Limits::default()) {
        assert_eq!(message.to_bytes().len() + lead, frame.len());
    }
}
