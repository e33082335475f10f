//! The ladder of the page: a row an arrow, a message opens to be read, sentences and the break stand between them.

use super::Run;
use super::fault::fault_of;
use super::page::{Text, seconds};
use crate::ladder::{Arrow, Carries, Ladder};
use crate::network::Packet;
use pbx::time::Instant;
use std::fmt::Write as _;
use tracing::Level;

/// So many arrows stand in the page, those around the moment to look at.
const ARROWS: usize = 2_000;

pub(super) fn ladder(run: &Run, ladder: &Ladder) -> String {
    let shown = ladder.around(run.moment(), ARROWS);
    let left_out = ladder.arrows.len() - shown.len();
    let mut text = format!(
        "<section id=\"ladder\" style=\"--lanes:{}\"><h2>What was sent</h2>\n\
         <div class=\"tools\"><input type=\"search\" id=\"filter\" placeholder=\"filter: INVITE, bob, 486, a Call-ID\">\
         <label><input type=\"checkbox\" id=\"no-media\"> no sound</label>\
         <label><input type=\"checkbox\" id=\"no-log\"> no log</label>\
         <label><input type=\"checkbox\" id=\"faults\"> only what was lost, damaged, repeated</label>\
         <span id=\"count\"></span></div>\n",
        ladder.columns.len().max(1)
    );
    if left_out > 0 {
        let _ = writeln!(text, "<p class=\"hint\">{left_out} more are in trace.jsonl.</p>");
    }
    text.push_str("<div class=\"head\"><span></span><span></span><span class=\"lanes\">");
    for column in &ladder.columns {
        let _ = write!(
            text,
            "<span class=\"actor\">{}<small>{}</small></span>",
            Text(&column.name),
            column.address
        );
    }
    text.push_str("</span></div>\n");
    let mut between = between(run).into_iter().peekable();
    let mut last = None;
    for arrow in &ladder.arrows[shown] {
        while let Some((_, row)) = between.next_if(|(at, _)| *at <= arrow.at) {
            text.push_str(&row);
        }
        text.push_str(&row(arrow, last, ladder, &run.snapshot.packets));
        last = Some(arrow.at);
    }
    between.for_each(|(_, row)| text.push_str(&row));
    text.push_str("</section>\n");
    text
}

/// What stands between the arrows: what was said, what was logged, where something is wrong.
fn between(run: &Run) -> Vec<(Instant, String)> {
    let mut rows = Vec::new();
    for sentence in &run.sentences {
        let Some(at) = sentence.at else { continue };
        let class = if sentence.failed { "say bad" } else { "say" };
        rows.push((
            at,
            format!("<div class=\"{class}\">{}<span>{}</span></div>\n", time(at), Text(&sentence.text)),
        ));
    }
    // What only programmers want to know stands in the log below.
    for line in run.snapshot.log.iter().filter(|line| line.level < Level::DEBUG) {
        let class = line.level.as_str().to_ascii_lowercase();
        let text = Text(&line.text);
        rows.push((
            line.at,
            format!("<div class=\"log {class}\">{}<span>{text}</span></div>\n", time(line.at)),
        ));
    }
    rows.sort_by_key(|(at, _)| *at);
    if let Some(trouble) = &run.trouble {
        // A rule is broken by what comes then; that a sentence does not hold is known when it was said.
        let is_before = |at: Instant| if trouble.is_rule { at < trouble.at } else { at <= trouble.at };
        let place = rows.partition_point(|(at, _)| is_before(*at));
        let row = format!(
            "<div class=\"break\" id=\"break\">{}<span>{}</span></div>\n",
            time(trouble.at),
            Text(&trouble.text)
        );
        rows.insert(place, (trouble.at, row));
    }
    rows
}

fn row(arrow: &Arrow, last: Option<Instant>, ladder: &Ladder, packets: &[Packet]) -> String {
    let place = |address| ladder.columns.iter().position(|column| column.address == address).unwrap_or(0);
    let (from, to) = (place(arrow.from), place(arrow.to));
    let class = match &arrow.carries {
        Carries::Media(_) => "media",
        Carries::Event => "event",
        Carries::Message(_) if arrow.label.starts_with(['1', '2', '3']) => "answer",
        Carries::Message(_) if arrow.label.starts_with(['4', '5', '6']) => "refusal",
        Carries::Message(_) => "request",
    };
    let fate = match (arrow.is_lost, arrow.note) {
        (true, _) => " lost",
        (false, "") => "",
        (false, _) => " fault",
    };
    let delta = last.map(|last| format!("+{:.3}", seconds(arrow.at) - seconds(last))).unwrap_or_default();
    let direction = if from <= to { "right" } else { "left" };
    let note = match arrow.note {
        "" => String::new(),
        note => format!(" <em>{note}</em>"),
    };
    format!(
        "<details class=\"row {class}{fate}\"><summary>{}<span class=\"delta\">{delta}</span>\
         <span class=\"lanes\"><span class=\"arrow {direction}\" style=\"--from:{};--span:{}\">\
         <b>{}</b>{note}</span></span></summary>{}</details>\n",
        time(arrow.at),
        from.min(to),
        from.abs_diff(to),
        Text(&arrow.label),
        inside(arrow, packets)
    )
}

/// What opens: between which addresses, what became of it, and the message as it was written.
fn inside(arrow: &Arrow, packets: &[Packet]) -> String {
    let Some(packet) = packets.get(arrow.first_packet) else { return String::new() };
    let mut text = format!("<div class=\"inside\"><p>{} &rarr; {}", packet.from, packet.to);
    let _ = match packet.arrives {
        Some(arrives) => write!(text, ", arrives at {:.6} s", seconds(arrives)),
        None => write!(text, ", never arrives"),
    };
    if let Some(fault) = fault_of(packet) {
        let _ = write!(text, ", <em>{fault}</em>");
    }
    let _ = write!(
        text,
        " &middot; packet {} of the trace, {} of its link</p>",
        arrow.first_packet, packet.number
    );
    match &arrow.carries {
        Carries::Message(bytes) => {
            let _ = write!(text, "<pre>{}</pre>", Text(String::from_utf8_lossy(bytes).trim_end()));
        }
        Carries::Media(count) => {
            let _ = write!(text, "<p>{count} packets until the next message.</p>");
        }
        Carries::Event => {}
    }
    text.push_str("</div>");
    text
}

fn time(at: Instant) -> String {
    format!("<time>{:.3}</time>", seconds(at))
}
