//! TCP listeners and streams as programs hold them.

use super::Network;
use super::datagram::on_this_host;
use super::flow::{FlowId, Side};
use super::state::State;
use pbx::shell::host::Listener;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A listening socket; closed when it is dropped.
pub struct TcpListener {
    network: Network,
    bound: SocketAddr,
}

impl TcpListener {
    pub(super) fn bind(network: &Network, host: IpAddr, local: SocketAddr) -> io::Result<TcpListener> {
        network.with(|state, _| {
            let local = on_this_host(host, local);
            if !local.ip().is_unspecified() && local.ip() != host {
                return Err(io::ErrorKind::AddrNotAvailable.into());
            }
            let port = match local.port() {
                0 => {
                    let taken = |state: &State, port| state.flows.listens(SocketAddr::new(host, port));
                    state.ephemeral_port(host, taken).ok_or(io::ErrorKind::AddrInUse)?
                }
                port => port,
            };
            let bound = SocketAddr::new(host, port);
            if state.flows.listens(bound) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            state.flows.listen(bound);
            Ok(TcpListener { network: network.clone(), bound })
        })
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.bound)
    }

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (flow, peer) =
            poll_fn(|context| match self.network.state().flows.accept(self.bound, context.waker()) {
                Ok(Some(accepted)) => Poll::Ready(Ok(accepted)),
                Ok(None) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            })
            .await?;
        let network = self.network.clone();
        Ok((TcpStream { network, flow, side: Side::Server, local: self.bound, peer }, peer))
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.network.with(|state, now| state.close_listener(self.bound, now));
    }
}

/// A stream; closed when it is dropped.
pub struct TcpStream {
    network: Network,
    flow: FlowId,
    side: Side,
    local: SocketAddr,
    peer: SocketAddr,
}

impl TcpStream {
    pub(super) async fn connect(
        network: &Network,
        host: IpAddr,
        remote: SocketAddr,
    ) -> io::Result<TcpStream> {
        let remote = on_this_host(host, remote);
        let (flow, local) = network.with(|state, now| state.connect(host, remote, now))?;
        let stream = TcpStream { network: network.clone(), flow, side: Side::Client, local, peer: remote };
        poll_fn(|context| match network.state().flows.is_established(flow, context.waker()) {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        })
        .await?;
        Ok(stream)
    }

    /// Our end.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The other end.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let (flow, side) = (self.flow, self.side);
        let read = self
            .network
            .with(|state, now| state.read(flow, side, buffer.initialize_unfilled(), context.waker(), now));
        match read {
            Ok(Some(length)) => {
                buffer.advance(length);
                Poll::Ready(Ok(()))
            }
            Ok(None) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let (flow, side) = (self.flow, self.side);
        match self.network.with(|state, now| state.write(flow, side, bytes, context.waker(), now)) {
            Ok(Some(length)) => Poll::Ready(Ok(length)),
            Ok(None) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (flow, side) = (self.flow, self.side);
        self.network.with(|state, now| state.finish(flow, side, now));
        Poll::Ready(Ok(()))
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        let (flow, side) = (self.flow, self.side);
        self.network.with(|state, now| state.let_go(flow, side, now));
    }
}
