//! The program `tones`: says which keys, tones and rhythms recordings hold, holds them against a schedule, and makes
//! recordings from one. Listening and judging is in the library, [`pbx::tone`]; here are files, and what people and programs
//! are shown.
//!
//! | file | what is in it |
//! |---|---|
//! | `report.rs` | what is printed: the table, JSON, the verdict |
//! | `speed.rs` | how fast it listens |
//! | `picture.rs` | the spectrogram |
//! | `canvas.rs` | dots, frames and letters in it |

mod canvas;
mod picture;
mod report;
mod speed;

use clap::{Parser, Subcommand};
use pbx::audio::recording::Recording;
use pbx::tone::scan::{self, Scan};
use pbx::tone::schedule::Schedule;
use pbx::tone::verdict::{Difference, Heard, compare};
use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A recording is not as expected.
const OTHERWISE: u8 = 1;
/// A file or an argument is wrong.
const WRONG: u8 = 2;
/// A larger file is no recording of a call: a WAV file's lengths have 32 bits.
const LARGEST: u64 = 1 << 32;

/// DTMF, tones and call progress in recordings: found, expected, made.
#[derive(Parser)]
#[command(
    name = "tones",
    version,
    after_help = "Exit codes: 0 all is well, 1 a recording is not as expected, 2 a file or an argument is wrong."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say what recordings hold, or whether they hold what they should
    Detect(Detect),
    /// Make the recording of a schedule
    Make {
        /// What it is to hold (TOML)
        schedule: PathBuf,
        /// The WAV file to write
        out: PathBuf,
    },
}

#[derive(clap::Args)]
struct Detect {
    /// WAV files: PCM, floating point or G.711, 8 kHz and more, a channel a leg
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Hold the recordings against this schedule (TOML); exit code 1 when one differs
    #[arg(long, value_name = "SCHEDULE")]
    expect: Option<PathBuf>,
    /// Draw the recording into this file (PNG), with what was expected
    #[arg(long, value_name = "OUT.png")]
    spectrogram: Option<PathBuf>,
    /// Listen for DTMF alone, which is faster
    #[arg(long, conflicts_with = "expect")]
    dtmf: bool,
    /// Listen to all files five times, and say only how much faster than real time the best was
    #[arg(long, conflicts_with_all = ["json", "expect", "spectrogram"])]
    speed: bool,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Detect(wish) => detect(&wish),
        Command::Make { schedule, out } => make(&schedule, &out).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|wrong| {
        complain(&wrong.0);
        ExitCode::from(WRONG)
    })
}

/// Why nothing could be done: which file, and what is wrong with it.
struct Wrong(String);

impl Wrong {
    fn with(path: &Path, why: impl Display) -> Wrong {
        Wrong(format!("{}: {why}", path.display()))
    }
}

fn make(schedule: &Path, out: &Path) -> Result<(), Wrong> {
    let schedule = read_schedule(schedule)?;
    write(out, &schedule.render().to_wav(schedule.encoding))
}

/// A recording and all that was heard in it.
struct Listened<'a> {
    path: &'a Path,
    recording: Recording,
    channels: Vec<Heard>,
    /// In what it differs; `None` when nothing was expected.
    differences: Option<Vec<Difference>>,
}

fn detect(wish: &Detect) -> Result<ExitCode, Wrong> {
    if wish.speed {
        print(&speed::measure(&wish.files, wish.dtmf)?);
        return Ok(ExitCode::SUCCESS);
    }
    let schedule = wish.expect.as_deref().map(read_schedule).transpose()?;
    if wish.spectrogram.is_some() && wish.files.len() > 1 {
        return Err(Wrong("--spectrogram draws one file, and there are several".to_owned()));
    }
    let mut code = 0;
    let mut heard = Vec::new();
    for path in &wish.files {
        match listen(path, wish.dtmf, schedule.as_ref()) {
            Ok(listened) => {
                let is_otherwise = listened.differences.as_ref().is_some_and(|all| !all.is_empty());
                code = code.max(if is_otherwise { OTHERWISE } else { 0 });
                heard.push(listened);
            }
            Err(wrong) => {
                complain(&wrong.0);
                code = WRONG;
            }
        }
    }
    if wish.json {
        print(&report::json(&heard));
        complain_all(&heard);
    } else if let Some(schedule) = &schedule {
        heard.iter().for_each(|listened| print(&report::verdict(listened, schedule)));
    } else {
        heard.iter().for_each(|listened| print(&report::table(listened)));
    }
    if let (Some(out), Some(listened)) = (&wish.spectrogram, heard.first()) {
        write(out, &picture::png(listened, schedule.as_ref()).map_err(|error| Wrong::with(out, error))?)?;
    }
    Ok(ExitCode::from(code))
}

fn listen<'a>(path: &'a Path, only_keys: bool, schedule: Option<&Schedule>) -> Result<Listened<'a>, Wrong> {
    let recording = read_recording(path)?;
    let hear = |channel: usize| {
        let samples = recording.narrowband(channel);
        Heard { scan: scan_of(&samples, only_keys), samples }
    };
    let channels: Vec<Heard> = (0..recording.channels.len()).map(hear).collect();
    let differences = schedule.map(|schedule| compare(schedule, &channels));
    Ok(Listened { path, recording, channels, differences })
}

fn scan_of(samples: &[f32], only_keys: bool) -> Scan {
    if only_keys { Scan { keys: scan::keys(samples), ..Scan::default() } } else { scan::scan(samples) }
}

fn read_recording(path: &Path) -> Result<Recording, Wrong> {
    Recording::read(&read(path)?).map_err(|error| Wrong::with(path, error))
}

fn read_schedule(path: &Path) -> Result<Schedule, Wrong> {
    let bytes = read(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        Wrong::with(path, format!("byte {}: this is no text (UTF-8)", error.valid_up_to()))
    })?;
    Schedule::read(text).map_err(|error| Wrong::with(path, error))
}

fn read(path: &Path) -> Result<Vec<u8>, Wrong> {
    let size = std::fs::metadata(path).map_err(|error| Wrong::with(path, error))?.len();
    if size > LARGEST {
        return Err(Wrong::with(path, format!("{size} bytes are more than a WAV file can have")));
    }
    std::fs::read(path).map_err(|error| Wrong::with(path, error))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Wrong> {
    std::fs::write(path, bytes).map_err(|error| Wrong::with(path, error))
}

/// Where JSON goes to programs, people read the verdict beside it.
fn complain_all(heard: &[Listened<'_>]) {
    for listened in heard {
        for difference in listened.differences.iter().flatten() {
            complain(&format!("{}: {difference}", listened.path.display()));
        }
    }
}

/// Who has closed the pipe wants no more of it.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "tones: {text}");
}
