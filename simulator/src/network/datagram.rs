//! UDP sockets.

use super::drive::Call;
use super::lookup::{Lookup, Place};
use super::state::{Due, flipped};
use super::tap::Kind;
use super::{Network, state::State};
use bytes::Bytes;
use pbx::shell::host::{Arrival, Udp};
use pbx::time::Instant;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Poll, Waker};

/// What a socket's buffer holds: Linux' default of about 200 KiB.
const BUFFER: usize = 212_992;

/// What fits into a UDP datagram over IPv4.
pub(super) const LARGEST: usize = 65_507;

/// EMSGSIZE of Linux.
pub(super) const MESSAGE_TOO_LONG: i32 = 90;

/// All bound sockets. Each knows its number, so that addresses are searched once a packet: when it arrives.
#[derive(Default)]
pub(super) struct Datagrams {
    numbers: Lookup<Place, usize>,
    /// By number. Those of hosts that have crashed stay, empty, until who held them lets go.
    sockets: Vec<Option<Bound>>,
    /// Numbers nobody has.
    free: Vec<usize>,
}

struct Bound {
    address: SocketAddr,
    inbox: VecDeque<(SocketAddr, Bytes)>,
    held: usize,
    waiting: Vec<Waker>,
    /// Who is called with what comes, where somebody is.
    reader: Option<Reader>,
}

/// What is called with what comes.
pub(super) type Reader = Arc<dyn Fn(&[u8], SocketAddr) + Send + Sync>;

/// What became of a datagram.
pub(super) enum Delivered {
    /// Nobody is bound there.
    Nowhere,
    /// Whoever waited was woken, or reads it when it wants to.
    Kept,
    /// There is a reader, who is to be called.
    Read(Call),
}

impl Datagrams {
    fn is_bound(&self, address: SocketAddr) -> bool {
        self.numbers.contains_key(&Place(address)) || self.numbers.contains_key(&Place(any(address)))
    }

    /// Has a datagram read by whoever is called with it, or puts it into the buffer of whoever is bound there; of a host that
    /// stands still nobody is called.
    pub(super) fn deliver(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        bytes: Bytes,
        stands_still: bool,
    ) -> Delivered {
        let number = self.numbers.get(&Place(to)).or_else(|| self.numbers.get(&Place(any(to))));
        let Some(socket) = number.and_then(|number| self.sockets[*number].as_mut()) else {
            return Delivered::Nowhere;
        };
        // What has come before is read first.
        if let Some(reader) = socket.reader.as_ref().filter(|_| socket.inbox.is_empty() && !stands_still) {
            return Delivered::Read(Call::Read { reader: reader.clone(), bytes, from });
        }
        if socket.held + bytes.len() > BUFFER {
            return Delivered::Kept;
        }
        socket.held += bytes.len();
        socket.inbox.push_back((from, bytes));
        socket.waiting.drain(..).for_each(Waker::wake);
        Delivered::Kept
    }

    /// The host of a socket where something has come for somebody who is called.
    pub(super) fn unread(&self, number: usize) -> Option<IpAddr> {
        let socket = self.sockets.get(number)?.as_ref()?;
        (socket.reader.is_some() && !socket.inbox.is_empty()).then_some(socket.address.ip())
    }

    /// The sockets of a host at which something waits to be read by somebody who is called.
    pub(super) fn unread_at(&self, host: IpAddr) -> Vec<usize> {
        (0..self.sockets.len()).filter(|number| self.unread(*number) == Some(host)).collect()
    }

    /// All that has come to a socket is read.
    pub(super) fn read_all(&mut self, number: usize) -> impl Iterator<Item = Call> {
        let socket = self.sockets.get_mut(number).and_then(Option::as_mut);
        let came = socket.and_then(|socket| {
            socket.held = 0;
            Some((socket.reader.clone()?, std::mem::take(&mut socket.inbox)))
        });
        came.into_iter().flat_map(|(reader, inbox)| {
            inbox.into_iter().map(move |(from, bytes)| Call::Read { reader: reader.clone(), bytes, from })
        })
    }

    /// Unconnected sockets are not told, as on Linux; the packet is on record for those who watch.
    pub(super) fn refuse(&mut self, _sender: SocketAddr, _about: SocketAddr) {}

    pub(super) fn drop_host(&mut self, address: IpAddr) {
        let Datagrams { numbers, sockets, .. } = self;
        let is_its = |socket: &mut Bound| socket.address.ip() == address;
        for socket in sockets.iter_mut().filter_map(|socket| socket.take_if(is_its)) {
            numbers.remove(&Place(socket.address));
            socket.waiting.into_iter().for_each(Waker::wake);
        }
    }

    fn bind(&mut self, address: SocketAddr) -> usize {
        let number = self.free.pop().unwrap_or_else(|| {
            self.sockets.push(None);
            self.sockets.len() - 1
        });
        let (inbox, waiting) = (VecDeque::new(), Vec::new());
        self.sockets[number] = Some(Bound { address, inbox, held: 0, waiting, reader: None });
        self.numbers.insert(Place(address), number);
        number
    }

    /// Whether it was still there.
    fn close(&mut self, number: usize, address: SocketAddr) -> bool {
        let was_open = self.sockets[number].take().is_some();
        self.free.push(number);
        if was_open {
            self.numbers.remove(&Place(address));
        }
        was_open
    }

    /// `None`: its host has crashed.
    fn socket(&mut self, number: usize) -> Option<&mut Bound> {
        self.sockets[number].as_mut()
    }
}

impl State {
    /// A datagram goes out.
    pub(super) fn put_datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8], now: Instant) {
        if self.send_from_behind(from, to, bytes, now) {
            return;
        }
        let sent = self.store.keep(bytes);
        let (fate, arrives, again) = self.send(from, to, Kind::Datagram, &sent, (now, now));
        let Some(arrives) = arrives else { return };
        let bytes = fate.flip.map_or(sent, |bit| flipped(bytes, bit));
        let copy = again.map(|again| (again, bytes.clone()));
        self.schedule(arrives, Due::Datagram { from, to, bytes });
        if let Some((again, bytes)) = copy {
            self.schedule(again, Due::Datagram { from, to, bytes });
        }
    }
}

/// A bound socket; closed when it is dropped.
pub struct UdpSocket {
    network: Network,
    host: IpAddr,
    bound: SocketAddr,
    number: usize,
}

impl UdpSocket {
    pub(super) fn bind(network: &Network, host: IpAddr, local: SocketAddr) -> io::Result<UdpSocket> {
        network.with(|state, now| {
            let local = on_this_host(host, local);
            if !local.ip().is_unspecified() && local.ip() != host {
                return Err(io::ErrorKind::AddrNotAvailable.into());
            }
            // A socket bound to any address of the host is one bound to its only address.
            let bound = SocketAddr::new(host, port_for(state, host, local.port())?);
            if state.datagrams.is_bound(bound) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            let number = state.datagrams.bind(bound);
            state.bindings.open(bound, now);
            Ok(UdpSocket { network: network.clone(), host, bound, number })
        })
    }

    fn gone() -> io::Error {
        io::Error::new(io::ErrorKind::NetworkDown, "the host has crashed")
    }
}

fn port_for(state: &mut State, host: IpAddr, port: u16) -> io::Result<u16> {
    if port != 0 {
        return Ok(port);
    }
    let free =
        state.ephemeral_port(host, |state, port| state.datagrams.is_bound(SocketAddr::new(host, port)));
    free.ok_or_else(|| io::ErrorKind::AddrInUse.into())
}

impl Udp for UdpSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.bound)
    }

    async fn readable(&self) -> io::Result<()> {
        poll_fn(|context| {
            let mut state = self.network.state();
            match state.datagrams.socket(self.number) {
                None => Poll::Ready(Err(UdpSocket::gone())),
                Some(bound) if bound.inbox.is_empty() => {
                    if !bound.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                        bound.waiting.push(context.waker().clone());
                    }
                    Poll::Pending
                }
                Some(_) => Poll::Ready(Ok(())),
            }
        })
        .await
    }

    fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let mut state = self.network.state();
        let bound = state.datagrams.socket(self.number).ok_or_else(UdpSocket::gone)?;
        let (from, bytes) = bound.inbox.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        bound.held -= bytes.len();
        let length = bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&bytes[..length]);
        Ok((length, from))
    }

    fn call_on_arrival(&self, arrival: Arrival) -> bool {
        let reader = self.network.reader_of(self.host, arrival);
        self.network.with(|state, now| {
            if let Some(bound) = state.datagrams.socket(self.number) {
                bound.reader = Some(reader);
                // What came before is read now.
                state.schedule(now, Due::Reading(self.number));
            }
        });
        true
    }

    fn try_send_to(&self, bytes: &[u8], remote: SocketAddr) -> io::Result<usize> {
        self.network.with(|state, now| {
            if state.datagrams.socket(self.number).is_none() {
                return Err(UdpSocket::gone());
            }
            // What is larger than the MTU goes out in fragments; only what no datagram can hold is refused.
            if bytes.len() > LARGEST {
                return Err(io::Error::from_raw_os_error(MESSAGE_TOO_LONG));
            }
            let remote = on_this_host(self.host, remote);
            state.send_datagram(self.bound, remote, bytes, now);
            Ok(bytes.len())
        })
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        let now = self.network.elapsed();
        let mut state = self.network.state();
        if state.datagrams.close(self.number, self.bound) {
            state.bindings.close(self.bound, now);
        }
    }
}

/// The loopback addresses are the host itself.
pub(super) fn on_this_host(host: IpAddr, remote: SocketAddr) -> SocketAddr {
    if remote.ip().is_loopback() { SocketAddr::new(host, remote.port()) } else { remote }
}

/// The same port on all addresses.
fn any(address: SocketAddr) -> SocketAddr {
    let unspecified: IpAddr = match address {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    SocketAddr::new(unspecified, address.port())
}
