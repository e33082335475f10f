//! Subscriptions of others at us (RFC 6665): the dialog that an accepted SUBSCRIBE makes, and the NOTIFYs in it.
//!
//! What there is to know about, and who may know it, is for somebody above. Here is one NOTIFY at a time: what changes while
//! one is out is told when that was answered, and only as it is then.

use super::dialog::Dialog;
use super::shared::{Inbound, Owner};
use super::user_agent::UserAgent;
use super::{Body, Event, ExtraHeaders, Reply, RequestId, SubscriptionId, compose, inspect};
use crate::sip::{Method, Name, Path, Request, Response, StatusCode};
use crate::time::{Duration, Instant};
use crate::transaction::{ClientId, ServerId};
use std::collections::{BTreeMap, BTreeSet};

/// All subscriptions.
#[derive(Default)]
pub(super) struct Subscriptions {
    all: BTreeMap<SubscriptionId, Subscription>,
    by_tag: BTreeMap<String, SubscriptionId>,
    deadlines: BTreeSet<(Instant, SubscriptionId)>,
    last: u64,
}

/// One subscription.
struct Subscription {
    tag: String,
    dialog: Dialog,
    /// As SUBSCRIBE has named it, its `id` and all (RFC 6665 section 8.2.1).
    event: String,
    expires_at: Instant,
    /// The NOTIFY that is out.
    out: Option<ClientId>,
    /// What is told after it.
    next: Option<News>,
}

/// What is to be told.
struct News {
    body: Option<Body>,
    /// Why it is the last.
    end: Option<&'static str>,
}

impl Subscriptions {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The earliest deadline.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The subscription whose tag a request carries.
    pub(super) fn of(&self, request: &Request) -> Option<SubscriptionId> {
        let tag = request.to_header().ok()?.tag()?;
        self.by_tag.get(tag).copied()
    }

    fn add(&mut self, subscription: Subscription) -> SubscriptionId {
        self.last += 1;
        let id = SubscriptionId(self.last);
        self.by_tag.insert(subscription.tag.clone(), id);
        self.deadlines.insert((subscription.expires_at, id));
        self.all.insert(id, subscription);
        id
    }

    fn remove(&mut self, id: SubscriptionId) {
        if let Some(subscription) = self.all.remove(&id) {
            self.by_tag.remove(&subscription.tag);
            self.deadlines.remove(&(subscription.expires_at, id));
        }
    }

    fn expires(&mut self, id: SubscriptionId, at: Instant) {
        let Some(subscription) = self.all.get_mut(&id) else { return };
        self.deadlines.remove(&(subscription.expires_at, id));
        subscription.expires_at = at;
        self.deadlines.insert((at, id));
    }
}

impl UserAgent {
    /// Accepts a SUBSCRIBE that came outside any dialog, for so long; [`UserAgent::notify`] is to follow at once. `None`: it
    /// cannot be answered by NOTIFY, and was refused.
    pub fn accept_subscription(
        &mut self,
        request: RequestId,
        path: Path,
        expires: Duration,
        now: Instant,
    ) -> Option<SubscriptionId> {
        let Inbound { server, request, tag, .. } = self.shared.inbound.remove(&request)?;
        let server_name = self.shared.settings.user_agent.clone();
        let Some(dialog) = Dialog::of_request(&request, &tag, path) else {
            let refusal = inspect::Refusal::Malformed("a SUBSCRIBE needs a Contact");
            let response = refusal.response(&request, &tag, &server_name);
            self.shared.transactions.respond(server, response, now);
            self.drain(now);
            return None;
        };
        let event = request.headers().get(Name::Event).unwrap_or_default().to_owned();
        let expires_at = now + expires;
        let id = self.subscriptions.add(Subscription {
            tag: tag.clone(),
            dialog,
            event,
            expires_at,
            out: None,
            next: None,
        });
        self.grant(id, server, &request, &tag, expires, now);
        Some(id)
    }

    /// Answers [`Event::Renewal`]: it holds for so long from now on. [`UserAgent::notify`] is to follow.
    pub fn renew_subscription(
        &mut self,
        id: SubscriptionId,
        request: RequestId,
        expires: Duration,
        now: Instant,
    ) {
        let Some(Inbound { server, request, tag, .. }) = self.shared.inbound.remove(&request) else { return };
        self.subscriptions.expires(id, now + expires);
        self.grant(id, server, &request, &tag, expires, now);
    }

    /// Tells a subscriber how things are, as soon as it has answered what it was told before.
    pub fn notify(&mut self, id: SubscriptionId, body: Option<Body>, now: Instant) {
        self.tell_news(id, News { body, end: None }, now);
        self.drain(now);
    }

    /// Tells it so for the last time, and why it is the last; nothing more comes of it.
    pub fn end_subscription(
        &mut self,
        id: SubscriptionId,
        reason: &'static str,
        body: Option<Body>,
        now: Instant,
    ) {
        self.tell_news(id, News { body, end: Some(reason) }, now);
        self.drain(now);
    }

    /// How many there are.
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    /// A request has come within the dialog of a subscription (RFC 6665 section 4.2.1.4).
    pub(super) fn on_request_of_subscriber(
        &mut self,
        id: SubscriptionId,
        server: ServerId,
        request: Request,
        path: Path,
        now: Instant,
    ) {
        const GONE: StatusCode = StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
        let Some(subscription) = self.subscriptions.all.get_mut(&id) else { return };
        let is_its = subscription.dialog.matches(&request);
        let is_last = subscription.next.as_ref().is_some_and(|news| news.end.is_some());
        if !is_its || is_last || *request.method() != Method::Subscribe {
            return self.refuse(server, &request, GONE, now);
        }
        if subscription.dialog.count(&request).is_err() {
            return self.refuse(server, &request, StatusCode::SERVER_INTERNAL_ERROR, now);
        }
        if request.headers().get(Name::Event).map(str::trim) != Some(subscription.event.trim()) {
            return self.refuse(server, &request, GONE, now);
        }
        subscription.dialog.follow(path);
        subscription.dialog.refresh_target(request.contact().ok());
        let tag = subscription.tag.clone();
        let asked = self.shared.next_request();
        let event = Event::Renewal { subscription: id, id: asked, request: request.clone() };
        self.shared.inbound.insert(asked, Inbound { server, request, session: None, tag });
        self.shared.emit(event);
    }

    /// A NOTIFY was answered, or nobody has: then there is nobody who wants to know (RFC 6665 section 4.2.2).
    pub(super) fn on_notified(
        &mut self,
        id: SubscriptionId,
        outcome: &Result<Response, StatusCode>,
        now: Instant,
    ) {
        let Some(subscription) = self.subscriptions.all.get_mut(&id) else { return };
        subscription.out = None;
        let next = subscription.next.take();
        let is_heard = outcome.as_ref().is_ok_and(|response| response.status().is_success());
        match next {
            Some(news) if is_heard => self.tell_news(id, news, now),
            Some(_) | None if is_heard => {}
            Some(_) | None => {
                self.subscriptions.remove(id);
                self.shared.emit(Event::SubscriptionEnded { subscription: id });
            }
        }
    }

    /// Those that nobody has renewed in time.
    pub(super) fn expire_subscriptions(&mut self, now: Instant) {
        while let Some((at, id)) = self.subscriptions.deadlines.first().copied().filter(|(at, _)| *at <= now)
        {
            self.subscriptions.deadlines.remove(&(at, id));
            self.shared.emit(Event::SubscriptionExpired { subscription: id });
        }
    }

    fn grant(
        &mut self,
        id: SubscriptionId,
        server: ServerId,
        request: &Request,
        tag: &str,
        expires: Duration,
        now: Instant,
    ) {
        let Some(subscription) = self.subscriptions.all.get(&id) else { return };
        let reply = Reply { headers: expires_line(expires), ..Reply::new(StatusCode::OK) };
        let contact = subscription.dialog.contact(self.shared.settings.external_address);
        let mut response = compose::reply(request, &reply, tag, &self.shared.settings.user_agent);
        response.headers_mut().push(Name::Contact, contact);
        for route in request.headers().all(Name::RecordRoute) {
            response.headers_mut().push(Name::RecordRoute, route);
        }
        self.shared.transactions.respond(server, response, now);
        self.drain(now);
    }

    fn tell_news(&mut self, id: SubscriptionId, news: News, now: Instant) {
        let Some(subscription) = self.subscriptions.all.get_mut(&id) else { return };
        if subscription.out.is_some() {
            let is_last = subscription.next.as_ref().is_some_and(|next| next.end.is_some());
            if !is_last {
                subscription.next = Some(news);
            }
            return;
        }
        let mut notify = subscription.dialog.request(Method::Notify);
        let left = subscription.expires_at.since(now).as_secs();
        let headers = notify.headers_mut();
        headers.push(Name::Contact, subscription.dialog.contact(self.shared.settings.external_address));
        headers.push(Name::Event, &subscription.event);
        match news.end {
            Some(reason) => headers.push(Name::SubscriptionState, format_args!("terminated;reason={reason}")),
            None => headers.push(Name::SubscriptionState, format_args!("active;expires={left}")),
        }
        compose::add_abilities(headers);
        compose::set_body(&mut notify, news.body.as_ref());
        let path = subscription.dialog.next_hop();
        let client = self.shared.send(notify, path, Owner::Subscription(id), None, now);
        match news.end {
            // Whatever is answered to the last word, there is nothing left to be said.
            Some(_) => self.subscriptions.remove(id),
            None => subscription.out = Some(client),
        }
    }
}

fn expires_line(expires: Duration) -> ExtraHeaders {
    vec![("Expires".into(), expires.as_secs().to_string())]
}
