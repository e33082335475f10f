//! What is in a world: the network, the PBX, the people with their telephones, and the trace of all that was sent.

mod router;

use crate::agents::Agents;
use crate::faults::{self, Event, PacketFault};
use crate::guards;
use crate::logbook::Logbook;
use crate::network::{
    Builder, Fate, Ground, Happening, Link, Network, SimHost, Unplayable, box_of, seen_outside,
};
use crate::office::{self, DOMAIN, HTTP_PORT, Office, Plan};
use crate::phone::{self, Habits, Phone, Sound};
use crate::rules::{Break, Run, WaiverError, Waivers};
use crate::trace::Trace;
use crate::web::{self, Page, Question};
use pbx::pbx::What;
use pbx::shell::host::Host as _;
use pbx::shell::timer;
use pbx::sip::Transport;
use pbx::time::{Duration, Instant};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tracing::subscriber::DefaultGuard;

/// Where the PBX is, but on the loopback: see [`Stage::pbx`].
pub const PBX: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// Who looks at pages.
const OPERATOR: &str = "operator";

/// The last byte of the first address that is given out.
const FIRST: u8 = 2;

/// After this nothing is left of anything: twice 64 * T1, and a little.
const REST: Duration = Duration::from_secs(70);

/// The same in real time, in which only calls and ports are waited for.
const REAL_REST: Duration = Duration::from_secs(8);

/// No longer time passes at once on turmoil.
const LONGEST_IN_STEPS: Duration = Duration::from_secs(150);
/// How long one look whether all has come to rest waits for the next.
const REST_LOOK: Duration = Duration::from_millis(250);

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
    excused: BTreeSet<IpAddr>,
    waivers: Waivers,
    logbook: Logbook,
    /// What is logged on this thread stands in the logbook for as long as there is a stage.
    _scribe: DefaultGuard,
    /// What was left over when all came to rest, in words.
    left: Vec<String>,
    seed: u64,
    /// No time passes beyond this.
    horizon: Option<Instant>,
    /// What is said of packets, whatever the dice say.
    scripted: Vec<PacketFault>,
    /// What makes life harder for the PBX.
    whims: Vec<String>,
    /// The events of the plan that is followed, those to come.
    agenda: VecDeque<Event>,
    /// Whether anybody has brought it to rest or judged it.
    has_concluded: Cell<bool>,
}

impl Stage {
    /// To be called on the world's runtime.
    pub(crate) fn new(ground: Ground, seed: u64) -> Stage {
        let network = Builder::new().rng_seed(seed).over(ground.clone()).build();
        if ground == Ground::Own {
            guards::begin(network.clock());
        }
        let trace = Trace::of(&network);
        let logbook = Logbook::default();
        let _scribe = logbook.open(network.clone());
        let pbx = network.address(1);
        network.name(DOMAIN, &[pbx]);
        let office = Office::new(network.host("PBX", pbx));
        let names = BTreeMap::from([(pbx, "PBX".to_owned())]);
        let (plan, phones, weather) = (Plan::new(), BTreeMap::new(), Link::default());
        let (left, agents) = (Vec::new(), Agents::default());
        Stage {
            network,
            plan,
            office,
            agents,
            phones,
            names,
            weather,
            trace,
            logbook,
            _scribe,
            left,
            excused: BTreeSet::new(),
            waivers: Waivers::default(),
            seed,
            horizon: None,
            scripted: Vec::new(),
            whims: Vec::new(),
            agenda: VecDeque::new(),
            has_concluded: Cell::new(false),
        }
    }

    /// What everything follows from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Where the PBX is.
    pub fn pbx(&self) -> IpAddr {
        self.office.host().address()
    }

    /// What carries the packets.
    pub fn ground(&self) -> &Ground {
        self.network.ground()
    }

    /// Virtual time since the start.
    pub fn now(&self) -> Instant {
        self.network.elapsed()
    }

    /// What was sent so far.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// What was logged so far.
    pub fn logbook(&self) -> &Logbook {
        &self.logbook
    }

    /// Who is at which address.
    pub fn names(&self) -> &BTreeMap<IpAddr, String> {
        &self.names
    }

    /// A machine at the next free address.
    pub fn host(&mut self, name: &str) -> SimHost {
        let next = FIRST + u8::try_from(self.names.len() - 1).expect("a world has a few hundred hosts");
        let address = self.network.address(next);
        self.names.insert(address, name.to_owned());
        self.apply_script();
        self.network.host(name, address)
    }

    /// The dice are switched off: what goes wrong from now on is what the plan says. To be called before anything is sent.
    ///
    /// What a scenario does to machines it does itself; an event of the plan that says the same changes nothing.
    pub fn follow(&mut self, plan: &faults::Plan) {
        self.network.dice_off();
        self.agenda = plan.events.clone().into();
        self.scripted.clone_from(&plan.packets);
        self.apply_script();
    }

    /// This, too, happens to a packet, whatever the dice say.
    pub fn script(&mut self, fault: PacketFault, change: impl FnOnce(&mut Fate)) {
        let is_it = |known: &PacketFault| {
            (&known.from, &known.to, known.number) == (&fault.from, &fault.to, fault.number)
        };
        let at = self.scripted.iter().position(is_it).unwrap_or_else(|| {
            self.scripted.push(fault);
            self.scripted.len() - 1
        });
        change(&mut self.scripted[at].fate);
        self.apply_script();
    }

    /// What went wrong so far.
    pub fn faults(&self) -> faults::Plan {
        self.trace.look(|packets| faults::Plan::of(packets, &self.network.happenings(), &self.names))
    }

    /// Whom the plan that is followed names and nobody has seen.
    pub fn strangers(&self) -> BTreeSet<String> {
        let named = self.scripted.iter().flat_map(|fault| [&fault.from, &fault.to]);
        named.filter(|name| self.address(name).is_none()).cloned().collect()
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

    /// The same, of a plan that may be refused: then the old one stays, and it is said why.
    pub async fn try_replan(&mut self, change: impl FnOnce(&mut Plan)) -> Result<(), String> {
        let mut plan = self.plan.clone();
        change(&mut plan);
        self.office.try_reconfigure(&plan).await?;
        self.plan = plan;
        Ok(())
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
        let host = self.host(name);
        self.add_phone_on(host, name, extension, transport).await
    }

    async fn add_phone_on(
        &mut self,
        host: SimHost,
        name: &str,
        extension: &str,
        transport: Transport,
    ) -> Phone {
        if !self.plan.extensions.iter().any(|known| known.number == extension) {
            let number = extension.to_owned();
            self.replan(move |plan| {
                plan.extension(&number);
            })
            .await;
        }
        self.open_office().await;
        let line = phone::Line {
            user: extension.to_owned(),
            password: office::password(extension),
            domain: DOMAIN.to_owned(),
            pbx: SocketAddr::new(self.pbx(), office::port_of(transport)),
            transport,
            expires: Duration::from_secs(3_600),
        };
        let habits = Habits { voice: Sound::Tone(self.next_voice()), ..Habits::default() };
        let phone = Phone::new(host, line, habits);
        self.phones.insert(name.to_owned(), phone.clone());
        phone
    }

    /// What somebody sees who looks at a page of the PBX.
    pub async fn browse(&mut self, path: &str) -> io::Result<Page> {
        web::get(&self.operator(), SocketAddr::new(self.pbx(), HTTP_PORT), path).await
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

    /// All links are good again, nothing is cut, held back or stands still.
    pub fn heal(&mut self) {
        self.calm();
    }

    /// The faults stop: all links are good, no line is cut.
    pub fn calm(&mut self) {
        self.network.calm();
        self.weather = Link::default();
    }

    /// Every telephone has its network again.
    pub fn plug_all_in(&self) {
        for phone in self.phones.values().filter(|phone| !phone.is_plugged_in()) {
            phone.finds_its_network();
        }
    }

    /// The faults stop, everybody hangs up, and everything has time to come to its end; returns what is left over.
    pub async fn come_to_rest(&mut self) -> Vec<String> {
        self.has_concluded.set(true);
        self.calm();
        self.plug_all_in();
        for phone in self.phones.values() {
            while phone.is_in_call() {
                phone.hang_up();
            }
            phone.unsubscribe();
        }
        self.agents.rest();
        let end = self.now() + if self.is_real() { REAL_REST } else { REST };
        while self.now() < end && !self.has_stopped() && !self.left_over().is_empty() {
            self.pass(REST_LOOK).await;
        }
        self.left = self.left_over();
        self.left.clone()
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

    /// Who talks to nobody, in words: more telephones are in a call than the PBX has ends of calls, or the other way round.
    ///
    /// To be asked when the faults have stopped and requests have had their 64 * T1. It says nothing where somebody lost
    /// the network or the PBX its power: they may well have missed the end of a call.
    pub fn left_alone(&self) -> Option<String> {
        let is_excused = |(_, happening): &(Instant, Happening)| {
            matches!(happening, Happening::Off(_) | Happening::Restart(_) | Happening::Cut(..))
        };
        if self.office.has_ended() || self.network.happenings().iter().any(is_excused) {
            return None;
        }
        let calls = usize::try_from(self.office.counters().calls_active).unwrap_or(usize::MAX);
        let answered: usize = self.phones.values().map(Phone::calls_answered).sum();
        if answered > calls.saturating_mul(2) {
            let talks = |(name, phone): (&String, &Phone)| phone.is_talking().then(|| name.clone());
            let talking: Vec<String> = self.phones.iter().filter_map(talks).collect();
            return Some(format!("{} talks, and the PBX has {calls} calls", talking.join(" and ")));
        }
        // By order of an application telephones ring that say nothing.
        if !self.applications().is_empty() {
            return None;
        }
        let up: usize = self.phones.values().map(Phone::calls_up).sum();
        (calls > up).then(|| format!("the PBX has {calls} calls, and the telephones have {up}"))
    }

    /// This, too, makes life harder for the PBX, by a name of [`pbx::buggify`]. To be called before it is opened.
    pub fn buggify(&mut self, name: &str) -> Result<(), String> {
        self.whims.push(name.to_owned());
        #[cfg(feature = "buggify")]
        {
            let whims = pbx::buggify::Whims::new(&self.whims, self.seed);
            let whims = whims.map_err(|name| format!("nobody knows how to buggify {name:?}"))?;
            self.network.set_whims(PBX, whims);
            Ok(())
        }
        #[cfg(not(feature = "buggify"))]
        Err("the PBX in here cannot be buggified; build with --features buggify".to_owned())
    }

    /// What this host sends is not judged from its first packet on: it was told to do wrong.
    pub fn excuse(&mut self, host: IpAddr) {
        self.excused.insert(host);
    }

    /// This rule may be broken here, and is to be: a waiver that nobody needs is told like a break.
    pub fn waive(&mut self, rule: &str, reason: &str) -> Result<(), WaiverError> {
        self.waivers.add(rule, reason)
    }

    /// The rules that were broken so far and are not waived. To be asked when everything has come to rest.
    /// In real time the machine has its own part in when something happens, and not every packet is seen: there only what is
    /// left over is judged.
    pub fn judge(&self) -> Vec<Break> {
        self.has_concluded.set(true);
        let is_own = *self.ground() == Ground::Own;
        let excused = self.excused();
        // A process tells nobody what it does.
        let events = if self.is_real() { Vec::new() } else { self.office.events() };
        let unheard = events.into_iter().filter_map(|event| match event.what {
            What::Blocked { source } => Some(source),
            _ => None,
        });
        let (unheard, records) = (unheard.collect(), self.office.records());
        let outages = [&self.network.outages(), self.office.outages()].concat();
        let bindings = is_own.then(|| self.network.bindings());
        let noise: Vec<Vec<u8>> = self.phones.values().flat_map(Phone::noise).collect();
        let complaints = self.logbook.errors();
        self.trace.look(|packets| {
            let run = Run {
                packets: &seen_outside(packets),
                pbx: self.pbx(),
                outages: &outages,
                excused: &excused,
                unheard: &unheard,
                records: self.plan.keeps_records().then_some(&records),
                books: is_own.then(|| self.network.books()),
                left_over: &self.left,
                end: self.now(),
                clock: self.office.host().clock(),
                bindings: bindings.as_deref(),
                complaints: &complaints,
                rtp_timeout: self.office.rtp_timeout(&self.plan),
                stood_still: self.network.has_ever_paused(),
                grain: if is_own { Duration::ZERO } else { Duration::from_millis(1) },
                noise: &noise,
            };
            let run = if self.is_real() {
                Run { packets: &[], records: None, complaints: &[], ..run }
            } else {
                run
            };
            self.waivers.judge(run.judge(), self.now())
        })
    }

    /// Those who were told to do wrong.
    fn excused(&self) -> BTreeSet<IpAddr> {
        let unruly = self.phones.values().filter(|phone| phone.has_misbehaved());
        // Outside they are seen as the router before them.
        let unruly = unruly.map(|phone| phone.host().address());
        let unruly = unruly.flat_map(|address| std::iter::once(address).chain(box_of(address)));
        self.excused.iter().copied().chain(unruly).chain(self.agents.unruly()).collect()
    }

    fn is_real(&self) -> bool {
        matches!(self.ground(), Ground::Real(_))
    }

    fn left_over(&self) -> Vec<String> {
        // Transactions linger for 32 seconds, which nobody has in real time.
        let is_left = |phone: &Phone| if self.is_real() { phone.is_in_call() } else { !phone.is_idle() };
        let phones = self.phones.iter().filter(|(_, phone)| is_left(phone));
        let mut left: Vec<String> =
            phones.map(|(name, _)| format!("{name}'s telephone is not idle")).collect();
        left.extend(self.agents.left_over());
        left.extend(self.office.left_over());
        left.extend(self.office.resources_left());
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
        if self.network.is_turmoil() && time > LONGEST_IN_STEPS {
            Unplayable::throw("turmoil goes by steps of a millisecond, and an hour has many");
        }
        let left = self.horizon.map_or(time, |horizon| horizon.since(self.now()));
        let end = self.now() + time.min(left);
        while let Some(event) = self.agenda.pop_front_if(|event| Instant::START + event.at <= end) {
            timer::sleep((Instant::START + event.at).since(self.now())).await;
            self.suffer(&event.what);
        }
        timer::sleep(end.since(self.now())).await;
    }

    /// What a plan says happens to a machine or a line. A name that nobody has is for [`Stage::strangers`] to tell.
    fn suffer(&mut self, what: &faults::What) {
        match what {
            faults::What::Off(name) | faults::What::Restart(name) => {
                self.switch(name, matches!(what, faults::What::Restart(_)))
            }
            faults::What::Cut(from, to) => {
                if let Some((from, to)) = self.address(from).zip(self.address(to)) {
                    self.network.partition_one_way(from, to);
                }
            }
            faults::What::Mend(from, to) => {
                if let Some((from, to)) = self.address(from).zip(self.address(to)) {
                    self.network.repair_one_way(from, to);
                }
            }
        }
    }

    fn switch(&mut self, name: &str, on: bool) {
        match (self.phones.get(name), self.address(name)) {
            (Some(phone), _) if on => phone.finds_its_network(),
            (Some(phone), _) => phone.loses_its_network(),
            (None, Some(PBX)) => {
                self.office.crash();
                if !on {
                    self.network.crash(PBX);
                }
            }
            (None, Some(host)) if on => self.network.bounce(host),
            (None, Some(host)) => self.network.crash(host),
            (None, None) => {}
        }
    }

    fn address(&self, name: &str) -> Option<IpAddr> {
        self.names.iter().find(|(_, known)| *known == name).map(|(address, _)| *address)
    }

    /// Hosts get their addresses one by one; what is said of those who have none waits.
    fn apply_script(&self) {
        for fault in &self.scripted {
            if let Some((from, to)) = self.address(&fault.from).zip(self.address(&fault.to)) {
                self.network.script(from, to, fault.number - 1, fault.fate);
            }
        }
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
