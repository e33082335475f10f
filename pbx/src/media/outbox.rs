//! What an engine has to say, in order. Packets are written into one buffer that is used again.

use super::{Event, Output, Port};
use std::collections::VecDeque;
use std::net::SocketAddr;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Queued>,
    bytes: Vec<u8>,
}

#[derive(Debug)]
enum Queued {
    Bind(Port, SocketAddr),
    Unbind(Port),
    Send { port: Port, to: SocketAddr, start: u32, end: u32 },
    Event(Event),
}

impl Outbox {
    pub(super) fn bind(&mut self, port: Port, address: SocketAddr) {
        self.queue.push_back(Queued::Bind(port, address));
    }

    pub(super) fn unbind(&mut self, port: Port) {
        self.queue.push_back(Queued::Unbind(port));
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.queue.push_back(Queued::Event(event));
    }

    /// A packet that `write` appends to the buffer.
    pub(super) fn send(&mut self, port: Port, to: SocketAddr, write: impl FnOnce(&mut Vec<u8>)) {
        self.send_some(port, to, |bytes| {
            write(bytes);
            true
        });
    }

    /// The same, when `write` says that there is one.
    pub(super) fn send_some(&mut self, port: Port, to: SocketAddr, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let start = self.bytes.len();
        if !write(&mut self.bytes) {
            return self.bytes.truncate(start);
        }
        let (start, end) = (start as u32, self.bytes.len() as u32);
        self.queue.push_back(Queued::Send { port, to, start, end });
    }

    pub(super) fn poll(&mut self) -> Option<Output<'_>> {
        let Some(next) = self.queue.pop_front() else {
            self.bytes.clear();
            return None;
        };
        Some(match next {
            Queued::Bind(port, address) => Output::Bind { port, address },
            Queued::Unbind(port) => Output::Unbind(port),
            Queued::Send { port, to, start, end } => {
                Output::Send { port, to, bytes: &self.bytes[start as usize..end as usize] }
            }
            Queued::Event(event) => Output::Event(event),
        })
    }
}
