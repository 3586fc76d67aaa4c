//! How to mend what is no YAML. The crate says what it expected; what was meant shows in the lines about the place.

/// The byte to mark, and what to do, where that can be told.
pub(super) fn of(text: &str, at: usize, info: &str) -> (usize, Option<String>) {
    // Not `lines`: what is counted here are bytes, a CR included.
    let lines: Vec<&str> = text.split('\n').collect();
    let index = text.get(..at).unwrap_or(text).matches('\n').count();
    let line = lines.get(index).copied().unwrap_or_default();
    let start_of = |index: usize| lines.iter().take(index).map(|line| line.len() + 1).sum::<usize>();
    // What a tab begins may go on from the line before.
    for (index, line) in lines.iter().enumerate().skip(index).take(if info.contains("tab") { 2 } else { 1 }) {
        let indent = line.get(..line.len() - line.trim_start().len()).unwrap_or_default();
        if let Some(tab) = indent.find('\t') {
            let help = format!("indent with spaces: line {} begins with a tab", index + 1);
            return ((start_of(index) + tab).min(text.len()), Some(help));
        }
    }
    let help = if info.contains("anchor or alias") {
        Some(of_star(line))
    } else if info.contains("flow") || info.contains("':' indicator") {
        of_brackets(text.get(..at).unwrap_or(text), index + 1)
    } else if info.contains("expected ':'") {
        of_colon(line, index + 1)
    } else if info.contains("expected key") || info.contains("block") || info.contains("not allowed") {
        of_indent(&lines, index)
    } else {
        None
    };
    (at, help)
}

fn of_star(line: &str) -> String {
    match line.trim_start().starts_with("* /") {
        true => "`*` is no method: write `ANY`".to_owned(),
        false => "quote it, as in `'*'`".to_owned(),
    }
}

/// A line that stands neither with the lines before it nor below one of them.
fn of_indent(lines: &[&str], index: usize) -> Option<String> {
    let line = lines.get(index)?;
    let depth = |line: &str| line.len() - line.trim_start().len();
    let told = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let before = lines.get(..index)?.iter().rev().copied().find(told)?;
    if line.trim_start().starts_with("- ") && !before.trim_start().starts_with("- ") {
        return Some("leave `- ` out: the lines beside it are `key: value`, and no list".to_owned());
    }
    let (own, other) = (depth(line), depth(before));
    if own == other {
        return of_colon(before, index);
    }
    (own != other).then(|| format!("line {} is indented by {own}, the one before it by {other}", index + 1))
}

/// A line without a colon that ends a key.
fn of_colon(line: &str, number: usize) -> Option<String> {
    let has_key = line.contains(": ") || line.trim_end().ends_with(':');
    (line.contains(':') && !has_key)
        .then(|| format!("a colon needs a space after it: line {number} is no `key: value`"))
}

/// The bracket that is open at the end of `before`, whose last line is `number`.
fn of_brackets(before: &str, number: usize) -> Option<String> {
    let mut open: Vec<(char, usize)> = Vec::new();
    let mut quote = None;
    for (index, line) in before.lines().enumerate() {
        let mut previous = ' ';
        for letter in line.chars() {
            match (quote, letter) {
                (Some(mark), _) if mark == letter => quote = None,
                (Some(_), _) => {}
                (None, '#') if previous == ' ' => break,
                (None, '\'' | '"') if !previous.is_alphanumeric() => quote = Some(letter),
                (None, '{' | '[') if !open.is_empty() || previous == ' ' => open.push((letter, index + 1)),
                (None, '}' | ']') => drop(open.pop()),
                (None, _) => {}
            }
            previous = letter;
        }
    }
    let (bracket, line) = open.last().or(open.first())?;
    Some(match *line == number {
        true => {
            "within `{ … }` and `[ … ]` a name or a value that has `,`, `[`, `]`, `{` or `}` needs quotes".to_owned()
        }
        false => format!("the `{bracket}` of line {line} is not closed"),
    })
}
