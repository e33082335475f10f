//! Who is meant, and who may.

use super::*;
use crate::registrar::office;

const ROUTES: &str = r#"
[[routes]]
name = "nobody dials 0900"
to_user = "00900*"
app = "reject"
app_params = { status = 403, reason = "Too Expensive" }

[[routes]]
name = "out"
to_user = "0*"
app = "trunk"
app_params = { trunks = ["carrier"], strip = 1, prefix = "+49" }

[[routes]]
name = "reception"
to_user = "100"
app = "extension"
app_params = { extension = "1002" }

[[routes]]
name = "echo for neighbours"
to_user = "9196"
from_network = "10.0.0.0/8"
app = "echo"

[[routes]]
name = "high tone"
to_user = "91??"
app = "tone"
app_params = { frequency = 1000.0 }
"#;

#[test]
fn the_first_route_that_fits_wins_then_the_extension() {
    let config = office::config_with(ROUTES);
    for (number, source, route, decision) in [
        ("1001", "10.0.0.7", None, extension_of("1001")),
        ("1009", "10.0.0.7", None, Decision::NotFound),
        ("", "10.0.0.7", None, Decision::NotFound),
        ("100", "10.0.0.7", Some("reception"), extension_of("1002")),
        ("9196", "10.0.0.7", Some("echo for neighbours"), Decision::Echo),
        ("9196", "203.0.113.7", Some("high tone"), tone_of(1000.0)),
        ("9199", "10.0.0.7", Some("high tone"), tone_of(1000.0)),
    ] {
        let routed = decide(&config, number, source);
        assert_eq!((routed.route.as_deref(), routed.decision), (route, decision), "{number} from {source}");
    }
}

#[test]
fn a_route_may_refuse_what_the_next_one_would_take() {
    let routed = decide(&office::config_with(ROUTES), "00900123", "10.0.0.7");
    let reason = Some("Too Expensive".to_owned());
    assert_eq!(routed.decision, Decision::Reject { status: StatusCode::FORBIDDEN, reason });
}

#[test]
fn the_trunk_is_dialled_with_other_digits() {
    let routed = decide(&office::config_with(ROUTES), "030123", "10.0.0.7");
    let Decision::Trunk { number, targets } = routed.decision else { panic!("{routed:?}") };
    assert_eq!(number, "+4930123");
    assert_eq!(hosts(&targets), ["first.carrier.example", "second.carrier.example"]);
}

#[test]
fn a_target_that_failed_goes_last_for_a_while() {
    let config = office::config_with(ROUTES);
    let mut router = Router::new(Rng::from_number(1));
    let first = targets(&mut router, &config, at(0)).swap_remove(0);
    router.target_failed(&first, at(0));
    assert_eq!(hosts(&targets(&mut router, &config, at(29)))[0], "second.carrier.example");
    assert_eq!(hosts(&targets(&mut router, &config, at(30)))[0], "first.carrier.example");
    router.target_failed(&first, at(30));
    router.target_works(&first);
    assert_eq!(hosts(&targets(&mut router, &config, at(31)))[0], "first.carrier.example");
}

#[test]
fn weights_share_the_calls_of_one_priority() {
    let mut trunk = office::config().trunks.remove(0);
    let target = |host: &str, priority, weight| TrunkTarget {
        host: host.into(),
        port: None,
        transport: Transport::Udp,
        priority,
        weight,
    };
    trunk.targets =
        vec![target("spare", 2, 100), target("big", 1, 3), target("small", 1, 1), target("never", 1, 0)];
    let mut rng = Rng::from_number(1);
    let orders: Vec<Vec<String>> = (0..1000).map(|_| hosts(&in_turn(&trunk, &mut rng))).collect();
    let first = |host: &str| orders.iter().filter(|order| order[0] == host).count();
    assert!(orders.iter().all(|order| order.len() == 4 && order[3] == "spare"));
    // RFC 2782 draws from 0 to the sum: of five numbers three mean the big one, one the small one, and 0 the one without weight.
    assert!((550..650).contains(&first("big")), "{}", first("big"));
    assert!((150..250).contains(&first("small")), "{}", first("small"));
}

#[test]
fn auto_answer_takes_what_nobody_else_takes() {
    let mut config = office::config_with(ROUTES);
    config.behavior.auto_answer = true;
    let routed = decide(&config, "service", "203.0.113.7");
    assert_eq!((routed.decision, routed.route, routed.open), (tone_of(440.0), None, true));
    assert_eq!(decide(&config, "1001", "203.0.113.7").decision, extension_of("1001"));
}

#[test]
fn who_may_call_whom() {
    use Access::{Forbidden, NeedsAuthentication, Open};
    let config = office::config_with(ROUTES);
    for (number, source, trunk, anonymous) in [
        ("1001", "203.0.113.7", Open, NeedsAuthentication),
        ("1009", "203.0.113.7", Open, NeedsAuthentication),
        ("030123", "203.0.113.7", Forbidden, NeedsAuthentication),
        ("9199", "203.0.113.7", Open, NeedsAuthentication),
        ("9196", "10.0.0.7", Open, Open),
        ("00900123", "203.0.113.7", Open, Open),
    ] {
        let routed = decide(&config, number, source);
        assert_eq!(access(&routed, &Caller::Extension("1002".into())), Open, "{number}");
        assert_eq!(access(&routed, &Caller::Trunk("carrier".into())), trunk, "{number} from the trunk");
        assert_eq!(access(&routed, &Caller::Anonymous), anonymous, "{number} from {source}");
    }
}

#[test]
fn a_trunk_is_known_by_its_address() {
    let config = office::config();
    assert_eq!(caller(&config, "192.0.2.9".parse().unwrap()), Caller::Trunk("carrier".into()));
    assert_eq!(caller(&config, "::ffff:192.0.2.9".parse().unwrap()), Caller::Trunk("carrier".into()));
    assert_eq!(caller(&config, "198.51.100.9".parse().unwrap()), Caller::Anonymous);
}

#[test]
fn what_was_dialled_is_the_user_part() {
    for (uri, number) in [
        ("sip:1001@office.example", "1001"),
        ("sips:1001:secret@office.example;transport=tcp", "1001"),
        ("sip:%31001@x", "1001"),
        ("sip:*21%23@x", "*21#"),
        ("sip:front-desk@x", "front-desk"),
        ("sip:front-desk;tag=9@x", "front-desk"),
        ("sip:+49-30-123@x", "+4930123"),
        ("sip:(030)123@x;user=phone", "030123"),
        ("sip:+4930123;phone-context=x@x", "+4930123"),
        ("tel:030-123.4;phone-context=+49", "0301234"),
        ("sip:office.example", ""),
        ("urn:service:sos", ""),
        ("nonsense", ""),
    ] {
        assert_eq!(dialled(uri), number, "{uri}");
    }
}

fn decide(config: &Config, number: &str, source: &str) -> Routed {
    let asked = Asked { number, caller: &Caller::Anonymous, source: source.parse().unwrap(), at: 0 };
    Router::new(Rng::from_number(1)).decide(config, &asked, at(0))
}

fn targets(router: &mut Router, config: &Config, now: Instant) -> Vec<Target> {
    let caller = Caller::Extension("1001".into());
    let asked = Asked { number: "030123", caller: &caller, source: "10.0.0.7".parse().unwrap(), at: 0 };
    match router.decide(config, &asked, now).decision {
        Decision::Trunk { targets, .. } => targets,
        other => panic!("not led out: {other:?}"),
    }
}

fn hosts(targets: &[Target]) -> Vec<String> {
    targets.iter().map(|target| target.host.clone()).collect()
}

fn extension_of(number: &str) -> Decision {
    Decision::Extension { number: number.into() }
}

fn tone_of(frequency: f64) -> Decision {
    Decision::Tone { frequency, duration: Duration::from_secs(30), answer_delay: Duration::from_secs(1) }
}

fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1000)
}
