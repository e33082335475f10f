//! Signatures of requests to S3 (AWS Signature Version 4), checked and made.

use super::super::http::Asked;
use crate::web::Question;
use hmac::{Hmac, KeyInit, Mac};
use pbx::time::{Duration, Instant, WallClock};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::net::SocketAddr;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// How far the clock of who asks may be off.
const SKEW: Duration = Duration::from_secs(15 * 60);

/// Who may, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The name of the key.
    pub access_key: String,
    /// The key.
    pub secret: String,
    /// `eu-central-1`
    pub region: String,
}

/// Why a request is not let in: the codes of S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    Unsigned,
    InvalidAccessKeyId,
    SignatureDoesNotMatch,
    RequestTimeTooSkewed,
    ContentMismatch,
}

impl Denied {
    pub(super) fn code(self) -> (u16, &'static str) {
        match self {
            Denied::Unsigned => (403, "AccessDenied"),
            Denied::InvalidAccessKeyId => (403, "InvalidAccessKeyId"),
            Denied::SignatureDoesNotMatch => (403, "SignatureDoesNotMatch"),
            Denied::RequestTimeTooSkewed => (403, "RequestTimeTooSkewed"),
            Denied::ContentMismatch => (400, "XAmzContentSHA256Mismatch"),
        }
    }
}

/// Whether a request was signed by who knows the secret, not long ago, for this body.
pub(super) fn check(asked: &Asked, known: &Credentials, clock: &WallClock) -> Result<(), Denied> {
    let line = asked.header("authorization").ok_or(Denied::Unsigned)?;
    let fields = line.strip_prefix(ALGORITHM).ok_or(Denied::Unsigned)?;
    let field = |name: &str| fields.split(',').find_map(|field| field.trim().strip_prefix(name));
    let (Some(scope), Some(signed), Some(signature)) =
        (field("Credential="), field("SignedHeaders="), field("Signature="))
    else {
        return Err(Denied::Unsigned);
    };
    let (access_key, scope) = scope.split_once('/').ok_or(Denied::Unsigned)?;
    if access_key != known.access_key {
        return Err(Denied::InvalidAccessKeyId);
    }
    let date = asked.header("x-amz-date").ok_or(Denied::Unsigned)?;
    // Written so, earlier dates are smaller texts.
    let (earliest, latest) = (date_of(clock, earlier(asked.at)), date_of(clock, asked.at + SKEW));
    if date < earliest.as_str() || date > latest.as_str() {
        return Err(Denied::RequestTimeTooSkewed);
    }
    let payload = asked.header("x-amz-content-sha256").ok_or(Denied::Unsigned)?;
    if payload != UNSIGNED && payload != hash(&asked.body) {
        return Err(Denied::ContentMismatch);
    }
    let names: Vec<&str> = signed.split(';').collect();
    if !names.contains(&"host") || scope != scope_of(date, known) {
        return Err(Denied::SignatureDoesNotMatch);
    }
    let headers: Vec<(String, String)> = names
        .iter()
        .map(|name| {
            let values = asked.headers.iter().filter(|(known, _)| known == name);
            let values: Vec<&str> = values.map(|(_, value)| value.trim()).collect();
            ((*name).to_owned(), values.join(","))
        })
        .collect();
    let expected = sign_request(&asked.method, &asked.target, &headers, payload, date, known);
    if expected == signature { Ok(()) } else { Err(Denied::SignatureDoesNotMatch) }
}

/// Signs a question at a time.
pub fn sign(
    question: Question,
    server: SocketAddr,
    credentials: &Credentials,
    clock: &WallClock,
    now: Instant,
) -> Question {
    let (date, payload) = (date_of(clock, now), hash(&question.body));
    let headers = [
        ("host".to_owned(), server.to_string()),
        ("x-amz-content-sha256".to_owned(), payload.clone()),
        ("x-amz-date".to_owned(), date.clone()),
    ];
    let signature = sign_request(&question.method, &question.target, &headers, &payload, &date, credentials);
    let scope = scope_of(&date, credentials);
    let line = format!(
        "{ALGORITHM} Credential={}/{scope},SignedHeaders=host;x-amz-content-sha256;x-amz-date,\
         Signature={signature}",
        credentials.access_key
    );
    question.with("x-amz-content-sha256", &payload).with("x-amz-date", &date).with("authorization", &line)
}

fn sign_request(
    method: &str,
    target: &str,
    headers: &[(String, String)],
    payload: &str,
    date: &str,
    credentials: &Credentials,
) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut parameters: Vec<(&str, &str)> = query
        .split('&')
        .filter(|parameter| !parameter.is_empty())
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
        .collect();
    parameters.sort_unstable();
    let query: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut request = format!("{method}\n{path}\n{}\n", query.join("&"));
    for (name, value) in headers {
        let _ = writeln!(request, "{name}:{value}");
    }
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let _ = write!(request, "\n{}\n{payload}", names.join(";"));
    let scope = scope_of(date, credentials);
    let text = format!("{ALGORITHM}\n{date}\n{scope}\n{}", hash(request.as_bytes()));
    let day = date.get(..8).unwrap_or_default();
    let mut key = format!("AWS4{}", credentials.secret).into_bytes();
    for part in [day, &credentials.region, "s3", "aws4_request", &text] {
        key = authenticate(&key, part);
    }
    hexadecimal(&key)
}

fn scope_of(date: &str, credentials: &Credentials) -> String {
    format!("{}/{}/s3/aws4_request", date.get(..8).unwrap_or_default(), credentials.region)
}

/// `20260101T093000Z`
fn date_of(clock: &WallClock, now: Instant) -> String {
    let text = clock.rfc3339(now);
    let seconds = text.get(..19).unwrap_or_default();
    seconds.chars().filter(|c| !matches!(c, '-' | ':')).chain(['Z']).collect()
}

fn earlier(now: Instant) -> Instant {
    Instant::START + now.since(Instant::START + SKEW)
}

fn authenticate(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key may have any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// SHA-256, hexadecimal.
pub(super) fn hash(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // The first example of "Authenticating Requests: Using the Authorization Header" in the S3 documents.
    #[test]
    fn the_example_of_the_documents_is_signed_so() {
        let credentials = Credentials {
            access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            region: "us-east-1".to_owned(),
        };
        let empty = hash(b"");
        let headers = [
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", &empty),
            ("x-amz-date", "20130524T000000Z"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let signature = sign_request("GET", "/test.txt", &headers, &empty, "20130524T000000Z", &credentials);
        assert_eq!(signature, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    }

    #[test]
    fn who_does_not_know_the_secret_is_not_let_in() {
        let clock = WallClock { epoch_micros: 1_767_225_600_000_000 };
        let server: SocketAddr = "10.0.0.9:9000".parse().expect("an address");
        let known = Credentials {
            access_key: "office".to_owned(),
            secret: "secret".to_owned(),
            region: "local".to_owned(),
        };
        let now = Instant::START + Duration::from_secs(3_600);
        let arrives = |credentials: &Credentials, at: Instant, body: &[u8]| {
            let question = Question::new("PUT", "/b/k?x=1").body("hello");
            let question = sign(question, server, credentials, &clock, at);
            let mut headers = vec![("host".to_owned(), server.to_string())];
            headers.extend(question.headers);
            let asked = Asked {
                at: now,
                from: server,
                method: question.method,
                target: question.target,
                headers,
                body: body.to_vec(),
            };
            check(&asked, &known, &clock)
        };
        assert_eq!(arrives(&known, now, b"hello"), Ok(()));
        assert_eq!(arrives(&known, now, b"jello"), Err(Denied::ContentMismatch));
        let late = now + Duration::from_secs(1_000);
        assert_eq!(arrives(&known, late, b"hello"), Err(Denied::RequestTimeTooSkewed));
        let early = Instant::START + Duration::from_secs(2_600);
        assert_eq!(arrives(&known, early, b"hello"), Err(Denied::RequestTimeTooSkewed));
        let guess = Credentials { secret: "guess".to_owned(), ..known.clone() };
        assert_eq!(arrives(&guess, now, b"hello"), Err(Denied::SignatureDoesNotMatch));
        let stranger = Credentials { access_key: "me".to_owned(), ..known.clone() };
        assert_eq!(arrives(&stranger, now, b"hello"), Err(Denied::InvalidAccessKeyId));
    }
}
