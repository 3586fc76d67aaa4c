//! What a command shows, whole: one picture for each group of commands, as a terminal of 80 columns has it, and the same as
//! JSON. What differs from run to run (ids, keys, times, folders, ports) is replaced.

mod auditing;
mod checking;
mod explaining;
mod help;
mod importing;
mod key_files;
mod managing;
mod running;

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::support::Output;
use crate::support::command::{command, finish};
use crate::support::sample::{CONFIG, POLICY};

/// How wide the terminal is.
const COLUMNS: usize = 80;

/// The policy of the samples with routes for keys that are bound.
fn policy() -> String {
    let of_accounts =
        "  GET /accounts/{account}: { scopes: profiles:read }\n  GET /me: { auth: key, unbound: [account] }\n";
    let bound = POLICY.replace("base: /api\n", "base: /api\nbind: { account: account }\n");
    bound.replace("  GET /health:", &format!("{of_accounts}  GET /health:"))
}

/// A folder with files.
struct Folder(TempDir);

impl Folder {
    /// With the configuration and the policy above.
    fn new() -> Folder {
        Folder::empty().with("scopegate.yaml", CONFIG).with("policy.yaml", policy())
    }

    fn empty() -> Folder {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    fn with(self, name: &str, text: impl AsRef<[u8]>) -> Folder {
        fs::write(self.path().join(name), text).expect("a file");
        self
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs a command line as one types it: words parted by spaces, with `'…'` around those that have one.
    fn run(&self, line: &str) -> Output {
        let mut command = command(self.path());
        finish(command.env("COLUMNS", COLUMNS.to_string()).args(words(line)))
    }

    /// What a command line shows.
    fn screen(&self, line: &str) -> String {
        self.shown(line, &self.run(line))
    }

    /// What each of several shows.
    fn screens<'l>(&self, lines: impl IntoIterator<Item = &'l str>) -> String {
        lines.into_iter().map(|line| self.screen(line)).collect::<Vec<_>>().join("\n")
    }

    /// A command line, its exit code where it is not 0, what was said and what was printed.
    fn shown(&self, line: &str, output: &Output) -> String {
        let exit = if output.code == 0 { String::new() } else { format!("   [exit {}]", output.code) };
        let printed = self.settled(&output.stdout);
        // Messages are lines that a terminal folds; what is laid out for the eye has to fit.
        let wide: Vec<&str> =
            printed.lines().filter(|line| line.chars().count() > COLUMNS && !is_found(line)).collect();
        assert!(wide.is_empty(), "wider than {COLUMNS} columns: {wide:#?}");
        let all = format!("$ scopegate {}{exit}\n{}{printed}", self.settled(line), self.settled(&output.stderr));
        assert!(!all.contains('\x1b'), "no colour where no terminal is: {all}");
        all
    }

    /// A text without what differs from run to run.
    fn settled(&self, text: &str) -> String {
        let folder = self.path().canonicalize().expect("the folder");
        let text = text.replace(&format!("{}", folder.display()), "[folder]");
        settled(&text.replace(&format!("{}", self.path().display()), "[folder]"))
    }
}

/// Whether a line is JSON, part of a policy, a row of keys or of the audit, or something found with its place: as long as what it names.
/// A terminal has tables of its width; here they go into a pipe, where nothing is cut.
fn is_found(line: &str) -> bool {
    let starts = ["{", "#", "ID ", "key_", "pppppppp", "\u{2514} ", "  policy.yaml:", "added ", "changed ", "removed "];
    starts.iter().any(|start| line.starts_with(start)) || line.contains("  cli:")
}

/// A command line as a shell parts it, as far as these tests have quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        match at % 2 {
            1 => words.push(part.to_owned()),
            _ => words.extend(part.split(' ').filter(|word| !word.is_empty()).map(str::to_owned)),
        }
    }
    words
}

/// A text with the ids of keys, keys and times replaced, each by something of its length: tables keep their shape.
fn settled(text: &str) -> String {
    let mut settled = String::with_capacity(text.len());
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-:.".contains(c);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len()).max(first.len_utf8());
        let (word, after) = rest.split_at(end);
        // The last four characters of a key, as a table and as JSON show them.
        let last_four = word.len() == 4 && (settled.ends_with("sg_…") || settled.ends_with("\"last_four\":\""));
        let time = shape(word) == "00:00" && settled.ends_with("0000-00-00 ");
        settled.push_str(&match (last_four, time) {
            (true, _) => "kkkk".to_owned(),
            (_, true) => shape(word),
            _ => settled_word(word),
        });
        rest = after;
    }
    settled
}

fn settled_word(word: &str) -> String {
    let trimmed = word.trim_end_matches(['.', ':']);
    let tail = &word[trimmed.len()..];
    let secret = |prefix: &str, length: usize| {
        let rest = trimmed.strip_prefix(prefix)?;
        (rest.len() == length && rest.chars().all(|c| c.is_ascii_alphanumeric())).then_some(rest)
    };
    if secret("key_", 16).is_some_and(|id| id != "0123456789abcdef") {
        return format!("key_{}{tail}", "i".repeat(16));
    }
    // A pair, or its visible id.
    let (id, rest) = trimmed.split_at(trimmed.len().min(32));
    if id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) && (rest.is_empty() || rest.starts_with(':')) {
        let secret = rest.strip_prefix(':').map(|secret| format!(":{}", settled_word(secret)));
        return format!("{}{}{tail}", "p".repeat(32), secret.unwrap_or_default());
    }
    if secret("sg_", 36).is_some() {
        return format!("sg_{}{tail}", "k".repeat(36));
    }
    // Dates that a test or a message writes stay.
    let is_date = trimmed.len() >= 10 && shape(&trimmed[..10]) == "0000-00-00";
    if !is_date || ["2020", "2027", "2099"].iter().any(|year| trimmed.starts_with(year)) {
        return word.to_owned();
    }
    match trimmed.split_once('.') {
        Some((seconds, _)) => format!("{}Z{tail}", shape(seconds)),
        None => format!("{}{tail}", shape(trimmed)),
    }
}

/// A text with 0 for every digit.
fn shape(text: &str) -> String {
    text.replace(|c: char| c.is_ascii_digit(), "0")
}
