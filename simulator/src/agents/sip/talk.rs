//! RTP of machines: a tone that is sent, a recording of what comes.

use crate::phone::Listening;
use pbx::audio::Law;
use pbx::rng::Rng;
use pbx::rtp::packet::{Header, View};
use pbx::time::{Duration, Instant};
use pbx::tone::Wave;
use std::net::SocketAddr;

const PACKET: Duration = Duration::from_millis(20);
const SAMPLES: u32 = 160;
/// How loud machines speak, in dBm0.
const LEVEL: f64 = -10.0;

/// A tone in packets of 20 ms.
pub(in crate::agents) struct Talker {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// Whether the next packet is the first after a silence.
    marker: bool,
    /// Nothing is sent since then; the clock of the stream goes on.
    quiet_since: Option<Instant>,
    position: u64,
    frequency: f64,
    sends: Option<Sends>,
}

struct Sends {
    to: SocketAddr,
    payload_type: u8,
    wave: Wave,
    next_at: Instant,
}

impl Talker {
    pub(in crate::agents) fn new(frequency: f64, rng: &mut Rng) -> Talker {
        Talker {
            ssrc: rng.u32(),
            sequence: rng.u32() as u16,
            timestamp: rng.u32(),
            position: 0,
            frequency,
            sends: None,
            marker: true,
            quiet_since: None,
        }
    }

    /// Sends there from now on.
    pub(in crate::agents) fn send_to(&mut self, to: SocketAddr, payload_type: u8, law: Law, now: Instant) {
        let next_at = match (&self.sends, self.quiet_since.take()) {
            (Some(sends), _) => sends.next_at,
            (None, Some(since)) => {
                let packets = now.since(since).as_nanos().div_ceil(PACKET.as_nanos()) as u32;
                self.timestamp = self.timestamp.wrapping_add(packets * SAMPLES);
                self.marker = true;
                since + PACKET * packets
            }
            (None, None) => now,
        };
        if let Some(wave) = Wave::new(self.frequency, LEVEL, law) {
            self.sends = Some(Sends { to, payload_type, wave, next_at });
        }
    }

    /// Sends nothing from now on; the time goes on in its timestamps.
    pub(in crate::agents) fn stop(&mut self) {
        if let Some(sends) = self.sends.take() {
            self.quiet_since = Some(sends.next_at);
        }
    }

    pub(in crate::agents) fn poll_timeout(&self) -> Option<Instant> {
        self.sends.as_ref().map(|sends| sends.next_at)
    }

    /// The next packet, when it is time for one.
    pub(in crate::agents) fn handle_timeout(&mut self, now: Instant) -> Option<(SocketAddr, Vec<u8>)> {
        let sends = self.sends.as_mut().filter(|sends| sends.next_at <= now)?;
        sends.next_at += PACKET;
        let header = Header {
            marker: std::mem::take(&mut self.marker),
            payload_type: sends.payload_type,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        let mut bytes = header.to_bytes().to_vec();
        bytes.resize(Header::LENGTH + SAMPLES as usize, 0);
        sends.wave.fill(self.position, &mut bytes[Header::LENGTH..]);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(SAMPLES);
        self.position += u64::from(SAMPLES);
        Some((sends.to, bytes))
    }
}

/// A recording of what comes to one port.
#[derive(Clone, Debug, Default)]
pub(in crate::agents) struct Listener {
    law: Option<(u8, Law)>,
    pub(in crate::agents) listening: Listening,
}

impl Listener {
    /// This is understood from now on.
    pub(in crate::agents) fn listen(&mut self, payload_type: u8, law: Law) {
        self.law = Some((payload_type, law));
    }

    pub(in crate::agents) fn receive(&mut self, bytes: &[u8], now: Instant) {
        let Ok(View { header, payload }) = View::of(bytes) else { return };
        if let Some((_, law)) = self.law.filter(|(known, _)| *known == header.payload_type) {
            self.listening.receive_codes(header.ssrc, header.timestamp, (law, &bytes[payload]), now);
        }
    }
}
