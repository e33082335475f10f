//! What somebody says, as frames in time: one is taken every 20 ms by those who mix and record.

use super::playout::{Content, Playout};
use crate::audio::{NARROWBAND, Narrowband};
use crate::rtp::Header;
use std::collections::VecDeque;

/// Frames by which everything is heard later than it arrived, on a network that brings all packets in their time.
pub(super) const LATE_BY: u32 = 2;

/// The sound of one stream.
#[derive(Debug)]
pub(super) struct Hearing {
    playout: Playout,
    frame: Narrowband,
    /// Frames that somebody wanted before their time.
    ahead: VecDeque<Narrowband>,
    samples: Vec<i16>,
}

impl Hearing {
    /// One that has heard nothing.
    pub(super) fn new() -> Hearing {
        let (playout, frame) = (Playout::new(NARROWBAND), Narrowband::SILENT);
        Hearing { playout, frame, ahead: VecDeque::new(), samples: Vec::new() }
    }

    /// A packet has come.
    pub(super) fn receive(&mut self, header: &Header, content: Content, payload: &[u8]) {
        self.playout.receive(header, content, payload);
    }

    /// The next frame; it can be looked at until the next one is taken.
    pub(super) fn take(&mut self) {
        self.frame = match self.ahead.pop_front() {
            Some(frame) => frame,
            None => self.next(),
        };
    }

    /// Makes frames ready that are to be taken later: what has come by now, for somebody who ends now.
    pub(super) fn look_ahead(&mut self, frames: u32) {
        while self.ahead.len() < frames as usize {
            let next = self.next();
            self.ahead.push_back(next);
        }
    }

    /// The frame that was taken last; `ahead`: one that was made ready, so many frames later.
    pub(super) fn frame(&self, ahead: u32) -> &Narrowband {
        match ahead.checked_sub(1) {
            None => &self.frame,
            Some(later) => self.ahead.get(later as usize).unwrap_or(&Narrowband::SILENT),
        }
    }

    fn next(&mut self) -> Narrowband {
        let mut frame = Narrowband::SILENT;
        self.samples.clear();
        self.playout.take(frame.0.len(), &mut self.samples);
        frame.0.copy_from_slice(&self.samples);
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Coding, Law};

    #[test]
    fn what_was_looked_at_before_its_time_is_heard_in_its_time() {
        let mut hearing = Hearing::new();
        let say = |hearing: &mut Hearing, n: u16| {
            let timestamp = u32::from(n) * 160;
            let header = Header { marker: false, payload_type: 0, sequence: n, timestamp, ssrc: 1 };
            let content = Content::Sound(Coding::G711(Law::Mu));
            hearing.receive(&header, content, &[250 - n as u8; 160]);
        };
        let sample = |n: u16| Law::Mu.decode(250 - n as u8);
        (0..3).for_each(|n| say(&mut hearing, n));
        hearing.look_ahead(LATE_BY);
        assert_eq!([hearing.frame(1).0[99], hearing.frame(2).0[99]], [sample(0), sample(1)]);
        for n in 0..40 {
            hearing.take();
            assert_eq!(hearing.frame(0).0[99], sample(n), "frame {n}");
            say(&mut hearing, n + 3);
        }
    }
}
