//! Sockets as programs hold them, whatever carries their packets.

use super::far::{FarListener, FarStream, FarUdp};
use super::{datagram, stream};
use pbx::shell::host::{Arrival, Listener, Udp};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A bound datagram socket; closed when it is dropped.
pub enum UdpSocket {
    /// Of our network.
    Own(datagram::UdpSocket),
    /// Of another.
    Far(FarUdp),
}

impl Udp for UdpSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            UdpSocket::Own(socket) => socket.local_addr(),
            UdpSocket::Far(socket) => socket.local_addr(),
        }
    }

    async fn readable(&self) -> io::Result<()> {
        match self {
            UdpSocket::Own(socket) => socket.readable().await,
            UdpSocket::Far(socket) => socket.readable().await,
        }
    }

    fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match self {
            UdpSocket::Own(socket) => socket.try_recv_from(buffer),
            UdpSocket::Far(socket) => socket.try_recv_from(buffer),
        }
    }

    fn try_send_to(&self, bytes: &[u8], remote: SocketAddr) -> io::Result<usize> {
        match self {
            UdpSocket::Own(socket) => socket.try_send_to(bytes, remote),
            UdpSocket::Far(socket) => socket.try_send_to(bytes, remote),
        }
    }

    fn call_on_arrival(&self, arrival: Arrival) -> bool {
        match self {
            UdpSocket::Own(socket) => socket.call_on_arrival(arrival),
            UdpSocket::Far(socket) => socket.call_on_arrival(arrival),
        }
    }
}

/// A listening socket; closed when it is dropped.
pub enum TcpListener {
    /// Of our network.
    Own(stream::TcpListener),
    /// Of another.
    Far(FarListener),
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            TcpListener::Own(listener) => listener.local_addr(),
            TcpListener::Far(listener) => Ok(listener.local_addr()),
        }
    }

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        match self {
            TcpListener::Own(listener) => {
                listener.accept().await.map(|(stream, peer)| (TcpStream::Own(stream), peer))
            }
            TcpListener::Far(listener) => {
                listener.accept().await.map(|(stream, peer)| (TcpStream::Far(stream), peer))
            }
        }
    }
}

/// A stream; closed when it is dropped.
pub enum TcpStream {
    /// Of our network.
    Own(stream::TcpStream),
    /// Of another.
    Far(FarStream),
}

impl TcpStream {
    /// Our end.
    pub fn local_addr(&self) -> SocketAddr {
        match self {
            TcpStream::Own(stream) => stream.local_addr(),
            TcpStream::Far(stream) => stream.local_addr(),
        }
    }

    /// The other end.
    pub fn peer_addr(&self) -> SocketAddr {
        match self {
            TcpStream::Own(stream) => stream.peer_addr(),
            TcpStream::Far(stream) => stream.peer_addr(),
        }
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            TcpStream::Own(stream) => Pin::new(stream).poll_read(context, buffer),
            TcpStream::Far(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            TcpStream::Own(stream) => Pin::new(stream).poll_write(context, bytes),
            TcpStream::Far(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            TcpStream::Own(stream) => Pin::new(stream).poll_flush(context),
            TcpStream::Far(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            TcpStream::Own(stream) => Pin::new(stream).poll_shutdown(context),
            TcpStream::Far(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
