//! The ladder in a terminal: ASCII or lines, plain or coloured, never wider than it may be.

use super::{Arrow, Carries, Column, Ladder};
use pbx::time::Instant;
use std::fmt::Write as _;
use std::ops::Range;

/// What stands before the first column.
const MARGIN: usize = 11;
/// The widest and the narrowest column.
const WIDEST: usize = 36;
const NARROWEST: usize = 14;

/// How it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// How wide a line may be.
    pub width: usize,
    /// Lines and arrows instead of ASCII.
    pub has_lines: bool,
    /// Colours of ANSI terminals.
    pub has_colours: bool,
}

impl Default for Style {
    fn default() -> Style {
        Style { width: 100, has_lines: false, has_colours: false }
    }
}

/// What arrows are made of.
struct Pens {
    life: char,
    shaft: char,
    right: char,
    left: char,
    lost: char,
    cut: char,
}

impl Style {
    fn pens(self) -> Pens {
        if self.has_lines {
            Pens { life: '│', shaft: '─', right: '▶', left: '◀', lost: '×', cut: '…' }
        } else {
            Pens { life: '|', shaft: '-', right: '>', left: '<', lost: 'x', cut: '~' }
        }
    }

    /// A text in a colour, when there are any.
    fn paint(self, text: &str, colour: Option<u8>) -> String {
        match colour.filter(|_| self.has_colours) {
            Some(colour) => format!("\x1b[{colour}m{text}\x1b[0m"),
            None => text.to_owned(),
        }
    }
}

impl Ladder {
    /// A part of it, without those who have no part in it; `mark` points at the first arrow of a moment.
    pub fn draw(&self, range: Range<usize>, mark: Option<Instant>, style: Style) -> String {
        let arrows = &self.arrows[range];
        let takes_part =
            |column: &&Column| arrows.iter().any(|one| [one.from, one.to].contains(&column.address));
        let columns: Vec<&Column> = self.columns.iter().filter(takes_part).collect();
        let width = width_of_columns(columns.len(), style);
        let marked = mark.and_then(|mark| arrows.iter().position(|arrow| arrow.at >= mark));
        let mut text = " ".repeat(MARGIN);
        for column in &columns {
            let _ = write!(text, "{:<width$}", cut(&column.name, width - 1, style.pens().cut));
        }
        text.truncate(text.trim_end().len());
        for (at, arrow) in arrows.iter().enumerate() {
            let pointer = if marked == Some(at) { '>' } else { ' ' };
            let _ = write!(text, "\n{pointer}{}", line(arrow, &columns, width, style));
        }
        text.push('\n');
        text
    }
}

fn width_of_columns(count: usize, style: Style) -> usize {
    let between = count.saturating_sub(1).max(1);
    (style.width.saturating_sub(MARGIN + 8) / between).clamp(NARROWEST, WIDEST)
}

fn line(arrow: &Arrow, columns: &[&Column], width: usize, style: Style) -> String {
    let place = |address| columns.iter().position(|column| column.address == address).unwrap_or(0);
    let (from, to) = (place(arrow.from), place(arrow.to));
    let (left, right) = (from.min(to), from.max(to));
    let pens = style.pens();
    let seconds = format!("{:.3}s", arrow.at.as_nanos() as f64 / 1e9);
    let mut line = format!("{seconds:>8}  ");
    for column in 0..columns.len() {
        if (left + 1..right).contains(&column) {
            continue;
        }
        line.push(pens.life);
        if column == left && left != right {
            let shaft = shaft(arrow, (right - left) * width - 1, from < to, &pens);
            line.push_str(&style.paint(&shaft, colour(arrow)));
        } else if column + 1 < columns.len() {
            line.push_str(&" ".repeat(width - 1));
        }
    }
    line
}

/// `-- INVITE bob ----->`, or turned round, with what the network did to it; one that is lost ends on its way.
fn shaft(arrow: &Arrow, width: usize, rightwards: bool, pens: &Pens) -> String {
    // Two strokes, blanks round the label, a stroke and the head.
    let room = width - 6;
    let note = match arrow.note {
        "" => String::new(),
        note => format!(" {note} "),
    };
    let label = cut(&arrow.label, room.saturating_sub(note.chars().count()), pens.cut);
    let rest = width.saturating_sub(label.chars().count() + note.chars().count() + 5);
    let stroke = |length: usize| pens.shaft.to_string().repeat(length);
    let two = stroke(2);
    match (rightwards, arrow.is_lost) {
        (true, true) => format!("{two} {label} {}{}{note}{}", stroke(1), pens.lost, " ".repeat(rest - 1)),
        (false, true) => format!("{}{note}{}{} {label} {two}", " ".repeat(rest - 1), pens.lost, stroke(1)),
        (true, false) if note.is_empty() => format!("{two} {label} {}{}", stroke(rest), pens.right),
        (true, false) => format!("{two} {label} {}{note}{}{}", stroke(rest - 1), stroke(1), pens.right),
        (false, false) if note.is_empty() => format!("{}{} {label} {two}", pens.left, stroke(rest)),
        (false, false) => format!("{}{}{note}{} {label} {two}", pens.left, stroke(1), stroke(rest - 1)),
    }
}

/// Red for what got nowhere, green for answers, yellow for refusals, dark for sound.
fn colour(arrow: &Arrow) -> Option<u8> {
    match &arrow.carries {
        _ if arrow.is_lost => Some(31),
        Carries::Media(_) => Some(90),
        Carries::Message(_) if arrow.label.starts_with(['1', '2', '3']) => Some(32),
        Carries::Message(_) if arrow.label.starts_with(['4', '5', '6']) => Some(33),
        Carries::Message(_) => Some(36),
        Carries::Event => None,
    }
}

fn cut(text: &str, room: usize, mark: char) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(1)).chain([mark]).collect()
}
