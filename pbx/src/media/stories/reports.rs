//! Stories of the engine: RTCP.

use super::*;
use crate::rtp::report::{Block, Heard, Report, SenderInfo};

#[test]
fn reports_tell_what_was_sent_and_what_was_lost() {
    let mut world = World::new();
    let alice = world.phone();
    world.agree(alice, |_| {});
    world.order(Command::Play { stream: alice, source: tone(None) });
    for n in 0..500u16 {
        if n % 10 != 9 {
            world.says(alice, n, &[1; 160]);
        }
        world.pass(20);
    }
    let reports = world.reports(alice);
    assert!((2..=5).contains(&reports.len()), "{} reports in ten seconds", reports.len());
    for (at, bytes) in &reports {
        let rtcp_types::Packet::Sr(report) =
            rtcp_types::Compound::parse(bytes).unwrap().next().unwrap().unwrap()
        else {
            panic!("a sender reports")
        };
        let sent: Vec<_> = world.rtp_until(alice, *at);
        assert_eq!(report.packet_count() as usize, sent.len());
        assert_eq!(report.octet_count() as usize, sent.len() * 160);
        assert_eq!(report.ntp_timestamp() >> 32, 2_208_988_800 + at.as_nanos() / 1_000_000_000);
        let since = *at - sent[0].at;
        let expected = sent[0].header.timestamp.wrapping_add(crate::rtp::units(since, 8000));
        assert!(report.rtp_timestamp().wrapping_sub(expected).cast_signed().abs() <= 1);
        let block = report.report_blocks().next().unwrap();
        let heard = at.as_nanos() / 20_000_000;
        assert_eq!(block.ssrc(), ssrc_of(alice));
        assert!(u64::from(block.cumulative_lost()).abs_diff(heard / 10) <= 1);
        assert!((23..=28).contains(&block.fraction_lost()), "a tenth is {} of 256", block.fraction_lost());
        assert_eq!(block.interarrival_jitter(), 0, "the network was even");
    }
    for pair in reports.windows(2) {
        let gap = (pair[1].0 - pair[0].0).as_secs_f64();
        assert!((2.5..=7.5).contains(&gap), "{gap} seconds between two reports");
    }
    let counted = world.statistics(alice);
    assert_eq!((counted.packets_received, counted.packets_lost), (450, 49));
    assert!((3.0..4.0).contains(&counted.mos.unwrap()), "ten percent lost: {:?}", counted.mos);
}

#[test]
fn the_round_trip_and_the_loss_of_the_other_side_are_known_from_its_report() {
    let mut world = World::new();
    let alice = world.phone();
    world.agree(alice, |_| {});
    world.order(Command::Play { stream: alice, source: tone(None) });
    world.pass(4000);
    let (at, bytes) = world.reports(alice).remove(0);
    let ours = Heard::of(&bytes, 0).unwrap();
    let answer = |last_report| {
        let delay = 65_536 / 2;
        let block = Block {
            ssrc: ours.ssrc,
            fraction_lost: 64,
            cumulative_lost: 9,
            extended_highest: 0,
            jitter: 0,
            last_report,
            delay,
        };
        let mut bytes = Vec::new();
        Report { ssrc: 5, sender: None, block: Some(block), cname: "alice", bye: false }.write(&mut bytes);
        bytes
    };
    world.now = at + Duration::from_millis(580);
    let rtcp = rtcp_of(alice);
    world.arrives(alice, Channel::Rtcp, answer(1), rtcp);
    assert_eq!(world.statistics(alice).round_trip, None, "that report was never sent");
    world.arrives(alice, Channel::Rtcp, answer(ours.last_report.unwrap()), rtcp);
    let counted = world.statistics(alice);
    let round_trip = counted.round_trip.unwrap().as_secs_f64();
    assert!((round_trip - 0.08).abs() < 0.001, "{round_trip}");
    assert_eq!(counted.remote_loss, Some(0.25));
}

#[test]
fn a_report_of_the_other_side_is_answered_with_its_time_and_the_delay_since() {
    let mut world = World::new();
    let alice = world.phone();
    world.agree(alice, |_| {});
    world.says(alice, 1, &[1; 160]);
    let info = SenderInfo { ntp: 0x0001_0002_0003_0004, timestamp: 0, packets: 1, octets: 160 };
    let mut bytes = Vec::new();
    Report { ssrc: ssrc_of(alice), sender: Some(info), block: None, cname: "a", bye: false }
        .write(&mut bytes);
    world.pass(200);
    let heard_at = world.now;
    world.arrives(alice, Channel::Rtcp, bytes, rtcp_of(alice));
    world.pass(8000);
    let (at, bytes) = world.reports(alice).remove(0);
    let rtcp_types::Packet::Rr(report) =
        rtcp_types::Compound::parse(&bytes).unwrap().next().unwrap().unwrap()
    else {
        panic!("who has sent nothing is no sender")
    };
    let block = report.report_blocks().next().unwrap();
    assert_eq!(block.last_sender_report_timestamp(), 0x0002_0003);
    let delay = f64::from(block.delay_since_last_sender_report_timestamp()) / 65_536.0;
    assert!((delay - (at - heard_at).as_secs_f64()).abs() < 0.001);
}

#[test]
fn who_leaves_says_so() {
    let mut world = World::new();
    let (alice, bob) = world.call();
    world.says(alice, 1, &[1; 160]);
    world.order(Command::Close(bob));
    let (_, goodbye) = world.reports(bob).remove(0);
    assert!(Heard::of(&goodbye, 0).unwrap().bye);
    world.order(Command::Close(alice));
    assert!(world.reports(alice).is_empty(), "who never said anything does not say goodbye");
    assert_eq!(world.unbound, 4);
    let closed = world.told(|event| matches!(event, Event::Closed(..)));
    assert!(matches!(&closed[0], Event::Closed(_, counted) if counted.packets_sent == 1));
}

#[test]
fn a_collision_of_ssrcs_is_resolved_and_a_loop_is_left_alone() {
    let mut world = World::new();
    let alice = world.phone();
    world.agree(alice, |_| {});
    world.order(Command::Play { stream: alice, source: tone(None) });
    world.pass(10);
    let ours = world.heard(alice)[0].header;
    world.sends(alice, ours, &[1; 160]);
    world.pass(20);
    assert_eq!(world.heard(alice)[0].header.ssrc, ours.ssrc, "an echo test");
    world.sends(alice, Header { sequence: ours.sequence.wrapping_add(30_000), ..ours }, &[1; 160]);
    world.sends(alice, Header { sequence: ours.sequence.wrapping_add(30_001), ..ours }, &[1; 160]);
    world.pass(20);
    assert_ne!(world.heard(alice)[0].header.ssrc, ours.ssrc);
    let goodbyes: Vec<_> = world.reports(alice).iter().map(|(_, b)| Heard::of(b, 0).unwrap()).collect();
    assert_eq!((goodbyes.len(), goodbyes[0].ssrc, goodbyes[0].bye), (1, ours.ssrc, true));
}
