//! Who says something into the calls of others: RTP to a port of the PBX that somebody else was told of.

use super::sound::Sound;
use super::{Phone, Telephone};
use pbx::audio::Law;
use pbx::rtp::packet::Header;
use pbx::shell::host::{Host, Udp};
use pbx::shell::timer;
use pbx::time::Duration;
use std::net::SocketAddr;

/// Where strangers send from.
const PORT: u16 = 50_000;
const PACKET: Duration = Duration::from_millis(20);
const SAMPLES: u32 = 160;

/// As whom a stranger sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guise {
    /// As somebody who has found the port.
    Own,
    /// As somebody who has seen the packets of the one who is heard there, and goes on with their numbers.
    Forged,
}

impl Phone {
    /// Says a tone for so long to where the PBX hears `victim`; nothing, when the victim has no call.
    pub fn speaks_into_the_call_of(&self, victim: &Phone, guise: Guise, frequency: f64, length: Duration) {
        self.shared.act(|telephone, _| telephone.has_misbehaved = true);
        let Some((to, theirs)) = victim.shared.look(|telephone, _| telephone.stream()) else { return };
        let own = Header { marker: true, payload_type: 0, sequence: 1, timestamp: 0, ssrc: 0x5742_4e47 };
        let header = if guise == Guise::Forged { theirs } else { own };
        let host = self.host().clone();
        let local = SocketAddr::new(host.address(), PORT);
        let packets = (length.as_nanos() / PACKET.as_nanos()) as u32;
        let sound = Sound::Tone(frequency);
        self.host().spawn(async move {
            let Ok(socket) = host.bind(local) else { return };
            for n in 0..packets {
                let law = if header.payload_type == 8 { Law::A } else { Law::Mu };
                let mut codes = [law.silence(); SAMPLES as usize];
                sound.fill(u64::from(n * SAMPLES), law, &mut codes);
                let sequence = header.sequence.wrapping_add(n as u16);
                let timestamp = header.timestamp.wrapping_add(n * SAMPLES);
                let packet = Header { marker: n == 0, sequence, timestamp, ..header };
                let _ = socket.try_send_to(&[&packet.to_bytes()[..], &codes].concat(), to);
                timer::sleep(PACKET).await;
            }
        });
    }
}

impl Telephone {
    /// Where its sound goes, and the header that its next packet has.
    fn stream(&self) -> Option<(SocketAddr, Header)> {
        self.shown()?.voice.stream()
    }
}
