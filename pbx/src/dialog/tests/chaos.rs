//! Whatever people do, over a link that loses, doubles and delays: nobody is told nonsense, what goes over the wire keeps the
//! rules, and once all have hung up both sides are at rest.

use super::*;
use crate::dialog::{Reply, RequestId};
use crate::sip::Method;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What somebody does next.
#[derive(Clone, Copy, Debug)]
enum Verb {
    Invite { described: bool },
    Ring { described: bool, reliably: bool },
    Accept,
    Reject,
    Offer { described: bool },
    Answer,
    RefuseOffer,
    HangUp,
    Ask,
    Reply,
}

#[derive(Clone, Copy, Debug)]
struct Move {
    who: usize,
    verb: Verb,
    /// Which of the sessions, counted from the youngest.
    which: usize,
    then_millis: u64,
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        2 => any::<bool>().prop_map(|described| Verb::Invite { described }),
        3 => any::<(bool, bool)>().prop_map(|(described, reliably)| Verb::Ring { described, reliably }),
        4 => Just(Verb::Accept),
        1 => Just(Verb::Reject),
        4 => any::<bool>().prop_map(|described| Verb::Offer { described }),
        8 => Just(Verb::Answer),
        1 => Just(Verb::RefuseOffer),
        1 => Just(Verb::HangUp),
        1 => Just(Verb::Ask),
        2 => Just(Verb::Reply),
    ]
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = (0..2usize, verb(), 0..3usize, prop_oneof![0..50u64, 50..3_000u64, Just(40_000u64)])
        .prop_map(|(who, verb, which, then_millis)| Move { who, verb, which, then_millis });
    prop::collection::vec(one, 1..60)
}

fn session_expires() -> impl Strategy<Value = Option<Duration>> {
    prop_oneof![Just(None), (90..200u64).prop_map(|seconds| Some(Duration::from_secs(seconds)))]
}

/// What each side knows of its sessions, and whether it may still be told of them.
#[derive(Default)]
struct Memory {
    sessions: Vec<SessionId>,
    gone: BTreeSet<SessionId>,
    answered: BTreeSet<SessionId>,
    /// Those where an offer waits for our answer.
    owing: BTreeSet<SessionId>,
    requests: Vec<RequestId>,
    described: u32,
}

impl Memory {
    fn hear(&mut self, event: &Event) {
        // Who asks a session that is gone is told so.
        let is_told_so = matches!(
            event,
            Event::Response { response: Err(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST), .. }
        );
        if let Some(session) = session_of(event).filter(|_| !is_told_so) {
            assert!(!self.gone.contains(&session), "an event of a session that is gone: {event:?}");
        }
        match event {
            Event::Incoming { session, .. } => self.sessions.push(*session),
            Event::Answered { session, .. } | Event::Confirmed { session, .. } => {
                assert!(self.answered.insert(*session), "answered twice: {event:?}");
            }
            Event::Refused { session, .. } | Event::Ended { session, .. } => {
                self.gone.insert(*session);
            }
            Event::Offered { session, .. } => {
                assert!(self.owing.insert(*session), "a second offer before the first is answered");
            }
            Event::Request { id, .. } => self.requests.push(*id),
            Event::Provisional { .. }
            | Event::OfferAnswered { .. }
            | Event::OfferRefused { .. }
            | Event::Renewal { .. }
            | Event::SubscriptionExpired { .. }
            | Event::SubscriptionEnded { .. }
            | Event::Response { .. } => {}
        }
    }

    fn description(&mut self, who: usize) -> Vec<u8> {
        self.described += 1;
        sdp(&format!("{}{}", NAMES[who], self.described))
    }
}

fn session_of(event: &Event) -> Option<SessionId> {
    match event {
        Event::Incoming { session, .. }
        | Event::Provisional { session, .. }
        | Event::Answered { session, .. }
        | Event::Refused { session, .. }
        | Event::Confirmed { session, .. }
        | Event::Offered { session, .. }
        | Event::OfferAnswered { session, .. }
        | Event::OfferRefused { session, .. }
        | Event::Ended { session, .. } => Some(*session),
        Event::Request { session, .. } | Event::Response { session, .. } => *session,
        Event::Renewal { .. } | Event::SubscriptionExpired { .. } | Event::SubscriptionEnded { .. } => None,
    }
}

fn play(rig: &mut Rig, memory: &mut [Memory; 2], step: Move) {
    let Move { who, verb, which, then_millis } = step;
    let mine = &mut memory[who];
    let description = mine.description(who);
    if let Verb::Invite { described } = verb {
        let offer = described.then_some(description);
        let path = path(ADDRESSES[who], ADDRESSES[1 - who]);
        let invite = Invite { offer, path, ..invite() };
        let session = rig.act(who, |agent, now| agent.invite(invite, now));
        mine.sessions.push(session);
    } else if let Some(session) = mine.sessions.iter().rev().nth(which).copied() {
        let request = mine.requests.pop();
        if let Verb::Answer | Verb::RefuseOffer = verb {
            mine.owing.remove(&session);
        }
        rig.act(who, |agent, now| match verb {
            Verb::Ring { described, reliably } => {
                let description = described.then_some(description);
                agent.ring(session, StatusCode::SESSION_PROGRESS, description, reliably, Vec::new(), now);
            }
            Verb::Accept => agent.accept(session, description, Vec::new(), now),
            Verb::Reject => agent.reject(session, Reply::new(StatusCode::BUSY_HERE), now),
            Verb::Offer { described } => agent.offer(session, described.then_some(description), now),
            Verb::Answer => agent.answer(session, description, now),
            Verb::RefuseOffer => agent.refuse_offer(session, StatusCode::NOT_ACCEPTABLE_HERE, now),
            Verb::HangUp => agent.hang_up(session, None, now),
            Verb::Ask => drop(agent.request_within(session, Method::Info, Vec::new(), None, now)),
            Verb::Reply => {
                if let Some(request) = request {
                    agent.reply(request, Reply::new(StatusCode::OK), now);
                }
            }
            Verb::Invite { .. } => {}
        });
        if let Verb::HangUp = verb {
            // Events of the very moment may be queued before; none come after.
            listen(rig, memory);
            memory[who].gone.insert(session);
        }
    }
    listen(rig, memory);
    let until = rig.now + Duration::from_millis(then_millis);
    while let Some(at) = rig.next().filter(|at| *at <= until) {
        rig.step(at);
        listen(rig, memory);
    }
    rig.now = until;
}

fn listen(rig: &mut Rig, memory: &mut [Memory; 2]) {
    for (events, memory) in rig.events.iter_mut().zip(memory) {
        for event in events.drain(..) {
            memory.hear(&event);
        }
    }
}

/// Everybody hangs up, and answers what is still asked.
fn go_home(rig: &mut Rig, memory: &mut [Memory; 2]) {
    for who in [ALICE, BOB] {
        for session in memory[who].sessions.clone() {
            rig.act(who, |agent, now| agent.hang_up(session, None, now));
        }
        listen(rig, memory);
        for request in std::mem::take(&mut memory[who].requests) {
            rig.act(who, |agent, now| agent.reply(request, Reply::new(StatusCode::OK), now));
        }
    }
    // An INVITE that arrives now would ring for ever, so it expires with the patience of its caller, or is refused.
    let until = rig.now + Duration::from_secs(600);
    while let Some(at) = rig.next().filter(|at| *at <= until) {
        rig.step(at);
        for who in [ALICE, BOB] {
            while let Some(event) = rig.events[who].pop_front() {
                if let Event::Incoming { session, .. } = event {
                    rig.act(who, |agent, now| agent.reject(session, Reply::new(StatusCode::BUSY_HERE), now));
                } else if let Event::Request { id, .. } = event {
                    rig.act(who, |agent, now| agent.reply(id, Reply::new(StatusCode::OK), now));
                }
            }
        }
    }
}

/// Rules over everything that was sent: T1, T3, T15, D1.
fn check_wire(rig: &Rig) {
    let mut finals: BTreeMap<(usize, String, String), u16> = BTreeMap::new();
    let mut branches: BTreeSet<(usize, String)> = BTreeSet::new();
    let mut numbers: BTreeMap<(usize, String), u32> = BTreeMap::new();
    for (at, who, message) in &rig.sent {
        let cseq = message.headers().get(crate::sip::Name::CSeq).unwrap().to_owned();
        match message {
            Message::Response(response) => {
                let branch = response.via().unwrap().branch().unwrap().to_owned();
                let code = response.status().code();
                let known = finals.entry((*who, branch, cseq.clone())).or_insert(100);
                assert!(*known < 200 || *known == code, "{code} after {known} to {cseq} at {at}");
                *known = code;
                assert!(!cseq.ends_with(" ACK"), "an ACK was answered at {at}");
            }
            Message::Request(request) => {
                let number = request.cseq().unwrap().number;
                let branch = request.via().unwrap().branch().unwrap().to_owned();
                let counts = !matches!(request.method(), Method::Ack | Method::Cancel);
                if !counts || !branches.insert((*who, branch)) {
                    continue;
                }
                let key = (*who, request.call_id().to_owned());
                if let Some(last) = numbers.insert(key, number) {
                    assert_eq!(number, last + 1, "{} at {at}", request.method());
                }
            }
        }
    }
}

/// What a stranger may do to a message: leave lines out, write them twice, put those of another message there.
#[derive(Clone, Copy, Debug)]
enum Twist {
    Drop(usize),
    Double(usize),
    Borrow(usize, usize),
    Cut(usize),
}

fn twist() -> impl Strategy<Value = Twist> {
    prop_oneof![
        (1..20usize).prop_map(Twist::Drop),
        (1..20usize).prop_map(Twist::Double),
        (1..20usize, 0..400usize).prop_map(|(line, from)| Twist::Borrow(line, from)),
        (0..400usize).prop_map(Twist::Cut),
    ]
}

fn twisted(message: &Message, twists: &[Twist], sent: &[(Instant, usize, Message)]) -> Vec<u8> {
    let text = String::from_utf8(message.to_bytes()).unwrap();
    let mut lines: Vec<String> = text.split("\r\n").map(str::to_owned).collect();
    for twist in twists {
        let count = lines.len();
        match *twist {
            Twist::Drop(line) if count > 4 => drop(lines.remove(line % (count - 3))),
            Twist::Double(line) => lines.insert(line % count, lines[line % count].clone()),
            Twist::Borrow(line, from) => {
                let other = String::from_utf8(sent[from % sent.len()].2.to_bytes()).unwrap();
                if let Some(borrowed) = other.split("\r\n").nth(line) {
                    lines[line % count] = borrowed.to_owned();
                }
            }
            Twist::Cut(at) => {
                let line = &mut lines[at % count];
                line.truncate(line.len() / 2);
            }
            Twist::Drop(_) => {}
        }
    }
    lines.join("\r\n").into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, max_shrink_iters: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_come_to_rest(
        moves in moves(),
        seed in any::<u64>(),
        lost_percent in 0..40u64,
        doubled_percent in 0..30u64,
        jitter in prop_oneof![Just(0u64), 0..700u64],
        is_talking in any::<bool>(),
        intervals in (session_expires(), session_expires()),
    ) {
        let jitter = Duration::from_millis(jitter);
        let wishing = |session_expires| Settings { session_expires, ..settings() };
        let mut rig = Rig::with(wishing(intervals.0), wishing(intervals.1));
        rig.dice = crate::rng::Rng::from_number(seed);
        let mut memory = [Memory::default(), Memory::default()];
        if is_talking {
            let (a, b) = rig.talking();
            memory[ALICE].sessions.push(a);
            memory[BOB].sessions.push(b);
        }
        rig.link = Link { lost_percent, doubled_percent, jitter, ..Link::GOOD };
        for step in moves {
            play(&mut rig, &mut memory, step);
        }
        go_home(&mut rig, &mut memory);
        check_wire(&rig);
        rig.assert_idle();
    }

    /// Messages of a lively evening, twisted and sent again to both: nothing panics, and all come to rest.
    #[test]
    fn nothing_a_stranger_sends_leaves_anything_behind(
        moves in moves(),
        strange in prop::collection::vec((0..400usize, prop::collection::vec(twist(), 0..4), 0..2usize), 1..80),
    ) {
        let mut rig = Rig::new();
        let mut memory = [Memory::default(), Memory::default()];
        let (a, b) = rig.talking();
        memory[ALICE].sessions.push(a);
        memory[BOB].sessions.push(b);
        let half = moves.len() / 2;
        for step in &moves[..half] {
            play(&mut rig, &mut memory, *step);
        }
        for (which, twists, to) in strange {
            let bytes = twisted(&rig.sent[which % rig.sent.len()].2, &twists, &rig.sent);
            if let Ok(message) = Message::parse(&bytes, &Limits::default()) {
                rig.deliver(to, message);
                rig.collect();
                listen(&mut rig, &mut memory);
            }
        }
        for step in &moves[half..] {
            play(&mut rig, &mut memory, *step);
        }
        go_home(&mut rig, &mut memory);
        rig.assert_idle();
    }
}
