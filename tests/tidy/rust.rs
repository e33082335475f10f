//! As much of Rust's grammar as the rules need: what is code and not comment or string, and which paths it names.

/// A path as written, a group taken apart: `use a::{b, c::d};` names `a::b` and `a::c::d`.
#[derive(Debug)]
pub(crate) struct Path {
    /// Counted from one.
    pub(crate) line: usize,
    /// `*` for a glob, `self` as written.
    pub(crate) segments: Vec<String>,
    /// How many `mod name {` stand open around it.
    pub(crate) modules: usize,
}

impl Path {
    pub(crate) fn text(&self) -> String {
        self.segments.join("::")
    }
}

/// Every path of at least two segments.
pub(crate) fn paths(text: &str) -> Vec<Path> {
    let code = without_strings(&without_comments(text));
    let tokens = tokens(&code);
    let mut reader = Reader { tokens: &tokens, braces: Vec::new(), paths: Vec::new() };
    let mut at = 0;
    while at < tokens.len() {
        at = reader.step(at);
    }
    reader.paths
}

struct Reader<'a> {
    tokens: &'a [Token<'a>],
    /// For every open brace, whether it opens a module.
    braces: Vec<bool>,
    paths: Vec<Path>,
}

impl Reader<'_> {
    fn step(&mut self, at: usize) -> usize {
        match self.tokens[at].text {
            "{" => self.braces.push(at >= 2 && self.tokens[at - 2].text == "mod"),
            "}" => drop(self.braces.pop()),
            _ if self.starts_path(at) => return self.path(at, &[]),
            _ => {}
        }
        at + 1
    }

    fn starts_path(&self, at: usize) -> bool {
        if !self.tokens[at].is_name() {
            return false;
        }
        let follows_colons = at > 0 && self.tokens[at - 1].text == "::";
        let follows_segment = at > 1 && (self.tokens[at - 2].is_name() || self.tokens[at - 2].text == ">");
        !(follows_colons && follows_segment)
    }

    /// Reads a path from `at` on and returns where it ends.
    fn path(&mut self, mut at: usize, prefix: &[String]) -> usize {
        let mut segments = prefix.to_vec();
        let mut line = self.line(at);
        while let Some(token) = self.tokens.get(at) {
            if token.text == "{" {
                return self.group(at + 1, &segments);
            }
            if !token.is_name() && token.text != "*" {
                break;
            }
            line = token.line;
            segments.push(token.text.to_owned());
            at += 1;
            if self.tokens.get(at).is_none_or(|next| next.text != "::") {
                break;
            }
            at += 1;
        }
        if segments.len() > 1 {
            let modules = self.braces.iter().filter(|&&is_module| is_module).count();
            self.paths.push(Path { line, segments, modules });
        }
        at
    }

    fn group(&mut self, mut at: usize, prefix: &[String]) -> usize {
        while let Some(token) = self.tokens.get(at) {
            at = match token.text {
                "}" => return at + 1,
                "as" => at + 2,
                _ if token.is_name() || token.text == "*" => self.path(at, prefix),
                _ => at + 1,
            };
        }
        at
    }

    fn line(&self, at: usize) -> usize {
        self.tokens.get(at).map_or(0, |token| token.line)
    }
}

/// A name, `::`, or one other character.
struct Token<'a> {
    line: usize,
    text: &'a str,
}

impl Token<'_> {
    fn is_name(&self) -> bool {
        self.text.starts_with(is_name_character)
    }
}

fn is_name_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if is_name_character(first) {
                rest.find(|character| !is_name_character(character)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push(Token { line: number + 1, text: &rest[..length] });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// The text with every comment blanked; lines keep their numbers.
pub(crate) fn without_comments(text: &str) -> String {
    blank(text, |part| part == Part::Comment)
}

/// The text with the inside of every string and character blanked.
pub(crate) fn without_strings(text: &str) -> String {
    blank(text, |part| part == Part::Literal)
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Code,
    Comment,
    Literal,
}

fn blank(text: &str, unwanted: fn(Part) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (part, length) = next_part(rest, out.ends_with(is_name_character));
        let (this, next) = rest.split_at(length);
        if unwanted(part) {
            out.extend(this.chars().map(|character| if character == '\n' { '\n' } else { ' ' }));
        } else {
            out.push_str(this);
        }
        rest = next;
    }
    out
}

fn next_part(rest: &str, inside_name: bool) -> (Part, usize) {
    if rest.starts_with("//") {
        return (Part::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Part::Comment, block_comment(rest));
    }
    if rest.starts_with('"') {
        return (Part::Literal, quoted(rest));
    }
    if rest.starts_with('r')
        && !inside_name
        && let Some(length) = raw_string(rest)
    {
        return (Part::Literal, length);
    }
    if let Some(length) = character(rest) {
        return (Part::Literal, length);
    }
    // Up to where something else may begin.
    let first = rest.chars().next().map_or(1, char::len_utf8);
    let length = rest[first..].find(['/', '"', '\'', 'r']).map_or(rest.len(), |at| first + at);
    (Part::Code, length)
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> Option<usize> {
    let hashes = rest[1..].chars().take_while(|&character| character == '#').count();
    let body = rest[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(2 + hashes + length)
}

/// A character literal; a lifetime is none.
fn character(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('\'')?;
    if let Some(escape) = body.strip_prefix('\\') {
        let first = escape.chars().next()?.len_utf8();
        return Some(2 + first + escape[first..].find('\'')? + 1);
    }
    let first = body.chars().next()?.len_utf8();
    body[first..].starts_with('\'').then_some(first + 2)
}

#[test]
fn groups_are_taken_apart() {
    let named = |text| paths(text).iter().map(Path::text).collect::<Vec<_>>();

    assert_eq!(named("use a::{b, c::{d as e, *}, self};"), ["a::b", "a::c::d", "a::c::*", "a::self"]);
    assert_eq!(named("fn f(x: ::a::B) -> Vec<c::D> { <x as e::F>::g() }"), ["a::B", "c::D", "e::F"]);
    assert_eq!(named("match x { a::B { c } => {} }"), ["a::B"]);
}

#[test]
fn comments_and_strings_name_nothing() {
    let text = r##"
        // a::b
        /* a::b /* a::b */ a::b */
        const S: &str = "a::b \" a::b";
        const R: &str = r#"a::b " a::b"#;
        fn f<'a>(x: &'a str) -> bool { x.starts_with('"') } // a::b
        use c::d;
    "##;

    let found = paths(text);

    assert_eq!(found.iter().map(Path::text).collect::<Vec<_>>(), ["c::d"]);
    assert_eq!(found[0].line, 7);
}

#[test]
fn inline_modules_are_counted() {
    let found = paths("use a::b; mod tests { use super::c; fn f() { super::d(); } } use a::e;");

    let depths = found.iter().map(|path| (path.text(), path.modules)).collect::<Vec<_>>();

    let expected = [("a::b", 0), ("super::c", 1), ("super::d", 1), ("a::e", 0)];
    assert_eq!(depths, expected.map(|(text, modules)| (text.to_owned(), modules)));
}
