//! The timers of RFC 3261 appendix A with RFC 6026 and RFC 4320 as a table, and the one queue of deadlines.

use super::context::Context;
use super::{ClientId, ServerId};
use crate::sip::Transport;
use crate::time::{Duration, Instant};
use std::collections::BTreeSet;

/// The longest gap between repetitions, except those of INVITE.
const T2: Duration = Duration::from_secs(4);
/// How long a message may stay in the network.
const T4: Duration = Duration::from_secs(5);

/// A timer by its name in the RFC, and three of ours. Timer C belongs to proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// INVITE client, unreliable transports: repeat the INVITE.
    A,
    /// INVITE client: give up.
    B,
    /// INVITE client, after a refusal: absorb its repetitions.
    D,
    /// Other client, unreliable transports: repeat the request.
    E,
    /// Other client: give up.
    F,
    /// INVITE server, unreliable transports: repeat the refusal.
    G,
    /// INVITE server: give up waiting for ACK.
    H,
    /// INVITE server, after ACK: absorb its repetitions.
    I,
    /// Other server, after the final response: absorb repetitions of the request.
    J,
    /// Other client, after the final response: absorb its repetitions.
    K,
    /// INVITE server, after a 2xx: absorb repetitions of the INVITE.
    L,
    /// INVITE client, after a 2xx: pass on its repetitions and those of other branches.
    M,
    /// INVITE server: say 100 when the TU has said nothing yet.
    Trying,
    /// Other server: say 100 when the TU has said nothing yet (RFC 4320 section 4.1).
    LateTrying,
    /// Other server: the client has given up, an answer would come too late (RFC 4320 section 4.2).
    Unanswered,
    /// INVITE client: no final response after CANCEL (RFC 3261 section 9.1).
    Cancelled,
    /// Both clients: the stream that was taken because of the size of the request stays silent; UDP is tried.
    Fallback,
}

/// How long each timer runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    t1: Duration,
}

impl Table {
    /// The table for an estimate of the round trip. It is taken to lie between a millisecond, for nothing may repeat
    /// endlessly at one moment, and a minute.
    pub(super) fn new(t1: Duration) -> Table {
        Table { t1: t1.clamp(Duration::from_millis(1), Duration::from_secs(60)) }
    }

    /// How long a timer runs when it is set for the first time (RFC 3261 appendix A).
    pub(super) fn first(&self, timer: Timer, transport: Transport) -> Duration {
        match timer {
            Timer::A => self.t1,
            Timer::B => 64 * self.t1,
            Timer::D if transport.is_reliable() => Duration::ZERO,
            // "At least 32 seconds": the T1 of the other side is not known.
            Timer::D => Duration::from_secs(32).max(64 * self.t1),
            Timer::E => self.t1,
            Timer::F => 64 * self.t1,
            Timer::G => self.t1,
            Timer::H => 64 * self.t1,
            Timer::I if transport.is_reliable() => Duration::ZERO,
            Timer::I => T4,
            Timer::J if transport.is_reliable() => Duration::ZERO,
            Timer::J => 64 * self.t1,
            Timer::K if transport.is_reliable() => Duration::ZERO,
            Timer::K => T4,
            Timer::L => 64 * self.t1,
            Timer::M => 64 * self.t1,
            // Due within 200 ms (RFC 3261 section 17.2.1); half of it is left for a shell that wakes up late.
            Timer::Trying => Duration::from_millis(100),
            Timer::LateTrying => self.until_e_is_t2(),
            Timer::Unanswered => 64 * self.t1,
            Timer::Cancelled => 64 * self.t1,
            // A firewall that swallows the SYN gives no error before the transaction is over.
            Timer::Fallback => 8 * self.t1,
        }
    }

    /// How long a repeating timer (A, E, G) runs after it ran for `interval`: twice as long, and except for the INVITE not
    /// longer than T2.
    pub(super) fn next(&self, timer: Timer, interval: Duration) -> Duration {
        match timer {
            Timer::A => 2 * interval,
            Timer::E | Timer::G => (2 * interval).min(T2),
            Timer::B | Timer::D | Timer::F | Timer::H | Timer::I | Timer::J | Timer::K => interval,
            Timer::L | Timer::M | Timer::Trying | Timer::LateTrying => interval,
            Timer::Unanswered | Timer::Cancelled | Timer::Fallback => interval,
        }
    }

    /// "The amount of time it takes a client transaction's Timer E to be reset to T2": 3.5 s with the usual T1.
    fn until_e_is_t2(&self) -> Duration {
        let mut interval = self.t1;
        let mut elapsed = interval;
        while 2 * interval < T2 {
            interval *= 2;
            elapsed += interval;
        }
        elapsed
    }
}

/// When a message goes out again: the state of timer A, E or G.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repetition {
    pub(super) at: Instant,
    interval: Duration,
}

impl Repetition {
    /// Of a message that was sent now; none on a reliable transport.
    pub(super) fn start(
        timer: Timer,
        table: &Table,
        transport: Transport,
        now: Instant,
    ) -> Option<Repetition> {
        let interval = table.first(timer, transport);
        (!transport.is_reliable()).then_some(Repetition { at: now + interval, interval })
    }

    /// It has gone out again now, maybe later than it was due: the gap counts from when it really went.
    pub(super) fn again(self, timer: Timer, cx: &Context<'_>) -> Repetition {
        let interval = cx.table.next(timer, self.interval);
        Repetition { at: cx.now + interval, interval }
    }

    /// The request has gone out again now although it arrived: every T2 (RFC 3261 section 17.1.2.2).
    pub(super) fn again_while_proceeding(self, cx: &Context<'_>) -> Repetition {
        Repetition { at: cx.now + T2, interval: T2 }
    }
}

/// Whose deadline it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    Client(ClientId),
    Server(ServerId),
}

/// The earliest deadline of each transaction, in their order.
#[derive(Debug, Default)]
pub(super) struct Deadlines(BTreeSet<(Instant, Owner)>);

impl Deadlines {
    /// The earliest of all.
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.0.first().map(|&(at, _)| at)
    }

    /// Somebody whose deadline has come; the earliest first.
    pub(super) fn due(&self, now: Instant) -> Option<Owner> {
        self.0.first().filter(|&&(at, _)| at <= now).map(|&(_, owner)| owner)
    }

    /// The deadline of a transaction was `from` and is `to`.
    pub(super) fn change(&mut self, owner: Owner, from: Option<Instant>, to: Option<Instant>) {
        if from == to {
            return;
        }
        if let Some(at) = from {
            self.0.remove(&(at, owner));
        }
        if let Some(at) = to {
            self.0.insert((at, owner));
        }
    }
}

/// The earlier of some timers of one state.
pub(super) fn earliest<const N: usize>(timers: [(Option<Instant>, Timer); N]) -> Option<(Instant, Timer)> {
    // The first of equals wins: repetitions are listed before the timers that give up.
    timers
        .into_iter()
        .filter_map(|(at, timer)| Some((at?, timer)))
        .reduce(|a, b| if b.0 < a.0 { b } else { a })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: Transport = Transport::Udp;
    const TCP: Transport = Transport::Tcp;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn the_table_is_that_of_appendix_a() {
        let table = Table::new(seconds(0.5));
        let expected = [
            (Timer::A, 0.5, 0.5),
            (Timer::B, 32.0, 32.0),
            (Timer::D, 32.0, 0.0),
            (Timer::E, 0.5, 0.5),
            (Timer::F, 32.0, 32.0),
            (Timer::G, 0.5, 0.5),
            (Timer::H, 32.0, 32.0),
            (Timer::I, 5.0, 0.0),
            (Timer::J, 32.0, 0.0),
            (Timer::K, 5.0, 0.0),
            (Timer::L, 32.0, 32.0),
            (Timer::M, 32.0, 32.0),
            (Timer::LateTrying, 3.5, 3.5),
        ];
        for (timer, udp, tcp) in expected {
            assert_eq!(table.first(timer, UDP), seconds(udp), "{timer:?} over UDP");
            assert_eq!(table.first(timer, TCP), seconds(tcp), "{timer:?} over TCP");
        }
    }

    #[test]
    fn timer_d_is_never_shorter_than_32_seconds() {
        assert_eq!(Table::new(seconds(0.1)).first(Timer::D, UDP), seconds(32.0));
        assert_eq!(Table::new(seconds(1.0)).first(Timer::D, UDP), seconds(64.0));
    }

    #[test]
    fn a_late_100_waits_until_timer_e_is_t2() {
        let late = |t1| Table::new(seconds(t1)).first(Timer::LateTrying, UDP);
        assert_eq!(late(1.0), seconds(3.0), "1 + 2, then 4");
        assert_eq!(late(2.0), seconds(2.0), "2, then 4");
        assert_eq!(late(10.0), seconds(10.0), "T1, then 4");
    }

    #[test]
    fn the_earliest_of_a_state_is_found_and_repetition_comes_before_giving_up() {
        let (one, two) = (Some(Instant::from_millis(1)), Some(Instant::from_millis(2)));
        assert_eq!(earliest([(two, Timer::A), (one, Timer::B)]), Some((Instant::from_millis(1), Timer::B)));
        assert_eq!(earliest([(two, Timer::A), (two, Timer::B)]), Some((Instant::from_millis(2), Timer::A)));
        assert_eq!(earliest([(None, Timer::A), (None, Timer::B)]), None);
    }
}
