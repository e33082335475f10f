//! What is judged: the packets of a world that has come to rest, and what it saw beside them.

use super::log::Log;
use super::session::Sessions;
use super::{Break, Evidence, rules, seal};
use crate::network::{Binding, Books, Outage, Packet};
use pbx::time::{Duration, Instant, WallClock};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// A run that has come to rest.
pub struct Run<'a> {
    /// Everything that was sent.
    pub packets: &'a [Packet],
    /// Where the PBX is.
    pub pbx: IpAddr,
    /// When hosts were off.
    pub outages: &'a [Outage],
    /// Those who were told to do wrong. What they send is not judged.
    pub excused: &'a BTreeSet<IpAddr>,
    /// Those whom the PBX did not listen to for a while, as they guessed passwords.
    pub unheard: &'a BTreeSet<IpAddr>,
    /// The PBX's call records; `None` when it was told to keep none.
    pub records: Option<&'a [Value]>,
    /// What the network says became of its datagrams; `None` when it was not asked.
    pub books: Option<Books>,
    /// What was left over when everything had had time to end.
    pub left_over: &'a [String],
    /// When it ended.
    pub end: Instant,
    /// What o'clock it was at the start.
    pub clock: WallClock,
    /// Which sockets were open when, in the order in which they were opened; `None` when nobody has looked.
    pub bindings: Option<&'a [Binding]>,
    /// What programs called an error, and when.
    pub complaints: &'a [(Instant, String)],
    /// How long the PBX waits for RTP.
    pub rtp_timeout: Option<Duration>,
    /// Whether any host stood still for a while, or a link held packets back.
    pub stood_still: bool,
    /// How coarse the clock of the network is: timers may go off so much early.
    pub grain: Duration,
    /// What somebody sent that was never meant to be a message.
    pub noise: &'a [Vec<u8>],
}

impl Run<'_> {
    /// Every rule that was broken, the first break of each, in the order of time.
    pub fn judge(&self) -> Vec<Break> {
        let log = Log::of(self.packets, self.outages);
        let sessions = Sessions::of(&log);
        let opened = seal::open(self.packets, &sessions);
        let evidence = Evidence::of(self, log, sessions, &opened);
        let mut breaks: Vec<Break> = rules().filter_map(|rule| evidence.first_break(rule)).collect();
        breaks.sort_by_key(|broken| broken.at);
        breaks
    }

    /// Whether somebody listened there at any time between two moments. Who opens or closes in this very instant does.
    pub(super) fn was_bound(&self, address: SocketAddr, from: Instant, to: Instant) -> bool {
        let Some(bindings) = self.bindings else { return true };
        let begun = bindings.partition_point(|binding| binding.since <= to);
        let holds =
            |binding: &Binding| binding.address == address && binding.until.is_none_or(|until| until >= from);
        bindings[..begun].iter().rev().any(holds)
    }

    pub(super) fn epoch_nanos(&self) -> u128 {
        u128::from(self.clock.epoch_micros) * 1_000
    }

    /// The moment of a time as records have it: `2026-01-01T00:00:16.000000Z`.
    pub(super) fn moment(&self, time: &Value) -> Option<Instant> {
        let (date, clock) = time.as_str()?.strip_suffix('Z')?.split_once('T')?;
        let [year, month, day] = numbers(date, '-')?;
        let [hour, minute, _] = numbers(&format!("{}:0", clock.rsplit_once(':')?.0), ':')?;
        let (second, micros) = clock.rsplit_once(':')?.1.split_once('.')?;
        let seconds =
            (days(year, month, day) * 24 + hour) * 3_600 + minute * 60 + second.parse::<u64>().ok()?;
        let micros = seconds * 1_000_000 + micros.parse::<u64>().ok()?;
        Some(Instant::from_nanos(micros.checked_sub(self.clock.epoch_micros)? * 1_000))
    }
}

fn numbers(text: &str, between: char) -> Option<[u64; 3]> {
    let numbers: Vec<u64> = text.split(between).map(str::parse).collect::<Result<_, _>>().ok()?;
    numbers.try_into().ok()
}

/// Days from 1970-01-01, counted in years that begin in March, so that the day that is sometimes there is the last one.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month < 3 { year - 1 } else { year };
    let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year / 4 - year / 100 + year / 400 + in_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::super::tale::Tale;
    use super::*;

    #[test]
    fn times_of_records_are_moments_of_the_world() {
        Tale::new().look(|run| {
            for millis in [0, 1, 59_999, 5_184_000_000, 31_536_000_123] {
                let at = Instant::from_millis(millis);
                let said = run.clock.rfc3339(at);
                assert_eq!(run.moment(&Value::from(said.clone())), Some(at), "{said}");
            }
            assert_eq!(run.moment(&Value::from("yesterday")), None);
            assert_eq!(run.moment(&Value::from("1999-01-01T00:00:00.000000Z")), None, "before the world");
        });
    }
}
