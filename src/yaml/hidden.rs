//! Characters that make a text look other than it reads: what a reader of the file sees is not what this program sees.
//!
//! The attack is known as Trojan source (CVE-2021-42574): a comment that ends earlier than it looks, a name that looks
//! like another one. Nothing is repaired: each such character is told, with its number.

use super::{Node, Span, Value, saturate};
use crate::key::visible::is_invisible;

/// A character that does not show as what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// Where it stands.
    pub span: Span,
    /// The character.
    pub character: char,
    /// Whether it stands in a key of a map or in a value, as opposed to a comment.
    pub in_word: bool,
}

/// What a hidden character does to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trick {
    /// A line break that only some programs see: they show another text than is read here.
    Break,
    /// It may act on the terminal or the editor that shows it.
    Control,
    /// It turns the order in which the letters of the line are shown.
    Direction,
    /// It shows nothing: two names may look like one.
    Nothing,
}

/// The hidden characters of `text`, in their order; a byte order mark at the very beginning is none. `root` is its tree, where
/// it has one: without it, all of them count as standing in words.
pub fn hidden<'t>(text: &'t str, root: Option<&'t Node>) -> impl Iterator<Item = Hidden> + 't {
    // Most texts have none, and need no list of words.
    let mut words: Option<Vec<Span>> = None;
    let passed = text.as_bytes().chunks(CHUNK).take_while(|chunk| is_shown(chunk)).count() * CHUNK;
    // A character of several bytes is none of those that were passed.
    let rest = text.get(passed..).unwrap_or_default();
    let found = rest.char_indices().map(move |(at, character)| (passed + at, character));
    let found = found.filter(move |(at, character)| {
        let is_shown = (' '..='~').contains(character) || (*at == 0 && *character == '\u{feff}');
        !is_shown && is_hidden(*character, text.get(*at..).unwrap_or_default())
    });
    found.map(move |(at, character)| {
        let start = saturate(at);
        let span = Span { start, end: start.saturating_add(saturate(character.len_utf8())) };
        let in_word = root.is_none_or(|root| has(words.get_or_insert_with(|| words_of(root)), span));
        Hidden { span, character, in_word }
    })
}

/// So many bytes are looked at together.
const CHUNK: usize = 64;

/// Whether nothing in these bytes of a text can be a hidden character: all of them are printable ASCII, or break lines as is usual.
pub fn is_shown(bytes: &[u8]) -> bool {
    // Without an end before the last byte, so that many are looked at in one step.
    bytes.iter().fold(true, |all, byte| all & matches!(byte, b' '..=b'~' | b'\t' | b'\n'))
}

/// The places of all words of a tree, sorted.
fn words_of(root: &Node) -> Vec<Span> {
    let mut words = Vec::new();
    gather(root, &mut words);
    words.sort_unstable();
    words
}

/// Whether one of `words`, none of which lies in another, has `span`.
fn has(words: &[Span], span: Span) -> bool {
    let before = words.partition_point(|word| word.start <= span.start);
    words.get(..before).and_then(<[Span]>::last).is_some_and(|word| span.end <= word.end)
}

/// Whether the first character of `rest` is one that does not show. A tab and a line break of this format do.
fn is_hidden(character: char, rest: &str) -> bool {
    match character {
        '\t' | '\n' => false,
        '\r' => !rest.starts_with("\r\n"),
        other => is_invisible(other),
    }
}

/// Where the words of a tree stand: its scalars and the keys of its maps.
fn gather(node: &Node, words: &mut Vec<Span>) {
    match &node.value {
        Value::Scalar(_) => words.push(node.span),
        Value::List(items) => items.iter().for_each(|item| gather(item, words)),
        Value::Map(entries) => {
            for entry in entries {
                words.push(entry.key_span);
                gather(&entry.value, words);
            }
        }
    }
}

impl Trick {
    fn of(character: char) -> Self {
        match character {
            '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Self::Break,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Self::Direction,
            other if other.is_control() => Self::Control,
            _ => Self::Nothing,
        }
    }
}

impl Hidden {
    /// What it does.
    pub fn trick(&self) -> Trick {
        Trick::of(self.character)
    }

    /// Whether it only chooses how the character before it is drawn, as in many an emoji.
    pub fn is_variation(&self) -> bool {
        matches!(self.character, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
    }

    /// What is wrong, with the character's number and, where it is a common one, its name.
    pub fn message(&self) -> String {
        let name = name(self.character).map(|name| format!(" ({name})")).unwrap_or_default();
        let does = match self.trick() {
            Trick::Break if self.character == '\r' => "ends the line here, which not every editor shows",
            Trick::Break => "ends the line in some editors, and does not end it here",
            Trick::Control => "is a control character, which nobody sees",
            Trick::Direction => "changes the order in which the line is shown: it looks other than it reads",
            Trick::Nothing if self.in_word => "shows nothing: what it stands in looks like another word",
            Trick::Nothing => "shows nothing",
        };
        format!("U+{:04X}{name} {does}", u32::from(self.character))
    }

    /// How to mend it.
    pub fn help(&self) -> &'static str {
        match self.trick() {
            Trick::Break => "take it out, or put a line break (U+000A) in its place",
            Trick::Control | Trick::Direction | Trick::Nothing => {
                "take it out: it is one character, shown here by its number"
            }
        }
    }
}

/// The name of a character, for those that are common.
fn name(character: char) -> Option<&'static str> {
    Some(match character {
        '\r' => "carriage return",
        '\u{1b}' => "escape",
        '\u{85}' => "next line",
        '\u{ad}' => "soft hyphen",
        '\u{61c}' => "Arabic letter mark",
        '\u{200b}' => "zero width space",
        '\u{200c}' => "zero width non-joiner",
        '\u{200d}' => "zero width joiner",
        '\u{200e}' => "left-to-right mark",
        '\u{200f}' => "right-to-left mark",
        '\u{2028}' => "line separator",
        '\u{2029}' => "paragraph separator",
        '\u{202a}' => "left-to-right embedding",
        '\u{202b}' => "right-to-left embedding",
        '\u{202c}' => "pop directional formatting",
        '\u{202d}' => "left-to-right override",
        '\u{202e}' => "right-to-left override",
        '\u{2060}' => "word joiner",
        '\u{2066}' => "left-to-right isolate",
        '\u{2067}' => "right-to-left isolate",
        '\u{2068}' => "first strong isolate",
        '\u{2069}' => "pop directional isolate",
        '\u{feff}' => "zero width no-break space",
        _ => return None,
    })
}
