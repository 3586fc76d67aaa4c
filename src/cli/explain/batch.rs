//! `explain --batch`: a line of JSON in, a line of JSON out, in the same order.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::caller::{Callers, Claim};
use super::to_json;
use crate::cli::console::read_line;
use crate::cli::{Console, Exit, Failure};
use crate::key::GrantSpec;
use crate::key::secret::Secret;
use crate::policy::Request;

/// One line. Neither scopes nor key: an anonymous caller.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    method: String,
    target: String,
    scopes: Option<Vec<String>>,
    key: Option<String>,
}

/// Answers every line. A line that is no request is answered with an `error`, and the exit then says so.
pub(super) fn run(path: &Path, callers: &mut Callers<'_>, console: &mut Console) -> Result<Exit, Failure> {
    let mut file: Option<Box<dyn BufRead>> = None;
    if path != Path::new("-") {
        let opened =
            File::open(path).map_err(|error| Failure::io(format_args!("{} cannot be read", path.display()), &error))?;
        file = Some(Box::new(BufReader::new(opened)));
    }
    let mut exit = Exit::Done;
    for number in 1_u64.. {
        let line = match &mut file {
            Some(file) => read_line(file.as_mut())
                .map_err(|error| Failure::io(format_args!("{} cannot be read", path.display()), &error))?,
            None => console.read_line()?,
        };
        let Some(line) = line else { break };
        match parse(&line) {
            Ok((line, claim)) => {
                let request =
                    Request { method: line.method.as_bytes(), target: line.target.as_bytes(), override_header: false };
                console.print_json(&to_json(&callers.explain(&request, &claim)?))?;
            }
            Err(what) => {
                exit = Exit::Usage;
                console.print_json(&json!({ "error": format!("line {number}: {what}") }))?;
            }
        }
    }
    Ok(exit)
}

/// Reads a line. The error says where it is wrong and never what stands there: it may be a key.
fn parse(line: &[u8]) -> Result<(Line, Claim), String> {
    let mut line: Line = serde_json::from_slice(line).map_err(|error| {
        format!(
            "column {}: this is no request; write {{\"method\":\"GET\",\"target\":\"/path\",\"scopes\":[\"a:read\"]}}, or \"key\" in place of \"scopes\", or neither",
            error.column()
        )
    })?;
    let claim = match (line.scopes.take(), line.key.take()) {
        (None, None) => Claim::Anonymous,
        (Some(scopes), None) => Claim::Grant(GrantSpec::custom(scopes)),
        (None, Some(key)) => Claim::Key(Secret::new(key)),
        (Some(_), Some(_)) => return Err("give `scopes` or `key`, not both".to_owned()),
    };
    Ok((line, claim))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_calls() {
        let claim = |line: &str| parse(line.as_bytes()).map(|(_, claim)| claim);
        assert!(matches!(claim(r#"{"method":"GET","target":"/"}"#), Ok(Claim::Anonymous)));
        assert!(
            matches!(claim(r#"{"method":"GET","target":"/","scopes":[]}"#), Ok(Claim::Grant(GrantSpec::Custom(none))) if none.is_empty())
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
            assert!(error.starts_with("column ") && !error.contains("sg_secret"), "{error}");
        }
    }
}
