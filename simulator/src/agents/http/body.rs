//! The body of an answer on its way: at once, slowly, or not to its end.

use super::{Flow, Reply};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use pbx::shell::timer::Timer;
use pbx::time::Duration;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// What is left to be said of an answer.
pub(super) struct Telling {
    left: Bytes,
    piece: usize,
    pause: Duration,
    /// The client is told of so many bytes that never come.
    missing: usize,
    resting: Option<Timer>,
}

impl Telling {
    pub(super) fn of(reply: Reply) -> Telling {
        let (mut left, mut missing) = (Bytes::from(reply.body), 0);
        let (piece, pause) = match reply.flow {
            Flow::AtOnce | Flow::HangsUp | Flow::Never => (usize::MAX, Duration::ZERO),
            Flow::Slowly { piece, pause } => (piece.max(1), pause),
            Flow::BreaksOff { after } => {
                missing = left.split_off(after.min(left.len())).len();
                (usize::MAX, Duration::ZERO)
            }
        };
        Telling { left, piece, pause, missing, resting: None }
    }
}

impl Body for Telling {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(resting) = &mut self.resting {
            ready!(Pin::new(resting).poll(context));
            self.resting = None;
        }
        if self.left.is_empty() {
            let broken = (self.missing > 0).then(|| Err(io::ErrorKind::ConnectionAborted.into()));
            return Poll::Ready(broken);
        }
        let piece = self.piece.min(self.left.len());
        let piece = self.left.split_to(piece);
        // What breaks off does so after what came before has been read.
        let pause = if self.missing > 0 { Duration::from_millis(1) } else { self.pause };
        if !pause.is_zero() {
            self.resting = Some(Timer::new(pause));
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.missing == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.left.len() + self.missing) as u64)
    }
}
