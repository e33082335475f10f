//! Telephones among themselves, on a wire that may lose what it carries. No PBX is near.

use super::line::{Line, State};
use super::registration::Account;
use super::telephone::{Output, Telephone};
use super::{Abilities, Answering, Habits, Holding, Misbehaviour, Prack, Timer};
use pbx::rng::Rng;
use pbx::sip::{Path, Refresher, StatusCode, Transport};
use pbx::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::SocketAddr;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// All requests that belong to no dialog yet go here, and to whom their Request-URI names.
const SWITCH: &str = "10.9.9.9:5060";

#[test]
fn a_call_begins_and_ends_whatever_is_lost() {
    for transport in [Transport::Udp, Transport::Tcp] {
        for seed in 0..if transport == Transport::Udp { 24 } else { 3 } {
            // A connection loses nothing.
            let loss = if transport == Transport::Udp { seed % 4 * 10 } else { 0 };
            let mut wire = Wire::new(seed, transport, &["alice", "bob"]);
            wire.loss = loss;
            wire.bob().habits.answering = Answering::After(SECOND);
            wire.act("alice", |alice, now| alice.call("bob", now));
            wire.pass(34 * SECOND);
            if !wire.is_talking("alice") {
                assert!(loss > 0, "a call failed on a good wire, seed {seed}");
            }
            wire.act("bob", Telephone::hang_up);
            wire.loss = 0;
            wire.act("alice", Telephone::hang_up);
            wire.pass(100 * SECOND);
            assert!(wire.is_idle(), "something is left over, seed {seed}, {loss} % lost");
        }
    }
}

#[test]
fn most_calls_survive_a_third_of_all_packets_being_lost() {
    let talks = |seed| {
        let mut wire = Wire::new(seed, Transport::Udp, &["alice", "bob"]);
        wire.loss = 33;
        wire.bob().habits.answering = Answering::After(SECOND);
        wire.act("alice", |alice, now| alice.call("bob", now));
        wire.pass(30 * SECOND);
        wire.is_talking("alice") && wire.is_talking("bob")
    };
    let survived = (0..40).filter(|seed| talks(*seed)).count();
    assert!(survived >= 38, "{survived} of 40");
}

#[test]
fn a_lost_acknowledgement_is_sent_again_with_the_answer() {
    let mut wire = Wire::new(1, Transport::Udp, &["alice", "bob"]);
    wire.bob().habits.answering = Answering::After(SECOND);
    wire.lose("ACK", 3);
    wire.act("alice", |alice, now| alice.call("bob", now));
    wire.pass(10 * SECOND);
    assert_eq!((wire.count("SIP/2.0 200"), wire.count("ACK")), (4, 4));
    assert!(wire.is_talking("bob"));
}

#[test]
fn who_never_acknowledges_is_hung_up_on() {
    let mut wire = Wire::new(1, Transport::Udp, &["alice", "bob"]);
    wire.bob().habits.answering = Answering::After(Duration::ZERO);
    wire.act("alice", |alice, _| alice.change(|habits| habits.ways.add(Misbehaviour::NeverAcknowledges)));
    wire.act("alice", |alice, now| alice.call("bob", now));
    wire.pass(33 * SECOND);
    assert!(!wire.is_talking("alice") && !wire.is_talking("bob"));
    // T1, 2 * T1, 4 * T1, then every T2: 0, 0.5, 1.5, 3.5, 7.5, ... 31.5 seconds.
    assert_eq!((wire.count("SIP/2.0 200 OK|INVITE"), wire.count("BYE")), (11, 1));
}

#[test]
fn an_invite_that_nobody_hears_is_given_up_after_32_seconds() {
    let mut wire = Wire::new(1, Transport::Udp, &["alice", "bob"]);
    wire.loss = 100;
    wire.act("alice", |alice, now| alice.call("bob", now));
    wire.pass(31_900 * MILLISECOND);
    assert_eq!((wire.count("INVITE"), wire.line("alice").state), (7, State::Calling));
    wire.pass(SECOND);
    assert_eq!(wire.line("alice").facts.told, [StatusCode::REQUEST_TIMEOUT]);
}

#[test]
fn a_caller_gives_up_as_the_callee_answers() {
    for delay in 0..30 {
        let mut wire = Wire::new(delay, Transport::Udp, &["alice", "bob"]);
        wire.act("alice", |alice, now| alice.call("bob", now));
        wire.pass(SECOND);
        wire.act("bob", Telephone::answer);
        wire.pass(MILLISECOND * delay as u32);
        wire.act("alice", Telephone::hang_up);
        wire.pass(70 * SECOND);
        assert!(wire.is_idle(), "{delay} ms apart");
    }
}

#[test]
fn a_caller_who_gives_up_too_early_waits_with_it() {
    let mut wire = Wire::new(1, Transport::Udp, &["alice", "bob"]);
    wire.act("alice", |alice, now| alice.call("bob", now));
    wire.act("alice", Telephone::hang_up);
    assert_eq!(wire.count("CANCEL"), 0, "nobody has said that he works on it");
    wire.pass(SECOND);
    assert_eq!((wire.count("CANCEL"), wire.count("SIP/2.0 487")), (1, 1));
}

#[test]
fn who_ignores_that_he_was_cancelled_is_not_waited_for_for_ever() {
    for way in [Misbehaviour::IgnoresCancel, Misbehaviour::AnswersOnlyTheCancel] {
        let mut wire = Wire::new(1, Transport::Udp, &["alice", "bob"]);
        wire.act("bob", |bob, _| bob.change(|habits| habits.ways.add(way)));
        wire.act("alice", |alice, now| alice.call("bob", now));
        wire.pass(SECOND);
        wire.act("alice", Telephone::hang_up);
        wire.pass(70 * SECOND);
        assert!(wire.phones["alice"].is_idle(), "{way}");
    }
}

#[test]
fn what_is_heard_before_the_answer_is_acknowledged_before_it() {
    let mut wire = Wire::new(1, Transport::Udp, &["alice", "bob"]);
    let uses = Abilities { prack: Prack::Uses, ..Abilities::default() };
    wire.act("bob", |bob, _| {
        bob.change(|habits| {
            habits.abilities = uses;
            habits.early = Some(super::Sound::Tone(440.0));
        });
    });
    wire.lose("PRACK", 2);
    wire.act("alice", |alice, now| alice.call("bob", now));
    wire.pass(200 * MILLISECOND);
    wire.act("bob", Telephone::answer);
    wire.pass(100 * MILLISECOND);
    assert!(!wire.is_talking("alice"), "the answer waits until what was told before has arrived");
    wire.pass(5 * SECOND);
    assert!(wire.is_talking("alice"));
    assert_eq!(wire.line("alice").facts.told, [StatusCode::SESSION_PROGRESS, StatusCode::OK]);
}

#[test]
fn who_knows_no_prack_is_told_as_ever() {
    let mut wire = Wire::new(1, Transport::Udp, &["alice", "bob"]);
    let set = |prack| Abilities { prack, ..Abilities::default() };
    wire.act("bob", |bob, _| bob.change(|habits| habits.abilities = set(Prack::Uses)));
    wire.act("alice", |alice, _| alice.change(|habits| habits.abilities = set(Prack::Off)));
    wire.act("alice", |alice, now| alice.call("bob", now));
    wire.pass(SECOND);
    assert_eq!((wire.count("SIP/2.0 180"), wire.count("PRACK")), (1, 0));
}

#[test]
fn two_who_hold_each_other_at_once_meet_a_491_and_both_hold_in_the_end() {
    for (seed, updates) in [(1, false), (2, true), (3, false), (4, true)] {
        let mut wire = Wire::talking(seed);
        for name in ["alice", "bob"] {
            wire.act(name, |phone, _| phone.change(|habits| habits.updates = updates));
            wire.act(name, |phone, now| phone.hold(true, now));
        }
        wire.pass(MILLISECOND * 100);
        assert!(wire.count("SIP/2.0 491") >= 1);
        wire.pass(10 * SECOND);
        assert!(wire.line("alice").facts.held && wire.line("bob").facts.held, "seed {seed}");
    }
}

#[test]
fn whoever_refuses_while_nothing_rings_hangs_up() {
    let mut wire = Wire::talking(1);
    wire.act("bob", |bob, now| bob.reject(StatusCode::BUSY_HERE, now));
    wire.pass(40 * SECOND);
    assert!(!wire.is_talking("alice") && wire.is_idle());
}

#[test]
fn a_change_is_answered_by_who_waits_to_hang_up() {
    let mut wire = Wire::new(1, Transport::Udp, &["alice", "bob"]);
    wire.bob().habits.answering = Answering::After(SECOND);
    wire.act("alice", |alice, now| alice.call("bob", now));
    wire.lose("ACK", 3);
    wire.pass(SECOND + SECOND / 4);
    wire.act("bob", Telephone::hang_up);
    wire.act("alice", |alice, now| alice.hold(true, now));
    wire.pass(100 * SECOND);
    assert!(wire.count("SIP/2.0 487") > 0);
    assert!(wire.is_idle(), "something is left over");
}

#[test]
fn hold_in_each_of_its_forms_is_understood() {
    for holding in [Holding::SendOnly, Holding::Inactive, Holding::ZeroAddress] {
        let mut wire = Wire::talking(1);
        wire.act("alice", |alice, _| alice.change(|habits| habits.holding = holding));
        wire.act("alice", |alice, now| alice.hold(true, now));
        wire.pass(SECOND);
        assert!(wire.line("bob").facts.held, "{holding:?}");
        wire.act("alice", |alice, now| alice.hold(false, now));
        wire.pass(SECOND);
        assert!(!wire.line("bob").facts.held, "{holding:?}");
    }
}

#[test]
fn a_call_without_an_offer_has_the_answer_in_its_acknowledgement() {
    let mut wire = Wire::new(1, Transport::Udp, &["alice", "bob"]);
    wire.act("alice", |alice, _| alice.change(|habits| habits.offers_late = true));
    wire.bob().habits.answering = Answering::After(SECOND);
    wire.act("alice", |alice, now| alice.call("bob", now));
    wire.pass(3 * SECOND);
    for name in ["alice", "bob"] {
        assert!(wire.line(name).voice.codec().is_some(), "{name} has nothing to talk with");
    }
    wire.act("bob", Telephone::ask_for_offer);
    wire.pass(SECOND);
    assert_eq!(wire.count("INVITE"), 2);
    assert!(wire.is_talking("alice") && wire.is_talking("bob"));
}

#[test]
fn a_session_is_refreshed_by_whom_it_was_agreed() {
    for (refresher, sender) in [(Refresher::Uac, "alice"), (Refresher::Uas, "bob")] {
        let mut wire = Wire::new(1, Transport::Udp, &["alice", "bob"]);
        let timer = Timer::Asks { interval: 100 * SECOND, refresher: Some(refresher) };
        let abilities = Abilities { timer, ..Abilities::default() };
        wire.act("alice", |alice, _| alice.change(|habits| habits.abilities = abilities));
        wire.bob().habits.answering = Answering::After(Duration::ZERO);
        wire.act("alice", |alice, now| alice.call("bob", now));
        wire.pass(320 * SECOND);
        assert!(wire.is_talking("alice") && wire.is_talking("bob"), "{refresher:?}");
        assert_eq!(wire.sent_by(sender, "UPDATE"), 6, "{refresher:?}");
    }
}

#[test]
fn a_session_that_nobody_refreshes_is_over() {
    let mut wire = Wire::new(1, Transport::Udp, &["alice", "bob"]);
    let timer = Timer::Asks { interval: 90 * SECOND, refresher: Some(Refresher::Uac) };
    wire.act("alice", |alice, _| alice.change(|habits| habits.abilities.timer = timer));
    wire.bob().habits.answering = Answering::After(Duration::ZERO);
    wire.act("alice", |alice, now| alice.call("bob", now));
    wire.pass(SECOND);
    wire.loss = 100;
    // 90 seconds less a third of it.
    wire.pass(58 * SECOND);
    assert!(wire.is_talking("bob"));
    wire.pass(3 * SECOND);
    assert!(!wire.is_talking("bob"));
}

#[test]
fn a_session_interval_that_is_too_small_is_made_larger() {
    let mut wire = Wire::new(1, Transport::Udp, &["alice", "bob"]);
    let timer = Timer::Asks { interval: 30 * SECOND, refresher: None };
    wire.act("alice", |alice, _| alice.change(|habits| habits.abilities.timer = timer));
    wire.bob().habits.answering = Answering::After(Duration::ZERO);
    wire.act("alice", |alice, now| alice.call("bob", now));
    wire.pass(SECOND);
    assert_eq!((wire.count("SIP/2.0 422"), wire.count("INVITE")), (1, 2));
    assert!(wire.is_talking("alice"));
}

#[test]
fn a_call_is_sent_to_somebody_else() {
    let mut wire = Wire::talking_with(1, &["carol"]);
    wire.phone("carol").habits.answering = Answering::After(SECOND);
    wire.act("alice", |alice, now| alice.transfer("carol", now));
    wire.pass(5 * SECOND);
    assert_eq!(wire.line("alice").facts.transfer, [StatusCode::TRYING, StatusCode::RINGING, StatusCode::OK]);
    assert!(!wire.is_talking("alice"));
    assert!(wire.is_talking("bob") && wire.is_talking("carol"));
}

#[test]
fn a_transfer_that_is_refused_leaves_the_call_as_it_was() {
    let mut wire = Wire::talking_with(1, &["carol"]);
    wire.phone("carol").habits.answering = Answering::Rejects(StatusCode::BUSY_HERE);
    wire.act("alice", |alice, now| alice.transfer("carol", now));
    wire.pass(5 * SECOND);
    assert_eq!(wire.line("alice").facts.transfer.last(), Some(&StatusCode::BUSY_HERE));
    assert!(wire.is_talking("alice") && wire.phones["bob"].lines[0].state == State::Talking);
}

#[test]
fn two_callers_of_one_telephone_are_connected() {
    let mut wire = Wire::talking_with(1, &["carol"]);
    wire.act("carol", |carol, _| carol.change(|habits| habits.answering = Answering::After(SECOND)));
    wire.act("alice", |alice, now| alice.hold(true, now));
    wire.act("alice", |alice, now| alice.call("carol", now));
    wire.pass(3 * SECOND);
    wire.act("alice", Telephone::connect_lines);
    wire.pass(5 * SECOND);
    assert!(wire.phones["alice"].lines.iter().all(Line::is_over));
    assert!(wire.is_talking("bob") && wire.is_talking("carol"));
    wire.act("bob", Telephone::hang_up);
    wire.pass(70 * SECOND);
    assert!(wire.is_idle());
}

#[test]
fn two_telephones_that_answer_at_once_make_one_call() {
    let mut wire = Wire::new(1, Transport::Udp, &["alice", "bob", "bobby"]);
    wire.forks = true;
    wire.act("alice", |alice, now| alice.call("bob", now));
    wire.pass(SECOND);
    wire.act("bobby", Telephone::answer);
    wire.act("bob", Telephone::answer);
    wire.pass(SECOND);
    assert_eq!((wire.is_talking("bob"), wire.is_talking("bobby")), (false, true));
    assert!(wire.is_talking("alice"));
    wire.act("alice", Telephone::hang_up);
    wire.pass(70 * SECOND);
    assert!(wire.is_idle());
}

#[test]
fn a_second_caller_waits_until_the_first_is_put_aside() {
    let mut wire = Wire::talking_with(1, &["carol"]);
    wire.act("carol", |carol, now| carol.call("bob", now));
    wire.pass(SECOND);
    wire.act("bob", Telephone::answer);
    wire.pass(SECOND);
    assert!(wire.line("alice").facts.held && wire.is_talking("carol"));
    wire.act("bob", Telephone::swap);
    wire.pass(SECOND);
    assert!(!wire.line("alice").facts.held && wire.line("carol").facts.held);
}

/// Telephones and what lies between them.
struct Wire {
    phones: BTreeMap<String, Telephone>,
    addresses: BTreeMap<SocketAddr, String>,
    transport: Transport,
    now: Instant,
    /// What is on its way: when it arrives, from where, to where.
    flying: Vec<(Instant, SocketAddr, SocketAddr, Vec<u8>)>,
    /// All that was sent: by whom, and its first line and method.
    sent: Vec<(SocketAddr, String)>,
    loss: u64,
    /// The next so many messages that begin like this are lost.
    planned: (String, u32),
    /// Whether a call to one telephone goes to all whose names begin like it.
    forks: bool,
    rng: Rng,
}

impl Wire {
    fn new(seed: u64, transport: Transport, names: &[&str]) -> Wire {
        let mut rng = Rng::from_number(seed);
        let (mut phones, mut addresses) = (BTreeMap::new(), BTreeMap::new());
        for (at, name) in names.iter().enumerate() {
            let address: SocketAddr = format!("10.0.0.{}:5060", at + 2).parse().unwrap();
            let account = Account {
                user: (*name).into(),
                password: String::new(),
                domain: "home".into(),
                expires: SECOND,
            };
            let path = Path { transport, local: address, remote: SWITCH.parse().unwrap(), connection: None };
            phones.insert((*name).into(), Telephone::new(account, Habits::default(), path, rng.fork()));
            addresses.insert(address, (*name).into());
        }
        Wire {
            phones,
            addresses,
            transport,
            now: Instant::START,
            flying: Vec::new(),
            sent: Vec::new(),
            loss: 0,
            planned: (String::new(), 0),
            forks: false,
            rng,
        }
    }

    /// Alice talks to bob.
    fn talking(seed: u64) -> Wire {
        Wire::talking_with(seed, &[])
    }

    fn talking_with(seed: u64, others: &[&str]) -> Wire {
        let names = [&["alice", "bob"], others].concat();
        let mut wire = Wire::new(seed, Transport::Udp, &names);
        wire.act("alice", |alice, now| alice.call("bob", now));
        wire.pass(SECOND);
        wire.act("bob", Telephone::answer);
        wire.pass(SECOND);
        assert!(wire.is_talking("alice") && wire.is_talking("bob"));
        wire
    }

    fn phone(&mut self, name: &str) -> &mut Telephone {
        self.phones.get_mut(name).unwrap()
    }

    fn bob(&mut self) -> &mut Telephone {
        self.phone("bob")
    }

    /// The last call of a telephone.
    fn line(&self, name: &str) -> &Line {
        self.phones[name].lines.last().unwrap()
    }

    fn is_talking(&self, name: &str) -> bool {
        self.phones[name].lines.last().is_some_and(|line| line.state == State::Talking)
    }

    fn is_idle(&self) -> bool {
        self.phones.values().all(Telephone::is_idle)
    }

    fn lose(&mut self, beginning: &str, count: u32) {
        self.planned = (beginning.into(), count);
    }

    fn count(&self, beginning: &str) -> usize {
        self.sent.iter().filter(|(_, line)| line.starts_with(beginning)).count()
    }

    fn sent_by(&self, name: &str, beginning: &str) -> usize {
        let is_it = |(from, line): &&(SocketAddr, String)| {
            self.addresses[from] == name && line.starts_with(beginning)
        };
        self.sent.iter().filter(is_it).count()
    }

    fn act(&mut self, name: &str, act: impl FnOnce(&mut Telephone, Instant)) {
        let now = self.now;
        act(self.phone(name), now);
        self.collect(name);
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let arrival = self.flying.iter().map(|(at, ..)| *at).min();
            let deadline = self
                .phones
                .values()
                .flat_map(|phone| [phone.poll_timeout(), phone.speaks_at()])
                .flatten()
                .min();
            let Some(next) = arrival.into_iter().chain(deadline).min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            if arrival == Some(next) {
                self.deliver(next);
            } else {
                let due: Vec<String> = self.phones.keys().cloned().collect();
                for name in due {
                    self.act(&name, |phone, now| {
                        phone.handle_timeout(now);
                        phone.speak(now, &mut Vec::new(), |_, _, _| ());
                    });
                }
            }
        }
        self.now = end;
    }

    fn deliver(&mut self, at: Instant) {
        let next = self.flying.iter().position(|(arrives, ..)| *arrives == at).unwrap();
        let (_, from, to, bytes) = self.flying.remove(next);
        let name = self.addresses[&to].clone();
        let path = Path { transport: self.transport, local: to, remote: from, connection: None };
        self.act(&name, |phone, now| phone.receive(&bytes, path, now));
    }

    /// What a telephone has sent is on its way, or lost.
    fn collect(&mut self, name: &str) {
        while let Some(output) = self.phone(name).poll_output() {
            let Output::Message { path, bytes } = output else { continue };
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let first = text.lines().next().unwrap_or_default();
            let method = text.lines().find_map(|line| line.strip_prefix("CSeq: ")?.split(' ').nth(1));
            self.sent.push((path.local, format!("{first}|{}", method.unwrap_or_default())));
            let (planned, left) = &mut self.planned;
            if *left > 0 && text.starts_with(planned.as_str()) {
                *left -= 1;
                continue;
            }
            if self.rng.below(100) < self.loss {
                continue;
            }
            for to in self.destinations(path.remote, first) {
                self.flying.push((self.now + 10 * MILLISECOND, path.local, to, bytes.clone()));
            }
        }
    }

    fn destinations(&self, remote: SocketAddr, first: &str) -> Vec<SocketAddr> {
        if remote.to_string() != SWITCH {
            return vec![remote];
        }
        let user = first.split([':', '@']).nth(1).unwrap_or_default();
        let is_it = |name: &str| name == user || (self.forks && name.starts_with(user));
        self.addresses.iter().filter(|(_, name)| is_it(name)).map(|(address, _)| *address).collect()
    }
}
