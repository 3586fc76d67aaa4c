//! `${env:NAME}` and `${file:PATH}` in the strings of `scopegate.yaml`.

use std::path::PathBuf;

use super::file::Files;
use super::source::Environment;
use super::unit::Complaint;

/// The most that a file named by `${file:…}` may hold, in bytes.
const FILE_LIMIT: u64 = 64 << 10;

/// Puts values in the place of `${…}`.
#[derive(Debug)]
pub(super) struct Substitution<'s> {
    pub(super) environment: &'s Environment,
    /// What relative paths are relative to.
    pub(super) folder: PathBuf,
    /// Reads files, and remembers them.
    pub(super) files: Files,
}

/// Up to where user and password stand in `postgres://USER:PASSWORD@…`; nought in anything else.
fn login(text: &str) -> usize {
    let is_address = text.starts_with("postgres://") || text.starts_with("postgresql://");
    text.rfind('@').filter(|_| is_address).unwrap_or(0)
}

/// Appends a value so that an address has it as it is (RFC 3986, 2.1).
fn push_escaped(value: &str, out: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// What a complaint says of a value that came of `text`, without what was put in, for that may be a secret: all of it where the
/// text has the same fault whatever is put in, else what says nothing of the value, where that is known.
pub(super) fn told<T>(
    complaint: &Complaint,
    text: &str,
    read: impl Fn(&str) -> Result<T, Complaint>,
) -> Option<String> {
    let same = read(&masked(text)).err().filter(|of_masked| of_masked.message == complaint.message);
    same.map(|same| same.message).or_else(|| complaint.without_the_value.clone())
}

/// `text` with the same digit in the place of every `${…}`: what is wrong with that is not wrong by what is put in.
fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            out.extend([before, "${"]);
            rest = after;
            continue;
        }
        out.extend([before, "1"]);
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out
}

/// Whether `text` has anything to put in.
pub(super) fn is_wanted(text: &str) -> bool {
    text.contains("${")
}

impl Substitution<'_> {
    /// `text` with every `${…}` replaced, and `$${` read as `${`; or all that is wrong. In the address of a database a user and a
    /// password are put in by what they stand for: a password may have any letters.
    pub(super) fn apply(&mut self, text: &str) -> Result<String, Vec<Complaint>> {
        let mut faults = Vec::new();
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let login = login(text);
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                out.push_str(before);
                out.push_str("${");
                rest = after;
                continue;
            }
            out.push_str(before);
            let Some((what, after)) = after.split_once('}') else {
                faults.push(Complaint::new(
                    "`${` has no `}`",
                    "write `${env:NAME}` or `${file:PATH}`; `$${` stands for `${` itself",
                ));
                return Err(faults);
            };
            match self.value(what) {
                Ok(value) if text.len() - rest.len() < login => push_escaped(&value, &mut out),
                Ok(value) => out.push_str(&value),
                Err(fault) => faults.push(fault),
            }
            rest = after;
        }
        out.push_str(rest);
        if faults.is_empty() { Ok(out) } else { Err(faults) }
    }

    fn value(&mut self, what: &str) -> Result<String, Complaint> {
        match what.split_once(':') {
            Some(("env", name)) if !name.is_empty() => self.variable(name),
            Some(("file", path)) if !path.is_empty() => self.file(path),
            _ => Err(Complaint::new(
                format!("`${{{what}}}` is not known"),
                "write `${env:NAME}` or `${file:PATH}`; `$${` stands for `${` itself",
            )),
        }
    }

    fn variable(&self, name: &str) -> Result<String, Complaint> {
        match self.environment.read(name) {
            Some(value) if !value.is_empty() => Ok(value),
            Some(_) => Err(Complaint::new(format!("the environment variable `{name}` is empty"), "give it a value")),
            None => Err(Complaint::new(
                format!("the environment variable `{name}` is not set"),
                format!("set `{name}`, or keep the value in a file and write `${{file:PATH}}`"),
            )),
        }
    }

    /// The text of a file without its final line break.
    fn file(&mut self, path: &str) -> Result<String, Complaint> {
        let path = self.folder.join(path);
        let shown = path.display().to_string();
        let text = self.files.read_text(&path, FILE_LIMIT).map_err(|why| {
            Complaint::new(format!("`{shown}` cannot be read: {why}"), "a relative path is relative to this file")
        })?;
        let value = text.strip_suffix('\n').unwrap_or(&text);
        let value = value.strip_suffix('\r').unwrap_or(value);
        if value.is_empty() {
            let message = format!("`{shown}` is empty");
            return Err(Complaint::new(message, "write the value into it"));
        }
        Ok(value.to_owned())
    }
}
