//! Characters that a reader does not see: they can make two names look like one, or turn a line around.

/// Blocks of characters that show nothing of their own, from Unicode 16: the general categories Cf, Zl and Zp, and what else is
/// ignored by default or drawn blank. Sorted.
const INVISIBLE: [(char, char); 27] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    // No characters at all, kept for use within a program; this one marks its own colours with them.
    ('\u{fdd0}', '\u{fdef}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Whether a character is a control character, or one that shows nothing. Blanks that take room are neither.
pub fn is_invisible(character: char) -> bool {
    let place = INVISIBLE.partition_point(|(_, last)| *last < character);
    character.is_control() || INVISIBLE.get(place).is_some_and(|(first, _)| *first <= character)
}

/// `text` with an escape such as `\u{202e}` for each invisible character.
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_invisible(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// So much of a text that may have any length is shown, in characters.
const SHOWN: usize = 256;

/// As [`escaped`], of a long text its beginning.
pub fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}\u{2026}", escaped(text.get(..end).unwrap_or_default())),
        None => escaped(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_it_can_be_searched() {
        assert!(INVISIBLE.iter().all(|(first, last)| first <= last));
        assert!(INVISIBLE.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }

    #[test]
    fn what_shows_nothing_or_turns_a_line_is_invisible() {
        for character in
            "\0\t\n\u{1b}\u{7f}\u{85}\u{ad}\u{61c}\u{180e}\u{200b}\u{200d}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\
            \u{2060}\u{2066}\u{2069}\u{3164}\u{fe0f}\u{feff}\u{fffb}\u{e0001}\u{e0041}\u{e01ef}"
                .chars()
        {
            assert!(is_invisible(character), "{:x}", u32::from(character));
        }
        for character in "a ~\u{a0}\u{e9}\u{5d0}\u{645}\u{4e2d}\u{fffd}\u{1f600}".chars() {
            assert!(!is_invisible(character), "{:x}", u32::from(character));
        }
    }

    #[test]
    fn of_a_long_text_the_beginning_is_shown() {
        assert_eq!(short("caf\u{e9}\u{1b}"), "caf\u{e9}\\u{1b}");
        assert_eq!(short(&"\u{e9}".repeat(SHOWN)), "\u{e9}".repeat(SHOWN));
        assert_eq!(short(&"\u{e9}".repeat(5_000_000)), "\u{e9}".repeat(SHOWN) + "\u{2026}");
    }

    #[test]
    fn an_invisible_character_is_shown_by_its_number() {
        assert_eq!(escaped("caf\u{e9} \u{1b}[2J\u{202e}x"), "caf\u{e9} \\u{1b}[2J\\u{202e}x");
    }
}
