//! One stream of a caller: its request goes into a pipe as HTTP/1.1, and the answer that comes out goes back over HTTP/2.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Method, Request, StatusCode, request};
use tokio::task::yield_now;

use crate::http1::body::Body;
use crate::http1::head::{AnswerTo, Version};
use crate::http1::write;
use crate::proxy::downstream::{LINGER, LINGER_BYTES};
use crate::proxy::stream::pipe::Pipe;
use crate::proxy::watch::Slot;

use super::gather::Gathered;
use super::head::{self, Rest, Written, handshake};
use super::inflow::STREAM_WINDOW;
use super::outlet::{Outlet, Piece};
use super::send::{CUT, Over, Patience, Stall, Stopped, relay};
use super::traffic::Traffic;
use super::trailers::Filter;
use super::websocket;

/// One request of a caller, and the way back to it.
pub(super) struct Inbound {
    pub(super) request: Request<RecvStream>,
    pub(super) respond: SendResponse<Piece>,
    /// Which trailers of the caller's go on.
    pub(super) filter: Filter,
    /// How long the caller may take nothing of the answer.
    pub(super) stall: Duration,
    pub(super) slot: Slot,
    /// Of its connection.
    pub(super) traffic: Rc<Traffic>,
}

/// Carries the stream over `pipe` until its answer is complete or nobody waits for it any more. The gateway sees by the end
/// of the pipe that the caller is gone, or needs nothing more.
///
/// # Errors
/// When the caller gave the stream up, or broke its rules.
pub(super) async fn carry(stream: Inbound, pipe: Pipe) -> Result<(), Stopped> {
    if handshake::is_asked(&stream.request) {
        // Apart, so that an ordinary request has no room for it.
        return Box::pin(websocket::carry(stream, pipe)).await;
    }
    let Inbound { request, mut respond, filter, stall, slot, traffic } = stream;
    let (parts, mut body) = request.into_parts();
    let to = if parts.method == Method::HEAD { AnswerTo::Head } else { AnswerTo::Other };
    let rest = if body.is_end_stream() { Rest::Nothing } else { Rest::Body };
    let mut head = Vec::with_capacity(512);
    if head::write_request(&parts, rest, &mut head).is_none() {
        respond.send_reset(Reason::PROTOCOL_ERROR);
        return Err(Stopped);
    }
    let download = async {
        match begin(&mut respond, to, &pipe).await? {
            Begun::Content(content, stream) => {
                let stall = Stall { slot: &slot, most: stall, traffic: &traffic, pipe: &pipe };
                answer((content, stream), stall).await
            }
            Begun::Over => Ok(()),
            Begun::Switched(_, mut stream) => {
                // Nobody asked for it, and the gateway passes on none that was not asked for.
                stream.send_reset(CUT);
                Ok(())
            }
        }
    };
    let upload = async {
        upload((parts, head), &mut body, &filter, &pipe).await?;
        swallow(&mut body).await
    };
    join(upload, download).await?;
    drop((pipe, filter));
    discard(body, &slot).await;
    Ok(())
}

/// Both directions, until the answer is over or the caller has broken off.
pub(super) async fn join(
    upload: impl Future<Output = Result<(), Stopped>>,
    download: impl Future<Output = Result<(), Stopped>>,
) -> Result<(), Stopped> {
    let (mut upload, mut download) = (pin!(upload), pin!(download));
    let mut uploading = true;
    poll_fn(|cx| {
        if uploading && let Poll::Ready(sent) = upload.as_mut().poll(cx) {
            sent?;
            uploading = false;
        }
        download.as_mut().poll(cx)
    })
    .await
}

/// Takes what comes of a request whose answer waits for its caller, and throws it away: what nobody takes would stay in the
/// library, each byte with a frame of its own at worst, and keep its room on the connection from other streams.
///
/// # Errors
/// When the caller gave the stream up.
pub(super) async fn swallow(body: &mut RecvStream) -> Result<(), Stopped> {
    loop {
        release(body)?;
        match poll_fn(|cx| body.poll_data(cx)).await {
            Some(data) => drop(data.map_err(|_| Stopped)?),
            None => return Ok(()),
        }
    }
}

/// Gives the caller room for all that was read. This includes what was read before and the pipe did not take any more.
fn release(body: &mut RecvStream) -> Result<(), Stopped> {
    let flow = body.flow_control();
    let used = flow.used_capacity();
    flow.release_capacity(used).map_err(|_| Stopped)
}

/// Reads what is still on its way of a request that was answered, within the bounds of [`LINGER`] and [`LINGER_BYTES`], and
/// gives the stream up after that: it is reset with NO_ERROR where it has not ended (RFC 9113 8.1).
///
/// A caller that is reset while it sends may throw away an answer that it has not read yet. No caller can have sent so much
/// that was not told of new room after its answer was written.
pub(super) async fn discard(mut body: RecvStream, slot: &Slot) {
    const { assert!(STREAM_WINDOW as usize <= LINGER_BYTES) };
    let deadline = slot.now().after(LINGER);
    let mut left = LINGER_BYTES;
    loop {
        if release(&mut body).is_err() {
            return;
        }
        let next = poll_fn(|cx| match body.poll_data(cx) {
            Poll::Pending if slot.now() >= deadline => Poll::Ready(None),
            Poll::Pending => {
                slot.arm(deadline, cx);
                Poll::Pending
            }
            ready @ Poll::Ready(_) => ready,
        });
        match next.await {
            Some(Ok(data)) if data.len() <= left => left -= data.len(),
            Some(_) | None => return,
        }
    }
}

/// Writes the request into the pipe. Ends well where the gateway reads no more of it: the answer decides then.
async fn upload(
    (parts, head): (request::Parts, Vec<u8>),
    body: &mut RecvStream,
    filter: &Filter,
    pipe: &Pipe,
) -> Result<(), Stopped> {
    let chunked = !parts.headers.contains_key(http::header::CONTENT_LENGTH);
    drop(parts);
    if pipe.put(&head).await.is_err() || body.is_end_stream() {
        return Ok(());
    }
    drop(head);
    let mut body = Gathered::new(body, pipe.room());
    while let Some(data) = body.data().await {
        let data = data?;
        let taken = if chunked { body.put_chunk(&data, pipe).await } else { body.put(&data, pipe).await };
        if taken.is_err() {
            return Ok(());
        }
        // The room is the caller's again only when the gateway has taken the data.
        body.release(data.len())?;
    }
    let trailers = body.trailers().await?;
    if chunked {
        let mut lines = Vec::new();
        if let Some(trailers) = trailers {
            filter.write(&trailers, &mut lines);
        }
        let mut framed = Vec::new();
        write::last_chunk(&mut framed, &lines);
        // The gateway may have answered without it.
        let _ = pipe.put(&framed).await;
    }
    Ok(())
}

/// An answer whose head was sent.
pub(super) enum Begun {
    /// Its body follows, of which these bytes came with the head.
    Content((Body, Bytes), Outlet),
    Over,
    /// It is a tunnel, in which these bytes came with the head.
    Switched(Bytes, Outlet),
}

/// Sends the body of an answer, so that one that is not whole does not look so.
pub(super) async fn answer((content, mut stream): ((Body, Bytes), Outlet), stall: Stall<'_>) -> Result<(), Stopped> {
    let sent = match relay(content, &mut stream, stall.pipe, Patience::Stall(stall)).await {
        // It is the gateway that gives it up, not the caller.
        Err(Stopped) if stall.pipe.is_severed() => Ok(Over::Cut),
        sent => sent,
    };
    match sent {
        Ok(Over::Whole) => {}
        Ok(Over::Cut) => {
            // A reset overtakes what was not written to the connection yet, so the connection has its turn before.
            yield_now().await;
            stream.send_reset(CUT);
        }
        Err(Stopped) => stream.send_reset(Reason::CANCEL),
    }
    sent.map(|_| ())
}

/// Sends the head of the answer, after the interim ones.
pub(super) async fn begin(respond: &mut SendResponse<Piece>, to: AnswerTo, pipe: &Pipe) -> Result<Begun, Stopped> {
    let mut held = BytesMut::new();
    loop {
        let Some(head) = Written::read(&held) else {
            match next(respond, pipe).await? {
                Some(bytes) => held.extend_from_slice(&bytes),
                None => {
                    respond.send_reset(CUT);
                    return Ok(Begun::Over);
                }
            }
            continue;
        };
        let size = head.size;
        let framing = head.answer_framing(to);
        let switched = head.status() == Some(StatusCode::SWITCHING_PROTOCOLS);
        let Some(answer) = (if switched { handshake::agreement(head) } else { head.answer() }) else {
            respond.send_reset(CUT);
            return Ok(Begun::Over);
        };
        let start = held.split_off(size).freeze();
        held = BytesMut::new();
        if switched {
            let stream = respond.send_response(answer, false).map_err(|_| Stopped)?;
            return Ok(Begun::Switched(start, Outlet::new(stream, pipe.room())));
        }
        if answer.status().is_informational() {
            // Nobody waits for an interim answer: where it cannot be sent, the final one is.
            let _ = respond.send_informational(answer);
            held.extend_from_slice(&start);
            continue;
        }
        let body = Body::of_response(framing, Version::Http11);
        let over = body.is_done();
        let stream = respond.send_response(answer, over).map_err(|_| Stopped)?;
        return Ok(match over {
            true => Begun::Over,
            false => Begun::Content((body, start), Outlet::new(stream, pipe.room())),
        });
    }
}

/// What comes next out of the pipe, while the caller waits for it.
async fn next(respond: &mut SendResponse<Piece>, pipe: &Pipe) -> Result<Option<Bytes>, Stopped> {
    poll_fn(|cx| match respond.poll_reset(cx) {
        Poll::Ready(_) => Poll::Ready(Err(Stopped)),
        Poll::Pending => pipe.poll_take(cx).map(Ok),
    })
    .await
}
