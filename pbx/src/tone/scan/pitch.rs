//! The frequency of a sine, as exactly as so many samples tell it.

use super::fit::{Complex, Pairs, square, turn, units};
use smallvec::SmallVec;
use std::f64::consts::TAU;

/// Samples that are summed before it is asked how fast they turn.
const BLOCK: usize = 16;
/// Up to so many samples no memory is asked for.
const SHORT: usize = 512;

/// The frequency within `aside` Hz of each that is `nominal` at which there is most.
pub(super) fn frequencies<const K: usize>(samples: &[f32], nominal: [f64; K], aside: f64) -> [f64; K] {
    // Turned down by the nominal frequency and summed over short blocks, what is left turns slowly.
    let steps = units(nominal.map(|nominal| -TAU * nominal / 8_000.0));
    let mut wave = ([1.0; K], [0.0; K]);
    let mut blocks = SmallVec::<[Pairs<K>; SHORT / BLOCK]>::new();
    for block in samples.chunks(BLOCK) {
        let mut sum = ([0.0; K], [0.0; K]);
        for sample in block {
            let x = f64::from(*sample);
            for k in 0..K {
                sum.0[k] += x * wave.0[k];
                sum.1[k] += x * wave.1[k];
            }
            turn(&mut wave, &steps);
        }
        blocks.push(sum);
    }
    std::array::from_fn(|k| {
        let blocks = blocks.iter().map(move |block| (block.0[k], block.1[k]));
        nominal[k] + strongest(blocks, samples.len(), aside)
    })
}

/// How far off the blocks turn that are so many samples long together.
fn strongest(blocks: impl Iterator<Item = Complex> + Clone, samples: usize, aside: f64) -> f64 {
    /// Places that are looked at side by side.
    const PLACES: usize = 4;
    let powers = |offs: [f64; PLACES]| {
        let steps = units(offs.map(|off| -TAU * off * BLOCK as f64 / 8_000.0));
        let (mut wave, mut sum) = (([1.0; PLACES], [0.0; PLACES]), ([0.0; PLACES], [0.0; PLACES]));
        for block in blocks.clone() {
            for place in 0..PLACES {
                sum.0[place] += block.0 * wave.0[place] - block.1 * wave.1[place];
                sum.1[place] += block.0 * wave.1[place] + block.1 * wave.0[place];
            }
            turn(&mut wave, &steps);
        }
        std::array::from_fn::<f64, PLACES, _>(|place| square((sum.0[place], sum.1[place])))
    };
    let mut step = 8_000.0 / samples.max(1) as f64 / 3.0;
    let steps = (aside / step).ceil() as i32;
    let mut best = (f64::MIN, 0.0);
    for first in (-steps..=steps).step_by(PLACES) {
        let offs = std::array::from_fn(|place| f64::from((first + place as i32).min(steps)) * step);
        for (power, off) in powers(offs).into_iter().zip(offs) {
            if power > best.0 {
                best = (power, off);
            }
        }
    }
    let mut off = best.1;
    for _ in 0..3 {
        let [low, middle, high, _] = powers([-1.0, 0.0, 1.0, 1.0].map(|n| off + n * step));
        let bend = low - 2.0 * middle + high;
        if bend < 0.0 {
            off += (step * (low - high) / (2.0 * bend)).clamp(-step, step);
        }
        step /= 3.0;
    }
    off
}
