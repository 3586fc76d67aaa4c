//! One test for each fault that a user or a reviewer met, named after what went wrong.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::support::certificate::Authority;
use crate::support::{Call, Client, Gateway, OK, Setup, Upstream, until};

const ANYONE: &str = "GET /api/health HTTP/1.1\r\nHost: api.test\r\n\r\n";
const KEYLESS: &str = "GET /api/profiles HTTP/1.1\r\nHost: api.test\r\n\r\n";

/// A task that had used up its turn framed the same bytes of a body twice, and kept a connection on which the upstream
/// was owed the rest: whatever came next was read as a body, or a body as a request.
#[test]
fn a_body_behind_many_requests_in_one_go_is_sent_whole() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("workers: 1").start();
    let key = gateway.key(&["--scopes", "files:write"]);
    for before in 120..136 {
        assert_eq!(gateway.connect().send(ANYONE).read().status(), 200, "a connection to the upstream is kept");
        let mut client = gateway.connect();
        let head = format!(
            "POST /api/files/a HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer {key}\r\nContent-Length: 100\r\n\r\n"
        );
        client.send(KEYLESS.repeat(before) + &head + &"a".repeat(60));
        for _ in 0..before {
            assert_eq!(client.read().status(), 401);
        }
        client.send("b".repeat(40));
        assert_eq!(client.read().status(), 200, "behind {before}");
        let request = upstream.requests().pop().expect("the post");
        assert_eq!(request.body_text(), "a".repeat(60) + &"b".repeat(40), "behind {before}");
    }
}

/// TLS had taken an answer that nobody asked for off the socket, which was silent then.
#[test]
fn bytes_that_tls_holds_back_are_nobodys_answer() {
    let authority = Authority::new();
    let upstream = Upstream::start_tls(&authority, |connection| {
        while connection.request().is_some() {
            // As many bytes as the gateway reads at once, and one record with something behind them.
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 16341\r\n\r\n";
            assert_eq!(head.len() + 16341, 16 * 1024 - 1 + usize::from(head.len() == 43));
            let stray = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray";
            connection.send(format!("{head}{}{stray}", "m".repeat(16341)));
        }
    });
    let setup = Setup::new(&upstream).upstream("  tls: { ca: ca.pem }").config("workers: 1");
    fs::write(setup.folder().join("ca.pem"), authority.pem()).expect("the certificate");
    let gateway = setup.start();
    let key = gateway.key(&["--full"]);
    for _ in 0..5 {
        assert!(gateway.get("/api/profiles", &key).body_text().starts_with("mmm"));
    }
}

/// A reader of standard output that stopped took the workers, and then SIGTERM, with it.
#[test]
fn a_log_that_nobody_reads_stops_no_request_and_no_drain() {
    // Nobody listens behind the gateway: each request is also an event for the log.
    let upstream = Upstream::ok();
    let gone = upstream.url();
    drop(upstream);
    let setup = Setup::for_url(&gone).listen("unix:listen.sock").config("workers: 1").written();
    let mut process =
        setup.command().arg("serve").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a gateway");
    let socket = setup.folder().join("listen.sock");
    until("the gateway to listen", || std::os::unix::net::UnixStream::connect(&socket).is_ok().then_some(()));
    let mut client = Client::connect_unix(&socket);
    // Far more than a pipe holds.
    for _ in 0..3000 {
        let status = client.send(KEYLESS).read().status();
        assert_eq!(status, 401);
    }
    let status = Client::connect_unix(&socket).send(ANYONE).read().status();
    assert_eq!(status, 503, "an event of the worker, and the answer all the same");
    let ended = std::process::Command::new("kill").arg(process.id().to_string()).status();
    assert!(ended.is_ok_and(|status| status.success()));
    let exit = until("the end", || process.try_wait().expect("a process"));
    assert!(exit.success(), "{exit}");
}

/// A change that named a new file with a fault was refused; mending that file was then never noticed.
#[test]
fn a_file_that_was_first_named_by_a_refused_change_is_mended_in_place() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).routes("  GET /profiles: profiles:admin\n").start();
    let text = fs::read_to_string(gateway.file("scopegate.yaml")).expect("the configuration");
    fs::write(gateway.file("other.yaml"), "version: 1\nroutes:\n  GET /api/profiles: nobody here\n").expect("a policy");
    fs::write(gateway.file("scopegate.yaml"), text.replace("policy.yaml", "other.yaml")).expect("a change");
    until("the refusal", || (gateway.metric("scopegate_reloads_total", &["result=\"failed\""]) >= 1.0).then_some(()));
    fs::write(gateway.file("other.yaml"), "version: 1\nroutes:\n  GET /api/profiles: { auth: anyone }\n")
        .expect("a mend");
    until("the mended policy", || (gateway.get("/api/profiles", "none").status() == 200).then_some(()));
}

/// Events that came without a pause put every reload off, and swallowed SIGHUP.
#[test]
fn a_folder_in_which_something_is_always_written_does_not_keep_a_change_from_being_seen() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).routes("  GET /profiles: profiles:admin\n").start();
    let mut busy = fs::File::create(gateway.file("busy.log")).expect("a file");
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let writer = thread::spawn(move || {
        while stopped
            .recv_timeout(Duration::from_millis(10))
            .is_err_and(|end| end == std::sync::mpsc::RecvTimeoutError::Timeout)
        {
            writeln!(busy, "a line").expect("a line");
        }
    });
    gateway.write_routes("  GET /profiles: { auth: anyone }\n");
    until("the new policy", || (gateway.get("/api/profiles", "none").status() == 200).then_some(()));
    drop(stop);
    writer.join().expect("the writer");
}

/// A request that the end of the process cut was neither counted nor logged.
#[test]
fn a_request_that_is_cut_by_the_end_of_the_process_has_its_line() {
    let upstream = Upstream::start(|connection| {
        connection.request();
        connection.note("in flight");
        connection.stall();
    });
    let gateway = Setup::new(&upstream).config("drain: { timeout: 300ms }").start();
    let mut client = gateway.connect();
    client.send(ANYONE);
    upstream.wait_for("in flight");
    gateway.process.signal("TERM");
    assert_eq!(gateway.process.exit_code(), 0);
    let said = gateway.process.last_words();
    assert!(said.lines().any(|line| line.contains("GET /api/health")), "{said}");
}

/// Chunk lines counted as data.
#[test]
fn a_limit_on_bodies_counts_data_and_not_how_it_is_cut() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("limits: { body_bytes: 10 }").start();
    let key = gateway.key(&["--scopes", "files:write"]);
    let post = |chunks: &[&str]| gateway.answer(&Call::post("/api/files/a").key(&key).chunks(chunks)).status();
    assert_eq!(post(&["a", "b", "c", "d", "e"]), 200);
    assert_eq!(post(&["aaaaaaaaaa", "b"]), 413);
}

/// Callers that send their bodies slowly used up what may wait for the upstream.
#[test]
fn bodies_that_trickle_keep_nobody_else_out() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).upstream("  max_pending: 2").config("workers: 1").start();
    let key = gateway.key(&["--scopes", "files:write,profiles:read"]);
    let head = format!(
        "POST /api/files/a HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer {key}\r\nContent-Length: 5\r\n\r\nb"
    );
    // The first goes out on a connection that is kept.
    let before = upstream.connections();
    let mut slow: Vec<Client> = (0..8).map(|_| gateway.connect()).collect();
    for (number, client) in slow.iter_mut().enumerate() {
        client.send(&head);
        until("the upload", || (upstream.connections() >= before + number).then_some(()));
    }
    for _ in 0..3 {
        assert_eq!(gateway.get("/api/profiles", &key).status(), 200);
    }
    for client in &mut slow {
        assert_eq!(client.send("bbbb").read().status(), 200);
    }
}

/// Shadow mode forwarded CONNECT, TRACE and `OPTIONS *`, since it forwarded whatever was 403.
#[test]
fn shadow_mode_forwards_no_connect_no_trace_and_nothing_without_a_path() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("mode: shadow").start();
    let key = gateway.key(&["--no-scopes"]);
    assert_eq!(gateway.get("/api/profiles", &key).status(), 200, "a denial is recorded, not carried out");
    assert_eq!(gateway.get("/api/no/route", &key).status(), 200);
    let seen = upstream.requests().len();
    for line in ["CONNECT internal:22", "TRACE /api/profiles", "OPTIONS *", "PURGE /api/profiles"] {
        let mut client = gateway.connect();
        client.send(format!("{line} HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer {key}\r\n\r\n"));
        assert!([400, 403].contains(&client.read().status()), "{line}");
    }
    assert_eq!(upstream.requests().len(), seen, "{}", upstream.everything());
}

/// A body that must not be there arrived after its answer, and was taken for the answer to the next request.
#[test]
fn a_body_after_an_answer_that_has_none_is_nobodys_answer() {
    const STRAY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray";
    for head in [
        "HTTP/1.1 204 No Content\r\nContent-Length: 43\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 43\r\n\r\n",
    ] {
        let upstream = Upstream::start(move |connection| {
            while let Some(request) = connection.request() {
                if request.target() == "/api/profiles" {
                    connection.send(head);
                    connection.send(STRAY);
                } else {
                    connection.send(OK);
                }
            }
        });
        let gateway = Setup::new(&upstream).config("workers: 1").start();
        let key = gateway.key(&["--full"]);
        for _ in 0..20 {
            let mut client = gateway.connect();
            client.send(Call::get("/api/profiles").key(&key).bytes());
            client.read_head();
            assert_eq!(gateway.connect().send(ANYONE).read().body_text(), "ok", "{head}");
        }
    }
}

/// A turned-away connection left no trace.
#[test]
fn a_connection_that_is_one_too_many_is_answered_counted_and_logged() {
    let upstream = Upstream::ok();
    let gateway: Gateway = Setup::new(&upstream).config("limits: { connections: 1 }").start();
    // The harness looked whether somebody listens, and that connection has its place until it is seen to be closed.
    let _first = until("the one place", || {
        let mut client = gateway.connect();
        (client.send(ANYONE).read().status() == 200).then_some(client)
    });
    let answer = gateway.connect().read();
    assert_eq!((answer.status(), answer.code().as_str()), (503, "overloaded"));
    assert_eq!(answer.field("retry-after"), Some("1"));
    // It is counted once the answer is on its way.
    let denials = || gateway.metric("scopegate_denials_total", &["code=\"overloaded\""]);
    until("it is counted", || (denials() >= 1.0).then_some(()));
}

/// The gateway said that it was ready before it caught signals: a SIGHUP or SIGTERM in between ended it at once.
#[test]
fn signals_are_caught_before_anybody_is_told_that_it_is_ready() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.process.id())).expect("its status");
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("what it catches");
    let caught = u64::from_str_radix(caught.trim(), 16).expect("a mask");
    for (signal, number) in [("HUP", 1), ("INT", 2), ("TERM", 15)] {
        assert!(caught & (1 << (number - 1)) != 0, "SIG{signal} in {caught:x}");
    }
}
