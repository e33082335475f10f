//! WebSockets (RFC 6455) over the streams of a host: a client's and a server's end, with keys and masks from the world's dice.

mod frame;
mod handshake;

pub use frame::{Frame, NotAFrame, Opcode};
pub use handshake::{Refused, accept, connect, upgrade};

use pbx::rng::Rng;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

/// The longest message that is put together.
const LONGEST: usize = 16 << 20;

/// What comes over a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// A ping, to be answered with the same.
    Ping(Vec<u8>),
    /// The answer to a ping.
    Pong(Vec<u8>),
    /// The other side ends it, with a code and a reason.
    Close(u16, String),
}

/// Which end it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It masks what it sends.
    Client,
    /// It must not.
    Server,
}

/// What is read from: messages, put together from their frames.
pub struct Reader<S> {
    stream: ReadHalf<S>,
    end: End,
    bytes: Vec<u8>,
    begun: Option<(Opcode, Vec<u8>)>,
}

/// What is written to.
pub struct Writer<S> {
    stream: WriteHalf<S>,
    end: End,
    rng: Rng,
}

/// Both halves of one end.
pub fn split<S: AsyncRead + AsyncWrite>(stream: S, end: End, rng: Rng) -> (Reader<S>, Writer<S>) {
    let (reader, writer) = tokio::io::split(stream);
    (Reader { stream: reader, end, bytes: Vec::new(), begun: None }, Writer { stream: writer, end, rng })
}

impl<S: AsyncRead> Reader<S> {
    /// The next message; `None` when the stream has ended. May be dropped and asked again. What is against the RFC is an
    /// error that says what.
    pub async fn next(&mut self) -> io::Result<Option<Message>> {
        loop {
            while let Some((frame, taken)) = Frame::read(&self.bytes).map_err(wrong)? {
                self.bytes.drain(..taken);
                if let Some(message) = self.take(frame)? {
                    return Ok(Some(message));
                }
            }
            let mut buffer = [0; 4_096];
            match self.stream.read(&mut buffer).await? {
                0 => return Ok(None),
                length => self.bytes.extend(&buffer[..length]),
            }
        }
    }

    fn take(&mut self, frame: Frame) -> io::Result<Option<Message>> {
        if frame.mask.is_some() != (self.end == End::Server) {
            return Err(wrong("clients mask what they send, servers do not"));
        }
        let (opcode, payload) = match (frame.opcode, self.begun.take()) {
            (Opcode::Ping, begun) => {
                self.begun = begun;
                return Ok(Some(Message::Ping(frame.payload)));
            }
            (Opcode::Pong, begun) => {
                self.begun = begun;
                return Ok(Some(Message::Pong(frame.payload)));
            }
            (Opcode::Close, _) => return close(&frame.payload).map(Some),
            (Opcode::Continuation, Some((opcode, mut payload))) => {
                payload.extend(frame.payload);
                (opcode, payload)
            }
            (opcode @ (Opcode::Text | Opcode::Binary), None) => (opcode, frame.payload),
            (Opcode::Continuation, None) => return Err(wrong("nothing is there to be continued")),
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(wrong("a message begins within another")),
        };
        if payload.len() > LONGEST {
            return Err(wrong(NotAFrame::TooLong));
        }
        if !frame.is_final {
            self.begun = Some((opcode, payload));
            return Ok(None);
        }
        match opcode {
            Opcode::Text => text(payload).map(Message::Text).map(Some),
            _ => Ok(Some(Message::Binary(payload))),
        }
    }
}

impl<S: AsyncWrite> Writer<S> {
    /// Sends a message in one frame.
    pub async fn send(&mut self, message: &Message) -> io::Result<()> {
        let (opcode, payload) = match message {
            Message::Text(text) => (Opcode::Text, text.clone().into_bytes()),
            Message::Binary(bytes) => (Opcode::Binary, bytes.clone()),
            Message::Ping(bytes) => (Opcode::Ping, bytes.clone()),
            Message::Pong(bytes) => (Opcode::Pong, bytes.clone()),
            Message::Close(code, reason) => {
                (Opcode::Close, [&code.to_be_bytes(), reason.as_bytes()].concat())
            }
        };
        let mask = (self.end == End::Client).then(|| self.rng.u32().to_be_bytes());
        self.send_frame(&Frame::whole(opcode, payload, mask)).await
    }

    /// Sends a frame as it is, right or wrong.
    pub async fn send_frame(&mut self, frame: &Frame) -> io::Result<()> {
        self.stream.write_all(&frame.to_bytes()).await?;
        self.stream.flush().await
    }
}

/// What a close says (section 7.4); 1005 when it says nothing.
fn close(payload: &[u8]) -> io::Result<Message> {
    match payload {
        [] => Ok(Message::Close(1_005, String::new())),
        [_] => Err(wrong("a close has a whole code or none")),
        [high, low, reason @ ..] => {
            Ok(Message::Close(u16::from_be_bytes([*high, *low]), text(reason.to_vec())?))
        }
    }
}

fn text(payload: Vec<u8>) -> io::Result<String> {
    String::from_utf8(payload).map_err(|_| wrong("a text is not UTF-8"))
}

fn wrong(what: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}
