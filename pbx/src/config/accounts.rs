//! Who there is: extensions and trunks.

use super::raw::{self, S};
use super::reader::{Reader, Result};
use super::{Dtmf, Extension, Sip, Trunk, TrunkTarget};
use crate::sdp::Srtp;
use crate::sip::Transport;

/// By what another system can be reached: a WebSocket is opened by browsers alone.
const TARGETS: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

impl Reader<'_> {
    pub(super) fn extensions(
        &self,
        raw: Vec<raw::Extension>,
        sip: &Sip,
        records: bool,
    ) -> Result<Vec<Extension>> {
        let mut extensions: Vec<Extension> = Vec::with_capacity(raw.len());
        let is_open = sip.listen.iter().any(|(_, address)| !address.ip().is_loopback());
        for raw in raw {
            let span = raw.number.span();
            let extension = self.extension(raw, is_open, records)?;
            if extensions.iter().any(|other| other.number == extension.number) {
                return Err(self.wrong(span, format!("the extension `{}` stands twice", extension.number)));
            }
            extensions.push(extension);
        }
        Ok(extensions)
    }

    fn extension(&self, raw: raw::Extension, is_open: bool, records: bool) -> Result<Extension> {
        let number = self.user(&raw.number)?;
        let password = self.password(&raw.password)?;
        if is_open && password == number {
            let message =
                format!("the password of `{number}` is its number, and the PBX listens beyond this machine");
            return Err(self
                .wrong(raw.password.span(), message)
                .hint("whoever reaches this address could call at your expense: take a long random one"));
        }
        Ok(Extension {
            number,
            password,
            name: raw.name.map(|text| self.text(&text, "a name")).transpose()?,
            ring_timeout: self.seconds(raw.ring_timeout_seconds, 30, 1..=600)?,
            forward_busy: raw.forward_busy.map(|text| self.user(&text)).transpose()?,
            forward_no_answer: raw.forward_no_answer.map(|text| self.user(&text)).transpose()?,
            max_calls: self.maybe_count(raw.max_calls, 10_000)?,
            srtp: self.srtp(raw.srtp)?,
            dtmf: self.dtmf(raw.dtmf)?,
            record: self.records(raw.record, records)?,
        })
    }

    pub(super) fn trunks(&self, raw: Vec<raw::Trunk>) -> Result<Vec<Trunk>> {
        let mut trunks: Vec<Trunk> = Vec::with_capacity(raw.len());
        for raw in raw {
            let span = raw.name.span();
            let trunk = self.trunk(raw)?;
            if trunks.iter().any(|other| other.name == trunk.name) {
                return Err(self.wrong(span, format!("the trunk `{}` stands twice", trunk.name)));
            }
            trunks.push(trunk);
        }
        Ok(trunks)
    }

    fn trunk(&self, raw: raw::Trunk) -> Result<Trunk> {
        if raw.targets.as_ref().is_empty() {
            return Err(self.wrong(raw.targets.span(), "expected at least one target: `{ host = \"...\" }`"));
        }
        let credentials = match (&raw.username, &raw.password) {
            (Some(user), Some(password)) => {
                Some((self.quotable(user, "a user name")?, self.password(password)?))
            }
            (None, None) => None,
            (Some(alone), None) | (None, Some(alone)) => {
                return Err(self.wrong(alone.span(), "expected both `username` and `password`, or neither"));
            }
        };
        let targets = raw.targets.into_inner().into_iter().map(|target| self.target(target));
        Ok(Trunk {
            name: self.text(&raw.name, "a name")?,
            targets: targets.collect::<Result<_>>()?,
            accept_from: self.networks(raw.accept_from)?,
            credentials,
            try_timeout: self.millis(raw.try_timeout_ms, 4_000, 100..=32_000)?,
            max_calls: self.maybe_count(raw.max_calls, 1_000_000)?,
            srtp: self.srtp(raw.srtp)?,
            dtmf: self.dtmf(raw.dtmf)?,
            transfers_out: raw.transfers_out.is_some_and(S::into_inner),
        })
    }

    fn target(&self, raw: raw::Target) -> Result<TrunkTarget> {
        let transport =
            raw.transport.map(|text| self.transport(text.as_ref(), text.span(), &TARGETS)).transpose()?;
        let host = self.host(&raw.host).map_err(|error| match raw.host.as_ref().rsplit_once(':') {
            Some((_, port)) => error.hint(format!("a port stands apart: `port = {port}`")),
            None => error,
        })?;
        Ok(TrunkTarget {
            host,
            port: raw.port.map(|port| self.port(&port, 1..=65_535)).transpose()?,
            transport: transport.unwrap_or(Transport::Udp),
            priority: self.number(raw.priority, 1, 0..=65_535)? as u16,
            weight: self.number(raw.weight, 1, 0..=65_535)? as u16,
        })
    }

    fn srtp(&self, raw: Option<S<String>>) -> Result<Srtp> {
        self.one_of(raw, [("off", Srtp::Off), ("optional", Srtp::Optional), ("required", Srtp::Required)])
    }

    fn dtmf(&self, raw: Option<S<String>>) -> Result<Dtmf> {
        let all =
            [("auto", Dtmf::Auto), ("rfc4733", Dtmf::Events), ("info", Dtmf::Info), ("inband", Dtmf::Inband)];
        self.one_of(raw, all)
    }

    /// One of these words; the default where nothing is written.
    fn one_of<T: Default, const N: usize>(&self, raw: Option<S<String>>, all: [(&str, T); N]) -> Result<T> {
        let Some(raw) = raw else { return Ok(T::default()) };
        let words = all.each_ref().map(|(word, _)| format!("`{word}`")).join(", ");
        let found = all.into_iter().find(|(word, _)| *word == raw.as_ref());
        found
            .map(|(_, value)| value)
            .ok_or_else(|| self.wrong(raw.span(), format!("expected one of {words}")))
    }

    fn password(&self, text: &S<String>) -> Result<String> {
        self.text(text, "a password")
    }
}
