//! Telephones: good citizens of the RFCs that can be told to misbehave in ways that have names.
//!
//! A [`Phone`] has an address and port 5060 of its own, registers with digest, calls, answers, holds, presses keys, talks
//! 20 ms at a time, and keeps what it saw and heard; who wants to know asks it.
//!
//! | file | what is in it |
//! |---|---|
//! | `telephone.rs` | the machine: what it does with calls |
//! | `line.rs` | one call, and what is remembered of it |
//! | `registration.rs` | REGISTER, refreshed |
//! | `voice.rs`, `sound.rs` | RTP out: tones, keys |
//! | `hearing.rs` | RTP in: a recording on a timeline |
//! | `wire.rs` | sockets and time |

mod hearing;
mod line;
mod registration;
mod sound;
mod telephone;
mod voice;
mod wire;

pub use hearing::Hearing;
pub use line::Facts;
pub use sound::Sound;

use crate::network::SimHost;
use line::State;
use pbx::audio::Law;
use pbx::rng::Rng;
use pbx::sdp::Codec;
use pbx::shell::host::Host;
use pbx::sip::{Path, StatusCode, Transport};
use pbx::time::{Duration, Instant};
use registration::Account;
use std::net::SocketAddr;
use std::sync::Arc;
use telephone::Telephone;
use wire::Shared;

/// SIP at every host of a world.
pub const SIP_PORT: u16 = 5060;

/// How a telephone is, until it is told otherwise.
#[derive(Clone, Debug)]
pub struct Habits {
    /// What it does when it rings.
    pub answering: Answering,
    /// What it can, best first.
    pub codecs: Vec<Codec>,
    /// What its owner says while a call is up.
    pub voice: Sound,
    /// Whether it calls without an offer and lets the other side make one.
    pub offers_late: bool,
}

/// What a telephone does when a call comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answering {
    /// It rings until somebody answers.
    ByHand,
    /// It is answered after so long.
    After(Duration),
    /// It rings and rings.
    Never,
    /// It refuses.
    Rejects(StatusCode),
    /// It says nothing at all, as one that has hung itself up.
    IsDead,
}

impl Default for Habits {
    fn default() -> Habits {
        Habits {
            answering: Answering::ByHand,
            codecs: vec![Codec::pcmu(), Codec::pcma(), Codec::telephone_event(101)],
            voice: Sound::Silence,
            offers_late: false,
        }
    }
}

/// Where a telephone finds its PBX.
#[derive(Clone, Debug)]
pub struct Line {
    /// Extension and digest user name.
    pub user: String,
    /// Digest password.
    pub password: String,
    /// The domain of the PBX.
    pub domain: String,
    /// The PBX.
    pub pbx: SocketAddr,
    /// What carries its messages.
    pub transport: Transport,
    /// How long its registrations are to hold.
    pub expires: Duration,
}

/// A telephone; clones are the same telephone.
#[derive(Clone)]
pub struct Phone {
    shared: Arc<Shared>,
    pbx: SocketAddr,
}

impl Phone {
    /// A telephone on a host of its own, plugged in and silent.
    pub fn new(host: SimHost, line: Line, habits: Habits) -> Phone {
        let local = SocketAddr::new(host.address(), SIP_PORT);
        let Line { user, password, domain, pbx, transport, expires } = line;
        let path = Path { transport, local, remote: pbx, connection: None };
        let account = Account { user, password, domain, expires };
        let telephone = Telephone::new(account, habits, path, Rng::new(host.seed()));
        Phone { shared: Shared::start(host, local, telephone), pbx }
    }

    /// Its host.
    pub fn host(&self) -> &SimHost {
        &self.shared.host
    }

    /// Changes how it is.
    pub fn habits(&self, change: impl FnOnce(&mut Habits)) {
        self.shared.act(|telephone, _| change(&mut telephone.habits));
    }

    /// Tells the PBX where it is.
    pub fn register(&self) {
        self.shared.act(|telephone, now| telephone.register(None, now));
    }

    /// The same with another password, which it keeps.
    pub fn register_with(&self, password: &str) {
        self.shared.act(|telephone, now| telephone.register(Some(password), now));
    }

    /// From now on it asks to be known for so long.
    pub fn registers_for(&self, expires: Duration) {
        self.shared.act(|telephone, _| telephone.registration.expires(expires));
    }

    /// Tells the PBX to forget it.
    pub fn unregister(&self) {
        self.shared.act(Telephone::unregister);
    }

    /// Calls a number of the PBX.
    pub fn call(&self, number: &str) {
        self.shared.act(|telephone, now| telephone.call(number, now));
    }

    /// Answers what rings.
    pub fn answer(&self) {
        self.shared.act(Telephone::answer);
    }

    /// Refuses what rings.
    pub fn reject(&self, status: StatusCode) {
        self.shared.act(|telephone, now| telephone.reject(status, now));
    }

    /// Ends its call whatever its state: gives up, refuses, hangs up.
    pub fn hang_up(&self) {
        self.shared.act(Telephone::hang_up);
    }

    /// Lets the other side wait.
    pub fn hold(&self) {
        self.shared.act(|telephone, now| telephone.hold(true, now));
    }

    /// Talks to the other side again.
    pub fn resume(&self) {
        self.shared.act(|telephone, now| telephone.hold(false, now));
    }

    /// Presses keys, told in RTP (RFC 4733).
    pub fn press(&self, keys: &str) {
        self.shared.act(|telephone, _| telephone.press(keys));
    }

    /// Presses keys, told by INFO.
    pub fn press_by_info(&self, keys: &str) {
        self.shared.act(|telephone, now| telephone.press_by_info(keys, now));
    }

    /// Its owner says this from now on.
    pub fn play(&self, sound: Sound) {
        self.shared.act(|telephone, _| telephone.play(sound));
    }

    /// What its owner says, as long as nothing else is said.
    pub fn voice(&self) -> Sound {
        self.shared.look(|telephone, _| telephone.habits.voice.clone())
    }

    /// Sends bytes to the PBX as they are.
    pub fn sends(&self, raw: &[u8]) {
        self.shared.send_raw(raw, self.pbx);
    }

    /// Rings and is never answered.
    pub fn never_answers(&self) {
        self.habits(|habits| habits.answering = Answering::Never);
    }

    /// Its network is gone, and with it all its sockets; it does not know.
    pub fn loses_its_network(&self) {
        self.shared.host.network().crash(self.shared.host.address());
    }

    /// Its network is back.
    pub fn finds_its_network(&self) {
        self.shared.host.network().bounce(self.shared.host.address());
        self.shared.plug_in();
    }

    /// Whether it has a network.
    pub fn is_plugged_in(&self) -> bool {
        self.shared.host.network().is_up(self.shared.host.address())
    }

    /// Whether the PBX has said that it knows where it is, and that still holds.
    pub fn is_registered(&self) -> bool {
        self.shared.look(|telephone, now| telephone.registration.is_registered(now))
    }

    /// The final answers to its registrations.
    pub fn registrations(&self) -> Vec<StatusCode> {
        self.shared.look(|telephone, _| telephone.registration.told.clone())
    }

    /// Whether it rings.
    pub fn is_ringing(&self) -> bool {
        self.shared.look(|telephone, _| {
            telephone.lines.iter().any(|line| matches!(line.state, State::Ringing { .. }))
        })
    }

    /// Whether it rings, waits or talks.
    pub fn is_in_call(&self) -> bool {
        self.shared.look(|telephone, _| telephone.current().is_some())
    }

    /// Whether it talks.
    pub fn is_talking(&self) -> bool {
        self.shared.look(|telephone, _| telephone.lines.iter().any(|line| line.state == State::Talking))
    }

    /// How many calls it has had, the present one included.
    pub fn calls(&self) -> usize {
        self.shared.look(|telephone, _| telephone.lines.len())
    }

    /// Whom it talks or talked to last.
    pub fn talks_with(&self) -> Option<String> {
        self.shared.look(|telephone, _| telephone.lines.last().map(|line| line.with.clone()))
    }

    /// What it remembers of its last call.
    pub fn last_call(&self) -> Option<Facts> {
        self.shared.look(|telephone, _| telephone.lines.last().map(|line| line.facts.clone()))
    }

    /// What it has heard in its last call.
    pub fn hearing(&self) -> Hearing {
        self.shared.look(|telephone, _| {
            telephone.lines.last().map(|line| line.voice.hearing.clone()).unwrap_or_default()
        })
    }

    /// What it has heard in the time before now; silence when there is no call.
    pub fn heard_lately(&self, length: Duration) -> Vec<i16> {
        self.shared.look(|telephone, now| match telephone.lines.last() {
            Some(line) => line.voice.hearing.lately(length, now),
            None => Hearing::default().lately(length, now),
        })
    }

    /// The keys that the other side has pressed in its last call.
    pub fn keys_heard(&self) -> String {
        self.shared.look(|telephone, _| {
            telephone.lines.last().map(|line| line.voice.keys_heard.clone()).unwrap_or_default()
        })
    }

    /// The codec of its call.
    pub fn law(&self) -> Option<Law> {
        self.shared.look(|telephone, _| telephone.current().and_then(|line| line.voice.law()))
    }

    /// Whether no call, dialog or transaction is left.
    pub fn is_idle(&self) -> bool {
        self.shared.look(|telephone, _| telephone.is_idle())
    }

    /// The name it registers by.
    pub fn name(&self) -> String {
        self.shared.look(|telephone, _| telephone.name.clone())
    }

    /// What time it is there.
    pub fn now(&self) -> Instant {
        self.shared.host.now()
    }
}
