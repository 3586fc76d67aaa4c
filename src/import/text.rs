//! The text of a document, JSON or YAML, as one tree of JSON values.

use serde_json::{Map, Number, Value};

use crate::yaml::{self, Node, Scalar};

/// The most that a document in YAML may hold, in bytes. Large APIs publish several MiB.
const YAML_LIMIT: usize = 64 << 20;

/// Reads JSON where the text starts like a JSON object, else YAML. An error is the parser's words, with line and column.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| error.to_string());
    }
    let parsed = yaml::parse(text, YAML_LIMIT);
    if let Some(error) = parsed.errors.first() {
        let (line, column) = yaml::line_and_column(text, error.span.start);
        return Err(format!("{} at line {line} column {column}", error.message));
    }
    let root = parsed.root.ok_or_else(|| String::from("it is empty"))?;
    Ok(value(&root))
}

fn value(node: &Node) -> Value {
    match &node.value {
        yaml::Value::List(items) => items.iter().map(value).collect(),
        yaml::Value::Map(entries) => {
            let fields = entries.iter().map(|entry| (entry.key.to_string(), value(&entry.value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        yaml::Value::Scalar(scalar) => scalar_value(scalar),
    }
}

/// A number stays text unless it is written as JSON writes it, and `2.0` stays text in any case: nothing here computes,
/// and versions and scopes must not lose a zero.
fn scalar_value(scalar: &Scalar) -> Value {
    if scalar.is_null() {
        return Value::Null;
    }
    if let Some(truth) = scalar.as_bool() {
        return Value::Bool(truth);
    }
    let whole = if scalar.plain { scalar.text.parse::<i64>().ok() } else { None };
    match whole.filter(|whole| whole.to_string() == *scalar.text) {
        Some(whole) => Value::Number(Number::from(whole)),
        None => Value::String(scalar.text.to_string()),
    }
}
