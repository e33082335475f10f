//! Where a message came from or goes to.

use std::fmt;
use std::net::SocketAddr;

/// What carries a message (RFC 3261 section 18, RFC 7118).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams: requests and responses are repeated until answered.
    Udp,
    /// A stream.
    Tcp,
    /// A stream within TLS.
    Tls,
    /// A WebSocket (RFC 7118).
    Ws,
    /// A WebSocket within TLS.
    Wss,
}

impl Transport {
    /// Whether what is sent arrives or the connection breaks; then nothing is repeated.
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Transport::Udp)
    }

    /// Whether nobody on the way can read it.
    pub const fn is_secure(self) -> bool {
        matches!(self, Transport::Tls | Transport::Wss)
    }

    /// Whether the other end can only be reached by the connection it has opened: a browser listens nowhere (RFC 7118
    /// section 5), and a telephone that shows no certificate cannot be believed to be who it is.
    pub const fn is_one_way(self) -> bool {
        matches!(self, Transport::Tls | Transport::Ws | Transport::Wss)
    }

    /// The token of Via: `UDP`, `TCP`, ...
    pub const fn via_token(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }

    /// The value of the URI parameter `transport`: `udp`, `tcp`, ...
    pub const fn uri_token(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Ws => "ws",
            Transport::Wss => "wss",
        }
    }

    /// The transport of a token, without case.
    pub fn of(token: &str) -> Option<Transport> {
        [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss]
            .into_iter()
            .find(|transport| transport.uri_token().eq_ignore_ascii_case(token))
    }

    /// The port where none is named (RFC 3261 section 19.1.2).
    pub const fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.uri_token())
    }
}

/// A stream that the shell keeps open; numbers are never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// The two ends between which a message travels, seen from the PBX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// What carries it.
    pub transport: Transport,
    /// Our end: the address of the socket that listens. A message to send leaves from this socket (UDP) or names
    /// it in Via and Contact (streams).
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// The stream, when there is one; `None` for a message to send: the shell takes or opens one to `remote`.
    pub connection: Option<ConnectionId>,
}
