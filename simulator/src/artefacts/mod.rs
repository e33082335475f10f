//! What is left of a run for people and their tools: a page, a capture, sound.
//!
//! A [`Run`] is what is known of a run that is over or stopped, as values; [`Run::files`] makes files of it, and whoever
//! asked writes them down. The names of the files are always the same, so that links to them last.
//!
//! | file | what it makes |
//! |---|---|
//! | `snapshot.rs` | what is known of a world at a moment, `state.json` |
//! | `page.rs`, `rows.rs`, `page/` | `report.html`: all of it, for a browser |
//! | `trace.rs` | `trace.jsonl`: an object a packet |
//! | `capture.rs`, `frame.rs` | `capture.pcapng`: for Wireshark |
//! | `sound.rs`, `wav.rs` | a WAV an actor: what it heard on the left, what it said on the right |
//! | `fault.rs` | what the network did to a packet, in words |

mod capture;
pub(crate) mod fault;
mod frame;
mod page;
mod rows;
mod snapshot;
mod sound;
mod trace;
mod wav;

pub use snapshot::Snapshot;
pub use trace::read as read_trace;

use crate::ladder::Ladder;
use crate::wire::is_media;
use pbx::time::Instant;
use sound::{Listener, Track};

/// So many bytes all files have at most; what has no room is left out, sound first.
pub const LIMIT: usize = 32 << 20;

/// So many packets are written down at most: all messages, and of the sound what is around the break.
const PACKETS: usize = 20_000;

/// A run that is over or stopped.
#[derive(Clone, Debug)]
pub struct Run {
    /// What it is called.
    pub title: String,
    /// Where it is written: `FILE:LINE`.
    pub place: String,
    /// The line that plays it again.
    pub replay: String,
    /// What was said, in order, and what was not said any more.
    pub sentences: Vec<Sentence>,
    /// What was wrong; `None` when nothing was.
    pub trouble: Option<Trouble>,
    /// The fault plan, where there is one: `faults.toml`.
    pub faults: Option<String>,
    /// The world at its end.
    pub snapshot: Snapshot,
}

/// A sentence of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// With its keyword.
    pub text: String,
    /// When it was said; `None` when it was not.
    pub at: Option<Instant>,
    /// Whether it did not hold.
    pub failed: bool,
}

/// What was wrong with a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In words.
    pub text: String,
    /// The moment to look at.
    pub at: Instant,
    /// Whether a rule says so which holds in every run; else it was a sentence.
    pub is_rule: bool,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artefact {
    /// Its name in the folder of the run.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Whether it is to be run.
    pub is_program: bool,
}

impl Run {
    /// The moment to look at: where something is wrong, else the end.
    pub fn moment(&self) -> Instant {
        self.trouble.as_ref().map_or(self.snapshot.at, |trouble| trouble.at)
    }

    /// The files of the run, the most telling first, with at most `limit` bytes.
    pub fn files(&self, limit: usize) -> Vec<Artefact> {
        let snapshot = &self.snapshot;
        let ladder = Ladder::of(&snapshot.packets, &snapshot.names);
        let places = self.places();
        let listeners = sound::listeners(snapshot);
        let about = format!("{}, seed {}: {}", self.title, snapshot.seed, self.verdict());
        let state = serde_json::to_vec_pretty(&snapshot.state).expect("a state is a value");
        let log: String = snapshot.log.iter().map(|line| format!("{line}\n")).collect();
        let mut files = vec![
            Artefact { is_program: true, ..text("replay", format!("#!/bin/sh\nexec {}\n", self.replay)) },
            Artefact { name: "state.json".to_owned(), bytes: state, is_program: false },
            text("pbx.log", log),
        ];
        files.extend(self.faults.clone().map(|faults| text("faults.toml", faults)));
        files.push(text("report.html", page::page(self, &ladder, &listeners)));
        files.push(text(
            "trace.jsonl",
            trace::write(&snapshot.packets, places.iter().copied(), &ladder, &snapshot.names),
        ));
        let bytes = capture::capture(snapshot, &places, &about);
        files.push(Artefact { name: "capture.pcapng".to_owned(), bytes, is_program: false });
        files.extend(listeners.iter().map(recording));
        let mut room = limit;
        files.retain(|file| {
            let fits = file.bytes.len() <= room;
            room -= if fits { file.bytes.len() } else { 0 };
            fits
        });
        files
    }

    /// How it came out, in a line.
    fn verdict(&self) -> &str {
        let first = |trouble: &'_ Trouble| trouble.text.lines().next().unwrap_or_default().len();
        self.trouble.as_ref().map_or("all well", |trouble| &trouble.text[..first(trouble)])
    }

    /// The packets that are written down.
    fn places(&self) -> Vec<usize> {
        let packets = &self.snapshot.packets;
        let (media, messages): (Vec<usize>, Vec<usize>) =
            (0..packets.len()).partition(|at| is_media(&packets[*at]));
        let messages = &messages[messages.len().saturating_sub(PACKETS)..];
        let room = PACKETS - messages.len();
        let middle = media.partition_point(|at| packets[*at].at < self.moment());
        let from = middle.saturating_sub(room / 2).min(media.len().saturating_sub(room));
        let mut places = [messages, &media[from..(from + room).min(media.len())]].concat();
        places.sort_unstable();
        places
    }
}

/// The name of the recording of somebody.
fn recording_name(listener: &Listener) -> String {
    let plain = |letter: char| if letter.is_alphanumeric() || "-_.".contains(letter) { letter } else { '-' };
    format!("{}.wav", listener.name.chars().map(plain).collect::<String>())
}

fn recording(listener: &Listener) -> Artefact {
    let [heard, said] = Track::aligned(&listener.heard, &listener.said);
    Artefact { name: recording_name(listener), bytes: wav::stereo(&heard, &said), is_program: false }
}

fn text(name: &str, text: String) -> Artefact {
    Artefact { name: name.to_owned(), bytes: text.into_bytes(), is_program: false }
}
