//! What becomes of a call that nobody answered: another number on behalf of the one who was dialled, or a refusal.

use super::Context;
use super::call::{Call, Timer};
use super::dial::{Attempt, Refused};
use crate::cdr::EndedBy;
use crate::dialog::{ExtraHeaders, Reply};
use crate::route::{self, Caller, Decision, Group, Outcome};
use crate::sip::StatusCode;

/// Why a telephone sends a call elsewhere by 302, as Diversion says it (RFC 5806).
pub(super) const DEFLECTION: &str = "deflection";

/// How often a call may be forwarded.
const FORWARDS: usize = 5;

impl Call {
    /// Nobody of this attempt is going to answer: forwards, or refuses the caller.
    pub(super) fn give_up_attempt(&mut self, outcome: Outcome, context: &mut Context) {
        let Some(dial) = self.dial() else {
            return;
        };
        let branches = std::mem::take(&mut dial.branches);
        if dial.refusals.is_empty() {
            dial.refusals.push(Refused::new(outcome, dial.attempt.callee(), Vec::new()));
        }
        // Whoever rang and rang was there; else the best of all refusals says how it was.
        let decisive = match outcome {
            Outcome::NoAnswer => outcome,
            _ => best_of(&dial.refusals).map_or(outcome, |refused| refused.outcome),
        };
        let (mut forward, mut next) = (None, None);
        match &mut dial.attempt {
            Attempt::Extension { number } => forward = context.forward_of(number, decisive),
            Attempt::Group { next: group, .. } if !group.rounds.is_empty() => {
                let rings = group.rings;
                next = Some(Group { rounds: std::mem::take(&mut group.rounds), rings });
            }
            Attempt::Group { .. } | Attempt::Trunk { .. } => {}
        }
        for branch in branches {
            branch.leave(None, &mut self.leaving, context);
        }
        self.cancel_timer(Timer::Ring, context);
        if let Some(group) = next {
            let Some(dial) = self.dial() else { return };
            let attempt = std::mem::replace(&mut dial.attempt, Attempt::Extension { number: String::new() });
            self.vacate_group(&attempt, None, context);
            return self.dial_group(group, context);
        }
        match forward {
            Some((number, why)) => self.forward(&number, why, context),
            None => {
                let (status, headers) = self.best_refusal();
                self.refuse_with(status, headers, context);
            }
        }
    }

    /// Dials another number on behalf of the one who was dialled.
    pub(super) fn forward(&mut self, number: &str, why: &str, context: &mut Context) {
        let domain = context.config.sip.domain.clone();
        let Some(dial) = self.dial() else {
            return;
        };
        let branches = std::mem::take(&mut dial.branches);
        let is_loop = dial.tried.iter().any(|tried| tried == number) || dial.tried.len() > FORWARDS;
        if let Some(from) = dial.tried.last() {
            dial.diversions.insert(0, format!("<sip:{from}@{domain}>;reason={why}"));
        }
        let last = dial.tried.last().cloned().unwrap_or_default();
        for branch in branches {
            branch.leave(None, &mut self.leaving, context);
        }
        self.vacate(&last, context);
        self.cancel_timer(Timer::Ring, context);
        if is_loop {
            return self.refuse_with(StatusCode::LOOP_DETECTED, Vec::new(), context);
        }
        if let Some(session) = self.caller.session {
            let status = StatusCode::CALL_IS_BEING_FORWARDED;
            context.agent.ring(session, status, None, false, Vec::new(), context.now);
        }
        let source = self.caller.path.remote.ip();
        // What the configuration forwards goes where the one who forwards may call; what a telephone deflects of its own
        // accord goes where the caller may call: nobody calls out at the expense of a telephone that was talked into it.
        let on_behalf_of = match why {
            DEFLECTION => self.invitation.caller.clone(),
            _ => Caller::Extension(last),
        };
        let routed = context.route(number, &on_behalf_of, source);
        let leads_out = matches!(routed.decision, Decision::Trunk { .. });
        if leads_out && route::access(&routed, &on_behalf_of) != route::Access::Open {
            return self.refuse_with(StatusCode::FORBIDDEN, Vec::new(), context);
        }
        self.proceed(routed.decision, context);
    }

    /// Refuses the caller with what was made of the refusals.
    pub(super) fn refuse_with(&mut self, status: StatusCode, headers: ExtraHeaders, context: &mut Context) {
        self.refuse(EndedBy::Callee, Reply { headers, ..Reply::new(status) }, status.reason(), context);
    }

    /// What the caller is told when nobody is left to try.
    pub(super) fn best_refusal(&mut self) -> (StatusCode, ExtraHeaders) {
        match self.dial().and_then(|dial| best_of(&dial.refusals)) {
            Some(best) => (best.told, best.headers.clone()),
            None => (route::best(&[]), Vec::new()),
        }
    }
}

fn best_of(refusals: &[Refused]) -> Option<&Refused> {
    let told: Vec<StatusCode> = refusals.iter().map(|refused| refused.told).collect();
    let best = route::best(&told);
    refusals.iter().find(|refused| refused.told == best)
}

impl Context {
    /// Where a refused call of an extension goes, and why, as Diversion says it (RFC 5806).
    fn forward_of(&self, number: &str, outcome: Outcome) -> Option<(String, &'static str)> {
        let extension = self.config.extensions.iter().find(|extension| extension.number == number)?;
        match outcome {
            Outcome::Answered(status) if matches!(status.code(), 486 | 600) => {
                Some((extension.forward_busy.clone()?, "user-busy"))
            }
            Outcome::Answered(status) if !matches!(status.code(), 408 | 480) => None,
            Outcome::Answered(_) | Outcome::NoAnswer | Outcome::Silence => {
                Some((extension.forward_no_answer.clone()?, "no-answer"))
            }
        }
    }
}
