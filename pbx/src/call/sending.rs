//! Requests that go out on the leg of a call by command, and what they are answered: MESSAGE, NOTIFY, OPTIONS.

use super::Context;
use super::call::Call;
use super::command::{Answer, Code, Refusal, Request, Ticket, done_with};
use crate::dialog::{Body, ExtraHeaders, RequestId};
use crate::media::Command;
use crate::sip::{Method, Response, StatusCode};
use crate::time::Duration;

/// How many may be under way at a time in one call.
const LIMIT: usize = 16;

/// How long a key is held that is pressed by command.
const KEY: Duration = Duration::from_millis(100);

/// Requests that wait for their answer.
#[derive(Debug, Default)]
pub(super) struct Sent(Vec<(RequestId, Ticket)>);

impl Sent {
    /// The answer to this request is the answer to that command.
    pub(super) fn wait_for(&mut self, request: RequestId, ticket: Ticket) {
        self.0.push((request, ticket));
    }

    /// The call is over: no answer is waited for.
    pub(super) fn close(self, context: &mut Context) {
        for (request, ticket) in self.0 {
            context.books.requests.remove(&request);
            context.answer(ticket, Err(Refusal::state("the call is over")));
        }
    }
}

impl Call {
    /// Sends a request; the answer comes with its response.
    pub(super) fn send(&mut self, request: Request, ticket: Ticket, context: &mut Context) -> Option<Answer> {
        let controlled = match self.in_hand() {
            Ok(controlled) => controlled,
            Err(refusal) => return Some(Err(refusal)),
        };
        if controlled.sent.0.len() >= LIMIT {
            return Some(Err(Refusal::state(format!("{LIMIT} requests wait for their answers"))));
        }
        let session = self.caller.session?;
        let (method, headers, body) = written(request);
        let sent = context.agent.request_within(session, method, headers, body, context.now);
        context.own_request(sent);
        self.controlled()?.sent.0.push((sent, ticket));
        None
    }

    /// The response to a request by command; `false` when it is to none.
    pub(super) fn on_response_to_sent(
        &mut self,
        id: RequestId,
        response: &Result<Response, StatusCode>,
        context: &mut Context,
    ) -> bool {
        let Some(sent) = self.controlled().map(|controlled| &mut controlled.sent.0) else { return false };
        let Some(index) = sent.iter().position(|(request, _)| *request == id) else { return false };
        let (_, ticket) = sent.remove(index);
        let accepted = response.as_ref().is_ok_and(|response| response.status().is_success());
        self.on_referred(id, accepted, context);
        let answer = match response {
            Ok(response) if response.status().is_success() => {
                done_with([("status", response.status().code().into())])
            }
            Ok(response) => {
                let status = response.status();
                let message = format!("the telephone answered {} {}", status.code(), status.reason());
                Err(Refusal::new(Code::Rejected, message))
            }
            Err(_) => Err(Refusal::new(Code::TimedOut, "the telephone has not answered")),
        };
        context.answer(ticket, answer);
        true
    }

    /// Presses keys, one after the other, in the way that its leg takes them.
    pub(super) fn send_keys(&mut self, keys: &str, context: &mut Context) -> Answer {
        self.in_hand()?;
        let (Some(stream), Some(session)) = (self.caller.stream(), self.caller.session) else {
            return Err(Refusal::state("the call has no leg"));
        };
        for digit in keys.chars() {
            if self.caller.manners.dtmf == crate::config::Dtmf::Info {
                super::passage::send_key(session, digit, context);
            } else {
                context.media(Command::Press { stream, digit, duration: KEY });
            }
        }
        super::command::done()
    }
}

fn written(request: Request) -> (Method, ExtraHeaders, Option<Body>) {
    let body = |content_type, text: String| Some(Body { content_type, bytes: text.into_bytes() });
    match request {
        Request::Message { content_type, body: text } => {
            (Method::Message, Vec::new(), body(content_type, text))
        }
        Request::Notify { event, content_type, body: text } => {
            // It belongs to no subscription that anybody has asked for (RFC 6665 section 4.1.2.3 calls it active all the same).
            let headers = vec![("Event".into(), event), ("Subscription-State".into(), "active".into())];
            (Method::Notify, headers, body(content_type, text))
        }
        Request::Options => (Method::Options, Vec::new(), None),
    }
}
