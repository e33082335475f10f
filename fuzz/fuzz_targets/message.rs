//! One datagram.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pbx::sip::{
    Item, Limits, Message, Name, NameAddr, RAck, Reason, Refusal, Replaces, Request, Response, RetryAfter,
    SessionExpires, StatusCode, Uri, Via, Warning, quoted_list, salvage,
};

fuzz_target!(|bytes: &[u8]| {
    match Message::parse(bytes, &Limits::default()) {
        Ok(message) => look_through(bytes, message),
        Err(error) => {
            if let Some(request) = salvage(bytes) {
                let answer = Refusal::from(error).answer(&request, "tag");
                read_again(&answer.to_bytes());
            }
        }
    }
});

fn look_through(bytes: &[u8], message: Message) {
    let written = message.to_bytes();
    let lead = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    assert!(bytes[lead..].starts_with(&written), "not written as it was read");
    for (name, value) in message.headers().iter() {
        assert!(message.headers().named(name).is_some(), "{name} is not found");
        look_at(value);
    }
    match message {
        Message::Request(request) => answer(request),
        Message::Response(response) => {
            let _ = (response.validate(), response.contacts().is_ok(), response.cseq().is_ok());
        }
    }
}

fn look_at(value: &str) {
    for value in quoted_list(value).chain([value]) {
        if let Ok(address) = NameAddr::parse(value) {
            assert_eq!(NameAddr::parse(&address.to_string()).expect("written well").uri, address.uri);
            look_at_uri(address.uri);
        }
        if let Ok(via) = Via::parse(value) {
            let again = via.to_string();
            assert_eq!(Via::parse(&again).expect("written well"), via);
            let _ = (via.received(), via.rport(), via.branch());
        }
        let _ = (
            SessionExpires::parse(value),
            RAck::parse(value),
            Replaces::parse(value),
            RetryAfter::parse(value),
        );
        let _ = (
            Reason::parse(value).plain_text(),
            Warning::parse(value),
            Item::parse(value).params.is_well_formed(),
        );
    }
}

fn look_at_uri(text: &str) {
    let Ok(uri) = Uri::parse(text) else { return };
    let again = uri.to_string();
    assert_eq!(Uri::parse(&again).expect("written well"), uri);
    let _ = (uri.user_text(), uri.transport(), uri.host.ip(), uri.equivalent(&uri));
}

fn answer(request: Request) {
    look_at_uri(request.uri());
    let _ = (request.expires(), request.accepts("application/sdp"), request.unsupported(&[]).len());
    let answer = match request.validate() {
        Ok(()) => {
            assert!(request.via().is_ok() && request.from().is_ok() && request.to_header().is_ok());
            Response::to(&request, StatusCode::OK, Some("tag"))
        }
        Err(refusal) => refusal.answer(&request, "tag"),
    };
    read_again(&answer.to_bytes());
    let mut copy = Request::new(request.method().clone(), request.uri());
    for (name, value) in request.headers().iter() {
        copy.headers_mut().push_named(name, value);
    }
    copy.headers_mut().remove(Name::ContentLength);
    copy.set_body("text/plain", request.body());
    read_again(&copy.to_bytes());
}

/// What we write, we can read, however long it has become.
fn read_again(bytes: &[u8]) {
    let limits = Limits { message: usize::MAX, line: usize::MAX, lines: usize::MAX };
    if let Err(error) = Message::parse(bytes, &limits) {
        panic!("{error}: {}", String::from_utf8_lossy(bytes));
    }
}
