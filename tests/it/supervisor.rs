//! A service manager: sockets that it passes, and what it is told. The tests play systemd.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;

use crate::support::process::Process;
use crate::support::{Call, Client, Gateway, PATIENCE, Setup, Upstream, activated};

fn open() -> Call {
    Call::get("/api/health")
}

fn start(setup: Setup, listener: &TcpListener) -> Gateway {
    setup.start_by(|command| activated(command, listener.try_clone().expect("a copy").into()))
}

#[test]
fn a_socket_that_is_passed_outlives_a_restart_and_nobody_is_refused() {
    let upstream = Upstream::ok();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("its address");
    let setup = || Setup::new(&upstream).listen(&format!("\"{address}\""));
    let first = start(setup(), &listener);
    assert_eq!(Client::connect(address).send(open().bytes()).read().status(), 200);
    first.process.signal("TERM");
    assert_eq!(first.process.exit_code(), 0);
    let mut waiting = Client::connect(address);
    waiting.send(open().bytes());
    let _second = start(setup(), &listener);
    assert_eq!(waiting.read().status(), 200, "it waited in the queue");
}

#[test]
fn every_worker_serves_a_socket_that_is_passed() {
    let upstream = Upstream::ok();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("its address");
    let _gateway = start(Setup::new(&upstream).listen(&format!("\"{address}\"")), &listener);
    let mut clients: Vec<Client> = (0..40).map(|_| Client::connect(address)).collect();
    for client in &mut clients {
        assert_eq!(client.send(open().bytes()).read().status(), 200);
    }
}

#[test]
fn a_unix_socket_may_be_passed_and_its_file_is_left_in_place() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream);
    let path = setup.folder().join("passed.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let gateway = setup
        .listen("unix:passed.sock")
        .start_by(|command| activated(command, listener.try_clone().expect("a copy").into()));
    assert_eq!(Client::connect_unix(&path).send(open().bytes()).read().status(), 200);
    gateway.process.signal("TERM");
    assert_eq!(gateway.process.exit_code(), 0);
    assert!(path.exists());
}

#[test]
fn a_socket_that_no_listener_names_is_told() {
    let upstream = Upstream::ok();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("its address").to_string();
    let gateway = start(Setup::new(&upstream), &listener);
    gateway.process.wait_for("the word in the log", |said| {
        said.lines().any(|line| line.contains(&address) && line.contains("no `listen` names")).then_some(())
    });
    assert_eq!(gateway.answer(&open()).status(), 200);
}

#[test]
fn a_socket_that_no_listener_names_and_is_in_the_way_of_one_is_told_apart_from_another_process() {
    let upstream = Upstream::ok();
    let everywhere = TcpListener::bind("0.0.0.0:0").expect("a listener");
    let passed = everywhere.local_addr().expect("its address");
    let setup = Setup::new(&upstream).listen(&format!("\"127.0.0.1:{}\"", passed.port())).written();
    let mut command = setup.command();
    command.arg("serve");
    activated(&mut command, everywhere.into());
    let process = Process::start(&mut command);
    assert_eq!(process.exit_code(), 1);
    let said = process.last_words();
    let reason =
        format!("the service manager has passed a socket on {passed}, which no `listen` names; write `{passed}`");
    assert!(said.contains(&reason), "{said}");
}

#[test]
fn sockets_for_another_process_are_not_taken() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).environment("LISTEN_FDS", "1").environment("LISTEN_PID", "1");
    assert_eq!(setup.start().answer(&open()).status(), 200);
}

/// The socket on which a service manager listens for words.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &Path) -> Manager {
        let socket = UnixDatagram::bind(path).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a read timeout can be set");
        Manager(socket)
    }

    /// Waits for a message with this line; whatever comes before is passed over.
    fn hears(&self, line: &str) -> String {
        let mut message = [0; 512];
        loop {
            let length = self.0.recv(&mut message).unwrap_or_else(|error| panic!("no {line}: {error}"));
            let text = String::from_utf8_lossy(&message[..length]).into_owned();
            if text.lines().any(|found| found == line) {
                return text;
            }
        }
    }
}

#[test]
fn a_manager_is_told_of_the_start_a_reload_and_the_end() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream);
    let path = setup.folder().join("manager.sock");
    let manager = Manager::at(&path);
    let gateway = setup.environment("NOTIFY_SOCKET", path.to_str().expect("a path")).start();
    manager.hears("READY=1");
    for broken in [false, true] {
        if broken {
            gateway.write_policy("nonsense");
        }
        gateway.process.signal("HUP");
        let message = manager.hears("RELOADING=1");
        assert!(message.lines().any(|line| line.starts_with("MONOTONIC_USEC=")), "{message}");
        let message = manager.hears("READY=1");
        let status = if broken {
            "STATUS=Serving what was in force before: the last reload was refused"
        } else {
            "STATUS=Serving\n"
        };
        assert!(message.contains(status), "{message}");
    }
    // Mended, with nobody asking for a reload.
    gateway.write_routes("  GET /profiles: profiles:read\n");
    manager.hears("STATUS=Serving");
    gateway.process.signal("TERM");
    let message = manager.hears("STOPPING=1");
    assert!(message.contains("STATUS=Draining"), "{message}");
    assert_eq!(gateway.process.exit_code(), 0);
}

#[test]
fn a_manager_that_watches_is_told_that_all_is_well() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream);
    let path = setup.folder().join("manager.sock");
    let manager = Manager::at(&path);
    let setup = setup.environment("NOTIFY_SOCKET", path.to_str().expect("a path"));
    let _gateway = setup.environment("WATCHDOG_USEC", "400000").start();
    for _ in 0..5 {
        manager.hears("WATCHDOG=1");
    }
}

#[test]
fn addresses_are_told_apart_by_all_of_them() {
    let upstream = Upstream::ok();
    // The same port on another address is another socket.
    let listener = TcpListener::bind("127.0.0.3:0").expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    let own = SocketAddr::from(([127, 0, 0, 1], port));
    let gateway = start(Setup::new(&upstream).listen(&format!("[ADDRESS, \"{own}\"]")), &listener);
    assert_eq!(Client::connect(own).send(open().bytes()).read().status(), 200);
    gateway.process.wait_for("the word in the log", |said| said.contains("no `listen` names").then_some(()));
}
