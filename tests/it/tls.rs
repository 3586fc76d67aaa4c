//! TLS towards callers: versions, client certificates, renewal, what does not speak it.

mod certificates; // Who shows which certificate, and what becomes of it when its file changes.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection};

use crate::support::certificate::{Authority, TlsSocket};
use crate::support::{Call, Client, Ending, Gateway, OK, PATIENCE, Port, Setup, Upstream, until};

const NAME: &str = "localhost";
const TLS: &str = "tls: { cert: cert.pem, key: key.pem }";

/// A gateway with a listener in cleartext, which the harness uses, and one that ends TLS.
struct Secured {
    gateway: Gateway,
    authority: Authority,
    port: Port,
    key: String,
}

impl Secured {
    fn start(upstream: &Upstream, config: &str) -> Secured {
        Secured::start_with(Setup::new(upstream), &Authority::new(), config)
    }

    fn start_with(setup: Setup, clients: &Authority, config: &str) -> Secured {
        let (authority, port) = (Authority::new(), Port::free());
        let listen = format!("[{{ address: \"ADDRESS\", tls: false }}, \"{}\"]", port.address);
        let setup = setup.listen(&listen).config(config);
        let (certificate, key) = authority.issue(NAME, 2100);
        fs::write(setup.folder().join("cert.pem"), certificate).expect("the certificate");
        fs::write(setup.folder().join("key.pem"), key).expect("the key");
        fs::write(setup.folder().join("clients.pem"), clients.pem()).expect("the authority of callers");
        fs::write(setup.folder().join("ca.pem"), authority.pem()).expect("the authority");
        let gateway = setup.start();
        let key = gateway.key(&["--full"]);
        Secured { gateway, authority, port, key }
    }

    fn address(&self) -> SocketAddr {
        self.port.address
    }

    fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a read timeout can be set");
        stream
    }

    fn socket(&self, config: ClientConfig) -> TlsSocket<ClientConnection> {
        TlsSocket::connect(&Arc::new(config), NAME, self.tcp())
    }

    fn client(&self) -> Client {
        Client::on(self.socket(self.authority.caller(None)))
    }

    fn call(&self) -> Call {
        Call::get("/api/profiles").key(&self.key)
    }

    /// The program `openssl s_client` with these arguments; what it said, the request being sent if it gets so far.
    fn openssl(&self, arguments: &[&str]) -> String {
        let mut child = Command::new("openssl")
            .args(["s_client", "-connect", &self.address().to_string(), "-servername", NAME, "-CAfile", "ca.pem"])
            .args(["-verify_return_error", "-ign_eof"])
            .args(arguments)
            .current_dir(self.gateway.folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("openssl");
        let request = self.call().field("Connection", "close").bytes();
        // A handshake that fails takes the pipe with it.
        let _ = child.stdin.take().expect("its input").write_all(&request);
        let output = child.wait_with_output().expect("its output");
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
    }

    /// Waits until so many connections were refused for that reason: one is closed first and counted then.
    fn wait_for_refused(&self, reason: &str, count: f64) {
        let label = format!("reason=\"{reason}\"");
        let refused = || self.gateway.metric("scopegate_refused_connections_total", &[&label]);
        until("the count", || (refused() >= count).then_some(()));
    }
}

#[test]
fn a_request_over_tls_goes_on_as_https() {
    let upstream = Upstream::ok();
    let secured = Secured::start(&upstream, TLS);
    let mut config = secured.authority.caller(None);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut socket = secured.socket(config);
    assert_eq!(socket.shake_hands().expect("a handshake").alpn_protocol(), Some(b"http/1.1".as_slice()));
    let mut client = Client::on(socket);
    for _ in 0..3 {
        let answer = client.send(secured.call().bytes()).read();
        assert_eq!((answer.status(), answer.body_text().as_str()), (200, "ok"));
    }
    let request = upstream.requests().pop().expect("a request");
    assert_eq!(request.field("x-forwarded-proto"), Some("https"));
    assert_eq!(client.send(Call::get("/api/profiles").bytes()).read().code(), "missing_key");
    assert_eq!(secured.gateway.get("/api/profiles", &secured.key).status(), 200);
    assert_eq!(upstream.requests().pop().expect("a request").field("x-forwarded-proto"), Some("http"));
}

#[test]
fn connections_beyond_the_limit_are_closed_counted_and_told() {
    let upstream = Upstream::ok();
    let secured = Secured::start(&upstream, &format!("{TLS}\nlimits: {{ connections: 3 }}"));
    let _held: Vec<TcpStream> = (0..8).map(|_| secured.tcp()).collect();
    secured.wait_for_refused("connections", 5.0);
    secured.gateway.process.wait_for("a word in the log", |said| {
        let told = |line: &str| {
            line.contains("connection refused: there are as many connections as limits.connections allows")
        };
        said.lines().any(|line| told(line) && line.contains("127.0.0.1")).then_some(())
    });
    let _others: Vec<Client> = (0..4).map(|_| secured.gateway.connect()).collect();
    secured.wait_for_refused("connections", 9.0);
}

#[test]
fn curl_speaks_both_versions_with_it() {
    let upstream = Upstream::ok();
    let secured = Secured::start(&upstream, TLS);
    for version in [["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3", "--tls-max", "1.3"]] {
        let output = Command::new("curl")
            .args(["-sS", "--http1.1", "--cacert", "ca.pem", "-H", &format!("Authorization: Bearer {}", secured.key)])
            .args([
                "-w",
                " %{http_code} %{http_version}",
                &format!("https://{NAME}:{}/api/profiles", secured.address().port()),
            ])
            .args(["--resolve", &format!("{NAME}:{}:127.0.0.1", secured.address().port())])
            .args(version)
            .current_dir(secured.gateway.folder())
            .output()
            .expect("curl");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "ok 200 1.1",
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn a_body_of_megabytes_passes_both_ways() {
    let upstream = Upstream::start(|connection| {
        while let Some(request) = connection.request() {
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len()));
            connection.send(&request.body);
        }
    });
    let secured = Secured::start(&upstream, TLS);
    let body: Vec<u8> = (0..4_000_000_u32).map(|at| at.to_le_bytes()[1] ^ at.to_le_bytes()[2]).collect();
    let mut client = secured.client();
    let head = format!(
        "PUT /api/files/a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n",
        secured.key,
        body.len()
    );
    client.send(head).send_more(&body);
    let answer = client.read();
    assert!(answer.status() == 200 && answer.whole && answer.body == body);
}

#[test]
fn an_answer_that_breaks_off_does_not_end_the_session_in_order() {
    let upstream = Upstream::start(|connection| {
        while let Some(request) = connection.request() {
            // The harness asks with its key until that is in force.
            if request.target() != "/api/profiles" {
                connection.send(OK);
                continue;
            }
            connection.send("HTTP/1.1 200 OK\r\n\r\nhalf");
            connection.wait_for("heard");
            connection.reset();
            return;
        }
    });
    let secured = Secured::start(&upstream, TLS);
    let mut client = secured.client();
    assert_eq!(client.send(secured.call().bytes()).read_head().status(), 200);
    client.read_until("half");
    upstream.allow("heard");
    let (rest, ending) = client.read_to_end();
    let rest = String::from_utf8_lossy(&rest).into_owned();
    // An end without `close_notify` is an error of the session, which counts as a reset.
    assert!(ending == Ending::Reset && !rest.contains("0\r\n"), "{ending:?} after {rest:?}");
}

#[test]
fn a_caller_that_takes_none_of_its_answers_is_cut() {
    let upstream = Upstream::ok();
    let secured = Secured::start(&upstream, &format!("{TLS}\nlimits: {{ write_stall: 300ms }}"));
    let stream = secured.tcp();
    stream.set_write_timeout(Some(PATIENCE)).expect("a write timeout can be set");
    let mut socket = TlsSocket::connect(&Arc::new(secured.authority.caller(None)), NAME, stream);
    socket.shake_hands().expect("a handshake");
    let many = "GET /api/profiles HTTP/1.1\r\nHost: a\r\n\r\n".repeat(200);
    // It sends as long as it can, and reads nothing.
    let error = loop {
        if let Err(error) = socket.write_all(many.as_bytes()) {
            break error;
        }
    };
    assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
    until("its end", || (secured.gateway.metric("scopegate_connections", &["downstream"]) == 0.0).then_some(()));
}

#[test]
fn the_oldest_version_is_as_configured() {
    let upstream = Upstream::ok();
    let secured = Secured::start(&upstream, "tls: { cert: cert.pem, key: key.pem, min_version: 1.3 }");
    let said = secured.openssl(&["-tls1_2"]);
    assert!(said.contains("protocol version") && !said.contains("200 OK"), "{said}");
    let words = "the caller offers nothing newer than TLS 1.2, and `tls.min_version` is `1.3`";
    secured.gateway.process.wait_for("why in words", |said| said.contains(words).then_some(()));
    let said = secured.openssl(&["-tls1_3"]);
    assert!(said.contains("200 OK") && said.contains("TLSv1.3"), "{said}");
}

#[test]
fn a_caller_of_an_old_version_or_without_a_common_cipher_is_told_apart_in_the_log() {
    let upstream = Upstream::ok();
    for (options, words) in [
        (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "the caller offers nothing newer than TLS 1.1"),
        (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"], "the caller offers no cipher suite that is spoken here"),
        (["-tls1_2", "-curves", "P-521"], "the caller offers no key exchange that is spoken here"),
    ] {
        let secured = Secured::start(&upstream, TLS);
        secured.openssl(&options);
        secured.gateway.process.wait_for(words, |said| said.contains(words).then_some(()));
    }
}

#[test]
fn a_session_is_resumed_by_its_ticket_in_both_versions() {
    let upstream = Upstream::ok();
    let secured = Secured::start(&upstream, TLS);
    for version in ["-tls1_2", "-tls1_3"] {
        let said = secured.openssl(&[version, "-sess_out", "session.pem"]);
        assert!(said.contains("New, TLSv1") && said.contains("200 OK"), "{said}");
        let said = secured.openssl(&[version, "-sess_in", "session.pem"]);
        assert!(said.contains("Reused, TLSv1") && said.contains("200 OK"), "{said}");
    }
}

#[test]
fn a_caller_that_names_http_1_0_alone_is_served() {
    let upstream = Upstream::ok();
    let secured = Secured::start(&upstream, TLS);
    let mut config = secured.authority.caller(None);
    config.alpn_protocols = vec![b"http/1.0".to_vec()];
    let mut socket = secured.socket(config);
    assert_eq!(socket.shake_hands().expect("a handshake").alpn_protocol(), Some(b"http/1.0".as_slice()));
    let request = String::from_utf8(secured.call().bytes()).expect("text").replace("HTTP/1.1", "HTTP/1.0");
    assert_eq!(Client::on(socket).send(request).read().status(), 200);
}

#[test]
fn a_request_in_cleartext_is_told_that_the_port_speaks_tls() {
    let upstream = Upstream::ok();
    let secured = Secured::start(&upstream, TLS);
    let mut client = Client::on(secured.tcp());
    let answer = client.send(secured.call().bytes()).read();
    assert_eq!((answer.status(), answer.code().as_str()), (400, "bad_request"));
    assert!(answer.body_text().contains("https"), "{}", answer.text());
    client.assert_closed();
    for junk in ["\0\0\0\0", "\u{1}", "hello"] {
        Client::on(secured.tcp()).send(junk).assert_closed();
    }
    secured.wait_for_refused("handshake", 4.0);
}

#[test]
fn a_handshake_must_come_to_its_end_in_time() {
    let upstream = Upstream::ok();
    let secured = Secured::start(&upstream, &format!("{TLS}\nlimits: {{ header_timeout: 2s }}"));
    let mut silent = Client::on(secured.tcp());
    let mut half = Client::on(secured.tcp());
    half.send(b"\x16\x03\x01\x02\x00\x01");
    silent.assert_closed();
    half.assert_closed();
    secured.wait_for_refused("timeout", 2.0);
    assert_eq!(secured.client().send(secured.call().bytes()).read().status(), 200);
}

#[test]
fn a_silent_connection_does_not_hold_up_the_end() {
    let upstream = Upstream::ok();
    let secured = Secured::start(
        &upstream,
        &format!("{TLS}\nworkers: 1\nlimits: {{ header_timeout: 10m }}\ndrain: {{ timeout: 10m }}"),
    );
    let mut silent = Client::on(secured.tcp());
    // It was accepted: what came after it to the one worker was served.
    assert_eq!(secured.client().send(secured.call().bytes()).read().status(), 200);
    secured.gateway.process.signal("TERM");
    silent.assert_closed();
    assert_eq!(secured.gateway.process.exit_code(), 0);
}

#[test]
fn failed_handshakes_do_not_flood_the_log() {
    let upstream = Upstream::ok();
    let secured = Secured::start(&upstream, &format!("{TLS}\nworkers: 1"));
    let stranger = Authority::new();
    for _ in 0..20 {
        let mut socket = secured.socket(stranger.caller(None));
        assert!(socket.shake_hands().is_err(), "the certificate is of somebody else");
    }
    secured.wait_for_refused("handshake", 20.0);
    secured.gateway.process.signal("TERM");
    let said = secured.gateway.process.last_words();
    let lines: Vec<_> = said.lines().filter(|line| line.contains("the TLS handshake failed")).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("127.0.0.1"), "{lines:?}");
}
