//! Why the program did not start, in sentences that say what to do.

use super::tls::TlsError;
use crate::sip::Transport;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// SIP over this transport.
    Sip(Transport),
    /// /health and /metrics.
    Http,
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Sip(transport) => transport.fmt(f),
            Listen::Http => f.write_str("http"),
        }
    }
}

/// Why the program did not start.
#[derive(Debug)]
pub enum StartError {
    /// A port could not be had.
    Bind {
        /// What for.
        listen: Listen,
        /// Which.
        address: SocketAddr,
        /// What the OS says.
        error: io::Error,
    },
    /// A certificate or a key is not as it should be.
    Tls(TlsError),
    /// The file of call records cannot be used.
    Records {
        /// Which.
        file: PathBuf,
        /// What the OS says.
        error: io::Error,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Bind { listen, address, error } => bind_sentence(f, *listen, *address, error),
            StartError::Tls(error) => error.fmt(f),
            StartError::Records { file, error } => write!(
                f,
                "the call records cannot be kept in {}: {error}; name a file in a directory that exists and may be written: [cdr] file = \"...\"",
                file.display()
            ),
        }
    }
}

impl std::error::Error for StartError {}

fn bind_sentence(
    f: &mut fmt::Formatter<'_>,
    listen: Listen,
    address: SocketAddr,
    error: &io::Error,
) -> fmt::Result {
    let (ip, port) = (address.ip(), address.port());
    let (protocol, letter) = if listen == Listen::Sip(Transport::Udp) { ("UDP", 'u') } else { ("TCP", 't') };
    let another = port.checked_add(10).unwrap_or(port - 10);
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            writeln!(
                f,
                "{protocol} port {port} on {ip}, where {} is to listen, is taken by another program",
                if listen == Listen::Http { "HTTP" } else { "SIP" }
            )?;
            writeln!(
                f,
                "Stop that program (\"ss -l{letter}np 'sport = :{port}'\" names it), or choose another port:"
            )?;
            match listen {
                Listen::Http => {
                    write!(f, "\n    [http]\n    listen = \"{}\"\n", SocketAddr::new(ip, another))
                }
                Listen::Sip(_) => {
                    let address = SocketAddr::new(ip, another);
                    write!(f, "\n    [sip]\n    listen = [\"udp:{address}\", \"tcp:{address}\"]\n")
                }
            }?;
            write!(
                f,
                "\n(\"pbx --print-default > pbx.toml\" writes a configuration, \"pbx --config pbx.toml\" takes it)"
            )
        }
        io::ErrorKind::AddrNotAvailable => {
            write!(
                f,
                "this machine has no address {ip} to listen on: take one of \"ip address\", or 0.0.0.0 for all"
            )
        }
        io::ErrorKind::PermissionDenied => {
            write!(
                f,
                "listening on {protocol} port {port} is not permitted: ports below 1024 belong to root, take a higher one"
            )
        }
        _ => write!(f, "{protocol} port {port} on {ip} cannot be listened on: {error}"),
    }
}
