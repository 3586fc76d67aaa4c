//! Whether the caller is still there, while it is the upstream's turn.

use std::task::{Context, Poll};

use crate::proxy::stream::Presence;
use crate::proxy::watch::{Moment, TICK};

use super::{End, Ends, Relay};

impl Relay {
    /// Watches for a caller that goes away. Bytes of the next request are read and kept for later, as far as there is room for
    /// them; beyond that, and while the upstream does not take the body, nothing is read, and the socket alone can tell.
    pub(super) fn poll_caller(&mut self, ends: &mut Ends<'_>, cx: &mut Context<'_>) -> Result<(), End> {
        self.deadlines.look = Moment::NEVER;
        if self.upload.waits_for_caller() {
            // Whoever reads it sees it go.
            return Ok(());
        }
        let whole = self.upload.is_over() || self.upload.is_read();
        if whole && ends.input.has_room() && ends.down.is_quiet(cx) {
            ends.worker.buffers.reclaim(ends.input);
            return Ok(());
        }
        while whole && ends.input.has_room() {
            match ends.worker.buffers.poll_fill(ends.down, ends.input, cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0) | Err(_)) => return Err(End::CallerGone),
            }
        }
        let is_gone = match ends.down.poll_presence(cx) {
            Presence::Here => false,
            // What of its body came before the end goes on for as long as the upstream takes it.
            Presence::Ended => whole || self.upload.is_held() || self.rests(ends),
            Presence::Gone => true,
        };
        if is_gone {
            return Err(End::CallerGone);
        }
        // At the next sweep: where something waits to be read, nobody is woken by what comes after it.
        self.deadlines.look = ends.slot.now();
        Ok(())
    }

    /// The upstream has taken nothing of the body for a tick.
    fn rests(&self, ends: &Ends<'_>) -> bool {
        let rest = ends.view.snapshot.config.limits.body_stall.saturating_sub(TICK);
        self.deadlines.moved.is_none() && self.deadlines.upload <= ends.slot.now().after(rest)
    }
}
