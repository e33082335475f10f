//! `report.html`: all that is known of a run on one page, which needs nothing beside it and no network.
//!
//! The story and the ladder can be read without JavaScript; it adds a filter and the spectrograms.

use super::sound::{Listener, Track};
use super::{Run, recording_name, rows, wav};
use crate::ladder::Ladder;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pbx::time::Instant;
use serde_json::Value;
use std::fmt::{self, Write as _};

const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// So many bytes of sound stand in the page; what is longer is only beside it.
const SOUND: usize = 4 << 20;

pub(super) fn page(run: &Run, ladder: &Ladder, listeners: &[Listener]) -> String {
    let verdict = match &run.trouble {
        Some(trouble) if trouble.is_rule => ("bad", "a rule is broken"),
        Some(_) => ("bad", "failed"),
        None => ("good", "all well"),
    };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'; media-src data:\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style></head>\n<body>\n\
         <header><h1>{title} <b class=\"{}\">{}</b></h1>\n\
         <p>{} &middot; seed {} &middot; {:.3} s of virtual time</p>\n\
         <p class=\"replay\">Play it again: <code>{}</code></p></header>\n<main>\n",
        verdict.0,
        verdict.1,
        Text(&run.place),
        run.snapshot.seed,
        seconds(run.snapshot.at),
        Text(&run.replay),
        title = Text(&run.title),
    );
    page.push_str(&story(run));
    page.push_str(&rows::ladder(run, ladder));
    page.push_str(&sounds(run, listeners));
    page.push_str(&records(&run.snapshot.records));
    page.push_str(&log(run));
    page.push_str(&state(&run.snapshot.state));
    let _ = write!(page, "</main>\n<script>\n{SCRIPT}</script>\n</body></html>\n");
    page
}

/// The sentences, the one that does not hold among them, and why.
fn story(run: &Run) -> String {
    let mut text = "<section id=\"story\"><h2>What was said</h2>\n<ol class=\"story\">\n".to_owned();
    for sentence in &run.sentences {
        let (class, at) = match (sentence.at, sentence.failed) {
            (Some(at), true) => ("bad", format!("{:.3} s", seconds(at))),
            (Some(at), false) => ("held", format!("{:.3} s", seconds(at))),
            (None, _) => ("skipped", "skipped".to_owned()),
        };
        let _ = writeln!(
            text,
            "<li class=\"{class}\"><time>{at}</time> <span>{}</span></li>",
            Text(&sentence.text)
        );
    }
    text.push_str("</ol>\n");
    if let Some(trouble) = &run.trouble {
        let _ = writeln!(
            text,
            "<p class=\"trouble\">{}<br><a href=\"#break\">at {:.3} s in the ladder</a></p>",
            Lines(&trouble.text),
            seconds(trouble.at)
        );
    }
    text.push_str("</section>\n");
    text
}

/// What everybody heard and said: to be listened to, in words, and as a picture.
fn sounds(run: &Run, listeners: &[Listener]) -> String {
    if listeners.is_empty() {
        return String::new();
    }
    let mut text = "<section id=\"sound\"><h2>What was heard</h2>\n\
                    <p class=\"hint\">Taken from the packets that reached a telephone or left it. Dashed lines are the \
                    tones by which people are known here; a tick is a sentence.</p>\n"
        .to_owned();
    let mut room = SOUND;
    for listener in listeners {
        let _ = writeln!(text, "<h3>{}</h3>\n<div class=\"pair\">", Text(&listener.name));
        for (what, track) in [("heard", &listener.heard), ("said", &listener.said)] {
            text.push_str(&sound(run, listener, what, track, &mut room));
        }
        text.push_str("</div>\n");
    }
    text.push_str("</section>\n");
    text
}

fn sound(run: &Run, listener: &Listener, what: &str, track: &Track, room: &mut usize) -> String {
    let name = Text(&listener.name);
    if track.is_empty() {
        return format!("<figure><figcaption>{name} {what} nothing</figcaption></figure>\n");
    }
    let stretches = track.stretches(&run.snapshot.voices);
    let words: String = stretches
        .iter()
        .take(40)
        .map(|one| {
            let (from, to) = (seconds(one.from), seconds(one.to));
            format!("<li><time>{from:.2}&ndash;{to:.2} s</time> {}</li>", Text(&one.what))
        })
        .collect();
    let words = if words.is_empty() { "<li>silence</li>".to_owned() } else { words };
    let more = stretches.len().saturating_sub(40);
    let more = if more > 0 { format!("<li>and {more} more</li>") } else { String::new() };
    let file = wav::mono(&track.samples);
    let player = if file.len() <= *room {
        *room -= file.len();
        let (begins, voices, marks) = (seconds(track.starts()), voices(run), marks(run));
        format!(
            "<canvas data-begins=\"{begins:.6}\" data-voices=\"{voices}\" data-marks=\"{marks}\"></canvas>\n\
             <audio controls preload=\"metadata\" src=\"data:audio/wav;base64,{}\"></audio>\n",
            BASE64.encode(&file)
        )
    } else {
        format!("<p class=\"hint\">Too long for this page: <code>{}</code></p>\n", recording_name(listener))
    };
    format!(
        "<figure><figcaption>{name} {what}, {:.2} s from {:.3} s on</figcaption>\n{player}\
         <ul class=\"stretches\">{words}{more}</ul></figure>\n",
        track.length().as_secs_f64(),
        seconds(track.starts())
    )
}

/// The tones that are expected: those by which people are known.
fn voices(run: &Run) -> String {
    let voices: Vec<Value> =
        run.snapshot.voices.iter().map(|(name, tone)| serde_json::json!([name, tone])).collect();
    Text(&Value::from(voices).to_string()).to_string()
}

/// When the sentences were said.
fn marks(run: &Run) -> String {
    let said = run.sentences.iter().filter_map(|sentence| Some((sentence.at?, sentence)));
    let marks: Vec<Value> =
        said.map(|(at, said)| serde_json::json!([seconds(at), said.text, said.failed])).collect();
    Text(&Value::from(marks).to_string()).to_string()
}

fn records(records: &[Value]) -> String {
    let mut text = "<section id=\"records\"><h2>Call records</h2>\n".to_owned();
    if records.is_empty() {
        text.push_str("<p class=\"hint\">None was written.</p>\n");
    }
    for record in records.iter().rev().take(50).rev() {
        text.push_str("<table>\n");
        for (key, value) in record.as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let _ = writeln!(text, "<tr><th>{}</th><td>{}</td></tr>", Text(key), Text(&value));
        }
        text.push_str("</table>\n");
    }
    text.push_str("</section>\n");
    text
}

fn log(run: &Run) -> String {
    let mut text = "<section id=\"log\"><h2>Log</h2>\n<pre>".to_owned();
    for line in &run.snapshot.log {
        let class = line.level.as_str().to_ascii_lowercase();
        let _ = writeln!(text, "<span class=\"{class}\">{}</span>", Text(&line.to_string()));
    }
    text.push_str("</pre></section>\n");
    text
}

fn state(state: &Value) -> String {
    let state = serde_json::to_string_pretty(state).expect("a state is a value");
    format!(
        "<section id=\"state\"><h2>At the end</h2>\n<details><summary>How the PBX and the telephones were</summary>\
         <pre>{}</pre></details></section>\n",
        Text(&state)
    )
}

pub(super) fn seconds(at: Instant) -> f64 {
    at.as_nanos() as f64 / 1e9
}

/// A text as it stands in a page, in an attribute too.
pub(super) struct Text<'a>(pub(super) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // A page has no place for the other controls, not even escaped.
                letter if letter.is_control() && !"\r\n\t".contains(letter) => f.write_str("\u{fffd}")?,
                letter => write!(f, "{letter}")?,
            }
        }
        Ok(())
    }
}

/// The same, in lines.
struct Lines<'a>(&'a str);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, line) in self.0.lines().enumerate() {
            write!(f, "{}{}", if at > 0 { "<br>" } else { "" }, Text(line))?;
        }
        Ok(())
    }
}
