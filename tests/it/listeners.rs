//! Several listeners at once: IPv4, IPv6, Unix sockets; limits of connections.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::support::{Call, Client, Gateway, Port, Setup, Upstream, until, with_descriptors};

fn open() -> Call {
    Call::get("/api/health")
}

#[test]
fn several_listeners_serve_the_same() {
    let upstream = Upstream::ok();
    let port = Port::free();
    let six = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port.address.port()));
    let setup = Setup::new(&upstream);
    let setup =
        setup.listen(&format!("[ADDRESS, \"{six}\", {{ address: \"unix:a.sock\", mode: 0660 }}, \"unix:b.sock\"]"));
    let gateway = setup.start();
    let mut clients = vec![gateway.connect(), Client::connect_unix(&gateway.file("a.sock"))];
    clients.push(Client::connect_unix(&gateway.file("b.sock")));
    // A machine may have no IPv6 at all.
    if TcpListener::bind("[::1]:0").is_ok() {
        clients.push(Client::connect(six));
    }
    for client in &mut clients {
        assert_eq!(client.send(open().bytes()).read().status(), 200);
    }
    let mode = fs::metadata(gateway.file("a.sock")).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    gateway.process.signal("TERM");
    assert_eq!(gateway.process.exit_code(), 0);
    assert!(!gateway.file("a.sock").exists() && !gateway.file("b.sock").exists(), "its own sockets are gone");
}

#[test]
fn every_address_of_both_families_may_have_a_listener() {
    if TcpListener::bind("[::]:0").is_err() {
        return;
    }
    let upstream = Upstream::ok();
    let port = Port::free().address.port();
    let gateway = Setup::new(&upstream).listen(&format!("[ADDRESS, \"0.0.0.0:{port}\", \"[::]:{port}\"]")).start();
    for address in [SocketAddr::from(([127, 0, 0, 1], port)), SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port))] {
        assert_eq!(Client::connect(address).send(open().bytes()).read().status(), 200, "{address}");
    }
    drop(gateway);
}

#[test]
fn a_socket_that_nobody_serves_is_replaced_and_anything_else_is_left_alone() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).listen("unix:a.sock");
    drop(UnixListener::bind(setup.folder().join("a.sock")).expect("a socket that is left behind"));
    let gateway = setup.start();
    let answer = Client::connect_unix(&gateway.file("a.sock")).send(open().bytes()).read();
    assert_eq!(answer.status(), 200);
    gateway.run(&["serve", "--admin=127.0.0.1:0"]).exits(1).says(&["a.sock", "in use"]);
    let setup = Setup::new(&upstream).listen("unix:a.sock").written();
    fs::write(setup.folder().join("a.sock"), "a file").expect("a file");
    let output = crate::support::command::finish(setup.command().arg("serve"));
    output.exits(1).says(&["a.sock", "which is no socket"]);
    assert_eq!(fs::read_to_string(setup.folder().join("a.sock")).expect("the file"), "a file");
}

#[test]
fn an_address_has_as_many_connections_as_it_may() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("limits: { connections_per_address: 3 }").start();
    let mut kept: Vec<Client> = (0..3).map(|_| gateway.connect()).collect();
    for client in &mut kept {
        assert_eq!(client.send(open().bytes()).read().status(), 200);
    }
    let mut client = gateway.connect();
    let answer = client.read();
    assert_eq!((answer.status(), answer.code().as_str(), answer.field("retry-after")), (503, "overloaded", Some("1")));
    assert!(answer.body_text().contains("`limits.connections_per_address`"), "{}", answer.text());
    client.assert_closed();
    assert_eq!(
        gateway.metric("scopegate_refused_connections_total", &["per_address"]),
        1.0,
        "counted before it is answered"
    );
    let words = "the address has 3 connections, as many as limits.connections_per_address allows";
    gateway.process.wait_for("the word in the log", |said| said.contains(words).then_some(()));
    kept.pop();
    until("the room", || {
        let mut client = gateway.connect();
        client.try_send(open().field("Connection", "close").bytes()).ok()?;
        client.read_to_end().0.starts_with(b"HTTP/1.1 200").then_some(())
    });
    for client in &mut kept {
        assert_eq!(client.send(open().bytes()).read().status(), 200, "those that were there go on");
    }
}

#[test]
fn connections_that_are_turned_away_take_no_room_from_other_addresses() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("limits: { connections: 20, connections_per_address: 5 }").start();
    let from = |address: [u8; 4]| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from((address, 0)).into()).expect("an address of this machine");
        socket.connect(&gateway.address().into()).expect("a connection");
        Client::on(TcpStream::from(socket))
    };
    // They say nothing and stay, also those that are told to go.
    let _flood: Vec<Client> = (0..60).map(|_| from([127, 0, 0, 2])).collect();
    for _ in 0..10 {
        let answer = from([127, 0, 0, 3]).send(open().bytes()).read();
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
}

#[test]
fn a_caller_of_http_2_for_whom_there_is_no_room_is_told_in_http_2() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("limits: { connections_per_address: 1 }").start();
    let mut first = gateway.connect();
    assert_eq!(first.send(open().bytes()).read().status(), 200);
    let mut second = gateway.connect();
    second.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    // SETTINGS, and GOAWAY by which nothing was done, with ENHANCE_YOUR_CALM.
    let goodbye = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0b";
    assert_eq!(second.read_to_end().0.escape_ascii().to_string(), goodbye.escape_ascii().to_string());
    until("it is counted", || (gateway.metric("scopegate_denials_total", &["overloaded"]) == 1.0).then_some(()));
}

#[test]
fn a_trusted_proxy_has_as_many_connections_as_it_wants() {
    let upstream = Upstream::ok();
    let config = "limits: { connections_per_address: 1 }\ntrusted_proxies: [127.0.0.1]";
    let gateway = Setup::new(&upstream).config(config).start();
    let mut clients: Vec<Client> = (0..4).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.send(open().bytes()).read().status(), 200);
    }
}

#[test]
fn a_connection_takes_as_many_requests_as_it_may() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("limits: { requests_per_connection: 3 }").start();
    // Answers of the upstream, and of the gateway itself.
    for target in ["/api/health", "/api/nothing"] {
        let mut client = gateway.connect();
        for number in 1..=3 {
            let answer = client.send(Call::get(target).bytes()).read();
            assert!(answer.whole);
            assert_eq!(
                answer.field("connection") == Some("close"),
                number == 3,
                "{target} {number}: {}",
                answer.text()
            );
        }
        client.assert_closed();
    }
}

#[test]
fn an_old_connection_is_closed_after_an_answer_and_never_within_one() {
    let upstream = Upstream::start(|connection| {
        while let Some(request) = connection.request() {
            if request.target() == "/api/health" {
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha");
                connection.note("half");
                connection.wait_for("old");
                connection.send("lf");
            }
        }
    });
    let gateway = Setup::new(&upstream).config("limits: { connection_age: 1s }").start();
    let mut client = gateway.connect();
    client.send(open().bytes());
    upstream.wait_for("half");
    let begun = std::time::Instant::now();
    until("its age", || (begun.elapsed() > Duration::from_millis(1500)).then_some(()));
    for _ in 0..2 {
        upstream.allow("old");
    }
    let answer = client.read();
    assert_eq!((answer.body_text().as_str(), answer.whole), ("half", true));
    let answer = client.send(Call::get("/api/nothing").bytes()).read();
    assert_eq!((answer.status(), answer.field("connection")), (401, Some("close")));
    client.assert_closed();
}

#[test]
fn too_few_open_files_for_the_connections_are_told_at_the_start() {
    let upstream = Upstream::ok();
    let limited = |files| {
        let setup = Setup::new(&upstream).config("limits: { connections: 1000 }");
        setup.start_by(move |command| with_descriptors(command, files))
    };
    let told = |gateway: &Gateway| {
        gateway
            .process
            .wait_for("the start", |said| said.contains("serving").then(|| said.contains("limits.connections")))
    };
    assert!(told(&limited(512)));
    assert!(!told(&limited(4096)));
}
