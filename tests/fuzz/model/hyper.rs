//! A request head as hyper's server reads it.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri, Version};
use hyper_util::rt::TokioIo;
use scopegate::http1::RequestHead;
use scopegate::http1::head::{self, Framing};
use tokio::io::{AsyncWriteExt, duplex};
use tokio::runtime::{Builder, Runtime};

thread_local! {
    pub(crate) static RUNTIME: Runtime = Builder::new_current_thread().build().expect("a runtime");
}

/// Names in small letters and values, by name; values of one name in their order.
pub type Fields = Vec<(String, Vec<u8>)>;

/// What hyper makes of a head.
#[derive(Debug)]
pub struct Reading {
    pub method: String,
    pub target: Uri,
    pub version: Version,
    pub fields: Fields,
    /// Bytes of the body; `None` where it is chunked.
    pub length: Option<u64>,
}

impl Reading {
    fn of(request: &Request<Incoming>) -> Self {
        let field = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
            (name.as_str().to_owned(), value.as_bytes().to_vec())
        };
        Self {
            method: request.method().to_string(),
            target: request.uri().clone(),
            version: request.version(),
            fields: sorted(request.headers().iter().map(field).collect()),
            length: request.body().size_hint().exact(),
        }
    }
}

/// Reads one head; `None` where hyper refuses it.
pub fn read(wire: &[u8]) -> Option<Reading> {
    let seen = Rc::new(RefCell::new(None));
    let kept = Rc::clone(&seen);
    let service = service_fn(move |request: Request<Incoming>| {
        *kept.borrow_mut() = Some(Reading::of(&request));
        async { Ok::<_, Infallible>(Response::new(String::new())) }
    });
    let served = async {
        // Room for the head one way and for the answer the other.
        let (mut ours, theirs) = duplex(wire.len() + 4096);
        ours.write_all(wire).await.expect("room for the head");
        ours.shutdown().await.expect("an end");
        let mut server = http1::Builder::new();
        server.max_headers(256).header_read_timeout(None).half_close(true);
        // That the body is missing is no fault of the head.
        let _ = server.serve_connection(TokioIo::new(theirs), service).await;
    };
    RUNTIME.with(|runtime| runtime.block_on(served));
    seen.take()
}

/// Asserts that hyper reads `wire` as the gateway has read it: `head` is all of it.
///
/// The one thing that hyper may refuse is a target with bytes that its type for targets does not hold: nothing else stands
/// there than what the gateway saw.
pub fn assert_reads_alike(wire: &[u8], head: &RequestHead<'_>) {
    let Some(reading) = read(wire) else {
        assert!(Uri::try_from(head.target).is_err(), "hyper refuses {}", wire.escape_ascii());
        return;
    };
    assert_eq!(reading.method.as_bytes(), head.method);
    let version = if head.version == head::Version::Http10 { Version::HTTP_10 } else { Version::HTTP_11 };
    assert_eq!(reading.version, version);
    assert_eq!(
        reading.length,
        match head.framing {
            Framing::Chunked => None,
            Framing::Length(length) => Some(length),
            Framing::None => Some(0),
        }
    );
    let ours = head
        .fields
        .iter()
        .map(|field| (String::from_utf8_lossy(field.name).to_ascii_lowercase(), field.value.to_vec()));
    assert_eq!(reading.fields, sorted(ours.collect()));
    assert_eq!(reading.fields.iter().filter(|(name, _)| name == "host").count(), 1);
    if head.target.starts_with(b"/") {
        let target = reading.target.path_and_query().expect("a path").as_str();
        assert_eq!(target.as_bytes(), head.target, "{}", wire.escape_ascii());
    }
}

/// By name; values of one name stay in their order.
pub fn sorted(mut fields: Fields) -> Fields {
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    fields
}
