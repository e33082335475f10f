//! What listening costs: a minute of a call looked through for keys, and for keys and tones; a frame of 20 ms as it comes.
//!
//! Divide 60 s by what is measured for how many times real time that is.

use criterion::{Criterion, criterion_group, criterion_main};
use pbx::tone::scan::{self, Instruments, Listener};
use pbx::tone::schedule::Schedule;
use std::hint::black_box;

fn whole(c: &mut Criterion) {
    let minute = minute();
    c.bench_function("tones/keys in a minute", |b| b.iter(|| scan::keys(black_box(&minute))));
    c.bench_function("tones/keys and tones in a minute", |b| b.iter(|| scan::scan(black_box(&minute))));
}

fn stream(c: &mut Criterion) {
    let minute = minute();
    let (mut instruments, mut listener) = (Instruments::default(), Listener::default());
    let mut frames = minute.chunks(160).cycle();
    c.bench_function("tones/20 ms as they come", |b| {
        b.iter(|| {
            let frame = frames.next().unwrap_or_default();
            let mut heard = 0;
            listener.receive(frame.iter().copied(), &mut instruments, |_| heard += 1);
            heard
        });
    });
}

/// A minute with noise, a voice that goes up and down, forty keys and call progress.
fn minute() -> Vec<f32> {
    let text = r#"
        length_ms = 60000
        [[channel]]
        noise_dbm0 = -45
        tones = [
          { at_ms = 1000, digits = "0123456789*#ABCD0123", for_ms = 60, pause_ms = 60 },
          { at_ms = 5000, cadence = "us ringback", for_ms = 14000 },
          { at_ms = 40000, digits = "3210DCBA#*9876543210", for_ms = 100, pause_ms = 100 },
          { at_ms = 50000, cadence = "us busy", for_ms = 8000 },
        ]
    "#;
    let schedule = Schedule::read(text).expect("a schedule");
    let mut samples = schedule.render().channels.swap_remove(0);
    for (n, sample) in samples[20 * 8_000..39 * 8_000].iter_mut().enumerate() {
        let time = n as f32 / 8_000.0;
        let pitch = 140.0 * time + 4.0 * (5.0 * time).sin();
        let voice: f32 =
            (1..16).map(|k| (std::f32::consts::TAU * (pitch * k as f32).fract()).sin() / k as f32).sum();
        *sample += 0.1 * voice;
    }
    samples
}

criterion_group!(benches, whole, stream);
criterion_main!(benches);
