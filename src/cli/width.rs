//! Text for a terminal of known width. What goes into a pipe or a file is never folded or cut.

/// The width of a terminal that does not say.
const USUAL: usize = 80;
/// Nothing is folded into less.
const LEAST: usize = 40;
/// How far the rest of a folded message is indented.
const INDENT: usize = 2;

/// The columns of a stream, where it is a terminal: `COLUMNS` of the environment, or 80.
pub(super) fn of_stream(is_terminal: bool) -> Option<usize> {
    let told = || std::env::var("COLUMNS").ok()?.parse().ok();
    is_terminal.then(|| told().unwrap_or(USUAL).max(LEAST))
}

/// `text` with its sentences folded between words. Excerpts of files stay as they are.
pub(super) fn folded(text: &str, width: usize) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| folded_line(line, width)).collect();
    lines.join("\n")
}

fn folded_line(line: &str, width: usize) -> String {
    let plain = without_escapes(line);
    if plain.chars().count() <= width || is_excerpt(&plain) {
        return line.to_owned();
    }
    // The help stands behind a label, and goes on under its first word.
    let indent = plain.split_once("= help: ").map_or(INDENT, |(before, _)| before.len() + "= help: ".len());
    let (mut out, mut column) = (String::with_capacity(line.len() + 16), 0);
    for (place, word) in line.split(' ').enumerate() {
        let length = without_escapes(word).chars().count();
        if place > 0 && column + 1 + length > width && column > indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if place > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out
}

/// Whether a line shows a place of a file: it has a gutter.
fn is_excerpt(plain: &str) -> bool {
    let start = plain.trim_start().trim_start_matches(|letter: char| letter.is_ascii_digit()).trim_start();
    ["|", "-->", ":::"].iter().any(|sign| start.starts_with(sign))
}

/// The text without the sequences that colour it.
fn without_escapes(text: &str) -> String {
    let mut pieces = text.split('\x1b');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |plain, piece| plain + piece.split_once('m').map_or("", |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_terminal_has_a_width() {
        assert_eq!(of_stream(false), None);
        assert!(of_stream(true).is_some_and(|width| width >= LEAST));
    }

    #[test]
    fn sentences_are_folded_between_words_and_under_each_other() {
        let text = "warning: the scope is used by no route and by no test\n --> a.yaml:1:1\n  |\n1 | a line of the file that is longer than the terminal is wide\n  = help: take it out, or write a test that needs it";
        let expected = "warning: the scope is used by no route\n  and by no test\n --> a.yaml:1:1\n  |\n1 | a line of the file that is longer than the terminal is wide\n  = help: take it out, or write a test\n          that needs it";
        assert_eq!(folded(text, 40), expected);
        assert_eq!(folded(text, 200), text);
    }

    #[test]
    fn colours_take_no_room_and_long_words_stay_whole() {
        let coloured = format!("\x1b[1;33mwarning\x1b[0m: {}", "abc ".repeat(7).trim_end());
        assert_eq!(folded(&coloured, 40), coloured);
        let word = "x".repeat(60);
        assert_eq!(folded(&format!("warning: {word} y"), 40), format!("warning:\n  {word}\n  y"));
    }
}
