//! Everything on the wire of a story, and what tshark thinks of the PBX's share of it.

use crate::becomes;
use crate::network::{OFFICE, STRANGER, command};
use crate::process::Process;
use crate::stage::{TSHARK, play_uncaptured};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};

/// A running capture.
pub(crate) struct Capture {
    dumpcap: Process,
    file: PathBuf,
}

/// A packet that cannot come from anybody else tells that the capture reaches this far.
const OPENING: &[u8] = b"the capture of this story begins here";
const CLOSING: &[u8] = b"the capture of this story ends here";

/// What the PBX sends: from its SIP port, or from its media ports. An ICMP message quotes what somebody else has sent,
/// and cuts it.
const FROM_THE_PBX: &str = "(udp.srcport == 5060 || tcp.srcport == 5060 || \
    (udp.srcport >= 10000 && udp.srcport <= 20000)) && \
    (ip.src == 10.9.0.1 || ip.src == 127.0.0.1 || ipv6.src == fd00:9::1) && !icmp && !icmpv6";
const PROTOCOLS: &str = "(sip || sdp || rtp || rtcp || rtpevent)";
const WRONG: &str = "(_ws.malformed || _ws.expert.severity >= \"Error\")";

impl Capture {
    /// Returns when packets are really captured.
    pub(crate) fn start(file: &Path) -> Capture {
        let mut dumpcap = command("dumpcap");
        dumpcap.args(["-i", "lo", "-f", "udp or tcp", "-B", "16", "-w"]).arg(file);
        let dumpcap = Process::start("dumpcap", &mut dumpcap);
        let capture = Capture { dumpcap, file: file.to_owned() };
        capture.dumpcap.prints("the name of its file", |line| line.starts_with("File: "));
        capture.mark(OPENING);
        capture
    }

    /// Ends the capture and fails with what tshark calls malformed, or an error, in what the PBX has sent.
    pub(crate) fn finds_nothing_malformed(mut self) {
        self.end();
        let sent = self.packets(&format!("{FROM_THE_PBX} && {PROTOCOLS}"));
        assert!(!sent.is_empty(), "the capture holds nothing that the PBX has sent");
        let malformed = self.malformed();
        assert!(
            malformed.is_empty(),
            "tshark finds malformed what the PBX has sent:\n{}",
            malformed.join("\n")
        );
    }

    /// Ends the capture: what tshark makes of the RTP that the PBX has sent.
    pub(crate) fn media_of_the_pbx(mut self) -> Media {
        self.end();
        let told =
            self.fields(&format!("{FROM_THE_PBX} && rtpevent"), &["rtp.timestamp", "rtpevent.event_id"]);
        let mut keys: Vec<&str> = told.iter().map(String::as_str).collect();
        // The packets of one key have its timestamp.
        keys.dedup();
        let number =
            |key: &&str| key.split('\t').nth(1).and_then(|number| number.trim().parse::<usize>().ok());
        let key = |number: usize| "0123456789*#ABCD".chars().nth(number);
        let keys = keys.iter().filter_map(number).filter_map(key).collect();

        let mut tshark = command("tshark");
        tshark.arg("-r").arg(&self.file).args(["-q", "-z", "rtp,streams"]);
        let output = tshark.output().expect("tshark is installed");
        let table = String::from_utf8_lossy(&output.stdout).into_owned();
        Media { keys, streams: table.lines().filter_map(Stream::of_the_pbx).collect() }
    }

    fn end(&mut self) {
        self.mark(CLOSING);
        self.dumpcap.signal(libc::SIGINT);
        self.dumpcap.ended();
    }

    fn malformed(&self) -> Vec<String> {
        self.packets(&format!("{FROM_THE_PBX} && {PROTOCOLS} && {WRONG}"))
    }

    /// The packets that a filter lets through, one line each.
    fn packets(&self, filter: &str) -> Vec<String> {
        self.fields(filter, &["frame.number", "ip.src", "udp.srcport", "_ws.col.Info", "_ws.expert.message"])
    }

    /// These fields of the packets that a filter lets through.
    fn fields(&self, filter: &str, fields: &[&str]) -> Vec<String> {
        let mut tshark = command("tshark");
        tshark.arg("-r").arg(&self.file).args(["-Y", filter]);
        tshark.args(["-T", "fields", "-E", "occurrence=a"]);
        for field in fields {
            tshark.args(["-e", field]);
        }
        let output = tshark.output().expect("tshark is installed");
        assert!(output.status.success(), "tshark: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }

    /// Sends a packet of our own until it is in the file.
    fn mark(&self, text: &[u8]) {
        let socket = UdpSocket::bind((STRANGER, 0)).expect("the network is up");
        let is_captured = becomes(|| {
            let _ = socket.send_to(text, (OFFICE, 9));
            std::fs::read(&self.file).is_ok_and(|bytes| memchr::memmem::find(&bytes, text).is_some())
        });
        assert!(is_captured, "the capture does not reach {}", String::from_utf8_lossy(text));
    }
}

/// The RTP that the PBX has sent, as tshark reads it.
pub(crate) struct Media {
    /// Told as events.
    pub(crate) keys: String,
    pub(crate) streams: Vec<Stream>,
}

/// A line of the table of RTP streams.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) packets: u32,
    pub(crate) lost: i32,
}

impl Stream {
    /// Two times, two addresses each with its port, the source, the codec, packets, lost packets and their share, ...
    fn of_the_pbx(line: &str) -> Option<Stream> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let source = words.iter().position(|word| word.starts_with("0x"))?;
        let port: u16 = words.get(source.checked_sub(3)?)?.parse().ok()?;
        let share = words.iter().position(|word| word.starts_with('('))?;
        let is_ours = words.get(source - 4) == Some(&"10.9.0.1") && (10_000..=20_000).contains(&port);
        let number = |back: usize| words.get(share.checked_sub(back)?).copied();
        is_ours.then_some(Stream { packets: number(2)?.parse().ok()?, lost: number(1)?.parse().ok()? })
    }
}

/// What the PBX would look like if it sent nonsense: from its ports, in a session that is set up as usual.
#[test]
fn what_is_malformed_is_found() {
    play_uncaptured(&[TSHARK], |stage| {
        let mut capture = Capture::start(&stage.path("wire.pcapng"));
        let (sip, rtp) = (from(5060), from(10000));
        let session = "v=0\r\no=- 1 1 IN IP4 10.9.0.1\r\ns=-\r\nc=IN IP4 10.9.0.1\r\nt=0 0\r\nm=audio 10000 RTP/AVP 0\r\n";

        send(&sip, &message(session));
        send(&sip, &message("v=0\r\no=\r\n"));
        send(&rtp, b"\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\xff\xff");
        // Fifteen contributing sources, and none of them there.
        send(&rtp, b"\x8f\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01");
        capture.end();

        let malformed = capture.malformed();
        assert_eq!(malformed.len(), 2, "{malformed:?}");
        assert!(malformed[0].contains("Invalid SDP line"), "{malformed:?}");
        assert!(malformed[1].contains("Malformed"), "{malformed:?}");
    });
}

fn from(port: u16) -> UdpSocket {
    UdpSocket::bind((OFFICE, port)).expect("in a network of one's own every port is free")
}

fn send(socket: &UdpSocket, bytes: &[u8]) {
    socket.send_to(bytes, (OFFICE, 10000)).expect("the network is up");
}

fn message(body: &str) -> Vec<u8> {
    format!(
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.9.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@10.9.0.1>;tag=1\r\n\
         To: <sip:b@10.9.0.1>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
