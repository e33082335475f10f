//! What the caller hears when a call comes to nothing: one status from those of all branches.
//!
//! We are not a proxy: what a callee says about the request it got is about a request that we have made, so only what it says
//! about itself is passed on (RFC 7092 section 3, RFC 3261 section 16.7).
//!
//! | the callee | from an extension | from a trunk |
//! |---|---|---|
//! | is busy or declines: 486, 600, 603, 607, 608 | the same | the same |
//! | does not take this caller: 403, 433 | the same | the same |
//! | is not there: 480 | 480 | 480 |
//! | rang and rang; 408; ended it unasked: 487 | 480 | 480 |
//! | has no codec for it: 415, 488, 606 | 488 | 488 |
//! | has no such number, or not all of it: 404, 410, 484, 604 | 480: the number is ours, the telephone is set up badly | the same |
//! | wants to be asked elsewhere: 3xx that was not followed | 480 | 502 |
//! | wants a password that we do not have: 401, 407 | 480 | 502 |
//! | does not like our request: other 4xx | 480 | 502 |
//! | is broken or full: 5xx | 480 | 502, so that nobody takes a 503 for ours (RFC 3261 section 21.5.4) |
//! | says nothing at all | 480 | 504 |

use crate::sip::{Contacts, Name, Response, StatusCode};

/// Who was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callee {
    /// A telephone of ours.
    Extension,
    /// Another system.
    Trunk,
}

/// How a branch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// By this final response, 300 to 699.
    Answered(StatusCode),
    /// It rang and rang.
    NoAnswer,
    /// No response at all, or it could not be sent.
    Silence,
}

/// What the caller is told when this was all: the table above.
pub fn map_refusal(outcome: Outcome, callee: Callee) -> StatusCode {
    let status = match (outcome, callee) {
        (Outcome::Answered(status), _) => status,
        (Outcome::NoAnswer, _) | (Outcome::Silence, Callee::Extension) => {
            return StatusCode::TEMPORARILY_UNAVAILABLE;
        }
        (Outcome::Silence, Callee::Trunk) => return StatusCode::SERVER_TIME_OUT,
    };
    match (status.code(), callee) {
        (403 | 433 | 480 | 486, _) => status,
        (408 | 487, _) => StatusCode::TEMPORARILY_UNAVAILABLE,
        (415 | 488 | 606, _) => StatusCode::NOT_ACCEPTABLE_HERE,
        (404 | 410 | 484 | 604, Callee::Trunk) => status,
        (604, Callee::Extension) => StatusCode::TEMPORARILY_UNAVAILABLE,
        (600.., _) => status,
        (_, Callee::Extension) => StatusCode::TEMPORARILY_UNAVAILABLE,
        (_, Callee::Trunk) => StatusCode::BAD_GATEWAY,
    }
}

/// The best of what [`map_refusal`] made of several branches; 480 of none. A 6xx speaks for all; otherwise the lowest class,
/// and in it what tells the caller most (RFC 3261 section 16.7 step 6).
pub fn best(statuses: &[StatusCode]) -> StatusCode {
    let rank = |status: &StatusCode| match status.code() {
        600.. => 0,
        484 => 1,
        486 => 2,
        488 => 3,
        480 => 5,
        ..=499 => 4,
        500..=599 => 6,
    };
    statuses.iter().copied().min_by_key(rank).unwrap_or(StatusCode::TEMPORARILY_UNAVAILABLE)
}

/// Whether the next target of a trunk is to be tried after this: the target is at fault, not the number (RFC 3263 section
/// 4.3). A redirection is not followed, and a refused password may be one of this target.
pub fn tries_next(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Silence => true,
        Outcome::NoAnswer => false,
        Outcome::Answered(status) => matches!(status.code(), 300..=399 | 401 | 402 | 407 | 500..=599),
    }
}

/// The number a telephone forwards to: that of the most preferred Contact of its 301 or 302 (RFC 3261 section 8.1.3.4). Its
/// host is not looked at: the call goes where that number leads here.
pub fn redirected_to(response: &Response) -> Option<String> {
    if !matches!(response.status(), StatusCode::MOVED_PERMANENTLY | StatusCode::MOVED_TEMPORARILY) {
        return None;
    }
    let Ok(Contacts::These(mut contacts)) = Contacts::parse(response.list(Name::Contact)) else {
        return None;
    };
    contacts.sort_by_key(|contact| std::cmp::Reverse(contact.preference()));
    contacts.iter().map(|contact| super::dialled(contact.uri)).find(|number| !number.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_becomes_one_that_the_caller_can_use() {
        for code in 300..700 {
            let status = StatusCode::new(code).unwrap();
            for callee in [Callee::Extension, Callee::Trunk] {
                let told = map_refusal(Outcome::Answered(status), callee).code();
                assert!(told >= 400, "{code} became {told}");
                assert!(
                    !matches!(told, 401 | 407),
                    "nobody can answer a challenge that is not for him: {code}"
                );
                assert_ne!(told, 503, "a 503 would be taken for ours: {code}");
            }
        }
    }

    #[test]
    fn the_rows_of_the_table() {
        use Callee::{Extension, Trunk};
        for (code, callee, told) in [
            (486, Extension, 486),
            (600, Trunk, 600),
            (607, Extension, 607),
            (404, Trunk, 404),
            (404, Extension, 480),
            (604, Extension, 480),
            (302, Extension, 480),
            (302, Trunk, 502),
            (407, Trunk, 502),
            (606, Trunk, 488),
            (420, Extension, 480),
            (503, Extension, 480),
            (503, Trunk, 502),
            (408, Trunk, 480),
        ] {
            let outcome = Outcome::Answered(StatusCode::new(code).unwrap());
            assert_eq!(map_refusal(outcome, callee).code(), told, "{code} from {callee:?}");
        }
        assert_eq!(map_refusal(Outcome::Silence, Trunk), StatusCode::SERVER_TIME_OUT);
        assert_eq!(map_refusal(Outcome::Silence, Extension), StatusCode::TEMPORARILY_UNAVAILABLE);
        assert_eq!(map_refusal(Outcome::NoAnswer, Trunk), StatusCode::TEMPORARILY_UNAVAILABLE);
    }

    #[test]
    fn of_several_the_caller_hears_what_says_most() {
        for (codes, told) in [
            (&[480, 486][..], 486),
            (&[480, 488], 488),
            (&[502, 480], 480),
            (&[486, 603, 480], 603),
            (&[504, 502], 504),
            (&[480, 403], 403),
            (&[], 480),
        ] {
            let statuses: Vec<StatusCode> = codes.iter().filter_map(|&code| StatusCode::new(code)).collect();
            assert_eq!(best(&statuses).code(), told, "{codes:?}");
        }
    }

    #[test]
    fn the_next_target_is_tried_when_the_target_is_at_fault() {
        let answered = |code| Outcome::Answered(StatusCode::new(code).unwrap());
        assert!(tries_next(Outcome::Silence) && tries_next(answered(503)) && tries_next(answered(407)));
        assert!(!tries_next(Outcome::NoAnswer) && !tries_next(answered(486)) && !tries_next(answered(404)));
        assert!(!tries_next(answered(603)));
    }

    #[test]
    fn a_telephone_forwards_to_its_preferred_number() {
        let mut response = Response::new(StatusCode::MOVED_TEMPORARILY);
        assert_eq!(redirected_to(&response), None);
        response.headers_mut().push(Name::Contact, "<mailto:a@b>, <sip:1003@x>;q=0.1, <sip:1002@y>;q=0.9");
        assert_eq!(redirected_to(&response).as_deref(), Some("1002"));
        let mut other = Response::new(StatusCode::MULTIPLE_CHOICES);
        other.headers_mut().push(Name::Contact, "<sip:1002@y>");
        assert_eq!(redirected_to(&other), None);
    }
}
