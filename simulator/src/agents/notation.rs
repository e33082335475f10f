//! How people write into a table what goes over a wire as JSON: a kind, what it is about, more of it as `name=value`.

use serde_json::{Map, Value};

/// The object of `text`: its first word is the value of `kind`, what follows is the value of the field that `about` names
/// for it. JSON is taken as it is.
pub fn node(text: &str, kind: &str, about: &[(&str, &str)]) -> Result<Value, String> {
    if is_json(text) {
        return json(text);
    }
    let (word, said, more) = words(text)?;
    let mut node = Map::from_iter([(kind.to_owned(), Value::from(word))]);
    node.extend(more);
    if said.is_empty() {
        return Ok(Value::Object(node));
    }
    let field = about.iter().find(|(known, _)| *known == word || *known == "*").map(|(_, field)| *field);
    let Some(field) = field else { return Err(format!("what does {word} do with {said}?")) };
    // Keys and names may look like numbers and are texts.
    let value = if matches!(field, "interrupted" | "status") { value_of(&said) } else { Value::from(said) };
    node.insert(field.to_owned(), value);
    Ok(Value::Object(node))
}

/// The first word, what follows it, and what is written as `name=value`.
pub fn words(text: &str) -> Result<(&str, String, Map<String, Value>), String> {
    let mut words = text.split_whitespace();
    let first = words.next().ok_or("nothing stands here")?;
    let (mut said, mut more) = (Vec::new(), Map::new());
    for word in words {
        match word.split_once('=') {
            Some((name, value)) => drop(more.insert(name.to_owned(), value_of(value))),
            None => said.push(word),
        }
    }
    Ok((first, said.join(" "), more))
}

/// Whether everything that `part` says stands in `whole`.
pub fn is_within(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(name, value)| whole.get(name).is_some_and(|known| is_within(value, known)))
        }
        // Of a list some are named, in their order; none is named of an empty one.
        (Value::Array(part), Value::Array(whole)) if !part.is_empty() => {
            let mut rest = whole.iter();
            part.iter().all(|value| rest.any(|known| is_within(value, known)))
        }
        (part, whole) => part == whole,
    }
}

pub(super) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

pub(super) fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{text} is no JSON: {error}"))
}

/// Numbers and truths are such, everything else is a text; so is what stands in brackets.
fn value_of(text: &str) -> Value {
    if let Some(text) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return Value::from(text);
    }
    match serde_json::from_str(text) {
        Ok(value @ (Value::Bool(_) | Value::Number(_) | Value::Null)) => value,
        _ => Value::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_part_says_nothing_that_the_whole_does_not() {
        let whole = json!({ "event": "call.answered", "call_id": "a", "data": { "by": "bob", "after": 3 } });
        assert!(is_within(&json!({ "event": "call.answered" }), &whole));
        assert!(is_within(&json!({ "data": { "by": "bob" } }), &whole));
        assert!(!is_within(&json!({ "data": { "by": "carol" } }), &whole));
        assert!(!is_within(&json!({ "reason": null }), &whole));
    }
}
