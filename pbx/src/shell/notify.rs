//! What systemd wants to hear from a service of `Type=notify` (sd_notify(3)): one datagram to a socket it names.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// What has become of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Everything is bound and calls are taken.
    Ready,
    /// The end has begun.
    Stopping,
}

/// Tells the service manager listening at `socket` (the value of `NOTIFY_SOCKET`: a path, or `@` and an abstract name).
pub fn notify(socket: &str, state: State) -> io::Result<()> {
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let message = match state {
        State::Ready => "READY=1",
        State::Stopping => "STOPPING=1",
    };
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_hears_that_we_are_ready() {
        let name = format!("tandem-notify-test-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).expect("a name"))
            .expect("an abstract socket");

        notify(&format!("@{name}"), State::Ready).expect("somebody listens");

        let mut buffer = [0; 32];
        let length = manager.recv(&mut buffer).expect("a datagram");
        assert_eq!(&buffer[..length], b"READY=1");
    }
}
