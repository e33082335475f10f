//! What an INVITE to a recorder carries: a description and metadata in one body (RFC 7866 section 9, RFC 2046 section 5.1).

use crate::wire::end_of_head;

/// The type of metadata (RFC 7865 section 5), and the one that RFC 7866 names by mistake (RFC 9806).
const METADATA: [&str; 2] = ["application/rs-metadata+xml", "application/rs-metadata"];

/// The most parts that are looked at.
const PARTS: usize = 16;

/// What was in a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Envelope {
    /// The session description.
    pub(super) description: Option<Vec<u8>>,
    /// The metadata.
    pub(super) metadata: Option<String>,
}

/// Opens a body of this type; what is wrong with it is said in words.
pub(super) fn open(kind: &str, body: &[u8]) -> Result<Envelope, String> {
    let mut envelope = Envelope::default();
    let essence = essence_of(kind);
    if essence == "application/sdp" {
        envelope.description = Some(body.to_vec());
        return Ok(envelope);
    }
    if essence != "multipart/mixed" {
        return Err(format!("the body is {essence:?} and not multipart/mixed"));
    }
    let boundary = parameter(kind, "boundary").ok_or("multipart/mixed has no boundary")?;
    for part in parts(body, &boundary)? {
        let (head, content) = split_head(part).ok_or("a part has no empty line behind its head")?;
        let kind = field(head, "content-type").unwrap_or_default();
        let essence = essence_of(&kind);
        if essence == "application/sdp" {
            envelope.description = Some(content.to_vec());
        } else if METADATA.contains(&essence.as_str()) {
            let disposition = field(head, "content-disposition").unwrap_or_default();
            if essence_of(&disposition) != "recording-session" {
                return Err(format!("the disposition of the metadata is {disposition:?}"));
            }
            let text = String::from_utf8(content.to_vec()).map_err(|_| "the metadata is no UTF-8")?;
            envelope.metadata = Some(text);
        }
    }
    Ok(envelope)
}

/// Puts both into one body, with a boundary that occurs in neither.
pub(super) fn close(description: &[u8], metadata: &str, boundary: &str) -> (String, Vec<u8>) {
    let mut body = format!("--{boundary}\r\nContent-Type: application/sdp\r\n\r\n").into_bytes();
    body.extend(description);
    body.extend(
        format!(
            "\r\n--{boundary}\r\nContent-Type: application/rs-metadata+xml\r\n\
             Content-Disposition: recording-session\r\n\r\n{metadata}\r\n--{boundary}--\r\n"
        )
        .into_bytes(),
    );
    (format!("multipart/mixed;boundary={boundary}"), body)
}

/// What stands between the delimiters.
fn parts<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<&'a [u8]>, String> {
    let delimiter = format!("--{boundary}").into_bytes();
    let starts: Vec<usize> = body
        .windows(delimiter.len())
        .enumerate()
        .filter(|(at, window)| *window == delimiter && (*at == 0 || body[at - 1] == b'\n'))
        .map(|(at, _)| at)
        .collect();
    let last = starts.last().ok_or("the boundary does not occur")?;
    if !body[last + delimiter.len()..].starts_with(b"--") {
        return Err("the last delimiter is missing".to_owned());
    }
    if starts.len() > PARTS {
        return Err("there are too many parts".to_owned());
    }
    let inside = |pair: &[usize]| {
        let part = &body[pair[0] + delimiter.len()..pair[1]];
        // The line ends around a part belong to its delimiters.
        let part = part.strip_prefix(b"\r\n").unwrap_or(part);
        part.strip_suffix(b"\r\n").unwrap_or(part)
    };
    Ok(starts.windows(2).map(inside).collect())
}

fn split_head(part: &[u8]) -> Option<(&str, &[u8])> {
    let at = end_of_head(part)?;
    Some((std::str::from_utf8(&part[..at]).ok()?, &part[at + 4..]))
}

fn field(head: &str, name: &str) -> Option<String> {
    let fields = head.split("\r\n").filter_map(|line| line.split_once(':'));
    let mut found = fields.filter(|(known, _)| known.trim().eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.trim().to_owned())
}

fn essence_of(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn parameter(value: &str, name: &str) -> Option<String> {
    let parameters = value.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let mut found = parameters.filter(|(known, _)| known.trim().eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.trim().trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_closed_is_opened() {
        let (kind, body) = close(b"v=0\r\n", "<recording/>", "xyz");
        let envelope = open(&kind, &body).expect("an envelope");
        assert_eq!(envelope.description.as_deref(), Some(b"v=0\r\n".as_slice()));
        assert_eq!(envelope.metadata.as_deref(), Some("<recording/>"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let (kind, body) = close(b"v=0\r\n", "<recording/>", "xyz");
        let wrong = |kind: &str, body: &[u8]| open(kind, body).expect_err("something is wrong");
        assert_eq!(wrong("text/plain", &body), "the body is \"text/plain\" and not multipart/mixed");
        assert_eq!(wrong("multipart/mixed", &body), "multipart/mixed has no boundary");
        assert_eq!(wrong("multipart/mixed;boundary=abc", &body), "the boundary does not occur");
        assert_eq!(wrong(&kind, &body[..body.len() - 4]), "the last delimiter is missing");
        let text = String::from_utf8(body).expect("text").replace("recording-session", "session");
        assert_eq!(wrong(&kind, text.as_bytes()), "the disposition of the metadata is \"session\"");
    }
}
