//! `serve` that does not start, `healthcheck`, the banner of `demo`.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::thread;

use super::*;
use crate::support::Vacant;
use crate::support::process::Process;

/// A configuration that names these addresses.
fn config(listen: &str, admin: &str, more: &str) -> String {
    format!("{CONFIG}listen: {listen}\nadmin: {{ listen: \"{admin}\" }}\n{more}")
}

#[test]
fn a_gateway_that_cannot_start_says_why() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address");
    let next = format!("127.0.0.1:{}", address.port().wrapping_add(1));
    let socket = tempfile::tempdir().expect("a folder");
    let path = socket.path().join("a.sock");
    let _listening = UnixListener::bind(&path).expect("a socket");
    let free = "127.0.0.1:0";
    let cases = [
        config(&address.to_string(), free, ""),
        config(free, &address.to_string(), ""),
        config(free, free, &format!("metrics: {{ listen: \"{address}\" }}\n")),
        config("192.0.2.1:1", free, ""),
        config("unix:none/a.sock", free, ""),
        config(&format!("unix:{}", path.display()), free, ""),
        config(free, free, "").replace("sqlite:keys.db", "sqlite:none/keys.db"),
        config(free, free, "").replace("sqlite:keys.db", "file:none.yaml"),
        config(free, free, "").replace("sqlite:keys.db", "sqlite:policy.yaml"),
        config(free, free, "log: { output: none/a.log }\n"),
    ];
    let screens = cases.map(|text| {
        let folder = Folder::new().with("scopegate.yaml", text);
        let screen = folder.screen("serve");
        let screen = screen.replace(&address.to_string(), "127.0.0.1:[taken]").replace(&next, "127.0.0.1:[next]");
        screen.replace(&path.display().to_string(), "[folder]/a.sock")
    });
    insta::assert_snapshot!(screens.join("\n"));
}

/// Gives one answer to whoever asks.
fn answering(answer: &'static str) -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a probe");
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
            head.extend(byte);
        }
        stream.write_all(answer.as_bytes()).expect("the answer");
    });
    (address, serving)
}

#[test]
fn a_probe_says_what_it_found() {
    let folder = Folder::new();
    let mut screens = Vec::new();
    for answer in [
        "HTTP/1.1 200 OK\r\n\r\nready\n",
        "HTTP/1.1 503 Service Unavailable\r\n\r\nnot ready: draining\n",
        "HTTP/1.1 200 OK\r\n\r\n<html>it works</html>\n",
    ] {
        let (address, serving) = answering(answer);
        let screen = folder.screen(&format!("healthcheck --admin {address}"));
        screens.push(screen.replace(&address, "127.0.0.1:[port]"));
        serving.join().expect("it answered");
    }
    let vacant = Vacant::new();
    let nobody = vacant.address;
    let folder = folder.with("scopegate.yaml", format!("{CONFIG}admin: {{ listen: \"{nobody}\" }}\n"));
    screens.push(folder.screen("healthcheck").replace(&nobody.to_string(), "127.0.0.1:[port]"));
    screens.push(folder.screen("healthcheck --admin nowhere"));
    insta::assert_snapshot!(screens.join("\n"));
}

#[test]
fn a_probe_beside_a_configuration_that_cannot_be_read_says_so() {
    let output = Folder::empty().run("healthcheck");
    assert!(output.stderr.starts_with("warning: "), "{output:?}");
    let warning = output.stderr.lines().next().unwrap_or_default();
    insta::assert_snapshot!(warning);
}

#[test]
fn a_demo_whose_port_is_taken_says_so() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address");
    let screen = Folder::empty().screen(&format!("demo --port {}", address.port()));
    insta::assert_snapshot!(screen.replace(&address.port().to_string(), "[taken]"));
}

#[test]
fn the_banner_of_the_demo() {
    let folder = Folder::empty();
    let demo = Process::start(command(folder.path()).env("COLUMNS", COLUMNS.to_string()).arg("demo"));
    let banner = demo.wait_for("the whole banner", |said| {
        let banner = &said[said.find("ScopeGate is serving")?..];
        let last = banner.lines().position(|line| line.contains("--path-as-is"))?;
        banner.ends_with('\n').then(|| banner.lines().take(last + 1).collect::<Vec<_>>().join("\n"))
    });
    insta::assert_snapshot!(without_ports(&settled(&banner)));
}

/// A text with the ports of this machine replaced.
fn without_ports(text: &str) -> String {
    const HOST: &str = "127.0.0.1:";
    let mut parts = text.split(HOST);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, rest| {
        format!("{text}{HOST}[port]{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()))
    })
}
