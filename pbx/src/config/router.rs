//! `[router]`: a web service that says where calls go. And what any web service is asked by.

use super::raw::{self, S};
use super::reader::{Reader, Result};
use crate::time::Duration;
use std::collections::BTreeMap;
use std::fmt;

/// `[router]`
#[derive(Clone)]
pub struct Router {
    /// `http://HOST[:PORT]/PATH` or `https://...`
    pub url: String,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// How often it is tried again.
    pub retries: u32,
    /// Calls that may wait for an answer; over it the next one is as if there were none.
    pub max_pending: usize,
    /// Header lines that go with it.
    pub headers: Vec<(String, String)>,
}

impl Reader<'_> {
    pub(super) fn router(&self, raw: raw::Router) -> Result<Router> {
        Ok(Router {
            url: self.web_address(&raw.url)?,
            timeout: self.millis(raw.timeout_ms, 2_000, 10..=30_000)?,
            retries: self.number(raw.retries, 1, 0..=5)? as u32,
            max_pending: self.count(raw.max_pending, 100, 10_000)?,
            headers: self.header_lines(raw.headers)?,
        })
    }

    /// `http://HOST/PATH` or `https://HOST/PATH`
    pub(super) fn web_address(&self, text: &S<String>) -> Result<String> {
        let is_web = ["http://", "https://"].iter().any(|scheme| text.as_ref().starts_with(scheme));
        match is_web {
            true => self.text(text, "an address"),
            false => Err(self.wrong(text.span(), "expected `http://HOST/PATH` or `https://HOST/PATH`")),
        }
    }

    pub(super) fn header_lines(&self, raw: BTreeMap<String, S<String>>) -> Result<Vec<(String, String)>> {
        let header = |(name, value): (String, S<String>)| {
            let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            match is_name && value.as_ref().chars().all(|c| !c.is_control()) {
                true => Ok((name, value.into_inner())),
                false => Err(self.wrong(value.span(), format!("`{name}` and its value are no header line"))),
            }
        };
        raw.into_iter().map(header).collect()
    }
}

/// Without its headers, which may hold a secret.
impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("url", &self.url)
            .field("timeout", &self.timeout)
            .field("retries", &self.retries)
            .field("max_pending", &self.max_pending)
            .finish_non_exhaustive()
    }
}
