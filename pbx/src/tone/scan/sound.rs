//! The last second or less of a stream, so that what lies in it can be looked at again.

/// Samples that are there at least, once so many have come.
pub(super) const KEPT: usize = 5_600;
/// Samples there is room for: when it is full the last ones move to the front.
const ROOM: usize = KEPT + 2_592;

/// Samples at 8000 Hz, each known by its number in the stream.
#[derive(Clone)]
pub(super) struct Sound {
    samples: Vec<f32>,
    /// The number of the first one that is there.
    first: usize,
}

impl Sound {
    pub(super) fn new() -> Sound {
        Sound { samples: Vec::with_capacity(ROOM), first: 0 }
    }

    /// Takes no more samples at once than there is room beside those that are kept.
    pub(super) fn take(&mut self, samples: &[f32]) {
        if self.samples.len() + samples.len() > ROOM {
            let gone = self.samples.len() - KEPT;
            self.samples.copy_within(gone.., 0);
            self.samples.truncate(KEPT);
            self.first += gone;
        }
        self.samples.extend_from_slice(samples);
    }

    /// The number of the next sample.
    pub(super) fn end(&self) -> usize {
        self.first + self.samples.len()
    }

    /// Of the samples from one number up to another, those that are there.
    pub(super) fn part(&self, from: usize, to: usize) -> &[f32] {
        let place = |number: usize| number.saturating_sub(self.first).min(self.samples.len());
        &self.samples[place(from)..place(to).max(place(from))]
    }
}
