//! Who wants to know what: subscriptions (RFC 6665) to the messages that wait (RFC 3842) and to the calls of an extension
//! (RFC 4235).
//!
//! | file | what is in it |
//! |---|---|
//! | `summary.rs` | how many messages wait, as text |
//! | `dialogs.rs` | the dialogs of an extension, as XML |
//! | `unsolicited.rs` | what telephones are told that have not asked |

mod dialogs;
mod summary;
mod unsolicited;

use crate::call::{Calls, Context};
use crate::dialog::{Body, Reply, RequestId, SubscriptionId};
use crate::route;
use crate::sip::{Name, Path, Request, StatusCode};
use crate::time::Duration;
use dialogs::Dialogs;
use std::collections::{BTreeMap, BTreeSet};

/// What there is to know about, as Allow-Events lists it.
pub(crate) const PACKAGES: &str = "message-summary, dialog";

/// How long a subscription holds that says nothing of it (RFC 3842 section 3.4, RFC 4235 section 3.4).
const USUAL: Duration = Duration::from_secs(3_600);

/// All subscriptions that are known here.
#[derive(Default)]
pub(crate) struct Watchers {
    all: BTreeMap<SubscriptionId, Watcher>,
    /// Who watches an extension, whatever of it.
    by_number: BTreeMap<String, BTreeSet<SubscriptionId>>,
}

/// Somebody who wants to know.
struct Watcher {
    number: String,
    package: Package,
}

/// What of an extension.
enum Package {
    /// How many messages wait for it.
    Summary,
    /// Its calls.
    Dialogs(Dialogs),
}

impl Watchers {
    /// A SUBSCRIBE of an extension that has shown its password.
    pub(crate) fn subscribe(
        &mut self,
        id: RequestId,
        subscriber: &str,
        request: &Request,
        path: Path,
        calls: &Calls,
        context: &mut Context,
    ) {
        let (number, package, expires) = match self.wanted(subscriber, request, context) {
            Ok(wanted) => wanted,
            Err(reply) => return context.agent.reply(id, reply, context.now),
        };
        let Some(subscription) = context.agent.accept_subscription(id, path, expires, context.now) else {
            return;
        };
        let mut watcher = Watcher { number, package };
        let body = watcher.all(calls, context);
        if expires.is_zero() {
            // It only wants to know how things are now (section 4.4.3).
            return context.agent.end_subscription(subscription, "timeout", Some(body), context.now);
        }
        context.agent.notify(subscription, Some(body), context.now);
        if let Package::Dialogs(_) = watcher.package {
            context.watched.insert(watcher.number.clone());
        }
        self.by_number.entry(watcher.number.clone()).or_default().insert(subscription);
        self.all.insert(subscription, watcher);
    }

    /// A subscriber wants to know for longer, or no more.
    pub(crate) fn renew(
        &mut self,
        subscription: SubscriptionId,
        id: RequestId,
        request: &Request,
        calls: &Calls,
        context: &mut Context,
    ) {
        let expires = match expires(request, context) {
            Ok(expires) => expires,
            Err(reply) => return context.agent.reply(id, reply, context.now),
        };
        context.agent.renew_subscription(subscription, id, expires, context.now);
        match expires.is_zero() {
            true => self.end(subscription, "timeout", calls, context),
            false => {
                if let Some(watcher) = self.all.get_mut(&subscription) {
                    let body = watcher.all(calls, context);
                    context.agent.notify(subscription, Some(body), context.now);
                }
            }
        }
    }

    /// It is over, for this reason; the subscriber is told for the last time.
    pub(crate) fn end(
        &mut self,
        subscription: SubscriptionId,
        reason: &'static str,
        calls: &Calls,
        context: &mut Context,
    ) {
        let body = self.forget(subscription, context).map(|mut watcher| watcher.all(calls, context));
        context.agent.end_subscription(subscription, reason, body, context.now);
    }

    /// The subscriber is gone.
    pub(crate) fn forget_gone(&mut self, subscription: SubscriptionId, context: &mut Context) {
        self.forget(subscription, context);
    }

    /// Whoever watches something that has changed is told.
    pub(crate) fn tell(&mut self, calls: &Calls, context: &mut Context) {
        for number in context.changed_mailboxes() {
            unsolicited::tell(&number, context);
            self.tell_of(&number, calls, context, |watcher| matches!(watcher.package, Package::Summary));
        }
        for number in context.changed_dialogs() {
            self.tell_of(&number, calls, context, |watcher| matches!(watcher.package, Package::Dialogs(_)));
        }
    }

    /// A telephone has registered: it may want to know of messages without having asked.
    pub(crate) fn on_registered(&self, number: &str, context: &mut Context) {
        unsolicited::tell(number, context);
    }

    /// The configuration is another one: what is gone cannot be watched.
    pub(crate) fn reconfigured(&mut self, calls: &Calls, context: &mut Context) {
        let is_gone = |watcher: &Watcher| match watcher.package {
            Package::Summary => context.config.voicemail.mailbox(&watcher.number).is_none(),
            Package::Dialogs(_) => !is_extension(&watcher.number, context),
        };
        let gone: Vec<SubscriptionId> =
            self.all.iter().filter(|(_, watcher)| is_gone(watcher)).map(|(id, _)| *id).collect();
        for subscription in gone {
            self.end(subscription, "noresource", calls, context);
        }
    }

    /// Whether nobody watches anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What somebody wants to know, of whom, for how long; or why it may not.
    fn wanted(
        &self,
        subscriber: &str,
        request: &Request,
        context: &Context,
    ) -> Result<(String, Package, Duration), Reply> {
        let event = request.headers().get(Name::Event).unwrap_or_default();
        let package = event.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if !matches!(package.as_str(), "message-summary" | "dialog") {
            let headers = vec![("Allow-Events".into(), PACKAGES.into())];
            return Err(Reply { headers, ..Reply::new(StatusCode::BAD_EVENT) });
        }
        let dialled = route::dialled(request.uri());
        let (number, package) = if package == "dialog" {
            if !is_extension(&dialled, context) {
                return Err(Reply::new(StatusCode::NOT_FOUND));
            }
            (dialled, Package::Dialogs(Dialogs::default()))
        } else {
            // Telephones ask their own number, that of the mailboxes, or the PBX as a whole: each has one mailbox.
            if dialled != subscriber && is_extension(&dialled, context) {
                return Err(Reply::new(StatusCode::FORBIDDEN));
            }
            if context.config.voicemail.mailbox(subscriber).is_none() {
                return Err(Reply::new(StatusCode::NOT_FOUND));
            }
            (subscriber.to_owned(), Package::Summary)
        };
        let expires = expires(request, context)?;
        if context.agent.subscriptions() >= context.config.limits.subscriptions {
            let headers = vec![("Retry-After".into(), "60".into())];
            return Err(Reply { headers, ..Reply::new(StatusCode::SERVICE_UNAVAILABLE) });
        }
        Ok((number, package, expires))
    }

    fn tell_of(
        &mut self,
        number: &str,
        calls: &Calls,
        context: &mut Context,
        concerns: impl Fn(&Watcher) -> bool,
    ) {
        for subscription in self.by_number.get(number).into_iter().flatten() {
            let Some(watcher) = self.all.get_mut(subscription).filter(|watcher| concerns(watcher)) else {
                continue;
            };
            if let Some(body) = watcher.news(calls, context) {
                context.agent.notify(*subscription, Some(body), context.now);
            }
        }
    }

    fn forget(&mut self, subscription: SubscriptionId, context: &mut Context) -> Option<Watcher> {
        let watcher = self.all.remove(&subscription)?;
        let of_number = self.by_number.get_mut(&watcher.number)?;
        of_number.remove(&subscription);
        let is_dialogs = |id: &SubscriptionId| {
            self.all.get(id).is_some_and(|other| matches!(other.package, Package::Dialogs(_)))
        };
        if !of_number.iter().any(is_dialogs) {
            context.watched.remove(&watcher.number);
        }
        if of_number.is_empty() {
            self.by_number.remove(&watcher.number);
        }
        Some(watcher)
    }
}

impl Watcher {
    /// All there is to be told.
    fn all(&mut self, calls: &Calls, context: &Context) -> Body {
        match &mut self.package {
            Package::Summary => summary::body(&self.number, context),
            Package::Dialogs(dialogs) => {
                dialogs.all(&self.number, calls.dialogs_of(&self.number, context), context)
            }
        }
    }

    /// What is new; `None`: nothing is.
    fn news(&mut self, calls: &Calls, context: &Context) -> Option<Body> {
        match &mut self.package {
            Package::Summary => Some(summary::body(&self.number, context)),
            Package::Dialogs(dialogs) => {
                dialogs.news(&self.number, calls.dialogs_of(&self.number, context), context)
            }
        }
    }
}

/// How long a subscription is to hold, within what is allowed (RFC 6665 section 4.2.1.1).
fn expires(request: &Request, context: &Context) -> Result<Duration, Reply> {
    let limits = &context.config.limits;
    let said = request.headers().get(Name::Expires).map(|value| value.trim().parse::<u32>());
    let wanted = match said {
        None => USUAL,
        Some(Ok(seconds)) => Duration::from_secs(u64::from(seconds)),
        Some(Err(_)) => return Err(Reply::new(StatusCode::BAD_REQUEST)),
    };
    if !wanted.is_zero() && wanted < limits.min_expires {
        let headers = vec![("Min-Expires".into(), limits.min_expires.as_secs().to_string())];
        return Err(Reply { headers, ..Reply::new(StatusCode::INTERVAL_TOO_BRIEF) });
    }
    Ok(wanted.min(limits.max_expires))
}

fn is_extension(number: &str, context: &Context) -> bool {
    context.config.extensions.iter().any(|extension| extension.number == number)
}

/// The address-of-record of an extension.
fn address_of(number: &str, context: &Context) -> String {
    format!("sip:{}@{}", crate::sip::escape_user(number), context.config.sip.domain)
}
