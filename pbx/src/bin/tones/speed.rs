//! How fast it listens: all recordings several times, of which the best counts, for the machine has other things to do as well.

use super::{Wrong, read_recording, scan_of};
use std::hint::black_box;
use std::path::{Path, PathBuf};

/// How often all of them are listened to.
const ROUNDS: u32 = 5;

/// Where Linux says for how many nanoseconds a thread has had a processor.
const TAKEN: &str = "/proc/thread-self/schedstat";

/// A line that says it: with the reading of files, and bringing them to 8000 samples a second, and without. What others do
/// meanwhile is not counted.
pub(super) fn measure(files: &[PathBuf], only_keys: bool) -> Result<String, Wrong> {
    let (mut best, mut best_alone, mut samples) = (f64::MAX, f64::MAX, 0);
    for _ in 0..ROUNDS {
        samples = 0;
        let (begin, mut alone) = (taken()?, 0.0);
        for path in files {
            let recording = read_recording(path)?;
            for channel in 0..recording.channels.len() {
                let sound = recording.narrowband(channel);
                let read = taken()?;
                black_box(scan_of(black_box(&sound), only_keys));
                alone += taken()? - read;
                samples += sound.len();
            }
        }
        best = best.min(taken()? - begin);
        best_alone = best_alone.min(alone);
    }
    let what = if only_keys { "keys" } else { "keys, tones and rhythms" };
    let sound = samples as f64 / 8_000.0;
    let [times, times_alone] = [best, best_alone].map(|time| sound / time.max(1e-3));
    Ok(format!(
        "{what}: {sound:.1} s of sound in {best:.3} s of one core, {times:.0} times real time; \
         {best_alone:.3} s without reading files, {times_alone:.0} times\n"
    ))
}

/// Seconds of a processor that this thread has had.
fn taken() -> Result<f64, Wrong> {
    let path = Path::new(TAKEN);
    let text = std::fs::read_to_string(path).map_err(|error| Wrong::with(path, error))?;
    let nanos = text.split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
    nanos.map(|nanos| nanos / 1e9).ok_or_else(|| Wrong::with(path, "there is no time in it"))
}
