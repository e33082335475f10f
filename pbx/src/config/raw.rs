//! The file as it is written, before it is checked. The names of the fields are the keys.

use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

pub(super) type S<T> = Spanned<T>;

#[derive(Deserialize, Default)]
#[serde(expecting = "a table", deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) sip: Sip,
    pub(super) tls: Tls,
    pub(super) behavior: Behavior,
    pub(super) media: Media,
    pub(super) auth: Auth,
    pub(super) limits: Limits,
    pub(super) http: Option<Http>,
    pub(super) cdr: Cdr,
    pub(super) recording: Recording,
    pub(super) rwi: Rwi,
    pub(super) router: Option<Router>,
    pub(super) calendar: Calendar,
    pub(super) voicemail: Voicemail,
    pub(super) mailboxes: Vec<Mailbox>,
    pub(super) extensions: Vec<Extension>,
    pub(super) queues: Vec<Queue>,
    pub(super) trunks: Vec<Trunk>,
    pub(super) routes: Vec<Route>,
}

#[derive(Deserialize, Default)]
#[serde(expecting = "a table", deny_unknown_fields, default)]
pub(super) struct Sip {
    pub(super) bind_address: Option<S<String>>,
    pub(super) port: Option<S<i64>>,
    pub(super) transport: Option<S<String>>,
    pub(super) listen: Option<S<Vec<S<String>>>>,
    pub(super) domain: Option<S<String>>,
    pub(super) external_address: Option<S<String>>,
    pub(super) user_agent: Option<S<String>>,
    pub(super) t1_ms: Option<S<i64>>,
    pub(super) session_expires_seconds: Option<S<i64>>,
    pub(super) min_se_seconds: Option<S<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(expecting = "a table", deny_unknown_fields, default)]
pub(super) struct Tls {
    pub(super) certificate: Option<S<String>>,
    pub(super) key: Option<S<String>>,
    pub(super) authorities: Option<S<String>>,
    pub(super) client_certificates: Option<S<String>>,
    pub(super) client_authorities: Option<S<String>>,
}

#[derive(Deserialize)]
#[serde(expecting = "a table", deny_unknown_fields)]
pub(super) struct Router {
    pub(super) url: S<String>,
    pub(super) timeout_ms: Option<S<i64>>,
    pub(super) retries: Option<S<i64>>,
    pub(super) max_pending: Option<S<i64>>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, S<String>>,
}

#[derive(Deserialize, Default)]
#[serde(expecting = "a table", deny_unknown_fields, default)]
pub(super) struct Calendar {
    pub(super) time_zone: Option<S<String>>,
    pub(super) holidays: Option<Vec<S<String>>>,
}

#[derive(Deserialize, Default)]
#[serde(expecting = "a table", deny_unknown_fields, default)]
pub(super) struct When {
    pub(super) days: Option<Vec<S<String>>>,
    pub(super) hours: Option<Vec<S<String>>>,
    pub(super) dates: Option<Vec<S<String>>>,
    pub(super) holidays: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(expecting = "a table", deny_unknown_fields, default)]
pub(super) struct Behavior {
    pub(super) auto_answer: Option<bool>,
    pub(super) auto_answer_delay_ms: Option<S<i64>>,
    pub(super) tone_duration_seconds: Option<S<f64>>,
    pub(super) tone_frequency: Option<S<f64>>,
    pub(super) max_concurrent_calls: Option<S<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(expecting = "a table", deny_unknown_fields, default)]
pub(super) struct Media {
    pub(super) rtp_port_range_start: Option<S<i64>>,
    pub(super) rtp_port_range_end: Option<S<i64>>,
    pub(super) preferred_codecs: Option<S<Vec<S<String>>>>,
    pub(super) enable_dtmf: Option<bool>,
    pub(super) audio_sample_rate: Option<S<i64>>,
    pub(super) rtp_timeout_seconds: Option<S<i64>>,
    pub(super) workers: Option<S<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(expecting = "a table", deny_unknown_fields, default)]
pub(super) struct Auth {
    pub(super) realm: Option<S<String>>,
    pub(super) algorithms: Option<S<Vec<S<String>>>>,
    pub(super) nonce_lifetime_seconds: Option<S<i64>>,
    pub(super) max_failures: Option<S<i64>>,
    pub(super) block_window_seconds: Option<S<i64>>,
    pub(super) block_duration_seconds: Option<S<i64>>,
    pub(super) allow: Option<Vec<S<String>>>,
}

#[derive(Deserialize, Default)]
#[serde(expecting = "a table", deny_unknown_fields, default)]
pub(super) struct Limits {
    pub(super) calls: Option<S<i64>>,
    pub(super) contacts_per_aor: Option<S<i64>>,
    pub(super) message_bytes: Option<S<i64>>,
    pub(super) connections: Option<S<i64>>,
    pub(super) min_expires_seconds: Option<S<i64>>,
    pub(super) max_expires_seconds: Option<S<i64>>,
    pub(super) call_duration_seconds: Option<S<i64>>,
    pub(super) subscriptions: Option<S<i64>>,
}

#[derive(Deserialize)]
#[serde(expecting = "a table", deny_unknown_fields)]
pub(super) struct Http {
    pub(super) listen: S<String>,
}

#[derive(Deserialize, Default)]
#[serde(expecting = "a table", deny_unknown_fields, default)]
pub(super) struct Cdr {
    pub(super) file: Option<S<String>>,
}

#[derive(Deserialize, Default)]
#[serde(expecting = "a table", deny_unknown_fields, default)]
pub(super) struct Recording {
    pub(super) directory: Option<S<String>>,
}

#[derive(Deserialize, Default)]
#[serde(expecting = "a table", deny_unknown_fields, default)]
pub(super) struct Voicemail {
    pub(super) directory: Option<S<String>>,
    pub(super) greeting: Option<S<String>>,
    pub(super) max_message_seconds: Option<S<i64>>,
    pub(super) min_message_seconds: Option<S<f64>>,
    pub(super) silence_seconds: Option<S<i64>>,
    pub(super) max_messages: Option<S<i64>>,
    pub(super) max_total_seconds: Option<S<i64>>,
    pub(super) unsolicited_notify: Option<S<bool>>,
}

#[derive(Deserialize)]
#[serde(expecting = "a table", deny_unknown_fields)]
pub(super) struct Mailbox {
    pub(super) extension: S<String>,
    pub(super) pin: Option<S<String>>,
    pub(super) greeting: Option<S<String>>,
}

#[derive(Deserialize, Default)]
#[serde(expecting = "a table", deny_unknown_fields, default)]
pub(super) struct Rwi {
    pub(super) max_connections: Option<S<i64>>,
    pub(super) max_calls_per_connection: Option<S<i64>>,
    pub(super) originate_rate_limit: Option<S<i64>>,
    pub(super) orphan_hold_secs: Option<S<i64>>,
    pub(super) sounds: Option<S<String>>,
    pub(super) hold_music: Option<S<String>>,
    pub(super) tokens: Vec<RwiToken>,
    pub(super) contexts: Vec<RwiContext>,
    pub(super) webhook: Option<Webhook>,
}

#[derive(Deserialize)]
#[serde(expecting = "a table", deny_unknown_fields)]
pub(super) struct RwiToken {
    pub(super) token: S<String>,
    pub(super) scopes: Option<Vec<S<String>>>,
    pub(super) dialect: Option<S<String>>,
}

#[derive(Deserialize)]
#[serde(expecting = "a table", deny_unknown_fields)]
pub(super) struct RwiContext {
    pub(super) name: S<String>,
    pub(super) no_answer_timeout_secs: Option<S<i64>>,
    pub(super) no_answer_action: Option<S<String>>,
    pub(super) no_answer_target: Option<S<String>>,
    pub(super) no_answer_frequency: Option<S<f64>>,
}

#[derive(Deserialize)]
#[serde(expecting = "a table", deny_unknown_fields)]
pub(super) struct Webhook {
    pub(super) url: S<String>,
    pub(super) timeout_ms: Option<S<i64>>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, S<String>>,
    #[serde(default)]
    pub(super) events: Vec<S<String>>,
    pub(super) dialect: Option<S<String>>,
}

#[derive(Deserialize)]
#[serde(expecting = "a table", deny_unknown_fields)]
pub(super) struct Extension {
    pub(super) number: S<String>,
    pub(super) password: S<String>,
    pub(super) name: Option<S<String>>,
    pub(super) ring_timeout_seconds: Option<S<i64>>,
    pub(super) forward_busy: Option<S<String>>,
    pub(super) forward_no_answer: Option<S<String>>,
    pub(super) max_calls: Option<S<i64>>,
    pub(super) srtp: Option<S<String>>,
    pub(super) dtmf: Option<S<String>>,
    pub(super) record: Option<S<bool>>,
}

#[derive(Deserialize)]
#[serde(expecting = "a table", deny_unknown_fields)]
pub(super) struct Queue {
    pub(super) name: S<String>,
    #[serde(default)]
    pub(super) agents: Vec<S<String>>,
    pub(super) strategy: Option<S<String>>,
    pub(super) ring_timeout_seconds: Option<S<i64>>,
    pub(super) wrap_up_seconds: Option<S<i64>>,
    pub(super) max_wait_seconds: Option<S<i64>>,
    pub(super) then: Option<S<String>>,
    pub(super) music: Option<S<String>>,
    pub(super) announcement: Option<S<String>>,
    pub(super) announce_every_seconds: Option<S<i64>>,
}

#[derive(Deserialize)]
#[serde(expecting = "a table", deny_unknown_fields)]
pub(super) struct Trunk {
    pub(super) name: S<String>,
    pub(super) targets: S<Vec<Target>>,
    pub(super) accept_from: Option<Vec<S<String>>>,
    pub(super) username: Option<S<String>>,
    pub(super) password: Option<S<String>>,
    pub(super) try_timeout_ms: Option<S<i64>>,
    pub(super) max_calls: Option<S<i64>>,
    pub(super) srtp: Option<S<String>>,
    pub(super) dtmf: Option<S<String>>,
    pub(super) transfers_out: Option<S<bool>>,
}

#[derive(Deserialize)]
#[serde(expecting = "a table", deny_unknown_fields)]
pub(super) struct Target {
    pub(super) host: S<String>,
    pub(super) port: Option<S<i64>>,
    pub(super) transport: Option<S<String>>,
    pub(super) priority: Option<S<i64>>,
    pub(super) weight: Option<S<i64>>,
}

#[derive(Deserialize)]
#[serde(expecting = "a table", deny_unknown_fields)]
pub(super) struct Route {
    pub(super) name: S<String>,
    pub(super) to_user: S<String>,
    pub(super) from_network: Option<S<String>>,
    pub(super) when: Option<When>,
    pub(super) app: S<String>,
    pub(super) app_params: Option<S<AppParams>>,
}

/// The parameters of all applications; which of them an application takes is checked after.
#[derive(Deserialize, Default)]
#[serde(expecting = "a table", deny_unknown_fields, default)]
pub(super) struct AppParams {
    pub(super) extension: Option<S<String>>,
    pub(super) fallback: Option<S<String>>,
    pub(super) trunks: Option<S<Vec<S<String>>>>,
    pub(super) strip: Option<S<i64>>,
    pub(super) prefix: Option<S<String>>,
    pub(super) frequency: Option<S<f64>>,
    pub(super) duration_seconds: Option<S<f64>>,
    pub(super) answer_delay_ms: Option<S<i64>>,
    pub(super) file: Option<S<String>>,
    pub(super) times: Option<S<i64>>,
    pub(super) then: Option<S<String>>,
    pub(super) until_key: Option<S<bool>>,
    pub(super) name: Option<S<String>>,
    pub(super) context: Option<S<String>>,
    pub(super) queue: Option<S<String>>,
    pub(super) mailbox: Option<S<String>>,
    pub(super) heard_by: Option<S<Vec<S<String>>>>,
    pub(super) volume_db: Option<S<f64>>,
    pub(super) record: Option<S<bool>>,
    pub(super) status: Option<S<i64>>,
    pub(super) reason: Option<S<String>>,
}
