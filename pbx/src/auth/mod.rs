//! Who may: digest authentication of requests, and a memory for those who try too often (RFC 3261 section 22, RFC 8760).
//!
//! Nonces cost nothing to make and are good for one source, for a while, with a count that only grows. What a request is
//! allowed to do once we know whose it is, is not decided here but in `route`.

mod failures;
mod nonce;
mod table;

use crate::config::{self, Config};
use crate::dialog::Reply;
use crate::rng::Rng;
use crate::sip::digest::{Algorithm, Challenge, Credentials, Qop};
use crate::sip::{Method, Name, NameAddr, Request, StatusCode};
use crate::time::{Duration, Instant};
use failures::Failures;
use nonce::Nonces;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// In which role we ask (RFC 3261 section 22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// As registrar or for ourselves: 401, WWW-Authenticate, Authorization.
    Server,
    /// For a call to somebody else: 407, Proxy-Authenticate, Proxy-Authorization.
    Proxy,
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It is this user's: the number of an extension.
    Granted {
        /// The number.
        user: String,
    },
    /// It is to be answered so.
    Refused(Refusal),
    /// Its source is blocked: no answer.
    Blocked,
}

/// How a request is refused.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// 401 or 407 with challenges; 400; 403.
    pub reply: Reply,
    /// The reply is held back until then: guessing takes time. Not later than a few seconds, mostly now.
    pub answer_at: Instant,
    /// Somebody tried and failed; `None`: nothing was shown that counts (no credentials, an old nonce).
    pub failed: Option<Failed>,
}

/// A wrong password or an unknown name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The name given.
    pub user: String,
    /// With this one the source is blocked.
    pub blocks: bool,
}

/// Whether a request may be challenged at all: ACK and CANCEL cannot be (RFC 3261 section 22.1), and within a dialog whoever
/// let it begin has asked.
pub fn may_challenge(request: &Request) -> bool {
    let within_dialog = request.to_header().is_ok_and(|to| to.tag().is_some());
    !matches!(request.method(), Method::Ack | Method::Cancel) && !within_dialog
}

/// Checks who sends a request.
pub struct Authenticator {
    realm: String,
    /// The best first.
    algorithms: Vec<Algorithm>,
    lifetime: Duration,
    opaque: String,
    accounts: BTreeMap<String, Secrets>,
    /// Stands in for a name that does not exist, so that it costs the same time.
    nobody: Secrets,
    nonces: Nonces,
    failures: Failures,
}

/// What stands for a password, per algorithm.
struct Secrets(Vec<(Algorithm, String)>);

impl Authenticator {
    /// Nobody has failed yet.
    pub fn new(config: &Config, mut rng: Rng) -> Authenticator {
        Authenticator {
            realm: config.auth.realm.clone(),
            algorithms: config.auth.algorithms.clone(),
            lifetime: config.auth.nonce_lifetime,
            opaque: rng.token(16),
            accounts: accounts(config),
            nobody: Secrets::of(&rng.token(16), &rng.token(32), &config.auth),
            nonces: Nonces::new(&mut rng),
            failures: Failures::new(config.auth.clone()),
        }
    }

    /// Other accounts and limits hold from now on; nonces and blocks stay.
    pub fn reconfigure(&mut self, config: &Config) {
        self.realm = config.auth.realm.clone();
        self.algorithms = config.auth.algorithms.clone();
        self.lifetime = config.auth.nonce_lifetime;
        self.nobody = Secrets::of("", &self.opaque, &config.auth);
        self.accounts = accounts(config);
        self.failures.reconfigure(config.auth.clone());
    }

    /// Judges a request that [`may_challenge`].
    ///
    /// Credentials with a nonce that is not good here and now are not looked at: the client gets a new nonce and tries
    /// again, whether the password was right is not told. The digest-uri is not compared with the Request-URI, since
    /// proxies and SIPp change the one and not the other; the nonce count keeps what was shown from being shown again.
    pub fn check(&mut self, request: &Request, source: SocketAddr, role: Role, now: Instant) -> Verdict {
        let source = source.ip();
        if self.failures.is_blocked(source, now) {
            return Verdict::Blocked;
        }
        let Some(shown) = self.credentials(request, role) else {
            return self.challenge(role, source, false, now);
        };
        let Some(nonce) = self.nonces.recognise(&shown.nonce, source, self.lifetime, now) else {
            return self.challenge(role, source, true, now);
        };
        if !self.proves(&shown, request) {
            return self.fail(role, source, shown.username, now);
        }
        let count = shown.counted.map(|counted| counted.nonce_count);
        if !self.nonces.spend(nonce, count, self.lifetime, now) {
            return self.challenge(role, source, true, now);
        }
        if !speaks_for_itself(request, &shown.username) {
            let reply = Reply::new(StatusCode::FORBIDDEN);
            return Verdict::Refused(Refusal { reply, answer_at: now, failed: None });
        }
        Verdict::Granted { user: shown.username }
    }

    /// Whether what comes from here is to be dropped unread, apart from what belongs to a call that is up.
    pub fn is_blocked(&self, source: IpAddr, now: Instant) -> bool {
        self.failures.is_blocked(source, now)
    }

    /// Those that answer one of our challenges; a request may carry others, for other realms.
    fn credentials(&self, request: &Request, role: Role) -> Option<Credentials> {
        request
            .headers()
            .all(role.answer())
            .filter_map(|line| Credentials::parse(line).ok())
            .find(|shown| shown.realm == self.realm && self.algorithms.contains(&shown.algorithm))
    }

    /// Takes as long for an unknown name as for a wrong password.
    fn proves(&self, shown: &Credentials, request: &Request) -> bool {
        let account = self.accounts.get(&shown.username);
        let secret = account.unwrap_or(&self.nobody).with(shown.algorithm);
        shown.prove(request, secret) & account.is_some()
    }

    fn fail(&mut self, role: Role, source: IpAddr, user: String, now: Instant) -> Verdict {
        let penalty = self.failures.count(source, &user, now);
        let reply = self.ask(role, source, false, now);
        let failed = Some(Failed { user, blocks: penalty.blocks });
        Verdict::Refused(Refusal { reply, answer_at: penalty.answer_at, failed })
    }

    fn challenge(&mut self, role: Role, source: IpAddr, stale: bool, now: Instant) -> Verdict {
        let reply = self.ask(role, source, stale, now);
        Verdict::Refused(Refusal { reply, answer_at: now, failed: None })
    }

    /// One line per algorithm, the best first (RFC 8760 section 2.3).
    fn ask(&mut self, role: Role, source: IpAddr, stale: bool, now: Instant) -> Reply {
        let text = self.nonces.make(source, now);
        let line = |&algorithm: &Algorithm| {
            let challenge = Challenge {
                realm: self.realm.clone(),
                nonce: text.clone(),
                algorithm,
                opaque: Some(self.opaque.clone()),
                qop: vec![Qop::Auth],
                stale,
            };
            (role.question().as_str().to_owned(), challenge.to_string())
        };
        Reply { headers: self.algorithms.iter().map(line).collect(), ..Reply::new(role.status()) }
    }
}

impl Role {
    const fn status(self) -> StatusCode {
        match self {
            Role::Server => StatusCode::UNAUTHORIZED,
            Role::Proxy => StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        }
    }

    const fn question(self) -> Name {
        match self {
            Role::Server => Name::WwwAuthenticate,
            Role::Proxy => Name::ProxyAuthenticate,
        }
    }

    const fn answer(self) -> Name {
        match self {
            Role::Server => Name::Authorization,
            Role::Proxy => Name::ProxyAuthorization,
        }
    }
}

impl Secrets {
    fn of(user: &str, password: &str, config: &config::Auth) -> Secrets {
        let secret = |&algorithm: &Algorithm| (algorithm, algorithm.secret(user, &config.realm, password));
        Secrets(config.algorithms.iter().map(secret).collect())
    }

    /// Empty for an algorithm that is not offered, which nobody can answer with.
    fn with(&self, algorithm: Algorithm) -> &str {
        self.0.iter().find(|(of, _)| *of == algorithm).map_or("", |(_, secret)| secret)
    }
}

fn accounts(config: &Config) -> BTreeMap<String, Secrets> {
    let secrets = |account: &config::Extension| Secrets::of(&account.number, &account.password, &config.auth);
    config.extensions.iter().map(|account| (account.number.clone(), secrets(account))).collect()
}

/// Whether From, and for REGISTER also To, name the user whose password was shown: nobody calls in the name of another, and
/// nobody registers for another. A caller may stay anonymous (RFC 3323 section 4.1.1.3).
fn speaks_for_itself(request: &Request, user: &str) -> bool {
    let named = |address: Result<NameAddr<'_>, _>, anonymous: bool| {
        address.ok().and_then(|address| address.parse_uri().ok()).is_some_and(|uri| {
            uri.user_text() == user
                || anonymous && uri.host.as_str().eq_ignore_ascii_case("anonymous.invalid")
        })
    };
    match request.method() {
        Method::Register => named(request.from(), false) && named(request.to_header(), false),
        _ => named(request.from(), true),
    }
}

#[cfg(test)]
mod tests;
