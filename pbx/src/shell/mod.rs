//! The seam to the world: sockets, HTTP, files, signals of the process. It moves bytes and time and decides nothing.
//!
//! [`host::Host`] is what the world has to offer: for real it is [`real::RealHost`] (tokio, the OS clock, a directory), in
//! a simulated world the simulated network. Everything else here is written once, over that trait:
//!
//! | file | what it moves |
//! |---|---|
//! | [`program`] | puts the parts together: bind, recover, run |
//! | [`driver`] | the loop around the core: one task owns it |
//! | `streams` | SIP over connections: framing, keepalive, a pool |
//! | `web_socket` | SIP over WebSockets |
//! | `tls`, `validity` | certificates, handshakes |
//! | [`media_loop`] | media on threads of its own |
//! | [`media_host`] | media on the sockets of a host, in one thread |
//! | `messages` | the messages that were left, as the disk has them |
//! | `recordings` | what is recorded, into WAV files |
//! | `sounds` | what calls play, from files |
//! | `records`, `journal` | call records, crash-safe |
//! | `http`, `metrics`, `statistics` | /health, /metrics, /stats, /reload |
//! | `rwi`, `webhook` | applications over WebSockets; events by POST |
//! | [`timer`] | timers: tokio's, or those of virtual time |
//! | `web_client` | questions to web services, over connections that are kept |
//! | [`log`], [`notify`] | log lines; systemd |

pub mod driver;
#[cfg(test)]
mod driver_stories;
pub mod host;
mod http;
mod journal;
pub mod log;
pub mod media_host;
pub mod media_loop;
mod media_socket;
mod messages;
mod metrics;
pub mod notify;
pub mod program;
pub mod real;
mod recordings;
mod records;
mod rwi;
mod sounds;
mod start_error;
mod statistics;
mod streams;
#[cfg(test)]
mod test_host;
pub mod timer;
mod tls;
#[cfg(test)]
mod tls_stories;
mod validity;
mod web_client;
mod web_socket;
mod webhook;
