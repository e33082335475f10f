//! The spectrogram of a recording: time to the right, 0 to 4000 Hz upwards, a band a channel. Over it what was expected:
//! green where it is heard, red where it is not as expected; yellow is what nobody expected. The digits that were heard
//! stand below.

use crate::Listened;
use crate::canvas::{Canvas, Colour, LETTER_HEIGHT, LETTER_WIDTH};
use pbx::audio::FULL_SCALE;
use pbx::tone::dtmf;
use pbx::tone::scan::Transform;
use pbx::tone::schedule::{Schedule, Sound, What};
use pbx::tone::verdict::{Difference, Heard, Kind};
use std::ops::Range;

/// Samples in a look at 8000 Hz, and what they are filled up to: a bin is 15.6 Hz.
const WINDOW: usize = 256;
const LENGTH: usize = 512;
/// Samples from one look to the next: 5 ms.
const STEP: usize = 40;
/// Bins, each a row of dots.
const ROWS: usize = LENGTH / 2;
/// A row in Hz.
const HERTZ: f64 = 8_000.0 / LENGTH as f64;
/// The most columns; of a longer recording a column is the loudest of several looks.
const COLUMNS: usize = 1_600;
/// What is fainter is black, in dBm0.
const FAINTEST: f32 = -75.0;
/// Room beside, above and below a band.
const LEFT: usize = 5 * LETTER_WIDTH + 4;
const RIGHT: usize = 4 * LETTER_WIDTH;
const ABOVE: usize = LETTER_HEIGHT + 6;
const BELOW: usize = 2 * LETTER_HEIGHT + 12;
/// A frame reaches so many Hz beyond its frequency.
const REACH: f64 = 90.0;

const GROUND: Colour = [18, 18, 22];
const TEXT: Colour = [200, 200, 200];
const AS_EXPECTED: Colour = [60, 255, 120];
const OTHERWISE: Colour = [255, 60, 60];
const EXTRA: Colour = [255, 255, 90];

/// The picture as a PNG file.
pub(crate) fn png(
    listened: &Listened<'_>,
    schedule: Option<&Schedule>,
) -> Result<Vec<u8>, png::EncodingError> {
    let longest = listened.channels.iter().map(|heard| heard.samples.len()).max().unwrap_or(0);
    let looks = longest.div_ceil(STEP).max(1);
    let each = looks.div_ceil(COLUMNS);
    let bands = listened.channels.len().max(schedule.map_or(0, |schedule| schedule.channels.len()));
    let band = ABOVE + ROWS + BELOW;
    let mut canvas = Canvas::new(LEFT + looks.div_ceil(each) + RIGHT, bands * band, GROUND);
    for number in 0..bands {
        let mut band = Band { canvas: &mut canvas, top: number * band + ABOVE, each, looks };
        band.axes(number);
        if let Some(heard) = listened.channels.get(number) {
            band.sound(heard);
            band.digits(heard);
        }
        if let Some(expected) = schedule.and_then(|schedule| Some((schedule, schedule.channels.get(number)?)))
        {
            let own = |difference: &&Difference| difference.channel == number;
            let differences: Vec<_> = listened.differences.iter().flatten().filter(own).collect();
            for sound in &expected.1.sounds {
                let is_off = differences
                    .iter()
                    .any(|difference| is_about(&difference.kind, sound, expected.0.tolerance));
                band.expected(sound, if is_off { OTHERWISE } else { AS_EXPECTED });
            }
            if let Some(heard) = listened.channels.get(number) {
                band.extras(heard, &differences);
            }
        }
    }
    canvas.png()
}

/// Whether the difference is one of this sound.
fn is_about(kind: &Kind, sound: &Sound, tolerance: f64) -> bool {
    match kind {
        Kind::Silent { .. } | Kind::Swapped { .. } | Kind::NoChannel { .. } => true,
        Kind::Extra { .. } | Kind::MoreChannels { .. } => false,
        Kind::Missing { what, at, .. }
        | Kind::Moved { what, expected: at, .. }
        | Kind::Begins { what, expected: at, .. }
        | Kind::Ends { what, at, .. }
        | Kind::Clipped { what, at, .. }
        | Kind::Level { what, at, .. } => {
            *what == sound.what && (at - sound.start).abs() <= tolerance.max(1.0)
        }
    }
}

/// One channel's part of the picture.
struct Band<'a> {
    canvas: &'a mut Canvas,
    /// The row of 4000 Hz.
    top: usize,
    /// Looks in a column.
    each: usize,
    looks: usize,
}

impl Band<'_> {
    fn column(&self, millis: f64) -> usize {
        let look = millis * 8.0 / STEP as f64 / self.each as f64;
        LEFT + (look.round().max(0.0) as usize).min(self.looks.div_ceil(self.each))
    }

    fn row(&self, frequency: f64) -> usize {
        self.top + ROWS - ((frequency / HERTZ).round().max(0.0) as usize).min(ROWS)
    }

    fn axes(&mut self, number: usize) {
        self.canvas.write(LEFT, self.top - ABOVE + 2, &format!("CH {}", number + 1), TEXT);
        for frequency in [1_000.0, 2_000.0, 3_000.0] {
            let row = self.row(frequency);
            self.canvas.write(0, row - LETTER_HEIGHT / 2, &format!("{frequency}"), TEXT);
            (LEFT - 4..LEFT).for_each(|x| self.canvas.dot(x, row, TEXT));
        }
        self.canvas.write(0, self.top, "  Hz", TEXT);
        let seconds = self.looks as f64 * STEP as f64 / 8_000.0;
        let room = self.column(1_000.0) - LEFT;
        // A number every second, or every second power of ten, as there is room.
        let every = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0];
        let every = every.into_iter().find(|every| every * room as f64 > 50.0).unwrap_or(1_800.0);
        let mut at = 0.0;
        while at <= seconds {
            let x = self.column(at * 1_000.0);
            (0..4).for_each(|y| self.canvas.dot(x, self.top + ROWS + y, TEXT));
            let text = if every < 1.0 { format!("{at:.1}s") } else { format!("{at}s") };
            let y = self.top + ROWS + LETTER_HEIGHT + 9;
            self.canvas.write(x.saturating_sub(LETTER_WIDTH / 2), y, &text, TEXT);
            at += every;
        }
    }

    fn sound(&mut self, heard: &Heard) {
        let mut transform = Transform::new(WINDOW, LENGTH);
        let mut padded = vec![0.0; WINDOW / 2];
        padded.extend_from_slice(&heard.samples);
        padded.resize(heard.samples.len() + WINDOW + STEP, 0.0);
        let mut power = Vec::new();
        let mut loudest = vec![0.0f32; ROWS];
        for look in 0..heard.samples.len().div_ceil(STEP) {
            transform.power(&padded[look * STEP..look * STEP + WINDOW], &mut power);
            loudest.iter_mut().zip(&power).for_each(|(most, power)| *most = most.max(*power));
            if (look + 1) % self.each != 0 && look + 1 < self.looks {
                continue;
            }
            for (bin, power) in loudest.iter_mut().enumerate() {
                // A sine of amplitude 1 is (WINDOW / 4)^2 in its bin.
                let level =
                    10.0 * (*power / (WINDOW * WINDOW / 16) as f32).max(1e-12).log10() + FULL_SCALE as f32;
                let colour = heat((level - FAINTEST) / -FAINTEST);
                self.canvas.dot(LEFT + look / self.each, self.top + ROWS - 1 - bin, colour);
                *power = 0.0;
            }
        }
    }

    /// The digits that were heard, below the sound.
    fn digits(&mut self, heard: &Heard) {
        for key in heard.scan.keys.iter().filter(|key| key.rejected.is_none()) {
            let middle = self.column(key.start.midpoint(key.end) as f64 / 8.0);
            let x = middle.saturating_sub(LETTER_WIDTH / 2);
            self.canvas.write(x, self.top + ROWS + 5, &key.digit.to_string(), [255, 255, 255]);
        }
    }

    fn expected(&mut self, sound: &Sound, colour: Colour) {
        match &sound.what {
            What::Key(digit) => {
                let (row, column) = dtmf::frequencies(*digit).unwrap_or_default();
                self.frames(sound.start, sound.end, &[row, column], colour);
                let middle = self.column(f64::midpoint(sound.start, sound.end));
                let x = middle.saturating_sub(LETTER_WIDTH / 2);
                self.canvas.write(x, self.top - LETTER_HEIGHT - 2, &digit.to_string(), colour);
            }
            What::Tone(frequencies) => self.frames(sound.start, sound.end, frequencies, colour),
            What::Cadence(plan) => {
                for (from, to, frequencies) in plan.tones(sound.end - sound.start) {
                    self.frames(sound.start + from, sound.start + to, frequencies, colour);
                }
            }
        }
    }

    fn extras(&mut self, heard: &Heard, differences: &[&Difference]) {
        let is_extra = |start: usize| {
            let at = start as f64 / 8.0;
            differences
                .iter()
                .any(|difference| matches!(difference.kind, Kind::Extra { at: own, .. } if own == at))
        };
        for key in heard.scan.keys.iter().filter(|key| key.rejected.is_none() && is_extra(key.start)) {
            self.frames(key.start as f64 / 8.0, key.end as f64 / 8.0, &key.frequencies, EXTRA);
        }
        for tone in heard.scan.tones.iter().filter(|tone| is_extra(tone.start)) {
            self.frames(tone.start as f64 / 8.0, tone.end as f64 / 8.0, &tone.frequencies, EXTRA);
        }
    }

    fn frames(&mut self, start: f64, end: f64, frequencies: &[f64], colour: Colour) {
        let left = self.column(start);
        let columns: Range<usize> = left..self.column(end).max(left + 2);
        for frequency in frequencies {
            let rows = self.row(frequency + REACH)..self.row(frequency - REACH);
            self.canvas.frame(columns.clone(), rows, colour);
        }
    }
}

/// From black through blue to white, so that no frame is lost in it.
fn heat(share: f32) -> Colour {
    const STOPS: [[f32; 3]; 5] = [
        [0.0, 0.0, 0.0],
        [14.0, 22.0, 76.0],
        [44.0, 84.0, 170.0],
        [134.0, 180.0, 225.0],
        [255.0, 255.0, 255.0],
    ];
    let place = share.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let below = (place as usize).min(STOPS.len() - 2);
    let aside = place - below as f32;
    std::array::from_fn(|part| {
        (STOPS[below][part] + aside * (STOPS[below + 1][part] - STOPS[below][part])) as u8
    })
}
