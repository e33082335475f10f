//! Session timers (RFC 4028): who refreshes, when, and when a session that nobody refreshes is over.

use super::{Abilities, Agent, SessionId, Timer};
use pbx::sip::{Headers, Name, Refresher, Request, Response, SessionExpires};
use pbx::time::{Duration, Instant};

/// The shortest interval there is (section 4).
pub(super) const SHORTEST: Duration = Duration::from_secs(90);

/// The session timer of one call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum SessionTimer {
    #[default]
    Off,
    Running {
        interval: Duration,
        /// When we refresh, if that is our part and not done.
        refresh_at: Option<Instant>,
        we_refresh: bool,
        /// When we hang up.
        ends_at: Instant,
    },
}

impl SessionTimer {
    /// Asks in the INVITE that makes a call.
    pub(super) fn ask(abilities: &Abilities, headers: &mut Headers) {
        if let Timer::Asks { interval, refresher } = abilities.timer {
            let wish = SessionExpires { seconds: seconds(interval), refresher };
            headers.push(Name::SessionExpires, wish);
        }
    }

    /// Asks for the same again, and that who refreshes goes on with it (section 7.4).
    pub(super) fn ask_again(&self, headers: &mut Headers) {
        if let SessionTimer::Running { interval, we_refresh, .. } = self {
            let refresher = Some(if *we_refresh { Refresher::Uac } else { Refresher::Uas });
            headers.push(Name::SessionExpires, SessionExpires { seconds: seconds(*interval), refresher });
        }
    }

    /// What the 2xx to a request of ours decides (section 7.2).
    pub(super) fn decided(&mut self, abilities: &Abilities, response: &Response, now: Instant) {
        let decision =
            response.headers().get(Name::SessionExpires).and_then(|text| SessionExpires::parse(text).ok());
        *self = match (decision, abilities.timer) {
            (_, Timer::Off) => SessionTimer::Off,
            (Some(decision), _) => {
                SessionTimer::running(decision.seconds, decision.refresher != Some(Refresher::Uas), now)
            }
            // The other side knows no timer, so we do it for both.
            (None, Timer::Asks { interval, .. }) => SessionTimer::running(seconds(interval), true, now),
            (None, Timer::Knows) => SessionTimer::Off,
        };
    }

    /// Decides in our 2xx to a request (section 9).
    pub(super) fn answer(
        &mut self,
        abilities: &Abilities,
        request: &Request,
        response: &mut Response,
        now: Instant,
    ) {
        let knows = request.lists(Name::Supported, "timer");
        let asked =
            request.headers().get(Name::SessionExpires).and_then(|text| SessionExpires::parse(text).ok());
        let wish = match abilities.timer {
            Timer::Off => None,
            Timer::Knows => asked,
            Timer::Asks { interval, refresher } => {
                let own = SessionExpires { seconds: seconds(interval), refresher };
                let seconds = asked.map_or(own.seconds, |asked| asked.seconds.min(own.seconds));
                let least = least(request.headers());
                let refresher = asked.and_then(|asked| asked.refresher).or(refresher);
                Some(SessionExpires { seconds: seconds.max(least), refresher })
            }
        };
        let Some(wish) = wish else {
            *self = SessionTimer::Off;
            return;
        };
        // Who does not know the timer cannot refresh (table 2).
        let refresher = if knows { wish.refresher.unwrap_or(Refresher::Uac) } else { Refresher::Uas };
        let headers = response.headers_mut();
        headers
            .push(Name::SessionExpires, SessionExpires { seconds: wish.seconds, refresher: Some(refresher) });
        if refresher == Refresher::Uac {
            headers.push(Name::Require, "timer");
        }
        *self = SessionTimer::running(wish.seconds, refresher == Refresher::Uas, now);
    }

    /// A refresh was refused for the moment.
    pub(super) fn try_again(&mut self, at: Instant) {
        if let SessionTimer::Running { refresh_at, .. } = self {
            *refresh_at = Some(at);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            SessionTimer::Off => None,
            SessionTimer::Running { refresh_at, ends_at, .. } => {
                Some(refresh_at.map_or(*ends_at, |at| at.min(*ends_at)))
            }
        }
    }

    fn running(seconds: u32, we_refresh: bool, now: Instant) -> SessionTimer {
        let interval = Duration::from_secs(u64::from(seconds)).max(Duration::from_secs(1));
        let margin = (interval / 3).min(Duration::from_secs(32));
        SessionTimer::Running {
            interval,
            refresh_at: we_refresh.then_some(now + interval / 2),
            we_refresh,
            ends_at: now + (interval - margin),
        }
    }
}

/// Whether a caller who knows session timers asks for too short a one (section 9).
pub(super) fn is_too_short(abilities: &Abilities, request: &Request) -> bool {
    let asked = request.headers().get(Name::SessionExpires).and_then(|text| SessionExpires::parse(text).ok());
    abilities.timer != Timer::Off
        && request.lists(Name::Supported, "timer")
        && asked.is_some_and(|asked| u64::from(asked.seconds) < SHORTEST.as_secs())
}

/// Takes the interval that a 422 asks for (section 7.3); whether it is one that helps.
pub(super) fn take_longer(request: &mut Request, refusal: &Response) -> bool {
    let (least, headers) = (least(refusal.headers()), request.headers_mut());
    let Some(wish) = headers.get(Name::SessionExpires).and_then(|text| SessionExpires::parse(text).ok())
    else {
        return false;
    };
    headers.set(Name::SessionExpires, SessionExpires { seconds: wish.seconds.max(least), ..wish });
    headers.set(Name::MinSe, least);
    wish.seconds < least
}

impl Agent {
    /// Sessions are refreshed, and ended when nobody does.
    pub(super) fn watch_sessions(&mut self, now: Instant) {
        let mut due: Vec<(SessionId, bool)> = Vec::new();
        for call in self.calls.iter_mut().filter(|call| call.is_up()) {
            let SessionTimer::Running { refresh_at, ends_at, .. } = &mut call.timer else { continue };
            if *ends_at <= now {
                due.push((call.id, false));
                call.timer = SessionTimer::Off;
            } else if refresh_at.is_some_and(|at| at <= now) {
                *refresh_at = None;
                due.push((call.id, true));
            }
        }
        for (session, refreshes) in due {
            if refreshes {
                self.refresh(session, now);
            } else {
                self.is_lost(session, now);
            }
        }
    }
}

fn least(headers: &Headers) -> u32 {
    let named = headers.get(Name::MinSe).and_then(|text| SessionExpires::parse(text).ok());
    named.map_or(seconds(SHORTEST), |least| least.seconds)
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}
