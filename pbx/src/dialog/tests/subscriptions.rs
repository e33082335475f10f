//! Somebody subscribes at us, is told, renews, leaves, is gone.

use super::*;
use crate::dialog::{Body, SubscriptionId};
use crate::sip::{Method, Name};

/// A notifier, and what it has sent since it was asked last.
struct Notifier {
    agent: UserAgent,
    now: Instant,
    subscription: Option<SubscriptionId>,
}

impl Notifier {
    /// Somebody has subscribed for a minute, and was told once.
    fn subscribed() -> Notifier {
        let agent = UserAgent::new(settings(), Rng::from_number(1));
        let mut notifier = Notifier { agent, now: Instant::START, subscription: None };
        notifier.hear(&subscribe("", 1, 60));
        let Some(Event::Request { id, path, .. }) = notifier.event() else { panic!("no request") };
        let now = notifier.now;
        notifier.subscription = notifier.agent.accept_subscription(id, path, Duration::from_secs(60), now);
        notifier.tell("one");
        notifier
    }

    fn hear(&mut self, text: &str) {
        let message = Message::parse(text.as_bytes(), &Limits::default()).expect("a message");
        self.agent.receive(message, path("10.0.0.1:5060", "10.0.0.2:5060"), self.now);
    }

    fn tell(&mut self, text: &str) {
        let body = Body { content_type: "text/plain".into(), bytes: text.as_bytes().to_vec() };
        self.agent.notify(self.subscription.expect("subscribed"), Some(body), self.now);
    }

    /// What it has sent, and the last event.
    fn drain(&mut self) -> (Vec<Message>, Option<Event>) {
        let (mut sent, mut event) = (Vec::new(), None);
        while let Some(output) = self.agent.poll_output() {
            match output {
                Output::Transmit { bytes, .. } => {
                    sent.push(Message::parse(&bytes, &Limits::default()).expect("a message"));
                }
                Output::Event(it) => event = Some(it),
            }
        }
        (sent, event)
    }

    fn event(&mut self) -> Option<Event> {
        self.drain().1
    }

    fn notifies(&mut self) -> Vec<Request> {
        let requests = self.drain().0.into_iter().filter_map(|message| match message {
            Message::Request(request) => Some(request),
            Message::Response(_) => None,
        });
        requests.collect()
    }

    fn answer(&mut self, notify: &Request, status: u16) {
        let header = |name| notify.headers().get(name).unwrap_or_default();
        self.hear(&format!(
            "SIP/2.0 {status} x\r\nVia: {}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             Content-Length: 0\r\n\r\n",
            header(Name::Via),
            header(Name::From),
            header(Name::To),
            notify.call_id(),
            header(Name::CSeq)
        ));
    }
}

fn subscribe(tag: &str, cseq: u32, expires: u32) -> String {
    format!(
        "SUBSCRIBE sip:bob@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKs{cseq}\r\n\
         From: <sip:carol@10.0.0.2>;tag=c\r\nTo: <sip:bob@10.0.0.1>{tag}\r\nCall-ID: watch\r\n\
         CSeq: {cseq} SUBSCRIBE\r\nContact: <sip:carol@10.0.0.2:5060>\r\nEvent: dialog;id=7\r\n\
         Expires: {expires}\r\nContent-Length: 0\r\n\r\n"
    )
}

fn said(notify: &Request) -> (&str, &str) {
    let state = notify.headers().get(Name::SubscriptionState).unwrap_or_default();
    (std::str::from_utf8(notify.body()).unwrap_or_default(), state)
}

#[test]
fn whoever_subscribes_is_told_at_once() {
    let mut notifier = Notifier::subscribed();
    let notifies = notifier.notifies();
    assert_eq!(said(&notifies[0]), ("one", "active;expires=60"));
    assert_eq!(notifies[0].headers().get(Name::Event), Some("dialog;id=7"));
    assert_eq!(notifies[0].uri(), "sip:carol@10.0.0.2:5060");
}

#[test]
fn what_changes_while_one_is_told_is_told_after_it_and_only_the_last_of_it() {
    let mut notifier = Notifier::subscribed();
    let first = notifier.notifies().remove(0);
    notifier.tell("two");
    notifier.tell("three");
    assert!(notifier.notifies().is_empty());
    notifier.answer(&first, 200);
    let next = notifier.notifies();
    assert_eq!(next.len(), 1);
    assert_eq!(said(&next[0]).0, "three");
}

#[test]
fn whoever_refuses_to_be_told_is_told_no_more() {
    let mut notifier = Notifier::subscribed();
    let first = notifier.notifies().remove(0);
    notifier.answer(&first, 481);
    assert!(matches!(notifier.event(), Some(Event::SubscriptionEnded { .. })));
    notifier.tell("two");
    assert!(notifier.notifies().is_empty());
    assert_eq!(notifier.agent.subscriptions(), 0);
}

#[test]
fn a_renewal_is_for_somebody_above_and_counts_anew() {
    let mut notifier = Notifier::subscribed();
    let first = notifier.notifies().remove(0);
    notifier.answer(&first, 200);
    let tag = first.from().ok().and_then(|from| from.tag().map(str::to_owned)).unwrap_or_default();
    notifier.now += Duration::from_secs(50);
    notifier.hear(&subscribe(&format!(";tag={tag}"), 2, 60));
    let Some(Event::Renewal { subscription, id, request }) = notifier.event() else { panic!("no renewal") };
    assert_eq!(*request.method(), Method::Subscribe);
    let now = notifier.now;
    notifier.agent.renew_subscription(subscription, id, Duration::from_secs(60), now);
    assert_eq!(notifier.agent.subscriptions.deadline(), Some(now + Duration::from_secs(60)));
    // One that comes late, and one of somebody else.
    notifier.hear(&subscribe(&format!(";tag={tag}"), 1, 60).replace("bKs1", "bKlate"));
    let (sent, event) = notifier.drain();
    assert!(event.is_none());
    let Some(Message::Response(response)) = sent.last() else { panic!("no response") };
    assert_eq!(response.status(), StatusCode::SERVER_INTERNAL_ERROR);
}

#[test]
fn one_that_nobody_renews_ends() {
    let mut notifier = Notifier::subscribed();
    let first = notifier.notifies().remove(0);
    notifier.answer(&first, 200);
    notifier.now += Duration::from_secs(60);
    notifier.agent.handle_timeout(notifier.now);
    let Some(Event::SubscriptionExpired { subscription }) = notifier.event() else { panic!("it goes on") };
    notifier.agent.end_subscription(subscription, "timeout", None, notifier.now);
    let last = notifier.notifies();
    assert_eq!(said(&last[0]), ("", "terminated;reason=timeout"));
    assert_eq!(notifier.agent.subscriptions(), 0);
}
