//! The key behind an exchange that lasts, asked for again for as long as it does.
//!
//! A request is decided once. A tunnel, an upload, and an answer whose end nobody has announced may go on for days: they
//! end with the key that opened them. The sweep of the worker tells such an exchange when there is something to ask (see
//! [`super::watch::Slot::outlast`]); an ordinary request pays for none of it.

use crate::key::Timestamp;
use crate::key::digest::Digest;
use crate::policy::{Access, Caller, Denial, Invalid};
use crate::store::index::Entry;

use super::ticket::Ticket;
use super::worker::{View, Worker};

/// Whose request it is, in the words of the index.
#[derive(Clone, Copy)]
pub(crate) struct Holder {
    digest: Digest,
    standing: u64,
}

impl Holder {
    pub(crate) fn new(digest: Digest, entry: &Entry) -> Self {
        Self { digest, standing: entry.mark() }
    }

    /// Of a key that no index knows.
    #[cfg(test)]
    pub(crate) fn of_test() -> Self {
        Self { digest: Digest::from_bytes([7; 32]), standing: 0 }
    }

    /// The value of the key that was presented.
    pub(crate) fn digest(&self) -> &Digest {
        &self.digest
    }
}

/// Whether an exchange was let in because of its key, so that it ends with it.
pub(crate) fn is_held(ticket: &Ticket, view: &View) -> bool {
    let routes = view.snapshot.config.policy.routes();
    let route = ticket.route.and_then(|route| routes.get(route));
    ticket.holder.is_some() && route.is_none_or(|route| route.access() != Access::Anyone)
}

/// Until when the key of an exchange holds, as far as is known now.
///
/// # Errors
/// Why it does not hold any more. While the store is away its keys hold for as long as they do for requests.
pub(crate) fn ask(worker: &Worker, ticket: &Ticket) -> Result<Timestamp, Denial> {
    let Some(holder) = &ticket.holder else { return Ok(Timestamp::MAX) };
    if worker.store.is_stale() {
        return Err(Denial::KeyStoreUnavailable);
    }
    let now = worker.clocks().1;
    worker.keys.look_up(&holder.digest, |entry| {
        let Some(entry) = entry else { return Err(Denial::InvalidKey(Invalid::Unknown)) };
        match entry.caller(now, ticket.peer) {
            // What it opens has changed: whoever presents it anew is judged by what it opens now.
            Caller::Known(_) if entry.mark() != holder.standing => Err(Denial::InvalidKey(Invalid::Unknown)),
            Caller::Known(_) => Ok(entry.expires()),
            Caller::Expired(_) => Err(Denial::ExpiredKey),
            Caller::Invalid(why) => Err(Denial::InvalidKey(why)),
            Caller::Misplaced(_) => Err(Denial::AddressNotAllowed),
            // An entry is none of these.
            Caller::Ambiguous | Caller::Anonymous | Caller::StoreUnavailable => {
                Err(Denial::InvalidKey(Invalid::Unknown))
            }
        }
    })
}
