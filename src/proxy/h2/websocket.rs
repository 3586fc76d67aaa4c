//! A WebSocket on a stream of HTTP/2 (RFC 8441): what follows its handshake is the content of DATA frames, both ways.
//!
//! The end of a direction is END_STREAM. What breaks off ends in RST_STREAM with CANCEL, as a reset of TCP would (5).

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use tokio::task::yield_now;

use crate::http1::head::AnswerTo;
use crate::proxy::stream::pipe::Pipe;
use crate::proxy::upgrade::Nonce;

use super::gather::Gathered;
use super::head::{Written, handshake};
use super::inbound::{self, Begun, Inbound};
use super::outbound::{self, Opener};
use super::outlet::Outlet;
use super::send::{Over, Patience, Stall, Stopped, Then, send, take};

/// How long an upstream may take nothing of what was sent before the tunnel ended. Before, the tunnel's own limit counts.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// Carries a caller's WebSocket over `pipe`, or the answer that there is none.
///
/// # Errors
/// When the caller gave the stream up, or broke its rules.
pub(super) async fn carry(stream: Inbound, pipe: Pipe) -> Result<(), Stopped> {
    let Inbound { request, mut respond, stall, slot, traffic, .. } = stream;
    let (parts, mut body) = request.into_parts();
    let mut head = Vec::with_capacity(512);
    let Some(nonce) = Nonce::draw() else {
        respond.send_reset(Reason::INTERNAL_ERROR);
        return Ok(());
    };
    if handshake::write(&parts, nonce, &mut head).is_none() {
        respond.send_reset(Reason::PROTOCOL_ERROR);
        return Err(Stopped);
    }
    drop(parts);
    // Nothing that follows the handshake goes on before it was answered. The answer may come before all of it was read.
    let mut gathered = Gathered::new(&mut body, pipe.room());
    let asked = async { tokio::join!(pipe.put(&head), inbound::begin(&mut respond, AnswerTo::Other, &pipe)).1 };
    match gathered.meanwhile(asked).await? {
        Begun::Over => drop(gathered),
        Begun::Content(content, stream) => {
            drop(gathered);
            let stall = Stall { slot: &slot, most: stall, traffic: &traffic, pipe: &pipe };
            inbound::join(inbound::swallow(&mut body), inbound::answer((content, stream), stall)).await?;
        }
        Begun::Switched(start, stream) => {
            return join((start, stream, gathered), &pipe, Patience::Tunnel(&pipe, &slot, stall)).await;
        }
    }
    drop(pipe);
    inbound::discard(body, &slot).await;
    Ok(())
}

/// Asks the upstream for a WebSocket and carries it, or the answer that there is none.
pub(super) async fn exchange(
    head: Written<'_>,
    pipe: &Pipe,
    Opener { mut sender, scheme, watch }: Opener<'_>,
    answered: impl FnOnce(),
) -> Result<(), Stopped> {
    let nonce = handshake::nonce(head).ok_or(Stopped)?;
    let request = handshake::request(head, scheme).ok_or(Stopped)?;
    outbound::open(&mut sender, pipe).await?;
    let (response, stream) = sender.send_request(request, false).map_err(|error| outbound::lost(&error, pipe))?;
    drop(sender);
    let mut stream = Outlet::new(stream, pipe.room());
    let mut answer = pin!(async move {
        let (parts, body) = outbound::answer(response, AnswerTo::Other, pipe).await?;
        answered();
        if parts.status.is_success() {
            return Ok(Some((stream, parts, body)));
        }
        // It was not agreed to, so nothing follows the request; an upstream that has answered may not wait for that.
        let _ = stream.send(Bytes::new(), Then::End);
        outbound::deliver((parts, body), AnswerTo::Other, pipe).await.map(|()| None)
    });
    let answer = poll_fn(|cx| match answer.as_mut().poll(cx) {
        Poll::Pending => pipe.poll_abandoned(cx).map(|()| Err(Stopped)),
        ready => ready,
    });
    let Some((stream, parts, mut body)) = answer.await? else { return Ok(()) };
    let mut body = Gathered::new(&mut body, pipe.room());
    let mut out = Vec::with_capacity(512);
    handshake::write_agreement(&parts, nonce, &mut out);
    body.put(&out, pipe).await.map_err(|_| Stopped)?;
    let slot = watch.enter();
    join((Bytes::new(), stream, body), pipe, Patience::Tunnel(pipe, &slot, LAST_WORDS)).await
}

/// Moves bytes both ways until both directions have ended, or the tunnel is over. `start` goes before what comes out of `pipe`.
///
/// # Errors
/// When the other side of the stream gave it up, or took nothing for too long.
async fn join(
    (start, mut stream, body): (Bytes, Outlet, Gathered<'_>),
    pipe: &Pipe,
    patience: Patience<'_>,
) -> Result<(), Stopped> {
    let mut sending = pin!(send_all(start, &mut stream, pipe, patience));
    let mut receiving = pin!(receive_all(body, pipe));
    let (mut sends, mut receives) = (true, true);
    poll_fn(|cx| {
        // What was received first: an end in order is seen before a reset behind it.
        if receives && let Poll::Ready(received) = receiving.as_mut().poll(cx) {
            receives = false;
            received?;
        }
        if sends && let Poll::Ready(sent) = sending.as_mut().poll(cx) {
            sends = false;
            if sent? == Over::Cut {
                return Poll::Ready(Ok(()));
            }
        }
        if sends || receives { Poll::Pending } else { Poll::Ready(Ok(())) }
    })
    .await
}

/// Sends what comes out of the pipe, and its end.
async fn send_all(start: Bytes, stream: &mut Outlet, pipe: &Pipe, patience: Patience<'_>) -> Result<Over, Stopped> {
    let mut next = Ok(Some(start));
    let ended = loop {
        match next {
            Ok(Some(bytes)) => {
                if send((stream, 0), bytes, Then::More, patience).await.is_err() {
                    next = Err(Stopped);
                    continue;
                }
            }
            Ok(None) if pipe.is_cut() => break Ok(Over::Cut),
            Ok(None) => return send((stream, 0), Bytes::new(), Then::End, patience).await.map(|()| Over::Whole),
            // It has ended its own direction, which may not have been received yet (RFC 9113 8.1).
            Err(Stopped) if is_reset_for(Reason::NO_ERROR, stream).await => return Ok(Over::Whole),
            Err(stopped) => break Err(stopped),
        }
        next = take(stream, pipe).await;
    };
    // A reset overtakes what was not written to the connection yet, so the connection has its turn before.
    yield_now().await;
    stream.send_reset(Reason::CANCEL);
    if pipe.is_cut() { Ok(Over::Cut) } else { ended }
}

async fn is_reset_for(reason: Reason, stream: &mut Outlet) -> bool {
    poll_fn(|cx| Poll::Ready(matches!(stream.poll_reset(cx), Poll::Ready(Ok(given)) if given == reason))).await
}

/// Writes what is received into the pipe, and its end. Ends well where nobody reads it any more.
async fn receive_all(mut body: Gathered<'_>, pipe: &Pipe) -> Result<(), Stopped> {
    loop {
        let next = poll_fn(|cx| match body.poll_data(cx) {
            Poll::Pending => pipe.poll_abandoned(cx).map(|()| None),
            ready => ready.map(Some),
        });
        match next.await {
            None => return Ok(()),
            Some(None) => {
                pipe.end();
                return Ok(());
            }
            Some(Some(data)) => {
                let data = data?;
                if body.put(&data, pipe).await.is_err() {
                    return Ok(());
                }
                // The room is the sender's again only when the tunnel has taken the data.
                body.release(data.len())?;
            }
        }
    }
}
