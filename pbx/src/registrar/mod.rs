//! Who is where: the registrar of our domain (RFC 3261 section 10.3) with Path (RFC 3327), and the way back to telephones
//! behind NAT.
//!
//! Who may register for whom has been asked before (room `auth`); where a call goes is asked after (room `route`).

mod binding;
mod domain;
#[cfg(test)]
pub(crate) mod office;
mod refused;
mod update;

pub use binding::Binding;

use crate::config::{self, Config};
use crate::dialog::{ExtraHeaders, Reply};
use crate::sip::{ConnectionId, Name, Path, Request, StatusCode, Uri};
use crate::time::{Instant, WallClock};
use domain::Domain;
use refused::Refused;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use update::Update;

/// A contact came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Of which address-of-record.
    pub aor: String,
    /// The contact URI.
    pub contact: String,
    /// What became of it.
    pub what: Becomes,
}

/// What becomes of a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// It is new.
    Registered,
    /// It was there and stays longer.
    Renewed,
    /// It was taken away by REGISTER.
    Unregistered,
    /// Nobody renewed it in time.
    Expired,
    /// The connection that led to it is closed and there is no other way.
    Lost,
}

/// All bindings.
pub struct Registrar {
    clock: WallClock,
    limits: config::Limits,
    domain: Domain,
    numbers: BTreeSet<String>,
    /// By address-of-record; none of them is empty.
    bindings: BTreeMap<String, Vec<Binding>>,
    count: usize,
    /// When the first binding of each address-of-record expires.
    deadlines: BTreeSet<(Instant, String)>,
    /// Which addresses-of-record are reached over which stream.
    streams: BTreeSet<(ConnectionId, String)>,
    changes: VecDeque<Change>,
}

impl Registrar {
    /// Nobody is registered.
    pub fn new(config: &Config, clock: WallClock) -> Registrar {
        Registrar {
            clock,
            limits: config.limits.clone(),
            domain: Domain::new(config),
            numbers: numbers(config),
            bindings: BTreeMap::new(),
            count: 0,
            deadlines: BTreeSet::new(),
            streams: BTreeSet::new(),
            changes: VecDeque::new(),
        }
    }

    /// Other limits, domains and extensions hold from now on; contacts of extensions that are gone are taken away.
    pub fn reconfigure(&mut self, config: &Config, now: Instant) {
        self.handle_timeout(now);
        self.limits = config.limits.clone();
        self.domain = Domain::new(config);
        self.numbers = numbers(config);
        let gone: Vec<String> =
            self.bindings.keys().filter(|aor| !self.numbers.contains(*aor)).cloned().collect();
        for aor in gone {
            self.retain(&aor, Becomes::Unregistered, |_| false);
        }
    }

    /// The address-of-record a REGISTER is for: the user part of To, when To and Request-URI are in our domain and there is
    /// such an extension; otherwise how it is refused (RFC 3261 section 10.3 steps 1 and 5). To be asked once the sender is
    /// known, so that nobody learns which extensions there are.
    pub fn aor(&self, request: &Request, path: Path) -> Result<String, Reply> {
        let is_ours = |uri: Result<Uri<'_>, _>| uri.ok().filter(|uri| self.domain.holds(uri, path)).is_some();
        let to = request.to_header().map_err(|_| Refused::Malformed("Bad To").reply())?;
        let number = to.parse_uri().map(|uri| uri.user_text()).unwrap_or_default();
        let is_valid = is_ours(Uri::parse(request.uri())) && is_ours(to.parse_uri());
        match is_valid && self.numbers.contains(&number) {
            true => Ok(number),
            false => Err(Refused::NotFound.reply()),
        }
    }

    /// Does all that a REGISTER asks for, or nothing of it. Its sender has been authenticated for `aor`.
    pub fn register(&mut self, aor: &str, request: &Request, path: Path, now: Instant) -> Reply {
        // What expires at this very moment is gone before.
        self.handle_timeout(now);
        let live = self.bindings.get(aor).map_or(&[][..], Vec::as_slice);
        match Update::of(live, request, path, &self.limits, now) {
            Ok(update) => {
                let (bindings, changes) = (update.bindings, update.changes);
                self.store(aor, bindings);
                changes.into_iter().for_each(|(contact, what)| self.note(aor, contact, what));
                Reply { headers: self.listing(aor, request, now), ..Reply::new(StatusCode::OK) }
            }
            Err(refused) => refused.reply(),
        }
    }

    /// Where somebody can be reached now: highest q first, then the one renewed last.
    pub fn contacts(&self, aor: &str, now: Instant) -> Vec<&Binding> {
        let mut contacts: Vec<&Binding> =
            self.bindings.get(aor).into_iter().flatten().filter(|binding| binding.is_live(now)).collect();
        contacts.sort_by_key(|binding| Reverse((binding.q, binding.renewed_at)));
        contacts
    }

    /// All contacts that hold now, by extension.
    pub fn all(&self, now: Instant) -> impl Iterator<Item = (&str, &Binding)> {
        let all =
            self.bindings.iter().flat_map(|(aor, bindings)| bindings.iter().map(move |one| (&**aor, one)));
        all.filter(move |(_, binding)| binding.is_live(now))
    }

    /// A stream is gone, and with it the contacts that could be reached only over it.
    pub fn connection_closed(&mut self, connection: ConnectionId, now: Instant) {
        self.handle_timeout(now);
        let of_streams = self.streams.range((connection, String::new())..);
        let aors: Vec<String> =
            of_streams.take_while(|(stream, _)| *stream == connection).map(|(_, aor)| aor.clone()).collect();
        for aor in aors {
            self.retain(&aor, Becomes::Lost, |binding| binding.loses(connection));
        }
    }

    /// How many contacts there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The earliest deadline has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        while self.deadlines.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, aor)) = self.deadlines.pop_first() else { return };
            self.retain(&aor, Becomes::Expired, |binding| binding.is_live(now));
        }
    }

    /// The earliest deadline: a contact expires.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// What has changed; ask until there is nothing.
    pub fn poll_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// The headers of a 200: all live bindings, and what came with the request (RFC 3261 section 10.3 step 8, RFC 3327
    /// section 5.3).
    fn listing(&self, aor: &str, request: &Request, now: Instant) -> ExtraHeaders {
        let contacts =
            self.contacts(aor, now).into_iter().map(|binding| ("Contact", binding.listed(now).to_string()));
        let path = request.headers().all(Name::Path).map(|value| ("Path", value.to_owned()));
        contacts
            .chain(path)
            .chain([("Supported", "path".to_owned()), ("Date", self.clock.http_date(now))])
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// Keeps what `keep` says of the bindings of `aor`; the rest becomes what `becomes` says.
    fn retain(&mut self, aor: &str, becomes: Becomes, mut keep: impl FnMut(&mut Binding) -> bool) {
        let mut bindings = self.bindings.get(aor).cloned().unwrap_or_default();
        let gone: Vec<Binding> = bindings.extract_if(.., |binding| !keep(binding)).collect();
        self.store(aor, bindings);
        gone.into_iter().for_each(|binding| self.note(aor, binding.uri, becomes));
    }

    fn note(&mut self, aor: &str, contact: String, what: Becomes) {
        self.changes.push_back(Change { aor: aor.to_owned(), contact, what });
    }

    /// The only place that changes bindings, so that deadline, streams and count are always theirs.
    fn store(&mut self, aor: &str, bindings: Vec<Binding>) {
        let before = self.bindings.remove(aor).unwrap_or_default();
        self.count -= before.len();
        if let Some(at) = earliest(&before) {
            self.deadlines.remove(&(at, aor.to_owned()));
        }
        for stream in before.iter().filter_map(|binding| binding.target.connection) {
            self.streams.remove(&(stream, aor.to_owned()));
        }
        let Some(at) = earliest(&bindings) else { return };
        self.count += bindings.len();
        self.deadlines.insert((at, aor.to_owned()));
        let streams = bindings.iter().filter_map(|binding| binding.target.connection);
        self.streams.extend(streams.map(|stream| (stream, aor.to_owned())));
        self.bindings.insert(aor.to_owned(), bindings);
    }
}

fn earliest(bindings: &[Binding]) -> Option<Instant> {
    bindings.iter().map(|binding| binding.expires_at).min()
}

fn numbers(config: &Config) -> BTreeSet<String> {
    config.extensions.iter().map(|extension| extension.number.clone()).collect()
}

#[cfg(test)]
mod tests;
