//! Refusals that are made time and again, kept as they were first written: the bytes, and where in them stands what each
//! answer has of its own.
//!
//! What is kept is what [`Reply::write`](super::Reply::write) wrote, so that an answer is the same whichever way it comes
//! about. It is kept for requests of the usual kind, when the first of them is refused, and only up to so many bytes.

use std::cell::RefCell;

use memchr::memmem;

use crate::policy::{Decision, Denial};

use super::{Connection, Setting};

/// How many bytes of answers a worker keeps for one generation, but for one answer.
const MOST: usize = 512 * 1024;

/// Stands for a request id while a form is made. It is as long as one of ours and stands for itself in JSON.
const ID: &str = "\u{10ffff}\u{10ffff}\u{10ffff}\u{10ffff}\u{10ffff}\u{10ffff}\u{10ffff}\u{10ffff}";
/// Stands for a date: no byte of it is in UTF-8.
const DATE: [u8; 29] = [0xff; 29];

/// A refusal that is the same whoever gets it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Repeated(usize);

impl Repeated {
    /// `None` where the answer tells of the caller, or is seldom given.
    pub(crate) fn of(decision: &Decision<'_>) -> Option<Self> {
        Self::place(decision.denial()?, || decision.lacks_all().map(|route| route.id().index())).map(Self)
    }

    /// `route` is asked where the answer tells of one, and only there: the others say nothing of routes.
    fn place(denial: Denial, route: impl FnOnce() -> Option<usize>) -> Option<usize> {
        let place = match denial {
            Denial::ExpiredKey => 0,
            // Whatever is wrong with a key, its caller is told the same.
            Denial::InvalidKey(_) => 1,
            Denial::MissingKey => 2,
            Denial::InsufficientScope => return Some(3 + route()?),
            _ => return None,
        };
        debug_assert!(denial.precedes_route(), "one answer for all routes tells of none");
        Some(place)
    }
}

/// The forms that a worker keeps for one generation.
#[derive(Default)]
pub(crate) struct Forms(RefCell<Shelf>);

#[derive(Default)]
struct Shelf {
    forms: Vec<Option<Box<Form>>>,
    /// How many bytes they have together.
    bytes: usize,
}

impl Forms {
    /// Appends a refusal, and returns the length of its body. `compose` writes it where no form of it will do.
    pub(crate) fn write(
        &self,
        (repeated, setting): (Repeated, &Setting<'_>),
        out: &mut Vec<u8>,
        compose: impl Fn(&Setting<'_>, &mut Vec<u8>) -> usize,
    ) -> usize {
        let Some(id) = usual_id(setting) else { return compose(setting, out) };
        if let Some(Some(form)) = self.0.borrow().forms.get(repeated.0) {
            return form.write((id, &setting.date), out);
        }
        self.0.borrow_mut().keep(repeated, || {
            let mut bytes = Vec::new();
            let length = compose(&Setting { request_id: ID.as_bytes(), date: DATE, ..*setting }, &mut bytes);
            Form::of(bytes, length)
        });
        compose(setting, out)
    }

    /// Lets go of all of them.
    pub(crate) fn let_go(&self) {
        drop(self.0.take());
    }
}

impl Shelf {
    fn keep(&mut self, repeated: Repeated, make: impl FnOnce() -> Option<Form>) {
        if self.bytes >= MOST {
            return;
        }
        let Some(form) = make() else { return };
        self.bytes += form.bytes.len();
        let length = self.forms.len().max(repeated.0 + 1);
        self.forms.resize_with(length, || None);
        if let Some(slot) = self.forms.get_mut(repeated.0) {
            *slot = Some(Box::new(form));
        }
    }
}

/// The id of a request that answers are kept for; `None` for one whose answer has more of it than that.
fn usual_id<'a>(setting: &Setting<'a>) -> Option<&'a [u8; ID.len()]> {
    let is_usual =
        setting.origin.is_empty() && !setting.head && !setting.grpc && setting.connection == Connection::Persistent;
    setting.request_id.try_into().ok().filter(|_| is_usual)
}

/// A whole answer, head and body, less what each has of its own.
struct Form {
    bytes: Box<[u8]>,
    /// Where the value of `Date` stands.
    date: usize,
    /// Where the request id stands: in the head and in the body.
    ids: [usize; 2],
    /// How many bytes are body.
    length: usize,
}

impl Form {
    /// `None` where the marks are not where they belong, and nowhere else.
    fn of(bytes: Vec<u8>, length: usize) -> Option<Self> {
        let dates: Vec<usize> = memmem::find_iter(&bytes, &DATE).collect();
        let ids: Vec<usize> = memmem::find_iter(&bytes, ID).collect();
        match (&*dates, &*ids) {
            (&[date], &[in_head, in_body]) => Some(Self { bytes: bytes.into(), date, ids: [in_head, in_body], length }),
            _ => None,
        }
    }

    fn write(&self, (id, date): (&[u8; ID.len()], &[u8; DATE.len()]), out: &mut Vec<u8>) -> usize {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let own = out.get_mut(start..).unwrap_or_default();
        put(own, self.date, date);
        for place in self.ids {
            put(own, place, id);
        }
        self.length
    }
}

/// Puts a value where its mark stands, which is as long.
fn put<const LENGTH: usize>(out: &mut [u8], place: usize, value: &[u8; LENGTH]) {
    if let Some(mark) = out.get_mut(place..).and_then(<[u8]>::first_chunk_mut) {
        *mark = *value;
    }
}

#[cfg(test)]
mod tests;
