//! One stream to the upstream: the request comes out of a pipe as HTTP/1.1, and the answer goes back into it.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use http::response;
use http::uri::Scheme;

use crate::http1::body::Body;
use crate::http1::head::AnswerTo;
use crate::http1::write;
use crate::proxy::exchange::Fate;
use crate::proxy::stream::pipe::Pipe;
use crate::proxy::watch::Watch;

use super::gather::Gathered;
use super::head::{self, Content, Rest, Written, handshake};
use super::outlet::{Outlet, Piece};
use super::send::{Over, Patience, Stopped, relay};
use super::websocket;

/// Whether the target of a request that the gateway wrote can be sent over HTTP/2: the `http` crate takes fewer bytes than
/// HTTP/1.1 lets pass (no `<`, for one).
pub(crate) fn is_sendable(head: &[u8]) -> bool {
    Written::read(head).is_some_and(|head| head.path().is_some())
}

/// Carries one exchange from `pipe` to the upstream and back. The pipe breaks where the upstream does not answer, or not
/// to the end; `answered` is told when an answer begins.
///
/// Whoever holds the other end of the pipe and drops it ends the stream.
pub(crate) async fn carry(pipe: &Pipe, opener: Opener<'_>, answered: impl FnOnce()) {
    // What became of it, the other end learns from the pipe.
    let _ = exchange(pipe, opener, answered).await;
}

/// What a stream is opened with.
pub(crate) struct Opener<'s> {
    pub(crate) sender: SendRequest<Piece>,
    pub(crate) scheme: &'s Scheme,
    pub(crate) watch: &'s Rc<Watch>,
}

async fn exchange(pipe: &Pipe, opener: Opener<'_>, answered: impl FnOnce()) -> Result<(), Stopped> {
    let mut held = BytesMut::new();
    let (request, framing, to) = loop {
        if let Some(head) = Written::read(&held) {
            if handshake::nonce(head).is_some() {
                // Apart, so that an ordinary request has no room for it.
                return Box::pin(websocket::exchange(head, pipe, opener, answered)).await;
            }
            let (framing, to, size) = (head.request_framing(), head.answer_to(), head.size);
            let request = head.request(opener.scheme).ok_or(Stopped)?;
            held = held.split_off(size);
            break (request, framing, to);
        }
        held.extend_from_slice(&poll_fn(|cx| pipe.poll_take(cx)).await.ok_or(Stopped)?);
    };
    let body = Body::of_request_with_trailers(framing);
    let mut sender = opener.sender;
    open(&mut sender, pipe).await?;
    let (response, stream) = sender.send_request(request, body.is_done()).map_err(|error| lost(&error, pipe))?;
    drop(sender);
    let stream = Outlet::new(stream, pipe.room());
    let mut uploading = !body.is_done();
    let mut upload = pin!(upload((body, held.freeze()), stream, pipe));
    let mut download = pin!(download(response, to, pipe, answered));
    poll_fn(|cx| {
        if uploading && upload.as_mut().poll(cx).is_ready() {
            // Whether it was sent whole or not: the upstream's answer decides, as long as somebody waits for it.
            uploading = false;
        }
        if let Poll::Ready(done) = download.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        if uploading { Poll::Pending } else { pipe.poll_abandoned(cx).map(|()| Err(Stopped)) }
    })
    .await
}

/// Waits until a stream may be opened.
pub(super) async fn open(sender: &mut SendRequest<Piece>, pipe: &Pipe) -> Result<(), Stopped> {
    poll_fn(|cx| sender.poll_ready(cx)).await.map_err(|_| {
        // Nothing of it was sent.
        pipe.explain(Fate::Unread);
        Stopped
    })
}

/// Tells the other end of the pipe what `error` says of a request that gets no answer. Of the streams that were open, the
/// library ends those by a GOAWAY of the upstream that are above its last one (RFC 9113 6.8), and the others without a word.
pub(super) fn lost(error: &h2::Error, pipe: &Pipe) -> Stopped {
    let fate = match error.reason() {
        _ if !error.is_remote() => None,
        _ if error.is_go_away() => Some(Fate::Unread),
        Some(Reason::REFUSED_STREAM) => Some(Fate::Refused),
        _ => Some(Fate::Reset),
    };
    fate.into_iter().for_each(|fate| pipe.explain(fate));
    Stopped
}

/// Sends the body of the request.
async fn upload(body: (Body, Bytes), mut stream: Outlet, pipe: &Pipe) {
    match relay(body, &mut stream, pipe, Patience::While(pipe)).await {
        Ok(Over::Whole) => {}
        Ok(Over::Cut) => stream.send_reset(Reason::CANCEL),
        // Nobody waits for an answer: what was not sent must hold neither room nor memory.
        Err(Stopped) if pipe.is_abandoned() => stream.send_reset(Reason::CANCEL),
        // The upstream wants no more of it, which is no reason to hear no more of it.
        Err(Stopped) => {}
    }
}

/// Writes the answer into the pipe: its head after the interim ones, its data as it comes, its trailers.
async fn download(response: ResponseFuture, to: AnswerTo, pipe: &Pipe, answered: impl FnOnce()) -> Result<(), Stopped> {
    let answer = answer(response, to, pipe).await?;
    answered();
    deliver(answer, to, pipe).await
}

/// Waits for the answer, and writes the interim ones before it.
pub(super) async fn answer(
    mut response: ResponseFuture,
    to: AnswerTo,
    pipe: &Pipe,
) -> Result<(response::Parts, RecvStream), Stopped> {
    let mut out = Vec::new();
    while let Some(interim) = poll_fn(|cx| response.poll_informational(cx)).await {
        out.clear();
        head::write_answer(&interim.map_err(|error| lost(&error, pipe))?.into_parts().0, Rest::Nothing, to, &mut out);
        pipe.put(&out).await.map_err(|_| Stopped)?;
    }
    Ok(response.await.map_err(|error| lost(&error, pipe))?.into_parts())
}

/// Writes an answer with all that follows its head.
pub(super) async fn deliver(
    (parts, body): (response::Parts, RecvStream),
    to: AnswerTo,
    pipe: &Pipe,
) -> Result<(), Stopped> {
    let mut out = Vec::with_capacity(512);
    let rest = if body.is_end_stream() { Rest::Nothing } else { Rest::Body };
    let content = head::write_answer(&parts, rest, to, &mut out);
    pipe.put(&out).await.map_err(|_| Stopped)?;
    match content {
        Content::Chunked => relay_chunks(body, out, pipe).await,
        Content::Measured => relay_bytes(body, pipe).await,
        Content::None => Ok(()),
    }
}

async fn relay_bytes(mut body: RecvStream, pipe: &Pipe) -> Result<(), Stopped> {
    let mut body = Gathered::new(&mut body, pipe.room());
    while let Some(data) = body.data().await {
        let data = data?;
        body.put(&data, pipe).await.map_err(|_| Stopped)?;
        body.release(data.len())?;
    }
    Ok(())
}

async fn relay_chunks(mut body: RecvStream, mut out: Vec<u8>, pipe: &Pipe) -> Result<(), Stopped> {
    let mut body = Gathered::new(&mut body, pipe.room());
    while let Some(data) = body.data().await {
        let data = data?;
        body.put_chunk(&data, pipe).await.map_err(|_| Stopped)?;
        body.release(data.len())?;
    }
    let trailers = body.trailers().await?;
    let mut lines = Vec::new();
    if let Some(trailers) = trailers {
        head::write_trailers(&trailers, &mut lines);
    }
    out.clear();
    write::last_chunk(&mut out, &lines);
    pipe.put(&out).await.map_err(|_| Stopped)
}
