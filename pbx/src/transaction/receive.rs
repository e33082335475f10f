//! What becomes of a message that arrives: which transaction it belongs to, and what is answered without asking the TU.

use super::invite_server::AckFate;
use super::matching::{self, ServerKey};
use super::servers::Opening;
use super::via::{self, ReplyPath};
use super::{Event, Output, ServerId, Transactions, stateless};
use crate::sip::{Method, Path, Refusal, Request, Response, StatusCode};
use crate::time::Instant;

/// A request that may start a transaction.
struct Arrival {
    request: Request,
    path: Path,
    key: ServerKey,
    reply: ReplyPath,
}

impl Transactions {
    pub(super) fn receive_request(&mut self, request: Request, path: Path, now: Instant) {
        let Ok(via) = request.via() else { return };
        let reply = ReplyPath::new(path, &via);
        if let Err(refusal) = request.validate() {
            return self.refuse(request, &reply, &refusal);
        }
        if *request.method() == Method::Ack {
            let key = ServerKey::of(&request, &via, &Method::Invite);
            return self.receive_ack(request, path, &key, now);
        }
        let key = ServerKey::of(&request, &via, request.method());
        if let Some(id) = self.servers.find(&key) {
            return self.repeated(id, request.method(), now);
        }
        let invite = (*request.method() == Method::Cancel)
            .then(|| self.servers.find(&ServerKey::of(&request, &via, &Method::Invite)));
        let mut arrival = Arrival { request, path, key, reply };
        via::stamp(&mut arrival.request, path.remote);
        match invite {
            Some(invite) => self.receive_cancel(arrival, invite, now),
            None => self.receive_new(arrival, now),
        }
    }

    pub(super) fn receive_response(&mut self, response: Response, now: Instant) {
        // One that does not say what every response says is none (RFC 3261 section 8.1.3.3): an ACK would repeat its faults, and
        // over UDP it comes again.
        if response.validate().is_err() {
            return;
        }
        let Some(id) = self.clients.find(&response) else { return };
        let (clients, deadlines, mut cx) = self.clients(now);
        if let Some(cancel) = clients.respond(id, response, deadlines, &mut cx) {
            self.start_client(cancel, now);
        }
    }

    fn receive_ack(&mut self, request: Request, path: Path, key: &ServerKey, now: Instant) {
        match self.servers.find_acknowledged(key, &request) {
            Some((id, AckFate::Absorbed)) => self.repeated(id, &Method::Ack, now),
            Some((_, AckFate::Passed)) | None => {
                self.out.push_back(Output::Event(Event::Ack { request, path }));
            }
        }
    }

    /// CANCEL is answered here; that the INVITE is to be answered 487 is for the TU (RFC 3261 section 9.2).
    fn receive_cancel(&mut self, arrival: Arrival, invite: Option<ServerId>, now: Instant) {
        let (status, tag) = match invite {
            Some(invite) => (StatusCode::OK, self.servers.local_tag(invite)),
            None => (StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST, None),
        };
        if self.has_room_for(&arrival.request) {
            let tag = tag.unwrap_or_else(|| self.rng.token(stateless::TAG_LENGTH));
            let response = stateless::response(&arrival.request, status, &tag);
            let id = self.start_server(&arrival, None, now);
            self.respond(id, response, now);
        } else {
            self.refuse(arrival.request.clone(), &arrival.reply, &Refusal::new(status));
        }
        if let Some(invite) = invite.filter(|&invite| self.servers.is_open(invite)) {
            self.out.push_back(Output::Event(Event::Cancelled { invite, cancel: arrival.request }));
        }
    }

    fn receive_new(&mut self, arrival: Arrival, now: Instant) {
        if !self.has_room_for(&arrival.request) {
            return self.refuse(
                arrival.request,
                &arrival.reply,
                &Refusal::new(StatusCode::SERVICE_UNAVAILABLE),
            );
        }
        let origin = matching::origin(&arrival.request);
        if origin.as_ref().is_some_and(|origin| self.servers.knows_origin(origin)) {
            // The same request has come another way (RFC 3261 section 8.2.2.2).
            let tag = self.rng.token(stateless::TAG_LENGTH);
            let response = stateless::response(&arrival.request, StatusCode::LOOP_DETECTED, &tag);
            let id = self.start_server(&arrival, None, now);
            return self.respond(id, response, now);
        }
        let id = self.start_server(&arrival, origin, now);
        let Arrival { request, path, .. } = arrival;
        self.out.push_back(Output::Event(Event::Request { id, request, path }));
    }

    fn start_server(&mut self, arrival: &Arrival, origin: Option<matching::Key>, now: Instant) -> ServerId {
        let id = ServerId(self.next_id());
        let opening = Opening {
            method: arrival.request.method(),
            key: &arrival.key,
            origin,
            reply: arrival.reply,
            trying: stateless::trying(&arrival.request),
        };
        let (servers, deadlines, mut cx) = self.servers(now);
        servers.start(id, opening, deadlines, &mut cx);
        id
    }

    fn repeated(&mut self, id: ServerId, method: &Method, now: Instant) {
        let (servers, deadlines, mut cx) = self.servers(now);
        servers.repeated(id, method, deadlines, &mut cx);
    }

    pub(super) fn refuse_spoilt(&mut self, request: Request, path: Path, refusal: &Refusal) {
        if let Ok(via) = request.via() {
            let reply = ReplyPath::new(path, &via);
            self.refuse(request, &reply, refusal);
        }
    }

    /// Answers without state. An ACK is never answered (RFC 3261 section 17.1.1.3).
    fn refuse(&mut self, mut request: Request, reply: &ReplyPath, refusal: &Refusal) {
        if *request.method() == Method::Ack {
            return;
        }
        via::stamp(&mut request, reply.source);
        let tag = stateless::tag(&request, self.secret);
        let bytes = stateless::refusal(&request, refusal, &tag).to_bytes();
        self.out.push_back(Output::Transmit { path: reply.path, bytes });
    }

    /// A request within a dialog (BYE) makes room in the end, so it is taken when others are not.
    fn has_room_for(&self, request: &Request) -> bool {
        let within_dialog = request.to_header().is_ok_and(|to| to.tag().is_some());
        let bound = self.settings.max_transactions;
        self.count() < if within_dialog { bound.saturating_mul(2) } else { bound }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::super::scene::{Scene, arriving, path, request, seconds};
    use super::*;
    use crate::sip::{Message, Name, Transport};
    use proptest::prelude::*;

    const UDP: Transport = Transport::Udp;
    const TCP: Transport = Transport::Tcp;

    fn last_response(scene: &Scene) -> Response {
        match scene.last_sent() {
            Message::Response(response) => response,
            Message::Request(request) => panic!("a response, not {request:?}"),
        }
    }

    #[test]
    fn a_cancel_is_answered_and_told() {
        let mut scene = Scene::new();
        scene.arrives(&arriving(Method::Invite, "z9hG4bKa"), UDP);
        scene.respond(180);
        scene.arrives(&arriving(Method::Cancel, "z9hG4bKa"), UDP);
        let ok = last_response(&scene);
        assert_eq!(ok.headers().get(Name::CSeq), Some("7 CANCEL"));
        assert_eq!(ok.status(), StatusCode::OK);
        assert_eq!(ok.to_header().expect("an address").tag(), Some("us"), "the tag of the 180");
        assert!(matches!(scene.events.last(), Some(Event::Cancelled { .. })));
        scene.respond(487);
        assert_eq!(scene.count("SIP/2.0 487"), 1);
    }

    #[test]
    fn a_repeated_cancel_is_answered_again_and_told_once() {
        let mut scene = Scene::new();
        scene.arrives(&arriving(Method::Invite, "z9hG4bKa"), UDP);
        for _ in 0..3 {
            scene.arrives(&arriving(Method::Cancel, "z9hG4bKa"), UDP);
        }
        assert_eq!(scene.count("SIP/2.0 200"), 3);
        assert!(scene.sent.iter().all(|sent| sent.bytes == scene.sent[0].bytes));
        let told = scene.events.iter().filter(|event| matches!(event, Event::Cancelled { .. }));
        assert_eq!(told.count(), 1);
    }

    #[test]
    fn a_cancel_that_comes_too_late_is_answered_and_changes_nothing() {
        for status in [200, 486] {
            let mut scene = Scene::new();
            scene.arrives(&arriving(Method::Invite, "z9hG4bKa"), TCP);
            scene.respond(status);
            scene.arrives(&arriving(Method::Cancel, "z9hG4bKa"), TCP);
            assert_eq!(last_response(&scene).status(), StatusCode::OK);
            assert!(!scene.events.iter().any(|event| matches!(event, Event::Cancelled { .. })));
        }
    }

    #[test]
    fn a_cancel_of_nothing_is_481() {
        let mut scene = Scene::new();
        scene.arrives(&arriving(Method::Cancel, "z9hG4bKa"), UDP);
        assert_eq!(last_response(&scene).status(), StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
        assert!(last_response(&scene).to_header().expect("an address").tag().is_some());
        assert_eq!(scene.events.len(), 0);
    }

    #[test]
    fn a_request_that_comes_another_way_too_is_482() {
        let mut scene = Scene::new();
        scene.arrives(&arriving(Method::Invite, "z9hG4bKa"), UDP);
        scene.arrives(&arriving(Method::Invite, "z9hG4bKb"), UDP);
        scene.arrives(&arriving(Method::Invite, "z9hG4bKb"), UDP);
        assert_eq!(scene.count("SIP/2.0 482"), 2, "the copy is a transaction of its own");
        assert_eq!(scene.requests(), 1);
        scene.arrives(&arriving(Method::Ack, "z9hG4bKb"), UDP);
        assert_eq!(scene.acks(), 0);
    }

    #[test]
    fn a_request_within_a_dialog_is_never_merged() {
        let mut scene = Scene::new();
        for branch in ["z9hG4bKa", "z9hG4bKb"] {
            let mut bye = arriving(Method::Bye, branch);
            bye.headers_mut().set(Name::To, "<sip:bob@198.51.100.7>;tag=us");
            scene.arrives(&bye, UDP);
        }
        assert_eq!(scene.requests(), 2);
    }

    #[test]
    fn transactions_differ_by_branch_sent_by_and_method() {
        let mut scene = Scene::new();
        let by = |via: &str, method: Method, call_id: &str| {
            let mut request = request(method);
            request.headers_mut().push_front(Name::Via, via);
            request.headers_mut().set(Name::CallId, call_id);
            request
        };
        scene.arrives(&by("SIP/2.0/UDP a.example;branch=z9hG4bKx", Method::Options, "1"), UDP);
        scene.arrives(&by("SIP/2.0/UDP A.Example ;branch=z9hG4bKX", Method::Options, "1"), UDP);
        assert_eq!(scene.requests(), 1, "names and parameters are compared without case");
        scene.arrives(&by("SIP/2.0/UDP a.example:5070;branch=z9hG4bKx", Method::Options, "2"), UDP);
        scene.arrives(&by("SIP/2.0/UDP b.example;branch=z9hG4bKx", Method::Options, "3"), UDP);
        scene.arrives(&by("SIP/2.0/UDP a.example;branch=z9hG4bKx", Method::Info, "4"), UDP);
        assert_eq!(scene.requests(), 4);
    }

    #[test]
    fn a_client_of_rfc_2543_is_matched_by_its_headers() {
        let mut scene = Scene::new();
        let old = |method: Method, call_id: &str, tag: &str| {
            let mut request = request(method);
            request.headers_mut().push_front(Name::Via, "SIP/2.0/UDP 198.51.100.7:5060");
            request.headers_mut().set(Name::CallId, call_id);
            request.headers_mut().set(Name::To, format_args!("<sip:bob@198.51.100.7>{tag}"));
            request
        };
        scene.arrives(&old(Method::Invite, "1", ""), UDP);
        scene.arrives(&old(Method::Invite, "1", ""), UDP);
        scene.arrives(&old(Method::Invite, "2", ""), UDP);
        assert_eq!(scene.requests(), 2);
        scene.respond(486);
        scene.arrives(&old(Method::Ack, "1", ";tag=somebody"), UDP);
        assert_eq!(scene.acks(), 1, "an ACK to another response");
        scene.arrives(&old(Method::Ack, "1", ";tag=us"), UDP);
        assert_eq!(scene.acks(), 1);
        let before = scene.count("SIP/2.0 486");
        scene.pass(seconds(20.0));
        assert_eq!(scene.count("SIP/2.0 486"), before, "acknowledged");
        scene.arrives(&old(Method::Cancel, "2", ""), UDP);
        assert!(matches!(scene.events.last(), Some(Event::Cancelled { .. })));
    }

    #[test]
    fn a_malformed_request_is_400_without_state_and_a_malformed_ack_is_nothing() {
        for name in [Name::From, Name::To, Name::CallId, Name::CSeq] {
            let mut scene = Scene::new();
            let mut options = arriving(Method::Options, "z9hG4bKa");
            options.headers_mut().remove(name);
            scene.arrives(&options, UDP);
            scene.arrives(&options, UDP);
            assert_eq!(scene.count("SIP/2.0 400"), 2, "without {}", name.as_str());
            assert_eq!(scene.sent[0].bytes, scene.sent[1].bytes);
            let mut ack = arriving(Method::Ack, "z9hG4bKa");
            ack.headers_mut().remove(name);
            scene.arrives(&ack, UDP);
            assert_eq!((scene.sent.len(), scene.events.len()), (2, 0));
            assert!(scene.transactions.is_idle());
        }
    }

    #[test]
    fn a_request_that_says_two_things_is_400() {
        let spoils: [fn(&mut Request); 5] = [
            |request| request.headers_mut().set(Name::CSeq, "7 INFO"),
            |request| request.headers_mut().set(Name::CSeq, "seven OPTIONS"),
            |request| request.headers_mut().set(Name::CallId, ""),
            |request| request.headers_mut().push(Name::From, "<sip:mallory@pbx>;tag=x"),
            |request| request.headers_mut().set(Name::To, "<sip:bob"),
        ];
        for spoil in spoils {
            let mut scene = Scene::new();
            let mut options = arriving(Method::Options, "z9hG4bKa");
            spoil(&mut options);
            scene.arrives(&options, UDP);
            assert_eq!((scene.count("SIP/2.0 400"), scene.requests()), (1, 0), "{options:?}");
        }
    }

    #[test]
    fn a_100_says_when_the_request_was_sent_and_responses_how_long_they_are() {
        let mut scene = Scene::new();
        let mut invite = arriving(Method::Invite, "z9hG4bKa");
        invite.headers_mut().push(Name::Timestamp, "54");
        scene.arrives(&invite, UDP);
        scene.pass(seconds(0.1));
        assert_eq!(last_response(&scene).headers().get(Name::Timestamp), Some("54"));
        assert_eq!(last_response(&scene).headers().get(Name::ContentLength), Some("0"));
        scene.respond(180);
        assert_eq!(last_response(&scene).headers().get(Name::ContentLength), Some("0"));
    }

    #[test]
    fn a_response_that_is_not_ours_is_dropped() {
        let mut scene = Scene::new();
        scene.send(Method::Options, UDP);
        let Message::Request(sent) = scene.last_sent() else { panic!("a request") };
        let good = super::super::scene::answer(&sent, 200, "them");
        let mut spoilt = [(); 5].map(|()| good.clone());
        spoilt[0].headers_mut().push(Name::Via, "SIP/2.0/UDP 203.0.113.1;branch=z9hG4bKy");
        spoilt[1].headers_mut().set(Name::CSeq, "7 INFO");
        spoilt[2].headers_mut().set(Name::Via, "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKaaaaaaaaaaaaaaaa");
        let elsewhere = good.headers().get(Name::Via).expect("a Via").replace("192.0.2.1", "192.0.2.2");
        spoilt[3].headers_mut().set(Name::Via, elsewhere);
        spoilt[4].headers_mut().set(Name::To, "<sip:them@example.com>9tag=them");
        for response in spoilt {
            scene.receive(Message::Response(response), path(UDP));
        }
        assert_eq!(scene.told(), Vec::<u16>::new());
        scene.receive(Message::Response(good), path(UDP));
        assert_eq!(scene.told(), [200]);
    }

    #[test]
    fn a_full_table_refuses_new_requests_and_lets_dialogs_end() {
        let mut scene = Scene::with(Settings { max_transactions: 10, ..Settings::default() });
        let new = |number: usize, method: Method, to: &str| {
            let mut request = arriving(method, &format!("z9hG4bK{number}"));
            request.headers_mut().set(Name::CallId, number);
            request.headers_mut().set(Name::To, to);
            request
        };
        for number in 0..30 {
            scene.arrives(&new(number, Method::Invite, "<sip:bob@pbx>"), UDP);
        }
        assert_eq!((scene.transactions.count(), scene.requests()), (10, 10));
        assert_eq!(scene.count("SIP/2.0 503"), 20);
        assert_eq!(last_response(&scene).headers().get(Name::RetryAfter), Some("10"));
        scene.arrives(&new(29, Method::Ack, "<sip:bob@pbx>"), UDP);
        assert_eq!(scene.count("SIP/2.0 503"), 20);
        for number in 30..60 {
            scene.arrives(&new(number, Method::Bye, "<sip:bob@pbx>;tag=us"), UDP);
        }
        assert_eq!((scene.transactions.count(), scene.requests()), (20, 20));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Messages that were good once, with bytes changed, cut out and doubled, in both directions.
        #[test]
        fn nothing_that_arrives_makes_us_panic_or_leaves_something_behind(
            spoils in prop::collection::vec((0usize..6, 0usize..400, any::<u8>(), 0u8..4), 1..40),
        ) {
            let mut scene = Scene::new();
            scene.send(Method::Invite, UDP);
            let Message::Request(ours) = scene.last_sent() else { panic!("a request") };
            let good = [
                arriving(Method::Invite, "z9hG4bKa").to_bytes(),
                arriving(Method::Ack, "z9hG4bKa").to_bytes(),
                arriving(Method::Cancel, "z9hG4bKa").to_bytes(),
                arriving(Method::Options, "").to_bytes(),
                super::super::scene::answer(&ours, 180, "them").to_bytes(),
                super::super::scene::answer(&ours, 486, "them").to_bytes(),
            ];
            for (which, at, byte, how) in spoils {
                let mut bytes = good[which].clone();
                let at = at % bytes.len();
                match how {
                    0 => bytes[at] = byte,
                    1 => drop(bytes.remove(at)),
                    2 => bytes.insert(at, byte),
                    _ => {}
                }
                if let Ok(message) = Message::parse(&bytes, &crate::sip::Limits::default()) {
                    scene.receive(message, path(UDP));
                }
                for event in std::mem::take(&mut scene.events) {
                    if let Event::Request { id, request, .. } = event {
                        scene.transactions.respond(id, super::super::scene::answer(&request, 404, "us"), scene.now);
                    }
                }
                scene.pass(seconds(0.3));
            }
            // An INVITE that rings is waited for until the TU cancels it.
            scene.cancel(super::super::ClientId(1));
            scene.rest();
            prop_assert!(scene.transactions.is_idle());
        }
    }

    #[test]
    fn a_late_wake_up_repeats_once_and_gives_up() {
        let mut scene = Scene::new();
        scene.send(Method::Invite, UDP);
        scene.send(Method::Options, UDP);
        scene.now = Instant::from_millis(100_000);
        scene.transactions.handle_timeout(scene.now);
        scene.pass(seconds(0.0));
        let outputs = std::iter::from_fn(|| scene.transactions.poll_output());
        let sent = outputs.filter(|output| matches!(output, Output::Transmit { .. })).count();
        assert_eq!(sent, 2);
        assert!(scene.transactions.is_idle());
    }

    #[test]
    fn a_flood_keeps_the_table_at_its_bound_and_leaves_nothing() {
        let mut scene = Scene::with(Settings { max_transactions: 1_000, ..Settings::default() });
        let methods = [Method::Options, Method::Bye, Method::Cancel, Method::Ack, Method::Invite];
        for number in 0..100_000usize {
            let mut garbage = arriving(methods[number % 5].clone(), &format!("z9hG4bK{number}"));
            garbage.headers_mut().set(Name::CallId, number);
            if number % 3 == 0 {
                garbage.headers_mut().set(Name::To, "<sip:bob@pbx>;tag=us");
            }
            if number % 7 == 0 {
                garbage.headers_mut().remove(Name::From);
            }
            scene.arrives(&garbage, UDP);
            scene.sent.clear();
            for event in std::mem::take(&mut scene.events) {
                // A TU that refuses everything.
                if let Event::Request { id, request, .. } = event {
                    let refusal = super::super::scene::answer(&request, 404, "us");
                    scene.transactions.respond(id, refusal, scene.now);
                }
            }
            assert!(scene.transactions.count() <= 2_000);
        }
        assert_eq!(scene.transactions.count(), 2_000);
        scene.rest();
        assert!(scene.transactions.is_idle());
    }
}
