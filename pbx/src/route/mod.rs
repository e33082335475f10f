//STUB
use crate::{
    config::Config,
    rng::Rng,
    sip::{Host, StatusCode, Transport},
    time::{Duration, Instant},
};
use std::net::SocketAddr;
#[derive(Clone, Debug)]
pub enum Caller {
    Extension { number: String },
    Trunk { name: String },
    Anonymous { source: SocketAddr },
}
#[derive(Clone, Debug)]
pub struct Tone {
    pub frequency: f64,
    pub duration: Option<Duration>,
    pub answer_delay: Duration,
}
#[derive(Clone, Debug)]
pub struct Hop {
    pub trunk: String,
    pub host: String,
    pub port: Option<u16>,
    pub transport: Transport,
    pub credentials: Option<(String, String)>,
    pub try_timeout: Duration,
}
#[derive(Clone, Debug)]
pub struct TrunkPlan {
    pub number: String,
}
impl TrunkPlan {
    pub fn current(&self) -> Option<&Hop> {
        todo!()
    }
    pub fn advance(&mut self) {
        todo!()
    }
}
#[derive(Clone, Debug)]
pub enum Decision {
    Extension { number: String },
    Trunk(TrunkPlan),
    Tone(Tone),
    Echo,
    Reject { status: StatusCode, reason: Option<String> },
}
pub enum Access {
    Open,
    NeedsAuthentication,
}
#[derive(Default)]
pub struct TrunkHealth {}
impl TrunkHealth {
    pub fn succeeded(&mut self, _: SocketAddr) {
        todo!()
    }
    pub fn failed(&mut self, _: SocketAddr, _: Instant) {
        todo!()
    }
}
pub fn classify(_: &Config, _: SocketAddr) -> Caller {
    todo!()
}
pub fn decide(
    _: &Config,
    _uri: &str,
    _: &Caller,
    _: &TrunkHealth,
    _: &mut Rng,
    _: Instant,
) -> (Decision, Option<String>) {
    todo!()
}
pub fn access(_: &Config, _: &Decision, _route: Option<&str>, _: &Caller) -> Access {
    todo!()
}
pub fn trunk_uri(_number: &str, _: &Hop, _: SocketAddr) -> String {
    todo!()
}
pub fn map_refusal(_: StatusCode) -> StatusCode {
    todo!()
}
pub fn best_refusal(_: &[StatusCode]) -> Option<StatusCode> {
    todo!()
}
pub fn tries_next_target(_: StatusCode) -> bool {
    todo!()
}
pub fn is_ours(_: &Config, _: Host<'_>) -> bool {
    todo!()
}
