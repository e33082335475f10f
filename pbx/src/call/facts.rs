//! What a call remembers for its record.

use super::leg::Leg;
use crate::cdr::{Disposition, EndedBy, Record, Why};
use crate::time::{Instant, WallClock};
use std::sync::Arc;

/// The call with which it all began: who is rung for somebody who waits, or to whom somebody is transferred, belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    /// What all of it has in common: the Call-ID of the INVITE with which it began, or the name of the call that was ordered.
    pub(crate) session_id: String,
    pub(crate) call_id: String,
    pub(crate) caller: String,
    pub(crate) dialled: String,
    pub(crate) started: Instant,
}

/// What happened in a call, and when.
#[derive(Debug)]
pub(super) struct Facts {
    /// The PBX's id of the call.
    pub(super) call_id: String,
    /// Call-ID of the caller's dialog.
    pub(super) sip_call_id: String,
    pub(super) caller: String,
    pub(super) dialled: String,
    pub(super) route: Option<String>,
    pub(super) started: Instant,
    pub(super) ringing: Option<Instant>,
    pub(super) answered: Option<(Instant, String)>,
    pub(super) end: Option<End>,
    pub(super) root: Arc<Root>,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) at: Instant,
    pub(super) by: EndedBy,
    /// The final status the caller saw.
    pub(super) status: u16,
    pub(super) why: Why,
    /// The value of Reason in the message that ended it (RFC 3326), which others are told.
    pub(super) passed: Option<String>,
}

impl Facts {
    /// The record, as if the call ended now where it has not.
    pub(super) fn record<'a>(
        &self,
        legs: impl Iterator<Item = &'a Leg>,
        clock: &WallClock,
        now: Instant,
    ) -> Record {
        let interrupted = End {
            at: now,
            by: EndedBy::Pbx,
            status: self.status_so_far(),
            why: "the PBX was killed".into(),
            passed: None,
        };
        let end = self.end.as_ref().unwrap_or(&interrupted);
        let answered_at = self.answered.as_ref().map(|(at, _)| *at);
        Record {
            call_id: self.call_id.clone(),
            sip_call_id: self.sip_call_id.clone(),
            caller: self.caller.clone(),
            dialled: self.dialled.clone(),
            answered_by: self.answered.as_ref().map(|(_, by)| by.clone()),
            started_at: clock.rfc3339(self.started),
            ringing_at: self.ringing.map(|at| clock.rfc3339(at)),
            answered_at: answered_at.map(|at| clock.rfc3339(at)),
            ended_at: clock.rfc3339(end.at),
            duration_secs: end.at.since(self.started).as_secs_f64(),
            billed_secs: answered_at.map_or(0.0, |at| end.at.since(at).as_secs_f64()),
            disposition: self.disposition(),
            status: end.status,
            ended_by: end.by,
            reason: end.why.to_string(),
            route: self.route.clone(),
            media: legs.map(Leg::record).collect(),
        }
    }

    fn disposition(&self) -> Disposition {
        match &self.end {
            None => Disposition::Interrupted,
            Some(_) if self.answered.is_some() => Disposition::Answered,
            Some(end) => match (end.status, end.by) {
                (487, _) => Disposition::Cancelled,
                (486 | 600, _) => Disposition::Busy,
                (408 | 480, _) => Disposition::NoAnswer,
                _ => Disposition::Failed,
            },
        }
    }

    fn status_so_far(&self) -> u16 {
        if self.answered.is_some() { 200 } else { 0 }
    }
}
