//! What telephones see of the registrar.

use super::*;
use crate::sip::{Method, Transport};
use crate::time::Duration;
use proptest::prelude::*;
use std::net::SocketAddr;

const PHONE: &str = "10.0.0.7:5060";

#[test]
fn a_telephone_registers_and_can_be_called() {
    let mut registrar = registrar();
    let reply = registrar.register("1001", &register(1, "<sip:1001@10.0.0.7>"), udp(PHONE), at(0));
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(listed(&reply), ["<sip:1001@10.0.0.7>;expires=3600"]);
    assert_eq!(header(&reply, "Date"), ["Sat, 21 Nov 2026 07:45:06 GMT"]);
    let contacts = registrar.contacts("1001", at(1));
    assert_eq!(contacts[0].target, udp(PHONE));
    assert_eq!(contacts[0].request_uri(), "sip:1001@10.0.0.7");
    assert_eq!(changes(&mut registrar), [("sip:1001@10.0.0.7".into(), Becomes::Registered)]);
}

#[test]
fn a_contact_that_is_not_renewed_is_gone_at_its_second() {
    let mut registrar = registrar();
    registrar.register("1001", &register(1, "<sip:a@10.0.0.7>;expires=60"), udp(PHONE), at(0));
    assert_eq!(registrar.poll_timeout(), Some(at(60)));
    assert_eq!(registrar.contacts("1001", Instant::from_millis(59_999)).len(), 1);
    assert!(registrar.contacts("1001", at(60)).is_empty(), "even before the deadline was handled");
    registrar.handle_timeout(at(60));
    assert_eq!((registrar.count(), registrar.poll_timeout()), (0, None));
    assert_eq!(changes(&mut registrar).last(), Some(&("sip:a@10.0.0.7".into(), Becomes::Expired)));
}

#[test]
fn the_200_lists_what_is_left_of_all_contacts() {
    let mut registrar = registrar();
    registrar.register("1001", &register(1, "<sip:a@10.0.0.7>;expires=100;q=0.5"), udp(PHONE), at(0));
    registrar.register("1001", &register(2, "<sip:b@10.0.0.7>;expires=60"), udp(PHONE), at(0));
    let reply = registrar.register("1001", &register(3, ""), udp(PHONE), Instant::from_millis(30_500));
    assert_eq!(listed(&reply), ["<sip:b@10.0.0.7>;expires=30", "<sip:a@10.0.0.7>;expires=70;q=0.500"]);
}

#[test]
fn the_parameter_goes_before_the_header_and_both_have_bounds() {
    for (contact, expires, granted) in [
        ("<sip:a@10.0.0.7>;expires=120", "600", "120"),
        ("<sip:a@10.0.0.7>", "600", "600"),
        ("<sip:a@10.0.0.7>", "4294967296", "3600"),
        ("<sip:a@10.0.0.7>", "soon", "3600"),
        ("<sip:a@10.0.0.7>;expires=99999", "", "7200"),
    ] {
        let mut request = register(1, contact);
        if !expires.is_empty() {
            request.headers_mut().push(Name::Expires, expires);
        }
        let reply = registrar().register("1001", &request, udp(PHONE), at(0));
        assert_eq!(listed(&reply), [format!("<sip:a@10.0.0.7>;expires={granted}")], "{contact}, {expires}");
    }
}

#[test]
fn who_would_come_back_too_soon_is_told_when() {
    let mut registrar = registrar();
    let reply = registrar.register("1001", &register(1, "<sip:a@10.0.0.7>;expires=59"), udp(PHONE), at(0));
    assert_eq!(reply.status, StatusCode::INTERVAL_TOO_BRIEF);
    assert_eq!(header(&reply, "Min-Expires"), ["60"]);
    assert_eq!(registrar.count(), 0);
}

#[test]
fn one_bad_contact_spoils_the_whole_request() {
    for bad in ["<sip:b@10.0.0.7>;expires=1", "<mailto:b@10.0.0.7>", "<sip:b@10.0.0.7", "*"] {
        let mut registrar = registrar();
        registrar.register("1001", &register(1, "<sip:a@10.0.0.7>"), udp(PHONE), at(0));
        let before = registrar.bindings.clone();
        let request = register(2, &format!("<sip:a@10.0.0.7>;expires=0, {bad}"));
        let reply = registrar.register("1001", &request, udp(PHONE), at(1));
        assert!(reply.status >= StatusCode::BAD_REQUEST, "{bad}");
        assert_eq!(registrar.bindings, before, "{bad}");
    }
}

#[test]
fn a_request_that_was_overtaken_undoes_nothing() {
    let mut registrar = registrar();
    registrar.register("1001", &register(2, "<sip:a@10.0.0.7>"), udp(PHONE), at(0));
    let late = registrar.register("1001", &register(1, "<sip:a@10.0.0.7>;expires=0"), udp(PHONE), at(1));
    assert_eq!(late.status, StatusCode::SERVER_INTERNAL_ERROR);
    assert_eq!(registrar.count(), 1);
    let mut restarted = register(1, "<sip:a@10.0.0.7>;expires=0");
    restarted.headers_mut().set(Name::CallId, "after the restart");
    assert_eq!(registrar.register("1001", &restarted, udp(PHONE), at(1)).status, StatusCode::OK);
    assert_eq!(registrar.count(), 0);
}

#[test]
fn a_star_takes_everything_away_but_only_with_expires_0() {
    let mut registrar = registrar();
    registrar.register("1001", &register(1, "<sip:a@10.0.0.7>, <sip:b@10.0.0.7>"), udp(PHONE), at(0));
    let reply = registrar.register("1001", &register(2, "*"), udp(PHONE), at(0));
    assert_eq!((reply.status, registrar.count()), (StatusCode::BAD_REQUEST, 2));
    let mut request = register(3, "*");
    request.headers_mut().push(Name::Expires, "0");
    let reply = registrar.register("1001", &request, udp(PHONE), at(0));
    assert_eq!((reply.status, listed(&reply).len(), registrar.count()), (StatusCode::OK, 0, 0));
}

#[test]
fn an_address_of_record_has_room_for_three() {
    let mut registrar = registrar();
    let three = "<sip:a@10.0.0.7>, <sip:b@10.0.0.7>, <sip:c@10.0.0.7>";
    registrar.register("1001", &register(1, three), udp(PHONE), at(0));
    let reply = registrar.register("1001", &register(2, "<sip:d@10.0.0.7>"), udp(PHONE), at(0));
    assert_eq!((reply.status, registrar.count()), (StatusCode::FORBIDDEN, 3));
    let swap = register(3, "<sip:a@10.0.0.7>;expires=0, <sip:d@10.0.0.7>");
    assert_eq!(registrar.register("1001", &swap, udp(PHONE), at(0)).status, StatusCode::OK);
    let other = registrar.register("1002", &register(1, "<sip:d@10.0.0.7>"), udp(PHONE), at(0));
    assert_eq!(other.status, StatusCode::OK, "another extension has room of its own");
}

#[test]
fn the_same_device_in_another_place_replaces_itself() {
    let mut registrar = registrar();
    let device = ";+sip.instance=\"<urn:uuid:1>\";reg-id=1";
    let first = register(1, &format!("<sip:a@10.0.0.7:5060>{device}"));
    registrar.register("1001", &first, udp(PHONE), at(0));
    let mut moved = register(1, &format!("<sip:a@10.0.0.7:6060>{device}"));
    moved.headers_mut().set(Name::CallId, "after the restart");
    let reply = registrar.register("1001", &moved, udp("10.0.0.7:6060"), at(1));
    assert_eq!(listed(&reply), [format!("<sip:a@10.0.0.7:6060>;expires=3600{device}")]);
    assert_eq!(
        changes(&mut registrar)[1..],
        [
            ("sip:a@10.0.0.7:5060".into(), Becomes::Unregistered),
            ("sip:a@10.0.0.7:6060".into(), Becomes::Registered),
        ]
    );
}

#[test]
fn the_preferred_contact_comes_first_then_the_freshest() {
    let mut registrar = registrar();
    registrar.register("1001", &register(1, "<sip:low@10.0.0.7>;q=0.1"), udp(PHONE), at(0));
    registrar.register("1001", &register(2, "<sip:old@10.0.0.7>"), udp(PHONE), at(1));
    registrar.register("1001", &register(3, "<sip:new@10.0.0.7>"), udp(PHONE), at(2));
    let order: Vec<&str> =
        registrar.contacts("1001", at(3)).iter().map(|binding| binding.uri.as_str()).collect();
    assert_eq!(order, ["sip:new@10.0.0.7", "sip:old@10.0.0.7", "sip:low@10.0.0.7"]);
}

#[test]
fn a_telephone_is_called_where_it_can_be_reached() {
    let nat = "198.51.100.7:40001";
    for (contact, via, source, reached) in [
        ("sip:a@192.168.1.7:5060", "192.168.1.7:5060", nat, nat),
        ("sip:a@192.168.1.7:5060", "192.168.1.7:5060;rport", nat, nat),
        ("sip:a@phone.example", "phone.example", nat, nat),
        ("sip:a@203.0.113.99", "203.0.113.99", nat, nat),
        ("sip:a@198.51.100.7:40001", "198.51.100.7:40001;rport", nat, nat),
        // It sends from a port of its own and listens where it says.
        ("sip:a@198.51.100.7:5070", "198.51.100.7:5070", nat, "198.51.100.7:5070"),
        ("sip:a@198.51.100.7", "198.51.100.7:5070", nat, "198.51.100.7:5060"),
        // It listens where it sends from, whatever it has learned about its address.
        ("sip:a@198.51.100.7:5070", "198.51.100.7:5070;rport", nat, nat),
        ("sip:a@198.51.100.7:5070;transport=tcp", "198.51.100.7:5070", nat, nat),
        ("sip:a@[2001:db8::7]:5070", "[2001:db8::7]:5070", "[2001:db8::7]:40001", "[2001:db8::7]:5070"),
    ] {
        let mut request = register(1, &format!("<{contact}>"));
        request.headers_mut().set(Name::Via, format_args!("SIP/2.0/UDP {via};branch=z9hG4bK1"));
        let mut registrar = registrar();
        registrar.register("1001", &request, udp(source), at(0));
        let contacts = registrar.contacts("1001", at(0));
        assert_eq!(contacts[0].target, udp_to(source, reached), "{contact} from {source} with {via}");
        assert_eq!(contacts[0].uri, contact);
    }
}

#[test]
fn a_contact_behind_nat_goes_with_its_stream() {
    let mut registrar = registrar();
    let path = tcp("198.51.100.7:40001", 5);
    let contact = "<sip:a@192.168.1.7:5060;transport=tcp>";
    registrar.register("1001", &register(1, contact), path, at(0));
    assert_eq!(registrar.contacts("1001", at(0))[0].target, path);
    registrar.connection_closed(ConnectionId(4), at(1));
    registrar.connection_closed(ConnectionId(6), at(1));
    assert_eq!(registrar.count(), 1);
    registrar.connection_closed(ConnectionId(5), at(1));
    assert_eq!((registrar.count(), registrar.poll_timeout()), (0, None));
    let last = changes(&mut registrar).pop();
    assert_eq!(last, Some(("sip:a@192.168.1.7:5060;transport=tcp".into(), Becomes::Lost)));
}

#[test]
fn a_telephone_that_listens_can_be_called_without_its_stream() {
    let mut registrar = registrar();
    let path = tcp("198.51.100.7:40001", 5);
    let contact = "<sip:a@198.51.100.7:5070;transport=tcp>";
    registrar.register("1001", &register(1, contact), path, at(0));
    registrar.connection_closed(ConnectionId(5), at(1));
    let target = registrar.contacts("1001", at(1))[0].target;
    assert_eq!((target.connection, target.remote), (None, "198.51.100.7:5070".parse().unwrap()));
}

#[test]
fn a_proxy_on_the_way_is_gone_through_again() {
    let mut request = register(1, "<sip:a@192.168.1.7>");
    request.headers_mut().push(Name::Path, "<sip:edge@10.0.0.7;lr>, <sip:inner.example;lr>");
    let mut registrar = registrar();
    let reply = registrar.register("1001", &request, udp("10.0.0.7:40001"), at(0));
    assert_eq!(reply.status, StatusCode::BAD_EXTENSION);
    assert_eq!(header(&reply, "Unsupported"), ["path"]);
    request.headers_mut().push(Name::Supported, "gruu, PATH");
    let reply = registrar.register("1001", &request, udp("10.0.0.7:40001"), at(0));
    assert_eq!(header(&reply, "Path"), ["<sip:edge@10.0.0.7;lr>, <sip:inner.example;lr>"]);
    let binding = registrar.contacts("1001", at(0))[0];
    assert_eq!(binding.route, ["<sip:edge@10.0.0.7;lr>", "<sip:inner.example;lr>"]);
    assert_eq!(binding.target, udp_to("10.0.0.7:40001", PHONE));
}

#[test]
fn an_address_of_record_is_an_extension_in_our_domain() {
    let registrar = registrar();
    for (uri, to, known) in [
        ("sip:office.example", "sip:1001@office.example", true),
        ("sip:OFFICE.example", "sip:1001@10.0.0.1;user=phone", true),
        ("sip:10.0.0.1", "sips:%31001@203.0.113.1:5070", true),
        ("sip:10.0.0.9", "sip:1001@10.0.0.9", false),
        ("sip:office.example", "sip:1001@elsewhere.example", false),
        ("sip:elsewhere.example", "sip:1001@office.example", false),
        ("sip:office.example", "sip:1003@office.example", false),
        ("sip:office.example", "tel:1001", false),
        ("sip:office.example", "sip:office.example", false),
    ] {
        let mut request = Request::new(Method::Register, uri);
        request.headers_mut().push(Name::To, format_args!("<{to}>"));
        let aor = registrar.aor(&request, udp(PHONE)).map_err(|reply| reply.status);
        let expected = if known { Ok("1001".to_owned()) } else { Err(StatusCode::NOT_FOUND) };
        assert_eq!(aor, expected, "{to} at {uri}");
    }
}

#[test]
fn an_extension_that_is_gone_has_no_contacts() {
    let mut registrar = registrar();
    for aor in ["1001", "1002"] {
        registrar.register(aor, &register(1, "<sip:a@10.0.0.7>"), udp(PHONE), at(0));
    }
    let mut config = office::config();
    config.extensions.retain(|extension| extension.number == "1002");
    registrar.reconfigure(&config, at(1));
    assert!(registrar.contacts("1001", at(1)).is_empty());
    assert_eq!(registrar.contacts("1002", at(1)).len(), 1);
}

/// What the model knows of one contact.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    call_id: usize,
    cseq: u32,
    expires_at: Instant,
}

/// A REGISTER of the property test: the expiry of each contact, `None` where it stays unmentioned.
#[derive(Clone, Debug)]
struct Ask {
    wait: u64,
    call_id: usize,
    cseq: u32,
    contacts: Vec<(usize, u32)>,
}

proptest! {
    #[test]
    fn random_registers_keep_the_rules(asks in prop::collection::vec(asks(), 1..40)) {
        let (mut registrar, mut model, mut now) = (registrar(), BTreeMap::<usize, Known>::new(), at(0));
        for ask in asks {
            now += Duration::from_secs(ask.wait);
            model.retain(|_, known| known.expires_at > now);
            let expected = expect(&mut model, &ask, now);
            let reply = registrar.register("1001", &request_of(&ask), udp(PHONE), now);
            prop_assert_eq!(reply.status.code(), expected, "{:?}", ask);
            let live: BTreeMap<String, u64> = registrar.contacts("1001", now).iter()
                .map(|binding| (binding.uri.clone(), (binding.expires_at - now).as_secs())).collect();
            let modelled: BTreeMap<String, u64> = model.iter()
                .map(|(contact, known)| (uri(*contact), (known.expires_at - now).as_secs())).collect();
            prop_assert_eq!(&live, &modelled);
            if expected == 200 {
                let listed: BTreeSet<String> = listed(&reply).into_iter().collect();
                let should: BTreeSet<String> =
                    live.iter().map(|(uri, left)| format!("<{uri}>;expires={left}")).collect();
                prop_assert_eq!(listed, should);
            }
            let first = model.values().map(|known| known.expires_at).min();
            prop_assert_eq!((registrar.count(), registrar.poll_timeout()), (model.len(), first));
        }
    }
}

/// RFC 3261 section 10.3 in a few lines, for contacts that are equal or not and nothing between.
fn expect(model: &mut BTreeMap<usize, Known>, ask: &Ask, now: Instant) -> u16 {
    let mut next = model.clone();
    for &(contact, expires) in &ask.contacts {
        let old = model.get(&contact);
        if (1..60).contains(&expires) {
            return 423;
        }
        if old.is_some_and(|old| old.call_id == ask.call_id && old.cseq >= ask.cseq) {
            return 500;
        }
        next.remove(&contact);
        if expires > 0 {
            let expires_at = now + Duration::from_secs(expires.min(7200).into());
            next.insert(contact, Known { call_id: ask.call_id, cseq: ask.cseq, expires_at });
        }
    }
    if next.len() > model.len().max(3) {
        return 403;
    }
    *model = next;
    200
}

fn asks() -> impl Strategy<Value = Ask> {
    let expires = prop_oneof![Just(0), Just(59), Just(60), Just(100), Just(7200), Just(100_000)];
    let contacts = prop::collection::vec((0..5_usize, expires), 0..4);
    (0..50_u64, 0..2_usize, 1..20_u32, contacts).prop_map(|(wait, call_id, cseq, contacts)| Ask {
        wait,
        call_id,
        cseq,
        contacts,
    })
}

fn request_of(ask: &Ask) -> Request {
    let contacts: Vec<String> = ask
        .contacts
        .iter()
        .map(|(contact, expires)| format!("<{}>;expires={expires}", uri(*contact)))
        .collect();
    let mut request = register(ask.cseq, &contacts.join(", "));
    request.headers_mut().set(Name::CallId, ask.call_id);
    request
}

fn uri(contact: usize) -> String {
    format!("sip:contact{contact}@10.0.0.7")
}

fn registrar() -> Registrar {
    Registrar::new(&office::config(), WallClock { epoch_micros: 1_795_247_106_000_000 })
}

fn register(cseq: u32, contacts: &str) -> Request {
    let mut request = Request::new(Method::Register, "sip:office.example");
    request.headers_mut().push(Name::Via, "SIP/2.0/UDP 10.0.0.7;branch=z9hG4bK1");
    request.headers_mut().push(Name::CallId, "one");
    request.headers_mut().push(Name::CSeq, format_args!("{cseq} REGISTER"));
    if !contacts.is_empty() {
        request.headers_mut().push(Name::Contact, contacts);
    }
    request
}

fn udp(remote: &str) -> Path {
    udp_to(remote, remote)
}

/// The way back to `remote` over the socket that hears `source`.
fn udp_to(source: &str, remote: &str) -> Path {
    let source: SocketAddr = source.parse().unwrap();
    let local = if source.is_ipv4() { "10.0.0.1:5060" } else { "[2001:db8::1]:5060" };
    Path {
        transport: Transport::Udp,
        local: local.parse().unwrap(),
        remote: remote.parse().unwrap(),
        connection: None,
    }
}

fn tcp(remote: &str, connection: u64) -> Path {
    Path { transport: Transport::Tcp, connection: Some(ConnectionId(connection)), ..udp(remote) }
}

fn listed(reply: &Reply) -> Vec<String> {
    header(reply, "Contact")
}

fn header(reply: &Reply, name: &str) -> Vec<String> {
    reply.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.clone()).collect()
}

fn changes(registrar: &mut Registrar) -> Vec<(String, Becomes)> {
    std::iter::from_fn(|| registrar.poll_change()).map(|change| (change.contact, change.what)).collect()
}

fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1000)
}
