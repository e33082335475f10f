//! Steady tones in a recording, one sine or two: where each begins and ends.

use super::fit::Sines;
use super::keys::level;
use super::noise;
use super::pitch;
use super::spectrum::Transform;

/// Samples of a frame, seen through Hann's window: 100 ms part 440 Hz from 480.
const FRAME: usize = 800;
/// Samples from one frame to the next.
const STEP: usize = 160;
const LENGTH: usize = 1_024;
/// A peak has at least this share of the energy in its frame, and all peaks together this.
const LEAST_PEAK: f32 = 0.1;
const LEAST_SHARE: f32 = 0.4;
/// Below this mean square nobody hears anything: about -55 dBm0.
const SILENT: f32 = 8e-7;
/// A tone is over where it has less than this of its amplitude.
const OVER: f32 = 0.3;
/// What is shorter is no tone.
const SHORTEST: usize = 45 * 8;
/// From its start to its end the sines explain at least so much; what they leave is noise then.
const LEAST: f64 = 0.74;
/// What explains more needs no further proof.
const CLEAR: f64 = 0.91;
/// Two sines for so short a time are a tone only when there is hardly anything else: progress tones last longer.
const BRIEF: usize = 150 * 8;
const PURE: f64 = 0.95;
/// Tones of two sines begin and end together, within this.
const TOGETHER: usize = 60 * 8;

/// A tone that was heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Tone {
    /// Its frequencies in Hz, one or two, the lower first.
    pub frequencies: Vec<f64>,
    /// Their levels in dBm0.
    pub levels: Vec<f64>,
    /// Its first sample at 8000 Hz, and the one after its last.
    pub start: usize,
    /// See `start`.
    pub end: usize,
    /// What the sines explain over what they do not, in dB.
    pub snr: f64,
}

/// The steady tones in samples at 8000 Hz, full scale 1, in order.
pub fn tones(samples: &[f32]) -> Vec<Tone> {
    let mut stretches: Vec<Stretch> = tracks(samples).iter().flat_map(Track::stretches).collect();
    stretches.sort_by_key(|stretch| (stretch.start, stretch.end));
    let mut tones: Vec<Tone> = Vec::new();
    let mut taken = vec![false; stretches.len()];
    for at in 0..stretches.len() {
        if taken[at] {
            continue;
        }
        let one = &stretches[at];
        let near = |other: &Stretch| {
            other.start.abs_diff(one.start) < TOGETHER && other.end.abs_diff(one.end) < TOGETHER
        };
        let other = (at + 1..stretches.len()).find(|other| !taken[*other] && near(&stretches[*other]));
        let tone = match other {
            Some(other) => {
                let pair = [one.frequency, stretches[other].frequency];
                let both = one.and(&stretches[other]);
                let dual = measure(samples, pair, &both);
                taken[other] = dual.is_some();
                dual.or_else(|| measure(samples, [one.frequency], one))
            }
            None => measure(samples, [one.frequency], one),
        };
        tones.extend(tone);
    }
    part(&mut tones);
    tones
}

/// A peak in one frame.
#[derive(Clone, Copy, Debug)]
struct Peak {
    frequency: f64,
    amplitude: f32,
}

/// One frequency over frames in a row.
#[derive(Debug)]
struct Track {
    first: usize,
    /// Frequency and amplitude a frame; none where it was missed once.
    peaks: Vec<Option<Peak>>,
}

/// Where a frequency is loud enough, roughly, in samples.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    start: usize,
    end: usize,
    frequency: f64,
}

impl Stretch {
    fn and(&self, other: &Stretch) -> Stretch {
        Stretch { start: self.start.min(other.start), end: self.end.max(other.end), ..*self }
    }
}

impl Track {
    fn last(&self) -> Option<(usize, Peak)> {
        let at = self.peaks.iter().rposition(Option::is_some)?;
        Some((self.first + at, self.peaks[at]?))
    }

    /// The parts in which it has its strength.
    fn stretches(&self) -> Vec<Stretch> {
        let mut stretches: Vec<(usize, usize, f64, f32)> = Vec::new();
        let loudest = |from: usize, to: usize| {
            self.peaks[from..to].iter().flatten().map(|peak| peak.amplitude).fold(0.0, f32::max)
        };
        for (at, peak) in self.peaks.iter().enumerate() {
            let Some(peak) = peak else { continue };
            let near = loudest(at.saturating_sub(6), (at + 7).min(self.peaks.len()));
            if peak.amplitude < OVER * near {
                continue;
            }
            let frame = self.first + at;
            match stretches.last_mut() {
                Some(last) if last.1 + 1 >= frame => {
                    last.1 = frame;
                    if peak.amplitude > last.3 {
                        (last.2, last.3) = (peak.frequency, peak.amplitude);
                    }
                }
                _ => stretches.push((frame, frame, peak.frequency, peak.amplitude)),
            }
        }
        let stretch = |(first, last, frequency, _): (usize, usize, f64, f32)| Stretch {
            start: first * STEP + FRAME / 4,
            end: last * STEP + FRAME * 3 / 4,
            frequency,
        };
        stretches.into_iter().map(stretch).collect()
    }
}

fn tracks(samples: &[f32]) -> Vec<Track> {
    let mut spectra = Spectra::new(samples);
    let mut open: Vec<Track> = Vec::new();
    let mut closed = Vec::new();
    for frame in 0..spectra.frames() {
        let mut peaks = spectra.peaks(frame);
        for track in &mut open {
            let Some((_, last)) = track.last() else { continue };
            let near =
                |peak: &Peak| (peak.frequency - last.frequency).abs() < (0.01 * last.frequency).max(6.0);
            let found = peaks.iter().position(near).map(|at| peaks.swap_remove(at));
            track.peaks.push(found);
        }
        let (going, gone): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|track| track.last().is_some_and(|(at, _)| at + 2 > frame));
        open = going;
        closed.extend(gone);
        open.extend(peaks.into_iter().map(|peak| Track { first: frame, peaks: vec![Some(peak)] }));
    }
    closed.extend(open);
    closed.retain(|track| track.peaks.len() >= 2);
    // Frames were counted from half a frame before the first sample.
    closed.sort_by_key(|track| track.first);
    closed
}

/// The spectra of all frames, made two at a time.
struct Spectra {
    /// Half a frame of nothing before and behind, so that what begins at once is seen.
    padded: Vec<f32>,
    transform: Transform,
    powers: [Vec<f32>; 2],
    windowed: [f32; 2],
}

impl Spectra {
    fn new(samples: &[f32]) -> Spectra {
        let mut padded = vec![0.0; FRAME / 2];
        padded.extend_from_slice(samples);
        padded.resize(samples.len() + FRAME, 0.0);
        let transform = Transform::new(FRAME, LENGTH);
        Spectra { padded, transform, powers: [Vec::new(), Vec::new()], windowed: [0.0; 2] }
    }

    fn frames(&self) -> usize {
        (self.padded.len() - FRAME) / STEP + 1
    }

    /// The peaks of a frame; frames are asked for in order.
    fn peaks(&mut self, frame: usize) -> Vec<Peak> {
        let is_silent = |stretch: &[f32]| stretch.iter().map(|x| x * x).sum::<f32>() < SILENT * FRAME as f32;
        let half = frame % 2;
        if half == 0 {
            let (padded, last) = (&self.padded, self.frames() - 1);
            let both = [frame, frame + 1].map(|number| &padded[number.min(last) * STEP..][..FRAME]);
            if both.iter().all(|stretch| is_silent(stretch)) {
                self.windowed = [0.0; 2];
            } else {
                let [one, other] = &mut self.powers;
                self.windowed = self.transform.powers(both, [one, other]);
            }
        }
        if is_silent(&self.padded[frame * STEP..][..FRAME]) {
            return Vec::new();
        }
        peaks(&self.powers[half], self.windowed[half])
    }
}

fn peaks(power: &[f32], windowed: f32) -> Vec<Peak> {
    // A sine of amplitude a is a^2 (N/4)^2 in its peak and a^2 3N/16 in the energy, through Hann's window.
    let share = |power: f32| power * 3.0 / FRAME as f32 / windowed.max(1e-12);
    let mut peaks = Vec::new();
    let mut all = 0.0;
    for bin in 3..power.len() - 2 {
        let (low, middle, high) = (power[bin - 1], power[bin], power[bin + 1]);
        if middle > low && middle >= high && share(middle) > LEAST_PEAK {
            let [low, top, high] = [low, middle, high].map(|p| f64::from(p.max(1e-20)).ln());
            let off = (low - high) / (2.0 * (low - 2.0 * top + high)).min(-1e-9);
            let frequency = (bin as f64 + off) * 8_000.0 / LENGTH as f64;
            peaks.push(Peak { frequency, amplitude: 4.0 * middle.sqrt() / FRAME as f32 });
            all += share(middle);
        }
    }
    if all < LEAST_SHARE || peaks.len() > 4 {
        peaks.clear();
    }
    peaks
}

/// Measures sines near these frequencies around a stretch; `None` when there is no such tone.
fn measure<const K: usize>(samples: &[f32], guess: [f64; K], stretch: &Stretch) -> Option<Tone> {
    let back = |place: usize| place.saturating_sub(FRAME / 2).min(samples.len());
    let (from, to) = (back(stretch.start), back(stretch.end));
    if from + 160 > to {
        return None;
    }
    let middle = from.midpoint(to);
    let reach = ((to - from) / 2).min(1_600);
    let core = &samples[middle - reach..(middle + reach).min(samples.len())];
    let frequencies = refine(core, guess);
    let margin = 480;
    let start_from = from.saturating_sub(margin);
    let end_to = (to + margin).min(samples.len());
    let (start, end) = if end_to - start_from <= 4_000 {
        let sines = Sines::new(&samples[start_from..end_to], frequencies);
        let (start, end) = sines.edges(20, 320.min(sines.len()));
        (start_from + start, start_from + end)
    } else {
        // Of a long tone both ends are looked for apart.
        let head = &samples[start_from..from + 1_200];
        let start = Sines::new(head, frequencies).edge(20, true);
        let tail_from = to - 1_200;
        let tail = &samples[tail_from..end_to];
        (start_from + start, tail_from + Sines::new(tail, frequencies).edge(20, false))
    };
    if start + SHORTEST > end {
        return None;
    }
    let (share, levels) = strength(&samples[start..end], frequencies);
    if !is_clear(&samples[start..end], frequencies, share) {
        return None;
    }
    let mut order: Vec<usize> = (0..K).collect();
    order.sort_by(|a, b| frequencies[*a].total_cmp(&frequencies[*b]));
    Some(Tone {
        frequencies: order.iter().map(|at| frequencies[*at]).collect(),
        levels: order.iter().map(|at| level(levels[*at])).collect(),
        start,
        end,
        snr: 10.0 * (share / (1.0 - share).max(1e-6)).log10(),
    })
}

/// What part sines explain, in pieces of 100 ms (no packet that is lost spoils more than its piece), and the amplitudes.
fn strength<const K: usize>(samples: &[f32], frequencies: [f64; K]) -> (f64, [f64; K]) {
    let (mut explained, mut energy, mut levels) = (0.0, 0.0, [0.0; K]);
    let pieces = samples.len().div_ceil(FRAME);
    for piece in 0..pieces {
        let part = &samples[samples.len() * piece / pieces..samples.len() * (piece + 1) / pieces];
        let fit = Sines::new(part, frequencies).fit(0, part.len());
        explained += fit.explained;
        energy += fit.energy;
        for (level, amplitude) in levels.iter_mut().zip(fit.amplitudes()) {
            *level += amplitude / pieces as f64;
        }
    }
    (explained / energy.max(1e-12), levels)
}

/// Whether there is a tone and, if anything, noise; a voice sings for a moment too, and has more beside its pitch.
fn is_clear<const K: usize>(samples: &[f32], frequencies: [f64; K], share: f64) -> bool {
    if share < LEAST {
        return false;
    }
    if K > 1 && samples.len() < BRIEF {
        return share > PURE;
    }
    if share > CLEAR {
        return true;
    }
    let middle = (samples.len().saturating_sub(FRAME)) / 2;
    let part = &samples[middle..(middle + FRAME).min(samples.len())];
    let sines = Sines::new(part, frequencies);
    noise::prominence(&sines.leave(&sines.fit(0, part.len()), part, 0), &[]) < 14.0
}

/// Of two tones at one time the longer counts.
fn part(tones: &mut Vec<Tone>) {
    tones.sort_by_key(|tone| (std::cmp::Reverse(tone.end - tone.start), tone.start));
    let mut kept: Vec<Tone> = Vec::new();
    for tone in tones.drain(..) {
        let hides = |other: &Tone| {
            let overlap = other.end.min(tone.end).saturating_sub(other.start.max(tone.start));
            2 * overlap > tone.end - tone.start
        };
        if !kept.iter().any(hides) {
            kept.push(tone);
        }
    }
    kept.sort_by_key(|tone| tone.start);
    *tones = kept;
}

/// The frequencies measured over all of `core`, each without the others.
fn refine<const K: usize>(core: &[f32], mut frequencies: [f64; K]) -> [f64; K] {
    let rounds = if K == 1 { 1 } else { 3 };
    for _ in 0..rounds {
        for k in 0..K {
            let others = Sines::new(core, frequencies);
            let mut fit = others.fit(0, core.len());
            fit.keep_out(k);
            let alone = others.leave(&fit, core, 0);
            [frequencies[k]] = pitch::frequencies(&alone, [frequencies[k]], 8.0);
        }
    }
    frequencies
}
