//! A server on a host: it moves requests and replies and decides nothing.

use super::body::Telling;
use super::{Answers, Asked, Fault, Flow, Reply};
use crate::network::{SimHost, TcpStream};
use crate::secure;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{DATE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use pbx::shell::host::{Host, Listener};
use pbx::shell::timer::{self, HyperTimer};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};

/// The largest request that is taken.
const LARGEST: usize = 64 << 20;

/// Requests that are remembered, the last ones.
const REMEMBERED: usize = 10_000;

/// A server; clones are the same server.
pub struct Server<A> {
    shared: Arc<Shared<A>>,
}

struct Shared<A> {
    host: SimHost,
    address: SocketAddr,
    desk: Mutex<Desk<A>>,
}

struct Desk<A> {
    answers: A,
    asked: VecDeque<(Asked, Reply)>,
    /// What is wrong with the next answers: so many of them, or all.
    faults: VecDeque<(Fault, Option<u32>)>,
    /// Who it shows that it is, where it speaks TLS.
    secure: Option<secure::Server>,
}

impl<A: Answers> Server<A> {
    /// Listens at a port of a host.
    pub fn start(host: SimHost, port: u16, answers: A) -> Server<A> {
        let address = SocketAddr::new(host.address(), port);
        let (asked, faults) = (VecDeque::new(), VecDeque::new());
        let desk = Mutex::new(Desk { answers, asked, faults, secure: None });
        let server = Server { shared: Arc::new(Shared { host, address, desk }) };
        server.listen();
        server
    }

    /// Listens again after its host has crashed; what it knew is still there.
    pub fn listen(&self) {
        self.shared.host.spawn(accept(self.shared.clone()));
    }

    /// Its machine loses its power: nobody is told, nothing answers.
    pub fn crash(&self) {
        self.shared.host.network().crash(self.shared.host.address());
    }

    /// Its machine is on again.
    pub fn restart(&self) {
        self.shared.host.network().bounce(self.shared.host.address());
        self.listen();
    }

    /// Its host.
    pub fn host(&self) -> &SimHost {
        &self.shared.host
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Looks at the one who decides what is said, or tells him something.
    pub fn with<T>(&self, act: impl FnOnce(&mut A) -> T) -> T {
        act(&mut self.desk().answers)
    }

    /// What was asked and decided to be said, oldest first.
    pub fn asked(&self) -> Vec<(Asked, Reply)> {
        self.desk().asked.iter().cloned().collect()
    }

    /// From now on, or after what it was told to do before, it does this: so often, or always.
    pub fn misbehave(&self, fault: Fault, times: Option<u32>) {
        let faults = &mut self.desk().faults;
        // What is to come after "always" takes its place.
        if faults.back().is_some_and(|(_, times)| times.is_none()) {
            faults.pop_back();
        }
        faults.push_back((fault, times));
    }

    /// From now on it speaks TLS.
    pub fn speaks_tls(&self) {
        let (certificate, key) = secure::certificate_of_web_service();
        self.desk().secure = Some(secure::Server::new(&self.shared.host, certificate, key));
    }

    /// It behaves.
    pub fn behave(&self) {
        self.desk().faults.clear();
    }

    fn desk(&self) -> MutexGuard<'_, Desk<A>> {
        self.shared.desk()
    }
}

impl<A> Clone for Server<A> {
    fn clone(&self) -> Server<A> {
        Server { shared: self.shared.clone() }
    }
}

impl<A: Answers> Shared<A> {
    fn desk(&self) -> MutexGuard<'_, Desk<A>> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decide(&self, asked: Asked) -> Reply {
        let mut desk = self.desk();
        let reply = desk.answers.answer(&asked);
        let reply = desk.take_fault().map_or(reply.clone(), |fault| fault.spoil(reply));
        if desk.asked.len() == REMEMBERED {
            desk.asked.pop_front();
        }
        desk.asked.push_back((asked, reply.clone()));
        reply
    }
}

impl<A> Desk<A> {
    fn take_fault(&mut self) -> Option<Fault> {
        let (fault, times) = self.faults.front_mut()?;
        let fault = fault.clone();
        if let Some(times) = times {
            *times -= 1;
            if *times == 0 {
                self.faults.pop_front();
            }
        }
        Some(fault)
    }
}

async fn accept<A: Answers>(shared: Arc<Shared<A>>) {
    let Ok(mut listener) = shared.host.listen(shared.address).await else { return };
    while let Ok((stream, from)) = listener.accept().await {
        shared.host.spawn(serve(shared.clone(), stream, from));
    }
}

async fn serve<A: Answers>(shared: Arc<Shared<A>>, stream: TcpStream, from: SocketAddr) {
    let secure = shared.desk().secure.clone();
    match secure {
        None => talk(shared, stream, from).await,
        Some(server) => {
            let ends = (shared.address, from);
            if let Ok(stream) = server.accept(&shared.host, stream, ends).await {
                talk(shared, stream, from).await;
            }
        }
    }
}

async fn talk<A: Answers>(
    shared: Arc<Shared<A>>,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    from: SocketAddr,
) {
    let service = service_fn(|request| respond(shared.clone(), request, from));
    // Date is ours to set: hyper would read the clock of the OS.
    let serving = http1::Builder::new()
        .timer(HyperTimer)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    // How a connection ends is seen by the one who asked.
    let _ = serving.await;
}

async fn respond<A: Answers>(
    shared: Arc<Shared<A>>,
    request: Request<Incoming>,
    from: SocketAddr,
) -> io::Result<Response<Telling>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, LARGEST).collect().await.map_err(io::Error::other)?;
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let reply = shared.decide(Asked {
        at: shared.host.now(),
        from,
        method: head.method.to_string(),
        target: head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
        headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: body.to_bytes().to_vec(),
    });
    timer::sleep(reply.after).await;
    match reply.flow {
        Flow::Never => std::future::pending().await,
        Flow::HangsUp => Err(io::ErrorKind::ConnectionAborted.into()),
        Flow::AtOnce | Flow::Slowly { .. } | Flow::BreaksOff { .. } => response(&shared.host, reply),
    }
}

fn response(host: &SimHost, reply: Reply) -> io::Result<Response<Telling>> {
    let status = StatusCode::from_u16(reply.status).map_err(io::Error::other)?;
    let date = host.clock().http_date(host.now());
    let headers = reply.headers.clone();
    let mut response = Response::new(Telling::of(reply));
    *response.status_mut() = status;
    response.headers_mut().insert(DATE, HeaderValue::from_str(&date).map_err(io::Error::other)?);
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(io::Error::other)?;
        response.headers_mut().append(name, HeaderValue::from_str(&value).map_err(io::Error::other)?);
    }
    Ok(response)
}
