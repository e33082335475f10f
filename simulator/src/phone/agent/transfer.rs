//! Transfer: REFER and how it comes along (RFC 3515, RFC 5589), a call that takes another's place (RFC 3891).

use super::transactions::ServerId;
use super::{Agent, Event, Purpose, SessionId};
use pbx::sip::{Method, Name, NameAddr, Replaces, Request, StatusCode, Uri, unescape};
use pbx::time::Instant;

/// How long the one who asked is told how it comes along, in seconds.
const SUBSCRIPTION: u32 = 60;

/// Somebody waits to hear what becomes of a call that they asked us to make.
pub(super) struct Referral {
    /// The number of the REFER, which is the `id` of the event (RFC 3515 section 2.4.6).
    number: u32,
}

impl Agent {
    /// Asks the other side to call somebody else: a number, or whoever `instead_of` talks to, in whose place it then is.
    pub(in crate::phone) fn transfer(&mut self, session: SessionId, number: &str, now: Instant) {
        let target = format!("sip:{number}@{}", self.identity.domain);
        self.refer(session, &format!("<{target}>"), now);
    }

    /// The same with the other side of another call of ours, whose place it takes (RFC 5589 section 7).
    pub(in crate::phone) fn transfer_to_call(&mut self, session: SessionId, other: SessionId, now: Instant) {
        let Some(dialog) = self.call(other).and_then(|call| call.latest_dialog().cloned()) else { return };
        let Some(remote_tag) = &dialog.remote_tag else { return };
        let replaces = Replaces {
            call_id: &dialog.call_id,
            to_tag: remote_tag,
            from_tag: &dialog.local_tag,
            early_only: false,
        };
        let escaped = escape_header(&replaces.to_string());
        let target = dialog.target().to_owned();
        self.refer(session, &format!("<{target}?Replaces={escaped}>"), now);
    }

    /// Tells whoever asked for a call how it comes along; a final status is the last word.
    pub(in crate::phone) fn report(&mut self, session: SessionId, status: StatusCode, now: Instant) {
        let Some(call) = self.call(session) else { return };
        let Some(Referral { number }) = call.referral else { return };
        if status.is_final() {
            call.referral = None;
        }
        let mut notify = call.dialog.request(Method::Notify);
        let path = call.dialog.path();
        let headers = notify.headers_mut();
        headers.push(Name::Event, format_args!("refer;id={number}"));
        let state = if status.is_final() {
            "terminated;reason=noresource".to_owned()
        } else {
            format!("active;expires={SUBSCRIPTION}")
        };
        headers.push(Name::SubscriptionState, state);
        let fragment = format!("SIP/2.0 {status} {}\r\n", status.reason());
        notify.set_body("message/sipfrag;version=2.0", fragment.as_bytes());
        let contact = self.contact(self.identity.path);
        notify.headers_mut().push(Name::Contact, contact);
        self.send(notify, path, Purpose::Within(session), now);
        self.settle(now);
    }

    pub(super) fn on_refer_response(&mut self, session: SessionId, status: StatusCode, now: Instant) {
        if !status.is_success() {
            self.tell(Event::Transferred { session, status });
        }
        self.is_still_there(session, status, now);
    }

    /// REFER has come: 202, and at once a first NOTIFY (RFC 3515 section 2.4.4).
    pub(super) fn on_refer(&mut self, session: SessionId, server: ServerId, refer: &Request, now: Instant) {
        let targets: Vec<&str> = refer.headers().all(Name::ReferTo).collect();
        let Some((to, replaces)) = (match targets[..] {
            [target] => read_target(target),
            _ => None,
        }) else {
            return self.respond(server, StatusCode::BAD_REQUEST, now);
        };
        let number = refer.cseq().map_or(0, |cseq| cseq.number);
        if let Some(mut response) = self.response(server, StatusCode::ACCEPTED, None) {
            let contact = self.contact(self.identity.path);
            response.headers_mut().push(Name::Contact, contact);
            self.transactions.respond(server, &response, now);
        }
        if let Some(call) = self.call(session) {
            call.referral = Some(Referral { number });
        }
        self.tell(Event::Referred { session, to, replaces });
        self.report(session, StatusCode::TRYING, now);
    }

    /// How a transfer of ours comes along.
    pub(super) fn on_notify(&mut self, session: SessionId, server: ServerId, notify: &Request, now: Instant) {
        self.respond(server, StatusCode::OK, now);
        let fragment = String::from_utf8_lossy(notify.body()).into_owned();
        let status = fragment.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse().ok());
        if let Some(status) = status.and_then(StatusCode::new) {
            self.tell(Event::Transferred { session, status });
        }
    }

    fn refer(&mut self, session: SessionId, refer_to: &str, now: Instant) {
        let own = format!("<sip:{}@{}>", self.identity.user, self.identity.domain);
        let contact = self.contact(self.identity.path);
        let hears = self.hears_of_transfers;
        let Some(call) = self.call(session).filter(|call| call.is_up()) else { return };
        let mut request = call.dialog.request(Method::Refer);
        let path = call.dialog.path();
        let headers = request.headers_mut();
        headers.push(Name::ReferTo, refer_to);
        headers.push(Name::ReferredBy, own);
        if !hears {
            headers.push_named("Refer-Sub", "false");
        }
        headers.push(Name::Contact, contact);
        self.send(request, path, Purpose::Refer(session), now);
        self.settle(now);
    }
}

/// Whom to call, and the value of Replaces when there is one in it.
fn read_target(refer_to: &str) -> Option<(String, Option<String>)> {
    let address = NameAddr::parse(refer_to).ok()?;
    let uri = Uri::parse(address.uri).ok()?;
    let plain = address.uri.split('?').next()?.to_owned();
    let header = uri.headers.into_iter().flat_map(|headers| headers.split('&'));
    let mut replaces = header
        .filter_map(|header| header.split_once('='))
        .filter(|(name, _)| name.eq_ignore_ascii_case("Replaces"));
    Some((plain, replaces.next().map(|(_, value)| unescape(value).into_owned())))
}

/// A header value as it stands in a URI (RFC 3261 section 19.1.1).
fn escape_header(value: &str) -> String {
    let mut escaped = String::new();
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
