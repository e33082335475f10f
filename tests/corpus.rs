//! Messages from elsewhere, and what becomes of them: each folder of `fixtures/sip` with an `expected.toml`.

use pbx::sip::{
    Contacts, Frame, FrameError, Framer, Limits, Message, Method, Name, NameAddr, ParseError, Refusal,
    Request, Response, Uri, Via, salvage,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use toml::{Table, Value};

#[test]
fn the_49_messages_of_rfc_4475_are_read_as_it_says() {
    assert_eq!(corpus("rfc4475").len(), 49);
    assert_all("rfc4475", |message| message.disagreements());
}

#[test]
fn the_messages_of_rfc_5118_are_read_as_it_says() {
    assert_eq!(corpus("rfc5118").len(), 12);
    assert_all("rfc5118", |message| message.disagreements());
}

#[test]
fn the_rooms_above_can_ask_what_they_refuse_for() {
    let request =
        |name: &str| match corpus("rfc4475").iter().find(|sample| sample.name == name).map(Sample::parse) {
            Some(Ok(Message::Request(request))) => request,
            other => panic!("{name} is no request: {other:?}"),
        };
    assert_eq!(
        request("bext01").unsupported(&["100rel"]),
        ["nothingSupportsThis", "nothingSupportsThisEither"]
    );
    assert_eq!(request("invut").content_type(), "application/unknownformat");
    assert!(!request("sdp01").accepts("application/sdp"));
    assert!(request("semiuri").accepts("application/sdp"));
    assert!(matches!(request("intmeth").method(), Method::Other(_)));
    assert!(matches!(request("esc02").method(), Method::Other(_)));
}

#[test]
fn what_is_read_is_written_as_it_came() {
    for folder in FOLDERS {
        assert_all(folder, |sample| {
            let Ok(message) = sample.parse() else { return vec![] };
            let written = message.to_bytes();
            let noise = &sample.bytes[written.len().min(sample.bytes.len())..];
            match sample.bytes.starts_with(&written) && (noise.is_empty() || sample.name == "dblreq") {
                true => vec![],
                false => vec![format!("written as {:?}", String::from_utf8_lossy(&written))],
            }
        });
    }
}

#[test]
fn a_stream_is_cut_where_the_parser_sees_the_end() {
    for folder in FOLDERS {
        assert_all(folder, |sample| {
            let framed = sample.frame();
            let agrees = match (sample.parse(), &framed) {
                (Ok(message), Ok(Some(frame))) => message.to_bytes() == *frame,
                // Without Content-Length only a datagram has an end.
                (Ok(message), Err(FrameError::NoLength)) => !message.headers().has(Name::ContentLength),
                // On a stream the rest may come.
                (Err(ParseError::Truncated { .. } | ParseError::Incomplete), Ok(None)) => true,
                (
                    Err(ParseError::Value { header: Name::ContentLength, .. }),
                    Err(FrameError::BadLength(_)),
                ) => true,
                // Where it ends is clear, what it says is not.
                (Err(ParseError::StartLine(_) | ParseError::Version(_)), Ok(Some(_))) => true,
                _ => false,
            };
            if agrees {
                vec![]
            } else {
                vec![format!("parsed as {:?} but framed as {framed:?}", sample.parse())]
            }
        });
    }
}

const FOLDERS: [&str; 2] = ["rfc4475", "rfc5118"];

/// A message and what is expected of it.
struct Sample {
    name: String,
    bytes: Vec<u8>,
    expected: Table,
}

/// The samples of a folder; every file has its expectation and every expectation its file.
fn corpus(folder: &str) -> Vec<Sample> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/sip").join(folder);
    let text = fs::read_to_string(folder.join("expected.toml")).expect("expected.toml can be read");
    let mut expected: Table = text.parse().expect("expected.toml is TOML");
    let mut samples = Vec::new();
    for entry in fs::read_dir(&folder).expect("the folder can be listed") {
        let path = entry.expect("the folder can be listed").path();
        if path.extension().is_none_or(|extension| extension != "sip") {
            continue;
        }
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let Some(Value::Table(expected)) = expected.remove(&name) else {
            panic!("{name} is not in expected.toml")
        };
        samples.push(Sample { name, bytes: fs::read(&path).expect("the sample can be read"), expected });
    }
    assert!(expected.is_empty(), "no such samples: {expected:?}");
    samples.sort_by(|one, other| one.name.cmp(&other.name));
    samples
}

fn assert_all(folder: &str, check: impl Fn(&Sample) -> Vec<String>) {
    let mut wrong = Vec::new();
    for sample in corpus(folder) {
        wrong.extend(check(&sample).into_iter().map(|line| format!("{folder}/{}: {line}", sample.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

impl Sample {
    fn parse(&self) -> Result<Message, ParseError> {
        Message::parse(&self.bytes, &Limits::default())
    }

    fn frame(&self) -> Result<Option<Vec<u8>>, FrameError> {
        let mut framer = Framer::new(Limits::default().message);
        framer.push(&self.bytes);
        framer.next().map(|frame| match frame {
            Some(Frame::Message(bytes)) => Some(bytes),
            Some(Frame::Ping | Frame::Pong) | None => None,
        })
    }

    /// In what the reading differs from the expectation.
    fn disagreements(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut compare = |what: &str, expected: Option<&Value>, found: Option<Value>| {
            if expected != found.as_ref() {
                wrong.push(format!("{what} is {found:?}, expected {expected:?}"));
            }
        };
        let reading = Reading::of(&self.parse());
        compare("outcome", self.expected.get("outcome"), Some(reading.outcome.into()));
        compare("reason", self.expected.get("reason"), reading.reason.map(Value::from));
        if !self.expected.contains_key("by") {
            compare("status", self.expected.get("status"), self.answer(&reading.refusal).map(Value::from));
        }
        compare("values", self.expected.get("values"), reading.values.map(Value::from));
        wrong
    }

    /// The status that the sender of a refused request sees; `None` for one who is not answered.
    fn answer(&self, refusal: &Option<Refusal>) -> Option<i64> {
        let refusal = refusal.as_ref()?;
        let request = match self.parse() {
            Ok(Message::Request(request)) => request,
            Ok(Message::Response(_)) => return None,
            Err(_) => salvage(&self.bytes)?,
        };
        let response = refusal.answer(&request, "tag");
        assert!(response.via().is_ok(), "{}: the answer has no way back: {response:?}", self.name);
        assert_eq!(response.reason(), refusal.reason);
        Some(i64::from(response.status().code()))
    }
}

/// What was read.
struct Reading {
    outcome: &'static str,
    reason: Option<String>,
    refusal: Option<Refusal>,
    values: Option<Table>,
}

impl Reading {
    fn of(parsed: &Result<Message, ParseError>) -> Reading {
        match parsed {
            Err(error) => Reading::refused("parser", error.clone().into(), error.to_string()),
            Ok(Message::Request(request)) => match request.validate() {
                Ok(()) => Reading::accepted(values_of_request(request)),
                Err(refusal) => Reading::refused("validation", refusal.clone(), refusal.reason.into_owned()),
            },
            Ok(Message::Response(response)) => match response.validate() {
                Ok(()) => Reading::accepted(values_of_response(response)),
                Err(error) => Reading::refused("validation", error.clone().into(), error.to_string()),
            },
        }
    }

    fn accepted(values: Table) -> Reading {
        Reading { outcome: "accepted", reason: None, refusal: None, values: Some(values) }
    }

    fn refused(outcome: &'static str, refusal: Refusal, reason: String) -> Reading {
        Reading { outcome, reason: Some(reason), refusal: Some(refusal), values: None }
    }
}

fn values_of_request(request: &Request) -> Table {
    let mut values = Table::new();
    values.insert("method".into(), request.method().as_str().into());
    values.insert("request_uri".into(), uri(&Uri::parse(request.uri()).expect("validated")).into());
    values.insert("from".into(), address(&request.from().expect("validated")).into());
    values.insert("to".into(), address(&request.to_header().expect("validated")).into());
    values.insert(
        "via".into(),
        request.vias().map(|value| via(&value.expect("validated"))).collect::<Vec<_>>().into(),
    );
    values.insert("cseq".into(), request.cseq().expect("validated").to_string().into());
    values.insert("contact".into(), contacts(&request.contacts().expect("validated")).into());
    if let Some(hops) = request.max_forwards().expect("validated") {
        values.insert("max_forwards".into(), i64::from(hops).into());
    }
    common(request.call_id(), request.content_type(), request.body(), &mut values);
    others(request.headers().iter(), &mut values);
    values
}

fn values_of_response(response: &Response) -> Table {
    let mut values = Table::new();
    values.insert("code".into(), i64::from(response.status().code()).into());
    values.insert("phrase".into(), response.reason().into());
    values.insert("from".into(), address(&response.from().expect("validated")).into());
    values.insert("to".into(), address(&response.to_header().expect("validated")).into());
    values.insert(
        "via".into(),
        response.vias().map(|value| via(&value.expect("validated"))).collect::<Vec<_>>().into(),
    );
    values.insert("cseq".into(), response.cseq().expect("validated").to_string().into());
    values.insert("contact".into(), contacts(&response.contacts().expect("validated")).into());
    common(response.call_id(), response.content_type(), response.body(), &mut values);
    others(response.headers().iter(), &mut values);
    values
}

fn common(call_id: &str, content_type: &str, body: &[u8], values: &mut Table) {
    values.insert("call_id".into(), call_id.into());
    values.insert("body".into(), (body.len() as i64).into());
    if !content_type.is_empty() {
        values.insert("content_type".into(), content_type.into());
    }
}

/// The lines that have no typed value above, with their folds smoothed out.
fn others<'a>(lines: impl Iterator<Item = (&'a str, &'a str)>, values: &mut Table) {
    let typed = [
        Name::From,
        Name::To,
        Name::Via,
        Name::CallId,
        Name::CSeq,
        Name::Contact,
        Name::MaxForwards,
        Name::ContentLength,
        Name::ContentType,
    ];
    let mut others: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (name, value) in lines.filter(|(name, _)| !typed.contains(&Name::of(name))) {
        let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        others.entry(name.to_owned()).or_default().push(value.into());
    }
    if !others.is_empty() {
        values.insert(
            "others".into(),
            others.into_iter().map(|(name, lines)| (name, lines.into())).collect::<Table>().into(),
        );
    }
}

fn uri(uri: &Uri<'_>) -> Table {
    let mut parts = Table::new();
    parts.insert("scheme".into(), uri.scheme.into());
    if uri.user.is_some() {
        parts.insert("user".into(), uri.user_text().into());
    }
    if let Some(password) = uri.password {
        parts.insert("password".into(), password.into());
    }
    if !uri.host.as_str().is_empty() {
        parts.insert("host".into(), uri.host.as_str().into());
    }
    if let Some(port) = uri.port {
        parts.insert("port".into(), i64::from(port).into());
    }
    params(uri.params.iter(), &mut parts);
    if let Some(headers) = uri.headers {
        parts.insert("headers".into(), headers.into());
    }
    parts
}

fn address(address: &NameAddr<'_>) -> Table {
    let mut parts = Table::new();
    if let Some(display) = address.display_text() {
        parts.insert("display".into(), display.into());
    }
    parts.insert("uri".into(), uri(&address.parse_uri().expect("validated")).into());
    params(address.params.iter(), &mut parts);
    parts
}

fn contacts(contacts: &Contacts<'_>) -> Vec<Value> {
    match contacts {
        Contacts::All => vec!["*".into()],
        Contacts::These(contacts) => contacts.iter().map(|contact| address(contact).into()).collect(),
    }
}

fn via(via: &Via<'_>) -> Value {
    let mut parts = Table::new();
    parts.insert("transport".into(), via.transport.into());
    parts.insert("sent_by".into(), via.sent_by().to_string().into());
    if let Some(received) = via.received() {
        parts.insert("received".into(), received.to_string().into());
    }
    params(via.params.iter().filter(|(name, _)| *name != "received"), &mut parts);
    parts.into()
}

fn params<'a>(params: impl Iterator<Item = (&'a str, Option<&'a str>)>, parts: &mut Table) {
    let params: Table =
        params.map(|(name, value)| (name.to_owned(), value.unwrap_or_default().into())).collect();
    if !params.is_empty() {
        parts.insert("params".into(), params.into());
    }
}

/// What the whole PBX answers to what a stranger sends, messages and near-messages alike (CORE-02).
#[test]
fn the_pbx_answers_each_message_of_rfc_4475_as_it_says() {
    use pbx::pbx::{Input, Output, Pbx};
    use pbx::sip::{Path, StatusCode, Transport};
    use pbx::time::{Duration, Instant, WallClock};
    assert_all("rfc4475", |sample| {
        let Some(expected) = sample.expected.get("status").and_then(Value::as_integer) else { return vec![] };
        let local = "127.0.0.1:5060".parse().expect("an address");
        let remote = "127.0.0.1:5099".parse().expect("an address");
        let path = Path { transport: Transport::Udp, local, remote, connection: None };
        let mut pbx = Pbx::new(pbx::config::Config::default(), [1; 32], WallClock { epoch_micros: 0 });
        pbx.receive(Input::Received { path, bytes: sample.bytes.clone() }, Instant::START);
        pbx.handle_timeout(Instant::START + Duration::from_secs(5));
        let mut statuses: Vec<StatusCode> = Vec::new();
        while let Some(output) = pbx.poll_output() {
            if let Output::Transmit { bytes, .. } = output
                && let Ok(Message::Response(response)) = Message::parse(&bytes, &Limits::default())
                && response.status().is_final()
            {
                statuses.push(response.status());
            }
        }
        match statuses.iter().any(|status| i64::from(status.code()) == expected) {
            true => vec![],
            false => vec![format!("answered {statuses:?}, expected {expected}")],
        }
    });
}
