//! The document and the files that it refers to: each read once, every reference made to name its file and its place.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Note, ReadFile, Report, text};

/// Files that one document may be made of. The largest published ones name some hundreds.
const MAX_FILES: usize = 5_000;
/// What stands under these is for people: a file named there says nothing about operations.
const PROSE: [&str; 4] = ["description", "example", "examples", "info"];

/// The files of one document, by their paths relative to its folder.
#[derive(Debug)]
pub(super) struct Files {
    trees: BTreeMap<String, Value>,
    root: String,
}

impl Files {
    /// Reads all that the document refers to, directly or not. What cannot be read is noted.
    ///
    /// Each file is read once, so files that refer to each other in a circle come to an end.
    pub(super) fn gather(name: &str, mut root: Value, read: ReadFile<'_>, report: &mut Report) -> Self {
        let mut wanted = BTreeSet::new();
        anchor(&mut root, name, Place::Document, &mut wanted);
        let mut trees = BTreeMap::from([(name.to_owned(), root)]);
        let mut failed = BTreeSet::new();
        while let Some(path) = wanted.pop_first() {
            if trees.contains_key(&path) || failed.contains(&path) {
                continue;
            }
            match open(&path, trees.len(), read) {
                Ok(mut tree) => {
                    anchor(&mut tree, &path, Place::Document, &mut wanted);
                    trees.insert(path, tree);
                }
                Err(why) => {
                    report.notes.push(Note { about: path.clone(), text: format!("the document refers to it: {why}") });
                    failed.insert(path);
                }
            }
        }
        Self { trees, root: name.to_owned() }
    }

    /// The document itself.
    pub(super) fn root(&self) -> &Value {
        self.trees.get(&self.root).unwrap_or(&Value::Null)
    }

    /// What a reference of any of the files leads to.
    pub(super) fn at(&self, reference: &str) -> Option<&Value> {
        let (file, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        self.trees.get(file)?.pointer(fragment)
    }
}

fn open(path: &str, count: usize, read: ReadFile<'_>) -> Result<Value, String> {
    if is_url(path) {
        return Err(String::from("nothing is fetched from other hosts, so keep a copy beside the document"));
    }
    if count >= MAX_FILES {
        return Err(format!("not read, since the document is made of more than {MAX_FILES} files"));
    }
    text::read(&read(path)?)
}

/// Where in a document a value stands.
#[derive(Clone, Copy)]
enum Place {
    Document,
    Prose,
}

/// Makes every reference of a tree name its file, and collects the files that are needed.
fn anchor(value: &mut Value, file: &str, place: Place, wanted: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| anchor(item, file, place, wanted)),
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                match field {
                    Value::String(reference) if name == "$ref" => {
                        let (path, fragment) = absolute(reference, file);
                        *reference = format!("{path}#{fragment}");
                        if matches!(place, Place::Document) {
                            wanted.insert(path);
                        }
                    }
                    field if PROSE.contains(&name.as_str()) => anchor(field, file, Place::Prose, wanted),
                    field => anchor(field, file, place, wanted),
                }
            }
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}

/// The path and the fragment of a reference that stands in `file`, both decoded.
fn absolute(reference: &str, file: &str) -> (String, String) {
    let (path, fragment) = reference.split_once('#').unwrap_or((reference, ""));
    let path = match path {
        "" => file.to_owned(),
        url if is_url(url) => url.to_owned(),
        path => beside(file, &decoded(path)),
    };
    (path, decoded(fragment))
}

/// A text with its percent-escapes decoded once; what is no escape stays.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = if *first == b'%' { after.get(..2).and_then(|digits| str::from_utf8(digits).ok()) } else { None };
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn is_url(path: &str) -> bool {
    path.contains("://") || path.starts_with("//")
}

/// A path relative to the folder of `file`, dot segments taken out. What leads out of the document's folder begins with `../` or `/`.
fn beside(file: &str, path: &str) -> String {
    let (start, folder) = match path.strip_prefix('/') {
        Some(_) => ("/", ""),
        None if file.starts_with('/') => ("/", file.rsplit_once('/').map_or("", |(folder, _)| folder)),
        None => ("", file.rsplit_once('/').map_or("", |(folder, _)| folder)),
    };
    let mut segments: Vec<&str> = Vec::new();
    for segment in folder.split('/').chain(path.split('/')) {
        match segment {
            "" | "." => {}
            ".." if segments.last().is_some_and(|last| *last != "..") => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    format!("{start}{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_relative_to_the_file_that_it_stands_in() {
        let found = |reference: &str, file: &str| {
            let (path, fragment) = absolute(reference, file);
            format!("{path}#{fragment}")
        };
        assert_eq!(found("#/a", "api.yaml"), "api.yaml#/a");
        assert_eq!(found("x/b.yaml", "api.yaml"), "x/b.yaml#");
        assert_eq!(found("../c.yaml#/d", "x/b.yaml"), "c.yaml#/d");
        assert_eq!(found("./c%20d.yaml#/paths/~1a~1%7Bid%7D", "x/b.yaml"), "x/c d.yaml#/paths/~1a~1{id}");
        assert_eq!(found("../../c.yaml", "x/b.yaml"), "../c.yaml#");
        assert_eq!(found("../d.yaml", "../c/b.yaml"), "../d.yaml#");
        assert_eq!(found("../d.yaml", "../b.yaml"), "../../d.yaml#");
        assert_eq!(found("/etc/passwd", "b.yaml"), "/etc/passwd#");
        assert_eq!(found("shadow", "/etc/passwd"), "/etc/shadow#");
        assert_eq!(found("https://a.example/b.yaml#/c", "b.yaml"), "https://a.example/b.yaml#/c");
    }

    #[test]
    fn files_that_refer_to_each_other_are_read_once() {
        let reads = std::cell::RefCell::new(Vec::new());
        let read = |path: &str| {
            reads.borrow_mut().push(path.to_owned());
            match path {
                "a.json" => Ok(String::from(r#"{"$ref": "b.json"}"#)),
                "b.json" => Ok(String::from(r#"{"$ref": "a.json", "x": {"$ref": "root.json#/y"}}"#)),
                _ => Err(String::from("no such file")),
            }
        };
        let root = serde_json::json!({
            "x": { "$ref": "a.json" }, "y": { "$ref": "gone.json" }, "description": { "$ref": "read.md" },
        });
        let mut report = Report::default();
        let files = Files::gather("root.json", root, &read, &mut report);
        assert_eq!(*reads.borrow(), ["a.json", "b.json", "gone.json"]);
        assert_eq!(report.notes.len(), 1);
        assert!(report.notes[0].about == "gone.json" && report.notes[0].text.contains("no such file"));
        assert!(files.at("b.json#/x").is_some() && files.at("gone.json#").is_none());
    }
}
