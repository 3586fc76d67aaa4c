//! An answer as hyper's client reads it.

use std::future::poll_fn;
use std::pin::Pin;

use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::hyper::{Fields, RUNTIME, sorted};

/// What hyper makes of an answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Reading {
    pub status: u16,
    pub fields: Fields,
    /// Bytes of the body; `None` where it is chunked, or ends with the connection.
    pub length: Option<u64>,
    /// The body and its trailers; `None` where it breaks off or is malformed.
    pub body: Option<(Vec<u8>, Fields)>,
}

/// Reads the answer to a request, after which the connection ends; `None` where hyper refuses it. One of 1xx is none to it.
pub fn read(wire: &[u8], to_head: bool) -> Option<Reading> {
    RUNTIME.with(|runtime| runtime.block_on(ask(wire, if to_head { Method::HEAD } else { Method::GET })))
}

async fn ask(wire: &[u8], method: Method) -> Option<Reading> {
    // Room for the request one way and for the answer the other.
    let (mut ours, theirs) = duplex(wire.len() + 4096);
    let (mut requests, connection) =
        http1::Builder::new().max_headers(8192).handshake(TokioIo::new(theirs)).await.expect("a connection");
    let connection = tokio::spawn(connection);
    let request = Request::builder().method(method).uri("/").header("host", "a");
    let answer = requests.send_request(request.body(String::new()).expect("a request"));
    // An answer that is there before its request is none.
    let mut sent = Vec::new();
    while !sent.ends_with(b"\r\n\r\n") {
        assert_ne!(ours.read_buf(&mut sent).await.expect("a request"), 0, "the request breaks off");
    }
    ours.write_all(wire).await.expect("room for the answer");
    ours.shutdown().await.expect("an end");
    let reading = match answer.await {
        Ok(answer) => Some(reading_of(answer).await),
        Err(_) => None,
    };
    connection.abort();
    reading
}

async fn reading_of(answer: Response<Incoming>) -> Reading {
    let (parts, mut body) = answer.into_parts();
    let length = body.size_hint().exact();
    let (mut data, mut trailers) = (Vec::new(), Fields::new());
    let whole = loop {
        let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await else { break true };
        match frame.map(|frame| frame.into_data().map_err(|frame| frame.into_trailers())) {
            Ok(Ok(bytes)) => data.extend_from_slice(&bytes),
            Ok(Err(Ok(fields))) => trailers = of(&fields),
            Ok(Err(Err(_))) | Err(_) => break false,
        }
    };
    Reading {
        status: parts.status.as_u16(),
        fields: of(&parts.headers),
        length,
        body: whole.then_some((data, trailers)),
    }
}

fn of(fields: &HeaderMap) -> Fields {
    sorted(fields.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect())
}
