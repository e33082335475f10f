//! What the network did to a packet, in words.

use crate::network::{Kind, Packet};
use pbx::time::Duration;
use std::fmt;

/// From here on a delay is worth a word.
const LATE: Duration = Duration::from_millis(1);

/// What the network did to a packet beside carrying it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is lost.
    Lost,
    /// Nobody could be reached there.
    Unreachable,
    /// A bit is not what it was.
    Damaged { bit: u64 },
    /// A second copy comes so much later.
    Twice { later: Duration },
    /// It takes so much longer than usual.
    Late { by: Duration },
    /// It is sent once more, as it did not get through.
    Again,
}

/// The worst that happened to a packet.
pub(crate) fn fault_of(packet: &Packet) -> Option<Fault> {
    let fate = packet.fate;
    let bits = packet.bytes.len() as u64 * 8;
    match (packet.arrives, fate.flip, fate.duplicate) {
        (None, ..) if fate.lost => Some(Fault::Lost),
        (None, ..) => Some(Fault::Unreachable),
        (_, Some(flip), _) if bits > 0 => Some(Fault::Damaged { bit: flip % bits }),
        (_, _, Some(later)) => Some(Fault::Twice { later }),
        _ if packet.kind == Kind::Again => Some(Fault::Again),
        _ if fate.delay >= LATE => Some(Fault::Late { by: fate.delay }),
        _ => None,
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Lost => write!(f, "lost: the network dropped it"),
            Fault::Unreachable => write!(f, "lost: the line was cut, or nobody was there"),
            Fault::Damaged { bit } => {
                write!(f, "damaged: bit {} of byte {} arrives flipped", bit % 8, bit / 8)
            }
            Fault::Twice { later } => write!(f, "arrives twice, the second time {} later", millis(*later)),
            Fault::Late { by } => write!(f, "late: it took {} longer", millis(*by)),
            Fault::Again => write!(f, "sent again: it had not got through"),
        }
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
