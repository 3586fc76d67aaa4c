//! Callers over TLS and over HTTP/2.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::answer::Incoming;
use crate::load::{EXTENSIONS, Plan, Protocol, Tally};
use crate::order::{FIELDS, Order};
use crate::{Outcome, READ, local};

/// A task says only why it had to end.
type Failure = Box<dyn std::error::Error + Send + Sync>;
type Counted = Arc<Mutex<Tally>>;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

fn client(plan: &Plan) -> Outcome<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&plan.certificate)?)?;
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let protocol = if plan.protocol == Protocol::H2Tls { "h2" } else { "http/1.1" };
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A connection; over TLS, where there is a connector, and then it is told what was agreed upon.
async fn connect(port: u16, tls: Option<TlsConnector>, tally: &Counted) -> Result<Box<dyn Stream>, Failure> {
    let stream = TcpStream::connect(local(port)).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    let stream = tls.connect(ServerName::try_from("localhost")?, stream).await?;
    let session = stream.get_ref().1;
    if let (Some(version), Some(cipher)) = (session.protocol_version(), session.negotiated_cipher_suite())
        && let Ok(mut tally) = tally.lock()
    {
        tally.agree(format!("{version:?} {:?}", cipher.suite()));
    }
    match session.alpn_protocol() {
        Some(b"h2" | b"http/1.1") => Ok(Box::new(stream)),
        _ => Err("the proxy agreed on no protocol".into()),
    }
}

fn count(tally: &Counted, status: u16) {
    if let Ok(mut tally) = tally.lock() {
        tally.count(status);
    }
}

/// Asks over HTTP/1.1 until it is ended.
async fn call_h1(mut stream: Box<dyn Stream>, requests: Arc<Vec<Vec<u8>>>, tally: Counted) -> Result<(), Failure> {
    let (mut input, mut incoming) = (vec![0; READ / 16], Incoming::default());
    for request in requests.iter().cycle() {
        stream.write_all(request).await?;
        stream.flush().await?;
        loop {
            let count = stream.read(&mut input).await?;
            let read = input.get(..count).filter(|read| !read.is_empty()).ok_or("the proxy closed a connection")?;
            if let Some(status) = incoming.take(read).map_err(|error| error.to_string())? {
                self::count(&tally, status);
                break;
            }
        }
    }
    Ok(())
}

fn request(order: &Order, scheme: &str) -> Result<http::Request<()>, http::Error> {
    let uri = format!("{scheme}://api.example.test{}", order.target);
    let mut request = http::Request::builder().method(order.method.as_str()).uri(uri);
    for (name, value) in FIELDS {
        request = request.header(name, value);
    }
    if !order.key.is_empty() {
        request = request.header("authorization", format!("Bearer {}", order.key));
    }
    request.body(())
}

/// Asks over one stream of HTTP/2 after the other until it is ended.
async fn call_h2(
    mut sender: h2::client::SendRequest<Bytes>,
    requests: Arc<Vec<http::Request<()>>>,
    first: usize,
    tally: Counted,
) -> Result<(), Failure> {
    for request in requests.iter().cycle().skip(first) {
        sender = sender.ready().await?;
        let (answer, _) = sender.send_request(request.clone(), true)?;
        let answer = answer.await?;
        let status = answer.status().as_u16();
        let mut body = answer.into_body();
        while let Some(part) = body.data().await {
            let length = part?.len();
            body.flow_control().release_capacity(length)?;
        }
        count(&tally, status);
    }
    Ok(())
}

type Work = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// Opens all connections; the work on them begins when it is first polled.
async fn prepare(plan: &Plan, tally: &Counted) -> Outcome<Vec<Work>> {
    let tls = if plan.protocol == Protocol::H2c { None } else { Some(client(plan)?) };
    let mut works: Vec<Work> = Vec::new();
    let rotated = |number: usize| {
        let mut orders = plan.orders.clone();
        let middle = number * orders.len() / plan.callers;
        orders.rotate_left(middle);
        orders
    };
    for number in 0..plan.callers {
        let stream = connect(plan.port, tls.clone(), tally).await.map_err(|error| error.to_string())?;
        let orders = rotated(number);
        if plan.protocol == Protocol::H1Tls {
            let requests = Arc::new(orders.iter().map(Order::bytes).collect());
            works.push(Box::pin(call_h1(stream, requests, Arc::clone(tally))));
            continue;
        }
        let scheme = if plan.protocol == Protocol::H2c { "http" } else { "https" };
        let requests: Result<Vec<_>, _> = orders.iter().map(|order| request(order, scheme)).collect();
        let requests = Arc::new(requests?);
        let (sender, connection) = h2::client::handshake(stream).await?;
        works.push(Box::pin(async { Ok(connection.await?) }));
        for stream in 0..plan.streams {
            let first = stream * orders.len() / plan.streams / plan.callers;
            works.push(Box::pin(call_h2(sender.clone(), Arc::clone(&requests), first, Arc::clone(tally))));
        }
    }
    Ok(works)
}

async fn measure(plan: &Plan) -> Outcome<()> {
    let tally = Counted::default();
    let mut tasks = JoinSet::new();
    for work in prepare(plan, &tally).await? {
        tasks.spawn(work);
    }
    let clock = async {
        tokio::time::sleep(plan.warm).await;
        tally.lock().map_err(|_| "a caller panicked")?.begin();
        let begun = plan.watched.mark()?;
        for _ in 0..EXTENSIONS {
            tokio::time::sleep(plan.span).await;
            if tally.lock().map_err(|_| "a caller panicked")?.is_enough() {
                break;
            }
        }
        let span = begun.to(plan.watched.mark()?);
        tally.lock().map_err(|_| "a caller panicked")?.print(span);
        Ok(())
    };
    tokio::select! {
        done = clock => done,
        Some(ended) = tasks.join_next() => match ended? {
            Err(failure) => Err(failure.to_string().into()),
            Ok(()) => Err("the proxy closed a connection".into()),
        },
    }
}

/// Does what is planned, and prints what came of it.
pub(crate) fn call(plan: &Plan) -> Outcome<()> {
    // A second call finds the provider that the first one chose.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(plan))
}
