//! A line of a file of keys, whichever form the file has: names and fields.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::key::visible::short;
use crate::policy::nearest;
use crate::store::audit;

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// `true` or `false`.
    Flag(bool),
    /// Texts in a row.
    List(Vec<String>),
    /// Names with texts; a name may stand more than once.
    Map(Vec<(String, String)>),
    /// A text, or a number as it is written.
    Text(String),
}

/// A line.
#[derive(Debug)]
pub(super) struct Row {
    /// Where it begins, from 1.
    pub(super) line: usize,
    /// Its fields, or why they cannot be read.
    pub(super) fields: Result<Vec<(String, Field)>, String>,
}

impl Row {
    /// Whether it can be read, and has a field of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.as_ref().is_ok_and(|fields| fields.iter().any(|(known, _)| known == name))
    }
}

/// The most fields that a line may have: more than there are, and so few that looking through them is quick.
const MOST_FIELDS: usize = 64;

/// The lines of JSON Lines. Empty ones are passed over.
pub(super) fn of_json(text: &str) -> Vec<Row> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(line, text)| Row { line, fields: object(text) }).collect()
}

fn object(text: &str) -> Result<Vec<(String, Field)>, String> {
    let Members(members) = serde_json::from_str(text).map_err(|error| wrong_json(&error))?;
    if members.len() > MOST_FIELDS {
        return Err(format!("the line has {} fields, which is no key: write one key in it", members.len()));
    }
    // Of a name that stands twice in a map within, the parser keeps the last value and says nothing.
    if members.iter().any(|(_, value)| value.is_object())
        && audit::read_line(text.as_bytes()).is_none()
        && members
            .iter()
            .enumerate()
            .all(|(place, (name, _))| members.iter().take(place).all(|(known, _)| known != name))
    {
        return Err("a name stands twice in a map: write it once, with a list of its values".to_owned());
    }
    let mut fields: Vec<(String, Field)> = Vec::with_capacity(members.len());
    for (name, value) in members {
        if fields.iter().any(|(known, _)| *known == name) {
            return Err(format!("`{}` stands twice: write it once", short(&name)));
        }
        let Some(field) = field(value) else {
            let name = short(&name);
            return Err(format!("`{name}` has a value that no field takes: write a text, a list or a map of texts"));
        };
        fields.push((name, field));
    }
    Ok(fields)
}

/// What is wrong, and at which column. The text is not repeated: it may hold a key.
fn wrong_json(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Data => "is no map",
        serde_json::error::Category::Eof => "ends too early",
        _ => "is no JSON",
    };
    format!("the line {what} (column {}): write one key as {{\"name\": …}}", error.column())
}

fn field(value: Value) -> Option<Field> {
    let text = |value: Value| match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match value {
        Value::Null => None,
        Value::Bool(flag) => Some(Field::Flag(flag)),
        Value::Array(items) => items.into_iter().map(text).collect::<Option<_>>().map(Field::List),
        Value::Object(members) => {
            let mut entries = Vec::new();
            for (name, value) in members {
                match value {
                    Value::Array(items) => {
                        for item in items {
                            entries.push((name.clone(), text(item)?));
                        }
                    }
                    single => entries.push((name, text(single)?)),
                }
            }
            Some(Field::Map(entries))
        }
        single => text(single).map(Field::Text),
    }
}

/// The members of an object in their order, with those that stand twice.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// The lines of CSV (RFC 4180): the first names the fields, which are among `known`. A cell that is empty is a field that is
/// not given.
pub(super) fn of_csv(text: &str, known: &[&str]) -> Result<Vec<Row>, String> {
    let mut records = records(text.strip_prefix('\u{feff}').unwrap_or(text)).into_iter();
    let Some((_, head)) = records.next() else { return Ok(Vec::new()) };
    let names: Vec<String> = head?.iter().map(|name| name.trim().to_owned()).collect();
    if names.len() > MOST_FIELDS {
        return Err(format!("the line has {} columns, which is no header of keys", names.len()));
    }
    if let Some(twice) = names.iter().enumerate().find(|(place, name)| names.iter().take(*place).any(|n| n == *name)) {
        return Err(format!("the column `{}` stands twice: write it once", short(twice.1)));
    }
    see_header(&names, known)?;
    let row = |(line, cells): (usize, Result<Vec<String>, String>)| Row {
        line,
        fields: cells.and_then(|cells| match cells.len().cmp(&names.len()) {
            std::cmp::Ordering::Equal => names.iter().zip(cells).filter_map(cell).collect(),
            _ => Err(format!("the line has {} cells where the first has {}", cells.len(), names.len())),
        }),
    };
    Ok(records.map(row).collect())
}

/// Sees that a line can be the header. Where none was written, keys stand there, so that no cell of it is shown but a word.
fn see_header(names: &[String], known: &[&str]) -> Result<(), String> {
    let is_known = |name: &str| known.contains(&name);
    if !names.iter().any(|name| is_known(name)) {
        return Err(
            "the line does not look like a header, since it names no field of a key: write one, as in name,key,scopes"
                .to_owned(),
        );
    }
    let Some((place, name)) = (1..).zip(names).find(|(_, name)| !is_known(name)) else { return Ok(()) };
    let is_word = (1..=20).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let shown = if is_word { format!("unknown field `{name}`") } else { "unknown field".to_owned() };
    let near = nearest(name, known.iter().copied()).map(|near| format!("; did you mean `{near}`?"));
    let near = near.filter(|_| is_word).unwrap_or_default();
    Err(format!("{shown} in column {place}{near}: the fields of a key are {}", known.join(", ")))
}

fn cell((name, cell): (&String, String)) -> Option<Result<(String, Field), String>> {
    // What shows nothing around a text would make another key, or another name, of it.
    let cell = cell.trim();
    if cell.is_empty() {
        return None;
    }
    let words = || cell.split_whitespace().map(str::to_owned).collect();
    let field = match name.as_str() {
        "allow_from" | "scopes" => Ok(Field::List(words())),
        "attrs" => cell
            .split(';')
            .map(|pair| pair.trim().split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
            .collect::<Option<_>>()
            .map(Field::Map)
            .ok_or_else(|| "`attrs` cannot be read: write team=blue;team=red".to_owned()),
        _ => Ok(Field::Text(cell.to_owned())),
    };
    Some(field.map(|field| (name.clone(), field)))
}

/// The records of a text with the line that each begins on. Cells may stand in quotes, doubled where one is meant.
fn records(text: &str) -> Vec<(usize, Result<Vec<String>, String>)> {
    let mut records = Vec::new();
    let (mut line, mut rest) = (1, text);
    while !rest.is_empty() {
        let begun = line;
        let mut cells = Vec::new();
        let ended = loop {
            match take_cell(rest) {
                Ok((cell, end, after)) => {
                    line += cell.matches('\n').count();
                    cells.push(cell);
                    rest = after;
                    if end != Some(',') {
                        break Ok(());
                    }
                }
                Err(what) => {
                    // What follows a quote that is never closed belongs to nobody.
                    rest = "";
                    break Err(what.to_owned());
                }
            }
        };
        line += 1;
        let is_blank = cells.len() == 1 && cells.first().is_some_and(String::is_empty) && ended.is_ok();
        if !is_blank {
            records.push((begun, ended.map(|()| cells)));
        }
    }
    records
}

/// A cell, what ended it (`None`: the text), and what follows.
fn take_cell(text: &str) -> Result<(String, Option<char>, &str), &'static str> {
    let Some(mut quoted) = text.strip_prefix('"') else {
        let end = text.find([',', '\n']).unwrap_or(text.len());
        let (cell, after) = text.split_at_checked(end).unwrap_or((text, ""));
        let mut characters = after.chars();
        let end = characters.next();
        let cell = if end == Some(',') { cell } else { cell.strip_suffix('\r').unwrap_or(cell) };
        return Ok((cell.to_owned(), end, characters.as_str()));
    };
    let mut cell = String::new();
    loop {
        let (part, after) = quoted.split_once('"').ok_or("a quote is never closed")?;
        cell.push_str(part);
        if let Some(more) = after.strip_prefix('"') {
            cell.push('"');
            quoted = more;
            continue;
        }
        let after = after.strip_prefix('\r').unwrap_or(after);
        let mut characters = after.chars();
        return match characters.next() {
            end @ (None | Some(',' | '\n')) => Ok((cell, end, characters.as_str())),
            Some(_) => Err("something stands behind a closed quote"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 5] = ["attrs", "key", "name", "note", "scopes"];

    #[test]
    fn a_first_line_that_is_no_header_is_told_without_its_text() {
        for (line, what) in [
            ("tok-nohdr-12345678,orders:read", "does not look like a header"),
            ("name,tok-nohdr-12345678", "unknown field in column 2: the fields"),
            ("name,kex", "unknown field `kex` in column 2; did you mean `key`?"),
        ] {
            let said = of_csv(&format!("{line}\n"), &KNOWN).unwrap_err();
            assert!(said.contains(what) && !said.contains("nohdr"), "{said}");
        }
    }

    fn text(text: &str) -> Field {
        Field::Text(text.to_owned())
    }

    #[test]
    fn a_line_of_json_is_a_map_of_texts_lists_and_maps() {
        let rows = of_json(
            "\n{\"name\": \"a\", \"n\": 5, \"off\": true, \"scopes\": [\"x\"], \"attrs\": {\"t\": [\"1\", \"2\"]}}\n",
        );
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        let map = Field::Map(vec![("t".into(), "1".into()), ("t".into(), "2".into())]);
        let expected = [
            ("name", text("a")),
            ("n", text("5")),
            ("off", Field::Flag(true)),
            ("scopes", Field::List(vec!["x".into()])),
            ("attrs", map),
        ];
        assert_eq!(row.line, 2);
        assert_eq!(row.fields.clone().unwrap(), expected.map(|(name, field)| (name.to_owned(), field)));
    }

    #[test]
    fn what_is_wrong_with_a_line_of_json_is_told_without_its_text() {
        for (line, what) in [
            ("{\"key\": \"geheim\"", "ends too early"),
            ("[\"geheim\"]", "is no map"),
            ("geheim", "is no JSON"),
            ("{\"key\": \"geheim\", \"key\": \"geheim\"}", "`key` stands twice"),
            ("{\"key\": null}", "`key` has a value that no field takes"),
            ("{\"attrs\": {\"a\": {}}}", "`attrs` has a value that no field takes"),
        ] {
            let rows = of_json(line);
            let said = rows[0].fields.clone().unwrap_err();
            assert!(said.contains(what) && !said.contains("geheim"), "{said}");
        }
    }

    #[test]
    fn csv_is_read_as_rfc_4180_writes_it() {
        let rows = of_csv(
            "\u{feff}name,scopes,attrs,note\r\n\"a, \"\"b\"\"\",x y,t=1;t=2,\"two\nlines\"\r\n\nlast,,,\n",
            &KNOWN,
        )
        .unwrap();
        let fields: Vec<_> = rows.iter().map(|row| (row.line, row.fields.clone().unwrap())).collect();
        let map = Field::Map(vec![("t".into(), "1".into()), ("t".into(), "2".into())]);
        let first = [
            ("name", text("a, \"b\"")),
            ("scopes", Field::List(vec!["x".into(), "y".into()])),
            ("attrs", map),
            ("note", text("two\nlines")),
        ];
        assert_eq!(fields[0], (2, first.map(|(name, field)| (name.to_owned(), field)).to_vec()));
        assert_eq!(fields[1], (5, vec![("name".to_owned(), text("last"))]));
        assert_eq!(fields.len(), 2);
    }

    #[test]
    fn a_line_of_very_many_fields_is_none_and_no_name_is_kept_twice_in_silence() {
        let fields: Vec<String> = (0..40_000).map(|number| format!("\"f{number}\":1")).collect();
        let told = |text: &str| of_json(text).remove(0).fields.unwrap_err();
        assert!(told(&format!("{{{}}}", fields.join(","))).contains("40000 fields"));
        assert!(told(r#"{"attrs":{"team":"blue","team":"red"}}"#).contains("a name stands twice in a map"));
        assert_eq!(told(r#"{"name":{},"name":{}}"#), "`name` stands twice: write it once");
        assert!(told(&format!(r#"{{"{}":null}}"#, "a".repeat(5_000_000))).len() < 600);
    }

    #[test]
    fn csv_that_cannot_be_read_is_told() {
        let wide = vec!["a"; 65].join(",");
        assert!(of_csv(&wide, &KNOWN).unwrap_err().contains("65 columns"));
        assert!(of_csv("name,name\n", &KNOWN).unwrap_err().contains("`name` stands twice"));
        for (body, what) in [
            ("a", "the line has 1 cells where the first has 2"),
            ("\"a,b\n", "a quote is never closed"),
            ("\"a\"b,c\n", "something stands behind a closed quote"),
        ] {
            let rows = of_csv(&format!("name,key\n{body}"), &KNOWN).unwrap();
            assert_eq!((rows[0].line, rows[0].fields.clone().unwrap_err()), (2, what.to_owned()));
        }
        assert!(of_csv("name,attrs\na,team\n", &KNOWN).unwrap()[0].fields.is_err());
    }
}
