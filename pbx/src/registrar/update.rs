//! What a REGISTER makes of the bindings of one address-of-record (RFC 3261 section 10.3 steps 6 and 7): arithmetic on a
//! copy, so that it is done as a whole or not at all.

use super::refused::Refused;
use super::{Becomes, Binding};
use crate::config::Limits;
use crate::sip::{Contacts, Name, NameAddr, Path, Request, seconds};
use crate::time::{Duration, Instant};

/// What is granted where nothing is asked for, and what cannot be read counts as (RFC 3261 section 10.2.1.1).
const DEFAULT_EXPIRES: u32 = 3600;

/// The bindings after a REGISTER, and what has become of which contact.
#[derive(Debug)]
pub(super) struct Update<'a> {
    pub(super) bindings: Vec<Binding>,
    pub(super) changes: Vec<(String, Becomes)>,
    request: &'a Request,
    path: Path,
    limits: &'a Limits,
    now: Instant,
}

impl<'a> Update<'a> {
    /// Does all that `request` asks for to a copy of `live`.
    pub(super) fn of(
        live: &[Binding],
        request: &'a Request,
        path: Path,
        limits: &'a Limits,
        now: Instant,
    ) -> Result<Update<'a>, Refused> {
        if request.headers().has(Name::Path) && !request.lists(Name::Supported, "path") {
            return Err(Refused::PathNotSupported);
        }
        let mut update = Update { bindings: live.to_vec(), changes: Vec::new(), request, path, limits, now };
        match Contacts::parse(request.list(Name::Contact)) {
            Ok(Contacts::All) => update.remove_all(live)?,
            Ok(Contacts::These(contacts)) => {
                contacts.iter().try_for_each(|contact| update.bind(live, contact))?;
            }
            Err(_) => return Err(Refused::Malformed("Bad Contact")),
        }
        if update.bindings.len() > limits.contacts_per_aor.max(live.len()) {
            return Err(Refused::TooManyContacts);
        }
        Ok(update)
    }

    /// `*` takes everything away, and only with `Expires: 0`.
    fn remove_all(&mut self, live: &[Binding]) -> Result<(), Refused> {
        if self.request.headers().get(Name::Expires).and_then(seconds) != Some(0) {
            return Err(Refused::Malformed("Contact * Without Expires 0"));
        }
        live.iter().try_for_each(|binding| self.in_order(binding))?;
        let removed = self.bindings.drain(..).map(|binding| (binding.uri, Becomes::Unregistered));
        self.changes.extend(removed);
        Ok(())
    }

    fn bind(&mut self, live: &[Binding], contact: &NameAddr<'_>) -> Result<(), Refused> {
        if !contact.parse_uri().is_ok_and(|uri| uri.is_sip()) {
            return Err(Refused::Malformed("Contact Is Not A SIP URI"));
        }
        let lasts = self.lasts(contact)?;
        let new = Binding::new(self.request, contact, self.path, lasts, self.now);
        // The order is that of requests: a contact that stands twice in one is no repetition.
        live.iter().filter(|old| old.is_same(&new)).try_for_each(|old| self.in_order(old))?;
        let replaced: Vec<Binding> = self.bindings.extract_if(.., |old| old.is_same(&new)).collect();
        let renews = !lasts.is_zero() && replaced.iter().any(|old| old.uri == new.uri);
        let gone = replaced.into_iter().map(|old| old.uri).filter(|uri| !renews || *uri != new.uri);
        self.changes.extend(gone.map(|uri| (uri, Becomes::Unregistered)));
        if !lasts.is_zero() {
            let becomes = if renews { Becomes::Renewed } else { Becomes::Registered };
            self.changes.push((new.uri.clone(), becomes));
            self.bindings.push(new);
        }
        Ok(())
    }

    /// A telephone counts its requests: what was sent earlier than what we know of does not undo it.
    fn in_order(&self, known: &Binding) -> Result<(), Refused> {
        let cseq = self.request.cseq().map_err(|_| Refused::Malformed("Bad CSeq"))?;
        let is_newer = known.call_id != self.request.call_id() || cseq.number > known.cseq;
        is_newer.then_some(()).ok_or(Refused::OutOfOrder)
    }

    /// How long the contact may stay; zero takes it away.
    fn lasts(&self, contact: &NameAddr<'_>) -> Result<Duration, Refused> {
        let header = || self.request.headers().get(Name::Expires);
        let wanted = contact.expires().or_else(|| Some(seconds(header()?).unwrap_or(DEFAULT_EXPIRES)));
        let wanted = wanted.unwrap_or(DEFAULT_EXPIRES);
        let lasts = Duration::from_secs(wanted.into());
        let min_expires = self.limits.min_expires;
        // Who asks for an hour or more is never refused.
        if (1..DEFAULT_EXPIRES).contains(&wanted) && lasts < min_expires {
            return Err(Refused::TooBrief { min_expires });
        }
        Ok(lasts.min(self.limits.max_expires))
    }
}
