//! From the file as it is written to the value that holds; whoever has the value need not check again.

use super::raw::{self, S};
use super::reader::{Reader, Result};
use super::routes::Known;
use super::tls::TlsSpans;
use super::{Auth, Behavior, Cdr, Config, ConfigError, Http, Limits, Media, Recording, Sip};
use crate::sdp::Codec;
use crate::sip::Transport;
use crate::sip::digest::Algorithm;
use crate::time::Duration;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::PathBuf;

pub(super) const HOUR: i64 = 3_600;
pub(super) const DAY: i64 = 24 * HOUR;

/// What the PBX can make and understand by itself.
const SPOKEN: [&str; 2] = ["PCMU", "PCMA"];

/// What needs nothing else.
const PLAIN: [Transport; 2] = [Transport::Udp, Transport::Tcp];
/// What can be listened on.
const ALL: [Transport; 5] = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

impl Config {
    /// The configuration of a text; `file` is what an error calls it.
    pub fn parse(text: &str, file: &str) -> Result<Config, ConfigError> {
        let reader = Reader { file, text };
        let raw: raw::File = toml::from_str(text).map_err(|error| reader.not_of_this_form(&error))?;
        reader.config(raw)
    }
}

impl Reader<'_> {
    fn config(&self, raw: raw::File) -> Result<Config> {
        let spans = TlsSpans {
            listen: raw.sip.listen.as_ref().map(S::span),
            target: first_secure_target(&raw.trunks),
        };
        let sip = self.sip(raw.sip)?;
        let tls = self.tls(raw.tls)?;
        self.tls_has_all_it_needs(&tls, &sip.listen, &spans)?;
        let recording = self.recording(raw.recording)?;
        let records = recording.directory.is_some();
        let extensions = self.extensions(raw.extensions, &sip, records)?;
        let trunks = self.trunks(raw.trunks)?;
        let queues = self.queues(raw.queues, &extensions)?;
        let voicemail = self.voicemail(raw.voicemail, raw.mailboxes, &extensions)?;
        let router = raw.router.map(|raw| self.router(raw)).transpose()?;
        let known = Known {
            extensions: &extensions,
            trunks: &trunks,
            queues: &queues,
            voicemail: &voicemail,
            records,
            router: router.is_some(),
        };
        let routes = self.routes(raw.routes, &known)?;
        // With nobody and nothing to dial this is the tone server that answers whoever calls.
        let is_tone_server = extensions.is_empty() && trunks.is_empty() && routes.is_empty();
        Ok(Config {
            behavior: self.behavior(raw.behavior, is_tone_server)?,
            media: self.media(raw.media)?,
            auth: self.auth(raw.auth, &sip.domain)?,
            limits: self.limits(raw.limits)?,
            http: raw.http.map(|http| self.socket(&http.listen)).transpose()?.map(|listen| Http { listen }),
            cdr: self.cdr(raw.cdr)?,
            recording,
            rwi: self.rwi(raw.rwi)?,
            router,
            calendar: self.calendar(raw.calendar)?,
            voicemail,
            sip,
            tls,
            extensions,
            queues,
            trunks,
            routes,
        })
    }

    fn sip(&self, raw: raw::Sip) -> Result<Sip> {
        let listen = self.listeners(&raw)?;
        let external_address = raw.external_address.map(|text| self.ip(&text)).transpose()?;
        let domain = raw.domain.map(|text| self.host(&text)).transpose()?;
        let user_agent = raw.user_agent.map(|text| self.text(&text, "a name")).transpose()?;
        // RFC 4028 section 4: 90 s is the least that Min-SE and Session-Expires may be.
        let min_se = self.seconds(raw.min_se_seconds, 90, 90..=DAY)?;
        let expires_span = raw.session_expires_seconds.as_ref().map(S::span);
        let session_expires = Some(self.seconds(raw.session_expires_seconds, 1_800, 0..=DAY)?);
        let session_expires = session_expires.filter(|expires| !expires.is_zero());
        if let (Some(expires), Some(span)) = (session_expires, expires_span)
            && expires < min_se
        {
            let message = format!("expected 0 for none, or at least min_se_seconds: {}", min_se.as_secs());
            return Err(self.wrong(span, message));
        }
        Ok(Sip {
            domain: domain.unwrap_or_else(|| own_domain(&listen, external_address)),
            external_address,
            user_agent: user_agent
                .unwrap_or_else(|| concat!("Tandem/", env!("CARGO_PKG_VERSION")).to_owned()),
            t1: self.millis(raw.t1_ms, 500, 50..=10_000)?,
            session_expires: session_expires.map(|expires| expires.max(min_se)),
            min_se,
            listen,
        })
    }

    fn listeners(&self, raw: &raw::Sip) -> Result<Vec<(Transport, SocketAddr)>> {
        let Some(list) = &raw.listen else {
            return self.listeners_of_three_keys(raw);
        };
        let others = [&raw.bind_address, &raw.transport].into_iter().flatten().map(S::span);
        if let Some(span) = others.chain(raw.port.as_ref().map(S::span)).next() {
            return Err(
                self.wrong(span, "expected either `listen` or `bind_address`, `port` and `transport`")
            );
        }
        let mut listen = Vec::with_capacity(list.as_ref().len());
        for text in list.as_ref() {
            let one = self.listener(text)?;
            if listen.contains(&one) && one.1.port() != 0 {
                return Err(self.wrong(text.span(), format!("`{}` stands twice", text.as_ref())));
            }
            listen.push(one);
        }
        if listen.is_empty() {
            return Err(self.wrong(list.span(), "expected at least one address, like `udp:127.0.0.1:5060`"));
        }
        Ok(listen)
    }

    fn listeners_of_three_keys(&self, raw: &raw::Sip) -> Result<Vec<(Transport, SocketAddr)>> {
        let ip = raw.bind_address.as_ref().map(|text| self.ip(text)).transpose()?;
        let port = raw.port.as_ref().map(|port| self.port(port, 0..=65_535)).transpose()?;
        let address = SocketAddr::new(ip.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), port.unwrap_or(5060));
        let both = vec![(Transport::Udp, address), (Transport::Tcp, address)];
        match &raw.transport {
            None => Ok(both),
            Some(text) if text.as_ref().eq_ignore_ascii_case("both") => Ok(both),
            Some(text) => match Transport::of(text.as_ref()).filter(|known| ALL.contains(known)) {
                Some(known) if !PLAIN.contains(&known) => {
                    let address = SocketAddr::new(address.ip(), port.unwrap_or(known.default_port()));
                    let name = known.uri_token();
                    let hint = format!(
                        "`{name}` is listened for by `listen = [\"{name}:{address}\"]`, which stands in the place of \
                         `bind_address`, `port` and `transport`"
                    );
                    Err(self.wrong(text.span(), "`transport` is `udp`, `tcp` or `both`").hint(hint))
                }
                _ => Ok(vec![(self.transport(text.as_ref(), text.span(), &PLAIN)?, address)]),
            },
        }
    }

    /// `udp:127.0.0.1:5060`
    fn listener(&self, text: &S<String>) -> Result<(Transport, SocketAddr)> {
        let expected =
            || self.wrong(text.span(), "expected TRANSPORT:ADDRESS:PORT, like `udp:192.0.2.1:5060`");
        let (transport, address) = text.as_ref().split_once(':').ok_or_else(expected)?;
        if !transport.chars().all(|c| c.is_ascii_alphabetic()) {
            return Err(expected());
        }
        let transport = self.transport(transport, text.span(), &ALL)?;
        Ok((transport, address.parse().map_err(|_| expected())?))
    }

    fn behavior(&self, raw: raw::Behavior, is_tone_server: bool) -> Result<Behavior> {
        Ok(Behavior {
            auto_answer: raw.auto_answer.unwrap_or(is_tone_server),
            auto_answer_delay: self.millis(raw.auto_answer_delay_ms, 1_000, 0..=60_000)?,
            tone_duration: self.real_seconds(raw.tone_duration_seconds)?.unwrap_or(Duration::from_secs(30)),
            tone_frequency: self.frequency(raw.tone_frequency)?.unwrap_or(440.0),
            max_concurrent_calls: self.count(raw.max_concurrent_calls, 100, 1_000_000)?,
        })
    }

    fn media(&self, raw: raw::Media) -> Result<Media> {
        if let Some(rate) = raw.audio_sample_rate.as_ref().filter(|rate| *rate.as_ref() != 8_000) {
            return Err(self.wrong(rate.span(), "expected 8000, the sample rate of G.711"));
        }
        let (rtp_port_start, rtp_port_end) =
            self.rtp_ports(raw.rtp_port_range_start, raw.rtp_port_range_end)?;
        Ok(Media {
            rtp_port_start,
            rtp_port_end,
            preferred_codecs: self.codecs(raw.preferred_codecs)?,
            enable_dtmf: raw.enable_dtmf.unwrap_or(true),
            rtp_timeout: self.seconds(raw.rtp_timeout_seconds, 60, 1..=DAY)?,
            workers: self.count(raw.workers, 1, 256)?,
        })
    }

    /// A range with room for at least one pair: an even port and the next one (RFC 3550 section 11).
    fn rtp_ports(&self, first: Option<S<i64>>, last: Option<S<i64>>) -> Result<(u16, u16)> {
        let span = last.as_ref().or(first.as_ref()).map_or(0..0, S::span);
        let first = first.map(|port| self.port(&port, 1_024..=65_534)).transpose()?.unwrap_or(10_000);
        let last = last.map(|port| self.port(&port, 1_024..=65_535)).transpose()?.unwrap_or(20_000);
        let even = first.saturating_add(first % 2);
        if last < first {
            let message = format!("the range of RTP ports goes backwards, from {first} to {last}");
            return Err(self
                .wrong(span, message)
                .hint("exchange rtp_port_range_start and rtp_port_range_end"));
        }
        if last <= even {
            let message = format!("the range of RTP ports from {first} to {last} has no room for a pair");
            return Err(self.wrong(span, message).hint("a pair is an even port and the next one"));
        }
        Ok((even, last))
    }

    fn codecs(&self, raw: Option<S<Vec<S<String>>>>) -> Result<Vec<String>> {
        let Some(list) = raw else {
            return Ok(SPOKEN.map(str::to_owned).to_vec());
        };
        let mut names: Vec<String> = Vec::with_capacity(list.as_ref().len());
        for text in list.as_ref() {
            let name = self.codec(text)?;
            if names.contains(&name) {
                return Err(self.wrong(text.span(), format!("the codec `{name}` stands twice")));
            }
            names.push(name);
        }
        if !names.iter().any(|name| SPOKEN.contains(&name.as_str())) {
            let message = "expected `PCMU` or `PCMA` among the codecs: the PBX itself speaks no other";
            return Err(self.wrong(list.span(), message));
        }
        Ok(names)
    }

    fn codec(&self, text: &S<String>) -> Result<String> {
        let codec = Codec::by_name(text.as_ref());
        codec.map(|codec| codec.name).ok_or_else(|| {
            let known: Vec<_> = Codec::names().collect();
            let message =
                format!("unknown codec `{}`, expected one of `{}`", text.as_ref(), known.join("`, `"));
            self.wrong(text.span(), message).did_you_mean(text.as_ref(), SPOKEN.into_iter().chain(known))
        })
    }

    fn auth(&self, raw: raw::Auth, domain: &str) -> Result<Auth> {
        let realm = raw.realm.map(|text| self.quotable(&text, "a realm")).transpose()?;
        Ok(Auth {
            realm: realm.unwrap_or_else(|| domain.to_owned()),
            algorithms: self.algorithms(raw.algorithms)?,
            nonce_lifetime: self.seconds(raw.nonce_lifetime_seconds, 300, 10..=DAY)?,
            max_failures: self.number(raw.max_failures, 10, 1..=1_000_000)? as u32,
            block_window: self.seconds(raw.block_window_seconds, 60, 1..=DAY)?,
            block_duration: self.seconds(raw.block_duration_seconds, 300, 1..=DAY)?,
            allow: self.networks(raw.allow)?,
        })
    }

    fn algorithms(&self, raw: Option<S<Vec<S<String>>>>) -> Result<Vec<Algorithm>> {
        const OFFERED: [Algorithm; 3] = [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512T256];
        const EXPECTED: &str = "expected `MD5`, `SHA-256` or `SHA-512-256`";
        let Some(list) = raw else {
            return Ok(vec![Algorithm::Md5]);
        };
        if list.as_ref().is_empty() {
            return Err(self.wrong(list.span(), EXPECTED));
        }
        let mut algorithms = Vec::with_capacity(list.as_ref().len());
        for token in list.as_ref() {
            let known = Algorithm::of(token.as_ref()).filter(|algorithm| OFFERED.contains(algorithm));
            let algorithm = known.ok_or_else(|| self.wrong(token.span(), EXPECTED))?;
            if algorithms.contains(&algorithm) {
                return Err(self.wrong(token.span(), format!("`{}` stands twice", token.as_ref())));
            }
            algorithms.push(algorithm);
        }
        Ok(algorithms)
    }

    fn limits(&self, raw: raw::Limits) -> Result<Limits> {
        let max_span = raw.max_expires_seconds.as_ref().or(raw.min_expires_seconds.as_ref()).map(S::span);
        let min_expires = self.seconds(raw.min_expires_seconds, 60, 1..=HOUR)?;
        let max_expires = self.seconds(raw.max_expires_seconds, HOUR as u64, 60..=30 * DAY)?;
        if max_expires < min_expires {
            let message = format!("expected at least min_expires_seconds: {}", min_expires.as_secs());
            return Err(self.wrong(max_span.unwrap_or(0..0), message));
        }
        Ok(Limits {
            calls: self.count(raw.calls, 5_000, 1_000_000)?,
            contacts_per_aor: self.count(raw.contacts_per_aor, 10, 1_000)?,
            message_bytes: self.number(raw.message_bytes, 65_535, 1_500..=1_048_576)? as usize,
            connections: self.count(raw.connections, 10_000, 1_000_000)?,
            min_expires,
            max_expires,
            call_duration: self.seconds(raw.call_duration_seconds, 12 * HOUR as u64, 1..=30 * DAY)?,
            subscriptions: self.count(raw.subscriptions, 10_000, 1_000_000)?,
        })
    }

    fn cdr(&self, raw: raw::Cdr) -> Result<Cdr> {
        Ok(Cdr { file: raw.file.map(|text| self.file(text)).transpose()? })
    }

    fn recording(&self, raw: raw::Recording) -> Result<Recording> {
        Ok(Recording { directory: raw.directory.map(|text| self.file(text)).transpose()? })
    }

    /// Whether something is to be recorded, for which there must be a place.
    pub(super) fn records(&self, wanted: Option<S<bool>>, there_is_a_place: bool) -> Result<bool> {
        match wanted {
            Some(wanted) if *wanted.as_ref() && !there_is_a_place => {
                let error = self.wrong(wanted.span(), "there is no place for recordings");
                Err(error.hint("`[recording]` with `directory = \"DIRECTORY\"` says where they are put"))
            }
            wanted => Ok(wanted.is_some_and(S::into_inner)),
        }
    }

    pub(super) fn file(&self, text: S<String>) -> Result<PathBuf> {
        let is_name = !text.as_ref().trim().is_empty() && !text.as_ref().contains('\0');
        if is_name {
            Ok(text.into_inner().into())
        } else {
            Err(self.wrong(text.span(), "expected a file name"))
        }
    }

    /// What the TOML parser says, in the words of somebody who writes a configuration.
    fn not_of_this_form(&self, error: &toml::de::Error) -> ConfigError {
        let span: Range<usize> = error.span().unwrap_or(0..0);
        // The parser's own words for this case are about quotes.
        if self.text.get(..span.start).is_some_and(|before| before.trim_end().ends_with('=')) {
            let value = self.text[span.start..].lines().next().unwrap_or_default().trim();
            if value.is_empty() || value.starts_with('#') {
                return self.wrong(span, "expected a value after `=`");
            }
        }
        let message = error.message().trim().replace('\n', ", ");
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        let Some((mistake, expected)) = message.split_once(", expected ") else {
            return self.wrong(span, message);
        };
        if mistake.starts_with("unknown field") {
            let (written, known) = quoted.split_first().map_or(("", &[][..]), |(first, rest)| (*first, rest));
            let error = self.wrong(span, &*message);
            return match section_that_knows(written) {
                Some(section) => error.hint(format!("`{written}` belongs under `{section}`")),
                None => error.did_you_mean(written, known.iter().copied()),
            };
        }
        match mistake.strip_prefix("invalid type: ") {
            Some(found) => self.of_another_type(span, found, expected),
            None => self.wrong(span, message),
        }
    }

    /// Says what kind of value was found, not which: it may be a secret.
    fn of_another_type(&self, span: Range<usize>, found: &str, expected: &str) -> ConfigError {
        let expected = match expected {
            "i64" => "a whole number",
            "f64" => "a number",
            "a string" => "a text in quotes",
            "a boolean" => "true or false",
            "a sequence" => "a list",
            other => other,
        };
        let kinds = [
            ("string", "a text in quotes"),
            ("integer", "a whole number"),
            ("floating point", "a number with a point"),
            ("boolean", "true or false"),
            ("sequence", "a list"),
            ("map", "a table"),
        ];
        let kind =
            kinds.into_iter().find(|(kind, _)| found.starts_with(kind)).map_or("something else", |(_, k)| k);
        let error = self.wrong(span, format!("expected {expected}, found {kind}"));
        match (expected, kind) {
            ("a list", "a table") => {
                error.hint("several of a kind stand under double brackets: `[[extensions]]`")
            }
            _ => error,
        }
    }
}

/// The section that has such a key: one where the parser does not call it unknown.
fn section_that_knows(key: &str) -> Option<&'static str> {
    const SECTIONS: [&str; 21] = [
        "[sip]",
        "[tls]",
        "[behavior]",
        "[media]",
        "[auth]",
        "[limits]",
        "[http]",
        "[cdr]",
        "[recording]",
        "[rwi]",
        "[[rwi.tokens]]",
        "[[rwi.contexts]]",
        "[rwi.webhook]",
        "[router]",
        "[calendar]",
        "[voicemail]",
        "[[mailboxes]]",
        "[[extensions]]",
        "[[queues]]",
        "[[trunks]]",
        "[[routes]]",
    ];
    let is_plain =
        !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || "_0123456789".contains(c));
    SECTIONS.into_iter().filter(|_| is_plain).find(|section| {
        let tried: Result<raw::File, _> = toml::from_str(&format!("{section}\n{key} = []"));
        tried.err().is_none_or(|error| !error.message().starts_with("unknown field"))
    })
}

/// Where the first target of a trunk stands that is reached by TLS.
fn first_secure_target(trunks: &[raw::Trunk]) -> Option<Range<usize>> {
    let targets = trunks.iter().flat_map(|trunk| trunk.targets.as_ref());
    let transports = targets.filter_map(|target| target.transport.as_ref());
    let secure = |text: &&S<String>| Transport::of(text.as_ref()).is_some_and(Transport::is_secure);
    transports.filter(secure).map(S::span).next()
}

/// What we call ourselves where nobody says.
fn own_domain(listen: &[(Transport, SocketAddr)], external: Option<IpAddr>) -> String {
    let bound = listen.first().map(|(_, address)| address.ip()).filter(|ip| !ip.is_unspecified());
    match external.or(bound) {
        Some(IpAddr::V4(ip)) => ip.to_string(),
        Some(IpAddr::V6(ip)) => format!("[{ip}]"),
        None => "localhost".to_owned(),
    }
}
