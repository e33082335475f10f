//! What people call a message: its method or status, and what it is for where that does not follow from it.

use pbx::sip::{Limits, Message, Method, Name, Request, Response, Uri};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The longest name.
pub(super) const LONGEST: usize = 60;

/// Names messages in the order in which they were sent: that a hold ends is known by that it began.
#[derive(Default)]
pub(crate) struct Namer {
    /// Who holds which call.
    holds: BTreeSet<(String, IpAddr)>,
}

/// Whom a description lets talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Talks {
    Both,
    SenderOnly,
    ReceiverOnly,
    Nobody,
}

impl Namer {
    /// What a message is called that `from` has sent.
    pub(crate) fn name(&mut self, from: IpAddr, bytes: &[u8]) -> String {
        let name = match Message::parse(bytes, &Limits::default()) {
            Ok(Message::Request(request)) => self.request(from, &request),
            Ok(Message::Response(response)) => self.response(&response),
            Err(_) if bytes.iter().all(u8::is_ascii_whitespace) => "keepalive".to_owned(),
            Err(_) => foreign(bytes),
        };
        name.chars().filter(|letter| !letter.is_control()).take(LONGEST).collect()
    }

    fn request(&mut self, from: IpAddr, request: &Request) -> String {
        let headers = request.headers();
        let method = request.method().to_string();
        let is_within = request.to_header().is_ok_and(|to| to.tag().is_some());
        let has_password =
            [Name::Authorization, Name::ProxyAuthorization].iter().any(|name| headers.get(*name).is_some());
        let password = if has_password { " (password)" } else { "" };
        match request.method() {
            Method::Invite if is_within => format!("re-INVITE{}", self.purpose(from, request)),
            Method::Update => format!("UPDATE{}", self.purpose(from, request)),
            Method::Invite => {
                let user = Uri::parse(request.uri()).ok().and_then(|uri| uri.user.map(str::to_owned));
                let user = user.map(|user| format!(" {user}")).unwrap_or_default();
                let late = if request.body().is_empty() { " without offer" } else { "" };
                format!("INVITE{user}{late}{password}")
            }
            Method::Register if leaves(request) => format!("REGISTER away{password}"),
            Method::Ack if talks(request.body()).is_some() => "ACK with answer".to_owned(),
            Method::Ack | Method::Cancel => method,
            Method::Info => format!("INFO{}", key(request.body())),
            _ => format!("{method}{password}"),
        }
    }

    /// What an offer within a call is for.
    fn purpose(&mut self, from: IpAddr, request: &Request) -> &'static str {
        let call = (request.call_id().to_owned(), from);
        match talks(request.body()) {
            None if *request.method() == Method::Invite => " without offer",
            None => "",
            Some(Talks::SenderOnly | Talks::Nobody) => {
                self.holds.insert(call);
                " hold"
            }
            Some(Talks::ReceiverOnly) => " recvonly",
            Some(Talks::Both) if self.holds.remove(&call) => " resume",
            Some(Talks::Both) => "",
        }
    }

    fn response(&self, response: &Response) -> String {
        let (status, reason) = (response.status(), response.reason());
        let method = response.headers().get(Name::CSeq).and_then(|cseq| cseq.split_whitespace().nth(1));
        let method = method.filter(|method| *method != "INVITE").map(|method| format!(" ({method})"));
        let early = (101..200).contains(&status.code());
        let body = match talks(response.body()) {
            Some(_) if early => " with sound",
            Some(Talks::SenderOnly) => " sendonly",
            Some(Talks::ReceiverOnly) => " recvonly",
            Some(Talks::Nobody) => " inactive",
            Some(Talks::Both) | None => "",
        };
        format!("{status} {reason}{}{body}", method.unwrap_or_default())
    }
}

/// Whom a description lets talk; `None` when it is none.
fn talks(body: &[u8]) -> Option<Talks> {
    let body = String::from_utf8_lossy(body);
    // In a body of several parts it is one of them.
    let description = &body[body.find("v=0")?..];
    let says = |attribute: &str| description.lines().any(|line| line.trim_end() == attribute);
    Some(match () {
        () if says("a=sendonly") => Talks::SenderOnly,
        () if says("a=recvonly") => Talks::ReceiverOnly,
        () if says("a=inactive") => Talks::Nobody,
        // How hold was said before RFC 3264.
        () if says("c=IN IP4 0.0.0.0") => Talks::SenderOnly,
        () => Talks::Both,
    })
}

/// Whether a REGISTER takes contacts away.
fn leaves(request: &Request) -> bool {
    let headers = request.headers();
    let expires = headers.get(Name::Expires).is_some_and(|expires| expires.trim() == "0");
    expires || headers.get(Name::Contact).is_some_and(|contact| contact.ends_with("expires=0"))
}

/// The key that an INFO tells.
fn key(body: &[u8]) -> String {
    let body = String::from_utf8_lossy(body);
    let signal = body.lines().find_map(|line| line.strip_prefix("Signal="));
    signal.map(|key| format!(" key {}", key.trim())).unwrap_or_default()
}

/// What is no SIP: HTTP by its first line, all else by its length.
fn foreign(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    match std::str::from_utf8(line) {
        Ok(line) if line.starts_with("HTTP/1.") => line.replacen("HTTP/1.1", "HTTP", 1),
        Ok(line) if line.contains(" HTTP/1.") => line.split(" HTTP/").next().unwrap_or(line).to_owned(),
        _ => format!("{} bytes", bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_put_on_hold_and_resumed() {
        let mut namer = Namer::default();
        assert_eq!(namer.name(alice(), invite("", "a=sendrecv").as_bytes()), "INVITE bob");
        assert_eq!(namer.name(alice(), invite(";tag=b", "a=sendonly").as_bytes()), "re-INVITE hold");
        assert_eq!(namer.name(bob(), invite(";tag=a", "a=sendrecv").as_bytes()), "re-INVITE");
        assert_eq!(namer.name(alice(), invite(";tag=b", "a=sendrecv").as_bytes()), "re-INVITE resume");
    }

    #[test]
    fn answers_say_to_what() {
        let name = |text: &str| Namer::default().name(bob(), text.as_bytes());
        let sdp = "v=0\r\na=recvonly\r\n";
        assert_eq!(name("SIP/2.0 200 OK\r\nCSeq: 1 BYE\r\n\r\n"), "200 OK (BYE)");
        assert_eq!(name(&format!("SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n\r\n{sdp}")), "200 OK recvonly");
        assert_eq!(
            name(&format!("SIP/2.0 183 Session Progress\r\nCSeq: 1 INVITE\r\n\r\n{sdp}")),
            "183 Session Progress with sound"
        );
    }

    #[test]
    fn what_is_no_sip_is_named_by_its_first_line_or_its_length() {
        let name = |text: &str| Namer::default().name(bob(), text.as_bytes());
        assert_eq!(name("GET /health HTTP/1.1\r\nHost: x\r\n\r\n"), "GET /health");
        assert_eq!(name("HTTP/1.1 200 OK\r\n\r\n"), "HTTP 200 OK");
        assert_eq!(name("\u{1}\u{2}\u{3}"), "3 bytes");
        assert_eq!(name("\r\n\r\n"), "keepalive");
    }

    #[test]
    fn a_password_and_a_farewell_are_seen() {
        let register = |more: &str| {
            format!("REGISTER sip:pbx SIP/2.0\r\nTo: <sip:a@x>\r\nCSeq: 1 REGISTER\r\n{more}\r\n\r\n")
        };
        let name = |more: &str| Namer::default().name(alice(), register(more).as_bytes());
        assert_eq!(name("Expires: 60"), "REGISTER");
        assert_eq!(name("Authorization: Digest x=\"y\""), "REGISTER (password)");
        assert_eq!(name("Expires: 0"), "REGISTER away");
    }

    fn invite(tag: &str, direction: &str) -> String {
        format!(
            "INVITE sip:bob@pbx SIP/2.0\r\nFrom: <sip:alice@pbx>;tag=a\r\nTo: <sip:bob@pbx>{tag}\r\n\
             Call-ID: c\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\n{direction}\r\n"
        )
    }

    fn alice() -> IpAddr {
        IpAddr::from([10, 0, 0, 2])
    }

    fn bob() -> IpAddr {
        IpAddr::from([10, 0, 0, 3])
    }
}
