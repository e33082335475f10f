//! The packets as rules see them: read once, each with what it says, and sorted by what belongs together.

mod dialog;
mod message;
mod noise;
mod transaction;

pub(super) use dialog::Dialog;
pub(super) use message::Sip;
pub(super) use noise::{Fault, Noise};
pub(super) use transaction::Transaction;

use super::acknowledgement::AT_ONCE;
use super::repeat::{PATIENCE, T2};
use super::rwi::Talks;
use crate::network::{Kind, Outage, Packet, box_of};
use crate::wire::{self, Form};
use pbx::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// Longer than that nothing is on its way, unless something is in it.
const PROMPT: Duration = Duration::from_millis(3);

/// So long a stream is tried to be opened.
pub(super) const CONNECTS: Duration = Duration::from_secs(15);

/// All that was sent and can be read.
pub(super) struct Log {
    pub(super) messages: Vec<Sip>,
    pub(super) transactions: Vec<Transaction>,
    pub(super) dialogs: Vec<Dialog>,
    /// Messages by their Call-ID, by their places.
    pub(super) by_call_id: BTreeMap<String, Vec<usize>>,
    /// What should have been a message and is none, or not quite.
    pub(super) noise: Vec<Noise>,
    /// When a stream was opened from one host to another.
    pub(super) opened: BTreeMap<(IpAddr, IpAddr), Vec<Instant>>,
    /// From when until when somebody tried in vain to open a stream from one host to another or to send a whole message over
    /// it, or gave it up.
    refused: BTreeMap<(IpAddr, IpAddr), Vec<(Instant, Instant)>>,
    /// When packets were sent that did not arrive once, whole and in their turn, by the hosts at both ends.
    pub(super) faults: BTreeMap<IpAddr, Vec<Instant>>,
    /// What applications and the PBX have said to each other.
    pub(super) talks: Talks,
    /// The packets that are no media, by their places in the trace.
    pub(super) signalling: Vec<usize>,
    /// Those that did not arrive once, whole and in their turn.
    pub(super) faulty: Vec<usize>,
    /// Datagrams that were to arrive, copies made by the network included.
    pub(super) datagrams: u64,
    /// When the last packet was sent.
    pub(super) end: Instant,
}

impl Log {
    /// What comes to a host that is off does not arrive.
    pub(super) fn of(packets: &[Packet], outages: &[Outage]) -> Log {
        let Sorted { signalling, faulty, datagrams } = Sorted::of(packets);
        let signals = || signalling.iter().map(|at| (*at, &packets[*at]));
        let written = wire::messages_among(signals());
        let noise = written.iter().filter_map(Noise::of).collect();
        let is_sip = |written: &&wire::Message<'_>| !matches!(written.form, Form::Frame(_));
        let mut messages: Vec<Sip> = written.iter().filter(is_sip).flat_map(Sip::read).flatten().collect();
        messages.iter_mut().for_each(|message| message.miss(outages));
        let transactions = transaction::sort(&mut messages);
        let dialogs = dialog::sort(&mut messages, &transactions);
        let mut by_call_id: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (place, message) in messages.iter().enumerate() {
            by_call_id.entry(message.call_id.clone()).or_default().push(place);
        }
        Log {
            messages,
            noise,
            talks: Talks::of(&written),
            opened: opened(signals()),
            refused: refused(signals(), &written),
            transactions,
            dialogs,
            by_call_id,
            faults: faults(faulty.iter().map(|at| &packets[*at])),
            datagrams,
            signalling,
            faulty,
            end: packets.last().map_or(Instant::START, |packet| packet.at),
        }
    }

    /// The messages at these places.
    pub(super) fn at<'a>(&'a self, places: &'a [usize]) -> impl DoubleEndedIterator<Item = &'a Sip> + Clone {
        places.iter().map(|place| &self.messages[*place])
    }

    /// The transactions of requests with this method, each with its first request.
    pub(super) fn transactions_of(&self, method: &str) -> impl Iterator<Item = (&Transaction, &Sip)> {
        self.asked().filter(move |(_, request)| request.method == method)
    }

    /// The transactions that have a request, each with the first of it; those that have not are of an ACK to a 2xx.
    pub(super) fn asked(&self) -> impl Iterator<Item = (&Transaction, &Sip)> {
        self.transactions.iter().filter_map(|transaction| {
            let first = transaction.requests.first()?;
            Some((transaction, &self.messages[*first]))
        })
    }

    /// The transaction of a message.
    pub(super) fn transaction(&self, message: &Sip) -> Option<&Transaction> {
        self.transactions.get(message.transaction?)
    }

    /// The dialog of a message.
    pub(super) fn dialog(&self, message: &Sip) -> Option<&Dialog> {
        self.dialogs.get(message.dialog?)
    }

    /// Whether this host has sent what cannot be read.
    pub(super) fn is_noisy(&self, host: SocketAddr) -> bool {
        self.noise.iter().any(|noise| noise.from.ip() == host.ip())
    }

    /// Whether a response may answer what cannot be read and has just come from there.
    pub(super) fn is_to_noise(&self, response: &Sip) -> bool {
        let is_its = |noise: &Noise| {
            let has_come = noise.arrived.is_some_and(|came| (came..came + AT_ONCE).contains(&response.at));
            noise.from.ip() == response.to.ip() && has_come
        };
        self.noise.iter().any(is_its)
    }

    /// Whether a response answers a damaged copy of its request, which is another request for who has received it.
    pub(super) fn is_to_damaged(&self, response: &Sip) -> bool {
        let Some(transaction) = self.transaction(response) else { return false };
        let damaged =
            self.at(&transaction.requests).flat_map(|request| [request.damaged, request.damaged_again]);
        let ghosts = self.at(&transaction.ghosts).filter(|ghost| ghost.is_request());
        let mut came = damaged.flatten().chain(ghosts.flat_map(Sip::arrivals));
        came.any(|came| (came..came + AT_ONCE).contains(&response.at))
    }

    /// Whether a response may repeat what a damaged copy of its request said.
    pub(super) fn may_copy_damage(&self, response: &Sip) -> bool {
        let Some(transaction) = self.transaction(response) else { return false };
        let damaged = self.at(&transaction.requests).filter_map(|request| request.damaged);
        let ghosts = self.at(&transaction.ghosts).filter(|ghost| ghost.is_request());
        damaged.chain(ghosts.filter_map(|ghost| ghost.arrived)).any(|came| came <= response.at)
    }

    /// When a message may have been meant to go out for the first time: when it did, or when a stream for it was to be opened
    /// and did not come about, broke before all of it was sent, or was given up with all that was to go over it.
    pub(super) fn attempts(&self, message: &Sip) -> Vec<Instant> {
        self.vain(message).into_iter().map(|(since, _)| since).chain([message.meant]).collect()
    }

    /// From when until when streams for a message were to be opened, before it went out, and did not come about.
    pub(super) fn vain(&self, message: &Sip) -> Vec<(Instant, Instant)> {
        let tried = self.refused.get(&(message.from.ip(), message.to.ip())).into_iter().flatten().copied();
        tried.filter(|(since, _)| !message.over_udp && *since < message.meant).collect()
    }

    /// When somebody first tried, before a message went out, to open a stream to its receiver: what is too long for UDP goes over
    /// one, and over UDP in the end where none comes about (RFC 3261 section 18.1.1).
    pub(super) fn wanted_stream(&self, message: &Sip) -> Option<Instant> {
        let tries = self.opened.get(&(message.from.ip(), message.to.ip())).into_iter().flatten().copied();
        tries.filter(|at| *at <= message.meant && message.meant <= *at + CONNECTS).min()
    }

    /// From when on a host may have wanted to hang up that sends a BYE, or gets one first: who has answered an INVITE waits for the
    /// ACK with it (RFC 3261 section 15), for 64 * T1 at the most.
    pub(super) fn held_back(&self, bye: &Sip, host: IpAddr) -> Option<Instant> {
        let within = || self.at(self.dialog(bye).map_or(&[][..], |dialog| dialog.messages.as_slice()));
        let answers = within().filter(|it| it.answers("INVITE", |status| (200..300).contains(&status)));
        let came = bye.perhaps().filter(|_| bye.from.ip() != host).max().unwrap_or(bye.meant);
        let own = answers.filter(|answer| answer.at <= came && answer.from.ip() == host);
        let last = own.max_by_key(|answer| answer.cseq)?;
        let is_copy = |it: &&Sip| it.status == last.status && it.transaction == last.transaction;
        let first = within().find(is_copy)?;
        let is_its = |ack: &&Sip| ack.asks("ACK") && ack.cseq == first.cseq && ack.from.ip() != host;
        // One that came damaged may have been one.
        let sure = within().filter(is_its).flat_map(Sip::arrivals).min();
        let perhaps = within().filter(is_its).flat_map(Sip::perhaps);
        let acked: Vec<Instant> = perhaps.filter(|at| sure.is_none_or(|sure| *at <= sure)).collect();
        let is_held = match bye.from.ip() == host {
            false => sure.is_none_or(|sure| sure >= bye.at),
            // The first that came set it free, or the end of all waiting.
            true if acked.iter().any(|acked| (*acked..*acked + AT_ONCE).contains(&bye.meant)) => true,
            true => sure.is_none() && bye.meant + AT_ONCE >= first.meant + PATIENCE,
        };
        is_held.then_some(first.meant)
    }

    /// When a message was decided on, if it was then that it is said to have been: when it was to go out, or while it waited.
    pub(super) fn decided(&self, message: &Sip, said: Option<Instant>) -> Instant {
        let Some(said) = said else { return message.at };
        let waited = said.clamp(message.meant, message.at.max(message.meant));
        let off = |at: &Instant| said.since(*at).max(at.since(said));
        // One of another moment was about something else that was to go there.
        let attempts = self.attempts(message).into_iter().filter(|at| off(at) <= AT_ONCE);
        attempts.chain([waited]).min_by_key(off).unwrap_or(waited)
    }

    /// Whether one host, which tries again every T2 at least, may be without a stream to another at that moment.
    pub(super) fn is_without_stream(&self, from: IpAddr, to: IpAddr, at: Instant) -> bool {
        let tries = self.refused.get(&(from, to)).into_iter().flatten();
        tries.into_iter().any(|(since, until)| *since < at + AT_ONCE && at <= *until + T2)
    }

    /// Whether one host tried in vain to open a stream to another at that moment, or at once after it.
    pub(super) fn is_refused(&self, from: IpAddr, to: IpAddr, at: Instant) -> bool {
        let tries = self.refused.get(&(from, to)).into_iter().flatten();
        tries.into_iter().any(|(since, until)| *since < at + AT_ONCE && at <= *until)
    }

    /// What came of a message, at its place, that was damaged on its way.
    pub(super) fn ghost(&self, place: usize) -> Option<&Sip> {
        self.messages.get(place + 1).filter(|next| next.is_ghost && !self.messages[place].is_ghost)
    }

    /// When a BYE came that was understood, as one that came damaged may have been.
    pub(super) fn understood(&self, bye: &Sip) -> Option<Instant> {
        // What comes again as it was sent is told what the damaged one was told.
        let transaction = self.transaction(bye);
        let is_lost = transaction.is_some_and(|asked| {
            let is_done = self.at(&asked.responses).any(|it| it.answers("BYE", |s| (200..300).contains(&s)));
            let is_taken = |copy: &Sip| copy.damaged.is_some_and(|came| self.is_taken(copy, came));
            !is_done && self.was_taken_damaged(asked) && !self.at(&asked.requests).any(is_taken)
        });
        if is_lost {
            return None;
        }
        bye.arrived.into_iter().chain(bye.damaged.filter(|came| self.is_taken(bye, *came))).min()
    }

    /// Whether a BYE that came then, damaged, was answered 200, by whatever it had become.
    fn is_taken(&self, bye: &Sip, came: Instant) -> bool {
        // A copy that came as it was sent has had its own answer.
        let is_to_copy = |answer: &Sip| {
            let asked =
                self.transaction(answer).map_or(&[][..], |transaction| transaction.requests.as_slice());
            self.at(asked).flat_map(Sip::arrivals).any(|at| came <= at && at <= answer.at)
        };
        let is_to_another = |answer: &Sip| {
            let asked = answer.transaction.filter(|asked| Some(*asked) != bye.transaction);
            asked.is_some_and(|asked| !self.transactions[asked].requests.is_empty())
        };
        let is_then = |answer: &Sip| {
            let is_at_once = (came..came + AT_ONCE).contains(&answer.at);
            is_at_once && answer.to.ip() == bye.from.ip() && !is_to_copy(answer) && !is_to_another(answer)
        };
        self.responses()
            .any(|(answer, status)| answer.method == "BYE" && (200..300).contains(&status) && is_then(answer))
    }

    /// Whether the server of a request had it damaged first and took that for it: what comes undamaged then is a copy, and
    /// is told what was said to the first.
    pub(super) fn was_taken_damaged(&self, transaction: &Transaction) -> bool {
        transaction.requests.iter().any(|place| {
            let (request, ghost) = (&self.messages[*place], self.ghost(*place));
            // What was made out of it: another branch, or nothing but that.
            let is_of = |answer: &Sip| match ghost {
                Some(ghost) => answer.branch.eq_ignore_ascii_case(&ghost.branch),
                None => answer.transaction.is_none() || answer.transaction == request.transaction,
            };
            let answers = |came: Instant, answer: &Sip| {
                is_of(answer)
                    && (came..came + AT_ONCE).contains(&answer.at)
                    && !answer.is_request()
                    && (answer.from.ip(), answer.to.ip()) == (request.to.ip(), request.from.ip())
            };
            // The answer may be as unreadable as what it answers.
            let murmurs = |came: Instant, noise: &Noise| {
                (came..came + AT_ONCE).contains(&noise.at) && noise.from.ip() == request.to.ip()
            };
            request.damaged.is_some_and(|came| {
                self.sent().any(|answer| answers(came, answer))
                    || self.noise.iter().any(|noise| murmurs(came, noise))
            })
        })
    }

    /// Whether a response may repeat what could be made out of a damaged copy of its request that cannot be read.
    pub(super) fn may_copy_noise(&self, response: &Sip) -> bool {
        let Some(transaction) = self.transaction(response) else { return false };
        let mut requests =
            transaction.requests.iter().map(|place| (self.ghost(*place), &self.messages[*place]));
        requests
            .any(|(ghost, request)| ghost.is_none() && request.damaged.is_some_and(|at| at <= response.at))
    }

    /// All that were sent.
    pub(super) fn sent(&self) -> impl Iterator<Item = &Sip> {
        self.messages.iter().filter(|message| !message.is_ghost)
    }

    pub(super) fn requests(&self) -> impl Iterator<Item = &Sip> {
        self.sent().filter(|message| message.is_request())
    }

    pub(super) fn responses(&self) -> impl Iterator<Item = (&Sip, u16)> {
        self.sent().filter_map(|message| Some((message, message.status?)))
    }
}

/// All packets at one look: of a million, most are media of which most are of interest to nobody but `flow.rs`.
#[derive(Default)]
struct Sorted {
    signalling: Vec<usize>,
    faulty: Vec<usize>,
    datagrams: u64,
}

impl Sorted {
    fn of(packets: &[Packet]) -> Sorted {
        let mut sorted = Sorted::default();
        for (at, packet) in packets.iter().enumerate() {
            if !wire::is_media(packet) {
                sorted.signalling.push(at);
            }
            let is_prompt = packet.arrives.is_some_and(|at| at <= packet.at + PROMPT);
            if !is_prompt || packet.fate.is_fault() || !packet.fate.delay.is_zero() {
                sorted.faulty.push(at);
            }
            if packet.kind == Kind::Datagram && packet.arrives.is_some() {
                sorted.datagrams += 1 + u64::from(packet.fate.duplicate.is_some());
            }
        }
        sorted
    }
}

fn faults<'a>(packets: impl Iterator<Item = &'a Packet>) -> BTreeMap<IpAddr, Vec<Instant>> {
    let mut faults: BTreeMap<IpAddr, Vec<Instant>> = BTreeMap::new();
    for packet in packets {
        // What is lost on its way to who is behind a box is lost to whom is seen outside.
        let hosts = [packet.from.ip(), packet.to.ip()].into_iter();
        for host in hosts.flat_map(|host| std::iter::once(host).chain(box_of(host))) {
            faults.entry(host).or_default().push(packet.at);
        }
    }
    faults
}

fn opened<'a>(
    packets: impl Iterator<Item = (usize, &'a Packet)>,
) -> BTreeMap<(IpAddr, IpAddr), Vec<Instant>> {
    let mut opened: BTreeMap<_, Vec<Instant>> = BTreeMap::new();
    for (_, packet) in packets.filter(|(_, packet)| packet.kind == Kind::Syn) {
        opened.entry((packet.from.ip(), packet.to.ip())).or_default().push(packet.at);
    }
    opened
}

/// When streams were to be opened in vain: from the first SYN until it is refused, or given up; and when they broke within a
/// message.
fn refused<'a>(
    packets: impl Iterator<Item = (usize, &'a Packet)>,
    written: &[wire::Message<'_>],
) -> BTreeMap<(IpAddr, IpAddr), Vec<(Instant, Instant)>> {
    let mut refused: BTreeMap<_, Vec<(Instant, Instant)>> = BTreeMap::new();
    for cut in written.iter().filter(|message| message.form == Form::Broken) {
        refused.entry((cut.from.ip(), cut.to.ip())).or_default().push((cut.sent, cut.sent));
    }
    let mut open: BTreeMap<(SocketAddr, SocketAddr), Instant> = BTreeMap::new();
    let mut streams: BTreeSet<(SocketAddr, SocketAddr)> = BTreeSet::new();
    for (_, packet) in packets {
        let (way, back) = ((packet.from, packet.to), (packet.to, packet.from));
        match packet.kind {
            Kind::Syn => {
                streams.extend([way, back]);
                open.entry(way).or_insert(packet.at);
            }
            // A datagram for which nobody is there says nothing of streams.
            Kind::Reset if !streams.contains(&way) => {}
            Kind::Data => drop(open.remove(&way)),
            Kind::Reset => {
                let until = packet.arrives.unwrap_or(packet.at);
                // One that was open takes with it what was to go over it in that moment.
                let since = open.remove(&back).unwrap_or(until);
                refused.entry((back.0.ip(), back.1.ip())).or_default().push((since, until));
            }
            // With a stream its sender gives up what it had still to say over it.
            Kind::Fin => {
                let hosts = (packet.from.ip(), packet.to.ip());
                refused.entry(hosts).or_default().push((packet.at, packet.at));
            }
            Kind::SynAck | Kind::Again | Kind::Datagram | Kind::Secret => {}
        }
    }
    for ((from, to), since) in open {
        refused.entry((from.ip(), to.ip())).or_default().push((since, since + CONNECTS));
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::super::tale::Tale;
    use super::*;

    #[test]
    fn a_stream_is_refused_by_who_is_not_there_and_a_datagram_is_not() {
        let refused = |kind: Kind| {
            let asked = Tale::new().request(0, 1, 2, "OPTIONS", "b1", 1);
            let tale = asked.request(1, 2, 1, "OPTIONS", "b2", 1);
            tale.look(|run| {
                let mut packets = run.packets.to_vec();
                (packets[0].kind, packets[1].kind) = (kind, Kind::Reset);
                let [from, to] = [packets[0].from.ip(), packets[0].to.ip()];
                Log::of(&packets, &[]).is_refused(from, to, Instant::START)
            })
        };
        assert!(refused(Kind::Syn));
        assert!(!refused(Kind::Datagram));
    }
}
