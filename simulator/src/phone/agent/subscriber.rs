//! We want to know something: SUBSCRIBE, refreshed, and the NOTIFYs that come (RFC 6665 section 4.1).

use super::dialog::{Dialog, tag_of};
use super::transactions::ServerId;
use super::{Agent, Event, Purpose};
use pbx::sip::{Method, Name, Request, Response, StatusCode};
use pbx::time::{Duration, Instant};

/// How long it takes until one that nobody has answered is forgotten: 64 * T1.
const PATIENCE: Duration = Duration::from_secs(32);

/// Something that we want to know.
pub(super) struct Wanted {
    id: u64,
    dialog: Dialog,
    event: String,
    /// For how many seconds we want to know; 0: no longer.
    expires: u32,
    /// For how many we have asked.
    asked: u32,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// SUBSCRIBE is out for the first time.
    Asked,
    /// It holds, and is asked for again then.
    Holds {
        again_at: Instant,
    },
    /// We want to know no more, and wait for the last word.
    Leaving {
        until: Instant,
    },
    Over,
}

impl Agent {
    /// Asks to be told of something of a number, for so many seconds; 0: only how it is now.
    pub(in crate::phone) fn subscribe(&mut self, number: &str, event: &str, expires: u32, now: Instant) {
        let dialog = self.new_dialog(number);
        self.next_session += 1;
        let id = self.next_session;
        let event = event.to_owned();
        self.wanted.push(Wanted { id, dialog, event, expires, asked: expires, state: State::Asked });
        self.ask_to_be_told(id, now);
        self.settle(now);
    }

    /// Does not want to be told any longer, of whatever.
    pub(in crate::phone) fn unsubscribe(&mut self, now: Instant) {
        let ids: Vec<u64> =
            self.wanted.iter().filter(|wanted| wanted.holds()).map(|wanted| wanted.id).collect();
        for id in ids {
            let Some(wanted) = self.wanted.iter_mut().find(|wanted| wanted.id == id) else { continue };
            wanted.expires = 0;
            // Until it is answered there is no dialog in which to say so.
            if wanted.state != State::Asked {
                wanted.state = State::Leaving { until: now + PATIENCE };
                self.ask_to_be_told(id, now);
            }
        }
        self.settle(now);
    }

    /// Has forgotten that it ever asked.
    pub(in crate::phone) fn forget_subscriptions(&mut self) {
        self.wanted.clear();
    }

    pub(super) fn wants_nothing(&self) -> bool {
        self.wanted.is_empty()
    }

    pub(super) fn refresh_at(&self) -> Option<Instant> {
        self.wanted.iter().filter_map(Wanted::deadline).min()
    }

    pub(super) fn refresh_subscriptions(&mut self, now: Instant) {
        let due = |wanted: &&Wanted| wanted.deadline().is_some_and(|at| at <= now);
        let ids: Vec<u64> = self.wanted.iter().filter(due).map(|wanted| wanted.id).collect();
        for id in ids {
            let Some(wanted) = self.wanted.iter_mut().find(|wanted| wanted.id == id) else { continue };
            match wanted.state {
                State::Holds { .. } => {
                    wanted.state = State::Holds { again_at: now + PATIENCE };
                    self.ask_to_be_told(id, now);
                }
                State::Asked | State::Leaving { .. } | State::Over => wanted.state = State::Over,
            }
        }
        self.wanted.retain(|wanted| wanted.state != State::Over);
    }

    /// The number of the next SUBSCRIBE.
    pub(super) fn next_subscribe(&mut self, id: u64) -> Option<u32> {
        let wanted = self.wanted.iter_mut().find(|wanted| wanted.id == id)?;
        wanted.dialog.cseq += 1;
        Some(wanted.dialog.cseq)
    }

    pub(super) fn on_subscribe_response(&mut self, id: u64, response: &Response, now: Instant) {
        let status = response.status();
        if !status.is_final() {
            return;
        }
        self.tell(Event::SubscriptionAnswered { status });
        let Some(wanted) = self.wanted.iter_mut().find(|wanted| wanted.id == id) else { return };
        if !status.is_success() {
            wanted.state = State::Over;
        } else if wanted.state != State::Over {
            if wanted.dialog.remote_tag.is_none() {
                let (cseq, theirs) = (wanted.dialog.cseq, wanted.dialog.remote_cseq);
                wanted.dialog = wanted.dialog.established(response);
                (wanted.dialog.cseq, wanted.dialog.remote_cseq) = (cseq, theirs);
            }
            let granted = response.headers().get(Name::Expires).and_then(|text| text.trim().parse().ok());
            let granted = Duration::from_secs(granted.unwrap_or(u64::from(wanted.expires)));
            if wanted.expires > 0 {
                wanted.state = State::Holds { again_at: now + granted * 9 / 10 };
            } else {
                wanted.state = State::Leaving { until: now + PATIENCE };
                if wanted.asked > 0 {
                    self.ask_to_be_told(id, now);
                }
            }
        }
        self.wanted.retain(|wanted| wanted.state != State::Over);
    }

    /// Nobody has answered a SUBSCRIBE.
    pub(super) fn on_subscribe_failed(&mut self, id: u64) {
        self.tell(Event::SubscriptionAnswered { status: StatusCode::REQUEST_TIMEOUT });
        self.wanted.retain(|wanted| wanted.id != id);
    }

    /// NOTIFY has come, of a subscription of ours or without one; `false`: it belongs to none.
    pub(super) fn on_news(&mut self, server: ServerId, notify: &Request, now: Instant) -> bool {
        let tag = tag_of(notify.to_header().ok());
        let is_its = |wanted: &&mut Wanted| {
            wanted.dialog.call_id == notify.call_id() && tag.as_ref() == Some(&wanted.dialog.local_tag)
        };
        let Some(wanted) = self.wanted.iter_mut().find(is_its) else { return false };
        let number = notify.cseq().ok().map(|cseq| cseq.number);
        if number < wanted.dialog.remote_cseq {
            self.respond(server, StatusCode::SERVER_INTERNAL_ERROR, now);
            return true;
        }
        wanted.dialog.remote_cseq = number;
        let state = notify.headers().get(Name::SubscriptionState).unwrap_or_default().to_owned();
        if state.starts_with("terminated") {
            wanted.state = State::Over;
        }
        self.wanted.retain(|wanted| wanted.state != State::Over);
        self.tell_news(notify, state);
        self.respond(server, StatusCode::OK, now);
        true
    }

    /// What a NOTIFY says.
    pub(super) fn tell_news(&mut self, notify: &Request, state: String) {
        let event = notify.headers().get(Name::Event).unwrap_or_default().to_owned();
        let body = String::from_utf8_lossy(notify.body()).into_owned();
        self.tell(Event::News { event, state, body });
    }

    fn ask_to_be_told(&mut self, id: u64, now: Instant) {
        let contact = self.contact(self.identity.path);
        let Some(wanted) = self.wanted.iter_mut().find(|wanted| wanted.id == id) else { return };
        wanted.asked = wanted.expires;
        let mut request = wanted.dialog.request(Method::Subscribe);
        let path = wanted.dialog.path();
        let headers = request.headers_mut();
        headers.push(Name::Contact, contact);
        headers.push(Name::Event, &wanted.event);
        headers.push(Name::Expires, wanted.expires);
        self.send(request, path, Purpose::Subscribe(id), now);
    }
}

impl Wanted {
    fn holds(&self) -> bool {
        matches!(self.state, State::Asked | State::Holds { .. })
    }

    fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Holds { again_at: at } | State::Leaving { until: at } => Some(at),
            State::Asked | State::Over => None,
        }
    }
}
