//! The head of an answer, as far as a caller needs it that only counts.

use crate::Outcome;

/// What an answer says about itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Bytes of the head.
    pub(crate) head: usize,
    /// Bytes of the body.
    pub(crate) body: usize,
}

/// Reads a head with everything of it there; `None` where more has to come.
pub(crate) fn read_head(input: &[u8]) -> Outcome<Option<Head>> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head) = response.parse(input)? else { return Ok(None) };
    let length = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let length = length.ok_or("an answer without Content-Length")?;
    let body = std::str::from_utf8(length.value)?.trim().parse()?;
    Ok(Some(Head { status: response.code.ok_or("an answer without a status")?, head, body }))
}

/// An answer that is on its way.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    /// The part of a head that came alone.
    kept: Vec<u8>,
    status: u16,
    /// Bytes of the body that are still to come.
    left: usize,
}

impl Incoming {
    /// Takes what was read. The status of the answer, once it is whole.
    pub(crate) fn take(&mut self, input: &[u8]) -> Outcome<Option<u16>> {
        if self.left > 0 {
            return self.count(input.len());
        }
        if self.kept.is_empty() {
            return self.begin(input);
        }
        let mut whole = std::mem::take(&mut self.kept);
        whole.extend_from_slice(input);
        self.begin(&whole)
    }

    /// Takes what begins with a head.
    fn begin(&mut self, input: &[u8]) -> Outcome<Option<u16>> {
        let Some(head) = read_head(input)? else {
            self.kept = input.to_vec();
            return Ok(None);
        };
        self.status = head.status;
        self.left = head.head + head.body;
        self.count(input.len())
    }

    fn count(&mut self, bytes: usize) -> Outcome<Option<u16>> {
        self.left = self.left.checked_sub(bytes).ok_or("more than an answer came")?;
        Ok((self.left == 0).then_some(self.status))
    }
}
