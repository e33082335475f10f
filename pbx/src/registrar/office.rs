//! An office for tests: two telephones, a trunk, a few routes.

use crate::config::{
    App, Auth, Behavior, Cdr, Config, Extension, Limits, Media, Network, Route, Sip, Trunk, TrunkTarget,
};
use crate::sip::Transport;
use crate::time::Duration;

/// The configuration of the office.
pub(crate) fn config() -> Config {
    Config {
        sip: Sip {
            listen: vec![(Transport::Udp, "10.0.0.1:5060".parse().unwrap())],
            domain: "office.example".into(),
            external_address: None,
            user_agent: "Tandem".into(),
            t1: Duration::from_millis(500),
            session_expires: None,
            min_se: Duration::from_secs(90),
        },
        behavior: Behavior {
            auto_answer: false,
            auto_answer_delay: Duration::from_secs(1),
            tone_duration: Duration::from_secs(30),
            tone_frequency: 440.0,
            max_concurrent_calls: 100,
        },
        media: Media {
            rtp_port_start: 10_000,
            rtp_port_end: 20_000,
            preferred_codecs: vec!["PCMU".into()],
            enable_dtmf: true,
            rtp_timeout: Duration::from_secs(60),
            workers: 1,
        },
        auth: Auth {
            realm: "office.example".into(),
            nonce_lifetime: Duration::from_secs(300),
            max_failures: 5,
            block_window: Duration::from_secs(60),
            block_duration: Duration::from_secs(600),
            allow: vec![network("10.9.0.0/16")],
        },
        limits: Limits {
            calls: 100,
            contacts_per_aor: 3,
            message_bytes: 65_535,
            connections: 100,
            min_expires: Duration::from_secs(60),
            max_expires: Duration::from_secs(7_200),
            call_duration: Duration::from_secs(14_400),
        },
        http: None,
        cdr: Cdr { file: None },
        extensions: vec![extension("1001"), extension("1002")],
        trunks: vec![trunk("carrier", &[("sip1.carrier.example", 10, 1), ("sip2.carrier.example", 20, 1)])],
        routes: Vec::new(),
    }
}

/// An extension whose password is `secret-` and its number.
pub(crate) fn extension(number: &str) -> Extension {
    Extension {
        number: number.into(),
        password: format!("secret-{number}"),
        name: None,
        ring_timeout: Duration::from_secs(30),
        forward_busy: None,
        forward_no_answer: None,
        max_calls: None,
    }
}

/// A trunk that calls from 192.0.2.0/24; targets are host, priority, weight.
pub(crate) fn trunk(name: &str, targets: &[(&str, u16, u16)]) -> Trunk {
    let target = |&(host, priority, weight): &(&str, u16, u16)| TrunkTarget {
        host: host.into(),
        port: None,
        transport: Transport::Udp,
        priority,
        weight,
    };
    Trunk {
        name: name.into(),
        targets: targets.iter().map(target).collect(),
        accept_from: vec![network("192.0.2.0/24")],
        credentials: None,
        try_timeout: Duration::from_secs(3),
        max_calls: None,
    }
}

/// A route to `app`, open to nobody in particular.
pub(crate) fn route(to_user: &str, app: App) -> Route {
    Route {
        name: format!("route {to_user}"),
        to_user: crate::config::Pattern::new(to_user).expect("a pattern"),
        from_network: None,
        app,
    }
}

/// `10.0.0.0/8`
pub(crate) fn network(text: &str) -> Network {
    let (address, prefix) = text.split_once('/').unwrap();
    Network { address: address.parse().unwrap(), prefix: prefix.parse().unwrap() }
}
