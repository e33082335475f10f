//! Independent ears on the tones that are made here: multimon-ng hears the keys, sox the pitch. Where one is missing it is said, and the
//! test passes.

use pbx::audio::wav::Encoding;
use pbx::tone::schedule::Schedule;
use std::path::PathBuf;
use std::process::Command;

#[test]
fn multimon_hears_the_keys() {
    let keys = "0123456789*#ABCD";
    let schedule = format!(
        "length_ms = 4000\n[[channel]]\ntones = [{{ at_ms = 200, digits = \"{keys}\", for_ms = 100, pause_ms = 100 }}]"
    );
    for law in ["pcm16", "alaw", "ulaw"] {
        let file = record(&format!("multimon-{law}"), &format!("encoding = \"{law}\"\n{schedule}"));
        let arguments = ["-q", "-a", "DTMF", "-t", "wav", &file];
        let Some(heard) = run("multimon-ng", &arguments) else { return };
        let heard: String = heard.lines().filter_map(|line| line.strip_prefix("DTMF: ")).collect();
        assert_eq!(heard, keys, "in {law}");
    }
}

#[test]
fn sox_hears_the_pitch() {
    for (frequency, rate) in [(440u32, 8_000), (1_004, 16_000), (2_100, 48_000)] {
        let schedule = format!(
            "rate = {rate}\nlength_ms = 1000\n[[channel]]\ntones = [{{ at_ms = 0, frequencies = [{frequency}], for_ms = 1000 }}]"
        );
        let file = record(&format!("sox-{frequency}"), &schedule);
        let Some(said) = run("sox", &[&file, "-n", "stat"]) else { return };
        let rough = said.lines().find_map(|line| line.strip_prefix("Rough   frequency:"));
        let rough: f64 =
            rough.and_then(|rough| rough.trim().parse().ok()).unwrap_or_else(|| panic!("{said}"));
        assert!((rough / f64::from(frequency) - 1.0).abs() < 0.02, "{rough} and not {frequency} Hz");
    }
}

/// The file of a recording. multimon-ng asks sox for what is not plain.
fn record(name: &str, schedule: &str) -> String {
    let schedule = Schedule::read(schedule).expect("a schedule");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("second_ears");
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(format!("{name}.wav"));
    let encoding: Encoding = schedule.encoding;
    std::fs::write(&path, schedule.render().to_wav(encoding)).expect("our folder can be written");
    path.display().to_string()
}

/// What a program prints; none where it is not there.
fn run(program: &str, arguments: &[&str]) -> Option<String> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Some(text(&output.stdout) + &text(&output.stderr))
        }
        Err(error) => {
            eprintln!("skipped: {program} cannot be started ({error}); apt-get install {program}");
            None
        }
    }
}
