//! Why a REGISTER is refused (RFC 3261 section 10.3).

use crate::dialog::Reply;
use crate::sip::StatusCode;
use crate::time::Duration;

/// Why a REGISTER is refused; then nothing of it has been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It cannot be understood.
    Malformed(&'static str),
    /// It is not for our domain, or there is no such extension.
    NotFound,
    /// A proxy has put itself on the way of a telephone that does not know of Path (RFC 3327 section 5.3).
    PathNotSupported,
    /// It would be renewed more often than we like.
    TooBrief {
        /// The shortest we take.
        min_expires: Duration,
    },
    /// One contact more than allowed.
    TooManyContacts,
    /// A later REGISTER of the same telephone has been here before.
    OutOfOrder,
}

impl Refused {
    pub(super) fn reply(self) -> Reply {
        let reply = |status: StatusCode, reason: Option<&str>, headers: Vec<(String, String)>| Reply {
            status,
            reason: reason.map(str::to_owned),
            headers,
            body: None,
        };
        let header = |name: &str, value: String| vec![(name.to_owned(), value)];
        match self {
            Refused::Malformed(reason) => reply(StatusCode::BAD_REQUEST, Some(reason), Vec::new()),
            Refused::NotFound => reply(StatusCode::NOT_FOUND, None, Vec::new()),
            Refused::PathNotSupported => {
                reply(StatusCode::BAD_EXTENSION, None, header("Unsupported", "path".into()))
            }
            Refused::TooBrief { min_expires } => {
                let seconds = min_expires.as_secs().to_string();
                reply(StatusCode::INTERVAL_TOO_BRIEF, None, header("Min-Expires", seconds))
            }
            Refused::TooManyContacts => reply(StatusCode::FORBIDDEN, Some("Too Many Contacts"), Vec::new()),
            Refused::OutOfOrder => {
                reply(StatusCode::SERVER_INTERNAL_ERROR, Some("CSeq Out Of Order"), Vec::new())
            }
        }
    }
}
