//! One log line, as JSON or as logfmt, written into a buffer without allocating.

use std::io::Write;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::key::visible::is_invisible;

/// The form of a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// One JSON object.
    Json,
    /// `name=value`, quoted where needed.
    Logfmt,
}

/// A line being written. Field names are ours and plain; values may hold anything and are escaped, so that no value
/// can end a line, begin another field or reach a terminal as a control sequence.
pub(crate) struct Line<'b> {
    out: &'b mut Vec<u8>,
    form: Form,
    empty: bool,
}

impl<'b> Line<'b> {
    pub(crate) fn begin(out: &'b mut Vec<u8>, form: Form) -> Self {
        if form == Form::Json {
            out.push(b'{');
        }
        Self { out, form, empty: true }
    }

    /// Whether it is for eyes rather than for programs.
    pub(crate) fn is_text(&self) -> bool {
        self.form == Form::Logfmt
    }

    /// A value that may hold any bytes.
    pub(crate) fn text(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        let plain = value.iter().copied().all(is_plain);
        if self.form == Form::Logfmt && plain && !value.is_empty() && !value.iter().any(|b| matches!(b, b' ' | b'=')) {
            self.out.extend_from_slice(value);
            return;
        }
        self.out.push(b'"');
        if plain {
            self.out.extend_from_slice(value);
        } else {
            self.escape(value);
        }
        self.out.push(b'"');
    }

    pub(crate) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        self.decimal(value);
    }

    pub(crate) fn ipv4(&mut self, name: &str, value: Ipv4Addr) {
        self.name(name);
        let quote: &[u8] = if self.form == Form::Json { b"\"" } else { b"" };
        let mut before = quote;
        for octet in value.octets() {
            self.out.extend_from_slice(before);
            self.decimal(u64::from(octet));
            before = b".";
        }
        self.out.extend_from_slice(quote);
    }

    /// A duration in milliseconds, with three decimals.
    pub(crate) fn millis(&mut self, name: &str, value: Duration) {
        self.name(name);
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        self.decimal(micros / 1_000);
        self.out.push(b'.');
        self.padded(micros % 1_000);
    }

    /// A time: `second` is `2026-11-21T22:04:14.`, to which the milliseconds and `Z` are added.
    pub(crate) fn time(&mut self, second: &[u8], millis: u64) {
        self.name("time");
        let quote: &[u8] = if self.form == Form::Json { b"\"" } else { b"" };
        self.out.extend_from_slice(quote);
        self.out.extend_from_slice(second);
        self.padded(millis);
        self.out.push(b'Z');
        self.out.extend_from_slice(quote);
    }

    pub(crate) fn end(self) {
        if self.form == Form::Json {
            self.out.push(b'}');
        }
        self.out.push(b'\n');
    }

    fn name(&mut self, name: &str) {
        if !self.empty {
            self.out.push(if self.form == Form::Json { b',' } else { b' ' });
        }
        self.empty = false;
        if self.form == Form::Json {
            self.out.push(b'"');
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"\":");
        } else {
            self.out.extend_from_slice(name.as_bytes());
            self.out.push(b'=');
        }
    }

    fn decimal(&mut self, mut value: u64) {
        let mut digits = [0; 20];
        let mut length = 0;
        for place in digits.iter_mut().rev() {
            *place = b'0' + (value % 10) as u8;
            value /= 10;
            length += 1;
            if value == 0 {
                break;
            }
        }
        self.out.extend(digits.iter().skip(20 - length));
    }

    /// A number below 1,000 in three digits.
    fn padded(&mut self, value: u64) {
        for digit in [value / 100, value / 10, value] {
            self.out.push(b'0' + (digit % 10) as u8);
        }
    }

    fn escape(&mut self, value: &[u8]) {
        for chunk in value.utf8_chunks() {
            chunk.valid().chars().for_each(|c| self.escape_char(c));
            for byte in chunk.invalid() {
                // A byte that is no text is shown as the six characters "\\xff" of a string.
                self.format(format_args!("\\\\x{byte:02x}"));
            }
        }
    }

    fn escape_char(&mut self, c: char) {
        match c {
            '"' => self.out.extend_from_slice(b"\\\""),
            '\\' => self.out.extend_from_slice(b"\\\\"),
            '\n' => self.out.extend_from_slice(b"\\n"),
            '\r' => self.out.extend_from_slice(b"\\r"),
            '\t' => self.out.extend_from_slice(b"\\t"),
            c if is_invisible(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    self.format(format_args!("\\u{unit:04x}"));
                }
            }
            c => self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }

    /// For the rare escapes alone.
    fn format(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a Vec cannot fail.
        let _ = self.out.write_fmt(arguments);
    }
}

/// Whether a byte stands for itself in both forms.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(form: Form, value: &[u8]) -> String {
        let mut out = Vec::new();
        let mut line = Line::begin(&mut out, form);
        line.text("v", value);
        line.end();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn any_bytes_come_back_from_json_as_one_string() {
        for value in [
            "plain",
            "",
            "a\"b\\c",
            "new\nline\r\t\0",
            "\u{1b}[31mred",
            "zażółć",
            "\u{85}\u{9b}x",
            "\u{202e}gpj\u{2028}\u{200b}\u{e0041}",
        ] {
            let line = written(Form::Json, value.as_bytes());
            let json: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(json.get("v").unwrap(), value);
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            assert!(!line.trim_end().contains(is_invisible), "{line}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_hex() {
        let line = written(Form::Json, b"a\xffb");
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(json.get("v").unwrap(), "a\\xffb");
    }

    #[test]
    fn logfmt_quotes_what_would_begin_another_field() {
        assert_eq!(written(Form::Logfmt, b"/api/1"), "v=/api/1\n");
        assert_eq!(written(Form::Logfmt, b""), "v=\"\"\n");
        assert_eq!(written(Form::Logfmt, b"a decision=allow"), "v=\"a decision=allow\"\n");
        assert_eq!(written(Form::Logfmt, b"\x1b[2J\n"), "v=\"\\u001b[2J\\n\"\n");
    }

    #[test]
    fn numbers_are_written_in_full() {
        let mut out = Vec::new();
        let mut line = Line::begin(&mut out, Form::Json);
        line.number("zero", 0);
        line.number("most", u64::MAX);
        line.millis("ms", Duration::from_micros(12_034));
        line.end();
        assert_eq!(String::from_utf8(out).unwrap(), "{\"zero\":0,\"most\":18446744073709551615,\"ms\":12.034}\n");
    }
}
