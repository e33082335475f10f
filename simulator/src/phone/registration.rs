//! A telephone tells the PBX where it can be reached (RFC 3261 section 10): one Call-ID, CSeq up by one, digest, refreshed
//! in time. It has transactions of its own, as a registration outlives any one request.

use super::agent::{T1, TransactionEvent as Event, TransactionOutput as Output, Transactions, place, token};
use super::misbehaviour::{Misbehaviour, Ways};
use pbx::rng::Rng;
use pbx::sip::digest::Challenge;
use pbx::sip::{Method, Name, Path, Request, Response, StatusCode};
use pbx::time::{Duration, Instant};

/// After a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// After its connection is gone, who is reached by that alone opens another.
const RECONNECT: Duration = Duration::from_secs(2);

/// How often a nonce that is called stale is used all the same, by who does.
const STUBBORN: u32 = 3;

/// What an address-of-record is bound by.
pub(super) struct Registration {
    transactions: Transactions,
    account: Account,
    path: Path,
    call_id: String,
    tag: String,
    cseq: u32,
    cnonce: String,
    challenge: Option<(Name, Challenge, u32)>,
    state: State,
    pub(super) ways: Ways,
    /// The final statuses that came, in order.
    pub(super) told: Vec<StatusCode>,
}

/// Who registers.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) user: String,
    pub(super) password: String,
    pub(super) domain: String,
    /// How long a binding is asked for.
    pub(super) expires: Duration,
}

enum State {
    Idle,
    /// A request is out; `challenged`: how often credentials for a fresh challenge were tried.
    Asking {
        expires: u32,
        challenged: u32,
    },
    /// The PBX knows where we are.
    Registered {
        refresh_at: Instant,
        ends_at: Instant,
    },
    /// It did not work.
    Failed {
        again_at: Option<Instant>,
    },
}

impl Registration {
    pub(super) fn new(account: Account, path: Path, mut rng: Rng) -> Registration {
        Registration {
            call_id: rng.token(22),
            tag: rng.token(10),
            cnonce: rng.token(12),
            transactions: Transactions::new(T1, rng),
            account,
            path,
            cseq: 0,
            challenge: None,
            state: State::Idle,
            ways: Ways::default(),
            told: Vec::new(),
        }
    }

    /// Bindings are asked for so long from now on.
    pub(super) fn expires(&mut self, expires: Duration) {
        self.account.expires = expires;
    }

    /// Asks for a binding, with this password from now on.
    pub(super) fn start(&mut self, password: Option<&str>, now: Instant) {
        if let Some(password) = password {
            self.account.password = password.to_owned();
        }
        let expires = u32::try_from(self.account.expires.as_secs()).unwrap_or(u32::MAX);
        self.ask(expires, 0, now);
    }

    /// Asks to forget where we are.
    pub(super) fn end(&mut self, now: Instant) {
        self.ask(0, 0, now);
    }

    pub(super) fn is_registered(&self, now: Instant) -> bool {
        matches!(self.state, State::Registered { ends_at, .. } if now < ends_at)
    }

    pub(super) fn receive(&mut self, response: Response, now: Instant) {
        self.transactions.receive(pbx::sip::Message::Response(response), self.path, now);
    }

    /// Who is reached by a connection alone asks again when it is gone.
    pub(super) fn path_failed(&mut self, path: Path, now: Instant) {
        self.transactions.path_failed(path);
        if path.transport.is_one_way() && matches!(self.state, State::Registered { .. }) {
            self.state = State::Failed { again_at: Some(now + RECONNECT) };
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let own = match self.state {
            State::Registered { refresh_at, .. } => Some(refresh_at),
            State::Failed { again_at } => again_at,
            State::Idle | State::Asking { .. } => None,
        };
        self.transactions.poll_timeout().into_iter().chain(own).min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.transactions.handle_timeout(now);
        match self.state {
            State::Registered { refresh_at, .. } if refresh_at <= now => self.start(None, now),
            State::Failed { again_at: Some(at) } if at <= now => self.start(None, now),
            State::Registered { .. } | State::Failed { .. } | State::Idle | State::Asking { .. } => {}
        }
    }

    /// What is to be sent next.
    pub(super) fn poll_transmit(&mut self, now: Instant) -> Option<(Path, Vec<u8>)> {
        while let Some(output) = self.transactions.poll_output() {
            match output {
                Output::Transmit { path, bytes } => return Some((path, bytes)),
                Output::Event(Event::Response { response, .. }) => self.on_response(&response, now),
                Output::Event(Event::Failed { .. }) => self.fail(StatusCode::REQUEST_TIMEOUT, now),
                Output::Event(Event::Request { .. } | Event::Ack { .. }) => {}
            }
        }
        None
    }

    fn ask(&mut self, expires: u32, challenged: u32, now: Instant) {
        self.cseq += 1;
        self.state = State::Asking { expires, challenged };
        let mut request = self.request(expires);
        if let Some((header, challenge, count)) = &mut self.challenge {
            *count += u32::from(*count == 0 || !self.ways.has(Misbehaviour::ReplaysItsCount));
            let Account { user, password, .. } = &self.account;
            let credentials = challenge.answer(&request, user, password, &self.cnonce, *count);
            request.headers_mut().push(*header, credentials);
        }
        self.transactions.send(request, self.path, now);
    }

    fn request(&self, expires: u32) -> Request {
        let Registration { account: Account { user, domain, .. }, path, call_id, tag, cseq, .. } = self;
        let mut request = Request::new(Method::Register, &format!("sip:{domain}"));
        let headers = request.headers_mut();
        headers.push(Name::MaxForwards, 70);
        headers.push(Name::From, format_args!("<sip:{user}@{domain}>;tag={tag}"));
        headers.push(Name::To, format_args!("<sip:{user}@{domain}>"));
        headers.push(Name::CallId, call_id);
        headers.push(Name::CSeq, format_args!("{cseq} REGISTER"));
        let transport = if path.transport.is_reliable() {
            format!(";transport={}", token(path.transport))
        } else {
            String::new()
        };
        headers.push(Name::Contact, format_args!("<sip:{user}@{}{transport}>", place(path)));
        headers.push(Name::Expires, expires);
        headers.push(Name::UserAgent, "Telephone");
        headers.push(Name::ContentLength, 0);
        request
    }

    fn on_response(&mut self, response: &Response, now: Instant) {
        let status = response.status();
        if status.is_provisional() {
            return;
        }
        let State::Asking { expires, challenged } = self.state else { return };
        let challenge = Challenge::of(response);
        let is_stale = challenge.as_ref().is_some_and(|(_, challenge)| challenge.stale);
        let may_try = challenged == 0 || (is_stale && challenged < STUBBORN);
        match (challenge, status) {
            (
                Some((header, challenge)),
                StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED,
            ) if may_try => {
                if self.challenge.is_none() || !self.ways.has(Misbehaviour::KeepsItsNonce) {
                    self.challenge = Some((header, challenge, 0));
                }
                self.ask(expires, challenged + 1, now);
            }
            (_, StatusCode::INTERVAL_TOO_BRIEF) if expires > 0 => {
                let least =
                    response.headers().get(Name::MinExpires).and_then(|text| text.trim().parse().ok());
                self.ask(least.unwrap_or(3_600), challenged, now);
            }
            (_, status) if status.is_success() => {
                self.told.push(status);
                self.state = match self.granted(response).filter(|_| expires > 0) {
                    Some(granted) => {
                        State::Registered { refresh_at: now + granted * 9 / 10, ends_at: now + granted }
                    }
                    None => State::Idle,
                };
            }
            (_, status) => self.fail(status, now),
        }
    }

    /// How long our binding holds, as the PBX says.
    fn granted(&self, response: &Response) -> Option<Duration> {
        let ours = format!("sip:{}@{}", self.account.user, place(&self.path));
        let contacts = response.addresses(Name::Contact).flatten();
        let seconds = contacts.filter(|contact| contact.uri.starts_with(&ours)).find_map(|c| c.expires())?;
        Some(Duration::from_secs(u64::from(seconds)))
    }

    fn fail(&mut self, status: StatusCode, now: Instant) {
        self.told.push(status);
        // A password that is wrong now will be wrong again: no third try (RFC 3261 section 22.1).
        let is_hopeless = matches!(
            status,
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED | StatusCode::FORBIDDEN
        );
        self.state = State::Failed { again_at: (!is_hopeless).then_some(now + AGAIN) };
    }
}
