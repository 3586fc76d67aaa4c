//! The ticket of a connection: one of its worker's, and only while there is a request. A connection that waits for its next one
//! holds none.

use std::cell::RefCell;
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::time::Instant;

use crate::key::Timestamp;
use crate::proxy::ticket::Ticket;
use crate::proxy::worker::Worker;

/// How many tickets a worker keeps.
const SPARE: usize = 64;

/// The tickets of a worker that no request has.
pub(crate) struct Tickets {
    /// What is read where nothing was taken down.
    blank: Ticket,
    #[expect(clippy::vec_box, reason = "they stay where they are while connections hand them on")]
    spare: RefCell<Vec<Box<Ticket>>>,
}

impl Tickets {
    pub(crate) fn new(blank: Ticket) -> Self {
        Self { blank, spare: RefCell::default() }
    }

    /// Lets go of those that are kept.
    pub(crate) fn let_go(&self) {
        drop(self.spare.take());
    }

    /// One that says what its last request left in it.
    fn lend(&self) -> Box<Ticket> {
        let kept = self.spare.borrow_mut().pop();
        kept.unwrap_or_else(|| Box::new(Ticket::new(self.blank.started, self.blank.wall, None)))
    }

    fn lend_blank(&self) -> Box<Ticket> {
        let mut ticket = self.lend();
        ticket.restart(self.blank.started, self.blank.wall, None);
        ticket.open = false;
        ticket
    }

    fn keep(&self, ticket: Box<Ticket>) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE {
            spare.push(ticket);
        }
    }
}

/// Reads as a blank ticket until something is taken down, and as one from when it is given back.
pub(super) struct Slip {
    own: Option<Box<Ticket>>,
    worker: Rc<Worker>,
}

impl Slip {
    pub(super) fn new(worker: &Rc<Worker>) -> Self {
        Self { own: None, worker: Rc::clone(worker) }
    }

    /// Begins to take down another request.
    pub(super) fn restart(&mut self, started: Instant, wall: Timestamp, peer: Option<IpAddr>) {
        self.own.get_or_insert_with(|| self.worker.tickets.lend()).restart(started, wall, peer);
    }

    /// What was taken down is of no request.
    pub(super) fn abandon(&mut self) {
        if let Some(own) = &mut self.own {
            own.open = false;
        }
    }

    /// Gives the ticket of a request that is over back to the worker.
    pub(super) fn give_back(&mut self) {
        if let Some(own) = self.own.take_if(|own| !own.open) {
            self.worker.tickets.keep(own);
        }
    }
}

impl Deref for Slip {
    type Target = Ticket;

    fn deref(&self) -> &Ticket {
        self.own.as_deref().unwrap_or(&self.worker.tickets.blank)
    }
}

impl DerefMut for Slip {
    fn deref_mut(&mut self) -> &mut Ticket {
        self.own.get_or_insert_with(|| self.worker.tickets.lend_blank())
    }
}

impl Drop for Slip {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::exchange::tests::stage;
    use crate::proxy::holder::Holder;

    /// What of a ticket tells whose request it is.
    fn told(ticket: &Ticket) -> (String, [&str; 2], &[u8], bool) {
        let line = String::from_utf8_lossy(&ticket.line).into_owned();
        (line, [&ticket.key_id, &ticket.account], &ticket.origin, ticket.holder.is_some())
    }

    #[test]
    fn a_connection_has_a_ticket_from_the_beginning_of_a_request_to_its_end_and_the_next_one_gets_it_blank() {
        let stage = stage();
        let mut slip = Slip::new(&stage.worker);
        let (now, wall) = stage.worker.clocks();
        slip.restart(now, wall, None);
        slip.status = 200;
        slip.line.extend_from_slice(b"GET /a");
        slip.origin.extend_from_slice(b"https://a.example");
        slip.key_id.push_str("key_1");
        slip.account.push_str("shop");
        slip.holder = Some(Holder::of_test());
        slip.give_back();
        assert_eq!((slip.own.is_some(), slip.status), (true, 200), "the request is under way");
        slip.open = false;
        slip.give_back();
        assert!(slip.own.is_none() && !slip.open && slip.status == 0);
        let blank = (String::new(), ["", ""], &b""[..], false);
        assert_eq!(told(&slip), blank);
        let mut other = Slip::new(&stage.worker);
        other.restart(now, wall, None);
        assert_eq!((other.status, stage.worker.tickets.spare.borrow().len()), (0, 0));
        assert_eq!(told(&other), blank, "nothing is left of whoever had it before");
        other.line.extend_from_slice(b"GET /b");
        other.abandon();
        drop(other);
        let mut idle = Slip::new(&stage.worker);
        idle.abandon();
        assert_eq!(stage.worker.tickets.spare.borrow().len(), 1, "who ends while idle takes none");
        idle.note = Some("told without a request");
        assert_eq!((told(&idle), idle.open, stage.worker.tickets.spare.borrow().len()), (blank, false, 0));
    }
}
