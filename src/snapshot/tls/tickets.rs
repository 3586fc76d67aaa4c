//! The keys of tickets, drawn when the first ticket is wanted.
//!
//! The first random numbers of the TLS library take it tens of milliseconds: it measures how the clock of the processor wavers, so
//! as not to depend on the system alone. A start does not wait for that.

use std::sync::{Arc, OnceLock};

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::ProducesTickets;

/// How long a ticket is good, in seconds: the keys change every six hours, and live on for as long.
const LIFETIME: u32 = 12 * 60 * 60;

/// Draws random numbers, so that the first handshake need not wait for them to be there.
pub fn warm_up() {
    // Where there are none, every handshake says so.
    let _ = aws_lc_rs::rand::fill(&mut [0; 32]);
}

/// Tickets whose keys are drawn late.
#[derive(Debug, Default)]
pub(super) struct LateTickets(OnceLock<Option<Arc<dyn ProducesTickets>>>);

impl LateTickets {
    fn keys(&self) -> Option<&Arc<dyn ProducesTickets>> {
        let make = || {
            let made = Ticketer::new();
            made.inspect_err(|error| tracing::error!(%error, "TLS tickets cannot be set up: no session is resumed"))
                .ok()
        };
        self.0.get_or_init(make).as_ref()
    }
}

impl ProducesTickets for LateTickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.keys()?.encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        // Before the first ticket there is none to be read.
        self.0.get()?.as_ref()?.decrypt(cipher)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_read_by_who_gave_it_and_by_nobody_else() {
        let (own, other) = (LateTickets::default(), LateTickets::default());
        let ticket = own.encrypt(b"a session").unwrap();
        assert_eq!(own.decrypt(&ticket).as_deref(), Some(&b"a session"[..]));
        assert_eq!(other.decrypt(&ticket), None);
        assert!(other.encrypt(b"another").is_some() && other.decrypt(&ticket).is_none());
    }

    #[test]
    fn tickets_are_good_for_as_long_as_those_of_the_library() {
        assert_eq!(LateTickets::default().lifetime(), Ticketer::new().unwrap().lifetime());
    }
}
