//! A bucket: storage that speaks as much S3 as recordings need, path style: PUT, GET, HEAD and DELETE of objects, uploads in
//! parts, lists. Who asks has to sign as S3 wants it, by the clock of the world.

mod signature;

pub use signature::{Credentials, sign};

use super::http::{Answers, Asked, Reply};
use pbx::time::{Instant, WallClock};
use quick_xml::escape::escape;
use quick_xml::events::Event;
use quick_xml::reader::Reader;
use signature::{check, hash};
use std::collections::BTreeMap;

/// Where it listens.
pub const PORT: u16 = 9_000;

/// What it is called.
pub const NAME: &str = "recordings";

/// Objects in one list, at most.
const LISTED: usize = 1_000;

/// The storage.
#[derive(Clone, Debug)]
pub struct Bucket {
    credentials: Credentials,
    clock: WallClock,
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, Upload>,
    begun: u64,
}

/// What is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What they are.
    pub content_type: String,
    /// Since when.
    pub stored_at: Instant,
}

/// An upload in parts that is not complete.
#[derive(Clone, Debug)]
struct Upload {
    key: String,
    content_type: String,
    parts: BTreeMap<u32, Vec<u8>>,
}

impl Object {
    fn tag(&self) -> String {
        tag_of(&self.bytes)
    }
}

impl Bucket {
    /// An empty bucket that lets in who has these credentials.
    pub fn new(credentials: Credentials, clock: WallClock) -> Bucket {
        Bucket { credentials, clock, objects: BTreeMap::new(), uploads: BTreeMap::new(), begun: 0 }
    }

    /// Who may.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// What is stored, by key.
    pub fn objects(&self) -> &BTreeMap<String, Object> {
        &self.objects
    }

    /// How many uploads in parts have begun and not ended.
    pub fn open_uploads(&self) -> usize {
        self.uploads.len()
    }

    fn on_object(&mut self, asked: &Asked, key: &str) -> Reply {
        let upload = parameter(asked, "uploadId");
        match (asked.method.as_str(), upload) {
            ("PUT", Some(id)) => self.take_part(asked, &id),
            ("POST", Some(id)) => self.complete(asked, &id),
            ("DELETE", Some(id)) => match self.uploads.remove(&id) {
                Some(_) => Reply::status(204),
                None => error(404, "NoSuchUpload"),
            },
            ("POST", None) if parameter(asked, "uploads").is_some() => self.begin(asked, key),
            ("PUT", None) => {
                let reply = Reply::status(200).with("etag", tag_of(&asked.body));
                self.store(key, asked.body.clone(), content_type(asked), asked.at);
                reply
            }
            ("GET" | "HEAD", None) => self.read(asked, key),
            ("DELETE", None) => {
                self.objects.remove(key);
                Reply::status(204)
            }
            _ => error(405, "MethodNotAllowed"),
        }
    }

    fn read(&self, asked: &Asked, key: &str) -> Reply {
        let Some(object) = self.objects.get(key) else { return error(404, "NoSuchKey") };
        let reply = Reply::status(200)
            .with("content-type", &object.content_type)
            .with("etag", object.tag())
            .with("last-modified", self.clock.http_date(object.stored_at));
        if asked.method == "HEAD" {
            return reply.with("content-length", object.bytes.len());
        }
        let Some((from, to)) = asked.header("range").and_then(|range| range_of(range, object.bytes.len()))
        else {
            return reply.body(object.bytes.clone());
        };
        let range = format!("bytes {from}-{}/{}", to - 1, object.bytes.len());
        Reply { status: 206, ..reply.with("content-range", range).body(object.bytes[from..to].to_vec()) }
    }

    fn begin(&mut self, asked: &Asked, key: &str) -> Reply {
        self.begun += 1;
        let id = format!("upload-{}", self.begun);
        let upload =
            Upload { key: key.to_owned(), content_type: content_type(asked), parts: BTreeMap::new() };
        self.uploads.insert(id.clone(), upload);
        xml(&format!(
            "<InitiateMultipartUploadResult><Bucket>{NAME}</Bucket><Key>{}</Key><UploadId>{id}</UploadId>\
             </InitiateMultipartUploadResult>",
            escape(key)
        ))
    }

    fn take_part(&mut self, asked: &Asked, id: &str) -> Reply {
        let number = parameter(asked, "partNumber").and_then(|number| number.parse().ok());
        let Some(number @ 1..=10_000) = number else { return error(400, "InvalidArgument") };
        let Some(upload) = self.uploads.get_mut(id) else { return error(404, "NoSuchUpload") };
        upload.parts.insert(number, asked.body.clone());
        Reply::status(200).with("etag", tag_of(&asked.body))
    }

    fn complete(&mut self, asked: &Asked, id: &str) -> Reply {
        let Some(upload) = self.uploads.get(id) else { return error(404, "NoSuchUpload") };
        let Some(named) = parts_named(&asked.text()) else { return error(400, "MalformedXML") };
        if !named.is_sorted_by(|(one, _), (other, _)| one < other) {
            return error(400, "InvalidPartOrder");
        }
        let mut bytes = Vec::new();
        for (number, tag) in &named {
            match upload.parts.get(number) {
                Some(part) if tag_of(part) == *tag => bytes.extend(part),
                _ => return error(400, "InvalidPart"),
            }
        }
        let Upload { key, content_type, .. } = upload.clone();
        self.uploads.remove(id);
        self.store(&key, bytes, content_type, asked.at);
        xml(&format!(
            "<CompleteMultipartUploadResult><Bucket>{NAME}</Bucket><Key>{}</Key>\
             </CompleteMultipartUploadResult>",
            escape(&key)
        ))
    }

    fn list(&self, asked: &Asked) -> Reply {
        let prefix = parameter(asked, "prefix").unwrap_or_default();
        let after = parameter(asked, "continuation-token").or_else(|| parameter(asked, "start-after"));
        let most =
            parameter(asked, "max-keys").and_then(|most| most.parse().ok()).unwrap_or(LISTED).min(LISTED);
        let fits = |key: &String| key.starts_with(&prefix) && after.as_ref().is_none_or(|after| key > after);
        let mut found = self.objects.iter().filter(|(key, _)| fits(key));
        let mut text = format!("<ListBucketResult><Name>{NAME}</Name><Prefix>{}</Prefix>", escape(&prefix));
        let mut last = String::new();
        for (key, object) in found.by_ref().take(most) {
            last.clone_from(key);
            text += &format!(
                "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
                escape(key),
                self.clock.rfc3339(object.stored_at),
                escape(object.tag()),
                object.bytes.len()
            );
        }
        let is_cut = found.next().is_some();
        text += &format!("<IsTruncated>{is_cut}</IsTruncated>");
        if is_cut {
            text += &format!("<NextContinuationToken>{}</NextContinuationToken>", escape(&last));
        }
        xml(&(text + "</ListBucketResult>"))
    }

    fn store(&mut self, key: &str, bytes: Vec<u8>, content_type: String, stored_at: Instant) {
        self.objects.insert(key.to_owned(), Object { bytes, content_type, stored_at });
    }
}

impl Answers for Bucket {
    fn answer(&mut self, asked: &Asked) -> Reply {
        if let Err(denied) = check(asked, &self.credentials, &self.clock) {
            let (status, code) = denied.code();
            return error(status, code);
        }
        let path = asked.path().trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        match (bucket == NAME, key) {
            (false, _) => error(404, "NoSuchBucket"),
            (true, "") if asked.method == "GET" => self.list(asked),
            (true, "") => error(405, "MethodNotAllowed"),
            (true, key) => self.on_object(asked, &unescape(key)),
        }
    }
}

fn error(status: u16, code: &str) -> Reply {
    let reply = xml(&format!("<Error><Code>{code}</Code></Error>"));
    Reply { status, ..reply }
}

fn xml(text: &str) -> Reply {
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{text}");
    Reply::status(200).with("content-type", "application/xml").body(text)
}

fn content_type(asked: &Asked) -> String {
    asked.header("content-type").unwrap_or("application/octet-stream").to_owned()
}

/// What names a version of an object; S3 promises no more.
fn tag_of(bytes: &[u8]) -> String {
    format!("\"{}\"", &hash(bytes)[..32])
}

/// The value of a parameter behind `?`; empty when it has none.
fn parameter(asked: &Asked, name: &str) -> Option<String> {
    let parameters =
        asked.query().split('&').map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")));
    let mut found = parameters.filter(|(known, _)| *known == name);
    found.next().map(|(_, value)| unescape(value))
}

/// Resolves `%2F`.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let digits = more.get(..2).filter(|_| *first == b'%');
        let byte = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &more[2..] } else { more };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `bytes=0-9`, from and to behind the last one; `None` when it is nothing of an object of this length.
fn range_of(text: &str, length: usize) -> Option<(usize, usize)> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    let from: usize = from.parse().ok()?;
    let to = if to.is_empty() { length } else { to.parse::<usize>().ok()?.checked_add(1)?.min(length) };
    (from < to).then_some((from, to))
}

/// The parts of a CompleteMultipartUpload, in its order.
fn parts_named(text: &str) -> Option<Vec<(u32, String)>> {
    let mut reader = Reader::from_str(text);
    let (mut parts, mut within) = (Vec::new(), Vec::new());
    let (mut number, mut tag) = (None, String::new());
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => within = start.local_name().as_ref().to_vec(),
            Event::Text(words) => match within.as_slice() {
                b"PartNumber" => number = words.decode().ok()?.trim().parse().ok(),
                b"ETag" => tag += &words.decode().ok()?,
                _ => {}
            },
            Event::GeneralRef(reference) if within == b"ETag" && *reference == *b"quot" => tag.push('"'),
            Event::End(end) => {
                within.clear();
                if end.local_name().as_ref() == b"Part" {
                    parts.push((number.take()?, std::mem::take(&mut tag)));
                }
            }
            Event::Eof => return (!parts.is_empty()).then_some(parts),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_upload_are_read_in_their_order() {
        let text = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;a&quot;</ETag></Part>\
                    <Part><ETag>\"b\"</ETag><PartNumber>2</PartNumber></Part></CompleteMultipartUpload>";
        let expected = vec![(1, "\"a\"".to_owned()), (2, "\"b\"".to_owned())];
        assert_eq!(parts_named(text), Some(expected));
        assert_eq!(parts_named("<CompleteMultipartUpload/>"), None);
        assert_eq!(parts_named("no XML <"), None);
    }

    #[test]
    fn a_range_is_cut_at_the_end_of_the_object() {
        assert_eq!(range_of("bytes=0-9", 100), Some((0, 10)));
        assert_eq!(range_of("bytes=90-200", 100), Some((90, 100)));
        assert_eq!(range_of("bytes=90-", 100), Some((90, 100)));
        assert_eq!(range_of("bytes=100-", 100), None);
        assert_eq!(range_of("lines=1-2", 100), None);
    }
}
