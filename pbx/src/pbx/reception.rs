//! Who comes in: requests that belong to no session are answered or turned away here, INVITEs become calls.

use crate::auth::{Authenticator, Role, Verdict};
use crate::call::{self, Calls, Context, Incoming};
use crate::dialog::{ExtraHeaders, Outgoing, Reply, RequestId, SessionId};
use crate::pbx::{Event, Output, What};
use crate::route::{self, Caller, Decision};
use crate::sip::{Method, Name, Path, Request, Response, StatusCode, Uri};
use crate::time::Instant;
use std::collections::BTreeMap;

/// Replies that may be held back at a time, and requests that may be passed on at a time.
const LIMIT: usize = 10_000;

/// The front desk.
#[derive(Default)]
pub(super) struct Reception {
    /// Replies to failed attempts, each with when it goes out.
    held: BTreeMap<(Instant, u64), Held>,
    held_total: u64,
    /// Requests that were passed on, by what was sent for them.
    passed_on: BTreeMap<RequestId, RequestId>,
}

/// A reply that makes guessing slow.
enum Held {
    ToInvite(SessionId, Reply),
    ToRequest(RequestId, Reply),
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
    Granted(Caller),
    Refused { reply: Reply, at: Option<Instant> },
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
        let caller = route::classify(&context.config, path.remote);
        let dialled = dialled_user(&invite);
        let (decision, route) = context.decide_for(invite.uri(), &caller);
        let caller = match route::access(&context.config, &decision, route.as_deref(), &caller) {
            route::Access::Open => caller,
            route::Access::NeedsAuthentication => {
                match authenticate(auth, &invite, path, Role::Proxy, context) {
                    Admission::Granted(caller) => caller,
                    Admission::Refused { reply, at: None } => {
                        return context.agent.reject(session, reply, context.now);
                    }
                    Admission::Refused { reply, at: Some(at) } => {
                        return self.hold(at, Held::ToInvite(session, reply), context);
                    }
                }
            }
        };
        // Who is known may reach what a stranger may not.
        let (decision, route) = context.decide_for(invite.uri(), &caller);
        if matches!(decision, Decision::Tone(_))
            && calls.len() >= context.config.behavior.max_concurrent_calls
        {
            context.counters.calls_turned_away += 1;
            return context.agent.reject(session, come_back_later(), context.now);
        }
        calls.begin(Incoming { session, invite, path, offer, caller, dialled, decision, route }, context);
    }

    /// Answers a request that belongs to no session.
    pub(super) fn answer(
        &mut self,
        id: RequestId,
        request: &Request,
        path: Path,
        auth: &mut Authenticator,
        context: &mut Context,
    ) {
        match request.method() {
            Method::Register => self.register(id, request, path, auth, context),
            Method::Options => {
                let reply = reply_to_options(request, path, context);
                context.agent.reply(id, reply, context.now);
            }
            Method::Message => self.pass_on(id, request, path, auth, context),
            Method::Subscribe | Method::Publish => {
                context.agent.reply(id, Reply::new(StatusCode::BAD_EVENT), context.now);
            }
            Method::Info | Method::Notify | Method::Update | Method::Prack | Method::Bye => {
                let reply = Reply::new(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
                context.agent.reply(id, reply, context.now);
            }
            Method::Refer | Method::Invite | Method::Ack | Method::Cancel | Method::Other(_) => {
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
        self.held.retain(|_, held| !matches!(held, Held::ToInvite(held, _) if *held == session));
    }

    /// Sends the replies whose time has come.
    pub(super) fn handle_timeout(&mut self, context: &mut Context) {
        while let Some(entry) = self.held.first_entry().filter(|entry| entry.key().0 <= context.now) {
            match entry.remove() {
                Held::ToInvite(session, reply) => context.agent.reject(session, reply, context.now),
                Held::ToRequest(id, reply) => context.agent.reply(id, reply, context.now),
            }
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

    fn register(
        &mut self,
        id: RequestId,
        request: &Request,
        path: Path,
        auth: &mut Authenticator,
        context: &mut Context,
    ) {
        match authenticate(auth, request, path, Role::Server, context) {
            Admission::Granted(_) => {
                let aor = request.to_header().ok().and_then(|to| Some(to.parse_uri().ok()?.user_text()));
                let aor = aor.unwrap_or_default();
                let reply = context.registrar.register(&aor, request, path, &context.clock, context.now);
                context.agent.reply(id, reply, context.now);
            }
            Admission::Refused { reply, at: None } => context.agent.reply(id, reply, context.now),
            Admission::Refused { reply, at: Some(at) } => self.hold(at, Held::ToRequest(id, reply), context),
        }
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
        let caller = route::classify(&context.config, path.remote);
        if !matches!(caller, Caller::Trunk { .. }) {
            match authenticate(auth, request, path, Role::Proxy, context) {
                Admission::Granted(_) => {}
                Admission::Refused { reply, at: None } => return context.agent.reply(id, reply, context.now),
                Admission::Refused { reply, at: Some(at) } => {
                    return self.hold(at, Held::ToRequest(id, reply), context);
                }
            }
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

    fn hold(&mut self, at: Instant, held: Held, context: &mut Context) {
        if self.held.len() < LIMIT {
            self.held_total += 1;
            self.held.insert((at, self.held_total), held);
            return;
        }
        match held {
            Held::ToInvite(session, reply) => context.agent.reject(session, reply, context.now),
            Held::ToRequest(id, reply) => context.agent.reply(id, reply, context.now),
        }
    }
}

impl Context {
    /// What a number leads to.
    pub(crate) fn decide(&mut self, number: &str, caller: &Caller) -> Decision {
        let uri = format!("sip:{}@{}", crate::sip::escape_user(number), self.config.sip.domain);
        self.decide_for(&uri, caller).0
    }

    fn decide_for(&mut self, uri: &str, caller: &Caller) -> (Decision, Option<String>) {
        route::decide(&self.config, uri, caller, &self.health, &mut self.rng, self.now)
    }
}

fn authenticate(
    auth: &mut Authenticator,
    request: &Request,
    path: Path,
    role: Role,
    context: &mut Context,
) -> Admission {
    let verdict = auth.check(&context.config, request, path.remote, role, context.now);
    let tell = |context: &mut Context, what| {
        context.out.push_back(Output::Event(Event { at: context.now, call_id: None, what }));
    };
    match verdict {
        Verdict::Granted { user } => Admission::Granted(Caller::Extension { number: user }),
        Verdict::Challenge { reply } => Admission::Refused { reply, at: None },
        Verdict::Failed { reply, answer_at, user, blocked } => {
            context.counters.authentication_failures += 1;
            tell(context, What::AuthenticationFailed { user, source: path.remote });
            if blocked {
                tell(context, What::Blocked { source: path.remote.ip() });
            }
            Admission::Refused { reply, at: Some(answer_at).filter(|at| *at > context.now) }
        }
        Verdict::Refused { reply } => Admission::Refused { reply, at: None },
    }
}

/// OPTIONS is answered as an INVITE would be (RFC 3261 section 11.2): 404 for whom we do not know.
fn reply_to_options(request: &Request, path: Path, context: &mut Context) -> Reply {
    let caller = route::classify(&context.config, path.remote);
    match dialled_user(request).as_str() {
        "" => call::options_reply(),
        _ => match context.decide_for(request.uri(), &caller).0 {
            Decision::Reject { status, .. } => Reply::new(status),
            _ => call::options_reply(),
        },
    }
}

fn outgoing(request: &Request, context: &Context) -> Result<Outgoing, StatusCode> {
    let number = dialled_user(request);
    let uri = Uri::parse(request.uri()).map_err(|_| StatusCode::BAD_REQUEST)?;
    let known = context.config.extensions.iter().any(|extension| extension.number == number);
    if !known || !route::is_ours(&context.config, uri.host) {
        return Err(StatusCode::NOT_FOUND);
    }
    let binding = context.registrar.contacts(&number, context.now).next();
    let binding = binding.ok_or(StatusCode::TEMPORARILY_UNAVAILABLE)?;
    let (method, mut headers, body) = call::passed_on(request);
    headers.extend(binding.route.iter().map(|route| (Name::Route.as_str().to_owned(), route.clone())));
    Ok(Outgoing {
        method,
        uri: binding.contact.clone(),
        to: format!("<sip:{number}@{}>", context.config.sip.domain),
        from: format!(
            "<sip:{}@{}>",
            crate::sip::escape_user(&call::from_user(request)),
            context.config.sip.domain
        ),
        path: binding.path,
        headers,
        body,
        credentials: None,
    })
}

fn dialled_user(request: &Request) -> String {
    Uri::parse(request.uri()).map(|uri| uri.user_text()).unwrap_or_default()
}

fn come_back_later() -> Reply {
    let headers: ExtraHeaders = vec![("Retry-After".into(), "10".into())];
    Reply { headers, ..Reply::new(StatusCode::SERVICE_UNAVAILABLE) }
}
