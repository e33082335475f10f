//STUB
use crate::{
    config::Config,
    dialog::Reply,
    sip::{ConnectionId, Path, Request},
    time::{Instant, WallClock},
};
pub struct Registrar {}
pub struct Binding {
    pub contact: String,
    pub path: Path,
    pub route: Vec<String>,
}
pub enum Change {
    Registered { aor: String, contact: String },
    Unregistered { aor: String, contact: String },
    Expired { aor: String, contact: String },
}
impl Registrar {
    pub fn new(_: &Config) -> Self {
        todo!()
    }
    pub fn reconfigure(&mut self, _: &Config) {
        todo!()
    }
    pub fn register(&mut self, _aor: &str, _: &Request, _: Path, _: &WallClock, _: Instant) -> Reply {
        todo!()
    }
    pub fn contacts(&self, _aor: &str, _: Instant) -> impl Iterator<Item = &Binding> {
        std::iter::empty()
    }
    pub fn connection_closed(&mut self, _: ConnectionId, _: Instant) {
        todo!()
    }
    pub fn len(&self) -> usize {
        todo!()
    }
    pub fn poll_change(&mut self) -> Option<Change> {
        todo!()
    }
    pub fn handle_timeout(&mut self, _: Instant) {
        todo!()
    }
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }
}
