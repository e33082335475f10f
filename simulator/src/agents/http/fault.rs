//! What can be wrong with an answer, by name.

use super::{Flow, Reply};
use pbx::time::Duration;
use std::fmt;
use std::str::FromStr;

/// A misbehaviour of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It takes the request and says nothing.
    NeverAnswers,
    /// It closes the connection instead of an answer.
    HangsUp,
    /// It thinks for so long.
    AnswersAfter(Duration),
    /// It answers with this status, whatever was asked.
    Answers(u16),
    /// It closes the connection in the middle of its answer.
    BreaksOff,
    /// It says 200 and that it is JSON, and it is not.
    SpeaksNoJson,
    /// One byte, 100 ms, the next one.
    IsSlow,
    /// So many MiB come, whatever was asked.
    IsVerbose(usize),
    /// It sends the client elsewhere.
    Redirects(String),
}

impl Fault {
    /// What becomes of an answer.
    pub(super) fn spoil(&self, mut reply: Reply) -> Reply {
        match self {
            Fault::NeverAnswers => reply.flow = Flow::Never,
            Fault::HangsUp => reply.flow = Flow::HangsUp,
            Fault::AnswersAfter(time) => reply.after = *time,
            Fault::Answers(status) => reply = Reply::status(*status),
            Fault::BreaksOff => {
                // An empty answer has no middle.
                if reply.body.is_empty() {
                    reply.body = b"{}".to_vec();
                }
                reply.flow = Flow::BreaksOff { after: reply.body.len() / 2 };
            }
            Fault::SpeaksNoJson => reply.body = b"<html>hello</html>".to_vec(),
            Fault::IsSlow => reply.flow = Flow::Slowly { piece: 1, pause: Duration::from_millis(100) },
            Fault::IsVerbose(size) => reply.body = vec![b' '; size << 20],
            Fault::Redirects(place) => reply = Reply::status(302).with("location", place),
        }
        reply
    }
}

/// As it stands in a sentence: `answers after 1.5 seconds`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NeverAnswers => f.write_str("never answers"),
            Fault::HangsUp => f.write_str("hangs up"),
            Fault::AnswersAfter(time) => write!(f, "answers after {} seconds", time.as_secs_f64()),
            Fault::Answers(status) => write!(f, "answers {status}"),
            Fault::BreaksOff => f.write_str("breaks off"),
            Fault::SpeaksNoJson => f.write_str("speaks no JSON"),
            Fault::IsSlow => f.write_str("is slow"),
            Fault::IsVerbose(size) => write!(f, "says {size} MB"),
            Fault::Redirects(place) => write!(f, "redirects to {place}"),
        }
    }
}

impl FromStr for Fault {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Fault, &'static str> {
        let number = |text: &str| text.split(' ').next().and_then(|word| word.parse::<f64>().ok());
        let rest = |verb: &str| text.strip_prefix(verb);
        match text {
            "never answers" => return Ok(Fault::NeverAnswers),
            "hangs up" => return Ok(Fault::HangsUp),
            "breaks off" => return Ok(Fault::BreaksOff),
            "speaks no JSON" => return Ok(Fault::SpeaksNoJson),
            "is slow" => return Ok(Fault::IsSlow),
            _ => {}
        }
        if let Some(time) = rest("answers after ").and_then(number) {
            return Ok(Fault::AnswersAfter(Duration::from_secs_f64(time)));
        }
        if let Some(status) = rest("answers ").and_then(|status| status.parse().ok()) {
            return Ok(Fault::Answers(status));
        }
        if let Some(size) = rest("says ").and_then(number) {
            return Ok(Fault::IsVerbose(size as usize));
        }
        let place = rest("redirects to ").map(str::to_owned);
        place.map(Fault::Redirects).ok_or("no misbehaviour has this name")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misbehaviour_is_read_as_it_is_said() {
        let time = Duration::from_millis(1_500);
        let all = [
            Fault::NeverAnswers,
            Fault::HangsUp,
            Fault::AnswersAfter(time),
            Fault::Answers(503),
            Fault::BreaksOff,
            Fault::SpeaksNoJson,
            Fault::IsSlow,
            Fault::IsVerbose(3),
            Fault::Redirects("http://10.0.0.9/".to_owned()),
        ];
        for fault in all {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        assert!("sleeps".parse::<Fault>().is_err());
    }
}
