//! The scenes in which faults are planted: few, and short.
//!
//! In each of them alice is at 10.0.0.2 and bob at 10.0.0.3.

use pbx::sdp::{Codec, Srtp};
use pbx::sip::{StatusCode, Transport};
use pbx::time::Duration;
use simulator::agents::application::Application;
use simulator::network::Link;
use simulator::office::HTTP_PORT;
use simulator::phone::{Answering, Phone};
use simulator::stage::{PBX, Stage};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub(crate) const ALICE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
pub(crate) const BOB: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 3));

/// What applications show.
const TOKEN: &str = "the-secret-of-the-application";

const SECOND: Duration = Duration::from_secs(1);

/// It asks what the PBX can.
const PLAIN: &str = "\
OPTIONS sip:pbx.example SIP/2.0
Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKplain;rport
Max-Forwards: 70
From: <sip:alice@pbx.example>;tag=1
To: <sip:pbx.example>
Call-ID: plain
CSeq: 1 OPTIONS
Content-Length: 0

";

/// It requires what nobody has.
const STRANGE: &str = "\
OPTIONS sip:pbx.example SIP/2.0
Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKstrange;rport
Max-Forwards: 70
From: <sip:alice@pbx.example>;tag=1
To: <sip:pbx.example>
Call-ID: strange
CSeq: 1 OPTIONS
Require: telepathy
Content-Length: 0

";

/// It has no Call-ID.
const UNREADABLE: &str = "\
INVITE sip:bob@pbx.example SIP/2.0
Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKnoise;rport
Max-Forwards: 70
From: <sip:alice@pbx.example>;tag=1
To: <sip:bob@pbx.example>
Contact: <sip:alice@10.0.0.2>
CSeq: 1 INVITE
Content-Length: 0

";

/// What is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    /// alice calls bob, who answers after a second; they talk for a second, and alice hangs up.
    Call,
    /// bob's telephone is busy.
    Refused,
    /// alice gives up while it rings.
    Cancelled,
    /// bob's telephone says nothing.
    Dead,
    /// alice registers and unregisters.
    Registration,
    /// A call between telephones that speak TCP.
    TcpCall,
    /// A call of which bob's leg is encrypted.
    Sealed,
    /// A call in a network that loses every fifth packet.
    LossyCall,
    /// alice speaks in PCMA and bob in PCMU.
    TwoLaws,
    /// She speaks in G.722 and he in PCMU.
    Interpreted,
    /// She presses tones, bob wants events; the network loses packets.
    LossyToneKeys,
    /// alice puts bob on hold and takes him back.
    Hold,
    /// bob's network is gone when alice hangs up.
    Lost,
    /// alice calls without an offer.
    LateOffer,
    /// alice presses two keys.
    Keys,
    /// She tells them by message; bob wants events.
    MessageKeys,
    /// Both speak in G.722; she presses them as tones, bob wants events.
    ToneKeys,
    /// bob answers in the moment in which alice gives up.
    Crossing,
    /// alice and bob hang up in the same moment.
    Glare,
    /// alice and bob put each other on hold in the same moment.
    BothHold,
    /// bob has two telephones and answers one.
    Fork,
    /// A call of two minutes.
    LongCall,
    /// alice sends what cannot be read, and what nobody supports.
    Noise,
    /// An application calls alice and bob, lets them talk for a second, and parks them.
    Ordered,
    /// An application lets alice talk to bob; a supervisor listens, and joins in.
    Supervised,
    /// An application lets alice and carol wait for bob, who is the only agent.
    Queued,
    /// An application loses its connection while alice is called, and comes back.
    Resumed,
    /// bob transfers alice to carol, who answers.
    Transfer,
    /// carol takes bob's place in his talk with alice.
    Replaced,
    /// bob watches alice for a while, who calls the tone; then he wants to know no more.
    Watched,
}

impl Scene {
    pub(crate) const ALL: &[Scene] = &[
        Scene::Call,
        Scene::Refused,
        Scene::Cancelled,
        Scene::Dead,
        Scene::Registration,
        Scene::TcpCall,
        Scene::Sealed,
        Scene::LossyCall,
        Scene::TwoLaws,
        Scene::Interpreted,
        Scene::LossyToneKeys,
        Scene::Hold,
        Scene::Lost,
        Scene::LateOffer,
        Scene::Keys,
        Scene::MessageKeys,
        Scene::ToneKeys,
        Scene::Crossing,
        Scene::Glare,
        Scene::BothHold,
        Scene::Fork,
        Scene::LongCall,
        Scene::Noise,
        Scene::Ordered,
        Scene::Supervised,
        Scene::Queued,
        Scene::Resumed,
        Scene::Transfer,
        Scene::Replaced,
        Scene::Watched,
    ];

    pub(crate) async fn play(self, stage: &mut Stage) {
        let transport = if self == Scene::TcpCall { Transport::Tcp } else { Transport::Udp };
        if self == Scene::Sealed {
            stage.replan(|plan| plan.extend("bob", "srtp", "required")).await;
        }
        if self == Scene::MessageKeys {
            stage.replan(|plan| plan.extend("bob", "dtmf", "rfc4733")).await;
        }
        if self == Scene::Interpreted {
            let known = "[\"PCMU\", \"PCMA\", \"G722\"]".to_owned();
            stage.replan(|plan| plan.talk("preferred_codecs", known)).await;
        }
        let alice = stage.phone_over("alice", transport).await;
        let bob = stage.phone_over("bob", transport).await;
        match self {
            Scene::Call | Scene::TcpCall => {
                talk(stage, &alice, &bob).await;
                alice.hang_up();
            }
            Scene::Sealed => {
                bob.habits(|habits| habits.srtp = Srtp::Required);
                talk(stage, &alice, &bob).await;
                alice.hang_up();
            }
            Scene::LateOffer => {
                alice.habits(|habits| habits.offers_late = true);
                talk(stage, &alice, &bob).await;
                alice.hang_up();
            }
            Scene::Keys => {
                talk(stage, &alice, &bob).await;
                alice.press("15");
                stage.pass(SECOND).await;
                alice.hang_up();
            }
            Scene::MessageKeys => {
                talk(stage, &alice, &bob).await;
                alice.press_by_info("15");
                stage.pass(4 * SECOND).await;
                alice.hang_up();
            }
            Scene::ToneKeys => {
                let wideband = Codec::by_name("G722").expect("a codec");
                alice.habits(|habits| habits.codecs = vec![wideband.clone()]);
                bob.habits(|habits| habits.codecs = vec![wideband.clone(), Codec::telephone_event(101)]);
                talk(stage, &alice, &bob).await;
                alice.press_in_band("15");
                stage.pass(4 * SECOND).await;
                alice.hang_up();
            }
            Scene::TwoLaws => {
                alice.habits(|habits| habits.codecs = vec![Codec::pcma()]);
                bob.habits(|habits| habits.codecs = vec![Codec::pcmu()]);
                talk(stage, &alice, &bob).await;
                alice.hang_up();
            }
            Scene::Interpreted => {
                alice.habits(|habits| habits.codecs = vec![Codec::by_name("G722").expect("a codec")]);
                bob.habits(|habits| habits.codecs = vec![Codec::pcmu()]);
                talk(stage, &alice, &bob).await;
                stage.pass(4 * SECOND).await;
                alice.hang_up();
            }
            Scene::LossyToneKeys => {
                alice.habits(|habits| habits.codecs = vec![Codec::pcmu()]);
                talk(stage, &alice, &bob).await;
                stage.set_weather(Link { loss: 0.03, ..Link::default() });
                alice.press_in_band("1593#0A7");
                stage.pass(9 * SECOND).await;
                stage.set_weather(Link::default());
                alice.hang_up();
            }
            Scene::LossyCall => {
                stage.set_weather(Link { loss: 0.2, ..Link::default() });
                talk(stage, &alice, &bob).await;
                stage.pass(9 * SECOND).await;
                alice.hang_up();
                stage.pass(9 * SECOND).await;
            }
            Scene::Hold => {
                talk(stage, &alice, &bob).await;
                alice.hold();
                stage.pass(SECOND).await;
                alice.resume();
                stage.pass(SECOND).await;
                alice.hang_up();
            }
            Scene::Lost => {
                talk(stage, &alice, &bob).await;
                bob.loses_its_network();
                alice.hang_up();
                stage.pass(40 * SECOND).await;
            }
            Scene::Refused => {
                bob.habits(|habits| habits.answering = Answering::Rejects(StatusCode::BUSY_HERE));
                call(stage, &alice, &bob).await;
            }
            Scene::Cancelled => {
                call(stage, &alice, &bob).await;
                alice.hang_up();
            }
            Scene::Crossing => {
                call(stage, &alice, &bob).await;
                bob.answer();
                alice.hang_up();
                stage.pass(5 * SECOND).await;
            }
            Scene::Glare => {
                talk(stage, &alice, &bob).await;
                alice.hang_up();
                bob.hang_up();
            }
            Scene::BothHold => {
                talk(stage, &alice, &bob).await;
                alice.hold();
                bob.hold();
                stage.pass(6 * SECOND).await;
                alice.hang_up();
            }
            Scene::Fork => {
                let second = stage.add_phone("carol", "bob", transport).await;
                second.register();
                talk(stage, &alice, &bob).await;
                alice.hang_up();
            }
            Scene::LongCall => {
                talk(stage, &alice, &bob).await;
                stage.pass(130 * SECOND).await;
                alice.hang_up();
            }
            Scene::Noise => {
                alice.sends(PLAIN.replace('\n', "\r\n").as_bytes());
                alice.sends(STRANGE.replace('\n', "\r\n").as_bytes());
                alice.sends(UNREADABLE.replace('\n', "\r\n").as_bytes());
            }
            Scene::Ordered => {
                let orders = Orders::begin(stage, &[("alice", &alice), ("bob", &bob)]).await;
                orders.talk(stage).await;
                orders.give(stage, "call.unbridge call_id=alice").await;
                stage.pass(SECOND).await;
                for call in ["nobody", "alice", "bob"] {
                    orders.give(stage, &format!("call.hangup call_id={call}")).await;
                }
                stage.pass(46 * SECOND).await;
            }
            Scene::Supervised => {
                let carol = stage.phone("carol").await;
                let orders =
                    Orders::begin(stage, &[("alice", &alice), ("bob", &bob), ("carol", &carol)]).await;
                orders.talk(stage).await;
                for part in ["listen", "barge"] {
                    let text = format!("supervisor.{part} supervisor_call_id=carol target_call_id=bob");
                    orders.give(stage, &text).await;
                    stage.pass(SECOND).await;
                }
            }
            Scene::Queued => {
                stage.replan(|plan| plan.queue("support", &["bob"], "all", Duration::ZERO)).await;
                let carol = stage.phone("carol").await;
                let orders = Orders::begin(stage, &[("alice", &alice), ("carol", &carol)]).await;
                // Nobody is there to answer yet.
                orders.give(stage, "queue.enqueue call_id=alice queue_id=support").await;
                orders.give(stage, "queue.enqueue call_id=carol queue_id=support").await;
                bob.habits(|habits| habits.answering = Answering::After(SECOND));
                bob.register();
                stage.pass(5 * SECOND).await;
                orders.give(stage, "call.hangup call_id=alice").await;
                stage.pass(5 * SECOND).await;
            }
            Scene::Resumed => {
                let orders = Orders::begin(stage, &[("alice", &alice)]).await;
                orders.0.disconnect();
                stage.pass(SECOND).await;
                alice.press("1");
                stage.pass(SECOND).await;
                orders.0.connect(SocketAddr::new(PBX, HTTP_PORT), Some(TOKEN));
                stage.until(SECOND, |_| orders.0.is_connected()).await;
                orders.0.catch_up();
                stage.pass(SECOND).await;
            }
            Scene::Transfer => {
                let carol = third(stage, transport).await;
                carol.habits(|habits| habits.answering = Answering::After(SECOND));
                talk(stage, &alice, &bob).await;
                bob.transfer("carol");
                stage.pass(3 * SECOND).await;
                alice.hang_up();
            }
            Scene::Replaced => {
                let carol = third(stage, transport).await;
                talk(stage, &alice, &bob).await;
                let place = bob.place_in_call().unwrap_or_default();
                carol.call_in_place_of("bob", &place);
                stage.pass(3 * SECOND).await;
                alice.hang_up();
            }
            Scene::Watched => {
                for phone in [&alice, &bob] {
                    phone.register();
                    stage.until(40 * SECOND, |_| phone.is_registered()).await;
                }
                bob.subscribe("alice", "dialog", 60);
                stage.pass(SECOND).await;
                alice.call("9197");
                stage.pass(SECOND).await;
                alice.hang_up();
                stage.pass(SECOND).await;
                bob.unsubscribe();
            }
            Scene::Dead => {
                bob.habits(|habits| habits.answering = Answering::IsDead);
                call(stage, &alice, &bob).await;
                stage.pass(39 * SECOND).await;
            }
            Scene::Registration => {
                alice.register();
                stage.pass(SECOND).await;
                alice.unregister();
            }
        }
        stage.pass(SECOND).await;
    }
}

/// An application that gives orders.
struct Orders(Application);

impl Orders {
    /// It has called each of these, who have answered; their calls have their names.
    async fn begin(stage: &mut Stage, phones: &[(&str, &Phone)]) -> Orders {
        stage.replan(|plan| plan.let_in(TOKEN, "")).await;
        let orders = Orders(stage.application("application"));
        orders.0.connect(SocketAddr::new(PBX, HTTP_PORT), Some(TOKEN));
        stage.until(SECOND, |_| orders.0.is_connected()).await;
        orders.give(stage, "session.subscribe contexts=default,").await;
        for (name, phone) in phones {
            phone.habits(|habits| habits.answering = Answering::After(Duration::from_millis(500)));
            phone.register();
            stage.until(40 * SECOND, |_| phone.is_registered()).await;
            orders.give(stage, &format!("call.originate call_id={name} destination=sip:{name}@local")).await;
            stage.pass(SECOND).await;
        }
        orders
    }

    async fn talk(&self, stage: &mut Stage) {
        self.give(stage, "call.bridge leg_a=alice leg_b=bob").await;
        stage.pass(SECOND).await;
    }

    async fn give(&self, stage: &mut Stage, text: &str) {
        let id = self.0.ask(text).expect("a command");
        stage.until(SECOND, |_| self.0.reply(&id).is_some()).await;
    }
}

async fn third(stage: &mut Stage, transport: Transport) -> Phone {
    let carol = stage.phone_over("carol", transport).await;
    carol.register();
    stage.until(40 * SECOND, |_| carol.is_registered()).await;
    carol
}

async fn call(stage: &mut Stage, alice: &Phone, bob: &Phone) {
    for phone in [alice, bob] {
        phone.register();
        stage.until(40 * SECOND, |_| phone.is_registered()).await;
    }
    alice.call("bob");
    stage.pass(SECOND).await;
}

async fn talk(stage: &mut Stage, alice: &Phone, bob: &Phone) {
    call(stage, alice, bob).await;
    stage.until(20 * SECOND, |_| bob.is_ringing()).await;
    bob.answer();
    stage.pass(SECOND).await;
}
