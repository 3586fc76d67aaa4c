//! Data on its way out of a stream, no faster than the other side makes room for it.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;

use crate::http1::body::Body;
use crate::proxy::stream::pipe::Pipe;
use crate::proxy::watch::{Moment, Slot};

use super::head;
use super::outlet::Outlet;
use super::traffic::Traffic;

/// How a stream is ended whose message cannot be completed: the other side must not take what came for all there is.
pub(super) const CUT: Reason = Reason::INTERNAL_ERROR;

/// The stream was reset, or its connection is gone, or there is no reason any more to wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stopped;

/// What follows a piece of data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Then {
    End,
    More,
}

/// How long it is worth to wait for room.
#[derive(Clone, Copy)]
pub(super) enum Patience<'a> {
    /// As long as there is some now and then.
    Stall(Stall<'a>),
    /// As long as there is some now and then, and what comes out of this pipe is not cut off.
    Tunnel(&'a Pipe, &'a Slot, Duration),
    /// As long as the other end of this pipe is there: the gateway's own deadlines count.
    While(&'a Pipe),
}

/// How long a caller may make no room on a stream.
#[derive(Clone, Copy)]
pub(super) struct Stall<'a> {
    pub(super) slot: &'a Slot,
    pub(super) most: Duration,
    /// Of the connection, which may have no room either.
    pub(super) traffic: &'a Traffic,
    /// What comes out of it is not worth anything once it was severed.
    pub(super) pipe: &'a Pipe,
}

impl Patience<'_> {
    /// Until when it is, where the wait begins now.
    fn deadline(self) -> Moment {
        match self {
            Self::Stall(stall) => stall.slot.read().after(stall.most),
            Self::Tunnel(_, slot, most) => slot.read().after(most),
            Self::While(_) => Moment::NEVER,
        }
    }

    /// There is nothing to wait for any more.
    fn rest(self, cx: &Context<'_>) {
        match self {
            Self::Stall(Stall { slot, .. }) | Self::Tunnel(_, slot, _) => slot.arm(Moment::NEVER, cx),
            Self::While(_) => {}
        }
    }

    fn poll_over(self, deadline: Moment, cx: &Context<'_>) -> Poll<()> {
        match self {
            Self::Stall(Stall { slot, most, traffic, pipe }) => {
                let until = traffic.worth_until(deadline, most);
                slot.arm(until, cx);
                if slot.now() >= until { Poll::Ready(()) } else { pipe.poll_severed(cx) }
            }
            Self::Tunnel(pipe, ..) if pipe.poll_cut(cx).is_ready() => Poll::Ready(()),
            Self::Tunnel(_, slot, _) => {
                slot.arm(deadline, cx);
                if slot.now() >= deadline { Poll::Ready(()) } else { Poll::Pending }
            }
            Self::While(pipe) => pipe.poll_abandoned(cx),
        }
    }
}

/// How a body ended that came out of a pipe.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Over {
    /// The pipe ended before the body did.
    Cut,
    /// All of it was sent, with its trailers.
    Whole,
}

/// Sends a body that comes out of `pipe` as HTTP/1.1 has it, and its trailers. `start` is what of it was read before.
///
/// # Errors
/// When the other side takes no more of it.
pub(super) async fn relay(
    (mut body, start): (Body, Bytes),
    stream: &mut Outlet,
    pipe: &Pipe,
    patience: Patience<'_>,
) -> Result<Over, Stopped> {
    let mut block = start;
    loop {
        // The last piece is held back as long as it may turn out to be the end.
        let mut held = Bytes::new();
        while !block.is_empty() && !body.is_done() {
            let Ok(step) = body.step(&block) else { return Ok(Over::Cut) };
            let data = block.slice(step.data);
            block = block.slice(step.consumed..);
            if !data.is_empty() {
                let behind = data.len() + block.len();
                send((stream, behind), std::mem::replace(&mut held, data), Then::More, patience).await?;
            }
        }
        if body.is_done() {
            let trailers = head::trailers(body.trailers());
            let then = if trailers.is_empty() { Then::End } else { Then::More };
            send((stream, 0), held, then, patience).await?;
            if then == Then::More {
                stream.send_trailers(trailers)?;
            }
            return Ok(Over::Whole);
        }
        send((stream, 0), held, Then::More, patience).await?;
        match take(stream, pipe).await? {
            Some(bytes) => block = bytes,
            None => return Ok(Over::Cut),
        }
    }
}

/// What comes next out of `pipe`, while the other side of the stream waits for it; `None` at the end.
pub(super) async fn take(stream: &mut Outlet, pipe: &Pipe) -> Result<Option<Bytes>, Stopped> {
    poll_fn(|cx| match stream.poll_reset(cx) {
        Poll::Ready(_) => Poll::Ready(Err(Stopped)),
        Poll::Pending => pipe.poll_take(cx).map(Ok),
    })
    .await
}

/// Sends `data` as there is room for it, while so many bytes wait `behind` it.
pub(super) async fn send(
    (stream, behind): (&mut Outlet, usize),
    mut data: Bytes,
    then: Then,
    patience: Patience<'_>,
) -> Result<(), Stopped> {
    loop {
        stream.hold(data.len().saturating_add(behind));
        if !data.is_empty() {
            wait(patience, |cx| stream.poll_queue(cx)).await?;
            wait(patience, |cx| stream.poll_window(data.len(), cx)).await?;
        }
        let piece = data.split_to(stream.capacity().min(data.len()));
        let last = data.is_empty() && then == Then::End;
        if !piece.is_empty() || last {
            stream.send(piece, if last { Then::End } else { Then::More })?;
        }
        if data.is_empty() {
            stream.hold(behind);
            return Ok(());
        }
    }
}

/// Waits for what `poll` waits for, as long as it is worth it.
async fn wait(
    patience: Patience<'_>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<Result<(), Stopped>>,
) -> Result<(), Stopped> {
    let mut deadline = None;
    poll_fn(|cx| match poll(cx) {
        Poll::Pending => {
            let deadline = *deadline.get_or_insert_with(|| patience.deadline());
            patience.poll_over(deadline, cx).map(|()| Err(Stopped))
        }
        ready @ Poll::Ready(_) => {
            if deadline.is_some() {
                patience.rest(cx);
            }
            ready
        }
    })
    .await
}
