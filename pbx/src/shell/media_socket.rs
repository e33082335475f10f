//! What the media loop asks of Linux and std does not offer: epoll, timerfd, eventfd. All `unsafe` of the crate is here.
//!
//! Datagrams are received and sent one by one through std. `recvmmsg` and `sendmmsg` work on one socket, and a stream with a
//! socket of its own has one packet at a time: the batch of one was measured to cost 5 % more.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Ready sockets told at a time.
const READY: usize = 256;

/// Tells which sockets have something.
pub(super) struct Epoll {
    epoll: OwnedFd,
    ready: Box<[libc::epoll_event; READY]>,
}

impl Epoll {
    pub(super) fn new() -> io::Result<Epoll> {
        // SAFETY: no pointers are passed.
        let epoll = owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        Ok(Epoll { epoll, ready: Box::new([libc::epoll_event { events: 0, u64: 0 }; READY]) })
    }

    /// From now on `token` is told while `source` can be read. A source that is closed is forgotten by itself.
    pub(super) fn add(&self, source: &impl AsRawFd, token: u64) -> io::Result<()> {
        self.add_for(libc::EPOLLIN, source, token)
    }

    /// From now on `token` is told once each time `timer` has gone off.
    pub(super) fn add_timer(&self, timer: &Timer, token: u64) -> io::Result<()> {
        self.add_for(libc::EPOLLIN | libc::EPOLLET, &timer.0, token)
    }

    /// Nothing is told of `source` any longer.
    pub(super) fn remove(&self, source: &impl AsRawFd) -> io::Result<()> {
        // SAFETY: both descriptors are open, and no event is needed to remove one.
        let result = unsafe {
            libc::epoll_ctl(
                self.epoll.as_raw_fd(),
                libc::EPOLL_CTL_DEL,
                source.as_raw_fd(),
                std::ptr::null_mut(),
            )
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn add_for(&self, events: i32, source: &impl AsRawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events.cast_unsigned(), u64: token };
        // SAFETY: the event is read during the call only; both descriptors are open.
        let result = unsafe {
            libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, source.as_raw_fd(), &raw mut event)
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Waits until there is something; returns how many tokens [`Epoll::token`] has.
    pub(super) fn wait(&mut self) -> usize {
        // SAFETY: `ready` has room for READY events.
        let count =
            unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), self.ready.as_mut_ptr(), READY as i32, -1) };
        usize::try_from(count).unwrap_or(0)
    }

    pub(super) fn token(&self, n: usize) -> u64 {
        self.ready[n].u64
    }
}

/// Goes off at a time, to the microsecond. It is set only when that time changes, where a time that is given to each wait
/// would cost the kernel a timer for each of them.
pub(super) struct Timer(OwnedFd);

impl Timer {
    pub(super) fn new() -> io::Result<Timer> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: no pointers are passed.
        Ok(Timer(owned(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) })?))
    }

    /// Goes off after `patience`, once, and not when it was set to before.
    pub(super) fn set(&self, patience: Duration) {
        // All zeros would stop it.
        let patience = patience.max(Duration::from_nanos(1));
        let time = libc::itimerspec {
            it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: libc::timespec {
                tv_sec: patience.as_secs().min(86_400).cast_signed(),
                tv_nsec: i64::from(patience.subsec_nanos()),
            },
        };
        // SAFETY: the time is read during the call only; no old value is asked for.
        unsafe { libc::timerfd_settime(self.0.as_raw_fd(), 0, &raw const time, std::ptr::null_mut()) };
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
    fn a_bell_and_a_timer_end_the_waiting() {
        let (mut epoll, bell, timer) = (Epoll::new().unwrap(), Bell::new().unwrap(), Timer::new().unwrap());
        epoll.add(&bell, 7).unwrap();
        epoll.add_timer(&timer, 8).unwrap();
        bell.ring();
        assert_eq!((epoll.wait(), epoll.token(0)), (1, 7));
        bell.hush();
        for patience in [Duration::from_millis(1), Duration::ZERO] {
            timer.set(patience);
            assert_eq!((epoll.wait(), epoll.token(0)), (1, 8), "and the bell is quiet");
        }
    }
}
