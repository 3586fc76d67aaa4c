//! Peers that speak HTTP/2. Their frames are the `h2` crate's, as the gateway's are: clients and servers of other makers are
//! in tests/clients.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, LocalSet, spawn_local};

use super::PATIENCE;

/// How long the settings of an upstream are on their way that is far off.
const LATE: Duration = Duration::from_millis(300);

/// Runs a test's own side to its end.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let bounded = async { tokio::time::timeout(3 * PATIENCE, test).await.expect("a test that ends") };
    LocalSet::new().block_on(&runtime, bounded)
}

/// A caller with one connection.
pub struct Caller {
    pub requests: SendRequest<Bytes>,
    /// How the connection ended.
    pub over: JoinHandle<Result<(), h2::Error>>,
    address: SocketAddr,
}

/// What came back on a stream.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub fields: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: HeaderMap,
    /// The head ended the stream.
    pub alone: bool,
    /// Why the stream was reset in the middle of the answer.
    pub reset: Option<Reason>,
}

impl Answer {
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    pub fn code(&self) -> String {
        let problem: serde_json::Value = serde_json::from_slice(&self.body).expect("a problem");
        problem["code"].as_str().expect("a code").to_owned()
    }
}

impl Caller {
    pub async fn connect(address: SocketAddr) -> Caller {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let (requests, connection) = h2::client::handshake(stream).await.expect("a handshake");
        Caller { requests, over: spawn_local(connection), address }
    }

    /// Whether it may be asked more.
    pub fn is_open(&mut self) -> bool {
        let ready = self.requests.poll_ready(&mut Context::from_waker(Waker::noop()));
        !matches!(ready, Poll::Ready(Err(_)))
    }

    /// The head of a request for `target` with a key.
    pub fn head(&self, method: &str, target: &str, key: &str) -> http::request::Builder {
        let head = Request::builder().method(method).uri(format!("http://{}{target}", self.address));
        if key.is_empty() { head } else { head.header("authorization", format!("Bearer {key}")) }
    }

    /// Begins a request that has a body.
    pub async fn begin(&mut self, head: http::request::Builder) -> (h2::client::ResponseFuture, SendStream<Bytes>) {
        poll_fn(|cx| self.requests.poll_ready(cx)).await.expect("a connection that is open");
        self.requests.send_request(head.body(()).expect("a request"), false).expect("a stream")
    }

    /// One request without a body, and its answer.
    pub async fn call(&mut self, head: http::request::Builder) -> Result<Answer, h2::Error> {
        poll_fn(|cx| self.requests.poll_ready(cx)).await?;
        let (response, _) = self.requests.send_request(head.body(()).expect("a request"), true)?;
        read(response).await
    }

    pub async fn get(&mut self, target: &str, key: &str) -> Answer {
        self.call(self.head("GET", target, key)).await.expect("an answer")
    }
}

/// A WebSocket of a caller's.
pub struct Live {
    pub fields: HeaderMap,
    pub sending: SendStream<Bytes>,
    pub body: RecvStream,
    heard: Vec<u8>,
}

impl Live {
    pub fn say(&mut self, bytes: &[u8]) {
        self.sending.send_data(Bytes::copy_from_slice(bytes), false).expect("an open stream");
    }

    /// Ends the caller's direction.
    pub fn end(&mut self) {
        self.sending.send_data(Bytes::new(), true).expect("an open stream");
    }

    /// Waits for exactly these bytes.
    pub async fn hear(&mut self, bytes: &[u8]) {
        while self.heard.len() < bytes.len() {
            let data = self.body.data().await.expect("more").expect("data");
            self.body.flow_control().release_capacity(data.len()).expect("room");
            self.heard.extend_from_slice(&data);
        }
        let rest = self.heard.split_off(bytes.len());
        assert_eq!(
            std::mem::replace(&mut self.heard, rest).escape_ascii().to_string(),
            bytes.escape_ascii().to_string()
        );
    }

    /// What comes until the end of the stream, and why it was reset if it was.
    pub async fn hear_out(mut self) -> (Vec<u8>, Option<Reason>) {
        let ended = drain(&mut self.body, &mut self.heard).await;
        (self.heard, ended.err().map(|error| error.reason().expect("a reason")))
    }
}

impl Caller {
    /// The head of an extended CONNECT for a WebSocket (RFC 8441).
    pub fn handshake(&self, target: &str, key: &str) -> http::request::Builder {
        let head = self.head("CONNECT", target, key).extension(Protocol::from_static("websocket"));
        head.header("sec-websocket-version", "13").header("origin", "http://page.test")
    }

    /// Asks for a WebSocket and gets one.
    pub async fn open(&mut self, head: http::request::Builder) -> Live {
        let (response, sending) = self.begin(head).await;
        let (parts, body) = response.await.expect("an answer").into_parts();
        assert_eq!(parts.status, 200);
        Live { fields: parts.headers, sending, body, heard: Vec::new() }
    }

    /// Asks for a WebSocket and gets none.
    pub async fn ask(&mut self, head: http::request::Builder) -> Answer {
        let (response, _sending) = self.begin(head).await;
        read(response).await.expect("an answer")
    }
}

/// Reads an answer to its end.
pub async fn read(response: h2::client::ResponseFuture) -> Result<Answer, h2::Error> {
    let (parts, mut body) = response.await?.into_parts();
    let mut answer = Answer {
        status: parts.status.as_u16(),
        fields: parts.headers,
        body: Vec::new(),
        trailers: HeaderMap::new(),
        alone: body.is_end_stream(),
        reset: None,
    };
    match drain(&mut body, &mut answer.body).await {
        Ok(trailers) => answer.trailers = trailers,
        Err(error) => answer.reset = error.reason(),
    }
    Ok(answer)
}

/// Reads content and trailers to their end.
pub async fn drain(body: &mut RecvStream, content: &mut Vec<u8>) -> Result<HeaderMap, h2::Error> {
    while let Some(data) = body.data().await {
        let data = data?;
        content.extend_from_slice(&data);
        body.flow_control().release_capacity(data.len())?;
    }
    Ok(body.trailers().await?.unwrap_or_default())
}

/// One request as an upstream of HTTP/2 got it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub uri: String,
    pub fields: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: HeaderMap,
}

/// What the threads of an upstream share with the test.
#[derive(Clone, Default)]
pub struct Shared {
    seen: Arc<Mutex<Vec<Seen>>>,
    notes: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Shared {
    pub fn note(&self, note: &str) {
        self.notes.lock().expect("the notes").push(note.to_owned());
    }

    pub fn has(&self, note: &str) -> bool {
        self.notes.lock().expect("the notes").iter().any(|said| said == note)
    }

    /// Notes it, and says whether it is the first time.
    pub fn notes_first(&self, note: &str) -> bool {
        let mut notes = self.notes.lock().expect("the notes");
        notes.push(note.to_owned());
        notes.iter().filter(|said| *said == note).count() == 1
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Lets the connection write what was sent.
    pub async fn sent(&self) {
        tokio::task::yield_now().await;
    }

    /// Reads a request whole, and keeps it.
    pub async fn whole(&self, request: Request<RecvStream>) -> Option<Seen> {
        let (parts, mut body) = request.into_parts();
        let mut content = Vec::new();
        let trailers = drain(&mut body, &mut content).await.ok()?;
        let seen = Seen {
            method: parts.method.to_string(),
            uri: parts.uri.to_string(),
            fields: parts.headers,
            body: content,
            trailers,
        };
        self.seen.lock().expect("the record").push(seen.clone());
        Some(seen)
    }
}

/// An upstream that speaks HTTP/2, in a thread of its own.
pub struct Upstream2 {
    pub address: SocketAddr,
    pub shared: Shared,
}

impl Upstream2 {
    /// Over cleartext: `script` serves each stream.
    pub fn start<F>(
        script: impl Fn(Shared, Request<RecvStream>, SendResponse<Bytes>) -> F + Send + 'static,
    ) -> Upstream2
    where
        F: Future<Output = ()> + 'static,
    {
        Upstream2::start_with(None, script)
    }

    /// Over TLS, where there is a configuration.
    pub fn start_with<F>(
        tls: Option<Arc<ServerConfig>>,
        script: impl Fn(Shared, Request<RecvStream>, SendResponse<Bytes>) -> F + Send + 'static,
    ) -> Upstream2
    where
        F: Future<Output = ()> + 'static,
    {
        Upstream2::start_by(h2::server::Builder::new(), tls, script)
    }

    /// Over cleartext, and it takes WebSockets.
    pub fn start_websockets<F>(
        script: impl Fn(Shared, Request<RecvStream>, SendResponse<Bytes>) -> F + Send + 'static,
    ) -> Upstream2
    where
        F: Future<Output = ()> + 'static,
    {
        let mut builder = h2::server::Builder::new();
        builder.enable_connect_protocol();
        Upstream2::start_by(builder, None, script)
    }

    /// Over cleartext, by `builder`: its settings come when callers have had the time to send a lot.
    pub fn start_late<F>(
        builder: &h2::server::Builder,
        script: impl Fn(Shared, Request<RecvStream>, SendResponse<Bytes>) -> F + Send + 'static,
    ) -> Upstream2
    where
        F: Future<Output = ()> + 'static,
    {
        Upstream2::start_as((builder.clone(), LATE), None, script)
    }

    fn start_by<F>(
        builder: h2::server::Builder,
        tls: Option<Arc<ServerConfig>>,
        script: impl Fn(Shared, Request<RecvStream>, SendResponse<Bytes>) -> F + Send + 'static,
    ) -> Upstream2
    where
        F: Future<Output = ()> + 'static,
    {
        Upstream2::start_as((builder, Duration::ZERO), tls, script)
    }

    fn start_as<F>(
        (builder, after): (h2::server::Builder, Duration),
        tls: Option<Arc<ServerConfig>>,
        script: impl Fn(Shared, Request<RecvStream>, SendResponse<Bytes>) -> F + Send + 'static,
    ) -> Upstream2
    where
        F: Future<Output = ()> + 'static,
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        listener.set_nonblocking(true).expect("a listener for the runtime");
        let shared = Shared::default();
        let of_thread = shared.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            LocalSet::new()
                .block_on(&runtime, accept(listener, (builder, tls, after), of_thread, std::rc::Rc::new(script)));
        });
        Upstream2 { address, shared }
    }

    /// Answers every request with `ok` once it was read whole.
    pub fn ok() -> Upstream2 {
        Upstream2::start(|shared, request, mut respond| async move {
            if shared.whole(request).await.is_some() {
                answer_ok(&mut respond);
            }
        })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("the record").clone()
    }

    pub fn connections(&self) -> usize {
        self.shared.connections()
    }

    /// What scripts have said so far.
    pub fn notes(&self) -> Vec<String> {
        self.shared.notes.lock().expect("the notes").clone()
    }

    pub fn wait_for(&self, note: &str) {
        super::until(note, || self.notes().iter().any(|said| said == note).then_some(()));
    }
}

/// `ok`, as plain text.
pub fn answer_ok(respond: &mut SendResponse<Bytes>) {
    if let Ok(mut stream) = respond.send_response(Response::new(()), false) {
        let _ = stream.send_data(Bytes::from_static(b"ok"), true);
    }
}

async fn accept<F>(
    listener: std::net::TcpListener,
    (builder, tls, after): (h2::server::Builder, Option<Arc<ServerConfig>>, Duration),
    shared: Shared,
    script: std::rc::Rc<impl Fn(Shared, Request<RecvStream>, SendResponse<Bytes>) -> F + 'static>,
) where
    F: Future<Output = ()> + 'static,
{
    let listener = TcpListener::from_std(listener).expect("a listener");
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let (shared, script, tls) = (shared.clone(), std::rc::Rc::clone(&script), tls.clone());
        let builder = builder.clone();
        spawn_local(async move {
            tokio::time::sleep(after).await;
            match tls {
                None => serve(builder, stream, shared, script).await,
                Some(tls) => {
                    if let Ok(stream) = tokio_rustls::TlsAcceptor::from(tls).accept(stream).await {
                        serve(builder, stream, shared, script).await;
                    }
                }
            }
        });
    }
}

async fn serve<F>(
    builder: h2::server::Builder,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    shared: Shared,
    script: std::rc::Rc<impl Fn(Shared, Request<RecvStream>, SendResponse<Bytes>) -> F>,
) where
    F: Future<Output = ()> + 'static,
{
    let Ok(mut connection) = builder.handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        // What a test asks for that wants the connection to end.
        let leaves = request.headers().contains_key("x-goodbye");
        spawn_local(script(shared.clone(), request, respond));
        if leaves {
            connection.graceful_shutdown();
        }
    }
    shared.note("closed");
}
