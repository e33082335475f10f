//! What the terminal can show. Where nobody looks (a pipe, a file, a CI) it is plain text.

use simulator::ladder::Style;
use std::env;
use std::io::{IsTerminal as _, stdout};

/// How stories are drawn on standard output.
pub fn style() -> Style {
    let is_terminal = stdout().is_terminal();
    let says = |name: &str| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| says(name)).unwrap_or_default();
    Style {
        has_colours: is_terminal
            && says("NO_COLOR").is_none()
            && says("TERM").is_none_or(|term| term != "dumb"),
        has_lines: is_terminal && locale.to_ascii_uppercase().replace('-', "").contains("UTF8"),
        ..Style::default()
    }
}
