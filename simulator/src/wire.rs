//! What programs wrote, as messages: datagrams as they are, streams put together and cut where a message ends.
//!
//! A stream is read as its receiver reads it: in sequence, however it was cut into segments and however often one of them
//! was sent again. What TLS has sealed is opened where its secret was told. A WebSocket whose subprotocol is SIP has a message
//! a frame; another one is its handshake and then a message a frame, without its mask (`wire/websocket.rs`). What is no SIP
//! (HTTP, TLS whose secret nobody knows) is left as it was written, a segment a message.
//! RTP and RTCP are no messages.

mod websocket;

use crate::agents::websocket::Opcode;
use crate::network::{Kind, Packet, flipped};
use crate::secure::{Opened, Secret};
use bytes::Bytes;
use pbx::sip::{Frame, Framer};
use pbx::time::{Duration, Instant};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The longest message of a stream.
const LONGEST: usize = 65_535;

/// A stream whose first line is longer than this is no SIP.
const LONGEST_LINE: usize = 8_192;

/// What a program wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// When its first byte was sent.
    pub sent: Instant,
    /// When its sender may have wanted to send it: while a connection is opened, or another message is being written, what is
    /// to go over it waits.
    pub meant: Instant,
    /// When all of it had arrived, as it was sent; `None` when it never did.
    pub arrived: Option<Instant>,
    /// When a copy arrived that the network made.
    pub again: Option<Instant>,
    /// The same where it arrived damaged.
    pub damaged_again: Option<Instant>,
    /// Who sent it.
    pub from: SocketAddr,
    /// Whom it is for.
    pub to: SocketAddr,
    /// When its stream was closed, by either end, or broken; `None` for a datagram.
    pub over: Option<Instant>,
    /// How it was found.
    pub form: Form,
    /// What it says.
    pub bytes: Cow<'a, [u8]>,
    /// What came instead, and when, if it was damaged on its way.
    pub damaged: Option<(Instant, Bytes)>,
    /// The packets that carried a part of it, by their place in the trace, repeated ones too.
    pub packets: Vec<usize>,
}

/// How a message was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// It is a datagram.
    Datagram,
    /// It was cut from a stream of SIP messages.
    Framed,
    /// It stands at the end of a stream of SIP messages and is none, or not all of one.
    Broken,
    /// It is what a frame of a WebSocket carries, or several that belong together.
    Frame(Opcode),
    /// It is a segment of a stream of something else.
    Foreign,
}

impl Message<'_> {
    /// The packet it begins with.
    pub fn first_packet(&self) -> usize {
        self.packets.first().copied().unwrap_or_default()
    }

    /// Whether a part of it had to be sent again.
    pub fn was_late(&self, packets: &[Packet]) -> bool {
        self.packets.iter().any(|at| packets.get(*at).is_some_and(|packet| packet.kind == Kind::Again))
    }
}

/// The messages in these packets, in the order in which they were begun.
pub fn messages(packets: &[Packet]) -> Vec<Message<'_>> {
    messages_among(packets.iter().enumerate())
}

/// The same, where it is known which of all packets may carry a part of one.
pub(crate) fn messages_among<'a>(packets: impl Iterator<Item = (usize, &'a Packet)>) -> Vec<Message<'a>> {
    let mut wire = Wire::default();
    packets.for_each(|(at, packet)| wire.take(at, packet));
    wire.conclude()
}

/// Where the head of a message is over: before the empty line, of SIP as of HTTP.
pub(crate) fn end_of_head(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n")
}

/// The name and the value of each line of a head after the first.
pub(crate) fn header_lines(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let begins = memchr::memchr_iter(b'\n', head).map(|end| end + 1);
    begins.filter_map(|begin| {
        let line = &head[begin..];
        let line = &line[..memchr::memchr(b'\n', line).unwrap_or(line.len())];
        let colon = memchr::memchr(b':', line)?;
        Some((line[..colon].trim_ascii(), line[colon + 1..].trim_ascii()))
    })
}

/// Whether it carries RTP or RTCP: version 2 of both begins with these bits, and no text does.
pub(crate) fn is_media(packet: &Packet) -> bool {
    packet.kind == Kind::Datagram && packet.bytes.first().is_some_and(|first| first >> 6 == 2)
}

#[derive(Default)]
struct Wire<'a> {
    messages: Vec<Message<'a>>,
    /// Where in `messages` the datagram is that arrives then, for the news that nobody was there.
    arriving: BTreeMap<(SocketAddr, SocketAddr, Instant), Vec<usize>>,
    streams: BTreeMap<(SocketAddr, SocketAddr), Stream<'a>>,
}

/// One direction of a flow.
#[derive(Default)]
struct Stream<'a> {
    segments: Vec<Segment<'a>>,
    /// When its first SYN was sent, if its sender has opened it.
    opened: Option<Instant>,
    /// From when on its receiver reads nothing: it has closed its end, or the flow is broken.
    closed: Option<Instant>,
    /// When its sender has ended it.
    ended: Option<Instant>,
    /// With what it can be read, where TLS has sealed it.
    secret: Option<Secret>,
}

/// A part of a stream, as its receiver reads it.
struct Piece<'a> {
    sent: Instant,
    arrived: Option<Instant>,
    bytes: Cow<'a, [u8]>,
    packets: Vec<usize>,
}

/// What stands next in a stream: how much of it, and what is said by that, if anything.
struct Said {
    length: usize,
    bytes: Option<Vec<u8>>,
}

/// A segment at its place in the stream.
struct Segment<'a> {
    sent: Instant,
    arrived: Option<Instant>,
    bytes: &'a Bytes,
    packets: Vec<usize>,
}

impl<'a> Wire<'a> {
    fn take(&mut self, at: usize, packet: &'a Packet) {
        let key = (packet.from, packet.to);
        match packet.kind {
            Kind::Datagram if is_media(packet) => {}
            Kind::Datagram => self.datagram(at, packet),
            Kind::Syn => self.begin(key, packet.at),
            Kind::Data if !packet.bytes.is_empty() => {
                let segment = Segment {
                    sent: packet.at,
                    arrived: arrival(packet),
                    bytes: &packet.bytes,
                    packets: vec![at],
                };
                self.streams.entry(key).or_default().segments.push(segment);
            }
            Kind::Again => {
                if let Some(segment) =
                    self.streams.get_mut(&key).and_then(|stream| stream.missing(&packet.bytes))
                {
                    segment.arrived = arrival(packet);
                    segment.packets.push(at);
                }
            }
            Kind::Reset => {
                self.refused(packet);
                self.close((packet.to, packet.from), packet.at);
                if let Some(broken) = packet.arrives {
                    self.close(key, broken);
                }
            }
            Kind::Fin => {
                // What comes in this very instant may still be read.
                self.close((packet.to, packet.from), packet.at + Duration::from_nanos(1));
                self.streams.entry(key).or_default().ended.get_or_insert(packet.at);
            }
            Kind::Secret => self.streams.entry(key).or_default().secret = Secret::of_line(&packet.bytes),
            Kind::SynAck | Kind::Data => {}
        }
    }

    /// A flow begins: what had these ends before is over. A SYN may go out more than once.
    fn begin(&mut self, key: (SocketAddr, SocketAddr), at: Instant) {
        let is_asked_again = |stream: &Stream<'_>| stream.segments.is_empty() && stream.closed.is_none();
        let goes_on =
            self.streams.get(&key).is_some_and(|stream| stream.opened.is_some() && is_asked_again(stream));
        if !goes_on {
            [key, (key.1, key.0)].iter().for_each(|key| self.end_of(key));
            self.streams.insert(key, Stream { opened: Some(at), ..Stream::default() });
        }
    }

    /// The receiver of a stream reads nothing more.
    fn close(&mut self, key: (SocketAddr, SocketAddr), at: Instant) {
        let closed = &mut self.streams.entry(key).or_default().closed;
        *closed = Some(closed.map_or(at, |closed| closed.min(at)));
    }

    fn datagram(&mut self, at: usize, packet: &'a Packet) {
        let arrived = arrival(packet);
        if let Some(arrives) = packet.arrives {
            self.arriving.entry((packet.from, packet.to, arrives)).or_default().push(self.messages.len());
        }
        self.messages.push(Message {
            sent: packet.at,
            meant: packet.at,
            arrived,
            again: arrived.zip(packet.fate.duplicate).map(|(arrived, later)| arrived + later),
            damaged_again: packet
                .arrives
                .zip(packet.fate.flip.and(packet.fate.duplicate))
                .map(|(at, later)| at + later),
            from: packet.from,
            to: packet.to,
            over: None,
            form: Form::Datagram,
            bytes: Cow::Borrowed(&packet.bytes),
            damaged: packet.arrives.zip(packet.fate.flip).map(|(at, bit)| (at, flipped(&packet.bytes, bit))),
            packets: vec![at],
        });
    }

    /// Nobody listened where a datagram went.
    fn refused(&mut self, packet: &Packet) {
        let refused = self.arriving.remove(&(packet.to, packet.from, packet.at)).unwrap_or_default();
        for at in refused {
            let message = &mut self.messages[at];
            (message.arrived, message.again) = (None, None);
            (message.damaged, message.damaged_again) = (None, None);
        }
    }

    fn end_of(&mut self, key: &(SocketAddr, SocketAddr)) {
        if let Some(stream) = self.streams.remove(key) {
            stream.cut(key.0, key.1, &mut self.messages);
        }
    }

    fn conclude(mut self) -> Vec<Message<'a>> {
        for ((from, to), stream) in std::mem::take(&mut self.streams) {
            stream.cut(from, to, &mut self.messages);
        }
        self.messages.sort_by_key(|message| (message.sent, message.first_packet()));
        self.messages
    }
}

/// When a packet arrived as it was sent.
fn arrival(packet: &Packet) -> Option<Instant> {
    packet.arrives.filter(|_| packet.fate.flip.is_none())
}

impl<'a> Stream<'a> {
    fn cut(mut self, from: SocketAddr, to: SocketAddr, messages: &mut Vec<Message<'a>>) {
        self.wait_in_sequence();
        let (opened, closed) = (self.opened, self.closed);
        let over = closed.into_iter().chain(self.ended).min();
        let whole = Message {
            sent: Instant::START,
            meant: Instant::START,
            arrived: None,
            again: None,
            damaged_again: None,
            from,
            to,
            over,
            form: Form::Foreign,
            bytes: Cow::Borrowed(&[]),
            damaged: None,
            packets: Vec::new(),
        };
        let mut pieces = self.pieces();
        let (said, rest) = if is_sip(&pieces) {
            frames(&pieces)
        } else if let Some(handshake) = websocket::handshake(&pieces) {
            if !handshake.is_sip {
                heed_the_end(&mut pieces, closed);
                return messages.extend(websocket::cut(&pieces, &handshake, &whole));
            }
            (websocket::messages_of_sip(&pieces, &handshake), 0)
        } else {
            messages.extend(pieces.into_iter().map(|Piece { sent, arrived, bytes, packets }| Message {
                sent,
                meant: sent,
                arrived,
                bytes,
                packets,
                ..whole.clone()
            }));
            return;
        };
        heed_the_end(&mut pieces, closed);
        let mut reader = Reader { pieces: &pieces, at: 0, within: 0 };
        // What is sent first, all at once, has waited for the connection, and what is sent together with the end of another
        // message for that.
        let mut first = None;
        let mut before: Option<(Instant, Instant)> = None;
        for Said { length, bytes } in said {
            let (sent, arrived, packets) = reader.advance(length);
            let Some(bytes) = bytes else { continue };
            let held_back = before.filter(|(_, until)| *until == sent).map(|(since, _)| since);
            let waited = opened.filter(|_| *first.get_or_insert(sent) == sent);
            let meant = held_back.into_iter().chain(waited).chain([sent]).min().unwrap_or(sent);
            before = reader.sent_last().map(|last| (meant, last));
            let bytes = bytes.into();
            messages.push(Message {
                sent,
                meant,
                arrived,
                packets,
                form: Form::Framed,
                bytes,
                ..whole.clone()
            });
        }
        if rest > 0 {
            let (sent, arrived, packets) = reader.advance(rest);
            let all = stream_of(&pieces);
            let bytes = all[all.len() - rest..].to_vec().into();
            messages.push(Message {
                sent,
                meant: sent,
                arrived,
                packets,
                form: Form::Broken,
                bytes,
                ..whole
            });
        }
    }

    /// The stream as its receiver reads it, opened where its secret is known.
    fn pieces(self) -> Vec<Piece<'a>> {
        let plain = self.segments.into_iter().map(|Segment { sent, arrived, bytes, packets }| Piece {
            sent,
            arrived,
            bytes: Cow::Borrowed(&bytes[..]),
            packets,
        });
        let plain: Vec<Piece<'_>> = plain.collect();
        let Some(secret) = self.secret else { return plain };
        let records = secret.open(&stream_of(&plain));
        let mut reader = Reader { pieces: &plain, at: 0, within: 0 };
        let mut opened = Vec::new();
        for Opened { length, said } in records {
            let (sent, arrived, packets) = reader.advance(length);
            opened.extend(said.map(|said| Piece { sent, arrived, bytes: said.into(), packets }));
        }
        opened
    }

    /// The segment that is sent again. Of two that say the same it is the one whose bytes these are; a trace from a file
    /// does not know, and there it is the first.
    fn missing(&mut self, bytes: &Bytes) -> Option<&mut Segment<'a>> {
        let is_it = |segment: &Segment<'_>| segment.arrived.is_none() && segment.bytes == bytes;
        let place = |bytes: &Bytes| (bytes.as_ptr(), bytes.len());
        let same = |segment: &Segment<'_>| is_it(segment) && place(segment.bytes) == place(bytes);
        let at = self.segments.iter().position(same).or_else(|| self.segments.iter().position(is_it))?;
        self.segments.get_mut(at)
    }

    /// What comes before its turn waits for what is missing.
    fn wait_in_sequence(&mut self) {
        let mut turn = Some(Instant::START);
        for segment in &mut self.segments {
            turn = turn.zip(segment.arrived).map(|(turn, arrived)| turn.max(arrived));
            segment.arrived = turn;
        }
    }
}

fn stream_of(pieces: &[Piece<'_>]) -> Vec<u8> {
    pieces.iter().flat_map(|piece| piece.bytes.iter()).copied().collect()
}

/// What comes when its receiver has closed its end has not come.
fn heed_the_end(pieces: &mut [Piece<'_>], closed: Option<Instant>) {
    for piece in pieces {
        piece.arrived = piece.arrived.filter(|arrived| closed.is_none_or(|closed| *arrived < closed));
    }
}

fn is_sip(pieces: &[Piece<'_>]) -> bool {
    let bytes = pieces.iter().flat_map(|piece| piece.bytes.iter());
    let text = bytes.skip_while(|byte| byte.is_ascii_whitespace()).take(LONGEST_LINE);
    let line: Vec<u8> = text.copied().take_while(|byte| *byte != b'\r').collect();
    line.starts_with(b"SIP/2.0 ") || line.ends_with(b" SIP/2.0")
}

/// The messages, keepalives included, and how much is left when there is no more.
fn frames(pieces: &[Piece<'_>]) -> (Vec<Said>, usize) {
    let (mut framer, mut frames) = (Framer::new(LONGEST), Vec::new());
    for piece in pieces {
        framer.push(&piece.bytes);
        while let Ok(Some(frame)) = framer.next() {
            let bytes = match frame {
                Frame::Message(bytes) => bytes,
                Frame::Ping | Frame::Pong => b"\r\n".to_vec(),
            };
            frames.push(Said { length: bytes.len(), bytes: Some(bytes) });
        }
    }
    let framed: usize = frames.iter().map(|said| said.length).sum();
    let all: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
    (frames, all - framed)
}

/// Goes along the pieces of a stream.
struct Reader<'a, 'b> {
    pieces: &'b [Piece<'a>],
    at: usize,
    within: usize,
}

impl Reader<'_, '_> {
    /// When the last of what was read was sent.
    fn sent_last(&self) -> Option<Instant> {
        let at = if self.within == 0 { self.at.checked_sub(1)? } else { self.at };
        self.pieces.get(at).map(|piece| piece.sent)
    }

    /// When the next so many bytes were sent and had all arrived, and by which packets.
    fn advance(&mut self, mut length: usize) -> (Instant, Option<Instant>, Vec<usize>) {
        let sent = self.pieces.get(self.at).map_or(Instant::START, |piece| piece.sent);
        let (mut arrived, mut packets) = (None, Vec::new());
        while let Some(piece) = self.pieces.get(self.at).filter(|_| length > 0) {
            let taken = length.min(piece.bytes.len() - self.within);
            length -= taken;
            self.within += taken;
            arrived = piece.arrived;
            packets.extend(&piece.packets);
            if self.within == piece.bytes.len() {
                (self.at, self.within) = (self.at + 1, 0);
            }
        }
        (sent, arrived, packets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::websocket::Frame;
    use crate::network::Fate;

    const BYE: &str = "BYE sip:a@b SIP/2.0\r\nContent-Length: 4\r\n\r\nbody";

    #[test]
    fn a_message_in_three_segments_is_one() {
        let packets = [data(0, &BYE[..9]), data(0, &BYE[9..30]), data(5, &BYE[30..])];
        let messages = messages(&packets);
        assert_eq!(told(&messages), [(0, Some(6), BYE, vec![0, 1, 2])]);
        assert_eq!(messages[0].form, Form::Framed);
    }

    #[test]
    fn a_websocket_is_its_handshake_and_what_its_frames_carry() {
        let head = "GET /rwi/v1 HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
        let bytes = |opcode, text: &str, mask| Frame::whole(opcode, text, mask).to_bytes();
        let masked = bytes(Opcode::Text, "{\"action\":\"call.hangup\"}", Some([1, 2, 3, 4]));
        let piece = Frame { is_final: false, ..Frame::whole(Opcode::Text, "half ", Some([9, 9, 9, 9])) };
        let rest = bytes(Opcode::Continuation, "and half", Some([7, 7, 7, 7]));
        let stream = [masked, bytes(Opcode::Ping, "", None), piece.to_bytes(), rest].concat();
        let (front, back) = stream.split_at(9);
        let raw = |at, bytes: &[u8]| Packet { bytes: bytes.to_vec().into(), ..data(at, "") };
        let packets = [data(0, head), raw(1, front), raw(2, back)];
        let messages = messages(&packets);
        let told: Vec<_> = messages.iter().map(|it| (it.form, &*it.bytes, it.packets.clone())).collect();
        assert_eq!(
            told,
            [
                (Form::Foreign, head.as_bytes(), vec![0]),
                (Form::Frame(Opcode::Text), &b"{\"action\":\"call.hangup\"}"[..], vec![1, 2]),
                (Form::Frame(Opcode::Ping), b"", vec![2]),
                (Form::Frame(Opcode::Text), b"half and half", vec![2]),
            ]
        );
    }

    #[test]
    fn what_comes_after_a_lost_segment_waits_for_it() {
        let again = Packet { kind: Kind::Again, ..data(200, &BYE[..9]) };
        let packets = [lost(data(0, &BYE[..9])), data(0, &BYE[9..]), data(10, BYE), again];
        let messages = messages(&packets);
        assert_eq!(told(&messages), [(0, Some(201), BYE, vec![0, 3, 1]), (10, Some(201), BYE, vec![2])]);
        assert!(messages[0].was_late(&packets) && !messages[1].was_late(&packets));
    }

    #[test]
    fn of_two_segments_that_say_the_same_each_has_its_own_copies() {
        let (first, second) = (lost(data(0, BYE)), lost(data(100, BYE)));
        let again =
            |of: &Packet, at: u64| Packet { bytes: of.bytes.clone(), kind: Kind::Again, ..data(at, "") };
        let packets = [first.clone(), second.clone(), again(&second, 300), again(&first, 600)];
        let messages = messages(&packets);
        assert_eq!(told(&messages), [(0, Some(601), BYE, vec![0, 3]), (100, Some(601), BYE, vec![1, 2])]);
    }

    #[test]
    fn what_never_arrives_holds_up_all_that_follows() {
        let packets = [data(0, BYE), lost(data(1, BYE)), data(2, BYE)];
        let arrived: Vec<_> = messages(&packets).iter().map(|message| message.arrived.is_some()).collect();
        assert_eq!(arrived, [true, false, false]);
    }

    #[test]
    fn two_messages_and_a_keepalive_in_one_segment_are_three() {
        let packets = [data(0, &format!("{BYE}\r\n{BYE}"))];
        let messages = messages(&packets);
        let texts: Vec<_> = messages.iter().map(|message| String::from_utf8_lossy(&message.bytes)).collect();
        assert_eq!(texts, [BYE, "\r\n", BYE]);
    }

    #[test]
    fn a_stream_that_ends_within_a_message_says_so() {
        let packets = [data(0, BYE), data(3, &BYE[..20])];
        let forms: Vec<_> = messages(&packets).iter().map(|message| message.form).collect();
        assert_eq!(forms, [Form::Framed, Form::Broken]);
    }

    #[test]
    fn a_page_is_left_as_it_was_written() {
        let page = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        let packets = [data(0, &page[..30]), data(1, &page[30..])];
        let messages = messages(&packets);
        assert_eq!(told(&messages), [(0, Some(1), &page[..30], vec![0]), (1, Some(2), &page[30..], vec![1])]);
        assert!(messages.iter().all(|message| message.form == Form::Foreign));
    }

    #[test]
    fn another_flow_of_the_same_ports_begins_anew() {
        let syn = Packet { kind: Kind::Syn, ..data(5, "") };
        let packets = [data(0, &BYE[..20]), syn, data(9, BYE)];
        let forms: Vec<_> = messages(&packets).iter().map(|message| message.form).collect();
        assert_eq!(forms, [Form::Broken, Form::Framed]);
    }

    #[test]
    fn what_comes_when_its_receiver_has_closed_is_read_by_nobody() {
        let other = |at, kind| {
            let Packet { from, to, .. } = data(0, "");
            Packet { kind, from: to, to: from, ..data(at, "") }
        };
        let arrived = |packets: &[Packet]| -> Vec<_> {
            messages(packets).iter().map(|message| message.arrived.is_some()).collect()
        };
        assert_eq!(arrived(&[data(0, BYE), data(4, BYE), other(4, Kind::Fin)]), [true, false]);
        assert_eq!(arrived(&[data(0, BYE), data(4, BYE), other(5, Kind::Reset)]), [true, false]);
        assert_eq!(arrived(&[data(0, BYE), data(4, BYE), other(6, Kind::Fin)]), [true, true]);
    }

    #[test]
    fn what_goes_out_first_has_waited_for_its_connection() {
        let syn = |at| Packet { kind: Kind::Syn, ..data(at, "") };
        let meant: Vec<_> = messages(&[syn(0), syn(1), data(4, BYE), data(9, BYE)])
            .iter()
            .map(|message| message.meant.as_nanos() / 1_000_000)
            .collect();
        assert_eq!(meant, [0, 9]);
    }

    #[test]
    fn what_goes_out_with_the_end_of_another_message_has_waited_for_it() {
        let packets = [data(5, &BYE[..9]), data(55, &format!("{}{BYE}", &BYE[9..])), data(90, BYE)];
        let meant: Vec<_> =
            messages(&packets).iter().map(|message| message.meant.as_nanos() / 1_000_000).collect();
        assert_eq!(meant, [5, 5, 90]);
    }

    #[test]
    fn a_datagram_where_nobody_listens_has_not_arrived() {
        let hello = Packet { kind: Kind::Datagram, ..data(0, "hello") };
        let (from, to) = (hello.to, hello.from);
        let refused = Packet { kind: Kind::Reset, from, to, ..data(1, "") };
        let packets = [hello, refused];
        assert_eq!(told(&messages(&packets)), [(0, None, "hello", vec![0])]);
    }

    type Told<'a> = (u64, Option<u64>, &'a str, Vec<usize>);

    fn told<'a>(messages: &'a [Message<'_>]) -> Vec<Told<'a>> {
        let millis = |at: Instant| at.as_nanos() / 1_000_000;
        let told = |message: &'a Message<'_>| {
            let text = std::str::from_utf8(&message.bytes).expect("text");
            (millis(message.sent), message.arrived.map(millis), text, message.packets.clone())
        };
        messages.iter().map(told).collect()
    }

    fn data(at: u64, text: &str) -> Packet {
        let address = |last: u8, port: u16| ([10, 0, 0, last], port).into();
        let at = Instant::from_millis(at);
        Packet {
            at,
            from: address(2, 50_000),
            to: address(1, 5060),
            kind: Kind::Data,
            bytes: text.to_owned().into(),
            number: 0,
            fate: Fate::default(),
            arrives: Some(at + Duration::from_millis(1)),
        }
    }

    fn lost(packet: Packet) -> Packet {
        Packet { arrives: None, ..packet }
    }
}
