//! `[tls]`: who we are, and whom we believe.

use super::raw::{self, S};
use super::reader::{Reader, Result};
use super::{Config, Rwi, Trunk};
use crate::sip::Transport;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where most systems keep the authorities that everybody believes.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// `[tls]`
#[derive(Clone, Debug)]
pub struct Tls {
    /// The file of our certificate, with those that lead to an authority behind it, and that of its key.
    pub identity: Option<Identity>,
    /// Whom we believe about others: a file of certificates.
    pub authorities: PathBuf,
    /// Whom we believe about those who connect to us, where they are asked who they are.
    pub clients: Option<Clients>,
}

/// Who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// A PEM file.
    pub certificate: PathBuf,
    /// A PEM file.
    pub key: PathBuf,
}

/// Certificates of those who connect to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// A PEM file of those whom we believe.
    pub authorities: PathBuf,
    /// Whether who shows none is refused.
    pub required: bool,
}

impl Config {
    /// Whether somebody may connect to us over TLS.
    pub fn accepts_tls(&self) -> bool {
        self.sip.listen.iter().any(|(transport, _)| transport.is_secure())
    }

    /// Whether we may connect to somebody over TLS.
    pub fn connects_by_tls(&self) -> bool {
        let is_secure = |trunk: &Trunk| trunk.targets.iter().any(|target| target.transport.is_secure());
        let asks = self.router.as_ref().is_some_and(|router| router.url.starts_with("https://"));
        self.trunks.iter().any(is_secure) || asks || is_https(&self.rwi)
    }
}

fn is_https(rwi: &Rwi) -> bool {
    rwi.webhook.as_ref().is_some_and(|hook| hook.url.starts_with("https://"))
}

impl Reader<'_> {
    pub(super) fn tls(&self, raw: raw::Tls) -> Result<Tls> {
        let spans = (raw.certificate.as_ref().map(S::span), raw.key.as_ref().map(S::span));
        let certificate = raw.certificate.map(|text| self.file(text)).transpose()?;
        let key = raw.key.map(|text| self.file(text)).transpose()?;
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                let span = spans.0.or(spans.1).unwrap_or(0..0);
                return Err(self.wrong(span, "expected both `certificate` and `key`, or neither"));
            }
        };
        let span = raw.client_certificates.as_ref().map(S::span);
        let required = match raw.client_certificates.as_ref().map(|word| word.as_ref().as_str()) {
            None | Some("off") => None,
            Some("optional") => Some(false),
            Some("required") => Some(true),
            Some(_) => {
                let message = "expected one of `off`, `optional`, `required`";
                return Err(self.wrong(span.unwrap_or(0..0), message));
            }
        };
        let of_clients = raw.client_authorities.as_ref().map(S::span);
        let client_authorities = raw.client_authorities.map(|text| self.file(text)).transpose()?;
        let clients = match (required, client_authorities) {
            (Some(required), Some(authorities)) => Some(Clients { authorities, required }),
            (None, None) => None,
            (Some(_), None) => {
                let message = "expected `client_authorities` with the file of those who vouch for clients";
                return Err(self.wrong(span.unwrap_or(0..0), message));
            }
            (None, Some(_)) => {
                let error = self.wrong(of_clients.unwrap_or(0..0), "nobody is asked for a certificate");
                return Err(error.hint("`client_certificates = \"required\"` or `\"optional\"` asks for one"));
            }
        };
        let authorities = raw.authorities.map(|text| self.file(text)).transpose()?;
        Ok(Tls { identity, authorities: authorities.unwrap_or_else(|| AUTHORITIES.into()), clients })
    }

    /// Who listens for TLS shows a certificate, and who connects by it has a socket to name.
    pub(super) fn tls_has_all_it_needs(
        &self,
        tls: &Tls,
        listen: &[(Transport, SocketAddr)],
        spans: &TlsSpans,
    ) -> Result<()> {
        let secure = listen.iter().find(|(transport, _)| transport.is_secure());
        if let (Some((transport, _)), None) = (secure, &tls.identity) {
            let message = format!("the transport `{transport}` needs a certificate");
            let error = self.wrong(spans.listen.clone().unwrap_or(0..0), message);
            return Err(error.hint("`[tls]` with `certificate = \"FILE\"` and `key = \"FILE\"` names it"));
        }
        let has = |wanted: Transport| listen.iter().any(|(transport, _)| *transport == wanted);
        match &spans.target {
            Some(span) if !has(Transport::Tls) => {
                let error = self.wrong(span.clone(), "nothing is listened on for `tls`");
                Err(error.hint("`listen` of `[sip]` needs an entry like `tls:ADDRESS:5061`, by which the other side finds us"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Where TLS is asked for.
pub(super) struct TlsSpans {
    /// The list of what is listened on.
    pub(super) listen: Option<std::ops::Range<usize>>,
    /// The first target of a trunk that is reached by TLS.
    pub(super) target: Option<std::ops::Range<usize>>,
}
