//! From a case to what became of it.

use super::case::{Action, Answers, Case, Deed, Gust, PBX as PBX_NAME, Person, Setting, Way};
use super::clients;
use crate::faults::Plan;
use crate::network::{Bursts, Link, Nat, Packet, flipped};
use crate::phone::{Answering, Habits, Phone, Sound};
use crate::stage::{PBX, Stage};
use crate::world;
use pbx::sip::{Limits, Message, Name, StatusCode, Transport};
use pbx::time::{Duration, Instant};
use std::any::Any;

/// After this nobody waits for an answer that was lost: 64 * T1, and a little.
const SETTLES: Duration = Duration::from_secs(40);

/// With this hardship records are written later than everything else has ended.
const SLOW_DISK: &str = "the disk is slow";

/// What a slow disk has still to do is done.
const WRITES: Duration = Duration::from_secs(5);

/// Who is asked answers within this.
const AT_ONCE: Duration = Duration::from_millis(5);

/// What happens shortly before the faults stop is still a matter of the faults.
const AFTERMATH: Duration = Duration::from_secs(1);

/// What became of a case.
#[derive(Clone, Debug)]
pub struct Run {
    /// The rules that were broken, in the order of time.
    pub broken: Vec<Broken>,
    /// What the trace is known by: equal numbers are equal runs.
    pub hash: u64,
    /// How many packets were sent.
    pub packets: usize,
    /// How much virtual time it took.
    pub lasted: Instant,
    /// What went wrong in the network.
    pub faults: Plan,
}

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which: `T14`.
    pub rule: String,
    /// How, in a sentence.
    pub what: String,
}

impl Run {
    /// Whether this rule was broken.
    pub fn breaks(&self, rule: &str) -> bool {
        self.broken.iter().any(|broken| broken.rule == rule)
    }
}

/// Plays a case on this thread. `Err`: it cannot be played, because of a whim that nobody knows.
pub fn play(case: &Case) -> Result<Run, String> {
    play_and(case, |_| ()).map(|(run, _)| run)
}

/// The same, and looks at the stage at the end; `None` when a panic left nothing to look at.
pub fn play_and<T>(case: &Case, look: impl FnOnce(&Stage) -> T) -> Result<(Run, Option<T>), String> {
    // What somebody else did on this thread before is not this case's.
    world::last_panic();
    let played = world::play_here(case.seed, async |stage: &mut Stage| {
        case.whims.iter().try_for_each(|name| stage.buggify(name))?;
        let broken = act_out(stage, case).await;
        let run = Run {
            broken,
            hash: stage.trace().hash(),
            packets: stage.trace().look(<[_]>::len),
            lasted: stage.now(),
            faults: stage.faults(),
        };
        Ok((run, Some(look(stage))))
    });
    played.unwrap_or_else(|panic| Ok((of_panic(panic.as_ref()), None)))
}

fn of_panic(panic: &(dyn Any + Send)) -> Run {
    let words = panic.downcast_ref::<String>().cloned();
    let words = words.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    let words = world::last_panic().or(words).unwrap_or_default().replace('\n', " ");
    let what = format!("A25 is broken: nothing panics, but {words}");
    let broken = vec![Broken { rule: "A25".to_owned(), what }];
    Run { broken, hash: 0, packets: 0, lasted: Instant::START, faults: Plan::default() }
}

/// Everything happens; then the faults stop, and everything must come to rest.
async fn act_out(stage: &mut Stage, case: &Case) -> Vec<Broken> {
    prepare(stage, case).await;
    for action in &case.actions {
        let at = Instant::START + Duration::from_millis(action.at);
        stage.pass(at.since(stage.now())).await;
        perform(stage, action).await;
    }
    stage.pass(AFTERMATH).await;
    stage.calm();
    stage.plug_all_in();
    clients::stop(stage);
    stage.pass(SETTLES).await;
    if let Some(what) = stage
        .left_alone()
        .filter(|_| !stage.trace().look(is_ended_by_damage) && !stage.trace().look(is_another_by_damage))
    {
        // The run ends here, as a scenario ends with the sentence that does not hold.
        let what = format!("A27 is broken: when the faults have stopped nobody talks to nobody, but {what}");
        return vec![Broken { rule: "A27".to_owned(), what }];
    }
    stage.come_to_rest().await;
    if case.whims.iter().any(|whim| whim == SLOW_DISK) {
        stage.pass(WRITES).await;
    }
    let broken = stage.judge().into_iter();
    broken.map(|it| Broken { rule: it.rule.id.to_owned(), what: it.to_string() }).collect()
}

/// Whether who was sent a BYE that came damaged has said at once that there is no such call: one side has hung up then, and
/// the other does not know.
fn is_ended_by_damage(packets: &[Packet]) -> bool {
    let mut damaged =
        packets.iter().filter(|packet| packet.fate.flip.is_some() && packet.bytes.starts_with(b"BYE "));
    damaged.any(|bye| {
        let is_refusal = |packet: &Packet| {
            (packet.from, packet.to) == (bye.to, bye.from)
                && bye.arrives.is_some_and(|came| (came..came + AT_ONCE).contains(&packet.at))
                && [b"SIP/2.0 4", b"SIP/2.0 5"].iter().any(|refusal| packet.bytes.starts_with(*refusal))
        };
        packets.iter().any(is_refusal)
    })
}

/// Whether an INVITE or the answer to one came with another Call-ID or tag: one side has a dialog then that the other does not
/// know, and nobody can end both.
fn is_another_by_damage(packets: &[Packet]) -> bool {
    let limits = Limits::default();
    let dialog = |bytes: &[u8]| {
        let message = Message::parse(bytes, &limits).ok()?;
        let headers = message.headers();
        let named = [Name::CallId, Name::From, Name::To].map(|name| headers.get(name).map(str::to_owned));
        headers.get(Name::CSeq)?.contains("INVITE").then_some(named)
    };
    let is_told_otherwise = |packet: &Packet| {
        let bit = packet.fate.flip.filter(|_| packet.arrives.is_some())?;
        Some(dialog(&packet.bytes)? != dialog(&flipped(&packet.bytes, bit))?)
    };
    packets.iter().any(|packet| is_told_otherwise(packet) == Some(true))
}

/// Sets the stage: the PBX, the telephones, the weather.
async fn prepare(stage: &mut Stage, case: &Case) {
    if let Some(plan) = &case.faults {
        stage.follow(plan);
    }
    for client in &case.clients {
        stage.plan.let_in(&client.token(), &client.rights());
        stage.application(&client.name);
    }
    // All in one go, so that the PBX reads its configuration once.
    case.office.iter().for_each(|setting| stage.plan.set(setting));
    for person in &case.people {
        stage.plan.extension(&person.extension);
    }
    for person in &case.people {
        let transport = if person.tcp { Transport::Tcp } else { Transport::Udp };
        let phone = match person.tcp {
            _ if person.router => stage.phone_behind(&person.name, Nat::default(), transport).await,
            true => stage.phone_over(&person.name, transport).await,
            false if person.extension == person.name => stage.phone(&person.name).await,
            false => stage.add_phone(&person.name, &person.extension, Transport::Udp).await,
        };
        phone.habits(|habits| person.form(habits));
    }
    if case.faults.is_none() {
        case.weather.iter().for_each(|gust| gust.blow(stage));
    }
}

async fn perform(stage: &mut Stage, action: &Action) {
    if action.who == PBX_NAME {
        match action.does {
            Deed::Crash => stage.office.crash(),
            Deed::Start => stage.open_office().await,
            Deed::ShutDown(grace) => stage.office.drain(Duration::from_millis(grace)).await,
            _ => {}
        }
        return;
    }
    if let Some(client) = stage.applications().get(&action.who).cloned() {
        return clients::perform(stage, &client, action);
    }
    let Some(phone) = stage.phones().get(&action.who).cloned() else { return };
    let (network, address) = (&stage.network, phone.address());
    match action.does {
        Deed::Cut(Way::Both) => network.partition(address, PBX),
        Deed::Cut(Way::Up) => network.partition_one_way(address, PBX),
        Deed::Cut(Way::Down) => network.partition_one_way(PBX, address),
        Deed::Mend => network.repair(address, PBX),
        Deed::BreakConnection(bytes) => network.break_streams_after(address, PBX, bytes),
        Deed::TakePlace(ref name) => take_place(stage, &phone, name, ""),
        Deed::PickUp(ref name) => take_place(stage, &phone, name, ";early-only"),
        _ => perform_on(&phone, &action.does),
    }
}

/// One calls in the place that another has in its call, if it has one.
pub fn take_place(stage: &Stage, phone: &Phone, name: &str, more: &str) {
    let Some(place) = stage.phones().get(name).and_then(Phone::place_in_call) else { return };
    phone.call_in_place_of(name, &format!("{place}{more}"));
}

fn perform_on(phone: &Phone, deed: &Deed) {
    match deed {
        Deed::Register => phone.register(),
        Deed::Unregister => phone.unregister(),
        Deed::Call(number) => phone.call(number),
        Deed::Answer => phone.answer(),
        Deed::Refuse => phone.reject(StatusCode::BUSY_HERE),
        Deed::HangUp => phone.hang_up(),
        Deed::Hold => phone.hold(),
        Deed::Resume => phone.resume(),
        Deed::Press(keys) => phone.press(keys),
        Deed::PressByInfo(keys) => phone.press_by_info(keys),
        Deed::LoseNetwork => phone.loses_its_network(),
        Deed::FindNetwork => phone.finds_its_network(),
        Deed::Send(text) => {
            phone.sends(format!("{}\r\n\r\n", text.trim_end().replace('\n', "\r\n")).as_bytes());
        }
        Deed::Transfer(number) => phone.transfer(number),
        Deed::JoinLines => phone.connect_lines(),
        Deed::Watch(number, seconds) => phone.subscribe(number, "dialog", *seconds as u32),
        Deed::WatchMessages(seconds) => phone.subscribe(&phone.name(), "message-summary", *seconds as u32),
        Deed::Unwatch => phone.unsubscribe(),
        Deed::ForgetWatches => phone.forgets_what_it_wanted(),
        // The other one has to be asked.
        Deed::TakePlace(_) | Deed::PickUp(_) => {}
        // Only a PBX does that, and this happens to lines.
        Deed::Crash | Deed::Start | Deed::ShutDown(_) => {}
        Deed::Cut(_) | Deed::Mend | Deed::BreakConnection(_) => {}
        // Only an application does that.
        Deed::Connect | Deed::Disconnect | Deed::Ask(_) | Deed::Say(_) => {}
        Deed::Remember | Deed::StopReading | Deed::ReadOn => {}
    }
}

impl Person {
    fn form(&self, habits: &mut Habits) {
        if !self.talks {
            habits.voice = Sound::Off;
        }
        habits.offers_late = self.offers_late;
        habits.answering = match self.answers {
            Answers::ByHand => Answering::ByHand,
            Answers::After(millis) => Answering::After(Duration::from_millis(millis)),
            Answers::Busy => Answering::Rejects(StatusCode::BUSY_HERE),
            Answers::Dead => Answering::IsDead,
        };
    }
}

impl crate::office::Plan {
    fn set(&mut self, setting: &Setting) {
        match setting {
            Setting::Calls(calls) => self.behave("max_concurrent_calls", calls),
            Setting::Legs(legs) => self.talk("rtp_port_range_end", 20_000 + legs * 2 - 1),
            Setting::ForwardBusy(of, to) => self.extend(of, "forward_busy", to),
            Setting::ForwardNoAnswer(of, to) => self.extend(of, "forward_no_answer", to),
            Setting::Offered(number, context) => {
                self.route(number, "application", &format!("context = \"{context}\""));
            }
            Setting::Queued(number) => {
                self.route(number, "queue", &format!("queue = \"{}\"", clients::QUEUE));
            }
            Setting::Queue(one, other, strategy) => {
                self.queue(clients::QUEUE, &[one, other], strategy, Duration::ZERO);
            }
            Setting::Briefly(seconds) => self.limit("min_expires_seconds", seconds),
            Setting::Mailbox(owner) => self.mailbox(owner, ""),
            Setting::Orphans(seconds) => self.wait_for_applications(Duration::from_secs(*seconds)),
        }
    }
}

impl Gust {
    fn blow(&self, stage: &Stage) {
        let Some(phone) = stage.phones().get(&self.who) else { return };
        let (address, share) = (phone.address(), |percent: u8| f64::from(percent) / 100.0);
        let link = Link {
            loss: share(self.loss),
            jitter: Duration::from_millis(self.jitter),
            duplicate: share(self.twice),
            reorder: share(self.overtaken),
            corrupt: share(self.flipped),
            bursts: (self.bursts > 0).then(|| Bursts {
                slot: Duration::from_millis(100),
                bad: share(self.bursts),
                loss: 1.0,
            }),
            ..Link::default()
        };
        match self.way {
            Way::Both => stage.network.set_link(address, PBX, link),
            Way::Up => stage.network.set_link_one_way(address, PBX, link),
            Way::Down => stage.network.set_link_one_way(PBX, address, link),
        }
    }
}
