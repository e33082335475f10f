//! Parameters: `;a=1;b;c="x;y"`.

use super::line::is_token;
use super::scan;
use std::fmt;

/// Parameters as written after the first `;`: `a=1;b;c="x;y"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Params<'a>(pub &'a str);

impl<'a> Params<'a> {
    /// The parameters of a header value, without the first `;`; `None` unless they are well formed.
    pub(super) fn parse(text: &'a str) -> Option<Params<'a>> {
        Some(Params(text)).filter(|params| !params.is_empty() && params.is_well_formed())
    }

    /// Whether none of the parameters of a header is empty, has a name that is no token, or a value that would be read as
    /// something else (RFC 3261 section 25.1, `generic-param`).
    pub fn is_well_formed(&self) -> bool {
        self.is_empty() || scan::split(self.0, b';').all(is_parameter)
    }

    /// All of them; the value is `None` for a parameter without `=`. Quotes are left on.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + use<'a> {
        scan::split(self.0, b';').filter(|part| !part.is_empty()).map(name_and_value)
    }

    /// Whether the parameter is there, with or without a value; names are compared without case.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The value of a parameter; empty for one without a value.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.find(name).map(|value| value.unwrap_or(""))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn find(&self, name: &str) -> Option<Option<&'a str>> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// With the `;` before each.
impl fmt::Display for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            params => write!(f, ";{params}"),
        }
    }
}

fn name_and_value(parameter: &str) -> (&str, Option<&str>) {
    match memchr::memchr(b'=', parameter.as_bytes()) {
        Some(at) => (parameter[..at].trim_ascii_end(), Some(parameter[at + 1..].trim_ascii_start())),
        None => (parameter, None),
    }
}

fn is_parameter(text: &str) -> bool {
    let (name, value) = name_and_value(text);
    !name.is_empty() && name.bytes().all(is_token) && value.is_none_or(is_value)
}

/// More than the grammar allows: unquoted values with `/` or `@` are common. An empty one is what some send for a tag that
/// they do not have yet.
fn is_value(text: &str) -> bool {
    match text.as_bytes() {
        [b'"', ..] => scan::quoted_end(text.as_bytes(), 0) == Some(text.len()),
        bytes => bytes.iter().all(|&byte| byte > b' ' && !matches!(byte, b'"' | b'<' | b'>' | b',' | 0x7f)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_be_quoted_and_spaced() {
        let params = Params::parse(" tag\t= 9 ;\r\n lr; x=\"a;b=\\\"\"").expect("valid");
        assert_eq!(
            params.iter().collect::<Vec<_>>(),
            [("tag", Some("9")), ("lr", None), ("x", Some("\"a;b=\\\"\""))]
        );
        assert_eq!(params.get("TAG"), Some("9"));
        assert_eq!(params.get("lr"), Some(""));
        assert!(!params.has("r"));
    }

    #[test]
    fn empty_or_broken_parameters_are_refused() {
        for text in ["", ";", " ", "a;", "=1", "a b=1", "a=1 2", "a=\"", "a=\"x\"y", "a=1,b", "ä=1", "a=<"] {
            assert_eq!(Params::parse(text), None, "{text:?}");
        }
    }
}
