//! A stream of bytes to messages (RFC 3261 section 18.3): what a TCP or TLS connection needs before there is anything to
//! parse. A WebSocket frames by itself.

use super::path::Transport;
use super::{Name, line};
use std::fmt;

/// What a stream brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The bytes of one message, to be parsed.
    Message(Vec<u8>),
    /// A second line break directly after a first: the other side asks whether we are there, and wants
    /// [`PONG`] (RFC 5626 section 3.5.1).
    Ping,
    /// A line break between messages: the other side is there. The first half of a ping looks the same, and is one as soon
    /// as the second half comes.
    Pong,
}

/// The answer to [`Frame::Ping`].
pub const PONG: &[u8] = b"\r\n";

/// Why a stream cannot be read any more: where the next message begins is not known, so the connection has to be closed.
/// A request may be answered 400 first; [`Framer::head`] has what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The message is longer than this many bytes, or says that it is.
    TooLong(usize),
    /// The head has no Content-Length, without which a stream has no messages.
    NoLength,
    /// Content-Length is no number, or stands there twice and differs; what it says.
    BadLength(String),
    /// A carriage return or a line feed stands alone in the head.
    LineBreak,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::TooLong(limit) => write!(f, "the message is longer than {limit} bytes"),
            FrameError::NoLength => write!(f, "a message on a stream has no Content-Length"),
            FrameError::BadLength(text) => write!(f, "Content-Length cannot be read: {text:?}"),
            FrameError::LineBreak => f.write_str("a line break in the header is not CRLF"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Cuts a stream into messages, however it is segmented.
///
/// Push what was read, then take frames until there is none; then at most one incomplete message is kept, which is no
/// longer than the limit. Each byte is looked at a fixed number of times.
#[derive(Debug)]
pub struct Framer {
    limit: usize,
    buffer: Vec<u8>,
    /// Where the buffer's unread part begins.
    start: usize,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Before the first byte of a message.
    Between { after_line_break: bool },
    /// Within a head, of which `searched` bytes are known not to hold its end.
    Head { searched: usize },
    /// Within a body: the whole message has `length` bytes.
    Body { length: usize },
    /// Nothing more can be read.
    Broken(FrameError),
}

impl Framer {
    /// Refuses messages of more than `limit` bytes.
    pub fn new(limit: usize) -> Framer {
        Framer { limit, buffer: Vec::new(), start: 0, state: State::Between { after_line_break: false } }
    }

    /// Takes what was read from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if matches!(self.state, State::Broken(_)) {
            return;
        }
        // Moves no more bytes than were taken since the last time.
        if self.start * 2 >= self.buffer.len() {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, or `None` until more is pushed. After an error the same error comes again.
    #[expect(clippy::should_implement_trait, reason = "an iterator would end where this waits for more")]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            match self.state {
                State::Between { after_line_break } => match self.unread() {
                    [] | [b'\r'] => return Ok(None),
                    [b'\r', b'\n', ..] => {
                        self.start += 2;
                        self.state = State::Between { after_line_break: !after_line_break };
                        return Ok(Some(if after_line_break { Frame::Ping } else { Frame::Pong }));
                    }
                    [..] => self.state = State::Head { searched: 0 },
                },
                State::Head { searched } => match self.head_end(searched) {
                    Some(end) => match self.whole_length(end) {
                        Ok(length) => self.state = State::Body { length },
                        Err(error) => return Err(self.break_off(error)),
                    },
                    None if self.unread().len() > self.limit => {
                        return Err(self.break_off(FrameError::TooLong(self.limit)));
                    }
                    None => {
                        self.state = State::Head { searched: self.unread().len() };
                        return Ok(None);
                    }
                },
                State::Body { length } => {
                    let Some(message) = self.unread().get(..length) else { return Ok(None) };
                    let frame = Frame::Message(message.to_vec());
                    self.start += length;
                    self.state = State::Between { after_line_break: false };
                    return Ok(Some(frame));
                }
                State::Broken(ref error) => return Err(error.clone()),
            }
        }
    }

    /// Whether a message has begun and not ended: the connection should not stay like this for long.
    pub fn is_within_message(&self) -> bool {
        matches!(self.state, State::Head { .. } | State::Body { .. })
    }

    /// After an error: the head that could not be framed, as far as it is there.
    pub fn head(&self) -> &[u8] {
        let unread = self.unread();
        let end = memchr::memmem::find(unread, END).map_or(unread.len(), |end| end + END.len());
        &unread[..end]
    }

    /// Whether messages on this transport have to be framed.
    pub const fn is_needed(transport: Transport) -> bool {
        matches!(transport, Transport::Tcp | Transport::Tls)
    }

    fn unread(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// The length of the head with its empty line.
    fn head_end(&self, searched: usize) -> Option<usize> {
        // The end may have begun in what was searched.
        let from = searched.saturating_sub(END.len() - 1);
        memchr::memmem::find(&self.unread()[from..], END).map(|at| from + at + END.len())
    }

    /// The length of head and body.
    fn whole_length(&self, head: usize) -> Result<usize, FrameError> {
        let body = content_length(&self.unread()[..head])?;
        head.checked_add(body).filter(|&whole| whole <= self.limit).ok_or(FrameError::TooLong(self.limit))
    }

    fn break_off(&mut self, error: FrameError) -> FrameError {
        self.state = State::Broken(error.clone());
        error
    }
}

const END: &[u8] = b"\r\n\r\n";

fn content_length(head: &[u8]) -> Result<usize, FrameError> {
    let mut length = None;
    let mut at = 0;
    while !head[at..].starts_with(b"\r\n") {
        let end = line::end(head, at).map_err(|_| FrameError::LineBreak)?;
        if let Some(value) = length_value(&head[at..end]) {
            let bad = || FrameError::BadLength(String::from_utf8_lossy(value).into_owned());
            let value = line::length(value).ok_or_else(bad)?;
            if length.is_some_and(|other| other != value) {
                return Err(bad());
            }
            length = Some(value);
        }
        at = end + 2;
    }
    length.ok_or(FrameError::NoLength)
}

/// The value of a line that is Content-Length, in either form.
fn length_value(line: &[u8]) -> Option<&[u8]> {
    let parts = line::split(line).filter(|parts| parts.name == Name::ContentLength)?;
    Some(&line[parts.value..parts.value_end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BYE: &str = "BYE sip:a@b SIP/2.0\r\nl: 4\r\n\r\nbody";
    const INVITE: &str =
        "INVITE sip:a@b SIP/2.0\r\nContent-Length \t:\r\n 0005\r\nSubject: x\r\n\r\n\r\n\r\n!";

    #[test]
    fn two_messages_in_one_segment_are_two_frames() {
        let frames = frames([format!("{INVITE}{BYE}")]);
        assert_eq!(frames, Ok(vec![message(INVITE), message(BYE)]));
    }

    #[test]
    fn a_ping_between_messages_wants_a_pong() {
        let frames = frames([BYE, "\r\n", "\r\n", BYE]);
        assert_eq!(frames, Ok(vec![message(BYE), Frame::Pong, Frame::Ping, message(BYE)]));
    }

    #[test]
    fn two_pings_are_not_three() {
        let frames = frames(["\r\n\r\n\r\n\r\n"]);
        assert_eq!(frames, Ok(vec![Frame::Pong, Frame::Ping, Frame::Pong, Frame::Ping]));
    }

    #[test]
    fn without_a_usable_length_the_stream_ends() {
        for (length, error) in [
            ("Subject: none", FrameError::NoLength),
            ("Content-Length: five", FrameError::BadLength("five".into())),
            ("l: -999", FrameError::BadLength("-999".into())),
            ("l: 13\r\nContent-Length: 5", FrameError::BadLength("5".into())),
            ("l: 99999999999999999999999", FrameError::BadLength("99999999999999999999999".into())),
            ("l: 18446744073709551615", FrameError::TooLong(LIMIT)),
            ("l: 1000", FrameError::TooLong(LIMIT)),
            ("Subject: a\nb\r\nl: 0", FrameError::LineBreak),
        ] {
            assert_eq!(frames([format!("BYE sip:a@b SIP/2.0\r\n{length}\r\n\r\nbody")]), Err(error));
        }
    }

    #[test]
    fn the_same_length_twice_is_a_length() {
        let twice = "BYE sip:a@b SIP/2.0\r\nl: 4\r\nContent-Length: 4\r\n\r\nbody";
        assert_eq!(frames([twice]), Ok(vec![message(twice)]));
    }

    #[test]
    fn a_head_without_end_is_given_up_at_the_limit() {
        let mut framer = Framer::new(LIMIT);
        for _ in 0..LIMIT {
            framer.push(b"x");
            assert_eq!(framer.next(), Ok(None));
        }
        framer.push(b"x");
        assert_eq!(framer.next(), Err(FrameError::TooLong(LIMIT)));
        framer.push(b"x");
        assert_eq!(framer.next(), Err(FrameError::TooLong(LIMIT)));
        assert_eq!(framer.buffer.len(), LIMIT + 1);
    }

    #[test]
    fn what_could_not_be_framed_can_be_looked_at() {
        let mut framer = Framer::new(LIMIT);
        framer.push(b"BYE sip:a@b SIP/2.0\r\nl: x\r\n\r\nbody");
        assert!(framer.next().is_err());
        assert_eq!(framer.head(), b"BYE sip:a@b SIP/2.0\r\nl: x\r\n\r\n");
    }

    #[test]
    fn a_connection_may_rest_between_messages_only() {
        let mut framer = Framer::new(LIMIT);
        for (bytes, within) in [("\r", false), ("\nB", true), (&BYE[1..], false), (&BYE[..30], true)] {
            framer.push(bytes.as_bytes());
            while framer.next().expect("valid").is_some() {}
            assert_eq!(framer.is_within_message(), within, "after {bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn segmentation_changes_nothing(
            pieces in prop::collection::vec(prop::sample::select(vec![INVITE, BYE, "\r\n", "l: x\r\n\r\n", "\r", "\n"]), 0..6),
            cuts in prop::collection::vec(1_usize..40, 1..40),
        ) {
            let stream = pieces.concat();
            prop_assert_eq!(all(segments(&stream, &cuts)), all([stream.as_bytes()]));
        }

        #[test]
        fn any_bytes_leave_no_more_than_a_message_behind(
            segments in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..READ), 0..20),
        ) {
            let mut framer = Framer::new(LIMIT);
            for segment in segments {
                framer.push(&segment);
                while let Ok(Some(_)) = framer.next() {}
                prop_assert!(framer.unread().len() <= LIMIT + READ);
                prop_assert!(framer.buffer.len() <= 2 * (LIMIT + READ));
            }
        }
    }

    const LIMIT: usize = 1000;
    const READ: usize = 200;

    fn message(text: &str) -> Frame {
        Frame::Message(text.as_bytes().to_vec())
    }

    fn frames<S: AsRef<[u8]>>(segments: impl IntoIterator<Item = S>) -> Result<Vec<Frame>, FrameError> {
        match all(segments) {
            (frames, None) => Ok(frames),
            (_, Some(error)) => Err(error),
        }
    }

    fn all<S: AsRef<[u8]>>(segments: impl IntoIterator<Item = S>) -> (Vec<Frame>, Option<FrameError>) {
        let (mut framer, mut frames) = (Framer::new(LIMIT), Vec::new());
        for segment in segments {
            framer.push(segment.as_ref());
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

    fn segments<'a>(stream: &'a str, cuts: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = stream.as_bytes();
        cuts.iter().cycle().map_while(move |&cut| {
            let (segment, after) = rest.split_at_checked(cut).unwrap_or((rest, &[]));
            rest = after;
            (!segment.is_empty()).then_some(segment)
        })
    }
}
