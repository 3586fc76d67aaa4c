//! `explain --batch`: a line of JSON in, a line of JSON out, in the same order.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::{Value, json};

use super::caller::{Callers, Claim, Supposed};
use super::to_json;
use crate::cli::console::read_line;
use crate::cli::{Console, Exit, Failure};
use crate::key::GrantSpec;
use crate::key::secret::Secret;
use crate::policy::Request;

/// One line. Neither scopes nor key: an anonymous caller.
#[derive(Debug)]
struct Line {
    method: String,
    target: String,
    claim: Claim,
}

/// Answers every line but blank ones. A line that is no request is answered with an `error`.
pub(super) fn run(path: &Path, callers: &mut Callers<'_>, console: &mut Console) -> Result<Exit, Failure> {
    let mut file: Option<Box<dyn BufRead>> = None;
    if path != Path::new("-") {
        let opened =
            File::open(path).map_err(|error| Failure::io(format_args!("{} cannot be read", path.display()), &error))?;
        file = Some(Box::new(BufReader::new(opened)));
    }
    let mut refused: u64 = 0;
    for number in 1_u64.. {
        let line = match &mut file {
            Some(file) => read_line(file.as_mut())
                .map_err(|error| Failure::io(format_args!("{} cannot be read", path.display()), &error))?,
            None => console.read_line()?,
        };
        let Some(line) = line else { break };
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match parse(&line) {
            Ok(line) => console.print_json(&answer(&line, callers)?)?,
            Err(what) => {
                refused += 1;
                console.print_json(&json!({ "error": format!("line {number}: {what}") }))?;
            }
        }
    }
    if refused > 0 {
        let lines = if refused == 1 { "line is" } else { "lines are" };
        console.warn(format_args!("{refused} {lines} no request: see `error` in the answers"));
    }
    Ok(Exit::Done)
}

fn answer(line: &Line, callers: &mut Callers<'_>) -> Result<Value, Failure> {
    let request = Request { method: line.method.as_bytes(), target: line.target.as_bytes(), override_header: false };
    let mut answer = to_json(&callers.explain(&request, &line.claim)?);
    if let Value::Object(fields) = &mut answer {
        fields.insert("method".to_owned(), json!(line.method));
        fields.insert("target".to_owned(), json!(line.target));
    }
    Ok(answer)
}

/// Reads a line. The error says what is wrong and never what stands there: it may be a key.
fn parse(line: &[u8]) -> Result<Line, String> {
    let line: Value = serde_json::from_slice(line)
        .map_err(|error| format!("column {}: this is not JSON; {EXAMPLE}", error.column()))?;
    let Value::Object(mut fields) = line else { return Err(format!("this is no object; {EXAMPLE}")) };
    let mut text = |name: &str| match fields.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{name}` is no string; {EXAMPLE}")),
    };
    let (method, target, key) = (text("method")?, text("target")?, text("key")?);
    let scopes = fields.remove("scopes").map(scopes).transpose()?;
    if !fields.is_empty() {
        let known = fields.keys().find(|name| ["account", "attributes", "grant", "key_id"].contains(&name.as_str()));
        let what = known.map_or("a field".to_owned(), |name| format!("`{name}`"));
        return Err(format!("{what} is not taken here: a line has `method`, `target`, and `scopes` or `key`"));
    }
    let (Some(method), Some(target)) = (method, target) else {
        return Err(format!("`method` or `target` is missing; {EXAMPLE}"));
    };
    let claim = match (scopes, key) {
        (None, None) => Claim::Anonymous,
        (Some(grant), None) => Claim::Supposed(Supposed { grant, account: None, attributes: Vec::new() }),
        (None, Some(key)) => Claim::Key(Secret::new(key)),
        (Some(_), Some(_)) => return Err("give `scopes` or `key`, not both".to_owned()),
    };
    Ok(Line { method, target, claim })
}

/// What a line looks like.
const EXAMPLE: &str = "write {\"method\":\"GET\",\"target\":\"/path\",\"scopes\":[\"a:read\"]}, or \"key\" in place of \"scopes\", or neither";

fn scopes(value: Value) -> Result<GrantSpec, String> {
    let wrong = || "`scopes` is no list of strings: write \"scopes\":[\"a:read\"]".to_owned();
    let Value::Array(items) = value else { return Err(wrong()) };
    let names: Option<Vec<String>> = items
        .into_iter()
        .map(|item| match item {
            Value::String(name) => Some(name),
            _ => None,
        })
        .collect();
    names.map(GrantSpec::custom).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_calls() {
        let claim = |line: &str| parse(line.as_bytes()).map(|line| line.claim);
        assert!(matches!(claim(r#"{"method":"GET","target":"/"}"#), Ok(Claim::Anonymous)));
        assert!(
            matches!(claim(r#"{"method":"GET","target":"/","scopes":[]}"#), Ok(Claim::Supposed(Supposed { grant: GrantSpec::Custom(none), .. })) if none.is_empty())
        );
        assert!(matches!(claim(r#"{"method":"GET","target":"/","key":"sg_x"}"#), Ok(Claim::Key(_))));
        assert!(claim(r#"{"method":"GET","target":"/","key":"sg_x","scopes":[]}"#).is_err());
    }

    #[test]
    fn a_line_that_is_no_request_is_refused_without_repeating_it() {
        for line in [
            "",
            "{}",
            r#"{"method":"GET","target":"/","key":["sg_secret"]}"#,
            r#"{"method":"GET","target":"/","scopes":"sg_secret"}"#,
            r#"{"method":"GET","target":"/","sg_secret":1}"#,
        ] {
            let Err(error) = parse(line.as_bytes()) else { panic!("{line} is no request") };
            assert!(!error.contains("sg_secret"), "{error}");
        }
    }

    #[test]
    fn a_line_with_a_fault_is_told_which() {
        let told = |line: &str| parse(line.as_bytes()).expect_err(line);
        assert!(told("{\"method\"").starts_with("column 9: this is not JSON"));
        assert!(told("[]").starts_with("this is no object"));
        assert!(told("{}").starts_with("`method` or `target` is missing"));
        assert!(told(r#"{"method":1,"target":"/"}"#).starts_with("`method` is no string"));
        assert!(told(r#"{"method":"GET","target":"/","scopes":"a"}"#).starts_with("`scopes` is no list"));
        assert!(told(r#"{"method":"GET","target":"/","grant":"full"}"#).starts_with("`grant` is not taken here"));
        assert!(told(r#"{"method":"GET","target":"/","x":"y"}"#).starts_with("a field is not taken here"));
    }
}
