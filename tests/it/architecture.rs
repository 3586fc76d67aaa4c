//! Who imports whom, how long a file may be, what a module may not be called.
//!
//! The floors of the house as a test: the policy core cannot come to know a socket, the proxy cannot come to know the
//! command line. A module that is new needs a row in `table` before it can be used.

pub mod table; // Which module may use which.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use table::{IO, TABLE};

/// The commands that must work without a runtime: the proof that policy and config need none.
const WITHOUT_RUNTIME: &[&str] = &["src/cli/check.rs", "src/cli/explain.rs"];

const CODE_LINES: usize = 400;

const NO_NAMES: &[&str] = &["common", "helper", "helpers", "misc", "util", "utils"];

#[test]
fn every_module_uses_only_what_its_floor_allows() {
    let crates = outside_crates();
    let mut faults = Vec::new();
    for file in sources() {
        let Some(module) = module_of(&file) else {
            continue;
        };
        let Some(row) = TABLE.iter().find(|row| row.module == module) else {
            faults.push(format!(
                "{}: the module `{module}` has no row in tests/it/architecture/table.rs",
                file.display()
            ));
            continue;
        };
        let tokens = tokens(&read(&file));
        for (path, line) in crate_paths(&tokens, depth(&file)) {
            let own = within(&path, module);
            let under = |list: &[&str]| list.iter().any(|allowed| within(&path, allowed));
            if !own && (!under(row.inside) || under(row.hidden)) {
                faults.push(format!("{}:{line}: `{module}` may not use `crate::{path}`", file.display()));
            }
        }
        for (name, line) in crates_used(&tokens, &crates) {
            let allowed =
                row.outside.is_none_or(|list| list.contains(&name.as_str())) && !row.never.contains(&name.as_str());
            if !allowed {
                faults.push(format!("{}:{line}: `{module}` may not use the crate `{name}`", file.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn explaining_and_checking_need_no_runtime() {
    let crates = outside_crates();
    let mut faults = Vec::new();
    for file in sources().iter().filter(|file| WITHOUT_RUNTIME.iter().any(|name| file.ends_with(name))) {
        let tokens = tokens(&read(file));
        for (path, line) in crate_paths(&tokens, depth(file)) {
            if ["server", "snapshot", "proxy", "admin"].iter().any(|module| within(&path, module)) {
                faults.push(format!("{}:{line}: uses `crate::{path}`", file.display()));
            }
        }
        let io = crates_used(&tokens, &crates).into_iter().filter(|(name, _)| IO.contains(&name.as_str()));
        faults.extend(io.map(|(name, line)| format!("{}:{line}: uses `{name}`", file.display())));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_source_file_is_longer_than_a_person_reads_in_one_go() {
    let mut faults = Vec::new();
    for file in sources() {
        let code = without_comments(&read(&file));
        let count = code.lines().filter(|line| !line.trim().is_empty()).count();
        if count > CODE_LINES {
            faults.push(format!("{}: {count} lines of code, more than {CODE_LINES}", file.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn there_is_no_unsafe_code() {
    let manifest = read(Path::new("Cargo.toml"));
    // The compiler holds it, in every target of the package; `forbid` knows no exception.
    assert!(manifest.lines().any(|line| line == "unsafe_code = \"forbid\""), "the lint stands in Cargo.toml");
    assert!(manifest.contains("[lints.rust]"), "in the table that this package is held to");
    for file in sources() {
        let found = tokens(&read(&file)).into_iter().find(|(word, _)| word == "unsafe");
        assert!(found.is_none(), "{}: {found:?}", file.display());
    }
}

#[test]
fn no_module_is_a_drawer_for_odds_and_ends() {
    let named = |file: &PathBuf| file.file_stem().is_some_and(|stem| NO_NAMES.iter().any(|name| stem == *name));
    let faults: Vec<_> = sources().into_iter().filter(named).collect();
    assert!(faults.is_empty(), "a name that says nothing: {faults:?}");
    let indices: Vec<_> = sources().into_iter().filter(|file| file.ends_with("mod.rs")).collect();
    assert!(indices.is_empty(), "`foo.rs` beside `foo/`, not `foo/mod.rs`: {indices:?}");
}

#[test]
fn the_table_reads_paths_as_the_compiler_does() {
    let text = "use crate::{key::{KeyId, secret::Secret as S}, policy::*}; // crate::cli\nfn f() { crate::store::open(\"crate::admin\"); super::server::x() }\nfn g<'a>() -> char { '\"' } use tokio::net; /* hyper::x */ #[cfg(test)]\nmod tests { use crate::proxy; }";
    let tokens = tokens(text);
    let paths: Vec<_> = crate_paths(&tokens, 1).into_iter().map(|(path, line)| format!("{line} {path}")).collect();
    assert_eq!(paths, ["1 key::KeyId", "1 key::secret::Secret", "1 policy::*", "2 store::open", "2 server::x"]);
    assert!(within("key::KeyId", "key") && within("key::KeyId", "key::KeyId") && !within("key::Kept", "key::Ke"));
    let crates = ["tokio", "hyper"].map(str::to_owned).into();
    assert_eq!(crates_used(&tokens, &crates), [("tokio".to_owned(), 3)]);
}

/// Every source file that is not a test, relative to the package.
fn sources() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with("tests") {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                found.push(path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("a path of the package").to_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found.sort();
    found
}

fn read(file: &Path) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("a source file")
}

/// The top module that a file belongs to; `None` for main.rs and lib.rs.
fn module_of(file: &Path) -> Option<&str> {
    let first = file.components().nth(1)?.as_os_str().to_str()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (!["lib", "main"].contains(&name)).then_some(name)
}

/// How many `super` lead from a file's own module to the root of the crate.
fn depth(file: &Path) -> usize {
    file.components().count() - 1
}

fn within(path: &str, allowed: &str) -> bool {
    path.strip_prefix(allowed).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The dependencies of Cargo.toml under the names that code calls them by.
fn outside_crates() -> BTreeSet<String> {
    let manifest = read(Path::new("Cargo.toml"));
    let lines = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let names = lines.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once(" = "));
    let crates: BTreeSet<_> = names.map(|(name, _)| name.replace('-', "_")).collect();
    assert!(crates.contains("tokio"), "the dependencies are found: {crates:?}");
    crates
}

/// The code without comments, texts and an inline test module, which is the last thing in a file. Lines stay where they are.
fn without_comments(text: &str) -> String {
    let text = text.find("#[cfg(test)]\nmod ").map_or(text, |end| &text[..end]);
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == '"' {
            quoted(rest)
        } else if let Some(length) = raw_text(rest).filter(|_| !code.ends_with(is_name)) {
            length
        } else if first == '\'' {
            letter(rest)
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        // A space keeps words apart that a comment stood between.
        code.push(' ');
        code.extend(rest[..length].chars().filter(|letter| *letter == '\n'));
        rest = &rest[length..];
    }
    code
}

/// The length of the text in quotes that `rest` begins with.
fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of a raw text, if `rest` begins with one.
fn raw_text(rest: &str) -> Option<usize> {
    let open = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = open.len() - open.trim_start_matches('#').len();
    let content = open[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = content.find(&end).map_or(content.len(), |at| at + end.len());
    Some(rest.len() - content.len() + length)
}

/// The length of a character literal, or 1 where the apostrophe begins a lifetime.
fn letter(rest: &str) -> usize {
    let mut letters = rest.char_indices().skip(1);
    match (letters.next(), letters.next()) {
        (Some((_, '\\')), Some((at, _))) => rest[at + 1..].find('\'').map_or(1, |end| at + end + 2),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The names and signs of the code, each with its line.
fn tokens(text: &str) -> Vec<(String, usize)> {
    let mut tokens: Vec<(String, usize)> = Vec::new();
    for (line, code) in without_comments(text).lines().enumerate() {
        let mut rest = code.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if rest.starts_with("::") {
                2
            } else if is_name(first) {
                rest.find(|letter| !is_name(letter)).unwrap_or(rest.len())
            } else {
                first.len_utf8()
            };
            tokens.push((rest[..length].to_owned(), line + 1));
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// The paths that begin at the root of the crate, use trees taken apart.
fn crate_paths(tokens: &[(String, usize)], depth: usize) -> Vec<(String, usize)> {
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let mut end = at;
        let word = |place: usize| tokens.get(place).map_or("", |(word, _)| word.as_str());
        if word(at) == "crate" && word(at + 1) == "::" {
            end = at + 2;
        } else if word(at) == "super" && word(at.wrapping_sub(1)) != "::" {
            let mut count = 0;
            while word(at + 2 * count) == "super" && word(at + 2 * count + 1) == "::" {
                count += 1;
            }
            end = if count == depth { at + 2 * count } else { at };
        }
        at = if end > at { take_tree(tokens, end, "", &mut paths) } else { at + 1 };
    }
    paths
}

/// Reads one path or use tree from `at` on and gives the place after it.
fn take_tree(tokens: &[(String, usize)], at: usize, before: &str, paths: &mut Vec<(String, usize)>) -> usize {
    let Some((word, line)) = tokens.get(at) else {
        return at;
    };
    if word == "{" {
        let mut at = at + 1;
        while tokens.get(at).is_some_and(|(word, _)| word != "}") {
            let next = take_tree(tokens, at, before, paths);
            // `as Name` and the comma.
            at = next + tokens[next..].iter().take_while(|(word, _)| word != "," && word != "}").count();
            at += usize::from(tokens.get(at).is_some_and(|(word, _)| word == ","));
        }
        return at + 1;
    }
    let path = if before.is_empty() { word.clone() } else { format!("{before}::{word}") };
    let goes_on = tokens.get(at + 1).is_some_and(|(word, _)| word == "::")
        && tokens.get(at + 2).is_some_and(|(word, _)| word == "{" || word == "*" || word.starts_with(is_name));
    if goes_on {
        return take_tree(tokens, at + 2, &path, paths);
    }
    paths.push((path, *line));
    at + 1
}

/// The outside crates that the code names at the head of a path.
fn crates_used(tokens: &[(String, usize)], crates: &BTreeSet<String>) -> Vec<(String, usize)> {
    let word = |place: usize| tokens.get(place).map_or("", |(word, _)| word.as_str());
    let heads =
        |at: usize| word(at + 1) == "::" && word(at.wrapping_sub(1)) != "::" || word(at.wrapping_sub(1)) == "use";
    let named = |(at, (name, line)): (usize, &(String, usize))| {
        (crates.contains(name) && heads(at)).then(|| (name.clone(), *line))
    };
    tokens.iter().enumerate().filter_map(named).collect()
}
