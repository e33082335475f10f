//STUB
use crate::{config, dialog::Reply, rng::Rng, sip::Request, time::Instant};
use std::net::{IpAddr, SocketAddr};
pub struct Authenticator {}
pub enum Role {
    Server,
    Proxy,
}
pub enum Verdict {
    Granted { user: String },
    Challenge { reply: Reply },
    Failed { reply: Reply, answer_at: Instant, user: String, blocked: bool },
    Refused { reply: Reply },
}
impl Authenticator {
    pub fn new(_: &config::Auth, _: Rng) -> Self {
        todo!()
    }
    pub fn reconfigure(&mut self, _: &config::Auth) {
        todo!()
    }
    pub fn is_blocked(&mut self, _: IpAddr, _: Instant) -> bool {
        todo!()
    }
    pub fn check(&mut self, _: &config::Config, _: &Request, _: SocketAddr, _: Role, _: Instant) -> Verdict {
        todo!()
    }
}
