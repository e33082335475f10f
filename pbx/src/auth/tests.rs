//! What a telephone and an attacker see of the authenticator.

use super::*;
use crate::registrar::office;
use crate::rng::Rng;
use proptest::prelude::*;

const OFFICE: &str = "10.0.0.7:5060";

#[test]
fn a_request_without_credentials_is_asked_for_them_the_best_hash_first() {
    let mut authenticator = authenticator();
    let refusal = refused(authenticator.check(&call("1001"), source(OFFICE), Role::Proxy, at(0)));
    assert_eq!(refusal.reply.status, StatusCode::PROXY_AUTHENTICATION_REQUIRED);
    let asked: Vec<Challenge> = challenges(&refusal.reply, "Proxy-Authenticate");
    let algorithms: Vec<Algorithm> = asked.iter().map(|challenge| challenge.algorithm).collect();
    assert_eq!(algorithms, [Algorithm::Sha256, Algorithm::Md5]);
    assert!(asked.iter().all(|challenge| !challenge.stale && challenge.qop == [Qop::Auth]));
    assert_eq!((refusal.failed, refusal.answer_at), (None, at(0)));
}

#[test]
fn the_right_password_opens_with_either_hash() {
    for index in 0..office::config().auth.algorithms.len() {
        let mut authenticator = authenticator();
        let challenge = ask(&mut authenticator, OFFICE, at(0)).swap_remove(index);
        let request = answered(call("1001"), &challenge, "1001", "secret-1001", 1);
        let verdict = authenticator.check(&request, source(OFFICE), Role::Proxy, at(1));
        assert!(matches!(verdict, Verdict::Granted { user } if user == "1001"), "{:?}", challenge.algorithm);
    }
}

#[test]
fn only_the_configured_hashes_are_offered_and_taken() {
    let mut config = office::config();
    config.auth.algorithms = vec![Algorithm::Md5];
    let mut authenticator = Authenticator::new(&config, Rng::from_number(1));
    let challenge = ask(&mut authenticator, OFFICE, at(0));
    assert_eq!(challenge.len(), 1);
    let better = Challenge { algorithm: Algorithm::Sha256, ..challenge[0].clone() };
    let request = answered(call("1001"), &better, "1001", "secret-1001", 1);
    let refusal = refused(authenticator.check(&request, source(OFFICE), Role::Proxy, at(0)));
    assert_eq!(refusal.failed, None);
    let request = answered(call("1001"), &challenge[0], "1001", "secret-1001", 1);
    let verdict = authenticator.check(&request, source(OFFICE), Role::Proxy, at(0));
    assert!(matches!(verdict, Verdict::Granted { .. }));
}

#[test]
fn a_registrar_asks_with_401_and_looks_at_authorization() {
    let mut authenticator = authenticator();
    let register = request(Method::Register, "1001", "1001");
    let refusal = refused(authenticator.check(&register, source(OFFICE), Role::Server, at(0)));
    assert_eq!(refusal.reply.status, StatusCode::UNAUTHORIZED);
    let challenge = challenges(&refusal.reply, "WWW-Authenticate").swap_remove(0);
    let mut register = register;
    let shown = challenge.answer(&register, "1001", "secret-1001", "c", 1);
    register.headers_mut().push(Name::Authorization, shown);
    let verdict = authenticator.check(&register, source(OFFICE), Role::Server, at(0));
    assert!(matches!(verdict, Verdict::Granted { .. }));
}

#[test]
fn a_wrong_password_and_an_unknown_name_look_the_same() {
    let refusals = ["1001", "9999"].map(|user| {
        let mut authenticator = authenticator();
        let challenge = ask(&mut authenticator, OFFICE, at(0)).swap_remove(0);
        let request = answered(call(user), &challenge, user, "wrong", 1);
        let refusal = refused(authenticator.check(&request, source(OFFICE), Role::Proxy, at(0)));
        assert_eq!(refusal.failed, Some(Failed { user: user.into(), blocks: false }));
        (refusal.reply.status, refusal.reply.headers, refusal.answer_at)
    });
    assert_eq!(refusals[0], refusals[1]);
}

#[test]
fn the_next_request_may_use_the_nonce_again_with_a_higher_count() {
    let mut authenticator = authenticator();
    let challenge = ask(&mut authenticator, OFFICE, at(0)).swap_remove(0);
    for count in [1, 2, 7] {
        let request = answered(call("1001"), &challenge, "1001", "secret-1001", count);
        let verdict = authenticator.check(&request, source(OFFICE), Role::Proxy, at(0));
        assert!(matches!(verdict, Verdict::Granted { .. }), "count {count}");
    }
}

#[test]
fn an_old_nonce_is_stale_and_nobody_has_failed() {
    let mut authenticator = authenticator();
    let challenge = ask(&mut authenticator, OFFICE, at(0)).swap_remove(0);
    let request = answered(call("1001"), &challenge, "1001", "secret-1001", 1);
    let refusal = refused(authenticator.check(&request, source(OFFICE), Role::Proxy, at(300)));
    assert!(challenges(&refusal.reply, "Proxy-Authenticate").iter().all(|challenge| challenge.stale));
    assert_eq!(refusal.failed, None);
}

#[test]
fn nobody_can_be_blocked_by_somebody_who_borrows_his_address() {
    let mut authenticator = authenticator();
    let attacker = ask(&mut authenticator, "198.51.100.1:5060", at(0)).swap_remove(0);
    for count in 1..50 {
        let request = answered(call("1001"), &attacker, "1001", "wrong", count);
        authenticator.check(&request, source(OFFICE), Role::Proxy, at(0));
    }
    assert!(!authenticator.is_blocked(source(OFFICE).ip(), at(0)));
}

#[test]
fn who_guesses_waits_and_is_then_not_heard_with_the_right_password_either() {
    let mut authenticator = authenticator();
    let mut waits = Vec::new();
    for guess in 1..=5 {
        let challenge = ask(&mut authenticator, OFFICE, at(0)).swap_remove(0);
        let request = answered(call("1001"), &challenge, "1001", &format!("guess {guess}"), 1);
        let refusal = refused(authenticator.check(&request, source(OFFICE), Role::Proxy, at(0)));
        waits.push((refusal.answer_at - at(0)).as_millis());
        assert_eq!(refusal.failed.map(|failed| failed.blocks), Some(guess == 5));
    }
    assert_eq!(waits, [0, 250, 500, 1000, 2000]);
    let verdict = authenticator.check(&call("1001"), source(OFFICE), Role::Proxy, at(599));
    assert!(matches!(verdict, Verdict::Blocked));
    let verdict = authenticator.check(&call("1001"), source(OFFICE), Role::Proxy, at(600));
    assert!(matches!(verdict, Verdict::Refused(_)), "after ten minutes it is asked again");
}

#[test]
fn nobody_calls_or_registers_for_another() {
    for (request, open) in [
        (request(Method::Invite, "1001", "1002"), true),
        (request(Method::Invite, "1002", "1001"), false),
        (request(Method::Register, "1001", "1001"), true),
        (request(Method::Register, "1001", "1002"), false),
        (request(Method::Register, "1002", "1001"), false),
    ] {
        let mut authenticator = authenticator();
        let challenge = ask(&mut authenticator, OFFICE, at(0)).swap_remove(0);
        let request = answered(request, &challenge, "1001", "secret-1001", 1);
        match authenticator.check(&request, source(OFFICE), Role::Proxy, at(0)) {
            Verdict::Granted { .. } => assert!(open, "{request:?}"),
            Verdict::Refused(refusal) => {
                assert!(!open, "{request:?}");
                assert_eq!(refusal.reply.status, StatusCode::FORBIDDEN);
            }
            Verdict::Blocked => panic!("nobody has failed"),
        }
    }
}

#[test]
fn a_caller_may_hide_its_number() {
    let mut authenticator = authenticator();
    let challenge = ask(&mut authenticator, OFFICE, at(0)).swap_remove(0);
    let mut request = call("1001");
    request.headers_mut().set(Name::From, "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=a");
    let request = answered(request, &challenge, "1001", "secret-1001", 1);
    let verdict = authenticator.check(&request, source(OFFICE), Role::Proxy, at(0));
    assert!(matches!(verdict, Verdict::Granted { user } if user == "1001"));
}

#[test]
fn credentials_for_somebody_else_are_passed_over() {
    let mut authenticator = authenticator();
    let challenge = ask(&mut authenticator, OFFICE, at(0)).swap_remove(0);
    let elsewhere = Challenge { realm: "elsewhere.example".into(), ..challenge.clone() };
    let request = answered(call("1001"), &elsewhere, "1001", "another", 1);
    let request = answered(request, &challenge, "1001", "secret-1001", 1);
    let verdict = authenticator.check(&request, source(OFFICE), Role::Proxy, at(0));
    assert!(matches!(verdict, Verdict::Granted { .. }));
}

#[test]
fn ack_cancel_and_what_is_within_a_dialog_are_not_asked() {
    assert!(may_challenge(&call("1001")));
    assert!(!may_challenge(&request(Method::Ack, "1001", "1002")));
    assert!(!may_challenge(&request(Method::Cancel, "1001", "1002")));
    let mut bye = request(Method::Bye, "1001", "1002");
    bye.headers_mut().set(Name::To, "<sip:1002@office.example>;tag=b");
    assert!(!may_challenge(&bye));
}

#[test]
fn another_password_holds_after_reconfiguration() {
    let mut config = office::config();
    let mut authenticator = authenticator();
    let challenge = ask(&mut authenticator, OFFICE, at(0)).swap_remove(0);
    config.extensions[0].password = "changed".into();
    authenticator.reconfigure(&config);
    let old = answered(call("1001"), &challenge, "1001", "secret-1001", 1);
    assert!(refused(authenticator.check(&old, source(OFFICE), Role::Proxy, at(0))).failed.is_some());
    let new = answered(call("1001"), &challenge, "1001", "changed", 1);
    let verdict = authenticator.check(&new, source(OFFICE), Role::Proxy, at(0));
    assert!(matches!(verdict, Verdict::Granted { .. }));
}

/// One thing that may come in the property test below.
#[derive(Clone, Debug)]
enum Step {
    Ask,
    Answer { challenge: usize, count: u32 },
    Replay { request: usize, from: u8 },
    Wait { seconds: u64 },
}

proptest! {
    #[test]
    fn what_was_granted_once_is_never_granted_again(steps in prop::collection::vec(steps(), 1..60)) {
        let mut authenticator = authenticator();
        let (mut asked, mut sent, mut granted, mut now) = (Vec::new(), Vec::<Request>::new(), Vec::new(), at(0));
        for step in steps {
            let (request, from) = match step {
                Step::Ask => {
                    asked.push(ask(&mut authenticator, OFFICE, now).swap_remove(0));
                    continue;
                }
                Step::Wait { seconds } => {
                    now += Duration::from_secs(seconds);
                    continue;
                }
                Step::Answer { challenge, count } if !asked.is_empty() => {
                    let challenge = &asked[challenge % asked.len()];
                    (answered(call("1001"), challenge, "1001", "secret-1001", count), 7)
                }
                Step::Replay { request, from } if !sent.is_empty() => (sent[request % sent.len()].clone(), from),
                Step::Answer { .. } | Step::Replay { .. } => continue,
            };
            let source = SocketAddr::from(([10, 0, 0, from], 5060));
            let verdict = authenticator.check(&request, source, Role::Proxy, now);
            if matches!(verdict, Verdict::Granted { .. }) {
                let line = request.headers().get(Name::ProxyAuthorization).unwrap().to_owned();
                prop_assert!(!granted.contains(&line), "granted twice: {}", line);
                prop_assert_eq!(from, 7, "granted from elsewhere");
                granted.push(line);
            }
            sent.push(request);
        }
    }

    #[test]
    fn no_authorization_panics_or_opens(text in "\\PC{0,80}") {
        let mut authenticator = authenticator();
        let mut request = call("1001");
        request.headers_mut().push(Name::ProxyAuthorization, format_args!("Digest {text}"));
        let verdict = authenticator.check(&request, source(OFFICE), Role::Proxy, at(0));
        prop_assert!(matches!(verdict, Verdict::Refused(_)));
    }
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Ask),
        (any::<usize>(), 1..5_u32).prop_map(|(challenge, count)| Step::Answer { challenge, count }),
        (any::<usize>(), 7..9_u8).prop_map(|(request, from)| Step::Replay { request, from }),
        (0..200_u64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

fn authenticator() -> Authenticator {
    Authenticator::new(&office::config(), Rng::from_number(1))
}

fn call(from: &str) -> Request {
    request(Method::Invite, from, "1002")
}

fn request(method: Method, from: &str, to: &str) -> Request {
    let mut request = Request::new(method, "sip:office.example");
    request.headers_mut().push(Name::From, format_args!("<sip:{from}@office.example>;tag=a"));
    request.headers_mut().push(Name::To, format_args!("<sip:{to}@office.example>"));
    request
}

fn answered(mut request: Request, challenge: &Challenge, user: &str, password: &str, count: u32) -> Request {
    let shown = challenge.answer(&request, user, password, "c", count);
    request.headers_mut().push(Name::ProxyAuthorization, shown);
    request
}

fn ask(authenticator: &mut Authenticator, from: &str, now: Instant) -> Vec<Challenge> {
    let refusal = refused(authenticator.check(&call("1001"), source(from), Role::Proxy, now));
    challenges(&refusal.reply, "Proxy-Authenticate")
}

fn challenges(reply: &Reply, header: &str) -> Vec<Challenge> {
    reply
        .headers
        .iter()
        .map(|(name, value)| {
            assert_eq!(name, header);
            Challenge::parse(value).unwrap()
        })
        .collect()
}

fn refused(verdict: Verdict) -> Refusal {
    match verdict {
        Verdict::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn source(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1000)
}
