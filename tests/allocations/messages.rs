//! A message costs one allocation.

use crate::counting::counted;
use pbx::sip::{Limits, Message, Uri};

#[test]
fn a_message_is_read_with_one_allocation() {
    let invite = include_bytes!("../../fixtures/sip/usual/invite.sip");
    let (message, allocations) = counted(|| Message::parse(invite, &Limits::default()));
    assert!(message.is_ok());
    assert!(allocations <= 1, "{allocations} allocations");
}

#[test]
fn looking_into_a_message_allocates_nothing() {
    let invite = include_bytes!("../../fixtures/sip/usual/invite.sip");
    let Ok(Message::Request(request)) = Message::parse(invite, &Limits::default()) else {
        panic!("an INVITE")
    };
    let ((), allocations) = counted(|| {
        assert!(request.via().is_ok_and(|via| via.branch().is_some()));
        assert!(request.from().is_ok_and(|from| from.parse_uri().is_ok() && from.tag().is_some()));
        assert!(request.to_header().is_ok_and(|to| to.parse_uri().is_ok()));
        assert!(request.contact().is_ok_and(|contact| contact.parse_uri().is_ok()));
        assert!(
            request.cseq().is_ok() && request.max_forwards().is_ok() && Uri::parse(request.uri()).is_ok()
        );
    });
    assert_eq!(allocations, 0);
}

#[test]
fn a_message_is_written_into_memory_that_is_there() {
    let invite = include_bytes!("../../fixtures/sip/usual/invite.sip");
    let Ok(message) = Message::parse(invite, &Limits::default()) else { panic!("an INVITE") };
    let mut out = Vec::with_capacity(2 * invite.len());
    let ((), allocations) = counted(|| match &message {
        Message::Request(request) => request.write(&mut out),
        Message::Response(response) => response.write(&mut out),
    });
    assert_eq!(allocations, 0);
}
