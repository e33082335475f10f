//! All transactions of one telephone: what comes is brought to the one it belongs to.

use super::client::Client;
use super::server::{self, Server};
use pbx::rng::Rng;
use pbx::sip::{Message, Method, Name, Path, Request, Response, StatusCode, Transport};
use pbx::time::{Duration, Instant};
use std::collections::VecDeque;

/// What goes over UDP at most; a longer request takes TCP (RFC 3261 section 18.1.1).
const LONGEST_DATAGRAM: usize = 1_300;

/// A request of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::phone) struct ClientId(u64);

/// A request that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::phone) struct ServerId(u64);

/// What transactions tell.
pub(in crate::phone) enum Event {
    /// A response that is new, or one of several 2xx to an INVITE.
    Response { client: ClientId, response: Response },
    /// Nobody answers, or the connection is gone.
    Failed { client: ClientId, status: StatusCode },
    /// A request that is new.
    Request { server: ServerId },
    /// ACK to a 2xx.
    Ack { request: Request },
}

/// What leaves the transactions.
#[expect(clippy::large_enum_variant, reason = "an output is taken apart as soon as it is polled")]
pub(in crate::phone) enum Output {
    /// Bytes to send.
    Transmit { path: Path, bytes: Vec<u8> },
    /// Something for whoever is above.
    Event(Event),
}

/// Where transactions put what they produce.
#[derive(Default)]
pub(super) struct Out(VecDeque<Output>);

impl Out {
    pub(super) fn transmit(&mut self, path: Path, bytes: Vec<u8>) {
        self.0.push_back(Output::Transmit { path, bytes });
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.0.push_back(Output::Event(event));
    }
}

/// All transactions of one telephone.
pub(in crate::phone) struct Transactions {
    clients: Vec<Client>,
    servers: Vec<Server>,
    t1: Duration,
    rng: Rng,
    next: u64,
    out: Out,
}

impl Transactions {
    pub(in crate::phone) fn new(t1: Duration, rng: Rng) -> Transactions {
        Transactions { clients: Vec::new(), servers: Vec::new(), t1, rng, next: 0, out: Out::default() }
    }

    /// Sends a request that has no Via yet.
    pub(in crate::phone) fn send(&mut self, mut request: Request, path: Path, now: Instant) -> ClientId {
        let branch = self.branch();
        request.headers_mut().push_front(Name::Via, via(path, &branch));
        let path = if path.transport == Transport::Udp && request.to_bytes().len() > LONGEST_DATAGRAM {
            let path = Path { transport: Transport::Tcp, ..path };
            request.headers_mut().set_first(Name::Via, via(path, &branch));
            path
        } else {
            path
        };
        self.start(request, branch, path, now)
    }

    /// Sends an ACK to a 2xx: a transaction of its own that nobody answers. Returns what was sent, to be sent again.
    pub(super) fn acknowledge(&mut self, mut ack: Request, path: Path) -> Vec<u8> {
        let branch = self.branch();
        ack.headers_mut().push_front(Name::Via, via(path, &branch));
        let bytes = ack.to_bytes();
        self.out.transmit(path, bytes.clone());
        bytes
    }

    /// Takes back an INVITE that somebody works on.
    pub(super) fn cancel(&mut self, invite: ClientId, now: Instant) -> Option<ClientId> {
        let client = self.client(invite).filter(|client| client.is_proceeding())?;
        let (request, branch, path) = (client.cancel(), client.branch.clone(), client.path);
        Some(self.start(request, branch, path, now))
    }

    /// Bytes go out as they are.
    pub(super) fn transmit(&mut self, path: Path, bytes: Vec<u8>) {
        self.out.transmit(path, bytes);
    }

    pub(in crate::phone) fn receive(&mut self, message: Message, path: Path, now: Instant) {
        match message {
            Message::Response(response) => self.receive_response(response, now),
            Message::Request(request) => self.receive_request(request, path, now),
        }
    }

    /// Answers a request.
    pub(super) fn respond(&mut self, server: ServerId, response: &Response, now: Instant) {
        if let Some(found) = self.servers.iter_mut().find(|found| found.id == server) {
            found.respond(response, &mut self.out, now);
        }
    }

    /// The request and where its responses go.
    pub(super) fn server(&self, server: ServerId) -> Option<&Server> {
        self.servers.iter().find(|found| found.id == server)
    }

    pub(super) fn client(&self, client: ClientId) -> Option<&Client> {
        self.clients.iter().find(|found| found.id == client)
    }

    /// The INVITE that a CANCEL is for (RFC 3261 section 9.2).
    pub(super) fn invite_of(&self, cancel: &Request) -> Option<ServerId> {
        let (branch, sent_by) = server::key(cancel)?;
        let is_it =
            |found: &&Server| *found.request.method() == Method::Invite && found.is_at(&branch, &sent_by);
        self.servers.iter().find(is_it).map(|found| found.id)
    }

    /// The same request on another way (RFC 3261 section 8.2.2.2).
    pub(super) fn is_merged(&self, server: ServerId) -> bool {
        let Some(new) = self.server(server) else { return false };
        let key = |request: &Request| {
            let tag = request.from().ok()?.tag().map(str::to_owned);
            Some((tag, request.call_id().to_owned(), request.cseq().ok()?.to_string()))
        };
        let is_same = |found: &Server| found.id != server && key(&found.request) == key(&new.request);
        self.servers.iter().any(is_same)
    }

    /// Nothing more is done about this INVITE of ours.
    pub(super) fn forget(&mut self, client: ClientId) {
        if let Some(found) = self.clients.iter_mut().find(|found| found.id == client) {
            found.end();
        }
    }

    /// The call of this request of ours is over.
    pub(super) fn expire(&mut self, client: ClientId, now: Instant) {
        if let Some(found) = self.clients.iter_mut().find(|found| found.id == client) {
            found.expire(now);
        }
    }

    /// Nothing is said to this request.
    pub(super) fn ignore(&mut self, server: ServerId) {
        if let Some(found) = self.servers.iter_mut().find(|found| found.id == server) {
            found.end();
        }
    }

    /// A request goes out once more, whether it was answered or not.
    pub(super) fn repeat(&mut self, client: ClientId) {
        if let Some(found) = self.clients.iter().find(|found| found.id == client) {
            found.repeat(&mut self.out);
        }
    }

    pub(in crate::phone) fn path_failed(&mut self, path: Path) {
        let is_on_it = |client: &&mut Client| {
            client.path.transport == path.transport && client.path.remote == path.remote
        };
        for client in self.clients.iter_mut().filter(is_on_it) {
            client.path_failed(&mut self.out);
        }
    }

    pub(in crate::phone) fn poll_timeout(&self) -> Option<Instant> {
        let clients = self.clients.iter().filter_map(Client::poll_timeout);
        clients.chain(self.servers.iter().filter_map(Server::poll_timeout)).min()
    }

    pub(in crate::phone) fn handle_timeout(&mut self, now: Instant) {
        for client in &mut self.clients {
            client.handle_timeout(&mut self.out, now);
        }
        for server in &mut self.servers {
            server.handle_timeout(&mut self.out, now);
        }
        self.clients.retain(|client| !client.is_over());
        self.servers.retain(|server| !server.is_over());
    }

    pub(in crate::phone) fn poll_output(&mut self) -> Option<Output> {
        self.out.0.pop_front()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.clients.iter().all(Client::is_over) && self.servers.iter().all(Server::is_over)
    }

    fn start(&mut self, request: Request, branch: String, path: Path, now: Instant) -> ClientId {
        self.next += 1;
        let id = ClientId(self.next);
        let mut client = Client::new(id, request, branch, path, self.t1);
        client.start(&mut self.out, now);
        self.clients.push(client);
        id
    }

    /// A response belongs to the transaction with its branch and method (RFC 3261 section 17.1.3), in whatever case the branch
    /// comes back (section 7.3.1).
    fn receive_response(&mut self, response: Response, now: Instant) {
        let (Ok(via), Ok(cseq)) = (response.via(), response.cseq()) else { return };
        let Some(branch) = via.branch() else { return };
        let is_it = |client: &Client| {
            client.branch.eq_ignore_ascii_case(branch) && client.request.method().as_str() == cseq.method_text
        };
        if let Some(at) = self.clients.iter().position(is_it) {
            self.clients[at].receive(response, &mut self.out, now);
        }
    }

    fn receive_request(&mut self, mut request: Request, path: Path, now: Instant) {
        server::stamp(&mut request, path.remote);
        let Some((branch, sent_by)) = server::key(&request) else { return };
        let known = self.servers.iter_mut().find(|found| found.matches(&request, &branch, &sent_by));
        match known {
            Some(server) => server.receive(request, &mut self.out, now),
            None if *request.method() == Method::Ack => self.out.tell(Event::Ack { request }),
            None => {
                self.next += 1;
                let id = ServerId(self.next);
                self.servers.push(Server::new(id, request, path, self.t1, now));
                self.out.tell(Event::Request { server: id });
            }
        }
    }

    fn branch(&mut self) -> String {
        format!("z9hG4bK{}", self.rng.token(16))
    }
}

fn via(path: Path, branch: &str) -> String {
    format!("SIP/2.0/{} {};branch={branch};rport", path.transport.via_token(), super::dialog::place(&path))
}
