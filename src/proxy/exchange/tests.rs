//! The exchange between streams that stall and take a byte at a time: whatever they do, both sides get what was sent,
//! and a connection on which anything is owed or left over is not kept.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::config::{self, Environment, Overrides, Source};
use crate::http1::Body;
use crate::http1::head::{AnswerTo, ResponseFraming, Version};
use crate::key::Timestamp;
use crate::policy::Vocabulary;
use crate::proxy::stream::scripted::{Script, Scripted};
use crate::proxy::upstream::Sockets;
use crate::proxy::worker::Share;
use crate::snapshot::{Handle, Snapshot};
use crate::store::follow::Follower;
use crate::store::index::Index;
use crate::store::{self, Location, OpenMode};
use crate::telemetry::metrics::Metrics;

pub(in crate::proxy) const HEAD: &[u8] = b"POST /a HTTP/1.1\r\nhost: h\r\n\r\n";

/// A worker over an empty store, and what must live as long.
pub(in crate::proxy) struct Stage {
    pub(in crate::proxy) worker: Rc<Worker>,
    pub(in crate::proxy) metrics: Metrics,
    _follower: Follower,
    _folder: tempfile::TempDir,
}

pub(in crate::proxy) fn stage() -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let vocabulary = Vocabulary::new();
    let metrics = Metrics::new(1);
    let snapshot = snapshot((1, "POST /a"), &vocabulary, &metrics);
    let keys = Arc::new(Index::new(vocabulary));
    let location = Location::Sqlite(folder.path().join("keys.db"));
    let records = store::open(&location, OpenMode::Create).unwrap();
    let follower = Follower::start(records, Arc::clone(&keys), |_| {}).unwrap();
    let share = Share {
        handle: Arc::new(Handle::new(snapshot)),
        keys,
        store: Arc::clone(follower.status()),
        uses: None,
        cells: metrics.worker(0).unwrap(),
        access: None,
        sockets: Sockets::new(1),
        workers: 1,
        seed: 1,
    };
    Stage { worker: Worker::new(share), metrics, _follower: follower, _folder: folder }
}

/// A generation with one route, which is open to anyone.
pub(in crate::proxy) fn snapshot(
    (generation, route): (u64, &str),
    vocabulary: &Vocabulary,
    metrics: &Metrics,
) -> Snapshot {
    let overrides = Overrides { upstream: Some("http://127.0.0.1:1".to_owned()), ..Overrides::default() };
    let policy = format!("version: 1\nroutes:\n  {route}: {{ auth: anyone }}\n");
    let policy_text = Some(("policy".to_owned(), policy));
    let source = Source { overrides, environment: Environment::new(|_| None), policy_text, ..Source::default() };
    Snapshot::build(generation, config::load(&source, vocabulary).unwrap().config, metrics).unwrap()
}

/// What came of an exchange.
#[derive(Debug)]
pub(in crate::proxy) struct Seen {
    pub(in crate::proxy) end: End,
    pub(in crate::proxy) up: Vec<u8>,
    pub(in crate::proxy) down: Vec<u8>,
    pub(in crate::proxy) kept: usize,
    /// As they are logged: in, then out.
    pub(in crate::proxy) counted: (u64, u64),
}

/// A POST with that body.
pub(in crate::proxy) fn plan(framing: Framing) -> Plan {
    Plan {
        size: 0,
        framing,
        version: Version::Http11,
        answer_to: AnswerTo::Other,
        expects: false,
        keep_alive: true,
        replayable: false,
        grpc: false,
        upgrade: false,
        connect: None,
    }
}

fn run_exchange(stage: &Stage, framing: Framing, scripts: (Script, Script)) -> Seen {
    run_plan(stage, &plan(framing), scripts)
}

pub(in crate::proxy) fn run_plan(stage: &Stage, plan: &Plan, (mut down, up): (Script, Script)) -> Seen {
    let worker = &stage.worker;
    let view = worker.view();
    let mut input = Buffer::default();
    // The first piece of the body came with the head.
    if let Some(first) = down.gives.pop_front() {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(worker.buffers.poll_fill(&mut first.as_slice(), &mut input, &mut cx).is_ready());
    }
    let (down, to_caller) = Scripted::new(down);
    let (up, to_upstream) = Scripted::new(up);
    let (mut down, slot) = (Stream::Scripted(down), worker.watch.enter());
    let (now, wall) = (Instant::now(), Timestamp::now());
    let mut ticket = Ticket::new(now, wall, Some(IpAddr::from([127, 0, 0, 1])));
    let server = view.fleet.choose().unwrap();
    let ends = Ends {
        worker,
        view: &view,
        server,
        plan,
        slot: &slot,
        down: &mut down,
        input: &mut input,
        head: HEAD,
        ticket: &mut ticket,
        pending: &mut None,
        timeouts: &view.snapshot.config.upstream.timeouts,
        until: Moment::NEVER,
        again: &mut None,
    };
    let before = server.pool.idle();
    let lease = Lease::of_test(Stream::Scripted(up), false, &worker.cells);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    // An exchange that miscounts waits for bytes that never come.
    let patient = async { tokio::time::timeout(Duration::from_secs(20), run(ends, lease)).await };
    let (end, _) = runtime.block_on(patient).expect("an exchange that ends");
    let (up, down) = (to_upstream.borrow().clone(), to_caller.borrow().clone());
    Seen { end, up, down, kept: server.pool.idle() - before, counted: (ticket.bytes_in, ticket.bytes_out) }
}

/// Cuts bytes into pieces of the lengths given, over and over.
fn cut(bytes: &[u8], lengths: &[usize]) -> std::collections::VecDeque<Vec<u8>> {
    let mut rest = bytes;
    let mut pieces = std::collections::VecDeque::new();
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, more) = rest.split_at(rest.len().min(*length));
        pieces.push_back(piece.to_vec());
        rest = more;
    }
    pieces
}

pub(in crate::proxy) fn script(bytes: &[u8], lengths: &[usize], (takes, stalls): (usize, usize)) -> Script {
    Script { gives: cut(bytes, lengths), ends: false, panics: false, takes, stalls, after: Vec::new() }
}

#[test]
fn streams_that_stall_and_trickle_change_nothing() {
    let stage = stage();
    let cases = (
        prop::collection::vec(any::<u8>(), 1..300),
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(1_usize..90, 1..6),
        (1_usize..200, 0_usize..4),
        any::<bool>(),
    );
    proptest!(ProptestConfig::with_cases(2000), |((body, answer, lengths, pace, chunked) in cases)| {
        let (framing, wire) = if chunked {
            let mut wire = Vec::new();
            for piece in body.chunks(37) {
                crate::http1::write::chunk(&mut wire, piece);
            }
            crate::http1::write::last_chunk(&mut wire, b"");
            (Framing::Chunked, wire)
        } else {
            (Framing::Length(body.len() as u64), body.clone())
        };
        let reply = [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len()).as_bytes(), &answer].concat();
        // The upstream answers once it has all of the body.
        let after = if chunked { b"\r\n0\r\n\r\n".to_vec() } else { [HEAD, &body].concat() };
        let up = Script { after, ..script(&reply, &lengths, pace) };
        let seen = run_exchange(&stage, framing, (script(&wire, &lengths, pace), up));
        prop_assert_eq!(seen.end, End::Complete { close: false });
        prop_assert!(seen.up.starts_with(HEAD));
        let sent = &seen.up[HEAD.len()..];
        prop_assert_eq!(if chunked { unchunk(sent) } else { sent.to_vec() }, body);
        prop_assert!(seen.down.ends_with(&answer));
        prop_assert_eq!(seen.kept, 1, "a connection on which all is done is kept");
    });
}

/// The data of a chunked body, which must be whole.
fn unchunk(wire: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut reader = Body::of_response(ResponseFraming::Chunked, Version::Http10);
    let passed = reader.pass(wire, &mut plain).unwrap();
    assert!(passed.done && passed.consumed == wire.len());
    plain
}

#[test]
fn an_answer_before_the_whole_body_is_passed_on_and_its_connection_is_not_kept() {
    let stage = stage();
    proptest!(ProptestConfig::with_cases(500), |(sent in 0_usize..100, pace in (1_usize..200, 0_usize..4))| {
        let up = script(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno", &[9], pace);
        let seen = run_exchange(&stage, Framing::Length(100), (script(&vec![b'a'; sent], &[7], pace), up));
        prop_assert_eq!(seen.end, End::Complete { close: true });
        prop_assert!(seen.down.ends_with(b"\r\n\r\nno"));
        prop_assert_eq!(seen.kept, 0);
    });
}

#[test]
fn bytes_behind_an_answer_are_not_passed_on_and_end_its_connection() {
    let stage = stage();
    let up = script(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n", &[1000], (1000, 1));
    let seen = run_exchange(&stage, Framing::None, (script(b"", &[1], (3, 1)), up));
    assert_eq!((seen.end, seen.kept), (End::Complete { close: false }, 0));
    assert!(seen.down.ends_with(b"\r\n\r\nok"), "{}", seen.down.escape_ascii());
}

#[test]
fn an_answer_that_ends_early_is_cut_and_never_completed() {
    let stage = stage();
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
    ] {
        let up = Script { ends: true, ..script(answer, &[11], (1000, 1)) };
        let seen = run_exchange(&stage, Framing::None, (script(b"", &[1], (3, 1)), up));
        assert!(matches!(seen.end, End::Cut(_)), "{:?}", seen.end);
        assert!(!seen.down.ends_with(b"0\r\n\r\n"));
        assert_eq!(seen.kept, 0);
    }
}

#[test]
fn an_answer_that_comes_late_on_a_connection_that_was_quiet_wakes_its_exchange() {
    use std::io::{Read as _, Write as _};

    let stage = stage();
    let (worker, view) = (&stage.worker, stage.worker.view());
    let server = view.fleet.choose().unwrap();
    let (down, to_caller) = Scripted::new(script(b"", &[1], (9000, 0)));
    let (mut down, slot) = (Stream::Scripted(down), worker.watch.enter());
    let mut ticket = Ticket::new(Instant::now(), Timestamp::now(), None);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let end = runtime.block_on(async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let near = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut far = listener.accept().unwrap().0;
        server.pool.put(Lease::of_test(Stream::Tcp(near), false, &worker.cells));
        let lease = poll_fn(|cx| Poll::Ready(server.pool.take(true, cx))).await.unwrap();
        assert!(lease.quiet);
        let ends = Ends {
            worker,
            view: &view,
            server,
            plan: &plan(Framing::None),
            slot: &slot,
            down: &mut down,
            input: &mut Buffer::default(),
            head: HEAD,
            ticket: &mut ticket,
            pending: &mut None,
            timeouts: &view.snapshot.config.upstream.timeouts,
            until: Moment::NEVER,
            again: &mut None,
        };
        let mut exchange = std::pin::pin!(run(ends, lease));
        let mut patience = std::pin::pin!(tokio::time::sleep(Duration::from_secs(20)));
        let mut waits = false;
        poll_fn(|cx| {
            assert!(patience.as_mut().poll(cx).is_pending(), "nobody was woken");
            let polled = exchange.as_mut().poll(cx);
            // The request is out, and the exchange waits: only then does the answer come.
            if polled.is_pending() && !std::mem::replace(&mut waits, true) {
                far.read_exact(&mut [0; HEAD.len()]).unwrap();
                far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").unwrap();
            }
            polled.map(|(end, _)| (end, waits))
        })
        .await
    });
    assert_eq!(end, (End::Complete { close: false }, true));
    assert!(to_caller.borrow().ends_with(b"\r\n\r\nhello"));
    assert_eq!(server.pool.idle(), 1, "it is kept for the next request");
}
