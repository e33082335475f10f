//! Where recordings are made, spoiled, and held against what they should be: as CI does with what a test has recorded.

use pbx::audio::recording::{Recording, RecordingError};
use pbx::audio::wav::Encoding;
use pbx::tone::schedule::Schedule;
use pbx::tone::verdict::{Heard, compare};
use pbx::tone::{Sine, dtmf};

/// A recording and its schedule.
#[derive(Debug, Default)]
pub struct Desk {
    schedule: Option<Schedule>,
    recording: Option<Recording>,
    /// What the recording is written as.
    encoding: Option<Encoding>,
    /// The file has no more bytes than this.
    bytes: Option<usize>,
}

impl Desk {
    /// This is what is expected.
    pub fn expect(&mut self, schedule: &str) {
        self.schedule = Some(read(schedule));
    }

    /// A recording of what is expected.
    pub fn record_as_expected(&mut self) {
        self.recording = Some(self.schedule().render());
    }

    /// The same, written as `encoding` with so many samples a second.
    pub fn record_in(&mut self, encoding: &str, rate: u32) {
        let encoding =
            Encoding::named(encoding).unwrap_or_else(|| panic!("no encoding is called {encoding}"));
        self.encoding = Some(encoding);
        self.recording = Some(Schedule { rate, ..self.schedule().clone() }.render());
    }

    /// A recording of something else.
    pub fn record(&mut self, schedule: &str) {
        self.recording = Some(read(schedule).render());
    }

    /// The file is not written to its end.
    pub fn break_off_after(&mut self, bytes: usize) {
        self.bytes = Some(bytes);
    }

    /// Does something to the samples of a channel, counted from 1.
    pub fn spoil(&mut self, channel: usize, how: impl FnOnce(&mut Vec<f32>)) {
        how(&mut self.recording_mut().channels[channel - 1]);
    }

    /// Presses a key where it was not pressed: for 80 ms, at -10 dBm0.
    pub fn press(&mut self, channel: usize, digit: char, seconds: f64) {
        let (row, column) = dtmf::frequencies(digit).unwrap_or_else(|| panic!("{digit} is no digit"));
        let rate = self.recording_mut().rate;
        let sines = [row, column].map(|f| Sine::new(f, -10.0, rate).expect("below half of any rate"));
        let at = |seconds: f64| (seconds * f64::from(rate)) as usize;
        self.spoil(channel, |samples| {
            for (n, sample) in samples[at(seconds)..at(seconds + 0.08)].iter_mut().enumerate() {
                *sample += sines.iter().map(|sine| sine.sample(n as u64)).sum::<f64>() as f32 / 32_768.0;
            }
        });
    }

    /// Puts each of two channels, counted from 1, in the place of the other.
    pub fn swap(&mut self, one: usize, other: usize) {
        self.recording_mut().channels.swap(one - 1, other - 1);
    }

    /// Samples a second.
    pub fn rate(&mut self) -> f64 {
        f64::from(self.recording_mut().rate)
    }

    /// What is heard in the file, channel by channel; or why it is no recording.
    pub fn listen(&self) -> Result<Vec<Heard>, RecordingError> {
        let recording = self.recording.as_ref().expect("there is a recording");
        let mut file = recording.to_wav(self.encoding.unwrap_or(Encoding::Pcm16));
        file.truncate(self.bytes.unwrap_or(file.len()));
        Recording::read(&file).map(|recording| Heard::of(&recording))
    }

    /// What is heard on a channel, counted from 1.
    pub fn hear(&self, channel: usize) -> Heard {
        let mut heard = self.listen().unwrap_or_else(|error| panic!("it is no recording: {error}"));
        assert!(channel <= heard.len(), "it has {} channels", heard.len());
        heard.swap_remove(channel - 1)
    }

    /// In what the recording differs from what is expected, a sentence each.
    pub fn differences(&self) -> Vec<String> {
        let heard = self.listen().unwrap_or_else(|error| panic!("it is no recording: {error}"));
        compare(self.schedule(), &heard).iter().map(ToString::to_string).collect()
    }

    fn schedule(&self) -> &Schedule {
        self.schedule.as_ref().expect("there is a schedule")
    }

    fn recording_mut(&mut self) -> &mut Recording {
        self.recording.as_mut().expect("there is a recording")
    }
}

fn read(schedule: &str) -> Schedule {
    Schedule::read(schedule).unwrap_or_else(|error| panic!("this is no schedule: {error}"))
}
