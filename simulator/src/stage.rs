//! What is in a world: the network, the PBX, the people with their telephones, and the trace of all that was sent.

use crate::agents::Agents;
use crate::guards;
use crate::network::{Builder, Link, Network, SimHost};
use crate::office::{self, DOMAIN, HTTP_PORT, Office, Plan};
use crate::phone::{self, Habits, Phone, SIP_PORT, Sound};
use crate::rules::{Break, Evidence};
use crate::trace::Trace;
use crate::web::{self, Page, Question};
use pbx::sip::Transport;
use pbx::time::{Duration, Instant};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where the PBX is.
pub const PBX: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// Who looks at pages.
const OPERATOR: &str = "operator";

/// The last byte of the first address that is given out.
const FIRST: u8 = 2;

/// After this nothing is left of anything: twice 64 * T1, and a little.
const REST: Duration = Duration::from_secs(70);

/// How long one look of [`Stage::until`] waits for the next.
const LOOK: Duration = Duration::from_millis(5);

/// All of a world; lives on the world's thread.
pub struct Stage {
    /// The network.
    pub network: Network,
    /// What the PBX is told when it starts, or by [`Stage::replan`] while it runs.
    pub plan: Plan,
    /// The PBX.
    pub office: Office,
    pub(crate) agents: Agents,
    phones: BTreeMap<String, Phone>,
    names: BTreeMap<IpAddr, String>,
    weather: Link,
    trace: Trace,
    seed: u64,
    /// No time passes beyond this.
    horizon: Option<Instant>,
    /// Whether anybody has brought it to rest or judged it.
    has_concluded: Cell<bool>,
}

impl Stage {
    /// To be called on the world's runtime.
    #[expect(clippy::disallowed_methods, reason = "the network belongs to no host")]
    pub(crate) fn new(seed: u64) -> Stage {
        let network = Builder::new().rng_seed(seed).build();
        guards::begin(tokio::time::Instant::now(), network.clock());
        let trace = Trace::of(&network);
        let driven = network.clone();
        tokio::spawn(async move { driven.drive().await });
        network.name(DOMAIN, &[PBX]);
        let office = Office::new(network.host("PBX", PBX));
        let names = BTreeMap::from([(PBX, "PBX".to_owned())]);
        let (plan, phones, weather) = (Plan::new(), BTreeMap::new(), Link::default());
        let agents = Agents::default();
        Stage {
            network,
            plan,
            office,
            agents,
            phones,
            names,
            weather,
            trace,
            seed,
            horizon: None,
            has_concluded: Cell::new(false),
        }
    }

    /// What everything follows from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Virtual time since the start.
    pub fn now(&self) -> Instant {
        self.network.elapsed()
    }

    /// What was sent so far.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Who is at which address.
    pub fn names(&self) -> &BTreeMap<IpAddr, String> {
        &self.names
    }

    /// A machine at the next free address.
    pub fn host(&mut self, name: &str) -> SimHost {
        let next = FIRST + u8::try_from(self.names.len() - 1).expect("a world has a few hundred hosts");
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, next));
        self.names.insert(address, name.to_owned());
        self.network.host(name, address)
    }

    /// The PBX runs, with the plan as it is.
    pub async fn open_office(&mut self) {
        if !self.office.is_open() {
            self.office.open(&self.plan).await;
        }
    }

    /// Changes the plan, of the running PBX too.
    pub async fn replan(&mut self, change: impl FnOnce(&mut Plan)) {
        change(&mut self.plan);
        if self.office.is_open() {
            self.office.reconfigure(&self.plan).await;
        }
    }

    /// The telephone of an extension. The first time it is asked for there is one, with a voice of its own, and the PBX
    /// knows its extension.
    pub async fn phone(&mut self, name: &str) -> Phone {
        self.phone_over(name, Transport::Udp).await
    }

    /// The same; a new one speaks SIP over this.
    pub async fn phone_over(&mut self, name: &str, transport: Transport) -> Phone {
        match self.phones.get(name) {
            Some(phone) => phone.clone(),
            None => self.add_phone(name, name, transport).await,
        }
    }

    /// A telephone called `name` for an extension, which may have others.
    pub async fn add_phone(&mut self, name: &str, extension: &str, transport: Transport) -> Phone {
        let number = extension.to_owned();
        self.replan(move |plan| {
            plan.extension(&number);
        })
        .await;
        self.open_office().await;
        let line = phone::Line {
            user: extension.to_owned(),
            password: office::password(extension),
            domain: DOMAIN.to_owned(),
            pbx: SocketAddr::new(PBX, SIP_PORT),
            transport,
            expires: Duration::from_secs(3_600),
        };
        let habits = Habits { voice: Sound::Tone(self.next_voice()), ..Habits::default() };
        let phone = Phone::new(self.host(name), line, habits);
        self.phones.insert(name.to_owned(), phone.clone());
        phone
    }

    /// What somebody sees who looks at a page of the PBX.
    pub async fn browse(&mut self, path: &str) -> io::Result<Page> {
        web::get(&self.operator(), SocketAddr::new(PBX, HTTP_PORT), path).await
    }

    /// What somebody is answered who asks a server.
    pub async fn ask(&mut self, server: SocketAddr, question: Question) -> io::Result<Page> {
        let page = web::ask(&self.operator(), server, question).await;
        self.agents.answers.push(page.as_ref().cloned().map_err(ToString::to_string));
        page
    }

    /// What was answered to [`Stage::ask`], or why nothing was, oldest first.
    pub fn answers(&self) -> &[Result<Page, String>] {
        &self.agents.answers
    }

    /// The machine of somebody who looks at things.
    pub fn operator(&mut self) -> SimHost {
        let known = self.names.iter().find(|(_, name)| *name == OPERATOR).map(|(address, _)| *address);
        match known {
            Some(address) => self.network.host(OPERATOR, address),
            None => self.host(OPERATOR),
        }
    }

    /// The telephones by name.
    pub fn phones(&self) -> &BTreeMap<String, Phone> {
        &self.phones
    }

    /// What all links do.
    pub fn weather(&self) -> &Link {
        &self.weather
    }

    /// What all links do from now on.
    pub fn set_weather(&mut self, link: Link) {
        self.network.set_default_link(link.clone());
        self.weather = link;
    }

    /// The faults stop, everybody hangs up, and everything has time to come to its end; returns what is left over.
    pub async fn come_to_rest(&mut self) -> Vec<String> {
        self.has_concluded.set(true);
        self.set_weather(Link::default());
        for phone in self.phones.values() {
            if !phone.is_plugged_in() {
                phone.finds_its_network();
            }
            while phone.is_in_call() {
                phone.hang_up();
            }
        }
        self.agents.rest();
        self.until(REST, Stage::is_at_rest).await;
        self.left_over()
    }

    /// Everything comes to rest and every rule is asked; panics with what is left over or was broken. Does nothing when the
    /// scene has come to rest or asked for a judgement by itself, as one does that is about something wrong, nor when the
    /// world stands still.
    pub async fn conclude(&mut self) {
        if self.has_concluded.get() || self.has_stopped() {
            return;
        }
        let left = self.come_to_rest().await;
        assert!(left.is_empty(), "A24 is broken: nothing is left over at the end, but {}", left.join(", "));
        let broken: Vec<String> = self.judge().iter().map(ToString::to_string).collect();
        assert!(broken.is_empty(), "{}", broken.join("\n"));
    }

    /// The rules that were broken so far. To be asked when everything has come to rest.
    pub fn judge(&self) -> Vec<Break> {
        self.has_concluded.set(true);
        let (records, books) = (self.office.records(), Some(self.network.books()));
        let is_whole = !self.office.has_crashed() && self.plan.keeps_records();
        self.trace.look(|packets| Evidence::new(packets, PBX, is_whole, &records, books).judge())
    }

    /// Whether nothing is left over; asked often.
    fn is_at_rest(&self) -> bool {
        let agents = || self.agents.left_over().is_empty();
        self.phones.values().all(Phone::is_idle) && self.office.is_idle() && agents()
    }

    fn left_over(&self) -> Vec<String> {
        let phones = self.phones.iter().filter(|(_, phone)| !phone.is_idle());
        let mut left: Vec<String> =
            phones.map(|(name, _)| format!("{name}'s telephone is not idle")).collect();
        left.extend(self.agents.left_over());
        left.extend(self.office.left_over());
        left
    }

    /// The world stands still at this moment, whatever is still to be done.
    pub fn stop_at(&mut self, horizon: Instant) {
        self.horizon = Some(horizon);
    }

    /// Whether the world stands still.
    pub fn has_stopped(&self) -> bool {
        self.horizon.is_some_and(|horizon| self.now() >= horizon)
    }

    /// Virtual time passes.
    pub async fn pass(&mut self, time: Duration) {
        let left = self.horizon.map_or(time, |horizon| horizon.since(self.now()));
        tokio::time::sleep(time.min(left)).await;
    }

    /// Virtual time passes until `holds`, at most `patience`; whether it came to hold.
    pub async fn until(&mut self, patience: Duration, holds: impl Fn(&Stage) -> bool) -> bool {
        let end = self.now() + patience;
        while !holds(self) {
            if self.now() >= end || self.has_stopped() {
                return false;
            }
            self.pass(LOOK).await;
        }
        true
    }

    /// Voices are far from each other and from everything a PBX plays.
    fn next_voice(&self) -> f64 {
        500.0 + 100.0 * self.phones.len() as f64
    }
}
