//! One value after the other: each is what it should be, or an error with its place.

use super::Network;
use super::error::ConfigError;
use super::raw::S;
use crate::audio::Gain;
use crate::sip::Transport;
use crate::time::Duration;
use std::net::{IpAddr, SocketAddr};
use std::ops::{Range, RangeInclusive};

pub(super) type Result<T, E = ConfigError> = std::result::Result<T, E>;

/// The most characters a name, number or password may have.
const LONGEST: usize = 128;

/// The text that is read.
pub(super) struct Reader<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Reader<'_> {
    pub(super) fn wrong(&self, span: Range<usize>, message: impl Into<String>) -> ConfigError {
        ConfigError::at(self.file, self.text, span, message.into())
    }

    /// The user part of an address: what can be dialled.
    pub(super) fn user(&self, text: &S<String>) -> Result<String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.!~*'()+#".contains(c);
        if text.as_ref().is_empty() || !text.as_ref().chars().all(fits) || text.as_ref().len() > LONGEST {
            return Err(self.wrong(text.span(), "expected a number or a name of letters, digits and -_.+*#"));
        }
        Ok(text.as_ref().clone())
    }

    /// Something that people read; it may stand in a header.
    pub(super) fn text(&self, text: &S<String>, what: &str) -> Result<String> {
        let written = text.as_ref();
        if written.trim().is_empty() || written.chars().any(char::is_control) || written.len() > LONGEST {
            let message = format!("expected {what}: one line of 1 to {LONGEST} characters");
            return Err(self.wrong(text.span(), message));
        }
        Ok(written.clone())
    }

    /// Something that people read and that stands between quotes in a header.
    pub(super) fn quotable(&self, text: &S<String>, what: &str) -> Result<String> {
        if text.as_ref().contains(['"', '\\']) {
            return Err(self.wrong(text.span(), format!("expected {what} without quotes and backslashes")));
        }
        self.text(text, what)
    }

    /// A host: a name, an IPv4 address, or an IPv6 address with or without brackets.
    pub(super) fn host(&self, text: &S<String>) -> Result<String> {
        let written = text.as_ref();
        if let Ok(IpAddr::V6(ip)) = written.trim_start_matches('[').trim_end_matches(']').parse() {
            return Ok(format!("[{ip}]"));
        }
        let fits = |label: &str| {
            let is_edge_free = !label.starts_with('-') && !label.ends_with('-');
            !label.is_empty()
                && is_edge_free
                && label.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        };
        let name = written.strip_suffix('.').unwrap_or(written);
        if !name.split('.').all(fits) || written.len() > 253 {
            return Err(self.wrong(text.span(), "expected a host name or an address"));
        }
        Ok(written.clone())
    }

    /// `10.0.0.0/8`, or one address.
    pub(super) fn network(&self, text: &S<String>) -> Result<Network> {
        text.as_ref().parse().map_err(|why: &str| self.wrong(text.span(), why))
    }

    pub(super) fn networks(&self, texts: Option<Vec<S<String>>>) -> Result<Vec<Network>> {
        texts.unwrap_or_default().iter().map(|text| self.network(text)).collect()
    }

    pub(super) fn ip(&self, text: &S<String>) -> Result<IpAddr> {
        let ip = text.as_ref().parse();
        ip.map_err(|_| self.wrong(text.span(), "expected an IPv4 or IPv6 address"))
    }

    pub(super) fn socket(&self, text: &S<String>) -> Result<SocketAddr> {
        let address = text.as_ref().parse();
        address.map_err(|_| self.wrong(text.span(), "expected ADDRESS:PORT like 127.0.0.1:8080"))
    }

    /// One of these transports.
    pub(super) fn transport(
        &self,
        token: &str,
        span: Range<usize>,
        known: &[Transport],
    ) -> Result<Transport> {
        let names: Vec<&str> = known.iter().map(|transport| transport.uri_token()).collect();
        match Transport::of(token).filter(|transport| known.contains(transport)) {
            Some(transport) => Ok(transport),
            None => Err(self
                .wrong(
                    span,
                    format!("expected one of the transports `{}`, not `{token}`", names.join("`, `")),
                )
                .did_you_mean(token, names)),
        }
    }

    pub(super) fn frequency(&self, hertz: Option<S<f64>>) -> Result<Option<f64>> {
        match hertz {
            Some(hertz) if !(1.0..4_000.0).contains(hertz.as_ref()) => {
                Err(self.wrong(hertz.span(), "expected a frequency from 1 to below 4000 Hz"))
            }
            other => Ok(other.map(S::into_inner)),
        }
    }

    /// How much louder or softer; as it came where nobody says.
    pub(super) fn volume(&self, decibels: Option<S<f64>>) -> Result<Gain> {
        match decibels {
            Some(decibels) if !(-40.0..=18.0).contains(decibels.as_ref()) => {
                Err(self.wrong(decibels.span(), "expected -40 to 18 dB"))
            }
            Some(decibels) => Ok(Gain::of_decibels(decibels.into_inner())),
            None => Ok(Gain::UNITY),
        }
    }

    pub(super) fn real_seconds(&self, seconds: Option<S<f64>>) -> Result<Option<Duration>> {
        match seconds {
            Some(seconds) if !(0.02..=86_400.0).contains(seconds.as_ref()) => {
                Err(self.wrong(seconds.span(), "expected seconds from 0.02 to 86400"))
            }
            other => Ok(other.map(|seconds| Duration::from_secs_f64(seconds.into_inner()))),
        }
    }

    pub(super) fn seconds(
        &self,
        seconds: Option<S<i64>>,
        default: u64,
        range: RangeInclusive<i64>,
    ) -> Result<Duration> {
        self.number(seconds, default, range).map(Duration::from_secs)
    }

    pub(super) fn millis(
        &self,
        millis: Option<S<i64>>,
        default: u64,
        range: RangeInclusive<i64>,
    ) -> Result<Duration> {
        self.number(millis, default, range).map(Duration::from_millis)
    }

    pub(super) fn port(&self, port: &S<i64>, range: RangeInclusive<i64>) -> Result<u16> {
        self.in_range(port, range).map(|port| u16::try_from(port).unwrap_or(u16::MAX))
    }

    pub(super) fn count(&self, count: Option<S<i64>>, default: usize, most: i64) -> Result<usize> {
        Ok(self.maybe_count(count, most)?.unwrap_or(default))
    }

    pub(super) fn maybe_count(&self, count: Option<S<i64>>, most: i64) -> Result<Option<usize>> {
        let count = count.map(|count| self.in_range(&count, 1..=most)).transpose()?;
        Ok(count.map(|count| usize::try_from(count).unwrap_or(usize::MAX)))
    }

    pub(super) fn number(
        &self,
        number: Option<S<i64>>,
        default: u64,
        range: RangeInclusive<i64>,
    ) -> Result<u64> {
        number.map_or(Ok(default), |number| self.in_range(&number, range))
    }

    fn in_range(&self, number: &S<i64>, range: RangeInclusive<i64>) -> Result<u64> {
        if !range.contains(number.as_ref()) {
            let message = format!("expected a number from {} to {}", range.start(), range.end());
            return Err(self.wrong(number.span(), message));
        }
        Ok(number.as_ref().unsigned_abs())
    }
}
