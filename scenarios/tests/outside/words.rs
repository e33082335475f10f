//! Words that sentences take.

use pbx::sip::StatusCode;
use pbx::time::Duration;
use scenarios::words::{Misbehaviour, Span, Status};
use simulator::agents::http::Fault;
use simulator::phone;

#[test]
fn times_have_units() {
    assert_eq!("500 ms".parse(), Ok(Span(Duration::from_millis(500))));
    assert_eq!("1.5 seconds".parse(), Ok(Span(Duration::from_millis(1_500))));
    assert_eq!("1 hour".parse(), Ok(Span(Duration::from_secs(3_600))));
    assert!("5 apples".parse::<Span>().is_err());
}

#[test]
fn a_misbehaviour_happens_always_or_so_often() {
    let fault = Fault::Answers(503);
    assert_eq!("answers 503".parse(), Ok(Misbehaviour { fault: fault.clone(), times: None }));
    assert_eq!("answers 503 twice".parse(), Ok(Misbehaviour { fault: fault.clone(), times: Some(2) }));
    assert_eq!("answers 503 12 times".parse(), Ok(Misbehaviour { fault, times: Some(12) }));
}

#[test]
fn every_misbehaviour_stands_in_the_document() {
    let document = include_str!("../../../docs/scenarios.md");
    for way in phone::Misbehaviour::ALL {
        assert!(document.contains(&format!("- `{way}`\n")), "docs/scenarios.md does not name: {way}");
    }
}

#[test]
fn a_status_is_its_number() {
    assert_eq!("busy (486)".parse(), Ok(Status(StatusCode::BUSY_HERE)));
    assert!("busy (99)".parse::<Status>().is_err());
}
