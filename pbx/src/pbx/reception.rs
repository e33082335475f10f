//! Who comes in: requests that belong to no session are answered or turned away here, INVITEs become calls.

use crate::auth::{Authenticator, Failed, Refusal, Role, Verdict};
use crate::call::{self, Calls, Context, Incoming};
use crate::dialog::{ExtraHeaders, Outgoing, Reply, RequestId, SessionId};
use crate::pbx::{Event, Output, What};
use crate::route::{self, Access, Caller, Decision};
use crate::sip::{Method, Name, Path, Request, Response, StatusCode};
use crate::time::Instant;
use crate::watch::Watchers;
use std::collections::BTreeMap;

/// Replies that may be held back at a time, and requests that may be passed on at a time.
const LIMIT: usize = 10_000;

/// The front desk.
#[derive(Default)]
pub(super) struct Reception {
    /// Replies to failed attempts, each with when it goes out.
    held: BTreeMap<(Instant, u64), (Asker, Reply)>,
    held_total: u64,
    /// Requests that were passed on, by what was sent for them.
    passed_on: BTreeMap<RequestId, RequestId>,
}

/// Whom a reply is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asker {
    Invite(SessionId),
    Request(RequestId),
}

impl Asker {
    fn reply(self, reply: Reply, context: &mut Context) {
        match self {
            Asker::Invite(session) => context.agent.reject(session, reply, context.now),
            Asker::Request(id) => context.agent.reply(id, reply, context.now),
        }
    }
}

/// An INVITE that nobody has looked at.
pub(super) struct Visitor {
    pub(super) session: SessionId,
    pub(super) invite: Request,
    pub(super) path: Path,
    pub(super) offer: Option<Vec<u8>>,
}

/// What comes of looking at somebody's credentials.
enum Admission {
    /// It is this extension.
    Granted(String),
    Refused {
        reply: Reply,
        at: Option<Instant>,
    },
    /// Its source is blocked.
    Ignored,
}

impl Reception {
    /// Lets an INVITE in as a call, or turns it away.
    pub(super) fn admit(
        &mut self,
        visitor: Visitor,
        draining: bool,
        auth: &mut Authenticator,
        calls: &mut Calls,
        context: &mut Context,
    ) {
        let Visitor { session, invite, path, offer } = visitor;
        if draining || calls.len() >= context.config.limits.calls {
            context.counters.calls_turned_away += 1;
            return context.agent.reject(session, come_back_later(), context.now);
        }
        let (source, dialled) = (path.remote.ip(), route::dialled(invite.uri()));
        if let Some(replaces) = invite.headers().get(Name::Replaces).map(str::to_owned) {
            let visitor = Visitor { session, invite, path, offer };
            return self.admit_in_place(visitor, dialled, &replaces, auth, calls, context);
        }
        let mut caller = route::caller(&context.config, source);
        let mut routed = context.route(&dialled, &caller, source);
        match route::access(&routed, &caller) {
            Access::Open => {}
            Access::Forbidden => {
                return context.agent.reject(session, Reply::new(StatusCode::FORBIDDEN), context.now);
            }
            Access::NeedsAuthentication => {
                let asker = Asker::Invite(session);
                let Some(number) = self.identify(asker, &invite, path, Role::Proxy, auth, context) else {
                    return;
                };
                caller = Caller::Extension(number);
                // Who is known may reach what a stranger may not.
                routed = context.route(&dialled, &caller, source);
            }
        }
        let is_tone = matches!(routed.decision, Decision::Tone { .. });
        if is_tone && calls.len() >= context.config.behavior.max_concurrent_calls {
            context.counters.calls_turned_away += 1;
            return context.agent.reject(session, come_back_later(), context.now);
        }
        calls.begin(Incoming { session, invite, path, offer, caller, dialled, routed }, context);
    }

    /// Lets an INVITE in that takes the place of somebody in a talk: whoever sends it shows a password, but for trunks.
    fn admit_in_place(
        &mut self,
        visitor: Visitor,
        dialled: String,
        replaces: &str,
        auth: &mut Authenticator,
        calls: &mut Calls,
        context: &mut Context,
    ) {
        let Visitor { session, invite, path, offer } = visitor;
        let caller = match route::caller(&context.config, path.remote.ip()) {
            Caller::Anonymous => {
                let asker = Asker::Invite(session);
                match self.identify(asker, &invite, path, Role::Proxy, auth, context) {
                    Some(number) => Caller::Extension(number),
                    None => return,
                }
            }
            known => known,
        };
        let routed = route::Routed { decision: Decision::NotFound, route: None, open: false };
        let incoming = Incoming { session, invite, path, offer, caller, dialled, routed };
        calls.begin_in_place(incoming, replaces, context);
    }

    /// Answers a request that belongs to no session.
    pub(super) fn answer(
        &mut self,
        id: RequestId,
        request: &Request,
        path: Path,
        auth: &mut Authenticator,
        watching: (&mut Watchers, &Calls),
        context: &mut Context,
    ) {
        match request.method() {
            Method::Register => self.register(id, request, path, auth, context),
            Method::Options => {
                let reply = reply_to_options(request, path, context);
                context.agent.reply(id, reply, context.now);
            }
            Method::Message => self.pass_on(id, request, path, auth, context),
            Method::Subscribe => self.subscribe(id, request, path, auth, watching, context),
            Method::Publish => {
                context.agent.reply(id, Reply::new(StatusCode::BAD_EVENT), context.now);
            }
            Method::Info | Method::Notify | Method::Update | Method::Prack | Method::Bye => {
                let reply = Reply::new(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
                context.agent.reply(id, reply, context.now);
            }
            // Nobody is sent anywhere who is not in a call.
            Method::Refer => context.agent.reply(id, Reply::new(StatusCode::DECLINE), context.now),
            Method::Invite | Method::Ack | Method::Cancel | Method::Other(_) => {
                context.agent.reply(id, call::not_allowed_reply(), context.now);
            }
        }
    }

    /// The response to a request that was passed on goes back; `false` when it was none of ours.
    pub(super) fn pass_back(
        &mut self,
        id: RequestId,
        response: &Result<Response, StatusCode>,
        context: &mut Context,
    ) -> bool {
        let Some(received) = self.passed_on.remove(&id) else {
            return false;
        };
        context.agent.reply(received, call::passed_back(response), context.now);
        true
    }

    /// The session is gone before its held reply went out.
    pub(super) fn forget(&mut self, session: SessionId) {
        self.held.retain(|_, (asker, _)| *asker != Asker::Invite(session));
    }

    /// Sends the replies whose time has come.
    pub(super) fn handle_timeout(&mut self, context: &mut Context) {
        while let Some(entry) = self.held.first_entry().filter(|entry| entry.key().0 <= context.now) {
            let (asker, reply) = entry.remove();
            asker.reply(reply, context);
        }
    }

    /// The earliest deadline.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.held.first_key_value().map(|((at, _), _)| *at)
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.passed_on.is_empty()
    }

    /// Who wants to know of something shows a password, as who calls does.
    fn subscribe(
        &mut self,
        id: RequestId,
        request: &Request,
        path: Path,
        auth: &mut Authenticator,
        (watchers, calls): (&mut Watchers, &Calls),
        context: &mut Context,
    ) {
        if let Some(number) = self.identify(Asker::Request(id), request, path, Role::Server, auth, context) {
            watchers.subscribe(id, &number, request, path, calls, context);
        }
    }

    fn register(
        &mut self,
        id: RequestId,
        request: &Request,
        path: Path,
        auth: &mut Authenticator,
        context: &mut Context,
    ) {
        let aor = match context.registrar.aor(request, path) {
            Ok(aor) => aor,
            // An unknown name is asked for a password like a known one: nobody learns which names there are.
            Err(reply) if reply.status != StatusCode::NOT_FOUND => {
                return context.agent.reply(id, reply, context.now);
            }
            Err(_) => String::new(),
        };
        let asker = Asker::Request(id);
        let Some(number) = self.identify(asker, request, path, Role::Server, auth, context) else { return };
        let reply = match number == aor {
            true => context.registrar.register(&aor, request, path, context.now),
            false => Reply::new(StatusCode::FORBIDDEN),
        };
        asker.reply(reply, context);
    }

    /// A MESSAGE goes to the first contact of the extension it is for.
    fn pass_on(
        &mut self,
        id: RequestId,
        request: &Request,
        path: Path,
        auth: &mut Authenticator,
        context: &mut Context,
    ) {
        let is_trunk = matches!(route::caller(&context.config, path.remote.ip()), Caller::Trunk(_));
        let asker = Asker::Request(id);
        if !is_trunk && self.identify(asker, request, path, Role::Proxy, auth, context).is_none() {
            return;
        }
        match outgoing(request, context) {
            Ok(outgoing) if self.passed_on.len() < LIMIT => {
                let sent = context.agent.request(outgoing, context.now);
                self.passed_on.insert(sent, id);
            }
            Ok(_) => context.agent.reply(id, come_back_later(), context.now),
            Err(status) => context.agent.reply(id, Reply::new(status), context.now),
        }
    }

    /// Which extension it is, by its password. Who shows none, or another one, has been answered, or will be: later, as that
    /// makes guessing slow.
    fn identify(
        &mut self,
        asker: Asker,
        request: &Request,
        path: Path,
        role: Role,
        auth: &mut Authenticator,
        context: &mut Context,
    ) -> Option<String> {
        match authenticate(auth, request, path, role, context) {
            Admission::Granted(number) => return Some(number),
            Admission::Refused { reply, at: Some(at) } if self.held.len() < LIMIT => {
                self.held_total += 1;
                self.held.insert((at, self.held_total), (asker, reply));
            }
            Admission::Refused { reply, .. } => asker.reply(reply, context),
            Admission::Ignored => asker.reply(Reply::new(StatusCode::FORBIDDEN), context),
        }
        None
    }
}

fn authenticate(
    auth: &mut Authenticator,
    request: &Request,
    path: Path,
    role: Role,
    context: &mut Context,
) -> Admission {
    let (reply, answer_at, failed) = match auth.check(request, path.remote, role, context.now) {
        Verdict::Granted { user } => return Admission::Granted(user),
        Verdict::Blocked => return Admission::Ignored,
        Verdict::Refused(Refusal { reply, answer_at, failed }) => (reply, answer_at, failed),
    };
    if let Some(Failed { user, blocks }) = failed {
        context.counters.authentication_failures += 1;
        let failure = What::AuthenticationFailed { user, source: path.remote };
        let block = blocks.then(|| What::Blocked { source: path.remote.ip() });
        for what in std::iter::once(failure).chain(block) {
            context.out.push_back(Output::Event(Event { at: context.now, call_id: None, what }));
        }
    }
    Admission::Refused { reply, at: Some(answer_at).filter(|at| *at > context.now) }
}

/// OPTIONS is answered as an INVITE would be (RFC 3261 section 11.2): 404 for whom we do not know.
fn reply_to_options(request: &Request, path: Path, context: &mut Context) -> Reply {
    let (source, dialled) = (path.remote.ip(), route::dialled(request.uri()));
    if dialled.is_empty() {
        return call::options_reply();
    }
    let caller = route::caller(&context.config, source);
    let routed = context.route(&dialled, &caller, source);
    match routed.decision {
        // Whoever may not call a number does not learn whether it exists.
        _ if route::access(&routed, &caller) != Access::Open => call::options_reply(),
        Decision::Reject { status, .. } => Reply::new(status),
        Decision::NotFound => Reply::new(StatusCode::NOT_FOUND),
        _ => call::options_reply(),
    }
}

fn outgoing(request: &Request, context: &Context) -> Result<Outgoing, StatusCode> {
    let number = route::dialled(request.uri());
    if !context.config.extensions.iter().any(|extension| extension.number == number) {
        return Err(StatusCode::NOT_FOUND);
    }
    let binding = context.registrar.contacts(&number, context.now).into_iter().next();
    let binding = binding.ok_or(StatusCode::TEMPORARILY_UNAVAILABLE)?;
    let (method, mut headers, body) = call::passed_on(request);
    headers.extend(binding.route.iter().map(|route| (Name::Route.as_str().to_owned(), route.clone())));
    Ok(Outgoing {
        method,
        uri: binding.request_uri().to_owned(),
        to: format!("<sip:{number}@{}>", context.config.sip.domain),
        from: format!(
            "<sip:{}@{}>",
            crate::sip::escape_user(&call::from_user(request)),
            context.config.sip.domain
        ),
        path: binding.target,
        headers,
        body,
        credentials: None,
    })
}

fn come_back_later() -> Reply {
    let headers: ExtraHeaders = vec![("Retry-After".into(), "10".into())];
    Reply { headers, ..Reply::new(StatusCode::SERVICE_UNAVAILABLE) }
}
