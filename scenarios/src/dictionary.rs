//! All sentences, and the nearest to one that is unknown.

use crate::scene::Scene;
use crate::steps::SOURCES;
use cucumber::codegen::WorldInventory;
use std::fmt;

/// A sentence as it is written above what it does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sentence {
    /// `Given`, `When` or `Then`.
    pub keyword: &'static str,
    /// Its words; what is in braces stands for something.
    pub text: &'static str,
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.keyword, self.text)
    }
}

/// All sentences in alphabetical order.
pub fn sentences() -> Vec<Sentence> {
    let attributes = SOURCES.iter().flat_map(|source| source.split("#[").skip(1));
    let mut sentences: Vec<_> = attributes.filter_map(read).collect();
    sentences.sort();
    sentences
}

/// The sentences most like `text`, best first.
pub fn nearest(text: &str, count: usize) -> Vec<Sentence> {
    let plain = |text: &str| {
        let words = text.split_whitespace().map(|word| if word.starts_with('{') { "x" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    let mut all = sentences();
    all.sort_by_cached_key(|sentence| {
        let likeness = strsim::sorensen_dice(&plain(sentence.text), &plain(text));
        // Floats have no order; millionths do.
        std::cmp::Reverse((likeness * 1e6) as u64)
    });
    all.truncate(count);
    all
}

/// Whether every sentence that is written can be said. A linker may leave out what nobody names, and what is left out would
/// be unknown, or worse: nobody would miss it.
pub fn check() -> Result<(), String> {
    use cucumber::codegen::inventory::iter;
    let linked = iter::<<Scene as WorldInventory>::Given>.into_iter().count()
        + iter::<<Scene as WorldInventory>::When>.into_iter().count()
        + iter::<<Scene as WorldInventory>::Then>.into_iter().count();
    let written = sentences().len();
    if linked == written {
        return Ok(());
    }
    Err(format!("{written} sentences are written and {linked} are linked"))
}

/// The sentence of what follows the `#[` of `#[when(expr = "{actor} answers")]`, which may be long and take several lines.
fn read(attribute: &'static str) -> Option<Sentence> {
    let (name, rest) = attribute.split_once('(')?;
    let keyword = match name {
        "given" => "Given",
        "when" => "When",
        "then" => "Then",
        _ => return None,
    };
    let text = rest.trim_start().strip_prefix("expr = \"")?.split_once(")]")?.0.trim_end();
    Some(Sentence { keyword, text: text.strip_suffix('"')? })
}
