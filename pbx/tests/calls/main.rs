//! Stories of whole calls through the core, in virtual time.

mod world;

use pbx::cdr::{Disposition, EndedBy};
use pbx::media::{Command, Event as MediaEvent};
use pbx::pbx::{Input, What};
use pbx::time::Duration;
use world::{Habit, World, sdp};

const OFFICE: &str = r#"
[sip]
listen = ["udp:127.0.0.1:5060"]
domain = "127.0.0.1"

[behavior]
auto_answer = false

[media]
rtp_port_range_start = 20000
rtp_port_range_end = 20099

[[extensions]]
number = "1001"
password = "1001"

[[extensions]]
number = "1002"
password = "1002"
ring_timeout_seconds = 20

[[extensions]]
number = "1003"
password = "1003"
forward_busy = "1002"
forward_no_answer = "1002"
ring_timeout_seconds = 10

[[routes]]
name = "tone"
to_user = "9197"
app = "tone"

[[routes]]
name = "echo"
to_user = "9196"
app = "echo"

[[routes]]
name = "closed"
to_user = "9000"
app = "reject"
app_params = { status = 403 }
"#;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn two_telephones_talk_and_the_caller_hangs_up() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);
    let bob = world.extension("1002", "127.0.0.1:6002", Habit::Rings);

    world.call(alice, "1001", "1002");
    world.pass(2 * SECOND);
    world.answer(bob);
    world.pass(10 * SECOND);
    world.hang_up(alice);
    world.rest();

    assert_eq!(world.seen(alice), "200, 180, 200", "{}", world.ladder);
    assert_eq!(world.seen(bob), "200, call from sip:1001@127.0.0.1, ACK, ended", "{}", world.ladder);
    let record = &world.records[0];
    assert_eq!(world.records.len(), 1);
    assert_eq!(
        (record.disposition, record.ended_by, record.status),
        (Disposition::Answered, EndedBy::Caller, 200)
    );
    assert_eq!(record.answered_by.as_deref(), Some("1002"));
    assert!((9.9..10.1).contains(&record.billed_secs), "{record:?}");
    assert_eq!(record.media.len(), 2);
    assert!(world.commands.iter().any(|command| matches!(command, Command::Bridge(..))));
}

#[test]
fn the_callee_hangs_up() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);
    let bob = world.extension("1002", "127.0.0.1:6002", Habit::Answers);

    world.call(alice, "1001", "1002");
    world.pass(3 * SECOND);
    world.hang_up(bob);
    world.rest();

    assert_eq!(world.seen(alice), "200, 180, 200, ended", "{}", world.ladder);
    assert_eq!(world.records[0].ended_by, EndedBy::Callee);
}

#[test]
fn both_hang_up_at_once() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);
    let bob = world.extension("1002", "127.0.0.1:6002", Habit::Answers);

    world.call(alice, "1001", "1002");
    world.pass(3 * SECOND);
    world.hang_up(alice);
    world.hang_up(bob);
    world.rest();

    assert_eq!(world.records.len(), 1, "{}", world.ladder);
    assert_eq!(world.records[0].disposition, Disposition::Answered);
}

#[test]
fn the_caller_gives_up() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);
    let bob = world.extension("1002", "127.0.0.1:6002", Habit::Rings);

    world.call(alice, "1001", "1002");
    world.pass(2 * SECOND);
    world.hang_up(alice);
    world.rest();

    assert!(world.seen(bob).ends_with("ended"), "{}", world.ladder);
    assert_eq!(world.sent("SIP/2.0 487"), 2, "{}", world.ladder);
    assert_eq!(world.records[0].disposition, Disposition::Cancelled);
}

#[test]
fn a_busy_telephone_is_busy() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);
    world.extension("1002", "127.0.0.1:6002", Habit::Rejects(486));

    world.call(alice, "1001", "1002");
    world.rest();

    assert_eq!(world.seen(alice), "200, 486", "{}", world.ladder);
    assert_eq!(world.records[0].disposition, Disposition::Busy);
}

#[test]
fn nobody_answers() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);
    let bob = world.extension("1002", "127.0.0.1:6002", Habit::Rings);

    world.call(alice, "1001", "1002");
    world.pass(19 * SECOND);
    assert_eq!(world.seen(alice), "200, 180", "{}", world.ladder);
    world.rest();

    assert_eq!(world.seen(alice), "200, 180, 480", "{}", world.ladder);
    assert!(world.seen(bob).ends_with("ended"), "{}", world.ladder);
    assert_eq!(world.records[0].disposition, Disposition::NoAnswer);
}

#[test]
fn nobody_is_registered() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);

    world.call(alice, "1001", "1002");
    world.rest();

    assert_eq!(world.seen(alice), "200, 480", "{}", world.ladder);
}

#[test]
fn a_busy_telephone_forwards() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);
    let bob = world.extension("1002", "127.0.0.1:6002", Habit::Answers);
    world.extension("1003", "127.0.0.1:6003", Habit::Rejects(486));

    world.call(alice, "1001", "1003");
    world.pass(2 * SECOND);
    world.hang_up(alice);
    world.rest();

    assert_eq!(world.seen(alice), "200, 181, 180, 200", "{}", world.ladder);
    assert!(world.seen(bob).starts_with("200, call from sip:1001@127.0.0.1"), "{}", world.ladder);
    assert_eq!(world.records[0].answered_by.as_deref(), Some("1002"));
}

#[test]
fn a_telephone_deflects_to_another_number() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);
    world.extension("1003", "127.0.0.1:6003", Habit::DeflectsTo("1002"));
    world.extension("1002", "127.0.0.1:6002", Habit::Answers);

    world.call(alice, "1001", "1003");
    world.pass(2 * SECOND);
    world.hang_up(alice);
    world.rest();

    assert_eq!(world.seen(alice), "200, 181, 180, 200", "{}", world.ladder);
}

#[test]
fn telephones_that_forward_to_each_other_end_in_a_loop() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);
    world.extension("1002", "127.0.0.1:6002", Habit::DeflectsTo("1003"));
    world.extension("1003", "127.0.0.1:6003", Habit::DeflectsTo("1002"));

    world.call(alice, "1001", "1002");
    world.rest();

    assert!(world.seen(alice).ends_with("482"), "{}", world.ladder);
}

#[test]
fn all_contacts_ring_and_the_first_to_answer_wins() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);
    let desk = world.extension("1002", "127.0.0.1:6002", Habit::Rings);
    let mobile = world.extension("1002", "127.0.0.1:6003", Habit::Rings);

    world.call(alice, "1001", "1002");
    world.pass(2 * SECOND);
    world.answer(mobile);
    world.pass(2 * SECOND);
    assert!(world.seen(desk).ends_with("ended"), "{}", world.ladder);
    world.hang_up(alice);
    world.rest();

    assert_eq!(world.seen(alice), "200, 180, 180, 200", "{}", world.ladder);
    assert_eq!(world.records[0].media.len(), 2);
}

#[test]
fn both_contacts_answer_at_once_and_one_is_hung_up() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);
    let desk = world.extension("1002", "127.0.0.1:6002", Habit::Rings);
    let mobile = world.extension("1002", "127.0.0.1:6003", Habit::Rings);

    world.call(alice, "1001", "1002");
    world.pass(2 * SECOND);
    world.answer(desk);
    world.answer(mobile);
    world.pass(2 * SECOND);
    assert_eq!(
        world.phone(desk).session.is_some() as u8 + world.phone(mobile).session.is_some() as u8,
        1,
        "{}",
        world.ladder
    );
    world.hang_up(alice);
    world.rest();

    assert_eq!(world.records.len(), 1);
}

#[test]
fn the_tone_is_answered_and_ends_by_itself() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);

    world.call(alice, "1001", "9197");
    world.pass(3 * SECOND);
    let played = world.commands.iter().find_map(|command| match command {
        Command::Play { stream, .. } => Some(*stream),
        _ => None,
    });
    world.media(MediaEvent::Finished(played.expect("the tone is played")));
    world.rest();

    assert_eq!(world.seen(alice), "200, 180, 200, ended", "{}", world.ladder);
    assert_eq!(world.records[0].answered_by.as_deref(), Some("tone"));
    assert_eq!(world.records[0].ended_by, EndedBy::Pbx);
}

#[test]
fn echo_with_a_delayed_offer() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);

    world.call_with(alice, "1001", "1001", "9196", None);
    world.pass(SECOND);
    world.hang_up(alice);
    world.rest();

    assert!(world.commands.iter().any(|command| matches!(command, Command::Echo(_))), "{}", world.ladder);
    assert_eq!(world.seen(alice), "200, 180, 200", "{}", world.ladder);
}

#[test]
fn a_call_without_an_offer_is_answered_with_one() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);
    world.extension("1002", "127.0.0.1:6002", Habit::Answers);

    world.call_with(alice, "1001", "1001", "1002", None);
    world.pass(SECOND);
    world.hang_up(alice);
    world.rest();

    let agreed = world.commands.iter().filter(|command| matches!(command, Command::Agree { .. })).count();
    assert!(agreed >= 2, "{}", world.ladder);
    assert_eq!(world.records[0].disposition, Disposition::Answered);
}

#[test]
fn no_common_codec_is_refused() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);

    world.call_with(alice, "1001", "1001", "9197", Some(sdp(7001, "3", "sendrecv")));
    world.rest();

    assert!(world.seen(alice).ends_with("488"), "{}", world.ladder);
}

#[test]
fn a_closed_number_and_an_unknown_one() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);

    world.call(alice, "1001", "9000");
    world.pass(SECOND);
    world.call(alice, "1001", "5555");
    world.rest();

    assert_eq!(world.seen(alice), "200, 403, 404", "{}", world.ladder);
    assert_eq!(world.records.len(), 2);
}

#[test]
fn a_wrong_password_does_not_ring() {
    let mut world = World::new(OFFICE);
    let mallory = world.telephone("127.0.0.1:6009", Habit::Answers);
    let bob = world.extension("1002", "127.0.0.1:6002", Habit::Rings);

    world.call_with(mallory, "1001", "guess", "1002", Some(sdp(7009, "0", "sendrecv")));
    world.rest();

    assert_eq!(world.seen(bob), "200", "{}", world.ladder);
    assert!(world.records.is_empty());
    assert!(world.events.iter().any(|what| matches!(what, What::AuthenticationFailed { .. })));
}

#[test]
fn hold_and_resume_reach_the_other_telephone() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);
    let bob = world.extension("1002", "127.0.0.1:6002", Habit::Answers);

    world.call(alice, "1001", "1002");
    world.pass(2 * SECOND);
    world.offer(alice, "sendonly");
    world.pass(2 * SECOND);
    assert!(
        world.phone(alice).remote.as_deref().is_some_and(|sdp| sdp.contains("a=recvonly")),
        "{}",
        world.ladder
    );
    world.offer(alice, "sendrecv");
    world.pass(2 * SECOND);
    assert!(
        world.phone(alice).remote.as_deref().is_some_and(|sdp| !sdp.contains("only")),
        "{}",
        world.ladder
    );
    world.hang_up(alice);
    world.rest();

    assert!(
        world.seen(bob).contains("asked, answers recvonly, asked, answers sendrecv"),
        "{}",
        world.seen(bob)
    );
}

#[test]
fn both_want_a_change_at_once() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);
    let bob = world.extension("1002", "127.0.0.1:6002", Habit::Answers);

    world.call(alice, "1001", "1002");
    world.pass(2 * SECOND);
    world.offer(alice, "sendonly");
    world.offer(bob, "sendrecv");
    world.pass(20 * SECOND);
    // Who is later finds that the session has changed meanwhile: it is told 491 and asks again if it still wants to.
    assert!(world.seen(bob).contains("offer answered"), "{}", world.ladder);
    assert!(
        world.seen(alice).contains("offer refused 491, asked, answers sendrecv"),
        "{}",
        world.seen(alice)
    );
    world.offer(alice, "sendonly");
    world.pass(2 * SECOND);
    assert!(world.seen(alice).ends_with("offer answered"), "{}", world.ladder);
    world.hang_up(alice);
    world.rest();
}

#[test]
fn a_telephone_that_sends_no_sound_any_more_ends_the_call() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);
    world.extension("1002", "127.0.0.1:6002", Habit::Answers);

    world.call(alice, "1001", "1002");
    world.pass(2 * SECOND);
    let stream = world.commands.iter().find_map(|command| match command {
        Command::Bridge(a, _) => Some(*a),
        _ => None,
    });
    world.media(MediaEvent::TimedOut(stream.expect("both are joined")));
    world.rest();

    assert!(world.seen(alice).ends_with("ended"), "{}", world.ladder);
    assert_eq!(world.records[0].reason, "no RTP came any more");
}

#[test]
fn a_port_that_another_program_holds_is_passed_over() {
    let mut world = World::new(&OFFICE.replace("rtp_port_range_end = 20099", "rtp_port_range_end = 20005"));
    world.taken.extend([20_000, 20_002]);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);

    world.call(alice, "1001", "9196");
    world.pass(SECOND);
    assert!(
        world.phone(alice).remote.as_deref().is_some_and(|sdp| sdp.contains("m=audio 20004 ")),
        "{}",
        world.ladder
    );
    world.hang_up(alice);
    world.rest();
}

#[test]
fn without_a_free_port_a_call_is_told_to_come_back() {
    let mut world = World::new(&OFFICE.replace("rtp_port_range_end = 20099", "rtp_port_range_end = 20001"));
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);
    let carol = world.extension("1003", "127.0.0.1:6003", Habit::Answers);

    world.call(alice, "1001", "9196");
    world.pass(SECOND);
    world.call(carol, "1003", "9196");
    world.pass(SECOND);
    assert_eq!(world.seen(carol), "200, 503", "{}", world.ladder);
    world.hang_up(alice);
    world.pass(5 * SECOND);
    world.call(carol, "1003", "9196");
    world.pass(SECOND);
    assert!(world.seen(carol).ends_with("200"), "{}", world.ladder);
    world.hang_up(carol);
    world.rest();
}

#[test]
fn a_shutdown_refuses_new_calls_and_ends_the_running_ones() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);
    let carol = world.extension("1003", "127.0.0.1:6003", Habit::Answers);

    world.call(alice, "1001", "9196");
    world.pass(SECOND);
    world.give(Input::Drain { grace: 5 * SECOND });
    world.call(carol, "1003", "9196");
    world.pass(4 * SECOND);
    assert!(world.seen(carol).ends_with("503"), "{}", world.ladder);
    assert!(!world.drained);
    world.pass(2 * SECOND);

    assert!(world.drained, "{}", world.ladder);
    assert!(world.seen(alice).ends_with("ended"), "{}", world.ladder);
    assert_eq!(world.records.len(), 1);
}

#[test]
fn keys_sent_by_info_reach_the_other_telephone() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);
    let bob = world.extension("1002", "127.0.0.1:6002", Habit::Answers);

    world.call(alice, "1001", "1002");
    world.pass(2 * SECOND);
    world.act(alice, |phone, now| {
        let body = pbx::dialog::Body {
            content_type: "application/dtmf-relay".into(),
            bytes: b"Signal=5\r\nDuration=160\r\n".to_vec(),
        };
        let session = phone.session.expect("alice is in a call");
        phone.agent.request_within(session, pbx::sip::Method::Info, Vec::new(), Some(body), now);
    });
    world.pass(SECOND);

    assert!(world.seen(bob).ends_with("INFO"), "{}", world.ladder);
    assert!(world.seen(alice).ends_with("200"), "{}", world.ladder);
    assert!(world.events.contains(&What::Dtmf { digit: '5', by: "info" }));
    world.hang_up(alice);
    world.rest();
}

#[test]
fn a_telephone_that_vanishes_while_ringing_does_not_keep_the_caller() {
    let mut world = World::new(OFFICE);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);
    let bob = world.extension("1002", "127.0.0.1:6002", Habit::Rings);
    world.unplug(bob);

    world.call(alice, "1001", "1002");
    world.rest();

    assert!(world.seen(alice).ends_with("480"), "{}", world.ladder);
    assert_eq!(world.records.len(), 1);
}

#[test]
fn a_trunk_target_that_is_dead_gives_way_to_the_next() {
    let config = format!(
        "{OFFICE}\n[[routes]]\nname = \"out\"\nto_user = \"0*\"\napp = \"trunk\"\napp_params = {{ trunks = [\"carrier\"], strip = 1 }}\n\
         [[trunks]]\nname = \"carrier\"\ntry_timeout_ms = 2000\n\
         targets = [ {{ host = \"dead.example\", priority = 1 }}, {{ host = \"127.0.0.9\", port = 6090, priority = 2 }} ]\n"
    );
    let mut world = World::new(&config);
    world.name("dead.example", &["127.0.0.8:0"]);
    let alice = world.extension("1001", "127.0.0.1:6001", Habit::Answers);
    let carrier = world.telephone("127.0.0.9:6090", Habit::Answers);

    world.call(alice, "1001", "0123");
    world.pass(10 * SECOND);
    world.hang_up(alice);
    world.rest();

    assert_eq!(world.seen(alice), "200, 180, 200", "{}", world.ladder);
    assert!(world.seen(carrier).starts_with("call from"), "{}", world.ladder);
    assert_eq!(world.records[0].answered_by.as_deref(), Some("trunk:carrier"));
}

#[test]
fn garbage_is_dropped_and_what_is_nearly_a_request_is_answered_400() {
    let mut world = World::new(OFFICE);

    world.send_raw("127.0.0.1:7777", "\n\n");
    world.send_raw("127.0.0.1:7777", "GET / HTTP/1.1\nHost: x\n\n");
    world.send_raw(
        "127.0.0.1:7777",
        "OPTIONS sip:127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:7777;branch=z9hG4bK1\nTo: <sip:x@y>\n\
         From: <sip:a@b>;tag=1\nCall-ID: 1\nCSeq: nonsense\nContent-Length: 0\n\n",
    );
    world.rest();

    assert_eq!(world.sent("SIP/2.0 400"), 1, "{}", world.ladder);
}
