//! A web service decides where a call goes: it is told the facts and answers with JSON.
//!
//! Meanwhile the call waits; nobody else does. An answer that does not come, or cannot be understood, is as if none had been
//! asked: the call goes on to the number that the route names for that, or is refused.

use super::Context;
use super::call::{Call, Stage};
use super::mapping::quoted;
use crate::boundary::{Output, What};
use crate::cdr::EndedBy;
use crate::dialog::Reply;
use crate::route::{self, Ask, Caller, Decision, Group};
use crate::sip::{Name, Request, StatusCode, escape_user};
use crate::time::Duration;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The most bytes of a body that are told.
const LONGEST_BODY: usize = 8_192;
/// The most numbers that an answer may name.
const TARGETS: usize = 32;
/// The most header lines that an answer may add, and the most bytes of each.
const LINES: usize = 32;
const LONGEST_LINE: usize = 1_024;
/// How long the numbers of an answer ring that says nothing of it, and how long they may.
const RINGS: u64 = 30;
const RINGS_AT_MOST: u64 = 600;

/// What is answered. What is not known here is not looked at.
#[derive(Debug, Deserialize)]
struct Answer {
    action: String,
    #[serde(default)]
    targets: Vec<String>,
    target: Option<String>,
    strategy: Option<String>,
    #[serde(alias = "timeout_secs")]
    timeout: Option<u64>,
    status: Option<u16>,
    reason: Option<String>,
    queue: Option<String>,
    context: Option<String>,
    mailbox: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    caller_id: Option<String>,
    caller_name: Option<String>,
}

/// What is to be done, as it was understood.
#[derive(Debug)]
struct Orders {
    decision: Decision,
    headers: Vec<(String, String)>,
    from: Option<String>,
}

/// What an INVITE says that is told; passwords are not.
pub(super) fn facts_of(invite: &Request) -> Value {
    let mut headers = Map::new();
    for (name, value) in invite.headers().iter() {
        if name.eq_ignore_ascii_case("Authorization") || name.eq_ignore_ascii_case("Proxy-Authorization") {
            continue;
        }
        match headers.entry(name.to_owned()) {
            serde_json::map::Entry::Vacant(entry) => drop(entry.insert(value.into())),
            serde_json::map::Entry::Occupied(mut entry) => {
                let both = format!("{}, {value}", entry.get().as_str().unwrap_or_default());
                entry.insert(both.into());
            }
        }
    }
    let body = std::str::from_utf8(invite.body()).ok().filter(|body| body.len() <= LONGEST_BODY);
    json!({ "method": "INVITE", "uri": invite.uri(), "headers": headers, "body": body })
}

impl Call {
    /// Asks; the answer comes in bounded time.
    pub(super) fn ask(&mut self, ask: Ask, context: &mut Context) {
        let Some(router) = context.config.router.clone() else {
            return self.on_told(Err("there is no [router]".to_owned()), ask.fallback, context);
        };
        let facts = &self.facts;
        let mut told = json!({
            "call_id": facts.call_id,
            "sip_call_id": facts.sip_call_id,
            "route": facts.route,
            "from": facts.caller,
            "to": facts.dialled,
            "source_addr": self.caller.path.remote.to_string(),
            "transport": self.caller.path.transport.uri_token(),
            "direction": match self.invitation.caller {
                Caller::Extension(_) => "internal",
                Caller::Trunk(_) | Caller::Anonymous => "inbound",
            },
            "caller": match &self.invitation.caller {
                Caller::Extension(number) => json!({ "extension": number }),
                Caller::Trunk(name) => json!({ "trunk": name }),
                Caller::Anonymous => Value::Null,
            },
            "time": context.clock.rfc3339(context.now),
        });
        if let (Value::Object(told), Some(Value::Object(more))) = (&mut told, ask.facts.clone()) {
            told.extend(more);
        }
        self.drop_pick_up(context);
        self.stage = Stage::Preparing(Decision::Ask(ask));
        let query = context.new_query();
        context.out.push_back(Output::Ask { query, to: Box::new(router), text: told.to_string() });
    }

    /// The service has answered, or has not.
    pub(super) fn on_answer_of_router(&mut self, answer: Result<String, String>, context: &mut Context) {
        // Who has hung up meanwhile is not connected any more.
        let Stage::Preparing(Decision::Ask(ask)) = &self.stage else { return };
        let fallback = ask.fallback.clone();
        self.on_told(answer, fallback, context);
    }

    fn on_told(&mut self, answer: Result<String, String>, fallback: Option<String>, context: &mut Context) {
        let orders = answer.and_then(|text| self.understand(&text, context));
        match (orders, fallback) {
            (Ok(Some(orders)), _) => {
                self.invitation.headers.extend(orders.headers);
                if let Some(from) = orders.from {
                    self.invitation.from = from;
                }
                self.proceed(orders.decision, context);
            }
            (unanswered, Some(number)) => {
                self.note_unrouted(unanswered.err(), context);
                let decision = self.dial_plan_of(&number, context);
                self.proceed(decision, context);
            }
            (unanswered, None) => {
                self.note_unrouted(unanswered.err(), context);
                let why = "nobody says where the call goes";
                self.refuse(EndedBy::Pbx, Reply::new(StatusCode::SERVICE_UNAVAILABLE), why, context);
            }
        }
    }

    fn note_unrouted(&self, why: Option<String>, context: &mut Context) {
        if let Some(reason) = why {
            context.tell(&self.facts.call_id, What::NotRouted { reason });
        }
    }

    /// `None`: it leaves the call to us.
    fn understand(&self, text: &str, context: &mut Context) -> Result<Option<Orders>, String> {
        let answer: Answer =
            serde_json::from_str(text).map_err(|error| format!("the answer cannot be read: {error}"))?;
        let decision = match answer.action.as_str() {
            "not_handled" => return Ok(None),
            "route" | "forward" => self.destination(&answer, context)?,
            "reject" | "abort" | "spam" => {
                let status = answer.status.unwrap_or(403);
                let status = StatusCode::new(status).filter(|status| status.code() >= 400);
                let reason = answer.reason.clone().filter(|reason| is_line(reason));
                Decision::Reject { status: status.ok_or("a status is from 400 to 699")?, reason }
            }
            "queue" => {
                let queue = answer.queue.clone().ok_or("`queue` names no queue")?;
                let is_one = context.config.queues.iter().any(|known| known.name == queue);
                is_one.then_some(Decision::Queue { queue }).ok_or("there is no such queue")?
            }
            "voicemail" => match answer.mailbox.as_deref().map(number_of) {
                Some(owner) if context.config.voicemail.mailbox(&owner).is_none() => {
                    return Err(format!("there is no mailbox `{}`", owner.escape_debug()));
                }
                None if context.config.voicemail.mailboxes.is_empty() => {
                    return Err("there is no mailbox".to_owned());
                }
                mailbox => Decision::Voicemail { mailbox },
            },
            "application" => {
                let context = answer.context.clone();
                Decision::Application {
                    context: context.unwrap_or_else(|| crate::config::DEFAULT_CONTEXT.to_owned()),
                }
            }
            other => return Err(format!("the action `{}` is unknown", other.escape_debug())),
        };
        Ok(Some(Orders { decision, headers: headers(&answer)?, from: from(&answer, context)? }))
    }

    fn destination(&self, answer: &Answer, context: &mut Context) -> Result<Decision, String> {
        let all = answer.target.iter().chain(&answer.targets).take(TARGETS);
        let numbers: Vec<String> = all.map(|target| number_of(target)).collect();
        let all_at_once = match answer.strategy.as_deref() {
            None | Some("all" | "parallel") => true,
            Some("in_turn" | "sequential") => false,
            Some(other) => return Err(format!("the strategy `{}` is unknown", other.escape_debug())),
        };
        match &numbers[..] {
            [] => Err("`targets` names nobody".to_owned()),
            [one] if answer.timeout.is_none() => match self.dial_plan_of(one, context) {
                Decision::NotFound => Err(format!("there is no number `{}`", one.escape_debug())),
                decision => Ok(decision),
            },
            several => {
                let is_known = |number: &&String| {
                    !context.config.extensions.iter().any(|known| known.number == **number)
                };
                if let Some(unknown) = several.iter().find(is_known) {
                    return Err(format!("there is no extension `{}`", unknown.escape_debug()));
                }
                let rings = answer.timeout.unwrap_or(RINGS).clamp(1, RINGS_AT_MOST);
                let rounds = match all_at_once {
                    true => vec![numbers],
                    false => numbers.into_iter().map(|number| vec![number]).collect(),
                };
                Ok(Decision::Group(Group { rounds, rings: Duration::from_secs(rings) }))
            }
        }
    }

    /// What a number leads to for whom the service speaks; never to the service again.
    fn dial_plan_of(&self, number: &str, context: &mut Context) -> Decision {
        let (caller, source) = (&self.invitation.caller, self.caller.path.remote.ip());
        match context.route(number, caller, source).decision {
            Decision::Ask(_) => Decision::NotFound,
            decision => decision,
        }
    }
}

/// The number of a target, which may be written as an address.
fn number_of(target: &str) -> String {
    if target.contains(':') { route::dialled(target) } else { target.to_owned() }
}

/// The lines that callees are told besides. What the PBX says itself is not for others to say.
fn headers(answer: &Answer) -> Result<Vec<(String, String)>, String> {
    if answer.headers.len() > LINES {
        return Err(format!("more than {LINES} headers"));
    }
    // What the PBX knows by name it says itself, but for what passes from leg to leg anyway.
    let is_ours = |name: &str| {
        let known = Name::of(name);
        known != Name::Other
            && !matches!(known, Name::Subject | Name::Priority | Name::AlertInfo | Name::Diversion)
            && !name.eq_ignore_ascii_case("P-Asserted-Identity")
    };
    let check = |(name, value): (&String, &String)| {
        let is_token =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        match is_token && is_line(value) && !is_ours(name) {
            true => Ok((name.clone(), value.clone())),
            false => Err(format!("the header `{}` is not for others to say", name.escape_debug())),
        }
    };
    answer.headers.iter().map(check).collect()
}

fn is_line(text: &str) -> bool {
    text.len() <= LONGEST_LINE && !text.chars().any(char::is_control)
}

/// Who is said to call.
fn from(answer: &Answer, context: &Context) -> Result<Option<String>, String> {
    let Some(number) = &answer.caller_id else { return Ok(None) };
    if number.is_empty() || !is_line(number) {
        return Err("`caller_id` is no number".to_owned());
    }
    let (user, domain) = (escape_user(&number_of(number)), &context.config.sip.domain);
    Ok(Some(match answer.caller_name.as_ref().filter(|name| is_line(name)) {
        Some(name) => format!("\"{}\" <sip:{user}@{domain}>", quoted(name)),
        None => format!("<sip:{user}@{domain}>"),
    }))
}
