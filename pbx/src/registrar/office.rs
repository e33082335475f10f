//! An office for tests: two telephones with the passwords `secret-1001` and `secret-1002`, and a trunk.

use crate::config::Config;

const TEXT: &str = r#"
[sip]
listen = ["udp:10.0.0.1:5060", "tcp:10.0.0.1:5060"]
domain = "office.example"
external_address = "203.0.113.1"

[auth]
algorithms = ["SHA-256", "MD5"]
nonce_lifetime_seconds = 300
max_failures = 5
block_window_seconds = 60
block_duration_seconds = 600
allow = ["10.9.0.0/16"]

[limits]
contacts_per_aor = 3
min_expires_seconds = 60
max_expires_seconds = 7200

[[extensions]]
number = "1001"
password = "secret-1001"

[[extensions]]
number = "1002"
password = "secret-1002"

[[trunks]]
name = "carrier"
accept_from = ["192.0.2.0/24"]
targets = [
    { host = "second.carrier.example", priority = 20 },
    { host = "first.carrier.example", priority = 10 },
]
"#;

/// The configuration of the office.
pub(crate) fn config() -> Config {
    config_with("")
}

/// The configuration of the office with more tables behind it.
pub(crate) fn config_with(more: &str) -> Config {
    Config::parse(&format!("{TEXT}{more}"), "office.toml").unwrap_or_else(|error| panic!("{error}"))
}
