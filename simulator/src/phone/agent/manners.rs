//! What leaves a telephone that misbehaves. The machines above stay good citizens; here their messages are spoiled on the
//! way out, so that what goes wrong is what was asked for and nothing else.

use super::{Agent, Misbehaviour, Output};
use pbx::sip::{Headers, Limits, Message, Method, Name, Path, Request, Response, StatusCode};

/// By how much a wrong Content-Length is wrong.
const MISCOUNT: usize = 40;

impl Agent {
    /// Bytes go out, spoiled as its ways want it.
    pub(super) fn transmit(&mut self, path: Path, bytes: Vec<u8>) {
        let is_plain = self.ways.is_empty() && self.lines.is_empty();
        let message = if is_plain { None } else { Message::parse(&bytes, &Limits::default()).ok() };
        let message = message.map(|message| self.add_lines(message));
        let spoiled = match message {
            Some(Message::Request(request)) => self.spoil_request(request),
            Some(Message::Response(response)) => self.spoil_response(response),
            None => vec![bytes],
        };
        for bytes in spoiled {
            self.out.push_back(Output::Transmit { path, bytes });
        }
    }

    /// What its owner wants to have said besides.
    fn add_lines(&self, mut message: Message) -> Message {
        let kind = match &message {
            Message::Request(request) => request.method().as_str().to_owned(),
            Message::Response(response) => response.status().code().to_string(),
        };
        let is_of_call = match &message {
            Message::Request(request) => {
                request.to_header().is_ok_and(|to| to.tag().is_none()) || kind == "BYE"
            }
            Message::Response(response) => response.cseq().is_ok_and(|cseq| cseq.method() == Method::Invite),
        };
        let lines = self.lines.iter().filter(|(of, _)| is_of_call && *of == kind);
        for (name, value) in lines.filter_map(|(_, line)| line.split_once(": ")) {
            match &mut message {
                Message::Request(request) => request.headers_mut().push_named(name, value),
                Message::Response(response) => response.headers_mut().push_named(name, value),
            }
        }
        message
    }

    fn spoil_request(&mut self, mut request: Request) -> Vec<Vec<u8>> {
        let number = request.cseq().map_or(0, |cseq| cseq.number);
        let is_within = request.to_header().is_ok_and(|to| to.tag().is_some());
        let token = self.rng.token(8);
        if *request.method() == Method::Ack {
            if self.ways.has(Misbehaviour::NeverAcknowledges) {
                return Vec::new();
            }
            let headers = request.headers_mut();
            if self.ways.has(Misbehaviour::AcknowledgesWithAWrongNumber) {
                headers.set(Name::CSeq, format_args!("{} ACK", number + 1));
            }
            if self.ways.has(Misbehaviour::AcknowledgesWithAWrongTag) {
                change_tag(headers, Name::To, &token);
            }
            if self.ways.has(Misbehaviour::AcknowledgesWithAWrongBranch) {
                change_param(headers, Name::Via, "branch", &format!("z9hG4bK{token}"));
            }
        }
        if *request.method() == Method::Bye {
            let headers = request.headers_mut();
            if self.ways.has(Misbehaviour::CountsDown) {
                headers.set(Name::CSeq, format_args!("{} BYE", number.saturating_sub(2)));
            }
            if self.ways.has(Misbehaviour::SkipsNumbers) {
                headers.set(Name::CSeq, format_args!("{} BYE", number + 10));
            }
        }
        if is_within && self.ways.has(Misbehaviour::ChangesItsTag) {
            change_tag(request.headers_mut(), Name::From, &token);
        }
        let length = request.body().len();
        self.miscount(request.headers_mut(), length);
        vec![request.to_bytes()]
    }

    fn spoil_response(&mut self, mut response: Response) -> Vec<Vec<u8>> {
        let status = response.status();
        let is_invited = response.cseq().is_ok_and(|cseq| cseq.method() == Method::Invite);
        let token = self.rng.token(8);
        if self.ways.has(Misbehaviour::ChangesItsTag) && status != StatusCode::TRYING {
            change_tag(response.headers_mut(), Name::To, &token);
        }
        let length = response.body().len();
        self.miscount(response.headers_mut(), length);
        let mut spoiled = vec![response.to_bytes()];
        if is_invited && status.is_success() && self.ways.has(Misbehaviour::AnswersTwice) {
            let mut another = response.clone();
            change_tag(another.headers_mut(), Name::To, &token);
            spoiled.push(another.to_bytes());
        }
        if is_invited && status.is_success() && self.ways.has(Misbehaviour::AnswersAndRefuses) {
            spoiled.push(refusal(&response).to_bytes());
        }
        spoiled
    }

    fn miscount(&self, headers: &mut Headers, length: usize) {
        if length == 0 {
            return;
        }
        if self.ways.has(Misbehaviour::CountsTooMany) {
            headers.set(Name::ContentLength, length + MISCOUNT);
        }
        if self.ways.has(Misbehaviour::CountsTooFew) {
            headers.set(Name::ContentLength, length.saturating_sub(MISCOUNT));
        }
    }
}

fn change_tag(headers: &mut Headers, name: Name, tag: &str) {
    change_param(headers, name, "tag", tag);
}

/// Gives the first parameter of this name another value.
fn change_param(headers: &mut Headers, name: Name, param: &str, value: &str) {
    let Some(text) = headers.get(name) else { return };
    let begin = format!(";{param}=");
    let Some((before, after)) = text.split_once(&begin) else { return };
    let rest = after.find(';').map_or("", |at| &after[at..]);
    let changed = format!("{before}{begin}{value}{rest}");
    headers.set_first(name, changed);
}

/// 486 to what has just been answered.
fn refusal(answer: &Response) -> Response {
    let mut refusal = Response::new(StatusCode::BUSY_HERE);
    for name in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
        for value in answer.headers().all(name) {
            refusal.headers_mut().push(name, value);
        }
    }
    refusal.headers_mut().push(Name::ContentLength, 0);
    refusal
}
