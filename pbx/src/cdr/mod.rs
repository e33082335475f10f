//! The call record: what happened in one call, written when it is over.

use crate::time::Instant;
use serde::Serialize;
use std::fmt;

/// One call, one record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// The PBX's id of the call.
    pub call_id: String,
    /// Call-ID of the caller's dialog.
    pub sip_call_id: String,
    /// Who called: the user part of From.
    pub caller: String,
    /// What was dialled: the user part of the Request-URI.
    pub dialled: String,
    /// Who answered: extension, trunk:name, or the application.
    pub answered_by: Option<String>,
    /// RFC 3339, UTC, microseconds: when the INVITE came.
    pub started_at: String,
    /// When it first rang.
    pub ringing_at: Option<String>,
    /// When it was answered.
    pub answered_at: Option<String>,
    /// When it was over.
    pub ended_at: String,
    /// Seconds from start to end.
    pub duration_secs: f64,
    /// Seconds from answer to end; 0 when it was not answered.
    pub billed_secs: f64,
    /// `answered`, `busy`, `no_answer`, `cancelled`, `failed`, `interrupted`.
    pub disposition: Disposition,
    /// The final status the caller saw.
    pub status: u16,
    /// `caller`, `callee`, `pbx`.
    pub ended_by: EndedBy,
    /// Why, in words: `hangup`, `rtp timeout`, `session expired`, ...
    pub reason: String,
    /// The route that was taken.
    pub route: Option<String>,
    /// Per leg, caller first: codec and what was counted.
    pub media: Vec<MediaRecord>,
}

/// How a call came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// 2xx.
    Answered,
    /// 486, 600.
    Busy,
    /// 408, 480, or the ring time was over.
    NoAnswer,
    /// The caller gave up.
    Cancelled,
    /// Anything else.
    Failed,
    /// The PBX was killed while the call was up.
    Interrupted,
}

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The one who called.
    Caller,
    /// The one who was called.
    Callee,
    /// Us: a timeout, a limit, the end of an application, a shutdown.
    Pbx,
}

/// Why a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// One of the two has hung up.
    HungUp,
    /// The caller gave up before anybody had answered.
    Cancelled,
    /// An application has hung up, and gave no reason.
    Application,
    /// A side was no longer heard of.
    NoRtp,
    /// Whom it was with talks to somebody else now.
    Transferred,
    /// Anything else, in words.
    Said(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::HungUp => "hung up",
            Why::Cancelled => "cancelled",
            Why::Application => "hung up by an application",
            Why::NoRtp => "no RTP came any more",
            Why::Transferred => "the call was transferred",
            Why::Said(words) => words,
        })
    }
}

impl From<&str> for Why {
    fn from(words: &str) -> Why {
        Why::Said(words.to_owned())
    }
}

impl From<String> for Why {
    fn from(words: String) -> Why {
        Why::Said(words)
    }
}

/// The media of one leg.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MediaRecord {
    /// `caller` or the name of the callee.
    pub leg: String,
    /// Encoding name.
    pub codec: Option<String>,
    /// RTP packets.
    pub packets_sent: u64,
    /// RTP packets.
    pub packets_received: u64,
    /// RTP packets.
    pub packets_lost: i64,
    /// Milliseconds.
    pub jitter_ms: f64,
    /// 1.0 to 4.5.
    pub mos: Option<f64>,
    /// How that came about.
    pub quality: Option<QualityRecord>,
}

/// The inputs of the mean opinion score (E-model, ITU-T G.107), and the rating in between.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QualityRecord {
    /// Packets that were lost, in percent.
    pub loss_percent: f64,
    /// From mouth to ear, in milliseconds.
    pub delay_ms: f64,
    /// What the delay takes off the rating.
    pub delay_impairment: f64,
    /// What the loss takes off it.
    pub loss_impairment: f64,
    /// The transmission rating R.
    pub rating: f64,
}

/// What a call that is still up would leave behind if the PBX were killed now; a journal for the next start.
#[derive(Clone, Debug)]
pub struct Journal {
    /// When this was so.
    pub at: Instant,
    /// The record as if the call ended now, as [`Disposition::Interrupted`].
    pub record: Record,
}
