//! The parameters of an action, read by name; what is wrong with one is said with its name, what nobody has asked for is a
//! mistake of whoever wrote it.

use crate::call::{Code, Refusal};
use crate::time::Duration;
use serde_json::{Map, Value};
use std::ops::RangeInclusive;
use std::path::{Component, Path, PathBuf};

/// The longest text.
const TEXT: usize = 16_384;

/// The parameters of one action.
pub(super) struct Params {
    left: Map<String, Value>,
    /// What was asked for.
    known: Vec<&'static str>,
    /// A client of the other dialect: it is used to send more than is read.
    forgiving: bool,
}

impl Params {
    pub(super) fn new(params: Map<String, Value>, forgiving: bool) -> Params {
        Params { left: params, known: Vec::new(), forgiving }
    }

    /// Whether a client of the other dialect has sent them.
    pub(super) fn are_forgiving(&self) -> bool {
        self.forgiving
    }

    /// A text that must be there.
    pub(super) fn text(&mut self, name: &'static str) -> Result<String, Refusal> {
        self.maybe_text(name)?.ok_or_else(|| wrong(name, "it is missing"))
    }

    /// A text that may be there.
    pub(super) fn maybe_text(&mut self, name: &'static str) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= TEXT => Ok(Some(text)),
            Some(Value::String(_)) => Err(wrong(name, format!("expected at most {TEXT} bytes"))),
            Some(_) => Err(wrong(name, "expected a text")),
        }
    }

    /// A text that goes into a header line.
    pub(super) fn maybe_line(&mut self, name: &'static str) -> Result<Option<String>, Refusal> {
        let text = self.maybe_text(name)?;
        match &text {
            Some(line) if line.is_empty() || line.chars().any(char::is_control) => {
                Err(wrong(name, "expected one line of text"))
            }
            _ => Ok(text),
        }
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Result<bool, Refusal> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(wrong(name, "expected true or false")),
        }
    }

    pub(super) fn maybe_number(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match value.as_u64().filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                Err(wrong(name, format!("expected a whole number from {} to {}", range.start(), range.end())))
            }
        }
    }

    pub(super) fn number(
        &mut self,
        name: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Result<u64, Refusal> {
        Ok(self.maybe_number(name, range)?.unwrap_or(default))
    }

    pub(super) fn seconds(
        &mut self,
        name: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Result<Duration, Refusal> {
        self.number(name, default, range).map(Duration::from_secs)
    }

    pub(super) fn maybe_seconds(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<Duration>, Refusal> {
        Ok(self.maybe_number(name, range)?.map(Duration::from_secs))
    }

    pub(super) fn maybe_millis(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<Duration>, Refusal> {
        Ok(self.maybe_number(name, range)?.map(Duration::from_millis))
    }

    pub(super) fn maybe_real(&mut self, name: &'static str) -> Result<Option<f64>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or_else(|| wrong(name, "expected a number")),
        }
    }

    /// The parameters within one.
    pub(super) fn maybe_within(&mut self, name: &'static str) -> Result<Option<Params>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Params::new(map, self.forgiving))),
            Some(_) => Err(wrong(name, "expected an object")),
        }
    }

    pub(super) fn texts(&mut self, name: &'static str, most: usize) -> Result<Vec<String>, Refusal> {
        let Some(value) = self.take(name) else { return Ok(Vec::new()) };
        let texts = value.as_array().filter(|list| list.len() <= most).and_then(|list| {
            list.iter().map(|text| text.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        texts.ok_or_else(|| wrong(name, format!("expected a list of at most {most} texts")))
    }

    /// Header lines: an object of texts.
    pub(super) fn headers(&mut self, name: &'static str) -> Result<Vec<(String, String)>, Refusal> {
        const MOST: usize = 32;
        let Some(value) = self.take(name) else { return Ok(Vec::new()) };
        let map = value.as_object().filter(|map| map.len() <= MOST);
        let map = map.ok_or_else(|| wrong(name, format!("expected an object of at most {MOST} texts")))?;
        map.iter().map(|(header, value)| header_line(name, header, value)).collect()
    }

    /// A file below the directory of sounds or recordings.
    pub(super) fn maybe_file(
        &mut self,
        name: &'static str,
        directory: &Path,
    ) -> Result<Option<PathBuf>, Refusal> {
        let text = self.maybe_text(name)?.filter(|text| !(text.is_empty() && self.forgiving));
        let Some(text) = text else { return Ok(None) };
        let path = Path::new(&text);
        let is_below = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        match is_below && !text.is_empty() && !text.contains('\0') {
            true if directory == Path::new(".") => Ok(Some(path.to_owned())),
            true => Ok(Some(directory.join(path))),
            false => Err(wrong(name, "expected the name of a file, without `..` and not from the root")),
        }
    }

    /// Nothing else may be there. Clients of the other dialect are used to send more than is read.
    pub(super) fn finish(self) -> Result<(), Refusal> {
        match self.left.keys().next() {
            Some(name) if !self.forgiving => {
                let message = match self.known.is_empty() {
                    true => "there is no such parameter, this action takes none".to_owned(),
                    false => {
                        format!("there is no such parameter, expected one of `{}`", self.known.join("`, `"))
                    }
                };
                Err(wrong(name, message))
            }
            _ => Ok(()),
        }
    }

    /// What was asked for.
    #[cfg(test)]
    pub(super) fn known(&self) -> &[&'static str] {
        &self.known
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.left.remove(name).filter(|value| !value.is_null())
    }
}

pub(super) fn wrong(name: &str, why: impl AsRef<str>) -> Refusal {
    Refusal::new(Code::InvalidParams, format!("{name}: {}", why.as_ref()))
}

/// What names a header that is ours alone.
const OURS: [&str; 14] = [
    "via",
    "from",
    "to",
    "call-id",
    "cseq",
    "contact",
    "route",
    "record-route",
    "max-forwards",
    "content-length",
    "content-type",
    "require",
    "supported",
    "allow",
];

fn header_line(name: &str, header: &str, value: &Value) -> Result<(String, String), Refusal> {
    let is_token =
        !header.is_empty() && header.chars().all(|c| c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c));
    if !is_token || OURS.contains(&header.to_ascii_lowercase().as_str()) || header.len() == 1 {
        return Err(wrong(name, format!("{header:?} is no header that can be set")));
    }
    match value.as_str().filter(|text| text.len() <= 1_024 && !text.chars().any(char::is_control)) {
        Some(text) => Ok((header.to_owned(), text.to_owned())),
        None => Err(wrong(name, format!("{header:?} expects one line of text"))),
    }
}
