//! By what a message finds its transaction (RFC 3261 sections 17.1.3, 17.2.3 and 8.2.2.2).

use crate::rng::Rng;
use crate::sip::{Method, Request, Via};
use smallvec::SmallVec;
use std::fmt;

/// What every branch since RFC 3261 begins with.
const MAGIC_COOKIE: &str = "z9hG4bK";

/// The branch of a request of ours, without its magic cookie: 80 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Branch([u8; 16]);

impl Branch {
    /// One that nobody has seen.
    pub(super) fn new(rng: &mut Rng) -> Branch {
        let mut branch = [0; 16];
        branch.copy_from_slice(rng.token(16).as_bytes());
        Branch(branch)
    }

    /// The branch of a Via, if it may be one of ours, in whatever case it comes back (RFC 3261 section 7.3.1).
    pub(super) fn of(via: &Via<'_>) -> Option<Branch> {
        let (cookie, rest) = via.branch()?.split_at_checked(MAGIC_COOKIE.len())?;
        let branch: [u8; 16] = rest.as_bytes().try_into().ok()?;
        cookie
            .eq_ignore_ascii_case(MAGIC_COOKIE)
            .then(|| Branch(branch.map(|byte| byte.to_ascii_lowercase())))
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MAGIC_COOKIE)?;
        f.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

/// Bytes that two messages share when, and only when, they belong together.
pub(super) type Key = SmallVec<[u8; 160]>;

/// What a request shares with its repetitions and, when `method` is that of an INVITE, with its ACK and CANCEL.
pub(super) struct ServerKey {
    /// The bytes.
    pub(super) key: Key,
    /// The client follows RFC 2543: the branch says nothing, and ACK matches only with the tag of the response.
    pub(super) is_old: bool,
}

impl ServerKey {
    /// The key of a request whose top Via is `via`, taken as one of `method`.
    pub(super) fn of(request: &Request, via: &Via<'_>, method: &Method) -> ServerKey {
        let branch = via.branch().unwrap_or_default();
        let is_old = !has_magic_cookie(branch);
        let mut key = Key::new();
        push_lowercase(&mut key, branch);
        push_lowercase(&mut key, via.host.as_str());
        key.extend_from_slice(&via.port.unwrap_or(0).to_be_bytes());
        push(&mut key, method.as_str());
        if is_old {
            // The To tag is left out: that of an ACK is the tag of the response, and is looked at there.
            push(&mut key, request.uri());
            push_origin(&mut key, request);
        }
        ServerKey { key, is_old }
    }
}

/// What a request shares with copies of it that took another way (RFC 3261 section 8.2.2.2); only for a request outside a
/// dialog.
pub(super) fn origin(request: &Request) -> Option<Key> {
    if request.to_header().ok()?.tag().is_some() {
        return None;
    }
    let mut key = Key::new();
    push_origin(&mut key, request);
    push(&mut key, request.method().as_str());
    Some(key)
}

fn has_magic_cookie(branch: &str) -> bool {
    let cookie = branch.get(..MAGIC_COOKIE.len());
    branch.len() > MAGIC_COOKIE.len()
        && cookie.is_some_and(|cookie| cookie.eq_ignore_ascii_case(MAGIC_COOKIE))
}

/// Call-ID, From tag and CSeq number.
fn push_origin(key: &mut Key, request: &Request) {
    push(key, request.call_id());
    push(key, request.from().ok().and_then(|from| from.tag()).unwrap_or_default());
    key.extend_from_slice(&request.cseq().map_or(0, |cseq| cseq.number).to_be_bytes());
}

/// A text and its end, which no header value can hold.
fn push(key: &mut Key, text: &str) {
    key.extend_from_slice(text.as_bytes());
    key.push(0);
}

/// Host names and parameter values are compared without case (RFC 3261 section 7.3.1).
fn push_lowercase(key: &mut Key, text: &str) {
    key.extend(text.bytes().map(|byte| byte.to_ascii_lowercase()));
    key.push(0);
}
