//! From the file as it is written to the value that holds; whoever has the value need not check again.

use super::error::{ConfigError, nearest};
use super::raw::{self, S};
use super::{
    App, Auth, Behavior, Cdr, Config, Extension, Http, Limits, Media, Network, Pattern, Route, Sip, Trunk,
    TrunkTarget,
};
use crate::sip::Transport;
use crate::sip::digest::Algorithm;
use crate::time::Duration;
use std::net::{IpAddr, SocketAddr};
use std::ops::{Range, RangeInclusive};

const HOUR: i64 = 3_600;
const CODECS: [&str; 2] = ["PCMU", "PCMA"];

impl Config {
    /// The configuration of a text; `file` is what an error calls it.
    pub fn parse(text: &str, file: &str) -> Result<Config, ConfigError> {
        let reader = Reader { file, text };
        let raw: raw::File = toml::from_str(text).map_err(|error| reader.syntax(&error))?;
        reader.config(raw)
    }
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
}

type Result<T, E = ConfigError> = std::result::Result<T, E>;

impl Reader<'_> {
    fn config(&self, raw: raw::File) -> Result<Config> {
        let sip = self.sip(raw.sip)?;
        let extensions = self.extensions(raw.extensions, &sip)?;
        let trunks = self.trunks(raw.trunks)?;
        let routes = self.routes(raw.routes, &extensions, &trunks)?;
        // With nobody and nothing to dial this is the tone server that answers whoever calls.
        let is_tone_server = extensions.is_empty() && trunks.is_empty() && routes.is_empty();
        Ok(Config {
            behavior: self.behavior(raw.behavior, is_tone_server)?,
            media: self.media(raw.media)?,
            auth: self.auth(raw.auth, &sip.domain)?,
            limits: self.limits(raw.limits)?,
            http: raw.http.map(|http| Ok(Http { listen: self.socket(&http.listen)? })).transpose()?,
            cdr: Cdr { file: raw.cdr.file.map(|file| file.into_inner().into()) },
            sip,
            extensions,
            trunks,
            routes,
        })
    }

    fn sip(&self, raw: raw::Sip) -> Result<Sip> {
        let listen = match &raw.listen {
            Some(listen) => listen.iter().map(|text| self.listener(text)).collect::<Result<Vec<_>>>()?,
            None => self.listeners_of_the_seed(&raw)?,
        };
        let first = listen.first().map(|(_, address)| address.ip().to_string()).unwrap_or_default();
        Ok(Sip {
            domain: self.text_or(raw.domain, &first, "a domain name or an address")?,
            external_address: raw.external_address.map(|text| self.ip(&text)).transpose()?,
            user_agent: self.text_or(
                raw.user_agent,
                concat!("Tandem/", env!("CARGO_PKG_VERSION")),
                "a name",
            )?,
            t1: self.millis(raw.t1_ms, 500, 50..=10_000)?,
            session_expires: match self.number(raw.session_expires_seconds, 1_800, 0..=24 * HOUR)? {
                0 => None,
                seconds => Some(Duration::from_secs(seconds)),
            },
            // RFC 4028 section 4: 90 s is the least that Min-SE may be.
            min_se: self.seconds(raw.min_se_seconds, 90, 90..=24 * HOUR)?,
            listen,
        })
    }

    fn listeners_of_the_seed(&self, raw: &raw::Sip) -> Result<Vec<(Transport, SocketAddr)>> {
        let ip = match &raw.bind_address {
            Some(text) => self.ip(text)?,
            None => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        };
        let port = match &raw.port {
            Some(port) => self.in_range(port, 0..=65_535)? as u16,
            None => 5060,
        };
        let address = SocketAddr::new(ip, port);
        let transports = match raw.transport.as_ref().map(|text| (text.as_ref().to_ascii_lowercase(), text)) {
            None => vec![Transport::Udp, Transport::Tcp],
            Some((token, text)) => match token.as_str() {
                "udp" => vec![Transport::Udp],
                "tcp" => vec![Transport::Tcp],
                "both" | "udp+tcp" | "tcp+udp" => vec![Transport::Udp, Transport::Tcp],
                _ => return Err(self.wrong(text.span(), "expected `udp`, `tcp` or `both`".into(), None)),
            },
        };
        Ok(transports.into_iter().map(|transport| (transport, address)).collect())
    }

    /// `udp:127.0.0.1:5060`
    fn listener(&self, text: &S<String>) -> Result<(Transport, SocketAddr)> {
        let expected =
            || self.wrong(text.span(), "expected `udp:ADDRESS:PORT` or `tcp:ADDRESS:PORT`".into(), None);
        let (transport, address) = text.as_ref().split_once(':').ok_or_else(expected)?;
        let transport = Transport::of(transport).ok_or_else(expected)?;
        if !matches!(transport, Transport::Udp | Transport::Tcp) {
            return Err(self.wrong(text.span(), format!("`{transport}` cannot be listened on yet"), None));
        }
        Ok((transport, address.parse().map_err(|_| expected())?))
    }

    fn behavior(&self, raw: Option<raw::Behavior>, is_tone_server: bool) -> Result<Behavior> {
        let raw = raw.unwrap_or_default();
        Ok(Behavior {
            auto_answer: raw.auto_answer.unwrap_or(is_tone_server),
            auto_answer_delay: self.millis(raw.auto_answer_delay_ms, 1_000, 0..=60_000)?,
            tone_duration: self.real_seconds(raw.tone_duration_seconds, 30.0)?,
            tone_frequency: self.frequency(raw.tone_frequency)?.unwrap_or(440.0),
            max_concurrent_calls: self.number(raw.max_concurrent_calls, 100, 1..=1_000_000)? as usize,
        })
    }

    fn media(&self, raw: raw::Media) -> Result<Media> {
        if let Some(rate) = raw.audio_sample_rate.as_ref().filter(|rate| *rate.as_ref() != 8_000) {
            return Err(self.wrong(rate.span(), "expected 8000, the rate of G.711".into(), None));
        }
        let end_span = raw.rtp_port_range_end.as_ref().map(S::span);
        let start = self.number(raw.rtp_port_range_start, 10_000, 1_024..=65_534)? as u16;
        let end = self.number(raw.rtp_port_range_end, 20_000, 1_024..=65_535)? as u16;
        if end <= start.saturating_add(start % 2) {
            let message = format!("the range of RTP ports {start} to {end} holds no pair");
            return Err(self.wrong(
                end_span.unwrap_or(0..0),
                message,
                Some("a pair is an even port and the next one".into()),
            ));
        }
        let codecs = match raw.preferred_codecs {
            Some(codecs) => codecs.iter().map(|codec| self.codec(codec)).collect::<Result<Vec<_>>>()?,
            None => CODECS.map(str::to_owned).to_vec(),
        };
        Ok(Media {
            rtp_port_start: start,
            rtp_port_end: end,
            preferred_codecs: codecs,
            enable_dtmf: raw.enable_dtmf.unwrap_or(true),
            rtp_timeout: self.seconds(raw.rtp_timeout_seconds, 60, 1..=24 * HOUR)?,
            workers: self.number(raw.workers, 1, 1..=256)? as usize,
        })
    }

    fn codec(&self, codec: &S<String>) -> Result<String> {
        let known = CODECS.into_iter().find(|name| name.eq_ignore_ascii_case(codec.as_ref()));
        known.map(str::to_owned).ok_or_else(|| {
            let hint = nearest(&codec.as_ref().to_ascii_uppercase(), CODECS)
                .map(|name| format!("did you mean `{name}`?"));
            self.wrong(
                codec.span(),
                format!("unknown codec `{}`, expected `PCMU` or `PCMA`", codec.as_ref()),
                hint,
            )
        })
    }

    fn auth(&self, raw: raw::Auth, domain: &str) -> Result<Auth> {
        let allow = raw.allow.unwrap_or_default();
        Ok(Auth {
            realm: self.text_or(raw.realm, domain, "a realm")?,
            algorithms: self.algorithms(raw.algorithms)?,
            nonce_lifetime: self.seconds(raw.nonce_lifetime_seconds, 300, 10..=24 * HOUR)?,
            max_failures: self.number(raw.max_failures, 10, 1..=1_000_000)? as u32,
            block_window: self.seconds(raw.block_window_seconds, 60, 1..=24 * HOUR)?,
            block_duration: self.seconds(raw.block_duration_seconds, 300, 1..=24 * HOUR)?,
            allow: allow.iter().map(|text| self.network(text)).collect::<Result<_>>()?,
        })
    }

    fn algorithms(&self, tokens: Option<Vec<S<String>>>) -> Result<Vec<Algorithm>> {
        const OFFERED: [Algorithm; 3] = [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512T256];
        let algorithm = |token: &S<String>| {
            let known = Algorithm::of(token.as_ref()).filter(|algorithm| OFFERED.contains(algorithm));
            let message = "expected `MD5`, `SHA-256` or `SHA-512-256`".to_owned();
            known.ok_or_else(|| self.wrong(token.span(), message, None))
        };
        match tokens {
            Some(tokens) if !tokens.is_empty() => tokens.iter().map(algorithm).collect(),
            _ => Ok(vec![Algorithm::Md5]),
        }
    }

    fn limits(&self, raw: raw::Limits) -> Result<Limits> {
        Ok(Limits {
            calls: self.number(raw.calls, 5_000, 1..=1_000_000)? as usize,
            contacts_per_aor: self.number(raw.contacts_per_aor, 10, 1..=1_000)? as usize,
            message_bytes: self.number(raw.message_bytes, 65_535, 1_500..=1_048_576)? as usize,
            connections: self.number(raw.connections, 10_000, 1..=1_000_000)? as usize,
            min_expires: self.seconds(raw.min_expires_seconds, 60, 1..=HOUR)?,
            max_expires: self.seconds(raw.max_expires_seconds, HOUR as u64, 60..=30 * 24 * HOUR)?,
            call_duration: self.seconds(raw.call_duration_seconds, 12 * HOUR as u64, 1..=30 * 24 * HOUR)?,
        })
    }

    fn extensions(&self, raw: Vec<raw::Extension>, sip: &Sip) -> Result<Vec<Extension>> {
        let mut extensions: Vec<Extension> = Vec::with_capacity(raw.len());
        let is_open = sip.listen.iter().any(|(_, address)| !address.ip().is_loopback());
        for raw in raw {
            let (number_span, password_span) = (raw.number.span(), raw.password.span());
            let number = self.user(&raw.number)?;
            if extensions.iter().any(|extension| extension.number == number) {
                return Err(self.wrong(number_span, format!("the extension `{number}` stands twice"), None));
            }
            let password = raw.password.into_inner();
            if password.is_empty() || (is_open && password == number) {
                let message = format!("the password of `{number}` can be guessed");
                let hint = "who can reach this address could call at your expense; take a long random one"
                    .to_owned();
                return Err(self.wrong(password_span, message, Some(hint)));
            }
            extensions.push(Extension {
                password,
                name: raw.name.map(S::into_inner),
                ring_timeout: self.seconds(raw.ring_timeout_seconds, 30, 1..=600)?,
                forward_busy: raw.forward_busy.map(|text| self.user(&text)).transpose()?,
                forward_no_answer: raw.forward_no_answer.map(|text| self.user(&text)).transpose()?,
                max_calls: raw
                    .max_calls
                    .map(|max| self.in_range(&max, 1..=10_000))
                    .transpose()?
                    .map(|max| max as usize),
                number,
            });
        }
        Ok(extensions)
    }

    fn trunks(&self, raw: Vec<raw::Trunk>) -> Result<Vec<Trunk>> {
        let mut trunks: Vec<Trunk> = Vec::with_capacity(raw.len());
        for raw in raw {
            let span = raw.name.span();
            let name = raw.name.into_inner();
            if trunks.iter().any(|trunk| trunk.name == name) {
                return Err(self.wrong(span, format!("the trunk `{name}` stands twice"), None));
            }
            if raw.targets.is_empty() {
                return Err(self.wrong(span, format!("the trunk `{name}` has no target"), None));
            }
            let credentials = match (raw.username, raw.password) {
                (Some(user), Some(password)) => Some((user.into_inner(), password.into_inner())),
                (None, None) => None,
                (Some(alone), None) | (None, Some(alone)) => {
                    let message = "expected `username` and `password`, or neither".to_owned();
                    return Err(self.wrong(alone.span(), message, None));
                }
            };
            trunks.push(Trunk {
                name,
                targets: raw.targets.into_iter().map(|target| self.target(target)).collect::<Result<_>>()?,
                accept_from: raw.accept_from.iter().map(|text| self.network(text)).collect::<Result<_>>()?,
                credentials,
                try_timeout: self.millis(raw.try_timeout_ms, 4_000, 100..=32_000)?,
                max_calls: raw
                    .max_calls
                    .map(|max| self.in_range(&max, 1..=1_000_000))
                    .transpose()?
                    .map(|max| max as usize),
            });
        }
        Ok(trunks)
    }

    fn target(&self, raw: raw::Target) -> Result<TrunkTarget> {
        let transport = match &raw.transport {
            Some(text) => {
                Transport::of(text.as_ref()).filter(|t| matches!(t, Transport::Udp | Transport::Tcp))
            }
            None => Some(Transport::Udp),
        };
        let span = raw.transport.as_ref().map_or(0..0, S::span);
        Ok(TrunkTarget {
            host: self.text(raw.host, "a name or an address")?,
            port: raw.port.map(|port| self.in_range(&port, 1..=65_535)).transpose()?.map(|port| port as u16),
            transport: transport.ok_or_else(|| self.wrong(span, "expected `udp` or `tcp`".into(), None))?,
            priority: self.number(raw.priority, 1, 0..=65_535)? as u16,
            weight: self.number(raw.weight, 1, 0..=65_535)? as u16,
        })
    }

    fn routes(&self, raw: Vec<raw::Route>, extensions: &[Extension], trunks: &[Trunk]) -> Result<Vec<Route>> {
        raw.into_iter().map(|raw| self.route(raw, extensions, trunks)).collect()
    }

    fn route(&self, raw: raw::Route, extensions: &[Extension], trunks: &[Trunk]) -> Result<Route> {
        let pattern = Pattern::new(raw.to_user.as_ref())
            .map_err(|why| self.wrong(raw.to_user.span(), why.into(), None))?;
        let (span, params) = match raw.app_params {
            Some(params) => (params.span(), params.into_inner()),
            None => (raw.app.span(), raw::AppParams::default()),
        };
        Ok(Route {
            name: raw.name.into_inner(),
            to_user: pattern,
            from_network: raw.from_network.map(|text| self.network(&text)).transpose()?,
            app: self.app(&raw.app, span, params, extensions, trunks)?,
        })
    }

    fn app(
        &self,
        app: &S<String>,
        span: Range<usize>,
        params: raw::AppParams,
        extensions: &[Extension],
        trunks: &[Trunk],
    ) -> Result<App> {
        const APPS: [&str; 5] = ["extension", "trunk", "tone", "echo", "reject"];
        self.only_its_own_params(app.as_ref(), &params)?;
        match app.as_ref().as_str() {
            "extension" => {
                if let Some(wanted) =
                    params.extension.as_ref().filter(|n| !extensions.iter().any(|e| e.number == *n.as_ref()))
                {
                    let message = format!("there is no extension `{}`", wanted.as_ref());
                    return Err(self.wrong(wanted.span(), message, None));
                }
                Ok(App::Extension(params.extension.map(S::into_inner)))
            }
            "trunk" => {
                let names = params.trunks.unwrap_or_default();
                if names.is_empty() {
                    return Err(self.wrong(span, "expected `trunks = [\"NAME\", ...]`".into(), None));
                }
                for name in &names {
                    if !trunks.iter().any(|trunk| trunk.name == *name.as_ref()) {
                        let near = nearest(name.as_ref(), trunks.iter().map(|trunk| trunk.name.as_str()));
                        let hint = near.map(|near| format!("did you mean `{near}`?"));
                        return Err(self.wrong(
                            name.span(),
                            format!("there is no trunk `{}`", name.as_ref()),
                            hint,
                        ));
                    }
                }
                Ok(App::Trunk {
                    trunks: names.into_iter().map(S::into_inner).collect(),
                    strip: self.number(params.strip, 0, 0..=64)? as usize,
                    prefix: params.prefix.map(|prefix| self.user(&prefix)).transpose()?.unwrap_or_default(),
                })
            }
            "tone" => Ok(App::Tone {
                frequency: self.frequency(params.frequency)?,
                duration: params.duration_seconds.map(|d| self.real_seconds(Some(d), 0.0)).transpose()?,
                answer_delay: params
                    .answer_delay_ms
                    .map(|ms| self.millis(Some(ms), 0, 0..=60_000))
                    .transpose()?,
            }),
            "echo" => Ok(App::Echo),
            "reject" => Ok(App::Reject {
                status: self.number(params.status, 403, 400..=699)? as u16,
                reason: params.reason.map(S::into_inner),
            }),
            other => {
                let hint = nearest(other, APPS).map(|name| format!("did you mean `{name}`?"));
                let message = format!("unknown app `{other}`, expected one of `{}`", APPS.join("`, `"));
                Err(self.wrong(app.span(), message, hint))
            }
        }
    }

    fn only_its_own_params(&self, app: &str, params: &raw::AppParams) -> Result<()> {
        let given = [
            ("extension", "extension", params.extension.as_ref().map(S::span)),
            ("trunk", "trunks", params.trunks.as_ref().and_then(|trunks| trunks.first()).map(S::span)),
            ("trunk", "strip", params.strip.as_ref().map(S::span)),
            ("trunk", "prefix", params.prefix.as_ref().map(S::span)),
            ("tone", "frequency", params.frequency.as_ref().map(S::span)),
            ("tone", "duration_seconds", params.duration_seconds.as_ref().map(S::span)),
            ("tone", "answer_delay_ms", params.answer_delay_ms.as_ref().map(S::span)),
            ("reject", "status", params.status.as_ref().map(S::span)),
            ("reject", "reason", params.reason.as_ref().map(S::span)),
        ];
        match given
            .into_iter()
            .find_map(|(of, name, span)| span.filter(|_| of != app).map(|span| (of, name, span)))
        {
            Some((of, name, span)) => {
                Err(self.wrong(span, format!("`{name}` belongs to the app `{of}`, not `{app}`"), None))
            }
            None => Ok(()),
        }
    }

    /// The user part of an address: what can be dialled.
    fn user(&self, text: &S<String>) -> Result<String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.!~*'()+#".contains(c);
        if text.as_ref().is_empty() || !text.as_ref().chars().all(fits) || text.as_ref().len() > 64 {
            return Err(self.wrong(
                text.span(),
                "expected a number or a name of letters, digits and -_.+*#".into(),
                None,
            ));
        }
        Ok(text.as_ref().clone())
    }

    /// `10.0.0.0/8`, or one address.
    fn network(&self, text: &S<String>) -> Result<Network> {
        text.as_ref().parse().map_err(|why: &str| self.wrong(text.span(), why.into(), None))
    }

    fn ip(&self, text: &S<String>) -> Result<IpAddr> {
        text.as_ref()
            .parse()
            .map_err(|_| self.wrong(text.span(), "expected an IPv4 or IPv6 address".into(), None))
    }

    fn socket(&self, text: &S<String>) -> Result<SocketAddr> {
        text.as_ref().parse().map_err(|_| self.wrong(text.span(), "expected ADDRESS:PORT".into(), None))
    }

    fn text(&self, text: S<String>, what: &str) -> Result<String> {
        if text.as_ref().trim().is_empty() || text.as_ref().chars().any(char::is_control) {
            return Err(self.wrong(text.span(), format!("expected {what}"), None));
        }
        Ok(text.into_inner())
    }

    fn text_or(&self, text: Option<S<String>>, default: &str, what: &str) -> Result<String> {
        text.map_or_else(|| Ok(default.to_owned()), |text| self.text(text, what))
    }

    fn frequency(&self, hertz: Option<S<f64>>) -> Result<Option<f64>> {
        match hertz {
            Some(hertz) if !(1.0..4_000.0).contains(hertz.as_ref()) => {
                Err(self.wrong(hertz.span(), "expected a frequency from 1 to below 4000 Hz".into(), None))
            }
            other => Ok(other.map(S::into_inner)),
        }
    }

    fn real_seconds(&self, seconds: Option<S<f64>>, default: f64) -> Result<Duration> {
        match seconds {
            Some(seconds) if !(0.02..=86_400.0).contains(seconds.as_ref()) => {
                Err(self.wrong(seconds.span(), "expected seconds from 0.02 to 86400".into(), None))
            }
            other => Ok(Duration::from_secs_f64(other.map_or(default, S::into_inner))),
        }
    }

    fn seconds(&self, seconds: Option<S<i64>>, default: u64, range: RangeInclusive<i64>) -> Result<Duration> {
        self.number(seconds, default, range).map(Duration::from_secs)
    }

    fn millis(&self, millis: Option<S<i64>>, default: u64, range: RangeInclusive<i64>) -> Result<Duration> {
        self.number(millis, default, range).map(Duration::from_millis)
    }

    fn number(&self, number: Option<S<i64>>, default: u64, range: RangeInclusive<i64>) -> Result<u64> {
        number.map_or(Ok(default), |number| self.in_range(&number, range))
    }

    fn in_range(&self, number: &S<i64>, range: RangeInclusive<i64>) -> Result<u64> {
        if !range.contains(number.as_ref()) {
            let message = format!("expected a number from {} to {}", range.start(), range.end());
            return Err(self.wrong(number.span(), message, None));
        }
        Ok(number.as_ref().unsigned_abs())
    }

    fn wrong(&self, span: Range<usize>, message: String, hint: Option<String>) -> ConfigError {
        ConfigError::at(self.file, self.text, span, message, hint)
    }

    /// What the TOML parser says, with a hint where a key was misspelt.
    fn syntax(&self, error: &toml::de::Error) -> ConfigError {
        let message = error.message().lines().next().unwrap_or_default().to_owned();
        let mut quoted = message.split('`').skip(1).step_by(2);
        let written = quoted.next().filter(|_| message.starts_with("unknown field"));
        let near = written.and_then(|written| nearest(written, quoted));
        let hint = near.map(|near| format!("did you mean `{near}`?"));
        self.wrong(error.span().unwrap_or(0..0), message, hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_configuration_is_one() {
        let config = Config::default();
        assert_eq!(config.extensions.len(), 4);
        assert!(config.sip.listen.iter().all(|(_, address)| address.ip().is_loopback()));
        assert!(config.warnings().is_empty());
    }

    #[test]
    fn an_empty_file_is_a_tone_server_on_this_machine() {
        let config = Config::parse("", "empty.toml").expect("everything has a default");
        assert!(config.behavior.auto_answer && config.sip.listen[0].1.ip().is_loopback());
    }

    #[test]
    fn an_error_names_the_place_and_the_mend() {
        let cases = [
            ("[sip]\nlistn = []", "f:2:1: unknown field `listn`", "did you mean `listen`?"),
            ("[sip]\nport = 70000", "f:2:8: expected a number from 0 to 65535", ""),
            ("[sip]\nport = \"x\"", "f:2:8: invalid type", ""),
            (
                "[media]\npreferred_codecs = [\"PCMX\"]",
                "f:2:21: unknown codec `PCMX`",
                "did you mean `PCMU`?",
            ),
            (
                "[media]\nrtp_port_range_start = 20000\nrtp_port_range_end = 20000",
                "f:3:22: the range of RTP ports",
                "",
            ),
            ("[[extensions]]\nnumber = \"1\"", "f:1:1: missing field `password`", ""),
            (
                "[sip]\nbind_address = \"0.0.0.0\"\n[[extensions]]\nnumber = \"1\"\npassword = \"1\"",
                "f:5:12: the password of `1` can be guessed",
                "take a long random one",
            ),
            (
                "[[routes]]\nname = \"x\"\nto_user = \"1\"\napp = \"ton\"",
                "f:4:7: unknown app `ton`",
                "did you mean `tone`?",
            ),
            (
                "[[routes]]\nname = \"x\"\nto_user = \"1\"\napp = \"echo\"\napp_params = { status = 403 }",
                "f:5:25: `status` belongs to the app `reject`, not `echo`",
                "",
            ),
        ];
        for (text, place, hint) in cases {
            let error = Config::parse(text, "f").expect_err(text).to_string();
            assert!(error.starts_with(place) && error.contains(hint), "{text}\n{error}");
        }
    }
}
