//! The media loop without signalling, to be put under load and measured.
//!
//! `media_plane relay CALLS PORT PEER [WORKERS]`: call n has its two streams at PORT + 4n and PORT + 4n + 2; the other
//! sides are at PEER + 2n and PEER + 2 (CALLS + n). `media_plane tone CALLS PORT PEER [WORKERS]`: as many streams, and
//! each plays 440 Hz. All on 127.0.0.1; runs until its input ends.

use pbx::media::{Command, Event, Latching, RoomId, Settings, Source, StreamId};
use pbx::sdp::{Agreement, Codec, Direction, RemoteAudio};
use pbx::shell::media_loop::{self, Media};
use pbx::time::{Instant, WallClock};
use std::net::SocketAddr;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize, default: u16| arguments.get(n).map_or(Ok(default), |text| text.parse::<u16>());
    let (calls, port, peer) = (number(1, 500)?, number(2, 20_000)?, number(3, 40_000)?);
    let settings = Settings { clock: WallClock { epoch_micros: 0 }, latching: Latching::default() };
    let media = media_loop::spawn(usize::from(number(4, 1)?), settings, clock(), |event| {
        if let Event::OpenFailed { port, reason, .. } = event {
            eprintln!("port {port}: {reason}");
        }
        None
    })?;
    for n in 0..calls {
        let room = RoomId(u64::from(n));
        let streams = [StreamId(2 * room.0), StreamId(2 * room.0 + 1)];
        open(&media, room, streams[0], port + 4 * n, peer + 2 * n);
        open(&media, room, streams[1], port + 4 * n + 2, peer + 2 * (calls + n));
        if arguments.first().is_some_and(|mode| mode == "tone") {
            let source = Source::Tone { frequency: 440.0, level: -10.0, duration: None };
            for stream in streams {
                media.send(room, Command::Play { stream, source: source.clone() });
                // Calls do not begin at one instant.
                std::thread::park_timeout(std::time::Duration::from_micros(1234));
            }
        } else {
            media.send(room, Command::Bridge(streams[0], streams[1]));
        }
    }
    println!("media_plane {arguments:?}");
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    drop(media);
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "this program runs in real time")]
fn clock() -> impl Fn() -> Instant + Clone + Send + 'static {
    let start = std::time::Instant::now();
    move || Instant::START + start.elapsed()
}

fn open(media: &Media, room: RoomId, stream: StreamId, local: u16, peer: u16) {
    let here = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let seed = u64::from(local);
    media.send(room, Command::Open { stream, local: here(local), seed, cname: format!("{local}@pbx") });
    let codec = Codec { payload_type: 0, name: "PCMU".into(), clock_rate: 8000, channels: 1, fmtp: None };
    let remote = RemoteAudio {
        rtp: Some(here(peer)),
        rtcp: Some(here(peer + 1)),
        codecs: vec![codec.clone()],
        direction: Direction::SendRecv,
        ptime: Some(20),
        maxptime: None,
        sealing: Default::default(),
    };
    let direction = Direction::SendRecv;
    let agreement = Agreement {
        remote,
        codecs: vec![codec],
        telephone_event: None,
        renumbered: Vec::new(),
        direction,
        ptime: 20,
        protection: None,
    };
    media.send(
        room,
        Command::Agree { stream, agreement: Box::new(agreement), timeout: None, detect_dtmf: false },
    );
}
