//! A list of records in the forms that programs and most people write, read without a tree.
//!
//! A key file may have megabytes, of which a tree of values would take many times as much. What is read here is a part of YAML
//! that leaves nothing to be asked: one entry, a list below it, each item a map of names to texts and to lists of texts, in
//! printable ASCII. INVARIANT: what is read here, [`parse`](super::parse) reads the same, without an error and without a hidden
//! character; a test holds the two against each other. Whatever else stands in a text, good or bad, is left to `parse`.

use memchr::memchr;

/// A text, as [`Scalar`](super::Scalar).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'t> {
    /// The text.
    pub text: &'t str,
    /// Whether it stood without quotes.
    pub plain: bool,
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'t> {
    /// A list, yet to be read.
    List(Listed<'t>),
    /// A text.
    Text(Word<'t>),
}

/// The source of a list. Equal sources are equal lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listed<'t>(&'t str);

/// A name and its value.
pub type Field<'t> = (&'t str, Value<'t>);

/// Shows `take` the fields of each record of a text that is a list below `head`. `None` where the text is something else, in part
/// or as a whole, which may show late; or where `take` gives `None`.
pub fn records<'t>(text: &'t str, head: &str, mut take: impl FnMut(&[Field<'t>]) -> Option<()>) -> Option<()> {
    let mut cursor = Cursor { rest: text };
    cursor.pass_remarks()?;
    cursor.eat(head)?;
    cursor.eat(":\n")?;
    cursor.pass_remarks()?;
    let indent = cursor.indent();
    let mut fields = Vec::with_capacity(16);
    loop {
        cursor.skip(indent)?;
        cursor.eat("- ")?;
        fields.clear();
        match cursor.first() {
            Some(b'{') => cursor.flow_map(&mut fields)?,
            _ => cursor.block_map(indent + 2, &mut fields)?,
        }
        take(&fields)?;
        cursor.pass_remarks()?;
        if cursor.rest.is_empty() {
            return Some(());
        }
        if cursor.indent() != indent {
            return None;
        }
    }
}

impl<'t> Listed<'t> {
    /// Its texts; `None` where it is not of a form that is read here.
    pub fn words(self) -> Option<Vec<Word<'t>>> {
        let mut cursor = Cursor { rest: self.0 };
        let mut words = Vec::new();
        match cursor.first() {
            Some(b'[') => cursor.flow_words(&mut words)?,
            _ => cursor.block_words(&mut words)?,
        }
        cursor.rest.is_empty().then_some(words)
    }
}

/// What is left of a text.
struct Cursor<'t> {
    rest: &'t str,
}

impl<'t> Cursor<'t> {
    fn first(&self) -> Option<u8> {
        self.rest.as_bytes().first().copied()
    }

    #[inline]
    fn eat(&mut self, what: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(what)?;
        Some(())
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.rest = self.rest.get(bytes..)?;
        Some(())
    }

    /// How many spaces come next.
    fn indent(&self) -> usize {
        self.rest.bytes().take_while(|byte| *byte == b' ').count()
    }

    fn pass_spaces(&mut self) {
        // Mostly there is none.
        while let Some(rest) = self.rest.strip_prefix(' ') {
            self.rest = rest;
        }
    }

    fn end_line(&mut self) -> Option<()> {
        if self.rest.is_empty() { Some(()) } else { self.eat("\n") }
    }

    /// Passes empty lines and comments that have a line of their own.
    fn pass_remarks(&mut self) -> Option<()> {
        loop {
            if self.first() == Some(b'\n') {
                self.skip(1)?;
                continue;
            }
            let remark = self.rest.get(self.indent()..)?;
            if !remark.starts_with('#') {
                return Some(());
            }
            let length = remark.bytes().take_while(|byte| matches!(byte, b' '..=b'~')).count();
            self.rest = remark.get(length..)?;
            self.end_line()?;
        }
    }

    /// `{ name: value, … }` and the end of its line.
    fn flow_map(&mut self, fields: &mut Vec<Field<'t>>) -> Option<()> {
        self.eat("{")?;
        loop {
            self.pass_spaces();
            let name = self.name(fields)?;
            self.eat(" ")?;
            self.pass_spaces();
            let value = self.value()?;
            fields.push((name, value));
            self.pass_spaces();
            match self.first()? {
                b',' => self.eat(", ")?,
                _ => {
                    self.eat("}")?;
                    return self.end_line();
                }
            }
        }
    }

    /// Lines `name: value`, the first of which goes on here and the others stand in `column`.
    fn block_map(&mut self, column: usize, fields: &mut Vec<Field<'t>>) -> Option<()> {
        loop {
            let name = self.name(fields)?;
            let value = match self.first()? {
                b'\n' => self.block_list(column)?,
                _ => {
                    self.eat(" ")?;
                    self.pass_spaces();
                    self.value()?
                }
            };
            self.end_line()?;
            fields.push((name, value));
            self.pass_remarks()?;
            let is_over = self.indent() != column || self.rest.as_bytes().get(column) == Some(&b'-');
            if is_over {
                return Some(());
            }
            self.skip(column)?;
        }
    }

    /// A name that the record does not have yet, and its colon.
    fn name(&mut self, fields: &[Field<'t>]) -> Option<&'t str> {
        let length = self.rest.bytes().take_while(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')).count();
        let (name, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        self.eat(":")?;
        let is_new = name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.len() <= 64
            && !fields.iter().any(|(known, _)| *known == name);
        is_new.then_some(name)
    }

    fn value(&mut self) -> Option<Value<'t>> {
        if self.first()? != b'[' {
            return self.word().map(Value::Text);
        }
        // A bracket in quotes ends the source too early: then it is no list that is read here.
        let length = memchr(b']', self.rest.as_bytes())? + 1;
        let (source, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(Value::List(Listed(source)))
    }

    /// The lines of a list, each with a `-` in the same place at `column` or behind it; the last line without its end.
    fn block_list(&mut self, column: usize) -> Option<Value<'t>> {
        self.eat("\n")?;
        let indent = self.indent();
        if indent < column {
            return None;
        }
        let mut length = 0;
        loop {
            let line = self.rest.get(length..)?;
            let is_item = line.bytes().take_while(|byte| *byte == b' ').count() == indent
                && line.get(indent..).is_some_and(|line| line.starts_with("- "));
            if !is_item {
                break;
            }
            length += memchr(b'\n', line.as_bytes()).map_or(line.len(), |end| end + 1);
        }
        let (source, rest) = self.rest.split_at_checked(length)?;
        let ended = source.strip_suffix('\n');
        // The caller looks for the end of the line.
        let source = ended.unwrap_or(source);
        self.rest = if ended.is_some() { self.rest.get(length - 1..)? } else { rest };
        (!source.is_empty()).then_some(Value::List(Listed(source)))
    }

    fn flow_words(&mut self, words: &mut Vec<Word<'t>>) -> Option<()> {
        self.eat("[")?;
        self.pass_spaces();
        if self.first()? == b']' {
            return self.eat("]");
        }
        loop {
            words.push(self.word()?);
            self.pass_spaces();
            if self.first()? != b',' {
                return self.eat("]");
            }
            self.eat(", ")?;
            self.pass_spaces();
        }
    }

    fn block_words(&mut self, words: &mut Vec<Word<'t>>) -> Option<()> {
        loop {
            self.pass_spaces();
            self.eat("- ")?;
            words.push(self.word()?);
            if self.rest.is_empty() {
                return Some(());
            }
            self.eat("\n")?;
        }
    }

    fn word(&mut self) -> Option<Word<'t>> {
        let quote = self.first().filter(|first| matches!(first, b'"' | b'\''));
        let Some(quote) = quote else {
            let (text, rest) = self.rest.split_at_checked(plain_length(self.rest.as_bytes()))?;
            self.rest = rest;
            return (!text.is_empty()).then_some(Word { text, plain: true });
        };
        self.skip(1)?;
        let is_inside = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != quote && *byte != b'\\';
        let (text, rest) = self.rest.split_at_checked(self.rest.bytes().take_while(is_inside).count())?;
        self.rest = rest;
        self.skip_quote(quote)?;
        Some(Word { text, plain: false })
    }

    /// The quote that ends a text; two of them are one that stands in it.
    fn skip_quote(&mut self, quote: u8) -> Option<()> {
        if self.first()? != quote {
            return None;
        }
        self.skip(1)?;
        (self.first() != Some(quote)).then_some(())
    }
}

/// How long the text without quotes is that begins here: words with single spaces between them, of characters that mean nothing
/// in YAML. A colon counts where another character follows.
fn plain_length(bytes: &[u8]) -> usize {
    if !bytes.first().is_some_and(|first| first.is_ascii_alphanumeric() || matches!(first, b'_' | b'/')) {
        return 0;
    }
    let mut length = 1;
    loop {
        length += bytes.iter().skip(length).take_while(|byte| means_nothing(**byte)).count();
        match (bytes.get(length), bytes.get(length + 1)) {
            (Some(b' ' | b':'), Some(next)) if means_nothing(*next) => length += 2,
            _ => return length,
        }
    }
}

const fn means_nothing(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b'+' | b'@')
}

#[cfg(test)]
mod tests;
