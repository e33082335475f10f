//! Whether a message that could be read says what it has to say (RFC 3261 sections 8.1.1, 8.1.3.3, 8.2.2 and 16.3).

use super::{Contacts, Method, Name, NameAddr, ParseError, Refusal, Request, Response, StatusCode, Uri};

/// Headers that may stand once. Of most others the first line is taken, as a receiver may.
const ONCE: [Name; 17] = [
    Name::CallId,
    Name::CSeq,
    Name::From,
    Name::To,
    Name::MaxForwards,
    Name::ContentLength,
    Name::ContentType,
    Name::Expires,
    Name::MinExpires,
    Name::Event,
    Name::SessionExpires,
    Name::MinSe,
    Name::Rack,
    Name::Rseq,
    Name::ReferTo,
    Name::ReferredBy,
    Name::Replaces,
];

/// What a branch begins with since RFC 3261.
const MAGIC_COOKIE: &str = "z9hG4bK";

impl Request {
    /// Says whether anybody should look at the request, and if not, how it is answered (an ACK is not answered at all).
    ///
    /// What only some receivers refuse is not decided here: methods, extensions, body types, too many hops.
    pub fn validate(&self) -> Result<(), Refusal> {
        require(&self.headers, &[Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq])?;
        self.has_its_method_in_cseq()?;
        self.via_is_well_formed()?;
        self.is_between_addresses()?;
        self.is_to_a_known_scheme()?;
        self.max_forwards()?;
        self.routes_are_well_formed()?;
        self.contacts_fit()?;
        self.body_has_a_type()
    }

    /// A method that nobody knows is refused for that first (RFC 4475 section 3.1.2.18).
    fn has_its_method_in_cseq(&self) -> Result<(), Refusal> {
        match (self.cseq()?.method_text == self.method.as_str(), &self.method) {
            (true, _) => Ok(()),
            (false, Method::Other(_)) => Err(Refusal::new(StatusCode::NOT_IMPLEMENTED)),
            (false, _) => Err(malformed(Name::CSeq)),
        }
    }

    /// Every Via can be read, and the first does not promise a unique branch and then have none.
    fn via_is_well_formed(&self) -> Result<(), Refusal> {
        for via in self.vias() {
            if !via?.params.is_well_formed() {
                return Err(malformed(Name::Via));
            }
        }
        match self.via()?.branch() {
            Some(MAGIC_COOKIE) => Err(malformed(Name::Via)),
            _ => Ok(()),
        }
    }

    fn is_between_addresses(&self) -> Result<(), Refusal> {
        uri_of(self.from(), Name::From)?;
        let to = uri_of(self.to_header(), Name::To)?;
        // The address-of-record (RFC 3261 section 10.2).
        if self.method == Method::Register && !to.is_sip() {
            return Err(malformed(Name::To));
        }
        Ok(())
    }

    /// Headers in the Request-URI are for whoever builds a request from it and may not arrive (RFC 3261 section 19.1.1).
    fn is_to_a_known_scheme(&self) -> Result<(), Refusal> {
        let uri = Uri::parse(self.uri())?;
        if !uri.is_sip() && !uri.is_tel() {
            return Err(Refusal::new(StatusCode::UNSUPPORTED_URI_SCHEME));
        }
        if uri.headers.is_some() { Err(ParseError::Uri(String::new()).into()) } else { Ok(()) }
    }

    fn routes_are_well_formed(&self) -> Result<(), Refusal> {
        for name in [Name::Route, Name::RecordRoute] {
            self.addresses(name).try_for_each(|route| uri_of(route, name).map(drop))?;
        }
        Ok(())
    }

    /// A dialog needs one place to send its requests to (RFC 3261 section 8.1.1.8). `*` is for registrations.
    fn contacts_fit(&self) -> Result<(), Refusal> {
        let contacts = self.contacts().map_err(|_| malformed(Name::Contact))?;
        let Contacts::These(contacts) = contacts else {
            return if self.method == Method::Register { Ok(()) } else { Err(malformed(Name::Contact)) };
        };
        for contact in &contacts {
            uri_of(Ok(*contact), Name::Contact)?;
        }
        let is_within_dialog = self.to_header().is_ok_and(|to| to.tag().is_some());
        match (names_target(&self.method), contacts.len()) {
            (true, 0) if !is_within_dialog => Err(ParseError::Missing(Name::Contact).into()),
            (true, 2..) => Err(ParseError::Repeated(Name::Contact).into()),
            _ => Ok(()),
        }
    }

    fn body_has_a_type(&self) -> Result<(), Refusal> {
        match self.body().is_empty() || self.headers.has(Name::ContentType) {
            true => Ok(()),
            false => Err(ParseError::Missing(Name::ContentType).into()),
        }
    }
}

impl Response {
    /// Says whether the response is to be looked at; if not, it is dropped. One with more than one Via was meant for
    /// somebody else (RFC 3261 section 8.1.3.3).
    pub fn validate(&self) -> Result<(), ParseError> {
        require(&self.headers, &[Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq])?;
        self.cseq()?;
        self.from()?;
        self.to_header()?;
        self.via()?;
        if self.list(Name::Via).nth(1).is_some() { Err(ParseError::Repeated(Name::Via)) } else { Ok(()) }
    }
}

/// Whether Contact is the remote target of a dialog.
fn names_target(method: &Method) -> bool {
    matches!(method, Method::Invite | Method::Subscribe | Method::Refer)
}

/// All of `mandatory` are there, and nothing that may stand once stands twice.
fn require(headers: &super::Headers, mandatory: &[Name]) -> Result<(), ParseError> {
    if let Some(&missing) = mandatory.iter().find(|&&name| headers.get(name).is_none_or(str::is_empty)) {
        return Err(ParseError::Missing(missing));
    }
    match ONCE.into_iter().find(|&name| headers.count(name) > 1) {
        Some(repeated) => Err(ParseError::Repeated(repeated)),
        None => Ok(()),
    }
}

fn uri_of(address: Result<NameAddr<'_>, ParseError>, header: Name) -> Result<Uri<'_>, Refusal> {
    address.and_then(|address| address.parse_uri()).map_err(|_| malformed(header))
}

fn malformed(header: Name) -> Refusal {
    ParseError::Value { header, text: String::new() }.into()
}

#[cfg(test)]
mod tests {
    use crate::sip::{Limits, Message};

    #[test]
    fn a_usual_request_is_looked_at() {
        assert_eq!(refusal(INVITE), None);
    }

    #[test]
    fn what_is_missing_is_named() {
        for name in ["Via", "From", "To", "Call-ID", "CSeq", "Contact", "Content-Type"] {
            let lines: Vec<_> = INVITE.lines().filter(|line| !line.starts_with(name)).collect();
            let expected = format!("400 Missing {name} header field");
            assert_eq!(refusal(&lines.join("\n")), Some(expected));
        }
    }

    #[test]
    fn a_bad_line_is_refused() {
        for (old, new, expected) in [
            ("Call-ID: 1", "Call-ID: 1\nCall-ID: 1", "400 Repeated Call-ID header field"),
            ("Call-ID: 1", "Call-ID:", "400 Missing Call-ID header field"),
            ("CSeq: 1 INVITE", "CSeq: 1 invite", "400 Malformed CSeq header field"),
            ("CSeq: 1 INVITE", "CSeq: 2147483648 INVITE", "400 Malformed CSeq header field"),
            ("INVITE sip", "NEWMETHOD sip", "501 Not Implemented"),
            ("branch=z9hG4bK1", "branch=z9hG4bK", "400 Malformed Via header field"),
            ("branch=z9hG4bK1", ";;", "400 Malformed Via header field"),
            ("From: <", "From: \"<", "400 Malformed From header field"),
            ("sip:bob@example.com SIP", "<sip:bob@example.com> SIP", "400 Malformed Request-URI"),
            ("sip:bob@example.com SIP", "sip:bob@example.com?x=y SIP", "400 Malformed Request-URI"),
            ("sip:bob@example.com SIP", "http://example.com SIP", "416 Unsupported URI Scheme"),
            ("Max-Forwards: 70", "Max-Forwards: 256", "400 Malformed Max-Forwards header field"),
            ("Route: <sip:proxy;lr>", "Route: proxy", "400 Malformed Route header field"),
            ("Contact: <sip:alice@192.0.2.1>", "Contact: *", "400 Malformed Contact header field"),
            (
                "Contact: <sip:alice@192.0.2.1>",
                "Contact: <sip:a>, <sip:b>",
                "400 Repeated Contact header field",
            ),
        ] {
            assert!(INVITE.contains(old));
            assert_eq!(refusal(&INVITE.replacen(old, new, 1)).as_deref(), Some(expected), "{new}");
        }
    }

    #[test]
    fn a_number_may_be_called() {
        assert_eq!(refusal(&INVITE.replacen("sip:bob@example.com SIP", "tel:+4930123 SIP", 1)), None);
    }

    #[test]
    fn within_a_dialog_the_contact_is_known() {
        let text = INVITE.replacen("To: <sip:bob@example.com>", "To: <sip:bob@example.com>;tag=b", 1);
        assert_eq!(refusal(&text.replacen("Contact: <sip:alice@192.0.2.1>\n", "", 1)), None);
    }

    const INVITE: &str = "INVITE sip:bob@example.com SIP/2.0
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1
Max-Forwards: 70
Route: <sip:proxy;lr>
From: <sip:alice@example.com>;tag=a
To: <sip:bob@example.com>
Call-ID: 1
CSeq: 1 INVITE
Contact: <sip:alice@192.0.2.1>
Content-Type: application/sdp

v=0";

    fn refusal(text: &str) -> Option<String> {
        let bytes = text.replace('\n', "\r\n");
        match Message::parse(bytes.as_bytes(), &Limits::default()) {
            Ok(Message::Request(request)) => request.validate().err().map(|refusal| refusal.to_string()),
            other => panic!("no request: {other:?}"),
        }
    }
}
