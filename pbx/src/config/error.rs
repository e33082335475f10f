//! Why a configuration is refused: the place, what is wrong, what would be right.

use std::fmt;
use std::ops::Range;

/// Why a configuration is refused. What stands on a line about a password is not in it, for it ends up in logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file as it was named.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The line itself.
    pub text: String,
    /// How many characters of it are meant.
    pub length: usize,
    /// What is wrong and what was expected.
    pub message: String,
    /// What would mend it.
    pub hint: Option<String>,
}

impl ConfigError {
    /// The error at a place in a text.
    pub(super) fn at(file: &str, text: &str, span: Range<usize>, message: String) -> ConfigError {
        let start = floor(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = text[line_start..].lines().next().unwrap_or_default();
        let line_end = line_start + line.len();
        let end = floor(text, span.end).clamp(start, line_end.max(start));
        ConfigError {
            file: file.to_owned(),
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            text: without_secrets(line),
            length: text[start..end].chars().count().max(1),
            message,
            hint: None,
        }
    }

    /// The same with what would mend it.
    pub(super) fn hint(self, hint: impl Into<String>) -> ConfigError {
        ConfigError { hint: Some(hint.into()), ..self }
    }

    /// The same with the one of `known` that was most likely meant by `written`, if any.
    pub(super) fn did_you_mean<'a>(
        self,
        written: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> ConfigError {
        match nearest(written, known) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

/// The nearest place that does not cut a character in two.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The line with stars for whatever is set on it, when a password is.
fn without_secrets(line: &str) -> String {
    match line.find("password").and_then(|at| Some(at + line[at..].find('=')?)) {
        Some(equals) => {
            let (key, value) = line.split_at(equals + 1);
            let is_shown = |c: char| c.is_whitespace() || "\"'".contains(c);
            key.chars().chain(value.chars().map(|c| if is_shown(c) { c } else { '*' })).collect()
        }
        None => line.to_owned(),
    }
}

/// `office.toml:3:1: unknown field ...`, the line, a mark under the place, the hint.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConfigError { file, line, column, text, length, message, hint } = self;
        let number = line.to_string();
        writeln!(f, "{file}:{line}:{column}: {message}")?;
        writeln!(f, "  {number} | {text}")?;
        // Tabs stay tabs, so that the mark stands under what it means on every terminal.
        let before: String =
            text.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        write!(f, "  {:1$} | {before}{2}", "", number.len(), "^".repeat(*length))?;
        match hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ConfigError {}

/// The one of `known` that was most likely meant: at most about a third of its letters differ.
fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    let distances = known.into_iter().map(|name| (distance(&written, &name.to_lowercase()), name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + name.len() / 3).then_some(name)
}

/// How many letters have to be changed, added or left out (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 64;
    let b: Vec<char> = b.chars().take(LONGEST).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(LONGEST).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_the_line_and_the_place() {
        let error =
            ConfigError::at("office.toml", "[sip]\nlistn = 'x'\n", 6..11, "unknown field `listn`".into())
                .did_you_mean("listn", ["port", "listen"]);
        assert_eq!(
            error.to_string(),
            "office.toml:2:1: unknown field `listn`\n  2 | listn = 'x'\n    | ^^^^^\nhint: did you mean `listen`?"
        );
    }

    #[test]
    fn a_place_beyond_the_text_or_within_a_letter_is_shown_all_the_same() {
        let error = ConfigError::at("f", "ä", 1..9, "odd".into());
        assert_eq!((error.line, error.column), (1, 1));
    }

    #[test]
    fn a_password_is_not_shown() {
        for line in ["password = 'Tr0ub4dor'", "x = { username = 'u', password = 'Tr0ub4dor' }"] {
            let error = ConfigError::at("f", line, 0..1, "odd".into());
            assert!(!format!("{error} {error:?}").contains("Tr0ub4dor"), "{error}");
        }
    }

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        assert_eq!(nearest("Listn", ["port", "listen"]), Some("listen"));
        assert_eq!(nearest("colour", ["port", "listen"]), None);
    }
}
