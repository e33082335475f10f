//! Who is meant: from what was dialled to what answers, who may dial it, and what the caller hears when it comes to nothing.
//!
//! Nothing here sends anything; `call` acts on what is decided here.

mod health;
mod refusal;

pub use refusal::{Callee, Outcome, best, map_refusal, redirected_to, tries_next};

use crate::config::{self, App, Calendar, Config, Trunk, TrunkTarget};
use crate::rng::Rng;
use crate::sip::{StatusCode, Transport, Uri, unescape};
use crate::time::{Duration, Instant};
use health::Health;
use std::net::IpAddr;

/// Who calls, as far as we know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody who has shown the password of this extension.
    Extension(String),
    /// A trunk of this name, known by its source address.
    Trunk(String),
    /// Somebody else.
    Anonymous,
}

/// What somebody dials.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// The dialled number: [`dialled`] of the Request-URI.
    pub number: &'a str,
    /// Who dials.
    pub caller: &'a Caller,
    /// From where.
    pub source: IpAddr,
    /// What o'clock it is: seconds since 1970, in UTC.
    pub at: i64,
}

/// What is to be done with a call, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Routed {
    /// What is to be done.
    pub decision: Decision,
    /// The name of the route that said so; `None`: no route but an extension of that number, or the tone of `[behavior]`.
    pub route: Option<String>,
    /// The configuration opens it to this source, whoever it is.
    pub open: bool,
}

/// What is to be done with a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// All contacts of this extension ring.
    Extension {
        /// Its number.
        number: String,
    },
    /// Out: the first of these that takes it.
    Trunk {
        /// What is dialled there.
        number: String,
        /// In the order to try; not empty.
        targets: Vec<Target>,
    },
    /// A tone.
    Tone {
        /// Hz.
        frequency: f64,
        /// How long.
        duration: Duration,
        /// From INVITE to 200.
        answer_delay: Duration,
    },
    /// What is in a file.
    Announcement(config::Announcement),
    /// A room in which all hear each other.
    Conference(config::Conference),
    /// Applications of this context are told, and one of them answers.
    Application {
        /// The context.
        context: String,
    },
    /// The caller waits in a queue for an agent.
    Queue {
        /// Its name.
        queue: String,
    },
    /// A web service is asked.
    Ask(Ask),
    /// Extensions ring, some at once.
    Group(Group),
    /// Messages: one is left in this mailbox, or, where none is named, it turns out whose is meant.
    Voicemail {
        /// Whose mailbox.
        mailbox: Option<String>,
    },
    /// What the caller says comes back.
    Echo,
    /// No.
    Reject {
        /// 400 to 699.
        status: StatusCode,
        /// The reason phrase, when not the default.
        reason: Option<String>,
    },
    /// There is no such number.
    NotFound,
}

/// What a web service is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// The number that is rung where it says nothing.
    pub fallback: Option<String>,
    /// What the caller's INVITE says, where there is one.
    pub facts: Option<serde_json::Value>,
}

/// Extensions that ring, some at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Those of a round ring together; the next round when none of them answers.
    pub rounds: Vec<Vec<String>>,
    /// How long each round rings.
    pub rings: Duration,
}

impl Decision {
    /// Whether the PBX itself answers, and nobody is rung.
    pub fn is_application(&self) -> bool {
        match self {
            Decision::Extension { .. }
            | Decision::Trunk { .. }
            | Decision::Reject { .. }
            | Decision::Ask(_)
            | Decision::Group(_)
            | Decision::NotFound => false,
            Decision::Tone { .. }
            | Decision::Announcement(_)
            | Decision::Conference(_)
            | Decision::Application { .. }
            | Decision::Queue { .. }
            | Decision::Voicemail { .. }
            | Decision::Echo => true,
        }
    }
}

/// One place of a trunk where a call may go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The name of the trunk.
    pub trunk: String,
    /// A name or an address.
    pub host: String,
    /// The port; the transport's default when `None`.
    pub port: Option<u16>,
    /// What carries it.
    pub transport: Transport,
}

/// Whether a call may go where it is routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It may.
    Open,
    /// Not before the caller has shown a password: 407.
    NeedsAuthentication,
    /// Not for this caller: 403.
    Forbidden,
}

/// Decides, and remembers which targets have failed lately.
pub struct Router {
    rng: Rng,
    health: Health,
}

impl Router {
    /// A router that has seen nothing fail.
    pub fn new(rng: Rng) -> Router {
        Router { rng, health: Health::default() }
    }

    /// What is to be done: the first route that fits, then the extension of that number, then the tone of `[behavior]`.
    pub fn decide(&mut self, config: &Config, asked: &Asked<'_>, now: Instant) -> Routed {
        let routed = match config.routes.iter().find(|route| fits(route, asked, &config.calendar)) {
            Some(route) => Routed {
                decision: self.follow(&route.app, config, asked.number, now),
                route: Some(route.name.clone()),
                open: route.from_network.is_some(),
            },
            None => unrouted(config, asked.number),
        };
        tracing::debug!(number = asked.number, caller = ?asked.caller, source = %asked.source, ?routed, "routed");
        routed
    }

    /// Out over one trunk, whatever the dial plan says; `None`: there is no such trunk.
    pub fn by_trunk(
        &mut self,
        config: &Config,
        name: &str,
        number: String,
        now: Instant,
    ) -> Option<Decision> {
        let trunk = config.trunks.iter().find(|trunk| trunk.name.eq_ignore_ascii_case(name))?;
        Some(self.lead_out(config, std::slice::from_ref(&trunk.name), number, now))
    }

    /// A target did not answer or said that it cannot: it goes last for a while.
    pub fn target_failed(&mut self, target: &Target, now: Instant) {
        self.health.failed(target, now);
    }

    /// A target answered.
    pub fn target_works(&mut self, target: &Target) {
        self.health.works(target);
    }

    fn follow(&mut self, app: &App, config: &Config, number: &str, now: Instant) -> Decision {
        match app {
            App::Extension(other) => extension(config, other.as_deref().unwrap_or(number)),
            App::Trunk { trunks, strip, prefix } => {
                let rest: String = number.chars().skip(*strip).collect();
                self.lead_out(config, trunks, format!("{prefix}{rest}"), now)
            }
            App::Tone { frequency, duration, answer_delay } => {
                tone(&config.behavior, *frequency, *duration, *answer_delay)
            }
            App::Announcement(announcement) => Decision::Announcement(announcement.clone()),
            App::Conference(conference) => Decision::Conference(conference.clone()),
            App::Application { context } => Decision::Application { context: context.clone() },
            App::Queue { queue } => Decision::Queue { queue: queue.clone() },
            App::Router { fallback } => Decision::Ask(Ask { fallback: fallback.clone(), facts: None }),
            App::Voicemail { mailbox } => Decision::Voicemail { mailbox: mailbox.clone() },
            App::Echo => Decision::Echo,
            App::Reject { status, reason } => Decision::Reject {
                status: StatusCode::new(*status).unwrap_or(StatusCode::FORBIDDEN),
                reason: reason.clone(),
            },
        }
    }

    fn lead_out(&mut self, config: &Config, names: &[String], number: String, now: Instant) -> Decision {
        if number.is_empty() {
            return Decision::Reject { status: StatusCode::ADDRESS_INCOMPLETE, reason: None };
        }
        let trunks = names.iter().filter_map(|name| config.trunks.iter().find(|trunk| trunk.name == *name));
        let in_turn: Vec<Target> = trunks.flat_map(|trunk| in_turn(trunk, &mut self.rng)).collect();
        let (resting, mut targets): (Vec<Target>, Vec<Target>) =
            in_turn.into_iter().partition(|target| self.health.is_resting(target, now));
        targets.extend(resting);
        match targets.is_empty() {
            true => Decision::NotFound,
            false => Decision::Trunk { number, targets },
        }
    }
}

/// Who calls from this source, before anybody has shown a password.
pub fn caller(config: &Config, source: IpAddr) -> Caller {
    let is_from = |trunk: &&Trunk| trunk.accept_from.iter().any(|network| network.contains(source));
    match config.trunks.iter().find(is_from) {
        Some(trunk) => Caller::Trunk(trunk.name.clone()),
        None => Caller::Anonymous,
    }
}

/// Whether `caller` may have what was decided (docs/decisions/0003).
pub fn access(routed: &Routed, caller: &Caller) -> Access {
    match (caller, &routed.decision) {
        _ if routed.open => Access::Open,
        (Caller::Extension(_), _) => Access::Open,
        (Caller::Trunk(_), Decision::Trunk { .. }) => Access::Forbidden,
        (Caller::Trunk(_), _) => Access::Open,
        (Caller::Anonymous, Decision::Reject { .. }) => Access::Open,
        (Caller::Anonymous, _) => Access::NeedsAuthentication,
    }
}

/// The dialled number of a Request-URI: the user part (or the number of `tel:`) unescaped, without its parameters and, when
/// it is a telephone number, without visual separators (RFC 3966 section 5.1.1). Empty when there is none.
pub fn dialled(request_uri: &str) -> String {
    let Ok(uri) = Uri::parse(request_uri) else {
        return String::new();
    };
    let user = uri.user.unwrap_or_default();
    // A telephone number in a SIP URI may have parameters of its own (RFC 3261 section 19.1.6).
    let number = unescape(user.split(';').next().unwrap_or_default());
    let is_telephone_number = uri.is_tel()
        || number.starts_with('+')
        || uri.params.get("user").is_some_and(|user| user.eq_ignore_ascii_case("phone"));
    match is_telephone_number {
        true => number.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')')).collect(),
        false => number.into_owned(),
    }
}

fn fits(route: &config::Route, asked: &Asked<'_>, calendar: &Calendar) -> bool {
    route.from_network.is_none_or(|network| network.contains(asked.source))
        && route.to_user.matches(asked.number)
        && route.when.as_ref().is_none_or(|when| calendar.is_now(when, asked.at))
}

/// What holds where no route fits.
fn unrouted(config: &Config, number: &str) -> Routed {
    let (decision, open) = match extension(config, number) {
        Decision::NotFound if config.behavior.auto_answer => (tone(&config.behavior, None, None, None), true),
        found_or_not => (found_or_not, false),
    };
    Routed { decision, route: None, open }
}

fn extension(config: &Config, number: &str) -> Decision {
    match config.extensions.iter().any(|extension| extension.number == number) {
        true => Decision::Extension { number: number.to_owned() },
        false => Decision::NotFound,
    }
}

fn tone(
    behavior: &config::Behavior,
    frequency: Option<f64>,
    duration: Option<Duration>,
    answer_delay: Option<Duration>,
) -> Decision {
    Decision::Tone {
        frequency: frequency.unwrap_or(behavior.tone_frequency),
        duration: duration.unwrap_or(behavior.tone_duration),
        answer_delay: answer_delay.unwrap_or(behavior.auto_answer_delay),
    }
}

/// The targets of a trunk in the order to try: by priority, and within one by chance according to weight (RFC 2782).
fn in_turn(trunk: &Trunk, rng: &mut Rng) -> Vec<Target> {
    let mut left: Vec<&TrunkTarget> = trunk.targets.iter().collect();
    // Those without weight stand first, so that chance takes them only where it falls on the very beginning.
    left.sort_by_key(|target| (target.priority, target.weight));
    let mut targets = Vec::with_capacity(left.len());
    while let Some(first) = left.first() {
        let of_this_priority = left.iter().take_while(|target| target.priority == first.priority);
        let next = left.remove(draw(of_this_priority.map(|target| target.weight), rng));
        targets.push(Target {
            trunk: trunk.name.clone(),
            host: next.host.clone(),
            port: next.port,
            transport: next.transport,
        });
    }
    targets
}

/// The index of one of `weights`, the more likely the heavier.
fn draw(weights: impl Iterator<Item = u16> + Clone, rng: &mut Rng) -> usize {
    let total: u64 = weights.clone().map(u64::from).sum();
    let drawn = rng.below(total + 1);
    let mut sum = 0;
    let reaches = |weight: u16| {
        sum += u64::from(weight);
        sum >= drawn
    };
    weights.map(reaches).position(|reached| reached).unwrap_or_default()
}

#[cfg(test)]
mod tests;
