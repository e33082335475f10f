//! A request of ours is challenged (401, 407): it is sent again with credentials (RFC 3261 section 22.2).

use super::shared::Credentials;
use crate::rng::Rng;
use crate::sip::digest::{self, Challenge};
use crate::sip::{Name, Request, Response};

/// Puts the answer to a challenge into `request`. False when there is no challenge we can answer, or when the same password
/// was refused before.
pub(super) fn answer(
    request: &mut Request,
    refusal: &Response,
    credentials: &Credentials,
    rng: &mut Rng,
) -> bool {
    let Some((header, challenge)) = Challenge::of(refusal) else { return false };
    if was_answered(request, header, &challenge.realm) {
        if !challenge.stale {
            return false;
        }
        request.headers_mut().remove(header);
    }
    let (user, password) = credentials;
    // A nonce is used once: the next request is challenged again, with a nonce of its own.
    let answer = challenge.answer(request, user, password, &rng.token(16), 1);
    request.headers_mut().push(header, answer);
    true
}

fn was_answered(request: &Request, header: Name, realm: &str) -> bool {
    request
        .headers()
        .all(header)
        .filter_map(|line| digest::Credentials::parse(line).ok())
        .any(|credentials| credentials.realm == realm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{Method, StatusCode};

    #[test]
    fn the_same_password_is_told_once_unless_only_the_nonce_was_old() {
        let credentials = ("alice".to_owned(), "secret".to_owned());
        let mut rng = Rng::from_number(1);
        let mut request = Request::new(Method::Invite, "sip:bob@10.0.0.1");
        let mut refusal = Response::new(StatusCode::UNAUTHORIZED);
        refusal.headers_mut().push(Name::WwwAuthenticate, "Digest realm=\"pbx\", nonce=\"1\", qop=\"auth\"");
        assert!(answer(&mut request, &refusal, &credentials, &mut rng));
        assert!(!answer(&mut request, &refusal, &credentials, &mut rng));
        refusal.headers_mut().set(Name::WwwAuthenticate, "Digest realm=\"pbx\", nonce=\"2\", stale=true");
        assert!(answer(&mut request, &refusal, &credentials, &mut rng));
        assert_eq!(request.headers().count(Name::Authorization), 1);
    }
}
