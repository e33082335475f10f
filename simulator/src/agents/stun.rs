//! STUN (RFC 8489): a server that tells who asks from where it is seen, and who asks.

use crate::network::{SimHost, UdpSocket};
use pbx::rng::Rng;
use pbx::shell::host::{Host, Udp};
use pbx::shell::timer;
use pbx::time::Duration;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Where it listens.
pub const PORT: u16 = 3_478;

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

/// Who asks asks again after so long, then after twice as long, so often (section 6.2.1).
const RTO: Duration = Duration::from_millis(500);
const TIMES: u32 = 7;

/// How a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Manner {
    /// By the RFC.
    Truthfully,
    /// Not at all.
    Never,
    /// To another question.
    ForSomebodyElse,
}

/// A server; clones are the same.
#[derive(Clone)]
pub struct StunServer {
    host: SimHost,
    manner: Arc<AtomicU8>,
}

impl StunServer {
    /// Listens on a host.
    pub fn start(host: SimHost) -> StunServer {
        let server = StunServer { host, manner: Arc::default() };
        if let Ok(socket) = server.host.bind(server.address()) {
            server.host.spawn(serve(socket, server.manner.clone()));
        }
        server
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host.address(), PORT)
    }

    /// How it answers from now on.
    pub fn answer(&self, manner: Manner) {
        self.manner.store(manner as u8, Ordering::Relaxed);
    }
}

/// Asks a server from where a socket of this host is seen.
pub async fn ask(host: &SimHost, server: SocketAddr) -> io::Result<SocketAddr> {
    let socket = host.bind(SocketAddr::new(host.address(), 0))?;
    let mut id = [0; 12];
    Rng::new(host.seed()).fill(&mut id);
    let mut patience = RTO;
    for _ in 0..TIMES {
        socket.try_send_to(&message(BINDING_REQUEST, id, &[]), server)?;
        if let Ok(seen) = timer::timeout(patience, hear(&socket, id)).await {
            return seen;
        }
        patience *= 2;
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "the STUN server does not answer"))
}

async fn hear(socket: &UdpSocket, id: [u8; 12]) -> io::Result<SocketAddr> {
    let mut buffer = [0; 1_500];
    loop {
        socket.readable().await?;
        while let Ok((length, _)) = socket.try_recv_from(&mut buffer) {
            // What answers nothing that was asked is not looked at (section 6.3).
            let Some(answer) = Message::read(&buffer[..length]).filter(|answer| answer.id == id) else {
                continue;
            };
            if answer.kind == BINDING_SUCCESS {
                let seen = answer.attribute(XOR_MAPPED_ADDRESS).and_then(|value| address_of(value, id));
                return seen.ok_or_else(|| io::ErrorKind::InvalidData.into());
            }
            if answer.kind == BINDING_ERROR {
                return Err(io::Error::other("the STUN server refuses"));
            }
        }
    }
}

async fn serve(socket: UdpSocket, manner: Arc<AtomicU8>) {
    let mut buffer = [0; 1_500];
    while socket.readable().await.is_ok() {
        while let Ok((length, from)) = socket.try_recv_from(&mut buffer) {
            let manner = manner.load(Ordering::Relaxed);
            if manner == Manner::Never as u8 {
                continue;
            }
            if let Some(mut answer) = answer(&buffer[..length], from) {
                if manner == Manner::ForSomebodyElse as u8 {
                    answer[8] ^= 0xff;
                }
                // Who cannot be reached asks again.
                let _ = socket.try_send_to(&answer, from);
            }
        }
    }
}

/// The answer to a binding request that came from there (section 6.3.1); `None` when it is none.
fn answer(bytes: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    let request = Message::read(bytes).filter(|request| request.kind == BINDING_REQUEST)?;
    // Below 0x8000 are those that have to be understood.
    let unknown: Vec<u8> = request
        .attributes
        .iter()
        .filter(|(kind, _)| *kind < 0x8000)
        .flat_map(|(kind, _)| kind.to_be_bytes())
        .collect();
    if unknown.is_empty() {
        let seen = value_of(from, request.id);
        return Some(message(BINDING_SUCCESS, request.id, &[(XOR_MAPPED_ADDRESS, &seen)]));
    }
    let error = [&[0, 0, 4, 20], b"Unknown Attribute".as_slice()].concat();
    Some(message(BINDING_ERROR, request.id, &[(ERROR_CODE, &error), (UNKNOWN_ATTRIBUTES, &unknown)]))
}

struct Message<'a> {
    kind: u16,
    id: [u8; 12],
    attributes: Vec<(u16, &'a [u8])>,
}

impl<'a> Message<'a> {
    fn read(bytes: &'a [u8]) -> Option<Message<'a>> {
        let (head, mut rest) = bytes.split_first_chunk::<20>()?;
        let number = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        if head[0] & 0xc0 != 0 || head[4..8] != COOKIE || usize::from(number(2)) != rest.len() {
            return None;
        }
        let mut attributes = Vec::new();
        while let Some((head, more)) = rest.split_first_chunk::<4>() {
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            attributes.push((u16::from_be_bytes([head[0], head[1]]), more.get(..length)?));
            rest = more.get(length.next_multiple_of(4)..)?;
        }
        Some(Message { kind: number(0), id: head[8..].try_into().ok()?, attributes })
    }

    fn attribute(&self, kind: u16) -> Option<&'a [u8]> {
        self.attributes.iter().find(|(known, _)| *known == kind).map(|(_, value)| *value)
    }
}

fn message(kind: u16, id: [u8; 12], attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, value) in attributes {
        body.extend(kind.to_be_bytes());
        body.extend((value.len() as u16).to_be_bytes());
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    let length = (body.len() as u16).to_be_bytes();
    [kind.to_be_bytes().as_slice(), &length, &COOKIE, &id, &body].concat()
}

/// The value of XOR-MAPPED-ADDRESS (section 14.2).
fn value_of(address: SocketAddr, id: [u8; 12]) -> Vec<u8> {
    let key = [COOKIE.as_slice(), &id].concat();
    let (family, octets) = match address.ip() {
        IpAddr::V4(address) => (1, address.octets().to_vec()),
        IpAddr::V6(address) => (2, address.octets().to_vec()),
    };
    let mut value = vec![0, family];
    value.extend(address.port().to_be_bytes().iter().zip(COOKIE).map(|(byte, key)| byte ^ key));
    value.extend(octets.iter().zip(&key).map(|(byte, key)| byte ^ key));
    value
}

fn address_of(value: &[u8], id: [u8; 12]) -> Option<SocketAddr> {
    let key = [COOKIE.as_slice(), &id].concat();
    let [_, family, high, low, octets @ ..] = value else { return None };
    let port = u16::from_be_bytes([high ^ COOKIE[0], low ^ COOKIE[1]]);
    let octets: Vec<u8> = octets.iter().zip(&key).map(|(byte, key)| byte ^ key).collect();
    let address = match family {
        1 => IpAddr::from(<[u8; 4]>::try_from(octets).ok()?),
        2 => IpAddr::from(<[u8; 16]>::try_from(octets).ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Of the samples of RFC 5769, sections 2.2 and 2.3.
    const ID: [u8; 12] = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

    #[test]
    fn the_samples_of_the_rfc_say_where_they_were_seen() {
        let v4: SocketAddr = "192.0.2.1:32853".parse().expect("an address");
        assert_eq!(value_of(v4, ID), [0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
        let v6: SocketAddr = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().expect("an address");
        let value = value_of(v6, ID);
        assert_eq!(value[..8], [0, 2, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa]);
        assert_eq!([v4, v6].map(|address| address_of(&value_of(address, ID), ID)), [Some(v4), Some(v6)]);
    }

    #[test]
    fn an_attribute_that_must_be_understood_is_refused() {
        let from = "192.0.2.1:32853".parse().expect("an address");
        let optional = message(BINDING_REQUEST, ID, &[(0x8022, b"me")]);
        let kind = |bytes: &[u8]| answer(bytes, from).and_then(|answer| Some(Message::read(&answer)?.kind));
        assert_eq!(kind(&optional), Some(BINDING_SUCCESS));
        assert_eq!(kind(&message(BINDING_REQUEST, ID, &[(0x0003, &[0; 4])])), Some(BINDING_ERROR));
        assert_eq!(kind(b"INVITE sip:bob SIP/2.0"), None);
        assert_eq!(kind(&optional[..optional.len() - 1]), None);
    }
}
