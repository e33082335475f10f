//! A caller and a callee over a link that loses, delays, doubles and breaks: whatever happens, both come to rest, nothing
//! is left, and each is told what it has to know exactly once.

use super::scene::{answer, parse, path, request, seconds};
use super::{ClientId, Event, Output, Sent, ServerId, Settings, Transactions};
use crate::rng::Rng;
use crate::sip::{ConnectionId, Message, Method, Path, Request, Response, Transport};
use crate::time::{Duration, Instant};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// RFC 3261 allows a message to stay in the network for T4, but its timer J ends half a second after the last repetition
/// of a request: what stays longer makes a new transaction.
const LONGEST_DELAY: u64 = 400;

/// What one run is about.
#[derive(Clone, Debug)]
struct Plan {
    seed: u64,
    method: Method,
    transport: Transport,
    /// Of 100 datagrams.
    lost: u64,
    /// Of 100 datagrams.
    doubled: u64,
    /// When the callee says what, in milliseconds after the request came.
    says: Vec<(u64, u16)>,
    /// When the caller cancels, in milliseconds.
    cancels: u64,
    /// When the connection breaks, in milliseconds, if ever.
    breaks: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Caller,
    Callee,
}

enum Happening {
    Arrives { side: Side, path: Path, bytes: Vec<u8> },
    CalleeSays { id: ServerId, status: u16 },
    CalleeRepeats { id: ServerId, gap: Duration },
    CallerCancels,
    ConnectionBreaks,
}

/// Both ends, the link and what is on its way.
struct World {
    plan: Plan,
    dice: Rng,
    now: Instant,
    agenda: BTreeMap<(Instant, u64), Happening>,
    entries: u64,
    caller: Transactions,
    callee: Transactions,
    asked: ClientId,
    acks: Vec<Sent>,
    calls: BTreeMap<ServerId, Call>,
    /// When the last message on a stream arrives, for it keeps the order.
    in_order: [Instant; 2],
    broken: bool,
    seen: Seen,
}

/// The callee's view of a request.
struct Call {
    request: Request,
    accepted: Option<(Response, Instant)>,
    acknowledged: bool,
}

/// What the checks are about.
#[derive(Default)]
struct Seen {
    requests_told: usize,
    refusals: Vec<u16>,
    accepted: usize,
    failures: usize,
    provisional_heard: bool,
    final_heard: bool,
    first_cancel: Option<(bool, bool)>,
    /// The bytes of each request by method and branch, of each final response by method and branch.
    requests: BTreeMap<(String, String), Vec<u8>>,
    finals: BTreeMap<(String, String), Vec<u8>>,
}

impl World {
    fn new(plan: Plan) -> World {
        let mut dice = Rng::from_number(plan.seed);
        let mut caller = Transactions::new(Settings::default(), dice.fork());
        let callee = Transactions::new(Settings::default(), dice.fork());
        let asked = caller.send(request(plan.method.clone()), path(plan.transport), Instant::START);
        let mut world = World {
            dice,
            now: Instant::START,
            agenda: BTreeMap::new(),
            entries: 0,
            caller,
            callee,
            asked,
            acks: Vec::new(),
            calls: BTreeMap::new(),
            in_order: [Instant::START; 2],
            broken: false,
            seen: Seen::default(),
            plan,
        };
        world.plan_ahead(Duration::from_millis(world.plan.cancels), Happening::CallerCancels);
        if let Some(breaks) = world.plan.breaks {
            world.plan_ahead(Duration::from_millis(breaks), Happening::ConnectionBreaks);
        }
        world.drain();
        world
    }

    /// Plays until nothing is left to happen.
    fn play(&mut self) {
        loop {
            let timeout =
                [self.caller.poll_timeout(), self.callee.poll_timeout()].into_iter().flatten().min();
            let next = self.agenda.first_key_value().map(|(&(at, _), _)| at);
            match (timeout, next) {
                (None, None) => return,
                (Some(at), next) if next.is_none_or(|next| at < next) => {
                    self.now = at;
                    self.caller.handle_timeout(at);
                    self.callee.handle_timeout(at);
                }
                (_, _) => {
                    let ((at, _), happening) = self.agenda.pop_first().expect("it was there a moment ago");
                    self.now = at;
                    self.happen(happening);
                }
            }
            assert!(self.now < Instant::from_millis(400_000), "no rest: {:?}", self.plan);
            self.drain();
        }
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.now;
        match happening {
            Happening::Arrives { side: Side::Caller, path, bytes } => {
                self.caller.receive(parse(&bytes), path, now);
            }
            Happening::Arrives { side: Side::Callee, path, bytes } => {
                self.callee.receive(parse(&bytes), path, now);
            }
            Happening::CalleeSays { id, status } => self.callee_says(id, status),
            Happening::CalleeRepeats { id, gap } => self.callee_repeats(id, gap),
            Happening::CallerCancels => self.caller.cancel(self.asked, &[], now),
            Happening::ConnectionBreaks => {
                self.broken = true;
                self.agenda.retain(|_, happening| !matches!(happening, Happening::Arrives { .. }));
                self.caller.path_failed(self.seen_from(Side::Caller), now);
                self.callee.path_failed(self.seen_from(Side::Callee), now);
            }
        }
    }

    fn callee_says(&mut self, id: ServerId, status: u16) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let response = answer(&call.request, status, "callee");
        if (200..300).contains(&status) && self.plan.method == Method::Invite && call.accepted.is_none() {
            call.accepted = Some((response.clone(), self.now + seconds(32.0)));
            self.plan_ahead(seconds(0.5), Happening::CalleeRepeats { id, gap: seconds(0.5) });
        }
        self.callee.respond(id, response, self.now);
    }

    /// RFC 3261 section 13.3.1.4: the TU repeats its 2xx until the ACK.
    fn callee_repeats(&mut self, id: ServerId, gap: Duration) {
        let Some(Call { accepted: Some((response, until)), acknowledged: false, .. }) = self.calls.get(&id)
        else {
            return;
        };
        if self.now < *until {
            self.callee.respond(id, response.clone(), self.now);
            let gap = (2 * gap).min(seconds(4.0));
            self.plan_ahead(gap, Happening::CalleeRepeats { id, gap });
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.caller.poll_output() {
            match output {
                Output::Transmit { path, bytes } => self.travel(Side::Callee, path, bytes),
                Output::Event(event) => self.caller_is_told(event),
            }
        }
        while let Some(output) = self.callee.poll_output() {
            match output {
                Output::Transmit { path, bytes } => self.travel(Side::Caller, path, bytes),
                Output::Event(event) => self.callee_is_told(event),
            }
        }
        for end in [&self.caller, &self.callee] {
            assert!(
                end.poll_timeout().is_none_or(|at| at >= self.now),
                "a deadline was missed: {:?}",
                self.plan
            );
        }
    }

    fn caller_is_told(&mut self, event: Event) {
        match event {
            Event::Response { response, .. } if response.status().is_provisional() => {
                self.seen.provisional_heard = true;
                assert!(!self.seen.final_heard, "a provisional response after a final one");
            }
            Event::Response { response, .. } => {
                self.seen.final_heard = true;
                match response.status().is_success() && self.plan.method == Method::Invite {
                    true => {
                        self.seen.accepted += 1;
                        self.acknowledge();
                    }
                    false => self.seen.refusals.push(response.status().code()),
                }
            }
            Event::Failed { .. } => self.seen.failures += 1,
            other => panic!("the caller is told {other:?}"),
        }
    }

    /// The first 2xx is acknowledged, and each copy of it by the same bytes.
    fn acknowledge(&mut self) {
        match self.acks.first() {
            Some(ack) => self.caller.repeat(ack),
            None => {
                let ack = self.caller.transmit(request(Method::Ack), path(self.plan.transport));
                self.acks.push(ack);
            }
        }
    }

    fn callee_is_told(&mut self, event: Event) {
        match event {
            Event::Request { id, request, .. } => {
                self.seen.requests_told += 1;
                self.calls.insert(id, Call { request, accepted: None, acknowledged: false });
                for (after, status) in self.plan.says.clone() {
                    self.plan_ahead(Duration::from_millis(after), Happening::CalleeSays { id, status });
                }
            }
            Event::Ack { .. } => self.calls.values_mut().for_each(|call| call.acknowledged = true),
            Event::Cancelled { invite, .. } => self.callee_says(invite, 487),
            Event::AckTimedOut { .. } => {}
            other => panic!("the callee is told {other:?}"),
        }
    }

    /// A message on its way to `side`.
    fn travel(&mut self, side: Side, path: Path, bytes: Vec<u8>) {
        self.seen.note(&bytes);
        // A fixed number of draws for each message, so that one fate does not change the next.
        let (lost, doubled) = (self.dice.below(100), self.dice.below(100));
        let delays = [self.dice.below(LONGEST_DELAY), self.dice.below(LONGEST_DELAY)];
        let arrives = self.seen_from(side);
        if path.transport.is_reliable() {
            if !self.broken {
                let at = self.in_order[side as usize].max(self.now + Duration::from_millis(delays[0]));
                self.in_order[side as usize] = at;
                self.enter(at, Happening::Arrives { side, path: arrives, bytes });
            }
            return;
        }
        let copies = usize::from(lost >= self.plan.lost) * (1 + usize::from(doubled < self.plan.doubled));
        for delay in delays.into_iter().take(copies) {
            let bytes = bytes.clone();
            self.plan_ahead(Duration::from_millis(delay), Happening::Arrives { side, path: arrives, bytes });
        }
    }

    fn seen_from(&self, side: Side) -> Path {
        let transport = self.plan.transport;
        let connection = transport.is_reliable().then_some(ConnectionId(1));
        let caller = Path { connection, ..path(transport) };
        match side {
            Side::Caller => caller,
            Side::Callee => Path { local: caller.remote, remote: caller.local, ..caller },
        }
    }

    fn plan_ahead(&mut self, after: Duration, happening: Happening) {
        self.enter(self.now + after, happening);
    }

    fn enter(&mut self, at: Instant, happening: Happening) {
        self.entries += 1;
        self.agenda.insert((at, self.entries), happening);
    }
}

impl Seen {
    fn note(&mut self, bytes: &[u8]) {
        match parse(bytes) {
            Message::Request(request) => {
                if *request.method() == Method::Cancel && self.first_cancel.is_none() {
                    self.first_cancel = Some((self.provisional_heard, self.final_heard));
                }
                let branch = request.via().expect("a Via").branch().expect("a branch").to_owned();
                let first = self.requests.entry((request.method().as_str().to_owned(), branch));
                assert_eq!(first.or_insert(bytes.to_vec()), bytes, "a request is repeated byte for byte");
            }
            Message::Response(response) => {
                let branch = response.via().expect("a Via").branch().expect("a branch").to_owned();
                let method = response.cseq().expect("a CSeq").method_text.to_owned();
                let key = (method, branch);
                if response.status().is_final() {
                    let first = self.finals.entry(key).or_insert(bytes.to_vec());
                    assert_eq!(first, bytes, "one final response, byte for byte");
                } else {
                    assert!(!self.finals.contains_key(&key), "a provisional response after the final one");
                }
            }
        }
    }
}

fn plans() -> impl Strategy<Value = Plan> {
    let methods = prop_oneof![3 => Just(Method::Invite), 1 => Just(Method::Options)];
    let transports = prop_oneof![3 => Just(Transport::Udp), 1 => Just(Transport::Tcp)];
    let statuses = prop_oneof![Just(180u16), Just(183), Just(200), Just(486), Just(408), Just(603)];
    (
        (any::<u64>(), methods, transports),
        (0u64..60, 0u64..60),
        prop::collection::vec((0u64..50_000, statuses), 0..4),
        prop_oneof![Just(60_000u64), 0u64..60_000],
        prop::option::weighted(0.2, 0u64..60_000),
    )
        .prop_map(|((seed, method, transport), (lost, doubled), mut says, cancels, breaks)| {
            // An INVITE may ring for as long as the TU likes; this one does not like it for ever.
            says.push((70_000, 480));
            let breaks = breaks.filter(|_| transport.is_reliable());
            Plan { seed, method, transport, lost, doubled, says, cancels, breaks }
        })
}

fn played(plan: &Plan) -> World {
    let mut world = World::new(plan.clone());
    world.play();
    world
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn both_sides_come_to_rest_and_each_is_told_once(plan in plans()) {
        let World { caller, callee, seen, .. } = played(&plan);
        prop_assert!(caller.is_idle() && callee.is_idle());
        prop_assert!(seen.requests_told <= 1, "the callee is told {} times", seen.requests_told);
        let outcomes = seen.refusals.len() + seen.failures + usize::from(seen.accepted > 0);
        prop_assert_eq!(outcomes, 1, "refusals {:?}, failures {}", seen.refusals, seen.failures);
        if let Some((provisional, last)) = seen.first_cancel {
            prop_assert!(provisional && !last, "CANCEL before a provisional or after a final response");
        }
    }

    #[test]
    fn one_seed_plays_the_same_twice(plan in plans()) {
        let (first, second) = (played(&plan), played(&plan));
        prop_assert_eq!(first.now, second.now);
        prop_assert_eq!(first.seen.requests, second.seen.requests);
        prop_assert_eq!(first.seen.finals, second.seen.finals);
    }
}

#[test]
fn a_link_without_faults_delivers_what_was_said() {
    for (transport, status) in [(Transport::Udp, 200), (Transport::Udp, 486), (Transport::Tcp, 603)] {
        let plan = Plan {
            seed: 1,
            method: Method::Invite,
            transport,
            lost: 0,
            doubled: 0,
            says: vec![(1_000, 180), (5_000, status)],
            cancels: 60_000,
            breaks: None,
        };
        let seen = played(&plan).seen;
        assert_eq!(seen.accepted > 0, status == 200);
        assert_eq!(seen.refusals, if status == 200 { vec![] } else { vec![status] });
        assert_eq!((seen.requests_told, seen.failures), (1, 0));
        assert_eq!(seen.first_cancel, None);
    }
}
