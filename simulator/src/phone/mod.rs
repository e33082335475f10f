//! Telephones: good citizens of the RFCs that can be told to misbehave in ways that have names.
//!
//! A [`Phone`] has an address and port 5060 of its own, registers with digest, calls, answers, holds, presses keys, talks
//! 20 ms at a time, and keeps what it saw and heard; who wants to know asks it.
//!
//! | file | what is in it |
//! |---|---|
//! | `telephone.rs` | the machine: what its owner does with calls |
//! | `reactions.rs` | what it does about what comes |
//! | `agent/` | its user agent: transactions, dialogs, offers, timers, transfer |
//! | `misbehaviour.rs` | the ways in which telephones misbehave |
//! | `line.rs` | one call, and what is remembered of it |
//! | `registration.rs` | REGISTER, refreshed |
//! | `voice.rs`, `sound.rs` | RTP out: tones, keys |
//! | `hearing.rs` | RTP in: a recording on a timeline |
//! | `stranger.rs` | RTP into the calls of others |
//! | `news.rs` | what it is told of messages and of the calls of others |
//! | `wire.rs` | sockets and time |
//! | `state.rs` | what it says of itself, for people who look |

mod agent;
mod hearing;
mod line;
mod misbehaviour;
mod news;
mod reactions;
mod registration;
mod seal;
mod sound;
mod state;
#[cfg(test)]
mod stories;
mod stranger;
mod telephone;
mod voice;
mod wideband;
mod wire;

pub use hearing::Hearing;
pub(crate) use hearing::Listening;
pub use line::Facts;
pub use misbehaviour::{Misbehaviour, Ways};
pub use news::{News, Watched};
pub use sound::{NoSound, Sound};
pub use stranger::Guise;

use crate::network::SimHost;
use line::State;
use pbx::rng::Rng;
use pbx::sdp::{Codec, Srtp};
use pbx::shell::host::Host;
use pbx::sip::{Path, Refresher, StatusCode, Transport};
use pbx::time::{Duration, Instant};
use registration::Account;
use std::net::{IpAddr, SocketAddr};
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
    /// What callers hear before it is answered, instead of ringing.
    pub early: Option<Sound>,
    /// Whether its calls are encrypted.
    pub srtp: Srtp,
    /// How it lets others wait.
    pub holding: Holding,
    /// Whether it changes calls by UPDATE and not by INVITE.
    pub updates: bool,
    /// Whether it rings while its owner talks.
    pub takes_second_call: bool,
    /// Whether it is to be told what becomes of a transfer that it has asked for (RFC 4488).
    pub hears_of_transfers: bool,
    /// Whether it sends nothing while nothing is said.
    pub pauses: bool,
    /// How many dB below the loudest that can be said the noise is which it tells for its pauses (RFC 3389), if it does.
    pub noise: Option<u8>,
    /// Which extensions of SIP it knows.
    pub abilities: Abilities,
    /// Header lines that stand in its messages besides: `INVITE` or `486`, and the line.
    pub lines: Vec<(String, String)>,
    /// What it does wrong.
    pub ways: Ways,
}

/// Which extensions of SIP a telephone knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Provisional responses that are acknowledged.
    pub prack: Prack,
    /// Session timers.
    pub timer: Timer,
    /// Whether it takes UPDATE (RFC 3311).
    pub update: bool,
}

/// Provisional responses that are acknowledged (RFC 3262).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prack {
    /// It does not know them.
    Off,
    /// It acknowledges those of others and sends none unless it must.
    Knows,
    /// It sends them to whoever knows them.
    Uses,
}

/// Session timers (RFC 4028).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// It does not know them.
    Off,
    /// It does what others ask.
    Knows,
    /// It asks for one.
    Asks {
        /// The session interval.
        interval: Duration,
        /// Who is to refresh.
        refresher: Option<Refresher>,
    },
}

/// How a telephone lets others wait (RFC 3264 section 8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// It goes on sending.
    SendOnly,
    /// Nobody sends.
    Inactive,
    /// Nobody is to send to 0.0.0.0, as before RFC 3264.
    ZeroAddress,
}

impl Default for Abilities {
    fn default() -> Abilities {
        Abilities { prack: Prack::Knows, timer: Timer::Knows, update: true }
    }
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
            early: None,
            srtp: Srtp::Off,
            holding: Holding::SendOnly,
            updates: false,
            takes_second_call: true,
            hears_of_transfers: true,
            pauses: false,
            noise: None,
            abilities: Abilities::default(),
            lines: Vec::new(),
            ways: Ways::default(),
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

    /// Where the PBX sees it.
    pub fn address(&self) -> IpAddr {
        self.shared.host.seen_at()
    }

    /// Changes how it is.
    pub fn habits(&self, change: impl FnOnce(&mut Habits)) {
        self.shared.act(|telephone, _| telephone.change(change));
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

    /// It does this wrong from now on.
    pub fn misbehaves(&self, way: Misbehaviour) {
        self.habits(|habits| habits.ways.add(way));
    }

    /// Whether it does anything wrong.
    pub fn is_misbehaving(&self) -> bool {
        self.shared.look(|telephone, _| !telephone.habits.ways.is_empty())
    }

    /// Talks to the other one of two, while this one has to wait.
    pub fn swap(&self) {
        self.shared.act(Telephone::swap);
    }

    /// Goes on with these codecs.
    pub fn change_codecs(&self, codecs: Vec<Codec>) {
        self.shared.act(|telephone, now| telephone.change_codecs(codecs, now));
    }

    /// Wants an offer of the other side, in an INVITE without its own.
    pub fn ask_for_offer(&self) {
        self.shared.act(Telephone::ask_for_offer);
    }

    /// Sends the other side to a number.
    pub fn transfer(&self, number: &str) {
        self.shared.act(|telephone, now| telephone.transfer(number, now));
    }

    /// Calls a number, in the place that somebody has in a call: the value of Replaces (RFC 3891).
    pub fn call_in_place_of(&self, number: &str, replaces: &str) {
        self.shared.act(|telephone, now| telephone.call_in_place_of(number, replaces, now));
    }

    /// Its place in its call, as Replaces names it to the other side.
    pub fn place_in_call(&self) -> Option<String> {
        self.shared.look(|telephone, _| telephone.place_in_call())
    }

    /// How the last transfer that it has asked for came along.
    pub fn transfers(&self) -> Vec<StatusCode> {
        self.shared.look(|telephone, _| {
            let mut lines = telephone.lines.iter().rev().map(|line| &line.facts.transfer);
            lines.find(|told| !told.is_empty()).cloned().unwrap_or_default()
        })
    }

    /// Wants to be told of something of a number for so many seconds; 0: only how it is now.
    pub fn subscribe(&self, number: &str, event: &str, expires: u32) {
        self.shared.act(|telephone, now| telephone.subscribe(number, event, expires, now));
    }

    /// Does not want to be told of anything any longer.
    pub fn unsubscribe(&self) {
        self.shared.act(Telephone::unsubscribe);
    }

    /// Has forgotten that it ever wanted to be told, as one that was switched off and on.
    pub fn forgets_what_it_wanted(&self) {
        self.shared.act(|telephone, _| telephone.agent.forget_subscriptions());
    }

    /// What it was told of messages and of the calls of others.
    pub fn news(&self) -> News {
        self.shared.look(|telephone, _| telephone.news.clone())
    }

    /// Connects the other sides of its two calls.
    pub fn connect_lines(&self) {
        self.shared.act(Telephone::connect_lines);
    }

    /// Writes a text.
    pub fn write(&self, number: &str, text: &str) {
        self.shared.act(|telephone, now| telephone.write(number, text, now));
    }

    /// The keys that came by INFO.
    pub fn keys_told(&self) -> String {
        self.shared.look(|telephone, _| telephone.keys_told.clone())
    }

    /// Packets of its last call that it could not open, or that came in the clear where they should not.
    pub fn unopened(&self) -> u32 {
        self.shared.look(|telephone, _| telephone.shown().map_or(0, |line| line.voice.unopened))
    }

    /// Whether its call is encrypted.
    pub fn is_sealed(&self) -> bool {
        self.shared.look(|telephone, _| telephone.shown().is_some_and(|line| line.voice.is_sealed()))
    }

    /// The texts that came.
    pub fn texts(&self) -> Vec<String> {
        self.shared.look(|telephone, _| telephone.texts.clone())
    }

    /// Asks a number so often whether it is there (OPTIONS), all at once.
    pub fn ask(&self, number: &str, times: u32) {
        self.shared.act(|telephone, now| telephone.ask(number, times, now));
    }

    /// Why connections did not come about that were to be secure, or WebSockets.
    pub fn refusals(&self) -> Vec<String> {
        self.shared.refusals()
    }

    /// Its connections are cut; it opens others when it needs them.
    pub fn loses_its_connections(&self) {
        self.shared.cut();
    }

    /// Opens a connection to the PBX and sends these bytes over it, one at a time, with so much time between.
    pub fn dribbles(&self, bytes: &[u8], pause: Duration) {
        self.shared.dribble(bytes.to_vec(), self.pbx, pause);
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
        self.shared.act(|telephone, now| telephone.press(keys, now));
    }

    /// Presses keys, heard as tones in the audio.
    pub fn press_in_band(&self, keys: &str) {
        self.shared.act(|telephone, _| telephone.press_in_band(keys));
    }

    /// Presses keys, told by INFO.
    pub fn press_by_info(&self, keys: &str) {
        self.shared.act(|telephone, now| telephone.press_by_info(keys, now));
    }

    /// Asks for the recording of the call to go on, or to pause: the key of desk telephones, told by INFO with a header
    /// Record.
    pub fn record(&self, on: bool) {
        self.shared.act(|telephone, now| telephone.record(on, now));
    }

    /// Its owner says this from now on.
    pub fn play(&self, sound: Sound) {
        self.shared.act(|telephone, now| telephone.play(sound, now));
    }

    /// What its owner says, as long as nothing else is said.
    pub fn voice(&self) -> Sound {
        self.shared.look(|telephone, _| telephone.habits.voice.clone())
    }

    /// Sends bytes to the PBX as they are.
    pub fn sends(&self, raw: &[u8]) {
        self.shared.act(|telephone, _| telephone.has_misbehaved = true);
        self.shared.send_raw(raw, self.pbx);
    }

    /// What it was told to send as it is.
    pub fn noise(&self) -> Vec<Vec<u8>> {
        self.shared.noise()
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

    /// Whether it was ever told to do what no telephone should: what it sends is not held against anybody.
    pub fn has_misbehaved(&self) -> bool {
        self.shared.look(|telephone, _| telephone.has_misbehaved || !telephone.habits.ways.is_empty())
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

    /// How many calls it has that are not over, whatever their state.
    pub fn calls_up(&self) -> usize {
        self.shared.look(|telephone, _| telephone.lines.iter().filter(|line| !line.is_over()).count())
    }

    /// How many of them are answered.
    pub fn calls_answered(&self) -> usize {
        self.shared
            .look(|telephone, _| telephone.lines.iter().filter(|line| line.state == State::Talking).count())
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
        self.shared.look(|telephone, _| telephone.shown().map(|line| line.with.clone()))
    }

    /// What it remembers of its last call.
    pub fn last_call(&self) -> Option<Facts> {
        self.shared.look(|telephone, _| telephone.shown().map(|line| line.facts.clone()))
    }

    /// What it has heard in its last call.
    pub fn hearing(&self) -> Hearing {
        self.shared.look(|telephone, _| {
            telephone.shown().map(|line| line.voice.listening.hearing()).unwrap_or_default()
        })
    }

    /// How many packets of sound have come to it in its last call.
    pub fn packets_heard(&self) -> u64 {
        self.shared.look(|telephone, _| telephone.shown().map_or(0, |line| line.voice.listening.packets()))
    }

    /// What it has heard in the time before now; silence when there is no call.
    pub fn heard_lately(&self, length: Duration) -> Vec<i16> {
        self.shared.look(|telephone, now| match telephone.shown() {
            Some(line) => line.voice.listening.lately(length, now),
            None => Listening::default().lately(length, now),
        })
    }

    /// The keys that the other side has pressed in its last call.
    pub fn keys_heard(&self) -> String {
        self.shared.look(|telephone, _| {
            telephone.shown().map(|line| line.voice.keys_heard.clone()).unwrap_or_default()
        })
    }

    /// The codec of its call, by its name.
    pub fn codec(&self) -> Option<String> {
        self.shared
            .look(|telephone, _| telephone.shown().and_then(|line| line.voice.codec().map(str::to_owned)))
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
