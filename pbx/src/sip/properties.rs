//! What holds for every message, tried on messages made from the grammar and on bytes made from nothing.

use super::{
    Frame, Framer, Limits, Message, Method, Name, NameAddr, ParseError, Request, Response, Uri, Via, salvage,
};
use proptest::prelude::*;
use proptest::sample::select;

proptest! {
    #[test]
    fn what_is_written_is_what_was_read(text in message()) {
        let parsed = Message::parse(&text, &Limits::default()).expect("made from the grammar");
        let written = parsed.to_bytes();
        prop_assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(&text));
    }

    #[test]
    fn every_value_of_the_grammar_can_be_read(text in message()) {
        let parsed = Message::parse(&text, &Limits::default()).expect("made from the grammar");
        match &parsed {
            Message::Request(request) => prop_assert_eq!(request.validate(), Ok(())),
            Message::Response(response) => prop_assert_eq!(response.validate(), Ok(())),
        }
    }

    #[test]
    fn a_value_means_what_was_put_in(
        user in user(), host in host(), port in port(), branch in token(), tag in token(), name in "[^\r\n\0]{0,20}",
    ) {
        let port_text = port.map(|port| format!(":{port}")).unwrap_or_default();
        let via = format!("SIP/2.0/UDP {host}{port_text};branch={branch}");
        let from = format!("{} <sip:{user}@{host}{port_text}>;tag={tag}", super::quote(&name));
        let via = Via::parse(&via).expect("valid");
        let from = NameAddr::parse(&from).expect("valid");
        let uri = from.parse_uri().expect("valid");
        prop_assert_eq!((via.host.as_str(), via.port, via.branch()), (host.as_str(), port, Some(branch.as_str())));
        prop_assert_eq!((from.display_text(), from.tag()), (Some(name), Some(tag.as_str())));
        prop_assert_eq!((uri.user, uri.host.as_str(), uri.port), (Some(user.as_str()), host.as_str(), port));
        prop_assert!(uri.equivalent(&Uri::parse(&uri.to_string()).expect("valid")));
    }

    #[test]
    fn a_stream_brings_what_a_datagram_does(text in message(), cut in any::<prop::sample::Index>()) {
        let mut framer = Framer::new(Limits::default().message);
        let (one, other) = text.split_at(cut.index(text.len()));
        framer.push(one);
        prop_assert_eq!(framer.next(), Ok(None));
        framer.push(other);
        prop_assert_eq!(framer.next(), Ok(Some(Frame::Message(text))));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        look_through(&bytes);
    }

    #[test]
    fn a_message_with_a_few_bytes_changed_is_read_or_refused(
        text in message(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = text;
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        look_through(&bytes);
    }

    #[test]
    fn nothing_that_is_put_in_becomes_a_line(
        uri in unruly(), name in unruly(), value in unruly(), body: Vec<u8>,
    ) {
        let mut request = Request::new(Method::Info, &uri);
        request.headers_mut().push(Name::Subject, &value);
        request.headers_mut().push_named(&name, &value);
        request.headers_mut().set(Name::CallId, &value);
        request.headers_mut().set_first(Name::CallId, &value);
        request.headers_mut().push_front(Name::Via, &value);
        request.set_body(&value, &body);
        let lines = request.headers().iter().count();
        prop_assume!(!uri.is_empty());
        let written = request.to_bytes();
        let Ok(Message::Request(read)) = Message::parse(&written, &Limits::default()) else {
            return Err(TestCaseError::fail(format!("{request:?} cannot be read")));
        };
        prop_assert_eq!(read.headers().iter().count(), lines);
        prop_assert_eq!(read.body(), &body[..]);
        prop_assert_eq!(read.uri(), request.uri());

        let mut response = Response::with_reason(super::StatusCode::OK, &value);
        response.headers_mut().push(Name::Reason, &value);
        let Ok(Message::Response(read)) = Message::parse(&response.to_bytes(), &Limits::default()) else {
            return Err(TestCaseError::fail(format!("{response:?} cannot be read")));
        };
        prop_assert_eq!(read.headers().iter().count(), 1);
    }

    #[test]
    fn what_is_too_long_is_refused(text in message(), message in 0_usize..3000, line in 0_usize..200, lines in 0_usize..30) {
        let limits = Limits { message, line, lines };
        match Message::parse(&text, &limits) {
            Ok(parsed) => {
                prop_assert!(text.len() <= message);
                prop_assert!(parsed.headers().iter().count() <= lines);
                prop_assert!(parsed.headers().iter().all(|(_, value)| value.len() <= line));
            }
            Err(error) => prop_assert!(matches!(error, ParseError::TooLong(_)), "{error}"),
        }
    }
}

/// Asks everything of whatever can be read.
fn look_through(bytes: &[u8]) {
    salvage(bytes);
    let Ok(message) = Message::parse(bytes, &Limits::default()) else { return };
    assert!(
        super::parse::without_line_breaks(bytes).starts_with(&message.to_bytes()),
        "not written as it was read"
    );
    for (_, value) in message.headers().iter() {
        let _ = (
            NameAddr::parse(value).map(|address| address.parse_uri().map(|uri| uri.user_text())),
            Via::parse(value),
        );
        let _ =
            (super::SessionExpires::parse(value), super::RAck::parse(value), super::Replaces::parse(value));
        let _ = (super::Reason::parse(value), super::RetryAfter::parse(value), super::Warning::parse(value));
        super::quoted_list(value).count();
    }
    match message {
        Message::Request(request) => {
            let _ = (request.validate(), request.expires(), request.accepts("application/sdp"));
            Response::to(&request, super::StatusCode::OK, Some("tag")).to_bytes();
        }
        Message::Response(response) => {
            let _ = (response.validate(), response.contacts().is_ok());
        }
    }
}

/// A message with all that is mandatory and a few lines that nobody knows, in any order.
fn message() -> impl Strategy<Value = Vec<u8>> {
    (start_line(), lines(), prop::collection::vec(any::<u8>(), 0..40)).prop_map(
        |((start, method), mut lines, body)| {
            lines.push(format!("CSeq: 1 {method}"));
            lines.push(format!("Content-Length: {}", body.len()));
            if !body.is_empty() {
                lines.push("c: application/octet-stream".into());
            }
            // The length of the start line is as good as dice.
            let turn = start.len() % lines.len();
            lines.rotate_left(turn);
            let mut text = format!("{start}\r\n{}\r\n\r\n", lines.join("\r\n")).into_bytes();
            text.extend(body);
            text
        },
    )
}

/// A start line and its method, or the method that a response answers.
fn start_line() -> impl Strategy<Value = (String, String)> {
    let method =
        prop_oneof![select(vec!["INVITE", "OPTIONS", "BYE", "invite"]).prop_map(String::from), token()];
    prop_oneof![
        (method.clone(), uri()).prop_map(|(method, uri)| (format!("{method} {uri} SIP/2.0"), method)),
        (method, 100_u16..700, "[ -~ä€]{0,20}")
            .prop_map(|(method, code, reason)| (format!("SIP/2.0 {code} {reason}"), method)),
    ]
}

fn lines() -> impl Strategy<Value = Vec<String>> {
    (
        line(&["Via", "v", "VIA"], via()),
        line(&["From", "f", "fRoM"], address()),
        line(&["To", "t"], address()),
        line(&["Call-ID", "i"], token()),
        line(&["Contact", "m"], address()),
        prop::collection::vec(line(&["Subject", "s", "X-Unknown"], "[!-~äß€\"]{0,30}"), 0..4),
        prop::collection::vec(
            line(&["Route", "Record-Route"], uri().prop_map(|uri| format!("<{uri}>"))),
            0..3,
        ),
    )
        .prop_map(|(via, from, to, call_id, contact, mut lines, routes)| {
            lines.extend([via, from, to, call_id, contact]);
            lines.extend(routes);
            lines
        })
}

fn line<V: Strategy<Value = String>>(
    names: &[&'static str],
    value: V,
) -> impl Strategy<Value = String> + use<V> {
    (select(names.to_vec()), select(vec!["", " ", "\t "]), space(), value, select(vec!["", " ", "\r\n "]))
        .prop_map(|(name, before, after, value, end)| format!("{name}{before}:{after}{value}{end}"))
}

/// White space as it may stand nearly anywhere.
fn space() -> impl Strategy<Value = &'static str> {
    select(vec!["", " ", "  ", "\t", "\r\n ", "\r\n\t \r\n "])
}

fn via() -> impl Strategy<Value = String> {
    (select(vec!["UDP", "tcp", "SCTP"]), host(), port(), space(), token()).prop_map(|(transport, host, port, space, branch)| {
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("SIP{space}/{space}2.0{space}/{space}{transport} {host}{port}{space};{space}branch{space}={space}z9hG4bK{branch};rport")
    })
}

fn address() -> impl Strategy<Value = String> {
    let quoted = "[^\r\n\0]{0,12}".prop_map(|name| super::quote(&name));
    let display = prop_oneof![Just(String::new()), token().prop_map(|name| format!("{name} ")), quoted];
    (display, uri(), space(), token())
        .prop_map(|(display, uri, space, tag)| format!("{display}<{uri}>{space};{space}tag={tag}"))
}

fn uri() -> impl Strategy<Value = String> {
    (
        select(vec!["sip", "SIP", "sips"]),
        user(),
        host(),
        select(vec!["", ";lr", ";transport=tcp;x=%41", ":5070;maddr=1.2.3.4"]),
    )
        .prop_map(|(scheme, user, host, rest)| format!("{scheme}:{user}@{host}{rest}"))
}

fn user() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_.!~*'()&=+$,;?/-]{1,12}"
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9-]{0,8}(\\.[a-z]{2,4})?",
        any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|ip| format!("[{ip}]")),
    ]
}

fn token() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9.!%*_+`'~-]{1,16}"
}

/// Text full of what separates.
fn unruly() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c:;,<>\"@ \t\r\n\0\u{b}\u{7f}ä\u{85}\u{2028}]{0,30}", any::<String>()]
}

fn port() -> impl Strategy<Value = Option<u16>> {
    prop::option::of(any::<u16>())
}
