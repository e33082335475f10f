//! The session timer of one dialog (RFC 4028): who refreshes, when, and when a session that nobody refreshes is over.

use super::Settings;
use super::compose::leading_number;
use crate::sip::{Headers, Name, Params, Request, Response};
use crate::time::{Duration, Instant};

/// Where there is no Min-SE (RFC 4028 section 5).
const DEFAULT_MIN_SE: Duration = Duration::from_secs(90);

/// A peer that writes `Session-Expires: 1` must not make us refresh every half second.
const FLOOR: Duration = Duration::from_secs(20);

/// The session timer of one dialog.
#[derive(Clone, Debug)]
pub(super) struct SessionTimer {
    state: State,
    /// What we ask for.
    wish: Option<Duration>,
    /// What we insist on.
    own_min: Duration,
    /// The largest Min-SE of all requests and 422 that came (section 7.4).
    seen_min: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Off,
    Running { interval: Duration, refresher: Refresher, bye_at: Instant },
}

#[derive(Clone, Copy, Debug)]
enum Refresher {
    We(Refresh),
    They,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refresh {
    /// Not before this.
    At(Instant),
    /// As soon as nothing else is under way in the dialog.
    Due,
    /// Sent or refused; the 2xx to it sets the next.
    Tried,
}

impl SessionTimer {
    /// No timer yet.
    pub(super) fn new(settings: &Settings) -> SessionTimer {
        SessionTimer {
            state: State::Off,
            wish: settings.session_expires,
            own_min: settings.min_se,
            seen_min: None,
        }
    }

    /// Asks for a session timer in an INVITE or UPDATE of ours (sections 7.1 and 7.4).
    pub(super) fn ask(&self, headers: &mut Headers) {
        let floor = self.seen_min.unwrap_or_default().max(self.own_min);
        match self.state {
            State::Running { interval, refresher, .. } => {
                let interval = interval.max(floor).as_secs();
                let role = if matches!(refresher, Refresher::We(_)) { "uac" } else { "uas" };
                headers.push(Name::SessionExpires, format_args!("{interval};refresher={role}"));
            }
            State::Off => {
                if let Some(wish) = self.wish {
                    headers.push(Name::SessionExpires, wish.max(floor).as_secs());
                }
            }
        }
        if self.seen_min.is_some() || floor > DEFAULT_MIN_SE {
            headers.push(Name::MinSe, floor.as_secs());
        }
    }

    /// Whether the interval of an INVITE or UPDATE is too small; the value for Min-SE in the 422 (section 9).
    pub(super) fn too_small(settings: &Settings, request: &Request) -> Option<Duration> {
        let (interval, _) = session_expires(request.headers())?;
        let supports = request.lists(Name::Supported, "timer");
        (supports && interval < settings.min_se).then_some(settings.min_se)
    }

    /// Writes our decision into the 2xx to an INVITE or UPDATE, and keeps it (section 9, table 2).
    pub(super) fn answer(&mut self, request: &Request, response: &mut Response, now: Instant) {
        let supports = request.lists(Name::Supported, "timer");
        let min_se = min_se(request.headers());
        self.seen_min = self.seen_min.max(min_se);
        let (interval, role) = match session_expires(request.headers()) {
            Some((interval, Some(role))) => (interval, role),
            // The one who asks is expected to have thought of refreshing.
            Some((interval, None)) => (interval, if supports { Role::Uac } else { Role::Uas }),
            None => match self.wish.filter(|_| supports) {
                Some(wish) => (wish.max(min_se.unwrap_or_default()), Role::Uas),
                None => {
                    self.state = State::Off;
                    return;
                }
            },
        };
        let role = if supports { role } else { Role::Uas };
        let headers = response.headers_mut();
        headers.push(Name::SessionExpires, format_args!("{};refresher={}", interval.as_secs(), role.token()));
        if supports {
            headers.push(Name::Require, "timer");
        }
        self.start(interval, role == Role::Uas, now);
    }

    /// Takes the other side's decision from the 2xx to our INVITE or UPDATE (section 7.2).
    pub(super) fn decided(&mut self, response: &Response, now: Instant) {
        match (session_expires(response.headers()), self.wish) {
            (Some((interval, role)), _) => self.start(interval, role != Some(Role::Uas), now),
            // The other side knows no timer: our wish is served by refreshing ourselves.
            (None, Some(wish)) => self.start(wish.max(self.seen_min.unwrap_or_default()), true, now),
            (None, None) => self.state = State::Off,
        }
    }

    /// Takes Min-SE from a 422; false when it asks for nothing more than before, so that nobody is asked for ever.
    pub(super) fn on_422(&mut self, response: &Response) -> bool {
        let min_se = min_se(response.headers());
        let grown = min_se > self.seen_min;
        self.seen_min = self.seen_min.max(min_se);
        grown
    }

    /// A refresh that was refused for the moment is to be tried again.
    pub(super) fn refresh_again(&mut self, at: Instant) {
        if let State::Running { refresher: Refresher::We(refresh), .. } = &mut self.state {
            *refresh = Refresh::At(at);
        }
    }

    /// Whether we are to refresh now; said once.
    pub(super) fn take_refresh(&mut self) -> bool {
        match &mut self.state {
            State::Running { refresher: Refresher::We(refresh @ Refresh::Due), .. } => {
                *refresh = Refresh::Tried;
                true
            }
            State::Running { .. } | State::Off => false,
        }
    }

    /// The earliest deadline.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Running { refresher: Refresher::We(Refresh::At(at)), bye_at, .. } => Some(at.min(bye_at)),
            State::Running { bye_at, .. } => Some(bye_at),
            State::Off => None,
        }
    }

    /// Looks at the time. True when nobody refreshed: BYE (section 10).
    pub(super) fn is_expired(&mut self, now: Instant) -> bool {
        let State::Running { refresher, bye_at, .. } = &mut self.state else { return false };
        if *bye_at <= now {
            self.state = State::Off;
            return true;
        }
        if let Refresher::We(refresh) = refresher
            && matches!(refresh, Refresh::At(at) if *at <= now)
        {
            *refresh = Refresh::Due;
        }
        false
    }

    fn start(&mut self, interval: Duration, we_refresh: bool, now: Instant) {
        let interval = interval.max(FLOOR);
        let margin = (interval / 3).min(Duration::from_secs(32));
        let refresher =
            if we_refresh { Refresher::We(Refresh::At(now + interval / 2)) } else { Refresher::They };
        self.state = State::Running { interval, refresher, bye_at: now + (interval - margin) };
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Uac,
    Uas,
}

impl Role {
    fn token(self) -> &'static str {
        match self {
            Role::Uac => "uac",
            Role::Uas => "uas",
        }
    }
}

fn session_expires(headers: &Headers) -> Option<(Duration, Option<Role>)> {
    let value = headers.get(Name::SessionExpires)?;
    // A day more or less does not matter; without a bound, arithmetic on it would.
    let interval = Duration::from_secs(leading_number(value)?.min(u64::from(u32::MAX)));
    let role = refresher(value).and_then(|role| match role {
        role if role.eq_ignore_ascii_case("uac") => Some(Role::Uac),
        role if role.eq_ignore_ascii_case("uas") => Some(Role::Uas),
        _ => None,
    });
    Some((interval, role))
}

/// The parameter of `90;refresher=uac`.
fn refresher(value: &str) -> Option<&str> {
    let (_, params) = value.split_once(';')?;
    Params(params).get("refresher")
}

fn min_se(headers: &Headers) -> Option<Duration> {
    let seconds = leading_number(headers.get(Name::MinSe)?)?;
    Some(Duration::from_secs(seconds.min(u64::from(u32::MAX))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{Method, StatusCode};

    fn settings(session_expires: Option<u64>) -> Settings {
        Settings {
            session_expires: session_expires.map(Duration::from_secs),
            ..super::super::tests::settings()
        }
    }

    fn request(lines: &[(Name, &str)]) -> Request {
        let mut request = Request::new(Method::Invite, "sip:a@b");
        for (name, value) in lines {
            request.headers_mut().push(*name, value);
        }
        request
    }

    /// Table 2 of section 9: (supports, refresher asked for) gives (refresher answered, Require).
    #[test]
    fn the_uas_follows_table_2() {
        for (supports, asked, answered, required) in [
            (false, "1800", "1800;refresher=uas", false),
            (true, "1800", "1800;refresher=uac", true),
            (true, "1800;refresher=uac", "1800;refresher=uac", true),
            (true, "1800;refresher=uas", "1800;refresher=uas", true),
        ] {
            let mut lines = vec![(Name::SessionExpires, asked)];
            if supports {
                lines.push((Name::Supported, "timer"));
            }
            let mut timer = SessionTimer::new(&settings(None));
            let mut response = Response::new(StatusCode::OK);
            timer.answer(&request(&lines), &mut response, Instant::START);
            assert_eq!(response.headers().get(Name::SessionExpires), Some(answered));
            assert_eq!(response.headers().has(Name::Require), required, "Require for {asked}");
        }
    }

    #[test]
    fn the_refresher_refreshes_at_half_time_and_the_other_ends_it_before_the_end() {
        let mut timer = SessionTimer::new(&settings(None));
        let mut response = Response::new(StatusCode::OK);
        response.headers_mut().push(Name::SessionExpires, "90;refresher=uac");
        timer.decided(&response, Instant::START);
        assert_eq!(timer.deadline(), Some(Instant::from_millis(45_000)));
        assert!(!timer.is_expired(Instant::from_millis(45_000)));
        assert!(timer.take_refresh() && !timer.take_refresh());
        assert_eq!(timer.deadline(), Some(Instant::from_millis(60_000)));

        let mut other = SessionTimer::new(&settings(None));
        response.headers_mut().set(Name::SessionExpires, "1800;refresher=uas");
        other.decided(&response, Instant::START);
        assert_eq!(other.deadline(), Some(Instant::from_millis(1_768_000)));
        assert!(other.is_expired(Instant::from_millis(1_768_000)));
    }

    #[test]
    fn a_422_is_followed_as_long_as_it_asks_for_more() {
        let mut timer = SessionTimer::new(&settings(Some(120)));
        let mut refusal = Response::new(StatusCode::SESSION_INTERVAL_TOO_SMALL);
        refusal.headers_mut().push(Name::MinSe, "600");
        assert!(timer.on_422(&refusal));
        assert!(!timer.on_422(&refusal), "the same 422 again must not be retried");
        let mut headers = Headers::default();
        timer.ask(&mut headers);
        assert_eq!(headers.get(Name::SessionExpires), Some("600"));
        assert_eq!(headers.get(Name::MinSe), Some("600"));
    }
}
