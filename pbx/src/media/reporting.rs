//! The RTCP of one stream: what we report, and what is reported to us (RFC 3550 section 6.4).

use super::outgoing::Outgoing;
use crate::rng::Rng;
use crate::rtp::Receiver;
use crate::rtp::interval::Interval;
use crate::rtp::report::{Block, Heard, Report, SenderInfo};
use crate::time::{Duration, Instant, WallClock};

/// Seconds from 1900 to 1970.
const NTP_EPOCH: u64 = 2_208_988_800;
/// Our sender reports that an answer may refer to.
const REMEMBERED: usize = 4;

#[derive(Clone, Debug, Default)]
pub(super) struct Reporting {
    interval: Interval,
    /// Packets sent when the last two reports were: who has sent since the one before last is a sender.
    sent_before: [u64; 2],
    /// The sender report of the other side: its NTP time, and when it came.
    heard: Option<(u32, Instant)>,
    /// The NTP times of our own.
    reported: [u32; REMEMBERED],
    reports: u64,
    pub(super) round_trip: Option<Duration>,
    pub(super) remote_loss: Option<f64>,
}

/// What goes into a report.
pub(super) struct Context<'a> {
    pub(super) outgoing: &'a Outgoing,
    pub(super) clock_rate: u32,
    pub(super) receiver: Option<&'a mut Receiver>,
    pub(super) cname: &'a str,
    pub(super) clock: WallClock,
    pub(super) now: Instant,
    pub(super) bye: bool,
}

impl Reporting {
    /// How long to wait for the next report.
    pub(super) fn next_interval(&mut self, dice: &mut Rng) -> Duration {
        self.interval.next(dice)
    }

    /// Whether anything was ever reported.
    pub(super) fn has_reported(&self) -> bool {
        self.reports > 0
    }

    /// Appends a compound packet.
    pub(super) fn write(&mut self, context: Context<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        let ntp = ntp(context.clock, context.now);
        let outgoing = context.outgoing;
        let is_sender = outgoing.packets > self.sent_before[0];
        self.sent_before = [self.sent_before[1], outgoing.packets];
        let sender = is_sender.then(|| {
            let (packets, octets) = outgoing.counted();
            let timestamp = outgoing.timestamp_at(context.now, Duration::ZERO, context.clock_rate);
            SenderInfo { ntp, timestamp, packets, octets }
        });
        if is_sender {
            self.reported[(self.reports % REMEMBERED as u64) as usize] = middle(ntp);
        }
        let block = context.receiver.map(|receiver| self.block(receiver, context.now));
        Report { ssrc: outgoing.ssrc, sender, block, cname: context.cname, bye: context.bye }.write(out);
        self.reports += 1;
        self.interval.observe(out.len() - start);
    }

    /// A compound packet of the other side, `size` bytes.
    pub(super) fn on_report(&mut self, heard: &Heard, size: usize, clock: WallClock, now: Instant) {
        self.interval.observe(size);
        if let Some(ntp) = heard.last_report {
            self.heard = Some((ntp, now));
        }
        let Some(block) = heard.block else { return };
        self.remote_loss = Some(f64::from(block.fraction_lost) / 256.0);
        // A round trip is measured from a report that we have really sent.
        if block.last_report != 0 && self.reported.contains(&block.last_report) {
            let units = middle(ntp(clock, now)).wrapping_sub(block.last_report).wrapping_sub(block.delay);
            // Clocks of different pace may make a short way negative.
            let units = units.cast_signed().max(0);
            self.round_trip = Some(Duration::from_nanos(units as u64 * 1_000_000_000 / 65_536));
        }
    }

    fn block(&self, receiver: &mut Receiver, now: Instant) -> Block {
        let (last_report, delay) = match self.heard {
            Some((ntp, at)) => (ntp, (now.since(at).as_nanos() * 65_536 / 1_000_000_000) as u32),
            None => (0, 0),
        };
        Block {
            ssrc: receiver.ssrc(),
            fraction_lost: receiver.take_fraction_lost(),
            cumulative_lost: receiver.cumulative_lost(),
            extended_highest: receiver.extended_highest(),
            jitter: receiver.jitter(),
            last_report,
            delay,
        }
    }
}

/// Seconds since 1900 in the upper half, 1/2^32 s in the lower (RFC 3550 section 4).
fn ntp(clock: WallClock, now: Instant) -> u64 {
    let nanos = u128::from(clock.epoch_micros) * 1000 + u128::from(now.as_nanos());
    let seconds = (nanos / 1_000_000_000) as u64 + NTP_EPOCH;
    let fraction = ((nanos % 1_000_000_000) << 32) / 1_000_000_000;
    seconds << 32 | fraction as u64
}

fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}
