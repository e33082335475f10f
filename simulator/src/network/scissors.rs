//! Something between two hosts that breaks their streams: at once, or after so many bytes more, in the middle of a message.

use super::flow::Segment;
use super::state::State;
use pbx::time::Instant;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// How many bytes still pass from one host to another before their streams break.
#[derive(Default)]
pub(super) struct Scissors {
    left: BTreeMap<(IpAddr, IpAddr), usize>,
}

impl State {
    /// After so many bytes more from one host to another, all streams between them break.
    pub(super) fn cut_after(&mut self, from: IpAddr, to: IpAddr, bytes: usize) {
        self.scissors.left.insert((from, to), bytes);
    }

    /// The segment as far as it passes, and the break behind it; `None` when nothing of it does.
    pub(super) fn cut_short(
        &mut self,
        mut segment: Segment,
        way: (IpAddr, IpAddr),
        now: Instant,
    ) -> Option<Segment> {
        let Some(left) = self.scissors.left.get_mut(&way) else { return Some(segment) };
        let Some(bytes) = segment.data() else { return Some(segment) };
        if bytes.len() < *left {
            *left -= bytes.len();
            return Some(segment);
        }
        bytes.truncate(*left);
        let passes = !bytes.is_empty();
        self.scissors.left.remove(&way);
        if passes {
            self.transmit_outside(segment, 0, now);
        }
        self.break_streams(way.0, way.1, now);
        None
    }
}
