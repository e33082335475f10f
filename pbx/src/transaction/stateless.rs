//! Responses that need no decision of the TU: 100, 200 and 481 to CANCEL, 482, and without a transaction 400 and 503.

use crate::sip::{Name, Refusal, Request, Response, StatusCode};

/// Letters of a To tag of ours.
pub(super) const TAG_LENGTH: usize = 12;

/// When a client that found no room may come again, in seconds.
const RETRY_AFTER: u32 = 10;

/// The 100 to a request (RFC 3261 section 8.2.6.1), as it goes over the wire.
pub(super) fn trying(request: &Request) -> Vec<u8> {
    let mut response = Response::to(request, StatusCode::TRYING, None);
    if let Some(timestamp) = request.headers().get(Name::Timestamp) {
        response.headers_mut().push(Name::Timestamp, timestamp);
    }
    response.headers_mut().push(Name::ContentLength, 0);
    response.to_bytes()
}

/// A final response of ours.
pub(super) fn response(request: &Request, status: StatusCode, tag: &str) -> Response {
    let mut response = Response::to(request, status, Some(tag));
    response.headers_mut().push(Name::ContentLength, 0);
    response
}

/// A final response without a transaction.
pub(super) fn refusal(request: &Request, refusal: &Refusal, tag: &str) -> Response {
    let mut response = refusal.answer(request, tag);
    response.headers_mut().push(Name::ContentLength, 0);
    if refusal.status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().push(Name::RetryAfter, RETRY_AFTER);
    }
    response
}

/// The tag of a response without a transaction: the same when the request is repeated, for we remember nothing (RFC 3261
/// section 8.2.7). FNV-1a over what repetitions share.
pub(super) fn tag(request: &Request, secret: u64) -> String {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let shared = [Name::Via, Name::From, Name::CallId, Name::CSeq];
    let texts = shared.into_iter().filter_map(|name| request.headers().get(name));
    let hash =
        texts.flat_map(str::bytes).fold(secret, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    format!("{hash:016x}")
}
