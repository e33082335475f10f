//! What the media loop asks of Linux and std does not offer: batches of datagrams, epoll, eventfd. All `unsafe` of the
//! crate is here.

use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::{size_of, zeroed};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Datagrams taken from one socket at a time.
const BATCH: usize = 8;
/// The largest datagram that is read whole; what is longer is no telephone audio.
const LONGEST: usize = 2048;
/// Ready sockets told at a time.
const READY: usize = 256;

/// Datagrams on their way in, and the same ones on their way out.
pub(super) struct Batch {
    buffers: Box<[[u8; LONGEST]; BATCH]>,
    vectors: [libc::iovec; BATCH],
    names: [Name; BATCH],
    messages: [libc::mmsghdr; BATCH],
}

impl Batch {
    pub(super) fn new() -> Batch {
        // SAFETY: iovec, mmsghdr and Name are plain data of C, for which all zeros is a value.
        let (vectors, names, messages) = unsafe { (zeroed(), zeroed(), zeroed()) };
        Batch { buffers: Box::new([[0; LONGEST]; BATCH]), vectors, names, messages }
    }

    /// Takes what has come at `socket`; returns how many datagrams. Never waits.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> usize {
        for n in 0..BATCH {
            self.vectors[n] = libc::iovec { iov_base: self.buffers[n].as_mut_ptr().cast(), iov_len: LONGEST };
            self.address(n, size_of::<Name>());
        }
        // SAFETY: each of the BATCH messages points to a vector, a buffer and a name of this batch, which lives on and is
        // not moved while the call lasts; the lengths are theirs.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.messages.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        usize::try_from(count).unwrap_or(0)
    }

    /// Datagram `n` of the last [`Batch::receive`] and its source. A longer one than fits comes as an empty one.
    pub(super) fn datagram(&mut self, n: usize) -> Option<(&mut [u8], SocketAddr)> {
        let message = &self.messages[n];
        let whole = message.msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
        let length = if whole { (message.msg_len as usize).min(LONGEST) } else { 0 };
        let source = self.names[n].address()?;
        Some((&mut self.buffers[n][..length], source))
    }

    /// Says that a part of datagram `n` goes to `to`.
    pub(super) fn direct(&mut self, n: usize, range: std::ops::Range<usize>, to: SocketAddr) {
        let part = &mut self.buffers[n][range];
        self.vectors[n] = libc::iovec { iov_base: part.as_mut_ptr().cast(), iov_len: part.len() };
        let length = self.names[n].set(to);
        self.address(n, length);
    }

    /// Sends the datagrams of a range, which [`Batch::direct`] has prepared, through `socket`. What the OS does not take
    /// is lost, as it would be on the way.
    pub(super) fn send(&mut self, socket: &UdpSocket, range: std::ops::Range<usize>) {
        let mut next = range.start;
        while next < range.end {
            // SAFETY: as in `receive`; `next` to `range.end` are indexes of messages that point into this batch.
            let count = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    self.messages[next..range.end].as_mut_ptr(),
                    (range.end - next) as u32,
                    libc::MSG_DONTWAIT,
                )
            };
            // An error belongs to the first of them.
            next += usize::try_from(count).unwrap_or(0).max(1);
        }
    }

    /// Points message `n` to its vector and its name.
    fn address(&mut self, n: usize, name_length: usize) {
        let header = &mut self.messages[n].msg_hdr;
        header.msg_name = (&raw mut self.names[n]).cast();
        header.msg_namelen = name_length as libc::socklen_t;
        header.msg_iov = &raw mut self.vectors[n];
        header.msg_iovlen = 1;
        header.msg_flags = 0;
    }
}

/// A socket address as C has it.
#[derive(Clone, Copy)]
#[repr(C)]
union Name {
    family: libc::sa_family_t,
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl Name {
    /// The address the kernel has written; `None` for another family than IP.
    fn address(&self) -> Option<SocketAddr> {
        // SAFETY: the family stands at the beginning of either form and says which one it is; all bytes are set, since
        // names begin as zeros.
        unsafe {
            match i32::from(self.family) {
                libc::AF_INET => {
                    let ip = u32::from_be(self.v4.sin_addr.s_addr).into();
                    Some(SocketAddrV4::new(ip, u16::from_be(self.v4.sin_port)).into())
                }
                libc::AF_INET6 => {
                    let ip = Ipv6Addr::from(self.v6.sin6_addr.s6_addr);
                    let port = u16::from_be(self.v6.sin6_port);
                    Some(SocketAddrV6::new(ip, port, 0, self.v6.sin6_scope_id).into())
                }
                _ => None,
            }
        }
    }

    /// Becomes `address`; returns the length of its form.
    fn set(&mut self, address: SocketAddr) -> usize {
        match address {
            SocketAddr::V4(address) => {
                self.v4 = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: address.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
                    sin_zero: [0; 8],
                };
                size_of::<libc::sockaddr_in>()
            }
            SocketAddr::V6(address) => {
                self.v6 = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: address.port().to_be(),
                    sin6_flowinfo: 0,
                    sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                    sin6_scope_id: address.scope_id(),
                };
                size_of::<libc::sockaddr_in6>()
            }
        }
    }
}

/// Tells which sockets have something, or that the time has come.
pub(super) struct Epoll {
    epoll: OwnedFd,
    ready: Box<[libc::epoll_event; READY]>,
    /// The kernel (before 5.11), or a sandbox, does not know `epoll_pwait2`.
    coarse: bool,
}

impl Epoll {
    pub(super) fn new() -> io::Result<Epoll> {
        // SAFETY: no pointers are passed.
        let epoll = owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        Ok(Epoll { epoll, ready: Box::new([libc::epoll_event { events: 0, u64: 0 }; READY]), coarse: false })
    }

    /// From now on `token` is told when `source` can be read. A source that is closed is forgotten by itself.
    pub(super) fn add(&self, source: &impl AsRawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
        // SAFETY: the event is read during the call only; both descriptors are open.
        let result = unsafe {
            libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, source.as_raw_fd(), &raw mut event)
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Waits for `patience` at most, for ever when there is none; returns how many tokens [`Epoll::token`] has.
    pub(super) fn wait(&mut self, patience: Option<Duration>) -> usize {
        let count = if self.coarse { self.wait_coarse(patience) } else { self.wait_fine(patience) };
        usize::try_from(count).unwrap_or(0)
    }

    pub(super) fn token(&self, n: usize) -> u64 {
        self.ready[n].u64
    }

    fn wait_fine(&mut self, patience: Option<Duration>) -> i32 {
        let patience = patience.map(|patience| libc::timespec {
            tv_sec: patience.as_secs().min(86_400).cast_signed(),
            tv_nsec: i64::from(patience.subsec_nanos()),
        });
        let time = patience.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: `ready` has room for READY events; the time, if any, lives until the call is over; no signal mask.
        let count = unsafe {
            let ready = self.ready.as_mut_ptr();
            libc::epoll_pwait2(self.epoll.as_raw_fd(), ready, READY as i32, time, std::ptr::null())
        };
        if count < 0 {
            let error = io::Error::last_os_error().raw_os_error();
            self.coarse = matches!(error, Some(libc::ENOSYS | libc::EPERM));
        }
        count
    }

    /// To the millisecond, rounded up.
    fn wait_coarse(&mut self, patience: Option<Duration>) -> i32 {
        let millis = patience.map_or(-1, |patience| patience.as_micros().div_ceil(1000).min(60_000) as i32);
        // SAFETY: `ready` has room for READY events.
        unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), self.ready.as_mut_ptr(), READY as i32, millis) }
    }
}

/// Wakes a loop that waits in [`Epoll::wait`].
pub(super) struct Bell(File);

impl Bell {
    pub(super) fn new() -> io::Result<Bell> {
        // SAFETY: no pointers are passed.
        let bell = owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        Ok(Bell(bell.into()))
    }

    pub(super) fn ring(&self) {
        // It cannot fail but by 2^64 - 1 rings that nobody heard.
        let _ = (&self.0).write(&1u64.to_ne_bytes());
    }

    /// Makes it quiet again.
    pub(super) fn hush(&self) {
        let _ = (&self.0).read(&mut [0; 8]);
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

/// Asks the OS to wake this thread when it is time, not when it is convenient.
pub(super) fn be_punctual() {
    // SAFETY: PR_SET_TIMERSLACK takes a number of nanoseconds and touches only the calling thread.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong, 0, 0, 0) };
}

fn owned(descriptor: i32) -> io::Result<OwnedFd> {
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened it for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_its_c_form() {
        // SAFETY: all zeros is a value of this union of plain data.
        let mut name: Name = unsafe { zeroed() };
        assert_eq!(name.address(), None);
        for address in ["127.0.0.1:5004", "[2001:db8::7]:65535"] {
            let address: SocketAddr = address.parse().unwrap();
            name.set(address);
            assert_eq!(name.address(), Some(address));
        }
    }

    #[test]
    fn datagrams_come_and_go_in_batches() {
        let [here, there] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let target = here.local_addr().unwrap();
        for n in 0..3u8 {
            there.send_to(&[n, 1, 2, 3], target).unwrap();
        }
        there.send_to(&[9; LONGEST + 1], target).unwrap();
        let mut batch = Batch::new();
        assert_eq!(batch.receive(&here), 4);
        let source = there.local_addr().unwrap();
        assert_eq!(batch.datagram(2), Some((&mut [2, 1, 2, 3][..], source)));
        assert_eq!(batch.datagram(3).map(|(bytes, _)| bytes.len()), Some(0), "too long");
        (0..3).for_each(|n| batch.direct(n, 0..2, source));
        batch.send(&here, 0..3);
        assert_eq!(batch.receive(&there), 3);
        assert_eq!(batch.datagram(1), Some((&mut [1, 1][..], target)));
        assert_eq!(batch.receive(&there), 0);
    }

    #[test]
    fn a_bell_ends_the_waiting() {
        let (mut epoll, bell) = (Epoll::new().unwrap(), Bell::new().unwrap());
        epoll.add(&bell, 7).unwrap();
        assert_eq!(epoll.wait(Some(Duration::from_micros(100))), 0);
        bell.ring();
        assert_eq!(epoll.wait(None), 1);
        assert_eq!(epoll.token(0), 7);
        bell.hush();
        assert_eq!(epoll.wait(Some(Duration::ZERO)), 0);
    }
}
