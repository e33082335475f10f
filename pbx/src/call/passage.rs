//! Requests that pass from leg to leg: INFO, MESSAGE and others that are not about the session itself.

use super::Context;
use super::call::{Call, Side, Stage};
use crate::boundary::What;
use crate::config::Dtmf;
use crate::dialog::{Body, ExtraHeaders, Reply, RequestId, SessionId};
use crate::media::{Command, StreamId};
use crate::sip::{Method, Name, Request, Response, StatusCode};
use crate::time::Duration;

/// How long a key is held that was told by INFO.
const KEY: Duration = Duration::from_millis(100);

/// How many may be under way at a time in one call.
const LIMIT: usize = 16;

/// Requests of one leg that wait for the answer of the other.
#[derive(Debug, Default)]
pub(super) struct Passages(Vec<Passage>);

#[derive(Debug)]
struct Passage {
    received: RequestId,
    sent: RequestId,
}

impl Passages {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The call is over: nobody is going to answer.
    pub(super) fn close(&mut self, context: &mut Context) {
        for passage in self.0.drain(..) {
            context.books.requests.remove(&passage.sent);
            let reply = Reply::new(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
            context.agent.reply(passage.received, reply, context.now);
        }
    }
}

impl Call {
    /// A request of one leg within its session.
    pub(super) fn on_request(
        &mut self,
        session: SessionId,
        id: RequestId,
        request: &Request,
        context: &mut Context,
    ) {
        if *request.method() == Method::Info
            && let Some(digit) = dtmf_of_info(request)
        {
            context.tell(&self.facts.call_id, What::Dtmf { digit, by: "info" });
            self.on_key_by_info(digit, context);
        }
        // As telephones with a key for it ask (`Record: on`, `Record: off`).
        if *request.method() == Method::Info
            && let Some(runs) = request.headers().named("Record").and_then(on_or_off)
            && self.set_recording(runs, context)
        {
            return context.agent.reply(id, Reply::new(StatusCode::OK), context.now);
        }
        let key = Some(request).filter(|request| *request.method() == Method::Info).and_then(dtmf_of_info);
        if let Some(key) = key
            && let Some(stream) = self.peer_wants_keys_in_media(session)
        {
            context.media(Command::Press { stream, digit: key, duration: KEY });
            return context.agent.reply(id, Reply::new(StatusCode::OK), context.now);
        }
        match (request.method(), self.peer_of(session)) {
            (Method::Options, _) => context.agent.reply(id, super::mapping::options_reply(), context.now),
            (Method::Info | Method::Message, Some(peer)) if self.passages.0.len() < LIMIT => {
                let sent = context.agent.request_within(
                    peer,
                    request.method().clone(),
                    passing_headers(request),
                    body_of(request),
                    context.now,
                );
                context.own_request(sent);
                self.passages.0.push(Passage { received: id, sent });
            }
            (Method::Info, None) => context.agent.reply(id, Reply::new(StatusCode::OK), context.now),
            (Method::Message, None) if self.controlled().is_some() => {
                self.tell_of_message(request, context);
                context.agent.reply(id, Reply::new(StatusCode::OK), context.now);
            }
            (Method::Refer, _) => self.on_refer(session, id, request, context),
            (Method::Notify, _) if self.on_notify(request, context) => {
                context.agent.reply(id, Reply::new(StatusCode::OK), context.now);
            }
            (Method::Info | Method::Message, Some(_)) => {
                context.agent.reply(id, Reply::new(StatusCode::SERVICE_UNAVAILABLE), context.now);
            }
            _ => context.agent.reply(id, super::mapping::not_allowed_reply(), context.now),
        }
    }

    /// The other leg has answered.
    pub(super) fn on_response(
        &mut self,
        id: RequestId,
        response: Result<Response, StatusCode>,
        context: &mut Context,
    ) {
        context.books.requests.remove(&id);
        let is_heard = response.as_ref().is_ok_and(|response| response.status().is_success());
        if self.on_report_heard(id, is_heard, context) {
            return;
        }
        if self.on_response_to_sent(id, &response, context) {
            return;
        }
        let Some(index) = self.passages.0.iter().position(|passage| passage.sent == id) else {
            return;
        };
        let passage = self.passages.0.remove(index);
        let status = match &response {
            Ok(response) => response.status(),
            // No 408 for a non-INVITE transaction (RFC 4320 section 4.2).
            Err(_) => StatusCode::SERVER_TIME_OUT,
        };
        context.agent.reply(passage.received, Reply::new(status), context.now);
    }

    /// A key was heard at a stream: who wants keys by messages is told of it by INFO.
    pub(super) fn tell_key_by_info(&mut self, heard_at: StreamId, key: char, context: &mut Context) {
        let Stage::Talking(callee) = &self.stage else { return };
        let peer = if self.caller.has_stream(heard_at) { callee } else { &self.caller };
        if let (Dtmf::Info, Some(session)) = (peer.manners.dtmf, peer.session) {
            send_key(session, key, context);
        }
    }

    /// The stream of the one who talks to this one, when it is to be told keys as events or tones.
    fn peer_wants_keys_in_media(&self, session: SessionId) -> Option<StreamId> {
        let Stage::Talking(callee) = &self.stage else { return None };
        let peer = match self.side_of(session)? {
            Side::Caller => callee,
            Side::Callee => &self.caller,
        };
        peer.stream().filter(|_| matches!(peer.manners.dtmf, Dtmf::Events | Dtmf::Inband))
    }

    /// The session of the one who talks to this one.
    fn peer_of(&self, session: SessionId) -> Option<SessionId> {
        match (&self.stage, self.side_of(session)?) {
            (Stage::Talking(callee), Side::Caller) => callee.session,
            (Stage::Talking(_), Side::Callee) => self.caller.session,
            _ => None,
        }
    }
}

/// Tells a key by INFO.
pub(super) fn send_key(session: SessionId, key: char, context: &mut Context) {
    let text = format!("Signal={key}\r\nDuration={}\r\n", KEY.as_millis());
    let body = Body { content_type: "application/dtmf-relay".into(), bytes: text.into_bytes() };
    // Whatever is answered, there is nothing to be done about it.
    let _ = context.agent.request_within(session, Method::Info, Vec::new(), Some(body), context.now);
}

fn on_or_off(value: &str) -> Option<bool> {
    match value.trim() {
        on if on.eq_ignore_ascii_case("on") => Some(true),
        off if off.eq_ignore_ascii_case("off") => Some(false),
        _ => None,
    }
}

/// The key in an INFO: `application/dtmf-relay` (`Signal=5`) or `application/dtmf` (`5`).
fn dtmf_of_info(request: &Request) -> Option<char> {
    let content_type = request.headers().get(Name::ContentType)?;
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let text = std::str::from_utf8(request.body()).ok()?;
    let signal = if kind.eq_ignore_ascii_case("application/dtmf-relay") {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            key.trim().eq_ignore_ascii_case("signal").then(|| value.trim())
        })?
    } else if kind.eq_ignore_ascii_case("application/dtmf") {
        text.trim()
    } else {
        return None;
    };
    match signal {
        "10" => Some('*'),
        "11" => Some('#'),
        _ => {
            signal.chars().next().map(|c| c.to_ascii_uppercase()).filter(|c| "0123456789*#ABCD".contains(*c))
        }
    }
}

/// What of a request the other leg is told beside its body.
pub(super) fn passing_headers(request: &Request) -> ExtraHeaders {
    [Name::ContentDisposition, Name::Subject, Name::Date]
        .into_iter()
        .filter_map(|name| Some((name.as_str().to_owned(), request.headers().get(name)?.to_owned())))
        .chain(
            request
                .headers()
                .named("Info-Package")
                .map(|value| ("Info-Package".to_owned(), value.to_owned())),
        )
        .collect()
}

/// The body of a request, when it has one.
pub(super) fn body_of(request: &Request) -> Option<Body> {
    let content_type = request.headers().get(Name::ContentType)?.to_owned();
    Some(Body { content_type, bytes: request.body().to_vec() })
}
