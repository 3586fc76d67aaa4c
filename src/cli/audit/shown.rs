//! Entries of the audit, for a reader.

use serde_json::Value;

use crate::cli::width;
use crate::key::Timestamp;
use crate::key::leak::covered;
use crate::key::visible::escaped;
use crate::store::audit::Entry;

/// An entry for a table.
pub(super) fn cells(entry: &Entry) -> [String; 6] {
    let of = entry.key.as_deref().or(entry.account.as_deref()).unwrap_or("-");
    let at = Timestamp::from_millis(entry.at.as_seconds().saturating_mul(1000));
    let detail = entry.detail.as_ref().map_or_else(|| "-".to_owned(), words);
    // What older versions took for a name may be a key.
    let [of, detail] = [of, &detail].map(|text| covered(text).into_owned());
    [entry.number.to_string(), at.to_string(), entry.by.to_string(), entry.action.to_string(), of, detail]
}

/// An entry on a terminal, which has no room for its detail beside the rest.
pub(super) fn lines(entry: &Entry, columns: usize) -> String {
    let [number, at, by, action, of, detail] = cells(entry).map(|cell| escaped(&cell));
    let text = format!("{number}  {at}  {action}  {of}  {by}\n  {detail}");
    width::folded(&text, columns)
}

/// A detail as names and values, the name of a key first.
fn words(detail: &Value) -> String {
    let Value::Object(fields) = detail else { return word(detail) };
    // Which value a key has is said to programs: a reader has nothing to hold it against.
    let fields = fields.iter().filter(|(field, _)| *field != "value");
    let (name, rest): (Vec<_>, Vec<_>) = fields.partition(|(field, _)| *field == "name");
    let words = name.into_iter().chain(rest).map(|(name, value)| format!("{name}={}", word(value)));
    words.collect::<Vec<_>>().join(" ")
}

/// A value; in quotes where a reader could not tell where it ends.
fn word(value: &Value) -> String {
    match value {
        Value::String(text) if text.contains([' ', '"', '=', ',']) => value.to_string(),
        Value::String(text) => text.clone(),
        // Attributes are names and values.
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_array) => items
            .iter()
            .map(|pair| pair.as_array().map_or_else(String::new, |pair| joined(pair, ":")))
            .collect::<Vec<_>>()
            .join(","),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => joined(items, ","),
        other => other.to_string(),
    }
}

fn joined(items: &[Value], between: &str) -> String {
    items.iter().map(word).collect::<Vec<_>>().join(between)
}
