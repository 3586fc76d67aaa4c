//! Whose X-Forwarded-* and PROXY headers are believed, and what follows from them.

use std::fs;

use crate::support::certificate::{Authority, TlsSocket};
use crate::support::{Call, Client, Gateway, Message, Port, Setup, Upstream, until};

/// A key that may be used from there alone; it is in force when this returns.
fn key_from(gateway: &Gateway, network: &str) -> String {
    let key = gateway.create_key(&["--full", "--from", network]);
    until("the key", || (gateway.get("/api/profiles", &key).code() == "address_not_allowed").then_some(()));
    key
}

/// What the access log says of who called, for the request with this id.
fn logged(gateway: &Gateway, id: &str) -> String {
    gateway.process.wait_for("its line in the access log", |said| {
        let line = said.lines().find(|line| line.contains(id))?;
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(line["client"].as_str()?.to_owned())
    })
}

#[test]
fn a_key_is_used_from_where_a_trusted_proxy_says() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]").start();
    let key = key_from(&gateway, "203.0.113.0/24");
    let call =
        |name: &str, value: &str| gateway.answer(&Call::get("/api/profiles").key(&key).field(name, value)).status();
    for value in ["203.0.113.7", "198.51.100.1, 203.0.113.7", "198.51.100.1, 203.0.113.7:4711, 10.1.1.1"] {
        assert_eq!(call("X-Forwarded-For", value), 200, "{value}");
    }
    assert_eq!(call("Forwarded", "for=198.51.100.1, for=203.0.113.7;proto=https"), 200);
    for value in ["203.0.113.7, 198.51.100.1", "10.1.1.1", "203.0.113.7, unknown", "unknown", "203.0.113.7,x", ""] {
        assert_eq!(call("X-Forwarded-For", value), 403, "{value}");
    }
    assert_eq!(call("X-Real-IP", "203.0.113.7"), 403);
    let both = Call::get("/api/profiles").key(&key);
    let both = both.field("Forwarded", "for=203.0.113.7").field("X-Forwarded-For", "198.51.100.1");
    assert_eq!(gateway.answer(&both).code(), "address_not_allowed");
}

#[test]
fn a_key_is_used_from_where_a_proxy_on_a_unix_socket_says_where_that_is_trusted() {
    let upstream = Upstream::ok();
    for (trusted, status) in [("[unix]", 200), ("[203.0.113.7]", 403)] {
        let setup = Setup::new(&upstream).config(&format!("trusted_proxies: {trusted}"));
        let gateway = setup.listen("[ADDRESS, \"unix:a.sock\"]").start();
        let key = key_from(&gateway, "203.0.113.0/24");
        let call = Call::get("/api/profiles").key(&key).field("X-Forwarded-For", "198.51.100.1, 203.0.113.7");
        let answer = Client::connect_unix(&gateway.file("a.sock")).send(call.bytes()).read();
        assert_eq!(answer.status(), status, "{trusted}");
        assert_eq!(gateway.answer(&call).code(), "address_not_allowed", "an address is nobody's socket");
    }
    let seen = upstream.requests().pop().expect("a request");
    assert_eq!(seen.field("x-forwarded-for"), Some("198.51.100.1, 203.0.113.7, unknown"));
}

#[test]
fn nobody_else_can_say_where_a_key_is_used() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("trusted_proxies: [10.0.0.0/8]").start();
    let key = key_from(&gateway, "203.0.113.0/24");
    for name in ["X-Forwarded-For", "X-Real-IP", "X-Client-IP", "True-Client-IP"] {
        let answer = gateway.answer(&Call::get("/api/profiles").key(&key).field(name, "203.0.113.7"));
        assert_eq!(answer.code(), "address_not_allowed", "{name}");
    }
    assert!(upstream.requests().is_empty());
}

#[test]
fn the_log_and_the_upstream_learn_who_called() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("trusted_proxies: [127.0.0.1]").start();
    let key = gateway.key(&["--full"]);
    let mut client = gateway.connect();
    let mut call = |id: &str, name: &str, value: &str| {
        let call = Call::get("/api/profiles").key(&key).field("X-Request-Id", id).field(name, value);
        assert_eq!(client.send(call.bytes()).read().status(), 200);
        upstream.requests().pop().expect("a request")
    };
    let request = call("told-1", "X-Forwarded-For", "192.0.2.1, 203.0.113.7");
    assert_eq!(request.field("x-forwarded-for"), Some("192.0.2.1, 203.0.113.7, 127.0.0.1"));
    let request = call("told-2", "Forwarded", "for=\"[2001:db8::7]\"");
    assert_eq!(request.field("x-forwarded-for"), Some("2001:db8::7, 127.0.0.1"));
    assert_eq!(request.all("forwarded"), ["for=\"[2001:db8::7]\"", "for=127.0.0.1"]);
    let request = call("told-3", "X-Other", "1");
    assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"));
    for (id, client) in [("told-1", "203.0.113.7"), ("told-2", "2001:db8::7"), ("told-3", "127.0.0.1")] {
        assert_eq!(logged(&gateway, id), client);
    }
}

/// A gateway with a listener of its own for PROXY headers.
struct Behind {
    gateway: Gateway,
    port: Port,
    key: String,
}

impl Behind {
    fn start(upstream: &Upstream, networks: &str, config: &str) -> Behind {
        let port = Port::free();
        let listen = format!("[\"ADDRESS\", {{ address: \"{}\", proxy_protocol: {networks} }}]", port.address);
        let gateway = Setup::new(upstream).listen(&listen).config(config).start();
        let key = gateway.key(&["--full"]);
        Behind { gateway, port, key }
    }

    fn connect(&self) -> Client {
        Client::connect(self.port.address)
    }

    fn call(&self) -> Call {
        Call::get("/api/profiles").key(&self.key)
    }

    /// The answer to a request behind these bytes, in one piece.
    fn answer(&self, header: &[u8]) -> Message {
        let mut client = self.connect();
        client.send_more(header).send(self.call().bytes()).read()
    }
}

/// Version 2, with TLVs behind the addresses.
fn binary(command: u8, family: u8, values: &[u8]) -> Vec<u8> {
    let tlv = [0x04, 0x00, 0x03, b'a', b'b', b'c'];
    let length = u16::try_from(values.len() + tlv.len()).expect("a length").to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[command, family], &length, values, &tlv].concat()
}

#[test]
fn a_proxy_header_says_whose_connection_it_is() {
    let upstream = Upstream::ok();
    let behind = Behind::start(&upstream, "[127.0.0.0/8]", "");
    let four = [203, 0, 113, 7, 127, 0, 0, 1, 0x30, 0x39, 0x01, 0xBB];
    let six: Vec<u8> = [[0x20, 0x01, 0x0d, 0xb8].as_slice(), &[0; 11], &[7], &[0; 15], &[1], &[1, 2, 3, 4]].concat();
    for (header, expected) in [
        (b"PROXY TCP4 203.0.113.7 127.0.0.1 12345 443\r\n".to_vec(), "203.0.113.7"),
        (b"PROXY TCP6 2001:db8::7 ::1 12345 443\r\n".to_vec(), "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (binary(0x21, 0x11, &four), "203.0.113.7"),
        (binary(0x21, 0x21, &six), "2001:db8::7"),
        (binary(0x20, 0x00, b""), "127.0.0.1"),
    ] {
        assert_eq!(behind.answer(&header).status(), 200);
        let request = upstream.requests().pop().expect("a request");
        assert_eq!(request.field("x-forwarded-for"), Some(expected), "{}", String::from_utf8_lossy(&header));
    }
    let mut client = behind.connect();
    for byte in b"PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n" {
        client.send_more([*byte]);
    }
    assert_eq!(client.send(behind.call().bytes()).read().status(), 200, "byte by byte");
    assert_eq!(upstream.requests().pop().expect("a request").field("x-forwarded-for"), Some("203.0.113.9"));
}

#[test]
fn a_connection_that_does_not_begin_with_a_proxy_header_is_closed() {
    let upstream = Upstream::ok();
    let behind = Behind::start(&upstream, "[127.0.0.0/8]", "limits: { header_timeout: 1s }");
    let seen = upstream.requests().len();
    for bytes in [
        behind.call().bytes(),
        b"PROXY TCP4 203.0.113.7 127.0.0.1 012345 443\r\n".to_vec(),
        b"PROXY TCP4 203.0.113.7\r\n".to_vec(),
        [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat(),
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c".to_vec(),
    ] {
        let mut client = behind.connect();
        let _ = client.try_send(&bytes);
        client.assert_closed();
    }
    let refused = |reason: &str, most: f64| {
        // A connection is closed first and counted then.
        let count = || behind.gateway.metric("scopegate_refused_connections_total", &[reason]);
        until("the count", || (count() >= most).then_some(()));
    };
    refused("proxy_header", 5.0);
    let mut late = behind.connect();
    late.send_more("PROXY TCP4 203.0.113.7 ");
    late.assert_closed();
    refused("timeout", 1.0);
    assert_eq!(upstream.requests().len(), seen);
}

#[test]
fn a_proxy_header_is_taken_from_those_addresses_alone() {
    let upstream = Upstream::ok();
    let behind = Behind::start(&upstream, "[10.0.0.0/8]", "");
    let mut client = behind.connect();
    let _ = client.try_send(b"PROXY TCP4 10.0.0.7 127.0.0.1 1 2\r\n");
    client.assert_closed();
    behind.gateway.process.wait_for("the word in the log", |said| {
        said.lines().any(|line| line.contains("proxy_protocol") && line.contains("127.0.0.1")).then_some(())
    });
    let count = || behind.gateway.metric("scopegate_refused_connections_total", &["proxy_header"]);
    until("the count", || (count() == 1.0).then_some(()));
    assert_eq!(behind.gateway.get("/api/profiles", &behind.key).status(), 200, "the other listener");
}

#[test]
fn a_key_is_used_from_where_the_proxy_header_says() {
    let upstream = Upstream::ok();
    let behind = Behind::start(&upstream, "[127.0.0.1]", "");
    let key = key_from(&behind.gateway, "203.0.113.0/24");
    for (address, status) in [("203.0.113.7", 200), ("198.51.100.7", 403)] {
        let mut client = behind.connect();
        client.send_more(format!("PROXY TCP4 {address} 127.0.0.1 1 2\r\n"));
        let answer = client.send(Call::get("/api/profiles").key(&key).bytes()).read();
        assert_eq!(answer.status(), status, "{address}");
    }
}

#[test]
fn tls_begins_behind_the_proxy_header() {
    let upstream = Upstream::ok();
    let (authority, port) = (Authority::new(), Port::free());
    let listen = format!(
        "[{{ address: \"ADDRESS\", tls: false }}, {{ address: \"{}\", proxy_protocol: [127.0.0.1] }}]",
        port.address
    );
    let setup = Setup::new(&upstream).listen(&listen).config("tls: { cert: cert.pem, key: key.pem }");
    let (certificate, key) = authority.issue("localhost", 2100);
    fs::write(setup.folder().join("cert.pem"), certificate).expect("the certificate");
    fs::write(setup.folder().join("key.pem"), key).expect("the key");
    let gateway = setup.start();
    let key = gateway.key(&["--full"]);
    let mut stream = std::net::TcpStream::connect(port.address).expect("a connection");
    std::io::Write::write_all(&mut stream, b"PROXY TCP4 203.0.113.7 127.0.0.1 1 2\r\n").expect("the header is sent");
    let socket = TlsSocket::connect(&authority.caller(None).into(), "localhost", stream);
    let answer = Client::on(socket).send(Call::get("/api/profiles").key(&key).bytes()).read();
    assert_eq!(answer.status(), 200);
    let request = upstream.requests().pop().expect("a request");
    assert_eq!(request.field("x-forwarded-for"), Some("203.0.113.7"));
    assert_eq!(request.field("x-forwarded-proto"), Some("https"));
}

#[test]
fn a_limit_for_each_address_counts_who_the_proxy_header_names() {
    let upstream = Upstream::ok();
    let behind = Behind::start(&upstream, "[127.0.0.1]", "limits: { connections_per_address: 2 }");
    let connect = |address: &str| {
        let mut client = behind.connect();
        client.send_more(format!("PROXY TCP4 {address} 127.0.0.1 1 2\r\n"));
        client
    };
    let mut kept: Vec<Client> = (0..2).map(|_| connect("203.0.113.7")).collect();
    for client in &mut kept {
        assert_eq!(client.send(behind.call().bytes()).read().status(), 200);
    }
    connect("203.0.113.7").assert_closed();
    assert_eq!(connect("203.0.113.8").send(behind.call().bytes()).read().status(), 200);
    kept.pop();
    until("the room", || {
        let mut client = connect("203.0.113.7");
        client.try_send(behind.call().field("Connection", "close").bytes()).ok()?;
        client.read_to_end().0.starts_with(b"HTTP/1.1 200").then_some(())
    });
}
