//! Standard input, output and error, as values, so that commands can be tested and the streams are used in one place.

use std::fmt::{self, Display};
use std::io::{self, BufRead, IsTerminal, Read, Write};

use serde::Serialize;

use super::{Failure, width};
use crate::config::Fault;
use crate::config::fault::Style;
use crate::key::leak::{covered, holds_key};
use crate::key::visible::{escaped, is_invisible};

/// The streams of the process.
pub struct Console {
    input: Box<dyn BufRead>,
    output: Box<dyn Write>,
    errors: Box<dyn Write>,
    /// How messages are shown.
    style: Style,
    /// How data for a reader is shown.
    paint: Paint,
    /// The columns of the output and of the errors, where these are terminals.
    widths: (Option<usize>, Option<usize>),
}

/// What a piece of text is, for the eye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Bad,
    Faint,
    Good,
    Plain,
    Strong,
}

/// Marks text with what it is. The mark becomes a colour when the text is printed, where a terminal shows it: so no escape
/// sequence of a stranger's is ever taken for one of ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint(Style);

/// What stands in a text for the begin of each ink and for the end of all, with the code that a terminal gets.
const MARKS: [(char, &str); 5] =
    [('\u{fdd0}', "0"), ('\u{fdd1}', "1"), ('\u{fdd2}', "2"), ('\u{fdd3}', "31"), ('\u{fdd4}', "32")];

impl Paint {
    /// The text with its mark. It is for [`Console::print`] alone.
    pub(super) fn apply(self, ink: Ink, text: &str) -> String {
        let mark = match ink {
            Ink::Bad => '\u{fdd3}',
            Ink::Faint => '\u{fdd2}',
            Ink::Good => '\u{fdd4}',
            Ink::Plain => return escaped(text),
            Ink::Strong => '\u{fdd1}',
        };
        match self.0 {
            Style::Coloured => format!("{mark}{}\u{fdd0}", escaped(text)),
            Style::Plain => escaped(text),
        }
    }

    /// What is written of a text: its marks as colours, and what does not show as its number.
    fn shown(self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        for character in text.chars() {
            let mark = MARKS.iter().find(|(mark, _)| *mark == character && self.0 == Style::Coloured);
            match (character, mark) {
                (_, Some((_, code))) => shown.extend(["\x1b[", code, "m"]),
                ('\n', None) => shown.push(character),
                (_, None) if is_invisible(character) => shown.extend(character.escape_unicode()),
                (_, None) => shown.push(character),
            }
        }
        shown
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("style", &self.style).finish_non_exhaustive()
    }
}

impl Console {
    /// The real streams. Messages are coloured on a terminal, unless `NO_COLOR` is set.
    pub fn of_process() -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let style = |terminal: bool| if terminal && !no_color && !dumb { Style::Coloured } else { Style::Plain };
        Self {
            input: Box::new(io::stdin().lock()),
            // Not locked: a gateway's log writes there from other threads while the console lives.
            output: Box::new(io::stdout()),
            errors: Box::new(io::stderr()),
            style: style(io::stderr().is_terminal()),
            paint: Paint(style(io::stdout().is_terminal())),
            widths: (width::of_stream(io::stdout().is_terminal()), width::of_stream(io::stderr().is_terminal())),
        }
    }

    /// Streams of a test.
    #[cfg(test)]
    pub(super) fn of_test(input: &'static str, output: impl Write + 'static, errors: impl Write + 'static) -> Self {
        Self {
            input: Box::new(input.as_bytes()),
            output: Box::new(output),
            errors: Box::new(errors),
            style: Style::Plain,
            paint: Paint(Style::Plain),
            widths: (None, None),
        }
    }

    /// How data for a reader is coloured.
    pub(super) fn paint(&self) -> Paint {
        self.paint
    }

    /// The columns that data for a reader has; `None` where it goes into a pipe or a file, which has no end of a line.
    pub(super) fn width(&self) -> Option<usize> {
        self.widths.0
    }

    /// Writes a line of data to standard output, and nothing that a reader would not see or that acts on the terminal.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn print(&mut self, line: impl Display) -> Result<(), Failure> {
        self.put(&self.paint.shown(&line.to_string()))
    }

    /// Writes a value as JSON to standard output, in one line, and of what does not show its number.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn print_json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(|error| Failure::output(&error.into()))?;
        // Only strings can hold such a character, and there its number means the same.
        let mut shown = String::with_capacity(text.len());
        for character in text.chars() {
            match is_invisible(character) {
                true => character
                    .encode_utf16(&mut [0; 2])
                    .iter()
                    .for_each(|unit| shown.push_str(&format!("\\u{unit:04x}"))),
                false => shown.push(character),
            }
        }
        self.put(&shown)
    }

    fn put(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.output, "{line}").map_err(|error| Failure::output(&error))
    }

    /// Gives raw bytes to standard output.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn print_bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.output.write_all(bytes).and_then(|()| self.output.flush()).map_err(|error| Failure::output(&error))
    }

    /// Says something about the data on standard error. That nobody listens there is no failure.
    pub fn note(&mut self, line: impl Display) {
        self.say(format_args!("{}", tame(&line)));
    }

    /// Says that something may be wrong.
    pub fn warn(&mut self, message: impl Display) {
        self.label("warning", "33", &message);
    }

    /// Shows faults with their places.
    pub fn show_faults<'f>(&mut self, faults: impl IntoIterator<Item = &'f Fault>) {
        for fault in faults {
            let text = fault.render(self.style);
            let text = covered(&text).into_owned();
            let text = self.widths.1.map_or_else(|| text.clone(), |width| width::folded(&text, width));
            self.say(format_args!("{text}\n"));
        }
    }

    /// Says why a command failed.
    pub(super) fn tell(&mut self, failure: &Failure) {
        match failure {
            Failure::Gone => {}
            Failure::Faults(faults_told) => {
                self.show_faults(faults_told);
                let count = faults_told.len();
                let faults = if count == 1 { "fault" } else { "faults" };
                let what = the_one_source(faults_told).unwrap_or("the configuration");
                self.label("error", "31", &format_args!("{what} has {count} {faults}"));
            }
            Failure::Told { message, .. } => self.label("error", "31", message),
        }
    }

    /// Shows what is wrong with the command line, or the help that it asks for. That nobody reads it is no failure.
    pub(super) fn show_usage(&mut self, error: &clap::Error) {
        let is_strange = |argument: &std::ffi::OsString| {
            let text = argument.to_string_lossy();
            text.chars().any(is_invisible) || holds_key(&text)
        };
        if std::env::args_os().any(|argument| is_strange(&argument)) {
            // It may repeat that argument.
            self.say(format_args!("{}", tame(&error.render()).trim_end()));
        } else {
            let _ = error.print();
        }
    }

    /// All of standard input.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_to_end(&mut self) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        self.input.read_to_end(&mut bytes).map_err(|error| Failure::io("standard input cannot be read", &error))?;
        Ok(bytes)
    }

    /// Standard input, for whoever reads it piece by piece while the console goes on speaking; nothing is left of it here.
    pub(super) fn take_input(&mut self) -> Box<dyn BufRead> {
        std::mem::replace(&mut self.input, Box::new(io::empty()))
    }

    /// The next line of standard input, without its end; `None` at the end.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        read_line(&mut self.input).map_err(|error| Failure::io("standard input cannot be read", &error))
    }

    fn label(&mut self, label: &str, colour: &str, message: &dyn Display) {
        let message = tame(message);
        match self.style {
            Style::Coloured => self.say(format_args!("\x1b[1;{colour}m{label}\x1b[0m\x1b[1m:\x1b[0m {message}")),
            Style::Plain => self.say(format_args!("{label}: {message}")),
        }
    }

    /// Writes text that may hold escapes of ours to standard error, and none of a stranger's.
    fn say(&mut self, text: fmt::Arguments<'_>) {
        let _ = writeln!(self.errors, "{text}");
    }
}

/// The file that all faults are in, or the flag or variable that they are of; `None` where there are several, or the file is not
/// there.
fn the_one_source(faults: &[Fault]) -> Option<&str> {
    let source = faults.first()?.file.as_str();
    (faults.iter().all(|fault| fault.file == source && !fault.unreadable)).then_some(source)
}

/// A message as a terminal may get it. It may repeat an argument, or a name from a store or a file, byte for byte; a key that was
/// given in a wrong place is not repeated, since what is shown here is kept by shells, CI and terminals.
fn tame(message: &dyn Display) -> String {
    let message = message.to_string();
    let message = covered(&message);
    let lines: Vec<String> = message.split('\n').map(escaped).collect();
    lines.join("\n")
}

/// The longest line that is read, in bytes: no entry of an audit and no question is longer, and what never ends must not fill the
/// memory.
const LONGEST_LINE: u64 = 16 << 20;

/// The next line of `input`, without its end; `None` at the end.
pub(super) fn read_line(input: &mut dyn BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = input.take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if read as u64 == LONGEST_LINE && !line.ends_with(b"\n") {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is longer than 16 MiB"));
    }
    line.pop_if(|last| *last == b'\n');
    line.pop_if(|last| *last == b'\r');
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_terminal_is_given_colours() {
        let shown = |style: Style, ink: Ink, text: &str| Paint(style).shown(&Paint(style).apply(ink, text));
        assert_eq!(shown(Style::Coloured, Ink::Bad, "missing"), "\x1b[31mmissing\x1b[0m");
        assert_eq!(shown(Style::Coloured, Ink::Plain, "text"), "text");
        assert_eq!(shown(Style::Plain, Ink::Bad, "missing"), "missing");
    }

    #[test]
    fn no_message_repeats_a_key() {
        let key = crate::key::secret::Secret::mint("acme").unwrap();
        let key = std::str::from_utf8(key.expose()).unwrap();
        assert_eq!(tame(&format_args!("`{key}` is no date")), "`acme_***` is no date");
    }

    #[test]
    fn a_line_without_end_is_refused_and_takes_no_more_than_a_line_may() {
        let mut endless = io::BufReader::new(io::repeat(b'0'));
        assert_eq!(read_line(&mut endless).unwrap_err().to_string(), "a line is longer than 16 MiB");
        assert_eq!(read_line(&mut &b"a\r\nb"[..]).unwrap(), Some(b"a".to_vec()));
    }

    #[test]
    fn no_text_of_a_stranger_acts_on_the_terminal() {
        let strange = "a\x1b[31m\u{202e}\u{fdd3}\u{9b}b";
        let escaped = "a\\u{1b}[31m\\u{202e}\\u{fdd3}\\u{9b}b";
        for style in [Style::Coloured, Style::Plain] {
            assert_eq!(Paint(style).shown(&Paint(style).apply(Ink::Plain, strange)), escaped);
        }
        assert_eq!(Paint(Style::Plain).shown(&format!("{strange}\nc")), format!("{escaped}\nc"));
    }
}
